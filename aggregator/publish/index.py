"""A page that lists the feeds, for a folder of files behind any web server."""

import html
from collections.abc import Sequence

from aggregator.publish.channel import Channel, Format

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>News feeds</title>
{alternates}
</head>
<body>
<main>
<h1>News feeds</h1>
<p>Copy one of these addresses into your feed reader; it will then bring you what is new by itself.
If in doubt, take the first.</p>
{feeds}
</main>
</body>
</html>
"""


def index_page(channels: Sequence[Channel]) -> bytes:
    """The page, with addresses relative to the folder that it stands in."""
    alternates, feeds = [], []
    for channel in channels:
        title, about = html.escape(channel.title), html.escape(channel.description)
        addresses = [(f"{channel.name}.{each}", each) for each in Format]
        alternates += [
            f'<link rel="alternate" type="{each.media_type}" title="{title} ({each.label})" href="{address}">'
            for address, each in addresses
        ]
        links = ", ".join(f'<a href="{address}">{each.label}</a>' for address, each in addresses)
        feeds.append(
            f'<section id="{channel.name}">\n<h2>{title}</h2>\n<p>{about}</p>\n<p>{links}</p>\n</section>'
        )
    return _PAGE.format(alternates="\n".join(alternates), feeds="\n".join(feeds)).encode()
