"""What is seen of the jobs from outside, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lollms_modalities import LollmsError
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from lollms_server.jobs.store import Store


class JobMetrics:
    """The metrics of the jobs, in the room's registry.

    Args:
        registry: the room's.
        store: which is asked for its counts.
    """

    def __init__(self, registry: CollectorRegistry, store: Store | None) -> None:
        self._asked = Counter("lollms_jobs_asked", "Jobs that this server was asked for.", ("kind",), registry=registry)
        self._ended = Counter(
            "lollms_jobs_ended", "Jobs that this server has ended, by outcome.", ("kind", "outcome"), registry=registry
        )
        self._swept = Counter(
            "lollms_jobs_lost", "Jobs failed since nobody runs them or may ask for them any more.", registry=registry
        )
        registry.register(_Now(store))

    def asked(self, kind: str) -> None:
        """A job was made."""
        self._asked.labels(kind).inc()

    def ended(self, kind: str, outcome: str) -> None:
        """A job has ended."""
        self._ended.labels(kind, outcome).inc()

    def swept(self) -> None:
        """A job was failed that nobody runs."""
        self._swept.inc()


class _Now(Collector):
    """What is in the store, of all servers that share it."""

    def __init__(self, store: Store | None) -> None:
        self._store = store

    def describe(self) -> Iterable[Any]:
        return ()

    def collect(self) -> Iterable[Any]:
        jobs = GaugeMetricFamily(
            "lollms_jobs", "Jobs in the store, by state; of all servers.", labels=("kind", "state")
        )
        size = GaugeMetricFamily("lollms_jobs_bytes", "Bytes of all uploads and results of jobs.")
        up = GaugeMetricFamily("lollms_jobs_store_up", "Whether the store of the jobs answers.")
        try:
            counts, total = ({}, 0) if self._store is None else self._store.counts()
        except LollmsError:
            up.add_metric((), 0.0)
            yield up
            return
        for (kind, state), number in sorted(counts.items()):
            jobs.add_metric((kind, state), float(number))
        size.add_metric((), float(total))
        up.add_metric((), 1.0)
        yield from (jobs, size, up)
