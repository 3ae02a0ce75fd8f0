"""How well articles, stories and sources are told, by the whole program: labelled items, recorded and linked."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from benchmarks.dedup import found, in_order, load, score, shuffled

OWN = Path(__file__).parent / "data" / "duplicates.jsonl"
EVAL = Path(__file__).resolve().parents[2] / "shared" / "eval" / "dedup" / "items.jsonl"


@pytest.mark.parametrize(
    ("file", "article", "story", "attribution"),
    [
        pytest.param(OWN, 0.98, 0.97, 0.98, id="own-items"),
        pytest.param(EVAL, 0.96, 0.95, 0.90, id="evaluation-set"),
    ],
)
def test_it_works_this_well(
    tmp_path: Path, file: Path, article: float, story: float, attribution: float
) -> None:
    if not file.exists():
        pytest.skip("the evaluation set is not part of the project and is not here")
    items = in_order(load(file))
    reached = score(items, found(items, tmp_path / "dedup.db"))
    assert reached.article >= article, reached
    assert reached.story >= story, reached
    assert reached.attribution >= attribution, reached


@pytest.mark.parametrize("file", [pytest.param(OWN, id="own-items"), pytest.param(EVAL, id="evaluation-set")])
def test_the_order_of_arrival_does_not_matter_to_articles(tmp_path: Path, file: Path) -> None:
    if not file.exists():
        pytest.skip("the evaluation set is not part of the project and is not here")
    items = load(file)[:120]

    def articles(seed: int) -> set[frozenset[str]]:
        members = defaultdict(set)
        for one in found(shuffled(items, seed), tmp_path / f"{seed}.db"):
            members[one["article_cluster"]].add(one["id"])
        return {frozenset(some) for some in members.values()}

    first = articles(1)
    assert any(len(article) > 1 for article in first)
    assert articles(2) == first


# --------------------------------------------------------------------------------- what feeds repeat

SUBJECTS = [
    "Oil tanker seized off Venezuela",
    "Flood in Valencia leaves many homeless",
    "Parliament votes on the budget",
    "New vaccine shows promise in trials",
    "Volcano erupts on remote island",
    "Orchestra opens its season",
    "Farmers block the motorway",
    "Bakery chain files for bankruptcy",
    "Rare owl returns to the valley",
    "Teachers end their walkout",
    "Chess prodigy beats champion",
    "Bridge closes for repairs",
]
CLUBS = "Persib Persija Arema Persebaya Borneo Bhayangkara Dewa Madura Malut Persik Persita Semen".split()  # noqa: SIM905 – names to be read
SIGNS = "Aries Taurus Gemini Cancer Leo Virgo Libra Scorpio Sagitarius Capricorn Aquarius Pisces".split()  # noqa: SIM905 – likewise
DAY = timedelta(days=1)


def noise() -> Iterator[tuple[str, str, timedelta, str, str]]:
    """Feed, language, time, title, text of entries of which each is an article and a story of its own."""
    for number, subject in enumerate(SUBJECTS):
        hour = timedelta(hours=number)
        blurb = "Watch the latest videos from our correspondents around the world every day, subscribe now."
        yield "Video", "en", hour, subject, blurb
        sponsors = (
            "As heard on this episode: Harbor Insurance, Homestead Loans and Bright Mattress. Tools to get you started: "
            "the debt calculator, the budget course and the Harbor Network podcasts about money, work and retirement."
        )
        yield "Harbor Network", "en", 2 * hour, f"{subject} (Hour {number % 3 + 1})", sponsors
        tail = "Read on at Valley Herald, the newspaper of Green Valley and Milltown!"
        yield (
            "Valley Herald",
            "en",
            hour,
            f"{subject} here",
            f"{subject}, our reporter {SIGNS[number]} says. {tail}",
        )
    for number, (home, guest) in enumerate(zip(CLUBS[::2], CLUBS[1::2], strict=True)):
        text = (
            f"{home} menang 1-0 atas {guest} pada laga pekan ke-11 Liga 1. Gol tunggal dicetak pada babak kedua, dan "
            "pelatih memuji semangat para pemain."
        )
        yield "Bola", "id", timedelta(hours=2 * number), f"Hasil Liga 1: {home} 1-0 {guest}", text
        teaser = (
            "Todos los goles, el resumen y el resultado del partido de la jornada 11, en directo y con vídeo."
        )
        yield "Gol", "es", timedelta(hours=number), f"{home} - {guest}: resumen, resultado y goles", teaser
    for day in range(2):
        for sign in SIGNS:
            teaser = "Simak ramalan zodiak besok mengenai asmara, karier, kesehatan dan keuangan menurut ahli astrologi."
            yield "Bintang", "id", day * DAY, f"Ramalan Zodiak {sign} Besok, Asmara dan Keuangan", teaser
    for day in range(5):
        teaser = (
            "Harga emas batangan hari ini dapat dilihat di laman resmi, lengkap dengan harga beli kembali."
        )
        yield "Kurs", "id", day * DAY, "Harga Emas Antam Hari Ini", teaser
        teaser = "The central bank publishes its reference rates for the world's main currencies on every working day."
        yield "Market Desk", "en", day * DAY, "Daily exchange rates", teaser


def test_what_feeds_repeat_ties_nothing_together(tmp_path: Path) -> None:
    """Blurbs, sponsors, templates, standing titles: the labelled sets hold next to none of these."""
    start = datetime(2025, 11, 3, 6, tzinfo=UTC)
    items: list[dict[str, Any]] = [
        {
            "id": f"{feed}, {number}",
            "source": feed,
            "lang": language,
            "url": f"https://{language}.example/{number}",
            "guid": f"https://{language}.example/?p={number}",
            "published": (start + after).isoformat(),
            "title": title,
            "content_html": f"<p>{text}</p>",
        }
        for number, (feed, language, after, title, text) in enumerate(noise())
    ]
    told = found(in_order(items), tmp_path / "dedup.db")
    feed_of = {item["id"]: item["source"] for item in items}

    def wrong(level: str) -> list[tuple[str, str]]:
        pairs = ((a, b) for a, b in combinations(told, 2) if feed_of[a["id"]] == feed_of[b["id"]])
        return [(a["id"], b["id"]) for a, b in pairs if a[level] == b[level]]

    assert len(told) > 70
    assert not wrong("article_cluster")
    assert len(wrong("story_cluster")) <= 6, wrong(
        "story_cluster"
    )  # of Leo, whose name is too short to be a word
