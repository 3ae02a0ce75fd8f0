"""What the pages and feeds need to know: the one thing this package asks of the program around it."""

from collections.abc import Mapping
from typing import Protocol

from aggregator.model import Health, Hit, OutputFeed, Overview, Settings, StoredEntry
from aggregator.publish import Format, Rendered


class Site(Protocol):
    """The use cases behind the web; all of them may block, except `cached`.

    Each may raise `AggregatorError`; where the caller is at fault it says so below.
    """

    @property
    def settings(self) -> Settings:
        """The configuration in force."""

    def output_names(self) -> tuple[OutputFeed, ...]:
        """The output feeds, in the order of the configuration."""

    def cached(self, name: str, format: Format) -> Rendered | None:  # noqa: A002 – the domain's word
        """The document if it is at hand and still true, at once: this is asked on the event loop."""

    def rendered(self, name: str, format: Format) -> Rendered:  # noqa: A002
        """The document of an output feed.

        Raises:
            UnknownError: there is no output feed of that name.
        """

    def entries(self, output: OutputFeed, limit: int) -> tuple[StoredEntry, ...]:
        """The newest entries of an output feed, each article once."""

    def search(self, query: str, *, topic: str | None = None, limit: int = 50) -> tuple[Hit, ...]:
        """Entries that match a full-text query, best first.

        Raises:
            AggregatorError: the query cannot be understood; the message says why.
        """

    def overview(self, limit: int) -> Overview:
        """All feeds in numbers and `limit` of them whole, those in trouble first."""

    def opml(self) -> bytes:
        """The subscriptions as OPML 2.0."""

    def health(self) -> Health:
        """Whether polling and store are well."""

    def topic_titles(self) -> Mapping[str, str]:
        """Titles of the topics by slug."""
