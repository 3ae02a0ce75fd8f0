"""Search: as one types, under conditions, and as a feed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from aggregator.errors import AggregatorError
from aggregator.model import Hit, Selection
from aggregator.publish import line
from aggregator.web.pages.cards import EXCERPT, Card, Parts, card, excerpt, languages
from aggregator.web.pages.frame import Address, Frame, asked, route, subscribed_at

SHOWN = 30
LONGEST = 200
"""Characters of a query."""
NAMED = 200
"""So many feeds are offered by name while one is being typed."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for.

    Attributes:
        problem: why it cannot be.
    """

    query: str
    topic: str | None = None
    feed: str | None = None
    language: str | None = None
    since: datetime | None = None
    problem: str | None = None


class Search:
    """The page, and the part of it that changes while one types."""

    def __init__(self, frame: Frame) -> None:
        self._frame, self._site = frame, frame.site

    def routes(self) -> list[Route]:
        """What can be looked at."""
        return [route("/search", self.page), route("/search/hits", self.hits)]

    def page(self, request: Request) -> Response:
        """The form and what it has found."""
        question, values = self._found(request.scope)
        names = (
            report.subscription.name or report.state.title for report in self._site.overview(NAMED).reports
        )
        values |= {
            "section": "search",
            "heading": f"“{question.query}”" if question.query else "Search",
            "topics": self._site.topic_titles(),
            "languages": languages(),
            "names": [line(name, 80) for name in names if name],
        }
        return self._frame.page(
            request.scope, "search.html", values, status=400 if values["problem"] else 200
        )

    def hits(self, request: Request) -> Response:
        """What has been found alone; a question that cannot be understood is part of the answer."""
        _, values = self._found(request.scope)
        return self._frame.page(request.scope, "hits.html", values)

    def _found(self, scope: Scope) -> tuple[Question, dict[str, object]]:
        question = _question(scope)
        titles, problem = self._site.topic_titles(), question.problem
        hits: tuple[Hit, ...] = ()
        if question.query and not problem:
            try:
                hits = self._site.search(
                    question.query,
                    topic=question.topic,
                    feeds=(question.feed,) if question.feed else (),
                    language=question.language,
                    since=question.since,
                    limit=SHOWN,
                )
            except AggregatorError as error:
                problem = str(error)
        return question, {
            "question": question,
            "problem": problem,
            "advice": self._site.advice(question.query),
            "hits": [_shown(hit, titles) for hit in hits],
            "full": len(hits) == SHOWN,
            "feed": self._feed(question) if hits else None,
        }

    def _feed(self, question: Question) -> Address:
        selection = Selection(
            search=question.query, topic=question.topic, feed=question.feed, language=question.language
        )
        return subscribed_at((), selection)


def _shown(hit: Hit, titles: Mapping[str, str]) -> tuple[Card, Parts]:
    """A hit with what was looked for marked, instead of the evidence for topics, once in title or text."""
    found = card(hit.entry, titles)
    if "".join(piece for piece, _ in hit.snippet) == hit.entry.title:
        return replace(found, title=hit.snippet), excerpt(hit.entry.text, [], EXCERPT)
    return replace(found, title=((line(hit.entry.title) or "Untitled", False),)), hit.snippet


def _question(scope: Scope) -> Question:
    given = asked(scope)
    query = line(given.get("q", ""), LONGEST)
    since, problem = None, None
    if word := given.get("since"):
        try:
            day = date.fromisoformat(word)
            since = datetime(day.year, day.month, day.day, tzinfo=UTC)
        except ValueError:
            problem = f"“{line(word, 40)}” is no day; one is written 2025-11-20."
    language = given.get("language", "").lower()
    if language and not (language.isascii() and language.isalpha() and len(language) <= 3):
        problem = f"“{line(language, 40)}” is no language; one is written as its ISO 639-1 code, such as es."
    return Question(query, given.get("topic"), given.get("feed"), language or None, since, problem)
