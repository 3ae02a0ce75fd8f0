"""An entry as every format says it: clean text, valid URIs, settled dates, and why it is here.

* **`published`** is the publisher's date, or absent. **`updated`** is settled when the entry is stored, and anew by
  each revision that says something else, and by nothing else: the publisher's date of it where there is a new one.
  Neither is ever later than our own sight of it: a text that we hold cannot be from tomorrow, and a wrong clock
  would otherwise pin its entries to the top of every reader. A year before 1990 is a placeholder, not a date.
* **`updated` carries a fraction of a second** made from the entry's id. Publishers date by the minute;
  the fraction lets readers that sort or compare by it tell two entries apart, and never changes.
* **The last lines of the content** say whether its publisher has taken it back, why the entry is here, who else
  carries it and who was first, and whom it says it took its text from.
"""

import html
import mimetypes
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import groupby
from urllib.parse import quote, urlsplit
from zlib import crc32

from aggregator import text as words
from aggregator.model import Category, Copy, Enclosure, StoredEntry, Tag
from aggregator.publish.channel import Channel

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


def elsewhere(entry: StoredEntry) -> tuple[Copy, ...]:
    """One copy of the article for each other outlet that carries it, the first published first."""
    copies = {copy.outlet: copy for copy in reversed(entry.copies) if copy.outlet != entry.feed_title}
    return tuple(copy for copy in entry.copies if copies.get(copy.outlet) is copy)


def first_of(entry: StoredEntry) -> StoredEntry | Copy | None:
    """Who published the article before all others; None where a date is missing or several share the earliest."""
    known: list[tuple[datetime | None, StoredEntry | Copy]] = [(published(entry), entry)]
    known += [(copy.published_at, copy) for copy in entry.copies]
    times = sorted(time for time, _ in known if time)
    if len(times) < len(known) or times[:1] == times[1:2]:
        return None
    return next(one for time, one in known if time == times[0])


def published(entry: StoredEntry) -> datetime | None:
    """When the publisher says the entry appeared, as far as that can be."""
    stated = entry.published_at
    return min(stated, entry.first_seen_at) if stated and stated.year >= words.FIRST_YEAR else None


def updated(entry: StoredEntry) -> datetime:
    """When the entry last changed in a way that matters (RFC 4287 §4.2.15)."""
    return entry.significant_at or published(entry) or entry.first_seen_at


# ------------------------------------------------------------------------------------ clean and valid


def clean(text: str) -> str:
    """Make foreign text fit for XML, readers and people.

    Args:
        text: any text; stored text is clean already, and what is not shall do no harm here either.

    Returns:
        The text without control, surrogate and bidi-override characters (see `text.clean`), marks of earlier
        decoding errors (U+FFFD) and separators that break a line unseen; and with accents, quotes and spaces whose
        UTF-8 somebody took for Latin-1 and encoded again (`Ã©`) as what they were.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = words.clean(text)
    if text.isascii():  # most markup is
        return text
    for mark in _MARKS:
        text = text.replace(mark, "")
    if "\u00c2" in text or "\u00c3" in text:
        text = _TWICE.sub(lambda pair: pair[0].encode("latin-1").decode(), text)
    return text


_MARKS = "\ufffd\u2028\u2029"
_TWICE = re.compile("[\u00c2\u00c3][\u00a0-\u00bf]")


def line(text: str, limit: int = 1000) -> str:
    """`text` on one line, clean, of at most `limit` characters."""
    text = " ".join(clean(text[: 4 * limit]).split())
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# Sources and their labels repeat from entry to entry.
@lru_cache(maxsize=4096)
def name(text: str, limit: int = 300) -> str:
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
class Item:
    """An entry as all formats say it: clean text, valid URIs, settled dates.

    Attributes:
        id: names what the entry is to subscribers: its article, or the one copy.
        published, updated: see above. seen: when we first saw this revision.
        via: addresses of the article's other copies.
        source, source_url, source_site: the feed it came by: name, address, and address of its site.
        (the rest: see `Entry`)
    """

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


def item(channel: Channel, entry: StoredEntry) -> Item:
    """Make an entry ready for every format."""
    uid = entry.uid if channel.copies else entry.article_uid or entry.uid
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
    return Item(
        id=channel.id("entry", uid),
        url=url,
        title=line(entry.title) or line(entry.text, 100) or url or "Untitled",
        author=name(entry.author or "") or None,
        summary="" if summary.strip() == body.strip() else summary.strip(),
        content=body + "".join(_notes(channel, entry)) or "<p></p>",
        language=language if re.fullmatch("[a-z]{2}(-[a-zA-Z]{2})?", language) else None,
        published=published(entry),
        updated=stamp.replace(microsecond=crc32(uid.encode(errors="backslashreplace")) % 999_999 + 1),
        seen=entry.changed_at,
        categories=tuple(_categories(channel, entry)),
        enclosures=tuple(_enclosures(entry)),
        via=tuple(
            dict.fromkeys(
                other for other in (uri(copy.url) for copy in entry.copies) if other and other != url
            )
        ),
        source=name(entry.feed_title) or urlsplit(source_url or "").hostname or "Unknown source",
        source_url=source_url,
        source_site=uri(entry.feed_site_url),
    )


def _notes(channel: Channel, entry: StoredEntry) -> Iterator[str]:
    """The lines that end the content: whether it stands, why it is here, where else it is, and whom it credits."""
    if entry.withdrawn_at:
        yield _note(f"Its publisher took it back on {entry.withdrawn_at:%Y-%m-%d at %H:%M} UTC")
    for reason in reasons(entry):
        if found := why(reason):
            topic = line(channel.topics.get(reason.topic, reason.topic))
            yield _note(html.escape(f"{topic}: {found}", quote=False))
    if others := elsewhere(entry):
        first = first_of(entry)
        names = [
            _linked(name(copy.outlet), copy.url) + (" (first)" if copy is first else "")
            for copy in others[:_SHOWN]
        ]
        if len(others) > _SHOWN:
            names.append(f"{len(others) - _SHOWN} more")
        yield _note(f"{'First here; also' if first is entry else 'Also'} at {', '.join(names)}")
    for attribution in entry.attributions:
        if credited := name(attribution.name):
            yield _note(f"Says its source is {_linked(credited, attribution.url)}")


def _note(markup: str) -> str:
    return f'<p lang="en"><small>{markup}</small></p>'


def _linked(text: str, address: str | None) -> str:
    """A name as HTML, with a link where there is one."""
    text = html.escape(text, quote=False)
    link = uri(address)
    return f'<a href="{html.escape(link)}" rel="noopener noreferrer nofollow">{text}</a>' if link else text


def _categories(channel: Channel, entry: StoredEntry) -> Iterator[Category]:
    """Our tags, each under a scheme of ours, the publisher's labels, none twice, and the countries it is about."""
    for tag in entry.tags:
        yield _category(channel, tag)
    seen = set()
    for given in entry.categories:
        term, label = name(given.term), name(given.label or "")
        scheme = uri(given.scheme)
        if term and (term, scheme) not in seen:
            seen.add((term, scheme))
            yield Category(term, scheme, label if label and label != term else None)
    for country in entry.countries:
        yield Category(name(country), channel.id("countries"))


def _category(channel: Channel, tag: Tag) -> Category:
    title = line(channel.topics.get(tag.topic, tag.topic))
    if tag.aspect is None:
        return Category(name(tag.topic), channel.id("topics"), title)
    label = f"{title}: {name(tag.aspect).replace('-', ' ')}"
    return Category(name(tag.aspect), channel.id("topics", tag.topic), label)


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
