"""Pauses that servers ask for (`Retry-After`): who waits, for how long, and that nothing makes anybody ask earlier."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from aggregator.model import PollResult, Subscription
from tests.conftest import NOON, Clock, item, rss
from tests.server import Server
from tests.test_poll import LOOPBACK, Newsroom, paged

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SPREAD = 1.05
"""What the tests' chance of one half adds to a pause."""


@pytest.fixture
def newsroom(tmp_path: Path, clock: Clock) -> Iterator[Newsroom]:
    newsroom = Newsroom(tmp_path / "news.db", clock)
    with closing(newsroom.store):
        yield newsroom


def of_host(server: Server, name: str, path: str) -> str:
    """An address of the server under another name; every name below `localhost` is this machine (RFC 6761)."""
    return server.url(path).replace("127.0.0.1", f"{name}.localhost")


def asks_for_a_pause(server: Server, path: str, seconds: object, status: int = 503) -> None:
    server.add(path, status=status, headers={"Retry-After": str(seconds)})


def due_at(newsroom: Newsroom, url: str) -> datetime:
    due = newsroom.state(url).next_poll_at
    assert due is not None
    return due


@pytest.mark.parametrize(
    "wish",
    [
        pytest.param("30", id="half a minute"),
        pytest.param("0", id="none"),
        pytest.param("Thu, 20 Nov 2025 11:00:00 GMT", id="in the past"),
    ],
)
def test_a_quiet_feeds_short_pause_is_short_for_its_neighbours(
    newsroom: Newsroom, server: Server, clock: Clock, wish: str
) -> None:
    quiet, busy = server.url("/quiet"), server.url("/busy")
    newsroom.follow(quiet, busy)
    server.add("/quiet", rss(item(1, published=NOON - 900 * HOUR), item(2, published=NOON - 1800 * HOUR)))
    server.add("/busy", rss(*(item(n, published=NOON - n * 5 * MINUTE) for n in range(20))))
    newsroom.poll()
    asks_for_a_pause(server, "/quiet", wish)
    for _ in range(4):  # its own back-off grows, which is nobody else's
        newsroom.poll()
        assert due_at(newsroom, quiet) > clock() + 20 * HOUR
        assert due_at(newsroom, busy) < clock() + HOUR
        clock.forward(seconds=40)


def test_who_answered_is_left_alone_not_who_led_there(newsroom: Newsroom, server: Server) -> None:
    here = {path: of_host(server, "a", path) for path in ("/moves", "/stays")}
    there = of_host(server, "b", "/there")
    newsroom.follow(*here.values(), there)
    server.add("/moves", status=302, headers={"Location": of_host(server, "b", "/limited")})
    for path in ("/stays", "/there"):
        server.add(path, rss(item(1)))
    newsroom.poll()
    asks_for_a_pause(server, "/limited", 36_000, status=429)
    newsroom.poll()
    assert newsroom.poll().keys() == {here["/stays"]}
    newsroom.clock.forward(hours=10 * SPREAD)
    assert newsroom.poll().keys() == {*here.values(), there}


def test_an_older_page_asks_for_a_pause_as_well(newsroom: Newsroom, server: Server) -> None:
    here, there = of_host(server, "a", "/here"), of_host(server, "b", "/there")
    newsroom.follow(here, there)
    for path in ("/here", "/there"):
        server.add(path, rss(item(1)))
    newsroom.poll()
    # It shares nothing with the one before.
    server.add("/here", paged(item(9), older=of_host(server, "b", "/page")))
    asks_for_a_pause(server, "/page", 36_000, status=429)
    newsroom.clock.forward(hours=1)
    assert newsroom.poll()[here].result is PollResult.CHANGED
    assert newsroom.poll() == {}
    assert due_at(newsroom, here) >= due_at(newsroom, there) == newsroom.clock() + 10 * HOUR * SPREAD


@pytest.mark.parametrize("scope", ["host", "feed"])
def test_nothing_shortens_a_pause(newsroom: Newsroom, server: Server, clock: Clock, scope: str) -> None:
    url = server.url("/a")
    newsroom.settings = replace(LOOPBACK, retry_after=scope)
    newsroom.follow(url)
    asks_for_a_pause(server, "/a", 36_000, status=429)
    newsroom.poll()
    until = clock() + 10 * HOUR * SPREAD
    assert due_at(newsroom, url) == until

    newsroom.follow(Subscription(url, every=10 * MINUTE))
    assert newsroom.poll() == {}  # asked for by name or with --all
    newsroom.follow()
    newsroom.follow(Subscription(url, every=5 * MINUTE))
    assert newsroom.poll() == {}  # left out of the configuration meanwhile
    assert due_at(newsroom, url) == until

    clock.now = until - MINUTE
    assert newsroom.poll() == {}
    clock.now = until
    assert newsroom.poll().keys() == {url}


def test_a_feed_that_is_added_during_its_hosts_pause_waits(
    newsroom: Newsroom, server: Server, clock: Clock
) -> None:
    old, new = server.url("/old"), server.url("/new")
    newsroom.follow(old)
    asks_for_a_pause(server, "/old", 3600)
    server.add("/new", rss(item(1)))
    newsroom.poll()
    until = due_at(newsroom, old)
    clock.forward(minutes=10)
    newsroom.follow(old, new)
    assert newsroom.poll() == {}
    assert due_at(newsroom, new) == until
    clock.now = until
    assert newsroom.poll()[new].result is PollResult.CHANGED


def test_the_longer_of_two_pauses_holds(newsroom: Newsroom, server: Server, clock: Clock) -> None:
    first, second, third = (server.url(f"/{n}") for n in range(3))
    newsroom.follow(first, second)
    # Both are asked at once: the first answer must not be undone by the second.
    asks_for_a_pause(server, "/0", 36_000)
    asks_for_a_pause(server, "/1", 3600)
    newsroom.poll()
    newsroom.follow(first, second, third)
    clock.forward(hours=9)
    assert newsroom.poll() == {}
    assert {due_at(newsroom, url) for url in (first, second, third)} == {NOON + 10 * HOUR * SPREAD}


def test_a_pause_that_is_cut_is_told(
    newsroom: Newsroom, server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("/a", "user:secret")
    newsroom.follow(url)
    asks_for_a_pause(server, "/a", 432_000)
    newsroom.poll()
    assert due_at(newsroom, url) == clock() + 48 * HOUR * SPREAD
    (told,) = caplog.messages
    assert "asks for a pause of 120 hours, and is asked again after 48" in told
    assert "secret" not in told
