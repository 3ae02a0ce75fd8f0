"""The only memory: one SQLite file, written in one transaction per group of polls.

Users read it with any SQLite tool while the daemon runs (WAL); `docs/store.md` tells them how.
"""

import sqlite3
from datetime import timedelta
from pathlib import Path

from aggregator.errors import StoreError
from aggregator.store.asking import Asking
from aggregator.store.database import BUSY_TIMEOUT, OLDEST_SQLITE, is_outdated, is_store
from aggregator.store.entries import ARCHIVE_PAGE
from aggregator.store.feeds import Feeds, Quiet, SubscriptionChanges
from aggregator.store.links import Cluster, Linkable, Linking, Links, Member, Prints
from aggregator.store.polls import Polls
from aggregator.store.push import Push
from aggregator.store.query import read as read_query
from aggregator.store.recording import Recorded, Records
from aggregator.store.stories import Stories
from aggregator.store.trends import Share, Trends

__all__ = [
    "ARCHIVE_PAGE", "Cluster", "Linkable", "Links", "Member", "Prints", "Quiet", "Recorded", "Share", "Store",
    "SubscriptionChanges", "is_outdated", "is_store", "open_store", "read_query",
]  # fmt: skip


class Store(Feeds, Polls, Records, Stories, Linking, Push, Trends, Asking):
    """All reads and writes. Safe to use from several threads; close it when done.

    Any method may raise `StoreError`, and `StoreBusyError` when another program holds the file.
    """


def open_store(path: str | Path, *, busy_timeout: timedelta = BUSY_TIMEOUT) -> "Store":
    """Open the database, making or migrating it where needed.

    Args:
        path: the SQLite file; its folder is made where it is missing.
        busy_timeout: how long to wait for another program's lock.

    Raises:
        StoreError: the file cannot be opened, is no database of ours, or is of a newer version.
        StoreBusyError: another program holds it for longer than `busy_timeout`.
    """
    path = str(path).removeprefix("sqlite:///")
    if "://" in path:
        raise StoreError(f"{path}: only SQLite is supported; give the path of a file")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise StoreError(
            f"this Python was built with SQLite {sqlite3.sqlite_version}; "
            f"{'.'.join(map(str, OLDEST_SQLITE))} or newer is needed"
        )
    return Store(Path(path), busy_timeout)
