"""When a feed is polled next: cases with their numbers, and what must hold for any feed."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aggregator import cadence
from aggregator.cadence import BUSIEST, GONE, LONGEST_RETRY_AFTER, PRICE, QUIET, SLOWEST, SPREAD
from aggregator.model import FailureKind, FeedState, FeedStatus, Profile, Subscription, Validators
from aggregator.store import open_store
from benchmarks import cadence as benchmark

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
    price: timedelta = PRICE,
) -> timedelta:
    """How long until the next poll."""
    planned = cadence.next_poll(
        state, every=every, now=NOW, chance=chance, retry_after=retry_after, price=price
    )
    assert planned.next_poll_at is not None
    return planned.next_poll_at - NOW


def profile(
    hours: Sequence[int] = range(24), days: Sequence[int] = range(7), per_day: float = 24.0
) -> Profile:
    """What four weeks of a feed teach that publishes in these hours on these days."""
    by_hour = tuple(per_day / len(hours) if hour in hours else 0.0 for hour in range(24))
    by_day = tuple(7 * per_day / len(days) if day in days else 0.0 for day in range(7))
    return Profile(by_hour, by_day, since=NOW - 28 * DAY, newest=NOW)


def polls(state: FeedState, start: datetime, span: timedelta, price: timedelta = PRICE) -> list[datetime]:
    """When a feed whose rhythm stays as it is is polled from `start` on."""
    planned, times = start, []
    while planned < start + span:
        times.append(planned)
        planned += cadence.interval(state, None, planned, price)
    return times


# ------------------------------------------------------------------------------------ rhythm


@pytest.mark.parametrize(
    ("ages", "per_day"),
    [
        pytest.param([], None, id="no dates"),
        pytest.param([HOUR], None, id="one date"),
        pytest.param([HOUR * n for n in range(24)], 20 / (19 / 24), id="hourly: the newest twenty count"),
        pytest.param([DAY, 2 * DAY], 2 / (48.9 / 24), id="daily"),
        pytest.param([10 * DAY, 10 * DAY], 2 / (240.9 / 24), id="silent for ten days"),
        pytest.param([-HOUR, -DAY, 2 * DAY], None, id="dates in the future do not count"),
        pytest.param([4 * MINUTE, 8 * MINUTE, 12 * MINUTE], 3 / (63 / 1440), id="a burst is no rhythm"),
        pytest.param([SECOND * 0] * 3, 3 / (51 / 1440), id="all at once"),
        pytest.param([SECOND * 0] * 20, 20 * 1440, id="very many at once: as if within a minute"),
    ],
)
def test_rhythm_of_a_first_document(ages: list[timedelta], per_day: float | None) -> None:
    dates = [NOW - age for age in ages]
    assert cadence.rhythm(dates, NOW) == pytest.approx(per_day)


def test_what_comes_while_a_feed_is_known_is_its_rhythm_and_no_burst() -> None:
    every_three = [NOW + 3 * MINUTE * n for n in range(-9, 11)]
    learned = cadence.learn(None, every_three[:10], NOW)
    first = cadence.rhythm(every_three[:10], NOW, learned)
    half = cadence.rhythm(every_three[5:15], NOW + 15 * MINUTE, learned)
    whole = cadence.rhythm(every_three[10:], NOW + 30 * MINUTE, learned)
    assert first == pytest.approx(10 / (27 + 30) * 1440)
    assert half == pytest.approx(10 / (27 + 15) * 1440)
    assert whole == pytest.approx(10 / 27 * 1440)


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
    for week in (None, profile(hours=(12, 13))):
        later = cadence.rhythm(dates, NOW + 5 * HOUR, week)
        now = cadence.rhythm(dates, NOW, week)
        assert cadence.carried_on(now, 10, 0, NOW, NOW + 5 * HOUR, week) == pytest.approx(later)


@pytest.mark.parametrize(
    ("per_day", "length", "new", "elapsed", "expected"),
    [
        pytest.param(None, 10, 0, HOUR, None, id="nothing is known, nothing came"),
        pytest.param(None, 10, 1, HOUR, 24, id="nothing was known: weighed against an entry an hour"),
        pytest.param(48, 20, 1, HOUR / 2, 48, id="as expected"),
        pytest.param(48, 20, 2, HOUR / 2, 20 / (18 / 48 + 1 / 48), id="twice as many"),
        pytest.param(48, 20, 0, DAY, 20 / (20 / 48 + 1), id="silence"),
        pytest.param(48, 1, 1, DAY, 1, id="a document of one entry: the last pause"),
        pytest.param(48, None, 1, DAY, 1, id="likewise where its length is not known"),
        pytest.param(48, 20, 40, HOUR, 960, id="more than a document shows"),
        pytest.param(48, 20, 20, SECOND, 20 * 288, id="very many at once: as if within five minutes"),
    ],
)
def test_what_is_new_carries_the_rhythm_on(
    per_day: float | None, length: int | None, new: int, elapsed: timedelta, expected: float | None
) -> None:
    assert cadence.carried_on(per_day, length, new, NOW, NOW + elapsed) == pytest.approx(expected)


def test_silence_at_an_hour_that_is_always_silent_hardly_slows_down() -> None:
    morning = profile(hours=(6, 7, 8))
    noon_to_four = cadence.carried_on(24.0, 20, 0, NOW, NOW + 4 * HOUR, morning)
    six_to_ten = cadence.carried_on(24.0, 20, 0, NOW - 6 * HOUR, NOW - 2 * HOUR, morning)
    assert noon_to_four == pytest.approx(24.0, rel=0.01)
    assert six_to_ten == pytest.approx(24.0 / 2, rel=0.1)


# ----------------------------------------------------------------------------------- profile


def weekday_mornings(weeks: int, end: datetime = NOW) -> list[datetime]:
    """Six entries from 6 to 8 on every working day of the weeks before `end`."""
    midnight = end.replace(hour=0, minute=0)
    days = [midnight - DAY * n for n in range(7 * weeks, -1, -1)]
    hours = (6.0, 6.4, 6.8, 7.2, 7.6, 7.9)
    return [day + hour * HOUR for day in days if day.weekday() < 5 for hour in hours]


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([], id="from its first document"),
        pytest.param([DAY * n for n in range(27, 0, -1)], id="from a document a day"),
        pytest.param([HOUR * n for n in range(27 * 24, 0, -1)], id="from a document an hour"),
    ],
)
def test_a_profile_learns_working_days_and_mornings(steps: list[timedelta]) -> None:
    dates = weekday_mornings(4)
    learned = None
    for now in [*(NOW - step for step in steps), NOW]:
        learned = cadence.learn(learned, [date for date in dates if date <= now][-30 if steps else 0 :], now)
    hours, days = cadence.factors(learned)
    assert min(hours[6], hours[7]) > 5
    assert max(hours[10:24]) < 0.4
    assert min(days[:5]) > 1.04
    assert max(days[5:]) < 0.6


def test_an_entry_counts_once() -> None:
    dates = weekday_mornings(4)
    once = cadence.learn(None, dates, NOW)
    assert cadence.learn(once, dates, NOW + HOUR) == once
    assert cadence.learn(once, dates[:10], NOW + 9 * DAY) == once
    assert cadence.learn(once, [NOW + DAY], NOW) == once, "dates in the future do not count"
    twice = cadence.learn(once, [*dates, NOW + MINUTE], NOW + HOUR)
    assert once is not None
    assert twice is not None
    assert twice.newest == NOW + MINUTE
    assert sum(twice.hours) == pytest.approx(sum(once.hours), rel=0.02)


@pytest.mark.parametrize(
    "dates",
    [
        pytest.param([], id="nothing"),
        pytest.param([NOW + DAY], id="the future"),
        pytest.param([NOW - MINUTE * n for n in range(50)], id="less than a day"),
        pytest.param([NOW - 400 * DAY], id="a single entry, long ago"),
        pytest.param([NOW - HOUR * n for n in range(24 * 28)], id="every hour"),
    ],
)
def test_what_teaches_nothing_leaves_the_profile_flat(dates: list[datetime]) -> None:
    hours, days = cadence.factors(cadence.learn(None, dates, NOW))
    assert hours == pytest.approx([1.0] * 24, abs=0.05)
    assert days == pytest.approx([1.0] * 7, abs=0.05)


def test_a_profile_follows_a_feed_that_changes_its_hours() -> None:
    learned = cadence.learn(None, weekday_mornings(4), NOW)
    for day in range(1, 43):
        evening = [NOW + DAY * day + HOUR * n for n in (6, 6.5, 7, 7.5)]  # 18 to 20 o'clock
        learned = cadence.learn(learned, evening, NOW + DAY * day + 8 * HOUR)
    hours, _ = cadence.factors(learned)
    assert min(hours[18], hours[19]) > 3 * max(hours[6], hours[7])


# ---------------------------------------------------------------------------------- interval


@pytest.mark.parametrize(
    ("per_day", "price", "expected"),
    [
        pytest.param(96, 15 * MINUTE, HOUR / 8**0.5, id="√(2·price/rate)"),
        pytest.param(96, HOUR, HOUR / 2**0.5, id="four times the price: twice the interval"),
        pytest.param(24, 2 * HOUR, 2 * HOUR, id="hourly entries at two hours"),
        pytest.param(6, 2 * HOUR, 4 * HOUR, id="a quarter of the rate: twice the interval"),
    ],
)
def test_an_interval_grows_with_the_root_of_the_price_and_shrinks_with_that_of_the_rate(
    per_day: float, price: timedelta, expected: timedelta
) -> None:
    state = feed(per_day, length=1000)
    assert cadence.interval(state, None, NOW, price) / expected == pytest.approx(1)


def test_polls_come_when_entries_do() -> None:
    state = feed(30, length=200, profile=profile(hours=(6, 7, 8), days=range(5)))
    monday = NOW - NOW.hour * HOUR - 2 * DAY
    week = polls(state, monday, 7 * DAY)
    working = [moment for moment in week if moment.weekday() < 5]
    morning = [moment for moment in working if 6 <= moment.hour <= 9]
    assert len(morning) > len(working) / 2
    assert len(working) / 5 > 1.5 * (len(week) - len(working)) / 2


def test_what_is_expected_after_a_quiet_night_shortens_the_guard() -> None:
    burst = feed(200, length=20, profile=profile(hours=(12,)))
    even = replace(burst, profile=None)
    dear = 100 * HOUR  # so that the guard alone decides
    assert cadence.interval(burst, None, NOW, dear) < cadence.interval(even, None, NOW, dear) / 2
    assert cadence.interval(burst, None, NOW + 3 * HOUR, dear) > cadence.interval(even, None, NOW, dear)


@pytest.mark.parametrize(
    ("state", "every", "expected"),
    [
        pytest.param(feed(288), None, HOUR / 24**0.5, id="when entries have waited for a quarter of an hour"),
        pytest.param(feed(2000), None, BUSIEST, id="at most every five minutes"),
        pytest.param(feed(6), None, 2**0.5 * HOUR, id="quiet: its own rhythm, over an hour"),
        pytest.param(feed(24), None, QUIET, id="quiet: at most hourly"),
        pytest.param(feed(0.01), None, SLOWEST, id="at least daily"),
        pytest.param(feed(96, length=3), None, 15 * MINUTE, id="a short document: before it is replaced"),
        pytest.param(feed(20, length=1), None, QUIET, id="a short document, quiet: hourly"),
        pytest.param(feed(None), None, HOUR, id="no dates: hourly"),
        pytest.param(feed(None, length=None, last_changed_at=None), None, HOUR, id="no document yet: hourly"),
        pytest.param(feed(4, validators=Validators()), None, SLOWEST, id="quiet without validators: daily"),
        pytest.param(
            feed(6, validators=Validators(last_modified="x")), None, 2**0.5 * HOUR, id="one validator will do"
        ),
        pytest.param(feed(288, validators=Validators()), None, HOUR / 24**0.5, id="busy without validators"),
        pytest.param(
            feed(4, length=3, validators=Validators()), None, 6 * HOUR, id="but before it is replaced"
        ),
        pytest.param(
            feed(6, validators=Validators(), hint=MINUTE), None, 2**0.5 * HOUR, id="a hint will do, too"
        ),
        pytest.param(
            feed(6, validators=Validators(), fresh_for=HOUR), None, 2**0.5 * HOUR, id="so will freshness"
        ),
        pytest.param(feed(96, hint=HOUR), None, HOUR, id="the publisher's wish"),
        pytest.param(feed(288, hint=MINUTE), None, HOUR / 24**0.5, id="a wish for haste is none"),
        pytest.param(feed(96, hint=DAY), None, 100 * MINUTE, id="a wish that would lose entries is cut"),
        pytest.param(feed(4, length=90, hint=30 * DAY), None, SLOWEST, id="a wish is heard up to a day"),
        pytest.param(feed(96, hint=DAY), SECOND, SECOND, id="every: is the operator's word"),
        pytest.param(feed(96), 30 * DAY, 30 * DAY, id="in both directions"),
    ],
)
def test_interval(state: FeedState, every: timedelta | None, expected: timedelta) -> None:
    assert cadence.interval(state, every, NOW) / expected == pytest.approx(1)


# --------------------------------------------------------------------------------- next poll


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"state": feed(12)}, HOUR, id="the interval"),
        pytest.param({"state": feed(12), "chance": 0.5}, 63 * MINUTE, id="and up to a tenth by chance"),
        pytest.param({"state": feed(96), "every": HOUR, "chance": 0.5}, HOUR, id="every: to the second"),
        pytest.param({"state": feed(96, fresh_until=NOW + HOUR)}, HOUR, id="not while it is fresh"),
        pytest.param({"state": feed(12, fresh_until=NOW - HOUR)}, HOUR, id="freshness that has ended"),
        pytest.param({"state": feed(4, fresh_until=NOW + 9 * DAY)}, 9 * DAY, id="fresh for days"),
        pytest.param(
            {"state": feed(96, fresh_until=NOW + DAY), "every": MINUTE}, MINUTE, id="every: over freshness"
        ),
        pytest.param({"state": feed(12, failures=0.25)}, 75 * MINUTE, id="a temporary failure"),
        pytest.param({"state": feed(None, failures=0.25)}, HOUR / 4, id="never read: soon again"),
        pytest.param({"state": feed(None, failures=0.75)}, 3 * HOUR / 4, id="a little later each time"),
        pytest.param({"state": feed(None, failures=1.0)}, 2 * HOUR, id="then as any other"),
        pytest.param({"state": feed(12, failures=2.0)}, 3 * HOUR, id="two hard failures"),
        pytest.param({"state": feed(4, failures=500.0)}, 2 * DAY, id="back-off ends at two days"),
        pytest.param({"state": feed(4, failures=9.0), "every": 5 * DAY}, 5 * DAY, id="but not under every:"),
        pytest.param({"state": feed(4, failures=1.0), "every": MINUTE}, 2 * MINUTE, id="back-off with every:"),
        pytest.param({"state": feed(4, status=FeedStatus.GONE, failures=1.0)}, GONE, id="gone: once a month"),
        pytest.param(
            {"state": feed(4, status=FeedStatus.GONE, failures=1.0), "every": MINUTE}, GONE, id="whatever every: says"
        ),
        pytest.param({"state": feed(96, failures=0.5), "retry_after": 3 * HOUR}, 3 * HOUR, id="Retry-After"),
        pytest.param({"state": feed(12, failures=0.5), "retry_after": MINUTE}, 90 * MINUTE, id="shorter than back-off"),
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


@pytest.mark.parametrize("every", [1, 2, 10, 3600])
@pytest.mark.parametrize(
    ("late", "takes"),
    [(0.0, 0.0), (0.004, 0.05), (0.7, 0.2), (0.999, 0.0001)],
    ids=lambda value: f"{value} s",
)
def test_a_fixed_interval_is_neither_stretched_nor_shortened(every: int, late: float, takes: float) -> None:
    state, due = feed(96), NOW
    for number in range(1, 11):
        began = due + late * SECOND
        state = cadence.next_poll(
            replace(state, last_polled_at=began), every=every * SECOND, now=began + takes * SECOND, chance=0.5
        )
        assert state.next_poll_at == NOW + number * every * SECOND
        due = state.next_poll_at


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        pytest.param(9.9, 10, id="in time"),
        pytest.param(10, 20, id="as the next is due"),
        pytest.param(12.3, 20, id="the poll takes longer than the interval: one is left out"),
        pytest.param(3 * 86_400 + 5, 3 * 86_400 + 10, id="the clock jumps: none is made up for"),
        pytest.param(-86_400, -86_390, id="the clock is put back: none is waited for"),
    ],
)
def test_a_fixed_interval_keeps_step(ended: float, expected: int) -> None:
    state = feed(96, last_polled_at=NOW + 0.25 * SECOND)
    planned = cadence.next_poll(state, every=10 * SECOND, now=NOW + ended * SECOND, chance=0.5)
    assert planned.next_poll_at == NOW + expected * SECOND


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
    state = feed(24, skip_hours=hours, skip_days=days, hint=90 * MINUTE)
    assert (NOW + wait(state)).strftime("%a %H:%M") == expected
    assert wait(state, every=90 * MINUTE) == 90 * MINUTE


def test_the_plan_is_noted_without_the_spread() -> None:
    planned = cadence.next_poll(feed(12), every=None, now=NOW, chance=0.9)
    assert planned.interval == HOUR


def test_every_kind_of_failure_has_a_weight() -> None:
    assert set(cadence.WEIGHTS) == set(FailureKind)
    assert set(cadence.WEIGHTS.values()) == {0.25, 0.5, 1.0}


# --------------------------------------------------------------------------------------- laws

durations = st.timedeltas(timedelta(), 60 * DAY)
intervals = st.none() | st.timedeltas(SECOND, 60 * DAY)
chances = st.floats(0, 1, exclude_max=True)
dates = st.lists(st.timedeltas(timedelta(), 60 * DAY).map(lambda age: NOW - age), min_size=1, max_size=12)
profiles = st.builds(
    lambda first, later: cadence.learn(cadence.learn(None, first, NOW - 20 * DAY), later, NOW), dates, dates
)
prices = st.timedeltas(SECOND, 100 * DAY)
states = st.builds(
    feed,
    per_day=st.none() | st.floats(1e-4, 1e5),
    length=st.none() | st.integers(0, 10_000),
    profile=st.none() | profiles,
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
    assert BUSIEST <= cadence.interval(state, None, NOW) <= SLOWEST


@given(states, intervals, chances, st.floats(0, 100))
def test_more_failures_never_mean_sooner(
    state: FeedState, every: timedelta | None, chance: float, more: float
) -> None:
    assume(state.failures or state.per_day is not None)  # what has never been read has failed
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
    assert cadence.interval(busy, None, NOW) <= cadence.interval(slow, None, NOW) * 1.000001


@given(st.floats(24, 288), st.integers(3, 200), st.floats(1, 3))
def test_nothing_scrolls_out_unseen_in_a_burst(per_day: float, length: int, burst: float) -> None:
    state = feed(per_day, length=length, hint=DAY)
    coming = burst * per_day * (cadence.interval(state, None, NOW) / DAY)
    assert coming <= length * 1.001


@given(states, prices, st.floats(1, 100))
def test_the_dearer_a_request_the_fewer(state: FeedState, price: timedelta, dearer: float) -> None:
    cheap = cadence.interval(state, None, NOW, price)
    assert cadence.interval(state, None, NOW, price * dearer) >= cheap - SECOND
    expected = cadence.outlook(state, None)
    assert expected.requests(price * dearer) <= expected.requests(price)
    assert expected.delay(price * dearer) >= expected.delay(price) * 0.1


@given(dates, dates, st.integers(0, 59))
def test_a_profile_is_a_mean_around_one(first: list[datetime], later: list[datetime], minute: int) -> None:
    now = NOW + minute * MINUTE
    learned = cadence.learn(cadence.learn(None, first, now - 20 * DAY), later, now)
    assert learned is not None
    hours, days = cadence.factors(learned)
    assert sum(hours) == pytest.approx(24)
    assert sum(days) == pytest.approx(7)
    assert min(*hours, *days) > 0
    assert learned.since <= learned.newest <= now


@given(profiles, st.floats(0, 24 * 60))
def test_a_week_is_a_week_for_any_profile(week: Profile | None, minutes: float) -> None:
    start = NOW + minutes * MINUTE
    slower = cadence.carried_on(24.0, 20, 0, start, start + 7 * DAY, week)
    assert slower == pytest.approx(cadence.carried_on(24.0, 20, 0, start, start + 7 * DAY))


# ------------------------------------------------------------------------------------- budget


def a_set() -> list[FeedState]:
    """Feeds from an entry a month to one every six minutes, some with their own hours."""
    rates = [0.03, 0.1, 0.3, 0.9, 1, 2, 4, 7, 11, 20, 30, 45, 80, 120, 240]
    weeks = [None, profile(hours=range(5, 20)), profile(hours=range(8, 18), days=range(5))]
    return [feed(rate, length=40, profile=week) for rate in rates for week in weeks]


@pytest.mark.parametrize("budget", [300, 600, 1200, 1800])
def test_a_budget_is_kept_within_a_twentieth(budget: int) -> None:
    feeds = a_set()
    price = cadence.price([cadence.outlook(state, None) for state in feeds], budget)
    chance, made = Random(1), 0
    for state in feeds:
        now = NOW
        while now < NOW + 7 * DAY:
            planned = cadence.next_poll(state, every=None, now=now, chance=chance.random(), price=price)
            assert planned.next_poll_at is not None
            now = planned.next_poll_at
            made += 1
    assert made / 7 == pytest.approx(budget, rel=0.05)


def test_a_budget_pays_for_fixed_intervals_first() -> None:
    states = [cadence.outlook(state, None) for state in a_set()]
    alone = cadence.price(states, 500)
    beside = cadence.price([*states, cadence.outlook(feed(), HOUR)], 524)
    assert beside / alone == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    ("budget", "expected"),
    [
        pytest.param(0.5, SLOWEST, id="too small: every feed is asked daily all the same"),
        pytest.param(10**9, QUIET, id="too large: the floors hold"),
    ],
)
def test_a_budget_ends_at_the_floors(budget: float, expected: timedelta) -> None:
    state = feed(10, length=500)
    price = cadence.price([cadence.outlook(state, None)], budget)
    assert cadence.interval(state, None, NOW, price) == expected


def test_only_what_is_polled_takes_from_a_budget(tmp_path: Path) -> None:
    with open_store(tmp_path / "news.db") as store:
        wishes = [Subscription(f"https://{name}.example/feed", every=HOUR) for name in "ab"]
        store.subscribe(wishes, NOW)
        store.subscribe(wishes[:1], NOW)  # the other one is paused
        assert [(state.url, every) for state, every in store.polled()] == [(wishes[0].url, HOUR)]


def test_without_a_budget_a_request_has_its_own_price() -> None:
    assert cadence.price([cadence.outlook(feed(), None)], None) == PRICE
    assert cadence.price([], 100) > timedelta()


@pytest.mark.parametrize(
    ("state", "every", "requests", "delay"),
    [
        pytest.param(feed(96), HOUR, 24, 30 * MINUTE, id="every:"),
        pytest.param(feed(24), None, 24 / 1.05, 31.5 * MINUTE, id="hourly, and what chance adds"),
        pytest.param(feed(0.01), None, 1 / 1.05, 12.6 * HOUR, id="daily"),
        pytest.param(feed(96, fresh_for=DAY), None, 1, 12 * HOUR, id="fresh for a day"),
        pytest.param(feed(24, fresh_for=MINUTE), None, 24 / 1.05, 31.5 * MINUTE, id="fresh for no time"),
        pytest.param(feed(0.01, fresh_for=9 * DAY), None, 1 / 9, 4.5 * DAY, id="fresh for longer than a day"),
        pytest.param(feed(96, fresh_for=DAY), HOUR, 24, 30 * MINUTE, id="every: over freshness"),
    ],
)
def test_what_to_expect_of_a_feed(
    state: FeedState, every: timedelta | None, requests: float, delay: timedelta
) -> None:
    expected = cadence.outlook(state, every)
    assert expected.requests(PRICE) == pytest.approx(requests)
    assert expected.delay(PRICE) / delay == pytest.approx(1)


def test_what_stays_fresh_leaves_its_share_of_the_budget_to_others() -> None:
    fresh, others = [feed(96, length=200, fresh_for=DAY)] * 5, [feed(96, length=200)] * 5
    outlooks = [cadence.outlook(state, None) for state in (*fresh, *others)]
    price = cadence.price(outlooks, 125)
    assert [round(one.requests(price)) for one in outlooks] == [1] * 5 + [24] * 5


# ---------------------------------------------------------------------------------- benchmark


def test_ours_waits_less_than_others_at_the_same_number_of_requests() -> None:
    random = Random(3)
    observed = [
        weekday_mornings(3),
        [NOW - HOUR * (n + 0.8 * random.random()) for n in range(60)],
        [NOW - 7 * MINUTE * (n + 0.8 * random.random()) for n in range(50)][::-1],
        [NOW - DAY * (3 * n + random.random()) for n in range(20)],
        [NOW - DAY * (n + random.random() / 9) for n in range(30)],
    ]
    feeds = [benchmark.series(sorted(dates), 7, random) for dates in observed for _ in range(2)]
    fixed = benchmark.run(feeds, benchmark.fixed, 1.0, 7)
    mean = {
        "fixed": fixed,
        "miniflux": benchmark.tuned(lambda f: benchmark.run(feeds, benchmark.miniflux, f, 7), fixed.requests),
        "commafeed": benchmark.tuned(
            lambda f: benchmark.run(feeds, benchmark.commafeed, f, 7), fixed.requests
        ),
        "ours": benchmark.tuned(lambda f: benchmark.ours(feeds, fixed.requests / 10 / f, 7), fixed.requests),
        "oracle": benchmark.oracle(feeds, timedelta(), 7),
    }
    waited = {name: sum(result.delays) / len(result.delays) for name, result in mean.items()}
    assert mean["ours"].requests == pytest.approx(fixed.requests, rel=0.01)
    assert waited["ours"] <= 0.6 * waited["fixed"]
    assert waited["oracle"] < waited["ours"] < min(waited["miniflux"], waited["commafeed"])


def test_a_simulated_feed_has_the_rate_and_the_hours_of_the_observed_one() -> None:
    made = benchmark.series(weekday_mornings(3), 28, Random(1))
    inside = [moment for moment in made.published if moment >= benchmark.START]
    assert len(inside) == pytest.approx(6 * 20, rel=0.25)
    morning = [moment for moment in inside if 4 <= moment.hour < 10 and moment.weekday() < 5]
    assert len(morning) > 0.8 * len(inside)
    assert sum(moment < benchmark.START for moment in made.published) >= made.length
    assert list(made.published) == sorted(made.published)
