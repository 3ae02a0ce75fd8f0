"""The journey of what belongs together: entries are compared, and joined to articles and stories.

It runs at the end of `Store.record`, within its transaction, so that no reader sees an entry before its article:

    written → fingerprint → who shares a key? → edges → articles → a story for each new article

An edge depends on its two entries alone, on what they say and said, and articles on the edges alone: the order of
arrival does not matter to them. A story is chosen when an article is new, from what is there then: there it can.
"""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from aggregator.duplicates import articles, furniture, stories
from aggregator.duplicates.articles import Fingerprint, Likeness
from aggregator.duplicates.attribution import outlet_of
from aggregator.duplicates.revisions import is_another, is_significant
from aggregator.duplicates.stories import Candidate, Signature, Titled
from aggregator.errors import StoreError, UnknownError
from aggregator.model import Edge, Level
from aggregator.store import Cluster, Linkable, Links, Prints, Store
from aggregator.text import plain_text

log = logging.getLogger(__name__)
T = TypeVar("T")

COPIES, TELLINGS = 12, 10
"""With how many others an entry is compared, at most: for its article, and for its story."""
PAGE = 100
"""Entries that are looked at together: more need more memory, and save hardly any work."""
TIDIED = 500
"""Entries that are taken out of the index in one transaction."""
MINUTES = articles.WINDOW // timedelta(minutes=1)
"""How far apart entries are dated that are compared: by address alone they may be one article whenever they came."""
KEPT_FOR = max(articles.WINDOW, stories.WINDOW) + timedelta(days=2)
"""How long, by its date, an entry stays in the index: who comes later is out of its window."""
SWEEPS = 23
"""In how many parts, one an hour, the keys of those that were dropped are swept away.

A prime number: whoever comes by every so many hours, or once a day, gets round to all of them.
"""
ENOUGH = furniture.FURNITURE_FROM
VERSION = "3"
"""Grows when entries are compared by other means: all stored ones are then to be linked anew."""


def link(links: Links, entry_ids: Sequence[int]) -> None:
    """Find what new and revised entries belong to.

    Args:
        links: the store's part, in the transaction that wrote them.
        entry_ids: the entries.
    """
    ids = sorted(entry_ids)
    for start in range(0, len(ids), PAGE):
        entries = links.read(ids[start : start + PAGE])
        try:
            with links.whole():
                _enter(links, entries)
        except StoreError:
            raise
        except Exception:  # noqa: BLE001 – of one of them; a savepoint for each is dear, where nothing fails
            for entry in entries:
                try:
                    with links.whole():
                        _enter(links, [entry])
                except StoreError:
                    raise
                except Exception:
                    # It stays an article of its own; the poll that brought it is recorded all the same.
                    log.exception("a fault of ours while entry %d was compared with others", entry.id)
    _settle_stories(links)


def relink(store: Store, clock: Callable[[], datetime], stopped: Callable[[], bool] = lambda: False) -> int:
    """Find anew what all entries belong to; what people have corrected stays.

    Others read and write meanwhile: it goes page by page.

    Args:
        store: it is in a transaction of its own for each page.
        clock: gives the time.
        stopped: asked between pages; once it is so, the rest is left.

    Returns:
        How many entries there were, or were linked until then.
    """
    while not stopped() and store.forget_links():
        pass
    for links, entries in _all(store, clock, stopped):
        _count(links, _held(entries))
    # What furniture is, is known when all have been counted; whom it is tied to, when all have been compared.
    for links, entries in _all(store, clock, stopped):
        edges = _edges(links, entries, _put(links, entries, _furniture(links, _held(entries))))
        for entry in entries:
            links.set_edges(entry.id, Level.ARTICLE, edges[entry.id])
    count = 0
    for links, entries in _all(store, clock, stopped):
        _place(links, entries)
        count += len(entries)
    if not stopped():
        with store.links(clock()) as links:
            _heed_corrections(links)
            _settle_stories(links)
    return count


def tidy(store: Store, now: datetime, kept_for: timedelta = KEPT_FOR) -> int:
    """Take a page of entries that are out of everybody's window out of the index; returns how many."""
    with store.links(now) as links:
        dropped = links.drop(now - kept_for, TIDIED)
        if dropped < TIDIED:
            links.sweep(int(now.timestamp()) // 3600 % SWEEPS, SWEEPS)
    return dropped


def split(links: Links, entry_id: int, level: Level) -> None:
    """Take an entry out of its article, or its article out of its story, for good.

    Raises:
        UnknownError: there is nothing to take it out of.
    """
    cluster = links.cluster([entry_id])
    if level is Level.ARTICLE:
        others = [member for member in cluster.members if member != entry_id]
    else:
        story = links.place(entry_id)[1]
        others = (
            [] if story is None else [one for one in links.entries_of(story) if one not in cluster.members]
        )
    if not others:
        raise UnknownError(f"entry {entry_id} is alone in its {level}; there is nothing to take it out of")
    pairs = {(entry_id, other) for other in others}
    if level is Level.STORY:  # what was said of its copies is taken back with it
        for one in cluster.members:
            pairs |= {(one, other) for other in links.together(level, [one]) if other in others}
    links.correct(level, pairs, together=False)
    if level is Level.ARTICLE:
        _join(links, [entry_id])
    else:
        _leave_story(links, entry_id)
    _settle_stories(links)


def merge(links: Links, entry_id: int, other_id: int, level: Level) -> None:
    """Make two entries one article, or their articles one story, for good."""
    links.reconcile(level, entry_id, other_id)
    links.correct(level, [(entry_id, other_id)], together=True)
    if level is Level.ARTICLE:
        _join(links, [entry_id, other_id])
    else:
        _unite(links, [links.place(entry_id)[1], links.place(other_id)[1]])
    _settle_stories(links)


# ------------------------------------------------------------------------------- fingerprints

Furniture = Mapping[int, frozenset[int]]
"""Of each feed, the keys of the paragraphs that are its furniture."""
Held = Sequence[tuple[Linkable, tuple[int, ...]]]
"""Entries, and the keys of their paragraphs that may be furniture."""
Versions = tuple[Fingerprint, ...]
"""Of what an entry says, and of what it said before."""
Compared = Mapping[int, tuple[Versions, Signature]]
"""By what each entry is compared."""


def _enter(links: Links, entries: Sequence[Linkable]) -> None:
    """Fingerprint what is new or revised, and find what it belongs to.

    Where it tells that a paragraph is its feed's furniture, so are the others looked at that hold it: it does not
    matter which of them came first.
    """
    held = _held(entries)
    known_before = _furniture(links, held)
    for entry in entries:
        if before := links.before.get(entry.id):
            _note_revision(links, entry, *before)
            links.story_changed(entry.story_id)
    _count(links, held)
    known = _furniture(links, held)
    ids = {entry.id for entry in entries}
    concerned = ids.union(*(links.holding(feed, known[feed] - known_before[feed]) for feed in known))
    if len(concerned) > len(ids):
        entries = links.read(concerned)
        known = _furniture(links, _held(entries))
    compared = _put(links, entries, known)
    edges = _edges(links, entries, compared)
    relating = _Relating(links, entries, {one: signature for one, (_, signature) in compared.items()})
    for entry in _in_turn(links, entries):
        relating.relate(entry, edges[entry.id])
    links.add_edges(relating.events)


def _in_turn(links: Links, work: Iterable[T]) -> Iterator[T]:
    """Pieces of work, each when nothing more urgent is waiting."""
    for piece in work:
        links.give_way()
        yield piece


def _note_revision(links: Links, entry: Linkable, title: str, text: str) -> None:
    links.uncount(entry, furniture.paragraph_keys(text), _title_key(title))
    if is_significant((title, text), (entry.title, entry.text)):
        links.changed_what_it_says(entry.id)


def _held(entries: Iterable[Linkable]) -> Held:
    return [(entry, furniture.paragraph_keys(entry.text)) for entry in entries]


def _count(links: Links, held: Held) -> None:
    links.count((entry, keys, _title_key(entry.title)) for entry, keys in held)


def _title_key(title: str) -> int:
    return articles.title_key(title) or 0


def _furniture(links: Links, held: Held) -> Furniture:
    """What of the paragraphs that entries hold is furniture."""
    by_feed: dict[int, set[int]] = {}
    for entry, keys in held:
        by_feed.setdefault(entry.feed_id, set()).update(keys)
    return {feed: links.common(feed, keys, ENOUGH) for feed, keys in by_feed.items()}


def _compared(links: Links, entries: Sequence[Linkable], known: Furniture) -> Compared:
    # Step by step for all, not entry by entry: the tables of each step stay in the processor's cache.
    texts = [furniture.own_text(entry.text, known[entry.feed_id]) for entry in entries]
    fingerprints = [
        _fingerprint(entry, entry.title, text)
        for entry, text in _in_turn(links, zip(entries, texts, strict=True))
    ]
    signatures = [
        stories.signature(entry.title, text, entry.language, entry.at, entry.countries)
        for entry, text in _in_turn(links, zip(entries, texts, strict=True))
    ]
    earlier = links.earlier(entry.id for entry in entries)
    return {
        entry.id: (
            (now, *_before(entry, now, earlier[entry.id], known)) if entry.id in earlier else (now,),
            signature,
        )
        for entry, now, signature in zip(entries, fingerprints, signatures, strict=True)
    }


def _fingerprint(entry: Linkable, title: str, text: str) -> Fingerprint:
    return articles.fingerprint(
        title,
        text,
        entry.at,
        outlet=outlet_of(entry.feed_title, entry.site_url),
        credits=entry.credits,
        url_key=entry.url_key,
        guid=entry.guid,
        site=entry.site_url,
    )


def _before(
    entry: Linkable, now: Fingerprint, earlier: Iterable[tuple[str, str]], known: Furniture
) -> Iterator[Fingerprint]:
    """What an entry said before, and others may have taken from it: a toll that it has corrected since.

    Not what was another text, nor what stood under a title that stands over another text each day.
    """
    if now.standing:
        return
    present = f"{entry.title}\n{entry.text}"
    for title, markup in dict.fromkeys(earlier):
        text = plain_text(markup)
        if not is_another(f"{title}\n{text}", present):
            before = _fingerprint(entry, title, furniture.own_text(text, known[entry.feed_id]))
            if before != now:
                yield before


def _put(links: Links, entries: Sequence[Linkable], known: Furniture) -> Compared:
    compared = _compared(links, entries, known)
    prints = []
    for entry in entries:
        versions, story = compared[entry.id]
        prints.append(
            Prints(entry.id, entry.at, _pack(versions), _article_keys(versions), story.pack(), story.keys)
        )
    links.put(prints)
    return compared


def _article_keys(versions: Versions) -> tuple[int, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(one.keys for one in versions)))


def _pack(versions: Versions) -> bytes:
    packed = [one.pack() for one in versions]
    return b"".join(len(one).to_bytes(2, "little") + one for one in packed)


def _unpack(packed: bytes) -> Versions:
    found = []
    while packed:
        end = 2 + int.from_bytes(packed[:2], "little")
        found.append(Fingerprint.unpack(packed[2:end]))
        packed = packed[end:]
    return tuple(found)


# ------------------------------------------------------------------------------------ joining


def _edges(links: Links, entries: Sequence[Linkable], compared: Compared) -> dict[int, list[Edge]]:
    """The edges between entries and those that they may be copies of.

    These are the ones that share most of their keys, and those that they are tied to now: whom a revision still
    resembles, it does not lose.
    """
    partners = links.partners(compared)
    edges: dict[int, list[Edge]] = {}
    comparers: dict[int, list[int]] = {}
    for one in _in_turn(links, entries):
        edges[one.id] = [Edge(one.id, other, Level.ARTICLE, "url", 1.0) for other in links.same_address(one)]
        like = links.like_articles(one.id, _article_keys(compared[one.id][0]), COPIES)
        for other in {*like, *partners.get(one.id, ())}:
            comparers.setdefault(other, []).append(one.id)
    packed = links.packed(comparers.keys() - compared.keys())
    for other, ones in _in_turn(links, comparers.items()):  # each is unpacked once
        if other in compared:
            theirs = compared[other][0]
        elif other in packed:
            theirs = _unpack(packed[other][0])
        else:
            continue
        for one_id in ones:
            if found := _likeness(compared[one_id][0], theirs):
                edges[one_id].append(Edge(one_id, other, Level.ARTICLE, found.method, found.score))
    return edges


def _likeness(mine: Versions, theirs: Versions) -> Likeness | None:
    """How two entries are one article, by what they say or said; their present versions come first."""
    one, other = mine[0], theirs[0]
    if abs(one.at - other.at) > MINUTES and (one.url is None or one.url != other.url):
        return None
    if (found := articles.same(one, other)) or len(mine) == len(theirs) == 1:
        return found
    pairs = (articles.same(some, others) for some in mine for others in theirs)
    return max(filter(None, pairs), key=lambda like: (like.score, like.method), default=None)


def _place(links: Links, entries: Sequence[Linkable]) -> None:
    """Join entries that have all been compared to articles and stories, one after the other."""
    packed = links.packed(entry.id for entry in entries)
    if lost := [entry for entry in entries if entry.id not in packed]:  # dropped since then
        _put(links, lost, _furniture(links, _held(lost)))
        packed = links.packed(entry.id for entry in entries)
    relating = _Relating(links, entries, {one: Signature.unpack(story) for one, (_, story) in packed.items()})
    partners = links.partners(packed)
    for entry in _in_turn(links, entries):
        relating.place(entry, partners.get(entry.id, ()))
    links.add_edges(relating.events)


class _Relating:
    """Joins entries to articles and stories; what their stories are chosen from is read for all of them at once."""

    def __init__(
        self, links: Links, entries: Sequence[Linkable], signatures: Mapping[int, Signature]
    ) -> None:
        self.links = links
        self.signatures = signatures
        self.tellings = {
            one.id: links.like_stories(one.id, signatures[one.id].keys, TELLINGS) for one in entries
        }
        others = set().union(*self.tellings.values()) - signatures.keys()
        self.packed = links.packed(others)
        self.events: list[Edge] = []  # between members of stories, to be written down
        self.story_of = links.stories_of(others)
        self.joined: set[int] = set()  # entries that may be elsewhere than they were when they were read

    def signature(self, entry_id: int) -> Signature | None:
        if entry_id in self.signatures:
            return self.signatures[entry_id]
        return Signature.unpack(self.packed[entry_id][1]) if entry_id in self.packed else None

    def relate(self, entry: Linkable, edges: Collection[Edge]) -> None:
        """Join an entry to an article and a story by the edges that were found."""
        partners: tuple[int, ...] = ()
        if edges or entry.story_id is not None:
            partners = self.links.set_edges(entry.id, Level.ARTICLE, edges)
        self.join(entry, partners)

    def place(self, entry: Linkable, partners: Collection[int]) -> None:
        """Join an entry to an article and a story by the edges that are stored."""
        known = entry.id in self.joined
        self.join(entry, () if known else partners, anew=not known)

    def join(self, entry: Linkable, partners: Collection[int], *, anew: bool = False) -> None:
        links = self.links
        if partners or (anew and entry.accompanied):
            self.joined.update(_join(links, [entry.id, *partners]))
            self.story_of.clear()
        article_id, story_id = links.place(entry.id) if self.joined else (entry.article_id, entry.story_id)
        if story_id is None:
            self.story_of[entry.id] = self.enter_story(entry, article_id)

    def enter_story(self, entry: Linkable, article_id: int) -> int:
        """Put an article into the story that its first entry belongs to, or begin one with it."""
        links = self.links
        members = links.members(article_id) if links.corrected else ()
        for other in links.together(Level.STORY, members):
            if (story := links.place(other)[1]) is not None:
                links.set_story(article_id, story)
                return story
        apart = set(chain.from_iterable(links.apart(Level.STORY, members))).difference(members)
        banned = {links.place(one)[1] for one in apart}
        near = self.tellings[entry.id]
        if self.joined:
            self.story_of |= links.stories_of([one for one in near if one not in self.story_of])
        choice = stories.choose(
            self.signatures[entry.id],
            [
                Candidate(other, self.story_of[other], signature)
                for other in near
                if (signature := self.signature(other))
                and other in self.story_of
                and self.story_of[other] not in banned
            ],
        )
        if choice is None:
            return links.new_story(article_id, entry.title)
        self.events += [Edge(entry.id, other, Level.STORY, "event", score) for other, score in choice.edges]
        links.set_story(article_id, choice.story_id)
        return choice.story_id


def _join(links: Links, entry_ids: Collection[int]) -> Collection[int]:
    """Bring the articles of some entries in line with their edges.

    An article stays where the entry is that it began with; of several that become one, the oldest stays.

    Returns:
        All entries of these articles.
    """
    cluster = links.cluster(entry_ids)
    founders = {article: _founder(links, cluster, article) for article in set(cluster.articles.values())}
    groups: dict[int, tuple[frozenset[int], int]] = {}
    for group in articles.partition(cluster.members, cluster.edges, cluster.apart):
        own = [article for article, founder in founders.items() if founder in group]
        article_id = min(own) if own else links.new_article(min(group))
        groups[article_id] = group, articles.original([_member(cluster, one) for one in group]).id
    told = {
        article_id: [links.place(one)[1] for one in sorted(group)]
        for article_id, (group, _) in groups.items()
    }
    links.set_articles(groups)
    links.drop_articles(founders.keys() - groups.keys())
    for article_id, (group, _) in groups.items():
        _unite(links, [links.place(min(group))[1], *told[article_id]])
    return cluster.members


def _member(cluster: Cluster, entry_id: int) -> articles.Member:
    one = cluster.members[entry_id]
    return articles.Member(one.id, one.uid, one.at, outlet_of(one.feed_title, one.site_url), one.credits)


def _founder(links: Links, cluster: Cluster, article_id: int) -> int:
    """The entry that an article began with, or the oldest that is left of it."""
    uid = links.uid_of(article_id)
    entries = [entry for entry, article in cluster.articles.items() if article == article_id]
    return next((entry for entry in entries if cluster.members[entry].uid == uid), min(entries))


def _unite(links: Links, story_ids: Iterable[int | None]) -> None:
    """Make one story of several, but for those that a person has split."""
    found = list(dict.fromkeys(story for story in story_ids if story is not None))
    for other in found[1:]:
        if not links.are_apart(found[0], other):
            links.join_stories(found[0], other)


def _leave_story(links: Links, entry_id: int) -> None:
    """Give an entry's article a story of its own."""
    article = links.place(entry_id)[0]
    links.set_story(article, None)
    links.story_changed(links.new_story(article, links.read([entry_id])[0].title))


def _heed_corrections(links: Links) -> None:
    """Bring stories in line with what people said of them, now that all articles are whole.

    Of two that were split, that one leaves which was split from most: who was taken out of a story.
    """
    for pair in links.contradicted(together=True):
        _unite(links, [links.place(one)[1] for one in pair])
    pairs = links.contradicted(together=False)
    split_from = Counter(chain.from_iterable(pairs))
    for a, b in pairs:
        if links.place(a)[1] == links.place(b)[1]:
            _leave_story(links, max(a, b, key=lambda one: (split_from[one], one)))


def _settle_stories(links: Links) -> None:
    """Give the stories that have changed their titles, and what their entries credit its address."""
    for story_id, titles in links.touched_stories():
        try:
            with links.whole():
                links.name_story(story_id, stories.story_title(Titled(*one) for one in titles))
                _find_sources(links, story_id)
        except StoreError:
            raise
        except Exception:
            log.exception("a fault of ours while story %d was named", story_id)


def _find_sources(links: Links, story_id: int) -> None:
    """Have each credit lead to where the outlet tells it first: to its copy of the article, else of the story."""
    given = links.credits(story_id)
    copies: dict[tuple[str | None, int], str] = {}
    tellings: dict[str | None, str] = {}
    for one in links.sources(story_id) if given else ():
        outlet = outlet_of(one.feed_title, one.site_url)
        copies.setdefault((outlet, one.article_id), one.url)
        tellings.setdefault(outlet, one.url)
    for credit in given:
        url = copies.get((credit.name, credit.article_id)) or tellings.get(credit.name)
        if url != credit.url:
            links.lead(credit, url)


def _all(
    store: Store, clock: Callable[[], datetime], stopped: Callable[[], bool]
) -> Iterator[tuple[Links, tuple[Linkable, ...]]]:
    """Every entry in the order they came, by pages, each in a write transaction."""
    last = 0
    while not stopped() and (page := store.entry_ids_after(last, PAGE)):
        with store.links(clock()) as links:
            yield links, links.read(page)
            _settle_stories(links)
        last = page[-1]
