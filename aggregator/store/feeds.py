"""Feeds: who is subscribed to, and how they are doing."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from aggregator.errors import UnknownError
from aggregator.model import (
    Census,
    FailureKind,
    FeedEvent,
    FeedReport,
    FeedState,
    FeedStatus,
    ListState,
    Overview,
    StoredEvent,
    Subscription,
)
from aggregator.store import rows
from aggregator.store.database import Database, touch
from aggregator.store.rows import stamp

NEWS_DAYS = 20
"""From how many days with news a feed's rhythm is told."""


@dataclass(frozen=True, slots=True)
class SubscriptionChanges:
    """What `subscribe` did (or would do): addresses of the feeds concerned."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quiet:
    """A feed that answers well and has had no news for a while.

    Attributes:
        feed_id: the feed.
        fence: of its last claim.
        days: the newest days on which it had news, the last one first; at most `NEWS_DAYS`.
        newest_at: when its newest entry came.
        asked_at: when it last answered well.
        added_at: when it was subscribed to.
        outage: how long it has been failing since that entry came.
    """

    feed_id: int
    fence: int
    days: tuple[date, ...]
    newest_at: datetime
    asked_at: datetime
    added_at: datetime
    outage: timedelta


class Feeds(Database):
    """Subscriptions, the feeds' health, and its events."""

    def subscribe(
        self, subscriptions: Iterable[Subscription], now: datetime, *, dry_run: bool = False
    ) -> SubscriptionChanges:
        """Make the feeds those of the configuration: new ones are due at once, others are paused.

        Nothing is deleted. A feed that returns to the configuration resumes where it stopped.

        Args:
            subscriptions: all of the configuration, disabled ones included.
            now: the time.
            dry_run: only tell what would change.
        """
        with self._read() as db:
            present = {
                row["subscription_url"]: row
                for row in db.execute(
                    "SELECT subscription_url, name, wished_language, tags, every_seconds, status FROM feeds"
                )
            }
        added, changed, resumed = [], [], []
        updates: list[dict[str, Any]] = []
        paused = {url for url, row in present.items() if row["status"] != FeedStatus.PAUSED}
        for wish in subscriptions:
            values = rows.wish_values(wish)
            row = present.get(wish.url)
            if row is None:
                if wish.enabled:
                    added.append((wish, values))
                continue
            if wish.enabled:
                paused.discard(wish.url)
                if row["status"] == FeedStatus.PAUSED:
                    resumed.append(wish.url)
            if any(row[name] != value for name, value in values.items()):
                changed.append(wish.url)
                updates.append(values)
        changes = SubscriptionChanges(
            added=tuple(wish.url for wish, _ in added),
            changed=tuple(changed),
            resumed=tuple(resumed),
            paused=tuple(sorted(paused)),
        )
        if dry_run or changes == SubscriptionChanges():
            return changes
        with self._write() as db:
            touch(db)  # a feed may have another name
            db.executemany(
                """INSERT INTO feeds (subscription_url, url, host, name, title, wished_language, tags,
                                      every_seconds, added_at, next_poll_at)
                   VALUES (:subscription_url, :subscription_url, :host, :name, :name, :wished_language, :tags,
                           :every_seconds, :now, :now)
                   ON CONFLICT (subscription_url) DO NOTHING""",
                [{**values, "host": rows.host(wish.url), "now": stamp(now)} for wish, values in added],
            )
            # A shorter `every`, or none any more, takes effect now, not after the interval that was planned.
            db.executemany(
                """UPDATE feeds SET name = :name, title = coalesce(:name, own_title), tags = :tags,
                          wished_language = :wished_language, every_seconds = :every_seconds,
                          next_poll_at = CASE WHEN :every_seconds IS NOT every_seconds
                                                   AND coalesce(:every_seconds, 0) < interval_seconds
                                              THEN min(next_poll_at, :now) ELSE next_poll_at END
                    WHERE subscription_url = :subscription_url""",
                [{**values, "now": stamp(now)} for values in updates],
            )
            db.executemany(
                """UPDATE feeds SET status = iif(failures > 0, 'failing', 'active')
                    WHERE subscription_url = ? AND status = 'paused'""",
                [(url,) for url in resumed],
            )
            db.executemany(
                "UPDATE feeds SET status = 'paused', leased_until = NULL WHERE subscription_url = ?",
                [(url,) for url in paused],
            )
            if paused:  # a feed that was merged into one of them takes its place
                db.execute(
                    """UPDATE feeds SET next_poll_at = min(next_poll_at, ?)
                        WHERE status = 'gone' AND url IN (SELECT url FROM feeds WHERE status = 'paused')""",
                    (stamp(now),),
                )
        return changes

    def feeds(self, ids: Sequence[int] | None = None) -> tuple[FeedReport, ...]:
        """Every feed with its health, in the order of subscription, or those of `ids`."""
        where = "" if ids is None else "WHERE feeds.id IN (" + ",".join(map(str, map(int, ids))) + ")"
        with self._read() as db:
            found = db.execute(
                f"""SELECT feeds.*,
                           iif(failing_since IS NULL, NULL,
                               (SELECT failure FROM polls WHERE feed_id = feeds.id
                                 ORDER BY started_at DESC, rowid DESC LIMIT 1)) AS failure
                      FROM feeds {where} ORDER BY feeds.id"""
            ).fetchall()
        return tuple(
            FeedReport(
                id=row["id"],
                subscription=rows.subscription(row),
                state=rows.state(row),
                entries=row["entries"],
                entries_per_week=7 * (row["per_day"] or 0.0),
                failure=None if row["failure"] is None else FailureKind(row["failure"]),
            )
            for row in found
        )

    def overview(self, limit: int) -> Overview:
        """All feeds in numbers and `limit` of them whole, those in trouble first, then by title."""
        with self._read() as db:
            numbers = db.execute(
                """SELECT count(*) AS feeds, count(last_success_at) AS read, count(last_error) AS failing,
                          coalesce(sum(entries), 0) AS entries FROM feeds"""
            ).fetchone()
            ids = db.execute(
                """SELECT id FROM feeds
                    ORDER BY status IN ('failing', 'gone') OR (status = 'active' AND silent_since IS NOT NULL) DESC,
                             coalesce(title, url) COLLATE NOCASE, id LIMIT ?""",
                (limit,),
            ).fetchall()
        found = {report.id: report for report in self.feeds([row[0] for row in ids])}
        return Overview(**dict(numbers), reports=tuple(found[row[0]] for row in ids))

    def lists(self) -> tuple[ListState, ...]:
        """What is known of every remote list that was ever asked, by address."""
        with self._read() as db:
            return tuple(map(rows.list_state, db.execute("SELECT * FROM lists ORDER BY url")))

    def keep_lists(self, states: Iterable[ListState]) -> None:
        """Keep what is known of remote lists now; which feeds are followed is for `subscribe` to change."""
        with self._write() as db:
            db.executemany(
                """INSERT OR REPLACE INTO lists
                   VALUES (:url, :etag, :last_modified, :validators_url, :checked_at, :read_at, :error, :feeds)""",
                map(rows.list_values, states),
            )

    def polled(self) -> tuple[tuple[FeedState, timedelta | None], ...]:
        """State and fixed interval of every feed that is polled."""
        with self._read() as db:
            found = db.execute("SELECT * FROM feeds WHERE status IN ('active', 'failing')").fetchall()
        return tuple((rows.state(row), rows.subscription(row).every) for row in found)

    def find_feeds(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Ids of the feeds that are meant by addresses or names, whether paused or not.

        Raises:
            UnknownError: one of them fits no feed.
        """
        ids = []
        with self._read() as db:
            for word in wanted:
                found = db.execute(
                    """SELECT id FROM feeds
                        WHERE subscription_url = :word OR url = :word OR title = :word COLLATE NOCASE""",
                    {"word": word},
                ).fetchall()
                if not found:
                    raise UnknownError(
                        f"no feed has the address or name {word!r}; `aggregator feeds` lists them all"
                    )
                ids += [row[0] for row in found]
        return tuple(dict.fromkeys(ids))

    def census(self, now: datetime) -> Census:
        """The feeds in numbers; cheap enough to be asked every few seconds."""
        with self._read() as db:
            found = db.execute(
                """SELECT status, count(*) AS feeds, count(silent_since) FILTER (WHERE status != 'paused') AS silent,
                          count(*) FILTER (WHERE waiting) AS waiting,
                          min(next_poll_at) FILTER (WHERE waiting) AS since
                     FROM (SELECT status, silent_since, next_poll_at,
                                  status != 'paused' AND next_poll_at <= :now
                                  AND (leased_until IS NULL OR leased_until <= :now) AS waiting FROM feeds)
                    GROUP BY status""",
                {"now": stamp(now)},
            ).fetchall()
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return Census(
            feeds={FeedStatus(row["status"]): row["feeds"] for row in found},
            silent=sum(row["silent"] for row in found),
            waiting=sum(row["waiting"] for row in found),
            waiting_since=rows.moment_or_none(
                min((row["since"] for row in found if row["since"]), default=None)
            ),
            store_bytes=sum(file.stat().st_size for file in files if file.exists()),
        )

    def quiet(self, at_least: timedelta) -> tuple[Quiet, ...]:
        """Feeds that answer well, had their newest entry at least so long before, and are not yet called silent."""
        with self._read() as db:
            found = db.execute(
                """SELECT id, fence, last_success_at, added_at, outage_seconds, newest
                     FROM (SELECT *, (SELECT max(listed_at) FROM entries WHERE feed_id = feeds.id) AS newest
                             FROM feeds WHERE status = 'active' AND silent_since IS NULL)
                    WHERE newest <= strftime('%Y-%m-%dT%H:%M:%SZ', last_success_at, :before)""",
                {"before": f"-{at_least.total_seconds():.0f} seconds"},
            ).fetchall()
            return tuple(
                Quiet(
                    feed_id=row["id"],
                    fence=row["fence"],
                    days=_news_days(db, row["id"]),
                    newest_at=rows.moment(row["newest"]),
                    asked_at=rows.moment(row["last_success_at"]),
                    added_at=rows.moment(row["added_at"]),
                    outage=timedelta(seconds=row["outage_seconds"]),
                )
                for row in found
            )

    def call_silent(self, found: Iterable[tuple[Quiet, FeedEvent | None]], now: datetime) -> None:
        """Note that feeds are silent, and where it is news the event; one that was claimed since is left out."""
        found = tuple(found)
        if not found:
            return
        with self._write() as db:
            for feed, event in found:
                noted = db.execute(
                    """UPDATE feeds SET silent_since = ? WHERE id = ? AND fence = ? AND silent_since IS NULL
                                                           AND (leased_until IS NULL OR leased_until <= ?)""",
                    (stamp(feed.newest_at), feed.feed_id, feed.fence, stamp(now)),
                ).rowcount
                if noted and event is not None:
                    write_events(db, feed.feed_id, (event,), stamp(now))

    def feed_events(self, limit: int) -> tuple[StoredEvent, ...]:
        """The newest lines that the feeds' health has crossed, the last one first."""
        with self._read() as db:
            found = db.execute(
                """SELECT v.*, f.subscription_url, f.title AS feed_title, f.url AS feed_url,
                          f.site_url AS feed_site_url
                     FROM feed_events v JOIN feeds f ON f.id = v.feed_id ORDER BY v.id DESC LIMIT ?""",
                (limit,),
            ).fetchall()
        return tuple(map(rows.stored_event, found))


def write_events(db: sqlite3.Connection, feed_id: int, events: Iterable[FeedEvent], now: str) -> None:
    rows_of_events = [(feed_id, now, event.kind.value, event.message) for event in events]
    if rows_of_events:
        touch(db)
        db.executemany(
            "INSERT INTO feed_events (feed_id, at, kind, message) VALUES (?, ?, ?, ?)", rows_of_events
        )


def _news_days(db: sqlite3.Connection, feed_id: int) -> tuple[date, ...]:
    """The newest days on which a feed had news, by one look into the index for each."""
    days: list[str] = []
    while len(days) < NEWS_DAYS:
        (newest,) = db.execute(
            "SELECT max(listed_at) FROM entries WHERE feed_id = ? AND listed_at < ?",
            (feed_id, days[-1] if days else "~"),
        ).fetchone()
        if newest is None:
            break
        days.append(newest[:10])
    return tuple(map(date.fromisoformat, days))
