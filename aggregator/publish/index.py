"""A folder of files behind any web server: the page that lists the feeds, and how our files are known from others."""

import html
import re
from collections.abc import Sequence

from aggregator.publish.channel import Channel, Format

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="aggregator">
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
# What each kind of our files says of its origin.
_OURS = re.compile(rb'<meta name="generator" content="aggregator"|>aggregator</generator>|"_aggregator": ')


def ours(body: bytes) -> bool:
    """Whether a file was written by this program: a feed in any format, or the page that lists them."""
    return _OURS.search(body) is not None


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
