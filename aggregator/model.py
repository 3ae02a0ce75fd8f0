"""Every domain type, in three groups by lifetime: desired, observed, in flight.

*Desired* is what the operator wrote in feeds.yaml. *Observed* is what polls learned and the store
keeps. *In flight* exists between two rooms of one poll and is never stored.

All datetimes are aware and in UTC; durations are `timedelta`; sequences are tuples. `None` always
means "not known" or "not given", never zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import Enum, StrEnum
from ipaddress import IPv4Network, IPv6Network
from typing import Any, ClassVar

from aggregator.errors import Problem

# ------------------------------------------------------------------------------------ desired


Path = tuple[str | int, ...]
"""Where a value stands in a YAML document: keys and list positions from the root."""


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as plain data, with the line of everything in it.

    Attributes:
        file: the file's name, for messages.
        data: mappings, lists, strings, numbers, booleans and None.
        lines: line number (from 1) of each key or list item, by its path; `()` is the root.
    """

    file: str
    data: Any
    lines: Mapping[Path, int] = field(default_factory=dict)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at `path`, with the line of the nearest place that is known."""
        known = path
        while known and known not in self.lines:
            known = known[:-1]
        key = ""
        for part in path:
            key += f"[{part}]" if isinstance(part, int) else f".{part}" if key else str(part)
        return Problem(self.file, self.lines.get(known), key, message)


@dataclass(frozen=True, slots=True)
class Subscription:
    """The wish to follow one feed.

    Attributes:
        url: the feed's address, or that of a site whose feed is to be discovered.
        name: what to call it; None: the feed's own title.
        language: ISO 639-1 code, a prior for language detection.
        tags: the operator's own labels.
        every: fixed poll interval; None: the interval adapts.
        enabled: False keeps what is stored and polls no more.
    """

    url: str
    name: str | None = None
    language: str | None = None
    tags: tuple[str, ...] = ()
    every: timedelta | None = None
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class RemoteList:
    """The wish to follow the feeds that an OPML document elsewhere names, for as long as it names them.

    Attributes:
        url: the document's address.
        tags: the operator's own labels for all of its feeds.
        every: how often it is asked what it says now.
    """

    url: str
    tags: tuple[str, ...] = ()
    every: timedelta = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which entries a list holds: an output feed, a page, an answer of the API. Conditions add up.

    Attributes:
        topic: slug of the topic they are tagged with; None: all entries.
        aspect: only entries with this aspect of the topic.
        feed: only entries of the feed with this name or address.
        tag: only entries of feeds with this label of the operator's.
        language: ISO 639-1 code.
        country: ISO 3166-1 alpha-2 code of a country that the entry's text is about.
        search: only entries that match this full-text query.
        min_score: only entries whose score for the topic is at least this.
        min_outlets: only entries whose story so many outlets tell.
        copies: every copy of an article; else each article once.
    """

    topic: str | None = None
    aspect: str | None = None
    feed: str | None = None
    tag: str | None = None
    language: str | None = None
    country: str | None = None
    search: str | None = None
    min_score: float | None = None
    min_outlets: int | None = None
    copies: bool = False


@dataclass(frozen=True, slots=True)
class OutputFeed(Selection):
    """A feed that we publish.

    Attributes:
        name: served as `/feeds/<name>.atom` and so on; lower-case letters, digits, `-`.
        title: None: made from the topic's title or the name.
        limit: at most this many entries in the document that readers subscribe to, newest first.
        (the rest: see `Selection`)
    """

    name: str
    title: str | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How we behave on the network.

    Attributes:
        allow_addresses: networks that may be connected to although they are private.
        user_agent: None: `aggregator/<version> (+<public_url>)`.
        concurrency: requests in flight at once, over all hosts.
        per_host: requests in flight at once to one host.
        spacing: time between two polls of one host; this machine's own addresses need none.
        retry_after: whether a server's `Retry-After` holds for all feeds of its `host`, for those of all hosts of
            its registrable `domain`, or for the one `feed`.
        timeout: limit on one request, from connecting to the last byte.
        max_bytes: limit on a body after decompression, in bytes.
        budget: requests a day for the whole set of feeds; None: as many as their rhythms are worth.
    """

    allow_addresses: tuple[IPv4Network | IPv6Network, ...] = ()
    user_agent: str | None = None
    concurrency: int = 64
    per_host: int = 2
    spacing: timedelta = timedelta(seconds=1)
    retry_after: str = "host"
    timeout: timedelta = timedelta(seconds=30)
    max_bytes: int = 8 * 1024 * 1024
    budget: int | None = None


@dataclass(frozen=True, slots=True)
class PushSettings:
    """How news goes out and comes in without being asked for (WebSub).

    Attributes:
        hubs: other hubs that are told of news and that our documents name; none: we are the hub of our own feeds.
        subscribe: whether to subscribe at the hubs that feeds name; it takes a `public_url`.
    """

    hubs: tuple[str, ...] = ()
    subscribe: bool = True


@dataclass(frozen=True, slots=True)
class WebSettings:
    """How pages are served, and to whom.

    Attributes:
        password: what people log in with: an argon2 hash, or a plain word; None: there is none.
        images: whether pages `show` the images of entries, which their publishers then see, or `hide` them.
        sql: whether the API answers questions in SQL.
    """

    password: str | None = field(default=None, repr=False)
    images: str = "hide"
    sql: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole configuration, valid and complete.

    Attributes:
        feeds: subscriptions, in file order, each URL once.
        lists: OPML documents elsewhere whose feeds are followed as well.
        topics: the topic packs, as documents (compiled by `topics`).
        output: the feeds we publish.
        publish_dir: folder that they are written to as files, absolute; None: none.
        fetch: network behaviour.
        web: pages, and who may see them.
        baseline: the days whose mean is 100 in trends; None: they are found.
        push: what is sent without being asked for.
        retention: entries older than this, and no longer shown by their feed, are removed; None: kept.
        database: path of the SQLite file, absolute.
        public_url: the address under which readers reach us, without a trailing slash.
    """

    feeds: tuple[Subscription, ...] = ()
    lists: tuple[RemoteList, ...] = ()
    topics: tuple[Document, ...] = ()
    output: tuple[OutputFeed, ...] = ()
    publish_dir: str | None = None
    fetch: FetchSettings = FetchSettings()
    web: WebSettings = WebSettings()
    baseline: "Period | None" = None
    push: PushSettings = PushSettings()
    retention: timedelta | None = timedelta(days=365)
    database: str = "db/aggregator.db"
    public_url: str | None = None


# ----------------------------------------------------------------------------------- observed


class FeedStatus(StrEnum):
    """How a feed is doing."""

    ACTIVE = "active"
    FAILING = "failing"
    GONE = "gone"
    PAUSED = "paused"


class Identity(StrEnum):
    """What tells a feed's entries apart."""

    GUID = "guid"
    LINK = "link"  # for feeds whose guids change at every poll or repeat


@dataclass(frozen=True, slots=True)
class Validators:
    """What a conditional GET sends back, byte for byte (RFC 9110 §13.1).

    Attributes:
        etag: the `ETag` header's value, quotes and `W/` included.
        last_modified: the `Last-Modified` header's value.
        url: what they were given for, and are sent with alone: the final URL, credentials included, and as its
            fragment a checksum of our `Accept`.
    """

    etag: str | None = None
    last_modified: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class ListState:
    """What is known of one remote list.

    Attributes:
        url: as the operator has it.
        feeds: what it named when it was last read, in its order; empty before that.
        validators: for the next conditional GET.
        checked_at: when it was last asked; None: never.
        read_at: when it last answered well; None: never.
        error: what was wrong with the last answer, for a person; None: nothing was.
    """

    url: str
    feeds: tuple[Subscription, ...] = ()
    validators: Validators = Validators()
    checked_at: datetime | None = None
    read_at: datetime | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """When in the week a feed publishes: moving means that `cadence` learns.

    Attributes:
        hours: entries in each hour of the day, UTC.
        days: entries on each day of the week, UTC; Monday is the first.
        since: from when on entries have been counted.
        newest: the date of the newest entry that has been counted.
    """

    hours: tuple[float, ...]
    days: tuple[float, ...]
    since: datetime
    newest: datetime


@dataclass(frozen=True, slots=True)
class FeedState:
    """All that polls have learned about one feed; each poll turns one state into the next.

    Attributes:
        url: the document's address now: the subscription's, or one that was discovered or moved to.
        discovered: the subscribed address is a page, behind which the feed was found.
        title, site_url, language, description, icon_url: as the feed says.
        status: see `FeedStatus`.
        http_status: of the last poll that got an answer.
        last_error: why the last poll failed, for a person; None after a success.
        failures: weight of failures in a row (see `cadence`); 0 after a success.
        failing_since: when the current row of failures began.
        validators: for the next conditional GET.
        body_hash: of the last body that was parsed.
        identity: what tells this feed's entries apart.
        last_polled_at, last_success_at: when it was last asked, and last answered well.
        last_changed_at: the last poll whose document was parsed; an entry stands in the newest
            document exactly when its `last_seen_at` is not before this.
        next_poll_at: when it is due.
        interval: what `next_poll_at` was made from, before jitter.
        per_day: entries a day, learned; None before the first document.
        profile: when in the week they come; None while nothing is known.
        length: entries in the newest document.
        fresh_for: how long the server says that its answers stay fresh.
        fresh_until: until when its last answer does.
        hint: the publisher's own interval (`ttl`, `sy:*`).
        skip_hours: hours (0-23, UTC) in which the publisher asks not to be polled.
        skip_days: days (Monday is 0) on which the publisher asks not to be polled.
        moved_to: target of a permanent redirect that awaits confirmation.
        moved_since: when that redirect was first seen.
        moved_times: how often in a row it has led to the feed that was read before; 0: it leads to another one.
        silent_since: when its newest entry came, once that is longer ago than its rhythm explains (see `health`).
        outage: how long it has been failing, all in all, since its newest entry came.
        gap_url: an older page of the feed that is still to be read, for what lies between was missed.
        gap_since: when that was noticed.
        hub_url, topic_url: the hub that the document names, and what the feed is called there (see `websub`).
    """

    url: str
    discovered: bool = False
    title: str | None = None
    site_url: str | None = None
    language: str | None = None
    description: str | None = None
    icon_url: str | None = None
    status: FeedStatus = FeedStatus.ACTIVE
    http_status: int | None = None
    last_error: str | None = None
    failures: float = 0.0
    failing_since: datetime | None = None
    validators: Validators = Validators()
    body_hash: bytes | None = None
    identity: Identity = Identity.GUID
    last_polled_at: datetime | None = None
    last_success_at: datetime | None = None
    last_changed_at: datetime | None = None
    next_poll_at: datetime | None = None
    interval: timedelta | None = None
    per_day: float | None = None
    profile: Profile | None = None
    length: int | None = None
    fresh_for: timedelta | None = None
    fresh_until: datetime | None = None
    hint: timedelta | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()
    moved_to: str | None = None
    moved_since: datetime | None = None
    moved_times: int = 0
    silent_since: datetime | None = None
    outage: timedelta = timedelta()
    gap_url: str | None = None
    gap_since: datetime | None = None
    hub_url: str | None = None
    topic_url: str | None = None


@dataclass(frozen=True, slots=True)
class Category:
    """A label the publisher gave an entry."""

    term: str
    scheme: str | None = None
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Enclosure:
    """A file that belongs to an entry; `length` in bytes."""

    url: str
    type: str | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """The feed an entry says it came from (`atom:source`, RSS `source`)."""

    title: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Tag:
    """An entry is about a topic, or about one aspect of it.

    Attributes:
        topic: the topic's slug.
        aspect: None: the tag of the topic itself.
        score: how strongly the rules speak for it; at or above the topic's threshold.
    """

    topic: str
    aspect: str | None
    score: float


@dataclass(frozen=True, slots=True)
class Match:
    """One piece of evidence: a term of a topic found in an entry.

    Attributes:
        topic: the topic's slug.
        rule: the rule that used it.
        term: the term as the rule's author wrote it.
        field: `title`, `summary`, `text` or `categories`.
        start, end: half-open range in that field's plain text, in code points.
    """

    topic: str
    rule: str
    term: str
    field: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Attribution:
    """The outlet an entry says it took its text from."""

    name: str
    url: str | None = None


class Level(StrEnum):
    """What an edge says two entries have in common."""

    ARTICLE = "article"  # the same text
    STORY = "story"  # the same event


@dataclass(frozen=True, slots=True)
class Edge:
    """Why two entries belong together; both directions are one edge.

    Attributes:
        a, b: ids of the entries.
        level: what they have in common.
        method: how that was found, in one of the words of `duplicates`, or `by hand`.
        score: how sure it is, from 0 to 1.
    """

    a: int
    b: int
    level: Level
    method: str
    score: float


@dataclass(frozen=True, slots=True)
class Copy:
    """Another entry of an entry's article.

    Attributes:
        entry_id: the entry.
        outlet: title of its feed.
        url: the article's address there.
        published_at: as published there.
    """

    entry_id: int
    outlet: str
    url: str | None
    published_at: datetime | None = None


# ---------------------------------------------------------------------------------- in flight


@dataclass(frozen=True, slots=True)
class Claim:
    """A feed that is due and now ours to poll until the lease ends.

    Attributes:
        feed_id: the feed.
        fence: number of this claim; a record with an older one is refused.
        subscription: what the operator wishes.
        state: what is known.
    """

    feed_id: int
    fence: int
    subscription: Subscription
    state: FeedState


@dataclass(frozen=True, slots=True)
class Delivery:
    """A document of ours that is to be sent to somebody and is now ours to send.

    Attributes:
        subscriber_id: to whom.
        callback: where to.
        host: of the callback.
        topic: address of the document.
        secret: what it is to be signed with; None: nothing.
        failures: in a row, so far.
    """

    subscriber_id: int
    callback: str
    host: str
    topic: str
    secret: str | None
    failures: int


@dataclass(frozen=True, slots=True)
class HubSubscription:
    """Our subscription to a feed at a hub, wished for or granted.

    Attributes:
        feed_id: the feed.
        hub: address of the hub.
        topic: what the feed is called there.
        callback: where the hub reaches us; nobody else knows it.
        secret: what the hub signs with.
        failures: attempts in a row that have come to nothing.
    """

    feed_id: int
    hub: str
    topic: str
    callback: str
    secret: str
    failures: int = 0


class FailureKind(Enum):
    """Why a poll failed. The value is the word shown to users and in metrics."""

    DNS = "dns"
    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    NETWORK = "network"  # reset, broken framing, cut off
    ADDRESS = "address"  # private address refused, or a scheme other than http(s)
    REDIRECT = "redirect"  # loop, too many, or to where we may not go
    TOO_LARGE = "too-large"
    ENCODING = "encoding"  # compression that cannot be undone
    RATE_LIMITED = "rate-limited"  # 429
    GONE = "gone"  # 410
    CLIENT = "http-4xx"
    SERVER = "http-5xx"
    CHALLENGE = "challenge"  # a bot wall instead of the feed
    NOT_A_FEED = "not-a-feed"  # HTML without a feed behind it, an empty body, not to be parsed
    INTERNAL = "internal"  # a fault of ours


@dataclass(frozen=True, slots=True)
class FetchFailure:
    """A poll that got no document.

    Attributes:
        kind: the class of failure.
        message: one sentence for a person: what happened, and where it helps, what to do.
        http_status: None where there was no answer.
        retry_after: the server's wish (RFC 9110 §10.2.3).
        url: the address that failed, after redirects.
        seconds: how long it took.
    """

    kind: FailureKind
    message: str
    http_status: int | None = None
    retry_after: timedelta | None = None
    url: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class NotModified:
    """304: what we have is still what there is.

    Attributes:
        validators: the ones to keep; a 304 may bring new ones (RFC 9110 §15.4.5).
        fresh_for: how long the answer stays fresh (RFC 9111 §4.2), less its age; None: as long as the one before.
        moved_to: see `Fetched`.
    """

    http_status: ClassVar[int] = 304
    validators: Validators
    fresh_for: timedelta | None = None
    moved_to: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document.

    Attributes:
        http_status: 200, or 226 for a delta.
        url: the final URL, base of everything relative in the body.
        body: whole and decompressed.
        content_type: the header's value, lower-cased; no proof of anything.
        validators: to be kept once the body has been parsed and stored.
        fresh_for: how long the answer stays fresh (RFC 9111 §4.2), less its age.
        moved_to: the URL that a chain of only permanent redirects (301, 308) ended at.
        links: the `Link` header's targets by relation, absolute (`alternate`, `hub`, `self`).
        delta: the body holds only what is new (RFC 3229, `IM: feed`).
    """

    http_status: int
    url: str
    body: bytes
    content_type: str | None = None
    validators: Validators = Validators()
    fresh_for: timedelta | None = None
    moved_to: str | None = None
    links: tuple[tuple[str, str], ...] = ()
    delta: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class EntryData:
    """One entry as the document has it: decoded and resolved, but not yet trusted.

    Attributes:
        guid: `guid`, `atom:id`, `rdf:about` or JSON Feed `id`, white space stripped.
        url: absolute http(s) address, as published.
        original_url: the article's own address where `url` is a tracker's that names it.
        title: plain text on one line; may be empty.
        author: names, joined by a comma; plain text.
        summary, content: HTML as published: not sanitised, relative URLs not yet resolved.
        base_url: what relative URLs in them refer to.
        language: as declared for the entry or the feed, lower-cased.
        published_at: None when the entry gives none that can be read.
        updated_at: likewise.
    """

    guid: str | None = None
    url: str | None = None
    original_url: str | None = None
    title: str = ""
    author: str | None = None
    summary: str | None = None
    content: str | None = None
    base_url: str | None = None
    language: str | None = None
    published_at: datetime | None = None
    updated_at: datetime | None = None
    categories: tuple[Category, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    source: Source | None = None


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """A feed document, read.

    Attributes:
        entries: in document order.
        withdrawn: ids of entries that the publisher takes back, each with the time of that if it is given.
        complete: the document has all entries of the feed (RFC 5005 §2), and has been read to its end.
        title, description: plain text.
        site_url, icon_url, self_url, next_url, previous_archive_url, hub_urls: absolute.
        hint: the publisher's own interval (`ttl`, `sy:updatePeriod` / `sy:updateFrequency`).
        skip_hours: 0-23, UTC. skip_days: Monday is 0.
    """

    entries: tuple[EntryData, ...] = ()
    withdrawn: tuple[tuple[str, datetime | None], ...] = ()
    complete: bool = False
    title: str | None = None
    description: str | None = None
    site_url: str | None = None
    icon_url: str | None = None
    self_url: str | None = None
    next_url: str | None = None
    previous_archive_url: str | None = None
    hub_urls: tuple[str, ...] = ()
    language: str | None = None
    hint: timedelta | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryText:
    """What topic rules look at.

    Attributes:
        title, summary, text: plain text. `summary` is empty where it only repeats the start of `text`.
        categories: the publisher's labels.
        language: ISO 639-1 code as far as it is known.
        feed_url: of the feed it came by.
    """

    title: str
    summary: str
    text: str
    categories: tuple[str, ...] = ()
    language: str | None = None
    feed_url: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry made clean: what one revision of it says, and what we make of it.

    Attributes:
        key: what tells it apart within its feed (see `duplicates`).
        guid: as published, else None.
        url, original_url: as in `EntryData`.
        url_key: hash of the canonical URL, equal for equal articles.
        title: plain text, never empty: falls back to the first words of the text.
        summary, content: sanitised HTML; empty where there is none.
        text: plain text of the content, or of the summary where there is no content.
        language: ISO 639-1 code.
        hash: of all that counts as a change (see `text.stable_hash`).
        tags, matches: what the topics say of it.
        attributions: the outlets it says it took its text from.
        countries: ISO 3166-1 alpha-2 codes of the countries its text is about, the weightiest first.
    """

    key: str
    guid: str | None
    url: str | None
    original_url: str | None
    url_key: int | None
    title: str
    author: str | None
    summary: str
    content: str
    text: str
    language: str | None
    published_at: datetime | None
    updated_at: datetime | None
    hash: bytes
    categories: tuple[Category, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    source: Source | None = None
    tags: tuple[Tag, ...] = ()
    matches: tuple[Match, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    countries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """What the store says of an entry it already has, enough to decide whether it changed.

    Attributes:
        hash: see `Entry`; empty for one that was taken back, which so has changed when it comes back.
        (the rest: see `Entry` and `StoredEntry`)
    """

    entry_id: int
    key: str
    guid: str | None
    url_key: int | None
    title: str
    hash: bytes
    first_seen_at: datetime


@dataclass(frozen=True, slots=True)
class New:
    """The document has an entry that is not stored."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Revised:
    """The document has a stored entry in another version."""

    entry_id: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Seen:
    """The document has a stored entry, unchanged."""

    entry_id: int


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The publisher takes a stored entry back; `at`: since when, as far as the document says."""

    entry_id: int
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Complete:
    """The document has all entries of its feed: the publisher takes back those that are stored and not in it."""


EntryChange = New | Revised | Seen | Withdrawn | Complete
"""What a document says of an entry, or of all others, compared with what is stored."""


class PollResult(StrEnum):
    """How a poll ended."""

    CHANGED = "changed"  # a document that was not the one before
    UNCHANGED = "unchanged"  # 200 with the same bytes
    NOT_MODIFIED = "not_modified"  # 304
    FAILED = "failed"


class EventKind(StrEnum):
    """Which line a feed's health has crossed."""

    SILENT = "silent"  # no news for longer than its rhythm explains
    FAILING = "failing"  # for a day
    MOVED = "moved"  # to another address, for good
    GONE = "gone"
    BACK = "back"  # from any of them but a move


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """A feed's health has crossed a line; `message` says so in whole sentences, for a person."""

    kind: EventKind
    message: str


@dataclass(frozen=True, slots=True)
class Hold:
    """A pause that a server asked for (`Retry-After`): the feed that was polled waits, and who else is named here.

    Attributes:
        until: when it ends.
        host: host and port whose feeds wait as well; None: no other's.
        domain: the registrable domain whose hosts' feeds wait as well; None: no other's.
    """

    until: datetime
    host: str | None = None
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class PollOutcome:
    """Everything one poll learned; recorded in one transaction or not at all.

    Attributes:
        claim: what was claimed.
        result: how it ended.
        state: the feed's next state, `next_poll_at` included.
        started_at: when the poll began.
        seconds: how long it took.
        http_status: of this poll; None where there was no answer.
        error: for a person; None unless it failed.
        failure: the class of failure; None unless it failed.
        changes: one for each entry of the document, in document order, and what it takes back.
        events: the lines that the feed's health has crossed with it.
        hold: the pause that a server asked for, of this document or of one behind it; None: none did.
    """

    claim: Claim
    result: PollResult
    state: FeedState
    started_at: datetime
    seconds: float = 0.0
    http_status: int | None = None
    error: str | None = None
    failure: FailureKind | None = None
    changes: tuple[EntryChange, ...] = ()
    events: tuple[FeedEvent, ...] = ()
    hold: Hold | None = None


# --------------------------------------------------------------------------------- read again


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry as it is read from the store to be shown or published.

    Attributes:
        id: the entry. feed_id, feed_title, feed_url, feed_site_url: the feed it came by.
        uid: names the entry in every database: a hash of its subscription's URL and its key.
        article_id: entries of one article share it.
        url: the article's own address where it is known, else as published.
        changed_at: when we first saw this revision.
        article_uid: names the article in every database and for ever, whatever is merged into it later.
        story_id: entries about one event share it.
        significant_at: when it last changed what it says, and not only how: the publisher's date of that, if there is
            one that can be, else when we first saw it.
        withdrawn_at: when its publisher took it back; None: it stands.
        countries: ISO 3166-1 alpha-2 codes of the countries its text is about, the weightiest first.
        copies: the article's other entries, the first published first.
        (the rest: see `Entry`)
    """

    id: int
    uid: str
    feed_id: int
    feed_title: str
    feed_url: str
    feed_site_url: str | None
    article_id: int
    guid: str | None
    url: str | None
    title: str
    author: str | None
    summary: str
    content: str
    text: str
    language: str | None
    published_at: datetime | None
    updated_at: datetime | None
    first_seen_at: datetime
    changed_at: datetime
    revision: int
    categories: tuple[Category, ...] = ()
    enclosures: tuple[Enclosure, ...] = ()
    tags: tuple[Tag, ...] = ()
    matches: tuple[Match, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    article_uid: str = ""
    story_id: int | None = None
    significant_at: datetime | None = None
    withdrawn_at: datetime | None = None
    countries: tuple[str, ...] = ()
    copies: tuple[Copy, ...] = ()


@dataclass(frozen=True, slots=True)
class Telling:
    """One entry of a story, in short.

    Attributes:
        entry_id, article_id: the entry; tellings of one article are copies of each other.
        outlet: title of its feed.
        title, url, language: as published.
        at: when it was published, or else first seen.
    """

    entry_id: int
    article_id: int
    outlet: str
    title: str
    url: str | None
    language: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Story:
    """Articles about one event.

    Attributes:
        id: the story.
        title: of the telling that says it best.
        article_count, feed_count: how many distinct articles it has, from how many feeds.
        first_seen_at, last_seen_at: when its first and its newest entry were first seen.
        aspects: what its entries are tagged with, as `topic` or `topic/aspect`, the most frequent first.
        tellings: its entries, the earliest first; of a very long story the first ones and the newest.
        lead: the entry to show for it.
    """

    id: int
    title: str
    article_count: int
    feed_count: int
    first_seen_at: datetime
    last_seen_at: datetime
    aspects: tuple[str, ...]
    tellings: tuple[Telling, ...]
    lead: StoredEntry


@dataclass(frozen=True, slots=True)
class Revision:
    """An earlier version of an entry.

    Attributes:
        revision: counts from 1.
        seen_at: when it was first seen.
        title, summary, content: as in `Entry`.
    """

    revision: int
    seen_at: datetime
    title: str
    summary: str
    content: str


@dataclass(frozen=True, slots=True)
class FeedReport:
    """One feed with its health, as `aggregator feeds` shows it.

    Attributes:
        requests_per_day: how often it is asked while all is well; None where it is not asked at all.
        failure: the class of the failure it is in; None where all is well.
        expected_delay: how long an entry is expected to wait, on average, until it is read; likewise.
    """

    id: int
    subscription: Subscription
    state: FeedState
    entries: int
    entries_per_week: float
    requests_per_day: float | None = None
    expected_delay: timedelta | None = None
    failure: FailureKind | None = None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A `FeedEvent` as it is read from the store.

    Attributes:
        id: the event.
        uid: names the event in every database.
        feed_id, feed_title, feed_url, feed_site_url: the feed it happened to, as it is now.
        at: when.
        kind, message: see `FeedEvent`.
    """

    id: int
    uid: str
    feed_id: int
    feed_title: str
    feed_url: str
    feed_site_url: str | None
    at: datetime
    kind: EventKind
    message: str


@dataclass(frozen=True, slots=True)
class Census:
    """The feeds in numbers.

    Attributes:
        feeds: how many there are of each status.
        silent: how many of them are silent for longer than their rhythm explains.
        waiting: how many are due and held by nobody.
        waiting_since: since when the longest of these has been due; None where none is.
        store_bytes: size of the database on disk, its write-ahead log included.
    """

    feeds: Mapping[FeedStatus, int]
    silent: int
    waiting: int
    waiting_since: datetime | None
    store_bytes: int


@dataclass(frozen=True, slots=True)
class Overview:
    """The feeds at a glance.

    Attributes:
        feeds: how many there are. read: of them, read at least once. failing: whose last poll failed.
        entries: how many are stored.
        reports: some of the feeds, those in trouble before the others.
    """

    feeds: int
    read: int
    failing: int
    entries: int
    reports: tuple[FeedReport, ...]


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry found by a search; `snippet` is a piece of its text, cut into parts that were found or were not."""

    entry: StoredEntry
    snippet: tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What a question in SQL found.

    Attributes:
        columns: their names.
        rows: the values.
        whole: False where there are more rows than are given, or a value was cut.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str | int | float | None, ...], ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class Health:
    """Whether polling and store are well; `reasons` says why not, one sentence each."""

    reasons: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when there is no reason for worry."""
        return not self.reasons


# ------------------------------------------------------------------------------------- trends


class Measure(StrEnum):
    """What an index counts of a topic."""

    ARTICLES = "articles"
    THREATS = "threats"  # articles that tell of a threat
    ACTS = "acts"  # articles that tell of an act
    STORIES = "stories"


@dataclass(frozen=True, slots=True)
class Sides:
    """A topic and those of its aspects that tell of threats, and of acts."""

    topic: str
    threats: tuple[str, ...] = ()
    acts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Count:
    """One feed's day.

    Attributes:
        day: in UTC.
        feed_id: the feed.
        total: the articles (or stories) it told that day, each counted for one feed only.
        hits: how many of them are what the index counts.
    """

    day: date
    feed_id: int
    total: int
    hits: int


@dataclass(frozen=True, slots=True)
class Weight:
    """What a feed brings to an index.

    Attributes:
        feed_id: the feed.
        since: the first day on which it counts.
        share: what share of its articles is expected to be hits while the index stands at 100.
    """

    feed_id: int
    since: date
    share: float


@dataclass(frozen=True, slots=True)
class IndexDay:
    """An index on one day.

    Attributes:
        day: in UTC.
        observed: hits of the feeds that count.
        expected: hits that would have made it 100, by what those feeds published that day.
    """

    day: date
    observed: int
    expected: float

    @property
    def value(self) -> float | None:
        """The index; None on a day on which no hit was to be expected of anybody."""
        return 100 * self.observed / self.expected if self.expected else None


@dataclass(frozen=True, slots=True)
class Index:
    """An index: its baseline (None: too little for one yet), the feeds' weights, its days in order."""

    baseline: Period | None = None
    weights: tuple[Weight, ...] = ()
    days: tuple[IndexDay, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of an index before some day, enough to go on with it.

    Attributes:
        since: that day.
        baseline: its baseline.
        weights: of the feeds that count by then.
        values: the index on each earlier day on which it had a value.
    """

    since: date
    baseline: Period
    weights: tuple[Weight, ...]
    values: Mapping[date, float]


@dataclass(frozen=True, slots=True)
class Series:
    """What one index is to be made of.

    Attributes:
        topic, language, measure: which one; the language `all` is all of them together.
        counts: see `trends.index`.
        past: what stays as it is; None: the index starts over.
        recent: the last days of that, to judge the next ones by.
    """

    topic: str
    language: str
    measure: Measure
    counts: tuple[Count, ...]
    past: Past | None
    recent: tuple[IndexDay, ...] = ()


@dataclass(frozen=True, slots=True)
class TrendDay:
    """One day of a topic in one language: a row of `topic_daily`.

    Attributes:
        topic, day, language: which one; the language `all` is all of them together.
        entries: entries on the topic, every copy of an article.
        articles, total_articles: articles on the topic, and all articles of the same feeds.
        threats, acts: articles that tell of threats and of acts.
        stories, total_stories: stories on the topic, and all.
        observed, expected: articles of the feeds that count; see `IndexDay`.
        index_value, threats_value, acts_value, stories_value: the indices; None: there is too little to tell.
        score: how unusual the day is (see `trends.scores`); None: too few days before it to tell.
    """

    topic: str
    day: date
    language: str
    entries: int
    articles: int
    total_articles: int
    threats: int
    acts: int
    stories: int
    total_stories: int
    observed: int | None = None
    expected: float | None = None
    index_value: float | None = None
    threats_value: float | None = None
    acts_value: float | None = None
    stories_value: float | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Leading:
    """A story (or an article without one) that made a day.

    Attributes:
        entry_id: the entry that was listed first, of the strongest on the topic.
        story_id: the story; None: an article of its own.
        title: that entry's title.
        url: its address.
        outlets, articles: how many feeds told it that day, in how many articles.
    """

    entry_id: int
    story_id: int | None
    title: str
    url: str | None
    outlets: int
    articles: int
