"""The state of a feed after each kind of answer, and what it says of the next request: pure functions."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import blake2b

from aggregator import cadence, websub
from aggregator.model import (
    Claim,
    EntryChange,
    FailureKind,
    FeedState,
    FeedStatus,
    Fetched,
    FetchFailure,
    New,
    NotModified,
    ParsedFeed,
    PollOutcome,
    Profile,
)
from aggregator.poll.thinking import Thought

log = logging.getLogger(__name__)

WHOLE_EVERY = timedelta(days=7)
"""How often a feed that has fallen silent is asked without validators: some servers answer 304 for ever."""
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
    has_news = brings_news(thought.changes)
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


def brings_news(changes: Sequence[EntryChange]) -> bool:
    """Whether there is a new entry among what has changed."""
    return any(isinstance(change, New) for change in changes)


def is_same(before: FeedState, thought: Thought, since: datetime | None = None) -> bool:
    """Whether a document is of the feed that was read before: by its title, or an entry known from before `since`."""
    return (before.title is not None and thought.parsed.title == before.title) or knows(thought, since)


def knows(thought: Thought, since: datetime | None) -> bool:
    """Whether an entry of a document is known, and was so before `since`, if that is given."""
    return thought.known_since is not None and (since is None or thought.known_since < since)


def _leads_elsewhere(before: FeedState, document: Fetched, thought: Thought) -> bool:
    """Whether a document came by a permanent redirect, and is of another feed than the one that was read before."""
    if document.moved_to is None or before.last_changed_at is None:
        return False
    # What has come by this redirect meanwhile proves nothing.
    return not is_same(before, thought, before.moved_since if document.moved_to == before.moved_to else None)


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


def doubts_304(state: FeedState, now: datetime) -> bool:
    """Whether to ask for the whole document: once a week while the feed is silent beyond its rhythm."""
    if state.silent_since is None or state.last_polled_at is None:
        return False
    return (now - state.silent_since) // WHOLE_EVERY > (
        state.last_polled_at - state.silent_since
    ) // WHOLE_EVERY


def looks_again(claim: Claim, failed: PollOutcome, now: datetime) -> bool:
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


def is_gap(state: FeedState, document: Fetched, thought: Thought) -> bool:
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


def older(parsed: ParsedFeed) -> str | None:
    """The page with the entries before those of a document (RFC 5005 §3 and §4)."""
    return parsed.next_url or parsed.previous_archive_url


def hash_of(body: bytes) -> bytes:
    """By which a body is known again."""
    return blake2b(body, digest_size=16).digest()
