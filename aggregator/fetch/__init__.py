"""Conditional GET over libcurl: the only door to the network.

One call, `Fetcher.fetch`, takes an address and the validators of the last answer, and gives back a
`Fetched`, a `NotModified` or a `FetchFailure`. Another, `Fetcher.send`, says something to a server instead.
What a server does is never an exception.

    __init__    Fetcher: waits for its turn, follows redirects hop by hop, judges the answer
    exchange    a curl handle: what we send, what we are willing to receive
    room        how many bytes of documents are in memory at once
    transfers   libcurl's sockets and timers on the event loop
    guard, headers, body    pure: which addresses we refuse, what an answer says

docs/fetching.md says the same for operators.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Self
from weakref import WeakValueDictionary

from aggregator.fetch.body import TooLargeError, bot_wall, decoded
from aggregator.fetch.exchange import Answer, Exchange, Target
from aggregator.fetch.headers import fresh_for, parse_links, retry_after, verbatim
from aggregator.fetch.room import Owner, Room
from aggregator.fetch.transfers import Transfers
from aggregator.model import (
    FailureKind,
    Fetched,
    FetchFailure,
    FetchSettings,
    NotModified,
    Validators,
)
from aggregator.text import masked

__all__ = ["MAX_REDIRECTS", "Answer", "Fetcher"]

MAX_REDIRECTS = 10

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PERMANENT = frozenset({301, 308})
_DOCUMENTS = frozenset({200, 203, 226})

_NO_VALIDATORS = Validators()


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Fetcher:
    """Fetches documents, many at once, and keeps connections for the next time.

    Belongs to the event loop in which it is first used. Close it with `aclose` or use it as an
    asynchronous context manager.

    Args:
        settings: how we behave; see `FetchSettings`.
        user_agent: the `User-Agent` header's value.
        now: the clock, for answers whose dates cannot be read against a `Date` header.
    """

    def __init__(
        self, settings: FetchSettings, *, user_agent: str, now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._settings = settings
        self._user_agent = user_agent
        self._now = now
        self._transfers = Transfers(connections=settings.concurrency)
        self._room = Room()
        self._all = asyncio.Semaphore(settings.concurrency)
        # A host's semaphore lives as long as a request to that host holds or awaits it.
        self._hosts: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._idle: list[Exchange] = []
        self._closed = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Cancel what is in flight or waits for its turn, and close all connections."""
        self._closed = True
        self._transfers.close()
        while self._idle:
            self._idle.pop().close()

    async def fetch(
        self, url: str, validators: Validators = _NO_VALIDATORS
    ) -> Fetched | NotModified | FetchFailure:
        """Fetch the document at `url`, following redirects.

        The document counts as being in memory until the calling task ends; while much is, others wait.

        Args:
            url: http or https address; `user:password@` in it is sent as basic authentication to its
                origin only (RFC 9110 §11.6.2, RFC 7617).
            validators: those of the last answer; sent only with the request that they were given for.

        Returns:
            The document, or that it has not changed, or why there is none.

        Raises:
            asyncio.CancelledError: the task was cancelled or the fetcher closed; nothing else.
        """
        try:
            target = Target.of(url)
        except ValueError as error:
            return FetchFailure(FailureKind.ADDRESS, f"{masked(url)} cannot be fetched: {error}")
        owner = _owner()
        moved_to: str | None = None
        permanent = True
        visited = {target.url}
        seconds = 0.0
        while True:
            sent = validators if validators.url == target.asked else _NO_VALIDATORS
            answer = await self._request(target, sent, seconds, owner)
            seconds = answer.seconds
            if isinstance(answer, FetchFailure):
                return answer
            if answer.status not in _REDIRECTS:
                return await self._result(target, answer, sent, moved_to, owner)
            try:
                if len(visited) > MAX_REDIRECTS:
                    raise ValueError(f"more than {MAX_REDIRECTS} redirects")
                following = target.redirected(answer.headers.get("location"))
                if following.url in visited:
                    raise ValueError(f"the redirects go round in a circle, back to {following.url}")
            except ValueError as error:
                return FetchFailure(
                    FailureKind.REDIRECT,
                    f"{target.host} answered {answer.status}, a redirect that cannot be followed: {error}",
                    http_status=answer.status,
                    url=target.url,
                    seconds=seconds,
                )
            target = following
            visited.add(target.url)
            permanent = permanent and answer.status in _PERMANENT
            if permanent:
                moved_to = target.url_with_credentials

    def give_back(self, document: Fetched) -> None:
        """Let others have the memory of a document before the calling task, which fetched it, has ended."""
        self._room.give_back(_owner(), len(document.body))

    async def send(
        self, url: str, body: bytes | None = None, headers: Mapping[str, str] = MappingProxyType({})
    ) -> Answer | FetchFailure:
        """Say something to a server: with the same guard and limits, but no redirect is followed.

        Args:
            url: as for `fetch`.
            body: POSTed; None: GET.
            headers: to be sent beside `Host` and `User-Agent`; without `Content-Type` a body is called a form.

        Returns:
            The answer, whatever its status, with at most 64 KiB of its body, as it came; or why there is none.

        Raises:
            asyncio.CancelledError: the task was cancelled or the fetcher closed; nothing else.
        """
        try:
            target = Target.of(url)
        except ValueError as error:
            return FetchFailure(FailureKind.ADDRESS, f"{masked(url)} cannot be reached: {error}")
        owner = _owner()
        return await self._exchange(
            target, 0, lambda exchange: exchange.prepare_message(target, body, headers, owner)
        )

    async def _result(
        self, target: Target, answer: Answer, sent: Validators, moved_to: str | None, owner: Owner
    ) -> Fetched | NotModified | FetchFailure:
        received, limit = len(answer.body), self._settings.max_bytes
        result = _judge(target, answer, sent, moved_to, limit, self._now)
        if not isinstance(result, Fetched):
            self._room.give_back(owner, received if answer.status < 300 else 0)
            return result
        more = len(result.body) - received
        if more <= 0 or self._room.take(owner, more):
            return result
        # Small while compressed, as a bomb is: decompressed again when there is room for it.
        del result
        await self._room.reserve(owner, more)
        return _judge(target, answer, sent, moved_to, limit, self._now)

    async def _request(
        self, target: Target, validators: Validators, seconds: float, owner: Owner
    ) -> Answer | FetchFailure:
        """One hop; `seconds` have been spent on the hops before."""
        return await self._exchange(
            target, seconds, lambda exchange: exchange.prepare(target, validators, seconds, owner)
        )

    async def _exchange(
        self, target: Target, seconds: float, prepare: Callable[[Exchange], None]
    ) -> Answer | FetchFailure:
        """One request and its answer, as soon as it is its turn."""
        host = self._hosts.get(target.host)
        if host is None:
            host = self._hosts[target.host] = asyncio.Semaphore(self._settings.per_host)
        # The host's queue comes first: who waits there holds no place that another host could use.
        async with host, self._all:
            if self._closed:
                raise asyncio.CancelledError("the fetcher is closed")
            exchange = (
                self._idle.pop() if self._idle else Exchange(self._settings, self._user_agent, self._room)
            )
            try:
                prepare(exchange)
                error = await self._transfers.perform(exchange.curl)
                result = exchange.result(target, error, seconds)
                if isinstance(result, FetchFailure):
                    exchange.give_back()
                return result
            finally:
                self._put_back(exchange)

    def _put_back(self, exchange: Exchange) -> None:
        exchange.clear()
        if self._closed:
            exchange.close()
        else:
            self._idle.append(exchange)


def _owner() -> Owner:
    owner = asyncio.current_task()
    assert owner is not None  # noqa: S101 – coroutines run in tasks
    return owner


def _judge(
    target: Target,
    answer: Answer,
    sent: Validators,
    moved_to: str | None,
    limit: int,
    now: Callable[[], datetime],
) -> Fetched | NotModified | FetchFailure:
    """What the last answer of a chain of redirects says."""
    status, headers = answer.status, answer.headers
    if status == HTTPStatus.NOT_MODIFIED and (sent.etag or sent.last_modified):
        return NotModified(
            # A 304 carries what has changed of the headers (RFC 9110 §15.4.5).
            validators=Validators(
                verbatim(headers, "etag") or sent.etag,
                verbatim(headers, "last-modified") or sent.last_modified,
                target.asked,
            ),
            fresh_for=fresh_for(headers, now),
            moved_to=moved_to,
            seconds=answer.seconds,
        )
    fault: tuple[FailureKind, str] | None = None
    body = b""
    try:
        body = decoded(answer.body, headers.get("content-encoding", ""), limit) if answer.body else b""
    except TooLargeError as error:
        fault = FailureKind.TOO_LARGE, f"the document of {target.host} is {error} once decompressed"
    except ValueError as error:
        fault = FailureKind.ENCODING, f"the answer of {target.host} cannot be decompressed: {error}"
    wall = bot_wall(headers, body)
    if status in _DOCUMENTS and body and wall is None:
        return Fetched(
            http_status=status,
            url=target.url,
            body=body,
            content_type=headers.get("content-type", "").lower() or None,
            validators=Validators(
                verbatim(headers, "etag"), verbatim(headers, "last-modified"), target.asked
            ),
            fresh_for=fresh_for(headers, now),
            moved_to=moved_to,
            links=parse_links(headers.get("link", ""), target.url),
            delta=status == HTTPStatus.IM_USED or "feed" in headers.get("im", "").lower(),
            seconds=answer.seconds,
        )
    # Without a document there is nothing to lose: the status says more than a broken error page.
    if fault is None or status not in _DOCUMENTS:
        fault = _explain_status(target.host, status, wall)
    kind, message = fault
    return FetchFailure(
        kind,
        message,
        http_status=status,
        retry_after=retry_after(headers, now),
        url=target.url,
        seconds=answer.seconds,
    )


def _explain_status(host: str, status: int, wall: str | None) -> tuple[FailureKind, str]:
    if wall is not None:
        return FailureKind.CHALLENGE, (
            f"{host} shows a page that tells people from programs ({wall}) instead of the feed; "
            f"only its owner can let us through"
        )
    if status == HTTPStatus.NOT_MODIFIED:
        return FailureKind.NOT_A_FEED, f"{host} answered 304 (not modified) although nothing was known yet"
    if status in _DOCUMENTS or status == HTTPStatus.NO_CONTENT:
        return FailureKind.NOT_A_FEED, f"{host} gave an empty answer ({status})"
    if words := _STATUS_WORDS.get(status):
        return words[0], words[1].format(host=host)
    try:
        phrase = f" ({HTTPStatus(status).phrase})"
    except ValueError:
        phrase = ""
    message = f"{host} answered {status}{phrase}"
    if status < 300:
        return FailureKind.NOT_A_FEED, f"{message}, which is no answer to a plain request"
    if status < 400:
        return FailureKind.REDIRECT, f"{message}, a redirect of a kind that is not followed"
    return (FailureKind.CLIENT if status < 500 else FailureKind.SERVER), message


_STATUS_WORDS = {
    401: (FailureKind.CLIENT, "{host} asks for a user name and a password (401)"),
    402: (FailureKind.CLIENT, "{host} asks for payment (402)"),
    403: (FailureKind.CLIENT, "{host} refuses to give us this document (403)"),
    404: (FailureKind.CLIENT, "there is nothing at this address of {host} (404)"),
    406: (FailureKind.CLIENT, "{host} has the document in no form that we can read (406)"),
    410: (FailureKind.GONE, "{host} says that this document is gone for good (410)"),
    429: (FailureKind.RATE_LIMITED, "{host} says that we ask too often (429)"),
    451: (FailureKind.CLIENT, "{host} withholds this document for legal reasons (451)"),
    500: (FailureKind.SERVER, "{host} has a fault of its own (500)"),
    502: (FailureKind.SERVER, "the server behind {host} does not answer properly (502)"),
    503: (FailureKind.SERVER, "{host} is overloaded or under maintenance (503)"),
    504: (FailureKind.SERVER, "the server behind {host} does not answer in time (504)"),
}
