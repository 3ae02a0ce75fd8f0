"""What belongs together, in a real store: articles and stories (`link`, `store.links`)."""

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aggregator import link
from aggregator.errors import UnknownError
from aggregator.model import Attribution, Edge, Entry, Level, New, Revised, Subscription
from aggregator.store import Linkable, Links, Store, open_store
from tests.test_store import DAY, HOUR, NOW, check_sound, entry, hash_of, id_of, polled, sql

WARTA, KABAR, SALINAN = (f"https://{name}.example/feed" for name in ("warta", "kabar", "salinan"))

OUTLETS = {WARTA: "Warta Pagi", KABAR: "Kabar Sore", SALINAN: "Salinan"}

SHIPS = """Tiga kapal perang Amerika Serikat berlayar mendekati pantai Venezuela pada Kamis malam, kata seorang pejabat.
Kapal itu membawa 4.500 pelaut dan marinir dari pangkalan Norfolk.
Presiden Nicolas Maduro menyebut kehadiran armada itu sebagai ancaman terbesar dalam 100 tahun.
Ia memerintahkan pengerahan 4,5 juta anggota milisi di seluruh negeri."""
COPY = f"""{SHIPS}
Baca juga: Harga emas naik lagi
Sumber: Warta Pagi"""
FLOOD = """Banjir bandang menerjang dua desa di Kabupaten Sigi, Sulawesi Tengah, pada Rabu sore setelah hujan lebat.
Sedikitnya 17 rumah hanyut dan seorang warga masih dicari oleh tim SAR Palu.
Bupati Sigi menetapkan status tanggap darurat selama 14 hari."""
MARKET = """Indeks saham gabungan ditutup menguat 1,2 persen ke posisi 8.166 pada perdagangan Selasa di Jakarta.
Analis Mirae menilai penguatan dipicu arus modal asing senilai 950 miliar rupiah.
Saham perbankan memimpin kenaikan, disusul sektor energi dan tambang."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with opened(tmp_path / "aggregator.db") as store:
        yield store


@contextmanager
def opened(path: Path) -> Iterator[Store]:
    """A store that follows three outlets."""
    with open_store(path) as store:
        store.subscribe([Subscription(url, name=name) for url, name in OUTLETS.items()], NOW)
        yield store


def told(
    key: str, text: str, *, title: str | None = None, source: str | None = None, hours: float = 0
) -> Entry:
    """An entry with a text of its own."""
    return entry(
        key,
        title=title or text.partition("\n")[0][:60],
        text=text,
        content="".join(f"<p>{line}</p>" for line in text.split("\n")),
        url_key=hash_of(key),
        language="id",
        published_at=NOW + hours * HOUR,
        attributions=(Attribution(source),) if source else (),
    )


ORIGINAL = told("original", SHIPS, title="Kapal perang AS dekati Venezuela")
REPUBLISHED = told("copy", COPY, title="PANAS! Armada AS di depan mata Maduro", source="Warta Pagi", hours=2)


def comes(store: Store, *entries: Entry, by: str = WARTA, hours: float = 3) -> None:
    """Entries come, in one document of a feed."""
    polled(store, *map(New, entries), at=NOW + hours * HOUR, url=by, link=link.link)
    check_sound(store.path)


def articles(store: Store) -> set[frozenset[str]]:
    """Articles by the keys of their entries."""
    found = sql(store.path, "SELECT group_concat(key, ' ') FROM entries GROUP BY article_id")
    return {frozenset(row[0].split()) for row in found}


def stories(store: Store) -> set[frozenset[str]]:
    """Stories likewise."""
    found = sql(store.path, "SELECT group_concat(key, ' ') FROM entries GROUP BY story_id")
    return {frozenset(row[0].split()) for row in found}


def methods(store: Store, key: str, level: Level = Level.ARTICLE) -> list[str]:
    return [edge.method for edge in store.edges(id_of(store, key)) if edge.level is level]


def groups(*keys: str) -> set[frozenset[str]]:
    return {frozenset(some.split()) for some in keys}


# ----------------------------------------------------------------------------------- articles


def test_a_republished_text_is_one_article_with_one_story(store: Store) -> None:
    comes(store, ORIGINAL)
    comes(store, told("flood", FLOOD), REPUBLISHED, by=SALINAN)
    assert articles(store) == groups("original copy", "flood")
    assert stories(store) == articles(store)
    assert methods(store, "copy") == ["credit"]
    columns = "entry_count, feed_count, canonical_entry_id"
    assert (2, 2, id_of(store, "original")) in sql(store.path, f"SELECT {columns} FROM articles")


@pytest.mark.parametrize("order", list(permutations((0, 1, 2))))
def test_the_original_is_shown_whenever_it_came(store: Store, order: Sequence[int]) -> None:
    later = told("again", SHIPS, source="Warta Pagi", hours=-1)  # a wrong clock: earlier than the original
    all_three = ((ORIGINAL, WARTA), (REPUBLISHED, SALINAN), (later, KABAR))
    for place in order:
        came, feed = all_three[place]
        comes(store, came, by=feed)
    (article,) = sql(store.path, "SELECT uid, canonical_entry_id FROM articles")
    first = all_three[order[0]][0]
    assert article[0] == store.entry(id_of(store, first.key)).uid, "an article keeps its name"
    assert article[1] == id_of(store, "original"), "whom the others credit"


RETOLD = told(
    "retold",
    "Maduro mengerahkan 4,5 juta milisi setelah tiga kapal perang Amerika Serikat terlihat di dekat Venezuela.\n"
    "Di atasnya ada 4.500 pelaut dan marinir asal Norfolk, tulis Warta Pagi.",
    title="Maduro kerahkan milisi, kapal perang AS dekati Venezuela",
    source="Warta Pagi",
    hours=3,
)


@pytest.mark.parametrize("order", list(permutations((0, 1, 2))))
def test_a_credit_leads_to_the_source_whenever_that_comes(store: Store, order: Sequence[int]) -> None:
    came = ((ORIGINAL, WARTA), (REPUBLISHED, SALINAN), (RETOLD, KABAR))
    for place in order:
        comes(store, came[place][0], by=came[place][1])
    assert stories(store) == groups("original copy retold")
    assert credits_of(store) == {"copy": ORIGINAL.url, "retold": ORIGINAL.url}
    moved = replace(ORIGINAL, url="https://warta.example/elsewhere")
    polled(store, Revised(id_of(store, "original"), moved), at=NOW + 5 * HOUR, url=WARTA, link=link.link)
    assert credits_of(store) == {"copy": moved.url, "retold": moved.url}
    polled(store, Revised(id_of(store, "retold"), RETOLD), at=NOW + 6 * HOUR, url=KABAR, link=link.link)
    assert credits_of(store)["retold"] == moved.url, "though its credits are written anew"
    with store.links(NOW + 7 * HOUR) as links:
        link.split(links, id_of(store, "retold"), Level.STORY)
    assert credits_of(store) == {"copy": moved.url, "retold": None}
    link.relink(store, lambda: NOW + DAY)
    assert credits_of(store) == {"copy": moved.url, "retold": None}


def test_a_credit_leads_to_a_copy_of_the_article_before_an_earlier_account(store: Store) -> None:
    first = told("first", "\n".join(reversed(RETOLD.text.split("\n"))), title=RETOLD.title, hours=-2)
    comes(store, first, ORIGINAL)
    comes(store, REPUBLISHED, by=SALINAN)
    comes(store, RETOLD, by=KABAR)
    assert articles(store) == groups("original copy", "first retold")
    with store.links(NOW + 4 * HOUR) as links:
        link.merge(links, id_of(store, "first"), id_of(store, "original"), Level.STORY)
    assert credits_of(store) == {"copy": ORIGINAL.url, "retold": first.url}


def credits_of(store: Store) -> dict[str, str | None]:
    """Where the credits of entries lead, by key."""
    return dict(sql(store.path, "SELECT key, a.url FROM entries e JOIN attributions a ON a.entry_id = e.id"))


def test_entries_with_one_address_are_one_article_however_far_apart(store: Store) -> None:
    comes(store, entry("a", url_key=7, title="First form of it", text=FLOOD, published_at=NOW))
    comes(
        store,
        entry("b", url_key=7, title="Quite another", text=MARKET, published_at=NOW + 300 * DAY),
        by=KABAR,
    )
    assert articles(store) == groups("a b")
    assert methods(store, "b") == ["url"]


def test_an_article_that_becomes_another_by_revision_leaves(store: Store) -> None:
    comes(store, ORIGINAL)
    comes(store, REPUBLISHED, by=SALINAN)
    changed = told("copy", MARKET, title="IHSG ditutup menguat", hours=2)
    polled(store, Revised(id_of(store, "copy"), changed), at=NOW + 4 * HOUR, url=SALINAN, link=link.link)
    assert articles(store) == groups("original", "copy")
    check_sound(store.path)


def test_two_articles_become_one_when_what_connects_them_comes(store: Store) -> None:
    one, other = SHIPS.split("\n")[:2], FLOOD.split("\n")
    comes(store, told("one", "\n".join(one)), told("other", "\n".join(other)))
    assert articles(store) == groups("one", "other")
    with store.links(NOW) as links:
        link.merge(links, id_of(store, "one"), id_of(store, "other"), Level.ARTICLE)
    assert articles(store) == groups("one other")
    check_sound(store.path)


TOLL = """Banjir bandang di Kabupaten Agam, Sumatera Barat, menewaskan {} orang hingga Senin malam, kata BPBD.
Tim SAR masih mencari warga yang hilang di tiga nagari dan alat berat dikerahkan dari Padang.
Gubernur Mahyeldi menetapkan masa tanggap darurat selama 14 hari untuk seluruh wilayah terdampak."""


@pytest.mark.parametrize("copied_at", [4, 6], ids=["before", "after"])
def test_an_original_that_corrects_its_toll_keeps_its_copies(store: Store, copied_at: int) -> None:
    def copied() -> None:
        copy = told("copy", f"{TOLL.format(19)}\nSumber: Warta Pagi", source="Warta Pagi", hours=2)
        comes(store, copy, by=SALINAN, hours=copied_at)

    comes(store, told("original", TOLL.format(19)))
    if copied_at < 5:
        copied()
    for hours, dead in ((5, 21), (5.5, 24)):
        corrected = told("original", TOLL.format(dead))
        revised(store, corrected, hours=hours)
    if copied_at > 5:
        copied()
    assert articles(store) == groups("original copy")
    comes(store, told("later", TOLL.format(24), title="Agam berduka", hours=7), by=KABAR, hours=8)
    assert articles(store) == groups("original copy later")
    link.relink(store, lambda: NOW + DAY)
    assert articles(store) == groups("original copy later")


def test_what_stands_under_a_standing_title_is_what_it_says_today(store: Store) -> None:
    title = "Harga emas hari ini"
    text = "Harga emas batangan di Jakarta tercatat {} rupiah per gram, menurut laman resmi penjualnya."
    comes(store, told("page", text.format(2_278_000), title=title))
    comes(store, told("copy", text.format(2_278_000), title="Emas naik", hours=1), by=SALINAN)
    assert articles(store) == groups("page copy")
    revised(store, told("page", text.format(2_286_000), title=title, hours=20), hours=21)
    assert articles(store) == groups("page", "copy")


def revised(store: Store, entry: Entry, *, hours: float, by: str = WARTA) -> None:
    """A feed gives an entry anew."""
    polled(store, Revised(id_of(store, entry.key), entry), at=NOW + hours * HOUR, url=by, link=link.link)
    check_sound(store.path)


def test_an_original_that_is_revised_keeps_more_copies_than_it_is_compared_with(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "COPIES", 2)
    told_of = (
        ("banjir", "Medan"),
        ("longsor", "Padang"),
        ("gempa", "Palu"),
        ("topan", "Ambon"),
        ("wabah", "Solo"),
    )
    lines = [
        f"Paragraf {n} menuturkan {what} di kota {city} bersama {2 * n + 11} warga setempat yang mengungsi."
        for n, (what, city) in enumerate(told_of)
    ]
    opening = (
        "Bencana beruntun melanda delapan daerah sepekan ini, kata badan penanggulangan bencana nasional."
    )
    whole = "\n".join([opening, *lines])
    comes(store, told("original", whole))
    for n, line in enumerate(lines):
        comes(store, told(f"k{n}", f"{opening}\n{line}\nSumber: Warta Pagi", title=f"Kabar duka dari sana {n}", source="Warta Pagi", hours=n), by=SALINAN)  # fmt: skip
    together = groups("original k0 k1 k2 k3 k4")
    assert articles(store) == together
    revised(store, told("original", f"{whole}\nDiperbarui."), hours=9)
    assert articles(store) == together
    link.relink(store, lambda: NOW + DAY)
    assert articles(store) == together


FOOTER = "Ikuti berita lain dari kami di kanal pesan harian pembaca setia"
POOL = (
    (ORIGINAL, WARTA),
    (REPUBLISHED, SALINAN),
    (told("teaser", SHIPS.split("\n")[0], source="Warta Pagi", hours=3), KABAR),
    (told("flood", FLOOD, hours=1), WARTA),
    (told("flood-copy", f"{FLOOD}\n{FOOTER}", title="Dua desa di Sigi tersapu banjir", hours=5), KABAR),
    *((told(f"k{n}", f"{text}\n{FOOTER}", hours=n), KABAR) for n, text in enumerate((MARKET, *(
        f"{name} membuka {n + 3} cabang baru di kota {city} tahun ini untuk melayani pelanggan.\nPembukaan dihadiri wali kota."
        for n, (name, city) in enumerate((("Bank Sentosa", "Medan"), ("Toko Makmur", "Solo"), ("Klinik Sehat", "Ambon")))
    )))),
)  # fmt: skip


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(POOL))
def test_the_order_of_arrival_does_not_matter_to_articles(
    tmp_path_factory: pytest.TempPathFactory, order: Sequence[tuple[Entry, str]]
) -> None:
    with opened(tmp_path_factory.mktemp("order") / "a.db") as store:
        for came, feed in order:
            comes(store, came, by=feed)
        online = articles(store)
        assert online == groups("original copy teaser", "flood flood-copy", "k0", "k1", "k2", "k3")
        stories_online = stories(store)
        assert link.relink(store, lambda: NOW + DAY) == len(POOL)
        check_sound(store.path)
        assert articles(store) == online
        assert stories(store) == stories_online


@pytest.mark.parametrize("page", [1, 2, 5])
def test_it_does_not_matter_how_many_are_looked_at_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    found = []
    for size in (100, page):
        monkeypatch.setattr(link, "PAGE", size)
        with opened(tmp_path / f"{size}.db") as store:
            for feed in OUTLETS:
                comes(store, *(came for came, by in reversed(POOL) if by == feed), by=feed)
            found.append((articles(store), stories(store), fingerprints(store)))
            link.relink(store, lambda: NOW + DAY)
            check_sound(store.path)
            found.append((articles(store), stories(store), fingerprints(store)))
    assert found[1:] == found[:-1]


def fingerprints(store: Store) -> dict[str, str]:
    """By the keys of the entries."""
    found = sql(
        store.path, "SELECT key, hex(article) || hex(story) FROM entries JOIN fingerprints ON entry_id = id"
    )
    return {row[0]: row[1] for row in found}


def test_what_is_dated_far_apart_is_not_one_article_by_its_guid(store: Store) -> None:
    guid = "https://warta.example/prakiraan"
    for days, text, feed in ((0, FLOOD, WARTA), (6, MARKET, KABAR), (14, SHIPS, SALINAN)):
        came = replace(told(guid, text, hours=24 * days), guid=guid, url_key=days)
        comes(store, came, by=feed, hours=24 * (days + 1))
    assert sql(store.path, "SELECT entry_count FROM articles ORDER BY id") == [(2,), (1,)]
    assert sql(store.path, "SELECT a, b, method FROM edges") == [(1, 2, "guid")]


def test_a_guid_by_which_its_feed_does_not_know_an_entry_ties_nothing(store: Store) -> None:
    guid = "https://warta.example/berita"
    comes(store, replace(told(guid, FLOOD), guid=guid))
    comes(store, replace(told("link:https://warta.example/2", MARKET, hours=24), guid=guid), hours=25)
    assert sql(store.path, "SELECT entry_count FROM articles") == [(1,), (1,)]


# -------------------------------------------------------------------------------------- relink


def test_all_anew_takes_a_wrong_article_apart_and_it_keeps_its_name(store: Store) -> None:
    comes(store, ORIGINAL, told("flood", FLOOD))
    comes(store, REPUBLISHED, by=SALINAN)
    db = sqlite3.connect(store.path)
    with db:  # as a former version may have found
        db.execute("UPDATE entries SET article_id = 1, story_id = 1")
        db.execute("DELETE FROM articles WHERE id != 1")
        db.execute("UPDATE articles SET entry_count = 3, feed_count = 2")
    db.close()
    (uid,) = sql(store.path, "SELECT uid FROM articles")
    link.relink(store, lambda: NOW)
    assert articles(store) == stories(store) == groups("original copy", "flood")
    assert sql(store.path, "SELECT uid FROM articles WHERE id = 1") == [uid]
    assert [row[0] for row in uid_keys(store)] == ["flood", "original"]
    check_sound(store.path)


def uid_keys(store: Store) -> list[tuple[Any, ...]]:
    """With which entries the articles began."""
    return sql(store.path, "SELECT key FROM entries JOIN articles USING (uid) ORDER BY key")


def test_readers_see_articles_whole_while_all_is_linked_anew(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PAGE", 1)
    monkeypatch.setattr("aggregator.store.links.FORGOTTEN", 1)
    lines = SHIPS.split("\n")
    parts = {"whole": lines, "head": lines[:2], "tail": [lines[0], *lines[2:]]}
    for number, feed, name in ((1, SALINAN, "head"), (2, KABAR, "tail"), (3, WARTA, "whole")):
        comes(store, told(name, "\n".join(parts[name]), hours=number), by=feed, hours=number + 1)
    online = articles(store), stories(store)
    assert online[0] == groups("head tail whole")
    seen = set()

    def stopped() -> bool:
        seen.add(frozenset(articles(store)))
        return False

    link.relink(store, lambda: NOW + DAY, stopped)
    assert seen == {frozenset(online[0])}
    assert (articles(store), stories(store)) == online


# ---------------------------------------------------------------------------------- furniture


def test_what_becomes_furniture_is_looked_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []
    original = Links.read

    def noted(self: Links, ids: Collection[int]) -> tuple[Linkable, ...]:
        read.append(len(ids))
        return original(self, ids)

    monkeypatch.setattr(Links, "read", noted)
    monkeypatch.setattr("aggregator.store.links.CONCERNED", 6)
    words = ("satu", "dua", "tiga", "empat")

    def programme(number: int, extra: str = "") -> Entry:
        title = f"Berita radio kami pukul {words[number % 3 if number < 40 else 3]}"
        text = f"Siaran ke-{number} membahas hal {number * 7919} dari desa {number * 31}.{extra}\n{FOOTER}"
        return told(f"k{number}", text, title=title, hours=number / 10)

    for number in range(40):  # under three titles
        comes(store, programme(number), hours=number)
    assert set(read) == {1}
    comes(store, programme(40), hours=40)
    assert read[40:] == [1, 7], "the newest that hold it, too, once the fourth title is there"
    read.clear()
    comes(store, programme(41), hours=41)
    polled(store, Revised(id_of(store, "k40"), programme(40, " Ralat.")), at=NOW + 42 * HOUR, link=link.link)
    assert read == [1, 1]


# -------------------------------------------------------------------------------- corrections


def test_what_a_person_splits_stays_split(store: Store) -> None:
    comes(store, ORIGINAL)
    comes(store, REPUBLISHED, by=SALINAN)
    with store.links(NOW) as links:
        link.split(links, id_of(store, "copy"), Level.ARTICLE)
    assert articles(store) == groups("original", "copy")
    check_sound(store.path)
    comes(store, told("third", COPY, source="Warta Pagi", hours=5), by=KABAR)
    assert not any({"original", "copy"} <= article for article in articles(store))
    link.relink(store, lambda: NOW)
    assert not any({"original", "copy"} <= article for article in articles(store))
    check_sound(store.path)


def test_what_a_person_merges_stays_merged_until_it_is_split(store: Store) -> None:
    comes(store, ORIGINAL, told("flood", FLOOD))
    a, b = id_of(store, "original"), id_of(store, "flood")
    with store.links(NOW) as links:
        link.merge(links, a, b, Level.ARTICLE)
    assert articles(store) == groups("original flood")
    assert methods(store, "flood") == ["by hand"]
    link.relink(store, lambda: NOW)
    assert articles(store) == groups("original flood")
    with store.links(NOW) as links:
        link.split(links, b, Level.ARTICLE)
    assert articles(store) == groups("original", "flood")
    assert methods(store, "flood") == []
    check_sound(store.path)


def test_stories_are_corrected_likewise(store: Store) -> None:
    comes(store, ORIGINAL, told("flood", FLOOD))
    a, b = id_of(store, "original"), id_of(store, "flood")
    with store.links(NOW) as links:
        link.merge(links, a, b, Level.STORY)
    assert articles(store) == groups("original", "flood")
    assert stories(store) == groups("original flood")
    check_sound(store.path)
    link.relink(store, lambda: NOW)
    assert stories(store) == groups("original flood")
    with store.links(NOW) as links:
        link.split(links, b, Level.STORY)
    assert stories(store) == groups("original", "flood")
    link.relink(store, lambda: NOW)
    assert stories(store) == groups("original", "flood")
    check_sound(store.path)


def test_stories_are_corrected_by_any_of_an_articles_entries(store: Store) -> None:
    comes(store, ORIGINAL, told("flood", FLOOD))
    comes(store, REPUBLISHED, told("flood-copy", FLOOD, title="Sigi tersapu banjir"), by=SALINAN)
    split = groups("original copy", "flood flood-copy")
    copy, flood_copy = id_of(store, "copy"), id_of(store, "flood-copy")
    assert stories(store) == split
    with store.links(NOW) as links:
        link.merge(links, copy, flood_copy, Level.STORY)
    for _ in range(2):
        assert stories(store) == groups("original copy flood flood-copy")
        link.relink(store, lambda: NOW)
    with store.links(NOW) as links:  # by another one than it was merged by
        link.split(links, id_of(store, "flood"), Level.STORY)
    for _ in range(2):
        assert stories(store) == split
        link.relink(store, lambda: NOW)
        check_sound(store.path)


MILITIA = """Presiden Venezuela Nicolas Maduro mengerahkan 4,5 juta anggota milisi untuk menghadapi tiga kapal perang Amerika
Serikat yang mendekati pantai negeri itu. Menurut dia armada dari Norfolk itu ancaman terbesar dalam seratus tahun."""


def test_a_copy_that_was_taken_out_of_a_story_takes_its_article_along(store: Store) -> None:
    comes(store, ORIGINAL)
    for feed, key in ((KABAR, "militia"), (SALINAN, "militia-copy")):
        comes(store, told(key, MILITIA, title="Maduro kerahkan 4,5 juta milisi hadapi kapal perang AS", hours=1), by=feed)  # fmt: skip
    assert stories(store) == groups("original militia militia-copy")
    with store.links(NOW) as links:
        link.split(links, id_of(store, "militia-copy"), Level.STORY)
    for _ in range(2):
        assert stories(store) == groups("original", "militia militia-copy")
        link.relink(store, lambda: NOW)
        check_sound(store.path)


@pytest.mark.parametrize("table", ["edges", "corrections"])
def test_an_entry_is_in_no_pair_with_itself(store: Store, table: str) -> None:
    comes(store, ORIGINAL)
    values = {"edges": "(1, 1, 'story', 'event', 1)", "corrections": "(1, 1, 'story', 1, '')"}[table]
    db = sqlite3.connect(store.path)
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        db.execute(f"INSERT INTO {table} VALUES {values}")
    db.close()


@pytest.mark.parametrize("level", Level)
def test_what_is_alone_cannot_be_split(store: Store, level: Level) -> None:
    comes(store, ORIGINAL)
    with store.links(NOW) as links, pytest.raises(UnknownError, match=f"alone in its {level}"):
        link.split(links, id_of(store, "original"), level)


# ------------------------------------------------------------------------------------ manners


def test_a_revision_that_says_nothing_new_is_not_significant(store: Store) -> None:
    comes(store, ORIGINAL)
    number = id_of(store, "original")
    for hours, text, significant in (
        (4, SHIPS.replace("mendekati", "dekati"), 0),
        (5, SHIPS + "\n12 orang tewas.", 5),
    ):
        at = NOW + hours * HOUR
        polled(store, Revised(number, told("original", text, title=ORIGINAL.title)), at=at, link=link.link)
        found = store.entry(number)
        assert (found.changed_at, found.significant_at) == (at, NOW + significant * HOUR)


def test_a_fault_of_ours_costs_no_entry(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    original = link._Relating.relate

    def fail(self: link._Relating, entry: Linkable, edges: Collection[Edge]) -> None:
        if entry.uid == store_uid:
            raise ZeroDivisionError
        original(self, entry, edges)

    comes(store, ORIGINAL)
    store_uid = _uid("copy", SALINAN)
    monkeypatch.setattr(link._Relating, "relate", fail)
    comes(store, REPUBLISHED, told("flood", FLOOD), by=SALINAN)
    assert articles(store) == groups("original", "copy", "flood")
    monkeypatch.undo()
    link.relink(store, lambda: NOW)
    assert articles(store) == groups("original copy", "flood")


def _uid(key: str, feed: str) -> str:
    from aggregator.store.rows import uid

    return uid(feed, key)


def test_what_is_out_of_everybodys_window_leaves_the_index_and_its_article_stays(store: Store) -> None:
    comes(store, ORIGINAL)
    comes(store, REPUBLISHED, by=SALINAN)
    later = NOW + link.KEPT_FOR + DAY
    assert link.tidy(store, later) == 2
    assert link.tidy(store, later) == 0
    for hour in range(link.SWEEPS):
        link.tidy(store, later + timedelta(hours=hour))
    for table in ("fingerprints", "article_keys", "story_keys", "paragraphs"):
        assert sql(store.path, f"SELECT count(*) FROM {table}") == [(0,)], table
    assert articles(store) == groups("original copy")
    # A late correction does not tear it apart: what it was compared with cannot be found again.
    changed = told("copy", COPY + "\nDiperbarui.", source="Warta Pagi", hours=2)
    polled(store, Revised(id_of(store, "copy"), changed), at=later, url=SALINAN, link=link.link)
    assert articles(store) == groups("original copy")
    check_sound(store.path)


def test_all_anew_is_as_it_came_where_many_share_a_key(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aggregator.store.links.HOLDERS", 2)
    for day in range(0, 40, 4):  # out of the window of the first are those that are nearest to the last
        comes(store, told(f"ships{day}", f"{SHIPS}\nHari ke-{day}.", hours=24 * day), hours=24 * day + 1)
        comes(
            store,
            told(f"copy{day}", COPY, source="Warta Pagi", hours=24 * day),
            by=SALINAN,
            hours=24 * day + 2,
        )
    online = articles(store), stories(store)
    assert any(len(article) > 1 for article in online[0])
    link.relink(store, lambda: NOW + 40 * DAY)
    assert (articles(store), stories(store)) == online


def test_a_story_is_as_old_as_its_entries_though_all_was_linked_anew(store: Store) -> None:
    comes(store, ORIGINAL, told("flood", FLOOD))
    before = sql(store.path, "SELECT first_seen_at, last_seen_at FROM stories ORDER BY id")
    link.relink(store, lambda: NOW + 30 * DAY)
    assert sql(store.path, "SELECT first_seen_at, last_seen_at FROM stories ORDER BY id") == before


def test_a_fault_while_stories_are_named_costs_no_entry(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr("aggregator.duplicates.stories.story_title", fail)
    comes(store, ORIGINAL)
    comes(store, REPUBLISHED, by=SALINAN)
    assert articles(store) == groups("original copy")
    assert "a fault of ours while story 1 was named" in caplog.text
