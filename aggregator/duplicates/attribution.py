"""Whom does an entry say it took its text, or its news, from?

An outlet counts where the text says so: in a line that names a source ("Sumber: INEWS", "Con información de EFE"), in a
dateline ("WASHINGTON (AP) —"), in a signature ("(jpnn/radarkudus)"), or before or after words of crediting ("melansir …",
"told …", "… reported", "según …"). That it is mentioned is not enough: it may be sued, or sell an app.

Names are those of the table `outlets.txt`, by which other spellings are known, too. One that the table lacks counts
where it is credited and looks like a medium: it holds a word such as "Radio", "Harian", "Gazette", or stands beside one
("el diario …"). One pass of an automaton finds both; only the words around them are looked at.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from ahocorasick_rs import AhoCorasick

from aggregator.model import Attribution

_LONGEST = 8_000  # characters of running text that are looked at
_LONGEST_NAME = 8  # words of an outlet's name
_HEAD, _FOOT = 3, 8  # paragraphs that may hold datelines; that may hold source lines

# ------------------------------------------------------------------------------------- outlets


class _Kind(NamedTuple):
    """What a word that tells a medium says of the name it belongs to, where the table lacks that name.

    Attributes:
        before: the name may begin before it: "Kyiv Post".
        after: the name may go on after it: "Radio Ñandutí".
        within: it is part of the name, unlike "newspaper" in "newspaper Kathimerini".
        weak: other names have it, too ("Royal Mail"): it needs a strong cue.
    """

    before: bool = False
    after: bool = False
    within: bool = True
    weak: bool = False


_DOMAIN, _STATION = _Kind(), _Kind(weak=True)  # looked at by themselves
_KINDS = {
    "Radio, TV, Noticias, Daily, Televisión, Television": _Kind(before=True, after=True),
    "News, Times, Post, Herald, Tribune, Gazette, Journal, Weekly, Chronicle, Observer, Examiner, Inquirer, Telegraph, "
    "Courier, Bulletin, Dispatch, Sentinel, Press, Magazine, FM, Pos, Ekspres, Zeitung": _Kind(before=True),
    "Star, Sun, Mirror, Echo, Mail, Express, Standard, Argus, Record, Advertiser, Reporter, Review, Insider, Guardian, "
    "Globe, Mercury, Register, Leader, Monitor, Voice, Nation, Citizen, Today, Independent": _Kind(
        before=True, weak=True
    ),
    "Canal, Diario, Periódico, Semanario, Noticiero, Harian, Koran, Majalah, Tabloid, Tribun, Radar, Warta, Kabar, Berita, "
    "Portal, El Diario, El Heraldo, El Correo, El Sol, La Voz, La Gaceta, La Prensa, La Hora, El Eco": _Kind(
        after=True
    ),
    "newspaper, magazine, tabloid, broadcaster, news agency, news site, news website, news outlet, radio station, "
    "TV channel": _Kind(before=True, after=True, within=False),
    "harian, koran, majalah, surat kabar, kantor berita, media lokal, media online, portal berita, situs berita, "
    "stasiun televisi, stasiun radio, diario, periódico, rotativo, semanario, revista, emisora, televisora, medio digital, "
    "medio local, portal de noticias, agencia de noticias, agencia de prensa": _Kind(
        after=True, within=False
    ),
    ".com, .id, .net, .org, .info, .news, .tv, .co, .es, .mx, .pe, .cl, .ve, .ar, .do, .ec, .COM, .ID, .CO, .NET, .TV": _DOMAIN,
    "ABC, CBS, NBC, Fox, FOX": _STATION,  # "NBC 6 South Florida" is a station of its own
}


class _Pattern(NamedTuple):
    """What a pattern of the automaton is: a spelling of an outlet, a word that tells a medium, or both."""

    name: str | None
    is_common: bool  # a spelling with a tilde
    kind: _Kind | None


class _Outlets(NamedTuple):
    """The table of outlets, and the words that tell a medium.

    Attributes:
        found: what each pattern of the automaton is.
        automaton: finds them as they stand in running text.
        by_fold: usual name by folded spelling, for source lines, datelines and titles of feeds.
        firm: the folded spellings that cannot be mistaken.
        by_domain: usual name by domain, or by domain and first folder.
        agencies: usual names of agencies: what they say they report.
    """

    found: tuple[_Pattern, ...]
    automaton: AhoCorasick
    by_fold: dict[str, str]
    firm: frozenset[str]
    by_domain: dict[str, str]
    agencies: frozenset[str]


@cache
def _outlets() -> _Outlets:
    from importlib.resources import files  # 5 ms that a start need not wait for

    by_spelling: dict[str, str] = {}
    by_common_word: dict[str, str] = {}
    by_fold: dict[str, str] = {}
    by_domain: dict[str, str] = {}
    agencies: set[str] = set()
    for line in files("aggregator.duplicates").joinpath("outlets.txt").read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        first, spellings, domains = (part.strip() for part in line.split("|"))
        name = first.lstrip("*~")
        if first.startswith("*"):
            agencies.add(name)
        for spelling in (first.lstrip("*"), *filter(None, spellings.split(", "))):
            by_fold.setdefault(_fold(spelling), name)
            if spelling.startswith("~"):
                by_common_word.setdefault(spelling[1:], name)
            else:
                for way in _ways_to_write(spelling):
                    by_spelling.setdefault(way, name)
        for domain in filter(None, domains.split(", ")):
            by_domain.setdefault(domain, name)
            by_fold.setdefault(_fold(domain), name)
    kinds = {word: kind for words, kind in _KINDS.items() for word in words.split(", ")}
    kinds = {word[0].upper() + word[1:]: kind for word, kind in kinds.items() if not kind.within} | kinds
    names = by_common_word | by_spelling
    patterns = {
        pattern: _Pattern(names.get(pattern), pattern not in by_spelling, kinds.get(pattern))
        for pattern in (*names, *kinds)
    }
    automaton = AhoCorasick(list(patterns), store_patterns=False)
    firm = frozenset(map(_fold, (*by_spelling, *by_domain)))
    return _Outlets(tuple(patterns.values()), automaton, by_fold, firm, by_domain, frozenset(agencies))


def _ways_to_write(spelling: str) -> Iterator[str]:
    """A spelling as it is, in capitals, without its accents; without its article where two words remain."""
    bare = spelling.removeprefix("The ") if spelling.count(" ") > 1 else spelling
    for way in dict.fromkeys((spelling, bare, spelling.replace("'", "’"), bare.replace("'", "’"))):
        yield way
        yield _without_accents(way)
        if len(way) > 4:
            yield way.upper()


def _without_accents(text: str) -> str:
    if text.isascii():
        return text
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one))


_NO_LETTER = re.compile(r"[\W_]+")
_SUFFIX = re.compile(r"(?:\.(?:com|net|org|co|id|info|tv|news))+$")


def _fold(name: str) -> str:
    """What spellings of one name have in common: `Kompas.TV` and `KOMPAS TV`, `El Pais` and `EL PAÍS`."""
    plain = _without_accents(name.casefold().lstrip("~").removeprefix("www.").removeprefix("the "))
    return _NO_LETTER.sub("", plain)


def _known(name: str) -> str | None:
    """The usual name of an outlet in the table; `Republika.com` is that of `Republika`."""
    by_fold = _outlets().by_fold
    return by_fold.get(_fold(name)) or by_fold.get(_fold(_SUFFIX.sub("", name.casefold())))


def _known_beginning(name: str) -> str | None:
    """The usual name of the outlet that a longer name begins with: `BBC News World`, `iNews Sumut`."""
    words = name.split(maxsplit=_LONGEST_NAME)[:_LONGEST_NAME]
    beginnings = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return _known(name) or next((_known(one) for one in beginnings if _is_firm(one)), None)


def _is_firm(name: str) -> bool:
    """Whether a name in the table is no common word besides."""
    return _fold(name) in _outlets().firm


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
    parts = urlsplit(site_url or "")
    host = (parts.hostname or "").removeprefix("www.")
    if name := _outlets().by_domain.get(f"{host}/{parts.path.strip('/').partition('/')[0]}"):
        return name
    domain = host
    while "." in domain:
        if name := _outlets().by_domain.get(domain):
            return name
        domain = domain.partition(".")[2]
    title = re.split(r"\s[-–—|»:]\s|\s*[|»:]\s", (feed_title or "").strip())[0].strip()
    if name := _known_beginning(title):
        return name
    return title or host or None


# ----------------------------------------------------------------------------------------- words


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _forms(stems: str, endings: str) -> str:
    return " ".join(stem + ending for stem in stems.split() for ending in endings.split())


_REPORTING = (  # Spanish, without endings
    "inform report revel public adelant anticip indic detall precis señal apunt divulg reseñ consign cit document "
    "relat constat comprob verific"
)
_BY_PREPOSITION = {  # words of crediting, by what may stand between them and the name; "" is nothing
    "": """
        melansir mengutip menukil menyitat menyadur mewartakan memberitakan mengabarkan lapor laporan
        pemberitaan liputan menurut berdasarkan merujuk mengacu kepada wawancara investigasi tulis bersumber
        versi dilansir dikutip dinukil disitat disadur diwartakan diberitakan dikabarkan dilaporkan dihimpun
        dirangkum disarikan diolah diwawancarai diperiksa dikonfirmasi dihubungi ditemui dirilis diperoleh
        didapat diterima dimuat dilihat ditinjau dianalisis diverifikasi diterbitkan dipublikasikan diungkap
        diungkapkan ditulis told tell tells telling citing cites quoting quotes reported reports reporting
        interviewing per (via según dice informa citando recoge acceso accedió difunde difundió difundido
        recogió recogido saber supo
    """
    + _forms(_REPORTING, "ó a aron ado"),
    "by": """
        reported seen obtained reviewed published disclosed revealed viewed verified analysed analyzed
        compiled confirmed cited quoted interviewed heard carried uncovered geolocated authenticated
        conducted produced provided supplied distributed captured report reports investigation analysis
        story article reporting review tally count poll survey footage asked contacted
    """,
    "to": """
        according spoke speaking spoken talked talking speaks confirmed confirms admitted explained email
        statement message comment comments remarks interview leaked disclosed revealed said provided sent
        given released passed
    """,
    "with": "interview interviews spoke speaking spoken speaks shared conversation talked",
    "in": """
        published wrote writing appeared op-ed column essay reported cited quoted article report story
        investigation interview
    """,
    "from": """
        report reports reporting files republished reprinted adapted excerpted information dispatch comment
        messages
    """,
    "via": "report reports reported",
    "on": "interview speaking appearing appeared appearance said told interviewed remarks",
    "for": "op-ed essay column wrote writing reporting analysed analyzed compiled conducted",
    "dari": "laporan informasi berita",
    "di": "terbit tulisan artikel wawancara tayangan podcast siniar",
    "dengan": "berbincang berbicara",
    "a": "acuerdo conforme declaraciones declaración entrevista entrevistas dio dieron exclusiva",
    "con": "acuerdo entrevista diálogo conversación conversaciones charla habló dialogó conversó exclusiva",
    "de": """
        información informaciones investigación reportaje reportajes reporte reportes informe informes
        declaraciones nota artículo publicación crónica
    """,
    "en": "entrevista entrevistado entrevistada publicado publicada publicó escribió artículo columna reportaje",
    "para": "entrevista declaraciones exclusiva",
    "por": _forms(
        _REPORTING + " entrevist consult cuestion contact elabor recopil recab", "ado ada ados adas"
    )
    + " "
    + _forms("difund recog obten reproduc", "ido ida idos idas"),
}
_CREDITING: dict[str, set[str]] = {}
for _preposition, _list in _BY_PREPOSITION.items():
    for _word in _list.split():
        _CREDITING.setdefault(_word, set()).add(_preposition)
_STRONG = _words(  # only media are told, and "dilansir"
    """
        told tell tells telling spoke speaking spoken confirmed melansir dilansir mengutip dikutip menukil
        dinukil menyitat disitat
    """
)
_AIRED = _words(
    """
        aired broadcast shown ditayangkan disiarkan menayangkan tayang emitida emitido transmitida
        transmitido
    """
)
_SPOKEN = _words(
    """
        interview remarks comments statement footage images wawancara pernyataan keterangan sampaikan
        menyampaikan disampaikan mengatakan kata ujar entrevista declaraciones imágenes
    """
)
_SAYING = _words(
    _forms(
        """
        cont confirm explic asegur afirm declar coment señal indic relat manifest revel expres detall precis
        reiter lament adelant apunt agreg narr remarc subray confes filtr
    """,
        "ó a an aron aba ado ada ados adas",
    )
    + """
        dijo dijeron dice dicen dicho cuenta cuentan admitió admite reconoció reconoce sostuvo sostiene
        advirtió advierte respondió insistió insiste describió declaraciones
    """
)
_NO_TELLING = _words(
    """
        gugatan menggugat tuntutan menuntut somasi denda penghargaan izin sanksi rugi hibah dana selamat
        kritik teguran surat
    """
)
_KIND_WORDS = _words(
    """
        agency broadcaster network newspaper daily magazine outlet channel tabloid website portal station
        publication weekly programme program show media kantor berita stasiun televisi surat kabar koran
        harian majalah situs laman kanal siniar acara wartawan jurnalis reporter koresponden prensa press
        noticiero noticiario informativo matutino vespertino programa diario periódico rotativo medio medios
        cadena revista agencia emisora televisora canal semanario televisión television periodista
        periodistas podcast radio
    """
)
_FILLERS = _words(
    """
        the an its his her their this of and late early earlier exclusive exclusively new recent latest
        local state state-run state-owned state-controlled first also already previously separately
        yesterday today site page outlets agencies sources week month last news account breaking data tally
        count poll investigation analysis us u.s. as uk aired published reported website's laporan
        pemberitaan keterangan akun sumber seperti khusus eksklusif kepada resmi lokal pemerintah negara
        milik pada hari bersama dengan sebelumnya kemarin kembali oleh dalam dari sejumlah berbagai
        antaranya termasuk berita artikel survei hitungan penghitungan jajak pendapat catatan pantauan
        penelusuran analisis investigasi tim redaksi la el los las un una del al lo este esta hoy ayer mismo
        propia propio exclusiva noticias informe reporte reportaje investigación conocer tenido tuvo ha han
        mañana tarde noche estatal local digital página web sitio fuentes datos cifras recuento conteo
        encuesta análisis by to with in from via on for di a con de en para por including such among them
        entre ella ellas ellos como lain
    """
)
_DAYS = _words(
    """
        monday tuesday wednesday thursday friday saturday sunday senin selasa rabu kamis jumat sabtu minggu
        lunes martes miércoles jueves viernes sábado domingo
    """
)
_DATES = _DAYS | _words(
    """
        jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august
        september october november december januari februari maret mei juni juli agustus oktober desember
        enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre ene dic
    """
)
_CONTRACTED = {"del": "de", "al": "a"}
_SUCH_AS = _words("including such among termasuk seperti antara entre como incluidos")
_TAKEN = _words("dikutip dilansir dinukil disitat disadur dihimpun dirangkum diolah")
_NATIONS = _words(
    """
        inggris amerika as rusia israel iran turki jerman prancis perancis spanyol italia yunani china
        tiongkok jepang korea india pakistan mesir saudi malaysia singapura filipina thailand taiwan
        hongkong kenya nigeria ghana afrika selatan utara uganda ethiopia sudan maroko aljazair libya
        tunisia yordania kuwait oman yaman bahrain uea azerbaijan armenia georgia kazakhstan argentina chili
        peru ekuador bolivia guyana panama haiti jamaika portugal swiss austria swedia norwegia denmark
        finlandia irlandia ceko hungaria rumania serbia kanada bangladesh nepal kamboja myanmar laos
        afghanistan palestina vietnam australia brasil venezuela kolombia meksiko kuba ukraina polandia
        belanda belgia lebanon suriah irak british american israeli russian turkish german french spanish
        italian greek chinese japanese korean indian egyptian saudi brazilian colombian mexican cuban
        ukrainian polish dutch belgian lebanese syrian iraqi iranian venezuelan swedish danish norwegian
        finnish irish scottish qatari emirati canadian australian european african asian arab latin
    """
)
_OPENERS = _words(
    """
        the a an in on at but and as while after before when for if by from with that this his her its their
        our asked el la los las un una en por con para pero y mientras aunque tras así di ke dari pada dan
        yang namun sementara itu seperti sebagaimana demikian kata ujar sebelumnya kepada wartawan
    """
) | frozenset(_CREDITING)
_CLASSES = _words(
    "Harian Koran Majalah Tabloid Diario Periódico Semanario Revista Portal"
)  # "Harian Sabah" is Sabah
_GOES_ON = _words("agency service network channel online news noticias tv digital sports deportes")
_MAY_FOLLOW = _DATES | _NATIONS | _KIND_WORDS | _GOES_ON
_STOPS = (".", ";", ":", "!", "?", ")", "]", "”", '"', "»")

# --------------------------------------------------------------------------------- source lines

_LABEL = re.compile(
    r"""(?:^|[.|(\[–—·]\s*)[\s*•-]*
        (?:sumber(?:\s+(?:berita|artikel|asli|tulisan))?|sources?|fuentes?(?:\s+original)?|fonte|bron|credits?|kredit|laporan|referensi|via)
        \s*:\s*(?P<names>[^\n]{2,90}?)[\s.)\]*"”]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_SOURCE_LINE = re.compile(
    r"""[\s(\[*•-]*(?:
        con\s+(?:informaci[oó]n|datos|reportes|material|aportes)\s+de(?:l|\s+la)?
      | (?:artikel|berita|tulisan)\s+ini\s+(?:telah|sudah|pertama\s+kali|sebelumnya)\s+(?:telah\s+)?(?:tayang|terbit|dimuat)\s+di
      | (?:artikel|berita)\s+ini\s+(?:dikutip|dilansir|disadur|diambil)\s+dari
      | (?:dikutip|dilansir|disadur|dinukil|disitat|diambil|diolah|dihimpun)\s+dari | (?:originally\s+|first\s+)?published\s+(?:by|on|in|at)
      | (?:this|the)\s+(?:article|story|post)\s+(?:was\s+)?(?:first\s+|originally\s+)*(?:appeared|published|ran)\s+(?:first\s+|originally\s+)?(?:on|in|at|by)
      | (?:republished|reprinted|adapted|courtesy)\s+(?:from|of|with\s+permission\s+(?:from|of)) | story\s+(?:by|from)
      | (?:(?:este\s+)?(?:art[ií]culo|texto|reportaje)\s+)?(?:fue\s+)?publicad[oa]\s+(?:originalmente|por\s+primera\s+vez)\s+(?:en|por)
      | (?:tomado|nota|informaci[oó]n|texto)\s+(?:de|en|por)
    )\s*[:“"]?\s*(?P<names>[^\n]{2,90}?)(?:\s+(?:dengan\s+judul|berjudul|with\s+the\s+title|under\s+an?|under\s+the|bajo\s+el|bajo\s+licencia)\b.*)?
    (?:\.?\s*all\s+rights\s+reserved)?[\s.)\]*"”]*$""",
    re.IGNORECASE | re.VERBOSE,
)
_COPYRIGHT = re.compile(
    r"(?:copyright|©|hak\s+cipta|derechos)[\s©\d]*(?:\(c\))?\s*([^\n.]{2,60})", re.IGNORECASE
)
_BYLINE = re.compile(r"(?:by|por|oleh)\b\s*:?\s*([^\n.]{2,60})", re.IGNORECASE)
_LONGEST_SOURCE_LINE, _LONGEST_LABEL = 220, 110
_KIND_BEFORE = re.compile(
    r"(?:(?:laman|situs(?:\s+web)?|portal|media|harian|koran|kantor\s+berita|website|the|la|el|web|sitio|diario|agencia|cadena|[Tt]im|[Rr]edaksi|[Rr]edacci[oó]n|[Ss]taff)\s+)+(?=[A-Z]|\w+\.)"
)
_BETWEEN_NAMES = re.compile(r"\s*(?:[,;/&+|]|\s(?:dan|and|y|e|via|melalui)\s)\s*")
_DASH = re.compile(r"[-–—]")
_DATELINE = re.compile(r"([^\n]{2,70}?)\s?[-–—]{1,2}\s")
_BRACKETED = re.compile(r"[(\[]([A-Z][\w .'&/]{1,28})[)\]]")
_EDITORS = frozenset(("redacción", "redaccion", "agencias", "agencia", "redaksi", "staff", "tim"))
_SIGNATURE = re.compile(r"[(\[]?([\w .'/&-]{2,40})[)\]]?\.?$")

_MEDIA_WORD = re.compile(
    r"\b(?:news|newspaper|post|times|daily|herald|gazette|journal|tribune|radio|television|tv|press|magazine|weekly|chronicle|observer|"
    r"media|pos|harian|koran|kabar|berita|warta|jurnal|majalah|tabloid|tribun\w*|radar|suara|antara|"
    r"diario|peri[oó]dico|noticias|prensa|revista|agencia|gaceta|correo|semanario|la\s+voz|heraldo|infotainment)\b"
    r"|\w\.(?:com|id|co|net|org|news|info|tv|es|mx|ve|ar|cl|pe)\b",
    re.IGNORECASE,
)
_MEDIA_SITE = re.compile(
    r"news|berita|kabar|post?\b|times|today|media|tv|radi?o|radar|suara|warta|info|diario|noticia|prensa|hoy|digital|herald|daily|"
    r"journal|jurnal|online|press|fokus|lintas|terkini|harian|koran|portal|tribun|gazette|gaceta|actualidad",
    re.IGNORECASE,
)
_NO_OUTLET = re.compile(
    r"\b(?:pt|inc|ltd|corporation|kementerian|kemen\w+|dinas|polisi|polda|polri|polres\w*|tni|pemerintah|pemprov|badan|lembaga|kantor\s+staf|sekretariat|presiden|istana|rilis|siaran|istimewa|berbagai|"
    r"dokumen|instagram|facebook|twitter|youtube|tiktok|whatsapp|telegram|linkedin|ministry|department|government|office|police|agency\s+for|white\s+house|handout|various|own|staff|release|statement|"
    r"ministerio|gobierno|secretar[ií]a|polic[ií]a|presidencia|comunicado|propia|redes|varias|agencias|oficin\w*|oficial|instituto|universi\w+|bank|banco|statistics|research|survei|getty|"
    r"marine|medicine|science|sciences|nature|lancet|parlemen|parlament\w+|congres\w+|senado|club|council|freedom|secretary|hall|theatre|theater|arena|stadium|center|centre|conference|corp|group|foundation|pronóstico|angin)\b"
    r"|\.(?:go|gov|gob|mil|edu|ac)\b",
    re.IGNORECASE,
)


def _named(names: str) -> Iterator[str]:
    """The outlets in what follows "Sumber:"; one that the table lacks must look like one."""
    if known := _known(names):
        yield known
        return
    for name in _BETWEEN_NAMES.split(names):
        name = _KIND_BEFORE.sub("", name.strip(" .*_–-\"“”'()[]"), count=1).removeprefix("www.")
        first, _, rest = name.partition(" ")
        if (known := _known_beginning(name) or (_known(rest) if first in _CLASSES else None)) or (
            2 < len(name) <= 40
            and len(name.split()) <= 5
            and _MEDIA_WORD.search(name)
            and not _NO_OUTLET.search(name)
            and (name[0].isupper() or "." in name)
        ):
            yield known or name


def _source_line(line: str) -> Iterator[str]:
    """The outlets that a line names as its source, or that it ends with: "… katanya. (Sumber: Antara)"."""
    if len(line) <= _LONGEST_SOURCE_LINE:
        if source := _SOURCE_LINE.match(line):
            yield from _named(source["names"])
        if byline := _BYLINE.match(line) or _COPYRIGHT.match(line):
            parts = (_KIND_BEFORE.sub("", part, count=1) for part in _BETWEEN_NAMES.split(byline[1]))
            yield from filter(None, map(_known, parts))
    label_from = max(0, len(line) - _LONGEST_LABEL)
    if line.find(":", label_from) >= 0 and (source := _LABEL.search(line, label_from)):
        for name in _named(source["names"]):
            is_brand = name in ("CNN", "CNBC") and "sumber" in source[0].casefold()
            yield f"{name} Indonesia" if is_brand else name


def _signature(line: str) -> Iterator[str]:
    """The outlets that sign: "EFE/AFP", "(jpnn/radarkudus)"; not the initials of editors."""
    opened = max(line.rfind("("), line.rfind("["), 0)
    if len(line) - opened < 45 and (signature := _SIGNATURE.match(line, opened)):
        parts = [part for part in re.split(r"[/-]|\s[ye]\s", signature[1]) if part.casefold() not in _EDITORS]
        names = [
            _known(part)
            for part in parts
            if not part.islower() or (len(part) > 3 and signature[0][0] in "([")
        ]
        if names and names[0]:
            yield from filter(None, names)


def _dateline(line: str) -> Iterator[str]:
    """The outlets before the dash that begins a report: "KARAKAS, iNews.id - ", "DEMOCRAZY.ID – TEMPO.CO, Sidoarjo - "."""
    if (bracketed := _BRACKETED.match(line)) and (name := _known(bracketed[1])):
        yield name
    if len(line) < 30 and _is_firm(line) and (name := _known(line)) in _outlets().agencies:
        yield name
    if not _DASH.search(line, 0, 75):
        return
    place = 0
    for _ in range(2):
        if not (dateline := _DATELINE.match(line, place)):
            return
        place = dateline.end()
        parts = [part for part in re.split(r"[,()/]\s*", dateline[1]) if part]
        for part in parts:
            name = _known(part)
            is_name = (
                part[0].isupper() or "." in part or (name in _outlets().agencies and f"({part})" in line)
            )
            if name and is_name and (len(parts) > 1 or _is_firm(part)):
                yield name


# ---------------------------------------------------------------------------------- names in text


class _Name(NamedTuple):
    """An outlet named at `start` to `end` of a text; a weak one, which may be a common word, needs a strong cue."""

    start: int
    end: int
    name: str
    is_listed: bool = True
    is_weak: bool = False


_NO_NAME = re.compile(r"\s?(?:setempat|/?RW\b|\d)")  # "RT 05" is a neighbourhood
_WORD_BEFORE, _WORD_AFTER = re.compile(r"[\w-]*$"), re.compile(r"(?:-?\w+)*")
_DOMAIN_BEFORE = re.compile(r"[^\w.@-]+")
_NUMBER_AFTER = re.compile(r"[ -]?\d{1,2}\b(?: [A-Z][a-z]+){0,3}")
_NEXT = re.compile(r" ((?:(?:de|del|la|las|los|el|of|the) ){0,2})([^\W_][\w’'-]*)")
_ADJECTIVE = re.compile(
    r" (?:\w+(?:ense|és|esa|ano|ana|ol|ola|eño|eña|ino|ina|ivo|iva|án|[cntr]al|ic[oa]|ari[oa])|pemerintah|lokal|nasional|ekonomi)(?= [^\W\d_a-z])"
)
_POSSESSIVE = ("'s", "’s")
_MOST_WORDS, _MOST_LETTERS = 4, 45  # of a name that the table lacks


def _names(text: str, in_title: bool = False) -> list[_Name]:
    """The outlets that running text names, in its order; of those that overlap the first, of those the longest."""
    outlets = _outlets()
    names: list[_Name] = []
    for number, start, end in outlets.automaton.find_matches_as_indexes(text, overlapping=True):
        if text[end : end + 1].isalnum() and not text[end].isupper():
            continue
        name, is_common, kind = outlets.found[number]
        is_whole = not (
            text[start - 1 : start].isalnum() or text[end : end + 1].isalnum() or _NO_NAME.match(text, end)
        )
        if name and is_whole and (in_title or not _goes_on(text, start, end) or name in outlets.agencies):
            names.append(_Name(start, end, name, is_weak=is_common))
        is_listed = bool(names) and names[-1].end == end and names[-1].is_listed and not names[-1].is_weak
        if kind and (kind.after or not is_listed) and (unlisted := _unlisted(text, start, end, kind)):
            names.append(unlisted)
    names.sort(key=lambda one: (one.start, -one.end))
    apart: list[_Name] = []
    for one in names:
        if not apart or one.start >= apart[-1].end:
            apart.append(one)
    return apart


def _goes_on(text: str, start: int, end: int) -> bool:
    """Whether a name of one word is the beginning of another: "Independent Commission", "Fortune Brands"; not "Tempo Senin"."""
    if (
        not text[end : end + 2].istitle()
        or text[end] != " "
        or " " in text[start:end]
        or text[start:end].isupper()
    ):
        return False
    following = _NEXT.match(text, end)
    return following is not None and following[2].casefold() not in _MAY_FOLLOW


def _unlisted(text: str, start: int, end: int, kind: _Kind) -> _Name | None:
    """The name that a word which tells a medium is part of, or stands beside; by its usual name where it has one."""
    if kind is _DOMAIN:
        span = _site(text, start, end)
    elif kind is _STATION:
        number = _NUMBER_AFTER.match(text, end)
        span = (start, number.end()) if number else None
    else:
        span = _around(text, start, end, kind) if kind.within else _beside(text, start, end, kind)
    if not span:
        return None
    name = text[span[0] : span[1]]
    first, _, rest = name.partition(" ")
    other_name = (rest if first in _CLASSES else "") if kind.within else text[start : span[1]]
    if known := _known(name) or _known(other_name):
        return _Name(*span, known)
    return _Name(*span, name, is_listed=False, is_weak=kind.weak and kind is not _STATION)


def _is_medium(name: str) -> bool:
    """Whether a name that the table lacks may be an outlet's: not a ministry's, a bank's, a firm's site."""
    is_site = "." in name and " " not in name
    return (
        3 < len(name) <= _MOST_LETTERS
        and not _NO_OUTLET.search(name)
        and (not is_site or bool(_MEDIA_SITE.search(name)))
    )


def _site(text: str, start: int, end: int) -> tuple[int, int] | None:
    """Where the domain is that ends in ".com"; not that of an address of mail."""
    word = "" if text[end : end + 1].isalnum() else _DOMAIN_BEFORE.split(text[max(0, start - 40) : start])[-1]
    site = word.removeprefix("www.")
    return (start - len(site), end) if site and "@" not in site else None


def _around(text: str, start: int, end: int, kind: _Kind) -> tuple[int, int] | None:
    """Where the name is that holds a word: "Kyiv Post", "Radio Ñandutí", "WAPA-TV"; not "Post Office", not "Canadian TV"."""
    first, last = _whole(text, start, end)
    is_compound = last - first > end - start
    if first < 0 or (is_compound and kind.weak):
        return None
    begin = _back(text, first) if kind.before else first
    finish = _on(text, last) if kind.after else last
    if text[end : end + 4] in (" de ", " del") and text[start:end] == "Canal":  # of Panama
        return None
    if not kind.after and (following := _NEXT.match(text, last)) and not following[1]:
        word = following[2].casefold()
        if word in _GOES_ON:
            finish = following.end()
        elif following[2][0].isupper() and word not in _DATES:
            return None
    others = (*text[begin:first].split(), *text[last:finish].split())
    if not (is_compound or others) or (len(others) == 1 and others[0].casefold() in _NATIONS):
        return None
    is_listed = finish == end and begin < first and _is_firm(text[begin:first].rstrip())  # "CNN Radio" is CNN
    return None if is_listed or text[finish : finish + 3] == " & " else (begin, finish)


def _beside(text: str, start: int, end: int, kind: _Kind) -> tuple[int, int] | None:
    """Where the name is that a word stands beside: "newspaper Kathimerini", "el diario griego Kathimerini", "Maariv newspaper"."""
    if text[start - 1 : start].isalnum() or text[end : end + 1].isalnum():
        return None
    adjective = _ADJECTIVE.match(text, end)
    begin = adjective.end() if adjective else end
    finish = _on(text, begin)
    if finish > begin:
        begin += 1
    elif kind.before and (begin := _back(text, start)) < start:
        finish = start - 1
    else:
        return None
    for word in text[begin:finish].split():
        if word.casefold() not in _NATIONS:
            return begin, finish
        begin += len(word) + 1
    return None


def _whole(text: str, start: int, end: int) -> tuple[int, int]:
    """The word that another is part of: "WAPA-TV", "MalangTimes", "TVNotas"; (-1, -1) for "Timeshare" and "CCTV"."""
    if not (
        text[start - 1 : start].isalnum()
        or text[end : end + 1].isalnum()
        or "-" in (text[start - 1 : start], text[end : end + 1])
    ):
        return start, end
    head, tail = _WORD_BEFORE.search(text, max(0, start - 30), start), _WORD_AFTER.match(text, end)
    before, after = head[0] if head else "", tail[0] if tail else ""
    is_head = not before or (before[0].isupper() and (before[-1] == "-" or before[-1].islower()))
    is_tail = not after or after[0] == "-" or after[0].isupper()
    return (start - len(before), end + len(after)) if is_head and is_tail else (-1, -1)


def _back(text: str, start: int) -> int:
    """Where the capitalised words begin that end before `start`."""
    for word in reversed(
        text[max(0, start - 50) : start].rpartition("\n")[2].split(" ")[-_MOST_WORDS - 1 : -1]
    ):
        is_name = word[:1].isupper() and word[-1].isalnum() and not word.endswith(("-based", *_POSSESSIVE))
        if not is_name or word.casefold() in _OPENERS:
            break
        start -= len(word) + 1
    return start


def _on(text: str, end: int) -> int:
    """Where the capitalised words and numbers end that begin after `end`."""
    for _ in range(_MOST_WORDS):
        following = _NEXT.match(text, end)
        if (
            not following
            or following[2].casefold() in _DATES
            or not (following[2][0].isupper() or following[2].isdecimal())
        ):
            break
        end = following.end()
        if following[2].endswith(_POSSESSIVE):
            return end - 2
    return end


# ------------------------------------------------------------------------------------- crediting

_LOOK_BACK, _LOOK_ON = 110, 140
_FARTHEST = 10  # words between a word of crediting and the name
_JOINED = re.compile(
    r"\s*(?:(?P<comma>,)|/|&|,?\s(?:dan|and|y|e|serta|or|o|atau|maupun))\s*(?:(?:the|el|la|kantor berita|majalah|harian)\s+)?",
    re.IGNORECASE,
)
_CREDITED = re.compile(
    rf"""["”'’)]?(?:['’]s(?:\s[A-Z][\w’'-]+){{0,3}})?(?:\s(?:news\s)?(?:agency|newspaper|daily|broadcaster|magazine|website|channel|network|TV|television))?
    (?:,\s(?:yang|which|que|an?|the|el|la|mengutip|citing|citando|dalam|en)\b[^,.;]{{0,80}},)?\s*,?\s*(?:
        (?:(?:on|late|early|earlier|first|also|has|had|have|was|previously|separately|exclusively|yesterday|today|is|were
            |(?:mon|tues|wednes|thurs|fri|satur|sun)day)\s+){{0,3}}
        (?:(?:reported|reports|report|reporting)\b(?!(?:\s\S+){{0,4}}\s(?:loss|losses|profits?|revenues?|earnings|subscribers|sales|results|income)\b)
            |(?:learned|wrote|carried|noted|disclosed|uncovered|revealed|citing|quoted|quoting|cited|understands|first\sto\sreport|contributed\s+to|tally
                |witness(?:es)?|investigation|analysis|calculations|poll|seen\sby|broke\sthe|obtained|verified)\b
            |said\s+in\s+(?:an?|its|their)\s+(?:\w+\s)?(?:report|article|story|investigation|dispatch|editorial|analysis)\b
            |(?:said|says)(?:\s\w+)?,?\s(?:citing|quoting)\b
            |(?:journalist|reporter|correspondent|photographer|team|crew)s?\s+(?:saw|heard|witnessed|counted|said|reported|at|in|on)\b)
      | (?:(?:hoy|ayer|este\s\w+|en\sexclusiva|ha|había)\s+){{0,2}}
        (?:(?:{_REPORTING.replace(" ", "|")}|asegur|afirm)(?:ó|a|an|aron|ado)|sostiene|sostuvo|citando|difund(?:ió|e|ido)|recog(?:ió|e|ido)|dio\sa\sconocer|tuvo\sacceso|confirmó)\b
      | (?:(?:pada|edisi|hari)\s+\w+\s+|(?:Inggris|Israel|Indonesia)\s+|,?\s*\(?(?:senin|selasa|rabu|kamis|jumat|sabtu|minggu)\)?,?\s+)?
        (?:melaporkan|memberitakan|mewartakan|mengabarkan|menulis|mengutip|melansir|mengungkap\w*|menyebut(?:kan)?|menurunkan|menyiarkan|menayangkan|memuat
            |melihat|menyaksikan|(?:di)?dalam\s+laporan\w*)\b
    )""",
    re.VERBOSE | re.IGNORECASE,
)
_KIND_SAID = re.compile(
    r"['’]?\s(?:state\s)?(?:news\s)?(?:agency|newspaper|daily|broadcaster|magazine|website|channel|network|TV|television)\s(?:said|says)\b"
)
_SAID = re.compile(r"\s(?:said|says)\b(?!\s(?:it\b|in\sa\sstatement|its\b|that\sit\b))")
_TITLE_CREDITED = re.compile(
    r"""["”’']?\s*(?:says|said|reports?|reported|sebut|ungkap|lapor(?:kan)?|beritakan|kabarkan|bocorkan)\b""",
    re.IGNORECASE,
)
_CAPTION = re.compile(
    r"(?:foto|photo|ilustrasi|illustration|imagen|image|gambar|picture|caption)\b", re.IGNORECASE
)
_TIME_BEFORE = re.compile(r"(?:\d|WIB|WITA|ET|pm|am)\s[(\[]$")
_TIME_AFTER = re.compile(r"[)\]],?\s*(?:pukul|jam|a\slas|at)?\s*\d{1,2}[.:]\d\d")


def _credited(text: str, in_title: bool = False) -> list[str]:
    """The outlets that running text credits, in its order."""
    found: dict[str, None] = {}
    for run in _runs(text, in_title):
        if all(one.name in found for one in run):
            continue
        start, end = run[0].start, run[-1].end
        cue = _cue_before(text, start)
        if (
            cue
            or _CREDITED.match(text, end, end + _LOOK_ON)
            or _says(text, start, end, run[-1].name)
            or (
                run[0].is_listed
                and not run[0].is_weak
                and (_is_bracketed(text, start, end) or (in_title and _titled(text, start, end)))
            )
        ):
            is_sure = cue in _STRONG or any(one.is_listed and not one.is_weak for one in run)
            credited = (one for one in run if is_sure or not one.is_weak)
            found |= {one.name: None for one in credited if one.is_listed or _is_medium(one.name)}
    return list(found)


def _runs(text: str, in_title: bool = False) -> Iterator[list[_Name]]:
    """Names that stand in one list: "Reuters, AFP y EFE"; a comma alone makes none, unless in brackets."""
    run: list[_Name] = []
    is_list = False
    for one in (*_names(text, in_title), None):
        joined = _JOINED.fullmatch(text, run[-1].end, one.start) if run and one else None
        if not joined:
            is_list |= bool(run) and text[run[0].start - 1 : run[0].start] in ("(", "[")
            yield from [run] if is_list else ([single] for single in run)
            run, is_list = [], False
        if one:
            run.append(one)
        is_list |= joined is not None and not joined["comma"]


def _cue_before(text: str, start: int) -> str | None:
    """The word of crediting that what begins at `start` follows: "told" in "told the British newspaper The Guardian"."""
    before = text[max(0, start - _LOOK_BACK) : start].rpartition("\n")[2].rstrip(" \"“‘'«(")
    words = before.casefold().split()
    between = {""}
    strange, is_kind = 0, False  # words that belong to neither list; whether one tells a medium
    for place in range(len(words) - 1, max(-1, len(words) - 1 - _FARTHEST), -1):
        raw = words[place]
        word = raw.lstrip("(\"“‘'«")
        if word.endswith(","):  # "the state agency, SANA"
            word = word[:-1]
            follows = place == len(words) - 1 or words[place + 1] in _SUCH_AS
            if not follows or _KIND_WORDS.isdisjoint((*words[max(0, place - 4) : place], word)):
                return None
        elif word.endswith(_STOPS) and raw == word:
            return None
        crediting = _CREDITING.get(word) or _CREDITING.get(raw) or _CREDITING.get(word.removesuffix("nya"))
        if crediting and not between.isdisjoint(crediting) and (not strange or (is_kind and strange < 3)):
            is_refused = word == "kepada" and not _NO_TELLING.isdisjoint(words[max(0, place - 10) : place])
            return None if is_refused else word
        if word in _AIRED and not _SPOKEN.isdisjoint(words[max(0, place - 12) : place]):
            return word
        if word in ("a", "al", "para", "en") and _is_said(words[:place]):
            return word
        if word == "dari" and not _TAKEN.isdisjoint(words[max(0, place - 5) : place]):
            return "dikutip"
        if word in _KIND_WORDS:
            is_kind = True
        elif word not in _FILLERS and word not in _DATES and not word.endswith(("-based", *_POSSESSIVE)):
            strange += not word.strip("()/.-").replace("/", "").isdecimal()
        if strange > 2:
            return None
        between.add(_CONTRACTED.get(word, word))
    return None


def _is_said(words: Sequence[str]) -> bool:
    """Whether somebody says what the words before "a El País" tell: not "dijo que demandará"."""
    for word in reversed(words[-_FARTHEST:]):
        if word == "que" or word.endswith(_STOPS):
            return False
        if word in _SAYING:
            return True
    return False


def _says(text: str, start: int, end: int, name: str) -> bool:
    """Whether a medium says, which is to report: "Maariv newspaper said", "publication TradeWinds said", "TASS said"."""
    if _KIND_SAID.match(text, end):
        return True
    return _SAID.match(text, end) is not None and (
        name in _outlets().agencies
        or not _KIND_WORDS.isdisjoint(text[max(0, start - 20) : start].split()[-1:])
    )


def _is_bracketed(text: str, start: int, end: int) -> bool:
    """Whether names stand alone in brackets, and are no caption's credit, channel for a time, or abbreviation."""
    if text[start - 1 : start] not in ("(", "[") or text[end : end + 1] not in (")", "]"):
        return False
    before = text[max(0, start - 200) : start].rpartition("\n")[2]
    initials = "".join(word[0] for word in before.split()[:-1] if word[0].isupper())
    is_abbreviation = end - start > 1 and initials.endswith(text[start:end])
    return not (
        is_abbreviation
        or _CAPTION.match(before)
        or _TIME_BEFORE.search(before)
        or _TIME_AFTER.match(text, end)
    )


def _titled(title: str, start: int, end: int) -> bool:
    """Whether a title credits the outlet named at `start`: "… - Reuters", "Reuters: …", "…, Washington Post says"."""
    if start == 0 and title[end : end + 2] == ": ":
        return True
    at_end = end == len(title) and title[:start].endswith((" - ", " | ", " – ", " — "))
    return at_end or _TITLE_CREDITED.match(title, end) is not None


# -------------------------------------------------------------------------------------- together


def attributions(text: str, title: str = "", outlet: str | None = None) -> tuple[Attribution, ...]:
    """The outlets that an entry credits with its text or its news.

    Args:
        text: its plain text, a line for each paragraph.
        title: plain text.
        outlet: usual name of the entry's own outlet (see `outlet_of`), which is never among them, nor are its desks.

    Returns:
        Each outlet once, by its usual name: first those of its source lines, then in the text's order.
    """
    lines = text.split("\n")
    names: list[str] = []
    foot = lines[-_FOOT:]
    for line in foot if len(lines) <= _FOOT else (*lines[:1], *foot):
        names += _source_line(line)
    if len(lines) > 1:
        names += _signature(lines[-1].strip())
    for line in lines[:_HEAD]:
        names += _dateline(line)
    names += _credited(text[:_LONGEST])
    if title:
        names += _credited(title, in_title=True)
    return tuple(Attribution(name) for name in dict.fromkeys(names) if not _is_own(name, outlet))


def _is_own(name: str, outlet: str | None) -> bool:
    """Whether a name is the outlet's: in full, in short ("The Times" in The New York Times), or that of a desk."""
    if outlet is None or name == outlet:
        return name == outlet
    is_short = name.startswith("The ") and outlet.endswith(name[3:])
    is_desk = name.startswith(outlet + " ") and _known(name) is None
    is_house = name.startswith("BBC") and outlet.startswith("BBC")
    return is_short or is_desk or is_house or _fold(_SUFFIX.sub("", name.casefold())) == _fold(outlet)
