"""The journey of remote subscription lists: due → fetched → read → kept, and what they make of the subscriptions.

What a list named when it was last read is kept in the store. So a start needs no network, and a list that cannot be
read, or names no feeds any more, leaves everything as it was: feeds are paused only by a list that was read whole.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from aggregator.errors import ParseError
from aggregator.fetch import Fetcher
from aggregator.model import FetchFailure, ListState, NotModified, RemoteList, Subscription, Validators
from aggregator.opml import parse
from aggregator.parse.encoding import decoded
from aggregator.text import canonical_url, masked

log = logging.getLogger(__name__)

MOST_FEEDS = 10_000
"""Feeds of one list that are followed."""
RETRY = timedelta(hours=1)
"""How soon a list is asked again that could never be read yet; one that was waits for its own `every`."""


def read(body: bytes, content_type: str | None = None, *, whole: bool = False) -> tuple[Subscription, ...]:
    """The feeds that an OPML document names.

    Args:
        body: the document, in any encoding.
        content_type: the HTTP header's value.
        whole: refuse a document that breaks off.

    Raises:
        ParseError: this is no OPML.
    """
    return parse(decoded(body, content_type), whole=whole)


def due(lists: Iterable[RemoteList], known: Iterable[ListState], now: datetime) -> tuple[ListState, ...]:
    """What is known of those lists that are to be asked now."""
    states = {state.url: state for state in known}
    return tuple(
        state
        for wish in lists
        if _is_due(state := states.get(wish.url, ListState(wish.url)), wish.every, now)
    )


def _is_due(state: ListState, every: timedelta, now: datetime) -> bool:
    if state.checked_at is None:
        return True
    wait = every if state.read_at else min(every, RETRY)
    return (
        not state.checked_at <= now < state.checked_at + wait
    )  # nor is one due that was asked in the future


async def ask(fetcher: Fetcher, states: Iterable[ListState], now: datetime) -> tuple[ListState, ...]:
    """Ask for lists what they say now; returns what is then known of them."""
    return tuple(await asyncio.gather(*(_ask(fetcher, state, now) for state in states)))


async def _ask(fetcher: Fetcher, state: ListState, now: datetime) -> ListState:
    state = replace(state, checked_at=now, error=None)
    result = await fetcher.fetch(state.url, state.validators)
    if isinstance(result, FetchFailure):
        return replace(state, error=result.message)
    if isinstance(result, NotModified):
        return replace(state, read_at=now, validators=result.validators)
    try:
        feeds = await asyncio.to_thread(read, result.body, result.content_type, whole=True)
    except ParseError as error:
        return replace(state, error=str(error))
    except Exception as error:
        log.exception("a fault of ours while reading %s", masked(state.url))
        return replace(state, error=f"a fault of aggregator itself: {masked(repr(error))}; see the log")
    if not feeds:
        return replace(state, error="it names no feeds")
    if len(feeds) > MOST_FEEDS:  # said each time, so without validators: a 304 would not say it
        note = f"it names {len(feeds):,} feeds; only the first {MOST_FEEDS:,} are followed"
        return replace(state, feeds=feeds[:MOST_FEEDS], validators=Validators(), read_at=now, error=note)
    return replace(state, feeds=feeds, validators=result.validators, read_at=now)


def subscriptions(
    own: Sequence[Subscription], lists: Iterable[RemoteList], known: Iterable[ListState]
) -> tuple[Subscription, ...]:
    """All that is to be followed: the operator's own subscriptions as they are, and the feeds of the lists.

    Addresses that mean one page are one feed. A feed of several lists has the labels of all.
    """
    states = {state.url: state for state in known}
    theirs: dict[str, Subscription] = {}
    for wish in lists:
        for feed in states.get(wish.url, ListState(wish.url)).feeds:
            before = theirs.get(_same(feed.url))
            tags = (before.tags if before else ()) + wish.tags + feed.tags
            theirs[_same(feed.url)] = replace(before or feed, tags=tuple(dict.fromkeys(tags)))
    for feed in own:
        theirs.pop(_same(feed.url), None)
    return (*own, *theirs.values())


def _same(url: str) -> str:
    return canonical_url(url) or url
