"""The inward journey: claim due feeds, fetch them side by side, think off the event loop, record in groups.

    claim → fetch ─ 304 or the same bytes ───────────────┐
                  └ document → think → changes ──────────┤
                  └ a page, never read → discover, think ┤
                  └ failure ─────────────────────────────┴→ next state → record, one transaction a group

`think` is pure but for one look-up of what is known; it runs in a worker thread, so that the event
loop only ever moves bytes. A poll cannot raise: whatever happens ends in an outcome.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Self, TypeVar

from aggregator import cadence, discover, duplicates, health, parse, places, text, websub
from aggregator.errors import ParseError, StoreError
from aggregator.fetch import Fetcher
from aggregator.fetch.domain import registrable_domain
from aggregator.model import (
    Claim,
    Complete,
    Entry,
    EntryChange,
    EntryText,
    FailureKind,
    FeedState,
    FeedStatus,
    Fetched,
    FetchFailure,
    Hold,
    Identity,
    Known,
    New,
    NotModified,
    ParsedFeed,
    PollOutcome,
    PollResult,
    Profile,
    Revised,
    Seen,
    StoredEntry,
    Validators,
    Withdrawn,
)
from aggregator.store import Links, Recorded, Store
from aggregator.store.rows import host
from aggregator.text import masked
from aggregator.topics import Ruleset

log = logging.getLogger(__name__)

T = TypeVar("T")

LEASE = timedelta(minutes=10)
"""How long a claimed feed is ours: well over the longest poll."""
POLL_LIMIT = timedelta(minutes=5)
"""Limit on one poll with all its redirects and discovery."""
GROUP = 64
"""Outcomes that are recorded in one transaction at most; fewer where no more have come within `GATHER`."""
PRICED_FOR = timedelta(hours=1)
"""How long the price that keeps to the budget holds before it is found anew."""
REST_STEP = 0.2
"""How often, in seconds, a pass looks whether the last hosts have rested."""
GATHER = 0.1
"""How long, in seconds, an outcome waits for others to be recorded with."""
RECORDING = 1.0
"""How long, in seconds, at the end what is done may still be recorded."""
THINKING = 2
"""Documents in the worker's queue at once: behind more, what is to be recorded would wait and fill the memory."""
PAGES = 20
"""How many older pages are read in one poll where a document shares nothing with what is stored."""
WALK_LIMIT = timedelta(minutes=2)
"""After so long the rest of the older pages is left for the next poll."""
GAP_KEPT = timedelta(days=7)
"""How long an older page that cannot be read is asked for again at each poll."""
WHOLE_EVERY = timedelta(days=7)
"""How often a feed that has fallen silent is asked without validators: some servers answer 304 for ever."""
CANDIDATES = 4
"""How many addresses are tried when a site's feed is looked for."""
LOOK_AGAIN_EVERY = timedelta(days=1)
"""How often a site is asked whether it has another feed, while the one that was found there cannot be read."""
MOVED_TIMES, MOVED_FOR = 2, timedelta(days=1)
"""A permanent redirect is adopted when seen so often over at least so long."""

_DEAD = frozenset(
    {
        FailureKind.DNS,
        FailureKind.CONNECT,
        FailureKind.TLS,
        FailureKind.ADDRESS,
        FailureKind.REDIRECT,
        FailureKind.NOT_A_FEED,
    }
)
"""Failures that an address which has been given up comes to have."""
_PASSING = frozenset(
    {
        FailureKind.DNS,
        FailureKind.CONNECT,
        FailureKind.TIMEOUT,
        FailureKind.NETWORK,
        FailureKind.RATE_LIMITED,
        FailureKind.SERVER,
    }
)
"""Failures after which an older page is asked for again."""
_EVER = datetime.min.replace(tzinfo=UTC)

Lookup = Callable[[int, Sequence[str], Sequence[int]], tuple[Collection[Known], Collection[str]]]
"""`Store.known`: what is stored of a feed's entries."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What a document means for a feed.

    Attributes:
        parsed: the document.
        identity: what tells the feed's entries apart from now on.
        changes: one for each of its entries, but for those that retention has removed, and what it takes back.
        known_since: when the first of its entries that are known came; None: none is known.
    """

    parsed: ParsedFeed
    identity: Identity
    changes: tuple[EntryChange, ...]
    known_since: datetime | None = None


# ------------------------------------------------------------------------------------ thinking


def think(
    document: Fetched,
    claim: Claim,
    lookup: Lookup,
    ruleset: Ruleset,
    give_way: Callable[[], None] = lambda: None,
) -> Thought:
    """Read a document and decide what is new in it; only new and changed entries cost any work.

    Args:
        document: what was fetched.
        claim: the feed that it is of.
        lookup: what is known of its entries.
        ruleset: of the topics.
        give_way: called before each piece of work; may wait a moment for what is more urgent.

    Raises:
        ParseError: it is not a feed.
    """
    parsed = parse.parse(document.body, url=document.url, content_type=document.content_type)
    entries = duplicates.identify(parsed.entries)
    keys = {key for keyed in entries for key in (keyed.key, keyed.link_key) if key is not None}
    url_keys = {keyed.url_key for keyed in entries if keyed.url_key is not None}
    known, removed = lookup(claim.feed_id, tuple(keys), tuple(url_keys))
    identity, verdicts = duplicates.decide(entries, known, removed, claim.state.identity)
    fresh = [verdict.keyed for verdict in verdicts if verdict.known is None or verdict.changed]
    wish = claim.subscription
    outlet = (
        duplicates.outlet_of(wish.name or parsed.title, parsed.site_url or document.url) if fresh else None
    )
    ready = _ready(fresh, claim, ruleset, outlet, give_way)
    changes: list[EntryChange] = []
    for verdict in verdicts:
        entry = ready.get(verdict.keyed.key)
        if verdict.known is None:
            changes += [New(entry)] if entry else []
        elif entry:
            changes.append(Revised(verdict.known.entry_id, entry))
        else:
            changes.append(Seen(verdict.known.entry_id))
    if parsed.withdrawn and claim.state.last_changed_at is not None and identity is Identity.GUID:
        changes += _withdrawn(parsed, claim, lookup, {one.known.entry_id for one in verdicts if one.known})
    if parsed.complete and not document.delta:
        changes.append(Complete())
    if removed:
        known_since: datetime | None = _EVER
    else:
        known_since = min((one.known.first_seen_at for one in verdicts if one.known), default=None)
    return Thought(parsed, identity, tuple(changes), known_since)


def _withdrawn(parsed: ParsedFeed, claim: Claim, lookup: Lookup, shown: Collection[int]) -> list[Withdrawn]:
    """What of the stored entries a document takes back; none that it shows by another id."""
    times = dict(parsed.withdrawn)
    known, _ = lookup(claim.feed_id, tuple(times), ())
    return [Withdrawn(one.entry_id, times[one.key]) for one in known if one.entry_id not in shown]


def _ready(
    fresh: Sequence[duplicates.Keyed],
    claim: Claim,
    ruleset: Ruleset,
    outlet: str | None,
    give_way: Callable[[], None],
) -> dict[str, Entry]:
    """Entries clean and tagged, by key; one that we cannot read, for a fault of ours, takes no other with it."""
    try:
        # Step by step for all, not entry by entry: the tables of each step stay in the processor's cache.
        language = claim.subscription.language
        cleaned = [clean(keyed, language, outlet) for keyed in _in_turn(fresh, give_way)]
        return {entry.key: tagged(entry, claim.state.url, ruleset) for entry in _in_turn(cleaned, give_way)}
    except Exception:
        if len(fresh) > 1:
            return {
                key: entry
                for one in fresh
                for key, entry in _ready([one], claim, ruleset, outlet, give_way).items()
            }
        log.exception("an entry of %s is left out: %s", claim.state.url, fresh[0].key)
        return {}


def _in_turn(work: Iterable[T], give_way: Callable[[], None]) -> Iterator[T]:
    for piece in work:
        give_way()
        yield piece


def clean(keyed: duplicates.Keyed, language: str | None = None, outlet: str | None = None) -> Entry:
    """Make an entry safe to keep and show.

    Args:
        keyed: the entry.
        language: the operator's word on its feed.
        outlet: the usual name of whose feed it is.
    """
    data = keyed.data
    summary = text.sanitise(data.summary, data.base_url) if data.summary else ""
    content = text.sanitise(data.content, data.base_url) if data.content else ""
    plain = text.plain_text(content or summary)
    title = data.title or text.excerpt(plain) or data.url or "(untitled)"
    spoken = text.detect_language(f"{title}\n{plain}", language or data.language)
    return Entry(
        key=keyed.key,
        guid=data.guid,
        url=data.url,
        original_url=data.original_url,
        url_key=keyed.url_key,
        title=title,
        author=data.author,
        summary=summary,
        content=content,
        text=plain,
        language=spoken,
        published_at=data.published_at,
        updated_at=data.updated_at,
        hash=keyed.hash,
        categories=data.categories,
        enclosures=data.enclosures,
        source=data.source,
        attributions=duplicates.attributions(plain, title, outlet),
        countries=places.countries(title, duplicates.own_text(plain), spoken),
    )


def tagged(entry: Entry, feed_url: str, ruleset: Ruleset) -> Entry:
    """The entry with what the topics say of it."""
    tags, matches = ruleset.match(entry_text(entry, feed_url))
    return replace(entry, tags=tags, matches=matches) if tags or matches else entry


def entry_text(entry: Entry | StoredEntry, feed_url: str) -> EntryText:
    """What topic rules look at; a summary that only repeats the start of the text is left out."""
    summary = text.plain_text(entry.summary) if entry.content and entry.summary else ""
    if text.repeats(summary, entry.text):
        summary = ""
    categories = tuple(category.term for category in entry.categories)
    return EntryText(entry.title, summary, entry.text, categories, entry.language, feed_url)


def after_document(
    state: FeedState,
    document: Fetched,
    thought: Thought,
    body_hash: bytes | None,
    now: datetime,
    answered_at: datetime,
) -> FeedState:
    """The feed's state after a document was read.

    Args:
        state: before.
        document: what came; by a redirect from `state.url`, if that has moved.
        thought: what it means.
        body_hash: of its body.
        now: the beginning of the poll.
        answered_at: when the document came.
    """
    parsed = thought.parsed
    before = state
    elsewhere = _leads_elsewhere(before, document, thought)
    said = before if elsewhere else parsed
    given = (entry.published_at or entry.updated_at for entry in parsed.entries)
    dates = [date for date in given if date is not None]
    profile = cadence.learn(before.profile, dates, now)
    hub_url, topic_url = websub.discovered(document, parsed) or (None, None)
    state = _after_answer(state, document, now, answered_at, elsewhere)
    has_news = _has_news(thought.changes)
    return replace(
        state,
        title=said.title or state.title,
        site_url=said.site_url or state.site_url,
        language=said.language or state.language,
        description=said.description or state.description,
        icon_url=said.icon_url or state.icon_url,
        validators=document.validators,
        identity=thought.identity,
        # A delta (RFC 3229) names what is new; what it leaves out still stands in the feed.
        body_hash=before.body_hash if document.delta else body_hash,
        last_changed_at=(before.last_changed_at or now) if document.delta else now,
        length=before.length if document.delta else len(parsed.entries),
        per_day=_rhythm(before, document, thought, dates, profile, now),
        profile=profile,
        hint=parsed.hint,
        skip_hours=parsed.skip_hours,
        skip_days=parsed.skip_days,
        silent_since=None if has_news else before.silent_since,
        outage=timedelta() if has_news else state.outage,
        hub_url=hub_url,
        topic_url=topic_url,
    )


def _has_news(changes: Sequence[EntryChange]) -> bool:
    return any(isinstance(change, New) for change in changes)


def _is_same(before: FeedState, thought: Thought, since: datetime | None = None) -> bool:
    """Whether a document is of the feed that was read before: by its title, or an entry known from before `since`."""
    return (before.title is not None and thought.parsed.title == before.title) or _knows(thought, since)


def _knows(thought: Thought, since: datetime | None) -> bool:
    """Whether an entry of a document is known, and was so before `since`, if that is given."""
    return thought.known_since is not None and (since is None or thought.known_since < since)


def _leads_elsewhere(before: FeedState, document: Fetched, thought: Thought) -> bool:
    """Whether a document came by a permanent redirect, and is of another feed than the one that was read before."""
    if document.moved_to is None or before.last_changed_at is None:
        return False
    # What has come by this redirect meanwhile proves nothing.
    return not _is_same(before, thought, before.moved_since if document.moved_to == before.moved_to else None)


def _rhythm(
    before: FeedState,
    document: Fetched,
    thought: Thought,
    dates: Sequence[datetime],
    profile: Profile | None,
    now: datetime,
) -> float | None:
    """Entries a day: by the dates of a whole document, else by how many are new since the one before."""
    per_day = None if document.delta else cadence.rhythm(dates, now, profile)
    if per_day is None and before.last_success_at is not None:
        new = sum(isinstance(change, New) for change in thought.changes)
        return cadence.carried_on(before.per_day, before.length, new, before.last_success_at, now, profile)
    return per_day


def after_nothing_new(
    state: FeedState, answer: Fetched | NotModified, now: datetime, answered_at: datetime
) -> FeedState:
    """The feed's state after a 304, or a document with the bytes of the one before.

    Validators are taken over all the same: servers renew them (RFC 9110 §15.4.5).

    Args:
        state: before.
        answer: what came.
        now: the beginning of the poll.
        answered_at: when the answer came.
    """
    per_day = state.per_day
    if state.last_polled_at is not None:
        per_day = cadence.carried_on(per_day, state.length, 0, state.last_polled_at, now, state.profile)
    elsewhere = state.moved_to == answer.moved_to and not state.moved_times
    state = _after_answer(state, answer, now, answered_at, elsewhere)
    return replace(state, validators=answer.validators, per_day=per_day)


def _doubts_304(state: FeedState, now: datetime) -> bool:
    """Whether to ask for the whole document: once a week while the feed is silent beyond its rhythm."""
    if state.silent_since is None or state.last_polled_at is None:
        return False
    return (now - state.silent_since) // WHOLE_EVERY > (
        state.last_polled_at - state.silent_since
    ) // WHOLE_EVERY


def _looks_again(claim: Claim, failed: PollOutcome, now: datetime) -> bool:
    """Whether the subscribed address is to be asked again, for the one that was found or moved to fails: once a day.

    Where the server says that there is none, at once; where it may be down for a while, after a day.
    """
    before = claim.state
    if before.url == claim.subscription.url:
        return False
    missing = failed.http_status in (404, 410)
    if before.failing_since is None or before.last_polled_at is None:
        return missing
    days = (now - before.failing_since) // LOOK_AGAIN_EVERY
    return (missing or failed.failure in _DEAD) and days > (
        before.last_polled_at - before.failing_since
    ) // LOOK_AGAIN_EVERY


def _after_answer(
    state: FeedState, answer: Fetched | NotModified, now: datetime, answered_at: datetime, elsewhere: bool
) -> FeedState:
    fresh_for, moved_to = answer.fresh_for, answer.moved_to
    if fresh_for is None and isinstance(answer, NotModified):
        fresh_for = state.fresh_for  # what a 304 does not mention stays as it was (RFC 9111 §3.2, §4.3.4)
    outage = state.outage
    if state.failing_since is not None:
        outage += max(now - state.failing_since, timedelta())
    state = replace(
        state,
        status=FeedStatus.ACTIVE,
        http_status=answer.http_status,
        last_error=None,
        failures=0.0,
        failing_since=None,
        last_polled_at=now,
        last_success_at=now,
        fresh_for=fresh_for or None,
        fresh_until=answered_at + fresh_for if fresh_for else None,
        outage=outage,
    )
    if moved_to is None or moved_to == state.url:
        if not (state.moved_to or state.moved_since or state.moved_times):
            return state
        return replace(state, moved_to=None, moved_since=None, moved_times=0)
    since, times = now, 0
    if moved_to == state.moved_to and state.moved_since is not None:
        since, times = state.moved_since, state.moved_times
    if not elsewhere:
        times += 1
        if times >= MOVED_TIMES and now - since >= MOVED_FOR:
            log.info("%s has moved to %s for good", state.url, moved_to)
            return replace(state, url=moved_to, moved_to=None, moved_since=None, moved_times=0)
    return replace(state, moved_to=moved_to, moved_since=since, moved_times=times)


def _is_gap(state: FeedState, document: Fetched, thought: Thought) -> bool:
    """Whether entries may have been missed between what is stored and a document: not one of its entries is known."""
    return (
        state.last_changed_at is not None
        and bool(thought.parsed.entries)
        and thought.known_since is None
        and not document.delta
        and not _leads_elsewhere(state, document, thought)
    )


def after_failure(state: FeedState, failure: FetchFailure, now: datetime) -> FeedState:
    """The feed's state after a failed poll; nothing that was known is forgotten."""
    return replace(
        state,
        status=FeedStatus.GONE if failure.kind is FailureKind.GONE else FeedStatus.FAILING,
        http_status=failure.http_status,
        last_error=failure.message,
        failures=state.failures + cadence.WEIGHTS[failure.kind],
        failing_since=state.failing_since or now,
        last_polled_at=now,
    )


def _older(parsed: ParsedFeed) -> str | None:
    return parsed.next_url or parsed.previous_archive_url


def _hash(body: bytes) -> bytes:
    return blake2b(body, digest_size=16).digest()


# --------------------------------------------------------------------------------- conducting


@dataclass(frozen=True, slots=True)
class Walk:
    """What came of reading a feed's older pages.

    Attributes:
        changes: entries that only they have.
        url, since: the page that is still to be read, and since when; None where they met what was stored.
        failure: why the last one could not be read.
    """

    changes: tuple[New, ...] = ()
    url: str | None = None
    since: datetime | None = None
    failure: FetchFailure | None = None


async def documents_behind(
    fetcher: Fetcher, page: Fetched, executor: Executor | None = None
) -> AsyncIterator[tuple[str, Fetched | FetchFailure]]:
    """What stands at the addresses where a page's feed may be, the likeliest first, with each address."""
    loop = asyncio.get_running_loop()
    candidates = await loop.run_in_executor(executor, discover.find, page.body, page.url, page.links)
    for candidate in candidates[:CANDIDATES]:
        if candidate.url != page.url:
            document = await fetcher.fetch(candidate.url)
            if not isinstance(document, NotModified):
                yield candidate.url, document


async def find_feed(fetcher: Fetcher, url: str) -> tuple[str, ParsedFeed] | FetchFailure:
    """The feed at an address, or behind it, and the feed's own address."""
    page = await fetcher.fetch(url)
    if isinstance(page, FetchFailure):
        return page
    if not isinstance(page, Fetched):
        return FetchFailure(FailureKind.SERVER, "it answered 304 without having been asked to", 304)
    try:
        return url, parse.parse(page.body, url=page.url, content_type=page.content_type)
    except ParseError as error:
        problem = str(error)
    async for found, document in documents_behind(fetcher, page):
        if isinstance(document, FetchFailure):
            continue
        try:
            return found, parse.parse(document.body, url=document.url, content_type=document.content_type)
        except ParseError:
            continue
    return FetchFailure(FailureKind.NOT_A_FEED, f"{problem}; nor is there a feed where it points to")


@dataclass(slots=True)
class Summary:
    """What a pass did; the numbers of `aggregator poll --json`."""

    feeds: int = 0
    changed: int = 0
    unchanged: int = 0
    not_modified: int = 0
    failed: int = 0
    entries_new: int = 0
    entries_revised: int = 0
    unrecorded: int = 0
    failures: list[PollOutcome] = field(default_factory=list)

    def add(self, outcome: PollOutcome, recorded: Recorded) -> None:
        """Count one poll."""
        self.feeds += 1
        setattr(self, outcome.result.value, getattr(self, outcome.result.value) + 1)
        self.entries_new += recorded.entries_new
        self.entries_revised += recorded.entries_revised
        if outcome.result is PollResult.FAILED:
            self.failures.append(outcome)


class _EndError(BaseException):
    """The end has come: what the worker has not done by now is left undone. Nobody takes it for a fault."""


class Poller:
    """Conducts polls on one event loop. Use it as an async context manager.

    Args:
        store: where feeds are claimed and outcomes recorded.
        fetcher: the door to the network.
        ruleset: gives the compiled topics; asked for once a document has come.
        concurrency: polls in flight at once.
        per_host: feeds of one host that are polled at once, by all programs on this store together.
        spacing: time between two polls of one host, likewise.
        retry_after: whether `Retry-After` holds for all feeds of the `host`, for those of all hosts of its
            registrable `domain`, or for the one `feed`.
        clock: the time.
        on_recorded: called on the event loop for each poll once it is stored.
        give_way: called in the worker before each piece of work; may wait a moment for what is more urgent.
        chance: a number from [0, 1), for spreading polls.
        budget: requests a day for all feeds together; None: no budget.
        link: finds what new and revised entries belong to; None: each is an article of its own.

    Attributes:
        unrecorded: how many polls were lost because the store could not be written.
    """

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        ruleset: Callable[[], Ruleset],
        *,
        concurrency: int,
        per_host: int,
        spacing: timedelta = timedelta(),
        retry_after: str = "host",
        clock: Callable[[], datetime],
        on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None,
        give_way: Callable[[], None] = lambda: None,
        chance: Callable[[], float] = random.random,
        budget: int | None = None,
        link: Callable[[Links, Sequence[int]], None] | None = None,
    ) -> None:
        self._store = store
        self._fetcher = fetcher
        self._ruleset = ruleset
        self._capacity = 2 * concurrency
        self._per_host = per_host
        self._spacing = spacing
        self._retry_after = retry_after
        self._clock = clock
        self._on_recorded = on_recorded
        self._give_way = give_way
        self._chance = chance
        self._budget = budget
        self._link = link
        self._price = cadence.PRICE
        self._priced_at: datetime | None = None
        self._looked_at: datetime | None = None
        self.unrecorded = 0
        self._tasks: dict[asyncio.Task[None], Claim] = {}
        self._freed = asyncio.Event()
        self._claiming: asyncio.Task[int] | None = None
        self._stopping = self._over = False
        self._waiting: list[tuple[PollOutcome, asyncio.Future[None]]] = []
        self._recording: asyncio.Task[None] | None = None
        self._full = asyncio.Event()
        self._thinking = asyncio.Semaphore(THINKING)
        # One thread both thinks and records: Python runs one at a time anyway, and passing the turn
        # between two cost an eighth more CPU in a refresh of 1,000 feeds.
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="worker")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def in_flight(self) -> int:
        """How many polls have begun and are not yet recorded."""
        return len(self._tasks)

    @property
    def _room(self) -> int:
        """How many polls may begin now; none until half have ended, for each claim looks through all that is due."""
        room = self._capacity - len(self._tasks)
        return room if room >= self._capacity // 2 else 0

    async def freed(self, within: timedelta | None) -> None:
        """Wait until polls have ended and others may begin, but not for longer than `within`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if within is None else within.total_seconds()):
                await self._freed.wait()
        self._freed.clear()

    async def start_due(self, *, due_by: datetime | None = None, among: Sequence[int] | None = None) -> int:
        """Claim what is due, as far as there is room, and begin to poll it; returns how many."""
        if self._stopping or not self._room:
            return 0
        # In a task of its own: whoever gives up waiting for it leaves no feed claimed by nobody.
        self._claiming = asyncio.create_task(self._start(self._room, due_by, among))
        return await asyncio.shield(self._claiming)

    async def _start(self, room: int, due_by: datetime | None, among: Sequence[int] | None) -> int:
        now = self._clock()
        put_back = self._looked_at is None or now < self._looked_at
        self._looked_at = now
        if put_back and (mended := await self._on_worker(lambda: self._store.mend_clock(now))):
            log.warning("the clock was put back: %d feeds are polled now instead of by the old time", mended)
        if self._budget is not None and not self._is_priced(now):
            self._price = await self._on_worker(self._found_price)
            self._priced_at = now
        claims = await self._on_worker(
            lambda: self._store.claim(
                self._clock(),  # by now: the worker may have been busy, and hosts rest from here on
                due_by=due_by or now,
                limit=room,
                per_host=self._per_host,
                spacing=self._spacing,
                lease=LEASE,
                among=among,
            )
        )
        for claim in claims:
            task = asyncio.create_task(self._poll_and_record(claim))
            self._tasks[task] = claim
            task.add_done_callback(self._ended)
        return len(claims)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if self._room:
            self._freed.set()

    def _is_priced(self, now: datetime) -> bool:
        return self._priced_at is not None and timedelta() <= now - self._priced_at < PRICED_FOR

    def _found_price(self) -> timedelta:
        outlooks = [cadence.outlook(state, every) for state, every in self._store.polled()]
        return cadence.price(outlooks, self._budget)

    async def run(self, *, among: Sequence[int] | None = None) -> None:
        """One pass over all that is due at its start."""
        due_by = self._clock()
        while True:
            await self.start_due(due_by=due_by, among=among)
            if self._tasks:
                # Not for longer than a host's rest: another of its feeds may be next.
                await self.freed(self._spacing or None)
            elif await self._on_worker(lambda: self._rests(due_by, among)):
                await asyncio.sleep(REST_STEP)
            else:
                return

    def _rests(self, due_by: datetime, among: Sequence[int] | None) -> bool:
        """Whether feeds of this pass wait for nothing but their host's rest."""
        return self._spacing > timedelta() and self._store.resting(
            self._clock(), due_by=due_by, spacing=self._spacing, among=among
        )

    async def stop(self, grace: float = 3.0) -> None:
        """Let polls end for `grace` seconds, what has ended be recorded for a second more, and give back the rest."""
        self._stopping = True
        loop = asyncio.get_running_loop()
        end = loop.time() + grace
        if self._claiming is not None:
            await asyncio.wait({self._claiming}, timeout=grace)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=max(0.0, end - loop.time()))
        unfinished = self._cancelled()
        under_way = {task for task in (self._claiming, self._recording) if task is not None}
        if under_way:
            await asyncio.wait(under_way, timeout=RECORDING)
        self._over = True
        await asyncio.gather(*under_way, return_exceptions=True)
        unfinished |= self._cancelled()  # polls of feeds that were claimed meanwhile
        await asyncio.gather(*unfinished, return_exceptions=True)
        if unfinished:
            try:
                await loop.run_in_executor(self._worker, self._store.release, unfinished.values())
            except StoreError as error:
                log.warning("%d feeds stay claimed for up to %s: %s", len(unfinished), LEASE, error)
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _cancelled(self) -> dict[asyncio.Task[None], Claim]:
        """Break off all polls; returns them."""
        for task in self._tasks:
            task.cancel()
        return dict(self._tasks)

    async def _poll_and_record(self, claim: Claim) -> None:
        outcome = await self._poll(claim)
        recorded = asyncio.get_running_loop().create_future()
        self._waiting.append((outcome, recorded))
        if self._recording is None or self._recording.done():
            self._recording = asyncio.create_task(self._record_groups())
        if len(self._waiting) >= GROUP:
            self._full.set()
        await recorded

    async def _record_groups(self) -> None:
        """Record what is waiting, and what gathers meanwhile, until nothing waits."""
        while self._waiting:
            self._full.clear()
            if len(self._waiting) < min(GROUP, len(self._tasks)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._full.wait(), GATHER)
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            try:
                await self._record([outcome for outcome, _ in group])
            except Exception:
                log.exception("a fault of ours while recording %d polls", len(group))
            finally:
                for _, recorded in group:
                    if not recorded.done():
                        recorded.set_result(None)

    async def _record(self, outcomes: Sequence[PollOutcome]) -> None:
        try:
            results = await self._on_worker(
                lambda: self._store.record(outcomes, self._clock(), self._link, self._go_on)
            )
        except _EndError:
            return  # rolled back, and given back
        except StoreError as error:
            # Only work is lost: the leases end, and the feeds are polled again.
            self.unrecorded += len(outcomes)
            log.error("%d polls could not be recorded: %s", len(outcomes), error)  # noqa: TRY400 – no traceback
            return
        except Exception:
            if len(outcomes) > 1:  # one that cannot be stored must not take the others with it
                for outcome in outcomes:
                    await self._record([outcome])
                return
            (outcome,) = outcomes
            claim = outcome.claim
            log.exception("the poll of %s could not be recorded", claim.state.url)
            if outcome.failure is FailureKind.INTERNAL:  # not even that it failed
                self.unrecorded += 1
                return
            failure = FetchFailure(FailureKind.INTERNAL, "its entries could not be stored; see the log")
            await self._record([self._failed(claim, failure, outcome.started_at)])
            return
        for outcome, recorded in zip(outcomes, results, strict=True):
            self._on_recorded(outcome, recorded)

    async def _poll(self, claim: Claim) -> PollOutcome:
        started_at = self._clock()
        try:
            async with asyncio.timeout(POLL_LIMIT.total_seconds()):
                return await self._attempt(claim, started_at)
        except TimeoutError:
            limit = POLL_LIMIT.total_seconds()
            failure = FetchFailure(FailureKind.TIMEOUT, f"not done within {limit:.0f} s, redirects included")
        except Exception as error:
            log.exception("a fault of ours while polling %s", claim.state.url)
            failure = FetchFailure(
                FailureKind.INTERNAL, f"a fault of aggregator itself: {masked(repr(error))}; see the log"
            )
        return self._failed(claim, failure, started_at)

    async def _attempt(self, claim: Claim, started_at: datetime) -> PollOutcome:
        before = claim.state
        outcome = await self._ask(claim, before, started_at, discover=before.last_changed_at is None)
        if outcome.result is PollResult.FAILED and _looks_again(claim, outcome, started_at):
            home = replace(
                before,
                url=claim.subscription.url,
                discovered=False,
                validators=Validators(),
                body_hash=None,
            )
            again = await self._ask(claim, home, started_at, discover=before.discovered)
            if again.result is not PollResult.FAILED:
                return again
            return replace(outcome, hold=outcome.hold or again.hold)
        return outcome

    async def _ask(
        self, claim: Claim, state: FeedState, started_at: datetime, *, discover: bool
    ) -> PollOutcome:
        """Ask for the document at the state's address.

        Args:
            claim: the feed.
            state: its state before; the address may be another than that of `claim.state`.
            started_at: when the poll began.
            discover: look for the feed behind what is none. Not where a feed has been read: what stands in its
                place may be gone tomorrow, and leads to another feed more often than to this one.
        """
        validators = Validators() if _doubts_304(state, started_at) else state.validators
        answer = await self._fetcher.fetch(state.url, validators)
        answered_at = self._clock()
        if isinstance(answer, FetchFailure):
            return self._failed(claim, answer, started_at)
        body_hash = None if isinstance(answer, NotModified) else _hash(answer.body)
        if isinstance(answer, NotModified) or body_hash == state.body_hash:
            walk = await self._walk_back(claim, state, started_at)
            result = PollResult.NOT_MODIFIED if body_hash is None else PollResult.UNCHANGED
            state = after_nothing_new(state, answer, started_at, answered_at)
            return self._walked(claim, result, state, started_at, answer.http_status, (), walk)
        try:
            thought = await self._think(answer, claim)
        except ParseError as problem:
            failure = FetchFailure(FailureKind.NOT_A_FEED, str(problem), http_status=answer.http_status)
            if discover:
                return await self._discover(claim, state, answer, failure, started_at)
            return self._failed(claim, failure, started_at)
        return await self._read(claim, state, answer, body_hash, thought, started_at, answered_at)

    async def _discover(
        self, claim: Claim, state: FeedState, page: Fetched, failure: FetchFailure, started_at: datetime
    ) -> PollOutcome:
        """What came is no feed, which is the `failure`: look for the feed behind it.

        Where one was read before, no other is taken for it.
        """
        async for url, document in documents_behind(self._fetcher, page, self._worker):
            answered_at = self._clock()
            if isinstance(document, FetchFailure):
                if document.retry_after:
                    failure = replace(failure, retry_after=document.retry_after, url=document.url)
                    break
                continue
            try:
                thought = await self._think(document, claim)
            except ParseError:
                continue
            if state.last_changed_at is not None and not _is_same(state, thought):
                log.info("%s is another feed than that of %s", url, claim.subscription.url)
                continue
            log.info("the feed of %s is %s", claim.subscription.url, url)
            state, body_hash = replace(state, url=url, discovered=True), _hash(document.body)
            return await self._read(claim, state, document, body_hash, thought, started_at, answered_at)
        return self._failed(claim, failure, started_at)

    async def _read(
        self,
        claim: Claim,
        state: FeedState,
        document: Fetched,
        body_hash: bytes | None,
        thought: Thought,
        started_at: datetime,
        answered_at: datetime,
    ) -> PollOutcome:
        """The document at the state's address has been read: what it, and what older pages bring."""
        walk = await self._walk_back(claim, state, started_at, document, thought)
        if walk is not None:
            thought = replace(thought, changes=(*thought.changes, *walk.changes))
        state = after_document(state, document, thought, body_hash, started_at, answered_at)
        status = document.http_status
        return self._walked(claim, PollResult.CHANGED, state, started_at, status, thought.changes, walk)

    async def _walk_back(
        self,
        claim: Claim,
        state: FeedState,
        started_at: datetime,
        document: Fetched | None = None,
        thought: Thought | None = None,
    ) -> Walk | None:
        """Read older pages of a feed until they meet what was stored before (RFC 5005 §3 and §4).

        After an outage or a burst a document may share nothing with the one before: what lies between would be
        lost. A feed's first document meets nothing, and is not followed; nor is a delta, which is all that is new.
        A page that cannot be read now is kept in mind for the next poll.

        Returns:
            None where there is no reason to.
        """
        url, since = state.gap_url, state.gap_since
        if since is not None and started_at - since > GAP_KEPT:
            url = since = None
        changes: dict[str, New] = {}
        if document is not None and thought is not None:
            changes = {change.entry.key: change for change in thought.changes if isinstance(change, New)}
            if _is_gap(state, document, thought):
                url = _older(thought.parsed) or url
        if url is None:
            return Walk() if state.gap_url else None
        listed, seen, failure = len(changes), set[str](), None
        while url is not None and url not in seen and len(seen) < PAGES:
            if not await self._turn(claim, url, started_at + WALK_LIMIT):
                break
            seen.add(url)
            found = await self._page(claim, url)
            if isinstance(found, FetchFailure):
                failure = found
                if failure.kind not in _PASSING:
                    log.info("older entries of %s are out of reach: %s", masked(state.url), failure.message)
                    url = None
                break
            for change in found.changes:
                if isinstance(change, New):
                    changes.setdefault(change.entry.key, change)
            met = _knows(found, since)
            url = None if met else _older(found.parsed)
        else:
            url = None
        return Walk(tuple(changes.values())[listed:], url, (since or started_at) if url else None, failure)

    async def _page(self, claim: Claim, url: str) -> Thought | FetchFailure:
        page = await self._fetcher.fetch(url)
        if isinstance(page, FetchFailure):
            return page
        try:
            if isinstance(page, Fetched):
                thought = await self._think(page, claim)
                self._fetcher.give_back(page)
                return thought
            problem = "it answered 304 without having been asked to"
        except ParseError as error:
            problem = str(error)
        return FetchFailure(FailureKind.NOT_A_FEED, problem)

    async def _turn(self, claim: Claim, url: str, until: datetime) -> bool:
        """Wait until the host of an address has rested since its last request; False where that takes too long."""
        while self._clock() <= until:
            if not self._spacing:
                return True
            try:
                if await self._on_worker(
                    lambda: self._store.take_turn(claim, host(url), self._clock(), self._spacing)
                ):
                    return True
            except StoreError:  # another program holds it: this is no reason to lose the poll
                return False
            await asyncio.sleep(REST_STEP)
        return False

    def _walked(
        self,
        claim: Claim,
        result: PollResult,
        state: FeedState,
        started_at: datetime,
        http_status: int,
        changes: tuple[EntryChange, ...],
        walk: Walk | None,
    ) -> PollOutcome:
        """How a poll ends that may have read older pages, too; `changes` hold theirs where a document came."""
        if walk is None:
            return self._done(claim, result, state, started_at, http_status, changes)
        state = replace(state, gap_url=walk.url, gap_since=walk.since)
        if walk.changes:
            changes = changes or walk.changes
            state = replace(state, silent_since=None, outage=timedelta())
        hold = None
        if walk.failure is not None:
            hold = self._hold(claim, walk.failure, self._clock(), self._chance())
        return self._done(claim, result, state, started_at, http_status, changes, hold)

    async def _think(self, document: Fetched, claim: Claim) -> Thought:
        async with self._thinking:
            return await self._on_worker(
                lambda: think(document, claim, self._store.known, self._ruleset(), self._give_way)
            )

    def _done(
        self,
        claim: Claim,
        result: PollResult,
        state: FeedState,
        started_at: datetime,
        http_status: int | None,
        changes: tuple[EntryChange, ...] = (),
        hold: Hold | None = None,
    ) -> PollOutcome:
        now = self._clock()
        every = claim.subscription.every
        return PollOutcome(
            claim=claim,
            result=result,
            state=cadence.next_poll(state, every=every, now=now, chance=self._chance(), price=self._price),
            started_at=started_at,
            seconds=(now - started_at).total_seconds(),
            http_status=http_status,
            changes=changes,
            events=health.crossed(claim.state, state, news=_has_news(changes)),
            hold=hold,
        )

    def _failed(self, claim: Claim, failure: FetchFailure, started_at: datetime) -> PollOutcome:
        now, chance = self._clock(), self._chance()
        state = cadence.next_poll(
            after_failure(claim.state, failure, started_at),
            every=claim.subscription.every,
            now=now,
            chance=chance,
            retry_after=failure.retry_after,
            price=self._price,
        )
        return PollOutcome(
            claim=claim,
            result=PollResult.FAILED,
            state=state,
            started_at=started_at,
            seconds=(now - started_at).total_seconds(),
            http_status=failure.http_status,
            error=failure.message,
            hold=self._hold(claim, failure, now, chance),
            failure=failure.kind,
            events=health.crossed(claim.state, state),
        )

    def _hold(self, claim: Claim, failure: FetchFailure, now: datetime, chance: float) -> Hold | None:
        """The pause that the server which failed asks for, whichever address of a poll that was."""
        if not failure.retry_after:
            return None
        url = failure.url or claim.state.url
        if failure.retry_after > cadence.LONGEST_RETRY_AFTER:
            log.warning(
                "%s asks for a pause of %.0f hours, and is asked again after %.0f",
                masked(url),
                failure.retry_after / timedelta(hours=1),
                cadence.LONGEST_RETRY_AFTER / timedelta(hours=1),
            )
        return Hold(
            until=cadence.end_of_pause(failure.retry_after, now, chance),
            host=None if self._retry_after == "feed" else host(url),
            domain=registrable_domain(url) if self._retry_after == "domain" else None,
        )

    async def _on_worker(self, work: Callable[[], T]) -> T:
        def in_turn() -> T:
            self._go_on()
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._worker, in_turn)

    def _go_on(self) -> None:
        """Let what is more urgent go first; called in the worker before each piece of work.

        Raises:
            _EndError: there is no time for it.
        """
        self._give_way()
        if self._over:
            raise _EndError
