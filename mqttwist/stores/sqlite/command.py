"""`python -m mqttwist store check PATH` and `store dump PATH`: look into a store, even one that is in use."""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from mqttwist.stores.sqlite.schema import (
    BATCH,
    QUEUE,
    SCHEMA_VERSION,
    TABLES,
    Row,
    Table,
    rows_of_batch,
)
from mqttwist.stores.sqlite.sql import ALL_TABLES, LENIENT, is_sound, read_meta, select

COPY = """\
What is looked at is a copy, with all as it was at one moment, so that a broker is not held up however long it
takes. The copy needs as much room as the store, in the directory for temporary files: SQLITE_TMPDIR or TMPDIR
name it, else it is /var/tmp.
"""

CHECK = """\
Verify the structure of a store file, the checksum of each row, and that what rows refer to is there. Prints
counts and faults. The exit status is 0 if there is no fault, 1 if there is one, 2 if the file can't be
read. A broker may have it open.
"""

DUMP = """\
Print each row as a line of JSON: an object with the name of the table, as "table", and its columns. Bytes,
like a payload, are an object too: {"text": ...} if they are UTF-8, else {"base64": ...}. The rows of a batch
are a list of objects with the columns of the queue; the bits of "places", beginning with the lowest of the
first byte, tell which of them are over. A row whose checksum is wrong has "damaged": true. Times are seconds
since 1970, 0.0 for never; a Session Expiry Interval of 4294967295 and a Message Expiry Interval of -1 mean
that there is none. The exit status is 0, or 2 if the file can't be read.
"""

REFERENCES = (
    ("subscriptions without a session", "subscription", "sid NOT IN (SELECT sid FROM session)"),
    ("queued messages without a session", "queue", "sid NOT IN (SELECT sid FROM session)"),
    ("QoS 2 packet identifiers without a session", "received", "sid NOT IN (SELECT sid FROM session)"),
    ("wills without a session", "will", "sid NOT IN (SELECT sid FROM session)"),
    ("batches without a session", "batch", "sid NOT IN (SELECT sid FROM session)"),
    (
        "notes of what is over of a batch without the batch",
        "spent",
        "position NOT IN (SELECT position FROM batch)",
    ),
    (
        "queued messages without a body",
        "queue",
        "typeof(body) = 'integer' AND body NOT IN (SELECT mid FROM message)",
    ),
    (
        "bodies that no queue holds",
        "message",
        "mid NOT IN (SELECT body FROM queue WHERE typeof(body) = 'integer')",
    ),
)
"""What to call the rows of a table that fulfil a condition, which none should."""


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Give the parser of `store` its commands."""
    commands = parser.add_subparsers(dest="action", required=True, metavar="check|dump")
    verify = commands.add_parser("check", help="verify a store", description=CHECK + COPY)
    print_all = commands.add_parser("dump", help="print a store as JSON lines", description=DUMP + COPY)
    for command in (verify, print_all):
        command.add_argument("path", metavar="PATH", help="the file that `twistd mqtt --store` names")


def run(action: str, path: str, stdout: TextIO, stderr: TextIO) -> int:
    """Do `check` or `dump`. Returns the exit status: 0, 1 after faults, or 2 after one line on `stderr`.

    Raises `BrokenPipeError`.
    """
    try:
        with contextlib.closing(_copy(path)) as connection:
            return check(connection, stdout) if action == "check" else dump(connection, stdout)
    except BrokenPipeError:
        raise
    except (OSError, ValueError, sqlite3.Error) as error:
        text = error.strerror if isinstance(error, OSError) else error
        stderr.write(f"{path}: {text}\n")
        return 2


def _copy(path: str) -> sqlite3.Connection:
    """A copy that goes away when it is closed. Raises what `_open` raises.

    While somebody reads the store itself its WAL can't begin anew, and grows.
    """
    with contextlib.closing(_open(path)) as connection:
        copy = sqlite3.connect("", isolation_level=None)  # a file without a name
        try:
            connection.backup(copy)
        except sqlite3.Error as error:
            copy.close()
            raise ValueError(f"can't be copied to the directory for temporary files: {error}") from error
    copy.text_factory = LENIENT
    return copy


def _open(path: str) -> sqlite3.Connection:
    """A connection that can but read. Raises `OSError`, `ValueError` if it is no store, `sqlite3.Error`."""
    with open(path, "rb"):
        pass  # says better than SQLite what is wrong with the name
    connection = sqlite3.connect(Path(path).absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    try:
        connection.text_factory = LENIENT
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
        if missing := [table.name for table in ALL_TABLES if table.name not in names]:
            raise ValueError(f"no store: it has no table {missing[0]}")
        meta = read_meta(connection)
        if meta is not None and meta.schema_version != SCHEMA_VERSION:
            raise ValueError(f"schema version {meta.schema_version}; this command knows {SCHEMA_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: sqlite3.Connection, stdout: TextIO) -> int:
    """Print what is in the file and what is wrong with it; 1 if something is, else 0.

    Raises `sqlite3.Error`.
    """
    faults = [
        f"structure: {line}" for (line,) in connection.execute("PRAGMA integrity_check") if line != "ok"
    ]
    if read_meta(connection) is None:
        faults.append("the row about the file is damaged")
    for table in TABLES:
        rows = damaged = 0
        for row in connection.execute(select(table)):
            rows += 1
            damaged += not is_sound(table, row)
        stdout.write(f"{table.name}: {rows} rows\n")
        if damaged:
            faults.append(f"{table.name}: {damaged} rows have a wrong checksum")
    faults += _missing(connection)
    stdout.writelines(f"FAULT {fault}\n" for fault in faults)
    stdout.write(f"{len(faults)} faults\n" if faults else "no fault\n")
    return 1 if faults else 0


def _missing(connection: sqlite3.Connection) -> Iterator[str]:
    for what, table, condition in REFERENCES:
        (count,) = connection.execute(f"SELECT count(*) FROM {table} WHERE {condition}").fetchone()
        if count:
            yield f"{count} {what}"


def dump(connection: sqlite3.Connection, stdout: TextIO) -> int:
    """Print each row as one line of JSON. Raises `sqlite3.Error`."""
    for table in ALL_TABLES:
        for row in connection.execute(select(table)):
            stdout.write(json.dumps(_as_object(table, row)) + "\n")
    return 0


def _as_object(table: Table, row: Row) -> dict[str, object]:
    values: dict[str, object] = {"table": table.name}
    values |= {column: _as_json(value) for column, value in zip(table.columns, row, strict=False)}
    if not is_sound(table, row):
        values["damaged"] = True
    elif table is BATCH:
        values["rows"] = [_of_batch(one) for one in rows_of_batch(row[BATCH.columns.index("rows")])]
    return values


def _of_batch(row: Row) -> dict[str, object]:
    """A row of QUEUE, up to its last value that is not NULL."""
    return {column: _as_json(value) for column, value in zip(QUEUE.columns, row, strict=False)}


def _as_json(value: object) -> object:
    if not isinstance(value, bytes):
        return value
    try:
        return {"text": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(value).decode("ascii")}
