"""How well a topic's rules do on entries that people have labelled."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from aggregator.errors import UnknownError
from aggregator.model import EntryText
from aggregator.text import plain_line, plain_text, repeats, sanitise
from aggregator.topics.engine import Ruleset


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts of right and wrong decisions, and what is usually made of them; 0.0 where nothing is to divide."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    @property
    def precision(self) -> float:
        """Share of what was tagged that should have been."""
        return _share(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of what should have been tagged that was."""
        return _share(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        both = 2 * self.true_positives
        return _share(both, both + self.false_positives + self.false_negatives)


@dataclass(frozen=True, slots=True)
class Miss:
    """An item that was decided wrongly; `score` says how far off."""

    id: str
    language: str
    title: str
    label: bool
    score: float


@dataclass(frozen=True, slots=True)
class Quality:
    """What `evaluate` found.

    Attributes:
        total: over all items.
        languages: the same for each language.
        aspects: for each aspect, over the items that belong to the topic.
        misses: the worst first: what is furthest from the threshold.
    """

    total: Figures
    languages: Mapping[str, Figures]
    aspects: Mapping[str, Figures]
    misses: tuple[Miss, ...]


def evaluate(ruleset: Ruleset, slug: str, items: Iterable[Mapping[str, Any]]) -> Quality:
    """Compare a topic's tags with labels.

    Args:
        ruleset: what to measure.
        slug: the topic that the labels are about.
        items: mappings with `id`, `lang`, `title`, `label`, and where there are any `summary`, `content`
            (HTML or plain) and `aspects`.

    Returns:
        Precision, recall and F1, over all and for each language and aspect, and the misses.

    Raises:
        UnknownError: the ruleset has no topic of that slug.
    """
    topic = next((topic for topic in ruleset.topics if topic.slug == slug), None)
    if topic is None:
        raise UnknownError(f"there is no topic {slug!r}")
    decisions: list[tuple[bool, bool]] = []
    languages: dict[str, list[tuple[bool, bool]]] = {}
    aspects: dict[str, list[tuple[bool, bool]]] = {aspect.slug: [] for aspect in topic.aspects}
    misses: list[Miss] = []
    for item in items:
        entry = entry_text(item)
        tags = [tag for tag in ruleset.match(entry)[0] if tag.topic == slug]
        label, tagged = bool(item["label"]), bool(tags)
        decisions.append((label, tagged))
        languages.setdefault(entry.language or "", []).append((label, tagged))
        if label:
            found = {tag.aspect for tag in tags}
            for aspect, pairs in aspects.items():
                pairs.append((aspect in item.get("aspects", ()), aspect in found))
        if label != tagged:
            score = ruleset.explain(entry, slug)[0].score
            misses.append(Miss(str(item["id"]), entry.language or "", entry.title, label, score))
    return Quality(
        _figures(decisions),
        {language: _figures(pairs) for language, pairs in sorted(languages.items())},
        {aspect: _figures(pairs) for aspect, pairs in aspects.items()},
        tuple(sorted(misses, key=lambda miss: -abs(miss.score - topic.threshold))),
    )


def entry_text(item: Mapping[str, Any]) -> EntryText:
    """A labelled item as rules see an entry."""
    summary, text = (plain_text(sanitise(str(item.get(key) or ""), None)) for key in ("summary", "content"))
    if not text:
        summary, text = "", summary
    elif repeats(summary, text):
        summary = ""
    return EntryText(plain_line(str(item["title"])), summary, text, (), item.get("lang"))


def _figures(pairs: Iterable[tuple[bool, bool]]) -> Figures:
    counted = list(pairs)
    return Figures(
        *(counted.count(pair) for pair in ((True, True), (False, True), (True, False), (False, False)))
    )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
