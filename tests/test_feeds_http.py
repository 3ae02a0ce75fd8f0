"""Output feeds over HTTP, as feed readers ask for them: a real store, a real server."""

import gzip
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from pathlib import Path

import brotli
import pytest
import zstandard
from lxml import etree

from aggregator.app import Aggregator
from aggregator.model import New, OutputFeed, Settings, Tag
from aggregator.publish import Format
from aggregator.store import entries
from aggregator.web import make_app
from aggregator.web.feeds import chosen, http_date, not_modified, preferred
from tests.client import BROWSER, Client, serving
from tests.conftest import NOON, Clock
from tests.test_store import entry, polled

ATOM = "{http://www.w3.org/2005/Atom}"
READER = "application/atom+xml, application/rss+xml;q=0.9, */*;q=0.1"
FEED = "https://warta.example/feed"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aggregator]:
    """One for all tests; what one of them adds is news to the others."""
    settings = Settings(
        output=(OutputFeed("all", limit=5), OutputFeed("es", language="es")),
        database=str(tmp_path_factory.mktemp("http") / "a.db"),
        public_url="https://news.example",
    )
    with Aggregator(settings, clock=Clock()) as it:
        polled(it.store, *(New(entry(f"k{i}")) for i in range(12, 0, -1)), at=NOON, url=FEED)
        yield it


@pytest.fixture(scope="module")
def client(aggregator: Aggregator) -> Iterator[Client]:
    with serving(make_app(aggregator, hosts=frozenset({"127.0.0.1"}))) as client:
        yield client


numbers = count(1)


def news(aggregator: Aggregator) -> str:
    """Something new comes in; returns its title."""
    number = next(numbers)
    at = NOON + number * HOUR / 60
    polled(aggregator.store, New(entry(f"new {number}")), at=at, url=FEED)
    return f"Title of new {number}"


# ------------------------------------------------------------------------------------- whole documents


@pytest.mark.parametrize("form", Format)
def test_a_feed_is_served_whole(client: Client, aggregator: Aggregator, form: Format) -> None:
    answer = client(f"/feeds/all.{form}")
    document = aggregator.rendered("all", form)
    assert answer.status == 200
    assert answer.body == document.body
    assert answer.headers["content-type"] == document.media_type
    assert answer.headers["etag"] == document.etag
    assert answer.headers["last-modified"] == http_date(document.last_modified)
    assert answer.headers["cache-control"] == "public, max-age=3600"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-location"] == f"/feeds/all.{form}"
    assert (
        f'<https://news.example/feeds/all.{form}>; rel="self"; type="{form.media_type}"'
        in answer.headers["link"]
    )
    assert f'{form}>; rel="prev-archive"' in answer.headers["link"]


@pytest.mark.parametrize(
    ("accept_encoding", "coding"),
    [
        pytest.param("gzip, deflate", "gzip", id="gzip"),
        pytest.param("gzip, deflate, br", "br", id="brotli is smaller"),
        pytest.param("gzip, deflate, zstd", "zstd", id="zstd is faster"),
        pytest.param("br;q=0.5, gzip", "gzip", id="the client's wish goes first"),
        pytest.param("x-gzip", "gzip", id="by its old name"),
        pytest.param("*", "br", id="anything"),
        pytest.param("*;q=0", None, id="nothing"),
        pytest.param("br;q=0, gzip;q=0.0, *", "zstd", id="anything but two"),
        pytest.param("gzip;q=high", None, id="no weight"),
        pytest.param("deflate", None, id="one that we have not"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_feed_is_compressed_as_the_client_likes_it(
    client: Client, accept_encoding: str, coding: str | None
) -> None:
    assert chosen(accept_encoding) == coding
    plain, packed = client("/feeds/all.atom"), client("/feeds/all.atom", Accept_Encoding=accept_encoding)
    undo = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstandard.decompress, None: bytes}[
        coding
    ]
    assert packed.headers.get("content-encoding") == coding
    assert undo(packed.body) == plain.body
    assert (packed.headers["etag"] == plain.headers["etag"]) == (coding is None)
    again = client("/feeds/all.atom", Accept_Encoding=accept_encoding, If_None_Match=packed.headers["etag"])
    assert (again.status, again.headers["etag"]) == (304, packed.headers["etag"])


@pytest.mark.parametrize("path", ["/feeds/all.atom", "/feeds/all.atom?copies=true", "/feeds.rss?language=en"])
def test_what_has_not_changed_is_not_sent(client: Client, path: str) -> None:
    first = client(path)
    for condition in (
        {"If_None_Match": first.headers["etag"]},
        {"If_Modified_Since": first.headers["last-modified"]},
    ):
        again = client(path, **condition)
        assert (again.status, again.body) == (304, b"")
        for name in ("etag", "last-modified", "cache-control", "vary", "content-location"):
            assert again.headers[name] == first.headers[name]


def test_head_says_what_get_would(client: Client) -> None:
    got, told = client("/feeds/all.rss"), client("/feeds/all.rss", "HEAD")
    assert (told.status, told.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "link"):
        assert told.headers[name] == got.headers[name]


@pytest.mark.parametrize("path", ["/feeds/all", "/feeds", "/feeds?language=en"])
def test_the_address_without_a_format_is_negotiated(client: Client, path: str) -> None:
    plain, _, query = path.partition("?")
    for accept, form in ((READER, "atom"), ("application/feed+json", "json"), ("*/*", "atom")):
        answer = client(path, Accept=accept)
        assert answer.headers["content-type"].startswith(Format(form).media_type)
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
        assert answer.headers["content-location"] == f"{plain}.{form}" + (f"?{query}" if query else "")
    assert client(path, Accept=BROWSER).headers["content-type"].startswith("text/html")


@pytest.mark.parametrize(
    ("if_none_match", "if_modified_since", "expected"),
    [
        pytest.param(None, None, False, id="no condition"),
        pytest.param('"a"', None, True, id="the tag"),
        pytest.param('W/"a"', None, True, id="the tag, weakened by a proxy"),
        pytest.param('"x", W/"a" , "y"', None, True, id="one of a list"),
        pytest.param("*", None, True, id="any"),
        pytest.param('"b"', None, False, id="another tag"),
        pytest.param('"a-gzip"', None, False, id="the tag of another coding"),
        pytest.param("a", None, False, id="a tag without quotes"),
        pytest.param('"b"', "Thu, 20 Nov 2025 12:00:00 GMT", False, id="the tag goes before the date"),
        pytest.param(None, "Thu, 20 Nov 2025 12:00:00 GMT", True, id="the date"),
        pytest.param(None, "Thursday, 20-Nov-25 12:00:00 GMT", True, id="the date in its oldest form"),
        pytest.param(None, "Fri, 21 Nov 2025 00:00:00 GMT", True, id="a later date"),
        pytest.param(None, "Thu, 20 Nov 2025 11:59:59 GMT", False, id="an earlier date"),
        pytest.param(None, "yesterday", False, id="no date"),
        pytest.param(None, "Thu, 99 Nov 2025 12:00:00 GMT", False, id="an impossible date"),
        pytest.param(None, "Mon, 01 Jan 99999999999 00:00:00 GMT", False, id="a year beyond all"),
    ],
)
def test_conditions(if_none_match: str | None, if_modified_since: str | None, expected: bool) -> None:
    assert not_modified(if_none_match, if_modified_since, '"a"', NOON) is expected


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, Format.ATOM),
        ("*/*", Format.ATOM),
        (BROWSER, None),
        (READER, Format.ATOM),
        ("text/html", None),
        ("application/xhtml+xml", None),
        ("application/rss+xml, application/atom+xml;q=0.5", Format.RSS),
        ("application/json", Format.JSON),
        ("application/*", Format.ATOM),
        ("text/*", None),
        ("application/xml, text/xml", Format.ATOM),
        ("text/html;q=0.1, application/feed+json;q=0.2", Format.JSON),
        ("application/atom+xml;q=0, */*", Format.RSS),
        ("image/png", Format.ATOM),
    ],
)
def test_preference(accept: str | None, expected: Format | None) -> None:
    assert preferred(accept) is expected


def test_an_address_in_absolute_form_opens_no_door(client: Client) -> None:
    """It is answered (RFC 9112 §3.2.2); what the `Host` header says counts as ever."""
    assert client("http://127.0.0.1/feeds/all.atom").status == 200
    assert client("http://127.0.0.1/feeds/all.atom", Host="evil.example").status == 400


# ----------------------------------------------------------------------------------- only what is new


@pytest.mark.parametrize(
    "path", ["/feeds/all.atom", "/feeds/all.rss", "/feeds/all.json", "/feeds.atom?language=en"]
)
def test_a_reader_that_asks_for_news_gets_only_what_is_new(
    client: Client, aggregator: Aggregator, path: str
) -> None:
    first = client(path, Accept_Encoding="gzip")
    title = news(aggregator)
    tag = first.headers["etag"]
    answer = client(path, Accept_Encoding="gzip", If_None_Match=f'"other", {tag}', A_IM="feed;q=0.5, gzip")
    assert answer.status == 226
    body = gzip.decompress(answer.body)
    assert (body.count(title.encode() + b"<"), body.count(title.encode() + b'"')) in {(1, 0), (0, 1)}
    assert body.count(b"Title of ") == 1, "and nothing else"
    assert answer.headers["im"] == "feed"
    assert answer.headers["delta-base"] == tag.replace("-gzip", "")
    assert answer.headers["cache-control"].startswith("no-store, im")
    assert answer.headers["vary"] == "Accept-Encoding, A-IM, If-None-Match"
    whole = client(path, Accept_Encoding="gzip")
    assert answer.headers["etag"] == whole.headers["etag"], "the tag of the whole"
    assert (
        client(path, Accept_Encoding="gzip", If_None_Match=answer.headers["etag"], A_IM="feed").status == 304
    )


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="nobody asks for news"),
        pytest.param({"A_IM": "gzip"}, id="another manipulation"),
        pytest.param({"A_IM": "feed;q=0"}, id="refused"),
        pytest.param({"A_IM": "feed", "If_None_Match": '"0123"'}, id="a version that is not known"),
        pytest.param({"A_IM": "feed", "If_None_Match": "*x"}, id="no tag"),
    ],
)
def test_else_the_whole_is_sent(client: Client, aggregator: Aggregator, headers: dict[str, str]) -> None:
    first = client("/feeds/all.atom")
    news(aggregator)
    answer = client("/feeds/all.atom", **{"If_None_Match": first.headers["etag"], **headers})
    assert (answer.status, answer.body.count(b"<entry")) == (200, 5)


def test_what_a_reader_had_when_the_program_stopped_is_known_after_its_start(tmp_path: Path) -> None:
    settings = Settings(output=(OutputFeed("all"),), database=str(tmp_path / "a.db"))
    with Aggregator(settings, clock=Clock()) as first:
        polled(first.store, New(entry("old")), at=NOON, url=FEED)
        tag = first.rendered("all", Format.ATOM).etag
    with Aggregator(settings, clock=Clock()) as second, serving(make_app(second)) as client:
        second.serve_at("http://127.0.0.1:8000")
        polled(second.store, New(entry("late")), at=NOON + HOUR, url=FEED)
        answer = client("/feeds/all.atom", If_None_Match=tag, A_IM="feed")
        assert (answer.status, answer.headers["delta-base"], answer.body.count(b"<entry")) == (226, tag, 1)


# ---------------------------------------------------------------------------- every entry, every question


def test_a_new_subscriber_walks_back_through_everything(
    client: Client, aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "ARCHIVE_PAGE", 3)
    found, address = [], "/feeds/all.atom"
    for _ in range(50):
        answer = client(address)
        feed = etree.fromstring(answer.body)
        found += [node.text for node in feed.iterfind(f"{ATOM}entry/{ATOM}title")]
        links = {link.get("rel"): str(link.get("href")) for link in feed.iterfind(f"{ATOM}link")}
        if address != "/feeds/all.atom":
            assert answer.headers["cache-control"] == "public, max-age=86400"
            assert links["current"] == "https://news.example/feeds/all.atom"
        if "prev-archive" not in links:
            break
        address = links["prev-archive"].removeprefix("https://news.example")
    stored, _ = aggregator.store.select(OutputFeed("all"), limit=1_000)
    assert found == [one.title for one in stored]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/feeds.atom?colour=red", "There is no condition “colour”"),
        ("/feeds.atom?language=klingon", "ISO 639-1"),
        ("/feeds.atom?before=yesterday", "“yesterday” is no place in a list"),
        ("/feeds.atom?before=a&before=b", "twice"),
        ("/feeds/es.atom?language=en", "has a language already"),
        ("/feeds/all.atom?limit=6", "holds at most 5 at once"),
        ("/feeds/all.atom?before=20251120T120000Z-3", "archives"),
        ("/feeds/all.atom?limit=5&before=20251120T120000Z-3", "archives"),
        ("/feeds/all.atom?copies=false&before=20251120T120000Z-3", "archives"),
        ("/feeds/health.atom?language=en", "The feed health knows no conditions but limit"),
        ("/feeds/health.atom?limit=5&before=20251120T120000Z-3", "knows no conditions but limit"),
        ("/feeds/unusual.json?copies=true", "The feed unusual knows no conditions but limit"),
        ("/feeds/all/archive/20251120T120000Z-3.atom?language=en", "archives"),
        ("/feeds.atom?" + "&".join(f"a{i}=1" for i in range(30)), "too many"),
    ],
)
@pytest.mark.parametrize("accept", [BROWSER, READER])
def test_a_question_that_makes_no_sense_is_explained(
    client: Client, path: str, says: str, accept: str
) -> None:
    answer = client(path, Accept=accept)
    assert answer.status == 400
    assert says in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/feeds/all/archive/.atom",
        "/feeds/all/archive/x",
        "/feeds/all/archive/x.atom",
        "/feeds/no/archive/x.atom",
    ],
)
def test_archives_that_are_not_there(client: Client, path: str) -> None:
    assert client(path).status == 404


def test_a_feed_by_conditions(client: Client, aggregator: Aggregator) -> None:
    polled(
        aggregator.store,
        New(entry("paz", language="es", tags=(Tag("x", None, 1.0),))),
        at=NOON + HOUR,
        url=FEED,
    )
    answer = client("/feeds.json?language=ES&min_score=1&token=secret")
    assert answer.headers["content-location"] == "/feeds.json?language=ES&min_score=1"
    document = json.loads(answer.body)
    assert [item["title"] for item in document["items"]] == ["Title of paz"]
    assert document["feed_url"] == "https://news.example/feeds.json?language=es&min_score=1"
    assert document["title"] == "All entries, in es, with a score of at least 1"


def test_conditions_that_change_nothing_give_the_feed_itself(client: Client) -> None:
    feed, asked = client("/feeds/all.atom"), client("/feeds/all.atom?limit=5&copies=no")
    assert asked.headers["etag"] == feed.headers["etag"]
    assert (
        client("/feeds/health.atom?limit=100").headers["etag"] == client("/feeds/health.atom").headers["etag"]
    )
    shorter = client("/feeds/all.atom?limit=4").headers["link"]
    assert 'rel="next"' in shorter
    assert "archive" not in shorter


def test_questions_wait_for_their_turn_and_too_many_are_sent_away() -> None:
    import asyncio

    from aggregator.web.feeds import BusyError, Turns

    async def crowd() -> list[object]:
        turns = Turns(1.0, 3)
        return await asyncio.gather(*(turns.take(str, i) for i in range(5)), return_exceptions=True)

    first, second, third, *others = asyncio.run(crowd())
    assert [first, second, third] == ["0", "1", "2"]
    assert all(isinstance(other, BusyError) for other in others)
