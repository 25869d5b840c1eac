"""What the broker reads of a store file, at its start and when a client comes back."""

from __future__ import annotations

import os
import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator
from marshal import dumps
from typing import NamedTuple
from zlib import crc32

from mqttwist.stores.sqlite.damage import repair
from mqttwist.stores.sqlite.schema import (
    BATCH,
    MESSAGE,
    QUEUE,
    RECEIVED,
    SESSION,
    SPENT,
    SUBSCRIPTION,
    WILL,
    Row,
    Table,
    rows_of_batch,
)
from mqttwist.stores.sqlite.sql import LENIENT, UNREADABLE, is_sound, select, written

BACKLOG = (
    "SELECT q.*, m.* FROM queue q LEFT JOIN message m ON typeof(q.body) = 'integer' AND m.mid = q.body"
    " WHERE q.sid = ? AND q.position > ? AND q.position < ? ORDER BY q.position LIMIT ?"
)
NO_END = 1 << 62
"""Behind every position."""

QUEUE_WIDTH = len(QUEUE.columns) + 1
BODY = QUEUE.columns.index("body")
SIZE = QUEUE.columns.index("size")
OF_SESSIONS = (SESSION, SUBSCRIPTION, QUEUE, RECEIVED, WILL)


class Backlog(NamedTuple):
    """What waits for one session: how many rows, and their bytes as the queue's limits count them."""

    sid: int
    messages: int
    size: int


class StoredBatch(NamedTuple):
    """Rows of QUEUE that were put in as one, and which of their places are over: a bit for each."""

    position: int
    last: int
    rows: list[Row]
    spent: int


class Highest(NamedTuple):
    """The highest numbers in use, 0 where there is none."""

    sid: int
    mid: int
    position: int


class StoreFile:
    """An open store. `open_store` makes it; the broker keeps it for as long as it runs.

    `lock_fd` is for the writer to inherit. `last_frame` is the number of the last frame in the file, 0 if
    there is none. `alive_at` is when a broker was last alive with this store, seconds of the wall clock; None
    if the file is new. `was_clean` tells whether that broker ended in order.
    """

    def __init__(
        self,
        path: str,
        connection: sqlite3.Connection,
        lock_fd: int,
        notice: Callable[[str], object],
        last_frame: int,
        alive_at: float | None,
        was_clean: bool,
        now: Callable[[], float],
    ) -> None:
        self.path = path
        self.lock_fd = lock_fd
        self.last_frame = last_frame
        self.alive_at = alive_at
        self.was_clean = was_clean
        self._connection = connection
        self._notice = notice
        self._now = now
        self._batches_read: dict[int, list[int]] | None = None
        self._spent_read: dict[int, int] | None = None

    def touch(self) -> None:
        """Say that the broker is alive. Raises `OSError`."""
        os.utime(self.lock_fd)

    def rows(self, table: Table) -> Iterator[Row]:
        """The rows of a table in the order of `sql.select`, without the checksum.

        Those where it is wrong are left out, and when all are read they are taken out of the file, of which a
        copy is kept.
        """
        seen = sound = 0
        while True:
            try:
                for row in self._connection.execute(f"{select(table)} LIMIT -1 OFFSET {seen}"):
                    seen += 1
                    body = row[:-1] if not table.ragged else written(table, row)
                    if crc32(dumps(body, 2)) == row[-1]:  # schema.checksum, without the time of a call
                        sound += 1
                        yield body
            except UNREADABLE as error:
                self._be_lenient(error)
            else:
                break
        if seen > sound:
            self._repair()

    def _be_lenient(self, error: Exception) -> None:
        """Go on with texts that are not UTF-8. Raises the error again if that was not the reason."""
        if self._connection.text_factory is LENIENT:
            raise error
        self._connection.text_factory = LENIENT

    def _fetch(self, statement: str, arguments: tuple[int, ...]) -> list[Row]:
        try:
            return self._connection.execute(statement, arguments).fetchall()
        except UNREADABLE as error:
            self._be_lenient(error)
            return self._connection.execute(statement, arguments).fetchall()

    def _repair(self) -> None:
        try:
            repair(self._connection, self.path, self._notice, self._now)
        except (OSError, sqlite3.Error) as error:
            self._notice(f"{self.path}: damaged rows are left out, but stay in the file: {error}")

    def backlogs(self) -> Iterator[Backlog]:
        """The sessions for which something waits, from the file as it is: no checksum is looked at, but of
        batches of which something is over."""
        in_batches = self._in_batches()
        statement = "SELECT sid, count(*), total(size) FROM queue GROUP BY sid"
        for sid, messages, size in self._connection.execute(statement):
            more = in_batches.pop(sid, None) if in_batches else None
            if more is None:
                yield Backlog(sid, messages, int(size))
            else:
                yield Backlog(sid, messages + more.messages, int(size) + more.size)
        yield from in_batches.values()

    def _in_batches(self) -> dict[int, Backlog]:
        """What the batches hold for each session; reads which of them are spent in part."""
        found: dict[int, Backlog] = {}
        statement = "SELECT sid, sum(messages), total(size) FROM batch GROUP BY sid"
        for sid, messages, size in self._connection.execute(statement):
            found[sid] = Backlog(sid, messages, int(size))
        for position in self._spent:
            [row] = self._fetch("SELECT * FROM batch WHERE position = ?", (position,)) or [()]
            if row and is_sound(BATCH, row):
                batch = self._batch(row)
                over = [one for place, one in enumerate(batch.rows) if batch.spent >> place & 1]
                sid, messages, size = found[row[1]]
                found[sid] = Backlog(sid, messages - len(over), size - sum(one[SIZE] for one in over))
        return found

    def copies(self) -> Iterator[tuple[int, int]]:
        """The rows of MESSAGE that more than one place in a queue needs: mid and the number of places."""
        if self._connection.execute("SELECT 1 FROM message LIMIT 1").fetchone() is None:
            return iter(())
        return self._connection.execute(
            "SELECT body, count(*) FROM queue WHERE typeof(body) = 'integer'"
            " GROUP BY body HAVING count(*) > 1"
        )

    @property
    def _spent(self) -> dict[int, int]:
        """By the positions of batches of which something is over, a bit for each such place.

        They are all read, when the first one is needed: a row is not to be missed because its key is damaged.
        """
        if self._spent_read is None:
            rows = self.rows(SPENT)
            self._spent_read = {position: int.from_bytes(places, "little") for position, places in rows}
        return self._spent_read

    @property
    def _batches(self) -> dict[int, list[int]]:
        """The positions of the batches of each session, in order. An index would cost as much as a batch."""
        if self._batches_read is None:
            self._batches_read = {}
            for position, sid in self._fetch("SELECT position, sid FROM batch ORDER BY position", ()):
                self._batches_read.setdefault(sid, []).append(position)
        return self._batches_read

    def _batch(self, row: Row) -> StoredBatch:
        position, _, last, _, _, rows, _ = row
        return StoredBatch(position, last, rows_of_batch(rows), self._spent.get(position, 0))

    def next_batch(self, sid: int, after: int) -> StoredBatch | None:
        """The first batch of a session that begins behind a position, of those there were at the start.

        One that is damaged is left out.
        """
        positions = self._batches.get(sid, [])
        for position in positions[bisect_right(positions, after) :]:
            for row in self._fetch("SELECT * FROM batch WHERE position = ?", (position,)):
                if is_sound(BATCH, row):
                    return self._batch(row)
                self._notice(
                    f"{self.path}: a damaged row of table batch is left out, with {row[3]} messages:"
                    f" sid {sid}, position {position}"
                )
        return None

    def backlog(
        self, sid: int, after_position: int, limit: int, end: int = NO_END
    ) -> list[tuple[Row, Row | None]]:
        """At most `limit` rows of the queue of a session after a position, in order, each with its body.

        `end` is the position before which they stand. A body of its own is in the row, and one that is
        retained is named there: these come with None. Less than `limit` rows come only at the end.
        """
        found: list[tuple[Row, Row | None]] = []
        missing = limit
        while missing:
            rows = self._fetch(BACKLOG, (sid, after_position, end, missing))
            for row in rows:
                self._add(found, row[:QUEUE_WIDTH], row[QUEUE_WIDTH:])
            if len(rows) < missing:
                break
            missing = limit - len(found)
            after_position = rows[-1][1]
        return found

    def _add(self, found: list[tuple[Row, Row | None]], queued: Row, message: Row) -> None:
        if is_sound(QUEUE, queued) and not isinstance(queued[BODY], int):
            found.append((written(QUEUE, queued), None))
        elif is_sound(QUEUE, queued) and is_sound(MESSAGE, message):
            found.append((written(QUEUE, queued), message[:-1]))
        else:
            table = MESSAGE if is_sound(QUEUE, queued) else QUEUE
            key = f"sid {queued[0]}, position {queued[1]}"
            self._notice(f"{self.path}: a damaged row of table {table.name} is left out: {key}")

    def highest(self) -> Highest:
        """The highest numbers that sound rows have: one that is damaged may have any."""
        sids = [self._highest(table, "sid") for table in OF_SESSIONS]
        sids.append(self._highest_unordered(BATCH, "sid"))
        position = max(self._highest_unordered(QUEUE, "position"), self._highest_unordered(BATCH, "last"))
        return Highest(max(sids), self._highest(MESSAGE, "mid"), position)

    def _highest_unordered(self, table: Table, column: str) -> int:
        """The same in a table that is not in this order: to sort it would take four times as long."""
        name, key = table.name, table.columns[: table.key]
        [(*values, highest)] = self._fetch(f"SELECT {', '.join(key)}, max({column}) FROM {name}", ())
        condition = " AND ".join(f"{part} = ?" for part in key)
        rows = self._fetch(f"SELECT * FROM {name} WHERE {condition}", tuple(values))
        if all(is_sound(table, row) for row in rows):
            return int(highest or 0)
        return self._highest(table, column)

    def _highest(self, table: Table, column: str) -> int:
        statement = f"SELECT * FROM {table.name} ORDER BY {column} DESC LIMIT ? OFFSET ?"
        offset, limit = 0, 10
        while rows := self._fetch(statement, (limit, offset)):
            for row in rows:
                if is_sound(table, row):
                    return int(row[table.columns.index(column)])
            offset += limit
            limit *= 10
        return 0

    def close(self) -> None:
        """Close the file and give the lock free, unless the writer has it still; harmless again."""
        if self.lock_fd >= 0:
            self._connection.close()
            os.close(self.lock_fd)
            self.lock_fd = -1
