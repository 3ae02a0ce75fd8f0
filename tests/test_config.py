"""feeds.yaml: what it may hold, what is said when it holds something else, and how feeds are added to it."""

import json
import re
import stat
from collections.abc import Mapping
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aggregator import config
from aggregator.config import document as yaml_document
from aggregator.config.shape import _SECTIONS, File, describe, nearest, spell
from aggregator.errors import ConfigError
from aggregator.model import FetchSettings, OutputFeed, RemoteList, Settings, Subscription, WebSettings

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs" / "configuration.md"


def load(
    folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None, db: str | None = None
) -> Settings:
    path = folder / "feeds.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.load(path, environ=environ or {}, db=db)


def problems(
    folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None
) -> list[tuple[int | None, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(folder, text, environ)
    assert all(Path(problem.file).parent == folder for problem in caught.value.problems)
    return [(problem.line, problem.key, problem.message) for problem in caught.value.problems]


# ------------------------------------------------------------------------------------- what is read


def test_every_key(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """\
feeds:
  - https://a.example/feed
  - url: https://b.example/feed
    name: Bé
    language: ES-ve
    tags: [one, two]
    every: 1.5h
    enabled: no
lists:
  - https://a.example/list.opml
  - url: env:LIST
    tags: [theirs]
    every: 6h
topics:
  - slug: storms
    rules: []
    aspects: {damage: {}}
output:
  - name: storms
    title: Storms
    topic: storms
    aspect: damage
    limit: 7
  - name: all
fetch:
  allow_addresses: [127.0.0.1/32, "::1"]
  user_agent: me (+https://me.example/)
  concurrency: 8
  per_host: 1
  timeout: 5s
  max_bytes: 2048
  budget: 5000
web:
  password: env:PASSWORD
  images: show
retention: 30d
database: data/news.db
public_url: https://news.example.org/
""",
        {"PASSWORD": " a long word ", "LIST": "https://b.example/opml?key=word"},
    )
    assert settings == Settings(
        feeds=(
            Subscription("https://a.example/feed"),
            Subscription(
                "https://b.example/feed", "Bé", "es", ("one", "two"), timedelta(minutes=90), enabled=False
            ),
        ),
        lists=(
            RemoteList("https://a.example/list.opml"),
            RemoteList("https://b.example/opml?key=word", ("theirs",), timedelta(hours=6)),
        ),
        topics=settings.topics,
        output=(OutputFeed("storms", "Storms", 7, topic="storms", aspect="damage"), OutputFeed("all")),
        fetch=FetchSettings(
            (IPv4Network("127.0.0.1/32"), IPv6Network("::1/128")),
            "me (+https://me.example/)",
            concurrency=8,
            per_host=1,
            timeout=timedelta(seconds=5),
            max_bytes=2048,
            budget=5000,
        ),
        web=WebSettings(" a long word ", "show"),
        retention=timedelta(days=30),
        database=str(tmp_path / "data" / "news.db"),
        public_url="https://news.example.org",
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("feeds: []", id="an empty list"),
        pytest.param("feeds:\n  # - https://a.example/\ntopics:\nfetch:\n", id="all commented out"),
        pytest.param("\ufefffeeds:\r\n", id="byte order mark and CRLF"),
    ],
)
def test_what_is_not_said_is_the_models_default(tmp_path: Path, text: str) -> None:
    usual = Settings(output=(OutputFeed("all"),), database=str(tmp_path / "db" / "aggregator.db"))
    assert load(tmp_path, text) == usual


def test_without_output_each_topic_is_published_and_all(tmp_path: Path) -> None:
    text = "topics:\n  - {slug: storms}\n  - {slug: floods}\n"
    assert load(tmp_path, text).output == (
        OutputFeed("storms", topic="storms"),
        OutputFeed("floods", topic="floods"),
        OutputFeed("all"),
    )
    assert load(tmp_path, text + "output: []").output == ()


def test_a_topic_on_health_leaves_the_health_feed_its_name(tmp_path: Path) -> None:
    output = load(tmp_path, "topics: [{slug: health}]").output
    assert output == (OutputFeed("health-news", topic="health"), OutputFeed("all"))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1s", 1), ("90s", 90), ("15m", 900), ("1.5h", 5400), ("365d", 31_536_000), ("2 h", 7200)],
)
def test_times(tmp_path: Path, written: str, seconds: int) -> None:
    assert load(tmp_path, f"retention: {written}").retention == timedelta(seconds=seconds)


def test_retention_never(tmp_path: Path) -> None:
    assert load(tmp_path, "retention: never").retention is None


@given(st.integers(1, 36_500 * 86_400))
def test_a_spelled_time_is_read_back(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert File.model_validate({"retention": spell(duration)}).retention == duration


@pytest.mark.parametrize(
    ("db", "environ", "expected"),
    [
        pytest.param(None, {}, "{folder}/own.db", id="file"),
        pytest.param(None, {"AGGREGATOR_DB": "/env.db"}, "/env.db", id="environment over file"),
        pytest.param("/cli.db", {"AGGREGATOR_DB": "/env.db"}, "/cli.db", id="command line over environment"),
        pytest.param("cli.db", {}, "{cwd}/cli.db", id="relative to the working directory"),
        pytest.param("sqlite:///cli.db", {}, "{cwd}/cli.db", id="an address"),
        pytest.param("sqlite:////cli.db", {}, "/cli.db", id="an address with a whole path"),
        pytest.param(None, {"AGGREGATOR_DB": ""}, "{folder}/own.db", id="empty variable"),
    ],
)
def test_where_the_database_is(
    tmp_path: Path, db: str | None, environ: dict[str, str], expected: str
) -> None:
    settings = load(tmp_path, "database: own.db", environ, db)
    assert settings.database == expected.format(folder=tmp_path, cwd=Path.cwd())


def test_an_address_in_the_file_begins_at_its_folder(tmp_path: Path) -> None:
    assert load(tmp_path, "database: sqlite:///db/a.db").database == str(tmp_path / "db" / "a.db")


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        pytest.param("postgresql://reader:canary@host/db", "", id="another database"),
        pytest.param("sqlite://", "", id="no path"),
        pytest.param("sqlite:a.db", "", id="too few strokes"),
        pytest.param("file:db/x.db", "; did you mean db/x.db?", id="a relative URI"),
        pytest.param("file:///srv/x.db?mode=ro", "; did you mean /srv/x.db?", id="a URI"),
    ],
)
def test_what_is_no_path_of_a_database(tmp_path: Path, value: str, hint: str) -> None:
    said = f"the database is an SQLite file, named by its path, or as sqlite:///path{hint}"
    assert problems(tmp_path, f"feeds:\ndatabase: {value}") == [(2, "database", said)]
    for db, environ, source in [(value, {}, "--db"), (None, {"AGGREGATOR_DB": value}, "AGGREGATOR_DB")]:
        with pytest.raises(ConfigError) as caught:
            load(tmp_path, "feeds:", environ, db)
        assert str(caught.value) == f"{source}: {said}"


def test_values_from_the_environment(tmp_path: Path) -> None:
    text = "feeds:\n  - env:A\n  - url: env:B\n    tags: [env:TAG]\n    every: env:EVERY\ntopics:\n  - slug: env:A\n"
    environ = {"A": "https://a.example/", "B": "https://b.example/", "TAG": "x", "EVERY": "5m"}
    settings = load(tmp_path, text, environ)
    assert settings.feeds == (
        Subscription("https://a.example/"),
        Subscription("https://b.example/", tags=("x",), every=timedelta(minutes=5)),
    )
    assert settings.topics[0].data == {"slug": "env:A"}, "rules are no settings"


@pytest.mark.parametrize(
    ("written", "password", "message"),
    [
        pytest.param(
            "correct horse", "", "a password never stands in the file: write env:NAME", id="in the file"
        ),
        pytest.param("env:PASSWORD", "canary", "at least 8 characters", id="a short one"),
        pytest.param(
            "env:PASSWORD", "", "the variable PASSWORD is empty; set it before the start", id="empty"
        ),
        pytest.param("env:ANOTHER", "", "the environment has no variable ANOTHER; set it before", id="none"),
    ],
)
def test_a_password_comes_from_the_environment(
    tmp_path: Path, written: str, password: str, message: str
) -> None:
    ((line, key, said),) = problems(tmp_path, f"web:\n  password: {written}\n", {"PASSWORD": password})
    assert (line, key) == (2, "web.password")
    assert message in said
    assert "horse" not in said
    assert "canary" not in said


def test_no_message_shows_a_secret(tmp_path: Path) -> None:
    text = "feeds:\n  - env:FEED\n  - url: https://a.example/\n    name: env:NONE\n"
    assert problems(tmp_path, text, {"FEED": "hunter2.example"}) == [
        (
            2,
            "feeds[0].url",
            "in the value of env:FEED: an address begins with https:// or http://",
        ),
        (4, "feeds[1].name", "the environment has no variable NONE; set it before the start"),
    ]


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        pytest.param(
            "web: {password: env:X}",
            "a",
            "in the value of env:X: a password has at least 8 characters",
            id="a letter that our own words hold",
        ),
        pytest.param(
            "output: [{name: env:X}]",
            "My Canary",
            "in the value of env:X: a name is part of an address: lower-case letters, digits and single hyphens",
            id="what it may have meant",
        ),
        pytest.param(
            "fetch: {allow_addresses: [env:X]}",
            "10.7.7.7/8",
            "in the value of env:X: this is an address within a network",
            id="its network",
        ),
        pytest.param(
            "output: [{name: a, topic: env:X}]",
            "canary",
            "there is no topic with this slug; there are no topics",
            id="a topic",
        ),
        pytest.param(
            "feeds: [{url: 'https://a.example/', name: env:X}]",
            "can\udce9ry",
            "in the value of env:X: this is not UTF-8",
            id="bytes of another encoding",
        ),
    ],
)
def test_nothing_tells_what_a_secret_is(tmp_path: Path, text: str, value: str, message: str) -> None:
    ((_, _, said),) = problems(tmp_path, text, {"X": value})
    assert said == message


# ----------------------------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("text", "line", "key", "message"),
    [
        pytest.param("feds: []", 1, "feds", "did you mean feeds?", id="unknown key"),
        pytest.param("xyz: []", 1, "xyz", "the keys are feeds, lists, topics, output", id="unlike any key"),
        pytest.param(
            "feeds:\n  - url: https://a.example/\n    nmae: A",
            3,
            "feeds[0].nmae",
            "did you mean name?",
            id="of a feed",
        ),
        pytest.param(
            "output:\n  - {name: a, tpoic: b}", 2, "output[0].tpoic", "did you mean topic?", id="of an output"
        ),
        pytest.param("fetch:\n  perhost: 2", 2, "fetch.perhost", "did you mean per_host?", id="of fetch"),
        pytest.param(
            "retention: 1d\n\nretention: 2d",
            3,
            "retention",
            "stands twice; the first is on line 1",
            id="twice",
        ),
        pytest.param("feeds:\n  - name: A", 2, "feeds[0].url", "missing", id="missing"),
        pytest.param("feeds: https://a.example/", 1, "feeds", "a list", id="text for a list"),
        pytest.param("feeds:\n  a: b", 1, "feeds", "a list", id="block for a list"),
        pytest.param("feeds:\n  - 17", 2, "feeds[0]", "not the number 17", id="number for a feed"),
        pytest.param("fetch: [2]", 1, "fetch", "a block of `key: value` lines", id="list for a block"),
        pytest.param("- https://a.example/", 1, "", "a block of `key: value` lines", id="list for the whole"),
        pytest.param("fetch: {per_host: two}", 1, "fetch.per_host", "a whole number", id="text for a number"),
        pytest.param("fetch: {per_host: true}", 1, "fetch.per_host", "not true", id="truth for a number"),
        pytest.param("fetch: {per_host: 1.5}", 1, "fetch.per_host", "a whole number", id="fraction"),
        pytest.param("fetch: {per_host: 0}", 1, "fetch.per_host", "at least 1", id="too small"),
        pytest.param(
            "output: [{name: a, limit: 1001}]", 1, "output[0].limit", "at most 1000", id="too large"
        ),
        pytest.param("fetch: {per_host: }", 1, "fetch.per_host", "not nothing", id="nothing for a number"),
        pytest.param(
            "feeds: [{url: 'https://a.example/', name: 2024}]",
            1,
            "feeds[0].name",
            "put it in quotes",
            id="number for text",
        ),
        pytest.param(
            "feeds: [{url: 'https://a.example/', enabled: maybe}]",
            1,
            "feeds[0].enabled",
            "true or false",
            id="truth",
        ),
        pytest.param(
            "feeds: [{url: 'https://a.example/', tags: a}]", 1, "feeds[0].tags", "a list", id="text for tags"
        ),
        pytest.param(
            "feeds: [{url: 'https://a.example/', language: Norsk}]",
            1,
            "feeds[0].language",
            "ISO 639",
            id="language",
        ),
        pytest.param("trend: {baseline: 2025}", 1, "trend.baseline", "2025-01-01/2025-03-31", id="a year"),
        pytest.param(
            "trend: {baseline: 2025-02-01/2025-02-30}", 1, "trend.baseline", "2025-01-01/", id="no such day"
        ),
        pytest.param(
            "trend: {baseline: 2025-02-01/2025-01-01}",
            1,
            "trend.baseline",
            "first day stands first",
            id="backwards",
        ),
        pytest.param("lists: [a.example/opml]", 1, "lists[0].url", "https://a.example/opml?", id="bare list"),
        pytest.param(
            "lists: [{url: 'https://a.example/', every: 59m}]",
            1,
            "lists[0].every",
            "1h or more",
            id="list too often",
        ),
        pytest.param(
            "lists: [{url: 'https://a.example/', name: A}]",
            1,
            "lists[0].name",
            "url, tags, every",
            id="of a list",
        ),
        pytest.param(
            "lists:\n  - https://a.example/x\n  - url: HTTPS://A.example/x",
            3,
            "lists[1]",
            "this list stands twice; the first is on line 2",
            id="list twice",
        ),
        pytest.param("retention: 30", 1, "retention", "30s, 30m, 30h or 30d", id="time without unit"),
        pytest.param("retention: 1y", 1, "retention", "s, m, h or d", id="unknown unit"),
        pytest.param("retention: 0.5s", 1, "retention", "at least 1s", id="too short"),
        pytest.param("retention: 36501d", 1, "retention", "at most 36500d", id="too long"),
        pytest.param("retention:", 1, "retention", "or never", id="empty retention is no guess"),
        pytest.param(
            "feeds: [www.a.example/feed]", 1, "feeds[0].url", "https://www.a.example/feed?", id="bare host"
        ),
        pytest.param("feeds: ['ftp://a.example/']", 1, "feeds[0].url", "https or http", id="other scheme"),
        pytest.param("feeds: ['https://']", 1, "feeds[0].url", "no address", id="no host"),
        pytest.param("feeds: ['https://a.example:70000/']", 1, "feeds[0].url", "65535", id="port"),
        pytest.param("feeds: ['https://a.example/a b']", 1, "feeds[0].url", "%20", id="space"),
        pytest.param(f"feeds: ['https://a.example/{'a' * 4000}']", 1, "feeds[0].url", "4000", id="very long"),
        pytest.param(
            "feeds:\n  - https://a.example/x\n\n  - url: HTTPS://A.example/x",
            4,
            "feeds[1]",
            "first is on line 2",
            id="feed",
        ),
        pytest.param(
            "output:\n  - name: a\n  - name: a", 3, "output[1]", "first is on line 2", id="output name twice"
        ),
        pytest.param(
            "output: [{name: health}]", 1, "output[0].name", "choose another", id="the health feed's name"
        ),
        pytest.param(
            "output: [{name: My Feed}]", 1, "output[0].name", "did you mean my-feed?", id="output name"
        ),
        pytest.param(
            "topics: [{slug: storms}]\noutput:\n  - {name: a, topic: storm}",
            3,
            "output[0].topic",
            "did you mean storms?",
            id="unknown topic",
        ),
        pytest.param(
            "output: [{name: a, topic: b}]", 1, "output[0].topic", "there are no topics", id="no topics"
        ),
        pytest.param(
            "output: [{name: a, aspect: b}]", 1, "output[0].aspect", "name it with `topic:`", id="aspect"
        ),
        pytest.param(
            "topics: [caribbean-tension]\noutput:\n  - name: a\n    topic: caribbean-tension\n    aspect: nope",
            5,
            "output[0].aspect",
            "has no such aspect; the aspects are ",
            id="unknown aspect",
        ),
        pytest.param(
            "topics: [{slug: a, aspects: {harm: {}}}]\noutput: [{name: a, topic: a, aspect: ham}]",
            2,
            "output[0].aspect",
            "the topic a has no such aspect; did you mean harm?",
            id="misspelt aspect",
        ),
        pytest.param(
            "topics: [{slug: a}]\noutput: [{name: a, topic: [a], aspect: b}]",
            2,
            "output[0].topic",
            "a text is expected",
            id="an aspect of no topic",
        ),
        pytest.param(
            "web: {images: shwo}",
            1,
            "web.images",
            "hide or show is expected here; did you mean show?",
            id="choice",
        ),
        pytest.param(
            "fetch: {retry_after: 30}",
            1,
            "fetch.retry_after",
            "host, feed or domain is expected here",
            id="number for a choice",
        ),
        pytest.param(
            "output: [{name: a, min_score: .nan}]", 1, "output[0].min_score", "a number", id="no number"
        ),
        pytest.param(
            "output: [{name: a, min_score: -1}]", 1, "output[0].min_score", "at least 0", id="negative"
        ),
        pytest.param(
            "topics: [caribean-tension]", 1, "topics[0]", "did you mean caribbean-tension?", id="pack"
        ),
        pytest.param(
            "topics: [topics/a.yaml]", 1, "topics[0]", "written `file: topics/a.yaml`", id="path for a pack"
        ),
        pytest.param(
            "topics: [{file: a.yaml, slug: a}]", 1, "topics[0]", "the one key `file:`", id="file and more"
        ),
        pytest.param("topics: [{slug: a}, {slug: a}]", 1, "topics[1]", "already", id="slug twice"),
        pytest.param("topics:\n  - title: A", 2, "", "needs a `slug:`", id="topic without slug"),
        pytest.param("topics: [7]", 1, "topics[0]", "not the number 7", id="number for a topic"),
        pytest.param(
            "fetch: {allow_addresses: [127.0.0.1/8]}",
            1,
            "fetch.allow_addresses[0]",
            "did you mean 127.0.0.0/8?",
            id="host bits",
        ),
        pytest.param(
            "fetch: {allow_addresses: [home]}", 1, "fetch.allow_addresses[0]", "192.168.0.0/16", id="network"
        ),
        pytest.param(
            "fetch: {allow_addresses: [7]}", 1, "fetch.allow_addresses[0]", "192.168.0.0/16", id="not 0.0.0.7"
        ),
        pytest.param(
            'fetch: {user_agent: "a\\nb: c"}', 1, "fetch.user_agent", "one line", id="header injection"
        ),
        pytest.param("public_url: https://a.example/?q", 1, "public_url", "no ?", id="public address"),
        pytest.param(
            "feeds:\n  - &a https://a.example/\n  - *a", 3, "feeds[1]", "aliases such as *a", id="alias"
        ),
        pytest.param("database: !!python/name:os.system x", 1, "database", "tags such as", id="tag"),
        pytest.param("feeds: []\n---\nfeeds: []", 2, "", "a second document", id="second document"),
        pytest.param("? [a]\n: b", 1, "", "a key is a plain word", id="odd key"),
        pytest.param("fetch:\n\tper_host: 2", 2, "", "a tab begins this line", id="tab"),
        pytest.param("feeds: [\n\n", 3, "", "missing quote or bracket", id="open bracket"),
        pytest.param("feeds:\n  - name: a: b", 2, "", "needs quotes", id="colon"),
        pytest.param("database: 'x\n", 1, "", "missing quote", id="open quote"),
        pytest.param("feeds: []\ndatabase: \x00", 2, "", "control character", id="NUL"),
        pytest.param("[" * 60, 1, "", "more than 50 levels", id="deep"),
        pytest.param("[" * 100_000, 1, "", "more than 50 levels", id="very deep"),
        pytest.param(b"feeds: []\n# \xe9", 2, "", "byte 0xE9 is not UTF-8", id="Latin-1"),
        pytest.param("", None, "", "empty", id="empty"),
        pytest.param("# nothing\n", None, "", "empty", id="only a comment"),
    ],
)
def test_problem(tmp_path: Path, text: str | bytes, line: int | None, key: str, message: str) -> None:
    found = problems(tmp_path, text)
    assert (line, key) in [problem[:2] for problem in found]
    assert message in "".join(problem[2] for problem in found if problem[:2] == (line, key))


WRONG = [None, 7, 0.5, True, "word", "\ud800", ["word"], {"word": "word"}, float("nan"), "x" * 10_000]


@pytest.mark.parametrize("section", sorted(_SECTIONS))
@pytest.mark.parametrize("value", WRONG, ids=lambda value: repr(value)[:12])
def test_problems_are_told_in_our_own_words(section: str, value: object) -> None:
    for name in _SECTIONS[section].model_fields:
        block = {"url": "https://a.example/", "name": "a"} | {name: value}
        for content in (block, [block]):
            try:
                File.model_validate({section: content})
            except ValidationError as error:
                said = [describe(found) for found in error.errors()]
                assert not [
                    words for words in said if re.search(r"[Ii]nput|[Vv]alue error|should|valid ", words)
                ]


@pytest.mark.parametrize("word", ["true", "True", "yes", "on"])
def test_what_means_true(tmp_path: Path, word: str) -> None:
    assert load(tmp_path, f"output: [{{name: a, copies: {word}}}]").output[0].copies


def test_codes_may_be_written_in_any_case(tmp_path: Path) -> None:
    (output,) = load(tmp_path, "output: [{name: a, language: ES-ve, country: ve}]").output
    assert (output.language, output.country) == ("es", "VE")


def test_of_many_names_some_are_listed() -> None:
    assert nearest("Kaber", ["Warta", "Kabar"], "feeds") == "did you mean Kabar?"
    assert nearest("zzz", ["Warta", "Kabar"], "feeds") == "the feeds are Warta, Kabar"
    assert nearest("zzz", map(str, range(23)), "feeds").endswith(", 18, 19 and 3 more")


def test_all_problems_are_told_at_once_in_file_order(tmp_path: Path) -> None:
    text = """\
feeds:
  - www.a.example
  - url: https://b.example/
    every: 5
    every: 6x
topics:
  - nothing-like-it
output:
  - name: x
    topic: nope
fetch:
  per_hosts: 1
"""
    found = problems(tmp_path, text)
    assert [line for line, _, _ in found] == [2, 5, 5, 7, 10, 12]


def test_a_billion_laughs_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert any("aliases" in message for _, _, message in problems(tmp_path, "\n".join(lines)))


def test_a_missing_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="aggregator init"):
        config.load(tmp_path / "feeds.yaml")
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(tmp_path)


def test_a_wrong_topic_file_is_told_by_its_own_name_and_line(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("slug: a\nslug: b\n", encoding="utf-8")
    assert problems(tmp_path, "topics:\n  - file: a.yaml\n  - file: b.yaml") == [
        (2, "slug", "this key stands twice; the first is on line 1"),
        (None, "", f"there is no such file, though {tmp_path / 'feeds.yaml'} names it on line 3"),
    ]


# ------------------------------------------------------------------------------------------- topics


def test_topics_know_their_file_and_lines(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("slug: own\nrules:\n  - any: [x]\n", encoding="utf-8")
    text = (
        "topics:\n  - caribbean-tension\n  - file: own.yaml\n  - slug: here\n    rules:\n      - any: [y]\n"
    )
    pack, own, here = load(tmp_path, text).topics
    assert (pack.file, pack.data["slug"]) == ("caribbean-tension.yaml", "caribbean-tension")
    assert (own.file, own.lines["rules", 0, "any", 0]) == (str(tmp_path / "own.yaml"), 3)
    assert here.data == {"slug": "here", "rules": [{"any": ["y"]}]}
    assert (here.file, here.lines[()], here.lines["rules", 0, "any"]) == (str(tmp_path / "feeds.yaml"), 4, 6)


def test_packs() -> None:
    assert "caribbean-tension" in config.pack_names()
    for name in config.pack_names():
        assert config.pack_document(name).data["slug"] == name
    with pytest.raises(ConfigError, match="did you mean caribbean-tension"):
        config.pack_document("caribean-tension")


# --------------------------------------------------------------------------------------------- YAML


@pytest.fixture(params=["C", "Python"])
def any_loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of PyYAML's parsers; the C one is not in every build."""
    loader = yaml.CSafeLoader if request.param == "C" else yaml.SafeLoader
    monkeypatch.setattr(yaml_document, "LOADER", loader)
    monkeypatch.setattr(config.edit, "LOADER", loader)


@pytest.mark.usefixtures("any_loader")
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("NO", "NO"),
        ("on", "on"),
        ("true", True),
        ("'true'", "true"),
        ("", None),
        ("~", None),
        ("''", ""),
        ("12", 12),
        ("-1.5", -1.5),
        ("012", 12),
        ("1:30", "1:30"),
        ("1e3", "1e3"),
        ("2026-01-31", "2026-01-31"),
        ("9" * 5_000, "9" * 5_000),
        ("=AS", "=AS"),
        ("!!str 7", "7"),
        ("[a, {b: no}]", ["a", {"b": "no"}]),
    ],
)
def test_plain_values(text: str, value: object) -> None:
    data = config.read_document(f"no: {text}", "x").data
    assert data == {"no": value}
    assert type(data["no"]) is type(value)


@pytest.mark.usefixtures("any_loader")
def test_every_value_has_its_line() -> None:
    lines = config.read_document("a:\n  - x\n  - b: 1\n    c:\n      d\n", "x").lines
    assert lines == {(): 1, ("a",): 1, ("a", 0): 2, ("a", 1): 3, ("a", 1, "b"): 3, ("a", 1, "c"): 4}


@given(st.text(alphabet="abé \n\t:-[]{}#'\"&*!|>%@`,?.~\x00\ufeff0123", max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        config.read_document(text, "x")
    except ConfigError as error:
        found = error.problems
    else:
        found = ()
    assert all(problem.line is None or 1 <= problem.line <= text.count("\n") + 1 for problem in found)


# ----------------------------------------------------------------------------------- adding feeds

NEW = "https://new.example/feed"


@pytest.mark.usefixtures("any_loader")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("feeds:\n  - https://a/\n", f"feeds:\n  - https://a/\n  - {NEW}\n", id="list"),
        pytest.param("feeds:\n  - https://a/", f"feeds:\n  - https://a/\n  - {NEW}", id="no line end"),
        pytest.param("feeds:\n- https://a/\n", f"feeds:\n- https://a/\n- {NEW}\n", id="not indented"),
        pytest.param(
            "feeds:\r\n    -   'https://a/'\r\nfetch:\r\n",
            f"feeds:\r\n    -   'https://a/'\r\n    - {NEW}\r\nfetch:\r\n",
            id="CRLF, quotes, wide indentation",
        ),
        pytest.param(
            "# top\nfeeds:  # mine\n  - https://a/  # é\n  # - https://b/\n\n# end\nfetch:\n",
            f"# top\nfeeds:  # mine\n  - https://a/  # é\n  - {NEW}\n  # - https://b/\n\n# end\nfetch:\n",
            id="comments",
        ),
        pytest.param(
            "feeds:\n  - url: https://a/\n    tags:\n      - x\n    name: >\n      A\n      B\n\nfetch:\n",
            f"feeds:\n  - url: https://a/\n    tags:\n      - x\n    name: >\n      A\n      B\n  - {NEW}\n\nfetch:\n",
            id="block",
        ),
        pytest.param(
            "feeds:\n  - {url: 'https://a/',\n     name: A}  # x\n",
            f"feeds:\n  - {{url: 'https://a/',\n     name: A}}  # x\n  - {NEW}\n",
            id="block in braces",
        ),
        pytest.param("feeds: [https://a/]\n", f"feeds: [https://a/, {NEW}]\n", id="brackets"),
        pytest.param(
            "feeds: [\n  https://a/,\n]\n", f"feeds: [\n  https://a/, {NEW},\n]\n", id="brackets over lines"
        ),
        pytest.param(
            "feeds: []  # none\nfetch:\n", f"feeds:  # none\n  - {NEW}\nfetch:\n", id="empty brackets"
        ),
        pytest.param("feeds:\nfetch:\n", f"feeds:\n  - {NEW}\nfetch:\n", id="empty"),
        pytest.param("feeds: null\n", f"feeds:\n  - {NEW}\n", id="null"),
        pytest.param("fetch: {}\n", f"fetch: {{}}\nfeeds:\n  - {NEW}\n", id="no such key"),
        pytest.param("fetch: {}", f"fetch: {{}}\nfeeds:\n  - {NEW}\n", id="no such key, no line end"),
        pytest.param("", f"feeds:\n  - {NEW}\n", id="empty file"),
        pytest.param("# c\n", f"# c\nfeeds:\n  - {NEW}\n", id="only a comment"),
        pytest.param(
            "\ufefffeeds:\n- https://a/\n", f"\ufefffeeds:\n- https://a/\n- {NEW}\n", id="byte order mark"
        ),
        pytest.param('{"feeds": ["https://a/"]}', f'{{"feeds": ["https://a/", "{NEW}"]}}', id="JSON"),
        pytest.param('{"feeds": []}', f'{{"feeds": ["{NEW}"]}}', id="empty JSON list"),
    ],
)
def test_adding_a_feed_changes_nothing_else(tmp_path: Path, before: str, after: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_bytes(before.encode())
    assert config.add_feeds(path, [NEW]) == (NEW,)
    assert path.read_bytes().decode() == after


def test_a_subscription_is_written_as_a_block(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds:\n  - https://a.example/\n", encoding="utf-8")
    full = Subscription(NEW, "Él: 1", "no", ("news", "a, b"), timedelta(minutes=15), enabled=False)
    config.add_feeds(path, [full, Subscription("https://b.example/")])
    assert path.read_text(encoding="utf-8") == (
        "feeds:\n"
        "  - https://a.example/\n"
        f"  - url: {NEW}\n"
        '    name: "Él: 1"\n'
        "    language: no\n"
        '    tags: [news, "a, b"]\n'
        "    every: 15m\n"
        "    enabled: false\n"
        "  - https://b.example/\n"
    )
    assert config.load(path, environ={}).feeds[1] == full


def test_feeds_that_are_there_are_not_added(tmp_path: Path) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text("feeds:\n  - url: https://a.example/\n", encoding="utf-8")
    assert config.add_feeds(path, ["https://A.example/"]) == ()
    assert config.add_feeds(path, [NEW, NEW]) == (NEW,)


@pytest.mark.parametrize(
    ("text", "url", "says"),
    [
        pytest.param("feeds: 3", NEW, "a list is expected", id="no list"),
        pytest.param("- a", NEW, "a list is expected", id="no mapping"),
        pytest.param("feeds: [", NEW, "not YAML", id="no YAML"),
        pytest.param("feeds: []", "new.example", "did you mean https://new.example", id="no address"),
        pytest.param("{}", NEW, "only a person", id="braces without the key"),
        pytest.param("fetch: {}\n...\n", NEW, "only a person", id="document end"),
        pytest.param("feeds:\n  - https://a.example/\n  -\n", NEW, "only a person", id="empty item"),
    ],
)
def test_what_cannot_be_extended_stays_as_it_was(tmp_path: Path, text: str, url: str, says: str) -> None:
    path = tmp_path / "feeds.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says):
        config.add_feeds(path, [url])
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]


def test_mode_and_link_are_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.yaml"
    real.write_text("feeds:\n", encoding="utf-8")
    real.chmod(0o640)
    link = tmp_path / "feeds.yaml"
    link.symlink_to(real)
    config.add_feeds(link, [NEW])
    assert link.is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert NEW in real.read_text(encoding="utf-8")


texts = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=10
).filter(lambda value: value == value.strip())
subscriptions = st.lists(
    st.builds(
        Subscription,
        st.from_regex(r"https://[a-z]{1,6}\.example/[!-~é]{0,8}", fullmatch=True),
        name=st.none() | texts,
        language=st.sampled_from([None, "no", "es"]),
        tags=st.lists(texts, max_size=2).map(tuple),
        every=st.none() | st.integers(1, 10**6).map(lambda seconds: timedelta(seconds=seconds)),
        enabled=st.booleans(),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda subscription: subscription.url.lower(),
)


@given(
    first=subscriptions,
    second=subscriptions,
    start=st.sampled_from(["", "feeds: [ ]", "feeds: [https://a/]", "a:\r\n"]),
)
def test_what_is_added_is_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    first: list[Subscription],
    second: list[Subscription],
    start: str,
) -> None:
    path = tmp_path_factory.mktemp("added") / "feeds.yaml"
    path.write_bytes(start.encode())
    added = [*config.add_feeds(path, first), *config.add_feeds(path, second)]
    text = path.read_bytes().decode()
    data = config.read_document(text, "x").data
    feeds = File.model_validate({"feeds": data["feeds"]}).feeds
    read = {feed.url: Subscription(**vars(feed)) for feed in feeds}
    assert [url for url in read if url != "https://a/"] == added
    assert all(read[wish.url] == wish for wish in [*first, *second][: len(first)])


# -------------------------------------------------------------------- what ships: schema, files, docs


def keys(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every key of the file with its schema, by dotted path; those of a list's items after `[]`."""
    found = {}
    for name, value in schema["properties"].items():
        found[name] = value
        path = f"{name}[]" if "items" in json.dumps(value) else name
        for section in re.findall(r'"#/\$defs/(\w+)"', json.dumps(value)):
            block = schema["$defs"][section]
            block = block["anyOf"][-1] if "anyOf" in block else block
            found |= {f"{path}.{key}": each for key, each in block["properties"].items()}
    return found


def test_every_key_is_described_to_editors() -> None:
    schema = config.schema()
    found = keys(schema)
    assert len(found) >= 30
    assert all(len(value["description"]) > 10 for value in found.values())
    assert schema["additionalProperties"] is False
    assert found["retention"]["default"] == "365d"
    assert schema["$defs"]["Feed"]["anyOf"][0]["type"] == "string"


def test_the_schema_in_the_docs_is_the_one_of_the_code() -> None:
    written = json.loads((ROOT / "docs" / "feeds.schema.json").read_text(encoding="utf-8"))
    assert written == config.schema(), "write it again: json.dumps(aggregator.config.schema(), indent=2)"


def test_every_key_is_in_the_docs_with_its_default() -> None:
    rows = dict(
        re.findall(r"^\| `([^`]+)` \|[^|]+\|([^|]+)\|", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    )
    found = keys(config.schema())
    assert {key for key, value in found.items() if "$ref" not in value} <= set(rows) <= set(found)
    for key, default in rows.items():
        given_default = found[key].get("default")
        if given_default not in (None, [], {}):
            assert default.strip() == f"`{json.dumps(given_default).strip(chr(34))}`"


EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_docs_load(tmp_path: Path, example: str) -> None:
    (tmp_path / "topics").mkdir()
    (tmp_path / "topics" / "fisheries.yaml").write_text("slug: fisheries\n", encoding="utf-8")
    environ = {
        "MEMBERS_FEED": "https://example.org/members",
        "TEAM_LIST": "https://example.org/team.opml",
        "AGGREGATOR_PASSWORD": "a long word",
    }
    assert load(tmp_path, example, environ) != load(tmp_path, "feeds: []")


@pytest.mark.parametrize(
    "path", [ROOT / "feeds.yaml", ROOT / "aggregator" / "samples" / "feeds.yaml"], ids=str
)
def test_the_files_that_ship(tmp_path: Path, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    settings = load(tmp_path, text)
    assert len(settings.feeds) >= 4
    assert [output.name for output in settings.output] == ["caribbean-tension", "all"]
    assert any(feed.url == "https://democrazy.id/" for feed in settings.feeds)
    start = text.index("# retention:")
    shown = re.sub(r"^# ?", "", text[start:], flags=re.MULTILINE)
    shown = re.sub(r"^(public_url| +user_agent).*\n", "", shown, flags=re.MULTILINE)
    assert load(tmp_path, shown) == load(tmp_path, "feeds: []"), (
        "the defaults in the comments are the defaults"
    )


def test_the_starter_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "new" / "feeds.yaml"
    config.starter(path)
    assert config.load(path, environ={}).feeds
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="exists already"):
        config.starter(path)
    assert path.read_text(encoding="utf-8") == "mine"
