"""What an output feed says of itself, and where its documents stand.

The document that readers subscribe to holds the newest entries; the others, older and older, hold the rest:

* A feed of the configuration is **archived** (RFC 5005 §4): `prev-archive` leads from the subscription document
  through fixed pages to the first entry ever stored, and each entry is on exactly one of them.
* A feed that an address asks for (`/feeds.atom?language=es`) is **paged** (RFC 5005 §3): `next` leads on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from urllib.parse import quote


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


@dataclass(frozen=True, slots=True)
class Place:
    """Where a document stands among those of its feed. Cursors name places between entries.

    Attributes:
        at: it holds entries older than this; None: it is the document that readers subscribe to.
        older: where the next one begins; None: it is the last.
        newer: where the archive before it begins; None: that one is not fixed yet, or the feed has no archives.
    """

    at: str | None = None
    older: str | None = None
    newer: str | None = None


NEWEST = Place()
"""That of a feed all of whose entries are in one document."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a document to another (RFC 8288)."""

    rel: str
    href: str
    type: str | None = None


def address(home_url: str, name: str, format: Format) -> str:  # noqa: A002 – the domain's word
    """Where readers subscribe to an output feed of the configuration.

    Args:
        home_url: where readers reach us, with a trailing slash.
        name: of the output feed.
        format: what they prefer.
    """
    return f"{home_url}feeds/{name}.{format}"


@dataclass(frozen=True, slots=True)
class Channel:
    """What an output feed says of itself.

    Attributes:
        name: of the output feed, as in `/feeds/<name>.atom`; empty: it has only conditions.
        title, description: plain text.
        home_url: where readers reach us, with a trailing slash.
        authority: domain name or mail address that our ids are made with (RFC 4151 §2.1). It must never
            change while there are subscribers: to their readers every entry would be new.
        created_at: when the feed began to exist; the stamp of a feed without entries.
        version: of the program.
        topics: titles of topics by slug, for labels.
        query: the conditions in its address, as `language=es&min_score=2`; empty: it has none there.
        copies: it carries every copy of an article, each under an id of its own.
        language: of all its entries; None: they have several.
        hubs: addresses of WebSub hubs that tell subscribers what is new.
        icon_url: of a square picture.
    """

    name: str
    title: str
    description: str
    home_url: str
    authority: str
    created_at: datetime
    version: str
    topics: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    copies: bool = False
    language: str | None = None
    hubs: tuple[str, ...] = ()
    icon_url: str | None = None

    @property
    def archived(self) -> bool:
        """Whether the rest of its entries is in archives, not in pages."""
        return bool(self.name) and not self.query

    @property
    def path(self) -> str:
        """The feed's address without a format, within the site."""
        return f"feeds/{self.name}" if self.name else "feeds"

    @property
    def page_url(self) -> str:
        """Address of the feed without a format: a page for people, a feed for readers."""
        return self.home_url + self.path + (f"?{self.query}" if self.query else "")

    def url(self, format: Format, at: str | None = None) -> str:  # noqa: A002 – the domain's word
        """Address of the document that begins at a cursor; None: of the one that readers subscribe to."""
        if self.archived:
            return address(self.home_url, self.name if at is None else f"{self.name}/archive/{at}", format)
        query = "&".join(part for part in (self.query, f"before={at}" if at else "") if part)
        return f"{self.home_url}{self.path}.{format}" + (f"?{query}" if query else "")

    def id(self, kind: str, name: str = "") -> str:
        """A `tag:` URI. They all carry 2026, the year the scheme was minted, for ever."""
        return f"tag:{self.authority},2026:{kind}" + (
            f"/{quote(name, safe='', errors='backslashreplace')}" if name else ""
        )

    @property
    def feed_id(self) -> str:
        """The id of the feed itself, the same for all of its documents."""
        if not self.query:
            return self.id("feed", self.name)
        # A hash: a query is escaped already, and escaped again it is no canonical URI to validators.
        asked = f"{self.name}?{self.query}".encode()
        return self.id("question", blake2b(asked, digest_size=10).hexdigest())

    def links(self, format: Format, place: Place) -> Iterator[Link]:  # noqa: A002
        """Where a document leads, in the words of IANA's registry of link relations."""
        yield Link("self", self.url(format, place.at), format.media_type)
        if place.at is None:
            for hub in self.hubs:
                yield Link("hub", hub)
            for other in Format:
                if other is not format:
                    yield Link("alternate", self.url(other), other.media_type)
        else:
            yield Link("current" if self.archived else "first", self.url(format), format.media_type)
        if place.older:
            rel = "prev-archive" if self.archived else "next"
            yield Link(rel, self.url(format, place.older), format.media_type)
        if place.newer:
            yield Link("next-archive", self.url(format, place.newer), format.media_type)
        yield Link("alternate", self.page_url, "text/html")
