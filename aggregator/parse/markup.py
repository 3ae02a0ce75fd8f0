"""Text to a tree, and the repair of what is not well-formed."""

import html
import re
from html.entities import html5
from xml.etree import ElementTree as ET
from xml.etree.ElementTree import Element

from aggregator.errors import ParseError
from aggregator.text import plain_line, printable

_FEED_TAG = re.compile(r"<((?:[\w.-]+:)?(?:rss|rdf|feed|channel|entry|urlset))(?=[\s>/])", re.IGNORECASE)
_HTML_TAG = re.compile(r"<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE)
_HTML_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_PROLOG = re.compile(r"(?:\s+|<\?.*?\?>|<!--.*?-->)*", re.DOTALL)
_QUOTED = r""""[^"]*"|'[^']*'"""
_DOCTYPE = re.compile(
    rf"""<!DOCTYPE(?:[^\[>"']|{_QUOTED})*+
    (?:\[(?:[^\]<"']|{_QUOTED}|<!--.*?-->|<(?:[^>"']|{_QUOTED})*+>)*+\]\s*)?>""",
    re.DOTALL | re.VERBOSE,
)
_LONGEST_DOCTYPE = 16_384
_PIECE = 64 * 1024
_MOST_NODES = 100_000  # elements and attributes; one takes up to 350 bytes of memory
_MOST_PREFIXES = 100
_ENTRY_TAGS = ("item", "entry", "url")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_AMPERSAND = re.compile(
    r"<!\[CDATA\[(?:.*?\]\]>|.*)|&(#(?:\d{1,7}|[xX][0-9a-fA-F]{1,6});|[A-Za-z]\w{1,31};)?", re.DOTALL
)
_PREDEFINED = frozenset({"amp;", "lt;", "gt;", "quot;", "apos;"})
_USED_PREFIX = re.compile(r"<([A-Za-z_][\w.-]*):[A-Za-z_]|\s([A-Za-z_][\w.-]*):[A-Za-z_][\w.-]*=[\"']")
_DECLARED_PREFIX = re.compile(r"\sxmlns:([\w.-]+)\s*=")
_USUAL_PREFIXES = {
    "atom": "http://www.w3.org/2005/Atom",
    "content": "http://purl.org/rss/1.0/modules/content/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "dcterms": "http://purl.org/dc/terms/",
    "feedburner": "http://rssnamespace.org/feedburner/ext/1.0",
    "itunes": "http://www.itunes.com/dtds/podcast-1.0.dtd",
    "image": "http://www.google.com/schemas/sitemap-image/1.1",
    "media": "http://search.yahoo.com/mrss/",
    "news": "http://www.google.com/schemas/sitemap-news/0.9",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "rss": "http://purl.org/rss/1.0/",
    "sy": "http://purl.org/rss/1.0/modules/syndication/",
}


def tree(document: str, *, cut: bool = False) -> tuple[Element, bool]:
    """Parse a well-formed document, or as much of it as is read.

    The DOCTYPE is cut out first. Without it there are no entities to expand and nothing outside to fetch.

    Args:
        document: decoded; the encoding that it declares is ignored.
        cut: it is only the beginning of a document, so that its last entry may not be whole.

    Returns:
        The root, and whether something is missing. Where it is, so is the entry that it was cut in.

    Raises:
        xml.etree.ElementTree.ParseError: it is not well-formed.
    """
    if "<!DOCTYPE" in document:
        prolog = _PROLOG.match(document)
        start = prolog.end() if prolog else 0
        if document.startswith("<!DOCTYPE", start):  # elsewhere it is text, or expat refuses it
            doctype = _DOCTYPE.match(document, start, start + _LONGEST_DOCTYPE)
            if doctype is None:
                raise ET.ParseError("a DOCTYPE that does not end")
            document = document[:start] + document[doctype.end() :]
    builder = ET.TreeBuilder()
    parser = ET.XMLParser(target=builder)  # noqa: S314 – no DOCTYPE, see above
    room = _MOST_NODES
    # Piece by piece, since expat gives no other thread a turn: the event loop must not wait for a whole document.
    for start in range(0, len(document), _PIECE):
        piece = document[start : start + _PIECE]
        room -= piece.count("<") + (piece.count('"') + piece.count("'")) // 2
        if room < 0 and start:
            cut = True
            break
        parser.feed(piece)
    if not cut:
        root: Element = parser.close()
        return root, False
    root = builder.close()
    if not isinstance(root, Element):
        raise ET.ParseError("no element in what is read of it")
    _drop_last_entry(root)
    return root, True


def _drop_last_entry(root: Element) -> None:
    element = root
    while len(element):
        last = element[-1]
        if last.tag.rpartition("}")[2].lower() in _ENTRY_TAGS:
            element.remove(last)
            return
        element = last


def repaired(document: str) -> str:
    """Put right what most often keeps a feed from being well-formed.

    Only what lies between its first and last tag is kept, without control characters; ampersands that mean
    nothing are escaped, HTML's entities become the characters they name, missing namespaces are declared.

    Args:
        document: decoded, not well-formed.

    Returns:
        A document that may be well-formed; it has no DOCTYPE.

    Raises:
        ParseError: there is no feed in it; the message says what there is.
    """
    root = _FEED_TAG.search(document)
    page = _HTML_TAG.search(document)
    if page and (root is None or page.start() < root.start()):
        title = _HTML_TITLE.search(document, page.start(), page.start() + 8_000)
        name = printable(plain_line(title[1])) if title else ""
        raise ParseError(f"an HTML page titled “{name}”, not a feed" if name else "an HTML page, not a feed")
    if root is None:
        raise ParseError(f"not a feed: it begins with “{printable(document[:60].strip())}”")
    end = document.rfind(f"</{root[1]}>")
    document = document[root.start() : end + len(f"</{root[1]}>") if end > 0 else None]
    document = _AMPERSAND.sub(_reference, _NOT_XML.sub("", document))

    used = {of_tag or of_attribute for of_tag, of_attribute in _USED_PREFIX.findall(document)}
    missing = used - set(_DECLARED_PREFIX.findall(document)) - {"xml", "xmlns"}
    declarations = "".join(
        f' xmlns:{prefix}="{_USUAL_PREFIXES.get(prefix, "urn:undeclared:" + prefix)}"'
        for prefix in sorted(missing)[:_MOST_PREFIXES]
    )
    tag = f"<{root[1]}"
    return tag + declarations + document[len(tag) :]


def _reference(found: re.Match[str]) -> str:
    """What XML accepts in the place of an ampersand, or a CDATA section as it is."""
    whole, name = found[0], found[1]
    if whole[0] == "<" or name in _PREDEFINED:
        return whole
    if name is None:
        return "&amp;"
    if name[0] == "#":
        code = int(name[2:-1], 16) if name[1] in "xX" else int(name[1:-1])
        return whole if code < 0x110000 and not _NOT_XML.match(chr(code)) else ""
    return html.escape(html5[name]) if name in html5 else f"&amp;{name}"
