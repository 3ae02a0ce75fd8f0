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
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self, TypeVar

from aggregator import cadence, discover, health, parse
from aggregator.errors import ParseError, StoreError
from aggregator.fetch import Fetcher
from aggregator.fetch.domain import registrable_domain
from aggregator.model import (
    Claim,
    EntryChange,
    FailureKind,
    FeedState,
    Fetched,
    FetchFailure,
    Hold,
    New,
    NotModified,
    ParsedFeed,
    PollOutcome,
    PollResult,
    Validators,
)
from aggregator.poll.states import (
    after_document,
    after_failure,
    after_nothing_new,
    brings_news,
    doubts_304,
    hash_of,
    is_gap,
    is_same,
    knows,
    looks_again,
    older,
)
from aggregator.poll.thinking import Thought, clean, entry_text, think
from aggregator.store import Links, Recorded, Store
from aggregator.store.rows import host
from aggregator.text import masked
from aggregator.topics import Ruleset

__all__ = [
    "LEASE", "Poller", "Summary", "Thought", "after_document", "after_failure", "after_nothing_new", "brings_news", "clean",
    "entry_text", "find_feed", "think",
]  # fmt: skip

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
CANDIDATES = 4
"""How many addresses are tried when a site's feed is looked for."""

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
        """How many polls may begin now; none until half have ended, for a claim costs as much for one as for many."""
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
        if outcome.result is PollResult.FAILED and looks_again(claim, outcome, started_at):
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
        validators = Validators() if doubts_304(state, started_at) else state.validators
        answer = await self._fetcher.fetch(state.url, validators)
        answered_at = self._clock()
        if isinstance(answer, FetchFailure):
            return self._failed(claim, answer, started_at)
        body_hash = None if isinstance(answer, NotModified) else hash_of(answer.body)
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
            if state.last_changed_at is not None and not is_same(state, thought):
                log.info("%s is another feed than that of %s", url, claim.subscription.url)
                continue
            log.info("the feed of %s is %s", claim.subscription.url, url)
            state, body_hash = replace(state, url=url, discovered=True), hash_of(document.body)
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
            if is_gap(state, document, thought):
                url = older(thought.parsed) or url
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
            met = knows(found, since)
            url = None if met else older(found.parsed)
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
            events=health.crossed(claim.state, state, news=brings_news(changes)),
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
