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

_MOST_TAGS = 1_000_000  # an element takes some 100 bytes of memory


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
        The feed, with at most 10,000 entries, in document order. `flaw` says what had to be overlooked.

    Raises:
        ParseError: for anything that is not a feed; the message says what it seems to be.
    """
    document, flaw = decoded(body, content_type)
    document = document.lstrip("\ufeff\0 \t\r\n")
    if not document:
        raise ParseError("the document is empty")
    if document[0] in "{[":
        return replace(read_json(document, url, zone), flaw=flaw)
    if document.count("<") > _MOST_TAGS:
        raise ParseError(f"the document has more than {_MOST_TAGS:,} tags")
    try:
        return replace(Reader(document, url, zone).feed(tree(document)), flaw=flaw)
    except NotWellFormed as error:
        flaw = f"not well-formed: {error}"
    document = repaired(document)
    try:
        return replace(Reader(document, url, zone).feed(tree(document)), flaw=flaw)
    except NotWellFormed as error:
        flaw = f"not well-formed, beyond repair: {error}"
        return replace(read_loosely(document, url, zone), flaw=flaw)
