"""The daemon as a service manager sees it: a process, its log, its signals, its answers."""

import asyncio
import json
import logging
import os
import pty
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.conftest import configure, item, rss, wait_for
from tests.server import Server

TOPIC = {
    "slug": "storms",
    "title": "Storms",
    "concepts": {"storm": {"any": ["storm"]}},
    "rules": {"named": {"all": "storm"}},
}


class Daemon:
    """`aggregator run` in a process of its own; everything it says is kept."""

    def __init__(
        self, folder: Path, *options: str, config: str = "feeds.yaml", terminal: bool = False
    ) -> None:
        self.raw = b""
        reader, writer = pty.openpty() if terminal else os.pipe()
        words = [sys.executable, "-m", "aggregator", "--config", config, "run", *options]
        if "--port" not in options:
            words += ["--port", "0"]
        self.process = subprocess.Popen(words, cwd=folder, stderr=writer, stdout=subprocess.DEVNULL)
        os.close(writer)
        self._thread = threading.Thread(target=self._read, args=(reader,))
        self._thread.start()

    def _read(self, reader: int) -> None:
        with os.fdopen(reader, "rb", buffering=0) as stream:
            try:
                while part := stream.read(65_536):
                    self.raw += part
            except OSError:  # a terminal whose other end has gone
                pass

    @property
    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.split(b"\n")[:-1]]

    def said(self, word: str) -> list[dict[str, Any]]:
        return [line for line in self.log if word in line["message"]]

    def wait_for(self, word: str, times: int = 1) -> dict[str, Any]:
        wait_for(lambda: len(self.said(word)) >= times or self.process.poll() is not None)
        found = self.said(word)
        assert len(found) >= times, self.raw.decode()
        return found[times - 1]

    @property
    def url(self) -> str:
        return str(self.wait_for("serving ")["url"])

    def get(self, path: str) -> str:
        with urlopen(self.url + path, timeout=10) as answer:
            return str(answer.read().decode())

    def end(self, number: int = signal.SIGTERM) -> float:
        """Stop it; returns how many seconds that took."""
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._thread.join(10)
        return time.monotonic() - began


@contextmanager
def daemon(folder: Path, *options: str, **more: Any) -> Iterator[Daemon]:
    running = Daemon(folder, *options, **more)
    try:
        yield running
    finally:
        running.end()


def rows(folder: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(folder / "db" / "aggregator.db", timeout=5)) as db:
        return db.execute(statement).fetchall()


def test_it_polls_serves_and_stops(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1, "A storm nears"), item(2, "Calm")))
    server.add("/b", status=503)
    configure(tmp_path, {"url": server.url("/a"), "every": "1s"}, server.url("/b"), topics=[TOPIC])
    with daemon(tmp_path) as running:
        running.wait_for(f"{server.url('/a')}: 2 new, 0 revised")
        failed = running.wait_for("overloaded")
        assert failed["level"] == "warning"
        assert failed["feed"] == server.url("/b")
        assert (failed["result"], failed["http_status"], failed["entries_new"]) == ("failed", 503, 0)
        feed = json.loads(running.get("/feeds/storms.json"))
        assert [entry["title"] for entry in feed["items"]] == ["A storm nears"]
        assert feed["feed_url"] == running.url + "/feeds/storms.json"
        assert "A storm nears" in running.get("/feeds/all.atom")
        assert " nears" in running.get("/")
        assert server.url("/a") in running.get("/opml")
        assert json.loads(running.get("/healthz")) == {"ok": True, "reasons": []}

        server.add("/a", rss(item(1, "A storm nears"), item(2, "Calm"), item(3, "Another storm")))
        running.wait_for("1 new, 0 revised")  # its interval is one second
        assert "Another storm" in running.get("/feeds/storms.json")

        with closing(socket.create_connection(("127.0.0.1", int(running.url.rpartition(":")[2])))) as idle:
            idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")  # and stays connected
            assert idle.recv(100).startswith(b"HTTP/1.1 200")
            assert running.end(signal.SIGINT) < 5
        assert running.process.returncode == 0
        assert running.log[-1]["message"] == "stopping"
    assert rows(tmp_path, "SELECT count(*) FROM feeds WHERE leased_until IS NOT NULL") == [(0,)]
    assert rows(tmp_path, "SELECT DISTINCT error FROM polls WHERE error IS NOT NULL") == [
        (f"{server.netloc} is overloaded or under maintenance (503)",)
    ]


def test_it_goes_on_as_soon_as_polls_have_ended(tmp_path: Path, server: Server) -> None:
    number = 60
    for one in range(number):
        server.add(f"/{one}", rss(item(one)))
    configure(
        tmp_path,
        *(server.url(f"/{one}") for one in range(number)),
        fetch={"allow_addresses": ["127.0.0.1"], "concurrency": 1},
    )
    with daemon(tmp_path) as running:
        running.wait_for("1 new")
        # Two at once: by the clock's seconds alone it would take half a minute.
        wait_for(lambda: rows(tmp_path, "SELECT count(*) FROM polls") == [(number,)], 10)


def test_it_stops_while_a_server_hangs(tmp_path: Path, server: Server) -> None:
    server.play("/hangs", 60.0)
    configure(tmp_path, server.url("/hangs"))
    with daemon(tmp_path) as running:
        wait_for(lambda: server.requests)
        assert running.end() < 5
        assert running.process.returncode == 0
        assert [line["level"] for line in running.log] == ["info", "info"], running.raw.decode()
    assert rows(tmp_path, "SELECT leased_until FROM feeds") == [(None,)]
    assert rows(tmp_path, "SELECT count(*) FROM polls") == [(0,)]


@pytest.mark.slow
def test_it_stops_while_it_reads_and_records_very_long_documents(tmp_path: Path, server: Server) -> None:
    number, length = 5, 3_000
    for feed in range(number):
        items = (
            item(
                feed * length + entry,
                f"Report {feed} of hour {entry}",
                text=f"What {entry} ships and {feed} ports had to tell.",
                link=f"https://warta.example/{feed}/{entry}",
            )
            for entry in range(length)
        )
        server.add(f"/{feed}", rss(*items))
    configure(
        tmp_path,
        *(server.url(f"/{feed}") for feed in range(number)),
        fetch={"allow_addresses": ["127.0.0.1"], "per_host": number},
    )
    with daemon(tmp_path) as running:
        wait_for(lambda: len(server.requests) == number)
        assert running.end() < 5
        assert running.process.returncode == 0
    assert {line["level"] for line in running.log} == {"info"}, running.raw.decode()[-2_000:]
    assert rows(tmp_path, "SELECT count(*) FROM feeds WHERE leased_until IS NOT NULL") == [(0,)]
    counts = rows(tmp_path, "SELECT count(*) FROM entries GROUP BY feed_id")
    assert set(counts) <= {(length,)}, "each document whole or not at all"


def test_it_stops_while_somebody_watches_a_page(tmp_path: Path) -> None:
    configure(tmp_path)
    with daemon(tmp_path) as running, urlopen(running.url + "/live", timeout=10) as watched:
        assert watched.status == 200
        assert running.end() < 5
        assert running.process.returncode == 0
    assert [line for line in running.log if line["level"] in ("warning", "error")] == []


def test_files_are_published_and_trends_counted(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1, "A storm nears")))
    configure(tmp_path, {"url": server.url("/a"), "every": "1s"}, publish={"dir": "public"})
    with daemon(tmp_path) as running:
        running.wait_for("serving ")
        file = tmp_path / "public" / "all.atom"
        wait_for(lambda: file.exists() and b"A storm nears" in file.read_bytes())
        server.add("/a", rss(item(1, "A storm nears"), item(2, "It is here")))
        wait_for(lambda: b"It is here" in file.read_bytes())
        assert "It is here" in running.get("/feeds/all.atom")
        assert (tmp_path / "public" / "index.html").exists()


def test_entries_of_an_older_version_are_linked_at_the_start(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1, "A storm nears the island", text="Ferries stay in port on Monday.")))
    configure(tmp_path, server.url("/a"))
    with daemon(tmp_path) as running:
        wait_for(lambda: "A storm nears" in running.get("/feeds/all.json"))
    with closing(sqlite3.connect(tmp_path / "db" / "aggregator.db")) as db, db:
        db.execute("UPDATE properties SET value = '0' WHERE name = 'linked_by'")
        db.execute("UPDATE entries SET story_id = NULL")
        db.execute("DELETE FROM fingerprints")
    with daemon(tmp_path) as running:
        running.wait_for("1 entries linked anew")
        assert rows(tmp_path, "SELECT count(story_id), (SELECT count(*) FROM fingerprints) FROM entries") == [
            (1, 1)
        ]


def test_it_reads_its_configuration_again(tmp_path: Path, server: Server) -> None:
    for path in "abc":
        server.add(f"/{path}", rss(item(1), title=path))
    (tmp_path / "topics").mkdir()
    mine = tmp_path / "topics" / "mine.yaml"
    mine.write_text(json.dumps(TOPIC))
    configure(tmp_path, server.url("/a"), topics=[{"file": "topics/mine.yaml"}])
    with daemon(tmp_path) as running:
        running.wait_for("1 new")

        other = configure(
            tmp_path / "topics", server.url("/a"), server.url("/b"), topics=[{"file": "topics/mine.yaml"}]
        )
        other.replace(tmp_path / "feeds.yaml")  # as careful editors do
        running.wait_for("configuration reloaded: 1 feeds added, 0 changed, 0 resumed, 0 paused")
        running.wait_for(f"{server.url('/b')}: 1 new")

        (tmp_path / "feeds.yaml").write_text("feeds: []\nretenton: 1d\n")
        wrong = running.wait_for("retenton")
        assert (wrong["level"], wrong["message"].startswith("feeds.yaml:2: retenton: ")) == ("error", True)
        running.wait_for("the one before stays in force")
        assert rows(tmp_path, "SELECT count(*) FROM feeds WHERE status = 'paused'") == [(0,)]
        assert len(json.loads(running.get("/feeds/storms.json"))["items"]) == 0

        configure(tmp_path, server.url("/a"), server.url("/c"), topics=[{"file": "topics/mine.yaml"}])
        running.process.send_signal(signal.SIGHUP)
        running.wait_for("configuration reloaded: 1 feeds added, 0 changed, 0 resumed, 1 paused")

        mine.write_text(json.dumps({**TOPIC, "threshold": 0}))
        running.wait_for("topics/mine.yaml:1: threshold")
        mine.write_text(json.dumps({**TOPIC, "title": "Gales"}))
        running.wait_for("configuration reloaded: 0 feeds added, 0 changed, 0 resumed, 0 paused")
        wait_for(lambda: "Gales" in running.get("/feeds/storms.atom"))


def test_a_topic_file_that_was_wrong_from_the_start_of_its_use_is_watched(
    tmp_path: Path, server: Server
) -> None:
    configure(tmp_path)
    with daemon(tmp_path) as running:
        running.wait_for("serving ")
        mine = tmp_path / "mine.yaml"
        mine.write_text("slug: storms\ntitle: Storms\nruls: {}\n")
        configure(tmp_path, topics=[{"file": "mine.yaml"}])
        running.wait_for("mine.yaml:3: ruls")
        mine.write_text(json.dumps(TOPIC))
        running.wait_for("configuration reloaded")
        assert json.loads(running.get("/feeds/storms.json"))["items"] == []


def test_a_change_of_network_settings_takes_effect(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    feed = {"url": server.url("/a"), "every": "1s"}
    configure(tmp_path, feed)
    with daemon(tmp_path) as running:
        running.wait_for("1 new")
        configure(tmp_path, feed, fetch={"allow_addresses": ["127.0.0.1"], "user_agent": "Tester/1"})
        running.wait_for("configuration reloaded")
        wait_for(lambda: server.requests[-1].header("User-Agent") == "Tester/1")


def test_a_second_one_at_the_same_address_refuses_and_changes_nothing(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    configure(tmp_path, server.url("/a"))
    with daemon(tmp_path) as running:
        port = running.url.rpartition(":")[2]
        configure(tmp_path, server.url("/b")).rename(tmp_path / "other.yaml")
        configure(tmp_path, server.url("/a"))
        with daemon(tmp_path, "--port", port, config="other.yaml") as second:
            assert second.process.wait(10) == 1
            second.end()
        assert second.raw.decode() == (
            f"cannot serve at 127.0.0.1:{port}: Address already in use. "
            "Is another aggregator running? `--port` takes another port, 0 a free one.\n"
        )
        assert rows(tmp_path, "SELECT url, status FROM feeds") == [(server.url("/a"), "active")]


def test_two_on_one_database_share_the_work(tmp_path: Path, server: Server) -> None:
    number = 12
    for n in range(number):
        server.add(f"/{n}", rss(item(n)), delay=0.02)
    configure(tmp_path)
    with ExitStack() as stack:
        both = [stack.enter_context(daemon(tmp_path)) for _ in range(2)]
        assert both[0].url != both[1].url
        configure(tmp_path, *(server.url(f"/{n}") for n in range(number)))
        done = "SELECT count(*) FROM polls"
        wait_for(lambda: rows(tmp_path, done) == [(number,)])
        for each in both:
            each.wait_for("configuration reloaded")
    assert sorted(request.path for request in server.requests) == sorted(f"/{n}" for n in range(number))
    assert not [line for each in both for line in each.log if line["level"] in ("warning", "error")]


def listing(*feeds: str) -> bytes:
    outlines = "".join(f"<outline text='{url}' xmlUrl='{url}'/>" for url in feeds)
    return f"<opml version='2.0'><body>{outlines}</body></opml>".encode()


def test_it_follows_a_list_and_goes_on_while_the_list_hangs(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    server.add("/b", rss(item(2)))
    server.add("/list", listing(server.url("/a"), server.url("/b")))
    server.play("/hangs", 60.0)
    configure(tmp_path, lists=[server.url("/list", "reader:canary")])
    with daemon(tmp_path) as running:
        running.wait_for("1 new, 0 revised", times=2)
        assert running.said("names 2 feeds")[0]["list"] == f"http://***@{server.netloc}/list"
        assert running.said("lists of feeds followed: 2 feeds added")
        exported = subprocess.run(
            [sys.executable, "-m", "aggregator", "opml", "export"],
            cwd=tmp_path,
            capture_output=True,
            check=True,
        )
        assert exported.stdout.decode() == running.get("/opml")
        assert exported.stdout.count(b"xmlUrl=") == 2

        server.add("/other", listing(server.url("/b")))
        configure(tmp_path, lists=[server.url("/other"), server.url("/hangs")])
        running.wait_for("configuration reloaded: 0 feeds added, 0 changed, 0 resumed, 2 paused")
        wait_for(lambda: any(request.path == "/hangs" for request in server.requests))
        assert running.end() < 5
    assert b"canary" not in running.raw
    assert b"Traceback" not in running.raw


def test_a_log_for_machines_and_one_for_people(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    configure(tmp_path, server.url("/a"))
    with daemon(tmp_path) as machine:
        machine.wait_for("1 new")
        for line in machine.log:
            assert {"time", "level", "logger", "message"} <= line.keys()
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    with daemon(tmp_path, terminal=True) as person:
        wait_for(lambda: b"serving " in person.raw)
    assert re.match(
        rb"\d\d:\d\d:\d\d info     serving http://127\.0\.0\.1:\d+, following 1 feeds\r?\n", person.raw
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_it_serves_others_only_with_a_password(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(tmp_path)
    with daemon(tmp_path, "--host", host) as refused:
        assert refused.process.wait(10) == 2
        refused.end()
    assert re.match(rb"--host: \S+ can be reached from other machines, and no password is set", refused.raw)
    assert refused.raw.count(b"\n") == 1
    assert not (tmp_path / "db").exists()


def test_it_asks_for_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGGREGATOR_TOKEN", "canary")
    configure(tmp_path)
    with daemon(tmp_path, "--host", "0.0.0.0") as running:
        with pytest.raises(HTTPError, match="401"):
            running.get("/feeds/all.json")
        assert json.loads(running.get("/feeds/all.json?token=canary"))["items"] == []
        assert json.loads(running.get("/healthz"))["ok"]
    assert b"canary" not in running.raw


def test_the_log_holds_no_secret_and_no_foreign_control_character(tmp_path: Path, server: Server) -> None:
    hostile = "\x1b]0;owned\x07 line\nforged\x9b2J\u202e"
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": hostile, "items": [{"id": "1", "title": hostile}]}  # fmt: skip
    server.add("/", b"<!doctype html><link rel=alternate type=application/feed+json href=/found>")
    server.add("/found", json.dumps(feed).encode())
    server.add("/moved", status=301, headers={"Location": "/found"})
    server.add("/bad", b"\x1b[31m" + hostile.encode(), headers={"Content-Type": "text/\x1bplain"})
    paths = ("/", "/moved", "/bad", "/missing")
    configure(tmp_path, *({"url": server.url(path, "reader:canary"), "every": "1s"} for path in paths))
    with daemon(tmp_path) as running:
        running.wait_for("the feed of ")
        running.wait_for("/missing: ", 2)
        running.wait_for("/bad: ", 2)
        assert running.get("/opml").count("xmlUrl=") == len(paths)
        assert "canary" not in running.get("/opml") + running.get("/") + running.get("/feeds/all.atom")
    assert b"canary" not in running.raw
    assert not re.search(b"[\x00-\x09\x0b-\x1f\x7f]", running.raw)
    text = running.raw.decode()
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert "***@" in text
    errors = rows(tmp_path, "SELECT error FROM polls UNION SELECT last_error FROM feeds")
    assert "canary" not in str(errors)
    assert (tmp_path / "db" / "aggregator.db").stat().st_mode & 0o077 == 0


def test_it_waits_for_a_locked_database_and_says_so_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In this process, so that the wait can be made short."""
    from aggregator import config
    from aggregator.app import Aggregator
    from aggregator.daemon import Daemon as Service

    path = configure(tmp_path, "http://127.0.0.1:9/feed")
    settings = config.load(path, environ={})

    async def main() -> None:
        with Aggregator(settings) as aggregator:
            aggregator.subscribe()
            aggregator.store._writer.execute("PRAGMA busy_timeout = 20")
            service = Service(aggregator, load=lambda: settings, watched=list, port=0)
            async with aggregator.poller() as poller:
                service._poller = poller
                with closing(sqlite3.connect(settings.database, isolation_level=None)) as other:
                    other.execute("BEGIN IMMEDIATE")
                    for _ in range(3):
                        await service._tick()
                    other.execute("ROLLBACK")
                await service._tick()

    with caplog.at_level(logging.INFO, "aggregator.daemon"):
        asyncio.run(main())
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [
        "polling waits for the database",
        "the database answers again",
    ]


def test_polling_gives_way_to_readers_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from aggregator import config
    from aggregator.app import Aggregator
    from aggregator.daemon import PATIENCE
    from aggregator.daemon import Daemon as Service
    from aggregator.web.live import Answering

    settings = config.load(configure(tmp_path), environ={})

    monkeypatch.setattr("aggregator.daemon.TURN", 60.0)

    async def never(*_: object) -> Any:
        await asyncio.Event().wait()

    async def main() -> None:
        with Aggregator(settings) as aggregator:
            service = Service(aggregator, load=lambda: settings, watched=list, port=0)
            answering = service._answering = Answering(never)

            def waited() -> float:
                began = time.monotonic()
                service._give_way()
                return time.monotonic() - began

            async def asked(path: str) -> None:
                request = asyncio.create_task(answering({"type": "http", "path": path}, never, never))
                requests.append(request)
                await asyncio.sleep(0)

            requests: list[asyncio.Task[None]] = []
            assert waited() < PATIENCE, "nobody asks"
            await asked("/live")
            assert waited() < PATIENCE, "a page is open, and listens"
            await asked("/")
            assert PATIENCE <= waited() < 20 * PATIENCE, "somebody waits for an answer"
            assert waited() < PATIENCE, "now it is polling's turn"
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
            assert answering.number == 0

    asyncio.run(main())


@pytest.mark.parametrize("fast", [True, False], ids=["uvloop", "asyncio"])
def test_it_runs_on_uvloop_where_that_is_installed(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, *, fast: bool
) -> None:
    if fast:
        pytest.importorskip("uvloop")
    else:
        (tmp_path / "uvloop.py").write_text("raise ImportError('not installed')")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    server.add("/a", rss(item(1)))
    configure(tmp_path, server.url("/a"))
    with daemon(tmp_path) as running:
        running.wait_for(": 1 new, 0 revised")
        assert len(json.loads(running.get("/feeds/all.json"))["items"]) == 1
        maps = Path(f"/proc/{running.process.pid}/maps")
        assert not maps.exists() or ("/uvloop/loop." in maps.read_text()) == fast
        assert running.end() < 5
        assert running.process.returncode == 0


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What systemd would hear."""
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listener:
        listener.settimeout(10)
        listener.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_the_service_manager_is_told(
    tmp_path: Path, server: Server, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    server.add("/a", rss(item(1)))
    configure(tmp_path, server.url("/a"))
    heard: list[str] = []

    def wait(word: str) -> None:
        while not any(word in said for said in heard[-1:]):
            heard.append(manager.recv(4096).decode())

    with daemon(tmp_path) as running:
        wait("READY=1")
        assert "STATUS=serving http://127.0.0.1:" in heard[-1]
        assert running.get("/healthz")  # ready means that it answers
        wait("WATCHDOG=1")
        assert "STATUS=following 1 feeds" in heard[-1]
        running.process.send_signal(signal.SIGHUP)
        wait("RELOADING=1\nMONOTONIC_USEC=")
        wait("READY=1")
        running.wait_for("configuration reloaded")
        wait_for(lambda: 'result="changed"} 1.0' in running.get("/metrics"))
        metrics = running.get("/metrics")
        assert 'aggregator_polls_total{failure="",result="changed"} 1.0' in metrics
        assert 'aggregator_entries_total{change="new"} 1.0' in metrics
        assert 'aggregator_feeds{status="active"} 1.0' in metrics
        running.process.send_signal(signal.SIGTERM)
        wait("STOPPING=1")


def test_the_watchdog_is_fed_only_while_feeds_are_looked_for_and_the_store_answers(
    tmp_path: Path, manager: socket.socket
) -> None:
    """In this process, so that the heart can be made to stop."""
    from aggregator import config
    from aggregator.app import Aggregator
    from aggregator.daemon import Daemon as Service

    settings = config.load(configure(tmp_path, "http://127.0.0.1:9/feed"), environ={})

    async def main() -> None:
        aggregator = Aggregator(settings)
        aggregator.subscribe()
        service = Service(aggregator, load=lambda: settings, watched=list, port=0)
        await service._still_alive(timedelta(minutes=1))
        await service._tick()
        await service._still_alive(timedelta(minutes=1))
        service._beat_at -= 61
        await service._still_alive(timedelta(minutes=1))
        await service._tick()
        aggregator.close()
        await service._still_alive(timedelta(minutes=1))

    asyncio.run(main())
    manager.setblocking(False)
    heard = [manager.recv(4096).decode(), manager.recv(4096).decode()]
    assert heard[0] == "WATCHDOG=1\nSTATUS=following 1 feeds"
    assert heard[1].endswith("the store has been closed")
    with pytest.raises(BlockingIOError):
        manager.recv(4096)
