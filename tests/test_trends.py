"""The trend: what moves the index and what does not, which days stand out, and what is written of them."""

import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import trends
from aggregator.count import count_trends
from aggregator.model import (
    Count,
    IndexDay,
    Measure,
    New,
    Past,
    Period,
    Sides,
    Subscription,
    Tag,
    TrendDay,
)
from aggregator.store import Share, Store, open_store
from aggregator.trends import BASELINE, LEARNING, LEAST_HITS, UNUSUAL, index, scores, unusual
from tests.test_store import entry, polled, sql

MONDAY = date(2025, 9, 1)
DAY = timedelta(days=1)

# ------------------------------------------------------------------------------ constructed series


def days(number: int, start: int = 0) -> list[date]:
    return [MONDAY + n * DAY for n in range(start, number)]


def feed(
    feed_id: int,
    share: float,
    *,
    total: int = 1000,
    on: Iterable[date] = (),
    rate: Callable[[date], float] = lambda _: 1.0,
) -> list[Count]:
    """A feed that tells its share of the topic, times the day's rate; exact where that makes whole numbers."""
    return [Count(day, feed_id, total, round(total * share * rate(day))) for day in on]


def values(counts: Iterable[Count], **given: Any) -> dict[date, float | None]:
    return {one.day: one.value for one in index(counts, **given).days}


def at_war(day: date) -> float:
    """Ordinary for six weeks, then three times as much."""
    return 1.0 if day < MONDAY + 42 * DAY else 3.0


TWO = [*feed(1, 0.1, on=days(70), rate=at_war), *feed(2, 0.02, on=days(70), rate=at_war)]
"""Two feeds, one much nearer to the topic than the other."""
FLAT = {day: 100 * at_war(day) for day in days(70)}
"""What the index is to make of them, and of whatever else does not change what is told."""


def test_the_mean_over_the_baseline_is_100() -> None:
    rates = [0.5, 1.0, 2.0, 1.5, 1.0, 0.0, 3.0]
    counts = [c for n in (1, 2) for c in feed(n, 0.1 / n, on=days(60), rate=lambda day: rates[day.weekday()])]
    found = index(counts)
    assert found.baseline == Period(MONDAY, MONDAY + (BASELINE - 1) * DAY)
    assert fmean(one.value or 0.0 for one in found.days[:BASELINE]) == pytest.approx(100)
    assert [one.value for one in found.days] == pytest.approx(
        [100 * rate / fmean(rates) for rate in rates] * 8 + [100 * rate / fmean(rates) for rate in rates[:4]]
    )


def test_the_mean_is_taken_over_days_not_over_articles() -> None:
    counts = [
        Count(day, 1, total, total * percent // 100)
        for day in days(60)
        for total, percent in [(9000, 1) if day.weekday() < 5 else (100, 15)]
    ]
    assert [round(value or 0) for value in values(counts).values()][:7] == [20, 20, 20, 20, 20, 300, 300]


def test_a_feed_that_joins_while_the_baseline_rises_is_compared_with_the_same_days_of_others() -> None:
    def rising(day: date) -> float:
        return 1.0 if day < MONDAY + 14 * DAY else 3.0

    counts = [*feed(1, 0.1, on=days(60), rate=rising), *feed(2, 0.02, on=days(60), rate=rising)]
    joined = [
        *counts,
        *feed(3, 0.2, on=days(60, start=10), rate=rising),
        *feed(4, 0.2, on=days(17), rate=rising),
    ]
    assert values(joined) == pytest.approx(values(counts))
    shares = {weight.feed_id: weight.share for weight in index(joined).weights}
    assert [shares[feed_id] for feed_id in (1, 2, 3, 4)] == pytest.approx([0.2, 0.04, 0.4, 0.4])


JOINED = days(70, start=20)  # in the midst of the baseline
LATER = days(70, start=35)

DISTURBANCES: Mapping[str, list[Count]] = {
    "nothing": TWO,
    "twice the feeds, each like another": [*TWO, *(replace(c, feed_id=c.feed_id + 10) for c in TWO)],
    "twice the articles of each feed": [replace(c, total=2 * c.total, hits=2 * c.hits) for c in TWO],
    "a big feed without the topic joins": [*TWO, *feed(3, 0.0, total=50_000, on=LATER)],
    "a big feed with little of it joins": [*TWO, *feed(3, 0.001, total=50_000, on=LATER, rate=at_war)],
    "a feed of nothing else joins": [*TWO, *feed(3, 0.3, on=LATER, rate=at_war)],
    "one joins in the midst of the baseline": [*TWO, *feed(3, 0.3, on=JOINED, rate=at_war)],
    "the nearest falls silent for a week": [
        c for c in TWO if c.feed_id == 2 or not MONDAY + 45 * DAY <= c.day < MONDAY + 52 * DAY
    ],
    "the nearest falls silent in the baseline": [
        c for c in TWO if c.feed_id == 2 or not MONDAY + 5 * DAY <= c.day < MONDAY + 12 * DAY
    ],
    "the nearest ends": [c for c in TWO if c.feed_id == 2 or c.day < MONDAY + 40 * DAY],
    "one feed takes over from another that ends": [
        *(c for c in TWO if c.feed_id == 2 or c.day < MONDAY + 65 * DAY),
        *feed(3, 0.2, on=LATER, rate=at_war),
    ],
    "a feed publishes ten times as much": [
        replace(c, total=10 * c.total, hits=10 * c.hits) if c.feed_id == 2 and c.day >= JOINED[0] else c for c in TWO
    ],
    "old entries of years ago": [*TWO, *(Count(MONDAY - n * 100 * DAY, 1, 1, 1) for n in range(1, 9))],
}  # fmt: skip


@pytest.mark.parametrize("counts", DISTURBANCES.values(), ids=DISTURBANCES)
def test_feeds_that_come_go_and_grow_do_not_move_it(counts: list[Count]) -> None:
    assert values(counts) == pytest.approx(FLAT)


@pytest.mark.parametrize(
    ("case", "day"),
    [
        ("twice the articles of each feed", None),
        ("a big feed without the topic joins", 60),
        ("a feed of nothing else joins", 60),
        ("the nearest falls silent for a week", 48),
        ("a feed publishes ten times as much", 60),
    ],
)
def test_the_plain_share_would_have_moved(case: str, day: int | None) -> None:
    """The cases above are none that anything would pass."""

    def share(counts: list[Count], day: date) -> float:
        of_day = [count for count in counts if count.day == day]
        return sum(count.hits for count in of_day) / sum(count.total for count in of_day)

    number = 60 if day is None else day
    ratio = share(DISTURBANCES[case], MONDAY + number * DAY) / share(TWO, MONDAY + number * DAY)
    assert (ratio == pytest.approx(1, rel=0.2)) is (day is None)


def test_a_new_feed_counts_once_it_has_published_on_enough_days() -> None:
    weekly = [MONDAY + 7 * n * DAY for n in range(5, 10)]
    counts = [*TWO, *feed(3, 0.3, on=LATER, rate=at_war), *feed(4, 0.3, on=weekly, rate=at_war)]
    found = {weight.feed_id: weight for weight in index(counts).weights}
    assert found.keys() == {1, 2, 3}
    assert [found[feed_id].share for feed_id in (1, 2, 3)] == pytest.approx([0.1, 0.02, 0.3])
    assert [found[feed_id].since for feed_id in (1, 2, 3)] == [MONDAY, MONDAY, LATER[0] + LEARNING * DAY]


def test_a_day_without_feeds_that_count_has_no_value() -> None:
    counts = [c for c in TWO if c.day != MONDAY + 50 * DAY] + feed(9, 0.5, on=[MONDAY + 50 * DAY])
    assert values(counts)[MONDAY + 50 * DAY] is None
    assert values(counts)[MONDAY + 51 * DAY] == pytest.approx(300)


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param([], id="nothing"),
        pytest.param(feed(1, 0.5, on=days(BASELINE - 1)), id="too few days"),
        pytest.param(feed(1, 0.0, on=days(100)), id="nothing on the topic"),
        pytest.param(
            [Count(day, 1, 9, int(n % 7 == 0)) for n, day in enumerate(days(100))], id="too few hits"
        ),
        pytest.param(feed(1, 0.5, on=days(100)[::3]), id="no feed that publishes steadily"),
    ],
)
def test_while_there_is_too_little_there_is_no_index(counts: list[Count]) -> None:
    found = index(counts)
    assert (found.baseline, found.weights, found.days) == (None, (), ())


def test_the_baseline_is_the_first_four_weeks_with_enough() -> None:
    daily = feed(1, 0.001, on=days(30))  # a hit a day
    now_and_then = [Count(MONDAY - 3 * n * DAY, 2, 50, 5) for n in range(1, 40)]
    first = MONDAY - (BASELINE - LEAST_HITS) * DAY
    assert index([*daily, *now_and_then]).baseline == Period(first, first + (BASELINE - 1) * DAY)


def test_a_configured_baseline_holds_for_the_days_from_it_on() -> None:
    late = Period(MONDAY + 42 * DAY, MONDAY + 48 * DAY)
    found = values(TWO, baseline=late)
    assert found == pytest.approx(dict.fromkeys(days(70, start=42), 100.0))
    assert values(TWO, baseline=Period(MONDAY - 99 * DAY, MONDAY - 90 * DAY)) == {}


SMALL = st.integers(0, 12)
PRESS = st.lists(
    st.tuples(st.integers(0, 59), st.integers(1, 5), SMALL, SMALL).map(
        lambda t: Count(MONDAY + t[0] * DAY, t[1], t[2] + t[3], t[3])
    ),
    max_size=200,
    unique_by=lambda count: (count.day, count.feed_id),
).map(
    lambda extra: [*{(c.day, c.feed_id): c for c in (*feed(9, 0.2, total=10, on=days(60)), *extra)}.values()]
)
"""Some feeds that publish as they like, and one that is steady."""


@given(PRESS, st.integers(2, 50))
def test_it_does_not_matter_how_much_all_feeds_publish(counts: list[Count], times: int) -> None:
    more = [replace(count, total=times * count.total, hits=times * count.hits) for count in counts]
    assert values(more, baseline=index(counts).baseline) == pytest.approx(values(counts))


@given(PRESS, st.randoms(use_true_random=False))
def test_the_order_of_counts_does_not_matter(counts: list[Count], chance: random.Random) -> None:
    mixed = list(counts)
    chance.shuffle(mixed)
    assert index(mixed) == index(counts)


@given(PRESS)
def test_what_feeds_are_called_does_not_matter(counts: list[Count]) -> None:
    assert values([replace(count, feed_id=100 - count.feed_id) for count in counts]) == pytest.approx(
        values(counts)
    )


@given(PRESS, st.integers(1, 60))
def test_a_new_feed_leaves_all_days_before_it_as_they_were(counts: list[Count], start: int) -> None:
    before = index(counts)
    joined = [*counts, *feed(50, 0.9, on=days(60, start=start))]
    if start >= BASELINE:
        after = index(joined)
        earlier = [one for one in before.days if one.day < MONDAY + (start + LEARNING) * DAY]
        assert after.days[: len(earlier)] == tuple(earlier)


@given(PRESS)
def test_the_mean_over_a_baseline_is_always_100(counts: list[Count]) -> None:
    found = index(counts)
    assert found.baseline is not None
    inside = [one.value for one in found.days if one.day <= found.baseline.last and one.value is not None]
    assert fmean(inside) == pytest.approx(100)


@given(PRESS, st.integers(BASELINE, 60))
def test_going_on_from_any_day_is_the_same_as_all_anew(counts: list[Count], start: int) -> None:
    whole, since = index(counts), MONDAY + start * DAY
    assert whole.baseline is not None
    weights = tuple(weight for weight in whole.weights if weight.since <= since)
    weighed = {weight.feed_id for weight in weights}
    past = Past(
        since,
        whole.baseline,
        weights,
        {one.day: one.value for one in whole.days if one.day < since and one.value is not None},
    )
    if whole.baseline.last < since:
        needed = [count for count in counts if count.day >= since or count.feed_id not in weighed]
        rest = index(needed, past=past)
        assert rest.days == tuple(one for one in whole.days if one.day >= since)
        assert rest.weights == whole.weights


# ----------------------------------------------------------------------------------- unusual days


def readings(observed: Sequence[int], expected: float) -> list[IndexDay]:
    return [IndexDay(day, hits, expected) for day, hits in zip(days(len(observed)), observed, strict=True)]


def last_score(observed: Sequence[int], expected: float) -> float:
    series = readings(observed, expected)
    return scores(series)[series[-1].day]


FLICKER = [9, 11, 10, 12, 8, 10, 10] * 8
WORKDAYS = [20, 20, 20, 20, 20, 4, 4] * 8


@pytest.mark.parametrize(
    ("before", "today", "expected", "stands_out"),
    [
        pytest.param(FLICKER, 10, 10.0, False, id="as always"),
        pytest.param(FLICKER, 18, 10.0, False, id="a little more"),
        pytest.param(FLICKER, 30, 10.0, True, id="three times as much"),
        pytest.param(WORKDAYS[:-1], 20, 15.0, True, id="on a Sunday as much as on a Monday"),
        pytest.param(WORKDAYS, 20, 15.0, False, id="on a Monday as always"),
        pytest.param([0, 0, 0, 1, 0, 0, 0] * 8, 1, 0.1, False, id="one article where hardly any is expected"),
        pytest.param([0, 0, 0, 1, 0, 0, 0] * 8, 3, 0.1, False, id="three of them"),
        pytest.param([0, 0, 0, 1, 0, 0, 0] * 8, 9, 0.1, True, id="nine of them"),
        pytest.param([3, 25, 8, 16, 2, 11, 5, 19] * 7, 30, 10.0, False, id="a lot, in a wild series"),
        pytest.param([*[10] * 45, *[60] * 10], 60, 10.0, True, id="a war of ten days is not yet usual"),
        pytest.param([*[10] * 26, *[60] * 30], 60, 10.0, False, id="one of thirty days is"),
    ],
)
def test_days_that_stand_out(before: list[int], today: int, expected: float, stands_out: bool) -> None:
    assert (last_score([*before, today], expected) >= UNUSUAL) is stands_out


def test_the_score_of_a_known_case() -> None:
    # 2 (√(30 + 3/8) − √(10 + 3/8)); such a calm series varies less than chance would have it.
    assert last_score([10] * 56 + [30], 10.0) == pytest.approx(4.58, abs=0.005)
    assert last_score([10] * 56 + [1], 10.0) == pytest.approx(-4.10, abs=0.005)
    assert last_score([10] * 56 + [10], 10.0) == 0


def test_a_series_that_varies_more_than_chance_needs_more() -> None:
    calm, wild = [10] * 56, [4, 16, 7, 13, 10, 20, 3, 9] * 7
    assert 0 < last_score([*wild, 30], 10.0) < 0.6 * last_score([*calm, 30], 10.0)


def test_a_feed_that_falls_silent_makes_no_day_unusual() -> None:
    calm = readings([10] * 56, 10.0)
    assert scores([*calm, IndexDay(days(57)[-1], 2, 2.0)])[days(57)[-1]] == pytest.approx(0)


def test_too_few_days_before_it_say_nothing() -> None:
    assert scores(readings([10] * 28, 10.0)) == {}
    assert len(scores(readings([10] * 30, 10.0))) == 2
    long_ago = readings([10] * 40, 10.0)
    assert scores([*long_ago, IndexDay(MONDAY + 90 * DAY, 50, 10.0)])[days(40)[-1]] == 0
    assert MONDAY + 90 * DAY not in scores([*long_ago, IndexDay(MONDAY + 90 * DAY, 50, 10.0)])


def test_unusual_are_those_with_much_more_and_not_those_with_less() -> None:
    def day(score: float | None) -> TrendDay:
        return TrendDay("t", MONDAY, "all", 0, 0, 0, 0, 0, 0, 0, score=score)

    assert unusual(map(day, (None, -9.0, 3.4, UNUSUAL, 9.0))) == (day(UNUSUAL), day(9.0))


def test_what_weekdays_differ_by_chance_is_hardly_taken_for_a_rhythm() -> None:
    chance, differences = random.Random(1), []
    for _ in range(30):
        past = [IndexDay(MONDAY + n * DAY, round(chance.gauss(100, 10)), 100.0) for n in range(63)]
        usual = [IndexDay(MONDAY + n * DAY, 100, 100.0) for n in range(56, 63)]
        judged = [scores([*past[n : 56 + n], usual[n]])[usual[n].day] for n in range(7)]
        differences.append(max(judged) - min(judged))
    assert fmean(differences) < 0.8  # 1.1 where each difference is believed


@pytest.mark.parametrize("per_day", [0.3, 3.0, 30.0])
@pytest.mark.parametrize("weekend", [1.0, 0.4])
def test_chance_hardly_ever_makes_an_unusual_day(per_day: float, weekend: float) -> None:
    """Nor does it where articles come in bunches: their variance is that of chance and half as much again."""
    chance = random.Random(20)
    observed = []
    for day in days(600):
        mean = per_day * (weekend if day.weekday() > 4 else 1.0)
        mean *= chance.gammavariate(2 * max(per_day, 1.0), 1 / (2 * max(per_day, 1.0)))
        observed.append(sum(chance.random() < mean / 200 for _ in range(200)))
    found = list(scores(readings(observed, per_day)).values())
    assert sum(score >= UNUSUAL for score in found) <= 0.005 * len(found)


@given(st.lists(st.integers(0, 40), min_size=35, max_size=80), st.integers(0, 34))
def test_scores_of_late_days_need_only_the_days_before_them(observed: list[int], start: int) -> None:
    series = readings(observed, 5.0)
    since = MONDAY + start * DAY
    assert scores(series, since) == {day: score for day, score in scores(series).items() if day >= since}


@given(st.lists(st.integers(0, 40), min_size=57, max_size=57), st.integers(1, 40))
def test_more_articles_never_make_a_day_less_unusual(observed: list[int], more: int) -> None:
    assert last_score([*observed[:-1], observed[-1] + more], 5.0) > last_score(observed, 5.0)


# ------------------------------------------------------------------------------------ in the store

TOPIC = "tension"
SIDES = Sides(TOPIC, threats=("build-up",), acts=("strike", "seizure"))
ON_TOPIC = (Tag(TOPIC, None, 60.0),)
A, B, C = (f"https://{name}.example/feed" for name in "abc")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "aggregator.db") as store:
        yield store


def noon(day: date, hour: int = 12) -> datetime:
    return datetime.combine(day, time(hour), UTC)


def tell(
    store: Store,
    day: date,
    url: str,
    *articles: str,
    tags: Sequence[Tag] = (),
    hour: int = 12,
    language: str | None = "en",
    published: date | None = None,
) -> None:
    """A poll at which a feed has these articles; those of one name (up to an `@`) are one, whatever the feed."""
    entries = [
        entry(
            name,
            url_key=int.from_bytes(blake2b(name.partition("@")[0].encode(), digest_size=7).digest(), "big"),
            tags=tuple(tags),
            language=language,
            published_at=None if published is None else noon(published, hour),
        )
        for name in articles
    ]
    present = [feed.subscription for feed in store.feeds()]
    if url not in {subscription.url for subscription in present}:
        store.subscribe([*present, Subscription(url)], noon(day, hour))
    polled(store, *map(New, entries), at=noon(day, hour), url=url)


def aspects(*names: str) -> tuple[Tag, ...]:
    return (*ON_TOPIC, *(Tag(TOPIC, name, 20.0) for name in names))


def row(store: Store, day: date, language: str = "all") -> dict[str, Any]:
    ((found),) = store.trend(TOPIC, language=language, first=day, last=day)
    return {
        name: getattr(found, name)
        for name in ("entries", "articles", "total_articles", "threats", "acts", "stories", "total_stories")
    }


def test_an_article_counts_once_whatever_its_copies(store: Store) -> None:
    tell(store, MONDAY, A, "one", "two", tags=ON_TOPIC)
    tell(store, MONDAY, A, "other")
    tell(store, MONDAY, C)
    tell(store, MONDAY, B, "one", "two", tags=ON_TOPIC, hour=13)
    tell(store, MONDAY + DAY, C, "one", tags=ON_TOPIC)
    tell(store, MONDAY + DAY, C, "another")
    count_trends(store, [SIDES])
    first, second = store.trend(TOPIC)
    assert (first.entries, first.articles, first.total_articles) == (4, 2, 3)
    assert (second.entries, second.articles, second.total_articles) == (1, 0, 1)


def test_threats_and_acts_are_counted_apart(store: Store) -> None:
    for name, tags in {
        "ships": aspects("build-up"),
        "strike": aspects("strike", "seizure"),
        "both": aspects("build-up", "strike"),
        "talks": aspects("talks"),
        "of another topic": (Tag("other", None, 60.0), Tag("other", "strike", 60.0)),
    }.items():
        tell(store, MONDAY, A, name, tags=tags)
    count_trends(store, [SIDES, Sides("other")])
    assert row(store, MONDAY) == {
        "entries": 4, "articles": 4, "total_articles": 5, "threats": 2, "acts": 2, "stories": 4, "total_stories": 5,
    }  # fmt: skip
    (other,) = store.trend("other")
    assert (other.articles, other.acts) == (1, 0)


def test_languages_are_counted_apart_and_together(store: Store) -> None:
    tell(store, MONDAY, A, "a", "b", tags=ON_TOPIC, language="id")
    tell(store, MONDAY, B, "c", tags=ON_TOPIC, language="es")
    tell(store, MONDAY, B, "d", language=None)
    count_trends(store, [SIDES])
    found = {day.language: (day.articles, day.total_articles) for name in ("all", "id", "es", "und", "en")
             for day in store.trend(TOPIC, language=name)}  # fmt: skip
    assert found == {"all": (3, 4), "id": (2, 2), "es": (1, 1), "und": (0, 1)}


def test_a_story_counts_once_a_day(store: Store) -> None:
    tell(store, MONDAY, A, "a", "b", tags=ON_TOPIC)
    tell(store, MONDAY, B, "c", "d", tags=ON_TOPIC, language="es")
    tell(store, MONDAY + DAY, B, "e", tags=ON_TOPIC)
    in_story(store, 7, "a", "b", "c", "e")
    count_trends(store, [SIDES])
    assert (row(store, MONDAY)["stories"], row(store, MONDAY)["total_stories"]) == (2, 2)
    assert row(store, MONDAY, "en")["stories"] == 1
    assert row(store, MONDAY, "es")["stories"] == 2
    assert row(store, MONDAY + DAY)["stories"] == 1


def in_story(store: Store, story: int | None, *keys: str) -> None:
    with closing(sqlite3.connect(store.path)) as db, db:
        db.executemany("UPDATE entries SET story_id = ? WHERE key = ?", [(story, key) for key in keys])


def test_a_feed_that_joins_takes_no_articles_from_others_and_brings_no_past(store: Store) -> None:
    tell(store, MONDAY, A, "a", "b")
    tell(store, MONDAY, B)
    later = MONDAY + 9 * DAY
    tell(store, later, C, "a", "old", tags=ON_TOPIC, published=MONDAY)
    tell(store, later + DAY, C, "new", "common", hour=9)
    tell(store, later + DAY, B, "common", hour=10)
    count_trends(store, [SIDES])
    assert feeds_of(store, MONDAY) == {1: 2}
    assert feeds_of(store, later) == {}
    assert feeds_of(store, later + DAY) == {2: 1, 3: 1}


def feeds_of(store: Store, day: date) -> dict[int, int]:
    """How many articles are counted for which feed."""
    return dict(
        sql(
            store.path,
            "SELECT feed_id, articles FROM feed_daily WHERE day = ? AND language = 'all' AND articles",
            day.isoformat(),
        )
    )


def test_the_first_feeds_bring_the_past_that_they_hold(store: Store) -> None:
    for n in range(3):
        tell(store, MONDAY, f"https://{n}.example/feed", f"old {n}", published=MONDAY - 2 * DAY)
    count_trends(store, [SIDES])
    assert [day.day for day in store.trend(TOPIC)] == [MONDAY - 2 * DAY]


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """An index of days instead of weeks."""
    shorten(monkeypatch)


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "BASELINE": 4, "LEAST_HITS": 3, "LEARNING": 2, "HISTORY": 4, "LEAST_HISTORY": 2,
    }.items():  # fmt: skip
        monkeypatch.setattr(trends, name, value)


def week(store: Store, first: int, last: int, url: str, hits: int, total: int = 4) -> None:
    """Days on each of which a feed tells so many articles, and so many of them on the topic."""
    for day in days(last, start=first):
        names = [f"{url} {day} {n}" for n in range(total)]
        tell(store, day, url, *names[:hits], tags=aspects("strike"))
        tell(store, day, url, *names[hits:], hour=13)


@pytest.mark.usefixtures("short")
def test_from_entries_to_an_unusual_day(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    week(store, 0, 6, B, hits=1, total=8)
    week(store, 6, 7, A, hits=4)
    week(store, 6, 7, B, hits=60, total=70)
    assert count_trends(store, [SIDES]) == 7
    found = store.trend(TOPIC)
    assert [day.index_value for day in found] == pytest.approx([100] * 6 + [100 * 64 / (1 + 70 / 8)])
    assert found[6].observed == 64
    assert found[6].expected == pytest.approx(1 + 70 / 8)
    assert [day.acts_value for day in found] == pytest.approx([day.index_value for day in found])
    assert [day.stories_value for day in found] == pytest.approx([day.index_value for day in found])
    assert {day.threats_value for day in found} == {None}
    assert [day.day for day in unusual(found)] == [MONDAY + 6 * DAY]
    assert [day.score is None for day in found] == [True] * 2 + [False] * 5
    assert store.trend_languages(TOPIC) == ("all", "en")
    assert store.baselines(TOPIC)["all", Measure.ARTICLES] == Period(MONDAY, MONDAY + 3 * DAY)


def test_who_made_the_day_is_named(store: Store) -> None:
    tell(store, MONDAY, A, "strike at sea", "court", tags=ON_TOPIC)
    tell(store, MONDAY, B, "ataque", tags=(Tag(TOPIC, None, 90.0),), language="es")
    tell(store, MONDAY, C, "weather")
    in_story(store, 5, "strike at sea", "ataque")
    first, second = store.leading(TOPIC, MONDAY)
    assert (first.title, first.story_id, first.outlets, first.articles) == ("Title of ataque", 5, 2, 2)
    assert (second.title, second.story_id, second.outlets) == ("Title of court", None, 1)
    english = {one.title for one in store.leading(TOPIC, MONDAY, language="en")}
    assert english == {"Title of strike at sea", "Title of court"}
    assert len(store.leading(TOPIC, MONDAY, limit=1)) == 1
    assert store.leading(TOPIC, MONDAY + DAY) == ()


def test_the_sources_of_a_topic_are_named_without_what_is_secret(store: Store) -> None:
    secret = "https://reader:canary@papers.example/feed"
    tell(store, MONDAY, secret, "strike at sea", tags=ON_TOPIC)
    tell(store, MONDAY, secret, "weather")
    count_trends(store, [SIDES])
    change(store, "UPDATE feeds SET title = NULL")
    assert store.trend_feeds(TOPIC, since=MONDAY, before=MONDAY + DAY, limit=9) == (
        Share(1, "papers.example", 1, 2),
    )
    assert store.trend_feeds(TOPIC, since=MONDAY - DAY, before=MONDAY, limit=9) == ()


QUERIES = re.findall(
    r"```sql\n(.*?)```", (Path(__file__).parents[1] / "docs" / "trends.md").read_text("utf-8"), re.DOTALL
)


@pytest.mark.usefixtures("short")
def test_every_query_of_the_page_finds_something(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    week(store, 6, 7, A, hits=60, total=70)
    count_trends(store, [SIDES])
    assert len(QUERIES) == 3
    for query in QUERIES:
        assert sql(store.path, query.replace("caribbean-tension", TOPIC)), query


@pytest.mark.usefixtures("short")
def test_another_baseline_is_taken_up(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    week(store, 6, 8, A, hits=2)
    count_trends(store, [SIDES])
    assert [day.index_value for day in store.trend(TOPIC)] == pytest.approx([100] * 6 + [200] * 2)
    late, empty = Period(MONDAY + 6 * DAY, MONDAY + 7 * DAY), Period(MONDAY - 9 * DAY, MONDAY - 2 * DAY)
    for baseline, expected in (
        (late, [None] * 6 + [100] * 2),
        (empty, [None] * 8),
        (None, [100] * 6 + [200] * 2),
        (late, [None] * 6 + [100] * 2),
    ):
        count_trends(store, [SIDES], baseline=baseline)
        assert [day.index_value for day in store.trend(TOPIC)] == pytest.approx(expected)
        assert count_trends(store, [SIDES], baseline=baseline) == 0
    week(store, 8, 9, A, hits=4)
    count_trends(store, [SIDES], baseline=late)
    assert [day.index_value for day in store.trend(TOPIC)] == pytest.approx([None] * 6 + [100] * 2 + [200])


@pytest.mark.usefixtures("short")
def test_a_topic_that_comes_later_gets_its_whole_past(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    count_trends(store, [Sides("other")])
    assert count_trends(store, [Sides("other"), SIDES]) == 6
    assert [day.index_value for day in store.trend(TOPIC)] == pytest.approx([100] * 6)


@pytest.mark.usefixtures("short")
def test_what_an_aspect_tells_of_may_change(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    tell(store, MONDAY + 5 * DAY, A, "a strike", tags=aspects("strike"))
    count_trends(store, [SIDES])
    before = store.trend(TOPIC)[-1]
    assert before.acts != before.threats
    count_trends(store, [replace(SIDES, threats=SIDES.acts, acts=SIDES.threats)])
    after = store.trend(TOPIC)[-1]
    assert (after.threats, after.acts) == (before.acts, before.threats)


# ---------------------------------------------------------------------------------- run after run

MADE = ("feed_daily", "topic_feed_daily", "topic_daily", "topic_weights", "topic_baselines")


def made(store: Store) -> dict[str, list[Any]]:
    """All that trends are."""
    return {table: sorted(sql(store.path, f"SELECT * FROM {table}"), key=repr) for table in MADE}


def all_anew(store: Store) -> dict[str, list[Any]]:
    """What they are when there were none before."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.db"
        store.backup(copy)
        with closing(sqlite3.connect(copy)) as db, db:
            for table in MADE:
                db.execute(f"DELETE FROM {table}")
            db.execute("UPDATE counted_days SET changes = 1")
        with open_store(copy) as fresh:
            count_trends(fresh, [SIDES])
            return made(fresh)


def change(store: Store, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(store.path)) as db, db:
        db.execute("PRAGMA foreign_keys = ON")
        db.execute(statement, values)


NUMBER = st.integers(1, 40)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("tell on topic"), st.integers(0, 3), st.integers(1, 3)),
        st.tuples(st.just("copy"), st.integers(0, 3), NUMBER),
        st.tuples(st.just("join"), NUMBER, NUMBER),
        st.tuples(st.just("story"), NUMBER, st.integers(0, 5)),
        st.tuples(st.just("untag"), NUMBER, NUMBER),
        st.tuples(st.just("night"), NUMBER, NUMBER),
    ),
    min_size=5,
    max_size=30,
)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(STEPS)
def test_run_after_run_it_is_as_if_all_were_counted_anew(steps: list[tuple[str, int, int]]) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        with open_store(Path(folder) / "a.db") as store:
            week(store, 0, 5, A, hits=1)
            day = MONDAY + 5 * DAY
            for number, (what, one, two) in enumerate(steps):
                url, language = f"https://{one}.example/feed", ("es", "id")[one % 2]
                names = [f"{number}.{n}" for n in range(two)]
                match what:
                    case "tell":
                        tell(store, day, url, *names, language=language)
                    case "tell on topic":
                        tell(store, day, url, *names, tags=aspects("strike"), language=language)
                    case "copy":
                        tell(store, day, url, f"{two}.0@{number}", tags=ON_TOPIC, language=language)
                    case "join":
                        change(
                            store,
                            """UPDATE entries SET article_id = o.article_id
                                 FROM entries o WHERE o.id = ? AND entries.id = ?""",
                            one,
                            two,
                        )
                    case "story":
                        change(store, "UPDATE entries SET story_id = ? WHERE id = ?", two or None, one)
                    case "untag":
                        change(store, "DELETE FROM entry_tags WHERE entry_id = ?", one)
                    case _:
                        count_trends(store, [SIDES])
                        day += DAY
            count_trends(store, [SIDES])
            assert made(store) == all_anew(store)


@pytest.mark.usefixtures("short")
def test_night_after_night_with_a_feed_that_joins(store: Store) -> None:
    for number, hits in enumerate([1, 2, 1, 3, 2, 1, 3, 1, 2, 3]):
        week(store, number, number + 1, A, hits=hits)
        if number > 4:
            week(store, number, number + 1, B, hits=hits, total=7)
        count_trends(store, [SIDES])
        assert made(store) == all_anew(store)
    assert [row[0] for row in sql(store.path, "SELECT since FROM topic_weights WHERE measure = 'acts'")] == [
        "2025-09-01", "2025-09-09", "2025-09-01", "2025-09-09",
    ]  # fmt: skip


@pytest.mark.usefixtures("short")
def test_a_day_long_past_changes_once_more(store: Store) -> None:
    for number, hits in enumerate([1, 2, 1, 3, 2, 1, 3, 1, 2, 3]):
        week(store, number, number + 1, A, hits=hits)
        if number > 4:
            week(store, number, number + 1, B, hits=hits, total=7)
    count_trends(store, [SIDES])
    tell(store, MONDAY + 5 * DAY, A, "found late", tags=aspects("strike"))
    count_trends(store, [SIDES])
    assert made(store) == all_anew(store)


@pytest.mark.usefixtures("short")
def test_a_second_run_has_nothing_to_do(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    assert count_trends(store, [SIDES]) == 6
    before = made(store)
    assert count_trends(store, [SIDES]) == 0
    week(store, 6, 7, A, hits=1)
    assert count_trends(store, [SIDES]) == 1
    assert count_trends(store, [replace(SIDES, threats=())]) == 7
    assert count_trends(store, [SIDES]) == 7
    assert made(store) == all_anew(store)
    assert set(before["topic_weights"]) == set(made(store)["topic_weights"])


@pytest.mark.usefixtures("short")
def test_a_run_that_was_cut_short_is_made_good(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    store.count_days([SIDES])
    assert store.trend(TOPIC) == ()
    assert count_trends(store, [SIDES]) == 6
    assert made(store) == all_anew(store)


def test_what_changes_while_it_runs_is_for_the_next_one(store: Store) -> None:
    tell(store, MONDAY, A, "one")
    changes = store.count_days([SIDES])
    tell(store, MONDAY, B, "two")
    store.days_counted(changes)
    assert list(store.count_days([SIDES])) == [MONDAY]


@pytest.mark.usefixtures("short")
def test_a_day_whose_entries_have_been_removed_keeps_its_counts(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    count_trends(store, [SIDES])
    before = made(store)
    assert store.prune(noon(MONDAY + 8 * DAY), 5 * DAY) > 0
    assert count_trends(store, [SIDES]) == 0
    assert count_trends(store, [replace(SIDES, threats=())]) == 6
    assert count_trends(store, [SIDES]) == 6
    assert made(store) == before


@pytest.mark.usefixtures("short")
def test_other_rules_change_the_days_of_what_they_tag(store: Store) -> None:
    week(store, 0, 6, A, hits=1)
    count_trends(store, [SIDES])
    (stored,) = store.entries_after(1, 1)
    store.retag([(stored, ON_TOPIC, ())])
    assert count_trends(store, [SIDES]) == 1
    assert made(store) == all_anew(store)
