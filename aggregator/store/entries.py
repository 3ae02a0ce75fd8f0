"""Entries: read, searched, tagged anew, and removed when they are old."""

import re
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from aggregator.errors import StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Copy,
    Entry,
    Hit,
    Match,
    Selection,
    StoredEntry,
    Tag,
)
from aggregator.store import rows
from aggregator.store.database import Database, limited, touch
from aggregator.store.links import recount_article, recount_story
from aggregator.store.query import is_dear
from aggregator.store.rows import stamp
from aggregator.store.search import Narrowing, ranked, understood

T = TypeVar("T")

SEARCH_LIMIT = timedelta(seconds=5)
"""A search that takes longer is given up."""

POLL_LOG_KEPT = timedelta(days=30)
"""How long rows of `polls` are kept."""


ARCHIVE_PAGE = 100
"""Archived pages hold so many entries on average."""
ARCHIVE_PAGE_MOST = 1_000
"""And never more."""

FEW = 5_000
"""Conditions that so few entries fit are looked at first, instead of the newest entries."""


class Entries(Database):
    """Stored entries."""

    def entry(self, entry_id: int) -> StoredEntry:
        """One entry. Raises UnknownError where there is none with this id."""
        found = self._entries([entry_id])
        if not found:
            raise UnknownError(f"there is no entry {entry_id}; `aggregator search` shows the ids of entries")
        return found[0]

    def select(
        self, selection: Selection, *, since: datetime | None = None, before: str | None = None, limit: int
    ) -> tuple[tuple[StoredEntry, ...], str | None]:
        """Entries under some conditions, newest first.

        An article stands where the first of its copies does that fits, and is shown by its canonical copy if that
        one fits, too.

        Args:
            selection: the conditions. A feed or label that does not exist fits nothing.
            since: only what has been listed at this time or later.
            before: a cursor: only what stands behind it.
            limit: at most so many.

        Returns:
            The entries, and the cursor behind the last of them; None where there are no more.

        Raises:
            UnknownError: `before` is no cursor.
            StoreError: it takes too long to find them.
        """
        with self._read() as db:
            found = Listing(db, selection, since).walk(before, limit + 1)
        shown = found[:limit]
        return self._entries([place.shown for place in shown]), cursor_behind(shown) if len(
            found
        ) > limit else None

    def archive(
        self, selection: Selection, before: str, newest: int
    ) -> tuple[tuple[StoredEntry, ...], str | None, str | None]:
        """A page of a selection that stays as it is while entries come and go elsewhere.

        It goes from a cursor to the next entry whose id is a multiple of a hundred, which is a property of that
        entry alone (content-defined chunking: Muthitacharoen, Chen and Mazières, A Low-bandwidth Network File System,
        2001). So pages that begin at such ends hold each entry once between them, whatever is added or removed.

        Args:
            selection: the conditions.
            before: a cursor: that of `select`, or one from here.
            newest: so many entries are in the document that readers subscribe to.

        Returns:
            The entries, the cursor of the page behind it, and that of the page before it: None where there is none,
            or, before it, none that is complete.

        Raises:
            UnknownError: `before` is no cursor.
        """
        with self._read() as db:
            listing = Listing(db, selection)
            places, older = listing.page(before)
            newer = listing.walk(before, 1, back=True, ends=True)
            if newer > listing.walk(None, newest)[-1:]:
                newer = []  # it stands in the newest document
        return self._entries([place.shown for place in places]), older, cursor_behind(newer)

    def archive_behind(self, selection: Selection, before: str) -> str | None:
        """The cursor of the archived page behind the one that begins at `before`; None where that is the last."""
        with self._read() as db:
            return Listing(db, selection).page(before)[1]

    def labels(self) -> tuple[str, ...]:
        """The operator's labels of feeds, each once."""
        with self._read() as db:
            found = db.execute(
                "SELECT DISTINCT value FROM feeds, json_each(feeds.tags) ORDER BY value"
            ).fetchall()
        return tuple(row[0] for row in found)

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
        language: str | None = None,
        since: datetime | None = None,
        limit: int = 20,
    ) -> tuple[Hit, ...]:
        """Full-text search over title and text, best first, each article once.

        Of what matches, the newest are ranked: `store.search` says how.

        Args:
            query: in the language of `store.query`; every text is one.
            topic: only entries with this tag.
            feed_ids: only entries of these feeds.
            language: only entries in this language.
            since: only entries listed at or after this time.
            limit: at most this many.
        """
        with self._read() as db, in_time(db):
            found = ranked(db, query, Narrowing(topic, feed_ids, language, rows.stamp_or_none(since)), limit)
        return tuple(Hit(entry, found[entry.id]) for entry in self._entries(tuple(found)))

    def _entries(self, ids: Sequence[int]) -> tuple[StoredEntry, ...]:
        """Entries whole, in the order of `ids`; those that do not exist are left out."""
        if not ids:
            return ()
        listed = "(" + ",".join(map(str, ids)) + ")"
        with self._read() as db:
            found = {
                row["id"]: row
                for row in db.execute(
                    f"""SELECT e.*, f.title AS feed_title, f.url AS feed_url, f.site_url AS feed_site_url,
                               a.uid AS article_uid
                          FROM entries e JOIN feeds f ON f.id = e.feed_id JOIN articles a ON a.id = e.article_id
                         WHERE e.id IN {listed}"""
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
            countries = _grouped(
                db.execute(
                    f"SELECT entry_id, country FROM entry_countries WHERE entry_id IN {listed} ORDER BY rowid"
                ),
                str,
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
                countries=countries.get(entry_id, ()),
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
                """SELECT e.id, e.feed_id, e.key, e.title, e.text, e.article_id, e.story_id
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
                recount_article(db, row["article_id"])
                if row["story_id"] is not None:
                    recount_story(db, row["story_id"])
            return len(old)


class Position(NamedTuple):
    """Where an entry, or the article that it is the first copy of, stands; and the entry to show for it."""

    listed_at: str
    entry_id: int
    shown: int


class Listing:
    """A selection in SQL: one statement, newest first, that begins where least has to be looked through.

    Args:
        db: what to read from.
        selection: the conditions.
        since: only what has been listed at this time or later.
    """

    def __init__(self, db: sqlite3.Connection, selection: Selection, since: datetime | None = None) -> None:
        self._db = db
        self._since = rows.stamp_or_none(since)
        self._values: dict[str, Any] = {
            name: value
            for name in Selection.__dataclass_fields__
            if (value := getattr(selection, name)) is not None
        }
        self._is_dear = False
        if selection.search is not None:
            self._values["search"] = match = understood(db, selection.search)
            self._is_dear = is_dear(match)
        self._conditions = tuple(self._said(selection))
        self._probed = tuple(_PROBED if said == _MATCHING else said for said in self._conditions)
        self._once = not selection.copies
        self._met: tuple[str, ...] = ()
        self._from, self._where, self._order = self._begin(selection)

    def walk(
        self,
        before: str | None,
        limit: int,
        *,
        until: Position | None = None,
        back: bool = False,
        ends: bool = False,
    ) -> list[Position]:
        """Places in their order, the newest first.

        Args:
            before: a cursor: only what stands behind it.
            limit: at most so many.
            until: the last one to be found.
            back: the other way: what stands before the cursor, the nearest first.
            ends: only those at which an archived page ends.
        """
        listed_at, entry_id = self._order
        where = [
            self._where,
            *self._for("e", but=self._met),
            *([f"{entry_id} % {ARCHIVE_PAGE} = 0"] if ends else []),
        ]
        if self._once:
            earlier = " AND ".join(["c.article_id = e.article_id", "c.id < e.id", *self._for("c")])
            where.append(f"NOT EXISTS (SELECT 1 FROM entries c WHERE {earlier})")
            canonical = " AND ".join(["a.id = found.article_id", *self._for("c")])
            shown = f"""coalesce((SELECT c.id FROM articles a JOIN entries c ON c.id = a.canonical_entry_id
                                   WHERE {canonical}), found.id)"""
        else:
            shown = "found.id"
        values = {**self._values, "limit": limit}
        if before is not None:
            where.append(f"({listed_at}, {entry_id}) {'>' if back else '<'} (:before_at, :before_id)")
            values["before_at"], values["before_id"] = place_of(before)
        if until is not None:
            where.append(f"({listed_at}, {entry_id}) >= (:until_at, :until_id)")
            values["until_at"], values["until_id"] = until.listed_at, until.entry_id
        if self._since is not None:
            where.append(f"{listed_at} >= :since")
            values["since"] = self._since
        way = "ASC" if back else "DESC"
        statement = f"""SELECT found.listed_at, found.id, {shown} FROM (
                            SELECT e.listed_at, e.id, e.article_id FROM {self._from}
                             WHERE {" AND ".join(where)}
                             ORDER BY {listed_at} {way}, {entry_id} {way} LIMIT :limit) found
                         ORDER BY found.listed_at {way}, found.id {way}"""
        with in_time(self._db):
            return [Position(*row) for row in self._db.execute(statement, values)]

    def page(self, before: str) -> tuple[list[Position], str | None]:
        """What an archived page holds, and the cursor of the one behind it."""
        end = self.walk(before, 1, ends=True)
        found = self.walk(before, ARCHIVE_PAGE_MOST + 1, until=end[0] if end else None)
        places = found[:ARCHIVE_PAGE_MOST]
        more = len(found) > ARCHIVE_PAGE_MOST or bool(end and self.walk(cursor_behind(end), 1))
        return places, cursor_behind(places) if more else None

    def _for(self, entry: str, *, but: Sequence[str] = ()) -> list[str]:
        """The conditions for a table of entries, without those that hold anyway."""
        said = self._conditions if entry == "e" or self._is_dear else self._probed
        return [condition.format(e=entry) for condition in said if condition not in but]

    def _said(self, selection: Selection) -> Iterator[str]:
        """The conditions; `{e}` stands for the entry."""
        tag = "EXISTS (SELECT 1 FROM entry_tags t INDEXED BY entry_tags_by_entry WHERE t.entry_id = {{e}}.id AND {})"
        topic = "t.topic = :topic AND " if selection.topic is not None else ""
        if selection.aspect is not None:
            yield tag.format(topic + "t.aspect = :aspect")
        elif selection.topic is not None:
            yield tag.format(topic + "t.aspect IS NULL")
        if selection.min_score is not None:
            yield tag.format(topic + "t.aspect IS NULL AND t.score >= :min_score")
        if selection.feed is not None:
            yield self._by_feeds("subscription_url = :feed OR url = :feed OR title = :feed COLLATE NOCASE")
        if selection.tag is not None:
            yield self._by_feeds("EXISTS (SELECT 1 FROM json_each(feeds.tags) WHERE value = :tag)")
        if selection.language is not None:
            yield "{e}.language = :language"
        if selection.country is not None:
            yield "EXISTS (SELECT 1 FROM entry_countries k WHERE k.entry_id = {e}.id AND k.country = :country)"
        if selection.search is not None:
            yield _MATCHING
        if selection.min_outlets is not None:
            yield "EXISTS (SELECT 1 FROM stories s WHERE s.id = {e}.story_id AND s.feed_count >= :min_outlets)"

    def _by_feeds(self, which: str) -> str:
        ids = [str(row[0]) for row in self._db.execute(f"SELECT id FROM feeds WHERE {which}", self._values)]
        return f"{{e}}.feed_id = {ids[0]}" if len(ids) == 1 else f"{{e}}.feed_id IN ({', '.join(ids)})"

    def _begin(self, selection: Selection) -> tuple[str, str, tuple[str, str]]:
        """Where to look: what to read from, under which condition, and the columns of its order."""
        said = self._conditions
        feeds = tuple(condition for condition in said if "feed_id" in condition)
        rare = {
            "SELECT entry_id AS id FROM entry_countries WHERE country = :country": _naming(
                "entry_countries", said
            ),
            "SELECT rowid AS id FROM entries_fts WHERE entries_fts MATCH :search": _naming(
                "entries_fts", said
            ),
            f"SELECT e.id FROM entries e WHERE {' AND '.join(each.format(e='e') for each in feeds)}": feeds,
        }
        listed = "e.listed_at", "e.id"
        for statement, met in rare.items():
            if met:
                counted = f"SELECT count(*) FROM (SELECT 1 FROM ({statement}) LIMIT {FEW + 1})"
                with in_time(self._db):
                    if self._db.execute(counted, self._values).fetchone()[0] <= FEW:
                        self._met = met
                        return f"({statement}) rare CROSS JOIN entries e ON e.id = rare.id", "1", listed
        if selection.topic is not None:
            self._met = said[:1]
            aspect = "p.aspect IS NULL" if selection.aspect is None else "p.aspect = :aspect"
            tags = "entry_tags p INDEXED BY entry_tags_by_topic CROSS JOIN entries e ON e.id = p.entry_id"
            return tags, f"p.topic = :topic AND {aspect}", ("p.listed_at", "p.entry_id")
        index = "entries_by_feed" if any(" = " in condition for condition in feeds) else "entries_by_listed"
        return f"entries e INDEXED BY {index}", "1", listed


_MATCHING = "{e}.id IN (SELECT rowid FROM entries_fts WHERE entries_fts MATCH :search)"
"""True of what a search matches. All that is found first, which costs a tenth of a microsecond for each."""
_PROBED = "EXISTS (SELECT 1 FROM entries_fts WHERE entries_fts MATCH :search AND rowid = {e}.id)"
"""The same, where few are asked about: FTS5 looks for each, which costs some fifty."""


def _naming(table: str, conditions: Sequence[str]) -> tuple[str, ...]:
    return tuple(condition for condition in conditions if f" {table} " in condition)


@contextmanager
def in_time(db: sqlite3.Connection) -> Iterator[None]:
    """Give up what takes longer than a search may."""
    with limited(db, SEARCH_LIMIT):
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise
            raise StoreError(f"the search took longer than {SEARCH_LIMIT.total_seconds():.0f} s") from None


_CURSOR = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(\d{1,18})", re.ASCII)


def cursor_behind(places: Sequence[Position]) -> str | None:
    """The cursor behind the last of some places; None where there are none."""
    if not places:
        return None
    return f"{places[-1].listed_at.replace('-', '').replace(':', '')}-{places[-1].entry_id}"


def place_of(cursor: str) -> tuple[str, int]:
    """What a cursor names. Raises UnknownError for what is none."""
    found = _CURSOR.fullmatch(cursor)
    if found is None:
        raise UnknownError(f"{cursor[:80]!r} is no cursor; one looks like 20251120T120000Z-123")
    year, month, day, hour, minute, second, entry_id = found.groups()
    return f"{year}-{month}-{day}T{hour}:{minute}:{second}Z", int(entry_id)


def _grouped(cursor: Iterable[sqlite3.Row], kind: Callable[..., T]) -> dict[int, tuple[T, ...]]:
    groups: dict[int, list[T]] = defaultdict(list)
    for row in cursor:
        groups[row[0]].append(kind(*tuple(row)[1:]))
    return {entry_id: tuple(values) for entry_id, values in groups.items()}


def erase(db: sqlite3.Connection, entry_id: int, *tables: str) -> None:
    """Take away what we made of an entry."""
    for table in tables:
        db.execute(f"DELETE FROM {table} WHERE entry_id = ?", (entry_id,))


def write_findings(db: sqlite3.Connection, entries: Iterable[tuple[int, Entry]]) -> None:
    """What we make of entries: their tags, the evidence for them, and whom they say they copied."""
    entries = tuple(entries)
    write_tags(db, [(entry_id, entry.tags, entry.matches) for entry_id, entry in entries])
    countries = [(entry_id, country) for entry_id, entry in entries for country in entry.countries]
    if countries:
        db.executemany("INSERT OR IGNORE INTO entry_countries VALUES (?, ?)", countries)
    attributions = [(entry_id, a.name, a.url) for entry_id, entry in entries for a in entry.attributions]
    if attributions:
        db.executemany("INSERT INTO attributions VALUES (?, ?, ?)", attributions)


def write_tags(
    db: sqlite3.Connection, entries: Iterable[tuple[int, tuple[Tag, ...], tuple[Match, ...]]]
) -> None:
    tags, matches = [], []
    for entry_id, some_tags, some_matches in entries:
        tags += [(tag.topic, tag.aspect, tag.score, entry_id) for tag in some_tags]
        matches += [(entry_id, m.topic, m.rule, m.term, m.field, m.start, m.end) for m in some_matches]
    if tags:
        db.executemany("INSERT INTO entry_tags SELECT id, ?, ?, ?, listed_at FROM entries WHERE id = ?", tags)
    if matches:
        db.executemany("INSERT INTO matches VALUES (?, ?, ?, ?, ?, ?, ?)", matches)


def unindex(db: sqlite3.Connection, row: sqlite3.Row) -> None:
    """Take an entry out of the full-text index, which must be told the words it holds."""
    db.execute(
        "INSERT INTO entries_fts (entries_fts, rowid, title, text) VALUES ('delete', ?, ?, ?)",
        (row["id"], row["title"], row["text"]),
    )
