"""What a failure is over HTTP: one table from our errors to status, type and code.

OpenAI's SDKs show ``error.message`` alone, and ask again twice after 408, 409, 429 and every 5xx unless the header
``x-should-retry`` says no. An engine that failed is not asked to fail twice more.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from lollms_modalities import (
    AudioFileNotFoundError,
    BindingClosedError,
    BindingUnavailableError,
    BusyError,
    CallCancelled,
    CallTimeout,
    ConfigurationError,
    LicenseNotAcceptedError,
    LollmsError,
    MediaError,
    ModelNotFoundError,
    OptionError,
    PluginRefused,
    SaveError,
    ServiceError,
    ServiceRateLimitError,
    SettingsError,
    UnsupportedError,
    VoiceNotFoundError,
    WorkerRestartError,
)

from lollms_server.jobs.errors import JobLost, JobNotFound, JobUnfinished, KeyReused, StoreLost
from lollms_server.room.errors import (
    CallNotFound,
    Ending,
    KeyRefused,
    Later,
    ModelNotServed,
    NotAllowed,
)

NAMED = "upload-"  # with which the name of the file begins that an upload is kept in
_INVALID, _SERVER = "invalid_request_error", "server_error"
_LONGEST = 2000  # characters of a message
# A path of two folders at least, on either kind of system; not what follows "http:" or stands inside of a word.
_PATHS = re.compile(r"(?<![\w:/.\\-])(?:~?/|[A-Za-z]:\\|\\\\)(?:[^\s/\\'\"<>|:;,]+[/\\])+")
# The file that an upload is kept in, which whoever sent it calls otherwise.
_UPLOADS = re.compile(rf"['\"]?(?:[^\s'\"]*[/\\])?{NAMED}[0-9a-f]{{32}}['\"]?")
# A key of ours holds a digit or a capital, which no name of a distribution does, such as lollms-faster-whisper.
_KEYS = re.compile(r"\b(?:sk|hf|lollms(?=[a-z_-]*[A-Z0-9]))[-_][A-Za-z0-9_-]{12,}|(?i:bearer)\s+\S+")


class Refused(LollmsError, ValueError):
    """A request that the surface itself refuses.

    Attributes:
        status: the HTTP status.
        code: short name of what is wrong.
        param: the field that it is about, or None.
        retry_after: seconds after which asking again makes sense, or None.
        headers: that belong to the answer.
    """

    param: str | None

    def __init__(
        self, message: str, *, status: int = 400, code: str = "invalid_request", param: str | None = None,
        hint: str = "", retry_after: float | None = None, headers: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, hint=hint, code=code, param=param)
        self.status = status
        self.retry_after = retry_after
        self.headers = dict(headers or {})


class Row(NamedTuple):
    """How errors of a class are told: ``again`` is whether a client that retries by itself should."""

    error: type[BaseException]
    status: int
    type: str
    code: str
    again: bool = False


# The first that fits counts.
TABLE = (
    Row(KeyRefused, 401, "authentication_error", "invalid_api_key"),
    Row(NotAllowed, 403, "permission_error", "not_allowed"),
    Row(ModelNotServed, 404, _INVALID, "model_not_found"),
    Row(CallNotFound, 404, _INVALID, "call_not_found"),
    Row(JobNotFound, 404, _INVALID, "job_not_found"),
    Row(JobUnfinished, 404, _INVALID, "not_completed", again=True),
    Row(KeyReused, 422, _INVALID, "idempotency_key_reused"),
    Row(JobLost, 500, _SERVER, "job_lost"),
    Row(StoreLost, 503, _SERVER, "store_lost", again=True),
    Row(Ending, 503, _SERVER, "ending", again=True),
    Row(Later, 429, "rate_limit_error", "rate_limit_exceeded", again=True),
    Row(OptionError, 400, _INVALID, "invalid_option"),
    Row(SettingsError, 400, _INVALID, "invalid_setting"),
    Row(MediaError, 400, _INVALID, "invalid_media"),
    Row(AudioFileNotFoundError, 400, _INVALID, "invalid_media"),
    Row(VoiceNotFoundError, 404, _INVALID, "voice_not_found"),
    Row(ModelNotFoundError, 404, _INVALID, "model_not_found"),
    Row(LicenseNotAcceptedError, 403, _INVALID, "license_not_accepted"),
    Row(UnsupportedError, 400, _INVALID, "unsupported"),
    Row(CallCancelled, 499, _INVALID, "cancelled"),
    Row(CallTimeout, 504, _SERVER, "timeout"),
    Row(BindingClosedError, 503, _SERVER, "unloading", again=True),
    Row(BusyError, 503, _SERVER, "busy", again=True),
    Row(WorkerRestartError, 503, _SERVER, "restarting", again=True),
    Row(BindingUnavailableError, 503, _SERVER, "binding_unavailable"),
    Row(SaveError, 507, _SERVER, "insufficient_storage"),
    Row(ServiceRateLimitError, 429, "rate_limit_error", "rate_limit_exceeded", again=True),
    Row(ServiceError, 502, _SERVER, "upstream_failed"),
    Row(ConfigurationError, 500, _SERVER, "misconfigured"),
    Row(PluginRefused, 500, _SERVER, "plugin_refused"),
    Row(LollmsError, 500, _SERVER, "engine_failed"),
)
_PARAMS = {"invalid_media": "file", "voice_not_found": "voice", "model_not_found": "model"}


class Told(NamedTuple):
    """An error as it is answered."""

    status: int
    body: dict[str, Any]
    headers: dict[str, str]


def told(error: BaseException, *, ours: bool = False, fields: Mapping[str, str] | None = None) -> Told:
    """The answer to an error.

    Args:
        fields: by what field of the surface the caller knows an option.
        ours: whether the error goes along as JSON values, so that our own client raises the same.
    """
    if isinstance(error, Refused):
        kind = _INVALID if error.status < 500 else _SERVER
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(error.status, kind)
        row = Row(Refused, error.status, kind, vars(error)["code"], again=error.retry_after is not None)
        message = cut(str(error))
    elif isinstance(error, LollmsError):
        row = next(row for row in TABLE if isinstance(error, row.error))
        message = masked(str(error))
    else:
        row = Row(Exception, 500, _SERVER, "internal_error")
        message = "The server failed, which is a fault of its own. Its log says more, under the request's id."
    known = vars(error) if isinstance(error, LollmsError) else {}
    names = known.get("names")
    param = known.get("param") or (names[0] if isinstance(names, list) and names else _PARAMS.get(row.code))
    if param is not None and fields is not None:
        param = fields.get(param, param)
    body: dict[str, Any] = {
        "error": {"message": message, "type": row.type, "param": param, "code": row.code},
        "detail": message,
    }
    if ours and isinstance(error, LollmsError) and _is_known_elsewhere(error):
        body["error"]["lollms"] = clean(error.to_json())
    return Told(row.status, body, _headers(error, row))


def _is_known_elsewhere(error: LollmsError) -> bool:
    """Whether its class, or one that says more than ``LollmsError``, is the core's: what a client can raise, too."""
    nearest = next(cls for cls in type(error).__mro__ if cls.__module__ == LollmsError.__module__)
    return nearest is not LollmsError


def _headers(error: BaseException, row: Row) -> dict[str, str]:
    headers = dict(error.headers) if isinstance(error, Refused) else {}
    wait = getattr(error, "retry_after", None)
    if row.again:
        headers["retry-after"] = str(max(1, math.ceil(wait) if isinstance(wait, (int, float)) else 1))
    elif row.status >= 500 or row.status in (408, 409, 429):
        headers["x-should-retry"] = "false"
    if row.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers


def masked(text: str) -> str:
    """What an engine says, without the folders and keys of the machine that it runs on, cut."""
    return cut(_KEYS.sub("**********", _PATHS.sub(".../", _UPLOADS.sub("the upload", text))))


def cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def clean(value: Any) -> Any:
    """JSON values of an error, without the folders and keys of the machine."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, dict):
        return {key: held if key == "types" else clean(held) for key, held in value.items() if key != "path"}
    return [clean(held) for held in value] if isinstance(value, (list, tuple)) else value
