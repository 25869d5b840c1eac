"""The tables of a store file, and what a frame of changes to them looks like.

A *frame* is what the broker has to tell the writer of one or more turns: for each table the rows that are new
or another now, and the keys of those that are gone. A frame is applied as a whole or not at all. Between the
two processes, which run the same interpreter, it is one value of `marshal`: see `pack_frame`.

Times are seconds of the wall clock (since 1970), as fractions; intervals are whole seconds.
"""

from __future__ import annotations

import marshal
from struct import Struct
from typing import Any, Final, NamedTuple
from zlib import crc32

SCHEMA_VERSION: Final = 3

Row = tuple[Any, ...]
"""str, bytes, int, float and None, which come back as they were put in: the columns have no type.

`True` and `False` would come back as numbers, with which the checksum of the row is wrong: put in 1 and 0. So
would NaN, as None.
"""

FRAME_LENGTH: Final = Struct("!I")

GOODBYE: Final = FRAME_LENGTH.pack(0)
"""The frame of no length: the broker ends in order, and no other frame comes after this one."""


class Table(NamedTuple):
    """A table: its columns without the checksum, which is the last one of each; the first `key` are its key.

    One that is `by_rowid` keeps its rows apart from its key, which pays for rows with a large payload. In one
    that is `ragged` a row ends with its last value that is not NULL, in a frame and for its checksum too.
    """

    name: str
    columns: tuple[str, ...]
    key: int
    by_rowid: bool = True
    ragged: bool = False


SESSION: Final = Table(
    "session", ("sid", "client_id", "username", "identity", "version", "expiry_interval", "gone_at"), 1
)
SUBSCRIPTION: Final = Table("subscription", ("sid", "topic_filter", "options", "identifier"), 2, False)
MESSAGE: Final = Table(
    "message",
    ("mid", "topic_name", "qos", "retain", "message_expiry_interval", "expires_at", "properties", "payload"),
    1,
)
# What most rows need stands first: each value of a row costs the writer 0.2 us. `body` is the payload, a
# blob, or else the number of the row in MESSAGE; what NULL means is said by `session.rows.delivery_row`.
QUEUE: Final = Table(
    "queue",
    (
        *("sid", "position", "size", "qos", "body", "topic_name", "packet_id", "state", "granted"),
        *("identifiers", "share", "kept", "message_qos", "retain", "message_expiry_interval", "expires_at"),
        "properties",
    ),
    2,
    by_rowid=False,
    ragged=True,
)
RECEIVED: Final = Table("received", ("sid", "packet_id"), 2, False)
RETAINED: Final = Table(
    "retained",
    (
        *("topic_name", "qos", "message_expiry_interval", "expires_at", "properties", "payload"),
        *("publisher", "number"),
    ),
    1,
)
WILL: Final = Table(
    "will",
    ("sid", "topic_name", "qos", "retain", "delay", "message_expiry_interval", "properties", "payload"),
    1,
)

# Rows of QUEUE that came in one frame for one session: see `session.batch`. `position` and `last` are those
# of the first one and the last one, `size` is that of all of them, and `rows` is their list, by `marshal`.
BATCH: Final = Table("batch", ("position", "sid", "last", "messages", "size", "rows"), 1)
# What is over of a batch: a bit for each of its rows, beginning with the lowest of the first byte.
SPENT: Final = Table("spent", ("position", "places"), 1)

# In the order in which a frame names them.
TABLES: Final = (SESSION, SUBSCRIPTION, MESSAGE, QUEUE, RECEIVED, RETAINED, WILL, BATCH, SPENT)

# The one row about the file itself, whose key is 1. `last_at` is when the last frame was made, 0.0 before the
# first one; `clean` is 1 if GOODBYE came after it.
META: Final = Table("meta", ("one", "schema_version", "last_frame", "last_at", "clean"), 1)


Change = tuple[int, list[Row], list[Row]]
"""What happens to one table: its index in TABLES, rows to put in, each in the place of one with the same key,
and keys to remove. The keys are removed first.
"""


class Frame(NamedTuple):
    """`number` counts up by one from frame to frame, over restarts too; `at` is when it was made."""

    number: int
    at: float
    changes: list[Change]


def pack_frame(number: int, at: float, changes: list[Change]) -> bytes:
    """A frame as bytes, its length before it."""
    body = marshal.dumps((number, at, changes))
    return FRAME_LENGTH.pack(len(body)) + body


def unpack_frame(body: bytes | memoryview) -> Frame:
    """What `pack_frame` has packed, without the length."""
    return Frame(*marshal.loads(body))


def rows_of_batch(rows: bytes) -> list[Row]:
    """The rows of QUEUE in a row of BATCH, whose checksum was right."""
    found: list[Row] = marshal.loads(rows)
    return found


def checksum(row: Row) -> int:
    """The checksum of a row without its last column, 0 to 4294967295.

    The bytes that it is taken of tell the types and the lengths of all values. Version 2 of the format, which
    Python has written since 2.5, knows no references, so that equal rows have equal bytes.
    """
    return crc32(marshal.dumps(row, 2))
