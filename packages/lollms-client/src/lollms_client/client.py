"""``LollmsClient``: one binding for each modality, made from names and settings."""

from __future__ import annotations

from lollms_modalities.errors import (
    BindingNotFoundError,
    BindingUnavailableError,
    BindingUnavailableWarning,
    LollmsError,
    SettingsError,
)

from lollms_client._verbs import Verbs

TYPE_CHECKING = False  # without importing typing, which costs more than all the rest here
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from lollms_modalities.contract.binding import LollmsBinding
    from lollms_modalities.contract.stt import LollmsSTTBinding
    from lollms_modalities.contract.tti import LollmsTTIBinding
    from lollms_modalities.contract.ttm import LollmsTTMBinding
    from lollms_modalities.contract.tts import LollmsTTSBinding
    from lollms_modalities.contract.ttv import LollmsTTVBinding
    from lollms_modalities.finding.manager import BindingManager

    Config = Mapping[str, Any]
    Names = str | Sequence[str] | None

# What a binding's config may say besides its settings: see ``BindingManager.create_binding``.
_WHERE = ("environment", "isolated", "place", "pool", "policy")
_LLM_GROUP = "lollms_client.llm_bindings"


class LollmsClient(Verbs):
    """Bindings for speech, images, transcription, music and video, of whatever engines are installed.

    The bindings are made here; their models are loaded at their first call.

    Args:
        binding_name: name of a language-model binding. Kept, and made at the first use of ``binding`` where a
            distribution offers it (entry-point group ``lollms_client.llm_bindings``).
        host_address, models_path, service_key, verify_ssl_certificate: shared by the bindings that have such a setting
            and say that it may be shared. The key goes only where the shared address goes.
        tts_binding_name, tti_binding_name, stt_binding_name, ttm_binding_name, ttv_binding_name: which binding does it;
            None for none. Of several, as in ``["kokoro", "piper"]``, the first that is to be had; the provenance of
            each result tells which were asked for and why another is used (``extra["chosen"]``).
        tts_binding_config, tti_binding_config, stt_binding_config, ttm_binding_config, ttv_binding_config: its
            settings; ``environment``, ``isolated``, ``place``, ``pool`` and ``policy`` in it say where it runs. Where
            several bindings are named, the settings of each by its name.
        tts_bindings_dir, tti_bindings_dir, stt_bindings_dir, ttm_bindings_dir, ttv_bindings_dir: an extra folder of
            installed distributions, such as ``pip install --target`` makes.
        llm_binding_name, llm_binding_config, llm_bindings_dir: as ``binding_name``, and its settings.
        binding_config: as the only binding's config, where one is asked for; else of the language model.
        older: ``tts_host_address`` and its siblings are as ``host_address``, for one binding; other keywords of
            lollms-client 1.x are ignored, and a log line says what takes their place.

    Attributes:
        unavailable: for each modality without a binding the error that says why.
        host_address: as it was given.
        service_key: as it was given.
        tts_binding_manager: what lists and makes the bindings of speech; likewise ``tti_binding_manager``,
            ``stt_binding_manager``, ``ttm_binding_manager`` and ``ttv_binding_manager``.

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
        tts_binding_name: Names = None,
        tti_binding_name: Names = None,
        stt_binding_name: Names = None,
        ttm_binding_name: Names = None,
        ttv_binding_name: Names = None,
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
        binding_config: Config | None = None,
        **older: Any,
    ) -> None:
        from lollms_client import _older

        hosts = {_older.HOSTS[name]: older.pop(name) for name in [*older] if name in _older.HOSTS}
        _older.tell(older)
        self.binding_name = binding_name or llm_binding_name
        self.host_address, self.service_key = host_address, service_key
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
        self._hosts = {modality: address for modality, address in hosts.items() if address is not None}
        from lollms_modalities.finding.managers import (
            LollmsSTTBindingManager,
            LollmsTTIBindingManager,
            LollmsTTMBindingManager,
            LollmsTTSBindingManager,
            LollmsTTVBindingManager,
        )

        self.tts_binding_manager = LollmsTTSBindingManager(tts_bindings_dir)
        self.tti_binding_manager = LollmsTTIBindingManager(tti_bindings_dir)
        self.stt_binding_manager = LollmsSTTBindingManager(stt_bindings_dir)
        self.ttm_binding_manager = LollmsTTMBindingManager(ttm_bindings_dir)
        self.ttv_binding_manager = LollmsTTVBindingManager(ttv_bindings_dir)
        wanted: dict[str, tuple[Names, Config | None]] = {
            "tts": (tts_binding_name, tts_binding_config),
            "tti": (tti_binding_name, tti_binding_config),
            "stt": (stt_binding_name, stt_binding_config),
            "ttm": (ttm_binding_name, ttm_binding_config),
            "ttv": (ttv_binding_name, ttv_binding_config),
        }
        if binding_config:
            self._place(binding_config, wanted)
        self._made: list[LollmsBinding] = []
        try:
            for modality, (name, config) in wanted.items():
                setattr(self, modality, self._make(modality, name, config))
        except BaseException:
            self.close()
            raise

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name):
            from lollms_client import _older

            if name == "llm" and "_llm" in self.__dict__:  # its name in 1.x
                try:
                    return self.binding
                except BindingNotFoundError:
                    pass  # what follows says where it is
            _older.refuse_name(name)
            return object.__getattribute__(self, name)  # for the error that Python has, of a property its own

    @classmethod
    def from_config(cls, path: str | Path | None = None, **keywords: Any) -> Self:
        """A client of the bindings that the command ``lollms`` would use.

        They are those that the configuration file names (``lollms config tts.binding piper``), with the settings and
        the environment that it says; a variable such as ``LOLLMS_TTS_BINDING`` names another.

        Args:
            path: of the file; by default the one that ``lollms config`` shows, which need not be there.
            keywords: as of ``LollmsClient``; what they say of a modality takes the place of what the file says.

        Raises:
            ConfigurationError: the file cannot be read, or says what means nothing.
            SettingsError: a wrong setting, with the line of the file; and whatever else making the bindings raises.
        """
        from lollms_client.configured import made_by_configuration

        return made_by_configuration(cls, path, keywords)

    # -- another binding ---------------------------------------------------------------------------------------------

    def update_tts_binding(self, binding_name: str | Sequence[str], config: Config | None = None) -> bool:
        """Make another binding with these settings and put it in the place of ``lc.tts``, which is closed.

        Returns:
            False where it is not to be had: a ``BindingUnavailableWarning`` says why, and the one of before stays.

        Raises:
            SettingsError: a wrong setting, and whatever else its constructor raises; the one of before stays.
        """
        return self._update("tts", binding_name, config)

    def update_tti_binding(self, binding_name: str | Sequence[str], config: Config | None = None) -> bool:
        """As ``update_tts_binding``, of ``lc.tti``."""
        return self._update("tti", binding_name, config)

    def update_stt_binding(self, binding_name: str | Sequence[str], config: Config | None = None) -> bool:
        """As ``update_tts_binding``, of ``lc.stt``."""
        return self._update("stt", binding_name, config)

    def update_ttm_binding(self, binding_name: str | Sequence[str], config: Config | None = None) -> bool:
        """As ``update_tts_binding``, of ``lc.ttm``."""
        return self._update("ttm", binding_name, config)

    def update_ttv_binding(self, binding_name: str | Sequence[str], config: Config | None = None) -> bool:
        """As ``update_tts_binding``, of ``lc.ttv``."""
        return self._update("ttv", binding_name, config)

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

    def _make(self, modality: str, name: Names, config: Config | None, stacklevel: int = 3) -> Any:
        if not name:
            self.unavailable[modality] = BindingNotFoundError(
                f"No {modality} binding was asked for.", hint=f"Give {modality}_binding_name=..."
            )
            return None
        try:
            if isinstance(name, str):
                binding = self._made_of(modality, name, config)
            else:
                binding = self._first_of(modality, list(name), config)
        except BindingUnavailableError as exc:
            import warnings

            self.unavailable[modality] = exc
            warnings.warn(BindingUnavailableWarning(exc), stacklevel=stacklevel)
            return None
        self._made.append(binding)
        self.unavailable.pop(modality, None)
        return binding

    def _made_of(self, modality: str, name: str, config: Config | None) -> Any:
        """The binding of that name. Raises ``BindingUnavailableError``, and what its constructor raises."""
        settings = dict(config or {})
        where = {word: settings.pop(word) for word in _WHERE if word in settings}
        manager: BindingManager[Any] = getattr(self, f"{modality}_binding_manager")
        return manager.maker(name, shared=self._shared_with(modality), **where)(settings)

    def _first_of(self, modality: str, names: list[str], config: Config | None) -> Any:
        """The first of several that is to be had; a wrong setting is a mistake and ends it."""
        unknown = [key for key in config or {} if key not in names]
        if unknown:
            raise SettingsError(
                f"{modality}_binding_config has {unknown[0]!r}, which is none of {', '.join(names)}.",
                hint=f"Where several bindings are named it holds the settings of each: {{{names[0]!r}: {{...}}}}.",
                names=unknown,
            )
        reasons: dict[str, str] = {}
        for name in names:
            try:
                binding = self._made_of(modality, name, (config or {}).get(name))
            except SettingsError:
                raise
            except LollmsError as exc:
                reasons[name] = str(exc)
                continue
            binding._chosen = {"asked": names, "instead_of": reasons}
            return binding
        told = " ".join(f"{name}: {reason}" for name, reason in reasons.items())
        raise BindingNotFoundError(f"None of the {modality} bindings {', '.join(names)} is to be had. {told}")

    def _shared_with(self, modality: str) -> dict[str, Any]:
        shared = dict(self._shared)
        if modality in self._hosts and self._hosts[modality] != shared.get("host_address"):
            shared["host_address"] = self._hosts[modality]
            shared.pop("service_key", None)  # which goes where the shared address goes
        return shared

    def _update(self, modality: str, name: str | Sequence[str], config: Config | None) -> bool:
        before: LollmsBinding | None = getattr(self, modality)
        binding = self._make(modality, name, config, stacklevel=4)
        if binding is None:
            if before is not None:
                self.unavailable.pop(modality)
            return False
        setattr(self, modality, binding)
        if before is not None:
            if before in self._made:
                self._made.remove(before)
            before.close()
        return True

    def _place(self, binding_config: Config, wanted: dict[str, tuple[Names, Config | None]]) -> None:
        """Find whose config a ``binding_config`` is."""
        named = [modality for modality, (name, _) in wanted.items() if name]
        if self.binding_name is not None:
            self._llm_config = {**binding_config, **self._llm_config}
        elif len(named) == 1:
            name, config = wanted[named[0]]
            wanted[named[0]] = (name, {**(config or {}), "binding_config": binding_config})
        else:
            from lollms_client import _older

            _older.warn(
                "LollmsClient was given a binding_config, which could be that of several bindings: none has it. Give "
                "tts_binding_config= or one of its siblings.",
                4,
            )


def _llm_class(name: str | None) -> Any:
    from lollms_modalities.entry_points.metadata import read_entry_points

    if name is None:
        raise BindingNotFoundError("No language-model binding was named.", hint="Give binding_name=...")
    found = {entry.name: entry for entry in read_entry_points(_LLM_GROUP)}
    if name not in found:
        raise BindingNotFoundError(
            f"No distribution offers a language-model binding {name!r}.",
            hint=f"Installed: {', '.join(sorted(found)) or 'none'}. Those of 1.x are in lollms-client<2.",
        )
    return found[name].load()
