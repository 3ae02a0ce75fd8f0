"""Trends: what each feed told each day, counted from the entries, and the indices made of it (docs/trends.md)."""

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from types import MappingProxyType
from typing import NamedTuple

from aggregator.model import (
    Count,
    Index,
    IndexDay,
    Leading,
    Measure,
    Past,
    Period,
    Series,
    Sides,
    TrendDay,
    Weight,
)
from aggregator.store import rows
from aggregator.store.database import Database, chunks, touch

ALL = "all"
"""The language of what is counted over all languages together."""

_DAYS_AT_ONCE = 10
"""Days that are counted in one transaction: others want to write meanwhile."""

_VALUES: Mapping[Measure, str] = MappingProxyType(
    {
        Measure.ARTICLES: "index_value",
        Measure.THREATS: "threats_value",
        Measure.ACTS: "acts_value",
        Measure.STORIES: "stories_value",
    }
)
"""The column of `topic_daily` that holds the index of each measure."""


def _counts(entry: str, feed: str) -> str:
    """SQL that is true for entries that count: what a feed held already when it joined the first ones does not."""
    listed, added = f"substr({entry}.listed_at, 1, 10)", f"substr({feed}.added_at, 1, 10)"
    return f"({listed} > {added} OR {added} = (SELECT substr(min(added_at), 1, 10) FROM feeds))"


# An article counts on the first day on which it was listed, for the feed among those of that day which has been
# followed longest: so a feed that joins takes no articles from another. So does a story, each day anew.
_TOLD = f"""
    WITH listed AS MATERIALIZED (
        SELECT e.id, e.feed_id, coalesce(e.language, 'und') AS language, coalesce(e.story_id, -e.article_id) AS story,
               NOT EXISTS (
                   SELECT 1 FROM entries o JOIN feeds g ON g.id = o.feed_id
                    WHERE o.article_id = e.article_id AND {_counts("o", "g")}
                      AND (substr(o.listed_at, 1, 10), o.feed_id, o.id) < (:day, e.feed_id, e.id)
               ) AS first
          FROM entries e JOIN feeds f ON f.id = e.feed_id
         WHERE e.listed_at >= :day AND e.listed_at < :next AND {_counts("e", "f")}
    ), each AS (
        SELECT id, feed_id, language, story, first FROM listed
        UNION ALL SELECT id, feed_id, '{ALL}', story, first FROM listed
    ), told AS (
        SELECT *, first AND row_number() OVER (
                      PARTITION BY language, story, first ORDER BY feed_id, id) = 1 AS opens
          FROM each
    )"""

_COUNT_FEEDS = f"""
    INSERT INTO feed_daily (day, language, feed_id, articles, stories) {_TOLD}
    SELECT :day, language, feed_id, sum(first), sum(opens) FROM told GROUP BY language, feed_id"""

_COUNT_TOPIC = f"""
    INSERT INTO topic_feed_daily (topic, day, language, feed_id, entries, articles, threats, acts, stories) {_TOLD},
    tags AS (
        SELECT entry_id, max(aspect IS NULL) AS topical,
               max(aspect IN (SELECT value FROM json_each(:threats))) AS threat,
               max(aspect IN (SELECT value FROM json_each(:acts))) AS act
          FROM entry_tags WHERE topic = :topic AND entry_id IN (SELECT id FROM listed) GROUP BY entry_id
    ), judged AS (
        SELECT told.*, topical, threat, act, max(first AND topical) OVER (PARTITION BY language, story) AS of_topic
          FROM told LEFT JOIN tags ON entry_id = id
    )
    SELECT :topic, :day, language, feed_id, total(topical), total(first AND topical), total(first AND threat),
           total(first AND act), total(opens AND of_topic)
      FROM judged GROUP BY language, feed_id HAVING total(topical) OR total(opens AND of_topic)"""


class Share(NamedTuple):
    """How much of a topic a feed told: so many articles on it, of so many in all."""

    feed_id: int
    title: str
    articles: int
    total: int


class Trends(Database):
    """The counts of each day, and the indices made of them."""

    # ------------------------------------------------------------------------------- counting

    def count_days(self, topics: Sequence[Sides], *, again: bool = False) -> dict[date, int]:
        """Count the days that have changed; others read and write meanwhile.

        A day of which entries have been removed keeps the counts it has.

        Args:
            topics: what is told of.
            again: count every day.

        Returns:
            The days that have changed, each with its changes, for `days_counted` once all is written that follows.
        """
        if again:
            with self._write() as db:
                db.execute("UPDATE counted_days SET changes = changes + 1")
        with self._read() as db:
            found = db.execute(
                "SELECT day, changes, sealed FROM counted_days WHERE changes > 0 ORDER BY day"
            ).fetchall()
        for part in chunks([row["day"] for row in found if not row["sealed"]], _DAYS_AT_ONCE):
            with self._write() as db:
                for day in part:
                    _count_day(db, day, topics)
        return {date.fromisoformat(row["day"]): row["changes"] for row in found}

    def days_counted(self, changes: Mapping[date, int]) -> None:
        """Note that these changes are in the trends; days that have changed again meanwhile are left as they are."""
        with self._write() as db:
            db.executemany(
                "UPDATE counted_days SET changes = 0 WHERE day = ? AND changes = ?",
                [(day.isoformat(), number) for day, number in changes.items()],
            )

    # ----------------------------------------------------------------------------- the indices

    def trend_since(self, topic: str, changed: Collection[date]) -> date | None:
        """From what day on a topic's trend is to be made anew; None: it is up to date."""
        with self._read() as db:
            behind = db.execute(
                """SELECT min(day) FROM feed_daily
                    WHERE day > coalesce((SELECT max(day) FROM topic_daily WHERE topic = ?), '')""",
                (topic,),
            ).fetchone()[0]
        return min({*changed, *([date.fromisoformat(behind)] if behind else ())}, default=None)

    def series(
        self, topic: str, since: date, *, baseline: Period | None, window: int, history: int
    ) -> tuple[Series, ...]:
        """What the indices of a topic are to be made of.

        Args:
            topic: its slug.
            since: the first day that has changed.
            baseline: as configured; None: it is to be found.
            window: how many days a baseline has that is found.
            history: how many days before `since` are needed to judge those after it.
        """
        with self._read() as db:
            languages = db.execute(
                "SELECT DISTINCT language FROM feed_daily WHERE day >= ? ORDER BY language",
                (since.isoformat(),),
            ).fetchall()
            return tuple(
                _series(db, topic, language, measure, since, baseline, window, history)
                for (language,) in languages
                for measure in Measure
            )

    def write_trend(
        self,
        topic: str,
        since: date,
        made: Iterable[tuple[Series, Index, Mapping[date, float]]],
        *,
        configured: bool,
    ) -> None:
        """Write a topic's days from `since` on.

        Args:
            topic: its slug.
            since: the first day that has changed.
            made: of each series, its index, and the scores of its days.
            configured: whether the operator chose the baseline.
        """
        with self._write() as db:
            touch(db)
            db.execute("DELETE FROM topic_daily WHERE topic = ? AND day >= ?", (topic, since.isoformat()))
            db.execute(
                """INSERT INTO topic_daily (topic, day, language, entries, articles, total_articles, threats, acts,
                                            stories, total_stories)
                   SELECT :topic, d.day, d.language, total(t.entries), total(t.articles), sum(d.articles),
                          total(t.threats), total(t.acts), total(t.stories), sum(d.stories)
                     FROM feed_daily d
                     LEFT JOIN topic_feed_daily t ON t.topic = :topic AND t.day = d.day
                                                 AND t.language = d.language AND t.feed_id = d.feed_id
                    WHERE d.day >= :since GROUP BY d.day, d.language""",
                {"topic": topic, "since": since.isoformat()},
            )
            for series, index, scores in made:
                _write_index(db, series, index, scores, since, configured=configured)

    # ---------------------------------------------------------------------------------- reading

    def trend(
        self, topic: str, *, language: str = ALL, first: date = date.min, last: date = date.max
    ) -> tuple[TrendDay, ...]:
        """The days of a topic in one language, in order."""
        with self._read() as db:
            found = db.execute(
                """SELECT * FROM topic_daily WHERE topic = ? AND language = ? AND day BETWEEN ? AND ? ORDER BY day""",
                (topic, language, first.isoformat(), last.isoformat()),
            )
            return tuple(
                TrendDay(**{**row, "day": date.fromisoformat(row["day"])}) for row in map(dict, found)
            )

    def trend_languages(self, topic: str) -> tuple[str, ...]:
        """The languages in which a topic has an index, the one with most articles first; `all` leads."""
        with self._read() as db:
            found = db.execute(
                """SELECT language FROM topic_daily WHERE topic = ?
                    GROUP BY language HAVING count(index_value) ORDER BY language != ?, sum(articles) DESC, language""",
                (topic, ALL),
            )
            return tuple(row[0] for row in found)

    def baselines(self, topic: str) -> dict[tuple[str, Measure], Period]:
        """The days whose mean is 100, by language and measure."""
        with self._read() as db:
            found = db.execute(
                "SELECT language, measure, first_day, last_day FROM topic_baselines WHERE topic = ?", (topic,)
            )
            return {(row[0], Measure(row[1])): _period(row[2], row[3]) for row in found}

    def leading(self, topic: str, day: date, *, language: str = ALL, limit: int = 5) -> tuple[Leading, ...]:
        """The stories that made a day, those of most outlets first; none once their entries have been removed."""
        with self._read() as db:
            found = db.execute(
                """WITH told AS (
                       SELECT e.id, e.feed_id, e.article_id, e.story_id, e.title, coalesce(e.original_url, e.url) AS url,
                              coalesce(e.story_id, -e.article_id) AS story,
                              row_number() OVER (PARTITION BY coalesce(e.story_id, -e.article_id)
                                                 ORDER BY t.score DESC, e.listed_at, e.id) AS place
                         FROM entry_tags t INDEXED BY entry_tags_by_topic CROSS JOIN entries e ON e.id = t.entry_id
                        WHERE t.topic = :topic AND t.aspect IS NULL AND t.listed_at >= :day AND t.listed_at < :next
                          AND (:language = :all OR coalesce(e.language, 'und') = :language)
                   )
                   SELECT max(iif(place = 1, id, NULL)) AS entry_id, story_id,
                          max(iif(place = 1, title, NULL)) AS title, max(iif(place = 1, url, NULL)) AS url,
                          count(DISTINCT feed_id) AS outlets, count(DISTINCT article_id) AS articles
                     FROM told GROUP BY story ORDER BY outlets DESC, articles DESC, entry_id LIMIT :limit""",
                {"topic": topic, "language": language, "all": ALL, "limit": limit, **_span(day.isoformat())},
            )
            return tuple(Leading(**dict(row)) for row in found)

    def trend_feeds(self, topic: str, *, since: date, before: date, limit: int) -> tuple[Share, ...]:
        """The feeds that told most of a topic on the days from `since` on and `before` another, and how much that was."""
        with self._read() as db:
            found = db.execute(
                f"""WITH told AS (
                       SELECT feed_id, sum(articles) AS articles FROM topic_feed_daily
                        WHERE topic = :topic AND language = '{ALL}' AND day >= :since AND day < :before
                        GROUP BY feed_id HAVING sum(articles) > 0 ORDER BY articles DESC, feed_id LIMIT :limit)
                    SELECT feed_id, f.title, f.url, told.articles,
                           (SELECT sum(d.articles) FROM feed_daily d
                             WHERE d.feed_id = told.feed_id AND d.language = '{ALL}' AND d.day >= :since AND d.day < :before)
                      FROM told JOIN feeds f ON f.id = feed_id ORDER BY told.articles DESC, feed_id""",
                {"topic": topic, "since": since.isoformat(), "before": before.isoformat(), "limit": limit},
            )
            return tuple(
                Share(feed_id, title or rows.host(url), articles, total)
                for feed_id, title, url, articles, total in found
            )


def _span(day: str) -> dict[str, str]:
    return {"day": day, "next": (date.fromisoformat(day) + timedelta(days=1)).isoformat()}


def _period(first: str, last: str) -> Period:
    return Period(date.fromisoformat(first), date.fromisoformat(last))


def _count_day(db: sqlite3.Connection, day: str, topics: Iterable[Sides]) -> None:
    db.execute("DELETE FROM feed_daily WHERE day = ?", (day,))
    db.execute(_COUNT_FEEDS, _span(day))
    for sides in topics:
        db.execute("DELETE FROM topic_feed_daily WHERE topic = ? AND day = ?", (sides.topic, day))
        aspects = {"threats": json.dumps(sides.threats), "acts": json.dumps(sides.acts)}
        db.execute(_COUNT_TOPIC, {"topic": sides.topic, **aspects, **_span(day)})


def _series(
    db: sqlite3.Connection,
    topic: str,
    language: str,
    measure: Measure,
    since: date,
    baseline: Period | None,
    window: int,
    history: int,
) -> Series:
    names = {"topic": topic, "language": language, "measure": measure.value, "since": since.isoformat()}
    row = db.execute(
        """SELECT first_day, last_day, configured FROM topic_baselines
            WHERE topic = :topic AND language = :language AND measure = :measure""",
        names,
    ).fetchone()
    stored = row and _period(row["first_day"], row["last_day"])
    if stored and stored.last < since and (stored == baseline if row["configured"] else baseline is None):
        past = _past(db, names, stored, since)
        counts = _read_counts(db, names, since)
        feeds = {row[0] for row in db.execute("SELECT id FROM feeds")} - {one.feed_id for one in past.weights}
        for part in chunks(sorted(feeds)):
            counts += _read_counts(db, names, stored.first, before=since, feeds=part)
        recent = _recent(db, names, since - timedelta(days=history)) if measure is Measure.ARTICLES else ()
        return Series(topic, language, measure, tuple(counts), past, recent)
    # All baselines that would have ended earlier had too little in them.
    first = since - timedelta(days=window - 1)
    if baseline:
        first = baseline.first
    elif stored and row["configured"]:
        first = date.min
    return Series(topic, language, measure, tuple(_read_counts(db, names, first)), None)


def _past(db: sqlite3.Connection, names: Mapping[str, str], baseline: Period, since: date) -> Past:
    weights = db.execute(
        """SELECT feed_id, since, share FROM topic_weights
            WHERE topic = :topic AND language = :language AND measure = :measure AND since <= :since
            ORDER BY since, feed_id""",
        names,
    )
    column = _VALUES[Measure(names["measure"])]
    values = db.execute(
        f"""SELECT day, {column} FROM topic_daily
             WHERE topic = :topic AND language = :language AND day < :since AND {column} IS NOT NULL""",
        names,
    )
    return Past(
        since,
        baseline,
        tuple(Weight(row[0], date.fromisoformat(row[1]), row[2]) for row in weights),
        {date.fromisoformat(row[0]): row[1] for row in values},
    )


def _read_counts(
    db: sqlite3.Connection,
    names: Mapping[str, str],
    first: date,
    *,
    before: date = date.max,
    feeds: Sequence[int] | None = None,
) -> list[Count]:
    measure = Measure(names["measure"])
    total = "stories" if measure is Measure.STORIES else "articles"
    among = "" if feeds is None else f"AND d.feed_id IN ({','.join(map(str, feeds))})"
    found = db.execute(
        f"""SELECT d.day, d.feed_id, d.{total}, coalesce(t.{measure.value}, 0)
              FROM feed_daily d
              LEFT JOIN topic_feed_daily t ON t.topic = :topic AND t.day = d.day
                                          AND t.language = d.language AND t.feed_id = d.feed_id
             WHERE d.language = :language AND d.day >= :first AND d.day < :before AND d.{total} > 0 {among}""",
        {**names, "first": first.isoformat(), "before": before.isoformat()},
    )
    return [Count(date.fromisoformat(row[0]), *row[1:]) for row in found]


def _recent(db: sqlite3.Connection, names: Mapping[str, str], first: date) -> tuple[IndexDay, ...]:
    found = db.execute(
        """SELECT day, observed, expected FROM topic_daily
            WHERE topic = :topic AND language = :language AND day >= :first AND day < :since AND expected IS NOT NULL
            ORDER BY day""",
        {**names, "first": first.isoformat()},
    )
    return tuple(IndexDay(date.fromisoformat(row[0]), row[1], row[2]) for row in found)


def _write_index(
    db: sqlite3.Connection,
    series: Series,
    index: Index,
    scores: Mapping[date, float],
    since: date,
    *,
    configured: bool,
) -> None:
    key = (series.topic, series.language, series.measure.value)
    column = _VALUES[series.measure]
    articles = series.measure is Measure.ARTICLES
    if series.past is None:
        erased = ", ".join(
            f"{name} = NULL" for name in (column, *(("observed", "expected", "score") if articles else ()))
        )
        db.execute(f"UPDATE topic_daily SET {erased} WHERE topic = ? AND language = ?", key[:2])
        for table in ("topic_baselines", "topic_weights"):
            db.execute(f"DELETE FROM {table} WHERE topic = ? AND language = ? AND measure = ?", key)
        if index.baseline:
            days = (index.baseline.first.isoformat(), index.baseline.last.isoformat())
            db.execute("INSERT INTO topic_baselines VALUES (?, ?, ?, ?, ?, ?)", (*key, *days, configured))
        weights = index.weights
    else:
        db.execute(
            "DELETE FROM topic_weights WHERE topic = ? AND language = ? AND measure = ? AND since > ?",
            (*key, since.isoformat()),
        )
        weights = index.weights[len(series.past.weights) :]
    db.executemany(
        "INSERT OR REPLACE INTO topic_weights VALUES (?, ?, ?, ?, ?, ?)",
        [(*key, weight.feed_id, weight.since.isoformat(), weight.share) for weight in weights],
    )
    where = "topic = ? AND language = ? AND day = ?"
    if articles:
        db.executemany(
            f"UPDATE topic_daily SET {column} = ?, observed = ?, expected = ?, score = ? WHERE {where}",
            [
                (one.value, one.observed, one.expected, scores.get(one.day), *key[:2], one.day.isoformat())
                for one in index.days
            ],
        )
    else:
        db.executemany(
            f"UPDATE topic_daily SET {column} = ? WHERE {where}",
            [(one.value, *key[:2], one.day.isoformat()) for one in index.days],
        )
