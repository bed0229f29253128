"""What a binding can be set to and what one call can vary, as pydantic models.

Importing this module imports pydantic; nothing in the package does so before the first binding is loaded.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, create_model, model_validator
from pydantic_core import CoreSchema

from lollms_modalities.settings.fields import setting
from lollms_modalities.settings.limits import narrowest
from lollms_modalities.settings.types import empty_is_none, is_nullable

try:
    create_model("FirstModel")
except Exception:
    # pydantic looks for plug-ins of its own when its first model is made, and passes on what reading one distribution's
    # damaged metadata raises. It looks once: from here on it does without.
    logging.getLogger(__name__).warning("The metadata of a distribution cannot be read.", exc_info=True)


# Settings that programs of 1.x fill from what may be empty.
_NONE_IS_LEFT_OUT = ("device", "model_name", "model_id_or_path", "host_address", "verify_ssl_certificate")


def _expanded(value: Any) -> Any:
    if isinstance(value, Path):
        return Path(os.path.expanduser(value))  # as it was where there is no such user
    if type(value) is dict:
        return {name: _expanded(part) for name, part in value.items()}
    return type(value)(map(_expanded, value)) if type(value) in (list, tuple, set, frozenset) else value


class _Fields(BaseModel):
    """What both have: of several limits of one kind, a type's and a field's own, the narrowest holds."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        # Pydantic would let one take the place of the other; which one differs between its versions.
        for field in cls.model_fields.values():
            field.metadata[:] = narrowest(field.metadata)
        return handler(source)


class BindingSettings(_Fields):
    """Base of a binding's ``Settings``. Unknown names are refused, secrets (``SecretStr``) are masked when shown."""

    model_config = ConfigDict(
        extra="forbid", validate_default=False, hide_input_in_errors=True, protected_namespaces=(), frozen=True
    )

    keep_alive: float | None = setting(
        None, description="Seconds without a call after which the model is unloaded; never when empty.", ge=0
    )

    @model_validator(mode="before")
    @classmethod
    def _as_given(cls, values: Any) -> Any:
        """As forms and 1.x gave what they had nothing for.

        "" is None where None is a value. 1.x gave None for what was not given, so ``device=None`` is the default, which
        is auto.
        """
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        given: dict[Any, Any] = {}
        for name, value in values.items():
            field = fields.get(name)
            if field is not None and type(value) is str and not value and empty_is_none(field):
                value = None
            if value is None and field is not None and name in _NONE_IS_LEFT_OUT and not is_nullable(field):
                continue
            given[name] = value
        return given

    @model_validator(mode="after")
    def _at_home(self) -> Self:
        """``~`` in a path is the home folder where the binding runs: no shell has seen what a file says."""
        self.__dict__.update({name: _expanded(value) for name, value in self.__dict__.items()})
        return self


class CallOptions(_Fields):
    """Base of a binding's ``Options``: what one call may vary. Unknown names are refused, and numbers that are none.

    An option that takes infinity or NaN says so: ``option(..., allow_inf_nan=True)``.
    """

    model_config = ConfigDict(
        extra="forbid", validate_default=False, protected_namespaces=(), frozen=True, allow_inf_nan=False
    )
