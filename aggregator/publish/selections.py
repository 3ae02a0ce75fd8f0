"""Every question is a feed: conditions as the parameters of an address, by the words of feeds.yaml.

Output feeds, pages and the API read them here alike; whether what they name is there, `output.Outputs.check` sees.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aggregator.errors import QueryError
from aggregator.model import OutputFeed
from aggregator.text import clean

LONGEST = 500
"""Characters in a condition: an address of a feed may be long."""
MOST = 1_000
"""Entries in a document, and the most outlets that can be asked for."""
HIGHEST = 1_000_000
"""The highest score that can be asked for."""
CURSOR = "[0-9]{8}T[0-9]{6}Z-[0-9]{1,18}"
"""A place in a list of entries or stories, as addresses name it."""

EVERYTHING = OutputFeed("")
"""Every entry, each article once: what an address narrows that names no feed."""


def _word(value: str) -> str:
    if not value:
        raise ValueError("nothing stands there")
    if len(value) > LONGEST:
        raise ValueError(f"it has at most {LONGEST} characters")
    return " ".join(clean(value).split())


def _language(value: str) -> str:
    if not re.fullmatch("[A-Za-z]{2,3}", value):
        raise ValueError("a language is written as its ISO 639-1 code, such as en, es or id")
    return value.lower()


def _country(value: str) -> str:
    if not re.fullmatch("[A-Za-z]{2}", value):
        raise ValueError("a country is written as its ISO 3166-1 code of two letters, such as VE or TT")
    return value.upper()


def _score(value: str) -> float:
    if not re.fullmatch(r"[0-9]{1,20}(\.[0-9]{1,30})?(e[+-]?[0-9]{1,3})?", value, re.IGNORECASE) or (
        (score := float(value)) > HIGHEST
    ):
        raise ValueError(f"a score is a number from 0 to {HIGHEST:,}, such as 2 or 2.5")
    return score


def _count(value: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", value) or not 1 <= int(value) <= MOST:
        raise ValueError(f"it is a whole number from 1 to {MOST}")
    return int(value)


def _yes(value: str) -> bool:
    if value.lower() not in YES_OR_NO:
        raise ValueError("it is true or false")
    return YES_OR_NO[value.lower()]


YES_OR_NO = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
"""How `copies` is written."""


_READ: Mapping[str, Callable[[str], Any]] = {
    "topic": _word,
    "aspect": _word,
    "feed": _word,
    "tag": _word,
    "language": _language,
    "country": _country,
    "search": _word,
    "min_score": _score,
    "min_outlets": _count,
    "copies": _yes,
    "limit": _count,
}
PARAMETERS = tuple(_READ)
"""The words that an address may use: those of `Selection`, and `limit`."""


def read(name: str, value: str) -> Any:
    """The value of a condition, one of `PARAMETERS`, from how an address writes it.

    Raises:
        ValueError: it cannot be; the message says what would be right.
    """
    return _READ[name](value.strip())


def read_cursor(cursor: str) -> str:
    """A cursor from an address. Raises QueryError for what is none."""
    if not re.fullmatch(CURSOR, cursor):
        raise QueryError(
            f"“{clean(cursor)[:80]}” is no place in a list; one looks like 20251120T120000Z-123, "
            "and stands in the address of the next page."
        )
    return cursor


def narrowed(output: OutputFeed, parameters: Iterable[tuple[str, str]]) -> OutputFeed:
    """An output feed under further conditions.

    Args:
        output: the feed; of ours, or `EVERYTHING`.
        parameters: of an address: names of `Selection`'s conditions, and `limit`.

    Raises:
        QueryError: a name is not known or stands twice, a value cannot be, or `output` sets the condition itself.
    """
    changes: dict[str, Any] = {}
    for name, value in parameters:
        if name not in _READ:
            near = difflib.get_close_matches(name.lower(), _READ, n=1)
            known = f"did you mean {near[0]}?" if near else f"there are: {', '.join(_READ)}."
            raise QueryError(f"There is no condition “{clean(name)[:80]}”; {known}")
        if name in changes:
            raise QueryError(f"The condition {name} stands twice.")
        if name not in {"limit", "copies"} and getattr(output, name) is not None:
            raise QueryError(f"The feed {output.name} has a {name} already: {getattr(output, name)}.")
        try:
            changes[name] = read(name, value)
        except ValueError as error:
            raise QueryError(f"{name}=“{clean(value)[:80]}” cannot be: {error}.") from None
    result = replace(output, **changes)
    if output.name and result.limit > output.limit:
        raise QueryError(
            f"The feed {output.name} holds at most {output.limit} at once; limit= can only lower it."
        )
    return result


def query_of(output: OutputFeed, base: OutputFeed) -> str:
    """The parameters that narrow `base` to `output`, always in one order, as part of an address."""
    return urlencode(
        [
            (
                name,
                str(value).lower()
                if isinstance(value, bool)
                else f"{value:.15g}"
                if isinstance(value, float)
                else value,
            )
            for name in _READ
            if (value := getattr(output, name)) != getattr(base, name)
        ]
    )


_SAID = {
    "topic": "on {}", "aspect": "about {}", "feed": "from {}", "tag": "from feeds labelled {}", "language": "in {}",
    "country": "about {}", "search": "with “{}”", "min_score": "with a score of at least {:g}",
    "min_outlets": "told by at least {} outlets",
}  # fmt: skip


def conditions(output: OutputFeed, titles: Mapping[str, str], base: OutputFeed = EVERYTHING) -> str:
    """The conditions that narrow `base` in words, as `on Caribbean tension, in es`; empty where there are none.

    Args:
        output: the feed.
        titles: of the topics, by slug.
        base: what need not be said.
    """
    said = []
    for name, words in _SAID.items():
        value = getattr(output, name)
        if value is not None and value != getattr(base, name):
            named = {"topic": titles.get(str(value), value), "aspect": str(value).replace("-", " ")}
            said.append(words.format(named.get(name, value)))
    if output.copies and not base.copies:
        said.append("every copy")
    return ", ".join(said)


def title_of(output: OutputFeed, titles: Mapping[str, str], base: OutputFeed | None = None) -> str:
    """What an output feed is called: its own title, or its topic's, or its name.

    Args:
        output: the feed.
        titles: of the topics, by slug.
        base: what it narrows; its title comes first, then the conditions.
    """
    if base is not None and (more := conditions(output, titles, base)):
        return f"{title_of(base, titles)}, {more}"
    if output.title:
        return output.title
    if not output.topic:
        return "All entries" if output.name in {"all", ""} else output.name
    title = titles.get(output.topic, output.topic)
    return f"{title}: {output.aspect.replace('-', ' ')}" if output.aspect else title
