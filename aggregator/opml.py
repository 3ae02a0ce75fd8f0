"""Subscription lists in OPML 2.0 (http://opml.org/spec2.opml): read as they are found, written as they should be.

Real lists hold unescaped `&`, entities of HTML, attributes in any case, folders three deep and one feed in
several folders; all of that is read. Folders and the `category` attribute become tags, and the other way round.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from html.entities import html5
from typing import Any

from aggregator.errors import ParseError
from aggregator.model import FeedReport
from aggregator.text import clean, link, plain_line

_DECLARATION = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.-]+)")
_REFERENCE = re.compile(
    r"&(#\d{1,7};|#[xX][0-9a-fA-F]{1,6};|(?:amp|lt|gt|quot|apos);)?([A-Za-z][A-Za-z0-9]*;)?"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/?#]*@")
_FEED_TYPES = ("rss", "atom", "feed")
_OTHERS = {
    "rss": "an RSS feed; `aggregator add` takes its address",
    "feed": "an Atom feed; `aggregator add` takes its address",
    "rdf": "an RSS 1.0 feed; `aggregator add` takes its address",
    "html": "an HTML page",
}


@dataclass(frozen=True, slots=True)
class Outline:
    """One subscription in a list.

    Attributes:
        url: the feed's address, http or https.
        title: as the list has it; None where it has none.
        tags: names of the folders it lies in, outermost first, then its categories.
        site_url: of the site the feed belongs to.
        language: as declared, lower-cased.
    """

    url: str
    title: str | None = None
    tags: tuple[str, ...] = ()
    site_url: str | None = None
    language: str | None = None


def parse(body: bytes) -> tuple[Outline, ...]:
    """Reads a subscription list.

    Args:
        body: the file; need not be well-formed.

    Returns:
        Each feed once, in the list's order, with the tags of every place it stands in. Outlines that name
        no http(s) address are left out.

    Raises:
        ParseError: this is no OPML; the message says what it seems to be.
    """
    root = _root(body)
    feeds: dict[str, Outline] = {}
    for outline in _outlines(root):
        before = feeds.get(outline.url)
        if before:
            tags = tuple(dict.fromkeys(before.tags + outline.tags))
            outline = Outline(before.url, before.title, tags, before.site_url, before.language)
        feeds[outline.url] = outline
    return tuple(feeds.values())


def render(reports: Sequence[FeedReport], title: str = "Subscriptions") -> bytes:
    """Writes a subscription list.

    Args:
        reports: the feeds; each lies in a folder named after its first tag.
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
    for report in reports:
        wish, state = report.subscription, report.state
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


def _root(body: bytes) -> Any:
    """The list's root element, whatever is wrong with the document."""
    from lxml import etree

    text = re.sub(r"^\s*<\?xml[^>]*>", "", _decoded(body)).strip()
    parser = etree.XMLParser(
        recover=True,
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8",
    )
    try:
        root = etree.fromstring(_REFERENCE.sub(_reference, clean(text)).encode(), parser)
    except etree.LxmlError:
        root = None
    name = _name(root) if root is not None else "html" if "<html" in text[:1_000].lower() else ""
    if name == "opml":
        return root
    if not text:
        raise ParseError("this is no subscription list (OPML): it is empty")
    raise ParseError(
        f"this is no subscription list (OPML): it seems to be {_OTHERS.get(name, 'something else')}"
    )


def _decoded(body: bytes) -> str:
    """The document's text: by byte order mark, declaration, UTF-8 or windows-1252, the first that fits."""
    declared = _DECLARATION.match(body)
    marked = "utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    for encoding in (marked, declared[1].decode() if declared else "utf-8"):
        try:
            return body.decode(encoding)
        except (LookupError, UnicodeDecodeError):
            continue
    return body.decode("cp1252", errors="replace")


def _reference(found: re.Match[str]) -> str:
    """What a list's author meant by an `&`: XML's own references stay, HTML's are resolved, others are text."""
    if found[1]:
        return found[0]
    character = html5.get(found[2] or "")
    return escape(character) if character else f"&amp;{found[2] or ''}"


def _name(element: Any) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _outlines(root: Any) -> Iterator[Outline]:
    """Every outline with an http(s) address, in document order; one feed may come more than once."""
    waiting: list[tuple[Any, tuple[str, ...]]] = [(root, ())]
    while waiting:
        element, folders = waiting.pop()
        values = {str(key).lower(): value for key, value in element.attrib.items()}
        title = plain_line(values.get("title") or values.get("text") or "")
        is_feed = values.get("type", "").lower() in _FEED_TYPES
        address = values.get("xmlurl") or (values.get("url") if is_feed else None)
        if url := link(address or "", None):
            categories = [plain_line(name.strip(" /")) for name in values.get("category", "").split(",")]
            yield Outline(
                url,
                title or None,
                tuple(dict.fromkeys(name for name in (*folders, *categories) if name)),
                link(values.get("htmlurl") or "", None),
                values.get("language", "").strip().lower() or None,
            )
        if _name(element) == "outline" and title and not address:
            folders = (*folders, title)
        waiting += [(child, folders) for child in reversed(element)]
