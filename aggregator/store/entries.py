"""Entries: read, searched, tagged anew, and removed when they are old."""

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from aggregator import text
from aggregator.errors import StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Copy,
    Entry,
    Hit,
    Match,
    OutputFeed,
    StoredEntry,
    Tag,
)
from aggregator.store import rows
from aggregator.store.database import Database, limited, touch
from aggregator.store.rows import stamp

T = TypeVar("T")

SEARCH_LIMIT = timedelta(seconds=5)
"""A search that takes longer is given up."""

POLL_LOG_KEPT = timedelta(days=30)
"""How long rows of `polls` are kept."""


class Entries(Database):
    """Stored entries."""

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
        with self._read() as db, limited(db, SEARCH_LIMIT):
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
            touch(db)
            for entry, tags, matches in page:
                same = "SELECT 1 FROM entries WHERE id = ? AND revision = ?"
                if db.execute(same, (entry.id, entry.revision)).fetchone():
                    erase(db, entry.id, "entry_tags", "matches")
                    write_tags(db, [(entry.id, tags, matches)])

    def mixed(self, slugs: Iterable[str]) -> None:
        """Note that entries are from now on tagged by other rules of these topics than those before."""
        with self._write() as db:
            db.executemany("UPDATE topics SET revision = '' WHERE slug = ?", [(slug,) for slug in slugs])

    def retagged(self, topics: Iterable[tuple[str, str, str]]) -> None:
        """Note that every stored entry is now tagged by these topics: slug, title and revision of each."""
        with self._write() as db:
            db.execute("DELETE FROM topics")
            db.executemany("INSERT INTO topics (slug, title, revision) VALUES (?, ?, ?)", topics)

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
                touch(db)
            for row in old:
                db.execute(
                    "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)",
                    (row["feed_id"], row["key"], stamp(now)),
                )
                unindex(db, row)
                db.execute("DELETE FROM entries WHERE id = ?", (row["id"],))
                recount(db, row["article_id"])
            return len(old)


def _grouped(cursor: Iterable[sqlite3.Row], kind: Callable[..., T]) -> dict[int, tuple[T, ...]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for row in cursor:
        groups[row[0]].append(kind(*tuple(row)[1:]))
    return {entry_id: tuple(values) for entry_id, values in groups.items()}


def _parts(snippet: str) -> tuple[tuple[str, bool], ...]:
    """A snippet whose found words stand between control characters, which no stored text holds."""
    before, *others = snippet.split("\1")
    parts = [(before, False)]
    for piece in others:
        found, _, after = piece.partition("\2")
        parts += [(found, True), (after, False)]
    return tuple(part for part in parts if part[0])


def erase(db: sqlite3.Connection, entry_id: int, *tables: str) -> None:
    """Take away what we made of an entry."""
    for table in tables:
        db.execute(f"DELETE FROM {table} WHERE entry_id = ?", (entry_id,))


def write_findings(db: sqlite3.Connection, entries: Iterable[tuple[int, Entry]]) -> None:
    """What we make of entries: their tags, the evidence for them, and whom they say they copied."""
    entries = tuple(entries)
    write_tags(db, [(entry_id, entry.tags, entry.matches) for entry_id, entry in entries])
    attributions = [(entry_id, a.name, a.url) for entry_id, entry in entries for a in entry.attributions]
    if attributions:
        db.executemany("INSERT INTO attributions VALUES (?, ?, ?)", attributions)


def write_tags(
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


def unindex(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take an entry out of the full-text index, which must be told the words it holds."""
    db.execute(
        "INSERT INTO entries_fts (entries_fts, rowid, title, text) VALUES ('delete', ?, ?, ?)",
        (row["id"], row["title"], row["text"]),
    )


def recount(db: sqlite3.Connection, article_id: int) -> None:
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
