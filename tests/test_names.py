"""Names that a stranger's server resolves as it likes: the real resolver, asked by the real libcurl.

`tests/nameserver.py` says how. The scenarios run in namespaces of their own, so what they find comes back as JSON.
"""

import asyncio
import itertools
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator.fetch import Fetcher
from aggregator.fetch.domain import registrable_domain
from aggregator.model import Fetched, FetchFailure
from tests import nameserver
from tests.conftest import NOON, Clock, item, rss
from tests.nameserver import Names
from tests.server import Server
from tests.test_poll import LOOPBACK, Newsroom

needs_namespaces = pytest.mark.skipif(
    not nameserver.can_be_made(), reason="this machine does not let us make namespaces"
)

OWN = "127.0.0.2"
"""Stands for the operator's own network; LOOPBACK allows 127.0.0.1 alone, which stands for the web."""


def fetched(url: str) -> str:
    """Fetch by a fetcher that knows no address yet: how it ended."""

    async def run() -> Any:
        async with Fetcher(LOOPBACK, user_agent="test") as fetcher:
            return await fetcher.fetch(url)

    result = asyncio.run(run())
    if isinstance(result, FetchFailure):
        return f"{result.kind.value}: {result.message}"
    assert isinstance(result, Fetched)
    return result.body.decode()


def rebinding(names: Names) -> Any:
    """A name that is on the web when it is first asked for, and in our own network ever after."""
    with Server() as web, Server(host=OWN, port=web.port) as own:
        for server, body in ((web, b"news"), (own, b"secret")):
            server.add("/feed", body)
        url = f"http://rebind.example:{web.port}/feed"
        names.set("rebind.example", ["127.0.0.1"], [OWN])
        found = [fetched(url), fetched(url)]
        names.set("both.example", [OWN, "127.0.0.1"])
        found.append(fetched(url.replace("rebind", "both")))
        names.set("moves.example", ["127.0.0.1"], [OWN])
        web.add("/moves", status=302, headers={"Location": url.replace("rebind", "inside")})
        names.set("inside.example", [OWN])
        found.append(fetched(f"http://moves.example:{web.port}/moves"))
        return {"found": found, "asked": names.asked, "own": len(own.requests)}


@needs_namespaces
def test_the_address_that_is_judged_is_the_one_that_is_connected_to() -> None:
    played = nameserver.played(__name__, "rebinding")

    first, second, both, redirected = played["found"]
    assert first == "news"
    assert second.startswith("address: rebind.example")
    assert OWN in second
    assert both == "news"  # the address that is allowed will do
    assert redirected.startswith("address: inside.example")
    assert played["own"] == 0
    # Asked once for each fetch: there is no second answer that could differ from the judged one.
    assert played["asked"] == {
        "rebind.example": 2,
        "both.example": 1,
        "moves.example": 1,
        "inside.example": 1,
    }


def nobody_answers(names: Names) -> Any:
    """How long it takes to close a fetcher, and for how long that stops the loop, while names are looked up."""
    names.silent = True
    for number in range(5):
        names.set(f"n{number}.example", [OWN])

    async def run() -> dict[str, float]:
        fetcher = Fetcher(LOOPBACK, user_agent="test")
        fetching = [asyncio.create_task(fetcher.fetch(f"http://n{number}.example/")) for number in range(5)]
        while len(names.asked) < 5:  # noqa: ASYNC110 – the server lives in another thread
            await asyncio.sleep(0.01)
        for task in fetching[:2]:
            task.cancel()
        began = time.monotonic()
        await fetcher.aclose()
        closed = time.monotonic()
        await asyncio.gather(*fetching, return_exceptions=True)
        pauses = [began, closed]
        for _ in range(10):
            await asyncio.sleep(0.01)
            pauses.append(time.monotonic())
        longest = max(after - before for before, after in itertools.pairwise(pauses))
        return {"closing": closed - began, "longest pause": longest}

    return {**asyncio.run(run()), "ended": time.monotonic()}


@needs_namespaces
def test_nobody_waits_for_name_servers_that_do_not_answer() -> None:
    played = nameserver.played(__name__, "nobody_answers")

    assert played["closing"] < 0.5
    assert played["longest pause"] < 0.5
    assert time.monotonic() - played["ended"] < 1, "the end of the program"


PAUSED = ("blog.tumblr.com", "other.tumblr.com", "news.example.org")


def a_pause_for(names: Names) -> Any:
    """Which feeds wait when the first one's server says so, by the setting `fetch.retry_after`."""
    waiting = {}
    for scope in ("feed", "host", "domain"):
        with Server() as server, tempfile.TemporaryDirectory() as folder:
            urls = [f"http://{name}:{server.port}/{name}" for name in PAUSED]
            urls.insert(1, f"http://{PAUSED[0]}:{server.port}/second")
            for name in PAUSED:
                names.set(name, ["127.0.0.1"])
                server.add(f"/{name}", rss(item(1)))
            server.add("/second", rss(item(2)))
            newsroom = Newsroom(
                Path(folder) / "news.db", Clock(), settings=replace(LOOPBACK, retry_after=scope)
            )
            with closing(newsroom.store):
                newsroom.follow(*urls)
                newsroom.poll()
                server.add(f"/{PAUSED[0]}", status=429, headers={"Retry-After": str(40 * 3600)})
                newsroom.poll()
                asked_again = NOON + timedelta(hours=40)
                states = [newsroom.state(url) for url in urls]
                waiting[scope] = [state.next_poll_at >= asked_again for state in states if state.next_poll_at]
    return waiting


@needs_namespaces
def test_a_pause_holds_for_as_much_as_the_setting_says() -> None:
    assert nameserver.played(__name__, "a_pause_for") == {
        "feed": [True, False, False, False],
        "host": [True, True, False, False],
        "domain": [True, True, True, False],
    }


@pytest.mark.parametrize(
    ("host", "domain"),
    [
        pytest.param("example.org", "example.org", id="itself"),
        pytest.param("a.b.Example.co.uk:8080", "example.co.uk", id="below a suffix of two names"),
        pytest.param("www.kompas.co.id", "kompas.co.id", id="Indonesia"),
        pytest.param("someone.blogspot.com", "blogspot.com", id="a platform"),
        pytest.param("berita.example", None, id="no registry known"),
        pytest.param("co.uk", None, id="a suffix itself"),
        pytest.param("localhost", None, id="this machine"),
        pytest.param("192.0.2.7", None, id="an address"),
        pytest.param("[2001:db8::7]:80", None, id="an IPv6 address"),
    ],
)
def test_who_registered_it(host: str, domain: str | None) -> None:
    assert registrable_domain(f"https://{host}/feed") == domain
