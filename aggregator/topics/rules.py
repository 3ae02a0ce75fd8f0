"""From a topic pack to compiled rules; every mistake in it is found and said where it stands.

The language is described, with examples that a test runs, in docs/topics.md.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

from aggregator.errors import ConfigError, Problem
from aggregator.model import Document, Path
from aggregator.topics.engine import (
    ABBREVIATION,
    KINDS,
    MAX_SCORE,
    PLACES,
    Aspect,
    Group,
    Rule,
    Ruleset,
    Term,
    Topic,
    Word,
)
from aggregator.topics.words import can_inflect, fold, inflected

_VERSION = 2
"""Part of each revision: one more whenever this code would tag the same text differently."""

_SHARES: Mapping[str, float] = MappingProxyType(
    {"title": 1.0, "lead": 0.8, "body": 0.5, "deep": 0.2, "categories": 0.5}
)
_THRESHOLD = 50.0

_PACK_KEYS = ("slug", "title", "description", "threshold", "places", "concepts", "rules", "aspects")
_ASPECT_KEYS = ("title", "kind", "threshold", "rules")
_RULE_KEYS = ("all", "any", "none", "within", "in", "weight", "languages", "feeds", "note")
_CONCEPT_WORDS = ("any", "include", "except")
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LANGUAGE = re.compile(r"[a-z]{2,3}")
_SHORTEST_PREFIX = 3
_SIGNS = re.compile(r"[=~*]")


def compile_topics(
    documents: Sequence[Document], library: Callable[[str], Document] | None = None
) -> Ruleset:
    """Compile topic packs, or say all that is wrong with them.

    Args:
        documents: the packs to be matched.
        library: gives another pack by its slug, for rules that refer to its concepts (`pack/concept`);
            raises LookupError, OSError or ConfigError where there is none.

    Returns:
        The topics, in the order of the documents, ready to match.

    Raises:
        ConfigError: with every problem of every pack: file, line, key, and what would be right.
    """
    compiler = _Compiler(documents, library)
    topics = compiler.topics()
    if compiler.problems:
        order = {document.file: number for number, document in enumerate(documents)}
        unique = dict.fromkeys(compiler.problems)
        raise ConfigError(sorted(unique, key=lambda p: (order.get(p.file, len(order)), p.line or 0)))
    return Ruleset(compiler.terms, topics)


class _Compiler:
    """One compilation: the packs, their concepts by number, their terms, and what is wrong."""

    def __init__(self, documents: Sequence[Document], library: Callable[[str], Document] | None) -> None:
        self.problems: list[Problem] = []
        self.terms: list[Term] = []
        self._documents = documents
        self._library = library
        self._packs: dict[str, Document] = {}
        for document in documents:
            slug = document.data.get("slug") if isinstance(document.data, dict) else None
            if isinstance(slug, str):
                if slug in self._packs:
                    self._wrong(
                        document,
                        ("slug",),
                        f"the topic {slug!r} is already defined in {self._packs[slug].file}",
                    )
                self._packs[slug] = document
        self._numbers: dict[tuple[str, str], int] = {}  # (pack, concept)
        self._groups: dict[tuple[str, str], tuple[int, ...]] = {}
        self._open: list[tuple[str, str]] = []  # concepts being resolved, to see circles
        self._borrows: dict[str, set[str]] = {}  # of each pack, from which others it takes concepts

    # ------------------------------------------------------------------------------- problems

    def _wrong(self, document: Document, path: Path, message: str) -> None:
        self.problems.append(document.problem(path, message))

    def _mapping(
        self, document: Document, path: Path, value: Any, what: str, keys: Sequence[str] = ()
    ) -> dict[str, Any]:
        """`value` if it is a mapping (with these keys, if given), else a problem and nothing."""
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            self._wrong(document, path, f"must be {what}")
            return {}
        for key in value:
            if keys and key not in keys:
                self._wrong(document, (*path, key), f"unknown key; {_nearest(key, keys)}")
        return value

    def _text(self, document: Document, path: Path, data: Mapping[str, Any], default: str = "") -> str:
        value = data.get(str(path[-1]), default)
        if isinstance(value, str) and value.strip():
            return value.strip()
        self._wrong(document, path, "must be a text")
        return default

    def _number(
        self, document: Document, path: Path, data: Mapping[str, Any], default: float, low: float, high: float
    ) -> float:
        value = data.get(str(path[-1]), default)
        if isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high:
            return float(value)
        self._wrong(document, path, f"must be a number from {low:g} to {high:g}, not {value!r}")
        return default

    def _list(self, document: Document, path: Path, value: Any) -> Iterator[tuple[Path, str]]:
        """The texts of a list, or of a text in which commas part them; each with its path."""
        if isinstance(value, str):
            for part in value.split(","):
                if part.strip():
                    yield path, part.strip()
        elif isinstance(value, list) and all(isinstance(part, str) for part in value):
            for number, part in enumerate(value):
                yield (*path, number), part.strip()
        else:
            self._wrong(document, path, "must be a list of texts, or one text with commas between")

    # --------------------------------------------------------------------------------- topics

    def topics(self) -> tuple[Topic, ...]:
        return tuple(self._topic(document) for document in self._documents)

    def _topic(self, document: Document) -> Topic:
        data = self._mapping(
            document, (), document.data, "a topic pack: a mapping with slug, concepts, rules", _PACK_KEYS
        )
        slug = self._slug(document, ("slug",), data.get("slug", ""))
        threshold = self._number(document, ("threshold",), data, _THRESHOLD, 1, MAX_SCORE)
        places = dict(_SHARES)
        for place in self._mapping(
            document, ("places",), data.get("places", {}), "a mapping from place to share", PLACES
        ):
            places[place] = self._number(document, ("places", place), data["places"], 0, 0, 1)
        for concept in self._concepts(document):
            self._concept(document, slug, concept)
        rules = self._rules(document, slug, ("rules",), data.get("rules", {}), threshold, "")
        aspects = []
        for name, aspect in self._mapping(
            document, ("aspects",), data.get("aspects", {}), "a mapping from slug to aspect"
        ).items():
            path: Path = ("aspects", name)
            aspect = self._mapping(document, path, aspect, "a mapping with title and rules", _ASPECT_KEYS)
            bar = self._number(document, (*path, "threshold"), aspect, threshold, 1, MAX_SCORE)
            aspects.append(
                Aspect(
                    self._slug(document, path, name),
                    self._text(document, (*path, "title"), aspect, name),
                    bar,
                    self._rules(document, slug, (*path, "rules"), aspect.get("rules", {}), bar, f"{name}/"),
                    self._kind(document, (*path, "kind"), aspect),
                )
            )
        decisive = {key: value for key, value in data.items() if key not in ("title", "description")}
        borrowed = {other: self._packs[other].data["concepts"] for other in self._lenders(slug)}
        pinned = json.dumps([_VERSION, decisive, borrowed], sort_keys=True, default=str)
        return Topic(
            slug,
            self._text(document, ("title",), data, slug),
            self._text(document, ("description",), data, slug),
            threshold,
            places,
            rules,
            tuple(aspects),
            hashlib.sha256(pinned.encode()).hexdigest()[:16],
        )

    def _kind(self, document: Document, path: Path, aspect: Mapping[str, Any]) -> str | None:
        value = aspect.get("kind")
        if value is None or value in KINDS:
            return value
        self._wrong(
            document, path, f"must be {' or '.join(KINDS)}, not {value!r}; leave it out where it is neither"
        )
        return None

    def _slug(self, document: Document, path: Path, value: Any) -> str:
        if isinstance(value, str) and _SLUG.fullmatch(value):
            return value
        self._wrong(document, path, f"must be a name of lower-case letters, digits and '-', not {value!r}")
        return str(value)

    def _rules(
        self, document: Document, pack: str, path: Path, value: Any, threshold: float, prefix: str
    ) -> tuple[Rule, ...]:
        rules = [
            self._rule(document, pack, (*path, name), rule, threshold, prefix + name)
            for name, rule in self._mapping(document, path, value, "a mapping from name to rule").items()
        ]
        if not rules:
            self._wrong(document, path, "needs at least one rule")
        elif sum(rule.weight for rule in rules if rule.weight > 0) < threshold:
            self._wrong(document, path, f"can never reach the threshold of {threshold:g}: raise the weights")
        return tuple(rules)

    def _rule(
        self, document: Document, pack: str, path: Path, value: Any, threshold: float, name: str
    ) -> Rule:
        rule = self._mapping(
            document, path, value, "a mapping with all, any, none, within, in, weight", _RULE_KEYS
        )
        needs = [
            self._group(document, pack, *each)
            for each in self._list(document, (*path, "all"), rule.get("all", ""))
        ]
        for key in ("any", "none"):
            if key in rule and not rule[key]:
                self._wrong(document, (*path, key), "names no concept")
        if any_of := self._either(document, pack, (*path, "any"), rule):
            needs.append(any_of)
        if not needs:
            self._wrong(document, path, "names no concept under all or any, so it could never fire")
        weight = self._number(document, (*path, "weight"), rule, threshold, -MAX_SCORE, MAX_SCORE)
        if not weight:
            self._wrong(document, (*path, "weight"), "a weight of 0 does nothing: remove the rule")
        return Rule(
            name,
            weight,
            tuple(needs),
            self._within(document, (*path, "within"), rule),
            self._either(document, pack, (*path, "none"), rule),
            frozenset(self._choice(document, (*path, "in"), rule, PLACES)) or frozenset(PLACES),
            frozenset(self._languages(document, (*path, "languages"), rule)),
            tuple(host.lower() for _, host in self._list(document, (*path, "feeds"), rule.get("feeds", ""))),
        )

    def _within(
        self, document: Document, path: Path, rule: Mapping[str, Any]
    ) -> int | Literal["sentence"] | None:
        value = rule.get("within")
        if value == "sentence":
            return "sentence"
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 100):
            return value
        self._wrong(document, path, f"must be 'sentence' or a number of words up to 100, not {value!r}")
        return None

    def _choice(
        self, document: Document, path: Path, rule: Mapping[str, Any], allowed: Sequence[str]
    ) -> Iterator[str]:
        for where, value in self._list(document, path, rule.get(str(path[-1]), "")):
            if value in allowed:
                yield value
            else:
                self._wrong(document, where, f"{value!r} is unknown; {_nearest(value, allowed)}")

    def _languages(self, document: Document, path: Path, rule: Mapping[str, Any]) -> Iterator[str]:
        for where, value in self._list(document, path, rule.get(str(path[-1]), "")):
            if _LANGUAGE.fullmatch(value):
                yield value
            else:
                self._wrong(document, where, f"must be language codes such as id or en, not {value!r}")

    # ------------------------------------------------------------------------------- concepts

    def _either(self, document: Document, pack: str, path: Path, rule: Mapping[str, Any]) -> Group | None:
        """The concepts of an `any` or `none` as one group, of which one suffices."""
        groups = [
            self._group(document, pack, *each)
            for each in self._list(document, path, rule.get(str(path[-1])) or "")
        ]
        if not groups:
            return None
        text = " or ".join(group.text for group in groups)
        return Group(text, tuple(dict.fromkeys(number for group in groups for number in group.concepts)))

    def _group(self, document: Document, pack: str, path: Path, text: str) -> Group:
        """The concepts behind `one`, `one or another` or `pack/concept`."""
        numbers: dict[int, None] = {}
        for name in re.split(r"\s+or\s+", text):
            numbers.update(dict.fromkeys(self._resolve(document, pack, path, name)))
        return Group(" or ".join(re.split(r"\s+or\s+", text)), tuple(numbers))

    def _concepts(self, document: Document) -> dict[str, Any]:
        concepts = document.data.get("concepts", {}) if isinstance(document.data, dict) else {}
        return self._mapping(document, ("concepts",), concepts, "a mapping from name to terms")

    def _resolve(self, document: Document, pack: str, path: Path, name: str) -> tuple[int, ...]:
        """The numbers of a concept and of all that it includes."""
        own, slash, foreign = name.partition("/")
        if not slash:
            if name in self._concepts(document):
                return self._concept(document, pack, name)
            near = _nearest(name, tuple(self._concepts(document)))
            self._wrong(document, path, f"there is no concept {name!r}; {near}")
            return ()
        other = self._packs.get(own)
        if other is None and self._library is not None:
            try:
                other = self._packs[own] = self._library(own)
            except (LookupError, OSError, ConfigError) as error:
                self._wrong(document, path, f"there is no topic pack {own!r}: {error}")
                return ()
        if other is None:
            self._wrong(
                document, path, f"there is no topic pack {own!r}; {_nearest(own, tuple(self._packs))}"
            )
            return ()
        if foreign not in self._concepts(other):
            near = _nearest(foreign, tuple(self._concepts(other)))
            self._wrong(document, path, f"the pack {own!r} has no concept {foreign!r}; {near}")
            return ()
        self._borrows.setdefault(pack, set()).add(own)
        return self._concept(other, own, foreign)

    def _lenders(self, pack: str) -> set[str]:
        """The packs from which one takes concepts, and those from which these do."""
        found: set[str] = set()
        new = self._borrows.get(pack, set())
        while new:
            found |= new
            new = set().union(*(self._borrows.get(other, set()) for other in new)) - found
        return found - {pack}

    def _concept(self, document: Document, pack: str, name: str) -> tuple[int, ...]:
        key = (pack, name)
        if key in self._groups:
            return self._groups[key]
        path: Path = ("concepts", name)
        if key in self._open:
            self._wrong(document, path, "includes itself, by way of " + ", ".join(n for _, n in self._open))
            return ()
        self._open.append(key)
        number = self._numbers.setdefault(key, len(self._numbers))
        value = self._concepts(document)[name]
        if isinstance(value, str | list):
            value, shorthand = {"any": value}, True
        else:
            shorthand = False
        numbers = {number: None}
        count = len(self.terms)
        for part, texts in self._mapping(
            document, path, value, "terms, or a mapping from language to terms"
        ).items():
            where: Path = path if shorthand else (*path, part)
            if part == "include":
                for place, other in self._list(document, where, texts):
                    numbers.update(dict.fromkeys(self._resolve(document, pack, place, other)))
            elif part == "except":
                self._add_terms(document, where, texts, number, None, masks=True)
            elif part == "any" or _LANGUAGE.fullmatch(part):
                self._add_terms(document, where, texts, number, None if part == "any" else part, masks=False)
            else:
                near = _nearest(part, _CONCEPT_WORDS)
                self._wrong(document, where, f"unknown key; languages have codes such as id or en; {near}")
        if len(self.terms) == count and len(numbers) == 1:
            self._wrong(document, path, "has no terms")
        self._open.pop()
        self._groups[key] = tuple(numbers)
        return self._groups[key]

    # ---------------------------------------------------------------------------------- terms

    def _add_terms(
        self, document: Document, path: Path, texts: Any, concept: int, language: str | None, *, masks: bool
    ) -> None:
        seen = set()
        for where, text in self._list(document, path, texts):
            if text in seen:
                self._wrong(document, where, f"the term {text!r} stands here twice")
                continue
            seen.add(text)
            try:
                self.terms.append(_term(text, concept, language, masks=masks))
            except ValueError as error:
                self._wrong(document, where, f"the term {text!r} {error}")


def _term(text: str, concept: int, language: str | None, *, masks: bool) -> Term:
    """A term from its text.

    Raises:
        ValueError: it means nothing; the message completes "the term ... ".
    """
    if not _SIGNS.search(text) and (plain := fold(text).split()):  # most terms, and the start-up waits
        return Term(text, concept, language, masks, None, None, tuple(f" {way} " for way in _ways(plain)))
    exact = text[1:].strip() if text.startswith("=") else None
    if exact is not None:
        exact = exact.strip(" .,;:!?'\"")
    words: list[Word] = []
    starts: tuple[str, ...] = ()  # beginnings of the first word
    for part in (exact if exact is not None else text).split():
        bare = part.removeprefix("~").removesuffix("*")
        if "*" in bare or "~" in bare:
            raise ValueError("has a * or ~ out of place: ~ begins a word, * ends one")
        pieces = fold(bare).split()
        if not pieces:
            raise ValueError(
                "has no letters or digits" if len(text.split()) == 1 else f"has no letters in {part!r}"
            )
        if part.startswith("~"):
            if exact is not None or part.endswith("*") or len(pieces) > 1:
                raise ValueError("mixes ~ with another sign; ~word stands for all forms of one word")
            if language is None or not can_inflect(language):
                raise ValueError(
                    "has a ~, which needs a language whose inflection is known: put it under id, en, es ..."
                )
            beginnings, accepts = inflected(bare, language)
            words.append(Word("", accepts=accepts))
            if len(words) == 1:
                starts = beginnings
        else:
            words.extend(Word(piece) for piece in pieces)
            if part.endswith("*"):
                if exact is not None:
                    raise ValueError("mixes = with *; a term with = is taken as it is written")
                if len(pieces[-1]) < _SHORTEST_PREFIX:
                    raise ValueError(f"needs at least {_SHORTEST_PREFIX} letters before the *")
                words[-1] = Word(pieces[-1], prefix=True)
    if not words:
        raise ValueError("is empty")
    literal = []
    for word in words:
        if word.prefix or word.accepts is not None:
            break
        literal.append(word.start)
    if len(literal) == len(words):
        return Term(text, concept, language, masks, exact, None, tuple(f" {way} " for way in _ways(literal)))
    if not starts:
        starts = _ways([*literal, words[len(literal)].start])
    return Term(text, concept, language, masks, exact, tuple(words), tuple(f" {start}" for start in starts))


def _ways(words: Sequence[str]) -> tuple[str, ...]:
    """A phrase as it reads in folded text: a short word may be an abbreviation, its full stop a second space."""
    if len(words) == 1:
        return tuple(words)
    ways = [""]
    for word in words[:-1]:
        gaps = (" ", "  ") if len(word) <= ABBREVIATION and len(ways) < 8 else (" ",)
        ways = [way + word + gap for way in ways for gap in gaps]
    return tuple(way + words[-1] for way in ways)


def _nearest(word: str, known: Sequence[str]) -> str:
    """What would be right: the nearest known word, or all of them if none is near."""
    near = get_close_matches(word, known, 1, 0.6)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"known are {', '.join(known)}" if known else "none is defined"
