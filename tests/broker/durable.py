"""A broker whose frames are stored when the test says so, and that can be killed at any moment.

    class SomeTests(DurableTestCase):
        def test_something(self) -> None:
            self.persistent("subscriber").subscribe("a", qos=1)   # frames are committed at once
            self.holding = True                                   # from now on they wait
            publisher = self.connected("publisher")
            publisher.publish("a", b"hi", qos=1)
            self.assertEqual(publisher.take(), [])
            self.commit()
            self.crash(after=5.0)                                 # five seconds later another broker runs

The file is an SQLite database in memory, with the tables and the statements of the real one: no disk, and no
time but the test's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.session.journal import Changes
from mqttwist.stores.sqlite import store as store_module
from mqttwist.stores.sqlite.database import apply
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import FRAME_LENGTH, TABLES, Frame, Row, pack_frame, unpack_frame
from mqttwist.stores.sqlite.sql import is_sound, select
from mqttwist.stores.sqlite.store import SQLiteStore
from mqttwist.stores.sqlite.versions import make
from tests.broker.harness import BrokerTestCase, TestClient

WALL = 4e9  # what the wall clock is ahead of the broker's at first, in seconds
NO_LOCK = -1  # the file descriptor of a lock that nobody has
NAMES = tuple(table.name for table in TABLES)


class Disk:
    """What is committed, and the one frame that is on its way there."""

    def __init__(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        make(self.connection)
        self.last_frame = 0
        self.alive_at: float | None = None  # by the wall clock
        self.frames: list[Frame] = []  # all that were handed over, in their order
        self.pending: Frame | None = None

    def copy(self) -> Disk:
        """Another disk with what is committed on this one."""
        other = Disk()
        self.connection.backup(other.connection)
        other.last_frame, other.alive_at = self.last_frame, self.alive_at
        return other

    def open_store(self, path: str, wait: float, notice: Callable[[str], object]) -> StoreFile:
        """In the place of `mqttwist.stores.sqlite.file.open_store`."""
        return StoreFile(
            path=path,
            connection=self.connection,
            lock_fd=NO_LOCK,
            notice=notice,
            last_frame=self.last_frame,
            alive_at=self.alive_at,
            was_clean=False,
            now=lambda: WALL,
        )

    def take(self, number: int, wall: float, changes: Changes) -> None:
        """A frame goes off; it goes through the form in which it reaches the writer."""
        frame = unpack_frame(pack_frame(number, wall, changes)[FRAME_LENGTH.size :])
        self.frames.append(frame)
        self.pending = frame

    def commit(self) -> int:
        """Have the frame on the disk; its number."""
        frame, self.pending = self.pending, None
        assert frame is not None, "no frame is under way"
        assert frame.number == self.last_frame + 1, "frames are counted one by one"
        apply(self.connection, frame)
        self.last_frame = frame.number
        return frame.number

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table, each by its columns; all must be sound."""
        columns = TABLES[NAMES.index(table)].columns
        rows = self.connection.execute(select(TABLES[NAMES.index(table)])).fetchall()
        assert all(is_sound(TABLES[NAMES.index(table)], row) for row in rows)
        return [dict(zip(columns, row, strict=False)) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many rows there are, of those tables that have some."""
        return {name: len(rows) for name in NAMES if (rows := self.rows(name))}


class DurableTestCase(BrokerTestCase):
    """Frames are committed as soon as they go off, unless `holding`."""

    def setUp(self) -> None:
        self.disk = Disk()
        self.holding = False
        self.jumped = 0.0
        self.login: Login = accept_everybody
        self.patch(store_module, "open_store", self._open_store)
        super().setUp()
        self.boot()

    def wall(self) -> float:
        return WALL + self.jumped + self.now

    def boot(self, settings: Settings | None = None) -> None:
        """Start a broker with what is on the disk."""
        self.store = store = SQLiteStore("memory", wall_clock=self.wall)
        store.open(self.fail)
        store.journal.sink = self._frame_came
        self.start(settings, self.login, store)

    def _open_store(self, path: str, wait: float, notice: Callable[[str], object]) -> StoreFile:
        return self.disk.open_store(path, wait, notice)

    def _frame_came(self, number: int, wall: float, changes: Changes) -> None:
        self.assertIsNone(self.disk.pending, "one frame at a time")
        self.disk.take(number, wall, changes)
        if not self.holding:
            self.store.journal.committed(self.disk.commit(), self.now)

    def commit(self) -> None:
        """The frame under way is stored, and the broker is told."""
        self.broker.stored(self.disk.commit())

    def commit_all(self) -> None:
        """The same until no frame is left."""
        while self.disk.pending is not None:
            self.commit()

    def crash(self, after: float = 0.0, kept: bool = False, settings: Settings | None = None) -> None:
        """Kill the broker; `after` seconds another one starts. `kept`: the frame under way was stored."""
        if kept and self.disk.pending is not None:
            self.disk.commit()
        self.disk.pending = None
        self.disk.alive_at = self.wall()
        self.now += after
        self.boot(settings)

    def rows_of_last_frame(self, table: str) -> tuple[list[Row], list[Row]]:
        """What the last frame puts into a table, and which keys it removes."""
        for index, puts, removes in self.disk.frames[-1].changes:
            if NAMES[index] == table:
                return puts, removes
        return [], []

    def persistent(self, client_id: str = "c", version: int = 5, **options: Any) -> TestClient:
        """A client whose session outlives its connection."""
        if version == 5:
            options.setdefault("session_expiry_interval", 100)
        options.setdefault("clean_start", False)
        return self.connected(client_id, version, **options)
