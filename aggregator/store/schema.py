"""The schema, as migrations that are only ever appended to.

Each runs once, in one transaction with the record of it, by `sqlite_utils.migrations`.
`docs/store.md` describes every table and column for those who query them.
"""

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

VERSION = 3
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

_TABLES_2 = """
-- What is the same: articles and stories.
ALTER TABLE entries ADD COLUMN significant_at TEXT;
UPDATE entries SET significant_at = min(first_seen_at, max(
    coalesce(updated_at, published_at, first_seen_at), coalesce(published_at, updated_at, first_seen_at)));
CREATE INDEX entries_by_story ON entries (story_id) WHERE story_id IS NOT NULL;

ALTER TABLE articles ADD COLUMN uid TEXT;
ALTER TABLE articles ADD COLUMN story_id INTEGER;
UPDATE articles SET uid = (SELECT uid FROM entries WHERE entries.id = canonical_entry_id);
CREATE INDEX articles_by_story ON articles (story_id) WHERE story_id IS NOT NULL;

-- Topics are few among many entries: their lists are read from here, not by looking through all entries.
ALTER TABLE entry_tags ADD COLUMN listed_at TEXT;
UPDATE entry_tags SET listed_at = (SELECT listed_at FROM entries WHERE entries.id = entry_id);
DROP INDEX entry_tags_by_topic;
CREATE INDEX entry_tags_by_topic ON entry_tags (topic, aspect, listed_at, entry_id);

CREATE TABLE stories (
    id INTEGER PRIMARY KEY,
    title TEXT NOT NULL,
    article_count INTEGER NOT NULL,
    feed_count INTEGER NOT NULL,
    first_seen_at TEXT NOT NULL,
    last_seen_at TEXT NOT NULL
) STRICT;
CREATE INDEX stories_by_time ON stories (last_seen_at, id);

-- Why entries belong together; a is the smaller of the two ids.
CREATE TABLE edges (
    a INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    b INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('article', 'story')),
    method TEXT NOT NULL,
    score REAL NOT NULL,
    PRIMARY KEY (a, b, level),
    CHECK (a < b)
) STRICT, WITHOUT ROWID;
CREATE INDEX edges_by_b ON edges (b);

-- What a person said of two entries: that they belong together, or do not.
CREATE TABLE corrections (
    a INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    b INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    level TEXT NOT NULL CHECK (level IN ('article', 'story')),
    together INTEGER NOT NULL CHECK (together IN (0, 1)),
    at TEXT NOT NULL,
    PRIMARY KEY (a, b, level),
    CHECK (a < b)
) STRICT, WITHOUT ROWID;
CREATE INDEX corrections_by_b ON corrections (b);

-- By what entries are compared, and the index that finds with whom; kept while they are in the window.
CREATE TABLE fingerprints (
    entry_id INTEGER PRIMARY KEY REFERENCES entries (id) ON DELETE CASCADE,
    at TEXT NOT NULL,
    article BLOB NOT NULL,
    story BLOB NOT NULL
) STRICT;
CREATE INDEX fingerprints_by_time ON fingerprints (at);
CREATE TABLE article_keys (
    key INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    PRIMARY KEY (key, entry_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE story_keys (
    key INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    PRIMARY KEY (key, entry_id)
) STRICT, WITHOUT ROWID;

-- Paragraphs at the ends of entries: those that many entries of a feed hold are its furniture.
CREATE TABLE paragraphs (
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    key INTEGER NOT NULL,
    title_key INTEGER NOT NULL,
    entry_id INTEGER NOT NULL,
    PRIMARY KEY (feed_id, key, title_key, entry_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE entry_countries (
    entry_id INTEGER NOT NULL REFERENCES entries (id) ON DELETE CASCADE,
    country TEXT NOT NULL,
    PRIMARY KEY (entry_id, country)
) STRICT;
CREATE INDEX entry_countries_by_country ON entry_countries (country, entry_id);

-- WebSub: the hub that a feed names, and what it is called there.
ALTER TABLE feeds ADD COLUMN hub_url TEXT;
ALTER TABLE feeds ADD COLUMN topic_url TEXT;

-- Who is sent our own feeds, and which other hubs are told of them (these without a lease). Each row is an
-- outbox with room for one document: it waits there while `delivered` is not the ETag of the newest one.
CREATE TABLE hub_subscribers (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    callback TEXT NOT NULL,
    host TEXT NOT NULL,
    secret TEXT,
    since TEXT NOT NULL,
    leased_until TEXT,
    delivered TEXT,
    delivered_at TEXT,
    due_at TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    UNIQUE (topic, callback)
) STRICT;
CREATE INDEX hub_subscribers_by_host ON hub_subscribers (host);

-- Our own subscriptions at the hubs of feeds we follow.
CREATE TABLE hub_subscriptions (
    feed_id INTEGER PRIMARY KEY REFERENCES feeds (id),
    hub TEXT NOT NULL,
    topic TEXT NOT NULL,
    callback TEXT NOT NULL UNIQUE,
    secret TEXT NOT NULL,
    due_at TEXT NOT NULL,
    leased_until TEXT,
    failures INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    pushed_at TEXT,
    trusted INTEGER NOT NULL DEFAULT 0 CHECK (trusted IN (0, 1))
) STRICT;

-- Days of which entries were listed: with how many changes since they were counted, and whether entries of them
-- have been removed; such a day keeps its counts.
CREATE TABLE counted_days (
    day TEXT PRIMARY KEY,
    changes INTEGER NOT NULL,
    sealed INTEGER NOT NULL DEFAULT 0 CHECK (sealed IN (0, 1))
) STRICT, WITHOUT ROWID;
INSERT INTO counted_days (day, changes) SELECT DISTINCT substr(listed_at, 1, 10), 1 FROM entries;
CREATE TRIGGER counted_entry AFTER INSERT ON entries BEGIN
    INSERT INTO counted_days (day, changes) VALUES (substr(NEW.listed_at, 1, 10), 1)
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
END;
-- An article is counted once: what joins or leaves it may move it from one of its days to another.
CREATE TRIGGER counted_change AFTER UPDATE OF article_id, story_id, language ON entries
    WHEN NEW.article_id != OLD.article_id OR NEW.story_id IS NOT OLD.story_id OR NEW.language IS NOT OLD.language
BEGIN
    INSERT INTO counted_days (day, changes)
    SELECT substr(listed_at, 1, 10), 1 FROM entries WHERE article_id IN (NEW.article_id, OLD.article_id)
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
END;
CREATE TRIGGER counted_removal AFTER DELETE ON entries BEGIN
    INSERT INTO counted_days (day, changes, sealed) VALUES (substr(OLD.listed_at, 1, 10), 0, 1)
    ON CONFLICT (day) DO UPDATE SET sealed = 1;
END;
CREATE TRIGGER counted_tag AFTER INSERT ON entry_tags BEGIN
    INSERT INTO counted_days (day, changes)
    SELECT substr(listed_at, 1, 10), 1 FROM entries WHERE id = NEW.entry_id
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
END;
CREATE TRIGGER counted_untagging AFTER DELETE ON entry_tags BEGIN
    INSERT INTO counted_days (day, changes)
    SELECT substr(listed_at, 1, 10), 1 FROM entries WHERE id = OLD.entry_id
    ON CONFLICT (day) DO UPDATE SET changes = changes + 1;
END;

-- What each feed told each day; in these tables the language 'all' is all of them together, 'und' an unknown one.
CREATE TABLE feed_daily (
    day TEXT NOT NULL,
    language TEXT NOT NULL,
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    articles INTEGER NOT NULL,
    stories INTEGER NOT NULL,
    PRIMARY KEY (day, language, feed_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX feed_daily_by_feed ON feed_daily (feed_id, language, day);

CREATE TABLE topic_feed_daily (
    topic TEXT NOT NULL,
    day TEXT NOT NULL,
    language TEXT NOT NULL,
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    entries INTEGER NOT NULL,
    articles INTEGER NOT NULL,
    threats INTEGER NOT NULL,
    acts INTEGER NOT NULL,
    stories INTEGER NOT NULL,
    PRIMARY KEY (topic, day, language, feed_id)
) STRICT, WITHOUT ROWID;

-- The trend indices: the days whose mean is 100, what each feed brings, and the result.
CREATE TABLE topic_baselines (
    topic TEXT NOT NULL,
    language TEXT NOT NULL,
    measure TEXT NOT NULL CHECK (measure IN ('articles', 'threats', 'acts', 'stories')),
    first_day TEXT NOT NULL,
    last_day TEXT NOT NULL,
    configured INTEGER NOT NULL CHECK (configured IN (0, 1)),
    PRIMARY KEY (topic, language, measure)
) STRICT, WITHOUT ROWID;

CREATE TABLE topic_weights (
    topic TEXT NOT NULL,
    language TEXT NOT NULL,
    measure TEXT NOT NULL CHECK (measure IN ('articles', 'threats', 'acts', 'stories')),
    feed_id INTEGER NOT NULL REFERENCES feeds (id),
    since TEXT NOT NULL,
    share REAL NOT NULL,
    PRIMARY KEY (topic, language, measure, feed_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE topic_daily (
    topic TEXT NOT NULL,
    day TEXT NOT NULL,
    language TEXT NOT NULL,
    entries INTEGER NOT NULL,
    articles INTEGER NOT NULL,
    total_articles INTEGER NOT NULL,
    threats INTEGER NOT NULL,
    acts INTEGER NOT NULL,
    stories INTEGER NOT NULL,
    total_stories INTEGER NOT NULL,
    observed INTEGER,
    expected REAL,
    index_value REAL,
    threats_value REAL,
    acts_value REAL,
    stories_value REAL,
    score REAL,
    PRIMARY KEY (topic, language, day)
) STRICT, WITHOUT ROWID;

-- Remote lists of feeds: what each named when it was last read.
CREATE TABLE lists (
    url TEXT PRIMARY KEY,
    etag TEXT,
    last_modified TEXT,
    validators_url TEXT,
    checked_at TEXT,
    read_at TEXT,
    error TEXT,
    feeds TEXT NOT NULL DEFAULT '[]'
) STRICT;

-- The full-text index anew, with one of beginnings, and the words that stand in it.
DROP TABLE entries_fts;
CREATE VIRTUAL TABLE entries_fts USING FTS5 (
    title, text, tokenize='unicode61 remove_diacritics 2', prefix='3', content="entries"
);
-- A larger buffer than the default of 1 MiB makes fewer, larger segments to merge later.
INSERT INTO entries_fts (entries_fts, rank) VALUES ('hashsize', 8388608);
INSERT INTO entries_fts (entries_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE entries_fts_words USING fts5vocab (entries_fts, row);

-- How many entries of each feed are stored: to count a million anew for every look takes too long.
ALTER TABLE feeds ADD COLUMN entries INTEGER NOT NULL DEFAULT 0;
UPDATE feeds SET entries = (SELECT count(*) FROM entries WHERE feed_id = feeds.id);
CREATE TRIGGER entry_of_feed AFTER INSERT ON entries BEGIN
    UPDATE feeds SET entries = entries + 1 WHERE id = NEW.feed_id;
END;
CREATE TRIGGER no_entry_of_feed AFTER DELETE ON entries BEGIN
    UPDATE feeds SET entries = entries - 1 WHERE id = OLD.feed_id;
END;
"""

_TABLES_3 = """
-- Who has asked to be left alone for a while (Retry-After): `#` and a feed's id, a host with its port, or `*.` and a
-- domain with all its hosts.
CREATE TABLE holds (
    whom TEXT PRIMARY KEY,
    since TEXT NOT NULL,
    until TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What polls learn of a feed besides: whether it was found behind a page, how long its answers stay fresh, how long it
-- has failed since its newest entry came, and which older page is still to be read.
ALTER TABLE feeds ADD COLUMN discovered INTEGER NOT NULL DEFAULT 0 CHECK (discovered IN (0, 1));
UPDATE feeds SET discovered = url != subscription_url;
ALTER TABLE feeds ADD COLUMN fresh_seconds REAL;
ALTER TABLE feeds ADD COLUMN outage_seconds REAL NOT NULL DEFAULT 0;
ALTER TABLE feeds ADD COLUMN gap_url TEXT;
ALTER TABLE feeds ADD COLUMN gap_since TEXT;

-- When its publisher took an entry back; its `hash` is then empty.
ALTER TABLE entries ADD COLUMN withdrawn_at TEXT;

-- The full-text index anew, with one more of beginnings: any other is then a few of those (`store.query`). It takes a
-- tenth of the file. `entries_fts_places` gives the next word without counting its places first, as the other must.
DROP TABLE entries_fts_words;
DROP TABLE entries_fts;
CREATE VIRTUAL TABLE entries_fts USING FTS5 (
    title, text, tokenize='unicode61 remove_diacritics 2', prefix='3 5', content="entries"
);
INSERT INTO entries_fts (entries_fts, rank) VALUES ('hashsize', 8388608);
INSERT INTO entries_fts (entries_fts) VALUES ('rebuild');
CREATE VIRTUAL TABLE entries_fts_words USING fts5vocab (entries_fts, row);
CREATE VIRTUAL TABLE entries_fts_places USING fts5vocab (entries_fts, instance);
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

    @steps()
    def m002_articles_and_stories(db: "Database") -> None:
        _script(db.conn, _TABLES_2)

    @steps()
    def m003_more_beginnings(db: "Database") -> None:
        _script(db.conn, _TABLES_3)

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
