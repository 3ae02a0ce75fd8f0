"""What a search finds, the best first.

FTS5 gives what matches by its number, the newest first, as soon as it is asked; to rank all of it by bm25 takes seconds
where a word stands in one of three entries. So the newest matches are ranked, by what news is looked for with: how
new it is, how many outlets tell it, and whether its title says it.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from math import log2
from typing import NamedTuple

from aggregator.store import rows
from aggregator.store.database import next_id
from aggregator.store.query import is_dear, read, spelled_out

CANDIDATES = 500
"""Of what matches, the newest so many are ranked."""
LOOKED_AT = 5_000
"""And so many are looked at for those in a language, which no index of matches knows of."""
TITLE = 2.0
"""What a match within the title counts: as much as four times the outlets."""
NEW = timedelta(days=7)
"""What is older by this than the newest match counts half."""


class Narrowing(NamedTuple):
    """Which entries alone are looked for; each None: all.

    Attributes:
        topic: with this tag.
        feed_ids: of these feeds.
        language: in this language.
        since: listed at this time or later.
    """

    topic: str | None = None
    feed_ids: Sequence[int] | None = None
    language: str | None = None
    since: str | None = None


class Candidate(NamedTuple):
    """What matches, as far as its rank depends on it; `outlets` tell its story."""

    entry_id: int
    article_id: int
    canonical: bool
    at: datetime
    outlets: int
    in_title: bool


def understood(db: sqlite3.Connection, query: str) -> str:
    """A query in FTS5's language, written so that it is found soon."""

    def stems(beginning: str, letters: int, most: int) -> list[str]:
        found: list[str] = []
        first, end = beginning, beginning + _LAST
        # From one to the next: to read all words that begin with a letter would take a second.
        word = "SELECT term FROM entries_fts_places WHERE term >= ? AND term < ? ORDER BY term LIMIT 1"
        while len(found) < most and (row := db.execute(word, (first, end)).fetchone()):
            found.append(row[0][:letters])
            first = found[-1] + (_LAST if len(found[-1]) == letters else " ")
        return found

    return spelled_out(read(query).fts, stems)


_LAST = chr(0x10FFFF)
"""Comes after whatever may follow in a word, as the space comes before it."""


def ranked(
    db: sqlite3.Connection, query: str, narrowing: Narrowing, limit: int
) -> dict[int, tuple[tuple[str, bool], ...]]:
    """Entries that match a query, the best first, each article once, and the place of each that matches, in parts."""
    match = understood(db, query)
    ids = best(_candidates(db, match, narrowing), limit)
    # To make one for everything that matches took most of a second. Under a topic or feeds, too much else that matches
    # stands between the entries.
    snippet = "rowid, snippet(entries_fts, -1, char(1), char(2), '…', 24)"
    at_once = (narrowing.topic, narrowing.feed_ids) == (None, None) or is_dear(match)
    snippets = {row[0]: row[1] for row in _matching(db, match, ids, at_once=at_once, what=snippet)}
    # One may have been removed meanwhile.
    return {entry_id: _parts(snippets[entry_id]) for entry_id in ids if entry_id in snippets}


def best(found: Sequence[Candidate], limit: int) -> list[int]:
    """The entries to show, the best article first, of equal ones the newer: its canonical copy, or else its best."""
    if not found:
        return []
    newest = max(each.at for each in found)
    articles: dict[int, list[tuple[float, Candidate]]] = defaultdict(list)
    for each in found:
        articles[each.article_id].append((score(each, newest), each))
    order = sorted(
        articles.values(),
        key=lambda copies: max((points, each.entry_id) for points, each in copies),
        reverse=True,
    )
    return [
        max(copies, key=lambda copy: (copy[1].canonical, copy[0], -copy[1].entry_id))[1].entry_id
        for copies in order[:limit]
    ]


def score(found: Candidate, newest: datetime) -> float:
    """How good a match is.

    Each doubling of the outlets counts one, a match within the title `TITLE`, each doubling of the age one less; the age
    begins at a week before the newest match.
    """
    return TITLE * found.in_title + log2(max(found.outlets, 1)) - log2(1 + (newest - found.at) / NEW)


def _candidates(db: sqlite3.Connection, match: str, narrowing: Narrowing) -> list[Candidate]:
    """The newest entries that match and fulfil the conditions; of these, what indices know comes first."""
    matching, fitting = ["entries_fts MATCH :match"], []
    values = {
        "match": match,
        "topic": narrowing.topic,
        "language": narrowing.language,
        "since": narrowing.since,
    }
    if narrowing.topic is not None:
        matching.append(
            """EXISTS (SELECT 1 FROM entry_tags t INDEXED BY entry_tags_by_entry
                        WHERE t.entry_id = f.rowid AND t.topic = :topic AND t.aspect IS NULL)"""
        )
    source, order = "entries_fts f", "f.rowid"
    if narrowing.feed_ids is not None:
        feeds = ",".join(map(str, map(int, narrowing.feed_ids)))
        # The LIMIT has a list made of them once, which is asked twice as fast as `IN`.
        source += f" CROSS JOIN (SELECT id FROM entries WHERE feed_id IN ({feeds}) LIMIT -1) own ON own.id = f.rowid"
        (stored,) = db.execute(f"SELECT total(entries) FROM feeds WHERE id IN ({feeds})").fetchone()
        if stored <= LOOKED_AT:
            order = "+f.rowid"  # all is gone through, then, and FTS5 is a fifth faster upwards
    if narrowing.language is not None:
        fitting.append("e.language = :language")
    if narrowing.since is not None:
        matching.append(f"f.rowid >= {_first_seen(db, narrowing.since)}")
        fitting.append("e.listed_at >= :since")
    found = db.execute(
        f"""SELECT e.id, e.article_id, a.canonical_entry_id = e.id, e.listed_at,
                   coalesce(s.feed_count, a.feed_count)
              FROM (SELECT f.rowid AS id FROM {source} WHERE {" AND ".join(matching)}
                     ORDER BY {order} DESC LIMIT {LOOKED_AT}) newest
             CROSS JOIN entries e ON e.id = newest.id
             CROSS JOIN articles a ON a.id = e.article_id
              LEFT JOIN stories s ON s.id = e.story_id
             WHERE {" AND ".join(fitting) or "1"} LIMIT {CANDIDATES}""",
        values,
    ).fetchall()
    if not found:
        return []
    ids = [row[0] for row in found]
    in_title = {row[0] for row in _matching(db, f"{{title}} : ({match})", ids, at_once=True)}
    return [
        Candidate(row[0], row[1], bool(row[2]), rows.moment(row[3]), row[4], row[0] in in_title)
        for row in found
    ]


def _first_seen(db: sqlite3.Connection, since: str) -> int:
    """Below which id nothing is listed at a time or later.

    Nothing is listed later than it was first seen, and ids grow with that: so their range is halved until it is found.
    """
    low, high = 0, next_id(db, "entries")
    while low < high:
        middle = (low + high) // 2
        seen = db.execute(
            "SELECT first_seen_at FROM entries WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
        ).fetchone()
        if seen is not None and seen[0] < since:
            low = middle + 1
        else:
            high = middle
    return low


def _matching(
    db: sqlite3.Connection, match: str, ids: Sequence[int], *, at_once: bool, what: str = "rowid"
) -> list[sqlite3.Row]:
    """Those of some entries that match.

    Args:
        db: what to read from.
        match: what is looked for, in FTS5's language.
        ids: of the entries.
        at_once: go through all that matches between the first and the last of them, instead of asking for each.
        what: to be told of each.
    """
    if not ids:
        return []
    sign = "+" if at_once else ""  # keeps FTS5 from being asked for each
    return db.execute(
        f"""SELECT {what} FROM entries_fts WHERE entries_fts MATCH ? AND rowid BETWEEN ? AND ?
               AND {sign}rowid IN ({",".join(map(str, ids))})""",
        (match, min(ids), max(ids)),
    ).fetchall()


def _parts(snippet: str) -> tuple[tuple[str, bool], ...]:
    """A snippet whose found words stand between control characters, which no stored text holds."""
    before, *others = snippet.split("\1")
    parts = [(before, False)]
    for piece in others:
        found, _, after = piece.partition("\2")
        parts += [(found, True), (after, False)]
    return tuple(part for part in parts if part[0])
