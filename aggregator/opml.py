"""Subscription lists in OPML 2.0 (http://opml.org/spec2.opml): read as they are found, written as they should be.

Real lists hold unescaped `&`, `<` and quotes, entities of HTML, attributes in any case, folders three deep and one
feed in several folders; all of that is read, tag by tag, for no XML parser puts up with it. Nor is there anything
to expand, to fetch or to nest too deep. Folders and the `category` attribute become tags, and the other way round.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html import unescape
from html.entities import html5
from typing import Any

from aggregator.errors import ParseError
from aggregator.model import FeedState, Subscription
from aggregator.text import clean, link, plain_line

MOST_TAGS = 20
"""Tags of one feed; the folders of a list may be many, and deep."""

# A quoted value holds no other outline's beginning: then its closing quote is missing, and `>` ends the tag.
_DOUBLE = r'"[^"<]*+(?:<(?!/?outline)[^"<]*+)*+"'
_SINGLE = r"'[^'<]*+(?:<(?!/?outline)[^'<]*+)*+'"
_TAG = re.compile(
    rf"""<!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z)
       | <(?P<close>/?)(?:[\w.-]+:)?outline(?=[\s/>])
         (?: (?P<attributes>(?:{_DOUBLE}|{_SINGLE}|[^<>"'])*+)> | (?P<faulty>[^>]*+)(?:>|\Z) )""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
# A value whose closing quote is missing ends where the next attribute begins.
_ATTRIBUTE = re.compile(
    r"""(?<![\w.:-])(?:[\w.-]++:)*+(?P<name>[\w.-]++)\s*+=\s*+
        (?: "(?P<double>(?:[^"\s]|\s(?![\w:.-]+="))*+)"? | '(?P<single>(?:[^'\s]|\s(?![\w:.-]+='))*+)'?
          | (?P<bare>[^\s"'<>]+) )""",
    re.DOTALL | re.VERBOSE,
)
_REFERENCE = re.compile(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{0,31});")
_ROOT = re.compile(r"<(?:[\w.-]+:)?opml\b", re.IGNORECASE)
_END = re.compile(r"</(?:[\w.-]+:)?opml\s*>", re.IGNORECASE)
_FIRST = re.compile(r"<(?:[\w.-]+:)?([a-z]\w*)", re.IGNORECASE)
_FEED_SCHEME = re.compile(r"\Afeed:(?:(?://)?(https?:)|(?=//))", re.IGNORECASE)
_PLACE = re.compile(
    r"https?://(?:[^/?#@]*@)?(?:\[[0-9a-f:.]+\]|[^/?#@:\[\]]+)(?::(\d{1,5}))?(?:[/?#]|\Z)", re.IGNORECASE
)
_LANGUAGE = re.compile(r"\s*([a-z]{2,3})(?:[-_][\w-]*)?\s*", re.IGNORECASE)
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
_FEED_TYPES = ("rss", "atom", "feed")
_OTHERS = {
    "rss": "an RSS feed; `aggregator add` takes its address",
    "feed": "an Atom feed; `aggregator add` takes its address",
    "rdf": "an RSS 1.0 feed; `aggregator add` takes its address",
    "html": "an HTML page",
}


def parse(text: str, *, whole: bool = False) -> tuple[Subscription, ...]:
    """Reads a subscription list.

    Args:
        text: the document; need not be well-formed.
        whole: refuse one that breaks off before its end.

    Returns:
        Each feed once, in the list's order. Its tags are the names of the folders it lies in, outermost first, and
        its categories, of every place it stands in. Outlines that name no http(s) address are left out, and so
        are lists within the list (`type="include"`).

    Raises:
        ParseError: this is no OPML; the message says what it seems to be.
    """
    text = clean(text)
    if not _ROOT.search(text):
        raise ParseError(f"this is no subscription list (OPML): {_nature(text)}")
    if whole and not _END.search(text):
        raise ParseError("this subscription list (OPML) breaks off: it has no </opml> at its end")
    feeds: dict[str, Subscription] = {}
    for feed in _feeds(text):
        before = feeds.get(feed.url, feed)
        feeds[feed.url] = replace(before, tags=tuple(dict.fromkeys(before.tags + feed.tags))[:MOST_TAGS])
    return tuple(feeds.values())


def render(feeds: Iterable[tuple[Subscription, FeedState]], title: str = "Subscriptions") -> bytes:
    """Writes a subscription list.

    Args:
        feeds: each lies in a folder named after its first tag.
        title: of the list.

    Returns:
        OPML 2.0 in UTF-8, the same bytes for the same feeds. User names and passwords are left out of
        addresses, for lists are passed on.
    """
    from lxml import etree

    root = etree.Element("opml", version="2.0")
    etree.SubElement(etree.SubElement(root, "head"), "title").text = clean(title)
    body = etree.SubElement(root, "body")
    folders: dict[str, Any] = {}
    for wish, state in feeds:
        parent = body
        if wish.tags:
            folder = clean(wish.tags[0])
            if folder not in folders:
                folders[folder] = etree.SubElement(body, "outline", text=folder)
            parent = folders[folder]
        url = _CREDENTIALS.sub("", state.url, count=1)
        name = clean(wish.name or state.title or url)
        values = {
            "type": "rss",
            "text": name,
            "title": name,
            "xmlUrl": url,
            "htmlUrl": state.site_url,
            "language": wish.language or state.language,
            "category": ",".join(tag for tag in wish.tags if "," not in tag) if len(wish.tags) > 1 else None,
        }
        etree.SubElement(parent, "outline", {key: clean(value) for key, value in values.items() if value})
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True, pretty_print=True)


def _nature(text: str) -> str:
    """What a document that is no list seems to be."""
    if not text.strip():
        return "it is empty"
    first = _FIRST.search(text)
    name = "html" if "<html" in text[:1_000].lower() else first[1].lower() if first else ""
    return f"it seems to be {_OTHERS.get(name, 'something else')}"


def _feeds(text: str) -> Iterator[Subscription]:
    """Every outline with an http(s) address, in document order; one feed may come more than once."""
    folders: list[tuple[str, ...]] = [()]  # for each outline that is open, the tags of what lies in it
    for tag in _TAG.finditer(text):
        if tag["close"]:
            if len(folders) > 1:
                folders.pop()
            continue
        inner = tag["attributes"] if tag["attributes"] is not None else tag["faulty"]
        if inner is None:  # a comment
            continue
        values = _values(inner)
        title = plain_line(values.get("title") or values.get("text") or "")
        is_feed = values.get("type", "").strip().lower() in _FEED_TYPES
        address = values.get("xmlurl") or (values.get("url") if is_feed else None)
        if url := _address(address or ""):
            categories = values.get("category", "").split(",")[:MOST_TAGS]
            language = _LANGUAGE.fullmatch(values.get("language", ""))
            tags = dict.fromkeys((*folders[-1], *(plain_line(name.strip(" /")) for name in categories)))
            yield Subscription(
                url,
                name=title or None,
                language=language and language[1].lower(),
                tags=tuple(filter(None, tags))[:MOST_TAGS],
            )
        if not inner.rstrip().endswith("/"):
            is_folder = title and not address and len(folders[-1]) < MOST_TAGS
            folders.append((*folders[-1], title) if is_folder else folders[-1])


def _values(attributes: str) -> dict[str, str]:
    """The values of a tag's attributes by their lower-cased names; the first counts where one stands twice."""
    values: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(attributes):
        value = found["double"] or found["single"] or found["bare"] or ""
        values.setdefault(found["name"].lower(), _REFERENCE.sub(_character, value))
    return values


def _character(reference: re.Match[str]) -> str:
    """What a reference stands for; one that nobody knows is text."""
    name = reference[1]
    return unescape(reference[0]) if name[0] == "#" else html5.get(f"{name};", reference[0])


def _address(value: str) -> str | None:
    """An address that can be asked; `feed:` was once put before it to call the feed reader."""
    url = link(_FEED_SCHEME.sub(lambda found: found[1] or "http:", value.strip()), None)
    place = _PLACE.match(url or "")
    return url if place and int(place[1] or 1) in range(1, 65_536) else None
