"""The embedded store: one SQLite file in WAL mode, shared by the threads and processes of one machine.

Writes are committed with ``synchronous=NORMAL``: in WAL mode a commit is then in the operating system's hands, so
what was answered survives ``kill -9`` of every process, while a power cut may take the last moments (never the
file's consistency). Losing such a write costs one more recognition. A deletion is a promise, so it alone waits for
the disk (``FULL``). See https://www.sqlite.org/pragma.html#pragma_synchronous.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gateway.store.base import Entry, StoreError, status_of

_SCHEMA_VERSION = 1
_BUSY_SECONDS = 5.0
_SCAN_PAGE = 1000
_SWEEP_ROWS = 64
_SWEEP_SECONDS = 60.0
_WAL_KEEP_BYTES = 64 * 2**20

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS entries "
    "(key TEXT PRIMARY KEY NOT NULL, expires_at INTEGER NOT NULL, value BLOB NOT NULL)",
    "CREATE INDEX IF NOT EXISTS entries_by_expiry ON entries (expires_at)",
    f"PRAGMA user_version={_SCHEMA_VERSION}",
)
_GET = "SELECT value, expires_at FROM entries WHERE key = ? AND expires_at > ?"
_PUT = (
    "INSERT INTO entries (key, expires_at, value) VALUES (:key, :expires_at, :value) "
    "ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at, value = excluded.value"
)
_ADD = _PUT + " WHERE entries.expires_at <= :now"
_DELETE = "DELETE FROM entries WHERE key = ?"
# The unary plus keeps the planner off the expiry index: the range of keys is what narrows a scan.
_SCAN = "SELECT key FROM entries WHERE key >= ? AND key < ? AND +expires_at > ? ORDER BY key LIMIT ?"
_SWEEP = "DELETE FROM entries WHERE rowid IN (SELECT rowid FROM entries WHERE expires_at <= ? LIMIT ?)"

# Connections opened before a fork: closing them in the child could disturb the parent's write-ahead log.
_left_to_the_parent: list[deque[sqlite3.Connection]] = []


class DamagedStore(StoreError):
    """The file is no SQLite database, or a damaged one, or of another version. Moving it away mends it."""


class SQLiteStore:
    """A store in the file ``path``; its folder is created (0700) when missing, the file with mode 0600.

    Connections are pooled: each serves one thread at a time, and there are as many as threads ever overlapped.
    ``now`` gives POSIX seconds. Raises :class:`DamagedStore` when the file cannot be used, :class:`StoreError`
    when it cannot be created.
    """

    name = "sqlite"

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        self.path = path
        self._now = now
        self._idle: deque[sqlite3.Connection] = deque()
        self._process = os.getpid()
        self._closed = False
        self._sweeping = threading.Lock()
        self._sweep_after = 0.0
        self._create()
        self._sweep_now_and_then()

    def get(self, key: str) -> Entry | None:
        with self._database("get") as database:
            row = database.execute(_GET, (key, int(self._now()))).fetchone()
        return None if row is None else Entry(value=row[0], expires_at=row[1], tier=self.name)

    def put(self, key: str, value: bytes, expires_at: int) -> None:
        if expires_at <= self._now():
            self.delete(key)
            return
        with self._database("put") as database:
            database.execute(_PUT, {"key": key, "expires_at": expires_at, "value": value})
        self._sweep_now_and_then()

    def add(self, key: str, value: bytes, expires_at: int) -> bool:
        now = int(self._now())
        if expires_at <= now:
            return self.get(key) is None
        with self._database("add") as database:
            row = {"key": key, "expires_at": expires_at, "value": value, "now": now}
            added = database.execute(_ADD, row).rowcount == 1
        self._sweep_now_and_then()
        return added

    def delete(self, key: str) -> None:
        with self._database("delete") as database:
            database.execute("PRAGMA synchronous=FULL")
            database.execute(_DELETE, (key,))
            database.execute("PRAGMA synchronous=NORMAL")

    def scan(self, prefix: str) -> Iterator[str]:
        # Keys are ASCII: whatever has the prefix sorts before the prefix and one character beyond ASCII.
        start, end = prefix, prefix + "\x80"
        while True:
            # A page at a time: a reader that stays open would keep the write-ahead log from being recycled.
            with self._database("scan") as database:
                keys = [row[0] for row in database.execute(_SCAN, (start, end, int(self._now()), _SCAN_PAGE))]
            yield from keys
            if len(keys) < _SCAN_PAGE:
                return
            start = keys[-1] + "\x00"

    def ping(self) -> None:
        # A write lock, given back: a full or read-only disk is no working store.
        with self._database("ping") as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")

    def statuses(self) -> dict[str, str]:
        return {self.name: status_of(self)}

    def check(self) -> list[str]:
        """See :meth:`Store.check`: reads the whole file. Raises :class:`DamagedStore` when it is inconsistent."""
        with self._database("check") as database:
            verdict = database.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise DamagedStore(self._damage())
        return []

    def sweep(self) -> int:
        """Remove a bounded number of expired entries; how many were removed."""
        with self._database("sweep") as database:
            return database.execute(_SWEEP, (int(self._now()), _SWEEP_ROWS)).rowcount

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self._idle.pop().close()

    def _create(self) -> None:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # SQLite gives its -wal and -shm files the mode of the database.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StoreError(f"{self.name}: cannot create {self.path}: {error.strerror}") from error
        deadline = time.monotonic() + 2 * _BUSY_SECONDS
        while True:
            try:
                with self._database("open") as database:
                    self._prepare(database)
                return
            except StoreError as error:
                # Turning WAL on does not wait for a second process that is doing the same.
                if not _is_busy(error.__cause__) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def _prepare(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA journal_mode=WAL")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version == _SCHEMA_VERSION:
            return
        if version != 0:
            raise DamagedStore(self._damage())
        database.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA:
            database.execute(statement)
        database.execute("COMMIT")

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"PRAGMA journal_size_limit={_WAL_KEEP_BYTES}")
        # Documents do not linger in free pages.
        connection.execute("PRAGMA secure_delete=ON")
        return connection

    @contextmanager
    def _database(self, operation: str) -> Iterator[sqlite3.Connection]:
        if os.getpid() != self._process:
            _left_to_the_parent.append(self._idle)
            self._idle, self._process = deque(), os.getpid()
        connection = None
        try:
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            yield connection
        except sqlite3.Error as error:
            _discard(connection)
            raise self._failure(operation, error) from error
        except BaseException:
            _discard(connection)
            raise
        else:
            if self._closed:
                _discard(connection)
            else:
                self._idle.append(connection)

    def _sweep_now_and_then(self) -> None:
        if time.monotonic() < self._sweep_after or not self._sweeping.acquire(blocking=False):
            return
        try:
            # A sweep that fails is tried again; the write it came with has succeeded.
            with suppress(StoreError):
                if self.sweep() < _SWEEP_ROWS:
                    self._sweep_after = time.monotonic() + _SWEEP_SECONDS
        finally:
            self._sweeping.release()

    def _failure(self, operation: str, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorname", type(error).__name__)
        if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return DamagedStore(self._damage())
        return StoreError(f"{self.name}: {operation}: {code}")

    def _damage(self) -> str:
        return f"{self.name}: {self.path} is damaged or not of this version; stop the gateway and move the file away"


def _discard(connection: sqlite3.Connection | None) -> None:
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()


def _is_busy(error: BaseException | None) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
