"""Fetching: what we send, what we make of answers, and what no server can do to us."""

import asyncio
import gc
import gzip
import itertools
import os
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from aggregator.fetch import MAX_REDIRECTS, Answer, Fetcher
from aggregator.fetch.body import ACCEPT_ENCODING, bot_wall, decoded
from aggregator.fetch.exchange import Target
from aggregator.fetch.guard import refused
from aggregator.fetch.headers import MAX_FRESH, fresh_for, parse_links, retry_after
from aggregator.model import FailureKind, Fetched, FetchFailure, FetchSettings, NotModified, Validators
from tests.server import CLOSE, RESET, Server, Step, chunk, head

Result = Fetched | NotModified | FetchFailure

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOON, LATER = "Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 2026 12:02:00 GMT"
BODY = b"<rss version='2.0'><channel/></rss>"
CERTIFICATES = Path(__file__).parent / "certificates"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


def fetcher(**changes: Any) -> Fetcher:
    settings: dict[str, Any] = {"allow_addresses": LOOPBACK, "timeout": timedelta(seconds=5)} | changes
    return Fetcher(
        FetchSettings(**settings), user_agent="aggregator/1 (+https://example.org)", now=lambda: NOW
    )


def fetch(url: str, validators: Validators = Validators(), **changes: Any) -> Result:  # noqa: B008 – immutable
    async def once() -> Result:
        async with fetcher(**changes) as one:
            return await one.fetch(url, validators)

    return asyncio.run(once())


def fetched(url: str, validators: Validators = Validators(), **changes: Any) -> Fetched:  # noqa: B008 – immutable
    result = fetch(url, validators, **changes)
    assert isinstance(result, Fetched), result
    return result


def failed(url: str, validators: Validators = Validators(), **changes: Any) -> FetchFailure:  # noqa: B008 – immutable
    result = fetch(url, validators, **changes)
    assert isinstance(result, FetchFailure), result
    return result


def asked(url: str) -> str:
    """What validators of an answer from there are given for."""
    return Target.of(url).asked


# ------------------------------------------------------------------------------------- what we send


def test_a_request_says_who_we_are_and_what_we_read_and_nothing_else(server: Server) -> None:
    server.add("/feed", BODY)
    fetched(server.url("/feed"))
    (request,) = server.requests
    assert [name.decode() for name, _ in request.headers] == [
        "Host",
        "User-Agent",
        "Accept",
        "Accept-Encoding",
    ]
    assert request.header("User-Agent") == "aggregator/1 (+https://example.org)"
    assert (request.header("Accept") or "").startswith("application/atom+xml, application/rss+xml")
    assert (request.header("Accept") or "").endswith("*/*;q=0.1")
    assert (request.header("Accept-Encoding") or "").startswith("gzip, deflate")


def test_validators_are_sent_back_byte_for_byte(server: Server) -> None:
    odd = 'W/"caf\xe9 \\-gzip"'
    server.add("/feed", BODY, etag=odd, last_modified="Thu, 1 Jan 1970 00:00:00 +0000 (yes)")
    first = fetched(server.url("/feed"))
    assert first.validators == Validators(
        odd, "Thu, 1 Jan 1970 00:00:00 +0000 (yes)", asked(server.url("/feed"))
    )
    second = fetch(server.url("/feed"), first.validators)
    assert isinstance(second, NotModified)
    assert dict(server.requests[1].headers)[b"If-None-Match"] == odd.encode("latin-1")
    assert server.requests[1].header("If-Modified-Since") == "Thu, 1 Jan 1970 00:00:00 +0000 (yes)"
    assert server.requests[1].header("A-IM") == "feed"


def test_a_delta_is_asked_for_only_with_an_etag(server: Server) -> None:
    server.add("/feed", BODY)
    fetched(server.url("/feed"), Validators(last_modified=NOON, url=asked(server.url("/feed"))))
    assert server.requests[0].header("If-Modified-Since") == NOON
    assert server.requests[0].header("A-IM") is None


def test_validators_go_to_no_url_but_their_own(server: Server) -> None:
    server.add("/old", status=302, headers={"Location": "/new"})
    server.add("/new", BODY, etag='"1"')
    result = fetch(server.url("/old"), Validators('"1"', url=asked(server.url("/new"))))
    assert isinstance(result, NotModified)
    assert [request.header("If-None-Match") for request in server.requests] == [None, '"1"']
    fetched(server.url("/new"), Validators('"1"', url=asked(server.url("/other"))))
    assert server.requests[2].header("If-None-Match") is None


@pytest.mark.parametrize(
    ("given_for", "sent"),
    [
        pytest.param("{reader}", True, id="the same"),
        pytest.param("{anybody}", False, id="without credentials"),
        pytest.param("{other}", False, id="with other credentials"),
        pytest.param("{reader_bare}#00000000", False, id="with another Accept"),
        pytest.param("{reader_bare}", False, id="nobody knows with which Accept"),
    ],
)
def test_validators_go_with_no_request_but_their_own(server: Server, given_for: str, sent: bool) -> None:
    server.add("/feed", BODY, etag='"1"')
    reader = server.url("/feed", credentials="reader:secret")
    url = given_for.format(
        reader=asked(reader),
        reader_bare=reader,
        anybody=asked(server.url("/feed")),
        other=asked(server.url("/feed", credentials="reader:other")),
    )
    result = fetch(reader, Validators('"1"', NOON, url))
    assert isinstance(result, NotModified if sent else Fetched)
    assert (server.requests[0].header("If-None-Match") is not None) is sent
    assert (server.requests[0].header("If-Modified-Since") is not None) is sent
    assert result.validators.url == asked(reader)


def test_a_304_refreshes_validators_and_freshness(server: Server) -> None:
    server.play("/feed", head(304, {"Last-Modified": LATER, "Cache-Control": "max-age=600", "Age": "60"}))
    result = fetch(server.url("/feed"), Validators('"1"', NOON, asked(server.url("/feed"))))
    assert result == NotModified(
        validators=Validators('"1"', LATER, asked(server.url("/feed"))),
        fresh_for=timedelta(seconds=540),
        seconds=result.seconds,
    )


@pytest.mark.parametrize(
    ("status", "headers", "delta"),
    [
        pytest.param(226, {"IM": "feed"}, True, id="226"),
        pytest.param(200, {"IM": "Feed"}, True, id="200 with IM"),
        pytest.param(200, {}, False, id="200"),
    ],
)
def test_a_delta_is_told_from_a_document(
    server: Server, status: int, headers: Mapping[str, str], delta: bool
) -> None:
    server.add("/feed", BODY, status=status, headers=headers)
    result = fetched(server.url("/feed"), Validators('"0"', url=asked(server.url("/feed"))))
    assert (result.http_status, result.delta) == (status, delta)


def test_a_document_comes_with_all_that_its_headers_say(server: Server) -> None:
    server.add(
        "/a/feed",
        BODY,
        headers=[
            ("Content-Type", "Application/RSS+xml; charset=UTF-8"),
            ("Cache-Control", "max-age=60"),
            ("Link", "<hub>; rel=hub"),
            ("Link", '</feed>; rel="self alternate"'),
        ],
        compress=True,
    )
    result = fetched(server.url("/a/feed#fragment"))
    assert result == Fetched(
        http_status=200,
        url=server.url("/a/feed"),
        body=BODY,
        content_type="application/rss+xml; charset=utf-8",
        validators=Validators(url=asked(server.url("/a/feed"))),
        fresh_for=timedelta(minutes=1),
        links=(
            ("hub", server.url("/a/hub")),
            ("self", server.url("/feed")),
            ("alternate", server.url("/feed")),
        ),
        seconds=result.seconds,
    )


def test_credentials_are_sent_to_their_origin_only_and_never_shown(server: Server) -> None:
    with Server() as other:
        server.add("/in", status=301, headers={"Location": "/still-in"})
        server.add("/still-in", status=301, headers={"Location": other.url("/out")})
        other.add("/out", b"", status=403)
        result = failed(server.url("/in", credentials="us%3Aer:s%C3%A9cret"))
        assert [r.header("Authorization") for r in server.requests] == ["Basic dXM6ZXI6c8OpY3JldA=="] * 2
        assert other.requests[0].header("Authorization") is None
    assert "cret" not in repr(result)


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://user:canary@127.0.0.1:x/", id="bad port"),
        pytest.param("http://user:can/ary@127.0.0.1/", id="slash in the password"),
        pytest.param("ftp://user:canary@127.0.0.1/", id="scheme"),
        pytest.param("http://user:canary@10.0.0.1/", id="private"),
        pytest.param("http://user:canary@nowhere.invalid/", id="no such host"),
    ],
)
def test_no_message_shows_a_password(url: str) -> None:
    assert "ary" not in repr(failed(url))


# ------------------------------------------------------------------------------------- what we tell


def told(url: str, body: bytes | None = None, **changes: Any) -> Answer | FetchFailure:
    async def once() -> Answer | FetchFailure:
        async with fetcher(**changes) as one:
            return await one.send(url, body, {"Content-Type": "text/x-news"})

    return asyncio.run(once())


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"news", id="short"),
        pytest.param(b"x" * 3_000_000, id="longer than what libcurl asks for leave to send"),
    ],
)
def test_what_we_say_arrives_whole(server: Server, body: bytes) -> None:
    server.add("/in?id=7", b"thanks", status=202, headers={"X-Hub": "yes"})
    answer = told(server.url("/in?id=7", "us:er"), body)
    assert isinstance(answer, Answer)
    assert (answer.status, answer.headers["x-hub"], answer.body) == (202, "yes", b"thanks")
    (request,) = server.requests
    assert (request.method, request.body) == ("POST", body)
    assert request.header("Content-Type") == "text/x-news"
    assert request.header("User-Agent") == "aggregator/1 (+https://example.org)"
    assert request.header("Authorization") == "Basic dXM6ZXI="
    assert request.header("Expect") is None
    assert request.header("Accept-Encoding") is None


def test_a_question_is_a_get_and_its_answer_is_taken_as_it_is(server: Server) -> None:
    server.add("/in", b"challenge", headers={"Content-Encoding": "nonsense"})
    answer = told(server.url("/in"))
    assert isinstance(answer, Answer)
    assert (server.requests[0].method, answer.body) == ("GET", b"challenge")


@pytest.mark.parametrize("status", [301, 302, 307, 404, 410, 503])
def test_whatever_is_answered_is_an_answer_and_no_redirect_is_followed(server: Server, status: int) -> None:
    server.add("/in", b"", status=status, headers={"Location": "/elsewhere"})
    answer = told(server.url("/in"), b"news")
    assert isinstance(answer, Answer)
    assert answer.status == status
    assert len(server.requests) == 1


def test_an_endless_answer_is_cut_and_its_status_counts(server: Server) -> None:
    server.play("/in", head(200), itertools.repeat(b"x" * 10_000))
    answer = told(server.url("/in"), b"news")
    assert isinstance(answer, Answer)
    assert answer.status == 200
    assert len(answer.body) <= 64 * 1024


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        pytest.param("http://127.0.0.2:1/in", FailureKind.ADDRESS, id="private"),
        pytest.param("ftp://127.0.0.1/in", FailureKind.ADDRESS, id="scheme"),
        pytest.param("http://canary:canary@/in", FailureKind.ADDRESS, id="no host"),
    ],
)
def test_the_guard_holds_for_what_we_say(url: str, kind: FailureKind) -> None:
    answer = told(url, b"news", allow_addresses=(ip_network("127.0.0.1"),))
    assert isinstance(answer, FetchFailure)
    assert answer.kind is kind
    assert "canary" not in answer.message


def test_saying_and_asking_share_connections_and_do_not_mix(server: Server) -> None:
    server.add("/feed", BODY)
    server.add("/in", b"", status=204)

    async def mixed() -> None:
        async with fetcher() as one:
            for _ in range(2):
                assert isinstance(await one.send(server.url("/in"), b"news"), Answer)
                assert isinstance(await one.fetch(server.url("/feed")), Fetched)

    asyncio.run(mixed())
    assert [(r.method, r.body) for r in server.requests] == [("POST", b"news"), ("GET", b"")] * 2
    assert server.connections == 1
    assert [r.header("Content-Type") for r in server.requests] == [
        "application/x-www-form-urlencoded",
        None,
    ] * 2


# ---------------------------------------------------------------------------------------- addresses


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("127.0.0.1", "loopback"),
        ("127.255.0.3", "loopback"),
        ("0.0.0.0", "unspecified"),
        ("10.1.2.3", "private"),
        ("172.16.0.1", "private"),
        ("172.31.255.255", "private"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "shared behind a carrier's NAT"),
        ("169.254.169.254", "link-local"),
        ("224.0.0.1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("240.0.0.1", "reserved"),
        ("192.0.2.1", "for documentation"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("fd00::1", "private"),
        ("fe80::1%eth0", "link-local"),
        ("ff02::1", "multicast"),
        ("2001:db8::1", "for documentation"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "reserved"),
        ("4000::1", "reserved"),
        ("::127.0.0.1", "reserved"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:10.0.0.1", "private"),
        ("2002:7f00:1::", "loopback"),
        ("2002:c0a8:101::1", "private"),
        ("64:ff9b::127.0.0.1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:1::1", "reserved"),
        ("1.1.1.1", None),
        ("172.32.0.1", None),
        ("100.128.0.1", None),
        ("2606:4700:4700::1111", None),
        ("::ffff:1.1.1.1", None),
        ("64:ff9b::101:101", None),
    ],
)
def test_addresses_that_are_refused(address: str, reason: str | None) -> None:
    assert refused(address) == reason


def test_allowed_networks_are_not_refused() -> None:
    allowed = (ip_network("10.0.0.0/8"), ip_network("fd00::/64"))
    assert refused("10.9.9.9", allowed) is None
    assert refused("::ffff:10.9.9.9", allowed) is None
    assert refused("fd00::5", allowed) is None
    assert refused("192.168.0.1", allowed) == "private"


@given(st.ip_addresses())
def test_only_global_unicast_addresses_pass(ip: Any) -> None:
    if refused(str(ip)) is None:
        inner = getattr(ip, "ipv4_mapped", None) or getattr(ip, "sixtofour", None) or ip
        if ip not in ip_network("64:ff9b::/96"):
            assert ip_address(str(inner)).is_global


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0",
    ],
)
def test_no_spelling_of_a_private_address_is_connected_to(server: Server, host: str) -> None:
    result = failed(f"http://{host}:{server.port}/", allow_addresses=())
    assert result.kind is FailureKind.ADDRESS
    assert "fetch.allow_addresses" in result.message
    assert server.connections == 0


def test_the_guard_names_the_address(server: Server) -> None:
    result = failed(server.url("/"), allow_addresses=(ip_network("10.0.0.0/8"),))
    assert result.message == (
        f"{server.netloc} has the address 127.0.0.1, which is loopback and therefore refused; "
        f"`fetch.allow_addresses` would permit it"
    )


def test_every_hop_is_guarded(server: Server) -> None:
    server.add("/away", status=302, headers={"Location": "http://10.0.0.1/"})
    result = failed(server.url("/away"))
    assert (result.kind, result.url) == (FailureKind.ADDRESS, "http://10.0.0.1/")


def test_proxies_and_netrc_of_the_environment_are_ignored(
    server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("default login somebody password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1/")
    server.add("/feed", BODY, headers={"Set-Cookie": "a=b"})

    async def twice() -> None:
        async with fetcher() as one:
            assert isinstance(await one.fetch(server.url("/feed")), Fetched)
            assert isinstance(await one.fetch(server.url("/feed")), Fetched)

    asyncio.run(twice())
    assert server.requests[1].header("Authorization") is None
    assert server.requests[1].header("Cookie") is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("file:///etc/passwd", "only http and https"),
        ("gopher://example.org/", "only http and https"),
        ("example.org/feed", "only http and https"),
        ("", "only http and https"),
        ("http:///feed", "names no host"),
        ("http://a b/feed", "host name"),
        ("http://exa\x00mple.org/", "host name"),
        ("http://example.org:99999/", "port"),
        ("http://[::1/", "Invalid IPv6"),
    ],
)
def test_what_is_no_address_is_not_fetched(url: str, words: str) -> None:
    result = failed(url)
    assert result.kind is FailureKind.ADDRESS
    assert words in result.message


# ---------------------------------------------------------------------------------------- redirects


@pytest.mark.parametrize(
    ("statuses", "moved_to"),
    [
        pytest.param([301], "/1", id="permanent"),
        pytest.param([308, 301], "/2", id="permanent twice"),
        pytest.param([301, 302], "/1", id="permanent, then not: the place where the permanent part ended"),
        pytest.param([302, 301], None, id="a permanent one after a temporary one is not ours"),
        pytest.param([303], None, id="303"),
        pytest.param([307], None, id="307"),
        pytest.param([], None, id="none"),
    ],
)
def test_a_feed_has_moved_when_every_hop_so_far_says_so(
    server: Server, statuses: list[int], moved_to: str | None
) -> None:
    for number, status in enumerate(statuses):
        server.add(f"/{number}", status=status, headers={"Location": f"/{number + 1}"})
    server.add(f"/{len(statuses)}", BODY)
    result = fetched(server.url("/0"))
    assert result.url == server.url(f"/{len(statuses)}")
    assert result.moved_to == (moved_to and server.url(moved_to))


def test_the_new_address_keeps_the_credentials_it_will_need(server: Server) -> None:
    server.add("/old", status=301, headers={"Location": "/new"})
    server.add("/new", BODY)
    result = fetched(server.url("/old", credentials="u:p"))
    assert result.moved_to == server.url("/new", credentials="u:p")
    assert result.url == server.url("/new")
    assert result.validators.url == asked(result.moved_to)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        pytest.param("b?x=1#part", "/a/b?x=1", id="relative, with fragment"),
        pytest.param("//{netloc}/c", "/c", id="without scheme"),
        pytest.param("/caf\xc3\xa9 1", "/caf%C3%A9%201", id="raw UTF-8 and a space"),
        pytest.param("?page=2", "/a/start?page=2", id="only a query"),
    ],
)
def test_locations_are_resolved(server: Server, location: str, path: str) -> None:
    server.add("/a/start", status=302, headers={"Location": location.format(netloc=server.netloc)})
    server.add(path, BODY)
    assert fetched(server.url("/a/start")).url == server.url(path)


@pytest.mark.parametrize(
    ("location", "words"),
    [
        pytest.param(None, "does not say where to", id="missing"),
        pytest.param("/start", "circle", id="to itself"),
        pytest.param("file:///etc/passwd", "only http and https", id="file"),
        pytest.param("ftp://127.0.0.1/", "only http and https", id="ftp"),
        pytest.param("http://[bad/", "Invalid", id="not to be parsed"),
    ],
)
def test_redirects_that_are_not_followed(server: Server, location: str | None, words: str) -> None:
    server.add("/start", status=301, headers={"Location": location} if location else {})
    result = failed(server.url("/start"))
    assert (result.kind, result.http_status) == (FailureKind.REDIRECT, 301)
    assert words in result.message
    assert len(server.requests) == 1


def test_a_chain_of_redirects_has_an_end(server: Server) -> None:
    for number in range(MAX_REDIRECTS + 1):
        server.add(f"/{number}", status=302, headers={"Location": f"/{number + 1}"})
    assert failed(server.url("/0")).kind is FailureKind.REDIRECT
    assert len(server.requests) == MAX_REDIRECTS + 1
    server.add(f"/{MAX_REDIRECTS}", BODY)
    fetched(server.url("/0"))


def test_a_redirect_is_followed_whatever_its_body(server: Server) -> None:
    server.play("/old", head(301, {"Location": "/new"}, 500) + b"cut off", CLOSE)
    server.add("/new", BODY)
    assert fetched(server.url("/old")).moved_to == server.url("/new")


# ----------------------------------------------------------------------------------------- failures


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (304, FailureKind.NOT_A_FEED),
        (305, FailureKind.REDIRECT),
        (206, FailureKind.NOT_A_FEED),
        (401, FailureKind.CLIENT),
        (403, FailureKind.CLIENT),
        (404, FailureKind.CLIENT),
        (410, FailureKind.GONE),
        (418, FailureKind.CLIENT),
        (429, FailureKind.RATE_LIMITED),
        (451, FailureKind.CLIENT),
        (500, FailureKind.SERVER),
        (503, FailureKind.SERVER),
        (599, FailureKind.SERVER),
    ],
)
def test_each_status_has_its_kind_and_a_sentence(server: Server, status: int, kind: FailureKind) -> None:
    server.play("/feed", head(status, {"Connection": "close"}, None if status == 304 else 4) + b"oops", CLOSE)
    result = failed(server.url("/feed"))
    assert (result.kind, result.http_status, result.url) == (kind, status, server.url("/feed"))
    assert server.netloc in result.message
    assert str(status) in result.message


@pytest.mark.parametrize("status", [200, 204])
def test_an_empty_answer_is_no_feed(server: Server, status: int) -> None:
    server.add("/feed", b"", status=status, headers={"Content-Encoding": "gzip"})
    assert failed(server.url("/feed")).message == f"{server.netloc} gave an empty answer ({status})"


def test_a_status_counts_even_if_its_page_is_broken_or_endless(server: Server) -> None:
    server.play("/gone", head(410), itertools.repeat(b"gone " * 1000))
    server.play("/missing", head(404, {"Content-Encoding": "gzip"}, 4) + b"nope")
    assert failed(server.url("/gone")).kind is FailureKind.GONE
    assert failed(server.url("/missing")).kind is FailureKind.CLIENT


GZIP = gzip.compress(BODY * 100)
ZLIB = zlib.compress(BODY * 100)
ZSTD = zstandard.compress(BODY * 100)

FAULTS: dict[str, tuple[tuple[Step, ...], FailureKind, str]] = {
    "endless headers": (
        (b"HTTP/1.1 200 OK\r\n", itertools.repeat(b"X-Filler: %b\r\n" % (b"x" * 500))),
        FailureKind.TOO_LARGE,
        "65,536 bytes of headers",
    ),
    "one endless header": (
        (b"HTTP/1.1 200 OK\r\nX-Filler: ", itertools.repeat(b"x" * 500)),
        FailureKind.TOO_LARGE,
        "65,536 bytes of headers",
    ),
    "endless body": (
        (head(200), itertools.repeat(b"x" * 10_000)),
        FailureKind.TOO_LARGE,
        "100,000 bytes of body",
    ),
    "body larger than the limit": (
        (head(200, length=100_001), b"x" * 100_001),
        FailureKind.TOO_LARGE,
        "100,000 bytes",
    ),
    "bomb": (
        (head(200, {"Content-Encoding": "gzip"}), gzip.compress(bytes(30_000_000)), CLOSE),
        FailureKind.TOO_LARGE,
        "once decompressed",
    ),
    "bomb in a bomb": (
        (
            head(200, {"Content-Encoding": "gzip, gzip"}),
            gzip.compress(gzip.compress(bytes(30_000_000))),
            CLOSE,
        ),
        FailureKind.TOO_LARGE,
        "once decompressed",
    ),
    "three layers": (
        (head(200, {"Content-Encoding": "gzip, gzip, gzip"}, len(GZIP)) + GZIP,),
        FailureKind.ENCODING,
        "layers",
    ),
    "gzip cut off, length right": (
        (head(200, {"Content-Encoding": "gzip"}, len(GZIP) - 9) + GZIP[:-9],),
        FailureKind.ENCODING,
        "gzip stream is cut off",
    ),
    "deflate cut off, length right": (
        (head(200, {"Content-Encoding": "deflate"}, 20) + ZLIB[:20],),
        FailureKind.ENCODING,
        "deflate stream is cut off",
    ),
    "second gzip cut off, length right": (
        (head(200, {"Content-Encoding": "gzip"}, 2 * len(GZIP) - 9) + GZIP + GZIP[:-9],),
        FailureKind.ENCODING,
        "gzip stream is cut off",
    ),
    "zstd cut off, length right": (
        (head(200, {"Content-Encoding": "zstd"}, len(ZSTD) - 1) + ZSTD[:-1],),
        FailureKind.ENCODING,
        "zstd stream is cut off",
    ),
    "gzip with a wrong checksum": (
        (head(200, {"Content-Encoding": "gzip"}, len(GZIP)) + GZIP[:-8] + bytes(8),),
        FailureKind.ENCODING,
        "it is no gzip",
    ),
    "plain text called gzip": (
        (head(200, {"Content-Encoding": "gzip"}, len(BODY)) + BODY,),
        FailureKind.ENCODING,
        "it is no gzip",
    ),
    "a coding we did not ask for": (
        (head(200, {"Content-Encoding": "compress"}, 4) + b"\x1f\x9d\x90\x3c",),
        FailureKind.ENCODING,
        "compress was not asked for",
    ),
    "shorter than its length": ((head(200, length=500) + BODY, CLOSE), FailureKind.NETWORK, "cut off"),
    "two lengths": (
        (head(200, [("Content-Length", "5"), ("Content-Length", "6")]) + b"abcdef",),
        FailureKind.NETWORK,
        "not HTTP",
    ),
    "broken chunk size": (
        (head(200, {"Transfer-Encoding": "chunked"}) + chunk(BODY) + b"zz\r\n", CLOSE),
        FailureKind.NETWORK,
        "broke",
    ),
    "last chunk missing": (
        (head(200, {"Transfer-Encoding": "chunked"}) + chunk(BODY), CLOSE),
        FailureKind.NETWORK,
        "cut off",
    ),
    "reset before the answer": ((RESET,), FailureKind.NETWORK, "broke"),
    "reset in the body": ((head(200, length=500) + BODY, RESET), FailureKind.NETWORK, "broke"),
    "closed without an answer": ((CLOSE,), FailureKind.NETWORK, "without an answer"),
    "not HTTP": ((b"220 mail.example.org ESMTP\r\n", CLOSE), FailureKind.NETWORK, "not HTTP"),
    "a NUL in a header": (
        (b"HTTP/1.1 200 OK\r\nETag: a\x00b\r\nContent-Length: 1\r\n\r\nx",),
        FailureKind.NETWORK,
        "not HTTP",
    ),
}


@pytest.mark.parametrize(("steps", "kind", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_each_fault_is_a_clear_failure(
    server: Server, steps: tuple[Step, ...], kind: FailureKind, words: str
) -> None:
    server.play("/feed", *steps)
    result = failed(server.url("/feed"), max_bytes=100_000)
    assert result.kind is kind
    assert words in result.message


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        pytest.param((60.0,), "no answer from", id="silence"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\n", *(b"X: y\r\n", 0.02) * 500), "no answer from", id="dripping headers"
        ),
        pytest.param((head(200), *(b"x", 0.02) * 500), "too slow", id="dripping body"),
        pytest.param((head(200, length=10**9), b"x", 60.0), "only 1 bytes came", id="stalled body"),
    ],
)
def test_slowness_has_a_limit(server: Server, steps: tuple[Step, ...], words: str) -> None:
    server.play("/feed", *steps)
    result = failed(server.url("/feed"), timeout=timedelta(seconds=0.15))
    assert result.kind is FailureKind.TIMEOUT
    assert words in result.message
    assert 0.1 < result.seconds < 1


def test_the_time_limit_holds_for_all_hops_together(server: Server) -> None:
    for number in range(5):
        server.add(f"/{number}", status=302, headers={"Location": f"/{number + 1}"}, delay=0.08)
    assert failed(server.url("/0"), timeout=timedelta(seconds=0.2)).kind is FailureKind.TIMEOUT
    assert len(server.requests) <= 3


def test_a_trickle_frees_its_place_before_the_time_limit(server: Server) -> None:
    server.play("/feed", head(200), *(b"x", 0.1) * 100)
    result = failed(server.url("/feed"), timeout=timedelta(seconds=2.5))
    assert result.kind is FailureKind.TIMEOUT
    assert result.seconds < 2.4


def test_a_bomb_takes_no_memory_and_harms_nobody(server: Server) -> None:
    server.play("/bomb", head(200, {"Content-Encoding": "gzip"}), gzip.compress(bytes(200_000_000), 1), CLOSE)
    server.add("/feed", BODY)

    async def both() -> list[Result]:
        async with fetcher(max_bytes=4_000_000) as one:
            return await asyncio.gather(*(one.fetch(server.url(path)) for path in ("/bomb", "/feed")))

    tracemalloc.start()
    try:
        bomb, feed = asyncio.run(both())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(bomb, FetchFailure)
    assert isinstance(feed, Fetched)
    assert peak < 16_000_000


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        pytest.param(
            "http://nowhere.invalid/", FailureKind.DNS, "no such host: nowhere.invalid", id="no such host"
        ),
        pytest.param(
            "http://b\xfccher.invalid/", FailureKind.DNS, "xn--bcher-kva.invalid", id="no such IDN host"
        ),
        pytest.param("http://127.0.0.1:1/", FailureKind.CONNECT, "connection refused", id="nobody listens"),
    ],
)
def test_hosts_that_cannot_be_reached(url: str, kind: FailureKind, words: str) -> None:
    result = failed(url)
    assert result.kind is kind
    assert words in result.message
    assert result.http_status is None


def test_plain_http_on_a_tls_port_is_a_tls_failure(server: Server) -> None:
    assert failed(f"https://{server.netloc}/").kind is FailureKind.TLS


@pytest.mark.parametrize(
    ("certificate", "host", "trusted", "words"),
    [
        pytest.param("localhost", "localhost", True, None, id="good"),
        pytest.param("localhost", "localhost", False, "is self-signed", id="unknown authority"),
        pytest.param("localhost", "127.0.0.1", True, "made for another host", id="other host"),
        pytest.param("expired", "localhost", True, "has expired", id="expired"),
    ],
)
def test_certificates_are_verified(
    monkeypatch: pytest.MonkeyPatch, certificate: str, host: str, trusted: bool, words: str | None
) -> None:
    file = CERTIFICATES / f"{certificate}.pem"
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with Server(certificate=file) as server:
        server.add("/", BODY)
        server.add("/down", status=301, headers={"Location": "http://127.0.0.1/"})
        url = f"https://{host}:{server.port}"
        if words is None:
            assert fetched(f"{url}/").body == BODY
            assert "unprotected" in failed(f"{url}/down").message
        else:
            result = failed(f"{url}/")
            assert (result.kind, words in result.message) == (FailureKind.TLS, True), result.message


def test_a_missing_file_of_authorities_is_our_own_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    with Server(certificate=CERTIFICATES / "localhost.pem") as server:
        result = failed(f"https://localhost:{server.port}/")
    assert result.kind is FailureKind.INTERNAL
    assert "/nowhere/ca.pem" in result.message


CLOUDFLARE = b"<!DOCTYPE html><html><head><title>Just a moment...</title>"


@pytest.mark.parametrize(
    ("status", "headers", "body", "owner"),
    [
        pytest.param(403, {"cf-mitigated": "challenge"}, b"", "Cloudflare", id="named by a header"),
        pytest.param(503, {}, CLOUDFLARE, "Cloudflare", id="an interstitial page"),
        pytest.param(200, {}, CLOUDFLARE, "Cloudflare", id="with status 200"),
        pytest.param(
            200,
            {},
            b"<html><script src='/.within.website/x/cmd/anubis/static/js/main.mjs'>",
            "Anubis",
            id="anubis",
        ),
    ],
)
def test_a_bot_wall_is_named(
    server: Server, status: int, headers: Mapping[str, str], body: bytes, owner: str
) -> None:
    server.add("/feed", body, status=status, headers=headers, compress=bool(body))
    result = failed(server.url("/feed"))
    assert (result.kind, result.http_status) == (FailureKind.CHALLENGE, status)
    assert owner in result.message


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(
            b"<html><script src='/cdn-cgi/challenge-platform/scripts/jsd/main.js'>News", id="a script only"
        ),
        pytest.param(
            b"<rss><title><![CDATA[<title>Just a moment...</title>]]></title></rss>", id="a feed about it"
        ),
    ],
)
def test_what_only_looks_like_a_bot_wall_is_a_document(body: bytes) -> None:
    assert bot_wall({}, body) is None


# -------------------------------------------------------------------------------------------- pure


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"cache-control": "max-age=300"}, 300, id="max-age"),
        pytest.param({"cache-control": "public, Max-Age = 300", "age": "100"}, 200, id="less its age"),
        pytest.param({"cache-control": "max-age=300", "age": "400"}, 0, id="never negative"),
        pytest.param({"cache-control": "max-age=300", "age": "old"}, 300, id="an age that cannot be read"),
        pytest.param({"cache-control": 'max-age="300"'}, 300, id="quoted"),
        pytest.param({"cache-control": "max-age=300, max-age=5"}, 300, id="the first counts"),
        pytest.param({"cache-control": "s-maxage=300"}, 0, id="s-maxage is for shared caches"),
        pytest.param({"cache-control": "max-age=31536000"}, 31 * 86400, id="a year is cut"),
        pytest.param({"cache-control": "max-age=" + "9" * 5000}, 31 * 86400, id="absurdly large"),
        pytest.param({"cache-control": "max-age=-1"}, 0, id="negative"),
        pytest.param({"cache-control": "max-age=soon", "expires": LATER, "date": NOON}, 0, id="broken"),
        pytest.param({"cache-control": "no-cache, max-age=300"}, 0, id="no-cache"),
        pytest.param({"cache-control": "no-store, max-age=300"}, 0, id="no-store"),
        pytest.param(
            {"cache-control": 'no-cache="Set-Cookie", max-age=300'}, 300, id="no-cache for a header"
        ),
        pytest.param({"expires": LATER, "date": NOON}, 120, id="expires minus date"),
        pytest.param({"expires": LATER, "date": NOON, "age": "20"}, 100, id="expires less age"),
        pytest.param({"expires": LATER}, 120, id="expires by our clock"),
        pytest.param({"expires": NOON, "date": LATER}, 0, id="expired"),
        pytest.param({"expires": "0"}, 0, id="expires 0"),
        pytest.param({"expires": LATER, "cache-control": "max-age=5"}, 5, id="max-age goes before expires"),
    ],
)
def test_freshness(headers: dict[str, str], seconds: int | None) -> None:
    assert fresh_for(headers, lambda: NOW) == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({}, None, id="nothing said"),
        pytest.param({"retry-after": "120"}, 120, id="seconds"),
        pytest.param({"retry-after": "0"}, 0, id="now"),
        pytest.param({"retry-after": "864000"}, 864000, id="ten days are not clipped here"),
        pytest.param({"retry-after": LATER, "date": NOON}, 120, id="a date by the server's clock"),
        pytest.param({"retry-after": LATER}, 120, id="a date by our clock"),
        pytest.param({"retry-after": "Sunday, 01-Mar-26 12:02:00 GMT"}, 120, id="RFC 850"),
        pytest.param({"retry-after": "Sun Mar  1 12:02:00 2026"}, 120, id="asctime"),
        pytest.param({"retry-after": NOON, "date": LATER}, 0, id="past"),
        pytest.param({"retry-after": "-5"}, None, id="negative"),
        pytest.param({"retry-after": "soon"}, None, id="broken"),
        pytest.param({"retry-after": "9" * 400}, 2**31, id="absurdly large"),
        pytest.param({"retry-after": "Fri, 31 Dec 9999 23:59:59 -0500"}, None, id="beyond the last year"),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: int | None) -> None:
    assert retry_after(headers, lambda: NOW) == (None if seconds is None else timedelta(seconds=seconds))


def test_the_servers_wish_to_be_left_alone_is_passed_on(server: Server) -> None:
    server.add("/feed", b"slow down", status=429, headers={"Retry-After": LATER, "Date": NOON})
    assert failed(server.url("/feed")).retry_after == timedelta(minutes=2)


@given(
    st.dictionaries(st.sampled_from(["cache-control", "expires", "date", "age", "retry-after"]), st.text())
)
def test_no_header_can_break_us(headers: dict[str, str]) -> None:
    fresh = fresh_for(headers, lambda: NOW)
    assert fresh is None or timedelta(0) <= fresh <= MAX_FRESH
    wait = retry_after(headers, lambda: NOW)
    assert wait is None or wait >= timedelta(0)


@pytest.mark.parametrize(
    ("value", "links"),
    [
        pytest.param("", [], id="none"),
        pytest.param("<https://hub.example/>; rel=hub", [("hub", "https://hub.example/")], id="token"),
        pytest.param('</f>; REL="Hub  Self"', [("hub", "http://a/f"), ("self", "http://a/f")], id="several"),
        pytest.param("<x>;rel=a, <y>;rel=b", [("a", "http://a/b/x"), ("b", "http://a/b/y")], id="two links"),
        pytest.param('<x>; title="a, <b>; rel=\\"c\\""; rel=d', [("d", "http://a/b/x")], id="quoted commas"),
        pytest.param("<x>; rel=a; rel=b", [("a", "http://a/b/x")], id="the first rel counts"),
        pytest.param('<x,y;z>; rel="a"', [("a", "http://a/b/x,y;z")], id="separators in the target"),
        pytest.param("<x>; rel=a; anchor='#b'", [], id="about something else"),
        pytest.param("<x>; crossorigin; rel=a", [("a", "http://a/b/x")], id="parameter without value"),
        pytest.param("<javascript:x>; rel=a", [], id="other schemes"),
        pytest.param("<x>, rel=a; <", [], id="broken"),
    ],
)
def test_links(value: str, links: list[tuple[str, str]]) -> None:
    assert list(parse_links(value, "http://a/b/c")) == links


@pytest.mark.parametrize("piece", ["<", "<a>", '<a>;b="', "<a>; b ", ";", '<a>;b="\\', "<a>;b=c", " "])
def test_links_take_linear_time(piece: str) -> None:
    started = time.process_time()
    parse_links(piece * (60_000 // len(piece)), "http://a/")
    assert time.process_time() - started < 1


PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}


@given(
    st.binary(max_size=2000), st.sampled_from(["gzip", "deflate", "zstd", "gzip, deflate", "X-GZIP, zstd"])
)
def test_what_was_compressed_comes_back_and_any_cut_is_noticed(body: bytes, coding: str) -> None:
    packed = body
    for name in coding.lower().split(", "):
        packed = PACK[name](packed)
    assert decoded(packed, coding, 10_000) == body
    for cut in {1, len(packed) // 2, len(packed) - 1}:
        with pytest.raises(ValueError, match="cut off"):
            decoded(packed[:-cut], coding, 10_000)


@given(st.lists(st.binary(max_size=1000), min_size=2, max_size=5), st.sampled_from(["gzip", "zstd"]))
def test_what_comes_in_several_streams_is_whole_only_with_all_of_them(
    parts: list[bytes], coding: str
) -> None:
    packed = [PACK[coding](part) for part in parts]
    assert decoded(b"".join(packed), coding, 10_000) == b"".join(parts)
    for cut in {1, len(packed[-1]) - 1}:
        with pytest.raises(ValueError, match="cut off"):
            decoded(b"".join(packed)[:-cut], coding, 10_000)


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(bytes(512), id="filled up with zeros"),
        pytest.param(b"\nNotice: undefined index in news.php", id="a server's complaint"),
    ],
)
def test_what_follows_a_gzip_and_is_none_is_ignored(behind: bytes) -> None:
    assert decoded(gzip.compress(BODY) + gzip.compress(BODY) + behind, "gzip", 10_000) == BODY * 2


@pytest.mark.parametrize(
    ("coding", "body", "words"),
    [
        pytest.param("gzip", gzip.compress(b"x" * 60) * 2, "larger than 100 bytes", id="two gzips too large"),
        pytest.param("zstd", zstandard.compress(bytes(1 << 25)), "larger than 100 bytes", id="a zstd bomb"),
        pytest.param(
            "zstd", zstandard.compress(b"x" * 60) * 2, "larger than 100 bytes", id="two zstds too large"
        ),
        pytest.param("zstd", BODY, "it is no zstd", id="no zstd"),
        pytest.param("zstd", zstandard.compress(BODY) + b"<rss>", "it is no zstd", id="no zstd behind one"),
        pytest.param(
            "zstd",
            b"\x28\xb5\x2f\xfd\x00\x88" + bytes(100),  # 128 MiB (RFC 8878 §3.1.1.1.2), where 8 is the most
            "it is no zstd",
            id="a window that would take the memory",
        ),
        pytest.param("gzip", gzip.compress(b"") * 400_000, "more than 10,000 pieces", id="very many gzips"),
        pytest.param(
            "zstd", zstandard.compress(b"") * 900_000, "more than 10,000 pieces", id="very many zstds"
        ),
    ],
)
def test_hostile_compression_costs_little(coding: str, body: bytes, words: str) -> None:
    tracemalloc.start()
    began = time.process_time()
    try:
        with pytest.raises(ValueError, match=words):
            decoded(body, coding, 100)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12_000_000
    assert time.process_time() - began < 1


def test_a_document_in_several_gzips_arrives_whole(server: Server) -> None:
    packed = gzip.compress(BODY[:10]) + gzip.compress(BODY[10:])
    server.play("/feed", head(200, {"Content-Encoding": "gzip", "ETag": '"1"'}, len(packed)), packed)
    result = fetched(server.url("/feed"))
    assert (result.body, result.validators.etag) == (BODY, '"1"')


def test_zstd_is_asked_for_and_undone(server: Server) -> None:
    packed = zstandard.compress(BODY)
    server.play("/feed", head(200, {"Content-Encoding": "zstd"}, len(packed)), packed)
    assert fetched(server.url("/feed")).body == BODY
    assert (server.requests[0].header("Accept-Encoding") or "").endswith(", zstd")


def test_deflate_without_its_wrapping_is_undone() -> None:
    packed = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    assert decoded(packed.compress(BODY) + packed.flush(), "deflate", 1000) == BODY


def test_brotli_is_asked_for_only_where_it_can_be_undone() -> None:
    assert "br" in ACCEPT_ENCODING
    brotli = pytest.importorskip("brotli")
    packed = brotli.compress(BODY * 50)
    assert decoded(packed, "br", 10_000) == BODY * 50
    with pytest.raises(ValueError, match="cut off"):
        decoded(packed[:-2], "br", 10_000)
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        decoded(packed, "br", 100)
    with pytest.raises(ValueError, match="no br"):
        decoded(BODY, "br", 100)


# ------------------------------------------------------------------------------------- many at once


def test_limits_on_requests_at_once_hold(server: Server) -> None:
    with Server() as other:
        for one in (server, other):
            for number in range(12):
                one.add(f"/{number}", BODY, delay=0.02)

        async def all_of_them() -> list[Result]:
            async with fetcher(concurrency=5, per_host=3) as one:
                urls = [each.url(f"/{number}") for each in (server, other) for number in range(12)]
                return await asyncio.gather(*(one.fetch(url) for url in urls))

        assert all(isinstance(result, Fetched) for result in asyncio.run(all_of_them()))
        assert server.peak == 3
        assert other.peak <= 3
        # What waits for its own host is served in the order in which it came, and holds up no other host.
        assert [request.path for request in server.requests[:3]] == ["/0", "/1", "/2"]


def test_a_slow_host_holds_up_no_other(server: Server) -> None:
    with Server() as other:
        server.add("/slow", BODY, delay=0.1)
        other.add("/quick", BODY)

        async def mixed() -> list[str]:
            done: list[str] = []
            async with fetcher(concurrency=4, per_host=2) as one:

                async def poll(url: str) -> None:
                    await one.fetch(url)
                    done.append(url)

                await asyncio.gather(
                    *(poll(server.url("/slow")) for _ in range(4)), poll(other.url("/quick"))
                )
            return done

        assert asyncio.run(mixed())[0] == other.url("/quick")


def test_waiting_for_ones_turn_does_not_count_as_time(server: Server) -> None:
    server.add("/feed", BODY, delay=0.06)

    async def in_a_queue() -> list[Result]:
        async with fetcher(per_host=1, timeout=timedelta(seconds=0.25)) as one:
            return await asyncio.gather(*(one.fetch(server.url("/feed")) for _ in range(6)))

    results = asyncio.run(in_a_queue())
    assert all(isinstance(result, Fetched) for result in results)
    assert max(result.seconds for result in results) < 0.25


def test_connections_are_kept_for_the_next_request(server: Server) -> None:
    server.add("/feed", BODY, etag='"1"')

    async def again_and_again() -> None:
        async with fetcher() as one:
            for _ in range(5):
                assert isinstance(await one.fetch(server.url("/feed")), Fetched)
            known = Validators('"1"', url=asked(server.url("/feed")))
            assert isinstance(await one.fetch(server.url("/feed"), known), NotModified)
            # Nothing of that request is left for the next one.
            assert isinstance(await one.fetch(server.url("/feed")), Fetched)

    asyncio.run(again_and_again())
    assert server.connections == 1


def test_idle_connections_are_few() -> None:
    servers = [Server() for _ in range(8)]

    async def everywhere(urls: list[str]) -> int:
        async with fetcher(concurrency=2) as one:
            before = open_files()
            for url in urls:
                assert isinstance(await one.fetch(url), Fetched)
            return open_files() - before

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts descriptors in /proc")
    try:
        for server in servers:
            server.__enter__().add("/", BODY)
        assert asyncio.run(everywhere([server.url("/") for server in servers])) < 16
    finally:
        for server in servers:
            server.__exit__()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 – names of files that may be gone


def test_a_connection_that_died_in_the_meantime_is_replaced(server: Server) -> None:
    server.play("/feed", head(200, length=len(BODY)) + BODY, CLOSE)

    async def twice() -> None:
        async with fetcher() as one:
            for _ in range(3):
                assert isinstance(await one.fetch(server.url("/feed")), Fetched)

    asyncio.run(twice())


async def arrival(server: Server) -> None:
    while not server.requests:  # noqa: ASYNC110 – the server lives in another thread
        await asyncio.sleep(0.001)


def test_cancelling_one_request_leaves_the_others_alone(server: Server) -> None:
    server.play("/slow", 60.0)
    server.add("/feed", BODY)

    async def cancel_one() -> None:
        async with fetcher(per_host=1) as one:
            slow = asyncio.create_task(one.fetch(server.url("/slow")))
            quick = asyncio.create_task(one.fetch(server.url("/feed")))
            await arrival(server)
            slow.cancel()
            assert isinstance(await quick, Fetched)
            with pytest.raises(asyncio.CancelledError):
                await slow

    asyncio.run(asyncio.wait_for(cancel_one(), 5))


def test_closing_cancels_what_is_in_flight_and_what_waits(server: Server) -> None:
    server.play("/slow", 60.0)

    async def close_early() -> list[Any]:
        one = fetcher(per_host=1)
        tasks = [asyncio.create_task(one.fetch(server.url("/slow"))) for _ in range(3)]
        await arrival(server)
        await one.aclose()
        return await asyncio.gather(*tasks, return_exceptions=True)

    results = asyncio.run(asyncio.wait_for(close_early(), 5))
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    gc.collect()  # what is left open complains now
    assert len(server.requests) == 1


def test_it_works_on_uvloop_too(server: Server) -> None:
    uvloop = pytest.importorskip("uvloop")
    server.add("/feed", BODY)

    async def several() -> None:
        async with fetcher() as one:
            results = await asyncio.gather(*(one.fetch(server.url("/feed")) for _ in range(10)))
            assert all(isinstance(result, Fetched) for result in results)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(several())
