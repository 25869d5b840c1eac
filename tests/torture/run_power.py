"""Cuts of the power: the writer of the store at work under the shim, and then a disk as of many moments.

What the writer did is logged in its order, with what it said to the broker. For a cut, the files are made as
they may be on the disk after so many operations, and opened. All frames that had been committed by then must
be in them; all that is in them must be what some number of frames has made.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.schema import TABLES
from tests.torture.brokers import CHECKOUT
from tests.torture.checker import Fault
from tests.torture.disk import Disk
from tests.torture.frames import FrameMaker, tables_after
from tests.torture.shim import SAID, SYNCED, Operation, build, environment, read_log
from tests.torture.stage import Options, Result

LIVES = 3
PATIENCE = 60.0  # seconds
FRAMES_PER_CUT = 5
UNDER_WAY = 4  # frames at most that are sent and not yet committed
LONGER_THAN_TO_A_CHECKPOINT = 0.12  # seconds


@dataclass
class _Subject:
    """The program that writes, in all its lives."""

    folder: Path
    sync: str
    maker: FrameMaker
    said: list[str] = field(default_factory=list)

    @property
    def store(self) -> Path:
        return self.folder / "disk" / "store.db"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def live(self, library: Path, frames: int, is_killed: bool) -> None:
        """Send so many frames, with a few under way at a time; then the end of input, or a kill."""
        command = [sys.executable, "-m", "tests.torture.power_subject", os.fspath(self.store), self.sync]
        added = environment(library, self.store, self.log) | {"PYTHONPATH": os.fspath(CHECKOUT)}
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | added, bufsize=0
        ) as process:
            watchdog = threading.Timer(PATIENCE + frames / 20, process.kill)
            watchdog.start()
            try:
                self._feed(process, frames)
                if is_killed:
                    self._write(process, [self.maker.make() for _ in range(UNDER_WAY)])
                    process.kill()
            finally:
                assert process.stdin is not None
                process.stdin.close()
                process.wait()
                watchdog.cancel()
                assert process.stdout is not None
                process.stdout.read()  # ends when the writer has ended, too

    def _feed(self, process: subprocess.Popen[bytes], frames: int) -> None:
        last = len(self.maker.changes) + frames
        committed = self._read_number(process, "ready")
        again = range(committed + 1, len(self.maker.changes) + 1)
        self._write(process, [self.maker.packed(number) for number in again])
        while committed < last:
            fresh = min(self.maker.random.randint(1, UNDER_WAY), last - len(self.maker.changes))
            self._write(process, [self.maker.make() for _ in range(fresh)])
            if self.maker.random.random() < 0.05:
                time.sleep(LONGER_THAN_TO_A_CHECKPOINT)
            committed = self._read_number(process, "committed")

    def _write(self, process: subprocess.Popen[bytes], frames: list[bytes]) -> None:
        assert process.stdin is not None
        for frame in frames:
            process.stdin.write(frame)

    def _read_number(self, process: subprocess.Popen[bytes], word: str) -> int:
        assert process.stdout is not None
        line = b""
        while not line.endswith(b"\n"):
            more = process.stdout.read(1)
            if not more:
                raise RuntimeError(f"the writer has ended instead of saying {word}")
            line += more
        words = line.decode().split()
        self.said.append(words[0])
        if words[0] != word:
            raise RuntimeError(f"the writer said {line!r} instead of {word}")
        return int(words[1])


def power(options: Options, promise: str = "") -> Result:
    """`kills` cuts, over three lives of the writer, of which it was killed in one.

    It is held to what is promised for `sync`, or for another `promise`, to show that the cuts do harm.
    """
    result = Result("power", options)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mqttwist-torture-") as name:
        folder = Path(name)
        random = Random(options.seed)
        subject = _Subject(folder, options.sync, FrameMaker(random))
        subject.store.parent.mkdir()
        library = build(folder)
        frames = options.messages or FRAMES_PER_CUT * options.kills
        for life in range(LIVES):
            subject.live(library, frames // LIVES, is_killed=life == 1)
        operations = list(read_log(subject.log))
        subject.sync = promise or options.sync
        _cut(result, operations, subject, random)
    result.figures["seconds"] = round(time.monotonic() - begun, 1)
    return result


def moments(operations: list[Operation], count: int, random: Random) -> list[int]:
    """After which operations to cut: half anywhere, half beside an acknowledgement or a sync."""
    edges = [index for index, one in enumerate(operations) if one.kind in (SAID, SYNCED)]
    chosen = []
    for number in range(count):
        if number % 2 and edges:
            chosen.append(min(len(operations), random.choice(edges) + random.randint(0, 1)))
        else:
            chosen.append(random.randint(0, len(operations)))
    return sorted(chosen)


def _cut(result: Result, operations: list[Operation], subject: _Subject, random: Random) -> None:
    disk = Disk(os.fspath(subject.store.parent))
    done = committed = most = 0
    for number, moment in enumerate(moments(operations, result.options.kills, random)):
        for operation in operations[done:moment]:
            disk.take(operation)
            committed = max(committed, _committed(operation))
        done = moment
        folder = subject.folder / f"cut{number}"
        folder.mkdir()
        disk.cut(random, folder)
        where = f"cut {number}, after operation {moment} of {len(operations)}, {committed} committed"
        most = max(most, _check(result, folder / subject.store.name, committed, subject, where))
    result.figures |= {
        "cuts": result.options.kills,
        "operations": len(operations),
        "syncs": sum(one.kind == SYNCED for one in operations),
        "frames": len(subject.maker.changes),
        "acknowledged": committed,
        "most frames found": most,
    }


def _committed(operation: Operation) -> int:
    """Which frame the writer said to be the last one that is committed; 0 if it did not."""
    words = operation.data.split() if operation.kind == SAID else []
    return int(words[1]) if words and words[0] == b"committed" else 0


def _check(result: Result, path: Path, committed: int, subject: _Subject, where: str) -> int:
    """Open what is left; the number of the last frame in it."""
    notices: list[str] = []
    try:
        store = open_store(os.fspath(path), notice=notices.append)
    except Exception as error:
        result.faults.append(Fault("does not open", f"{where}: {type(error).__name__}: {error}"))
        return 0
    try:
        found = {table.name: {row[: table.key]: row for row in store.rows(table)} for table in TABLES}
        last = store.last_frame
    finally:
        store.close()
    if notices and committed:
        result.faults.append(Fault("damaged", f"{where}: {notices}"))
    if last < committed and subject.sync == "full":
        result.faults.append(Fault("lost", f"{where}: frame {last} is the last one in the file"))
    expected = tables_after(subject.maker.changes[:last])
    for table, rows in zip(TABLES, expected, strict=True):
        if found[table.name] != rows:
            result.faults.append(Fault("content", f"{where}: {table.name} is not as after frame {last}"))
    return last
