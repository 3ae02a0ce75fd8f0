"""The façade: every use case that a face needs. It wires the doors together and owns the clock."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any, BinaryIO, Self

from aggregator import cadence, config, count, export, health, link, lists, poll
from aggregator.errors import StoreError, UnknownError
from aggregator.fetch import Fetcher
from aggregator.model import (
    Edge,
    EntryText,
    FeedReport,
    FeedState,
    FeedStatus,
    FetchFailure,
    Health,
    Hit,
    Leading,
    Level,
    ListState,
    Match,
    Measure,
    OutputFeed,
    Overview,
    ParsedFeed,
    Period,
    PollOutcome,
    Revision,
    Selection,
    Settings,
    StoredEntry,
    Story,
    Subscription,
    Table,
    Tag,
    TrendDay,
)
from aggregator.output import Outputs
from aggregator.publish import Format, Rendered
from aggregator.push import Push
from aggregator.store import Recorded, Share, SubscriptionChanges, is_store, open_store, read_query
from aggregator.text import masked
from aggregator.topics import Explanation, Quality, Ruleset, compile_topics, evaluate

log = logging.getLogger(__name__)

VERSION = installed_version("aggregator")
LATE = timedelta(minutes=15)
"""A feed that has been due for so long says that polling does not keep up."""
PAGE = 500
"""Entries that are walked over at a time."""
TIDIED = 10
"""Pages of old entries that one pass takes away at most; what is left waits for the next."""


def utc_now() -> datetime:
    """The time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Retagging:
    """What other rules make of one entry: tags as `topic` or `topic/aspect`."""

    entry: StoredEntry
    gained: tuple[str, ...]
    lost: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Belonging:
    """What an entry belongs to, and why.

    Attributes:
        entry: the entry.
        copies: all entries of its article, itself included; `canonical` is the one that is shown for them.
        story: its story; None where it has not been linked.
        edges: what ties it to others, the surest first.
        apart: the entries that a person has split from its text, and from its event.
    """

    entry: StoredEntry
    copies: tuple[StoredEntry, ...]
    canonical: int
    story: Story | None
    edges: tuple[Edge, ...]
    apart: Mapping[Level, tuple[int, ...]]


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
        self.following = 0
        """How many feeds were followed when the store was last brought in line."""
        self.outputs = Outputs(self.store, clock, VERSION)
        """What is sent out as feeds."""
        self.outputs.configure(settings, self.ruleset)

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
        wishes = self.subscriptions()
        changes = self.store.subscribe(wishes, self.clock(), dry_run=dry_run)
        self.following = sum(wish.enabled for wish in wishes)
        if not dry_run and self.needs_relinking:
            log.warning(
                "the stored entries were compared with each other by other means than the present ones, or not at "
                "all: `aggregator relink` does it anew, and the daemon does so by itself"
            )
        if not dry_run and self.store.is_empty():
            self._retagged()
        elif not dry_run and (stale := self.stale_topics()):
            self.store.mixed(stale)
            self._warn_of(stale)
        return changes

    def _warn_of(self, stale: Sequence[str]) -> None:
        present = self.topic_titles()
        if changed := ", ".join(slug for slug in stale if slug in present):
            log.warning(
                "the rules of %s have changed since the stored entries were tagged; "
                "`aggregator topics backtest` shows what would change, `aggregator topics retag` applies it",
                changed,
            )
        if gone := ", ".join(slug for slug in stale if slug not in present):
            log.warning(
                "%s is no topic any more, but the stored entries keep its tags; `aggregator topics retag` removes them",
                gone,
            )

    def subscriptions(self) -> tuple[Subscription, ...]:
        """All feeds that the configuration names, and those of its lists as they were last read."""
        return lists.subscriptions(self.settings.feeds, self.settings.lists, self.lists())

    def unread(self) -> tuple[Subscription, ...]:
        """Feeds that are to be followed and that the store does not know: the next poll brings it in line."""
        added = set(self.subscribe(dry_run=True).added)
        return tuple(wish for wish in self.subscriptions() if wish.url in added)

    def lists(self) -> tuple[ListState, ...]:
        """What is known of the configuration's remote lists, in its order."""
        if not self.settings.lists:
            return ()
        known = {state.url: state for state in self.store.lists()}
        return tuple(known.get(wish.url, ListState(wish.url)) for wish in self.settings.lists)

    async def update_lists(self) -> tuple[ListState, ...]:
        """Ask those remote lists that are due what they say now; `subscribe` then follows it.

        Returns:
            What is known now of those that were asked.
        """
        now = self.clock()
        waiting = lists.due(self.settings.lists, await asyncio.to_thread(self.lists), now)
        if not waiting:
            return ()
        async with self._fetcher() as fetcher:
            asked = await lists.ask(fetcher, waiting, now)
        await asyncio.to_thread(self.store.keep_lists, asked)
        return asked

    def reconfigure(self, settings: Settings) -> SubscriptionChanges:
        """Take over another configuration while running; the database stays the one that is open.

        Raises:
            ConfigError: a topic's rules cannot be used; nothing has changed then.
            StoreError: it cannot be written down; likewise.
        """
        before = self.settings, self.ruleset
        ruleset = compiled(settings)
        if settings.database != self.settings.database:
            log.warning("another `database:` takes effect at the next start")
        self.settings, self.ruleset = settings, ruleset
        self.outputs.configure(settings, ruleset)
        try:
            return self.subscribe()
        except StoreError:
            self.settings, self.ruleset = before
            self.outputs.configure(*before)
            raise

    def topic_titles(self) -> Mapping[str, str]:
        """Titles of the topics by slug."""
        return {topic.slug: topic.title for topic in self.ruleset.topics}

    # --------------------------------------------------------------------------------- polls

    @asynccontextmanager
    async def poller(
        self,
        on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None,
        give_way: Callable[[], None] = lambda: None,
    ) -> AsyncIterator[poll.Poller]:
        """A poller with the network settings in force; see `Poller` for the arguments."""
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
                retry_after=fetch.retry_after,
                clock=self.clock,
                on_recorded=on_recorded,
                give_way=give_way,
                budget=fetch.budget,
                link=link.link,
            ) as poller,
        ):
            yield poller

    @asynccontextmanager
    async def pushing(
        self, on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None
    ) -> AsyncIterator[Push]:
        """The hub and the subscriber, with the settings in force; `on_recorded` hears of what is sent to us."""
        async with (
            self._fetcher() as fetcher,
            Push(
                self.store,
                fetcher,
                self.outputs,
                lambda: self.ruleset,
                settings=self.settings.push,
                public_url=self.settings.public_url,
                clock=self.clock,
                link=link.link,
                on_recorded=on_recorded,
            ) as push,
        ):
            yield push

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

    def poll_now(self, feed_id: int) -> None:
        """Have a feed asked as soon as may be; the daemon looks each second. Raises UnknownError: none is asked."""
        if not self.store.make_due(self.clock(), [feed_id]):
            raise UnknownError(
                f"there is no feed {feed_id} that is not paused; `aggregator feeds` lists them all"
            )

    def overview(self, limit: int) -> Overview:
        """All feeds in numbers and `limit` of them whole, those in trouble first."""
        return self.store.overview(limit)

    def prune(self) -> int:
        """Remove a page of what is older than `retention:`; returns how many entries."""
        return self.store.prune(self.clock(), self.settings.retention)

    def tidy(self) -> int:
        """Take a page of entries with which no other will be compared out of the index; returns how many.

        Not while they are linked anew: what is counted first would be swept away before it is compared.
        """
        if self.needs_relinking:
            return 0
        kept_for = min(link.KEPT_FOR, self.settings.retention or link.KEPT_FOR)
        return link.tidy(self.store, self.clock(), kept_for)

    def finish_pass(self) -> None:
        """Do once, at the end of a pass, what the daemon does by the clock; each time a bounded part of it."""
        for remove in (self.tidy, self.prune):
            pages = 0
            while pages < TIDIED and remove():
                pages += 1
        self.look_for_silence()
        self.count_trends()

    def look_for_silence(self) -> None:
        """Note which feeds have been silent for longer than their own rhythm explains."""
        self.store.call_silent(
            (
                (feed, health.fell_silent(feed.days, feed.asked_at, feed.added_at))
                for feed in self.store.quiet(health.SHORTEST)
                if health.is_silent(feed.days, feed.asked_at, feed.outage)
            ),
            self.clock(),
        )

    def health(self) -> Health:
        """Whether polling and store are well."""
        now = self.clock()
        reasons = []
        due = self.store.overdue_since(now - LATE)
        if due is not None:
            reasons.append(f"polling is behind: a feed has been due for {_minutes(now - due)}")
        if self.heartbeat_at is not None and now - self.heartbeat_at > LATE:
            reasons.append(f"nothing has looked for due feeds for {_minutes(now - self.heartbeat_at)}")
        return Health(tuple(reasons))

    # --------------------------------------------------------------------------------- reads

    def entry(self, entry_id: int) -> StoredEntry:
        """One entry, its sources with their addresses where they are known. Raises UnknownError where there is none."""
        return self.store.entry(entry_id)

    def belonging(self, entry_id: int) -> Belonging:
        """What an entry belongs to, and why. Raises UnknownError where there is no such entry."""
        entry = self.store.entry(entry_id)
        copies = self.copies(entry)
        story = None if entry.story_id is None else self.store.story(entry.story_id)
        apart = {
            Level.ARTICLE: self.store.kept_apart(Level.ARTICLE, [entry_id]),
            Level.STORY: self.store.kept_apart(Level.STORY, [copy.id for copy in copies]),
        }
        return Belonging(
            entry,
            copies,
            self.store.canonical(entry.article_id),
            story,
            tuple(
                edge for edge in self.store.edges(entry_id) if {edge.a, edge.b}.isdisjoint(apart[edge.level])
            ),
            apart,
        )

    def split(self, entry_id: int, level: Level) -> None:
        """Take an entry out of its article, or its article out of its story, for good.

        Raises:
            UnknownError: there is no such entry, or nothing to take it out of.
        """
        self.store.check_entries([entry_id])
        with self.store.links(self.clock()) as links:
            link.split(links, entry_id, level)

    def merge(self, entry_id: int, other_id: int, level: Level) -> None:
        """Make two entries one article, or their articles one story, for good.

        Raises:
            UnknownError: there is no such entry, or it is one and the same.
        """
        if entry_id == other_id:
            raise UnknownError(f"entry {entry_id} is one entry; give the id of the other one, too")
        self.store.check_entries([entry_id, other_id])
        with self.store.links(self.clock()) as links:
            link.merge(links, entry_id, other_id, level)

    def relink(self, stopped: Callable[[], bool] = lambda: False) -> int:
        """Find anew what all entries belong to; what people corrected stays.

        Args:
            stopped: asked now and then; once it is so, the work is left, to be begun anew another time.

        Returns:
            How many entries there are, or were looked at until then.
        """
        self.store.set_property("linked_by", _HALF_LINKED)
        linked = link.relink(self.store, self.clock, stopped)
        if not stopped():
            self.store.set_property("linked_by", link.VERSION)
        return linked

    @property
    def needs_relinking(self) -> bool:
        """Whether the stored entries were linked by other means than the present ones, or not at all."""
        return self.store.property("linked_by", self._linked_by) != link.VERSION

    def _linked_by(self) -> str:
        return link.VERSION if self.store.is_empty() else _HALF_LINKED

    def story(self, story_id: int) -> Story:
        """One story. Raises UnknownError where there is none."""
        return self.store.story(story_id)

    def revisions(self, entry_id: int) -> tuple[Revision, ...]:
        """The earlier versions of an entry, the oldest first. Raises UnknownError where there is no such entry."""
        self.store.check_entries([entry_id])
        return self.store.revisions(entry_id)

    def version(self) -> int:
        """A number that grows whenever entries, or what is made of them, may have changed."""
        return self.store.version()

    def select(
        self, selection: Selection, *, since: datetime | None = None, before: str | None = None, limit: int
    ) -> tuple[tuple[StoredEntry, ...], str | None]:
        """Entries under some conditions, newest first, and the cursor of those that follow; None: there are none.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
        """
        self.outputs.check(selection)
        return self.store.select(selection, since=since, before=before, limit=limit)

    def stories(
        self, selection: Selection, *, before: str | None = None, limit: int
    ) -> tuple[tuple[Story, ...], str | None]:
        """Stories with an entry under some conditions, newest first, and the cursor of those that follow, or None.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
        """
        self.outputs.check(selection)
        return self.store.stories(selection, before=before, limit=limit)

    def count_trends(self) -> int:
        """Bring the indices of the topics up to date; returns how many days of them have changed."""
        topics = [topic.sides for topic in self.ruleset.topics]
        return count.count_trends(self.store, topics, baseline=self.settings.baseline)

    def daily(self, topic: str, *, language: str = "all", since: date = date.min) -> tuple[TrendDay, ...]:
        """The index of a topic in one language, or all together, day by day. Raises UnknownError: no such topic."""
        self._check(topic)
        return self.store.trend(topic, language=language, first=since)

    def trend_languages(self, topic: str) -> tuple[str, ...]:
        """The languages in which a topic has an index, `all` first."""
        return self.store.trend_languages(topic)

    def trend_baseline(self, topic: str, language: str) -> Period | None:
        """The days whose mean is 100 in the index of a topic; None: it has none yet."""
        return self.store.baselines(topic).get((language, Measure.ARTICLES))

    def leading(self, topic: str, day: date, *, language: str = "all", limit: int) -> tuple[Leading, ...]:
        """The stories that made a day, those of most outlets first."""
        return self.store.leading(topic, day, language=language, limit=limit)

    def trend_feeds(self, topic: str, *, since: date, before: date, limit: int) -> tuple[Share, ...]:
        """The feeds that told most of a topic on the days from `since` on and `before` another, and how much that was."""
        return self.store.trend_feeds(topic, since=since, before=before, limit=limit)

    def story_edges(self, story_id: int) -> tuple[Edge, ...]:
        """What ties the entries of a story to each other, the surest first."""
        return self.store.story_edges(story_id)

    def article(self, article_id: int) -> tuple[StoredEntry, ...]:
        """All entries of an article, the first seen first. Raises UnknownError where there is none."""
        found = self.store.copies(article_id)
        if not found:
            raise UnknownError(f"there is no article {article_id}")
        return found

    def canonical(self, article_id: int) -> int:
        """The entry that is shown for an article. Raises UnknownError where there is no such article."""
        return self.store.canonical(article_id)

    def polls(self, feed_id: int, *, before: str | None = None, limit: int) -> tuple[Mapping[str, Any], ...]:
        """A feed's polls as rows of the store, the last one first; `before` is the `started_at` of one."""
        statement = """SELECT * FROM polls WHERE feed_id = :feed_id AND started_at < :before
                        ORDER BY started_at DESC LIMIT :limit"""
        values = {"feed_id": feed_id, "before": before or "~", "limit": limit}
        return tuple(self.store.query(statement, values))

    def copies(self, entry: StoredEntry) -> tuple[StoredEntry, ...]:
        """All entries of an entry's article, itself included, the first seen first."""
        return self.store.copies(entry.article_id)

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:
        """The newest entries of an output feed, each article once.

        Raises:
            UnknownError: it is none of ours, and asks for a topic, aspect, feed or label that there is not.
        """
        if output not in self.outputs.feeds():
            self.outputs.check(output)
        return self.outputs.select(replace(output, limit=limit))[0]

    def search(
        self,
        query: str,
        *,
        topic: str | None = None,
        feeds: Sequence[str] = (),
        language: str | None = None,
        since: datetime | None = None,
        limit: int = 50,
    ) -> tuple[Hit, ...]:
        """Entries that match a full-text query, best first; `feeds` are addresses or names."""
        self._check(topic)
        feed_ids = self._find_feeds(feeds) if feeds else None
        return self.store.search(
            query, topic=topic, feed_ids=feed_ids, language=language, since=since, limit=limit
        )

    def _find_feeds(self, wanted: Sequence[str]) -> tuple[int, ...]:
        """Ids of the feeds that are meant by addresses or names; what was never polled has none."""
        try:
            return self.store.find_feeds(wanted)
        except UnknownError:
            unread = {word for wish in self.unread() for word in (wish.url, wish.name)}
            if unread.isdisjoint(wanted):
                raise
            return self.store.find_feeds([word for word in wanted if word not in unread])

    def advice(self, query: str) -> str | None:
        """What is wrong with a full-text query and how it was understood instead; None: nothing is."""
        return read_query(query).note

    def ask(self, statement: str) -> Table:
        """What a SELECT finds in the store. Raises QueryError: it cannot be answered as it is put."""
        return self.store.ask(statement)

    def opml(self) -> bytes:
        """The subscriptions as OPML 2.0; those that are switched off are left out."""
        from aggregator import opml

        states = {report.subscription.url: report.state for report in self.store.feeds()}
        followed = [
            (wish, states.get(wish.url) or FeedState(wish.url))
            for wish in self.subscriptions()
            if wish.enabled
        ]
        return opml.render(followed, "Feeds followed by aggregator")

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
        self.outputs.check(Selection(topic=topic))

    def stale_topics(self) -> tuple[str, ...]:
        """Topics by whose present rules the stored entries have not been tagged; none while there are no entries."""
        if self.store.is_empty():
            return ()
        present = {topic.slug: topic.revision for topic in self.ruleset.topics}
        applied = self.store.topic_revisions()
        return tuple(
            slug for slug in sorted(present.keys() | applied.keys()) if present.get(slug) != applied.get(slug)
        )

    def backtest(self, topic: str | None = None) -> Iterator[Retagging]:
        """What the present rules would change in the tags of the stored entries; changes nothing.

        Raises:
            UnknownError: there is no such topic.
        """
        self._check(topic)
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
        return self.outputs.feeds()

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – the domain's word
        """The document of an output feed if it is at hand and still true; never waits."""
        return self.outputs.cached(name, format)

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        """The document of an output feed. Raises UnknownError where there is no such feed."""
        return self.outputs.rendered(name, format)

    def feed(self, name: str) -> OutputFeed:
        """The output feed of a name. Raises UnknownError where there is none."""
        return self.outputs.feed(name)

    def archive(self, name: str, cursor: str, format: Format) -> Rendered:  # noqa: A002
        """An archived document of an output feed; see `Outputs.archive`."""
        return self.outputs.archive(name, cursor, format)

    def narrowed(self, output: OutputFeed, before: str | None, format: Format) -> Rendered:  # noqa: A002
        """The document of a feed that an address asks for; see `Outputs.narrowed`."""
        return self.outputs.narrowed(output, before, format)

    @property
    def fresh_for(self) -> timedelta:
        """For how long documents are likely to hold."""
        return self.outputs.fresh_for

    def publish(self, folder: Path, *, whole: bool = True) -> tuple[tuple[Path, bool], ...]:
        """Write every output feed in every format with its archives; see `Outputs.publish`."""
        return self.outputs.publish(folder, whole=whole)

    def serve_at(self, url: str, *, hub: bool = False) -> None:
        """Note where the daemon serves, and whether there is a hub; see `Outputs.serve_at`."""
        self.outputs.serve_at(url, hub=hub)

    def export(self, table: str) -> Iterator[dict[str, Any]]:
        """Rows of what is exported, one of `EXPORTS`; passwords in addresses are masked."""
        for row in self.store.query(_EXPORTS[table]):
            for name in row.keys() & {"url", "feed_url"}:
                row[name] = row[name] and masked(row[name])
            yield row

    def write_export(self, table: str, kind: str, output: BinaryIO) -> None:
        """Write what is exported, one of `EXPORTS`, as one of `export.KINDS`.

        Raises:
            MissingError: the package that writes this kind is not installed.
        """
        columns = self.store.columns(_EXPORTS[table])
        export.write(self.export(table), columns, kind, output, self.store.column_types())

    def backup(self, target: Path) -> None:
        """Write a checked copy of the store to `target`, in place of an earlier one.

        Raises:
            StoreError: it cannot be written or is not sound, or `target` is the store itself or no copy of one.
        """
        if target.exists():
            if target.samefile(self.store.path):
                raise StoreError(f"{target} is the database itself; a copy needs another name")
            if not is_store(target):
                raise StoreError(f"{target} is no copy of a store, and would be lost; use another name")
        part = target.with_name(f".{target.name}.part")
        try:
            self.store.backup(part)
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)


_HALF_LINKED = "0"
"""Stands for the version of the comparison where it was never made, or not to its end."""
_EXPORTS = {
    "entries": """SELECT e.id, e.uid, f.title AS feed, f.url AS feed_url, e.url, e.title, e.author, e.language,
                         e.published_at, e.updated_at, e.first_seen_at, e.withdrawn_at, e.revision, e.article_id,
                         e.story_id, e.summary, e.text
                    FROM entries e JOIN feeds f ON f.id = e.feed_id ORDER BY e.id""",
    "articles": """SELECT a.id, a.uid, a.canonical_entry_id, e.title, f.title AS feed,
                          coalesce(e.original_url, e.url) AS url, a.entry_count, a.feed_count, a.first_seen_at, a.story_id
                     FROM articles a JOIN entries e ON e.id = a.canonical_entry_id JOIN feeds f ON f.id = e.feed_id
                    ORDER BY a.id""",
    "stories": "SELECT * FROM stories ORDER BY id",
    "daily": "SELECT * FROM topic_daily ORDER BY topic, language, day",
    "attributions": "SELECT entry_id, name, url FROM attributions ORDER BY entry_id, name",
    "tags": "SELECT entry_id, topic, aspect, score FROM entry_tags ORDER BY entry_id, topic, aspect",
    "feeds": """SELECT id, url, title, site_url, language, status, http_status, last_error, failures,
                       last_polled_at, last_success_at, next_poll_at, interval_seconds FROM feeds ORDER BY id""",
    "polls": "SELECT * FROM polls ORDER BY started_at, feed_id",
}
EXPORTS = tuple(_EXPORTS)
"""What can be exported."""


def compiled(settings: Settings) -> Ruleset:
    """The topics of a configuration. Raises ConfigError for a bad rule."""
    return compile_topics(settings.topics, config.pack_document)


def unmet(
    settings: Settings, reports: Sequence[FeedReport] = (), known: Sequence[ListState] = ()
) -> Iterator[tuple[int, str, str, bool]]:
    """Output feeds of a feed or a label that none of the feeds has.

    Args:
        settings: a configuration.
        reports: the feeds that the store knows.
        known: what is known of the configuration's lists.

    Returns:
        The number of the output feed, the key, what is wrong, and whether that is certain: what has not been read yet
        may have that name, or that label.
    """
    wishes = (
        *lists.subscriptions(settings.feeds, settings.lists, known),
        *(report.subscription for report in reports),
    )
    states = {report.subscription.url: report.state for report in reports if report.state.last_success_at}
    titles = {wish.name or states[wish.url].title for wish in wishes if wish.name or wish.url in states}
    names = sorted(title for title in titles if title)
    addresses = {wish.url for wish in wishes} | {report.state.url for report in reports}
    labels = sorted({label for wish in wishes for label in wish.tags})
    read = {state.url for state in known if state.read_at}
    lists_read = all(each.url in read for each in settings.lists)
    feeds_read = lists_read and all(wish.url in states for wish in wishes if wish.enabled)
    names_read = lists_read and all(wish.url in states or wish.name for wish in wishes if wish.enabled)
    called = {_folded(name) for name in names}
    for at, output in enumerate(settings.output):
        if output.feed and output.feed not in addresses and _folded(output.feed) not in called:
            message = f"no feed has this name or address; {config.nearest(output.feed, names, 'names')}"
            yield at, "feed", message, feeds_read if "://" in output.feed else names_read
        if output.tag and output.tag not in labels:
            message = f"no feed has this label; {config.nearest(output.tag, labels, 'labels')}"
            yield at, "tag", message, lists_read


def _retagging(entry: StoredEntry, tags: Sequence[Tag], topic: str | None) -> Retagging:
    before = {_label(tag) for tag in entry.tags if topic in (None, tag.topic)}
    after = {_label(tag) for tag in tags if topic in (None, tag.topic)}
    return Retagging(entry, tuple(sorted(after - before)), tuple(sorted(before - after)))


def _label(tag: Tag) -> str:
    return tag.topic if tag.aspect is None else f"{tag.topic}/{tag.aspect}"


def _minutes(duration: timedelta) -> str:
    return f"{duration / timedelta(minutes=1):.0f} minutes"


def _folded(name: str) -> str:
    """A feed's name as the store compares it: NOCASE of SQLite knows the letters of ASCII alone."""
    return name.encode().lower().decode()
