"""News that nobody asked for, out and in: real stores, a real fetcher, readers, hubs and publishers on loopback."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import uvicorn

from aggregator import push, websub
from aggregator.fetch import Fetcher
from aggregator.model import FeedState, FetchSettings, PollOutcome, PushSettings, Subscription
from aggregator.poll import Poller
from aggregator.publish import Rendered
from aggregator.push import Push
from aggregator.store import Recorded, Store, open_store
from aggregator.topics import Ruleset, compile_topics
from aggregator.web.hub import HubPages
from tests.conftest import NOON, Clock, item, rss
from tests.server import Request, Server, Step, head

HOME = "https://news.example"
ALL = f"{HOME}/feeds/all.atom"
LOOPBACK = FetchSettings(allow_addresses=(ip_network("127.0.0.1"),), timeout=timedelta(seconds=5))
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def no_topics() -> Ruleset:
    return compile_topics((), lambda name: pytest.fail(f"no pack {name} is wanted"))


class Scripted(Server):
    """A server whose answers are made by a function of ours, whatever stands in the query."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        super().__init__(host=host)
        self.said: list[int] = []
        self.challenge: bytes | None = None
        self.hangs = False
        server = self

        class Answers(dict[str, Callable[[Request], Iterable[Step]]]):
            def get(self, path: str, default: Any = None) -> Any:  # noqa: ARG002 – a mapping's
                return super().get(path) or server.answer

        self._answers = Answers()

    def answer(self, request: Request) -> Iterable[Step]:
        """Confirm whatever is asked; answer what is sent with the next of `said`, else 204."""
        if request.method == "GET":
            body = query_of(request).get("hub.challenge", "").encode()
            body = body if self.challenge is None else self.challenge
            return (head(self.said.pop(0) if self.said else 200, (), len(body)), body)
        if self.hangs:
            return (60.0,)
        return (head(self.said.pop(0) if self.said else 204, {"Retry-After": "7200"}, 0),)

    def asked(self, mode: str) -> list[dict[str, str]]:
        """What was asked or told with GET."""
        return [q for r in self.requests if r.method == "GET" and (q := query_of(r)).get("hub.mode") == mode]

    @property
    def sent(self) -> list[Request]:
        """What was POSTed."""
        return [request for request in self.requests if request.method == "POST"]


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def form_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.body.decode()).items()}


@pytest.fixture(autouse=True)
def _brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "REST", 0.01)
    monkeypatch.setattr(push, "LOOK", 0.1)


@pytest.fixture
def reader() -> Iterator[Scripted]:
    """A subscriber of ours, or a hub: whoever speaks WebSub with us."""
    with Scripted() as server:
        yield server


async def until(condition: Callable[[], Any]) -> Any:
    """The first true value of a condition."""
    async with asyncio.timeout(10):
        while not (value := condition()):  # noqa: ASYNC110 – what is waited for has no event
            await asyncio.sleep(0.005)
    return value


class Paper:
    """A publisher of one document: the titles of all entries."""

    def __init__(self, store: Store, home: str = HOME) -> None:
        self.store = store
        self.home_url = home
        self.published = ["all"]

    def topics(self) -> list[str]:
        return [f"{self.home_url}/feeds/{name}.atom" for name in self.published]

    def document(self, topic: str) -> Rendered | None:
        if topic not in self.topics():
            return None
        titles = [str(row["title"]) for row in self.store.query("SELECT title FROM entries ORDER BY id")]
        return Rendered("\n".join(titles).encode(), media_type="application/atom+xml", last_modified=NOON)


class Agency(Paper):
    """A publisher whose document is a feed."""

    def document(self, topic: str) -> Rendered | None:
        paper = super().document(topic)
        titles = [] if paper is None else paper.body.decode().split("\n")
        items = [item(int(title.removeprefix("Item "))) for title in titles if title]
        return Rendered(rss(*items), media_type="application/rss+xml", last_modified=NOON)


@dataclass
class House:
    """A program with a store, polls and pushes."""

    path: Path
    clock: Clock
    settings: PushSettings = field(default_factory=PushSettings)
    public_url: str | None = HOME

    def __post_init__(self) -> None:
        self.store = open_store(self.path)
        self.paper = Paper(self.store)
        self.taken: list[tuple[PollOutcome, Recorded]] = []
        self.hears: Callable[[PollOutcome, Recorded], None] = lambda *_: None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Push, until the block ends; then no task of it is left."""
        async with (
            asyncio.timeout(20),
            Fetcher(LOOPBACK, user_agent="test", now=self.clock) as fetcher,
            Push(
                self.store,
                fetcher,
                self.paper,
                no_topics,
                settings=self.settings,
                public_url=self.public_url,
                clock=self.clock,
                on_recorded=lambda *taken: self.taken.append(taken),
                chance=lambda: 0.0,
            ) as self.push,
        ):
            self.pages = HubPages(lambda: self.push, lambda: LOOPBACK.max_bytes)
            self.hears = self.push.recorded
            yield
        self.hears = lambda *_: None

    def during(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something while it pushes."""

        async def run() -> None:
            async with self.open():
                await work()

        asyncio.run(run())

    def follow(self, url: str, **wish: Any) -> None:
        self.store.subscribe([Subscription(url, **wish)], self.clock())

    async def poll(self) -> None:
        """Poll every feed; who pushes hears of it."""
        self.store.make_due(self.clock())
        async with (
            Fetcher(LOOPBACK, user_agent="test", now=self.clock) as fetcher,
            Poller(
                self.store,
                fetcher,
                no_topics,
                concurrency=4,
                per_host=4,
                clock=self.clock,
                on_recorded=self.hears,
                chance=lambda: 0.0,
            ) as poller,
        ):
            await poller.run()

    async def call(
        self, method: str, target: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask one of the pages; `headers` are written with `_`."""
        url = urlsplit(target)
        messages = iter([{"type": "http.request", "body": body, "more_body": False}])
        sent: list[dict[str, Any]] = []
        scope = {
            "type": "http",
            "method": method,
            "path": url.path,
            "query_string": url.query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()],
        }

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        await self.pages(scope, receive, send)
        start, end = sent
        return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, end["body"]

    async def ask(self, callback: str, topic: str = ALL, mode: str = "subscribe", **more: str) -> int:
        """Send our hub a request; returns the status."""
        fields = {"hub.mode": mode, "hub.callback": callback, "hub.topic": topic}
        fields |= {f"hub.{name}": value for name, value in more.items()}
        body = urlencode(fields).encode()
        return (await self.call("POST", "/hub", body, content_type=websub.FORM))[0]

    async def subscribed(self, reader: Scripted, path: str = "/in", **more: str) -> None:
        """Ask our hub for a subscription, and wait until it is there."""
        assert await self.ask(reader.url(path), **more) == 202
        await until(lambda: any(row["callback"] == reader.url(path) for row in self.subscribers()))

    def subscribers(self) -> list[dict[str, Any]]:
        return list(self.store.query("SELECT * FROM hub_subscribers ORDER BY id"))

    def subscription(self) -> dict[str, Any]:
        return next(iter(self.store.query("SELECT * FROM hub_subscriptions")), {})

    def state(self) -> FeedState:
        return self.store.feeds()[0].state

    def titles(self) -> list[str]:
        return [str(row["title"]) for row in self.store.query("SELECT title FROM entries ORDER BY id")]


@contextmanager
def a_house(path: Path, clock: Clock, **more: Any) -> Iterator[House]:
    house = House(path, clock, **more)
    with closing(house.store):
        yield house


@pytest.fixture
def house(tmp_path: Path, clock: Clock, server: Server) -> Iterator[House]:
    with a_house(tmp_path / "news.db", clock) as house:
        house.follow(server.url("/feed"))
        yield house


def news(server: Server, *numbers: int) -> None:
    """From now on the feed has these items."""
    server.add("/feed", rss(*(item(number) for number in numbers)))


# ------------------------------------------------------------------------------- out: distribution


def test_a_subscriber_is_sent_the_whole_document_as_soon_as_there_is_news(
    house: House, server: Server, reader: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "LOOK", 60.0)  # it is told, and does not have to look

    async def work() -> None:
        await house.subscribed(reader, "/in?id=7", secret="s€cret")
        (question,) = reader.asked("subscribe")
        assert question["id"] == "7"
        assert question["hub.topic"] == ALL
        assert question["hub.lease_seconds"] == "864000"
        assert not reader.sent  # what was there before is no news
        news(server, 1, 2)
        await house.poll()
        await until(lambda: reader.sent)
        await until(lambda: house.subscribers()[0]["delivered_at"])

    house.during(work)
    (sent,) = reader.sent
    assert sent.path == "/in?id=7"
    assert sent.body == b"Item 2\nItem 1"
    assert sent.header("Content-Type") == "application/atom+xml"
    assert sent.header("Link") == f'<{HOME}/hub>; rel="hub", <{ALL}>; rel="self"'
    assert websub.is_signed("s€cret", sent.body, sent.header("X-Hub-Signature"))
    assert sent.header("Expect") is None


def test_what_is_sent_is_not_sent_again(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        await house.subscribed(reader)
        news(server, 1)
        await house.poll()
        await until(lambda: house.subscribers()[0]["delivered_at"])
        await house.poll()  # nothing new
        house.push.hub.wake()
        news(server, 1, 2)
        await house.poll()
        await until(lambda: len(reader.sent) == 2)

    house.during(work)
    assert [request.body for request in reader.sent] == [b"Item 1", b"Item 1\nItem 2"]
    assert reader.sent[0].header("X-Hub-Signature") is None


def test_news_of_another_program_are_found_in_the_store(
    house: House, server: Server, reader: Scripted
) -> None:
    with a_house(house.path, house.clock) as other:  # such as `aggregator poll`

        async def work() -> None:
            await house.subscribed(reader)
            news(server, 1)
            await other.poll()
            await until(lambda: reader.sent)

        house.during(work)


def test_what_was_committed_before_a_death_is_sent_after_it(
    house: House, server: Server, reader: Scripted
) -> None:
    async def subscribe() -> None:
        await house.subscribed(reader)

    house.during(subscribe)
    news(server, 1)
    asyncio.run(house.poll())
    assert not reader.sent

    async def after() -> None:
        await until(lambda: reader.sent)

    house.during(after)
    assert reader.sent[0].body == b"Item 1"


def test_a_delivery_that_was_broken_off_is_made_at_the_next_start(
    house: House, server: Server, reader: Scripted
) -> None:
    reader.hangs = True

    async def hanging() -> None:
        await house.subscribed(reader)
        news(server, 1)
        await house.poll()
        await until(lambda: reader.sent)

    house.during(hanging)
    assert house.subscribers()[0]["failures"] == 0
    reader.hangs = False

    async def again() -> None:
        await until(lambda: house.subscribers()[0]["delivered_at"])

    house.during(again)
    assert [request.body for request in reader.sent] == [b"Item 1", b"Item 1"]


def test_a_failed_delivery_is_made_later_and_only_of_the_newest_document(
    house: House, server: Server, reader: Scripted
) -> None:
    reader.said = [200, 503]

    async def work() -> None:
        await house.subscribed(reader)
        news(server, 1)
        await house.poll()
        await until(lambda: house.subscribers()[0]["failures"])
        news(server, 1, 2)
        await house.poll()
        await until(lambda: not house.push.hub._news.is_set())
        (row,) = house.subscribers()
        assert (row["failures"], row["last_error"]) == (1, f"{reader.netloc} answered 503")
        assert row["due_at"] == "2025-11-20T12:01:00Z"
        house.clock.forward(minutes=1)
        house.push.hub.wake()
        await until(lambda: house.subscribers()[0]["delivered_at"])

    house.during(work)
    assert [request.body for request in reader.sent] == [b"Item 1", b"Item 1\nItem 2"]
    assert house.subscribers()[0]["failures"] == 0


def test_410_ends_a_subscription(house: House, server: Server, reader: Scripted) -> None:
    reader.said = [200, 410]

    async def work() -> None:
        await house.subscribed(reader)
        news(server, 1)
        await house.poll()
        await until(lambda: not house.subscribers())

    house.during(work)


def test_a_lease_ends(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        await house.subscribed(reader, "/short", lease_seconds="1")
        await house.subscribed(reader, "/long", lease_seconds="999999999")
        house.clock.forward(days=1)
        news(server, 1)
        await house.poll()
        await until(lambda: [row["delivered_at"] for row in house.subscribers() if row["delivered_at"]])
        house.clock.forward(days=29)
        news(server, 1, 2)
        await house.poll()
        await house.subscribed(reader, "/other")  # those that have ended are forgotten meanwhile

    house.during(work)
    assert [request.path for request in reader.sent] == ["/long"]
    assert [row["callback"] for row in house.subscribers()] == [reader.url("/other")]


def test_a_lease_is_renewed_with_another_secret(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        await house.subscribed(reader, secret="old")
        house.clock.forward(days=5)
        assert await house.ask(reader.url("/in"), secret="new") == 202
        await until(lambda: house.subscribers()[0]["secret"] == "new")
        (row,) = house.subscribers()
        assert (row["since"], row["leased_until"]) == ("2025-11-20T12:00:00Z", "2025-12-05T12:00:00Z")
        news(server, 1)
        await house.poll()
        await until(lambda: reader.sent)

    house.during(work)
    assert websub.is_signed("new", b"Item 1", reader.sent[0].header("X-Hub-Signature"))


def test_a_slow_host_holds_nobody_up(
    house: House, server: Server, reader: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "PER_HOST", 1)
    monkeypatch.setattr(push, "SENDING", 2)
    with Scripted() as slow:

        async def work() -> None:
            for number in range(3):
                await house.subscribed(slow, f"/{number}")
            await house.subscribed(reader)
            slow.hangs = True
            news(server, 1)
            await house.poll()
            await until(lambda: reader.sent)
            assert len(slow.sent) == 1

        house.during(work)


def test_whoever_had_to_wait_is_next(
    house: House, server: Server, reader: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "SENDING", 1)
    monkeypatch.setattr(push, "LOOK", 60.0)

    async def work() -> None:
        for number in range(3):
            await house.subscribed(reader, f"/{number}")
        news(server, 1)
        await house.poll()
        await until(lambda: {request.path for request in reader.sent} == {"/0", "/1", "/2"})

    house.during(work)


def test_subscribers_of_a_feed_that_is_no_longer_published_are_told(house: House, reader: Scripted) -> None:
    async def work() -> None:
        await house.subscribed(reader)
        house.paper.published = ["other"]
        house.push.hub.wake()
        await until(lambda: reader.asked("denied"))

    house.during(work)
    assert reader.asked("denied")[0]["hub.topic"] == ALL
    assert not house.subscribers()


# ------------------------------------------------------------------------------- out: who may ask


@pytest.mark.parametrize(
    ("challenge", "status"),
    [
        pytest.param(b"something else", 200, id="another word than the challenge"),
        pytest.param(None, 404, id="not found"),
        pytest.param(None, 302, id="a redirect"),
        pytest.param(None, 500, id="a fault"),
    ],
)
def test_nothing_is_kept_of_who_did_not_mean_it(
    house: House, reader: Scripted, challenge: bytes | None, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "aggregator")
    reader.challenge, reader.said = challenge, [status]

    async def work() -> None:
        assert await house.ask(reader.url("/in")) == 202
        await until(lambda: "was not confirmed" in caplog.text)

    house.during(work)
    assert len(reader.requests) == 1
    assert not house.subscribers()


def test_private_addresses_are_not_called(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "aggregator")
    with Scripted("127.0.0.2") as inner:

        async def work() -> None:
            assert await house.ask(inner.url("/admin")) == 202
            await until(lambda: "which is loopback and therefore refused" in caplog.text)

        house.during(work)
        assert inner.connections == 0
    assert not house.subscribers()


def test_a_subscription_ends_only_when_its_owner_means_it(house: House, reader: Scripted) -> None:
    async def work() -> None:
        await house.subscribed(reader)
        reader.said = [404]
        assert await house.ask(reader.url("/in"), mode="unsubscribe") == 202
        await until(lambda: len(reader.asked("unsubscribe")) == 1)
        assert await house.ask(reader.url("/in"), mode="unsubscribe") == 202
        await until(lambda: not house.subscribers())

    house.during(work)
    assert len(reader.asked("unsubscribe")) == 2


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        pytest.param("GET", b"", {}, 405, id="GET"),
        pytest.param("POST", b"", {"content_type": "text/plain"}, 415, id="no form"),
        pytest.param("POST", b"hub.mode=subscribe", {"content_type": websub.FORM}, 400, id="half of it"),
        pytest.param("POST", b"x" * 17_000, {"content_type": websub.FORM}, 413, id="too long"),
        pytest.param("POST", b"", {"content_type": websub.FORM, "content_length": "17000"}, 413, id="said to be too long"),
        pytest.param("POST", b"", {"content_type": websub.FORM, "origin": "https://evil.example"}, 403, id="a page of somebody else's"),
        pytest.param("POST", b"", {"content_type": websub.FORM, "sec_fetch_site": "cross-site"}, 403, id="a browser"),
    ],
)  # fmt: skip
def test_the_hub_refuses(
    house: House, method: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    async def work() -> None:
        answer = await house.call(method, "/hub", body, **headers)
        assert answer[0] == status
        assert answer[1]["content-type"].startswith("text/plain")
        assert answer[2]

    house.during(work)


def test_only_our_own_feeds_can_be_subscribed_to(house: House, reader: Scripted) -> None:
    async def work() -> None:
        assert await house.ask(reader.url("/in"), topic="https://elsewhere.example/feed") == 404

    house.during(work)
    assert not reader.requests


def test_there_are_as_many_subscriptions_as_can_be_served(
    house: House, reader: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "MOST_OF_HOST", 1)

    async def work() -> None:
        await house.subscribed(reader)
        assert await house.ask(reader.url("/second")) == 503
        assert await house.ask(reader.url("/in"), secret="new") == 202  # it may renew
        await until(lambda: house.subscribers()[0]["secret"])

    house.during(work)


def test_nobody_is_asked_too_often_whether_he_meant_it(house: House, reader: Scripted) -> None:
    async def work() -> None:
        reader.said = [404] * push.QUESTIONS_OF_HOST
        for number in range(push.QUESTIONS_OF_HOST):
            assert await house.ask(reader.url(f"/{number}")) == 202
        assert await house.ask(reader.url("/more")) == 429
        await until(lambda: len(reader.requests) == push.QUESTIONS_OF_HOST)
        house.clock.forward(minutes=1)
        await house.subscribed(reader, "/more")

    house.during(work)


def test_a_rate_counts_in_all_and_for_each() -> None:
    rate, minute = push.Rate(3, 2, timedelta(minutes=1)), timedelta(minutes=1)
    assert [rate.allows(name, NOON) for name in "aaabb"] == [True, True, False, True, False]
    assert [rate.allows(name, NOON + minute) for name in "abbb"] == [True, True, True, False]
    assert rate.allows("a", NOON)  # the clock was put back: nothing of the future counts


# ----------------------------------------------------------------------------------- other hubs


def test_other_hubs_are_told_of_news_and_named_instead(
    tmp_path: Path, clock: Clock, server: Server, reader: Scripted
) -> None:
    settings = PushSettings(hubs=(reader.url("/publish"),))
    with a_house(tmp_path / "news.db", clock, settings=settings) as house:
        house.follow(server.url("/feed"))
        reader.said = [204, 500]

        async def work() -> None:
            status, _, text = await house.call(
                "POST", "/hub", b"hub.mode=subscribe", content_type=websub.FORM
            )
            assert (status, reader.url("/publish") in text.decode()) == (404, True)
            await until(lambda: [row for row in house.subscribers() if row["delivered_at"]])
            news(server, 1)
            await house.poll()
            await until(lambda: house.subscribers()[0]["failures"] == 1)
            house.clock.forward(hours=3)
            house.push.hub.wake()
            await until(lambda: len(reader.sent) == 3)

        house.during(work)
        assert {tuple(form_of(request).items()) for request in reader.sent} == {
            (("hub.mode", "publish"), ("hub.url", ALL))
        }
        house.settings = PushSettings()

        async def without() -> None:
            await until(lambda: not house.subscribers())

        house.during(without)


# ---------------------------------------------------------------------------------- in: subscribing


def naming_a_hub(reader: Scripted, server: Server, *numbers: int, hub: str = "/hub") -> None:
    """From now on the feed has these items and names the reader as its hub."""
    link = f'<{reader.url(hub)}>; rel="hub", <{server.url("/topic")}>; rel="self"'
    server.add("/feed", rss(*(item(number) for number in numbers)), headers={"Link": link})


async def granted(house: House, reader: Scripted, lease: str = "864000") -> str:
    """Wait until our hub is asked, and let it grant a subscription; returns the path of our callback."""
    form = await until(lambda: reader.sent and form_of(reader.sent[-1]))
    query = urlencode(
        {
            "hub.mode": "subscribe",
            "hub.topic": form["hub.topic"],
            "hub.challenge": "<c>",
            "hub.lease_seconds": lease,
        }
    )
    path = urlsplit(form["hub.callback"]).path
    status, headers, body = await house.call("GET", f"{path}?{query}")
    assert (status, headers["content-type"], body) == (200, "application/octet-stream", b"<c>")
    return str(path)


async def pushed(
    house: House, path: str, body: bytes, secret: str | None = None, kind: str = "application/rss+xml"
) -> int:
    """Let the hub send something; returns how we answer."""
    key = secret or house.subscription()["secret"]
    signature = websub.signature(key, body, "sha1")
    status, _, _ = await house.call("POST", path, body, content_type=kind, x_hub_signature=signature)
    return status


def test_a_feed_that_names_a_hub_is_subscribed_to(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        await granted(house, reader)

    house.during(work)
    (asked,) = reader.sent
    assert asked.header("Content-Type") == "application/x-www-form-urlencoded"
    form = form_of(asked)
    assert form.pop("hub.callback").startswith(f"{HOME}/push/")
    assert len(form.pop("hub.secret")) >= 32
    assert form == {"hub.mode": "subscribe", "hub.topic": server.url("/topic"), "hub.lease_seconds": "864000"}
    row = house.subscription()
    assert (row["leased_until"], row["due_at"]) == ("2025-11-30T12:00:00Z", "2025-11-28T12:00:00Z")
    assert (row["failures"], row["trusted"]) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "public_url"),
    [
        pytest.param(PushSettings(subscribe=False), HOME, id="not wished"),
        pytest.param(PushSettings(), None, id="hubs could not reach us"),
    ],
)
def test_it_is_not_where_that_makes_no_sense(
    tmp_path: Path,
    clock: Clock,
    server: Server,
    reader: Scripted,
    settings: PushSettings,
    public_url: str | None,
) -> None:
    with a_house(tmp_path / "news.db", clock, settings=settings, public_url=public_url) as house:
        house.follow(server.url("/feed"))

        async def work() -> None:
            naming_a_hub(reader, server, 1)
            await house.poll()
            assert (await house.call("POST", "/push/x", b"x"))[0] == 410

        house.during(work)
        assert house.state().hub_url == reader.url("/hub")
        assert not house.subscription()
    assert not reader.requests


def test_what_a_hub_sends_is_recorded_and_polls_become_rare(
    house: House, server: Server, reader: Scripted
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        before = house.state()
        assert before.next_poll_at is not None
        assert before.next_poll_at <= house.clock() + 2 * HOUR
        house.clock.forward(minutes=10)
        assert await pushed(house, path, rss(item(2))) == 202  # without what has been sent before
        after = house.state()
        assert after.next_poll_at is not None
        assert after.next_poll_at >= house.clock() + push.SLOWED
        assert after.last_success_at == house.clock()
        only_the_server_knows = {"validators", "body_hash", "last_changed_at", "hub_url", "topic_url", "url"}
        assert all(getattr(after, name) == getattr(before, name) for name in only_the_server_knows)
        assert await pushed(house, path, rss(item(2))) == 202  # again, as hubs do

        house.clock.forward(hours=5)
        naming_a_hub(reader, server, 2, 1)
        await house.poll()  # never stopped; all that it finds is known, so the hub stays trusted
        await until(lambda: (house.state().next_poll_at or NOON) >= house.clock() + push.SLOWED)

    house.during(work)
    assert house.titles() == ["Item 1", "Item 2"]
    assert [outcome[1].entries_new for outcome in house.taken] == [1, 0]
    assert house.subscription()["trusted"] == 1
    assert not house.state().failures


def test_a_feed_whose_hub_misses_something_goes_back_to_its_own_cadence(
    house: House, server: Server, reader: Scripted
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        await pushed(house, path, rss(item(2)))
        house.clock.forward(hours=5)
        naming_a_hub(reader, server, 3, 2, 1)
        await house.poll()
        await until(lambda: not house.subscription()["trusted"])
        state = house.state()
        assert state.next_poll_at is not None
        assert state.next_poll_at < house.clock() + push.SLOWED
        await pushed(house, path, rss(item(4)))  # it speaks again
        assert house.subscription()["trusted"]

    house.during(work)


def test_a_fixed_interval_is_the_operators_word(
    tmp_path: Path, clock: Clock, server: Server, reader: Scripted
) -> None:
    with a_house(tmp_path / "news.db", clock) as house:
        house.follow(server.url("/feed"), every=timedelta(minutes=2))

        async def work() -> None:
            naming_a_hub(reader, server, 1)
            await house.poll()
            await pushed(house, await granted(house, reader), rss(item(2)))
            assert house.state().next_poll_at == clock() + timedelta(minutes=2)
            naming_a_hub(reader, server, 1, 2)
            await house.poll()
            await until(lambda: not house.push.subscriber or not house.push.subscriber._polled)

        house.during(work)
        assert house.state().next_poll_at == clock() + timedelta(minutes=2)
        assert house.titles() == ["Item 1", "Item 2"]


@pytest.mark.parametrize(
    ("body", "secret"),
    [
        pytest.param(rss(item(2)), "not the secret", id="not signed by the hub"),
        pytest.param(b"<html><title>Hello</title></html>", None, id="no feed"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_what_is_not_the_feed_is_dropped_without_a_word(
    house: House,
    server: Server,
    reader: Scripted,
    body: bytes,
    secret: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        before = house.state()
        assert await pushed(house, path, body, secret) == 202
        assert house.state() == before

    house.during(work)
    assert house.titles() == ["Item 1"]
    assert not house.taken
    assert "dropped" in caplog.text
    assert list(house.store.query("SELECT 1 FROM feeds WHERE leased_until IS NOT NULL")) == []


def test_a_hub_is_asked_to_come_again_while_the_feed_is_being_polled(
    house: House, server: Server, reader: Scripted
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        now = house.clock()
        house.store.make_due(now)
        claims = house.store.claim(now, due_by=now, limit=1, per_host=1, lease=HOUR)
        assert await pushed(house, path, rss(item(2))) == 503
        house.store.release(claims)
        assert await pushed(house, path, rss(item(2))) == 202

    house.during(work)
    assert house.titles() == ["Item 1", "Item 2"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        pytest.param({"hub.topic": "https://elsewhere.example/"}, 404, id="another topic"),
        pytest.param({"hub.mode": "unsubscribe"}, 404, id="an end that nobody asked for"),
        pytest.param({"hub.mode": "publish"}, 404, id="another mode"),
        pytest.param({"hub.challenge": ""}, 404, id="no challenge"),
        pytest.param({"hub.reason": "\udcff"}, 400, id="not UTF-8"),
    ],
)
def test_a_hub_is_not_confirmed_what_we_did_not_mean(
    house: House, server: Server, reader: Scripted, query: dict[str, str], status: int
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        form = await until(lambda: reader.sent and form_of(reader.sent[-1]))
        question = {"hub.mode": "subscribe", "hub.topic": form["hub.topic"], "hub.challenge": "c"} | query
        target = f"{urlsplit(form['hub.callback']).path}?{urlencode(question, errors='surrogateescape')}"
        assert (await house.call("GET", target))[0] == status

    house.during(work)
    assert house.subscription()["leased_until"] is None


def test_nobody_comes_in_by_a_guess(house: House) -> None:
    async def work() -> None:
        assert (await house.call("GET", "/push/guess?hub.mode=subscribe&hub.challenge=c"))[0] == 404
        assert (await house.call("POST", "/push/guess", rss(item(1))))[0] == 410
        assert (await house.call("POST", "/push/", rss(item(1))))[0] == 410

    house.during(work)


def test_a_document_that_is_too_large_is_not_read(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        length = str(LOOPBACK.max_bytes + 1)
        assert (await house.call("POST", path, b"", content_length=length))[0] == 413
        assert (await house.call("DELETE", path))[0] == 405

    house.during(work)


def test_a_subscription_is_renewed_before_it_ends(house: House, server: Server, reader: Scripted) -> None:
    async def first() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        await granted(house, reader)

    house.during(first)
    house.clock.forward(days=8)

    async def second() -> None:
        await until(lambda: len(reader.sent) == 2)
        await granted(house, reader)

    house.during(second)
    assert form_of(reader.sent[0]) == form_of(reader.sent[1])
    assert house.subscription()["leased_until"] == "2025-12-08T12:00:00Z"


def test_a_hub_that_fails_is_asked_again_later_and_a_lease_goes_on_meanwhile(
    house: House, server: Server, reader: Scripted
) -> None:
    async def first() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        await granted(house, reader)

    house.during(first)
    house.clock.forward(days=9)
    reader.said = [500, 500, 500]

    for times, hours in ((2, 1), (3, 2), (4, 4)):

        async def failing(times: int = times) -> None:
            await until(lambda: len(reader.sent) == times)
            await until(lambda: house.subscription()["last_error"])

        house.during(failing)
        row = house.subscription()
        assert row["due_at"] == f"2025-11-29T{house.clock().hour + hours:02}:00:00Z"
        assert row["leased_until"] == "2025-11-30T12:00:00Z"
        house.clock.forward(hours=hours)


def test_a_hub_may_send_us_on_to_another(house: House, server: Server, reader: Scripted) -> None:
    reader._answers["/old"] = lambda _: (head(307, {"Location": "/new"}, 0),)

    async def work() -> None:
        naming_a_hub(reader, server, 1, hub="/old")
        await house.poll()
        await until(lambda: len(reader.sent) == 2)
        await granted(house, reader)

    house.during(work)
    assert [request.path for request in reader.sent] == ["/old", "/new"]
    assert reader.sent[0].body == reader.sent[1].body


def test_a_hub_that_sends_us_in_circles_is_left(house: House, server: Server, reader: Scripted) -> None:
    reader._answers["/hub"] = lambda _: (head(308, {"Location": "/hub"}, 0),)

    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        await until(lambda: house.subscription().get("last_error"))

    house.during(work)
    assert len(reader.sent) == push.REDIRECTS


def test_a_denial_is_heard(house: House, server: Server, reader: Scripted) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        query = urlencode({"hub.mode": "denied", "hub.topic": server.url("/topic"), "hub.reason": "closed"})
        assert (await house.call("GET", f"{path}?{query}"))[0] == 200

    house.during(work)
    row = house.subscription()
    assert (row["leased_until"], row["due_at"]) == (None, "2025-11-21T12:00:00Z")
    assert "closed" in row["last_error"]


def test_a_hub_that_the_feed_no_longer_names_is_told_so(
    house: House, server: Server, reader: Scripted
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        naming_a_hub(reader, server, 1, 2, hub="/new")
        await house.poll()
        assert await pushed(house, path, rss(item(3))) == 410
        await until(lambda: len(reader.sent) == 2)
        assert await granted(house, reader) != path
        news(server, 3)
        path = urlsplit(house.subscription()["callback"]).path
        await house.poll()
        assert house.state().hub_url is None
        assert await pushed(house, path, rss(item(4))) == 410

    house.during(work)


def test_a_hub_of_a_feed_that_is_no_longer_followed_is_told_so(
    house: House, server: Server, reader: Scripted
) -> None:
    async def work() -> None:
        naming_a_hub(reader, server, 1)
        await house.poll()
        path = await granted(house, reader)
        house.store.subscribe([], house.clock())
        assert await pushed(house, path, rss(item(2))) == 410

    house.during(work)


# ----------------------------------------------------------------------------------- both at once


@asynccontextmanager
async def served(house: House) -> AsyncIterator[str]:
    """The pages of a house at an address on loopback."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await house.pages(scope, receive, send)

        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
        running = asyncio.create_task(server._serve(sockets=[listener]))
        yield "http://{}:{}".format(*listener.getsockname())
        server.should_exit = True
        await running


def test_two_programs_tell_each_other(tmp_path: Path, clock: Clock, server: Server) -> None:
    """One follows a feed and publishes it; the other follows the first one's feed by push alone."""
    with (
        a_house(tmp_path / "first.db", clock, public_url=None) as first,
        a_house(tmp_path / "second.db", clock) as second,
        Server() as shop_window,
    ):

        async def work() -> None:
            async with served(first) as home, served(second) as second.public_url:
                topic = f"{home}/feeds/all.atom"
                link = f'<{home}/hub>; rel="hub", <{topic}>; rel="self"'
                shop_window.add("/all", rss(item(1)), headers={"Link": link})
                first.paper = Agency(first.store, home)
                first.follow(server.url("/feed"))
                second.follow(shop_window.url("/all"))
                async with first.open(), second.open():
                    news(server, 1)
                    await first.poll()
                    await second.poll()
                    await until(lambda: second.subscription().get("leased_until"))
                    news(server, 1, 2)
                    await first.poll()
                    await until(lambda: second.titles() == ["Item 1", "Item 2"])

        asyncio.run(work())
        assert len(shop_window.requests) == 1
