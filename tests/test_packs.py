"""The topic packs that ship with the program: the traps they avoid, and the quality they hold."""

import json
from pathlib import Path
from typing import Any

import pytest

from aggregator.config import pack_document, pack_names
from aggregator.model import EntryText
from aggregator.topics import Ruleset, compile_topics, evaluate

SHARED = Path(__file__).resolve().parents[2] / "shared"
ITEMS = SHARED / "eval" / "tagging" / "items.jsonl"
ARTICLE = SHARED / "seed" / "democrazy-id-article.txt"
TOPIC = "caribbean-tension"


@pytest.fixture(scope="module")
def ruleset() -> Ruleset:
    return compile_topics([pack_document(name) for name in pack_names()], pack_document)


def tags(ruleset: Ruleset, language: str, title: str, lead: str = "", text: str = "") -> set[str | None]:
    summary, text = (lead, text) if text else ("", lead)
    return {
        tag.aspect
        for tag in ruleset.match(EntryText(title, summary, text, (), language))[0]
        if tag.topic == TOPIC
    }


# Each trap beside a twin that shares its words and is about the topic: (language, title, lead).
TRAPS = {
    "cruises": (
        ("en", "Cruise lines add Caribbean sailings", "Royal Caribbean's new ship calls at Aruba."),
        ("en", "Navy cruiser joins Caribbean build-up", "The warship sailed past Aruba."),
    ),
    "crucero": (
        ("es", "Crucero por el Caribe: siete islas en ocho días", "Guía de playas y hoteles."),
        ("es", "Un crucero lanzamisiles de EE.UU. llega al Caribe", "Caracas denuncia el despliegue."),
    ),
    "cricket": (
        ("en", "West Indies attack destroys England", "Seales took five wickets in Barbados."),
        ("en", "Barbados fishermen fear US attacks on boats", "A missile destroyed a pirogue."),
    ),
    "hurricanes": (
        ("en", "Hurricane bears down on Grenada", "Troops deployed to clear roads."),
        ("en", "Grenada weighs US radar request", "Troops would come with it, critics fear."),
    ),
    "relief by the same ships": (
        (
            "en",
            "Marines fly food to Jamaica after Hurricane Melissa",
            "USS San Antonio sent its helicopters.",
        ),
        ("en", "Marines land in Trinidad for drills near Venezuela", "USS San Antonio lies offshore."),
    ),
    "orkaan": (
        ("nl", "Orkaan dreigt voor Curaçao", "Defensie zet mariniers klaar."),
        ("nl", "Onrust op Curaçao over Amerikaanse oorlogsschepen", "Mariniers oefenen voor de kust."),
    ),
    "Pirates of the Caribbean": (
        ("id", "Pirates of the Caribbean Tayang Malam Ini", "Kapal perang Inggris menyerang bajak laut."),
        ("id", "Caracas Sebut AS Bajak Laut Karibia", "Kapal tanker disita marinir."),
    ),
    "Maduro the singer": (
        ("id", "Penyanyi Maduro Rilis Album Baru", "Konsernya digelar di Bandung."),
        ("id", "Maduro Serukan Milisi Bersiap", "Ia menuduh Washington mengancam."),
    ),
    "plátano maduro": (
        ("es", "Receta: tajadas de plátano maduro", "Fría hasta dorar."),
        ("es", "Maduro moviliza la milicia", "“Estamos listos para la defensa”, dijo."),
    ),
    "banana madura": (
        ("pt", "Banana-da-terra: use o fruto maduro", "Receita leva vinte minutos."),
        ("pt", "Maduro convoca milícia contra ameaça dos EUA", "Frota se aproxima."),
    ),
    "a mature footballer": (
        ("es", "Un equipo maduro gana el clásico", "Su ataque bombardeó el arco con goles."),
        ("es", "Trump no descarta atacar a Maduro", "El despliegue crece."),
    ),
    "kerabat karib": (
        ("id", "Kerabat Karib Presiden Hadiri Pernikahan", "Sahabat karib sejak kecil itu terharu."),
        ("id", "Kapal Perang di Karibia, Presiden Venezuela Siaga", "AS mengerahkan marinir."),
    ),
    "La Guaira's ball club": (
        ("es", "Tiburones de La Guaira atacan temprano y vencen", "Tres jonrones en el estadio."),
        ("es", "Bombas caen sobre La Guaira", "Fuerzas de EE.UU. atacaron el puerto."),
    ),
    "AS Roma": (
        ("id", "AS Roma Serang Pertahanan Venezia", "Dybala cetak gol."),
        ("id", "AS Serang Pelabuhan Venezuela", "Ledakan terdengar di dermaga."),
    ),
    "Red Sea": (
        ("en", "Houthi missiles hit tanker in Red Sea", "US destroyers answered with strikes."),
        ("en", "US destroyers shadow tanker off Venezuela", "Missiles were readied."),
    ),
    "South China Sea": (
        ("id", "Kapal Perang AS Masuk Laut China Selatan", "Beijing mengerahkan jet tempur."),
        ("id", "Kapal Perang AS Masuk Laut Karibia", "Karakas mengerahkan jet tempur."),
    ),
    "mar Negro": (
        ("es", "Drones hunden un petrolero en el mar Negro", "Ucrania reivindica el ataque."),
        ("es", "EE.UU. incauta un petrolero venezolano", "Caracas habla de piratería."),
    ),
    "another shadow fleet": (
        (
            "fr",
            "La marine française arraisonne un pétrolier russe",
            "La Russie et l'Estonie protestent en Baltique.",
        ),
        ("fr", "Washington arraisonne un pétrolier vénézuélien", "Caracas dénonce un acte de piraterie."),
    ),
    "Iran": (
        ("en", "B-2 bombers struck Iran's nuclear sites", "Senators seek a war powers vote."),
        ("en", "B-52 bombers flew off Venezuela", "Senators seek a war powers vote."),
    ),
    "Gaza's flotilla": (
        ("es", "Interceptan la flotilla rumbo a Gaza", "Activistas detenidos en las lanchas."),
        ("es", "Ataque de EE.UU. a otra lancha deja tres muertos", "El Pentágono difundió el vídeo."),
    ),
    "a strike of workers": (
        ("en", "Dock strike shuts Port of Spain", "Unions want better pay."),
        ("en", "Boat strike kills two men from Trinidad", "Families want answers from Washington."),
    ),
    "ordinary interdiction": (
        ("en", "Coast Guard offloads tons of cocaine", "Routine interdictions stopped six boats."),
        ("en", "Coast Guard sidelined as missiles hit drug boats", "Eleven were killed, the Pentagon said."),
    ),
    "1962": (
        ("id", "Krisis Rudal Kuba 1962: 13 Hari Mencekam", "Kennedy memblokade laut."),
        ("id", "Maduro Minta Rudal ke Putin, Mirip 1962", "AS mengerahkan kapal perang ke Karibia."),
    ),
    "1983": (
        ("en", "Grenada 1983: how Reagan's invasion began", "A historian opens the archive."),
        ("en", "Grenada fears a new invasion in the region", "US warships sail for Venezuela."),
    ),
    "1989": (
        ("es", "Panamá, 1989: la noche en que cayó Noriega", "Tropas de EE.UU. invadieron."),
        ("es", "La captura de Maduro", "Tropas de EE.UU. entraron de noche en Caracas."),
    ),
    "migration": (
        ("es", "Deportan a 150 migrantes venezolanos", "El vuelo de EE.UU. aterrizó en Maiquetía."),
        ("es", "Suspenden vuelos a Caracas por alerta de EE.UU.", "Aerolíneas temen un ataque."),
    ),
    "oil output": (
        ("en", "Venezuelan oil output climbs", "Barrels per day rose by a tenth, quarterly data show."),
        ("en", "Venezuelan oil tankers turn back", "A US blockade stops exports."),
    ),
    "Essequibo before the court": (
        ("es", "La CIJ oirá a Guyana y Venezuela por el Esequibo", "El laudo de 1899 está en disputa."),
        ("es", "Guyana apoya el despliegue naval de EE.UU.", "Caracas lo llama provocación."),
    ),
    "Tren de Aragua in court": (
        ("en", "Alleged Tren de Aragua gang member sentenced in Denver", "He was convicted of robbery."),
        ("en", "Three Tren de Aragua 'narco-terrorists' killed in strike on boat", "Trump posted a video."),
    ),
    "Caracas Street": (
        ("en", "Siege on Caracas Street ends", "Police say no one was hurt."),
        ("en", "Explosions in Caracas, US helicopters seen", "Officials speak of a raid."),
    ),
    "survivors of a shipwreck": (
        ("en", "Two survivors pulled from wreckage after ferry blast", "Investigators study footage."),
        ("en", "Two survivors, a second munition and a silent Pentagon", "Lawmakers saw the footage."),
    ),
    "a vote on something else": (
        ("es", "Otra votación, otra derrota para el Gobierno", "El Congreso rechazó los presupuestos."),
        ("es", "El Senado no frena la guerra del presidente", "Rechazó la resolución por dos votos."),
    ),
    "another general": (
        ("en", "General resigns over troops sent to Chicago", "He doubted that the order was lawful."),
        ("en", "General resigns over strikes on traffickers", "He doubted that the order was lawful."),
    ),
    "another air space": (
        ("en", "Airlines cancel flights to Tel Aviv", "The regulator warned of military activity."),
        ("en", "Airlines cancel flights after US warning", "The regulator warned of military activity."),
    ),
    "a dictator of another country": (
        ("id", "Mantan Presiden Filipina Duduk di Kursi Terdakwa", "Sidang digelar di Den Haag."),
        ("id", "Mantan Penguasa Itu Duduk di Kursi Terdakwa Manhattan", "Ia dijemput helikopter."),
    ),
    "a tanker aground": (
        ("es", "Un petrolero encalla en Canarias", "La persecución policial no tuvo que ver."),
        ("es", "El petrolero fugitivo, abordado", "La Guardia Costera lo persiguió por el Atlántico."),
    ),
    "fishermen and the weather": (
        ("id", "Nelayan Takut Melaut akibat Gelombang Tinggi", "BMKG mengeluarkan peringatan."),
        ("id", "Nelayan Trinidad Takut Melaut", "Perahu mereka bisa dikira milik penyelundup."),
    ),
    "a boat in flames": (
        ("en", "Boat strike injures swimmer", "A propeller cut his leg."),
        ("en", "Boat strikes kill four more", "The Pentagon released the video."),
    ),
    "another president": (
        ("en", "Ousted president Yoon back in court", "South Korea's ex-leader faces new charges."),
        ("en", "Captured president back in Manhattan court", "He denies narco-terrorism."),
    ),
    "a thriller": (
        ("en", "Review: a taut thriller of smugglers in the Caribbean", "Navy jets and one bad radio."),
        ("en", "Smugglers or fishermen? A Caribbean village buries its dead", "A missile left no witness."),
    ),
    "a game": (
        ("id", "Gim Perang Laut Ini Hadirkan Kapal Induk Gerald Ford", "Pemain memburu kapal narkoba."),
        ("id", "Kapal Induk Gerald Ford Dikirim Memburu Kapal Narkoba", "Trump yang memerintahkan."),
    ),
    "a hospital ship": (
        ("id", "Kapal AL AS Obati Ribuan Pasien di Grenada", "Dokter gigi ikut serta."),
        ("id", "Kapal AL AS Merapat di Grenada, Warga Cemas", "Marinir ikut serta."),
    ),
    "namesakes": (
        ("id", "Manny Machado Bawa Padres Menang", "Ia memukul dua home run."),
        ("id", "Machado Bawa Medali Nobel ke Gedung Putih", "Trump tetap memilih Delcy."),
    ),
    "ordinary arrests": (
        ("es", "Decomisan media tonelada de coca en una lancha", "Tres tripulantes fueron detenidos."),
        ("es", "Media tonelada de explosivo contra una lancha", "Tres tripulantes murieron por el misil."),
    ),
    "Mexico's cartels": (
        ("es", "Sheinbaum rechaza que EE.UU. ataque a los cárteles", "“No habrá intervención”, dijo."),
        ("es", "Sheinbaum y Lula rechazan el bombardeo a Caracas", "“No a la intervención”, dijeron."),
    ),
    "Russia's tankers": (
        ("id", "Prancis Cegat Tanker Armada Bayangan Rusia di Atlantik", "Kapten didakwa."),
        ("id", "AS Kejar Tanker Berbendera Rusia di Atlantik", "Penjaga pantai menaiki geladaknya."),
    ),
    "Essequibo and the fleet": (
        ("en", "Georgetown takes Essequibo claim back to court", "The president spoke of 1899."),
        ("en", "Georgetown backs US fleet", "The warships make Essequibo safer, its president said."),
    ),
    "another reward": (
        ("en", "US offers $5m reward for Haitian gang boss", "He was indicted in Washington."),
        ("en", "US doubles reward for president to $50m", "It calls him a trafficker."),
    ),
    "another exile": (
        ("es", "Bolsonaro pidió asilo en Hungría", "El expresidente durmió en la embajada."),
        ("es", "Doha o Minsk: el asilo que rechazó el presidente", "La amnistía era para toda la cúpula."),
    ),
    "hush money": (
        ("en", "Ex-president's lawyers plead immunity in New York", "The hush-money appeal was heard."),
        ("en", "Captive president's lawyers plead immunity in New York", "The couple were flown there."),
    ),
    "a rocket launch": (
        ("en", "Falcon 9 launch shuts Caribbean air space", "JetBlue flights took detours."),
        ("en", "Refuelling plane without beacon startles Caribbean pilots", "A JetBlue flight had to climb."),
    ),
    "a digest's headline": (
        ("id", "Kilas Balik: Gaza, Tarif Trump, Banjir, hingga Venezuela", "Deretan peristiwa besar."),
        ("id", "Setelah Venezuela, Siapa Berikutnya bagi Trump?", "Kuba dan Kolombia disebut."),
    ),
    "an anniversary": (
        ("en", "Grenada marks 42 years since invasion", "Veterans laid wreaths."),
        ("en", "Grenada marks time on American radar request", "Critics speak of invasion."),
    ),
    "the pope elsewhere": (
        ("en", "Pope in Lebanon pleads for dialogue", "War must never return, he said."),
        ("en", "Pope pleads for dialogue, not invasion", "The bishops there try to calm things."),
    ),
    "a ship's own life": (
        ("en", "USS Gerald Ford under repair after fire", "Sailors lost their bunks."),
        ("en", "USS Gerald Ford turns south", "Sailors were not told why."),
    ),
    "oil and its price": (
        ("es", "El crudo baja tras la reunión de la OPEP", "Los inventarios crecen."),
        ("es", "El crudo sube por el bloqueo naval", "Los petroleros dan la vuelta ante los guardacostas."),
    ),
}


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_is_not_tagged_and_its_twin_is(ruleset: Ruleset, name: str) -> None:
    trap, twin = TRAPS[name]
    assert not tags(ruleset, *trap)
    assert tags(ruleset, *twin)


@pytest.mark.parametrize(
    ("language", "title", "lead", "aspect"),
    [
        pytest.param(
            "en", "Senate blocks war powers resolution", "The vote was 49-51.", None, id="war powers"
        ),
        pytest.param("en", "Admiral quits over boat strikes", "He objected.", "strikes-at-sea", id="admiral"),
        pytest.param(
            "en",
            "Who ordered the second strike?",
            "Lawmakers saw the survivors die.",
            "strikes-at-sea",
            id="survivors",
        ),
        pytest.param(
            "en",
            "Flights suspended as regulator cites military activity",
            "",
            "air-space-closure",
            id="flights",
        ),
        pytest.param(
            "en",
            "Captured president's next hearing set",
            "A judge chose March.",
            "regime-change",
            id="court date",
        ),
        pytest.param("en", "The Donroe doctrine, explained", "", None, id="opinion"),
        pytest.param(
            "en",
            "Fentanyl doesn't come by speedboat",
            "What are the missiles for?",
            "drug-trafficking-pretext",
            id="the wrong drug",
        ),
        pytest.param(
            "en",
            "House votes down bid to make president ask before more attacks",
            "",
            "military-deployment",
            id="a vote",
        ),
        pytest.param(
            "en",
            "Sanctioned tanker flees with warships on its tail",
            "It was boarded in the Atlantic.",
            "sanctions",
            id="tanker",
        ),
        pytest.param(
            "id",
            "Kapal Induk Termahal di Dunia, untuk Melawan Perahu Kayu",
            "",
            "military-deployment",
            id="kapal induk",
        ),
        pytest.param(
            "id",
            "Enam Maskapai Kehilangan Izin karena Menolak Terbang",
            "Mereka patuh pada peringatan regulator Amerika.",
            "air-space-closure",
            id="maskapai",
        ),
        pytest.param(
            "id",
            "Menculik Kepala Negara Orang: Preseden yang Menakutkan",
            "Tak ada negara kecil yang aman dari helikopter di malam hari.",
            "regime-change",
            id="preseden",
        ),
        pytest.param(
            "es",
            "Dos náufragos y un misil: qué dirá el jefe del Pentágono",
            "",
            "strikes-at-sea",
            id="dos náufragos",
        ),
        pytest.param("id", "Senat Gagal Batasi Kewenangan Perang Trump", "", None, id="kewenangan perang"),
        pytest.param(
            "id", "Kapal Narkoba Dirudal, Dunia Bertanya soal Bukti", "", "strikes-at-sea", id="kapal narkoba"
        ),
        pytest.param(
            "es",
            "Matar náufragos: ¿crimen de guerra?",
            "El segundo ataque, ante el Congreso.",
            "strikes-at-sea",
            id="náufragos",
        ),
        pytest.param(
            "es", "El presidente capturado, ante el juez de Nueva York", "", "regime-change", id="capturado"
        ),
        pytest.param(
            "pt",
            "Execuções extrajudiciais no mar, diz ONU",
            "EUA atacaram barcos.",
            "drug-trafficking-pretext",
            id="execuções",
        ),
        pytest.param("fr", "Frappes contre des bateaux : l'ONU s'alarme", "", "strikes-at-sea", id="frappes"),
        pytest.param(
            "nl", "Tweede aanval op drugsboot onder vuur in Congres", "", "strikes-at-sea", id="drugsboot"
        ),
        pytest.param(
            "id",
            "Kalau Memburu Kokain, Kenapa Kapal Induk?",
            "",
            "military-deployment",
            id="a carrier for cocaine",
        ),
        pytest.param(
            "es",
            "Abuelas en el cuartel aprenden a disparar",
            "“Si llegan los marines, aquí estamos”.",
            "military-deployment",
            id="citizens in arms",
        ),
        pytest.param(
            "en",
            "London stops sharing intelligence on boats",
            "Its lawyers fear complicity in the killings.",
            "strikes-at-sea",
            id="what allies withhold",
        ),
        pytest.param(
            "en",
            "Coffins without names",
            "A mother watched every clip the Pentagon posted.",
            "strikes-at-sea",
            id="coffins",
        ),
        pytest.param(
            "es",
            "Fentanilo, arma de destrucción masiva",
            "El decreto amplía la guerra contra las lanchas.",
            "drug-trafficking-pretext",
            id="a weapon of mass destruction",
        ),
        pytest.param(
            "en",
            "China demands release of seized president and wife",
            "",
            "diplomacy-alliances",
            id="release",
        ),
        pytest.param(
            "id",
            "Qatar Tawarkan Suaka, Sang Presiden Menolak",
            "Amnesti bagi para jenderal juga dibahas.",
            "diplomacy-alliances",
            id="a way out",
        ),
        pytest.param(
            "en",
            "President tells oil bosses to rebuild a country he says he runs",
            "Proceeds of seized crude go to US-held accounts.",
            "sanctions",
            id="spoils",
        ),
        pytest.param(
            "es",
            "La Habana, sin crudo desde que Washington corta los envíos",
            "",
            "regional-reaction",
            id="what Cuba lost",
        ),
        pytest.param(
            "es",
            "Cuba entierra a los escoltas caídos en la incursión",
            "",
            "regime-change",
            id="escorts",
        ),
        pytest.param(
            "id",
            "Sayembara Termahal: Rp 800 Miliar untuk Kepala Seorang Presiden",
            "Jaksa Agung AS menuduhnya menyelundupkan kokain.",
            "regime-change",
            id="a price on a head",
        ),
        pytest.param(
            "es",
            "¿Y si mañana te toca?",
            "Un presidente encapuchado, un imperio y un continente callado.",
            "regime-change",
            id="an essay",
        ),
    ],
)
def test_what_names_neither_place_nor_country(
    ruleset: Ruleset, language: str, title: str, lead: str, aspect: str | None
) -> None:
    assert aspect in tags(ruleset, language, title, lead)


def test_one_entry_of_a_digest_is_a_passing_mention(ruleset: Ruleset) -> None:
    others = [f"Story {number}: ministers argued about the budget all day." for number in range(8)]
    mention = "US warships off Venezuela struck another drug boat, and Maduro called up his militia."
    digest = "\n".join([*others[:5], mention, *others[5:]])

    assert not tags(ruleset, "en", "Ten things to know", others[0], digest)
    assert tags(ruleset, "en", "US warships off Venezuela", mention, digest)


def test_the_small_pack_is_matched_beside_the_large_one(ruleset: Ruleset) -> None:
    entry = EntryText("Ekspor bijih nikel dari Morowali naik", "", "Smelter baru menambang.", (), "id")
    assert {(tag.topic, tag.aspect) for tag in ruleset.match(entry)[0]} == {
        ("indonesia-nickel", None),
        ("indonesia-nickel", "trade"),
    }
    assert not ruleset.match(EntryText("Koin nikel kuno laku mahal", "", "", (), "id"))[0]


# ----------------------------------------------------------------------------------- quality floors


@pytest.mark.skipif(not ITEMS.exists(), reason="the labelled set is not on this machine")
def test_quality_on_the_labelled_set(ruleset: Ruleset) -> None:
    items = [json.loads(line) for line in ITEMS.read_text(encoding="utf-8").splitlines()]

    quality = evaluate(ruleset, TOPIC, items)

    assert quality.total.precision >= 0.96
    assert quality.total.recall >= 0.96
    assert quality.total.f1 >= 0.97
    sides = quality.aspects.values()
    right = sum(side.true_positives for side in sides)
    wrong = sum(side.false_positives + side.false_negatives for side in sides)
    assert 2 * right / (2 * right + wrong) >= 0.67


@pytest.mark.skipif(not ITEMS.exists(), reason="the labelled set is not on this machine")
def test_quality_where_no_language_is_known(ruleset: Ruleset) -> None:
    items: list[dict[str, Any]] = [
        json.loads(line) for line in ITEMS.read_text(encoding="utf-8").splitlines()
    ]

    quality = evaluate(ruleset, TOPIC, [{**item, "lang": None} for item in items])

    assert quality.total.f1 >= 0.96


@pytest.mark.skipif(not ARTICLE.exists(), reason="the article is not on this machine")
def test_the_article_that_began_it(ruleset: Ruleset) -> None:
    title, _, text = ARTICLE.read_text(encoding="utf-8").partition("\n")

    found, evidence = ruleset.match(EntryText(title, "", text.strip(), (), "id"))

    # The fleet and the strikes stand in it as well, as background.
    assert {tag.aspect for tag in found} == {None, "arms-transfer", "diplomacy-alliances"}
    assert max(tag.score for tag in found) == 100
    for match in evidence:
        field = {"title": title, "text": text.strip()}[match.field]
        assert field[match.start : match.end].strip() != ""
