"""How well copies, stories and sources are recognised: labelled items through the program's own steps.

    python -m benchmarks.dedup ITEMS.jsonl [--out PREDICTIONS.jsonl]

Each line of ITEMS is an object with `id, source, lang, url, guid, published, title, content_html` and the truth:
`dup_of_article, story, attributed_to`. The items arrive in the order of their publication, each by a feed of its
source, and take the way of every entry: identified, cleaned, recorded, linked. Prints pairwise F1 of articles,
B-cubed F1 of stories (Bagga & Baldwin 1998), micro F1 of attributions; `--out` writes what was found, a line an item.
"""

import argparse
import json
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

from aggregator import duplicates, link, poll
from aggregator.duplicates.attribution import outlet_key, outlet_of
from aggregator.model import EntryData, New, PollOutcome, PollResult, Revised, Subscription
from aggregator.store import Store, open_store
from aggregator.text import plain_text

Item = Mapping[str, Any]
LEASE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Scores:
    """F1 of each of the three."""

    article: float
    story: float
    attribution: float


def load(file: Path) -> list[Item]:
    """The items of a file."""
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]


def found(items: Iterable[Item], database: Path) -> list[dict[str, Any]]:
    """What the program finds: `id, article_cluster, story_cluster, attributed_to` of each item, as they are given."""
    with open_store(database) as store:
        entries = {item["id"]: _arrive(store, item) for item in items}
        return [
            {
                "id": name,
                "article_cluster": str(entry.article_id),
                "story_cluster": str(entry.story_id),
                "attributed_to": [attribution.name for attribution in entry.attributions],
            }
            for name, entry_id in entries.items()
            if (entry := store.entry(entry_id))
        ]


def _arrive(store: Store, item: Item) -> int:
    """One document with one entry; returns the entry's id."""
    feed_url = f"https://feeds.example/{item['source']}"
    now = datetime.fromisoformat(item["published"]).astimezone(UTC) + timedelta(minutes=10)
    followed = [report.subscription for report in store.feeds()]
    wish = Subscription(feed_url, name=item["source"], language=item["lang"])
    if feed_url not in {one.url for one in followed}:
        store.subscribe([*followed, wish], now)
    ids = store.find_feeds([feed_url])
    store.make_due(now - timedelta(days=3650), ids)
    (claim,) = store.claim(now, due_by=now, limit=1, per_host=1, lease=LEASE, among=ids)
    data = EntryData(
        guid=item["guid"],
        url=item["url"],
        title=plain_text(item["title"]),
        content=item["content_html"],
        published_at=now - timedelta(minutes=10),
    )
    (keyed,) = duplicates.identify([data])
    known, _ = store.known(
        claim.feed_id, [keyed.key, keyed.link_key], [keyed.url_key] if keyed.url_key else []
    )
    _, (verdict,) = duplicates.decide([keyed], known)
    entry = poll.clean(verdict.keyed, item["lang"], outlet_of(item["source"], feed_url))
    change = New(entry) if verdict.known is None else Revised(verdict.known.entry_id, entry)
    state = replace(claim.state, last_polled_at=now, last_changed_at=now, next_poll_at=now)
    outcome = PollOutcome(claim, PollResult.CHANGED, state, now, changes=(change,))
    store.record([outcome], now, link.link)
    if verdict.known is not None:
        return verdict.known.entry_id
    (row,) = store.query("SELECT max(id) AS id FROM entries")
    return int(row["id"])


def score(items: Sequence[Item], predictions: Iterable[Mapping[str, Any]]) -> Scores:
    """Compare what was found with the truth."""
    by_id = {prediction["id"]: prediction for prediction in predictions}
    ids = [item["id"] for item in items]
    truth = {item["id"]: item for item in items}
    pairs = [
        (
            truth[a]["dup_of_article"] == truth[b]["dup_of_article"],
            by_id[a]["article_cluster"] == by_id[b]["article_cluster"],
        )
        for a, b in combinations(ids, 2)
    ]
    names = Counter[tuple[bool, bool]]()
    for name in ids:
        true = {outlet_key(outlet) for outlet in truth[name]["attributed_to"]}
        told = {outlet_key(outlet) for outlet in by_id[name]["attributed_to"]}
        names.update((one in true, one in told) for one in true | told)
    return Scores(
        article=_f1(Counter(pairs)),
        story=_b_cubed(
            {name: truth[name]["story"] for name in ids}, {name: by_id[name]["story_cluster"] for name in ids}
        ),
        attribution=_f1(names),
    )


def _f1(counts: Mapping[tuple[bool, bool], int]) -> float:
    """F1 of pairs (true, found)."""
    hits = counts.get((True, True), 0)
    wrong = counts.get((False, True), 0) + counts.get((True, False), 0)
    return 2 * hits / (2 * hits + wrong) if hits else 0.0


def _b_cubed(true: Mapping[str, str], told: Mapping[str, str]) -> float:
    def members(clusters: Mapping[str, str]) -> dict[str, set[str]]:
        by_name = defaultdict(set)
        for name, cluster in clusters.items():
            by_name[cluster].add(name)
        return {name: by_name[cluster] for name, cluster in clusters.items()}

    ours, theirs = members(told), members(true)
    precision = sum(len(ours[name] & theirs[name]) / len(ours[name]) for name in true) / len(true)
    recall = sum(len(ours[name] & theirs[name]) / len(theirs[name]) for name in true) / len(true)
    return 2 * precision * recall / (precision + recall)


def in_order(items: Iterable[Item]) -> list[Item]:
    """By publication."""
    return sorted(items, key=lambda item: (datetime.fromisoformat(item["published"]), item["id"]))


def shuffled(items: Iterable[Item], seed: int) -> list[Item]:
    """In some other order."""
    mixed = list(items)
    random.Random(seed).shuffle(mixed)
    return mixed


def main() -> None:
    """Print the scores of a file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("items", type=Path)
    parser.add_argument("--out", type=Path, help="write what was found, as JSON lines")
    options = parser.parse_args()
    items = in_order(load(options.items))
    with tempfile.TemporaryDirectory() as folder:
        predictions = found(items, Path(folder) / "dedup.db")
    if options.out:
        options.out.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in predictions))
    scores = score(items, predictions)
    print(f"{len(items)} items")
    print(f"article pairwise F1 {scores.article:.3f}, target 0.95")
    print(f"story B-cubed F1    {scores.story:.3f}, target 0.85")
    print(f"attribution F1      {scores.attribution:.3f}, target 0.90")


if __name__ == "__main__":
    main()
