"""The inward journey: claim due feeds, fetch them side by side, think off the event loop, record in groups.

    claim → fetch ─ 304 or the same bytes ───────────────┐
                  └ document → think → changes ──────────┤
                  └ HTML → discover → fetch the feed ────┤
                  └ failure ─────────────────────────────┴→ next state → record, one transaction a group

`think` is pure but for one look-up of what is known; it runs in a worker thread, so that the event
loop only ever moves bytes. A poll cannot raise: whatever happens ends in an outcome.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Self, TypeVar

from aggregator import cadence, discover, duplicates, health, parse, places, text, websub
from aggregator.errors import ParseError, StoreError
from aggregator.fetch import Fetcher
from aggregator.fetch.domain import registrable_domain
from aggregator.model import (
    Claim,
    Entry,
    EntryChange,
    EntryText,
    FailureKind,
    FeedState,
    FeedStatus,
    Fetched,
    FetchFailure,
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
)
from aggregator.store import Links, Recorded, Store
from aggregator.text import masked
from aggregator.topics import Ruleset

log = logging.getLogger(__name__)

T = TypeVar("T")

LEASE = timedelta(minutes=10)
"""How long a claimed feed is ours: well over the longest poll."""
POLL_LIMIT = timedelta(minutes=5)
"""Limit on one poll with all its redirects and discovery."""
GROUP = 64
"""Outcomes that are recorded in one transaction without waiting for more."""
PRICED_FOR = timedelta(hours=1)
"""How long the price that keeps to the budget holds before it is found anew."""
REST_STEP = 0.2
"""How often, in seconds, a pass looks whether the last hosts have rested."""
GATHER = 0.1
"""How long, in seconds, an outcome waits for others to be recorded with."""
THINKING = 2
"""Documents in the worker's queue at once: behind more, what is to be recorded would wait and fill the memory."""
PAGES = 20
"""How many older pages are read where a document shares nothing with the one before."""
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

Lookup = Callable[[int, Sequence[str], Sequence[int]], tuple[Collection[Known], Collection[str]]]
"""`Store.known`: what is stored of a feed's entries."""


@dataclass(frozen=True, slots=True)
class Thought:
    """What a document means for a feed."""

    parsed: ParsedFeed
    identity: Identity
    changes: tuple[EntryChange, ...]


# ------------------------------------------------------------------------------------ thinking


def think(document: Fetched, claim: Claim, lookup: Lookup, ruleset: Ruleset) -> Thought:
    """Read a document and decide what is new in it; only new and changed entries cost any work.

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
    ready = _ready(fresh, claim, ruleset, outlet)
    changes: list[EntryChange] = []
    for verdict in verdicts:
        entry = ready.get(verdict.keyed.key)
        if verdict.known is None:
            changes += [New(entry)] if entry else []
        elif entry:
            changes.append(Revised(verdict.known.entry_id, entry))
        else:
            changes.append(Seen(verdict.known.entry_id))
    return Thought(parsed, identity, tuple(changes))


def _ready(
    fresh: Sequence[duplicates.Keyed], claim: Claim, ruleset: Ruleset, outlet: str | None
) -> dict[str, Entry]:
    """Entries clean and tagged, by key; one that we cannot read, for a fault of ours, takes no other with it."""
    try:
        # Step by step for all, not entry by entry: the tables of each step stay in the processor's cache.
        cleaned = [clean(keyed, claim.subscription.language, outlet) for keyed in fresh]
        return {entry.key: tagged(entry, claim.state.url, ruleset) for entry in cleaned}
    except Exception:
        if len(fresh) > 1:
            return {
                key: entry for one in fresh for key, entry in _ready([one], claim, ruleset, outlet).items()
            }
        log.exception("an entry of %s is left out: %s", claim.state.url, fresh[0].key)
        return {}


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
    if summary and entry.text.startswith(summary[:60].rstrip("… .[")):
        summary = ""
    categories = tuple(category.term for category in entry.categories)
    return EntryText(entry.title, summary, entry.text, categories, entry.language, feed_url)


def after_document(
    state: FeedState, document: Fetched, thought: Thought, body_hash: bytes, now: datetime
) -> FeedState:
    """The feed's state after a document was read."""
    parsed = thought.parsed
    before = state
    given = (entry.published_at or entry.updated_at for entry in parsed.entries)
    dates = [date for date in given if date is not None]
    profile = cadence.learn(before.profile, dates, now)
    hub_url, topic_url = websub.discovered(document, parsed) or (None, None)
    state = _after_answer(state, document.http_status, document.fresh_for, document.moved_to, now)
    return replace(
        state,
        title=parsed.title or state.title,
        site_url=parsed.site_url or state.site_url,
        language=parsed.language or state.language,
        description=parsed.description or state.description,
        icon_url=parsed.icon_url or state.icon_url,
        validators=document.validators,
        identity=thought.identity,
        # A delta (RFC 3229) names what is new; what it leaves out still stands in the feed.
        body_hash=before.body_hash if document.delta else body_hash,
        last_changed_at=(before.last_changed_at or now) if document.delta else now,
        length=before.length if document.delta else len(parsed.entries),
        per_day=_rhythm(before, thought, dates, profile, now),
        profile=profile,
        hint=parsed.hint,
        skip_hours=parsed.skip_hours,
        skip_days=parsed.skip_days,
        silent_since=None if _has_news(thought.changes) else before.silent_since,
        hub_url=hub_url,
        topic_url=topic_url,
    )


def _has_news(changes: Sequence[EntryChange]) -> bool:
    return any(isinstance(change, New) for change in changes)


def _rhythm(
    before: FeedState, thought: Thought, dates: Sequence[datetime], profile: Profile | None, now: datetime
) -> float | None:
    """Entries a day: by the document's dates, or where it has none by how many are new since the one before."""
    per_day = cadence.rhythm(dates, now, profile)
    if per_day is None and before.last_changed_at is not None:
        new = sum(isinstance(change, New) for change in thought.changes)
        elapsed = max(now - before.last_changed_at, cadence.BUSIEST)
        return new / (elapsed / timedelta(days=1)) if new else before.per_day
    return per_day


def after_nothing_new(
    state: FeedState,
    http_status: int,
    validators: Validators,
    fresh_for: timedelta | None,
    moved_to: str | None,
    now: datetime,
) -> FeedState:
    """The feed's state after a 304, or a document with the bytes of the one before.

    Validators are taken over all the same: servers renew them (RFC 9110 §15.4.5).
    """
    per_day = state.per_day
    if state.last_polled_at is not None:
        per_day = cadence.slowed(per_day, state.length, state.last_polled_at, now, state.profile)
    state = _after_answer(state, http_status, fresh_for, moved_to, now)
    return replace(state, validators=validators, per_day=per_day)


def _doubts_304(state: FeedState, now: datetime) -> bool:
    """Whether to ask for the whole document: once a week while the feed is silent beyond its rhythm."""
    if state.silent_since is None or state.last_polled_at is None:
        return False
    return (now - state.silent_since) // WHOLE_EVERY > (
        state.last_polled_at - state.silent_since
    ) // WHOLE_EVERY


def _looks_again(claim: Claim, failed: PollOutcome, now: datetime) -> bool:
    """Whether the site may by now have another feed than the one that was discovered: looked for once a day.

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
    state: FeedState, http_status: int, fresh_for: timedelta | None, moved_to: str | None, now: datetime
) -> FeedState:
    state = replace(
        state,
        status=FeedStatus.ACTIVE,
        http_status=http_status,
        last_error=None,
        failures=0.0,
        failing_since=None,
        last_polled_at=now,
        last_success_at=now,
        fresh_until=now + fresh_for if fresh_for else None,
    )
    if moved_to is None or moved_to == state.url:
        if not (state.moved_to or state.moved_since or state.moved_times):
            return state
        return replace(state, moved_to=None, moved_since=None, moved_times=0)
    if moved_to != state.moved_to or state.moved_since is None:
        return replace(state, moved_to=moved_to, moved_since=now, moved_times=1)
    times = state.moved_times + 1
    if times >= MOVED_TIMES and now - state.moved_since >= MOVED_FOR:
        log.info("%s has moved to %s for good", state.url, moved_to)
        return replace(state, url=moved_to, moved_to=None, moved_since=None, moved_times=0)
    return replace(state, moved_times=times)


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


# --------------------------------------------------------------------------------- conducting


async def documents_behind(
    fetcher: Fetcher, page: Fetched, executor: Executor | None = None
) -> AsyncIterator[tuple[str, Fetched]]:
    """What stands at the addresses where a page's feed may be, the likeliest first, with each address."""
    loop = asyncio.get_running_loop()
    candidates = await loop.run_in_executor(executor, discover.find, page.body, page.url, page.links)
    for candidate in candidates[:CANDIDATES]:
        if candidate.url != page.url:
            document = await fetcher.fetch(candidate.url)
            if isinstance(document, Fetched):
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
        self._stopping = False
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
                now,
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
        """Let polls end for `grace` seconds, record what has, and give back the rest."""
        self._stopping = True
        if self._claiming is not None:
            await asyncio.gather(self._claiming, return_exceptions=True)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        unfinished = dict(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        if self._recording is not None:
            await asyncio.gather(self._recording, return_exceptions=True)
        if unfinished:
            try:
                await self._on_worker(lambda: self._store.release(unfinished.values()))
            except StoreError as error:
                log.warning("%d feeds stay claimed for up to %s: %s", len(unfinished), LEASE, error)
        self._worker.shutdown(wait=True, cancel_futures=True)

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
            group, self._waiting = self._waiting, []
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
                lambda: self._store.record(outcomes, self._clock(), self._link, self._give_way)
            )
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
        outcome = await self._ask(claim, claim.state, started_at)
        if outcome.result is PollResult.FAILED and _looks_again(claim, outcome, started_at):
            home = replace(claim.state, url=claim.subscription.url, validators=Validators(), body_hash=None)
            again = await self._ask(claim, home, started_at)
            if again.result is not PollResult.FAILED:
                return again
        return outcome

    async def _ask(self, claim: Claim, state: FeedState, started_at: datetime) -> PollOutcome:
        """Ask for the document at the state's address."""
        validators = Validators() if _doubts_304(state, started_at) else state.validators
        result = await self._fetcher.fetch(state.url, validators)
        if isinstance(result, FetchFailure):
            return self._failed(claim, result, started_at)
        if isinstance(result, NotModified):
            state = after_nothing_new(
                state, 304, result.validators, result.fresh_for, result.moved_to, started_at
            )
            return self._done(claim, PollResult.NOT_MODIFIED, state, started_at, 304)
        body_hash = blake2b(result.body, digest_size=16).digest()
        if body_hash == state.body_hash:
            state = after_nothing_new(
                state, result.http_status, result.validators, result.fresh_for, result.moved_to, started_at
            )
            return self._done(claim, PollResult.UNCHANGED, state, started_at, result.http_status)
        try:
            thought = await self._think(result, claim)
        except ParseError as error:
            return await self._discover(claim, state, result, error, started_at)
        thought = await self._walk_back(claim, thought)
        state = after_document(state, result, thought, body_hash, started_at)
        return self._done(claim, PollResult.CHANGED, state, started_at, result.http_status, thought.changes)

    async def _walk_back(self, claim: Claim, thought: Thought) -> Thought:
        """Read older pages of a feed until they meet what is stored (RFC 5005 §3 and §4).

        After an outage or a burst a document may share nothing with the one before: what lies between
        would be lost. A feed's first document meets nothing, and is not followed.
        """
        if claim.state.last_changed_at is None:
            return thought
        changes = {change.entry.key: change for change in thought.changes if isinstance(change, New)}
        parsed, seen = thought.parsed, set[str]()
        while (
            0 < len(changes) == len(thought.changes)
            and (older := parsed.next_url or parsed.previous_archive_url)
            and older not in seen
            and len(seen) < PAGES
        ):
            seen.add(older)
            page = await self._fetcher.fetch(older)
            if not isinstance(page, Fetched):
                break
            try:
                found = await self._think(page, claim)
            except ParseError:
                break
            fresh = [change for change in found.changes if isinstance(change, New)]
            changes |= {c.entry.key: c for c in fresh if c.entry.key not in changes}
            thought = replace(thought, changes=tuple(changes.values()))
            parsed = found.parsed
            if len(fresh) < len(found.changes):
                break  # here they meet
        return thought

    async def _discover(
        self, claim: Claim, state: FeedState, page: Fetched, problem: ParseError, started_at: datetime
    ) -> PollOutcome:
        """What came is no feed: look for the feed behind it."""
        async for url, document in documents_behind(self._fetcher, page, self._worker):
            try:
                thought = await self._think(document, claim)
            except ParseError:
                continue
            log.info("the feed of %s is %s", claim.subscription.url, url)
            body_hash = blake2b(document.body, digest_size=16).digest()
            state = after_document(replace(state, url=url), document, thought, body_hash, started_at)
            return self._done(
                claim, PollResult.CHANGED, state, started_at, document.http_status, thought.changes
            )
        failure = FetchFailure(FailureKind.NOT_A_FEED, str(problem), http_status=page.http_status)
        return self._failed(claim, failure, started_at)

    async def _think(self, document: Fetched, claim: Claim) -> Thought:
        async with self._thinking:
            return await self._on_worker(lambda: think(document, claim, self._store.known, self._ruleset()))

    def _done(
        self,
        claim: Claim,
        result: PollResult,
        state: FeedState,
        started_at: datetime,
        http_status: int | None,
        changes: tuple[EntryChange, ...] = (),
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
        )

    def _failed(self, claim: Claim, failure: FetchFailure, started_at: datetime) -> PollOutcome:
        now = self._clock()
        state = cadence.next_poll(
            after_failure(claim.state, failure, started_at),
            every=claim.subscription.every,
            now=now,
            chance=self._chance(),
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
            holds_host=failure.retry_after is not None and self._retry_after != "feed",
            holds_domain=registrable_domain(state.url)
            if failure.retry_after is not None and self._retry_after == "domain"
            else None,
            failure=failure.kind,
            events=health.crossed(claim.state, state),
        )

    async def _on_worker(self, work: Callable[[], T]) -> T:
        def in_turn() -> T:
            self._give_way()
            return work()

        return await asyncio.get_running_loop().run_in_executor(self._worker, in_turn)
