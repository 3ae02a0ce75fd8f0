"""What it costs to publish: rendering, and answering feed readers beside nginx with the same files.

    python -m benchmarks.serve [rendering] [serving]

* **rendering**: 1,000 entries as Atom, RSS and JSON Feed: from nothing, and when one entry has come in since;
* **serving**: answers a second of `aggregator run` and of nginx, each on one processor, asked by wrk on another: 304 to a
  conditional request, and the whole feed of 100 entries, compressed.

wrk and nginx are packages of Debian; without them `serving` is left out. benchmarks/README.md says how to read it.
"""

import pickle
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from pathlib import Path
from statistics import median
from typing import TypeVar
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from aggregator.model import StoredEntry
from aggregator.publish import EVERYTHING, Channel, Format, Fragments, Rendered, render
from aggregator.store import open_store
from benchmarks.feeds import Plan
from benchmarks.feeds import serving as publishers
from benchmarks.refresh import Ours, WrongResultError, prepared, run
from benchmarks.throughput import Figure, cpu_of, run_parts, running

T = TypeVar("T")

FEEDS, ENTRIES = 51, 20
RENDERED = 1_000
ROUNDS = 5
PAIRS, SECONDS = 9, 2
CONNECTIONS = 32
SHARE_304, SHARE_WHOLE = 0.30, 0.60
"""What part of nginx's answers a second is wanted at least."""


@contextmanager
def filled() -> Iterator[Path]:
    """A folder with feeds.yaml and a store of some thousand entries."""
    with publishers(Plan(FEEDS, ENTRIES)) as server, prepared(Ours(), server.urls(FEEDS)) as folder:
        run(Ours().command(folder), folder)
        yield folder


# --------------------------------------------------------------------------------------- rendering


def rendering() -> Iterator[Figure]:
    """CPU time from entries to the bytes of a document, and what comes before and after."""
    with filled() as folder, open_store(folder / "store.db") as store:
        entries, _ = store.select(EVERYTHING, limit=RENDERED + 1)
        reading, _ = _least(lambda _: store.select(EVERYTHING, limit=RENDERED))
    if len(entries) <= RENDERED:
        raise WrongResultError(f"rendering: only {len(entries)} entries")
    channel = Channel(
        "all", "All", "All", "http://127.0.0.1:8000/", "localhost", datetime(2025, 1, 1, tzinfo=UTC), "0"
    )
    for form in Format:
        cold, document = _least(lambda _: render(channel, entries[1:], form))  # noqa: B023 – called at once
        yield Figure(f"{RENDERED:,} entries as {form.label}, from nothing", cold, "ms", 150)
        kept = [Fragments() for _ in range(ROUNDS)]
        for fragments in kept:
            render(channel, entries[1:], form, fragments=fragments)
        again = _anew(entries[:-1])
        one, whole = _least(lambda i: render(channel, again, form, fragments=kept[i], before=document))  # noqa: B023
        yield Figure("  when one has come in since", one, "ms", 10)
        if whole.body != render(channel, entries[:-1], form).body:
            raise WrongResultError("rendering: what was kept is not what is written anew")
        yield Figure("  compressed by gzip, once", _least(lambda _: _packed(whole))[0], "ms")  # noqa: B023
    yield Figure(f"{RENDERED:,} entries read from the store", reading, "ms")


def _least(work: Callable[[int], T]) -> tuple[float, T]:
    """The least CPU time of some rounds in milliseconds, and what came of the last."""
    times = []
    for number in range(ROUNDS):
        began = time.process_time()
        result = work(number)
        times.append(1000 * (time.process_time() - began))
    return min(times), result


def _anew(entries: Sequence[StoredEntry]) -> tuple[StoredEntry, ...]:
    """Equal entries, as the store gives them each time it is asked."""
    copies: tuple[StoredEntry, ...] = pickle.loads(pickle.dumps(entries))  # noqa: S301 – our own
    return copies


def _packed(document: Rendered) -> bytes:
    return Rendered(document.body, media_type="", last_modified=document.last_modified).coded("gzip")


# ----------------------------------------------------------------------------------------- serving


def serving() -> Iterator[Figure]:
    """Answers a second, ours and nginx's in turn, so that what else the machine does hits both."""
    if missing := [name for name in ("wrk", "nginx") if _found(name) is None]:
        print(f"  left out: {' and '.join(missing)} not found; they are packages of Debian")
        return
    with filled() as folder, running(folder) as daemon:
        ours = f"{daemon.url}/feeds/all.atom"
        whole, packed = _get(ours), _get(ours, "gzip")
        if whole.count(b"<entry") != 100:
            raise WrongResultError("serving: not 100 entries")
        with _nginx({"all.atom": whole, "all.atom.gz": packed}) as (address, nginx_cpu):
            theirs = f"{address}/all.atom"
            if _get(theirs, "gzip") != packed:
                raise WrongResultError("serving: nginx does not serve the same bytes")
            kinds = {"304": SHARE_304, "whole, compressed": SHARE_WHOLE}
            for kind, share in kinds.items():
                rounds = [
                    [
                        _asked(url, cpu, conditional=kind == "304")
                        for url, cpu in ((ours, daemon.cpu), (theirs, nginx_cpu))
                    ]
                    for _ in range(PAIRS)
                ]
                for name, answers in zip(("ours", "nginx"), zip(*rounds, strict=True), strict=True):
                    yield Figure(f"{kind}: {name}", median(rate for rate, _ in answers), "a second")
                    yield Figure("  CPU of one", median(cpu for _, cpu in answers), "µs")
                # The two of one round had the same machine, more or less.
                shares = sorted(us / them for (us, _), (them, _) in rounds)
                met = "met" if median(shares) >= share else "MISSED"
                print(
                    f"  {'  share':<52}{100 * median(shares):>9.0f} %           at least {100 * share:.0f}: {met}"
                    f" ({100 * shares[0]:.0f} to {100 * shares[-1]:.0f})"
                )


def _found(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def _get(url: str, coding: str = "identity") -> bytes:
    with urlopen(Request(url, headers={"Accept-Encoding": coding}), timeout=10) as answer:
        body: bytes = answer.read()
        return body


def _asked(url: str, cpu: Callable[[], float], *, conditional: bool) -> tuple[float, float]:
    """Answers a second to wrk, and the CPU of one in µs; with `conditional` wrk has what there is.

    Args:
        url: of a feed.
        cpu: gives the seconds that its server has used so far.
        conditional: whether to ask only for what is new.

    Raises:
        WrongResultError: an answer was wrong.
    """
    headers = {"Accept-Encoding": "gzip"}
    with urlopen(Request(url, headers=headers), timeout=10) as answer:
        etag = answer.headers["ETag"]
    if conditional and (status := _status(url, headers | {"If-None-Match": etag})) != HTTPStatus.NOT_MODIFIED:
        raise WrongResultError(f"serving: {url} was answered with {status}, not with 304")
    before = cpu()
    command = [str(_found("wrk")), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", "Accept-Encoding: gzip"]
    command += ["-H", f"If-None-Match: {etag}"] if conditional else []
    said = subprocess.run([*command, url], capture_output=True, text=True, timeout=60, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None or "Non-2xx" in said or "Socket errors" in said:
        raise WrongResultError(f"serving: {url}\n{said}")
    used = cpu() - before
    return float(rate[1]), 1e6 * used / (float(rate[1]) * SECONDS)


def _status(url: str, headers: dict[str, str]) -> int:
    try:
        with urlopen(Request(url, headers=headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@contextmanager
def _nginx(files: dict[str, bytes]) -> Iterator[tuple[str, Callable[[], float]]]:
    """A server nginx of one process that serves some files, those compressed before as they are.

    Yields:
        Where it serves, and what gives the CPU seconds that it has used.
    """
    root = Path(tempfile.mkdtemp(prefix="serve-", dir="/tmp"))
    root.chmod(0o755)
    try:
        for name, body in files.items():
            (root / name).write_bytes(body)
        port = _free_port()
        settings = root / "nginx.conf"
        settings.write_text(f"""
            master_process off; daemon off; pid {root}/pid; error_log {root}/log;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; types {{ application/atom+xml atom; }}
                sendfile on; tcp_nopush on; keepalive_requests 1000000; open_file_cache max=10;
                client_body_temp_path {root}/1; proxy_temp_path {root}/2; fastcgi_temp_path {root}/3;
                uwsgi_temp_path {root}/4; scgi_temp_path {root}/5;
                server {{ listen 127.0.0.1:{port}; root {root}; gzip_static on; etag on; }}
            }}""")
        process = subprocess.Popen([str(_found("nginx")), "-c", str(settings)], stderr=subprocess.DEVNULL)
        try:
            _wait_for(f"http://127.0.0.1:{port}/all.atom")
            yield f"http://127.0.0.1:{port}", partial(cpu_of, process.pid)
        finally:
            process.terminate()
            process.wait(10)
    finally:
        shutil.rmtree(root)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(url: str) -> None:
    for _ in range(100):
        try:
            _get(url)
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise WrongResultError("serving: nginx did not start")


PARTS: dict[str, Callable[[], Iterator[Figure]]] = {"rendering": rendering, "serving": serving}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 if a part did not do the work that it measures."""
    return run_parts("serve", (__doc__ or "").partition("\n")[0], PARTS, arguments)


if __name__ == "__main__":
    sys.exit(main())
