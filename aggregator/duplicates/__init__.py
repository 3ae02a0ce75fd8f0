"""What is the same? Entries of one feed (`identity`), one text in several feeds (`articles`), one event in several
articles (`stories`), and whom an entry says it took its text from (`attribution`).
"""

from aggregator.duplicates.attribution import attributions
from aggregator.duplicates.identity import Keyed, Verdict, decide, identify

__all__ = ["Keyed", "Verdict", "attributions", "decide", "identify"]
