"""What a refresh of many feeds costs, beside the PyPI package `reader` in the same run.

Generated feeds are served from loopback by a process of their own. Each program refreshes all of
them three times, each time in a fresh process as its user would start it:

* **cold**: everything is new;
* **warm**: nothing has changed, every answer is 304;
* **delta**: every twentieth feed has three new entries.

A phase counts only if its work was done: the server's tally of answers and the rows in the
program's store are checked, so that a fast wrong answer stops the benchmark.

Run `python -m benchmarks.refresh`; benchmarks/README.md says how to read the figures.
"""

import argparse
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from resource import struct_rusage
from typing import Protocol

from benchmarks.feeds import NEW_ENTRIES, Plan, Server, serving

# --------------------------------------------------------------------------------- the programs


@dataclass(frozen=True, slots=True)
class Expected:
    """What a phase must have done.

    Attributes:
        full: feeds answered with a whole document.
        not_modified: feeds answered with 304.
        new: entries that came into the store.
        total: entries that are in the store afterwards.
    """

    full: int
    not_modified: int
    new: int
    total: int


class Program(Protocol):
    """A program that can be measured: how its user prepares it, and the command of one refresh."""

    name: str

    def prepare(self, folder: Path, urls: Sequence[str]) -> None:
        """Does, outside of the measurement, what a user does once."""

    def command(self, folder: Path) -> list[str]:
        """One refresh of all feeds; the store is `store.db` in the folder, with a table or view `entries`."""

    def check(self, output: str, expected: Expected) -> None:
        """Holds what the program says of itself against what was to be done."""


class WrongResultError(Exception):
    """A program did not do the work it was measured for."""


class Ours:
    """aggregator: subscriptions are read from feeds.yaml, entries tagged and indexed, all of it measured."""

    name = "aggregator"

    def prepare(self, folder: Path, urls: Sequence[str]) -> None:
        """Writes feeds.yaml, with the topic and both outputs of the one that is shipped."""
        # JSON is YAML. One host serves all feeds here, so the limit per host must not be the limit; and
        # the entries' dates are fixed, so none may count as too old.
        config = {
            "feeds": list(urls),
            "topics": ["caribbean-tension"],
            "output": [{"name": "caribbean-tension", "topic": "caribbean-tension"}, {"name": "all"}],
            "fetch": {"allow_addresses": ["127.0.0.1/32"], "per_host": 64},
            "retention": "36500d",
        }
        (folder / "feeds.yaml").write_text(json.dumps(config, indent=1))

    def command(self, folder: Path) -> list[str]:
        """The CLI's own one-off refresh."""
        files = ["--config", f"{folder}/feeds.yaml", "--db", f"{folder}/store.db"]
        return [sys.executable, "-m", "aggregator", *files, "poll", "--all", "--json"]

    def check(self, output: str, expected: Expected) -> None:
        """Its summary must say what the server saw."""
        summary = json.loads(output)
        promised = {
            "feeds": expected.full + expected.not_modified,
            "changed": expected.full,
            "not_modified": expected.not_modified,
            "failed": 0,
            "entries_new": expected.new,
            "entries_revised": 0,
        }
        if wrong := {
            key: (summary.get(key), value) for key, value in promised.items() if summary.get(key) != value
        }:
            raise WrongResultError(f"poll --json (found, expected): {wrong}")


class Reader:
    """The PyPI package `reader`, as its guide shows it."""

    _PREPARE = """
import sys, reader
with reader.make_reader(sys.argv[1]) as store:
    for url in open(sys.argv[2]).read().split():
        store.add_feed(url)
"""
    # Since 3.21 only feeds that are due are asked unless scheduled=False.
    _REFRESH = """
import sys, reader
with reader.make_reader(sys.argv[1]) as store:
    store.update_feeds(workers=int(sys.argv[2]), scheduled=False)
    if sys.argv[3:]:
        store.enable_search()
        store.update_search()
"""

    def __init__(self, *, workers: int, search: bool = False) -> None:
        self.name = "reader+search" if search else "reader"
        self._options = [str(workers), *(["search"] if search else [])]

    def prepare(self, folder: Path, urls: Sequence[str]) -> None:
        """Subscribes; not measured, which favours reader: ours takes its subscriptions over in the cold phase."""
        (folder / "urls").write_text("\n".join(urls))
        run([sys.executable, "-c", self._PREPARE, f"{folder}/store.db", f"{folder}/urls"], folder)

    def command(self, folder: Path) -> list[str]:
        """A script of four lines."""
        return [sys.executable, "-c", self._REFRESH, f"{folder}/store.db", *self._options]

    def check(self, output: str, expected: Expected) -> None:
        """It says nothing of itself."""


# ------------------------------------------------------------------------------ the measurement


@dataclass(frozen=True, slots=True)
class Measurement:
    """One program in one phase.

    Attributes:
        program: its name.
        phase: cold, warm or delta.
        feeds: how many it refreshed.
        user: CPU seconds in user mode, of the process and the children it waited for.
        system: CPU seconds in the kernel for them.
        wall: seconds from start to end.
        peak: resident memory in MiB at its highest, of the largest process.
    """

    program: str
    phase: str
    feeds: int
    user: float
    system: float
    wall: float
    peak: float

    @property
    def cpu(self) -> float:
        """CPU seconds, user and system."""
        return self.user + self.system


_ROOT = Path(__file__).resolve().parents[1]
_LIMIT_SECONDS = 1800


def run(command: Sequence[str], folder: Path) -> tuple[str, struct_rusage, float]:
    """Runs a command from the project's root to its end.

    Args:
        command: program and arguments.
        folder: takes what it prints.

    Returns:
        Its standard output, what it used, and the wall time in seconds.

    Raises:
        WrongResultError: it failed, or took longer than half an hour and was killed.
    """
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=_ROOT)
        # Not process.kill: it may reap the child, and what it used would be lost to wait4.
        watchdog = threading.Timer(_LIMIT_SECONDS, os.kill, (process.pid, signal.SIGKILL))
        watchdog.start()
        try:
            # Not RUSAGE_CHILDREN: the peak must be this child's, not that of the largest child so far.
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - began
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            watchdog.cancel()
            if process.returncode is None:
                process.kill()
                process.wait()
        out.seek(0)
        err.seek(0)
        if process.returncode:
            raise WrongResultError(
                f"{' '.join(command)} ended with {process.returncode}:\n{err.read()[-3000:]}"
            )
        return out.read(), usage, wall


def measure(program: Program, phase: str, folder: Path, server: Server, expected: Expected) -> Measurement:
    """Lets a program refresh once, and checks that it did.

    Raises:
        WrongResultError: it did something else than was expected.
    """
    server.take_tally()
    output, usage, wall = run(program.command(folder), folder)
    program.check(output, expected)
    tally = {status: number for status, number in server.take_tally().items() if number}
    answers = {
        status: number for status, number in ((200, expected.full), (304, expected.not_modified)) if number
    }
    if tally != answers:
        raise WrongResultError(f"{program.name}, {phase}: the server answered {tally}, expected {answers}")
    with closing(sqlite3.connect(folder / "store.db")) as store:
        [stored] = store.execute("SELECT count(*) FROM entries").fetchone()
    if stored != expected.total:
        raise WrongResultError(
            f"{program.name}, {phase}: {stored} entries in the store, expected {expected.total}"
        )
    return Measurement(
        program=program.name,
        phase=phase,
        feeds=expected.full + expected.not_modified,
        user=usage.ru_utime,
        system=usage.ru_stime,
        wall=wall,
        peak=usage.ru_maxrss / 1024,
    )


@contextmanager
def prepared(program: Program, urls: Sequence[str]) -> Iterator[Path]:
    """A folder in which a program is ready for its first refresh; removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="refresh-") as name:
        folder = Path(name)
        program.prepare(folder, urls)
        yield folder


@contextmanager
def byte_code_kept() -> Iterator[None]:
    """Lets the programs keep byte code, as on any user's machine, but in a folder that is removed.

    Environments for development often forbid it (PYTHONDONTWRITEBYTECODE); then every start would
    compile the project's modules, while those of installed packages were compiled by pip.
    """
    with tempfile.TemporaryDirectory(prefix="refresh-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        yield


def warm_up(program: Program, server: Server) -> None:
    """A small refresh that is not measured: byte code gets compiled and libraries into the page cache."""
    with prepared(program, server.urls(5)) as folder:
        run(program.command(folder), folder)


def compare(programs: Sequence[Program], plan: Plan, latency: float) -> Iterator[Measurement]:
    """Cold, warm and delta; within each phase one program after the other, so that both meet the same machine."""
    feeds, changed, total = plan.feeds, len(plan.changed), plan.feeds * plan.entries
    new = changed * NEW_ENTRIES
    phases = {
        "cold": Expected(full=feeds, not_modified=0, new=total, total=total),
        "warm": Expected(full=0, not_modified=feeds, new=0, total=total),
        "delta": Expected(full=changed, not_modified=feeds - changed, new=new, total=total + new),
    }
    with byte_code_kept(), serving(plan, latency) as server, ExitStack() as folders:
        places = []
        for program in programs:
            warm_up(program, server)
            places.append((program, folders.enter_context(prepared(program, server.urls(feeds)))))
        for phase, expected in phases.items():
            if phase == "delta":
                server.change()
            for program, folder in places:
                yield measure(program, phase, folder, server, expected)


CURVE = (1_000, 3_000, 10_000)


def curve(plan: Plan, latency: float) -> Iterator[Measurement]:
    """Ours, cold and warm, with growing numbers of the plan's feeds."""
    program = Ours()
    with byte_code_kept(), serving(plan, latency) as server:
        warm_up(program, server)
        for feeds in CURVE:
            total = feeds * plan.entries
            with prepared(program, server.urls(feeds)) as folder:
                yield measure(program, "cold", folder, server, Expected(feeds, 0, total, total))
                yield measure(program, "warm", folder, server, Expected(0, feeds, 0, total))


# ---------------------------------------------------------------------------------- the figures

TARGETS = {"cold": 10, "warm": 5}
"""Ours takes at most one part in so many of reader's CPU."""


def verdicts(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Ours beside reader, a line a phase."""
    cpu = {(m.program, m.phase): m.cpu for m in measurements}
    for phase in ("cold", "warm", "delta"):
        ours, readers = cpu.get((Ours.name, phase)), cpu.get(("reader", phase))
        if ours and readers:
            times = readers / ours
            target = TARGETS.get(phase)
            judged = f" (at most 1/{target}: {'met' if times >= target else 'MISSED'})" if target else ""
            yield f"{phase}: 1/{times:.1f} of reader's CPU{judged}"


def _line(measured: Measurement) -> str:
    return (
        f"{measured.phase:<6} {measured.program:<14} {measured.feeds:>6,} {measured.cpu:>8.2f} {measured.user:>8.2f}"
        f" {measured.system:>7.2f} {measured.wall:>8.2f} {measured.peak:>9.0f} {1000 * measured.cpu / measured.feeds:>12.2f}"
    )


_HEAD = "phase  program         feeds    CPU s     user  system   wall s  peak MiB  CPU ms/feed"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; see benchmarks/README.md."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.refresh", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--feeds", type=int, default=1000, help="how many feeds (default: %(default)s)")
    parser.add_argument("--entries", type=int, default=20, help="entries in each (default: %(default)s)")
    parser.add_argument(
        "--latency", type=float, default=0, metavar="MS", help="milliseconds before each answer (default: 0)"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        help="reader's threads (default: %(default)s, where it needs least CPU)",
    )
    parser.add_argument("--only", choices=["ours", "reader"], help="leave the other out")
    parser.add_argument(
        "--with-search",
        action="store_true",
        help="reader also with its full-text index, which ours always keeps",
    )
    parser.add_argument(
        "--curve",
        action="store_true",
        help="instead: ours with 1,000, 3,000 and 10,000 feeds of small entries",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to a file, too")
    options = parser.parse_args(arguments)
    compared = options.only != "ours" and not options.curve
    if compared and not find_spec("reader"):
        parser.error("reader is not installed: see benchmarks/README.md, or leave it out with --only ours")

    if options.curve:
        plan = Plan(max(CURVE), options.entries, html=(100, 300))
        results = curve(plan, options.latency / 1000)
    else:
        plan = Plan(options.feeds, options.entries)
        programs: list[Program] = []
        if options.only != "reader":
            programs.append(Ours())
        if options.only != "ours":
            programs.append(Reader(workers=options.workers))
            if options.with_search:
                programs.append(Reader(workers=options.workers, search=True))
        results = compare(programs, plan, options.latency / 1000)

    about = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "reader": metadata.version("reader") if compared else None,
        "latency_ms": options.latency,
        **asdict(plan),
    }
    print(", ".join(f"{key} {value}" for key, value in about.items() if value is not None))
    print(_HEAD, flush=True)
    measurements = []
    try:
        for measured in results:
            print(_line(measured), flush=True)
            measurements.append(measured)
    except WrongResultError as error:
        print(f"not a valid run: {error}", file=sys.stderr)
        return 1
    for verdict in verdicts(measurements):
        print(verdict)
    if options.json:
        figures = [{**asdict(measured), "cpu": measured.cpu} for measured in measurements]
        options.json.write_text(json.dumps({"about": about, "measurements": figures}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
