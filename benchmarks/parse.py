"""How our parser agrees with feedparser over a folder of feed documents, and what each costs.

    python -m benchmarks.parse FOLDER [--differences]

Agreement is counted over files (number of entries) and over entries (guid, title, link, publication date) of the
files whose numbers of entries are equal. JSON feeds are left out: feedparser does not read them. What only we
can read, such as a date in Indonesian, is no disagreement.
"""

import argparse
import logging
import sys
import warnings
from calendar import timegm
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from logging.handlers import BufferingHandler
from pathlib import Path
from time import perf_counter
from typing import Any

import feedparser

from aggregator import parse as ours
from aggregator.errors import ParseError
from aggregator.model import EntryData, ParsedFeed
from aggregator.text import link, plain_line

URL = "https://feed.example/feed.xml"
FIELDS = ("guid", "title", "link", "date")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that the two read differently."""

    file: str
    what: str
    ours: str
    theirs: str


@dataclass(slots=True)
class Agreement:
    """What was compared, and what came out.

    Attributes:
        compared: how many there were of `files` and of each of `FIELDS`.
        differences: those that differ.
        fast: files that were read as they are; repaired: after repair; loose: by feedparser in the end.
        seconds, their_seconds: time spent in each parser.
        size: bytes of all documents.
    """

    compared: Counter[str] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)
    fast: int = 0
    repaired: int = 0
    loose: int = 0
    seconds: float = 0.0
    their_seconds: float = 0.0
    size: int = 0

    def share(self, what: str) -> float:
        """The share of `files` or of one of `FIELDS` that agrees."""
        differing = sum(difference.what == what for difference in self.differences)
        return 1 - differing / max(1, self.compared[what])


def compare(paths: list[Path]) -> Agreement:
    """Read every document both ways."""
    agreement = Agreement()
    told = BufferingHandler(1000)  # by which way, ours tells those who look closely
    log = logging.getLogger("aggregator.parse")
    log.addHandler(told)
    log.setLevel(logging.DEBUG)
    for path in paths:
        body = path.read_bytes()
        if body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in b"{[":
            continue
        start = perf_counter()
        try:
            mine: ParsedFeed | None = ours.parse(body, url=URL)
        except ParseError:
            mine = None
        middle = perf_counter()
        with warnings.catch_warnings(action="ignore"):
            theirs = feedparser.parse(body)
        agreement.seconds += middle - start
        agreement.their_seconds += perf_counter() - middle
        agreement.size += len(body)
        if mine is not None:
            _count_way(agreement, " ".join(record.getMessage() for record in told.buffer))
        told.flush()
        agreement.compared["files"] += 1
        entries = mine.entries if mine else ()
        if len(entries) != len(theirs.entries):
            agreement.differences.append(
                Difference(path.name, "files", f"{len(entries)} entries", f"{len(theirs.entries)} entries")
            )
            continue
        for entry, other in zip(entries, theirs.entries, strict=True):
            agreement.compared.update(FIELDS)
            agreement.differences += (
                Difference(path.name, *difference) for difference in differences(entry, dict(other))
            )
    log.removeHandler(told)
    log.setLevel(logging.NOTSET)
    return agreement


def _count_way(agreement: Agreement, told: str) -> None:
    if "beyond repair" in told:
        agreement.loose += 1
    elif "not well-formed" in told:
        agreement.repaired += 1
    else:
        agreement.fast += 1


def differences(entry: EntryData, other: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What the two say differently of one entry: field, ours, theirs."""
    guid = str(other.get("id", "")).strip()
    if (entry.guid or "") != guid and link(entry.guid or "", URL) != link(guid, URL):
        yield "guid", str(entry.guid), guid
    title = plain_line(other.get("title", ""))
    if entry.title != title and (title or "title" in other):
        yield "title", entry.title, title
    address = other.get("link", "")
    if entry.url != link(address, URL) and link(address, URL) is not None:
        yield "link", str(entry.url), address
    stamp = other.get("published_parsed") or (
        other.get("updated_parsed") if "published" not in other else None
    )
    if stamp:
        theirs = datetime.fromtimestamp(timegm(stamp), UTC)
        if theirs not in (entry.published_at, entry.updated_at if "published" not in other else None):
            yield (
                "date",
                str(entry.published_at),
                f"{theirs} from {other.get('published') or other.get('updated')}",
            )


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison; 1 if anything agrees less than 99 %."""
    parser = argparse.ArgumentParser(prog="benchmarks.parse", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--differences", action="store_true", help="print every difference")
    options = parser.parse_args(arguments)
    agreement = compare(sorted(path for path in options.folder.iterdir() if path.is_file()))
    for difference in agreement.differences if options.differences else ():
        print(
            f"{difference.what:6} {difference.file}: {difference.ours[:150]!r}, not {difference.theirs[:150]!r}"
        )
    for what in ("files", *FIELDS):
        print(f"{what:6} {agreement.share(what):8.2%} of {agreement.compared[what]:,}")
    files = max(1, agreement.compared["files"])
    print(f"as they are {agreement.fast}, repaired {agreement.repaired}, by feedparser {agreement.loose}")
    print(
        f"{agreement.size / files / 1000:.0f} kB a document: ours {agreement.seconds / files * 1000:.2f} ms,"
        f" feedparser {agreement.their_seconds / files * 1000:.1f} ms"
    )
    return 0 if all(agreement.share(what) >= 0.99 for what in ("files", *FIELDS)) else 1


if __name__ == "__main__":
    sys.exit(main())
