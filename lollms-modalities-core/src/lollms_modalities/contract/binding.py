"""What the five kinds of binding share. Who a binding is stands here, the rest in the bases of the class.

An author derives from one of the five ABCs, declares ``Settings`` and ``Options``, says how the model is loaded, and
writes the engine call, which ``verbs`` wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from lollms_modalities.contract.configured import Configured
from lollms_modalities.contract.identity import description_of, find_origin, signature_of, version_of
from lollms_modalities.contract.plan import CONTROLS, WHOLE_MEDIA, Plan
from lollms_modalities.contract.verbs import Verb, adopt
from lollms_modalities.entry_points.refs import Origin
from lollms_modalities.errors import SettingsError, UnsupportedError
from lollms_modalities.settings.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    from lollms_modalities.calls.step import Step
    from lollms_modalities.contract.capabilities import Capabilities
    from lollms_modalities.settings.base import BindingSettings


class LollmsBinding(Configured):
    """Base of the five ABCs. Give it settings as keyword arguments, or in the order in which ``Settings`` has them.

    Attributes:
        modality: "tts", "tti", "stt", "ttm" or "ttv".
        engine: name of the distribution that does the work, such as "piper-tts"; its version goes into provenance.
        concurrency: how many calls may run at once on one instance.
        settings: the checked settings; immutable, ``set_settings`` puts others in their place.
        config: a copy of them as a dict of JSON values, to read; secrets are masked.
    """

    modality: ClassVar[str] = ""
    engine: ClassVar[str] = ""
    _verbs: ClassVar[dict[str, Verb]] = {}
    _plans: ClassVar[dict[Callable[..., Any], Plan]] = {}
    _plan_class: ClassVar[type[Plan]] = Plan
    _origin: ClassVar[Origin | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._origin = None
        adopt(cls)
        if "Settings" in cls.__dict__:
            cls.__signature__ = signature_of(cls)  # type: ignore[attr-defined]

    def __init__(self, *args: Any, binding_name: str | None = None, **settings: Any) -> None:
        switch_off_telemetry()
        self._binding_name = binding_name
        self.settings = self._checked(args, settings)
        super().__init__()

    @classmethod
    def from_settings(cls, settings: BindingSettings) -> Self:
        """Make a binding from a ``Settings`` object, which a type checker can check."""
        from lollms_modalities.settings.forms import dump_secrets

        if not isinstance(settings, cls.settings_class()):
            raise SettingsError(
                f"{cls.__name__} was given {type(settings).__qualname__}.",
                hint=f"Give {cls.settings_class().__qualname__}.",
            )
        return cls(**dump_secrets(settings))

    if not TYPE_CHECKING:  # a type checker would take any name for an attribute

        def __getattr__(self, name: str) -> Any:
            from lollms_modalities.settings.older import refuse_name

            refuse_name(self, name)
            return object.__getattribute__(self, name)  # for the error that Python has, of a property its own

    # -- who it is ---------------------------------------------------------------------------------------------------

    @property
    def binding_name(self) -> str:
        """Canonical name of the entry point; the class's name where no installed distribution offers the class."""
        return self._binding_name or self.origin().name

    @classmethod
    def origin(cls) -> Origin:
        """The distribution whose entry point names this class."""
        if cls._origin is None:
            cls._origin = find_origin(cls)
        return cls._origin

    @staticmethod
    def engine_version(engine: str) -> str:
        """Version of the engine's distribution; "" where it is not installed."""
        return version_of(engine) if engine else ""

    @property
    def capabilities(self) -> Capabilities:
        """What this binding can do. Never loads a model. A class attribute of the same name may take its place."""
        from lollms_modalities.contract.capabilities import Capabilities

        return Capabilities()

    def supports(self, name: str) -> bool:
        """Whether a call takes this option ("speed"), or the binding has this capability ("streaming") or this verb
        ("upscale_image"; "edit_image" where it has ``edit_images``).
        """
        if name in self._verbs or (name == "edit_image" and "edit_images" in self._verbs):
            return True
        if name in self.options_class().model_fields or name in CONTROLS:
            return True
        if name in ("output_path", "output_format"):
            return any(v.returns in WHOLE_MEDIA and not v.stream for v in self._verbs.values())
        if any(v.options is not None and name in v.options.model_fields for v in self._verbs.values()):
            return True
        if any(name in self._common_options(v) for v in self._verbs.values()):
            return True
        return bool(getattr(self.capabilities, name, False))

    @classmethod
    def _common_options(cls, spec: Verb) -> tuple[str, ...]:
        """Options of a verb that the core itself sees to where the binding does not declare them."""
        return ()

    @classmethod
    def _common_media(cls, spec: Verb) -> tuple[str, ...]:
        """Those of them that are media, or hold media."""
        return ()

    def _step_of(self, content: Any, arguments: dict[str, Any], common: Mapping[str, Any]) -> Step | None:
        """What is to be done to the result for such options, where anything is.

        Args:
            content: the verb's first argument.
            arguments: those of the engine code, which may be changed.
            common: of the options in question those that were given and that the engine code does not take.

        Raises:
            OptionError, UnsupportedError: that cannot be done.
        """
        return None

    @classmethod
    def describe(cls) -> dict[str, Any]:
        """The class as JSON values: settings and options as JSON schemas, verbs, engine. Makes no instance."""
        return description_of(cls, LollmsBinding)

    @classmethod
    def verbs(cls) -> dict[str, Verb]:
        """What is known of each verb, by its name: its ``kind``, what it gives, what it takes. Makes no instance."""
        return dict(cls._verbs)

    def get_options(self, verb: str = "") -> list[dict[str, Any]]:
        """What a call of that verb may vary, as rows of a form like those of ``get_settings``. Loads no model.

        Args:
            verb: its name; "" for the first of the modality, such as ``generate_audio``.

        Returns:
            The documented arguments but the first, then the options. ``value`` is what holds where a call leaves one
            out.

        Raises:
            OptionError: there is no such verb.
        """
        from lollms_modalities.contract.option_forms import option_rows

        return option_rows(self, verb)

    def list_models(self, **kwargs: Any) -> list[str]:
        """Names of the models that the binding knows; empty where there is no choice."""
        return []

    def __reduce_ex__(self, protocol: object) -> Any:
        raise UnsupportedError(
            f"{self.binding_name}: a binding cannot be pickled or copied, since its model and its locks cannot.",
            hint="Give the other process its name and its settings, and make one there (create_binding).",
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.binding_name!r}{' closed' if self._closed else ''}>"
