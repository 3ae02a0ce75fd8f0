"""Whom does an entry say it took its text, or its news, from?

An outlet counts where the text says so: in a line that names a source ("Sumber: INEWS", "Con información de EFE"), in a
dateline ("WASHINGTON (AP) —"), or after or before a word of crediting ("melansir …", "told …", "… reported",
"según …"). That it is mentioned is not enough. Names are those of the table `outlets.txt`, by which other
spellings are known, too; a name that is not in it counts only in a line that names a source.
"""

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from ahocorasick_rs import AhoCorasick

from aggregator.model import Attribution

_LONGEST = 8_000  # characters of running text that are looked at
_HEAD, _FOOT = 3, 8  # paragraphs that may hold datelines; that may hold source lines

# ------------------------------------------------------------------------------------- outlets


class _Outlets(NamedTuple):
    """The table of outlets.

    Attributes:
        names: the usual name of each spelling that the automaton knows.
        automaton: finds spellings as they stand in running text.
        by_fold: usual name by folded spelling, for source lines, datelines and titles of feeds.
        by_domain: usual name by domain.
    """

    names: tuple[str, ...]
    automaton: AhoCorasick
    by_fold: dict[str, str]
    by_domain: dict[str, str]


@cache
def _outlets() -> _Outlets:
    from importlib.resources import files  # 5 ms that a start need not wait for

    by_spelling: dict[str, str] = {}
    by_fold: dict[str, str] = {}
    by_domain: dict[str, str] = {}
    for line in files("aggregator.duplicates").joinpath("outlets.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, spellings, domains = (part.strip() for part in line.split("|"))
        name = name.lstrip("*")
        for spelling in (name, *filter(None, spellings.split(", "))):
            by_fold.setdefault(_fold(spelling), name)
            if not spelling.startswith("~"):
                by_spelling[spelling] = name
        for domain in filter(None, domains.split(", ")):
            by_domain.setdefault(domain, name)
            by_fold.setdefault(_fold(domain), name)
    automaton = AhoCorasick(list(by_spelling), store_patterns=False)
    return _Outlets(tuple(by_spelling.values()), automaton, by_fold, by_domain)


_NO_LETTER = re.compile(r"[\W_]+")
_SUFFIX = re.compile(r"(?:\.(?:com|net|org|co|id|info|tv|news))+$")


def _fold(name: str) -> str:
    """What spellings of one name have in common: `Kompas.TV` and `KOMPAS TV`, `The Guardian` and `Guardian`."""
    return _NO_LETTER.sub("", name.casefold().lstrip("~").removeprefix("www.").removeprefix("the "))


def _known(name: str) -> str | None:
    """The usual name of an outlet in the table; `Republika.com` is that of `Republika`."""
    by_fold = _outlets().by_fold
    return by_fold.get(_fold(name)) or by_fold.get(_fold(_SUFFIX.sub("", name.casefold())))


def _known_beginning(name: str) -> str | None:
    """The usual name of the outlet that a longer name begins with: `BBC News World`, `iNews Sumut`."""
    words = name.split()
    return next(filter(None, (_known(" ".join(words[:count])) for count in range(len(words), 0, -1))), None)


def outlet_key(name: str) -> str:
    """What all spellings of one outlet's name have in common: `AP` and `Associated Press`, `iNews` and `INEWS.ID`."""
    return _fold(_known(name) or name)


@lru_cache(maxsize=4096)
def outlet_of(feed_title: str | None, site_url: str | None) -> str | None:
    """The usual name of the outlet that a feed belongs to.

    Args:
        feed_title: the operator's name for the feed, or its own title.
        site_url: address of the site, or of the feed.

    Returns:
        From the table by domain, or by the title or its first words (`BBC News - World`, `iNews Jatim`); else the
        title itself, without what stands after a dash or bar; else the host; None where there is nothing.
    """
    host = ((urlsplit(site_url).hostname if site_url else None) or "").removeprefix("www.")
    domain = host
    while "." in domain:
        if name := _outlets().by_domain.get(domain):
            return name
        domain = domain.partition(".")[2]
    title = re.split(r"\s[-–—|»:]\s|\s*[|»:]\s", (feed_title or "").strip())[0].strip()
    if name := _known_beginning(title):
        return name
    return title or host or None


# --------------------------------------------------------------------------------- source lines

_SOURCE_LINE = re.compile(
    r"""[\s(\[*•-]*(?:
        (?:sumber(?:\s+(?:berita|artikel|asli))?|sources?|fuentes?(?:\s+original)?|fonte|bron|credits?|laporan|kredit|via|referensi)\s*:
      | con\s+informaci[oó]n\s+de(?:l|\s+la)? | (?:artikel|berita|tulisan)\s+ini\s+(?:telah|sudah|pertama\s+kali|sebelumnya)\s+(?:telah\s+)?(?:tayang|terbit|dimuat)\s+di
      | (?:artikel|berita)\s+ini\s+(?:dikutip|dilansir|disadur|diambil)\s+dari
      | (?:dikutip|dilansir|disadur|dinukil|diambil)\s+dari | (?:originally\s+|first\s+)?published\s+(?:by|on|in|at)
      | (?:this|the)\s+(?:article|story|post)\s+(?:was\s+)?(?:first\s+|originally\s+)*(?:appeared|published|ran)\s+(?:first\s+|originally\s+)?(?:on|in|at|by)
      | (?:republished|reprinted|adapted|courtesy)\s+(?:from|of|with\s+permission\s+(?:from|of)) | story\s+(?:by|from)
      | (?:(?:este\s+)?(?:art[ií]culo|texto|reportaje)\s+)?(?:fue\s+)?publicad[oa]\s+(?:originalmente|por\s+primera\s+vez)\s+(?:en|por)
      | (?:tomado|nota|informaci[oó]n|texto)\s+(?:de|en|por)
    )\s*[:“"]?\s*(?P<names>[^\n]{2,90}?)(?:\s+(?:dengan\s+judul|berjudul|with\s+the\s+title|under\s+the|bajo\s+el)\b.*)?[\s.)\]*"”]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_LONGEST_SOURCE_LINE = 220
_KIND = re.compile(
    r"(?:(?:laman|situs(?:\s+web)?|portal|media|harian|koran|kantor\s+berita|website|the|la|el|web|sitio|diario|agencia|cadena)\s+)+(?=[A-Z]|\w+\.)"
)
_BETWEEN_NAMES = re.compile(r"\s*(?:[,;/&+]|\s(?:dan|and|y|e|via|melalui)\s)\s*")
_DATELINE = re.compile(r"([^\n]{2,70}?)\s?[-–—]{1,2}\s")
_BRACKETED = re.compile(r"[(\[]([A-Z][\w .'&/]{1,28})[)\]]")
_SIGNATURE = re.compile(r"[(\[]?([\w .'/&]{2,30})[)\]]?\.?")

_MEDIA_WORD = re.compile(
    r"\b(?:news|newspaper|post|times|daily|herald|gazette|journal|tribune|radio|television|tv|press|magazine|weekly|chronicle|observer|"
    r"media|pos|harian|koran|kabar|berita|warta|jurnal|majalah|tabloid|tribun|radar|suara|antara|"
    r"diario|peri[oó]dico|noticias|prensa|revista|agencia|gaceta|correo|semanario)\b"
    r"|\w\.(?:com|id|co|net|org|news|info|tv|es|mx|ve|ar|cl|pe)\b",
    re.IGNORECASE,
)
_NO_OUTLET = re.compile(
    r"\b(?:kementerian|kemen\w+|dinas|polisi|polda|polri|polres|tni|pemerintah|pemprov|badan|lembaga|kantor\s+staf|presiden|istana|rilis|siaran|istimewa|berbagai|"
    r"dokumen|instagram|facebook|twitter|youtube|tiktok|whatsapp|ministry|department|government|office|police|agency\s+for|white\s+house|handout|various|own|staff|release|statement|"
    r"ministerio|gobierno|secretar[ií]a|polic[ií]a|presidencia|comunicado|propia|redes|varias|agencias|oficina|instituto|universi\w+|bank|banco|statistics|research|survei|getty)\b|\.(?:go|gov|gob|mil)\b",
    re.IGNORECASE,
)


def _named(names: str) -> Iterator[str]:
    """The outlets in what follows "Sumber:"; one that the table lacks must look like one."""
    if known := _known(names):
        yield known
        return
    for name in _BETWEEN_NAMES.split(names):
        name = _KIND.sub("", name.strip(" .*_–-\"“”'()[]"), count=1).removeprefix("www.")
        if (known := _known_beginning(name)) or (
            2 < len(name) <= 40
            and len(name.split()) <= 5
            and _MEDIA_WORD.search(name)
            and not _NO_OUTLET.search(name)
            and (name[0].isupper() or "." in name)
        ):
            yield known or name


# --------------------------------------------------------------------------------- running text

_FILL = r"""(?:
    (?:dari|oleh|dalam|pada|di|laporan|pemberitaan|informes?|reportes?|reportaje|berita|artikel|keterangan|laman|situs|akun|sumber|wartawan|jurnalis|seperti|the|an?|to|by|from|in|with|on
      |la|el|los|las|un|una|del?|al?|por|en|news|state|state-run|local|earlier|its|US|U\.S\.|AS|outlet|site|website|its|report|reports|reporting|dipublikasikan|diterbitkan|published)
    | (?:media|agency|broadcaster|network|newspaper|daily|magazine|outlet|channel|tabloid|portal|stasiun|televisi|kantor|surat\s+kabar|koran|harian|majalah|
        diario|peri[oó]dico|rotativo|medio|cadena|portal|revista|agencia|emisora|televisora|canal)(?:\s+\w+){0,2}
    | \w+(?:\s\w+)?(?=\s+(?:media|agency|broadcaster|network|newspaper|daily|magazine|outlet|website)\b)
)"""
_CREDITING = re.compile(
    rf"""\b(?:
        melansir|dilansir|mengutip|dikutip|menukil|dinukil|menyadur|disadur|diwartakan|mewartakan|diberitakan|dilaporkan|lapor|laporan|menurut|merujuk|kepada|demikian\s+disampaikan
      | according\s+to|citing|cites|cited\s+(?:by|in)|told|tells|spoke\s+(?:to|with)|speaking\s+(?:to|with)|interview\s+with|interviewed|reported|reports?|quoted|quoting|seen|reviewed|obtained|published|confirmed|revealed|via|per
      | según|informó|informa|reportó|reporta|reveló|revela|publicó|publica|citando|citad[oa]s?|cita|recoge|recogid[oa]s?|recogió|de\s+acuerdo\s+(?:con|a)|conforme|(?:declaró|dijo|aseguró|explicó|afirmó|confirmó|contó|relató)(?:\s+\w+)?\s+a
      | declaraciones|entrevista|consignó|adelantó|difundi[oó]|difundid[oa]|consultad[oa]s?
    )(?:\s+{_FILL}){{0,5}}\s*["“‘'(]?$""",
    re.VERBOSE | re.IGNORECASE,
)
_CREDITED = re.compile(
    r"""["”’'’)]?(?:['’]s)?\s*,?\s*(?:
        (?:(?:on|late|early|earlier|first|also|has|had|previously|separately|yesterday|today|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\s+){0,3}
        (?:reported|reports|report|learned|wrote|revealed|said\s+in|citing|quoted|cited|contributed\s+to|tally|witness(?:es)?|investigation|analysis
            |(?:journalist|reporter|correspondent|photographer)s?\s+(?:saw|heard|witnessed|counted|said|reported|at|in|on))\b
      | (?:hoy\s+|ayer\s+)?(?:inform[óa]|report[óa]|revel[óa]|public[óa]|señaló|citó|adelantó|consignó|detalló|citando)\b
      | (?:(?:pada|edisi|hari)\s+\w+\s+|,\s*\w+,?\s+)?(?:melaporkan|memberitakan|mewartakan|menulis|mengutip|melansir|mengungkap\w*|menyebut(?:kan)?|menurunkan|dalam\s+laporan\w*)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_TITLE_CREDITED = re.compile(r"""["”’']?\s*(?:says|said|reports?|reported)\b""", re.IGNORECASE)
_JOINED = re.compile(
    r"\s*(?:,|/|&|,?\s(?:dan|and|y|e|serta|or|o|atau))\s*(?:(?:the|el|la)\s+)?", re.IGNORECASE
)
_LOOK_BACK, _LOOK_ON = 80, 60


def _credited(text: str, in_title: bool = False) -> Iterator[str]:
    """The outlets of the table that running text credits, in its order."""
    outlets = _outlets()
    found: dict[int, tuple[int, str]] = {}
    for number, start, end in outlets.automaton.find_matches_as_indexes(text, overlapping=True):
        whole = not text[start - 1 : start].isalnum() and not text[end : end + 1].isalnum()
        if whole and end > found.get(start, (0, ""))[0]:
            found[start] = (end, outlets.names[number])
    last_end, last_counts = 0, False
    joined: list[str] = []  # names that stand before this one in one list, and do not count by themselves
    for start, (end, name) in sorted(found.items()):
        if start < last_end:  # within a longer name: "Post" in "Kyiv Post"
            continue
        before, after = text[max(0, start - _LOOK_BACK) : start], text[end : end + _LOOK_ON]
        is_joined = _JOINED.fullmatch(text[last_end:start]) is not None
        if not is_joined:
            joined = []
        counts = (
            (last_counts and is_joined)
            or _CREDITING.search(before.rpartition("\n")[2]) is not None
            or _CREDITED.match(after) is not None
            or (in_title and _titled(text, start, end))
            or (before.endswith("(") and after.startswith(")"))
        )
        last_end, last_counts = end, counts
        joined.append(name)
        if counts:
            yield from joined
            joined = []


def _titled(title: str, start: int, end: int) -> bool:
    """Whether a title credits the outlet named at `start`: "… - Reuters", "Reuters: …", "…, Washington Post says"."""
    if start == 0 and title[end : end + 2] == ": ":
        return True
    at_end = end == len(title) and title[:start].endswith((" - ", " | ", " – "))
    return at_end or _TITLE_CREDITED.match(title, end) is not None


# -------------------------------------------------------------------------------------- together


def attributions(text: str, title: str = "", outlet: str | None = None) -> tuple[Attribution, ...]:
    """The outlets that an entry credits with its text or its news.

    Args:
        text: its plain text, a line for each paragraph.
        title: plain text.
        outlet: usual name of the entry's own outlet (see `outlet_of`), which is never among them.

    Returns:
        Each outlet once, by its usual name: first those of its source lines, then in the text's order.
    """
    lines = text.split("\n")
    names: list[str] = []
    foot = lines[-_FOOT:]
    for line in foot if len(lines) <= _FOOT else (*lines[:1], *foot):
        if len(line) <= _LONGEST_SOURCE_LINE and (source := _SOURCE_LINE.match(line)):
            for name in _named(source["names"]):
                is_brand = name in ("CNN", "CNBC") and line.lstrip("([ ").casefold().startswith("sumber")
                names.append(f"{name} Indonesia" if is_brand else name)
    if len(lines) > 1 and (signature := _SIGNATURE.fullmatch(lines[-1].strip())):
        parts = [_known(part) for part in signature[1].split("/") if not part.islower()]
        names += [name for name in parts if name] if parts and parts[0] else []
    for line in lines[:_HEAD]:
        names += _dateline(line)
    names += _credited(text[:_LONGEST])
    if title:
        names += _credited(title, in_title=True)
    return tuple(Attribution(name) for name in dict.fromkeys(names) if name != outlet)


def _dateline(line: str) -> Iterator[str]:
    """The outlets before the dash that begins a report: "KARAKAS, iNews.id - ", "DEMOCRAZY.ID – TEMPO.CO, Sidoarjo - "."""
    if (bracketed := _BRACKETED.match(line)) and (name := _known(bracketed[1])):
        yield name
    place = 0
    for _ in range(2):
        if not (dateline := _DATELINE.match(line, place)):
            return
        place = dateline.end()
        for part in re.split(r"[,()/]\s*", dateline[1]):
            if part and part[0].isupper() | ("." in part) and (name := _known(part)):
                yield name
