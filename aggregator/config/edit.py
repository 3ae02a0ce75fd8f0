"""feeds.yaml written: the starter, and feeds added to a file that a person keeps."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from aggregator import files
from aggregator.config.document import BOM, LOADER, read_document, read_text
from aggregator.config.shape import Feed, describe, same, spell
from aggregator.errors import ConfigError, Problem
from aggregator.model import Subscription

_STARTER = Path(__file__).parents[1] / "samples" / "feeds.yaml"
_UNQUOTED = re.compile(
    r"""https?://(?:[^\s,\[\]{}:]|:(?=\w))+   # an address
    | \d+(?:\.\d+)?[smhd]                     # a time
    | (?!(?:null|true|false)$)[^\W\d_](?:[\w.\ -]*\w)?  # words
    """,
    re.IGNORECASE | re.VERBOSE,
)

Entry = str | dict[str, Any]
"""A feed as the file has it: its address, or a block of keys."""


def starter(path: Path) -> None:
    """Writes the commented feeds.yaml that one begins with.

    Raises:
        ConfigError: something stands at `path` already, or it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(_STARTER.read_bytes())
    except FileExistsError:
        raise _refusal(path, "this exists already and is left as it is") from None
    except OSError as error:
        raise _refusal(path, f"it cannot be written: {error.strerror}") from None


def add_feeds(path: Path, feeds: Sequence[str | Subscription]) -> tuple[str, ...]:
    """Adds feeds at the end of the file's list; every other character of the file stays what it is.

    Args:
        path: the file.
        feeds: addresses, or subscriptions where there is more to write than the address.

    Returns:
        The addresses that were added: those that were not there yet.

    Raises:
        ConfigError: the file is not YAML, an address is none, or the list is written in a way that
            cannot be extended safely. The file is then as it was.
    """
    whole = read_text(path, "there is no such file; `aggregator init` writes one to begin with")
    text = whole.removeprefix(BOM)
    before = read_document(text, str(path))
    data = {} if before.data is None else before.data
    listed = (data.get("feeds") or []) if isinstance(data, dict) else None
    if not isinstance(listed, list):
        raise ConfigError(
            [before.problem(("feeds",), "a list is expected here before feeds can be added to it")]
        )
    present = {same(str(feed.get("url") if isinstance(feed, dict) else feed)) for feed in listed}
    entries: dict[str, Entry] = {}
    for feed in feeds:
        entry = _entry(Subscription(feed) if isinstance(feed, str) else feed)
        if same(entry["url"]) not in present:
            present.add(same(entry["url"]))
            entries[entry["url"]] = entry if len(entry) > 1 else entry["url"]
    if not entries:
        return ()
    longer = _extended(text, list(entries.values()))
    try:
        written = None if longer is None else read_document(longer, "").data
    except ConfigError:
        written = None
    if longer is None or written != {**data, "feeds": [*listed, *entries.values()]}:
        message = "nothing was added: this list is written in a way that only a person can extend"
        raise ConfigError([before.problem(("feeds",), message)])
    try:
        files.replace(path, (whole.removesuffix(text) + longer).encode())
    except OSError as error:
        raise _refusal(path, f"it cannot be written: {error.strerror}") from None
    return tuple(entries)


def _refusal(path: Path, message: str) -> ConfigError:
    return ConfigError([Problem(str(path), None, "", message)])


def _entry(feed: Subscription) -> dict[str, Any]:
    """A subscription as the file has it, without what goes without saying."""
    values = {
        "url": feed.url,
        "name": feed.name,
        "language": feed.language,
        "tags": list(feed.tags) or None,
        "every": None if feed.every is None else spell(feed.every),
        "enabled": None if feed.enabled else False,
    }
    entry = {key: value for key, value in values.items() if value is not None}
    try:
        Feed.model_validate(entry)
    except ValidationError as error:
        problems = (
            Problem(feed.url, None, str(found["loc"][0]), describe(found)) for found in error.errors()
        )
        raise ConfigError(list(problems)) from None
    return entry


def _extended(text: str, entries: Sequence[Entry]) -> str | None:
    """`text` with the entries added to its feeds; None where there is no place for them.

    The parse events say where values begin and end; the caller reads the result again, so that a form
    of YAML nobody thought of here is refused and never spoiled.
    """
    line_end = "\r\n" if "\r\n" in text else "\n"
    events: Iterator[Any] = yaml.parse(text, Loader=LOADER)
    root: Any = next(filter(_is_node, events), None)
    key, value = root, list[Any]()
    while root and isinstance(key := next(events), yaml.ScalarEvent):
        value = list(_one_value(events))
        if key.value == "feeds":
            break
    else:
        value = []
    margin = " " * root.start_mark.column if root else ""
    braces = getattr(root, "flow_style", False)
    if not value:  # no such key
        opening = line_end if text and not text.endswith("\n") else ""
        block = _block(entries, f"{margin}  ", line_end)
        return None if braces else f"{text}{opening}{margin}feeds:{block}{line_end}"
    first, last = value[0], value[-1]
    in_brackets = isinstance(first, yaml.SequenceStartEvent) and first.flow_style
    if in_brackets and (braces or len(value) > 2):
        at = value[-2].end_mark.index
        comma = ", " if len(value) > 2 else ""
        return (
            text[:at]
            + comma
            + ", ".join(_json(entry) if braces else _inline(entry) for entry in entries)
            + text[at:]
        )
    if braces:
        return None
    if in_brackets or len(value) == 1:  # `feeds: []` or `feeds:` becomes a list of lines
        text = text[: first.start_mark.index].rstrip(" ") + text[last.end_mark.index :]
        at, indent = key.end_mark.index, f"{margin}  "
    else:
        # The end of a block lies after the comments that follow it; that of its last word or bracket does not.
        leaf = next(event for event in reversed(value) if event.end_mark.index > event.start_mark.index)
        at, indent = len(text[: leaf.end_mark.index].rstrip()), " " * first.start_mark.column
    row = re.compile(r"[^\r\n]*").match(text, at)
    at = row.end() if row else len(text)
    return text[:at] + _block(entries, indent, line_end) + text[at:]


def _is_node(event: object) -> bool:
    return isinstance(event, yaml.NodeEvent)


def _one_value(events: Iterator[Any]) -> Iterator[Any]:
    """The events of the next value."""
    depth = 0
    for event in events:
        yield event
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth == 0:
            return


def _block(entries: Sequence[Entry], indent: str, line_end: str) -> str:
    """The entries as lines, each begun with a line end."""
    lines: list[str] = []
    for entry in entries:
        keys = (
            [_inline(entry)] if isinstance(entry, str) else [f"{k}: {_inline(v)}" for k, v in entry.items()]
        )
        lines += [f"{indent}- {keys[0]}", *(f"{indent}  {key}" for key in keys[1:])]
    return "".join(line_end + line for line in lines)


def _inline(value: Any) -> str:
    """A value on one line: without quotes where they are not needed, else as JSON, which YAML can read."""
    if isinstance(value, str) and _UNQUOTED.fullmatch(value):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_inline(item)}" for key, item in value.items()) + "}"
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
