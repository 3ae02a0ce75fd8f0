"""Entries and stories made ready to be shown: pure, and nothing foreign leaves here that is not plain text or a URI."""

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from urllib.parse import urlsplit

from aggregator.duplicates.revisions import Change, difference
from aggregator.model import Edge, Revision, StoredEntry, Story, Telling
from aggregator.publish import clean, line, published, reasons, uri, why
from aggregator.text import plain_text

EXCERPT = 240
OUTLETS = 5
"""So many outlets of a story are named; the rest are counted."""
AROUND = 160
"""So many characters of what stayed the same are shown before and after what changed."""
LONGEST_DIFF = 40_000
"""Characters of a text that are compared with those of its next version."""

_LANGUAGES = {
    "ar": "Arabic",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "id": "Indonesian",
    "ja": "Japanese",
    "jv": "Javanese",
    "ms": "Malay",
    "nl": "Dutch",
    "pt": "Portuguese",
    "ru": "Russian",
    "su": "Sundanese",
    "zh": "Chinese",
}

Parts = tuple[tuple[str, bool], ...]
"""A text in pieces; True marks the words that were looked for."""
Pieces = tuple[tuple[str, Change], ...]
"""What became of a text, in pieces."""


@dataclass(frozen=True, slots=True)
class Outlet:
    """Who tells a story, and when first."""

    name: str
    url: str | None
    entry_id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Card:
    """An entry as pages show it.

    Attributes:
        id, feed_id, story_id: the entry.
        lang: for the attribute, where it is valid. language: its name.
        dated: `time` is the publisher's, not ours.
        withdrawn: when its publisher took it back.
        labels: topic, slug and name of its aspects. why: topics and the evidence for them.
        credits: whom it says it took its text from.
    """

    id: int
    feed_id: int
    story_id: int | None
    url: str | None
    title: Parts
    excerpt: Parts
    source: str
    time: datetime
    dated: bool
    withdrawn: datetime | None
    lang: str | None
    language: str | None
    author: str | None
    labels: tuple[tuple[str, str, str], ...]
    why: tuple[tuple[str, str], ...]
    also: tuple[Outlet, ...]
    credits: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class StoryCard:
    """A story as lists show it.

    Attributes:
        lead: the entry that stands for it.
        outlets: who tells it, in order of publication; `more` others do, too.
        languages: names of the languages it is told in.
        time: of its newest telling.
    """

    id: int
    lead: Card
    outlets: tuple[Outlet, ...]
    more: int
    languages: tuple[str, ...]
    articles: int
    entries: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Day:
    """The stories, or entries, of one day."""

    date: datetime
    cards: tuple[StoryCard | Card, ...]


@dataclass(frozen=True, slots=True)
class Tie:
    """Why a telling is part of its story: `text` and `other`, the outlet it is tied to, and how `sure` that is."""

    text: str
    other: str
    entry_id: int
    sure: str


@dataclass(frozen=True, slots=True)
class Told:
    """One telling of a story as its page shows it; `first`: nobody published it earlier."""

    entry_id: int
    outlet: str
    title: str
    url: str | None
    lang: str | None
    language: str | None
    at: datetime
    first: bool
    ties: tuple[Tie, ...]


@dataclass(frozen=True, slots=True)
class Edit:
    """What one revision changed."""

    number: int
    at: datetime
    title: Pieces
    text: Pieces


# --------------------------------------------------------------------------------------------- entries


def card(entry: StoredEntry, titles: Mapping[str, str]) -> Card:
    """Make an entry ready to be shown."""
    known = reasons(entry)
    stated = published(entry)
    return Card(
        id=entry.id,
        feed_id=entry.feed_id,
        story_id=entry.story_id,
        url=uri(entry.url),
        title=marked((line(entry.title) and entry.title) or "Untitled", ranges(entry, "title")),
        excerpt=excerpt(entry.text, ranges(entry, "text"), EXCERPT),
        source=line(entry.feed_title, 80) or host_of(entry.feed_url),
        time=stated or entry.first_seen_at,
        dated=stated is not None,
        withdrawn=entry.withdrawn_at,
        lang=lang(entry.language),
        language=language_of(entry.language),
        author=line(entry.author or "", 80) or None,
        labels=tuple(
            (reason.topic, aspect, aspect.replace("-", " ")) for reason in known for aspect in reason.aspects
        ),
        why=tuple((titles.get(reason.topic, reason.topic), why(reason)) for reason in known if reason.found),
        also=tuple(
            Outlet(
                line(copy.outlet, 80), uri(copy.url), copy.entry_id, copy.published_at or entry.first_seen_at
            )
            for copy in entry.copies[:OUTLETS]
        ),
        credits=tuple((line(a.name, 80), uri(a.url)) for a in entry.attributions[:3]),
    )


def by_day(cards: Iterable[StoryCard | Card]) -> tuple[Day, ...]:
    """Cards in their order, by day. None stands under a day later than the one before it."""
    days: list[tuple[datetime, list[StoryCard | Card]]] = []
    for one in cards:
        if not days or one.time.date() < days[-1][0].date():
            days.append((one.time, []))
        days[-1][1].append(one)
    return tuple(Day(date, tuple(found)) for date, found in days)


def lang(code: str | None) -> str | None:
    """A language code that may stand in an attribute."""
    code = (code or "").lower()
    return code if code.isascii() and code.replace("-", "").isalnum() else None


def language_of(code: str | None) -> str | None:
    """A language's name in English."""
    code = lang(code)
    return _LANGUAGES.get(code, code) if code else None


def languages() -> Mapping[str, str]:
    """Names of the languages we know, by code."""
    return _LANGUAGES


def host_of(address: str) -> str:
    """The site's name in an address, for people."""
    try:
        return (urlsplit(address).hostname or "unknown").removeprefix("www.")
    except ValueError:
        return "unknown"


def age(since: timedelta) -> str:
    """How long ago something was, for people: `25 min ago`."""
    minutes = int(since.total_seconds() // 60)
    if minutes < 5:
        return "now"
    if minutes < 60:
        return f"{minutes // 5 * 5} min ago"
    if minutes < 48 * 60:
        return f"{minutes // 60} h ago"
    return f"{minutes // 1440} days ago"


def span(duration: timedelta) -> str:
    """How long something takes, for people: `25 min`."""
    minutes = duration / timedelta(minutes=1)
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def ranges(entry: StoredEntry, field: str) -> list[tuple[int, int]]:
    """Where the evidence stands in one field."""
    return sorted((match.start, match.end) for match in entry.matches if match.field == field)


def marked(text: str, found: Iterable[tuple[int, int]]) -> Parts:
    """Cut `text` at the ranges `found` (sorted; overlapping ones are joined)."""
    parts: list[tuple[str, bool]] = []
    position = 0
    for start, end in found:
        start, end = max(start, position), min(end, len(text))
        if start < end:
            parts += [(text[position:start], False), (text[start:end], True)]
            position = end
    parts.append((text[position:], False))
    return tuple((clean(piece), mark) for piece, mark in parts if piece)


def excerpt(text: str, found: list[tuple[int, int]], limit: int) -> Parts:
    """Some `limit` characters of `text`: its beginning, or the place around the first range found."""
    start = 0
    if found and found[0][0] > limit * 3 // 4:
        start = max(found[0][0] - limit // 3, 0)
        start = text.find(" ", start, found[0][0]) + 1 or start
    end = min(start + limit, len(text))
    if end < len(text):
        end = max(text.rfind(" ", start + limit // 2, end), start + limit // 2)
    inside = [(a - start, b - start) for a, b in found if a >= start and b <= end]
    parts = marked(text[start:end], inside)
    before: Parts = (("… ", False),) if start else ()
    after: Parts = ((" …", False),) if end < len(text) else ()
    return before + parts + after


_MARKUP = re.compile(r'(<[^<>"]*(?:"[^"]*"[^<>"]*)*>)')
_CHARACTER = re.compile(r"&[a-z]+;|.", re.DOTALL)
_LOOSE_END = re.compile(r"(\s+)</mark>")
_LONGEST_MARKED = 200_000


def marked_html(sanitised: str, text: str, found: Iterable[tuple[int, int]]) -> str:
    """Mark the evidence within HTML.

    HTML and its plain text have the same characters but for white space and markup: what stands in a range of the
    one is found in the other by counting. Where they differ after all, what follows stays unmarked.

    Args:
        sanitised: the HTML. What is returned is to be sanitised once more, like all that is shown.
        text: its plain text.
        found: ranges in `text`.
    """
    if len(sanitised) > _LONGEST_MARKED:
        return sanitised
    marks = [False] * len(text)
    for start, end in found:
        marks[start:end] = [True] * len(marks[start:end])
    if not any(marks):
        return sanitised
    visible = iter([(char, mark) for char, mark in zip(text, marks, strict=True) if not char.isspace()])
    lost = False
    pieces: list[str] = []
    for number, piece in enumerate(_MARKUP.split(sanitised)):
        if number % 2:
            pieces.append(piece)
            continue
        is_open = False
        for spelled in _CHARACTER.findall(piece):
            char = html.unescape(spelled)
            if not char.isspace() and not lost:
                expected, mark = next(visible, ("", False))
                lost = char != expected
                if (mark and not lost) != is_open:
                    is_open = not is_open
                    pieces.append("<mark>" if is_open else "</mark>")
            pieces.append(spelled)
        if is_open:
            pieces.append("</mark>")
    return _LOOSE_END.sub(r"</mark>\1", "".join(pieces))


# --------------------------------------------------------------------------------------------- stories


def story_card(story: Story, titles: Mapping[str, str]) -> StoryCard:
    """Make a story ready to be shown in a list."""
    outlets = outlets_of(story.tellings)
    names = (language_of(telling.language) for telling in story.tellings)
    newest = max(telling.at for telling in story.tellings)
    return StoryCard(
        id=story.id,
        lead=card(story.lead, titles),
        outlets=outlets[:OUTLETS],
        more=max(story.feed_count, len(outlets)) - len(outlets[:OUTLETS]),
        languages=tuple(dict.fromkeys(name for name in names if name)),
        articles=story.article_count,
        entries=len(story.tellings),
        time=min(newest, story.last_seen_at),  # no text that we hold is from tomorrow
    )


def outlets_of(tellings: Iterable[Telling]) -> tuple[Outlet, ...]:
    """Each outlet once, where it first tells the story."""
    found: dict[str, Outlet] = {}
    for telling in tellings:
        name = line(telling.outlet, 80)
        found.setdefault(name, Outlet(name, uri(telling.url), telling.entry_id, telling.at))
    return tuple(found.values())


def told(story: Story, edges: Iterable[Edge]) -> tuple[Told, ...]:
    """A story's tellings in order, each with what ties it to those before it."""
    by_id = {telling.entry_id: telling for telling in story.tellings}
    order = {entry_id: number for number, entry_id in enumerate(by_id)}
    ties: dict[int, list[Tie]] = {}
    for edge in edges:
        if edge.a in order and edge.b in order:
            earlier, later = sorted((edge.a, edge.b), key=order.__getitem__)
            other = by_id[earlier]
            ties.setdefault(later, []).append(tie(edge, earlier, other.outlet))
    return tuple(
        Told(
            entry_id=telling.entry_id,
            outlet=line(telling.outlet, 80),
            title=line(telling.title) or "Untitled",
            url=uri(telling.url),
            lang=lang(telling.language),
            language=language_of(telling.language),
            at=telling.at,
            first=number == 0,
            ties=tuple(ties.get(telling.entry_id, ())[:3]),
        )
        for number, telling in enumerate(story.tellings)
    )


_EXPLAINED = {
    "url": "the same address as",
    "guid": "the same id as",
    "title": "the same headline and text as",
    "text": "the same text as",
    "credit": "much the same text, and one credits the other:",
    "event": "the same event as",
}


def tie(edge: Edge, entry_id: int, outlet: str) -> Tie:
    """What ties an entry to another one, in words.

    Args:
        edge: between the two.
        entry_id: the other one.
        outlet: whose it is.
    """
    by_hand = f"joined by hand, as one {edge.level}, with"
    sure = "" if edge.score >= 0.995 else f"{edge.score:.0%}"
    return Tie(_EXPLAINED.get(edge.method, by_hand), line(outlet, 80), entry_id, sure)


# ------------------------------------------------------------------------------------------- revisions


def edits(entry: StoredEntry, revisions: Sequence[Revision]) -> tuple[Edit, ...]:
    """What each revision of an entry changed, the newest first."""
    versions = [
        (each.revision, each.seen_at, each.title, _text(each.content or each.summary)) for each in revisions
    ]
    versions.append((entry.revision, entry.changed_at, entry.title, _text(entry.content or entry.summary)))
    found = [
        Edit(number, at, shortened(difference(old_title, title)), shortened(difference(old_text, text)))
        for (_, _, old_title, old_text), (number, at, title, text) in pairwise(versions)
    ]
    return tuple(reversed(found))


def _text(html_text: str) -> str:
    return clean(plain_text(html_text)[:LONGEST_DIFF])


def shortened(pieces: Pieces, around: int = AROUND) -> Pieces:
    """What changed, with `around` characters of what did not before and after it; empty where nothing did."""
    if all(change is Change.SAME for _, change in pieces):
        return ()
    result = []
    for number, (text, change) in enumerate(pieces):
        if change is Change.SAME:
            head, tail = number > 0, number < len(pieces) - 1  # what stands beside something that changed
            if len(text) > around * (head + tail) + 20:
                text = (text[:around] if head else "") + " … " + (text[-around:] if tail else "")
        result.append((text, change))
    return tuple(result)
