"""Entries become Atom, RSS and JSON Feed documents.

Pure: equal input gives equal bytes, so a document's hash is its ETag and a file on disk changes only
when the news does. Every entry is first made into one `_Item`, clean and valid whatever came in; the
three formats then only differ in spelling. What they say:

* **Ids** are `tag:` URIs (RFC 4151) of the operator's authority and outlive addresses and databases.
* **`published`** is the publisher's date, or absent. **`updated`** is the publisher's, or when a new
  revision was seen, or the date of publication, or when the entry was first seen: the first that is
  known. Neither is ever later than our own sight of it: a text that we hold cannot be from tomorrow,
  and a wrong clock would otherwise pin its entries to the top of every reader. A year before 1990 is a
  placeholder, not a date.
* **`updated` carries a fraction of a second** made from the entry's uid. Publishers date by the minute;
  the fraction lets readers that sort or compare by it tell two entries apart, and never changes.
* **The last lines of the content** say why the entry is here and whom it says it took its text from.

Atom: RFC 4287. RSS: RSS Board, RSS 2.0 and its profile. JSON Feed: version 1.1. feedgen writes the first
two; what it lacks is added by its extension mechanism.
"""

import gzip
import hashlib
import html
import json
import mimetypes
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import Any
from urllib.parse import quote, urlsplit
from zlib import crc32

from aggregator import text as words
from aggregator.model import Category, Enclosure, OutputFeed, StoredEntry, Tag


class Format(StrEnum):
    """What an output feed is written in; the value is its file extension."""

    ATOM = "atom"
    RSS = "rss"
    JSON = "json"

    @property
    def media_type(self) -> str:
        """The media type without parameters."""
        return _MEDIA_TYPES[self]

    @property
    def label(self) -> str:
        """Its name for people."""
        return _LABELS[self]


_MEDIA_TYPES = {
    Format.ATOM: "application/atom+xml",
    Format.RSS: "application/rss+xml",
    Format.JSON: "application/feed+json",
}
_LABELS = {Format.ATOM: "Atom", Format.RSS: "RSS", Format.JSON: "JSON Feed"}


def title_of(output: OutputFeed, titles: Mapping[str, str]) -> str:
    """What an output feed is called: its own title, or its topic's, or its name.

    Args:
        output: the feed.
        titles: of the topics, by slug.
    """
    if output.title:
        return output.title
    if not output.topic:
        return "All entries" if output.name == "all" else output.name
    title = titles.get(output.topic, output.topic)
    return f"{title}: {output.aspect.replace('-', ' ')}" if output.aspect else title


@dataclass(frozen=True, slots=True)
class Channel:
    """What an output feed says of itself.

    Attributes:
        name: of the output feed, as in `/feeds/<name>.atom`.
        title, description: plain text.
        home_url: where readers reach us, with a trailing slash.
        authority: domain name or mail address that our ids are made with (RFC 4151 §2.1). It must never
            change while there are subscribers: to their readers every entry would be new.
        created_at: when the feed began to exist; the stamp of a feed without entries.
        version: of the program.
        topics: titles of topics by slug, for labels.
    """

    name: str
    title: str
    description: str
    home_url: str
    authority: str
    created_at: datetime
    version: str
    topics: Mapping[str, str] = field(default_factory=dict)

    @property
    def page_url(self) -> str:
        """Address of the feed without a format: a page for people, a feed for readers."""
        return f"{self.home_url}feeds/{self.name}"

    def url(self, format: Format) -> str:  # noqa: A002 – the domain's word
        """Address of the document."""
        return f"{self.page_url}.{format}"

    def id(self, kind: str, name: str = "") -> str:
        """A `tag:` URI. They all carry 2026, the year the scheme was minted, for ever."""
        return f"tag:{self.authority},2026:{kind}" + (
            f"/{quote(name, safe='', errors='backslashreplace')}" if name else ""
        )


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document, ready to be sent.

    Attributes:
        body, gzip: the same document, plain and compressed.
        media_type: with its charset.
        etag: strong validator of `body`, quotes included.
        last_modified: when the newest of its revisions was first seen.
    """

    body: bytes
    gzip: bytes
    media_type: str
    etag: str
    last_modified: datetime

    @property
    def gzip_etag(self) -> str:
        """Strong validator of `gzip`: other bytes need another tag (RFC 9110 §8.8.3.3)."""
        return f'{self.etag[:-1]}-gzip"'


def rendered(body: bytes, media_type: str, last_modified: datetime) -> Rendered:
    """Give `body` its compressed form and its validator."""
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return Rendered(body, gzip.compress(body, 6, mtime=0), media_type, etag, last_modified)


def render(channel: Channel, entries: Sequence[StoredEntry], format: Format) -> Rendered:  # noqa: A002
    """Write `entries`, in the order given, as a document of `format`.

    Args:
        channel: what the feed says of itself.
        entries: no two with the same `uid`.
        format: the format.
    """
    items = [_item(channel, entry) for entry in entries]
    stamp = max((item.seen for item in items), default=channel.created_at)
    match format:
        case Format.ATOM:
            body: bytes = _generator(channel, items, stamp, format).atom_str()
        case Format.RSS:
            with _LOCALE:
                body = _generator(channel, items, stamp, format).rss_str()
            # Numeric references, as the RSS Profile asks: whether an RSS title is text or HTML is for
            # readers to guess, and this spelling makes the most of them guess text.
            body = body.replace(b"&amp;", b"&#x26;")
        case Format.JSON:
            body = _json(channel, items)
    return rendered(body, f"{format.media_type}; charset=utf-8", stamp)


# feedgen sets the process's locale while it writes an RSS date, so two at once would trip each other.
_LOCALE = threading.Lock()


# ------------------------------------------------------------------------------------- why and when


@dataclass(frozen=True, slots=True)
class Reason:
    """Why an entry is about a topic.

    Attributes:
        topic: the topic's slug.
        aspects: those of the topic that apply.
        found: words that were found and the first field they stand in (`title`, `summary`, `text` or
            `categories`, in that order).
    """

    topic: str
    aspects: tuple[str, ...]
    found: tuple[tuple[str, str], ...]


_FIELDS = ("title", "summary", "text", "categories")


def reasons(entry: StoredEntry) -> tuple[Reason, ...]:
    """Why an entry was tagged, one reason for each of its topics."""
    shown = {"title": entry.title, "text": entry.text}
    matches = sorted(entry.matches, key=lambda match: (_FIELDS.index(match.field), match.start, -match.end))
    result = []
    for topic in dict.fromkeys(tag.topic for tag in entry.tags):
        found: dict[str, tuple[str, str]] = {}
        reached: dict[str, int] = {}
        for match in matches:
            if match.topic == topic:
                if match.end <= reached.get(match.field, 0):
                    continue  # of "kapal" and "kapal perang" at one place, the longer says it all
                reached[match.field] = match.end
                quoted = shown.get(match.field, "")[match.start : match.end] or match.term
                found.setdefault(quoted.casefold(), (quoted, match.field))
        aspects = tuple(tag.aspect for tag in entry.tags if tag.topic == topic and tag.aspect)
        result.append(Reason(topic, aspects, tuple(found.values())))
    return tuple(result)


_SHOWN = 6


def why(reason: Reason) -> str:
    """The evidence in words: `“Maduro” in the title, “kapal perang AS” in the text`."""
    fields = groupby(reason.found[:_SHOWN], key=lambda found: found[1])
    told = [
        f"{', '.join(f'“{line(quoted, 80)}”' for quoted, _ in found)} in the {where}"
        for where, found in fields
    ]
    if len(reason.found) > _SHOWN:
        told.append(f"and {len(reason.found) - _SHOWN} more")
    return ", ".join(told)


def published(entry: StoredEntry) -> datetime | None:
    """When the publisher says the entry appeared, as far as that can be."""
    stated = entry.published_at
    return min(stated, entry.first_seen_at) if stated and stated.year >= _FIRST_YEAR else None


def updated(entry: StoredEntry) -> datetime:
    """When the entry last changed in a way that matters (RFC 4287 §4.2.15)."""
    appeared = published(entry)
    if entry.updated_at and entry.updated_at.year >= _FIRST_YEAR:
        changed = min(entry.updated_at, entry.changed_at)
        return max(changed, appeared) if appeared else changed
    if entry.revision > 1:
        return entry.changed_at
    return appeared or entry.first_seen_at


_FIRST_YEAR = 1990


# ------------------------------------------------------------------------------------ clean and valid


def clean(text: str) -> str:
    """Make foreign text fit for XML, readers and people.

    Args:
        text: any text; stored text is clean already, and what is not shall do no harm here either.

    Returns:
        The text without control, surrogate and bidi-override characters (see `text.clean`), marks of earlier
        decoding errors (U+FFFD) and separators that break a line unseen.
    """
    return _MARKS.sub("", words.clean(text.replace("\r\n", "\n").replace("\r", "\n")))


_MARKS = re.compile("[\ufffd\u2028\u2029]")


def line(text: str, limit: int = 1000) -> str:
    """`text` on one line, clean, of at most `limit` characters."""
    text = " ".join(clean(text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# Sources and their labels repeat from entry to entry.
@lru_cache(maxsize=4096)
def _name(text: str, limit: int = 300) -> str:
    """A name or label for places that know no markup: without tags, mail addresses, double escaping."""
    return line(re.sub(r"<[^<>]*>", "", html.unescape(line(text, limit))), limit)


_ESCAPE = re.compile("%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def _escape(match: re.Match[str]) -> str:
    if not match[1]:
        return "%25"
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


@lru_cache(maxsize=4096)
def uri(text: str | None) -> str | None:
    """A valid absolute http(s) URI that means the same as `text`, normalised by RFC 3986 §6.2.2.

    Returns:
        None where there is nothing that could be valid.
    """
    if not text or len(text) > 4000:
        return None
    try:
        parts = urlsplit(clean(text).replace("\n", "").strip())
        host = (parts.hostname or "").rstrip(".")
        if not host.isascii():
            host = host.encode("idna").decode()
        port = parts.port
    except (ValueError, UnicodeError):
        return None
    if parts.scheme not in {"http", "https"} or not re.fullmatch(
        r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*", host
    ):
        return None
    authority = f"[{host}]" if ":" in host else host
    if port is not None and port != {"http": 80, "https": 443}[parts.scheme]:
        authority += f":{port}"

    def part(value: str, also: str) -> str:
        return quote(_ESCAPE.sub(_escape, value), safe=f"%!$&'()*+,;=:@/~{also}")

    path = re.sub(r"/\.(?=/|$)", "", part(parts.path, "")) or "/"
    query = f"?{part(parts.query, '?')}" if parts.query else ""
    fragment = f"#{part(parts.fragment, '?')}" if parts.fragment else ""
    return f"{parts.scheme}://{authority}{path}{query}{fragment}"


@dataclass(frozen=True, slots=True)
class _Item:
    """An entry as all formats say it: clean text, valid URIs, settled dates."""

    id: str
    url: str | None
    title: str
    author: str | None
    summary: str
    content: str
    language: str | None
    published: datetime | None
    updated: datetime
    seen: datetime
    categories: tuple[Category, ...]
    enclosures: tuple[Enclosure, ...]
    via: tuple[str, ...]
    source: str
    source_url: str | None
    source_site: str | None


def _item(channel: Channel, entry: StoredEntry) -> _Item:
    url = uri(entry.url)
    body = clean(entry.content) or clean(entry.summary)
    summary = clean(entry.summary) if entry.content else ""
    if not body.strip():
        body = "".join(
            f"<p>{html.escape(p, quote=False)}</p>" for p in clean(entry.text).split("\n") if p.strip()
        )
    language = entry.language or ""
    source_url = uri(entry.feed_url)
    stamp = updated(entry)
    return _Item(
        id=channel.id("entry", entry.uid),
        url=url,
        title=line(entry.title) or line(entry.text, 100) or url or "Untitled",
        author=_name(entry.author or "") or None,
        summary="" if summary.strip() == body.strip() else summary.strip(),
        content=body + "".join(_notes(channel, entry)) or "<p></p>",
        language=language if re.fullmatch("[a-z]{2}(-[a-zA-Z]{2})?", language) else None,
        published=published(entry),
        updated=stamp.replace(microsecond=crc32(entry.uid.encode(errors="backslashreplace")) % 999_999 + 1),
        seen=entry.changed_at,
        categories=tuple(_categories(channel, entry)),
        enclosures=tuple(_enclosures(entry)),
        via=tuple(
            dict.fromkeys(
                other for other in (uri(copy.url) for copy in entry.copies) if other and other != url
            )
        ),
        source=_name(entry.feed_title) or urlsplit(source_url or "").hostname or "Unknown source",
        source_url=source_url,
        source_site=uri(entry.feed_site_url),
    )


def _notes(channel: Channel, entry: StoredEntry) -> Iterator[str]:
    """The lines that end the content: why the entry is here, and whom it credits."""
    for reason in reasons(entry):
        if found := why(reason):
            topic = line(channel.topics.get(reason.topic, reason.topic))
            yield f'<p lang="en"><small>{html.escape(f"{topic}: {found}", quote=False)}</small></p>'
    for attribution in entry.attributions:
        name = html.escape(_name(attribution.name), quote=False)
        if name and (link := uri(attribution.url)):
            name = f'<a href="{html.escape(link)}" rel="noopener noreferrer nofollow">{name}</a>'
        if name:
            yield f'<p lang="en"><small>Says its source is {name}</small></p>'


def _categories(channel: Channel, entry: StoredEntry) -> Iterator[Category]:
    """Our tags, each under a scheme of ours, then the publisher's labels; none twice."""
    for tag in entry.tags:
        yield _category(channel, tag)
    seen = set()
    for given in entry.categories:
        term, label = _name(given.term), _name(given.label or "")
        scheme = uri(given.scheme)
        if term and (term, scheme) not in seen:
            seen.add((term, scheme))
            yield Category(term, scheme, label if label and label != term else None)


def _category(channel: Channel, tag: Tag) -> Category:
    title = _name(channel.topics.get(tag.topic, tag.topic))
    if tag.aspect is None:
        return Category(_name(tag.topic), channel.id("topics"), title)
    label = f"{title}: {_name(tag.aspect).replace('-', ' ')}"
    return Category(_name(tag.aspect), channel.id("topics", tag.topic), label)


def _enclosures(entry: StoredEntry) -> Iterator[Enclosure]:
    """Files that others can fetch, with what the formats demand: a type, and a length not below zero."""
    for enclosure in entry.enclosures:
        url = uri(enclosure.url)
        if url and "." in (urlsplit(url).hostname or ""):  # not `localhost`: of no use to subscribers
            kind = (enclosure.type or "").strip().lower()
            if not re.fullmatch(r"[a-z0-9.+-]+/[a-z0-9.+-]+", kind):
                kind = mimetypes.guess_type(urlsplit(url).path)[0] or "application/octet-stream"
            length = enclosure.length if enclosure.length and enclosure.length > 0 else None
            yield Enclosure(url, kind, length)


# ---------------------------------------------------------------------------------------- Atom and RSS


_PROJECT = "aggregator"
_ATOM = "{http://www.w3.org/2005/Atom}"
_XML = "{http://www.w3.org/XML/1998/namespace}"


class _Extras:
    """What feedgen does not write by itself; a feedgen entry extension (by shape, so that feedgen loads late)."""

    item: _Item

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
            given = {"type": file.type, "length": file.length and str(file.length)}
            attributes = {key: value for key, value in given.items() if value}
            SubElement(entry, "link", attributes, href=file.url, rel="enclosure")
        if item.language:
            entry.set(f"{_XML}lang", item.language)
        title = entry.find("title")
        if re.search(r"<|&[#\w]", item.title):
            # In the type `text` this would be right too, but readers and validators take it for HTML.
            title.text, title.attrib["type"] = html.escape(item.title, quote=False), "html"
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
        """The time of the last change and other copies, which RSS has no elements for."""
        from lxml.etree import SubElement

        SubElement(entry, f"{_ATOM}updated").text = self.item.updated.isoformat()
        for url in self.item.via:
            SubElement(entry, f"{_ATOM}link", href=url, rel="via")


def _generator(channel: Channel, items: Sequence[_Item], stamp: datetime, format: Format) -> Any:  # noqa: A002
    from feedgen.feed import FeedGenerator

    feed = FeedGenerator()
    feed.load_extension("dc", atom=False)
    feed.register_extension("extras", _Feed, _Extras)
    title = _name(channel.title) or channel.name
    feed.id(channel.id("feed", channel.name))
    feed.title(title)
    feed.subtitle(_name(channel.description, 1000) or title)
    feed.updated(stamp)
    feed.author({"name": title, "uri": channel.home_url})
    feed.generator(_PROJECT, version=channel.version)
    feed.link({"href": channel.url(format), "rel": "self", "type": format.media_type})
    if format is Format.ATOM:
        feed.link(
            [
                {"href": channel.url(f), "rel": "alternate", "type": f.media_type}
                for f in Format
                if f != format
            ]
        )
    # The last one: feedgen makes it the RSS channel's own link.
    feed.link({"href": channel.page_url, "rel": "alternate", "type": "text/html"})
    for item in items:
        _add(feed.add_entry(order="append"), item, format)
    return feed


class _Feed:
    """The feed's side of `_Extras`: nothing, but feedgen asks for one."""

    def extend_ns(self) -> dict[str, str]:
        return {}

    def extend_atom(self, feed: Any) -> None:
        pass

    def extend_rss(self, feed: Any) -> None:
        pass


def _add(entry: Any, item: _Item, format: Format) -> None:  # noqa: A002
    entry.extras.item = item
    entry.id(item.id)
    # Readers take RSS titles for text or for HTML, as they please; look-alikes mean the same to both.
    entry.title(item.title.replace("<", "‹").replace(">", "›") if format is Format.RSS else item.title)
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
    if format is Format.RSS:  # in Atom, feedgen 1.0 forgets what the links are for: see `_Extras`
        if item.url:
            entry.link(href=item.url)
        for file in item.enclosures[:1]:  # RSS has room for one
            entry.enclosure(file.url, file.length or 0, file.type)
    categories = [
        {key: value for key, value in (("term", c.term), ("scheme", c.scheme), ("label", c.label)) if value}
        for c in item.categories
    ]
    if categories:
        entry.category(categories)


# ------------------------------------------------------------------------------------------- JSON Feed


def _json(channel: Channel, items: Sequence[_Item]) -> bytes:
    document = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": _name(channel.title) or channel.name,
        "description": _name(channel.description, 1000),
        "home_page_url": channel.page_url,
        "feed_url": channel.url(Format.JSON),
        "items": [_without_none(_json_item(item)) for item in items],
    }
    return json.dumps(document, ensure_ascii=False).encode()


def _json_item(item: _Item) -> dict[str, Any]:
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
