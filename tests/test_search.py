"""Searches: what a query means, what it finds, and what comes first."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlite_utils import Database

from aggregator.model import New, Selection
from aggregator.store import Store, open_store, query, schema, search
from aggregator.store.query import is_dear, read, spelled_out
from aggregator.store.search import Candidate, best
from tests.test_store import DAY, FEED, NOW, OTHER, TENSION_TAG, entry, id_of, polled, sql

AT = "2025-11-20T12:00:00Z"

# ------------------------------------------------------------------------------------------ the language


@pytest.mark.parametrize(
    ("asked", "fts", "said"),
    [
        pytest.param("kapal perang", '"kapal" "perang"', None, id="words"),
        pytest.param('"kapal perang" laut', '"kapal perang" "laut"', None, id="a phrase"),
        pytest.param("fragat*", '"fragat"*', None, id="a beginning"),
        pytest.param('"kapal per"*', '"kapal per"*', None, id="a phrase whose last word begins so"),
        pytest.param("a OR b NOT c", '"a" OR "b" NOT "c"', None, id="operators"),
        pytest.param("a AND NOT b", '"a" NOT "b"', None, id="NOT as others write it"),
        pytest.param("a (b OR c)", '"a" AND ( "b" OR "c" )', None, id="brackets"),
        pytest.param("NEAR(a b, 3)", 'NEAR("a" "b", 3)', None, id="near each other"),
        pytest.param("NEAR()", '""', None, id="near nothing"),
        pytest.param("NEAR(a b)", 'NEAR("a" "b", 10)', None, id="near, as FTS5 takes it"),
        pytest.param("title:kapal", 'title : "kapal"', None, id="in the title"),
        pytest.param("F-35 U.S. 14:30", '"F-35" "U.S." "14:30"', None, id="words with signs"),
        pytest.param("http://x.example/y", '"http://x.example/y"', None, id="an address"),
        pytest.param("kapal & laut", '"kapal" "laut"', None, id="a sign alone"),
        pytest.param("", '""', None, id="nothing"),
        pytest.param("kapal -laut", '("kapal") NOT ("laut")', "-word means NOT word", id="a minus"),
        pytest.param("-laut", '"laut"', "nothing to leave out from", id="only a minus"),
        pytest.param(
            '"kapal perang', '"kapal perang"', "A quotation mark has no partner", id="an open quote"
        ),
        pytest.param("(kapal", '( "kapal" )', "A bracket has no partner, so it ends", id="an open bracket"),
        pytest.param(
            "kapal)", '"kapal"', "A bracket has no partner, so it was left out", id="a stray bracket"
        ),
        pytest.param("OR kapal", '"OR" "kapal"', "OR stands between two words", id="nothing before OR"),
        pytest.param("kapal NOT", '"kapal" "NOT"', "NOT stands between two words", id="nothing behind NOT"),
        pytest.param("a NEAR b", '"a" "NEAR" "b"', "NEAR wants brackets", id="NEAR without brackets"),
        pytest.param("titel:kapal", '"titel:kapal"', "There is no titel: to look in", id="no such column"),
        pytest.param("ka*l", '"ka*l"', "A star stands at the end of a word", id="a star within"),
    ],
)
def test_what_a_query_means(asked: str, fts: str, said: str | None) -> None:
    reading = read(asked)
    assert reading.fts == fts
    assert (said in (reading.note or "")) if said else reading.note is None


TEXTS = [
    "kapal perang tiba di laut", "perang dan damai", "presiden dan presidente", "president at sea", "la prensa y el mar",
    "operación en el mar", "near and far OR here", "preso", "", "presa a b c d", "nothing AND b", "a b c NOT title",
    "pr prę preß presidium pres", "operaciones op1 openЖ",
]  # fmt: skip
PIECES = [
    "p*", "pr*", "pre*", "pres*", "presi*", "opera*", "operaci*", "ka*", "title:op*", "(a OR pr*)", "NOT pres*", '"el mar"', '"en el ma"*', "a", "b*", '"', "(", ")", "OR", "AND", "NOT",
    "NEAR(", "NEAR(a b, 2)", "NEAR(presi* d)", ",", "5", "title:", "title:presi*", "text:", "zz:", "-", "-perang", "*", " ",
    " ", "é", "^", "+", "{", "\\", "'", "_", "½", "\u0301",
]  # fmt: skip


@pytest.fixture(scope="module")
def texts() -> Iterator[sqlite3.Connection]:
    """A full-text index like ours, of a few texts."""
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(
            "CREATE VIRTUAL TABLE f USING fts5 (title, text, prefix='3 5', tokenize='unicode61 remove_diacritics 2')"
        )
        db.execute("CREATE VIRTUAL TABLE words USING fts5vocab (f, row)")
        db.executemany("INSERT INTO f VALUES (?, ?)", zip(TEXTS[::-1], TEXTS, strict=True))
        yield db


def found_by(db: sqlite3.Connection, fts: str) -> list[int]:
    return [row[0] for row in db.execute("SELECT rowid FROM f WHERE f MATCH ?", (fts,))]


@given(st.text(max_size=30) | st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_every_query_means_something_and_the_same_when_it_is_spelled_out(
    texts: sqlite3.Connection, asked: str
) -> None:
    fts = read(asked).fts

    def stems(beginning: str, letters: int, most: int) -> list[str]:
        rows = texts.execute(
            "SELECT DISTINCT substr(term, 1, ?2) FROM words WHERE substr(term, 1, length(?1)) = ?1 LIMIT ?3",
            (beginning, letters, most),
        )
        return [row[0] for row in rows]

    assert found_by(texts, spelled_out(fts, stems)) == found_by(texts, fts)


@pytest.mark.parametrize(
    ("fts", "held", "spelled"),
    [
        pytest.param('"p"*', ["p", "pa", "pre"], '("p" OR "pa" OR "pre"*)', id="one letter"),
        pytest.param('"pr"*', ["pra", "pre"], '("pra"* OR "pre"*)', id="two letters"),
        pytest.param('"Prés"*', ["pres", "presa"], '("pres" OR "presa"*)', id="four letters"),
        pytest.param('"presid"*', ["presidente"], '("presidente")', id="six letters"),
        pytest.param('"x" title : "pr"*', ["pra"], '("x" AND title : ("pra"*))', id="beside a word"),
        pytest.param('"pre"*', ["pre"], '"pre"*', id="three letters stay: they are indexed"),
        pytest.param('"presi"*', ["presi"], '"presi"*', id="five letters stay"),
        pytest.param('"el mar"*', ["el"], '"el mar"*', id="a phrase stays"),
        pytest.param('NEAR("a" "pr"*, 5)', ["pra"], 'NEAR("a" "pr"*, 5)', id="what is near stays"),
        pytest.param('"сана"*', ["санас"], '"сана"*', id="what is not Latin stays"),
        pytest.param('"pr"*', [], '"pr"*', id="a beginning of nothing stays"),
        pytest.param('"pr"*', ["pra", "pre", "pri", "pro"], '"pr"*', id="too many stay"),
    ],
)
def test_a_beginning_becomes_the_words_and_indexed_beginnings(
    monkeypatch: pytest.MonkeyPatch, fts: str, held: list[str], spelled: str
) -> None:
    def stems(_beginning: str, _letters: int, most: int) -> list[str]:
        return held[:most]

    monkeypatch.setattr(query, "MOST", 3)
    assert spelled_out(fts, stems) == spelled


@pytest.mark.parametrize(
    ("fts", "dear"),
    [
        pytest.param('"x" "pre"*', False, id="words and indexed beginnings"),
        pytest.param('"x" "pres"*', True, id="another beginning"),
        pytest.param(" OR ".join(['"x"'] * 99), True, id="many words"),
    ],
)
def test_what_is_dear(fts: str, *, dear: bool) -> None:
    assert is_dear(fts) == dear


def test_the_store_spells_beginnings_out(library: Store) -> None:
    with closing(sqlite3.connect(library.path)) as db:
        assert search.understood(db, "Opé*") == '"Opé"*'
        assert search.understood(db, "Ma*") == '("mad"*)'
        assert search.understood(db, "a*") == '("aga"* OR "and"* OR "as" OR "aye"*)'
        assert search.understood(db, "ship*") == '("ships"*)'
        assert search.understood(db, "operac*") == '("operacion")'


# ------------------------------------------------------------------------------------------ what is found


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with open_store(tmp_path_factory.mktemp("library") / "x.db") as store:
        polled(
            store,
            New(
                entry(
                    "maduro", title="Operación en el Caribe", text="Maduro habló del niño ayer", language="es"
                )
            ),
            New(
                entry(
                    "kapal", title="Kapal perang", text="Kapal perang AS tiba di Laut Karibia", language="id"
                )
            ),
            New(
                entry("ships", title="Ships", text="US warships sail; the Caribbean waits", tags=TENSION_TAG)
            ),
        )
        polled(store, New(entry("late", text="ships again, and again ships")), at=NOW + DAY, url=OTHER)
        yield store


FINDS = [
    pytest.param("operacion", {"maduro"}, id="without diacritics"),
    pytest.param("OPERACIÓN", {"maduro"}, id="with diacritics, other case"),
    pytest.param("nino", {"maduro"}, id="in the text"),
    pytest.param('"kapal perang"', {"kapal"}, id="phrase"),
    pytest.param('"perang kapal"', set(), id="phrase in another order"),
    pytest.param("wa*", {"ships"}, id="a beginning of two letters"),
    pytest.param("war*", {"ships"}, id="a beginning of three letters"),
    pytest.param("warsh*", {"ships"}, id="a longer beginning"),
    pytest.param("OPERACIÓ*", {"maduro"}, id="a beginning with diacritics"),
    pytest.param("caribbean warsh*", {"ships"}, id="a beginning and a word"),
    pytest.param('"laut kar"*', {"kapal"}, id="a phrase that ends in a beginning"),
    pytest.param("zzzzz*", set(), id="a beginning of nothing"),
    pytest.param("NEAR(kapal laut, 5)", {"kapal"}, id="near"),
    pytest.param("NEAR(kapal karibia, 1)", set(), id="not so near"),
    pytest.param("kapal OR niño", {"kapal", "maduro"}, id="either"),
    pytest.param("ships NOT again", {"ships"}, id="without"),
    pytest.param("title: ships", {"ships"}, id="in one column"),
    pytest.param("laut:karibia", {"kapal"}, id="a column that is none: words"),
    pytest.param('"kapal', {"kapal"}, id="an open quote: a phrase"),
    pytest.param("*kapal", {"kapal"}, id="a star in front: words"),
    pytest.param("kapal & laut", {"kapal"}, id="a sign: words"),
    pytest.param("AND", {"late"}, id="an operator alone: a word"),
    pytest.param("", set(), id="nothing"),
    pytest.param("ka\0pal \ud800", {"kapal"}, id="what no text holds is left out"),
]


@pytest.mark.parametrize(("asked", "found"), FINDS)
def test_search_finds(library: Store, asked: str, found: set[str]) -> None:
    assert {hit.entry.guid for hit in library.search(asked)} == found


@pytest.mark.parametrize(("asked", "found"), FINDS)
@pytest.mark.parametrize("few", [0, 5_000], ids=["many entries", "few entries"])
def test_a_list_of_what_a_search_finds(
    library: Store, monkeypatch: pytest.MonkeyPatch, few: int, asked: str, found: set[str]
) -> None:
    monkeypatch.setattr("aggregator.store.entries.FEW", few)
    listed, _ = library.select(Selection(search=asked), limit=9)
    assert {one.guid for one in listed} == found


@given(st.text(max_size=20) | st.text("ab\"*^:(){}-+,'\\ ", max_size=8))
def test_no_query_is_an_error(library: Store, asked: str) -> None:
    library.search(asked)
    library.select(Selection(search=asked), limit=1)


@pytest.mark.parametrize(
    ("asked", "narrowed", "found"),
    [
        pytest.param("ships", {}, {"ships", "late"}, id="not at all"),
        pytest.param("ships", {"topic": "tension"}, {"ships"}, id="to a topic"),
        pytest.param("ships", {"feed_ids": [2]}, {"late"}, id="to a feed"),
        pytest.param("ships", {"feed_ids": []}, set(), id="to no feed"),
        pytest.param("ships", {"since": NOW + DAY}, {"late"}, id="to what is new"),
        pytest.param("ships", {"since": NOW + 2 * DAY}, set(), id="to what is not yet"),
        pytest.param("ships", {"since": NOW - DAY}, {"ships", "late"}, id="to what is not very old"),
        pytest.param("kapal OR niño", {"language": "es"}, {"maduro"}, id="to a language"),
        pytest.param(
            "sh*",
            {"topic": "tension", "feed_ids": [1, 2], "language": "en", "since": NOW},
            {"ships"},
            id="by all at once",
        ),
    ],
)
def test_search_is_narrowed(library: Store, asked: str, narrowed: dict[str, Any], found: set[str]) -> None:
    assert {hit.entry.guid for hit in library.search(asked, **narrowed)} == found


def test_a_snippet_shows_the_place_that_matches(library: Store) -> None:
    (best,) = library.search("ships", limit=1)
    assert best.entry.guid == "ships"
    assert best.snippet == (("Ships", True),)
    (best,) = library.search("warsh*", topic="tension")
    assert [piece for piece, found in best.snippet if found] == ["warships"]


def test_what_a_feed_held_when_it_joined_is_found_by_when_it_is_listed(tmp_path: Path) -> None:
    with open_store(tmp_path / "x.db") as store:
        polled(store, New(entry("new", text="fleet")), at=NOW)
        joined = entry("old", text="fleet", published_at=NOW - 9 * DAY)
        polled(store, New(joined), at=NOW + DAY, url=OTHER)
        for number in range(5):
            polled(store, New(entry(f"{number}", text="fleet")), at=NOW + DAY * (number + 2))
        assert {hit.entry.guid for hit in store.search("fleet", since=NOW)} == {"new", *"01234"}
        assert "old" in {hit.entry.guid for hit in store.search("fleet", since=NOW - 9 * DAY)}
        for number in range(-12, 9):
            since = NOW + number * DAY
            expected = {one.guid for one in store.select(Selection(), since=since, limit=99)[0]}
            assert {hit.entry.guid for hit in store.search("fleet", since=since)} == expected


def test_what_was_stored_before_there_was_an_index_of_five_letters_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    steps = [step.name for step in schema.migrations().pending(Database(memory=True))]
    old = Database(path)
    schema.migrations().apply(old, stop_before=steps[2])
    old.conn.executescript(
        f"""INSERT INTO feeds (id, url, subscription_url, added_at, host) VALUES (1, 'u', 'u', '{AT}', 'h');
            INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at, uid)
            VALUES (1, 1, 1, 1, '{AT}', 'x');
            INSERT INTO entries (id, feed_id, guid, title, first_seen_at, last_seen_at, changed_at, listed_at, article_id,
                                 uid, key, hash, summary, content, text)
            VALUES (1, 1, 'ships', 'Ships', '{AT}', '{AT}', '{AT}', '{AT}', 1, 'x', 'k', x'00', '', '', 'US warships sail');
            INSERT INTO entries_fts (rowid, title, text) SELECT id, title, text FROM entries;"""
    )
    old.close()
    with open_store(path) as store:
        for asked in ("w*", "wars*", "warsh*", "warship*"):
            assert [hit.entry.guid for hit in store.search(asked)] == ["ships"]


# ------------------------------------------------------------------------------------- what comes first


def candidate(entry_id: int, *, days: float = 0, **given: Any) -> Candidate:
    values: dict[str, Any] = {"article_id": entry_id, "canonical": True, "outlets": 1, "in_title": False}
    return Candidate(entry_id=entry_id, at=NOW - timedelta(days=days), **{**values, **given})


@pytest.mark.parametrize(
    ("better", "other"),
    [
        pytest.param(candidate(1), candidate(2, days=1), id="the newer"),
        pytest.param(candidate(1, outlets=2), candidate(2), id="what more outlets tell"),
        pytest.param(candidate(1, in_title=True), candidate(2), id="what the title says"),
        pytest.param(candidate(1, in_title=True), candidate(2, outlets=3), id="a title before three outlets"),
        pytest.param(candidate(1, outlets=5), candidate(2, in_title=True), id="five outlets before a title"),
        pytest.param(candidate(1, outlets=3), candidate(2, days=-7), id="three outlets before a week"),
        pytest.param(candidate(1, days=-30), candidate(2, in_title=True), id="a month before a title"),
        pytest.param(candidate(2), candidate(1), id="of equal ones the higher number"),
    ],
)
def test_the_better_comes_first(better: Candidate, other: Candidate) -> None:
    for found in ([better, other], [other, better]):
        assert best(found, 2) == [better.entry_id, other.entry_id]
        assert best(found, 1) == [better.entry_id]


@pytest.mark.parametrize(
    ("copies", "shown"),
    [
        pytest.param([{"canonical": False}, {"days": 3}], 2, id="its canonical copy"),
        pytest.param([{"canonical": False, "days": 3}, {"canonical": False}], 2, id="else its best one"),
        pytest.param([{"canonical": False}, {"canonical": False}], 1, id="of equal ones the first"),
    ],
)
def test_an_article_is_shown_once(copies: list[dict[str, Any]], shown: int) -> None:
    found = [candidate(number, **{"article_id": 7, **copy}) for number, copy in enumerate(copies, 1)]
    assert best([*found, candidate(9, days=2)], 9) == [shown, 9]


def test_an_article_with_a_newer_copy_stands_where_that_would() -> None:
    found = [
        candidate(1, article_id=7, days=9),
        candidate(5, article_id=7, canonical=False),
        candidate(3, days=1),
    ]
    assert best(found, 9) == [1, 3]


def test_nothing_has_no_order() -> None:
    assert best([], 9) == []


def test_outlets_titles_and_ages_are_those_of_the_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "x.db") as store:
        polled(store, New(entry("told", text="fleet")), New(entry("titled", title="The fleet")), at=NOW)
        polled(store, New(entry("copied", text="fleet", url_key=3)), at=NOW, url=FEED)
        polled(store, New(entry("copy", text="fleet", url_key=3)), at=NOW, url=OTHER)
        polled(store, New(entry("new", text="fleet")), at=NOW + 2 * DAY)
        found = [hit.entry.guid for hit in store.search("fleet")]
        assert found == ["titled", "copied", "new", "told"]
        assert [hit.entry.guid for hit in store.search("fleet", feed_ids=[2])] == ["copy"]


def test_of_many_matches_the_newest_are_ranked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "CANDIDATES", 3)
    monkeypatch.setattr(search, "LOOKED_AT", 4)
    with open_store(tmp_path / "x.db") as store:
        for number in range(6):
            language = "es" if number < 3 else "en"
            polled(store, New(entry(f"{number}", title="Fleet", language=language)), at=NOW + number * DAY)
        assert [hit.entry.guid for hit in store.search("fleet")] == ["5", "4", "3"]
        assert [hit.entry.guid for hit in store.search("fleet", language="es")] == ["2"]
        assert [hit.entry.guid for hit in store.search("fleet", since=NOW, limit=2)] == ["5", "4"]


# ----------------------------------------------------------------------------------------- the count


def test_how_many_entries_a_feed_has_is_kept(tmp_path: Path) -> None:
    def counted(store: Store) -> list[tuple[int, int]]:
        (kept,) = (store.overview(9).entries,)
        reports = [(report.id, report.entries) for report in store.feeds()]
        assert kept == sum(entries for _, entries in reports)
        assert reports == sql(store.path, "SELECT feed_id, count(*) FROM entries GROUP BY feed_id ORDER BY 1")
        return reports

    with open_store(tmp_path / "x.db") as store:
        polled(
            store,
            *(New(entry(f"{number}")) for number in range(3)),
            at=datetime(2024, 1, 1, tzinfo=NOW.tzinfo),
        )
        polled(store, New(entry("x")), at=NOW, url=OTHER)
        assert counted(store) == [(1, 3), (2, 1)]
        polled(store, New(entry("y")), at=NOW)
        store.prune(NOW, 300 * DAY, limit=2)
        assert counted(store) == [(1, 2), (2, 1)]
        assert id_of(store, "y")
