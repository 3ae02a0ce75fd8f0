"""The store on SQLite: one writing connection behind a lock, and as many reading ones as are in use at once.

Every write transaction begins IMMEDIATE: a deferred one that reads first can fail at its first
write, in WAL mode, with no wait at all.
"""

import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from aggregator import text
from aggregator.errors import StoreBusyError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Census,
    Claim,
    Copy,
    Entry,
    FailureKind,
    FeedEvent,
    FeedReport,
    FeedState,
    FeedStatus,
    Hit,
    Known,
    Match,
    New,
    OutputFeed,
    Overview,
    PollOutcome,
    Revised,
    Seen,
    StoredEntry,
    StoredEvent,
    Subscription,
    Tag,
)
from aggregator.store import rows, schema
from aggregator.store.rows import stamp

T = TypeVar("T")

BUSY_TIMEOUT = timedelta(seconds=30)
"""How long a statement waits for another program's lock before it is a `StoreBusyError`."""

_OWN_MACHINE = "(host GLOB '127.*' OR host GLOB 'localhost*' OR host GLOB '[[]::1]*')"
"""SQL that is true for feeds of a server on this machine, which need not be spared."""

REVISIONS_KEPT = 100
"""How many earlier versions of an entry are kept, beside the first: some pages change at every look."""

SEARCH_LIMIT = timedelta(seconds=5)
"""A search that takes longer is given up."""

POLL_LOG_KEPT = timedelta(days=30)
"""How long rows of `polls` are kept."""

NEWS_DAYS = 20
"""From how many days with news a feed's rhythm is told."""

CLOCK_SLACK = timedelta(hours=1)
"""A claim or poll further in the future than this was made before the clock was put back."""

OLDEST_SQLITE = (3, 37)
"""STRICT tables came with it."""


@dataclass(frozen=True, slots=True)
class SubscriptionChanges:
    """What `subscribe` did (or would do): addresses of the feeds concerned."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    paused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` wrote for one outcome. `accepted` is False where the lease had been lost."""

    accepted: bool
    entries_new: int = 0
    entries_revised: int = 0


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
    """

    feed_id: int
    fence: int
    days: tuple[date, ...]
    newest_at: datetime
    asked_at: datetime
    added_at: datetime


def open_store(path: str | Path, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> "Store":
    """Open the database, making or migrating it where needed.

    Args:
        path: the SQLite file; its folder is made where it is missing.
        busy_timeout: how long to wait for another program's lock.

    Raises:
        StoreError: the file cannot be opened, is no database of ours, or is of a newer version.
        StoreBusyError: another program holds it for longer than `busy_timeout`.
    """
    path = str(path).removeprefix("sqlite:///")
    if "://" in path:
        raise StoreError(f"{path}: only SQLite is supported; give the path of a file")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"this Python was built with SQLite {sqlite3.sqlite_version}; "
            f"{'.'.join(map(str, OLDEST_SQLITE))} or newer is needed"
        )
    return Store(Path(path), busy_timeout)


class Store:
    """All reads and writes. Safe to use from several threads; close it when done.

    Any method may raise `StoreError`, and `StoreBusyError` when another program holds the file.
    """

    def __init__(self, path: Path, busy_timeout: timedelta) -> None:
        """Use `open_store`."""
        self.path = path
        self._timeout = busy_timeout.total_seconds()
        self._writing = threading.Lock()
        self._watching = threading.Lock()
        self._pooling = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        with self._errors():
            _make_private(path)
            self._writer = self._connect()
            try:
                self._prepare()
                self._watcher = self._connect(reader=True)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Close every connection; one that is being read from, as soon as that is done.

        Whatever is called afterwards raises StoreError.
        """
        with self._writing, self._watching, self._pooling, self._errors():
            self._closed = True
            for connection in (*self._idle, self._watcher, self._writer):
                connection.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -------------------------------------------------------------------------- connections

    def _connect(self, *, reader: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA trusted_schema = OFF")
            if reader:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA cache_size = -16000")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        """See that the file is ours, keeps a write-ahead log and has the present schema."""
        version, objects, ours = self._writer.execute(
            """SELECT (SELECT user_version FROM pragma_user_version), count(*),
                      count(*) FILTER (WHERE name = 'entries_fts') FROM sqlite_schema"""
        ).fetchone()
        if objects and not ours:
            raise StoreError(
                f"{self.path} is a database of another program; give the path of a file of its own"
            )
        if version > schema.VERSION:
            raise StoreError(
                f"{self.path} was written by a newer version of aggregator (schema {version}, this one knows "
                f"{schema.VERSION}): upgrade aggregator, or use another database"
            )
        self._keep_log()
        if version == schema.VERSION:
            return
        from sqlite_utils import Database

        self._writer.row_factory = None  # sqlite-utils expects tuples
        self._writer.execute("BEGIN IMMEDIATE")  # two programs may open a new file at once
        try:
            schema.migrations().apply(Database(self._writer))
            self._writer.execute(f"PRAGMA user_version = {schema.VERSION:d}")
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._writer.row_factory = sqlite3.Row

    def _keep_log(self) -> None:
        """Turn the write-ahead log on. SQLite itself does not wait where two programs do so at once."""
        end = time.monotonic() + self._timeout
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A reading connection that nobody else has meanwhile. Threads come and go; connections are kept."""
        with self._errors():
            with self._pooling:
                self._check_open()
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect(reader=True)
            try:
                yield connection
            finally:
                with self._pooling:
                    if self._closed:
                        connection.close()
                    else:
                        self._idle.append(connection)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._errors():
            self._check_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path}: the store has been closed")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        # Programming and integrity errors are bugs of ours and stay what they are.
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise StoreBusyError(
                    f"{self.path} has been locked by another program for {self._timeout:g} s"
                ) from error
            raise StoreError(f"{self.path}: {error}") from error
        except sqlite3.ProgrammingError:
            raise
        except sqlite3.IntegrityError:
            raise
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from error

    def version(self) -> int:
        """A number that grows whenever what we publish may have changed, whichever program changed it."""
        with self._watching, self._errors():
            self._check_open()
            row = self._watcher.execute("SELECT value FROM properties WHERE name = 'contents'").fetchone()
            return 0 if row is None else int(row[0])

    # ------------------------------------------------------------------------ subscriptions

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
            _touch(db)  # a feed may have another name
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
        return changes

    # --------------------------------------------------------------------------------- polls

    def claim(
        self,
        now: datetime,
        *,
        due_by: datetime,
        limit: int,
        per_host: int,
        lease: timedelta,
        spacing: timedelta = timedelta(),
        among: Sequence[int] | None = None,
    ) -> tuple[Claim, ...]:
        """Take feeds to poll; until `lease` ends nobody else is given them.

        Feeds are ranked within their host first, so that a host with many due feeds starves no other.

        Args:
            now: the time.
            due_by: feeds that are due by this time.
            limit: at most this many.
            per_host: at most this many of one host, those under lease already included.
            lease: how long they are ours.
            spacing: time since the last claim of a host's feed, in whole seconds; this machine's own
                addresses need none.
            among: only these feeds; None: all.
        """
        wanted = """status != 'paused' AND next_poll_at <= :due_by
                    AND (leased_until IS NULL OR leased_until <= :now)"""
        if among is not None:
            wanted += " AND id IN (" + ",".join(map(str, map(int, among))) + ")"
        values = {"now": stamp(now), "due_by": stamp(due_by), "limit": limit, "per_host": per_host}
        spaced = "1"
        if spacing:
            values["rested"] = stamp(now - spacing)
            wanted += f""" AND ({_OWN_MACHINE} OR NOT EXISTS (
                SELECT 1 FROM feeds other WHERE other.host = feeds.host AND other.claimed_at > :rested))"""
            spaced = f"(rank = 1 OR {_OWN_MACHINE})"  # one of a host now, the next at its distance
        with self._read() as db:  # a tick that finds nothing due takes no write lock
            if db.execute(f"SELECT 1 FROM feeds WHERE {wanted} LIMIT 1", values).fetchone() is None:
                return ()
        with self._write() as db:
            found = db.execute(
                f"""WITH
                    -- Without the keyword it would be counted again for every row.
                    held AS MATERIALIZED (
                        SELECT host, count(*) AS held FROM feeds WHERE leased_until > :now GROUP BY host),
                    free AS (
                        SELECT id, host, next_poll_at,
                               row_number() OVER (PARTITION BY host ORDER BY next_poll_at, id) AS rank,
                               coalesce((SELECT held FROM held WHERE held.host = feeds.host), 0) AS held
                          FROM feeds WHERE {wanted})
                    UPDATE feeds SET fence = fence + 1, leased_until = :until, claimed_at = :now
                     WHERE id IN (SELECT id FROM free WHERE rank + held <= :per_host AND {spaced}
                                   ORDER BY rank + held, next_poll_at, id LIMIT :limit)
                 RETURNING *""",
                {**values, "until": stamp(now + lease)},
            ).fetchall()
        return tuple(Claim(row["id"], row["fence"], rows.subscription(row), rows.state(row)) for row in found)

    def resting(
        self, now: datetime, *, due_by: datetime, spacing: timedelta, among: Sequence[int] | None = None
    ) -> bool:
        """Whether a feed is due that nobody holds, and that only its host's rest keeps from being claimed."""
        chosen = "" if among is None else " AND id IN (" + ",".join(map(str, map(int, among))) + ")"
        with self._read() as db:
            found = db.execute(
                f"""SELECT 1 FROM feeds WHERE status != 'paused' AND next_poll_at <= :due_by {chosen}
                       AND (leased_until IS NULL OR leased_until <= :now) AND NOT {_OWN_MACHINE}
                       AND EXISTS (SELECT 1 FROM feeds other
                                    WHERE other.host = feeds.host AND other.claimed_at > :rested) LIMIT 1""",
                {"now": stamp(now), "due_by": stamp(due_by), "rested": stamp(now - spacing)},
            ).fetchone()
        return found is not None

    def mend_clock(self, now: datetime) -> int:
        """After the clock was put back: end claims that lie in the future, make due what was polled there.

        Returns:
            How many feeds would have waited for the clock to come by again.
        """
        values = {"now": stamp(now), "ahead": stamp(now + CLOCK_SLACK)}
        ahead = "(last_polled_at > :ahead OR leased_until > :ahead OR claimed_at > :ahead)"
        with self._read() as db:
            if db.execute(f"SELECT 1 FROM feeds WHERE {ahead} LIMIT 1", values).fetchone() is None:
                return 0
        with self._write() as db:
            return db.execute(
                f"""UPDATE feeds SET leased_until = NULL, claimed_at = NULL, next_poll_at = min(next_poll_at, :now),
                           last_polled_at = min(last_polled_at, :now)
                     WHERE {ahead}""",
                values,
            ).rowcount

    def make_due(self, now: datetime, ids: Sequence[int] | None = None) -> int:
        """Make feeds due now, all that are not paused or those of `ids`; returns how many there are."""
        chosen = "" if ids is None else " AND id IN (" + ",".join(map(str, map(int, ids))) + ")"
        with self._write() as db:
            return db.execute(
                f"UPDATE feeds SET next_poll_at = min(next_poll_at, ?) WHERE status != 'paused'{chosen}",
                (stamp(now),),
            ).rowcount

    def count_due(self, due_by: datetime) -> int:
        """How many feeds are due by a time."""
        with self._read() as db:
            number: int = db.execute(
                "SELECT count(*) FROM feeds WHERE status != 'paused' AND next_poll_at <= ?", (stamp(due_by),)
            ).fetchone()[0]
        return number

    def release(self, claims: Iterable[Claim]) -> None:
        """Give claimed feeds back unpolled."""
        with self._write() as db:
            db.executemany(
                "UPDATE feeds SET leased_until = NULL WHERE id = ? AND fence = ?",
                [(claim.feed_id, claim.fence) for claim in claims],
            )

    def known(
        self, feed_id: int, keys: Sequence[str], url_keys: Sequence[int]
    ) -> tuple[tuple[Known, ...], frozenset[str]]:
        """What is stored of a document's entries.

        Args:
            feed_id: the feed.
            keys: identities to look for.
            url_keys: hashes of canonical URLs to look for, within the same feed.

        Returns:
            The known entries, and those of `keys` that retention has removed.
        """
        found: dict[int, Known] = {}
        columns = "id, key, guid, url_key, title, hash"
        with self._read() as db:
            for name, wanted in (("key", keys), ("url_key", url_keys)):
                for part in _chunks(wanted):
                    marks = ",".join("?" * len(part))
                    for row in db.execute(
                        f"SELECT {columns} FROM entries WHERE feed_id = ? AND {name} IN ({marks})",
                        (feed_id, *part),
                    ):
                        found[row[0]] = Known(*row)
            removed: set[str] = set()
            for part in _chunks(keys):
                marks = ",".join("?" * len(part))
                removed.update(
                    row[0]
                    for row in db.execute(
                        f"SELECT key FROM tombstones WHERE feed_id = ? AND key IN ({marks})", (feed_id, *part)
                    )
                )
        return tuple(found.values()), frozenset(removed)

    def record(self, outcomes: Sequence[PollOutcome], now: datetime) -> tuple[Recorded, ...]:
        """Write everything that a group of polls learned, in one transaction.

        An outcome whose lease has passed to somebody else is left out: its feed has been claimed
        again, and whoever holds it now writes what there is.

        Args:
            outcomes: at most one for each feed.
            now: the time that new entries are first seen at.

        Returns:
            What was written, in the order of `outcomes`.
        """
        with self._write() as db:
            return tuple(_Recording(db, outcome, stamp(now)).run() for outcome in outcomes)

    def next_due_at(self) -> datetime | None:
        """When the next feed will be due; None where there is none."""
        with self._read() as db:
            row = db.execute("SELECT min(next_poll_at) FROM feeds WHERE status != 'paused'").fetchone()
        return rows.moment_or_none(row[0])

    # -------------------------------------------------------------------------------- health

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
                """SELECT id, fence, last_success_at, added_at, newest
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
                    _write_events(db, feed.feed_id, (event,), stamp(now))

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

    # --------------------------------------------------------------------------------- reads

    def feeds(self, ids: Sequence[int] | None = None) -> tuple[FeedReport, ...]:
        """Every feed with its health, in the order of subscription, or those of `ids`."""
        where = "" if ids is None else "WHERE feeds.id IN (" + ",".join(map(str, map(int, ids))) + ")"
        with self._read() as db:
            found = db.execute(
                f"""SELECT feeds.*, (SELECT count(*) FROM entries WHERE feed_id = feeds.id) AS entries,
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
                          (SELECT count(*) FROM entries) AS entries FROM feeds"""
            ).fetchone()
            ids = db.execute(
                """SELECT id FROM feeds
                    ORDER BY status IN ('failing', 'gone') OR (status = 'active' AND silent_since IS NOT NULL) DESC,
                             coalesce(title, url) COLLATE NOCASE, id LIMIT ?""",
                (limit,),
            ).fetchall()
        found = {report.id: report for report in self.feeds([row[0] for row in ids])}
        return Overview(**dict(numbers), reports=tuple(found[row[0]] for row in ids))

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

    def entry(self, entry_id: int) -> StoredEntry:
        """One entry. Raises UnknownError where there is none with this id."""
        found = self._entries([entry_id])
        if not found:
            raise UnknownError(f"there is no entry {entry_id}; `aggregator search` shows the ids of entries")
        return found[0]

    def entries(
        self, output: OutputFeed, *, limit: int | None = None, once: bool = True
    ) -> tuple[StoredEntry, ...]:
        """The entries that an output feed carries, newest first.

        Args:
            output: which topic and aspect, and how many.
            limit: instead of the output feed's own limit.
            once: only the first copy of each article.
        """
        tagged = ""
        if output.topic is not None:
            aspect = "t.aspect IS NULL" if output.aspect is None else "t.aspect = :aspect"
            tagged = f"""AND EXISTS (SELECT 1 FROM entry_tags t WHERE t.entry_id = {{entry}}.id
                                        AND t.topic = :topic AND {aspect})"""
        first = f"""AND NOT EXISTS (SELECT 1 FROM entries c WHERE c.article_id = e.article_id
                                       AND c.id < e.id {tagged.format(entry="c")})"""
        with self._read() as db:
            ids = [
                row[0]
                for row in db.execute(
                    f"""SELECT e.id FROM entries e WHERE 1 {tagged.format(entry="e")} {first if once else ""}
                         ORDER BY e.listed_at DESC, e.id DESC LIMIT :limit""",
                    {
                        "topic": output.topic,
                        "aspect": output.aspect,
                        "limit": output.limit if limit is None else limit,
                    },
                )
            ]
        return self._entries(ids)

    def copies(self, article_id: int) -> tuple[StoredEntry, ...]:
        """All entries of an article, the first seen first."""
        with self._read() as db:
            ids = db.execute(
                "SELECT id FROM entries WHERE article_id = ? ORDER BY id", (article_id,)
            ).fetchall()
        return self._entries([row[0] for row in ids])

    def is_empty(self) -> bool:
        """True while there is no entry."""
        with self._read() as db:
            return db.execute("SELECT 1 FROM entries LIMIT 1").fetchone() is None

    def search(
        self,
        query: str,
        *,
        topic: str | None = None,
        feed_ids: Sequence[int] | None = None,
        since: datetime | None = None,
        limit: int = 20,
    ) -> tuple[Hit, ...]:
        """Full-text search over title and text, best first.

        Args:
            query: in FTS5's language; what is not valid in it is taken as plain words.
            topic: only entries with this tag.
            feed_ids: only entries of these feeds.
            since: only entries listed at or after this time.
            limit: at most this many.
        """
        conditions = ""
        if topic is not None:
            conditions += (
                " AND EXISTS (SELECT 1 FROM entry_tags t WHERE t.entry_id = e.id AND t.topic = :topic)"
            )
        if feed_ids is not None:
            conditions += " AND e.feed_id IN (" + ",".join(map(str, map(int, feed_ids))) + ")"
        if since is not None:
            conditions += " AND e.listed_at >= :since"
        # Snippets are made of what is shown alone: to make one for every hit took most of a second.
        ranked = f"""SELECT e.id FROM entries_fts JOIN entries e ON e.id = entries_fts.rowid
                      WHERE entries_fts MATCH :query {conditions}
                      ORDER BY bm25(entries_fts, 4.0, 1.0), e.id DESC LIMIT :limit"""
        query = text.clean(query)
        values = {"topic": topic, "since": rows.stamp_or_none(since), "limit": limit}
        with self._read() as db, _limited(db, SEARCH_LIMIT):
            try:
                ids = [row[0] for row in db.execute(ranked, {**values, "query": query})]
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_INTERRUPT:
                    raise StoreError(
                        f"the search took longer than {SEARCH_LIMIT.total_seconds():.0f} s"
                    ) from None
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:  # no matter of the query's form
                    raise
                query = " ".join('"' + word.replace('"', '""') + '"' for word in query.split()) or '""'
                ids = [row[0] for row in db.execute(ranked, {**values, "query": query})]
            shown = f"""SELECT rowid, snippet(entries_fts, -1, char(1), char(2), '…', 24) FROM entries_fts
                         WHERE entries_fts MATCH ? AND rowid IN ({",".join(map(str, ids))})"""
            snippets = dict(map(tuple, db.execute(shown, (query,)))) if ids else {}
        return tuple(Hit(entry, _parts(snippets[entry.id])) for entry in self._entries(ids))

    def _entries(self, ids: Sequence[int]) -> tuple[StoredEntry, ...]:
        """Entries whole, in the order of `ids`; those that do not exist are left out."""
        if not ids:
            return ()
        listed = "(" + ",".join(map(str, ids)) + ")"
        with self._read() as db:
            found = {
                row["id"]: row
                for row in db.execute(
                    f"""SELECT e.*, f.title AS feed_title, f.url AS feed_url, f.site_url AS feed_site_url
                          FROM entries e JOIN feeds f ON f.id = e.feed_id WHERE e.id IN {listed}"""
                )
            }
            tags = _grouped(
                db.execute(
                    f"""SELECT entry_id, topic, aspect, score FROM entry_tags WHERE entry_id IN {listed}
                         ORDER BY topic, aspect IS NOT NULL, score DESC, aspect"""
                ),
                Tag,
            )
            matches = _grouped(
                db.execute(
                    f"""SELECT entry_id, topic, rule, term, field, start, "end" FROM matches
                         WHERE entry_id IN {listed} ORDER BY rowid"""
                ),
                Match,
            )
            attributions = _grouped(
                db.execute(
                    f"SELECT entry_id, name, url FROM attributions WHERE entry_id IN {listed} ORDER BY rowid"
                ),
                Attribution,
            )
            copies: dict[int, list[Copy]] = defaultdict(list)
            for row in db.execute(
                f"""SELECT e.article_id, e.id, f.title, f.url, coalesce(e.original_url, e.url), e.published_at
                      FROM entries e JOIN feeds f ON f.id = e.feed_id
                     WHERE e.article_id IN (SELECT article_id FROM entries WHERE id IN {listed})
                     ORDER BY coalesce(e.published_at, e.first_seen_at), e.id"""
            ):
                published_at = rows.moment_or_none(row[5])
                copies[row[0]].append(Copy(row[1], row[2] or rows.host(row[3]), row[4], published_at))
        return tuple(
            rows.stored_entry(
                row,
                tags=tags.get(entry_id, ()),
                matches=matches.get(entry_id, ()),
                attributions=attributions.get(entry_id, ()),
                copies=tuple(copy for copy in copies[row["article_id"]] if copy.entry_id != entry_id),
            )
            for entry_id in ids
            if (row := found.get(entry_id)) is not None
        )

    def query(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Rows of a read-only statement of our own making, as dicts, one by one (for exports).

        They are of one moment, whatever is written meanwhile: the log grows until all are read, or it is closed.
        """
        with self._read() as db, closing(db.execute(statement, dict(values or {}))) as cursor:
            for row in cursor:
                yield dict(row)

    # -------------------------------------------------------------------------------- topics

    def topic_revisions(self) -> dict[str, str]:
        """By which revision of each topic's rules the stored entries have been tagged."""
        with self._read() as db:
            return {row[0]: row[1] for row in db.execute("SELECT slug, revision FROM topics")}

    def entries_after(self, entry_id: int, limit: int) -> tuple[StoredEntry, ...]:
        """A page of all entries by ascending id, for walks over the whole store."""
        with self._read() as db:
            ids = db.execute(
                "SELECT id FROM entries WHERE id > ? ORDER BY id LIMIT ?", (entry_id, limit)
            ).fetchall()
        return self._entries([row[0] for row in ids])

    def retag(self, page: Sequence[tuple[StoredEntry, tuple[Tag, ...], tuple[Match, ...]]]) -> None:
        """Replace the tags and matches of some entries; those gone or revised since they were read are left out."""
        with self._write() as db:
            _touch(db)
            for entry, tags, matches in page:
                same = "SELECT 1 FROM entries WHERE id = ? AND revision = ?"
                if db.execute(same, (entry.id, entry.revision)).fetchone():
                    _erase(db, entry.id, "entry_tags", "matches")
                    _write_tags(db, [(entry.id, tags, matches)])

    def mixed(self, slugs: Iterable[str]) -> None:
        """Note that entries are from now on tagged by other rules of these topics than those before."""
        with self._write() as db:
            db.executemany("UPDATE topics SET revision = '' WHERE slug = ?", [(slug,) for slug in slugs])

    def retagged(self, topics: Iterable[tuple[str, str, str]]) -> None:
        """Note that every stored entry is now tagged by these topics: slug, title and revision of each."""
        with self._write() as db:
            db.execute("DELETE FROM topics")
            db.executemany("INSERT INTO topics (slug, title, revision) VALUES (?, ?, ?)", topics)

    # --------------------------------------------------------------------------- maintenance

    def property(self, name: str, make: Callable[[], str]) -> str:
        """A named value that is made once and then stays."""
        with self._read() as db:
            row = db.execute("SELECT value FROM properties WHERE name = ?", (name,)).fetchone()
        if row is None:
            with self._write() as db:
                db.execute("INSERT OR IGNORE INTO properties VALUES (?, ?)", (name, make()))
                row = db.execute("SELECT value FROM properties WHERE name = ?", (name,)).fetchone()
        value: str = row[0]
        return value

    def set_property(self, name: str, value: str) -> None:
        """Give a named value."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO properties VALUES (?, ?)", (name, value))

    def prune(self, now: datetime, retention: timedelta | None, *, limit: int = 1000) -> int:
        """Remove a page of what is too old, and old rows of the poll log.

        An entry that its feed still shows is never removed; each one removed leaves a tombstone.

        Returns:
            How many entries were removed; less than `limit` when nothing is left to remove.
        """
        with self._write() as db:
            db.execute("DELETE FROM polls WHERE started_at < ?", (stamp(now - POLL_LOG_KEPT),))
            if retention is None:
                return 0
            old = db.execute(
                """SELECT e.id, e.feed_id, e.key, e.title, e.text, e.article_id
                     FROM entries e JOIN feeds f ON f.id = e.feed_id
                    WHERE e.listed_at < ? AND e.last_seen_at < f.last_changed_at
                    ORDER BY e.listed_at LIMIT ?""",
                (stamp(now - retention), limit),
            ).fetchall()
            if old:
                _touch(db)
            for row in old:
                db.execute(
                    "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)",
                    (row["feed_id"], row["key"], stamp(now)),
                )
                _unindex(db, row)
                db.execute("DELETE FROM entries WHERE id = ?", (row["id"],))
                _recount(db, row["article_id"])
            return len(old)

    def backup(self, target: Path) -> None:
        """Write a consistent copy while others read and write, and check it.

        Raises:
            StoreError: it cannot be written, or the copy is not sound.
        """
        with self._errors():
            _make_private(target)
            copy = sqlite3.connect(target)
            try:
                # In one step: page by page, it would begin again whenever something was written meanwhile.
                with self._read() as db:
                    db.backup(copy)
                verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            finally:
                copy.close()
        if verdict != "ok":
            raise StoreError(f"{target}: the copy is not sound: {verdict}")


class _Recording:
    """One outcome on its way into the store, within the transaction of its group."""

    def __init__(self, db: sqlite3.Connection, outcome: PollOutcome, now: str) -> None:
        self.db = db
        self.outcome = outcome
        self.now = now
        self.feed_id = outcome.claim.feed_id
        self.revised = 0

    def run(self) -> Recorded:
        if not self._update_feed(self.outcome.state):
            return Recorded(accepted=False)
        started_at = stamp(self.outcome.started_at)
        # Documents begin with the newest entry; stored in the other order, a later one has a higher id.
        new = [change.entry for change in reversed(self.outcome.changes) if isinstance(change, New)]
        for change in self.outcome.changes:
            if isinstance(change, Revised):
                self._revise(change.entry_id, change.entry)
        self.db.executemany(
            "UPDATE entries SET last_seen_at = ? WHERE id = ?",
            [(started_at, c.entry_id) for c in self.outcome.changes if isinstance(c, Seen | Revised)],
        )
        if new:
            self._insert(new)
        if any(isinstance(change, New | Revised) for change in self.outcome.changes):
            _touch(self.db)
        self._log(len(new), self.revised)
        _write_events(self.db, self.feed_id, self.outcome.events, self.now)
        return Recorded(accepted=True, entries_new=len(new), entries_revised=self.revised)

    def _update_feed(self, state: FeedState) -> bool:
        values = rows.state_values(state)
        claim = self.outcome.claim
        given = {
            # What the operator did while it was being polled holds: it stays paused, or is due by another `every`.
            "status": "iif(status = 'paused', status, :status)",
            "next_poll_at": "iif(every_seconds IS :every_seconds, :next_poll_at, min(:next_poll_at, :now))",
            "title": "coalesce(name, :own_title)",
            "leased_until": "NULL",
        }
        statement = _update("feeds", {**values, **given}, "id = :id AND fence = :fence", given)
        values |= {"id": self.feed_id, "fence": claim.fence, "now": self.now}
        values |= {"every_seconds": rows.wish_values(claim.subscription)["every_seconds"]}
        if self.db.execute(statement, values).rowcount != 1:
            return False
        if self.outcome.holds_host:
            self.db.execute(
                "UPDATE feeds SET next_poll_at = max(next_poll_at, :next_poll_at) WHERE host = :host", values
            )
        if state.url != claim.state.url or claim.state.status is FeedStatus.GONE:
            self._merge(state.url)
        return True

    def _merge(self, url: str) -> None:
        """End a feed that has moved to where another one is read already; its entries stay."""
        self.db.execute(
            """UPDATE feeds SET status = 'gone', last_error = 'moved to ' || o.url || ', which is followed already'
                 FROM (SELECT url FROM feeds WHERE url = :url AND id != :id AND status IN ('active', 'failing')) o
                WHERE feeds.id = :id""",
            {"url": url, "id": self.feed_id},
        )

    def _insert(self, entries: Sequence[Entry]) -> None:
        db, now = self.db, self.now
        url = self.outcome.claim.subscription.url
        # The first document of a feed is the past: it stands in lists by its own dates. What comes
        # later stands by when we found it, so that nothing slips in below what was already read.
        backfill = self.outcome.claim.state.last_changed_at is None
        next_entry = _next_id(db, "entries")
        next_article = _next_id(db, "articles")
        articles, inserted, indexed = [], [], []
        joined: set[int] = set()
        known = self._articles([entry.url_key for entry in entries if entry.url_key is not None])
        for entry_id, entry in enumerate(entries, next_entry):
            article_id = None if entry.url_key is None else known.get(entry.url_key)
            if article_id is None:
                article_id = next_article
                next_article += 1
                articles.append((article_id, entry_id, 1, 1, now))
            else:
                joined.add(article_id)
            if entry.url_key is not None:
                known[entry.url_key] = article_id
            listed = now
            if backfill and entry.published_at is not None:
                listed = min(now, stamp(entry.published_at))
            inserted.append(
                {
                    "id": entry_id,
                    "feed_id": self.feed_id,
                    "first_seen_at": now,
                    "last_seen_at": stamp(self.outcome.started_at),
                    "changed_at": now,
                    "listed_at": listed,
                    "article_id": article_id,
                    "uid": rows.uid(url, entry.key),
                    "key": entry.key,
                    **rows.content_values(entry),
                }
            )
            indexed.append((entry_id, entry.title, entry.text))
        db.executemany(
            "INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at) VALUES (?,?,?,?,?)",
            articles,
        )
        db.executemany(_insert("entries", tuple(inserted[0])), inserted)
        db.executemany("INSERT INTO entries_fts (rowid, title, text) VALUES (?, ?, ?)", indexed)
        _write_findings(db, enumerate(entries, next_entry))
        for article_id in joined:
            _recount(db, article_id)

    def _articles(self, url_keys: Sequence[int]) -> dict[int, int]:
        """The articles that entries of these canonical URLs already belong to."""
        found: dict[int, int] = {}
        for part in _chunks(url_keys):
            marks = ",".join("?" * len(part))
            # The first entry of each decides, so the others come before it.
            statement = f"SELECT url_key, article_id FROM entries WHERE url_key IN ({marks}) ORDER BY id DESC"
            found.update((row[0], row[1]) for row in self.db.execute(statement, tuple(part)))
        return found

    def _revise(self, entry_id: int, entry: Entry) -> None:
        db = self.db
        old = db.execute(
            "SELECT id, revision, changed_at, title, summary, content, text FROM entries WHERE id = ?",
            (entry_id,),
        ).fetchone()
        if old is None:  # pruned since the decision was made
            return
        values = rows.content_values(entry)
        # What differs only in a date, a category or markup that we drop is no revision to a reader.
        if (old["title"], old["summary"], old["content"]) != (entry.title, entry.summary, entry.content):
            self.revised += 1
            db.execute(
                "INSERT INTO revisions (entry_id, revision, seen_at, title, summary, content) VALUES (?,?,?,?,?,?)",
                (entry_id, old["revision"], old["changed_at"], old["title"], old["summary"], old["content"]),
            )
            db.execute(
                "DELETE FROM revisions WHERE entry_id = ? AND revision > 1 AND revision <= ?",
                (entry_id, old["revision"] - REVISIONS_KEPT),
            )
            values |= {"revision": old["revision"] + 1, "changed_at": self.now}
        if (old["title"], old["text"]) != (entry.title, entry.text):
            _unindex(db, old)
            db.execute(
                "INSERT INTO entries_fts (rowid, title, text) VALUES (?, ?, ?)",
                (entry_id, entry.title, entry.text),
            )
        db.execute(_update("entries", values, "id = :id"), {**values, "id": entry_id})
        _erase(db, entry_id, "entry_tags", "matches", "attributions")
        _write_findings(db, [(entry_id, entry)])

    def _log(self, new: int, revised: int) -> None:
        outcome = self.outcome
        self.db.execute(
            "INSERT INTO polls VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                self.feed_id, stamp(outcome.started_at), round(outcome.seconds, 3), outcome.http_status,
                outcome.result.value, new, revised, outcome.error,
                None if outcome.failure is None else outcome.failure.value,
            ),
        )  # fmt: skip


@lru_cache(maxsize=8)
def _insert(table: str, names: tuple[str, ...]) -> str:
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"


def _update(
    table: str, columns: Iterable[str], where: str, given: Mapping[str, str] = MappingProxyType({})
) -> str:
    """An UPDATE of named parameters; `given` holds expressions for some of the columns instead."""
    sets = ", ".join(f"{name} = {given.get(name, ':' + name)}" for name in columns)
    return f"UPDATE {table} SET {sets} WHERE {where}"


@contextmanager
def _limited(db: sqlite3.Connection, limit: timedelta) -> Iterator[None]:
    """Interrupt whatever runs on a connection for longer than `limit`."""
    deadline = time.monotonic() + limit.total_seconds()
    db.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        yield
    finally:
        db.set_progress_handler(None, 0)


def _touch(db: sqlite3.Connection) -> None:
    """Note that what we publish may have changed."""
    db.execute(
        """INSERT INTO properties VALUES ('contents', '1')
               ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"""
    )


def _parts(snippet: str) -> tuple[tuple[str, bool], ...]:
    """A snippet whose found words stand between control characters, which no stored text holds."""
    before, *others = snippet.split("\1")
    parts = [(before, False)]
    for piece in others:
        found, _, after = piece.partition("\2")
        parts += [(found, True), (after, False)]
    return tuple(part for part in parts if part[0])


def _next_id(db: sqlite3.Connection, table: str) -> int:
    highest: int = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
    return highest + 1


def _erase(db: sqlite3.Connection, entry_id: int, *tables: str) -> None:
    """Take away what we made of an entry."""
    for table in tables:
        db.execute(f"DELETE FROM {table} WHERE entry_id = ?", (entry_id,))


def _write_findings(db: sqlite3.Connection, entries: Iterable[tuple[int, Entry]]) -> None:
    """What we make of entries: their tags, the evidence for them, and whom they say they copied."""
    entries = tuple(entries)
    _write_tags(db, [(entry_id, entry.tags, entry.matches) for entry_id, entry in entries])
    attributions = [(entry_id, a.name, a.url) for entry_id, entry in entries for a in entry.attributions]
    if attributions:
        db.executemany("INSERT INTO attributions VALUES (?, ?, ?)", attributions)


def _write_tags(
    db: sqlite3.Connection, entries: Iterable[tuple[int, tuple[Tag, ...], tuple[Match, ...]]]
) -> None:
    tags, matches = [], []
    for entry_id, some_tags, some_matches in entries:
        tags += [(entry_id, tag.topic, tag.aspect, tag.score) for tag in some_tags]
        matches += [(entry_id, m.topic, m.rule, m.term, m.field, m.start, m.end) for m in some_matches]
    if tags:
        db.executemany("INSERT INTO entry_tags VALUES (?, ?, ?, ?)", tags)
    if matches:
        db.executemany("INSERT INTO matches VALUES (?, ?, ?, ?, ?, ?, ?)", matches)


def _write_events(db: sqlite3.Connection, feed_id: int, events: Iterable[FeedEvent], now: str) -> None:
    rows_of_events = [(feed_id, now, event.kind.value, event.message) for event in events]
    if rows_of_events:
        _touch(db)
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


def _unindex(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take an entry out of the full-text index, which must be told the words it holds."""
    db.execute(
        "INSERT INTO entries_fts (entries_fts, rowid, title, text) VALUES ('delete', ?, ?, ?)",
        (row["id"], row["title"], row["text"]),
    )


def _recount(db: sqlite3.Connection, article_id: int) -> None:
    """Bring an article's counts and canonical entry in line with its entries."""
    count, feeds, first = db.execute(
        "SELECT count(*), count(DISTINCT feed_id), min(id) FROM entries WHERE article_id = ?", (article_id,)
    ).fetchone()
    if count == 0:
        db.execute("DELETE FROM articles WHERE id = ?", (article_id,))
    else:
        db.execute(
            "UPDATE articles SET entry_count = ?, feed_count = ?, canonical_entry_id = ? WHERE id = ?",
            (count, feeds, first, article_id),
        )


def _grouped(cursor: Iterable[sqlite3.Row], kind: Callable[..., T]) -> dict[int, tuple[T, ...]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for row in cursor:
        groups[row[0]].append(kind(*tuple(row)[1:]))
    return {entry_id: tuple(values) for entry_id, values in groups.items()}


def _chunks(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Parts small enough for SQLite's limit on variables."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _make_private(path: Path) -> None:
    """Make the file where it is missing, for the eyes of its owner alone.

    One that exists is not even opened: to close it again would drop the locks that other connections
    of this process hold on it (POSIX; sqlite.org/howtocorrupt.html §2.2).
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
