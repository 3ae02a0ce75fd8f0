"""The command line, as a user meets it: words in, words and an exit code out."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from aggregator.app import EXPORTS
from aggregator.cli import cli, main
from tests.conftest import configure, item, rss, site, wait_for
from tests.server import Server

DOCS = Path(__file__).resolve().parents[1] / "docs" / "cli.md"
STORMS = {
    "slug": "storms",
    "title": "Storms",
    "concepts": {"storm": {"any": ["storm"]}, "island": {"any": ["island"]}},
    "rules": {"named": {"all": "storm"}, "islands": {"all": "storm, island", "weight": 10}},
}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str


Run = Callable[..., Said]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Runs `aggregator …` in this process, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run(*words: object, stdin: str = "") -> Said:
        monkeypatch.setattr(sys, "argv", ["aggregator", *map(str, words)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(end.value.code if isinstance(end.value.code, int) else 0, said.out, said.err)

    yield run
    capsys.readouterr()


@pytest.fixture
def project(tmp_path: Path, server: Server) -> Path:
    """Two feeds on loopback and one topic; nothing is polled yet."""
    server.add("/a", rss(item(1, "A storm nears the island"), item(2), title="Warta"), etag='"1"')
    server.add("/b", rss(item(3, "=HYPERLINK(1)"), title="Kabar"))
    return configure(tmp_path, server.url("/a"), {"url": server.url("/b"), "tags": ["x"]}, topics=[STORMS])


@pytest.fixture
def polled(project: Path, run: Run) -> Path:
    assert run("poll").code == 0
    return project


def command(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs `aggregator …` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "aggregator", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        **options,
    )


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


# ------------------------------------------------------------------------------------------- help


def commands(group: click.Group = cli, *path: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, each in group.commands.items():
        yield (*path, name), each
        if isinstance(each, click.Group):
            yield from commands(each, *path, name)


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_command_explains_itself(run: Run, path: tuple[str, ...]) -> None:
    said = run(*path, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(f"Usage: aggregator {' '.join(path)}")
    assert len(lines(said.out)) > 2


def test_every_command_and_option_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    missing = [
        option
        for path, each in [((), cli), *commands()]
        for section in [_section(text, path)]
        for parameter in each.params
        for option in (parameter.opts if isinstance(parameter, click.Option) else [])
        if f"`{option}" not in section and option not in {"-h", "--help"}
    ]
    assert not missing
    for path, each in commands():
        if not isinstance(each, click.Group):
            assert re.search(
                rf"^aggregator (?:-\S+ \S+ )*{' '.join(path)}\b", _section(text, path), re.MULTILINE
            ), f"`{' '.join(path)}` has no example"


def _section(text: str, path: tuple[str, ...]) -> str:
    if not path:
        return text
    found = re.search(rf"^###? `{' '.join(path)}\b.*?(?=^##)", text + "\n##", re.MULTILINE | re.DOTALL)
    assert found, f"docs/cli.md says nothing of `{' '.join(path)}`"
    return found[0]


def test_the_settings_that_are_documented_exist(run: Run) -> None:
    known = {name for _, each in commands() for parameter in each.params for name in parameter.opts}
    known |= {name for parameter in cli.params for name in parameter.opts} | {"-h", "--help", "--version"}
    assert set(re.findall(r"`(--[a-z]+|-[a-z]\b)", DOCS.read_text(encoding="utf-8"))) <= known


def test_the_commands_of_the_service_exist(run: Run) -> None:
    text = DOCS.with_name("operations.md").read_text(encoding="utf-8")
    found = re.findall(r"^(?:ExecStart=)?(?:/opt/aggregator/bin/)?aggregator (.+)$", text, re.MULTILINE)
    assert len(found) >= 4
    for words in found:
        assert run(*words.split(), "--help").code == 0, words


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        pytest.param(("pol",), "No such command", id="unknown command"),
        pytest.param(("poll", "--everything"), "No such option", id="unknown option"),
        pytest.param(("search",), "Missing argument", id="no query"),
        pytest.param(("search", "x", "--since", "yesterday"), "'yesterday' is no time", id="no time"),
        pytest.param(("search", "x", "--since", f"{9**30}d"), "is no time", id="too long ago"),
        pytest.param(
            ("search", "x", "--since", "0001-01-01T00:00+05:00"), "is no time", id="before all time"
        ),
        pytest.param(("search", "x", "--language", "Spanish"), "as its ISO 639-1 code", id="no language"),
        pytest.param(("search", "x", "--limit", "0"), "0 is not in the range", id="nothing wanted"),
        pytest.param(("why", "first"), "'first' is not a valid integer", id="no id"),
        pytest.param(("split", f"{9**30}"), "is not in the range", id="an id beyond all"),
        pytest.param(("poll", "\udcff"), "'\\udcff' is no text in UTF-8", id="no text"),
        pytest.param(("topics", "explain"), "give the id of an entry", id="nothing to explain"),
        pytest.param(("topics", "explain", "--text", "x", "a", "b"), "one topic at a time", id="two topics"),
        pytest.param(("topics", "backtest", "strom"), "no topic 'strom'; there are: storms", id="no topic"),
        pytest.param(
            ("topics", "explain", "--text", "x", "strom"),
            "no topic 'strom'; there are",
            id="no topic to explain",
        ),
        pytest.param(
            ("search", "x", "--topic", "strom"), "no topic 'strom'; there are", id="no topic to search"
        ),
        pytest.param(("search", "x", "--feed", "Wrata"), "no feed has the address or name", id="no feed"),
        pytest.param(("poll", "Wrata"), "no feed has the address or name 'Wrata'", id="no feed to poll"),
        pytest.param(("why", "9999"), "there is no entry 9999", id="no entry"),
        pytest.param(("merge", "7", "7"), "entry 7 is one entry", id="one entry alone"),
        pytest.param(
            ("--db", "postgresql://h/db", "feeds"), "--db: the database is an SQLite file", id="no file"
        ),
        pytest.param(("run", "--host", "0.0.0.0"), "--host: 0.0.0.0 can be reached", id="no password"),
        pytest.param(("run", "--port", "70000"), "not in the range", id="no port"),
        pytest.param(("export", "secrets"), "'secrets' is not one of", id="nothing to export"),
    ],
)
def test_wrong_usage(project: Path, run: Run, words: tuple[str, ...], hint: str) -> None:
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert hint in said.err


# ---------------------------------------------------------------------------------- configuration

NEEDS_CONFIG = [
    pytest.param(words, id=" ".join(words))
    for words in [
        ("check",), ("poll",), ("feeds",), ("search", "x"), ("topics",), ("why", "1"), ("publish",),
        ("export",), ("backup", "b.db"), ("opml", "export"), ("add", "http://127.0.0.1:9/"), ("run", "--port", "0"),
    ]
]  # fmt: skip


@pytest.mark.parametrize("words", NEEDS_CONFIG)
def test_a_mistake_is_named_by_its_line_and_nothing_else_is_said(
    tmp_path: Path, run: Run, words: tuple[str, ...]
) -> None:
    (tmp_path / "feeds.yaml").write_text("feeds: []\nretenton: 1d\n")
    said = run(*words)
    assert (said.code, said.out) == (2, "")
    assert lines(said.err) == [
        "feeds.yaml:2: retenton: there is no such key here; did you mean `retention`?"
    ] or (re.fullmatch(r"feeds\.yaml:2: retenton: .*retention.*\n", said.err))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["feeds.yaml"]


def test_a_missing_configuration(tmp_path: Path, run: Run) -> None:
    said = run("poll")
    assert (said.code, said.out) == (2, "")
    assert said.err == "feeds.yaml: there is no such file; `aggregator init` writes one to begin with\n"
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_a_topic(tmp_path: Path, run: Run) -> None:
    configure(tmp_path, topics=[{"file": "mine.yaml"}])
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump({**STORMS, "rules": {"named": {"all": "strom"}}}))
    said = run("check")
    assert (said.code, said.out) == (2, "")
    assert re.match(r"mine\.yaml:\d+: rules\.named", said.err)


def test_init(tmp_path: Path, run: Run) -> None:
    said = run("init", "news")
    assert (said.code, said.err) == (0, "")
    path = tmp_path / "news" / "feeds.yaml"
    assert "news/feeds.yaml is written" in said.out
    assert run("--config", path, "check").code == 0
    path.write_text("mine")
    again = run("init", "news")
    assert again.code == 2
    assert "left as it is" in again.err
    assert path.read_text() == "mine"


def test_check_says_what_a_start_would_change_and_writes_nothing(
    tmp_path: Path, server: Server, project: Path, run: Run
) -> None:
    said = run("check")
    assert said.code == 0
    assert lines(said.out) == [
        "feeds.yaml is valid.",
        f"A start would make {tmp_path / 'db' / 'aggregator.db'} and add 2 feeds.",
    ]
    assert not (tmp_path / "db").exists()
    run("poll")
    before = {path: path.read_bytes() for path in (tmp_path / "db").iterdir()}
    assert lines(run("check").out) == ["feeds.yaml is valid.", "A start would change nothing."]

    secret = server.url("/c", "reader:canary")
    rain = {**STORMS, "concepts": {"storm": {"any": ["rain"]}, "island": {"any": ["atoll"]}}}
    configure(tmp_path, {"url": server.url("/a"), "name": "W"}, secret, topics=[rain])
    assert lines(run("check").out)[1:] == [
        f"A start would add: http://***@{server.netloc}/c",
        f"A start would change: {server.url('/a')}",
        f"A start would pause (its entries are kept): {server.url('/b')}",
        "The rules of storms have changed since the stored entries were tagged: aggregator topics backtest",
    ]
    assert {path: path.read_bytes() for path in (tmp_path / "db").iterdir()} == before

    with closing(sqlite3.connect(tmp_path / "db" / "aggregator.db")) as db, db:
        db.execute("PRAGMA user_version = 1")
    said = run("check")
    assert "to the present schema; check again after that." in said.out
    with closing(sqlite3.connect(tmp_path / "db" / "aggregator.db")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)


def test_check_prints_a_schema_without_a_configuration(run: Run) -> None:
    said = run("check", "--schema")
    assert said.code == 0
    assert "feeds" in json.loads(said.out)["properties"]


def test_the_database_that_is_meant(
    tmp_path: Path, project: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGGREGATOR_DB", "environment.db")
    assert run("feeds").code == 0
    assert run("--db", "option.db", "feeds").code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["environment.db", "feeds.yaml", "option.db"]


# ------------------------------------------------------------------------------------------ adding


def test_add_finds_the_feed_and_keeps_the_file(tmp_path: Path, server: Server, run: Run) -> None:
    path = configure(tmp_path)
    path.write_text(
        "# mine\nfeeds:\n  - http://127.0.0.1:9/x  # the first\n" + path.read_text().split("\n", 1)[1]
    )
    server.add("/", site("/warta"))
    server.add("/warta", rss(item(1), item(2)))
    said = run("add", server.url("/"), server.url("/none"))
    assert said.code == 1
    assert said.out == f"added {server.url('/warta')} (Warta), 2 entries\n"
    assert said.err == f"{server.url('/none')}: there is nothing at this address of {server.netloc} (404)\n"
    text = path.read_text()
    assert text.startswith(
        f"# mine\nfeeds:\n  - http://127.0.0.1:9/x  # the first\n  - {server.url('/warta')}\n"
    )
    again = run("add", server.url("/warta"))
    assert (again.code, again.out) == (0, f"{server.url('/warta')} (Warta) is there already\n")
    assert path.read_text() == text


def test_opml_comes_back_as_it_went(tmp_path: Path, polled: Path, server: Server, run: Run) -> None:
    exported = run("opml", "export")
    assert exported.code == 0
    (tmp_path / "list.opml").write_text(exported.out)
    said = run("opml", "import", "list.opml")
    assert said.out == "2 feeds found, 0 added, the others were there already.\n"
    configure(tmp_path)
    assert run("opml", "import", "list.opml").out.startswith("2 feeds found, 2 added")
    feeds = yaml.safe_load((tmp_path / "feeds.yaml").read_text())["feeds"]
    assert [feed["url"] for feed in feeds] == sorted([server.url("/a"), server.url("/b")], reverse=False)
    assert feeds[1]["tags"] == ["x"]


def followed(server: Server, *paths: str) -> bytes:
    outlines = "".join(f"<outline text='{path}' xmlUrl='{server.url(path)}'/>" for path in paths)
    return f"<opml version='2.0'><body><outline text='theirs'>{outlines}</outline></body></opml>".encode()


def test_a_remote_list(tmp_path: Path, project: Path, server: Server, run: Run) -> None:
    server.add("/c", rss(item(9), title="Cable"))
    server.add("/list", followed(server, "/a", "/c"), etag='"1"')
    url = server.url("/list", "reader:canary")
    configure(tmp_path, server.url("/a"), server.url("/b"), lists=[url])
    shown = f"http://***@{server.netloc}/list"

    fresh = run("check").out
    assert fresh.endswith("add 2 feeds, and those of 1 list.\n")
    run("feeds")  # makes the database
    assert f"A start would read, and follow: {shown}" in lines(run("check").out)
    assert not server.requests, "no network is used to check"

    said = run("poll", "--json")
    assert (said.code, json.loads(said.out)["feeds"]) == (0, 3)
    assert lines(run("check").out)[1:] == ["A start would change nothing."]
    told = run("feeds").out
    assert re.search(rf"^list +{re.escape(shown)} +2 feeds +read \d+ s ago$", told, re.MULTILINE), told

    configure(tmp_path, server.url("/a"), server.url("/b"), lists=[])
    assert f"A start would pause (its entries are kept): {server.url('/c')}" in run("check").out


def test_a_remote_list_that_cannot_be_read(tmp_path: Path, project: Path, server: Server, run: Run) -> None:
    configure(tmp_path, server.url("/a"), lists=[server.url("/list")])
    said = run("poll")
    complaint = f"list {server.url('/list')}: there is nothing at this address of {server.netloc} (404)\n"
    assert (said.code, said.err) == (1, f"the {complaint}")
    assert "1 feed in" in said.out, "the others are polled all the same"
    assert f"The {complaint}" in run("check").out
    assert "(404)" in run("feeds").out
    assert run("poll").code == 0, "it is not asked again at once"


def test_opml_that_is_none(tmp_path: Path, project: Path, run: Run) -> None:
    (tmp_path / "list.opml").write_text("feeds, feeds, feeds")
    before = project.read_text()
    assert run("opml", "import", "list.opml").code in (1, 2)
    assert run("opml", "import", "missing.opml").code == 2
    assert project.read_text() == before


# ----------------------------------------------------------------------------------------- polling


def test_poll_json(project: Path, run: Run) -> None:
    said = run("poll", "--json")
    assert (said.code, said.err) == (0, "")
    summary = json.loads(said.out)
    seconds = summary.pop("seconds")
    assert 0 < seconds < 20
    assert summary == {
        "feeds": 2, "changed": 2, "unchanged": 0, "not_modified": 0, "failed": 0,
        "entries_new": 3, "entries_revised": 0,
    }  # fmt: skip
    summary = json.loads(run("poll", "--all", "--json").out)
    numbers = ("feeds", "changed", "unchanged", "not_modified", "entries_new", "entries_revised")
    assert [summary[name] for name in numbers] == [2, 0, 1, 1, 0, 0]


def test_a_poll_leaves_nothing_to_the_daemon(polled: Path) -> None:
    with closing(sqlite3.connect(polled.parent / "db" / "aggregator.db")) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (3,)
        assert db.execute("SELECT count(*) FROM fingerprints").fetchone() == (0,), "they are years old by now"
        assert db.execute("SELECT count(*) FROM topic_daily").fetchone() != (0,)


def test_poll_in_words(server: Server, project: Path, run: Run) -> None:
    said = run("poll")
    assert re.fullmatch(
        r"2 feeds in \d+\.\d s: 2 changed, 0 unchanged, 0 failed; 3 new entries, 0 revised\.\n", said.out
    )
    assert run("poll").out.startswith("No feed is due.")
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["kabar", "/b"], ids=["by name", "by address"])
def test_poll_one(server: Server, polled: Path, run: Run, name: str) -> None:
    before = len(server.requests)
    said = run("poll", "--json", server.url(name) if name.startswith("/") else name)
    assert (said.code, json.loads(said.out)["feeds"]) == (0, 1)
    assert [request.path for request in server.requests[before:]] == ["/b"]


def test_poll_one_that_is_not_there(polled: Path, run: Run) -> None:
    said = run("poll", "Nobody")
    assert (said.code, said.out) == (2, "")
    assert said.err == "no feed has the address or name 'Nobody'; `aggregator feeds` lists them all\n"


def test_poll_one_that_is_paused(server: Server, polled: Path, run: Run) -> None:
    configure(polled.parent, server.url("/a"))
    assert run("poll", "Kabar").out.startswith("What you asked for is paused")


def test_without_network_every_feed_says_why(tmp_path: Path) -> None:
    with Server() as server:
        urls = [server.url("/a", "reader:canary"), server.url("/b")]
        port = server.port
    configure(tmp_path, *urls)
    done = command("poll", cwd=tmp_path)
    assert done.returncode == 1
    assert re.fullmatch(
        r"2 feeds in \S+ s: 0 changed, 0 unchanged, 2 failed; 0 new entries, 0 revised\.\n", done.stdout
    )
    assert sorted(line.split(": ")[0] for line in lines(done.stderr)) == [
        f"http://***@127.0.0.1:{port}/a",
        f"http://127.0.0.1:{port}/b",
    ]
    assert "canary" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_a_failure_is_said_and_the_others_are_stored(server: Server, project: Path, run: Run) -> None:
    server.add("/b", b"<!doctype html><p>Under construction")
    said = run("poll", "--json")
    assert said.code == 1
    assert said.err.startswith(f"{server.url('/b')}: ")
    summary = json.loads(said.out)
    assert (summary["failed"], summary["changed"], summary["entries_new"]) == (1, 1, 2)


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(server: Server, polled: Path, run: Run) -> None:
    server.add("/a", rss(*(item(number, text="word " * 400) for number in range(100))))
    limited = (
        f"ulimit -f 100; exec {sys.executable} -m aggregator poll --all --json"  # files of 100 KiB at most
    )
    done = subprocess.run(
        ["bash", "-c", limited], cwd=polled.parent, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1
    assert "polls could not be recorded" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(json.loads(run("search", "storm OR item OR hyperlink", "--json").out)) == 3
    with closing(sqlite3.connect(polled.parent / "db" / "aggregator.db")) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT max(leased_until) > '2' FROM feeds").fetchone() == (1,)


def test_a_poll_that_is_told_to_end_gives_back_what_it_holds(
    tmp_path: Path, server: Server, run: Run
) -> None:
    server.add("/quick", rss(item(1)))
    server.play("/slow", 60.0)
    configure(tmp_path, server.url("/quick"), server.url("/slow"))
    process = subprocess.Popen(
        [sys.executable, "-m", "aggregator", "poll"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: len(server.requests) == 2)
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=10)[1] == "stopped\n"
    assert process.returncode == 143
    with closing(sqlite3.connect(tmp_path / "db" / "aggregator.db")) as db:
        assert db.execute("SELECT count(*), count(leased_until) FROM feeds").fetchone() == (2, 0)
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (1,)


def test_a_poll_of_what_waits_says_why_nothing_was_asked(tmp_path: Path, server: Server, run: Run) -> None:
    server.add("/a", status=429, headers={"Retry-After": "3600"})
    configure(tmp_path, server.url("/a"))
    run("poll")
    for wanted in ("--all", server.url("/a")):
        said = run("poll", wanted)
        assert (said.code, len(server.requests)) == (0, 1)
        assert "its server has asked for a pause" in said.out


def test_a_progress_bar_for_people_only(project: Path) -> None:
    screen, terminal = pty.openpty()
    with closing(os.fdopen(screen, "rb", buffering=0)) as reader:
        process = subprocess.Popen(
            [sys.executable, "-m", "aggregator", "poll"],
            cwd=project.parent,
            stdout=subprocess.DEVNULL,
            stderr=terminal,
        )
        os.close(terminal)
        seen = b""
        end = time.monotonic() + 20
        while time.monotonic() < end and select.select([reader], [], [], 0.5):
            try:
                if not (part := reader.read(4096)):
                    break
            except OSError:  # the other end has gone
                break
            seen += part
        assert process.wait(10) == 0
    assert b"Polling" in seen
    assert b"2/2" in seen
    done = command("poll", "--all", cwd=project.parent)
    assert (done.returncode, done.stderr) == (0, "")


# ----------------------------------------------------------------------------------------- looking


def test_feeds(server: Server, polled: Path, run: Run) -> None:
    server.add("/b", status=503)
    run("poll", "--all")
    said = run("feeds")
    assert said.code == 0
    first, silent, second, error, _ = lines(said.out)  # their entries are years old by now
    assert re.match(r"active   Warta +2 entries +\d+/week  read \d+ s ago +next in ", first)
    assert re.search(r"next in \d+ (min|h|d)  [\d.]+ requests a day, delay \d+ (min|h|d)$", first)
    assert silent.strip() == (
        f"{server.url('/a')}: no new entry since 2025-11-20, longer than its own rhythm explains"
    )
    assert re.match(r"failing  Kabar +1 entry   ", second)
    assert re.fullmatch(
        rf" +{re.escape(server.url('/b'))}: failing since [-\d]+ [:\d]+ UTC: "
        rf"{re.escape(server.netloc)} is overloaded or under maintenance \(503\)",
        error,
    )


def test_feeds_before_the_first_poll(tmp_path: Path, server: Server, project: Path, run: Run) -> None:
    new = f"new      {server.url('/a'):<40} not read yet"
    assert lines(run("feeds").out)[0] == new
    assert [feed["status"] for feed in json.loads(run("feeds", "--json").out)] == ["new", "new"]
    assert run("opml", "export").out.count("<outline ") == 3, "two feeds and the folder of one"
    assert run("poll", "--all").code == 0
    configure(tmp_path, server.url("/a"), {"url": server.url("/c"), "name": "Cable"}, topics=[STORMS])
    assert lines(run("feeds").out)[-1] == f"new      {'Cable':<40} not read yet"
    *_, last = json.loads(run("feeds", "--json").out)
    assert (last["id"], last["url"], last["status"], last["entries"]) == (None, server.url("/c"), "new", 0)
    said = run("search", "storm", "--feed", "Cable")
    assert (said.code, said.err) == (0, "Nothing found.\n")
    assert 'text="Cable"' in run("opml", "export").out
    assert "Kabar" not in run("opml", "export").out


def test_check_refuses_an_output_feed_of_nothing(tmp_path: Path, server: Server, run: Run) -> None:
    server.add("/b", rss(item(1), title="Kabar"))
    path = configure(
        tmp_path,
        {"url": server.url("/a"), "name": "Warta", "tags": ["press"]},
        output=[{"name": "one", "feed": "Warte"}, {"name": "two", "tag": "pres"}],
    )
    feed, tag = (path.read_text().splitlines().index(row) + 1 for row in ("  feed: Warte", "  tag: pres"))
    said = run("check")
    assert (said.code, said.out) == (2, "")
    assert lines(said.err) == [
        f"feeds.yaml:{feed}: output[0].feed: no feed has this name or address; did you mean Warta?",
        f"feeds.yaml:{tag}: output[1].tag: no feed has this label; did you mean press?",
    ]
    configure(tmp_path, server.url("/b"), output=[{"name": "one", "feed": "Kabar"}])
    said = run("check")
    assert said.code == 0
    assert "no feed has this name or address" in said.out
    assert run("poll").code == 0
    assert lines(run("check").out) == ["feeds.yaml is valid.", "A start would change nothing."]


def test_feeds_json(polled: Path, server: Server, run: Run) -> None:
    first, _ = json.loads(run("feeds", "--json").out)
    promised = {"status", "last_success_at", "last_error", "next_poll_at", "entries_per_week"}
    assert promised <= first.keys()
    # Even polls leave an entry to wait for half of the time between them; by its profile they wait less.
    assert 0 < first["expected_delay_seconds"] <= 43_200 / first["requests_per_day"] + 30
    assert (first["url"], first["title"], first["status"]) == (server.url("/a"), "Warta", "active")
    assert [condition["kind"] for condition in first["conditions"]] == ["silent"]
    assert first["silent_since"].startswith("2025-11-20T")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", first["last_success_at"])


@pytest.mark.parametrize(
    ("options", "found"),
    [
        pytest.param(("storm",), ["A storm nears the island"], id="a word"),
        pytest.param(("STÓRM",), ["A storm nears the island"], id="case and accents"),
        pytest.param(("item OR storm",), ["A storm nears the island", "Item 2"], id="an operator"),
        pytest.param(("item OR storm", "--topic", "storms"), ["A storm nears the island"], id="a topic"),
        pytest.param(("hyperlink", "--feed", "Kabar"), ["=HYPERLINK(1)"], id="a feed"),
        pytest.param(("hyperlink", "--feed", "Warta"), [], id="another feed"),
        pytest.param(("storm", "--language", "EN"), ["A storm nears the island"], id="a language"),
        pytest.param(("storm", "--language", "es"), [], id="another language"),
        pytest.param(("item", "--since", "1000w"), ["Item 2"], id="since long ago"),
        pytest.param(("item", "--since", "2999-01-01"), [], id="since the future"),
        pytest.param(("item OR storm", "--limit", "1"), None, id="a limit"),
        pytest.param(('"unbalanced', ""), None, id="a stray quote"),
    ],
)
def test_search(polled: Path, run: Run, options: tuple[str, ...], found: list[str] | None) -> None:
    said = run("search", *filter(None, options), "--json")
    assert said.code == 0
    titles = [entry["title"] for entry in json.loads(said.out)]
    if found is None:
        assert len(titles) <= 1
    else:
        assert sorted(titles) == found


def test_search_in_words(polled: Path, run: Run) -> None:
    said = run("search", "storm")
    assert lines(said.out)[0].split(maxsplit=1)[1] == "A storm nears the island"
    assert "A [storm] nears" in said.out
    slip = run("search", '"storm')
    assert "A [storm] nears" in slip.out
    assert slip.err == "A quotation mark has no partner, so the phrase goes on to the end.\n"
    nothing = run("search", "blizzard")
    assert (nothing.code, nothing.out, nothing.err) == (0, "", "Nothing found.\n")


def test_why_and_explain(polled: Path, run: Run) -> None:
    (entry,) = json.loads(run("search", "storm", "--json").out)
    said = run("why", entry["id"])
    assert "tagged storms with score" in said.out
    assert "'storm' in the title, 2-7 (rule named)" in said.out
    explained = run("topics", "explain", entry["id"])
    assert explained.out.startswith("storms: tagged, score ")
    calm = run("topics", "explain", "--text", "-", "--all", "storms", stdin="All calm\non the island")
    assert calm.out.startswith("storms: not tagged, score 0 ")
    assert re.search(r"  islands did not fire: .*storm", calm.out)
    missing = run("why", "9999")
    assert (missing.code, missing.out) == (2, "")
    assert missing.err == "there is no entry 9999; `aggregator search` shows the ids of entries\n"


COPY = (
    "The harbour of the island was closed on Monday after three ferries had broken loose in the storm, the port "
    "authority said. Two hundred passengers spent the night in a school, and the mayor asked for 40 tents."
)


def test_what_belongs_together_is_explained_and_corrected(tmp_path: Path, server: Server, run: Run) -> None:
    server.add("/a", rss(item(1, "Harbour closed after storm", text=COPY), title="Island Post"))
    credited = f"{COPY}&lt;p&gt;Source: Island Post&lt;/p&gt;"
    server.add("/b", rss(item(2, "SHOCKING! Ferries adrift", text=credited), title="The Copyist"))
    configure(tmp_path, server.url("/a"), server.url("/b"))
    assert run("poll").code == 0
    first, second = sorted(int(row["id"]) for row in csv.DictReader(io.StringIO(run("export").out)))
    said = run("why", second).out
    assert "article 1: 2 entries" in said
    assert "  the original" in said
    assert re.search(rf"  with {first}: by credit, score [01]\.\d\d", said)
    assert re.search("says its source is Island Post: https://warta.example/1", said)

    apart = run("split", second)
    assert apart.out.startswith(f"entry {second} is now in article 2 and story 1")
    assert "alone in its article" in run("split", second).err
    said = run("why", second).out
    assert f"  kept apart by hand from {first}\n" in said
    assert "by credit" not in said
    assert re.search("says its source is Island Post: https://warta.example/1", said), (
        "one story still, so it leads there"
    )
    assert run("split", second, "--story").out.startswith(f"entry {second} is now in article 2 and story ")
    assert run("relink").out == "2 entries linked anew\n"
    assert ": 1 entry" in run("why", second).out
    merged = run("merge", first, second)
    assert merged.out == f"entries {first} and {second} are now in article 1 and story 1\n"
    assert "  with 2: by hand, score 1.00" in run("why", first).out
    assert "there is no entry 99" in run("merge", first, 99).err


def test_password_prints_a_hash_and_not_the_password(run: Run) -> None:
    said = run("password", stdin="correct horse\n")
    assert said.code == 0
    assert "correct horse" not in said.out
    assert "$argon2id$" in said.out


@pytest.mark.parametrize("word", ["", "short"])
def test_a_password_that_is_too_short_has_no_hash(run: Run, word: str) -> None:
    said = run("password", stdin=word)
    assert (said.code, said.out) == (2, "")
    assert "a password has at least 8 characters" in said.err


def test_without_entries_no_rules_have_changed(tmp_path: Path, run: Run) -> None:
    configure(tmp_path, "https://a.example/feed", topics=[STORMS])
    run("feeds")
    assert run("topics").out == "storms: Storms\n"
    assert lines(run("check").out)[1:] == ["A start would add: https://a.example/feed"]


def test_topics(tmp_path: Path, polled: Path, run: Run) -> None:
    assert run("topics").out == "storms: Storms\n"
    assert run("topics", "backtest").out == "0 entries would gain tags, 0 would lose some.\n"
    rules = {**STORMS, "concepts": {"storm": {"any": ["item"]}, "island": {"any": ["atoll"]}}}
    document = yaml.safe_load(polled.read_text())
    polled.write_text(yaml.safe_dump({**document, "topics": [rules]}))
    assert "its rules have changed" in run("topics").out
    tried = run("topics", "backtest", "storms")
    assert sorted(line.split(maxsplit=1)[1] for line in lines(tried.out)[:-1]) == [
        "+storms  Item 2",
        "-storms  A storm nears the island",
    ]
    assert lines(tried.out)[-1] == "1 entry would gain tags, 1 would lose some."
    assert run("topics", "retag").out == "2 entries tagged anew.\n"
    assert run("topics", "backtest").out == "0 entries would gain tags, 0 would lose some.\n"


def test_topics_eval(tmp_path: Path, polled: Path, run: Run) -> None:
    labelled = [
        {"id": "1", "title": "A storm", "summary": "", "content": "", "lang": "en", "label": True},
        {"id": "2", "title": "A gale", "summary": "", "content": "", "lang": "en", "label": True},
        {"id": "3", "title": "Calm", "summary": "", "content": "", "lang": "en", "label": False},
    ]
    (tmp_path / "labelled.jsonl").write_text("".join(json.dumps(each) + "\n" for each in labelled))
    said = run("topics", "eval", "labelled.jsonl")
    assert said.code == 0
    assert re.search(r"^all +1\.000 +0\.500 +0\.667 +3$", said.out, re.MULTILINE)
    assert re.search(r"missed .*A gale", said.out)
    (tmp_path / "labelled.jsonl").write_text("{}\n{")
    assert "labelled.jsonl:1: must be an object with a title" in run("topics", "eval", "labelled.jsonl").err
    (tmp_path / "labelled.jsonl").write_text('{"title": "A gale", "label": true}\n{')
    assert "labelled.jsonl:2: not a JSON object" in run("topics", "eval", "labelled.jsonl").err
    (tmp_path / "labelled.jsonl").write_text('{"title": "A gale", "label": true}')
    assert run("topics", "eval", "labelled.jsonl").code == 0


# ---------------------------------------------------------------------------------------- data out


def test_publish(tmp_path: Path, polled: Path, run: Run) -> None:
    said = run("publish")
    assert said.code == 0
    assert len(lines(said.out)) == 13 + 1
    assert lines(run("publish").out) == ["0 of 13 files written, the others are as they were"]
    assert "A storm nears the island" in (tmp_path / "public" / "storms.atom").read_text()


def test_publish_where_it_cannot(tmp_path: Path, polled: Path, run: Run) -> None:
    (tmp_path / "public").write_text("a file")
    said = run("publish")
    assert said.code in (1, 2)
    assert "public" in lines(said.err)[-1]


def test_export_csv_holds_no_formulas(tmp_path: Path, polled: Path, run: Run) -> None:
    rows = list(csv.DictReader(io.StringIO(run("export").out)))
    assert sorted(row["title"] for row in rows) == ["'=HYPERLINK(1)", "A storm nears the island", "Item 2"]
    assert run("export", "entries", "-o", "out.csv").out == ""
    assert list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))) == rows


def test_export_csv_names_its_columns_even_where_there_are_no_rows(polled: Path, run: Run) -> None:
    assert run("export", "attributions").out.splitlines() == ["entry_id,name,url"]


@pytest.mark.parametrize("what", EXPORTS)
def test_export_ndjson(polled: Path, run: Run, what: str) -> None:
    said = run("export", what, "--format", "ndjson")
    rows = [json.loads(line) for line in said.out.splitlines()]
    count = {
        "entries": 3,
        "articles": 3,
        "stories": 3,
        "daily": 3,
        "tags": 1,
        "attributions": 0,
        "feeds": 2,
        "polls": 2,
    }
    assert len(rows) == count[what]
    if what == "entries":
        assert {row["title"] for row in rows} == {"=HYPERLINK(1)", "A storm nears the island", "Item 2"}


@pytest.mark.parametrize("what", EXPORTS)
def test_export_parquet_holds_the_same_with_types(tmp_path: Path, polled: Path, run: Run, what: str) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    assert run("export", what, "--format", "parquet", "-o", "out.parquet").out == ""
    table = parquet.read_table(tmp_path / "out.parquet")
    rows = [json.loads(line) for line in run("export", what, "--format", "ndjson").out.splitlines()]
    written = [
        {
            name: value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value
            for name, value in row.items()
        }
        for row in table.to_pylist()
    ]
    assert written == rows
    for field in table.schema:
        if field.name in ("id", "entry_id", "revision", "feed_count"):
            assert str(field.type) == "int64"
        if field.name.endswith("_at"):
            assert str(field.type) == "timestamp[ms, tz=UTC]"


def test_backup(tmp_path: Path, polled: Path, run: Run) -> None:
    said = run("backup", "copy.db")
    assert re.fullmatch(r"copy\.db is written and sound, \d+\.\d MB\.\n", said.out)
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert db.execute("SELECT count(*) FROM entries").fetchone() == (3,)
    refused = run("backup", "db/aggregator.db")
    assert (refused.code, refused.out) == (1, "")
    assert "is the database itself" in refused.err


def test_a_database_that_is_none(tmp_path: Path, project: Path, run: Run) -> None:
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "aggregator.db").write_text("not a database, but long enough to be taken for one" * 40)
    said = run("feeds")
    assert (said.code, said.out) == (1, "")
    assert "aggregator.db" in said.err


def test_what_feeds_say_reaches_the_terminal_harmless(tmp_path: Path, server: Server, run: Run) -> None:
    hostile = "\x1b]0;owned\x07\x1b[31mred\x9b2J\u202e"
    feed = {"version": "https://jsonfeed.org/version/1.1", "title": hostile, "items": [{"id": hostile, "title": hostile, "content_text": hostile, "url": "https://warta.example/1"}]}  # fmt: skip
    server.add("/a", json.dumps(feed).encode())
    configure(tmp_path, server.url("/a"))
    run("poll")
    for words in (("feeds",), ("search", "owned"), ("why", "1"), ("export",)):
        said = run(*words)
        assert said.code == 0
        assert "red" in said.out
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", said.out.replace("\r\n", "\n"))


def test_a_reader_that_has_seen_enough(polled: Path) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m aggregator export --format ndjson | true"],
        cwd=polled.parent,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.stderr == ""


# -------------------------------------------------------------------------------------------- demo


def test_demo(tmp_path: Path) -> None:
    mine = tmp_path / "mine.db"
    done = command(
        "demo",
        "--once",
        cwd=tmp_path,
        env={**os.environ, "AGGREGATOR_DB": str(mine), "TMPDIR": str(tmp_path)},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.match(
        r"Polled 3 sample feeds on this machine: \d+ entries stored, \d+ articles tagged", done.stdout
    )
    assert done.stdout.count("    why: ") >= 3
    assert "source: iNews" in done.stdout
    assert list(tmp_path.iterdir()) == []  # neither the user's database nor a trace of its own
