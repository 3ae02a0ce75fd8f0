"""Output feeds over HTTP: which document, which coding, and whether to send it at all.

A bare ASGI application: a feed reader's usual question is "anything new?" and the usual answer, 304, costs
less than a routing framework's bookkeeping. RFC 9110 is cited as §.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from aggregator.app import Aggregator
from aggregator.errors import QueryError, UnknownError
from aggregator.model import OutputFeed
from aggregator.publish import CODINGS, EVERYTHING, Format, Rendered, narrowed, read_cursor

Headers = list[tuple[bytes, bytes]]
T = TypeVar("T")

FORMATS = {each.value: each for each in Format}
ARCHIVE_FOR = timedelta(days=1)
"""For how long an archived document holds: what is revised or removed in it need not be seen at once."""
SHARE = 0.5
"""What part of one processor the documents that addresses ask for may take."""
WAITING = 20
"""So many of them may wait for their turn."""
SMALL = 1_000
"""Bytes that are not worth compressing: they go in one packet anyway."""
REMEMBERED = 64
"""So many documents are kept with their headers."""

# What each of our answers may be called in an `Accept` header; in order of our own preference.
_ACCEPTED: dict[Format | None, tuple[str, ...]] = {
    Format.ATOM: ("application/atom+xml", "application/xml", "text/xml"),
    Format.RSS: ("application/rss+xml",),
    Format.JSON: ("application/feed+json", "application/json"),
    None: ("text/html", "application/xhtml+xml"),
}


@dataclass(frozen=True, slots=True)
class Question:
    """What an address below `/feeds` asks for.

    Attributes:
        name: of an output feed; empty: of none.
        format: None: whatever the client likes best.
        archive: the cursor of an archived document; None: no such.
        conditions: the parameters, without the token.
        before: the cursor of a page.
    """

    name: str
    format: Format | None
    archive: str | None = None
    conditions: tuple[tuple[str, str], ...] = ()
    before: str | None = None


@lru_cache(maxsize=256)
def question(path: str, query: bytes) -> Question:
    """Read an address.

    Raises:
        UnknownError: there is nothing of that form.
        QueryError: its parameters cannot be read.
    """
    name, dot, extension = path.removeprefix("/feeds").rpartition(".")
    if not dot or extension not in FORMATS:
        name, extension = path.removeprefix("/feeds"), ""
    name, slash, archive = name.removeprefix("/").partition("/archive/")
    if "/" in name or (slash and not (name and archive and extension)) or path.startswith("/feeds/."):
        raise UnknownError("There is no feed at this address.")
    if path == "/feeds/":
        raise UnknownError("There is no feed without a name; /feeds holds all entries.")
    try:
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        raise QueryError("There are too many conditions.") from None
    conditions = tuple(pair for pair in given if pair[0] not in {"token", "before"})
    befores = [value for parameter, value in given if parameter == "before"]
    if len(befores) > 1:
        raise QueryError("The condition before stands twice.")
    if slash and (befores or conditions):
        raise QueryError("The archives of a feed know no conditions.")
    before = read_cursor(befores[0]) if befores else None
    return Question(name, FORMATS.get(extension), archive or None, conditions, before)


class Feeds:
    """`/feeds/<name>.<format>` and its archives, and `/feeds.<format>` with conditions.

    Without a format the client gets what it likes best, and a person a page.

    Args:
        site: where documents come from.
        page: answers with the page of a feed, for people.
        error: answers with a status, a title, a text and headers.
        private: shared caches must not keep the answers.
    """

    def __init__(
        self,
        site: Aggregator,
        page: Callable[[Scope, OutputFeed], Awaitable[ASGIApp]],
        error: Callable[..., ASGIApp],
        *,
        private: bool,
    ) -> None:
        self._site = site
        self._page = page
        self._error = error
        self._scope = "private" if private else "public"
        self._turns = Turns(SHARE, WAITING)
        self._now = (0.0, "")
        self._sent: dict[tuple[str, str], Heads] = {}
        self._turn: dict[str, Heads] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request for a path that begins with `/feeds`.

        Raises:
            UnknownError: there is no such feed or format, or a condition names what there is not.
            QueryError: a condition cannot be understood.
        """
        # Readers come in crowds: whether a document is still true is looked up once in a turn of the event loop.
        if not scope["query_string"] and (heads := self._turn.get(scope["path"])) is not None:
            await heads.answer(scope, send)
            return
        try:
            await self._answer(scope, receive, send)
        except BusyError:
            text = "Too many ask for feeds of their own at the moment. Try again soon."
            await self._error(scope, 503, "Not now", text, {"Retry-After": "30"})(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = question(scope["path"], scope["query_string"])
        wanted, vary = asked.format, "Accept-Encoding"
        if wanted is None:
            wanted, vary = preferred(header(scope, b"accept")), "Accept, Accept-Encoding"
        if wanted is None:
            output = self._output(asked)
            response = await self._page(scope, output)
            await response(scope, receive, send)
            return
        document = await self._document(asked, wanted)
        location = f"/feeds{'/' if asked.name else ''}{asked.name}.{wanted}"
        if asked.archive:
            location = scope["path"]
        if parameters := [*asked.conditions, *([("before", asked.before)] if asked.before else [])]:
            location += f"?{urlencode(parameters)}"  # what lets the reader in is left out
        holds, kept = self._cache_control(asked), self._sent.get((location, vary))
        if kept is None or kept.document is not document or kept.given["Cache-Control"] != holds:
            if len(self._sent) >= REMEMBERED:
                self._sent.clear()
            given = {
                "Cache-Control": holds,
                "Vary": vary,
                "Content-Location": location,
                "Link": document.link,
            }
            kept = self._sent[location, vary] = Heads(document, given)
        if asked.format and not (parameters or asked.archive):
            if not self._turn:
                asyncio.get_running_loop().call_soon(self._turn.clear)
            self._turn[scope["path"]] = kept
        await kept.answer(scope, send)

    def _output(self, asked: Question) -> OutputFeed:
        return narrowed(self._site.feed(asked.name) if asked.name else EVERYTHING, asked.conditions)

    async def _document(self, asked: Question, wanted: Format) -> Rendered:
        site = self._site
        if asked.archive is not None:
            return await self._turns.take(site.archive, asked.name, asked.archive, wanted)
        if not asked.name or asked.conditions or asked.before:
            return await self._turns.take(site.narrowed, self._output(asked), asked.before, wanted)
        if (at_hand := site.cached(asked.name, wanted)) is not None:
            return at_hand
        return await run_in_threadpool(site.rendered, asked.name, wanted)

    def _cache_control(self, asked: Question) -> str:
        """For how long the answer holds; looked up once a second."""
        if asked.archive is not None:
            return f"{self._scope}, max-age={ARCHIVE_FOR.total_seconds():.0f}"
        looked, value = self._now
        if time.monotonic() - looked > 1 or not value:
            value = f"{self._scope}, max-age={self._site.fresh_for.total_seconds():.0f}"
            self._now = time.monotonic(), value
        return value


class BusyError(Exception):
    """Too many wait for their turn."""


class Turns:
    """Gives costly work that anybody can ask for a share of the time: one at a time, with pauses between.

    Args:
        share: the part of the time that the work may take, all of it together.
        waiting: how many may wait.
    """

    def __init__(self, share: float, waiting: int) -> None:
        self._pause = 1 / share - 1
        self._room = waiting
        self._turn = asyncio.Lock()
        self._until = 0.0

    async def take(self, work: Callable[..., T], *values: Any) -> T:
        """Do the work in a thread once it is its turn.

        Raises:
            BusyError: too many wait already.
        """
        if self._room == 0:
            raise BusyError
        self._room -= 1
        try:
            async with self._turn:
                await asyncio.sleep(max(self._until - time.monotonic(), 0))
                started = time.monotonic()
                try:
                    return await run_in_threadpool(work, *values)
                finally:
                    ended = time.monotonic()
                    self._until = ended + (ended - started) * self._pause
        finally:
            self._room += 1


class Heads:
    """A document as it is answered, with the headers of each kind of answer, made once.

    Args:
        document: what is sent.
        given: headers of every answer.
    """

    def __init__(self, document: Rendered, given: Mapping[str, str]) -> None:
        self.document = document
        self.given = given
        self._modified = http_date(document.last_modified)
        self._heads: dict[tuple[str | None, int], Headers] = {}

    async def answer(self, scope: Scope, send: Send) -> None:
        """Answer GET or HEAD: with the document, with what is new in it, or with 304 where the client has it all."""
        document = self.document
        coding = chosen(header(scope, b"accept-encoding"))
        if_none_match = header(scope, b"if-none-match")
        tag = document.tag(coding)
        if if_none_match == tag or not_modified(
            if_none_match, header(scope, b"if-modified-since"), tag, document.last_modified
        ):
            await send({"type": "http.response.start", "status": 304, "headers": self._head(coding, 304)})
            await send({"type": "http.response.body"})
            return
        status, headers = 200, self._head(coding, 200)
        if if_none_match is not None and wants_news(header(scope, b"a-im")):
            since = document.since(tag.strip() for tag in if_none_match.split(","))
            if since is not None:
                base, document = since
                status, headers = 226, self._news(coding, base)
        body = document.at_hand(coding)
        if body is None:
            body = await run_in_threadpool(document.coded, coding)
        headers = [*headers, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _head(self, coding: str | None, status: int) -> Headers:
        found = self._heads.get((coding, status))
        if found is None:
            fields = {**self.given, "ETag": self.document.tag(coding), "Last-Modified": self._modified}
            if status == 304:
                fields.pop("Link", None)
            else:
                fields["Content-Type"] = self.document.media_type
                if coding:
                    fields["Content-Encoding"] = coding
            found = self._heads[coding, status] = _encoded(fields)
        return found

    def _news(self, coding: str | None, base: str) -> Headers:
        """The headers of 226 (RFC 3229 §10.4.1, §10.8): caches that do not know it shall not keep it."""
        own = {"cache-control": f"no-store, im, {self.given['Cache-Control']}"}
        own["vary"] = f"{self.given['Vary']}, A-IM, If-None-Match"
        kept = [field for field in self._head(coding, 200) if field[0].decode() not in own]
        return [*kept, *_encoded(own), (b"im", b"feed"), (b"delta-base", base.encode())]


def _encoded(fields: Mapping[str, str]) -> Headers:
    return [
        (key.lower().encode(), value.encode("latin-1", "replace")) for key, value in fields.items() if value
    ]


async def send_document(scope: Scope, send: Send, document: Rendered, given: Mapping[str, str]) -> None:
    """Answer GET or HEAD with a document, or with 304 where the client has it already."""
    await Heads(document, {"Vary": "Accept-Encoding", **given}).answer(scope, send)


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a request header, several lines joined as a list (§5.2)."""
    found = None
    for key, value in scope["headers"]:
        if key == name:
            found = value if found is None else found + b", " + value
    return None if found is None else found.decode("latin-1")


def http_date(time: datetime) -> str:
    """An HTTP date (§5.6.7)."""
    return format_datetime(time.astimezone(UTC), usegmt=True)


def not_modified(
    if_none_match: str | None, if_modified_since: str | None, etag: str, last_modified: datetime
) -> bool:
    """Whether the client's copy is the current one (§13.1.2, §13.1.3, §13.2.2).

    Tags are compared weakly: a proxy that compresses on its way weakens ours, and means the same document.
    A date counts only where no tag is given, for dates have seconds and tags have every byte.
    """
    if if_none_match is not None:
        if if_none_match.strip() == "*":
            return True
        return etag in {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    if if_modified_since is None:
        return False
    try:
        since = parsedate_to_datetime(if_modified_since)
    except (ValueError, OverflowError):
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return last_modified.replace(microsecond=0) <= since


def weights(value: str) -> dict[str, float]:
    """An `Accept…` header's choices and their weights, 1 where none is given (§12.4.2); 0 refuses."""
    result = {}
    for choice in value.split(","):
        name, *parameters = (part.strip().lower() for part in choice.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    weight = min(max(float(parameter[2:]), 0.0), 1.0)
                except ValueError:
                    weight = 0.0
        if name:
            result[name] = weight
    return result


@lru_cache(maxsize=256)
def chosen(accept_encoding: str | None) -> str | None:
    """The content coding to send (§12.5.3): the best that the client names, or takes with anything; None: none.

    The client's weights decide, then the size.
    """
    best = max(CODINGS, key=lambda coding: _taken(accept_encoding, coding))
    return best if _taken(accept_encoding, best) > 0 else None


def coded(scope: Scope, body: bytes) -> tuple[bytes, dict[str, str]]:
    """What is made anew for each request, in the coding that the client likes best, and the headers that say so."""
    coding = chosen(header(scope, b"accept-encoding")) if len(body) > SMALL else None
    return (body, {}) if coding is None else (CODINGS[coding](body), {"Content-Encoding": coding})


def _taken(accept_encoding: str | None, coding: str) -> float:
    """How gladly the client takes a coding; 0: it does not."""
    choices = weights((accept_encoding or "").lower().replace("x-gzip", "gzip"))
    return choices.get(coding, choices.get("*", 0.0))


@lru_cache(maxsize=64)
def wants_news(a_im: str | None) -> bool:
    """Whether the client takes a document with only what is new (`A-IM: feed`, RFC 3229 §10.5.3)."""
    return weights(a_im or "").get("feed", 0.0) > 0


@lru_cache(maxsize=256)
def preferred(accept: str | None) -> Format | None:
    """What `/feeds/<name>` answers with: a format, or None for the page (§12.5.1).

    Ties go to Atom, and so does a client that takes none of what we have: it asked for a feed's address.
    """
    choices = weights(accept or "*/*")

    def weight(names: tuple[str, ...]) -> float:
        exact = [choices[name] for name in names if name in choices]
        kind = names[0].split("/")[0]
        return max(exact) if exact else choices.get(f"{kind}/*", choices.get("*/*", 0.0))

    best = max(_ACCEPTED, key=lambda answer: weight(_ACCEPTED[answer]))
    return best if weight(_ACCEPTED[best]) else Format.ATOM
