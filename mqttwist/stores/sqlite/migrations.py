"""Store files of older schema versions: their tables, and how they become those of the next version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from mqttwist.session.rows import without_end
from mqttwist.stores.sqlite.database import put_in
from mqttwist.stores.sqlite.schema import (
    BATCH,
    MESSAGE,
    META,
    QUEUE,
    RECEIVED,
    RETAINED,
    SESSION,
    SPENT,
    SUBSCRIPTION,
    WILL,
    Row,
    Table,
)
from mqttwist.stores.sqlite.sql import create, select

AT_ONCE: Final = 10_000

QUEUE_1: Final = Table(
    "queue",
    (
        *("sid", "position", "mid", "qos", "packet_id", "state", "granted", "identifiers", "share", "kept"),
        "size",
    ),
    2,
    by_rowid=False,
)
"""Version 1: each body stood in MESSAGE, and each row had all of its columns."""

TABLES_OF: Final[Mapping[int, Sequence[Table]]] = {
    1: (META, SESSION, SUBSCRIPTION, MESSAGE, QUEUE_1, RECEIVED, RETAINED, WILL),
    2: (META, SESSION, SUBSCRIPTION, MESSAGE, QUEUE, RECEIVED, RETAINED, WILL),
}


def from_1(connection: sqlite3.Connection) -> None:
    """Make the queue anew, whose bodies stay in MESSAGE. Its rows are sound. Raises `sqlite3.Error`."""
    connection.execute("ALTER TABLE queue RENAME TO queue_1")
    connection.execute(create(QUEUE))
    rows = connection.execute(select(QUEUE_1).replace("FROM queue", "FROM queue_1"))
    for some in _in_parts(map(_from_1, rows)):
        put_in(connection, QUEUE, some)
    connection.execute("DROP TABLE queue_1")


def _from_1(row: Row) -> Row:
    """What `delivery_row` would make of a row of QUEUE_1, which has its checksum at the end."""
    sid, position, mid, qos, packet_id, state, granted, identifiers, share, kept, size, _ = row
    of_all = (sid, position, size, qos, mid or None, None, packet_id or None, state or None)
    return without_end((*of_all, granted, identifiers or None, share or None, kept or None))


def from_2(connection: sqlite3.Connection) -> None:
    """Make the tables of batches; what waits stays in rows of its own. Raises `sqlite3.Error`."""
    for table in (BATCH, SPENT):
        connection.execute(create(table))


def _in_parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rows = iter(rows)
    while part := list(islice(rows, AT_ONCE)):
        yield part


MIGRATIONS: Final[Mapping[int, Callable[[sqlite3.Connection], None]]] = {1: from_1, 2: from_2}
"""For each older version what makes the next one of it, in a transaction that is open.

A table that changes has to be made anew, by the statement that `sql.create` returns. The row about the file
is brought up to date by `versions.checked`; its columns are the same in all versions.
"""
