"""Errors as a session's client is told them: as classes that it has, without the server's folders and keys."""

from __future__ import annotations

from typing import Any

from lollms_modalities import (
    BindingNotFoundError,
    ConfigurationError,
    GenerationError,
    LollmsError,
    OptionError,
    ServiceAuthError,
    ServiceError,
    ServiceRateLimitError,
    UnsupportedError,
)

from lollms_server.room.errors import Ending, KeyRefused, Later, ModelNotServed, NotAllowed
from lollms_server.web.errors import Refused, clean


def told(error: LollmsError) -> dict[str, Any]:
    """The error as JSON values."""
    found: dict[str, Any] = clean(_known(error).to_json())
    return found


def _known(error: LollmsError) -> LollmsError:
    """The error as one of the core's, which is what a client can raise."""
    message, hint = error.message, error.hint
    wait = getattr(error, "retry_after", None)
    if isinstance(error, KeyRefused):
        return ServiceAuthError(message, hint=hint, status=401)
    if isinstance(error, NotAllowed):
        return ServiceAuthError(message, hint=hint, status=403)
    if isinstance(error, ModelNotServed):
        return BindingNotFoundError(message, hint=hint)
    if isinstance(error, Ending):
        return ServiceError(message, hint=hint, status=503, retryable=True, retry_after=wait)
    if isinstance(error, Later):
        return ServiceRateLimitError(message, hint=hint, status=429, retryable=True, retry_after=wait)
    if isinstance(error, Refused):
        if error.status == 404:
            return UnsupportedError(message, hint=hint)
        if error.status >= 500:
            return ServiceError(message, hint=hint, status=error.status)
        param = vars(error).get("param")
        return OptionError(message, hint=hint, names=[param] if param else [])
    if isinstance(error, ConfigurationError):
        return GenerationError("The server is misconfigured. Its log says more.")
    return error
