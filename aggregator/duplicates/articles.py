"""The same text, however often republished.

An **article** is a connected set of entries. Two entries are joined by an *edge*, which is a pure and symmetric
function of the two (`same`): so any order of arrival gives the same articles. Each entry is reduced to a
`Fingerprint` that holds all that the function needs, in a few hundred bytes:

* keys of its canonical URL, its guid and its title;
* its word pairs as 16-bit numbers: all of the lead, and of the whole the smallest (a bottom-k sketch; Broder 1997,
  "On the resemblance and containment of documents"), so that a part can be recognised in the whole;
* its facts: numbers, dates, weekdays and names, which bulletins on one template do not have in common.
"""

import re
import struct
import unicodedata
from bisect import bisect
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache, reduce
from hashlib import blake2b
from itertools import accumulate, pairwise
from operator import or_
from typing import NamedTuple
from urllib.parse import urlsplit

from aggregator.model import Edge

WINDOW = timedelta(days=7)
"""Entries dated further apart are one article by URL or guid only."""
TITLE_WINDOW = timedelta(days=2)
"""Entries dated further apart are not one article by their titles."""
ISSUE = timedelta(hours=12)
"""A standing title of an outlet that comes again later stands over another article."""
BY_HAND = "by hand"
"""Method of an edge that a person drew."""

# What part of the shorter text's word pairs must stand in the longer one:
_ENOUGH = 0.5  # of two entries that nothing else connects
_ENOUGH_CREDITED = 0.3  # where one credits the other's outlet, or both have one title
_SURELY = 0.8  # whatever the leads say
_LEAST_PAIRS = 6  # fewer say nothing
_PART = 0.45  # a text so much shorter than the other must have its lead
_LEAD_SHARED = 0.4  # of the lead must stand in the other text
_OPENING = 8  # pairs, of which half must be found again in another text of the outlet…
_TITLE_SHARED = 0.3  # … as must this part of its title's words
_SAYS_LITTLE = 64  # pairs: under so short a text of one outlet, titles may not say different things
_NAMES_PER_MISS = 5  # one in so many of the shorter text's names may be missing in the longer one
_ONE_TEMPLATE = 0.8  # of the titles' words are the same but for the numbers
_FIRST_NUMBERS = 4  # must all be found again; of those after them, one in six may be missing

# Bounds of a fingerprint
_LONGEST = 8_000  # characters of text that are looked at
_LEAD = 32
_SAMPLE = 80
_NUMBERS = 24
_NAMES = 32
_CREDITS = 8
_TITLE_WORDS = 24
_KEYS, _LEAD_KEYS, _LEAD_WORDS = 8, 6, 40


class Likeness(NamedTuple):
    """Why two entries are one article, as `aggregator why` shows it.

    Attributes:
        method: `url`, `guid`, `title` (the same words), `credit` (much the same text, and one names the other's
            outlet) or `text`.
        score: from 0 to 1; for texts the part of the shorter one that was found in the longer one.
    """

    method: str
    score: float


class Fingerprint(NamedTuple):
    """All of an entry that `same` looks at.

    Attributes:
        at: its date, in minutes since 1970.
        outlet: hash of its outlet's name; 0: not known.
        credits: hashes of the outlets it credits.
        url, guid, title: 64-bit keys; None where the entry has none that tells anything.
        standing: its title may stand over another text tomorrow.
        words: hashes of the title's words.
        title_numbers: hashes of the numbers in the title, and its days.
        size: how many different word pairs its text has.
        lead: the first of them, in their order.
        sample: the smallest of all of them, ascending.
        numbers: hashes of the text's numbers, in their order; those of dates are left out.
        dates: days of the year in the text, in their order.
        weekdays: in the text; bit 0 is Monday.
        names: hashes of words with a capital letter inside a sentence.
        keys: by which the store finds entries that may be the same; at most 17, signed, 64 bits. They are not
            packed, and empty in what was unpacked.
    """

    at: int
    outlet: int = 0
    credits: tuple[int, ...] = ()
    url: int | None = None
    guid: int | None = None
    title: int | None = None
    standing: bool = False
    words: tuple[int, ...] = ()
    title_numbers: tuple[int, ...] = ()
    size: int = 0
    lead: tuple[int, ...] = ()
    sample: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    dates: tuple[int, ...] = ()
    weekdays: int = 0
    names: tuple[int, ...] = ()
    keys: tuple[int, ...] = ()

    def pack(self) -> bytes:
        """The fingerprint as bytes, about 340 for a text of 200 words."""
        short = (self.words, self.title_numbers, self.lead, self.sample, self.numbers, self.dates, self.names)
        flags = (
            1 * (self.url is not None)
            + 2 * (self.guid is not None)
            + 4 * (self.title is not None)
            + 8 * self.standing
        )
        longs = [key for key in (self.url, self.guid, self.title) if key is not None]
        numbers = [number for some in short for number in some]
        return struct.pack(
            f"<BiIHBB7B{len(self.credits)}I{len(longs)}q{len(numbers)}H",
            flags, self.at, self.outlet, self.size, self.weekdays, len(self.credits), *map(len, short),
            *self.credits, *longs, *numbers,
        )  # fmt: skip

    @staticmethod
    def unpack(packed: bytes) -> "Fingerprint":
        """What `pack` was called on, without its keys."""
        flags, at, outlet, size, weekdays, credited, *lengths = _HEAD.unpack_from(packed)
        place = _HEAD.size
        outlets = struct.unpack_from(f"<{credited}I", packed, place) if credited else ()
        place += 4 * credited
        count = (flags & 7).bit_count()
        longs = iter(struct.unpack_from(f"<{count}q", packed, place))
        url, guid, title = (next(longs) if flags & bit else None for bit in (1, 2, 4))
        numbers = _shorts(sum(lengths)).unpack_from(packed, place + 8 * count)
        one, two, three, four, five, six, _ = accumulate(lengths)
        return Fingerprint(
            at, outlet, outlets, url, guid, title, bool(flags & 8),
            numbers[:one], numbers[one:two], size, numbers[two:three], numbers[three:four], numbers[four:five],
            numbers[five:six], weekdays, numbers[six:],
        )  # fmt: skip


_HEAD = struct.Struct("<BiIHBB7B")


@cache
def _shorts(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}H")


# ------------------------------------------------------------------------------------- words

_STOP = frozenset(
    # Words that carry no fact, and those by which sentences are lightly reworded.
    """
    ada adalah agar akan antara apa atas atau bagi bagai bahkan bahwa baik bakal banyak baru beberapa begitu belum berada bila bisa
    boleh buat cuma cukup dahulu dalam dan dapat dari daripada dengan demi demikian di dia dilakukan disebut dulu guna hal hanya harus
    hendak hingga ia ialah ini itu jadi jika juga kali kalau kami karena kata katanya ke kemudian kepada ketika kini kita lagi lain
    lainnya lalu lantaran lebih maka masih mampu melalui melakukan melainkan memang mengatakan menjadi menyebut menyebutkan menurut merupakan mereka meski
    mesti mulai mungkin namun nya oleh orang pada para pasti pula pun saat saja sambil sampai sang sangat saya sebab sebagai sebanyak
    sebelum sebelumnya sebuah secara sedang sedangkan sehingga sejak sejumlah sekitar selain selama seluruh semua sementara seorang seperti
    seraya serta sesuai setelah setiap si sini sosok suatu sudah supaya tak tanpa tapi telah tentang tentu terhadap terjadi terkait
    terlalu termasuk tersebut tetap tetapi tiap tidak tutur ucap ujar ujarnya ungkap untuk usai wib wita yaitu yakni yang
    a about after again against all also although am among an and any are as at be became because been before being both but by can
    could did do does during each for from further had has have he her here hers him his how i if in into is it its itself just
    may me might more most much must my no nor not now of off on once only or other our out over own said same say says she should
    since so some such than that the their them then there these they this those through to told too toward under until up upon us very was we were
    what when where which while who whom whose why will with would yesterday you your announced
    al algo ante antes aquel aquella así aun aunque bajo bien cada casi como con contra cual cuando de del desde donde dos durante
    e el ella ellas ellos en entre era eran es esa esas ese eso esos esta estaba están estar estas este esto estos fue fueron ha haber
    había habían han hasta hay la las le les lo los luego mas más me mediante mientras misma mismo muy ni nos o otra otras otro otros
    para pero por porque pues que qué quien quienes se sea según ser si sí sido sin sobre son su sus también tan tanto te tener tiene
    todo todos tras tu un una unas uno unos y ya anunció dijo aseguró señaló afirmó
    """.split()  # noqa: SIM905 – words to be read
)
_NUMERALS = {
    word: str(number)
    for row in (
        "nol satu dua tiga empat lima enam tujuh delapan sembilan sepuluh sebelas",
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen",
        "cero _ dos tres cuatro cinco seis siete ocho nueve diez _ doce trece catorce quince",
        "_ pertama kedua ketiga keempat kelima keenam ketujuh kedelapan kesembilan kesepuluh",
        "_ first second third fourth fifth sixth seventh eighth ninth tenth",
        "_ primer segundo tercer cuarto quinto sexto séptimo octavo noveno décimo",
        "_ primera segunda tercera cuarta quinta sexta séptima octava novena décima",
    )
    for number, word in enumerate(row.split())
    if word != "_"
}
_NUMBER_WORDS = frozenset(word for word, digits in _NUMERALS.items() if digits not in ("0", "1"))
"""Those of them that are numbers more often than not: not satu, one, pertama."""
_INDONESIAN = frozenset(("yang", "dan", "di"))  # without one of them, Lima is the capital of Peru
_SCALES = {"persen": "%", "percent": "%", "miliar": "billion", "milyar": "billion", "juta": "million"}
_MONTHS = {
    name: number
    for names in (
        "januari februari maret april mei juni juli agustus september oktober november desember",
        "january february march april _ june july august september october november december",
        "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
        "jan feb mar apr may jun jul aug sept oct nov dec",
        "ene feb mar abr _ jun jul ago sep oct nov dic",
        "jan feb mar apr mei jun jul agu sep okt nov des",
    )
    for number, name in enumerate(names.split(), 1)
    if name != "_"
}
_WEEKDAYS = {
    name: 1 << number
    for names in (
        "senin selasa rabu kamis jumat sabtu _",  # minggu is a week, too
        "monday tuesday wednesday thursday friday saturday sunday",
        "lunes martes miércoles jueves viernes sábado domingo",
    )
    for number, name in enumerate(names.split())
    if name != "_"
}
_TELLING = _NUMBER_WORDS.union(_INDONESIAN, _MONTHS, _WEEKDAYS)
_STANDING = frozenset(
    """
    hari harian malam pagi siang sore besok kemarin pekan terpopuler populer terkini terbaru jadwal prakiraan ramalan zodiak cuaca kurs harga
    hasil klasemen sinopsis link daftar rangkuman gempa fakta diketahui
    today tonight yesterday tomorrow daily weekly morning evening briefing newsletter roundup recap digest live updates schedule forecast horoscope
    weather results lottery prices headlines know exchange rates
    hoy ayer mañana diario vivo directo resultados resumen claves horóscopo clima pronóstico lotería cotización precio titulares agenda efemérides sabe sabemos saber
    """.split()  # noqa: SIM905 – words to be read
)
# The names of the powers are written in too many ways to be facts: AS, Amerika, Amerika Serikat; US, U.S.; EE.UU., EEUU.
_POWERS = frozenset(
    "AS Amerika Serikat US USA United States America American EEUU EE UU Unidos Estados".split()  # noqa: SIM905 – likewise
)

# The capital letter stands first, so that most of a text is skipped fast; then: within a sentence.
_NAME = re.compile(r"[A-ZÀ-Þ](?<=[a-zß-ÿ0-9,)] .)[\w-]+")
_NUMBER = re.compile(r"([0-9][\d.,:/-]*)(?:\s(?:de\s)?([^\W\d_]{3,10}))?")
_SHOUT = re.compile(
    r"(?:[^\W\d_]+[ ]){0,2}[^\W\d_]+!+\s+|(?:video|foto|photos?|breaking(?:\snews)?|exclusive|urgente|update|infografis)\s?[:|]\s*",
    re.IGNORECASE,
)
_PRICE = re.compile(
    r"(?:rp|us|idr|usd|eur)\d"
)  # which is written as "Rp 10.000", too; but rc1, f35 are names
_CALENDAR = re.compile(r"(\d{1,2})(?:/(\d{1,2})(?:/(?:20)?\d\d)?|([.-])(\d{1,2})\3(?:20)\d\d)")
_SIGNS = re.compile("[¡«·»¿\u2010-\u2027\u2030-\u205e\u00a0]")
_SPACED = bytes(code if chr(code).isalnum() or code > 127 else 32 for code in range(256)).lower()
_MIX = 0x2545F491  # odd, of the size of a word's hash: what Python multiplies fastest
_62 = (1 << 62) - 1
_MOST_HASHES = 1 << 16


class _Hashes(dict[str, int]):
    """A 30-bit hash for each word, 0 for a word that says nothing: the same on every machine."""

    def __missing__(self, word: str) -> int:
        if len(self) > _MOST_HASHES:
            self.clear()
        folded = word.casefold()
        told = _NUMERALS.get(folded) or _SCALES.get(folded)
        says_nothing = told is None and (folded in _STOP or (len(folded) == 1 and not folded.isdigit()))
        value = self[word] = 0 if says_nothing else _hash(_plain(told or folded)) & 0x3FFFFFFF
        return value


_hashes = _Hashes()


def _hash(text: str) -> int:
    """A signed 64-bit hash, the same on every machine."""
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=8, person=b"article").digest()
    return int.from_bytes(digest, "big", signed=True)


def _words(text: str) -> list[str]:
    """The words and numbers of a text, in lower case as far as they are ASCII."""
    if not text.isascii():
        text = _SIGNS.sub(" ", text)
    return text.encode("utf-8", "replace").translate(_SPACED).decode().split()


def _plain(word: str) -> str:
    """A word without accents."""
    if word.isascii():
        return word
    return "".join(char for char in unicodedata.normalize("NFKD", word) if not unicodedata.combining(char))


# ------------------------------------------------------------------------------- fingerprints


def title_key(title: str) -> int | None:
    """A key that is equal for titles of the same words: case, signs, accents and shouting openers do not count.

    Args:
        title: plain text.

    Returns:
        A signed 64-bit number; None for a title of fewer than three words.
    """
    words = [_plain(word.casefold()) for word in _words(_unshouted(title))]
    return _hash("title " + " ".join(words)) if len(words) > 2 else None


def _unshouted(title: str) -> str:
    """A title without "PANAS!", "Tipis Banget!", "VIDEO:"; whole where nothing else would be left."""
    rest = title
    while opener := _SHOUT.match(rest):
        rest = rest[opener.end() :]
    return rest if len(rest) > 12 else title


def guid_key(guid: str | None, site: str | None) -> int | None:
    """A key that is equal for one guid in several feeds of one publisher.

    Args:
        guid: as published; None where it does not tell the feed's entries apart.
        site: address of the publisher's site, or of the feed.

    Returns:
        A signed 64-bit number. A guid that is an address or a tag URI (RFC 4151) speaks for itself, any other
        only together with the site's registrable domain; None where there is no such.
    """
    if not guid:
        return None
    if guid.startswith("tag:") or re.match(r"https?://[^/]+/.", guid):
        return _hash("guid " + guid.removeprefix("https://").removeprefix("http://"))
    domain = _domain(site)
    return _hash(f"guid {domain} {guid}") if domain else None


@lru_cache(maxsize=1024)
def _domain(site: str | None) -> str | None:
    """The registrable domain of an address, as far as its form tells: `bbc.co.uk` of `https://www.bbc.co.uk/news`."""
    host = urlsplit(site).hostname if site else None
    if not host or ":" in host or host.replace(".", "").isdigit():
        return host
    labels = host.rstrip(".").split(".")
    short = len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3
    return ".".join(labels[-3:] if short else labels[-2:])


def _outlet(name: str | None) -> int:
    return _hash("outlet " + name.casefold()) & 0xFFFFFFFF if name else 0


def fingerprint(
    title: str,
    text: str,
    at: datetime,
    *,
    outlet: str | None = None,
    credits: Sequence[str] = (),  # noqa: A002 – the word of the house
    url_key: int | None = None,
    guid: str | None = None,
    site: str | None = None,
) -> Fingerprint:
    """What tells an entry's article.

    Args:
        title: plain text.
        text: plain text of the article itself (`furniture.own_text`).
        at: when it was published; where that is not known, when it was first seen.
        outlet: usual name of its outlet (see `attribution.outlet_of`).
        credits: usual names of the outlets it credits.
        url_key: hash of its canonical URL.
        guid: as published; None where it does not tell the feed's entries apart.
        site: address of the publisher's site, or of the feed.
    """
    own = text[:_LONGEST]
    hashes = _hashes
    tokens = _words(own)
    numbers, dates, weekdays = _facts(own, tokens)
    known = list(filter(None, map(hashes.__getitem__, tokens)))
    pairs = [(first >> 7 ^ second) & 0xFFFF for first, second in pairwise(known)]
    sample = sorted(set(pairs))
    names = {hashes[name] & 0xFFFF for name in set(_NAME.findall(own)) if name not in _POWERS} - {0}

    unshouted = _unshouted(title)
    title_tokens = _words(unshouted)
    title_numbers, title_dates, _ = _facts(unshouted, title_tokens)
    by_title = title_key(title)
    by_guid = guid_key(guid, site)
    keys = dict.fromkeys(_triples(known, pairs, sample[:_KEYS]))
    keys.update(
        dict.fromkeys(_triples(known, pairs[:_LEAD_WORDS], sorted(set(pairs[:_LEAD_WORDS]))[:_LEAD_KEYS]))
    )
    keys.update((key, None) for key in (by_title, by_guid, url_key) if key is not None)
    return Fingerprint(
        at=int(at.timestamp()) // 60,
        outlet=_outlet(outlet),
        credits=tuple(sorted({_outlet(name) for name in credits}))[:_CREDITS],
        url=url_key,
        guid=by_guid,
        title=by_title,
        standing=len(title_tokens) < 4 or not _STANDING.isdisjoint(title_tokens),
        words=tuple(
            sorted({value & 0xFFFF for word in title_tokens if word[0] > "9" and (value := hashes[word])})
        )[:_TITLE_WORDS],
        title_numbers=tuple((title_numbers + title_dates)[:_NUMBERS]),
        size=min(len(sample), 0xFFFF),
        lead=tuple(dict.fromkeys(pairs[:_LEAD])),
        sample=tuple(sample[:_SAMPLE]),
        numbers=tuple(numbers[:_NUMBERS]),
        dates=tuple(dates[:_NUMBERS]),
        weekdays=weekdays,
        names=tuple(sorted(names)[:_NAMES]),
        keys=tuple(keys),
    )


def _triples(words: Sequence[int], pairs: Sequence[int], smallest: Sequence[int]) -> list[int]:
    """Keys of three words each, where the smallest pairs begin: wherever these words stand, they are chosen again."""
    bound = smallest[-1] if smallest else -1
    places = [place for place, pair in enumerate(pairs[: len(words) - 2]) if pair <= bound]
    triples = (((words[n] * _MIX ^ words[n + 1]) * _MIX ^ words[n + 2]) & _62 for n in places)
    return list(dict.fromkeys(triples))[: len(smallest)]


def _facts(text: str, words: list[str]) -> tuple[list[int], list[int], int]:
    """Hashes of a text's numbers, digits before words; its days; its weekdays."""
    numbers: list[str] = []
    dates: list[int] = []
    marks = _TELLING.intersection(words)
    for number, follower in _NUMBER.findall(text):
        number = number.rstrip(".,:/-")
        if (month := _MONTHS.get(follower.lower())) and number.isdecimal() and len(number) < 3:
            dates.append(_day_of_year(int(number), month))
        elif (found := _CALENDAR.fullmatch(number)) and (
            date := _day_of_year(int(found[1]), int(found[2] or found[4]))
        ):
            dates.append(date)
        elif not (len(number) == 4 and number.startswith(("19", "20"))):  # a year says little
            numbers.append(re.sub(r"\D", "", number))
    for mark in () if dates else sorted(_MONTHS.keys() & marks, key=words.index):  # "Oct. 7"
        for place in [n for n, word in enumerate(words[:-1]) if word == mark]:
            day = words[place + 1]
            if day.isdecimal() and len(day) < 3:
                dates.append(_day_of_year(int(day), _MONTHS[mark]))
                numbers = [number for number in numbers if number != day]
    spelled = _NUMBER_WORDS & marks
    if "lima" in spelled and _INDONESIAN.isdisjoint(marks):
        spelled -= {"lima"}
    numbers += [_NUMERALS[word] for word in sorted(spelled, key=words.index)]
    numbers += [word for word in words if word[-1] < ":" and not word.isdecimal() and not _PRICE.match(word)]
    weekdays = reduce(or_, (_WEEKDAYS[word] for word in _WEEKDAYS.keys() & marks), 0)
    return (
        list(dict.fromkeys(_hashes[number] & 0xFFFF for number in numbers)),
        [date for date in dict.fromkeys(dates) if date],
        weekdays,
    )


def _day_of_year(first: int, second: int) -> int:
    """A number for a day; 5/11 and 11/5 are one, since nobody can tell which is meant. 0 for what is no day."""
    month, day = min(first, second), max(first, second)
    return 100 * month + day if 0 < month <= 12 and day <= 31 else 0


# ------------------------------------------------------------------------------------ edges


def same(a: Fingerprint, b: Fingerprint) -> Likeness | None:
    """Whether two entries are one article, and why.

    One address or guid is enough. Else they must be dated within the window and agree in their facts, and enough of
    the shorter text must stand in the longer one, its lead above all: less is enough where one credits the other's
    outlet or the titles are the same, more is needed of two texts of one outlet. Without text, a title that cannot
    stand over another text tomorrow is enough.

    Args:
        a: one entry.
        b: the other; their order does not matter.

    Returns:
        None where they are not.
    """
    if a.url is not None and a.url == b.url:
        return Likeness("url", 1.0)
    if a.guid is not None and a.guid == b.guid:
        return Likeness("guid", 1.0)
    apart = abs(a.at - b.at) * _MINUTE
    if apart > WINDOW or not _titles_agree(a, b):
        return None
    one_title = a.title is not None and a.title == b.title
    one_outlet = a.outlet != 0 and a.outlet == b.outlet
    if one_outlet and one_title and a.standing and apart > ISSUE:
        return None
    short, long = (a, b) if _order(a) <= _order(b) else (b, a)
    if short.size < _LEAST_PAIRS:
        # No text to speak of: the titles must say it.
        fits = not short.size or (_share(short, long) >= _ENOUGH and _facts_agree(short, long))
        if one_title and not a.standing and apart <= TITLE_WINDOW and fits:
            return Likeness("title", 0.9)
        return None
    share = _share(short, long)
    credited = a.outlet in b.credits or b.outlet in a.credits
    bar = _ENOUGH_CREDITED if credited or (one_title and not a.standing) else _ENOUGH
    if (
        share < bar
        or not _facts_agree(short, long, spare=credited)
        or not _leads_agree(short, long, share, credited)
    ):
        return None
    if one_outlet and not one_title and not (share >= _SURELY and _one_of_its_own(a, b)):
        return None
    method = "credit" if credited else "title" if share < _ENOUGH else "text"
    return Likeness(method, round(share, 3))


_MINUTE = timedelta(minutes=1)


def _order(one: Fingerprint) -> tuple[object, ...]:
    """By which the shorter of two texts is the same, whichever comes first."""
    return one.size, one.sample, one.lead, one.numbers, one.names


def _share(short: Fingerprint, long: Fingerprint) -> float:
    """What part of the shorter text's word pairs stands in the longer one, as far as the samples tell."""
    ours = set(short.sample)
    in_lead = ours.intersection(long.lead)
    in_sample = ours.intersection(long.sample) - in_lead
    visible = others = len(ours) - len(in_lead)
    if len(long.sample) == _SAMPLE:  # what of the shorter one is beyond its largest may be there, too
        reach = long.sample[-1]
        visible = bisect(short.sample, reach) - sum(pair <= reach for pair in in_lead)
    rate = len(in_sample) / visible if visible else 0.0
    return (len(in_lead) + rate * others) / len(ours)


def _one_of_its_own(a: Fingerprint, b: Fingerprint) -> bool:
    """Whether much the same text of one outlet, under two titles, is one article.

    Many have all but the beginning in common; and a blurb stands under whatever there is to announce, so that of
    short texts each title must not have a word that the other lacks.
    """
    ours, theirs = set(a.lead) | set(a.sample), set(b.lead) | set(b.sample)
    for opening, text in ((a.lead[:_OPENING], theirs), (b.lead[:_OPENING], ours)):
        if 2 * len(text.intersection(opening)) < len(opening):
            return False
    needed = 1.0 if min(a.size, b.size) < _SAYS_LITTLE else _TITLE_SHARED
    return _titles_alike(a, b) >= needed


def _titles_alike(a: Fingerprint, b: Fingerprint) -> float:
    """What part of the shorter title's words stands in the other one."""
    return len(set(a.words).intersection(b.words)) / (min(len(a.words), len(b.words)) or 1)


def _leads_agree(short: Fingerprint, long: Fingerprint, share: float, credited: bool) -> bool:
    """Whether the two begin alike: texts that only share their background do not, nor a digest and one of its parts."""
    ours, theirs = set(short.lead) | set(short.sample), set(long.lead) | set(long.sample)
    if len(ours.intersection(long.lead)) >= _LEAD_SHARED * min(len(long.lead), short.size):
        return True
    if short.size < _PART * long.size:
        return credited and share >= _SURELY
    return share >= _SURELY or len(theirs.intersection(short.lead)) >= _LEAD_SHARED * len(short.lead)


def _titles_agree(a: Fingerprint, b: Fingerprint) -> bool:
    """False for one template with other numbers: "Gold price: 2,284", "Gold price: 2,296"."""
    if not a.title_numbers or not b.title_numbers:
        return True
    if a.outlet != b.outlet and _titles_alike(a, b) < _ONE_TEMPLATE:
        return True
    ours, theirs = set(a.title_numbers), set(b.title_numbers)
    return ours <= theirs or theirs <= ours


def _facts_agree(short: Fingerprint, long: Fingerprint, spare: int = 0) -> bool:
    """Whether the longer text has the facts of the shorter one: numbers, and names but for a few and `spare` ones;
    and dates, where both give any.
    """
    if short.weekdays and long.weekdays and not short.weekdays & long.weekdays:
        return False
    if short.dates and long.dates and short.dates[0] not in long.dates and long.dates[0] not in short.dates:
        return False
    missing = [number not in long.numbers for number in short.numbers]
    if any(missing[:_FIRST_NUMBERS]) or sum(missing) > len(missing) // 6:
        return False
    return len(set(short.names).difference(long.names)) <= len(short.names) // _NAMES_PER_MISS + spare


# ---------------------------------------------------------------------------------- articles


def partition(
    nodes: Iterable[int], edges: Iterable[Edge], apart: Iterable[tuple[int, int]] = ()
) -> tuple[frozenset[int], ...]:
    """Articles: connected entries, as far as nobody split them.

    Args:
        nodes: ids of the entries.
        edges: between them; what was drawn by hand is heeded first, then the surest.
        apart: pairs of entries that must not be in one article.

    Returns:
        Disjoint sets that hold every node, by their least member; the same for any order of what is given.
    """
    sets = {node: {node} for node in nodes}
    barred: dict[int, set[int]] = {}
    for a, b in apart:
        barred.setdefault(a, set()).add(b)
        barred.setdefault(b, set()).add(a)
    for edge in sorted(
        edges,
        key=lambda edge: (edge.method != BY_HAND, -edge.score, min(edge.a, edge.b), max(edge.a, edge.b)),
    ):
        one, other = sets[edge.a], sets[edge.b]
        if one is other or any(not other.isdisjoint(barred[node]) for node in one if node in barred):
            continue
        if len(one) < len(other):
            one, other = other, one
        one |= other
        for node in other:
            sets[node] = one
    return tuple(sorted({frozenset(some) for some in sets.values()}, key=min))


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of an article, as `original` looks at it.

    Attributes:
        id: the entry.
        uid: names it in every database.
        at: when it was published, else when it was first seen.
        outlet: usual name of its outlet.
        credits: usual names of the outlets it credits.
    """

    id: int
    uid: str
    at: datetime
    outlet: str | None = None
    credits: tuple[str, ...] = ()


def original(members: Collection[Member]) -> Member:
    """The entry of an article that is the one to show.

    It is of the outlet that others credit: where A credits B and B credits C, of C. Where nobody is credited, or
    they credit each other, it is the earliest published; of equal ones the one with the least `uid`.

    Args:
        members: of one article; at least one.
    """
    outlets = {member.outlet for member in members if member.outlet}
    credited = {name for member in members for name in member.credits if name != member.outlet} & outlets
    sources = [one for one in members if one.outlet in credited]
    first = [one for one in sources if not credited.intersection(one.credits) - {one.outlet}]
    return min(first or sources or members, key=lambda one: (one.at, one.uid))
