"""The language of searches: what a query means in FTS5's, and what its reader should know of how it was understood.

FTS5 refuses a query for the least slip (sqlite.org/fts5.html §3). Here every query means something: what cannot be
meant as it stands is mended, and a sentence says what was wrong and what would be right. All words are given to FTS5
in quotes, so `F-35` and `U.S.` are words, too.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aggregator import text

COLUMNS = ("title", "text")
"""What may stand before a colon."""
NEAR = 10
"""So many words may stand between those of a NEAR group, unless it says how many (as in FTS5)."""
LONGEST = 1_000
"""Characters of a query; what is beyond them is left out. FTS5 refuses what is nested too deep."""
DEEPEST = 20
"""Brackets within brackets."""
INDEXED = (3, 5)
"""The index holds beginnings of so many letters (`prefix=` in the schema)."""
MOST = 2_000
"""Another beginning is looked for by those that are, or by words, unless they are more than these; one letter has some
500 beginnings of three. FTS5 opens each in some 15 µs."""
FEW = 12
"""So many words and beginnings may be opened anew for each entry that is asked about."""

_TOKEN = re.compile(
    r"""NEAR\((?P<near>[^()]*)\)
      | (?P<phrase>"[^"]*(?:(?P<end>")\*?|$))
      | (?P<bracket>[()])
      | (?P<word>[^\s"()]+)""",
    re.VERBOSE,
)
_WITHIN = re.compile(r",\s*(\d{1,6})\s*$")
_COLUMN = re.compile(r"([^\W\d_]+):(?!//)(.*)", re.DOTALL)
_OPERATORS = ("AND", "OR", "NOT")
_OPERAND = r'(?:[a-z]+ : )?(?:NEAR\([^()]*\)|"[^"]*"\*?)'
_OPERANDS = re.compile(rf"{_OPERAND}(?: {_OPERAND})*")
_BEGINNING = re.compile(r'([a-z]+ : )?"([^"]*)"\*')
_FILTERS = tuple(f"{column} :" for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Reading:
    """A query as it was understood.

    Attributes:
        fts: in FTS5's language, and valid there.
        note: where it may mean something else than was meant: what is wrong and what would be right; else None.
    """

    fts: str
    note: str | None = None


def read(query: str) -> Reading:
    """Understand a query.

    Args:
        query: words, all of which are to be found; `"phrases"`, beginnings (`fragat*`), `AND`, `OR`, `NOT` and
            brackets, `NEAR(a b, 5)`, and `title:` or `text:` before what is to stand there; `-word` means NOT.
    """
    reader = _Reader()
    for token in _TOKEN.finditer(text.clean(query)[:LONGEST]):
        reader.take(token)
    return reader.end()


_WHOLE = LONGEST
"""No word that is looked for has more letters."""

Stems = Callable[[str, int, int], Sequence[str]]
"""Given a beginning, a number of letters and another number: of the words in the index that begin so, cut to so many
letters, at most so many that differ."""


def spelled_out(fts: str, stems: Stems) -> str:
    """A query with the words, or the indexed beginnings, in place of a beginning that is not indexed.

    For such a one, FTS5 merges the places of all words that begin so before it gives the first row; those of single
    words and of indexed beginnings it reads as they are wanted.

    Args:
        fts: a query as `read` writes it.
        stems: what the index holds.
    """

    def operand(written: str) -> str:
        beginning = _BEGINNING.fullmatch(written)
        letters = _folded(beginning[2]) if beginning else ""
        if not beginning or len(letters) in INDEXED or not (letters.isascii() and letters.isalnum()):
            return written
        cut = next((length for length in INDEXED if length > len(letters)), _WHOLE)
        found = stems(letters, cut, MOST + 1)
        if not 0 < len(found) <= MOST:
            return written
        either = " OR ".join(f'"{stem}"*' if len(stem) == cut else f'"{stem}"' for stem in found)
        return f"{beginning[1] or ''}({either})"

    def operands(run: re.Match[str]) -> str:
        before = re.findall(_OPERAND, run[0])
        after = [operand(each) for each in before]
        if after == before or len(after) == 1:
            return " ".join(after)
        return f"({' AND '.join(after)})"  # beside a bracket FTS5 adds none itself

    return _OPERANDS.sub(operands, fts)


def is_dear(fts: str) -> bool:
    """Whether it costs FTS5 much to begin with a query: it is then asked once, not once for each entry."""
    beginnings = re.findall(r'"([^"]*)"\*', fts)
    return fts.count('"') > 2 * FEW or any(len(_folded(each)) not in INDEXED for each in beginnings)


def _folded(word: str) -> str:
    """A word as the index holds it, if it is one of Latin letters."""
    apart = unicodedata.normalize("NFD", word.lower())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))


class _Reader:
    """Takes a query token by token and writes it in FTS5's language."""

    def __init__(self) -> None:
        self._written: list[str] = []
        self._without: list[str] = []
        self._open = 0
        self._note: str | None = None

    def take(self, token: re.Match[str]) -> None:
        """Write one token."""
        if token["near"] is not None:
            among, *within = _WITHIN.split(token["near"], maxsplit=1)
            words = " ".join(filter(None, map(_quoted, re.findall(r'"[^"]*"\*?|[^\s"]+', among))))
            self._operand(words and f"NEAR({words}, {within[0] if within else NEAR})")
        elif token["phrase"]:
            if not token["end"]:
                self._say("a quotation mark has no partner, so the phrase goes on to the end")
            self._operand(_quoted(token["phrase"]))
        elif token["bracket"] == "(":
            self._begin()
        elif token["bracket"]:
            self._close()
        else:
            self._word(token["word"])

    def end(self) -> Reading:
        """The whole query."""
        if self._open:
            self._say("a bracket has no partner, so it ends at the end")
        while self._open:
            self._close()
        self._finish()
        written = " ".join(self._written)
        if self._without and written:
            written = f"({written}) NOT ({' OR '.join(self._without)})"
            self._say("-word means NOT word: one word NOT another is the same")
        elif self._without:
            written = " ".join(self._without)
            self._say("there is nothing to leave out from: write one word NOT another")
        return Reading(written or '""', self._note and f"{self._note[0].upper()}{self._note[1:]}.")

    @property
    def _last(self) -> str:
        return self._written[-1] if self._written else "("

    @property
    def _complete(self) -> bool:
        """Whether what is written so far could be the whole."""
        return self._last not in {"(", *_OPERATORS, *_FILTERS}

    def _word(self, word: str) -> None:
        column = _COLUMN.fullmatch(word)
        if word in _OPERATORS:
            if word == "NOT" and self._last == "AND":
                self._written[-1] = word  # as many languages write it
            elif self._complete:
                self._written.append(word)
            else:
                self._alone(word)
        elif column and column[1].lower() in COLUMNS and self._last not in _FILTERS:
            self._operand(f"{column[1].lower()} :")
            if column[2]:
                self._word(column[2])
        elif word[0] == "-" and len(word) > 1 and not self._open and (self._complete or not self._written):
            self._without += filter(None, [_quoted(word)])
        else:
            if column:
                self._say(
                    f"there is no {column[1]}: to look in, only {': and '.join(COLUMNS)}:, so it was taken for a word"
                )
            elif re.fullmatch(r"NEAR(/\d+)?", word):
                self._say(f"NEAR wants brackets: NEAR(one other, {NEAR})")
            elif "*" in word.rstrip("*"):
                self._say("a star stands at the end of a word: fragat* finds what begins so")
            self._operand(_quoted(word))

    def _operand(self, written: str) -> None:
        if written:
            if self._last == ")":
                self._written.append("AND")  # FTS5 adds none beside brackets
            self._written.append(written)

    def _begin(self) -> None:
        if self._open == DEEPEST:
            return
        column = [self._written.pop()] if self._last in _FILTERS else []
        if self._complete:
            self._written.append("AND")
        self._written += [*column, "("]
        self._open += 1

    def _close(self) -> None:
        if not self._open:
            self._say("a bracket has no partner, so it was left out")
            return
        self._finish()
        self._open -= 1
        if self._last == "(":
            self._written.pop()  # nothing stood in it
        else:
            self._written.append(")")

    def _finish(self) -> None:
        """Make words of what waits for another word."""
        while self._last in {*_OPERATORS, *_FILTERS}:
            self._alone(self._written.pop())

    def _alone(self, word: str) -> None:
        if word in _OPERATORS:
            self._say(f"{word} stands between two words: one {word} other; this one was taken for a word")
        self._operand(_quoted(word))

    def _say(self, note: str) -> None:
        self._note = self._note or note


def _quoted(word: str) -> str:
    """A word or phrase in quotes, with the star that makes it a beginning; nothing where it holds no letter or digit."""
    inner = word.strip('-*"')
    if not re.search(r"[^\W_]", inner):
        return ""
    return f'"{inner}"' + ("*" if word.endswith("*") else "")
