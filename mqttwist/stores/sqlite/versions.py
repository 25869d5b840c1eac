"""Is this file a store, and of which schema version? What is older is brought to ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from mqttwist.stores.sqlite.damage import Damaged, check_structure, lenient, repair, writing
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.migrations import MIGRATIONS, TABLES_OF
from mqttwist.stores.sqlite.schema import SCHEMA_VERSION, Table
from mqttwist.stores.sqlite.sql import ALL_TABLES, Meta, create, is_sound, read_meta, select, write_meta


def make(connection: sqlite3.Connection) -> None:
    """Put the tables into a file that is empty. Raises `sqlite3.Error`."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:
        for table in ALL_TABLES:
            connection.execute(create(table))
        write_meta(connection, Meta())


def checked(
    connection: sqlite3.Connection,
    path: str,
    notice: Callable[[str], object],
    now: Callable[[], float],
) -> Meta:
    """The row about the file, when its structure is sound; its schema is ours then.

    Half a second for a file of 200 MB. The rows are not looked at. Raises `Damaged`; `StoreError` if it is
    not ours or of a newer version; `sqlite3.Error`.
    """
    _refuse_others(connection, path)
    meta = read_meta(connection)
    if meta is not None and meta.schema_version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has schema version {meta.schema_version}, which a newer mqttwist has made;"
            f" this one knows up to version {SCHEMA_VERSION}"
        )
    if meta is None:
        check_structure(connection, path, notice, now, ALL_TABLES)
        raise Damaged("the row about the file is damaged")
    tables = ALL_TABLES if meta.schema_version == SCHEMA_VERSION else TABLES_OF.get(meta.schema_version, ())
    check_structure(connection, path, notice, now, tables)
    if meta.schema_version < SCHEMA_VERSION:
        _leave_damage_out(connection, path, notice, now, tables)
        meta = _migrate(connection, path, meta, notice)
    if statements(connection) != {table.name: create(table) for table in ALL_TABLES}:
        raise Damaged("the tables are not those of the schema")
    return meta


def statements(connection: sqlite3.Connection) -> dict[str, str]:
    """The tables of a file, and what made them. Raises `sqlite3.Error`."""
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _refuse_others(connection: sqlite3.Connection, path: str) -> None:
    """Raise `StoreError` for what another program keeps in SQLite."""
    names = statements(connection).keys()
    if names and not names & {table.name for table in ALL_TABLES}:
        raise StoreError(f"{path} is an SQLite file of another program: it has no table of a store")


def _leave_damage_out(
    connection: sqlite3.Connection,
    path: str,
    notice: Callable[[str], object],
    now: Callable[[], float],
    tables: Sequence[Table],
) -> None:
    """See to it that no damaged row gets a new checksum. Raises `OSError`, `sqlite3.Error`."""
    with lenient(connection):
        is_damaged = any(
            not is_sound(table, row) for table in tables for row in connection.execute(select(table))
        )
    if is_damaged:
        repair(connection, path, notice, now, tables)


def _migrate(
    connection: sqlite3.Connection,
    path: str,
    meta: Meta,
    notice: Callable[[str], object],
) -> Meta:
    """Bring an older file to our version, as one transaction. Raises `StoreError`."""
    newer = meta._replace(schema_version=SCHEMA_VERSION)
    try:
        with writing(connection):
            for version in range(meta.schema_version, SCHEMA_VERSION):
                MIGRATIONS[version](connection)
            write_meta(connection, newer)
    except KeyError as error:
        raise StoreError(
            f"{path} has schema version {error}, which this mqttwist can't read any more"
        ) from None
    except sqlite3.Error as error:
        step = f"from schema version {meta.schema_version} to {SCHEMA_VERSION}"
        raise StoreError(f"{path} can't be brought {step}: {error}") from error
    notice(f"{path}: brought from schema version {meta.schema_version} to {SCHEMA_VERSION}")
    return newer
