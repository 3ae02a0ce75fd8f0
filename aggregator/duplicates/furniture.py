"""What stands in an entry's text and is not the article: "Baca juga", datelines, source footers, a feed's own lines.

Some of it is known beforehand, by its words (Indonesian, English, Spanish). The rest is *learned*: a paragraph
at the head or the tail of many different entries of one feed is the feed's own furniture.
"""

import re
from collections.abc import Collection
from hashlib import blake2b

FURNITURE_FROM = 4
"""A paragraph is a feed's furniture once so many of its entries with different title keys hold it. Three
entries may well be one article under three headlines; a fourth headline for one text was not met."""

_HEAD, _TAIL = 2, 4  # paragraphs at either end that may be furniture
_LEAST_WORDS = 4  # a shorter paragraph changes nothing
_TOLD_BY = 240  # characters, by which a paragraph is known
_LEAST_LEFT = 6  # words: a text that would be all furniture is none

_LABELS = re.compile(
    r"""(?:
      # elsewhere on the site
      (?:baca|lihat|simak|saksikan|tonton|cek)\s+(?:juga|selengkapnya|pula|video|artikel|berita)\b
    | (?:artikel|berita|konten|topik)\s+(?:terkait|lainnya|menarik|pilihan|rekomendasi)\b
    | (?:read|see)\s+(?:also|more|next)\b | also\s+read\b | related\s*(?::|(?:articles?|stories|news|topics?|coverage)\b)
    | more\s+(?:on\s+this|from)\b | recommended\s*: | don['’]t\s+miss\b | watch\s*: | (?:click|tap)\s+here\b
    | (?:lea|lee|leer|vea|ver|mira|mire|le[eé])\s+(?:también|tambien|además|más|mas)\b
    | (?:te|le)\s+(?:puede|podría|recomendamos)\b | más\s+(?:noticias|información|sobre)\b | (?:notas?|noticias?)\s+relacionadas?\b
      # share, follow, pay
    | (?:ikuti|dapatkan|bagikan|gabung|klik|unduh|download|sebarkan|cek)\s+(?:kami|berita|update|informasi|artikel|di\s+sini|whatsapp|saluran|kanal|channel|aplikasi)\b
    | (?:follow|join|subscribe|sign\s+up|share|download|support|get)\s+(?:us\b|our\b|to\b|for\b|this\b|the\b|it\b|on\b|trusted\b|now\b)
    | (?:suscríb[ae]\w*|suscrib[aei]\w*|síg[au]\w*|siganos|únete|descarg[au]e?|comparte|apoya)\b
    | advertisement\b | scroll\s+to\s+continue\b | \[?gambas:? | copyright\b | © | all\s+rights\s+reserved\b
    | the\s+post\b.*\bappeared\s+first\s+on\b | todos\s+los\s+derechos\b | hak\s+cipta\b
      # who wrote, edited, photographed
    | (?:editor|reporter|penulis|pewarta|wartawan|redaktur|kontributor|penerjemah|uploader|video\s+editor|photo|foto|image|credits?|by|por|oleh|sumber|source|sources|fuente|fuentes|fonte|laporan|redacción)\s*:
    | (?:additional\s+)?reporting\s+by\b | edited\s+by\b | writing\s+by\b | story\s+by\b | con\s+informaci[oó]n\s+de\b
    | (?:sumber|source|fuente)\s+(?:berita|artikel)\s*: | artikel\s+ini\s+(?:telah|sudah|pertama)\b
    | this\s+(?:article|story)\s+(?:was|first|originally|has\s+been)\b | publicado\s+originalmente\b | originally\s+published\b
    | \(?(?:dikutip|dilansir|disadur|dinukil)\s+dari\s+\S+(?:\s\S+){0,4}$
    | [(\[]?[a-zà-ÿ]{2,5}(?:/[a-zà-ÿ]{2,5}){1,4}[)\]]?$
    | \(con\s+informaci[oó]n\b
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_LABELLED = 300  # characters: a longer paragraph says something of its own
_BARE = re.compile(r"[^.!?]{0,40}:?$")  # a label by itself, with what it announces on the next lines

_DATELINE = re.compile(
    r"""(?:
      (?=[^\n]{2,90}?\s?[-–—]{1,2}\s) (?:
        (?:[A-ZÀ-Ý0-9](?:[\w.'’]|-(?=\w))*+|\([\w\s./]{2,30}\)|(?:[a-z][\w-]{1,30}\.)+(?:id|com|net|co|org)|de|del|la|of|the|al|ene|feb|mar|abr|may|jun|jul|ago|sep|sept|oct|nov|dic)
        [,.;:/]*+ [^\S\n]*+
      ){1,9}? [-–—]{1,2}\s+ | \([A-Z][\w\s.]{1,28}\)\s+(?=[A-ZÀ-Ý"“])
    )""",
    re.VERBOSE,
)


def own_text(text: str, furniture: Collection[int] = frozenset()) -> str:
    """The article itself.

    Args:
        text: an entry's plain text, a line for each paragraph.
        furniture: keys of the paragraphs that were learned to be the feed's own.

    Returns:
        The paragraphs that belong to the article, without datelines.
    """
    lines = text.split("\n")
    keep: list[str] = []
    learned = _edges(lines) if furniture else ()
    after_bare = 0
    for number, line in enumerate(lines):
        if len(line) < _LONGEST_LABELLED and _LABELS.match(line):
            after_bare = 3 if _BARE.match(line) else 0
            continue
        if after_bare and len(line) < 140 and not line.endswith((".", '"', "”", "?")):
            after_bare -= 1
            continue
        after_bare = 0
        if number in learned and _key(line) in furniture:
            continue
        for _ in range(2 if len(keep) < _HEAD else 0):  # "DEMOCRAZY.ID – TEMPO.CO, Sidoarjo - "
            if not (dateline := _DATELINE.match(line)):
                break
            line = line[dateline.end() :]
        keep.append(line)
    own = "\n".join(keep)
    return own_text(text) if furniture and len(own.split(None, _LEAST_LEFT)) < _LEAST_LEFT else own


def paragraph_keys(text: str) -> tuple[int, ...]:
    """Keys of the paragraphs of a text that may be its feed's furniture: those at its head and its tail.

    Args:
        text: an entry's plain text, a line for each paragraph.

    Returns:
        At most six signed 64-bit numbers; equal for paragraphs that begin alike but for case, ASCII signs and spaces.
    """
    lines = text.split("\n")
    edges = (lines[number] for number in _edges(lines))
    long = (line for line in edges if len(line.split(None, _LEAST_WORDS)) >= _LEAST_WORDS)
    return tuple(dict.fromkeys(map(_key, long)))


def _edges(lines: list[str]) -> list[int]:
    """Positions where furniture may stand; a text of one paragraph has none."""
    count = len(lines)
    return [] if count < 2 else [n for n in range(count) if n < _HEAD or n >= count - _TAIL]


_SIGNS = bytes(code for code in range(128) if not chr(code).isalnum())


def _key(paragraph: str) -> int:
    letters = paragraph[:_TOLD_BY].casefold().encode("utf-8", "replace").translate(None, _SIGNS)
    return int.from_bytes(blake2b(letters, digest_size=8, person=b"paragraph").digest(), "big", signed=True)
