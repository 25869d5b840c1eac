"""The writer of a store as a process of its own: started, fed with frames, started again when it dies."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorTime
from twisted.internet.process import reapAllProcesses
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

import mqttwist
from mqttwist.broker.broker import Broker
from mqttwist.session.journal import PENDING_AGE, Changes
from mqttwist.stores.sqlite.schema import GOODBYE, pack_frame
from mqttwist.stores.sqlite.store import SQLiteStore

log = Logger(namespace="mqttwist.store")

RESTART = 0.2  # seconds from the end of a writer that was not told to end to the start of the next
RESTART_LIMIT = 10.0  # the same when one after the other ends before it has opened the file
GATHER = 0.25  # of the time of a commit, for which changes gather if some came while it was made
GATHER_LIMIT = 0.002  # seconds, at most
REAP = 0.05  # seconds between two looks whether a writer that has closed its output is gone
RETRY = 1.0  # seconds until a frame that could not be stored is sent again
PATIENCE = 15.0  # seconds without a commit after which a broker that stops gives up what is not stored
WRITER = "mqttwist.stores.sqlite.writer"


@dataclass
class StoreCounters:
    """What the writer has done so far: plain numbers, to be read at any time.

    `commit_seconds` is the time of all commits together, `file_size` and `wal_size` are bytes. `last_error`
    is why the last frame could not be stored or no writer be started, "" when it could.
    """

    frames: int = 0
    commit_seconds: float = 0.0
    file_size: int = 0
    wal_size: int = 0
    failures: int = 0
    starts: int = 0
    last_error: str = ""


class StoreWriter:
    """Feeds a writer process with the frames of the store's journal, and tells the broker what is stored.

    A writer that dies is started again, and is sent the frame again that was not confirmed; its number says
    whether it had been stored all the same. One that can't be started is tried again, less and less
    often. `reactor` spawns processes and calls later.
    """

    def __init__(self, store: SQLiteStore, broker: Broker, reactor: Any) -> None:
        self.counters = StoreCounters()
        self._store = store
        self._broker = broker
        self._reactor = reactor
        self._process: _WriterProtocol | None = None
        self._frame = 0  # the number of the one that is not confirmed, 0: there is none
        self._packed = b""
        self._frame_begun = 0.0  # when it was to be stored first, by the reactor's clock
        self._is_late = False  # and the log says so
        self._again: IDelayedCall | None = None
        self._seal: IDelayedCall | None = None
        self._restart_after = RESTART
        self._pause = 0.0  # seconds from now until the next frame goes off
        self._stopped: Deferred[None] | None = None
        self._patience: IDelayedCall | None = None  # it ends when nothing is stored any more
        self._gives_up = False  # stopped, though there is a frame that could not be stored

    @property
    def pid(self) -> int | None:
        """The process id of the writer, while there is one."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Spawn the process; from now on the journal is stored."""
        self._stopped = None
        self._gives_up = False
        self._restart_after = RESTART
        self._frame_begun = self._reactor.seconds()
        self._spawn()
        self._store.journal.sink = self._store_frame
        self._store.journal.soon = self._seal_soon
        self._seal_soon()  # what has gathered up to now

    def stop(self) -> Deferred[None]:
        """Store what is left, and end the process: fires when it has ended.

        It fires as well, and the log says what is lost, if the disk fails, if a writer can't be started, or
        after `PATIENCE` without a commit; a writer that hangs is killed then.
        """
        if self._stopped is None:
            self._stopped = Deferred()
            self._patience = self._reactor.callLater(PATIENCE, self._lose_patience, self._stopped)
            if self._process is None and self._again is not None:
                self._again.reset(0)
            self._end_if_idle()
        return self._stopped

    def look(self) -> None:
        """Say once that a frame has been under way for long, as a writer that hangs can't: called often."""
        seconds = self._reactor.seconds() - self._frame_begun
        if self._frame and seconds > PENDING_AGE and not self._is_late and not self.counters.last_error:
            self._is_late = True
            log.warn(
                "The store {path} is slow: what was to be stored {seconds:.1f} s ago is not stored yet. "
                "Publishers wait, and no acknowledgement that depends on it is sent",
                path=self._store.path,
                seconds=seconds,
            )

    # The journal

    def _seal_soon(self) -> None:
        """There are changes: they go off when all that has arrived by now was read, or a little later.

        A commit costs much more than a change. When changes come all the time, a pause after a commit, in
        which those can answer who have waited for it, makes the next one larger and all of them fewer.
        """
        if self._seal is None:
            self._seal = self._reactor.callLater(self._pause, self._seal_now)
            self._pause = 0.0

    def _seal_now(self) -> None:
        self._seal = None
        turn, journal = self._broker.turn, self._store.journal
        journal.seal(turn.begin())
        turn.end()

    def _store_frame(self, number: int, wall: float, changes: Changes) -> None:
        self._frame = number
        self._packed = pack_frame(number, wall, changes)
        self._frame_begun = self._reactor.seconds()
        self._send()

    def _send(self) -> None:
        if self._frame and self._process is not None and self._process.is_ready:
            self._process.send(self._packed)

    # The process

    def _spawn(self) -> None:
        self._again = None
        self.counters.starts += 1
        self._process = process = _WriterProtocol(self, self._reactor)
        lock = self._store.file.lock_fd
        options = (self._store.path, "--sync", self._store.sync, "--lock-fd", str(lock))
        try:
            self._reactor.spawnProcess(
                process,
                sys.executable,
                [sys.executable, "-P", "-m", WRITER, *options],
                env={**os.environ, "PYTHONPATH": _module_path(os.environ.get("PYTHONPATH", ""))},
                childFDs={0: "w", 1: "r", 2: "r", lock: lock},
            )
        except Exception as error:  # too many open files, no memory
            self.ended(process, f"{type(error).__name__}: {error}")

    def ready(self, last_frame: int) -> None:
        """The process has opened the file, in which `last_frame` is the last one."""
        self._restart_after = RESTART
        if self._frame and last_frame >= self._frame:
            self._confirm(last_frame)
        if not self._frame:
            self._recovered()
        self._send()
        self._end_if_idle()

    def committed(self, frame: int, seconds: float, file_size: int, wal_size: int) -> None:
        """All frames up to `frame` are stored."""
        counters = self.counters
        counters.frames += 1
        counters.commit_seconds += seconds
        counters.file_size, counters.wal_size = file_size, wal_size
        if self._patience is not None:
            self._patience.reset(PATIENCE)
        self._recovered()
        if self._store.journal.latest_frame > frame:
            self._pause = min(GATHER * seconds, GATHER_LIMIT)
        self._confirm(frame)
        self._end_if_idle()

    def _recovered(self) -> None:
        self._store.journal.is_failing = False
        if self.counters.last_error:
            self.counters.last_error = ""
            log.info("The store {path} takes changes again", path=self._store.path)

    def _confirm(self, frame: int) -> None:
        if frame >= self._frame:
            self._frame = 0
            self._packed = b""
            if self._is_late:
                self._is_late = False
                log.info(
                    "The store {path} is not slow any more: that took {seconds:.1f} s",
                    path=self._store.path,
                    seconds=self._reactor.seconds() - self._frame_begun,
                )
        try:
            self._broker.stored(frame)
        except Exception:
            log.failure("Error in the broker after a frame was stored")

    def failed(self, text: str) -> None:
        """The frame could not be stored, or the file not be opened."""
        journal = self._store.journal
        journal.is_failing = True
        self.counters.failures += 1
        if text != self.counters.last_error:
            self.counters.last_error = text
            log.error(
                "The store {path} does not take changes: {text}. No acknowledgement that depends on it is "
                "sent; tried again every {seconds:g} s",
                path=self._store.path,
                text=text,
                seconds=RETRY,
            )
        if self._stopped is not None:
            self._give_up()
            self._end()
        elif self._again is None:
            self._again = self._reactor.callLater(RETRY, self._try_again)

    def _try_again(self) -> None:
        self._again = None
        self._send()

    def ended(self, process: _WriterProtocol, why: str) -> None:
        """The process has ended, or could not be started."""
        if process is not self._process:
            return
        self._process = None
        if self._stopped is not None:
            if self._frame and not process.is_ready:
                self._give_up()
            if not self._frame or self._gives_up:
                self._finish(self._stopped)
                return
        if process.is_ready:
            log.warn(
                "The writer of the store {path} has ended ({why}): starting another",
                path=self._store.path,
                why=why,
            )
        else:
            self._not_started(why)
        if self._again is not None:
            self._again.cancel()
        self._again = self._reactor.callLater(self._restart_after, self._spawn)
        self._restart_after = min(2 * self._restart_after, RESTART_LIMIT)

    def _not_started(self, why: str) -> None:
        """A writer has never opened the file; the log says it once for each reason."""
        self._store.journal.is_failing = True
        if why != self.counters.last_error:
            self.counters.last_error = why
            log.error(
                "No writer of the store {path} can be started: {why}. No acknowledgement that depends on it "
                "is sent; tried again every {seconds:g} s at least",
                path=self._store.path,
                why=why,
                seconds=RESTART_LIMIT,
            )

    # The end

    def _end_if_idle(self) -> None:
        """End the process if that is wanted and nothing is left to be stored."""
        if self._stopped is None or self._stopped.called:
            return
        self._store.journal.seal(self._store.journal.clock())
        if not self._frame and not self._store.journal.is_due:
            self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.end()

    def _give_up(self) -> None:
        """Don't wait any longer for what is not stored; a broker that is started again still has it."""
        if self._frame and not self._gives_up:
            log.error(
                "What has changed since is lost: the broker stops; about {size:.1f} kB are not stored",
                size=(len(self._packed) + self._store.journal.gathered_size) / 1e3,
            )
        self._gives_up = True

    def _lose_patience(self, stopped: Deferred[None]) -> None:
        process, self._process = self._process, None
        if process is not None:
            log.error("The writer of the store {path} hangs: it is killed", path=self._store.path)
            process.kill()
        self._give_up()
        self._finish(stopped)

    def _finish(self, stopped: Deferred[None]) -> None:
        self._store.journal.sink = self._store.journal.soon = None
        for call in (self._again, self._patience):
            if call is not None and call.active():
                call.cancel()
        self._again = self._patience = None
        self._is_late = False
        stopped.callback(None)


def _module_path(inherited: str) -> str:
    """This package's place, then what is `inherited`: without empty entries, which mean the run directory.

    A file that happens to lie there must not be taken for a module; `-P` keeps it out for the same reason.
    """
    own = str(Path(mqttwist.__file__).parent.parent)
    return os.pathsep.join([own, *(entry for entry in inherited.split(os.pathsep) if entry)])


class _WriterProtocol(ProcessProtocol):
    """One process: cuts what it says into lines."""

    transport: IProcessTransport

    def __init__(self, owner: StoreWriter, clock: IReactorTime) -> None:
        self.is_ready = False
        self._takes_input = True
        self._has_ended = False
        self._is_killed = False
        self._owner = owner
        self._clock = clock
        self._said = b""

    @property
    def pid(self) -> int | None:
        return None if self.transport is None else cast("int | None", self.transport.pid)

    def send(self, frame: bytes) -> None:
        if self._takes_input:
            self.transport.writeToChild(0, frame)

    def end(self) -> None:
        """At the end of its input it ends by itself; it notes that this was in order."""
        if self._takes_input:
            self._takes_input = False
            self.transport.writeToChild(0, GOODBYE)
            self.transport.closeChildFD(0)

    def kill(self) -> None:
        """End it at once, if it can be; what it says from now on is not heard."""
        self._takes_input = False
        self._is_killed = True
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess("KILL")

    def inConnectionLost(self) -> None:  # noqa: N802 - Twisted's
        """It is dying: what can't be sent any more is sent to the next one."""
        self._takes_input = False

    def outReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._line_received(line.decode(errors="replace"))

    def _line_received(self, line: str) -> None:
        if self._is_killed:
            return
        word, _, rest = line.partition(" ")
        number, _, rest = rest.partition(" ")
        if word == "ready":
            self.is_ready = True
            self._owner.ready(int(number))
        elif word == "committed":
            seconds, file_size, wal_size = rest.split()
            self._owner.committed(int(number), float(seconds), int(file_size), int(wal_size))
        elif word == "failed":
            self._owner.failed(rest)

    def errReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's
        log.error("The writer of the store: {text}", text=data.decode(errors="replace").rstrip())

    def outConnectionLost(self) -> None:  # noqa: N802 - Twisted's
        """It closes its output when it ends: see to it that Twisted asks why, should SIGCHLD not tell it.

        uvloop keeps that signal to itself.
        """
        if not self._has_ended:
            reapAllProcesses()
            self._clock.callLater(REAP, self.outConnectionLost)

    def processEnded(self, reason: Failure) -> None:  # noqa: N802 - Twisted's
        self._has_ended = True
        self._owner.ended(self, reason.getErrorMessage())
