"""New, revised or seen: the ways of real feeds, and what must hold for any."""

from dataclasses import replace
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.duplicates import decide, identify
from aggregator.model import EntryData, Identity, Known
from tests.conftest import NOON

SITE = "https://a.example"


def item(guid: str | None = None, link: str | None = None, title: str = "T", content: str = "C") -> EntryData:
    return EntryData(guid=guid, url=link and f"{SITE}/{link}", title=title, content=content)


class Memory:
    """What a store keeps of one feed, polled document by document."""

    def __init__(self) -> None:
        self.rows: dict[int, Known] = {}
        self.identity = Identity.GUID
        self.removed: set[str] = set()
        self._ids = count(1)

    def poll(self, *entries: EntryData) -> list[str]:
        """What becomes of each entry of a document: its title, and `new`, `revised` or `seen`."""
        keyed = identify(entries)
        keys = {key for one in keyed for key in (one.key, one.link_key)}
        url_keys = {one.url_key for one in keyed if one.url_key is not None}
        known = [one for one in self.rows.values() if one.key in keys or one.url_key in url_keys]
        self.identity, verdicts = decide(keyed, known, self.removed & keys, self.identity)
        said = []
        for verdict in verdicts:
            one, data = verdict.keyed, verdict.keyed.data
            said.append(
                f"{data.title} {'new' if verdict.known is None else 'revised' if verdict.changed else 'seen'}"
            )
            if verdict.known is None:
                key, entry_id = one.key, next(self._ids)
                assert key not in {row.key for row in self.rows.values()}  # the store would refuse it
            else:
                key, entry_id = verdict.known.key, verdict.known.entry_id
            if verdict.known is None or verdict.changed:
                self.rows[entry_id] = Known(entry_id, key, data.guid, one.url_key, data.title, one.hash, NOON)
        return said


# ------------------------------------------------------------------------- within a document


@pytest.mark.parametrize(
    ("entries", "keys"),
    [
        pytest.param([item("g", "1")], ["g"], id="guid"),
        pytest.param([item(None, "1")], [f"link:{SITE}/1"], id="no guid: link"),
        pytest.param(
            [item(None, "1?utm_source=rss#top")], [f"link:{SITE}/1"], id="the link in its canonical form"
        ),
        pytest.param([item("g", "1"), item("h", "1")], ["g", "h"], id="two guids, one link"),
        pytest.param(
            [item("g", "1"), item("g", "2")],
            [f"g link:{SITE}/1", f"g link:{SITE}/2"],
            id="one guid, two links",
        ),
        pytest.param([item("g", "1"), item("g", "1")], ["g"], id="a repetition is left out"),
        pytest.param(
            [item("g", "1", content="now"), item("g", "1", content="before")],
            ["g"],
            id="two versions: the first is the newer",
        ),
        pytest.param([item("g"), item("g", content="before")], ["g"], id="two versions without links"),
        pytest.param(
            [item(None, "1"), item(None, "1", content="before")], [f"link:{SITE}/1"], id="without guids"
        ),
    ],
)
def test_keys_within_a_document(entries: list[EntryData], keys: list[str]) -> None:
    found = identify(entries)
    assert [one.key for one in found] == keys
    assert found[0].data == entries[0]


@pytest.mark.parametrize(
    "entries",
    [
        pytest.param([item(), item(content="D"), item(title="U")], id="neither guid nor link"),
        pytest.param([item(None, "", "A"), item(None, "", "B")], id="links to the front page"),
        pytest.param([item(None, "", "", "A"), item(None, "", "", "B")], id="to the front page, untitled"),
        pytest.param([item(None, "list", "A"), item(None, "list", "B")], id="links to a list"),
        pytest.param([item(None, "list", "", "A"), item(None, "list", "", "B")], id="to a list, untitled"),
        pytest.param([item("g", "list", "A"), item("g", "list", "B")], id="one guid and link for all"),
        pytest.param([item("g", None, "A"), item("g", None, "B")], id="one guid for all, no links"),
    ],
)
def test_where_guid_and_link_say_nothing_content_tells_apart(entries: list[EntryData]) -> None:
    found = identify(entries)
    assert len({one.key for one in found}) == len(entries)
    assert all(one.url_key is None for one in found)
    assert all(one.link_key.startswith("hash:") for one in found)


@pytest.mark.parametrize(
    "front", ["https://a.example", "https://a.example/", "http://www.a.example/?utm_source=x"]
)
def test_a_front_page_is_nobodys_address(front: str) -> None:
    (one,) = identify([EntryData(guid="g", url=front, title="T")])
    assert (one.key, one.url_key) == ("g", None)


def test_a_trackers_address_gives_way_to_the_one_it_names() -> None:
    (one,) = identify(
        [EntryData(url="https://tracker.example/1", original_url="https://a.example/x", title="T")]
    )
    assert one.key == "link:https://a.example/x"


def test_an_address_by_query_is_an_article() -> None:
    (one,) = identify([EntryData(url="https://a.example/?p=12", title="T")])
    assert one.key == "link:https://a.example?p=12"


def test_one_article_has_one_address_in_every_feed() -> None:
    (one,) = identify([EntryData(guid="1", url="https://www.a.example/x/?utm_medium=feed", title="T")])
    (two,) = identify([EntryData(guid="2", url="http://a.example/x/amp", title="Other title")])
    assert one.url_key == two.url_key is not None


# -------------------------------------------------------------------------- over several polls

PLAIN = [item(f"g{n}", f"{n}", f"T{n}") for n in range(4)]
NO_GUIDS = [item(None, f"{n}", f"T{n}") for n in range(4)]
ONE_GUID = [item("same", f"{n}", f"T{n}") for n in range(4)]


def renamed(entries: list[EntryData], prefix: str) -> list[EntryData]:
    return [replace(one, guid=f"{prefix}-{number}") for number, one in enumerate(entries)]


@pytest.mark.parametrize(
    "documents",
    [
        pytest.param([PLAIN, PLAIN], id="as it should be"),
        pytest.param([PLAIN, PLAIN[::-1]], id="in another order"),
        pytest.param([NO_GUIDS, NO_GUIDS], id="no guids"),
        pytest.param([ONE_GUID, ONE_GUID, ONE_GUID[:1], ONE_GUID], id="one guid for all"),
        pytest.param([renamed(PLAIN, f"p{n}") for n in range(4)], id="other guids at each poll"),
        pytest.param(
            [renamed([item(None, f"{n}", "T") for n in range(4)], f"p{n}") for n in range(3)],
            id="other guids at each poll, all titles the same",
        ),
        pytest.param([PLAIN, NO_GUIDS, PLAIN], id="guids left out for once"),
        pytest.param([NO_GUIDS, PLAIN], id="guids introduced"),
        pytest.param([NO_GUIDS, [*PLAIN[:3], NO_GUIDS[3]]], id="guids introduced for some"),
        pytest.param([PLAIN, [item("other", "0", "T0"), *PLAIN[1:]]], id="one guid changed"),
        pytest.param(
            [[item("g", "1")], [item("g", "1"), item("g", "1", content="old")]], id="two versions now"
        ),
        pytest.param([[item("g"), item("g", content="old")], [item("g")]], id="two versions no more"),
        pytest.param([[item("g", "2"), item("g", "1")], [item("g", "1")]], id="a guid no longer shared"),
        pytest.param([[item("g", "1")] * 3, [item("g", "1")]], id="repetitions"),
        pytest.param([[item(title="A"), item(title="B")]] * 2, id="content only"),
        pytest.param([[item("g", "list", "A"), item("g", "list", "B")]] * 2, id="one guid and link for all"),
    ],
)
def test_nothing_is_new_twice(documents: list[list[EntryData]]) -> None:
    memory = Memory()
    memory.poll(*documents[0])
    for document in documents[1:]:
        assert {line.split()[-1] for line in memory.poll(*document)} == {"seen"}


@pytest.mark.parametrize(
    ("documents", "identity"),
    [
        pytest.param([PLAIN, PLAIN], Identity.GUID, id="as it should be"),
        pytest.param([PLAIN, [replace(one, title="!") for one in PLAIN]], Identity.GUID, id="other titles"),
        pytest.param(
            [PLAIN, [replace(one, url=f"{one.url}-moved") for one in PLAIN]], Identity.GUID, id="other links"
        ),
        pytest.param([PLAIN, NO_GUIDS], Identity.GUID, id="guids left out"),
        pytest.param([PLAIN, renamed(PLAIN, "p")], Identity.LINK, id="other guids at each poll"),
        pytest.param(
            [PLAIN, [*renamed(PLAIN[:2], "p"), *PLAIN[2:]]], Identity.GUID, id="two of four: not yet"
        ),
        pytest.param(
            [PLAIN, [item(f"g{n}", f"new{n}", f"New {n}") for n in range(4)]],
            Identity.LINK,
            id="guids given to other articles",
        ),
        pytest.param([ONE_GUID], Identity.LINK, id="one guid for several articles"),
        pytest.param(
            [[*(item(f"g{n}", f"{n}") for n in range(40)), item("g0", "other")]],
            Identity.GUID,
            id="one shared guid among forty",
        ),
        pytest.param([ONE_GUID, PLAIN, PLAIN], Identity.LINK, id="once unreliable, always"),
    ],
)
def test_what_tells_a_feeds_entries_apart(documents: list[list[EntryData]], identity: Identity) -> None:
    memory = Memory()
    for document in documents:
        memory.poll(*document)
    assert memory.identity is identity


def test_a_changed_entry_is_revised_whatever_changed() -> None:
    memory = Memory()
    memory.poll(item("g", "1", "One"), item("h", "2", "Two"))
    assert memory.poll(item("g", "1", "Uno"), item("h", "3", "Two")) == ["Uno revised", "Two revised"]


def test_a_new_guid_on_a_known_link_with_another_title_is_another_entry() -> None:
    memory = Memory()
    memory.poll(item("g", "live", "Morning"))
    assert memory.poll(item("h", "live", "Evening")) == ["Evening new"]


def test_a_new_guid_is_no_renaming_while_the_old_one_is_still_there() -> None:
    memory = Memory()
    memory.poll(item("g", "1"))
    assert memory.poll(item("h", "1"), item("g", "1")) == ["T new", "T seen"]


def test_an_entry_is_found_by_the_guid_it_was_given_later() -> None:
    memory = Memory()
    memory.poll(item("old", "1"))
    assert memory.poll(item("new", "1", content="edited")) == ["T revised"]
    assert memory.poll(item("new", "1", "Another title")) == ["Another title revised"]


def test_a_guid_that_comes_back_for_another_article_takes_no_key_twice() -> None:
    memory = Memory()
    memory.poll(item("old", "1"))
    memory.poll(item("new", "1", content="edited"))
    assert len(memory.poll(item("new", "1", content="edited"), item("old", "2", "Other"))) == 2


def test_without_guids_two_entries_with_one_link_and_title_are_one() -> None:
    memory = Memory()
    memory.poll(*ONE_GUID)
    assert memory.identity is Identity.LINK
    assert memory.poll(item("x", "9", content="a"), item("y", "9", content="b")) == ["T new"]


@pytest.mark.parametrize("identity", Identity)
def test_what_retention_removed_does_not_return(identity: Identity) -> None:
    memory = Memory()
    memory.identity = identity
    memory.removed = {"g", f"link:{SITE}/1"}
    assert memory.poll(item("g", "1", "Removed"), item("h", "2", "Other")) == ["Other new"]


# --------------------------------------------------------------------------------------- laws

few = st.sampled_from


def items(*guids: str | None) -> st.SearchStrategy[list[EntryData]]:
    one = st.builds(
        item,
        guid=few(guids),
        link=few([None, "", "1", "2", "1?utm_source=x"]),
        title=few(["", "A", "B"]),
        content=few(["C", "D"]),
    )
    return st.lists(one, max_size=8)


documents = items(None, "g", "h")
hostile_documents = items(None, "g", f"link:{SITE}/1", f"g link:{SITE}/1")  # guids that look like our keys


@given(documents)
def test_keys_are_unique_and_nothing_but_repetitions_is_left_out(document: list[EntryData]) -> None:
    found = identify(document)
    assert len({one.key for one in found}) == len(found)
    assert len({(one.data.guid, one.data.url, one.data.title, one.data.content) for one in found}) == len(
        found
    )
    kept = [one.data for one in found]
    assert kept == [data for data in document if any(data is one for one in kept)]
    # Whoever has a guid, a link, a title and a content of its own is there.
    contents = {(data.title, data.content) for data in kept}
    for data in document:
        versions = [d for d in document if d.guid == data.guid and d.title == data.title]
        assert (data.title, data.content) in contents or len(versions) > 1


@given(documents, few(Identity))
def test_a_document_read_again_is_only_seen(document: list[EntryData], identity: Identity) -> None:
    memory = Memory()
    memory.identity = identity
    memory.poll(*document)
    assert {line.split()[-1] for line in memory.poll(*document)} <= {"seen"}


@given(st.lists(documents | hostile_documents, max_size=5))
def test_whatever_a_feed_does_no_key_is_given_twice_and_matching_is_one_to_one(
    polls: list[list[EntryData]],
) -> None:
    memory = Memory()  # it checks that new keys are new
    for document in polls:
        keyed = identify(document)
        _, verdicts = decide(keyed, tuple(memory.rows.values()), identity=memory.identity)
        matched = [one.known.entry_id for one in verdicts if one.known is not None]
        assert len(set(matched)) == len(matched)
        assert len({one.keyed.key for one in verdicts}) == len(verdicts)
        memory.poll(*document)


distinct = st.lists(
    st.builds(item, guid=few("ghijk"), link=few("12345"), title=few(["A", "B"])),
    max_size=5,
    unique_by=(lambda data: data.guid, lambda data: data.url),
)


@given(distinct, distinct, st.randoms(use_true_random=False))
def test_the_order_of_entries_with_guids_and_links_of_their_own_does_not_matter(
    before: list[EntryData], after: list[EntryData], random: object
) -> None:
    shuffled = list(after)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = Memory(), Memory()
    one.poll(*before)
    other.poll(*before)
    assert sorted(one.poll(*after)) == sorted(other.poll(*shuffled))
    assert one.identity is other.identity
