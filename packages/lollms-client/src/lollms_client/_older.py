"""Keywords that ``LollmsClient`` had in 0.x and 1.x: which are known, and what takes their place."""

from __future__ import annotations

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

MODALITIES = ("tts", "tti", "stt", "ttm", "ttv")
_MODEL = "they concern the language model, which is not of this package"
_FILES = "paths are given where they are used"
_PROFILES = "give tts_binding_name= and tts_binding_config=, and update_tts_binding() to change them"

IGNORED: dict[str, str] = {
    **dict.fromkeys(
        "ai_name callback ctx_size extra_llms model_name n_predict n_threads repeat_last_n repeat_penalty seed stream "
        "streaming_callback temperature top_k top_p user_name".split(),
        _MODEL,
    ),
    **{
        f"{kind}_{rest}": "bindings of that kind are not of this package"
        for kind in ("connection", "mcp", "rag", "tools")
        for rest in ("binding_config", "binding_name", "bindings_dir", "binding_profiles", "model_profiles")
    },
    "debug": "the logger 'lollms_modalities' tells more",
    "cooperative_vram_management": "keep_alive= in a binding's config unloads its model after the last call",
    **dict.fromkeys(("cwd", "lollms_system_path", "system_dir"), _FILES),
    **{f"llm_{kind}_profiles": _MODEL for kind in ("binding", "model")},
    **{f"{modality}_{kind}_profiles": _PROFILES for modality in MODALITIES for kind in ("binding", "model")},
}
# With these something was wanted that does not happen.
WANTED = frozenset(f"{modality}_{kind}_profiles" for modality in MODALITIES for kind in ("binding", "model"))
HOSTS = {f"{modality}_host_address": modality for modality in MODALITIES}


def tell(older: Mapping[str, Any]) -> None:
    """One log line for all that is ignored, and a warning for what was wanted and does not happen.

    Raises:
        TypeError: an unknown keyword.
    """
    unknown = [name for name in older if name not in IGNORED]
    if unknown:
        import difflib
        import inspect

        from lollms_client.client import LollmsClient

        known = [*inspect.signature(LollmsClient).parameters, *IGNORED, *HOSTS]
        close = difflib.get_close_matches(unknown[0], known, n=1)
        near = f" Did you mean {close[0]!r}?" if close else ""
        raise TypeError(f"LollmsClient() got an unexpected keyword argument {unknown[0]!r}.{near}")
    reasons: dict[str, list[str]] = {}
    for name in older:
        reasons.setdefault(IGNORED[name], []).append(repr(name))
    if reasons:
        import logging

        said = "; ".join(f"{', '.join(names)}: {why}" for why, names in reasons.items())
        logging.getLogger(__name__).info("LollmsClient does without keywords of lollms-client 1.x. %s.", said)
    lost = [name for name in older if name in WANTED and older[name]]
    if lost:
        warn(f"LollmsClient makes no bindings from {', '.join(map(repr, lost))}: {_PROFILES}.", 5)


def warn(message: str, stacklevel: int) -> None:
    """Tell of something that 1.x did and that does not happen."""
    import warnings

    from lollms_modalities.errors import OlderKeywordWarning

    warnings.warn(OlderKeywordWarning(message), stacklevel=stacklevel)
