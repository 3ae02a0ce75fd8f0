"""Words: folding a text so that offsets stay true, and recognising a word in its inflected forms."""

import codecs
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from types import MappingProxyType

Accepts = Callable[[str, str], bool]
"""Whether a word is a form of a term's word, given the word folded and as it was written."""

# Letters that have no decomposition in Unicode, by the letter that takes their place in plain typing.
_PLAIN = MappingProxyType(
    {
        "ß": "s",
        "æ": "a",
        "Æ": "a",
        "œ": "o",
        "Œ": "o",
        "ø": "o",
        "Ø": "o",
        "đ": "d",
        "Đ": "d",
        "ł": "l",
        "Ł": "l",
    }
    | {"ı": "i", "þ": "t", "Þ": "t", "ð": "d", "Ð": "d"}
)


@lru_cache(maxsize=4096)
def _fold_letter(letter: str) -> str:
    """The one character that stands for `letter` in folded text; a space for all but letters and digits."""
    base = unicodedata.normalize("NFKD", letter)[0].lower()
    if base.isascii() and base.isalnum():
        return base
    if letter in _PLAIN:
        return _PLAIN[letter]
    if not letter.isalnum():
        return " "
    lower = letter.lower()
    return lower if len(lower) == 1 else letter


_LATIN_1 = bytes(ord(_fold_letter(chr(code)).encode("ascii", "replace")) for code in range(256))


class _AnyScript(dict[int, str]):
    """A table for `str.translate` that fills itself."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold_letter(chr(code))
        return folded


_ANY_SCRIPT = _AnyScript()


def _beyond_latin_1(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    folded = "".join(map(_fold_letter, error.object[error.start : error.end]))
    if not folded.isascii():
        raise error  # another script: the slow way keeps it
    return folded, error.end


codecs.register_error("aggregator.fold", _beyond_latin_1)


def fold(text: str) -> str:
    """`text` in lower case, without diacritics, each other sign a space; of the same length.

    One C pass for texts in Latin script (curly quotes and dashes included), three times slower for others.

    Args:
        text: any text; composed (NFC), for a combining mark on its own reads as a space.

    Returns:
        As many code points as `text` has, so an offset in one is an offset in the other.
    """
    try:
        return text.encode("latin-1", "aggregator.fold").translate(_LATIN_1).decode("ascii")
    except UnicodeEncodeError:
        return text.translate(_ANY_SCRIPT)


# ------------------------------------------------------------------------------------- Indonesian

_SUFFIXES = frozenset(
    ending + clitic
    for ending in ("", "kan", "an", "i")
    for clitic in ("", "nya", "lah", "kah", "pun", "ku", "mu")
)
# The nasal that meN- and peN- take before a root's first letter; p, t, k and s give way to it.
_NASALS = (
    ("m", ("b", "f", "v", "p")),
    ("n", ("c", "d", "j", "z", "t", "sy")),
    ("ny", ("s",)),
    ("ng", ("a", "e", "i", "o", "u", "g", "h", "q", "k")),
)


def affixed(root: str) -> tuple[str, ...]:
    """The beginnings that a word made from an Indonesian root can have: prefix and root.

    Follows the morphophonemics of meN- and peN- (Sneddon, *Indonesian Reference Grammar*, §1.5-1.13):
    serang → menyerang, tembak → menembak, kirim → mengirim, protes → memprotes.

    Args:
        root: folded, one word.

    Returns:
        serang, diserang, terserang, menyerang, penyerang ...; what may follow is `is_suffix`'s matter.
    """
    found = [prefix + root for prefix in ("", "di", "ter", "ber", "ke", "se", "per", "memper", "diper")]
    nasal = next((nasal for nasal, firsts in _NASALS if root.startswith(firsts)), "")
    for prefix in ("me", "pe"):
        if root[0] in "ptks" and root[1:2] in ("a", "e", "i", "o", "u"):
            found.append(prefix + nasal + root[1:])
            if root[0] in "tk":  # loans keep the consonant: mentransfer, mengkudeta
                found.append(prefix + nasal + root)
        else:
            found.append(prefix + ("n" if nasal == "ny" else nasal) + root)  # mensponsori
        if sum(map(root.count, "aeiou")) == 1:  # a root of one syllable: mengebom
            found.append(prefix + "nge" + root)
    if root[0] == "r":
        found.append("be" + root)
    return tuple(dict.fromkeys(found))


def is_suffix(ending: str) -> bool:
    """Whether `ending` can follow an Indonesian root: -kan, -i, -an, and the clitics -nya, -lah, -pun ..."""
    return ending in _SUFFIXES


# ----------------------------------------------------------------------------------------- stems

STEMMERS = MappingProxyType(
    {
        "ca": "catalan",
        "da": "danish",
        "de": "german",
        "en": "english",
        "es": "spanish",
        "fi": "finnish",
        "fr": "french",
        "it": "italian",
        "nl": "dutch",
        "no": "norwegian",
        "pt": "portuguese",
        "ro": "romanian",
        "sv": "swedish",
    }
)
"""Languages whose inflection a Snowball stemmer knows, by ISO 639-1 code."""


@lru_cache(maxsize=64)
def _stemmer(language: str) -> Callable[[str], str]:
    import Stemmer  # type: ignore[import-not-found]  # PyStemmer is one C file without types

    stem: Callable[[str], str] = Stemmer.Stemmer(STEMMERS[language]).stemWord
    return stem


def can_inflect(language: str) -> bool:
    """Whether `~word` means something in this language."""
    return language == "id" or language in STEMMERS


def inflected(word: str, language: str) -> tuple[tuple[str, ...], Accepts]:
    """How to find a word in all its forms: beginnings for the automaton, and the check of what they find.

    Stems are compared as they come from the text with its accents and from the folded text, since
    headlines in capitals lose their accents.

    Args:
        word: one word as the rule's author wrote it.
        language: one for which `can_inflect`.

    Returns:
        Folded beginnings, and whether a word that has one of them is a form of `word`.
    """
    plain = fold(word)
    if language == "id":
        starts = affixed(plain)
        return starts, lambda folded, _: any(
            folded.startswith(start) and is_suffix(folded[len(start) :]) for start in starts
        )
    stem = _stemmer(language)
    stems = {fold(stem(word.lower())), stem(plain)}
    shortest = min(stems, key=len)
    while shortest and not plain.startswith(shortest):
        shortest = shortest[:-1]
    start = shortest[:-1] if len(shortest) > 3 and shortest[-1] in "eiy" else shortest
    return (
        start or plain[:3],
    ), lambda folded, written: stem(folded) in stems or fold(stem(written.lower())) in stems
