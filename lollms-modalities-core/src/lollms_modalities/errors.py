"""One exception tree. Each error is also of the built-in kind that a caller would catch without knowing us.

An error says what was asked and what was found (``message``) and what to do about it (``hint``). All of them copy,
pickle, and can be rebuilt from ``to_json()``, so that an error raised in another process arrives as itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lollms_modalities.masking import longest_first, masked

TYPE_CHECKING = False  # typing costs more to import than all that `import lollms_client` needs
if TYPE_CHECKING:
    from typing import Any, Self


class LollmsError(Exception):
    """Base of every error that this project raises.

    Args:
        message: what was asked and what was found instead.
        hint: what the reader can do about it; may be empty.
        fields: facts a program may want, one attribute each. JSON values only.

    Attributes:
        remote_type: qualified name of the class that another process raised and that this one does not have, else "".
    """

    message: str
    hint: str
    remote_type: str

    def __init__(self, message: str = "", *, hint: str = "", **fields: Any) -> None:
        message = _printable(message)
        super().__init__(message)
        self.message = message
        self.hint = _printable(hint)
        self.remote_type = ""
        self._take(fields)

    def _take(self, fields: Mapping[str, Any]) -> None:
        self.__dict__.update({k: _printable(v) if isinstance(v, str) else v for k, v in fields.items()})
        for name in ("name", "path"):
            if name in fields and isinstance(self, ImportError):
                setattr(self, name, fields[name])  # which has slots of these names, that hide the dict's

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Callable[..., LollmsError], tuple[Any, ...]]:
        # A plain call would lose keyword fields, and OSError's own __reduce__ rearranges them.
        return _rebuild, (type(self), dict(self.__dict__), self.__cause__)

    def to_json(self) -> dict[str, Any]:
        """The error as JSON values; ``from_json`` makes it again."""
        fields = {k: v for k, v in self.__dict__.items() if not k.startswith("__") and _is_json(v)}
        types = [f"{c.__module__}.{c.__qualname__}" for c in type(self).__mro__ if issubclass(c, LollmsError)]
        return {"types": types, "fields": fields}

    def hide(self, secrets: Iterable[str]) -> Self:
        """Mask these words in the message, the hint and every field; gives the error itself."""
        words = longest_first(secrets)
        if words:
            for name, value in list(self.__dict__.items()):
                if not name.startswith("__") and name != "remote_type":
                    self._take({name: masked(value, words)})
            self.args = tuple(masked(arg, words) for arg in self.args)
        return self

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> LollmsError:
        """The error that ``to_json`` described, as the nearest class of it that is known here.

        When the class itself is unknown, ``remote_type`` names it.
        """
        known = {f"{c.__module__}.{c.__qualname__}": c for c in _tree(LollmsError)}
        types = list(data["types"])
        cls = next((known[name] for name in types if name in known), LollmsError)
        fields = dict(data["fields"])
        if types and types[0] not in known and not fields.get("remote_type"):
            fields["remote_type"] = types[0]
        return _rebuild(cls, fields, None)


def _printable(text: str) -> str:
    """``text``, with halves of surrogate pairs written out: no encoding of text can hold them."""
    if not isinstance(text, str) or text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode()


def _rebuild(cls: type[LollmsError], fields: Mapping[str, Any], cause: BaseException | None) -> LollmsError:
    message = _printable(str(fields.get("message", "")))
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error._take(fields)
    if cause is not None:
        error.__cause__ = cause
    return error


def _tree(cls: type[LollmsError]) -> list[type[LollmsError]]:
    return [cls, *(d for sub in cls.__subclasses__() for d in _tree(sub))]


def _is_json(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_json(v) for v in value)
    if isinstance(value, dict):
        return all(isinstance(k, str) and _is_json(v) for k, v in value.items())
    if isinstance(value, int):
        return value.bit_length() <= 10_000  # of much wider ones Python makes no text
    return value is None or isinstance(value, (str, float))


class BindingUnavailableError(LollmsError):
    """A binding that was named cannot be had. Its four kinds say why."""


class BindingNotFoundError(BindingUnavailableError, LookupError):
    """No installed distribution offers a binding of that name."""


class BindingIncompatibleError(BindingUnavailableError, ImportError):
    """The binding's distribution needs another version of the core."""


class BindingDependencyError(BindingUnavailableError, ImportError):
    """A package that is needed is missing, or its version does not fit."""


class BindingBrokenError(BindingUnavailableError, ImportError):
    """The binding fails when it is imported, or what its entry point names is no binding."""


class SettingsError(LollmsError, ValueError):
    """A setting is unknown or has a wrong value."""


class OptionError(LollmsError, ValueError):
    """An option or argument of a call is unknown or has a wrong value, or a text holds nothing to say."""


class MediaError(LollmsError, ValueError):
    """Media that was given is not what it should be."""


class SaveError(LollmsError, OSError):
    """A file cannot be written: no room, no right, a reader that went away. Nothing of it is left."""


class ModelNotFoundError(LollmsError, FileNotFoundError):
    """The model that was named is not there."""


class AudioFileNotFoundError(LollmsError, FileNotFoundError):
    """The audio file that was named is not there."""


class VoiceNotFoundError(LollmsError, LookupError):
    """The voice that was named is not there."""


class VoiceExistsError(OptionError):
    """There is a voice of that name already."""


class LicenseNotAcceptedError(LollmsError, PermissionError):
    """The model has a licence that its user must accept first."""


class BusyError(LollmsError, RuntimeError):
    """The binding is held by the asker itself, so that waiting for it would never end."""


class BindingClosedError(LollmsError, RuntimeError):
    """The binding was closed before this was asked."""


class PluginRefused(LollmsError, RuntimeError):
    """A plug-in refuses a call or its result.

    Attributes:
        plugin: its name.
        result: what the engine made, where it had made something: never put in a file, and not in ``to_json``.
        sent: how many items of a stream, or bytes of an encoded one, had gone out before.
    """

    def __init__(
        self, message: str = "", *, hint: str = "", plugin: str = "", result: Any = None, sent: int = 0, **fields: Any
    ) -> None:
        super().__init__(message, hint=hint, **fields)
        self.plugin = plugin
        self.result = result
        self.sent = sent


class GenerationError(LollmsError, RuntimeError):
    """The engine failed; ``__cause__`` is its own exception."""


class CallCancelled(LollmsError, RuntimeError):
    """The call was cancelled."""


class CallTimeout(LollmsError, TimeoutError):
    """The call took longer than its ``timeout``."""


class ServiceError(LollmsError, ConnectionError):
    """A service could not be reached or answered with a failure.

    Attributes:
        status: the HTTP status, or None where there was no answer.
        retryable: whether asking again may succeed.
        retry_after: seconds the service asked to wait, or None.
    """

    def __init__(
        self,
        message: str = "",
        *,
        hint: str = "",
        status: int | None = None,
        retryable: bool = False,
        retry_after: float | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(message, hint=hint, **fields)
        self.status = status
        self.retryable = retryable
        self.retry_after = retry_after


class ServiceAuthError(ServiceError):
    """The service refused the credentials, or wants some."""


class ServiceRateLimitError(ServiceError):
    """The service asks to slow down, or a quota is used up."""


class ServiceResponseError(ServiceError):
    """The service answered something that cannot be used."""


class UnsupportedError(LollmsError, NotImplementedError):
    """The server, model or engine cannot do what was asked."""


class OlderNameError(UnsupportedError, AttributeError):
    """Something that lollms-client 1.x had under that name and that is not here; it says what takes its place."""


class WorkerCrashedError(LollmsError, RuntimeError):
    """The process that ran the binding ended before it answered."""


class WorkerRestartError(WorkerCrashedError):
    """Workers were lost one after another, so that the next is not started yet. Nothing of the call was run.

    Attributes:
        retry_after: seconds after which one may be started.
    """

    retry_after: float


class WorkerTimeoutError(CallTimeout, WorkerCrashedError):
    """A call was out of time and did not stop, so that its process was killed."""


class PlaceError(LollmsError, ConnectionError):
    """The place where a binding is to run cannot be reached, or nothing can be started there.

    Attributes:
        place: its address or name.
        reason: "address" (no such host), "unreachable" (nobody listens, or nobody answers), "identity" (it is not known
            to be the host that is meant), "authentication", "program" (a program is missing, here or there), "answer"
            (something else answers than a worker).
    """

    def __init__(
        self, message: str = "", *, hint: str = "", place: str = "", reason: str = "unreachable", **fields: Any
    ) -> None:
        super().__init__(message, hint=hint, **fields)
        self.place = place
        self.reason = reason


class EnvironmentBuildError(LollmsError, RuntimeError):
    """An environment could not be made or changed. Nothing of it is left, and one that was there before still is.

    Attributes:
        reason: "recipe", "python", "requirements", "network", "disk", "build", "check", "busy", "exists", "installer".
        output: the last that the installer printed, where one ran.
    """

    def __init__(
        self, message: str = "", *, hint: str = "", reason: str = "installer", output: str = "", **fields: Any
    ) -> None:
        super().__init__(message, hint=hint, **fields)
        self.reason = reason
        self.output = output


class BindingUnavailableWarning(UserWarning):
    """Says why ``create_binding`` gave None; ``error`` is what ``require_binding`` would have raised."""

    def __init__(self, error: LollmsError) -> None:
        super().__init__(str(error))
        self.error = error


class DuplicateBindingWarning(UserWarning):
    """Two distributions claim one binding name; the message names both and the one that is used."""


class MediaWarning(UserWarning):
    """A part of a recording is damaged and was left out."""


class EnvironmentUsedWarning(UserWarning):
    """A binding that is installed here runs in an environment, since what it requires clashes with what is here."""


class OlderKeywordWarning(UserWarning):
    """Something that lollms-client 1.x did when it was given a keyword does not happen; the message says what to do."""
