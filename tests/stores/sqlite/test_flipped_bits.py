"""A disk that lies: whatever bit of a file is another one, no wrong row is ever served."""

from __future__ import annotations

import os
from marshal import loads
from pathlib import Path
from random import Random

from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import TABLES, Frame, Row
from tests.stores.sqlite.support import NOW, StoreCase, puts, rows_of

TOLD = ("session", "subscription", "received", "retained", "will", "spent")
"""The tables that are read as a whole, so that what is missing is told of at the start."""


class FlippedBitsTests(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.rows_written = rows_of(120)
        self.chance = Random(1)

    def spoil(self, name: str, data: bytes) -> None:
        """Write a file with one bit of it another one."""
        spoilt = bytearray(data)
        spoilt[self.chance.randrange(len(spoilt))] ^= 1 << self.chance.randrange(8)
        (self.folder / name).write_bytes(spoilt)

    def clear(self) -> None:
        """Remove all files but the lock, by which a store is known."""
        for name in os.listdir(self.folder):
            if not name.endswith(".lock"):
                os.unlink(self.folder / name)
        self.notices.clear()

    def read(self, file: StoreFile) -> dict[str, list[Row]]:
        """All that the broker can read, in the way it reads it."""
        found = {table.name: list(file.rows(table)) for table in TABLES if table.name in TOLD}
        waiting = [pair for sid, *_ in file.backlogs() for pair in file.backlog(sid, 0, 1000)]
        found["queue"] = [row for row, _ in waiting]
        found["message"] = [message for _, message in waiting if message is not None]
        found["batch"] = []
        for sid in (1, 2, 3):
            after = 0
            while (batch := file.next_batch(sid, after)) is not None:
                after = batch.position
                self.assertEqual(batch.rows, loads(self.rows_written["batch"][after - 1][-1]))
                found["batch"].append(self.rows_written["batch"][after - 1])
        self.assertLessEqual(file.highest().position, 120)
        list(file.copies())
        return found

    def check(self) -> str:
        """Open the file and read it: nothing may be in it that was not written. Returns what was found."""
        file = self.open()
        self.addCleanup(file.close)
        found = self.read(file)
        file.close()
        for name, rows in found.items():
            self.assertEqual(set(rows) - set(self.rows_written[name]), set(), name)
        if any("moved to" in notice for notice in self.notices):
            self.assertEqual([rows for rows in found.values() if rows], [])
            return "moved aside"
        missing = [name for name in TOLD if len(found[name]) < len(self.rows_written[name])]
        self.assertTrue(self.notices or not missing, missing)
        return "told" if self.notices else "sound"

    def test_in_the_file(self) -> None:
        """Each of 200 flipped bits is harmless, or told of with the rows it cost, or the file is moved."""
        self.make(puts(self.rows_written))
        data = Path(self.path).read_bytes()
        results = set()
        for _ in range(200):
            self.clear()
            self.spoil("store.db", data)
            results.add(self.check())
        self.assertEqual(results, {"moved aside", "told", "sound"})

    def test_a_key(self) -> None:
        """A row in a wrong place, which might hide others, is taken out, and the others are all found."""
        self.make(puts(self.rows_written))
        data = Path(self.path).read_bytes()
        found = b"\x02\x07\x00\x02\x00\x00\x00\x00\x07\x07"  # session 2, position 7, size 2**33, body 7
        self.assertIn(found, data)  # twice, where a page that was split still has what has gone
        Path(self.path).write_bytes(data.replace(found, b"\x02\x7f" + found[2:]))
        file = self.open()
        self.assertIn("is damaged: row not in PRIMARY KEY order for queue", self.notices[0])
        self.assertEqual(self.notices[2:], [f"{self.path}: 1 damaged rows of table queue are left out"])
        positions = [row[1] for row, _ in file.backlog(2, 0, 100)]
        self.assertEqual(positions, [n for n in range(1, 121) if n % 3 == 1 and n != 7])

    def test_a_text_of_the_schema(self) -> None:
        """A file whose tables are described by what is no text is moved aside."""
        self.make(puts(self.rows_written))
        data = Path(self.path).read_bytes()
        for old, new in ((b"retained(", b"retai\xffed("), (b"retained (", b"retai\xffed (")):
            data = data.replace(old, new)
        Path(self.path).write_bytes(data)
        self.assertEqual(self.check(), "moved aside")

    def test_the_kind_of_journal(self) -> None:
        """A file that says it has no WAL, which would let readers hold up the writer, gets one again."""
        self.make(puts(self.rows_written))
        data = bytearray(Path(self.path).read_bytes())
        self.assertEqual(data[18:20], b"\2\2")
        for spoilt in (b"\1\1", b"\2\0"):
            data[18:20] = spoilt
            Path(self.path).write_bytes(data)
            self.assertEqual(self.check(), "sound")
            self.assertEqual(Path(self.path).read_bytes()[18:20], b"\2\2")

    def test_in_the_first_page(self) -> None:
        """Also where the file says what it is."""
        self.make(puts(self.rows_written))
        data = Path(self.path).read_bytes()
        for place in range(100):
            self.clear()
            spoilt = bytearray(data)
            spoilt[place] ^= 1 << self.chance.randrange(8)
            Path(self.path).write_bytes(spoilt)
            self.check()

    def test_in_the_wal(self) -> None:
        """Frames behind a damage of the WAL are missing, which is told if they are three; none by half."""
        self.open().close()
        database = Database(self.path, "off")
        self.addCleanup(database.close, False)
        frames = []
        for number in range(1, 21):
            rows = {name: rows[number * 5 - 5 : number * 5] for name, rows in self.rows_written.items()}
            frames.append(Frame(number, NOW, puts(rows)))
            database.commit([frames[-1]])
        data, wal = Path(self.path).read_bytes(), Path(self.path + "-wal").read_bytes()
        database.close(False)
        counts = set()
        for _ in range(50):
            self.clear()
            Path(self.path).write_bytes(data)
            self.spoil("store.db-wal", wal)
            file = self.open()
            content = self.content(file)
            file.close()
            for name, found in content.items():
                whole = [row for frame in frames[: file.last_frame] for row in self.put_by(frame, name)]
                self.assertEqual(sorted(found), sorted(whole), name)
            counts.add(file.last_frame)
            if file.last_frame < 17:
                self.assertIn("store.db-wal is damaged: the last changes are lost", "".join(self.notices))
            elif file.last_frame > 18:
                self.assertEqual(self.notices, [])
        self.assertGreater(len(counts), 10)

    def test_a_wal_that_is_damaged_is_told_once(self) -> None:
        """The next starts do not find the same damage again; the copies are their owner's alone."""
        self.addCleanup(os.umask, os.umask(0))
        self.open().close()
        database = Database(self.path, "off")
        self.addCleanup(database.close, False)
        for number in range(1, 11):
            database.commit([Frame(number, NOW, puts({"received": [(number, 1)]}))])
        data, wal = Path(self.path).read_bytes(), bytearray(Path(self.path + "-wal").read_bytes())
        database.close(False)
        for place in (100, len(wal) // 2, 3):  # in the first frame, in a later one, in the head
            self.clear()
            spoilt = bytearray(wal)
            spoilt[place] ^= 1
            Path(self.path).write_bytes(data)
            Path(self.path + "-wal").write_bytes(spoilt)
            contents = []
            for _ in range(3):
                file = self.open()
                contents.append(self.content(file))
                # A broker that is killed leaves its WAL: so does this one.
                left = {end: Path(self.path + end).read_bytes() for end in ("", "-wal")}
                file.close()
                for end, what in left.items():
                    Path(self.path + end).write_bytes(what)
            self.assertEqual(contents[1:], contents[:1] * 2)
            self.assertEqual(len(self.notices), 1, self.notices)
            copies = sorted(name for name in os.listdir(self.folder) if "damaged" in name)
            self.assertEqual(len(copies), 2, copies)
            self.assertEqual((self.folder / copies[1]).read_bytes(), bytes(spoilt))
            modes = {(self.folder / name).stat().st_mode & 0o777 for name in copies}
            self.assertEqual(modes, {0o600})

    def put_by(self, frame: Frame, name: str) -> list[Row]:
        """The rows that a frame puts into a table."""
        return [row for index, rows, _ in frame.changes if TABLES[index].name == name for row in rows]
