"""The inward journey, end to end: a real fetcher, a real server, a real store; only the clock is ours."""

import asyncio
import logging
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import cadence, poll
from aggregator.errors import StoreError
from aggregator.fetch import Fetcher
from aggregator.model import (
    Claim,
    EntryText,
    FailureKind,
    FeedState,
    FeedStatus,
    Fetched,
    FetchFailure,
    FetchSettings,
    Identity,
    Known,
    Match,
    NotModified,
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
from tests.server import Answer, Request, Server, Step, head

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


def test_a_sitemap_of_news_is_followed_like_any_feed(newsroom: Newsroom, server: Server) -> None:
    def news(*numbers: int) -> bytes:
        pages = (
            f"<url><loc>https://warta.example/{number}</loc><news:news><news:publication><news:name>Warta</news:name>"
            f"</news:publication><news:publication_date>2025-11-20</news:publication_date>"
            f"<news:title>News {number}</news:title></news:news></url>"
            for number in numbers
        )
        return (
            "<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'"
            f" xmlns:news='http://www.google.com/schemas/sitemap-news/0.9'>{''.join(pages)}</urlset>"
        ).encode()

    url = server.url("/news.xml")
    newsroom.follow(url)
    for numbers in ((2, 1), (3, 2, 1), (4, 3)):
        server.add("/news.xml", news(*numbers))
        assert poll_one(newsroom, url).result is CHANGED
    assert newsroom.query("SELECT title, revision FROM entries ORDER BY title") == [
        (f"News {number}", 1) for number in (1, 2, 3, 4)
    ]
    assert newsroom.state(url).title == "Warta"


def shown(*guids: str, said: str = "") -> bytes:
    """An Atom document with these entries, and what it says besides."""
    entries = (
        f"<entry><id>{guid}</id><title>Title of {guid}</title><link href='https://warta.example/{guid}'/>"
        "<updated>2025-11-19T12:00:00Z</updated></entry>"
        for guid in guids
    )
    return (
        "<feed xmlns='http://www.w3.org/2005/Atom' xmlns:at='http://purl.org/atompub/tombstones/1.0'"
        f" xmlns:fh='http://purl.org/syndication/history/1.0'><title>Warta</title>{said}{''.join(entries)}</feed>"
    ).encode()


def taken_back(newsroom: Newsroom) -> dict[str, str | None]:
    return dict(newsroom.query("SELECT guid, withdrawn_at FROM entries ORDER BY guid"))


def deleted(ref: str, when: str = "") -> str:
    return f"<at:deleted-entry ref='{ref}' when='{when}'/>"


@pytest.mark.parametrize(
    ("document", "withdrawn"),
    [
        pytest.param(shown("b", said=deleted("a", "2025-11-20T12:30:00Z")), "2025-11-20T12:30:00Z", id="says when"),
        pytest.param(shown("b", said=deleted("a")), "2025-11-20T13:00:00Z", id="does not say when"),
        pytest.param(shown("b", said=deleted("a", "2026-11-20T12:30:00Z")), "2025-11-20T13:00:00Z", id="not before now"),
        pytest.param(shown("a", "b", said=deleted("a", "2025-11-20T12:30:00Z")), "2025-11-20T12:30:00Z", id="though it is shown"),
        pytest.param(shown("a", "b", said=deleted("a", "2025-11-18T12:00:00Z")), None, id="and published again"),
        pytest.param(shown("b", said="<fh:complete/>"), "2025-11-20T13:00:00Z", id="not in a complete document"),
        pytest.param(shown("b", "c", "a", said="<fh:complete/>"), None, id="in a complete document"),
        pytest.param(shown("b"), None, id="only no longer shown"),
        pytest.param(shown("b", said=deleted("never-seen")), None, id="another one"),
    ],
)  # fmt: skip
def test_what_its_publisher_takes_back_is_kept_and_marked(
    newsroom: Newsroom, server: Server, clock: Clock, document: bytes, withdrawn: str | None
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", shown("a", "b"))
    poll_one(newsroom, url)
    clock.forward(hours=1)
    before = newsroom.store.version()
    server.add("/feed", document)
    assert poll_one(newsroom, url).result is CHANGED
    back = taken_back(newsroom)
    assert (back.pop("a"), back["b"]) == (withdrawn, None)
    assert back.keys() <= {"b", "c"}, "what was never stored is not stored to be taken back"
    assert (newsroom.store.version() > before) == (withdrawn is not None or "c" in back), (
        "documents are made anew"
    )
    (entry,) = (entry for entry in newsroom.store.entries_after(0, 10) if entry.guid == "a")
    assert (entry.withdrawn_at and entry.withdrawn_at.isoformat()[:19]) == (withdrawn and withdrawn[:19])


@pytest.mark.parametrize(
    "said", [pytest.param(deleted("a"), id="deleted"), pytest.param("<fh:complete/>", id="complete")]
)
def test_what_was_taken_back_may_come_back(
    newsroom: Newsroom, server: Server, clock: Clock, said: str
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    history = []
    for document in (
        shown("a", "b"),
        shown("b", said=said),
        shown("b", "c", said=said),
        shown("a", "b"),
        shown("a", "b", "c"),
        shown("b", "c", said=said),
    ):
        server.add("/feed", document)
        poll_one(newsroom, url)
        history.append(taken_back(newsroom)["a"])
        clock.forward(hours=1)
    assert history == [
        None,
        "2025-11-20T13:00:00Z",
        "2025-11-20T13:00:00Z",
        None,
        None,
        "2025-11-20T17:00:00Z",
    ]
    assert newsroom.query("SELECT revision FROM entries WHERE guid = 'a'") == [(1,)]
    assert newsroom.query("SELECT sum(entries_new), sum(entries_revised) FROM polls") == [(3, 0)]


def test_what_a_delta_and_an_older_page_lack_is_not_taken_back(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", shown("a", "b"), etag='"1"')
    poll_one(newsroom, url)
    clock.forward(hours=1)
    server.add("/feed", shown("c", said="<fh:complete/>"), status=226, headers={"IM": "feed"})
    poll_one(newsroom, url)
    assert taken_back(newsroom) == dict.fromkeys("abc")

    clock.forward(hours=1)
    older = "<fh:complete/>" + deleted("d")
    server.add("/older", shown("c", "d", said=older))
    server.add("/feed", shown("e", said="<link rel='next' href='/older'/><fh:complete/>"))
    poll_one(newsroom, url)
    assert taken_back(newsroom) == dict.fromkeys("abcde")


def test_what_is_shown_by_another_id_is_not_taken_back(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", shown("a", "b"))
    poll_one(newsroom, url)
    renamed = shown("a", "b", said=deleted("a")).replace(b"<id>a</id>", b"<id>c</id>")
    server.add("/feed", renamed)
    poll_one(newsroom, url)
    assert taken_back(newsroom) == dict.fromkeys("ab"), "it is the same entry by its link and title"


def test_a_document_that_only_takes_back_leaves_no_gap(newsroom: Newsroom, server: Server) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", shown("a", "b"))
    poll_one(newsroom, url)
    server.add("/feed", shown(said=deleted("a", "2025-11-20T11:00:00Z") + "<link rel='next' href='/older'/>"))
    poll_one(newsroom, url)
    assert taken_back(newsroom) == {"a": "2025-11-20T11:00:00Z", "b": None}
    assert [request.path for request in server.requests] == ["/feed", "/feed"]


@pytest.mark.parametrize(
    ("read_before", "identity", "asked"),
    [
        pytest.param(NOON, Identity.GUID, True, id="a feed that was read before"),
        pytest.param(None, Identity.GUID, False, id="a first document, of which nothing is stored"),
        pytest.param(NOON, Identity.LINK, False, id="a feed whose ids are not to be trusted"),
    ],
)
def test_what_is_taken_back_is_looked_up_only_where_it_may_be_stored(
    read_before: datetime | None, identity: Identity, asked: bool
) -> None:
    keys: list[str] = []

    def lookup(
        feed_id: int, some: Sequence[str], url_keys: Sequence[int]
    ) -> tuple[tuple[Known, ...], tuple[str, ...]]:
        keys.extend(some)
        return (), ()

    claim = Claim(1, 1, Subscription(URL), FeedState(URL, last_changed_at=read_before, identity=identity))
    document = Fetched(200, URL, shown(said=deleted("a") + deleted("b")))
    assert poll.think(document, claim, lookup, no_topics()).changes == ()
    assert keys == (["a", "b"] if asked else [])


async def pass_in_real_time(newsroom: Newsroom, spacing: timedelta) -> None:
    """One pass by the machine's own clock, for what waits in it."""
    async with (
        asyncio.timeout(10),
        Fetcher(LOOPBACK, user_agent="test") as fetcher,
        Poller(
            newsroom.store,
            fetcher,
            no_topics,
            concurrency=4,
            per_host=2,
            spacing=spacing,
            clock=lambda: datetime.now(UTC),
        ) as poller,
    ):
        await poller.run()


def test_a_pass_waits_for_a_host_to_rest_and_leaves_none_of_its_feeds_out(
    newsroom: Newsroom, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.polls.OWN_MACHINE", "0")  # loopback stands for any other host
    urls = [server.url("/1"), server.url("/2")]
    newsroom.follow(*urls)
    for path in ("/1", "/2"):
        server.add(path, rss(item(1)))

    asyncio.run(pass_in_real_time(newsroom, timedelta(seconds=1)))
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


def test_entries_that_retention_removed_are_known(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(2), item(1)))
    newsroom.poll()
    clock.forward(days=9)
    server.add("/feed", rss())
    newsroom.poll()
    assert newsroom.store.prune(clock(), timedelta(days=2)) == 2
    server.add("/feed", paged(item(6), item(5), older=server.url("/2")))
    server.add("/2", paged(item(4), item(3), item(2), older=server.url("/never")))
    newsroom.poll()
    assert [request.path for request in server.requests][2:] == ["/feed", "/2"]
    assert newsroom.query("SELECT guid FROM entries ORDER BY id") == [("g3",), ("g4",), ("g5",), ("g6",)]

    server.add("/feed", paged(item(2), older=server.url("/never")))
    newsroom.poll()
    assert server.requests[-1].path == "/feed", "it meets what had been stored"


def library(server: Server, newest: int, *, each: int = 2) -> None:
    """A feed in pages: `/feed`, `/p1`, `/p2` …, each with so many entries, the newest first."""
    for page, first in enumerate(range(newest, 0, -each)):
        items = [item(number) for number in range(first, max(first - each, 0), -1)]
        server.add(f"/p{page}" if page else "/feed", paged(*items, older=server.url(f"/p{page + 1}")))


def stored(newsroom: Newsroom) -> list[int]:
    return sorted(int(guid.removeprefix("g")) for (guid,) in newsroom.query("SELECT guid FROM entries"))


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_older_page_that_cannot_be_read_is_asked_for_again(
    newsroom: Newsroom, server: Server, clock: Clock, status: int
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    library(server, 2)
    newsroom.poll()
    clock.forward(hours=1)
    library(server, 12)
    server.add("/p3", status=status)
    assert poll_one(newsroom, url).result is CHANGED
    assert stored(newsroom) == [1, 2, 7, 8, 9, 10, 11, 12], "what could be read is not held back"
    assert newsroom.state(url).status is FeedStatus.ACTIVE

    clock.forward(hours=1)
    library(server, 15)  # by now other entries stand on each page
    server.add("/p3", status=status)
    newsroom.poll()
    clock.forward(hours=1)
    library(server, 15)
    asked = len(server.requests)
    assert poll_one(newsroom, url).result is UNCHANGED
    assert newsroom.recorded[url].entries_new > 0
    assert stored(newsroom) == list(range(1, 16))
    assert [request.path for request in server.requests[asked:]] == ["/feed", "/p3", "/p4", "/p5", "/p6"]
    clock.forward(hours=1)
    newsroom.poll()
    assert server.requests[-1].path == "/feed", "nothing is missing any more"


def test_a_burst_upon_a_gap_hides_nothing_of_it(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    library(server, 2)
    newsroom.poll()
    clock.forward(hours=1)
    library(server, 8)
    server.add("/p2", status=503)
    newsroom.poll()
    assert stored(newsroom) == [1, 2, 5, 6, 7, 8]
    clock.forward(hours=1)
    library(server, 14)  # two pages of it are known, for the last poll has read them
    newsroom.poll()
    assert stored(newsroom) == list(range(1, 15))


@pytest.mark.parametrize(
    ("days", "asked"), [pytest.param(6, True, id="for days"), pytest.param(8, False, id="not for ever")]
)
def test_how_long_an_older_page_is_asked_for(
    newsroom: Newsroom, server: Server, clock: Clock, days: int, asked: bool
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    library(server, 2)
    newsroom.poll()
    library(server, 6)
    server.add("/p1", status=503)
    newsroom.poll()
    clock.forward(days=days)
    library(server, 6)
    newsroom.poll()
    assert (stored(newsroom) == list(range(1, 7))) == asked
    assert newsroom.state(url).gap_url is None


def test_a_pause_that_an_older_page_asks_for_is_kept(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    url, other = server.url("/feed"), server.url("/other")
    newsroom.follow(url, other)
    library(server, 2)
    server.add("/other", rss(item(1)))
    newsroom.poll()
    library(server, 6)
    server.add("/p1", status=429, headers={"Retry-After": "36000"})
    newsroom.poll()
    assert newsroom.outcomes[url].result is CHANGED
    for feed in (url, other):
        due = newsroom.state(feed).next_poll_at
        assert due is not None
        assert due >= clock() + timedelta(hours=10)
    clock.forward(hours=9)
    assert newsroom.poll() == {}


def test_a_host_rests_between_older_pages(
    newsroom: Newsroom, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.polls.OWN_MACHINE", "0")  # loopback stands for any other host
    newsroom.follow(server.url("/feed"))
    library(server, 2)
    newsroom.poll()
    library(server, 8)
    came: list[float] = []

    def noted(answer: Answer) -> Answer:
        def note(request: Request) -> Iterable[Step]:
            came.append(time.monotonic())
            return answer(request)

        return note

    for page in ("/p1", "/p2", "/p3"):
        server._answers[page] = noted(server._answers[page])

    newsroom.store.make_due(datetime.now(UTC))
    asyncio.run(pass_in_real_time(newsroom, timedelta(seconds=0.3)))
    assert len(came) == 3
    assert min(after - before for before, after in pairwise(came)) > 0.25


def test_older_pages_and_other_feeds_of_a_host_wait_for_each_other(newsroom: Newsroom, clock: Clock) -> None:
    newsroom.follow("http://a.example/1", "http://a.example/2", "http://b.example/")
    store, second = newsroom.store, timedelta(seconds=1)

    def claim() -> list[Claim]:
        lease = timedelta(minutes=10)
        return list(
            store.claim(
                clock(), due_by=clock(), limit=9, per_host=2, lease=lease, spacing=second, among=[1, 2]
            )
        )

    def turn(claim: Claim, host: str = "a.example") -> bool:
        return store.take_turn(claim, host, clock(), second)

    (walking,) = claim()
    assert not turn(walking), "it has just been asked for its document"
    assert turn(walking, "b.example"), "its pages may lie elsewhere"
    clock.forward(seconds=1)
    assert turn(walking)
    assert claim() == []
    clock.forward(seconds=1)
    (other,) = claim()
    assert not turn(walking)
    clock.forward(seconds=1)
    store.release([walking])
    assert not turn(replace(walking, fence=walking.fence - 1)), "somebody else has claimed it since"
    assert turn(other)


@pytest.mark.parametrize("status", [pytest.param(226, id="deltas"), pytest.param(200, id="whole documents")])
def test_what_comes_in_deltas_is_no_gap_and_keeps_its_rhythm(
    newsroom: Newsroom, server: Server, clock: Clock, status: int
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    entries = [item(number, published=clock() + timedelta(minutes=30) * number) for number in range(-19, 1)]
    for number in range(1, 20):
        newest = entries[-2:] if status == 226 and number > 1 else entries[-20:]
        document = paged(*reversed(newest), older=server.url("/never"))
        server.add("/feed", document, status=status if number > 1 else 200, etag=f'"{number}"')
        newsroom.poll()
        state = newsroom.state(url)
        assert state.per_day == pytest.approx(48, rel=0.2)
        assert state.length == 20
        clock.forward(hours=1)
        entries += [
            item(number, published=clock() - timedelta(minutes=5)),
            item(-99 - number, published=clock()),
        ]
    assert len(stored(newsroom)) == 56
    assert {request.path for request in server.requests} == {"/feed"}


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


@pytest.mark.parametrize(
    ("status", "said", "hours"),
    [
        pytest.param(304, None, 9, id="a 304 that does not mention it"),
        pytest.param(304, "max-age=18000", 5, id="a 304 with another time"),
        pytest.param(304, "no-cache", None, id="a 304 that takes it back"),
        pytest.param(200, "max-age=18000", 5, id="the same bytes with another time"),
        pytest.param(200, None, None, id="the same bytes without"),
    ],
)
def test_how_long_answers_stay_fresh(
    newsroom: Newsroom, server: Server, clock: Clock, status: int, said: str | None, hours: int | None
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)), etag='"1"', headers={"Cache-Control": "max-age=32400"})
    newsroom.poll()
    assert newsroom.state(url).fresh_until == clock() + timedelta(hours=9)
    clock.forward(hours=10)
    headers = {} if said is None else {"Cache-Control": said}
    server.add("/feed", rss(item(1)), etag='"1"' if status == 304 else '"2"', headers=headers)
    assert poll_one(newsroom, url).http_status == status
    state = newsroom.state(url)
    assert state.fresh_until == (None if hours is None else clock() + timedelta(hours=hours))
    assert state.fresh_for == (None if hours is None else timedelta(hours=hours))


def test_freshness_counts_from_the_answer_and_not_from_the_question(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    body = rss(item(1))

    def slowly(_: object) -> Iterator[bytes]:
        clock.forward(seconds=5)
        yield head(200, {"Cache-Control": "max-age=86400"}, len(body)) + body

    server._answers["/feed"] = slowly
    newsroom.poll()
    due = newsroom.state(url).next_poll_at
    assert due is not None
    assert due >= NOON + timedelta(days=1, seconds=5)


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


def a_page_with_a_feed(server: Server) -> None:
    server.add("/a/feed", site("/feed"))


def a_page_without(server: Server) -> None:
    server.add("/a/feed", b"<!doctype html><title>Back soon</title>")


def a_broken_document(server: Server) -> None:
    server.add("/a/feed", b"<rss><chan")


def the_home_page(server: Server) -> None:
    server.add("/a/feed", status=302, headers={"Location": "/"})
    server.add("/", site("/feed"))


def a_parked_domain(server: Server) -> None:
    server.add("/a/feed", status=301, headers={"Location": "/"})
    server.add("/", site("/feed"))


@pytest.mark.parametrize(
    "goes_down", [a_page_with_a_feed, a_page_without, a_broken_document, the_home_page, a_parked_domain]
)
def test_where_a_feed_was_read_no_other_takes_its_place(
    newsroom: Newsroom, server: Server, clock: Clock, goes_down: Callable[[Server], None]
) -> None:
    url = server.url("/a/feed")
    newsroom.follow(url)
    document = rss(item(1), title="Warta: a")
    server.add("/a/feed", document)
    server.add("/feed", rss(item(2), title="Warta"))
    newsroom.poll()
    goes_down(server)
    asked = len(server.requests)
    for _ in range(5):
        clock.forward(days=1)
        outcome = poll_one(newsroom, url)
        assert (outcome.result, outcome.failure) == (FAILED, FailureKind.NOT_A_FEED)
    assert {request.path for request in server.requests[asked:]} <= {"/a/feed", "/"}, "and nothing is guessed"
    server.add("/a/feed", document)
    assert poll_one(newsroom, url).result is UNCHANGED
    state = newsroom.state(url)
    assert (state.url, state.title, state.status) == (url, "Warta: a", FeedStatus.ACTIVE)


def test_a_feed_that_moved_is_not_replaced_either(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    old, new = server.url("/old"), server.url("/new")
    newsroom.follow(old)
    server.add("/old", status=301, headers={"Location": "/new"})
    server.add("/new", rss(item(1)))
    for _ in range(3):
        newsroom.poll()
        clock.forward(days=1)
    assert newsroom.state(old).url == new
    server.add("/new", status=404)
    server.add("/old", site("/feed"))
    server.add("/feed", rss(item(1), item(2)))
    for _ in range(3):
        assert poll_one(newsroom, old).result is FAILED
        clock.forward(days=1)
    assert newsroom.state(old).url == new
    server.add("/old", rss(item(1), item(2)))  # here it is again
    assert poll_one(newsroom, old).result is CHANGED
    assert newsroom.state(old).url == old


def test_a_site_that_has_another_feed_now_is_not_taken_for_the_same(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)))
    newsroom.poll()
    server.add("/rss.xml", status=410)
    server.add("/", site("/ads.xml"))
    server.add("/ads.xml", rss(item(7, "Buy"), title="Ads"))
    for _ in range(3):
        assert poll_one(newsroom, home).result is FAILED
        clock.forward(days=1)
    assert "/ads.xml" in {request.path for request in server.requests}
    assert (newsroom.state(home).url, newsroom.state(home).title) == (server.url("/rss.xml"), "Warta")
    assert newsroom.query("SELECT guid FROM entries") == [("g1",)]


def test_a_host_that_asks_for_a_pause_is_asked_for_no_further_feed(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", status=429, headers={"Retry-After": "36000"})
    assert poll_one(newsroom, home).failure is FailureKind.NOT_A_FEED
    assert [request.path for request in server.requests] == ["/", "/rss.xml"]
    due = newsroom.state(home).next_poll_at
    assert due is not None
    assert due >= clock() + timedelta(hours=10)


def test_a_site_may_become_the_feed_itself(newsroom: Newsroom, server: Server) -> None:
    home = server.url("/")
    newsroom.follow(home)
    server.add("/", site("/rss.xml"))
    server.add("/rss.xml", rss(item(1)))
    newsroom.poll()
    assert newsroom.state(home).discovered
    server.add("/rss.xml", status=410)
    server.add("/", rss(item(2), item(1)))
    assert poll_one(newsroom, home).result is CHANGED
    state = newsroom.state(home)
    assert (state.url, state.discovered) == (home, False)


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


@pytest.mark.parametrize(
    ("target", "adopted"),
    [
        pytest.param(rss(item(1), title="Warta Baru"), True, id="an entry is known"),
        pytest.param(rss(item(9)), True, id="its title is the same"),
        pytest.param(rss(item(9), title="Another"), False, id="neither: another feed"),
        pytest.param(rss(title=""), False, id="nothing stands in it"),
    ],
)
def test_a_redirect_is_adopted_only_to_the_same_feed(
    newsroom: Newsroom, server: Server, clock: Clock, target: bytes, adopted: bool
) -> None:
    old, new = server.url("/old"), server.url("/new")
    newsroom.follow(old)
    server.add("/old", rss(item(1)))
    newsroom.poll()
    server.add("/old", status=301, headers={"Location": "/new"})
    server.add("/new", target, etag='"1"')
    for _ in range(6):  # what has come by the redirect is no proof for it
        clock.forward(days=1)
        newsroom.poll()
        server.add("/new", target + b"<!-- again -->")
    state = newsroom.state(old)
    assert (state.url, state.moved_to) == ((new, None) if adopted else (old, new))
    assert adopted or (state.title, state.moved_times) == ("Warta", 0)


def test_an_outage_is_summed_up_until_there_is_news(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    url = server.url("/feed")
    newsroom.follow(url)
    server.add("/feed", rss(item(1)), etag='"1"')
    newsroom.poll()
    for days in (3, 6):
        clock.forward(days=1)
        server.add("/feed", status=503)
        newsroom.poll()
        clock.forward(days=days)
        newsroom.poll()
        server.add("/feed", rss(item(1)), etag='"1"')
        assert poll_one(newsroom, url).result is NOT_MODIFIED
    assert newsroom.state(url).outage == timedelta(days=9)
    server.add("/feed", rss(item(2), item(1)))
    newsroom.poll()
    assert newsroom.state(url).outage == timedelta()


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


def test_stop_does_not_wait_for_what_takes_long_to_record(
    newsroom: Newsroom, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is rolled back, and given back to be polled again at the next start."""
    monkeypatch.setattr(poll, "RECORDING", 0.02)
    number = 30
    newsroom.settings = replace(LOOPBACK, per_host=number, concurrency=number)
    newsroom.follow(*(server.url(f"/{path}") for path in range(number)))
    recording = threading.Event()

    def slow_disk() -> None:
        if len(server.requests) == number:
            recording.set()
            time.sleep(0.02)

    newsroom.give_way = slow_disk

    async def run() -> None:
        async with asyncio.timeout(10), newsroom.poller() as poller:
            await poller.start_due()
            while not recording.is_set():  # noqa: ASYNC110 – set in the worker
                await asyncio.sleep(0.005)
            await poller.stop(grace=0)

    asyncio.run(run())
    ((recorded,),) = newsroom.query("SELECT count(*) FROM polls")
    assert recorded < number
    assert len(newsroom.outcomes) == recorded
    assert newsroom.query("SELECT count(*) FROM feeds WHERE leased_until IS NOT NULL") == [(0,)]
    assert newsroom.store.count_due(newsroom.clock()) == number - recorded


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

URL = "https://a.example/feed"
WHEN = st.datetimes(NOON.replace(tzinfo=None) - timedelta(days=400), NOON.replace(tzinfo=None)).map(
    lambda moment: moment.replace(tzinfo=NOON.tzinfo)
)
STATES = st.builds(
    FeedState,
    url=st.just(URL),
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
    after = after_nothing_new(state, NotModified(Validators('"2"'), fresh, moved), NOON, NOON)
    kept = ("title", "body_hash", "identity", "last_changed_at", "length", "hint", "next_poll_at")
    assert {name: getattr(after, name) for name in kept} == {name: getattr(state, name) for name in kept}
    assert (after.status, after.failures, after.last_error) == (FeedStatus.ACTIVE, 0, None)
    assert after.validators == Validators('"2"')
    assert (after.per_day or 0) <= (state.per_day or 0)


@given(STATES, FRESH, MOVED)
def test_a_move_takes_confirmation(state: FeedState, fresh: timedelta | None, moved: str | None) -> None:
    after = after_nothing_new(state, Fetched(200, URL, b"", fresh_for=fresh, moved_to=moved), NOON, NOON)
    if after.url != state.url:
        assert after.url == moved == state.moved_to
        assert state.moved_since is not None
        assert NOON - state.moved_since >= timedelta(days=1)
        assert state.moved_times >= 1, "seen twice, and both times with the feed that was read before"
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

    parsed = ParsedFeed(entries=tuple(EntryData(published_at=date) for date in dates))
    thought = poll.Thought(parsed, Identity.LINK, ())
    document = Fetched(200, state.url, b"", fresh_for=fresh, validators=Validators('"2"'))
    after = after_document(state, document, thought, b"hash", NOON, NOON)
    assert (after.status, after.failures, after.failing_since) == (FeedStatus.ACTIVE, 0, None)
    assert (after.title, after.validators, after.body_hash) == (state.title, Validators('"2"'), b"hash")
    assert (after.last_changed_at, after.length, after.identity) == (NOON, len(dates), Identity.LINK)
    planned = cadence.next_poll(after, every=None, now=NOON, chance=0.0).next_poll_at
    assert planned is not None
    assert planned >= NOON + cadence.BUSIEST
