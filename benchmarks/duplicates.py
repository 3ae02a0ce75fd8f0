"""What it costs to find an entry's article and story, with so many articles in the window already.

    python -m benchmarks.duplicates [--sizes 10000,100000,1000000] [--arriving 500]

For each size a store is filled with entries that all lie in the window: some thousand generated ones that were recorded
and linked as always, and then multiplied. Four in five of the keys that find copies are made different each time; the
others stay, as phrases that many texts have, and so do those that find stories: names and concepts are held by as many
entries as in a window of that size. Then, in a fresh process, entries arrive in documents of ten, one in ten of them
a trimmed copy of one that is there. benchmarks/README.md says how to read what is printed.
"""

import argparse
import json
import math
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from aggregator import duplicates, link, poll
from aggregator.model import Entry, EntryData, New, PollOutcome, PollResult, Subscription
from aggregator.store import Links, Store, open_store
from benchmarks.feeds import GeneratedEntry, Plan, generated_entry, language_of
from benchmarks.refresh import WrongResultError
from benchmarks.throughput import Figure

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SIZES = (10_000, 100_000, 1_000_000)
PLAN = Plan(feeds=250, entries=20)
ARRIVING, DOCUMENT = 500, 10
MOST_BYTES = 3_000
"""What an entry takes on disk, at most, while the store is filled."""
FULL = math.log(2)
"""How full pages of a B-tree are whose keys come in any order (Yao, "On random 2-3 trees", 1978)."""
MIB = 1 << 20


def curve(sizes: Sequence[int], arriving: int) -> Iterator[Figure]:
    """The figures for each size."""
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="aggregator-benchmark-") as folder:
            if shutil.disk_usage(folder).free < size * MOST_BYTES:
                raise WrongResultError(
                    f"{folder} has no room for {size:,} entries; set TMPDIR to one that has"
                )
            yield from measured(Path(folder) / "store.db", size, arriving)


def measured(path: Path, size: int, arriving: int) -> Iterator[Figure]:
    """The figures for one size, in a store that does not exist yet."""
    index = filled(path, size)
    command = [
        sys.executable,
        "-m",
        "benchmarks.duplicates",
        "--store",
        str(path),
        "--arriving",
        str(arriving),
    ]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        raise WrongResultError(run.stderr[-2_000:])
    told: dict[str, float] = json.loads(run.stdout)
    yield Figure(f"{size:,} in the window: CPU to link an entry", told["link"], "ms", 2)
    yield Figure("  CPU to clean, record and link it", told["all"], "ms")
    yield Figure("  memory at its highest", told["peak"], "MiB", 300)
    yield Figure("  restart: open, and one document linked", told["restart"], "s", 10)
    yield Figure("  index on disk", sum(index.values()) / MIB, "MiB", 1536)
    for table, size_on_disk in index.items():
        yield Figure(f"    {table}", size_on_disk / MIB, "MiB")


# ---------------------------------------------------------------------------------------- filling


def filled(path: Path, size: int) -> dict[str, float]:
    """Make a store with so many entries in the window; returns the bytes that each table of the index takes."""
    some = min(size, PLAN.feeds * PLAN.entries)
    with open_store(path) as store:
        store.subscribe([Subscription(_address(feed)) for feed in range(PLAN.feeds)], NOW)
        for feed in range(PLAN.feeds):
            numbers = range(min(PLAN.entries, some - feed * PLAN.entries))
            if numbers:
                _record(store, feed, [_entry(feed, number) for number in numbers], link.link)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000"):
            db.execute(f"PRAGMA {pragma}")
        db.executescript(_STORIES_OF_FIVE)
        # `shift` is what is added to a number to have that of the entry's second use, of its third …
        db.execute(
            "CREATE TEMP TABLE uses AS SELECT value AS shift FROM json_each(?)",
            (json.dumps(list(range(some, size, some))),),
        )
        for statement in _MULTIPLY:
            db.execute(statement)
        (there,) = db.execute("SELECT count(*) FROM fingerprints").fetchone()
        # Pages are full here, for all comes in order.
        taken = db.execute(
            """SELECT tbl_name, sum(iif(tbl_name LIKE '%_keys' OR tbl_name = 'paragraphs', (pgsize - unused) / ?, pgsize))
                 FROM dbstat JOIN sqlite_schema USING (name)
                WHERE aggregate = TRUE AND tbl_name IN ('fingerprints', 'article_keys', 'story_keys', 'paragraphs', 'edges')
                GROUP BY 1 ORDER BY 2 DESC""",
            (FULL,),
        ).fetchall()
        db.execute("PRAGMA journal_mode = WAL")
    if there != size:
        raise WrongResultError(f"{there} fingerprints, expected {size}")
    return dict(taken)


# Generated texts are so alike that a few stories would hold all of them.
_STORIES_OF_FIVE = """
    UPDATE articles SET story_id = (id - 1) / 5 * 5 + 1;
    UPDATE entries SET story_id = (article_id - 1) / 5 * 5 + 1;
    DELETE FROM stories;
    INSERT INTO stories SELECT story_id, min(e.title), count(*), count(DISTINCT feed_id), min(e.first_seen_at), max(e.first_seen_at)
      FROM entries e GROUP BY story_id;
"""
_DIFFERENT = "iif(abs(key) % 5 = 0, key, (key | shift << 32) - (key & shift << 32))"  # SQLite's exclusive or
_MULTIPLY = (
    """INSERT INTO stories SELECT id + shift, title, article_count, feed_count, first_seen_at, last_seen_at
                    FROM uses, stories""",
    """INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at, uid, story_id)
                   SELECT id + shift, canonical_entry_id + shift, entry_count, feed_count, first_seen_at, uid || shift,
                          story_id + shift FROM uses, articles""",
    """INSERT INTO entries (id, feed_id, title, published_at, first_seen_at, last_seen_at, changed_at, listed_at,
                         significant_at, article_id, story_id, uid, key, hash, summary, content, text)
                  SELECT id + shift, feed_id, title, published_at, first_seen_at, last_seen_at, changed_at, listed_at,
                         significant_at, article_id + shift, story_id + shift, uid || shift, key || shift, hash, '', '', title
                    FROM uses, entries""",
    "INSERT INTO fingerprints SELECT entry_id + shift, at, article, story FROM uses, fingerprints",
    f"""INSERT INTO article_keys SELECT {_DIFFERENT}, entry_id + shift FROM uses, article_keys
                         ORDER BY 1, 2""",
    "INSERT INTO story_keys SELECT key, entry_id + shift FROM uses, story_keys ORDER BY 1, 2",
    f"""INSERT INTO paragraphs (feed_id, key, entry_id, title_key)
                      SELECT feed_id, {_DIFFERENT}, entry_id + shift, title_key + shift FROM uses, paragraphs
                       ORDER BY 1, 2, 3""",
    "INSERT INTO edges SELECT a + shift, b + shift, level, method, score FROM uses, edges",
)  # fmt: skip


# --------------------------------------------------------------------------------------- arriving


def arrive(path: Path, arriving: int) -> dict[str, float]:
    """Let entries come into a filled store; to be called in a process of its own.

    Returns:
        CPU milliseconds an entry for linking (`link`) and in all (`all`), of the median document; seconds until the
        first document was linked (`restart`); the most memory that the process had, in MiB (`peak`).
    """
    linking: list[float] = []

    def timed(links: Links, entry_ids: Sequence[int]) -> None:
        began = time.process_time()
        link.link(links, entry_ids)
        linking.append(time.process_time() - began)

    began = time.perf_counter()
    with open_store(path) as store:
        _record(store, 0, [_entry(PLAN.feeds, number) for number in range(DOCUMENT)], timed)
        restart = time.perf_counter() - began
        (row,) = store.query("SELECT max(id) AS last FROM entries")
        documents = range(1, arriving // DOCUMENT + 1)
        spent = []
        for document in documents:
            came = [_data(generated_entry(PLAN, PLAN.feeds + document, n)) for n in range(1, DOCUMENT)]
            copied = generated_entry(PLAN, document % PLAN.feeds, 0)
            came.append(replace(_data(copied), title=f"HEBOH! {copied.title}", content=_trimmed(copied.html)))
            began = time.process_time()
            _record(store, (document + 1) % PLAN.feeds, [_cleaned(data, None) for data in came], timed)
            spent.append(time.process_time() - began)
        (found,) = store.query(
            "SELECT count(DISTINCT b) AS copies FROM edges WHERE level = 'article' AND b > :last", row
        )
    if found["copies"] < 0.9 * len(documents):
        raise WrongResultError(f"only {found['copies']} of {len(documents)} copies were found")
    return {
        "link": 1000 * median(linking[1:]) / DOCUMENT,
        "all": 1000 * median(spent) / DOCUMENT,
        "restart": restart,
        "peak": _peak(),
    }


def _peak() -> float:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    return int(line.split()[1]) / 1024


# ---------------------------------------------------------------------------------------- entries


def _address(feed: int) -> str:
    return f"https://news-{feed}.example/feed"


def _entry(feed: int, number: int) -> Entry:
    return _cleaned(_data(generated_entry(PLAN, feed, number)), language_of(feed).code)


def _data(entry: GeneratedEntry) -> EntryData:
    """As it is parsed, at some time of the last week."""
    earlier = timedelta(minutes=random.Random(entry.link).randrange(6 * 24 * 60))
    return EntryData(
        guid=entry.link, url=entry.link, title=entry.title, content=entry.html, published_at=NOW - earlier
    )


def _trimmed(html: str) -> str:
    """What somebody made of a text who took it over without its last quarter."""
    paragraphs = html.split("</p>")
    return (
        "</p>".join(paragraphs[: max(1, 3 * len(paragraphs) // 4)])
        + "</p><p>Baca juga: Harga cabai naik lagi</p>"
    )


def _cleaned(data: EntryData, language: str | None) -> Entry:
    (keyed,) = duplicates.identify([data])
    return poll.clean(keyed, language)


def _record(
    store: Store, feed: int, entries: Sequence[Entry], linking: Callable[[Links, Sequence[int]], None]
) -> None:
    """One document of a feed, all of its entries new."""
    ids = store.find_feeds([_address(feed)])
    store.make_due(NOW - timedelta(days=3650), ids)
    (claim,) = store.claim(NOW, due_by=NOW, limit=1, per_host=1, lease=timedelta(hours=1), among=ids)
    state = replace(claim.state, last_polled_at=NOW, last_changed_at=NOW, next_poll_at=NOW)
    outcome = PollOutcome(claim, PollResult.CHANGED, state, NOW, changes=tuple(map(New, entries)))
    store.record([outcome], NOW, linking)


def main() -> None:
    """Print the figures; with `--store` those of one process, as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes", default=",".join(map(str, SIZES)), help="multiples of 5,000, or less than that"
    )
    parser.add_argument("--arriving", type=int, default=ARRIVING)
    parser.add_argument("--store", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.store:
        print(json.dumps(arrive(options.store, options.arriving)))
        return
    for figure in curve([int(size) for size in options.sizes.split(",")], options.arriving):
        print(figure, flush=True)


if __name__ == "__main__":
    main()
