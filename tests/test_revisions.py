"""What has changed between two versions of an entry (`duplicates.revisions`)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.duplicates.revisions import Change, difference, is_another, is_significant

TEXT = "Tiga kapal perang berlayar ke selatan pada hari Senin. Kementerian tidak mau berkomentar tentang tujuannya."


@pytest.mark.parametrize(
    ("title", "text", "significant"),
    [
        pytest.param("Kapal berlayar", TEXT, False, id="nothing"),
        pytest.param("KAPAL BERLAYAR!", TEXT, False, id="capitals and marks in the title"),
        pytest.param("Kapal berlayar", TEXT.replace("Senin.", "Senin!"), False, id="a mark"),
        pytest.param("Kapal berlayar", TEXT.replace("tidak", "tak"), False, id="one word of many"),
        pytest.param("Kapal kembali", TEXT, True, id="another headline"),
        pytest.param("Kapal berlayar", TEXT + " 12 orang tewas.", True, id="a number came"),
        pytest.param(
            "Kapal berlayar", TEXT + " Juru bicara membantah semua laporan itu.", True, id="a sentence"
        ),
        pytest.param("Kapal berlayar", "", True, id="the text is gone"),
    ],
)
def test_what_readers_hear_of(title: str, text: str, significant: bool) -> None:
    assert is_significant(("Kapal berlayar", TEXT), (title, text)) is significant
    assert is_significant((title, text), ("Kapal berlayar", TEXT)) is significant


@pytest.mark.parametrize(
    ("before", "after", "significant"),
    [
        pytest.param("Diperbarui 10:45 WIB", "Diperbarui 10:50 WIB", False, id="a time"),
        pytest.param("Diperbarui 10.45 WIB", "Diperbarui 10.50 WIB", False, id="a time with a dot"),
        pytest.param("Dibaca 1.204 kali", "Dibaca 1.377 kali", False, id="readers, id"),
        pytest.param("312 views", "340 views", False, id="readers, en"),
        pytest.param("12 comentarios", "14 comentarios", False, id="comments"),
        pytest.param("Gempa 4.5 skala", "Gempa 4.6 skala", True, id="a magnitude"),
        pytest.param("12 orang tewas", "14 orang tewas", True, id="a toll"),
    ],
)
def test_a_counter_is_no_news(before: str, after: str, significant: bool) -> None:
    assert is_significant(("a", f"{TEXT} {before}"), ("a", f"{TEXT} {after}")) is significant


def test_a_long_text_may_grow_by_a_paragraph_unheard_of_only_if_that_is_short() -> None:
    long = " ".join(["kata"] * 1000)
    assert not is_significant(("a", long), ("a", long + " dan lagi kata"))
    assert is_significant(("a", long), ("a", long + " baru" * 50))


def test_the_difference_is_readable() -> None:
    assert difference("Tiga kapal, 10 orang.", "Lima kapal, 12 orang.") == (
        ("Tiga", Change.GONE),
        ("Lima", Change.NEW),
        (" kapal, ", Change.SAME),
        ("10", Change.GONE),
        ("12", Change.NEW),
        (" orang.", Change.SAME),
    )


def test_only_paragraphs_that_differ_are_compared_word_by_word() -> None:
    long = "kata " * 20_000
    assert difference(f"{long}\nlama sekali", f"{long}\nbaru sekali") == (
        (f"{long}\n", Change.SAME),
        ("lama", Change.GONE),
        ("baru", Change.NEW),
        (" sekali", Change.SAME),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("a" * 3 + " a" * 2_000, "b" + " a" * 2_000, id="one word again and again"),
        pytest.param("ab," * 5_000, "ba," * 5_000, id="no space"),
        pytest.param("a\n" * 2_500, "b\n" + "a\n" * 2_400, id="one line again and again"),
    ],
)
def test_texts_that_would_take_long_are_compared_less_finely(before: str, after: str) -> None:
    assert len(difference(before, after)) <= 3


@given(st.text(max_size=80), st.text(max_size=80))
def test_both_versions_are_in_the_difference(before: str, after: str) -> None:
    parts = difference(before, after)
    assert "".join(text for text, change in parts if change is not Change.NEW) == before
    assert "".join(text for text, change in parts if change is not Change.GONE) == after


@pytest.mark.parametrize(
    ("after", "another"),
    [
        pytest.param("Flood kills 21\nThe river rose in the night and took nine houses.", False, id="toll"),
        pytest.param("Flood kills 19", False, id="teaser"),
        pytest.param(
            "Flood kills 19\nThe river rose in the night and took nine houses. Soldiers came at dawn, with boats and bread.",
            False,
            id="longer",
        ),
        pytest.param(
            "Gold gains\nThe price of the ounce rose in London and took all by surprise.", True, id="other"
        ),
        pytest.param("", False, id="nothing"),
    ],
)
def test_a_text_is_another_where_less_than_half_of_it_is_left(after: str, another: bool) -> None:
    before = "Flood kills 19\nThe river rose in the night and took nine houses."
    assert is_another(before, after) is is_another(after, before) is another
