"""New, revised or seen?

*Identity* of an entry within its feed is, in this order: its guid; its link; a hash of its title and
content. A feed whose guids change at every poll, or that gives one guid to several articles, is
recognised and identified without them from then on (`Identity.LINK`). *Equality* is a hash of the content.
Nothing is dropped but a repetition of the same entry within one document.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from aggregator import text
from aggregator.model import EntryData, Identity, Known

UNSTABLE_SHARE = 0.5
"""Guids are not to be trusted when more than this share of a document's entries contradicts them…"""
UNSTABLE_COUNT = 3
"""… and at least this many entries do."""
SHARED_SHARE = 0.05
"""Guids are not to be trusted when more than this share of a document's entries has another one's."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """An entry of a document with all that may identify it.

    Attributes:
        data: the entry.
        key: its identity by guid, or what stands in for a missing one.
        link_key: its identity where guids are not trusted: by link, or by content where the link says nothing.
        url_key: hash of the canonical URL, equal in all feeds; None where the link says nothing.
        hash: equal exactly when nothing changed that counts.
    """

    data: EntryData
    key: str
    link_key: str
    url_key: int | None
    hash: bytes


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a document's entry is. Neither new nor changed: seen.

    Attributes:
        keyed: the entry; its `key` is the one to store if it is new.
        known: the stored entry; None: it is new.
    """

    keyed: Keyed
    known: Known | None

    @property
    def changed(self) -> bool:
        """True when the stored entry has another content."""
        return self.known is not None and self.known.hash != self.keyed.hash


def identify(entries: Iterable[EntryData]) -> tuple[Keyed, ...]:
    """The entries of one document with their keys, repetitions left out, in document order."""
    found: dict[tuple[str | None, str | None, str], EntryData] = {}
    for data in entries:
        address = data.original_url or data.url
        canonical = text.canonical_url(address) if address else None
        if canonical is not None and _is_front_page(canonical):
            canonical = None
        name = data.title if data.title and (data.guid or canonical) else _content_key(data)
        # Of two versions of one entry in one document, the first is the newer.
        found.setdefault((data.guid, canonical, name), data)

    guids = Counter(guid for guid, _, _ in found)
    names: dict[str | None, set[str]] = {}
    for _, canonical, name in found:
        names.setdefault(canonical, set()).add(name)

    keyed: dict[str, Keyed] = {}
    for (guid, canonical, _), data in found.items():
        # A link that several articles share is the address of a list, not of any of them.
        link = canonical if len(names[canonical]) == 1 else None
        link_key = f"link:{link}" if link else _content_key(data)
        key = link_key if not guid else guid if guids[guid] == 1 else f"{guid} {link_key}"
        url_key = text.url_key(link) if link else None
        keyed.setdefault(key, Keyed(data, key, link_key, url_key, text.stable_hash(data)))
    return tuple(keyed.values())


def decide(
    entries: Sequence[Keyed],
    known: Collection[Known],
    removed: Collection[str] = frozenset(),
    identity: Identity = Identity.GUID,
) -> tuple[Identity, tuple[Verdict, ...]]:
    """Compare a document with what is stored of its feed.

    Args:
        entries: of the document, from `identify`.
        known: the stored entries that have a key or a canonical URL of these.
        removed: keys that retention has removed; such an entry is neither new nor kept.
        identity: what has told this feed's entries apart so far.

    Returns:
        What tells them apart from now on, and a verdict on each entry that is not `removed`. No two
        verdicts have the same key or the same stored entry, and no new entry has a stored one's key.
    """
    if identity is Identity.GUID and (_guids_repeat(entries) or _guids_contradicted(entries, known)):
        identity = Identity.LINK
    by_key: dict[str, Keyed] = {}
    for keyed in entries:
        if identity is Identity.LINK:
            keyed = replace(keyed, key=keyed.link_key)
        by_key.setdefault(keyed.key, keyed)

    # Keys speak first, for all entries; links, for those that no key has found.
    matches = {one.key: one for one in known if one.key in by_key}
    by_url: dict[int | None, list[Known]] = {}
    for one in sorted(known, key=lambda one: one.entry_id):
        if one.key not in matches:
            by_url.setdefault(one.url_key, []).append(one)
    guids = {keyed.data.guid for keyed in entries if keyed.data.guid}
    for key, keyed in by_key.items():
        free = by_url.get(keyed.url_key, []) if keyed.url_key is not None else []
        if key in matches or not free:
            continue
        candidates = free
        if identity is Identity.GUID:
            # The publisher may have given an article that we know a new guid: it is the same one if
            # link and title say so and the old guid is gone.
            candidates = [one for one in free if one.guid == keyed.data.guid]
            candidates += [one for one in free if one.guid not in guids and one.title == keyed.data.title]
        if candidates:
            matches[key] = candidates[0]
            free.remove(candidates[0])
    verdicts = (Verdict(keyed, matches.get(key)) for key, keyed in by_key.items())
    return identity, tuple(one for one in verdicts if one.known or one.keyed.key not in removed)


def _guids_repeat(entries: Sequence[Keyed]) -> bool:
    """Several articles have one guid (FreshRSS degrades at the same share)."""
    links: dict[str, set[str]] = {}
    for keyed in entries:
        if keyed.data.guid:
            links.setdefault(keyed.data.guid, set()).add(keyed.link_key)
    shared = sum(len(some) for some in links.values() if len(some) > 1)
    return shared > SHARED_SHARE * len(entries)


def _guids_contradicted(entries: Sequence[Keyed], known: Collection[Known]) -> bool:
    """Guids change though links stay, or stay though links and titles change."""
    by_key = {one.key: one for one in known}
    links = {one.url_key for one in known if one.url_key is not None}
    renewed = reused = 0
    for keyed in entries:
        if not keyed.data.guid or keyed.url_key is None:
            continue
        one = by_key.get(keyed.key)
        if one is None:
            renewed += keyed.url_key in links
        else:
            reused += one.url_key not in (None, keyed.url_key) and one.title != keyed.data.title
    return max(renewed, reused) >= max(UNSTABLE_COUNT, UNSTABLE_SHARE * len(entries))


def _is_front_page(canonical: str) -> bool:
    """True for an address that names a site, not an article."""
    return re.fullmatch(r"https?://[^/?#]+/?", canonical) is not None


def _content_key(data: EntryData) -> str:
    content = EntryData(title=data.title, summary=data.summary, content=data.content)
    return "hash:" + text.stable_hash(content).hex()
