"""Output feeds over HTTP: which document, which coding, and whether to send it at all.

A bare ASGI application: a feed reader's usual question is "anything new?" and the usual answer, 304, costs
less than a routing framework's bookkeeping. RFC 9110 is cited as §.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from aggregator.publish import Format, Rendered
from aggregator.web.site import Site

Headers = list[tuple[bytes, bytes]]
Page = Callable[[Scope, str], Awaitable[Any]]

MAX_AGE = 300
FORMATS = {each.value: each for each in Format}

# What each of our answers may be called in an `Accept` header; in order of our own preference.
_ACCEPTED: dict[Format | None, tuple[str, ...]] = {
    Format.ATOM: ("application/atom+xml", "application/xml", "text/xml"),
    Format.RSS: ("application/rss+xml",),
    Format.JSON: ("application/feed+json", "application/json"),
    None: ("text/html", "application/xhtml+xml"),
}


class Feeds:
    """`/feeds/<name>.<format>`, and `/feeds/<name>` as the client likes it best.

    Args:
        site: where documents come from.
        page: answers with the page of a feed, for people.
        private: shared caches must not keep the answers.
    """

    def __init__(self, site: Site, page: Page, *, private: bool) -> None:
        self._site = site
        self._page = page
        self._cache_control = f"{'private' if private else 'public'}, max-age={MAX_AGE}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request below `/feeds/`.

        Raises:
            UnknownError: there is no such feed or format.
        """
        name, dot, extension = scope["path"].removeprefix("/feeds/").rpartition(".")
        wanted, vary = FORMATS.get(extension), "Accept-Encoding"
        if not dot or wanted is None:
            name, vary = name + dot + extension, "Accept, Accept-Encoding"
            wanted = preferred(header(scope, b"accept"))
        if wanted is None:
            response = await self._page(scope, name)
            await response(scope, receive, send)
            return
        document = await self._document(name, wanted)
        location = f"/feeds/{name}.{wanted}"
        extra = {"Cache-Control": self._cache_control, "Vary": vary, "Content-Location": location}
        extra["Link"] = f'<{location}>; rel="self"'
        await send_document(scope, send, document, extra)

    async def _document(self, name: str, wanted: Format) -> Rendered:
        at_hand = self._site.cached(name, wanted)
        if at_hand is not None:
            return at_hand
        return await run_in_threadpool(self._site.rendered, name, wanted)


async def send_document(scope: Scope, send: Send, document: Rendered, extra: dict[str, str]) -> None:
    """Answer GET or HEAD with `document`, or with 304 where the client has it already."""
    compressed = accepts_gzip(header(scope, b"accept-encoding"))
    etag = document.gzip_etag if compressed else document.etag
    headers: Headers = [(key.lower().encode(), value.encode("latin-1")) for key, value in extra.items()]
    headers += [(b"etag", etag.encode()), (b"last-modified", http_date(document.last_modified).encode())]
    if not_modified(
        header(scope, b"if-none-match"), header(scope, b"if-modified-since"), etag, document.last_modified
    ):
        await send({"type": "http.response.start", "status": 304, "headers": headers})
        await send({"type": "http.response.body"})
        return
    body = document.gzip if compressed else document.body
    headers += [(b"content-type", document.media_type.encode()), (b"content-length", str(len(body)).encode())]
    if compressed:
        headers.append((b"content-encoding", b"gzip"))
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


def header(scope: Scope, name: bytes) -> str | None:
    """The value of a request header, several lines joined as a list (§5.2)."""
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1") if values else None


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
    except ValueError:
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


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether to compress (§12.5.3): only where the client names gzip, or anything, and does not refuse it."""
    choices = weights(accept_encoding or "")
    return next((choices[name] for name in ("gzip", "x-gzip", "*") if name in choices), 0.0) > 0


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
