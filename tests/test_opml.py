"""Subscription lists: what real ones look like, and what we write."""

import csv
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from aggregator.errors import ParseError
from aggregator.model import FeedReport, FeedState, Subscription
from aggregator.opml import Outline, parse, render

LISTS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "opml"


def outlines(*lines: str) -> bytes:
    return f"<opml version='2.0'><head/><body>{''.join(lines)}</body></opml>".encode()


FEED = Outline("https://a.example/feed", "A")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(outlines("<outline text='A' xmlUrl='https://a.example/feed'/>"), FEED, id="minimal"),
        pytest.param(outlines("<OUTLINE TEXT='A' xmlURL='https://a.example/feed'/>"), FEED, id="any case"),
        pytest.param(
            outlines("<outline text='B' title='A' xmlUrl='https://a.example/feed'/>"), FEED, id="title first"
        ),
        pytest.param(
            outlines("<outline type='rss' text='A' url='https://a.example/feed'/>"), FEED, id="url of a feed"
        ),
        pytest.param(
            outlines(
                "<outline xmlUrl='https://a.example/?x=1&y=2&copy=3' text='Q&A &eacute; &amp; &#233;'/>"
            ),
            Outline("https://a.example/?x=1&y=2&copy=3", "Q&A é & é"),
            id="stray ampersands and HTML entities",
        ),
        pytest.param(
            outlines("<outline xmlUrl='https://a.example/feed' htmlUrl='https://a.example' language='ES'/>"),
            Outline("https://a.example/feed", None, (), "https://a.example", "es"),
            id="site and language",
        ),
        pytest.param(
            outlines(
                "<outline text='World'><outline text='Caribbean'>",
                "<outline text='A' xmlUrl='https://a.example/feed' category='/News/Daily,Caribbean'/>",
                "</outline></outline>",
            ),
            Outline("https://a.example/feed", "A", ("World", "Caribbean", "News/Daily")),
            id="folders and categories",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='windows-1251'?><opml><body><outline text='Мир' "
            "xmlUrl='https://a.example/feed'/></body></opml>".encode("cp1251"),
            Outline("https://a.example/feed", "Мир"),
            id="windows-1251",
        ),
        pytest.param(
            "<opml><body><outline text='Él' xmlUrl='https://a.example/feed'/></body></opml>".encode("cp1252"),
            Outline("https://a.example/feed", "Él"),
            id="undeclared windows-1252",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='utf-16'?><opml><body><outline text='Él' "
            "xmlUrl='https://a.example/feed'/></body></opml>".encode("utf-16"),
            Outline("https://a.example/feed", "Él"),
            id="UTF-16",
        ),
        pytest.param(
            b"\xef\xbb\xbf\n <?xml version='1.0'?>"
            + outlines("<outline text='A' xmlUrl='https://a.example/feed'/>"),
            FEED,
            id="byte order mark and white space",
        ),
        pytest.param(
            b"<opml><body><outline text='A' xmlUrl='https://a.example/feed'/><outline text='B",
            FEED,
            id="cut off",
        ),
        pytest.param(
            b"<!DOCTYPE opml [<!ENTITY secret SYSTEM 'file:///etc/passwd'>]>"
            + outlines("<outline text='A&secret;' xmlUrl='https://a.example/feed'/>"),
            Outline("https://a.example/feed", "A&secret;"),
            id="external entity",
        ),
    ],
)
def test_one_outline(body: bytes, expected: Outline) -> None:
    assert parse(body) == (expected,)


@pytest.mark.parametrize(
    "address", ["vfolder", "exec:rm -rf ~", "file:///etc/passwd", "javascript:alert(1)", ""]
)
def test_only_http_is_read(address: str) -> None:
    assert parse(outlines(f"<outline text='A' xmlUrl='{address}'/>")) == ()


def test_a_feed_in_two_folders_is_one_feed_with_two_tags() -> None:
    feed = "<outline text='A' xmlUrl='https://a.example/feed'/>"
    body = outlines(f"<outline text='one'>{feed}</outline>", f"<outline text='two'>{feed}</outline>")
    assert parse(body) == (Outline("https://a.example/feed", "A", ("one", "two")),)


def test_the_order_of_the_list_is_kept_over_folders() -> None:
    body = outlines(
        "<outline xmlUrl='https://1.example/'/>",
        "<outline text='folder'><outline xmlUrl='https://2.example/'/></outline>",
        "<outline xmlUrl='https://3.example/'/>",
    )
    assert [outline.url[8] for outline in parse(body)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        pytest.param(b"", "empty", id="empty"),
        pytest.param(b"<rss version='2.0'><channel/></rss>", "an RSS feed", id="RSS"),
        pytest.param(b"<feed xmlns='http://www.w3.org/2005/Atom'/>", "an Atom feed", id="Atom"),
        pytest.param(b"<!doctype html><html><p>404", "an HTML page", id="HTML"),
        pytest.param(b'{"version": "1"}', "something else", id="JSON"),
        pytest.param(b"\x89PNG\r\n\x1a\n\x00\x00", "something else", id="binary"),
    ],
)
def test_what_is_no_list_says_what_it_is(body: bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says):
        parse(body)


@given(st.binary(max_size=300))
def test_any_bytes_are_a_list_or_a_parse_error(body: bytes) -> None:
    for candidate in (body, b"<opml><body><outline xmlUrl='https://a.example/" + body):
        with suppress(ParseError):
            parse(candidate)


def test_deep_nesting_is_bounded() -> None:
    parse(b"<opml>" + b"<outline text='a'>" * 20_000)


def rows() -> list[dict[str, str]]:
    manifest = LISTS / "MANIFEST.tsv"
    if not manifest.exists():
        return []
    return list(csv.DictReader(manifest.read_text(encoding="utf-8").splitlines(), delimiter="\t"))


@pytest.mark.skipif(not rows(), reason="the collection of real lists is not here")
@pytest.mark.parametrize("row", rows(), ids=lambda row: row["file"])
def test_real_lists(row: dict[str, str]) -> None:
    found = parse((LISTS / row["file"]).read_bytes())
    not_feeds = 2 if row["file"].startswith("liferea") else 0  # saved searches, `xmlUrl="vfolder"`
    assert len(found) == int(row["feeds(xmlUrl)"]) - not_feeds
    assert max(len(outline.tags) for outline in found) == int(row["depth"]) - 1


def report(subscription: Subscription, state: FeedState | None = None) -> FeedReport:
    return FeedReport(1, subscription, state or FeedState(subscription.url), 0, 0.0)


def test_a_rendered_list() -> None:
    body = render(
        [
            report(
                Subscription("https://site.example/", tags=("news", "daily")),
                FeedState("https://site.example/feed", "Site & more", "https://site.example/", "es"),
            ),
            report(Subscription("https://user:secret@b.example/feed", name="B\x00", language="id")),
            report(Subscription("https://c.example/feed", tags=("news",))),
        ],
        title="Mine",
    )
    root = etree.fromstring(body)
    assert root.get("version") == "2.0"
    assert root.findtext("head/title") == "Mine"
    assert [(o.get("text"), o.get("xmlUrl")) for o in root.iter("outline")] == [
        ("news", None),
        ("Site & more", "https://site.example/feed"),
        ("https://c.example/feed", "https://c.example/feed"),
        ("B", "https://b.example/feed"),
    ]
    assert b"secret" not in body


names = st.text("abz019éñЖ中🇮", min_size=1, max_size=12)  # nothing that reads as a wrong encoding


@given(
    st.lists(
        st.builds(
            Subscription,
            st.from_regex(r"https://[a-z]{1,8}\.example/[a-z0-9?&=%+]{0,12}", fullmatch=True),
            name=names,
            language=st.sampled_from([None, "es", "id"]),
            tags=st.lists(names, max_size=3, unique=True).map(tuple),
        ),
        max_size=5,
        unique_by=lambda subscription: subscription.url,
    )
)
def test_what_is_rendered_is_read_back(subscriptions: list[Subscription]) -> None:
    found = parse(render([report(subscription) for subscription in subscriptions]))
    expected = {Outline(s.url, s.name, s.tags, None, s.language) for s in subscriptions}
    assert set(found) == expected
