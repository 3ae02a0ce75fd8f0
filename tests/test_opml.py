"""Subscription lists: what real ones look like, and what we write."""

import csv
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from aggregator import config, opml
from aggregator.errors import ParseError
from aggregator.model import FeedState, Subscription
from aggregator.opml import MOST_TAGS, render
from aggregator.parse.encoding import decoded

LISTS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "opml"


def parse(body: bytes) -> tuple[Subscription, ...]:
    return opml.parse(decoded(body, None))


def feed(
    url: str, name: str | None = None, tags: tuple[str, ...] = (), language: str | None = None
) -> Subscription:
    return Subscription(url, name=name, tags=tags, language=language)


def outlines(*lines: str) -> bytes:
    return f"<opml version='2.0'><head/><body>{''.join(lines)}</body></opml>".encode()


FEED = feed("https://a.example/feed", "A")


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
            feed("https://a.example/?x=1&y=2&copy=3", "Q&A é & é"),
            id="stray ampersands and HTML entities",
        ),
        pytest.param(
            outlines("<outline xmlUrl='https://a.example/feed' htmlUrl='https://a.example' language='ES'/>"),
            feed("https://a.example/feed", language="es"),
            id="language",
        ),
        pytest.param(
            outlines(
                "<outline text='World'><outline text='Caribbean'>",
                "<outline text='A' xmlUrl='https://a.example/feed' category='/News/Daily,Caribbean'/>",
                "</outline></outline>",
            ),
            feed("https://a.example/feed", "A", ("World", "Caribbean", "News/Daily")),
            id="folders and categories",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='windows-1251'?><opml><body><outline text='Мир' "
            "xmlUrl='https://a.example/feed'/></body></opml>".encode("cp1251"),
            feed("https://a.example/feed", "Мир"),
            id="windows-1251",
        ),
        pytest.param(
            "<opml><body><outline text='Él' xmlUrl='https://a.example/feed'/></body></opml>".encode("cp1252"),
            feed("https://a.example/feed", "Él"),
            id="undeclared windows-1252",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='utf-16'?><opml><body><outline text='Él' "
            "xmlUrl='https://a.example/feed'/></body></opml>".encode("utf-16"),
            feed("https://a.example/feed", "Él"),
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
            feed("https://a.example/feed", "A&secret;"),
            id="external entity",
        ),
        pytest.param(
            b"<!DOCTYPE opml [<!ENTITY a '&b;&b;&b;'><!ENTITY b '&c;&c;&c;'><!ENTITY c 'ha'>]>"
            + outlines("<outline text='A&a;' xmlUrl='https://a.example/feed'/>"),
            feed("https://a.example/feed", "A&a;"),
            id="entities within entities",
        ),
        pytest.param(
            outlines("<outline text='A&#0;&#xD800;&#x110000;&#1;' xmlUrl='https://a.example/feed'/>"),
            feed("https://a.example/feed", "A\ufffd\ufffd\ufffd"),
            id="references to characters that there are not",
        ),
        pytest.param(
            outlines("<outline text='A < B <b>C</b>' xmlUrl='https://a.example/feed'/>"),
            feed("https://a.example/feed", "A < B C"),
            id="tags in a value",
        ),
        pytest.param(
            outlines("<outline text=A xmlUrl=https://a.example/feed />"), FEED, id="values without quotes"
        ),
        pytest.param(
            outlines("<outline text='A'xmlUrl='https://a.example/feed'/>"), FEED, id="no space between"
        ),
        pytest.param(
            outlines("<outline text='A xmlUrl='https://a.example/feed'/>"), FEED, id="a quote is missing"
        ),
        pytest.param(
            outlines('<outline xmlUrl="https://a.example/feed" text="A "quoted" B" language="id"/>'),
            feed("https://a.example/feed", "A", (), "id"),
            id="quotes within quotes",
        ),
        pytest.param(
            outlines(
                "<outline text='A' text='B' xmlUrl='https://a.example/feed' xmlUrl='https://b.example/'/>"
            ),
            FEED,
            id="attributes that stand twice",
        ),
        pytest.param(
            outlines(
                "<!-- <outline xmlUrl='https://b.example/'/> --><outline text='A' xmlUrl='https://a.example/feed'/>"
            ),
            FEED,
            id="commented out",
        ),
        pytest.param(
            b"<br />\n<b>Warning</b>: on line 3<br />\n<?xml version='1.0'?>"
            + outlines("<outline text='A' xmlUrl='https://a.example/feed'/>"),
            FEED,
            id="a fault of the server before it",
        ),
        pytest.param(
            "<?xml version='1.0' encoding='utf-16'?><opml><body><outline text='É' "
            "xmlUrl='https://a.example/feed'/></body></opml>".encode(),
            feed("https://a.example/feed", "É"),
            id="UTF-16 in name only",
        ),
        pytest.param(
            outlines("<outline text='A' xmlUrl='feed://a.example/feed' language='unknown'/>"),
            feed("http://a.example/feed", "A"),
            id="feed scheme and no language",
        ),
        pytest.param(
            outlines("<outline text='A' xmlUrl='feed:https://a.example/feed' language='es_VE'/>"),
            feed("https://a.example/feed", "A", (), "es"),
            id="feed before the scheme and a region",
        ),
        pytest.param(
            outlines("<outline text='A' xmlUrl='\n https://a.example/\n  feed '/>"),
            FEED,
            id="wrapped address",
        ),
        pytest.param(
            outlines("<outline text='all' type='include' url='https://a.example/all.opml'/>")
            + outlines("<outline text='more' type='link' url='https://a.example/more.opml'/>")
            + outlines("<outline text='A' xmlUrl='https://a.example/feed'/>"),
            FEED,
            id="lists within the list",
        ),
        pytest.param(
            outlines("</outline></outline><outline text='A' xmlUrl='https://a.example/feed'/>"),
            FEED,
            id="more ends than beginnings",
        ),
    ],
)
def test_one_outline(body: bytes, expected: Subscription) -> None:
    assert parse(body) == (expected,)


@pytest.mark.parametrize(
    "address",
    [
        "vfolder",
        "exec:rm -rf ~",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "",
        "https://",
        "feed:x",
        "https://a.example:99999/",
        "https://a.example:http/",
        "https://[::1/",
        "https://:80/",
    ],
)
def test_only_http_is_read(address: str) -> None:
    assert parse(outlines(f"<outline text='A' xmlUrl='{address}'/>")) == ()


def test_a_feed_in_two_folders_is_one_feed_with_two_tags() -> None:
    tag = "<outline text='A' xmlUrl='https://a.example/feed'/>"
    body = outlines(f"<outline text='one'>{tag}</outline>", f"<outline text='two'>{tag}</outline>")
    assert parse(body) == (feed("https://a.example/feed", "A", ("one", "two")),)


def test_the_order_of_the_list_is_kept_over_folders() -> None:
    body = outlines(
        "<outline xmlUrl='https://1.example/'/>",
        "<outline text='folder'><outline xmlUrl='https://2.example/'/></outline>",
        "<outline xmlUrl='https://3.example/'/>",
    )
    assert [found.url[8] for found in parse(body)] == ["1", "2", "3"]


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


def test_a_list_that_breaks_off_is_refused_where_it_has_to_be_whole() -> None:
    text = "<opml><body><outline xmlUrl='https://a.example/feed'/>"
    assert len(opml.parse(text)) == 1
    assert len(opml.parse(text + "</body></OPML >", whole=True)) == 1
    with pytest.raises(ParseError, match="breaks off"):
        opml.parse(text, whole=True)


FEED_TAG = "<outline text='A' xmlUrl='https://a.example/feed'/>"


@pytest.mark.parametrize(
    ("body", "found"),
    [
        pytest.param("<outline text='a'>" * 50_000 + FEED_TAG, 1, id="deep"),
        pytest.param("<outline text='" + "&" * 1_000_000 + "'/>" + FEED_TAG, 1, id="ampersands"),
        pytest.param("<outline " + "a='1' " * 150_000 + "/>" + FEED_TAG, 1, id="attributes"),
        pytest.param("<outline " + "a" * 1_000_000 + "/>" + FEED_TAG, 1, id="a long name"),
        pytest.param("<outline '" * 100_000 + FEED_TAG, 1, id="open quotes"),
        pytest.param("<outline xmlUrl='" + " " * 1_000_000 + "'/>" + FEED_TAG, 1, id="white space"),
        pytest.param("<!--" * 200_000 + FEED_TAG, 0, id="comments"),
        pytest.param(
            "".join(f"<outline xmlUrl='https://a.example/{n}'/>" for n in range(5_000)), 5_000, id="feeds"
        ),
    ],
)
def test_what_is_big_costs_no_more_than_its_size(body: str, found: int) -> None:
    began = time.process_time()
    assert len(opml.parse(f"<opml><body>{body}</body></opml>")) == found
    assert time.process_time() - began < 3, "quadratic, it would be minutes"


def test_tags_are_bounded() -> None:
    folders = "".join(f"<outline text='{number}'>" for number in range(99))
    categories = ",".join(map(str, range(99)))
    (found,) = parse(outlines(f"{folders}<outline category='{categories}' xmlUrl='https://a.example/'/>"))
    assert found.tags == tuple(map(str, range(MOST_TAGS)))


@given(
    st.text("a.:/@[]?#%0-9é\\ &;", max_size=15),
    st.text(max_size=10),
    st.sampled_from(["", "en", "EN-us", "unknown", "Español", "x", "es_VE", "-"]),
)
def test_what_is_read_can_be_written_to_the_configuration(address: str, text: str, language: str) -> None:
    root = etree.Element("opml")
    clean = "".join(character for character in text if character.isprintable())
    values = {"xmlUrl": f"https://{address}", "text": clean, "category": clean, "language": language}
    etree.SubElement(root, "outline", values)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "feeds.yaml"
        path.write_text("feeds: []\n", encoding="utf-8")
        wishes = parse(etree.tostring(root))
        config.add_feeds(path, wishes)
        assert config.load(path, environ={}).feeds == wishes


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
    assert max(len(each.tags) for each in found) == int(row["depth"]) - 1


def unread(subscription: Subscription) -> tuple[Subscription, FeedState]:
    return subscription, FeedState(subscription.url)


def test_a_rendered_list() -> None:
    body = render(
        [
            (
                Subscription("https://site.example/", tags=("news", "daily")),
                FeedState(
                    "https://site.example/feed",
                    title="Site & more",
                    site_url="https://site.example/",
                    language="es",
                ),
            ),
            unread(Subscription("https://user:secret@b.example/feed", name="B\x00", language="id")),
            unread(Subscription("https://c.example/feed", tags=("news",))),
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
    found = parse(render([unread(subscription) for subscription in subscriptions]))
    expected = set(subscriptions)
    assert set(found) == expected
