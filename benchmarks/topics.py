"""What topic rules cost: matching with evidence in MB/s, by the number of terms and of topics; and compiling.

    python -m benchmarks.topics [--megabytes N]

The texts are made of words whose frequencies are those of news (Zipf), entries of 3 kB with a title. One word
in 500 belongs to a topic, about as often as in a mixed list of news feeds. All figures are CPU time.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random

from aggregator.config import pack_document, pack_names
from aggregator.model import Document, EntryText
from aggregator.topics import Ruleset, compile_topics

ENTRY = 3000  # characters
WORDS = 30_000
TERMS_PER_CONCEPT = 25
CONCEPTS_PER_TOPIC = 4
HIT_RATE = 1 / 500
LETTERS = "eeeaaaiiinnnrrttssoolldumkgpb"


def words(random: Random, count: int) -> list[str]:
    """Distinct made-up words, of the letters and about the length that news words have."""
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(random.choices(LETTERS, k=random.randint(3, 11)))] = None
    return list(found)


def pack(number: int, terms: Sequence[str]) -> Document:
    """A topic with these terms: concepts of 25, and rules that need two of them in one sentence."""
    size = max(1, min(TERMS_PER_CONCEPT, len(terms)))
    names = [f"c{start}" for start in range(0, len(terms), size)]
    concepts = {name: list(terms[int(name[1:]) :][:size]) for name in names}
    pairs = zip(names, [*names[1:], names[0]], strict=True)
    rules = {f"{a}-{b}": {"all": [a, b], "within": "sentence", "weight": 50} for a, b in pairs}
    data = {"slug": f"t{number}", "title": "T", "description": "D", "concepts": concepts, "rules": rules}
    return Document(f"t{number}.yaml", data)


def topics(terms: Sequence[str]) -> list[Document]:
    """As many topics as these terms make."""
    size = TERMS_PER_CONCEPT * CONCEPTS_PER_TOPIC
    return [pack(start, terms[start : start + size]) for start in range(0, len(terms), size)]


def entries(random: Random, vocabulary: Sequence[str], terms: Sequence[str], size: int) -> list[EntryText]:
    """Entries of news-like text, `size` characters of them."""
    weights = list(accumulate(1 / rank for rank in range(1, len(vocabulary) + 1)))
    made = []
    for _ in range(size // ENTRY):
        text = random.choices(vocabulary, cum_weights=weights, k=ENTRY // 6)
        for place in range(len(text)):
            if random.random() < HIT_RATE:
                text[place] = random.choice(terms)
            if place % 17 == 16:
                text[place] += "."
        made.append(EntryText(" ".join(text[:9]).capitalize(), "", " ".join(text[9:])))
    return made


def seconds(work: Callable[[], object], times: int = 3) -> float:
    """CPU seconds of the fastest of a few runs."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def report(name: str, ruleset: Ruleset, texts: Sequence[EntryText]) -> None:
    """Print one line: MB/s, microseconds an entry, and how many entries were tagged."""
    tagged = sum(bool(ruleset.match(text)[0]) for text in texts)
    spent = seconds(lambda: [ruleset.match(text) for text in texts])
    size = sum(len(text.title) + len(text.text) for text in texts)
    print(f"{name:34}{size / spent / 1e6:7.1f} MB/s{spent / len(texts) * 1e6:8.0f} µs/entry{tagged:6} tagged")


def main() -> None:
    """Run all measurements."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=float, default=3.0, help="size of the text to match")
    size = int(parser.parse_args().megabytes * 1e6)
    random = Random(1)
    made = words(random, WORDS + 10_000)
    vocabulary, terms = made[:WORDS], made[WORDS:]

    for count in (10, 1_000, 10_000):
        ruleset = compile_topics(topics(terms[:count]))
        texts = entries(random, vocabulary, terms[:count], size)
        report(f"{count:6} terms, {len(ruleset.topics)} topics", ruleset, texts)
    texts = entries(random, vocabulary, terms[:100], size)  # all of them about the first topic
    for count in (1, 10, 100):
        ruleset = compile_topics(topics(terms[: 100 * count]))
        report(f"{count:6} topics, texts about one", ruleset, texts)
    accents = [
        EntryText(text.title, "", text.text.replace("ta", "tá").replace(". ", ".” ")) for text in texts
    ]
    report("       the same, with accents", ruleset, accents)

    for name in pack_names():
        document = pack_document(name)
        print(f"{name:34}{seconds(lambda: compile_topics([document])) * 1000:7.1f} ms to compile")  # noqa: B023 – called at once


if __name__ == "__main__":
    main()
