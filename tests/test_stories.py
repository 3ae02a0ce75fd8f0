"""Which entries are of one story: pairs in words, laws, and floors on labelled sets."""

import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.duplicates import stories
from aggregator.duplicates.furniture import own_text
from aggregator.duplicates.stories import (
    THRESHOLD,
    WINDOW,
    Candidate,
    Signature,
    Titled,
    choose,
    signature,
    similarity,
    story_title,
)
from aggregator.places import countries
from aggregator.text import plain_text, sanitise

OWN = Path(__file__).parent / "data" / "duplicates.jsonl"
EVAL = Path(__file__).resolve().parents[2] / "shared" / "eval" / "dedup" / "items.jsonl"
MONDAY = datetime(2025, 11, 3, 9, tzinfo=UTC)


def sign(title: str, text: str = "", language: str = "en", hours: float = 0.0) -> Signature:
    at = MONDAY + timedelta(hours=hours)
    return signature(title, text, language, at, countries(title, text, language))


# ------------------------------------------------------------------------------------- one event, two


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(
            sign("Trawler sinks off Vigo, nine missing", "Nine sailors of the Nuevo Ribera are missing."),
            sign("Nine missing after trawler Nuevo Ribera goes down", "Rescuers search off Vigo.", hours=5),
            id="two-accounts",
        ),
        pytest.param(
            sign("Trawler sinks off Vigo, nine missing", "Nine sailors of the Nuevo Ribera are missing."),
            sign(
                "Hundido un pesquero frente a Vigo",
                "Hay nueve marineros desaparecidos del Nuevo Ribera.",
                "es",
            ),
            id="english-spanish",
        ),
        pytest.param(
            sign("Ribuan Warga Lereng Merapi Mengungsi", "Gunung Merapi meletus dan warga mengungsi.", "id"),
            sign("Thousands flee as Merapi volcano erupts", "Residents were evacuated from Mount Merapi."),
            id="indonesian-english",
        ),
        pytest.param(
            sign("Zelenskyy meets Scholz in Kyiv", "Volodymyr Zelenskyy and Olaf Scholz spoke of arms."),
            sign(
                "Zelenski se reúne con Scholz en Kiev",
                "Volodímir Zelenski y Olaf Scholz hablaron de armas.",
                "es",
            ),
            id="names-in-other-spelling",
        ),
        pytest.param(
            sign("Jembatan Mahkota Runtuh, Tiga Tewas", "Jembatan Mahkota di Samarinda runtuh.", "id"),
            sign(
                "Penyebab Runtuhnya Jembatan Mahkota Diselidiki",
                "Polisi memeriksa kontraktor di Samarinda.",
                "id",
                48,
            ),
            id="follow-up",
        ),
        pytest.param(
            sign(
                "Korban Banjir Ambarawa Jadi 11 Orang",
                "Tim SAR menemukan 11 korban banjir di Ambarawa.",
                "id",
            ),
            sign(
                "Korban Banjir Ambarawa Jadi 14 Orang",
                "Tim SAR menemukan 14 korban banjir di Ambarawa.",
                "id",
                6,
            ),
            id="a-toll-grows",
        ),
        pytest.param(
            sign(
                "Gempa Guncang Ambon, Basarnas Maluku Turun",
                "Basarnas Maluku mencari korban tewas di Ambon sejak Minggu, setelah gempa Sabtu.",
                "id",
            ),
            sign(
                "Basarnas Maluku Temukan Dua Korban Gempa Ambon",
                "Basarnas Maluku menemukan dua korban tewas di Ambon pada Rabu.",
                "id",
                60,
            ),
            id="a-follow-up-names-a-later-day",
        ),
    ],
)
def test_articles_of_one_event(a: Signature, b: Signature) -> None:
    assert similarity(a, b) >= THRESHOLD
    assert set(a.keys) & set(b.keys)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        pytest.param(
            sign("US strikes second boat off Venezuela, three killed", "Trump said the boat carried drugs."),
            sign(
                "US strikes third boat off Venezuela, three killed",
                "Trump said the boat carried drugs.",
                hours=30,
            ),
            id="the-second-and-the-third",
        ),
        pytest.param(
            sign("AS Serang Kapal Kedua, Tiga Tewas", "Trump menyebut kapal itu membawa narkoba.", "id"),
            sign("US strikes third boat, four killed", "Trump said the boat carried drugs.", hours=30),
            id="the-second-and-the-third-in-two-languages",
        ),
        pytest.param(
            sign("Gempa M4,1 Guncang Sabang", "Gempa M4,1 terjadi 32 km barat laut Sabang.", "id"),
            sign("Gempa M5,2 Guncang Sabang", "Gempa M5,2 terjadi 18 km barat laut Sabang.", "id", 7),
            id="two-quakes",
        ),
        pytest.param(
            sign("Harga Emas Hari Ini", "Harga emas Antam Rp2.284.000 per gram, Senin (3/11/2025).", "id"),
            sign(
                "Harga Emas Hari Ini", "Harga emas Antam Rp2.296.000 per gram, Selasa (4/11/2025).", "id", 24
            ),
            id="a-price-on-two-days",
        ),
        pytest.param(
            sign("Five things to know today", "The budget, the storm and the final."),
            sign("Five things to know today", "The budget, the strike and a wedding.", hours=24),
            id="a-standing-title",
        ),
        pytest.param(
            sign("Result: Leeds 2, Hull 0", "Final score: Leeds 2, Hull 0. Highlights in the app."),
            sign(
                "Result: Derby 2, Stoke 0", "Final score: Derby 2, Stoke 0. Highlights in the app.", hours=1
            ),
            id="two-matches-on-one-template",
        ),
        pytest.param(
            sign(
                "Maduro warns of invasion",
                "Maduro spoke in Caracas. The US has sent warships to the Caribbean.",
            ),
            sign(
                "Tankers turn back",
                "Four tankers changed course. The US has sent warships to the Caribbean.",
                hours=9,
            ),
            id="one-background",
        ),
        pytest.param(
            sign(
                "US strikes another alleged drug boat in Caribbean, killing three, Hegseth says",
                "The U.S. military struck a vessel allegedly carrying drugs in the Caribbean on Saturday, killing three "
                "men, Defense Secretary Pete Hegseth said. The strike took place in international waters.",
            ),
            sign(
                "US strikes alleged drug boat in eastern Pacific, killing two, Hegseth says",
                "The U.S. military struck a vessel allegedly carrying drugs in the eastern Pacific on Tuesday, killing "
                "two men, Defense Secretary Pete Hegseth said. The strike took place in international waters.",
                hours=54,
            ),
            id="strikes-on-two-days",
        ),
        pytest.param(
            sign(
                "EE.UU. mata a tres personas en un nuevo ataque contra una lancha en el Caribe",
                "El secretario Pete Hegseth anunció el sábado un ataque contra una lancha en el que murieron tres.",
                "es",
            ),
            sign(
                "US strikes alleged drug boat in eastern Pacific, killing two, Hegseth says",
                "The U.S. military struck a vessel allegedly carrying drugs on Tuesday, killing two, Pete Hegseth said.",
                hours=54,
            ),
            id="strikes-on-two-days-in-two-languages",
        ),
        pytest.param(
            sign(
                "Man shot dead in Spanish Town",
                "A man was shot dead in Spanish Town, St Catherine, on Monday.",
            ),
            sign(
                "Two men shot dead in Spanish Town",
                "Two men were shot dead in Spanish Town, St Catherine, on Wednesday.",
                hours=48,
            ),
            id="killings-on-two-days",
        ),
        pytest.param(
            sign(
                "Hasil Liga 1: Persib 1-0 Persija",
                "Persib Bandung menang 1-0 atas Persija Jakarta pada laga pekan ke-11 Liga 1 di Stadion GBLA. "
                "Gol tunggal dicetak pada babak kedua.",
                "id",
            ),
            sign(
                "Hasil Liga 1: Arema 1-0 Persebaya",
                "Arema FC menang 1-0 atas Persebaya Surabaya pada laga pekan ke-11 Liga 1 di Stadion Kanjuruhan. "
                "Gol tunggal dicetak pada babak kedua.",
                "id",
                2,
            ),
            id="two-matches-with-one-score",
        ),
        pytest.param(
            sign(
                "Ramalan Zodiak Aries Besok, Asmara dan Keuangan",
                "Simak ramalan zodiak besok selengkapnya mengenai asmara, karier, kesehatan dan keuangan Anda.",
                "id",
            ),
            sign(
                "Ramalan Zodiak Taurus Besok, Asmara dan Keuangan",
                "Simak ramalan zodiak besok selengkapnya mengenai asmara, karier, kesehatan dan keuangan Anda.",
                "id",
            ),
            id="one-template-filled-in-otherwise",
        ),
        pytest.param(sign("", ""), sign("", ""), id="nothing-to-go-by"),
    ],
)
def test_articles_of_two_events(a: Signature, b: Signature) -> None:
    assert similarity(a, b) < THRESHOLD


@pytest.mark.parametrize(
    ("title", "text", "day"),
    [
        pytest.param("Kebakaran", "Pasar terbakar, Minggu (2/11/2025) malam.", "2025-11-02", id="in-figures"),
        pytest.param("Fire", "The market burned down on November 1, 2025.", "2025-11-01", id="english"),
        pytest.param("Incendio", "El mercado ardió el 31 de octubre.", "2025-10-31", id="spanish"),
        pytest.param("Fire", "The market burned down on Saturday.", "2025-11-01", id="weekday"),
        pytest.param("Fire", "The market burned down on Monday.", "2025-11-03", id="today"),
        pytest.param("Fire", "It was built on 1 May 1998.", "2025-11-03", id="history-is-no-news"),
        pytest.param("Fire", "", "2025-11-03", id="of-publication"),
        pytest.param("Fire", "Call 9/99 or 0800-1-2 or 31/2.", "2025-11-03", id="no-date-at-all"),
    ],
)
def test_the_day_an_entry_tells_of(title: str, text: str, day: str) -> None:
    language = {"Kebakaran": "id", "Fire": "en", "Incendio": "es"}[title]
    assert datetime.fromordinal(sign(title, text, language).day).date().isoformat() == day


# ------------------------------------------------------------------------------------------- choosing


def test_a_newcomer_joins_the_story_of_its_best_members() -> None:
    fire, flood = "Fire at the Zenda paper mill in Ruritania", "Flood in the Strelsau valley of Ruritania"
    window = [
        Candidate(1, 10, sign(fire)),
        Candidate(2, 10, sign(fire, hours=1)),
        Candidate(3, 30, sign(flood)),
    ]
    choice = choose(sign("Zenda paper mill fire in Ruritania is out", hours=9), window)
    assert choice is not None
    assert choice.story_id == 10
    assert {entry_id for entry_id, _ in choice.edges} == {1, 2}
    assert choice.score == pytest.approx(sum(score for _, score in choice.edges) / 2)


def test_one_stray_member_does_not_pull() -> None:
    fire, flood = "Fire at the Zenda paper mill in Ruritania", "Flood in the Strelsau valley of Ruritania"
    members = [Candidate(number, 10, sign(flood)) for number in (1, 2)]
    assert choose(sign(fire), [*members, Candidate(3, 10, sign(fire))]) is None


def test_the_window_closes() -> None:
    entry = sign("Fire at the Zenda paper mill in Ruritania")
    late = sign("Fire at the Zenda paper mill in Ruritania", hours=WINDOW.total_seconds() / 3600 + 1)
    assert choose(late, [Candidate(1, 1, entry)]) is None
    assert choose(entry, []) is None


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        pytest.param([("First", 1, 0), ("Second", 1, 1)], "First", id="the-first"),
        pytest.param([("First", 1, 0), ("Second", 3, 1)], "Second", id="the-most-printed"),
        pytest.param(
            [("PANAS! Maduro Menyurat", 5, 0), ("Maduro Menyurat", 1, 1)],
            "Maduro Menyurat",
            id="not-shouting",
        ),
        pytest.param(
            [("MADURO MENYURAT PUTIN", 5, 0), ("Isi Surat", 1, 1)], "Isi Surat", id="not-in-capitals"
        ),
        pytest.param([("GEMPAR! Satu", 1, 1), ("HEBOH! Dua", 2, 2)], "HEBOH! Dua", id="all-shout"),
        pytest.param(
            [("AS Kirim Kapal", 1, 1), ("Kapal", 1, 2)], "AS Kirim Kapal", id="an-abbreviation-is-no-shout"
        ),
    ],
)
def test_the_title_of_a_story(members: list[tuple[str, int, int]], expected: str) -> None:
    titled = [Titled(title, prints, MONDAY + timedelta(hours=hour)) for title, prints, hour in members]
    assert story_title(titled) == story_title(reversed(titled)) == expected


# ----------------------------------------------------------------------------------------------- laws

SAID = "Maduro kapal boat Semeru meletus erupts 11 4,2 Senin third ketiga (3/11/2025) tewas killed F-35 White House"
WORDS = st.sampled_from(SAID.split())
SIGNATURES = st.builds(
    sign,
    st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=40),
    st.lists(WORDS, max_size=30).map(" ".join) | st.text(max_size=200),
    st.sampled_from(["id", "en", "es", "pt", "zh", ""]),
    st.integers(0, 300).map(float),
)


@given(SIGNATURES, SIGNATURES)
def test_similarity_is_symmetric_and_none_is_more_similar_than_itself(a: Signature, b: Signature) -> None:
    assert 0.0 <= similarity(a, b) <= 1.0
    assert similarity(a, b) == similarity(b, a)
    assert similarity(a, b) <= similarity(a, a)


@given(SIGNATURES)
def test_unpack_undoes_pack(one: Signature) -> None:
    assert Signature.unpack(one.pack()) == one
    assert len(one.pack()) <= 400
    assert len(set(one.keys)) == len(one.keys) <= stories.MOST_KEYS


@given(SIGNATURES, st.lists(st.tuples(st.integers(1, 4), SIGNATURES), max_size=8), st.randoms())
def test_a_choice_does_not_depend_on_the_order_of_candidates(
    newcomer: Signature, members: list[tuple[int, Signature]], random: Random
) -> None:
    window = [Candidate(number, story, one) for number, (story, one) in enumerate(members)]
    expected = choose(newcomer, window)
    random.shuffle(window)
    assert choose(newcomer, window) == expected


def test_features_are_the_same_on_every_machine() -> None:
    said = "from tests.test_stories import sign; print(sign('Semeru erupts', 'Nine dead on Sunday.').pack().hex())"
    runs = {
        subprocess.run(
            [sys.executable, "-c", said],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).resolve().parents[1])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert runs == {sign("Semeru erupts", "Nine dead on Sunday.").pack().hex()}


# ----------------------------------------------------------------------------------------------- data


def test_the_lexicon_is_well_formed() -> None:
    lines = files("aggregator.duplicates").joinpath("concepts.txt").read_text("utf-8").splitlines()
    rows = [line.split(" | ") for line in lines if line and not line.startswith("#")]
    assert not [row for row in rows if len(row) != 4]
    doubled = [name for name, count in Counter(row[0].lstrip("+-") for row in rows).items() if count > 1]
    assert not doubled
    form = re.compile(r"[a-z0-9]+(-[0-9]+|_[a-z0-9]+|\*)?")
    assert not [
        (row[0], each)
        for row in rows
        for column in row[1:]
        for each in column.split()
        if not form.fullmatch(each)
    ]


# --------------------------------------------------------------------------------------------- floors


def read(path: Path) -> tuple[dict[str, str], dict[str, Signature]]:
    """The true stories, and the signatures, of a labelled set."""
    truth, signatures = {}, {}
    for line in path.read_text("utf-8").splitlines():
        item = json.loads(line)
        text = own_text(plain_text(sanitise(item["content_html"], None)))
        at = datetime.fromisoformat(item["published"]).astimezone(UTC)
        about = countries(item["title"], text, item["lang"])
        truth[item["id"]] = item["story"]
        signatures[item["id"]] = signature(item["title"], text, item["lang"], at, about)
    return truth, signatures


def tell(signatures: dict[str, Signature]) -> dict[str, int]:
    """The stories, as entries arrive; candidates as the store finds them."""
    arrived: list[tuple[Signature, int]] = []
    found = {}
    for name, newcomer in sorted(signatures.items(), key=lambda one: (one[1].at, one[0])):
        shared = [len(set(newcomer.keys) & set(other.keys)) for other, _ in arrived]
        nearest = sorted(
            (number for number, keys in enumerate(shared) if keys), key=lambda n: (-shared[n], -n)
        )[:60]
        choice = choose(
            newcomer, [Candidate(number, arrived[number][1], arrived[number][0]) for number in nearest]
        )
        found[name] = choice.story_id if choice else len(arrived)
        arrived.append((newcomer, found[name]))
    return found


def b_cubed(truth: dict[str, str], found: dict[str, int]) -> tuple[float, float]:
    """Precision and recall, the mean over items (Bagga and Baldwin, 1998)."""

    def groups(labels: Iterable[tuple[str, object]]) -> dict[object, set[str]]:
        groups: dict[object, set[str]] = defaultdict(set)
        for name, label in labels:
            groups[label].add(name)
        return groups

    true, made = groups(truth.items()), groups(found.items())
    both = [len(true[truth[name]] & made[found[name]]) for name in truth]
    return (
        sum(n / len(made[found[name]]) for n, name in zip(both, truth, strict=True)) / len(truth),
        sum(n / len(true[truth[name]]) for n, name in zip(both, truth, strict=True)) / len(truth),
    )


@pytest.mark.parametrize(
    ("path", "precision", "recall"),
    [pytest.param(OWN, 0.97, 0.95, id="own"), pytest.param(EVAL, 0.97, 0.90, id="eval")],
)
def test_stories_of_a_labelled_set(path: Path, precision: float, recall: float) -> None:
    """Without articles, which tie copies under other titles: the program's recall is higher (test_link_quality)."""
    if not path.exists():
        pytest.skip("the shared evaluation set is not here")
    truth, signatures = read(path)
    found = b_cubed(truth, tell(signatures))
    assert found[0] >= precision, found
    assert found[1] >= recall, found
