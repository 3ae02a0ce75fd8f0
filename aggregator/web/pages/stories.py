"""Stories and entries: what is told, by whom, why it is here, and the forms that correct what belongs together."""

import re
from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from aggregator.model import Level
from aggregator.publish import EVERYTHING, conditions, line, narrowed, read_cursor
from aggregator.text import sanitise
from aggregator.web.auth import Change, Form, RefusedError
from aggregator.web.pages.cards import (
    Outlet,
    by_day,
    card,
    edits,
    marked_html,
    outlets_of,
    ranges,
    story_card,
    tie,
    told,
)
from aggregator.web.pages.frame import Frame, given, number_in, route, subscribed_at
from aggregator.web.pages.sources import source

SHOWN = 25
"""Stories on a page: some 50 kB."""
NO_TOPIC = "all"
"""Stands for a topic where there is to be none."""
ILL = 5
"""So many feeds in trouble are named beside the stories."""


class Stories:
    """The first page, a story, an entry."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._site = frame, frame.site

    def routes(self) -> list[Route]:
        """What can be looked at."""
        return [
            route("/", self.home),
            route("/stories/{id}", self.story),
            route("/entries/{id}", self.entry),
        ]

    def changes(self) -> Mapping[str, Change]:
        """What can be changed."""
        return {"/entries/{id}/split": self.split, "/entries/{id}/merge": self.merge}

    def home(self, request: Request) -> Response:
        """The newest stories of a topic, or under whatever conditions the address gives."""
        scope = request.scope
        etag = self._frame.version_tag(scope)
        if answer := self._frame.unchanged(scope, etag):
            return answer
        titles, parameters = self._site.topic_titles(), given(scope)
        before = read_cursor(cursor) if (cursor := dict(parameters).get("before")) is not None else None
        if "topic" not in dict(parameters):
            parameters.append(("topic", next(iter(titles), NO_TOPIC)))
        further = [one for one in parameters if one[0] not in {"topic", "before"}]
        selection = narrowed(
            EVERYTHING, [one for one in parameters if one[0] != "before" and one != ("topic", NO_TOPIC)]
        )
        stories, older = self._site.stories(selection, before=before, limit=SHOWN)
        overview = self._site.overview(ILL)
        values = {
            "section": "stories",
            "heading": titles.get(selection.topic, selection.topic) if selection.topic else "Everything",
            "further": conditions(replace(selection, topic=None), titles),
            "topics": [(slug, title, slug == selection.topic) for slug, title in titles.items()],
            "topic": selection.topic,
            "no_topic": NO_TOPIC,
            "days": by_day(story_card(story, titles) for story in stories),
            "older": older and {"topic": selection.topic or NO_TOPIC, **dict(further), "before": older},
            "before": before,
            "feed": subscribed_at(self._site.output_names(), selection),
            "overview": overview,
            "ill": [one for report in overview.reports if not (one := source(report)).well],
            "version": self._site.version(),
        }
        return self._frame.page(scope, "stories.html", values, etag=etag)

    def story(self, request: Request) -> Response:
        """Who tells one story, in order, and why they belong together."""
        scope = request.scope
        etag = self._frame.version_tag(scope)
        if answer := self._frame.unchanged(scope, etag):
            return answer
        story = self._site.story(number_in(request))
        titles = self._site.topic_titles()
        values = {
            "section": "stories",
            "heading": line(story.title) or "Untitled",
            "story": story,
            "card": story_card(story, titles),
            "outlets": outlets_of(story.tellings),
            "told": told(story, self._site.story_edges(story.id)),
        }
        return self._frame.page(scope, "story.html", values, etag=etag)

    def entry(self, request: Request) -> Response:
        """One entry whole: what it says, why it is here, what it belongs to, how it has changed."""
        scope = request.scope
        etag = self._frame.version_tag(scope)
        if answer := self._frame.unchanged(scope, etag):
            return answer
        found = self._site.belonging(number_in(request))
        entry, titles = found.entry, self._site.topic_titles()
        known = {copy.id: copy.feed_title for copy in found.copies}
        known |= {telling.entry_id: telling.outlet for telling in found.story.tellings} if found.story else {}
        ties = [
            tie(edge, other, known[other])
            for edge in found.edges
            if (other := edge.b if edge.a == entry.id else edge.a) in known
        ]
        content = sanitise(entry.content or entry.summary, None)
        values = {
            "section": "stories",
            "heading": line(entry.title) or "Untitled",
            "entry": entry,
            "card": card(entry, titles),
            "content": marked_html(content, entry.text, ranges(entry, "text")),
            "copies": [
                Outlet(line(copy.feed_title, 80), copy.url, copy.id, copy.published_at or copy.first_seen_at)
                for copy in sorted(found.copies, key=lambda copy: copy.published_at or copy.first_seen_at)
            ],
            "story": found.story,
            "ties": ties,
            "apart": {level.value: others for level, others in found.apart.items()},
            "edits": edits(entry, self._site.revisions(entry.id)),
        }
        return self._frame.page(scope, "entry.html", values, etag=etag)

    async def split(self, request: Request, form: Form) -> Response:
        """Take an entry out of its article, or its article out of its story."""
        return await self._frame.changed(
            request,
            lambda: self._site.split(number_in(request), _level(form)),
            f"/entries/{number_in(request)}",
        )

    async def merge(self, request: Request, form: Form) -> Response:
        """Say of two entries that they are one article, or tell one story."""
        return await self._frame.changed(
            request,
            lambda: self._site.merge(number_in(request), _other(form), _level(form)),
            f"/entries/{number_in(request)}",
        )


def _level(form: Form) -> Level:
    try:
        return Level(form.get("level", ""))
    except ValueError:
        raise _not_understood("Entries belong together as an article or as a story.") from None


def _other(form: Form) -> int:
    """The entry that a person means by its number, or by the address of its page."""
    found = re.fullmatch(r"(?:\S*/entries/)?([0-9]{1,18})", form.get("other", "").strip())
    if found is None:
        raise _not_understood("Give the number of the other entry, or the address of its page here.")
    return int(found[1])


def _not_understood(text: str) -> RefusedError:
    return RefusedError(HTTPStatus.BAD_REQUEST, "Not understood", text)
