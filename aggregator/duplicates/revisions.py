"""What has changed between two versions of an entry, and whether readers should hear of it."""

import re
from collections import Counter
from collections.abc import Iterator
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import pairwise

SIGNIFICANT_SHARE = 0.1
"""A text says something else when more than this share of its words is other than before…"""
SIGNIFICANT_WORDS = 40
"""… or more than this many are."""
MOST_PAIRS = 40_000
"""So many pairs of equal words are tried to tell two texts apart word by word; the rest is compared by paragraphs."""

# When it was touched, or how often read: "10:45", "10.45 WIB", "Dibaca 1.204 kali", "312 views".
_COUNTER = re.compile(
    r"\b\d{1,2}:\d\d(?::\d\d)?\b|\b\d{1,2}\.\d\d\s+(?:WIB|WITA|WIT|h|hrs|horas)\b"
    r"|\bdibaca\s+(?:sebanyak\s+)?[\d.,]+|(?<![\d.,])[\d.,]++\s+(?:views?|vistas|lecturas|komentar|comments?|comentarios)\b",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+(?:[.,:]\d+)*")
_PIECE = re.compile(r"\s+|\w+(?:[.,:]\d+)*|[^\w\s]")
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Change(StrEnum):
    """What became of a piece of text."""

    SAME = "same"
    GONE = "gone"
    NEW = "new"


def is_significant(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Whether a revision says something else, and not only in another way.

    Corrected spelling, a comma, a renewed time stamp or a counter of readers are not worth a reader's second look; another headline,
    another number or a new paragraph are.

    Args:
        before: title and plain text as they were.
        after: as they are.
    """
    if _words(before[0]) != _words(after[0]):
        return True
    old, new = (Counter(_words(_COUNTER.sub(" ", text))) for text in (before[1], after[1]))
    gone, come = old - new, new - old
    if any(word[0].isdigit() for word in (*gone, *come)):
        return True
    changed = max(gone.total(), come.total())
    return changed > min(SIGNIFICANT_WORDS, SIGNIFICANT_SHARE * max(old.total(), new.total()))


def is_another(before: str, after: str) -> bool:
    """Whether one text was put in the place of another: less than half of the shorter one's word pairs are in both."""
    old, new = (Counter(pairwise(_words(text))) for text in (before, after))
    return 2 * (old & new).total() < min(old.total(), new.total())


def difference(before: str, after: str) -> tuple[tuple[str, Change], ...]:
    """What was taken out of a text and what was put in: paragraph by paragraph, and within those word by word.

    Args:
        before: plain text.
        after: plain text.

    Returns:
        Pieces in reading order: joined without those that are new they give `before`, without those
        that are gone `after`.
    """
    parts: list[tuple[str, Change]] = []

    def add(text: str, change: Change) -> None:
        if text and parts and parts[-1][1] is change:
            parts[-1] = parts[-1][0] + text, change
        elif text:
            parts.append((text, change))

    left = MOST_PAIRS
    for old, new in _compared(_LINE.findall(before), _LINE.findall(after)):
        if old == new:
            add(old, Change.SAME)
            continue
        words, others = _PIECE.findall(old), _PIECE.findall(new)
        if (pairs := _pairs(words, others)) > left:
            add(old, Change.GONE)
            add(new, Change.NEW)
            continue
        left -= pairs
        for gone, come in _compared(words, others):
            if gone == come:
                add(gone, Change.SAME)
            else:
                add(gone, Change.GONE)
                add(come, Change.NEW)
    return tuple(parts)


def _compared(old: list[str], new: list[str]) -> Iterator[tuple[str, str]]:
    """Two rows of pieces cut into equal stretches and others, each as it was and as it is."""
    if _pairs(old, new) > MOST_PAIRS:
        yield "".join(old), "".join(new)
        return
    for _, a, b, c, d in SequenceMatcher(str.isspace, old, new, autojunk=False).get_opcodes():
        yield "".join(old[a:b]), "".join(new[c:d])


def _pairs(old: list[str], new: list[str]) -> int:
    """How many pairs of equal pieces there are: with them grows what it costs to compare."""
    counts = Counter(piece for piece in new if not piece.isspace())
    return sum(counts[piece] for piece in old)


def _words(text: str) -> list[str]:
    return [word.casefold() for word in _WORD.findall(text)]
