"""The inward journey, end to end: a real fetcher, a real server, a real store; only the clock is ours."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import cadence, poll
from aggregator.errors import StoreError
from aggregator.fetch import Fetcher
from aggregator.model import (
    EntryText,
    FailureKind,
    FeedState,
    FeedStatus,
    Fetched,
    FetchFailure,
    FetchSettings,
    Identity,
    Match,
    ParsedFeed,
    PollOutcome,
    PollResult,
    Subscription,
    Tag,
    Validators,
)
from aggregator.poll import Poller, after_document, after_failure, after_nothing_new
from aggregator.store import Recorded, Store, open_store
from aggregator.topics import Ruleset, compile_topics
from tests.conftest import NOON, Clock, item, rss, site
from tests.server import Server

LOOPBACK = FetchSettings(allow_addresses=(ip_network("127.0.0.1"),))
CHANGED, UNCHANGED, NOT_MODIFIED, FAILED = PollResult


def no_topics() -> Ruleset:
    return compile_topics((), lambda name: pytest.fail(f"no pack {name} is wanted"))


@dataclass
class Newsroom:
    """A store and what a pass over it did."""

    path: Path
    clock: Clock
    busy_timeout: timedelta = timedelta(seconds=5)
    ruleset: Callable[[], Ruleset] = no_topics
    on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None
    settings: FetchSettings = LOOPBACK
    give_way: Callable[[], None] = lambda: None
    outcomes: dict[str, PollOutcome] = field(default_factory=dict)
    recorded: dict[str, Recorded] = field(default_factory=dict)
    unrecorded: int = 0

    def __post_init__(self) -> None:
        self.store: Store = open_store(self.path, busy_timeout=self.busy_timeout)

    def follow(self, *urls: str | Subscription) -> None:
        wishes = [url if isinstance(url, Subscription) else Subscription(url) for url in urls]
        self.store.subscribe(wishes, self.clock())

    @asynccontextmanager
    async def poller(self) -> AsyncIterator[Poller]:
        def recorded(outcome: PollOutcome, result: Recorded) -> None:
            self.outcomes[outcome.claim.subscription.url] = outcome
            self.recorded[outcome.claim.subscription.url] = result
            self.on_recorded(outcome, result)

        async with (
            Fetcher(self.settings, user_agent="test", now=self.clock) as fetcher,
            Poller(
                self.store,
                fetcher,
                self.ruleset,
                concurrency=self.settings.concurrency,
                per_host=self.settings.per_host,
                clock=self.clock,
                on_recorded=recorded,
                chance=lambda: 0.5,
                budget=self.settings.budget,
                retry_after=self.settings.retry_after,
                give_way=self.give_way,
            ) as poller,
        ):
            yield poller

    def poll(self) -> dict[str, PollOutcome]:
        """One pass over every feed; outcomes by subscription."""
        self.outcomes.clear()
        self.store.make_due(self.clock())

        async def run() -> None:
            async with asyncio.timeout(10), self.poller() as poller:
                await poller.run()
                self.unrecorded = poller.unrecorded

        asyncio.run(run())
        return self.outcomes

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in self.store.query(statement)]

    def state(self, url: str) -> FeedState:
        return next(feed.state for feed in self.store.feeds() if feed.subscription.url == url)


@pytest.fixture
def newsroom(tmp_path: Path, clock: Clock) -> Iterator[Newsroom]:
    newsroom = Newsroom(tmp_path / "news.db", clock)
    with closing(newsroom.store):
        yield newsroom


def poll_one(newsroom: Newsroom, url: str) -> PollOutcome:
    return newsroom.poll()[url]


# ------------------------------------------------------------------------------------- what comes


@pytest.mark.parametrize(
    ("budget", "hours"),
    [
        pytest.param(None, 1, id="no budget: as often as its rhythm is worth"),
        pytest.param(14, 2, id="twelve requests a day are left for it"),
        pytest.param(1, 24, id="too small: daily"),
    ],
)
def test_a_budget_is_spent(
    newsroom: Newsroom, server: Server, clock: Clock, budget: int | None, hours: float
) -> None:
    rhythmic, fixed = server.url("/rhythmic"), server.url("/fixed")
    newsroom.settings = replace(LOOPBACK, budget=budget)
    newsroom.follow(rhythmic, Subscription(fixed, every=timedelta(hours=12)))
    dates = [clock() - timedelta(hours=2 * n + 1) for n in range(40)]
    document = rss(*(item(n, published=date) for n, date in enumerate(dates)))
    server.add("/rhythmic", document, etag='"1"')
    server.add("/fixed", document, etag='"1"')
    newsroom.poll()
    newsroom.poll()  # the rhythm is known from the first on
    interval = newsroom.state(rhythmic).interval
    assert interval is not None
    assert interval / timedelta(hours=hours) == pytest.approx(1, rel=0.12)
    assert newsroom.state(fixed).interval == timedelta(hours=12)


def test_an_hour_of_day_is_learned_and_kept(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    dates = [clock() - timedelta(days=n, minutes=30) for n in range(30)]  # from 11 to 12 every day
    server.add("/feed", rss(*(item(n, published=date) for n, date in enumerate(dates))))
    after = poll_one(newsroom, url).state
    assert newsroom.state(url) == after
    hours, _ = cadence.factors(after.profile)
    assert max(hours) == hours[11] > 4


def test_new_then_unchanged_then_new_and_revised(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1), item(2)))
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.recorded[url] == Recorded(True, 2, 0)

    clock.forward(hours=1)
    assert poll_one(newsroom, url).result is UNCHANGED
    assert newsroom.recorded[url] == Recorded(True, 0, 0)

    clock.forward(hours=1)
    server.add("/feed", rss(item(3), item(2, "Item 2, corrected"), item(1)))
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.recorded[url] == Recorded(True, 1, 1)
    assert newsroom.query("SELECT guid, title, revision FROM entries ORDER BY guid") == [
        ("g1", "Item 1", 1),
        ("g2", "Item 2, corrected", 2),
        ("g3", "Item 3", 1),
    ]
    assert newsroom.query("SELECT title FROM revisions") == [("Item 2",)]
    assert newsroom.query("SELECT result, entries_new, entries_revised, http_status FROM polls") == [
        ("changed", 2, 0, 200),
        ("unchanged", 0, 0, 200),
        ("changed", 1, 1, 200),
    ]


def paged(*items: str, older: str | None = None) -> bytes:
    """An RSS document that names the page with what came before."""
    link = f'<a:link xmlns:a="http://www.w3.org/2005/Atom" rel="next" href="{older}"/>' if older else ""
    return rss(*items).replace(b"<description/>", f"<description/>{link}".encode(), 1)


def test_a_pass_waits_for_a_host_to_rest_and_leaves_none_of_its_feeds_out(
    newsroom: Newsroom, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.polls.OWN_MACHINE", "0")  # loopback stands for any other host
    urls = [server.url("/1"), server.url("/2")]
    newsroom.follow(*urls)
    for path in ("/1", "/2"):
        server.add(path, rss(item(1)))

    async def run() -> None:
        async with (
            asyncio.timeout(10),
            Fetcher(LOOPBACK, user_agent="test") as fetcher,
            Poller(
                newsroom.store,
                fetcher,
                no_topics,
                concurrency=4,
                per_host=2,
                spacing=timedelta(seconds=1),
                clock=lambda: datetime.now(UTC),
            ) as poller,
        ):
            await poller.run()

    asyncio.run(run())
    assert sorted(request.path for request in server.requests) == ["/1", "/2"]


class Stumbling(Ruleset):
    """Rules that fail on one entry."""

    def match(self, entry: EntryText) -> tuple[tuple[Tag, ...], tuple[Match, ...]]:
        if "2" in entry.title:
            raise ZeroDivisionError
        return super().match(entry)


def test_an_entry_we_fail_to_read_takes_no_other_with_it(
    newsroom: Newsroom, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(3), item(2), item(1)))
    newsroom.ruleset = lambda: Stumbling((), ())
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.query("SELECT guid FROM entries ORDER BY guid") == [("g1",), ("g3",)]
    assert "is left out: g2" in caplog.text

    newsroom.ruleset = no_topics  # mended
    server.add("/feed", rss(item(3), item(2), item(1)) + b"<!-- again -->")
    newsroom.poll()
    assert newsroom.query("SELECT count(*) FROM entries") == [(3,)]


def test_what_an_outage_hid_is_fetched_from_older_pages(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", paged(item(2), item(1), older=server.url("/never")))
    newsroom.poll()
    server.add("/feed", paged(item(8), item(7), older=server.url("/2")))
    server.add("/2", paged(item(6), item(5), older=server.url("/3")))
    server.add("/3", paged(item(4), item(3), item(2), older=server.url("/never")))
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.recorded[url] == Recorded(True, 6, 0)
    assert [request.path for request in server.requests] == ["/feed", "/feed", "/2", "/3"]
    listed = newsroom.query("SELECT guid FROM entries ORDER BY id")
    assert [guid for (guid,) in listed] == ["g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8"]


@pytest.mark.parametrize(
    "older",
    [
        pytest.param("/feed", id="round in a circle"),
        pytest.param("/missing", id="to a page that is not there"),
    ],
)
def test_older_pages_that_lead_nowhere_do_no_harm(newsroom: Newsroom, server: Server, older: str) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)))
    newsroom.poll()
    server.add("/feed", paged(item(3), item(2), older=server.url(older)))
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.recorded[url] == Recorded(True, 2, 0)


def test_a_silent_feed_is_asked_for_the_whole_document_once_a_week(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)), etag='"1"')
    newsroom.poll()
    with closing(sqlite3.connect(newsroom.path)) as other, other:
        other.execute("UPDATE feeds SET silent_since = '2025-11-20T12:00:00Z'")
    asked = []
    for _ in range(16):
        clock.forward(days=1)
        newsroom.poll()
        asked.append(server.requests[-1].header("If-None-Match"))
    assert [day for day, header in enumerate(asked, 1) if header is None] == [7, 14]


def test_the_same_entries_in_another_document_are_neither_new_nor_revised(
    newsroom: Newsroom, server: Server
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1), item(2)))
    newsroom.poll()
    server.add("/feed", rss(item(2), item(1)) + b"<!-- made at 12:05 -->")
    assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.recorded[url] == Recorded(True, 0, 0)
    assert newsroom.query("SELECT count(*) FROM revisions") == [(0,)]


def test_an_entry_that_left_the_feed_is_told_from_one_that_is_still_in_it(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1), item(2)))
    newsroom.poll()
    clock.forward(hours=1)
    server.add("/feed", rss(item(2), item(3)))
    newsroom.poll()
    clock.forward(hours=1)
    newsroom.poll()  # unchanged: what is in the feed stays in it
    listed = "SELECT guid FROM entries e JOIN feeds f ON f.id = feed_id WHERE last_seen_at = last_changed_at"
    assert newsroom.query(listed) == [("g2",), ("g3",)]


@pytest.mark.parametrize(
    ("given", "header"),
    [
        pytest.param({"etag": 'W/"a-gzip"'}, "If-None-Match", id="etag"),
        pytest.param({"last_modified": "Thu, 20 Nov 2025 11:00:00 GMT"}, "If-Modified-Since", id="date"),
    ],
)
def test_a_second_poll_is_conditional(
    newsroom: Newsroom, server: Server, given: dict[str, str], header: str
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)), **given)  # type: ignore[arg-type]
    newsroom.poll()
    assert poll_one(newsroom, url).result is NOT_MODIFIED
    assert server.requests[1].header(header) == next(iter(given.values()))
    assert newsroom.state(url).http_status == 304


def test_new_validators_of_the_same_bytes_are_kept(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)), etag='"1"')
    newsroom.poll()
    server.add("/feed", rss(item(1)), etag='"2"')
    assert poll_one(newsroom, url).result is UNCHANGED
    assert newsroom.state(url).validators.etag == '"2"'


def test_no_validators_of_a_document_that_is_no_feed(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", b"<!doctype html><p>Under construction", etag='"1"')
    outcome = poll_one(newsroom, url)
    assert (outcome.result, outcome.failure) == (FAILED, FailureKind.NOT_A_FEED)
    newsroom.poll()
    assert server.requests[-1].header("If-None-Match") is None


def test_no_validators_without_the_entries_they_came_with(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    poison(newsroom.path)
    server.add("/feed", rss(item(1, "poison")), etag='"1"')
    outcome = poll_one(newsroom, url)
    assert (outcome.result, outcome.failure) == (FAILED, FailureKind.INTERNAL)
    assert newsroom.state(url).validators == Validators()


# ----------------------------------------------------------------------------------- what goes wrong


def test_a_failing_feed_keeps_its_history_and_leaves_others_alone(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    good, bad = server.url("/good"), server.url("/bad")
    newsroom.follow(good, bad)
    server.add("/good", rss(item(1)))
    server.add("/bad", rss(item(2), title="Bad"), etag='"1"')
    newsroom.poll()
    clock.forward(hours=1)
    server.add("/good", rss(item(1), item(3)))
    server.add("/bad", b"oops", status=500)
    outcomes = newsroom.poll()
    assert (outcomes[good].result, outcomes[bad].result) == (CHANGED, FAILED)
    state = newsroom.state(bad)
    assert state.status is FeedStatus.FAILING
    assert (state.title, state.validators.etag, state.failing_since) == ("Bad", '"1"', clock())
    assert state.last_error == f"{server.netloc} has a fault of its own (500)"
    assert newsroom.query("SELECT guid FROM entries ORDER BY guid") == [("g1",), ("g2",), ("g3",)]
    assert newsroom.query("SELECT error, failure FROM polls WHERE error IS NOT NULL") == [
        (state.last_error, "http-5xx")
    ]

    clock.forward(hours=1)
    server.add("/bad", rss(item(2), title="Bad"), etag='"1"')
    assert newsroom.poll()[bad].result is NOT_MODIFIED
    state = newsroom.state(bad)
    assert (state.status, state.failures, state.last_error, state.failing_since) == ("active", 0, None, None)


def test_nobody_there(newsroom: Newsroom) -> None:
    with Server() as server:
        url = server.url("/feed")
    newsroom.follow(url)
    assert poll_one(newsroom, url).failure is FailureKind.CONNECT


def test_a_fault_of_ours_is_an_outcome_and_names_no_password(
    newsroom: Newsroom, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Ruleset:
        raise ZeroDivisionError("while reading http://reader:canary@warta.example/")

    newsroom.ruleset = broken
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)))
    with caplog.at_level(logging.ERROR):
        outcome = poll_one(newsroom, url)
    assert outcome.failure is FailureKind.INTERNAL
    assert newsroom.query("SELECT error FROM polls") == [
        (
            "a fault of aggregator itself: ZeroDivisionError('while reading http://***@warta.example/'); see the log",
        )
    ]
    assert caplog.records[0].exc_info is not None


def test_a_poll_has_a_time_limit(newsroom: Newsroom, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(poll, "POLL_LIMIT", timedelta(seconds=0.2))
    url = server.url("/hangs")
    newsroom.follow(url)
    server.play("/hangs", 60.0)
    outcome = poll_one(newsroom, url)
    assert (outcome.result, outcome.failure) == (FAILED, FailureKind.TIMEOUT)


def poison(path: Path) -> None:
    """Let the database refuse an entry of this title, as a broken rule of ours would."""
    with closing(sqlite3.connect(path)) as db:
        db.execute(
            "CREATE TRIGGER poison BEFORE INSERT ON entries WHEN new.title = 'poison' "
            "BEGIN SELECT raise(ABORT, 'poison'); END"
        )


def test_what_cannot_be_recorded_does_not_take_others_with_it(newsroom: Newsroom, server: Server) -> None:
    urls = [server.url(f"/{number}") for number in range(5)]
    newsroom.follow(*urls)
    poison(newsroom.path)
    for number in range(5):
        server.add(f"/{number}", rss(item(number, "poison" if number == 2 else "good")))
    outcomes = newsroom.poll()
    assert [outcomes[url].result for url in urls] == [CHANGED, CHANGED, FAILED, CHANGED, CHANGED]
    assert newsroom.state(urls[2]).last_error == "its entries could not be stored; see the log"
    assert newsroom.query("SELECT count(*) FROM entries") == [(4,)]


def test_a_busy_store_costs_a_poll_and_nothing_else(
    tmp_path: Path, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    newsroom = Newsroom(tmp_path / "news.db", clock, busy_timeout=timedelta(milliseconds=50))
    url = server.url("/feed")
    server.add("/feed", rss(item(1)), etag='"1"')
    with closing(newsroom.store), closing(sqlite3.connect(newsroom.path, isolation_level=None)) as other:
        newsroom.follow(url)

        async def run() -> int:
            async with asyncio.timeout(10), newsroom.poller() as poller:
                assert await poller.start_due() == 1
                other.execute("BEGIN IMMEDIATE")
                while poller.in_flight:  # noqa: ASYNC110 – the poller tells nobody; the time is limited above
                    await asyncio.sleep(0.01)
                return poller.unrecorded

        assert asyncio.run(run()) == 1
        other.execute("ROLLBACK")
        assert "1 polls could not be recorded" in caplog.text
        assert newsroom.query("SELECT count(*) FROM polls") == [(0,)]
        assert newsroom.poll() == {}  # the lease still holds
        clock.forward(minutes=11)
        assert poll_one(newsroom, url).result is CHANGED
        assert newsroom.recorded[url].entries_new == 1


def test_a_fault_in_who_is_told_leaves_nobody_waiting(
    newsroom: Newsroom, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    newsroom.on_recorded = broken
    urls = [server.url(f"/{number}") for number in range(3)]
    newsroom.follow(*urls)
    for number in range(3):
        server.add(f"/{number}", rss(item(number)))
    newsroom.poll()
    assert "a fault of ours while recording" in caplog.text
    assert newsroom.query("SELECT count(*) FROM entries") == [(3,)]


# -------------------------------------------------------------------------------- finding and moving


def test_the_feed_of_a_site_is_found_and_stays_known(newsroom: Newsroom, server: Server) -> None:
    home, feed = server.url("/"), server.url("/rss.xml")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)), etag='"1"')
    assert poll_one(newsroom, home).result is CHANGED
    assert newsroom.query("SELECT url, subscription_url FROM feeds") == [(feed, home)]
    assert poll_one(newsroom, home).result is NOT_MODIFIED
    assert [request.path for request in server.requests] == ["/", "/rss.xml", "/rss.xml"]


@pytest.mark.parametrize("status", [404, 410])
def test_a_discovered_address_that_died_is_looked_for_again(
    newsroom: Newsroom, server: Server, status: int
) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)), etag='"1"')
    newsroom.poll()
    server.add("/rss.xml", status=status)
    server.add("/", site("/new.xml"))
    server.add("/new.xml", rss(item(1), item(2)))
    assert poll_one(newsroom, home).result is CHANGED
    assert newsroom.recorded[home] == Recorded(True, 1, 0)
    assert newsroom.state(home).url == server.url("/new.xml")


def a_page(server: Server) -> None:
    server.add("/rss.xml", b"<!doctype html><p>This domain is for sale")


def no_tls(server: Server) -> None:
    server.add("/rss.xml", status=302, headers={"Location": f"https://{server.netloc}/"})


def in_a_circle(server: Server) -> None:
    server.add("/rss.xml", status=302, headers={"Location": "/rss.xml"})


def refused(server: Server) -> None:
    server.add("/rss.xml", status=302, headers={"Location": "http://10.0.0.1/"})


def refuses(server: Server) -> None:
    server.add("/rss.xml", status=302, headers={"Location": "http://127.0.0.1:9/"})


@pytest.mark.parametrize("dies", [a_page, no_tls, in_a_circle, refused, refuses])
def test_a_discovered_address_that_stays_dead_is_looked_for_again_once_a_day(
    newsroom: Newsroom, server: Server, clock: Clock, dies: Callable[[Server], None]
) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)), etag='"1"')
    newsroom.poll()
    dies(server)
    looked: list[int] = []
    for hour in range(0, 60, 5):
        before = len(server.requests)
        assert poll_one(newsroom, home).result is FAILED
        looked += [hour for request in server.requests[before:] if request.path == "/"]
        assert newsroom.state(home).url == server.url("/rss.xml")
        clock.forward(hours=5)
    assert looked == [25, 50]

    server.add("/", site("/new.xml"))
    server.add("/new.xml", rss(item(1), item(2)))
    clock.forward(days=1)
    assert poll_one(newsroom, home).result is CHANGED
    assert newsroom.state(home).url == server.url("/new.xml")


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_a_discovered_address_that_may_come_back_is_not_looked_for_elsewhere(
    newsroom: Newsroom, server: Server, clock: Clock, status: int
) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)))
    newsroom.poll()
    server.add("/rss.xml", status=status)
    for _ in range(4):
        newsroom.poll()
        clock.forward(days=1)
    assert [request.path for request in server.requests] == ["/", *["/rss.xml"] * 5]


def test_a_subscribed_address_that_died_is_not_looked_for_elsewhere(
    newsroom: Newsroom, server: Server
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/", site("/other.xml"))
    server.add("/other.xml", rss(item(1)))
    assert poll_one(newsroom, url).failure is FailureKind.CLIENT
    assert [request.path for request in server.requests] == ["/feed"]


def test_a_page_without_a_feed(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/")
    newsroom.follow(url)
    server.add("/", site("/missing.xml"))
    outcome = poll_one(newsroom, url)
    assert outcome.failure is FailureKind.NOT_A_FEED
    assert newsroom.state(url).url == url


@pytest.mark.parametrize(
    ("status", "adopted"),
    [(301, True), (308, True), (302, False), (303, False), (307, False)],
)
def test_only_a_lasting_redirect_is_adopted(
    newsroom: Newsroom, server: Server, clock: Clock, status: int, adopted: bool
) -> None:
    old, new = server.url("/old"), server.url("/new")
    newsroom.follow(old)
    server.add("/old", status=status, headers={"Location": "/new"})
    server.add("/new", rss(item(1)))
    addresses = []
    for _ in range(4):
        newsroom.poll()
        addresses.append(newsroom.state(old).url)
        clock.forward(hours=12, minutes=1)
    assert addresses == ([old, old, new, new] if adopted else [old] * 4)
    assert newsroom.query("SELECT count(*) FROM entries") == [(1,)]


def test_a_redirect_that_ends_is_forgotten(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    old = server.url("/old")
    newsroom.follow(old)
    server.add("/new", rss(item(1)))
    for answer in (301, 200, 301):
        body = {} if answer == 200 else {"headers": {"Location": "/new"}}
        server.add("/old", rss(item(1)) if answer == 200 else b"", status=answer, **body)  # type: ignore[arg-type]
        newsroom.poll()
        clock.forward(days=2)
    state = newsroom.state(old)
    assert (state.url, state.moved_times) == (old, 1)


# ------------------------------------------------------------------------------ many, and the end


def test_requests_to_one_host_are_limited(newsroom: Newsroom, server: Server) -> None:
    urls = [server.url(f"/{number}") for number in range(8)]
    newsroom.follow(*urls)
    for number in range(8):
        server.add(f"/{number}", rss(item(number)), delay=0.02)
    assert len(newsroom.poll()) == 8
    assert server.peak == newsroom.settings.per_host == 2


def test_more_feeds_than_there_is_room_for(newsroom: Newsroom, server: Server) -> None:
    newsroom.settings = replace(newsroom.settings, concurrency=2)
    urls = [server.url(f"/{number}") for number in range(30)]
    newsroom.follow(*urls)
    for number in range(30):
        server.add(f"/{number}", rss(item(number)))
    assert {outcome.result for outcome in newsroom.poll().values()} == {CHANGED}
    assert len(newsroom.outcomes) == len(server.requests) == 30


def test_what_has_been_read_does_not_wait_for_all_that_is_to_be_read(
    newsroom: Newsroom, server: Server
) -> None:
    number, read, at_first = 30, [0], []

    def rules() -> Ruleset:
        time.sleep(0.02)  # reading takes its time
        read[0] += 1
        return no_topics()

    newsroom.ruleset = rules
    newsroom.on_recorded = lambda *_: at_first.append(read[0])
    newsroom.settings = replace(newsroom.settings, per_host=number)
    newsroom.follow(*(server.url(f"/{one}") for one in range(number)))
    for one in range(number):
        server.add(f"/{one}", rss(item(one)))
    newsroom.poll()
    assert len(at_first) == number
    assert at_first[0] < number * 2 / 3


def test_the_worker_gives_way_before_each_piece_of_work(newsroom: Newsroom, server: Server) -> None:
    places = []
    newsroom.give_way = lambda: places.append(threading.current_thread())
    newsroom.follow(*(server.url(f"/{one}") for one in range(3)))
    for one in range(3):
        server.add(f"/{one}", rss(item(one)))
    newsroom.poll()
    assert len(places) > 3
    assert threading.main_thread() not in places


def test_there_is_room_again_when_half_has_ended(newsroom: Newsroom, server: Server) -> None:
    newsroom.settings = replace(newsroom.settings, concurrency=2, per_host=4)
    newsroom.follow(*(server.url(f"/{one}") for one in range(9)))
    for one in range(9):
        server.add(f"/{one}", rss(item(one)))

    async def run() -> list[int]:
        began: list[int] = []
        async with asyncio.timeout(10), newsroom.poller() as poller:
            while sum(began) < 9:
                began.append(await poller.start_due())
                assert poller.in_flight <= 4
                await poller.freed(None)
            await poller.freed(timedelta(milliseconds=10))  # nothing happens any more: it comes back
        return began

    began = asyncio.run(run())
    assert began[0] == 4
    assert all(2 <= number <= 4 for number in began[:-1])


def test_stop_gives_back_what_hangs_and_records_what_is_done(newsroom: Newsroom, server: Server) -> None:
    hanging, quick = server.url("/hangs"), server.url("/quick")
    newsroom.follow(hanging, quick)
    server.play("/hangs", 60.0)
    server.add("/quick", rss(item(1)))

    async def run() -> float:
        async with asyncio.timeout(10), newsroom.poller() as poller:
            assert await poller.start_due() == 2
            began = time.monotonic()
            await poller.stop(grace=0.3)
            assert await poller.start_due() == 0
            return time.monotonic() - began

    assert asyncio.run(run()) < 2
    assert set(newsroom.outcomes) == {quick}
    assert newsroom.query("SELECT count(*) FROM feeds WHERE leased_until IS NOT NULL") == [(0,)]
    assert newsroom.query("SELECT count(*) FROM polls") == [(1,)]


def test_stop_does_not_wait_longer_than_needed(newsroom: Newsroom, server: Server) -> None:
    newsroom.follow(server.url("/feed"))
    server.add("/feed", rss(item(1)))

    async def run() -> float:
        async with newsroom.poller() as poller:
            await poller.start_due()
            began = time.monotonic()
            await poller.stop(grace=8)
            return time.monotonic() - began

    assert asyncio.run(run()) < 4
    assert newsroom.query("SELECT count(*) FROM entries") == [(1,)]


def test_who_gives_up_while_claiming_leaves_nothing_claimed(newsroom: Newsroom, server: Server) -> None:
    newsroom.follow(server.url("/hangs"))
    server.play("/hangs", 60.0)

    async def run() -> None:
        async with asyncio.timeout(10), newsroom.poller() as poller:
            claiming = asyncio.create_task(poller.start_due())
            await asyncio.sleep(0)
            claiming.cancel()
            with pytest.raises(asyncio.CancelledError):
                await claiming
            await poller.stop(grace=0)

    asyncio.run(run())
    assert newsroom.query("SELECT fence, leased_until FROM feeds") == [(1, None)]


def test_two_pollers_share_the_work(newsroom: Newsroom, server: Server) -> None:
    urls = [server.url(f"/{number}") for number in range(20)]
    newsroom.follow(*urls)
    for number in range(20):
        server.add(f"/{number}", rss(item(number)))

    async def run() -> None:
        async with asyncio.timeout(10), newsroom.poller() as one, newsroom.poller() as other:
            await asyncio.gather(one.run(), other.run())

    asyncio.run(run())
    assert sorted(request.path for request in server.requests) == sorted(f"/{n}" for n in range(20))


def test_a_store_that_cannot_be_read_is_an_error_to_who_asked(newsroom: Newsroom) -> None:
    newsroom.follow("http://127.0.0.1:9/feed")
    with closing(sqlite3.connect(newsroom.path)) as db:
        db.execute("ALTER TABLE feeds RENAME TO gone")

    async def run() -> None:
        async with newsroom.poller() as poller:
            await poller.start_due()

    with pytest.raises(StoreError):
        asyncio.run(run())


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/warta", "/warta", id="a feed"),
        pytest.param("/", "/warta", id="a site"),
        pytest.param("/none", FailureKind.CLIENT, id="nothing there"),
        pytest.param("/plain", FailureKind.NOT_A_FEED, id="a page without a feed"),
        pytest.param("/misleading", FailureKind.NOT_A_FEED, id="a page that names none that works"),
    ],
)
def test_find_feed(server: Server, path: str, expected: str | FailureKind) -> None:
    server.add("/warta", rss(item(1)))
    server.add("/", site("/warta"))
    server.add("/plain", b"<!doctype html><p>Nothing")
    server.add("/misleading", site("/plain"))

    async def run() -> tuple[str, ParsedFeed] | FetchFailure:
        async with Fetcher(LOOPBACK, user_agent="test") as fetcher:
            return await poll.find_feed(fetcher, server.url(path))

    found = asyncio.run(run())
    if isinstance(found, FetchFailure):
        assert found.kind is expected
    else:
        assert (found[0], found[1].title) == (server.url(str(expected)), "Warta")


# ------------------------------------------------------------------------------------------- laws

WHEN = st.datetimes(NOON.replace(tzinfo=None) - timedelta(days=400), NOON.replace(tzinfo=None)).map(
    lambda moment: moment.replace(tzinfo=NOON.tzinfo)
)
STATES = st.builds(
    FeedState,
    url=st.just("https://a.example/feed"),
    title=st.none() | st.just("A"),
    status=st.sampled_from([FeedStatus.ACTIVE, FeedStatus.FAILING, FeedStatus.GONE]),
    last_error=st.none() | st.just("it failed"),
    failures=st.floats(0, 50),
    failing_since=st.none() | WHEN,
    validators=st.builds(Validators, etag=st.none() | st.just('"1"')),
    body_hash=st.none() | st.binary(min_size=16, max_size=16),
    identity=st.sampled_from(Identity),
    last_polled_at=st.none() | WHEN,
    last_success_at=st.none() | WHEN,
    last_changed_at=st.none() | WHEN,
    per_day=st.none() | st.floats(0.01, 500),
    length=st.none() | st.integers(0, 200),
    moved_to=st.none() | st.just("https://b.example/feed"),
    moved_since=st.none() | WHEN,
    moved_times=st.integers(0, 3),
)
FRESH = st.none() | st.timedeltas(timedelta(), timedelta(days=3))
MOVED = st.none() | st.sampled_from(
    ["https://a.example/feed", "https://b.example/feed", "https://c.example/"]
)


@given(STATES, st.sampled_from(FailureKind))
def test_a_failure_forgets_nothing_and_weighs_more(state: FeedState, kind: FailureKind) -> None:
    after = after_failure(state, FetchFailure(kind, "it failed", 500), NOON)
    assert after.failures > state.failures
    assert after.failing_since == (state.failing_since or NOON)
    assert after.status is (FeedStatus.GONE if kind is FailureKind.GONE else FeedStatus.FAILING)
    assert after == replace(
        state,
        status=after.status,
        http_status=500,
        last_error="it failed",
        failures=after.failures,
        failing_since=after.failing_since,
        last_polled_at=NOON,
    )


@given(STATES, FRESH, MOVED)
def test_nothing_new_changes_nothing_that_a_document_says(
    state: FeedState, fresh: timedelta | None, moved: str | None
) -> None:
    after = after_nothing_new(state, 304, Validators('"2"'), fresh, moved, NOON)
    kept = ("title", "body_hash", "identity", "last_changed_at", "length", "hint", "next_poll_at")
    assert {name: getattr(after, name) for name in kept} == {name: getattr(state, name) for name in kept}
    assert (after.status, after.failures, after.last_error) == (FeedStatus.ACTIVE, 0, None)
    assert after.validators == Validators('"2"')
    assert (after.per_day or 0) <= (state.per_day or 0)


@given(STATES, FRESH, MOVED)
def test_a_move_takes_confirmation(state: FeedState, fresh: timedelta | None, moved: str | None) -> None:
    after = after_nothing_new(state, 200, Validators(), fresh, moved, NOON)
    if after.url != state.url:
        assert after.url == moved == state.moved_to
        assert state.moved_since is not None
        assert NOON - state.moved_since >= timedelta(days=1)
        assert state.moved_times >= 1
        assert (after.moved_to, after.moved_times) == (None, 0)
    elif moved in (None, state.url):
        assert (after.moved_to, after.moved_since, after.moved_times) == (None, None, 0)
    else:
        assert after.moved_to == moved


@given(STATES, st.lists(WHEN, max_size=30), FRESH)
def test_a_document_ends_every_trouble_and_is_planned_ahead(
    state: FeedState, dates: list[Any], fresh: timedelta | None
) -> None:
    from aggregator.model import EntryData

    parsed = ParsedFeed("rss-2.0", entries=tuple(EntryData(published_at=date) for date in dates))
    thought = poll.Thought(parsed, Identity.LINK, ())
    document = Fetched(200, state.url, b"", fresh_for=fresh, validators=Validators('"2"'))
    after = after_document(state, document, thought, b"hash", NOON)
    assert (after.status, after.failures, after.failing_since) == (FeedStatus.ACTIVE, 0, None)
    assert (after.title, after.validators, after.body_hash) == (state.title, Validators('"2"'), b"hash")
    assert (after.last_changed_at, after.length, after.identity) == (NOON, len(dates), Identity.LINK)
    planned = cadence.next_poll(after, every=None, now=NOON, chance=0.0).next_poll_at
    assert planned is not None
    assert planned >= NOON + cadence.BUSIEST
