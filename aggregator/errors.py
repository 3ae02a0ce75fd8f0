"""Every exception that a user may come to read, in one tree; what a room raises and catches itself stays there.

    AggregatorError
    ├── ConfigError      feeds.yaml or a topic file cannot be used; carries every Problem found
    ├── UnknownError     a feed, entry, topic or output feed that was asked for does not exist
    ├── ParseError       a document is not a feed that can be read
    ├── StoreError       the database cannot be opened, read or written
    │   └── StoreBusyError  another program holds the database for longer than we wait
    ├── QueryError       a question, in SQL or in an address, cannot be answered as it is put
    ├── MissingError     a package that only this use needs is not installed
    └── ServeError       the server cannot be started as asked

A poll that fails is not an exception: it is a `model.FetchFailure`, a value like any other.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AggregatorError(Exception):
    """Base of all errors a user may have to act on; `str(error)` is written for them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file, and what would be right.

    Attributes:
        file: the file's name as the user gave it.
        line: line number from 1, or None where the problem has no place.
        key: the dotted path of the setting, such as `fetch.per_host`; empty for the whole file.
        message: what is wrong and what would be right, in one sentence.
    """

    file: str
    line: int | None
    key: str
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"


class ConfigError(AggregatorError):
    """The configuration cannot be used. `problems` holds all that was found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UnknownError(AggregatorError):
    """What was asked for does not exist."""


class ParseError(AggregatorError):
    """A document is not a feed that can be read; the message says what it seems to be."""


class StoreError(AggregatorError):
    """The database cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Another program holds the database for longer than we wait."""


class ServeError(AggregatorError):
    """The server cannot be started as asked."""


class MissingError(AggregatorError):
    """A package that only this use needs is not installed; the message says how to get it."""


class QueryError(AggregatorError):
    """A question, in SQL or in an address, cannot be answered as it is put; the message says why."""
