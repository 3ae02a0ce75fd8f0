"""What hubs and subscribers say to each other; § is the W3C's recommendation."""

import hashlib
import hmac
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator import websub
from aggregator.model import Fetched, ParsedFeed
from aggregator.websub import Ask, Question, RefusedError

CALLBACK, TOPIC = "https://reader.example/in?id=7", "https://news.example/feeds/all.atom"
GOOD = {"hub.mode": "subscribe", "hub.callback": CALLBACK, "hub.topic": TOPIC}
DAY = timedelta(days=1)


def form(**changes: str | None) -> bytes:
    fields = GOOD | {f"hub.{name}": value for name, value in changes.items() if value is not None}
    return urlencode(
        {k: v for k, v in fields.items() if changes.get(k.removeprefix("hub."), "") is not None}
    ).encode()


# --------------------------------------------------------------------------------------- as a hub


def test_a_request_is_read() -> None:
    wish = form(secret="s€cret", lease_seconds="864000", verify="async")
    assert websub.read_ask(wish) == Ask("subscribe", CALLBACK, TOPIC, "s€cret", 10 * DAY)
    assert websub.read_ask(form(mode="unsubscribe")) == Ask("unsubscribe", CALLBACK, TOPIC)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        pytest.param(b"", "hub.mode", id="empty"),
        pytest.param(form(mode="publish"), "hub.mode", id="another mode"),
        pytest.param(form(topic=None), "hub.topic", id="no topic"),
        pytest.param(form(callback=None), "hub.callback", id="no callback"),
        pytest.param(form(callback="ftp://reader.example/"), "hub.callback", id="scheme"),
        pytest.param(form(callback="https:///in"), "hub.callback", id="no host"),
        pytest.param(form(callback="https://reader.example:port/"), "hub.callback", id="port"),
        pytest.param(form(callback="https://reader.example/\r\nX: y"), "hub.callback", id="line break"),
        pytest.param(form(callback="https://reader.example/#in"), "hub.callback", id="fragment"),
        pytest.param(form(callback="https://reader.example/" + "x" * 4_000), "hub.callback", id="too long"),
        pytest.param(form(secret="€" * 67), "199 bytes", id="secret of 201 bytes"),
        pytest.param(form(lease_seconds="-1"), "hub.lease_seconds", id="negative lease"),
        pytest.param(form(lease_seconds="0"), "hub.lease_seconds", id="no lease"),
        pytest.param(form(lease_seconds="²"), "hub.lease_seconds", id="not a decimal"),
        pytest.param(
            form(topic="\udcff".encode(errors="surrogateescape").decode("latin-1")) + b"%ff",
            "UTF-8",
            id="not UTF-8",
        ),
        pytest.param(b"&".join([b"a=b"] * 101), "100 fields", id="many fields"),
        pytest.param("hub.mode=é".encode(), "UTF-8", id="not escaped"),
    ],
)
def test_a_request_that_is_not_right_is_refused_with_the_reason(body: bytes, word: str) -> None:
    with pytest.raises(RefusedError, match=word):
        websub.read_ask(body)


@pytest.mark.parametrize(
    ("wish", "lease"),
    [
        pytest.param(None, 10 * DAY, id="no wish"),
        pytest.param("60", DAY, id="a minute"),
        pytest.param("172800", 2 * DAY, id="within bounds"),
        pytest.param("9" * 400, 30 * DAY, id="for ever"),
    ],
)
def test_a_lease_is_bounded(wish: str | None, lease: timedelta) -> None:
    assert websub.read_ask(form(lease_seconds=wish)).lease == lease


def test_the_callbacks_own_query_comes_first_and_stays() -> None:
    url = websub.verification(Ask("subscribe", CALLBACK, TOPIC, lease=2 * DAY), "c h&a")
    assert url.startswith(CALLBACK + "&")
    assert parse_qsl(urlsplit(url).query) == [
        ("id", "7"),
        ("hub.mode", "subscribe"),
        ("hub.topic", TOPIC),
        ("hub.challenge", "c h&a"),
        ("hub.lease_seconds", "172800"),
    ]
    ended = websub.verification(Ask("unsubscribe", "https://reader.example/in", TOPIC), "c")
    assert ended.startswith("https://reader.example/in?hub.mode=unsubscribe&")
    assert "lease" not in ended


def test_a_delivery_names_hub_and_topic_and_is_signed_where_that_is_wished() -> None:
    headers = websub.delivery_headers(
        b"<feed/>",
        media_type="application/atom+xml",
        hubs=["https://a/hub", "https://b/"],
        topic=TOPIC,
        secret="k",
    )
    assert headers == {
        "Content-Type": "application/atom+xml",
        "Link": f'<https://a/hub>; rel="hub", <https://b/>; rel="hub", <{TOPIC}>; rel="self"',
        "X-Hub-Signature": "sha256=" + hmac.new(b"k", b"<feed/>", hashlib.sha256).hexdigest(),
    }
    unsigned = websub.delivery_headers(b"", media_type="x/y", hubs=[], topic=TOPIC, secret=None)
    assert "X-Hub-Signature" not in unsigned


def test_other_hubs_are_told_the_address() -> None:
    assert parse_qs(websub.ping(TOPIC).decode()) == {"hub.mode": ["publish"], "hub.url": [TOPIC]}


@given(failures=st.integers(1, 500), chance=st.floats(0, 1, exclude_max=True))
def test_more_failures_never_mean_sooner(failures: int, chance: float) -> None:
    wait = websub.retry_in(failures, chance)
    assert websub.FIRST_RETRY <= wait <= websub.LAST_RETRY * 1.2
    assert wait <= websub.retry_in(failures + 1, chance)


# -------------------------------------------------------------------------------- as a subscriber


def document(*links: tuple[str, str]) -> Fetched:
    return Fetched(200, "https://a.example/feed", b"", links=links)


HUB, SELF = ("hub", "https://hub.example/"), ("self", "https://a.example/self")


@pytest.mark.parametrize(
    ("links", "parsed", "found"),
    [
        pytest.param((), {}, None, id="no hub"),
        pytest.param((HUB, SELF), {}, (HUB[1], SELF[1]), id="in the headers"),
        pytest.param((), {"hub_urls": ("https://h/",), "self_url": "https://s/"}, ("https://h/", "https://s/"), id="in the document"),
        pytest.param((HUB,), {"hub_urls": ("https://h/",), "self_url": "https://s/"}, (HUB[1], "https://a.example/feed"), id="headers before document"),
        pytest.param((SELF,), {"hub_urls": ("https://h/",), "self_url": "https://s/"}, ("https://h/", "https://s/"), id="headers without a hub"),
        pytest.param((), {"hub_urls": ("http://h/", "https://h/", "https://i/")}, ("https://h/", "https://a.example/feed"), id="https first"),
    ],
)  # fmt: skip
def test_a_feed_names_its_hub(
    links: tuple[tuple[str, str], ...], parsed: dict[str, object], found: tuple[str, str] | None
) -> None:
    feed = ParsedFeed(**parsed)  # type: ignore[arg-type]
    assert websub.discovered(document(*links), feed) == found


@given(
    secret=st.text(st.characters(codec="utf-8"), min_size=1, max_size=49),
    path=st.text(
        st.characters(codec="utf-8", exclude_categories=["C", "Z"], exclude_characters="#"), max_size=50
    ),
)
def test_a_hub_reads_what_a_subscriber_writes(secret: str, path: str) -> None:
    callback = f"https://reader.example/{path}"
    ask = websub.read_ask(websub.subscription(callback, TOPIC, secret))
    assert ask == Ask("subscribe", callback, TOPIC, secret, websub.LEASE)
    question = websub.read_question(
        urlsplit(websub.verification(Ask("subscribe", "https://r/", TOPIC), secret)).query.encode()
    )
    assert question == Question("subscribe", TOPIC, secret, websub.LEASE)


def test_a_denial_is_read() -> None:
    url = websub.denial(CALLBACK, TOPIC, "no more")
    assert websub.read_question(urlsplit(url).query.encode()) == Question("denied", TOPIC, reason="no more")


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha384", "sha512"])
def test_every_signature_of_the_norm_is_known(algorithm: str) -> None:
    made = hmac.new("s€".encode(), b"body", algorithm).hexdigest()
    assert websub.is_signed("s€", b"body", f"{algorithm}={made}")
    assert websub.is_signed("s€", b"body", f" {algorithm.upper()}={made.upper()}")


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("sha256=", id="no digest"),
        pytest.param(websub.signature("another", b"body"), id="another secret"),
        pytest.param(websub.signature("secret", b"Body"), id="another body"),
        pytest.param("md5=" + hmac.new(b"secret", b"body", "md5").hexdigest(), id="an algorithm that is not of the norm"),
        pytest.param(websub.signature("secret", b"body").replace("sha256", "sha512"), id="another algorithm"),
        pytest.param("sha256=\udc80", id="not text"),
    ],
)  # fmt: skip
def test_a_wrong_signature_is_one(value: str | None) -> None:
    assert not websub.is_signed("secret", b"body", value)
