"""Errors and warnings that cross between two processes: as JSON values, and made again from these."""

from __future__ import annotations

import builtins
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lollms_modalities import errors
from lollms_modalities.calls.failures import said
from lollms_modalities.errors import GenerationError, LollmsError

if TYPE_CHECKING:
    from lollms_modalities.workers.protocol import Json


class RemoteTraceback(Exception):
    """The cause of an error that another process raised: the traceback that it had there, as text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n\n{self.text.rstrip()}"


def pack_error(error: BaseException, clean: Callable[[str], str]) -> Json:
    """An error as JSON values. ``clean`` takes the secrets out of its traceback."""
    text = clean("".join(traceback.format_exception(error)))
    if isinstance(error, LollmsError):
        return {"error": _cleaned(error.to_json(), clean), "traceback": text}
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    told = GenerationError(clean(f"The worker failed with {said(error)}"), remote_type=name)
    return {"error": told.to_json(), "traceback": text}


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {k: _cleaned(v, clean) for k, v in value.items()}
    return [_cleaned(v, clean) for v in value] if isinstance(value, (list, tuple)) else value


def unpack_error(message: Json) -> LollmsError:
    """The error that ``pack_error`` made JSON values of; its cause is the traceback that it had there."""
    error = LollmsError.from_json(message["error"])
    error.__cause__ = RemoteTraceback(str(message.get("traceback", "")))
    return error


def pack_warning(category: type[Warning], text: str) -> Json:
    """A warning as JSON values; one whose class is neither Python's nor ours as a ``UserWarning``."""
    known = category.__module__ in ("builtins", errors.__name__)
    return {"category": category.__name__ if known else "UserWarning", "message": text}


def unpack_warning(message: Json) -> Warning:
    """The warning that ``pack_warning`` made JSON values of; one of an unknown class is a ``UserWarning``."""
    name, text = str(message["category"]), str(message["message"])
    found = getattr(builtins, name, None) or getattr(errors, name, None)
    if not isinstance(found, type) or not issubclass(found, Warning):
        return UserWarning(text)
    if issubclass(found, errors.BindingUnavailableWarning):
        return found(LollmsError(text))
    made: Warning = found(text)
    return made
