"""An instance and the calls that hold it: entering, leaving, work beside the engine, the errors that callers see."""

from __future__ import annotations

from abc import ABC
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from lollms_modalities.calls.call import CURRENT, Call
from lollms_modalities.calls.locks import CallLock
from lollms_modalities.contract.running import not_an_end, settle
from lollms_modalities.errors import BindingClosedError

if TYPE_CHECKING:
    from lollms_modalities.calls.cancelling import CancelToken
    from lollms_modalities.calls.progress import ProgressCallback
    from lollms_modalities.errors import LollmsError
    from lollms_modalities.settings.base import BindingSettings


class Holding(ABC):
    """What calls hold. A base of ``LollmsBinding``."""

    concurrency: ClassVar[int] = 1
    settings: BindingSettings
    _binding_name: str | None
    _chosen: Mapping[str, Any] | None = None  # of several that were named; every result's provenance tells it
    _closed = False  # close was asked for

    def __init__(self) -> None:
        self._lock = CallLock(self.concurrency)

    if TYPE_CHECKING:

        @property
        def binding_name(self) -> str: ...

    def translate_error(self, error: Exception) -> LollmsError | None:
        """The typed error for one of the engine's; None leaves it a ``GenerationError``. For authors."""
        return None

    def _leave(self, call: Call) -> None:
        """Let go of all. Each part may be done twice: whoever was interrupted here, or on the way, asks again."""
        self._let_go(call)
        call.finish()
        self._left()

    def _let_go(self, call: Call) -> None:
        """Let go of the instance, while the call goes on without it."""
        if call._ends:
            call.run_ends()
        for lock in reversed(call.locks):
            lock.release(call)
        call.locks.clear()

    def _hold(self, call: Call, lock: CallLock, *, exclusive: bool = False) -> None:
        # Noted first, so that nothing can come between holding it and knowing that.
        call.locks.append(lock)
        lock.acquire(call, exclusive=exclusive)

    def _closed_error(self, call: Call) -> BindingClosedError:
        return BindingClosedError(
            f"{self.binding_name}: {call.verb} was asked for after close().", hint="Make a new binding."
        )

    @contextmanager
    def task(
        self,
        name: str,
        *,
        progress: bool | ProgressCallback | None = None,
        cancel: CancelToken | None = None,
        timeout: float | None = None,
    ) -> Iterator[Call]:
        """Work beside the engine, such as a download: a call that holds nothing, but reports and can be stopped."""
        call = Call(name, self, None, CURRENT.get())
        call.control(progress, cancel, timeout)
        with self._within(call):
            yield call

    @contextmanager
    def _alone(self, verb: str) -> Iterator[Call]:
        """Hold the instance with no call under way."""
        call = Call(verb, self, None, CURRENT.get())
        with self._during(call, exclusive=True):
            yield call

    @contextmanager
    def _during(self, call: Call, *, exclusive: bool) -> Iterator[None]:
        with self._within(call):
            self._hold(call, self._lock, exclusive=exclusive)
            if self._closed and call.verb != "close":
                raise self._closed_error(call)
            yield

    @contextmanager
    def _within(self, call: Call) -> Iterator[None]:
        before = CURRENT.get()
        try:
            CURRENT.set(call)
            call.begin()
            call.check()
            yield
        except BaseException as exc:
            error = settle(self, call, exc)
            if error is not exc:
                error = not_an_end(call, error)  # which this generator could not raise
            if error is exc:
                raise
            raise error from error.__cause__ or exc
        finally:
            # Written out, as in ``running``: an interrupt at the entry of a function that does it would leave all held.
            try:
                CURRENT.set(before)
            finally:
                try:
                    self._leave(call)
                except BaseException:
                    self._leave(call)
                    raise

    def _left(self) -> None:  # noqa: B027 - nothing more to do here
        """A call has let go of the instance."""

    def _without_secrets(self, text: str) -> str:
        from lollms_modalities.masking import MASK
        from lollms_modalities.settings.shown import secrets_in

        for secret in sorted(secrets_in(self.settings), key=len, reverse=True):
            text = text.replace(secret, MASK) if secret else text
        return text

    def _check_content(self, kind: str, value: Any) -> Any:
        """Check the first argument of a verb; the modality's ABC knows what it is."""
        return value

    def _tidy(self, call: Call, content: Any, result: Any) -> Any:
        """The engine code's result as every caller may rely on it; the modality's ABC knows how that is."""
        return result

    def _tidy_item(self, call: Call, content: Any, item: Any) -> list[Any]:
        """The same for an item of a stream, which may become several."""
        return [item]
