"""From a document to what it means for a feed: pure, but for one look-up of what is known."""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from aggregator import duplicates, parse, places, text
from aggregator.model import (
    Claim,
    Complete,
    Entry,
    EntryChange,
    EntryText,
    Fetched,
    Identity,
    Known,
    New,
    ParsedFeed,
    Revised,
    Seen,
    StoredEntry,
    Withdrawn,
)
from aggregator.topics import Ruleset

log = logging.getLogger(__name__)

T = TypeVar("T")

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
