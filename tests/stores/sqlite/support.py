"""What the tests of a store file share: content, a folder that goes away, the writer on pipes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from marshal import dumps
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

import mqttwist
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import TABLES, Change, Frame, Row, Table

ROOT = Path(mqttwist.__file__).parents[1]

BOUND = 30.0
"""Seconds after which a process that does not answer has failed the test."""

NOW = 1_700_000_000.0
"""2023-11-14, 22:13:20 UTC."""


def rows_of(count: int) -> dict[str, list[Row]]:
    """`count` rows of each table, with all kinds of values, in the order of their keys.

    Every fourth body stands in the queue.
    """
    numbers = range(1, count + 1)
    payloads = [b"", b"\xff\0\xfe", "grün".encode(), b"x" * 5000]
    return {
        "session": [
            (n, f"client-{n}", None, "", 5, 4294967295, None if n % 2 else NOW + 0.25) for n in numbers
        ],
        "subscription": [(n, f"room/{k}/#", k, k * 100) for n in numbers for k in (1, 2)],
        "message": [
            (n, f"räume/{n}", n % 3, n % 2, -1, 0.0, b"\x01\x01", payloads[n % 8 // 2])
            for n in numbers
            if n % 4
        ],
        "queue": [
            (1 + n % 3, n, 2**33, 1, n, None, n, n % 3 or None, 5, "3,17", "$share/a/b")
            if n % 4
            else (1 + n % 3, n, 2**33, 1, payloads[n // 4 % 4], f"räume/{n}")
            for n in numbers
        ],
        "received": [(n, 65535) for n in numbers],
        "retained": [(f"k/{n:06}", 1, 7200, NOW, b"", payloads[n % 4], "me", n) for n in numbers],
        "will": [(n, f"w/{n}", 2, 1, 5, -1, b"", payloads[n % 4]) for n in numbers],
        "batch": [
            (n, 1 + n % 3, n, 1, 300, dumps([(1 + n % 3, n, 300, 1, payloads[n % 4], "a/b")]))
            for n in numbers
        ],
        "spent": [(n, b"\1") for n in numbers],
    }


def puts(rows: dict[str, list[Row]]) -> list[Change]:
    """Changes that put in rows of tables by their names."""
    return [(index, rows[table.name], []) for index, table in enumerate(TABLES) if table.name in rows]


def queued(position: int, mid: int = 0, sid: int = 1) -> Row:
    """A row of the queue."""
    return (sid, position, 100, 1, mid) if mid else (sid, position, 100, 1, None, None, 7, 2)


def body(mid: int, payload: bytes = b"payload") -> Row:
    """A row of the table of messages."""
    return (mid, "a/b", 1, 0, -1, 0.0, b"", payload)


class StoreCase(SynchronousTestCase):
    """Has a folder of its own, and hears the notices of the stores that it opens."""

    def setUp(self) -> None:
        self.folder = Path(mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = str(self.folder / "store.db")
        self.notices: list[str] = []

    def open(self) -> StoreFile:
        """Open the store, for the time of the test."""
        file = open_store(self.path, 0.0, self.notices.append, now=lambda: NOW)
        self.addCleanup(file.close)
        return file

    def make(self, changes: list[Change], clean: bool = True) -> None:
        """Make a store that holds the changes as its frame number 1, nothing of them in the WAL."""
        self.open().close()
        database = Database(self.path, "off")
        database.commit([Frame(1, NOW, changes)])
        database.close(clean)

    def content(self, file: StoreFile) -> dict[str, list[Row]]:
        """All that is in the file."""
        return {table.name: list(file.rows(table)) for table in TABLES}

    def rows(self, table: Table) -> list[Row]:
        """The rows of a table, of a store that is not open."""
        file = self.open()
        rows = list(file.rows(table))
        file.close()
        return rows


class WriterProcess:
    """The writer, on pipes; whatever it is asked for comes within BOUND, or the test fails."""

    def __init__(
        self,
        path: str,
        *options: str,
        pass_fds: tuple[int, ...] = (),
        environment: dict[str, str] | None = None,
    ) -> None:
        command = [sys.executable, "-m", "mqttwist.stores.sqlite.writer", path, *options]
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=pass_fds,
            env=environment,
        )
        self._lines = b""

    def send(self, data: bytes) -> None:
        """Write to its standard input."""
        assert self.process.stdin is not None
        os.write(self.process.stdin.fileno(), data)

    def line(self) -> list[str]:
        """The next line that it says, as words; none at the end."""
        assert self.process.stdout is not None
        while b"\n" not in self._lines:
            if not select.select([self.process.stdout], [], [], BOUND)[0]:
                raise AssertionError("the writer does not answer")
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return []
            self._lines += data
        line, _, self._lines = self._lines.partition(b"\n")
        return line.decode().split()

    def end(self) -> int:
        """Close its standard input, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(BOUND)

    def kill(self) -> None:
        """End it at once, if it is not gone, and close the pipes."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(BOUND)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()
