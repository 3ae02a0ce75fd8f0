"""The API: read-only JSON for programs, described by `/openapi.json` (OpenAPI 3.1).

One table, `_OPERATIONS`, says for each path which query it takes, what it answers and how that is found; routes,
checks and description are all made from it. Field names are those of the store (docs/store.md) and stay.

Lists come in pages: `next` and the `Link` header (RFC 8288) hold the address of the one that follows. Errors are
problem details (RFC 9457). An answer carries an `ETag`; for what is made of entries alone it is known from the
store's version, so that "nothing new" costs no query.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from functools import cached_property
from hashlib import blake2b
from importlib.metadata import version
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import parse_qsl, urlencode

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
    create_model,
)
from pydantic.json_schema import SkipJsonSchema, models_json_schema
from pydantic_core import ErrorDetails
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from aggregator import health, model
from aggregator.errors import QueryError, UnknownError
from aggregator.model import FeedReport, Selection, StoredEntry
from aggregator.publish import uri
from aggregator.text import masked
from aggregator.web.feeds import header, not_modified
from aggregator.web.site import Site

MOST = 200
"""At most so many items on a page."""
WORST = 20
"""So many mistakes in a query are told."""
LONGEST_PATH = 200
LARGEST = 2**63 - 1
"""The largest id there can be."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# ------------------------------------------------------------------------------------ what may be asked


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"[0-9]{1,9}", value):
        raise ValueError("a whole number is expected")
    return value


def _decimal(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(
        r"-?[0-9]{1,20}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?", value, re.IGNORECASE
    ):
        raise ValueError("a number is expected")
    return value


def _flag(value: object) -> object:
    if value not in {"true", "false"}:
        raise ValueError("true or false is expected")
    return value == "true"


def _moment(value: object) -> datetime:
    text = str(value).replace(" ", "+")  # a plus sign that was not written %2B
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if not re.fullmatch(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text):
            raise ValueError
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError("a time is written 2025-11-20T12:00:00Z, or 2025-11-20") from None
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # the first or the last day there is
        return moment.replace(tzinfo=UTC)


_MOMENT_SCHEMA = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}]}

Word = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Language = Annotated[str, StringConstraints(pattern="^[a-z]{2,3}$")]
Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Count = Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(_digits)]
Number = Annotated[float, Field(ge=0, le=1_000_000), BeforeValidator(_decimal)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Since = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)]
Limit = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_digits)]


class Query(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Paged(Query):
    """A page of a list."""

    limit: Limit = Field(50, description="At most so many items.")
    cursor: Word | SkipJsonSchema[None] = Field(None, description="Where the page begins: taken from `next`.")


class Conditioned(Paged):
    """A page of what fulfils all conditions (see `model.Selection`)."""

    topic: Word | SkipJsonSchema[None] = Field(None, description="Slug of the topic they are tagged with.")
    aspect: Word | SkipJsonSchema[None] = Field(None, description="An aspect of the topic.")
    feed: Word | SkipJsonSchema[None] = Field(None, description="Name or address of their feed.")
    tag: Word | SkipJsonSchema[None] = Field(None, description="The operator's label of their feed.")
    language: Language | SkipJsonSchema[None] = Field(None, description="ISO 639-1 code of their language.")
    country: Country | SkipJsonSchema[None] = Field(
        None, description="ISO 3166-1 alpha-2 code of a country that they are about."
    )
    search: Word | SkipJsonSchema[None] = Field(None, description="A full-text query they match.")
    min_score: Number | SkipJsonSchema[None] = Field(None, description="The least score for the topic.")
    min_outlets: Count | SkipJsonSchema[None] = Field(
        None, description="The least number of outlets that tell the story."
    )

    def selection(self) -> Selection:
        """The conditions as the domain has them."""
        names = {field.name for field in fields(Selection)} & type(self).model_fields.keys()
        return Selection(**{name: getattr(self, name) for name in names})


class Selected(Conditioned):
    """A page of entries."""

    copies: Flag = Field(False, description="Every copy of an article, instead of each article once.")
    since: Since | SkipJsonSchema[None] = Field(None, description="Listed at this time or later.")


class Daily(Query):
    """The days of a topic."""

    language: Language = Field("all", description="ISO 639-1 code, or `all` for all languages together.")
    since: Since | SkipJsonSchema[None] = Field(None, description="This day or later.")


class Searched(Query):
    """A search; the best come first."""

    q: Word = Field(description="Words, “phrases”, beginnings (`nav*`): FTS5's language.")
    topic: Word | SkipJsonSchema[None] = Field(None, description="Only entries tagged with this topic.")
    feed: Word | SkipJsonSchema[None] = Field(
        None, description="Only entries of the feed with this name or address."
    )
    since: Since | SkipJsonSchema[None] = Field(
        None, description="Only entries listed at this time or later."
    )
    limit: Limit = Field(50, description="At most so many items.")


class Questioned(Query):
    """A question in SQL."""

    query: Annotated[str, StringConstraints(min_length=1, max_length=20_000)] = Field(
        description="One SELECT."
    )


# ------------------------------------------------------------------------------------- what is answered


class Answer(BaseModel):
    """Part of an answer."""

    model_config = ConfigDict(frozen=True)


T = TypeVar("T", bound=Answer)


class Tag(Answer):
    """An entry is about a topic, or about one aspect of it."""

    topic: str
    aspect: str | None = Field(description="null: the tag of the topic itself.")
    score: float


class Match(Answer):
    """The evidence of a tag: where a term stands, as a half-open range of code points in a field's plain text."""

    topic: str
    rule: str
    term: str
    field: str
    start: int
    end: int


class Attribution(Answer):
    """The outlet an entry says it took its text from."""

    name: str
    url: str | None


class Copy(Answer):
    """Another entry of the same article."""

    entry_id: int
    outlet: str
    url: str | None
    published_at: datetime | None


class Entry(Answer):
    """An entry as lists hold it."""

    id: int
    uid: str = Field(description="The same in every database.")
    feed_id: int
    feed_title: str
    guid: str | None
    url: str | None
    title: str
    author: str | None
    summary: str = Field(description="Sanitised HTML.")
    language: str | None
    published_at: datetime | None = Field(description="null where the feed gave none that can be read.")
    updated_at: datetime | None
    first_seen_at: datetime
    revision: int
    article_id: int
    story_id: int | None
    countries: tuple[str, ...]
    tags: tuple[Tag, ...]

    @classmethod
    def of(cls, entry: StoredEntry) -> Self:
        """The entry in the words of the API."""
        values: dict[str, Any] = {name: getattr(entry, name, None) for name in cls.model_fields}
        values |= {"url": uri(entry.url), "feed_title": masked(entry.feed_title)}
        for name, kind in (
            ("tags", Tag),
            ("matches", Match),
            ("attributions", Attribution),
            ("copies", Copy),
        ):
            if name in values:
                values[name] = tuple(_like(kind, value) for value in values[name])
        return cls(**values)


class WholeEntry(Entry):
    """An entry with all that is known of it."""

    content: str = Field(description="Sanitised HTML.")
    text: str = Field(description="Plain text of the content.")
    article_uid: str = Field(description="Names its article in every database.")
    changed_at: datetime = Field(description="When this revision was first seen.")
    significant_at: datetime | None = Field(
        description="When the last revision came that changed what it says."
    )
    matches: tuple[Match, ...]
    attributions: tuple[Attribution, ...]
    copies: tuple[Copy, ...]


class Piece(Answer):
    """A piece of a text; `found` where it is what was looked for."""

    text: str
    found: bool


class Found(Answer):
    """An entry that a search found."""

    entry: Entry
    snippet: tuple[Piece, ...]


class Article(Answer):
    """The same text, however often it was republished."""

    id: int
    canonical_entry_id: int
    entry_count: int
    feed_count: int
    first_seen_at: datetime
    entries: tuple[Entry, ...] = Field(description="The first seen first.")


class Revision(Answer):
    """An earlier version of an entry."""

    revision: int
    seen_at: datetime
    title: str
    summary: str = Field(description="Sanitised HTML.")
    content: str = Field(description="Sanitised HTML.")


class Telling(Answer):
    """One entry of a story, in short."""

    entry_id: int
    article_id: int
    outlet: str
    title: str
    url: str | None
    language: str | None
    at: datetime = Field(description="When it was published, or else first seen.")


class Story(Answer):
    """Articles about one event."""

    id: int
    title: str
    article_count: int
    feed_count: int
    first_seen_at: datetime
    last_seen_at: datetime
    aspects: tuple[str, ...] = Field(description="`topic` or `topic/aspect`, the most frequent first.")
    tellings: tuple[Telling, ...] = Field(
        description="Its entries, the earliest first; of a long story the newest."
    )
    lead: Entry = Field(description="The entry to show for it.")

    @classmethod
    def of(cls, story: model.Story) -> Self:
        """The story in the words of the API."""
        values = {name: getattr(story, name) for name in cls.model_fields}
        tellings = tuple(_like(Telling, telling) for telling in story.tellings)
        return cls(**{**values, "tellings": tellings, "lead": Entry.of(story.lead)})


class Day(Answer):
    """One day of a topic in one language (docs/trends.md)."""

    topic: str
    day: date
    language: str = Field(description="`all`: all of them together.")
    entries: int = Field(description="On the topic, every copy of an article.")
    articles: int = Field(description="On the topic.")
    total_articles: int = Field(description="On anything, of the same feeds.")
    threats: int
    acts: int
    stories: int
    total_stories: int
    index_value: float | None = Field(description="100 is usual; null: there is too little to tell.")
    threats_value: float | None
    acts_value: float | None
    stories_value: float | None
    score: float | None = Field(description="How unusual the day is; null: there is too little to tell.")


class Condition(Answer):
    """Something the matter with a feed."""

    kind: str
    message: str
    ill: bool = Field(description="Nothing comes from the feed.")


class Feed(Answer):
    """A feed and how it is doing."""

    id: int
    url: str
    title: str | None
    site_url: str | None
    language: str | None
    tags: tuple[str, ...] = Field(description="The operator's labels.")
    status: model.FeedStatus
    http_status: int | None
    last_error: str | None
    failures: float
    last_polled_at: datetime | None
    last_success_at: datetime | None
    next_poll_at: datetime | None
    interval_seconds: float | None
    silent_since: datetime | None
    entries: int
    entries_per_week: float
    conditions: tuple[Condition, ...] = Field(description="The worst first; none where all is well.")

    @classmethod
    def of(cls, report: FeedReport) -> Self:
        """The feed in the words of the API; passwords in addresses are masked."""
        state, wish = report.state, report.subscription
        return cls(
            id=report.id,
            url=masked(state.url),
            title=_masked(wish.name or state.title),
            site_url=uri(state.site_url),
            language=wish.language or state.language,
            tags=wish.tags,
            status=state.status,
            http_status=state.http_status,
            last_error=_masked(state.last_error),
            failures=state.failures,
            last_polled_at=state.last_polled_at,
            last_success_at=state.last_success_at,
            next_poll_at=state.next_poll_at,
            interval_seconds=None if state.interval is None else state.interval.total_seconds(),
            silent_since=state.silent_since,
            entries=report.entries,
            entries_per_week=report.entries_per_week,
            conditions=tuple(_like(Condition, each) for each in health.conditions(report)),
        )


class Poll(Answer):
    """One attempt to read a feed."""

    feed_id: int
    started_at: datetime
    seconds: float
    http_status: int | None
    result: model.PollResult
    entries_new: int
    entries_revised: int
    error: str | None


class Topic(Answer):
    """A subject that is watched."""

    slug: str
    title: str


class Table(Answer):
    """What a question in SQL found."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    whole: bool = Field(description="False where there are more rows than are given.")


class Page(Answer):
    """Part of a list."""

    items: tuple[Any, ...]
    next: str | None = Field(description="Address of the next page; null: this is the last one.")


def page_of(kind: type[Answer]) -> type[Page]:
    """The page of a list of one kind of thing, for the description."""
    return create_model(
        f"{kind.__name__}Page",
        __base__=Page,
        __doc__="Part of a list.",
        items=(tuple[kind, ...], ...),  # type: ignore[valid-type]
    )


class Invalid(Answer):
    """What is wrong with one parameter."""

    parameter: str
    detail: str


class Problem(Answer):
    """What is wrong, and what would be right (RFC 9457)."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: tuple[Invalid, ...] = ()


def _like(kind: type[T], value: object) -> T:
    """A domain value in the words of the API, where both have the same."""
    return kind(**{name: getattr(value, name) for name in kind.model_fields})


def _masked(text: str | None) -> str | None:
    return None if text is None else masked(text)


# ------------------------------------------------------------------------------------- how it is found

Run = Callable[[Site, Mapping[str, Any], Any], tuple[Answer, str | None]]
"""Finds an answer: from the parameters in the path and the query; and the cursor of the next page."""


@dataclass(frozen=True, slots=True)
class _Operation:
    """What can be asked at one path; `versioned`: the answer is made of what the store's version speaks for."""

    path: str
    summary: str
    run: Run
    answer: type[Answer]
    query: type[Query] = Query
    versioned: bool = True


def _page(items: Iterable[Answer], following: str | None = None) -> tuple[Answer, str | None]:
    return Page(items=tuple(items), next=None), following


def _entries(site: Site, _: Mapping[str, Any], query: Selected) -> tuple[Answer, str | None]:
    found, following = site.select(
        query.selection(), since=query.since, before=query.cursor, limit=query.limit
    )
    return _page(map(Entry.of, found), following)


def _entry(site: Site, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return WholeEntry.of(site.entry(at["id"])), None


def _revisions(site: Site, at: Mapping[str, Any], _: Query) -> tuple[Answer, str | None]:
    return _page(_like(Revision, revision) for revision in site.revisions(at["id"]))


def _stories(site: Site, _: Mapping[str, Any], query: Conditioned) -> tuple[Answer, str | None]:
    found, following = site.stories(query.selection(), before=query.cursor, limit=query.limit)
    return _page(map(Story.of, found), following)


def _story(site: Site, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return Story.of(site.story(at["id"])), None


def _article(site: Site, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    entries = site.article(at["id"])
    article = Article(
        id=at["id"],
        canonical_entry_id=entries[0].id,
        entry_count=len(entries),
        feed_count=len({entry.feed_id for entry in entries}),
        first_seen_at=min(entry.first_seen_at for entry in entries),
        entries=tuple(map(Entry.of, entries)),
    )
    return article, None


def _search(site: Site, _: Mapping[str, Any], query: Searched) -> tuple[Answer, str | None]:
    feeds = () if query.feed is None else (query.feed,)
    hits = site.search(query.q, topic=query.topic, feeds=feeds, since=query.since, limit=query.limit)
    return _page(
        Found(
            entry=Entry.of(hit.entry),
            snippet=tuple(Piece(text=text, found=found) for text, found in hit.snippet),
        )
        for hit in hits
    )


def _topics(site: Site, _: Mapping[str, Any], __: Query) -> tuple[Answer, str | None]:
    return _page(Topic(slug=slug, title=title) for slug, title in site.topic_titles().items())


def _daily(site: Site, at: Mapping[str, Any], query: Daily) -> tuple[Answer, str | None]:
    since = date.min if query.since is None else query.since.date()
    days = site.daily(at["slug"], language=query.language, since=since)
    return _page(_like(Day, day) for day in days)


def _feeds(site: Site, _: Mapping[str, Any], query: Paged) -> tuple[Answer, str | None]:
    after = int(_cursor(query, r"[0-9]{1,18}") or 0)
    rest = [report for report in site.feeds() if report.id > after]
    page = rest[: query.limit]
    return _page(map(Feed.of, page), str(page[-1].id) if len(rest) > len(page) else None)


def _feed(site: Site, at: Mapping[str, Any], _: Query) -> tuple[Answer, None]:
    return Feed.of(_report(site, at["id"])), None


def _polls(site: Site, at: Mapping[str, Any], query: Paged) -> tuple[Answer, str | None]:
    _report(site, at["id"])
    found = site.polls(at["id"], before=_cursor(query, r"[0-9TZ:-]{20}"), limit=query.limit + 1)
    shown = found[: query.limit]
    polls = (Poll(**{**row, "error": _masked(row["error"])}) for row in shown)
    return _page(polls, shown[-1]["started_at"] if len(found) > len(shown) else None)


def _cursor(query: Paged, pattern: str) -> str | None:
    if query.cursor is not None and not re.fullmatch(pattern, query.cursor):
        raise UnknownError("there is no page at this cursor; take it from `next`")
    return query.cursor


def _report(site: Site, feed_id: int) -> FeedReport:
    report = next((report for report in site.feeds() if report.id == feed_id), None)
    if report is None:
        raise UnknownError(f"there is no feed {feed_id}; /api/feeds lists them")
    return report


def _sql(site: Site, _: Mapping[str, Any], query: Questioned) -> tuple[Answer, None]:
    return _like(Table, site.ask(query.query)), None


_SQL = _Operation("/api/sql", "What a SELECT finds in the store (docs/store.md)", _sql, Table, Questioned)
"""Answered only where the operator wishes it (`web: sql: true`)."""
_OPERATIONS = (
    _Operation("/api/entries", "Entries, newest first", _entries, page_of(Entry), Selected),
    _Operation("/api/entries/{id:int}", "One entry, whole", _entry, WholeEntry),
    _Operation(
        "/api/entries/{id:int}/revisions", "The earlier versions of an entry", _revisions, page_of(Revision)
    ),
    _Operation("/api/articles/{id:int}", "An article and its entries", _article, Article),
    _Operation("/api/stories", "Stories, newest first", _stories, page_of(Story), Conditioned),
    _Operation("/api/stories/{id:int}", "A story and who tells it", _story, Story),
    _Operation("/api/search", "Entries that match a query, best first", _search, page_of(Found), Searched),
    _Operation("/api/topics", "The topics that are watched", _topics, page_of(Topic), versioned=False),
    _Operation(
        "/api/topics/{slug}/daily",
        "A topic's index, day by day",
        _daily,
        page_of(Day),
        Daily,
        versioned=False,
    ),
    _Operation("/api/feeds", "All feeds, with their health", _feeds, page_of(Feed), Paged, versioned=False),
    _Operation("/api/feeds/{id:int}", "One feed, with its health", _feed, Feed, versioned=False),
    _Operation(
        "/api/feeds/{id:int}/polls",
        "A feed's polls, newest first",
        _polls,
        page_of(Poll),
        Paged,
        versioned=False,
    ),
)

# ------------------------------------------------------------------------------------------- over HTTP


class Api:
    """Everything below `/api/`, and `/openapi.json`: a bare ASGI application."""

    def __init__(self, site: Site) -> None:
        self._site = site
        operations = (*_OPERATIONS, _SQL) if site.settings.web.sql else _OPERATIONS
        self._routes = [(compile_path(operation.path), operation) for operation in operations]
        self._version = version("aggregator")

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is the API's."""
        return path.startswith("/api/") or path in {"/api", "/openapi.json"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one GET or HEAD.

        Raises:
            AggregatorError: it cannot be answered now.
        """
        try:
            response = await run_in_threadpool(self._response, scope)
        except UnknownError as error:
            response = self.error(scope, 404, "Not here", str(error))
        except QueryError as error:
            response = self.error(scope, 400, "Not a question we can answer", str(error))
        await response(scope, receive, send)

    def error(
        self,
        _: Scope,
        status: int,
        title: str,
        text: str,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Invalid] = (),
    ) -> Response:
        """An answer that says what is wrong and what would be right (RFC 9457)."""
        problem = Problem(title=title, status=status, detail=text, errors=tuple(errors))
        headers = {
            "Cache-Control": "no-store",
            "Content-Type": "application/problem+json; charset=utf-8",
            **(headers or {}),
        }
        return Response(problem.model_dump_json(), status, headers)

    def _response(self, scope: Scope) -> Response:
        if scope["path"] == "/openapi.json":
            return _document(scope, self._description)
        for (pattern, _, convertors), operation in self._routes:
            found = pattern.match(scope["path"]) if len(scope["path"]) < LONGEST_PATH else None
            if found:
                at = {name: convertors[name].convert(value) for name, value in found.groupdict().items()}
                if at.get("id", 0) <= LARGEST:
                    return self._operate(scope, operation, at)
        raise UnknownError("There is nothing at this address; /openapi.json describes what there is.")

    def _operate(self, scope: Scope, operation: _Operation, at: Mapping[str, Any]) -> Response:
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        asked = [(name, value) for name, value in given if name != "token"]
        query = _understood(operation.query, asked)
        if not isinstance(query, Query):
            text = "; ".join(f"{error.parameter}: {error.detail}" for error in query)
            return self.error(scope, 400, "Not a question we can answer", text, errors=query)
        known = None
        if operation.versioned:
            state = f"{self._version} {self._site.version()} {scope['path']}?{urlencode(sorted(asked))}"
            known = _tag(state.encode())
            if _has(scope, known):
                return _unchanged(known)
        answer, following = operation.run(self._site, at, query)
        headers = {}
        if following is not None:
            again = [*((name, value) for name, value in given if name != "cursor"), ("cursor", following)]
            address = f"{scope['path']}?{urlencode(again)}"
            headers["Link"] = f'<{address}>; rel="next"'
            answer = answer.model_copy(update={"next": address})
        return _document(scope, answer.model_dump_json().encode(), known, headers)

    @cached_property
    def _description(self) -> bytes:
        return json.dumps(self.description(), ensure_ascii=False).encode()

    def description(self) -> dict[str, Any]:
        """The OpenAPI document."""
        answers = {operation.answer for _, operation in self._routes} | {Problem}
        _, schemas = models_json_schema(
            [(answer, "serialization") for answer in sorted(answers, key=lambda answer: answer.__name__)],
            ref_template="#/components/schemas/{model}",
        )
        return {
            "openapi": "3.1.0",
            "info": {
                "title": "aggregator",
                "version": self._version,
                "summary": "Read-only access to feeds, entries, articles and stories.",
                "license": {"name": "MIT", "identifier": "MIT"},
            },
            "servers": [{"url": "/"}],
            "security": [{}, {"password": []}, {"token": []}],
            "paths": {
                path: {"get": _described(operation, parameters)}
                for (_, path, parameters), operation in self._routes
            },
            "components": {
                "schemas": schemas["$defs"],
                "securitySchemes": {
                    "password": {
                        "type": "http",
                        "scheme": "basic",
                        "description": "Any user name; the password, or the token.",
                    },
                    "token": {"type": "apiKey", "in": "query", "name": "token"},
                },
            },
        }


_IN_PATH: dict[str, Any] = {
    "id": {"type": "integer", "minimum": 0, "maximum": LARGEST},
    "slug": {"type": "string", "pattern": "^[a-z0-9-]{1,100}$"},
}


def _described(operation: _Operation, in_path: Mapping[str, Any]) -> dict[str, Any]:
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


def _understood(kind: type[Query], asked: Sequence[tuple[str, str]]) -> Query | tuple[Invalid, ...]:
    """The parameters as the domain has them, or what is wrong with each."""
    found: dict[str, str] = {}
    try:
        query = kind.model_validate(dict(asked))
    except ValidationError as error:
        for details in error.errors(include_url=False):  # of several about one, the first says it best
            found.setdefault(str(details["loc"][0])[:80], _in_words(details))
    else:
        twice = (name for name, times in Counter(name for name, _ in asked).items() if times > 1)
        found = dict.fromkeys(twice, "this parameter stands more than once")
        if not found:
            return query
    return tuple(Invalid(parameter=name, detail=text) for name, text in found.items())[:WORST]


def _in_words(details: ErrorDetails) -> str:
    match details["type"]:
        case "extra_forbidden":
            return "there is no such parameter here"
        case "missing":
            return "this parameter is missing"
        case "value_error":
            return str(details["ctx"]["error"])
        case _:
            return details["msg"]


def _document(
    scope: Scope, body: bytes, etag: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A JSON document, or 304 where the client has it already."""
    etag = etag or _tag(body)
    if _has(scope, etag):
        return _unchanged(etag)
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", **(headers or {})}
    return Response(body, headers=headers, media_type="application/json; charset=utf-8")


def _unchanged(etag: str) -> Response:
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": "private, no-cache"})


def _has(scope: Scope, etag: str) -> bool:
    return not_modified(header(scope, b"if-none-match"), None, etag, _EPOCH)


def _tag(state: bytes) -> str:
    return f'"{blake2b(state, digest_size=16).hexdigest()}"'
