"""The statements that a table of the schema makes, and the one row about the file itself."""

from __future__ import annotations

import sqlite3
from functools import cache, partial
from typing import Final, NamedTuple

from mqttwist.stores.sqlite.schema import META, SCHEMA_VERSION, TABLES, Row, Table, checksum

ALL_TABLES: Final = (META, *TABLES)

UNREADABLE: Final = (sqlite3.OperationalError, UnicodeDecodeError)
"""What Python raises for a text that is not UTF-8; among it is what SQLite raises when it fails."""

LENIENT: Final = partial(str, encoding="utf-8", errors="surrogateescape")
"""The `text_factory` of a connection that reads whatever is there, in half again the time."""


class Meta(NamedTuple):
    """The columns of META: see there."""

    one: int = 1
    schema_version: int = SCHEMA_VERSION
    last_frame: int = 0
    last_at: float = 0.0
    clean: int = 1


def create(table: Table) -> str:
    """The statement that makes a table.

    A column has no type, so that what is put in comes back as the same value, but the number that is the key
    of a table by rowid: SQLite knows by the type INTEGER that it is the row's own number.
    """
    columns = [*table.columns, "crc"]
    key = ", ".join(table.columns[: table.key])
    if table.by_rowid and table.columns[0] != "topic_name":
        columns[0] += " INTEGER PRIMARY KEY"
        return f"CREATE TABLE {table.name} ({', '.join(columns)})"
    end = "" if table.by_rowid else " WITHOUT ROWID"
    return f"CREATE TABLE {table.name} ({', '.join(columns)}, PRIMARY KEY ({key})){end}"


@cache
def put(table: Table, width: int, count: int = 1) -> str:
    """The statement that puts in `count` rows of `width` values, each with its checksum at the end.

    They take the place of those with the same keys. Raises `ValueError` for a width that no row of it has.
    """
    if width > len(table.columns) or (width < len(table.columns) and not table.ragged):
        raise ValueError(f"a row of table {table.name} does not have {width} values")
    columns = ", ".join([*table.columns[:width], "crc"])
    marks = f"({', '.join('?' * (width + 1))})"
    return f"INSERT OR REPLACE INTO {table.name} ({columns}) VALUES {', '.join([marks] * count)}"


def remove(table: Table) -> str:
    """The statement that removes the row with a key, if there is one."""
    key = " AND ".join(f"{column} = ?" for column in table.columns[: table.key])
    return f"DELETE FROM {table.name} WHERE {key}"


def select(table: Table) -> str:
    """The statement that reads all rows in the order of their keys, each with its checksum at the end.

    Retained messages come in the order in which they were put in, which takes half the time.
    """
    order = "rowid" if table.by_rowid else ", ".join(table.columns[: table.key])
    return f"SELECT * FROM {table.name} ORDER BY {order}"


def written(table: Table, row: Row) -> Row:
    """A row that `select` has read as it was put in, without the checksum."""
    end = len(row) - 1
    if table.ragged:
        while end and row[end - 1] is None:
            end -= 1
    return row[:end]


def is_sound(table: Table, row: Row) -> bool:
    """Tell whether a row as `select` reads it has the checksum that it was written with."""
    return bool(checksum(written(table, row)) == row[-1])


def write_meta(connection: sqlite3.Connection, meta: Meta) -> None:
    """Put in the row about the file. Raises `sqlite3.Error`."""
    connection.execute(put(META, len(meta)), (*meta, checksum(tuple(meta))))


def read_meta(connection: sqlite3.Connection) -> Meta | None:
    """The row about the file; None if there is none or its checksum is wrong. Raises `sqlite3.Error`."""
    row = connection.execute(select(META)).fetchone()
    if row is None or len(row) != len(Meta()) + 1 or not is_sound(META, row):
        return None
    return Meta(*row[:-1])
