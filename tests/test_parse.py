"""Every format, every deviation we know of, and nothing but `ParseError` for the rest."""

import json
import logging
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aggregator.errors import ParseError
from aggregator.model import Category, Enclosure, EntryData, ParsedFeed, Source
from aggregator.parse import parse
from benchmarks.parse import FIELDS, compare

URL = "https://site.example/feed.xml"
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "feeds"
NOON = datetime(2025, 11, 3, 12, tzinfo=UTC)


def read(document: str | bytes, **options: Any) -> ParsedFeed:
    body = document.encode() if isinstance(document, str) else document
    return parse(body, url=URL, **options)


def rss(item: str = "", channel: str = "", attributes: str = "") -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"{attributes}><channel><title>News</title>'
        f"{channel}<item>{item}</item></channel></rss>"
    )


def atom(entry: str = "", feed: str = "", attributes: str = "") -> str:
    return (
        f'<feed xmlns="http://www.w3.org/2005/Atom"{attributes}><title>News</title>{feed}'
        f"<entry>{entry}</entry></feed>"
    )


def entry(document: str | bytes, **options: Any) -> EntryData:
    (found,) = read(document, **options).entries
    return found


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is said for those who look closely."""
    caplog.set_level(logging.DEBUG, "aggregator.parse")
    return caplog


MODULES = (
    ' xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:media="http://search.yahoo.com/mrss/" xmlns:atom="http://www.w3.org/2005/Atom"'
    ' xmlns:itunes="http://www.itunes.com/dtds/podcast-1.0.dtd" xmlns:dcterms="http://purl.org/dc/terms/"'
    ' xmlns:feedburner="http://rssnamespace.org/feedburner/ext/1.0"'
    ' xmlns:sy="http://purl.org/rss/1.0/modules/syndication/"'
)

# ---------------------------------------------------------------------------------------- formats


def test_rss_2() -> None:
    feed = read(
        rss(
            """<title>A title</title><link>https://site.example/1</link><guid isPermaLink="false">n-1</guid>
            <pubDate>Mon, 03 Nov 2025 12:00:00 GMT</pubDate><dc:creator>Ana Pérez</dc:creator>
            <category domain="https://site.example/tags">Caribe</category><category>Mar</category>
            <description>Short</description><content:encoded><![CDATA[<p>Long</p>]]></content:encoded>
            <enclosure url="https://site.example/1.mp3" type="audio/mpeg" length="123"/>
            <source url="https://other.example/feed">Other</source>""",
            """<link>https://site.example/</link><description>What it is about</description>
            <language>es-VE</language><image><url>/icon.png</url></image><ttl>90</ttl>
            <skipHours><hour>0</hour><hour>24</hour><hour>7</hour></skipHours><skipDays><day>Sunday</day></skipDays>
            <atom:link rel="self" href="https://site.example/feed.xml"/>
            <atom:link rel="hub" href="https://hub.example/"/>""",
            MODULES,
        )
    )

    assert feed == ParsedFeed(
        title="News",
        description="What it is about",
        site_url="https://site.example/",
        icon_url="https://site.example/icon.png",
        self_url="https://site.example/feed.xml",
        hub_urls=("https://hub.example/",),
        language="es-ve",
        hint=timedelta(minutes=90),
        skip_hours=(0, 7),
        skip_days=(6,),
        entries=(
            EntryData(
                guid="n-1",
                url="https://site.example/1",
                title="A title",
                author="Ana Pérez",
                summary="Short",
                content="<p>Long</p>",
                base_url="https://site.example/1",
                language="es-ve",
                published_at=NOON,
                categories=(Category("Caribe", "https://site.example/tags"), Category("Mar")),
                enclosures=(Enclosure("https://site.example/1.mp3", "audio/mpeg", 123),),
                source=Source("Other", "https://other.example/feed"),
            ),
        ),
    )


def test_atom_1() -> None:
    feed = read(
        atom(
            """<id>tag:site.example,2025:1</id><title type="html">A &amp;lt;b&amp;gt; &lt;i>title&lt;/i></title>
            <link href="1.html"/><link rel="enclosure" href="1.mp3" type="audio/mpeg" length="5"/>
            <published>2025-11-03T12:00:00Z</published><updated>2025-11-03T13:00:00Z</updated>
            <category term="t" scheme="https://site.example/s" label="Label"/>
            <summary>1 &lt; 2</summary>
            <content type="xhtml" xml:base="deep/"><div xmlns="http://www.w3.org/1999/xhtml">Hello <b>you</b><br/></div></content>
            <source><title>Origin</title><link rel="self" href="https://o.example/f"/><author><name>O</name></author></source>""",
            """<subtitle>Sub</subtitle><link href="https://site.example/"/><link rel="next" href="?page=2"/>
            <link rel="prev-archive" href="/archive/1"/><author><name>Feed author</name></author><logo>/l.png</logo>""",
            ' xml:base="https://base.example/x/" xml:lang="en-GB"',
        )
    )
    (found,) = feed.entries

    assert (feed.description, feed.language) == ("Sub", "en-gb")
    assert feed.site_url == "https://site.example/"
    assert feed.next_url == "https://base.example/x/?page=2"
    assert feed.previous_archive_url == "https://base.example/archive/1"
    assert feed.icon_url == "https://base.example/l.png"
    assert found.guid == "tag:site.example,2025:1"
    assert found.title == "A <b> title"
    assert found.url == "https://base.example/x/1.html"
    assert found.enclosures == (Enclosure("https://base.example/x/1.mp3", "audio/mpeg", 5),)
    assert (found.published_at, found.updated_at) == (NOON, NOON + timedelta(hours=1))
    assert found.categories == (Category("t", "https://site.example/s", "Label"),)
    assert found.summary == "1 &lt; 2"
    assert found.content == "Hello <b>you</b><br>"
    assert found.base_url == "https://base.example/x/deep/"
    assert found.author == "O"
    assert found.source == Source("Origin", "https://o.example/f")


def test_atom_03() -> None:
    feed = read(
        """<feed version="0.3" xmlns="http://purl.org/atom/ns#" xml:lang="en"><title mode="escaped">News</title>
        <entry><id>1</id><title>T</title><link rel="alternate" type="text/html" href="https://a.example/1"/>
        <issued>2025-11-03T12:00:00Z</issued><modified>2025-11-03T13:00:00Z</modified>
        <content type="text/html" mode="escaped">&lt;p&gt;x&lt;/p&gt;</content></entry>
        <entry><id>2</id><content type="text/html" mode="base64">PHA+eTwvcD4=</content>
        <created>2025-11-03T12:00:00Z</created></entry></feed>"""
    )

    assert [found.content for found in feed.entries] == ["<p>x</p>", "<p>y</p>"]
    assert [found.published_at for found in feed.entries] == [NOON, NOON]
    assert feed.entries[0].updated_at == NOON + timedelta(hours=1)


@pytest.mark.parametrize(
    "namespace",
    [
        pytest.param("http://purl.org/rss/1.0/", id="1.0"),
        pytest.param("http://my.netscape.com/rdf/simple/0.9/", id="0.90"),
        pytest.param("http://unheard.example/of#", id="of its own"),
    ],
)
def test_rdf(namespace: str) -> None:
    feed = read(
        f"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="{namespace}" {MODULES}>
        <channel rdf:about="https://a.example/"><title>News</title><link>https://a.example/</link>
        <sy:updatePeriod>hourly</sy:updatePeriod><sy:updateFrequency>4</sy:updateFrequency></channel>
        <item rdf:about="https://a.example/1"><title>T</title><link>https://a.example/1?x</link>
        <dc:date>2025-11-03T13:00+01:00</dc:date><dc:subject>S</dc:subject></item></rdf:RDF>"""
    )
    (found,) = feed.entries

    assert (feed.title, feed.site_url) == ("News", "https://a.example/")
    assert feed.hint == timedelta(minutes=15)
    assert (found.guid, found.url) == ("https://a.example/1", "https://a.example/1?x")
    assert (found.title, found.published_at, found.categories) == ("T", NOON, (Category("S"),))


@pytest.mark.parametrize(
    "document",
    [
        pytest.param('<rss version="0.91"><channel><item/></channel></rss>', id="0.91"),
        pytest.param("<rss><channel/><item/></rss>", id="items beside the channel"),
        pytest.param('<rss version="2.0" xmlns="http://backend.userland.com/rss2"><channel><item/></channel></rss>', id="default namespace"),
        pytest.param('<r:rss xmlns:r="http://x.example/y"><r:channel><r:item/></r:channel></r:rss>', id="a namespace of its own"),
        pytest.param("<channel><item/></channel>", id="channel as root"),
        pytest.param('<entry xmlns="http://www.w3.org/2005/Atom"/>', id="Atom entry document"),
        pytest.param('<s:Envelope xmlns:s="http://s.example/"><s:Body><rss><channel><item/></channel></rss></s:Body></s:Envelope>', id="wrapped"),
    ],
)  # fmt: skip
def test_roots(document: str) -> None:
    assert len(read(document).entries) == 1


def test_json_feed() -> None:
    feed = read(
        json.dumps(
            {
                "version": "https://jsonfeed.org/version/1.1",
                "title": "News &amp; views",
                "home_page_url": "https://site.example/",
                "feed_url": "/feed.json",
                "next_url": "/feed.json?2",
                "favicon": "/f.ico",
                "language": "en-US",
                "authors": [{"name": "Feed author"}],
                "hubs": [{"type": "WebSub", "url": "https://hub.example/"}, {"url": "javascript:x"}, 5],
                "items": [
                    {
                        "id": 7, "url": "/7", "title": "T", "content_html": "<p>x</p>", "summary": "a < b",
                        "date_published": "2025-11-03T12:00:00Z", "date_modified": "2025-11-03T13:00:00Z",
                        "tags": ["a", "b", "a", 5], "language": "es",
                        "attachments": [{"url": "/7.mp3", "mime_type": "audio/mpeg", "size_in_bytes": 5}],
                    },
                    {"id": "https://site.example/8", "content_text": "a <b>\nc", "author": {"name": "Ana"}},
                    "no object",
                ],
            }
        )
    )  # fmt: skip
    first, second = feed.entries

    assert (feed.title, feed.language) == ("News & views", "en-us")
    assert (feed.self_url, feed.next_url) == (
        "https://site.example/feed.json",
        "https://site.example/feed.json?2",
    )
    assert (feed.icon_url, feed.hub_urls) == ("https://site.example/f.ico", ("https://hub.example/",))
    assert first == EntryData(
        guid="7",
        url="https://site.example/7",
        title="T",
        author="Feed author",
        summary="a &lt; b",
        content="<p>x</p>",
        base_url="https://site.example/7",
        language="es",
        published_at=NOON,
        updated_at=NOON + timedelta(hours=1),
        categories=(Category("a"), Category("b")),
        enclosures=(Enclosure("https://site.example/7.mp3", "audio/mpeg", 5),),
    )
    assert (second.url, second.author) == ("https://site.example/8", "Ana")
    assert second.content == "a &lt;b&gt;<br>\nc"


# ----------------------------------------------------------------------------------------- fields


@pytest.mark.parametrize(
    ("item", "url"),
    [
        pytest.param("<link>/1</link>", "https://site.example/1", id="relative"),
        pytest.param("<link>\n https://a.example/\n 1 </link>", "https://a.example/1", id="wrapped"),
        pytest.param("<link><![CDATA[https://a.example/?a=1&amp;b=2]]></link>", "https://a.example/?a=1&b=2", id="encoded twice"),
        pytest.param("<guid>https://a.example/1</guid>", "https://a.example/1", id="guid is a permalink"),
        pytest.param('<guid isPermaLink="false">https://a.example/1</guid>', None, id="guid is none"),
        pytest.param("<guid>1234</guid>", None, id="guid says so but is no address"),
        pytest.param("<link/><guid>https://a.example/1</guid>", "https://a.example/1", id="empty link"),
        pytest.param("<link>javascript:alert(1)</link>", None, id="javascript"),
        pytest.param('<atom:link href="https://a.example/1"/>', "https://a.example/1", id="Atom's link"),
        pytest.param('<atom:link rel="self" href="https://a.example/f"/><link>https://a.example/1</link>', "https://a.example/1", id="Atom's self"),
        pytest.param("<link>https://feedproxy.google.com/~r/x/1</link><feedburner:origLink>https://a.example/1</feedburner:origLink>", "https://feedproxy.google.com/~r/x/1", id="a tracker's"),
        pytest.param('<link rel="alternate" href="https://a.example/1"/>', "https://a.example/1", id="href in RSS"),
    ],
)  # fmt: skip
def test_where_an_entry_points(item: str, url: str | None) -> None:
    assert entry(rss(item, attributes=MODULES)).url == url


@pytest.mark.parametrize(
    ("item", "original"),
    [
        pytest.param("<link>https://feedproxy.google.com/~r/x/1</link><feedburner:origLink>https://a.example/1</feedburner:origLink>", "https://a.example/1", id="origLink"),
        pytest.param("<link>http://a.feedsportal.com/c/1/story01.htm</link><guid>https://a.example/1</guid>", "https://a.example/1", id="tracker and guid"),
        pytest.param("<link>https://a.example/1</link><feedburner:origLink>https://a.example/1</feedburner:origLink>", None, id="the link already"),
        pytest.param("<link>https://a.example/1</link><guid>https://a.example/2</guid>", None, id="no tracker"),
    ],
)  # fmt: skip
def test_the_address_behind_a_tracker(item: str, original: str | None) -> None:
    assert entry(rss(item, attributes=MODULES)).original_url == original


def test_of_atoms_links_the_one_to_html_counts() -> None:
    links = '<link rel="{}" type="{}" href="https://a.example/{}"/>'
    pdf, page, related = links.format("alternate", "application/pdf", 1), links.format("alternate", "text/html", 2), links.format("related", "text/html", 3)  # fmt: skip

    assert entry(atom(pdf + page + related)).url == "https://a.example/2"
    assert entry(atom(pdf + related)).url == "https://a.example/1"
    assert entry(atom(related)).url is None
    assert entry(atom('<content src="https://a.example/4" type="text/html"/>')).url == "https://a.example/4"


@pytest.mark.parametrize(
    ("item", "author"),
    [
        pytest.param("<author>ana@a.example (Ana)</author>", "Ana", id="RSS's mailbox"),
        pytest.param("<author>ana@a.example</author>", "ana@a.example", id="only a mailbox"),
        pytest.param("<dc:creator>Ana/Staff Reporter</dc:creator>", "Ana/Staff Reporter", id="name and role"),
        pytest.param("<dc:creator>Ana</dc:creator><dc:creator>Luis</dc:creator>", "Ana, Luis", id="two"),
        pytest.param("<dc:creator/>", None, id="empty"),
        pytest.param("<itunes:author>Pod</itunes:author><dc:creator>Ana</dc:creator>", "Ana", id="iTunes comes last"),
        pytest.param("<atom:author><atom:name>Ana</atom:name><atom:email>a@b.example</atom:email></atom:author>", "Ana", id="Atom's person"),
    ],
)  # fmt: skip
def test_authors(item: str, author: str | None) -> None:
    assert entry(rss(item, attributes=MODULES)).author == author


def test_an_atom_entry_inherits_the_feeds_authors() -> None:
    feed = "<author><name>Ana</name></author><author><name>Luis</name></author>"

    assert entry(atom(feed=feed)).author == "Ana, Luis"
    assert entry(atom("<author><name>Eva</name></author>", feed)).author == "Eva"


@pytest.mark.parametrize(
    ("item", "published", "updated"),
    [
        pytest.param("", None, None, id="none"),
        pytest.param("<pubDate>03 Nov 2025 12:00 GMT</pubDate>", 12, None, id="pubDate"),
        pytest.param("<pubdate>03 Nov 2025 12:00 GMT</pubdate>", 12, None, id="pubdate"),
        pytest.param("<dc:date>2025-11-03T12:00Z</dc:date>", 12, None, id="dc:date"),
        pytest.param("<dcterms:modified>2025-11-03T12:00Z</dcterms:modified>", None, 12, id="dcterms:modified"),
        pytest.param("<atom:updated>2025-11-03T12:00:00Z</atom:updated>", None, 12, id="updated is not published"),
        pytest.param("<pubDate>soon</pubDate><dc:date>2025-11-03T12:00Z</dc:date>", 12, None, id="unreadable first"),
        pytest.param("<pubDate>soon</pubDate>", None, None, id="unreadable"),
        pytest.param("<pubDate>3 November 2025 19:00</pubDate>", 19, None, id="no zone"),
    ],
)  # fmt: skip
def test_dates(item: str, published: int | None, updated: int | None) -> None:
    found = entry(rss(item, attributes=MODULES))

    assert found.published_at == (published and NOON.replace(hour=published))
    assert found.updated_at == (updated and NOON.replace(hour=updated))


@pytest.mark.parametrize(
    ("item", "title"),
    [
        pytest.param("<title>AT&amp;amp;amp;T</title>", "AT&T", id="entities"),
        pytest.param("<title><![CDATA[<b>Bold</b>]]></title>", "Bold", id="tags"),
        pytest.param("<title>one <b>two</b> three</title>", "one two three", id="tags as elements"),
        pytest.param("<title/><dc:title>x</dc:title>", "x", id="another title"),
        pytest.param("<media:title>m</media:title><title>t</title>", "t", id="the media's title comes last"),
        pytest.param("", "", id="none"),
    ],
)
def test_titles(item: str, title: str) -> None:
    assert entry(rss(item, attributes=MODULES)).title == title


@pytest.mark.parametrize(
    ("element", "content"),
    [
        pytest.param("<content>a &lt; b\nc</content>", "a &lt; b<br>\nc", id="type missing: text"),
        pytest.param('<content type="text">AT&amp;amp;T</content>', "AT&amp;T", id="text encoded twice"),
        pytest.param("<summary>&lt;p>x&lt;/p></summary>", "<p>x</p>", id="evident HTML"),
        pytest.param('<summary type="text">&lt;p>x&lt;/p></summary>', "&lt;p&gt;x&lt;/p&gt;", id="said to be text"),
        pytest.param('<content type="html">&lt;p>x&lt;/p></content>', "<p>x</p>", id="html"),
        pytest.param('<content type="text/html">&lt;p>x&lt;/p></content>', "<p>x</p>", id="text/html"),
        pytest.param('<content type="image/png">iVBORw0KGgo=</content>', None, id="an image"),
        pytest.param('<content type="xhtml"><h:div xmlns:h="http://www.w3.org/1999/xhtml"><h:p title="&quot;">x &lt;</h:p></h:div></content>', '<p title="&quot;">x &lt;</p>', id="xhtml with a prefix"),
    ],
)  # fmt: skip
def test_atoms_text(element: str, content: str | None) -> None:
    found = entry(atom(element))

    assert (found.content or found.summary) == content


def test_media_rss() -> None:
    found = entry(
        rss(
            """<media:group><media:title>Clip</media:title><media:description>About it</media:description>
            <media:content url="https://a.example/v.mp4" type="video/mp4" fileSize="9">
            <media:thumbnail url="https://a.example/t.jpg"/></media:content>
            <media:keywords>one, two</media:keywords></media:group>
            <media:thumbnail url="javascript:x"/><itunes:keywords>two,three</itunes:keywords>""",
            attributes=MODULES,
        )
    )

    assert (found.title, found.summary) == ("Clip", "About it")
    assert found.enclosures == (
        Enclosure("https://a.example/v.mp4", "video/mp4", 9),
        Enclosure("https://a.example/t.jpg"),
    )
    assert [category.term for category in found.categories] == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("item", "attributes", "base"),
    [
        pytest.param("<link>https://a.example/1</link>", "", "https://a.example/1", id="the entry's address"),
        pytest.param("", "", URL, id="the document's"),
        pytest.param(
            "<link>/1</link>", ' xml:base="https://b.example/"', "https://b.example/", id="xml:base"
        ),
    ],
)
def test_what_relative_addresses_in_the_text_refer_to(item: str, attributes: str, base: str) -> None:
    assert entry(rss(item, attributes=attributes)).base_url == base


@pytest.mark.parametrize(
    ("channel", "hint"),
    [
        pytest.param("", None, id="none"),
        pytest.param("<ttl>60</ttl><sy:updatePeriod>daily</sy:updatePeriod>", timedelta(hours=1), id="ttl comes first"),
        pytest.param("<ttl>often</ttl>", None, id="no number"),
        pytest.param("<ttl>0</ttl>", None, id="zero"),
        pytest.param("<ttl>999999999999999</ttl>", timedelta(days=365), id="absurd"),
        pytest.param("<sy:updateFrequency>2</sy:updateFrequency>", timedelta(hours=12), id="daily by default"),
        pytest.param("<sy:updatePeriod>HOURLY</sy:updatePeriod><sy:updateFrequency>999999</sy:updateFrequency>", timedelta(minutes=1), id="absurd frequency"),
    ],
)  # fmt: skip
def test_the_publishers_interval(channel: str, hint: timedelta | None) -> None:
    assert read(rss(channel=channel, attributes=MODULES)).hint == hint


@pytest.mark.parametrize(
    ("written", "days"),
    [
        *(
            (written, 1 / 24)
            for written in ("hourly", "Hourly", "hour", "hours", "every hour", "1 hour", "hourley")
        ),
        *(
            (written, 1)
            for written in ("daily", "Daily ", "dayly", "daly", "day", "every day", "diaily", "twicedaily")
        ),
        *((written, 7) for written in ("weekly", "week", "weekley", "wekly")),
        *((written, 30) for written in ("monthly", "month", "montly")),
        *((written, 365) for written in ("yearly", "year", "annually", "annualy", "never")),
        *((written, 1 / 1440) for written in ("always", "allways", "minute", "minutes")),
        *((written, 1) for written in ("", "?", "auto", "60", "PT1H", "x" * 100_000)),
    ],
)
def test_a_misspelled_period_means_the_nearest_and_else_a_day(written: str, days: float) -> None:
    channel = f"<sy:updatePeriod>{written}</sy:updatePeriod><sy:updateFrequency>1</sy:updateFrequency>"

    assert read(rss(channel=channel, attributes=MODULES)).hint == timedelta(days=days)


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        pytest.param({}, None, id="nothing"),
        pytest.param({"expired": False}, None, id="not finished"),
        pytest.param({"expired": "true"}, None, id="a text"),
        pytest.param({"expired": True}, timedelta(days=365), id="finished"),
    ],
)
def test_a_json_feed_that_is_finished_need_not_be_asked(said: dict[str, Any], hint: timedelta | None) -> None:
    document = json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": [], **said})

    assert read(document).hint == hint


# ------------------------------------------------------------------------- what is taken back

TOMBSTONES = ' xmlns:at="http://purl.org/atompub/tombstones/1.0"'
HISTORY = ' xmlns:fh="http://purl.org/syndication/history/1.0"'


def test_what_the_publisher_takes_back_is_no_entry() -> None:
    document = atom(
        "<id>a</id>",
        """<at:deleted-entry ref=" b " when="2025-11-03T12:00:00Z"><at:comment>spam</at:comment></at:deleted-entry>
        <at:deleted-entry ref="c" when="one day"/><at:deleted-entry ref="c"/><at:deleted-entry/>
        <at:deleted-entry ref="d" when="2025-11-03T11:00:00Z"/><at:deleted-entry ref="d" when="2025-11-03T12:00:00Z"/>""",
        TOMBSTONES,
    )
    feed = read(document)

    assert [found.guid for found in feed.entries] == ["a"]
    assert feed.withdrawn == (("b", NOON), ("c", None), ("d", NOON))


@pytest.mark.parametrize(
    ("when", "updated", "stands"),
    [
        pytest.param("2025-11-03T12:00:00Z", "2025-11-03T11:00:00Z", False, id="taken back since"),
        pytest.param("2025-11-03T12:00:00Z", "2025-11-03T13:00:00Z", True, id="published again since"),
        pytest.param("2025-11-03T12:00:00Z", "2025-11-03T12:00:00Z", True, id="at once"),
        pytest.param("", "2025-11-03T12:00:00Z", True, id="nobody knows when"),
        pytest.param("2025-11-03T12:00:00Z", "", True, id="an entry without a date"),
    ],
)
def test_of_an_entry_and_its_deletion_the_later_holds(when: str, updated: str, stands: bool) -> None:
    deleted = f'<at:deleted-entry ref="a" when="{when}"/>'
    feed = read(atom(f"<id>a</id><updated>{updated}</updated>", deleted, TOMBSTONES))

    assert ([found.guid for found in feed.entries], feed.withdrawn) == (
        (["a"], ()) if stands else ([], (("a", NOON),))
    )


MANY = "<entry/>" * 10_000


@pytest.mark.parametrize(
    ("document", "complete"),
    [
        pytest.param(atom("<id>a</id>", "<fh:complete/>", HISTORY), True, id="Atom"),
        pytest.param(rss("<guid>a</guid>", "<fh:complete/>", HISTORY), True, id="RSS"),
        pytest.param(atom("<id>a</id>", "", HISTORY), False, id="it does not say so"),
        pytest.param(atom("<id>a</id><fh:complete/>", "", HISTORY), False, id="an entry says so"),
        pytest.param(atom("<id>a</id>", '<fh:complete/><link rel="next" href="?2"/>', HISTORY), False, id="there are more pages"),
        pytest.param(atom("<id>a</id>", '<fh:complete/><link rel="prev-archive" href="?2"/>', HISTORY), False, id="there is an archive"),
        pytest.param(atom("<id>a</id>", f"<fh:complete/>{MANY}", HISTORY), False, id="too many entries"),
        pytest.param(atom("", f"<fh:complete/><entry/>{'<x/>' * 100_000}", HISTORY), False, id="too many elements"),
        pytest.param(atom("<id>a</id>", "<fh:complete/>", HISTORY)[:-7], False, id="cut off"),
        pytest.param(atom("<id>a</id><title>&</title>", "<fh:complete/>", HISTORY), True, id="repaired"),
    ],
)  # fmt: skip
def test_a_document_is_complete_only_where_it_says_so_and_is_read_whole(
    document: str, complete: bool
) -> None:
    outcome = feed_or_reason(document.encode())

    assert (outcome.complete if isinstance(outcome, ParsedFeed) else False) is complete


# ----------------------------------------------------------------------------------- news sitemaps


def sitemap(*pages: str) -> str:
    return (
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'
        ' xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"'
        ' xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">'
        f"{''.join(f'<url>{page}</url>' for page in pages)}</urlset>"
    )


ARTICLE = """<loc>https://site.example/1</loc><lastmod>2025-11-03T13:00:00Z</lastmod>
    <news:news><news:publication><news:name>The News</news:name><news:language>es</news:language></news:publication>
    <news:publication_date>2025-11-03T12:00:00Z</news:publication_date><news:title>Se&#241;al &amp;amp; mar</news:title>
    <news:keywords>Caribe, Mar, , Caribe</news:keywords></news:news>
    <image:image><image:loc>https://site.example/1.jpg</image:loc><image:title>An image</image:title></image:image>"""


def test_a_sitemap_of_news_is_a_feed() -> None:
    about = "<loc>https://site.example/about</loc><lastmod>2025-11-03</lastmod>"
    bare = "<loc>/2</loc><news:news><news:title>Bare</news:title></news:news>"

    assert read(sitemap(ARTICLE, about, bare)) == ParsedFeed(
        title="The News",
        entries=(
            EntryData(
                url="https://site.example/1",
                title="Señal & mar",
                base_url="https://site.example/1",
                language="es",
                published_at=NOON,
                updated_at=NOON + timedelta(hours=1),
                categories=(Category("Caribe"), Category("Mar")),
                enclosures=(Enclosure("https://site.example/1.jpg"),),
            ),
            EntryData(url="https://site.example/2", title="Bare", base_url="https://site.example/2"),
        ),
    )


def test_a_broken_sitemap_of_news_is_repaired() -> None:
    assert (
        entry(sitemap(ARTICLE.replace("&amp;amp;", "&")).replace(" xmlns:image", " x")).title == "Señal & mar"
    )


def test_a_sitemap_of_much_news_is_cut() -> None:
    assert len(read(sitemap(*["<news:news/>"] * 10_050)).entries) == 10_000
    assert len(set(read(sitemap(*[ARTICLE] * 6000)).entries)) == 1, "the one that it was cut in is left out"


# --------------------------------------------------------------------------------------- encoding

TITLE = "Señal – “ñandú”"


def encoded(codec: str, declared: str | None, title: str = TITLE) -> bytes:
    declaration = f'<?xml version="1.0" encoding="{declared}"?>' if declared else ""
    return f"{declaration}<rss><channel><item><title>{title}</title></item></channel></rss>".encode(codec)


@pytest.mark.parametrize(
    ("body", "content_type", "title"),
    [
        pytest.param(encoded("utf-8", None), None, TITLE, id="UTF-8 undeclared"),
        pytest.param(encoded("utf-8-sig", "iso-8859-1"), "text/xml; charset=iso-8859-7", TITLE, id="BOM before all"),
        pytest.param(encoded("utf-16", "utf-16"), None, TITLE, id="UTF-16 with BOM"),
        pytest.param(encoded("utf-16-le", "utf-16"), None, TITLE, id="UTF-16 without BOM"),
        pytest.param(encoded("utf-16-be", None), "text/xml", TITLE, id="UTF-16, big end"),
        pytest.param(encoded("utf-32", None), None, TITLE, id="UTF-32"),
        pytest.param(encoded("cp1252", "iso-8859-1"), None, TITLE, id="Latin-1 is windows-1252"),
        pytest.param(encoded("cp1251", "windows-1251", "Море"), None, "Море", id="windows-1251"),
        pytest.param(encoded("iso-8859-7", "utf-8", "Θάλασσα"), "text/xml;charset=ISO-8859-7", "Θάλασσα", id="HTTP before XML"),
        pytest.param(encoded("gb18030", "gb2312", "加勒比海鎔"), None, "加勒比海鎔", id="gb2312 is gb18030"),
        pytest.param(encoded("utf-8", "utf-8"), "text/xml; charset=ISO-8859-1", TITLE, id="HTTP's default is wrong"),
        pytest.param(encoded("utf-8", "utf-16"), None, TITLE, id="UTF-16 only declared"),
        pytest.param(encoded("utf-8", "no-such-set"), 'text/xml; charset="x"', TITLE, id="unknown names"),
        pytest.param(encoded("utf-8", "punycode"), "text/xml; charset=unicode_escape", TITLE, id="names of other codecs"),
    ],
)  # fmt: skip
def test_encodings(body: bytes, content_type: str | None, title: str) -> None:
    assert read(body, content_type=content_type).entries[0].title == title


@pytest.mark.parametrize("declared", [None, "utf-8"])
def test_undeclared_latin_1_is_recovered(declared: str | None) -> None:
    assert read(encoded("cp1252", declared)).entries[0].title == TITLE


# ----------------------------------------------------------------------------------------- repair


@pytest.mark.parametrize(
    "document",
    [
        pytest.param("\n  {}", id="white space in front"),
        pytest.param("\ufeff\ufeff{}", id="two BOMs"),
        pytest.param("\0{}", id="NUL in front"),
    ],
)
def test_what_stands_before_the_document_needs_no_repair(
    document: str, log: pytest.LogCaptureFixture
) -> None:
    assert read(document.format(rss("<title>x</title>"))).title == "News"
    assert log.messages == []


@pytest.mark.parametrize(
    ("document", "title"),
    [
        pytest.param("<br/>Warning: x in y.php\n" + rss("<title>x</title>"), "x", id="text in front"),
        pytest.param(rss("<title>x</title>") + "<script>1</script>", "x", id="text behind"),
        pytest.param("<?xml?xml version='1.0'??>" + rss("<title>x</title>")[39:], "x", id="a strange declaration"),
        pytest.param(rss("<title>x\x0b\x00y</title>"), "xy", id="control characters"),
        pytest.param(rss("<title>x&#11;&#xFFFF;y</title>"), "xy", id="references to control characters"),
        pytest.param(rss("<title>R&D, Q&A &c.</title>"), "R&D, Q&A &c.", id="stray ampersands"),
        pytest.param(rss("<title>Se&ntilde;al &foo;</title>"), "Señal &foo;", id="HTML's entities"),
        pytest.param(rss("<title>a&lt;b &amp; <![CDATA[&nbsp;&x]]></title><link>?a&b</link>"), "a<b & &x", id="CDATA is left alone"),
        pytest.param(rss("<title>x</title><dc:creator>y</dc:creator><foo:bar a:b='c'/>"), "x", id="undeclared prefixes"),
    ],
)  # fmt: skip
def test_what_can_be_repaired_is(document: str, title: str, log: pytest.LogCaptureFixture) -> None:
    assert entry(document).title == title
    (message,) = log.messages
    assert message.startswith(f"{URL} is not well-formed: ")


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(rss("<title>x</title><link>https://a.example/</link><description>half")[:-25], id="cut off"),
        pytest.param(rss("<title>x</title><description><b>y</i></description>"), id="mismatched tags"),
        pytest.param(rss("<title>x</title><link>https://a.example/</link><description>a <b c</description>"), id="a stray <"),
    ],
)  # fmt: skip
def test_the_rest_is_read_by_feedparser(document: str, log: pytest.LogCaptureFixture) -> None:
    feed = read(document)

    assert [found.title.split()[0] for found in feed.entries] == ["x"]
    assert feed.title == "News"
    assert log.messages[-1].startswith(f"{URL} is beyond repair: ")


def test_feedparsers_reading_has_all_fields() -> None:
    broken = atom(
        """<id>1</id><title>T</title><link href="/1"/><published>3 November 2025 12:00</published>
        <updated>2025-11-03T13:00:00Z</updated><author><name>Ana</name></author><category term="c" scheme="s"/>
        <link rel="enclosure" href="/1.mp3" type="audio/mpeg" length="5"/>
        <summary>S</summary><content type="html">&lt;p>C&lt;/p></content><b""",
        '<link rel="self" href="/f"/><link href="/"/><link rel="hub" href="https://hub.example/"/><subtitle>D</subtitle>',
        ' xml:lang="en"',
    )
    feed = read(broken)

    assert (feed.title, feed.description, feed.language) == ("News", "D", "en")
    assert (feed.site_url, feed.self_url) == ("https://site.example/", "https://site.example/f")
    assert feed.hub_urls == ("https://hub.example/",)
    assert feed.entries == (
        EntryData(
            guid="1",
            url="https://site.example/1",
            title="T",
            author="Ana",
            summary="S",
            content="<p>C</p>",
            base_url="https://site.example/1",
            language="en",
            published_at=NOON,
            updated_at=NOON + timedelta(hours=1),
            categories=(Category("c", "s"),),
            enclosures=(Enclosure("https://site.example/1.mp3", "audio/mpeg", 5),),
        ),
    )


# ---------------------------------------------------------------------------------------- refusal


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("", "the document is empty", id="empty"),
        pytest.param(" \n\t\ufeff", "the document is empty", id="white space"),
        pytest.param("<!DOCTYPE html><html><head><title>Just a moment…</title>", "an HTML page titled “Just a moment…”, not a feed", id="HTML"),
        pytest.param("<html><body>Access denied</body></html>", "an HTML page, not a feed", id="HTML without title"),
        pytest.param('<html xmlns="http://www.w3.org/1999/xhtml"><head><title>T</title></head></html>', "an HTML page titled “T”, not a feed", id="XHTML"),
        pytest.param("<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'/>", "a sitemap, not a feed", id="an empty sitemap"),
        pytest.param("<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'><url><loc>/1</loc></url></urlset>", "a sitemap, not a feed", id="sitemap"),
        pytest.param("<urlset><url><loc>/a&b</loc></url></urlset>", "a sitemap, not a feed", id="a broken sitemap"),
        pytest.param("<opml version='2.0'><body/></opml>", "an OPML list of subscriptions, not a feed", id="OPML"),
        pytest.param("<s:Envelope xmlns:s='x'/>", "a SOAP message, not a feed", id="SOAP"),
        pytest.param("<Error><Code>AccessDenied</Code></Error>", "XML with the root element <error>, not a feed", id="other XML"),
        pytest.param("Not Found\x1b[1m", "not a feed: it begins with “Not Found\\x1b[1m”", id="text"),
        pytest.param('{"items": "none"}', "JSON, but not a JSON Feed: it has no list of items", id="JSON"),
        pytest.param('{"items": [{"name": 1}]}', "JSON, but not a JSON Feed: it does not say so, nor do its items look like it", id="JSON with items"),
        pytest.param('{"items": [', "JSON that cannot be read: Expecting value: line 1 column 12 (char 11)", id="broken JSON"),
        pytest.param("<rss><channel><i", "a feed too broken to be read: it has neither a title nor entries", id="next to nothing"),
    ],
)  # fmt: skip
def test_what_is_no_feed_is_named(document: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(document)

    assert str(caught.value) == message


def test_a_feed_without_entries_is_a_feed() -> None:
    assert read('<rss version="2.0"><channel><title>New</title></channel></rss>').entries == ()


# ----------------------------------------------------------------------------------------- limits


def test_long_feeds_and_long_fields_are_cut() -> None:
    many = "".join(f"<category>{number}</category>" for number in range(200))
    files = "".join(f'<enclosure url="https://a.example/{number}"/>' for number in range(80))
    found = entry(
        rss(f"<title>{'x' * 5000}</title><description>{'y' * (2 << 20)}</description>{many}{files}")
    )

    assert len(found.title) == 1000
    assert len(found.summary or "") == 1 << 20
    assert len(found.categories) == 100
    assert len(found.enclosures) == 50
    assert entry(rss(f"<link>https://a.example/{'x' * 4000}</link>")).url is None
    assert len(read(f"<rss><channel>{'<item/>' * 10_050}</channel></rss>").entries) == 10_000


def after_doctype(doctype: str, title: str = "x") -> str:
    return f"<!DOCTYPE {doctype}>\n<rss><channel><item><title>{title}</title></item></channel></rss>"


TENFOLD = "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij", strict=True))
HOSTILE = {
    "billion laughs": after_doctype(f'rss [<!ENTITY a "lol">{TENFOLD}]', "&j;"),
    "quadratic blow-up": after_doctype(f'rss [<!ENTITY a "{10_000 * "A"}">]', 50_000 * "&a;"),
    "external entity": after_doctype('rss [<!ENTITY x SYSTEM "file:///etc/passwd">]', "&x;"),
    "external DTD": after_doctype('rss SYSTEM "file:///etc/passwd"'),
    "parameter entity": after_doctype('rss [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]'),
    "DOCTYPE without an end": after_doctype("[<!-- " * 50_000),
    "nested elements": rss(f"<description>{100_000 * '<b>'}{100_000 * '</b>'}</description>"),
    "nested elements nobody reads": rss(f"<x>{100_000 * '<b>'}{100_000 * '</b>'}</x>"),
    "nested elements without an end": rss(f"<description>{20_000 * '<b>'}"),
    "nested JSON": '{"items": ' + "[" * 100_000,
    "long JSON number": '{"items": [' + "9" * 100_000 + "]}",
    "tags without end": "<rss>" + "<a " * 20_000,
    "CDATA without end": "<rss><channel>" + "<![CDATA[" * 100_000 + "&",
    "ampersands": rss(f"<title>{300_000 * '&'}</title>"),
    "prefixes": rss("".join(f"<p{number}:x/>" for number in range(20_000))),
    "a million tags": "<rss>" + "<a/>" * 1_100_000 + "</rss>",
}


@pytest.mark.parametrize("document", [pytest.param(document, id=name) for name, document in HOSTILE.items()])
def test_hostile_documents_end_quickly_in_little_memory(document: str) -> None:
    program = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (8, 8))
from aggregator.errors import ParseError
from aggregator.parse import parse
try:
    for entry in parse(sys.stdin.buffer.read(), url={URL!r}).entries:
        print(entry.title[:40], "root:" in repr(entry))
except ParseError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], input=document.encode(), capture_output=True, timeout=30, check=False
    )

    assert done.returncode == 0, done.stderr.decode()[-500:]
    assert b"True" not in done.stdout
    assert b"lollol" not in done.stdout


WHOLE = [
    rss("<title>T &amp; x</title><link>https://a.example/1</link><guid>1</guid><dc:date>2025-11-03</dc:date>", attributes=MODULES),
    atom('<id>1</id><title type="html">&lt;b>x&lt;/b></title><link href="/1"/><content type="xhtml"><div>x<br/></div></content>'),
    '{"version": "https://jsonfeed.org/version/1.1", "items": [{"id": 1, "url": "/1", "content_text": "x"}]}',
    sitemap(ARTICLE),
]  # fmt: skip


def feed_or_reason(body: bytes, content_type: str | None = None) -> ParsedFeed | str:
    try:
        return read(body, content_type=content_type)
    except ParseError as error:
        return str(error)


@given(st.binary(max_size=300), st.none() | st.text(max_size=40).map("text/xml; charset={}".format))
def test_arbitrary_bytes_raise_nothing_but_parse_error(body: bytes, content_type: str | None) -> None:
    for start in (b"", b"<rss><channel><item>", b'{"version":"jsonfeed.org","items":[', b"\xff\xfe<\0"):
        outcome = feed_or_reason(start + body, content_type)

        assert isinstance(outcome, ParsedFeed) or outcome.isprintable()


edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 30), st.sampled_from([b"", b"<", b">", b"&", b"\x00", b"\xff", b'"', b"</", b"<![CDATA[", b"<!--", b"<item>", b"</item>", b"<title>", b"{", b"]", b"1e9"])),
    min_size=1, max_size=6,
)  # fmt: skip


@given(st.sampled_from(WHOLE), edits)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_damaged_documents_raise_nothing_but_parse_error(document: str, edits: list[tuple[float, int, bytes]]) -> None:  # fmt: skip
    body = document.encode()
    for place, length, insert in edits:
        start = int(place * len(body))
        body = body[:start] + insert + body[start + length :]

    outcome = feed_or_reason(body)

    if isinstance(outcome, ParsedFeed):
        assert all(found.url is None or found.url.startswith("http") for found in outcome.entries)
    else:
        assert outcome.isprintable()


# -------------------------------------------------------------------------------------- agreement


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of captured feeds is not here")
def test_we_agree_with_feedparser_on_real_feeds() -> None:
    # Every fourth, to stay quick; `python -m benchmarks.parse` compares them all.
    agreement = compare(sorted(CORPUS.glob("*.xml"))[::4])

    assert agreement.compared["files"] > 100
    for what in ("files", *FIELDS):
        assert agreement.share(what) >= 0.99, [d for d in agreement.differences if d.what == what][:5]
    assert agreement.fast >= 0.9 * agreement.compared["files"]
