"""`mqttwist.stores.sqlite.database`: transactions, and what becomes of them when the disk fails."""

from __future__ import annotations

import os
import sqlite3

from mqttwist.stores.sqlite.database import LATEST, SOONEST, Database
from mqttwist.stores.sqlite.schema import BATCH, MESSAGE, QUEUE, TABLES, Change, Frame
from tests.stores.sqlite.support import NOW, StoreCase, body, puts, queued, rows_of

MESSAGES = TABLES.index(MESSAGE)
QUEUED = TABLES.index(QUEUE)


class LateFault:
    """A connection whose commit fails when all is done."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.executemany = connection.executemany
        self.close = connection.close

    def execute(self, statement: str, values: tuple[str | float | None, ...] = ()) -> sqlite3.Cursor:
        cursor = self.connection.execute(statement, values)
        if statement == "COMMIT":
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


class DatabaseCase(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.open().close()
        self.database = self.another()

    def another(self, sync: str = "off") -> Database:
        """One more writer's view of the store."""
        database = Database(self.path, sync, lambda: self.now)
        self.addCleanup(database.close, False)
        return database

    def commit(self, number: int, *changes: Change) -> None:
        self.database.commit([Frame(number, NOW + number, list(changes))])

    def numbers(self) -> list[int]:
        """The numbers of the messages in the file."""
        return [row[0] for row in self.rows(MESSAGE)]


class CommitTests(DatabaseCase):
    def test_every_table(self) -> None:
        """What is put into each of the tables comes back, value by value and type by type."""
        rows = rows_of(50)
        self.commit(1, *puts(rows))
        content = self.content(self.open())
        for table in TABLES:
            self.assertEqual(content[table.name], sorted(rows[table.name], key=lambda row: row[: table.key]))
            types = [[type(value) for value in row] for row in content[table.name]]
            self.assertEqual(types, [[type(value) for value in row] for row in sorted(rows[table.name])])
        self.assertEqual(self.notices, [])

    def test_removes(self) -> None:
        """A row goes by its key, from each of the tables; a key that is not there is no fault."""
        rows = rows_of(5)
        self.commit(1, *puts(rows))
        keys = {table.name: [row[: table.key] for row in rows[table.name][1:]] for table in TABLES}
        self.commit(2, *[(index, [], keys[table.name]) for index, table in enumerate(TABLES)])
        self.commit(3, *[(index, [], keys[table.name]) for index, table in enumerate(TABLES)])
        left = {name: rows[name][:1] for name in rows}
        self.assertEqual(self.content(self.open()), left)

    def test_another_value(self) -> None:
        """A row takes the place of one with the same key, in each of the tables."""
        rows = rows_of(3)
        self.commit(1, *puts(rows))
        keyless = ("received",)  # is nothing but a key
        other = {
            table.name: [(*row[: table.key], *row[table.key : -1], "other") for row in rows[table.name]]
            for table in TABLES
            if table.name not in keyless
        }
        self.commit(2, *[change for change in puts(other) if TABLES[change[0]].columns[-1] != "payload"])
        content = self.content(self.open())
        for name in ("session", "subscription", "queue", "retained"):
            self.assertEqual(content[name], sorted(other[name]), name)

    def test_removes_go_first(self) -> None:
        """A key that is removed and put in by one frame is there afterwards."""
        self.commit(1, (MESSAGES, [body(1)], []))
        self.commit(2, (MESSAGES, [body(1, b"new"), body(2)], [(1,), (2,)]))
        self.assertEqual(self.rows(MESSAGE), [body(1, b"new"), body(2)])

    def test_frames_in_order(self) -> None:
        """Of several frames in one transaction the last word on a row counts."""
        frames = [Frame(n, NOW, [(MESSAGES, [body(1, b"%d" % n)], [])]) for n in (1, 2, 3)]
        self.database.commit(frames)
        self.assertEqual(self.rows(MESSAGE), [body(1, b"3")])
        self.assertEqual(self.open().last_frame, 3)

    def test_a_frame_that_came_before(self) -> None:
        """A frame whose number is not above the last one's changes nothing, in another process neither."""
        self.commit(1, (MESSAGES, [body(1)], []))
        self.commit(2, (MESSAGES, [], [(1,)]))
        self.commit(1, (MESSAGES, [body(1)], []))
        self.database.close(False)
        self.database = self.another()
        self.database.open()
        self.assertEqual(self.database.last_frame, 2)
        self.commit(1, (MESSAGES, [body(1)], []))
        self.commit(2, (MESSAGES, [body(2)], []))
        self.assertEqual(self.numbers(), [])

    def test_when_it_was(self) -> None:
        """The file knows when its last frame was made."""
        self.commit(1, (MESSAGES, [body(1)], []))
        self.commit(2)
        os.utime(self.path + ".lock", (1.0, 1.0))
        self.assertEqual(self.open().alive_at, NOW + 2)

    def test_wrong_sync(self) -> None:
        """A level that SQLite does not know is refused: it would take no notice of it."""
        self.assertRaises(ValueError, Database, self.path, "fulll")

    def test_levels(self) -> None:
        """The levels are those of SQLite: 0 syncs nothing, 1 with checkpoints, 2 with each commit."""
        for level, sync in enumerate(("off", "normal", "full")):
            database = self.another(sync)
            database.open()
            connection = database._connection
            assert connection is not None
            self.assertEqual(connection.execute("PRAGMA synchronous").fetchone(), (level,))

    def test_what_a_removed_batch_costs(self) -> None:
        """The pages of a batch that is removed are not written once more, with zeros."""
        batch = (1, 1, 2, 2, 600, bytes(40_000))
        at = TABLES.index(BATCH)
        self.database.commit([Frame(1, NOW, [(at, [batch], [])])])
        before = self.database.sizes()[1]
        self.database.commit([Frame(2, NOW, [(at, [], [(1,)])])])
        self.assertLess(self.database.sizes()[1] - before, 30_000)


class FailureTests(DatabaseCase):
    def limit(self, pages: int) -> None:
        """Let the file have no more pages than it has and so many; it lasts until it is opened anew."""
        self.database.open()
        connection = self.database._connection
        assert connection is not None
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + pages}")

    def test_full(self) -> None:
        """Nothing of a transaction that fails in the middle is in the file; sent again all of it is."""
        self.commit(1, (MESSAGES, [body(1)], []))
        changes: list[Change] = [
            (MESSAGES, [body(n, b"x" * 4000) for n in range(2, 20)], [(1,)]),
            (QUEUED, [queued(2)], []),
        ]
        self.limit(5)
        error = self.assertRaises(sqlite3.OperationalError, self.commit, 2, *changes)
        self.assertIn("full", str(error))
        self.assertEqual((self.numbers(), self.rows(QUEUE)), ([1], []))
        self.assertEqual(self.database.last_frame, 1)
        self.commit(2, *changes)
        self.assertEqual((self.numbers(), self.rows(QUEUE)), (list(range(2, 20)), [queued(2)]))
        self.assertEqual(self.open().last_frame, 2)

    def test_a_connection_that_is_broken(self) -> None:
        """When the connection itself is of no use any more the next commit has another one."""
        self.commit(1, (MESSAGES, [body(1)], []))
        connection = self.database._connection
        assert connection is not None
        connection.close()
        self.assertRaises(sqlite3.ProgrammingError, self.commit, 2, (MESSAGES, [body(2)], []))
        self.commit(2, (MESSAGES, [body(2)], []))
        self.assertEqual(self.numbers(), [1, 2])

    def test_a_commit_that_failed_and_yet_is_there(self) -> None:
        """A frame that is said to have failed is put in again, although the file has its number."""
        self.commit(1)
        connection = self.database._connection
        assert connection is not None
        self.database._connection = LateFault(connection)  # type: ignore[assignment]
        self.assertRaises(sqlite3.OperationalError, self.commit, 2, (MESSAGES, [body(7)], []))
        self.assertEqual(self.numbers(), [7])
        self.assertEqual((self.database.last_frame, self.open().last_frame), (1, 2))
        self.commit(2, (MESSAGES, [body(7), body(8)], []))
        self.commit(3, (MESSAGES, [body(9)], []))

    def another_commits(self, number: int) -> None:
        """What another writer puts in."""
        other = self.another()
        other.commit([Frame(number, NOW, [(MESSAGES, [body(number)], [])])])
        other.close(False)

    def test_somebody_else(self) -> None:
        """What another writer has put in is not mixed with ours, however often ours is tried."""
        self.commit(1)
        self.another_commits(2)
        self.another_commits(3)
        for number in (2, 3, 3, 4):
            error = self.assertRaises(OSError, self.commit, number, (MESSAGES, [body(70)], []))
            self.assertIn("changed by somebody else: its last frame is 3, not 1", str(error))
        self.database.close(True)
        self.assertEqual((self.numbers(), self.open().was_clean), ([2, 3], False))

    def test_many_rows(self) -> None:
        """Rows that go in many at a time come back, whatever their lengths and the kinds of their values."""
        rows = [
            queued(n, n) if n % 3 else (1, n, 100, 1, b"%d" % n, "t", *([None, n] if n % 2 else []))
            for n in range(1, 100)
        ]
        self.commit(1, (QUEUED, rows, []))
        self.commit(2, (QUEUED, [queued(n, 7) for n in range(1, 40)], []))
        self.assertEqual(self.rows(QUEUE), [queued(n, 7) for n in range(1, 40)] + rows[39:])

    def test_a_row_of_another_length(self) -> None:
        """A row that lacks a value is refused, where each row has all."""
        self.assertRaises(ValueError, self.commit, 1, (MESSAGES, [body(1)[:-1]], []))
        self.assertEqual(self.numbers(), [])

    def test_a_value_that_has_no_place(self) -> None:
        """A row that SQLite can't take makes its frame fail, and no other."""
        for value in (1 << 63, "\ud800", object()):
            wrong = (*body(2)[:1], value, *body(2)[2:])
            with self.assertRaises((OverflowError, ValueError, sqlite3.Error)):
                self.commit(1, (MESSAGES, [body(1), wrong], []))
        self.commit(1, (MESSAGES, [body(3)], []))
        self.assertEqual(self.numbers(), [3])

    def test_a_file_that_was_taken_away(self) -> None:
        """A file that somebody deletes is missed, and no other is made in its place."""
        self.commit(1)
        self.assertEqual(len(self.database.sizes()), 2)
        os.unlink(self.path)
        self.assertRaises(FileNotFoundError, self.database.sizes)
        self.database._drop()
        self.assertRaises(FileNotFoundError, self.commit, 2)
        self.assertFalse(os.path.exists(self.path))

    def test_what_is_no_store(self) -> None:
        """The writer does not make the tables: `open_store` does."""
        path = str(self.folder / "other.db")
        sqlite3.connect(path).close()
        with open(path, "wb"):
            pass
        self.assertRaises(sqlite3.OperationalError, Database(path, "off").open)


class CheckpointTests(DatabaseCase):
    def test_when_it_is_due(self) -> None:
        """A checkpoint is due some time after a commit, then not before there is another commit."""
        self.assertIsNone(self.database.checkpoint_due())
        self.commit(1)
        self.assertEqual(self.database.checkpoint_due(), SOONEST)
        self.now += SOONEST / 2
        self.commit(2)
        self.database.checkpoint()
        self.assertEqual(self.database.checkpoint_due(), SOONEST / 2)
        self.now += SOONEST
        self.assertEqual(self.database.checkpoint_due(), 0.0)
        self.database.checkpoint()
        self.assertIsNone(self.database.checkpoint_due())

    def test_a_slow_disk(self) -> None:
        """The longer a checkpoint takes the longer it is until the next one, up to a limit."""
        for seconds, pause in ((0.001, SOONEST), (0.02, 0.4), (0.5, LATEST)):
            self.commit(self.database.last_frame + 1)
            self.now += LATEST
            times = iter((self.now, self.now + seconds))
            self.database._clock = lambda times=times: next(times)  # type: ignore[misc]
            self.database.checkpoint()
            self.database._clock = lambda: self.now
            self.commit(self.database.last_frame + 1)
            due = self.database.checkpoint_due()
            assert due is not None
            self.assertEqual(round(due, 6), pause)
            self.database._checkpoint_at = None

    def test_the_wal_does_not_grow(self) -> None:
        """With a checkpoint after each the WAL does not get longer, however many commits there are."""
        sizes = set()
        for number in range(1, 200):
            self.commit(number, (MESSAGES, [body(1, b"x" * 9000)], []))
            self.now += LATEST
            self.database.checkpoint()
            sizes.add(self.database.sizes()[1])
        self.assertLess(max(sizes), 100_000)
        self.assertEqual(self.numbers(), [1])

    def test_at_the_end(self) -> None:
        """When the writer is done nothing is left in the WAL, and the file says whether all was in order."""
        for clean in (False, True):
            with self.subTest(clean=clean):
                self.commit(self.database.last_frame + 1, (MESSAGES, [body(1)], []))
                self.database.close(clean)
                self.assertFalse(os.path.exists(self.path + "-wal"))
                file = self.open()
                self.assertEqual(file.was_clean, clean)
                file.close()
