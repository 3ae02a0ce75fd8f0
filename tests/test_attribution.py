"""Whom an entry credits: the ways in which Indonesian, English and Spanish press says so, and what only looks like it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aggregator.duplicates import attributions, outlet_of
from aggregator.duplicates.attribution import outlet_key


def credited(text: str, title: str = "", outlet: str | None = None) -> list[str]:
    return [one.name for one in attributions(text, title, outlet)]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("Isi.\nSumber: INEWS", ["iNews"], id="Sumber, in capitals"),
        pytest.param("Isi.\nsumber : Antara", ["Antara"], id="sumber, small and spaced"),
        pytest.param("Isi.\nSumber: CNN", ["CNN Indonesia"], id="Sumber: CNN is the Indonesian one"),
        pytest.param("Text.\nSource: CNN", ["CNN"], id="Source: CNN is the American one"),
        pytest.param("Isi.\nSumber: AFP/Reuters", ["AFP", "Reuters"], id="two, with a stroke"),
        pytest.param("Text.\nSources: BBC News, Al Jazeera English", ["BBC", "Al Jazeera"], id="a list"),
        pytest.param("Isi.\nSumber: radarmadura.id", ["radarmadura.id"], id="not in the table: an address"),
        pytest.param("Isi.\nSumber: https://www.inews.id/berita", ["iNews"], id="an address"),
        pytest.param("Isi.\nSumber: Radar Madura", ["Radar Madura"], id="not in the table: a press name"),
        pytest.param("Text.\nStory by Kyiv Post", ["Kyiv Post"], id="Story by"),
        pytest.param(
            "Text.\nThis article originally appeared on ProPublica.", ["ProPublica"], id="appeared on"
        ),
        pytest.param("Text.\nRepublished from The Conversation", ["The Conversation"], id="republished"),
        pytest.param("Texto.\nFuente: Europa Press", ["Europa Press"], id="Fuente"),
        pytest.param("Texto.\n(Con información de EFE)", ["EFE"], id="Con información de"),
        pytest.param("Texto.\nTomado de Cubadebate", ["Cubadebate"], id="Tomado de"),
        pytest.param(
            "Isi.\nArtikel ini telah tayang di Kompas.com dengan judul Harga Beras Naik",
            ["Kompas.com"],
            id="telah tayang di … dengan judul",
        ),
        pytest.param("Isi.\nDikutip dari Tempo.co", ["Tempo"], id="a line: dikutip dari"),
        pytest.param("Text of the report.\nREUTERS", ["Reuters"], id="signed"),
        pytest.param("Texto de la nota.\nEFE/AFP", ["EFE", "AFP"], id="signed by two"),
    ],
)
def test_a_line_may_name_the_source(text: str, names: list[str]) -> None:
    assert credited(text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param("KARAKAS, iNews.id - Presiden berbicara.", ["iNews"], id="iNews.id"),
        pytest.param("WASHINGTON (AP) — The president spoke.", ["AP"], id="(AP)"),
        pytest.param("KATHMANDU, Nepal (AP) — Soldiers patrolled.", ["AP"], id="city, country (AP)"),
        pytest.param("LONDON, Jan 3 (Reuters) - Oil fell.", ["Reuters"], id="with a date"),
        pytest.param("Caracas, 26 nov (EFE).- El INAC revocó permisos.", ["EFE"], id="(EFE).-"),
        pytest.param("Port of Spain (ANTARA) - Kapal merapat.", ["Antara"], id="(ANTARA)"),
        pytest.param(
            "DEMOCRAZY.ID – TEMPO.CO, Sidoarjo - Bangunan ambruk.", ["Democrazy.id", "Tempo"], id="two"
        ),
        pytest.param(
            "Pembuka.\nJakarta, CNN Indonesia -- Menteri mundur.", ["CNN Indonesia"], id="second paragraph"
        ),
        pytest.param("Paris - Museum ditutup.", [], id="only a place"),
    ],
)
def test_a_dateline_names_who_reported(text: str, names: list[str]) -> None:
    assert credited(text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(
            "Menurut laporan surat kabar The Washington Post, ia minta radar.",
            ["The Washington Post"],
            id="id: surat kabar",
        ),
        pytest.param("Demikian dilansir Reuters, Senin.", ["Reuters"], id="id: dilansir"),
        pytest.param("Dilansir dari laman Kompas.com, Selasa", ["Kompas.com"], id="id: dilansir dari laman"),
        pytest.param(
            "Reuters / The Associated Press contributed to this report.",
            ["Reuters", "AP"],
            id="en: both contributed",
        ),
        pytest.param(
            "Three were killed, Reuters and CNN reported.", ["Reuters", "CNN"], id="en: both reported"
        ),
        pytest.param("Reuters is in London, CNN reported.", ["CNN"], id="en: one of two"),
        pytest.param(
            "Washington prepara sanciones, según un informe de la cadena NBC.",
            ["NBC News"],
            id="es: según un informe de la cadena",
        ),
        pytest.param(
            "Cuerpo.\nArtículo publicado originalmente en El País.",
            ["El País"],
            id="es: publicado originalmente",
        ),
        pytest.param(
            "Seperti dikutip dari laman Al Jazeera, kapal itu tenggelam.",
            ["Al Jazeera"],
            id="id: dikutip dari laman",
        ),
        pytest.param("Massa membakar gedung parlemen, lapor AP.", ["AP"], id="id: lapor"),
        pytest.param('"Saya takut," kata seorang ibu kepada AFP.', ["AFP"], id="id: kepada"),
        pytest.param("Kantor berita Turki Anadolu melaporkan dua korban.", ["Anadolu"], id="id: melaporkan"),
        pytest.param("Melansir CNN dan BBC, bandara ditutup.", ["CNN", "BBC"], id="id: two with dan"),
        pytest.param(
            "He asked Russia for help, The Washington Post reported, citing documents.",
            ["The Washington Post"],
            id="en: reported",
        ),
        pytest.param(
            "Jets landed on Saturday, according to a Reuters witness.",
            ["Reuters"],
            id="en: a Reuters witness",
        ),
        pytest.param(
            "Officials told The Associated Press that talks go on.", ["AP"], id="en: told, other spelling"
        ),
        pytest.param(
            "The British newspaper The Guardian first reported the deal.",
            ["The Guardian"],
            id="en: first reported",
        ),
        pytest.param(
            "A document seen by the Financial Times says so.", ["Financial Times"], id="en: seen by the"
        ),
        pytest.param(
            "The decision, reported by Bloomberg and Politico, surprised many.",
            ["Bloomberg", "Politico"],
            id="en: two with and",
        ),
        pytest.param(
            "El buque llevaba crudo, según la agencia Reuters.", ["Reuters"], id="es: según la agencia"
        ),
        pytest.param("Lo decomisaron este martes, informó EFE.", ["EFE"], id="es: informó"),
        pytest.param(
            "El diario estadounidense The New York Times reveló el plan.",
            ["The New York Times"],
            id="es: reveló",
        ),
        pytest.param("De acuerdo con Infobae, el ministro renunció.", ["Infobae"], id="es: de acuerdo con"),
        pytest.param("Ayer dijo a El País que no habrá cambios.", ["El País"], id="es: dijo a"),
        pytest.param("El avión aterrizó en la isla (AFP).", ["AFP"], id="in brackets"),
    ],
)
def test_running_text_may_credit(text: str, names: list[str]) -> None:
    assert credited(text) == names


@pytest.mark.parametrize(
    ("title", "names"),
    [
        pytest.param("Maduro wrote to Putin, Washington Post says", ["The Washington Post"], id="says"),
        pytest.param("Oil steadies near $60 - Reuters", ["Reuters"], id="after a dash"),
        pytest.param("Reuters: investigation put on ice", ["Reuters"], id="before a colon"),
        pytest.param("The Treasure Guardian: keeping jewels safe", [], id="a word within the title"),
    ],
)
def test_a_title_may_credit(title: str, names: list[str]) -> None:
    assert credited("Text.", title) == names


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Persaingan global antara Washington dan Beijing.", id="antara, between"),
        pytest.param("Antara babak pertama dan kedua tempo berubah.", id="Antara begins the sentence"),
        pytest.param("Ini soal waktu.\nSumber: BMKG", id="agency of state"),
        pytest.param("Texto.\nFuente: Ministerio de Trabajo", id="ministry"),
        pytest.param("Text.\nSource: Department of Health news release", id="department"),
        pytest.param("Isi.\nSumber: https://www.bmkg.go.id/gempa", id="address of an agency of state"),
        pytest.param("Isi.\nSumber: Instagram", id="platform"),
        pytest.param("Isi.\nSumber: berbagai sumber", id="various"),
        pytest.param("Sumber-sumber diplomatik menyebut pertemuan itu.", id="sources, in a sentence"),
        pytest.param("The company would have to sell off CNN to win approval.", id="spoken of, not credited"),
        pytest.param("La tasa bajó, según el DANE.", id="statistics office"),
        pytest.param("Three sources: one dead, two hurt in the AP exam.", id="words that look like it"),
        pytest.param("Text of the report.\nabc/def/jh", id="initials of editors"),
    ],
)
def test_who_is_no_outlet_or_not_credited(text: str) -> None:
    assert credited(text) == []


@pytest.mark.parametrize(
    ("text", "outlet"),
    [
        pytest.param("KARAKAS, iNews.id - Isi.", outlet_of("iNews Jatim", None), id="regional edition"),
        pytest.param("WASHINGTON (AP) — Text.", outlet_of("AP News", None), id="AP News is AP"),
        pytest.param(
            "Analysts told the BBC that it is late.", outlet_of("BBC News - World", None), id="told us"
        ),
        pytest.param("Jakarta - Isi.\nSumber: detikNews", outlet_of("detikInet", None), id="sister desk"),
        pytest.param("Isi.\nSumber: Radar Madura", outlet_of("Radar Madura", None), id="not in the table"),
    ],
)
def test_nobody_credits_oneself(text: str, outlet: str | None) -> None:
    assert credited(text, outlet=outlet) == []


def test_each_is_named_once_the_source_line_first() -> None:
    text = "Menurut Reuters, harga naik.\nReuters melaporkan lagi.\nSumber: INEWS"
    assert credited(text) == ["iNews", "Reuters"]


@pytest.mark.parametrize(
    ("title", "site", "name"),
    [
        pytest.param("Terbaru", "https://www.inews.id/feed", "iNews", id="by domain"),
        pytest.param(
            "Noticias",
            "https://m.eluniversal.com.mx/rss.xml",
            "El Universal",
            id="by the domain below a host",
        ),
        pytest.param("BBC News - World", "https://feeds.example/1", "BBC", id="title before a dash"),
        pytest.param("CNN Indonesia | Internasional", None, "CNN Indonesia", id="the longest name"),
        pytest.param("Kompas TV", None, "Kompas TV", id="not Kompas.com"),
        pytest.param(
            "Gazeta do Interior | Últimas",
            "https://gazeta.example",
            "Gazeta do Interior",
            id="unknown: title",
        ),
        pytest.param(None, "https://www.gazeta.example/rss", "gazeta.example", id="unknown, no title: host"),
        pytest.param(None, None, None, id="nothing"),
    ],
)
def test_a_feed_belongs_to_an_outlet(title: str | None, site: str | None, name: str | None) -> None:
    assert outlet_of(title, site) == name


@pytest.mark.parametrize(
    "spellings",
    [
        ("AP", "The Associated Press", "AP News"),
        ("iNews", "INEWS", "iNews.id"),
        ("detikcom", "detik.com", "detikNews"),
        ("The Washington Post", "Washington Post", "WaPo"),
        ("EFE", "Agencia EFE", "efe.com"),
        ("Kabar Pulau", "KABAR PULAU"),
    ],
    ids=lambda spellings: spellings[0],
)
def test_spellings_of_one_outlet_have_one_key(spellings: tuple[str, ...]) -> None:
    assert len({outlet_key(spelling) for spelling in spellings}) == 1


def test_brands_are_kept_apart() -> None:
    names = (
        "CNN",
        "CNN Indonesia",
        "CNBC",
        "CNBC Indonesia",
        "Kompas.com",
        "Kompas TV",
        "El Tiempo",
        "The Times",
    )
    assert len({outlet_key(name) for name in names}) == len(names)


@given(st.text(max_size=400), st.text(max_size=80))
def test_any_text_is_taken(text: str, title: str) -> None:
    assert all(one.name for one in attributions(text, title))
