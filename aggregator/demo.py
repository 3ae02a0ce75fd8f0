"""Sample feeds, served on loopback as a publisher would: with validators, and entries of the last hours."""

import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
FEEDS = {
    "/warta/feed/": ("warta.rss", "application/rss+xml; charset=UTF-8"),
    "/jurnal/feeds/posts/default": ("jurnal.atom", "application/atom+xml; charset=UTF-8"),
    "/diario/feed.json": ("diario.json", "application/feed+json"),
}
"""The sample feeds: their paths, files and types. Each stands in a shape that is met every day: a
WordPress RSS feed, a Blogger Atom feed, a JSON Feed."""

_CONFIG = """\
feeds:
{feeds}
topics:
  - caribbean-tension
output:
  - name: caribbean-tension
    topic: caribbean-tension
  - name: all
fetch:
  allow_addresses: [127.0.0.1/32]
"""
_AGO = re.compile(r"@\{-(\d+)m\}")


def sample(name: str, base: str, now: datetime) -> bytes:
    """A sample feed as its publisher would send it.

    Args:
        name: the file in `samples/`; in it `@{-90m}` stands for the time 90 minutes ago, `@{base}` for
            the server's address.
        base: the server's address, without a trailing slash.
        now: the time.
    """

    def ago(match: re.Match[str]) -> str:
        moment = now - timedelta(minutes=int(match[1]))
        return format_datetime(moment) if name.endswith(".rss") else moment.isoformat(timespec="seconds")

    text = (SAMPLES / name).read_text(encoding="utf-8")
    return _AGO.sub(ago, text).replace("@{base}", base).encode()


class _Publisher(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    documents: dict[str, tuple[bytes, str]]

    def do_GET(self) -> None:
        """Send a sample, or 304 to who has it."""
        body, kind = self.documents.get(self.path, (b"there is no such sample", "text/plain"))
        etag = f'"{blake2b(body, digest_size=8).hexdigest()}"'
        status = 200 if self.path in self.documents else 404
        if status == 200 and self.headers.get("If-None-Match") == etag:
            status, body = 304, b""
        self.send_response(status)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing: the program under demonstration speaks for itself."""


@contextmanager
def sample_site() -> Iterator[Path]:
    """Serve the samples while the block runs, and give the path of a configuration that follows them.

    The configuration stands in a temporary folder, with room for a database, that goes with the block.
    """
    folder = Path(tempfile.mkdtemp(prefix="aggregator-demo-"))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Publisher)
    base = f"http://127.0.0.1:{server.server_port}"
    now = datetime.now(UTC).replace(microsecond=0)
    _Publisher.documents = {path: (sample(name, base, now), kind) for path, (name, kind) in FEEDS.items()}
    thread = threading.Thread(target=server.serve_forever, name="samples", daemon=True)
    thread.start()
    try:
        path = folder / "feeds.yaml"
        urls = "\n".join(f"  - {base}{path}" for path in FEEDS)
        path.write_text(_CONFIG.format(feeds=urls), encoding="utf-8")
        yield path
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        shutil.rmtree(folder, ignore_errors=True)
