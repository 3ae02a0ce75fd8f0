"""When a feed is polled next: cases with their numbers, and what must hold for any feed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator import cadence
from aggregator.cadence import BUSIEST, GONE, LONGEST_RETRY_AFTER, QUIET, SLOWEST, SPREAD
from aggregator.model import FailureKind, FeedState, FeedStatus, Validators

NOW = datetime(2025, 11, 5, 12, 0, tzinfo=UTC)  # a Wednesday
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
CONDITIONAL = Validators(etag='"1"')


def feed(per_day: float | None = None, length: int | None = 20, **given: object) -> FeedState:
    values: dict[str, object] = {
        "validators": CONDITIONAL,
        "last_polled_at": NOW,
        "last_changed_at": NOW,
        **given,
    }
    return replace(FeedState("https://a.example/feed", per_day=per_day, length=length), **values)  # type: ignore[arg-type]


def wait(
    state: FeedState,
    every: timedelta | None = None,
    retry_after: timedelta | None = None,
    chance: float = 0.0,
) -> timedelta:
    """How long until the next poll."""
    planned = cadence.next_poll(state, every=every, now=NOW, chance=chance, retry_after=retry_after)
    assert planned.next_poll_at is not None
    return planned.next_poll_at - NOW


# ------------------------------------------------------------------------------------ rhythm


@pytest.mark.parametrize(
    ("ages", "per_day"),
    [
        pytest.param([], None, id="no dates"),
        pytest.param([HOUR], None, id="one date"),
        pytest.param([HOUR * n for n in range(24)], 20 / (19 / 24), id="hourly: the newest twenty count"),
        pytest.param([DAY, 2 * DAY], 1.0, id="daily"),
        pytest.param([10 * DAY, 10 * DAY], 0.2, id="silent for ten days"),
        pytest.param([-HOUR, -DAY, 2 * DAY], None, id="dates in the future do not count"),
        pytest.param([SECOND * 0] * 3, 3 * 1440, id="all at once: as if within a minute"),
    ],
)
def test_rhythm(ages: list[timedelta], per_day: float | None) -> None:
    assert cadence.rhythm([NOW - age for age in ages], NOW) == pytest.approx(per_day)


@given(
    st.lists(st.timedeltas(timedelta(), 4000 * DAY), min_size=2, max_size=40),
    st.timedeltas(timedelta(), 400 * DAY),
)
def test_a_silent_feed_slows_down(ages: list[timedelta], silence: timedelta) -> None:
    dates = [NOW - age for age in ages]
    before, after = cadence.rhythm(dates, NOW), cadence.rhythm(dates, NOW + silence)
    assert before is not None
    assert after is not None
    assert 0 < after <= before


def test_polls_that_find_nothing_slow_down_as_the_same_silence_in_dates_would() -> None:
    dates = [NOW - HOUR * n for n in range(1, 11)]
    later = cadence.rhythm(dates, NOW + 5 * HOUR)
    assert cadence.slowed(cadence.rhythm(dates, NOW), 10, 5 * HOUR) == pytest.approx(later)
    assert cadence.slowed(None, 10, HOUR) is None


# ---------------------------------------------------------------------------------- interval


@pytest.mark.parametrize(
    ("state", "every", "expected"),
    [
        pytest.param(feed(96), None, 15 * MINUTE, id="as often as entries come"),
        pytest.param(feed(2000), None, BUSIEST, id="at most every five minutes"),
        pytest.param(feed(20), None, 72 * MINUTE, id="quiet: its own rhythm, over an hour"),
        pytest.param(feed(24), None, QUIET, id="hourly"),
        pytest.param(feed(0.01), None, SLOWEST, id="at least daily"),
        pytest.param(feed(96, length=1), None, 5 * MINUTE, id="a short document: before it is replaced"),
        pytest.param(feed(20, length=1), None, QUIET, id="a short document, quiet: hourly"),
        pytest.param(feed(None), None, HOUR, id="no dates: hourly"),
        pytest.param(feed(None, length=None, last_changed_at=None), None, HOUR, id="no document yet: hourly"),
        pytest.param(feed(4, validators=Validators()), None, SLOWEST, id="quiet without validators: daily"),
        pytest.param(
            feed(4, validators=Validators(last_modified="x")), None, 6 * HOUR, id="one validator will do"
        ),
        pytest.param(feed(96, validators=Validators()), None, 15 * MINUTE, id="busy without validators"),
        pytest.param(
            feed(4, length=3, validators=Validators()), None, 6 * HOUR, id="but before it is replaced"
        ),
        pytest.param(
            feed(4, validators=Validators(), hint=2 * HOUR), None, 6 * HOUR, id="a hint will do, too"
        ),
        pytest.param(
            feed(4, validators=Validators(), fresh_until=NOW), None, 6 * HOUR, id="so will freshness"
        ),
        pytest.param(feed(96, hint=HOUR), None, HOUR, id="the publisher's wish"),
        pytest.param(feed(96, hint=MINUTE), None, 15 * MINUTE, id="a wish for haste is none"),
        pytest.param(feed(96, hint=DAY), None, 100 * MINUTE, id="a wish that would lose entries is cut"),
        pytest.param(feed(4, length=90, hint=30 * DAY), None, SLOWEST, id="a wish is heard up to a day"),
        pytest.param(feed(96, hint=DAY), SECOND, SECOND, id="every: is the operator's word"),
        pytest.param(feed(96), 30 * DAY, 30 * DAY, id="in both directions"),
    ],
)
def test_interval(state: FeedState, every: timedelta | None, expected: timedelta) -> None:
    assert cadence.interval(state, every) == expected


# --------------------------------------------------------------------------------- next poll


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"state": feed(96)}, 15 * MINUTE, id="the interval"),
        pytest.param({"state": feed(96), "chance": 0.5}, 15.75 * MINUTE, id="and up to a tenth by chance"),
        pytest.param({"state": feed(96), "every": HOUR, "chance": 0.5}, HOUR, id="every: to the second"),
        pytest.param({"state": feed(96, fresh_until=NOW + HOUR)}, HOUR, id="not while it is fresh"),
        pytest.param({"state": feed(96, fresh_until=NOW - HOUR)}, 15 * MINUTE, id="freshness that has ended"),
        pytest.param({"state": feed(4, fresh_until=NOW + 9 * DAY)}, 9 * DAY, id="fresh for days"),
        pytest.param(
            {"state": feed(96, fresh_until=NOW + DAY), "every": MINUTE}, MINUTE, id="every: over freshness"
        ),
        pytest.param({"state": feed(4, failures=0.25)}, 7.5 * HOUR, id="a temporary failure"),
        pytest.param({"state": feed(4, failures=2.0)}, 18 * HOUR, id="two hard failures"),
        pytest.param({"state": feed(4, failures=500.0)}, 2 * DAY, id="back-off ends at two days"),
        pytest.param({"state": feed(4, failures=9.0), "every": 5 * DAY}, 5 * DAY, id="but not under every:"),
        pytest.param({"state": feed(4, failures=1.0), "every": MINUTE}, 2 * MINUTE, id="back-off with every:"),
        pytest.param({"state": feed(4, status=FeedStatus.GONE, failures=1.0)}, GONE, id="gone: once a month"),
        pytest.param(
            {"state": feed(4, status=FeedStatus.GONE, failures=1.0), "every": MINUTE}, GONE, id="whatever every: says"
        ),
        pytest.param({"state": feed(96, failures=0.5), "retry_after": 3 * HOUR}, 3 * HOUR, id="Retry-After"),
        pytest.param({"state": feed(4, failures=0.5), "retry_after": MINUTE}, 9 * HOUR, id="shorter than back-off"),
        pytest.param(
            {"state": feed(4, failures=0.5), "retry_after": 400 * DAY}, LONGEST_RETRY_AFTER, id="up to two days"
        ),
        pytest.param(
            {"state": feed(4, failures=0.5), "retry_after": DAY, "every": SECOND}, DAY, id="over every:, too"
        ),
    ],
)  # fmt: skip
def test_next_poll(given: dict[str, object], expected: timedelta) -> None:
    assert wait(**given) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours", "days", "expected"),
    [
        pytest.param((), (), "Wed 13:30", id="nothing left out"),
        pytest.param((13,), (), "Wed 14:00", id="an hour"),
        pytest.param((13, 14, 16), (), "Wed 15:00", id="several"),
        pytest.param((12, 14), (), "Wed 13:30", id="others"),
        pytest.param(tuple(range(13, 24)), (), "Thu 00:00", id="the rest of the day"),
        pytest.param((), (2,), "Thu 00:00", id="a day"),
        pytest.param((0, 1), (2, 3), "Fri 02:00", id="days and hours"),
        pytest.param(tuple(range(23)), (0, 1, 2, 3, 4, 6), "Sat 23:00", id="all but one hour of the week"),
        pytest.param(tuple(range(24)), (), "Wed 13:30", id="all hours: means nothing"),
        pytest.param((), tuple(range(7)), "Wed 13:30", id="all days: means nothing"),
    ],
)
def test_hours_and_days_that_the_publisher_leaves_out(
    hours: tuple[int, ...], days: tuple[int, ...], expected: str
) -> None:
    state = feed(16, skip_hours=hours, skip_days=days)  # every 90 minutes
    assert (NOW + wait(state)).strftime("%a %H:%M") == expected
    assert wait(state, every=90 * MINUTE) == 90 * MINUTE


def test_the_plan_is_noted_without_the_spread() -> None:
    planned = cadence.next_poll(feed(96), every=None, now=NOW, chance=0.9)
    assert planned.interval == 15 * MINUTE


def test_every_kind_of_failure_has_a_weight() -> None:
    assert set(cadence.WEIGHTS) == set(FailureKind)
    assert set(cadence.WEIGHTS.values()) == {0.25, 0.5, 1.0}


# --------------------------------------------------------------------------------------- laws

durations = st.timedeltas(timedelta(), 60 * DAY)
intervals = st.none() | st.timedeltas(SECOND, 60 * DAY)
chances = st.floats(0, 1, exclude_max=True)
states = st.builds(
    feed,
    per_day=st.none() | st.floats(1e-4, 1e5),
    length=st.none() | st.integers(0, 10_000),
    validators=st.sampled_from([Validators(), CONDITIONAL]),
    status=st.sampled_from([FeedStatus.ACTIVE, FeedStatus.FAILING]),
    failures=st.sampled_from([0.0]) | st.floats(0.25, 1000),
    hint=st.none() | durations,
    fresh_until=st.none() | durations.map(lambda ahead: NOW + ahead - 30 * DAY),
    skip_hours=st.lists(st.integers(0, 23)).map(tuple),
    skip_days=st.lists(st.integers(0, 6)).map(tuple),
)


@given(states, intervals, chances, st.none() | durations, st.datetimes(timezones=st.just(UTC)))
def test_the_next_poll_is_later_than_now_and_at_a_whole_second(
    state: FeedState, every: timedelta | None, chance: float, retry_after: timedelta | None, now: datetime
) -> None:
    assume(datetime(1900, 1, 1, tzinfo=UTC) < now < datetime(2200, 1, 1, tzinfo=UTC))
    planned = cadence.next_poll(state, every=every, now=now, chance=chance, retry_after=retry_after)
    assert planned.next_poll_at is not None
    assert planned.next_poll_at > now
    assert planned.next_poll_at.microsecond == 0
    # Nothing else changes.
    assert replace(planned, interval=state.interval, next_poll_at=state.next_poll_at) == state


@given(states, chances)
def test_without_every_the_next_poll_is_within_bounds(state: FeedState, chance: float) -> None:
    longest = cadence.BACK_OFF_LIMIT if state.failures else SLOWEST
    fresh = max(state.fresh_until - NOW, timedelta()) if state.fresh_until else timedelta()
    after = wait(state, chance=chance)
    assert after >= BUSIEST
    # Hours and days left out can add a week at most.
    assert after <= max(longest * (1 + SPREAD), fresh) + 7 * DAY + SECOND
    assert BUSIEST <= cadence.interval(state, None) <= SLOWEST


@given(states, intervals, chances, st.floats(0, 100))
def test_more_failures_never_mean_sooner(
    state: FeedState, every: timedelta | None, chance: float, more: float
) -> None:
    worse = replace(state, failures=state.failures + more)
    assert wait(worse, every, chance=chance) >= wait(state, every, chance=chance)


@given(states, intervals, chances, durations)
def test_retry_after_is_never_undercut(
    state: FeedState, every: timedelta | None, chance: float, retry_after: timedelta
) -> None:
    assert wait(state, every, retry_after, chance) >= min(retry_after, LONGEST_RETRY_AFTER)


@given(states, chances)
def test_freshness_is_never_undercut(state: FeedState, chance: float) -> None:
    assume(state.fresh_until is not None)
    assert state.fresh_until is not None
    assert NOW + wait(state, chance=chance) >= state.fresh_until


@given(states, st.timedeltas(SECOND, 60 * DAY), chances)
def test_every_is_kept_to_the_second_while_all_is_well(
    state: FeedState, every: timedelta, chance: float
) -> None:
    late = wait(replace(state, failures=0.0), every, chance=chance) - every
    assert timedelta() <= late < SECOND


@given(states, chances)
def test_hours_and_days_left_out_are_left_out(state: FeedState, chance: float) -> None:
    assume(len(set(state.skip_hours)) < 24 and len(set(state.skip_days)) < 7)
    due = NOW + wait(state, chance=chance)
    assert due.hour not in state.skip_hours
    assert due.weekday() not in state.skip_days


@given(states, st.floats(1e-4, 1e5), st.floats(1, 1000))
def test_a_busier_feed_is_not_polled_less_often(state: FeedState, per_day: float, busier: float) -> None:
    state = replace(state, validators=CONDITIONAL, hint=None)
    slow, busy = replace(state, per_day=per_day), replace(state, per_day=per_day * busier)
    assert cadence.interval(busy, None) <= cadence.interval(slow, None)


@given(st.floats(24, 288), st.integers(3, 200), st.floats(1, 3))
def test_nothing_scrolls_out_unseen_in_a_burst(per_day: float, length: int, burst: float) -> None:
    state = feed(per_day, length=length, hint=DAY)
    coming = burst * per_day * (cadence.interval(state, None) / DAY)
    assert coming <= length * 1.001
