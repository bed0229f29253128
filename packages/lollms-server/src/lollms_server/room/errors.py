"""What the room refuses, as errors of the one tree."""

from __future__ import annotations

from lollms_modalities import LollmsError


class ModelNotServed(LollmsError, LookupError):
    """No model of that name is served to this caller. The hint names the nearest."""


class CallNotFound(LollmsError, LookupError):
    """No call of that id is under way, or it is another's."""


class KeyRefused(LollmsError, PermissionError):
    """No key, or an unknown one; or a caller who may not come without one."""


class NotAllowed(LollmsError, PermissionError):
    """The caller is known and may not do that."""


class Later(LollmsError, RuntimeError):
    """Not now.

    Attributes:
        retry_after: seconds after which it is worth asking again, estimated from what was measured.
    """

    retry_after: float


class QueueFull(Later):
    """As many calls of that model wait as may wait, or as many of the caller's are under way as may be."""


class QuotaSpent(Later):
    """The key has used its engine seconds of this UTC day."""


class Ending(Later):
    """The server ends, or the model was taken out of the configuration: nothing new is begun."""
