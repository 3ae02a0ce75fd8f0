"""What is the same? Entries of one feed (`identity`), one text in several feeds (`articles`), one event in several
articles (`stories`), and whom an entry says it took its text from (`attribution`).
"""

from aggregator.duplicates.attribution import attributions, outlet_of
from aggregator.duplicates.furniture import own_text
from aggregator.duplicates.identity import Keyed, decide, identify

__all__ = ["Keyed", "attributions", "decide", "identify", "outlet_of", "own_text"]
