"""The file and its connections: one that writes, behind a lock, and as many that read as are in use at once.

Every write transaction begins IMMEDIATE: a deferred one that reads first can fail at its first
write, in WAL mode, with no wait at all.
"""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self, TypeVar

from aggregator.errors import StoreBusyError, StoreError
from aggregator.store import schema

T = TypeVar("T")

BUSY_TIMEOUT = timedelta(seconds=30)
"""How long a statement waits for another program's lock before it is a `StoreBusyError`."""

OLDEST_SQLITE = (3, 37)
"""STRICT tables came with it."""


class Database:
    """The file, and what every part of the store needs of it. Safe to use from several threads."""

    def __init__(self, path: Path, busy_timeout: timedelta) -> None:
        """Use `open_store`."""
        self.path = path
        self._timeout = busy_timeout.total_seconds()
        self._writing = threading.Lock()
        self._watching = threading.Lock()
        self._pooling = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        with self._errors():
            _make_private(path)
            self._writer = self._connect()
            try:
                self._prepare()
                self._watcher = self._connect(reader=True)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Close every connection; one that is being read from, as soon as that is done.

        Whatever is called afterwards raises StoreError.
        """
        with self._writing, self._watching, self._pooling, self._errors():
            self._closed = True
            for connection in (*self._idle, self._watcher, self._writer):
                connection.close()
            self._idle.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _connect(self, *, reader: bool = False) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA trusted_schema = OFF")
            if reader:
                connection.execute("PRAGMA query_only = ON")
            else:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("PRAGMA foreign_keys = ON")
                connection.execute("PRAGMA cache_size = -4000")
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self) -> None:
        """See that the file is ours, keeps a write-ahead log and has the present schema."""
        version, objects, ours = self._writer.execute(
            """SELECT (SELECT user_version FROM pragma_user_version), count(*),
                      count(*) FILTER (WHERE name = 'entries_fts') FROM sqlite_schema"""
        ).fetchone()
        if objects and not ours:
            raise StoreError(
                f"{self.path} is a database of another program; give the path of a file of its own"
            )
        if version > schema.VERSION:
            raise StoreError(
                f"{self.path} was written by a newer version of aggregator (schema {version}, this one knows "
                f"{schema.VERSION}): upgrade aggregator, or use another database"
            )
        self._keep_log()
        if version == schema.VERSION:
            return
        from sqlite_utils import Database

        self._writer.row_factory = None  # sqlite-utils expects tuples
        self._writer.execute("BEGIN IMMEDIATE")  # two programs may open a new file at once
        try:
            schema.migrations().apply(Database(self._writer))
            self._writer.execute(f"PRAGMA user_version = {schema.VERSION:d}")
            self._writer.execute("COMMIT")
        except BaseException:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        self._writer.row_factory = sqlite3.Row

    def _keep_log(self) -> None:
        """Turn the write-ahead log on. SQLite itself does not wait where two programs do so at once."""
        end = time.monotonic() + self._timeout
        while True:
            try:
                self._writer.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                    raise
                time.sleep(0.01)
            else:
                return

    @contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        """A reading connection that nobody else has meanwhile. Threads come and go; connections are kept."""
        with self._errors():
            with self._pooling:
                self._check_open()
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect(reader=True)
            try:
                yield connection
            finally:
                with self._pooling:
                    if self._closed:
                        connection.close()
                    else:
                        self._idle.append(connection)

    @contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._writing, self._errors():
            self._check_open()
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path}: the store has been closed")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        # Programming and integrity errors are bugs of ours and stay what they are.
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error) or "busy" in str(error):
                raise StoreBusyError(
                    f"{self.path} has been locked by another program for {self._timeout:g} s"
                ) from error
            raise StoreError(f"{self.path}: {error}") from error
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):  # faults of ours
            raise
        except sqlite3.DatabaseError as error:
            raise StoreError(f"{self.path}: {error}") from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}") from error

    def version(self) -> int:
        """A number that grows whenever what we publish may have changed, whichever program changed it."""
        with self._watching, self._errors():
            self._check_open()
            row = self._watcher.execute("SELECT value FROM properties WHERE name = 'contents'").fetchone()
            return 0 if row is None else int(row[0])

    def property(self, name: str, make: Callable[[], str]) -> str:
        """A named value that is made once and then stays."""
        with self._read() as db:
            row = db.execute("SELECT value FROM properties WHERE name = ?", (name,)).fetchone()
        if row is None:
            with self._write() as db:
                db.execute("INSERT OR IGNORE INTO properties VALUES (?, ?)", (name, make()))
                row = db.execute("SELECT value FROM properties WHERE name = ?", (name,)).fetchone()
        value: str = row[0]
        return value

    def set_property(self, name: str, value: str) -> None:
        """Give a named value."""
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO properties VALUES (?, ?)", (name, value))

    def backup(self, target: Path) -> None:
        """Write a consistent copy while others read and write, and check it.

        Raises:
            StoreError: it cannot be written, or the copy is not sound.
        """
        with self._errors():
            _make_private(target)
            copy = sqlite3.connect(target)
            try:
                # In one step: page by page, it would begin again whenever something was written meanwhile.
                with self._read() as db:
                    db.backup(copy)
                verdict = copy.execute("PRAGMA integrity_check").fetchone()[0]
            finally:
                copy.close()
        if verdict != "ok":
            raise StoreError(f"{target}: the copy is not sound: {verdict}")

    def query(
        self, statement: str, values: Mapping[str, Any] | None = None
    ) -> Generator[dict[str, Any], None, None]:
        """Rows of a read-only statement of our own making, as dicts, one by one (for exports).

        They are of one moment, whatever is written meanwhile: the log grows until all are read, or it is closed.
        """
        with self._read() as db, closing(db.execute(statement, dict(values or {}))) as cursor:
            for row in cursor:
                yield dict(row)

    def columns(self, statement: str) -> tuple[str, ...]:
        """What a read-only statement of our own making gives, even where it finds nothing."""
        with self._read() as db:
            found = db.execute(f"SELECT * FROM ({statement}) LIMIT 0")
            return tuple(column[0] for column in found.description)

    def column_types(self) -> dict[str, str]:
        """What columns of each name hold: `INTEGER`, `REAL`, `TEXT` or `BLOB`; a name means one thing everywhere."""
        with self._read() as db:
            found = db.execute(
                """SELECT c.name, c.type FROM pragma_table_list t JOIN pragma_table_info(t.name) c
                    WHERE t.schema = 'main' AND t.strict"""
            )
            return {row[0]: row[1] for row in found}


def touch(db: sqlite3.Connection) -> None:
    """Note that what we publish may have changed."""
    db.execute(
        """INSERT INTO properties VALUES ('contents', '1')
               ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"""
    )


@contextmanager
def limited(db: sqlite3.Connection, limit: timedelta) -> Iterator[None]:
    """Interrupt whatever runs on a connection for longer than `limit`."""
    deadline = time.monotonic() + limit.total_seconds()
    db.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        yield
    finally:
        db.set_progress_handler(None, 0)


@lru_cache(maxsize=8)
def insert_into(table: str, names: tuple[str, ...]) -> str:
    """An INSERT of named parameters."""
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(':' + name for name in names)})"


def update_of(
    table: str, columns: Iterable[str], where: str, given: Mapping[str, str] = MappingProxyType({})
) -> str:
    """An UPDATE of named parameters; `given` holds expressions for some of the columns instead."""
    sets = ", ".join(f"{name} = {given.get(name, ':' + name)}" for name in columns)
    return f"UPDATE {table} SET {sets} WHERE {where}"


def next_id(db: sqlite3.Connection, table: str) -> int:
    """The id of the next row, for those who must know it before they write."""
    highest: int = db.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0]
    return highest + 1


def chunks(values: Sequence[T], size: int = 500) -> Iterator[Sequence[T]]:
    """Parts small enough for SQLite's limit on variables."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


def is_store(path: Path) -> bool:
    """Whether a file is a database of ours, or an empty file; it is only looked at, and nothing beside it is made."""
    if not path.is_file():
        return False
    counts = "SELECT count(*), count(*) FILTER (WHERE name = 'entries_fts') FROM sqlite_schema"
    found = _looked_up(path, "mode=ro&immutable=1", counts)
    return found is not None and bool(found[1] or not found[0])


def is_outdated(path: Path) -> bool:
    """Whether a database is of an earlier schema, to which opening it would put an end; it is only looked at."""
    found = _looked_up(path, "mode=ro", "PRAGMA user_version")
    return found is not None and 0 < found[0] < schema.VERSION


def _looked_up(path: Path, how: str, statement: str) -> tuple[int, ...] | None:
    """What a file says without being changed; None: it is no database, or cannot be read."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?{how}", uri=True)) as db:
            found: tuple[int, ...] = db.execute(statement).fetchone()
            return found
    except sqlite3.Error:
        return None


def _make_private(path: Path) -> None:
    """Make the file where it is missing, for the eyes of its owner alone.

    One that exists is not even opened: to close it again would drop the locks that other connections
    of this process hold on it (POSIX; sqlite.org/howtocorrupt.html §2.2).
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
