"""An HTML page, read for the feeds it offers.

What a page declares comes first (WHATWG HTML §4.6.6.1 "alternate", RFC 8288 for the `Link` header), then what
it links to, then where programs of its kind keep their feeds. Feeds of comments are left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

from aggregator.text import link, plain_line


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address that may be a feed.

    Attributes:
        url: absolute, http or https.
        title: what the page calls it; empty where it does not say.
        type: media type that the page declares; None where it does not.
        score: the higher, the likelier; comparable within one page only.
        guess: the page does not mention it; programs of its kind, or most, have their feed there.
    """

    url: str
    title: str
    type: str | None
    score: int
    guess: bool = False


_HEADER, _DECLARED, _LINKED, _TYPICAL, _USUAL = 100, 90, 60, 40, 20
_LONGEST_PAGE = 256 * 1024
_MOST = 40

_FEED_TYPES = {
    "application/atom+xml": 0,
    "application/rss+xml": 0,
    "application/rdf+xml": -10,  # as often something else than a feed
    "application/feed+json": -1,
    "application/x.atom+xml": 0,
    "application/x-rss+xml": 0,
    "text/rss+xml": 0,
}
_VAGUE_TYPES = {None, "application/json", "application/xml", "text/xml"}
_FEED_PATH = re.compile(
    r"/(feeds?|rss2?|atom|rdf|syndication)(/|$)|[./-](rss2?|atom|rdf|feed)\d*(\.(xml|php|aspx?|json))?/?$|\.xml$"
    r"|/feed\.json$|feeds/posts/default|/feeds/videos\.xml",
    re.IGNORECASE,
)
_FEED_QUERY = re.compile(r"(^|&)(format|alt|feed|type|f)=(feed|rss2?|atom|rdf)(&|$)", re.IGNORECASE)
_NO_FEED = re.compile(
    r"sitemap|/wp-json/|/oembed|opensearch|/xmlrpc|https?://.*https?(://|%3a)|\.(html?|png|jpe?g|gif|svg|pdf|css|js)$",
    re.IGNORECASE,
)
_COMMENTS_PATH = re.compile(
    r"/(comments?|replies)(/|\.|$)|comments-(rss|atom|feed)|[?&]comments=", re.IGNORECASE
)
_COMMENTS_TITLE = re.compile(
    r"\b(comments|komentar|comentarios|comentários|commentaires|kommentare)\b", re.IGNORECASE
)
_ARTICLE = re.compile(r"/\d{4}/\d\d?/|/[^/]+(-[^/-]+){3,}/|\?(.*&)?p=\d")

_USUAL_PATHS = (
    "/feed",
    "/rss",
    "/rss.xml",
    "/atom.xml",
    "/feed.xml",
    "/index.xml",
    "/feeds/posts/default",
    "/feed.json",
)
_PROGRAMS = (
    # How a page shows what made it: start of its `generator`, end of its host, a part of its source;
    # and where such programs have the main feed.
    ("wordpress", ".wordpress.com", b"/wp-content/", "/feed/"),
    ("blogger", ".blogspot.com", b"blogger.googleusercontent.com", "/feeds/posts/default"),
    ("ghost", ".ghost.io", None, "/rss/"),
    (None, ".substack.com", b"substackcdn.com", "/feed"),
    ("hugo", None, None, "/index.xml"),
    ("jekyll", None, None, "/feed.xml"),
    ("drupal", None, None, "/rss.xml"),
    ("joomla", None, None, "/?format=feed&type=rss"),
    ("wix.com", ".wixsite.com", None, "/blog-feed.xml"),
    (None, ".tumblr.com", None, "/rss"),
)
_CHANNEL = re.compile(rb"youtube\.com/channel/(UC[\w-]{22})|\"(?:channelId|externalId)\":\"(UC[\w-]{22})\"")


def find(html: bytes, url: str, links: Sequence[tuple[str, str]] = ()) -> tuple[Candidate, ...]:
    """The feeds of a page, the likeliest first.

    Args:
        html: the page as it was received; may be cut off, empty or no HTML at all.
        url: its absolute address.
        links: relation and target of each link in the HTTP `Link` header.

    Returns:
        At most forty candidates, each address once. The usual places are always among them, marked as guesses.
    """
    best: dict[str, Candidate] = {}
    for candidate in _candidates(html[:_LONGEST_PAGE], url, links):
        key = candidate.url.rstrip("/")
        if key not in best or candidate.score > best[key].score:
            best[key] = candidate
    own = url.partition("#")[0].rstrip("/")
    best.pop(own, None)
    return tuple(sorted(best.values(), key=lambda candidate: -candidate.score)[:_MOST])


def _candidates(html: bytes, url: str, links: Sequence[tuple[str, str]]) -> Iterator[Candidate]:
    """Every candidate with its score, in no order; one address may come more than once."""
    for relation, target in links:
        if relation.lower() == "alternate" and (found := _candidate(target, url, url, "", None, _HEADER)):
            yield found
    root = _tree(html)
    base, generator = url, ""
    if root is not None:
        for element in root.iter("base"):
            base = link(element.get("href") or "", url) or url
            break
        for element in root.iter("meta"):
            if (element.get("name") or "").lower() == "generator":
                generator = element.get("content") or ""
                break
        for element in root.iter("link", "a"):
            yield from _from_element(element, base, url)
    yield from _guesses(html, url, generator)


def _tree(html: bytes) -> Any:
    """The page's elements, or None where there are none."""
    from lxml import etree

    try:
        html.decode()
        encoding = "utf-8"
    except UnicodeDecodeError:
        encoding = None  # as the page declares; addresses are ASCII in any case
    parser = etree.HTMLParser(recover=True, no_network=True, encoding=encoding, remove_comments=True)
    try:
        return etree.fromstring(html, parser)
    except etree.LxmlError:
        return None


def _from_element(element: Any, base: str, url: str) -> Iterator[Candidate]:
    href = element.get("href")
    if not href:
        return
    media = (element.get("type") or "").partition(";")[0].strip().lower() or None
    relations = (element.get("rel") or "").lower().split()
    title = plain_line(element.get("title") or "")
    if element.tag == "link":
        if "feed" not in relations and ("alternate" not in relations or "stylesheet" in relations):
            return
        if media in _FEED_TYPES or "feed" in relations:
            found = _candidate(
                href, base, url, title, media, _DECLARED + _FEED_TYPES.get(media or "", 0), True
            )
        elif media in _VAGUE_TYPES:
            found = _candidate(href, base, url, title, media, _DECLARED - 5)
        else:
            found = None
    else:
        title = title or plain_line("".join(element.itertext()))
        found = _candidate(href, base, url, title, media, _LINKED, media in _FEED_TYPES)
    if found:
        yield found


def _candidate(
    href: str, base: str, page: str, title: str, media: str | None, score: int, declared: bool = False
) -> Candidate | None:
    """What is known of an address, or None for one that is no feed or a feed of comments.

    What the page has `declared` to be a feed need not look like one.
    """
    url = link(href, base)
    if url is None:
        return None
    url = url.partition("#")[0]
    try:
        parts = urlsplit(url)
    except ValueError:  # such as an unclosed [IPv6 address
        return None
    looks = bool(_FEED_PATH.search(parts.path) or _FEED_QUERY.search(parts.query))
    if not declared and (not looks or _NO_FEED.search(url)):
        return None
    if _COMMENTS_PATH.search(url) or _COMMENTS_TITLE.search(title):
        return None
    if not _related(parts.hostname or "", urlsplit(page).hostname or ""):
        score -= 25
    if _ARTICLE.search(url):
        score -= 25
    if not declared and parts.path.endswith(".xml"):
        score -= 5  # other things are .xml too
    return Candidate(url, title, media, score)


def _related(one: str, other: str) -> bool:
    """Whether two hosts are the same, or one lies within the other's domain."""
    one, other = one.removeprefix("www."), other.removeprefix("www.")
    return one == other or one.endswith("." + other) or other.endswith("." + one)


def _guesses(html: bytes, url: str, generator: str) -> Iterator[Candidate]:
    """Where programs of the page's kind keep their feed, and where most sites do."""
    parts = urlsplit(url)
    host, path = parts.hostname or "", parts.path
    places = [
        place
        for maker, domain, source, place in _PROGRAMS
        if (maker and generator.lower().startswith(maker))
        or (domain and host.endswith(domain))
        or (source and source in html)
    ]
    if host.removeprefix("www.") == "medium.com":
        places.append("/feed/" + path.strip("/").partition("/")[0])
    if _related(host, "youtube.com") and (channel := _CHANNEL.search(url.encode()) or _CHANNEL.search(html)):
        places.append(f"/feeds/videos.xml?channel_id={(channel[1] or channel[2]).decode()}")
    for score, found in ((_TYPICAL, places), (_USUAL, _USUAL_PATHS)):
        for rank, place in enumerate(found):
            if guess := link(urljoin(url, place), None):
                yield Candidate(guess, "", None, score - rank, guess=True)
