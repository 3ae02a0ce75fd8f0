"""Bytes to text."""

import codecs
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark begins this one
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UNMARKED = (
    (re.compile(rb"<\0\0\0"), "utf-32-le"),
    (re.compile(rb"\0\0\0<"), "utf-32-be"),
    (re.compile(rb"<\0[^\0]\0"), "utf-16-le"),
    (re.compile(rb"\0<\0[^\0]"), "utf-16-be"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([\w.:-]+)")
# Character sets only: Python's other codecs are slow, or warn, or are no encodings of text at all. UTF-16 shows
# in the bytes; where it is only claimed, it is not true.
_CHARACTER_SET = re.compile(
    r"utf-?8|(?:iso|x-|windows|win|cp|ibm|koi8|gb|big5|euc|shift|sjis|ms|mac|latin|us-?ascii|ascii|tis|hz)[\w.:-]*"
)
_WESTERN = frozenset({"iso8859-1", "iso8859-15", "cp1252", "ascii"})
_WIDER = {"iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030"}


def decoded(body: bytes, content_type: str | None) -> str:
    """Turn the bytes of a document into text.

    BOM, then HTTP charset, then XML declaration, then UTF-8 (RFC 7303 §3); Latin-1 is windows-1252 and gb2312 is
    gb18030 (WHATWG Encoding). Bytes that are valid UTF-8 are not Latin-1, whatever a server's default says.

    Args:
        body: the document.
        content_type: the HTTP header's value.

    Returns:
        The text.
    """
    for mark, codec in _BOMS:
        if body.startswith(mark):
            return body[len(mark) :].decode(codec, "replace")
    for start, codec in _UNMARKED:
        if start.match(body):
            return body.decode(codec, "replace")

    charset = _CHARSET.search(content_type) if content_type else None
    declared = _DECLARED.match(body)
    claims = [charset[1]] if charset else []
    if declared:
        claims.append(declared[1].decode("ascii", "replace"))
    for claim in claims:
        name = _codec(claim.lower())
        if name and not (name in _WESTERN and _is_utf8(body)):
            try:
                return body.decode(_WIDER.get(name, name))
            except UnicodeDecodeError:
                continue
    if _is_utf8(body):
        return body.decode()
    # A few stray bytes, or a whole Latin-1 document that does not say so: what is not UTF-8 is windows-1252.
    text = body.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]+", lambda run: _windows_1252(run[0]), text)


def _codec(claim: str) -> str | None:
    if not _CHARACTER_SET.fullmatch(claim):
        return None
    try:
        return codecs.lookup(claim).name
    except LookupError:
        return None


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _windows_1252(escaped: str) -> str:
    return escaped.encode("ascii", "surrogateescape").decode("cp1252", "replace")
