"""Answers a reader's SQL in a process of its own, which has nothing to lose: `asking` starts it and ends it.

SQLite asks between its steps whether to go on; but a step may be one call of a function, and some take minutes over
a megabyte, or its square. Only a process can be ended in their midst, and kept from taking all memory. This module
is that process's program: it imports the standard library alone, so that to start it takes little.
"""

import json
import resource
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

MOST_ROWS = 1_000
"""Rows that one question is answered with."""
MOST_CHARACTERS = 10_000
"""Of a longer value the beginning is given, and the answer is not whole; a blob has two for each byte."""
MOST_COLUMNS = 200
LARGEST = 4_000_000
"""So many characters an answer has, and what its last row adds."""
MEMORY = 512 * 2**20
"""Bytes that the process may take, SQLite's sorting included."""

_READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE}
_PRIVATE_TABLES = {"hub_subscribers", "hub_subscriptions", "lists", "properties"}
# Addresses of feeds may hold a password; that of the site says where it is from.
_PRIVATE_COLUMNS = {
    ("feeds", name) for name in ("url", "subscription_url", "validators_url", "moved_to", "hub_url", "topic_url", "last_error")
} | {("polls", "error"), ("feed_events", "message")}  # fmt: skip
_HARMFUL_FUNCTIONS = {"load_extension", "fts3_tokenizer", "readfile", "writefile", "edit"}

_NO_SELECT = "only one SELECT is answered, and not what is private"


def answer(path: Path, statement: str, values: Mapping[str, str]) -> dict[str, Any]:
    """What a SELECT finds: `columns`, `rows` and whether that is the `whole`; or a `problem`."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)) as db:
        db.text_factory = lambda text: text.decode(errors="replace")
        db.execute("PRAGMA query_only = ON")
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA temp_store = MEMORY")  # which has a limit
        # Virtual tables are set up by statements of their own, which the authorizer would refuse.
        db.execute(
            "SELECT 1 FROM entries_fts, json_each('[]'), json_tree('[]') WHERE entries_fts MATCH 'x'"
        ).fetchall()
        db.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, MOST_COLUMNS)
        db.set_authorizer(_authorise)
        try:
            return _found(db.execute(statement, values))
        except MemoryError:
            return {"problem": f"it takes more than {MEMORY >> 20} MiB of memory"}
        except (sqlite3.Error, sqlite3.Warning) as error:
            return {"problem": _reason(error)}


def _found(cursor: sqlite3.Cursor) -> dict[str, Any]:
    if cursor.description is None:
        return {"problem": _NO_SELECT}
    rows: list[list[str | int | float | None]] = []
    size, whole = 0, True
    for row in cursor:
        if len(rows) == MOST_ROWS or size > LARGEST:
            whole = False
            break
        rows.append([_shown(value) for value in row])
        whole = whole and not any(map(_is_cut, row))
        size += sum(len(value) if isinstance(value, str) else 8 for value in rows[-1])
    return {"columns": [column[0] for column in cursor.description], "rows": rows, "whole": whole}


def _shown(value: object) -> str | int | float | None:
    if isinstance(value, bytes):
        return value[: MOST_CHARACTERS // 2].hex()
    if isinstance(value, str):
        return value[:MOST_CHARACTERS]
    return value if isinstance(value, int | float) else None


def _is_cut(value: object) -> bool:
    length = 2 * len(value) if isinstance(value, bytes) else len(value) if isinstance(value, str) else 0
    return length > MOST_CHARACTERS


def _authorise(
    action: int, first: str | None, second: str | None, _database: str | None, _within: str | None
) -> int:
    if action == sqlite3.SQLITE_READ:
        if first in _PRIVATE_TABLES:
            return sqlite3.SQLITE_DENY
        return sqlite3.SQLITE_IGNORE if (first, second) in _PRIVATE_COLUMNS else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION:
        return sqlite3.SQLITE_DENY if (second or "").lower() in _HARMFUL_FUNCTIONS else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_PRAGMA and first == "data_version":  # the full-text index asks for it
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_OK if action in _READS else sqlite3.SQLITE_DENY


def _reason(error: sqlite3.Error | sqlite3.Warning) -> str:
    denied = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_AUTH or "prohibited" in str(error)
    return _NO_SELECT if denied else str(error)


def main() -> None:
    """Read a question from standard input, write the answer to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    question = json.load(sys.stdin)
    found = answer(Path(question["path"]), question["statement"], question["values"])
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
