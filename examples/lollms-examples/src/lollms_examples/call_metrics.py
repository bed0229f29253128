"""A plug-in that counts calls for Prometheus: how many, how long, how much they made, how they failed.

The program serves them as it likes: ``prometheus_client.start_http_server(9100)``, or a route of its own.
"""

from __future__ import annotations

import time
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from lollms_modalities import Call, LollmsBinding, hookimpl
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram

_LABELS = ("modality", "binding", "verb")
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class CallMetrics:
    """Give it to ``lollms_modalities.hooks.register``, or name it as an entry point of ``lollms_client.plugins``.

    Args:
        registry: where the metrics are registered; the program's own where it is left out.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.calls = Counter("lollms_calls", "Calls that have ended.", [*_LABELS, "outcome"], registry=registry)
        self.running = Gauge("lollms_calls_running", "Calls in their engines.", _LABELS, registry=registry)
        self.seconds = Histogram(
            "lollms_call_seconds", "Time in the engine.", _LABELS, buckets=_SECONDS, registry=registry
        )
        self.first = Histogram(
            "lollms_first_item_seconds", "Time until a stream gave its first item.", _LABELS, buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.made = Counter("lollms_media_seconds", "Sound and video that was made.", _LABELS, registry=registry)
        self.bindings = Counter("lollms_bindings", "Bindings that were made.", _LABELS[:2], registry=registry)
        self._begun: WeakKeyDictionary[Call, float] = WeakKeyDictionary()
        self._heard: WeakSet[Call] = WeakSet()

    @hookimpl
    def lollms_binding_created(self, binding: LollmsBinding) -> None:
        self.bindings.labels(binding.modality, binding.binding_name).inc()

    @hookimpl
    def lollms_before_call(self, binding: LollmsBinding, call: Call) -> None:
        self._begun[call] = time.perf_counter()
        self.running.labels(*_labels(binding, call)).inc()

    @hookimpl
    def lollms_stream_chunk(self, binding: LollmsBinding, call: Call, chunk: Any) -> None:
        labels = _labels(binding, call)
        if call in self._begun and call not in self._heard:
            self._heard.add(call)
            self.first.labels(*labels).observe(time.perf_counter() - self._begun[call])
        self.made.labels(*labels).inc(_duration(chunk))

    @hookimpl
    def lollms_after_call(self, binding: LollmsBinding, call: Call, result: Any) -> None:
        # What a plug-in answered took no engine, and is counted as what it is.
        self._ended(binding, call, f"answered by {call.answered_by}" if call.answered_by else "ok")
        if not call.answered_by:
            for item in result if isinstance(result, list) else [result]:
                self.made.labels(*_labels(binding, call)).inc(_duration(item))

    @hookimpl
    def lollms_call_failed(self, binding: LollmsBinding, call: Call, error: BaseException) -> None:
        self._ended(binding, call, type(error).__name__)

    def _ended(self, binding: LollmsBinding, call: Call, outcome: str) -> None:
        labels = _labels(binding, call)
        self.calls.labels(*labels, outcome).inc()
        begun = self._begun.pop(call, None)
        self._heard.discard(call)
        if begun is not None:
            self.running.labels(*labels).dec()
            self.seconds.labels(*labels).observe(time.perf_counter() - begun)


def _labels(binding: LollmsBinding, call: Call) -> tuple[str, str, str]:
    return binding.modality, binding.binding_name, call.verb


def _duration(item: Any) -> float:
    return float(getattr(item, "duration", 0.0) or 0.0)
