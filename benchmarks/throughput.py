"""What the daemon carries: figures beside their targets, each from the program as its user starts it.

    python -m benchmarks.throughput [latency] [idle] [curve] [serving]

* **latency**: how long a refresh waits for slow servers: 1,000 feeds, unchanged, 200 ms for each answer;
* **idle**: memory and CPU of a daemon with 10,000 subscriptions of which none is due, and its look for them;
* **curve**: CPU per poll with 1,000, 3,000 and 10,000 feeds of small entries;
* **serving**: how soon pages and feeds are answered while the same daemon reads 1,000 feeds for the first time.

Without a name all four run, in some two minutes; benchmarks/README.md says how to read the figures.
"""

import argparse
import json
import math
import os
import platform
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from aggregator.app import Aggregator
from aggregator.poll import LEASE
from benchmarks import refresh
from benchmarks.feeds import Plan, serving
from benchmarks.refresh import Expected, Ours, WrongResultError, byte_code_kept, measure, prepared, warm_up

_ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 60
_REFRESH_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        name: what was measured.
        value: in `unit`.
        unit: of value and target.
        target: at most this is wanted; None: the figure explains another one.
    """

    name: str
    value: float
    unit: str
    target: float | None = None

    def __str__(self) -> str:
        target = ""
        if self.target is not None:
            target = f"at most {self.target:g}: {'met' if self.value <= self.target else 'MISSED'}"
        return f"  {self.name:<52}{self.value:>9.2f} {self.unit:<12}{target}".rstrip()


# ------------------------------------------------------------------------------------ the daemon


class Daemon:
    """`aggregator run` as a process of its own, seen from outside.

    Attributes:
        url: where it serves.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", url: str) -> None:
        self.url = url
        self._process = process

    def memory(self, kind: str) -> float:
        """MiB of resident memory: `VmRSS` now, `VmHWM` at its highest."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name == kind:
                return int(rest.split()[0]) / 1024
        raise LookupError(kind)

    def cpu(self) -> float:
        """CPU seconds so far, user and system."""
        return cpu_of(self._process.pid)


def cpu_of(pid: int) -> float:
    """CPU seconds that a process has used so far, user and system."""
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(folder: Path) -> Iterator[Daemon]:
    """The daemon on a folder's feeds.yaml and store.db, from when it serves until the block ends.

    Raises:
        WrongResultError: it did not start.
    """
    command = [sys.executable, "-m", "aggregator", "--config", f"{folder}/feeds.yaml"]
    command += ["--db", f"{folder}/store.db", "run", "--port", "0"]
    said = folder / "log"
    with said.open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log, cwd=_ROOT
        )
    try:
        yield Daemon(process, _address(process, said))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", said: Path) -> str:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        *lines, _ = said.read_text().split("\n")  # the last one may not be whole yet
        for line in lines:
            if line.startswith("{") and (url := json.loads(line).get("url")):
                return str(url)
        time.sleep(0.02)
    raise WrongResultError(f"the daemon did not start:\n{said.read_text()[-3000:]}")


def _never_polled(folder: Path) -> int:
    with closing(sqlite3.connect(f"file:{folder}/store.db?mode=ro", uri=True)) as store:
        [number] = store.execute("SELECT count(*) FROM feeds WHERE last_polled_at IS NULL").fetchone()
    return int(number)


# -------------------------------------------------------------------------------------- the parts

FEEDS = 1000
CONCURRENCY = 64  # what feeds.yaml asks for where it says nothing
LATENCY = 0.2


def latency() -> Iterator[Figure]:
    """A refresh of unchanged feeds whose servers are slow: it must wait for many of them at once."""
    plan, program = Plan(FEEDS, entries=5, html=(100, 300)), Ours()
    total = plan.feeds * plan.entries
    with serving(plan, LATENCY) as server:
        warm_up(program, server)
        with prepared(program, server.urls(FEEDS)) as folder:
            measure(program, "cold", folder, server, Expected(FEEDS, 0, total, total))
            warm = measure(program, "warm", folder, server, Expected(0, FEEDS, 0, total))
            _change(folder, "next_poll_at = '2000-01-01T00:00:00Z', last_polled_at = NULL")
            with running(folder):
                began = time.perf_counter()
                while _never_polled(folder) and time.perf_counter() - began < _REFRESH_SECONDS:
                    time.sleep(0.05)
                daemon = time.perf_counter() - began
            if (tally := server.take_tally()).get(304) != FEEDS:
                raise WrongResultError(f"latency: the server answered {tally}")
    yield Figure("1,000 feeds warm, 200 ms latency, 64 at once", warm.wall, "s", 6)
    yield Figure("  the same by the daemon", daemon, "s", 6)
    yield Figure("  waiting alone takes, 16 times 200 ms", math.ceil(FEEDS / CONCURRENCY) * LATENCY, "s")
    yield Figure("  CPU, start-up included", warm.cpu, "s")


SUBSCRIPTIONS = 10_000
SETTLING, IDLING = 10.0, 20.0
LOOKS = 200


def idle() -> Iterator[Figure]:
    """A daemon with many subscriptions and nothing to do."""
    with tempfile.TemporaryDirectory(prefix="throughput-") as name:
        folder = Path(name)
        # Nobody asks these addresses: none is due.
        Ours().prepare(folder, [f"https://news-{number}.example/feed.xml" for number in range(SUBSCRIPTIONS)])
        with Aggregator.open(folder / "feeds.yaml", db=f"{folder}/store.db") as aggregator:
            aggregator.subscribe()
            tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
            _change(folder, f"next_poll_at = '{tomorrow}'")
            looks = sorted(_looks(aggregator))
        began = time.perf_counter()
        with running(folder) as daemon:
            started = time.perf_counter() - began
            time.sleep(SETTLING)
            before = daemon.cpu()
            time.sleep(IDLING)
            spent, resident, peak = daemon.cpu() - before, daemon.memory("VmRSS"), daemon.memory("VmHWM")
        if _never_polled(folder) != SUBSCRIPTIONS:
            raise WrongResultError("idle: some feeds were polled")
    yield Figure("10,000 subscriptions, none due: resident memory", resident, "MiB", 200)
    yield Figure("  at its highest, while starting", peak, "MiB")
    yield Figure("  until it serves", started, "s")
    yield Figure("  CPU while idle", spent * 60 / IDLING, "s/min")
    yield Figure("a look that finds nothing due: median of 200", median(looks) * 1000, "ms", 5)
    yield Figure("  the longest of them", looks[-1] * 1000, "ms", 5)


def _change(folder: Path, columns: str) -> None:
    """Give every feed these values."""
    with closing(sqlite3.connect(folder / "store.db")) as store, store:
        store.execute(f"UPDATE feeds SET {columns}")


def _looks(aggregator: Aggregator) -> Iterator[float]:
    """Seconds of each look for due feeds, asked as the daemon asks each second."""
    settings = aggregator.settings.fetch
    for _ in range(LOOKS):
        now = aggregator.clock()
        began = time.perf_counter()
        claims = aggregator.store.claim(
            now,
            due_by=now,
            limit=2 * settings.concurrency,
            per_host=settings.per_host,
            lease=LEASE,
            spacing=settings.spacing,
        )
        yield time.perf_counter() - began
        if claims:
            raise WrongResultError(f"idle: {len(claims)} feeds were due")


def curve() -> Iterator[Figure]:
    """CPU per poll as the number of feeds grows; start-up counts, and weighs most where there are few."""
    costs: dict[str, list[float]] = defaultdict(list)
    plan = Plan(max(refresh.CURVE), entries=5, html=(100, 300))
    for measured in refresh.curve(plan, 0):
        cost = measured.cpu * 1000 / measured.feeds
        costs[measured.phase].append(cost)
        yield Figure(f"{measured.phase}, {measured.feeds:,} feeds", cost, "ms/feed")
    for phase, (*fewer, most) in costs.items():
        # Beside the cheapest, not the first: start-up must not hide what grows.
        yield Figure(f"{phase}, 10,000 feeds beside the cheapest of fewer", most / min(fewer), "times", 1.2)


RATE = 20
"""Requests a second."""


def serving_readers() -> Iterator[Figure]:
    """What readers notice of a first refresh in the same daemon."""
    with (
        serving(Plan(FEEDS)) as server,
        prepared(Ours(), server.urls(FEEDS)) as folder,
        running(folder) as daemon,
    ):
        began = time.perf_counter()
        times = _read(daemon.url, until=lambda: _never_polled(folder) == 0)
        took, peak = time.perf_counter() - began, daemon.memory("VmHWM")
        tally = server.take_tally()
    if tally.get(200) != FEEDS:
        raise WrongResultError(f"serving: the server answered {tally}")
    everything = [seconds for kind in times.values() for seconds in kind]
    yield Figure(f"all answers: p99 of {len(everything)}", at(everything, 0.99) * 1000, "ms", 50)
    for kind, seconds in times.items():
        yield Figure(f"{kind}: p99 of {len(seconds)}", at(seconds, 0.99) * 1000, "ms", 50)
        yield Figure("  p50", at(seconds, 0.5) * 1000, "ms")
        yield Figure("  the longest", max(seconds) * 1000, "ms")
    yield Figure("1,000 feeds read meanwhile, in", took, "s")
    yield Figure("memory of the daemon at its highest", peak, "MiB", 120)


def _read(url: str, until: Callable[[], bool]) -> dict[str, list[float]]:
    """Ask for the page, for a feed, and for what is new in it, again and again over one connection.

    Args:
        url: the daemon's.
        until: true once there is no need to go on; asked once a second.

    Returns:
        Seconds from each request to the last byte of its answer, by what was asked and answered.

    Raises:
        WrongResultError: an answer was wrong, or there was still need to go on after two minutes.
    """
    times: dict[str, list[float]] = defaultdict(list)
    etag = '"none yet"'
    began = time.perf_counter()
    with closing(HTTPConnection(urlsplit(url).netloc, timeout=30)) as connection:
        for number in range(_REFRESH_SECONDS * RATE):
            if number % RATE == RATE - 1 and until():
                return dict(times)
            # An answer that was late moves none of the next: a rate, not a rhythm of their own.
            time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
            path = "/" if number % 3 == 0 else "/feeds/all.atom"
            headers = {"If-None-Match": etag} if number % 3 == 2 else {}
            sent = time.perf_counter()
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            seconds = time.perf_counter() - sent
            if answer.status not in ({200, 304} if headers else {200}):
                raise WrongResultError(f"serving: {path} was answered with {answer.status}")
            # What changed since it was last asked for is a document again, and counts as one.
            times[f"GET {path}{', 304' if answer.status == 304 else ''}"].append(seconds)
            if path != "/":
                etag = answer.headers["ETag"]
    raise WrongResultError(f"serving: not all feeds were read within {_REFRESH_SECONDS} s")


def at(values: Sequence[float], share: float) -> float:
    """The smallest value that this share of all does not exceed (nearest rank)."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {
    "latency": latency,
    "idle": idle,
    "curve": curve,
    "serving": serving_readers,
}


def run_parts(
    name: str,
    about: str,
    parts: Mapping[str, Callable[[], Iterator[Figure]]],
    arguments: Sequence[str] | None,
) -> int:
    """The command line of a benchmark in parts: prints each one's figures.

    Args:
        name: of the benchmark's module.
        about: the first line of its help.
        parts: by name, in the order in which they run.
        arguments: of the command line.

    Returns:
        1 if a part did not do the work that it measures.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"one of {', '.join(parts)} (default: all)")
    chosen = parser.parse_args(arguments).parts or list(parts)
    if unknown := [part for part in chosen if part not in parts]:
        parser.error(f"no part {unknown[0]!r}; there are {', '.join(parts)}")
    print(f"python {platform.python_version()}, processors {os.cpu_count()}")
    with byte_code_kept():
        for part in chosen:
            print(part, flush=True)
            try:
                for figure in parts[part]():
                    print(figure, flush=True)
            except WrongResultError as error:
                print(f"not a valid run: {error}", file=sys.stderr)
                return 1
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    return run_parts("throughput", (__doc__ or "").partition("\n")[0], PARTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
