"""What holds for every answer, whatever it is: the headers that bind browsers, and foreign HTML made fit to show."""

import re

from markupsafe import Markup

from aggregator.text import sanitise

_IMAGE = re.compile(r"<img\b([^>]*)>")
_SECURE = re.compile(r'\ssrc="https:')
_ALT = re.compile(r'\salt="([^"]+)"')
# The sanitiser leaves no `<` but that of a tag, and no `>` in an attribute.
_HEADING = re.compile(r"<(/?)h[1-6]\b")
_EMPTY_HEADER = re.compile(r"<th\b([^>]*)>((?:\s|&nbsp;|<(?!/?th\b|img\b)[^>]*>)*)</th>")
_EMPTY_LINK = re.compile(r"<a\b[^>]*>((?:\s|&nbsp;|<(?!/?a\b|img\b)[^>]*>)*)</a>")


def headers(images: str) -> list[tuple[bytes, bytes]]:
    """The headers of every answer, errors included.

    Args:
        images: `web.images:` of the configuration; `show` lets browsers load them, from https addresses alone.
    """
    remote = " https:" if images == "show" else ""
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        f"img-src 'self'{remote}; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return [
        (b"content-security-policy", policy.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"cross-origin-opener-policy", b"same-origin"),
    ]


def shown(html: str, images: str) -> Markup:
    """A summary or content from the store as it may stand in a page of ours.

    It was sanitised when it was stored; here it is again, by the rules of today, whatever is in the database. For
    those who hear a page instead of seeing it, its headings are of one level, below our own, and links and headers of
    tables in which nothing stands are none.

    Args:
        html: as stored.
        images: `hide` leaves the description of an image, if it has one; `show` keeps those that browsers may load,
            which they do as they come into view.
    """
    replaced = _loaded if images == "show" else _described
    text = _IMAGE.sub(replaced, sanitise(html, None))
    text = _EMPTY_HEADER.sub(r"<td\1>\2</td>", _HEADING.sub(r"<\1h2", text))
    return Markup(_EMPTY_LINK.sub(r"\1", text))  # noqa: S704 – sanitised


def _loaded(image: re.Match[str]) -> str:
    return f'<img loading="lazy"{image[1]}>' if _SECURE.search(image[1]) else _described(image)


def _described(image: re.Match[str]) -> str:
    alt = _ALT.search(image[1])
    return f"[{alt[1]}]" if alt else ""
