"""What is seen from outside, for Prometheus. Each room has a registry of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from lollms_modalities import Audio, CallCancelled, CallTimeout, LollmsError, Transcript
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lollms_server.room.models import ServedModel
from lollms_server.room.resident import Resident
from lollms_server.room.running import RunningCall

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
_FACTORS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1, 1.5, 2, 5, 10)
_OF_MODEL = ("modality", "model")
_OF_CALL = (*_OF_MODEL, "verb")


class Metrics:
    """The metrics of one room.

    Args:
        residents: gives the served models of now.
    """

    def __init__(self, residents: Callable[[], Iterable[Resident]]) -> None:
        self.registry = CollectorRegistry()
        made: dict[str, Any] = {"registry": self.registry}
        self._calls = Counter("lollms_calls", "Calls that have ended, by outcome.", (*_OF_CALL, "outcome"), **made)
        self._failures = Counter(
            "lollms_failures", "Calls that failed, by class of error.", (*_OF_MODEL, "error"), **made
        )
        self._refused = Counter(
            "lollms_refused", "Calls that were not begun, by reason.", (*_OF_MODEL, "reason"), **made
        )
        self._wait = Histogram("lollms_wait_seconds", "Waiting in the queue.", _OF_MODEL, buckets=_SECONDS, **made)
        self._engine = Histogram("lollms_engine_seconds", "In the engine.", _OF_CALL, buckets=_SECONDS, **made)
        self._first = Histogram(
            "lollms_first_item_seconds", "From the request to a stream's first item.", _OF_CALL, buckets=_SECONDS,
            **made,
        )  # fmt: skip
        self._factor = Histogram(
            "lollms_real_time_factor", "Engine seconds for a second of sound.", _OF_MODEL,
            buckets=_FACTORS, **made,
        )  # fmt: skip
        self._loads = Counter(
            "lollms_model_events", "Models loaded and unloaded, by why.", (*_OF_MODEL, "what"), **made
        )
        self._hooks = Counter("lollms_plugin_failures", "Hooks of plug-ins that failed.", ("plugin", "hook"), **made)
        self.registry.register(_Now(residents))
        self._known: dict[tuple[Any, tuple[str, ...]], Any] = {}

    def refused(self, served: ServedModel, error: BaseException) -> None:
        """A call was not begun."""
        self._refused.labels(*served.key, type(error).__name__).inc()

    def ended(self, call: RunningCall, seconds: float, sound: float | None, error: BaseException | None) -> None:
        """A call that was begun has ended after so many seconds in the engine; ``sound``: that it made or heard."""
        key, verb = call.chosen.served.key, call.asked.verb
        self._of(self._calls, *key, verb, outcome_of(error)).inc()
        self._of(self._engine, *key, verb).observe(seconds)
        if call.admitted is not None:
            self._of(self._wait, *key).observe(call.admitted - call.began)
        if call.first is not None:
            self._of(self._first, *key, verb).observe(call.first - call.began)
        if sound and error is None:
            self._of(self._factor, *key).observe(seconds / sound)
        if error is not None and outcome_of(error) == "failed":
            self._failures.labels(*key, type(error).__name__).inc()

    def _of(self, metric: Any, *labels: str) -> Any:
        """``metric.labels(*labels)``, which is looked for once: it takes longer than the counting."""
        known = (metric, labels)
        if known not in self._known:
            self._known[known] = metric.labels(*labels)
        return self._known[known]

    def model(self, served: ServedModel, what: str) -> None:
        """A model was loaded or unloaded."""
        self._loads.labels(*served.key, what).inc()

    def hook_failed(self, plugin: str, hook: str) -> None:
        """A hook of a plug-in raised, or took too long."""
        self._hooks.labels(plugin, hook).inc()


def outcome_of(error: BaseException | None) -> str:
    """How a call has ended, in a word: ok, cancelled, timeout, failed."""
    if error is None:
        return "ok"
    if isinstance(error, CallTimeout):
        return "timeout"
    return "failed" if isinstance(error, Exception) and not isinstance(error, CallCancelled) else "cancelled"


def sound_of(result: Any) -> float | None:
    """Seconds of sound that a result is, or was made from, where telling costs nothing."""
    if isinstance(result, Transcript) or (isinstance(result, Audio) and result.format == "wav"):
        try:
            return result.duration
        except LollmsError:
            return None
    return None


class _Now(Collector):
    """What is so now: queues, calls at work, loaded models and their memory."""

    def __init__(self, residents: Callable[[], Iterable[Resident]]) -> None:
        self._residents = residents

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterable[Any]:
        told: dict[str, tuple[str, Callable[[Resident], float]]] = {
            "lollms_queue_length": ("Calls that wait.", lambda r: r.queue.waiting),
            "lollms_at_work": ("Calls in the engine.", lambda r: r.queue.at_work),
            "lollms_model_loaded": ("Whether the model is loaded.", lambda r: r.loaded),
            "lollms_workers": ("Processes of the model that may be asked.", lambda r: r.workers().running),
            "lollms_workers_starting": ("Processes of the model that are starting.", lambda r: r.workers().starting),
            "lollms_workers_waited_for": (
                "Calls that wait for a process of the model, as part of those in the engine.",
                lambda r: r.workers().waiting,
            ),
            "lollms_model_memory_bytes": ("Memory of the model's processes.", lambda r: r.memory()),
        }
        for name, (what, value) in told.items():
            family = GaugeMetricFamily(name, what, labels=_OF_MODEL)
            for resident in list(self._residents()):
                family.add_metric(resident.served.key, float(value(resident)))
            yield family
