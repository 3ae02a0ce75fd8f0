"""The only memory: one SQLite file, written in one transaction per group of polls.

Users read it with any SQLite tool while the daemon runs (WAL); `docs/store.md` tells them how.
"""

from aggregator.store.sqlite import Quiet, Recorded, Store, SubscriptionChanges, open_store

__all__ = ["Quiet", "Recorded", "Store", "SubscriptionChanges", "open_store"]
