"""When to poll next. Pure arithmetic: time and chance are arguments.

A feed without `every:` follows its own rhythm between floors that weigh both sides: the server's
bandwidth, and entries that would scroll out of a short document unseen.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from aggregator.model import FailureKind, FeedState, FeedStatus

BUSIEST = timedelta(minutes=5)
"""No feed is asked more often than this unless `every:` says so."""
QUIET = timedelta(hours=1)
"""A feed with an entry less often than this is never asked more often than this."""
SLOWEST = timedelta(days=1)
"""A working feed is asked at least this often, unless its server says it stays fresh for longer."""
UNKNOWN = timedelta(hours=1)
"""Interval of a feed whose rhythm is not known, because it gives no dates."""
GONE = timedelta(days=30)
"""How often a feed that is gone for good (410) is looked at again."""
LONGEST_RETRY_AFTER = timedelta(hours=48)
"""A server's `Retry-After` is followed up to this."""
BACK_OFF_LIMIT = timedelta(days=2)
"""A failing feed is tried again at least this often."""
SPREAD = 0.1
"""Up to this share of the interval is added by chance, so that feeds do not move in step."""

_TEMPORARY, _SOFT, _HARD = 0.25, 0.5, 1.0
WEIGHTS = {
    FailureKind.DNS: _TEMPORARY,
    FailureKind.CONNECT: _TEMPORARY,
    FailureKind.TIMEOUT: _TEMPORARY,
    FailureKind.NETWORK: _TEMPORARY,
    FailureKind.INTERNAL: _TEMPORARY,
    FailureKind.RATE_LIMITED: _SOFT,
    FailureKind.CLIENT: _SOFT,  # feeds come back from 404
    FailureKind.SERVER: _SOFT,
    FailureKind.CHALLENGE: _SOFT,
    FailureKind.TLS: _HARD,
    FailureKind.ADDRESS: _HARD,
    FailureKind.REDIRECT: _HARD,
    FailureKind.TOO_LARGE: _HARD,
    FailureKind.ENCODING: _HARD,
    FailureKind.NOT_A_FEED: _HARD,
    FailureKind.GONE: _HARD,
}
"""How much a failure adds to `FeedState.failures`, and so to the back-off."""

_SAMPLE = 20  # the newest entries tell the present rhythm


def rhythm(published: Sequence[datetime], now: datetime) -> float | None:
    """Entries a day, from the newest dates in a document; None where fewer than two can be used.

    The time since the newest entry counts: a feed that fell silent slows down.
    """
    newest = sorted((moment for moment in published if moment <= now), reverse=True)[:_SAMPLE]
    if len(newest) < 2:
        return None
    span = max(now - newest[-1], timedelta(minutes=1))
    return len(newest) / (span / timedelta(days=1))


def slowed(per_day: float | None, length: int | None, elapsed: timedelta) -> float | None:
    """The rhythm after `elapsed` more time in which nothing new came."""
    if per_day is None or per_day <= 0:
        return per_day
    sample = min(length or 1, _SAMPLE)
    return sample / (sample / per_day + elapsed / timedelta(days=1))


def interval(state: FeedState, every: timedelta | None) -> timedelta:
    """The time between two polls of a feed that answers well."""
    if every is not None:
        return every
    wish = timedelta(days=1) / state.per_day if state.per_day else UNKNOWN
    # A third of the time in which a whole document is replaced: nothing scrolls out unseen, even
    # in a burst of three times the usual rhythm.
    guard = wish * max(state.length or 1, 1) / 3
    floor = QUIET if wish >= QUIET else BUSIEST
    conditional = state.validators.etag or state.validators.last_modified
    if floor == QUIET and not conditional and state.hint is None and state.fresh_until is None:
        wish = SLOWEST  # every poll would cost the server a whole document
    if state.hint is not None:
        wish = max(wish, state.hint)
    return min(max(min(wish, guard), floor), SLOWEST)


def next_poll(
    state: FeedState,
    *,
    every: timedelta | None,
    now: datetime,
    chance: float,
    retry_after: timedelta | None = None,
) -> FeedState:
    """The state with its next poll planned.

    Args:
        state: after the poll, its `failures` already counted.
        every: the operator's fixed interval.
        now: the end of the poll.
        chance: from [0, 1), for the spread.
        retry_after: what a failing server asked for; never undercut, up to `LONGEST_RETRY_AFTER`.
    """
    planned = interval(state, every)
    if state.status is FeedStatus.GONE:
        planned = max(planned, GONE)
    elif state.failures:
        # Linear, not exponential: with intervals of hours, doubling ends in weeks at once.
        planned = min(planned * (1 + state.failures), max(planned, BACK_OFF_LIMIT))
    due = now + planned * (1 + (SPREAD * chance if every is None else 0))
    if retry_after is not None:
        due = max(due, now + min(retry_after, LONGEST_RETRY_AFTER) * (1 + SPREAD * chance))
    if every is None:
        if state.fresh_until is not None:
            due = max(due, state.fresh_until)
        due = _allowed(due, state.skip_hours, state.skip_days)
    if due.microsecond:  # the store keeps whole seconds; cut off, they would be too early
        due = due.replace(microsecond=0) + timedelta(seconds=1)
    return replace(state, interval=planned, next_poll_at=due)


def _allowed(due: datetime, skip_hours: Sequence[int], skip_days: Sequence[int]) -> datetime:
    """The first time from `due` on that the publisher does not ask to leave out (RSS 2.0, skipHours, skipDays)."""
    if len(set(skip_hours)) >= 24 or len(set(skip_days)) >= 7:
        return due  # they would leave nothing, and so mean nothing
    moment = due.astimezone(UTC)
    for _ in range(24 * 8):
        if moment.weekday() not in skip_days and moment.hour not in skip_hours:
            return moment
        moment = moment.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return due
