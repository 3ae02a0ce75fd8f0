"""A client of our own pages, and a real server on loopback to ask."""

import socket
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any

import uvicorn
from lxml import html

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
"""The `Accept` header of a browser."""


@dataclass(frozen=True)
class Answer:
    """What came back; header names are lower-case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def page(self) -> html.HtmlElement:
        return html.document_fromstring(self.body.decode())


@dataclass(frozen=True)
class Client:
    """Asks a server on loopback, each time on a new connection."""

    port: int

    def __call__(
        self, path: str, method: str = "GET", body: bytes | None = None, /, **headers: str
    ) -> Answer:
        """Ask; a header's name is written with `_` for each `-`."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            fields = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, body, fields)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()


@contextmanager
def serving(app: Any) -> Iterator[Client]:
    """A real server for an application, in a thread of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    # asyncio sets this by itself only on sockets made with IPPROTO_TCP; without it each body waits 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Client(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def basic(password: str, user: str = "anyone") -> dict[str, str]:
    """The header of HTTP Basic."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}
