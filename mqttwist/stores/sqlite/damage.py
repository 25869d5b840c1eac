"""What is done about a file that is damaged: nothing of it is lost, and nothing wrong is served."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator

from mqttwist.stores.sqlite.schema import Table
from mqttwist.stores.sqlite.sql import LENIENT, is_sound, put, select


class Damaged(Exception):
    """What is in the file can't be relied on."""


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


def keep_copy(connection: sqlite3.Connection, path: str, now: float) -> str:
    """Copy the file as it is, damage and all, to a name that is returned.

    Raises `OSError`, `sqlite3.Error`.
    """
    copy = free_name(path, now)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with contextlib.closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    return copy


def write_anew(connection: sqlite3.Connection, table: Table) -> None:
    """Empty a table and put its sound rows back: a wrong key may keep others from being found.

    Raises `sqlite3.Error`; then the table is as it was.
    """
    connection.text_factory = LENIENT
    with writing(connection):
        rows = [row for row in connection.execute(select(table)) if is_sound(row)]
        connection.execute(f"DELETE FROM {table.name}")
        connection.executemany(put(table), rows)


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction on a connection that else can but read. Raises `sqlite3.Error`."""
    connection.execute("PRAGMA query_only = OFF")
    try:
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            yield
    finally:
        connection.execute("PRAGMA query_only = ON")
