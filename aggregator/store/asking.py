"""A reader's own SQL: read-only, without what is secret, and bounded in time and size."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import timedelta

from aggregator.errors import QueryError
from aggregator.model import Table
from aggregator.store.database import Database, limited

MOST_ROWS = 1_000
"""Rows that one question is answered with."""
MOST_CHARACTERS = 10_000
"""Of a longer value the beginning is given."""
LONGEST = timedelta(seconds=2)
"""A question that takes longer is given up."""
LONGEST_STATEMENT = 20_000

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}
_PRIVATE_TABLES = {"hub_subscribers", "hub_subscriptions", "lists", "properties"}
# Addresses of feeds may hold a password; that of the site says where it is from.
_PRIVATE_COLUMNS = {
    ("feeds", name) for name in ("url", "subscription_url", "validators_url", "moved_to", "hub_url", "topic_url", "last_error")
} | {("polls", "error"), ("feed_events", "message")}  # fmt: skip
_HARMFUL_FUNCTIONS = {
    "load_extension",
    "fts3_tokenizer",
    "readfile",
    "writefile",
    "edit",
    "randomblob",
    "zeroblob",
}


class Asking(Database):
    """Questions that others put in SQL."""

    def ask(self, statement: str, values: Mapping[str, str] | None = None) -> Table:
        """What a SELECT finds.

        SQLite's authorizer refuses whatever does not read, and gives NULL for what may hold a secret.

        Args:
            statement: one statement.
            values: of its named parameters.

        Raises:
            QueryError: it is no SELECT, has a mistake, reads what is private, or takes too long.
        """
        if len(statement) > LONGEST_STATEMENT:
            raise QueryError(f"the statement is longer than {LONGEST_STATEMENT:,} characters")
        with self._read() as db:
            # Virtual tables are set up by statements of their own, which it would refuse.
            db.execute(
                "SELECT 1 FROM entries_fts, json_each('[]'), json_tree('[]') WHERE entries_fts MATCH 'x'"
            ).fetchall()
            db.set_authorizer(_authorise)
            db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000)
            try:
                with limited(db, LONGEST), closing(db.execute(statement, dict(values or {}))) as cursor:
                    found = cursor.fetchmany(MOST_ROWS + 1)
                    columns = tuple(column[0] for column in cursor.description or ())
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise QueryError(_reason(error)) from None
            finally:
                db.set_authorizer(None)
                db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000_000)
        rows = tuple(tuple(map(_shown, row)) for row in found[:MOST_ROWS])
        return Table(columns, rows, whole=len(found) <= MOST_ROWS)


def _authorise(
    action: int, first: str | None, second: str | None, _database: str | None, _within: str | None
) -> int:
    if action == sqlite3.SQLITE_READ:
        if first in _PRIVATE_TABLES:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_IGNORE if (first, second) in _PRIVATE_COLUMNS else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _HARMFUL_FUNCTIONS else sqlite3.SQLITE_OK
    if (
        action == sqlite3.SQLITE_PRAGMA and first == "data_version"
    ):  # by which the full-text index knows of changes
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _reason(error: sqlite3.Error | sqlite3.Warning) -> str:
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_INTERRUPT:
        return f"it takes longer than {LONGEST.total_seconds():g} s"
    if code == sqlite3.SQLITE_AUTH or "prohibited" in str(error):
        return "only one SELECT is answered, and not what is private"
    return str(error)


def _shown(value: object) -> str | int | float | None:
    if isinstance(value, bytes):
        return value[: MOST_CHARACTERS // 2].hex()
    if isinstance(value, str):
        return value[:MOST_CHARACTERS]
    return value if isinstance(value, int | float) else None
