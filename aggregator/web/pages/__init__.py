"""Pages for people: what is told, how much of it, by whom, and whatever they look for.

Server-rendered; a small script adds to them and is never needed. All that is foreign is shown as text, escaped by
Jinja, or as HTML that was sanitised once more; a foreign address becomes a link only as a valid http(s) URI. Times
are UTC, said once.

    frame     templates, and how pages are sent       cards    entries and stories, ready to be shown
    stories   the first page, a story, an entry       trend    the index of a topic (with chart)
    sources   feeds and their health                  search   words and conditions
"""

import difflib
import mimetypes
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from aggregator.app import Aggregator
from aggregator.model import OutputFeed
from aggregator.output import MADE
from aggregator.publish import EVERYTHING, Format, Rendered, query_of, title_of
from aggregator.web.auth import Change
from aggregator.web.feeds import header, preferred
from aggregator.web.pages.cards import by_day, card
from aggregator.web.pages.frame import Address, Frame
from aggregator.web.pages.search import Search
from aggregator.web.pages.sources import Sources
from aggregator.web.pages.stories import Stories
from aggregator.web.pages.trend import Trend

SHOWN = 30
"""Entries on the page of an output feed."""
NEAR = 10
"""So many feeds are named where one is asked for that there is not."""


class Pages:
    """Answers for people."""

    def __init__(self, site: Aggregator) -> None:
        self._site = site
        self._frame = Frame(site)
        self._stories, self._sources = Stories(self._frame), Sources(self._frame)
        self._parts = self._stories, Trend(self._frame), self._sources, Search(self._frame)

    def routes(self) -> list[Route]:
        """Every page that only shows something."""
        return [route for part in self._parts for route in part.routes()]

    def changes(self) -> Mapping[str, Change]:
        """What forms on these pages change, by path."""
        return {**self._stories.changes(), **self._sources.changes()}

    async def feed(self, scope: Scope, output: OutputFeed) -> Response:
        """The page of a feed: what a browser gets where a feed reader gets the feed."""
        return await run_in_threadpool(self._feed, scope, output)

    def _feed(self, scope: Scope, output: OutputFeed) -> Response:
        base = self._site.feed(output.name) if output.name else EVERYTHING
        path = f"/feeds/{output.name}" if output.name else "/feeds"
        conditions = f"?{narrowing}" if (narrowing := query_of(output, base)) else ""
        titles = self._site.topic_titles()
        entries = self._site.entries(output, SHOWN)
        if output.name in {made.name for made in MADE}:
            entries = tuple(replace(entry, id=0) for entry in entries)  # they have no page of their own
        values = {
            "heading": title_of(output, titles, base),
            "feed": Address(
                path + conditions, tuple((each, f"{path}.{each}{conditions}") for each in Format)
            ),
            "base": self._site.settings.public_url or f"{scope['scheme']}://{header(scope, b'host')}",
            "days": by_day(card(entry, titles) for entry in entries),
        }
        return self._frame.page(scope, "feed.html", values)

    def login(self, scope: Scope, target: str, csrf: str, *, wrong: bool = False) -> Response:
        """The form that asks for the password; `wrong`: again, for that was not it."""
        values = {"to": target, "csrf": csrf, "wrong": wrong, "heading": "Log in"}
        status, headers = 403 if wrong else 200, {"Cache-Control": "no-store"}
        return self._frame.page(scope, "login.html", values, status=status, headers=headers)

    def is_for_person(self, scope: Scope) -> bool:
        """Whether a browser asks, rather than a feed reader or another program."""
        return preferred(header(scope, b"accept")) is None

    async def unknown(self, scope: Scope, message: str) -> Response:
        """404; where a feed was asked for, with those there are, nearest first."""
        addresses: list[str] = []
        if scope["path"].startswith("/feeds"):
            outputs = await run_in_threadpool(self._site.output_names)
            asked = scope["path"].removeprefix("/feeds/").rsplit(".", 1)[0][:200]
            names = sorted(
                (output.name for output in outputs),
                key=lambda name: -difflib.SequenceMatcher(None, name, asked).ratio(),
            )
            addresses = [f"/feeds/{name}" for name in names[:NEAR]]
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
        if self.is_for_person(scope):
            values = {"heading": title, "text": text, "links": tuple(links)}
            return self._frame.page(scope, "error.html", values, status=status, headers=headers)
        lines = [f"{status} {title}", text, *(f"{link}.{each}" for link in links for each in Format)]
        headers = {"Cache-Control": "no-store", "Vary": "Accept", **(headers or {})}
        return PlainTextResponse("\n".join(lines) + "\n", status, headers)


def static_files(folder: Path) -> dict[str, Rendered]:
    """The static files by their path in URLs, read once: no request names a file."""
    files = {}
    for path in sorted(folder.iterdir()):
        media_type = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        changed = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        files[f"/static/{path.name}"] = Rendered(
            path.read_bytes(), media_type=f"{media_type}; charset=utf-8", last_modified=changed
        )
    files["/favicon.ico"] = files["/static/icon.svg"]  # browsers and readers ask there, whatever pages say
    return files
