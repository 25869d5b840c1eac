"""What is done about a file that is damaged: nothing of it is lost, and nothing wrong is served."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence

from mqttwist.stores.sqlite.schema import Table
from mqttwist.stores.sqlite.sql import ALL_TABLES, LENIENT, is_sound, select
from mqttwist.stores.sqlite.wal import is_damaged


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


def make_file(path: str) -> int:
    """A descriptor of a new file for its owner alone. Raises `OSError`, also if there is one."""
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)


def keep_copy(connection: sqlite3.Connection, path: str, now: float) -> str:
    """Copy the file as it is, damage and all, to a name that is returned.

    Raises `OSError`, `sqlite3.Error`.
    """
    copy = free_name(path, now)
    os.close(make_file(copy))
    with contextlib.closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    return copy


def check_wal(
    connection: sqlite3.Connection, path: str, notice: Callable[[str], object], now: Callable[[], float]
) -> None:
    """Copy what the WAL holds into the file; keep a copy and give notice if not all of it can be read.

    The WAL begins anew then, so that the same damage is found once, unless somebody reads the file meanwhile.
    Raises `sqlite3.Error`, `OSError`.
    """
    (page_size,) = connection.execute("PRAGMA page_size").fetchone()
    _, sound, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if is_damaged(path + "-wal", page_size, max(0, sound)):
        copy = keep_copy(connection, path, now())
        with open(path + "-wal", "rb") as wal, open(make_file(copy + "-wal"), "wb") as target:
            shutil.copyfileobj(wal, target)
        notice(f"{path}-wal is damaged: the last changes are lost; a copy is kept as {copy} with its -wal")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def check_structure(
    connection: sqlite3.Connection,
    path: str,
    notice: Callable[[str], object],
    now: Callable[[], float],
    tables: Sequence[Table] = ALL_TABLES,
) -> None:
    """Check everything but the rows themselves; takes half a second for 200 MB.

    Rows in a wrong place, where a key was damaged, are put right; `tables` are those of the file. Raises
    `Damaged`, `OSError`, `sqlite3.Error`.
    """
    (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if answer == "ok":
        return
    (worse,) = connection.execute("PRAGMA quick_check(1)").fetchone()  # does not look at the order of rows
    if worse != "ok":
        raise Damaged(" ".join(worse.split()))
    notice(f"{path} is damaged: {answer}")
    repair(connection, path, notice, now, tables)


def repair(
    connection: sqlite3.Connection,
    path: str,
    notice: Callable[[str], object],
    now: Callable[[], float],
    tables: Sequence[Table] = ALL_TABLES,
) -> None:
    """Keep a copy of the file, and write its sound rows anew: a wrong key may keep others from being found.

    Raises `sqlite3.Error`, `OSError`; then the file is as it was.
    """
    copy = keep_copy(connection, path, now())
    notice(f"{path}: its sound rows are written anew; a copy with the damaged ones is kept as {copy}")
    with writing(connection):
        for table in tables:
            if wrong := _write_anew(connection, table):
                notice(f"{path}: {wrong} damaged rows of table {table.name} are left out")


def _write_anew(connection: sqlite3.Connection, table: Table) -> int:
    """Empty a table and put its sound rows back; return how many others there were."""
    rows = connection.execute(select(table))
    marks = ", ".join("?" * (len(table.columns) + 1))
    sound_rows = (row for row in rows if is_sound(table, row))
    connection.execute(f"CREATE TEMP TABLE sound AS SELECT * FROM main.{table.name} WHERE 0")
    connection.executemany(f"INSERT INTO temp.sound VALUES ({marks})", sound_rows)
    (before,) = connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()
    (sound,) = connection.execute("SELECT count(*) FROM temp.sound").fetchone()
    connection.execute(f"DELETE FROM main.{table.name}")
    connection.execute(f"INSERT OR REPLACE INTO main.{table.name} SELECT * FROM temp.sound")
    connection.execute("DROP TABLE temp.sound")
    return int(before - sound)


@contextlib.contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
    """A transaction on a connection that else can but read, whatever it reads. Raises `sqlite3.Error`."""
    connection.execute("PRAGMA query_only = OFF")
    try:
        with lenient(connection):
            connection.execute("BEGIN IMMEDIATE")
            with connection:
                yield
    finally:
        connection.execute("PRAGMA query_only = ON")


@contextlib.contextmanager
def lenient(connection: sqlite3.Connection) -> Iterator[None]:
    """A connection that reads whatever is there, though it may be no text."""
    text_factory, connection.text_factory = connection.text_factory, LENIENT
    try:
        yield
    finally:
        connection.text_factory = text_factory
