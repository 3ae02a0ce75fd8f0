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
PAGE = 500
"""Entries that are linked in one transaction when all of them are linked anew."""
KEPT_FOR = max(articles.WINDOW, stories.WINDOW) + timedelta(days=2)
"""How long, by its date, an entry stays in the index: who comes later is out of its window."""
SWEEPS = 24
"""In how many parts, one an hour, the keys of those that were dropped are swept away."""
ENOUGH = furniture.FURNITURE_FROM
VERSION = "1"
"""Grows when entries are compared by other means: all stored ones are then to be linked anew."""


def link(links: Links, entry_ids: Sequence[int]) -> None:
    """Find what new and revised entries belong to.

    Args:
        links: the store's part, in the transaction that wrote them.
        entry_ids: the entries.
    """
    entries = links.read(entry_ids)
    try:
        with links.whole():
            for entry in entries:
                _enter(links, entry)
    except StoreError:
        raise
    except Exception:  # noqa: BLE001 – of one of them; a savepoint for each is dear, where nothing fails
        for entry in entries:
            try:
                with links.whole():
                    _enter(links, entry)
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
    for links, entry in _all(store, clock, stopped):  # what furniture is, is known when all have been counted
        links.count(entry, furniture.paragraph_keys(entry.text), _title_key(entry.title))
    for links, entry in _all(store, clock, stopped):
        _put(links, entry, _furniture(links, entry))
    count = 0
    for links, entry in _all(store, clock, stopped):
        _relate(links, entry, _prints(entry, _furniture(links, entry)))
        count += 1
    return count


def tidy(store: Store, now: datetime, kept_for: timedelta = KEPT_FOR) -> int:
    """Take a page of entries that are out of everybody's window out of the index; returns how many."""
    with store.links(now) as links:
        old = links.read(links.older_than(now - kept_for, PAGE))
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


def _note_revision(links: Links, entry: Linkable, title: str, text: str) -> None:
    links.uncount(entry, furniture.paragraph_keys(text))
    if is_significant((title, text), (entry.title, entry.text)):
        links.changed_what_it_says(entry.id)


def _enter(links: Links, entry: Linkable) -> None:
    """Fingerprint what is new or revised, and find what it belongs to.

    Where it tells that a paragraph is its feed's furniture, so are the others looked at that hold it: it does not
    matter which of them came first.
    """
    if before := links.before.get(entry.id):
        _note_revision(links, entry, *before)
    keys = furniture.paragraph_keys(entry.text)
    fresh = links.count(entry, keys, _title_key(entry.title))
    titles = links.titles_over(entry.feed_id, keys, ENOUGH)
    if learned := [key for key in fresh if titles[key] == ENOUGH]:
        for one in links.read(sorted({entry.id, *links.holding(entry.feed_id, learned)})):
            _relate(links, one, _put(links, one, _furniture(links, one)))
    else:
        _relate(links, entry, _put(links, entry, _known(titles)))


def _furniture(links: Links, entry: Linkable) -> frozenset[int]:
    return _known(links.titles_over(entry.feed_id, furniture.paragraph_keys(entry.text), ENOUGH))


def _known(titles: Mapping[int, int]) -> frozenset[int]:
    return frozenset(key for key, count in titles.items() if count >= ENOUGH)


def _prints(entry: Linkable, known: frozenset[int]) -> tuple[Fingerprint, Signature]:
    own = furniture.own_text(entry.text, known)
    article = articles.fingerprint(
        entry.title,
        own,
        entry.at,
        outlet=outlet_of(entry.feed_title, entry.site_url),
        credits=entry.credits,
        url_key=entry.url_key,
        guid=entry.guid,
        site=entry.site_url,
    )
    return article, stories.signature(entry.title, own, entry.language, entry.at, entry.countries)


def _put(links: Links, entry: Linkable, known: frozenset[int]) -> tuple[Fingerprint, Signature]:
    article, story = _prints(entry, known)
    links.put(entry, Prints(article.pack(), article.keys, story.pack(), story.keys))
    return article, story


def _title_key(title: str) -> int:
    return articles.title_key(title) or 0


# ------------------------------------------------------------------------------------ joining


def _relate(links: Links, entry: Linkable, prints: tuple[Fingerprint, Signature]) -> None:
    """Find the edges of a fingerprinted entry, and join it to an article and a story."""
    article, story = prints
    edges = [Edge(entry.id, other, Level.ARTICLE, "url", 1.0) for other in links.same_address(entry)]
    for other, packed in links.like_articles(entry, article.keys, articles.WINDOW, COPIES):
        if found := articles.same(article, Fingerprint.unpack(packed)):
            edges.append(Edge(entry.id, other, Level.ARTICLE, found.method, found.score))
    article_id, story_id = entry.article_id, entry.story_id
    is_new = story_id is None
    if (edges or not is_new) and (partners := links.set_edges(entry.id, Level.ARTICLE, edges)):
        _join(links, [entry.id, *partners])
        article_id, story_id = links.place(entry.id)
    if story_id is None:
        _enter_story(links, entry, article_id, story)


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


def _enter_story(links: Links, entry: Linkable, article_id: int, mine: Signature) -> None:
    """Put an article into the story that its first entry belongs to, or begin one with it."""
    for other in links.together(Level.STORY, entry.id):
        if (story := links.place(other)[1]) is not None:
            links.set_story(article_id, story)
            return
    banned = {
        links.place(one)[1]
        for pair in links.apart(Level.STORY, [entry.id])
        for one in pair
        if one != entry.id
    }
    choice = stories.choose(
        mine,
        [
            Candidate(other, story, Signature.unpack(packed))
            for other, story, packed in links.like_stories(entry, mine.keys, stories.WINDOW, TELLINGS)
            if story not in banned
        ],
    )
    if choice is None:
        links.new_story(article_id, entry.title)
        return
    links.add_edges(Edge(entry.id, other, Level.STORY, "event", score) for other, score in choice.edges)
    links.set_story(article_id, choice.story_id)


def _unite(links: Links, story_ids: Iterable[int | None]) -> None:
    """Make one story of several, but for those that a person has split."""
    found = list(dict.fromkeys(story for story in story_ids if story is not None))
    for other in found[1:]:
        if not links.are_apart(found[0], other):
            for article in links.articles_of(other):
                links.set_story(article, found[0])


def _name_stories(links: Links) -> None:
    for story_id, titles in links.touched_stories():
        links.name_story(story_id, stories.story_title(Titled(*one) for one in titles))


def _all(
    store: Store, clock: Callable[[], datetime], stopped: Callable[[], bool]
) -> Iterator[tuple[Links, Linkable]]:
    """Every entry in the order they came, each page of them in a write transaction."""
    last = 0
    while not stopped() and (page := store.entry_ids_after(last, PAGE)):
        with store.links(clock()) as links:
            for entry in links.read(page):
                yield links, entry
            _name_stories(links)
        last = page[-1]
