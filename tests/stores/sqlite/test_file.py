"""`mqttwist.stores.sqlite.file`: which files are opened, made, brought up to date, refused or moved aside."""

from __future__ import annotations

import os
import sqlite3

from mqttwist.stores.sqlite import file as file_module
from mqttwist.stores.sqlite import versions
from mqttwist.stores.sqlite.damage import check_wal
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.schema import SCHEMA_VERSION, WILL, Frame
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
        self.version(SCHEMA_VERSION)
        self.open()

    def test_a_directory(self) -> None:
        """What is not a file is an error of one line."""
        os.mkdir(self.path)
        self.assertIn("directory", self.refusal())

    def test_a_symbolic_link(self) -> None:
        """A store may be named by a link: the lock is beside the file, so that both names are one store."""
        self.make(puts(rows_of(1)))
        real = self.path
        os.mkdir(self.folder / "etc")
        self.path = str(self.folder / "etc" / "link.db")
        os.symlink(real, self.path)
        file = self.open()
        self.assertEqual((file.path, os.listdir(self.folder / "etc")), (real, ["link.db"]))
        self.path = real
        self.assertIn("in use", self.refusal())
        self.assertEqual(file.last_frame, 1)

    def test_a_link_to_what_is_damaged(self) -> None:
        """The damaged file is moved aside, not the link, which leads to the new one."""
        real = self.path
        self.path = str(self.folder / "link.db")
        os.symlink(real, self.path)
        self.open().close()
        with open(real, "wb") as damaged:
            damaged.write(b"x" * 8192)
        self.open()
        self.assertTrue(os.path.islink(self.path))
        self.assertEqual(self.files(), {"store.db", "store.db.lock", "link.db", ASIDE})

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

    def test_no_store(self) -> None:
        """A file that was named by mistake is left alone, and so is Mosquitto's, which is told apart."""
        for content, what in (
            (b"alice:$7$101$c2FsdA==$aGFzaA==\n", "no store"),
            (b"x", "no store"),
            (b"\0\xb5\0mosquitto db\0\0\0\6", "Mosquitto's, which can't be read"),
        ):
            with open(self.path, "wb") as file:
                file.write(content)
            self.assertEqual(self.refusal(), f"{self.path}: the file is {what}; it is left as it is")
            with open(self.path, "rb") as file:
                self.assertEqual(file.read(), content)
            self.assertEqual(self.files(), {"store.db"})


class FaultTests(FileCase):
    """Which of SQLite's faults make a store begin anew."""

    def break_sqlite(self, code: int, name: str) -> None:
        """Have SQLite fail with a code while the file is looked at."""

        def check(*arguments: object) -> None:
            error = sqlite3.OperationalError("it does not work")
            error.sqlite_errorcode, error.sqlite_errorname = code, name
            raise error

        self.patch(file_module, "check_wal", check)

    def test_what_is_no_damage(self) -> None:
        """A fault that is not in what the file holds is told, and the file stays: it may be whole."""
        self.make(puts(rows_of(1)))
        before = self.files()
        names = (
            "ABORT AUTH BUSY CANTOPEN ERROR FULL INTERNAL INTERRUPT IOERR LOCKED MISUSE NOLFS NOMEM PERM"
            " PROTOCOL READONLY READONLY_CANTLOCK READONLY_RECOVERY IOERR_READ CONSTRAINT TOOBIG"
        )
        for name in (f"SQLITE_{name}" for name in names.split()):
            self.break_sqlite(getattr(sqlite3, name), name)
            self.assertIn(f"{self.path}: it does not work ({name})", self.refusal())
            self.assertEqual(self.files(), before, name)

    def test_rights(self) -> None:
        """When the file or what is beside it belongs to another user, the text says where to look."""
        self.make([])
        self.break_sqlite(sqlite3.SQLITE_READONLY_CANTLOCK, "SQLITE_READONLY_CANTLOCK")
        self.assertIn("does the file, with its -wal and -shm, belong to the broker's user?", self.refusal())

    def test_what_is_damage(self) -> None:
        """A file that is damaged, or no database at all, is moved aside."""
        for name in ("SQLITE_CORRUPT", "SQLITE_CORRUPT_INDEX", "SQLITE_NOTADB"):
            self.make([])
            self.break_sqlite(getattr(sqlite3, name), name)
            # It fails for the new one as well, which ends the attempt.
            self.assertRaises(StoreError, open_store, self.path, 0.0, self.notices.append, now=lambda: NOW)
            self.assertIn(ASIDE, "".join(self.notices))
            self.patch(file_module, "check_wal", check_wal)


class VersionTests(FileCase):
    def test_newer(self) -> None:
        """A file of a newer version is refused, whatever else has changed in it, and left as it is."""
        self.make(puts(rows_of(3)))
        self.run_sql("DROP TABLE session", "CREATE TABLE invention (x)")
        self.version(SCHEMA_VERSION + 1)
        text = self.refusal()
        self.assertIn(
            f"schema version {SCHEMA_VERSION + 1}, which a newer mqttwist has made;"
            f" this one knows up to version {SCHEMA_VERSION}",
            text,
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
        """Let version 0 become ours by these statements."""

        def step(connection: sqlite3.Connection) -> None:
            for statement in statements:
                connection.execute(statement)

        steps = dict.fromkeys(range(1, SCHEMA_VERSION), lambda connection: None)
        self.patch(versions, "MIGRATIONS", {0: step, **steps})

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
        self.assertEqual(self.notices, [f"{self.path}: brought from schema version 0 to {SCHEMA_VERSION}"])
        self.assertEqual(self.content(self.open())["session"], rows["session"])
        self.assertEqual(len(self.notices), 1)

    def test_a_migration_that_fails(self) -> None:
        """A migration changes all or nothing."""
        self.make(puts(rows_of(3)))
        self.version(0)
        self.migrate("DROP TABLE will", "DROP TABLE nonsense")
        before = self.files()
        self.assertIn(
            f"can't be brought from schema version 0 to {SCHEMA_VERSION}: no such table: nonsense",
            self.refusal(),
        )
        self.assertEqual(self.files(), before)
        self.migrate()
        self.assertEqual(self.content(self.open())["will"], rows_of(3)["will"])
