"""What may be asked: the query of each operation, checked and understood, or else what is wrong with it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
)
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import ErrorDetails

from aggregator.model import Selection
from aggregator.publish.selections import CURSOR, HIGHEST, LONGEST, YES_OR_NO, read
from aggregator.publish.selections import MOST as MOST_OUTLETS
from aggregator.web.api.answers import Invalid

MOST = 200
"""At most so many items on a page."""
WORST = 20
"""So many mistakes in a query are told."""


def _condition(name: str) -> BeforeValidator:
    """Read as addresses of output feeds are, and with the same words where it cannot be."""
    return BeforeValidator(lambda value: read(name, str(value)))


def _matching(pattern: str, otherwise: str) -> BeforeValidator:
    def check(value: object) -> object:
        if not re.fullmatch(pattern, str(value), re.DOTALL):
            raise ValueError(otherwise)
        return value

    return BeforeValidator(check)


def _limit(value: object) -> int:
    if not re.fullmatch("[0-9]{1,9}", str(value)) or not 1 <= int(str(value)) <= MOST:
        raise ValueError(f"it is a whole number from 1 to {MOST}")
    return int(str(value))


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

_FROM_NEXT = "there is no page here; take the cursor from `next`"
_POLLED = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"


def _text(pattern: str, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, **more})


# Something must be left when what nobody can see is taken away (`text.clean`).
_SEEN = r"[^\s\u0000-\u001f\u007f-\u00a0\u2028-\u202f\u2066-\u2069\ufeff\ufffe\uffff]"
Word = Annotated[str, _condition("search"), _text(_SEEN, minLength=1, maxLength=LONGEST)]
Language = Annotated[str, _condition("language"), _text("^[A-Za-z]{2,3}$")]
Country = Annotated[str, _condition("country"), _text("^[A-Za-z]{2}$")]
Score = Annotated[
    float, _condition("min_score"), WithJsonSchema({"type": "number", "minimum": 0, "maximum": HIGHEST})
]
Count = Annotated[
    int, _condition("min_outlets"), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST_OUTLETS})
]
YesOrNo = Annotated[bool, _condition("copies"), WithJsonSchema({"type": "string", "enum": list(YES_OR_NO)})]
Cursor = Annotated[str, _matching(CURSOR, _FROM_NEXT), _text(f"^{CURSOR}$")]
FeedCursor = Annotated[str, _matching("[0-9]{1,18}", _FROM_NEXT), _text("^[0-9]{1,18}$")]
PollCursor = Annotated[str, _matching(_POLLED, _FROM_NEXT), _text(f"^{_POLLED}$")]
Since = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(_MOMENT_SCHEMA)]
Limit = Annotated[
    int, BeforeValidator(_limit), WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST})
]
Statement = Annotated[
    str, _matching(r".*\S.*", "one SELECT is expected"), _text(r"\S", minLength=1, maxLength=20_000)
]


_BEGINS = "Where the page begins: taken from `next`."


class Query(BaseModel):
    """No parameters."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Feeds(Query):
    """A page of the feeds."""

    limit: Limit = Field(50, description="At most so many items.")
    cursor: FeedCursor | SkipJsonSchema[None] = Field(None, description=_BEGINS)


class Polls(Query):
    """A page of a feed's polls."""

    limit: Limit = Field(50, description="At most so many items.")
    cursor: PollCursor | SkipJsonSchema[None] = Field(None, description=_BEGINS)


class Conditioned(Query):
    """A page of what fulfils all conditions (see `model.Selection`)."""

    limit: Limit = Field(50, description="At most so many items.")
    cursor: Cursor | SkipJsonSchema[None] = Field(None, description=_BEGINS)
    topic: Word | SkipJsonSchema[None] = Field(None, description="Slug of the topic they are tagged with.")
    aspect: Word | SkipJsonSchema[None] = Field(None, description="An aspect of the topic.")
    feed: Word | SkipJsonSchema[None] = Field(None, description="Name or address of their feed.")
    tag: Word | SkipJsonSchema[None] = Field(None, description="The operator's label of their feed.")
    language: Language | SkipJsonSchema[None] = Field(None, description="ISO 639-1 code of their language.")
    country: Country | SkipJsonSchema[None] = Field(
        None, description="ISO 3166-1 alpha-2 code of a country that they are about."
    )
    search: Word | SkipJsonSchema[None] = Field(None, description="A full-text query they match.")
    min_score: Score | SkipJsonSchema[None] = Field(None, description="The least score for the topic.")
    min_outlets: Count | SkipJsonSchema[None] = Field(
        None, description="The least number of outlets that tell the story."
    )

    def selection(self) -> Selection:
        """The conditions as the domain has them."""
        names = {field.name for field in fields(Selection)} & type(self).model_fields.keys()
        return Selection(**{name: getattr(self, name) for name in names})


class Selected(Conditioned):
    """A page of entries."""

    copies: YesOrNo = Field(
        False,
        description="Every copy of an article, instead of each article once.",
        json_schema_extra={"default": "false"},
    )
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
    language: Language | SkipJsonSchema[None] = Field(
        None, description="Only entries in this language, by its ISO 639-1 code."
    )
    since: Since | SkipJsonSchema[None] = Field(
        None, description="Only entries listed at this time or later."
    )
    limit: Limit = Field(50, description="At most so many items.")


class Questioned(Query):
    """A question in SQL."""

    query: Statement = Field(description="One SELECT.")


def understood(kind: type[Query], asked: Sequence[tuple[str, str]]) -> Query | tuple[Invalid, ...]:
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
