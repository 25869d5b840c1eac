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

DAMAGE: Final = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
"""What SQLite says of a file that is damaged. All else does not lie in what the file holds."""

OF_FORMAT: Final = ("unsupported file format", "no such table", "no such column")
"""How the texts begin of damages for which SQLite has no code but SQLITE_ERROR."""

SQLITE_HEAD: Final = b"SQLite format 3\0"
MOSQUITTO_HEAD: Final = b"\0\xb5\0mosquitto db"

OF_RIGHTS: Final = frozenset(
    (sqlite3.SQLITE_AUTH, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_READONLY)
)


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
    PATH.damaged-YYYYmmdd-HHMMSS (UTC), and a new one begun; one that never was a store is left alone. Where
    `path` is a symbolic link, all of this is about the file that it leads to. Raises `StoreError`.
    """
    path = os.path.realpath(path)  # beside which SQLite has its other files
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise StoreError(f"{path}: there is no directory {folder}")
    try:
        _check_is_ours(path)
        lock = take_lock(path + ".lock", wait, clock, sleep)
        try:
            connection, is_new, meta = _open_or_replace(path, notice, now)
        except BaseException:
            os.close(lock.fd)
            raise
    except (OSError, Damaged) as error:
        raise StoreError(f"{path}: {error}") from error
    except sqlite3.Error as error:
        raise StoreError(f"{path}: {_in_words(error)}") from error
    alive_at = None if is_new else max(lock.touched_at or 0.0, meta.last_at)
    return StoreFile(path, connection, lock.fd, notice, meta.last_frame, alive_at, bool(meta.clean), now)


def _check_is_ours(path: str) -> None:
    """Leave a file alone that was named by mistake, such as a file of passwords. Raises `StoreError`.

    Beside a store, however damaged, stands its lock.
    """
    if os.path.exists(path + ".lock") or _size(path) == 0 or not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        head = file.read(len(SQLITE_HEAD))
    if head != SQLITE_HEAD:
        what = "Mosquitto's, which can't be read" if head.startswith(MOSQUITTO_HEAD) else "no store"
        raise StoreError(f"{path}: the file is {what}; it is left as it is")


def _open_or_replace(
    path: str, notice: Callable[[str], object], now: Callable[[], float]
) -> tuple[sqlite3.Connection, bool, Meta]:
    try:
        return _open(path, notice, now)
    except Damaged as error:
        aside = move_aside(path, now())
        notice(f"{path} is damaged ({error}): moved to {aside}, a new store begins, with nothing in it")
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
        if _code(error) in DAMAGE or str(error).startswith(OF_FORMAT):
            raise Damaged(str(error)) from error
        raise
    except UnicodeDecodeError as error:
        # SQLite's text of an error had a part of the file in it.
        connection.close()
        raise Damaged("malformed database schema") from error
    except BaseException:
        connection.close()
        raise
    return connection, is_new, meta


def _code(error: sqlite3.Error) -> int:
    """The primary result code. Python itself raises without one for a text that is not UTF-8."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF


def _in_words(error: sqlite3.Error) -> str:
    """One line for a person."""
    name = getattr(error, "sqlite_errorname", "no code")
    if _code(error) in OF_RIGHTS:
        return f"{error} ({name}): does the file, with its -wal and -shm, belong to the broker's user?"
    return f"{error} ({name})"


def _size(path: str) -> int:
    """The bytes of a file, 0 if there is none. Raises `OSError`."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
