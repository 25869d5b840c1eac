"""`python -m mqttwist store check` and `store dump`."""

from __future__ import annotations

import io
import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.__main__ import main
from mqttwist.stores.sqlite import command
from mqttwist.stores.sqlite.database import Database, put_in
from mqttwist.stores.sqlite.schema import RECEIVED, SCHEMA_VERSION, TABLES, Frame
from mqttwist.tap import Options
from tests.stores.sqlite.support import BOUND, NOW, ROOT, body, puts, queued, rows_of
from tests.stores.sqlite.test_reader import ReaderCase

IMPORTED = "import sys, mqttwist.__main__; print('twisted' in sys.modules)"


class Full(sqlite3.Connection):
    """A connection of which no copy can be made."""

    def backup(self, *arguments: object, **options: object) -> None:
        raise sqlite3.OperationalError("full")


class Impatient(io.StringIO):
    """Standard output that lets the store go on, and its WAL begin anew, before each line that it takes."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self.connection = sqlite3.connect(path, timeout=0, isolation_level=None)
        self.connection.execute("PRAGMA synchronous = off")
        self.busy: set[int] = set()

    def write(self, text: str) -> int:
        self.connection.execute("DELETE FROM received")
        self.busy.add(self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0])
        return super().write(text)


class CommandCase(ReaderCase):
    def setUp(self) -> None:
        super().setUp()
        self.stdout, self.stderr = io.StringIO(), io.StringIO()

    def run_command(self, action: str) -> int:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        return main(["store", action, self.path], self.stdout, self.stderr)

    def faults(self) -> list[str]:
        """What `check` finds wrong; its exit status must say the same."""
        status = self.run_command("check")
        faults = [line for line in self.stdout.getvalue().splitlines() if line.startswith("FAULT ")]
        self.assertEqual(status, 1 if faults else 0)
        self.assertEqual(self.stderr.getvalue(), "")
        return [fault.removeprefix("FAULT ") for fault in faults]


class CheckTests(CommandCase):
    def make_sound(self) -> None:
        """A store in which everything refers to what is there."""
        rows = rows_of(6)
        rows["queue"].append(queued(7))
        self.make(puts(rows))

    def test_sound(self) -> None:
        """A store without a fault is counted."""
        self.make_sound()
        self.assertEqual(self.faults(), [])
        counts = [
            "session: 6",
            "subscription: 12",
            "message: 5",
            "queue: 7",
            "received: 6",
            "retained: 6",
            "will: 6",
            "batch: 6",
            "spent: 6",
        ]
        self.assertEqual(
            self.stdout.getvalue().splitlines(), [*[f"{count} rows" for count in counts], "no fault"]
        )

    def test_in_use(self) -> None:
        """A store that a broker has open can be checked, with what is in the WAL only."""
        file = self.open()
        database = Database(self.path, "off")
        self.addCleanup(database.close, False)
        database.commit([Frame(1, NOW, puts({"message": [body(1)], "queue": [queued(1, 1)]}))])
        self.assertEqual(self.faults(), ["1 queued messages without a session"])
        self.assertEqual(list(file.backlog(1, 0, 9)), [(queued(1, 1), body(1))])

    def test_checksums(self) -> None:
        """Rows with a wrong checksum are counted by table."""
        self.make_sound()
        self.spoil("session", "username", "root", "sid < 3")
        self.spoil("retained", "qos", 9)
        self.spoil("meta", "last_frame", 7)
        self.assertEqual(
            self.faults(),
            [
                "the row about the file is damaged",
                "session: 2 rows have a wrong checksum",
                "retained: 6 rows have a wrong checksum",
            ],
        )

    def test_references(self) -> None:
        """What refers to something that is not there, and a body that nothing refers to, are faults."""
        rows = rows_of(6)
        del rows["session"][0], rows["message"][1], rows["queue"][4], rows["batch"][4]
        self.make(puts(rows))
        self.assertEqual(
            self.faults(),
            [
                "2 subscriptions without a session",
                "2 queued messages without a session",
                "1 QoS 2 packet identifiers without a session",
                "1 wills without a session",
                "2 batches without a session",
                "1 notes of what is over of a batch without the batch",
                "1 queued messages without a body",
                "1 bodies that no queue holds",
            ],
        )

    def test_structure(self) -> None:
        """Pages that are not what SQLite made of them are a fault, or make the file unreadable."""
        self.make(puts(rows_of(200)))
        data = bytearray(Path(self.path).read_bytes())
        at = data.index(b"r\xc3\xa4ume/100") // 4096 * 4096
        data[at : at + 8] = bytes(8)
        Path(self.path).write_bytes(data)
        status = self.run_command("check")
        self.assertIn((status, "malformed" in self.stderr.getvalue()), ((2, True), (1, False)))

    def test_it_changes_nothing(self) -> None:
        """Neither command writes to the file, damaged or not."""
        self.make_sound()
        self.spoil("session", "username", "root")
        before = Path(self.path).read_bytes()
        self.run_command("check")
        self.run_command("dump")
        self.assertEqual(Path(self.path).read_bytes(), before)

    def test_unreadable(self) -> None:
        """What is not there, no SQLite file or no store is told of in one line; the status is 2."""
        self.make_sound()
        store = Path(self.path).read_bytes()
        for data, text in (
            (None, "No such file"),
            (
                b"This is a text, and as long as the head of an SQLite file is, that is hundred bytes." * 9,
                "not a database",
            ),
            (b"", "no store: it has no table meta"),
        ):
            os.unlink(self.path)
            if data is not None:
                Path(self.path).write_bytes(data)
            for action in ("check", "dump"):
                self.assertEqual(self.run_command(action), 2)
                self.assertIn(text, self.stderr.getvalue())
                self.assertEqual(len(self.stderr.getvalue().splitlines()), 1)
            Path(self.path).write_bytes(store)


class DumpTests(CommandCase):
    def test_rows(self) -> None:
        """Each row is an object with the table's name and the columns; bytes are text or base64."""
        self.make(puts({"will": [(1, "w", 0, 0, 5, -1, b"\xff", "grün".encode())], "received": [(1, 2)]}))
        self.assertEqual(self.run_command("dump"), 0)
        self.assertEqual(
            [json.loads(line) for line in self.stdout.getvalue().splitlines()],
            [
                {"table": "meta", "one": 1, "schema_version": SCHEMA_VERSION}
                | {"last_frame": 1, "last_at": NOW, "clean": 1},
                {"table": "received", "sid": 1, "packet_id": 2},
                {
                    "table": "will",
                    "sid": 1,
                    "topic_name": "w",
                    "qos": 0,
                    "retain": 0,
                    "delay": 5,
                    "message_expiry_interval": -1,
                    "properties": {"base64": "/w=="},
                    "payload": {"text": "grün"},
                },
            ],
        )

    def test_everything(self) -> None:
        """No row is left out."""
        self.make(puts(rows_of(7)))
        self.run_command("dump")
        names = [json.loads(line)["table"] for line in self.stdout.getvalue().splitlines()]
        self.assertEqual(
            {table.name: names.count(table.name) for table in TABLES} | {"message": 7, "subscription": 7},
            dict.fromkeys((table.name for table in TABLES), 7),
        )

    def test_damaged(self) -> None:
        """A row whose checksum is wrong is marked."""
        self.make(puts({"received": [(1, 2), (2, 2)]}))
        self.spoil("received", "packet_id", 3, "sid = 2")
        self.run_command("dump")
        rows = [json.loads(line) for line in self.stdout.getvalue().splitlines()][1:]
        self.assertEqual([row.get("damaged", False) for row in rows], [False, True])


class BesideABrokerTests(CommandCase):
    def test_nothing_is_held_up(self) -> None:
        """While a command prints, the WAL of the store can begin anew; what is printed is of one moment."""
        rows = rows_of(60)
        for action, expected in (("dump", '"table": "received"'), ("check", "received: 60 rows")):
            self.make(puts(rows))
            stdout = Impatient(self.path)
            self.addCleanup(stdout.connection.close)
            put_in(stdout.connection, RECEIVED, rows["received"])
            main(["store", action, self.path], stdout, self.stderr)
            self.assertEqual(stdout.busy, {0}, action)
            self.assertEqual(stdout.getvalue().count(expected), 60 if action == "dump" else 1)

    def test_no_room(self) -> None:
        """When the copy has no room the line says so."""
        self.make(puts(rows_of(3)))
        self.patch(command, "_open", lambda path: Full(":memory:"))
        self.assertEqual(self.run_command("dump"), 2)
        self.assertIn("can't be copied to the directory for temporary files: full", self.stderr.getvalue())


class OptionTests(SynchronousTestCase):
    def test_no_file(self) -> None:
        """What SQLite calls `:memory:` can't be shared with the writer; `--store` says what to write."""
        error = self.assertRaises(SystemExit, Options().parseOptions, ["--store", ":memory:"])
        self.assertIn("--store :memory: is no file; for memory say --store memory:", str(error))


class MainTests(CommandCase):
    def test_without_twisted(self) -> None:
        """The command starts without Twisted."""
        command = [sys.executable, "-c", IMPORTED]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=BOUND)
        self.assertEqual(found.stdout.strip(), "False")

    def test_an_end_of_the_pipe(self) -> None:
        """Whoever reads a dump may stop; there is no traceback."""
        self.make(puts(rows_of(3000)))
        command = [sys.executable, "-m", "mqttwist", "store", "dump", self.path]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert process.stdout is not None and process.stderr is not None
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.stderr.read(), b"")
            process.wait(BOUND)
