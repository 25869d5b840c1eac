"""The file as the writer sees it: transactions, checkpoints, and what to do when the disk fails."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from marshal import dumps
from time import monotonic
from typing import Final
from zlib import crc32

from mqttwist.stores.sqlite.schema import TABLES, Frame, Row, Table
from mqttwist.stores.sqlite.sql import Meta, put, read_meta, remove, write_meta

SOONEST: Final = 0.1
LATEST: Final = 1.0
SHARE: Final = 20
"""A checkpoint holds up commits. The next one is due after SHARE times as long as the last one took, but not
before SOONEST and not after LATEST seconds: often, so that each is short, but with a disk that is slow not
for more than a twentieth of the time."""

WAL_LIMIT: Final = 1 << 24
"""The bytes that the WAL keeps when it begins anew after a checkpoint."""

CACHE_KIB: Final = 16384

SYNC: Final = ("off", "normal", "full")

REMOVE: Final = [remove(table) for table in TABLES]

AT_ONCE: Final = 16
"""The rows of one statement: beginning and ending it costs as much as putting in a short row."""


class Database:
    """A file that `open_store` has made. It is opened anew after each failure."""

    def __init__(self, path: str, sync: str, clock: Callable[[], float] = monotonic) -> None:
        """`sync`: "off", "normal" or "full"; `clock` is for when checkpoints are due. Raises
        `ValueError` for another `sync`.
        """
        if sync.lower() not in SYNC:  # SQLite would not say a word
            raise ValueError(f"{sync!r} is none of {', '.join(SYNC)}")
        self.path = os.path.realpath(path)  # beside which SQLite has the WAL
        self.last_frame = 0
        self._last_at = 0.0
        self._tried: set[int] = set()  # last frames of commits that failed, which may be there nevertheless
        self._sync = sync
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._opened_before = False
        self._checkpoint_at: float | None = None
        self._pause = SOONEST

    def open(self) -> None:
        """Open the file, if it is not open. What an earlier process has written is on the disk then.

        Raises `sqlite3.Error`, `OSError`, and `ValueError` if it lacks what `open_store` puts into a file.
        """
        if self._connection is None:
            os.stat(self.path)  # SQLite would make a file that is missing
            connection = sqlite3.connect(self.path, isolation_level=None)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
            self._connection = connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA synchronous = {self._sync}")
        connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        # SQLite's default, but not Debian's, whose zeros are half as much again to write when a batch goes.
        connection.execute("PRAGMA secure_delete = OFF")
        meta = read_meta(connection)
        if meta is None:
            raise ValueError(f"{self.path} is no store")
        if not self._opened_before:
            # The writer before this one may have been killed between its last write and the sync.
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            self.last_frame, self._last_at = meta.last_frame, meta.last_at
            self._opened_before = True

    def commit(self, frames: list[Frame]) -> None:
        """Put frames in as one transaction, but those that are in the file already.

        A frame whose commit failed may be in the file nevertheless; it is put in again, which changes
        nothing. Raises what `open` raises, `OSError` if somebody else has put frames in, and what a value
        that has no place in a `Row` makes SQLite raise.
        """
        frames = [frame for frame in frames if frame.number > self.last_frame]
        if frames:
            last = frames[-1]
            self._transact(frames, Meta(last_frame=last.number, last_at=last.at, clean=0))
            self.last_frame, self._last_at = last.number, last.at

    def _transact(self, frames: list[Frame], meta: Meta) -> None:
        try:
            self.open()
            connection = self._connection
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            self._refuse_others(connection)
            for frame in frames:
                apply(connection, frame)
            write_meta(connection, meta)
            self._tried.add(meta.last_frame)
            connection.execute("COMMIT")
        except BaseException:
            self._drop()
            raise
        self._tried.clear()
        if self._checkpoint_at is None:
            self._checkpoint_at = self._clock() + self._pause

    def _refuse_others(self, connection: sqlite3.Connection) -> None:
        """Raise `OSError` if there is another writer, as when somebody removes the lock beside the file."""
        meta = read_meta(connection)
        if meta is not None and meta.last_frame != self.last_frame and meta.last_frame not in self._tried:
            raise OSError(
                f"{self.path} was changed by somebody else: its last frame is {meta.last_frame}, not"
                f" {self.last_frame}"
            )

    def sizes(self) -> tuple[int, int]:
        """The bytes of the file and of its WAL. Raises `OSError` when somebody took one of them away."""
        return os.stat(self.path).st_size, os.stat(self.path + "-wal").st_size

    def checkpoint_due(self) -> float | None:
        """The seconds until `checkpoint` has something to do; None: not before the next commit."""
        return None if self._checkpoint_at is None else max(0.0, self._checkpoint_at - self._clock())

    def checkpoint(self) -> None:
        """Copy what the WAL holds into the file, if it is time to. When that fails the WAL goes on
        growing."""
        began = self._clock()
        if self._connection is not None and self._checkpoint_at is not None and self._checkpoint_at <= began:
            self._checkpoint_at = None
            try:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            except sqlite3.Error:
                self._drop()
            self._pause = min(LATEST, max(SOONEST, SHARE * (self._clock() - began)))

    def close(self, clean: bool) -> None:
        """Close the file; `clean` notes in it that the broker ended in order. Faults are of no use to
        anybody."""
        with contextlib.suppress(sqlite3.Error, OSError, ValueError):
            if clean:
                self._transact([], Meta(last_frame=self.last_frame, last_at=self._last_at, clean=1))
            if self._connection is not None:
                self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        self._drop()

    def _drop(self) -> None:
        """Give the connection up, with the transaction that is open in it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def apply(connection: sqlite3.Connection, frame: Frame) -> None:
    """Make the changes of a frame in the transaction that is open. Raises what SQLite raises."""
    for index, puts, removes in frame.changes:
        if removes:
            connection.executemany(REMOVE[index], removes)
        if puts:
            put_in(connection, TABLES[index], puts)


def put_in(connection: sqlite3.Connection, table: Table, rows: list[Row]) -> None:
    """Put rows into a table. Raises what SQLite raises."""
    for width in set(map(len, rows)):
        equal = [row for row in rows if len(row) == width]
        end = len(equal) - len(equal) % AT_ONCE
        for at in range(0, end, AT_ONCE):
            connection.execute(put(table, width, AT_ONCE), values(equal[at : at + AT_ONCE], width))
        for row in equal[end:]:
            connection.execute(put(table, width), values([row], width))


def values(rows: list[Row], width: int) -> list[object]:
    """The rows as the statement that puts them in takes them, `schema.checksum` at the end of each.

    Python binds a bytearray three times as fast as bytes, for which it looks for an adapter first.
    """
    found: list[object] = []
    for row in rows:
        found += row
        found.append(crc32(dumps(row, 2)))
    for column, value in enumerate(rows[0]):
        if type(value) is bytes:
            found[column :: width + 1] = [
                bytearray(one) if type(one) is bytes else one for one in found[column :: width + 1]
            ]
    return found
