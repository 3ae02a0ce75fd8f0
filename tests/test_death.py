"""What no program is asked about: being killed, a full disk, a lock, a file that cannot be written, a clock that jumps."""

import asyncio
import json
import logging
import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from aggregator.cadence import GONE
from aggregator.daemon import _each, _keep_time
from aggregator.errors import StoreError
from aggregator.model import PollResult, Subscription
from aggregator.store import open_store
from aggregator.store.database import BUSY_TIMEOUT
from tests.conftest import NOON, Clock, configure, item, rss, wait_for
from tests.server import Server
from tests.test_daemon import Daemon, daemon, rows
from tests.test_poll import Newsroom

KILLS = 50
FEEDS = 30
SHOWN = 8
"""Entries in a document; they scroll out as new ones come."""


@dataclass
class Press:
    """Publishers whose documents change, and what each version of each document showed."""

    server: Server
    chance: random.Random
    began: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=2))
    versions: dict[str, int] = field(default_factory=dict)
    shown: dict[tuple[str, str], dict[str, str]] = field(default_factory=dict)
    newest: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: SHOWN))

    @property
    def paths(self) -> list[str]:
        return [f"/{number}" for number in range(FEEDS)]

    def publish(self, path: str) -> None:
        """The next version of a document: a new entry or two, perhaps an old one with another title."""
        version = self.versions[path] = self.versions.get(path, 0) + 1
        self.newest[path] += self.chance.randint(1, 2)
        newest = self.newest[path]
        titles = {
            f"g{number}": f"Item {number}" + (f", version {version}" if self.chance.random() < 0.1 else "")
            for number in range(newest, newest - SHOWN, -1)
        }
        # The links of one number are those of all feeds: their entries are copies of one article.
        body = rss(*(item(int(guid[1:]), title, published=self.began) for guid, title in titles.items()))
        self.shown[path, f'"{version}"'] = titles
        self.server.add(path, body, etag=f'"{version}"')

    def publish_some(self) -> None:
        for path in self.chance.sample(self.paths, FEEDS // 3):
            self.publish(path)


def check(folder: Path, press: Press, uids: dict[tuple[str, str], str]) -> None:
    """Whatever moment the daemon died at, the store tells no lie."""
    with closing(sqlite3.connect(folder / "db" / "aggregator.db")) as db:

        def ask(statement: str) -> list[tuple[Any, ...]]:
            return db.execute(statement).fetchall()

        assert ask("PRAGMA integrity_check") == [("ok",)]
        assert ask("PRAGMA foreign_key_check") == []
        db.execute("INSERT INTO entries_fts (entries_fts, rank) VALUES ('integrity-check', 1)")
        assert ask("SELECT feed_id, guid FROM entries GROUP BY 1, 2 HAVING count(*) > 1") == []
        assert ask("SELECT uid FROM entries GROUP BY 1 HAVING count(*) > 1") == []
        assert (
            ask(
                """SELECT a.id FROM articles a LEFT JOIN entries e ON e.article_id = a.id GROUP BY a.id
                   HAVING a.entry_count != count(e.id) OR a.feed_count != count(DISTINCT e.feed_id)
                       OR NOT max(a.canonical_entry_id = e.id)"""
            )
            == []
        )
        # Each poll's row says what it wrote; what one transaction holds is there as a whole.
        assert (
            ask(
                """SELECT id FROM feeds
                    WHERE (SELECT count(*) FROM entries WHERE feed_id = feeds.id)
                          != (SELECT coalesce(sum(entries_new), 0) FROM polls WHERE feed_id = feeds.id)"""
            )
            == []
        )
        assert (
            ask(
                """SELECT e.id FROM entries e
                    WHERE e.revision != 1 + (SELECT count(*) FROM revisions r WHERE r.entry_id = e.id)"""
            )
            == []
        )
        stored: dict[str, dict[str, str]] = defaultdict(dict)
        for url, guid, title, uid in ask("SELECT feeds.url, guid, entries.title, uid FROM entries JOIN feeds ON feeds.id = feed_id"):  # fmt: skip
            path = "/" + url.rpartition("/")[2]
            stored[path][guid] = title
            assert uids.setdefault((path, guid), uid) == uid
        for url, etag in ask("SELECT url, etag FROM feeds WHERE etag IS NOT NULL"):
            path = "/" + url.rpartition("/")[2]
            showed = press.shown[path, etag]
            assert {
                guid: stored[path].get(guid) for guid in showed
            } == showed  # no validator without its entries
        assert [known for known in uids if known[1] not in stored[known[0]]] == []  # nothing is lost again


def ten_minutes_pass(folder: Path) -> None:
    """So long do claims outlive whoever held them."""
    with closing(sqlite3.connect(folder / "db" / "aggregator.db", timeout=10)) as db, db:
        db.execute("UPDATE feeds SET leased_until = NULL")


@pytest.mark.slow
def test_killed_at_any_moment_it_loses_and_repeats_nothing(tmp_path: Path) -> None:
    def one(seed: int) -> int:
        folder = tmp_path / str(seed)
        folder.mkdir()
        with Server() as server:
            return live_and_die(folder, server, random.Random(seed), KILLS // 2)

    with ThreadPoolExecutor(2) as pool:  # two at once, each with a database of its own: half the time
        died_busy = sum(pool.map(one, (20251120, 20251121)))
    assert died_busy > KILLS / 10  # else this test tests nothing


def live_and_die(tmp_path: Path, server: Server, chance: random.Random, kills: int) -> int:
    """Returns how many died with feeds claimed."""
    press = Press(server, chance)
    for path in press.paths:
        press.publish(path)
    configure(
        tmp_path,
        *({"url": server.url(path), "every": "1s"} for path in press.paths),
        fetch={"allow_addresses": ["127.0.0.1"], "per_host": FEEDS},
    )
    uids: dict[tuple[str, str], str] = {}
    died_busy = 0
    for life in range(kills):
        press.publish_some()
        asked = len(server.requests)
        running = Daemon(tmp_path)
        try:
            if life % 5:
                wait_for(lambda asked=asked: len(server.requests) > asked)  # type: ignore[misc]
                time.sleep(chance.uniform(0, 0.25))
                if life % 2:
                    press.publish_some()
            else:
                time.sleep(chance.uniform(0.1, 0.8))
        finally:
            running.end(signal.SIGKILL)
        if life == 0:  # it may have died before there was anything
            with daemon(tmp_path) as first:
                first.wait_for("serving ")
        else:
            died_busy += rows(tmp_path, "SELECT count(*) > 0 FROM feeds WHERE leased_until IS NOT NULL")[0][0]
        check(tmp_path, press, uids)
        ten_minutes_pass(tmp_path)

    def all_is_stored() -> bool:
        etags = dict(rows(tmp_path, "SELECT url, etag FROM feeds"))
        return all(etags[server.url(path)] == f'"{version}"' for path, version in press.versions.items())

    with daemon(tmp_path) as last:
        wait_for(all_is_stored, 20)
        document = json.loads(last.get("/feeds/all.json"))
        ids = [entry["id"] for entry in document["items"]]
        assert len(ids) == len(set(ids)) > 0
        assert not [line for line in last.log if line["level"] == "error"], last.raw.decode()
    check(tmp_path, press, uids)
    return died_busy


# ------------------------------------------------------------------------------------- being stopped


def test_it_ends_within_five_seconds_whatever_it_is_doing(tmp_path: Path, server: Server) -> None:
    """Servers that hang, one that drips, documents that take long to read, and more that wait their turn."""
    server.play("/drips", b"HTTP/1.1 200 OK\r\n\r\n", *(b"<rss>", 0.1) * 600)
    for number in range(5):
        server.play(f"/hangs/{number}", 60.0)
    large = rss(*(item(number, text="&lt;b&gt;word&lt;/b&gt; " * 150) for number in range(400)))
    for number in range(40):
        server.add(f"/large/{number}", large)
    paths = ["/drips", *(f"/hangs/{n}" for n in range(5)), *(f"/large/{n}" for n in range(40))]
    configure(
        tmp_path,
        *(server.url(path) for path in paths),
        fetch={"allow_addresses": ["127.0.0.1"], "per_host": 50},
    )
    with daemon(tmp_path) as running:
        wait_for(lambda: len(server.requests) >= len(paths))
        assert running.end() < 5
        assert running.process.returncode == 0, running.raw.decode()
    assert rows(tmp_path, "SELECT count(*) FROM feeds WHERE leased_until IS NOT NULL") == [(0,)]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


# ------------------------------------------------------------------------------------- the database


def test_the_real_wait_for_a_lock_is_longer_than_20_s() -> None:
    assert timedelta(seconds=20) < BUSY_TIMEOUT


def test_a_lock_by_another_program_delays_and_loses_nothing(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    configure(tmp_path, {"url": server.url("/a"), "every": "1s"})
    with daemon(tmp_path) as running:
        running.wait_for("1 new")
        with closing(sqlite3.connect(tmp_path / "db" / "aggregator.db", isolation_level=None)) as other:
            wait_for(lambda: _begun(other))
            server.add("/a", rss(item(1), item(2)))
            end = time.monotonic() + 2
            while time.monotonic() < end:  # readers go on meanwhile
                assert json.loads(running.get("/healthz"))["ok"]
                assert len(json.loads(running.get("/feeds/all.json"))["items"]) == 1
            other.execute("ROLLBACK")
        running.wait_for("1 new, 0 revised", 2)
        assert not [line for line in running.log if line["level"] in ("warning", "error")], (
            running.raw.decode()
        )


def _begun(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        return False
    return True


@contextmanager
def no_room(process: int, path: Path) -> Iterator[None]:
    """Let no file of a process grow beyond its present size, as on a disk that is full."""
    soft, hard = resource.prlimit(process, resource.RLIMIT_FSIZE)
    present = max(part.stat().st_size for part in path.parent.iterdir())
    resource.prlimit(process, resource.RLIMIT_FSIZE, (present, hard))
    try:
        yield
    finally:
        resource.prlimit(process, resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="only Linux limits another process")
def test_a_full_disk_damages_nothing_and_is_recovered_from(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    configure(tmp_path, {"url": server.url("/a"), "every": "1s"})
    path = tmp_path / "db" / "aggregator.db"
    with daemon(tmp_path) as running:
        running.wait_for("1 new")
        with no_room(running.process.pid, path):
            server.add("/a", rss(*(item(number, text="word " * 5_000) for number in range(1, 40))))
            said = wait_for(lambda: [line for line in running.log if line["level"] == "error"])[0]
            assert str(path) in said["message"]
            assert "traceback" not in said
            assert len(json.loads(running.get("/feeds/all.json"))["items"]) == 1
            assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
        ten_minutes_pass(tmp_path)
        running.wait_for("38 new, 1 revised")
        assert running.end() < 5
        assert running.process.returncode == 0
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(tmp_path, "SELECT count(*), count(DISTINCT guid) FROM entries") == [(39, 39)]


@pytest.fixture
def guarded() -> Iterator[Path]:
    """A folder whose permissions hold for this test, even where it is run by root."""
    folder = Path(tempfile.mkdtemp())
    open_store(folder / "first.db").close()  # all modules are loaded that root alone may read
    "warta".encode("idna")
    user = os.geteuid()
    if user == 0:
        os.chown(folder, 65_534, -1)
        os.seteuid(65_534)
    try:
        yield folder
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
        shutil.rmtree(folder)


def test_a_folder_that_cannot_be_written_is_named(guarded: Path) -> None:
    guarded.chmod(0o555)
    with pytest.raises(StoreError, match=r"news\.db: Permission denied"):
        open_store(guarded / "news.db")


def test_a_file_that_cannot_be_written_can_be_read(guarded: Path) -> None:
    path = guarded / "news.db"
    with closing(open_store(path)) as store:
        store.subscribe([Subscription("https://warta.example/")], NOON)
    path.chmod(0o444)
    with closing(open_store(path)) as store:
        assert len(store.feeds()) == 1
        with pytest.raises(StoreError, match=r"news\.db: attempt to write a readonly database"):
            store.claim(NOON, due_by=NOON, limit=1, per_host=1, lease=timedelta(minutes=10))


# --------------------------------------------------------------------------------------- the clock


@pytest.mark.parametrize("years", [10, -10], ids=["forward", "back"])
def test_a_clock_that_jumps_stops_no_feed_and_bursts_nothing(
    tmp_path: Path, server: Server, years: int
) -> None:
    number = 5
    for path in range(number):
        server.add(f"/{path}", rss(item(path)), etag='"1"')
    server.add("/gone", status=410)
    clock = Clock()
    newsroom = Newsroom(tmp_path / "news.db", clock)
    urls = [server.url(f"/{path}") for path in range(number)] + [server.url("/gone")]

    def run() -> None:
        async def main() -> None:
            async with asyncio.timeout(10), newsroom.poller() as poller:
                await poller.run()

        asyncio.run(main())

    with closing(newsroom.store):
        newsroom.follow(*urls)
        for then in (NOON, NOON + timedelta(days=365 * years), NOON, NOON + timedelta(minutes=1)):
            clock.now = then
            before = len(server.requests)
            run()
            asked = [request.path for request in server.requests[before:]]
            if then != NOON + timedelta(minutes=1):
                assert sorted(asked) == sorted([*(f"/{path}" for path in range(number)), "/gone"])
            else:
                assert asked == []
            for url in urls:
                planned = newsroom.state(url).next_poll_at
                assert planned is not None
                assert then < planned <= then + 1.2 * GONE
        assert newsroom.query("SELECT count(*) AS n FROM entries") == [(number,)]


def test_a_pause_asked_for_in_the_future_does_not_hold_its_host(
    tmp_path: Path, server: Server, clock: Clock
) -> None:
    urls = [server.url("/a"), server.url("/b")]
    server.add("/a", rss(item(1)))
    server.add("/b", rss(item(2)))
    newsroom = Newsroom(tmp_path / "news.db", clock)
    with closing(newsroom.store):
        newsroom.follow(*urls)
        newsroom.poll()
        server.add("/a", status=503, headers={"Retry-After": "100000"})

        def pass_over(*wanted: str) -> None:
            async def main() -> None:
                async with asyncio.timeout(10), newsroom.poller() as poller:
                    await poller.run(among=newsroom.store.find_feeds(wanted))

            asyncio.run(main())

        clock.now = NOON + timedelta(days=900)
        pass_over(urls[0])
        held = {newsroom.state(url).next_poll_at for url in urls}
        assert len(held) == 1  # one asked for the pause, the other waits as long
        clock.now = NOON + timedelta(hours=1)
        newsroom.outcomes.clear()
        pass_over(*urls)
        assert set(newsroom.outcomes) == set(urls)


def test_a_claim_of_the_future_does_not_hold_a_feed(tmp_path: Path, server: Server, clock: Clock) -> None:
    server.add("/a", rss(item(1)))
    newsroom = Newsroom(tmp_path / "news.db", clock)
    with closing(newsroom.store):
        newsroom.follow(server.url("/a"))
        ahead = NOON + timedelta(days=900)
        assert newsroom.store.claim(ahead, due_by=ahead, limit=9, per_host=9, lease=timedelta(minutes=10))
        assert newsroom.poll()[server.url("/a")].result is PollResult.CHANGED


def test_the_heartbeat_goes_on_when_the_clock_is_put_back(caplog: pytest.LogCaptureFixture) -> None:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    clock = Clock(datetime.now(UTC))

    async def main() -> None:
        beating = asyncio.Event()

        async def beat() -> None:
            beating.set()

        scheduler = AsyncIOScheduler(timezone="UTC")
        # What a job's next time is after the clock was put back by an hour.
        scheduler.add_job(beat, _each(timedelta(seconds=1)), next_run_time=clock.now + timedelta(hours=1))
        scheduler.start()
        keeping = asyncio.create_task(_keep_time(scheduler, clock, timedelta(milliseconds=10)))
        async with asyncio.timeout(5):
            await asyncio.sleep(0.05)
            assert not beating.is_set()
            clock.forward(hours=-1)
            await beating.wait()
        keeping.cancel()
        scheduler.shutdown(wait=False)

    with caplog.at_level(logging.WARNING, "aggregator.daemon"):
        asyncio.run(main())
    assert "the clock was put back by 1:00:00" in caplog.text


def test_a_clock_that_is_put_forward_costs_nothing() -> None:
    """A machine without a clock starts in 1970, until it hears the time: two and a half million missed seconds a month."""
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

    beats: list[datetime] = []

    async def main() -> None:
        beating = asyncio.Event()

        async def beat() -> None:
            beats.append(datetime.now(UTC))
            beating.set()

        scheduler = AsyncIOScheduler(timezone="UTC")
        # What a job's next time is after the clock was put forward by a month.
        month_ago = datetime.now(UTC) - timedelta(days=30)
        scheduler.add_job(beat, _each(timedelta(seconds=1)), misfire_grace_time=None, next_run_time=month_ago)
        scheduler.start()
        async with asyncio.timeout(10):
            await beating.wait()
        (job,) = scheduler.get_jobs()
        assert timedelta() < job.next_run_time - beats[0] <= timedelta(seconds=1)
        scheduler.shutdown(wait=False)

    before = time.process_time()
    asyncio.run(main())
    assert len(beats) == 1
    assert time.process_time() - before < 1


# -------------------------------------------------------------------------------- several at once


def test_an_invalid_configuration_changes_nothing_while_running(tmp_path: Path, server: Server) -> None:
    server.add("/a", rss(item(1)))
    feed = {"url": server.url("/a"), "every": "1s"}
    path = configure(tmp_path, feed)
    with daemon(tmp_path) as running:
        running.wait_for("1 new")
        for text in ("feeds: [", "feeds: 7\n", "\x00\x01", ""):
            said = len(running.said("stays in force"))
            path.write_text(text)
            running.wait_for("stays in force", said + 1)
        path.unlink()
        running.wait_for("stays in force", 5)
        asked = len(server.requests)
        wait_for(lambda: len(server.requests) > asked)  # and polling goes on
        assert rows(tmp_path, "SELECT status FROM feeds") == [("active",)]
        with urlopen(running.url + "/healthz", timeout=5) as answer:
            assert answer.status == 200
