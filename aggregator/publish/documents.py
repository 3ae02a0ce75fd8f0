"""Items become Atom, RSS and JSON Feed documents.

Atom: RFC 4287. RSS: RSS Board, RSS 2.0 and its profile. JSON Feed: version 1.1. feedgen writes the first
two, entry by entry; what it lacks is added by its extension mechanism. What it wrote of an entry is kept
(`Fragments`), so that a document of which one entry is new costs one entry and the joining of the others.
"""

import html
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from aggregator.model import StoredEntry
from aggregator.publish.channel import NEWEST, Channel, Format, Place
from aggregator.publish.items import Item, item, line
from aggregator.publish.rendered import Rendered

_PROJECT = "aggregator"
_ATOM = "{http://www.w3.org/2005/Atom}"
_XML = "{http://www.w3.org/XML/1998/namespace}"
_HISTORY = "http://purl.org/syndication/history/1.0"  # RFC 5005

# feedgen sets the process's locale while it writes an RSS date, so two at once would trip each other.
_LOCALE = threading.Lock()


class Fragments:
    """What has been written of entries, kept for as long as it is asked for again and there is room.

    An entry is known again by all that it says; so nothing ever has to be told that it has changed. May be
    used from several threads.

    Args:
        room: for so many bytes.
    """

    def __init__(self, room: int = 32 << 20) -> None:
        self._room = room
        self._kept: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def of(self, channel: Channel, entries: Sequence[StoredEntry], format: Format) -> list[bytes]:  # noqa: A002
        """What `format` says of each of the entries, in their order."""
        about = (format, channel.authority, channel.copies, frozenset(channel.topics.items()))
        # The hash stands for the entry: of 64 bits, and another one in every process, so nobody can make two meet.
        keys = [(*about, entry.uid, hash(entry)) for entry in entries]
        with self._lock:
            found = {key: self._kept[key] for key in keys if key in self._kept}
            for key in found:
                self._kept.move_to_end(key)
        missing = {key: entry for key, entry in zip(keys, entries, strict=True) if key not in found}
        if missing:
            items = [item(channel, entry) for entry in missing.values()]
            found |= zip(missing, _written(channel, items, format), strict=True)
            with self._lock:
                for key in missing:
                    self._held += len(found[key]) if key not in self._kept else 0
                    self._kept[key] = found[key]
                while self._held > self._room:
                    self._held -= len(self._kept.popitem(last=False)[1])
        return [found[key] for key in keys]


def render(
    channel: Channel,
    entries: Sequence[StoredEntry],
    format: Format,  # noqa: A002 – the domain's word
    *,
    place: Place = NEWEST,
    fragments: Fragments | None = None,
    before: Rendered | None = None,
) -> Rendered:
    """Write `entries`, in the order given, as a document of `format`.

    Args:
        channel: what the feed says of itself.
        entries: no two of one article, or with `channel.copies` no two with the same `uid`.
        format: the format.
        place: where the document stands among those of its feed.
        fragments: what has been written before.
        before: the document as it was, for those who have it.
    """
    stamp = max((entry.changed_at for entry in entries), default=channel.created_at)
    parts = (fragments or Fragments()).of(channel, entries, format)
    head, joint, tail = _frame(channel, format, place, stamp)
    return Rendered(
        head=head,
        parts=tuple(parts),
        joint=joint,
        tail=tail,
        media_type=f"{format.media_type}; charset=utf-8",
        last_modified=stamp,
        links=tuple(channel.links(format, place)),
        before=before,
    )


def _written(channel: Channel, items: Sequence[Item], format: Format) -> list[bytes]:  # noqa: A002
    """What `format` says of each item."""
    if format is Format.JSON:
        return [json.dumps(_without_none(_json_item(item)), ensure_ascii=False).encode() for item in items]
    # All text is escaped, so the end tag stands nowhere but at the end of an entry.
    tag = b"entry" if format is Format.ATOM else b"item"
    document = _xml(channel, NEWEST, channel.created_at, format, items)
    entries = document[document.index(b"<" + tag) : document.rindex(b"</" + tag)].split(b"</" + tag + b">")
    return [entry + b"</" + tag + b">" for entry in entries]


def _frame(channel: Channel, format: Format, place: Place, stamp: datetime) -> tuple[bytes, bytes, bytes]:  # noqa: A002
    """What stands before the entries, between two of them, and behind them."""
    if format is Format.JSON:
        head = json.dumps(_json_feed(channel, place), ensure_ascii=False)
        return head[:-1].encode() + b', "items": [', b",\n", b"]}"
    document = _xml(channel, place, stamp, format, ())
    tail = b"</feed>" if format is Format.ATOM else b"</channel></rss>"
    return document.removesuffix(tail) + b"\n", b"\n", b"\n" + tail


# ---------------------------------------------------------------------------------------- Atom and RSS


def _xml(channel: Channel, place: Place, stamp: datetime, format: Format, items: Iterable[Item]) -> bytes:  # noqa: A002
    from feedgen.feed import FeedGenerator

    feed = FeedGenerator()
    feed.load_extension("dc", atom=False)
    feed.register_extension("extras", _FeedExtras, _EntryExtras)
    feed.extras.about = channel, place, format
    title = _plain(line(channel.title), format) or channel.name
    feed.id(channel.feed_id)
    feed.title(title)
    feed.subtitle(_plain(line(channel.description), format) or title)
    feed.updated(stamp)
    feed.author({"name": title, "uri": channel.home_url})
    feed.generator(_PROJECT, version=channel.version)
    feed.link({"href": channel.url(format, place.at), "rel": "self", "type": format.media_type})
    # The last one: feedgen makes it the RSS channel's own link.
    feed.link({"href": channel.page_url, "rel": "alternate", "type": "text/html"})
    if channel.language:
        feed.language(channel.language)
    if channel.icon_url:
        feed.icon(channel.icon_url)
    for one in items:
        _add(feed.add_entry(order="append"), one, format)
    if format is Format.ATOM:
        return bytes(feed.atom_str())
    with _LOCALE:
        document: bytes = feed.rss_str()
    # Numeric references, as the RSS Profile asks: whether an RSS title is text or HTML is for
    # readers to guess, and this spelling makes the most of them guess text.
    return document.replace(b"&amp;", b"&#x26;")


class _FeedExtras:
    """What feedgen does not write of a feed; a feedgen extension (by shape, so that feedgen loads late)."""

    about: tuple[Channel, Place, Format]

    def extend_ns(self) -> dict[str, str]:
        return {}

    def extend_atom(self, feed: Any) -> None:
        """The feed's other documents and its hubs, and whether this document is an archive."""
        self._extend(feed, "link")
        _declared(feed.find("title"))
        _declared(feed.find("subtitle"))

    def extend_rss(self, feed: Any) -> None:
        """The same by elements of Atom."""
        self._extend(feed.find("channel"), f"{_ATOM}link")

    def _extend(self, parent: Any, name: str) -> None:
        from lxml.etree import SubElement

        channel, place, format = self.about  # noqa: A001
        for link in channel.links(format, place):
            # The other formats are named in the `Link` header alone: of several alternates some readers take
            # the last, others the first, for the address of the site.
            if link.rel not in {"self", "alternate"}:
                SubElement(parent, name, _attributes(href=link.href, rel=link.rel, type=link.type))
        if place.at is not None and channel.archived:
            SubElement(parent, f"{{{_HISTORY}}}archive", nsmap={"fh": _HISTORY})


class _EntryExtras:
    """What feedgen does not write of an entry; a feedgen extension, likewise."""

    item: Item

    def extend_ns(self) -> dict[str, str]:
        return {}

    def extend_atom(self, entry: Any) -> None:
        """The entry's language, its links, a title that declares its markup, and the whole `atom:source`."""
        from lxml.etree import SubElement

        item = self.item
        if item.url:
            SubElement(entry, "link", href=item.url, rel="alternate", type="text/html")
        for url in item.via:
            SubElement(entry, "link", href=url, rel="via")
        for file in item.enclosures:
            length = file.length and str(file.length)
            SubElement(
                entry, "link", _attributes(href=file.url, rel="enclosure", type=file.type, length=length)
            )
        if item.language:
            entry.set(f"{_XML}lang", item.language)
        _declared(entry.find("title"))
        source = entry.find("source")
        if source is None:
            source = SubElement(entry, "source")
            SubElement(source, "title").text = item.source
        else:
            source.find("link").set("rel", "self")
        SubElement(source, "id").text = item.source_url or item.id
        # Of the feed we know this much: it was changed when it first showed us this revision.
        SubElement(source, "updated").text = item.seen.isoformat()
        SubElement(SubElement(source, "author"), "name").text = item.source
        if item.source_site:
            SubElement(source, "link", href=item.source_site, rel="alternate", type="text/html")

    def extend_rss(self, entry: Any) -> None:
        """The time of the last change, other copies and further files, which RSS has no elements for."""
        from lxml.etree import SubElement

        item = self.item
        SubElement(entry, f"{_ATOM}updated").text = item.updated.isoformat()
        for url in item.via:
            SubElement(entry, f"{_ATOM}link", href=url, rel="via")
        for file in item.enclosures[1:]:
            length = file.length and str(file.length)
            SubElement(
                entry,
                f"{_ATOM}link",
                _attributes(href=file.url, rel="enclosure", type=file.type, length=length),
            )


def _plain(text: str, format: Format) -> str:  # noqa: A002
    """A text for a place that some readers of RSS take for HTML, others not; look-alikes mean the same to both."""
    return text.replace("<", "‹").replace(">", "›") if format is Format.RSS else text


def _declared(element: Any) -> None:
    """Let an element of Atom with a plain text that looks like markup say that it is none.

    In the type `text` it would be right, too, but readers and validators take it for HTML.
    """
    if element is not None and re.search(r"<|&[#\w]", element.text or ""):
        element.text, element.attrib["type"] = html.escape(element.text, quote=False), "html"


def _attributes(**values: str | int | None) -> dict[str, str]:
    return {key: str(value) for key, value in values.items() if value}


def _add(entry: Any, item: Item, format: Format) -> None:  # noqa: A002
    entry.extras.item = item
    entry.id(item.id)
    entry.title(_plain(item.title, format))
    entry.updated(item.updated)
    if item.published:
        entry.published(item.published)
    if item.author:
        entry.author({"name": item.author})
        entry.dc.dc_creator(item.author)
    if item.language:
        entry.dc.dc_language(item.language)
    if item.summary:
        entry.summary(item.summary, type="html")
    entry.content(item.content, type="html")
    if item.source_url:
        entry.source(item.source_url, item.source)
    if format is Format.RSS:  # in Atom, feedgen 1.0 forgets what the links are for: see `_EntryExtras`
        if item.url:
            entry.link(href=item.url)
        for file in item.enclosures[:1]:  # RSS has room for one
            entry.enclosure(file.url, file.length or 0, file.type)
    categories = [_attributes(term=c.term, scheme=c.scheme, label=c.label) for c in item.categories]
    if categories:
        entry.category(categories)


# ------------------------------------------------------------------------------------------- JSON Feed


def _json_feed(channel: Channel, place: Place) -> dict[str, Any]:
    return _without_none(
        {
            "version": "https://jsonfeed.org/version/1.1",
            "title": line(channel.title) or channel.name,
            "description": line(channel.description),
            "home_page_url": channel.page_url,
            "feed_url": channel.url(Format.JSON, place.at),
            "language": channel.language,
            "next_url": channel.url(Format.JSON, place.older) if place.older else None,
            "icon": channel.icon_url,
            "favicon": channel.icon_url,
            "hubs": [{"type": "WebSub", "url": hub} for hub in channel.hubs if place.at is None] or None,
            "_aggregator": {"version": channel.version},  # Atom and RSS have an element for it
        }
    )


def _json_item(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "url": item.url,
        "title": item.title,
        "content_html": item.content,
        "summary": html.unescape(line(re.sub(r"<[^<>]*>", " ", item.summary))) or None,
        "date_published": item.published and item.published.isoformat(),
        "date_modified": item.updated.isoformat(),
        "authors": [{"name": item.author}] if item.author else None,
        "tags": [category.label or category.term for category in item.categories] or None,
        "language": item.language,
        "attachments": [
            _without_none({"url": file.url, "mime_type": file.type, "size_in_bytes": file.length})
            for file in item.enclosures
        ]
        or None,
        # An extension, as the specification allows under names with an underscore: what Atom has and JSON
        # Feed has no word for.
        "_aggregator": _without_none(
            {
                "source": _without_none(
                    {"title": item.source, "feed_url": item.source_url, "home_page_url": item.source_site}
                ),
                "via": list(item.via) or None,
                "categories": [
                    _without_none({"term": c.term, "scheme": c.scheme, "label": c.label})
                    for c in item.categories
                ]
                or None,
            }
        ),
    }


def _without_none(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}
