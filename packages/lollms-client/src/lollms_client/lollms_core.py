"""The home of ``LollmsClient`` in lollms-client 1.x."""

from __future__ import annotations

from lollms_client.client import LollmsClient as LollmsClient

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from lollms_client import _older

        _older.refuse_import(__name__, name)
