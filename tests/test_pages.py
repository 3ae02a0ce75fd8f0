"""The pages as a person's browser gets them: a store filled by real polls of a small press, served on loopback."""

import gzip
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import html

from aggregator.app import Aggregator
from aggregator.count import count_trends
from aggregator.duplicates.revisions import Change
from aggregator.errors import UnknownError
from aggregator.model import (
    Copy,
    Edge,
    FailureKind,
    FeedReport,
    FeedState,
    FeedStatus,
    Level,
    ListState,
    Selection,
    Subscription,
    TrendDay,
)
from aggregator.output import MADE
from aggregator.store import Store, open_store
from aggregator.text import plain_text, sanitise
from aggregator.web import make_app
from aggregator.web.live import MOST
from aggregator.web.pages import chart
from aggregator.web.pages.cards import age, card, excerpt, marked, marked_html, shortened, story_card, tie
from aggregator.web.pages.sources import rhythm, source
from aggregator.web.pages.trend import smoothed
from tests.client import BROWSER, Answer, Client, serving
from tests.conftest import poll_all
from tests.press import Press
from tests.server import Server
from tests.test_web import ENTRY, HOSTILE, TITLES, Shelf

NOW = datetime(2025, 11, 23, 12, 0, tzinfo=UTC)
TOPIC = "caribbean-tension"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Aggregator]:
    """Everything that there is to see: stories, copies, a revision, ten weeks, a feed in trouble, hostile HTML."""
    folder = tmp_path_factory.mktemp("pages")
    with Server() as server:
        press = Press(server, NOW)
        with Aggregator.open(press.configure(folder), db=str(folder / "a.db")) as it:
            it.clock = lambda: NOW
            it.subscribe()
            poll_all(it)
            press.correct()
            poll_all(it)
            count_trends(it.store, [topic.sides for topic in it.ruleset.topics])
            yield it


@pytest.fixture(scope="module")
def client(site: Aggregator) -> Iterator[Client]:
    with serving(make_app(site)) as client:
        yield client


Plain = Callable[..., Client]
"""Gives a client of a site that shows these values, and the usual ones for all others."""


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Shelf, Client]]:
    shelf = Shelf()
    with serving(make_app(cast("Aggregator", shelf))) as client:
        yield shelf, client


@pytest.fixture
def plain(served: tuple[Shelf, Client]) -> Iterator[Plain]:
    """A site of plain values, as they could stand in a database that somebody else wrote."""
    shelf, client = served
    before = dict(vars(shelf))

    def show(**values: Any) -> Client:
        vars(shelf).update(values)
        return client

    yield show
    vars(shelf).update(before)


def look(client: Client, path: str, **query: object) -> html.HtmlElement:
    address = path + ("?" + urlencode(query) if query else "")
    answer = client(address, Accept=BROWSER)
    assert answer.status == 200, answer.text
    return answer.page


def entry_id(site: Aggregator, title: str) -> int:
    (found,) = (entry.id for entry in site.store.entries_after(0, 5000) if entry.title == title)
    return found


def words(node: html.HtmlElement) -> str:
    return " ".join(node.text_content().split())


def send(client: Client, page: html.HtmlElement, action: str, **fields: str) -> Answer:
    """Send one of a page's forms as a browser would."""
    (form,) = page.xpath(
        f".//form[@action='{action}'][.//*[@name='level' and (@value or self::select)] or not(.//*[@name='level'])][1]"
    )
    given = {str(field.get("name")): str(field.get("value") or "") for field in form.xpath(".//input[@name]")}
    body = urlencode(given | fields).encode()
    return client(
        action,
        "POST",
        body,
        **{"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"},
    )


# --------------------------------------------------------------------------------------------- stories

OUTLETS = "first: Warta Pagi, Kabar Sore, Harbour Daily, El Faro del Sur"
DOCKED = "Kapal Perang AS Merapat di Trinidad, Caracas Siagakan Milisi"


def test_a_story_stands_once_with_its_outlets_in_order(client: Client) -> None:
    page = look(client, "/")
    assert page.findtext(".//title") == "Caribbean tension"
    (story,) = (
        one for one in page.findall(".//article") if words(one.find("p[@class='outlets']")) == OUTLETS
    )
    meta = words(story.find("p[@class='meta']"))
    for said in ("3 h ago", "Indonesian", "English", "Spanish", "military deployment"):
        assert said in meta
    headline = story.find("h3")
    assert headline.get("lang") in {"id", "en", "es"}
    assert "Trinidad" in [mark.text for mark in headline.iter("mark")]
    assert headline.find("a").get("rel") == "noopener noreferrer nofollow"
    why = words(story.find("details"))
    assert "Caribbean tension: “" in why
    assert "in the title" in why
    assert "All 4 accounts of it" in why


def test_stories_stand_by_day_the_newest_first(client: Client) -> None:
    days = [time.get("datetime")[:10] for time in look(client, "/").xpath(".//section[@class='day']/h2/time")]
    assert days[0] == "2025-11-23"
    assert all(earlier < later for later, earlier in pairwise(days))


def test_pages_lead_on_until_every_story_was_seen_once(client: Client, site: Aggregator) -> None:
    seen: list[str] = []
    address: str | None = "/"
    for _ in range(40):
        page = client(str(address), Accept=BROWSER).page
        seen += [name.removeprefix("story-") for name in page.xpath(".//article/@id")]
        address = next(iter(page.xpath(".//a[@rel='next']/@href")), None)
        if address is None:
            break
    expected = site.store.query(
        """SELECT DISTINCT story_id FROM entries e JOIN entry_tags t ON t.entry_id = e.id
            WHERE t.topic = :topic AND t.aspect IS NULL""",
        {"topic": TOPIC},
    )
    assert sorted(map(int, seen)) == sorted(row["story_id"] for row in expected)


@pytest.mark.parametrize(
    ("query", "heading", "feed"),
    [
        pytest.param(
            {}, "Caribbean tension", "/feeds/caribbean-tension.atom", id="a feed of the configuration"
        ),
        pytest.param({"topic": "all"}, "Everything", "/feeds/all.atom", id="everything"),
        pytest.param(
            {"language": "es"},
            "Caribbean tensionin es",
            "/feeds.atom?topic=caribbean-tension&language=es",
            id="a language",
        ),
        pytest.param(
            {"topic": TOPIC, "aspect": "strikes-at-sea", "min_outlets": 3},
            "Caribbean tensionabout strikes at sea, told by at least 3 outlets",
            "/feeds.atom?topic=caribbean-tension&aspect=strikes-at-sea&min_outlets=3",
            id="several conditions",
        ),
    ],
)
def test_every_list_has_a_heading_and_a_feed(
    client: Client, query: dict[str, str], heading: str, feed: str
) -> None:
    page = look(client, "/", **query)
    assert words(page.find(".//h1")) == heading
    assert feed in page.xpath(".//head/link[@rel='alternate']/@href")
    (address,) = page.xpath(".//a[@aria-label='These stories as Atom']/@href")
    assert address == feed
    assert client(feed).status == 200


def test_a_feed_that_we_make_ourselves_holds_no_stories(plain: Plain) -> None:
    page = look(plain(outputs=MADE), "/", topic="all")
    assert page.xpath("string(.//a[@aria-label='These stories as Atom']/@href)") == "/feeds.atom"


def test_a_condition_that_there_is_not_is_explained(client: Client) -> None:
    answer = client("/?langauge=es", Accept=BROWSER)
    assert answer.status == 400
    assert "did you mean language?" in answer.page.text_content()


def test_the_topics_can_be_chosen_where_there_are_several(client: Client, plain: Plain) -> None:
    assert not look(client, "/").xpath(".//nav[@aria-label='Topics']")
    shown = plain(topics={**TITLES, "nickel": "Nickel"})
    page = look(shown, "/", topic="nickel")
    assert words(page.find(".//p[@class='brand']")) == "Aggregator"
    (chosen,) = page.xpath(".//nav[@aria-label='Topics']//a[@aria-current='page']")
    assert chosen.get("href") == "/?topic=nickel"


def test_a_story_tells_who_was_first_and_why_it_is_one(client: Client, site: Aggregator) -> None:
    story = site.entry(entry_id(site, DOCKED)).story_id
    page = look(client, f"/stories/{story}")
    tellings = [words(li) for li in page.findall(".//ol[@class='tellings']/li")]
    assert len(tellings) == 4
    assert "Warta Pagi · first" in tellings[0] or "first" in tellings[0]
    assert "much the same text, and one credits the other: Warta Pagi" in tellings[1]
    assert re.search(r"the same event as (Warta Pagi|Kabar Sore)", tellings[2])
    assert not any("first" in telling.split("entry")[0] for telling in tellings[1:])
    assert "are left out" not in words(page)


def test_a_story_tells_that_it_is_too_long_to_be_shown_whole(
    client: Client, site: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.stories.TELLINGS", 2)
    page = look(client, f"/stories/{site.entry(entry_id(site, DOCKED)).story_id}")
    assert len(page.findall(".//ol[@class='tellings']/li")) == 2
    assert "those between are left out" in words(page)


# --------------------------------------------------------------------------------------------- entries


def test_an_entry_shows_its_evidence_where_it_stands(client: Client, site: Aggregator) -> None:
    page = look(client, f"/entries/{entry_id(site, DOCKED)}")
    content = page.find(".//div[@class='content']")
    entry = site.entry(entry_id(site, DOCKED))
    evidence = {entry.text[match.start : match.end] for match in entry.matches if match.field == "text"}
    marks = {mark.text for mark in content.iter("mark")}
    assert marks
    assert all(any(piece in mark for mark in marks) for piece in evidence)
    assert len(content.findall("p")) == 3
    copies = words(page.find(".//section[@aria-labelledby='same']"))
    assert "Warta Pagi first" in copies
    assert "Kabar Sore" in copies


def test_an_entry_says_whom_it_credits_and_what_it_belongs_to(client: Client, site: Aggregator) -> None:
    page = look(client, f"/entries/{entry_id(site, 'GEGER! ' + DOCKED)}")
    assert "Says its source is Warta Pagi" in words(page.find(".//section[@aria-labelledby='why']"))
    assert "4 outlets, 4 accounts" in words(page.find(".//section[@aria-labelledby='story']"))


def test_what_a_revision_changed_is_shown_word_by_word(client: Client, site: Aggregator) -> None:
    page = look(
        client, f"/entries/{entry_id(site, 'US strike on suspected drug boat off Venezuela kills four')}"
    )
    (edit,) = page.findall(".//section[@class='edit']")
    title, text = edit.findall("p")
    assert [(node.tag, node.text) for node in title] == [("del", "three"), ("ins", "four")]
    assert [node.text.strip() for node in text if node.tag == "ins"][
        -1
    ] == "The navy later said that a fourth body had been found."


def test_what_belongs_together_can_be_corrected(client: Client, site: Aggregator) -> None:
    number, other = (
        entry_id(site, "Ferry timetable changes for the holidays"),
        entry_id(site, "Harga Cabai Rawit Kembali Naik di Pasar Induk"),
    )
    address = f"/entries/{number}"
    page = look(client, address)
    assert not page.xpath(f".//form[@action='{address}/split']")
    answer = send(client, page, f"{address}/merge", other=f"http://127.0.0.1/entries/{other}", level="story")
    assert (answer.status, answer.headers["location"]) == (303, address)
    page = look(client, address)
    assert "joined by hand, as one story, with Warta Pagi" in words(page)
    assert send(client, page, f"{address}/split", level="story").status == 303
    assert site.entry(number).story_id != site.entry(other).story_id


@pytest.mark.parametrize(
    ("action", "fields", "status"),
    [
        pytest.param("merge", {"other": "x", "level": "story"}, 400, id="no entry"),
        pytest.param("merge", {"other": "999999999", "level": "story"}, 404, id="an entry that there is not"),
        pytest.param("merge", {"other": "1", "level": "book"}, 400, id="no level"),
        pytest.param("split", {"level": "article"}, 404, id="nothing to take it out of"),
    ],
)
def test_a_correction_that_cannot_be_is_explained(
    client: Client, site: Aggregator, action: str, fields: dict[str, str], status: int
) -> None:
    address = f"/entries/{entry_id(site, 'Maduro Minta Bantuan Radar dan Rudal kepada Rusia')}"
    token = look(client, address).xpath("string(.//input[@name='csrf']/@value)")
    body = urlencode({"csrf": token, **fields}).encode()
    answer = client(
        f"{address}/{action}",
        "POST",
        body,
        **{"Content-Type": "application/x-www-form-urlencoded", "Accept": BROWSER},
    )
    assert answer.status == status
    assert answer.page.findtext(".//h1") == {404: "Not here", 400: "Not understood"}[status]


@pytest.mark.parametrize(
    "path", ["/entries/0", "/stories/99999999999999999999999", "/sources/x", "/entries/-1", "/entries/²"]
)
def test_what_is_not_there_is_not_found(client: Client, path: str) -> None:
    assert client(path.replace("²", "%C2%B2"), Accept=BROWSER).status == 404


# --------------------------------------------------------------------------------------------- sources


def test_sources_in_trouble_come_first_and_say_why(client: Client) -> None:
    page = look(client, "/sources")
    rows = page.xpath(".//table[@class='sources']/tbody/tr")
    assert rows[0].get("class") == "ill"
    assert "Radar Utara" in words(rows[0])
    assert "overloaded" in words(rows[0])
    assert [row.get("class") for row in rows[1:]] == [None] * 8
    assert words(page.find(".//p[@class='figures']")).startswith("9 feeds 8 well 1 in trouble")


@pytest.mark.parametrize(
    ("state", "said"),
    [
        pytest.param(ListState("https://list.example/", read_at=NOW), "", id="followed"),
        pytest.param(
            ListState("https://list.example/", error="no such host"), "never read yet", id="never read"
        ),
        pytest.param(
            ListState("https://who:secret@list.example/", error="no such host", read_at=NOW),
            "https://***@list.example/, last read",
            id="read before, password masked",
        ),
    ],
)
def test_lists_in_trouble_are_told(plain: Plain, state: ListState, said: str) -> None:
    page = look(plain(followed=(state,)), "/sources")
    notices = [words(notice) for notice in page.xpath(".//*[@role='alert']")]
    assert len(notices) == bool(state.error)
    assert not said or (said in notices[0] and "no such host" in notices[0])


def test_sources_are_found_by_name(client: Client) -> None:
    assert [words(row.find("th")) for row in look(client, "/sources", q="SORE").xpath(".//tbody/tr")] == [
        "Kabar Sore"
    ]
    assert "No source is called that" in look(client, "/sources", q="nobody").text_content()
    assert look(client, "/sources", page="zz").xpath(".//tbody/tr")


def test_a_source_shows_its_polls_and_entries_and_can_be_polled(client: Client, site: Aggregator) -> None:
    (report,) = (report for report in site.feeds() if report.subscription.name == "Kabar Sore")
    address = f"/sources/{report.id}"
    page = look(client, address)
    assert "Venezuela Kerahkan Kapal Perang" in page.text_content()
    assert "2 new" in words(page.find(".//section[@aria-labelledby='polls']")) or "1 new" in words(page)
    assert (
        f"/feeds.atom?feed={report.subscription.url.replace(':', '%3A').replace('/', '%2F')}"
        in page.xpath(".//a/@href")
    )
    assert (report.state.next_poll_at or NOW) > NOW
    answer = send(client, page, f"{address}/poll")
    assert (answer.status, answer.headers["location"]) == (303, address)
    assert site.store.count_due(NOW) == 1
    assert "Next pollnow" in words(look(client, address))


def test_a_feed_that_is_not_there_cannot_be_polled(site: Aggregator) -> None:
    with pytest.raises(UnknownError, match="no feed 99"):
        site.poll_now(99)


@pytest.mark.parametrize(
    ("state", "failure", "status", "ill"),
    [
        pytest.param({"last_success_at": NOW}, None, "well", [], id="well"),
        pytest.param({}, None, "not read yet", [], id="new"),
        pytest.param({"last_success_at": NOW, "silent_since": NOW}, None, "silent", [True], id="silent"),
        pytest.param(
            {"last_success_at": NOW, "moved_to": "https://new.example/"},
            None,
            "well",
            [False],
            id="about to move",
        ),
        pytest.param(
            {"status": FeedStatus.FAILING, "last_error": "<b>"},
            FailureKind.CHALLENGE,
            "blocked",
            [True],
            id="blocked",
        ),
        pytest.param({"status": FeedStatus.PAUSED}, None, "paused", [], id="paused"),
    ],
)
def test_health_in_a_word(
    state: dict[str, Any], failure: FailureKind | None, status: str, ill: list[bool]
) -> None:
    report = FeedReport(
        1,
        Subscription("https://u:p@warta.example/"),
        FeedState("https://u:p@warta.example/", **state),
        1,
        1,
        failure=failure,
    )
    shown = source(report)
    assert (shown.status, shown.well) == (status, True not in ill)
    assert [each.ill for each in shown.conditions] == ill
    assert "p@" not in shown.url.replace("***@", "")
    assert shown.can_poll is (status != "paused")


@pytest.mark.parametrize(
    ("per_week", "said"),
    [
        (700, "100 a day"),
        (21, "3 a day"),
        (3, "3 a week"),
        (0.5, "now and then"),
        (0.01, "hardly ever"),
        (0, "not known yet"),
    ],
)
def test_rhythms_in_words(per_week: float, said: str) -> None:
    assert rhythm(per_week) == said


# ---------------------------------------------------------------------------------------------- search


def test_a_search_marks_what_was_looked_for(client: Client) -> None:
    page = look(client, "/search", q="drug boat")
    assert "1 entry for “drug boat”" in words(page.find(".//p[@class='found']"))
    assert page.xpath("string(.//input[@name='q']/@value)") == "drug boat"
    (hit,) = page.findall(".//article")
    assert [mark.text for mark in hit.iter("mark")] == ["drug", "boat"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param(
            {"q": "guiria", "language": "es"},
            ["Estados Unidos ataca otra lancha frente a Venezuela y mata a tres hombres"],
            id="language",
        ),
        pytest.param(
            {"q": "guiria", "feed": "the meridian"},
            ["US strike on suspected drug boat off Venezuela kills four"],
            id="source",
        ),
        pytest.param({"q": "timetable", "topic": TOPIC}, [], id="topic"),
        pytest.param(
            {"q": "timetable", "topic": "", "feed": "", "language": ""},
            ["Ferry timetable changes for the holidays"],
            id="fields left empty",
        ),
        pytest.param({"q": "radar", "since": "2025-11-24"}, [], id="since"),
    ],
)
def test_a_search_under_conditions(client: Client, query: dict[str, str], found: list[str]) -> None:
    page = look(client, "/search", **query)
    assert [words(heading) for heading in page.findall(".//article/h2")] == found


def test_what_a_search_finds_is_a_feed(client: Client) -> None:
    page = look(client, "/search", q="kapal perang", language="id")
    (address,) = page.xpath(".//a[@aria-label='This search as JSON Feed']/@href")
    assert address == "/feeds.json?language=id&search=kapal+perang"
    assert client(address).status == 200


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        pytest.param({}, 200, "Type a word or two", id="nothing asked"),
        pytest.param({"q": "zzzz"}, 200, "Nothing that is stored contains this", id="nothing found"),
        pytest.param(
            {"q": "x", "feed": "nobody"}, 400, "no feed has the address or name 'nobody'", id="no such source"
        ),
        pytest.param({"q": "x", "topic": "nothing"}, 400, "there is no topic", id="no such topic"),
        pytest.param({"q": "x", "since": "yesterday"}, 400, "“yesterday” is no day", id="no day"),
        pytest.param({"q": "x", "language": "<b>"}, 400, "is no language", id="no language"),
    ],
)
def test_a_search_without_result_says_why(
    client: Client, query: dict[str, str], status: int, said: str
) -> None:
    answer = client("/search?" + urlencode(query), Accept=BROWSER)
    assert answer.status == status
    assert said in words(answer.page.find(".//div[@id='hits']"))
    hits = client("/search/hits?" + urlencode(query), Accept=BROWSER)
    assert hits.status == 200
    assert said in words(hits.page)
    assert not hits.page.findall(".//h1")


def test_a_slip_in_a_query_is_explained(client: Client) -> None:
    for path in ("/search", "/search/hits"):
        page = look(client, path, q='"kapal perang')
        assert "A quotation mark has no partner, so the phrase goes on to the end." in words(page)
    assert "partner" not in words(look(client, "/search", q='"kapal perang"'))


# ----------------------------------------------------------------------------------------------- trend


def test_the_trend_marks_unusual_days_and_says_what_happened(client: Client) -> None:
    page = look(client, "/trend")
    chart_, *_ = page.xpath(".//figure/*[local-name()='svg']")
    assert chart_.get("aria-label") == "Caribbean tension: daily index"
    assert chart_.xpath("string(./*[local-name()='title'])") == "Caribbean tension: daily index"
    assert "It stood highest on 11 November 2025" in chart_.xpath("string(./*[local-name()='desc'])")
    links = chart_.xpath(".//*[local-name()='a']")
    assert "#day-2025-11-11" in [link.get("href") for link in links]
    assert all(link.get("aria-label") for link in links)
    assert not page.xpath(".//svg//@style | .//svg//style | .//svg//script")
    day = page.get_element_by_id("day-2025-11-11")
    assert words(day.find("h3")).startswith("Tuesday, 11 November 2025")
    assert day.xpath(".//li/a[starts-with(@href, '/stories/')]")
    languages = [words(row) for row in page.xpath(".//section[@aria-labelledby='languages']//tbody/tr/th")]
    assert languages == ["All languages", "Indonesian", "English", "Spanish"]
    every = int(page.xpath("string(.//section[@aria-labelledby='languages']//tbody/tr[1]/td[2])"))
    by_source = page.xpath(".//section[@aria-labelledby='by-source']//tbody/tr/td[1]")
    assert sum(int(cell.text) for cell in by_source) == every > 0
    assert len(page.xpath(".//details[@class='numbers']//tbody/tr")) > 50


def test_the_trend_says_what_100_stands_for(client: Client) -> None:
    figures = words(look(client, "/trend").find(".//p[@class='figures']"))
    assert re.search(r"100 on average from \d+ September 2025 to \d+ October 2025", figures), figures


def test_the_trend_of_the_first_days_is_what_has_been_counted(plain: Plain) -> None:
    days = tuple(TrendDay(TOPIC, date(2025, 11, 16 + n), "all", 3, 2, 40, 1, 1, 2, 30) for n in range(4))
    page = look(plain(days=days), "/trend")
    assert "So far 8 articles on it, of 160, on 4 days." in words(page.find(".//div[@class='notice']"))
    assert len(page.xpath(".//section[@class='numbers']//tbody/tr")) == 4
    assert not page.xpath(".//figure | .//section[@aria-labelledby='unusual']")


def test_the_trend_as_csv(client: Client) -> None:
    answer = client("/trend.csv?topic=" + TOPIC)
    head, *rows = answer.text.splitlines()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert head.startswith("topic,day,language,entries,articles,total_articles")
    assert {row.split(",")[2] for row in rows} == {"all", "id", "en", "es"}


@pytest.mark.parametrize("query", [{"topic": "nothing"}, {"language": "xx"}])
def test_a_trend_that_there_is_not(client: Client, query: dict[str, str]) -> None:
    assert client("/trend?" + urlencode(query), Accept=BROWSER).status == 404


def test_a_period_of_the_trend_can_be_chosen(client: Client) -> None:
    shorter = look(client, "/trend", days=30, language="es")
    assert len(shorter.xpath(".//details[@class='numbers']//tbody/tr")) <= 30
    (chosen,) = shorter.xpath(".//nav[@aria-label='Period']//a[@aria-current]")
    assert chosen.text == "30 days"


def test_a_mean_of_seven_days_is_one_of_most_of_them() -> None:
    values = [None, None, 700.0, 0.0, 0.0, 100.0, None, 100.0, None, None]
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(len(values))]
    smooth = [value for _, value in smoothed(list(zip(days, values, strict=True)))]
    assert smooth == [None] * 5 + [200.0, 200.0, 180.0, 180.0, 50.0]
    weekly = [(date(2025, 1, 1) + timedelta(days=7 * number), 1.0) for number in range(9)]
    assert {value for _, value in smoothed(weekly)} == {None}


def test_a_chart_names_what_it_shows_and_escapes_it() -> None:
    days = [(date(2025, 1, 1) + timedelta(days=number), float(number % 7)) for number in range(60)]
    svg = chart.daily(
        'A "<b>" & c', {"daily": days}, description="<i>", points=[chart.Point(*days[6], "<u>", "#x")]
    )
    root = html.fragment_fromstring(svg)
    assert root.get("aria-label") == 'A "<b>" & c'
    assert not root.xpath(".//b | .//i | .//u | .//style | .//script | .//rect")
    assert len(svg) < 6_000


# ----------------------------------------------------------------------------------- what all pages have

PAGES = ["/", "/?topic=all", "/?language=xx", "/trend", "/sources", "/sources/1", "/search", "/search?q=kapal", "/search?q=zzz",
         "/feeds/all", "/feeds/health", "/feeds?language=es", "/entries/1", "/stories/1", "/nothing"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_every_page_has_landmarks_and_one_first_heading_and_nothing_inline(client: Client, path: str) -> None:
    page = client(path, Accept=BROWSER).page
    assert page.get("lang") == "en"
    assert len(page.findall(".//main")) == len(page.findall(".//h1")) == 1
    assert page.xpath(".//script/@src") == ["/static/page.js"]
    assert not page.xpath(".//script[text()] | .//style | .//@style | .//@*[starts-with(name(), 'on')]")
    assert not page.xpath(".//input[not(@type='hidden')][not(@aria-label)][not(@id = //label/@for)]")
    ids = page.xpath(".//@id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("path", ["/", "/trend", "/stories/1", "/entries/1", "/sources", "/search?q=kapal"])
def test_a_page_that_has_not_changed_is_not_sent_again(client: Client, path: str) -> None:
    first = client(path, Accept=BROWSER)
    again = client(path, Accept=BROWSER, If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]


def test_a_page_is_sent_again_when_the_store_has_changed(client: Client, site: Aggregator) -> None:
    first = client("/", Accept=BROWSER)
    site.store.retag([])  # says that what is published may have changed
    assert client("/", Accept=BROWSER, If_None_Match=first.headers["etag"]).status == 200


@pytest.mark.parametrize(("year", "said"), [(2025, "23 Feb 16:20"), (2019, "23 Feb 2019 16:20")])
def test_a_date_of_another_year_names_it(plain: Plain, year: int, said: str) -> None:
    entry = replace(ENTRY, published_at=datetime(year, 2, 23, 16, 20, tzinfo=UTC))
    assert f"published {said} first seen 20 Nov 12:00" in words(look(plain(stored=(entry,)), "/entries/1"))


def test_an_entry_that_was_taken_back_is_shown_and_says_so(plain: Plain) -> None:
    said = "taken back by its publisher 21 Nov 09:30"
    client = plain(stored=(replace(ENTRY, withdrawn_at=datetime(2025, 11, 21, 9, 30, tzinfo=UTC)),))
    for path in ("/entries/1", "/", "/search?q=kapal"):
        page = words(look(client, path))
        assert said in page, path
        assert ENTRY.title in page
    assert "taken back" not in words(look(plain(stored=(ENTRY,)), "/entries/1"))


def test_pages_are_compressed_for_those_who_ask(client: Client) -> None:
    plain, packed = client("/", Accept=BROWSER), client("/", Accept=BROWSER, Accept_Encoding="gzip")
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 3
    assert "Accept-Encoding" in packed.headers["vary"]


def test_the_first_page_is_small(client: Client) -> None:
    assert len(client("/?topic=all", Accept=BROWSER).body) <= 60_000


# ---------------------------------------------------------------------------------------------- hostile


def test_hostile_values_are_text(plain: Plain) -> None:
    content = "<script>x</script><img src=//e.example/p onerror=x>"
    client = plain(stored=(replace(HOSTILE, story_id=1, content=content),))
    for path in (
        "/",
        "/stories/1",
        "/entries/2",
        "/feeds/all",
        "/search?q=script",
        "/search/hits?q=script",
        "/sources/1",
    ):
        answer = client(path, Accept=BROWSER)
        page = answer.page
        assert answer.status == 200
        assert not page.xpath(".//script[not(@src)] | .//iframe | .//img | .//main//b[text()='bold']")
        addresses = page.xpath(".//@href | .//@src | .//@action")
        assert all(re.match(r"(https?:/)?/|#", address) for address in addresses), addresses
        assert not page.xpath(".//*[@lang = 'x\" onload=\"y']")
        assert "\x00" not in answer.text
        assert "\u202e" not in answer.text


@pytest.mark.parametrize(
    "query", ['"><script>alert(1)</script>', "'; DROP TABLE entries --", "{{ 7*7 }}", "\x00\u202e"]
)
def test_hostile_queries_are_text(client: Client, query: str) -> None:
    for path in ("/search", "/search/hits", "/sources"):
        answer = client(f"{path}?{urlencode({'q': query})}", Accept=BROWSER)
        assert "<script>" not in answer.text
        assert (
            "49" not in words(answer.page.find(".//main") if path != "/search/hits" else answer.page).split()
        )


def test_a_full_page_of_long_entries_is_small(plain: Plain) -> None:
    text = "Tiga kapal perang Amerika Serikat berlayar menuju perairan Karibia pada hari Selasa. " * 20
    copies = tuple(Copy(number, f"Outlet {number}", "https://lain.example/1") for number in range(9))
    long = replace(ENTRY, text=text, title=text[:120], copies=copies)
    client = plain(stored=tuple(replace(long, id=number, uid=str(number)) for number in range(100)))
    assert len(client("/", Accept=BROWSER).body) <= 60_000


# ------------------------------------------------------------------------------------------- empty pages

ACTIVE, FAILING = Shelf().reports
UNREAD = replace(FAILING, state=FeedState(FAILING.state.url))


@pytest.mark.parametrize(
    ("values", "path", "advice"),
    [
        pytest.param({"reports": ()}, "/", "aggregator add", id="no feed"),
        pytest.param({"reports": (FAILING,)}, "/", "this machine’s connection", id="nothing can be read"),
        pytest.param({"reports": (UNREAD,)}, "/", "aggregator poll", id="nothing read yet"),
        pytest.param({}, "/", "Nothing about this yet", id="nothing on the topic"),
        pytest.param({}, "/?language=es", "No story is like this", id="nothing under these conditions"),
        pytest.param({}, "/?before=20250101T000000Z-1", "Nothing is older", id="behind the last"),
        pytest.param({"reports": ()}, "/sources", "aggregator add", id="no source"),
        pytest.param({}, "/trend", "There is too little for an index yet", id="no index"),
        pytest.param({}, "/sources/1", "Nothing is stored of this feed", id="an empty source"),
        pytest.param({}, "/feeds/all", "Subscribe anyway", id="an empty feed"),
    ],
)
def test_an_empty_page_says_what_to_do(plain: Plain, values: dict[str, Any], path: str, advice: str) -> None:
    assert advice in words(look(plain(stored=(), **values), path))


# ------------------------------------------------------------------------------------------------- live


class Listener:
    """A connection to `/live`."""

    def __init__(self, client: Client) -> None:
        self._socket = socket.create_connection(("127.0.0.1", client.port), timeout=10)
        self._socket.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])

    def event(self) -> str:
        """What the next event says; empty: there is none to come."""
        for line in self._file:
            if line.startswith(b"data: "):
                return line[6:].decode().strip()
            if line == b"0\r\n":
                break
        return ""

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_open_pages_are_told_of_changes(client: Client, site: Aggregator) -> None:
    listener = Listener(client)
    try:
        version = site.version()
        assert listener.event() == str(version)
        site.store.retag([])
        assert listener.event() == str(version + 1)
    finally:
        listener.close()


def test_connections_that_wait_are_bounded_and_end_with_the_server() -> None:
    stopping: list[bool] = []
    shelf = Shelf()
    with serving(make_app(cast("Aggregator", shelf), stopping=lambda: bool(stopping))) as client:
        listeners = [Listener(client) for _ in range(MOST)]
        try:
            assert {listener.event() for listener in listeners} == {str(shelf.version())}
            refused = client("/live", Accept=BROWSER)
            assert (refused.status, refused.headers["retry-after"]) == (503, "60")
            stopping.append(True)
            assert {listener.event() for listener in listeners} == {""}
        finally:
            for listener in listeners:
                listener.close()
        stopping.clear()
        again = Listener(client)
        assert again.event() == str(shelf.version())
        again.close()


# ---------------------------------------------------------------------------------------- ready to be shown


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        pytest.param("abc def", [], [("abc def", False)], id="nothing found"),
        pytest.param("abc def", [(4, 7)], [("abc ", False), ("def", True)], id="one"),
        pytest.param(
            "abcdef", [(0, 3), (2, 5)], [("abc", True), ("de", True), ("f", False)], id="overlapping"
        ),
        pytest.param("abc", [(2, 9), (7, 9)], [("ab", False), ("c", True)], id="beyond the end"),
    ],
)
def test_marking(text: str, found: list[tuple[int, int]], expected: list[tuple[str, bool]]) -> None:
    assert list(marked(text, found)) == expected


def test_an_excerpt_moves_to_what_was_found() -> None:
    text = "kata " * 100 + "Maduro " + "kata " * 100
    pieces = excerpt(text, [(500, 506)], 100)
    assert ("Maduro", True) in pieces
    assert pieces[0] == ("… ", False)
    assert pieces[-1] == (" …", False)
    assert sum(len(piece) for piece, _ in pieces) <= 105
    assert excerpt("short", [], 100) == (("short", False),)


@pytest.mark.parametrize(
    ("markup", "words_", "expected"),
    [
        pytest.param("<p>a Maduro b</p>", ["Maduro"], "<p>a <mark>Maduro</mark> b</p>", id="a word"),
        pytest.param("<p>a</p><p>Maduro</p>", ["Maduro"], "<p>a</p><p><mark>Maduro</mark></p>", id="in the second block"),
        pytest.param("kapal <b>per</b>ang", ["kapal perang"], "<mark>kapal</mark> <b><mark>per</mark></b><mark>ang</mark>", id="across a tag"),
        pytest.param("AT&amp;T &lt;x&gt; y", ["T <x>"], "AT&amp;<mark>T &lt;x&gt;</mark> y", id="entities"),
        pytest.param('<a href="https://x.example/?Maduro">z</a> Maduro', ["Maduro"],
                     '<a href="https://x.example/?Maduro">z</a> <mark>Maduro</mark>', id="not in an address"),
        pytest.param("<p>a</p>", ["q"], "<p>a</p>", id="nothing"),
    ],
)  # fmt: skip
def test_marking_html(markup: str, words_: list[str], expected: str) -> None:
    text = plain_text(markup)
    found = [(text.index(word), text.index(word) + len(word)) for word in words_ if word in text]
    assert marked_html(markup, text, found) == expected


@given(st.text(alphabet='ab <>&;"=/p\n', max_size=80), st.integers(0, 30), st.integers(0, 12))
def test_marks_change_nothing_but_marks(markup: str, start: int, length: int) -> None:
    clean = sanitise(f"<p>{markup}</p>", None)
    shown = marked_html(clean, plain_text(clean), [(start, start + length)])
    assert shown.replace("<mark>", "").replace("</mark>", "") == clean


def test_a_text_that_is_not_that_of_the_html_marks_nothing_wrong() -> None:
    assert marked_html("<p>other words</p>", "these words", [(0, 5)]) == "<p>other words</p>"
    assert marked_html("<p>abXd words</p>", "abcd words", [(5, 10)]) == "<p>abXd words</p>"


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (-5, "now"),
        (0, "now"),
        (4, "now"),
        (7, "5 min ago"),
        (59, "55 min ago"),
        (61, "1 h ago"),
        (47 * 60, "47 h ago"),
        (72 * 60, "3 days ago"),
    ],
)
def test_ages(minutes: int, said: str) -> None:
    assert age(timedelta(minutes=minutes)) == said


def test_of_what_stayed_the_same_only_the_neighbourhood_is_shown() -> None:
    same = "word " * 200
    pieces = ((same, Change.SAME), ("old", Change.GONE), (same, Change.SAME))
    assert shortened(pieces, 10) == (
        (" … word word ", Change.SAME), ("old", Change.GONE), ("word word  … ", Change.SAME),
    )  # fmt: skip
    assert shortened(((same, Change.SAME),)) == ()


@pytest.mark.parametrize(
    ("method", "score", "said"),
    [
        ("url", 1.0, "the same address as"), ("event", 0.62, "the same event as"), ("by hand", 1.0, "joined by hand, as one story, with"),
    ],
)  # fmt: skip
def test_ties_in_words(method: str, score: float, said: str) -> None:
    shown = tie(Edge(1, 2, Level.STORY, method, score), 2, "Warta\u202e Pagi")
    assert (shown.text, shown.other, shown.sure) == (said, "Warta Pagi", "" if score == 1 else "62%")


def test_a_source_without_a_title_is_called_by_its_address_without_what_is_secret() -> None:
    state = FeedState("https://reader:canary@papers.example/world/feed")
    found = source(replace(UNREAD, state=state, subscription=Subscription(state.url)))
    assert found.name.endswith("papers.example/world/feed")
    assert "canary" not in found.name + found.url


def test_a_story_is_not_newer_than_its_newest_text_was_found(site: Aggregator) -> None:
    story = site.story(site.entry(entry_id(site, DOCKED)).story_id or 0)
    tomorrow = tuple(replace(telling, at=NOW + timedelta(days=1)) for telling in story.tellings)
    assert story_card(replace(story, tellings=tomorrow), {}).time == story.last_seen_at


def test_a_card_holds_nothing_foreign_that_is_not_text_or_an_address() -> None:
    shown = card(HOSTILE, TITLES)
    assert shown.url is None
    assert shown.lang is None
    assert [outlet.url for outlet in shown.also] == [None, None]
    assert [url for _, url in shown.credits] == [None]


# -------------------------------------------------------------------------------------- stories, stored


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "stories.db") as store:
        yield store


def fill(store: Store, *told: tuple[int, int, str | None]) -> None:
    """Entries, each as (story, hour it is listed at, topic); by SQL, for the order is what is tested."""
    with store._write() as db:
        db.execute(
            "INSERT INTO feeds (id, url, subscription_url, host, added_at) VALUES (1, 'u', 'u', 'u', '2025-11-01T00:00:00Z')"
        )
        for number, (story, hour, topic) in enumerate(told, 1):
            at = f"2025-11-20T{hour:02}:00:00Z"
            db.execute(
                "INSERT OR IGNORE INTO stories VALUES (?, ?, 1, 1, ?, ?)", (story, f"Story {story}", at, at)
            )
            db.execute(
                "INSERT INTO articles VALUES (?, ?, 1, 1, ?, ?, ?)", (number, number, at, str(number), story)
            )
            db.execute(
                """INSERT INTO entries (id, feed_id, title, first_seen_at, last_seen_at, changed_at, listed_at, article_id,
                                        story_id, uid, key, hash, summary, content, text)
                   VALUES (:id, 1, :title, :at, :at, :at, :at, :id, :story, :id, :id, x'00', '', '', '')""",
                {
                    "id": number,
                    "title": f"Story {story}" if number % 2 else "Another",
                    "at": at,
                    "story": story,
                },
            )
            if topic:
                db.execute("INSERT INTO entry_tags VALUES (?, ?, NULL, 30, ?)", (number, topic, at))


def walked(store: Store, selection: Selection, limit: int) -> list[tuple[int, int]]:
    """All stories, page by page, each with the entry that leads it."""
    found: list[tuple[int, int]] = []
    before: str | None = None
    for _ in range(50):
        page, before = store.stories(selection, before=before, limit=limit)
        assert len(page) <= limit
        found += [(story.id, story.lead.id) for story in page]
        if before is None:
            break
    return found


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_stories_stand_where_the_newest_entry_does_that_fits(store: Store, limit: int) -> None:
    fill(store, (1, 1, "a"), (2, 2, "a"), (1, 3, None), (3, 4, "a"), (2, 5, "a"), (4, 6, None))
    assert [story for story, _ in walked(store, Selection(topic="a"), limit)] == [2, 3, 1]
    assert [story for story, _ in walked(store, Selection(), limit)] == [4, 2, 3, 1]


def test_the_entry_that_named_a_story_leads_it_if_it_fits(store: Store) -> None:
    fill(store, (1, 1, "a"), (1, 2, "a"), (2, 3, None), (2, 4, "a"))
    assert walked(store, Selection(topic="a"), 10) == [(2, 4), (1, 1)]


@given(
    st.lists(st.tuples(st.integers(1, 5), st.integers(0, 9), st.sampled_from(["a", None])), max_size=14),
    st.integers(1, 4),
)
@settings(max_examples=25, deadline=None)
def test_walking_shows_each_story_once(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[int, int, str | None]], limit: int
) -> None:
    with open_store(tmp_path_factory.mktemp("walk") / "a.db") as store:
        fill(store, *told)
        found = [story for story, _ in walked(store, Selection(topic="a"), limit)]
        assert sorted(found) == sorted({story for story, _, topic in told if topic})


def test_of_a_long_story_the_beginning_and_the_end_are_shown(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.stories.TELLINGS", 6)
    monkeypatch.setattr("aggregator.store.stories.IN_A_LIST", 4)
    fill(store, *((1, hour, "a") for hour in range(9)), (2, 9, "b"))
    with store._write() as db:
        db.execute("UPDATE stories SET article_count = 9 WHERE id = 1")
    whole = store.story(1)
    assert [telling.entry_id for telling in whole.tellings] == [1, 2, 3, 7, 8, 9]
    (other, listed), _ = store.stories(Selection(), limit=9)
    assert [telling.entry_id for telling in listed.tellings] == [1, 2, 8, 9]
    assert [telling.entry_id for telling in other.tellings] == [10]
    assert (whole.aspects, other.aspects) == (("a",), ("b",))


def test_a_cursor_that_is_none(store: Store) -> None:
    with pytest.raises(UnknownError, match="is no cursor"):
        store.stories(Selection(), before="yesterday", limit=1)


def test_a_story_card_counts_the_outlets_it_does_not_name(site: Aggregator) -> None:
    story = site.story(site.entry(entry_id(site, DOCKED)).story_id or 0)
    tellings = tuple(
        replace(telling, outlet=f"Outlet {number}") for number, telling in enumerate(story.tellings * 3)
    )
    shown = story_card(replace(story, tellings=tellings, feed_count=12), {})
    assert [outlet.name for outlet in shown.outlets] == [f"Outlet {number}" for number in range(5)]
    assert shown.more == 7
