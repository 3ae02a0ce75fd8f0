"""How well articles, stories and sources are told, by the whole program: labelled items, recorded and linked."""

from collections import defaultdict
from pathlib import Path

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
