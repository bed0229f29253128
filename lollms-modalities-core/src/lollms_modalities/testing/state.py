"""What an instance keeps, and what it shares."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from lollms_modalities.calls.cancelling import CancelToken
from lollms_modalities.errors import CallCancelled, LollmsError
from lollms_modalities.settings.base import BindingSettings
from lollms_modalities.settings.types import is_marked
from lollms_modalities.testing.contract import applies, contract
from lollms_modalities.testing.suite import Suite

# Settings of where and how fast an engine runs: another value may want another machine, or a server that is not there.
_OF_MACHINES = ("timeout", "thread", "cuda", "gpu", "device", "compute", "dtype", "protocol", "verify", "retries",
                "loaded", "local", "batch", "chunk", "license")  # fmt: skip


class StateTests(Suite):
    """Nothing stale, nothing left over, nothing shared that two callers could see."""

    def test_a_cancelled_call_leaves_nothing_to_the_next(self, make: Callable[..., Any], result: Any) -> None:
        """Begin each call from nothing: buffers, flags and half-done work are local, or cleared in ``finally``."""
        binding = make()
        reports = 1
        while reports <= 2 and self._cancelled(binding, reports):
            contract(
                self.same(self.call(binding), result),
                "After a call that was cancelled the sample gives again what it gave.",
                "state",
                f"cancelled at report {reports}",
            )
            reports += 1

    def _cancelled(self, binding: Any, reports: int) -> bool:
        """Whether a call that is cancelled when it has reported so often is; the second asks for other things, too."""
        for more in [self.others(binding)] * (reports > 1) + [{}]:
            token, seen = CancelToken(), list[Any]()

            def report(progress: Any, token: CancelToken = token, seen: list[Any] = seen) -> None:
                seen.append(progress)
                if len(seen) == reports:
                    token.cancel()

            try:
                self.call(binding, **self.long(**more, cancel=token, progress=report))
            except CallCancelled:
                return True
            except LollmsError:
                if not more:
                    raise
        return False

    @applies(lambda suite: suite.stream_verb)
    def test_a_stream_closed_early_leaves_nothing_to_the_next(self, make: Callable[..., Any], result: Any) -> None:
        """Clear in ``finally`` what a stream holds: its generator may be closed at each ``yield``."""
        binding = make()
        verb = getattr(binding, str(self.stream_verb))
        try:
            with verb(**self.arguments(**self.long(**self.others(binding)))) as stream:
                next(stream)
        except LollmsError:  # an engine of few values
            with verb(**self.arguments(**self.long())) as stream:
                next(stream)
        sentence = "After a stream that was closed early the sample gives again what it gave."
        contract(self.same(self.call(binding), result), sentence, "state")
        items = list(verb(**self.arguments()))
        contract(self.joined(items) == self.comparable(result), sentence, "state")  # type: ignore[attr-defined]

    def test_a_refused_call_leaves_nothing_to_the_next(self, make: Callable[..., Any], result: Any) -> None:
        """Check what a call asks for before anything is changed."""
        binding = make()
        refused = [{"no_such_option": 1}, {"timeout": -1}, *self.refused()]
        for wrong in refused:
            with suppress(LollmsError, TypeError):
                self.call(binding, **wrong)
        contract(
            self.same(self.call(binding), result),
            "After a call that was refused the sample gives again what it gave.",
            "state",
            refused,
        )

    def refused(self) -> list[dict[str, Any]]:
        """Arguments that the engine itself refuses."""
        name = getattr(self, "name_argument", "")
        return [{name: "no-such-name"}] if name else []

    def test_instances_are_independent(self, make: Callable[..., Any], result: Any) -> None:
        """Keep state in ``self``, made in ``__init__`` or ``load_model``: what the class has is everybody's."""
        one = make()
        rows = one.get_settings()
        self.call(one)
        contract(one.get_settings() == rows, "A call changes no settings.", "state", one.get_settings())
        fields = self.binding.settings_class().model_fields
        asked = self.others(one)
        defaults = {f"default_{name}": value for name, value in asked.items() if f"default_{name}" in fields}
        other = make(keep_alive=17.5, **defaults)
        for name, value in asked.items():
            try:
                self.call(other, **{name: value})
            except LollmsError:
                continue
        contract(one.get_settings() == rows, "The settings of one instance are its own.", "state", one.get_settings())
        contract(self.same(self.call(one), result), "What another instance does changes nothing here.", "state")
        loaded = one.loaded
        other.unload()
        contract(one.loaded == loaded, "Unloading one instance leaves the others loaded.", "state")
        other.close()
        contract(self.same(self.call(one), result), "Closing one instance leaves the others at work.", "state")

    def test_settings_that_change_hold_for_the_next_call(self, make: Callable[..., Any], result: Any) -> None:
        """Read ``self.settings`` in the call, or mark the setting ``reload=True``: the model is loaded again."""
        binding = make()
        self.call(binding)
        for name, value in self._other_settings(binding).items():
            try:
                fresh = make(**{name: value})
                expected = self.call(fresh)
            except LollmsError:
                continue  # not every value suits the engine that is here
            before = getattr(binding.settings, name)
            binding.set_settings({name: value})
            held = self.same(self.call(binding), expected)
            if not held and not self.same(self.call(fresh), expected):
                binding.set_settings({name: before})
                continue  # with this setting the engine draws
            contract(
                held,
                f"The setting {name} holds from the next call on, as if the binding had been made with it.",
                "state",
                value,
            )
            binding.set_settings({name: before})
            contract(self.same(self.call(binding), result), f"The setting {name} can be taken back.", "state", before)

    def _other_settings(self, binding: Any) -> dict[str, Any]:
        """Another value of each setting of the binding's own that is a number, a switch or a choice."""
        found: dict[str, Any] = {}
        elsewhere = {f"default_{name}" for name in (*self.arguments(), *self.others(binding))}
        for name, field in self.binding.settings_class().model_fields.items():
            if name in BindingSettings.model_fields or name in elsewhere or any(part in name for part in _OF_MACHINES):
                continue
            value = getattr(binding.settings, name)
            if is_marked(field, "reload") and type(value) is not float:
                continue  # the core loads the model again, which may take long: compiled, with other files
            other = _another(value, field)
            if other is not None:
                found[name] = other
        return found


def _another(value: Any, field: FieldInfo) -> Any:
    """Another value of a setting; None where nobody knows one."""
    low, high = (
        next((getattr(m, kind) for m in field.metadata for kind in kinds if hasattr(m, kind)), None)
        for kinds in (("ge", "gt"), ("le", "lt"))
    )
    if isinstance(value, bool):
        return not value
    if type(value) is int and low is not None and high is not None:
        return value + 1 if value < high else value - 1
    if type(value) is float:
        other = value / 2 if value else (high / 2 if high else 0.5)
        return other if (low is None or other > low) and (high is None or other < high) else None
    if get_origin(field.annotation) is Literal:
        return next((other for other in get_args(field.annotation) if other != value), None)
    return None
