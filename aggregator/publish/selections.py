"""Every question is a feed: conditions as the parameters of an address, by the words of feeds.yaml."""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from aggregator.errors import UnknownError
from aggregator.model import OutputFeed
from aggregator.text import clean

LONGEST = 200
"""Characters in a condition."""
MOST = 1_000
"""Entries in a document."""


EVERYTHING = OutputFeed("")
"""Every entry, each article once: what an address narrows that names no feed."""


class SelectionError(UnknownError):
    """Conditions in an address that say nothing we know; the message says what would be right."""


def _word(value: str) -> str:
    value = " ".join(clean(value).split())
    if not value:
        raise ValueError("nothing stands there")
    if len(value) > LONGEST:
        raise ValueError(f"it has at most {LONGEST} characters")
    return value


def _language(value: str) -> str:
    if not re.fullmatch("[A-Za-z]{2,3}", value):
        raise ValueError("a language is written as its ISO 639-1 code, such as en, es or id")
    return value.lower()


def _country(value: str) -> str:
    if not re.fullmatch("[A-Za-z]{2}", value):
        raise ValueError("a country is written as its ISO 3166-1 code of two letters, such as VE or TT")
    return value.upper()


def _score(value: str) -> float:
    try:
        score = float(value)
    except ValueError:
        score = math.nan
    if not 0 <= score < math.inf:
        raise ValueError("a score is a number from 0 up, such as 2 or 2.5")
    return score


def _count(value: str) -> int:
    if not re.fullmatch("[0-9]{1,4}", value) or not 1 <= int(value) <= MOST:
        raise ValueError(f"it is a whole number from 1 to {MOST}")
    return int(value)


def _yes(value: str) -> bool:
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if value.lower() not in known:
        raise ValueError("it is true or false")
    return known[value.lower()]


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


def narrowed(output: OutputFeed, parameters: Iterable[tuple[str, str]]) -> OutputFeed:
    """An output feed under further conditions.

    Args:
        output: the feed; of ours, or `EVERYTHING`.
        parameters: of an address: names of `Selection`'s conditions, and `limit`.

    Raises:
        SelectionError: a name is not known or stands twice, a value cannot be, or `output` sets the condition itself.
    """
    changes: dict[str, Any] = {}
    for name, value in parameters:
        if name not in _READ:
            near = difflib.get_close_matches(name.lower(), _READ, n=1)
            known = f"did you mean {near[0]}?" if near else f"there are: {', '.join(_READ)}."
            raise SelectionError(f"There is no condition “{clean(name)[:80]}”; {known}")
        if name in changes:
            raise SelectionError(f"The condition {name} stands twice.")
        if name not in {"limit", "copies"} and getattr(output, name) is not None:
            raise SelectionError(f"The feed {output.name} has a {name} already: {getattr(output, name)}.")
        try:
            changes[name] = _READ[name](value.strip())
        except ValueError as error:
            raise SelectionError(f"{name}=“{clean(value)[:80]}” cannot be: {error}.") from None
    result = replace(output, **changes)
    if result.aspect and not result.topic:
        raise SelectionError("An aspect belongs to a topic; name it with topic=.")
    return result


def query_of(output: OutputFeed, base: OutputFeed) -> str:
    """The parameters that narrow `base` to `output`, always in one order, as part of an address."""
    return urlencode(
        [
            (
                name,
                str(value).lower()
                if isinstance(value, bool)
                else f"{value:g}"
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
