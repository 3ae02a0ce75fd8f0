"""What there is at each path: which query it takes, what it answers, how that is found, and how it is described."""

import re
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any

from aggregator.app import Aggregator
from aggregator.errors import UnknownError
from aggregator.model import FeedReport
from aggregator.web.api.answers import (
    Answer,
    Article,
    Day,
    Entry,
    Feed,
    Findings,
    Found,
    Page,
    Piece,
    Poll,
    Revision,
    Story,
    Table,
    Topic,
    Version,
    WholeEntry,
    like,
    page_of,
    without_password,
)
from aggregator.web.api.questions import (
    Conditioned,
    Daily,
    Feeds,
    Polls,
    Query,
    Questioned,
    Searched,
    Selected,
)
from aggregator.web.auth import RefusedError

ASKED_AT_ONCE = 2
"""So many questions in SQL are answered at once: each may take a core for as long as it may take."""
LARGEST = 2**63 - 1
"""The largest id there can be."""
_asking = threading.BoundedSemaphore(ASKED_AT_ONCE)

Run = Callable[[Aggregator, Mapping[str, Any], Any], tuple[Answer, str | None]]
"""Finds an answer: from the parameters in the path and the query; and the cursor of the next page."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What can be asked at one path; `versioned`: the answer is made of what the store's version speaks for."""

    path: str
    summary: str
    run: Run
    answer: type[Answer]
    query: type[Query] = Query
    versioned: bool = True


def _page(items: Iterable[Answer], following: str | None = None) -> tuple[Answer, str | None]:
    return Page(items=tuple(items), next=None), following


def _entries(site: Aggregator, _: Mapping[str, Any], query: Selected) -> tuple[Answer, str | None]:
    found, following = site.select(
        query.selection(), since=query.since, before=query.cursor, limit=query.limit
    )
    return _page(map(Entry.of, found), following)


def _entry(site: Aggregator, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return WholeEntry.of(site.entry(at["id"])), None


def _revisions(site: Aggregator, at: Mapping[str, Any], _: Query) -> tuple[Answer, str | None]:
    versions = site.revisions(at["id"])
    later: tuple[Version, ...] = (*versions[1:], site.entry(at["id"]))
    return _page(Revision.of(before, after) for before, after in zip(versions, later, strict=False))


def _stories(site: Aggregator, _: Mapping[str, Any], query: Conditioned) -> tuple[Answer, str | None]:
    found, following = site.stories(query.selection(), before=query.cursor, limit=query.limit)
    return _page(map(Story.of, found), following)


def _story(site: Aggregator, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return Story.of(site.story(at["id"])), None


def _article(site: Aggregator, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    entries = site.article(at["id"])
    article = Article(
        id=at["id"],
        canonical_entry_id=site.canonical(at["id"]),
        entry_count=len(entries),
        feed_count=len({entry.feed_id for entry in entries}),
        first_seen_at=min(entry.first_seen_at for entry in entries),
        entries=tuple(map(Entry.of, entries)),
    )
    return article, None


def _search(site: Aggregator, _: Mapping[str, Any], query: Searched) -> tuple[Answer, str | None]:
    feeds = () if query.feed is None else (query.feed,)
    hits = site.search(
        query.q,
        topic=query.topic,
        feeds=feeds,
        language=query.language,
        since=query.since,
        limit=query.limit,
    )
    items = tuple(
        Found(
            entry=Entry.of(hit.entry),
            snippet=tuple(Piece(text=text, found=found) for text, found in hit.snippet),
        )
        for hit in hits
    )
    return Findings(items=items, next=None, note=site.advice(query.q)), None


def _topics(site: Aggregator, _: Mapping[str, Any], __: Query) -> tuple[Answer, str | None]:
    return _page(Topic(slug=slug, title=title) for slug, title in site.topic_titles().items())


def _daily(site: Aggregator, at: Mapping[str, Any], query: Daily) -> tuple[Answer, str | None]:
    since = date.min if query.since is None else query.since.date()
    days = site.daily(at["slug"], language=query.language, since=since)
    return _page(like(Day, day) for day in days)


def _feeds(site: Aggregator, _: Mapping[str, Any], query: Feeds) -> tuple[Answer, str | None]:
    after = int(query.cursor or 0)
    rest = [report for report in site.feeds() if report.id > after]
    page = rest[: query.limit]
    return _page(map(Feed.of, page), str(page[-1].id) if len(rest) > len(page) else None)


def _feed(site: Aggregator, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return Feed.of(_report(site, at["id"])), None


def _polls(site: Aggregator, at: Mapping[str, Any], query: Polls) -> tuple[Answer, str | None]:
    _report(site, at["id"])
    found = site.polls(at["id"], before=query.cursor, limit=query.limit + 1)
    shown = found[: query.limit]
    polls = (Poll(**{**row, "error": without_password(row["error"])}) for row in shown)
    return _page(polls, shown[-1]["started_at"] if len(found) > len(shown) else None)


def _report(site: Aggregator, feed_id: int) -> FeedReport:
    report = next((report for report in site.feeds() if report.id == feed_id), None)
    if report is None:
        raise UnknownError(f"there is no feed {feed_id}; /api/feeds lists them")
    return report


def _sql(site: Aggregator, _: Mapping[str, Any], query: Questioned) -> tuple[Answer, None]:
    if not _asking.acquire(blocking=False):
        raise RefusedError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "Not now",
            f"{ASKED_AT_ONCE} questions in SQL are being answered already.",
            {"Retry-After": "2"},
        )
    try:
        return like(Table, site.ask(query.query)), None
    finally:
        _asking.release()


SQL = Operation(
    "/api/sql", "What a SELECT finds in the store (docs/store.md)", _sql, Table, Questioned, versioned=False
)
"""Answered only where the operator wishes it (`web: sql: true`)."""
OPERATIONS = (
    Operation("/api/entries", "Entries, newest first", _entries, page_of(Entry), Selected),
    Operation("/api/entries/{id:int}", "One entry, whole", _entry, WholeEntry),
    Operation(
        "/api/entries/{id:int}/revisions", "The earlier versions of an entry", _revisions, page_of(Revision)
    ),
    Operation("/api/articles/{id:int}", "An article and its entries", _article, Article),
    Operation("/api/stories", "Stories, newest first", _stories, page_of(Story), Conditioned),
    Operation("/api/stories/{id:int}", "A story and who tells it", _story, Story),
    Operation("/api/search", "Entries that match a query, best first", _search, Findings, Searched),
    Operation("/api/topics", "The topics that are watched", _topics, page_of(Topic), versioned=False),
    Operation(
        "/api/topics/{slug}/daily",
        "A topic's index, day by day",
        _daily,
        page_of(Day),
        Daily,
        versioned=False,
    ),
    Operation("/api/feeds", "All feeds, with their health", _feeds, page_of(Feed), Feeds, versioned=False),
    Operation("/api/feeds/{id:int}", "One feed, with its health", _feed, Feed, versioned=False),
    Operation(
        "/api/feeds/{id:int}/polls",
        "A feed's polls, newest first",
        _polls,
        page_of(Poll),
        Polls,
        versioned=False,
    ),
)

_IN_PATH: dict[str, Any] = {
    "id": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "slug": {"type": "string", "pattern": "^[a-z0-9-]{1,100}$"},
}


def described(operation: Operation, in_path: Mapping[str, Any]) -> dict[str, Any]:
    """An operation object (OpenAPI 3.1 §4.8.10)."""
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": _IN_PATH[name]} for name in in_path
    ]
    schema = operation.query.model_json_schema()
    for name, value in schema.get("properties", {}).items():
        value = {
            key: each for key, each in value.items() if key != "title" and (key, each) != ("default", None)
        }
        described = {"name": name, "in": "query", "description": value.pop("description"), "schema": value}
        parameters.append({**described, "required": name in schema.get("required", ())})
    answer = {"schema": {"$ref": f"#/components/schemas/{operation.answer.__name__}"}}
    headers: dict[str, Any] = {"ETag": {"schema": {"type": "string"}}}
    if "next" in operation.answer.model_fields:
        headers["Link"] = {"schema": {"type": "string"}, "description": "The next page, where there is one."}
    problems = {
        "400": "The query cannot be understood.",
        "401": "A password is needed.",
        "404": "There is no such thing.",
        "429": "Too many wrong passwords.",
        "503": "Not now.",
    }
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    name = re.sub(r"[^a-z]+", "_", operation.path.removeprefix("/api/").replace(":int", "")).strip("_")
    return {
        "operationId": f"get_{name}",
        "summary": operation.summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": operation.summary,
                "headers": headers,
                "content": {"application/json": answer},
            },
            "304": {"description": "What the client has is still what there is."},
            **{status: {"description": text, "content": problem} for status, text in problems.items()},
        },
    }
