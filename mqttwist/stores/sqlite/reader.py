"""What the broker reads of a store file, at its start and when a client comes back."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from typing import NamedTuple

from mqttwist.stores.sqlite.schema import MESSAGE, QUEUE, Row, Table
from mqttwist.stores.sqlite.sql import is_sound, select

BACKLOG = (
    "SELECT q.*, m.* FROM queue q LEFT JOIN message m ON m.mid = q.mid"
    " WHERE q.sid = ? AND q.position > ? ORDER BY q.position LIMIT ?"
)

QUEUE_WIDTH = len(QUEUE.columns) + 1


class Backlog(NamedTuple):
    """What waits for one session: how many rows, their bytes as the queue's limits count them, and the
    first."""

    sid: int
    messages: int
    size: int
    first_position: int


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
    ) -> None:
        self.path = path
        self.lock_fd = lock_fd
        self.last_frame = last_frame
        self.alive_at = alive_at
        self.was_clean = was_clean
        self._connection = connection
        self._notice = notice

    def touch(self) -> None:
        """Say that the broker is alive. Raises `OSError`."""
        os.utime(self.lock_fd)

    def rows(self, table: Table) -> Iterator[Row]:
        """The rows of a table in the order of the key, without the checksum, and without those where it is
        wrong."""
        wrong = 0
        for row in self._connection.execute(select(table)):
            if is_sound(row):
                yield row[:-1]
            else:
                wrong += 1
        if wrong:
            self._notice(f"{self.path}: {wrong} damaged rows of table {table.name} are left out")

    def backlogs(self) -> Iterator[Backlog]:
        """The sessions for which something waits, by sid."""
        statement = "SELECT sid, count(*), sum(size), min(position) FROM queue GROUP BY sid"
        return map(Backlog._make, self._connection.execute(statement))

    def copies(self) -> Iterator[tuple[int, int]]:
        """The bodies that wait in more than one place: mid and the number of places."""
        return self._connection.execute(
            "SELECT mid, count(*) FROM queue WHERE mid > 0 GROUP BY mid HAVING count(*) > 1"
        )

    def backlog(self, sid: int, after_position: int, limit: int) -> list[tuple[Row, Row | None]]:
        """At most `limit` rows that wait for a session after a position, in order, each with its body.

        A row whose mid is 0 has no body. Less than `limit` rows come only at the end of the queue.
        """
        found: list[tuple[Row, Row | None]] = []
        missing = limit
        while missing:
            rows = self._connection.execute(BACKLOG, (sid, after_position, missing)).fetchall()
            for row in rows:
                self._add(found, row[:QUEUE_WIDTH], row[QUEUE_WIDTH:])
            if len(rows) < missing:
                break
            missing = limit - len(found)
            after_position = rows[-1][1]
        return found

    def _add(self, found: list[tuple[Row, Row | None]], queued: Row, message: Row) -> None:
        if is_sound(queued) and queued[2] == 0:
            found.append((queued[:-1], None))
        elif is_sound(queued) and is_sound(message):
            found.append((queued[:-1], message[:-1]))
        else:
            table = MESSAGE if is_sound(queued) else QUEUE
            key = f"sid {queued[0]}, position {queued[1]}"
            self._notice(f"{self.path}: a damaged row of table {table.name} is left out: {key}")

    def highest(self) -> Highest:
        """The highest numbers that rows have."""
        mid, position = self._highest("max(mid), max(position)", "queue")
        mids = self._highest("max(mid)", "message")
        sids = [
            self._highest("max(sid)", name)[0] for name in ("session", "subscription", "queue", "received")
        ]
        return Highest(max(sids), max(mid, *mids), position)

    def _highest(self, what: str, table: str) -> list[int]:
        row = self._connection.execute(f"SELECT {what} FROM {table}").fetchone()
        return [value if isinstance(value, int) else 0 for value in row]

    def close(self) -> None:
        """Close the file and give the lock free, unless the writer has it still."""
        self._connection.close()
        os.close(self.lock_fd)
