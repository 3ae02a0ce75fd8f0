"""YAML read into plain data that knows its lines.

It is YAML 1.2's core schema (§10.3.2) without its surprises: `no` is a text, so are dates and `1:30`, and keys
are always texts. Aliases are refused: a few lines of them can stand for gigabytes.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from aggregator import model
from aggregator.errors import ConfigError, Problem
from aggregator.model import Document

BOM = "\ufeff"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # not every build of PyYAML has the C one
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]{1,18}|[0-9]{1,18}\.[0-9]{0,18})")
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
_DEPTH = 50


def read_text(path: Path, missing: str) -> str:
    """A file's text, a byte order mark included.

    Args:
        path: the file.
        missing: what to say when it does not exist.

    Raises:
        ConfigError: it cannot be read, or is not UTF-8.
    """

    def problem(message: str, line: int | None = None) -> ConfigError:
        return ConfigError([Problem(str(path), line, "", message)])

    try:
        body = path.read_bytes()
    except FileNotFoundError:
        raise problem(missing) from None
    except OSError as error:
        raise problem(f"it cannot be read: {error.strerror}") from None
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        message = f"byte 0x{body[error.start]:02X} is not UTF-8; save the file in that encoding"
        raise problem(message, line) from None


def read_document(text: str, file: str) -> Document:
    """Reads YAML into plain data that knows its lines.

    Args:
        text: the document; an empty one gives None.
        file: its name, for messages.

    Raises:
        ConfigError: it is not YAML, or has what is refused here: duplicate keys, aliases, tags.
    """
    document, problems = read_leniently(text, file)
    if problems:
        raise ConfigError(problems)
    return document


def read_leniently(text: str, file: str) -> tuple[Document, list[Problem]]:
    """Like `read_document`, but returns problems that leave the document readable, to be told with others.

    Raises:
        ConfigError: it is not YAML.
    """
    reader = _Reader(text.removeprefix(BOM), file)
    try:
        data = reader.document()
    except yaml.YAMLError as error:
        raise ConfigError([*reader.problems, reader.syntax_problem(error)]) from None
    return Document(file, data, reader.lines), reader.problems


class _Reader:
    """One pass over a document's parse events, which cost a third of PyYAML's nodes."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.lines: dict[model.Path, int] = {}
        self.problems: list[Problem] = []
        self.events: Iterator[Any] = yaml.parse(text, Loader=LOADER)

    def document(self) -> Any:
        """The data of the first document; there should be no second."""
        data = None
        for event in self.events:
            if not isinstance(event, yaml.DocumentStartEvent):
                continue
            if () in self.lines:
                self.refuse(event, (), "a second document begins here; a file holds one")
                break
            data = self.value(next(self.events), ())
        return data

    def value(self, event: Any, path: model.Path) -> Any:
        """The value that `event` begins."""
        self.lines.setdefault(path, event.start_mark.line + 1)
        if isinstance(event, yaml.AliasEvent):
            self.refuse(
                event, path, f"aliases such as *{event.anchor} are not used here; write the value out"
            )
            return None
        if event.tag not in (None, "!", "tag:yaml.org,2002:str"):
            self.refuse(
                event, path, "tags such as !!int or !include are not used here; write the plain value"
            )
        if isinstance(event, yaml.ScalarEvent):
            return _plain(event.value) if event.implicit[0] else event.value
        if len(path) > _DEPTH:
            self.give_up(event, f"this is more than {_DEPTH} levels deep")
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Any] = []
            while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
                items.append(self.value(event, (*path, len(items))))
            return items
        mapping: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.give_up(event, "a key is a plain word here")
            place = (*path, event.value)
            if event.value in mapping:
                self.refuse(event, place, f"this key stands twice; the first is on line {self.lines[place]}")
            self.lines[place] = event.start_mark.line + 1
            mapping[event.value] = self.value(next(self.events), place)
        return mapping

    def refuse(self, event: Any, path: model.Path, message: str) -> None:
        """Notes a problem, and reading goes on."""
        key = Document(self.file, None).problem(path, "").key
        self.problems.append(Problem(self.file, event.start_mark.line + 1, key, message))

    def give_up(self, event: Any, message: str) -> None:
        """Ends the reading here."""
        raise ConfigError([*self.problems, Problem(self.file, event.start_mark.line + 1, "", message)])

    def syntax_problem(self, error: yaml.YAMLError) -> Problem:
        """What the parser complains of, in words that help someone who does not know YAML's grammar."""
        if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
            found = _UNPRINTABLE.search(self.text)
            line = self.text.count("\n", 0, found.start()) + 1 if found else None
            return Problem(self.file, line, "", "a control character stands here; delete it")
        rows = self.text.split("\n")
        at_end = "end of stream" in str(error.problem)  # what is missing there belongs to where it began
        mark = (error.context_mark if at_end else None) or error.problem_mark
        line = min(mark.line + 1, len(rows))
        indentation = re.match(r"\s*", rows[line - 1])
        if indentation and "\t" in indentation[0]:
            message = "a tab begins this line; YAML is indented with spaces"
        elif str(error.problem).startswith("mapping values are not allowed"):
            message = "this is not YAML: a text that contains `: ` needs quotes, and each key its own line"
        else:
            message = f"this is not YAML: {error.problem}"
            if error.context and error.context_mark and error.context_mark.line + 1 < line:
                message += f" {error.context} that begins on line {error.context_mark.line + 1}"
            message += "; look for a missing quote or bracket, or a wrong indentation"
        return Problem(self.file, line, "", message)


def _plain(value: str) -> Any:
    """What an unquoted scalar means."""
    if value in _WORDS:
        return _WORDS[value]
    if value[0] in "+-.0123456789":
        if _INT.fullmatch(value):
            return int(value)
        if _FLOAT.fullmatch(value):
            return float(value)
    return value
