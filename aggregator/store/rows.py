"""Domain values to database rows and back. No SQL, no decisions."""

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from urllib.parse import urlsplit

from aggregator.model import (
    Attribution,
    Category,
    Copy,
    Enclosure,
    Entry,
    EventKind,
    FeedState,
    FeedStatus,
    Identity,
    ListState,
    Match,
    Profile,
    StoredEntry,
    StoredEvent,
    Subscription,
    Tag,
    Validators,
)

Row = Mapping[str, Any]

_COMPACT = json.JSONEncoder(separators=(",", ":"))


def stamp(moment: datetime) -> str:
    """UTC text `YYYY-MM-DDTHH:MM:SSZ`, the form of every time in the store."""
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def stamp_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else stamp(moment)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def host(url: str) -> str:
    """The host that a URL's requests go to, and its port if that is not the usual one, as politeness counts them."""
    parts = urlsplit(url)
    name = parts.netloc.rpartition("@")[2].lower()
    if not name.isascii():
        with suppress(UnicodeError):
            name = name.encode("idna").decode()
    return name.removesuffix(":443" if parts.scheme == "https" else ":80")


def uid(subscription_url: str, key: str) -> str:
    """A name for an entry that is the same in every database: 80 bits of a hash, as hex."""
    return blake2b(f"{subscription_url}\n{key}".encode(errors="replace"), digest_size=10).hexdigest()


# --------------------------------------------------------------------------------------- feeds


def wish_values(subscription: Subscription) -> dict[str, Any]:
    """The columns of `feeds` that hold what the operator wishes."""
    return {
        "subscription_url": subscription.url,
        "name": subscription.name,
        "wished_language": subscription.language,
        "tags": json.dumps(subscription.tags, ensure_ascii=False),
        "every_seconds": _seconds(subscription.every),
    }


def subscription(row: Row) -> Subscription:
    return Subscription(
        url=row["subscription_url"],
        name=row["name"],
        language=row["wished_language"],
        tags=tuple(json.loads(row["tags"])),
        every=_duration(row["every_seconds"]),
        enabled=row["status"] != FeedStatus.PAUSED,
    )


def list_values(state: ListState) -> dict[str, Any]:
    return {
        "url": state.url,
        "etag": state.validators.etag,
        "last_modified": state.validators.last_modified,
        "validators_url": state.validators.url,
        "checked_at": stamp_or_none(state.checked_at),
        "read_at": stamp_or_none(state.read_at),
        "error": state.error,
        "feeds": _json(state.feeds, ("url", "name", "language", "tags")),
    }


def list_state(row: Row) -> ListState:
    return ListState(
        url=row["url"],
        feeds=tuple(
            Subscription(feed["url"], feed.get("name"), feed.get("language"), tuple(feed["tags"]))
            for feed in json.loads(row["feeds"])
        ),
        validators=Validators(row["etag"], row["last_modified"], row["validators_url"]),
        checked_at=moment_or_none(row["checked_at"]),
        read_at=moment_or_none(row["read_at"]),
        error=row["error"],
    )


def state_values(state: FeedState) -> dict[str, Any]:
    """The columns of `feeds` that a poll rewrites."""
    return {
        "url": state.url,
        "discovered": state.discovered,
        "own_title": state.title,
        "site_url": state.site_url,
        "language": state.language,
        "description": state.description,
        "icon_url": state.icon_url,
        "status": state.status.value,
        "http_status": state.http_status,
        "last_error": state.last_error,
        "failures": state.failures,
        "failing_since": stamp_or_none(state.failing_since),
        "etag": state.validators.etag,
        "last_modified": state.validators.last_modified,
        "validators_url": state.validators.url,
        "body_hash": state.body_hash,
        "identity": state.identity.value,
        "last_polled_at": stamp_or_none(state.last_polled_at),
        "last_success_at": stamp_or_none(state.last_success_at),
        "last_changed_at": stamp_or_none(state.last_changed_at),
        "next_poll_at": stamp_or_none(state.next_poll_at),
        "interval_seconds": _seconds(state.interval),
        "per_day": state.per_day,
        "profile": None if state.profile is None else _profile_text(state.profile),
        "length": state.length,
        "fresh_seconds": _seconds(state.fresh_for),
        "fresh_until": stamp_or_none(state.fresh_until),
        "hint_seconds": _seconds(state.hint),
        "skip_hours": json.dumps(state.skip_hours) if state.skip_hours else "[]",
        "skip_days": json.dumps(state.skip_days) if state.skip_days else "[]",
        "moved_to": state.moved_to,
        "moved_since": stamp_or_none(state.moved_since),
        "moved_times": state.moved_times,
        "silent_since": stamp_or_none(state.silent_since),
        "outage_seconds": state.outage.total_seconds(),
        "gap_url": state.gap_url,
        "gap_since": stamp_or_none(state.gap_since),
        "hub_url": state.hub_url,
        "topic_url": state.topic_url,
        "host": host(state.url),
    }


def state(row: Row) -> FeedState:
    return FeedState(
        url=row["url"],
        discovered=bool(row["discovered"]),
        title=row["own_title"],
        site_url=row["site_url"],
        language=row["language"],
        description=row["description"],
        icon_url=row["icon_url"],
        status=FeedStatus(row["status"]),
        http_status=row["http_status"],
        last_error=row["last_error"],
        failures=row["failures"],
        failing_since=moment_or_none(row["failing_since"]),
        validators=Validators(row["etag"], row["last_modified"], row["validators_url"]),
        body_hash=row["body_hash"],
        identity=Identity(row["identity"]),
        last_polled_at=moment_or_none(row["last_polled_at"]),
        last_success_at=moment_or_none(row["last_success_at"]),
        last_changed_at=moment_or_none(row["last_changed_at"]),
        next_poll_at=moment_or_none(row["next_poll_at"]),
        interval=_duration(row["interval_seconds"]),
        per_day=row["per_day"],
        profile=None if row["profile"] is None else _profile(json.loads(row["profile"])),
        length=row["length"],
        fresh_for=_duration(row["fresh_seconds"]),
        fresh_until=moment_or_none(row["fresh_until"]),
        hint=_duration(row["hint_seconds"]),
        skip_hours=tuple(json.loads(row["skip_hours"])),
        skip_days=tuple(json.loads(row["skip_days"])),
        moved_to=row["moved_to"],
        moved_since=moment_or_none(row["moved_since"]),
        moved_times=row["moved_times"],
        silent_since=moment_or_none(row["silent_since"]),
        outage=timedelta(seconds=row["outage_seconds"]),
        gap_url=row["gap_url"],
        gap_since=moment_or_none(row["gap_since"]),
        hub_url=row["hub_url"],
        topic_url=row["topic_url"],
    )


def _profile_text(profile: Profile) -> str:
    since, newest = stamp(profile.since), stamp(profile.newest)
    values = {"hours": profile.hours, "days": profile.days, "since": since, "newest": newest}
    return _COMPACT.encode(values)


def _profile(values: Mapping[str, Any]) -> Profile:
    return Profile(
        hours=tuple(values["hours"]),
        days=tuple(values["days"]),
        since=moment(values["since"]),
        newest=moment(values["newest"]),
    )


# ------------------------------------------------------------------------------------- entries


def content_values(entry: Entry) -> dict[str, Any]:
    """The columns of `entries` that a new revision rewrites."""
    return {
        "guid": entry.guid,
        "url": entry.url,
        "original_url": entry.original_url,
        "title": entry.title,
        "author": entry.author,
        "language": entry.language,
        "published_at": stamp_or_none(entry.published_at),
        "updated_at": stamp_or_none(entry.updated_at),
        "url_key": entry.url_key,
        "hash": entry.hash,
        "categories": _json(entry.categories, ("term", "scheme", "label")),
        "enclosures": _json(entry.enclosures, ("url", "type", "length")),
        "source_title": entry.source.title if entry.source else None,
        "source_url": entry.source.url if entry.source else None,
        "summary": entry.summary,
        "content": entry.content,
        "text": entry.text,
    }


def _json(values: Sequence[object], names: Iterable[str]) -> str:
    if not values:
        return "[]"
    objects = (
        {name: part for name in names if (part := getattr(value, name)) is not None} for value in values
    )
    return json.dumps(list(objects), ensure_ascii=False)


def stored_entry(
    row: Row,
    *,
    tags: tuple[Tag, ...] = (),
    matches: tuple[Match, ...] = (),
    attributions: tuple[Attribution, ...] = (),
    countries: tuple[str, ...] = (),
    copies: tuple[Copy, ...] = (),
) -> StoredEntry:
    """An entry from a row of `entries` joined with its feed's `feed_*` columns and `article_uid`."""
    return StoredEntry(
        id=row["id"],
        uid=row["uid"],
        feed_id=row["feed_id"],
        feed_title=row["feed_title"] or host(row["feed_url"]),
        feed_url=row["feed_url"],
        feed_site_url=row["feed_site_url"],
        article_id=row["article_id"],
        guid=row["guid"],
        url=row["original_url"] or row["url"],
        title=row["title"],
        author=row["author"],
        summary=row["summary"],
        content=row["content"],
        text=row["text"],
        language=row["language"],
        published_at=moment_or_none(row["published_at"]),
        updated_at=moment_or_none(row["updated_at"]),
        first_seen_at=moment(row["first_seen_at"]),
        changed_at=moment(row["changed_at"]),
        revision=row["revision"],
        categories=tuple(Category(**value) for value in json.loads(row["categories"])),
        enclosures=tuple(Enclosure(**value) for value in json.loads(row["enclosures"])),
        tags=tags,
        matches=matches,
        attributions=attributions,
        article_uid=row["article_uid"] or row["uid"],
        story_id=row["story_id"],
        significant_at=moment_or_none(row["significant_at"]),
        withdrawn_at=moment_or_none(row["withdrawn_at"]),
        countries=countries,
        copies=copies,
    )


def stored_event(row: Row) -> StoredEvent:
    """An event from a row of `feed_events` joined with its feed's columns."""
    return StoredEvent(
        id=row["id"],
        uid=uid(row["subscription_url"], f"{row['kind']} {row['at']}"),
        feed_id=row["feed_id"],
        feed_title=row["feed_title"] or row["feed_url"],
        feed_url=row["feed_url"],
        feed_site_url=row["feed_site_url"],
        at=moment(row["at"]),
        kind=EventKind(row["kind"]),
        message=row["message"],
    )
