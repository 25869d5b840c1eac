"""Open a store file: make it, or find out whether it is sound and of our schema."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from typing import Final

from mqttwist.stores.sqlite.damage import Damaged, check_wal, move_aside
from mqttwist.stores.sqlite.lock import StoreError, take_lock
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.sql import Meta
from mqttwist.stores.sqlite.versions import checked, make, statements

ELSEWHERE: Final = frozenset(
    (
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PERM,
    )
)
"""Faults that do not lie in what the file holds."""


def open_store(
    path: str,
    wait: float = 10.0,
    notice: Callable[[str], object] = lambda line: None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.time,
) -> StoreFile:
    """Open the store at `path`, making it if there is none; its directory must be there.

    Another broker may hold the store; `wait` is for how many seconds to wait until it is gone. `notice` is
    called with a line for the log for each damage that is found. A file that is damaged is moved aside, to
    PATH.damaged-YYYYmmdd-HHMMSS (UTC), and a new one begun. Raises `StoreError`.
    """
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        raise StoreError(f"{path}: there is no directory {folder}")
    try:
        lock = take_lock(path + ".lock", wait, clock, sleep)
        try:
            connection, is_new, meta = _open_or_replace(path, notice, now)
        except BaseException:
            os.close(lock.fd)
            raise
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: {error}") from error
    alive_at = None if is_new else max(lock.touched_at or 0.0, meta.last_at)
    return StoreFile(path, connection, lock.fd, notice, meta.last_frame, alive_at, bool(meta.clean), now)


def _open_or_replace(
    path: str, notice: Callable[[str], object], now: Callable[[], float]
) -> tuple[sqlite3.Connection, bool, Meta]:
    try:
        return _open(path, notice, now)
    except Damaged as error:
        aside = move_aside(path, now())
        notice(f"{path} is damaged ({error}): moved to {aside}, a new store begins")
        return _open(path, notice, now)


def _open(
    path: str, notice: Callable[[str], object], now: Callable[[], float]
) -> tuple[sqlite3.Connection, bool, Meta]:
    """A connection that can but read, whether the file is new, and the row about the file.

    Raises `Damaged`, `StoreError`, `OSError`, `sqlite3.Error`.
    """
    if _size(path) == 0 and _size(path + "-wal") > 0:
        raise Damaged("there is but a WAL of it")
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        is_new = not statements(connection)
        connection.execute("PRAGMA journal_mode = WAL")  # which the file says of itself, so it may be damaged
        if is_new:
            make(connection)
        check_wal(connection, path, notice, now)
        meta = checked(connection, path, notice, now)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        connection.close()
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)  # none: a text that is not UTF-8
        if code & 0xFF in ELSEWHERE:
            raise
        raise Damaged(str(error)) from error
    except UnicodeDecodeError as error:
        # SQLite's text of an error had a part of the file in it.
        connection.close()
        raise Damaged("malformed database schema") from error
    except BaseException:
        connection.close()
        raise
    return connection, is_new, meta


def _size(path: str) -> int:
    """The bytes of a file, 0 if there is none. Raises `OSError`."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
