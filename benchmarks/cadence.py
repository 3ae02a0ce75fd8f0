"""How long entries wait until they are read: our cadence and others', at the same number of requests.

    python -m benchmarks.cadence FOLDER [--days 30] [--every HOURS]

FOLDER holds feed documents. Each with ten dated entries or more lends its rhythm to one simulated feed; see
`series` for how. Every strategy then polls all of them through the simulated time, knowing only the documents
it has read, and is tuned by one factor until it makes as many requests as the fixed interval does: the others'
intervals are multiplied by it, our budget is divided by it.
"""

import argparse
import heapq
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random
from statistics import fmean

from aggregator import cadence, parse
from aggregator.errors import ParseError
from aggregator.model import FeedState, Validators

START = datetime(2025, 11, 3, tzinfo=UTC)  # a Monday
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
ENOUGH = 10
BUSIEST = 500.0  # entries a day; above stand documents whose dates are the time they were made at
PRIOR = 0.5  # entries by which an hour that was hardly observed is taken to be like the average
AGREE = 0.005  # how equal numbers of requests are

# ---------------------------------------------------------------------------------- the feeds


@dataclass(frozen=True, slots=True)
class Series:
    """When a simulated feed publishes.

    Attributes:
        published: in order; some of them before `START`, for the first document.
        length: entries in its document.
    """

    published: Sequence[datetime]
    length: int


def observed(folder: Path, least: float) -> Iterator[Sequence[datetime]]:
    """The dates in each document of a folder that has enough of them and `least` entries a day or more."""
    for path in sorted(folder.iterdir()):
        try:
            parsed = parse.parse(path.read_bytes(), url=f"https://feeds.example/{path.name}")
        except (ParseError, OSError):
            continue
        dates = sorted(
            date for entry in parsed.entries if (date := entry.published_at or entry.updated_at) is not None
        )
        if len(dates) >= ENOUGH and len(set(dates)) > len(dates) / 2:
            per_day = (len(dates) - 1) / ((dates[-1] - dates[0]) / DAY)
            if least <= per_day <= BUSIEST:
                yield dates


def series(dates: Sequence[datetime], days: float, random: Random) -> Series:
    """A simulated feed with the rate, the hours and the gaps of an observed one.

    The observed dates give the rate of each hour of the day and, if they span two weeks, of each weekday,
    drawn towards the average where little was observed. By these rates time is stretched until the feed
    would publish evenly; the gaps between its dates there, bursts and simultaneous entries included, are
    drawn again at random and mapped back. So no simulated week repeats another.
    """
    rates = hourly(dates)
    weeks = [0.0, *accumulate(rates)]  # stretched hours since Monday 00:00

    def stretched(moment: datetime) -> float:
        week, rest = divmod(moment - START, WEEK)
        hour = rest / HOUR
        return week * weeks[-1] + weeks[int(hour)] + (hour - int(hour)) * rates[int(hour)]

    def moment(stretched: float) -> datetime:
        week, rest = divmod(stretched, weeks[-1])
        hour = min(bisect_right(weeks, rest) - 1, 167)
        return START + week * WEEK + (hour + (rest - weeks[hour]) / rates[hour]) * HOUR

    gaps = [after - before for before, after in pairwise(map(stretched, dates))]
    places = [0.0]
    for _ in dates:
        places.append(places[-1] - random.choice(gaps))
    places.reverse()
    end = stretched(START + days * DAY)
    place = random.choice(gaps) * random.random()
    while place < end:
        places.append(place)
        place += random.choice(gaps)
    return Series([moment(place) for place in places[:-1] if place != 0.0], len(dates))


def hourly(dates: Sequence[datetime]) -> list[float]:
    """How busy each hour of the week is; 1 on average."""
    span = dates[-1] - dates[0]
    seen = [[0.0] * 24, [0.0] * 7]
    watched = [[0.0] * 24, [0.0] * 7]
    for date in dates:
        seen[0][date.hour] += 1
        seen[1][date.weekday()] += 1
    step = max(span / 5000, timedelta(minutes=6))
    moments = [dates[0] + step * n for n in range(int(span / step) + 1)]
    for moment in moments:
        watched[0][moment.hour] += len(dates) / len(moments)
        watched[1][moment.weekday()] += len(dates) / len(moments)
    if span < 2 * WEEK:
        seen[1] = watched[1]
    for counts in (seen, watched):  # an hour is like those around it
        counts[0] = [
            fmean(counts[0][(hour + n) % 24] for n in (-2, -1, -1, 0, 0, 0, 1, 1, 2)) for hour in range(24)
        ]
    by_hour, by_day = (
        [(n + PRIOR) / (expected + PRIOR) for n, expected in zip(*pair, strict=True)]
        for pair in zip(seen, watched, strict=True)
    )
    rates = [day * hour for day in by_day for hour in by_hour]
    return [rate / fmean(rates) for rate in rates]


# ----------------------------------------------------------------------------- the strategies


Rule = Callable[[Series, int, datetime], timedelta]
"""From a feed, how many of its entries have been read, and the time: when to come again."""


def fixed(_feed: Series, _seen: int, _now: datetime) -> timedelta:
    """The same for every feed."""
    return HOUR


def miniflux(feed: Series, seen: int, now: datetime) -> timedelta:
    """Miniflux's `entry_frequency` with its defaults: as often as entries came in the last week.

    Source: miniflux/v2 internal/model/feed.go, `ScheduleNextCheck`; 5 minutes to 24 hours, factor 1.
    """
    weekly = seen - bisect_right(feed.published, now - WEEK)
    return min(max(WEEK / weekly, 5 * HOUR / 60), DAY) if weekly else DAY


def commafeed(feed: Series, seen: int, now: datetime) -> timedelta:
    """CommaFeed's default since 5.6: half the average gap in the document, less often for silent feeds.

    Source: Athou/commafeed `FeedRefreshIntervalCalculator`; interval 5 minutes, max-interval 4 hours.
    """
    least, most = 5 * HOUR / 60, 4 * HOUR
    oldest, newest = feed.published[max(seen - feed.length, 0)], feed.published[seen - 1]
    silent = (now - newest).days
    if silent >= 30:
        return most
    if silent >= 14:
        return most / 2
    if silent >= 7:
        return most / 4
    return min(max((newest - oldest) / (feed.length - 1) / 2, least), most / 4)


# ------------------------------------------------------------------------------ the simulation


@dataclass(slots=True)
class Result:
    """What a run came to: the delay of each entry in hours, sorted, entries never read, requests."""

    delays: list[float] = field(default_factory=list)
    missed: int = 0
    requests: int = 0

    def read(self, feed: Series, seen: int, now: datetime, end: datetime) -> int:
        """Note a poll; returns how many entries of the feed have been published."""
        self.requests += now < end
        published = bisect_right(feed.published, now)
        self.delays.extend((now - moment) / HOUR for moment in feed.published[seen:published])
        self.missed += max(published - feed.length - seen, 0)
        return published


def run(feeds: Sequence[Series], rule: Rule, factor: float, days: float) -> Result:
    """What comes of `factor` times the intervals of a rule."""
    random, result, end = Random(2), Result(), START + days * DAY
    for feed in feeds:
        seen = bisect_right(feed.published, START)
        now = START
        interval = random.random() * rule(feed, seen, now) * factor
        while now < end:
            now += interval
            seen = result.read(feed, seen, now, end)
            interval = rule(feed, seen, now) * factor
    return result


def ours(feeds: Sequence[Series], budget: float, days: float, *, learning: bool = True) -> Result:
    """What comes of our cadence: all feeds side by side, the price found anew every hour as the daemon does."""
    random, result, end = Random(2), Result(), START + days * DAY
    states = [
        replace(
            _learned(FeedState("https://feeds.example/"), feed.published[: feed.length], START, learning),
            validators=Validators(etag='"1"'),
            length=feed.length,
        )
        for feed in feeds
    ]
    seen = [bisect_right(feed.published, START) for feed in feeds]
    priced = START - HOUR
    price = cadence.PRICE
    due: list[tuple[datetime, int]] = []
    for number, state in enumerate(states):
        due.append((START + random.random() * cadence.interval(state, None, START), number))
    heapq.heapify(due)
    while due:
        now, number = due[0]
        if now - priced >= HOUR:
            price = cadence.price([cadence.outlook(state, None) for state in states], budget)
            priced = now
        feed, state = feeds[number], states[number]
        published = result.read(feed, seen[number], now, end)
        if published > seen[number]:
            document = feed.published[max(published - feed.length, 0) : published]
            state = _learned(state, document, now, learning)
        else:
            since = state.last_polled_at or START
            slower = cadence.carried_on(state.per_day, state.length, 0, since, now, state.profile)
            state = replace(state, per_day=slower)
        seen[number] = published
        state = cadence.next_poll(
            replace(state, last_polled_at=now), every=None, now=now, chance=random.random(), price=price
        )
        states[number] = state
        assert state.next_poll_at is not None
        if now < end:
            heapq.heapreplace(due, (state.next_poll_at, number))
        else:
            heapq.heappop(due)
    return result


def _learned(state: FeedState, dates: Sequence[datetime], now: datetime, learning: bool) -> FeedState:
    profile = cadence.learn(state.profile, dates, now) if learning else None
    return replace(state, profile=profile, per_day=cadence.rhythm(dates, now, profile))


def oracle(feeds: Sequence[Series], gap: timedelta, days: float) -> Result:
    """A poll the moment the last of a row of entries is out that follow each other within `gap`."""
    result, end = Result(), START + days * DAY
    for feed in feeds:
        seen = bisect_right(feed.published, START)
        moments = [*feed.published[seen:], end + DAY]
        for moment, after in pairwise(moments):
            if after - moment > gap:
                seen = result.read(feed, seen, moment, end)
    return result


def tuned(run: Callable[[float], Result], target: int) -> Result:
    """The run that makes `target` requests; the greater its factor, the fewer it makes."""
    factor = 1.0
    for _ in range(8):
        result = run(factor)
        if abs(result.requests / target - 1) <= AGREE:
            break
        factor *= result.requests / target
    return result


# ---------------------------------------------------------------------------------- the report


def line(name: str, result: Result, base: Result) -> str:
    """One row of the table."""
    delays = sorted(result.delays)
    mean, median, high = fmean(delays), delays[len(delays) // 2], delays[int(len(delays) * 0.95)]
    return (
        f"{name:28}{result.requests:9}{mean * 60:8.1f}{median * 60:8.1f}{high * 60:8.1f}{result.missed:8}"
        f"{mean / fmean(base.delays):8.2f}"
    )


def main() -> None:
    """Run all strategies and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="feed documents")
    parser.add_argument("--days", type=float, default=30.0, help="simulated time")
    parser.add_argument("--every", type=float, default=1.0, help="the fixed interval, in hours")
    parser.add_argument(
        "--least", type=float, default=1 / 30, help="leave out feeds with fewer entries a day"
    )
    options = parser.parse_args()
    days, random = options.days, Random(1)
    feeds = [series(dates, days, random) for dates in observed(options.folder, options.least)]
    if not feeds:
        parser.error(f"{options.folder} has no feed with {ENOUGH} dated entries")

    base = run(feeds, fixed, options.every, days)
    budget = base.requests / days
    print(f"{len(feeds)} feeds, {len(base.delays)} entries, {days:g} days; delays in minutes\n")
    print(f"{'':28}{'requests':>9}{'mean':>8}{'median':>8}{'p95':>8}{'missed':>8}{'ratio':>8}")
    print(line(f"fixed, every {options.every:g} h", base, base))
    for name, rule in (("Miniflux, entry frequency", miniflux), ("CommaFeed, default", commafeed)):
        print(line(name, tuned(partial(_scaled, feeds, rule, days), base.requests), base))
    for name, learning in (("ours without its profile", False), ("ours", True)):
        print(line(name, tuned(partial(_budgeted, feeds, budget, days, learning), base.requests), base))
    print(line("oracle", oracle(feeds, timedelta(), days), base))
    spent = ours(feeds, budget, days).requests / days
    print(
        f"\nOurs with a budget of {budget:.0f} requests a day made {spent:.0f} ({spent / budget - 1:+.1%})."
    )


def _scaled(feeds: Sequence[Series], rule: Rule, days: float, factor: float) -> Result:
    return run(feeds, rule, factor, days)


def _budgeted(feeds: Sequence[Series], budget: float, days: float, learning: bool, factor: float) -> Result:
    return ours(feeds, budget / factor, days, learning=learning)


if __name__ == "__main__":
    main()
