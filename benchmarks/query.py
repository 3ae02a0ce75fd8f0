"""What it costs to look and to ask where a million entries are stored.

    python -m benchmarks.query [--entries 1000000] [--keep FOLDER] [--rounds 40]

A store is filled by bulk statements: a year of 1,500 feeds in three languages, texts of some 120 words whose frequencies
are those of a language, articles with copies, stories of 1 to 30 articles, one in twenty on the topic, and the trend
counted from them as the daemon does. Then the real application is asked in process, page by page and query by query, each
question another one. benchmarks/README.md says how to read what is printed.
"""

import argparse
import asyncio
import gc
import os
import platform
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import accumulate, islice
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlencode

from aggregator.app import Aggregator
from aggregator.web import make_app
from benchmarks.feeds import LANGUAGES, Language, invented_stem
from benchmarks.refresh import WrongResultError

END = datetime(2026, 6, 1, tzinfo=UTC)
"""When the questions are asked: the stored year ends here."""
YEAR = timedelta(days=365)
FEEDS = 1_500
TOPIC = "caribbean-tension"
SEED = 3
BYTES_AN_ENTRY = 6_000
"""What a stored entry takes on disk at most, with its share of the index and of the log."""
PAGE, SEARCH = 100.0, 30.0
"""Milliseconds that 95 of 100 pages, and searches, may take."""

# ----------------------------------------------------------------------------------------- the texts

_STEMS, _POOL = 5_000, 1_000_000
_FORMS = {
    "id": "{} me{} di{} ber{} {}an ter{} pe{}an {}nya",
    "en": "{} {}s {}ed {}ing re{} {}er {}ly un{}",
    "es": "{}ar {}ó {}ado {}ada {}an {}ación {}es re{}ar",
}


class Tongue:
    """A language with as many words as a year of news has, and texts made of them.

    Attributes:
        code: ISO 639-1.
        words: the most frequent first; those after the first few hundred are invented.
        spoken: a long run of words, of which each text is a piece.
    """

    def __init__(self, language: Language) -> None:
        random = Random(f"{SEED}/{language.code}")
        stems = {invented_stem(random) for _ in range(_STEMS)}
        invented = [form.format(stem) for stem in sorted(stems) for form in _FORMS[language.code].split()]
        random.shuffle(invented)
        self.code = language.code
        self.words = tuple(dict.fromkeys([*language.vocabulary, *invented]))
        # Word frequencies fall with the rank (Zipf's law as Mandelbrot has it).
        weights = list(accumulate(1 / (rank + 2.7) for rank in range(len(self.words))))
        self.spoken = random.choices(self.words, cum_weights=weights, k=_POOL)
        self.on_topic = language.on_topic

    def text(self, number: int) -> str:
        """The text of an article: 60 to 180 words; another number, another text."""
        begin = number * 2_654_435_761 % (_POOL - 180)
        words = self.spoken[begin : begin + 60 + number % 121]
        return " ".join(words).capitalize() + "."

    def title(self, number: int, *, on_topic: bool) -> str:
        """The title of an article."""
        begin = number * 2_246_822_519 % (_POOL - 10)
        words = " ".join(self.spoken[begin : begin + 5 + number % 5]).capitalize()
        return f"{self.on_topic[number % len(self.on_topic)]}: {words}" if on_topic else words


# ----------------------------------------------------------------------------------------- the store


@dataclass(frozen=True, slots=True)
class Telling:
    """One entry before it is written: when it came, in seconds of the year, and what it belongs to."""

    at: int
    story: int
    article: int
    feed: int


def tellings(entries: int) -> list[Telling]:
    """Who tells what, in the order in which it comes in."""
    random = Random(SEED)
    found: list[Telling] = []
    story = article = 0
    end = int(YEAR.total_seconds())
    while len(found) < entries:
        story += 1
        begin = random.randrange(end)
        for _ in range(min(30, int(random.paretovariate(1.1)))):
            article += 1
            feed = random.randrange(FEEDS)
            copies = 1 if random.random() < 0.85 else random.randint(2, 6)
            at = begin + random.expovariate(1 / 40_000)
            for _ in range(copies):
                found.append(Telling(min(int(at), end - 1), story, article, feed))
                at += random.expovariate(1 / 10_000)
                feed = (feed + 3 * random.randrange(1, 400)) % FEEDS  # another one in the same language
    return list(_numbered(sorted(found[:entries], key=lambda telling: telling.at)))


def _numbered(told: Sequence[Telling]) -> Iterator[Telling]:
    """Stories and articles numbered as they come in: in a store, what came together stands together."""
    stories: dict[int, int] = {}
    articles: dict[int, int] = {}
    for each in told:
        yield replace(
            each,
            story=stories.setdefault(each.story, len(stories) + 1),
            article=articles.setdefault(each.article, len(articles) + 1),
        )


def filled(folder: Path, entries: int) -> None:
    """Make feeds.yaml and store.db in a folder.

    Raises:
        WrongResultError: there is no room for it.
    """
    if shutil.disk_usage(folder).free < entries * BYTES_AN_ENTRY:
        raise WrongResultError(f"{folder} has no room for {entries:,} entries")
    (folder / "feeds.yaml").write_text(_SETTINGS + "".join(map(_subscription, range(FEEDS))))
    with _opened(folder) as site:
        site.subscribe()
        aspects = [aspect.slug for aspect in site.ruleset.topics[0].aspects]
    with closing(sqlite3.connect(folder / "store.db", isolation_level=None)) as db:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -1000000"):
            db.execute(f"PRAGMA {pragma}")
        _write(db, tellings(entries), aspects)
        db.execute("PRAGMA journal_mode = WAL")
        (there,) = db.execute("SELECT count(*) FROM entries").fetchone()
    if there != entries:
        raise WrongResultError(f"{there} entries, expected {entries}")
    with _opened(folder) as site:
        site.count_trends()


def _opened(folder: Path) -> Aggregator:
    from aggregator import config

    return Aggregator(config.load(folder / "feeds.yaml"), clock=lambda: END)


_SETTINGS = f"""\
database: store.db
topics: [{TOPIC}]
output:
  - name: all
  - name: {TOPIC}
    topic: {TOPIC}
feeds:
"""


def _subscription(feed: int) -> str:
    return f"  - url: https://news-{feed}.example/feed\n    name: News {feed}\n    tags: [{'daily' if feed % 9 else 'agency'}]\n"


_AT_ONCE = 5_000
"""Entries in one transaction: the full-text index gets a segment from each, as it does from groups of polls."""


def _write(db: sqlite3.Connection, told: Sequence[Telling], aspects: Sequence[str]) -> None:
    tongues = [Tongue(language) for language in LANGUAGES]
    numbered = iter(enumerate(told, 1))
    while part := list(islice(numbered, _AT_ONCE)):
        rows = [_row(number, telling, tongues[telling.feed % 3]) for number, telling in part]
        tagged = [(number, telling) for number, telling in part if telling.story % 20 == 0]
        db.execute("BEGIN")
        db.executemany(
            """INSERT INTO entries (id, feed_id, guid, url, title, author, language, published_at, first_seen_at,
                                    last_seen_at, changed_at, listed_at, article_id, story_id, uid, key, hash, summary,
                                    content, text, significant_at)
               VALUES (:id, :feed, :key, :url, :title, 'Newsroom', :language, :at, :at, :at, :at, :at, :article, :story,
                       :uid, :key, :hash, :summary, :content, :text, :at)""",
            rows,
        )
        db.executemany("INSERT INTO entries_fts (rowid, title, text) VALUES (:id, :title, :text)", rows)
        db.executemany(
            "INSERT INTO entry_tags (entry_id, topic, aspect, score, listed_at) VALUES (?, ?, ?, ?, ?)",
            [
                (number, TOPIC, aspect, 1 + number % 5, _stamp(telling.at))
                for number, telling in tagged
                for aspect in (None, aspects[number % len(aspects)])
            ],
        )
        db.executemany(
            "INSERT INTO matches VALUES (?, ?, 'named', 'venezuela', 'title', ?, ?)",
            [(number, TOPIC, start, start + 5) for number, _ in tagged for start in (0, 6, 12, 18)],
        )
        db.executemany(
            "INSERT INTO entry_countries VALUES (?, ?)",
            [(number, ("VE", "US", "ID", "CO", "MX")[number % 5]) for number, _ in part],
        )
        db.executemany(
            "INSERT INTO attributions VALUES (?, 'News Agency', NULL)",
            [(number,) for number, _ in part if number % 10 == 0],
        )
        db.execute("COMMIT")
    db.executescript(_MADE_OF_ENTRIES)


def _row(number: int, telling: Telling, tongue: Tongue) -> Mapping[str, Any]:
    text = tongue.text(telling.article)
    return {
        "id": number, "feed": telling.feed + 1, "at": _stamp(telling.at), "article": telling.article,
        "story": telling.story, "language": tongue.code, "key": f"{telling.article}-{number}",
        "url": f"https://news-{telling.feed}.example/{telling.article}", "uid": f"{number:020x}",
        "hash": number.to_bytes(16, "big"), "text": text, "content": f"<p>{text}</p>", "summary": text[:160],
        "title": tongue.title(telling.article, on_topic=telling.story % 20 == 0),
    }  # fmt: skip


def _stamp(seconds: int) -> str:
    return f"{END - YEAR + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


_MADE_OF_ENTRIES = f"""
INSERT INTO articles (id, canonical_entry_id, entry_count, feed_count, first_seen_at, uid, story_id)
SELECT article_id, min(id), count(*), count(DISTINCT feed_id), min(first_seen_at), uid, story_id
  FROM entries GROUP BY article_id;
INSERT INTO stories
SELECT story_id, title, count(DISTINCT article_id), count(DISTINCT feed_id), min(first_seen_at), max(first_seen_at)
  FROM entries GROUP BY story_id;
INSERT INTO edges SELECT canonical_entry_id, e.id, 'article', 'text', 0.9
  FROM entries e JOIN articles a ON a.id = e.article_id WHERE e.id != canonical_entry_id;
INSERT INTO edges
SELECT first, id, 'story', 'names', 0.7
  FROM (SELECT canonical_entry_id AS id, min(canonical_entry_id) OVER (PARTITION BY story_id) AS first FROM articles)
 WHERE id != first;
INSERT INTO revisions SELECT id, 1, first_seen_at, title, '', content || '<p>More.</p>' FROM entries WHERE id % 50 = 0;
UPDATE entries SET revision = 2 WHERE id % 50 = 0;
INSERT INTO polls SELECT f.id, strftime('%Y-%m-%dT%H:%M:%SZ', '{END:%Y-%m-%d}', '-' || value || ' hours'), 0.2,
                         iif(f.id % 20 = 0, NULL, 200), iif(f.id % 20 = 0, 'failed', 'changed'), 1, 0, NULL,
                         iif(f.id % 20 = 0, 'timeout', NULL)
  FROM feeds f, json_each('{list(range(1, 49))}');
UPDATE feeds SET url = subscription_url, own_title = title, per_day = 1.8, interval_seconds = 3600, length = 20,
       added_at = '{END - YEAR:%Y-%m-%dT%H:%M:%SZ}', last_polled_at = '{END:%Y-%m-%dT%H:%M:%SZ}',
       last_changed_at = '{END:%Y-%m-%dT%H:%M:%SZ}', next_poll_at = '{END + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}',
       last_success_at = '{END:%Y-%m-%dT%H:%M:%SZ}', status = iif(id % 20 = 0, 'failing', 'active'),
       failing_since = iif(id % 20 = 0, '{END - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}', NULL),
       last_error = iif(id % 20 = 0, 'no answer within 30 s', NULL), failures = iif(id % 20 = 0, 3.5, 0);
"""

# -------------------------------------------------------------------------------------- the questions


@dataclass(frozen=True, slots=True)
class Kind:
    """Questions of one kind.

    Attributes:
        name: what they are called in the report.
        paths: each of them once.
        target: milliseconds that 95 of 100 may take; None: it explains others.
        fresh: a new application for each, so that nothing is at hand.
    """

    name: str
    paths: Sequence[str]
    target: float | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Timing:
    """How long questions of one kind took, in milliseconds."""

    kind: Kind
    wall: Sequence[float]
    cpu: Sequence[float]
    size: int

    def __str__(self) -> str:
        target = self.kind.target
        verdict = ""
        if target is not None:
            verdict = f"at most {target:g}: {'met' if _p95(self.wall) <= target else 'MISSED'}"
        figures = "".join(
            f"{figure:>9.1f}" for times in (self.wall, self.cpu) for figure in (_p50(times), _p95(times))
        )
        return f"  {self.kind.name:<44}{figures}{self.size / 1024:>8.0f}   {verdict}".rstrip()


def _p50(times: Sequence[float]) -> float:
    return sorted(times)[len(times) // 2]


def _p95(times: Sequence[float]) -> float:
    return sorted(times)[-(-95 * len(times) // 100) - 1]


def kinds(site: Aggregator, rounds: int) -> Iterator[Kind]:
    """All questions, each made of what is stored."""
    random = Random(SEED)
    (newest,) = site.store.query("SELECT max(id) AS id, max(story_id) AS story FROM entries")
    entries = [random.randint(1, newest["id"]) for _ in range(rounds)]
    stories = [
        row["story_id"] for row in _rows(site, "SELECT story_id FROM entries WHERE id IN ({})", entries)
    ]
    moments = [_stamp(random.randrange(int(YEAR.total_seconds()))) for _ in range(rounds)]
    cursors = [f"{moment.replace('-', '').replace(':', '')}-1" for moment in moments]
    days = [moment[:10] for moment in moments]
    feeds = [f"News {random.randrange(FEEDS)}" for _ in range(rounds)]

    def of(path: str, *values: tuple[str, Sequence[str]]) -> list[str]:
        """The path with each parameter given its next value, once for each round."""
        asked = [{name: given[each % len(given)] for name, given in values} for each in range(rounds)]
        return [f"{path}{'&' if '?' in path else '?'}{urlencode(each)}" for each in asked]

    yield Kind("the stories of the topic", of("/", ("n", ("",))), PAGE)
    yield Kind("  older ones, by cursor", of("/", ("before", cursors)), PAGE)
    yield Kind("  of everything", of("/?topic=all", ("n", ("",))), PAGE)
    yield Kind("  of everything, older ones", of("/?topic=all", ("before", cursors)), PAGE)
    yield Kind(
        "  in a language, told by five outlets", of("/?min_outlets=5", ("language", ("id", "en", "es"))), PAGE
    )
    yield Kind("  of one source", of("/?topic=all", ("feed", feeds)), PAGE)
    yield Kind("a story", [f"/stories/{story}" for story in stories], PAGE)
    yield Kind("an entry", [f"/entries/{entry}" for entry in entries], PAGE)
    yield Kind("the trend", of("/trend", ("days", ("30", "90", "365"))), PAGE)
    yield Kind("the sources", of("/sources", ("page", ("1", "2", "9"))), PAGE)
    yield Kind("a source", [f"/sources/{1 + entry % FEEDS}" for entry in entries], PAGE)

    for name, queries in searches(Random(SEED), rounds).items():
        yield Kind(f"search: {name}", of("/search/hits", ("q", queries)), SEARCH)
    *several, two, one = searches(Random(SEED), rounds).values()
    mixed = [several[each % len(several)][each] for each in range(rounds)]
    yield Kind("  on the topic", of(f"/search/hits?topic={TOPIC}", ("q", mixed)), SEARCH)
    yield Kind("  in a language", of("/search/hits?language=es", ("q", mixed)), SEARCH)
    yield Kind("  of one source", of("/search/hits", ("q", mixed), ("feed", feeds)), SEARCH)
    short = [(one, two)[each % 2][each] for each in range(rounds)]  # they stand in nearly every entry
    yield Kind("    one or two letters", of("/search/hits", ("q", short), ("feed", feeds)))
    yield Kind("  since a day", of("/search/hits", ("q", mixed), ("since", days)), SEARCH)
    yield Kind("  the whole page", of("/search", ("q", mixed)), PAGE)
    yield Kind("  /api/search", of("/api/search", ("q", mixed)), PAGE)

    yield Kind("/api/entries", of("/api/entries?limit=50", ("cursor", cursors)), PAGE)
    yield Kind("  on the topic", of(f"/api/entries?topic={TOPIC}", ("cursor", cursors)), PAGE)
    yield Kind(
        "  in a language, of a country", of("/api/entries?language=es&country=VE", ("cursor", cursors)), PAGE
    )
    yield Kind("  of one source, every copy", of("/api/entries?copies=true", ("feed", feeds)), PAGE)
    yield Kind("  with a word", of("/api/entries", ("search", mixed), ("cursor", cursors)), PAGE)
    yield Kind("/api/stories", of("/api/stories?limit=25", ("cursor", cursors)), PAGE)
    yield Kind(
        "  on the topic, told by five outlets",
        of(f"/api/stories?topic={TOPIC}&min_outlets=5", ("cursor", cursors)),
        PAGE,
    )
    yield Kind("/api/feeds", of("/api/feeds", ("cursor", ("0", "500", "1000"))), PAGE)
    cold = min(rounds, 5)
    yield Kind("/feeds/caribbean-tension.atom, cold", [f"/feeds/{TOPIC}.atom"] * cold, fresh=True)
    yield Kind("/feeds/all.atom, cold", ["/feeds/all.atom"] * cold, fresh=True)


def _rows(site: Aggregator, statement: str, values: Sequence[int]) -> Iterator[dict[str, Any]]:
    return site.store.query(statement.format(", ".join(map(str, values))))


def searches(random: Random, rounds: int) -> dict[str, list[str]]:
    """Queries of several kinds, by the frequency of their words: in how many entries they stand, of a million."""
    tongues = [Tongue(language) for language in LANGUAGES]

    def word(first: int, last: int, tongue: Tongue | None = None) -> str:
        return (tongue or random.choice(tongues)).words[random.randrange(first, last)]

    def words(*ranks: tuple[int, int]) -> str:
        tongue = random.choice(tongues)
        return " ".join(word(first, last, tongue) for first, last in ranks)

    def phrase() -> str:
        tongue = random.choice(tongues)
        begin = random.randrange(_POOL - 2)
        return f'"{tongue.spoken[begin]} {tongue.spoken[begin + 1]}"'

    often, common, rare = (0, 30), (60, 400), (3_000, 30_000)
    made: dict[str, Callable[[], str]] = {
        "a word in 300,000": lambda: words(often),
        "a word in 10,000": lambda: words(common),
        "a word in 200": lambda: words(rare),
        "two frequent words": lambda: words(often, often),
        "three frequent words": lambda: words(often, often, often),
        "two common words": lambda: words(common, common),
        "three words, one of them rare": lambda: words(often, common, rare),
        "a phrase of two words": phrase,
        "a beginning of three letters": lambda: f"{words(common)[:3]}*",
        "a beginning of five letters": lambda: f"{words(common)[:5]}*",
        "a beginning and a frequent word": lambda: f"{words(often)} {words(common)[:4]}*",
        "near each other": lambda: "NEAR({} {}, 5)".format(*words(often, common).split()),
        "one or the other, and not a third": lambda: "({} OR {}) NOT {}".format(*words(often, common, common).split()),
        "a beginning of four letters": lambda: f"{words(common)[:4]}*",
        "a beginning of six letters": lambda: f"{words(common)[:6]}*",
        "a beginning and a word of its language": lambda: "{} {:.4}*".format(*words(often, common).split()),
        "a beginning of two letters": lambda: f"{words(common)[:2]}*",
        "a beginning of one letter": lambda: f"{words(common)[:1]}*",
    }  # fmt: skip
    return {name: [make() for _ in range(rounds)] for name, make in made.items()}


def asked(site: Aggregator, folder: Path, rounds: int, wanted: str) -> Iterator[Timing]:
    """Ask everything of the kinds whose name holds a word, in process.

    Raises:
        WrongResultError: an answer is not 200.
    """
    app = make_app(site, hosts=frozenset({"localhost"}))
    _read_through(site.store.path)
    for kind in kinds(site, rounds):
        if wanted not in kind.name:
            continue
        wall, cpu, size = [], [], 0
        for path in kind.paths:
            if kind.fresh:
                with _opened(folder) as other:
                    fresh = make_app(other, hosts=frozenset({"localhost"}))
                    answer = asyncio.run(_ask(fresh, path))
            else:
                answer = asyncio.run(_ask(app, path))
            if answer.status != 200:
                raise WrongResultError(f"{path} was answered with {answer.status}: {answer.body[:300]!r}")
            wall.append(answer.wall)
            cpu.append(answer.cpu)
            size = max(size, len(answer.body))
        yield Timing(kind, wall, cpu, size)


@contextmanager
def _as_the_daemon() -> Iterator[None]:
    """Have the collector pass over what is there at the start, as `aggregator run` does."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _read_through(path: Path) -> None:
    """Have the system keep the file at hand, as far as it has memory for it."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, and what it took: milliseconds of wall time, and of CPU in all threads."""

    status: int
    body: bytes
    wall: float
    cpu: float


async def _ask(app: Any, path: str) -> Answer:
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "root_path": "", "client": ("127.0.0.1", 1), "server": ("localhost", 80),
        "headers": [(b"host", b"localhost"), (b"accept", b"text/html,*/*;q=0.8"), (b"accept-encoding", b"gzip")],
    }  # fmt: skip
    status, body = 0, bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: Mapping[str, Any]) -> None:
        nonlocal status
        status = message.get("status", status)
        body.extend(message.get("body", b""))

    cpu, wall = time.process_time(), time.perf_counter()
    await app(scope, receive, send)
    return Answer(
        status, bytes(body), 1000 * (time.perf_counter() - wall), 1000 * (time.process_time() - cpu)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; 1 if a question was not answered."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.query", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--entries", type=int, default=1_000_000, help="how many are stored")
    parser.add_argument("--rounds", type=int, default=40, help="questions of each kind")
    parser.add_argument(
        "--keep", type=Path, help="a folder for the store, which is used again if it is there"
    )
    parser.add_argument("--only", default="", metavar="WORD", help="only kinds with this word in their name")
    given = parser.parse_args(arguments)
    print(f"python {platform.python_version()}, sqlite {sqlite3.sqlite_version}, processors {os.cpu_count()}")
    with tempfile.TemporaryDirectory(prefix="aggregator-benchmark-") as passing:
        folder = given.keep or Path(passing)
        try:
            if not (folder / "store.db").exists():
                folder.mkdir(parents=True, exist_ok=True)
                began = time.perf_counter()
                filled(folder, given.entries)
                size = (folder / "store.db").stat().st_size / (1 << 20)
                print(f"  filled in {time.perf_counter() - began:.0f} s: {size:,.0f} MiB")
            print(f"  {'milliseconds':<44}{'p50':>9}{'p95':>9}{'CPU p50':>9}{'p95':>9}{'kB':>8}")
            with _opened(folder) as site, _as_the_daemon():
                for timing in asked(site, folder, given.rounds, given.only):
                    print(timing, flush=True)
        except WrongResultError as error:
            print(f"not a valid run: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
