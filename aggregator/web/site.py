"""What the pages and feeds need to know: the one thing this package asks of the program around it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from aggregator.app import Belonging
from aggregator.model import (
    Edge,
    FeedReport,
    Health,
    Hit,
    Leading,
    Level,
    ListState,
    OutputFeed,
    Overview,
    Period,
    Revision,
    Selection,
    Settings,
    StoredEntry,
    Story,
    Table,
    TrendDay,
)
from aggregator.publish import Format, Rendered
from aggregator.store import Share


class Site(Protocol):
    """The use cases behind the web; all of them may block, except `cached`.

    Each may raise `AggregatorError`; where the caller is at fault it says so below.
    """

    @property
    def settings(self) -> Settings:
        """The configuration in force."""

    @property
    def clock(self) -> Callable[[], datetime]:
        """Tells the time."""

    def output_names(self) -> tuple[OutputFeed, ...]:
        """The output feeds, in the order of the configuration."""

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – the domain's word
        """The document if it is at hand and still true, at once: this is asked on the event loop."""

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        """The document of an output feed.

        Raises:
            UnknownError: there is no output feed of that name.
        """

    def feed(self, name: str) -> OutputFeed:
        """The output feed of a name. Raises UnknownError where there is none."""

    def archive(self, name: str, cursor: str, format: Format) -> Rendered:  # noqa: A002
        """An archived document of an output feed.

        Raises:
            UnknownError: there is no such feed, or `cursor` is none.
        """

    def narrowed(self, output: OutputFeed, before: str | None, format: Format) -> Rendered:  # noqa: A002
        """The document of a feed that an address asks for; `before` is the cursor of a page.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
        """

    @property
    def fresh_for(self) -> timedelta:
        """For how long documents are likely to hold; never waits for long."""

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:
        """The newest entries of an output feed, each article once.

        Raises:
            UnknownError: it is none of ours, and asks for a topic, aspect, feed or label that there is not.
        """

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
        """Entries that match a full-text query, best first; `feeds` are addresses or names.

        Raises:
            UnknownError: there is no such topic or feed.
            AggregatorError: it takes too long; the message says so.
        """

    def advice(self, query: str) -> str | None:
        """What is wrong with a full-text query and how it was understood instead; None: nothing is."""

    def version(self) -> int:
        """A number that grows whenever entries, or what is made of them, may have changed."""

    def select(
        self, selection: Selection, *, since: datetime | None = None, before: str | None = None, limit: int
    ) -> tuple[tuple[StoredEntry, ...], str | None]:
        """The newest entries that fulfil all conditions, and the cursor of those that follow, or None.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
        """

    def entry(self, entry_id: int) -> StoredEntry:
        """One entry. Raises UnknownError where there is none."""

    def revisions(self, entry_id: int) -> tuple[Revision, ...]:
        """The earlier versions of an entry, the oldest first. Raises UnknownError where there is no such entry."""

    def article(self, article_id: int) -> tuple[StoredEntry, ...]:
        """All entries of an article, the first seen first. Raises UnknownError where there is none."""

    def canonical(self, article_id: int) -> int:
        """The entry that is shown for an article. Raises UnknownError where there is no such article."""

    def stories(
        self, selection: Selection, *, before: str | None = None, limit: int
    ) -> tuple[tuple[Story, ...], str | None]:
        """Stories with an entry that fulfils all conditions, newest first, and the cursor of those that follow, or None.

        Raises:
            UnknownError: there is no such topic, aspect, feed or label, or `before` is no cursor.
        """

    def daily(self, topic: str, *, language: str = "all", since: date = date.min) -> tuple[TrendDay, ...]:
        """The index of a topic in one language, or all together, day by day. Raises UnknownError: no such topic."""

    def trend_languages(self, topic: str) -> tuple[str, ...]:
        """The languages in which a topic has an index, `all` first."""

    def trend_baseline(self, topic: str, language: str) -> Period | None:
        """The days whose mean is 100 in the index of a topic; None: it has none yet."""

    def leading(self, topic: str, day: date, *, language: str = "all", limit: int) -> tuple[Leading, ...]:
        """The stories that made a day, those of most outlets first."""

    def trend_feeds(self, topic: str, *, since: date, before: date, limit: int) -> tuple[Share, ...]:
        """The feeds that told most of a topic on the days from `since` on and `before` another, and how much that was."""

    def belonging(self, entry_id: int) -> Belonging:
        """What an entry belongs to, and why. Raises UnknownError where there is no such entry."""

    def story_edges(self, story_id: int) -> tuple[Edge, ...]:
        """What ties the entries of a story to each other, the surest first."""

    def split(self, entry_id: int, level: Level) -> None:
        """Take an entry out of its article, or its article out of its story, for good.

        Raises:
            UnknownError: there is no such entry, or nothing to take it out of.
        """

    def merge(self, entry_id: int, other_id: int, level: Level) -> None:
        """Make two entries one article, or their articles one story, for good.

        Raises:
            UnknownError: there is no such entry.
        """

    def poll_now(self, feed_id: int) -> None:
        """Have a feed asked as soon as may be. Raises UnknownError where there is none."""

    def story(self, story_id: int) -> Story:
        """One story. Raises UnknownError where there is none."""

    def lists(self) -> tuple[ListState, ...]:
        """What is known of the remote lists that are followed."""

    def feeds(self) -> tuple[FeedReport, ...]:
        """Every feed with its health."""

    def polls(self, feed_id: int, *, before: str | None = None, limit: int) -> tuple[Mapping[str, Any], ...]:
        """A feed's polls as rows of the store, the last one first; `before` is the `started_at` of one."""

    def overview(self, limit: int) -> Overview:
        """All feeds in numbers and `limit` of them whole, those in trouble first."""

    def ask(self, statement: str) -> Table:
        """What a SELECT finds.

        Raises:
            QueryError: it cannot be answered as it is put.
        """

    def opml(self) -> bytes:
        """The subscriptions as OPML 2.0."""

    def health(self) -> Health:
        """Whether polling and store are well."""

    def topic_titles(self) -> Mapping[str, str]:
        """Titles of the topics by slug."""
