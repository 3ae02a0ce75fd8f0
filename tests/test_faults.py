"""What hostile or broken publishers can do to us: each through the whole program, all side by side with a good feed.

Every fault ends in a clear error on its feed alone or in a good reading, in bounded memory and time, and never
holds up the event loop. What single parts do with faults is in test_fetch and test_parse.
"""

import asyncio
import gzip
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path

import pytest
import zstandard

from aggregator.fetch import Fetcher
from aggregator.fetch.room import SIZE, SMALL, Room
from aggregator.model import FailureKind, Fetched, FetchFailure, FetchSettings, PollOutcome, PollResult
from tests.conftest import Clock, configure, item, rss
from tests.server import CLOSE, RESET, Server, Step, chunk, head
from tests.test_poll import Newsroom

MIB = 1 << 20
GOOD = rss(item(1), item(2))
LONGEST_GAP = 0.4
"""Seconds that the event loop may stand still. Alone on a machine it is 0.1; others share ours."""
LIMITS = FetchSettings(allow_addresses=(ip_network("127.0.0.1"),), per_host=200, concurrency=200)
XML = "<?xml version='1.0' encoding='{}'?><rss version='2.0'><channel><title>{}</title>{}</channel></rss>"
GZIPPED = gzip.compress(GOOD)


@dataclass(frozen=True)
class Fault:
    """What a server plays, and what has to come of it: entries, or a kind of failure and words of its message."""

    steps: Callable[[Server], tuple[Step, ...]]
    entries: int = 0
    kind: FailureKind | None = None
    words: str = ""


def plays(*steps: Step, kind: FailureKind, words: str) -> Fault:
    return Fault(lambda _: steps, kind=kind, words=words)


def sends(
    body: Callable[[], bytes],
    *,
    entries: int = 0,
    kind: FailureKind | None = None,
    words: str = "",
    content_type: str = "application/xml",
    compress: bool = False,
) -> Fault:
    def steps(_: Server) -> tuple[Step, ...]:
        made = gzip.compress(body(), 1) if compress else body()
        headers = {"Content-Type": content_type} | ({"Content-Encoding": "gzip"} if compress else {})
        return (head(200, headers, len(made)), made)

    return Fault(steps, entries, kind, words)


def redirects(location: str, words: str, kind: FailureKind = FailureKind.REDIRECT) -> Fault:
    def steps(server: Server) -> tuple[Step, ...]:
        return (head(302, {"Location": location.format(netloc=server.netloc)}, 0),)

    return Fault(steps, kind=kind, words=words)


def described(markup: str) -> Callable[[], bytes]:
    return lambda: rss(item(1, text=f"<![CDATA[{markup}]]>"))


def encoded(name: str, codec: str) -> Callable[[], bytes]:
    return lambda: XML.format(name, "x", "<item><title>Ñandú</title></item>").encode(codec)


N, K = FailureKind.NETWORK, FailureKind.NOT_A_FEED

SLOW = {
    "silence": plays(60.0, kind=FailureKind.TIMEOUT, words="no answer from"),
    "slow headers": plays(
        b"HTTP/1.1 200 OK\r\n", *(b"X: y\r\n", 0.05) * 500, kind=FailureKind.TIMEOUT, words="no answer from"
    ),
    "slow body": plays(head(200), *(b"x", 0.05) * 500, kind=FailureKind.TIMEOUT, words="is too slow: only"),
    "stalled body": plays(
        head(200, length=10**9), b"x", 60.0, kind=FailureKind.TIMEOUT, words="is too slow: only 1 bytes"
    ),
    "stalled chunks": plays(
        head(200, {"Transfer-Encoding": "chunked"}), chunk(b"<rss>"), 60.0,
        kind=FailureKind.TIMEOUT, words="is too slow: only 5 bytes",
    ),
}  # fmt: skip

BROKEN = {
    "endless headers": plays(
        b"HTTP/1.1 200 OK\r\n", itertools.repeat(b"X-Filler: %b\r\n" % (b"x" * 500)),
        kind=FailureKind.TOO_LARGE, words="65,536 bytes of headers",
    ),
    "endless header": plays(
        b"HTTP/1.1 200 OK\r\nX: ", itertools.repeat(b"x" * 500),
        kind=FailureKind.TOO_LARGE, words="65,536 bytes of headers",
    ),
    "endless body": plays(
        head(200), itertools.repeat(b"<a>" * 5_000), kind=FailureKind.TOO_LARGE, words="8,388,608 bytes of body"
    ),
    "endless chunks": plays(
        head(200, {"Transfer-Encoding": "chunked"}), itertools.repeat(chunk(b"x" * 20_000)),
        kind=FailureKind.TOO_LARGE, words="8,388,608 bytes of body",
    ),
    "endless 100 Continue": plays(
        itertools.repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
        kind=FailureKind.TOO_LARGE, words="65,536 bytes of headers",
    ),
    "reset at once": plays(RESET, kind=N, words="broke"),
    "reset in headers": plays(b"HTTP/1.1 200 OK\r\nX: ", RESET, kind=N, words="broke"),
    "reset in the body": plays(head(200, length=9_999) + GOOD, RESET, kind=N, words="broke"),
    "closed at once": plays(CLOSE, kind=N, words="closed the connection without an answer"),
    "too short": plays(head(200, length=9_999) + GOOD, CLOSE, kind=N, words="cut off"),
    "two lengths": plays(
        head(200, [("Content-Length", "5"), ("Content-Length", "6")]) + b"abcdef", kind=N, words="not HTTP"
    ),
    "broken chunk": plays(
        head(200, {"Transfer-Encoding": "chunked"}) + chunk(GOOD) + b"zz\r\n", CLOSE, kind=N, words="broke"
    ),
    "last chunk missing": plays(
        head(200, {"Transfer-Encoding": "chunked"}) + chunk(GOOD), CLOSE, kind=N, words="cut off"
    ),
    "not HTTP": plays(b"220 mail.example.org ESMTP\r\n", CLOSE, kind=N, words="not HTTP"),
    "gzip cut off": plays(
        head(200, {"Content-Encoding": "gzip"}, len(GZIPPED) - 9) + GZIPPED[:-9],
        kind=FailureKind.ENCODING, words="gzip stream is cut off",
    ),
    "no gzip": plays(
        head(200, {"Content-Encoding": "gzip"}, len(GOOD)) + GOOD,
        kind=FailureKind.ENCODING, words="it is no gzip",
    ),
    "unknown compression": plays(
        head(200, {"Content-Encoding": "compress"}, 4) + b"\x1f\x9d\x90\x3c",
        kind=FailureKind.ENCODING, words="compress was not asked for",
    ),
    "three layers": plays(
        head(200, {"Content-Encoding": "gzip, gzip, gzip"}, 4) + b"1234",
        kind=FailureKind.ENCODING, words="layers",
    ),
    "gigabytes": plays(
        # Members one after another would be a gigabyte; one alone is enough to pass the limit.
        head(200, {"Content-Encoding": "gzip"}), gzip.compress(bytes(16 * MIB), 1) * 64, CLOSE,
        kind=FailureKind.TOO_LARGE, words="once decompressed",
    ),
    "gigabytes twice packed": plays(
        head(200, {"Content-Encoding": "gzip, gzip"}), gzip.compress(gzip.compress(bytes(64 * MIB), 1)), CLOSE,
        kind=FailureKind.TOO_LARGE, words="once decompressed",
    ),
    "gigabytes of zstd": plays(
        head(200, {"Content-Encoding": "zstd"}), zstandard.compress(bytes(16 * MIB)) * 64, CLOSE,
        kind=FailureKind.TOO_LARGE, words="once decompressed",
    ),
    "a zstd that needs 128 MiB": plays(
        head(200, {"Content-Encoding": "zstd"}, 7) + b"\x28\xb5\x2f\xfd\x00\x88\x00",
        kind=FailureKind.ENCODING, words="it is no zstd",
    ),
    "a gzip in 400,000 pieces": plays(
        head(200, {"Content-Encoding": "gzip"}, 20 * 400_000), gzip.compress(b"", mtime=0) * 400_000,
        kind=FailureKind.ENCODING, words="more than 10,000 pieces",
    ),
    "redirect to itself": redirects("/redirect-to-itself", "the redirects go round in a circle"),
    "redirect without end": Fault(
        lambda server: (head(302, {"Location": _next(server)}, 0),),
        kind=FailureKind.REDIRECT, words="more than 10 redirects",
    ),
    "redirect to nowhere": plays(head(302, {}, 0), kind=FailureKind.REDIRECT, words="does not say where to"),
    "redirect to a file": redirects("file:///etc/passwd", "only http and https"),
    "redirect to gopher": redirects("gopher://127.0.0.1:70/1", "only http and https"),
    "redirect to a private address": redirects(
        "http://10.0.0.1/", "10.0.0.1, which is private and therefore refused", FailureKind.ADDRESS
    ),
    "redirect to a private name": redirects(
        "http://localhost6.localdomain6.invalid/", "no such host", FailureKind.DNS
    ),
    "redirect to the cloud's metadata": redirects(
        "http://169.254.169.254/latest/meta-data/", "link-local", FailureKind.ADDRESS
    ),
    "redirect to a number": redirects("http://167772161/", "which is private", FailureKind.ADDRESS),
    "304 unasked": plays(head(304), kind=K, words="answered 304 (not modified) although nothing was known"),
    "nothing": plays(head(200, length=0), kind=K, words="gave an empty answer (200)"),
    "204": plays(head(204), kind=K, words="gave an empty answer (204)"),
    "white space": sends(lambda: b" \n\t" * 99, kind=K, words="the document is empty"),
    "a page": sends(
        lambda: b"<!doctype html><title>Welcome</title>", kind=K, words="an HTML page titled “Welcome”",
        content_type="text/html",
    ),
    "a page of 8 MiB": sends(
        lambda: b"<!doctype html><html>" + b"<a>" * 2_700_000, kind=K, words="an HTML page, not a feed"
    ),
    "binary": sends(lambda: bytes(range(128, 256)) * 10_000, kind=K, words="not a feed: it begins with"),
    "UTF-16": sends(encoded("UTF-16", "utf-16"), entries=1),
    "UTF-16 without a mark": sends(encoded("UTF-16", "utf-16-be"), entries=1),
    "Latin-1 called UTF-8": sends(encoded("UTF-8", "latin-1"), entries=1),
    "UTF-8 called UTF-16": sends(encoded("UTF-16", "utf-8"), entries=1),
    "UTF-8 called US-ASCII": sends(encoded("US-ASCII", "utf-8"), entries=1),
    "an unknown encoding": sends(encoded("x-klingon", "utf-8"), entries=1),
    "a codec that is no encoding": sends(encoded("zlib", "utf-8"), entries=1),
    "UTF-8 cut in a character": sends(
        lambda: XML.format("UTF-8", "x", "<item><title>Ñ</title></item>").encode().replace(b"\x91", b""), entries=1
    ),
    "billion laughs": sends(
        lambda: b"<!DOCTYPE rss [<!ENTITY a 'lol'>%b]><rss><channel><item><title>&j;</title></item></channel></rss>"
        % "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in itertools.pairwise("abcdefghij")).encode(),
        entries=1,
    ),
    "deep nesting": sends(
        lambda: rss(item(1), f"<x>{'<b>' * 100_000}{'</b>' * 100_000}</x>", item(2)),
        entries=1,  # the one behind is beyond what is read
    ),
    "deep HTML": sends(described("<div>" * 70_000), entries=1),
    "deep escaped HTML": sends(lambda: rss(item(1, text="&lt;div&gt;" * 90_000)), entries=1),
    "100,000 attributes": sends(
        described("<a " + " ".join(f"x{number}" for number in range(100_000)) + ">"), entries=1
    ),
    "200,000 entries": sends(
        lambda: rss(*(f"<item><guid>{number}</guid></item>" for number in range(200_000))), entries=10_000
    ),
    "10 MB entry": sends(
        lambda: rss(item(1, text="word " * 2_000_000)), kind=FailureKind.TOO_LARGE, words="8,388,608 bytes of body"
    ),
    "10 MB entry, packed": sends(
        lambda: rss(item(1, text="word " * 2_000_000)), compress=True,
        kind=FailureKind.TOO_LARGE, words="once decompressed",
    ),
    "8 MB entry": sends(
        lambda: rss(item(1, text="word " * 1_600_000)), kind=K, words="a feed too large to be read: its first entry"
    ),
    "8 MB entry after a good one": sends(
        lambda: rss(item(1), item(2, text="\U0001f600 word " * 700_000)), entries=1
    ),
    "a million attributes": sends(
        lambda: rss("<item " + "".join(f"a{number}='' " for number in range(700_000)) + "/>"),
        kind=K, words="a feed too large to be read",
    ),
    "ampersands": sends(lambda: rss(item(1), "<item><title>" + "&" * 8_000_000), entries=1),
    "prefixes": sends(lambda: rss(item(1), "".join(f"<p{number}:x/>" for number in range(80_000))), entries=1),
    "tags without end": sends(lambda: b"<rss><channel><item><title>" + b"<a " * 900_000, entries=1),
    "JSON lists": sends(lambda: b'{"items":[' + b"[]," * 900_000 + b"[]]}", kind=K, words="300,000 values"),
    "JSON depth": sends(lambda: b'{"items":' + b"[" * 200_000, kind=K, words="JSON that cannot be read"),
    "JSON of 8 MB": sends(
        lambda: json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [{"id": "x" * 7 * MIB}]}).encode(),
        kind=K, words="JSON of more than 3,145,728 bytes",
    ),
}  # fmt: skip
LARGE = (
    "gigabytes", "gigabytes twice packed", "gigabytes of zstd", "a gzip in 400,000 pieces", "a page of 8 MiB", "binary", "deep nesting", "deep HTML",
    "deep escaped HTML", "100,000 attributes", "200,000 entries", "8 MB entry after a good one",
    "a million attributes", "ampersands", "prefixes", "tags without end", "JSON lists", "JSON of 8 MB",
)  # fmt: skip
SECRET = "canary in a local file"


def _next(server: Server) -> str:
    """An address of the same server that redirects once more."""
    number = len(server.requests)
    server.play(f"/chain/{number}", *(head(302, {"Location": f"/chain/{number + 1}"}, 0),))
    for following in range(number + 1, number + 20):
        server.play(f"/chain/{following}", head(302, {"Location": f"/chain/{following + 1}"}, 0))
    return f"/chain/{number}"


def path_of(name: str) -> str:
    return "/" + "".join(char if char.isalnum() else "-" for char in name)


def publish(server: Server, faults: dict[str, Fault]) -> list[str]:
    """Make the server play all faults; returns their addresses."""
    for name, fault in faults.items():
        server.play(path_of(name), *fault.steps(server))
    return [server.url(path_of(name)) for name in faults]


@dataclass
class Aftermath:
    """What a pass over faults and a good feed did."""

    outcomes: dict[str, PollOutcome]
    good: PollOutcome
    entries: dict[str, int] = field(default_factory=dict)
    seconds: float = 0
    longest_gap: float = 0


def pass_over(faults: dict[str, Fault], folder: Path, settings: FetchSettings) -> Aftermath:
    gaps = []

    async def heart() -> None:
        last = time.perf_counter()
        while True:
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    with Server() as server:
        server.add("/good", GOOD)
        urls = publish(server, faults)
        newsroom = Newsroom(folder / "news.db", Clock(), settings=settings)
        newsroom.follow(server.url("/good"), *urls)

        async def run() -> None:
            beating = asyncio.create_task(heart())
            async with asyncio.timeout(60), newsroom.poller() as poller:
                await poller.run()
            beating.cancel()

        with closing(newsroom.store):
            began = time.monotonic()
            asyncio.run(run())
            seconds = time.monotonic() - began
            outcomes = {name: newsroom.outcomes[server.url(path_of(name))] for name in faults}
            entries = dict(
                newsroom.query(
                    "SELECT feeds.url, count(*) AS n FROM entries JOIN feeds ON feeds.id = feed_id GROUP BY 1"
                )
            )
            good = newsroom.outcomes[server.url("/good")]
        assert entries.pop(server.url("/good")) == 2
        assert {url.rpartition("/")[2] for url in entries} <= {path_of(name)[1:] for name in faults}
        return Aftermath(
            outcomes,
            good,
            {name: entries.get(server.url(path_of(name)), 0) for name in faults},
            seconds,
            max(gaps, default=0.0),
        )


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    return pass_over(BROKEN, tmp_path_factory.mktemp("broken"), LIMITS)


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Aftermath:
    settings = FetchSettings(
        allow_addresses=LIMITS.allow_addresses, per_host=200, timeout=timedelta(seconds=1)
    )
    return pass_over(SLOW, tmp_path_factory.mktemp("slow"), settings)


def check(aftermath: Aftermath, name: str, fault: Fault) -> None:
    outcome = aftermath.outcomes[name]
    assert outcome.failure is fault.kind, outcome.error
    assert fault.words in (outcome.error or "")
    assert aftermath.entries[name] == fault.entries
    if fault.kind is not None:
        assert outcome.result is PollResult.FAILED
        assert outcome.state.validators.etag is None
        assert outcome.state.next_poll_at is not None


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_is_a_clear_error_or_a_good_reading(broken: Aftermath, name: str) -> None:
    check(broken, name, BROKEN[name])


@pytest.mark.parametrize("name", SLOW)
def test_slowness_has_a_limit(slow: Aftermath, name: str) -> None:
    check(slow, name, SLOW[name])
    assert slow.outcomes[name].seconds < 5


def test_the_good_feed_beside_them_is_unharmed(broken: Aftermath, slow: Aftermath) -> None:
    for aftermath in (broken, slow):
        assert aftermath.good.result is PollResult.CHANGED
    assert slow.seconds < 10
    assert broken.seconds < 40


@pytest.mark.parametrize("name", LARGE)
def test_no_document_holds_up_the_event_loop(
    tmp_path: Path, name: str, record_property: Callable[[str, object], None]
) -> None:
    """Alone, for the server shares this process; the best of three, for other programs share the machine."""
    gaps = []
    for number in range(3):
        (tmp_path / str(number)).mkdir()
        gaps.append(pass_over({name: BROKEN[name]}, tmp_path / str(number), LIMITS).longest_gap)
        if gaps[-1] < LONGEST_GAP:
            break
    record_property(f"longest_gap_{name}", min(gaps))
    assert min(gaps) < LONGEST_GAP


# ----------------------------------------------------------------------------------------- memory

PEAK = """
from aggregator.cli import main
try:
    main()
finally:
    status = open("/proc/self/status").read()
    print("peak", status.partition("VmHWM:")[2].split()[0])
"""


def peak(folder: Path, *urls: str) -> float:
    """The largest resident size of `aggregator poll`, in MiB."""
    folder.mkdir()
    path = configure(
        folder, *urls, fetch={"allow_addresses": ["127.0.0.1"], "per_host": 64, "timeout": "20s"}
    )
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "--config", str(path), "poll"],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert f"{len(urls)} feed" in done.stdout, done.stderr[-2000:]
    return int(done.stdout.rpartition("peak")[2]) / 1024


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
def test_all_of_them_take_at_most_64_mib(
    tmp_path: Path, server: Server, record_property: Callable[[str, object], None]
) -> None:
    server.add("/good", GOOD)
    quiet = peak(tmp_path / "quiet", server.url("/good"))
    hostile = peak(tmp_path / "hostile", server.url("/good"), *publish(server, BROKEN))
    record_property("memory", (quiet, hostile))
    assert hostile - quiet <= 64


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the peak is read from /proc")
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "packed"])
def test_many_large_documents_at_once_take_no_more_memory_than_a_few(
    tmp_path: Path, server: Server, compress: bool
) -> None:
    large = rss(*(item(number, text="word " * 1_000) for number in range(700)))
    server.add("/good", GOOD)
    for number in range(16):
        server.add(f"/{number}", large, compress=compress)
    quiet = peak(tmp_path / "quiet", server.url("/good"))
    many = peak(tmp_path / "many", server.url("/good"), *(server.url(f"/{number}") for number in range(16)))
    assert many - quiet <= 64


# -------------------------------------------------------------------------------- room for documents


@pytest.mark.parametrize("compress", [False, True], ids=["plain", "packed"])
def test_large_documents_wait_for_room_and_small_ones_do_not(server: Server, compress: bool) -> None:
    large, number = b"<rss>" + b"x" * (SIZE // 4), 8
    for path in range(number):
        server.add(f"/{path}", large, compress=compress)
    server.add("/small", GOOD)
    release, arrived, small = asyncio.Event(), asyncio.Event(), asyncio.Event()
    done: list[str] = []

    async def hold(fetcher: Fetcher, path: str) -> None:
        result = await fetcher.fetch(server.url(path))
        assert isinstance(result, Fetched), result
        done.append(path)
        (small if path == "/small" else arrived).set()
        await release.wait()

    async def main() -> None:
        async with asyncio.timeout(20), Fetcher(LIMITS, user_agent="test") as fetcher:
            tasks = [asyncio.create_task(hold(fetcher, f"/{path}")) for path in range(number)]
            await arrived.wait()
            tasks.append(asyncio.create_task(hold(fetcher, "/small")))
            await small.wait()
            assert len(done) < number
            release.set()
            await asyncio.gather(*tasks)

    asyncio.run(main())
    assert len(done) == number + 1


def test_slow_senders_of_large_documents_make_others_wait_but_not_fail(server: Server) -> None:
    """They hold the memory until their time is over; that of those who wait for it does not pass meanwhile."""
    for path in ("/slow1", "/slow2", "/slow3"):
        server.play(path, head(200), b"<rss>" + b"x" * (SIZE // 2), *(b"x", 0.05) * 200)
    honest = b"<rss>" + b"x" * (4 * SMALL)
    server.play("/honest", 0.3, head(200, length=len(honest)), honest)
    server.play("/stalls", 0.3, head(200, length=len(honest) + 1), honest, 60.0)
    settings = FetchSettings(
        allow_addresses=LIMITS.allow_addresses, per_host=9, timeout=timedelta(seconds=0.8)
    )

    async def main() -> list[Fetched | FetchFailure | object]:
        async with asyncio.timeout(20), Fetcher(settings, user_agent="test") as fetcher:
            paths = ("/slow1", "/slow2", "/slow3", "/honest", "/honest", "/stalls")
            return await asyncio.gather(
                *(asyncio.create_task(fetcher.fetch(server.url(path))) for path in paths)
            )

    *slow, one, other, stalls = asyncio.run(main())
    for result in (one, other):
        assert isinstance(result, Fetched), result
        assert result.body == honest
        assert result.seconds > 0.8, "it had to wait"
    for result in (*slow, stalls):
        assert isinstance(result, FetchFailure)
        assert (result.kind, "is too slow: only" in result.message) == (FailureKind.TIMEOUT, True)


def test_room_is_given_back() -> None:
    async def main() -> None:
        room = Room()

        async def hold(size: int) -> bool:
            task = asyncio.current_task()
            assert task is not None
            taken = room.take(task, size)
            await asyncio.sleep(0)
            return taken

        async with asyncio.timeout(5):
            assert list(await asyncio.gather(hold(SIZE), hold(SMALL), hold(SMALL + 1))) == [True, True, False]
            # Whoever is first may exceed it.
            assert list(await asyncio.gather(hold(2 * SIZE), hold(SMALL + 1))) == [True, False]
            first = asyncio.create_task(hold(SIZE))
            await asyncio.sleep(0)
            me = asyncio.current_task()
            assert me is not None
            await room.reserve(me, SMALL + 1)  # once `first` has ended
            assert first.done()

    asyncio.run(main())


# ---------------------------------------------------------------------------------------- addresses


def test_a_name_that_comes_to_mean_a_private_address_is_refused(tmp_path: Path, server: Server) -> None:
    """The guard sees the address of each connection at the moment it is made; there is no earlier look-up to fool.

    A name's answer cannot be changed here, so what is allowed changes instead: first the address is a public
    one to us, at the next poll it is not.
    """
    url = server.url("/good").replace("127.0.0.1", "localhost")
    server.add("/good", GOOD, etag='"1"')
    newsroom = Newsroom(tmp_path / "news.db", Clock(), settings=FetchSettings(
        allow_addresses=(ip_network("127.0.0.1"), ip_network("::1"))
    ))  # fmt: skip
    with closing(newsroom.store):
        newsroom.follow(url)
        assert newsroom.poll()[url].result is PollResult.CHANGED
        newsroom.settings = FetchSettings()
        outcome = newsroom.poll()[url]
        assert outcome.failure is FailureKind.ADDRESS
        assert "which is loopback and therefore refused" in (outcome.error or "")
        assert newsroom.query("SELECT count(*) AS n FROM entries") == [(2,)]
    assert len(server.requests) == 1


def test_external_entities_are_neither_opened_nor_fetched(tmp_path: Path, server: Server) -> None:
    path = tmp_path / "secret.txt"
    path.write_text(SECRET)
    entities = (
        f'<!ENTITY local SYSTEM "file://{path}"><!ENTITY far SYSTEM "{server.url("/far")}">'
        f'<!ENTITY % p SYSTEM "{server.url("/parameter")}"> %p;'
    )
    document = f'<!DOCTYPE rss SYSTEM "{server.url("/dtd")}" [{entities}]>'
    document += "<rss><channel><item><guid>1</guid><title>a &local; &far;</title></item></channel></rss>"
    server.add("/feed", document.encode())
    newsroom = Newsroom(tmp_path / "news.db", Clock())
    with closing(newsroom.store):
        newsroom.follow(server.url("/feed"))
        assert newsroom.poll()[server.url("/feed")].result is PollResult.CHANGED
        assert newsroom.query("SELECT title FROM entries") == [("a &local; &far;",)]
    assert [request.path for request in server.requests] == ["/feed"]
