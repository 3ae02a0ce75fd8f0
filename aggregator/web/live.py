"""Word to open pages that something is new: server-sent events (HTML Living Standard §9.2).

One short event when a page connects and whenever the store's version has changed; what is new the page asks for
itself. A connection costs one small query each time it looks.
"""

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from aggregator.errors import AggregatorError
from aggregator.web.auth import RefusedError

PATH = "/live"
LOOK = 0.5
"""Seconds between two looks at the version."""
HEARTBEAT = 15.0
"""Seconds after which a connection without news says that it lives, or finds out that it does not."""
MOST = 64
"""So many connections at once; for others the page is as good, only not live."""


class Live:
    """An ASGI application that tells when the contents have changed.

    Args:
        version: grows whenever they have; asked on the event loop, so it must not wait.
        stopping: whether the server is about to end.
    """

    def __init__(self, version: Callable[[], int], stopping: Callable[[], bool] = lambda: False) -> None:
        self._version = version
        self._stopping = stopping
        self._open = 0

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection until its client goes or the server ends.

        Raises:
            RefusedError: there are too many (503).
        """
        if self._open >= MOST:
            raise RefusedError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Not now",
                "Too many pages are open already.",
                {"Retry-After": "60"},
            )
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),  # nginx would keep events until it has some kilobytes
        ]
        self._open += 1
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            known, said_at = None, 0.0
            while not gone.done() and not self._stopping():
                now = time.monotonic()
                try:
                    version = self._version()
                except AggregatorError:  # the store is closed, or broken: pages that are asked for say so
                    break
                if version != known:
                    event, known, said_at = f"data: {version}\n\n".encode(), version, now
                elif now - said_at >= HEARTBEAT:
                    event, said_at = b":\n\n", now
                else:
                    event = b""
                if event:
                    await send({"type": "http.response.body", "body": event, "more_body": True})
                await asyncio.wait({gone}, timeout=LOOK)
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._open -= 1
            gone.cancel()


class Answering:
    """An ASGI application that counts the requests which another one is answering; pages that only listen are none.

    Attributes:
        number: how many they are now; may be read in any thread.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.number = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        counts = scope["type"] == "http" and scope["path"] != PATH
        self.number += counts
        try:
            await self._app(scope, receive, send)
        finally:
            self.number -= counts


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
