"""The benchmark's generator makes valid feeds, its server answers as a good one does, its checks bite."""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import feedparser
import pytest

from benchmarks import duplicates, query, refresh
from benchmarks.feeds import (
    NEW_ENTRIES,
    Plan,
    Server,
    Site,
    document,
    generated_entry,
    is_atom,
    language_of,
    serving,
)

PLAN = Plan(feeds=40, entries=6)


@pytest.mark.parametrize(
    "feed", range(9), ids=lambda feed: f"{language_of(feed).code}-{'atom' if is_atom(feed) else 'rss'}-{feed}"
)
def test_a_generated_feed_is_well_formed_and_complete(feed: int) -> None:
    body, modified = document(PLAN, feed)

    parsed = feedparser.parse(body, sanitize_html=False, resolve_relative_uris=False)

    assert not parsed.bozo
    assert parsed.version == ("atom10" if is_atom(feed) else "rss20")
    assert parsed.feed.title == f"News {feed}"
    assert parsed.feed.language == language_of(feed).code
    generated = [generated_entry(PLAN, feed, number) for number in reversed(range(PLAN.entries))]
    assert [entry.title for entry in parsed.entries] == [entry.title for entry in generated]
    assert [entry.link for entry in parsed.entries] == [entry.link for entry in generated]
    assert [entry.content[0].value.strip() for entry in parsed.entries] == [
        entry.html.strip() for entry in generated
    ]
    assert [entry.published_parsed for entry in parsed.entries] == [
        entry.published.utctimetuple() for entry in generated
    ]
    assert all(1 <= len(entry.tags) <= 3 for entry in parsed.entries)
    assert len({entry.id for entry in parsed.entries}) == PLAN.entries
    assert modified == max(entry.published for entry in generated)


def test_a_third_of_the_feeds_are_atom_in_every_language() -> None:
    atom = [language_of(feed).code for feed in range(90) if is_atom(feed)]

    assert {code: atom.count(code) for code in atom} == {"id": 10, "en": 10, "es": 10}


def test_an_entry_has_1_to_6_kilobytes_of_html() -> None:
    lengths = [len(generated_entry(Plan(), feed, number).html) for feed in range(100) for number in range(20)]

    assert min(lengths) >= 1000
    assert max(lengths) <= 6000
    assert 2600 <= sum(lengths) / len(lengths) <= 3200


def test_some_entries_are_on_topic_and_most_are_not() -> None:
    titles = [generated_entry(PLAN, feed, number).title for feed in range(60) for number in range(20)]

    on_topic = sum(bool(re.search("Venezuela|Caracas|Caribbean|Caribe|Karibia", title)) for title in titles)

    assert 0.02 < on_topic / len(titles) < 0.1


def test_equal_plans_give_equal_bytes_and_other_seeds_other_texts() -> None:
    assert document(PLAN, 3) == document(replace(PLAN), 3)
    assert document(PLAN, 3) != document(replace(PLAN, seed=PLAN.seed + 1), 3)


@pytest.mark.parametrize("feed", [0, 60], ids=["rss", "atom"])
def test_a_change_brings_new_entries_and_leaves_the_others_as_they_were(feed: int) -> None:
    marks = r"(?s)<(?:item|entry)>.*?</(?:item|entry)>"
    before = re.findall(marks, document(PLAN, feed)[0].decode())
    after = re.findall(marks, document(PLAN, feed, changed=True)[0].decode())

    assert is_atom(feed) == (feed == 60)
    assert after[NEW_ENTRIES:] == before[:-NEW_ENTRIES]
    assert not set(after[:NEW_ENTRIES]) & set(before)


@pytest.fixture(scope="module")
def site() -> Site:
    return Site(Plan(feeds=2, entries=4))


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        pytest.param("/feed/1.xml", "", 200, id="no validators"),
        pytest.param("/feed/1.xml", "If-None-Match: {etag}\r\n", 304, id="the same etag"),
        pytest.param("/feed/1.xml", "if-none-match: {etag}\r\n", 304, id="header names in any case"),
        pytest.param("/feed/1.xml", "If-Modified-Since: {date}\r\n", 304, id="the same date"),
        pytest.param("/feed/1.xml", 'If-None-Match: "other"\r\n', 200, id="another etag"),
        pytest.param("/feed/1.xml", 'If-None-Match: "other"\r\nIf-Modified-Since: {date}\r\n', 200, id="the etag outranks the date"),
        pytest.param("/feed/0.xml", "If-None-Match: {etag}\r\n", 200, id="the etag of another feed"),
        pytest.param("/feed/2.xml", "", 404, id="a feed beyond the plan"),
        pytest.param("/robots.txt", "", 404, id="no feed at all"),
    ],
)  # fmt: skip
def test_the_server_answers_and_counts(site: Site, path: str, headers: str, status: int) -> None:
    page = site.pages[b"/feed/1.xml"]
    sent = headers.format(etag=page.etag.decode(), date=page.last_modified.decode())
    site.tally.clear()

    answer = site.answer(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{sent}".removesuffix("\r\n").encode())

    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert site.tally == {status: 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(Plan(feeds=21, entries=4)) as server:
        yield server


def test_the_server_shows_the_change_when_told(server: Server) -> None:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)

    def ask(feed: int, **headers: str) -> tuple[int, str]:
        connection.request("GET", f"/feed/{feed}.xml", headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers["ETag"]

    server.take_tally()
    _, first = ask(20)
    _, other = ask(19)
    assert ask(20, **{"If-None-Match": first})[0] == 304
    server.change()
    assert ask(20, **{"If-None-Match": first})[0] == 200
    assert ask(19, **{"If-None-Match": other})[0] == 304
    connection.close()


class Script:
    """A program to be measured, as lines of Python that see `urls` and a `store` for its entries."""

    name = "script"

    def __init__(self, lines: str) -> None:
        self._lines = lines

    def prepare(self, folder: Path, urls: Sequence[str]) -> None:
        (folder / "urls").write_text("\n".join(urls))

    def command(self, folder: Path) -> list[str]:
        given = f"""
import sqlite3, urllib.request
urls = open({f"{folder}/urls"!r}).read().split()
store = sqlite3.connect({f"{folder}/store.db"!r}, isolation_level=None)
store.execute("CREATE TABLE entries (id)")
def ask(): return [urllib.request.urlopen(url, timeout=10).status for url in urls]
def keep(number): store.executemany("INSERT INTO entries VALUES (?)", [(i,) for i in range(number)])
"""
        return [sys.executable, "-c", given + self._lines]

    def check(self, output: str, expected: refresh.Expected) -> None: ...


EXPECTED = refresh.Expected(full=3, not_modified=0, new=12, total=12)


def test_a_program_that_did_the_work_is_measured(server: Server, tmp_path: Path) -> None:
    program = Script("ask(); keep(12)")
    program.prepare(tmp_path, server.urls(3))

    measured = refresh.measure(program, "cold", tmp_path, server, EXPECTED)

    assert (measured.program, measured.phase, measured.feeds) == ("script", "cold", 3)
    assert 0 < measured.cpu < 60
    assert 0 < measured.wall < 60
    assert measured.peak > 5  # no upper bound: before it execs, a child has the size of its parent


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        pytest.param("keep(12)", "the server answered {}", id="asked for nothing"),
        pytest.param("ask(); ask(); keep(12)", "the server answered {200: 6}", id="asked twice"),
        pytest.param("ask(); keep(11)", "11 entries in the store, expected 12", id="lost an entry"),
        pytest.param("ask(); keep(12); raise SystemExit('disk full')", "disk full", id="failed"),
    ],
)
def test_a_program_that_did_other_work_is_no_measurement(
    server: Server, tmp_path: Path, lines: str, complaint: str
) -> None:
    program = Script(lines)
    program.prepare(tmp_path, server.urls(3))

    with pytest.raises(refresh.WrongResultError, match=re.escape(complaint)):
        refresh.measure(program, "cold", tmp_path, server, EXPECTED)


SUMMARY = {"feeds": 3, "changed": 3, "not_modified": 0, "failed": 0, "entries_new": 12, "entries_revised": 0}


def test_our_own_summary_is_held_against_what_was_to_be_done() -> None:
    refresh.Ours().check(json.dumps(SUMMARY), EXPECTED)
    for key in SUMMARY:
        with pytest.raises(refresh.WrongResultError, match=key):
            refresh.Ours().check(json.dumps(SUMMARY | {key: 99}), EXPECTED)


def test_verdicts_compare_cpu_with_the_targets() -> None:
    def measured(program: str, phase: str, cpu: float) -> refresh.Measurement:
        return refresh.Measurement(program, phase, feeds=1000, user=cpu, system=0, wall=cpu, peak=50)

    figures = [
        measured("aggregator", "cold", 2), measured("reader", "cold", 20), measured("reader+search", "cold", 90),
        measured("aggregator", "warm", 2), measured("reader", "warm", 6),
    ]  # fmt: skip

    assert list(refresh.verdicts(figures)) == [
        "cold: 1/10.0 of reader's CPU (at most 1/10: met)",
        "warm: 1/3.0 of reader's CPU (at most 1/5: MISSED)",
    ]


def test_a_filled_store_is_asked_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(query, "FEEDS", 30)
    monkeypatch.setattr(query, "_POOL", 20_000)

    code = query.main(["--entries", "1500", "--rounds", "2", "--keep", str(tmp_path)])

    told = capsys.readouterr()
    assert (code, told.err) == (0, "")
    kinds = [line for line in told.out.splitlines() if re.search(r"( +\d+\.\d){4} +\d+", line)]
    assert len(kinds) == 46
    assert any(line.endswith(("met", "MISSED")) for line in kinds)


def test_an_answer_that_is_none_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(query, "FEEDS", 30)
    monkeypatch.setattr(query, "_POOL", 20_000)
    monkeypatch.setattr(query, "_STEMS", 300)
    monkeypatch.setattr(query, "kinds", lambda *_: [query.Kind("nothing", ["/nothing"], None)])

    assert query.main(["--entries", "200", "--rounds", "2", "--keep", str(tmp_path)]) == 1
    assert "not a valid run: /nothing was answered with 404" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_entries_arrive_in_a_window_that_was_multiplied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duplicates, "PLAN", Plan(feeds=15, entries=4))
    store = tmp_path / "store.db"

    index = duplicates.filled(store, 600)
    told = duplicates.arrive(store, 40)

    assert set(index) == {"fingerprints", "article_keys", "story_keys", "paragraphs", "edges"}
    assert all(index.values())
    assert 0 < told["link"] < told["all"]
    assert told["restart"] > 0
    assert told["peak"] > 5
