"""Sources: how each feed is doing, and a button that asks it now."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator import health
from aggregator.errors import UnknownError
from aggregator.model import FeedReport, FeedStatus, PollResult, Selection
from aggregator.publish import line, uri
from aggregator.text import masked
from aggregator.web.auth import Change, Form
from aggregator.web.pages.cards import by_day, card, language_of
from aggregator.web.pages.frame import Frame, asked, number_in, route, subscribed_at

SHOWN = 100
"""Feeds on a page."""
ENTRIES, POLLS = 15, 15
"""So many of its newest entries and polls stand on a feed's page."""


@dataclass(frozen=True, slots=True)
class Source:
    """A feed's health as pages show it.

    Attributes:
        name, site: what it is called, and the site's own page.
        url: its address, passwords masked.
        status: in a word. well: nothing is the matter.
        rhythm: how often it has news, in words.
        waiting: it is to be asked now, or is being asked.
        can_poll: it is one that is asked at all.
    """

    id: int
    name: str
    site: str | None
    url: str
    status: str
    well: bool
    last_success: datetime | None
    next_poll: datetime | None
    conditions: tuple[health.Condition, ...]
    rhythm: str
    delay: timedelta | None
    requests_per_day: float | None
    entries: int
    language: str | None
    can_poll: bool


_WORDS = {
    FeedStatus.ACTIVE: "well",
    FeedStatus.FAILING: "failing",
    FeedStatus.GONE: "gone",
    FeedStatus.PAUSED: "paused",
}


def source(report: FeedReport) -> Source:
    """Make a feed's health ready to be shown."""
    state, subscription = report.state, report.subscription
    found = health.conditions(report)
    ill = [condition.kind for condition in found if condition.ill]
    unread = state.status is FeedStatus.ACTIVE and state.last_success_at is None
    polled = state.status in {FeedStatus.ACTIVE, FeedStatus.FAILING}
    return Source(
        id=report.id,
        name=line(subscription.name or state.title or "", 80)
        or line(masked(state.url).partition("://")[2], 80),
        site=uri(state.site_url),
        url=line(masked(state.url), 300),
        status=ill[0] if ill else "not read yet" if unread else _WORDS[state.status],
        well=not ill,
        last_success=state.last_success_at,
        next_poll=state.next_poll_at if polled else None,
        conditions=tuple(replace(each, message=line(each.message, 300)) for each in found),
        rhythm=rhythm(report.entries_per_week),
        delay=report.expected_delay,
        requests_per_day=report.requests_per_day,
        entries=report.entries,
        language=language_of(subscription.language or state.language),
        can_poll=state.status is not FeedStatus.PAUSED,
    )


def rhythm(per_week: float) -> str:
    """How often a feed has news, in words."""
    if per_week >= 14:
        return f"{per_week / 7:,.0f} a day"
    if per_week >= 1:
        return f"{per_week:.0f} a week"
    return "now and then" if per_week > 0.05 else "hardly ever" if per_week else "not known yet"


class Sources:
    """The list of feeds, and the page of each."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._site = frame, frame.site

    def routes(self) -> list[Route]:
        """What can be looked at."""
        return [route("/sources", self.list), route("/sources/{id}", self.one)]

    def changes(self) -> Mapping[str, Change]:
        """What can be changed."""
        return {"/sources/{id}/poll": self.poll}

    def list(self, request: Request) -> Response:
        """All feeds, those in trouble first."""
        parameters = asked(request.scope)
        word = line(parameters.get("q", ""), 80)
        number = int(page) if (page := parameters.get("page", "")).isdecimal() and len(page) < 6 else 1
        found = sorted(map(source, self._site.feeds()), key=lambda one: (one.well, one.name.casefold()))
        listed = [one for one in found if word.casefold() in f"{one.name} {one.url}".casefold()]
        start = (max(number, 1) - 1) * SHOWN
        values = {
            "section": "sources",
            "heading": "Sources",
            "word": word,
            "sources": listed[start : start + SHOWN],
            "found": len(listed),
            "total": len(found),
            "lists": [
                (line(masked(each.url), 300), line(each.error, 300), each.read_at)
                for each in self._site.lists()
                if each.error
            ],
            "ill": sum(not one.well for one in found),
            "unread": sum(one.last_success is None for one in found),
            "entries": sum(one.entries for one in found),
            "page": max(number, 1),
            "more": len(listed) > start + SHOWN,
        }
        return self._frame.page(request.scope, "sources.html", values)

    def one(self, request: Request) -> Response:
        """One feed: its health, its last polls, its newest entries."""
        report = self._report(request)
        titles = self._site.topic_titles()
        selection = Selection(feed=report.subscription.url)
        entries, _ = self._site.select(selection, limit=ENTRIES)
        found = source(report)
        values = {
            "section": "sources",
            "heading": found.name,
            "source": found,
            "days": by_day(card(entry, titles) for entry in entries),
            "polls": [_poll(row) for row in self._site.polls(report.id, limit=POLLS)],
            "feed": subscribed_at((), selection),
        }
        return self._frame.page(request.scope, "source.html", values)

    async def poll(self, request: Request, _: Form) -> Response:
        """Have a feed asked now."""
        feed_id = number_in(request)
        return await self._frame.changed(request, lambda: self._site.poll_now(feed_id), f"/sources/{feed_id}")

    def _report(self, request: Request) -> FeedReport:
        feed_id = number_in(request)
        for report in self._site.feeds():
            if report.id == feed_id:
                return report
        raise UnknownError(f"There is no feed {feed_id}.")


_RESULTS = {
    PollResult.CHANGED: "read",
    PollResult.UNCHANGED: "the same document",
    PollResult.NOT_MODIFIED: "nothing new",
    PollResult.FAILED: "failed",
}


def _poll(row: Mapping[str, object]) -> Mapping[str, object]:
    """A poll as a page shows it."""
    return {
        "at": datetime.fromisoformat(str(row["started_at"])),
        "seconds": row["seconds"],
        "http_status": row["http_status"],
        "result": _RESULTS[PollResult(str(row["result"]))],
        "failed": row["result"] == PollResult.FAILED,
        "new": row["entries_new"],
        "revised": row["entries_revised"],
        "error": line(masked(str(row["error"] or "")), 300),
    }
