"""Which feeds a page offers, and in which order they are worth trying."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.discover import Candidate, find

PAGE = "https://www.site.example/"


def offered(html: str | bytes, url: str = PAGE, links: tuple[tuple[str, str], ...] = ()) -> list[Candidate]:
    """What the page itself mentions."""
    body = html.encode() if isinstance(html, str) else html
    return [candidate for candidate in find(body, url, links) if not candidate.guess]


def addresses(html: str | bytes, url: str = PAGE) -> list[str]:
    return [candidate.url for candidate in offered(html, url)]


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        pytest.param(
            '<link rel="alternate" type="application/rss+xml" href="/rss">',
            "https://www.site.example/rss",
            id="RSS",
        ),
        pytest.param(
            "<LINK HREF=news TYPE='Application/Atom+XML; charset=utf-8' REL='home ALTERNATE'>",
            "https://www.site.example/news",
            id="any case, order and quoting",
        ),
        pytest.param(
            "<link rel=feed href=/all.json type=application/feed+json>",
            "https://www.site.example/all.json",
            id="rel=feed",
        ),
        pytest.param(
            '<base href="https://cdn.site.example/x/"><link rel="alternate" type="application/rss+xml" href="y">',
            "https://cdn.site.example/x/y",
            id="base",
        ),
        pytest.param(
            '<link rel="alternate" type="application/rss+xml" href=" /a\n/b#top ">',
            "https://www.site.example/a/b",
            id="white space and fragment",
        ),
        pytest.param(
            '<link rel="alternate" type="application/rss+xml" href="/?a=1&amp;format=rss"><p',
            "https://www.site.example/?a=1&format=rss",
            id="cut off",
        ),
        pytest.param(
            '<link rel="alternate" href="/index.xml">', "https://www.site.example/index.xml", id="no type"
        ),
        pytest.param("<a href='/feed/'>Subscribe</a>", "https://www.site.example/feed/", id="anchor"),
        pytest.param(
            "<a href='/x/rss.php'>RSS</a>", "https://www.site.example/x/rss.php", id="anchor to a script"
        ),
        pytest.param(
            "<a href='?format=feed&type=rss'>", "https://www.site.example/?format=feed&type=rss", id="query"
        ),
        pytest.param(
            "<a href='/feeds/posts/default'>Atom</a>",
            "https://www.site.example/feeds/posts/default",
            id="Blogger",
        ),
    ],
)
def test_found(html: str, expected: str) -> None:
    assert addresses(f"<!doctype html><html><head>{html}") == [expected]


@pytest.mark.parametrize(
    "html",
    [
        pytest.param('<link rel="stylesheet" href="/feed.css">', id="style sheet"),
        pytest.param('<link rel="alternate" hreflang="es" href="/es/">', id="translation"),
        pytest.param(
            '<link rel="alternate" type="application/json" href="/wp-json/wp/v2/pages/7">', id="WordPress API"
        ),
        pytest.param(
            '<link rel="alternate" type="text/xml+oembed" href="/oembed?format=xml&url=/feed">', id="oEmbed"
        ),
        pytest.param(
            '<link rel="alternate" type="application/rss+xml" href="javascript:void(0)">', id="script"
        ),
        pytest.param(
            '<link rel="alternate" type="application/rss+xml" href="file:///etc/feed.xml">', id="file"
        ),
        pytest.param('<link rel="alternate" type="application/rss+xml">', id="no address"),
        pytest.param(
            '<!-- <link rel="alternate" type="application/rss+xml" href="/rss"> -->', id="in a comment"
        ),
        pytest.param('<a href="/sitemap.xml">Sitemap</a>', id="sitemap"),
        pytest.param('<a href="http://[::1/rss">RSS</a>', id="broken address"),
        pytest.param('<a href="/feedback">Write to us</a>', id="feedback"),
        pytest.param('<a href="/feed/how-to.html">Help</a>', id="HTML page"),
        pytest.param(
            '<a href="https://reader.example/add?u=https://www.site.example/feed">Follow</a>', id="reader"
        ),
    ],
)
def test_not_a_feed(html: str) -> None:
    assert addresses(html) == []


@pytest.mark.parametrize(
    ("href", "title"),
    [
        ("/comments/feed/", "Site"),
        ("/feeds/comments/default", ""),
        ("/2025/11/post/feed/", "Site » Post Comments Feed"),
        ("/2025/11/post/feed/", "Site » Umpan Komentar"),
        ("/feed/x", "Feed de los comentarios"),
        ("/post/replies.xml", ""),
    ],
)
def test_feeds_of_comments_are_left_out(href: str, title: str) -> None:
    assert addresses(f'<link rel="alternate" type="application/rss+xml" href="{href}" title="{title}">') == []


def test_a_section_whose_name_holds_the_word_comment_is_no_comments_feed() -> None:
    html = (
        '<link rel="alternate" type="application/rss+xml" href="/commentisfree/rss" title="Comment is free">'
    )
    assert addresses(html) == ["https://www.site.example/commentisfree/rss"]


def test_what_is_declared_comes_before_what_is_linked_and_that_before_guesses() -> None:
    html = b"""<html><head><meta name="generator" content="WordPress 6.8">
        <link rel="alternate" type="application/rss+xml" title="Post" href="/2025/11/a-post/feed/">
        <link rel="alternate" type="application/rss+xml" title="Elsewhere" href="https://other.example/main">
        <link rel="alternate" type="application/rss+xml" title="Main" href="/main">
        </head><body><a href="/world/rss">World</a>"""
    found = find(html, PAGE, [("alternate", "/header/atom.xml"), ("hub", "https://hub.example/feed")])
    assert [candidate.url.removeprefix(PAGE) for candidate in found][:7] == [
        "header/atom.xml",
        "main",
        "2025/11/a-post/feed/",
        "https://other.example/main",
        "world/rss",
        "feed/",
        "rss",
    ]
    assert [candidate.guess for candidate in found][:6] == [False] * 5 + [True]


def test_a_title_and_type_are_kept() -> None:
    html = '<link rel="alternate" type="application/rss+xml" title="News &amp;amp; more" href="/rss">'
    [candidate] = offered(html)
    assert (candidate.title, candidate.type) == ("News & more", "application/rss+xml")


def test_the_same_address_comes_once_with_its_best_score() -> None:
    html = '<a href="/feed">RSS</a><link rel="alternate" type="application/rss+xml" href="/feed/">'
    assert addresses(html) == ["https://www.site.example/feed/"]


def test_the_page_itself_is_no_candidate() -> None:
    found = find(b'<a href="#x">RSS</a>', "https://www.site.example/feed/")
    assert "https://www.site.example/feed" not in [candidate.url.rstrip("/") for candidate in found]


@pytest.mark.parametrize(
    ("html", "url", "expected"),
    [
        pytest.param("<meta name=Generator content='WordPress 6.8'>", PAGE, "/feed/", id="WordPress"),
        pytest.param("<img src='/wp-content/x.png'>", PAGE, "/feed/", id="WordPress without generator"),
        pytest.param("<meta name=generator content=blogger>", PAGE, "/feeds/posts/default", id="Blogger"),
        pytest.param("", "https://x.blogspot.com/2025/", "/feeds/posts/default", id="Blogger by host"),
        pytest.param("<meta name=generator content='Ghost 5.9'>", PAGE, "/rss/", id="Ghost"),
        pytest.param("", "https://x.substack.com/p/a", "/feed", id="Substack"),
        pytest.param("", "https://medium.com/@someone/a-post", "/feed/@someone", id="Medium"),
        pytest.param(
            "",
            "https://www.youtube.com/channel/UC0123456789abcdefghijkl",
            "/feeds/videos.xml?channel_id=UC0123456789abcdefghijkl",
            id="YouTube channel",
        ),
        pytest.param(
            '<script>{"externalId":"UC0123456789abcdefghijkl"}</script>',
            "https://www.youtube.com/@someone",
            "/feeds/videos.xml?channel_id=UC0123456789abcdefghijkl",
            id="YouTube handle",
        ),
    ],
)
def test_the_first_guess_is_where_the_sites_program_has_its_feed(html: str, url: str, expected: str) -> None:
    first = find(html.encode(), url)[0]
    assert first.guess
    assert first.url == "/".join(url.split("/")[:3]) + expected


@pytest.mark.parametrize("html", [b"", b"\x00\xff\xfe", b"{}", b"   "], ids=repr)
def test_a_page_that_says_nothing_still_has_the_usual_places(html: bytes) -> None:
    found = find(html, "https://site.example/a/b?c#d")
    assert [candidate.url for candidate in found][:2] == [
        "https://site.example/feed",
        "https://site.example/rss",
    ]
    assert all(candidate.guess for candidate in found)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
def test_encodings(encoding: str) -> None:
    html = '<html><head><meta charset="windows-1252"><title>Él</title>'
    html += '<link rel="alternate" type="application/rss+xml" title="Pasión" href="/rss">'
    [candidate] = offered(html.encode(encoding))
    assert (candidate.url, candidate.title) == ("https://www.site.example/rss", "Pasión")


pieces = st.sampled_from(
    [
        b"<link rel=alternate type=application/rss+xml href=",
        b"<a href=",
        b"<base href=",
        b'"/feed">',
        b"<a href='http://[x/rss'>",
        b"//user:pw@host:99999/atom.xml ",
        b"https://other.example/rss>",
        b"\xff\x00",
        b"</",
    ]
)


@given(
    st.lists(pieces | st.binary(max_size=8), max_size=12).map(b"".join),
    st.sampled_from([PAGE, "http://[::1]:8/a"]),
)
def test_any_page_gives_absolute_addresses_in_falling_order(html: bytes, url: str) -> None:
    found = find(html, url)
    assert found
    assert all(candidate.url.lower().startswith(("http://", "https://")) for candidate in found)
    assert all(one.score >= other.score for one, other in pairwise(found))
    assert len({candidate.url for candidate in found}) == len(found) <= 40
