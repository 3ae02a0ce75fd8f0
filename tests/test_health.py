"""How feeds are doing: what is said of one, and when a line is crossed."""

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import health
from aggregator.model import (
    EventKind,
    FailureKind,
    FeedReport,
    FeedState,
    FeedStatus,
    StoredEvent,
    Subscription,
)
from tests.conftest import NOON

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
URL = "https://warta.example/feed"
TODAY = date(2025, 11, 20)


def report(failure: FailureKind | None = None, **state: Any) -> FeedReport:
    return FeedReport(1, Subscription(URL), FeedState(URL, **state), 0, 0.0, failure=failure)


DOWN: dict[str, Any] = {
    "status": FeedStatus.FAILING,
    "failing_since": NOON - DAY,
    "last_error": "no answer from https://u:secret@warta.example",
}


@pytest.mark.parametrize(
    ("told", "kinds", "words"),
    [
        pytest.param(report(), [], "", id="all is well"),
        pytest.param(
            report(FailureKind.TIMEOUT, **DOWN),
            ["failing"],
            "since 2025-11-19 12:00 UTC: no answer",
            id="failing",
        ),
        pytest.param(
            report(FailureKind.CHALLENGE, **DOWN), ["blocked"], "challenge page since", id="blocked"
        ),
        pytest.param(
            report(FailureKind.GONE, **{**DOWN, "status": FeedStatus.GONE}),
            ["gone"],
            "once a month",
            id="gone",
        ),
        pytest.param(
            report(moved_to="https://u:secret@new.example/", moved_times=1),
            ["moving"],
            r"to https://\*\*\*@new.example/, seen once",
            id="a redirect is pending",
        ),
        pytest.param(
            report(moved_to="https://other.example/", moved_times=0),
            ["moving"],
            "another feed is: read there for now, and not adopted",
            id="redirected to another feed",
        ),
        pytest.param(report(silent_since=NOON - 9 * DAY), ["silent"], "since 2025-11-11", id="silent"),
        pytest.param(
            report(
                FailureKind.DNS, **DOWN, silent_since=NOON, moved_to="https://new.example/", moved_times=2
            ),
            ["failing", "silent", "moving"],
            "seen 2 times",
            id="several, the worst first",
        ),
        pytest.param(
            report(FailureKind.DNS, **{**DOWN, "status": FeedStatus.PAUSED}),
            [],
            "",
            id="a paused one is left alone",
        ),
    ],
)
def test_what_is_said_of_a_feed(told: FeedReport, kinds: list[str], words: str) -> None:
    found = health.conditions(told)
    assert [condition.kind for condition in found] == kinds
    assert "secret" not in str(found)
    if words:
        assert any(re.search(words, condition.message) for condition in found)


def test_a_pending_redirect_is_no_illness() -> None:
    (condition,) = health.conditions(report(moved_to="https://new.example/"))
    assert not condition.ill


# ------------------------------------------------------------------------------------------ silence


def days(*pauses: int) -> list[date]:
    """Days with news, the last one first, with these pauses between them."""
    found = [TODAY]
    for pause in pauses:
        found.append(found[-1] - pause * DAY)
    return found


@pytest.mark.parametrize(
    ("pauses", "patience"),
    [
        pytest.param([1] * 19, 3, id="daily"),
        pytest.param([1, 1, 1, 1, 3] * 3, 9, id="not on weekends"),
        pytest.param([7] * 19, 21, id="weekly"),
        pytest.param([30, 31, 30, 31, 31], 93, id="monthly"),
        pytest.param([1] * 18 + [4000], 3, id="one date out of all reason"),
        pytest.param([1] * 9 + [25] + [1] * 9, 3, id="one long holiday"),
        pytest.param([1, 2, 1, 4] * 4, 12, id="irregular"),
        pytest.param([1, 1, 1], 30, id="not known yet"),
        pytest.param([], 30, id="a single day"),
    ],
)
def test_how_long_a_feed_may_be_quiet(pauses: list[int], patience: int) -> None:
    found = days(*pauses)
    assert health.patience(found) == patience * DAY
    assert not health.is_silent(found, NOON + patience * DAY)
    assert health.is_silent(found, NOON + (patience + 1) * DAY)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=19), st.integers(0, 400))
def test_no_pause_that_a_feed_often_makes_is_silence(pauses: list[int], quiet: int) -> None:
    found = days(*pauses)
    usual = sorted(pauses)[(len(pauses) - 1) // 2]
    if quiet <= 3 * usual and len(pauses) >= 4:
        assert not health.is_silent(found, NOON + quiet * DAY)
    if health.is_silent(found, NOON + quiet * DAY):
        assert health.is_silent(found, NOON + (quiet + 1) * DAY)


def test_a_feed_without_entries_is_not_silent() -> None:
    assert not health.is_silent([], NOON)


def test_an_outage_is_no_silence() -> None:
    found = days(*[1] * 19)
    assert health.is_silent(found, NOON + 4 * DAY)
    assert not health.is_silent(found, NOON + 9 * DAY, outage=8 * DAY)
    assert health.is_silent(found, NOON + 12 * DAY, outage=8 * DAY)


@pytest.mark.parametrize(
    ("added_at", "is_news"),
    [
        pytest.param(NOON - 300 * DAY, True, id="long followed"),
        pytest.param(NOON + 2 * DAY, True, id="subscribed to after its last entry, before that was odd"),
        pytest.param(NOON + 4 * DAY, False, id="silent already when it was subscribed to"),
    ],
)
def test_falling_silent_is_news_only_while_it_is_followed(added_at: datetime, is_news: bool) -> None:
    event = health.fell_silent(days(*[1] * 19), NOON + 9 * DAY, added_at)
    assert (event is not None) == is_news
    if event:
        assert event.kind is EventKind.SILENT
        assert "no new entry since 2025-11-20, for 9 days" in event.message
        assert "3 days would be much" in event.message


# ------------------------------------------------------------------------------------------- events

WELL = FeedState(URL, last_polled_at=NOON, last_success_at=NOON)


def failing(*, since: timedelta, now: datetime = NOON) -> FeedState:
    return replace(
        WELL, status=FeedStatus.FAILING, failing_since=now - since, last_polled_at=now, last_error="no answer"
    )


GONE = replace(failing(since=timedelta()), status=FeedStatus.GONE)
LATER = replace(WELL, last_polled_at=NOON + 3 * DAY)


@pytest.mark.parametrize(
    ("before", "after", "news", "kinds", "words"),
    [
        pytest.param(WELL, WELL, True, [], "", id="all is well"),
        pytest.param(WELL, failing(since=timedelta()), False, [], "", id="a first failure"),
        pytest.param(failing(since=HOUR), WELL, False, [], "", id="well again before a day has passed"),
        pytest.param(
            failing(since=20 * HOUR),
            failing(since=25 * HOUR, now=NOON + 5 * HOUR),
            False,
            ["failing"],
            "for a day: no answer",
            id="failing for a day",
        ),
        pytest.param(
            failing(since=25 * HOUR), failing(since=50 * HOUR, now=NOON + DAY), False, [], "", id="still failing"
        ),
        pytest.param(failing(since=DAY), LATER, False, ["back"], "again, after 4 days", id="back after failures"),
        pytest.param(WELL, GONE, False, ["gone"], "410", id="gone"),
        pytest.param(GONE, GONE, False, [], "", id="still gone"),
        pytest.param(GONE, LATER, False, ["back"], "after 3 days", id="back although it was gone"),
        pytest.param(
            replace(WELL, status=FeedStatus.GONE), LATER, False, [], "", id="one that was merged into another"
        ),
        pytest.param(
            replace(WELL, moved_to="https://u:pw@new.example/"),
            replace(WELL, url="https://u:pw@new.example/"),
            False,
            ["moved"],
            "to https://***@new.example/",
            id="moved",
        ),
        pytest.param(
            FeedState(URL),
            replace(WELL, url="https://warta.example/rss"),
            True,
            [],
            "",
            id="discovered, which is no move",
        ),
        pytest.param(
            WELL,
            replace(WELL, url="https://warta.example/rss"),
            True,
            ["moved"],
            "been found anew, from https://warta.example/feed to https://warta.example/rss",
            id="discovered again",
        ),
        pytest.param(
            replace(WELL, silent_since=NOON - 9 * DAY), WELL, True, ["back"], "after 9 days without", id="speaks again"
        ),
        pytest.param(
            replace(WELL, silent_since=NOON - 9 * DAY),
            replace(WELL, silent_since=NOON - 9 * DAY),
            False,
            [],
            "",
            id="still silent",
        ),
    ],
)  # fmt: skip
def test_which_lines_a_poll_crosses(
    before: FeedState, after: FeedState, news: bool, kinds: list[str], words: str
) -> None:
    events = health.crossed(before, after, news=news)
    assert [event.kind.value for event in events] == kinds
    assert all(words in event.message for event in events)


@given(st.lists(st.sampled_from(["ok", "fail", "gone"]), max_size=12), st.integers(1, 40))
def test_only_what_was_away_is_back(polls: list[str], hours: int) -> None:
    """Whatever happens, nothing is `back` that was not said to be away."""
    state, told = WELL, []
    for number, poll in enumerate(polls, 1):
        now = NOON + number * hours * HOUR
        if poll == "ok":
            after = replace(WELL, last_polled_at=now)
        else:
            status = FeedStatus.GONE if poll == "gone" else FeedStatus.FAILING
            since = state.failing_since or now
            after = replace(WELL, status=status, failing_since=since, last_polled_at=now, last_error="x")
        told += [event.kind for event in health.crossed(state, after)]
        state = after
    for before, kind in pairwise([EventKind.BACK, *told]):
        assert kind is not EventKind.BACK or before is not EventKind.BACK


def test_an_event_is_an_entry() -> None:
    event = StoredEvent(7, "u7", 1, "Warta", URL, None, NOON, EventKind.FAILING, "It says <503> & no more.")
    entry = health.entry(event)
    assert entry.title == "Warta is failing"
    assert (entry.uid, entry.url, entry.published_at) == ("u7", URL, NOON)
    assert entry.content == "<p>It says &lt;503&gt; &amp; no more.</p>"
    assert {health.entry(replace(event, kind=kind)).title for kind in EventKind} == {
        "Warta has fallen silent", "Warta is failing", "Warta has moved", "Warta is gone", "Warta is back",
    }  # fmt: skip
