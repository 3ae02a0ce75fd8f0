"""The web as a client meets it: a real server on loopback, asked over HTTP."""

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from aggregator.app import Aggregator, Belonging
from aggregator.errors import ConfigError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Copy,
    Edge,
    FeedReport,
    FeedState,
    FeedStatus,
    Health,
    Hit,
    Level,
    ListState,
    Match,
    OutputFeed,
    Overview,
    Revision,
    Selection,
    Settings,
    StoredEntry,
    Story,
    Subscription,
    Tag,
    Telling,
    TrendDay,
)
from aggregator.publish import Channel, Format, Rendered, render
from aggregator.store import Share
from aggregator.web import check_bind, hosts_of, make_app
from aggregator.web.auth import Guesses
from tests.client import BROWSER, Client, basic, serving

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
    """What a site has to show, as plain values; what these tests do not ask is not there."""

    stored: tuple[StoredEntry, ...] = (ENTRY,)
    reports: tuple[FeedReport, ...] = (ACTIVE, FAILING)
    outputs: tuple[OutputFeed, ...] = (
        OutputFeed("all"),
        OutputFeed("caribbean-tension", topic="caribbean-tension"),
    )
    followed: tuple[ListState, ...] = ()
    trouble: tuple[str, ...] = ()
    fault: Exception | None = None
    settings: Settings = field(default_factory=Settings)
    topics: Mapping[str, str] = field(default_factory=lambda: TITLES)
    days: tuple[TrendDay, ...] = ()

    def output_names(self) -> tuple[OutputFeed, ...]:
        return self.outputs

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – as there
        return self.rendered(name, format) if name == "all" else None

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        if self.fault:
            raise self.fault
        self.feed(name)
        channel = Channel(name, name, name, "http://localhost/", "news.example", NOON, "0.1.0", TITLES)
        return render(channel, self.stored, format)

    def feed(self, name: str) -> OutputFeed:
        for output in self.outputs:
            if output.name == name:
                return output
        raise UnknownError(f"There is no output feed named “{name}”.")

    @property
    def fresh_for(self) -> timedelta:
        return timedelta(minutes=5)

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:  # noqa: ARG002
        if self.fault:
            raise self.fault
        return self.stored[:limit]

    def clock(self) -> datetime:
        return NOON

    def version(self) -> int:
        return len(self.stored)

    def select(self, _: Selection, *, limit: int, **__: Any) -> tuple[tuple[StoredEntry, ...], str | None]:
        return self.stored[:limit], None

    def stories(self, _: Selection, *, limit: int, **__: Any) -> tuple[tuple[Story, ...], str | None]:
        if self.fault:
            raise self.fault
        return tuple(map(self.story, range(1, len(self.stored[:limit]) + 1))), None

    def story(self, story_id: int) -> Story:
        entry = self.stored[story_id - 1]
        telling = Telling(
            entry.id, entry.article_id, entry.feed_title, entry.title, entry.url, entry.language, NOON
        )
        return Story(story_id, entry.title, 1, 1, NOON, NOON, (), (telling,), entry)

    def story_edges(self, _: int) -> tuple[Edge, ...]:
        return ()

    def belonging(self, entry_id: int) -> Belonging:
        entry = next(entry for entry in self.stored if entry.id == entry_id)
        return Belonging(entry, (entry,), entry.id, self.story(1), (), dict.fromkeys(Level, ()))

    def revisions(self, _: int) -> tuple[Revision, ...]:
        return ()

    def lists(self) -> tuple[ListState, ...]:
        return self.followed

    def feeds(self) -> tuple[FeedReport, ...]:
        return self.reports

    def polls(self, _: int, **__: Any) -> tuple[Mapping[str, Any], ...]:
        return ()

    def daily(self, _: str, **__: Any) -> tuple[TrendDay, ...]:
        return self.days

    def trend_languages(self, _: str) -> tuple[str, ...]:
        return ()

    def trend_baseline(self, *_: Any) -> None:
        return None

    def trend_feeds(self, _: str, **__: Any) -> tuple[Share, ...]:
        return ()

    def search(self, query: str, *, limit: int = 50, **_: Any) -> tuple[Hit, ...]:
        return tuple(
            Hit(e, (("… ", False), (query, True), (" …", False)))
            for e in self.stored
            if query in e.title.lower()
        )[:limit]

    def advice(self, _: str) -> None:
        return None

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
        return self.topics


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture(scope="module")
def client(shelf: Shelf) -> Iterator[Client]:
    with serving(make_app(cast("Aggregator", shelf))) as client:
        yield client


@pytest.fixture
def show(shelf: Shelf) -> Iterator[Any]:
    """Change what the site shows, for one test."""
    before = dict(vars(shelf))

    def change(**values: Any) -> None:
        vars(shelf).update(values)

    yield change
    vars(shelf).update(before)


READER = "application/atom+xml, application/rss+xml;q=0.9, */*;q=0.1"


# ------------------------------------------------------------------------------------------ output feeds


def test_a_browser_gets_a_page_that_says_how_to_subscribe(client: Client) -> None:
    answer = client("/feeds/caribbean-tension", Accept=BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "Accept" in answer.headers["vary"]
    page = answer.page
    shown = [node.text for node in page.iter("code")]
    assert shown == [f"http://127.0.0.1:{client.port}/feeds/caribbean-tension.{form}" for form in Format]
    assert ENTRY.title in page.text_content()


def test_the_page_of_a_feed_by_conditions_names_their_address(client: Client) -> None:
    page = client("/feeds?language=es&topic=caribbean-tension", Accept=BROWSER).page
    assert page.findtext(".//h1").startswith("All entries, on Tension in the Caribbean, in es")
    address = f"http://127.0.0.1:{client.port}/feeds.atom?topic=caribbean-tension&language=es"
    assert address in [node.text for node in page.iter("code")]
    assert (
        page.xpath("//link[@rel='alternate']/@href")[0] == "/feeds.atom?topic=caribbean-tension&language=es"
    )


def test_an_unknown_feed_is_answered_with_those_there_are_nearest_first(client: Client) -> None:
    answer = client("/feeds/caribean-tensoin.atom")
    assert answer.status == 404
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    lines = answer.text.splitlines()
    assert lines[1] == "There is no output feed named “caribean-tensoin”."
    assert lines[2] == "/feeds/caribbean-tension.atom"
    assert "/feeds/all.json" in lines


@pytest.mark.parametrize(
    "path",
    [
        "/feeds/",
        "/feeds/all.xml",
        "/feeds/../all.atom",
        "/feeds.xml",
        "/feedsall.atom",
        "/feeds/.atom",
        "/nothing",
        "/static/",
    ],
)
@pytest.mark.parametrize("accept", [BROWSER, READER])
def test_other_addresses_do_not_exist(client: Client, path: str, accept: str) -> None:
    assert client(path, Accept=accept).status == 404


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


POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


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
        pytest.param("/?q=x", "GET", {}, None, 400, id="a condition that there is not"),
        pytest.param("/stories/1", "GET", {}, None, 200, id="story"),
        pytest.param("/entries/1", "GET", {}, None, 200, id="entry"),
        pytest.param("/trend", "GET", {}, None, 200, id="trend"),
        pytest.param("/trend.csv", "GET", {}, None, 200, id="trend as CSV"),
        pytest.param("/sources", "GET", {}, None, 200, id="sources"),
        pytest.param("/sources/1", "GET", {}, None, 200, id="source"),
        pytest.param("/sources/1/poll", "GET", {}, None, 405, id="get what only a form may do"),
        pytest.param("/sources/1/poll", "POST", {}, None, 415, id="poll now"),
        pytest.param("/search?q=kapal", "GET", {}, None, 200, id="search"),
        pytest.param("/search/hits?q=kapal", "GET", {}, None, 200, id="what a search found"),
        pytest.param("/nothing", "GET", {}, None, 404, id="no page"),
        pytest.param("/login", "GET", {}, None, 303, id="login"),
        pytest.param("/logout", "POST", {}, None, 415, id="logout"),
        pytest.param("/openapi.json", "GET", {}, None, 200, id="description of the API"),
        pytest.param("/api/topics", "GET", {}, None, 200, id="API"),
        pytest.param("/api/nothing", "GET", {}, None, 404, id="nothing of the API"),
        pytest.param("/api/topics?x=1", "GET", {}, None, 400, id="a bad query to the API"),
        pytest.param("/api/topics", "POST", {}, None, 405, id="post to the API"),
        pytest.param("/feeds/nothing.atom", "GET", {}, None, 404, id="no feed"),
        pytest.param("/", "POST", {}, None, 405, id="post to the page"),
        pytest.param("/feeds/all.atom", "DELETE", {}, None, 405, id="delete a feed"),
        pytest.param("/", "OPTIONS", {"Origin": "http://evil.example"}, None, 405, id="preflight"),
        pytest.param("/", "GET", {"Host": "evil.example"}, None, 400, id="another name"),
        pytest.param(
            "/", "GET", {"Host": "127.0.0.1.evil.example:80"}, None, 400, id="a name that begins like ours"
        ),
        pytest.param("/", "GET", {"Host": "[::1"}, None, 400, id="a broken name"),
        pytest.param("/", "GET", {"Host": "evil.example@localhost"}, None, 400, id="a user of our name"),
        pytest.param("/", "GET", {"Host": "localhost/evil"}, None, 400, id="a path of our name"),
        pytest.param("/stories/" + "9" * 5_000, "GET", {}, None, 404, id="a number without end"),
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
    assert status in {303, 304} or "charset=utf-8" in answer.headers["content-type"]
    assert "secret" not in answer.text
    assert (status == 405) == ("allow" in answer.headers)


TOKEN = "pä:ss word"
ROUTES = ["/", "/opml", "/feeds/all.atom", "/feeds/all", "/feeds/all.json", "/nothing", "/metrics"]
ROUTES += ["/api/topics", "/api/nothing", "/openapi.json"]


@pytest.fixture(scope="module")
def guarded() -> Iterator[Client]:
    numbers = (b"aggregator_lag_seconds 0.0\n", "text/plain; version=0.0.4; charset=utf-8")
    app = make_app(
        cast("Aggregator", Shelf()), hosts=hosts_of("127.0.0.1"), token=TOKEN, metrics=lambda: numbers
    )
    with serving(app) as client:
        yield client


@pytest.mark.parametrize("path", ROUTES)
def test_with_a_token_every_route_asks_for_it(
    guarded: Client, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setattr(Guesses, "FIRST", 0.0)
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
        assert answer.status == (404 if path.endswith("/nothing") else 200)
        assert "public" not in answer.headers["cache-control"]


def test_metrics_are_sent_as_they_are(guarded: Client, client: Client) -> None:
    answer = guarded("/metrics", **basic(TOKEN))
    assert answer.body == b"aggregator_lag_seconds 0.0\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert client("/metrics").status == 404, "only a daemon has numbers"


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
    with serving(make_app(cast("Aggregator", Shelf()), hosts=hosts_of(bound))) as client:
        assert client("/healthz", Host=host).status == status


def test_health_needs_no_token(guarded: Client) -> None:
    assert guarded("/healthz").status == 200


def test_who_came_with_the_token_in_the_address_keeps_it(guarded: Client) -> None:
    page = guarded("/?token=p%C3%A4:ss+word", Accept=BROWSER).page
    suffix = "?token=p%C3%A4%3Ass%20word"
    assert page.xpath("string(.//input[@name='token']/@value)") == TOKEN
    assert f"/feeds/caribbean-tension.atom{suffix}" in page.xpath(".//a/@href")
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
        with pytest.raises(ConfigError, match="no password is set"):
            check_bind(host, token)


def test_the_names_of_a_server() -> None:
    assert hosts_of("[::1]") == {"localhost", "127.0.0.1", "::1"}
    assert hosts_of("10.0.0.5", "https://News.Example:8443/x") >= {"10.0.0.5", "news.example", "localhost"}
