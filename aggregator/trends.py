"""How much the press tells of a topic: a daily index, and the days that stand out.

After the Geopolitical Risk index (Caldara, Iacoviello: *Measuring Geopolitical Risk*, American Economic Review
112(4), 2022): the share of a topic among all articles, rescaled to a mean of 100 over a baseline. Theirs stands on a
fixed set of newspapers; feeds come and go. So each feed is compared with itself: a day's hits are divided by the
hits that the same day's articles would hold, each feed's at its own share. This ratio of *observed* to *expected*
(indirect standardisation) is the most likely common rise of all feeds if hits are Poisson. A feed that is silent is
in neither of the two; a new one counts once its own share is past.

docs/trends.md tells it to users.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from html import escape
from math import fsum, sqrt
from statistics import fmean, median
from typing import TypeVar

from aggregator.model import (
    Category,
    Count,
    Index,
    IndexDay,
    Leading,
    OutputFeed,
    Past,
    Period,
    StoredEntry,
    TrendDay,
    Weight,
)

BASELINE = 28
"""How many days the baseline has unless the operator chooses one: whole weeks, so that each weekday counts alike."""
LEAST_HITS = 20
"""How many hits it holds at least: its mean is then sure to about a quarter."""
LEARNING = 28
"""On how many days a new feed publishes before it counts."""

HISTORY = 56
"""By how many days before it a day is judged."""
LEAST_HISTORY = 28
"""On how many of them the index must have a value."""
UNUSUAL = 3.5
"""From what score a day is unusual (Iglewicz, Hoaglin: *How to Detect and Handle Outliers*, ASQC 1993)."""

OUTPUT = OutputFeed("unusual", title="Unusual days")
"""The feed of the days that stand out."""

Key = TypeVar("Key", int, date)

DAY = timedelta(days=1)

_ROUNDS = 100
_NORMAL = 1.4826
"""What makes the median deviation of normal values their standard deviation."""


# ---------------------------------------------------------------------------------- the index


def index(counts: Iterable[Count], *, baseline: Period | None = None, past: Past | None = None) -> Index:
    """The index that counts make.

    Args:
        counts: of all feeds and days, in any order. Where there is a `past`: of all feeds from then on, and the
            earlier ones of feeds without a weight.
        baseline: the days whose mean is to be 100; None: the first four weeks with enough in them.
        past: what is known of earlier days; the result is as if all were computed anew.

    Returns:
        All weights, and the days from the baseline's first one on, or those that were not past. Without a baseline
        while there is too little for one.
    """
    days: dict[date, list[Count]] = defaultdict(list)
    for count in counts:
        if count.total:
            days[count.day].append(count)
    if past is None:
        period = baseline or _first_baseline(days)
        shares = _shares(days, period) if period else {}
        if period is None or not any(shares.values()):
            return Index()
        weights = tuple(Weight(feed_id, period.first, share) for feed_id, share in sorted(shares.items()))
        past = Past(period.first, period, weights, {})
    return _followed(days, past)


def _followed(days: Mapping[date, Sequence[Count]], past: Past) -> Index:
    """The index day by day; on the way, feeds without a weight learn theirs from it."""
    weights = list(past.weights)
    shares = {weight.feed_id: weight.share for weight in weights}
    lessons: dict[int, list[tuple[int, float]]] = defaultdict(list)  # a day's hits; articles times index
    found = []
    for day in sorted(day for day in days if day >= past.baseline.first):
        if day < past.since:
            value = past.values.get(day)
        else:
            counting = [count for count in days[day] if count.feed_id in shares]
            expected = fsum(shares[count.feed_id] * count.total for count in counting)
            found.append(IndexDay(day, sum(count.hits for count in counting), expected))
            value = found[-1].value
        if value is None:
            continue
        for count in sorted(days[day], key=lambda count: count.feed_id):
            if count.feed_id in shares:
                continue
            learned = lessons[count.feed_id]
            learned.append((count.hits, count.total * value / 100))
            exposure = fsum(part for _, part in learned)
            if len(learned) >= LEARNING and exposure:
                share = sum(hits for hits, _ in learned) / exposure
                weights.append(Weight(count.feed_id, day + DAY, share))
                shares[count.feed_id] = share
    return Index(past.baseline, tuple(weights), tuple(found))


def _first_baseline(days: Mapping[date, Sequence[Count]]) -> Period | None:
    """The first days in a row, as many as a baseline has, in which the feeds that publish steadily have enough hits."""
    if not days:
        return None
    hits = {day: sum(count.hits for count in counts) for day, counts in days.items()}
    first, newest = min(days), max(days)
    while (last := first + (BASELINE - 1) * DAY) <= newest:
        period = Period(first, last)
        if sum(hits.get(day, 0) for day in _days(period)) >= LEAST_HITS:  # most often not: spares the rest
            steady = _steady(days, period)
            if sum(count.hits for count in _within(days, period) if count.feed_id in steady) >= LEAST_HITS:
                return period
        first += DAY
    return None


def _shares(days: Mapping[date, Sequence[Count]], period: Period) -> dict[int, float]:
    """Each steady feed's share of hits in the baseline, such that the index has a mean of 100 there.

    Hits are taken as Poisson with mean `total * share of the feed * rate of the day`. Its likelihood is at its
    maximum where each feed's and each day's hits are what is expected of them, and one is found from the other in
    turns. Where all feeds publish every day, at their own pace, the first turn has it.
    """
    steady = _steady(days, period)
    counts = [count for count in _within(days, period) if count.feed_id in steady]
    rates = dict.fromkeys((count.day for count in counts), 1.0)
    shares = dict.fromkeys(sorted(steady), 0.0)
    for _ in range(_ROUNDS):
        before = shares
        shares = _ratios((c.feed_id, c.hits, c.total * rates[c.day]) for c in counts)
        rates = _ratios((c.day, c.hits, c.total * shares[c.feed_id]) for c in counts)
        if all(abs(share - before[feed_id]) <= 1e-12 * share for feed_id, share in shares.items()):
            break
    told = {count.day for count in counts if shares[count.feed_id]}
    scale = fmean(rates[day] for day in told) if told else 0.0
    return {feed_id: share * scale for feed_id, share in shares.items()}


def _ratios(parts: Iterable[tuple[Key, int, float]]) -> dict[Key, float]:
    """Of each key, the sum of hits by the sum of what they stand against; 0 where that is nothing."""
    hits: Counter[Key] = Counter()
    against: dict[Key, list[float]] = defaultdict(list)
    for key, some, weight in parts:
        hits[key] += some
        against[key].append(weight)
    return {key: hits[key] / whole if (whole := fsum(weights)) else 0.0 for key, weights in against.items()}


def _steady(days: Mapping[date, Sequence[Count]], period: Period) -> set[int]:
    """The feeds that published on half of a period's days or more."""
    published = Counter(count.feed_id for count in _within(days, period))
    length = (period.last - period.first) // DAY + 1
    return {feed_id for feed_id, number in published.items() if 2 * number >= length}


def _within(days: Mapping[date, Sequence[Count]], period: Period) -> Iterable[Count]:
    return (count for day in _days(period) for count in days.get(day, ()))


def _days(period: Period) -> Iterable[date]:
    return (period.first + number * DAY for number in range((period.last - period.first) // DAY + 1))


# -------------------------------------------------------------------------------- unusual days


def scores(days: Iterable[IndexDay], since: date | None = None) -> dict[date, float]:
    """How far each day is out of the ordinary.

    A day is judged by the eight weeks before it. On the square-root scale, where a count of any size varies alike,
    their median and its weekday's deviation from it say what to expect; the difference is divided by what counts
    vary by chance, or by what these varied, if that is more. So single hits where few are expected say little.

    Args:
        days: of one index.
        since: judge only the days from here on.

    Returns:
        The score of each day before which enough is known: about a standard normal value on ordinary days.
    """
    told = sorted((day for day in days if day.expected), key=lambda one: one.day)
    found = {}
    for number, one in enumerate(told):
        if since is None or one.day >= since:
            history = [
                before
                for before in told[max(0, number - HISTORY) : number]
                if one.day - before.day <= HISTORY * DAY
            ]
            if len(history) >= LEAST_HISTORY:
                found[one.day] = _score(one, history)
    return found


def unusual(days: Iterable[TrendDay]) -> tuple[TrendDay, ...]:
    """The days on which much more was told than is usual, in the given order."""
    return tuple(day for day in days if day.score is not None and day.score >= UNUSUAL)


def entry(day: TrendDay, leading: Sequence[Leading], title: str, home_url: str) -> StoredEntry:
    """An unusual day as an entry of the output feed.

    Args:
        day: the day, with a score.
        leading: what happened on it.
        title: of the topic.
        home_url: where readers reach us, without a trailing slash.
    """
    at = datetime.combine(day.day, time(), UTC)
    value = (
        f"the index stands at {day.index_value:.0f}" if day.index_value is not None else "far more than usual"
    )
    said = f"{day.articles} of {day.total_articles} articles are on {title}: {value}."
    items = "".join(
        f"<li>{_linked(one)} ({one.outlets} {'outlet' if one.outlets == 1 else 'outlets'})</li>"
        for one in leading
    )
    uid = f"unusual-{day.topic}-{day.day}"
    return StoredEntry(
        id=day.day.toordinal(),
        uid=uid,
        feed_id=0,
        feed_title=title,
        feed_url=f"{home_url}/trend",
        feed_site_url=f"{home_url}/trend",
        article_id=0,
        guid=None,
        url=f"{home_url}/trend?topic={day.topic}&days=365#day-{day.day}",
        title=f"{title}: {day.day:%d %B %Y} stands out",
        author=None,
        summary="",
        content=f"<p>{escape(said, quote=False)}</p>" + (f"<ul>{items}</ul>" if items else ""),
        text=" ".join([said, *(one.title for one in leading)]),
        language="en",
        published_at=at,
        updated_at=None,
        first_seen_at=at,
        changed_at=at,
        revision=1,
        categories=(Category(day.topic),),
        article_uid=uid,
    )


def _linked(one: Leading) -> str:
    title = escape(one.title, quote=False)
    return f'<a href="{escape(one.url)}">{title}</a>' if one.url else title


def _score(one: IndexDay, history: Sequence[IndexDay]) -> float:
    roots = [sqrt(before.observed / before.expected) for before in history]
    level = median(roots)
    rhythm = _rhythm(
        [(before.day.weekday(), root - level) for before, root in zip(history, roots, strict=True)]
    )

    def excess(day: IndexDay) -> float:
        """What a day has more than is usual, in standard deviations of a Poisson count (Anscombe 1948)."""
        usual = day.expected * max(0.0, level + rhythm.get(day.day.weekday(), 0.0)) ** 2
        return 2 * (sqrt(day.observed + 3 / 8) - sqrt(usual + 3 / 8))

    spread = _NORMAL * median(abs(excess(before)) for before in history)
    return excess(one) / max(1.0, spread)


def _rhythm(deviations: Sequence[tuple[int, float]]) -> dict[int, float]:
    """How each weekday (Monday is 0) deviates from the level; what chance explains of that is taken off.

    The median of `n` normal values varies by 1.25 of their deviation, by the square root of `n`; the positive part
    of James and Stein's estimator does the rest.
    """
    by_weekday: dict[int, list[float]] = defaultdict(list)
    for weekday, deviation in deviations:
        by_weekday[weekday].append(deviation)
    middles = {weekday: median(values) for weekday, values in by_weekday.items()}
    noise = _NORMAL * median(abs(deviation - middles[weekday]) for weekday, deviation in deviations)
    return {
        weekday: middle * max(0.0, 1 - (1.2533 * noise / middle) ** 2 / len(by_weekday[weekday]))
        for weekday, middle in middles.items()
        if middle
    }
