"""Poll a whole folder of feed documents through the program itself, and compare with feedparser's reading.

    python -m benchmarks.corpus FOLDER [--show N]

Every file of the folder is served on loopback and polled by `aggregator poll --all --json`, twice. Printed
are what came of the files, how far the stored entries agree with feedparser's (ids, titles, links, dates),
and that the second poll found nothing new. Where feedparser reads no date and we do, that counts for us.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import strftime
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aggregator.text import link, plain_line

FIELDS = ("id", "title", "link", "published")


class _Files(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        path = self.folder / unquote(urlsplit(self.path).path.lstrip("/"))
        body = path.read_bytes() if path.parent == self.folder and path.is_file() else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "application/json" if path.suffix == ".json" else "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def poll(folder: Path, names: list[str], work: Path) -> tuple[dict[str, Any], dict[str, Any], str, str]:
    """Serve and poll twice; the two summaries, what the first poll said of failures, and the base URL."""
    _Files.folder = folder
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Files)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}/"
    config = work / "feeds.yaml"
    config.write_text(
        "feeds:\n"
        + "".join(f"  - {json.dumps(base + quote(name))}\n" for name in names)
        + "topics: [caribbean-tension]\nfetch: {allow_addresses: [127.0.0.1/32], per_host: 16}\n"
    )
    summaries, said = [], []
    for _ in range(2):
        run = subprocess.run(
            [sys.executable, "-m", "aggregator", "--config", str(config), "poll", "--all", "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "AGGREGATOR_DB": str(work / "a.db")},
        )
        summaries.append(json.loads(run.stdout))
        said.append(run.stderr)
    server.shutdown()
    server.server_close()
    return summaries[0], summaries[1], said[0], base


def theirs(body: bytes, base: str) -> tuple[list[dict[str, str | None]], int]:
    """How feedparser reads a document, addresses made absolute; and how many entries are repetitions.

    An entry whose id, link and title stood before in the same document is a repetition: it is kept once.
    """
    import feedparser

    def date(entry: Any) -> str | None:
        parsed = entry.get("published_parsed")
        return strftime("%Y-%m-%dT%H:%M:%SZ", parsed) if parsed else None

    entries = feedparser.parse(body).entries
    once: dict[str, dict[str, str | None]] = {}
    for entry in entries:
        named = [entry.get(name) for name in ("id", "link", "title")]
        once.setdefault(
            repr(named if any(named) else entry.get("summary")),
            {
                "id": entry.get("id") or None,
                "title": plain_line(entry.get("title") or ""),
                "link": link(entry.get("link", ""), base),
                "published": date(entry),
            },
        )
    return list(once.values()), len(entries) - len(once)


def agreements(
    ours: list[dict[str, str | None]], other: list[dict[str, str | None]]
) -> Iterator[tuple[str, bool, Any]]:
    """For each entry of theirs and each field: does one of ours agree?"""
    left = list(ours)
    pairs: list[tuple[dict[str, str | None], dict[str, str | None] | None]] = []
    waiting = list(other)
    for needed in (len(FIELDS), 3, 2, 1):  # the surest pairs first, so that none is taken from another
        for entry in tuple(waiting):
            for one in left:
                if sum(one[name] == entry[name] for name in FIELDS) >= needed:
                    left.remove(one)
                    waiting.remove(entry)
                    pairs.append((entry, one))
                    break
    pairs += [(entry, None) for entry in waiting]
    for entry, match in pairs:
        for name in FIELDS:
            if match is None:
                yield name, False, (entry[name], "no such entry")
            else:
                yield name, entry[name] in (None, "", match[name]), (entry[name], match[name])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--show", type=int, default=0, help="disagreements to list")
    options = parser.parse_args()
    names = sorted(path.name for path in options.folder.iterdir() if path.is_file() and path.suffix != ".tsv")
    with tempfile.TemporaryDirectory() as work:
        first, second, _said, base = poll(options.folder, names, Path(work))
        print("first poll ", first)
        print("second poll", second)
        db = sqlite3.connect(Path(work) / "a.db")
        db.row_factory = sqlite3.Row
        counts = Counter[str]()
        right = Counter[str]()
        total = Counter[str]()
        shown = repetitions = 0
        for name in names:
            feed = db.execute(
                "SELECT id, status, last_error FROM feeds WHERE subscription_url = ?", (base + quote(name),)
            ).fetchone()
            body = (options.folder / name).read_bytes()
            other, repeated = theirs(body, base)
            repetitions += repeated
            if feed["status"] != "active":
                counts["failed, feedparser reads entries" if other else "failed, feedparser reads none"] += 1
                if other and shown < options.show:
                    shown += 1
                    print(f"FAILED {name}: {feed['last_error']} (feedparser: {len(other)} entries)")
                continue
            counts["stored"] += 1
            ours = [
                {
                    "id": row["guid"],
                    "title": row["title"],
                    "link": row["url"],
                    "published": row["published_at"],
                }
                for row in db.execute("SELECT * FROM entries WHERE feed_id = ? ORDER BY id", (feed["id"],))
            ]
            if name.endswith(".json") and not other:
                counts["JSON feeds, not read by feedparser"] += 1
                continue
            total["count"] += 1
            right["count"] += len(ours) == len(other)
            if len(ours) != len(other) and shown < options.show:
                shown += 1
                print(f"COUNT {name}: {len(ours)} stored, feedparser {len(other)}")
            for field, agree, what in agreements(ours, other):
                total[field] += 1
                right[field] += agree
                if not agree and shown < options.show:
                    shown += 1
                    print(f"{field.upper()} {name}: feedparser {what[0]!r}, ours {what[1]!r}")
        db.close()
    counts["entries that repeat one of the same document"] = repetitions
    for kind, number in counts.items():
        print(f"{number:>6}  {kind}")
    for field in ("count", *FIELDS):
        print(f"{field:>10}: {right[field]}/{total[field]} = {right[field] / max(total[field], 1):.4f}")


if __name__ == "__main__":
    main()
