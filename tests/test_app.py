"""The façade: what the faces are given, over a real store filled by real polls."""

import json
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aggregator import config, health, link, lists
from aggregator.app import LATE, Aggregator, unmet
from aggregator.errors import ConfigError, StoreError, UnknownError
from aggregator.model import (
    Attribution,
    FeedReport,
    FeedState,
    Level,
    ListState,
    OutputFeed,
    RemoteList,
    Selection,
    Settings,
    Subscription,
)
from aggregator.publish import Format, Rendered, render
from aggregator.store import open_store
from tests.conftest import NOON, Clock, configure, item, poll_all, rss
from tests.server import Server


def topic(*words: str, **more: Any) -> dict[str, Any]:
    """A topic of entries that name one of the words."""
    return {
        "slug": "storms",
        "title": "Storms",
        "concepts": {"storm": {"any": list(words)}},
        "rules": {"named": {"all": "storm"}},
        **more,
    }


STORMS = {"topics": [topic("storm")]}


def settings(folder: Path, *feeds: str | dict[str, Any], **keys: Any) -> Settings:
    return config.load(configure(folder, *feeds, **keys), environ={})


@pytest.fixture
def aggregator(tmp_path: Path, server: Server, clock: Clock) -> Iterator[Aggregator]:
    """Two feeds with one article in common, polled."""
    shared = "https://warta.example/storm"
    server.add("/a", rss(item(1, "A storm nears", link=f"{shared}?utm_source=rss"), item(2), title="A"))
    server.add("/b", rss(item(3, "A storm nears", link=shared), item(4, "Calm"), title="B"))
    with Aggregator(settings(tmp_path, server.url("/a"), server.url("/b"), **STORMS), clock=clock) as it:
        it.subscribe()
        poll_all(it)
        yield it


def titles(aggregator: Aggregator, name: str) -> list[str]:
    output = next(output for output in aggregator.output_names() if output.name == name)
    return [entry.title for entry in aggregator.entries(output, 10)]


# -------------------------------------------------------------------------------------- sent out


def test_an_output_carries_each_article_once(aggregator: Aggregator) -> None:
    assert titles(aggregator, "storms") == ["A storm nears"]
    assert sorted(titles(aggregator, "all")) == ["A storm nears", "Calm", "Item 2"]
    (entry,) = aggregator.entries(OutputFeed("storms", topic="storms"), 10)
    assert len(aggregator.copies(entry)) == 2


def test_linking_anew_that_was_broken_off_is_begun_again(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PAGE", 1)
    linked = "SELECT id, article_id, story_id FROM entries"
    before = [tuple(row.values()) for row in aggregator.store.query(linked)]
    looked = iter([False] * 9)
    assert aggregator.relink(lambda: next(looked, True)) == 0, "it stops before any is linked"
    needed = [aggregator.needs_relinking]
    assert aggregator.relink() == len(before)
    needed.append(aggregator.needs_relinking)
    assert needed == [True, False]
    assert [tuple(row.values()) for row in aggregator.store.query(linked)] == before


@pytest.mark.parametrize("format", list(Format))
def test_a_document_is_rendered_once_until_something_is_written(
    aggregator: Aggregator,
    clock: Clock,
    format: Format,  # noqa: A002
) -> None:
    assert aggregator.cached("all", format) is None
    document = aggregator.rendered("all", format)
    assert aggregator.cached("all", format) is document
    assert aggregator.rendered("all", format) is document
    clock.forward(hours=1)
    poll_all(aggregator)  # without news
    assert aggregator.cached("all", format) is document
    aggregator.store.retag([])
    assert aggregator.cached("all", format) is None
    again = aggregator.rendered("all", format)
    assert again is document, "the same bytes: what has been compressed stays"


def test_what_another_program_writes_is_seen(aggregator: Aggregator) -> None:
    aggregator.rendered("all", Format.JSON)
    with closing(sqlite3.connect(aggregator.store.path)) as db, db:
        db.execute("UPDATE entries SET title = 'Calm again' WHERE title = 'Calm'")
    with open_store(aggregator.store.path) as other:
        other.retag([])
    assert b"Calm again" in aggregator.rendered("all", Format.JSON).body


def test_published_files_are_what_is_served_and_written_only_when_changed(
    aggregator: Aggregator, server: Server, clock: Clock, tmp_path: Path
) -> None:
    folder = tmp_path / "public"
    first = aggregator.publish(folder)
    assert {path.name for path, _ in first} == {
        f"{name}.{format}"
        for name in ("storms", "all", "health", "unusual")
        for format in Format  # noqa: A001
    } | {"index.html"}
    assert all(changed for _, changed in first)
    for path, _ in first[:-1]:
        name, _, extension = path.name.rpartition(".")
        assert path.read_bytes() == aggregator.rendered(name, Format(extension)).body
    assert not any(changed for _, changed in aggregator.publish(folder))

    clock.forward(hours=1)
    server.add("/b", rss(item(5, "Still calm"), title="B"))
    poll_all(aggregator)
    changed = {path.name for path, changed in aggregator.publish(folder) if changed}
    assert changed == {"all.atom", "all.rss", "all.json"}
    assert {path.name for path in folder.iterdir()} == {path.name for path, _ in first}


def test_ids_and_birth_of_a_feed_survive_a_new_address(aggregator: Aggregator, clock: Clock) -> None:
    def entries() -> list[Any]:
        return [entry["id"] for entry in json.loads(aggregator.rendered("all", Format.JSON).body)["items"]]

    before = entries()
    created = aggregator.store.property("created_at", str)
    clock.forward(days=30)
    aggregator.reconfigure(replace(aggregator.settings, public_url="https://news.example.org"))
    assert entries() == before
    assert b"https://news.example.org/feeds/all.atom" in aggregator.rendered("all", Format.ATOM).body
    assert aggregator.store.property("created_at", str) == created == NOON.isoformat(timespec="seconds")


def test_the_address_is_where_the_daemon_served_last(aggregator: Aggregator) -> None:
    aggregator.rendered("all", Format.ATOM)
    aggregator.serve_at("http://127.0.0.1:8181")
    assert b"http://127.0.0.1:8181/feeds/all.atom" in aggregator.rendered("all", Format.ATOM).body


def test_an_unknown_output_names_those_there_are(aggregator: Aggregator) -> None:
    with pytest.raises(UnknownError, match="'stroms'; there are: storms, all, health"):
        aggregator.rendered("stroms", Format.ATOM)


def test_no_password_of_a_feed_leaves_the_house(tmp_path: Path, server: Server, clock: Clock) -> None:
    server.add("/a", rss(item(1), title=""))
    server.add("/b", status=500)
    urls = [server.url(path, "reader:canary") for path in ("/a", "/b")]
    with Aggregator(settings(tmp_path, *urls), clock=clock) as aggregator:
        aggregator.subscribe()
        poll_all(aggregator)
        for format in Format:  # noqa: A001
            assert b"canary" not in aggregator.rendered("all", format).body
        assert b"canary" not in aggregator.opml()
        for table in ("entries", "tags", "feeds", "polls"):
            assert "canary" not in str(list(aggregator.export(table)))
        assert "canary" not in str(list(aggregator.store.query("SELECT last_error FROM feeds")))


# ---------------------------------------------------------------------------------------- topics


def test_backtest_and_retag_change_exactly_what_they_say(aggregator: Aggregator) -> None:
    tags = "SELECT title, topic, aspect FROM entry_tags JOIN entries ON entries.id = entry_id ORDER BY title"
    before = list(aggregator.store.query(tags))
    assert aggregator.stale_topics() == ()
    aggregator.reconfigure(
        replace(aggregator.settings, topics=_documents(aggregator, topic("calm", title="Weather")))
    )
    assert aggregator.stale_topics() == ("storms",)

    changes = [(change.entry.title, change.gained, change.lost) for change in aggregator.backtest()]
    assert sorted(changes) == [
        ("A storm nears", (), ("storms",)),
        ("A storm nears", (), ("storms",)),
        ("Calm", ("storms",), ()),
    ]
    with pytest.raises(UnknownError, match="no topic 'another'; there are: storms"):
        list(aggregator.backtest("another"))
    assert list(aggregator.store.query(tags)) == before  # it only tells

    assert aggregator.retag() == 3
    assert list(aggregator.store.query(tags)) == [{"title": "Calm", "topic": "storms", "aspect": None}]
    assert titles(aggregator, "storms") == ["Calm"]
    assert (aggregator.stale_topics(), list(aggregator.backtest()), aggregator.retag()) == ((), [], 0)


def _documents(aggregator: Aggregator, *topics: dict[str, Any]) -> Any:
    return tuple(replace(aggregator.settings.topics[0], data=data) for data in topics)


def test_a_topic_that_is_dropped_is_stale_until_its_tags_are_gone(aggregator: Aggregator) -> None:
    aggregator.reconfigure(replace(aggregator.settings, topics=(), output=(OutputFeed("all"),)))
    assert aggregator.stale_topics() == ("storms",)
    assert aggregator.retag() == 2
    assert aggregator.stale_topics() == ()


def test_explain_a_stored_entry_as_it_was_tagged(aggregator: Aggregator) -> None:
    for entry in aggregator.store.entries_after(0, 10):
        (verdict,) = (line for line in aggregator.explain(entry.id) if line.rule is None)
        assert verdict.fired == bool(entry.tags)
        assert aggregator.explain(f"{entry.title}\n{entry.text}", "storms")[0].fired == verdict.fired
    with pytest.raises(UnknownError, match="no topic 'rain'; there are: storms"):
        aggregator.explain("rain", "rain")


# --------------------------------------------------------------------------------- configuration


def test_a_configuration_that_cannot_be_used_changes_nothing(aggregator: Aggregator) -> None:
    before = aggregator.settings, aggregator.ruleset
    broken = replace(
        aggregator.settings, feeds=(), topics=_documents(aggregator, topic("storm", threshold=0))
    )
    with pytest.raises(ConfigError):
        aggregator.reconfigure(broken)
    assert (aggregator.settings, aggregator.ruleset) == before
    assert titles(aggregator, "storms") == ["A storm nears"]
    assert not any(feed.state.status == "paused" for feed in aggregator.feeds())


def test_a_new_configuration_pauses_and_resumes(aggregator: Aggregator) -> None:
    first, second = aggregator.settings.feeds
    changes = aggregator.reconfigure(replace(aggregator.settings, feeds=(first,)))
    assert (changes.paused, changes.added) == ((second.url,), ())
    assert [feed.entries for feed in aggregator.feeds()] == [2, 2]  # nothing is deleted
    assert aggregator.reconfigure(replace(aggregator.settings, feeds=(first, second))).resumed == (
        second.url,
    )


def test_a_reload_is_not_overtaken_by_a_document_that_was_being_rendered(
    aggregator: Aggregator, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*words: Any, **more: Any) -> Rendered:
        document = render(*words, **more)
        begun.set()
        go_on.wait(10)
        return document

    aggregator.rendered("all", Format.ATOM)  # the first one writes what is made once
    aggregator.store.retag([])
    monkeypatch.setattr("aggregator.output.render", slow)
    other = replace(aggregator.settings, public_url="https://other.example.org")
    rendering = threading.Thread(target=aggregator.rendered, args=("all", Format.ATOM))
    reloading = threading.Thread(target=aggregator.reconfigure, args=(other,))
    rendering.start()
    assert begun.wait(10)
    reloading.start()
    reloading.join(0.2)  # it waits, or else it is done before the document is
    go_on.set()
    reloading.join(10)
    rendering.join(10)
    assert b"https://other.example.org/" in aggregator.rendered("all", Format.ATOM).body


def test_a_dry_run_only_tells(tmp_path: Path, clock: Clock) -> None:
    with Aggregator(settings(tmp_path, "http://127.0.0.1:9/a"), clock=clock) as aggregator:
        assert aggregator.subscribe(dry_run=True).added == ("http://127.0.0.1:9/a",)
        assert aggregator.feeds() == ()


# ---------------------------------------------------------------------------------- health, reads


@pytest.mark.parametrize(
    ("late", "beat", "words"),
    [
        pytest.param(timedelta(), timedelta(), (), id="well"),
        pytest.param(LATE * 2, timedelta(), ("polling is behind",), id="a feed waits"),
        pytest.param(timedelta(), LATE * 2, ("nothing has looked",), id="no heartbeat"),
        pytest.param(LATE * 2, LATE * 2, ("polling is behind", "nothing has looked"), id="both"),
    ],
)
def test_health(
    aggregator: Aggregator, clock: Clock, late: timedelta, beat: timedelta, words: tuple[str, ...]
) -> None:
    due = aggregator.store.next_due_at()
    assert isinstance(due, datetime)
    clock.now = due + late
    aggregator.heartbeat_at = clock.now - beat
    told = aggregator.health()
    assert told.ok == (not words)
    assert len(told.reasons) == len(words)
    assert all(word in reason for word, reason in zip(words, told.reasons, strict=True))


def test_due_counts_and_names(aggregator: Aggregator, clock: Clock) -> None:
    first = aggregator.settings.feeds[0].url
    assert aggregator.due() == (None, 0)
    ids, number = aggregator.due(["a"])  # a title, in any case
    assert (ids, number) == aggregator.due([first, "A"]) == ((1,), 1)
    assert aggregator.due() == (None, 1)
    assert aggregator.due(everything=True) == (None, 2)
    with pytest.raises(UnknownError, match="no feed has the address or name 'C'"):
        aggregator.due(["C"])


def test_a_backup_is_whole_and_takes_the_place_of_the_one_before(
    aggregator: Aggregator, tmp_path: Path
) -> None:
    target = tmp_path / "copies" / "news.db"
    for _ in range(2):
        aggregator.backup(target)
        assert [path.name for path in target.parent.iterdir()] == ["news.db"]
        with closing(sqlite3.connect(target)) as db:
            assert db.execute("SELECT count(*) FROM entries").fetchone() == (4,)
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_backup_never_takes_the_place_of_the_database(aggregator: Aggregator, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(aggregator.store.path)
    for target in (Path(aggregator.store.path), link):
        with pytest.raises(StoreError, match="is the database itself"):
            aggregator.backup(target)


@pytest.mark.parametrize(
    ("content", "replaced"),
    [
        pytest.param(b"feeds: []\n", False, id="a configuration"),
        pytest.param(b"SQLite format 3\0 and nothing more", False, id="what is hardly a database"),
        pytest.param(b"", True, id="an empty file"),
    ],
)
def test_a_backup_replaces_no_file_that_would_be_lost(
    aggregator: Aggregator, tmp_path: Path, content: bytes, replaced: bool
) -> None:
    target = tmp_path / "feeds.yaml"
    target.write_bytes(content)
    before = set(tmp_path.iterdir())
    with nullcontext() if replaced else pytest.raises(StoreError, match="is no copy of a store"):
        aggregator.backup(target)
    assert (target.read_bytes() != content) is replaced
    assert set(tmp_path.iterdir()) == before


def test_a_backup_replaces_no_other_programs_database_and_no_pipe(
    aggregator: Aggregator, tmp_path: Path
) -> None:
    other = tmp_path / "places.db"
    with closing(sqlite3.connect(other)) as db:
        db.execute("CREATE TABLE places (name)")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for target in (other, pipe):
        with pytest.raises(StoreError, match="is no copy of a store"):
            aggregator.backup(target)


# ------------------------------------------------------------------------------- the feeds' own health


def health_feed(aggregator: Aggregator) -> list[str]:
    items = json.loads(aggregator.rendered("health", Format.JSON).body)["items"]
    assert len({item["id"] for item in items}) == len(items)
    return [item["title"] for item in items]


def poll_daily(aggregator: Aggregator, clock: Clock, days: int) -> None:
    for _ in range(days):
        clock.forward(days=1)
        poll_all(aggregator)
        aggregator.look_for_silence()


@pytest.fixture
def paper(tmp_path: Path, server: Server, clock: Clock) -> Iterator[Aggregator]:
    """A feed that has had news on each of six days."""
    with Aggregator(settings(tmp_path, server.url("/paper")), clock=clock) as it:
        server.add("/paper", rss(item(0), title="Warta"))
        it.subscribe()
        poll_all(it)
        for day in range(1, 6):
            server.add("/paper", rss(*(item(n, published=clock()) for n in range(day + 1)), title="Warta"))
            poll_daily(it, clock, 1)
        yield it


def test_a_feed_falls_silent_once_and_comes_back(paper: Aggregator, server: Server, clock: Clock) -> None:
    poll_daily(paper, clock, 3)
    assert health_feed(paper) == []
    poll_daily(paper, clock, 1)
    assert health_feed(paper) == ["Warta has fallen silent"]
    (report,) = paper.feeds()
    assert [each.kind for each in health.conditions(report)] == ["silent"]
    poll_daily(paper, clock, 30)
    assert health_feed(paper) == ["Warta has fallen silent"]
    server.add("/paper", rss(item(99, published=clock()), title="Warta"))
    poll_daily(paper, clock, 1)
    assert health_feed(paper) == ["Warta is back", "Warta has fallen silent"]
    assert not health.conditions(paper.feeds()[0])
    assert b"after 35 days without any" in paper.rendered("health", Format.ATOM).body


def test_a_feed_that_fails_or_is_not_asked_is_not_silent(
    paper: Aggregator, server: Server, clock: Clock
) -> None:
    clock.forward(days=60)
    paper.look_for_silence()
    assert health_feed(paper) == []
    server.add("/paper", status=503)
    poll_daily(paper, clock, 9)
    assert health_feed(paper) == ["Warta is failing"]
    server.add("/paper", status=410)
    poll_daily(paper, clock, 2)
    assert health_feed(paper) == ["Warta is gone", "Warta is failing"]
    server.add("/paper", rss(item(99, published=clock()), title="Warta"))
    poll_daily(paper, clock, 1)
    assert health_feed(paper) == ["Warta is back", "Warta is gone", "Warta is failing"]


def test_an_outage_is_not_taken_for_silence(paper: Aggregator, server: Server, clock: Clock) -> None:
    server.add("/paper", status=503)
    poll_daily(paper, clock, 9)
    server.add("/paper", rss(*(item(n, published=NOON) for n in range(6)), title="Warta"))
    poll_daily(paper, clock, 2)
    assert health_feed(paper) == ["Warta is back", "Warta is failing"]
    poll_daily(paper, clock, 2)
    assert health_feed(paper) == ["Warta has fallen silent", "Warta is back", "Warta is failing"]


def test_a_feed_that_was_silent_before_is_no_news(tmp_path: Path, server: Server, clock: Clock) -> None:
    server.add("/old", rss(item(1, published=NOON - timedelta(days=900))))
    with Aggregator(settings(tmp_path, server.url("/old")), clock=clock) as it:
        it.subscribe()
        poll_all(it)
        it.look_for_silence()
        assert health_feed(it) == []
        (report,) = it.feeds()
        assert report.state.silent_since == NOON - timedelta(days=900)


def test_one_that_is_being_polled_is_not_called_silent(paper: Aggregator, clock: Clock) -> None:
    clock.forward(days=9)
    poll_all(paper)
    found = paper.store.quiet(health.SHORTEST)
    assert [len(feed.days) for feed in found] == [6]
    paper.due(everything=True)
    lease = timedelta(minutes=10)
    assert paper.store.claim(clock(), due_by=clock(), limit=1, per_host=1, lease=lease)
    paper.look_for_silence()
    assert paper.feeds()[0].state.silent_since is None
    clock.forward(hours=1)  # the lease has ended, but what was found before the claim is out of date
    paper.store.call_silent([(feed, None) for feed in found], clock())
    assert paper.feeds()[0].state.silent_since is None
    paper.look_for_silence()
    assert paper.feeds()[0].state.silent_since is not None


def test_a_challenge_page_is_named(aggregator: Aggregator, server: Server) -> None:
    server.add("/b", b"<title>Just a moment...</title>", status=403, headers={"cf-mitigated": "challenge"})
    poll_all(aggregator)
    (condition,) = (each for report in aggregator.feeds() for each in health.conditions(report))
    assert condition.kind == "blocked"


# --------------------------------------------------------------------------------- before the first poll


def test_what_is_followed_and_not_yet_known_to_the_store(
    tmp_path: Path, server: Server, clock: Clock
) -> None:
    server.add("/a", rss(item(1), title="Warta"))
    named = {"url": server.url("/b"), "name": "Kabar"}
    with Aggregator(settings(tmp_path, server.url("/a")), clock=clock) as it:
        it.subscribe()
        poll_all(it)
        off = {"url": server.url("/c"), "enabled": False}
        more = settings(tmp_path, server.url("/a"), named, off)  # as `add` leaves it
    with Aggregator(more, clock=clock) as it:
        assert [wish.name for wish in it.unread()] == ["Kabar"]
        assert [feed.name for feed in lists.read(it.opml())] == ["Warta", "Kabar"]
        assert it.search("item", feeds=["Kabar"]) == it.search("item", feeds=[server.url("/b")]) == ()
        assert len(it.search("item", feeds=["Kabar", "warta"])) == 1
        with pytest.raises(UnknownError, match="no feed has the address or name 'Kabarr'"):
            it.search("item", feeds=["Kabarr"])
        assert len(it.feeds()) == 1, "to look changes nothing"


@pytest.mark.parametrize(
    ("output", "feeds", "known", "expected"),
    [
        pytest.param({"feed": "Kabar"}, [("b", "Kabar")], [], None, id="a name"),
        pytest.param({"feed": "kabar"}, [("b", "Kabar")], [], None, id="in any case"),
        pytest.param({"feed": "https://b.example/"}, [("b", "Kabar")], [], None, id="an address"),
        pytest.param(
            {"feed": "Kaber"}, [("b", "Kabar")], [], ("feed", "did you mean Kabar?", True), id="a wrong name"
        ),
        pytest.param({"feed": "Kaber"}, [("b", None)], [], ("feed", "", False), id="perhaps its own title"),
        pytest.param({"feed": "Warta"}, [("a", None)], ["a"], None, id="its own title"),
        pytest.param(
            {"feed": "Warte"}, [("a", None)], ["a"], ("feed", "did you mean Warta?", True), id="not its title"
        ),
        pytest.param({"feed": "Warta"}, [], ["a"], None, id="a feed that was taken out: its entries stay"),
        pytest.param({"tag": "press"}, [("b", "Kabar")], [], None, id="a label"),
        pytest.param(
            {"tag": "Pres"}, [("b", "Kabar")], [], ("tag", "did you mean press?", True), id="a wrong label"
        ),
    ],
)
def test_an_output_feed_that_would_stay_empty(
    output: dict[str, str],
    feeds: list[tuple[str, str | None]],
    known: list[str],
    expected: tuple[str, str, bool] | None,
) -> None:
    wishes = tuple(Subscription(f"https://{host}.example/", name, tags=("press",)) for host, name in feeds)
    reports = [
        FeedReport(1, Subscription(url), FeedState(url, title="Warta", last_success_at=NOON), 0, 0.0)
        for url in (f"https://{host}.example/" for host in known)
    ]
    outputs = (OutputFeed("all"), OutputFeed("one", **output))  # type: ignore[arg-type]
    found = list(unmet(Settings(feeds=wishes, output=outputs), reports))
    if expected is None:
        assert found == []
    else:
        key, hint, certain = expected
        assert [(at, name, sure) for at, name, _, sure in found] == [(1, key, certain)]
        assert found[0][2].endswith(hint)


def test_a_label_may_come_from_a_list_that_has_not_been_read() -> None:
    known = Settings(lists=(RemoteList("https://a.example/"),), output=(OutputFeed("one", tag="press"),))
    (found,) = unmet(known)
    assert not found[3]
    (found,) = unmet(known, known=[ListState("https://a.example/", read_at=NOON)])
    assert found[3]


# ------------------------------------------------------------------------------------ after each pass


def test_a_pass_takes_away_what_is_too_old_in_bounded_parts(
    tmp_path: Path, server: Server, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count(table: str) -> int:
        (row,) = it.store.query(f"SELECT count(*) AS number FROM {table}")
        return int(row["number"])

    text = "The harbour of the island was closed on Monday after three ferries had broken loose, it was said."
    server.add("/a", rss(*(item(number, f"Ferry {number} adrift", text=text) for number in range(5))))
    with Aggregator(settings(tmp_path, server.url("/a"), retention="200d"), clock=clock) as it:
        it.subscribe()
        poll_all(it)
        it.finish_pass()
        assert (count("entries"), count("fingerprints")) == (5, 5)
        monkeypatch.setattr(link, "TIDIED", 1)
        monkeypatch.setattr("aggregator.app.TIDIED", 3)
        clock.forward(days=100)
        it.finish_pass()
        assert count("fingerprints") == 2, "the rest waits for the next pass"
        it.finish_pass()
        assert count("fingerprints") == 0
        for _ in range(link.SWEEPS):  # once a day, at the same hour
            clock.forward(days=1)
            it.finish_pass()
        assert count("article_keys") == count("story_keys") == 0

        server.add("/a", rss(item(9)))
        clock.forward(days=200)
        poll_all(it)
        it.finish_pass()
        assert count("entries") == 1


def test_an_entry_is_not_merged_with_itself(aggregator: Aggregator) -> None:
    for level in Level:
        with pytest.raises(UnknownError, match="entry 1 is one entry"):
            aggregator.merge(1, 1, level)
    assert not list(aggregator.store.query("SELECT * FROM corrections"))


def test_a_source_leads_to_where_it_first_tells_the_story(
    tmp_path: Path, server: Server, clock: Clock
) -> None:
    post = "Six people died when a navy ship fired at a boat off the coast of Venezuela, two officials said."
    retold = "A boat was sunk near Venezuela and nobody survived the attack.&lt;p&gt;Source: The Washington Post&lt;/p&gt;"
    server.add("/post", rss(item(1, "Six die as navy fires at boat", text=post), title="The Washington Post"))
    server.add("/herald", rss(item(2, "Boat sunk near Venezuela", text=retold), title="Island Herald"))
    with Aggregator(settings(tmp_path, server.url("/post"), server.url("/herald")), clock=clock) as it:
        it.subscribe()
        poll_all(it)
        first, second = (it.store.entry(number) for number in (1, 2))
        herald = first if first.feed_title == "Island Herald" else second
        if first.story_id != second.story_id:
            it.merge(1, 2, Level.STORY)
        source = Attribution("The Washington Post", "https://warta.example/1")
        assert it.entry(herald.id).attributions == (source,)
        assert [row["url"] for row in it.store.query("SELECT url FROM attributions")] == [source.url]
        by_herald = Selection(feed="Island Herald")
        ((story,), _), ((listed,), _) = it.stories(by_herald, limit=5), it.select(by_herald, limit=5)
        assert story.lead.attributions == listed.attributions == (source,)
        it.split(herald.id, Level.STORY)
        assert it.entry(herald.id).attributions == (replace(source, url=None),)
        assert it.belonging(herald.id).apart == {Level.ARTICLE: (), Level.STORY: (3 - herald.id,)}
        it.relink()
        assert it.entry(herald.id).attributions == (replace(source, url=None),)
        it.merge(1, 2, Level.ARTICLE)
        assert it.entry(herald.id).attributions == (source,)
        it.relink()
        assert it.entry(herald.id).attributions == (source,)


def test_a_configuration_that_cannot_be_written_down_changes_nothing(
    tmp_path: Path, server: Server, clock: Clock
) -> None:
    it = Aggregator(settings(tmp_path, server.url("/a")), clock=clock)
    before = it.settings, it.ruleset
    it.close()
    with pytest.raises(StoreError):
        it.reconfigure(replace(it.settings, topics=(), output=()))
    assert (it.settings, it.ruleset) == before
    assert {output.name for output in it.outputs.feeds()} >= {output.name for output in before[0].output}


def test_a_topic_that_is_taken_out_is_not_said_to_have_changed(
    aggregator: Aggregator, caplog: pytest.LogCaptureFixture
) -> None:
    aggregator.reconfigure(replace(aggregator.settings, topics=(), output=()))
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "storms is no topic any more, but the stored entries keep its tags; "
    )
