"""The tree of an RSS or Atom document, or of a sitemap of news, to its fields."""

import binascii
import html
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import chain
from xml.etree.ElementTree import Element

from aggregator.errors import ParseError
from aggregator.model import Category, Enclosure, EntryData, ParsedFeed, Source
from aggregator.parse.values import (
    HTML_TYPES,
    LONGEST_HINT,
    MOST_CATEGORIES,
    MOST_ENCLOSURES,
    MOST_ENTRIES,
    SHORTEST_HINT,
    Link,
    alternate,
    as_html,
    enclosure,
    integer,
    language_tag,
    people,
    person,
    related,
)
from aggregator.text import LONGEST_HTML, LONGEST_URL, link, parse_date, plain_line, printable

_DEEPEST = 256
_ROOT = re.compile(r"(?:\{[^}]*\})?(?:rss|rdf|feed)", re.IGNORECASE)
_XML_BASE = "{http://www.w3.org/XML/1998/namespace}base"
_XML_LANG = "{http://www.w3.org/XML/1998/namespace}lang"
_CORE = ""
_NAMESPACES = {  # without scheme, trailing slash and `#`, in lower case
    "purl.org/rss/1.0": _CORE,
    "purl.org/net/rss1.1": _CORE,
    "my.netscape.com/rdf/simple/0.9": _CORE,
    "channel.netscape.com/rdf/simple/0.9": _CORE,
    "blogs.law.harvard.edu/tech/rss": _CORE,
    "www.w3.org/2005/atom": _CORE,
    "purl.org/atom/ns": _CORE,
    "purl.org/dc/elements/1.0": "dc",
    "purl.org/dc/elements/1.1": "dc",
    "purl.org/dc/terms": "dcterms",
    "purl.org/rss/1.0/modules/content": "content",
    "purl.org/rss/1.0/modules/syndication": "sy",
    "purl.org/syndication/history/1.0": "fh",
    "purl.org/atompub/tombstones/1.0": "at",
    "search.yahoo.com/mrss": "media",
    "www.rssboard.org/media-rss": "media",
    "www.itunes.com/dtds/podcast-1.0.dtd": "itunes",
    "rssnamespace.org/feedburner/ext/1.0": "feedburner",
    "www.pheedo.com/namespace/pheedo": "feedburner",  # its origLink means the same
    "www.w3.org/1999/02/22-rdf-syntax-ns": "rdf",
    "www.w3.org/1999/xhtml": "xhtml",
    "www.google.com/schemas/sitemap-news/0.9": "news",
    "www.google.com/schemas/sitemap-image/1.1": "image",
}
_KINDS = {
    "html": "an HTML page",
    "urlset": "a sitemap",
    "sitemapindex": "an index of sitemaps",
    "opml": "an OPML list of subscriptions",
    "envelope": "a SOAP message",
}
_TEXT_TYPES = frozenset({"text", "plain", "text/plain"})
_EVIDENT_HTML = re.compile(
    r"</(?:a|b|i|p|em|strong|div|span|ul|ol|li|h[1-6]|table|blockquote|figure)>|<(?:br|img)\b", re.IGNORECASE
)
_VOID = frozenset({"area", "br", "col", "hr", "img", "input", "wbr"})
_TRACKER = re.compile(
    r"https?://(?:[^/]*\.feedsportal\.com/|feedproxy\.google\.com/|feeds\.feedburner\.com/~r/)"
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_HOUR, _DAY, _WEEK, _MONTH, _YEAR = (timedelta(hours=hours) for hours in (1, 24, 168, 720, 8760))
_PERIODS = {
    "hourly": _HOUR, "daily": _DAY, "weekly": _WEEK, "monthly": _MONTH, "yearly": _YEAR,
    # What the module does not know, but people write: words of sitemaps, and others for the same.
    "always": SHORTEST_HINT, "never": LONGEST_HINT, "minute": SHORTEST_HINT, "minutely": SHORTEST_HINT, "hour": _HOUR,
    "day": _DAY, "everyday": _DAY, "week": _WEEK, "month": _MONTH, "year": _YEAR, "annually": _YEAR,
}  # fmt: skip

_Fields = dict[str, list[Element]]
"""The children of an element by short name."""


class _Names(dict[str, str]):
    """Short names of tags and attributes, such as `title` or `dc:creator`, made as they are met.

    RSS, Atom and whatever namespace the feed's own elements are in are one vocabulary, as in feedparser: feeds
    mix them, and many declare a default namespace of their own.
    """

    def __init__(self, tag: str) -> None:
        super().__init__()
        self._own = _split(tag)[0]

    def __missing__(self, tag: str) -> str:
        uri, local = _split(tag)
        key = uri.lower().partition("://")[2].rstrip("/#")
        prefix = _NAMESPACES.get(key)
        if prefix is None:
            prefix = _CORE if uri in ("", self._own) or "backend.userland.com/rss" in key else "?"
        name = self[tag] = f"{prefix}:{local.lower()}" if prefix else local.lower()
        return name


def _split(tag: str) -> tuple[str, str]:
    uri, _, local = tag.rpartition("}")
    return uri[1:], local


@dataclass(frozen=True, slots=True)
class _Place:
    """What an element inherits.

    Attributes:
        base: absolute address that relative ones refer to.
        language: as `xml:lang` or the feed says.
    """

    base: str
    language: str | None = None

    def within(self, element: Element) -> "_Place":
        """The place of what is inside the element (XML Base §4; XML 1.0 §2.12)."""
        base, language = element.get(_XML_BASE), element.get(_XML_LANG)
        if base is None and language is None:
            return self
        return _Place(
            (link(base, self.base) if base else None) or self.base,
            self.language if language is None else language,
        )


class Reader:
    """Reads one document's tree."""

    def __init__(self, document: str, url: str) -> None:
        """Prepare to read.

        Args:
            document: the text the tree was made from.
            url: base of everything relative in it.
        """
        self._url = url
        self._has_places = "xml:base" in document or "xml:lang" in document
        self._names = _Names("")

    # ------------------------------------------------------------------------------------- feed

    def feed(self, root: Element) -> ParsedFeed:
        """Read the feed.

        Args:
            root: of the whole tree; a feed wrapped in something else is found.

        Returns:
            The feed.

        Raises:
            ParseError: it is another kind of document, or nested too deeply.
        """
        feed = next((element for element in root.iter() if _ROOT.fullmatch(element.tag)), root)
        self._names = _Names(feed.tag)
        kind = self._names[feed.tag].rpartition(":")[2]
        if kind == "urlset" and (news := self._news(feed)):
            return news
        if kind not in ("rss", "rdf", "feed", "channel", "entry"):
            raise ParseError(f"{self._described(root)}, not a feed")
        if kind == "rdf":  # the elements of RSS 1.0 are in a namespace, its root in another
            channel_tag = next((child.tag for child in feed if child.tag.lower().endswith("channel")), "")
            self._names = _Names(channel_tag)

        place = self._place(_Place(self._url), feed)
        fields = {"entry": [feed]} if kind == "entry" else self._children(feed)
        items = [*fields.get("item", ()), *fields.get("entry", ())]
        for number, channel in enumerate(fields.get("channel", ())):
            inner = self._children(channel)
            items += (*inner.get("item", ()), *inner.get("entry", ()))
            if number == 0:
                place, fields = self._place(place, channel), fields | inner
        is_atom = kind in ("feed", "entry")
        language = self._first(fields, "language", "dc:language") or place.language
        place = replace(place, language=language)
        authors = self._authors(fields) if is_atom else None
        links = list(self._links(fields, place))
        summary = self._first(
            fields, "description", "subtitle", "tagline", "dc:description", "itunes:summary"
        )
        next_url, previous_archive_url = related(links, "next"), related(links, "prev-archive")
        entries = tuple(self._entry(item, place, authors) for item in items[:MOST_ENTRIES])
        withdrawn: dict[str, datetime | None] = {}
        if "at:deleted-entry" in fields:
            entries, withdrawn = self._standing(entries, fields["at:deleted-entry"])
        return ParsedFeed(
            entries=entries,
            withdrawn=tuple(withdrawn.items()),
            # Not where it goes on elsewhere, whatever it says (RFC 5005 §2).
            complete="fh:complete" in fields
            and len(items) <= MOST_ENTRIES
            and not (next_url or previous_archive_url),
            title=plain_line(self._first(fields, "title", "dc:title")) or None,
            description=plain_line(summary) or None,
            site_url=alternate(links),
            icon_url=self._icon(fields, place),
            self_url=related(links, "self"),
            next_url=next_url,
            previous_archive_url=previous_archive_url,
            hub_urls=tuple(found.url for found in links if found.relation == "hub"),
            language=language_tag(language),
            hint=self._hint(fields),
            skip_hours=self._skip_hours(fields),
            skip_days=self._skip_days(fields),
        )

    def _described(self, root: Element) -> str:
        name = self._names[root.tag].rpartition(":")[2]
        described = _KINDS.get(name, f"XML with the root element <{printable(name, 40)}>")
        if name == "html":
            title = next((child.text for child in root.iter() if child.tag.endswith("title")), None)
            if title and title.strip():
                described += f" titled “{printable(plain_line(title))}”"
        return described

    @staticmethod
    def _standing(
        entries: tuple[EntryData, ...], deleted: list[Element]
    ) -> tuple[tuple[EntryData, ...], dict[str, datetime | None]]:
        """The entries that stand, and those taken back, each with the time of that (RFC 6721 §3).

        Where a document has both for one id, the later holds; without two dates to tell by, the entry.
        """
        withdrawn: dict[str, datetime | None] = {}
        for element in deleted[:MOST_ENTRIES]:
            if ref := element.get("ref", "").strip()[:LONGEST_URL]:
                when, known = parse_date(element.get("when", "")), withdrawn.get(ref)
                withdrawn[ref] = max(when, known) if when and known else when or known
        standing = []
        for entry in entries:
            if entry.guid in withdrawn:
                when, dated = withdrawn[entry.guid], entry.updated_at or entry.published_at
                if when and dated and when > dated:
                    continue
                del withdrawn[entry.guid]
            standing.append(entry)
        return tuple(standing), withdrawn

    def _icon(self, fields: _Fields, place: _Place) -> str | None:
        candidates = chain(
            (self._first(self._children(image), "url") for image in fields.get("image", ())),
            (image.get("href", "") for image in fields.get("itunes:image", ())),
            (self._first(fields, name) for name in ("icon", "logo")),
        )
        return next((found for url in candidates if (found := link(url, place.base))), None)

    def _hint(self, fields: _Fields) -> timedelta | None:
        """`ttl` (RSS 2.0, minutes), else how often `sy:*` says the feed changes (daily and once by default)."""
        if minutes := integer(self._first(fields, "ttl")):
            return min(timedelta(minutes=min(minutes, 1_000_000)), LONGEST_HINT)
        if not fields.keys() & {"sy:updateperiod", "sy:updatefrequency"}:
            return None
        frequency = integer(self._first(fields, "sy:updatefrequency")) or 1
        return max(_period(self._first(fields, "sy:updateperiod")) / frequency, SHORTEST_HINT)

    def _skip_hours(self, fields: _Fields) -> tuple[int, ...]:
        hours = (integer(hour.text or "") for skip in fields.get("skiphours", ()) for hour in skip)
        return tuple(sorted({hour % 24 for hour in hours if hour is not None and hour <= 24}))

    def _skip_days(self, fields: _Fields) -> tuple[int, ...]:
        days = ((day.text or "").strip().lower() for skip in fields.get("skipdays", ()) for day in skip)
        return tuple(sorted({_DAYS.index(day) for day in days if day in _DAYS}))

    # ------------------------------------------------------------------------------------ entry

    def _entry(self, item: Element, outer: _Place, feed_authors: str | None) -> EntryData:
        place = self._place(outer, item)
        fields = self._children(item)
        media = self._media(fields)
        links = list(self._links(fields, place))
        guid = (self._first(fields, "guid", "id") or self._about(item))[:LONGEST_URL]
        url = self._url_of(fields, guid, links, place)
        original = self._original(fields, guid, url, place)
        content, base = self._markup(
            fields, place, "content:encoded", "content", "xhtml:body", "body", "fullitem"
        )
        summary, summary_base = self._markup(fields, place, "description", "summary", "dc:description")
        if summary is None:
            summary, summary_base = self._markup(
                media, place, "media:description", "itunes:summary", "itunes:subtitle"
            )
        declared_base = base or summary_base or (place.base if place.base != self._url else None)
        source = next(iter(fields.get("source", ())), None)
        return EntryData(
            guid=guid or None,
            url=url,
            original_url=original if original != url else None,
            title=plain_line(self._first(fields, "title", "dc:title") or self._first(media, "media:title")),
            author=self._authors(fields)
            or (self._authors(self._children(source)) if source is not None else None)
            or feed_authors,
            summary=summary,
            content=content,
            base_url=declared_base or original or url or self._url,
            language=language_tag(self._first(fields, "dc:language", "language") or place.language),
            published_at=self._date(fields, "pubdate", "published", "issued", "dcterms:issued", "dc:date")
            or self._date(fields, "created", "dcterms:created"),
            updated_at=self._date(fields, "updated", "modified", "dcterms:modified", "lastbuilddate"),
            categories=self._categories(fields, media),
            enclosures=self._enclosures(fields, media, links, place),
            source=self._source(source, place) if source is not None else None,
        )

    def _about(self, item: Element) -> str:
        return next((value for name, value in item.items() if self._names[name] == "rdf:about"), "").strip()

    def _url_of(self, fields: _Fields, guid: str, links: list[Link], place: _Place) -> str | None:
        """The address given for the entry: the link, or a guid that is one."""
        if url := alternate(links):
            return url
        permanent = all(
            element.get("isPermaLink", "true").strip().lower() != "false"
            for element in fields.get("guid", ())
        )
        sources = (link(element.get("src", ""), place.base) for element in fields.get("content", ()))
        return (link(guid, None) if permanent else None) or next(filter(None, sources), None)

    def _original(self, fields: _Fields, guid: str, url: str | None, place: _Place) -> str | None:
        """The article's own address, where a tracker's stands in the link."""
        if original := link(self._first(fields, "feedburner:origlink"), place.base):
            return original
        if url and _TRACKER.match(url) and not _TRACKER.match(guid):
            return link(guid, None)
        return None

    def _media(self, fields: _Fields) -> _Fields:
        """Media RSS and iTunes elements of an entry, with those inside `media:group` and `media:content`."""
        found: _Fields = {}
        groups = [(0, fields)]
        for depth, group in groups:  # grows as it is read
            for name, elements in group.items():
                if name.startswith(("media:", "itunes:")):
                    found.setdefault(name, []).extend(elements)
                if depth < 2 and name in ("media:group", "media:content"):
                    groups += [(depth + 1, self._children(element)) for element in elements if len(element)]
        return found

    def _categories(self, fields: _Fields, media: _Fields) -> tuple[Category, ...]:
        found: dict[Category, None] = {}

        def add(term: str, scheme: str | None = None, label: str | None = None) -> None:
            if term := plain_line(term or label or ""):
                scheme = plain_line(scheme) if scheme else None
                found[Category(term, scheme or None, plain_line(label) or None if label else None)] = None

        wrapped = (element for wrapper in fields.get("categories", ()) for element in wrapper)
        for element in chain(
            fields.get("category", ()), wrapped, fields.get("dc:subject", ()), media.get("media:category", ())
        ):
            add(
                element.get("term") or self._text(element),
                element.get("scheme") or element.get("domain"),
                element.get("label"),
            )
        for element in media.get("itunes:category", ()):
            add(element.get("text", ""))
        for element in chain(media.get("media:keywords", ()), media.get("itunes:keywords", ())):
            for term in self._text(element).split(","):
                add(term)
        return tuple(found)[:MOST_CATEGORIES]

    def _enclosures(
        self, fields: _Fields, media: _Fields, links: list[Link], place: _Place
    ) -> tuple[Enclosure, ...]:
        candidates = chain(
            (
                (element.get("url") or element.get("href"), element.get("type"), element.get("length"))
                for element in fields.get("enclosure", ())
            ),
            ((found.url, found.type, found.length) for found in links if found.relation == "enclosure"),
            (
                (element.get("src"), element.get("type"), None)
                for element in fields.get("content", ())
                if element.get("type", "html") not in HTML_TYPES
            ),
            (
                (element.get("url"), element.get("type"), element.get("fileSize"))
                for element in media.get("media:content", ())
            ),
            ((element.get("url"), None, None) for element in media.get("media:thumbnail", ())),
        )
        found: dict[str, Enclosure] = {}
        for url, media_type, length in candidates:
            if url and (target := link(url, place.base)) and target not in found:
                found[target] = enclosure(target, media_type, length)
        return tuple(found.values())[:MOST_ENCLOSURES]

    def _source(self, element: Element, place: _Place) -> Source | None:
        """The feed an entry was copied from (RFC 4287 §4.2.11; RSS 2.0 `source`)."""
        if len(element):
            fields = self._children(element)
            links = list(self._links(fields, self._place(place, element)))
            title, url = plain_line(self._first(fields, "title")), related(links, "self") or alternate(links)
        else:
            title, url = plain_line(element.text or ""), link(element.get("url", ""), place.base)
        return Source(title or None, url) if title or url else None

    # ---------------------------------------------------------------------------------- sitemap

    def _news(self, urlset: Element) -> ParsedFeed | None:
        """A sitemap of news as a feed (Google's `news` extension of sitemaps.org); None: it has no news."""
        entries = []
        outlet = ""
        for page in self._children(urlset).get("url", ()):
            fields = self._children(page)
            for news in fields.get("news:news", ())[:1]:
                fields |= self._children(news)
                for publication in fields.get("news:publication", ())[:1]:
                    fields |= self._children(publication)
                outlet = outlet or plain_line(self._first(fields, "news:name"))
                entries.append(self._article(fields))
            if len(entries) == MOST_ENTRIES:
                break
        return ParsedFeed(entries=tuple(entries), title=outlet or None) if entries else None

    def _article(self, fields: _Fields) -> EntryData:
        url = link(self._first(fields, "loc"), self._url)
        images = (
            link(self._first(self._children(image), "image:loc"), self._url)
            for image in fields.get("image:image", ())
        )
        terms = (plain_line(term) for term in self._first(fields, "news:keywords").split(","))
        return EntryData(
            url=url,
            title=plain_line(self._first(fields, "news:title")),
            base_url=url or self._url,
            language=language_tag(self._first(fields, "news:language")),
            published_at=self._date(fields, "news:publication_date"),
            updated_at=self._date(fields, "lastmod"),
            categories=tuple(Category(term) for term in dict.fromkeys(terms) if term)[:MOST_CATEGORIES],
            enclosures=tuple(enclosure(image) for image in dict.fromkeys(images) if image)[:MOST_ENCLOSURES],
        )

    # ------------------------------------------------------------------------------------ parts

    def _children(self, element: Element) -> _Fields:
        names, fields = self._names, dict[str, list[Element]]()
        for child in element:
            name = names[child.tag]
            if name in fields:
                fields[name].append(child)
            else:
                fields[name] = [child]
        return fields

    def _place(self, outer: _Place, element: Element) -> _Place:
        return outer.within(element) if self._has_places else outer

    def _text(self, element: Element) -> str:
        """The element's text without white space around it; markup in it becomes HTML."""
        return (_inner_html(element) if len(element) else element.text or "").strip()

    def _first(self, fields: _Fields, *names: str) -> str:
        """Text of the first element, by order of names, that has any; else empty."""
        for name in names:
            if name in fields:
                for element in fields[name]:
                    if text := self._text(element):
                        return text
        return ""

    def _date(self, fields: _Fields, *names: str) -> datetime | None:
        """The first date, by order of names, that can be read."""
        for name in names:
            if name in fields:
                for element in fields[name]:
                    if moment := parse_date(element.text or ""):
                        return moment
        return None

    def _links(self, fields: _Fields, place: _Place) -> Iterator[Link]:
        for element in fields.get("link", ()):
            target = element.get("href") or self._text(element) or element.get("url")
            if not target:
                target = next((value for name, value in element.items() if name.endswith("}resource")), "")
            if absolute := link(target, self._place(place, element).base):
                yield Link(
                    element.get("rel", "alternate").strip().lower(),
                    absolute,
                    element.get("type", "text/html").strip().lower(),
                    element.get("length", ""),
                )

    def _authors(self, fields: _Fields) -> str | None:
        for names in (("author", "dc:creator", "dc:author"), ("itunes:author",)):
            found = people(self._author(element) for name in names for element in fields.get(name, ()))
            if found:
                return found
        return None

    def _author(self, element: Element) -> str:
        if len(element):
            return plain_line(self._first(self._children(element), "name", "email"))
        return person(element.text or "")

    def _markup(self, fields: _Fields, place: _Place, *names: str) -> tuple[str | None, str | None]:
        """HTML of the first element, by order of names, that has any, and its own xml:base."""
        for name in names:
            for element in fields.get(name, ()):
                if value := self._html(element, is_text=name in ("summary", "content")):
                    base = self._place(place, element).base
                    return value[:LONGEST_HTML], base if base != place.base else None
        return None, None

    def _html(self, element: Element, *, is_text: bool) -> str:
        """An element as HTML (RFC 4287 §3.1, §4.1.3; Atom 0.3's `mode`; in RSS everything is HTML).

        Args:
            element: the element.
            is_text: what it is where it does not say; even then, evident HTML is HTML.
        """
        if len(element):
            only = element[0] if len(element) == 1 else element
            is_wrapper = only.tag.endswith("}div") and not (element.text or "").strip()
            return _inner_html(only if is_wrapper else element).strip()
        value = (element.text or "").strip()
        kind = element.get("type", "").partition(";")[0].strip().lower()
        if element.get("mode") == "base64":
            try:
                value = b64decode(value).decode()
            except (binascii.Error, ValueError):
                return ""
        elif "/" in kind and not kind.startswith("text/") and kind not in HTML_TYPES:
            return ""  # an image or the like, in base64
        if kind in _TEXT_TYPES or (is_text and not kind and not _EVIDENT_HTML.search(value)):
            return as_html(value)
        return value


def _period(value: str) -> timedelta:
    """What is meant by a word for how often a feed changes; nobody can tell: daily, as where there is none."""
    word = "".join(filter(str.isalpha, value[:40].lower()))
    nearest = (word,) if word in _PERIODS else get_close_matches(word, _PERIODS, 1)
    return _PERIODS[nearest[0]] if nearest else _DAY


def _inner_html(element: Element, depth: int = 0) -> str:
    """What is inside an element, with its tags, as HTML."""
    if depth > _DEEPEST:
        raise ParseError(f"elements are nested more than {_DEEPEST} levels deep")
    parts = [html.escape(element.text or "", quote=False)]
    for child in element:
        tag = _split(child.tag)[1]
        attributes = (f' {name}="{html.escape(value)}"' for name, value in child.items() if name[0] != "{")
        parts.append(f"<{tag}{''.join(attributes)}>")
        if tag not in _VOID:
            parts += (_inner_html(child, depth + 1), f"</{tag}>")
        if child.tail:
            parts.append(html.escape(child.tail, quote=False))
    return "".join(parts)
