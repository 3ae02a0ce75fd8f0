"""What an answer's body is: how its compression is undone, and whether it is a bot wall. Pure.

libcurl could undo the compression by itself, but takes a gzip stream that was cut off for a whole one:
entries would be lost, and the validators of half a document kept.
"""

import zlib
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

from aggregator.fetch.headers import Headers

PAGE_BYTES = 64 * 1024
"""How much of an answer that is no document is read, to say what it is."""

ACCEPT_ENCODING = "gzip, deflate, br, zstd"

MOST_STREAMS = 10_000
"""How many streams one after another are read: empty ones cost time and give nothing."""
ZSTD_WINDOW = 8 * 1024 * 1024
"""Bytes of what came before that a zstd frame may refer to (RFC 9659 §3); the decoder reserves them."""

# What is undone at a time: of zstd so little that it cannot become more than 8 MiB, for that is not limited otherwise.
_PIECE, _ZSTD_PIECE = 32 * 1024, 256
_GZIP_MAGIC = b"\x1f\x8b"

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
            wbits = -zlib.MAX_WBITS if bare else wrapping + zlib.MAX_WBITS
            # What follows a gzip and does not begin as one is ignored, as browsers do.
            follows = _GZIP_MAGIC.startswith if wrapping else lambda _: False
            begin = partial(zlib.decompressobj, wbits)
            result, whole = _streamed(body, begin, follows, limit, _PIECE, limit + 1)
        elif coding == "zstd":
            from zstandard import ZstdDecompressor

            frames = ZstdDecompressor(max_window_size=ZSTD_WINDOW)
            result, whole = _streamed(body, frames.decompressobj, bool, limit, _ZSTD_PIECE)
        else:
            raise ValueError(f"{coding} was not asked for")
    except ValueError:
        raise
    except Exception:  # noqa: BLE001 – zlib.error or brotli.error, whose words help nobody
        raise ValueError(f"it is no {coding}") from None
    if len(result) > limit:
        raise _too_large(limit)
    if not whole:
        raise ValueError(f"the {coding} stream is cut off")
    return result


def _too_large(limit: int) -> TooLargeError:
    return TooLargeError(f"larger than {limit:,} bytes")


def _streamed(
    body: bytes,
    begin: Callable[[], Any],
    follows: Callable[[bytes], bool],
    limit: int,
    piece: int,
    *most: int,
) -> tuple[bytes, bool]:
    """Streams one after another, as gzip (RFC 1952 §2.2) and zstd (RFC 8878 §3) may be sent, undone.

    Args:
        body: as it came.
        begin: makes the decompressor of a stream.
        follows: whether what begins with these two bytes is one more stream.
        limit: bytes that the result may have.
        piece: bytes that are undone at a time.
        most: bytes that one of these may become, where the decompressor takes such a word.

    Returns:
        What they hold, and whether the last of them is whole.

    Raises:
        TooLargeError: they hold more than `limit`.
        ValueError: they are too many.
    """
    parts: list[bytes] = []
    size = at = 0
    for _ in range(MOST_STREAMS):
        stream = begin()
        while at < len(body) and not stream.eof:
            part = stream.decompress(body[at : at + piece], *most)
            parts.append(part)
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            at = min(at + piece, len(body)) - len(stream.unused_data)
        following = body[at : at + 2]
        if not (stream.eof and following and follows(following)):
            return b"".join(parts), stream.eof
    raise ValueError(f"it comes in more than {MOST_STREAMS:,} pieces")


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
