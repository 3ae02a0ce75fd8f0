"""The web as a client meets it: a real server on loopback, asked over HTTP."""

import gzip
import json
import re
import socket
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from typing import Any

import pytest
import uvicorn
from lxml import html

from aggregator import health
from aggregator.errors import AggregatorError, ServeError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Copy,
    FailureKind,
    FeedReport,
    FeedState,
    FeedStatus,
    Health,
    Hit,
    Match,
    OutputFeed,
    Overview,
    Settings,
    StoredEntry,
    Subscription,
    Tag,
)
from aggregator.publish import Channel, Format, Rendered, render
from aggregator.web import Guesses, check_bind, hosts_of, make_app
from aggregator.web.feeds import accepts_gzip, not_modified, preferred
from aggregator.web.pages import excerpt, marked

NOON = datetime(2025, 11, 20, 12, 0, tzinfo=UTC)
TITLES = {"caribbean-tension": "Tension in the Caribbean"}
ENTRY = StoredEntry(
    id=1,
    uid="u1",
    feed_id=1,
    feed_title="Warta Pagi",
    feed_url="https://warta.example/feed",
    feed_site_url="https://warta.example/",
    article_id=1,
    guid="g1",
    url="https://warta.example/kapal-perang",
    title="Kapal perang AS mendekati Venezuela",
    author=None,
    summary="",
    content="<p>Tiga kapal perang berlayar.</p>",
    text="Tiga kapal perang berlayar.",
    language="id",
    published_at=NOON - timedelta(hours=2),
    updated_at=None,
    first_seen_at=NOON,
    changed_at=NOON,
    revision=1,
    tags=(Tag("caribbean-tension", None, 3.0), Tag("caribbean-tension", "military-build-up", 2.0)),
    matches=(Match("caribbean-tension", "r", "kapal perang AS", "title", 0, 15),),
    attributions=(Attribution("Kabar Sore", "https://kabar.example/asal"),),
    copies=(Copy(2, "Lain", "https://www.lain.example/salinan"),),
)
HOSTILE = replace(
    ENTRY,
    id=2,
    uid="u2",
    url="javascript:alert(1)",
    title='</title><script>alert(1)</script>"><img src=x onerror=alert(1)>',
    text="{{ 7*7 }} <iframe src=//evil.example></iframe>\x00\u202e",
    feed_title="<b>bold</b>",
    language='x" onload="y',
    attributions=(Attribution("<script>", "javascript:x"),),
    copies=(Copy(2, "x", "javascript:x"), Copy(3, "y", "data:text/html,x")),
    matches=(Match("caribbean-tension", "r", "<script>", "title", 8, 16),),
)
ACTIVE = FeedReport(
    1,
    Subscription("https://warta.example/feed"),
    FeedState("https://warta.example/feed", title="Warta Pagi", last_success_at=NOON, next_poll_at=NOON),
    12,
    21.0,
)
FAILING = FeedReport(
    2,
    Subscription("https://lain.example/feed", name="Lain"),
    FeedState(
        "https://lain.example/feed", status=FeedStatus.FAILING, last_error="The server answered <503>."
    ),
    0,
    0.0,
)
UNREAD = replace(FAILING, state=FeedState(FAILING.state.url))


@dataclass
class Shelf:
    """What a site has to show, as plain values."""

    stored: tuple[StoredEntry, ...] = (ENTRY,)
    reports: tuple[FeedReport, ...] = (ACTIVE, FAILING)
    outputs: tuple[OutputFeed, ...] = (
        OutputFeed("all"),
        OutputFeed("caribbean-tension", topic="caribbean-tension"),
    )
    trouble: tuple[str, ...] = ()
    fault: Exception | None = None
    settings: Settings = field(default_factory=Settings)

    def output_names(self) -> tuple[OutputFeed, ...]:
        return self.outputs

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – as in Site
        return self.rendered(name, format) if name == "all" else None

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        if self.fault:
            raise self.fault
        if name not in {output.name for output in self.outputs}:
            raise UnknownError(f"There is no output feed named “{name}”.")
        channel = Channel(name, name, name, "http://localhost/", "news.example", NOON, "0.1.0", TITLES)
        return render(channel, self.stored, format)

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:  # noqa: ARG002
        if self.fault:
            raise self.fault
        return self.stored[:limit]

    def search(self, query: str, *, topic: str | None = None, limit: int = 50) -> tuple[Hit, ...]:  # noqa: ARG002
        if '"' in query:
            raise AggregatorError("A quotation mark has no partner.")
        return tuple(
            Hit(e, (("… ", False), (query, True), (" …", False)))
            for e in self.stored
            if query in e.title.lower()
        )[:limit]

    def overview(self, limit: int) -> Overview:
        return Overview(
            feeds=len(self.reports),
            read=sum(report.state.last_success_at is not None for report in self.reports),
            failing=sum(report.state.last_error is not None for report in self.reports),
            entries=len(self.stored),
            reports=self.reports[:limit],
        )

    def opml(self) -> bytes:
        return b'<?xml version="1.0"?><opml version="2.0"/>'

    def health(self) -> Health:
        return Health(self.trouble)

    def topic_titles(self) -> Mapping[str, str]:
        return TITLES


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def page(self) -> html.HtmlElement:
        return html.document_fromstring(self.body.decode())


@dataclass(frozen=True)
class Client:
    port: int

    def __call__(self, path: str, method: str = "GET", **headers: str) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            fields = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, headers=fields)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


@contextmanager
def serving(app: Any) -> Iterator[Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this by itself only on sockets made with IPPROTO_TCP; without it each body waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Client(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def client(shelf: Shelf) -> Iterator[Client]:
    with serving(make_app(shelf)) as client:
        yield client


@pytest.fixture
def show(shelf: Shelf) -> Iterator[Any]:
    """Change what the site shows, for one test."""
    before = dict(vars(shelf))

    def change(**values: Any) -> None:
        vars(shelf).update(values)

    yield change
    vars(shelf).update(before)


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
READER = "application/atom+xml, application/rss+xml;q=0.9, */*;q=0.1"


# ------------------------------------------------------------------------------------------ output feeds


@pytest.mark.parametrize("form", Format)
def test_a_feed_is_served_whole(client: Client, shelf: Shelf, form: Format) -> None:
    answer = client(f"/feeds/caribbean-tension.{form}")
    document = shelf.rendered("caribbean-tension", form)
    assert answer.status == 200
    assert answer.body == document.body
    assert answer.headers["content-type"] == document.media_type
    assert answer.headers["etag"] == document.etag
    assert answer.headers["last-modified"] == "Thu, 20 Nov 2025 12:00:00 GMT"
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["link"] == f'</feeds/caribbean-tension.{form}>; rel="self"'


def test_a_feed_is_compressed_for_those_who_ask(client: Client) -> None:
    plain, packed = client("/feeds/all.atom"), client("/feeds/all.atom", Accept_Encoding="br, gzip")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert packed.headers["etag"] != plain.headers["etag"]
    assert "content-encoding" not in plain.headers


@pytest.mark.parametrize("accept_encoding", ["identity", "gzip"])
def test_what_has_not_changed_is_not_sent(client: Client, accept_encoding: str) -> None:
    first = client("/feeds/all.atom", Accept_Encoding=accept_encoding)
    for condition in (
        {"If_None_Match": first.headers["etag"]},
        {"If_Modified_Since": first.headers["last-modified"]},
    ):
        again = client("/feeds/all.atom", Accept_Encoding=accept_encoding, **condition)
        assert (again.status, again.body) == (304, b"")
        for name in ("etag", "last-modified", "cache-control", "vary", "content-location"):
            assert again.headers[name] == first.headers[name]


def test_head_says_what_get_would(client: Client) -> None:
    got, told = client("/feeds/all.rss"), client("/feeds/all.rss", "HEAD")
    assert (told.status, told.body) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified"):
        assert told.headers[name] == got.headers[name]


def test_the_address_without_a_format_is_negotiated(client: Client) -> None:
    for accept, expected in (
        (READER, "application/atom+xml"),
        ("application/feed+json", "application/feed+json"),
    ):
        answer = client("/feeds/all", Accept=accept)
        assert answer.headers["content-type"].startswith(expected)
        assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert client("/feeds/all").headers["content-location"] == "/feeds/all.atom"


def test_a_browser_gets_a_page_that_says_how_to_subscribe(client: Client) -> None:
    answer = client("/feeds/caribbean-tension", Accept=BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    page = answer.page
    shown = [node.text for node in page.iter("code")]
    assert shown == [f"http://127.0.0.1:{client.port}/feeds/caribbean-tension.{form}" for form in Format]
    assert ENTRY.title in page.text_content()


def test_an_unknown_feed_is_answered_with_those_there_are_nearest_first(client: Client) -> None:
    answer = client("/feeds/caribean-tensoin.atom")
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[1] == "There is no output feed named “caribean-tensoin”."
    assert lines[2] == "/feeds/caribbean-tension.atom"
    assert "/feeds/all.json" in lines


@pytest.mark.parametrize(
    "path", ["/feeds/", "/feeds/all.xml", "/feeds/../all.atom", "/feeds", "/nothing", "/static/"]
)
@pytest.mark.parametrize("accept", [BROWSER, READER])
def test_other_addresses_do_not_exist(client: Client, path: str, accept: str) -> None:
    assert client(path, Accept=accept).status == 404


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
    ],
)
def test_conditions(if_none_match: str | None, if_modified_since: str | None, expected: bool) -> None:
    assert not_modified(if_none_match, if_modified_since, '"a"', NOON) is expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=0.5", True),
        ("gzip;q=0", False),
        ("gzip;q=0.0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("br", False),
        ("x-gzip", True),
        ("gzip;q=high", False),
    ],
)
def test_codings(accept_encoding: str | None, expected: bool) -> None:
    assert accepts_gzip(accept_encoding) is expected


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


# ------------------------------------------------------------------------------------------------ the page


def test_the_page_shows_news_feeds_and_sources(client: Client) -> None:
    answer = client("/", Accept=BROWSER)
    page = answer.page
    assert answer.status == 200
    assert page.findtext(".//title") == "Tension in the Caribbean", "the first output with a topic"
    (headline,) = page.findall(".//article/h3")
    assert headline.get("lang") == "id"
    (link,) = headline.findall("a")
    assert link.get("href") == ENTRY.url
    assert [mark.text for mark in headline.iter("mark")] == ["Kapal perang AS"]
    article = page.find(".//article").text_content()
    for shown in (
        "Warta Pagi",
        "10:00",
        "Indonesian",
        "military build up",
        "“Kapal perang AS” in the title",
        "The same text at lain.example",
        "Says its source is Kabar Sore",
    ):
        assert shown in article
    alternates = {link.get("href") for link in page.findall(".//head/link[@rel='alternate']")}
    assert alternates == {f"/feeds/{name}.{form}" for name in ("all", "caribbean-tension") for form in Format}
    sources = [li.text_content() for li in page.findall(".//ul[@class='sources']/li")]
    assert "Lain" in sources[0], "those in trouble come first"
    assert "failing" in sources[0]
    assert "The server answered <503>." in sources[0]
    assert "21 a week" in sources[1]


@pytest.mark.parametrize(
    ("state", "failure", "status", "classes"),
    [
        pytest.param({"silent_since": NOON}, None, "silent", ["error"], id="silent"),
        pytest.param({"moved_to": "https://new.example/"}, None, "well", ["meta"], id="about to move"),
        pytest.param(
            {"status": FeedStatus.FAILING, "last_error": "<b>browser</b>"},
            FailureKind.CHALLENGE,
            "blocked",
            ["error"],
            id="blocked",
        ),
    ],
)
def test_the_page_says_what_is_the_matter_with_a_source(
    client: Client, show: Any, state: dict[str, Any], failure: FailureKind, status: str, classes: list[str]
) -> None:
    report = replace(ACTIVE, state=replace(ACTIVE.state, **state), failure=failure)
    show(reports=(report,))
    (source,) = client("/", Accept=BROWSER).page.findall(".//ul[@class='sources']/li")
    assert source.findtext(".//span[@class='status']") == status
    assert source.get("class") == ("well" if status == "well" else "ill")
    said = source.findall("./p")[2:]
    assert [line.get("class") for line in said] == classes
    assert [line.text for line in said] == [condition.message for condition in health.conditions(report)]


def test_the_health_feed_is_no_news(client: Client, show: Any) -> None:
    show(outputs=(health.OUTPUT,))
    page = client("/", Accept=BROWSER).page
    assert "/feeds/health.atom" in page.xpath(".//section[@aria-labelledby='subscribe']//a/@href")
    assert "Nothing is published yet" in page.text_content()
    assert page.findtext(".//p[@class='title']") == "Aggregator"


def test_every_page_has_landmarks_one_first_heading_and_no_script_or_style(client: Client) -> None:
    for path in ("/", "/?q=kapal", "/?q=zzz", "/feeds/all", "/nothing"):
        page = client(path, Accept=BROWSER).page
        assert page.get("lang") == "en"
        assert len(page.findall(".//main")) == len(page.findall(".//h1")) == 1
        assert not page.findall(".//script")
        assert not page.findall(".//style")
        assert not page.xpath(".//@style | .//@*[starts-with(name(), 'on')]")


def test_a_search_shows_what_was_found(client: Client) -> None:
    page = client("/?q=kapal", Accept=BROWSER).page
    assert page.findtext(".//h1") == "1 found for “kapal”"
    assert page.xpath("string(.//input[@name='q']/@value)") == "kapal"
    assert [mark.text for mark in page.findall(".//p[@class='excerpt']/mark")] == ["kapal"]
    assert "Nothing that is stored" in client("/?q=zzz", Accept=BROWSER).text


def test_a_search_that_cannot_be_understood_is_explained(client: Client) -> None:
    answer = client("/?q=%22x", Accept=BROWSER)
    assert answer.status == 400
    (notice,) = answer.page.findall(".//div[@role='alert']")
    assert "A quotation mark has no partner." in notice.text_content()


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        pytest.param({"reports": ()}, "aggregator add", id="no feed"),
        pytest.param({"outputs": ()}, "output:", id="no output feed"),
        pytest.param({"reports": (FAILING,)}, "this machine’s connection", id="nothing can be read"),
        pytest.param({"reports": (UNREAD,)}, "aggregator poll", id="nothing read yet"),
        pytest.param({}, "aggregator topics explain", id="nothing on the topic"),
    ],
)
def test_an_empty_page_says_what_to_do(
    client: Client, show: Any, values: dict[str, Any], advice: str
) -> None:
    show(stored=(), **values)
    assert advice in client("/", Accept=BROWSER).page.find(".//main").text_content()


def test_hostile_entries_are_text(client: Client, show: Any) -> None:
    show(stored=(HOSTILE,))
    for path in ("/", "/feeds/all", "/?q=script"):
        answer = client(path, Accept=BROWSER)
        page = answer.page
        assert not page.xpath(".//script | .//iframe | .//img | .//article//b[text()='bold']")
        addresses = page.xpath(".//@href | .//@src | .//@action")
        assert all(re.match(r"(https?:/)?/|#", address) for address in addresses), addresses
        assert page.find(".//article/h3").text_content() == HOSTILE.title
        assert page.find(".//article/h3").get("lang") is None
        assert "\x00" not in answer.text
        assert "\u202e" not in answer.text
    assert "{{ 7*7 }}" in client("/", Accept=BROWSER).text
    query = '"><script>alert(1)</script>'
    assert "<script" not in client(f"/?q={query.replace(' ', '+')}", Accept=BROWSER).text


def test_a_full_page_is_small(client: Client, show: Any) -> None:
    words = "Tiga kapal perang Amerika Serikat berlayar menuju perairan Karibia pada hari Selasa. " * 20
    long = replace(ENTRY, text=words, title=words[:120], copies=ENTRY.copies * 5)
    show(stored=tuple(replace(long, id=i, uid=str(i)) for i in range(100)), reports=(ACTIVE, FAILING) * 50)
    assert len(client("/", Accept=BROWSER).body) <= 60_000
    assert "76 more" in client("/", Accept=BROWSER).text


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        pytest.param("abc def", [], [("abc def", False)], id="nothing found"),
        pytest.param("abc def", [(4, 7)], [("abc ", False), ("def", True)], id="one"),
        pytest.param(
            "abcdef", [(0, 3), (2, 5)], [("abc", True), ("de", True), ("f", False)], id="overlapping"
        ),
        pytest.param("abc", [(2, 9), (7, 9)], [("ab", False), ("c", True)], id="beyond the end"),
    ],
)
def test_marking(text: str, found: list[tuple[int, int]], expected: list[tuple[str, bool]]) -> None:
    assert list(marked(text, found)) == expected


def test_an_excerpt_moves_to_what_was_found() -> None:
    text = "kata " * 100 + "Maduro " + "kata " * 100
    pieces = excerpt(text, [(500, 506)], 100)
    assert ("Maduro", True) in pieces
    assert pieces[0] == ("… ", False)
    assert pieces[-1] == (" …", False)
    assert sum(len(piece) for piece, _ in pieces) <= 105
    assert excerpt("short", [], 100) == (("short", False),)


# --------------------------------------------------------------------------------------- the other routes


def test_opml_is_offered_as_a_file(client: Client, shelf: Shelf) -> None:
    answer = client("/opml")
    assert (answer.status, answer.body) == (200, shelf.opml())
    assert answer.headers["content-type"] == "text/x-opml; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="aggregator.opml"'


def test_health(client: Client, show: Any) -> None:
    answer = client("/healthz")
    assert (answer.status, json.loads(answer.body)) == (200, {"ok": True, "reasons": []})
    show(trouble=("No poll has ended for an hour.",))
    answer = client("/healthz")
    assert answer.status == 503
    assert json.loads(answer.body) == {"ok": False, "reasons": ["No poll has ended for an hour."]}


def test_static_files_are_cached(client: Client) -> None:
    style = client("/static/style.css")
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert client("/static/style.css", If_None_Match=style.headers["etag"]).status == 304


# -------------------------------------------------------------------------------------------------- safety


POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize(
    ("path", "method", "headers", "fault", "status"),
    [
        pytest.param("/", "GET", {}, None, 200, id="page"),
        pytest.param("/feeds/all.atom", "GET", {}, None, 200, id="feed"),
        pytest.param("/feeds/all.atom", "GET", {"If_None_Match": "*"}, None, 304, id="feed not modified"),
        pytest.param("/feeds/all.atom", "HEAD", {}, None, 200, id="head"),
        pytest.param("/feeds/all", "GET", {"Accept": BROWSER}, None, 200, id="feed page"),
        pytest.param("/opml", "GET", {}, None, 200, id="opml"),
        pytest.param("/healthz", "GET", {}, None, 200, id="health"),
        pytest.param("/static/style.css", "GET", {}, None, 200, id="style"),
        pytest.param("/?q=%22", "GET", {}, None, 400, id="bad query"),
        pytest.param("/nothing", "GET", {}, None, 404, id="no page"),
        pytest.param("/feeds/nothing.atom", "GET", {}, None, 404, id="no feed"),
        pytest.param("/", "POST", {}, None, 405, id="post to the page"),
        pytest.param("/feeds/all.atom", "DELETE", {}, None, 405, id="delete a feed"),
        pytest.param("/", "OPTIONS", {"Origin": "http://evil.example"}, None, 405, id="preflight"),
        pytest.param("/", "GET", {"Host": "evil.example"}, None, 400, id="another name"),
        pytest.param(
            "/", "GET", {"Host": "127.0.0.1.evil.example:80"}, None, 400, id="a name that begins like ours"
        ),
        pytest.param("/", "GET", {"Host": "[::1"}, None, 400, id="a broken name"),
        pytest.param("/", "GET", {"Host": "LOCALHOST:1234"}, None, 200, id="our name"),
        pytest.param("/", "GET", {"Host": "[::1]:80"}, None, 200, id="our address"),
        pytest.param("/", "GET", {}, StoreError("/secret/path is locked"), 503, id="the store is away"),
        pytest.param(
            "/feeds/x.rss", "GET", {}, StoreError("/secret/path"), 503, id="the store is away, feed"
        ),
        pytest.param("/", "GET", {}, ZeroDivisionError("secret"), 500, id="a fault of ours"),
        pytest.param("/feeds/x.rss", "GET", {}, ZeroDivisionError("secret"), 500, id="a fault of ours, feed"),
    ],
)
@pytest.mark.parametrize("accept", [BROWSER, "*/*"], ids=["browser", "reader"])
def test_every_answer_carries_the_security_headers(
    client: Client,
    show: Any,
    path: str,
    method: str,
    headers: dict[str, str],
    fault: Exception | None,
    status: int,
    accept: str,
) -> None:
    show(fault=fault)
    answer = client(path, method, **{"Accept": accept, **headers})
    assert answer.status == status
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"
    assert not any(name.startswith("access-control") for name in answer.headers)
    assert status == 304 or "charset=utf-8" in answer.headers["content-type"]
    assert "secret" not in answer.text
    assert (status == 405) == ("allow" in answer.headers)


def basic(password: str, user: str = "anyone") -> dict[str, str]:
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


TOKEN = "pä:ss word"
ROUTES = ["/", "/opml", "/feeds/all.atom", "/feeds/all", "/feeds/all.json", "/static/style.css", "/nothing"]
ROUTES += ["/metrics"]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Client]:
    numbers = (b"aggregator_lag_seconds 0.0\n", "text/plain; version=0.0.4; charset=utf-8")
    app = make_app(Shelf(), hosts=hosts_of("127.0.0.1"), token=TOKEN, metrics=lambda: numbers)
    with serving(app) as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_with_a_token_every_route_asks_for_it(guarded: Client, path: str) -> None:
    joint = "&" if "?" in path else "?"
    refused = [
        guarded(path),
        guarded(path, **basic("wrong")),
        guarded(path, **basic("")),
        guarded(path, Authorization="Basic !!!"),
        guarded(path, Authorization="Bearer x"),
        guarded(f"{path}{joint}token=wrong"),
    ]
    for answer in refused:
        assert answer.status == 401
        assert answer.headers["www-authenticate"] == 'Basic realm="aggregator", charset="UTF-8"'
    for answer in (guarded(path, **basic(TOKEN)), guarded(f"{path}{joint}token=p%C3%A4:ss+word")):
        assert answer.status == (404 if path == "/nothing" else 200)
        assert "public" not in answer.headers["cache-control"]


def test_metrics_are_sent_as_they_are(guarded: Client, client: Client) -> None:
    answer = guarded("/metrics", **basic(TOKEN))
    assert answer.body == b"aggregator_lag_seconds 0.0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert client("/metrics").status == 404, "only a daemon has numbers"


def test_guessing_gets_slower_for_who_guesses() -> None:
    guesses = Guesses()
    waits = [guesses.wrong("a") for _ in range(12)]
    assert waits[:4] == [0.05, 0.1, 0.2, 0.4]
    assert waits[-1] == Guesses.LONGEST
    assert guesses.wrong("b") == Guesses.FIRST
    guesses.right("a")
    assert guesses.wrong("a") == Guesses.FIRST


def test_a_wrong_token_waits_for_its_answer(guarded: Client) -> None:
    begun = time.monotonic()
    for _ in range(3):
        assert guarded("/?token=wrong").status == 401
    assert time.monotonic() - begun >= 0.05 + 0.1 + 0.2
    assert guarded("/?token=p%C3%A4:ss+word").status == 200


@pytest.mark.parametrize(
    ("bound", "host", "status"),
    [
        pytest.param("0.0.0.0", "192.0.2.7:8000", 200, id="any address of the machine"),
        pytest.param("0.0.0.0", "[2001:db8::7]:8000", 200, id="of either kind"),
        pytest.param("0.0.0.0", "rebound.example", 400, id="but no name"),
        pytest.param("127.0.0.1", "192.0.2.7:8000", 400, id="nor another address than the one bound"),
    ],
)
def test_to_which_hosts_it_answers(bound: str, host: str, status: int) -> None:
    with serving(make_app(Shelf(), hosts=hosts_of(bound))) as client:
        assert client("/healthz", Host=host).status == status


def test_health_needs_no_token(guarded: Client) -> None:
    assert guarded("/healthz").status == 200


def test_who_came_with_the_token_in_the_address_keeps_it(guarded: Client) -> None:
    page = guarded("/?token=p%C3%A4:ss+word", Accept=BROWSER).page
    suffix = "?token=p%C3%A4%3Ass%20word"
    assert page.xpath("string(.//link[@rel='stylesheet']/@href)") == f"/static/style.css{suffix}"
    assert page.xpath("string(.//input[@name='token']/@value)") == TOKEN
    assert f"/feeds/all.atom{suffix}" in page.xpath(".//a/@href")
    assert "token" not in guarded("/", Accept=BROWSER, **basic(TOKEN)).text


@pytest.mark.parametrize(
    ("host", "token", "allowed"),
    [
        ("127.0.0.1", None, True),
        ("127.9.9.9", None, True),
        ("::1", None, True),
        ("[::1]", None, True),
        ("localhost", None, True),
        ("0.0.0.0", None, False),
        ("::", None, False),
        ("192.168.1.5", None, False),
        ("news.example", None, False),
        ("", None, False),
        ("0.0.0.0", "", False),
        ("0.0.0.0", "x", True),
    ],
)
def test_serving_others_needs_a_password(host: str, token: str | None, allowed: bool) -> None:
    if allowed:
        check_bind(host, token)
    else:
        with pytest.raises(ServeError, match="no password is set"):
            check_bind(host, token)


def test_the_names_of_a_server() -> None:
    assert hosts_of("[::1]") == {"localhost", "127.0.0.1", "::1"}
    assert hosts_of("10.0.0.5", "https://News.Example:8443/x") >= {"10.0.0.5", "news.example", "localhost"}
