"""The rule language: what terms find, what rules make of it, what is said when a rule is wrong."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.config.document import read_document
from aggregator.errors import ConfigError, Problem, UnknownError
from aggregator.model import Document, EntryText, Sides
from aggregator.topics import Ruleset, compile_topics, evaluate
from aggregator.topics.engine import DEEP, LEAD
from aggregator.topics.words import fold, inflected

DOCS = Path(__file__).resolve().parents[1] / "docs" / "topics.md"

PACK = """\
slug: ferries
title: Ferries
description: Ferries and their accidents.
concepts:
  ferry:
    any: ferry, ferries
  accident:
    en: sinks, fire
    id: ~tenggelam
  film:
    any: Netflix
rules:
  both:
    all: ferry, accident
"""


def compiled(text: str, *others: str) -> Ruleset:
    return compile_topics([read_document(each, "pack.yaml") for each in (text, *others)])


def pack(concepts: Mapping[str, Any], rules: Mapping[str, Any], **more: Any) -> Document:
    data = {"slug": "t", "title": "T", "description": "D", "concepts": concepts, "rules": rules}
    return Document("t.yaml", {**data, **more})


def finder(term: str, language: str = "any") -> Ruleset:
    return compile_topics([pack({"c": {language: [term]}}, {"r": {"all": "c"}})])


def found(ruleset: Ruleset, text: str, language: str | None = None) -> list[str]:
    """What of the text was taken as evidence."""
    return [text[m.start : m.end] for m in ruleset.match(EntryText(text, "", "", (), language))[1]]


def tagged(ruleset: Ruleset, title: str = "", summary: str = "", text: str = "", **more: Any) -> bool:
    return bool(ruleset.match(EntryText(title, summary, text, **more))[0])


# ------------------------------------------------------------------------------ the reference page


def test_the_example_of_the_reference_compiles() -> None:
    example = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[0]

    ruleset = compiled(example)

    assert [topic.slug for topic in ruleset.topics] == ["island-ferries"]
    tags, _ = ruleset.match(EntryText("Ferry sinks off the cape", "", "", (), "en"))
    assert [(tag.aspect, tag.score) for tag in tags] == [(None, 80.0), ("safety", 40.0)]
    assert not tagged(ruleset, "Netflix film about a ferry that sank", language="en")


ROWS = re.findall(
    r"^\| `([^`]+)` \| (\w+) \| ([^|]+) \| ([^|]+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE
)


@pytest.mark.parametrize(("term", "language", "finds", "misses"), ROWS, ids=[row[0] for row in ROWS])
def test_terms_find_what_the_reference_says(term: str, language: str, finds: str, misses: str) -> None:
    ruleset = finder(term, language)

    for text in finds.split(", "):
        assert found(ruleset, text, language), text
    assert not found(ruleset, misses, language)


# ------------------------------------------------------------------------------------------ words


@given(st.text())
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        pytest.param("Curaçao", "curacao", id="diacritics"),
        pytest.param("“Straße” – ærlig", " strase    arlig", id="quotes and ligatures"),
        pytest.param("Łódź’s", "lodz s", id="beyond Latin-1"),
        pytest.param("Киев, №1", "киев  n1", id="another script stays"),
        pytest.param("İstanbul", "istanbul", id="a capital whose lower case is two signs"),
    ],
)
def test_folding(text: str, folded: str) -> None:
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("root", "forms"),
    [
        pytest.param(
            "serang", "serang menyerang diserang penyerangan serangannya terserang", id="s gives way"
        ),
        pytest.param("tembak", "menembak menembaki penembakan ditembaknya tertembak", id="t gives way"),
        pytest.param("pukul", "memukul pemukulan dipukuli", id="p gives way"),
        pytest.param("kirim", "mengirim mengirimkan pengiriman dikirimnya", id="k gives way"),
        pytest.param("bom", "mengebom pengeboman dibom membom", id="one syllable"),
        pytest.param("protes", "memprotes diprotes", id="a cluster stays"),
        pytest.param("senjata", "bersenjata persenjataan mempersenjatai", id="ber- and per-"),
        pytest.param("rampas", "merampas perampasan dirampas", id="r takes no nasal"),
        pytest.param("invasi", "menginvasi diinvasi", id="a vowel takes ng"),
        pytest.param("syarat", "mensyaratkan disyaratkan", id="sy takes n"),
    ],
)
def test_indonesian_affixes(root: str, forms: str) -> None:
    starts, accepts = inflected(root, "id")
    for form in forms.split():
        assert accepts(form, form), form
        assert form.startswith(starts), form


@pytest.mark.parametrize(
    ("language", "word", "forms", "others"),
    [
        pytest.param("en", "seize", "seizes seized SEIZING", "seizure size", id="English"),
        pytest.param("es", "sanción", "sanciones SANCIÓN SANCION", "santo", id="Spanish"),
        pytest.param("es", "hundir", "hundió hundidas HUNDIÓ", "hondo", id="Spanish verb"),
        pytest.param("pt", "míssil", "míssil MISSIL", "missa", id="Portuguese"),
        pytest.param("fr", "frapper", "frappé FRAPPES frappera", "frais", id="French"),
        pytest.param("nl", "aanval", "aanvallen aanval", "aanvang", id="Dutch"),
    ],
)
def test_inflected_terms(language: str, word: str, forms: str, others: str) -> None:
    ruleset = finder(f"~{word}", language)
    for form in forms.split():
        assert found(ruleset, f"La {form}.", language) == [form]
    for other in others.split():
        assert not found(ruleset, f"La {other}.", language)


@pytest.mark.parametrize(
    ("term", "text", "expected"),
    [
        pytest.param("Karibia", "di Karibia.", ["Karibia"], id="at a full stop"),
        pytest.param("arma", "alarmas", [], id="not within a word"),
        pytest.param(
            "Gerald R Ford", "USS Gerald R. Ford", ["Gerald R. Ford"], id="an abbreviation's full stop"
        ),
        pytest.param(
            "St Vincent*", "in St. Vincentian waters", ["St. Vincentian"], id="abbreviation and prefix"
        ),
        pytest.param("=U.S.", "the U.S. Navy", ["U.S"], id="full stops in an exact term"),
        pytest.param("=EE. UU.", "de EE. UU. hoy", ["EE. UU"], id="an exact phrase"),
        pytest.param("=AS", "as and As", [], id="capitals count"),
        pytest.param("boat strike", "a boat. Strike it", [], id="a phrase ends with its sentence"),
        pytest.param("Mar-a-Lago", "at Mar‑a‑Lago", ["Mar‑a‑Lago"], id="any kind of hyphen"),
        pytest.param("Москва", "В МОСКВА.", ["МОСКВА"], id="other scripts"),
    ],
)
def test_terms(term: str, text: str, expected: list[str]) -> None:
    assert found(finder(term), text) == expected


def test_a_phrase_does_not_reach_from_one_field_into_the_next() -> None:
    assert not tagged(finder("car boat"), title="The car", text="boat is late")


def test_a_language_hides_its_terms_from_others_but_not_from_the_unknown() -> None:
    ruleset = finder("=AS", "id")
    assert found(ruleset, "Armada AS", "id")
    assert found(ruleset, "Armada AS", "ms"), "Malay reads as Indonesian"
    assert found(ruleset, "Armada AS", None)
    assert not found(ruleset, "SAME AS BEFORE", "en")


def test_an_exception_hides_the_term_within_it_and_no_other() -> None:
    ruleset = compile_topics([pack({"c": {"id": "=AS", "except": "AS Roma"}}, {"r": {"all": "c"}})])
    assert not found(ruleset, "AS Roma menang", "id")
    assert found(ruleset, "AS Roma dijamu AS", "id") == ["AS"]


@given(st.text(alphabet="aé. ŁŞ—ferry“İß\n"), st.text(alphabet="aé. ŁŞ—ferry“İß\n"))
def test_evidence_stands_where_it_says(before: str, after: str) -> None:
    title = f"{before} Ferry {after}"
    _, matches = finder("ferry").match(EntryText(title, "", ""))
    assert matches
    for match in matches:
        assert (match.field, title[match.start : match.end].lower()) == ("title", "ferry")


def test_evidence_names_the_field_and_counts_in_its_text() -> None:
    ruleset = finder("ferry")
    entries = {
        "title": EntryText("A ferry", "", ""),
        "summary": EntryText("x", "A ferry", "y"),
        "text": EntryText("x", "", "A ferry"),
        "categories": EntryText("x", "", "", ("A", "ferry")),
    }
    for field, entry in entries.items():
        explanation = ruleset.explain(entry)[1]
        start = 3 if field == "categories" else 2
        assert [(m.field, m.start, m.end) for m in explanation.terms] == [(field, start, start + 5)]


# ------------------------------------------------------------------------------------------ rules


@pytest.mark.parametrize(
    ("rule", "title", "fires"),
    [
        pytest.param({"all": "a, b"}, "alpha beta", True, id="all"),
        pytest.param({"all": "a, b"}, "alpha", False, id="all but one"),
        pytest.param({"any": "a, b"}, "beta", True, id="any"),
        pytest.param({"all": ["a", "b or c"]}, "alpha gamma", True, id="or within all"),
        pytest.param({"all": "a", "any": "b, c"}, "alpha", False, id="all and any"),
        pytest.param({"all": "a", "none": "c"}, "alpha gamma", False, id="none"),
        pytest.param({"all": "a, b", "within": 2}, "alpha one two beta", True, id="as far as allowed"),
        pytest.param({"all": "a, b", "within": 2}, "beta one two alpha", True, id="in any order"),
        pytest.param({"all": "a, b", "within": 2}, "alpha one two three beta", False, id="one word too far"),
        pytest.param({"all": "a, b", "within": 2}, "alpha a b c alpha beta", True, id="the nearer of two"),
        pytest.param({"all": "a, b", "within": "sentence"}, "Alpha, then beta.", True, id="one sentence"),
        pytest.param({"all": "a, b", "within": "sentence"}, "Alpha. Then beta.", False, id="two sentences"),
        pytest.param({"all": "a", "in": "text"}, "alpha", None, id="an unknown place"),
        pytest.param({"all": "a", "in": "lead, body"}, "alpha", False, id="elsewhere only"),
        pytest.param({"all": "a", "languages": "id"}, "alpha", False, id="another language"),
        pytest.param({"all": "a", "languages": "en, id"}, "alpha", True, id="this language"),
        pytest.param({"all": "a", "feeds": "example.org"}, "alpha", True, id="a host below"),
        pytest.param({"all": "a", "feeds": "ample.org"}, "alpha", False, id="not a part of a name"),
    ],
)
def test_rules(rule: dict[str, Any], title: str, fires: bool | None) -> None:
    document = pack({"a": "alpha", "b": "beta", "c": "gamma"}, {"r": rule})
    if fires is None:
        with pytest.raises(ConfigError, match="'text' is unknown"):
            compile_topics([document])
        return
    entry = EntryText(title, "", "", (), "en", "https://news.example.org/feed")
    assert bool(compile_topics([document]).match(entry)[0]) is fires


def test_a_rule_reads_concepts_that_a_concept_includes_and_those_of_another_pack() -> None:
    ships = pack(
        {"ship": "brig", "boat": {"any": "yawl", "include": "ship"}}, {"r": {"all": "boat"}}, slug="ships"
    )
    own = pack({"here": "cove"}, {"r": {"all": "here, ships/boat"}})
    library = {"ships": ships}.__getitem__

    ruleset = compile_topics([own], library)

    assert tagged(ruleset, "A brig in the cove")
    assert tagged(ruleset, "A yawl in the cove")
    assert not tagged(ruleset, "A raft in the cove")
    assert compile_topics([own, ships]).topics[0].revision == ruleset.topics[0].revision


# ------------------------------------------------------------------------------------------ points


def score(ruleset: Ruleset, entry: EntryText) -> float:
    return ruleset.explain(entry)[0].score


def test_the_nearer_to_the_top_the_more_a_find_counts() -> None:
    ruleset = finder("ferry")
    far, deep = "x. " * (LEAD // 3), "x. " * (DEEP // 3 + 1)
    assert [
        score(ruleset, EntryText("ferry", "", "")),
        score(ruleset, EntryText("", "ferry", "x")),
        score(ruleset, EntryText("", "", "ferry")),
        score(ruleset, EntryText("", "x", "ferry")),
        score(ruleset, EntryText("", "", far + "ferry")),
        score(ruleset, EntryText("", "", deep + "ferry")),
        score(ruleset, EntryText("", "", "", ("ferry",))),
    ] == [50, 40, 40, 25, 25, 10, 25]


def test_what_needs_two_concepts_counts_as_the_weaker_place() -> None:
    ruleset = compiled(PACK)
    assert score(ruleset, EntryText("Ferry", "", "It sinks.", (), "en")) == 40


def test_the_body_alone_never_tags() -> None:
    rules = {name: {"all": name, "weight": 100} for name in "abcdef"}
    ruleset = compile_topics([pack({name: name * 3 for name in "abcdef"}, rules)])
    passing = "x. " * LEAD + "aaa bbb ccc ddd eee fff"
    assert score(ruleset, EntryText("Digest", "", passing)) == 35
    assert not tagged(ruleset, "Digest", "", passing)
    assert tagged(ruleset, "aaa", "", passing)


def test_an_exclusion_outweighs_a_mention_but_not_an_article() -> None:
    ruleset = compile_topics(
        [
            pack(
                {"place": "Island", "ferry": "ferry", "film": "film"},
                {
                    "place": {"all": "place"},
                    "ferry": {"all": "ferry"},
                    "both": {"all": "place, ferry"},
                    "film": {"all": "film", "weight": -60, "in": "title, lead"},
                },
            )
        ]
    )
    assert not tagged(ruleset, "The Island, a film")
    assert tagged(ruleset, "Island ferry crew sees film of the accident")


@given(
    st.lists(st.sampled_from(["alpha", "beta", "gamma", "x", "."]), max_size=30),
    st.lists(st.integers(-100, 100).filter(bool), min_size=3, max_size=3),
)
def test_the_score_is_bounded(words: list[str], weights: list[int]) -> None:
    concepts = {"a": "alpha", "b": "beta", "c": "gamma"}
    rules = {name: {"all": name, "weight": weight} for name, weight in zip("abc", weights, strict=True)}
    document = pack(concepts, {**rules, "sure": {"all": "a, b, c", "weight": 100}})
    ruleset = compile_topics([document])
    entry = EntryText(" ".join(words), "", " ".join(reversed(words)))
    assert 0 <= score(ruleset, entry) <= 100
    assert all(tag.score >= 50 for tag in ruleset.match(entry)[0])


def test_an_aspect_needs_its_topic() -> None:
    document = pack(
        {"a": "alpha", "b": "beta"},
        {"r": {"all": "a"}},
        aspects={"side": {"title": "Side", "rules": {"s": {"all": "b"}}}},
    )
    ruleset = compile_topics([document])
    assert [tag.aspect for tag in ruleset.match(EntryText("alpha beta", "", ""))[0]] == [None, "side"]
    assert ruleset.match(EntryText("beta", "", "")) == ((), ())
    assert [m.rule for m in ruleset.match(EntryText("alpha beta", "", ""))[1]] == ["r", "side/s"]


def test_an_aspect_far_below_the_strongest_is_told_in_passing() -> None:
    document = pack(
        {"a": "alpha", "b": "beta", "c": "gamma"},
        {"r": {"all": "a"}},
        aspects={
            name: {"title": name, "threshold": 10, "rules": {"s": {"all": concept, "weight": weight}}}
            for name, concept, weight in (("main", "a", 80), ("near", "b", 60), ("far", "c", 59))
        },
    )
    ruleset = compile_topics([document])
    entry = EntryText("alpha beta gamma", "", "")
    assert [tag.aspect for tag in ruleset.match(entry)[0]] == [None, "main", "near"]
    sums = {found.aspect: found for found in ruleset.explain(entry) if found.rule is None}
    assert [name for name, found in sums.items() if found.fired] == [None, "main", "near"]
    assert sums["far"].missing == ("1 more points: another aspect is stronger",)


def test_aspects_tell_of_threats_or_of_acts_or_of_neither() -> None:
    rules = {"r": {"all": "a"}}
    kinds = {"build-up": "threat", "strike": "act", "talks": None, "warning": "threat"}
    aspects = {
        slug: {"title": slug, "rules": rules, **({"kind": kind} if kind else {})}
        for slug, kind in kinds.items()
    }
    (topic,) = compile_topics([pack({"a": "alpha"}, rules, aspects=aspects)]).topics
    assert topic.sides == Sides("t", threats=("build-up", "warning"), acts=("strike",))


def test_an_unknown_kind_is_said_with_its_line() -> None:
    aspect = "aspects:\n  side:\n    title: Side\n    kind: threats\n    rules:\n      r: {all: ferry}\n"
    with pytest.raises(ConfigError) as caught:
        compiled(PACK + aspect)
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (18, "aspects.side.kind")
    assert problem.message.startswith("must be threat or act, not 'threats'")


def test_other_topics_change_nothing() -> None:
    alone = compiled(PACK)
    others = [pack({"c": f"ferry, word{n}"}, {"r": {"all": "c"}}, slug=f"o{n}") for n in range(20)]
    together = compile_topics([read_document(PACK, "pack.yaml"), *others])
    entry = EntryText("Ferry sinks", "", "", (), "en")

    tags, matches = together.match(entry)

    assert tuple(tag for tag in tags if tag.topic == "ferries") == alone.match(entry)[0]
    assert tuple(match for match in matches if match.topic == "ferries") == alone.match(entry)[1]
    assert len(tags) == 21


def test_a_text_full_of_terms_is_read_in_bounded_time() -> None:
    document = pack({"a": "a", "b": "b", "c": "c"}, {"r": {"all": "a, b, c", "within": 0}})
    ruleset = compile_topics([document])
    assert not tagged(ruleset, text="a x b x c x " * 100_000)


# ---------------------------------------------------------------------------------------- explain


def test_explain_says_what_fired_and_what_was_missing() -> None:
    text = (
        PACK + "    within: 1\n    none: film\n    languages: en\n  named:\n    all: ferry\n    weight: 20\n"
    )
    ruleset = compiled(text)

    total, both, named = ruleset.explain(
        EntryText("Ferry is late, Netflix on fire", "", "", (), "es"), "ferries"
    )

    assert (total.rule, total.fired, total.score, total.threshold) == (None, False, 20, 50)
    assert total.missing == ("30 more points",)
    assert (named.fired, named.score, [m.term for m in named.terms]) == (True, 20, ["ferry"])
    assert not both.fired
    assert both.missing == ("applies to en only", "no accident", "stopped by film: Netflix")
    far = ruleset.explain(EntryText("Ferry a b c sinks", "", "", (), "en"))[1]
    assert far.missing == ("not within 1 words",)
    assert ruleset.explain(EntryText("", "", ""), "unknown") == ()


# --------------------------------------------------------------------------------------- mistakes


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "message"),
    [
        pytest.param("slug: ferries", "slug: Ferries!", 1, "slug", "lower-case letters", id="slug"),
        pytest.param(
            "title: Ferries", "titel: Ferries", 2, "titel", "did you mean 'title'?", id="unknown key"
        ),
        pytest.param(
            "    all: ferry, acc",
            "    al: ferry, acc",
            14,
            "rules.both.al",
            "did you mean 'all'?",
            id="rule key",
        ),
        pytest.param(
            "accident\n", "acident\n", 14, "rules.both.all", "did you mean 'accident'?", id="concept"
        ),
        pytest.param("accident\n", "ships/boat\n", 14, "rules.both.all", "no topic pack 'ships'", id="pack"),
        pytest.param(
            "    en: sinks",
            "    en: ~sinks*",
            8,
            "concepts.accident.en",
            "~word stands for all",
            id="two signs",
        ),
        pytest.param(
            "    en: sinks", "    en: si*", 8, "concepts.accident.en", "at least 3 letters", id="short prefix"
        ),
        pytest.param(
            "    en: sinks", "    en: s*nks", 8, "concepts.accident.en", "* ends one", id="star within"
        ),
        pytest.param(
            "    en: sinks", "    en: sinks, sinks", 8, "concepts.accident.en", "twice", id="term twice"
        ),
        pytest.param(
            "    en: sinks", "    en: ..., sinks", 8, "concepts.accident.en", "no letters", id="no letters"
        ),
        pytest.param(
            "    en: sinks",
            "    english: sinks",
            8,
            "concepts.accident.english",
            "codes such as",
            id="language",
        ),
        pytest.param(
            "any: ferry, f", "any: ~ferry, f", 6, "concepts.ferry.any", "needs a language", id="~ under any"
        ),
        pytest.param(
            "any: ferry, ferries", "include: ferry", 5, "concepts.ferry", "includes itself", id="circle"
        ),
        pytest.param(
            "any: ferry, ferries", "any: []", 5, "concepts.ferry", "has no terms", id="empty concept"
        ),
        pytest.param(
            "    all: ferry, accident", "    none: film", 13, "rules.both", "never fire", id="only none"
        ),
        pytest.param(
            "accident\n", "accident\n    within: near\n", 15, "rules.both.within", "'sentence'", id="within"
        ),
        pytest.param(
            "accident\n", "accident\n    weight: 0\n", 15, "rules.both.weight", "does nothing", id="weight 0"
        ),
        pytest.param(
            "accident\n", "accident\n    weight: 9\n", 12, "rules", "never reach", id="threshold out of reach"
        ),
        pytest.param(
            "accident\n", "accident\n    weight: 101\n", 15, "rules.both.weight", "from -100", id="weight"
        ),
        pytest.param(
            "accident\n", "accident\n    in: titel\n", 15, "rules.both.in", "mean 'title'?", id="place"
        ),
        pytest.param(
            "accident\n", "accident\n    languages: Dutch\n", 15, "rules.both.languages", "codes", id="code"
        ),
        pytest.param(
            "    any: Netflix",
            "    any: 7",
            11,
            "concepts.film.any",
            "list of texts",
            id="a number for terms",
        ),
    ],
)
def test_mistakes_are_said_with_their_line(old: str, new: str, line: int, key: str, message: str) -> None:
    assert old in PACK
    with pytest.raises(ConfigError) as caught:
        compiled(PACK.replace(old, new, 1))
    problems = [p for p in caught.value.problems if p.key.startswith(key) and message in p.message]
    assert problems, caught.value.problems
    assert problems[0].file == "pack.yaml"
    assert problems[0].line == line


def test_all_mistakes_of_all_packs_come_at_once() -> None:
    wrong = PACK.replace("title: F", "titel: F").replace("accident\n", "acident\n")
    with pytest.raises(ConfigError) as caught:
        compiled(wrong, PACK.replace("slug: ferries", "slug: ferries\nthreshold: high"))
    assert {p.key for p in caught.value.problems} == {"slug", "titel", "rules.both.all", "threshold"}


def test_a_pack_that_is_no_mapping() -> None:
    with pytest.raises(ConfigError) as caught:
        compile_topics([Document("a.yaml", ["x"])])
    assert caught.value.problems[0].message.startswith("must be a topic pack")


def test_a_missing_library_pack_is_a_problem() -> None:
    def library(name: str) -> Document:
        raise ConfigError([Problem(name, None, "", "there is no such topic pack")])

    with pytest.raises(ConfigError, match="no topic pack 'ships'"):
        compile_topics([pack({"a": "x"}, {"r": {"all": "ships/boat"}})], library)


# --------------------------------------------------------------------------------------- revision


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        pytest.param("title: Ferries", "title: Boats", True, id="title"),
        pytest.param("any: Netflix", "any: Netflix # a comment", True, id="comment"),
        pytest.param("any: Netflix", "any: Netflix, cinema", False, id="term"),
        pytest.param("slug: ferries", "slug: ferries\nthreshold: 40", False, id="threshold"),
    ],
)
def test_the_revision_follows_what_decides(old: str, new: str, same: bool) -> None:
    before, after = (compiled(text).topics[0].revision for text in (PACK, PACK.replace(old, new, 1)))
    assert (before == after) is same


def test_the_revision_follows_what_is_borrowed_by_way_of_others() -> None:
    def revisions(hull: str) -> list[str]:
        hulls = pack({"hull": hull}, {"r": {"all": "hull"}}, slug="hulls")
        ships = pack(
            {"ship": {"include": "rig"}, "rig": {"include": "hulls/hull"}},
            {"r": {"all": "ship"}},
            slug="ships",
        )
        borrows = [pack({}, {"r": {"all": "ships/ship"}}, slug=slug) for slug in ("one", "two")]
        alone = pack({"c": "cove"}, {"r": {"all": "c"}}, slug="alone")
        library = {"ships": ships, "hulls": hulls}.__getitem__
        return [topic.revision for topic in compile_topics([*borrows, alone], library).topics]

    before, after = revisions("brig"), revisions("yawl")
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, False, True]


# --------------------------------------------------------------------------------------- evaluate


def test_evaluate_counts_by_language_and_lists_the_worst_first() -> None:
    item = {"summary": "", "content": "", "aspects": []}
    items = [
        {**item, "id": "1", "lang": "en", "title": "Ferry sinks", "label": True},
        {**item, "id": "2", "lang": "en", "title": "Ferry in a fire drill", "label": False},
        {**item, "id": "3", "lang": "id", "title": "Kapal karam", "label": True},
        {
            **item,
            "id": "4",
            "lang": "id",
            "title": "Ferry",
            "content": "<p>Sudah tenggelam</p>",
            "label": True,
        },
        {**item, "id": "5", "lang": "id", "title": "Cuaca", "label": False},
    ]
    quality = evaluate(compiled(f"{PACK}    weight: 70\n"), "ferries", items)

    total = quality.total
    assert (total.true_positives, total.false_positives, total.false_negatives) == (2, 1, 1)
    assert (total.precision, total.recall, total.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    assert (quality.languages["en"].precision, quality.languages["id"].recall) == (0.5, 0.5)
    assert [miss.id for miss in quality.misses] == ["3", "2"]


def test_evaluate_knows_its_topics() -> None:
    with pytest.raises(UnknownError, match="no topic 'boats'"):
        evaluate(compiled(PACK), "boats", [])
