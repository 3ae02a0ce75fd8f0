"""The journey of what belongs together: entries are compared, and joined to articles and stories.

It runs at the end of `Store.record`, within its transaction, so that no reader sees an entry before its article:

    written → fingerprint → who shares a key? → edges → articles → a story for each new article

An edge depends on its two entries alone, and articles on the edges alone: the order of arrival does not matter to
them. A story is chosen when an article is new, from what is there then: there it can.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from aggregator.duplicates import articles, furniture, stories
from aggregator.duplicates.articles import Fingerprint
from aggregator.duplicates.attribution import outlet_of
from aggregator.duplicates.revisions import is_significant
from aggregator.duplicates.stories import Candidate, Signature, Titled
from aggregator.errors import StoreError, UnknownError
from aggregator.model import Edge, Level
from aggregator.store import Cluster, Linkable, Links, Prints, Store

log = logging.getLogger(__name__)

COPIES, TELLINGS = 24, 10
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
VERSION = "1"
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
    _name_stories(links)


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
    store.forget_links()
    for links, entries in _all(
        store, clock, stopped
    ):  # what furniture is, is known when all have been counted
        _count(links, _held(entries))
    for links, entries in _all(store, clock, stopped):
        _put(links, entries, _furniture(links, _held(entries)))
    count = 0
    for links, entries in _all(store, clock, stopped):
        _relate(links, entries, _compared(entries, _furniture(links, _held(entries))))
        count += len(entries)
    return count


def tidy(store: Store, now: datetime, kept_for: timedelta = KEPT_FOR) -> int:
    """Take a page of entries that are out of everybody's window out of the index; returns how many."""
    with store.links(now) as links:
        old = links.read(links.older_than(now - kept_for, TIDIED))
        for entry in old:
            links.uncount(entry, furniture.paragraph_keys(entry.text))
        links.drop(entry.id for entry in old)
        links.sweep(int(now.timestamp()) // 3600 % SWEEPS, SWEEPS)
    return len(old)


def split(links: Links, entry_id: int, level: Level) -> None:
    """Take an entry out of its article, or its article out of its story, for good.

    Raises:
        UnknownError: there is nothing to take it out of.
    """
    cluster = links.cluster([entry_id])
    article = cluster.articles[entry_id]
    if level is Level.ARTICLE:
        others = [member for member in cluster.members if member != entry_id]
    else:
        story = links.place(entry_id)[1]
        others = (
            [] if story is None else [one for one in links.entries_of(story) if one not in cluster.members]
        )
    if not others:
        raise UnknownError(f"entry {entry_id} is alone in its {level}; there is nothing to take it out of")
    links.correct(level, [(entry_id, other) for other in others], together=False)
    if level is Level.ARTICLE:
        _join(links, [entry_id])
    else:
        links.set_story(article, None)
        links.new_story(article, links.read([entry_id])[0].title)
    _name_stories(links)


def merge(links: Links, entry_id: int, other_id: int, level: Level) -> None:
    """Make two entries one article, or their articles one story, for good."""
    links.reconcile(level, entry_id, other_id)
    links.correct(level, [(entry_id, other_id)], together=True)
    if level is Level.ARTICLE:
        _join(links, [entry_id, other_id])
    else:
        _unite(links, [links.place(entry_id)[1], links.place(other_id)[1]])
    _name_stories(links)


# ------------------------------------------------------------------------------- fingerprints

Furniture = Mapping[int, frozenset[int]]
"""Of each feed, the keys of the paragraphs that are its furniture."""
Held = Sequence[tuple[Linkable, tuple[int, ...]]]
"""Entries, and the keys of their paragraphs that may be furniture."""
Compared = Mapping[int, tuple[Fingerprint, Signature]]
"""By what each entry is compared."""


def _enter(links: Links, entries: Sequence[Linkable]) -> None:
    """Fingerprint what is new or revised, and find what it belongs to.

    Where it tells that a paragraph is its feed's furniture, so are the others looked at that hold it: it does not
    matter which of them came first.
    """
    for entry in entries:
        if before := links.before.get(entry.id):
            _note_revision(links, entry, *before)
    held = _held(entries)
    known_before = _furniture(links, held)
    _count(links, held)
    known = _furniture(links, held)
    ids = {entry.id for entry in entries}
    concerned = ids.union(*(links.holding(feed, known[feed] - known_before[feed]) for feed in known))
    if len(concerned) > len(ids):
        entries = links.read(concerned)
        known = _furniture(links, _held(entries))
    _relate(links, entries, _put(links, entries, known))


def _note_revision(links: Links, entry: Linkable, title: str, text: str) -> None:
    links.uncount(entry, furniture.paragraph_keys(text))
    if is_significant((title, text), (entry.title, entry.text)):
        links.changed_what_it_says(entry.id)


def _held(entries: Iterable[Linkable]) -> Held:
    return [(entry, furniture.paragraph_keys(entry.text)) for entry in entries]


def _count(links: Links, held: Held) -> None:
    links.count((entry, keys, articles.title_key(entry.title) or 0) for entry, keys in held)


def _furniture(links: Links, held: Held) -> Furniture:
    """What of the paragraphs that entries hold is furniture."""
    by_feed: dict[int, set[int]] = {}
    for entry, keys in held:
        by_feed.setdefault(entry.feed_id, set()).update(keys)
    return {feed: links.common(feed, keys, ENOUGH) for feed, keys in by_feed.items()}


def _compared(entries: Sequence[Linkable], known: Furniture) -> Compared:
    # Step by step for all, not entry by entry: the tables of each step stay in the processor's cache.
    texts = [furniture.own_text(entry.text, known[entry.feed_id]) for entry in entries]
    fingerprints = [
        articles.fingerprint(
            entry.title,
            text,
            entry.at,
            outlet=outlet_of(entry.feed_title, entry.site_url),
            credits=entry.credits,
            url_key=entry.url_key,
            guid=entry.guid,
            site=entry.site_url,
        )
        for entry, text in zip(entries, texts, strict=True)
    ]
    signatures = [
        stories.signature(entry.title, text, entry.language, entry.at, entry.countries)
        for entry, text in zip(entries, texts, strict=True)
    ]
    return dict(zip((entry.id for entry in entries), zip(fingerprints, signatures, strict=True), strict=True))


def _put(links: Links, entries: Sequence[Linkable], known: Furniture) -> Compared:
    compared = _compared(entries, known)
    prints = []
    for entry in entries:
        article, story = compared[entry.id]
        prints.append(Prints(entry.id, entry.at, article.pack(), article.keys, story.pack(), story.keys))
    links.put(prints)
    return compared


# ------------------------------------------------------------------------------------ joining


def _relate(links: Links, entries: Sequence[Linkable], compared: Compared) -> None:
    """Join fingerprinted entries to articles and stories, one after the other."""
    relating = _Relating(links, entries, compared)
    for entry in entries:
        relating.relate(entry)
    links.add_edges(relating.events)


class _Relating:
    """What some entries are compared with, read and compared for all of them at once."""

    def __init__(self, links: Links, entries: Sequence[Linkable], compared: Compared) -> None:
        self.links = links
        self.compared = compared
        copies = {one.id: links.like_articles(one.id, compared[one.id][0].keys, COPIES) for one in entries}
        self.tellings = {
            one.id: links.like_stories(one.id, compared[one.id][1].keys, TELLINGS) for one in entries
        }
        others = set().union(*copies.values(), *self.tellings.values())
        self.packed = links.packed(others - compared.keys())
        self.edges = self.compare(copies)
        self.events: list[Edge] = []  # between members of stories, to be written down
        self.story_of = links.stories_of(set().union(*self.tellings.values()) - compared.keys())
        self.joined = False  # so that entries may be elsewhere than they were when they were read

    def compare(self, copies: Mapping[int, Sequence[int]]) -> dict[int, list[Edge]]:
        """The edges between entries and those that they may be copies of; each is unpacked once."""
        comparers: dict[int, list[int]] = {}
        for one, others in copies.items():
            for other in others:
                comparers.setdefault(other, []).append(one)
        edges: dict[int, list[Edge]] = {one: [] for one in copies}
        for other, ones in comparers.items():
            if other in self.compared:
                theirs = self.compared[other][0]
            elif other in self.packed:
                theirs = Fingerprint.unpack(self.packed[other][0])
            else:
                continue
            for one in ones:
                mine = self.compared[one][0]
                near = abs(mine.at - theirs.at) <= MINUTES
                if near and (found := articles.same(mine, theirs)):
                    edges[one].append(Edge(one, other, Level.ARTICLE, found.method, found.score))
        return edges

    def signature(self, entry_id: int) -> Signature | None:
        if entry_id in self.compared:
            return self.compared[entry_id][1]
        return Signature.unpack(self.packed[entry_id][1]) if entry_id in self.packed else None

    def relate(self, entry: Linkable) -> None:
        """Join an entry to an article and a story."""
        links = self.links
        edges = [Edge(entry.id, other, Level.ARTICLE, "url", 1.0) for other in links.same_address(entry)]
        edges += self.edges[entry.id]
        article_id, story_id = links.place(entry.id) if self.joined else (entry.article_id, entry.story_id)
        is_new = story_id is None
        if (edges or not is_new) and (partners := links.set_edges(entry.id, Level.ARTICLE, edges)):
            _join(links, [entry.id, *partners])
            self.story_of.clear()
            self.joined = True
            article_id, story_id = links.place(entry.id)
        if story_id is None:
            self.story_of[entry.id] = self.enter_story(entry, article_id)

    def enter_story(self, entry: Linkable, article_id: int) -> int:
        """Put an article into the story that its first entry belongs to, or begin one with it."""
        links = self.links
        for other in links.together(Level.STORY, entry.id):
            if (story := links.place(other)[1]) is not None:
                links.set_story(article_id, story)
                return story
        banned = {
            links.place(one)[1]
            for pair in links.apart(Level.STORY, [entry.id])
            for one in pair
            if one != entry.id
        }
        near = self.tellings[entry.id]
        if self.joined:
            self.story_of |= links.stories_of([one for one in near if one not in self.story_of])
        choice = stories.choose(
            self.compared[entry.id][1],
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


def _join(links: Links, entry_ids: Collection[int]) -> None:
    """Bring the articles of some entries in line with their edges.

    An article stays where the entry is that it began with; of several that become one, the oldest stays.
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


def _name_stories(links: Links) -> None:
    for story_id, titles in links.touched_stories():
        links.name_story(story_id, stories.story_title(Titled(*one) for one in titles))


def _all(
    store: Store, clock: Callable[[], datetime], stopped: Callable[[], bool]
) -> Iterator[tuple[Links, tuple[Linkable, ...]]]:
    """Every entry in the order they came, by pages, each in a write transaction."""
    last = 0
    while not stopped() and (page := store.entry_ids_after(last, PAGE)):
        with store.links(clock()) as links:
            yield links, links.read(page)
            _name_stories(links)
        last = page[-1]
