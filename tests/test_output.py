"""From the store to documents: which entries a feed holds, how its documents hang together, and the same as files."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator import link
from aggregator.errors import QueryError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Document,
    New,
    OutputFeed,
    PushSettings,
    Revised,
    Selection,
    Settings,
    Tag,
)
from aggregator.output import Outputs
from aggregator.publish import EVERYTHING, Format, narrowed, ours, updated
from aggregator.store import Store, entries, open_store
from aggregator.topics import compile_topics
from tests.conftest import NOON, Clock
from tests.test_store import claim_all, entry, follow, id_of, outcome, polled, sql

A, B = "https://a.example/feed", "https://b.example/feed"
HOUR = timedelta(hours=1)
ALL = OutputFeed("all", limit=3)
TOPIC = {
    "slug": "tension",
    "title": "Tension",
    "concepts": {"ship": {"any": ["warship"]}},
    "rules": {"named": {"all": "ship"}},
    "aspects": {"military": {"title": "Military", "rules": {"named": {"all": "ship"}}}},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "a.db") as store:
        yield store


def made(store: Store, *feeds: OutputFeed, clock: Clock | None = None, **given: Any) -> Outputs:
    """The output feeds of a configuration."""
    outputs = Outputs(store, clock or Clock(), "0.1.0")
    outputs.configure(
        Settings(output=feeds, **given),
        compile_topics([Document("t", TOPIC)], lambda name: Document(name, {})),
    )
    return outputs


def change(store: Store, statement: str, *values: object) -> None:
    """What another program does."""
    with closing(sqlite3.connect(store.path, timeout=1)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(statement, values)


# ----------------------------------------------------------------------------------------- selections


@pytest.fixture
def press(store: Store) -> Store:
    """Two outlets: B copies A's article on a war ship, and each tells something of its own."""
    store.subscribe([], NOON)
    shared = {"url_key": 77}
    military = (Tag("tension", None, 3.0), Tag("tension", "military", 2.0))
    polled(
        store,
        New(entry("war", tags=military, countries=("VE",), **shared)),
        New(entry("calm", title="A calm day", text="Nothing", countries=("TT",))),
        at=NOON,
        url=A,
    )
    polled(
        store,
        New(
            entry(
                "paz",
                language="es",
                text="la paz llega",
                tags=(Tag("tension", None, 1.0),),
                countries=("CU", "VE"),
            )
        ),
        New(entry("copia", language="es", tags=(Tag("tension", None, 2.0),), **shared)),
        at=NOON + HOUR,
        url=B,
    )
    change(store, "UPDATE feeds SET title = 'Beta', tags = '[\"republisher\"]' WHERE url = ?", B)
    change(
        store,
        "INSERT INTO stories VALUES (5, 'War', 1, 2, ?, ?)",
        "2025-11-20T12:00:00Z",
        "2025-11-20T12:00:00Z",
    )
    change(store, "UPDATE entries SET story_id = 5 WHERE url_key = 77")
    return store


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        pytest.param(
            {}, ["paz", "war", "calm"], id="everything, each article once and where its first copy stands"
        ),
        pytest.param({"copies": True}, ["paz", "copia", "war", "calm"], id="every copy"),
        pytest.param({"topic": "tension"}, ["paz", "war"], id="a topic"),
        pytest.param({"topic": "tension", "aspect": "military"}, ["war"], id="an aspect"),
        pytest.param({"topic": "nothing"}, [], id="a topic without entries"),
        pytest.param({"feed": A}, ["war", "calm"], id="a feed by its address"),
        pytest.param({"feed": "beta"}, ["paz", "copia"], id="a feed by its name: its own copy is shown"),
        pytest.param({"feed": "gamma"}, [], id="a feed that is not there"),
        pytest.param({"tag": "republisher"}, ["paz", "copia"], id="a label"),
        pytest.param({"language": "en"}, ["war", "calm"], id="a language"),
        pytest.param({"country": "VE"}, ["paz", "war"], id="a country"),
        pytest.param({"search": "paz OR calm"}, ["paz", "calm"], id="a search"),
        pytest.param({"search": '"calm'}, ["calm"], id="a search that is not valid is one for its words"),
        pytest.param({"topic": "tension", "min_score": 2.0}, ["war"], id="a score"),
        pytest.param(
            {"topic": "tension", "aspect": "military", "min_score": 3.5}, [], id="the topic's score"
        ),
        pytest.param({"min_score": 1.5}, ["war"], id="a score for any topic"),
        pytest.param({"min_outlets": 2}, ["war"], id="outlets"),
        pytest.param({"min_outlets": 3}, [], id="more outlets than there are"),
        pytest.param(
            {"language": "es", "topic": "tension", "feed": "Beta", "country": "CU"}, ["paz"], id="all at once"
        ),
    ],
)
@pytest.mark.parametrize("few", [0, 10_000], ids=["from the newest on", "the rare ones first"])
def test_conditions(
    press: Store, monkeypatch: pytest.MonkeyPatch, few: int, conditions: dict[str, Any], expected: list[str]
) -> None:
    monkeypatch.setattr(entries, "FEW", few)
    found, cursor = press.select(Selection(**conditions), limit=10)
    assert [one.guid for one in found] == expected
    assert cursor is None


def test_an_article_is_shown_by_its_canonical_copy_and_keeps_its_place(press: Store) -> None:
    change(press, "UPDATE articles SET canonical_entry_id = ? WHERE entry_count = 2", id_of(press, "copia"))
    found, _ = press.select(Selection(), limit=10)
    assert [one.guid for one in found] == ["paz", "copia", "calm"]
    english, _ = press.select(Selection(language="en"), limit=10)
    assert [one.guid for one in english] == ["war", "calm"], "the canonical one does not fit"


def test_since_when(press: Store) -> None:
    found, _ = press.select(Selection(), since=NOON + HOUR, limit=10)
    assert [one.guid for one in found] == ["paz"]


@pytest.mark.parametrize(
    "cursor", ["", "x", "20251120T120000Z", "20251120T120000Z-1'", "20251120T120000Z-" + "9" * 30]
)
def test_what_is_no_cursor(store: Store, cursor: str) -> None:
    with pytest.raises(UnknownError, match="no cursor"):
        store.select(Selection(), before=cursor, limit=1)
    with pytest.raises(UnknownError, match="no cursor"):
        store.archive(Selection(), cursor, 1)


@pytest.mark.parametrize("selection", [Selection(), Selection(copies=True), Selection(topic="tension")])
def test_pages_hold_each_entry_once(press: Store, selection: Selection) -> None:
    whole, _ = press.select(selection, limit=10)
    walked, cursor = press.select(selection, limit=1)
    while cursor:
        page, cursor = press.select(selection, before=cursor, limit=1)
        walked += page
    assert walked == whole


def test_a_search_that_takes_too_long_is_given_up(press: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "SEARCH_LIMIT", timedelta(0))
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT count(*) FROM n"
    with pytest.raises(StoreError, match="took longer"), press._read() as db, entries.in_time(db):
        db.execute(many).fetchone()


# ------------------------------------------------------------------------------------------ archives


def ids(document: bytes) -> list[str]:
    return [item["id"] for item in json.loads(document)["items"]]


def walk(outputs: Outputs, name: str) -> tuple[list[str], list[str]]:
    """The entries of a feed and all its archives by `next_url`, and the archives' cursors."""
    document = json.loads(outputs.rendered(name, Format.JSON).body)
    found, cursors = [item["id"] for item in document["items"]], []
    while address := document.get("next_url"):
        cursors.append(address.rpartition("/")[2].removesuffix(".json"))
        assert len(cursors) == len(set(cursors)) < 1_000
        document = json.loads(outputs.archive(name, cursors[-1], Format.JSON).body)
        found += [item["id"] for item in document["items"]]
    return found, cursors


def test_an_archive_says_what_it_is_and_where_it_stands(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ARCHIVE_PAGE", 4)
    polled(store, *(New(entry(f"k{i}")) for i in range(20, 0, -1)), at=NOON, url=A)
    outputs = made(store, ALL, public_url="https://news.example")
    newest = {link.rel: link.href for link in outputs.rendered("all", Format.ATOM).links}
    assert newest["prev-archive"] == "https://news.example/feeds/all/archive/20251120T120000Z-18.atom"
    passing = outputs.archive("all", "20251120T120000Z-18", Format.ATOM)
    assert [link.href.rpartition("/")[2] for link in passing.links if "archive" in link.rel] == [
        "20251120T120000Z-16.atom"
    ]
    older = outputs.archive("all", "20251120T120000Z-8", Format.RSS)
    assert {link.rel: link.href.rpartition("/")[2] for link in older.links} == {
        "self": "20251120T120000Z-8.rss",
        "current": "all.rss",
        "prev-archive": "20251120T120000Z-4.rss",
        "next-archive": "20251120T120000Z-12.rss",
        "alternate": "all",
    }
    for form in (Format.ATOM, Format.RSS):
        body = outputs.archive("all", "20251120T120000Z-8", form).body
        assert b'<fh:archive xmlns:fh="http://purl.org/syndication/history/1.0"/>' in body
        assert b"fh:archive" not in outputs.rendered("all", form).body
    assert len(ids(outputs.archive("all", "20251120T120000Z-8", Format.JSON).body)) == 4


def test_an_unusual_day_is_an_entry_that_names_what_happened(press: Store) -> None:
    day = NOON.date()
    change(
        press,
        """INSERT INTO topic_daily (topic, day, language, entries, articles, total_articles, threats, acts, stories,
                                    total_stories, index_value, score)
           VALUES ('tension', ?, 'all', 9, 8, 40, 0, 8, 2, 30, 412.3, 5.1), ('tension', ?, 'all', 1, 1, 40, 0, 0, 1, 30, 99, 0.2)""",
        str(day),
        str(day - timedelta(days=1)),
    )
    outputs = made(press, public_url="https://news.example")
    (item,) = json.loads(outputs.rendered("unusual", Format.JSON).body)["items"]
    assert item["title"] == "Tension: 20 November 2025 stands out"
    assert item["url"].startswith("https://news.example/trend?topic=tension")
    assert "8 of 40 articles are on Tension: the index stands at 412." in item["content_html"]
    assert "Title of war</a> (2 outlets)" in item["content_html"]
    (again,) = json.loads(outputs.rendered("unusual", Format.JSON).body)["items"]
    assert again["id"] == item["id"]


def test_the_feed_of_health_has_no_archives(store: Store) -> None:
    outputs = made(store)
    assert "next_url" not in json.loads(outputs.rendered("health", Format.JSON).body)
    with pytest.raises(UnknownError, match="no archives"):
        outputs.archive("health", "20251120T120000Z-1", Format.JSON)


times = st.integers(0, 50).map(lambda hours: NOON - hours * HOUR)
batches = st.lists(st.lists(times, max_size=9), min_size=1, max_size=5)


@given(batches, st.integers(1, 6), st.lists(st.integers(1, 40), max_size=5), st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_walking_back_through_the_archives_finds_every_entry_once(
    tmp_path_factory: pytest.TempPathFactory,
    arriving: list[list[datetime]],
    limit: int,
    removed: list[int],
    copies: bool,
) -> None:
    """Whatever comes (backfill of new feeds too) and goes; and what nothing came to or went from stays as it is."""
    with pytest.MonkeyPatch.context() as patch, open_store(tmp_path_factory.mktemp("walk") / "a.db") as store:
        patch.setattr(entries, "ARCHIVE_PAGE", 4)
        outputs = made(store, OutputFeed("all", limit=limit, copies=copies))
        for number, dates in enumerate(arriving):
            before = {
                cursor: ids(outputs.archive("all", cursor, Format.JSON).body)
                for cursor in walk(outputs, "all")[1]
            }
            news = [New(entry(f"{number}-{i}", url_key=i, published_at=date)) for i, date in enumerate(dates)]
            polled(store, *news, at=NOON + number * HOUR, url=f"https://{number}.example/feed")
            found, cursors = walk(outputs, "all")
            held = ids_of(store, copies=copies)
            assert sorted(found) == sorted(held)
            for cursor, was in before.items():
                if cursor in cursors and set(was) <= set(held):
                    now = ids(outputs.archive("all", cursor, Format.JSON).body)
                    kept = [one for one in now if one in was]  # a new end may cut it short
                    assert kept == was[: len(kept)]
        change(store, f"DELETE FROM entries WHERE id IN ({', '.join(map(str, removed)) or 'NULL'})")
        store.retag([])
        assert sorted(walk(outputs, "all")[0]) == sorted(ids_of(store, copies=copies))


def ids_of(store: Store, *, copies: bool) -> list[str]:
    column = "e.uid" if copies else "DISTINCT a.uid"
    rows = sql(store.path, f"SELECT {column} FROM entries e JOIN articles a ON a.id = e.article_id")
    return [f"tag:localhost,2026:entry/{uid}" for (uid,) in rows]


# ----------------------------------------------------------------------------------------------- dates

TEXT = "Tiga kapal perang mendekati pantai, dan sebuah pesawat terbang rendah di atas kota."
COMMA = TEXT.replace("mendekati pantai,", "mendekati pantai")
OTHER = TEXT + " Dua belas orang dari kapal itu turun ke darat dan ditahan polisi setempat."
LONG_AGO = datetime(1970, 1, 2, tzinfo=NOON.tzinfo)


def hours(*values: int | None) -> tuple[datetime | None, ...]:
    return tuple(None if value is None else NOON + value * HOUR for value in values)


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        pytest.param(hours(-3, None), -3, id="published only"),
        pytest.param(hours(-3, -1), -1, id="updated by the publisher"),
        pytest.param(hours(None, -1), -1, id="an update, no publication"),
        pytest.param(hours(None, None), 0, id="no date: when first seen"),
        pytest.param(hours(9, None), 0, id="published in the future: when first seen"),
        pytest.param(hours(-3, 9), 0, id="updated in the future: when first seen"),
        pytest.param(hours(-3, -9), -3, id="updated before it was published"),
        pytest.param((LONG_AGO, LONG_AGO), 0, id="placeholders are no dates"),
    ],
)
def test_updated_at_first(store: Store, dates: tuple[datetime, datetime], expected: int) -> None:
    polled(store, New(entry("k", published_at=dates[0], updated_at=dates[1])), at=NOON, url=A, link=link.link)
    assert updated(store.entry(id_of(store, "k"))) == NOON + expected * HOUR


@pytest.mark.parametrize(
    ("text", "dates", "expected"),
    [
        pytest.param(COMMA, hours(-3, None), -3, id="a comma"),
        pytest.param(COMMA, hours(-3, 4), -3, id="a comma that the publisher dates"),
        pytest.param(COMMA, hours(4, None), -3, id="a comma, and the date of publication is another"),
        pytest.param(TEXT, hours(-3, 4), -3, id="only the date is new"),
        pytest.param(OTHER, hours(-3, None), 5, id="it says something else: when we saw that"),
        pytest.param(OTHER, hours(-3, 4), 4, id="it says something else, and the publisher dates it"),
        pytest.param(OTHER, hours(-3, -3), 5, id="it says something else, and keeps its date"),
        pytest.param(OTHER, hours(-3, 9), 5, id="it says something else, and is dated in the future"),
    ],
)
def test_updated_moves_when_an_entry_says_something_else(
    store: Store, text: str, dates: tuple[datetime, datetime], expected: int
) -> None:
    """RFC 4287 §4.2.15: in a way that the publisher considers significant."""
    first = entry("k", text=TEXT, content=TEXT, published_at=NOON - 3 * HOUR)
    polled(store, New(first), at=NOON, url=A, link=link.link)
    second = replace(first, text=text, content=text, published_at=dates[0], updated_at=dates[1])
    number = id_of(store, "k")
    polled(store, Revised(number, second), at=NOON + 5 * HOUR, url=A, link=link.link)
    assert updated(store.entry(number)) == NOON + expected * HOUR
    dated = replace(second, text=text + "!", content=text + "!", updated_at=NOON + 6 * HOUR)
    polled(store, Revised(number, dated), at=NOON + 7 * HOUR, url=A, link=link.link)
    assert updated(store.entry(number)) == NOON + expected * HOUR, "and not by a mark that follows"


# ---------------------------------------------------------------------------------- what addresses ask


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([("topc", "x")], "did you mean topic"),
        ([("xyz", "x")], "there are: topic, aspect"),
        ([("language", "en"), ("language", "es")], "twice"),
        ([("language", "spanish")], "ISO 639-1"),
        ([("country", "Venezuela")], "ISO 3166-1"),
        ([("min_score", "nan")], "number from 0"),
        ([("min_score", "-1")], "number from 0"),
        ([("min_outlets", "0")], "whole number"),
        ([("limit", "1001")], "whole number"),
        ([("copies", "perhaps")], "true or false"),
        ([("search", " ")], "nothing stands there"),
        ([("feed", "x" * 501)], "at most 500"),
    ],
)
def test_a_wrong_condition_says_what_would_be_right(parameters: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(QueryError, match=says):
        narrowed(EVERYTHING, parameters)


def test_a_feed_is_narrowed_but_not_changed() -> None:
    base = OutputFeed("es", language="es")
    assert narrowed(base, [("topic", "tension"), ("copies", "true")]) == replace(
        base, topic="tension", copies=True
    )
    with pytest.raises(QueryError, match="has a language already: es"):
        narrowed(base, [("language", "en")])
    short = replace(base, limit=20)
    assert narrowed(short, [("limit", "5")]).limit == 5
    with pytest.raises(QueryError, match="The feed es holds at most 20 at once"):
        narrowed(short, [("limit", "1000")])


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ([("topic", "tensoin")], "no topic"),
        ([("topic", "tension"), ("aspect", "naval")], "no aspect 'naval'; it has: military"),
        ([("aspect", "military")], "without its topic"),
        ([("feed", "Gamma")], "Gamma"),
        ([("tag", "near")], "no feed has the label 'near'"),
    ],
)
def test_what_an_address_names_must_be_there(
    press: Store, parameters: list[tuple[str, str]], says: str
) -> None:
    with pytest.raises(UnknownError, match=says):
        made(press, ALL).narrowed(narrowed(EVERYTHING, parameters), None, Format.ATOM)


def test_a_feed_by_conditions_is_paged(press: Store) -> None:
    outputs = made(press, ALL, public_url="https://news.example")
    asked = narrowed(ALL, [("copies", "yes"), ("limit", "2")])
    first = json.loads(outputs.narrowed(asked, None, Format.JSON).body)
    assert first["title"] == "All entries, every copy"
    assert first["feed_url"] == "https://news.example/feeds/all.json?copies=true&limit=2"
    assert first["next_url"].startswith("https://news.example/feeds/all.json?copies=true&limit=2&before=2025")
    cursor = first["next_url"].rpartition("=")[2]
    second = outputs.narrowed(asked, cursor, Format.JSON)
    assert "next_url" not in json.loads(second.body)
    assert {link.rel for link in second.links} == {"self", "first", "alternate"}
    assert len({*ids(outputs.narrowed(asked, None, Format.JSON).body), *ids(second.body)}) == 4


def test_a_source_leads_to_its_own_copy(store: Store) -> None:
    store.subscribe([], NOON)
    credit = (Attribution("a.example"), Attribution("Antara"))
    polled(store, New(entry("asal", url_key=7)), at=NOON, url=A, link=link.link)
    polled(store, New(entry("copia", url_key=7, attributions=credit)), at=NOON, url=B, link=link.link)
    polled(store, New(entry("own")), at=NOON + HOUR, url=B, link=link.link)
    outputs = made(store, OutputFeed("b", feed=B), OutputFeed("last", feed=B, limit=1))
    newest = json.loads(outputs.rendered("last", Format.JSON).body)
    cursor = newest["next_url"].rpartition("/")[2].removesuffix(".json")
    for document in (outputs.rendered("b", Format.JSON), outputs.archive("last", cursor, Format.JSON)):
        shown = json.loads(document.body)["items"][-1]
        assert shown["_aggregator"]["via"] == ["https://a.example/asal"]
        assert '>Says its source is <a href="https://a.example/asal"' in shown["content_html"]
        assert ">Says its source is Antara<" in shown["content_html"]


def test_copies_have_ids_of_their_own_and_an_article_keeps_its_id(press: Store) -> None:
    outputs = made(press, ALL, OutputFeed("copies", copies=True))
    articles, copies = (set(ids(outputs.rendered(name, Format.JSON).body)) for name in ("all", "copies"))
    assert (len(articles), len(copies)) == (3, 4)
    change(press, "UPDATE articles SET canonical_entry_id = ? WHERE entry_count = 2", id_of(press, "copia"))
    press.retag([])
    assert set(ids(outputs.rendered("all", Format.JSON).body)) == articles


def test_what_is_asked_for_is_kept_until_something_changes(press: Store) -> None:
    outputs, asked = made(press, ALL), narrowed(EVERYTHING, [("language", "es")])
    first = outputs.narrowed(asked, None, Format.ATOM)
    assert outputs.narrowed(asked, None, Format.ATOM) is first
    polled(press, New(entry("nuevo", language="es")), at=NOON + 2 * HOUR, url=A)
    second = outputs.narrowed(asked, None, Format.ATOM)
    assert second is not first
    found = second.since([first.etag])
    assert found is not None
    assert (found[0], found[1].body.count(b"<entry")) == (first.etag, 1)


def test_how_long_an_answer_holds(store: Store) -> None:
    clock = Clock()
    outputs = made(store, ALL, clock=clock)
    assert outputs.fresh_for == HOUR, "nothing is due"
    follow(store, A)
    (claim,) = claim_all(store, NOON)
    store.record([outcome(claim, next_poll_at=NOON + 20 * HOUR / 60)], NOON)
    assert outputs.fresh_for == 20 * HOUR / 60
    clock.forward(minutes=18)
    assert outputs.fresh_for == 5 * HOUR / 60, "it is due any moment"


def test_the_hub_is_named_where_there_is_one(store: Store) -> None:
    outputs = made(store, ALL)
    outputs.serve_at("http://127.0.0.1:8000", hub=True)
    assert b'rel="hub"' in outputs.rendered("all", Format.ATOM).body
    assert json.loads(outputs.rendered("all", Format.JSON).body)["hubs"] == [
        {"type": "WebSub", "url": "http://127.0.0.1:8000/hub"}
    ]
    assert 'http://127.0.0.1:8000/hub>; rel="hub"' in outputs.rendered("all", Format.RSS).link
    outputs.serve_at("http://127.0.0.1:8000")
    assert b'rel="hub"' not in outputs.rendered("all", Format.ATOM).body


def test_other_hubs_are_named_instead(store: Store) -> None:
    outputs = made(store, ALL, push=PushSettings(hubs=("https://hub.example/", "https://second.example/")))
    outputs.serve_at("http://127.0.0.1:8000", hub=True)
    named = [link.href for link in outputs.rendered("all", Format.ATOM).links if link.rel == "hub"]
    assert named == ["https://hub.example/", "https://second.example/"]


def test_what_can_be_subscribed_to_is_what_the_documents_call_themselves(store: Store) -> None:
    outputs = made(store, ALL)
    assert len(outputs.topics()) == 3 * len(outputs.feeds())
    for topic, (name, form) in outputs.topics().items():
        document = outputs.document(topic)
        assert document is outputs.rendered(name, form)
        assert document.links[0].href == topic
    assert outputs.document("http://127.0.0.1:8000/feeds/none.atom") is None


# --------------------------------------------------------------------------------------------- files


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_what_is_served_and_lead_through_every_entry(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ARCHIVE_PAGE", 4)
    monkeypatch.setattr("aggregator.output.ARCHIVE_PAGE", 4)
    polled(store, *(New(entry(f"k{i}")) for i in range(20, 0, -1)), at=NOON, url=A)
    outputs, folder = made(store, ALL, public_url="https://news.example"), tmp_path / "public"
    outputs.publish(folder)
    for round_ in range(3):
        found, cursors = walk(outputs, "all")
        assert len(found) == 20 + round_
        shown = files(folder)
        assert {name.removesuffix(".atom") for name in shown if name.endswith(".atom")} == {
            "all", "health", "unusual", *(f"all/archive/{cursor}" for cursor in cursors),
        }  # fmt: skip
        for cursor in cursors:
            for form in Format:
                assert shown[f"all/archive/{cursor}.{form}"] == outputs.archive("all", cursor, form).body
        assert shown["all.rss"] == outputs.rendered("all", Format.RSS).body
        assert not any(changed for _, changed in outputs.publish(folder)), "nothing is written twice"
        polled(store, New(entry(f"new{round_}")), at=NOON + (1 + round_) * HOUR, url=A)
        changed = {path.name for path, changed in outputs.publish(folder, whole=False) if changed}
        assert len(changed) <= 3 * 3, "the newest, the page next to it, and one that has a new neighbour"
    assert b'href="all.atom"' in files(folder)["index.html"]


def test_what_is_not_ours_is_left_as_it_is(
    press: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = {
        "index.html": b"<title>My page, not an aggregator's</title>",
        "all.atom": b"<feed xmlns='http://www.w3.org/2005/Atom'><title>Mine</title></feed>",
        "all/archive/20251120T120000Z-x.txt": b"notes",
        "all/archive/20251120T120000Z-100.atom": b"<feed/>",
        "all/archive/my-holidays.jpg": b"...",
    }
    for name, body in theirs.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    outputs = made(press, ALL)
    for _ in range(2):
        outputs.publish(tmp_path)
        outputs.publish(tmp_path, whole=False)
    assert {name: (tmp_path / name).read_bytes() for name in theirs} == theirs
    assert [record.getMessage().split(" is ")[0] for record in caplog.records] == [
        str(tmp_path / "all.atom"), str(tmp_path / "index.html"),
    ], "said once"  # fmt: skip
    for name in ("index.html", "all.atom"):
        (tmp_path / name).unlink()
    assert {path.name for path, changed in outputs.publish(tmp_path) if changed} == {"index.html", "all.atom"}


def test_every_file_that_is_written_is_known_again(store: Store, tmp_path: Path) -> None:
    written = made(store, ALL).publish(tmp_path)
    assert len(written) == 3 * 3 + 1
    assert all(ours(path.read_bytes()) for path, _ in written), "even those without an entry"
