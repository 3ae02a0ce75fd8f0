"""A small press on loopback: eight outlets in three languages, a day of news, and ten weeks before it.

with Server() as server:
    press = Press(server, now)
    path = press.configure(folder)      # a feeds.yaml that follows them
    ... poll ...
    press.correct()                     # one outlet changes an article, another has something new
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import format_datetime
from html import escape
from pathlib import Path
from random import Random

from tests import conftest
from tests.server import Server

HOSTILE = (
    "<script>window.broken = 'script'</script><img src=x onerror=\"window.broken = 'img'\">"
    "<svg onload=\"window.broken = 'svg'\"></svg><iframe srcdoc=\"<script>parent.broken = 'frame'</script>\"></iframe>"
    '<a href="javascript:window.broken=\'link\'">press here</a><form action="/logout" method=post><button>x</button></form>'
    '<style>main { display: none }</style><p style="position: fixed; inset: 0">Caracas and the US warship, {{ 7 * 7 }}.</p>'
    f"<h5>Deep</h5><pre>{'wide' * 100}</pre><table><tr><th></th><th>A</th></tr><tr><td>{'cell' * 50}</td><td>1</td></tr></table>"
    '<p><a href="https://a.example/"><img src="https://a.example/1.png"></a></p>'
)
HOSTILE_TITLE = "</title><script>window.broken = 'title'</script>\"><b>US warship off Venezuela</b>"


@dataclass(frozen=True)
class News:
    """One item of a feed; `hours` ago."""

    outlet: str
    hours: float
    title: str
    text: str
    key: str = ""
    link: str = ""


@dataclass
class Press:
    """The outlets, on a server of their own."""

    server: Server
    now: datetime
    history: int = 70
    outlets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._news = [*TODAY, *_history(self.history, self.now)]
        self.publish()

    def publish(self) -> None:
        """Put every outlet's document on the server."""
        for outlet, language in LANGUAGES.items():
            path = "/" + outlet.lower().replace(" ", "-")
            self.outlets[outlet] = self.server.url(path)
            items = [news for news in self._news if news.outlet == outlet]
            document = _document(outlet, language, self.now, sorted(items, key=lambda news: news.hours))
            self.server.add(path, document, headers={"Content-Type": "application/rss+xml"})
        self.server.add("/radar-utara", b"", status=503)

    def configure(self, folder: Path) -> Path:
        """Write a feeds.yaml that follows all of them."""
        feeds = [{"url": url, "name": name} for name, url in self.outlets.items()]
        feeds.append({"url": self.server.url("/radar-utara"), "name": "Radar Utara"})
        return conftest.configure(
            folder,
            *feeds,
            topics=["caribbean-tension"],
            output=[{"name": "caribbean-tension", "topic": "caribbean-tension"}, {"name": "all"}],
        )

    def tell(self, news: News) -> None:
        """One outlet tells something more."""
        self._news.append(news)
        self.publish()

    def correct(self) -> None:
        """One outlet corrects an article, another tells something new."""
        self._news = [
            News(
                news.outlet, news.hours, news.title.replace("three", "four"),
                news.text.replace("three men", "four men") + "\nThe navy later said that a fourth body had been found.",
                news.key, news.link,
            ) if news.key == "strike" else news
            for news in self._news
        ]  # fmt: skip
        self._news.append(LATE)
        self.publish()


LANGUAGES = {
    "Warta Pagi": "id",
    "Kabar Sore": "id",
    "Jurnal Laut": "id",
    "Harbour Daily": "en",
    "The Meridian": "en",
    "El Faro del Sur": "es",
    "Diario del Istmo": "es",
    "Papan Iklan": "en",
}

_DOCKED = (
    "Sebuah kapal perusak Angkatan Laut Amerika Serikat merapat di Port of Spain pada Minggu pagi, sebelas kilometer dari "
    "pantai Venezuela.\nKedatangan kapal itu menambah panjang daftar armada AS di Laut Karibia. Pemerintah Venezuela "
    "menyebutnya provokasi dan menyiagakan milisi di sepanjang pesisir timur laut.\nWashington menyatakan pengerahan itu "
    "bagian dari operasi melawan penyelundupan narkoba. Kapal tersebut akan tinggal empat hari."
)
TODAY = (
    News(
        "Warta Pagi", 5.2, "Kapal Perang AS Merapat di Trinidad, Caracas Siagakan Milisi", _DOCKED, "docked"
    ),
    News(
        "Kabar Sore",
        4.4,
        "GEGER! Kapal Perang AS Merapat di Trinidad, Caracas Siagakan Milisi",
        _DOCKED + "\nSumber: Warta Pagi",
    ),
    News(
        "Harbour Daily",
        4.1,
        "US warship docks in Trinidad as Caracas calls up militia",
        "A US Navy destroyer docked in Port of Spain on Sunday morning, eleven kilometres from the Venezuelan coast.\n"
        "Its arrival adds to the American fleet in the Caribbean Sea. Venezuela called it a provocation and put its militia "
        "on alert along the north-eastern coast.\nThe warship will stay in Trinidad for four days, the embassy said.",
    ),
    News(
        "El Faro del Sur",
        3.6,
        "Un buque de guerra de EE.UU. atraca en Trinidad y Caracas moviliza la milicia",
        "Un destructor de la Armada de Estados Unidos atracó el domingo en Puerto España, a once kilómetros de la costa de "
        "Venezuela.\nSu llegada se suma a la flota estadounidense en el mar Caribe. Caracas lo llamó una provocación y puso "
        "en alerta a la milicia en la costa nororiental.\nEl buque permanecerá cuatro días en Trinidad.",
    ),
    News(
        "The Meridian",
        7.5,
        "US strike on suspected drug boat off Venezuela kills three",
        "American forces struck a boat in the Caribbean on Saturday and killed three men, the Pentagon said.\nWashington "
        "says that the boat had left Venezuela with drugs on board; it showed no evidence. Families in the coastal town of "
        "Güiria said that those on it were fishermen.\nIt was the fourth such strike this month. Senators of both parties "
        "asked for the legal grounds.",
        "strike",
    ),
    News(
        "Diario del Istmo",
        7.1,
        "Estados Unidos ataca otra lancha frente a Venezuela y mata a tres hombres",
        "Fuerzas de Estados Unidos atacaron el sábado una lancha en el Caribe y mataron a tres hombres, según el Pentágono.\n"
        "Washington sostiene que la embarcación había zarpado de Venezuela con drogas; no mostró pruebas. Familias de Güiria "
        "dijeron que los muertos eran pescadores.\nFue el cuarto ataque de este mes.",
    ),
    News(
        "Jurnal Laut",
        6.2,
        "Serangan AS terhadap Kapal Tersangka Narkoba di Lepas Pantai Venezuela Tewaskan Tiga Orang",
        "Pasukan Amerika Serikat menyerang sebuah kapal di Karibia pada Sabtu dan menewaskan tiga pria, kata Pentagon.\n"
        "Washington menyebut kapal itu bertolak dari Venezuela membawa narkoba tanpa menunjukkan bukti. Keluarga korban di "
        "Guiria mengatakan mereka nelayan.\nIni serangan keempat bulan ini.",
    ),
    News(
        "Jurnal Laut",
        10.0,
        "Maduro Minta Bantuan Radar dan Rudal kepada Rusia",
        "Presiden Venezuela Nicolas Maduro dilaporkan meminta bantuan radar dan rudal pertahanan udara kepada Rusia untuk "
        "menghadapi ancaman serangan Amerika Serikat di Karibia.\nPermintaan serupa disampaikan kepada Iran.",
    ),
    News(
        "The Meridian",
        26.0,
        "Senate to vote on war powers as Trump weighs strikes inside Venezuela",
        "The US Senate will vote on Thursday on a resolution that would bar military action against Venezuela without the "
        "consent of Congress.\nThe White House said that President Trump had not decided on strikes on land.",
    ),
    News(
        "El Faro del Sur",
        27.5,
        "Aerolíneas suspenden vuelos a Caracas tras una advertencia de EE.UU.",
        "Tres aerolíneas suspendieron sus vuelos a Caracas después de que la autoridad de aviación de Estados Unidos "
        "advirtiera de riesgos por la actividad militar en el espacio aéreo de Venezuela.",
    ),
    News(
        "Warta Pagi",
        2.0,
        "Harga Cabai Rawit Kembali Naik di Pasar Induk",
        "Pedagang menyebut hujan mengurangi pasokan.",
    ),
    News(
        "Harbour Daily",
        1.2,
        "Ferry timetable changes for the holidays",
        "The last boat leaves at nine in the evening.",
    ),
    News("Papan Iklan", 3.0, HOSTILE_TITLE, HOSTILE, "hostile", "javascript:window.broken='address'"),
)
LATE = News(
    "Kabar Sore", 0.1, "Venezuela Kerahkan Kapal Perang ke Karibia Menyusul Armada AS",
    "Angkatan Laut Venezuela mengerahkan dua kapal perang ke Laut Karibia, kata Menteri Pertahanan Vladimir Padrino Lopez, "
    "menyusul kedatangan armada Amerika Serikat.",
    "late",
)  # fmt: skip

FRESH = News(
    "Kabar Sore",
    0,
    "Rubio Sebut Blokade Minyak Venezuela Akan Diperketat",
    "Menteri Luar Negeri Amerika Serikat Marco Rubio mengatakan blokade kapal tanker minyak Venezuela akan diperketat.",
    "fresh",
)

_BEFORE = {
    "Warta Pagi": (
        "AS Kerahkan {} Kapal Perang ke Karibia dekat Venezuela",
        "Berita Daerah: {} Desa Panen Raya",
    ),
    "Harbour Daily": (
        "US sends {} warships to the Caribbean off Venezuela",
        "Council repairs {} bridges in the north",
    ),
    "Diario del Istmo": (
        "EE.UU. envía {} buques de guerra al Caribe frente a Venezuela",
        "Abren {} escuelas en la provincia",
    ),
}
_PLACES = (
    "Aruba",
    "Bonaire",
    "Carúpano",
    "Cumaná",
    "Dominica",
    "Granada",
    "Martinica",
    "Paria",
    "Saba",
    "Tobago",
)


def _history(days: int, now: datetime) -> Iterable[News]:
    """Some weeks in which the press told of the topic now and then, and much on one day."""
    chance = Random(11)
    today = now.hour - 18  # hours since the evening before last midnight
    number = 100
    for day in range(2, days):
        for outlet, (on_topic, off_topic) in _BEFORE.items():
            hits = 7 if day == 12 else chance.choice((0, 1, 1, 2))
            for title, count in ((on_topic, hits), (off_topic, 4)):
                for _ in range(count):
                    number += 1
                    place = chance.choice(_PLACES)
                    yield News(
                        outlet,
                        24 * day + today + chance.uniform(0, 12),
                        title.format(number),
                        f"{place} {number}.",
                        f"h{number}",
                    )


def _document(outlet: str, language: str, now: datetime, items: Iterable[News]) -> bytes:
    site = f"https://{outlet.lower().replace(' ', '-')}.example"
    written = []
    for number, news in enumerate(items):
        link = news.link or f"{site}/{news.key or number}-{abs(hash_of(news.title))}"
        body = (
            news.text
            if news.text.startswith("<")
            else "".join(f"<p>{escape(line)}</p>" for line in news.text.split("\n"))
        )
        written.append(
            f"<item><title>{escape(news.title)}</title><link>{escape(link)}</link>"
            f"<guid isPermaLink='false'>{news.key or hash_of(news.title)}</guid>"
            f"<pubDate>{format_datetime(now - timedelta(hours=news.hours))}</pubDate>"
            f"<description>{escape(body)}</description></item>"
        )
    return (
        "<?xml version='1.0' encoding='UTF-8'?><rss version='2.0'><channel>"
        f"<title>{escape(outlet)}</title><link>{site}/</link><language>{language}</language><description/>"
        f"{''.join(written)}</channel></rss>"
    ).encode()


def hash_of(text: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(text.encode()[-6:]) % 10**8
