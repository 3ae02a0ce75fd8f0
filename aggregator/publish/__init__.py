"""Entries become Atom, RSS and JSON Feed documents.

Pure: equal input gives equal bytes, so a document's hash is its ETag and a file on disk changes only
when the news does. Every entry is first made into one `Item`, clean and valid whatever came in; the
three formats then only differ in spelling.

    items         an entry, clean and valid, and why it is here
    channel       a feed, and how its documents hang together
    index         a page that lists the feeds
    documents     both as Atom, RSS and JSON Feed
    rendered      a document in every coding, whole or what is new in it
    selections    the conditions of a feed as parameters of an address
"""

from aggregator.publish.channel import Channel, Format, Link, Place, address
from aggregator.publish.documents import Fragments, render
from aggregator.publish.index import index_page, ours
from aggregator.publish.items import Reason, clean, line, published, reasons, updated, uri, why
from aggregator.publish.rendered import CODINGS, Rendered
from aggregator.publish.selections import (
    CURSOR,
    EVERYTHING,
    PARAMETERS,
    conditions,
    narrowed,
    query_of,
    read_cursor,
    title_of,
)

__all__ = [
    "CODINGS", "CURSOR", "EVERYTHING", "PARAMETERS", "Channel", "Format", "Fragments", "Link", "Place", "Reason", "Rendered",
    "address", "clean", "conditions", "index_page", "line", "narrowed", "ours", "published", "query_of", "read_cursor",
    "reasons", "render", "title_of", "updated", "uri", "why",
]  # fmt: skip
