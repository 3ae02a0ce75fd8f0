"""JSON Feed 1.0 and 1.1 (jsonfeed.org/version/1.1)."""

import json
from collections.abc import Mapping
from typing import Any

from aggregator.errors import ParseError
from aggregator.model import Category, EntryData, ParsedFeed
from aggregator.parse.values import (
    LONGEST_HINT,
    MOST_CATEGORIES,
    MOST_ENCLOSURES,
    MOST_ENTRIES,
    as_html,
    enclosure,
    language_tag,
    people,
)
from aggregator.text import LONGEST_HTML, LONGEST_URL, clean, link, parse_date, plain_line, printable

_Object = Mapping[str, Any]
_MOST_VALUES = 300_000  # one takes up to 80 bytes of memory


def read_json(document: str, url: str) -> ParsedFeed:
    """Read a JSON Feed.

    Args:
        document: JSON.
        url: base of everything relative in it.

    Returns:
        The feed.

    Raises:
        ParseError: it is not JSON, or not a feed.
    """
    if document.count(",") + document.count("[") + document.count("{") > _MOST_VALUES:
        raise ParseError(f"JSON with more than {_MOST_VALUES:,} values")
    try:
        data = json.loads(document, strict=False)
    except (ValueError, RecursionError) as error:
        raise ParseError(f"JSON that cannot be read: {printable(str(error))}") from None
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        raise ParseError("JSON, but not a JSON Feed: it has no list of items")
    items = _objects(data, "items")
    if "jsonfeed.org" not in _text(data, "version") and not any(
        "content_html" in item or "content_text" in item for item in items
    ):
        raise ParseError("JSON, but not a JSON Feed: it does not say so, nor do its items look like it")
    language = language_tag(_text(data, "language"))
    authors = _authors(data)
    hubs = (link(_text(hub, "url"), url) for hub in _objects(data, "hubs"))
    return ParsedFeed(
        entries=tuple(_entry(item, url, language, authors) for item in items[:MOST_ENTRIES]),
        title=plain_line(_text(data, "title")) or None,
        description=plain_line(_text(data, "description")) or None,
        site_url=link(_text(data, "home_page_url"), url),
        icon_url=link(_text(data, "icon") or _text(data, "favicon"), url),
        self_url=link(_text(data, "feed_url"), url),
        next_url=link(_text(data, "next_url"), url),
        hub_urls=tuple(hub for hub in hubs if hub),
        language=language,
        # "Finished", it says: nothing is to come any more.
        hint=LONGEST_HINT if data.get("expired") is True else None,
    )


def _entry(item: _Object, base: str, language: str | None, authors: str | None) -> EntryData:
    guid = _text(item, "id").strip()[:LONGEST_URL]
    url = link(_text(item, "url"), base) or link(_text(item, "external_url"), base) or link(guid, None)
    content = _text(item, "content_html") or as_html(_text(item, "content_text"))
    tags = item.get("tags")
    terms = [plain_line(tag) for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    files = [
        enclosure(target, _text(file, "mime_type"), _text(file, "size_in_bytes"))
        for file in (*_objects(item, "attachments"), {"url": item.get("image")})
        if (target := link(_text(file, "url"), base))
    ]
    return EntryData(
        guid=guid or None,
        url=url,
        title=plain_line(_text(item, "title")),
        author=_authors(item) or authors,
        summary=as_html(_text(item, "summary"))[:LONGEST_HTML] or None,
        content=content[:LONGEST_HTML] or None,
        base_url=url or base,
        language=language_tag(_text(item, "language")) or language,
        published_at=parse_date(_text(item, "date_published")),
        updated_at=parse_date(_text(item, "date_modified")),
        categories=tuple(Category(term) for term in dict.fromkeys(terms) if term)[:MOST_CATEGORIES],
        enclosures=tuple(files[:MOST_ENCLOSURES]),
    )


def _authors(data: _Object) -> str | None:
    # `author` is how 1.0 had it.
    persons = _objects(data, "authors") or _objects({"authors": [data.get("author")]}, "authors")
    return people(plain_line(_text(person, "name")) for person in persons)


def _text(data: _Object, key: str) -> str:
    """A value as text; numbers occur as ids. Anything else is taken for missing."""
    value = data.get(key)
    if isinstance(value, str):
        return clean(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _objects(data: _Object, key: str) -> list[_Object]:
    values = data.get(key)
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
