"""The journey outward: stored entries become the documents that readers are given, and files in a folder.

Every document is rendered once and kept until the store has changed. Those of the configuration's feeds are all
kept; of those that an address asks for, the last few.
"""

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from aggregator import files, health, trends
from aggregator.errors import QueryError, UnknownError
from aggregator.model import OutputFeed, Selection, Settings, StoredEntry
from aggregator.publish import (
    CURSOR,
    EVERYTHING,
    Channel,
    Format,
    Fragments,
    Place,
    Rendered,
    address,
    conditions,
    index_page,
    ours,
    query_of,
    render,
    title_of,
)
from aggregator.store import ARCHIVE_PAGE, Store
from aggregator.topics import Ruleset

log = logging.getLogger(__name__)

DEFAULT_URL = "http://127.0.0.1:8000"
"""Where readers reach us while nothing else is known."""
FRESH = timedelta(minutes=5), timedelta(hours=1)
"""For how long an answer holds at least and at most: who wants news sooner subscribes at the hub."""
ASKED = 32
"""So many documents that addresses asked for are kept."""


MADE = (health.OUTPUT, trends.OUTPUT)
"""Output feeds that are not selections of entries."""
UNUSUAL_FOR = timedelta(days=365)
"""How long an unusual day stays in its feed."""
LEADING = 5
"""How many stories are named for a day."""


class Outputs:
    """The output feeds of one configuration over one store. May be used from several threads.

    Args:
        store: where the entries are.
        clock: the time.
        version: of the program.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], version: str) -> None:
        self._store = store
        self._clock = clock
        self._version = version
        self._settings = Settings()
        self._titles: Mapping[str, str] = {}
        self._aspects: Mapping[str, tuple[str, ...]] = {}
        self._kept: dict[tuple[str, Format], tuple[int, Rendered]] = {}
        self._asked: OrderedDict[tuple[OutputFeed, str, str | None, Format], tuple[int, Rendered]] = (
            OrderedDict()
        )
        self._fragments = Fragments()
        self._not_ours: set[Path] = set()
        self._rendering = threading.Lock()
        self._asking = threading.Lock()

    def configure(self, settings: Settings, ruleset: Ruleset) -> None:
        """Take over another configuration, and its topics."""
        with self._rendering, self._asking:  # what is being rendered from the old one is forgotten as well
            self._settings = settings
            self._titles = {topic.slug: topic.title for topic in ruleset.topics}
            self._aspects = {
                topic.slug: tuple(aspect.slug for aspect in topic.aspects) for topic in ruleset.topics
            }
            self._forget()

    def serve_at(self, url: str, *, hub: bool = False) -> None:
        """Note where the daemon serves, so that documents written elsewhere name the same address.

        Args:
            url: without a trailing slash.
            hub: there is a WebSub hub at `/hub`, which documents are to name.
        """
        self._store.set_property("served_at", url)
        self._store.set_property("hub", "yes" if hub else "")
        with self._rendering, self._asking:
            self._forget()
        for output in self.feeds():
            # What is written or loaded once is so now: no reader waits for it, a lock, or a full disk.
            self.rendered(output.name, Format.ATOM)

    def _forget(self) -> None:
        self._kept.clear()
        self._asked.clear()

    @property
    def home_url(self) -> str:
        """Where readers reach us, without a trailing slash."""
        return self._settings.public_url or self._store.property("served_at", lambda: DEFAULT_URL)

    @property
    def fresh_for(self) -> timedelta:
        """For how long what we say now is likely to hold: until the next feed is due, within bounds."""
        due = self._store.next_due_at()
        least, most = FRESH
        return most if due is None else min(max(due - self._clock(), least), most)

    # ------------------------------------------------------------------------------- documents

    def feeds(self) -> tuple[OutputFeed, ...]:
        """The output feeds, in the order of the configuration, and those that we make of what we know."""
        return (*self._settings.output, *MADE)

    def feed(self, name: str) -> OutputFeed:
        """The output feed of a name. Raises UnknownError where there is none."""
        for output in self.feeds():
            if output.name == name:
                return output
        names = ", ".join(output.name for output in self.feeds())
        raise UnknownError(f"there is no output feed {name!r}; there are: {names}")

    def select(
        self, output: OutputFeed, *, before: str | None = None
    ) -> tuple[tuple[StoredEntry, ...], str | None]:
        """The newest entries of a feed, and the cursor behind them.

        Raises:
            UnknownError: `before` is no cursor.
            QueryError: conditions narrow a feed that is no selection of entries.
        """
        made = next((each for each in MADE if each.name == output.name), None)
        if made is not None and (before is not None or output != replace(made, limit=output.limit)):
            raise QueryError(f"The feed {output.name} knows no conditions but limit.")
        if output.name == health.OUTPUT.name:
            return tuple(map(health.entry, self._store.feed_events(output.limit))), None
        if output.name == trends.OUTPUT.name:
            return self._unusual_days(output.limit), None
        return self._store.select(output, before=before, limit=output.limit)

    def _unusual_days(self, limit: int) -> tuple[StoredEntry, ...]:
        since = self._clock().date() - UNUSUAL_FOR
        days = [
            (day, title)
            for topic, title in self._titles.items()
            for day in trends.unusual(self._store.trend(topic, first=since))
        ]
        days.sort(key=lambda one: (one[0].day, one[0].topic), reverse=True)
        return tuple(
            trends.entry(day, self._store.leading(day.topic, day.day, limit=LEADING), title, self.home_url)
            for day, title in days[:limit]
        )

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – the domain's word
        """The document of an output feed if it is at hand and still true; never waits."""
        kept = self._kept.get((name, format))
        return kept[1] if kept is not None and kept[0] == self._store.version() else None

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        """The document of an output feed. Raises UnknownError where there is no such feed."""
        with self._rendering:  # one thread renders, the others find it done
            output = self.feed(name)
            channel = self._channel(output)  # the first time it writes, and so makes a new version
            version, kept = self._store.version(), self._kept.get((name, format))
            if kept is not None and kept[0] == version:
                return kept[1]
            entries, older = self.select(output)
            document = self._render(channel, entries, format, Place(None, older), kept and kept[1])
            self._kept[name, format] = version, document
            return document

    def archive(self, name: str, cursor: str, format: Format) -> Rendered:  # noqa: A002
        """An archived document of an output feed (RFC 5005 §4).

        Raises:
            UnknownError: there is no such feed, or `cursor` is none.
        """
        output = self.feed(name)
        if output in MADE:
            raise UnknownError(f"the feed {output.name!r} has no archives")
        return self._once(
            (output, "", cursor, format), lambda _: self._archived(output, cursor, [format])[format]
        )

    def narrowed(self, output: OutputFeed, before: str | None, format: Format) -> Rendered:  # noqa: A002
        """The document of a feed that an address asks for.

        Args:
            output: one of ours under further conditions (see `publish.narrowed`), or one without a name.
            before: a cursor: a page of older entries.
            format: the format.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
            QueryError: the feed has archives instead of pages, or knows no conditions.
        """
        self.check(output)
        base = self.feed(output.name) if output.name else EVERYTHING
        query = query_of(output, base)
        if output.name and not query:  # what it says of itself anyway: this is the feed itself
            if before is not None:
                raise QueryError("Older entries of this feed are in its archives, which its documents name.")
            return self.rendered(output.name, format)

        def make(kept: Rendered | None) -> Rendered:
            entries, older = self.select(output, before=before)
            return self._render(self._channel(output, base), entries, format, Place(before, older), kept)

        return self._once((output, query, before, format), make)

    def topics(self) -> Mapping[str, tuple[str, Format]]:
        """The addresses that can be subscribed to at the hub, each with the feed and the format that it leads to."""
        home = self.home_url + "/"
        names = [output.name for output in self.feeds()]
        return {address(home, name, each): (name, each) for name in names for each in Format}

    def document(self, topic: str) -> Rendered | None:
        """The document at one of these addresses as it is now; None where there is none."""
        found = self.topics().get(topic)
        return None if found is None else self.cached(*found) or self.rendered(*found)

    def check(self, asked: Selection) -> None:
        """See that what somebody asks for is there, so that no wrong word is answered with an empty list.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label.
        """
        if asked.topic is not None and asked.topic not in self._titles:
            topics = ", ".join(self._titles) or "none"
            raise UnknownError(f"there is no topic {asked.topic!r}; there are: {topics}")
        if asked.aspect is not None:
            if asked.topic is None:
                raise UnknownError(f"there is no aspect {asked.aspect!r} without its topic; name that, too")
            if asked.aspect not in (aspects := self._aspects[asked.topic]):
                named = ", ".join(aspects) or "none"
                raise UnknownError(f"the topic {asked.topic} has no aspect {asked.aspect!r}; it has: {named}")
        if asked.feed is not None:
            self._store.find_feeds([asked.feed])
        if asked.tag is not None and asked.tag not in (labels := self._store.labels()):
            raise UnknownError(
                f"no feed has the label {asked.tag!r}; there are: {', '.join(labels) or 'none'}"
            )

    def _once(
        self,
        key: tuple[OutputFeed, str, str | None, Format],
        make: Callable[[Rendered | None], Rendered],
    ) -> Rendered:
        with self._asking:
            version, kept = self._store.version(), self._asked.get(key)
            if kept is None or kept[0] != version:
                kept = self._asked[key] = version, make(kept and kept[1])
            self._asked.move_to_end(key)
            while len(self._asked) > ASKED:
                self._asked.popitem(last=False)
            return kept[1]

    def _render(
        self,
        channel: Channel,
        entries: tuple[StoredEntry, ...],
        format: Format,  # noqa: A002
        place: Place,
        before: Rendered | None = None,
    ) -> Rendered:
        document = render(channel, entries, format, place=place, fragments=self._fragments, before=before)
        # The same bytes: what has been compressed and compared stays.
        return before if before is not None and before.etag == document.etag else document

    def _archived(self, output: OutputFeed, cursor: str, formats: list[Format]) -> dict[Format, Rendered]:
        entries, older, newer = self._store.archive(output, cursor, output.limit)
        place, channel = Place(cursor, older, newer), self._channel(output)
        return {each: self._render(channel, entries, each, place) for each in formats}

    def _channel(self, output: OutputFeed, base: OutputFeed | None = None) -> Channel:
        query = query_of(output, base) if base is not None else ""
        once = "" if output.copies else ", each article once"
        about = conditions(output, self._titles) or "of all feeds"
        description = f"News {about}{once}, with the reason why it is here."
        if output.name == health.OUTPUT.name:
            description = "Feeds that fell silent, fail, moved, are gone, or came back."
        if output.name == trends.OUTPUT.name:
            description = "Days on which the press told far more of a topic than is usual, and of what."
        home, host = self.home_url, urlsplit(self.home_url).hostname or ""
        hub = (f"{home}/hub",) if self._store.property("hub", str) else ()
        return Channel(
            name=output.name,
            title=title_of(output, self._titles, base),
            description=description,
            home_url=home + "/",
            # Kept for ever: with another one every entry would be new to every reader.
            authority=self._store.property(
                "tag_authority", lambda: host if re.search(r"\.[a-z]", host) else "localhost"
            ),
            created_at=datetime.fromisoformat(
                self._store.property("created_at", lambda: self._clock().isoformat(timespec="seconds"))
            ),
            version=self._version,
            topics=self._titles,
            query=query,
            copies=output.copies,
            language=output.language,
            hubs=() if query or not output.name else self._settings.push.hubs or hub,
            icon_url=f"{home}/static/icon.svg",
        )

    # ----------------------------------------------------------------------------------- files

    def publish(self, folder: Path, *, whole: bool = True) -> tuple[tuple[Path, bool], ...]:
        """Write every output feed in every format, its archives, and a page that lists the feeds.

        The files are what `/feeds/` serves, byte for byte. Archives are written from the oldest on, so whatever
        breaks it off, those that are there hang together. A file that is not of our making is left as it is, and the
        log says so once.

        Args:
            folder: where to; it may hold other files.
            whole: look at every archive, for entries are revised, removed, and found to be copies of each other;
                else only write those that are missing, which is what news ask for.

        Returns:
            The files, and whether each one changed.
        """
        written = [
            (path, self._replace(path, body))
            for output in self.feeds()
            for path, body in self._files(folder, output, whole=whole)
        ]
        index = folder / "index.html"
        written.append(
            (index, self._replace(index, index_page([self._channel(each) for each in self.feeds()])))
        )
        return tuple(written)

    def _replace(self, path: Path, body: bytes) -> bool:
        if path.is_file() and not ours(path.read_bytes()):
            if path not in self._not_ours:
                log.warning("%s is not of our making and stays as it is: move it, and it is written", path)
                self._not_ours.add(path)
            return False
        return files.replace(path, body)

    def _files(self, folder: Path, output: OutputFeed, *, whole: bool) -> Iterator[tuple[Path, bytes]]:
        archive = folder / output.name / "archive"
        newest, cursor = self.select(output)
        place, channel = Place(None, cursor), self._channel(output)
        cursors: list[str] = []
        known = False
        while cursor is not None and (whole or not known):
            # The first one that is there may have got a newer neighbour, which it is to name.
            known = (archive / f"{cursor}.{Format.ATOM}").exists()
            cursors.append(cursor)
            cursor = self._store.archive_behind(output, cursor)
        for each in reversed(cursors):
            for format, document in self._archived(output, each, list(Format)).items():  # noqa: A001
                yield archive / f"{each}.{format}", document.body
        for format in Format:  # noqa: A001
            yield folder / f"{output.name}.{format}", self._render(channel, newest, format, place).body
        for path in archive.glob("*Z-*.*"):
            if path.stem in cursors or not re.fullmatch(CURSOR, path.stem):
                continue
            # The page next to the newest entries begins at another one each time.
            passing = whole or int(path.stem.rpartition("-")[2]) % ARCHIVE_PAGE
            if passing and ours(path.read_bytes()):
                path.unlink(missing_ok=True)
