"""What the readers of all formats share: limits, and small values."""

import html
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import NamedTuple

from aggregator.model import Enclosure
from aggregator.text import LONGEST_LINE, plain_line

MOST_ENTRIES = 10_000
MOST_CATEGORIES = 100
MOST_ENCLOSURES = 50
SHORTEST_HINT, LONGEST_HINT = timedelta(minutes=1), timedelta(days=365)

HTML_TYPES = frozenset({"html", "xhtml", "text/html", "application/xhtml+xml"})
_MAILBOX = re.compile(r"<?[\w.+-]+@[\w.-]+>?")


class Link(NamedTuple):
    """A link of a feed or entry: lower-case relation, absolute address, lower-case media type, length as given."""

    relation: str
    url: str
    type: str
    length: str = ""


def alternate(links: Iterable[Link]) -> str | None:
    """The page that a feed or entry stands for: the last link to HTML, else the first to something else."""
    pages = [found for found in links if found.relation == "alternate"]
    readable = [page for page in pages if page.type in HTML_TYPES]
    return (readable[-1] if readable else pages[0]).url if pages else None


def related(links: Iterable[Link], relation: str) -> str | None:
    """Target of the first link with this relation."""
    return next((found.url for found in links if found.relation == relation), None)


def enclosure(url: str, media_type: str | None = None, length: str | None = None) -> Enclosure:
    """An enclosure from what a publisher wrote; `url` is absolute."""
    kind = plain_line(media_type or "").lower()
    return Enclosure(url, kind if "/" in kind else None, integer(length or ""))


def as_html(text: str) -> str:
    """Plain text as HTML. Entities in it were encoded once too often."""
    return html.escape(html.unescape(text), quote=False).replace("\n", "<br>\n")


def person(value: str) -> str:
    """A name, without the mailbox that RSS wants beside it."""
    name = plain_line(value)
    if "@" in name:
        return _MAILBOX.sub("", name).strip(" ()<>,") or name
    return name


def people(names: Iterable[str]) -> str | None:
    """Names, each once, as one line."""
    return ", ".join(dict.fromkeys(name for name in names if name))[:LONGEST_LINE] or None


def language_tag(value: str | None) -> str | None:
    """A language as BCP 47 writes it, in lower case."""
    tag = plain_line(value or "").replace("_", "-").lower()
    return tag if tag and len(tag) <= 35 else None


def integer(value: str) -> int | None:
    """A count as publishers write it: up to 15 digits."""
    digits = value.strip()
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 15 else None
