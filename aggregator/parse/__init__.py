"""Bytes to `ParsedFeed`: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, JSON Feed, whatever the content type says.

    bytes ── encoding ──► text ──┬─ {…} ──────────────────────► json_feed
                                 └─ expat ──► tree ───────────► reader
                                      └ not well-formed: repair, and again
                                            └ beyond repair ──► loose (feedparser)

    encoding     bytes to text
    markup       text to a tree; repair of what is not well-formed
    reader       the tree of an RSS or Atom document to its fields
    json_feed, loose    the same fields from JSON, and from feedparser
    values       what the three readers share

Reading the tree takes a tenth of feedparser's time or less, and repair saves most of the rest, so feedparser sees
only documents that are truly broken. In what a field means we follow feedparser, because publishers test against
what it reads. No DTD is ever processed: the DOCTYPE is cut out, and HTML's named entities come from a table.
"""

from dataclasses import replace
from datetime import tzinfo
from xml.etree.ElementTree import ParseError as NotWellFormed

from aggregator.errors import ParseError
from aggregator.model import ParsedFeed
from aggregator.parse.encoding import decoded
from aggregator.parse.json_feed import read_json
from aggregator.parse.loose import read_loosely
from aggregator.parse.markup import repaired, tree
from aggregator.parse.reader import Reader

LONGEST = 3 << 20
"""Bytes that are read of a document. It may take nine times as much memory: four bytes a character, twice."""

_LONGEST_REPAIR = 1 << 20


def parse(
    body: bytes, *, url: str, content_type: str | None = None, zone: tzinfo | None = None
) -> ParsedFeed:
    """Read a feed document.

    Args:
        body: the document, decompressed.
        url: where it came from; base of everything relative in it.
        content_type: the HTTP header's value; only its charset is believed.
        zone: of dates that name no zone; None: UTC.

    Returns:
        The feed, with at most 10,000 entries, in document order. `flaw` says what had to be overlooked. Of a
        document that is very long, or has very many elements, the entries at its beginning.

    Raises:
        ParseError: for anything that is not a feed; the message says what it seems to be.
    """
    beginning = _beginning(body)
    cut = len(beginning) < len(body)
    document, flaw = decoded(beginning, content_type)
    document = document.lstrip("\ufeff\0 \t\r\n")
    if not document:
        raise ParseError("the document is empty")
    if document[0] in "{[":
        if cut:
            raise ParseError(f"JSON of more than {LONGEST:,} bytes")
        return replace(read_json(document, url, zone), flaw=flaw)
    try:
        return _read(document, url, zone, flaw, cut=cut)
    except NotWellFormed as error:
        flaw = f"not well-formed: {error}"
    cut = cut or len(document) > _LONGEST_REPAIR
    document = repaired(document[:_LONGEST_REPAIR])
    try:
        return _read(document, url, zone, flaw, cut=cut)
    except NotWellFormed as error:
        flaw = f"not well-formed, beyond repair: {error}"
        return replace(read_loosely(document, url, zone), flaw=flaw)


def _read(document: str, url: str, zone: tzinfo | None, flaw: str | None, *, cut: bool) -> ParsedFeed:
    root, cut = tree(document, cut=cut)
    feed = Reader(document, url, zone).feed(root)
    if cut and not feed.entries:
        raise ParseError(
            "a feed too large to be read: its first entry does not end within what is read of it"
        )
    return replace(feed, flaw=flaw or ("too large: only its beginning was read" if cut else None))


def _beginning(body: bytes) -> bytes:
    """As much of a document as is read: up to the end of a tag, which in no encoding divides a character."""
    if len(body) <= LONGEST:
        return body
    return body[: body.rfind(b">", 0, LONGEST) + 1 or LONGEST]
