"""What is not XML at all, read by feedparser."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from aggregator.errors import ParseError
from aggregator.model import Category, EntryData, ParsedFeed
from aggregator.parse.values import (
    MOST_CATEGORIES,
    MOST_ENCLOSURES,
    MOST_ENTRIES,
    Link,
    alternate,
    enclosure,
    integer,
    language_tag,
    people,
    person,
    related,
)
from aggregator.text import LONGEST_HTML, LONGEST_URL, link, parse_date, plain_line, printable

_LONGEST = 1 << 18
"""Characters that are read: feedparser takes up to seven seconds, and 100 MiB, for a hostile million."""


def read_loosely(document: str, url: str) -> ParsedFeed:
    """Read a document that even after repair is not well-formed.

    feedparser is given bytes, never an address that it might fetch, and no DOCTYPE.

    Args:
        document: as `markup.repaired` left it.
        url: base of everything relative in it.

    Returns:
        The feed, less detailed than from a tree.

    Raises:
        ParseError: neither a title nor an entry is to be found.
    """
    import feedparser

    try:
        parsed = feedparser.parse(
            document[:_LONGEST].encode("utf-8", "replace"),
            response_headers={"content-type": "application/xml; charset=utf-8"},
            sanitize_html=False,
            resolve_relative_uris=False,
        )
    except Exception as error:
        raise ParseError(f"a feed too broken to be read: {printable(str(error))}") from error
    feed = dict(parsed["feed"])  # plain: its own `get` answers for other keys too, with warnings
    if not parsed["entries"] and not feed.get("title"):
        raise ParseError("a feed too broken to be read: it has neither a title nor entries")
    links = list(_links(feed, url))
    ttl = integer(_text(feed, "ttl"))
    is_atom = parsed.get("version", "").startswith("atom")
    language = language_tag(_text(feed, "language"))
    return ParsedFeed(
        entries=tuple(
            _entry(dict(entry), url, language, is_atom=is_atom) for entry in parsed["entries"][:MOST_ENTRIES]
        ),
        title=plain_line(_text(feed, "title")) or None,
        description=plain_line(_text(feed, "subtitle")) or None,
        site_url=alternate(links),
        self_url=related(links, "self"),
        next_url=related(links, "next"),
        hub_urls=tuple(found.url for found in links if found.relation == "hub"),
        language=language,
        hint=timedelta(minutes=min(ttl, 525_600)) if ttl else None,
    )


def _entry(entry: dict[str, Any], base: str, language: str | None, *, is_atom: bool) -> EntryData:
    links = list(_links(entry, base))
    url = link(_text(entry, "link"), base)
    original = link(_text(entry, "feedburner_origlink"), base)
    content = next((value for part in entry.get("content", ()) if (value := _text(part, "value"))), None)
    summary = _text(entry, "summary") or None
    terms = ((plain_line(_text(tag, "term")), _text(tag, "scheme") or None) for tag in entry.get("tags", ()))
    # In RSS, feedparser calls dc:date "updated".
    stamps = ("published", "created") if is_atom else ("published", "updated", "created")
    return EntryData(
        guid=_text(entry, "id").strip()[:LONGEST_URL] or None,
        url=url or original,
        original_url=original if url and original != url else None,
        title=plain_line(_text(entry, "title")),
        author=people(plain_line(_text(author, "name")) for author in entry.get("authors", ()))
        or person(_text(entry, "author"))
        or None,
        summary=summary[:LONGEST_HTML] if summary and summary != content else None,
        content=content[:LONGEST_HTML] if content else None,
        base_url=original or url or base,
        language=language,
        published_at=_date(entry, *stamps),
        updated_at=_date(entry, "updated") if is_atom else None,
        categories=tuple(dict.fromkeys(Category(term, scheme) for term, scheme in terms if term))[
            :MOST_CATEGORIES
        ],
        enclosures=tuple(
            enclosure(found.url, found.type, found.length) for found in links if found.relation == "enclosure"
        )[:MOST_ENCLOSURES],
    )


def _links(data: Mapping[str, Any], base: str) -> Iterator[Link]:
    for found in data.get("links", ()):
        if target := link(_text(found, "href"), base):
            relation = _text(found, "rel").lower() or "alternate"
            yield Link(relation, target, _text(found, "type").lower() or "text/html", _text(found, "length"))


def _date(entry: Mapping[str, Any], *names: str) -> datetime | None:
    return next((moment for name in names if (moment := parse_date(_text(entry, name)))), None)


def _text(data: Mapping[str, Any], key: str) -> str:
    value = data.get(key)
    return value if isinstance(value, str) else ""
