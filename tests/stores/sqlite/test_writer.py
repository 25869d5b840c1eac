"""`python -m mqttwist.stores.sqlite.writer`: the process, on pipes, until it is killed."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import subprocess
import sys
from random import Random

from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.schema import GOODBYE, MESSAGE, TABLES, pack_frame
from tests.stores.sqlite.support import BOUND, NOW, ROOT, StoreCase, WriterProcess, body

MESSAGES = TABLES.index(MESSAGE)

IMPORTED = """
import sys
slow = {"twisted", "zope", "dataclasses", "inspect"}
from mqttwist.stores.sqlite import writer
print(*sorted({name.partition(".")[0] for name in sys.modules} & slow))
"""


def frame(number: int, payload: bytes = b"payload") -> bytes:
    """A frame that puts in the message of the same number."""
    return pack_frame(number, NOW + number, [(MESSAGES, [body(number, payload)], [])])


class WriterCase(StoreCase):
    def start(self, *options: str, pass_fds: tuple[int, ...] = ()) -> WriterProcess:
        """A writer, for the time of the test."""
        writer = WriterProcess(self.path, *options, pass_fds=pass_fds)
        self.addCleanup(writer.kill)
        return writer

    def started(self, *options: str) -> WriterProcess:
        """A writer that has opened a new file."""
        self.open().close()
        writer = self.start(*options)
        self.assertEqual(writer.line(), ["ready", "0"])
        return writer

    def numbers(self) -> list[int]:
        """The messages in the file."""
        return [row[0] for row in self.rows(MESSAGE)]


class ProcessTests(WriterCase):
    def test_what_it_says(self) -> None:
        """For each commit: the frame, how long it took, how large the file and the WAL are."""
        writer = self.started("--sync", "full")
        for number in (1, 2):
            writer.send(frame(number))
            word, committed, seconds, file, wal = writer.line()
            self.assertEqual((word, committed), ("committed", str(number)))
            self.assertGreater(float(seconds), 0.0)
            self.assertEqual(int(file) % 4096, 0)
            self.assertGreater(int(wal), 4096)
        self.assertEqual((writer.end(), self.numbers()), (0, [1, 2]))

    def test_the_end(self) -> None:
        """At the end what has arrived as a whole is committed, before it can be answered."""
        writer = self.started()
        writer.send(frame(1) + frame(2) + frame(3)[:-1])
        self.assertEqual((writer.end(), self.numbers()), (0, [1, 2]))
        self.assertFalse(self.open().was_clean)

    def test_goodbye(self) -> None:
        """The file knows that the broker ended in order."""
        writer = self.started()
        writer.send(frame(1) + GOODBYE)
        writer.end()
        file = self.open()
        self.assertEqual((file.was_clean, file.last_frame), (True, 1))

    def test_nobody_listens(self) -> None:
        """When the broker is dead, and nobody reads the answers, what has arrived is committed."""
        writer = self.started()
        assert writer.process.stdout is not None
        writer.process.stdout.close()
        writer.send(frame(1))
        writer.send(frame(2))
        self.assertEqual((writer.end(), self.numbers()), (0, [1, 2]))

    def test_a_symbolic_link(self) -> None:
        """What is committed through a link is said to be committed, and is in the file."""
        self.open().close()
        real, self.path = self.path, str(self.folder / "link")
        os.symlink(real, self.path)
        writer = self.start()
        self.assertEqual(writer.line(), ["ready", "0"])
        writer.send(frame(1))
        self.assertEqual(writer.line()[:2], ["committed", "1"])
        writer.end()
        self.path = real
        self.assertEqual(self.numbers(), [1])

    def test_sent_again(self) -> None:
        """A frame that is there already is answered as committed, by another process too."""
        writer = self.started()
        writer.send(frame(1))
        writer.line()
        writer.send(frame(1, b"other"))
        self.assertEqual(writer.line()[:2], ["committed", "1"])
        writer.end()
        writer = self.start()
        self.assertEqual(writer.line(), ["ready", "1"])
        writer.send(frame(1, b"other") + frame(2))
        self.assertEqual(writer.line()[:2], ["committed", "2"])
        writer.end()
        self.assertEqual(self.rows(MESSAGE), [body(1), body(2)])

    def test_signals(self) -> None:
        """The signals that a terminal sends to all processes of the broker do not end it."""
        writer = self.started()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            writer.process.send_signal(number)
        writer.send(frame(1))
        self.assertEqual(writer.line()[:2], ["committed", "1"])

    def test_the_lock(self) -> None:
        """The lock is held until the writer is gone, though the broker that took it is gone before."""
        file = self.open()
        writer = self.start("--lock-fd", str(file.lock_fd), pass_fds=(file.lock_fd,))
        self.assertEqual(writer.line(), ["ready", "0"])
        file.close()
        self.assertRaises(StoreError, open_store, self.path, 0.0)
        writer.end()
        self.open()

    def test_no_file(self) -> None:
        """While the file can't be opened it says so, and ends with the broker."""
        writer = self.start()
        self.assertEqual(writer.line()[:3], ["failed", "0", "FileNotFoundError:"])
        self.assertEqual(writer.end(), 0)

    def test_what_it_imports(self) -> None:
        """It brings in neither Twisted nor what makes a start slow."""
        command = [sys.executable, "-c", IMPORTED]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True, timeout=BOUND)
        self.assertEqual(found.stdout.strip(), "")


class FailureTests(WriterCase):
    def test_no_room(self) -> None:
        """What can't be written is not committed, and is when it is sent again and there is room."""
        writer = self.started()
        writer.send(frame(1))
        writer.line()
        limits = resource.prlimit(
            writer.process.pid, resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY)
        )
        writer.send(frame(2, b"x" * 300_000))
        word, number, *text = writer.line()
        self.assertEqual((word, number), ("failed", "2"))
        self.assertTrue(text)
        self.assertEqual(self.read_beside(), [1])
        writer.send(frame(2, b"small"))
        self.assertEqual(writer.line()[:2], ["committed", "2"])
        writer.send(frame(3, b"x" * 300_000))
        self.assertEqual(writer.line()[:2], ["failed", "3"])
        resource.prlimit(writer.process.pid, resource.RLIMIT_FSIZE, limits)
        writer.send(frame(3, b"x" * 300_000))
        self.assertEqual(writer.line()[:2], ["committed", "3"])
        self.assertEqual((writer.end(), self.numbers()), (0, [1, 2, 3]))

    def read_beside(self) -> list[int]:
        """The messages in the file, read while the writer has it open."""
        connection = sqlite3.connect(self.path)
        try:
            return [mid for (mid,) in connection.execute("SELECT mid FROM message")]
        finally:
            connection.close()

    def test_a_file_that_is_taken_away(self) -> None:
        """When somebody deletes the file nothing is said to be committed any more."""
        writer = self.started()
        writer.send(frame(1))
        writer.line()
        for name in os.listdir(self.folder):
            os.unlink(self.folder / name)
        for number in (2, 3):
            writer.send(frame(number))
            self.assertEqual(writer.line()[:2], ["failed", str(number)])

    def test_a_row_that_has_no_place(self) -> None:
        """A row of the wrong length fails, with one line of text, and the writer goes on."""
        writer = self.started()
        writer.send(pack_frame(1, NOW, [(TABLES.index(MESSAGE), [(*body(1), "one more")], [])]))
        self.assertEqual(writer.line()[:2], ["failed", "1"])
        writer.send(frame(1))
        self.assertEqual(writer.line()[:2], ["committed", "1"])


class KillTests(WriterCase):
    def test_nothing_is_lost(self) -> None:
        """Killed between frames and in the middle of one, it loses nothing it has committed."""
        chance = Random(5)
        self.open().close()
        committed = 0
        for _ in range(12):
            writer = self.start()
            word, number = writer.line()
            self.assertEqual(word, "ready")
            self.assertGreaterEqual(int(number), committed)
            last = int(number)
            for _ in range(chance.randrange(1, 20)):
                last += 1
                writer.send(frame(last))
                committed = int(writer.line()[1])
                self.assertEqual(committed, last)
            data = b"".join(frame(n) for n in range(last + 1, last + 4))
            writer.send(data[: chance.randrange(len(data))])
            writer.kill()
            numbers = self.numbers()
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            self.assertGreaterEqual(len(numbers), committed)
        self.assertGreater(committed, 12)
        self.assertEqual(self.notices, [])
