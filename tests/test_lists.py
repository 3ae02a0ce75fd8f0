"""Remote lists of feeds: followed as if they stood in feeds.yaml, and kept in step. A real server, a real store."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator import config, lists
from aggregator.app import Aggregator
from aggregator.model import FeedStatus, ListState, RemoteList, Subscription
from tests.conftest import NOON, Clock, configure
from tests.server import CLOSE, Server

A, B, C = (f"https://{name}.example/feed" for name in "abc")


def opml(*feeds: str, folder: str = "") -> bytes:
    outlines = "".join(f"<outline text='{url[8]}' xmlUrl='{url}'/>" for url in feeds)
    if folder:
        outlines = f"<outline text='{folder}'>{outlines}</outline>"
    return f"<opml version='2.0'><body>{outlines}</body></opml>".encode()


class Reader:
    """A program that follows the list `/list` of a server, and what it makes of it."""

    def __init__(self, folder: Path, server: Server, clock: Clock) -> None:
        self.folder, self.server, self.clock = folder, server, clock
        self.aggregator = Aggregator(self.settings(), clock=clock)
        self.aggregator.subscribe()

    def settings(self, *feeds: str | dict[str, Any], **keys: Any) -> Any:
        path = configure(self.folder, *feeds, **{"lists": [self.server.url("/list")], **keys})
        return config.load(path, environ={})

    def update(self) -> tuple[ListState, ...]:
        asked = asyncio.run(self.aggregator.update_lists())
        self.aggregator.subscribe()
        return asked

    def later(self, **duration: float) -> tuple[ListState, ...]:
        self.clock.forward(**duration)
        return self.update()

    @property
    def followed(self) -> dict[str, tuple[str, ...]]:
        """Labels of the feeds that are polled, by address."""
        return {
            report.subscription.url: report.subscription.tags
            for report in self.aggregator.feeds()
            if report.state.status is not FeedStatus.PAUSED
        }

    @property
    def known(self) -> set[str]:
        return {report.subscription.url for report in self.aggregator.feeds()}


@pytest.fixture
def reader(tmp_path: Path, server: Server, clock: Clock) -> Iterator[Reader]:
    server.add("/list", opml(A, B), etag='"1"')
    reader = Reader(tmp_path, server, clock)
    with reader.aggregator:
        yield reader


# ------------------------------------------------------------------------------------- kept in step


def test_a_list_is_followed_and_its_folders_are_labels(reader: Reader) -> None:
    reader.server.add("/list", opml(A, B, folder="news"))
    (state,) = reader.update()
    assert (len(state.feeds), state.read_at, state.error) == (2, NOON, None)
    assert reader.followed == {A: ("news",), B: ("news",)}
    assert [report.subscription.name for report in reader.aggregator.feeds()] == ["a", "b"]
    assert reader.aggregator.following == 2


def test_who_leaves_the_list_is_paused_and_who_returns_goes_on(reader: Reader) -> None:
    reader.update()
    reader.server.add("/list", opml(B, C))
    reader.later(days=1)
    assert set(reader.followed) == {B, C}
    assert reader.known == {A, B, C}, "nothing is deleted"
    reader.server.add("/list", opml(A, B, C))
    reader.later(days=1)
    assert set(reader.followed) == {A, B, C}


def test_it_is_asked_once_a_day_and_only_for_what_is_new(reader: Reader) -> None:
    reader.update()
    assert reader.later(hours=23, minutes=59) == ()
    (state,) = reader.later(minutes=1)
    assert [request.header("If-None-Match") for request in reader.server.requests] == [None, '"1"']
    assert state.read_at == reader.clock.now
    assert set(reader.followed) == {A, B}


def test_it_is_asked_as_often_as_the_operator_says(reader: Reader) -> None:
    reader.aggregator.reconfigure(
        reader.settings(lists=[{"url": reader.server.url("/list"), "every": "1h", "tags": ["theirs"]}])
    )
    reader.update()
    assert reader.followed == {A: ("theirs",), B: ("theirs",)}
    assert reader.later(minutes=59) == ()
    assert len(reader.later(minutes=1)) == 1


def test_a_clock_that_is_put_back_does_not_stop_it(reader: Reader) -> None:
    reader.update()
    assert len(reader.later(days=-300)) == 1


def test_a_start_needs_no_network(reader: Reader) -> None:
    reader.update()
    with Aggregator(reader.settings(), clock=reader.clock) as again:
        assert [wish.url for wish in again.subscriptions()] == [A, B]
        assert asyncio.run(again.update_lists()) == ()
        assert again.subscribe() == type(again.subscribe())()
    assert len(reader.server.requests) == 1


def test_a_list_that_is_no_longer_wished_for_pauses_its_feeds(reader: Reader) -> None:
    reader.update()
    reader.aggregator.reconfigure(reader.settings(C, lists=[]))
    assert set(reader.followed) == {C}
    reader.aggregator.reconfigure(reader.settings(C))
    assert set(reader.followed) == {A, B, C}, "what it said is still known"


def test_the_answer_may_be_elsewhere_and_in_any_encoding(reader: Reader) -> None:
    body = f"<opml><body><outline text='Мир' xmlUrl='{A}'/></body></opml>".encode("windows-1251")
    reader.server.add("/list", status=302, headers={"Location": reader.server.url("/other")})
    reader.server.add("/other", body, etag='"2"', headers={"Content-Type": "text/xml; charset=windows-1251"})
    (state,) = reader.update()
    assert state.feeds == (Subscription(A, "Мир"),)
    reader.later(days=1)
    assert reader.server.requests[-1].header("If-None-Match") == '"2"'
    assert set(reader.followed) == {A}


# ------------------------------------------------------------------------------- what is no reason to pause

FAULTS: dict[str, tuple[Callable[[Server], None], str]] = {
    "a fault of the server": (lambda server: server.add("/list", status=503), "overloaded"),
    "gone": (lambda server: server.add("/list", status=410), "gone for good"),
    "no answer": (lambda server: server.play("/list", CLOSE), ""),
    "no list": (lambda server: server.add("/list", b"<html><body>Sorry</body></html>"), "an HTML page"),
    "empty": (lambda server: server.add("/list", b""), "empty"),
    "a list of nothing": (lambda server: server.add("/list", opml()), "names no feeds"),
    "only lists": (
        lambda server: server.add(
            "/list", b"<opml><body><outline type='include' url='https://a.example/o'/></body></opml>"
        ),
        "names no feeds",
    ),
    "cut off": (lambda server: server.add("/list", opml(C)[:-10]), "breaks off"),
    "too long": (lambda server: server.add("/list", opml(C) + b" " * (8 << 20)), "8"),
}


@pytest.mark.parametrize(("spoil", "says"), FAULTS.values(), ids=FAULTS)
def test_a_list_that_cannot_be_read_leaves_everything_as_it_was(
    reader: Reader, spoil: Callable[[Server], None], says: str
) -> None:
    reader.update()
    spoil(reader.server)
    (state,) = reader.later(days=1)
    assert state.error
    assert says in state.error
    assert set(reader.followed) == {A, B}
    assert reader.aggregator.lists() == (state,), "and it is said to who asks"
    assert reader.later(hours=23) == (), "nor is it asked more often than before"
    reader.server.add("/list", opml(B, C), etag='"3"')
    (state,) = reader.later(hours=1)
    assert (state.error, set(reader.followed)) == (None, {B, C})


def test_a_list_that_could_never_be_read_is_asked_again_after_an_hour(reader: Reader) -> None:
    reader.server.add("/list", status=503)
    (state,) = reader.update()
    assert state.read_at is None
    assert reader.followed == {}
    assert reader.later(minutes=59) == ()
    reader.server.add("/list", opml(A))
    assert len(reader.later(minutes=1)) == 1
    assert set(reader.followed) == {A}


def test_one_list_that_fails_is_no_matter_to_another(reader: Reader) -> None:
    reader.server.add("/down", status=500)
    reader.aggregator.reconfigure(
        reader.settings(lists=[reader.server.url("/down"), reader.server.url("/list")])
    )
    down, up = reader.update()
    assert (bool(down.error), up.error) == (True, None)
    assert set(reader.followed) == {A, B}


def test_addresses_that_are_refused_for_feeds_are_refused_for_lists(reader: Reader) -> None:
    reader.aggregator.reconfigure(reader.settings(fetch={}))
    (state,) = reader.update()
    assert "127.0.0.1" in (state.error or "")
    assert reader.server.requests == []


def test_only_so_many_feeds_of_a_list_are_followed(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "MOST_FEEDS", 2)
    reader.server.add("/list", opml(A, B, C), etag='"1"')
    for _ in range(2):
        (state,) = reader.later(days=1)
        assert state.error == "it names 3 feeds; only the first 2 are followed"
        assert set(reader.followed) == {A, B}


# --------------------------------------------------------------------------------- with one's own feeds


@pytest.mark.parametrize(
    "own",
    [
        pytest.param(Subscription(A, name="Mine", every=timedelta(minutes=5)), id="other wishes"),
        pytest.param(Subscription(A, enabled=False), id="switched off"),
        pytest.param(Subscription(A.replace("https://", "HTTP://www.") + "/"), id="another spelling"),
    ],
)
def test_what_stands_in_the_configuration_counts(own: Subscription) -> None:
    known = (ListState("l", (Subscription(A, "Theirs", tags=("x",)), Subscription(B))),)
    assert lists.subscriptions((own,), (RemoteList("l"),), known) == (own, Subscription(B))


def test_a_feed_of_two_lists_has_the_labels_of_both() -> None:
    wished = (RemoteList("1", ("one",)), RemoteList("2", ("two",)), RemoteList("never read"))
    known = (
        ListState("1", (Subscription(A, "A", tags=("x",)),)),
        ListState("2", (Subscription(A + "/", "Another", tags=("x", "y")), Subscription(B))),
        ListState("not wished for", (Subscription(C),)),
    )
    assert lists.subscriptions((), wished, known) == (
        Subscription(A, "A", tags=("one", "x", "two", "y")),
        Subscription(B, tags=("two",)),
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(None, True, id="never asked"),
        pytest.param(ListState("l", checked_at=NOON - timedelta(hours=2), read_at=NOON), False, id="read"),
        pytest.param(
            ListState("l", checked_at=NOON - timedelta(hours=3), read_at=NOON), True, id="read long ago"
        ),
        pytest.param(ListState("l", checked_at=NOON - timedelta(minutes=59)), False, id="just failed"),
        pytest.param(ListState("l", checked_at=NOON - timedelta(minutes=60)), True, id="failed an hour ago"),
        pytest.param(
            ListState("l", checked_at=NOON + timedelta(hours=1), read_at=NOON), True, id="in the future"
        ),
    ],
)
def test_when_a_list_is_due(state: ListState | None, expected: bool) -> None:
    wish = RemoteList("l", every=timedelta(hours=3))
    due = lists.due((wish,), (state,) if state else (), NOON)
    assert due == ((state or ListState("l"),) if expected else ())


def test_what_is_known_of_a_list_is_kept_as_it_is(reader: Reader) -> None:
    (state,) = reader.update()
    store = reader.aggregator.store
    full = replace(state, feeds=(Subscription(A, 'Añ"', "es", ("x", "y")),), error="why")
    store.keep_lists([full, ListState("https://z.example/")])
    assert store.lists() == (full, ListState("https://z.example/"))
