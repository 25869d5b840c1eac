"""Open a store file: make it, or find out whether it is sound and of our schema."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence

from mqttwist.stores.sqlite.lock import StoreError, take_lock
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import SCHEMA_VERSION
from mqttwist.stores.sqlite.sql import ALL_TABLES, Meta, create, read_meta, write_meta

MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""The statements that make of a file of one schema version a file of the next one."""

ENVIRONMENT = frozenset(
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
"""Faults that do not lie in the file."""


class Damaged(Exception):
    """What is in the file can't be relied on."""


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
    return StoreFile(path, connection, lock.fd, notice, meta.last_frame, alive_at, bool(meta.clean))


def _open_or_replace(
    path: str, notice: Callable[[str], object], now: Callable[[], float]
) -> tuple[sqlite3.Connection, bool, Meta]:
    try:
        return _open(path, notice)
    except Damaged as error:
        aside = move_aside(path, now())
        notice(f"{path} is damaged ({error}): moved to {aside}, a new store begins")
        return _open(path, notice)


def move_aside(path: str, now: float) -> str:
    """Give the file and its WAL another name, which is returned. Raises `OSError`."""
    aside = free_name(path, now)
    for end in ("", "-wal"):
        if os.path.exists(path + end):
            os.replace(path + end, aside + end)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path + "-shm")
    return aside


def free_name(path: str, now: float) -> str:
    """A name for a damaged file that is not taken yet."""
    name = f"{path}.damaged-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}"
    free, number = name, 1
    while os.path.exists(free):
        number += 1
        free = f"{name}-{number}"
    return free


def _open(path: str, notice: Callable[[str], object]) -> tuple[sqlite3.Connection, bool, Meta]:
    """A connection that can but read, whether the file is new, and the row about the file.

    Raises `Damaged`, `StoreError`, `OSError`, `sqlite3.Error`.
    """
    is_new = not os.path.exists(path) or os.path.getsize(path) == 0
    os.close(
        os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    )  # the mode is what SQLite gives the other files, too
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        if is_new:
            _make(connection)
        meta = _checked(connection, path, notice)
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.DatabaseError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF in ENVIRONMENT:
            raise
        raise Damaged(str(error)) from error
    except BaseException:
        connection.close()
        raise
    return connection, is_new, meta


def _make(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("BEGIN IMMEDIATE")
    for table in ALL_TABLES:
        connection.execute(create(table))
    write_meta(connection, Meta())
    connection.execute("COMMIT")


def _checked(connection: sqlite3.Connection, path: str, notice: Callable[[str], object]) -> Meta:
    meta = read_meta(connection)
    if meta is not None and meta.schema_version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {meta.schema_version}, of a newer mqttwist;"
            f" this one knows versions up to {SCHEMA_VERSION}"
        )
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        raise Damaged(answer)
    if meta is None:
        raise Damaged("no sound row about the file")
    return meta
