"""One event, several articles: which story does an entry belong to, also across languages?

An entry is reduced to a `Signature`: the names, concepts, countries, numbers and other words of its title and opening,
each weighted by where it stands and by how much it tells. Concepts (`concepts.txt`) let an Indonesian, an English and
a Spanish account of one event meet; names meet by a spelling that ignores how a language writes a sound. Signatures
are compared in pairs, and a newcomer joins the story whose members it resembles: single-pass clustering, as in
topic detection and tracking (Allan et al., "On-line New Event Detection and Tracking", SIGIR 1998), in a window.

Where the order of arrival matters: stories are not joined to one another later. So an account that resembles two
stories goes to one of them, and two accounts that only a third one links stay apart when the third comes last.
"""

import re
import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, cached_property, lru_cache
from math import exp, sqrt
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

WINDOW = timedelta(days=8)
"""How far apart articles of one story can be published: a week and a day. What still is its story (a search is closed, a
toll is final, a suspect stands before a judge) comes by then; later, names that are often in the news would join what
does not belong together."""
THRESHOLD = 0.5
"""From which similarity on a newcomer joins a story."""
BEST = 3
"""How many members speak for a story: those most similar. One stray member does not pull others after it."""
WORDS = 120
"""How many words of a text are looked at; background stands further down."""
LETTERS = 9
"""So many letters a word are enough of nearly every text."""
LEAD_WORDS = 35
"""How many of them are its lead."""
MOST_FEATURES = 48
"""Of a signature; 50 are usual."""
MOST_KEYS = 8
"""With so many, of a hundred pairs of one story 99 share one."""

# Kinds of features: the lowest bits of their numbers.
_TERM, _CONCEPT, _COUNTRY, _FIGURE, _ORDINAL = range(5)
_KIND = 0b111
_RARITY = (1.0, 0.8, 0.1, 0.6, 0.2)  # how few entries share one, as far as its kind tells

# What a feature weighs: where it stands, times what it is.
_TITLE, _LEAD, _BEYOND = 1.5, 1.0, 0.4
_NAME, _WORD, _EVERYDAY = 1.6, 0.6, 0.5
_TELLING, _ORDINARY, _COMMON = 1.6, 1.0, 0.4
_UNITS = 16  # weights are kept in sixteenths
_HEADED = frozenset(round(_TITLE * what * _UNITS) for what in (_NAME, _ORDINARY, _WORD, _EVERYDAY))
"""Weights that only what stands in a title has."""
_IS_NAME = 14  # from this weight on a term counts as a name; less is a word
_TELLS = {
    _TERM: 32,
    _FIGURE: 16,
}  # from these weights on a name stands in the title, a number in title or lead

# What two entries' similarity is made of. Evidence is the sum of what both have; it fades as days pass, concepts sooner
# than names. The weights are those of a logistic regression over labelled pairs (tests/data/duplicates.jsonl and a
# second such set), rounded, with a bias that keeps a hundred articles of one topic in one week apart.
_BIAS, _PER_NAME, _PER_CONCEPT, _PER_FIGURE, _PER_COUNTRY, _ONE_TITLE = -5.4, 1.6, 1.3, 0.8, 1.0, 2.5
_NAMES_FADE, _CONCEPTS_FADE = 10.0, 3.0  # in days, to 1/e
_SAME_ISSUE = timedelta(hours=12)  # a standing title comes back a day later, not sooner
_ENOUGH = 6.0  # more evidence of one kind tells no more
_FAINT = 0.1  # below, nothing can make two entries one story's
_MOST_MEANINGS = 1 << 14  # words of a language whose meaning is at hand
_AT_HAND = 512  # signatures that stay unpacked: what many are compared with comes again and again
_ALIKE = 0.6  # texts worded this alike are one text, or two of one template
_TOLD = 3  # words of two titles, of which fewer stand in the other entry: they speak of different things
_SEVERAL = 2  # names or rare words: with so many that the other entry lacks, each title speaks of its own


@dataclass(frozen=True)
class Signature:
    """What is compared of an entry.

    Attributes:
        at: when it was published, to the minute.
        day: the day it tells of, as a proleptic ordinal: named in it, else that of its publication.
        language: two letters, or two spaces.
        heading: hash of its title without names and numbers, which a standing title shares from day to day.
        features: numbers of features, and what they weigh.
        dated: it names its day.
    """

    at: datetime
    day: int
    language: str
    heading: int
    features: Mapping[int, int]
    dated: bool = False

    @cached_property
    def keys(self) -> tuple[int, ...]:
        """Its most telling features, the rarest first; entries of one story nearly always share some."""
        ranked = sorted([(-weight * _RARITY[one & _KIND], one) for one, weight in self.features.items()])
        return tuple(one for _, one in ranked[:MOST_KEYS])

    @cached_property
    def sums(self) -> "_Sums":
        """What is needed of it for each comparison."""
        countries = words = 8
        counts: dict[int, int] = {}
        names, figures = set[int](), set[int]()
        headed = set()
        for feature, weight in self.features.items():
            kind = feature & _KIND
            if weight in _HEADED and kind <= _CONCEPT:
                headed.add(feature)
            if kind == _CONCEPT or (kind == _TERM and weight < _IS_NAME):
                words += weight
            elif kind == _COUNTRY:
                countries += weight
            elif kind == _ORDINAL:
                counts[feature >> 7] = feature
            elif weight >= _TELLS[kind]:
                (figures if kind == _FIGURE else names).add(feature)
        return _Sums(sqrt(countries), sqrt(words), counts, headed, names, figures)

    def pack(self) -> bytes:
        """All of it, to be stored: five bytes for each feature."""
        day = self.day if self.dated else -self.day
        head = _HEAD.pack(int(self.at.timestamp()) // 60, day, self.language.encode(), self.heading)
        return head + struct.pack(f"<{len(self.features)}I", *self.features) + bytes(self.features.values())

    @staticmethod
    @lru_cache(maxsize=_AT_HAND)
    def unpack(packed: bytes) -> "Signature":
        """The signature that packs so."""
        minutes, day, language, heading = _HEAD.unpack_from(packed)
        count = (len(packed) - _HEAD.size) // 5
        numbers = struct.unpack_from(f"<{count}I", packed, _HEAD.size)
        features = dict(zip(numbers, packed[-count:] if count else b"", strict=True))
        at = datetime.fromtimestamp(minutes * 60, UTC)
        return Signature(at, abs(day), language.decode(), heading, features, day > 0)


class _Sums(NamedTuple):
    """Of a signature: roots of the weights of its countries and of its words; what it counts, by what is counted; what
    stands in its title, of that the names, and the numbers in title or lead.
    """

    countries: float
    words: float
    counts: Mapping[int, int]
    headed: AbstractSet[int]
    names: AbstractSet[int]
    figures: AbstractSet[int]


_HEAD = struct.Struct("<ii2sI")


class Candidate(NamedTuple):
    """An entry of the window that a newcomer may belong with."""

    entry_id: int
    story_id: int
    signature: Signature


@dataclass(frozen=True, slots=True)
class Choice:
    """The story that a newcomer joins.

    Attributes:
        story_id: the story.
        score: how sure that is, from `THRESHOLD` to 1.
        edges: the members that decided, by entry id, and how similar each is, the most similar first.
    """

    story_id: int
    score: float
    edges: tuple[tuple[int, float], ...]


class Titled(NamedTuple):
    """An article of a story, as far as its title goes; `prints` counts the outlets that have it."""

    title: str
    prints: int
    at: datetime


# -------------------------------------------------------------------------------------- thinking


def similarity(a: Signature, b: Signature) -> float:
    """How likely two entries tell of one event, from 0 to 1; the same whichever comes first."""
    ours, theirs = a.features, b.features
    both, words = [0] * len(_RARITY), 0
    for feature in ours.keys() & theirs.keys():
        less, more = ours[feature], theirs[feature]
        if less > more:
            less, more = more, less
        kind = feature & _KIND
        if kind == _TERM and more < _IS_NAME:
            words += less
        else:
            both[kind] += less
    names, concepts, countries, figures, _ = both
    days = abs((a.at - b.at).total_seconds()) / 86_400
    logit = (
        _BIAS
        + _PER_NAME * min(names / _UNITS, _ENOUGH) * exp(-days / _NAMES_FADE)
        + _PER_CONCEPT * min(concepts / _UNITS, _ENOUGH) * exp(-days / _CONCEPTS_FADE)
        + _PER_FIGURE * min(figures / _UNITS, _ENOUGH) * exp(-days / _CONCEPTS_FADE)
    )
    if countries:
        logit += _PER_COUNTRY * countries / (a.sums.countries * b.sums.countries)
    if a.heading == b.heading:
        logit += _ONE_TITLE
    score = 1 / (1 + exp(-logit))
    # Most pairs are far from joining, and need no second look.
    return 0.0 if score > _FAINT and _contradict(a, b, words + concepts) else score


def _contradict(a: Signature, b: Signature, shared: int) -> bool:
    """Whether two entries cannot be of one event, however much they share.

    They count on (the second boat, the third); have one standing title on two days; tell of victims on days apart;
    or, in one language, have titles that speak of different things, over texts that share their background or their
    feed's blurb; or are worded alike but for what one title has and the other lacks: bulletins on one template.
    """
    ours, theirs = a.sums, b.sums
    if ours.counts and any(theirs.counts.get(what, count) != count for what, count in ours.counts.items()):
        return True
    one_title = a.heading == b.heading
    if abs(a.at - b.at) > _SAME_ISSUE and (
        (one_title and a.day != b.day)
        or (_days_apart(a, b) and not _TOLL.isdisjoint(a.features.keys() & b.features.keys()))
    ):
        return True
    in_both = ours.headed & theirs.headed
    ours_alone, theirs_alone = ours.headed - b.features.keys(), theirs.headed - a.features.keys()
    own_terms = min(sum(one & _KIND == _TERM for one in alone) for alone in (ours_alone, theirs_alone))
    if a.language == b.language and ours.headed and theirs.headed:
        told = len(ours.headed) - len(ours_alone) + len(theirs.headed) - len(theirs_alone)
        if (not in_both and told < _TOLD) or (own_terms >= _SEVERAL and len(in_both) < _TOLD):
            return True
    alike = one_title or (a.language == b.language and shared >= _ALIKE * ours.words * theirs.words)
    # Each has a name, or a number, that the other lacks altogether, or one template's titles are filled in otherwise.
    return alike and (
        not (ours.names <= b.features.keys() or theirs.names <= a.features.keys())
        or not (ours.figures <= b.features.keys() or theirs.figures <= a.features.keys())
        or (own_terms > 0 and 2 * len(in_both) >= min(len(ours.headed), len(theirs.headed)))
    )


def _days_apart(a: Signature, b: Signature) -> bool:
    """Whether two entries name days that are no mere today and yesterday, and their titles hardly a common name."""
    two_days = a.dated and b.dated and abs(a.day - b.day) > 1
    return two_days and len(a.sums.names & b.sums.names) < _SEVERAL


def choose(newcomer: Signature, candidates: Iterable[Candidate]) -> Choice | None:
    """The story that an entry joins.

    Args:
        newcomer: the entry.
        candidates: entries of the window, in any order; those that share most `keys` suffice.

    Returns:
        The story whose best members are most similar to it; None where none is similar enough: it begins its own.
    """
    stories: dict[int, list[tuple[float, int]]] = {}
    for entry_id, story_id, signature in candidates:
        if abs(signature.at - newcomer.at) <= WINDOW:
            score = similarity(newcomer, signature)
            stories.setdefault(story_id, []).append((score, entry_id))
    choices = []
    for story_id, members in stories.items():
        best = sorted(members, key=lambda one: (-one[0], one[1]))[:BEST]
        score = sum(one[0] for one in best) / len(best)
        if score >= THRESHOLD:
            choices.append(Choice(story_id, score, tuple((entry_id, each) for each, entry_id in best)))
    return min(choices, key=lambda one: (-one.score, one.story_id), default=None)


_SHOUTED = re.compile(r"\W*[A-Z]{3,}(?:\s+[A-Z]{3,})*\s*!")


def story_title(members: Iterable[Titled]) -> str:
    """The title for a story: of the article that most outlets print, then the first; one that shouts only if all do."""

    def shouts(text: str) -> bool:
        letters = [char for char in text if char.isalpha()]
        return _SHOUTED.match(text) is not None or sum(map(str.isupper, letters)) > 0.6 * len(letters)

    ranked = sorted(members, key=lambda one: (-one.prints, one.at, one.title))
    return next((one for one in ranked if not shouts(one.title)), ranked[0]).title


# --------------------------------------------------------------------------------------- reading

_TOKEN = re.compile(r"[.!?:\u2026\n]|\w++(?:[.,/:-](?=\d)\w++)*+")
_MARKS = re.compile("[\u0300-\u036f]+")
_DIGITS = re.compile(r"[0-9]+")
_ENDS = frozenset(".!?:\u2026\n")
_LIKE = {"ms": "id", "jv": "id", "su": "id", "pt": "es", "gl": "es", "ca": "es"}


def signature(
    title: str, text: str, language: str | None, at: datetime, countries: Sequence[str] = ()
) -> Signature:
    """Reduce an entry to what is compared.

    Args:
        title: plain text.
        text: plain text of the article itself (`furniture.own_text`).
        language: ISO 639-1 code.
        at: when it was published, or else first seen.
        countries: what it is about (`places.countries`).
    """
    code = (language or "")[:2]
    at = at.replace(second=0, microsecond=0)
    reading = _Reading(_LIKE.get(code, code), at)
    reading.read(_words(_plain(text[: WORDS * LETTERS]), WORDS))
    plain = _plain(title[:400])
    reading.read(_words(plain, 40), title=True)
    weights = reading.weights
    for number, country in enumerate(countries):
        weights[_feature(country, _COUNTRY)] = 1.0 if number < 2 else 0.5
    ranked = sorted((-weight, feature) for feature, weight in weights.items())[:MOST_FEATURES]
    heading = " ".join(reading.heading) or plain
    return Signature(
        at,
        reading.day or at.toordinal(),
        f"{code:2.2}" if code.isascii() else "  ",
        crc32(heading.encode("utf-8", "replace")),
        {feature: round(-weight * _UNITS) for feature, weight in sorted((f, w) for w, f in ranked)},
        reading.day > 0,
    )


class _Words(NamedTuple):
    """Words as they are written, and which of them come after the end of a sentence."""

    written: list[str]
    begin: AbstractSet[int]


def _words(plain: str, most: int) -> _Words:
    tokens = _TOKEN.findall(plain)
    ends = (number for number, token in enumerate(tokens) if token in _ENDS)
    begin = {number - ends_before for ends_before, number in enumerate(ends)}
    return _Words([token for token in tokens if token not in _ENDS][:most], begin)


class _Reading:
    """One entry, being read."""

    def __init__(self, language: str, at: datetime) -> None:
        column = language if language in _COLUMNS else ""
        self.meanings = _meanings(column)
        self.noun = -1 if column == "id" else 1  # where it stands, seen from its ordinal
        self.at = at
        self.day = 0
        self.weights: dict[int, float] = {}
        self.heading: list[str] = []

    def add(self, feature: int, weight: float) -> None:
        if weight > self.weights.get(feature, 0.0):
            self.weights[feature] = weight

    def read(self, given: _Words, *, title: bool = False) -> None:
        """Take what stands in a part of the entry; the title comes last, for the text tells what are names."""
        written = given.written
        words = " ".join(written).lower().split()
        meanings, weights = list(map(self.meanings.__getitem__, words)), self.weights
        long = [word for word in written if len(word) > 3] if title else ()
        headline = len(long) > 2 and sum(word != word.lower() for word in long) > 0.6 * len(long)
        place = _TITLE if title else _LEAD
        after = 0  # the end of a pair
        for position, found in enumerate(meanings):
            if position == LEAD_WORDS and not title:
                place = _BEYOND
            if found is None or position < after:
                if title and position >= after:
                    self.heading.append(words[position])
                continue
            if found.pairs and position + 1 < len(words) and words[position + 1] in found.pairs:
                after = position + 2
                found = self.meanings[f"{words[position]}_{words[position + 1]}"] or _Meaning()
            for feature, weight in found.features:
                weight *= place
                if weight > weights.get(feature, 0.0):
                    weights[feature] = weight
            if term := found.term:
                word = words[position]
                if written[position] != word and len(word) > 1:
                    if headline:
                        name = weights.get(term, 0.0) >= _NAME * _BEYOND
                    else:
                        name = title or (position > 0 and position not in given.begin)
                    if name:
                        self.add(term, _NAME * place)
                        continue
                if len(word) > 3:
                    self.add(term, _WORD * place)
            elif found.digits:
                self._figure(position, words, place)
                continue
            elif found.role == "number":
                self._count(str(found.value), position, words, place)
            elif found.role == "ordinal":
                near = position + self.noun
                noun = (meanings[near] if 0 <= near < len(words) else None) or _Meaning()
                what = noun.features[0][0] if noun.features else 0
                self.add((what & ~0x7F) | (found.value & 0xF) << 3 | _ORDINAL, place)
            elif found.role == "weekday" and place != _BEYOND and not self.day:
                # The last such day; where it happened it may be tomorrow already.
                latest = self.at.toordinal() + 1
                self.day = latest - (latest - found.value) % 7
            if title:
                self.heading.append(words[position])

    def _count(self, digits: str, position: int, words: Sequence[str], place: float) -> None:
        """Take a number, but not that of the dead or the hurt, which grows while a story is told."""
        if len(digits) > 1:
            near = filter(None, map(self.meanings.__getitem__, words[max(0, position - 2) : position + 4]))
            if not any(feature in _TOLL for meaning in near for feature, _ in meaning.features):
                self.add(_feature(digits, _FIGURE), place)

    def _figure(self, position: int, words: Sequence[str], place: float) -> None:
        """A word with digits: a date, a name such as F-35, or a number."""
        word = words[position]
        parts = [part[:12] for part in _DIGITS.findall(word)]
        if not parts:
            return
        if "/" in word or word.count("-") == 2:
            self._date(parts)
        elif word[0].isalpha() and not word.startswith(("rp", "us", "m")):
            self.add(_feature(re.sub(r"\W|s$", "", word), _TERM), _NAME * place)
        else:
            if len(parts) == 1 and len(parts[0]) <= 2:
                after = position + 2 if words[position + 1 : position + 2] == ["de"] else position + 1
                near = (self.meanings[words[n]] for n in (after, position - 1) if 0 <= n < len(words))
                if month := max((each.value for each in near if each and each.role == "month"), default=0):
                    self._date([parts[0], str(month)])
                    return
            digits = "".join(parts).lstrip("0")
            if digits and not (len(parts) == 1 and len(digits) == 4 and digits.startswith(("19", "20"))):
                self._count(digits, position, words, place)

    def _date(self, parts: Sequence[str]) -> None:
        """Take the first date that is news as the day the entry tells of."""
        if len(parts[0]) > 2:  # the year comes first
            parts = parts[:0:-1]
        if self.day or len(parts) < 2:
            return
        first, second = int(parts[0]), int(parts[1])
        for day, month in ((first, second), (second, first)):
            if 1 <= month <= 12 and 1 <= day <= 31:
                for year in (self.at.year, self.at.year - 1):
                    # The 31st of a short month is the 1st of the next: near enough.
                    then = date(year, month, 1).toordinal() + day - 1
                    if -WINDOW.days <= then - self.at.toordinal() <= 1:
                        self.day = then
                        return


# ----------------------------------------------------------------------------------------- words

_CONCEPTS = Path(__file__).with_name("concepts.txt")
_COLUMNS = ("id", "en", "es")


class _Meaning(NamedTuple):
    """What a word means, wherever it stands: some of these."""

    features: tuple[tuple[int, float], ...] = ()  # and what they weigh
    pairs: frozenset[str] = frozenset()  # the words it makes a pair with
    term: int = 0  # it is in no list: a name, or a rare word
    digits: bool = False
    role: str = ""  # it is a `number`, an `ordinal`, a `weekday` or a `month` ...
    value: int = 0  # ... and which; Monday is 1


class _Lexicon(NamedTuple):
    """A language's words, each with its concepts: whole, by their beginnings; and which make pairs with which."""

    words: dict[str, list[str]]
    beginnings: dict[str, list[str]]
    pairs: dict[str, set[str]]


@cache
def _lexicon(column: str) -> _Lexicon:
    """The words of a language, or of all where it is not known."""
    found = _Lexicon({}, {}, {})
    for line in _CONCEPTS.read_text(encoding="utf-8").splitlines():
        if not line or line[0] == "#":
            continue
        concept, *columns = line.split(" | ")
        forms = columns[_COLUMNS.index(column)] if column else " ".join(columns)
        for form in forms.split():
            if form[-1] == "*":
                found.beginnings.setdefault(form[:-1], []).append(concept)
            else:
                found.words.setdefault(form, []).append(concept)
                first, pair, second = form.partition("_")
                if pair:
                    found.pairs.setdefault(first, set()).add(second)
    return found


class _Meanings(dict[str, _Meaning | None]):
    """What words mean in a language; None: one says nothing."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.lexicon = _lexicon(column)

    def __missing__(self, word: str) -> _Meaning | None:
        if len(self) >= _MOST_MEANINGS:
            self.clear()
        found = self._of(word)
        self[word] = found if any(found) else None
        return self[word]

    def _of(self, word: str) -> _Meaning:
        if word[0].isdigit() or word[-1].isdigit():
            return _Meaning(digits=True)
        words, beginnings, pairs = self.lexicon
        concepts = words.get(word)
        if not concepts and self.column in ("", "id"):
            concepts = next((words[root] for root in _roots(word) if root in words), None)
        if not concepts:
            starts = (word[:end] for end in range(len(word), 2, -1))
            concepts = next((beginnings[start] for start in starts if start in beginnings), None)
        meant = _meant(concepts, word) if concepts else _Meaning(term=_feature(_sounded(word), _TERM))
        return meant._replace(pairs=frozenset(pairs[word])) if word in pairs else meant


_meanings = cache(_Meanings)
"""By the column of their language."""


def _meant(concepts: Iterable[str], word: str) -> _Meaning:
    features = []
    for concept in dict.fromkeys(concepts):
        what, colon, value = concept.partition(":")
        if colon:
            return _Meaning(role=what, value=int(value))
        if concept == "everyday":
            features.append((_feature(_sounded(word), _TERM), _EVERYDAY))
        elif concept != ".":
            weight = {"+": _TELLING, "-": _COMMON}.get(concept[0], _ORDINARY)
            features.append((_feature(concept.lstrip("+-"), _CONCEPT), weight))
    return _Meaning(tuple(features))


_SUFFIXES = ("nya", "lah", "kah", "pun", "kan", "an", "i")
_PREFIXES = (
    ("meny", ("s",)), ("peny", ("s",)), ("meng", ("", "k")), ("peng", ("", "k")), ("mem", ("", "p")), ("pem", ("", "p")),
    ("men", ("", "t")), ("pen", ("", "t")), *((prefix, ("",)) for prefix in (
        "memper", "diper", "me", "pe", "di", "ter", "ber", "be", "ke", "se", "per")),
)  # fmt: skip


def _roots(word: str) -> Iterator[str]:
    """What an Indonesian word may be made of, the least taken away first (Sneddon, *Indonesian*, §1.5-1.13)."""
    stems = [word]
    for suffix in _SUFFIXES:
        stems += [
            stem[: -len(suffix)]
            for stem in stems[:2]
            if stem.endswith(suffix) and len(stem) > len(suffix) + 2
        ]
    yield from stems[1:]
    for stem in stems:
        for prefix, firsts in _PREFIXES:
            if stem.startswith(prefix) and len(stem) > len(prefix) + 2:
                yield from (first + stem[len(prefix) :] for first in firsts)


_SOUNDS = str.maketrans({"c": "k", "q": "k", "y": "i", "j": "i", "z": "s", "w": "v", "x": "s", "h": None})
_DOUBLE = re.compile(r"(.)\1+")


def _sounded(word: str) -> str:
    """A name as it sounds, whichever language wrote it: Kolombia and Colombia, Zelensky and Zelenskiy."""
    sounds = _DOUBLE.sub(r"\1", word.replace("ph", "f").replace("qu", "k").translate(_SOUNDS))
    return (sounds.rstrip("aeiou") or sounds)[:8]


def _feature(name: str, kind: int) -> int:
    """The number of a feature: the same on every machine."""
    return (crc32(name.encode("utf-8", "replace")) & ~_KIND) | kind


_TOLL = frozenset(
    _feature(what, _CONCEPT) for what in ("die", "kill", "injure", "missing", "victim", "person", "body")
)


def _plain(text: str) -> str:
    """A text without accents, and without the one sign that a pattern takes for a letter."""
    text = text.replace("_", " ")
    return text if text.isascii() else _MARKS.sub("", unicodedata.normalize("NFKD", text))
