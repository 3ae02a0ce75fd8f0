"""The daemon in numbers, as Prometheus reads them. `docs/operations.md` describes each one.

What polls do is counted as they are recorded; what stands in the store is asked of it when the numbers are.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from aggregator.model import Census, FeedStatus, PollOutcome

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Bounds of the histogram of poll durations; the last is the limit on one poll."""


class Metrics:
    """The numbers of one daemon, in a registry of their own.

    Args:
        census: counts the feeds at a time.
        clock: the time.
        in_flight: how many polls have begun and are not yet recorded.
        heartbeat_at: when due feeds were last looked for.
    """

    def __init__(
        self,
        census: Callable[[datetime], Census],
        *,
        clock: Callable[[], datetime],
        in_flight: Callable[[], int],
        heartbeat_at: Callable[[], datetime | None],
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._polls = Counter(
            "aggregator_polls", "Polls recorded.", ("result", "failure"), registry=self.registry
        )
        self._seconds = Histogram(
            "aggregator_poll_seconds", "How long polls took.", buckets=SECONDS, registry=self.registry
        )
        self._entries = Counter(
            "aggregator_entries",
            "Entries stored, new or in a new version.",
            ("change",),
            registry=self.registry,
        )
        for change in ("new", "revised"):
            self._entries.labels(change)
        self.registry.register(_Present(census, clock, in_flight, heartbeat_at))

    def count(self, outcome: PollOutcome, *, entries_new: int, entries_revised: int) -> None:
        """Count a poll that was recorded."""
        self._polls.labels(outcome.result.value, outcome.failure.value if outcome.failure else "").inc()
        self._seconds.observe(max(outcome.seconds, 0.0))
        self._entries.labels("new").inc(entries_new)
        self._entries.labels("revised").inc(entries_revised)

    def exposition(self) -> tuple[bytes, str]:
        """All numbers as text, and its media type.

        Raises:
            StoreError: the store cannot be read.
        """
        return generate_latest(self.registry), CONTENT_TYPE_LATEST


class _Present(Collector):
    """What is so now."""

    def __init__(
        self,
        census: Callable[[datetime], Census],
        clock: Callable[[], datetime],
        in_flight: Callable[[], int],
        heartbeat_at: Callable[[], datetime | None],
    ) -> None:
        self._census = census
        self._clock = clock
        self._in_flight = in_flight
        self._heartbeat_at = heartbeat_at

    def collect(self) -> Iterator[Metric]:
        now = self._clock()
        census = self._census(now)
        feeds = GaugeMetricFamily("aggregator_feeds", "Feeds by status.", labels=("status",))
        for status in FeedStatus:
            feeds.add_metric((status.value,), census.feeds.get(status, 0))
        yield feeds
        late = now - census.waiting_since if census.waiting_since else None
        heartbeat = self._heartbeat_at()
        for name, help_text, value in (
            ("feeds_silent", "Feeds silent for longer than their rhythm explains.", census.silent),
            ("feeds_waiting", "Feeds that are due and not yet being polled.", census.waiting),
            (
                "lag_seconds",
                "How long the longest waiting feed has been due.",
                late.total_seconds() if late else 0,
            ),
            ("polls_in_flight", "Polls that have begun and are not yet recorded.", self._in_flight()),
            ("store_bytes", "Size of the database on disk, with its log.", census.store_bytes),
            (
                "heartbeat_timestamp_seconds",
                "When due feeds were last looked for, in Unix time.",
                heartbeat.timestamp() if heartbeat else 0,
            ),
        ):
            yield GaugeMetricFamily(f"aggregator_{name}", help_text, value)
