"""``LollmsClient``: one binding for each modality, made from names and settings."""

from __future__ import annotations

from lollms_modalities.errors import (
    BindingNotFoundError,
    BindingUnavailableError,
    BindingUnavailableWarning,
    LollmsError,
)

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from lollms_modalities.binding import LollmsBinding
    from lollms_modalities.manager import BindingManager
    from lollms_modalities.stt import LollmsSTTBinding
    from lollms_modalities.tti import LollmsTTIBinding
    from lollms_modalities.ttm import LollmsTTMBinding
    from lollms_modalities.tts import LollmsTTSBinding
    from lollms_modalities.ttv import LollmsTTVBinding

    Config = Mapping[str, Any]

# What a binding's config may say besides its settings: see ``BindingManager.create_binding``.
_WHERE = ("environment", "isolated", "pool", "policy")
_LLM_GROUP = "lollms_client.llm_bindings"
# Keywords of lollms-client 0.x and 1.x that concern the language model or what is no longer here.
_IGNORED = frozenset(
    "ai_name callback connection_binding_config connection_binding_name connection_bindings_dir "
    "cooperative_vram_management ctx_size debug mcp_binding_config mcp_binding_name mcp_bindings_dir model_name "
    "n_predict n_threads rag_binding_config rag_binding_name rag_bindings_dir repeat_last_n repeat_penalty seed stream "
    "streaming_callback temperature tools_binding_config tools_binding_name tools_bindings_dir top_k top_p "
    "user_name".split()
) | {
    f"{modality}_{kind}_profiles"
    for modality in ("llm", "tts", "tti", "stt", "ttm", "ttv", "connection", "rag", "tools")
    for kind in ("binding", "model")
}


class LollmsClient:
    """Bindings for speech, images, transcription, music and video, of whatever engines are installed.

    The bindings are made here; their models are loaded at their first call.

    Args:
        binding_name: name of a language-model binding. Kept, and made at the first use of ``binding`` where a
            distribution offers it (entry-point group ``lollms_client.llm_bindings``).
        host_address, models_path, service_key, verify_ssl_certificate: shared by the bindings that have such a setting
            and say that it may be shared. The key goes only where the shared address goes.
        tts_binding_name, tti_binding_name, stt_binding_name, ttm_binding_name, ttv_binding_name: which binding does it;
            None for none.
        tts_binding_config, tti_binding_config, stt_binding_config, ttm_binding_config, ttv_binding_config: its
            settings; ``environment``, ``isolated``, ``pool`` and ``policy`` in it say in which process it runs.
        tts_bindings_dir, tti_bindings_dir, stt_bindings_dir, ttm_bindings_dir, ttv_bindings_dir: an extra folder of
            installed distributions, such as ``pip install --target`` makes.
        llm_binding_name, llm_binding_config, llm_bindings_dir: as ``binding_name``, and its settings.
        older: other keywords of the older client are accepted and ignored.

    Attributes:
        unavailable: for each modality without a binding the error that says why.

    Raises:
        SettingsError: a wrong setting of a binding; and whatever else its constructor raises.
        TypeError: an unknown keyword.

    A binding that is not installed or cannot be loaded is None, and a ``BindingUnavailableWarning`` says why.
    """

    tts: LollmsTTSBinding | None
    tti: LollmsTTIBinding | None
    stt: LollmsSTTBinding | None
    ttm: LollmsTTMBinding | None
    ttv: LollmsTTVBinding | None

    def __init__(
        self,
        binding_name: str | None = None,
        host_address: str | None = None,
        models_path: str | Path | None = None,
        *,
        service_key: str | None = None,
        verify_ssl_certificate: bool | None = None,
        tts_binding_name: str | None = None,
        tti_binding_name: str | None = None,
        stt_binding_name: str | None = None,
        ttm_binding_name: str | None = None,
        ttv_binding_name: str | None = None,
        tts_binding_config: Config | None = None,
        tti_binding_config: Config | None = None,
        stt_binding_config: Config | None = None,
        ttm_binding_config: Config | None = None,
        ttv_binding_config: Config | None = None,
        tts_bindings_dir: str | Path | None = None,
        tti_bindings_dir: str | Path | None = None,
        stt_bindings_dir: str | Path | None = None,
        ttm_bindings_dir: str | Path | None = None,
        ttv_bindings_dir: str | Path | None = None,
        llm_binding_name: str | None = None,
        llm_binding_config: Config | None = None,
        llm_bindings_dir: str | Path | None = None,
        **older: Any,
    ) -> None:
        _refuse_unknown(older)
        self.binding_name = binding_name or llm_binding_name
        self.unavailable: dict[str, LollmsError] = {}
        self._llm_config = dict(llm_binding_config or {})
        self._llm: Any = None
        self._shared = {
            name: value
            for name, value in (
                ("host_address", host_address),
                ("models_path", models_path),
                ("service_key", service_key),
                ("verify_ssl_certificate", verify_ssl_certificate),
            )
            if value is not None
        }
        from lollms_modalities import stt, tti, ttm, tts, ttv

        self._made: list[LollmsBinding] = []
        try:
            self.tts = self._make(tts.LollmsTTSBindingManager(tts_bindings_dir), tts_binding_name, tts_binding_config)
            self.tti = self._make(tti.LollmsTTIBindingManager(tti_bindings_dir), tti_binding_name, tti_binding_config)
            self.stt = self._make(stt.LollmsSTTBindingManager(stt_bindings_dir), stt_binding_name, stt_binding_config)
            self.ttm = self._make(ttm.LollmsTTMBindingManager(ttm_bindings_dir), ttm_binding_name, ttm_binding_config)
            self.ttv = self._make(ttv.LollmsTTVBindingManager(ttv_bindings_dir), ttv_binding_name, ttv_binding_config)
        except BaseException:
            self.close()
            raise

    @property
    def binding(self) -> Any:
        """The language-model binding, made at its first use. It belongs to its own distribution, not to this project.

        Raises:
            BindingNotFoundError: none was named, or no distribution offers that name.
        """
        if self._llm is None:
            self._llm = _llm_class(self.binding_name)(**{**self._shared, **self._llm_config})
        return self._llm

    def close(self) -> None:
        """Close every binding: calls under way are cancelled, models are freed."""
        while self._made:
            self._made.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LollmsClient {', '.join(f'{b.modality}={b.binding_name}' for b in self._made) or 'without bindings'}>"

    def _make(self, manager: BindingManager[Any], name: str | None, config: Config | None) -> Any:
        modality = manager.modality
        if not name:
            self.unavailable[modality] = BindingNotFoundError(
                f"No {modality} binding was asked for.", hint=f"Give {modality}_binding_name=..."
            )
            return None
        settings = dict(config or {})
        where = {word: settings.pop(word) for word in _WHERE if word in settings}
        try:
            make = manager.maker(name, shared=self._shared, **where)
        except BindingUnavailableError as exc:
            import warnings

            self.unavailable[modality] = exc
            warnings.warn(BindingUnavailableWarning(exc), stacklevel=3)
            return None
        binding = make(settings)
        self._made.append(binding)
        return binding


def _refuse_unknown(older: Mapping[str, Any]) -> None:
    for name in older:
        if name not in _IGNORED:
            import difflib
            import inspect

            known = [*inspect.signature(LollmsClient).parameters, *_IGNORED]
            close = difflib.get_close_matches(name, known, n=1)
            near = f" Did you mean {close[0]!r}?" if close else ""
            raise TypeError(f"LollmsClient() got an unexpected keyword argument {name!r}.{near}")


def _llm_class(name: str | None) -> Any:
    from lollms_modalities.discovery import read_entry_points

    if name is None:
        raise BindingNotFoundError("No language-model binding was named.", hint="Give binding_name=...")
    found = {entry.name: entry for entry in read_entry_points(_LLM_GROUP)}
    if name not in found:
        raise BindingNotFoundError(
            f"No distribution offers a language-model binding {name!r}.",
            hint=f"Installed: {', '.join(sorted(found)) or 'none'}.",
        )
    return found[name].load()
