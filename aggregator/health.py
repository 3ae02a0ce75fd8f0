"""How a feed is doing, in words, and which lines it crosses. Pure: what is known in, sentences out.

**Silent** is a feed that answers and brings nothing for longer than its own rhythm explains. Its rhythm is
told by the last twenty days on which it had news, for single entries come in bursts: where nine in ten of the
pauses between them were no longer than p, it is silent after 3·p. So a busy feed is after three days, one that
rests on weekends after nine, a weekly one after three weeks. One odd date, or one long holiday, changes nothing
in that. What is learned *during* the silence (`FeedState.per_day` sinks with every empty poll) does not count.
Silence ends where the feed last answered, and the time in which it was failing is taken from it.
"""

import html
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from aggregator.model import (
    Category,
    EventKind,
    FailureKind,
    FeedEvent,
    FeedReport,
    FeedState,
    FeedStatus,
    OutputFeed,
    StoredEntry,
    StoredEvent,
)
from aggregator.text import masked

OUTPUT = OutputFeed("health", title="Feed health")
"""The output feed of all these events; its name is taken."""

LONG = timedelta(days=1)
"""A feed that has failed for so long is an event."""
PAUSES = 3
"""So many times its usual pause make a feed silent."""
SHORTEST = PAUSES * timedelta(days=1)
"""None is silent sooner."""
UNKNOWN = timedelta(days=30)
"""When a feed is silent whose rhythm is not known."""
_KNOWN = 4  # so many pauses make a rhythm


@dataclass(frozen=True, slots=True)
class Condition:
    """Something about a feed that its operator should know.

    Attributes:
        kind: `gone`, `blocked`, `failing`, `moving` or `silent`.
        message: the same as a sentence, for people.
        ill: nothing comes from the feed; where it is False, all is well for now.
    """

    kind: str
    message: str
    ill: bool = True


def conditions(report: FeedReport) -> tuple[Condition, ...]:
    """What is the matter with a feed, the worst first; nothing where all is well or it is paused."""
    state = report.state
    if state.status is FeedStatus.PAUSED:
        return ()
    found = []
    since = f" since {state.failing_since:%Y-%m-%d %H:%M} UTC" if state.failing_since else ""
    because = f": {masked(state.last_error)}" if state.last_error else ""
    if state.status is FeedStatus.GONE:
        found.append(Condition("gone", f"gone{since}{because}; it is asked again once a month"))
    elif report.failure is FailureKind.CHALLENGE and state.status is FeedStatus.FAILING:
        found.append(Condition("blocked", f"blocked by a challenge page{since}{because}"))
    elif state.status is FeedStatus.FAILING:
        found.append(Condition("failing", f"failing{since}{because}"))
    if state.silent_since:
        message = f"no new entry since {state.silent_since:%Y-%m-%d}, longer than its own rhythm explains"
        found.append(Condition("silent", message))
    if state.moved_to:
        message = f"redirects for good to {masked(state.moved_to)}, "
        if state.moved_times:
            times = "once" if state.moved_times == 1 else f"{state.moved_times} times"
            message += f"seen {times}; adopted once that is confirmed"
        else:
            message += "where another feed is: read there for now, and not adopted"
        found.append(Condition("moving", message, ill=False))
    return tuple(found)


def crossed(before: FeedState, after: FeedState, *, news: bool = False) -> tuple[FeedEvent, ...]:
    """The lines that a poll crossed.

    Args:
        before: the feed's state as it was claimed.
        after: its next state.
        news: the poll brought a new entry.
    """
    found = []
    if after.status is FeedStatus.GONE and before.status is not FeedStatus.GONE:
        message = (
            "The server says that this feed is gone for good (410). It is asked again once a month; "
            "find its new address, or take it out of feeds.yaml."
        )
        found.append(FeedEvent(EventKind.GONE, message))
    elif after.status is FeedStatus.FAILING and _failed_for(after) >= LONG > _failed_for(before):
        message = f"It has been failing for {_days(_failed_for(after))}: {masked(after.last_error or '')}"
        found.append(FeedEvent(EventKind.FAILING, message))
    if after.url != before.url and before.last_success_at is not None:
        way = "moved for good" if after.url == before.moved_to else "been found anew"
        message = f"It has {way}, from {masked(before.url)} to {masked(after.url)}, and is followed there."
        found.append(FeedEvent(EventKind.MOVED, message))
    told = before.status is FeedStatus.GONE or _failed_for(before) >= LONG
    if after.status is FeedStatus.ACTIVE and told and before.failing_since and after.last_polled_at:
        away = after.last_polled_at - before.failing_since
        found.append(FeedEvent(EventKind.BACK, f"It answers again, after {_days(away)}."))
    elif news and before.silent_since and after.last_polled_at:
        away = after.last_polled_at - before.silent_since
        found.append(FeedEvent(EventKind.BACK, f"It has news again, after {_days(away)} without any."))
    return tuple(found)


def patience(days: Sequence[date]) -> timedelta:
    """How long a feed may have no news before that says something.

    Args:
        days: days on which it had news, each once, the last one first.
    """
    pauses = sorted(later - earlier for later, earlier in pairwise(days))
    if len(pauses) < _KNOWN:
        return UNKNOWN
    return max(PAUSES * pauses[len(pauses) * 9 // 10], SHORTEST)


def is_silent(days: Sequence[date], asked_at: datetime, outage: timedelta = timedelta()) -> bool:
    """Whether a feed is silent.

    Args:
        days: as in `patience`.
        asked_at: when it last answered.
        outage: how long it has been failing since it last had news.
    """
    return bool(days) and (asked_at - outage).date() - days[0] > patience(days)


def fell_silent(days: Sequence[date], asked_at: datetime, added_at: datetime) -> FeedEvent | None:
    """The event of a silent feed.

    Returns:
        None where it was silent before it was subscribed to (`added_at`): that is no news.
    """
    limit = patience(days)
    if days[0] + limit < added_at.date():
        return None
    message = (
        f"It answers, but has had no new entry since {days[0]:%Y-%m-%d}, for {_days(asked_at.date() - days[0])}. "
        f"By its own rhythm, {_days(limit)} would be much already."
    )
    return FeedEvent(EventKind.SILENT, message)


_HEADLINES = {
    EventKind.SILENT: "has fallen silent",
    EventKind.FAILING: "is failing",
    EventKind.MOVED: "has moved",
    EventKind.GONE: "is gone",
    EventKind.BACK: "is back",
}


def entry(event: StoredEvent) -> StoredEntry:
    """An event as an entry of the output feed."""
    return StoredEntry(
        id=event.id,
        uid=event.uid,
        feed_id=event.feed_id,
        feed_title=masked(event.feed_title),
        feed_url=event.feed_url,
        feed_site_url=event.feed_site_url,
        article_id=event.id,
        guid=None,
        url=event.feed_site_url or event.feed_url,
        title=f"{masked(event.feed_title)} {_HEADLINES[event.kind]}",
        author=None,
        summary="",
        content=f"<p>{html.escape(event.message, quote=False)}</p>",
        text=event.message,
        language="en",
        published_at=event.at,
        updated_at=None,
        first_seen_at=event.at,
        changed_at=event.at,
        revision=1,
        categories=(Category(event.kind.value),),
    )


def _failed_for(state: FeedState) -> timedelta:
    """How long a feed had been failing when it was last asked."""
    if state.failing_since is None or state.last_polled_at is None:
        return timedelta()
    return state.last_polled_at - state.failing_since


def _days(duration: timedelta) -> str:
    if duration < timedelta(days=1):
        hours = max(round(duration / timedelta(hours=1)), 1)
        return "an hour" if hours == 1 else f"{hours} hours"
    return "a day" if duration.days == 1 else f"{duration.days} days"
