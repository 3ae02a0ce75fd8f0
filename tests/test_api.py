"""The API as a program meets it: over a real store, filled by real polls, asked over HTTP."""

import gzip
import html
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch
from urllib.parse import urlencode

import brotli
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from aggregator import config
from aggregator.app import Aggregator
from aggregator.model import Selection, Table, WebSettings
from aggregator.web import make_app
from aggregator.web.api.answers import Entry
from aggregator.web.api.operations import ASKED_AT_ONCE
from aggregator.web.api.questions import MOST, Selected
from tests.client import BROWSER, Answer, Client, serving
from tests.conftest import Clock, configure, item, poll_all, rss
from tests.server import Server
from tests.test_web import ENTRY

DOCS = Path(__file__).resolve().parents[1] / "docs" / "api.md"
SHARED = "https://warta.example/storm"
STORMS = {
    "slug": "storms",
    "title": "Storms",
    "concepts": {"storm": {"any": ["storm"]}},
    "rules": {"named": {"all": "storm"}},
}


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aggregator]:
    """Two feeds with one article in common, one of whose entries was revised, and a third that is not there."""
    folder, clock = tmp_path_factory.mktemp("api"), Clock()
    with Server() as server:
        many = [item(number, f"Item {number}") for number in range(2, 10)]
        server.add("/a", rss(item(1, "A storm nears", link=f"{SHARED}?utm_source=rss"), *many, title="A"))
        server.add("/b", rss(item(30, "A storm nears", link=SHARED), item(40, "Calm"), title="B"))
        path = configure(
            folder,
            {"url": server.url("/a"), "tags": ["near"]},
            server.url("/b"),
            server.url("/gone").replace("http://", "http://me:canary@"),
            topics=[STORMS],
        )
        with Aggregator(config.load(path, environ={}), clock=clock) as it:
            it.subscribe()
            poll_all(it)
            clock.forward(hours=2)
            server.add(
                "/b",
                rss(
                    item(30, "A storm nears", link=SHARED),
                    item(40, "Calm again", text="All is well."),
                    title="B",
                ),
            )
            poll_all(it)
            yield it


@pytest.fixture(scope="module")
def client(aggregator: Aggregator) -> Iterator[Client]:
    with serving(make_app(aggregator)) as client:
        yield client


def read(answer: Answer) -> Any:
    assert answer.status == 200, answer.text
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    return json.loads(answer.body)


def items(client: Client, path: str, **query: Any) -> list[Any]:
    found = read(client(f"{path}?{urlencode(query)}"))["items"]
    assert isinstance(found, list)
    return found


def entry_id(client: Client, title: str) -> int:
    (found,) = [
        entry["id"]
        for entry in items(client, "/api/entries", copies="true", limit=MOST)
        if entry["title"] == title
    ]
    return int(found)


# ------------------------------------------------------------------------------------- what is asked


def test_sql_is_answered_only_where_the_operator_wishes_it(aggregator: Aggregator, client: Client) -> None:
    path = "/api/sql?" + urlencode({"query": "SELECT title FROM entries WHERE title LIKE 'Calm%'"})
    assert client(path).status == 404
    assert "/api/sql" not in read(client("/openapi.json"))["paths"]
    wished = replace(aggregator.settings, web=WebSettings(sql=True))
    with patch.object(aggregator, "settings", wished), serving(make_app(aggregator)) as open_client:
        assert read(open_client(path)) == {"columns": ["title"], "rows": [["Calm again"]], "whole": True}
        assert "/api/sql" in read(open_client("/openapi.json"))["paths"]
        for statement, reason in (("DELETE FROM entries", "only one SELECT"), ("SELEC", "syntax error")):
            refused = open_client("/api/sql?" + urlencode({"query": statement}))
            assert refused.status == 400
            assert reason in json.loads(refused.body)["detail"]
        dice = "/api/sql?" + urlencode({"query": "SELECT random()"})
        assert open_client(dice, If_None_Match=open_client(dice).headers["etag"]).status == 200


def test_few_questions_in_sql_are_answered_at_once(aggregator: Aggregator) -> None:
    path = "/api/sql?" + urlencode({"query": "SELECT 1"})
    wished = replace(aggregator.settings, web=WebSettings(sql=True))
    asked, go_on = threading.Semaphore(0), threading.Event()

    def slow(_: str) -> Table:
        asked.release()
        assert go_on.wait(10)
        return Table(("1",), ((1,),), whole=True)

    with (
        patch.object(aggregator, "settings", wished),
        patch.object(aggregator, "ask", slow),
        serving(make_app(aggregator)) as client,
        ThreadPoolExecutor(ASKED_AT_ONCE) as others,
    ):
        waiting = [others.submit(client, path) for _ in range(ASKED_AT_ONCE)]
        for _ in waiting:
            assert asked.acquire(timeout=10)
        refused = client(path)
        go_on.set()
        assert (refused.status, refused.headers["retry-after"]) == (503, "2")
        assert {answer.result().status for answer in waiting} == {200}
        assert client(path).status == 200


@pytest.mark.parametrize(
    ("query", "titles"),
    [
        pytest.param({"topic": "storms"}, ["A storm nears"], id="a topic"),
        pytest.param({"topic": "storms", "copies": "true"}, ["A storm nears"] * 2, id="every copy"),
        pytest.param({"topic": "storms", "min_score": "1000"}, [], id="a score that none has"),
        pytest.param({"feed": "B"}, ["A storm nears", "Calm again"], id="a feed"),
        pytest.param({"tag": "near", "topic": "storms"}, ["A storm nears"], id="a label"),
        pytest.param({"search": "well"}, ["Calm again"], id="a search"),
        pytest.param({"language": "xx"}, [], id="a language that none has"),
        pytest.param({"country": "VE"}, [], id="a country that none is about"),
        pytest.param({"since": "2025-11-21"}, [], id="a day"),
        pytest.param(
            {"since": "2025-11-20T00:00:00+07:00", "feed": "B"}, ["A storm nears", "Calm again"], id="a time"
        ),
    ],
)
def test_entries_are_listed_under_conditions(
    client: Client, query: dict[str, str], titles: list[str]
) -> None:
    assert sorted(entry["title"] for entry in items(client, "/api/entries", **query)) == titles


def test_every_condition_of_a_list_can_be_asked_for() -> None:
    assert {field.name for field in fields(Selection)} <= set(Selected.model_fields)


def test_an_entry_is_told_whole(client: Client) -> None:
    (first,) = items(client, "/api/entries", topic="storms")
    entry = read(client(f"/api/entries/{first['id']}"))
    assert {name: entry[name] for name in first} == first, "as in the list, and more"
    assert entry["first_seen_at"] == "2025-11-20T12:00:00Z"
    assert entry["published_at"] == "2025-11-20T10:00:00Z"
    assert [(tag["topic"], tag["aspect"]) for tag in entry["tags"]] == [("storms", None)]
    assert [(match["term"], match["field"], match["start"], match["end"]) for match in entry["matches"]] == [
        ("storm", "title", 2, 7)
    ]
    (copy,) = entry["copies"]
    assert {entry["feed_title"], copy["outlet"]} == {"A", "B"}
    article = read(client(f"/api/articles/{entry['article_id']}"))
    assert (article["entry_count"], article["feed_count"]) == (2, 2)
    assert [each["id"] for each in article["entries"]] == sorted([entry["id"], copy["entry_id"]])
    assert article["canonical_entry_id"] == entry["id"], "which lists show, whichever came first"


def test_an_entry_that_was_taken_back_says_since_when(client: Client) -> None:
    back = Entry.of(replace(ENTRY, withdrawn_at=ENTRY.first_seen_at))
    assert back.model_dump(mode="json")["withdrawn_at"] == "2025-11-20T12:00:00Z"
    assert {entry["withdrawn_at"] for entry in items(client, "/api/entries")} == {None}


def test_earlier_versions(client: Client) -> None:
    (before,) = items(client, f"/api/entries/{entry_id(client, 'Calm again')}/revisions")
    assert (before["revision"], before["title"], before["seen_at"]) == (1, "Calm", "2025-11-20T12:00:00Z")
    assert [(piece["text"], piece["change"]) for piece in before["title_diff"]] == [
        ("Calm", "same"),
        (" again", "new"),
    ]
    assert (
        "".join(piece["text"] for piece in before["text_diff"] if piece["change"] != "gone") == "All is well."
    )
    assert items(client, f"/api/entries/{entry_id(client, 'Item 2')}/revisions") == [], "it was never changed"


def test_a_search_says_what_was_found(client: Client) -> None:
    (hit,) = items(client, "/api/search", q="again")
    assert hit["entry"]["title"] == "Calm again"
    assert [piece["text"] for piece in hit["snippet"] if piece["found"]] == ["again"]


def test_a_search_in_a_language(client: Client) -> None:
    storms = [hit["entry"] for hit in items(client, "/api/search", q="storm")]
    assert {entry["language"] for entry in storms} == {"en"}
    assert [hit["entry"] for hit in items(client, "/api/search", q="storm", language="EN")] == storms
    assert items(client, "/api/search", q="storm", language="es") == []


def test_a_slip_in_a_query_is_explained(client: Client) -> None:
    assert read(client("/api/search?q=again"))["note"] is None
    assert read(client("/api/search?q=again+OR"))["note"] == (
        "OR stands between two words: one OR other; this one was taken for a word."
    )


def test_topics(client: Client) -> None:
    assert items(client, "/api/topics") == [{"slug": "storms", "title": "Storms"}]


def test_feeds_with_their_health(client: Client) -> None:
    a, b, gone = items(client, "/api/feeds")
    assert (a["title"], a["status"], a["entries"], a["tags"]) == ("A", "active", 9, ["near"])
    assert (b["conditions"], gone["conditions"][0]["kind"]) == ([], "failing")
    assert read(client(f"/api/feeds/{a['id']}")) == a
    assert "404" in gone["last_error"]
    polls = items(client, f"/api/feeds/{b['id']}/polls")
    assert [(poll["result"], poll["entries_new"], poll["entries_revised"]) for poll in polls] == [
        ("changed", 0, 1),
        ("changed", 2, 0),
    ]


def test_no_password_of_a_feed_is_told(client: Client) -> None:
    (gone,) = [feed["id"] for feed in items(client, "/api/feeds") if feed["status"] == "failing"]
    for path in ("/api/feeds", f"/api/feeds/{gone}", f"/api/feeds/{gone}/polls"):
        assert "canary" not in client(path).text


# ------------------------------------------------------------------------------------- page by page


@pytest.mark.parametrize(
    "path", ["/api/entries?copies=true", "/api/feeds", "/api/feeds/1/polls", "/api/entries?feed=A&token=x"]
)
@pytest.mark.parametrize("limit", [1, 2, 3, MOST])
def test_all_pages_together_are_the_list(client: Client, path: str, limit: int) -> None:
    joint = "&" if "?" in path else "?"
    whole = read(client(f"{path}{joint}limit={MOST}"))
    assert whole["next"] is None
    address: str | None = f"{path}{joint}limit={limit}"
    found: list[Any] = []
    for _ in range(50):
        if address is None:
            break
        answer = client(address)
        page = read(answer)
        assert len(page["items"]) <= limit
        found += page["items"]
        address = page["next"]
        assert answer.headers.get("link") == (f'<{address}>; rel="next"' if address else None)
    assert found == whole["items"]


# ------------------------------------------------------------------------------- what has not changed


@pytest.mark.parametrize(
    "path",
    ["/openapi.json", "/api/entries", "/api/entries/1", "/api/search?q=storm", "/api/feeds", "/api/topics"],
)
def test_what_has_not_changed_is_not_sent(client: Client, path: str) -> None:
    first = client(path)
    assert first.headers["cache-control"] == "private, no-cache"
    again = client(path, If_None_Match=f'"x", {first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    told = client(path, "HEAD")
    assert (told.status, told.body) == (200, b"")
    for name in ("content-length", "content-type", "etag"):
        assert told.headers[name] == first.headers[name]


def test_another_question_has_another_tag(client: Client) -> None:
    paths = [
        "/api/entries",
        "/api/entries?limit=1",
        "/api/entries?limit=2",
        "/api/entries/1",
        "/api/entries/2",
    ]
    assert len({client(path).headers["etag"] for path in paths}) == len(paths)
    assert (
        client("/api/entries?limit=1&copies=true").headers["etag"]
        == client("/api/entries?copies=true&limit=1").headers["etag"]
    )


def test_news_change_the_tag(aggregator: Aggregator, client: Client) -> None:
    before = client("/api/entries").headers["etag"]
    assert client("/api/entries", If_None_Match=before).status == 304
    aggregator.store.retag([])  # the smallest thing that may change what is told
    assert client("/api/entries", If_None_Match=before).status == 200


# -------------------------------------------------------------------------------------------- problems


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [
        pytest.param("/api", 404, "/openapi.json", id="no such path"),
        pytest.param("/api/entries/", 404, "/openapi.json", id="a slash too many"),
        pytest.param("/api/entries/x", 404, "/openapi.json", id="no number"),
        pytest.param("/api/entries/999", 404, "no entry 999", id="no such entry"),
        pytest.param("/api/entries/999/revisions", 404, "no entry 999", id="no such entry, its versions"),
        pytest.param("/api/articles/999", 404, "no article 999", id="no such article"),
        pytest.param("/api/stories/999", 404, "no story 999", id="no such story"),
        pytest.param("/api/stories?topic=nothing", 404, "no topic 'nothing'", id="stories on no such topic"),
        pytest.param("/api/topics/nothing/daily", 404, "no topic 'nothing'", id="the index of no such topic"),
        pytest.param("/api/topics/a/b/daily", 404, "/openapi.json", id="no slug"),
        pytest.param(
            "/api/stories?copies=true", 400, "copies: there is no such parameter", id="copies of stories"
        ),
        pytest.param("/api/feeds/999", 404, "no feed 999", id="no such feed"),
        pytest.param("/api/feeds/999/polls", 404, "no feed 999", id="no such feed, its polls"),
        pytest.param(f"/api/entries/{2**63}", 404, "/openapi.json", id="a number too large"),
        pytest.param(f"/api/entries/{'9' * 5000}", 404, "/openapi.json", id="an endless number"),
        pytest.param("/api/entries?topic=nothing", 404, "no topic 'nothing'", id="no such topic"),
        pytest.param("/api/search?q=x&feed=nothing", 404, "no feed has", id="a search in no such feed"),
        pytest.param("/api/entries?cursor=x", 400, "cursor: there is no page here", id="no cursor"),
        pytest.param("/api/stories?cursor=1", 400, "cursor: there is", id="no cursor of stories"),
        pytest.param("/api/feeds?cursor=x", 400, "cursor: there is", id="no cursor of feeds"),
        pytest.param("/api/feeds/1/polls?cursor=x", 400, "cursor: there is", id="no cursor of polls"),
        pytest.param(
            "/api/entries?topik=storms", 400, "topik: there is no such parameter", id="no such parameter"
        ),
        pytest.param("/api/search", 400, "q: this parameter is missing", id="a parameter is missing"),
        pytest.param("/api/search?q=", 400, "q: nothing stands there", id="an empty parameter"),
        pytest.param("/api/entries?limit=0", 400, "limit: it is a whole number from 1 to", id="none"),
        pytest.param(f"/api/entries?limit={MOST + 1}", 400, "limit: ", id="too many"),
        pytest.param("/api/entries?limit=1.0", 400, "limit: it is a whole number from 1 to", id="not whole"),
        pytest.param(
            "/api/entries?limit=1&limit=2", 400, "limit: this parameter stands more than once", id="twice"
        ),
        pytest.param(
            "/api/entries?copies=perhaps", 400, "copies: it is true or false", id="neither yes nor no"
        ),
        pytest.param("/api/entries?since=yesterday", 400, "since: a time is written", id="no time"),
        pytest.param("/api/entries?since=2025-13-01", 400, "since: a time is written", id="no month"),
        pytest.param("/api/entries?since=2025-11-20T12:00:00", 400, "since: a time is written", id="no zone"),
        pytest.param("/api/entries?country=Venezuela", 400, "country: a country is written", id="no code"),
        pytest.param(
            "/api/entries?min_score=-1", 400, "min_score: a score is a number from 0", id="no score"
        ),
        pytest.param("/api/topics?limit=1", 400, "limit: there is no such parameter", id="not here"),
    ],
)
def test_problems_say_what_would_be_right(client: Client, path: str, status: int, detail: str) -> None:
    answer = client(path, Accept="text/html")
    assert answer.headers["content-type"] == "application/problem+json; charset=utf-8"
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert detail in problem["detail"]
    assert [error["parameter"] for error in problem["errors"]] == (
        [] if status == 404 else [detail.split(":")[0]]
    )


DOORS = ("/feeds.json", "/feeds", "/", "/api/entries", "/api/stories")


@pytest.mark.parametrize(
    ("condition", "status", "says"),
    [
        pytest.param("feed=nope", 404, "no feed has the address or name 'nope'", id="no such feed"),
        pytest.param("tag=nope", 404, "no feed has the label 'nope'; there are: near", id="no such label"),
        pytest.param("topic=nope", 404, "there is no topic 'nope'; there are: storms", id="no such topic"),
        pytest.param(
            "topic=storms&aspect=nope", 404, "the topic storms has no aspect 'nope'", id="no aspect"
        ),
        pytest.param(
            "language=klingon", 400, "a language is written as its ISO 639-1 code", id="no language"
        ),
        pytest.param("country=Peru", 400, "a country is written as its ISO 3166-1 code", id="no country"),
        pytest.param("min_score=-1", 400, "a score is a number from 0 to 1,000,000", id="no score"),
        pytest.param("min_outlets=1001", 400, "it is a whole number from 1 to 1000", id="too many outlets"),
        pytest.param("search=+", 400, "nothing stands there", id="nothing"),
        pytest.param("feed=A&feed=B", 400, "more than once|stands twice", id="twice"),
        pytest.param("colour=red", 400, "no such parameter|no condition “colour”", id="no such condition"),
        pytest.param("feed=a&language=ES&topic=storms", 200, "", id="in capitals or not"),
        pytest.param("country=ve&topic=storms", 200, "", id="a country in small letters"),
        pytest.param("topic=storms&search=%01", 200, "", id="what is left out of every text"),
    ],
)
def test_a_condition_is_understood_alike_wherever_it_is_asked(
    client: Client, condition: str, status: int, says: str
) -> None:
    for door in DOORS:
        answer = client(f"{door}?{condition}", Accept=BROWSER)
        text = html.unescape(answer.text)
        assert (door, answer.status) == (door, status)
        assert re.search(says, text), (door, text)
    for door in DOORS[:1] + DOORS[3:4]:
        for copies in ("yes", "TRUE", "0"):
            assert client(f"{door}?copies={copies}").status == 200


@pytest.mark.parametrize("path", ["/?before=x", "/feeds.json?before=x", "/api/stories?cursor=x"])
def test_a_place_that_is_none_is_not_understood(client: Client, path: str) -> None:
    assert client(path, Accept=BROWSER).status == 400


@pytest.fixture
def whatever_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.web.feeds.SMALL", 0)


@pytest.mark.parametrize("path", ["/api/entries", "/openapi.json", "/opml"])
@pytest.mark.usefixtures("whatever_its_size")
def test_answers_are_compressed_for_those_who_ask(client: Client, path: str) -> None:
    plain = client(path)
    assert "content-encoding" not in plain.headers
    for coding, undo in (("gzip", gzip.decompress), ("br", brotli.decompress)):
        packed = client(path, Accept_Encoding=coding)
        assert packed.headers["content-encoding"] == coding
        assert undo(packed.body) == plain.body
        assert "Accept-Encoding" in packed.headers["vary"]
        assert packed.headers.get("etag") == plain.headers.get("etag")


@pytest.mark.parametrize("year", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("zone", ["Z", "+23:59", "-23:59", "%2B14:00"])
def test_the_first_and_the_last_day_there_is(client: Client, year: str, zone: str) -> None:
    assert client(f"/api/entries?since={year}T00:00:00{zone}").status == 200


# ----------------------------------------------------------------------------------------- described


def test_the_description_is_valid(client: Client) -> None:
    description = read(client("/openapi.json"))
    assert description["openapi"] == "3.1.0"
    validate(description)


def test_every_path_and_parameter_is_in_the_docs(client: Client) -> None:
    description = read(client("/openapi.json"))
    text = DOCS.read_text(encoding="utf-8")
    said = set(re.findall(r"^\| `(/[^`]*)` \|", text, re.MULTILINE))
    assert said == set(description["paths"]) | {"/openapi.json"}
    asked = {each["name"] for path in description["paths"].values() for each in path["get"]["parameters"]}
    assert asked - {"id", "slug"} == set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))


@pytest.mark.slow
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_nothing_that_is_asked_breaks_it(client: Client, mode: GenerationMode) -> None:
    """Schemathesis: what fits the description is answered as it says, and what does not is refused."""
    address = f"http://127.0.0.1:{client.port}"
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    for found in schema.get_all_operations():
        operation = cast("Ok[Any]", found).ok()
        if mode is GenerationMode.NEGATIVE and not operation.query:
            continue  # every question fits

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(base_url=address)

        check()
