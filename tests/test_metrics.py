"""The numbers: what is counted, what is asked of the store, and that each one is explained."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from aggregator.errors import StoreError
from aggregator.metrics import Metrics
from aggregator.model import (
    Census,
    Claim,
    FailureKind,
    FeedState,
    FeedStatus,
    PollOutcome,
    PollResult,
    Subscription,
)
from aggregator.store import open_store
from tests.conftest import NOON, Clock

PAGE = (Path(__file__).parents[1] / "docs" / "operations.md").read_text()
URL = "https://warta.example/feed"
CENSUS = Census({FeedStatus.ACTIVE: 3, FeedStatus.GONE: 1}, 2, 1, NOON - timedelta(minutes=5), 4096)


def outcome(
    seconds: float = 0.2, result: PollResult = PollResult.CHANGED, failure: FailureKind | None = None
) -> PollOutcome:
    claim = Claim(1, 1, Subscription(URL), FeedState(URL))
    return PollOutcome(claim, result, FeedState(URL), NOON, seconds, failure=failure)


def metrics() -> Metrics:
    return Metrics(lambda _: CENSUS, clock=Clock(), in_flight=lambda: 7, heartbeat_at=lambda: NOON)


def samples(told: Metrics) -> dict[str, float]:
    """Every sample by its name and labels, as Prometheus reads it."""
    text, media_type = told.exposition()
    assert media_type.startswith("text/plain; version=")
    return {
        f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_polls_are_counted_by_result_and_class_of_failure() -> None:
    told = metrics()
    told.count(outcome(), entries_new=3, entries_revised=1)
    told.count(outcome(7.0, PollResult.FAILED, FailureKind.DNS), entries_new=0, entries_revised=0)
    told.count(outcome(-1.0, PollResult.FAILED, FailureKind.DNS), entries_new=0, entries_revised=0)
    found = samples(told)
    assert found["aggregator_polls_total[('failure', ''), ('result', 'changed')]"] == 1
    assert found["aggregator_polls_total[('failure', 'dns'), ('result', 'failed')]"] == 2
    assert found["aggregator_entries_total[('change', 'new')]"] == 3
    assert found["aggregator_entries_total[('change', 'revised')]"] == 1
    assert found["aggregator_poll_seconds_count"] == 3
    assert found["aggregator_poll_seconds_sum"] == pytest.approx(7.2)
    assert found["aggregator_poll_seconds_bucket[('le', '0.25')]"] == 2


def test_the_present_is_asked_of_the_store_when_it_is_read() -> None:
    found = samples(metrics())
    assert found["aggregator_feeds[('status', 'active')]"] == 3
    assert found["aggregator_feeds[('status', 'paused')]"] == 0
    assert found["aggregator_feeds_silent"] == 2
    assert found["aggregator_feeds_waiting"] == 1
    assert found["aggregator_lag_seconds"] == 300
    assert found["aggregator_polls_in_flight"] == 7
    assert found["aggregator_store_bytes"] == 4096
    assert found["aggregator_heartbeat_timestamp_seconds"] == NOON.timestamp()


def test_two_daemons_in_one_process_count_apart() -> None:
    one, other = metrics(), metrics()
    one.count(outcome(), entries_new=1, entries_revised=0)
    assert samples(one)["aggregator_entries_total[('change', 'new')]"] == 1
    assert samples(other)["aggregator_entries_total[('change', 'new')]"] == 0


def test_a_store_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    store = open_store(tmp_path / "a.db")
    store.close()
    told = Metrics(store.census, clock=Clock(), in_flight=lambda: 0, heartbeat_at=lambda: None)
    with pytest.raises(StoreError, match="closed"):
        told.exposition()


def test_every_number_is_explained_and_nothing_else() -> None:
    """The registry and the table in docs/operations.md, name by name, label by label."""
    described = {
        name: set(re.findall(r"`(\w+)`", labels))
        for name, labels in re.findall(r"^\| `(aggregator_\w+)` \|([^|]*)\|", PAGE, re.MULTILINE)
    }
    told = metrics()
    told.count(outcome(), entries_new=1, entries_revised=0)
    present: dict[str, set[str]] = {}
    for family in told.registry.collect():
        assert family.documentation
        for sample in family.samples:
            if not sample.name.endswith("_created"):
                name = family.name + "_total" if family.type == "counter" else family.name
                present.setdefault(name, set()).update(sample.labels.keys() - {"le"})
    assert described == present
