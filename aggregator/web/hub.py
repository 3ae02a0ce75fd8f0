"""WebSub over HTTP: `/hub`, where others subscribe to our feeds, and `/push/…`, where hubs reach us.

Bare ASGI, and the only routes that take a body from strangers: how much of it is read, and from whom, is decided here.
What it means is decided by `aggregator.push`.
"""

import asyncio
from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from aggregator.push import Hub, Push, Reply, Subscriber
from aggregator.web.feeds import header

LONGEST_FORM = 16 * 1024
"""Bytes that a request to the hub may have."""
BODY_TIMEOUT = 30.0
"""Seconds within which a body is to be here."""
AT_ONCE = 4
"""Documents from hubs that are in memory at once."""

Headers = list[tuple[bytes, bytes]]


class HubPages:
    """`/hub` and everything below `/push/`.

    Args:
        push: gives what answers; None while it is not there.
        longest: bytes that a document from a hub may have.
    """

    def __init__(self, push: Callable[[], Push | None], longest: Callable[[], int]) -> None:
        self._push = push
        self._longest = longest
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        push = self._push()
        if push is None:
            await _say(send, 503, "Not yet; try again in a moment.", retry_after=30)
        elif scope["path"] == "/hub":
            await self._hub(push.hub, scope, receive, send)
        else:
            await self._callback(push.subscriber, scope, receive, send)

    async def _hub(self, hub: Hub, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await _say(send, 405, "This is a WebSub hub: subscribe with POST.", allow="POST")
            return
        if header(scope, b"origin") or header(scope, b"sec-fetch-site"):
            # A page of somebody else's would subscribe him to what only this browser's owner may read.
            await _say(send, 403, "Browsers do not subscribe here.")
            return
        kind = (header(scope, b"content-type") or "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            await _say(send, 415, "The request is a form: application/x-www-form-urlencoded.")
            return
        form = await _body(scope, receive, LONGEST_FORM)
        if form is None:
            await _say(send, 413, f"The request has at most {LONGEST_FORM} bytes.")
            return
        await _answer(send, await hub.asked(form))

    async def _callback(
        self, subscriber: Subscriber | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        path = scope["path"].removeprefix("/push/")
        subscription = await subscriber.expected(path) if subscriber is not None else None
        if subscriber is None or subscription is None:
            # 410 tells a hub that still sends us something to stop. Nothing of it is read.
            await _say(send, 410 if scope["method"] == "POST" else 404, "Nobody here expects that.")
        elif scope["method"] == "GET":
            await _answer(send, await subscriber.answer(subscription, scope["query_string"]))
        elif scope["method"] == "POST":
            async with self._room:
                body = await _body(scope, receive, self._longest())
                if body is None:
                    await _say(send, 413, "This is too large, or took too long to come.")
                    return
                await _answer(
                    send,
                    await subscriber.receive(
                        subscription,
                        body,
                        content_type=header(scope, b"content-type"),
                        signature=header(scope, b"x-hub-signature"),
                    ),
                )
        else:
            await _say(send, 405, "Hubs use GET and POST here.", allow="GET, POST")


async def _body(scope: Scope, receive: Receive, longest: int) -> bytes | None:
    """The request's body; None where it is longer than that or does not come."""
    length = header(scope, b"content-length") or ""
    if length.isdigit() and int(length[:20]) > longest:
        return None
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > longest:
                    return None
                if not message.get("more_body", False):
                    return b"".join(parts)
    except TimeoutError:
        return None


async def _answer(send: Send, said: Reply) -> None:
    await _say(send, said.status, said.text, retry_after=said.retry_after)


async def _say(
    send: Send, status: int, text: str, *, retry_after: int | None = None, allow: str | None = None
) -> None:
    # No media type that a browser shows: a challenge is sent back as it came (§8.2 of the recommendation).
    kind = b"application/octet-stream" if status == 200 else b"text/plain; charset=utf-8"
    body = text.encode(errors="replace")
    headers: Headers = [
        (b"content-type", kind),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if allow is not None:
        headers.append((b"allow", allow.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
