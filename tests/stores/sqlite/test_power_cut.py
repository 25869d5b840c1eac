"""Power cuts: with `sync` "full" nothing that was committed is lost, whatever was not synced."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

from mqttwist.stores.sqlite.schema import MESSAGE, QUEUE, TABLES, Change, pack_frame
from tests.stores.sqlite.support import BOUND, NOW, StoreCase, WriterProcess, body, queued

SOURCE = Path(__file__).with_name("synced.c")
MESSAGES = TABLES.index(MESSAGE)
QUEUED = TABLES.index(QUEUE)
FILES = ("store.db", "store.db-wal")
CUTS = int(os.environ.get("MQTTWIST_POWER_CUTS", "10"))


class PowerCutTests(StoreCase):
    if not (sys.platform == "linux" and shutil.which("cc")):
        skip = "needs Linux and a C compiler"

    def setUp(self) -> None:
        super().setUp()
        self.chance = Random(3)
        self.synced = self.folder / "synced"
        self.synced.mkdir()
        library = self.folder / "synced.so"
        command = ["cc", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        subprocess.run(command, check=True, timeout=BOUND)
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "SYNCED": str(self.synced)}

    def start(self, sync: str) -> WriterProcess:
        """A writer, what it has synced apart; the files as they are now count as synced."""
        for name in FILES:
            (self.synced / name).unlink(missing_ok=True)
            if (self.folder / name).exists():
                shutil.copyfile(self.folder / name, self.synced / name)
        writer = WriterProcess(self.path, "--sync", sync, environment=self.environment)
        self.addCleanup(writer.kill)
        return writer

    def cut_the_power(self, writer: WriterProcess) -> None:
        """End the writer; what was not synced of a file is there as a whole or not at all."""
        writer.kill()
        (self.folder / "store.db-shm").unlink(missing_ok=True)
        for name in FILES:
            if self.chance.random() < 0.7:
                (self.folder / name).unlink(missing_ok=True)
                if (self.synced / name).exists():
                    shutil.copyfile(self.synced / name, self.folder / name)

    def changes(self, number: int) -> list[Change]:
        """Message `number` comes; with every third one the two before it go."""
        gone = [number - 2, number - 1] if number % 3 == 0 else []
        return [
            (MESSAGES, [body(number, b"x" * self.chance.randrange(20_000))], [(mid,) for mid in gone]),
            (QUEUED, [queued(number, number)], [(1, position) for position in gone]),
        ]

    def left(self, number: int) -> list[int]:
        """The messages that are there after so many frames."""
        return [n for n in range(1, number + 1) if n % 3 == 0 or n > number - number % 3]

    def test_full(self) -> None:
        """All that was committed is there after each power cut, and the file is sound."""
        self.open().close()
        committed = 0
        for _ in range(CUTS):
            writer = self.start("full")
            word, number = writer.line()
            self.assertEqual((word, int(number) >= committed), ("ready", True))
            committed = int(number)
            for _ in range(self.chance.randrange(1, 60)):
                writer.send(pack_frame(committed + 1, NOW, self.changes(committed + 1)))
                committed = int(writer.line()[1])
            writer.send(
                pack_frame(committed + 1, NOW, self.changes(committed + 1))[: self.chance.randrange(60_000)]
            )
            self.cut_the_power(writer)
            file = self.open()
            self.assertGreaterEqual(file.last_frame, committed)
            self.assertEqual([row[0] for row in file.rows(MESSAGE)], self.left(file.last_frame))
            self.assertEqual([row[1] for row in file.rows(QUEUE)], self.left(file.last_frame))
            file.close()
            self.assertEqual(self.notices, [])

    def test_what_full_is_for(self) -> None:
        """With "off" the same cut loses what was committed: so this test can see a loss."""
        self.open().close()
        writer = self.start("off")
        writer.line()
        for number in range(1, 10):
            writer.send(pack_frame(number, NOW, self.changes(number)))
            writer.line()
        self.patch(self.chance, "random", lambda: 0.0)
        self.cut_the_power(writer)
        self.assertEqual(self.open().last_frame, 0)
