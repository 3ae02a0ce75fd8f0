"""When to poll next. Pure arithmetic: time and chance are arguments.

A feed without `every:` is asked when what it has probably published by then has waited, all entries
together, for as long as one request is worth: the *price*, one for the whole set. Where entries come at
a steady rate λ, that is every √(2·price/λ), which spends a given number of requests so that entries wait
least (K. C. Sia, J. Cho, H.-K. Cho: "Efficient Monitoring Algorithm for Fast News Alerts", IEEE TKDE
19(7), 2007). Where the rate changes over day and week, so do the polls. Floors weigh both sides: the
server's bandwidth, and entries that would scroll out of a short document unseen.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import sqrt

from aggregator.model import FailureKind, FeedState, FeedStatus, Profile

PRICE = timedelta(minutes=15)
"""What a request is worth while no budget says otherwise: it may spare entries so much waiting."""
BUSIEST = timedelta(minutes=5)
"""No feed is asked more often than this unless `every:` says so."""
QUIET = timedelta(hours=1)
"""A feed with an entry less often than this is never asked more often than this."""
SLOWEST = timedelta(days=1)
"""A working feed is asked at least this often, unless its server says it stays fresh for longer."""
UNKNOWN = 24.0
"""Entries a day that a feed is taken to have while its rhythm is not known."""
GONE = timedelta(days=30)
"""How often a feed that is gone for good (410) is looked at again."""
LONGEST_RETRY_AFTER = timedelta(hours=48)
"""A server's `Retry-After` is followed up to this."""
BACK_OFF_LIMIT = timedelta(days=2)
"""A failing feed is tried again at least this often."""
SPREAD = 0.1
"""Up to this share of the interval is added by chance, so that feeds do not move in step."""

_TEMPORARY, _SOFT, _HARD = 0.25, 0.5, 1.0
WEIGHTS = {
    FailureKind.DNS: _TEMPORARY,
    FailureKind.CONNECT: _TEMPORARY,
    FailureKind.TIMEOUT: _TEMPORARY,
    FailureKind.NETWORK: _TEMPORARY,
    FailureKind.INTERNAL: _TEMPORARY,
    FailureKind.RATE_LIMITED: _SOFT,
    FailureKind.CLIENT: _SOFT,  # feeds come back from 404
    FailureKind.SERVER: _SOFT,
    FailureKind.CHALLENGE: _SOFT,
    FailureKind.TLS: _HARD,
    FailureKind.ADDRESS: _HARD,
    FailureKind.REDIRECT: _HARD,
    FailureKind.TOO_LARGE: _HARD,
    FailureKind.ENCODING: _HARD,
    FailureKind.NOT_A_FEED: _HARD,
    FailureKind.GONE: _HARD,
}
"""How much a failure adds to `FeedState.failures`, and so to the back-off."""

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_SAMPLE = 20  # the newest entries tell the present rate
_MEMORY = 28.0  # days that the profile looks back
_MEMORY_ENTRIES = 50.0  # a quiet feed looks back further, lest it never know anything
_DOUBT = 24.0  # the profile of a feed begins flat, as if so many entries had been spread evenly
_FLAT = (1.0,) * 24, (1.0,) * 7

Factors = tuple[Sequence[float], Sequence[float]]
"""How much more than on average comes in each hour of the day, and on each day of the week."""

# ------------------------------------------------------------------------------------ learning


def learn(profile: Profile | None, published: Iterable[datetime], now: datetime) -> Profile | None:
    """The profile after a document with these dates; each entry counts once.

    Of the first document whole days before `now` count for the hours, and whole weeks for the days, so
    that each hour and each day has had the same chance. None where there is nothing to learn from.
    """
    moments = sorted(moment for moment in published if moment <= now)
    if not moments:
        return profile
    if profile is None:
        return _first(moments, now)
    fresh = [moment for moment in moments if moment > profile.newest]
    if not fresh:
        return profile
    newest = _whole(fresh[-1])
    passed_hours, passed_days = _passed(profile.newest, newest)
    known = _known(profile)
    hours = [moment.astimezone(UTC).hour for moment in fresh]
    weekdays = [moment.astimezone(UTC).weekday() for moment in fresh]
    return Profile(
        hours=_moved(profile.hours, passed_hours, hours, known, _memory(profile)),
        days=_moved(profile.days, passed_days, weekdays, known / 7, _memory(profile) / 7),
        since=profile.since,
        newest=newest,
    )


def _first(moments: Sequence[datetime], now: datetime) -> Profile:
    days, weeks = (now - moments[0]) // _DAY, (now - moments[0]) // _WEEK
    mean = len(moments) / max((now - moments[0]) / _DAY, 1.0)
    by_hour, by_day = [mean / 24] * 24, [mean] * 7
    if days:
        hours = [moment.astimezone(UTC).hour for moment in moments if now - moment < days * _DAY]
        by_hour = [(hours.count(hour) + mean / 24) / (days + 1) for hour in range(24)]
    if weeks:
        weekdays = [moment.astimezone(UTC).weekday() for moment in moments if now - moment < weeks * _WEEK]
        by_day = [(weekdays.count(day) + mean) / (weeks + 1) for day in range(7)]
    newest = _whole(moments[-1])
    return Profile(_rounded(by_hour), _rounded(by_day), min(_whole(now - days * _DAY), newest), newest)


def _moved(
    means: Sequence[float], passed: Sequence[float], places: Sequence[int], known: float, memory: float
) -> tuple[float, ...]:
    """Moving means of the entries in each hour or on each day, once those have passed again.

    Args:
        means: the means so far.
        passed: how often each has passed since.
        places: where entries have come.
        known: of how many times the means are.
        memory: of how many times they are at most.
    """
    moved = []
    for place, (mean, times) in enumerate(zip(means, passed, strict=True)):
        window = max(min(known + 1 + times, memory), times)
        moved.append(mean * (1 - times / window) + places.count(place) / window)
    return _rounded(moved)


def _memory(profile: Profile) -> float:
    """How many days a feed's profile looks back."""
    return max(_MEMORY, _MEMORY_ENTRIES / sum(profile.hours))


def _known(profile: Profile) -> float:
    """From how many days a feed's profile has been learned."""
    return min((profile.newest - profile.since) / _DAY, _memory(profile))


def _passed(start: datetime, end: datetime) -> tuple[list[float], list[float]]:
    """How often each hour of the day, and each day of the week, passes between two moments."""
    weeks, rest = divmod(max(end - start, timedelta()), _WEEK)
    by_hour, by_day = [weeks * 7.0] * 24, [float(weeks)] * 7
    for length, hour, day in _hours(start, rest):
        by_hour[hour] += length
        by_day[day] += length / 24
    return by_hour, by_day


def _rounded(means: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(f"{mean:.3g}") for mean in means)


def _whole(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)


def factors(profile: Profile | None) -> Factors:
    """The profile's hours and days around 1, smoothed: neighbouring hours lend each other half of theirs."""
    if profile is None:
        return _FLAT
    hours = profile.hours
    daily = sum(hours)
    evidence = daily * _known(profile)
    trust = evidence / (evidence + _DOUBT)
    doubt, scale = 1.0 - trust, trust * 6.0 / daily
    before, after = (hours[-1], *hours), (*hours[1:], hours[0])
    weekly = trust * 7.0 / sum(profile.days)
    return (
        [doubt + scale * (a + b + b + c) for a, b, c in zip(before, hours, after, strict=False)],
        [doubt + weekly * mean for mean in profile.days],
    )


def rhythm(published: Sequence[datetime], now: datetime, profile: Profile | None = None) -> float | None:
    """Entries a day, from the newest dates in a document; None where fewer than two can be used.

    The time since the newest entry counts: a feed that fell silent slows down. Hours in which the
    profile expects little count little. A few entries within minutes may be one burst: what lacks of a full sample
    counts as the time in which an unknown feed has one entry, the less the more have come while the feed is known.
    """
    newest = sorted((moment for moment in published if moment <= now), reverse=True)[:_SAMPLE]
    if len(newest) < 2:
        return None
    before = sum(profile is None or moment <= profile.since for moment in newest)
    doubt = (1 - len(newest) / _SAMPLE) * before / len(newest) / UNKNOWN
    span = _weighed(newest[-1], now, factors(profile)) / _DAY + doubt
    return len(newest) / max(span, timedelta(minutes=1) / _DAY)


def carried_on(
    per_day: float | None,
    length: int | None,
    new: int,
    since: datetime,
    now: datetime,
    profile: Profile | None = None,
) -> float | None:
    """The rhythm after the time from `since` to `now`, in which `new` entries came.

    It is that of the newest entries, as many as a document shows: the new ones came in that time, what is left of
    the others at the rhythm before.
    """
    if per_day is None and not new:
        return None
    sample = max(min(length or 1, _SAMPLE), new)
    elapsed = _weighed(since, now, factors(profile))
    before = (sample - new) / (per_day or UNKNOWN)
    return sample / (before + (max(elapsed, BUSIEST) if new else elapsed) / _DAY)


def _weighed(start: datetime, end: datetime, shape: Factors) -> timedelta:
    """The time between two moments, each hour as long as it is busy; a week is a week."""
    if shape is _FLAT:
        return max(end - start, timedelta())
    weeks, rest = divmod(max(end - start, timedelta()), _WEEK)
    by_hour, by_day = shape
    hours = sum(length * by_hour[hour] * by_day[day] for length, hour, day in _hours(start, rest))
    return weeks * _WEEK + hours * _HOUR


def _hours(start: datetime, span: timedelta) -> Iterator[tuple[float, int, int]]:
    """A span, hour by hour: how much of the hour is in it, the hour of the day, the day of the week (UTC)."""
    start = start.astimezone(UTC)
    hour, day, left = start.hour, start.weekday(), span / _HOUR
    length = _left(start)
    while left > 0:
        yield min(length, left), hour, day
        left -= length
        length = 1.0
        hour += 1
        if hour == 24:
            hour, day = 0, (day + 1) % 7


# ------------------------------------------------------------------------------------ planning


def interval(state: FeedState, every: timedelta | None, now: datetime, price: timedelta = PRICE) -> timedelta:
    """The time from `now` to the next poll of a feed that answers well."""
    if every is not None:
        return every
    per_day = state.per_day or UNKNOWN
    wish, guard = _awaited(per_day, factors(state.profile), now, price, max(state.length or 1, 1) / 3)
    return _bounded(state, wish, guard)


def _awaited(
    per_day: float, shape: Factors, now: datetime, price: timedelta, enough: float
) -> tuple[timedelta, timedelta]:
    """When entries will have waited for `price` in all, and when there will be `enough`; up to `SLOWEST`."""
    per_hour, worth, longest = per_day / 24, price / _HOUR, SLOWEST / _HOUR
    wish = guard = longest
    elapsed = entries = waited = 0.0
    for length, busy in _day_ahead(now, shape):
        rate = per_hour * busy
        more = entries + rate * length
        # Each of n entries waits an hour an hour, and more join them: waited + n·t + rate·t²/2.
        longer = waited + (entries + more) / 2 * length
        if longer >= worth and wish == longest:
            missing = worth - waited  # the greater root, in the form that is exact near a rate of 0, too
            wish = elapsed + 2 * missing / (entries + sqrt(entries * entries + 2 * rate * missing))
        if more >= enough and guard == longest:
            guard = elapsed + (enough - entries) / rate
        if wish < longest and guard < longest:
            break
        elapsed, entries, waited = elapsed + length, more, longer
    return min(wish, longest) * _HOUR, min(guard, longest) * _HOUR


def _day_ahead(now: datetime, shape: Factors) -> Iterator[tuple[float, float]]:
    """The next 24 hours and a bit: how much of each hour is left, and its factor."""
    now = now.astimezone(UTC)
    by_hour, by_day = shape
    hour, today, tomorrow = now.hour, by_day[now.weekday()], by_day[(now.weekday() + 1) % 7]
    factors = [busy * today for busy in by_hour[hour:]] + [busy * tomorrow for busy in by_hour[: hour + 1]]
    return zip((_left(now), *(1.0,) * 24), factors, strict=True)


def _left(moment: datetime) -> float:
    """How much of its hour is still to come."""
    return 1.0 - (moment.minute * 60 + moment.second + moment.microsecond / 1e6) / 3600


def _bounded(state: FeedState, wish: timedelta, guard: timedelta) -> timedelta:
    """An interval within the floors.

    `guard` is a third of the time in which a whole document is replaced: nothing scrolls out unseen,
    even in a burst of three times the usual rhythm.
    """
    floor = QUIET if (state.per_day or UNKNOWN) <= _DAY / QUIET else BUSIEST
    conditional = state.validators.etag or state.validators.last_modified
    if floor == QUIET and not conditional and state.hint is None and state.fresh_for is None:
        wish = SLOWEST  # every poll would cost the server a whole document
    if state.hint is not None:
        wish = max(wish, state.hint)
    return min(max(min(wish, guard), floor), SLOWEST)


@dataclass(frozen=True, slots=True)
class Outlook:
    """How a feed's cadence follows the price, on average over a week.

    Attributes:
        pace: its interval, in hours, at a price of one hour; it grows with the square root of the price.
        fastest, slowest: what the floors, and how long its answers stay fresh, make of that at the least and at
            the most, in hours.
        gain: how much sooner entries are read than at even intervals, for polls go where they are.
    """

    pace: float
    fastest: float
    slowest: float
    gain: float = 1.0

    def requests(self, price: timedelta) -> float:
        """Requests a day."""
        return 24 / self._hours(price / _HOUR)

    def delay(self, price: timedelta) -> timedelta:
        """How long an entry is expected to wait, on average, from its publication until it is read."""
        hours = self._hours(price / _HOUR)
        free = self.fastest < hours < self.slowest
        return hours / 2 * (self.gain if free else 1.0) * _HOUR

    def _hours(self, price: float) -> float:
        return min(max(self.pace * sqrt(price), self.fastest), self.slowest)


def outlook(state: FeedState, every: timedelta | None) -> Outlook:
    """What to expect of a feed while it answers well; hours left out and back-off do not count."""
    if every is not None:
        return Outlook(every / _HOUR, every / _HOUR, every / _HOUR)
    per_hour = (state.per_day or UNKNOWN) / 24
    # Polls follow the square root of the rate, and so does their number: hours and days are independent.
    by_hour, by_day = factors(state.profile)
    share = sum(map(sqrt, by_hour)) / 24 * sum(map(sqrt, by_day)) / 7
    guard = min(max(state.length or 1, 1) / 3 / per_hour, SLOWEST / _HOUR) * _HOUR
    spread = 1 + SPREAD / 2
    fresh = (state.fresh_for or timedelta()) / _HOUR
    return Outlook(
        pace=sqrt(2 / per_hour) / share * spread,
        fastest=max(_bounded(state, timedelta(), guard) / _HOUR * spread, fresh),
        slowest=max(_bounded(state, SLOWEST, guard) / _HOUR * spread, fresh),
        gain=share * share,
    )


def price(outlooks: Sequence[Outlook], budget: float | None) -> timedelta:
    """The price at which a set of feeds is asked `budget` times a day; `PRICE` where there is none.

    What the floors ask is spent even where that is more, and what they allow is a limit, too.
    """
    if budget is None:
        return PRICE
    low, high = 1e-6, 1e6  # hours; no set's price lies outside
    while high / low > 1.001:
        middle = sqrt(low * high)
        if sum(24 / feed._hours(middle) for feed in outlooks) > budget:
            low = middle
        else:
            high = middle
    return high * _HOUR


def next_poll(
    state: FeedState,
    *,
    every: timedelta | None,
    now: datetime,
    chance: float,
    retry_after: timedelta | None = None,
    price: timedelta = PRICE,
) -> FeedState:
    """The state with its next poll planned.

    Args:
        state: after the poll, its `failures` already counted.
        every: the operator's fixed interval.
        now: the end of the poll; `state.last_polled_at` is its beginning.
        chance: from [0, 1), for the spread.
        retry_after: what a failing server asked for; never undercut, up to `LONGEST_RETRY_AFTER`.
        price: what a request is worth.
    """
    planned = interval(state, every, now, price)
    if state.status is FeedStatus.GONE:
        planned = max(planned, GONE)
    elif state.failures:
        # Linear, not exponential: with intervals of hours, doubling ends in weeks at once. Where a feed has
        # never been read, it may be our own network that is not up yet: the first tries come sooner.
        never_read = every is None and state.last_success_at is None and state.per_day is None
        times = state.failures if never_read and state.failures < 1 else 1 + state.failures
        planned = max(min(planned * times, max(planned, BACK_OFF_LIMIT)), min(planned, BUSIEST))
    if planned == every:
        due = _in_step(state.last_polled_at or now, every, now)
    else:
        due = now + planned * (1 + (SPREAD * chance if every is None else 0))
    if retry_after is not None:
        due = max(due, end_of_pause(retry_after, now, chance))
    if every is None:
        if state.fresh_until is not None:
            due = max(due, state.fresh_until)
        due = _allowed(due, state.skip_hours, state.skip_days)
    return replace(state, interval=planned, next_poll_at=_rounded_up(due))


def end_of_pause(retry_after: timedelta, now: datetime, chance: float) -> datetime:
    """When whoever asked for a pause may be asked again: never earlier than it says, up to `LONGEST_RETRY_AFTER`."""
    return _rounded_up(now + min(retry_after, LONGEST_RETRY_AFTER) * (1 + SPREAD * chance))


def _rounded_up(due: datetime) -> datetime:
    """A time in whole seconds, as the store keeps it; cut off, it would be too early."""
    return due.replace(microsecond=0) + timedelta(seconds=1) if due.microsecond else due


def _in_step(began: datetime, every: timedelta, now: datetime) -> datetime:
    """The first time after now that lies whole intervals from the second in which a poll began.

    So what polls take does not add up, and what is missed meanwhile is not made up for.
    """
    began = began.replace(microsecond=0)
    return began + ((now - began) // every + 1) * every


def _allowed(due: datetime, skip_hours: Sequence[int], skip_days: Sequence[int]) -> datetime:
    """The first time from `due` on that the publisher does not ask to leave out (RSS 2.0, skipHours, skipDays)."""
    if len(set(skip_hours)) >= 24 or len(set(skip_days)) >= 7:
        return due  # they would leave nothing, and so mean nothing
    moment = due.astimezone(UTC)
    for _ in range(24 * 8):
        if moment.weekday() not in skip_days and moment.hour not in skip_hours:
            return moment
        moment = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return due
