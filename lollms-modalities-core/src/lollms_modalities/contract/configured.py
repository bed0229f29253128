"""What an instance is set to: its settings checked, shown, changed while it lives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from lollms_modalities.contract.model_life import ModelLife
from lollms_modalities.contract.running import settle
from lollms_modalities.errors import SettingsError

if TYPE_CHECKING:
    from lollms_modalities.calls.call import Call
    from lollms_modalities.settings.base import BindingSettings, CallOptions


class _Config:
    """The settings as a dict. Has no setter, so that a class may still keep a ``config`` of its own."""

    def __get__(self, binding: Configured | None, cls: type[Configured]) -> _Config | dict[str, Any]:
        from lollms_modalities.settings.forms import dump_public

        return self if binding is None else dump_public(binding.settings)


class Configured(ModelLife):
    """What has settings. A base of ``LollmsBinding``."""

    config: dict[str, Any] = _Config()  # type: ignore[assignment]
    if TYPE_CHECKING:
        # Annotations only: the classes are pydantic's, which is not imported before a binding is.
        Settings: ClassVar[type[BindingSettings]]
        Options: ClassVar[type[CallOptions]]

    @classmethod
    def settings_class(cls) -> type[BindingSettings]:
        """The pydantic class of the settings."""
        from lollms_modalities.settings.base import BindingSettings

        return getattr(cls, "Settings", BindingSettings)

    @classmethod
    def options_class(cls) -> type[CallOptions]:
        """The pydantic class of the main verb's options."""
        from lollms_modalities.settings.base import CallOptions

        return getattr(cls, "Options", CallOptions)

    @classmethod
    def shared_settings(cls) -> frozenset[str]:
        """Names of the settings that the application's shared values may fill."""
        from lollms_modalities.settings.types import is_marked

        return frozenset(n for n, f in cls.settings_class().model_fields.items() if is_marked(f, "shared"))

    @classmethod
    def with_shared(cls, shared: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
        """``config`` with the application's shared values where the class takes them and ``config`` has none.

        The shared key goes only where the shared address goes: another service must not receive it.
        """
        taken = {name: shared[name] for name in cls.shared_settings() & shared.keys()}
        if config.get("host_address", taken.get("host_address")) != taken.get("host_address"):
            taken.pop("service_key", None)
        return {**taken, **config}

    def get_settings(self, **kwargs: Any) -> list[dict[str, Any]]:
        """The settings as rows of a form, which ``set_settings`` takes back; secrets are masked.

        Each has ``name``, ``type``, ``value``, ``description``, ``kind`` (what the value is to whoever runs the
        program: "path", "program", "address", "environment", "secret", "media" or "plain"), ``nullable``, ``reload``,
        ``required``, and where they apply ``default``, ``options``, ``choices_from``, ``is_secret``, ``min``, ``max``,
        ``step``, ``pattern`` and their like: see ``settings.forms.rows_of``.
        """
        from lollms_modalities.contract.option_forms import with_choices
        from lollms_modalities.settings.forms import to_form

        return with_choices(type(self), to_form(self.settings))

    def set_settings(self, settings: Iterable[Mapping[str, Any]] | Mapping[str, Any], **kwargs: Any) -> bool:
        """Change settings: a dict, or rows of the list that ``get_settings`` gives. All or nothing; gives True.

        A masked secret stays as it was, and "" is None where None is a value. When a setting changes that the model
        depends on, the model is loaded anew, after the calls under way have ended; if that fails, the old model and the
        old settings stay.

        Raises:
            SettingsError: an unknown name or a wrong value.
            LollmsError: what the loading of the model raised.
        """
        if not isinstance(settings, Mapping):
            settings = list(settings)  # read twice below
        with self._settling:
            reload = self._holds_model and self._needs_reload(self._changed(settings))
            if not reload:
                self.settings = self._changed(settings)
                self._reap_when_idle()
                return True
        with self._alone("set_settings") as call, self._settling:
            new = self._changed(settings)
            if not self._holds_model or not self._needs_reload(new):
                self.settings = new
            else:
                self._reload(call, new)
        return True

    def _changed(self, settings: Any) -> BindingSettings:
        from lollms_modalities.settings.changing import changed

        return changed(self.settings, settings, self.binding_name)

    def _needs_reload(self, new: BindingSettings) -> bool:
        from lollms_modalities.settings.changing import differing
        from lollms_modalities.settings.types import is_marked

        fields = type(new).model_fields
        return any(is_marked(fields[name], "reload") for name in differing(self.settings, new))

    def _reload(self, call: Call, new: BindingSettings) -> None:
        self._usable(call)
        old_settings, self.settings = self.settings, new
        try:
            self._exchange()
        except BaseException as exc:
            self.settings = old_settings
            error = settle(self, call, exc)
            if error is exc:
                raise
            raise error from error.__cause__ or exc

    def _checked(self, args: tuple[Any, ...], settings: dict[str, Any]) -> BindingSettings:
        from lollms_modalities.settings.checking import validate
        from lollms_modalities.settings.forms import ordered_fields
        from lollms_modalities.settings.older import settled

        cls = self.settings_class()
        what = self._binding_name or type(self).__name__
        if args:
            names = ordered_fields(cls)
            if len(args) > len(names):
                raise TypeError(f"{type(self).__name__}() takes {len(names)} settings but {len(args)} were given")
            for name, value in zip(names, args, strict=False):
                if name in settings:
                    raise TypeError(f"{type(self).__name__}() got multiple values for setting {name!r}")
                settings[name] = value
        if cls.model_config.get("extra") == "forbid":
            settings = settled(settings, cls.model_fields, what)
        return validate(cls, settings, SettingsError, what)
