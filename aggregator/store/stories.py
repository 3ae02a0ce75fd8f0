"""Stories and revisions, as they are read to be shown."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from aggregator.errors import UnknownError
from aggregator.model import Edge, Level, Revision, Selection, Story, Telling
from aggregator.store import rows
from aggregator.store.entries import Entries, Listing, Position, cursor_behind, in_time, place_of

TELLINGS = 200
"""Of a longer story the newest entries are shown."""


class Stories(Entries):
    """Stories and the versions of entries."""

    def story(self, story_id: int) -> Story:
        """One story, whole. Raises UnknownError where there is none with this id."""
        found = self._stories([(story_id, None)])
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
            wanted = [(story_id, listing.lead(story_id)) for story_id, _ in shown]
        return self._stories(wanted), cursor_behind([at for _, at in shown]) if len(found) > limit else None

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

    def _stories(self, wanted: Sequence[tuple[int, int | None]]) -> tuple[Story, ...]:
        """Stories whole: each by its id and the entry that leads it, or None for its newest article's."""
        if not wanted:
            return ()
        listed = "(" + ",".join(str(int(story_id)) for story_id, _ in wanted) + ")"
        with self._read() as db:
            heads = {row["id"]: row for row in db.execute(f"SELECT * FROM stories WHERE id IN {listed}")}
            tellings = _tellings(db, listed)
            aspects: dict[int, Counter[str]] = defaultdict(Counter)
            for story_id, topic, aspect, count in db.execute(
                f"""SELECT e.story_id, t.topic, t.aspect, count(*) FROM entries e JOIN entry_tags t ON t.entry_id = e.id
                     WHERE e.story_id IN {listed} GROUP BY 1, 2, 3"""
            ):
                aspects[story_id][topic if aspect is None else f"{topic}/{aspect}"] = count
            canonical = dict(
                map(
                    tuple,
                    db.execute(
                        f"""SELECT story_id, canonical_entry_id FROM articles WHERE story_id IN {listed}
                             ORDER BY entry_count, first_seen_at"""
                    ),
                )
            )
        chosen = [
            (story_id, lead or canonical[story_id])
            for story_id, lead in wanted
            if story_id in canonical and story_id in heads
        ]
        leads = {entry.id: entry for entry in self._entries([entry_id for _, entry_id in chosen])}
        return tuple(
            Story(
                id=story_id,
                title=heads[story_id]["title"],
                article_count=heads[story_id]["article_count"],
                feed_count=heads[story_id]["feed_count"],
                first_seen_at=rows.moment(heads[story_id]["first_seen_at"]),
                last_seen_at=rows.moment(heads[story_id]["last_seen_at"]),
                aspects=tuple(
                    name
                    for name, _ in sorted(aspects[story_id].items(), key=lambda item: (-item[1], item[0]))
                ),
                tellings=tuple(tellings[story_id]),
                lead=leads[entry_id],
            )
            for story_id, entry_id in chosen
            if entry_id in leads
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

    def lead(self, story_id: int) -> int:
        """The entry that gave a story its title, or else the newest, of those that fit."""
        where = " AND ".join(["n.story_id = :story", *self._for("n")])
        found = self._db.execute(
            f"""SELECT n.id FROM entries n JOIN stories s ON s.id = n.story_id WHERE {where}
                 ORDER BY n.title = s.title DESC, n.listed_at DESC, n.id DESC LIMIT 1""",
            {**self._values, "story": story_id},
        )
        return int(found.fetchone()[0])


def _tellings(db: sqlite3.Connection, listed: str) -> dict[int, list[Telling]]:
    """The newest entries of some stories, in the order of their publication."""
    found: dict[int, list[Telling]] = defaultdict(list)
    for row in db.execute(
        f"""SELECT * FROM (
                SELECT e.story_id, e.id, e.article_id, f.title AS feed_title, f.url AS feed_url, e.title,
                       coalesce(e.original_url, e.url) AS url, e.language,
                       coalesce(e.published_at, e.first_seen_at) AS at,
                       row_number() OVER (PARTITION BY e.story_id ORDER BY e.id DESC) AS age
                  FROM entries e JOIN feeds f ON f.id = e.feed_id WHERE e.story_id IN {listed})
             WHERE age <= {TELLINGS} ORDER BY at, id"""
    ):
        outlet = row["feed_title"] or rows.host(row["feed_url"])
        telling = Telling(
            row["id"],
            row["article_id"],
            outlet,
            row["title"],
            row["url"],
            row["language"],
            rows.moment(row["at"]),
        )
        found[row["story_id"]].append(telling)
    return found
