"""Topics: what an entry is about, by rules that an editor wrote, and the evidence for it.

The rule language is described in docs/topics.md; the packs that ship with the program stand in `packs/`.
"""

from aggregator.topics.engine import Aspect, Explanation, Rule, Ruleset, Topic
from aggregator.topics.quality import Figures, Miss, Quality, evaluate
from aggregator.topics.rules import compile_topics

__all__ = [
    "Aspect",
    "Explanation",
    "Figures",
    "Miss",
    "Quality",
    "Rule",
    "Ruleset",
    "Topic",
    "compile_topics",
    "evaluate",
]
