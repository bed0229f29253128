"""One client for speech, transcription, images, music and video, whatever engine does it."""

from __future__ import annotations

__all__ = ["MSG_TYPE", "LollmsClient"]
__version__ = "2.0.0"
TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from lollms_client.client import LollmsClient as LollmsClient
    from lollms_client.lollms_types import MSG_TYPE as MSG_TYPE
else:

    def __getattr__(name: str) -> object:
        # When it is asked for: the command needs it seldom, and a signal may come at any moment.
        if name == "LollmsClient":
            from lollms_client.client import LollmsClient

            return LollmsClient
        if name == "MSG_TYPE":
            from lollms_client.lollms_types import MSG_TYPE

            return MSG_TYPE
        if name.startswith("_"):  # what Python itself looks for
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from lollms_client import _older

        _older.refuse_import(__name__, name)
