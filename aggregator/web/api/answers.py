"""What is answered: the shapes of all that the API gives, by the names that the store has for them."""

from datetime import date, datetime
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from aggregator import health, model
from aggregator.duplicates.revisions import Change, difference
from aggregator.model import FeedReport, StoredEntry
from aggregator.publish import uri
from aggregator.text import masked, plain_text


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
    withdrawn_at: datetime | None = Field(description="When its publisher took it back; null: it stands.")
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
                values[name] = tuple(like(kind, value) for value in values[name])
        return cls(**values)


class WholeEntry(Entry):
    """An entry with all that is known of it."""

    content: str = Field(description="Sanitised HTML.")
    text: str = Field(description="Plain text of the content.")
    article_uid: str = Field(description="Names its article in every database.")
    changed_at: datetime = Field(description="When this revision was first seen.")
    significant_at: datetime | None = Field(
        description="When it last changed what it says: as the publisher dates it, else when that was first seen."
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


Version = model.Revision | StoredEntry


class Changed(Answer):
    """A piece of a text that changed: without those that are `new` it is as it was, without those `gone` as it is."""

    text: str
    change: Change


class Revision(Answer):
    """An earlier version of an entry."""

    revision: int
    seen_at: datetime
    title: str
    summary: str = Field(description="Sanitised HTML.")
    content: str = Field(description="Sanitised HTML.")
    title_diff: tuple[Changed, ...] = Field(description="What the version after it made of the title.")
    text_diff: tuple[Changed, ...] = Field(
        description="What the version after it made of the plain text, word by word."
    )

    @classmethod
    def of(cls, before: model.Revision, after: Version) -> Self:
        """The answer for a version, with what the next one changed."""
        values = {name: getattr(before, name) for name in model.Revision.__dataclass_fields__}
        old, new = (plain_text(each.content or each.summary) for each in (before, after))
        return cls(**values, title_diff=_pieces(before.title, after.title), text_diff=_pieces(old, new))


def _pieces(before: str, after: str) -> tuple[Changed, ...]:
    return tuple(Changed(text=text, change=change) for text, change in difference(before, after))


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
        description="Its entries, the earliest first; of a long story the first ones and the newest."
    )
    lead: Entry = Field(description="The entry to show for it.")

    @classmethod
    def of(cls, story: model.Story) -> Self:
        """The story in the words of the API."""
        values = {name: getattr(story, name) for name in cls.model_fields}
        tellings = tuple(like(Telling, telling) for telling in story.tellings)
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
            title=without_password(wish.name or state.title),
            site_url=uri(state.site_url),
            language=wish.language or state.language,
            tags=wish.tags,
            status=state.status,
            http_status=state.http_status,
            last_error=without_password(state.last_error),
            failures=state.failures,
            last_polled_at=state.last_polled_at,
            last_success_at=state.last_success_at,
            next_poll_at=state.next_poll_at,
            interval_seconds=None if state.interval is None else state.interval.total_seconds(),
            silent_since=state.silent_since,
            entries=report.entries,
            entries_per_week=report.entries_per_week,
            conditions=tuple(like(Condition, each) for each in health.conditions(report)),
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
    whole: bool = Field(description="False where there are more rows than are given, or a value was cut.")


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


class Findings(Page):
    """What a search found, the best first."""

    items: tuple[Found, ...]
    note: str | None = Field(
        description="What is wrong with the query, and how it was understood; null: nothing is."
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


def like(kind: type[T], value: object) -> T:
    """A domain value in the words of the API, where both have the same."""
    return kind(**{name: getattr(value, name) for name in kind.model_fields})


def without_password(text: str | None) -> str | None:
    """A text for others: passwords in addresses are masked."""
    return None if text is None else masked(text)
