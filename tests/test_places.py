"""Which countries an entry is about."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.places import MOST, countries

EVAL = Path(__file__).resolve().parents[2] / "shared" / "eval" / "tagging" / "items.jsonl"


@pytest.mark.parametrize(
    ("language", "title", "text", "expected"),
    [
        pytest.param("id", "AS Kirim Kapal Induk ke Dekat Venezuela", "", ("US", "VE"), id="names"),
        pytest.param("es", "Perú y Chile firman un acuerdo", "", ("PE", "CL"), id="accents"),
        pytest.param("en", "Dutch farmers block roads", "", ("NL",), id="a-people"),
        pytest.param(
            "es", "Pescadores colombianos denuncian abusos", "", ("CO",), id="a-people-in-lower-case"
        ),
        pytest.param("en", "Kremlin silent on talks", "", ("RU",), id="a-seat-of-power"),
        pytest.param("id", "Istana Negara Gelar Upacara", "", ("ID",), id="a-seat-of-power-in-indonesian"),
        pytest.param("es", "La Casa Blanca guarda silencio", "", ("US",), id="a-seat-of-power-in-spanish"),
        pytest.param("en", "Floods in Surabaya", "", ("ID",), id="a-city"),
        pytest.param("en", "Maduro writes to Putin", "", ("VE", "RU"), id="who-speaks-for-it"),
        pytest.param("en", "Trinidad and Tobago hosts marines", "", ("TT",), id="two-islands-one-country"),
        pytest.param("en", "South Korea and North Korea talk", "", ("KR", "KP"), id="the-longest-name"),
        pytest.param("en", "Papua New Guinea votes", "", ("PG",), id="a-name-within-a-name"),
        pytest.param("en", "New Jersey elects a governor", "", ("US",), id="not-the-island"),
        pytest.param("en", "Latin America looks on", "", (), id="a-continent"),
        pytest.param("en", "Tell us what you think", "", (), id="us-is-a-word"),
        pytest.param("en", "LET US TALK", "", (), id="us-in-a-shouted-title"),
        pytest.param("en", "as seen in the chile pepper", "", (), id="capitals-matter"),
        pytest.param("id", "Lima Orang Hilang", "", (), id="lima-is-five"),
        pytest.param("es", "Protesta en Lima", "", ("PE",), id="lima-is-a-city"),
        pytest.param("en", "", "", (), id="nothing"),
    ],
)
def test_in_the_title(language: str, title: str, text: str, expected: tuple[str, ...]) -> None:
    assert countries(title, text, language) == expected


BACKGROUND = (
    "The talks went on all night, and nobody would say how long they would last or what was in them. " * 3
)


@pytest.mark.parametrize(
    ("language", "title", "text", "expected"),
    [
        pytest.param(
            "en", "Storm nears the coast", "Jamaica shut its airports.", ("JM",), id="the-lead-alone"
        ),
        pytest.param(
            "en", "Brazil votes", "Brazil chose. " + BACKGROUND + "So did Chile.", ("BR",), id="a-mention"
        ),
        pytest.param("en", "Talks", BACKGROUND + "The venue was in Oman.", (), id="only-a-mention"),
        pytest.param(
            "id", "Banjir", "WASHINGTON - Kyoto terendam, kata pemerintah Jepang.", ("JP",), id="a-dateline"
        ),
        pytest.param(
            "id", "Banjir", "Jakarta, CNN Indonesia -- Kota di Jepang terendam.", ("JP",), id="an-outlet"
        ),
        pytest.param(
            "es", "Acuerdo", "Caracas, 26 nov (EFE).- Chile y Bolivia firman.", ("CL", "BO"), id="an-agency"
        ),
    ],
)
def test_in_the_text(language: str, title: str, text: str, expected: tuple[str, ...]) -> None:
    assert countries(title, text, language) == expected


@given(st.text(max_size=80), st.text(max_size=400), st.sampled_from([None, "id", "en", "es", "zh"]))
def test_any_text(title: str, text: str, language: str | None) -> None:
    found = countries(title, text, language)
    assert len(set(found)) == len(found) <= MOST


@given(st.lists(st.sampled_from(["Chile", "Oman", "Kenya", "Fiji", "US", "Peru", "Cuba"]), max_size=12))
def test_at_most_a_few(names: list[str]) -> None:
    assert len(countries(" and ".join(names), ", ".join(names), "en")) <= MOST


def test_the_names_are_well_formed() -> None:
    text = files("aggregator").joinpath("places.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    codes = [line.partition(":")[0] for line in lines]
    assert len(set(codes)) == len(codes) > 240
    assert not [code for code in codes if not re.fullmatch("[A-Z]{2}|-", code)]
    for name in ("Lima", "Caracas", "Jakarta", "Madrid"):
        assert len(countries(name, "", "en")) == 1, name


def test_countries_of_a_labelled_set() -> None:
    if not EVAL.exists():
        pytest.skip("the shared evaluation set is not here")
    right = wrong = missed = 0
    for line in EVAL.read_text("utf-8").splitlines():
        item = json.loads(line)
        if item["lang"] in ("id", "en", "es"):
            text = f"{item['summary']}\n{re.sub('<[^>]+>', ' ', item['content'])}"
            found, true = set(countries(item["title"], text, item["lang"])), set(item["countries"])
            right, wrong, missed = (
                right + len(found & true),
                wrong + len(found - true),
                missed + len(true - found),
            )
    # The labels are hints: persons, allusions and unnamed countries count there.
    assert right / (right + wrong) >= 0.65
    assert right / (right + missed) >= 0.6
