"""The process that writes: `python -m mqttwist.stores.sqlite.writer PATH --sync off|normal|full [--lock-fd
N]`.

It reads frames (see `schema`) from standard input and puts all that have arrived into the file as one
transaction. To standard output it writes lines:

`ready NUMBER`: the file is open; the last frame in it has this number, 0 if there is none.
`committed NUMBER SECONDS FILE WAL`: all frames up to this number are in the file, and with `full` on the
disk; the commit took so long; the file and its WAL have so many bytes now.
`failed NUMBER TEXT`: the frames up to this number that were not committed before must be sent again. The
number 0 means that the file can't be opened yet.

At the end of standard input it commits what has arrived as a whole, and ends. Nothing else ends it: no fault
of the disk, and none of the signals that a terminal sends to all processes of a program. The descriptor of
the lock it just keeps open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Sequence
from time import monotonic
from typing import Final

from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.incoming import Incoming
from mqttwist.stores.sqlite.schema import Frame

RETRY: Final = 1.0
"""Seconds between two attempts to open the file at the start."""

IGNORED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Writer:
    """Carries frames from one file descriptor to the file, and says on another what became of them."""

    def __init__(self, database: Database, incoming: Incoming, output: int) -> None:
        self._database = database
        self._incoming = incoming
        self._output = output

    def run(self) -> None:
        """Work until the end of what comes in."""
        self._open()
        ended = False
        while not ended:
            frames = self._incoming.take(self._database.checkpoint_due())
            ended = self._incoming.ended
            if frames:
                self._commit(frames)
            self._database.checkpoint()
        self._database.close(clean=self._incoming.goodbye)

    def _open(self) -> None:
        """Open the file, as often as it takes, and say so."""
        while not self._incoming.ended:
            try:
                self._database.open()
            except Exception as error:
                self._failed(0, error)
                self._incoming.read(RETRY)
            else:
                self._say(f"ready {self._database.last_frame}")
                return

    def _commit(self, frames: list[Frame]) -> None:
        number = frames[-1].number
        began = monotonic()
        try:
            self._database.commit(frames)
            seconds = monotonic() - began
            file, wal = self._database.sizes()  # what is in a file that was taken away is not on the disk
        except Exception as error:
            self._failed(number, error)
        else:
            self._say(f"committed {self._database.last_frame} {seconds:.6f} {file} {wal}")

    def _failed(self, number: int, error: Exception) -> None:
        if not isinstance(error, sqlite3.Error | OSError):
            traceback.print_exception(error)
        text = " ".join(f"{type(error).__name__}: {error}".split())
        self._say(f"failed {number} {text}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody is there; what has arrived is committed nevertheless
            os.write(self._output, line.encode("utf-8", "backslashreplace") + b"\n")


def main(arguments: Sequence[str]) -> None:
    """Run the writer; the broker gives the options as pairs. Raises `ValueError` for a call that is wrong."""
    for each in IGNORED:
        signal.signal(each, signal.SIG_IGN)
    options = dict(zip(arguments[1::2], arguments[2::2], strict=True))
    if "--lock-fd" in options:
        os.set_inheritable(int(options["--lock-fd"]), False)
    Writer(Database(arguments[0], options.get("--sync", "full")), Incoming(0), 1).run()


if __name__ == "__main__":
    main(sys.argv[1:])
