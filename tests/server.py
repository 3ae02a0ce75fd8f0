"""A real HTTP server on loopback that does as it is told, misbehaviour included.

    with Server() as server:
        server.add("/feed", body=b"<rss/>", etag='"1"')      # a proper answer; 304 by itself
        server.play("/slow", b"HTTP/1.1 200 OK\r\n", 60.0)   # raw steps: bytes, pauses, RESET
        ... server.url("/feed") ...
        assert [request.path for request in server.requests] == ["/feed"]

It runs in a thread of its own, so that tests of asynchronous and of synchronous code can use it.
"""

import asyncio
import gzip
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self


class End(Enum):
    """Ways to end a connection in the midst of an answer."""

    CLOSE = "close"
    RESET = "reset"


CLOSE, RESET = End.CLOSE, End.RESET

Step = bytes | float | End | Iterable[bytes]
"""Bytes to send, seconds to wait, a way to end, or many (even endlessly many) pieces to send.

An iterable that can be run through only once serves one request; `itertools.repeat` serves any number.
"""

Headers = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    """A request as it came: header names and values untouched, in order."""

    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    connection: int

    def header(self, name: str) -> str | None:
        """The value of the header `name`, in any case; None if it was not sent."""
        wanted = name.lower().encode()
        return next((v.decode("latin-1") for n, v in self.headers if n.lower() == wanted), None)


Answer = Callable[[Request], Iterable[Step]]


class Server:
    """Plays one scripted answer for each path, and records every request.

    Args:
        certificate: PEM file with key and certificate; makes it an https server.
        host: loopback address to listen on.
        port: port to listen on; 0 takes a free one.

    Attributes:
        requests: every request whose headers came whole, in order.
        connections: how many connections were accepted.
        peak: the largest number of requests that were being answered at once.
    """

    def __init__(self, certificate: Path | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.peak = 0
        self._active = 0
        self._answers: dict[str, Answer] = {}
        self._host = host
        self.port = port
        self._transports: list[asyncio.WriteTransport] = []
        self._tls: ssl.SSLContext | None = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @property
    def netloc(self) -> str:
        """`host:port`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    def url(self, path: str = "/", credentials: str = "") -> str:
        """The address of `path` here; `credentials` as `user:password`."""
        return f"http{'s' if self._tls else ''}://{credentials and credentials + '@'}{self.netloc}{path}"

    def add(
        self,
        path: str,
        body: bytes = b"",
        *,
        status: int = 200,
        headers: Headers = (),
        etag: str | None = None,
        last_modified: str | None = None,
        compress: bool = False,
        delay: float = 0,
    ) -> None:
        """Answer requests for `path` properly, from now on.

        Args:
            path: with query, as it stands in the request line.
            body: sent with its length.
            status: of the answer.
            headers: more headers; a repeated name needs pairs.
            etag: sent, and answered with 304 where `If-None-Match` equals it.
            last_modified: sent, and answered with 304 where only `If-Modified-Since` is sent and equals it.
            compress: gzip the body.
            delay: seconds to wait before the answer.
        """
        fields = list(headers.items() if isinstance(headers, Mapping) else headers)
        fields += [("ETag", etag)] if etag else []
        fields += [("Last-Modified", last_modified)] if last_modified else []
        if compress:
            body = gzip.compress(body, mtime=0)
            fields.append(("Content-Encoding", "gzip"))

        def answer(request: Request) -> Iterable[Step]:
            if delay:
                yield delay
            known, since = request.header("If-None-Match"), request.header("If-Modified-Since")
            if (etag and known == etag) or (last_modified and not known and since == last_modified):
                yield head(304, fields)
            else:
                yield head(status, fields, None if status in {204, 304} else len(body))
                if request.method != "HEAD":
                    yield body

        self._answers[path] = answer

    def play(self, path: str, *steps: Step) -> None:
        """Answer requests for `path` with these steps, from now on; headers are up to the steps.

        The connection stays open for the next request unless the steps end it.
        """
        self._answers[path] = lambda _: steps

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        await _turns()  # a connection that has just come in gets its task
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for transport in self._transports:
            with suppress(
                AttributeError
            ):  # asyncio's, of a transport that was closed and has written all since
                transport.abort()  # also those that wait for the other side to read
        await _turns()  # sockets are closed in a later turn of the loop

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._transports.append(writer.transport)
        self.connections += 1
        number = self.connections
        try:
            if self._tls is not None:
                await writer.start_tls(self._tls)
            while True:
                request = await self._read(reader, number)
                self.requests.append(request)
                self._active += 1
                self.peak = max(self.peak, self._active)
                try:
                    answer = self._answers.get(request.path)
                    steps = answer(request) if answer else (head(404, (), 0),)
                    if await self._play(steps, writer):
                        return
                finally:
                    self._active -= 1
        except (
            ConnectionError,
            asyncio.LimitOverrunError,
            asyncio.IncompleteReadError,
            asyncio.CancelledError,
            ssl.SSLError,
        ):
            pass  # the other side has gone, or the test is over
        finally:
            writer.close()

    @staticmethod
    async def _read(reader: asyncio.StreamReader, connection: int) -> Request:
        start = await reader.readexactly(1)
        if not start.isalpha():
            raise ConnectionError("this is not HTTP")
        block = start + await reader.readuntil(b"\r\n\r\n")
        first, *lines = block[:-4].split(b"\r\n")
        method, path, _ = first.decode("ascii").split(" ")
        pairs = tuple((n, v.strip()) for n, _, v in (line.partition(b":") for line in lines))
        length = next((int(v) for n, v in pairs if n.lower() == b"content-length"), 0)
        return Request(method, path, pairs, await reader.readexactly(length), connection)

    @staticmethod
    async def _play(steps: Iterable[Step], writer: asyncio.StreamWriter) -> bool:
        """Returns whether the steps have ended the connection."""
        for step in steps:
            if isinstance(step, End):
                if step is RESET:  # an RST instead of a FIN
                    writer.get_extra_info("socket").setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
                    writer.transport.abort()
                return True
            if isinstance(step, float | int):
                await asyncio.sleep(step)
                continue
            for piece in (step,) if isinstance(step, bytes) else step:
                writer.write(piece)
                await writer.drain()
        return False


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def head(status: int, headers: Headers = (), length: int | None = None) -> bytes:
    """A status line and headers, with `Content-Length` unless `length` is None, and the empty line."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines += [f"{n}: {v}" for n, v in (headers.items() if isinstance(headers, Mapping) else headers)]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """`data` as one chunk of a chunked body; an empty one ends the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
