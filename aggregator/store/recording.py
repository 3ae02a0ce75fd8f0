"""What polls learned, written in one transaction for a group of them."""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from aggregator.model import (
    Complete,
    Entry,
    FeedState,
    FeedStatus,
    Hold,
    Known,
    New,
    PollOutcome,
    Revised,
    Seen,
    Withdrawn,
)
from aggregator.store import rows
from aggregator.store.database import Database, chunks, insert_into, next_id, touch, update_of
from aggregator.store.entries import erase, unindex, write_findings
from aggregator.store.feeds import write_events
from aggregator.store.links import Links
from aggregator.store.polls import DOTTED_NAME
from aggregator.store.rows import stamp
from aggregator.text import FIRST_YEAR

REVISIONS_KEPT = 100
"""How many earlier versions of an entry are kept, beside the first: some pages change at every look."""
MERGED_FOR = "30 days"
"""After so long a feed that was merged into another is looked at again, as one that is gone (SQL)."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `record` wrote for one outcome. `accepted` is False where the lease had been lost."""

    accepted: bool
    entries_new: int = 0
    entries_revised: int = 0


class Records(Database):
    """What is known of a document's entries, and the writing of what polls learned."""

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
        columns = "id, key, guid, url_key, title, hash, first_seen_at"
        with self._read() as db:
            for name, wanted in (("key", keys), ("url_key", url_keys)):
                for part in chunks(wanted):
                    marks = ",".join("?" * len(part))
                    for entry_id, key, guid, url_key, title, hashed, first_seen_at in db.execute(
                        f"SELECT {columns} FROM entries WHERE feed_id = ? AND {name} IN ({marks})",
                        (feed_id, *part),
                    ):
                        seen = rows.moment(first_seen_at)
                        found[entry_id] = Known(entry_id, key, guid, url_key, title, hashed, seen)
            removed: set[str] = set()
            for part in chunks(keys):
                marks = ",".join("?" * len(part))
                removed.update(
                    row[0]
                    for row in db.execute(
                        f"SELECT key FROM tombstones WHERE feed_id = ? AND key IN ({marks})", (feed_id, *part)
                    )
                )
        return tuple(found.values()), frozenset(removed)

    def record(
        self,
        outcomes: Sequence[PollOutcome],
        now: datetime,
        link: Callable[[Links, Sequence[int]], None] | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> tuple[Recorded, ...]:
        """Write everything that a group of polls learned, in one transaction.

        An outcome whose lease has passed to somebody else is left out: its feed has been claimed
        again, and whoever holds it now writes what there is.

        Args:
            outcomes: at most one for each feed.
            now: the time that new entries are first seen at.
            link: finds what the new and revised entries belong to, within the same
                transaction; None: each new one is an article of its own.
            give_way: called before each piece of work; may wait a moment for what is more urgent.

        Returns:
            What was written, in the order of `outcomes`.
        """
        with self._write() as db:
            recordings = [Recording(db, outcome, stamp(now)) for outcome in outcomes]
            recorded = []
            for recording in recordings:
                give_way()
                recorded.append(recording.run())
            before = {entry: text for recording in recordings for entry, text in recording.before.items()}
            written = [entry for recording in recordings for entry in (*recording.before, *recording.new)]
            if link and written:
                link(Links(db, now, before, give_way), written)
            return tuple(recorded)


class Recording:
    """One outcome on its way into the store, within the transaction of its group."""

    def __init__(self, db: sqlite3.Connection, outcome: PollOutcome, now: str) -> None:
        self.db = db
        self.outcome = outcome
        self.changes = outcome.changes
        self.now = now
        self.feed_id = outcome.claim.feed_id
        self.revised = 0
        self.new: range = range(0)
        self.before: dict[int, tuple[str, str]] = {}

    def run(self) -> Recorded:
        if not self._update_feed(self.outcome.state):
            return Recorded(accepted=False)
        started_at = stamp(self.outcome.started_at)
        # Documents begin with the newest entry; stored in the other order, a later one has a higher id.
        new = [change.entry for change in reversed(self.changes) if isinstance(change, New)]
        for change in self.changes:
            if isinstance(change, Revised):
                self._revise(change.entry_id, change.entry)
        self.db.executemany(
            "UPDATE entries SET last_seen_at = ? WHERE id = ?",
            [(started_at, c.entry_id) for c in self.changes if isinstance(c, Seen | Revised)],
        )
        if new:
            self._insert(new)
        if self._withdraw() or any(isinstance(change, New | Revised) for change in self.changes):
            touch(self.db)
        self._log(len(new), self.revised)
        write_events(self.db, self.feed_id, self.outcome.events, self.now)
        return Recorded(accepted=True, entries_new=len(new), entries_revised=self.revised)

    def _update_feed(self, state: FeedState) -> bool:
        values = rows.state_values(state)
        claim = self.outcome.claim
        given = {
            # What the operator did while it was being polled holds: it stays paused, or is due by another `every`.
            "status": "iif(status = 'paused', status, :status)",
            # Nor is it due before the end of a pause that its host has asked for meanwhile.
            "next_poll_at": """iif(every_seconds IS :every_seconds,
                                   max(:next_poll_at, next_poll_at), min(:next_poll_at, :now))""",
            "title": "coalesce(name, :own_title)",
            "leased_until": "NULL",
        }
        statement = update_of("feeds", {**values, **given}, "id = :id AND fence = :fence", given)
        values |= {"id": self.feed_id, "fence": claim.fence, "now": self.now}
        values |= {"every_seconds": rows.wish_values(claim.subscription)["every_seconds"]}
        if self.db.execute(statement, values).rowcount != 1:
            return False
        if self.outcome.hold is not None:
            self._hold(self.outcome.hold)
        if (state.url != claim.state.url or claim.state.status is FeedStatus.GONE) and self._merge(state.url):
            self.changes = ()  # they come by the other feed
        return True

    def _hold(self, hold: Hold) -> None:
        """Keep the pause that a server asked for, and let the feeds concerned wait as long."""
        until = stamp(hold.until)
        whom = [f"#{self.feed_id}"]
        concerned = "id = :id"
        if hold.host is not None:
            whom.append(hold.host)
            concerned += " OR host = :host"
        if hold.domain is not None:
            whom.append(f"*.{hold.domain}")
            concerned += f" OR {DOTTED_NAME} GLOB '*.' || :domain"
        self.db.execute("DELETE FROM holds WHERE until <= ?", (self.now,))
        self.db.executemany(
            """INSERT INTO holds VALUES (?, ?, ?) ON CONFLICT (whom)
               DO UPDATE SET since = excluded.since, until = excluded.until WHERE excluded.until > until""",
            [(one, self.now, until) for one in whom],
        )
        self.db.execute(
            f"UPDATE feeds SET next_poll_at = max(next_poll_at, :until) WHERE {concerned}",
            {"id": self.feed_id, "host": hold.host, "domain": hold.domain, "until": until},
        )

    def _merge(self, url: str) -> bool:
        """End a feed that has moved to where another one is read already; its entries stay."""
        merged = self.db.execute(
            f"""UPDATE feeds SET status = 'gone', last_error = 'moved to ' || o.url || ', which is followed already',
                       next_poll_at = max(next_poll_at, strftime('%Y-%m-%dT%H:%M:%SZ', :now, '{MERGED_FOR}'))
                 FROM (SELECT url FROM feeds WHERE url = :url AND id != :id AND status IN ('active', 'failing')) o
                WHERE feeds.id = :id AND status != 'paused'""",
            {"url": url, "id": self.feed_id, "now": self.now},
        )
        return merged.rowcount > 0

    def _insert(self, entries: Sequence[Entry]) -> None:
        db, now = self.db, self.now
        url = self.outcome.claim.subscription.url
        # The first document of a feed is the past: it stands in lists by its own dates. What comes
        # later stands by when we found it, so that nothing slips in below what was already read.
        backfill = self.outcome.claim.state.last_changed_at is None
        next_entry = next_id(db, "entries")
        # Each is an article of its own until it is linked.
        next_article = next_id(db, "articles")
        articles, inserted, indexed = [], [], []
        for number, entry in enumerate(entries):
            entry_id, article_id = next_entry + number, next_article + number
            uid = rows.uid(url, entry.key)
            articles.append((article_id, entry_id, now, uid))
            listed = now
            if backfill and entry.published_at is not None:
                listed = min(now, stamp(entry.published_at))
            dates = (entry.published_at, entry.updated_at)
            stated = [stamp(date) for date in dates if date is not None and date.year >= FIRST_YEAR]
            inserted.append(
                {
                    "id": entry_id,
                    "feed_id": self.feed_id,
                    "first_seen_at": now,
                    "last_seen_at": stamp(self.outcome.started_at),
                    "changed_at": now,
                    "significant_at": min(max(stated, default=now), now),
                    "listed_at": listed,
                    "article_id": article_id,
                    "uid": uid,
                    "key": entry.key,
                    **rows.content_values(entry),
                }
            )
            indexed.append((entry_id, entry.title, entry.text))
        db.executemany(
            """INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at, uid)
               VALUES (?, ?, 1, 1, ?, ?)""",
            articles,
        )
        db.executemany(insert_into("entries", tuple(inserted[0])), inserted)
        db.executemany("INSERT INTO entries_fts (rowid, title, text) VALUES (?, ?, ?)", indexed)
        write_findings(db, enumerate(entries, next_entry))
        self.new = range(next_entry, next_entry + len(entries))

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
        values["withdrawn_at"] = None
        self.before[entry_id] = (old["title"], old["text"])
        if self.before[entry_id] != (entry.title, entry.text):
            unindex(db, old)
            db.execute(
                "INSERT INTO entries_fts (rowid, title, text) VALUES (?, ?, ?)",
                (entry_id, entry.title, entry.text),
            )
        db.execute(update_of("entries", values, "id = :id"), {**values, "id": entry_id})
        erase(db, entry_id, "entry_tags", "matches", "attributions", "entry_countries")
        write_findings(db, [(entry_id, entry)])

    def _withdraw(self) -> bool:
        """Note what the publisher has taken back; returns whether that is anything new."""
        noted, started_at = 0, self.outcome.started_at
        # Without its hash, an entry that comes back is a revised one.
        take_back = "UPDATE entries SET withdrawn_at = :at, hash = x'' WHERE hash != x'' AND "
        for change in self.changes:
            if isinstance(change, Withdrawn):
                values = {"at": stamp(min(change.at or started_at, started_at)), "id": change.entry_id}
                noted += self.db.execute(f"{take_back} id = :id", values).rowcount
            elif isinstance(change, Complete):
                values = {"at": stamp(started_at), "id": self.feed_id}
                noted += self.db.execute(f"{take_back} feed_id = :id AND last_seen_at < :at", values).rowcount
        return noted > 0

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
