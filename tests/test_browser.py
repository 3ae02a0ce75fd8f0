"""End to end: a real browser before the pages of a real daemon, which polls a small press."""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from aggregator.app import Aggregator
from aggregator.count import count_trends
from tests.conftest import poll_all
from tests.press import FRESH, Press
from tests.server import Server
from tests.test_daemon import daemon

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]  # fmt: skip
WAIT = 10_000
"""Milliseconds for what the page does by itself."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium; Debian's package `chromium` has one"),
    # playwright's own objects, which are collected after its loop has ended
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclass(frozen=True)
class World:
    """What there is to see: the address of the pages, the press behind them."""

    url: str
    press: Press


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("browser")
    with Server() as server:
        press = Press(server, datetime.now(UTC))
        with Aggregator.open(press.configure(folder)) as it:
            it.subscribe()
            poll_all(it)
            press.correct()
            poll_all(it)
            count_trends(it.store, [topic.sides for topic in it.ruleset.topics])
        with daemon(folder) as running:
            yield World(running.url, press)


@pytest.fixture(scope="module")
def browser(
    world: World,
) -> Iterator[Browser]:  # playwright keeps an event loop running: all that needs its own goes first
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


Open = Callable[..., Page]


@pytest.fixture
def visit(browser: Browser, world: World) -> Iterator[Open]:
    """Open a page; in the end nothing may have been said on its console, nor asked of any other server."""
    said: list[str] = []
    contexts = []

    def visit(path: str = "/", *, width: int = 1120, height: int = 900, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, base_url=world.url, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on(
            "request", lambda request: None if request.url.startswith(world.url) else said.append(request.url)
        )
        answer = page.goto(path)
        assert answer is not None
        assert answer.ok, answer.status
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []


DOCKED = "Warta Pagi, Kabar Sore, Harbour Daily, El Faro del Sur"
STRIKE = "The Meridian, Diario del Istmo, Jurnal Laut"
"""Two stories, by who tells them."""


def story(page: Page, outlets: str) -> Locator:
    """A story in the list."""
    return page.locator("article", has=page.get_by_text(f"first: {outlets}", exact=True))


def follow(page: Page, outlets: str) -> None:
    """Go to the page of a story."""
    one = story(page, outlets)
    one.locator("summary").click()
    one.get_by_role("link", name="accounts of it").click()
    expect(page.locator(".tellings")).to_be_visible()


def test_a_story_is_read_from_headline_to_reason(visit: Open) -> None:
    page = visit()
    article = story(page, DOCKED)
    assert article.locator("h3 mark").count() >= 2
    expect(article.locator(".notes")).to_be_hidden()
    article.locator("summary").click()
    expect(article.locator(".notes")).to_contain_text("in the title")
    article.get_by_role("link", name="All 4 accounts").click()
    expect(page.locator(".tellings > li")).to_have_count(4)
    expect(page.locator(".tellings > li").first).to_contain_text("Warta Pagi")
    expect(page.locator(".tellings > li").nth(1)).to_contain_text("one credits the other: Warta Pagi")


def test_one_subscribes_by_a_link(visit: Open) -> None:
    page = visit()
    page.get_by_role("link", name="These stories", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Caribbean tension")
    address = page.locator(".addresses code").first.inner_text()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/feeds/caribbean-tension\.atom", address)
    answer = page.request.get(address)
    assert answer.headers["content-type"].startswith("application/atom+xml")
    assert "Kapal Perang AS Merapat" in answer.text()


def test_a_revision_is_shown_word_by_word(visit: Open) -> None:
    page = visit()
    follow(page, STRIKE)
    page.locator("li", has_text="The Meridian").first.get_by_role("link", name="entry").click()
    edit = page.locator(".edit").first
    expect(edit.locator(".title del")).to_have_text("three")
    expect(edit.locator(".title ins")).to_have_text("four")
    expect(edit.locator("ins").last).to_contain_text("a fourth body had been found")


def test_one_searches_while_typing(visit: Open) -> None:
    page = visit("/search")
    page.get_by_label("Words").press_sequentially("guiria", delay=20)
    expect(page.locator("#hits .found")).to_contain_text("3 entries for “guiria”")
    expect(page).to_have_url(re.compile(r"/search\?q=guiria$"))
    page.get_by_label("Language").select_option("es")
    expect(page.locator("#hits article")).to_have_count(1)
    expect(page.locator("#hits article h2")).to_contain_text("Estados Unidos ataca otra lancha")
    page.get_by_label("Words").fill("zzzz")
    expect(page.locator("#hits")).to_contain_text("Nothing that is stored contains this")
    page.go_back()  # what was typed is one step, not many
    assert page.url == "about:blank"


def test_a_search_works_without_a_script_and_becomes_a_feed(visit: Open) -> None:
    page = visit("/", java_script_enabled=False)
    page.get_by_role("searchbox").fill("kapal perang")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("#hits article").first).to_be_visible()
    link = page.get_by_role("link", name="This search as Atom")
    assert page.request.get(str(link.get_attribute("href"))).ok


def test_news_is_told_and_shown_when_asked_for(visit: Open, world: World) -> None:
    """The button asks a source now, and a page that is open says what came of it."""
    reader, operator = visit(), visit("/sources")
    before = reader.locator("article").first.inner_text()
    world.press.tell(FRESH)
    operator.get_by_role("link", name=FRESH.outlet).click()
    operator.get_by_role("button", name="Poll now").click()
    expect(operator).to_have_url(re.compile(r"/sources/\d+$"))
    button = reader.get_by_role("button", name="1 new – show")
    expect(button).to_be_visible()
    assert reader.locator("article").first.inner_text() == before
    button.click()
    expect(reader.locator("article h3").first).to_have_text(FRESH.title)
    expect(button).to_be_hidden()


def test_the_keyboard_is_enough(visit: Open) -> None:
    page = visit()

    def focused() -> str:
        return str(
            page.evaluate(
                "document.activeElement.closest('article')?.dataset.story ?? document.activeElement.id"
            )
        )

    stories = page.locator("[data-story]").evaluate_all(
        "all => all.slice(0, 2).map(one => one.dataset.story)"
    )
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for key, there in (
        ("j", stories[0]),
        ("j", stories[1]),
        ("k", stories[0]),
        ("k", stories[0]),
        ("/", "find"),
    ):
        page.keyboard.press(key)
        assert focused() == there
    page.keyboard.type("jk/")
    expect(page.locator("#find")).to_have_value("jk/")


@pytest.mark.parametrize(
    "path", ["/", "/sources", "/trend", "/search?q=kapal", "/entries/1", "/feeds/all", "/hostile"]
)
def test_a_phone_needs_no_sideways_scrolling(visit: Open, path: str) -> None:
    page = visit("/" if path == "/hostile" else path, width=360, height=740)
    if path == "/hostile":
        open_hostile_entry(page)
    for name in page.locator(".meta > :first-child").all()[:1]:
        name.evaluate("name => { name.textContent = 'The long name of a source, '.repeat(3) }")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    expect(page.get_by_role("navigation", name="Pages")).to_be_visible()


def test_it_is_dark_where_that_is_wanted(visit: Open) -> None:
    def brightness(page: Page) -> float:
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", str(colour))[:3])) / 3

    assert brightness(visit(color_scheme="light")) > 200
    assert brightness(visit(color_scheme="dark")) < 60


def test_the_trend_leads_from_a_mark_to_what_happened(visit: Open) -> None:
    page = visit("/trend")
    page.locator("figure svg a").first.click()
    expect(page).to_have_url(re.compile(r"#day-\d{4}-\d\d-\d\d$"))
    day = page.locator(".unusual:target")
    expect(day.locator("li a").first).to_be_visible()
    page.get_by_text("All numbers").click()
    expect(page.get_by_role("link", name="Everything as CSV")).to_be_visible()


def open_hostile_entry(page: Page) -> None:
    article = page.locator("article", has_text="US warship off Venezuela")
    article.locator("summary").click()
    article.get_by_role("link", name="The whole entry").click()
    expect(page.locator(".content")).to_be_visible()


def test_a_hostile_entry_does_nothing(visit: Open) -> None:
    page = visit()
    open_hostile_entry(page)
    expect(page.locator(".content")).to_contain_text("Caracas and the US warship, {{ 7 * 7 }}.")
    expect(page.locator("main")).to_be_visible()
    assert (
        page.locator(
            ".content :is(script, img, svg, iframe, form, style, [style], [onerror], [href^=java])"
        ).count()
        == 0
    )
    assert page.evaluate("window.broken") is None
    assert page.get_by_role("link", name="Read it at").count() == 0  # its address was no address


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/trend",
        "/sources",
        "/sources/9",
        "/search?q=kapal",
        "/feeds/all",
        "/story",
        "/entry",
        "/hostile",
    ],
)
def test_nothing_keeps_anybody_out(visit: Open, path: str, scheme: str) -> None:
    """axe-core finds no violation of WCAG 2.2 AA, nor of its own best practices."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = visit("/" if path in {"/story", "/entry", "/hostile"} else path, color_scheme=scheme)
    if path == "/hostile":
        open_hostile_entry(page)
        page.set_viewport_size({"width": 360, "height": 740})
    if path in {"/story", "/entry"}:
        follow(page, DOCKED)
        if path == "/entry":
            page.locator(".tellings a", has_text="entry").nth(1).click()
    for summary in page.locator("summary").all()[:2]:
        summary.click()
    found = axe.run(page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found] == []
