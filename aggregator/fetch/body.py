"""What an answer's body is: how its compression is undone, and whether it is a bot wall. Pure.

libcurl could undo the compression by itself, but takes a gzip stream that was cut off for a whole one:
entries would be lost, and the validators of half a document kept.
"""

import zlib
from importlib import import_module

from aggregator.fetch.headers import Headers

PAGE_BYTES = 64 * 1024
"""How much of an answer that is no document is read, to say what it is."""

ACCEPT_ENCODING = "gzip, deflate, br"

# The last two are none by any standard, but sent.
_NO_CODINGS = frozenset({"", "identity", "none", "utf-8"})


class TooLargeError(ValueError):
    """The body is larger than the limit once its compression is undone."""


def decoded(body: bytes, coding: str, limit: int) -> bytes:
    """`body` with its compression undone (RFC 9110 §8.4).

    Args:
        body: as it came.
        coding: the `Content-Encoding` header's value; empty where there is none.
        limit: bytes that the result may have.

    Returns:
        The body, whole.

    Raises:
        TooLargeError: it is larger than `limit`.
        ValueError: it is not compressed in that way, or not whole; says which.
    """
    codings = [name for part in coding.lower().split(",") if (name := part.strip()) not in _NO_CODINGS]
    if len(codings) > 2:  # nobody does that in good faith, and each could be a bomb
        raise ValueError(f"more than two layers ({coding})")
    for name in reversed(codings):
        body = _undone(body, name, limit)
    return body


def _undone(body: bytes, coding: str, limit: int) -> bytes:
    try:
        if coding == "br" and "br" in ACCEPT_ENCODING:
            brotli = import_module("brotli")
            stream = brotli.Decompressor()
            result: bytes = stream.process(body, output_buffer_limit=limit + 1)
            whole = stream.is_finished()
        elif coding in {"gzip", "x-gzip", "deflate"}:
            # "deflate" is the zlib format; some servers send it without that format's two header bytes.
            bare = coding == "deflate" and (body[:1] or b"x")[0] & 0x0F != zlib.DEFLATED
            wrapping = 0 if coding == "deflate" else 16
            inflater = zlib.decompressobj(-zlib.MAX_WBITS if bare else wrapping + zlib.MAX_WBITS)
            result = inflater.decompress(body, limit + 1)
            whole = inflater.eof
        else:
            raise ValueError(f"{coding} was not asked for")
    except ValueError:
        raise
    except Exception:  # noqa: BLE001 – zlib.error or brotli.error, whose words help nobody
        raise ValueError(f"it is no {coding}") from None
    if len(result) > limit:
        raise TooLargeError(f"larger than {limit:,} bytes")
    if not whole:
        raise ValueError(f"the {coding} stream is cut off")
    return result


# Headers that name a challenge, then words that stand in challenge pages and in no others. Scripts that
# such services put into every page are no mark.
_WALL_HEADERS = (
    ("cf-mitigated", "challenge", "Cloudflare"),
    ("x-vercel-mitigated", "challenge", "Vercel"),
    ("x-amzn-waf-action", "challenge", "AWS WAF"),
    ("x-amzn-waf-action", "captcha", "AWS WAF"),
    ("sg-captcha", "challenge", "SiteGround"),
)
_WALL_MARKS = (
    (b"window._cf_chl_opt", "Cloudflare"),
    (b"<title>just a moment...</title>", "Cloudflare"),
    (b"<title>attention required! | cloudflare</title>", "Cloudflare"),
    (b"/.within.website/x/cmd/anubis", "Anubis"),
    (b"/.well-known/sgcaptcha", "SiteGround"),
    (b"incapsula incident id", "Imperva"),
    (b"geo.captcha-delivery.com", "DataDome"),
    (b"<title>ddos-guard</title>", "DDoS-Guard"),
    (b"sucuri website firewall - access denied", "Sucuri"),
    (b'id="px-captcha"', "HUMAN"),
    (b"<title>vercel security checkpoint</title>", "Vercel"),
    (b"bot verification</title>", "Imunify360"),
)


def bot_wall(headers: Headers, body: bytes) -> str | None:
    """Whose challenge page this answer is; None where it is none.

    Args:
        headers: the answer's, by lower-case name.
        body: the answer's; only HTML is looked into.
    """
    for name, word, owner in _WALL_HEADERS:
        if word in headers.get(name, "").lower():
            return owner
    start = body[:PAGE_BYTES].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        for mark, owner in _WALL_MARKS:
            if mark in start:
                return owner
    return None
