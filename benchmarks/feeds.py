"""Generated news feeds, and the server that shows them from a process of its own.

The texts are made of words, not of sense: what counts is that length, markup, word frequencies and
languages are those of real news feeds, and that equal plans give equal bytes.
"""

import asyncio
import multiprocessing
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from hashlib import blake2b
from html import escape
from itertools import accumulate
from multiprocessing.connection import Connection
from random import Random

# ------------------------------------------------------------------------------------ the feeds


@dataclass(frozen=True, slots=True)
class Plan:
    """What the generated feeds look like; equal plans give equal bytes.

    Attributes:
        feeds: how many there are.
        entries: entries in each document.
        html: shortest and longest HTML of an entry to aim at, in characters; it runs over by up to
            one paragraph (at most 1,000).
        seed: other seeds give other texts.
    """

    feeds: int = 1000
    entries: int = 20
    html: tuple[int, int] = (1000, 5200)
    seed: int = 2

    @property
    def changed(self) -> range:
        """The feeds that change between warm and delta: 5 %."""
        return range(0, self.feeds, 20)


NEW_ENTRIES = 3
"""New entries in a feed that changed; as many old ones leave it."""


@dataclass(frozen=True, slots=True)
class Language:
    """Words enough for texts with the length, letters and word frequencies of news."""

    code: str
    vocabulary: tuple[str, ...]
    names: tuple[str, ...]
    categories: tuple[str, ...]
    on_topic: tuple[str, ...]

    @classmethod
    def of(
        cls, code: str, common: str, stems: str, forms: str, names: str, categories: str, on_topic: str
    ) -> "Language":
        """Reads space-separated lists; `forms` are patterns in which `_` stands for a stem."""
        random = Random(code)
        inflected = [form.replace("_", stem) for form in forms.split() for stem in stems.split()]
        # With the words above alone, any two texts would be about the same few things.
        rare = [form.replace("_", invented_stem(random)) for form in forms.split() for _ in range(_RARE)]
        random.shuffle(rare)
        vocabulary = tuple(dict.fromkeys([*common.split(), *inflected, *rare]))
        people = (f"{invented_stem(random)} {invented_stem(random)}".title() for _ in range(_RARE))
        known = (*names.split("; "), *people)
        return cls(code, vocabulary, known, *(tuple(part.split("; ")) for part in (categories, on_topic)))


_RARE = 1_000
"""Invented stems for each form of a language, and invented people."""


def invented_stem(random: Random) -> str:
    """A word that nobody has heard."""
    return "".join(
        random.choice("bcdfghjklmnprstvwy") + random.choice("aaeeiioou") + random.choice("   lmnrst").strip()
        for _ in range(random.choice((2, 2, 3)))
    )


LANGUAGES = (
    Language.of(
        code="id",
        common="yang dan di itu dengan untuk ini dari dalam tidak akan pada juga ke karena kepada oleh saat setelah tersebut sudah telah kami bahwa sebagai masih ada mereka lebih dapat menjadi bisa hingga antara namun hari atas kata tahun agar sementara para belum serta ketika warga pemerintah menurut sejumlah orang",
        stems="lapor bangun tahan dukung temu tolak bantu jalan kerja siap putus tinggal sambut pimpin bayar rawat pilih lindung tutup buka hadap ikut simpan ubah uji gerak layan latih ajar tulis harga jual beli tanam panen kirim angkut tangkap periksa selidik",
        forms="_ me_ di_ ter_ _an ber_ me_kan di_kan pe_an _nya ke_an",
        names="Jakarta; Surabaya; Kementerian Keuangan; Jawa Barat; Polda Metro; Bank Indonesia; Makassar; DPR",
        categories="Nasional; Ekonomi; Politik; Internasional; Daerah; Olahraga; Hukum",
        on_topic="Kapal perang Amerika Serikat berlayar di Laut Karibia dekat Venezuela; Venezuela mengerahkan militer menghadapi ancaman Amerika Serikat; Serangan terhadap kapal di Laut Karibia memicu ketegangan dengan Caracas",
    ),
    Language.of(
        code="en",
        common="the of to and a in that for on is was with said as it by at from he be have has his an were are not this but they their which had will or who its been after one more would also she about when two there than other people government over new year out could if all into up last",
        stems="report claim remark back test visit vot demand propos direct train form appoint invest operat elect protect support collect design present record assist consult export connect attend contain interest extend request defend press reform predict",
        forms="_ _s _ed _ing _er _ers re_ed un_ed",
        names="London; Washington; the Treasury; Supreme Court; Brussels; the World Bank; Nairobi; Parliament",
        categories="World; Business; Politics; Science; Health; Sport; Opinion",
        on_topic="US warships sail into the Caribbean Sea off Venezuela; Venezuela mobilises troops as US strikes hit boats in the Caribbean; Trinidad and Tobago watches the US military build-up near Venezuela",
    ),
    Language.of(
        code="es",
        common="de la que el en y a los se del las por un para con no una su al lo es como más pero sus le ya o este fue ha sí porque esta entre cuando muy sin sobre ser también me hasta hay donde han quien están desde todo nos durante según uno les gobierno años contra otros ese parte país",
        stems="inform trabaj habl form lleg pas encontr busc pag compr firm visit reclam anunci present entreg prepar explic acept rechaz lament apoy avanz aument baj cambi cuid dej dur entr esper estudi evit explor ganar gast observ",
        forms="_ar _ó _aron _ado _ada _an _ando _ará _arán _ación",
        names="Bogotá; Madrid; Ciudad de México; el Congreso; Buenos Aires; la Fiscalía; Lima; el Banco Central",
        categories="Mundo; Economía; Política; Sucesos; Cultura; Deportes; Opinión",
        on_topic="Buques de guerra de Estados Unidos navegan por el mar Caribe frente a Venezuela; Venezuela ordena movilizar tropas ante la amenaza de Estados Unidos; Un ataque contra una lancha en el Caribe eleva la tensión con Caracas",
    ),
)

_FIRST_DAY = datetime(2026, 1, 5, tzinfo=UTC)
_SENTENCES = 3000
"""Sentences are drawn from a stock: texts share a sentence now and then, as wire reports do."""
_ON_TOPIC_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class GeneratedEntry:
    """One entry, before it is written as RSS or Atom."""

    number: int
    title: str
    link: str
    author: str
    categories: tuple[str, ...]
    published: datetime
    summary: str
    html: str


@cache
def _stock(language: Language, seed: int) -> tuple[str, ...]:
    """The sentences of a language; word frequencies fall with the rank, as in any natural text."""
    random = Random(f"{seed}/{language.code}")
    weights = list(accumulate(1 / (rank + 3) for rank in range(len(language.vocabulary))))
    sentences = []
    for _ in range(_SENTENCES):
        words = random.choices(language.vocabulary, cum_weights=weights, k=random.randint(7, 22))
        if random.random() < 0.4:
            words[random.randrange(1, len(words))] = random.choice(language.names)
        if random.random() < 0.2:
            words.insert(-2, str(random.randint(2, 2026)))
        if len(words) > 12:
            words[5] += ","
        text = " ".join(words)
        sentences.append(text[0].upper() + text[1:] + ".")
    return tuple(sentences)


def language_of(feed: int) -> Language:
    """The language of a feed: each in turn."""
    return LANGUAGES[feed % len(LANGUAGES)]


def is_atom(feed: int) -> bool:
    """Whether a feed is Atom: one in three, in every language."""
    return feed // len(LANGUAGES) % 3 == 2


def generated_entry(plan: Plan, feed: int, number: int) -> GeneratedEntry:
    """The entry `number` of a feed, 0 being the oldest; the same whenever it is asked for."""
    random = Random(f"{plan.seed}/{feed}/{number}")
    language = language_of(feed)
    stock = _stock(language, plan.seed)
    on_topic = random.choice(language.on_topic) if random.random() < _ON_TOPIC_SHARE else None
    title = " ".join(random.choices(language.vocabulary, k=random.randint(5, 9))).capitalize()
    site = f"https://news-{feed}.example"
    published = _FIRST_DAY + timedelta(hours=3 * number, minutes=random.randrange(180), seconds=feed % 60)
    return GeneratedEntry(
        number=number,
        title=f"{on_topic}: {title}" if on_topic else title,
        link=f"{site}/{published:%Y/%m/%d}/{'-'.join(title.lower().split())}-{number}",
        author=f"Newsroom {random.randint(1, 9)}",
        categories=tuple(random.sample(language.categories, k=random.randint(1, 3))),
        published=published,
        summary=f"{on_topic}. {random.choice(stock)}" if on_topic else random.choice(stock),
        html=_html(plan, site, number, on_topic, stock, random),
    )


def _html(
    plan: Plan, site: str, number: int, on_topic: str | None, stock: Sequence[str], random: Random
) -> str:
    """Paragraphs with links, emphasis and a picture, or plain ones if the text is small.

    Tags, attributes and entities are as dense as in the feeds of news sites with whole texts: nine
    tags, four of them with attributes, and two entities in 1,000 characters.
    """
    shortest, longest = plan.html
    # The mode is low, as in real feeds: many short reports, a few long ones; about 3 kB on average.
    wanted = random.triangular(shortest, longest, shortest + (longest - shortest) / 5)
    parts = [f"<p>{on_topic}.</p>\n"] if on_topic else []
    rich = wanted > 800
    if rich:
        parts.append(
            f'<figure class="wp-block-image"><img src="{site}/images/{number}.jpg" alt="{random.choice(stock)}"'
            ' width="800" height="450" loading="lazy"/></figure>\n'
        )
    length = sum(map(len, parts))
    while length < wanted:
        sentences = random.choices(stock, k=random.randint(1, 3) if rich else 1)
        parts.append(_rich_paragraph(site, sentences, random) if rich else f"<p>{sentences[0]}</p>\n")
        length += len(parts[-1])
    return "".join(parts)


def _rich_paragraph(site: str, sentences: list[str], random: Random) -> str:
    if random.random() < 0.45:
        first, space, rest = sentences[0].partition(" ")
        link = f"{site}/tag/{random.randrange(100)}?utm_source=rss&amp;utm_medium=feed"
        sentences[0] = f'<a href="{link}">{first}</a>{space}{rest}'
    if random.random() < 0.45:
        sentences[-1] = f"<strong>{sentences[-1]}</strong><br/>"
    if random.random() < 0.1:
        sentences.append(f"&ldquo;{random.choice(sentences)}&rdquo;")
    attribute = ' style="text-align: justify;"' if random.random() < 0.3 else ""
    return f"<p{attribute}>{' '.join(sentences)}</p>\n"


def document(plan: Plan, feed: int, *, changed: bool = False) -> tuple[bytes, datetime]:
    """A feed as it is served: UTF-8, and the time of its newest entry.

    Args:
        plan: what the feeds look like.
        feed: which of them, from 0.
        changed: as it stands after the change: `NEW_ENTRIES` came, as many of the oldest left.
    """
    newest = plan.entries - 1 + (NEW_ENTRIES if changed else 0)
    entries = [generated_entry(plan, feed, newest - i) for i in range(plan.entries)]
    text = _atom(feed, entries) if is_atom(feed) else _rss(feed, entries)
    return text.encode(), entries[0].published


def _rss(feed: int, entries: Sequence[GeneratedEntry]) -> str:
    """RSS 2.0 in the shape that WordPress gives it."""
    items = "".join(
        f"""<item>
<title>{escape(entry.title)}</title>
<link>{entry.link}</link>
<dc:creator><![CDATA[{entry.author}]]></dc:creator>
<pubDate>{format_datetime(entry.published)}</pubDate>
{"".join(f"<category><![CDATA[{category}]]></category>" for category in entry.categories)}
<guid isPermaLink="false">https://news-{feed}.example/?p={entry.number}</guid>
<description><![CDATA[<p>{entry.summary}</p>]]></description>
<content:encoded><![CDATA[{entry.html}]]></content:encoded>
</item>
"""
        for entry in entries
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel>
<title>News {feed}</title>
<link>https://news-{feed}.example/</link>
<description>Generated news, number {feed}</description>
<language>{language_of(feed).code}</language>
<lastBuildDate>{format_datetime(entries[0].published)}</lastBuildDate>
{items}</channel>
</rss>
"""


def _atom(feed: int, entries: Sequence[GeneratedEntry]) -> str:
    """Atom 1.0 in the shape that Blogger gives it."""
    elements = "".join(
        f"""<entry>
<id>tag:news-{feed}.example,2026:post-{entry.number}</id>
<published>{entry.published.isoformat()}</published>
<updated>{entry.published.isoformat()}</updated>
<title type="text">{escape(entry.title)}</title>
<link rel="alternate" type="text/html" href="{entry.link}"/>
<author><name>{escape(entry.author)}</name></author>
{"".join(f'<category term="{escape(category)}"/>' for category in entry.categories)}
<summary type="text">{escape(entry.summary)}</summary>
<content type="html">{escape(entry.html, quote=False)}</content>
</entry>
"""
        for entry in entries
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xml:lang="{language_of(feed).code}">
<id>tag:news-{feed}.example,2026:feed</id>
<updated>{entries[0].published.isoformat()}</updated>
<title type="text">News {feed}</title>
<link rel="alternate" type="text/html" href="https://news-{feed}.example/"/>
<author><name>News {feed}</name></author>
{elements}</feed>
"""


# ----------------------------------------------------------------------------------- the server


@dataclass(frozen=True, slots=True)
class Page:
    """What the server says for one URL: validators, and whole HTTP messages ready to be written."""

    etag: bytes
    last_modified: bytes
    full: bytes
    not_modified: bytes

    @classmethod
    def of(cls, body: bytes, modified: datetime, content_type: str) -> "Page":
        """Makes both messages of a document."""
        etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        last_modified = format_datetime(modified, usegmt=True)
        validators = f"ETag: {etag}\r\nLast-Modified: {last_modified}\r\n"
        head = f"HTTP/1.1 200 OK\r\n{validators}Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        return cls(
            etag=etag.encode(),
            last_modified=last_modified.encode(),
            full=head.encode() + body,
            not_modified=f"HTTP/1.1 304 Not Modified\r\n{validators}\r\n".encode(),
        )


class Site:
    """All pages of a plan, before and after the change, and a tally of what was answered."""

    NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    _PATH = re.compile(rb"GET (\S+) HTTP/1\.1\r\n")
    _IF_NONE_MATCH = re.compile(rb"\r\nif-none-match: *([^\r]*)", re.IGNORECASE)
    _IF_MODIFIED_SINCE = re.compile(rb"\r\nif-modified-since: *([^\r]*)", re.IGNORECASE)

    def __init__(self, plan: Plan) -> None:
        self.pages = {f"/feed/{feed}.xml".encode(): self._page(plan, feed) for feed in range(plan.feeds)}
        self._changed = {
            f"/feed/{feed}.xml".encode(): self._page(plan, feed, changed=True) for feed in plan.changed
        }
        self.tally: Counter[int] = Counter()

    @staticmethod
    def _page(plan: Plan, feed: int, *, changed: bool = False) -> Page:
        body, modified = document(plan, feed, changed=changed)
        return Page.of(
            body, modified, "application/atom+xml" if is_atom(feed) else "application/rss+xml; charset=UTF-8"
        )

    def change(self) -> None:
        """Puts the new entries in: what the delta phase finds."""
        self.pages.update(self._changed)

    def answer(self, request: bytes) -> bytes:
        """The whole answer to one request; `If-None-Match` outranks the date (RFC 9110 §13.2.2)."""
        path = self._PATH.match(request)
        page = self.pages.get(path[1]) if path else None
        if page is None:
            self.tally[404] += 1
            return self.NOT_FOUND
        if etag := self._IF_NONE_MATCH.search(request):
            fresh = etag[1] == page.etag
        else:
            date = self._IF_MODIFIED_SINCE.search(request)
            fresh = date is not None and date[1] == page.last_modified
        self.tally[304 if fresh else 200] += 1
        return page.not_modified if fresh else page.full


class _Exchange(asyncio.Protocol):
    """One connection: requests without bodies in, answers out."""

    def __init__(self, site: Site, latency: float) -> None:
        self._site = site
        self._latency = latency
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._received = (self._received + data).split(b"\r\n\r\n")
        for request in requests:
            answer = self._site.answer(request)
            if self._latency:
                asyncio.get_running_loop().call_later(self._latency, self._transport.write, answer)
            else:
                self._transport.write(answer)


def _serve(plan: Plan, latency: float, orders: Connection) -> None:
    """The server's process: says its port, then obeys until the other end of `orders` is closed."""
    site = Site(plan)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def obey() -> None:
            try:
                order = orders.recv()
            except EOFError:
                loop.remove_reader(orders.fileno())
                ended.set()
                return
            if order == "change":
                site.change()
            orders.send(dict(site.tally))
            site.tally.clear()

        server = await loop.create_server(lambda: _Exchange(site, latency), "127.0.0.1", 0, backlog=1024)
        orders.send(server.sockets[0].getsockname()[1])
        loop.add_reader(orders.fileno(), obey)
        await ended.wait()
        server.close()

    asyncio.run(main())


@dataclass(frozen=True, slots=True)
class Server:
    """The driver's end of the server's process."""

    port: int
    _orders: Connection

    def urls(self, feeds: int) -> list[str]:
        """The addresses of the first so many feeds."""
        return [f"http://127.0.0.1:{self.port}/feed/{feed}.xml" for feed in range(feeds)]

    def change(self) -> None:
        """From now on the changed feeds show their new entries."""
        self._orders.send("change")
        self._orders.recv()

    def take_tally(self) -> dict[int, int]:
        """Answers by HTTP status since this was last asked."""
        self._orders.send("tally")
        tally: dict[int, int] = self._orders.recv()
        return tally


@contextmanager
def serving(plan: Plan, latency: float = 0) -> Iterator[Server]:
    """Generates the feeds of a plan and serves them from another process, until the block ends.

    Args:
        plan: what to serve.
        latency: seconds from a request to its answer.

    A process of its own: its CPU must not count, and the driver must stay small, because Linux lets
    a child's peak memory begin at what its parent held when it was started.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(plan, latency, theirs), daemon=True
    )
    process.start()
    theirs.close()
    try:
        # Without an answer it hangs (a dead one gives EOFError); 10,000 feeds take some ten seconds.
        if not ours.poll(300):
            raise RuntimeError("The server did not start within 300 s.")
        yield Server(ours.recv(), ours)
    finally:
        ours.close()
        process.join(10)
        process.kill()
        process.join()
        process.close()
