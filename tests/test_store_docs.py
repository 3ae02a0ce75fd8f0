"""docs/store.md and README.md: every query in them runs and finds something, every table and column is described."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from aggregator.count import count_trends
from aggregator.link import link
from aggregator.model import Attribution, Category, FeedStatus, Match, New, PollResult, Revised, Sides, Tag
from aggregator.store import open_store
from tests.test_store import FEED, NOW, OTHER, claimed, entry, outcome, polled

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "store.md").read_text()
QUERIES = {
    heading: query
    for heading, section in re.findall(r"^### (.+?\?)\n(.*?)(?=^##)", PAGE, re.MULTILINE | re.DOTALL)
    for query in re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
}
(README_QUERY,) = re.findall(
    r'^sqlite3 db/aggregator\.db "(.*?)"$', (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL
)
TOPIC = "caribbean-tension"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """A store with something of everything, as a user reads it."""
    day = timedelta(days=1)
    tagged = {
        "title": "Kapal perang tiba",
        "text": "Sebuah kapal perang tiba di Laut Karibia.",
        "tags": (Tag(TOPIC, None, 2.0), Tag(TOPIC, "military", 1.0)),
        "matches": (Match(TOPIC, "ships", "kapal perang", "title", 0, 12),),
        "categories": (Category("Dunia"),),
        "url_key": 1,
        "countries": ("VE",),
    }
    path = tmp_path_factory.mktemp("docs") / "aggregator.db"
    with open_store(path) as store:
        polled(store, New(entry("a", **tagged)), New(entry("b", published_at=NOW - day)), at=NOW, link=link)
        copy = entry("c", **tagged, attributions=(Attribution("INEWS"),))
        polled(store, New(copy), at=NOW, url=OTHER, link=link)
        changed = Revised(1, entry("b", title="Changed", published_at=NOW - day))
        polled(store, changed, New(entry("d", published_at=NOW)), at=NOW + day, link=link)
        claim = claimed(store, NOW + 30 * day, "https://failing.example/feed")
        failed = outcome(claim, status=FeedStatus.FAILING, failures=1.0, last_error="no such host")
        store.record([replace(failed, result=PollResult.FAILED)], NOW + 30 * day)
        claim = claimed(store, NOW + 30 * day, FEED)
        store.record([outcome(claim, last_success_at=NOW + 30 * day)], NOW + 30 * day)
        count_trends(store, [Sides(TOPIC, ("military",))])
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            yield connection


def test_the_page_has_its_queries() -> None:
    assert PAGE.count("```sql") == len(QUERIES) >= 20


@pytest.mark.parametrize("query", [*QUERIES.values(), README_QUERY], ids=[*QUERIES, "README.md"])
def test_every_query_finds_something(reader: sqlite3.Connection, query: str) -> None:
    assert reader.execute(query).fetchall()


def test_the_evidence_query_cuts_out_the_words_that_were_found(reader: sqlite3.Connection) -> None:
    words = {row[-1] for row in reader.execute(QUERIES["Which words exactly?"])}
    assert words == {"Kapal perang"}


def test_every_table_and_column_is_described_and_nothing_else(reader: sqlite3.Connection) -> None:
    tables = reader.execute(
        r"""SELECT name FROM pragma_table_list
             WHERE schema = 'main' AND name NOT LIKE '%sqlite\_%' ESCAPE '\' AND name NOT LIKE 'entries_fts%'"""
    )
    present = {
        table: {row[1] for row in reader.execute(f"PRAGMA table_info({table})")}
        for (table,) in tables.fetchall()
    }
    described = {
        table: {
            name
            for cell in re.findall(r"^\| (`.+?`) \|", section, re.MULTILINE)
            for name in re.findall(r"`(\w+)`", cell)
        }
        for table, section in re.findall(r"^### `(\w+)`\n(.*?)(?=^### |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    }
    assert described.pop("entries_fts") == set()
    assert described == present


# ----------------------------------------------------------------------------------- Datasette

VIEW = yaml.safe_load((ROOT / "docs" / "datasette.yaml").read_text())["databases"]["aggregator"]


def test_every_table_has_a_place_in_the_view_for_datasette(reader: sqlite3.Connection) -> None:
    names = {row[0] for row in reader.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert set(VIEW["tables"]) == {name for name in names if not name.startswith(("sqlite_", "entries_fts"))}
    for table, shown in VIEW["tables"].items():
        columns = {row[1] for row in reader.execute(f"PRAGMA table_info({table})")}
        named = {
            *shown.get("facets", ()),
            *(shown[key] for key in ("sort", "sort_desc", "label_column") if key in shown),
        }
        assert named <= columns


@pytest.mark.parametrize("query", VIEW["queries"].values(), ids=VIEW["queries"])
def test_every_query_for_datasette_finds_something(reader: sqlite3.Connection, query: dict[str, str]) -> None:
    assert reader.execute(query["sql"], {"topic": ""}).fetchall()


def test_tables_with_secrets_are_not_shown(reader: sqlite3.Connection) -> None:
    for (name,) in reader.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        if any("secret" in row[1] for row in reader.execute(f"PRAGMA table_info({name})")):
            assert VIEW["tables"][name]["allow"] is False
