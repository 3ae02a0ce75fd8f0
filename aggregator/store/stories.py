"""Stories and revisions, as they are read to be shown."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.errors import UnknownError
from aggregator.model import Edge, Level, Revision, Selection, Story, Telling
from aggregator.store import rows
from aggregator.store.entries import Entries, Listing, Position, cursor_behind, in_time, place_of

TELLINGS, IN_A_LIST = 200, 40
"""Of a longer story as many entries are shown at most, by itself and in a list: the first half and the newest half."""


class Stories(Entries):
    """Stories and the versions of entries."""

    def story(self, story_id: int) -> Story:
        """One story, whole. Raises UnknownError where there is none with this id."""
        with self._read() as db:
            canonical = db.execute(
                """SELECT canonical_entry_id FROM articles WHERE story_id = ?
                    ORDER BY entry_count DESC, first_seen_at DESC LIMIT 1""",
                (story_id,),
            ).fetchone()
        found = self._stories([(story_id, canonical[0])], TELLINGS) if canonical else ()
        if not found:
            raise UnknownError(
                f"there is no story {story_id}; `aggregator why ENTRY-ID` names an entry's story"
            )
        return found[0]

    def stories(
        self, selection: Selection, *, before: str | None = None, limit: int
    ) -> tuple[tuple[Story, ...], str | None]:
        """Stories with an entry that fulfils all conditions, by their newest such entry, the newest first.

        Args:
            selection: the conditions; its `copies` means nothing here.
            before: a cursor: only what stands behind it.
            limit: at most so many.

        Returns:
            The stories, each led by the entry that gave it its title, or else by its newest, of those that fulfil
            the conditions; and the cursor behind the last one, None where there are no more.

        Raises:
            UnknownError: `before` is no cursor.
            StoreError: it takes too long to find them.
        """
        with self._read() as db:
            listing = _ByStory(db, selection)
            found = listing.newest(before, limit + 1)
            shown = found[:limit]
            wanted = [(story_id, listing.lead(story_id, at.entry_id)) for story_id, at in shown]
        return self._stories(wanted, IN_A_LIST), cursor_behind([at for _, at in shown]) if len(
            found
        ) > limit else None

    def story_edges(self, story_id: int) -> tuple[Edge, ...]:
        """What ties the entries of a story to each other, the surest first."""
        with self._read() as db:
            found = db.execute(
                """SELECT DISTINCT a, b, level, method, score FROM edges
                     JOIN entries one ON one.id = a JOIN entries other ON other.id = b
                    WHERE one.story_id = :id AND other.story_id = :id ORDER BY level, score DESC, a, b""",
                {"id": story_id},
            )
            return tuple(Edge(row[0], row[1], Level(row[2]), row[3], row[4]) for row in found)

    def _stories(self, wanted: Sequence[tuple[int, int]], tellings: int) -> tuple[Story, ...]:
        """Stories, each by its id and the entry that leads it, with so many tellings at most."""
        if not wanted:
            return ()
        with self._read() as db:
            listed = "(" + ",".join(str(int(story_id)) for story_id, _ in wanted) + ")"
            heads = {row["id"]: row for row in db.execute(f"SELECT * FROM stories WHERE id IN {listed}")}
            told = {story_id: _tellings(db, story_id, tellings // 2) for story_id, _ in wanted}
            aspects = {story_id: _aspects(db, told[story_id]) for story_id, _ in wanted}
        leads = {entry.id: entry for entry in self._entries([entry_id for _, entry_id in wanted])}
        return tuple(
            Story(
                id=story_id,
                title=heads[story_id]["title"],
                article_count=heads[story_id]["article_count"],
                feed_count=heads[story_id]["feed_count"],
                first_seen_at=rows.moment(heads[story_id]["first_seen_at"]),
                last_seen_at=rows.moment(heads[story_id]["last_seen_at"]),
                aspects=aspects[story_id],
                tellings=told[story_id],
                lead=leads[entry_id],
            )
            for story_id, entry_id in wanted
            if entry_id in leads and story_id in heads  # another program may have written meanwhile
        )

    def revisions(self, entry_id: int) -> tuple[Revision, ...]:
        """The earlier versions of an entry, the oldest first."""
        with self._read() as db:
            found = db.execute(
                """SELECT revision, seen_at, title, summary, content FROM revisions
                    WHERE entry_id = ? ORDER BY revision""",
                (entry_id,),
            )
            return tuple(Revision(row[0], rows.moment(row[1]), row[2], row[3], row[4]) for row in found)


class _ByStory(Listing):
    """A selection, told by stories."""

    def newest(self, before: str | None, limit: int) -> list[tuple[int, Position]]:
        """Stories, each where the newest of its entries stands that fits; the newest first.

        The entries are walked, not the stories: so it ends as soon as there are enough.
        """
        listed_at, entry_id = self._order
        where = [self._where, *self._for("e"), "e.story_id IS NOT NULL"]
        values = dict(self._values)
        if before is not None:
            where.append(f"({listed_at}, {entry_id}) < (:before_at, :before_id)")
            values["before_at"], values["before_id"] = place_of(before)
        statement = f"""SELECT e.story_id, e.listed_at, e.id FROM {self._from} WHERE {" AND ".join(where)}
                         ORDER BY {listed_at} DESC, {entry_id} DESC"""
        met: set[int] = set()
        found: list[tuple[int, Position]] = []
        with in_time(self._db):
            for story_id, at, entry in self._db.execute(statement, values):
                if story_id not in met:
                    met.add(story_id)
                    if before is None or not self._stands_before(story_id, values):
                        found.append((story_id, Position(at, entry, entry)))
                        if len(found) == limit:
                            break
        return found

    def _stands_before(self, story_id: int, values: Mapping[str, Any]) -> bool:
        """Whether an earlier page has shown the story."""
        where = " AND ".join(
            [
                "n.story_id = :story",
                "(n.listed_at, n.id) >= (:before_at, :before_id)",
                *self._for("n"),
            ]
        )
        found = self._db.execute(
            f"SELECT 1 FROM entries n WHERE {where} LIMIT 1", {**values, "story": story_id}
        )
        return found.fetchone() is not None

    def lead(self, story_id: int, newest: int) -> int:
        """The entry that gave a story its title, if it fits; or else the newest that does."""
        where = " AND ".join(["n.story_id = :story", "n.title = s.title", *self._for("n")])
        found = self._db.execute(
            f"""SELECT n.id FROM stories s JOIN entries n ON n.story_id = s.id WHERE {where}
                 ORDER BY n.listed_at DESC, n.id DESC LIMIT 1""",
            {**self._values, "story": story_id},
        ).fetchone()
        return newest if found is None else int(found[0])


def _tellings(db: sqlite3.Connection, story_id: int, half: int) -> tuple[Telling, ...]:
    """So many of a story's first entries and as many of its newest, in the order of their publication."""
    own = "SELECT id FROM entries WHERE story_id = :story ORDER BY id {} LIMIT :half"
    found = db.execute(
        f"""SELECT e.id, e.article_id, f.title AS feed_title, f.url AS feed_url, e.title,
                   coalesce(e.original_url, e.url) AS url, e.language,
                   coalesce(e.published_at, e.first_seen_at) AS at
              FROM (SELECT id FROM ({own.format("ASC")}) UNION SELECT id FROM ({own.format("DESC")})) shown
              JOIN entries e ON e.id = shown.id JOIN feeds f ON f.id = e.feed_id ORDER BY at, e.id""",
        {"story": story_id, "half": half},
    )
    return tuple(
        Telling(
            row["id"],
            row["article_id"],
            row["feed_title"] or rows.host(row["feed_url"]),
            row["title"],
            row["url"],
            row["language"],
            rows.moment(row["at"]),
        )
        for row in found
    )


def _aspects(db: sqlite3.Connection, told: Sequence[Telling]) -> tuple[str, ...]:
    """What those entries are tagged with, the most frequent first."""
    ids = ",".join(str(telling.entry_id) for telling in told)
    found = db.execute(
        f"""SELECT topic || coalesce('/' || aspect, '') AS name FROM entry_tags WHERE entry_id IN ({ids})
             GROUP BY name ORDER BY count(*) DESC, name"""
    )
    return tuple(row[0] for row in found)
