"""What subscribers receive: complete, true to the source, and valid whatever came in."""

import gzip
import json
import re
from calendar import timegm
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import brotli
import feedparser
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from aggregator.model import Attribution, Category, Copy, Enclosure, Match, OutputFeed, StoredEntry, Tag
from aggregator.publish import (
    CODINGS,
    EVERYTHING,
    PARAMETERS,
    Channel,
    Format,
    Fragments,
    Place,
    Rendered,
    narrowed,
    published,
    query_of,
    reasons,
    render,
    title_of,
    updated,
    uri,
    why,
)

SCHEMAS = Path(__file__).resolve().parents[2] / "shared" / "schemas"
NOON = datetime(2025, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
ATOM = "{http://www.w3.org/2005/Atom}"
DC = "{http://purl.org/dc/elements/1.1/}"
CONTENT = "{http://purl.org/rss/1.0/modules/content/}encoded"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

CHANNEL = Channel(
    name="caribbean-tension",
    title="Caribbean tension",
    description="News of the tension in the Caribbean.",
    home_url="http://news.example/",
    authority="news.example",
    created_at=NOON - 30 * 24 * HOUR,
    version="0.1.0",
    topics={"caribbean-tension": "Caribbean tension"},
)

PLAIN = StoredEntry(
    id=1,
    uid="00c0ffee",
    feed_id=7,
    feed_title="Warta Pagi",
    feed_url="https://warta.example/feed",
    feed_site_url="https://warta.example/",
    article_id=1,
    guid="g1",
    url="https://warta.example/kapal-perang",
    title="Kapal perang AS mendekati Venezuela",
    author="Budi",
    summary="<p>Ringkasan.</p>",
    content="<p>Tiga kapal perang AS berlayar.</p>",
    text="Tiga kapal perang AS berlayar.",
    language="id",
    published_at=NOON - 3 * HOUR,
    updated_at=None,
    first_seen_at=NOON,
    changed_at=NOON,
    revision=1,
)
FULL = replace(
    PLAIN,
    categories=(Category("Dunia"), Category("nato", "https://warta.example/tags", "NATO")),
    enclosures=(
        Enclosure("https://warta.example/a.jpg", "image/jpeg", 2048),
        Enclosure("https://warta.example/b.mp3"),
    ),
    tags=(Tag("caribbean-tension", None, 3.0), Tag("caribbean-tension", "military-build-up", 2.0)),
    matches=(
        Match("caribbean-tension", "r1", "kapal perang AS", "title", 0, 15),
        Match("caribbean-tension", "r1", "kapal perang AS", "text", 5, 20),
        Match("caribbean-tension", "r2", "ber(layar)", "text", 21, 29),
        Match("caribbean-tension", "r2", "Venezuela", "categories", 0, 9),
    ),
    attributions=(Attribution("Kabar Sore", "https://kabar.example/asal?a=1&b=2"),),
    copies=(Copy(2, "Lain", "https://lain.example/salinan"),),
)


def atom(*entries: StoredEntry) -> etree._Element:
    return etree.fromstring(render(CHANNEL, entries, Format.ATOM).body)


def rss(*entries: StoredEntry) -> etree._Element:
    channel = etree.fromstring(render(CHANNEL, entries, Format.RSS).body).find("channel")
    assert channel is not None
    return channel


def feed_json(*entries: StoredEntry) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(render(CHANNEL, entries, Format.JSON).body)
    return document


def attributes(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}


def links(parent: etree._Element) -> list[tuple[str | None, str | None]]:
    return [(link.get("rel"), link.get("href")) for link in parent.findall(f"{ATOM}link")]


# ------------------------------------------------------------------------------- what each format says


def test_an_atom_feed_says_who_it_is_and_where() -> None:
    feed = atom(FULL)
    assert feed.findtext(f"{ATOM}id") == "tag:news.example,2026:feed/caribbean-tension"
    assert feed.findtext(f"{ATOM}title") == "Caribbean tension"
    assert feed.findtext(f"{ATOM}updated") == "2025-11-20T12:00:00+00:00"
    assert links(feed) == [
        ("self", "http://news.example/feeds/caribbean-tension.atom"),
        ("alternate", "http://news.example/feeds/caribbean-tension"),
    ]


@pytest.mark.parametrize("form", Format)
def test_the_other_formats_are_named_in_the_header_alone(form: Format) -> None:
    """Of several alternates newsboat and Liferea take the last for the address of the site."""
    document = render(CHANNEL, [FULL], form)
    for other in set(Format) - {form}:
        assert f'<{CHANNEL.url(other)}>; rel="alternate"; type="{other.media_type}"' in document.link
        assert CHANNEL.url(other).encode() not in document.body


def test_an_atom_entry_carries_all_that_is_known() -> None:
    entry = atom(FULL).find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}id") == "tag:news.example,2026:entry/00c0ffee"
    assert entry.get(LANG) == "id"
    assert entry.findtext(f"{ATOM}title") == FULL.title
    assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Budi"
    assert entry.findtext(f"{ATOM}published") == "2025-11-20T09:00:00+00:00"
    assert entry.findtext(f"{ATOM}summary") == "<p>Ringkasan.</p>"
    assert links(entry) == [
        ("alternate", "https://warta.example/kapal-perang"),
        ("via", "https://lain.example/salinan"),
        ("enclosure", "https://warta.example/a.jpg"),
        ("enclosure", "https://warta.example/b.mp3"),
    ]
    assert [attributes(category) for category in entry.findall(f"{ATOM}category")] == [
        {
            "term": "caribbean-tension",
            "scheme": "tag:news.example,2026:topics",
            "label": "Caribbean tension",
        },
        {
            "term": "military-build-up",
            "scheme": "tag:news.example,2026:topics/caribbean-tension",
            "label": "Caribbean tension: military build up",
        },
        {"term": "Dunia"},
        {"term": "nato", "scheme": "https://warta.example/tags", "label": "NATO"},
    ]


def test_an_atom_entry_names_the_feed_it_came_from() -> None:
    source = atom(FULL).find(f"{ATOM}entry/{ATOM}source")
    assert source is not None
    assert source.findtext(f"{ATOM}id") == "https://warta.example/feed"
    assert source.findtext(f"{ATOM}title") == "Warta Pagi"
    assert links(source) == [("self", "https://warta.example/feed"), ("alternate", "https://warta.example/")]


def test_the_content_ends_with_the_evidence_and_the_credit() -> None:
    content = atom(FULL).findtext(f"{ATOM}entry/{ATOM}content") or ""
    assert content == (
        "<p>Tiga kapal perang AS berlayar.</p>"
        '<p lang="en"><small>Caribbean tension: “Kapal perang AS” in the title, “berlayar” in the text, '
        "“Venezuela” in the categories</small></p>"
        '<p lang="en"><small>Also at <a href="https://lain.example/salinan" '
        'rel="noopener noreferrer nofollow">Lain</a></small></p>'
        '<p lang="en"><small>Says its source is <a href="https://kabar.example/asal?a=1&amp;b=2" '
        'rel="noopener noreferrer nofollow">Kabar Sore</a></small></p>'
    )


def test_the_content_says_that_its_publisher_took_it_back() -> None:
    content = atom(replace(FULL, withdrawn_at=NOON)).findtext(f"{ATOM}entry/{ATOM}content") or ""
    kept = atom(FULL).findtext(f"{ATOM}entry/{ATOM}content") or ""
    said = (
        f'<p lang="en"><small>Its publisher took it back on {NOON:%Y-%m-%d} at {NOON:%H:%M} UTC</small></p>'
    )
    assert said in content
    assert content.replace(said, "") == kept, "it stays, with all that it says"


def told(**changes: Any) -> str:
    """The last line of an entry that others carry, too."""
    content = atom(replace(PLAIN, **changes)).findtext(f"{ATOM}entry/{ATOM}content") or ""
    return re.sub("<[^>]*>", "", content.rpartition("<small>")[2])


HERE = PLAIN.published_at or NOON
EARLIER, LATER = HERE - HOUR, HERE + HOUR


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        pytest.param([("A", EARLIER), ("B", LATER)], "Also at A (first), B", id="another was first"),
        pytest.param([("A", LATER), ("B", LATER)], "First here; also at A, B", id="this one was"),
        pytest.param([("A", HERE), ("B", LATER)], "Also at A, B", id="two at once"),
        pytest.param([("A", EARLIER), ("B", None)], "Also at A, B", id="a date is missing"),
        pytest.param([("A", EARLIER), ("A", LATER)], "Also at A (first)", id="an outlet is named once"),
        pytest.param(
            [("Warta Pagi", LATER)], "Tiga kapal perang AS berlayar.", id="its own copy is no other's"
        ),
        pytest.param(
            [(letter, LATER) for letter in "ABCDEFGH"],
            "First here; also at A, B, C, D, E, F, 2 more",
            id="too many to name",
        ),
        pytest.param([("<b>A</b>", EARLIER)], "Also at A (first)", id="names are text"),
    ],
)
def test_who_else_carries_it(copies: list[tuple[str, datetime | None]], expected: str) -> None:
    assert told(copies=tuple(Copy(2, name, None, at) for name, at in copies)) == expected


def test_an_article_keeps_its_id_whatever_is_merged_into_it() -> None:
    merged = replace(PLAIN, article_uid="arti")
    assert feed_json(merged)["items"][0]["id"] == "tag:news.example,2026:entry/arti"
    every = replace(CHANNEL, copies=True)
    assert json.loads(render(every, [merged], Format.JSON).body)["items"][0]["id"].endswith(PLAIN.uid)


def test_countries_are_categories() -> None:
    (category,) = atom(replace(PLAIN, countries=("VE",))).findall(f"{ATOM}entry/{ATOM}category")
    assert attributes(category) == {"term": "VE", "scheme": "tag:news.example,2026:countries"}


def test_a_document_names_its_hubs_and_its_picture() -> None:
    channel = replace(CHANNEL, hubs=("https://hub.example/",), icon_url="http://news.example/icon.svg")
    feed = etree.fromstring(render(channel, [], Format.ATOM).body)
    assert ("hub", "https://hub.example/") in links(feed)
    assert feed.findtext(f"{ATOM}icon") == "http://news.example/icon.svg"
    found = etree.fromstring(render(channel, [], Format.RSS).body).find("channel")
    assert found is not None
    assert ("hub", "https://hub.example/") in links(found)
    told = json.loads(render(channel, [], Format.JSON).body)
    assert told["hubs"] == [{"type": "WebSub", "url": "https://hub.example/"}]
    assert told["icon"] == "http://news.example/icon.svg"
    later = render(channel, [], Format.ATOM, place=Place("20251120T120000Z-3"))
    assert b'rel="hub"' not in later.body, "nobody subscribes to a page of the past"


def test_each_question_has_an_id_of_its_own_that_is_a_plain_uri() -> None:
    channels = [
        replace(CHANNEL, name=name, query=query)
        for name in ("all", "")
        for query in ("", "search=a+%26", "tag=a")
    ]
    ids = [channel.feed_id for channel in channels]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(r"tag:news\.example,2026:[a-z]+(/[a-z0-9]+)?", one) for one in ids)


def test_a_feed_of_one_language_says_which() -> None:
    channel = replace(CHANNEL, language="es")
    assert etree.fromstring(render(channel, [], Format.ATOM).body).get(LANG) == "es"
    assert etree.fromstring(render(channel, [], Format.RSS).body).findtext("channel/language") == "es"
    assert json.loads(render(channel, [], Format.JSON).body)["language"] == "es"


def test_accents_that_were_encoded_twice_are_mended() -> None:
    assert feed_json(replace(PLAIN, title="EspaÃ±a, 20Â°C, MÃ¡s"))["items"][0]["title"] == "España, 20°C, Más"
    assert feed_json(replace(PLAIN, title="Ângela Ã deriva"))["items"][0]["title"] == "Ângela Ã deriva"


def test_rss_says_the_same() -> None:
    channel = rss(FULL)
    assert channel.findtext("link") == "http://news.example/feeds/caribbean-tension"
    assert channel.findtext("lastBuildDate") == "Thu, 20 Nov 2025 12:00:00 +0000"
    assert links(channel) == [("self", "http://news.example/feeds/caribbean-tension.rss")]
    item, entry = channel.find("item"), atom(FULL).find(f"{ATOM}entry")
    assert item is not None
    assert entry is not None
    guid = item.find("guid")
    assert guid is not None
    assert (guid.text, guid.get("isPermaLink")) == ("tag:news.example,2026:entry/00c0ffee", "false")
    assert item.findtext("title") == FULL.title
    assert item.findtext("link") == FULL.url
    assert item.findtext("description") == FULL.summary
    assert item.findtext(CONTENT) == entry.findtext(f"{ATOM}content")
    assert item.findtext("pubDate") == "Thu, 20 Nov 2025 09:00:00 +0000"
    assert item.findtext(f"{ATOM}updated") == entry.findtext(f"{ATOM}updated")
    assert item.findtext(f"{DC}creator") == "Budi"
    assert item.findtext(f"{DC}language") == "id"
    assert item.find("author") is None  # RSS wants a mail address there
    assert links(item) == [
        ("via", "https://lain.example/salinan"),
        ("enclosure", "https://warta.example/b.mp3"),
    ]
    assert [(c.get("domain"), c.text) for c in item.findall("category")] == [
        (c.get("scheme"), c.get("label") or c.get("term")) for c in entry.findall(f"{ATOM}category")
    ]
    source, enclosure = item.find("source"), item.find("enclosure")
    assert source is not None
    assert (source.get("url"), source.text) == ("https://warta.example/feed", "Warta Pagi")
    assert enclosure is not None
    assert attributes(enclosure) == {
        "url": "https://warta.example/a.jpg",
        "length": "2048",
        "type": "image/jpeg",
    }


def test_json_feed_says_the_same() -> None:
    feed, entry = feed_json(FULL), atom(FULL).find(f"{ATOM}entry")
    assert entry is not None
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == "http://news.example/feeds/caribbean-tension.json"
    (item,) = feed["items"]
    assert item == {
        "id": "tag:news.example,2026:entry/00c0ffee",
        "url": FULL.url,
        "title": FULL.title,
        "summary": "Ringkasan.",
        "content_html": entry.findtext(f"{ATOM}content"),
        "date_published": entry.findtext(f"{ATOM}published"),
        "date_modified": entry.findtext(f"{ATOM}updated"),
        "authors": [{"name": "Budi"}],
        "language": "id",
        "tags": ["Caribbean tension", "Caribbean tension: military build up", "Dunia", "NATO"],
        "attachments": [
            {"url": "https://warta.example/a.jpg", "mime_type": "image/jpeg", "size_in_bytes": 2048},
            {"url": "https://warta.example/b.mp3", "mime_type": "audio/mpeg"},
        ],
        "_aggregator": {
            "source": {
                "title": "Warta Pagi",
                "feed_url": "https://warta.example/feed",
                "home_page_url": "https://warta.example/",
            },
            "via": ["https://lain.example/salinan"],
            "categories": [
                {
                    "term": "caribbean-tension",
                    "scheme": "tag:news.example,2026:topics",
                    "label": "Caribbean tension",
                },
                {
                    "term": "military-build-up",
                    "scheme": "tag:news.example,2026:topics/caribbean-tension",
                    "label": "Caribbean tension: military build up",
                },
                {"term": "Dunia"},
                {"term": "nato", "scheme": "https://warta.example/tags", "label": "NATO"},
            ],
        },
    }


# ------------------------------------------------------------------------------------------------ dates


@pytest.mark.parametrize(
    ("changes", "expected_published", "expected_updated"),
    [
        pytest.param({}, -3, -3, id="published only: both"),
        pytest.param({"published_at": None}, None, 0, id="no date: when first seen"),
        pytest.param({"significant_at": NOON + HOUR}, -3, 1, id="it says something else since"),
        pytest.param(
            {
                "significant_at": NOON - HOUR,
                "updated_at": NOON + HOUR,
                "changed_at": NOON + HOUR,
                "revision": 2,
            },
            -3,
            -1,
            id="a comma was added, and dated",
        ),
        pytest.param({"published_at": NOON + 9 * HOUR}, 0, 0, id="from the future: when first seen"),
        pytest.param({"published_at": datetime(1970, 1, 1, tzinfo=UTC)}, None, 0, id="the epoch is no date"),
        pytest.param({"published_at": datetime(1, 1, 1, tzinfo=UTC)}, None, 0, id="nor is the year 1"),
    ],
)
def test_dates(changes: dict[str, Any], expected_published: int | None, expected_updated: int) -> None:
    entry = replace(PLAIN, **changes)
    assert published(entry) == (None if expected_published is None else NOON + expected_published * HOUR)
    assert updated(entry) == NOON + expected_updated * HOUR


def test_entries_of_one_minute_are_told_apart_by_their_updated_stamps() -> None:
    entries = [replace(PLAIN, id=i, uid=f"uid{i}") for i in range(50)]
    stamps = [entry.findtext(f"{ATOM}updated") or "" for entry in atom(*entries).findall(f"{ATOM}entry")]
    assert len(set(stamps)) == 50
    assert {stamp[:19] for stamp in stamps} == {"2025-11-20T09:00:00"}
    alone = atom(entries[7]).findtext(f"{ATOM}entry/{ATOM}updated")
    assert alone == stamps[7], "an entry's stamp does not depend on its neighbours"


def test_an_entry_without_a_date_has_no_date_of_publication() -> None:
    entry = replace(PLAIN, published_at=None)
    assert atom(entry).find(f"{ATOM}entry/{ATOM}published") is None
    assert rss(entry).find("item/pubDate") is None
    assert "date_published" not in feed_json(entry)["items"][0]


# ------------------------------------------------------------------------------------------- validators


def test_equal_input_gives_equal_bytes() -> None:
    for form in Format:
        assert render(CHANNEL, [FULL], form).body == render(CHANNEL, [FULL], form).body


def test_an_empty_feed_is_stamped_with_its_beginning() -> None:
    for form in Format:
        assert render(CHANNEL, [], form).last_modified == CHANNEL.created_at
    assert atom().findtext(f"{ATOM}updated") == "2025-10-21T12:00:00+00:00"


def test_last_modified_is_the_newest_sight_of_a_revision() -> None:
    entries = [PLAIN, replace(PLAIN, uid="2", changed_at=NOON + HOUR), replace(PLAIN, uid="3")]
    assert render(CHANNEL, entries, Format.ATOM).last_modified == NOON + HOUR


def test_any_change_changes_the_etag_and_each_coding_has_its_own() -> None:
    etags = set()
    for entries in ([], [PLAIN], [FULL]):
        for form in Format:
            document = render(CHANNEL, entries, form)
            etags |= {document.tag(coding) for coding in (None, *CODINGS)}
            assert gzip.decompress(document.coded("gzip")) == document.body
            assert brotli.decompress(document.coded("br")) == document.body
            assert zstandard.decompress(document.coded("zstd")) == document.body
            assert document.coded("gzip")[4:8] == bytes(4), "no time of compression: equal input, equal bytes"
    assert len(etags) == 3 * 3 * 4
    assert all(re.fullmatch(r'"[\x21\x23-\x7e]+"', etag) for etag in etags)


@pytest.mark.parametrize(
    ("form", "media_type"),
    [
        (Format.ATOM, "application/atom+xml; charset=utf-8"),
        (Format.RSS, "application/rss+xml; charset=utf-8"),
        (Format.JSON, "application/feed+json; charset=utf-8"),
    ],
)
def test_media_types(form: Format, media_type: str) -> None:
    assert render(CHANNEL, [], form).media_type == media_type


# ------------------------------------------------------------------------------------ whatever came in


@pytest.mark.parametrize(
    ("given_url", "expected"),
    [
        pytest.param("https://a.example/b?c=d#e", "https://a.example/b?c=d#e", id="good as it is"),
        pytest.param("http://a.example", "http://a.example/", id="a path"),
        pytest.param("HTTP://A.Example:80/B", "http://a.example/B", id="case and default port"),
        pytest.param("https://a.example:8443/", "https://a.example:8443/", id="another port"),
        pytest.param("https://a.example/berita baru", "https://a.example/berita%20baru", id="a space"),
        pytest.param("https://a.example/é", "https://a.example/%C3%A9", id="an IRI"),
        pytest.param("https://bücher.example/", "https://xn--bcher-kva.example/", id="an international name"),
        pytest.param("https://a.example/%e2%82%7e", "https://a.example/%E2%82~", id="escapes are normalised"),
        pytest.param("https://a.example/100%", "https://a.example/100%25", id="a bare per cent sign"),
        pytest.param(
            "https://a.example/[x]|{y}", "https://a.example/%5Bx%5D%7C%7By%7D", id="what a path may not hold"
        ),
        pytest.param("https://a.example/\x00b\n", "https://a.example/b", id="controls"),
        pytest.param(
            "https://user:secret@a.example/", "https://a.example/", id="credentials are never published"
        ),
        pytest.param("http://[::1]:8000/x", "http://[::1]:8000/x", id="an IPv6 address"),
        pytest.param("http://[::1", None, id="a broken one"),
        pytest.param("http://a.example:port/", None, id="a port that is none"),
        pytest.param("http://", None, id="no host"),
        pytest.param('http://a"b<c>.example/', None, id="a host that cannot be"),
        pytest.param("/relative", None, id="relative"),
        pytest.param("javascript:alert(1)", None, id="a script"),
        pytest.param("data:text/html,x", None, id="data"),
        pytest.param("https://a.example/" + "x" * 5000, None, id="too long"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="none"),
    ],
)
def test_uri(given_url: str | None, expected: str | None) -> None:
    assert uri(given_url) == expected


def test_a_hostile_entry_stays_text_and_valid() -> None:
    entry = replace(
        FULL,
        uid='"><x>&\ud800',
        title="\x00\u202eevil</title><script>alert(1)</script>&copy; \ud800\ufffe" + "x" * 1_000_000,
        author="Eve <eve@evil.example> <script>",
        url="javascript:alert(1)",
        feed_title="\x1b]0;x\x07",
        feed_url="not a url",
        language="xx-klingon-very-long",
        categories=(Category("</category>"), Category("a", "javascript:x"), Category("a"), Category("\x00")),
        enclosures=(Enclosure("file:///etc/passwd"), Enclosure("https://a.example/x", "no type", -1)),
        copies=tuple(
            Copy(2, "x", url) for url in ("data:,x", "https://lain.example/", "https://lain.example")
        ),
        attributions=(Attribution('<img src="x" onerror="y">'), Attribution("A&B", "javascript:1")),
        matches=(Match("caribbean-tension", "r", "<b>]]>&", "text", 900, 950),),
    )
    feed = atom(entry)
    found = feed.find(f"{ATOM}entry")
    assert found is not None
    title = found.find(f"{ATOM}title")
    assert title is not None
    assert title.get("type") == "html"
    assert unescape(title.text or "").startswith("evil</title><script>alert(1)</script>&copy; x")
    assert len(unescape(title.text or "")) == 1000
    assert found.findtext(f"{ATOM}author/{ATOM}name") == "Eve"
    assert links(found) == [("via", "https://lain.example/"), ("enclosure", "https://a.example/x")]
    assert [c.get("term") for c in found.findall(f"{ATOM}category")][2:] == ["a"]
    assert found.get(LANG) is None
    content = found.findtext(f"{ATOM}content") or ""
    assert "“&lt;b&gt;]]&gt;&amp;” in the text" in content
    assert "javascript" not in content
    assert "Says its source is A&amp;B" in content
    assert content.count("Says") == 1
    assert rss(entry).findtext("item/title", "").startswith("evil‹/title›‹script›")
    assert feed_json(entry)["items"][0]["title"].startswith("evil</title><script>")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"title": ""}, "Tiga kapal perang AS berlayar.", id="the first words"),
        pytest.param({"title": "\x00", "text": ""}, "https://warta.example/kapal-perang", id="the address"),
        pytest.param({"title": " ", "text": "", "url": None}, "Untitled", id="nothing at all"),
    ],
)
def test_an_entry_without_a_title_gets_one(changes: dict[str, Any], expected: str) -> None:
    assert atom(replace(PLAIN, **changes)).findtext(f"{ATOM}entry/{ATOM}title") == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param({"content": ""}, "<p>Ringkasan.</p>", id="the summary"),
        pytest.param(
            {"content": "", "summary": "", "text": "a < b\nc"}, "<p>a &lt; b</p><p>c</p>", id="the text"
        ),
        pytest.param({"content": "", "summary": "", "text": ""}, "<p></p>", id="nothing"),
    ],
)
def test_an_entry_without_content_gets_some(changes: dict[str, Any], expected: str) -> None:
    entry = atom(replace(PLAIN, **changes)).find(f"{ATOM}entry")
    assert entry is not None
    assert entry.findtext(f"{ATOM}content") == expected
    assert entry.find(f"{ATOM}summary") is None


def test_evidence_is_short() -> None:
    many = tuple(Match("t", "r", f"term{i}", "summary", 10 * i, 10 * i + 5) for i in range(9))
    (reason,) = reasons(replace(PLAIN, tags=(Tag("t", None, 1.0),), matches=many * 2))
    assert why(reason).endswith("“term5” in the summary, and 3 more")


def test_a_word_within_a_longer_piece_of_evidence_is_not_named_again() -> None:
    found = (Match("t", "r", "kapal", "title", 0, 5), Match("t", "r", "kapal perang", "title", 0, 12))
    entry = replace(PLAIN, title="Kapal perang mendekat", tags=(Tag("t", None, 1.0),), matches=found)
    assert reasons(entry)[0].found == (("Kapal perang", "title"),)


# ------------------------------------------------------------------------------------------------- laws


times = st.integers(0, 10**9).map(lambda seconds: NOON - timedelta(seconds=seconds - 10**8))
anything = st.text(st.characters(exclude_categories=()), max_size=40)
addresses = st.one_of(anything, anything.map("https://a.example/".__add__), st.just("http://b.example/x"))
slugs = st.from_regex("[a-z][a-z-]{0,9}", fullmatch=True)
stored_entries = st.builds(
    StoredEntry,
    id=st.integers(1, 9),
    uid=anything,
    feed_id=st.just(1),
    feed_title=anything,
    feed_url=addresses,
    feed_site_url=st.none() | addresses,
    article_id=st.just(1),
    guid=st.none() | anything,
    url=st.none() | addresses,
    title=anything,
    author=st.none() | anything,
    summary=anything,
    content=anything,
    text=anything,
    language=st.none() | st.sampled_from(["id", "en", "es-VE"]) | anything,
    published_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    updated_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    first_seen_at=times,
    changed_at=times,
    revision=st.integers(1, 3),
    categories=st.lists(
        st.builds(Category, anything, st.none() | addresses, st.none() | anything), max_size=2
    ).map(tuple),
    enclosures=st.lists(
        st.builds(Enclosure, addresses, st.none() | anything, st.none() | st.integers(-1, 10)), max_size=2
    ).map(tuple),
    tags=st.lists(st.builds(Tag, slugs, st.none() | slugs, st.just(1.0)), max_size=2).map(tuple),
    matches=st.lists(
        st.builds(
            Match,
            slugs,
            slugs,
            anything,
            st.sampled_from(["title", "text", "summary"]),
            st.integers(0, 50),
            st.integers(0, 50),
        ),
        max_size=2,
    ).map(tuple),
    attributions=st.lists(st.builds(Attribution, anything, st.none() | addresses), max_size=2).map(tuple),
    copies=st.lists(st.builds(Copy, st.integers(1, 9), anything, addresses), max_size=2).map(tuple),
)
feeds = st.lists(stored_entries, max_size=3, unique_by=lambda entry: entry.uid)


def parsed(document: Rendered) -> Any:
    feed = feedparser.parse(document.body, response_headers={"content-type": document.media_type})
    assert not feed.bozo, feed.bozo_exception
    return feed


def stamp(time: Any) -> datetime | None:
    return datetime.fromtimestamp(timegm(time), UTC) if time else None


def as_feedparser_has_it(title: str) -> str:
    """It takes whatever could be UTF-8 that was read as Latin-1 for that (`Ä¡`)."""
    try:
        return title.encode("latin-1").decode()
    except UnicodeError:
        return title


@given(feeds)
@settings(max_examples=40, deadline=None)
def test_what_is_rendered_reads_back(entries: list[StoredEntry]) -> None:
    items = feed_json(*entries)["items"]
    assert [item["id"] for item in items] == [CHANNEL.id("entry", entry.uid) for entry in entries]
    for form in (Format.ATOM, Format.RSS):
        back = parsed(render(CHANNEL, entries, form)).entries
        assert [entry.id for entry in back] == [item["id"] for item in items]
        for entry, one, item in zip(entries, back, items, strict=True):
            assert one.title.strip()
            if not re.search("[<>&]", item["title"]):
                assert one.title == as_feedparser_has_it(item["title"])
            shown = published(entry)
            assert stamp(one.get("published_parsed")) == (shown and shown.replace(microsecond=0))
            assert stamp(one.updated_parsed) == updated(entry).replace(microsecond=0)


@given(feeds)
@settings(max_examples=30, deadline=None)
def test_every_atom_document_is_valid(entries: list[StoredEntry]) -> None:
    if not (SCHEMAS / "atom.rng").exists():
        pytest.skip("the RelaxNG schema of Atom is not at hand")
    schema = etree.RelaxNG(etree.parse(SCHEMAS / "atom.rng"))
    for place in (Place(), Place("20251120T120000Z-3", "20251120T120000Z-2", "20251120T120000Z-4")):
        document = render(replace(CHANNEL, hubs=("https://hub.example/",)), entries, Format.ATOM, place=place)
        schema.assertValid(etree.fromstring(document.body))


@given(feeds)
@settings(max_examples=30, deadline=None)
def test_every_json_feed_has_what_the_format_demands(entries: list[StoredEntry]) -> None:
    document = feed_json(*entries)
    assert set(document) == {
        "version", "title", "description", "home_page_url", "feed_url", "items", "_aggregator",
    }  # fmt: skip
    for item in document["items"]:
        assert item["id"]
        assert item["content_html"]
        for key in ("date_published", "date_modified"):
            assert key not in item or datetime.fromisoformat(item[key]).tzinfo
        assert all(author["name"] for author in item.get("authors", ()))
        assert all(file["url"] and "/" in file["mime_type"] for file in item.get("attachments", ()))
        assert all(tag for tag in item.get("tags", ()))
        assert None not in item.values()


@given(feeds)
@settings(max_examples=20, deadline=None)
def test_every_json_feed_is_valid(entries: list[StoredEntry]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    if not (SCHEMAS / "jsonfeed-1.1.schema.json").exists():
        pytest.skip("the schema of JSON Feed is not at hand")
    schema = json.loads((SCHEMAS / "jsonfeed-1.1.schema.json").read_text())
    channel = replace(CHANNEL, hubs=("https://hub.example/",), icon_url="http://news.example/icon.svg")
    for place in (Place(), Place(None, "20251120T120000Z-2")):
        document = json.loads(render(channel, entries, Format.JSON, place=place).body)
        jsonschema.validate(document, schema)
        assert ("next_url" in document) == (place.older is not None)


@given(feeds, feeds, st.booleans())
@settings(max_examples=40, deadline=None)
def test_what_is_new_and_what_was_there_make_the_whole(
    before: list[StoredEntry], after: list[StoredEntry], revised: bool
) -> None:
    """RFC 3229, `IM: feed`: a delta has each new or changed entry, and nothing else."""
    if before and revised:
        after = [*after, replace(before[0], title=f"{before[0].title} again")]
    after = [*{entry.uid: entry for entry in [*before[1:], *after]}.values()]
    fragments = Fragments()
    old = render(CHANNEL, before, Format.JSON, fragments=fragments)
    new = render(CHANNEL, after, Format.JSON, fragments=fragments, before=old)
    was = {item["id"]: item for item in json.loads(old.body)["items"]}
    whole = {item["id"]: item for item in json.loads(new.body)["items"]}
    changed = {key: item for key, item in whole.items() if was.get(key) != item}
    found = new.since([old.tag("gzip")])
    if old.etag == new.etag or (whole and len(changed) == len(whole)):
        assert found is None
    elif whole:
        assert found is not None
        base, delta = found
        assert {item["id"]: item for item in json.loads(delta.body)["items"]} == changed
        assert (base, delta.etag) == (old.etag, new.etag)


def test_only_the_last_versions_are_known_again() -> None:
    document, tags = render(CHANNEL, [PLAIN], Format.RSS), []
    for number in range(20):
        tags.append(document.etag)
        entries = [PLAIN, replace(PLAIN, uid=str(number))]
        document = render(CHANNEL, entries, Format.RSS, before=document)
    assert [document.since([tag]) is not None for tag in tags] == [False] * 4 + [True] * 16


@given(feeds)
@settings(max_examples=20, deadline=None)
def test_what_was_kept_is_what_is_written_anew(entries: list[StoredEntry]) -> None:
    fragments = Fragments(room=2_000)  # less than some entries take
    for form in Format:
        render(CHANNEL, entries[1:], form, fragments=fragments)
        assert render(CHANNEL, entries, form, fragments=fragments).body == render(CHANNEL, entries, form).body


@given(st.lists(st.sampled_from(PARAMETERS), unique=True), st.data())
@settings(max_examples=50, deadline=None)
def test_the_address_of_a_question_asks_the_same(names: list[str], data: st.DataObject) -> None:
    values = {
        "topic": "tension", "aspect": "military", "feed": "Democrazy.id & co", "tag": "a+b", "language": "es", "country": "VE",
        "search": "kapal OR “x y”", "min_score": "2.5", "min_outlets": "3", "copies": "true", "limit": "7",
    }  # fmt: skip
    if "aspect" in names and "topic" not in names:
        names.append("topic")
    asked = narrowed(EVERYTHING, [(name, values[name]) for name in data.draw(st.permutations(names))])
    query = query_of(asked, EVERYTHING)
    assert narrowed(EVERYTHING, parse_qsl(query)) == asked
    assert query_of(narrowed(EVERYTHING, parse_qsl(query)), EVERYTHING) == query


def test_our_own_titles_are_plain_text() -> None:
    title = "En <español> &amp; más"
    channel = replace(
        CHANNEL, title=title, description=f"News <b>{title}", topics={"caribbean-tension": title}
    )
    documents = {form: render(channel, [PLAIN], form).body for form in Format}
    atom = etree.fromstring(documents[Format.ATOM])
    for name, said in (("title", title), ("subtitle", f"News <b>{title}")):
        found = atom.find(f"{ATOM}{name}")
        assert found is not None
        assert (found.get("type"), unescape(found.text or "")) == ("html", said)
    rss = etree.fromstring(documents[Format.RSS]).find("channel")
    assert rss is not None
    assert rss.findtext("title") == "En ‹español› &amp; más"
    feed = json.loads(documents[Format.JSON])
    assert (feed["title"], feed["description"]) == (title, f"News <b>{title}")
    for body in documents.values():
        assert feedparser.parse(body).feed.get("title", feed["title"]).count("español") == 1


def test_titles_of_questions() -> None:
    titles = {"tension": "Tension in the Caribbean"}
    base = OutputFeed("tension", topic="tension")
    assert title_of(base, titles) == "Tension in the Caribbean"
    assert title_of(replace(base, language="es"), titles, base) == "Tension in the Caribbean, in es"
    assert title_of(replace(EVERYTHING, topic="tension", min_outlets=3), titles, EVERYTHING) == (
        "All entries, on Tension in the Caribbean, told by at least 3 outlets"
    )


@given(addresses)
def test_normalising_an_address_twice_changes_nothing(address: str) -> None:
    once = uri(address)
    assert uri(once) == once
