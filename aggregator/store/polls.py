"""Which feeds are due, and who holds them."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from aggregator.model import (
    Claim,
)
from aggregator.store import rows
from aggregator.store.database import Database
from aggregator.store.rows import stamp

DOTTED_NAME = "'.' || substr(feeds.host, 1, instr(feeds.host || ':', ':') - 1)"
"""SQL for a dot and the name of a feed's host, without its port: what GLOB finds under `*.` and a domain."""

HELD_UNTIL = f"""max(
    coalesce((SELECT max(until) FROM holds WHERE whom IN ('#' || feeds.id, feeds.host)), ''),
    coalesce((SELECT max(until) FROM holds WHERE whom BETWEEN '*' AND '*~' AND {DOTTED_NAME} GLOB whom), ''))"""
"""SQL for the end of the pause that a server asked for, for a feed or for all of its host; '' where none did."""

OWN_MACHINE = "(host GLOB '127.*' OR host GLOB 'localhost*' OR host GLOB '[[]::1]*')"
"""SQL that is true for feeds of a server on this machine, which need not be spared."""

WINDOW = 1_000
"""Where more are due, one of each host is taken first among so many that have waited longest: nearly always that is all
that is wanted, and a claim costs the same however many are due."""

CLOCK_SLACK = timedelta(hours=1)
"""A claim or poll further in the future than this was made before the clock was put back."""


class Polls(Database):
    """Claims on feeds that are due."""

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
        One whose server has asked for a pause is due at the end of that instead, whatever made it due now.

        Args:
            now: the time.
            due_by: feeds that are due by this time.
            limit: at most this many.
            per_host: at most this many of one host, those under lease already included.
            lease: how long they are ours.
            spacing: time since the last claim of a host's feed; this machine's own addresses need none.
            among: only these feeds; None: all.
        """
        wanted = """status != 'paused' AND next_poll_at <= :due_by
                    AND (leased_until IS NULL OR leased_until <= :now)"""
        if among is not None:
            wanted += " AND id IN (" + ",".join(map(str, map(int, among))) + ")"
        values = {
            "now": stamp(now),
            "claimed_at": _to_the_millisecond(now),
            "due_by": stamp(due_by),
            "per_host": per_host,
        }
        if spacing:
            values["rested"] = _to_the_millisecond(now - spacing)
            wanted += f""" AND ({OWN_MACHINE} OR NOT EXISTS (
                SELECT 1 FROM feeds other WHERE other.host = feeds.host AND other.claimed_at > :rested))"""
        one_of_a_host = f"(rank = 1 OR {OWN_MACHINE})"
        # With spacing, one of a host now, the next at its distance.
        passes = [(-1, one_of_a_host if spacing else "1")]
        with self._read() as db:  # a tick that finds nothing due takes no write lock
            if db.execute(f"SELECT 1 FROM feeds WHERE {wanted} LIMIT 1", values).fetchone() is None:
                return ()
        with self._write() as db:
            if db.execute("SELECT 1 FROM holds WHERE until > ? LIMIT 1", (stamp(now),)).fetchone():
                db.execute(
                    f"""UPDATE feeds SET next_poll_at = {HELD_UNTIL}
                         WHERE status != 'paused' AND next_poll_at <= :due_by AND {HELD_UNTIL} > :now""",
                    values,
                )
            if db.execute(
                "SELECT 1 FROM feeds WHERE status != 'paused' AND next_poll_at <= ? LIMIT 1 OFFSET ?",
                (stamp(due_by), WINDOW),
            ).fetchone():
                passes.insert(0, (WINDOW, one_of_a_host))
            found: list[Mapping[str, Any]] = []
            for window, chosen in passes:
                found += db.execute(
                    f"""WITH
                        -- Without the keyword it would be counted again for every row; and by itself SQLite
                        -- would walk through all feeds in the order of their hosts.
                        held AS MATERIALIZED (
                            SELECT host AS holder, count(*) AS number FROM feeds INDEXED BY feeds_leased
                             WHERE leased_until > :now GROUP BY host),
                        waiting AS (
                            SELECT id, host, next_poll_at FROM feeds WHERE {wanted}
                             ORDER BY next_poll_at, id LIMIT :window),
                        free AS (
                            SELECT id, host, next_poll_at, coalesce(number, 0) AS held,
                                   row_number() OVER (PARTITION BY host ORDER BY next_poll_at, id) AS rank
                              FROM waiting LEFT JOIN held ON holder = host)
                        UPDATE feeds SET fence = fence + 1, leased_until = :until, claimed_at = :claimed_at
                         WHERE id IN (SELECT id FROM free WHERE rank + held <= :per_host AND {chosen}
                                       ORDER BY rank + held, next_poll_at, id LIMIT :limit)
                     RETURNING *""",
                    {**values, "until": stamp(now + lease), "window": window, "limit": limit - len(found)},
                ).fetchall()
                if len(found) == limit:
                    break
        return tuple(Claim(row["id"], row["fence"], rows.subscription(row), rows.state(row)) for row in found)

    def take_turn(self, claim: Claim, host: str, now: datetime, spacing: timedelta) -> bool:
        """Have one more request to a host within a poll, as if a feed of it were claimed; False: it still rests."""
        with self._write() as db:
            taken = db.execute(
                f"""UPDATE feeds SET claimed_at = :now
                     WHERE id = :id AND fence = :fence AND {HELD_UNTIL} <= :now AND ({OWN_MACHINE} OR NOT EXISTS (
                           SELECT 1 FROM feeds other WHERE other.host = :host AND other.claimed_at > :rested))""",
                {
                    "now": _to_the_millisecond(now),
                    "id": claim.feed_id,
                    "fence": claim.fence,
                    "host": host,
                    "rested": _to_the_millisecond(now - spacing),
                },
            )
        return taken.rowcount > 0

    def resting(
        self, now: datetime, *, due_by: datetime, spacing: timedelta, among: Sequence[int] | None = None
    ) -> bool:
        """Whether a feed is due that nobody holds, and that only its host's rest keeps from being claimed."""
        chosen = "" if among is None else " AND id IN (" + ",".join(map(str, map(int, among))) + ")"
        with self._read() as db:
            found = db.execute(
                f"""SELECT 1 FROM feeds WHERE status != 'paused' AND next_poll_at <= :due_by {chosen}
                       AND (leased_until IS NULL OR leased_until <= :now) AND NOT {OWN_MACHINE}
                       AND EXISTS (SELECT 1 FROM feeds other
                                    WHERE other.host = feeds.host AND other.claimed_at > :rested) LIMIT 1""",
                {"now": stamp(now), "due_by": stamp(due_by), "rested": _to_the_millisecond(now - spacing)},
            ).fetchone()
        return found is not None

    def mend_clock(self, now: datetime) -> int:
        """After the clock was put back: end claims that lie in the future, make due what was polled or held there.

        Returns:
            How many feeds would have waited for the clock to come by again.
        """
        values = {"now": stamp(now), "ahead": stamp(now + CLOCK_SLACK)}
        ahead = "(last_polled_at > :ahead OR leased_until > :ahead OR claimed_at > :ahead)"
        with self._read() as db:
            if db.execute(f"SELECT 1 FROM feeds WHERE {ahead} LIMIT 1", values).fetchone() is None:
                return 0
        with self._write() as db:
            # What a poll of the future was told to wait for (`Retry-After`) holds other feeds as long.
            held = db.execute(
                f"""UPDATE feeds SET next_poll_at = :now
                     WHERE {ahead} IS NOT TRUE AND next_poll_at IN (SELECT until FROM holds WHERE since > :ahead)""",
                values,
            ).rowcount
            db.execute("DELETE FROM holds WHERE since > :ahead", values)
            ended = db.execute(
                f"""UPDATE feeds SET leased_until = NULL, claimed_at = NULL, next_poll_at = min(next_poll_at, :now),
                           last_polled_at = min(last_polled_at, :now)
                     WHERE {ahead}""",
                values,
            ).rowcount
            return held + ended

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

    def next_due_at(self) -> datetime | None:
        """When the next feed will be due; None where there is none."""
        with self._read() as db:
            row = db.execute("SELECT min(next_poll_at) FROM feeds WHERE status != 'paused'").fetchone()
        return rows.moment_or_none(row[0])

    def overdue_since(self, time: datetime) -> datetime | None:
        """When the feed was due that has waited longest, if since before a time; None where none has.

        One whose host has been asked since then is not late: it waits for its turn among the feeds of that host.
        """
        with self._read() as db:
            row = db.execute(
                """SELECT min(next_poll_at) FROM feeds f WHERE status != 'paused' AND next_poll_at < :time
                      AND NOT EXISTS (SELECT 1 FROM feeds o WHERE o.host = f.host AND o.claimed_at >= :time)""",
                {"time": stamp(time)},
            ).fetchone()
        return rows.moment_or_none(row[0])

    def release(self, claims: Iterable[Claim]) -> None:
        """Give claimed feeds back unpolled."""
        with self._write() as db:
            db.executemany(
                "UPDATE feeds SET leased_until = NULL WHERE id = ? AND fence = ?",
                [(claim.feed_id, claim.fence) for claim in claims],
            )


def _to_the_millisecond(moment: datetime) -> str:
    """The form of `claimed_at`: in whole seconds a pause of one second would be anything from none to two."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"
