"""Articles and stories: which entries belong together, and the index that finds what an entry may belong to.

`Links` is what a journey sees of the store within one write transaction: it reads, and it writes what has been
decided; it decides nothing.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

from aggregator.errors import StoreError, UnknownError
from aggregator.model import Edge, Level
from aggregator.store import rows
from aggregator.store.database import Database, chunks, next_id, touch
from aggregator.store.rows import stamp

HOLDERS = 30
"""Of a key that more entries hold than this, those are looked at that came next before or after."""
SINGLES = 5
"""Of those that share a single key no more are looked at: nearly all of them have only a phrase in common."""
CONCERNED = 200
"""So many entries of a feed, the newest, are looked at again when a paragraph turns out to be its furniture."""
VERSIONS = 3
"""Of what an entry said before, the first version counts and so many before the present one."""
TITLES = 50
"""From so many articles a story has its title: the first ones."""
SOURCES = 200
"""Among so many entries of a story the outlets are looked for that others credit: the earliest."""
FORGOTTEN = 2_000
"""Rows that are forgotten in one transaction."""

LISTED = "(SELECT value FROM json_each(?1))"
"""Numbers given as JSON (`_listed`): a statement of one wording need not be prepared anew each time."""

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Linkable:
    """What of an entry decides what it belongs to.

    Attributes:
        id, uid, feed_id, article_id, story_id: the entry, and where it belongs now; a story may yet be missing.
        feed_title, site_url: of its feed; `site_url` is the feed's own address where the site is not known.
        accompanied: whether others are of its article.
        guid: if it is what its feed knows it by.
        url, url_key, title, text, language: as in `model.Entry`; `url` is the article's own address.
        at: when it was published, or else first seen.
        credits: names of the outlets it says it took its text from.
        countries: codes of the countries it is about.
    """

    id: int
    uid: str
    feed_id: int
    article_id: int
    story_id: int | None
    accompanied: bool
    feed_title: str
    site_url: str
    guid: str | None
    url: str | None
    url_key: int | None
    title: str
    text: str
    language: str | None
    at: datetime
    credits: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prints:
    """By what an entry is compared: its date; packed, and the keys by which others find it."""

    entry_id: int
    at: datetime
    article: bytes
    article_keys: tuple[int, ...]
    story: bytes
    story_keys: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an article, as far as it matters which of them is the original.

    Attributes:
        id, uid: the entry.
        feed_title, site_url: of its feed, as in `Linkable`.
        credits: names of the outlets it says it took its text from.
        at: when it was published, or else first seen.
    """

    id: int
    uid: str
    feed_title: str
    site_url: str
    credits: tuple[str, ...]
    at: datetime


@dataclass(frozen=True, slots=True)
class Cluster:
    """Entries that articles hold, and all that says how they hang together.

    Attributes:
        members: the entries, by id.
        articles: of each entry, the article it belongs to now.
        edges: between them, at the level of articles.
        apart: pairs that a person has split.
    """

    members: Mapping[int, Member]
    articles: Mapping[int, int]
    edges: tuple[Edge, ...]
    apart: frozenset[Pair]


class Credit(NamedTuple):
    """That an entry says it took its text from an outlet; `url` is where that leads by now."""

    id: int
    entry_id: int
    article_id: int
    name: str
    url: str | None


class Source(NamedTuple):
    """An entry that others may credit; `site_url` as in `Linkable`."""

    entry_id: int
    article_id: int
    feed_title: str | None
    site_url: str
    url: str


class Links:
    """Articles and stories within one write transaction. Entries, articles, stories and paragraphs go by their numbers.

    Args:
        db: the writing connection, in a transaction.
        now: the time.
        before: title and text of revised entries as they were.
        give_way: to be called before each piece of work; may wait a moment for what is more urgent.

    Attributes:
        corrected: whether there are corrections at all.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        now: datetime,
        before: Mapping[int, tuple[str, str]] | None = None,
        give_way: Callable[[], None] = lambda: None,
    ) -> None:
        self._db = db
        self.now = now
        self.before = before or {}
        self.give_way = give_way
        self._stories: set[int] = set()
        self._newest = db.execute("SELECT max(entry_id) FROM fingerprints").fetchone()[0] or 0
        self._newest_before = self._newest
        self.corrected = db.execute("SELECT 1 FROM corrections LIMIT 1").fetchone() is not None

    def read(self, ids: Collection[int]) -> tuple[Linkable, ...]:
        """Entries, by ascending id."""
        found = []
        for part in chunks(sorted(ids)):
            listed = (_listed(part),)
            named: dict[int, list[str]] = {}
            for row in self._db.execute(
                f"SELECT entry_id, name FROM attributions WHERE entry_id IN {LISTED} ORDER BY rowid", listed
            ):
                named.setdefault(row[0], []).append(row[1])
            countries: dict[int, list[str]] = {}
            for row in self._db.execute(
                f"SELECT entry_id, country FROM entry_countries WHERE entry_id IN {LISTED} ORDER BY rowid",
                listed,
            ):
                countries.setdefault(row[0], []).append(row[1])
            for row in self._db.execute(
                f"""SELECT e.id, e.uid, e.feed_id, e.article_id, e.story_id, e.url_key, e.title, e.text,
                           iif(e.key = e.guid, e.guid, NULL) AS guid, a.entry_count > 1 AS accompanied,
                           e.language, coalesce(e.original_url, e.url) AS url,
                           coalesce(e.published_at, e.first_seen_at) AS at,
                           coalesce(f.title, f.url) AS feed_title, coalesce(f.site_url, f.url) AS site_url
                      FROM entries e JOIN feeds f ON f.id = e.feed_id JOIN articles a ON a.id = e.article_id
                     WHERE e.id IN {LISTED} ORDER BY e.id""",
                listed,
            ):
                values = dict(row)
                values |= {"at": rows.moment(row["at"]), "accompanied": bool(row["accompanied"])}
                entry_id = row["id"]
                found.append(
                    Linkable(
                        **values,
                        countries=tuple(countries.get(entry_id, ())),
                        credits=tuple(named.get(entry_id, ())),
                    )
                )
        return tuple(found)

    def earlier(self, entry_ids: Iterable[int]) -> dict[int, list[tuple[str, str]]]:
        """Title and markup of earlier versions of those entries that have some, the newest first."""
        found: dict[int, list[tuple[str, str]]] = {}
        for entry_id, title, markup in self._db.execute(
            f"""SELECT r.entry_id, r.title, iif(r.content = '', r.summary, r.content)
                  FROM revisions r JOIN entries e ON e.id = r.entry_id
                 WHERE r.entry_id IN {LISTED} AND (r.revision = 1 OR r.revision >= e.revision - ?2)
                 ORDER BY r.entry_id, r.revision DESC""",
            (_listed(entry_ids), VERSIONS),
        ):
            found.setdefault(entry_id, []).append((title, markup))
        return found

    # ---------------------------------------------------------------------------- furniture

    def count(self, held: Iterable[tuple[Linkable, Iterable[int], int]]) -> None:
        """Note which paragraphs entries hold at their ends, and under which title."""
        self._db.executemany(
            "INSERT OR IGNORE INTO paragraphs (feed_id, key, title_key, entry_id) VALUES (?, ?, ?, ?)",
            sorted(
                (entry.feed_id, key, title_key, entry.id) for entry, keys, title_key in held for key in keys
            ),
        )

    def uncount(self, entry: Linkable, keys: Iterable[int], title_key: int) -> None:
        """Forget that an entry holds these paragraphs under this title."""
        self._db.executemany(
            "DELETE FROM paragraphs WHERE feed_id = ? AND key = ? AND title_key = ? AND entry_id = ?",
            [(entry.feed_id, key, title_key, entry.id) for key in keys],
        )

    def common(self, feed_id: int, keys: Collection[int], enough: int) -> frozenset[int]:
        """Those of some paragraphs that a feed has under enough different titles."""
        found = self._db.execute(
            """SELECT value FROM json_each(:keys)
                WHERE (SELECT count(*) FROM (SELECT DISTINCT title_key FROM paragraphs
                        WHERE feed_id = :feed AND key = value LIMIT :enough)) = :enough""",
            {"keys": _listed(keys), "feed": feed_id, "enough": enough},
        )
        return frozenset(row[0] for row in found)

    def holding(self, feed_id: int, keys: Iterable[int]) -> frozenset[int]:
        """The newest entries of a feed in the index that hold one of these paragraphs."""
        found = self._db.execute(
            f"""SELECT DISTINCT entry_id FROM paragraphs JOIN fingerprints USING (entry_id)
                 WHERE feed_id = ?2 AND key IN {LISTED}
                 ORDER BY entry_id DESC LIMIT ?3""",
            (_listed(keys), feed_id, CONCERNED),
        )
        return frozenset(row[0] for row in found)

    # ------------------------------------------------------------------------- fingerprints

    def put(self, prints: Collection[Prints]) -> None:
        """Keep by what entries are compared. Keys that one had before only cost a comparison, until it is dropped."""
        self._newest_before = self._newest
        self._newest = max([self._newest, *(one.entry_id for one in prints)])
        self._db.executemany(
            "INSERT OR REPLACE INTO fingerprints VALUES (?, ?, ?, ?)",
            [(one.entry_id, stamp(one.at), one.article, one.story) for one in prints],
        )
        # In the order of the tables: neighbours lie on one page.
        self._db.executemany(
            "INSERT OR IGNORE INTO article_keys VALUES (?, ?)",
            sorted((key, one.entry_id) for one in prints for key in one.article_keys),
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO story_keys VALUES (?, ?)",
            sorted((key, one.entry_id) for one in prints for key in one.story_keys),
        )

    def packed(self, entry_ids: Iterable[int]) -> dict[int, tuple[bytes, bytes]]:
        """Packed fingerprint and signature of those entries that are in the index."""
        found = self._db.execute(
            f"SELECT entry_id, article, story FROM fingerprints WHERE entry_id IN {LISTED}",
            (_listed(entry_ids),),
        )
        return {row[0]: (row[1], row[2]) for row in found}

    def drop(self, before: datetime, limit: int) -> int:
        """Take entries from before a time out of the index, and say how many; their keys stay until they are swept."""
        return self._db.execute(
            """DELETE FROM fingerprints WHERE entry_id IN
                   (SELECT entry_id FROM fingerprints WHERE at < ? ORDER BY at LIMIT ?)""",
            (stamp(before), limit),
        ).rowcount

    def sweep(self, part: int, parts: int) -> None:
        """Remove the keys of entries that are out of the index, from one of so many parts of all keys and feeds."""
        feeds = self._db.execute("SELECT coalesce(max(id), 0) + 1 FROM feeds").fetchone()[0]
        for table, column, least, count in (
            ("article_keys", "key", -(2**63), 2**64),
            ("story_keys", "key", 0, 2**32),
            ("paragraphs", "feed_id", 0, feeds),
        ):
            first, last = least + part * count // parts, least + (part + 1) * count // parts - 1
            self._db.execute(
                f"""DELETE FROM {table} WHERE {column} BETWEEN ? AND ?
                       AND NOT EXISTS (SELECT 1 FROM fingerprints f WHERE f.entry_id = {table}.entry_id)""",
                (first, last),
            )

    def same_address(self, entry: Linkable) -> tuple[int, ...]:
        """The first other entry with the same canonical URL, whenever it came: through it they all hang together."""
        found = self._db.execute(
            "SELECT id FROM entries WHERE url_key = ? AND id != ? ORDER BY id LIMIT 1",
            (entry.url_key, entry.id),
        )
        return tuple(row[0] for row in found)

    def like_articles(self, entry_id: int, keys: Sequence[int], limit: int) -> list[int]:
        """Other entries that share keys of articles with one, those that share most first.

        For one that was put last, and is newer than all before it, only those that came before: the later ones find it.
        """
        holders = self._holders("article_keys", entry_id, keys)
        if entry_id <= self._newest_before:
            holders += self._holders("article_keys", entry_id, keys, later=True)
        return _sharing_most(holders, limit)

    def like_stories(self, entry_id: int, keys: Sequence[int], limit: int) -> list[int]:
        """Entries that came before one and share keys of stories with it, those that share most first."""
        return _sharing_most(self._holders("story_keys", entry_id, keys), limit)

    def _holders(
        self, table: str, entry_id: int, keys: Sequence[int], *, later: bool = False
    ) -> list[list[str]]:
        """Ids of the entries before one, or after it, that hold each of some keys, the nearest first."""
        where = "> :id ORDER BY entry_id" if later else "< :id ORDER BY entry_id DESC"
        # Joined, they cost a third of what a row for each would.
        found = self._db.execute(
            f"""SELECT (SELECT group_concat(entry_id) FROM (
                           SELECT entry_id FROM {table} WHERE key = k.value AND entry_id {where} LIMIT {HOLDERS})) AS some
                  FROM json_each(:keys) k WHERE some NOT NULL""",
            {"id": entry_id, "keys": _listed(keys)},
        )
        return [some.split(",") for (some,) in found]

    # -------------------------------------------------------------------------------- edges

    def add_edges(self, edges: Iterable[Edge]) -> None:
        """Note edges that were found."""
        self._db.executemany(
            "INSERT OR IGNORE INTO edges VALUES (?, ?, ?, ?, ?)",
            [(min(e.a, e.b), max(e.a, e.b), e.level.value, e.method, round(e.score, 3)) for e in edges],
        )

    def set_edges(self, entry_id: int, level: Level, edges: Collection[Edge]) -> tuple[int, ...]:
        """Replace the edges of an entry that were found; those by hand stay.

        Returns:
            The entries at the other ends, of old and new ones.
        """
        values = {"id": entry_id, "level": level.value}
        found = "level = :level AND method != 'by hand'"
        others = {
            row[0]
            for row in self._db.execute(
                f"SELECT iif(a = :id, b, a) FROM edges WHERE (a = :id OR b = :id) AND {found}", values
            )
        }
        if others:  # one that is out of the index could not be found again
            self._db.execute(
                f"""DELETE FROM edges WHERE (a = :id OR b = :id) AND {found}
                       AND iif(a = :id, b, a) IN (SELECT entry_id FROM fingerprints)""",
                values,
            )
        self.add_edges(edges)
        others.update(e.a if e.b == entry_id else e.b for e in edges)
        return tuple(sorted(others))

    def partners(self, entry_ids: Iterable[int]) -> dict[int, list[int]]:
        """Of those entries that an edge ties to others as one article, the others."""
        found: dict[int, list[int]] = {}
        for one, other in self._db.execute(
            f"""SELECT a, b FROM edges WHERE level = 'article' AND a IN {LISTED} UNION ALL
                SELECT b, a FROM edges WHERE level = 'article' AND b IN {LISTED}""",
            (_listed(entry_ids),),
        ):
            found.setdefault(one, []).append(other)
        return found

    def cluster(self, entry_ids: Collection[int]) -> Cluster:
        """All entries of the articles of some entries, and what holds them together."""
        members: dict[int, Member] = {}
        articles: dict[int, int] = {}
        for row in self._db.execute(
            f"""SELECT e.id, e.uid, e.article_id, coalesce(e.published_at, e.first_seen_at) AS at,
                       coalesce(f.title, f.url) AS feed_title, coalesce(f.site_url, f.url) AS site_url,
                       (SELECT group_concat(name, char(1)) FROM attributions WHERE entry_id = e.id) AS credits
                  FROM entries e JOIN feeds f ON f.id = e.feed_id
                 WHERE e.article_id IN (SELECT article_id FROM entries WHERE id IN {LISTED})""",
            (_listed(entry_ids),),
        ):
            named = tuple(row["credits"].split("\1")) if row["credits"] else ()
            at = rows.moment(row["at"])
            members[row["id"]] = Member(row["id"], row["uid"], row["feed_title"], row["site_url"], named, at)
            articles[row["id"]] = row["article_id"]
        edges = tuple(
            Edge(row[0], row[1], Level.ARTICLE, row[2], row[3])
            for row in self._db.execute(
                f"""SELECT a, b, method, score FROM edges
                     WHERE level = 'article' AND a IN {LISTED} AND b IN {LISTED}""",
                (_listed(members),),
            )
        )
        return Cluster(members, articles, edges, self.apart(Level.ARTICLE, members))

    def apart(self, level: Level, entry_ids: Iterable[int]) -> frozenset[Pair]:
        """Pairs with one of these entries that a person has split."""
        if not self.corrected:
            return frozenset()
        return frozenset(
            (row[0], row[1])
            for row in self._db.execute(
                f"""SELECT a, b FROM corrections
                     WHERE (a IN {LISTED} OR b IN {LISTED}) AND level = ?2 AND together = 0""",
                (_listed(entry_ids), level.value),
            )
        )

    def are_apart(self, story: int, other: int) -> bool:
        """Whether a person has split an entry of one story from one of the other."""
        found = self._db.execute(
            """SELECT 1 FROM corrections c JOIN entries a ON a.id = c.a JOIN entries b ON b.id = c.b
                WHERE c.level = 'story' AND c.together = 0
                  AND ((a.story_id = :one AND b.story_id = :other) OR (a.story_id = :other AND b.story_id = :one))
                LIMIT 1""",
            {"one": story, "other": other},
        )
        return found.fetchone() is not None

    def together(self, level: Level, entry_ids: Iterable[int]) -> tuple[int, ...]:
        """The entries that a person has said belong to one of these."""
        if not self.corrected:
            return ()
        found = self._db.execute(
            f"""SELECT b FROM corrections WHERE a IN {LISTED} AND level = ?2 AND together = 1
                UNION SELECT a FROM corrections WHERE b IN {LISTED} AND level = ?2 AND together = 1 ORDER BY 1""",
            (_listed(entry_ids), level.value),
        )
        return tuple(row[0] for row in found)

    def contradicted(self, *, together: bool) -> tuple[Pair, ...]:
        """Pairs that a person has said tell one story, or do not, where it is not so; in the order of what was said."""
        found = self._db.execute(
            """SELECT c.a, c.b FROM corrections c JOIN entries a ON a.id = c.a JOIN entries b ON b.id = c.b
                WHERE c.level = 'story' AND c.together = :together
                  AND (a.story_id = b.story_id) != :together AND a.article_id != b.article_id
                ORDER BY c.at, c.a, c.b""",
            {"together": int(together)},
        )
        return tuple((row[0], row[1]) for row in found)

    # ----------------------------------------------------------------------------- articles

    def place(self, entry_id: int) -> tuple[int, int | None]:
        """The article and the story of an entry."""
        row = self._db.execute(
            "SELECT article_id, story_id FROM entries WHERE id = ?", (entry_id,)
        ).fetchone()
        return row[0], row[1]

    def members(self, article_id: int) -> tuple[int, ...]:
        """The entries of an article."""
        found = self._db.execute("SELECT id FROM entries WHERE article_id = ? ORDER BY id", (article_id,))
        return tuple(row[0] for row in found)

    def uid_of(self, article_id: int) -> str:
        """The name of an article: the uid of the entry that it began with."""
        uid: str = self._db.execute("SELECT uid FROM articles WHERE id = ?", (article_id,)).fetchone()[0]
        return uid

    def new_article(self, entry_id: int) -> int:
        """An article that begins with an entry, in its story; its entries are given by `set_articles`."""
        article_id = next_id(self._db, "articles")
        self._db.execute(
            """INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at, uid, story_id)
               SELECT ?, id, 1, 1, first_seen_at, uid, story_id FROM entries WHERE id = ?""",
            (article_id, entry_id),
        )
        return article_id

    def set_articles(self, articles: Mapping[int, tuple[Collection[int], int]]) -> None:
        """Make each article of exactly these entries, the second of the two its canonical one; they are of its story."""
        touch(self._db)
        for article_id, (entry_ids, _) in articles.items():
            listed = _listed(entry_ids)
            self._stories.update(
                row[0]
                for row in self._db.execute(
                    f"SELECT DISTINCT story_id FROM entries WHERE id IN {LISTED} AND story_id IS NOT NULL",
                    (listed,),
                )
            )
            self._db.execute(
                f"""UPDATE entries SET article_id = ?2, story_id = (SELECT story_id FROM articles WHERE id = ?2)
                     WHERE id IN {LISTED} AND (article_id != ?2
                           OR story_id IS NOT (SELECT story_id FROM articles WHERE id = ?2))""",
                (listed, article_id),
            )
        for article_id, (_, canonical) in articles.items():  # once all entries are where they belong
            self._db.execute(
                """UPDATE articles SET canonical_entry_id = :canonical, entry_count = found.entries,
                          feed_count = found.feeds, first_seen_at = found.first
                     FROM (SELECT count(*) AS entries, count(DISTINCT feed_id) AS feeds, min(first_seen_at) AS first
                             FROM entries WHERE article_id = :id) AS found
                    WHERE id = :id""",
                {"id": article_id, "canonical": canonical},
            )

    def drop_articles(self, article_ids: Iterable[int]) -> None:
        """Remove articles whose entries have gone to others."""
        self._db.executemany("DELETE FROM articles WHERE id = ?", [(one,) for one in article_ids])

    # ------------------------------------------------------------------------------ stories

    def new_story(self, article_id: int, title: str) -> int:
        """Begin a story with an article that is in none; it has the article's number where that is free."""
        statement = """INSERT OR IGNORE INTO stories
                       SELECT ?, ?, 1, 1, first_seen_at, first_seen_at FROM articles WHERE id = ?"""
        story_id = article_id
        if not self._db.execute(statement, (story_id, title, article_id)).rowcount:
            story_id = next_id(self._db, "stories")
            self._db.execute(statement, (story_id, title, article_id))
        if self._enter(article_id, story_id) > 1:
            self._stories.add(story_id)
        return story_id

    def _enter(self, article_id: int, story_id: int | None) -> int:
        """Write down the story of an article; returns how many entries it has."""
        self._db.execute("UPDATE articles SET story_id = ? WHERE id = ?", (story_id, article_id))
        return self._db.execute(
            "UPDATE entries SET story_id = ? WHERE article_id = ?", (story_id, article_id)
        ).rowcount

    def set_story(self, article_id: int, story_id: int | None) -> None:
        """Put an article into a story, or into none, out of the one it was in."""
        before = self._db.execute("SELECT story_id FROM articles WHERE id = ?", (article_id,)).fetchone()[0]
        self._enter(article_id, story_id)
        self._stories.update(one for one in (before, story_id) if one is not None)

    def join_stories(self, story_id: int, other_id: int) -> None:
        """Put all that is in the second story into the first."""
        for table in ("articles", "entries"):
            self._db.execute(f"UPDATE {table} SET story_id = ? WHERE story_id = ?", (story_id, other_id))
        self._stories.update((story_id, other_id))

    def stories_of(self, entry_ids: Iterable[int]) -> dict[int, int]:
        """The stories of those entries that are in one."""
        found = self._db.execute(
            f"SELECT id, story_id FROM entries WHERE id IN {LISTED} AND story_id IS NOT NULL",
            (_listed(entry_ids),),
        )
        return {row[0]: row[1] for row in found}

    def entries_of(self, story_id: int) -> tuple[int, ...]:
        """The entries of a story."""
        found = self._db.execute("SELECT id FROM entries WHERE story_id = ? ORDER BY id", (story_id,))
        return tuple(row[0] for row in found)

    def touched_stories(self) -> Iterator[tuple[int, tuple[tuple[str, int, datetime], ...]]]:
        """The stories that have changed: counted anew, and those without entries removed.

        Yields:
            Each one that is left, with title, number of feeds and time of each of its first articles.
        """
        for story_id in sorted(self._stories):
            if recount_story(self._db, story_id):
                titles = self._db.execute(
                    """SELECT e.title, a.feed_count, a.first_seen_at
                         FROM (SELECT * FROM articles WHERE story_id = ? ORDER BY id LIMIT ?) a
                         JOIN entries e ON e.id = a.canonical_entry_id ORDER BY a.id""",
                    (story_id, TITLES),
                ).fetchall()
                yield story_id, tuple((row[0], row[1], rows.moment(row[2])) for row in titles)
        self._stories.clear()

    def story_changed(self, story_id: int | None) -> None:
        """Note that a story is among those that have changed, for what one of its entries says."""
        if story_id is not None:
            self._stories.add(story_id)

    def name_story(self, story_id: int, title: str) -> None:
        """Give a story its title."""
        self._db.execute("UPDATE stories SET title = ? WHERE id = ?", (title, story_id))

    def credits(self, story_id: int) -> tuple[Credit, ...]:
        """All outlets that the entries of a story credit."""
        found = self._db.execute(
            """SELECT a.rowid, a.entry_id, e.article_id, a.name, a.url
                 FROM entries e JOIN attributions a ON a.entry_id = e.id WHERE e.story_id = ?""",
            (story_id,),
        )
        return tuple(Credit(*row) for row in found)

    def sources(self, story_id: int) -> tuple[Source, ...]:
        """The first entries of a story, in order of publication."""
        found = self._db.execute(
            """SELECT e.id, e.article_id, f.title, coalesce(f.site_url, f.url), coalesce(e.original_url, e.url)
                 FROM entries e JOIN feeds f ON f.id = e.feed_id
                WHERE e.story_id = ? AND coalesce(e.original_url, e.url) IS NOT NULL
                ORDER BY coalesce(e.published_at, e.first_seen_at), e.id LIMIT ?""",
            (story_id, SOURCES),
        )
        return tuple(Source(*row) for row in found)

    def lead(self, credit: Credit, url: str | None) -> None:
        """Have a credit lead to where the outlet tells it itself, or nowhere."""
        self._db.execute("UPDATE attributions SET url = ? WHERE rowid = ?", (url, credit.id))

    # -------------------------------------------------------------------------- corrections

    def correct(self, level: Level, pairs: Iterable[Pair], *, together: bool) -> None:
        """Note what a person said of pairs of entries; the last word counts."""
        self.corrected = True
        for pair in pairs:
            a, b = sorted(pair)
            self._db.execute(
                "INSERT OR REPLACE INTO corrections VALUES (?, ?, ?, ?, ?)",
                (a, b, level.value, int(together), stamp(self.now)),
            )
            self._db.execute(
                "DELETE FROM edges WHERE a = ? AND b = ? AND level = ? AND (method = 'by hand' OR ?)",
                (a, b, level.value, together),
            )
            if together:
                self._db.execute("INSERT INTO edges VALUES (?, ?, ?, 'by hand', 1)", (a, b, level.value))

    def reconcile(self, level: Level, entry_id: int, other_id: int) -> None:
        """Take back what was said to keep two articles or stories apart."""
        column = f"{level}_id"
        belonging = f"SELECT id FROM entries WHERE {column} = (SELECT {column} FROM entries WHERE id = "
        self._db.execute(
            f"""DELETE FROM corrections WHERE level = :level AND together = 0
                   AND (a IN ({belonging} :one)) AND b IN ({belonging} :other))
                        OR a IN ({belonging} :other)) AND b IN ({belonging} :one)))""",
            {"level": level.value, "one": entry_id, "other": other_id},
        )

    @contextmanager
    def whole(self) -> Iterator[None]:
        """Undo what is done within where it ends in an error.

        Raises:
            StoreError: the database cannot be written; the whole transaction is lost then.
        """
        self._db.execute("SAVEPOINT entry")
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(str(error)) from error
        except BaseException:
            self._db.execute("ROLLBACK TO entry")
            self._db.execute("RELEASE entry")
            raise
        self._db.execute("RELEASE entry")

    # ---------------------------------------------------------------------------- revisions

    def changed_what_it_says(self, entry_id: int) -> None:
        """Note that an entry's revision is one that readers should see: as of the publisher's new date, or of now."""
        self._db.execute(
            """UPDATE entries
                  SET significant_at = iif(updated_at > significant_at AND updated_at <= :now, updated_at, :now)
                WHERE id = :id""",
            {"now": stamp(self.now), "id": entry_id},
        )


class Linking(Database):
    """The store's part in articles and stories."""

    @contextmanager
    def links(self, now: datetime) -> Iterator[Links]:
        """Articles and stories, in a write transaction of their own."""
        with self._write() as db:
            yield Links(db, now)

    def forget_links(self) -> bool:
        """Forget a page of that by which entries were compared and of what was found, stories included.

        Corrections stay; articles do until their entries are joined anew, so that no reader sees them taken apart.

        Returns:
            Whether something was forgotten: then there may be more.
        """
        with self._write() as db:
            for table, key, where in _FORGETTABLE:
                page = f"SELECT {key} FROM {table} WHERE {where} LIMIT {FORGOTTEN}"
                if db.execute(f"DELETE FROM {table} WHERE ({key}) IN ({page})").rowcount:
                    return True
            page = f"SELECT id FROM articles WHERE story_id IS NOT NULL LIMIT {FORGOTTEN}"
            ids = _listed(row[0] for row in db.execute(page))
            db.execute(
                f"""UPDATE attributions SET url = NULL
                     WHERE entry_id IN (SELECT id FROM entries WHERE article_id IN {LISTED})""",
                (ids,),
            )
            db.execute(f"UPDATE entries SET story_id = NULL WHERE article_id IN {LISTED}", (ids,))
            if db.execute(f"UPDATE articles SET story_id = NULL WHERE id IN {LISTED}", (ids,)).rowcount:
                return True
            page = f"SELECT id FROM stories LIMIT {FORGOTTEN}"
            return db.execute(f"DELETE FROM stories WHERE id IN ({page})").rowcount > 0

    def entry_ids_after(self, entry_id: int, limit: int) -> tuple[int, ...]:
        """A page of the ids of all entries, ascending."""
        with self._read() as db:
            found = db.execute("SELECT id FROM entries WHERE id > ? ORDER BY id LIMIT ?", (entry_id, limit))
            return tuple(row[0] for row in found)

    def canonical(self, article_id: int) -> int:
        """The entry that is shown for an article. Raises UnknownError where there is no such article."""
        with self._read() as db:
            found = db.execute(
                "SELECT canonical_entry_id FROM articles WHERE id = ?", (article_id,)
            ).fetchone()
        if found is None:
            raise UnknownError(f"there is no article {article_id}")
        return int(found[0])

    def edges(self, entry_id: int) -> tuple[Edge, ...]:
        """The edges of an entry, the surest first."""
        with self._read() as db:
            found = db.execute(
                """SELECT a, b, level, method, score FROM edges WHERE a = :id OR b = :id
                    ORDER BY level, score DESC, a, b""",
                {"id": entry_id},
            )
            return tuple(Edge(row[0], row[1], Level(row[2]), row[3], row[4]) for row in found)

    def kept_apart(self, level: Level, entry_ids: Iterable[int]) -> tuple[int, ...]:
        """The entries that a person has split from one of these."""
        with self._read() as db:
            found = db.execute(
                f"""SELECT b FROM corrections WHERE a IN {LISTED} AND level = ?2 AND together = 0
                    UNION SELECT a FROM corrections WHERE b IN {LISTED} AND level = ?2 AND together = 0 ORDER BY 1""",
                (_listed(entry_ids), level.value),
            )
            return tuple(row[0] for row in found)

    def check_entries(self, entry_ids: Iterable[int]) -> None:
        """Raise UnknownError where one of these entries does not exist."""
        with self._read() as db:
            for entry_id in entry_ids:
                if db.execute("SELECT 1 FROM entries WHERE id = ?", (entry_id,)).fetchone() is None:
                    raise UnknownError(
                        f"there is no entry {entry_id}; `aggregator search` shows the ids of entries"
                    )


_FORGETTABLE = (
    ("fingerprints", "entry_id", "TRUE"),
    ("article_keys", "key, entry_id", "TRUE"),
    ("story_keys", "key, entry_id", "TRUE"),
    ("paragraphs", "feed_id, key, title_key, entry_id", "TRUE"),
    ("edges", "a, b, level", "method != 'by hand'"),
)


def _listed(numbers: Iterable[object]) -> str:
    return f"[{','.join(map(str, numbers))}]"


def _sharing_most(holders: Iterable[list[str]], limit: int) -> list[int]:
    """The entries that hold most keys; of those that share one key only a few, whose key is rarest."""
    rarest_first = sorted(holders, key=len)
    shared = Counter(chain.from_iterable(rarest_first))
    several = [one for one in shared.items() if one[1] > 1]
    several.sort(key=itemgetter(1), reverse=True)
    singles = islice((one for one, count in shared.items() if count == 1), SINGLES)
    return list(map(int, islice(chain((one for one, _ in several), singles), limit)))


def recount_article(db: sqlite3.Connection, article_id: int) -> None:
    """Bring an article in line with the entries that are left of it; its canonical one stays if it is."""
    count, feeds, first, canonical = db.execute(
        """SELECT count(*), count(DISTINCT feed_id),
                  (SELECT id FROM entries WHERE article_id = :id
                    ORDER BY coalesce(published_at, first_seen_at), id LIMIT 1),
                  (SELECT canonical_entry_id FROM articles JOIN entries ON entries.id = canonical_entry_id
                    WHERE articles.id = :id)
             FROM entries WHERE article_id = :id""",
        {"id": article_id},
    ).fetchone()
    if count == 0:
        db.execute("DELETE FROM articles WHERE id = ?", (article_id,))
    else:
        db.execute(
            "UPDATE articles SET entry_count = ?, feed_count = ?, canonical_entry_id = ? WHERE id = ?",
            (count, feeds, canonical or first, article_id),
        )


def recount_story(db: sqlite3.Connection, story_id: int) -> bool:
    """Bring a story in line with its entries; False where none is left and it is gone."""
    articles, feeds, first, last = db.execute(
        """SELECT count(DISTINCT article_id), count(DISTINCT feed_id), min(first_seen_at), max(first_seen_at)
             FROM entries WHERE story_id = ?""",
        (story_id,),
    ).fetchone()
    if articles == 0:
        db.execute("DELETE FROM stories WHERE id = ?", (story_id,))
        return False
    db.execute(
        """UPDATE stories SET article_count = ?, feed_count = ?, first_seen_at = ?, last_seen_at = ?
            WHERE id = ?""",
        (articles, feeds, first, last, story_id),
    )
    return True
