"""A reader's own SQL: read-only, without what is secret, and bounded in time, memory and size."""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aggregator.errors import QueryError
from aggregator.model import Table
from aggregator.store import answering
from aggregator.store.database import Database

LONGEST = timedelta(seconds=2)
"""A question that takes longer is given up."""
LONGEST_STATEMENT = 20_000


class Asking(Database):
    """Questions that others put in SQL."""

    def ask(self, statement: str, values: Mapping[str, str] | None = None) -> Table:
        """What a SELECT finds.

        SQLite's authorizer refuses whatever does not read, and gives NULL for what may hold a secret. A process of its
        own (`answering`) has the question, and is ended when its time is over.

        Args:
            statement: one statement.
            values: of its named parameters.

        Raises:
            QueryError: it is no SELECT, has a mistake, reads what is private, takes too long or too much memory.
        """
        if len(statement) > LONGEST_STATEMENT:
            raise QueryError(f"the statement is longer than {LONGEST_STATEMENT:,} characters")
        self._check_open()
        question = {"path": str(self.path.absolute()), "statement": statement, "values": dict(values or {})}
        found = _answer(json.dumps(question))
        if "problem" in found:
            raise QueryError(found["problem"])
        return Table(tuple(found["columns"]), tuple(map(tuple, found["rows"])), whole=found["whole"])


def _answer(question: str) -> dict[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 – our own program; the question goes in by its standard input
            [sys.executable, "-I", answering.__file__],
            input=question,
            capture_output=True,
            encoding="utf-8",
            timeout=LONGEST.total_seconds(),
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise QueryError(f"it takes longer than {LONGEST.total_seconds():g} s") from None
    if done.returncode:
        raise QueryError(
            f"it cannot be answered: {done.stderr.strip().rpartition(chr(10))[2] or 'it was ended'}"
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
