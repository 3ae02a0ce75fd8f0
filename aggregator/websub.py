"""WebSub, what is said: requests, verifications and signatures read and written. Pure.

The norm is the W3C's recommendation of 23 January 2018 (https://www.w3.org/TR/websub/, cited as §), for both sides:
the hub that sends our own feeds, and the subscriber at the hubs of feeds we follow. `push` does what is said here.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit

from aggregator.model import Fetched, ParsedFeed
from aggregator.text import LONGEST_URL

FORM = "application/x-www-form-urlencoded"
"""Media type of requests to a hub (§5.1)."""
LEASE = timedelta(days=10)
"""How long a subscription lasts where nobody says otherwise; §8.2 calls it a good default."""
SHORTEST_LEASE, LONGEST_LEASE = timedelta(days=1), timedelta(days=30)
"""What a subscriber may wish for; shorter and longer wishes are bounded."""
LONGEST_SECRET = 199
"""Bytes (§5.1: less than 200)."""
FIRST_RETRY, LAST_RETRY = timedelta(minutes=1), timedelta(hours=6)
"""After the first failure of a row of them, and at the most."""

_ALGORITHMS = frozenset({"sha1", "sha256", "sha384", "sha512"})
_SPREAD = 0.2


class RefusedError(ValueError):
    """A request that a hub does not accept; the message tells its sender why (§5.1.2)."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What a subscriber asks a hub for (§5.1).

    Attributes:
        mode: `subscribe` or `unsubscribe`.
        callback: where it can be reached.
        topic: address of the feed.
        secret: what it wants deliveries to be signed with; None: nothing.
        lease: for how long, within the bounds.
    """

    mode: str
    callback: str
    topic: str
    secret: str | None = None
    lease: timedelta = LEASE


@dataclass(frozen=True, slots=True)
class Question:
    """What a hub asks a callback, to verify the intent of its owner, or tells it (§5.2, §5.3).

    Attributes:
        mode: `subscribe`, `unsubscribe` or `denied`; anything else is not understood.
        topic: address of the feed.
        challenge: what is to be sent back.
        lease: for how long, as the hub has decided; None where it does not say.
        reason: why a subscription was denied.
    """

    mode: str
    topic: str
    challenge: str = ""
    lease: timedelta | None = None
    reason: str = ""


# --------------------------------------------------------------------------------------- as a hub


def read_ask(body: bytes) -> Ask:
    """Read the body of a request to a hub; parameters that are not known are ignored (§5.1).

    Raises:
        RefusedError: it is not complete, or not within limits.
    """
    given = _fields(body)
    mode = given.get("hub.mode", "")
    if mode not in {"subscribe", "unsubscribe"}:
        raise RefusedError("hub.mode is subscribe or unsubscribe")
    callback, topic = given.get("hub.callback", ""), given.get("hub.topic", "")
    if not topic:
        raise RefusedError("hub.topic is missing: the address of a feed, as its rel=self link gives it")
    if not _is_address(callback):
        raise RefusedError(f"hub.callback is an http or https address of at most {LONGEST_URL} characters")
    secret = given.get("hub.secret") or None
    if secret is not None and len(secret.encode()) > LONGEST_SECRET:
        raise RefusedError(f"hub.secret has at most {LONGEST_SECRET} bytes")
    lease = LEASE
    if wish := given.get("hub.lease_seconds"):
        seconds = _seconds(wish)
        if seconds is None:
            raise RefusedError("hub.lease_seconds is a whole number of seconds")
        lease = min(max(seconds, SHORTEST_LEASE), LONGEST_LEASE)
    return Ask(mode, callback, topic, secret, lease)


def verification(ask: Ask, challenge: str) -> str:
    """The address to ask whether the callback's owner means it (§5.3)."""
    fields = {"hub.mode": ask.mode, "hub.topic": ask.topic, "hub.challenge": challenge}
    if ask.mode == "subscribe":
        fields["hub.lease_seconds"] = f"{ask.lease.total_seconds():.0f}"
    return _with(ask.callback, fields)


def denial(callback: str, topic: str, reason: str) -> str:
    """The address that tells a callback's owner of the end of a subscription (§5.2)."""
    return _with(callback, {"hub.mode": "denied", "hub.topic": topic, "hub.reason": reason})


def delivery_headers(
    body: bytes, *, media_type: str, hubs: Sequence[str], topic: str, secret: str | None
) -> dict[str, str]:
    """The headers that a document is sent to a subscriber with (§7, §7.1)."""
    links = [f'<{hub}>; rel="hub"' for hub in hubs] + [f'<{topic}>; rel="self"']
    headers = {"Content-Type": media_type, "Link": ", ".join(links)}
    if secret is not None:
        headers["X-Hub-Signature"] = signature(secret, body)
    return headers


def signature(secret: str, body: bytes, algorithm: str = "sha256") -> str:
    """The value of `X-Hub-Signature` (§7.1)."""
    return f"{algorithm}={hmac.new(secret.encode(), body, algorithm).hexdigest()}"


def ping(topic: str) -> bytes:
    """The form that tells another hub of news (§6; hubs have agreed on this without a norm)."""
    return urlencode({"hub.mode": "publish", "hub.url": topic}).encode()


def retry_in(failures: int, chance: float) -> timedelta:
    """When to try again.

    Args:
        failures: in a row, at least 1.
        chance: from [0, 1), so that what failed together does not return together.
    """
    wait = min(FIRST_RETRY * 2.0 ** min(failures - 1, 20), LAST_RETRY)
    return wait * (1 + _SPREAD * chance)


# -------------------------------------------------------------------------------- as a subscriber


def discovered(document: Fetched, parsed: ParsedFeed) -> tuple[str, str] | None:
    """The hub and the topic that a feed names, in its `Link` headers or else in the document (§4).

    Of several hubs one is enough: the first with https, else the first.

    Returns:
        Addresses of hub and topic; None where no hub is named. A feed that does not say what its own address
        is, is known to its hub by the one it was fetched from.
    """
    hubs = [url for relation, url in document.links if relation == "hub"]
    topic = next((url for relation, url in document.links if relation == "self"), None)
    if not hubs:
        hubs, topic = list(parsed.hub_urls), parsed.self_url
    if not hubs:
        return None
    return next((hub for hub in hubs if hub.startswith("https:")), hubs[0]), topic or document.url


def subscription(callback: str, topic: str, secret: str) -> bytes:
    """The form that asks a hub for a subscription (§5.1)."""
    lease = f"{LEASE.total_seconds():.0f}"
    return urlencode(
        {
            "hub.mode": "subscribe",
            "hub.callback": callback,
            "hub.topic": topic,
            "hub.secret": secret,
            "hub.lease_seconds": lease,
        }
    ).encode()


def read_question(query: bytes) -> Question:
    """Read what a hub asks or tells a callback; what is missing is empty.

    Raises:
        RefusedError: it cannot be read.
    """
    given = _fields(query)
    return Question(
        mode=given.get("hub.mode", ""),
        topic=given.get("hub.topic", ""),
        challenge=given.get("hub.challenge", ""),
        lease=_seconds(given.get("hub.lease_seconds", "")),
        reason=given.get("hub.reason", ""),
    )


def is_signed(secret: str, body: bytes, value: str | None) -> bool:
    """Whether `X-Hub-Signature` is that of somebody who knows the secret; in constant time (§7.1.2).

    Args:
        secret: ours and the hub's.
        body: as it came.
        value: the header's; None where there is none.
    """
    algorithm, _, given = (value or "").strip().partition("=")
    if algorithm.lower() not in _ALGORITHMS:
        return False
    known = signature(secret, body, algorithm.lower()).partition("=")[2]
    return hmac.compare_digest(known.encode(), given.lower().encode(errors="replace"))


# ------------------------------------------------------------------------------------------ both


def _fields(form: bytes) -> dict[str, str]:
    """A form's fields; of those that stand there twice, the first."""
    try:
        pairs = parse_qsl(form.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=100)
    except ValueError:
        raise RefusedError("the parameters are not a form in UTF-8 with fewer than 100 fields") from None
    return dict(reversed(pairs))


def _seconds(value: str) -> timedelta | None:
    """A count of seconds from 1; what ten digits cannot say is cut to them, and more than anybody's lease."""
    digits = value.lstrip("0") if value.isascii() and value.isdigit() else ""
    return timedelta(seconds=int(digits[:10])) if digits else None


def _with(callback: str, fields: dict[str, str]) -> str:
    """The callback with more query parameters; its own stay as they are (§5.1.1)."""
    return f"{callback}{'&' if '?' in callback else '?'}{urlencode(fields)}"


def _is_address(url: str) -> bool:
    if len(url) > LONGEST_URL or re.search(r"[\s\x00-\x1f\x7f#]", url):
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme.lower() in {"http", "https"} and bool(parts.hostname)
