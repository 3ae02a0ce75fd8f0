"""The façade: every use case that a face needs. It wires the doors together and owns the clock."""

import logging
import re
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from aggregator import cadence, config, files, health, poll
from aggregator.errors import ConfigError, Problem, StoreError, UnknownError
from aggregator.fetch import Fetcher
from aggregator.model import (
    EntryText,
    FeedReport,
    FeedStatus,
    FetchFailure,
    Health,
    Hit,
    Match,
    OutputFeed,
    Overview,
    ParsedFeed,
    PollOutcome,
    Settings,
    StoredEntry,
    Tag,
)
from aggregator.publish import Channel, Format, Rendered, render, title_of
from aggregator.store import Recorded, SubscriptionChanges, open_store
from aggregator.text import masked
from aggregator.topics import Explanation, Quality, Ruleset, compile_topics, evaluate

log = logging.getLogger(__name__)

VERSION = installed_version("aggregator")
DEFAULT_URL = "http://127.0.0.1:8000"
"""Where readers reach us while nothing else is known."""
LATE = timedelta(minutes=15)
"""A feed that has been due for so long says that polling does not keep up."""
PAGE = 500
"""Entries that are walked over at a time."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Retagging:
    """What other rules make of one entry: tags as `topic` or `topic/aspect`."""

    entry: StoredEntry
    gained: tuple[str, ...]
    lost: tuple[str, ...]


class Aggregator:
    """All use cases over one configuration and one store. Close it, or use it as a context manager.

    Its methods may be called from several threads; those that block say nothing special, for all do
    but `cached` and the asynchronous ones.

    Args:
        settings: a valid configuration.
        clock: the time.

    Raises:
        ConfigError: a topic's rules cannot be used.
        StoreError: the database cannot be opened.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.ruleset = compiled(settings)
        self.store = open_store(settings.database)
        self.heartbeat_at: datetime | None = None
        """When the daemon last looked for due feeds; None where there is no daemon."""
        self._rendered: dict[tuple[str, Format], tuple[int, Rendered]] = {}
        self._rendering = threading.Lock()

    @classmethod
    def open(cls, path: Path, *, db: str | None = None) -> Self:
        """Open what a configuration file describes; `db` stands in for its database."""
        return cls(config.load(path, db=db))

    def close(self) -> None:
        """Close the store."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------- configuration

    def subscribe(self, *, dry_run: bool = False) -> SubscriptionChanges:
        """Bring the store in line with the configuration; with `dry_run` only tell what would change."""
        changes = self.store.subscribe(self.settings.feeds, self.clock(), dry_run=dry_run)
        stale = self.stale_topics()
        if stale and not dry_run:
            if self.store.is_empty():
                self._retagged()
            else:
                self.store.mixed(stale)
                log.warning(
                    "the rules of %s have changed since the stored entries were tagged; "
                    "`aggregator topics backtest` shows what would change, `aggregator topics retag` applies it",
                    ", ".join(stale),
                )
        return changes

    def reconfigure(self, settings: Settings) -> SubscriptionChanges:
        """Take over another configuration while running; the database stays the one that is open.

        Raises:
            ConfigError: a topic's rules cannot be used; nothing has changed then.
        """
        ruleset = compiled(settings)
        if settings.database != self.settings.database:
            log.warning("another `database:` takes effect at the next start")
        with self._rendering:  # what is being rendered from the old one is forgotten as well
            self.settings, self.ruleset = settings, ruleset
            self._rendered.clear()
        return self.subscribe()

    def topic_titles(self) -> Mapping[str, str]:
        """Titles of the topics by slug."""
        return {topic.slug: topic.title for topic in self.ruleset.topics}

    # --------------------------------------------------------------------------------- polls

    @asynccontextmanager
    async def poller(
        self, on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None
    ) -> AsyncIterator[poll.Poller]:
        """A poller with the network settings in force."""
        fetch = self.settings.fetch
        async with (
            self._fetcher() as fetcher,
            poll.Poller(
                self.store,
                fetcher,
                lambda: self.ruleset,
                concurrency=fetch.concurrency,
                per_host=fetch.per_host,
                spacing=fetch.spacing,
                retry_after_holds_host=fetch.retry_after == "host",
                clock=self.clock,
                on_recorded=on_recorded,
                budget=fetch.budget,
            ) as poller,
        ):
            yield poller

    def _fetcher(self) -> Fetcher:
        contact = f" (+{self.settings.public_url})" if self.settings.public_url else ""
        agent = self.settings.fetch.user_agent or f"aggregator/{VERSION}{contact}"
        return Fetcher(self.settings.fetch, user_agent=agent, now=self.clock)

    async def find_feed(self, url: str) -> tuple[str, ParsedFeed] | FetchFailure:
        """The feed at an address or behind it (autodiscovery), and the feed's own address."""
        async with self._fetcher() as fetcher:
            return await poll.find_feed(fetcher, url)

    def due(
        self, wanted: Sequence[str] = (), *, everything: bool = False
    ) -> tuple[tuple[int, ...] | None, int]:
        """Prepare a pass: which feeds, and how many.

        Args:
            wanted: addresses or names; they are made due. Empty: whatever is due.
            everything: every feed that is not paused is made due.

        Returns:
            The ids to poll among (None: all), and how many feeds are due.

        Raises:
            UnknownError: a name fits no feed.
        """
        now = self.clock()
        if wanted:
            ids = self.store.find_feeds(wanted)
            return ids, self.store.make_due(now, ids)
        if everything:
            return None, self.store.make_due(now)
        return None, self.store.count_due(now)

    def feeds(self) -> tuple[FeedReport, ...]:
        """Every feed with its health, in the order of the configuration's growth."""
        reports = self.store.feeds()
        outlooks = {
            report.id: cadence.outlook(report.state, report.subscription.every)
            for report in reports
            if report.state.status in (FeedStatus.ACTIVE, FeedStatus.FAILING)
        }
        price = cadence.price(tuple(outlooks.values()), self.settings.fetch.budget)
        return tuple(
            replace(report, requests_per_day=outlook.requests(price), expected_delay=outlook.delay(price))
            if (outlook := outlooks.get(report.id))
            else report
            for report in reports
        )

    def overview(self, limit: int) -> Overview:
        """All feeds in numbers and `limit` of them whole, those in trouble first."""
        return self.store.overview(limit)

    def prune(self) -> int:
        """Remove a page of what is older than `retention:`; returns how many entries."""
        return self.store.prune(self.clock(), self.settings.retention)

    def look_for_silence(self) -> None:
        """Note which feeds have been silent for longer than their own rhythm explains."""
        self.store.call_silent(
            (
                (feed, health.fell_silent(feed.days, feed.asked_at, feed.added_at))
                for feed in self.store.quiet(health.SHORTEST)
                if health.is_silent(feed.days, feed.asked_at)
            ),
            self.clock(),
        )

    def health(self) -> Health:
        """Whether polling and store are well."""
        now = self.clock()
        reasons = []
        due = self.store.next_due_at()
        if due is not None and now - due > LATE:
            reasons.append(f"polling is behind: a feed has been due for {_minutes(now - due)}")
        if self.heartbeat_at is not None and now - self.heartbeat_at > LATE:
            reasons.append(f"nothing has looked for due feeds for {_minutes(now - self.heartbeat_at)}")
        return Health(tuple(reasons))

    # --------------------------------------------------------------------------------- reads

    def entry(self, entry_id: int) -> StoredEntry:
        """One entry. Raises UnknownError where there is none."""
        return self.store.entry(entry_id)

    def copies(self, entry: StoredEntry) -> tuple[StoredEntry, ...]:
        """All entries of an entry's article, itself included, the first seen first."""
        return self.store.copies(entry.article_id)

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:
        """The newest entries of an output feed, each article once."""
        if output.name == health.OUTPUT.name:
            return tuple(map(health.entry, self.store.feed_events(limit)))
        return self.store.entries(output, limit=limit)

    def search(
        self,
        query: str,
        *,
        topic: str | None = None,
        feeds: Sequence[str] = (),
        since: datetime | None = None,
        limit: int = 50,
    ) -> tuple[Hit, ...]:
        """Entries that match a full-text query, best first; `feeds` are addresses or names."""
        self._check(topic)
        feed_ids = self.store.find_feeds(feeds) if feeds else None
        return self.store.search(query, topic=topic, feed_ids=feed_ids, since=since, limit=limit)

    def opml(self) -> bytes:
        """The subscriptions as OPML 2.0."""
        from aggregator import opml

        active = [feed for feed in self.feeds() if feed.state.status is not FeedStatus.PAUSED]
        return opml.render(active, "Feeds followed by aggregator")

    # -------------------------------------------------------------------------------- topics

    def explain(self, text_or_id: str | int, topic: str | None = None) -> tuple[Explanation, ...]:
        """Why a text, or a stored entry, is tagged or is not: every rule and what it found or missed."""
        self._check(topic)
        if isinstance(text_or_id, int):
            stored = self.store.entry(text_or_id)
            entry = poll.entry_text(stored, stored.feed_url)
        else:
            title, _, rest = text_or_id.partition("\n")
            entry = EntryText(title, "", rest)
        return self.ruleset.explain(entry, topic)

    def evaluate(self, topic: str, items: Iterable[Mapping[str, Any]]) -> Quality:
        """How well a topic's rules do on labelled items."""
        self._check(topic)
        return evaluate(self.ruleset, topic, items)

    def _check(self, topic: str | None) -> None:
        if topic is not None and topic not in self.topic_titles():
            raise UnknownError(f"there is no topic {topic!r}; there are: {', '.join(self.topic_titles())}")

    def stale_topics(self) -> tuple[str, ...]:
        """Topics by whose present rules the stored entries have not been tagged."""
        present = {topic.slug: topic.revision for topic in self.ruleset.topics}
        applied = self.store.topic_revisions()
        return tuple(
            slug for slug in sorted(present.keys() | applied.keys()) if present.get(slug) != applied.get(slug)
        )

    def backtest(self, topic: str | None = None) -> Iterator[Retagging]:
        """What the present rules would change in the tags of the stored entries; changes nothing."""
        for page in self._pages():
            for entry in page:
                tags, _ = self.ruleset.match(poll.entry_text(entry, entry.feed_url))
                change = _retagging(entry, tags, topic)
                if change.gained or change.lost:
                    yield change

    def retag(self) -> int:
        """Tag all stored entries by the present rules, page by page; returns how many changed.

        Polls and readers go on meanwhile; what is new is tagged by the present rules anyway.
        """
        changed = 0
        for page in self._pages():
            renewed: list[tuple[StoredEntry, tuple[Tag, ...], tuple[Match, ...]]] = []
            for entry in page:
                tags, matches = self.ruleset.match(poll.entry_text(entry, entry.feed_url))
                if set(tags) != set(entry.tags) or set(matches) != set(entry.matches):
                    renewed.append((entry, tags, matches))
            if renewed:
                self.store.retag(renewed)
            changed += len(renewed)
        self._retagged()
        return changed

    def _pages(self) -> Iterator[tuple[StoredEntry, ...]]:
        last = 0
        while page := self.store.entries_after(last, PAGE):
            yield page
            last = page[-1].id

    def _retagged(self) -> None:
        self.store.retagged((topic.slug, topic.title, topic.revision) for topic in self.ruleset.topics)

    # ------------------------------------------------------------------------------ sent out

    def output_names(self) -> tuple[OutputFeed, ...]:
        """The output feeds, in the order of the configuration, and that of the feeds' own health."""
        return (*self.settings.output, health.OUTPUT)

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – the domain's word
        """The document of an output feed if it is at hand and still true; never waits."""
        kept = self._rendered.get((name, format))
        return kept[1] if kept is not None and kept[0] == self.store.version() else None

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        """The document of an output feed. Raises UnknownError where there is no such feed."""
        with self._rendering:  # one thread renders, the others find it done
            outputs = self.output_names()
            output = next((output for output in outputs if output.name == name), None)
            if output is None:
                names = ", ".join(output.name for output in outputs)
                raise UnknownError(f"there is no output feed {name!r}; there are: {names}")
            channel = self._channel(output)  # the first time it writes, and so makes a new version
            version = self.store.version()
            kept = self._rendered.get((name, format))
            if kept is None or kept[0] != version:
                kept = version, render(channel, self.entries(output, output.limit), format)
                self._rendered[name, format] = kept
            return kept[1]

    def publish(self, folder: Path) -> tuple[tuple[Path, bool], ...]:
        """Write every output feed in every format; returns the files, and whether each one changed."""
        written = []
        for output in self.output_names():
            for format in Format:  # noqa: A001
                path = folder / f"{output.name}.{format}"
                written.append((path, files.replace(path, self.rendered(output.name, format).body)))
        return tuple(written)

    def serve_at(self, url: str) -> None:
        """Note where the daemon serves, so that documents written elsewhere name the same address."""
        self.store.set_property("served_at", url)
        with self._rendering:
            self._rendered.clear()
        for output in self.output_names():
            # What is written or loaded once is so now: no reader waits for it, a lock, or a full disk.
            self.rendered(output.name, Format.ATOM)

    @property
    def home_url(self) -> str:
        """Where readers reach us, without a trailing slash."""
        return self.settings.public_url or self.store.property("served_at", lambda: DEFAULT_URL)

    def _channel(self, output: OutputFeed) -> Channel:
        titles = self.topic_titles()
        title = title_of(output, titles)
        about = f"on {title}" if output.topic else "of all feeds"
        description = f"News {about}, each article once, with the reason why it is here."
        if output.name == health.OUTPUT.name:
            description = "Feeds that fell silent, fail, moved, are gone, or came back."
        host = urlsplit(self.home_url).hostname or ""
        return Channel(
            name=output.name,
            title=title,
            description=description,
            home_url=self.home_url + "/",
            # Kept for ever: with another one every entry would be new to every reader.
            authority=self.store.property(
                "tag_authority", lambda: host if re.search(r"\.[a-z]", host) else "localhost"
            ),
            created_at=datetime.fromisoformat(
                self.store.property("created_at", lambda: self.clock().isoformat(timespec="seconds"))
            ),
            version=VERSION,
            topics=titles,
        )

    def export(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of what is exported: `entries`, `tags`, `feeds` or `polls`; passwords in addresses are masked."""
        for row in self.store.query(_EXPORTS[table]):
            for name in row.keys() & {"url", "feed_url"}:
                row[name] = row[name] and masked(row[name])
            yield row

    def backup(self, target: Path) -> None:
        """Write a checked copy of the store to `target`, in place of an earlier one.

        Raises:
            StoreError: it cannot be written or is not sound, or `target` is the store itself.
        """
        if target.exists() and target.samefile(self.store.path):
            raise StoreError(f"{target} is the database itself; a copy needs another name")
        part = target.with_name(f".{target.name}.part")
        try:
            self.store.backup(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


_EXPORTS = {
    "entries": """SELECT e.id, e.uid, f.title AS feed, f.url AS feed_url, e.url, e.title, e.author, e.language,
                         e.published_at, e.updated_at, e.first_seen_at, e.revision, e.article_id, e.summary, e.text
                    FROM entries e JOIN feeds f ON f.id = e.feed_id ORDER BY e.id""",
    "tags": "SELECT entry_id, topic, aspect, score FROM entry_tags ORDER BY entry_id, topic, aspect",
    "feeds": """SELECT id, url, title, site_url, language, status, http_status, last_error, failures,
                       last_polled_at, last_success_at, next_poll_at, interval_seconds FROM feeds ORDER BY id""",
    "polls": "SELECT * FROM polls ORDER BY started_at, feed_id",
}
EXPORTS = tuple(_EXPORTS)
"""What can be exported."""


def compiled(settings: Settings) -> Ruleset:
    """The topics of a configuration. Raises ConfigError for a bad rule, or an output of an aspect there is not."""
    ruleset = compile_topics(settings.topics, config.pack_document)
    aspects = {topic.slug: [aspect.slug for aspect in topic.aspects] for topic in ruleset.topics}
    problems = [
        Problem(
            "output",
            None,
            output.name,
            f"the topic {output.topic} has no aspect {output.aspect}; it has: {', '.join(aspects[output.topic])}",
        )
        for output in settings.output
        if output.topic in aspects and output.aspect and output.aspect not in aspects[output.topic]
    ]
    if problems:
        raise ConfigError(problems)
    return ruleset


def _retagging(entry: StoredEntry, tags: Sequence[Tag], topic: str | None) -> Retagging:
    before = {_label(tag) for tag in entry.tags if topic in (None, tag.topic)}
    after = {_label(tag) for tag in tags if topic in (None, tag.topic)}
    return Retagging(entry, tuple(sorted(after - before)), tuple(sorted(before - after)))


def _label(tag: Tag) -> str:
    return tag.topic if tag.aspect is None else f"{tag.topic}/{tag.aspect}"


def _minutes(duration: timedelta) -> str:
    return f"{duration / timedelta(minutes=1):.0f} minutes"
