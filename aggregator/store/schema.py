"""The schema, as migrations that are only ever appended to.

Each runs once, in one transaction with the record of it, by `sqlite_utils.migrations`.
`docs/store.md` describes every table and column for those who query them.
"""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

VERSION = 1
"""How many migrations there are; kept in `PRAGMA user_version` so that opening a current file is cheap."""

_TABLES_1 = """
CREATE TABLE properties (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE feeds (
    id INTEGER PRIMARY KEY,
    url TEXT NOT NULL,
    title TEXT,
    site_url TEXT,
    language TEXT,
    status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'failing', 'gone', 'paused')),
    http_status INTEGER,
    last_error TEXT,
    failures REAL NOT NULL DEFAULT 0,
    failing_since TEXT,
    etag TEXT,
    last_modified TEXT,
    last_polled_at TEXT,
    last_success_at TEXT,
    last_changed_at TEXT,
    next_poll_at TEXT,
    interval_seconds REAL,
    -- what the operator wishes
    subscription_url TEXT NOT NULL UNIQUE,
    name TEXT,
    wished_language TEXT,
    tags TEXT NOT NULL DEFAULT '[]',
    every_seconds REAL,
    added_at TEXT NOT NULL,
    -- what polls learned
    own_title TEXT,
    description TEXT,
    icon_url TEXT,
    validators_url TEXT,
    body_hash BLOB,
    identity TEXT NOT NULL DEFAULT 'guid' CHECK (identity IN ('guid', 'link')),
    per_day REAL,
    profile TEXT,
    length INTEGER,
    fresh_until TEXT,
    hint_seconds REAL,
    skip_hours TEXT NOT NULL DEFAULT '[]',
    skip_days TEXT NOT NULL DEFAULT '[]',
    moved_to TEXT,
    moved_since TEXT,
    moved_times INTEGER NOT NULL DEFAULT 0,
    silent_since TEXT,
    -- who holds it
    host TEXT NOT NULL,
    fence INTEGER NOT NULL DEFAULT 0,
    claimed_at TEXT,
    leased_until TEXT
) STRICT;
CREATE INDEX feeds_due ON feeds (next_poll_at) WHERE status != 'paused';
CREATE INDEX feeds_by_host ON feeds (host, claimed_at);
CREATE INDEX feeds_leased ON feeds (leased_until, host) WHERE leased_until IS NOT NULL;

CREATE TABLE articles (
    id INTEGER PRIMARY KEY,
    canonical_entry_id INTEGER NOT NULL,
    entry_count INTEGER NOT NULL,
    feed_count INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL
) STRICT;

-- The wide columns come last: a row's first page then holds all that lists and joins need.
CREATE TABLE entries (
    id INTEGER PRIMARY KEY,
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    guid TEXT,
    url TEXT,
    title TEXT NOT NULL,
    author TEXT,
    language TEXT,
    published_at TEXT,
    updated_at TEXT,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    listed_at TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1,
    article_id INTEGER NOT NULL REFERENCES articles (id),
    story_id INTEGER,
    uid TEXT NOT NULL,
    key TEXT NOT NULL,
    url_key INTEGER,
    hash BLOB NOT NULL,
    categories TEXT NOT NULL DEFAULT '[]',
    enclosures TEXT NOT NULL DEFAULT '[]',
    source_title TEXT,
    source_url TEXT,
    original_url TEXT,
    summary TEXT NOT NULL,
    content TEXT NOT NULL,
    text TEXT NOT NULL,
    UNIQUE (feed_id, key)
) STRICT;
CREATE INDEX entries_by_url_key ON entries (url_key) WHERE url_key IS NOT NULL;
CREATE INDEX entries_by_article ON entries (article_id);
CREATE INDEX entries_by_listed ON entries (listed_at, id);
CREATE INDEX entries_by_feed ON entries (feed_id, listed_at);

CREATE TABLE entry_tags (
    entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    topic TEXT NOT NULL,
    aspect TEXT,
    score REAL NOT NULL
) STRICT;
CREATE INDEX entry_tags_by_entry ON entry_tags (entry_id);
CREATE INDEX entry_tags_by_topic ON entry_tags (topic, aspect, entry_id);

CREATE TABLE matches (
    entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    topic TEXT NOT NULL,
    rule TEXT NOT NULL,
    term TEXT NOT NULL,
    field TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL
) STRICT;
CREATE INDEX matches_by_entry ON matches (entry_id);

CREATE TABLE attributions (
    entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    url TEXT
) STRICT;
CREATE INDEX attributions_by_entry ON attributions (entry_id);

CREATE TABLE revisions (
    entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    revision INTEGER NOT NULL,
    seen_at TEXT NOT NULL,
    title TEXT NOT NULL,
    summary TEXT NOT NULL,
    content TEXT NOT NULL,
    PRIMARY KEY (entry_id, revision)
) STRICT;

CREATE TABLE polls (
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    started_at TEXT NOT NULL,
    seconds REAL NOT NULL,
    http_status INTEGER,
    result TEXT NOT NULL,
    entries_new INTEGER NOT NULL DEFAULT 0,
    entries_revised INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    failure TEXT
) STRICT;
CREATE INDEX polls_by_feed ON polls (feed_id, started_at);
CREATE INDEX polls_by_time ON polls (started_at);

-- The lines that the feeds' health has crossed; rows are only ever added.
CREATE TABLE feed_events (
    id INTEGER PRIMARY KEY,
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;

-- Entries that retention removed, so that none comes back as new.
CREATE TABLE tombstones (
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    key TEXT NOT NULL,
    removed_at TEXT NOT NULL,
    PRIMARY KEY (feed_id, key)
) STRICT, WITHOUT ROWID;

-- The rules by which all stored entries have been tagged.
CREATE TABLE topics (
    slug TEXT PRIMARY KEY,
    title TEXT NOT NULL,
    revision TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def migrations() -> "Migrations":
    """The ordered set of migrations. sqlite-utils is imported only where one is pending."""
    from sqlite_utils.migrations import Migrations

    steps = Migrations("aggregator")

    @steps()
    def m001_first_schema(db: "Database") -> None:
        _script(db.conn, _TABLES_1)
        db.table("entries").enable_fts(
            ["title", "text"], fts_version="FTS5", tokenize="unicode61 remove_diacritics 2"
        )
        # A larger buffer than the default of 1 MiB makes fewer, larger segments to merge later.
        db.execute("INSERT INTO entries_fts (entries_fts, rank) VALUES ('hashsize', 8388608)")

    return steps


def _script(connection: sqlite3.Connection, script: str) -> None:
    """Run statements one by one: `executescript` would commit the migration's transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""
    if statement.strip():
        connection.execute(statement)
