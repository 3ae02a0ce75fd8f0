"""What is the same? Entries of one feed (`identity`), one text in several feeds (`articles`), one event in several
articles (`stories`), and whom an entry says it took its text from (`attribution`).
"""

from aggregator.duplicates.articles import (
    Fingerprint,
    Likeness,
    Member,
    fingerprint,
    original,
    partition,
    same,
    title_key,
)
from aggregator.duplicates.attribution import attributions, outlet_of
from aggregator.duplicates.furniture import FURNITURE_FROM, own_text, paragraph_keys
from aggregator.duplicates.identity import Keyed, Verdict, decide, identify
from aggregator.duplicates.stories import (
    WINDOW as STORY_WINDOW,
)
from aggregator.duplicates.stories import (
    Candidate,
    Choice,
    Signature,
    Titled,
    choose,
    signature,
    similarity,
    story_title,
)

__all__ = [
    "FURNITURE_FROM",
    "STORY_WINDOW",
    "Candidate",
    "Choice",
    "Fingerprint",
    "Keyed",
    "Likeness",
    "Member",
    "Signature",
    "Titled",
    "Verdict",
    "attributions",
    "choose",
    "decide",
    "fingerprint",
    "identify",
    "original",
    "outlet_of",
    "own_text",
    "paragraph_keys",
    "partition",
    "same",
    "signature",
    "similarity",
    "story_title",
    "title_key",
]
