"""`mqttwist.stores.sqlite.file`: which files are opened, made, brought up to date, refused or moved aside."""

from __future__ import annotations

import os
import sqlite3

from mqttwist.stores.sqlite import versions
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.schema import WILL, Frame
from mqttwist.stores.sqlite.sql import Meta, create, write_meta
from tests.stores.sqlite.support import NOW, StoreCase, puts, rows_of

ASIDE = "store.db.damaged-20231114-221320"


class FileCase(StoreCase):
    def run_sql(self, *statements: str) -> None:
        """Change the file as no mqttwist would."""
        connection = sqlite3.connect(self.path)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
        connection.close()

    def refusal(self, wait: float = 0.0) -> str:
        """Why the store can't be opened."""
        error = self.assertRaises(StoreError, open_store, self.path, wait, self.notices.append)
        self.assertEqual(self.notices, [])
        return str(error)

    def files(self) -> set[str]:
        """The names of the files in the folder, but for what SQLite has beside an open file."""
        return {name for name in os.listdir(self.folder) if not name.endswith(("-wal", "-shm"))}

    def version(self, number: int) -> None:
        """Say that the file has another schema version."""
        connection = sqlite3.connect(self.path)
        write_meta(connection, Meta(schema_version=number))
        connection.commit()
        connection.close()


class OpenTests(FileCase):
    def test_a_new_file(self) -> None:
        """A file that is made is empty, its owner's alone, and nothing is said about it."""
        self.addCleanup(os.umask, os.umask(0))
        file = self.open()
        self.assertEqual((file.last_frame, file.alive_at, file.was_clean), (0, None, True))
        self.assertEqual(self.content(file), {name: [] for name in rows_of(0)})
        Database(self.path, "off").commit([Frame(1, NOW, puts(rows_of(1)))])
        for end in ("", "-wal", "-shm", ".lock"):
            self.assertEqual(oct(os.stat(self.path + end).st_mode & 0o777), "0o600", end)
        self.assertEqual(self.notices, [])

    def test_alive(self) -> None:
        """The broker was alive when it last touched the file, or made its last frame, if that was later."""
        self.make(puts(rows_of(1)))
        for touched, alive_at in ((NOW + 5, NOW + 5), (NOW - 5, NOW)):
            os.utime(self.path + ".lock", (touched, touched))
            file = self.open()
            self.assertEqual(file.alive_at, alive_at)
            file.close()

    def test_touch(self) -> None:
        """The time of the touch is now."""
        file = self.open()
        os.utime(self.path + ".lock", (1.0, 1.0))
        file.touch()
        self.assertGreater(os.stat(self.path + ".lock").st_mtime, NOW)

    def test_no_directory(self) -> None:
        """A directory that is missing is not made: its name may be a slip."""
        self.path = str(self.folder / "missing" / "store.db")
        self.assertEqual(self.refusal(), f"{self.path}: there is no directory {self.folder / 'missing'}")

    def test_in_use(self) -> None:
        """A store has one broker at a time."""
        file = self.open()
        self.assertEqual(self.refusal(), f"{self.path} is in use by process {os.getpid()}")
        file.close()
        self.open()

    def test_what_is_refused_is_not_locked(self) -> None:
        """After an error the lock is free."""
        self.make([])
        self.version(99)
        self.refusal()
        self.version(1)
        self.open()

    def test_a_directory(self) -> None:
        """What is not a file is an error of one line."""
        os.mkdir(self.path)
        self.assertIn("directory", self.refusal())

    def test_killed_while_it_was_made(self) -> None:
        """A file without tables, as a broker leaves it that is killed while it makes one, is a new one."""
        self.run_sql("PRAGMA journal_mode = WAL")
        self.assertIsNone(self.open().alive_at)
        self.assertEqual((self.notices, self.files()), ([], {"store.db", "store.db.lock"}))

    def test_another_program(self) -> None:
        """What another program keeps in SQLite is left alone."""
        self.run_sql("CREATE TABLE bookmarks (url)")
        self.assertIn("another program", self.refusal())
        self.assertEqual(self.files(), {"store.db", "store.db.lock"})


class VersionTests(FileCase):
    def test_newer(self) -> None:
        """A file of a newer version is refused, whatever else has changed in it, and left as it is."""
        self.make(puts(rows_of(3)))
        self.run_sql("DROP TABLE session", "CREATE TABLE invention (x)")
        self.version(2)
        text = self.refusal()
        self.assertIn(
            "schema version 2, which a newer mqttwist has made; this one knows up to version 1", text
        )
        self.version(1)
        self.open()
        self.assertTrue(self.notices)  # now it is but a file whose tables are wrong

    def test_too_old(self) -> None:
        """A version that there is no way from is refused."""
        self.make([])
        self.version(-1)
        self.assertIn("schema version -1, which this mqttwist can't read any more", self.refusal())

    def migrate(self, *statements: str) -> None:
        """Let version 0 become version 1 by these statements."""
        self.patch(versions, "MIGRATIONS", {0: statements})

    def test_older(self) -> None:
        """An older file is brought to our version with what is in it, and somebody is told."""
        rows = rows_of(3)
        self.make(puts(rows))
        self.run_sql("ALTER TABLE will RENAME TO testament")
        self.version(0)
        self.migrate(
            create(WILL),
            "INSERT INTO will SELECT * FROM testament",
            "DROP TABLE testament",
        )
        file = self.open()
        self.assertEqual(self.content(file)["will"], rows["will"])
        file.close()
        self.assertEqual(self.notices, [f"{self.path}: brought from schema version 0 to 1"])
        self.assertEqual(self.content(self.open())["session"], rows["session"])
        self.assertEqual(len(self.notices), 1)

    def test_a_migration_that_fails(self) -> None:
        """A migration changes all or nothing."""
        self.make(puts(rows_of(3)))
        self.version(0)
        self.migrate("DROP TABLE will", "DROP TABLE nonsense")
        before = self.files()
        self.assertIn("can't be brought from schema version 0 to 1: no such table: nonsense", self.refusal())
        self.assertEqual(self.files(), before)
        self.migrate()
        self.assertEqual(self.content(self.open())["will"], rows_of(3)["will"])
