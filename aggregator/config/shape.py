"""The shape of feeds.yaml: which keys there are, what each may hold, and what to say when it holds something else.

These models check the file and are the source of its JSON Schema. Defaults come from `aggregator.model`.
"""

import difflib
import re
from collections.abc import Iterable
from datetime import date, timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails

from aggregator.model import FetchSettings, OutputFeed, Period, PushSettings, RemoteList, Settings
from aggregator.text import LONGEST_LINE, LONGEST_URL

# ------------------------------------------------------------------------------ one value each

_UNITS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(\d{1,10}(?:\.\d{1,9})?)\s*([smhd])")
_LONGEST = timedelta(days=36_500)
_URL = re.compile(
    r"https?://(?:[^\s/?#@]*@)?(?:\[[0-9a-f:.]+\]|[^\s/?#@:\[\]]+)(?::(\d{1,5}))?(?:[/?#]\S*)?", re.IGNORECASE
)
_HOST = re.compile(r"[\w-]+(\.[\w-]+)+(:\d+)?(/\S*)?")
_LANGUAGE = re.compile(r"([a-z]{2,3})(-[a-z0-9]+)*", re.IGNORECASE)
_SHORTEST_PASSWORD = 8
_LISTED = 20  # names that a message holds at most
_NAME = r"[a-z0-9]+(-[a-z0-9]+)*"


def spell(duration: timedelta | None) -> str:
    """A duration as feeds.yaml writes it, in the largest unit that needs no fraction: `15m`, `365d`, `never`."""
    if duration is None:
        return "never"
    seconds = duration.total_seconds()
    unit = next((unit for unit, size in _UNITS.items() if seconds % size == 0), "s")
    return f"{seconds / _UNITS[unit]:.12g}{unit}"


def same(url: str) -> str:
    """Equal for addresses that differ only in the case of scheme and host."""
    start, slashes, rest = url.partition("://")
    host, _, path = rest.partition("/")
    return f"{start.lower()}{slashes}{host.lower()}/{path}"


def _duration(value: object) -> timedelta:
    found = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, int | float) and not isinstance(value, bool):
            raise ValueError(f"a time needs its unit: {value}s, {value}m, {value}h or {value}d")
        raise ValueError("a time is a number and its unit, s, m, h or d: such as 90s, 15m, 1.5h or 365d")
    seconds = float(found[1]) * _UNITS[found[2]]
    if not 1 <= seconds <= _LONGEST.total_seconds():
        raise ValueError(f"a time is at least 1s and at most {spell(_LONGEST)}")
    return timedelta(seconds=seconds)


def _retention(value: object) -> timedelta | None:
    if value == spell(None):
        return None
    if value is None:  # to take a default here could delete what someone meant to keep
        raise ValueError("nothing stands here; write a time such as 365d, or never")
    return _duration(value)


def _pause(value: object) -> timedelta:
    return timedelta() if value == "0s" else _duration(value)


def _hourly(value: timedelta) -> timedelta:
    if value < timedelta(hours=1):
        raise ValueError("a list is asked at most once an hour; write 1h or more")
    return value


def _url(value: str) -> str:
    found = _URL.fullmatch(value)
    if len(value) > LONGEST_URL:
        raise ValueError(f"an address has at most {LONGEST_URL} characters; this one has {len(value)}")
    if found and int(found[1] or 0) > 65_535:
        raise ValueError("the port of an address is at most 65535")
    if found:
        return value
    if _HOST.fullmatch(value):
        raise ValueError(f"an address begins with https:// or http://; did you mean https://{value}?")
    if re.search(r"\s", value):
        raise ValueError("an address has no white space in it; a space is written %20")
    raise ValueError("this is no address of the web, such as https://example.org/feed (https or http)")


def _public_url(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("other addresses begin with this one, so it has no ? and no #")
    return value.rstrip("/")


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(value if isinstance(value, str) else "")
    except ValueError:
        pass
    try:
        wider = ip_network(value if isinstance(value, str) else "", strict=False)
    except ValueError:
        raise ValueError("this is no address or network, such as 127.0.0.1 or 192.168.0.0/16") from None
    raise ValueError(f"this is an address within a network; did you mean {wider}?")


def _language(value: str) -> str:
    if found := _LANGUAGE.fullmatch(value):
        return found[1].lower()
    raise ValueError("a language is written as its ISO 639-1 code, such as en, es or id")


def _country(value: str) -> str:
    if re.fullmatch("[A-Za-z]{2}", value):
        return value.upper()
    raise ValueError("a country is written as its ISO 3166-1 code of two letters, such as VE or TT")


def _name(value: str) -> str:
    if re.fullmatch(_NAME, value):
        return value
    better = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
    hint = f"; did you mean {better}?" if better else ""
    raise ValueError(f"a name is part of an address: lower-case letters, digits and single hyphens{hint}")


MADE = {"health": "the feed of your feeds' own health", "unusual": "the feed of unusual days"}
"""Output feeds that there are anyway."""


def _free(value: str) -> str:
    if value in MADE:
        raise ValueError(f"{MADE[value]} has this name already; choose another")
    return value


def _period(value: object) -> Period:
    first, _, last = str(value).partition("/")
    try:
        period = Period(date.fromisoformat(first.strip()), date.fromisoformat(last.strip()))
    except ValueError:
        raise ValueError("a period is written as its first and its last day: 2025-01-01/2025-03-31") from None
    if period.last - period.first < timedelta(days=6):
        raise ValueError("a period has seven days at least, and its first day stands first")
    return period


def _header(value: str) -> str:
    if value.isascii() and value.isprintable():
        return value
    raise ValueError("a header is one line of ASCII characters")


def password(value: str) -> str:
    """A password that is long enough. Raises ValueError where it is not."""
    if len(value) >= _SHORTEST_PASSWORD:
        return value
    raise ValueError(f"a password has at least {_SHORTEST_PASSWORD} characters")


def sqlite_path(value: str) -> str:
    """The path in what names the database. Raises ValueError where it is the address of another one."""
    path = value.removeprefix("sqlite:///")
    if "://" not in path and not path.startswith(("file:", "sqlite:")):
        return path
    found = re.match(r"file:(?://(?=/))?([^?]+)", path)
    hint = f"; did you mean {found[1]}?" if found else ""
    raise ValueError(f"the database is an SQLite file, named by its path, or as sqlite:///path{hint}")


def _or(empty: object) -> BeforeValidator:
    """A key whose values are all commented out says the same as no key."""
    return BeforeValidator(lambda value: empty if value is None else value)


_TIME_PATTERN = r"^\d+(\.\d+)?\s*[smhd]$|^env:"
_TOPIC_SCHEMA = {
    "anyOf": [
        {"type": "string", "description": "A topic pack that ships with the package."},
        {
            "type": "object",
            "description": "A topic file of your own.",
            "properties": {
                "file": {
                    "type": "string",
                    "description": "Its path; a relative one begins at this file's folder.",
                }
            },
            "required": ["file"],
            "additionalProperties": False,
        },
        {"type": "object", "description": "A topic written out here.", "required": ["slug"]},
    ]
}

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST_LINE)]
Url = Annotated[str, AfterValidator(_url), WithJsonSchema({"type": "string", "pattern": "^(https?://|env:)"})]
Language = Annotated[Text, AfterValidator(_language)]
Country = Annotated[Text, AfterValidator(_country)]
Name = Annotated[Text, AfterValidator(_name)]
Count = Annotated[int, Field(strict=True, ge=1)]
Duration = Annotated[
    timedelta, PlainValidator(_duration), WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN})
]
Pause = Annotated[
    timedelta, PlainValidator(_pause), WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN})
]
Retention = Annotated[
    timedelta | None,
    PlainValidator(_retention),
    WithJsonSchema({"type": "string", "pattern": _TIME_PATTERN + "|^never$"}),
]
Days = Annotated[
    Period,
    PlainValidator(_period),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-\d\d-\d\d/\d{4}-\d\d-\d\d$|^env:"}),
]
Network = Annotated[IPv4Network | IPv6Network, PlainValidator(_network), WithJsonSchema({"type": "string"})]
Password = Annotated[
    str, AfterValidator(password), WithJsonSchema({"type": "string", "pattern": "^env:", "writeOnly": True})
]
Topic = Annotated[Any, WithJsonSchema(_TOPIC_SCHEMA)]

# ---------------------------------------------------------------------------- the whole file

_FETCH = FetchSettings()
_PUSH = PushSettings()
_SETTINGS = Settings()


class Section(BaseModel):
    """A block of keys, all of them known."""

    model_config = ConfigDict(
        extra="forbid", defer_build=True
    )  # four schemas cost twice what the file's does


class Addressed(Section):
    """What may be written as its bare address."""

    @model_validator(mode="before")
    @classmethod
    def _bare_address(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        block = handler.resolve_ref_schema(handler(core))
        return {"anyOf": [block["properties"]["url"], block]}


class Feed(Addressed):
    """A feed to follow: its address, or a block of keys where there is more to say."""

    url: Url = Field(description="Address of the feed, or of a site whose feed is to be found.")
    name: Text | None = Field(None, description="What to call it; without it, the feed's own title.")
    language: Language | None = Field(
        None, description="ISO 639-1 code of its language, a hint for language detection."
    )
    tags: Annotated[tuple[Text, ...], _or(())] = Field((), description="Labels of your own.")
    every: Duration | None = Field(
        None, description="Fixed poll interval such as 15m; without it, the interval adapts to the feed."
    )
    enabled: bool = Field(True, description="false keeps what is stored and polls no more.")


class List(Addressed):
    """A list of feeds elsewhere: its address, or a block of keys where there is more to say."""

    url: Url = Field(description="Address of an OPML document; the feeds it names are followed.")
    tags: Annotated[tuple[Text, ...], _or(())] = Field(
        (), description="Labels of your own for all of its feeds, beside its folders."
    )
    every: Annotated[Duration, AfterValidator(_hourly)] = Field(
        spell(RemoteList("").every),
        validate_default=True,
        description="How often it is asked what it says now, from 1h up.",
    )


class Output(Section):
    """A feed to publish."""

    name: Annotated[Name, AfterValidator(_free)] = Field(
        description="It is served as /feeds/<name>.atom, .rss and .json."
    )
    title: Text | None = Field(None, description="Its title; without it, the topic's title or the name.")
    topic: Text | None = Field(None, description="Slug of the topic it carries; without it, all entries.")
    aspect: Text | None = Field(None, description="Only entries with this aspect of the topic.")
    feed: Text | None = Field(None, description="Only entries of the feed with this name or address.")
    tag: Text | None = Field(None, description="Only entries of feeds with this label of yours.")
    language: Language | None = Field(None, description="Only entries in this language (ISO 639-1 code).")
    country: Country | None = Field(
        None, description="Only entries whose text is about this country (ISO 3166-1 code of two letters)."
    )
    search: Text | None = Field(None, description="Only entries that match this full-text query.")
    min_score: Annotated[float, Field(strict=True, ge=0)] | None = Field(
        None, description="Only entries whose score for the topic is at least this."
    )
    min_outlets: Annotated[Count, Field(le=1_000)] | None = Field(
        None, description="Only entries whose story so many outlets tell."
    )
    copies: bool = Field(False, description="true carries every copy of an article, not each article once.")
    limit: Annotated[Count, Field(le=1_000)] = Field(
        OutputFeed("").limit,
        description="At most this many entries in the document that readers subscribe to, newest first.",
    )


class Publish(Section):
    """Feeds as files."""

    dir: Text | None = Field(
        None,
        description="Folder that the output feeds are written to whenever they change; a relative path begins at this "
        "file's folder.",
    )


class Fetch(Section):
    """Behaviour on the network."""

    allow_addresses: Annotated[tuple[Network, ...], _or(())] = Field(
        _FETCH.allow_addresses,
        description="Private, loopback and link-local networks that may be connected to; others are refused.",
    )
    user_agent: Annotated[Text, AfterValidator(_header)] | None = Field(
        _FETCH.user_agent,
        description="The User-Agent header; it should say where you can be reached.",
    )
    concurrency: Annotated[Count, Field(le=1_000)] = Field(
        _FETCH.concurrency, description="Requests in flight at once, over all hosts."
    )
    per_host: Annotated[Count, Field(le=1_000)] = Field(
        _FETCH.per_host, description="Requests in flight at once to one host."
    )
    spacing: Pause = Field(
        spell(_FETCH.spacing),
        validate_default=True,
        description="Time between two polls of one host, or 0s; this machine's own addresses need none.",
    )
    retry_after: Literal["host", "feed", "domain"] = Field(
        "host",
        description="Whether a server's Retry-After holds for all feeds of its host, for the one feed, or for all "
        "hosts of its registrable domain, as on a platform that gives each of its sites a host.",
    )
    timeout: Duration = Field(
        spell(_FETCH.timeout),
        validate_default=True,
        description="Limit on one request, from connecting to the last byte.",
    )
    max_bytes: Annotated[Count, Field(ge=1_024)] = Field(
        _FETCH.max_bytes, description="Limit on one document after decompression, in bytes."
    )
    budget: Count | None = Field(
        _FETCH.budget,
        description="Requests a day for all feeds together, spent where they save most delay; "
        "without it, as many as the feeds' rhythms are worth.",
    )


class Web(Section):
    """What pages show, and to whom."""

    password: Password | None = Field(
        None,
        description="env:NAME, a variable that holds the password people log in with, or better its hash, which "
        "`aggregator password` prints. Any address but this machine's own needs it, or AGGREGATOR_TOKEN.",
    )
    images: Literal["hide", "show"] = Field(
        "hide", description="Whether pages show the images of entries; their publishers then see who reads."
    )
    sql: bool = Field(
        False,
        description="Whether /api/sql answers questions in SQL, read-only and bounded in time and size.",
    )


class Trend(Section):
    """How much is told of a topic each day."""

    baseline: Days | None = Field(
        None,
        description="The first and the last day of those whose mean is 100; without it, the first four weeks with "
        "enough in them.",
    )


class Push(Section):
    """News that is sent without being asked for (WebSub)."""

    hubs: Annotated[tuple[Url, ...], _or(())] = Field(
        _PUSH.hubs,
        description="Other hubs to be told of news, instead of the one that is built in.",
    )
    subscribe: bool = Field(
        _PUSH.subscribe,
        description="Whether to subscribe at the hubs that feeds name; it takes a public_url.",
    )


class File(Section):
    """Which feeds to follow, which topics to watch for, which feeds to publish."""

    feeds: Annotated[tuple[Feed, ...], _or(())] = Field((), description="The feeds to follow.")
    lists: Annotated[tuple[List, ...], _or(())] = Field(
        (), description="OPML documents elsewhere; the feeds they name are followed, too, and kept in step."
    )
    topics: Annotated[tuple[Topic, ...], _or(())] = Field((), description="The topics to watch for.")
    output: tuple[Output, ...] | None = Field(
        None, description="The feeds to publish; without it, one for each topic, and all."
    )
    publish: Annotated[Publish, _or({})] = Field(
        {}, validate_default=True, description="Where to write the output feeds as files."
    )
    fetch: Annotated[Fetch, _or({})] = Field(
        {}, validate_default=True, description="How to behave on the network."
    )
    web: Annotated[Web, _or({})] = Field(
        {}, validate_default=True, description="Pages, and who may see them."
    )
    trend: Annotated[Trend, _or({})] = Field(
        {}, validate_default=True, description="How much is told of each topic, day by day."
    )
    push: Annotated[Push, _or({})] = Field(
        {}, validate_default=True, description="How news go out and come in unasked (WebSub)."
    )
    retention: Retention = Field(
        spell(_SETTINGS.retention),
        validate_default=True,
        description="How long entries are kept once their feed no longer shows them: a time, or never.",
    )
    database: Annotated[Text, AfterValidator(sqlite_path)] = Field(
        _SETTINGS.database, description="The SQLite file; a relative path begins at this file's folder."
    )
    public_url: Annotated[Url, AfterValidator(_public_url)] | None = Field(
        _SETTINGS.public_url, description="The address under which readers reach this server."
    )


_SECTIONS: dict[str, type[Section]] = {
    "feeds": Feed,
    "lists": List,
    "output": Output,
    "publish": Publish,
    "fetch": Fetch,
    "web": Web,
    "trend": Trend,
    "push": Push,
}


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of feeds.yaml, for editors and their YAML language server."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **File.model_json_schema(),
        "title": "feeds.yaml",
    }


# ------------------------------------------------------------------------- what is wrong, in words

_EXPECTED = {
    "string_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list, each item after `- ` on a line of its own,",
    "model_type": "a block of `key: value` lines",
}


def describe(error: ErrorDetails) -> str:
    """One of pydantic's findings, in words for the person who wrote the file."""
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            *parents, key = error["loc"]
            section = _SECTIONS[str(parents[0])] if parents else File
            return f"this key is not known; {nearest(str(key), section.model_fields, 'keys')}"
        case "missing":
            return "this key is missing"
        case "value_error":
            return str(context["error"])
        case "string_too_short":
            return "nothing stands here"
        case "string_too_long":
            return f"a text has at most {context['max_length']} characters here"
        case "greater_than_equal":
            return f"this number is at least {context['ge']}"
        case "less_than_equal":
            return f"this number is at most {context['le']}"
        case "literal_error":
            choice = context["expected"].replace("'", "")
            near = difflib.get_close_matches(str(error["input"]).lower(), re.findall(r"\w+", choice), n=1)
            return f"{choice} is expected here" + (f"; did you mean {near[0]}?" if near else "")
        case "string_unicode":
            return "this is not UTF-8"
        case "string_type" if isinstance(error["input"], int | float):
            return f"a text is expected here, not {kind(error['input'])}; put it in quotes"
        case known if known in _EXPECTED:
            return f"{_EXPECTED[known]} is expected here, not {kind(error['input'])}"
        case _:
            return error["msg"]


def kind(value: object) -> str:
    """What sort of thing a value is."""
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case str():
            return "a text"
        case list():
            return "a list"
        case _:
            return "a block of `key: value` lines"


def nearest(word: str, known: Iterable[str], what: str) -> str:
    """The end of a message about an unknown word: the known one that resembles it, else the first of all."""
    known = {name.lower(): name for name in known}
    if near := difflib.get_close_matches(word.lower(), known, n=1):
        return f"did you mean {known[near[0]]}?"
    if not known:
        return f"there are no {what}"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"the {what} are {', '.join([*known.values()][:_LISTED])}{more}"
