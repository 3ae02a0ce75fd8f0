"""A reader's own SQL (`store.asking`)."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from aggregator.errors import QueryError
from aggregator.model import New
from aggregator.store import Store, open_store
from aggregator.store.answering import LARGEST
from tests.test_store import entry, polled, sql

SECRET = "https://reader:canary@a.example/feed"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "aggregator.db") as store:
        polled(store, New(entry("a", text="x" * 20_000)), New(entry("b")), url=SECRET)
        store.set_property("key", "canary")
        with closing(sqlite3.connect(store.path)) as db, db:
            for column in ("validators_url", "moved_to", "hub_url", "topic_url", "last_error"):
                db.execute(f"UPDATE feeds SET {column} = ?", (f"{column}: {SECRET}",))
            db.execute("UPDATE polls SET error = ?", (SECRET,))
            db.execute(
                "INSERT INTO feed_events (feed_id, at, kind, message) VALUES (1, '', 'moved', ?)", (SECRET,)
            )
        yield store


def test_a_question_is_answered(store: Store) -> None:
    found = store.ask(
        "SELECT id, title, 0.5 AS half, NULL AS none FROM entries WHERE title = :title",
        {"title": "Title of a"},
    )
    assert found.columns == ("id", "title", "half", "none")
    assert [row[1:] for row in found.rows] == [("Title of a", 0.5, None)]
    assert found.whole


@pytest.mark.parametrize(
    "statement",
    [
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9) SELECT max(i) FROM n",
        "SELECT title FROM entries_fts WHERE entries_fts MATCH 'title' ORDER BY bm25(entries_fts)",
        "SELECT count(*), group_concat(DISTINCT language), date(max(listed_at)) FROM entries",
        "SELECT value FROM json_each('[1, 2]')",
        "EXPLAIN QUERY PLAN SELECT 1",
    ],
)
def test_what_reads_is_answered(store: Store, statement: str) -> None:
    assert store.ask(statement).rows


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        pytest.param("DELETE FROM entries", "only one SELECT", id="delete"),
        pytest.param("INSERT INTO topics VALUES ('a', 'b', 'c')", "only one SELECT", id="insert"),
        pytest.param("DROP TABLE entries", "only one SELECT", id="drop"),
        pytest.param("CREATE TEMP TABLE t (x)", "only one SELECT", id="a table of one's own"),
        pytest.param("PRAGMA query_only = OFF", "only one SELECT", id="pragma"),
        pytest.param("ATTACH 'other.db' AS other", "only one SELECT", id="attach"),
        pytest.param("VACUUM INTO 'copy.db'", "only one SELECT", id="vacuum"),
        pytest.param("BEGIN", "only one SELECT", id="a transaction"),
        pytest.param("SELECT load_extension('x')", "only one SELECT|not authorized", id="an extension"),
        pytest.param("SELECT value FROM properties", "private", id="a private table"),
        pytest.param("SELECT secret FROM hub_subscriptions", "private", id="a secret"),
        pytest.param("SELECT feeds FROM lists", "private", id="addresses of feeds"),
        pytest.param("SELECT 1; SELECT 2", "one statement", id="two statements"),
        pytest.param("SELEC 1", "syntax error", id="a mistake"),
        pytest.param("SELECT nonesuch FROM entries", "no such column: nonesuch", id="no such column"),
        pytest.param("SELECT 1 -- " + "x" * 20_000, "longer than 20,000", id="too long"),
        pytest.param("SELECT * FROM entries WHERE id = :id", "binding", id="a parameter that is not given"),
        pytest.param("-- nothing", "only one SELECT", id="no statement"),
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_the_reason(store: Store, statement: str, reason: str) -> None:
    before = sql(store.path, "SELECT count(*) FROM entries")
    with pytest.raises(QueryError, match=reason):
        store.ask(statement)
    assert sql(store.path, "SELECT count(*) FROM entries") == before
    assert store.ask("SELECT count(*) FROM entries").rows == ((2,),)


NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param(f"{NUMBERS} SELECT max(i) FROM n", id="without an end"),
        pytest.param("SELECT printf('%.*c', 2000000000, 'x')", id="one call of a function"),
        pytest.param(
            "SELECT instr(printf('%9000000c', 'a'), printf('%4500000c', 'a') || 'b')",
            id="a square of millions",
        ),
    ],
)
def test_no_question_takes_long(store: Store, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.store.asking.LONGEST", timedelta(seconds=0.4))
    before = time.monotonic()
    with pytest.raises(QueryError, match=r"longer than 0\.4 s"):
        store.ask(statement)
    assert time.monotonic() - before < 2


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("SELECT zeroblob(900000000)", id="a value"),
        pytest.param(f"{NUMBERS} SELECT printf('%9000000c', i) FROM n ORDER BY 1", id="sorting"),
        pytest.param("SELECT " + ", ".join(["printf('%9000000c', 'x')"] * 200), id="a row"),
    ],
)
def test_no_question_takes_much_memory(store: Store, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "aggregator.store.asking.LONGEST", timedelta(seconds=30)
    )  # it is not time that ends it
    with pytest.raises(QueryError, match=r"memory|too big"):
        store.ask(statement)


def test_no_answer_holds_a_feeds_password(store: Store) -> None:
    tables = [
        row[0] for row in sql(store.path, "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
    ]
    seen = 0
    for table in tables:
        try:
            found = store.ask(f'SELECT * FROM "{table}"')
        except QueryError:
            continue
        seen += 1
        assert "canary" not in repr(found)
    assert seen > 15


def test_answers_are_bounded(store: Store) -> None:
    found = store.ask(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 2000) SELECT i FROM n"
    )
    assert len(found.rows) == 1_000
    assert not found.whole
    found = store.ask(f"{NUMBERS} SELECT " + ", ".join(["printf('%10000c', i)"] * 100) + " FROM n")
    assert sum(len(str(value)) for row in found.rows for value in row) <= LARGEST + 100 * 10_000
    assert not found.whole


@pytest.mark.parametrize(
    ("value", "length", "whole"),
    [
        pytest.param("printf('%10000c', 'x')", 10_000, True, id="just fits"),
        pytest.param("printf('%10001c', 'x')", 10_000, False, id="a letter too long"),
        pytest.param("zeroblob(5000)", 10_000, True, id="bytes that fit"),
        pytest.param("zeroblob(5001)", 10_000, False, id="a byte too long"),
    ],
)
def test_a_value_that_was_cut_makes_the_answer_less_than_whole(
    store: Store, value: str, length: int, whole: bool
) -> None:
    found = store.ask(f"SELECT 1, {value} UNION ALL SELECT 2, 'short'")
    assert [len(str(row[1])) for row in found.rows] == [length, 5]
    assert found.whole is whole


def test_the_connection_is_as_before(store: Store) -> None:
    with pytest.raises(QueryError):
        store.ask("SELECT value FROM properties")
    assert store.property("key", str) == "canary"

    assert store.feeds()[0].subscription.url == SECRET
