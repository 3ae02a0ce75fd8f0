"""feeds.yaml and the environment, read into `Settings`; and feeds.yaml extended without disturbing it.

Reading has three steps, and each finds every problem it can: YAML into plain data that knows its lines
(`document`), plain data into checked values (`shape`), checked values into `Settings` (here). `edit` writes.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aggregator import model
from aggregator.config.document import read_document, read_leniently, read_text
from aggregator.config.edit import add_feeds, starter
from aggregator.config.shape import (
    MADE,
    File,
    describe,
    kind,
    nearest,
    password,
    same,
    schema,
    sqlite_path,
)
from aggregator.errors import ConfigError, Problem
from aggregator.model import (
    Document,
    FetchSettings,
    OutputFeed,
    PushSettings,
    RemoteList,
    Settings,
    Subscription,
    WebSettings,
)

__all__ = [
    "add_feeds", "load", "nearest", "pack_document", "pack_names", "password", "problem", "read_document", "schema",
    "starter",
]  # fmt: skip

_PACKS = Path(__file__).parents[1] / "topics" / "packs"  # importlib.resources would cost every start 20 ms


def load(path: Path, *, db: str | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Reads feeds.yaml, and the topic packs and files it names.

    Args:
        path: the file; relative paths in it begin at its folder.
        db: the database the command line asks for. It wins over `AGGREGATOR_DB`, and that over the file;
            relative paths in these two begin at the working directory.
        environ: where `env:NAME` values and `AGGREGATOR_DB` come from.

    Raises:
        ConfigError: with every problem of every file, and what would be right. What is within a topic is
            not judged here, apart from its slug.
    """
    text = read_text(path, "there is no such file; `aggregator init` writes one to begin with")
    document, problems = read_leniently(text, str(path))
    if document.data is None:
        raise ConfigError(
            [*problems, document.problem((), "the file is empty; it needs a list `feeds:` at least")]
        )
    secrets: dict[model.Path, str] = {}
    if "env:" in text:
        document, unset = _resolve(document, environ, secrets)
        problems += unset
    file = None
    try:
        file = File.model_validate(document.data)
    except ValidationError as error:
        problems += _wrong_values(document, error, secrets)
    stated = None if file is None else file.web.password
    if stated is not None and ("web", "password") not in secrets and not stated.startswith("env:"):
        advice = (
            "a password never stands in the file: write env:NAME, and set the variable NAME before the start"
        )
        problems.append(document.problem(("web", "password"), advice))
    topics, wrong_topics = _topics(document, path.parent)
    problems += [*wrong_topics, *_contradictions(document, topics)]
    source, given = ("--db", db) if db else ("AGGREGATOR_DB", environ.get("AGGREGATOR_DB"))
    try:
        given = given and sqlite_path(given)
    except ValueError as error:
        problems.append(Problem(source, None, "", str(error)))
    if problems or file is None:
        raise ConfigError(sorted(problems, key=lambda p: (p.file != document.file, p.file, p.line or 0)))
    return Settings(
        feeds=tuple(Subscription(**vars(feed)) for feed in file.feeds),
        lists=tuple(RemoteList(**vars(each)) for each in file.lists),
        topics=tuple(topics.values()),
        output=_usual_output(topics)
        if file.output is None
        else tuple(OutputFeed(**vars(o)) for o in file.output),
        publish_dir=_absolute(file.publish.dir, path.parent) if file.publish.dir else None,
        fetch=FetchSettings(**vars(file.fetch)),
        push=PushSettings(**vars(file.push)),
        web=WebSettings(**vars(file.web)),
        baseline=file.trend.baseline,
        retention=file.retention,
        database=_absolute(given, Path.cwd()) if given else _absolute(file.database, path.parent),
        public_url=file.public_url,
    )


def problem(path: Path, place: model.Path, message: str) -> Problem:
    """What only others can tell to be wrong in a file that has been read, with its line."""
    return read_leniently(read_text(path, "there is no such file any more"), str(path))[0].problem(
        place, message
    )


def _resolve(
    document: Document, environ: Mapping[str, str], secrets: dict[model.Path, str]
) -> tuple[Document, list[Problem]]:
    """The document with every `env:NAME` outside topics replaced, and the variables that are not set.

    `secrets` learns where values went, so that no message shows one.
    """
    unset: list[Problem] = []

    def resolved(value: Any, path: model.Path) -> Any:
        if isinstance(value, dict):
            return {key: resolved(item, (*path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return (
                [resolved(item, (*path, at)) for at, item in enumerate(value)]
                if path != ("topics",)
                else value
            )
        if not isinstance(value, str) or not value.startswith("env:"):
            return value
        name = value.removeprefix("env:").strip()
        if not environ.get(name):
            what = (
                f"the variable {name} is empty"
                if name in environ
                else f"the environment has no variable {name}"
            )
            unset.append(document.problem(path, f"{what}; set it before the start"))
            return value
        secrets[path] = value
        return environ[name]

    return Document(document.file, resolved(document.data, ()), document.lines), unset


def _wrong_values(
    document: Document, error: ValidationError, secrets: Mapping[model.Path, str]
) -> Iterator[Problem]:
    for details in error.errors(include_url=False):
        if isinstance(details["input"], str) and details["input"].startswith("env:"):
            continue  # not set, which has been said
        path = details["loc"]
        message = describe(details)
        for place, reference in secrets.items():
            if path[: len(place)] == place:  # what was perhaps meant would tell what stands there
                message = f"in the value of {reference}: {message.partition('; did you mean ')[0]}"
        yield document.problem(path, message)


def _contradictions(document: Document, topics: Mapping[str, Document]) -> Iterator[Problem]:
    """What is wrong between values that are right on their own."""

    def listed(section: str, key: str) -> Iterator[tuple[model.Path, str]]:
        for at, item in enumerate(_items(document, section)):
            value = item.get(key) if isinstance(item, dict) else item if key == "url" else None
            if isinstance(value, str):
                yield (section, at), value

    for section, key, what in (
        ("feeds", "url", "this feed"),
        ("lists", "url", "this list"),
        ("output", "name", "this name"),
    ):
        first: dict[str, model.Path] = {}
        for path, value in listed(section, key):
            before = first.setdefault(same(value), path)
            if before != path:
                message = f"{what} stands twice; the first is on line {document.lines[before]}"
                yield document.problem(path, message)
    for path, slug in listed("output", "topic"):
        if slug not in topics:
            message = f"there is no topic with this slug; {nearest(slug, topics, 'topics')}"
            yield document.problem((*path, "topic"), message)
    for path, aspect in listed("output", "aspect"):
        slug = document.data["output"][path[1]].get("topic")
        if not slug:
            yield document.problem((*path, "aspect"), "an aspect belongs to a topic; name it with `topic:`")
        elif isinstance(slug, str) and slug in topics and aspect not in (aspects := _aspects(topics[slug])):
            message = f"the topic {slug} has no such aspect; {nearest(aspect, aspects, 'aspects')}"
            yield document.problem((*path, "aspect"), message)


def _aspects(topic: Document) -> tuple[str, ...]:
    aspects = topic.data.get("aspects")
    return tuple(aspects) if isinstance(aspects, dict) else ()


def _items(document: Document, section: str) -> list[Any]:
    """The items of a list in the file, as far as it is one."""
    items = document.data.get(section) if isinstance(document.data, dict) else None
    return items if isinstance(items, list) else []


def _usual_output(topics: Mapping[str, Document]) -> tuple[OutputFeed, ...]:
    names = {slug: f"{slug}-news" if slug in MADE else slug for slug in topics}  # that name is taken
    return (*(OutputFeed(names[slug], topic=slug) for slug in topics if slug != "all"), OutputFeed("all"))


def _absolute(path: str, folder: Path) -> str:
    return str((folder / Path(path).expanduser()).absolute())


# --------------------------------------------------------------------------------- topic documents


def pack_names() -> tuple[str, ...]:
    """The names of the topic packs that ship with the package."""
    return tuple(sorted(file.stem for file in _PACKS.glob("*.yaml")))


def pack_document(name: str) -> Document:
    """A topic pack that ships with the package.

    Raises:
        ConfigError: there is none of that name.
    """
    packs = pack_names()
    if name not in packs:
        raise ConfigError(
            [Problem(name, None, "", f"there is no such topic pack; {nearest(name, packs, 'packs')}")]
        )
    return read_document((_PACKS / f"{name}.yaml").read_text(encoding="utf-8"), f"{name}.yaml")


def _topics(document: Document, folder: Path) -> tuple[dict[str, Document], list[Problem]]:
    """The topics that the file names or holds, by slug."""
    topics: dict[str, Document] = {}
    problems: list[Problem] = []
    for at, item in enumerate(_items(document, "topics")):
        path = ("topics", at)
        try:
            topic = _topic(document, path, item, folder)
        except ConfigError as error:
            problems += error.problems
            continue
        slug = topic.data.get("slug") if isinstance(topic.data, dict) else None
        if not isinstance(slug, str) or not slug:
            problems.append(
                topic.problem((), "a topic needs a `slug:`, the name its output feed is served under")
            )
        elif slug in topics:
            problems.append(document.problem(path, f"there is a topic with the slug {slug} already"))
        else:
            topics[slug] = topic
    return topics, problems


def _topic(document: Document, path: model.Path, item: object, folder: Path) -> Document:
    packs = pack_names()
    match item:
        case str() if item in packs:
            return pack_document(item)
        case str() if re.search(r"\.ya?ml$|/", item):
            message = f"the name of a topic pack stands here without a path; a file is written `file: {item}`"
        case str():
            message = f"there is no topic pack {item}; {nearest(item, packs, 'packs')}"
        case {"file": str(name), **rest} if not rest:
            own = folder / name
            missing = f"there is no such file, though {document.file} names it on line {document.lines[path]}"
            return read_document(read_text(own, missing), str(own))
        case {"file": _}:
            message = "a topic file is named by the one key `file:` and its path"
        case dict():
            return _part(document, path)
        case _:
            message = f"a topic is the name of a pack, `file: path` or a block of rules, not {kind(item)}"
    raise ConfigError([document.problem(path, message)])


def _part(document: Document, path: model.Path) -> Document:
    """The value at `path` as a document of its own, with the lines it has in the whole."""
    data = document.data
    for key in path:
        data = data[key]
    lines = {place[len(path) :]: line for place, line in document.lines.items() if place[: len(path)] == path}
    return Document(document.file, data, lines)
