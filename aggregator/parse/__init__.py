"""Bytes to `ParsedFeed`: RSS 0.9x, 1.0 and 2.0, Atom 0.3 and 1.0, JSON Feed, news sitemaps, whatever the type says.

    bytes ── encoding ──► text ──┬─ {…} ──────────────────────► json_feed
                                 └─ expat ──► tree ───────────► reader
                                      └ not well-formed: repair, and again
                                            └ beyond repair ──► loose (feedparser)

    encoding     bytes to text
    markup       text to a tree; repair of what is not well-formed
    reader       the tree of an RSS or Atom document, or a sitemap of news, to its fields
    json_feed, loose    the same fields from JSON, and from feedparser
    values       what the three readers share

Reading the tree takes a tenth of feedparser's time or less, and repair saves most of the rest, so feedparser sees
only documents that are truly broken. In what a field means we follow feedparser, because publishers test against
what it reads. No DTD is ever processed: the DOCTYPE is cut out, and HTML's named entities come from a table.
"""

import logging
from dataclasses import replace
from xml.etree.ElementTree import ParseError as NotWellFormed

from aggregator.errors import ParseError
from aggregator.model import ParsedFeed
from aggregator.parse.encoding import decoded
from aggregator.parse.json_feed import read_json
from aggregator.parse.loose import read_loosely
from aggregator.parse.markup import repaired, tree
from aggregator.parse.reader import Reader
from aggregator.text import masked

log = logging.getLogger(__name__)

LONGEST = 3 << 20
"""Bytes that are read of a document. It may take nine times as much memory: four bytes a character, twice."""

_LONGEST_REPAIR = 1 << 20


def parse(body: bytes, *, url: str, content_type: str | None = None) -> ParsedFeed:
    """Read a feed document.

    Args:
        body: the document, decompressed.
        url: where it came from; base of everything relative in it.
        content_type: the HTTP header's value; only its charset is believed.

    Returns:
        The feed, with at most 10,000 entries, in document order. Of a document that is very long, or has very many
        elements, the entries at its beginning.

    Raises:
        ParseError: for anything that is not a feed; the message says what it seems to be.
    """
    beginning = _beginning(body)
    cut = len(beginning) < len(body)
    document = decoded(beginning, content_type).lstrip("\ufeff\0 \t\r\n")
    if not document:
        raise ParseError("the document is empty")
    if document[0] in "{[":
        if cut:
            raise ParseError(f"JSON of more than {LONGEST:,} bytes")
        return read_json(document, url)
    try:
        return _read(document, url, cut=cut)
    except NotWellFormed as error:
        log.debug("%s is not well-formed: %s", masked(url), error)
    cut = cut or len(document) > _LONGEST_REPAIR
    document = repaired(document[:_LONGEST_REPAIR])
    try:
        return _read(document, url, cut=cut)
    except NotWellFormed as error:
        log.debug("%s is beyond repair: %s", masked(url), error)
        return read_loosely(document, url)


def _read(document: str, url: str, *, cut: bool) -> ParsedFeed:
    root, cut = tree(document, cut=cut)
    feed = Reader(document, url).feed(root)
    if not cut:
        return feed
    if not feed.entries:
        raise ParseError(
            "a feed too large to be read: its first entry does not end within what is read of it"
        )
    log.debug("%s is too large: only its beginning is read", masked(url))
    return replace(feed, complete=False)


def _beginning(body: bytes) -> bytes:
    """As much of a document as is read: up to the end of a tag, which in no encoding divides a character."""
    if len(body) <= LONGEST:
        return body
    return body[: body.rfind(b">", 0, LONGEST) + 1 or LONGEST]
