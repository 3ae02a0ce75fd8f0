"""The store: what users read, who may poll what, and what one transaction keeps."""

import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlite_utils import Database

from aggregator.errors import StoreBusyError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    Category,
    Claim,
    Delivery,
    Enclosure,
    Entry,
    EntryChange,
    EventKind,
    FailureKind,
    FeedEvent,
    FeedState,
    FeedStatus,
    Hold,
    HubSubscription,
    Identity,
    Level,
    ListState,
    Match,
    New,
    OutputFeed,
    PollOutcome,
    PollResult,
    Profile,
    Revised,
    Seen,
    Selection,
    Sides,
    Source,
    Subscription,
    Tag,
    Validators,
)
from aggregator.store import Links, Quiet, Recorded, Store, SubscriptionChanges, open_store, rows, schema

NOW = datetime(2025, 11, 5, 12, 0, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
FEED = "https://a.example/feed"
OTHER = "https://b.example/feed"
SOON = timedelta(milliseconds=50)
"""How long a store of these tests waits for a lock."""

ALL = OutputFeed("all")
TENSION = OutputFeed("tension", topic="tension")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "db" / "aggregator.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with open_store(path, busy_timeout=SOON) as store:
        yield store


# ------------------------------------------------------------------------------- short forms


def entry(key: str = "k", /, **given: Any) -> Entry:
    values: dict[str, Any] = {
        "key": key,
        "guid": key,
        "url": f"https://a.example/{key}",
        "original_url": None,
        "url_key": hash_of(key),
        "title": f"Title of {key}",
        "author": None,
        "summary": "",
        "content": f"<p>Text of {key}</p>",
        "text": f"Text of {key}",
        "language": "en",
        "published_at": None,
        "updated_at": None,
        "hash": key.encode(),
    }
    return Entry(**{**values, **given})


def hash_of(key: str) -> int:
    return int.from_bytes(key.encode()[:7], "big")


def outcome(claim: Claim, *changes: EntryChange, at: datetime = NOW, **state: Any) -> PollOutcome:
    values = {"last_polled_at": at, "last_changed_at": at, "next_poll_at": at + HOUR, **state}
    return PollOutcome(
        claim=claim,
        result=PollResult.CHANGED,
        state=replace(claim.state, **values),
        started_at=at,
        http_status=200,
        changes=changes,
    )


def follow(store: Store, *urls: str) -> None:
    """Subscribe to more feeds."""
    present = [feed.subscription for feed in store.feeds()]
    store.subscribe([*present, *map(Subscription, urls)], NOW)


def claim_all(
    store: Store, now: datetime = NOW, *, limit: int = 100, per_host: int = 100, lease: timedelta = HOUR
) -> tuple[Claim, ...]:
    return store.claim(now, due_by=now, limit=limit, per_host=per_host, lease=lease)


def claimed(store: Store, at: datetime = NOW, url: str = FEED) -> Claim:
    """A feed's claim, whatever its plan."""
    if url not in {feed.subscription.url for feed in store.feeds()}:
        follow(store, url)
    ids = store.find_feeds([url])
    store.make_due(at, ids)
    (claim,) = store.claim(at, due_by=at, limit=1, per_host=1, lease=HOUR, among=ids)
    return claim


def by_address(links: Links, entry_ids: Sequence[int]) -> None:
    """The simplest way to link entries: those with one canonical URL are one article."""
    for entry in links.read(entry_ids):
        for other in links.same_address(entry):
            article, _ = links.place(other)
            if entry.article_id != article:
                members = links.cluster([entry.id, other]).members
                links.set_articles({article: (members, min(members))})
                links.drop_articles([entry.article_id])


def polled(
    store: Store,
    *changes: EntryChange,
    at: datetime = NOW,
    url: str = FEED,
    link: Callable[[Links, Sequence[int]], None] = by_address,
) -> Recorded:
    """One whole poll."""
    (recorded,) = store.record([outcome(claimed(store, at, url), *changes, at=at)], at, link)
    return recorded


def sql(path: Path, statement: str, *values: object) -> list[Any]:
    """What another program reads."""
    with closing(sqlite3.connect(path, timeout=0.05)) as connection:
        return connection.execute(statement, values).fetchall()


def id_of(store: Store, key: str) -> int:
    ((entry_id,),) = sql(store.path, "SELECT id FROM entries WHERE key = ?", key)
    return int(entry_id)


def keys(store: Store) -> list[str]:
    return [row[0] for row in sql(store.path, "SELECT key FROM entries ORDER BY id")]


def check_sound(path: Path) -> None:
    """Whatever was done: the file is whole, the index holds what the entries say, and articles count right."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        connection.execute("INSERT INTO entries_fts (entries_fts, rank) VALUES ('integrity-check', 1)")
        told = connection.execute(
            "SELECT id, canonical_entry_id, entry_count, feed_count FROM articles ORDER BY id"
        ).fetchall()
        counted = connection.execute(
            """SELECT article_id, canonical_entry_id, count(*), count(DISTINCT feed_id)
                 FROM entries JOIN articles ON articles.id = article_id
                WHERE canonical_entry_id IN (SELECT e.id FROM entries e WHERE e.article_id = articles.id)
                GROUP BY article_id ORDER BY article_id"""
        ).fetchall()
        assert told == counted
        told = connection.execute("SELECT id, article_count, feed_count FROM stories ORDER BY id").fetchall()
        counted = connection.execute(
            """SELECT e.story_id, count(DISTINCT e.article_id), count(DISTINCT e.feed_id)
                 FROM entries e JOIN articles a ON a.id = e.article_id AND a.story_id = e.story_id
                GROUP BY e.story_id ORDER BY e.story_id"""
        ).fetchall()
        assert told == counted


# --------------------------------------------------------------------------- what users read

PROMISED = {
    "feeds": "id url title site_url language status http_status last_error failures etag last_modified "
    "last_polled_at last_success_at next_poll_at interval_seconds",
    "entries": "id feed_id guid url title author summary content text language published_at updated_at "
    "first_seen_at revision article_id story_id",
    "entries_fts": "title text",
    "entry_tags": "entry_id topic aspect score",
    "matches": "entry_id topic term field start end",
    "articles": "id canonical_entry_id entry_count feed_count first_seen_at",
    "stories": "id title article_count feed_count first_seen_at last_seen_at",
    "attributions": "entry_id name url",
    "revisions": "entry_id revision seen_at title summary content",
    "polls": "feed_id started_at seconds http_status result entries_new entries_revised error",
}


@pytest.mark.parametrize(("table", "columns"), PROMISED.items(), ids=PROMISED)
def test_every_promised_column_is_there(store: Store, table: str, columns: str) -> None:
    # As tools list them: a generated column would be missing here.
    present = {row[1] for row in sql(store.path, f"PRAGMA table_info({table})")}
    assert set(columns.split()) <= present


def test_tables_are_strict(store: Store) -> None:
    tables = sql(store.path, "SELECT name, strict FROM pragma_table_list WHERE schema = 'main'")
    loose = {name for name, strict in tables if not strict}
    assert {name for name in loose if not name.startswith(("sqlite_", "entries_fts", "_sqlite_"))} == set()


def test_a_full_feed_and_entry_come_back_as_they_went_in(store: Store) -> None:
    wish = Subscription(FEED, "A", "id", ("x", "é"), 90 * SECOND)
    store.subscribe([wish], NOW)
    (claim,) = claim_all(store)
    state = FeedState(
        url="https://a.example/moved",
        title="Own",
        site_url="https://a.example",
        language="es",
        description="About",
        icon_url="https://a.example/i.png",
        status=FeedStatus.FAILING,
        http_status=500,
        last_error="trouble",
        failures=0.75,
        failing_since=NOW - DAY,
        validators=Validators('W/"1"', "Tue, 04 Nov 2025 00:00:00 GMT", FEED),
        body_hash=b"\x00\x01",
        identity=Identity.LINK,
        last_polled_at=NOW,
        last_success_at=NOW - DAY,
        last_changed_at=NOW - 2 * DAY,
        next_poll_at=NOW + HOUR,
        interval=timedelta(seconds=90.5),
        per_day=2.5,
        profile=Profile((0.25,) * 24, (1.0, 2.5, 0.0, 3.0, 4.0, 5.0, 6.0), NOW - DAY, NOW),
        length=20,
        fresh_until=NOW + MINUTE,
        hint=HOUR,
        skip_hours=(1, 2),
        skip_days=(6,),
        moved_to="https://c.example/",
        moved_since=NOW,
        moved_times=1,
    )
    whole = entry(
        "k",
        author="R",
        summary="<p>S</p>",
        published_at=NOW - HOUR,
        updated_at=NOW,
        categories=(Category("c", "s", "l"), Category("d")),
        enclosures=(Enclosure("https://a.example/f", "audio/mpeg", 1), Enclosure("https://a.example/g")),
        source=Source("Q", "https://q.example/"),
        tags=(Tag("tension", None, 2.0), Tag("tension", "military", 1.0)),
        matches=(Match("tension", "r", "t", "title", 0, 5),),
        attributions=(Attribution("INEWS", None), Attribution("AFP", "https://afp.example/")),
    )
    store.record([PollOutcome(claim, PollResult.CHANGED, state, NOW, changes=(New(whole),))], NOW)

    (feed,) = store.feeds()
    assert feed.subscription == wish
    assert feed.state == state
    assert (feed.entries, feed.entries_per_week) == (1, 17.5)
    stored = store.entry(1)
    for name in set(stored.__slots__) & set(whole.__slots__):
        assert getattr(stored, name) == getattr(whole, name), name
    assert (stored.feed_title, stored.feed_url, stored.feed_site_url) == ("A", state.url, "https://a.example")
    assert (stored.first_seen_at, stored.changed_at, stored.revision) == (NOW, NOW, 1)
    assert len(stored.uid) == 20
    assert sql(store.path, "SELECT source_title, source_url FROM entries") == [("Q", "https://q.example/")]


def test_an_article_is_shown_at_its_own_address_and_not_at_a_trackers(store: Store) -> None:
    own = "https://a.example/own"
    polled(store, New(entry("a", url="https://tracker.example/1", original_url=own, url_key=1)))
    polled(
        store, New(entry("b", url=own, url_key=1)), New(entry("c", url="https://a.example/mirror", url_key=1))
    )
    a, b, c = (store.entry(id_of(store, key)) for key in "abc")
    assert (a.url, b.url) == (own, own)
    mirror = "https://a.example/mirror"
    assert [[copy.url for copy in one.copies] for one in (a, b, c)] == [
        [mirror, own],
        [own, mirror],
        [own, own],
    ]
    assert sql(store.path, "SELECT url FROM entries WHERE key = 'a'") == [("https://tracker.example/1",)]


def test_times_are_utc_text_to_the_second(store: Store) -> None:
    elsewhere = NOW.replace(microsecond=999_999).astimezone(datetime.strptime("+0700", "%z").tzinfo)
    polled(store, New(entry(published_at=elsewhere)), at=NOW)
    assert sql(store.path, "SELECT published_at, first_seen_at, last_seen_at FROM entries") == [
        ("2025-11-05T12:00:00Z",) * 3
    ]


def test_a_feed_is_called_by_its_wished_name_and_else_by_its_own(store: Store) -> None:
    follow(store, FEED)
    titles = []
    for name in (None, "Mine", None):
        store.subscribe([Subscription(FEED, name)], NOW)
        titles += sql(store.path, "SELECT title FROM feeds")
        store.record([outcome(claimed(store), title="Own")], NOW)
        titles += sql(store.path, "SELECT title FROM feeds")
    assert [title for (title,) in titles] == [None, "Own", "Mine", "Mine", "Own", "Own"]


def test_sqlite_tools_read_while_a_transaction_is_being_written(store: Store) -> None:
    polled(store, New(entry("k")))
    with closing(sqlite3.connect(store.path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("UPDATE entries SET title = 'unseen'")
        database = Database(store.path)
        assert [row["title"] for row in database["entries"].rows] == ["Title of k"]
        assert [row["title"] for row in database.table("entries").search("text")] == ["Title of k"]
        database.close()
        if command := shutil.which("sqlite3"):
            arguments = [command, "-readonly", str(store.path), "SELECT title FROM entries"]
            done = subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=True)
            assert done.stdout == "Title of k\n"
        writer.execute("ROLLBACK")


# ----------------------------------------------------------------------------------- opening


def dump(path: Path) -> list[Any]:
    return sql(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")


def test_fresh_and_migrated_schema_are_the_same(path: Path, tmp_path: Path) -> None:
    open_store(path).close()
    step_by_step = tmp_path / "old.db"
    names = [step.name for step in schema.migrations().pending(Database(memory=True))]
    for later in [*names[1:], None]:
        database = Database(step_by_step)
        schema.migrations().apply(database, stop_before=later)
        database.close()
    open_store(step_by_step).close()
    assert dump(step_by_step) == dump(path)
    assert sql(step_by_step, "PRAGMA user_version") == sql(path, "PRAGMA user_version") == [(len(names),)]


def test_a_restored_dump_opens(store: Store, tmp_path: Path) -> None:
    polled(store, New(entry("k")))
    restored = tmp_path / "restored.db"
    command = shutil.which("sqlite3") or pytest.skip("the sqlite3 command is not installed")
    script = subprocess.run([command, str(store.path), ".dump"], capture_output=True, timeout=10, check=True)
    subprocess.run([command, str(restored)], input=script.stdout, timeout=10, check=True)
    with open_store(restored) as again:
        assert again.search("text")


def write_other(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA user_version = 1; CREATE TABLE notes (x)")


def write_newer(path: Path) -> None:
    open_store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 999")


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        pytest.param(lambda path: path.write_text("feeds: []\n" * 99), "not a database", id="not a database"),
        pytest.param(write_other, "another program", id="another program's"),
        pytest.param(write_newer, "newer version .* upgrade", id="newer version"),
        pytest.param(lambda path: path.mkdir(), "unable to open", id="a folder"),
    ],
)
def test_what_cannot_be_used_is_refused_in_words_and_left_alone(
    tmp_path: Path, prepare: Callable[[Path], object], words: str
) -> None:
    path = tmp_path / "x.db"
    prepare(path)
    before = path.is_file() and path.read_bytes()
    with pytest.raises(StoreError, match=words) as caught:
        open_store(path)
    assert str(path) in str(caught.value)
    assert (path.is_file() and path.read_bytes()) == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError):
        open_store(tmp_path / "file" / "x.db")


def test_only_sqlite_is_supported() -> None:
    with pytest.raises(StoreError, match="only SQLite"):
        open_store("postgresql://localhost/news")


def test_too_old_a_sqlite_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(StoreError, match=r"3\.37 or newer"):
        open_store(path)


def test_a_url_of_sqlite_is_its_path(path: Path) -> None:
    open_store(f"sqlite:///{path}").close()
    assert path.exists()


def test_files_are_for_their_owner_only(store: Store) -> None:
    polled(store, New(entry()))
    modes = {file.name: file.stat().st_mode & 0o777 for file in store.path.parent.iterdir()}
    assert len(modes) == 3  # the database, its log and the log's index
    assert set(modes.values()) == {0o600}


def test_a_link_to_a_file_that_is_not_there_yet_makes_it_private(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    open_store(link).close()
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("attempt", range(8))
def test_a_new_file_is_opened_by_many_at_once(tmp_path: Path, attempt: int) -> None:
    start = threading.Barrier(4)

    def open_one(number: int) -> None:
        start.wait()
        with open_store(tmp_path / "x.db") as store:
            store.set_property(str(number), "here")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(open_one, range(4)))
    assert sql(tmp_path / "x.db", "SELECT count(*) FROM properties") == [(4,)]


def test_opening_twice_in_one_process_keeps_others_from_taking_the_file_apart(store: Store) -> None:
    # Closing any handle of a file drops all of a process's locks on it (POSIX).
    open_store(store.path).close()
    script = (
        "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('PRAGMA journal_mode = DELETE')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(store.path)],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
    )
    assert "database is locked" in done.stderr


# ----------------------------------------------------------------------------- subscriptions

A, B, C = (Subscription(f"https://{name}.example/feed") for name in "abc")


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        pytest.param([], [A, B], SubscriptionChanges(added=(A.url, B.url)), id="new"),
        pytest.param([A, B], [B, A], SubscriptionChanges(), id="order does not matter"),
        pytest.param([A, B], [A], SubscriptionChanges(paused=(B.url,)), id="left out"),
        pytest.param([A], [replace(A, enabled=False)], SubscriptionChanges(paused=(A.url,)), id="disabled"),
        pytest.param([], [replace(A, enabled=False)], SubscriptionChanges(), id="disabled from the start"),
        pytest.param([A], [replace(A, tags=("x",))], SubscriptionChanges(changed=(A.url,)), id="changed"),
        pytest.param(
            [A],
            [replace(A, name="N", enabled=False), C],
            SubscriptionChanges(added=(C.url,), changed=(A.url,), paused=(A.url,)),
            id="all at once",
        ),
    ],
)
def test_subscribing_makes_the_feeds_those_of_the_configuration(
    store: Store, before: list[Subscription], after: list[Subscription], changes: SubscriptionChanges
) -> None:
    store.subscribe(before, NOW)
    told = store.subscribe(after, NOW, dry_run=True)
    assert [feed.subscription for feed in store.feeds()] == before
    assert store.subscribe(after, NOW) == told == changes
    assert store.subscribe(after, NOW) == SubscriptionChanges()
    followed = {feed.subscription for feed in store.feeds() if feed.subscription.enabled}
    assert followed == {wish for wish in after if wish.enabled}


def test_a_feed_that_returns_resumes_where_it_stopped(store: Store) -> None:
    store.subscribe([A, B], NOW)
    for claim in claim_all(store):
        store.record([outcome(claim, New(entry()), failures=0.5, status=FeedStatus.FAILING)], NOW)
    before = store.feeds()
    store.subscribe([B], NOW)
    assert [feed.state.status for feed in store.feeds()] == [FeedStatus.PAUSED, FeedStatus.FAILING]
    assert [claim.state.url for claim in claim_all(store, NOW + DAY)] == [B.url]
    assert store.subscribe([A, B], NOW).resumed == (A.url,)
    assert store.feeds()[0] == before[0]


@pytest.mark.parametrize(
    ("before", "after", "due"),
    [
        pytest.param(None, 15 * MINUTE, NOW, id="shorter than the interval"),
        pytest.param(None, 2 * DAY, NOW + HOUR, id="longer than the interval"),
        pytest.param(30 * DAY, None, NOW, id="none any more"),
        pytest.param(15 * MINUTE, 15 * MINUTE, NOW + HOUR, id="the same, backing off"),
    ],
)
def test_another_every_takes_effect_at_once(
    store: Store, before: timedelta | None, after: timedelta | None, due: datetime
) -> None:
    store.subscribe([replace(A, every=before)], NOW)
    store.record([outcome(claimed(store), interval=before or HOUR)], NOW)
    store.subscribe([replace(A, every=after, name="N")], NOW)
    assert store.next_due_at() == due


# -------------------------------------------------------------------------------- due, claim


def test_new_feeds_are_due_at_once_and_claimed_once(store: Store) -> None:
    follow(store, FEED, OTHER)
    assert store.count_due(NOW) == 2
    claims = claim_all(store)
    assert {claim.subscription.url for claim in claims} == {FEED, OTHER}
    assert claim_all(store) == ()


@pytest.mark.parametrize("window", [1, 3, 1000])
def test_what_is_claimed_of_many_is_of_all_hosts_and_no_less(
    store: Store, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr("aggregator.store.polls.WINDOW", window)
    follow(store, *(f"https://busy.example/{number}" for number in range(6)), FEED, OTHER)
    claims = store.claim(NOW, due_by=NOW, limit=5, per_host=3, lease=HOUR)
    hosts = [claim.state.url.split("/")[2] for claim in claims]
    assert sorted(hosts) == ["a.example", "b.example", *["busy.example"] * 3]
    assert store.claim(NOW, due_by=NOW, limit=5, per_host=3, lease=HOUR) == ()


def test_a_feed_that_waits_for_its_hosts_other_feeds_is_not_late(store: Store) -> None:
    neighbour = "https://a.example/other"
    polled(store, url=FEED)
    polled(store, url=neighbour)
    later = NOW + 3 * HOUR
    assert store.overdue_since(later - HOUR) == NOW + HOUR
    store.claim(later, due_by=later, limit=1, per_host=1, lease=HOUR)
    assert store.overdue_since(later - HOUR) is None, "the host is being asked"
    polled(store, url=OTHER)
    assert store.overdue_since(later + 3 * HOUR) == NOW + HOUR


def test_nothing_is_claimed_before_it_is_due(store: Store) -> None:
    polled(store)
    assert store.next_due_at() == NOW + HOUR
    assert claim_all(store, NOW + HOUR - SECOND) == ()
    assert len(claim_all(store, NOW + HOUR)) == 1


def test_a_lease_ends_and_the_next_claim_fences_the_old_one_off(store: Store) -> None:
    follow(store, FEED)
    (old,) = claim_all(store, lease=MINUTE)
    assert claim_all(store, NOW + MINUTE - SECOND) == ()
    (new,) = claim_all(store, NOW + MINUTE)
    late, first = store.record([outcome(old, New(entry("a")))], NOW), store.record([outcome(new)], NOW)
    assert (late[0].accepted, first[0].accepted) == (False, True)
    assert store.is_empty()
    assert sql(store.path, "SELECT count(*) FROM polls") == [(1,)]


def test_a_late_poll_counts_while_nobody_else_has_the_feed(store: Store) -> None:
    follow(store, FEED)
    (claim,) = claim_all(store, lease=MINUTE)
    assert store.record([outcome(claim, New(entry()))], NOW + HOUR) == (Recorded(True, entries_new=1),)


def test_a_feed_given_back_is_due_again_unless_somebody_else_has_it(store: Store) -> None:
    follow(store, FEED)
    (old,) = claim_all(store, lease=MINUTE)
    store.release([old])
    (new,) = claim_all(store)
    store.release([old])
    assert claim_all(store) == ()
    store.release([new])
    assert len(claim_all(store)) == 1


def test_no_host_is_asked_for_more_than_its_share(store: Store) -> None:
    follow(store, *(f"https://a.example/{number}" for number in range(5)), FEED.replace("a.", "b."))
    first = claim_all(store, per_host=2)
    assert Counter(claim.state.url[8] for claim in first) == {"a": 2, "b": 1}
    assert claim_all(store, per_host=2) == ()
    store.record([outcome(claim) for claim in first[:3]], NOW)
    assert len(claim_all(store, per_host=2)) == 2


def test_a_host_is_asked_again_only_after_a_rest(store: Store) -> None:
    follow(store, *(f"https://a.example/{number}" for number in range(3)), FEED.replace("a.", "b."))

    def hosts(at: datetime) -> Counter[str]:
        claims = store.claim(at, due_by=at, limit=9, per_host=2, lease=HOUR, spacing=timedelta(seconds=2))
        return Counter(claim.state.url[8] for claim in claims)

    assert hosts(NOW) == {"a": 1, "b": 1}
    assert hosts(NOW + timedelta(seconds=1)) == {}
    assert hosts(NOW + timedelta(seconds=2)) == {"a": 1}  # the first is still out, which per_host allows
    assert hosts(NOW + timedelta(seconds=4)) == {}


@pytest.mark.parametrize("late", [0, 0.2, 0.55, 0.999])
def test_a_rest_is_whole_whenever_in_its_second_it_begins(store: Store, late: float) -> None:
    follow(store, "https://a.example/1", "https://a.example/2")
    begun = NOW + late * SECOND

    def claims(at: datetime) -> int:
        return len(store.claim(at, due_by=at, limit=9, per_host=2, lease=HOUR, spacing=SECOND))

    assert claims(begun) == 1
    assert claims(begun + 0.99 * SECOND) == 0
    assert store.resting(begun + 0.99 * SECOND, due_by=NOW, spacing=SECOND)
    assert not store.resting(begun + SECOND, due_by=NOW, spacing=SECOND)
    assert claims(begun + SECOND) == 1


def test_this_machine_needs_no_rest(store: Store) -> None:
    follow(store, *(f"http://127.0.0.1:8080/{number}" for number in range(3)))
    claims = store.claim(NOW, due_by=NOW, limit=9, per_host=9, lease=HOUR, spacing=HOUR)
    assert len(claims) == 3


@pytest.mark.parametrize(
    ("hold", "waiting"),
    [
        pytest.param(Hold(NOW + HOUR), "1", id="the feed alone"),
        pytest.param(Hold(NOW + HOUR, "a.example"), "12", id="its host"),
        pytest.param(Hold(NOW + HOUR, "b.example"), "13", id="another host, which answered"),
        pytest.param(Hold(NOW + HOUR, "a.example", "example"), "1234", id="all hosts of a domain, whatever the port"),
        pytest.param(Hold(NOW + HOUR, "a.example", "ample"), "12", id="a domain is no mere ending"),
    ],
)  # fmt: skip
def test_a_pause_that_a_server_asks_for(store: Store, hold: Hold, waiting: str) -> None:
    urls = {
        "1": "https://a.example/1",
        "2": "https://A.example:443/2",
        "3": "https://b.example/3",
        "4": "https://c.b.example:8080/4",
        "5": "https://example.org/",
    }
    claim = claimed(store, url=urls["1"])
    follow(store, *(urls[number] for number in "234"))
    store.record([replace(outcome(claim, next_poll_at=NOW + 9 * HOUR), hold=hold)], NOW)
    follow(store, urls["5"], "https://a.example/6")  # during the pause

    def due() -> dict[str, datetime | None]:
        return {feed.subscription.url: feed.state.next_poll_at for feed in store.feeds()}

    assert [number for number, url in urls.items() if due()[url] != NOW] == list(waiting)
    store.make_due(NOW + MINUTE)
    found = {claim.subscription.url for claim in claim_all(store, NOW + MINUTE)}
    assert found & set(urls.values()) == {url for number, url in urls.items() if number not in waiting}
    assert ("https://a.example/6" in found) is (hold.host != "a.example")
    assert {due()[urls[number]] for number in waiting} == {NOW + HOUR}
    assert len(claim_all(store, NOW + HOUR)) == 6 - len(found)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://a.example/feed", "a.example"),
        ("https://User:word@A.example:443/feed", "a.example"),
        ("http://a.example:80/feed", "a.example"),
        ("http://a.example:443/feed", "a.example:443"),
        ("https://bücher.example:8080/feed", "xn--bcher-kva.example:8080"),
        ("http://[::80]/feed", "[::80]"),
    ],
)
def test_a_host_has_one_name(url: str, host: str) -> None:
    assert rows.host(url) == host


def test_a_feed_that_moved_to_where_another_is_read_ends_there(store: Store) -> None:
    polled(store, New(entry("a")))
    polled(store, New(entry("b")), url="https://old.example/feed")
    moved = outcome(claimed(store, url="https://old.example/feed"), url=FEED)
    store.record([moved], NOW)
    states = {feed.subscription.url: feed.state for feed in store.feeds()}
    assert states[FEED].status is FeedStatus.ACTIVE
    assert states["https://old.example/feed"].status is FeedStatus.GONE
    assert states["https://old.example/feed"].last_error == f"moved to {FEED}, which is followed already"
    assert states["https://old.example/feed"].next_poll_at == NOW + 30 * DAY
    assert keys(store) == ["a", "b"]


def test_a_merged_feed_rests_until_the_other_is_left_out(store: Store) -> None:
    polled(store, New(entry("a")))
    old = "https://old.example/feed"
    moved = {"url": FEED, "status": FeedStatus.ACTIVE}
    for days in (0, 30):  # at the end of its month it is looked at, and still is the same
        at = NOW + days * DAY
        store.record([outcome(claimed(store, at, old), New(entry(f"n{days}")), at=at, **moved)], at)
        assert [store.count_due(at + days * DAY) for days in (29, 30)] == [1, 2]
    assert keys(store) == ["a"]  # what it shows comes by the other

    store.subscribe([Subscription(old)], at)
    (claim,) = claim_all(store, at)
    assert claim.subscription.url == old
    store.record([outcome(claim, New(entry("b")), at=at, **moved)], at)
    assert keys(store) == ["a", "b"]
    states = {feed.subscription.url: feed.state.status for feed in store.feeds()}
    assert states == {FEED: FeedStatus.PAUSED, old: FeedStatus.ACTIVE}


def test_a_host_with_a_thousand_due_feeds_starves_no_other(store: Store) -> None:
    follow(store, *(f"https://big.example/{number}" for number in range(1000)))
    store.subscribe(
        [
            *(feed.subscription for feed in store.feeds()),
            *(Subscription(f"https://s{n}.example/") for n in range(9)),
        ],
        NOW + HOUR,  # due long after the thousand
    )
    claims = store.claim(NOW + DAY, due_by=NOW + DAY, limit=10, per_host=1000, lease=HOUR)
    assert Counter("big" in claim.state.url for claim in claims) == {True: 1, False: 9}


def test_claiming_among_some_leaves_the_others(store: Store) -> None:
    follow(store, FEED, OTHER)
    ids = store.find_feeds([OTHER])
    claims = store.claim(NOW, due_by=NOW, limit=9, per_host=9, lease=HOUR, among=ids)
    assert [claim.state.url for claim in claims] == [OTHER]
    assert store.claim(NOW, due_by=NOW, limit=9, per_host=9, lease=HOUR, among=()) == ()


def test_two_programs_on_one_file_never_poll_the_same_feed(store: Store) -> None:
    follow(store, *(f"https://h{number}.example/" for number in range(60)))

    def take_all(_: int) -> list[int]:
        with open_store(store.path) as mine:
            ids: list[int] = []
            while claims := claim_all(mine, limit=5):
                ids += [claim.feed_id for claim in claims]
            return ids

    with ThreadPoolExecutor(3) as pool:
        taken = [feed_id for ids in pool.map(take_all, range(3)) for feed_id in ids]
    assert sorted(taken) == [feed.id for feed in store.feeds()]


@pytest.mark.parametrize("leased", [False, True], ids=["none due", "those due are being polled"])
def test_looking_for_due_feeds_where_there_are_none_takes_no_lock(store: Store, leased: bool) -> None:
    follow(store, FEED)
    (claim,) = claim_all(store)
    if not leased:
        store.record([outcome(claim)], NOW)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert claim_all(store) == ()


def test_feeds_are_made_due_but_not_paused_ones(store: Store) -> None:
    follow(store, A.url, B.url, C.url)
    store.record([outcome(claim) for claim in claim_all(store)], NOW)
    store.subscribe([A, B], NOW)
    assert store.count_due(NOW) == 0
    assert store.make_due(NOW, store.find_feeds([A.url, C.url])) == 1
    assert store.make_due(NOW) == 2
    assert store.count_due(NOW) == 2


@pytest.mark.parametrize("word", [FEED, "https://a.example/found", "the news", "THE NEWS"])
def test_feeds_are_found_by_address_or_name(store: Store, word: str) -> None:
    follow(store, OTHER)
    store.record([outcome(claimed(store), title="The News", url="https://a.example/found")], NOW)
    assert store.find_feeds([word, word]) == (2,)


def test_an_unknown_feed_is_told(store: Store) -> None:
    with pytest.raises(UnknownError, match=r"'nobody'.*aggregator feeds"):
        store.find_feeds(["nobody"])


# ------------------------------------------------------------------------------------ record


def test_one_outcome_that_cannot_be_stored_takes_the_whole_group_back(store: Store) -> None:
    follow(store, FEED, OTHER)
    good, bad = claim_all(store)
    before = store.feeds()
    with pytest.raises(sqlite3.IntegrityError):
        store.record([outcome(good, New(entry("a"))), outcome(bad, New(entry("b")), New(entry("b")))], NOW)
    assert store.is_empty()
    assert store.feeds() == before
    assert sql(store.path, "SELECT count(*) FROM polls") == [(0,)]
    assert store.record([outcome(good, New(entry("a")))], NOW) == (Recorded(True, entries_new=1),)


def test_entries_of_two_feeds_may_have_the_same_key(store: Store) -> None:
    polled(store, New(entry("k", url_key=None)))
    polled(store, New(entry("k", url_key=None)), url=OTHER)
    assert len({found.uid for found in store.select(ALL, limit=100)[0]}) == 2


def test_a_poll_is_logged(store: Store) -> None:
    claim = claimed(store)
    failed = replace(
        outcome(claim), result=PollResult.FAILED, seconds=1.23456, http_status=None, error="no answer",
        failure=FailureKind.TIMEOUT,
    )  # fmt: skip
    store.record([failed], NOW)
    polled(store, New(entry("a")), New(entry("b")), at=NOW + HOUR)
    polled(store, Revised(id_of(store, "a"), entry("a", title="Other")), at=NOW + 2 * HOUR)
    assert sql(store.path, "SELECT * FROM polls ORDER BY started_at") == [
        (1, "2025-11-05T12:00:00Z", 1.235, None, "failed", 0, 0, "no answer", "timeout"),
        (1, "2025-11-05T13:00:00Z", 0.0, 200, "changed", 2, 0, None, None),
        (1, "2025-11-05T14:00:00Z", 0.0, 200, "changed", 0, 1, None, None),
    ]


def test_a_revision_keeps_every_earlier_version(store: Store) -> None:
    polled(store, New(entry("k", title="One", text="uno")))
    polled(store, Revised(1, entry("k", title="Two", summary="S2", text="dos")), at=NOW + HOUR)
    polled(store, Revised(1, entry("k", title="Three", content="C3", text="tres")), at=NOW + 2 * HOUR)
    now = store.entry(1)
    assert (now.title, now.revision, now.changed_at, now.first_seen_at) == ("Three", 3, NOW + 2 * HOUR, NOW)
    assert sql(store.path, "SELECT * FROM revisions ORDER BY revision") == [
        (1, 1, "2025-11-05T12:00:00Z", "One", "", "<p>Text of k</p>"),
        (1, 2, "2025-11-05T13:00:00Z", "Two", "S2", "<p>Text of k</p>"),
    ]
    found = {word: len(store.search(word)) for word in ("uno", "dos", "tres", "One", "Three")}
    assert found == {"uno": 0, "dos": 0, "tres": 1, "One": 0, "Three": 1}
    check_sound(store.path)


def test_of_an_entry_that_changes_at_every_poll_the_first_and_the_latest_versions_are_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aggregator.store.recording.REVISIONS_KEPT", 3)
    polled(store, New(entry("a", title="Visits: 1")))
    entry_id = id_of(store, "a")
    for visits in range(2, 8):
        polled(store, Revised(entry_id, entry("a", title=f"Visits: {visits}", hash=b"%d" % visits)))
    kept = sql(store.path, "SELECT title FROM revisions ORDER BY revision")
    assert kept == [("Visits: 1",), ("Visits: 4",), ("Visits: 5",), ("Visits: 6",)]
    assert store.entry(entry_id).revision == 7


def test_a_revision_brings_its_own_tags_and_sources(store: Store) -> None:
    about = {"tags": (Tag("tension", None, 2.0),), "matches": (Match("tension", "r", "t", "title", 0, 1),)}
    polled(store, New(entry("k", **about, attributions=(Attribution("INEWS"),))))
    polled(store, Revised(1, entry("k", title="Other", attributions=(Attribution("AFP"),))), at=NOW + HOUR)
    now = store.entry(1)
    assert (now.tags, now.matches, now.attributions) == ((), (), (Attribution("AFP"),))


def test_what_no_reader_sees_is_no_revision_but_is_stored(store: Store) -> None:
    polled(store, New(entry("k", hash=b"1")))
    again = entry(
        "k", hash=b"2", updated_at=NOW, categories=(Category("c"),), tags=(Tag("tension", None, 1.0),)
    )
    assert polled(store, Revised(1, again), at=NOW + HOUR) == Recorded(True)
    now = store.entry(1)
    assert (now.revision, now.changed_at, now.updated_at) == (1, NOW, NOW)
    assert (now.categories, now.tags) == (again.categories, again.tags)  # tags may rest on categories
    assert sql(store.path, "SELECT count(*) FROM revisions") == [(0,)]
    (known,), _ = store.known(1, ["k"], [])
    assert known.hash == b"2"


def test_the_index_follows_where_only_our_reading_of_the_same_html_changed(store: Store) -> None:
    polled(store, New(entry("k", text="misread")))
    polled(store, Revised(1, entry("k", text="wellread", hash=b"2")), at=NOW + HOUR)
    assert (len(store.search("misread")), len(store.search("wellread"))) == (0, 1)
    check_sound(store.path)


def test_a_revision_of_what_was_pruned_meanwhile_changes_nothing(store: Store) -> None:
    assert polled(store, Revised(77, entry("k")), Seen(78)) == Recorded(True)
    assert store.is_empty()


def test_the_newest_document_shows_what_was_seen_last_when_the_feed_changed_last(store: Store) -> None:
    shown = "SELECT key FROM entries e JOIN feeds f ON f.id = e.feed_id WHERE last_seen_at = last_changed_at ORDER BY 1"
    polled(store, New(entry("a")), New(entry("b")), New(entry("c")))
    assert sql(store.path, shown) == [("a",), ("b",), ("c",)]
    later = NOW + HOUR
    polled(
        store,
        New(entry("d")),
        Seen(id_of(store, "c")),
        Revised(id_of(store, "b"), entry("b", title="B")),
        at=later,
    )
    assert sql(store.path, shown) == [("b",), ("c",), ("d",)]
    same = outcome(claimed(store, later + HOUR), at=later + HOUR, last_changed_at=later)
    store.record([replace(same, result=PollResult.NOT_MODIFIED)], later + HOUR)
    assert sql(store.path, shown) == [("b",), ("c",), ("d",)]


def test_the_first_document_is_listed_by_its_dates_and_what_comes_later_by_ours(store: Store) -> None:
    old, future = NOW - 9 * DAY, NOW + 9 * DAY
    polled(
        store,
        New(entry("undated")),
        New(entry("old", published_at=old)),
        New(entry("future", published_at=future)),
    )
    later = NOW + HOUR
    polled(store, New(entry("late", published_at=old)), at=later)
    listed = dict(sql(store.path, "SELECT key, listed_at FROM entries"))
    assert listed == {
        "undated": "2025-11-05T12:00:00Z",
        "old": "2025-10-27T12:00:00Z",
        "future": "2025-11-05T12:00:00Z",
        "late": "2025-11-05T13:00:00Z",
    }


def test_entries_found_at_once_are_listed_in_the_order_of_the_document(store: Store) -> None:
    polled(store, New(entry("b")), New(entry("a")))
    polled(store, New(entry("d")), New(entry("c")), at=NOW + HOUR)
    assert [found.guid for found in store.select(ALL, limit=100)[0]] == ["d", "c", "b", "a"]


def test_what_the_operator_did_during_a_poll_holds(store: Store) -> None:
    store.subscribe([A, B], NOW)
    first, second = sorted(claim_all(store), key=lambda claim: claim.feed_id)
    store.subscribe([replace(B, every=MINUTE)], NOW)  # A is paused, B to be polled more often
    later = NOW + MINUTE
    assert all(one.accepted for one in store.record([outcome(first), outcome(second)], later))
    paused, hurried = store.feeds()
    assert paused.state.status is FeedStatus.PAUSED
    assert (hurried.state.status, hurried.state.next_poll_at) == (FeedStatus.ACTIVE, later)


# ------------------------------------------------------------------------ articles, identity


def test_one_article_in_several_feeds_is_one_article(store: Store) -> None:
    polled(store, New(entry("a", url_key=1, url="https://a.example/1")))
    polled(store, New(entry("b", url_key=1, url="https://a.example/1?x")), New(entry("c")), url=OTHER)
    polled(store, New(entry("d", url_key=1, url="https://a.example/1")), at=NOW + HOUR)
    first = id_of(store, "a")
    columns = "canonical_entry_id, entry_count, feed_count, first_seen_at"
    assert sql(store.path, f"SELECT {columns} FROM articles WHERE canonical_entry_id = ?", first) == [
        (first, 3, 2, "2025-11-05T12:00:00Z")
    ]
    copies = store.copies(store.entry(first).article_id)
    assert [copy.guid for copy in copies] == ["a", "b", "d"]
    assert [[other.entry_id for other in copy.copies] for copy in copies] == [
        [one.id for one in copies if one is not copy] for copy in copies
    ]
    assert [found.guid for found in store.select(ALL, limit=100)[0]] == ["c", "a"]
    assert [found.guid for found in store.select(replace(ALL, copies=True), limit=100)[0]] == [
        "d",
        "b",
        "c",
        "a",
    ]
    check_sound(store.path)


def test_entries_of_one_document_with_one_address_are_one_article(store: Store) -> None:
    polled(store, New(entry("a", url_key=1)), New(entry("b", url_key=1)), New(entry("c", url_key=None)))
    assert sql(store.path, "SELECT entry_count, feed_count FROM articles ORDER BY id DESC") == [
        (2, 1),
        (1, 1),
    ]
    check_sound(store.path)


def test_what_is_known_is_found_by_key_or_address_within_the_feed(store: Store) -> None:
    polled(store, New(entry("a", url_key=1)), New(entry("b", url_key=2)), New(entry("c", url_key=None)))
    polled(store, New(entry("a", url_key=1)), url=OTHER)
    known, removed = store.known(1, ["a", "c", "nothing"], [2, 3])
    assert {one.key for one in known} == {"a", "b", "c"}
    assert {one.entry_id for one in known} <= {1, 2, 3}
    assert removed == frozenset()


def test_more_keys_than_sqlite_takes_in_one_statement_are_looked_up(store: Store) -> None:
    many = [entry(f"k{number:04}", url_key=number) for number in range(1300)]
    polled(store, *map(New, many))
    wanted = [one.key for one in many]
    assert {one.key for one in store.known(1, wanted, [])[0]} == set(wanted)
    assert {one.key for one in store.known(1, [], range(1300))[0]} == set(wanted)


# ------------------------------------------------------------------------------------- prune


def test_retention_removes_what_is_old_and_no_longer_shown_and_remembers_it(store: Store) -> None:
    old = NOW - 400 * DAY
    polled(
        store,
        New(entry("shown", published_at=old)),
        New(entry("gone", published_at=old, text="vanished", attributions=(Attribution("AFP"),))),
        New(entry("young")),
    )
    later = NOW + HOUR
    polled(store, Seen(id_of(store, "shown")), at=later)
    assert store.prune(later, 365 * DAY) == 1
    assert sorted(keys(store)) == ["shown", "young"]
    assert store.search("vanished") == ()
    assert sql(store.path, "SELECT count(*) FROM attributions") == [(0,)]
    assert store.known(1, ["gone", "shown"], [])[1] == {"gone"}
    assert store.prune(later, 365 * DAY) == 0
    check_sound(store.path)


def test_pruning_the_first_copy_leaves_the_article_to_the_next(store: Store) -> None:
    polled(store, New(entry("a", url_key=1, published_at=NOW - 400 * DAY)))
    polled(store, New(entry("b", url_key=1)), url=OTHER)
    polled(store, at=NOW + HOUR)
    assert store.prune(NOW + HOUR, 365 * DAY) == 1
    assert [found.guid for found in store.select(ALL, limit=100)[0]] == ["b"]
    check_sound(store.path)


def test_pruning_goes_page_by_page(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}", published_at=NOW - 400 * DAY)) for number in range(5)))
    polled(store, at=NOW + HOUR)
    assert [store.prune(NOW + HOUR, 365 * DAY, limit=2) for _ in range(4)] == [2, 2, 1, 0]


def test_without_retention_only_the_log_of_polls_is_pruned(store: Store) -> None:
    polled(store, New(entry("a", published_at=NOW - 4000 * DAY)), at=NOW - 31 * DAY)
    polled(store, at=NOW)
    assert store.prune(NOW, None) == 0
    assert sql(store.path, "SELECT started_at FROM polls") == [("2025-11-05T12:00:00Z",)]
    assert keys(store) == ["a"]


actions = st.lists(
    st.tuples(
        st.sampled_from([FEED, OTHER]),
        st.dictionaries(st.sampled_from("abcd"), st.sampled_from(["uno", "dos"]), max_size=4),
        st.booleans(),
    ),
    max_size=6,
)


@settings(max_examples=25, deadline=None)
@given(actions)
def test_whatever_is_recorded_and_pruned_the_store_stays_sound(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, dict[str, str], bool]]
) -> None:
    with open_store(tmp_path_factory.mktemp("law") / "x.db") as store:
        for number, (url, document, prune) in enumerate(steps):
            at = NOW + number * DAY
            claim = claimed(store, at, url)
            known = {one.key: one.entry_id for one in store.known(claim.feed_id, list(document), [])[0]}
            entries = [
                entry(key, text=text, content=text, url_key=ord(key) % 3) for key, text in document.items()
            ]
            changes = [Revised(known[one.key], one) if one.key in known else New(one) for one in entries]
            store.record([outcome(claim, *changes, at=at)], at)
            if prune:
                store.prune(at + HOUR, timedelta())
            shown = store.known(claim.feed_id, list(document), [])[0]
            assert {one.key for one in shown} == document.keys()
        check_sound(store.path)


# ----------------------------------------------------------------------------- output, search


def test_an_output_feed_carries_its_topic_each_article_once(store: Store) -> None:
    tags = (Tag("tension", None, 1.0),)
    polled(
        store,
        New(entry("military", tags=(*tags, Tag("tension", "military", 1.0)))),
        New(entry("copy", url_key=1, tags=tags)),
        New(entry("other", tags=(Tag("fish", None, 1.0),))),
        New(entry("untagged-first-copy", url_key=1)),
    )
    assert [found.guid for found in store.select(TENSION, limit=100)[0]] == ["military", "copy"]
    assert [found.guid for found in store.select(replace(TENSION, aspect="military"), limit=100)[0]] == [
        "military"
    ]
    assert [found.guid for found in store.select(TENSION, limit=1)[0]] == ["military"]
    assert [found.guid for found in store.select(ALL, limit=2)[0]] == ["military", "other"]


TENSION_TAG = (Tag("tension", None, 1.0),)


def test_the_overview_counts_all_and_shows_those_in_trouble_first(store: Store) -> None:
    polled(store, New(entry("a")), New(entry("b")), url="https://b.example/")
    polled(store, url="https://a.example/")
    follow(store, "https://new.example/")
    store.record(
        [outcome(claimed(store, url="https://z.example/"), status=FeedStatus.FAILING, last_error="down")], NOW
    )
    overview = store.overview(2)
    assert (overview.feeds, overview.failing, overview.entries) == (4, 1, 2)
    assert [report.subscription.url for report in overview.reports] == [
        "https://z.example/",
        "https://a.example/",
    ]


def test_an_unknown_entry_is_told(store: Store) -> None:
    with pytest.raises(UnknownError, match="no entry 7"):
        store.entry(7)


# ------------------------------------------------------------------------------------- topics


def test_retagging_replaces_tags_and_passes_over_what_is_gone(store: Store) -> None:
    polled(store, New(entry("a", tags=TENSION_TAG)), New(entry("b")), New(entry("c")))
    a, b, c = (store.entry(id_of(store, key)) for key in "abc")
    polled(store, Revised(c.id, entry("c", title="Another text", hash=b"2")))
    match, fish = Match("fish", "r", "t", "title", 0, 1), (Tag("fish", None, 1.0),)
    store.retag([(a, (), ()), (replace(a, id=999), fish, (match,)), (b, fish, (match,)), (c, fish, (match,))])
    assert store.entry(a.id).tags == ()
    assert (store.entry(b.id).tags, store.entry(b.id).matches) == (fish, (match,))
    assert store.entry(c.id).tags == ()  # revised since it was read: the evidence would not be there


def test_tags_of_several_revisions_are_nobodys(store: Store) -> None:
    store.retagged([("tension", "T", "1"), ("fish", "F", "1")])
    store.mixed(["tension", "new"])
    assert store.topic_revisions() == {"tension": "", "fish": "1"}


def test_the_rules_applied_are_remembered(store: Store) -> None:
    assert store.topic_revisions() == {}
    store.retagged([("tension", "T", "1"), ("fish", "F", "1")])
    store.retagged([("tension", "T", "2")])
    assert store.topic_revisions() == {"tension": "2"}


def test_a_walk_meets_every_entry_once(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}")) for number in range(7)))
    seen, last = [], 0
    while page := store.entries_after(last, 3):
        seen += [found.id for found in page]
        last = page[-1].id
    assert seen == [1, 2, 3, 4, 5, 6, 7]


def test_a_property_is_made_once(store: Store) -> None:
    assert [store.property("p", lambda: "first"), store.property("p", lambda: "second")] == ["first"] * 2
    store.set_property("p", "third")
    assert store.property("p", lambda: "second") == "third"


# ---------------------------------------------------------------- many readers, other programs


def test_the_version_grows_with_what_is_published_and_with_nothing_else(store: Store) -> None:
    def grew(*changes: EntryChange) -> bool:
        before = store.version()
        polled(store, *changes)
        return store.version() > before

    follow(store, FEED)
    assert grew(New(entry("a")))
    entry_id = id_of(store, "a")
    assert not grew(Seen(entry_id))
    assert not grew()
    assert grew(Revised(entry_id, entry("a", title="Another")))
    before = store.version()
    store.retag([(store.entry(entry_id), TENSION_TAG, ())])
    assert store.version() > before


def test_the_version_grows_whichever_program_writes(store: Store) -> None:
    before = store.version()
    with open_store(store.path) as other:
        polled(other, New(entry("a")))
    assert store.version() > before


def test_threads_that_came_and_went_leave_no_connection_behind(store: Store) -> None:
    def opened() -> int:
        return sum(
            path.resolve().name.startswith("aggregator.db") for path in Path("/proc/self/fd").iterdir()
        )

    if not Path("/proc/self/fd").exists():
        pytest.skip("counts open files by /proc")
    store.is_empty()
    before = opened()
    for _ in range(5):
        thread = threading.Thread(target=store.is_empty)
        thread.start()
        thread.join()
    assert opened() == before
    store.close()
    assert opened() == 0


def test_rows_of_a_query_are_of_one_moment_and_hinder_nobody(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}")) for number in range(3)))
    rows = store.query("SELECT key, title FROM entries ORDER BY id")
    first = next(rows)
    polled(store, Revised(id_of(store, "k0"), entry("k0", title="Revised")), New(entry("k3")), at=NOW + HOUR)
    assert not store.is_empty()  # the same thread reads on another connection
    assert [first, *rows] == [{"key": key, "title": f"Title of {key}"} for key in ("k2", "k1", "k0")]
    assert next(store.query("SELECT count(*) AS n FROM entries WHERE key > :key", {"key": "k0"})) == {"n": 3}


def test_a_query_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError, match="readonly"):
        list(store.query("DELETE FROM entries"))


def test_idle_readers_do_not_keep_the_log_from_being_emptied(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}")) for number in range(50)))
    abandoned = store.query("SELECT * FROM entries")
    next(abandoned)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: store.select(ALL, limit=100)[0], range(6)))
    log = store.path.with_name(store.path.name + "-wal")
    assert sql(store.path, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 1  # held by the open query
    abandoned.close()
    assert sql(store.path, "PRAGMA wal_checkpoint(TRUNCATE)")[0][0] == 0
    assert log.stat().st_size == 0


def test_closing_lets_readers_finish_and_refuses_whoever_comes_later(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}")) for number in range(3)))
    rows = store.query("SELECT key FROM entries")
    next(rows)
    store.close()
    assert len(list(rows)) == 2
    store.close()  # once more does no harm
    for use in (store.is_empty, store.version, lambda: store.set_property("a", "b")):
        with pytest.raises(StoreError, match="has been closed"):
            use()
    assert [file.name for file in store.path.parent.iterdir()] == ["aggregator.db"]  # the log is in it


def test_closing_while_threads_read_is_safe(store: Store) -> None:
    polled(store, *(New(entry(f"k{number}")) for number in range(30)))
    reading = threading.Barrier(4)

    def read() -> str:
        reading.wait()
        try:
            for _ in range(10_000):
                store.select(ALL, limit=100)[0]
        except StoreError as error:
            return str(error)
        return "never closed"

    with ThreadPoolExecutor(3) as pool:
        ends = [pool.submit(read) for _ in range(3)]
        reading.wait()
        store.close()
        assert all("has been closed" in end.result(timeout=10) for end in ends)


# ------------------------------------------------------------------------------------------ health


def test_the_feeds_in_numbers(store: Store) -> None:
    polled(store, New(entry("k")))  # due in an hour
    claimed(store, url=OTHER)
    follow(store, "https://waits.example/", "https://waits-too.example/", "https://paused.example/")
    present = [feed.subscription for feed in store.feeds()]
    store.subscribe(present[:-1], NOW)
    assert store.quiet(-DAY) == (), "one that never answered well is not quiet"
    census = store.census(NOW + 5 * MINUTE)
    assert census.feeds == {FeedStatus.ACTIVE: 4, FeedStatus.PAUSED: 1}
    assert (census.waiting, census.waiting_since, census.silent) == (2, NOW, 0)
    assert store.census(NOW + 2 * HOUR).waiting == 4, "a lease that has ended, and an interval"
    assert store.census(NOW - HOUR).waiting_since is None
    assert census.store_bytes == sum(
        file.stat().st_size for file in store.path.parent.iterdir() if not file.name.endswith("-shm")
    )


def test_events_are_written_with_their_poll_or_not_at_all(store: Store) -> None:
    event = FeedEvent(EventKind.GONE, "It is gone.")
    lost = replace(outcome(claimed(store)), events=(event,))
    claim = claimed(store, NOW + 2 * HOUR)
    store.record([lost], NOW + 2 * HOUR)
    assert store.feed_events(9) == ()
    store.record([replace(outcome(claim), events=(event,))], NOW + 2 * HOUR)
    (told,) = store.feed_events(9)
    assert (told.kind, told.message, told.at) == (EventKind.GONE, "It is gone.", NOW + 2 * HOUR)
    assert (told.feed_url, told.feed_title) == (FEED, FEED)
    with pytest.raises(sqlite3.IntegrityError):
        store.record(
            [replace(outcome(claimed(store)), events=(event,), changes=(New(entry()), New(entry())))], NOW
        )
    assert store.feed_events(9) == (told,)


DELIVERY = Delivery(1, "https://r.example/", "r.example", "t", None, 0)
AT_HUB = HubSubscription(1, "https://hub.example/", "t", "https://news.example/push/x", "secret")
CALLS: dict[str, Callable[[Store, Claim], object]] = {
    "ask": lambda store, _: store.ask("SELECT 1"),
    "awaited_topics": lambda store, _: store.awaited_topics(NOW),
    "baselines": lambda store, _: store.baselines("t"),
    "claim_deliveries": lambda store, _: store.claim_deliveries(
        "t", "e", NOW, limit=9, per_host=9, except_hosts=(), lease=HOUR
    ),
    "columns": lambda store, _: store.columns("SELECT * FROM feeds"),
    "column_types": lambda store, _: store.column_types(),
    "polled_beside": lambda store, _: store.polled_beside(1, missed=False, until=NOW, now=NOW),
    "hub_subscription": lambda store, _: store.hub_subscription("https://news.example/push/x"),
    "leading": lambda store, _: store.leading("t", NOW.date()),
    "lists": lambda store, _: store.lists(),
    "revisions": lambda store, _: store.revisions(1),
    "series": lambda store, _: store.series("t", NOW.date(), baseline=None, window=56, history=56),
    "stories": lambda store, _: store.stories(Selection(), limit=9),
    "story": lambda store, _: store.stories(Selection(), limit=9),
    "story_edges": lambda store, _: store.story_edges(1),
    "subscribers_beside": lambda store, _: store.subscribers_beside("t", "https://r.example/", NOW),
    "trend": lambda store, _: store.trend("t"),
    "trend_feeds": lambda store, _: store.trend_feeds("t", since=NOW.date(), before=NOW.date(), limit=9),
    "trend_languages": lambda store, _: store.trend_languages("t"),
    "trend_since": lambda store, _: store.trend_since("t", [NOW.date()]),
    "wished_subscriptions": lambda store, _: store.wished_subscriptions("https://news.example/push/", NOW, 9),
    "backup": lambda store, _: store.backup(store.path.with_name("copy.db")),
    "canonical": lambda store, _: store.canonical(1),
    "check_entries": lambda store, _: store.check_entries([1]),
    "copies": lambda store, _: store.copies(1),
    "count_due": lambda store, _: store.count_due(NOW),
    "select": lambda store, _: store.select(ALL, limit=100),
    "archive": lambda store, _: store.archive(ALL, "20251120T120000Z-1", 100),
    "archive_behind": lambda store, _: store.archive_behind(ALL, "20251120T120000Z-1"),
    "entries_after": lambda store, _: store.entries_after(0, 9),
    "edges": lambda store, _: store.edges(1),
    "kept_apart": lambda store, _: store.kept_apart(Level.STORY, [1]),
    "entry": lambda store, _: store.entry(1),
    "entry_ids_after": lambda store, _: store.entry_ids_after(0, 9),
    "census": lambda store, _: store.census(NOW),
    "feed_events": lambda store, _: store.feed_events(9),
    "feeds": lambda store, _: store.feeds(),
    "find_feeds": lambda store, _: store.find_feeds([FEED]),
    "is_empty": lambda store, _: store.is_empty(),
    "labels": lambda store, _: store.labels(),
    "known": lambda store, _: store.known(1, ["k"], [1]),
    "next_due_at": lambda store, _: store.next_due_at(),
    "overdue_since": lambda store, _: store.overdue_since(NOW),
    "overview": lambda store, _: store.overview(9),
    "polled": lambda store, _: store.polled(),
    "quiet": lambda store, _: store.quiet(DAY),
    "query": lambda store, _: list(store.query("SELECT * FROM entries")),
    "resting": lambda store, _: store.resting(NOW, due_by=NOW, spacing=HOUR),
    "search": lambda store, _: store.search("text"),
    "topic_revisions": lambda store, _: store.topic_revisions(),
    "version": lambda store, _: store.version(),
}
WRITES: dict[str, Callable[[Store, Claim], object]] = {
    "add_subscriber": lambda store, _: store.add_subscriber(
        "t", "https://r.example/", secret=None, until=NOW + DAY, etag="e", now=NOW
    ),
    "call_silent": lambda store, _: store.call_silent(
        [(Quiet(1, 1, (), NOW, NOW, NOW, timedelta()), None)], NOW
    ),
    "claim": lambda store, _: claim_all(store),
    "take_turn": lambda store, claim: store.take_turn(claim, "a.example", NOW, MINUTE),
    "count_days": lambda store, _: store.count_days([Sides("t")], again=True),
    "days_counted": lambda store, _: store.days_counted({NOW.date(): 1}),
    "delivered": lambda store, _: store.delivered(DELIVERY, "e", NOW),
    "forget_links": lambda store, _: store.forget_links(),
    "hub_asked": lambda store, _: store.hub_asked(AT_HUB, NOW),
    "hub_denied": lambda store, _: store.hub_denied(AT_HUB, "no", NOW),
    "hub_failed": lambda store, _: store.hub_failed(AT_HUB, "no"),
    "hub_granted": lambda store, _: store.hub_granted(AT_HUB, NOW + DAY, NOW),
    "keep_lists": lambda store, _: store.keep_lists([ListState("https://lists.example/opml")]),
    "links": lambda store, _: store.links(NOW).__enter__(),
    "pushed": lambda store, _: store.pushed(AT_HUB, NOW),
    "release_deliveries": lambda store, _: store.release_deliveries([DELIVERY], NOW),
    "remove_subscriber": lambda store, _: store.remove_subscriber("t", "https://r.example/"),
    "retire_topic": lambda store, _: store.retire_topic("t"),
    "set_hubs": lambda store, _: store.set_hubs(["https://hub.example/"], ["t"], NOW),
    "undelivered": lambda store, _: store.undelivered(DELIVERY, "no", NOW),
    "write_trend": lambda store, _: store.write_trend("t", NOW.date(), [], configured=False),
    "make_due": lambda store, _: store.make_due(NOW),
    "mend_clock": lambda store, _: store.mend_clock(NOW - 2 * DAY),
    "property": lambda store, _: store.property("new", str),
    "prune": lambda store, _: store.prune(NOW, DAY),
    "record": lambda store, claim: store.record([outcome(claim)], NOW),
    "release": lambda store, claim: store.release([claim]),
    "retag": lambda store, _: store.retag([]),
    "mixed": lambda store, _: store.mixed([]),
    "retagged": lambda store, _: store.retagged([]),
    "set_property": lambda store, _: store.set_property("a", "b"),
    "subscribe": lambda store, _: store.subscribe([], NOW),
}


@pytest.fixture
def busy(store: Store) -> tuple[Store, Claim]:
    """A store with an entry, a claim, and a feed that is due."""
    polled(store, New(entry("k")))
    claim = claimed(store)
    follow(store, OTHER)
    return store, claim


def test_these_are_all_the_methods_there_are() -> None:
    public = {name for name in dir(Store) if not name.startswith("_")}
    assert CALLS.keys() | WRITES.keys() | {"close"} == public


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_reads_go_on_while_another_program_writes(
    busy: tuple[Store, Claim], call: Callable[[Store, Claim], object]
) -> None:
    with closing(sqlite3.connect(busy[0].path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        other.execute("DELETE FROM feeds WHERE id = 99")
        call(*busy)


@pytest.mark.parametrize("call", WRITES.values(), ids=WRITES)
def test_writes_give_up_in_time_while_another_program_writes(
    busy: tuple[Store, Claim], call: Callable[[Store, Claim], object]
) -> None:
    with closing(sqlite3.connect(busy[0].path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"locked by another program for 0\.05 s"):
            call(*busy)
        assert time.monotonic() - began < 2
        other.execute("ROLLBACK")
    call(*busy)  # and work again afterwards


@pytest.mark.parametrize("new", [True, False], ids=["new file", "present file"])
def test_opening_gives_up_in_time(path: Path, new: bool) -> None:
    path.parent.mkdir()
    if not new:
        open_store(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        with pytest.raises(StoreBusyError):
            open_store(path, busy_timeout=SOON)
        assert time.monotonic() - began < 2


# ------------------------------------------------------------------------------------ backup


def test_a_backup_made_while_others_write_is_whole(store: Store, tmp_path: Path) -> None:
    follow(store, FEED)
    stop = threading.Event()

    def write() -> None:
        with open_store(store.path) as mine:
            for number in range(2000):
                if stop.is_set():
                    return
                polled(mine, New(entry(f"k{number}", text="words " * 200)), at=NOW + number * SECOND)

    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(write)
        try:
            copies = [tmp_path / f"copy{number}.db" for number in range(5)]
            for copy in copies:
                store.backup(copy)
        finally:
            stop.set()
        writing.result(timeout=10)
    for copy in copies:
        check_sound(copy)
        assert copy.stat().st_mode & 0o777 == 0o600
    store.backup(copies[0])  # over an earlier one
    with open_store(copies[0]) as restored:
        assert restored.feeds() == store.feeds()
        assert len(restored.select(ALL, limit=100)[0]) == len(store.select(ALL, limit=100)[0])
    assert not list(tmp_path.glob("*-wal"))


def test_a_backup_that_cannot_be_written_is_told(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        store.backup(tmp_path)
    (tmp_path / "text").write_text("not a database" * 99)
    with pytest.raises(StoreError, match="not a database"):
        store.backup(tmp_path / "text")
