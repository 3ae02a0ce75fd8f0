"""The page people look at: what came in, why it is here, and how the sources are doing.

Server-rendered, without a script. All that is foreign is shown as text, escaped by Jinja; a foreign address
becomes a link only as a valid http(s) URI. Times are UTC, said once.
"""

import difflib
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Scope

from aggregator import health
from aggregator.errors import AggregatorError, UnknownError
from aggregator.model import FeedReport, FeedStatus, StoredEntry
from aggregator.publish import Format, Rendered, clean, line, published, reasons, rendered, title_of, uri, why
from aggregator.web.feeds import header, preferred
from aggregator.web.site import Site

SHOWN = 30  # entries on a page: with the sources, some 40 kB
SOURCES = 24
EXCERPT = 240
QUERY = 200

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


@dataclass(frozen=True, slots=True)
class Card:
    """An entry as the page shows it."""

    url: str | None
    title: Parts
    excerpt: Parts
    source: str
    time: datetime
    dated: bool
    lang: str | None
    language: str | None
    author: str | None
    labels: tuple[str, ...]
    why: tuple[tuple[str, str], ...]
    also: tuple[tuple[str, str], ...]
    credits: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True, slots=True)
class Day:
    """The entries of one day, newest first."""

    date: datetime
    cards: tuple[Card, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A feed's health as the page shows it."""

    name: str
    site: str | None
    status: str
    well: bool
    last_success: datetime | None
    next_poll: datetime | None
    conditions: tuple[health.Condition, ...]
    per_week: float

    @property
    def soon(self) -> bool:
        """The next poll is on the day of the last success, which then need not be said twice."""
        return bool(
            self.last_success and self.next_poll and self.last_success.date() == self.next_poll.date()
        )


class Pages:
    """Answers for people. Methods give a Starlette response, which is an ASGI application itself."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=StrictUndefined,
        )
        self._templates.filters["day"] = lambda time: f"{time:%A}, {time.day} {time:%B %Y}"
        self._templates.filters["clock"] = lambda time: f"{time:%H:%M}"
        self._templates.filters["moment"] = lambda time: f"{time.day} {time:%b %H:%M}"
        self._templates.filters["iso"] = lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}"
        self._templates.globals["formats"] = tuple(Format)
        for name in self._templates.list_templates():
            self._templates.get_template(name)  # compiled now, not while the first reader waits

    async def home(self, request: Request) -> Response:
        """The first page, or what a search found."""
        query = line(request.query_params.get("q", ""), QUERY)
        return await run_in_threadpool(self._home, request.scope, query)

    def _home(self, scope: Scope, query: str) -> Response:
        site, titles = self._site, self._site.topic_titles()
        outputs = site.output_names()
        news = [output for output in outputs if output.name != health.OUTPUT.name]
        first = next((output for output in news if output.topic), news[0] if news else None)
        values: dict[str, Any] = {"query": query, "days": (), "hits": None, "problem": None, "output": first}
        if query:
            try:
                hits = site.search(query, limit=SHOWN)
                values["hits"] = [(card(hit.entry, titles), hit.snippet) for hit in hits]
            except AggregatorError as error:
                values["problem"] = str(error)
        elif first:
            values["days"] = days(site.entries(first, SHOWN), titles)
        overview = site.overview(SOURCES)
        values |= {
            "heading": title_of(first, titles) if first else "Aggregator",
            "outputs": [(output, title_of(output, titles)) for output in outputs],
            "sources": sources(overview.reports),
            "more_sources": overview.feeds - len(overview.reports),
            "overview": overview,
        }
        return self._page(scope, "home.html", 400 if values["problem"] else 200, values)

    async def feed(self, scope: Scope, name: str) -> Response:
        """The page of an output feed: what a browser gets where a feed reader gets the feed."""
        return await run_in_threadpool(self._feed, scope, name)

    def _feed(self, scope: Scope, name: str) -> Response:
        output = next((output for output in self._site.output_names() if output.name == name), None)
        if output is None:
            raise UnknownError(f"There is no output feed named “{line(name, 80)}”.")
        titles = self._site.topic_titles()
        public = self._site.settings.public_url
        host = header(scope, b"host")
        values = {
            "query": "",
            "output": output,
            "outputs": [(output, title_of(output, titles))],
            "heading": title_of(output, titles),
            "base": public or f"{scope['scheme']}://{host}",
            "days": days(self._site.entries(output, SHOWN), titles),
        }
        return self._page(scope, "feed.html", 200, values, {"Vary": "Accept"})

    async def unknown(self, scope: Scope, message: str) -> Response:
        """404, with the feeds there are, nearest first."""
        outputs = await run_in_threadpool(self._site.output_names)
        asked = scope["path"].removeprefix("/feeds/").rsplit(".", 1)[0]
        names = sorted(
            (output.name for output in outputs),
            key=lambda name: -difflib.SequenceMatcher(None, name, asked[:QUERY]).ratio(),
        )
        addresses = [f"/feeds/{name}" for name in names[:10]]
        return self.error(scope, 404, "Not here", message, links=addresses)

    def error(
        self,
        scope: Scope,
        status: int,
        title: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        links: Iterable[str] = (),
    ) -> Response:
        """An answer that says what is wrong and what would be right: a page for browsers, else plain text."""
        if preferred(header(scope, b"accept")) is None:
            values = {"title": title, "text": text, "links": tuple(links)}
            return self._page(scope, "error.html", status, values, {"Vary": "Accept", **(headers or {})})
        lines = [f"{status} {title}", text, *(f"{link}.{each}" for link in links for each in Format)]
        headers = {"Cache-Control": "no-store", "Vary": "Accept", **(headers or {})}
        return PlainTextResponse("\n".join(lines) + "\n", status, headers)

    def _page(
        self,
        scope: Scope,
        template: str,
        status: int,
        values: Mapping[str, Any],
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        # Who came with the token in the address has no other way to show it on the next page.
        token = (
            parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0] if status < 400 else ""
        )
        suffix = f"?token={quote(token, safe='')}" if token else ""
        html = self._templates.get_template(template).render(
            values, token=token, link=lambda address: f"{address}{suffix}"
        )
        headers = {"Cache-Control": "no-cache" if status < 400 else "no-store", **(headers or {})}
        return Response(html, status, headers, media_type="text/html; charset=utf-8")


def static_files(folder: Path) -> dict[str, Rendered]:
    """The static files by their path in URLs, read once: no request names a file."""
    files = {}
    for path in sorted(folder.iterdir()):
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        files[f"/static/{path.name}"] = rendered(path.read_bytes(), f"{media_type}; charset=utf-8", changed)
    return files


def days(entries: Iterable[StoredEntry], titles: Mapping[str, str]) -> tuple[Day, ...]:
    """Entries as cards, newest first, by day."""
    cards = sorted((card(entry, titles) for entry in entries), key=lambda card: card.time, reverse=True)
    groups = groupby(cards, key=lambda card: card.time.date())
    return tuple(Day(found[0].time, found) for found in (tuple(group) for _, group in groups))


def card(entry: StoredEntry, titles: Mapping[str, str]) -> Card:
    """Make an entry ready to be shown."""
    language = (entry.language or "").lower()
    known = reasons(entry)
    stated = published(entry)
    return Card(
        url=uri(entry.url),
        title=marked(entry.title or "Untitled", ranges(entry, "title")),
        excerpt=excerpt(entry.text, ranges(entry, "text"), EXCERPT),
        source=line(entry.feed_title) or host_of(entry.feed_url),
        time=stated or entry.first_seen_at,
        dated=stated is not None,
        lang=language if language.isascii() and language.replace("-", "").isalnum() else None,
        language=_LANGUAGES.get(language, language or None),
        author=line(entry.author or "", 80) or None,
        labels=tuple(aspect.replace("-", " ") for reason in known for aspect in reason.aspects),
        why=tuple((titles.get(reason.topic, reason.topic), why(reason)) for reason in known if reason.found),
        also=tuple(
            (address, host_of(address))
            for copy in entry.copies[:5]
            if (address := uri(copy.url)) and copy.url != entry.url
        ),
        credits=tuple((line(a.name, 80), uri(a.url)) for a in entry.attributions[:3]),
    )


def host_of(address: str) -> str:
    """The site's name in an address, for people."""
    try:
        return (urlsplit(address).hostname or "unknown").removeprefix("www.")
    except ValueError:
        return "unknown"


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


def sources(reports: Iterable[FeedReport]) -> list[Source]:
    """Feeds as the page shows them: those in trouble first, then by name."""
    return sorted(
        (_source(report) for report in reports), key=lambda source: (source.well, source.name.casefold())
    )


def _source(report: FeedReport) -> Source:
    state, subscription = report.state, report.subscription
    words = {
        FeedStatus.ACTIVE: "well" if state.last_success_at else "not polled yet",
        FeedStatus.FAILING: "failing",
        FeedStatus.GONE: "gone",
        FeedStatus.PAUSED: "paused",
    }
    found = health.conditions(report)
    ill = [condition.kind for condition in found if condition.ill]
    return Source(
        name=line(subscription.name or state.title or "", 80) or host_of(state.url),
        site=uri(state.site_url),
        status=ill[0] if ill else words[state.status],
        well=not ill,
        last_success=state.last_success_at,
        next_poll=state.next_poll_at if state.status in {FeedStatus.ACTIVE, FeedStatus.FAILING} else None,
        conditions=tuple(replace(each, message=line(each.message, 300)) for each in found),
        per_week=report.entries_per_week,
    )
