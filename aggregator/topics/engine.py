"""The engine: one automaton over all terms of all topics, and the score that rules make of what it finds.

The text of an entry is folded and read once. Python's work is proportional to what was found: a found
term names its concept, a concept names the rules that cannot fire without it, and only those are looked at.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from ahocorasick_rs import AhoCorasick

from aggregator.model import EntryText, Match, Sides, Tag
from aggregator.topics.words import Accepts, fold

FIELDS = ("title", "summary", "text", "categories")
KINDS = ("threat", "act")
PLACES = ("title", "lead", "body", "deep", "categories")
"""Where a term can stand: the `lead` is the summary, or the opening of a text that has none."""

LEAD = 600
"""How far the lead reaches, in code points."""
DEEP = 2500
"""From where on a text is deep, in code points: nobody puts an article's subject there."""
BODY_SHARE = 0.7
"""The most that places after the lead can bring a topic, as a share of its threshold: alone, they never tag."""
ASPECT_SHARE = 0.75
"""What an aspect must reach of the strongest one's score: the other sides of a topic are told in passing."""
MAX_SCORE = 100.0
ABBREVIATION = 2
"""Words of so few letters (R., St., U.S.) may end in a full stop within a phrase."""

_MAX_HITS = 32
"""Of one concept in one entry; more add nothing, and bound what a hostile text can cost."""
_APART = "  \n  "
"""Between fields: no phrase reaches over it."""
_WORD = re.compile(r"[^\W_]+")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+(?=[^a-z])|\n+")
_LIKE: Mapping[str, str] = MappingProxyType(
    {
        "ms": "id",
        "in": "id",
        "jv": "id",
        "su": "id",
        "gl": "es",
        "ca": "es",
        "af": "nl",
        "nb": "no",
        "nn": "no",
    }
)
"""Languages so near another that short texts are taken for it and its terms serve them, and old codes."""


class Word(NamedTuple):
    """One word of a term: a literal, a prefix, or (with `accepts`) any form of a word."""

    start: str
    prefix: bool = False
    accepts: Accepts | None = None

    def fits(self, folded: str, written: str) -> bool:
        """Whether a word of the text is this one."""
        if self.accepts is not None:
            return self.accepts(folded, written)
        return folded.startswith(self.start) if self.prefix else folded == self.start


@dataclass(frozen=True, slots=True)
class Term:
    """A term of a concept, made ready.

    Attributes:
        text: as the rule's author wrote it.
        concept: number of its concept.
        language: the only language in which it counts; None: in all.
        masks: it stands for nothing itself and hides its concept's terms within it.
        exact: how it must be written, where capitals matter.
        words: to be checked one by one; None: what the automaton found is all there is to it.
        patterns: what the automaton looks for.
    """

    text: str
    concept: int
    language: str | None
    masks: bool
    exact: str | None
    words: tuple[Word, ...] | None
    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Concepts of which one suffices, and how the rule calls them."""

    text: str
    concepts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule, made ready.

    Attributes:
        name: within its topic; those of an aspect begin with `<aspect>/`.
        weight: points that it adds (or takes) where it fires in the title.
        needs: all of these groups must be found ...
        within: ... within so many words, or one sentence; None: anywhere in the entry.
        none: and none of this.
        places: where it looks.
        languages, feeds: where it applies; empty: everywhere.
    """

    name: str
    weight: float
    needs: tuple[Group, ...]
    within: int | Literal["sentence"] | None = None
    none: Group | None = None
    places: frozenset[str] = frozenset(PLACES)
    languages: frozenset[str] = frozenset()
    feeds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Aspect:
    """One side of a topic, with rules of its own; tagged only where the topic is.

    `kind` says whether it tells of a `threat` or of an `act`, for the trend; None: of neither, or of both.
    """

    slug: str
    title: str
    threshold: float
    rules: tuple[Rule, ...]
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic, made ready.

    Attributes:
        slug, title, description: as the pack says.
        threshold: the score from which an entry is tagged, up to `MAX_SCORE`.
        places: what share of its weight a rule brings in each of `PLACES`.
        revision: hash of all that decides its tags; changes when an entry might be tagged differently.
    """

    slug: str
    title: str
    description: str
    threshold: float
    places: Mapping[str, float]
    rules: tuple[Rule, ...]
    aspects: tuple[Aspect, ...]
    revision: str

    @property
    def sides(self) -> Sides:
        """Which aspects tell of threats, and which of acts."""
        threats, acts = (
            tuple(aspect.slug for aspect in self.aspects if aspect.kind == kind) for kind in KINDS
        )
        return Sides(self.slug, threats, acts)


@dataclass(frozen=True, slots=True)
class Explanation:
    """What one rule made of an entry, or (with `rule` None) what all rules made together.

    Attributes:
        topic, aspect: whose rule it is; `aspect` is None for the topic's own.
        rule: its name; None for the sum.
        fired: whether the rule fired; for the sum, whether the entry is tagged.
        score: points; for the sum, from 0 to `MAX_SCORE`.
        threshold: what the sum must reach.
        terms: the evidence.
        missing: what would have had to be there, or not to be there, in words; empty for what fired.
    """

    topic: str
    aspect: str | None
    rule: str | None
    fired: bool
    score: float
    threshold: float
    terms: tuple[Match, ...] = ()
    missing: tuple[str, ...] = ()


class _Hit(NamedTuple):
    start: int
    end: int
    term: Term
    place: str
    field: int


class _Firing(NamedTuple):
    rule: Rule
    points: float
    late: bool  # it stands after the lead
    hits: tuple[_Hit, ...]


class _Reading:
    """One entry, read: what was found where."""

    def __init__(self, entry: EntryText) -> None:
        values = (entry.title, entry.summary, entry.text, "; ".join(entry.categories))
        self.written = _APART + _APART.join(values) + _APART
        self.folded = fold(self.written)
        self.starts: list[int] = []
        position = len(_APART)
        for value in values:
            self.starts.append(position)
            position += len(value) + len(_APART)
        language = (entry.language or "").partition("-")[0].lower()
        self.language = _LIKE.get(language, language)
        self.host = urlsplit(entry.feed_url or "").hostname or ""
        self.hits: dict[int, list[_Hit]] = {}
        self._lead_field = 1 if entry.summary else 2
        self._sentences: list[int] | None = None

    def place(self, start: int) -> tuple[str, int]:
        """The place and the field's number of an offset."""
        field = bisect_right(self.starts, start) - 1
        if field == 0 or field == 3:
            return PLACES[0 if field == 0 else 4], field
        depth = start - self.starts[field]
        if depth < LEAD and field == self._lead_field:
            return "lead", field
        return ("body" if depth < DEEP else "deep"), field

    def apart(self, first: _Hit, last: _Hit) -> int:
        """How many words stand between two hits of one field; 0 where they touch or overlap."""
        return len(_WORD.findall(self.folded, first.end, last.start)) if first.end < last.start else 0

    def sentence(self, position: int) -> int:
        """The number of the sentence at an offset."""
        if self._sentences is None:
            self._sentences = [found.end() for found in _SENTENCE_END.finditer(self.written)]
        return bisect_right(self._sentences, position)


class Ruleset:
    """All terms and rules of all topics, ready to read entries. Immutable, so threads may share it."""

    def __init__(self, terms: Sequence[Term], topics: Sequence[Topic]) -> None:
        self.topics = tuple(topics)
        found_by: dict[str, list[Term]] = {}
        sizes: dict[int, int] = {}
        for term in terms:
            sizes[term.concept] = sizes.get(term.concept, 0) + 1
            for pattern in term.patterns:
                found_by.setdefault(pattern, []).append(term)
        self._terms = [tuple(found) for found in found_by.values()]
        self._automaton = AhoCorasick(list(found_by), store_patterns=False)
        self._triggers: dict[int, list[tuple[int, Rule]]] = {}
        for number, topic in enumerate(topics):
            for rule in topic.rules:
                rarest = min(rule.needs, key=lambda group: sum(sizes.get(c, 0) for c in group.concepts))
                for concept in rarest.concepts:
                    self._triggers.setdefault(concept, []).append((number, rule))

    def match(self, entry: EntryText) -> tuple[tuple[Tag, ...], tuple[Match, ...]]:
        """The entry's tags, and the evidence for them."""
        reading = self._read(entry)
        candidates: dict[int, dict[str, Rule]] = {}
        for concept in reading.hits:
            for number, rule in self._triggers.get(concept, ()):
                candidates.setdefault(number, {})[rule.name] = rule
        tags: list[Tag] = []
        evidence: dict[Match, None] = {}
        for number in sorted(candidates):
            topic = self.topics[number]
            firings = _fire(candidates[number].values(), topic, reading)
            score = _score(firings, BODY_SHARE * topic.threshold)
            if score < topic.threshold:
                continue
            tags.append(Tag(topic.slug, None, score))
            sides = [_fire(aspect.rules, topic, reading) for aspect in topic.aspects]
            least = _least(sides)
            for aspect, of_aspect in zip(topic.aspects, sides, strict=True):
                score = _score(of_aspect)
                if score >= max(aspect.threshold, least):
                    tags.append(Tag(topic.slug, aspect.slug, score))
                    firings += of_aspect
            for firing in firings:
                if firing.points > 0:
                    evidence.update(dict.fromkeys(_matches(topic, firing, reading)))
        return tuple(tags), tuple(evidence)

    def explain(self, entry: EntryText, topic: str | None = None) -> tuple[Explanation, ...]:
        """What each rule made of the entry: for each topic its sum, then its rules; the same for its aspects."""
        reading = self._read(entry)
        found: list[Explanation] = []
        for each in self.topics:
            if topic is not None and each.slug != topic:
                continue
            tagged = True
            least = _least([_fire(aspect.rules, each, reading) for aspect in each.aspects])
            for aspect, rules, threshold in (
                (None, each.rules, each.threshold),
                *((aspect.slug, aspect.rules, aspect.threshold) for aspect in each.aspects),
            ):
                firings = _fire(rules, each, reading)
                score = _score(firings, MAX_SCORE if aspect else BODY_SHARE * threshold)
                bar = max(threshold, least) if aspect else threshold
                fired = score >= bar and tagged
                missing = []
                if score < threshold:
                    missing.append(f"{threshold - score:g} more points")
                elif score < bar:
                    missing.append(f"{bar - score:g} more points: another aspect is stronger")
                if not tagged:
                    missing.append("the topic itself")
                found.append(
                    Explanation(each.slug, aspect, None, fired, score, threshold, (), tuple(missing))
                )
                by_name = {firing.rule.name: firing for firing in firings}
                for rule in rules:
                    if firing := by_name.get(rule.name):
                        evidence = tuple(_matches(each, firing, reading))
                        found.append(
                            Explanation(
                                each.slug, aspect, rule.name, True, firing.points, threshold, evidence
                            )
                        )
                    else:
                        lacks = tuple(_lacks(rule, reading))
                        found.append(
                            Explanation(each.slug, aspect, rule.name, False, 0.0, threshold, (), lacks)
                        )
                if aspect is None:
                    tagged = fired
        return tuple(found)

    def _read(self, entry: EntryText) -> _Reading:
        reading = _Reading(entry)
        folded, written, language = reading.folded, reading.written, reading.language
        masked: dict[int, list[tuple[int, int]]] = {}
        for pattern, start, end in self._automaton.find_matches_as_indexes(folded, overlapping=True):
            start += 1  # patterns begin with the space before the word
            for term in self._terms[pattern]:
                if language and term.language and term.language != language:
                    continue
                if term.words is None:
                    stop = end - 1
                elif not (stop := _end_of(term.words, folded, written, start)):
                    continue
                if term.exact is not None and written[start:stop] != term.exact:
                    continue
                if term.masks:
                    masked.setdefault(term.concept, []).append((start, stop))
                    continue
                hits = reading.hits.setdefault(term.concept, [])
                if len(hits) < _MAX_HITS:
                    hits.append(_Hit(start, stop, term, *reading.place(start)))
        for concept, spans in masked.items():
            if hits := reading.hits.pop(concept, []):
                free = [h for h in hits if not any(a <= h.start and h.end <= b for a, b in spans)]
                if free:
                    reading.hits[concept] = free
        return reading


def _end_of(words: tuple[Word, ...], folded: str, written: str, start: int) -> int:
    """Where a term that begins at `start` ends; 0 if its words do not follow there."""
    stop = start
    for number, word in enumerate(words):
        if number:
            start = stop + 1
            if folded.startswith(" ", start) and 0 < len(words[number - 1].start) <= ABBREVIATION:
                start += 1
        stop = folded.find(" ", start)
        if stop == start or not word.fits(folded[start:stop], written[start:stop]):
            return 0
    return stop


def _fire(rules: Iterable[Rule], topic: Topic, reading: _Reading) -> list[_Firing]:
    firings = []
    for rule in rules:
        if not _applies(rule, reading) or (rule.none and _hits(rule.none, rule, reading)):
            continue
        best: tuple[_Hit, ...] = ()
        share = 0.0
        for hits in _together(rule, topic, reading):
            if (weakest := min(topic.places[hit.place] for hit in hits)) > share:
                best, share = hits, weakest
        if best:
            late = not all(hit.place in ("title", "lead") for hit in best)
            firings.append(_Firing(rule, rule.weight * share, late, best))
    return firings


def _applies(rule: Rule, reading: _Reading) -> bool:
    if rule.languages and reading.language not in rule.languages:
        return False
    return not rule.feeds or any(
        reading.host == feed or reading.host.endswith("." + feed) for feed in rule.feeds
    )


def _hits(group: Group, rule: Rule, reading: _Reading) -> list[_Hit]:
    found = [hit for concept in group.concepts for hit in reading.hits.get(concept, ())]
    return [hit for hit in found if hit.place in rule.places]


def _together(rule: Rule, topic: Topic, reading: _Reading) -> Iterator[tuple[_Hit, ...]]:
    """The ways in which the rule's needs are met: one hit for each."""
    groups = []
    for need in rule.needs:
        if not (hits := _hits(need, rule, reading)):
            return
        groups.append(hits)
    if rule.within is None or len(groups) == 1:
        yield tuple(max(hits, key=lambda hit: (topic.places[hit.place], -hit.start)) for hits in groups)
        return
    for first in groups[0]:
        chosen = [first]
        for others in groups[1:]:
            near = [hit for hit in others if hit.field == first.field and hit != first]
            if not near:
                break
            chosen.append(min(near, key=lambda hit: max(hit.start - first.end, first.start - hit.end)))
        else:
            if _near(chosen, rule.within, reading):
                yield tuple(chosen)


def _near(hits: Sequence[_Hit], within: int | Literal["sentence"], reading: _Reading) -> bool:
    first, last = min(hits, key=lambda hit: hit.end), max(hits, key=lambda hit: hit.start)
    if within == "sentence":
        return reading.sentence(first.start) == reading.sentence(last.start)
    return reading.apart(first, last) <= within


def _score(firings: Iterable[_Firing], most_late: float = MAX_SCORE) -> float:
    """The sum, from 0 to `MAX_SCORE`; what speaks for it from after the lead counts up to `most_late`."""
    late = sum(firing.points for firing in firings if firing.late and firing.points > 0)
    rest = sum(firing.points for firing in firings if not (firing.late and firing.points > 0))
    return round(min(MAX_SCORE, max(0.0, rest + min(late, most_late))), 2)


def _least(sides: Iterable[Iterable[_Firing]]) -> float:
    """What an aspect must score beside the strongest of all."""
    return round(ASPECT_SHARE * max(map(_score, sides), default=0.0), 2)


def _matches(topic: Topic, firing: _Firing, reading: _Reading) -> Iterator[Match]:
    for hit in firing.hits:
        base = reading.starts[hit.field]
        name = FIELDS[hit.field]
        yield Match(topic.slug, firing.rule.name, hit.term.text, name, hit.start - base, hit.end - base)


def _lacks(rule: Rule, reading: _Reading) -> Iterator[str]:
    if rule.languages and reading.language not in rule.languages:
        yield f"applies to {', '.join(sorted(rule.languages))} only"
    elif not _applies(rule, reading):
        yield f"applies to feeds of {', '.join(rule.feeds)} only"
    lacking = [need.text for need in rule.needs if not _hits(need, rule, reading)]
    for text in lacking:
        yield f"no {text}"
    if not lacking and rule.within is not None:
        yield "not in one sentence" if rule.within == "sentence" else f"not within {rule.within} words"
    if rule.none and (hits := _hits(rule.none, rule, reading)):
        yield f"stopped by {rule.none.text}: {hits[0].term.text}"
