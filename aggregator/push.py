"""The journey of news that nobody asked for: out to our subscribers, and in from the hubs of feeds we follow (WebSub).

    Hub          asked → verified → subscriber ┐
                 recorded ──► newest document ─┴─► who has another one? → sent, signed ─┬ 2xx: has it
                                                                                       └ else: again later
    Subscriber   a feed names its hub → asked → granted, renewed before the lease ends
                 sent → signature → think → record, as if the feed had been polled just now

A subscriber's row in the store is its outbox: what waits is told by comparing what was delivered with what there is
to deliver. So nothing is written when news come in, nothing is lost with the process, and whoever was away for ten
documents is sent the last one. `websub` says what is said.

What a hub sends us is taken as it is, rather than as a hint to poll: that would send all subscribers of a feed to its
server at once, and find the old document there where a cache stands in front of it.
"""

import asyncio
import logging
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Collection, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, Self, TypeVar
from urllib.parse import urljoin, urlsplit

from aggregator import cadence, health, poll, websub
from aggregator.errors import AggregatorError, ParseError, StoreError
from aggregator.fetch import Answer, Fetcher
from aggregator.model import (
    Claim,
    Delivery,
    FailureKind,
    Fetched,
    FetchFailure,
    HubSubscription,
    PollOutcome,
    PollResult,
    PushSettings,
)
from aggregator.publish import Rendered
from aggregator.store import Links, Recorded, Store
from aggregator.topics import Ruleset

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK = 0.5
"""How often, in seconds, the outbox is looked at when nothing is heard: other programs write to the store, too."""
REST = 0.25
"""How long, in seconds, news gather after some have been sent: a subscriber gets the last document, not each."""
SENDING = 64
"""Documents on their way at once."""
PER_HOST = 4
"""Of them, to one host."""
CLAIMED_FOR = timedelta(minutes=2)
"""How long a delivery is ours to make: well over the longest request."""
MOST_SUBSCRIBERS, MOST_OF_HOST = 1_000, 100
"""How many subscriptions to our feeds there may be, and how many of them at one host."""
QUESTIONS, QUESTIONS_OF_HOST = 100, 10
"""How many callbacks we ask within a minute whether they meant it, and how many at one host."""
RENEW = 0.8
"""When a subscription is renewed, as a share of its lease."""
ASK_AGAIN, ASK_AGAIN_LIMIT = timedelta(hours=1), timedelta(days=1)
"""How long we wait for a hub's grant before we ask again; it doubles each time, up to the limit."""
SLOWED = timedelta(hours=4)
"""How often a feed is polled at most while its hub can be relied on."""
ASKING = 16
"""Hubs that are asked at once."""
ASK_EVERY = 60.0
"""How often, in seconds, it is looked for feeds whose hub is to be asked."""
REDIRECTS = 3
"""How often a hub may send us on to another."""

_EVER = datetime.max.replace(tzinfo=UTC)
_GONE = 410


class Publisher(Protocol):
    """What the hub needs of the program around it; all of it may block."""

    @property
    def home_url(self) -> str:
        """Where readers reach us, without a trailing slash."""

    def topics(self) -> Collection[str]:
        """The addresses of the documents that can be subscribed to."""

    def document(self, topic: str) -> Rendered | None:
        """The document at one of these addresses as it is now; None where there is none."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a request to the hub or a callback is answered.

    Attributes:
        status: of the answer.
        text: its body.
        retry_after: in seconds; None where it makes no difference.
    """

    status: int
    text: str = ""
    retry_after: int | None = None


class Push:
    """The hub, and where hubs can reach us the subscriber. Use it as an asynchronous context manager.

    Args:
        store: the memory.
        fetcher: the door to the network.
        publisher: gives our documents.
        ruleset: gives the compiled topics.
        settings: other hubs, and whether to subscribe.
        public_url: where hubs reach us; None: they do not, and nothing is subscribed to.
        clock: the time.
        link: what entries belong to (see `Store.record`).
        on_recorded: called on the event loop for each document that was sent to us, once it is stored.
        chance: a number from [0, 1), for spreading attempts.
        token: a word that cannot be guessed.
    """

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        publisher: Publisher,
        ruleset: Callable[[], Ruleset],
        *,
        settings: PushSettings,
        public_url: str | None,
        clock: Callable[[], datetime],
        link: Callable[[Links, Sequence[int]], None] | None = None,
        on_recorded: Callable[[PollOutcome, Recorded], None] = lambda *_: None,
        chance: Callable[[], float] = random.random,
        token: Callable[[], str] = lambda: secrets.token_urlsafe(24),
    ) -> None:
        self._on_recorded = on_recorded
        self.hub = Hub(
            store, fetcher, publisher, others=settings.hubs, clock=clock, chance=chance, token=token
        )
        self.subscriber: Subscriber | None = None
        if settings.subscribe and public_url is not None:
            self.subscriber = Subscriber(
                store,
                fetcher,
                ruleset,
                callbacks=f"{public_url}/push/",
                clock=clock,
                link=link,
                on_recorded=self._taken,
                chance=chance,
                token=token,
            )
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        runs = [self.hub.run()] + ([self.subscriber.run()] if self.subscriber else [])
        self._tasks = [asyncio.create_task(run) for run in runs]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def recorded(self, outcome: PollOutcome, recorded: Recorded) -> None:
        """Hear of a poll that has been stored: there may be news to send, or a hub to ask."""
        self._wake_for(outcome, recorded)
        if self.subscriber is not None:
            self.subscriber.polled(outcome, recorded)

    def _taken(self, outcome: PollOutcome, recorded: Recorded) -> None:
        self._wake_for(outcome, recorded)
        self._on_recorded(outcome, recorded)

    def _wake_for(self, outcome: PollOutcome, recorded: Recorded) -> None:
        if recorded.entries_new or recorded.entries_revised or outcome.events:
            self.hub.wake()


# ----------------------------------------------------------------------------------------- out


class Hub:
    """Sends our documents to those who have subscribed, and tells other hubs of them."""

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        publisher: Publisher,
        *,
        others: Sequence[str],
        clock: Callable[[], datetime],
        chance: Callable[[], float],
        token: Callable[[], str],
    ) -> None:
        """See `Push`."""
        self._store = store
        self._fetcher = fetcher
        self._publisher = publisher
        self._others = tuple(others)
        self._clock = clock
        self._chance = chance
        self._token = token
        self._news = asyncio.Event()
        self._sending: dict[asyncio.Task[None], Delivery] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._asked = Rate(QUESTIONS, QUESTIONS_OF_HOST, timedelta(minutes=1))

    def wake(self) -> None:
        """Look at once whether there is something to send."""
        self._news.set()

    async def run(self) -> None:
        """Send what there is to send until cancelled; what is on its way then is sent again at the next start."""
        await _whatever_happens(self._tell_others())
        try:
            while True:
                await _whatever_happens(self._distribute())
                if not self._sending:
                    await asyncio.sleep(REST)
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await self._news.wait()
                self._news.clear()
        finally:
            await self._stop()

    async def _stop(self) -> None:
        unmade = tuple(self._sending.values())
        tasks = (*self._sending, *self._asking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if unmade:
            await _whatever_happens(asyncio.to_thread(self._store.release_deliveries, unmade, self._clock()))

    async def _tell_others(self) -> None:
        topics = await asyncio.to_thread(self._publisher.topics)
        await asyncio.to_thread(self._store.set_hubs, self._others, topics, self._clock())

    async def _distribute(self) -> None:
        """Begin to send each document to those who have another one, as far as there is room."""
        now = self._clock()
        for topic in await asyncio.to_thread(self._store.awaited_topics, now):
            room = SENDING - len(self._sending)
            if room <= 0:
                return
            document = await asyncio.to_thread(self._publisher.document, topic)
            if document is None:
                await self._retire(topic)
                continue
            busy = {delivery.host for delivery in self._sending.values()}
            deliveries = await asyncio.to_thread(
                self._store.claim_deliveries,
                topic,
                document.etag,
                now,
                limit=room,
                per_host=PER_HOST,
                except_hosts=busy,
                lease=CLAIMED_FOR,
            )
            for delivery in deliveries:
                task = asyncio.create_task(_whatever_happens(self._deliver(delivery, document)))
                self._sending[task] = delivery
                task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.pop(task, None)
        self._news.set()  # there is room for others, and there may be a newer document

    async def _deliver(self, delivery: Delivery, document: Rendered) -> None:
        if delivery.callback in self._others:
            body, headers = websub.ping(delivery.topic), {"Content-Type": websub.FORM}
        else:
            body = document.body
            headers = websub.delivery_headers(
                body,
                media_type=document.media_type,
                hubs=await asyncio.to_thread(self._hubs),
                topic=delivery.topic,
                secret=delivery.secret,
            )
        answer = await self._fetcher.send(delivery.callback, body, headers)
        now = self._clock()
        if isinstance(answer, Answer) and _is_success(answer):
            await asyncio.to_thread(self._store.delivered, delivery, document.etag, now)
            log.debug("%s was sent to %s", delivery.topic, delivery.host)
            return
        if isinstance(answer, Answer) and answer.status == _GONE and delivery.callback not in self._others:
            await asyncio.to_thread(self._store.remove_subscriber, delivery.topic, delivery.callback)
            log.info("%s has ended its subscription to %s", delivery.host, delivery.topic)
            return
        # The lease goes on (§7): whoever is away is sent the newest document when it is back.
        problem = _problem(answer, delivery.host)
        wait = websub.retry_in(delivery.failures + 1, self._chance())
        await asyncio.to_thread(self._store.undelivered, delivery, problem, now + wait)
        log.info("%s could not be sent: %s", delivery.topic, problem)

    def _hubs(self) -> tuple[str, ...]:
        return self._others or (f"{self._publisher.home_url}/hub",)

    async def _retire(self, topic: str) -> None:
        """Tell the subscribers of a feed that it is no longer published, once (§5.2)."""
        home = await asyncio.to_thread(lambda: self._publisher.home_url)
        if not topic.startswith(home + "/"):
            return  # another daemon's on the same store, perhaps: its leases end by themselves
        for callback in await asyncio.to_thread(self._store.retire_topic, topic):
            if callback not in self._others:
                reason = "this feed is no longer published"
                self._begin(self._fetcher.send(websub.denial(callback, topic, reason)))

    # ------------------------------------------------------------------------ subscriptions

    async def asked(self, form: bytes) -> Reply:
        """Answer a request to subscribe or unsubscribe; whether it was meant is asked afterwards (§5.1.2)."""
        if self._others:
            return Reply(404, f"The hub of these feeds is {' or '.join(self._others)}.")
        try:
            ask = websub.read_ask(form)
        except websub.RefusedError as error:
            return Reply(400, f"{error}.")
        now = self._clock()
        if ask.topic not in await asyncio.to_thread(self._publisher.topics):
            return Reply(404, "hub.topic is the address of none of our feeds; their rel=self links say it.")
        if ask.mode == "subscribe":
            of_host, everywhere = await asyncio.to_thread(
                self._store.subscribers_beside, ask.topic, ask.callback, now
            )
            if of_host >= MOST_OF_HOST or everywhere >= MOST_SUBSCRIBERS:
                return Reply(503, "There are as many subscriptions as this hub can serve.", 3600)
        if not self._asked.allows(urlsplit(ask.callback).hostname or "", now):
            return Reply(429, "Too many requests; try again in a minute.", 60)
        self._begin(self._verify(ask))
        return Reply(202, "The callback will be asked whether it meant it.")

    async def _verify(self, ask: websub.Ask) -> None:
        """Ask the callback whether it meant it; only then is anything written (§5.3)."""
        asked_at, challenge = self._clock(), self._token()
        answer = await self._fetcher.send(websub.verification(ask, challenge))
        host = urlsplit(ask.callback).hostname
        if not isinstance(answer, Answer) or not _is_success(answer) or answer.body != challenge.encode():
            problem = _problem(answer, str(host))
            if isinstance(answer, Answer) and _is_success(answer):
                problem = f"{host} did not send the challenge back"
            log.info("a request to %s %s was not confirmed: %s", ask.mode, ask.topic, problem)
            return
        if ask.mode == "unsubscribe":
            await asyncio.to_thread(self._store.remove_subscriber, ask.topic, ask.callback)
        elif document := await asyncio.to_thread(self._publisher.document, ask.topic):
            await asyncio.to_thread(
                self._store.add_subscriber,
                ask.topic,
                ask.callback,
                secret=ask.secret,
                until=asked_at + ask.lease,
                etag=document.etag,
                now=self._clock(),
            )
        log.info("%s: %s of %s", ask.topic, ask.mode, host)

    def _begin(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(_whatever_happens(work))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)


class Rate:
    """Counts what happens, in all and for each name, within the last while.

    Args:
        most: how often it may happen within `span`.
        most_each: how often for one name.
        span: the while.
    """

    def __init__(self, most: int, most_each: int, span: timedelta) -> None:
        self._most, self._most_each, self._span = most, most_each, span
        self._times: deque[tuple[datetime, str]] = deque()
        self._each: Counter[str] = Counter()

    def allows(self, name: str, now: datetime) -> bool:
        """Whether it may happen once more now; if so, it counts."""
        while self._times and not timedelta() <= now - self._times[0][0] < self._span:
            _, old = self._times.popleft()
            self._each[old] -= 1
            if not self._each[old]:
                del self._each[old]
        if len(self._times) >= self._most or self._each[name] >= self._most_each:
            return False
        self._times.append((now, name))
        self._each[name] += 1
        return True


# ------------------------------------------------------------------------------------------ in


class Subscriber:
    """Subscribes at the hubs that feeds name, and takes what they send."""

    def __init__(
        self,
        store: Store,
        fetcher: Fetcher,
        ruleset: Callable[[], Ruleset],
        *,
        callbacks: str,
        clock: Callable[[], datetime],
        link: Callable[[Links, Sequence[int]], None] | None,
        on_recorded: Callable[[PollOutcome, Recorded], None],
        chance: Callable[[], float],
        token: Callable[[], str],
    ) -> None:
        """See `Push`; `callbacks` is what the addresses begin with that hubs are given."""
        self._store = store
        self._fetcher = fetcher
        self._ruleset = ruleset
        self._callbacks = callbacks
        self._clock = clock
        self._link = link
        self._on_recorded = on_recorded
        self._chance = chance
        self._token = token
        self._polled: deque[tuple[int, bool]] = deque()
        self._work = asyncio.Event()
        self._taking = asyncio.Semaphore(1)  # thinking is work for one thread; the others wait here

    def polled(self, outcome: PollOutcome, recorded: Recorded) -> None:
        """Hear of an ordinary poll: its feed may name a hub, or its hub may have missed something."""
        if outcome.state.hub_url is not None and outcome.result is not PollResult.FAILED:
            missed = recorded.entries_new > 0 and outcome.claim.state.last_changed_at is not None
            self._polled.append((outcome.claim.feed_id, missed))
            if outcome.result is PollResult.CHANGED or missed:
                self._work.set()

    async def run(self) -> None:
        """Ask hubs for subscriptions, and again before they end, until cancelled."""
        while True:
            await _whatever_happens(self._settle())
            await _whatever_happens(self._ask_hubs())
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_EVERY):
                    await self._work.wait()
            self._work.clear()

    async def _settle(self) -> None:
        """Let feeds rest that were polled although their hub can be relied on."""
        while self._polled:
            feed_id, missed = self._polled.popleft()
            now = self._clock()
            await asyncio.to_thread(
                self._store.polled_beside, feed_id, missed=missed, until=now + SLOWED, now=now
            )

    async def _ask_hubs(self) -> None:
        while True:
            wishes = await asyncio.to_thread(
                self._store.wished_subscriptions, self._callbacks, self._clock(), ASKING
            )
            await asyncio.gather(*(self._ask(*wish) for wish in wishes))
            if len(wishes) < ASKING:
                return

    async def _ask(self, feed_id: int, hub: str, topic: str, known: HubSubscription | None) -> None:
        """Ask a hub for a subscription (§5.1); it answers later, at the callback."""
        subscription = known or HubSubscription(
            feed_id, hub, topic, self._callbacks + self._token(), self._token()
        )
        wait = min(ASK_AGAIN * 2.0 ** min(subscription.failures, 10), ASK_AGAIN_LIMIT)
        # Before it is asked: a hub may verify our intent before it answers.
        due_at = self._clock() + wait * (1 + cadence.SPREAD * self._chance())
        await asyncio.to_thread(self._store.hub_asked, subscription, due_at)
        form = websub.subscription(subscription.callback, topic, subscription.secret)
        answer = await self._send_on(hub, form)
        if not isinstance(answer, Answer) or not _is_success(answer):
            problem = _problem(answer, urlsplit(hub).hostname or hub)
            await asyncio.to_thread(self._store.hub_failed, subscription, problem)
            log.info("no subscription to %s: %s", topic, problem)

    async def _send_on(self, hub: str, form: bytes) -> Answer | FetchFailure:
        """POST a form to a hub, or to the one that it sends us on to (§5.1.2)."""
        for _ in range(REDIRECTS):
            answer = await self._fetcher.send(hub, form, {"Content-Type": websub.FORM})
            target = answer.headers.get("location") if isinstance(answer, Answer) else None
            if not isinstance(answer, Answer) or answer.status not in (307, 308) or not target:
                return answer
            try:
                further = urljoin(hub, target)
            except ValueError:
                return answer
            if hub.startswith("https:") and not further.startswith("https:"):
                return answer
            hub = further
        return FetchFailure(FailureKind.REDIRECT, f"it sends us on more than {REDIRECTS} times")

    # ------------------------------------------------------------------------------- callbacks

    async def expected(self, path: str) -> HubSubscription | None:
        """The subscription whose callback ends with `path`; None: nobody who is wanted comes by this way."""
        return await asyncio.to_thread(self._store.hub_subscription, self._callbacks + path)

    async def answer(self, subscription: HubSubscription, query: bytes) -> Reply:
        """Answer a hub that asks whether we meant it, or tells us of a subscription's end (§5.2, §5.3)."""
        try:
            question = websub.read_question(query)
        except websub.RefusedError as error:
            return Reply(400, f"{error}.")
        if question.topic != subscription.topic:
            return Reply(404, "Nobody here subscribes to that.")
        now = self._clock()
        if question.mode == "denied":
            reason = question.reason[:200] or "without a reason"
            problem = f"the hub has denied the subscription: {reason}"
            await asyncio.to_thread(self._store.hub_denied, subscription, problem, now + ASK_AGAIN_LIMIT)
            log.info("%s: the hub has denied the subscription: %r", subscription.topic, reason)
            return Reply(200)
        if question.mode != "subscribe" or not question.challenge:
            return Reply(404, "Nobody here wants that.")
        lease = min(question.lease or websub.LEASE, websub.LONGEST_LEASE)
        # A lease of seconds is not renewed every few of them; it ends in between.
        renewal = now + max(lease * RENEW, ASK_AGAIN)
        await asyncio.to_thread(self._store.hub_granted, subscription, now + lease, renewal)
        log.info("%s: subscribed at %s", subscription.topic, urlsplit(subscription.hub).hostname)
        return Reply(200, question.challenge)

    async def receive(
        self, subscription: HubSubscription, body: bytes, *, content_type: str | None, signature: str | None
    ) -> Reply:
        """Take what a hub has sent (§7); it is stored when this says 2xx.

        What is not signed by the hub, or is no feed, is answered like the rest and dropped.
        """
        if not websub.is_signed(subscription.secret, body, signature):
            log.warning("%s: what was sent is not signed by its hub, and dropped", subscription.topic)
            return Reply(202)
        document = Fetched(200, subscription.topic, body, content_type, delta=True)
        try:
            async with self._taking:
                taken = await asyncio.to_thread(self._take, subscription, document)
        except ParseError as error:
            log.warning("%s: what its hub has sent is dropped: %s", subscription.topic, error)
            return Reply(202)
        if taken is None:
            return Reply(503, "The feed is being polled.", 60)
        self._on_recorded(*taken)
        return Reply(202)

    def _take(self, subscription: HubSubscription, document: Fetched) -> tuple[PollOutcome, Recorded] | None:
        """Think about a document and record it, as a poll does; None while somebody else has the feed."""
        store, now = self._store, self._clock()
        feed = [subscription.feed_id]
        claims = store.claim(now, due_by=_EVER, limit=1, per_host=1_000_000, lease=poll.LEASE, among=feed)
        if not claims:
            return None
        (claim,) = claims
        try:
            outcome = self._outcome(claim, document, now)
            (recorded,) = store.record([outcome], self._clock(), self._link)
        except BaseException:
            store.release(claims)
            raise
        if not recorded.accepted:
            return None
        store.pushed(subscription, now)
        return outcome, recorded

    def _outcome(self, claim: Claim, document: Fetched, now: datetime) -> PollOutcome:
        before, every = claim.state, claim.subscription.every
        thought = poll.think(document, claim, self._store.known, self._ruleset())
        state = replace(
            poll.after_document(before, document, thought, b"", now, now),
            # What only the feed's own server can say.
            validators=before.validators,
            fresh_for=before.fresh_for,
            fresh_until=before.fresh_until,
            moved_to=before.moved_to,
            moved_since=before.moved_since,
            moved_times=before.moved_times,
            hub_url=before.hub_url,
            topic_url=before.topic_url,
        )
        state = cadence.next_poll(state, every=every, now=now, chance=self._chance())
        if every is None and state.next_poll_at is not None:
            state = replace(state, next_poll_at=max(state.next_poll_at, now + SLOWED))
        news = poll.brings_news(thought.changes)
        return PollOutcome(
            claim=claim,
            result=PollResult.CHANGED,
            state=state,
            started_at=now,
            seconds=(self._clock() - now).total_seconds(),
            http_status=200,
            changes=thought.changes,
            events=health.crossed(before, state, news=news),
        )


# ----------------------------------------------------------------------------------------- both


async def _whatever_happens(work: Coroutine[Any, Any, object]) -> None:
    """Let work of ours fail without an end to everything; what it was about stays due."""
    try:
        await work
    except StoreError as error:
        log.error("nothing is pushed for now: %s", error)  # noqa: TRY400 – no traceback
    except AggregatorError as error:
        log.warning("%s", error)
    except Exception:
        log.exception("a fault of ours while pushing")


def _is_success(answer: Answer) -> bool:
    return 200 <= answer.status < 300


def _problem(answer: Answer | FetchFailure, host: str) -> str:
    return answer.message if isinstance(answer, FetchFailure) else f"{host} answered {answer.status}"
