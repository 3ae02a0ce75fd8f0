"""What fetching costs: CPU milliseconds of our process for one request.

    python -m benchmarks.fetch [--requests N]

A small server in another process, on loopback, answers with a 304 or with a document of 90 kB, plain or
compressed. "warm" polls send validators over kept connections; "cold" ones get the document.
"""

import argparse
import asyncio
import gzip
import subprocess
import sys
import time
from datetime import timedelta
from ipaddress import ip_network
from random import Random

from aggregator.fetch import Fetcher
from aggregator.fetch.exchange import Target
from aggregator.model import Fetched, FetchSettings, NotModified, Validators

CONCURRENCY = 64
BODY_BYTES = 90_000


def document() -> bytes:
    """Text that compresses about as well as a feed does: to a fourth."""
    random = Random(1)
    words = ["".join(random.choices("abcdefghij", k=random.randint(2, 9))) for _ in range(3000)]
    return " ".join(random.choices(words, k=BODY_BYTES))[:BODY_BYTES].encode()


class Answering(asyncio.Protocol):
    """Answers by the least work possible, so that the server is not what is measured."""

    body = document()
    packed = gzip.compress(body)
    head = b'HTTP/1.1 200 OK\r\nContent-Type: application/rss+xml\r\nETag: "1"\r\n'
    not_modified = b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\nCache-Control: max-age=300\r\n\r\n'
    plain = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    compressed = head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed) + packed

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            request, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            if b"If-None-Match" in request:
                self.transport.write(self.not_modified)
            else:
                self.transport.write(self.compressed if request.startswith(b"GET /gzip") else self.plain)


async def serve() -> None:
    server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def measure(port: int, path: str, requests: int, warm: bool) -> tuple[float, float]:
    """CPU and wall milliseconds for each request."""
    settings = FetchSettings(
        allow_addresses=(ip_network("127.0.0.1/32"),),
        concurrency=CONCURRENCY,
        per_host=CONCURRENCY,
        timeout=timedelta(seconds=30),
    )
    async with Fetcher(settings, user_agent="benchmark") as fetcher:
        urls = [f"http://127.0.0.1:{port}{path}?{n}" for n in range(requests)]
        known = {url: Validators(etag='"1"', url=Target.of(url).asked) for url in urls}

        async def poll(url: str) -> None:
            answer = await fetcher.fetch(url, known[url] if warm else Validators())
            assert isinstance(answer, NotModified if warm else Fetched), answer

        await asyncio.gather(*map(poll, urls[:CONCURRENCY]))  # open the connections
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(poll, urls))
        return (
            (time.process_time() - cpu) / requests * 1000,
            (time.perf_counter() - wall) / requests * 1000,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve())
        return
    command = [sys.executable, "-m", "benchmarks.fetch", "--serve"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            print(f"{options.requests} requests, {CONCURRENCY} at once; milliseconds for one")
            for name, path, warm in (
                ("304", "/plain", True),
                ("200, 90 kB plain", "/plain", False),
                ("200, 90 kB gzip", "/gzip", False),
            ):
                cpu, wall = asyncio.run(measure(port, path, options.requests, warm))
                print(f"{name:18} cpu {cpu:.2f}   wall {wall:.2f}")
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
