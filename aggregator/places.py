"""Which countries is a text about? Names, peoples, capitals and cities in Indonesian, English and Spanish.

The names are data (`places.txt`). A country counts by where it is named: a title names its subject, a lead names
who acts, and what comes later is often only background.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

LEAD_WORDS = 35
"""How many words of a text its lead has."""
WORDS = 150
"""How many words are looked at; what a country is named for later is no subject."""
IN_TITLE, IN_LEAD, BEYOND = 4.0, 1.5, 0.5
"""What a name counts, by where it stands; repetitions count half."""
ABOUT = 0.4
"""The share of the weightiest country's weight that another must have: less is a mere mention ..."""
LEAST = 1.0
"""... and so is less than this, whatever the others have."""
MOST = 5
"""More countries than these are a list, not a subject."""

_DATA = Path(__file__).with_name("places.txt")
_WORD = re.compile(r"[^\W_]+")
_MARKS = re.compile("[\u0300-\u036f]+")
# "JAKARTA, iNews.id - ", "Caracas, 26 nov (EFE).- ", "KATHMANDU, Nepal (AP) — ": where it was written, not what on.
_DATELINE = re.compile(r"\s*[A-Z][^!?\n]{0,58}?(?:\s[-\u2013\u2014]{1,2}|\)\.?\s?[-\u2013\u2014])\s")
_NO_COUNTRY = "-"


class _Name(NamedTuple):
    words: tuple[str, ...]  # lower case, without diacritics
    capitals: tuple[bool, ...]
    shouted: bool  # AS, US: only in capitals, for it is a word too
    language: str | None
    code: str


def countries(title: str, text: str, language: str | None = None) -> tuple[str, ...]:
    """The countries that an entry is about.

    Args:
        title: plain text.
        text: plain text; a dateline at its beginning is not counted.
        language: ISO 639-1 code; decides what words such as "AS" or "Lima" mean.

    Returns:
        ISO 3166-1 alpha-2 codes, the weightiest first; empty where none is more than mentioned.
    """
    weights: dict[str, float] = {}
    dateline = _DATELINE.match(text[:80])
    body = _plain(text[dateline.end() if dateline else 0 :][: WORDS * 8])
    for number, (part, limit) in enumerate(((_plain(title), 60), (body, WORDS))):
        for position, code in _found(part, limit, language):
            weight = IN_TITLE if number == 0 else IN_LEAD if position < LEAD_WORDS else BEYOND
            known = weights.get(code, 0.0)
            weights[code] = max(known, weight) + min(known, weight) / 2
    if not weights:
        return ()
    least = max(LEAST, ABOUT * max(weights.values()))
    ranked = sorted(weights.items(), key=lambda one: -one[1])  # among equals, the one named first
    return tuple(code for code, weight in ranked if weight >= least)[:MOST]


def _found(plain: str, limit: int, language: str | None) -> Iterator[tuple[int, str]]:
    """Where countries are named: numbers of words, and codes."""
    written = _WORD.findall(plain)[:limit]
    lower = " ".join(written).lower().split(" ")
    # Where all is in capitals, they tell nothing: "US" may be "us".
    shouting = plain.isupper()
    read = 0
    known, prefixes, shortest = _names()
    # Of a hundred words three begin a name.
    for position in [n for n, word in enumerate(lower) if word in known or word[:shortest] in prefixes]:
        if position < read:
            continue  # it is a word of the name before
        for name in _beginning(lower[position]):
            end = position + len(name.words)
            if (
                tuple(lower[position + 1 : end]) == name.words[1:]
                and (name.language is None or language is None or name.language == language)
                and (not name.shouted or (not shouting and all(w.isupper() for w in written[position:end])))
                and all(
                    not capital or word[0].isupper() or word[0].isdigit()
                    for word, capital in zip(written[position:end], name.capitals, strict=True)
                )
            ):
                if name.code != _NO_COUNTRY:
                    yield position, name.code
                read = end
                break


def _beginning(word: str) -> tuple[_Name, ...]:
    """The names that a word may begin, the longest first."""
    names, prefixes, shortest = _names()
    found = names.get(word)
    if found is not None:
        return found
    for prefix, code in prefixes.get(word[:shortest], ()):
        if word.startswith(prefix):
            return (_Name((word,), (False,), False, None, code),)
    return ()


@cache
def _names() -> tuple[dict[str, tuple[_Name, ...]], dict[str, list[tuple[str, str]]], int]:
    """What is known: names by their first word; beginnings of words, by their own, whose length comes last."""
    text = _DATA.read_text(encoding="utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#")).replace("\n ", "")
    names: dict[str, list[_Name]] = {}
    prefixes: dict[str, str] = {}
    for line in filter(None, text.splitlines()):
        code, _, terms = line.partition(": ")
        for term in terms.split(","):
            mark, slash, name = term.strip().rpartition("/")
            if name.endswith("*"):
                prefixes[name[:-1].lower()] = code
                continue
            words = _WORD.findall(_plain(name))
            capitals = tuple(word[0].isupper() for word in words)
            shouted = name.isupper() and len(name) <= 3
            lower = tuple(word.lower() for word in words)
            names.setdefault(lower[0], []).append(
                _Name(lower, capitals, shouted, mark if slash else None, code)
            )
    ranked = {word: tuple(sorted(some, key=lambda one: -len(one.words))) for word, some in names.items()}
    shortest = min(map(len, prefixes))
    beginnings: dict[str, list[tuple[str, str]]] = {}
    for prefix in sorted(prefixes, key=len, reverse=True):  # the longest that fits counts
        beginnings.setdefault(prefix[:shortest], []).append((prefix, prefixes[prefix]))
    return ranked, beginnings, shortest


def _plain(text: str) -> str:
    """A text without its diacritics."""
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", text))
