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
        pytest.param("Isi.\nSumber: radarsampang.id", ["radarsampang.id"], id="not in the table: an address"),
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
        pytest.param("Text.\nSumber : detik.com, kompas.com", ["detikcom", "Kompas.com"], id="two addresses"),
        pytest.param(
            "Isi berita, katanya. (Sumber: Antara)", ["Antara"], id="Sumber, at the end of a paragraph"
        ),
        pytest.param(
            "Isi.\nSumber: kabartambora.com", ["kabartambora.com"], id="not in the table: a site of news"
        ),
        pytest.param(
            "Text.\nThis article is republished from The Conversation under a Creative Commons license. Read the original.",
            ["The Conversation"],
            id="republished, and what follows",
        ),
        pytest.param(
            "Text.\nCopyright 2025 The Associated Press. All rights reserved.", ["AP"], id="Copyright"
        ),
        pytest.param(
            "Text.\nWith files from The Canadian Press", ["The Canadian Press"], id="With files from"
        ),
        pytest.param("Texto.\nCon datos de EFE", ["EFE"], id="Con datos de"),
        pytest.param(
            "Isi.\n(jpnn/radarkudus)", ["JPNN", "Radar Kudus"], id="signed in small letters, in brackets"
        ),
        pytest.param("Texto.\nRedacción/EFE", ["EFE"], id="signed by the desk and an agency"),
        pytest.param("By our own correspondent, Reuters\nThe peso fell.", ["Reuters"], id="byline"),
        pytest.param(
            "Por Redacción BBC News Mundo\nLa isla quedó a oscuras.", ["BBC Mundo"], id="byline of a desk"
        ),
        pytest.param("AFP\nCARACAS.- El gobierno anunció el cierre.", ["AFP"], id="a line of its own above"),
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
        pytest.param("Jakarta (Ant) - Menteri meninjau pelabuhan.", ["Antara"], id="(Ant)"),
        pytest.param(
            "CIUDAD DE MÉXICO (apro).- La fiscalía abrió una carpeta.",
            ["Apro"],
            id="an agency in small letters",
        ),
        pytest.param("OPINIÓN - El presidente debe irse.", [], id="a label that is an outlet's name, too"),
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
        pytest.param(
            "Informasi itu dihimpun dari berbagai sumber termasuk Nikkei Asia dan The Straits Times.",
            ["Nikkei Asia", "The Straits Times"],
            id="id: dihimpun dari … termasuk",
        ),
        pytest.param("Delegasi bertahan, sebagaimana dikabarkan AFP.", ["AFP"], id="id: dikabarkan"),
        pytest.param(
            "Bocoran dokumen yang dilihat Bloomberg menunjukkan utang.", ["Bloomberg"], id="id: yang dilihat"
        ),
        pytest.param(
            "Video itu diverifikasi oleh BBC dan Reuters.", ["BBC", "Reuters"], id="id: diverifikasi oleh"
        ),
        pytest.param(
            "Ia membenarkan saat dihubungi Tribun Jabar, Senin.", ["Tribun Jabar"], id="id: saat dihubungi"
        ),
        pytest.param(
            "Ia tidak hadir, dikutip Grid.ID dari kanal YouTube Cumicumi, Jumat.",
            ["Grid", "Cumicumi"],
            id="id: dikutip … dari kanal",
        ),
        pytest.param("Berdasarkan data Bloomberg, rupiah melemah.", ["Bloomberg"], id="id: berdasarkan data"),
        pytest.param(
            "Kantor berita negara Iran, IRNA, melaporkan tiga orang ditangkap.",
            ["IRNA"],
            id="id: in apposition",
        ),
        pytest.param(
            "Harian Haaretz, yang kritis terhadap pemerintah, melaporkan dua orang ditahan.",
            ["Haaretz"],
            id="id: a clause between",
        ),
        pytest.param(
            "Dalam artikelnya di Foreign Affairs, ia menyebut blokade itu ilegal.",
            ["Foreign Affairs"],
            id="id: artikelnya di",
        ),
        pytest.param(
            "The outage ended at noon, Lloyd’s List reported, citing managers.",
            ["Lloyd's List"],
            id="en: a curly apostrophe",
        ),
        pytest.param(
            "CNN's chief correspondent first reported the meeting.",
            ["CNN"],
            id="en: its correspondent reported",
        ),
        pytest.param("Sky News understands that the deal is done.", ["Sky News"], id="en: understands"),
        pytest.param(
            "The airline confirmed the order in an email to Simple Flying.",
            ["Simple Flying"],
            id="en: in an email to",
        ),
        pytest.param(
            "In an op-ed for the Financial Times, the minister argued for a tariff.",
            ["Financial Times"],
            id="en: op-ed for",
        ),
        pytest.param(
            "The senator, speaking on CBS’ Face the Nation, saw no evidence.",
            ["CBS News"],
            id="en: speaking on",
        ),
        pytest.param(
            "The president said so in an interview aired Sunday on Fox News.",
            ["Fox News"],
            id="en: interview aired on",
        ),
        pytest.param(
            "Photographs leaked to Der Spiegel and the OCCRP show the yacht.",
            ["Der Spiegel", "OCCRP"],
            id="en: leaked to both",
        ),
        pytest.param(
            "Shipping publication TradeWinds said the crew was safe.",
            ["TradeWinds"],
            id="en: a publication said",
        ),
        pytest.param("Crews were recalled, TASS said.", ["TASS"], id="en: an agency said"),
        pytest.param(
            "Local media reports, including by Diario Extra and Teletica, put it at nine.",
            ["Diario Extra", "Teletica"],
            id="en: including",
        ),
        pytest.param(
            "Officials plan to close the base (AFP, Reuters).", ["AFP", "Reuters"], id="en: two in brackets"
        ),
        pytest.param(
            "“No habrá acuerdo”, sostuvo el ministro, de visita en Asunción, a Radio Ñandutí.",
            ["Radio Ñandutí"],
            id="es: sostuvo … a",
        ),
        pytest.param(
            "El servicio vuelve el lunes, según ha asegurado una portavoz a The Verge.",
            ["The Verge"],
            id="es: ha asegurado una portavoz a",
        ),
        pytest.param(
            "El contrato, adelantado por la Cadena SER y al que ha tenido acceso Europa Press, venció.",
            ["Cadena SER", "Europa Press"],
            id="es: adelantado por, ha tenido acceso",
        ),
        pytest.param(
            "Según publica este jueves el diario alemán Süddeutsche Zeitung, Berlín dudaba.",
            ["Süddeutsche Zeitung"],
            id="es: publica … el diario alemán",
        ),
        pytest.param(
            "Fuentes policiales consultadas por EL MUNDO confirman el hallazgo.",
            ["El Mundo"],
            id="es: consultadas por",
        ),
        pytest.param(
            "Las clases se suspenden, indicó la cadena Telemundo.",
            ["Telemundo"],
            id="es: indicó la cadena",
        ),
        pytest.param("El avión volvió a Bogotá, dio a conocer La FM.", ["La FM"], id="es: dio a conocer"),
        pytest.param("She told People that it was over.", ["People"], id="en: told, a common word"),
        pytest.param(
            "Media Rusia Kommersant dan RBC melaporkan perundingan batal.",
            ["Kommersant", "RBC"],
            id="id: beside another, a common word",
        ),
        pytest.param("Según un recuento de AFP, hay 80 muertos.", ["AFP"], id="es: según un recuento de"),
        pytest.param(
            "La nota del New York Times sostiene que hubo dos reuniones.",
            ["The New York Times"],
            id="es: la nota del",
        ),
    ],
)
def test_running_text_may_credit(text: str, names: list[str]) -> None:
    assert credited(text) == names


@pytest.mark.parametrize(
    ("text", "names"),
    [
        pytest.param(
            "Kabar itu diwartakan harian Yunani Kathimerini Avrio.", ["Kathimerini Avrio"], id="id: harian"
        ),
        pytest.param(
            "“Airnya naik,” kata seorang warga kepada Radio Gema Rinjani.",
            ["Radio Gema Rinjani"],
            id="id: Radio",
        ),
        pytest.param(
            "Media lokal Radar Tambora menulis bahwa jembatan itu tua.", ["Radar Tambora"], id="id: Radar"
        ),
        pytest.param(
            "Kapolres mengatakan hal itu kepada BimaTimes, Senin.", ["BimaTimes"], id="id: one word of two"
        ),
        pytest.param(
            "Dilansir dari kabartambora.com, dua rumah roboh.", ["kabartambora.com"], id="id: a site"
        ),
        pytest.param(
            "The operator told the Ardrossan Herald that it would resume.",
            ["Ardrossan Herald"],
            id="en: Herald",
        ),
        pytest.param(
            "The mayor told the Hartley Mail that the pier would reopen.",
            ["Hartley Mail"],
            id="en: told the Mail",
        ),
        pytest.param("“It shook the house,” a neighbour told WQRS-TV.", ["WQRS-TV"], id="en: a station"),
        pytest.param(
            "A spokesman told NBC 9 North Coast that no one was aboard.",
            ["NBC 9 North Coast"],
            id="en: an affiliate",
        ),
        pytest.param("The talks had stalled, Utopia's Alba newspaper said.", ["Alba"], id="en: … newspaper"),
        pytest.param(
            "The coach, speaking to BBC Radio Westmere, said so.",
            ["BBC Radio Westmere"],
            id="en: a local station of a house",
        ),
        pytest.param(
            "Así lo dijo en una entrevista con Radio Horizonte de Paraguaná.",
            ["Radio Horizonte de Paraguaná"],
            id="es: Radio … de",
        ),
        pytest.param(
            "Según publica El Diario de Trujillo, no hubo heridos.",
            ["El Diario de Trujillo"],
            id="es: El Diario de",
        ),
        pytest.param(
            "“Nos disparaban”, relata por teléfono a Canal 4 un vecino.", ["Canal 4"], id="es: Canal"
        ),
        pytest.param(
            "Lo informó la emisora comunitaria Voces de Táchira.", ["Voces de Táchira"], id="es: la emisora"
        ),
        pytest.param("Payments went on, according to the Royal Mail.", [], id="en: another Mail"),
        pytest.param(
            "Talks stalled at Times Square, according to the Post Office.", [], id="en: another Post"
        ),
        pytest.param("Menurut Pos Pengamatan Merapi, guguran terjadi 12 kali.", [], id="id: another Pos"),
        pytest.param("Según Canal de Panamá, el calado bajó.", [], id="es: another Canal"),
        pytest.param("El ministro escribió a Radio Horizonte.", [], id="es: not credited"),
    ],
)
def test_an_outlet_that_the_table_lacks_may_be_credited(text: str, names: list[str]) -> None:
    assert credited(text) == names


@pytest.mark.parametrize(
    ("title", "names"),
    [
        pytest.param("Maduro wrote to Putin, Washington Post says", ["The Washington Post"], id="says"),
        pytest.param("Oil steadies near $60 - Reuters", ["Reuters"], id="after a dash"),
        pytest.param("Reuters: investigation put on ice", ["Reuters"], id="before a colon"),
        pytest.param("The Treasure Guardian: keeping jewels safe", [], id="a word within the title"),
        pytest.param("WSJ Sebut Maduro Tawarkan Minyak", ["The Wall Street Journal"], id="sebut"),
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
        pytest.param("Menteri dituntut dalam gugatan kepada BBC.", id="sued, not told"),
        pytest.param("Menteri memberi penghargaan kepada Kompas TV dan RRI.", id="honoured, not told"),
        pytest.param("Trump dijo que demandará a The New York Times.", id="said that one will sue"),
        pytest.param("CNN said in a statement that it would cut 200 jobs.", id="speaks of itself"),
        pytest.param(
            "The New York Times reported quarterly revenue of 686 million.", id="reports its figures"
        ),
        pytest.param("La periodista de El Pitazo fue detenida en Barinas.", id="its reporter arrested"),
        pytest.param("Foto: Reuters/Carlos Jasso\nEl barco llegó.", id="credit of a picture"),
        pytest.param(
            "Kapal bersandar. (REUTERS/Ricardo Arduengo)\nIsi.", id="credit of a picture, in brackets"
        ),
        pytest.param("The Pakistan Bureau of Statistics (PBS) counts.", id="abbreviation"),
        pytest.param("Persib vs Persija (Indosiar), 19.00 WIB.", id="channel and time"),
        pytest.param("Pertandingan disiarkan langsung Indosiar.", id="broadcast live"),
        pytest.param("People reported hearing shots.", id="a common word that begins a sentence"),
        pytest.param("According to the Independent Commission, it was late.", id="a name that goes on"),
        pytest.param("Lapor RT setempat bila ada tamu menginap.", id="a neighbourhood"),
        pytest.param(
            "The study, published in the Journal of Marine Science, is new.", id="journal of science"
        ),
        pytest.param("Isi.\nHarga emas dikutip dari laman logammulia.com.", id="site of a firm"),
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
        pytest.param("Isi.\nSumber: Radar Sampang", outlet_of("Radar Sampang", None), id="not in the table"),
        pytest.param("She told BBC Radio Westmere.", outlet_of("BBC Sport", None), id="a desk of its house"),
        pytest.param("He told The Times.", outlet_of("The New York Times", None), id="in short"),
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
        pytest.param(
            "Portada", "https://www.bbc.com/mundo/index.xml", "BBC Mundo", id="by domain and folder"
        ),
        pytest.param("Opinión de Hoy", "https://a.example", "Opinión de Hoy", id="begins with a common word"),
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
