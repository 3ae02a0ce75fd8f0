"""What it costs to find an entry's article and story, with so many articles in the window already.

    python -m benchmarks.duplicates [--sizes 10000,100000,1000000] [--arriving 500]

For each size a store is filled with entries that all lie in the window: the texts of a pool of generated ones, each
used many times under other dates. What finds copies is made different for each of them; what finds stories is left
as it is, so that names and concepts are held by as many entries as in a window of that size. Then entries arrive in
documents of ten, one in ten of them a copy of one that is there, and take the way of every entry (`Store.record`).
Prints CPU time an entry for linking and in all, the index's size, the memory it took, and how long a restart takes.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import batched, count
from pathlib import Path
from typing import Any

from aggregator import duplicates, link, places, poll
from aggregator.duplicates import articles, furniture
from aggregator.duplicates import stories as story
from aggregator.model import Claim, Entry, EntryData, New, PollOutcome, PollResult, Subscription
from aggregator.store import Links, Store, open_store
from aggregator.store.rows import stamp
from benchmarks.feeds import Plan, generated_entry

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
