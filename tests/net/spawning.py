"""A reactor on virtual time that can spawn one kind of process: the writer of a store, played in this one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure

from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.schema import FRAME_LENGTH, GOODBYE, Frame, unpack_frame


class PlayedWriter:
    """Does what the writer's process does, with the writer's own database code, when `answer` is called.

    `fault` is what it says of frames instead of committing them, `arrived` are the numbers of all that came.
    If it is `prompt`, it ends as soon as its input does, else when `end` is called.
    """

    def __init__(self, protocol: Any, arguments: list[str], pid: int, env: dict[str, str]) -> None:
        self.pid = pid
        self.arguments = arguments
        self.env = env
        self.fault = ""
        self.is_alive = True
        self.was_goodbye = False
        self.was_killed = False
        self.prompt = True
        self.arrived: list[int] = []
        self.is_closed = False
        self._protocol = protocol
        self._received = b""
        path, sync = arguments[4], arguments[6]
        self.database = Database(path, sync)
        protocol.makeConnection(self)

    def open(self) -> None:
        """Open the file, and say so."""
        self.database.open()
        self._say(f"ready {self.database.last_frame}")

    def answer(self, most: int | None = None) -> None:
        """Commit the frames that have come, `most` of them if that is given, or fail to."""
        for frame in islice(self._frames(), most):
            if self.fault:
                self._say(f"failed {frame.number} {self.fault}")
            else:
                self.database.commit([frame])
                self._say(f"committed {frame.number} 0.001 4096 8192")

    def commit_and_die(self) -> None:
        """End by a signal when what has come is in the file, and nobody knows."""
        self.database.commit(list(self._frames()))
        self.die()

    def _frames(self) -> Iterator[Frame]:
        while self.is_alive and len(self._received) >= FRAME_LENGTH.size:
            (length,) = FRAME_LENGTH.unpack_from(self._received)
            body = self._received[FRAME_LENGTH.size : FRAME_LENGTH.size + length]
            self._received = self._received[FRAME_LENGTH.size + length :]
            if length:
                yield unpack_frame(body)

    def cannot_open(self, text: str) -> None:
        """Say that the file can't be opened yet."""
        self._say(f"failed 0 {text}")

    def complain(self, text: str) -> None:
        """Write to standard error."""
        self._protocol.errReceived(text.encode())

    def _say(self, line: str) -> None:
        self._protocol.outReceived(line.encode() + b"\n")

    def begin_to_die(self) -> None:
        """Its pipes are gone; why it has ended is not known yet."""
        self.is_closed = True
        self._protocol.inConnectionLost()

    def die(self) -> None:
        """End by a signal; what has come and was not answered is lost."""
        if self.is_alive:
            self.is_alive = False
            self.database.close(False)
            self._protocol.processEnded(Failure(ProcessTerminated(signal=9)))

    def give_up_start(self) -> None:
        """End as a program that can't run does, without a word."""
        self.is_alive = False
        self._protocol.processEnded(Failure(ProcessTerminated(1)))

    # What the broker's side calls

    def signalProcess(self, signal: str) -> None:  # noqa: N802 - Twisted's
        """The only signal is KILL; it takes effect when the kernel lets it: `die`."""
        if signal != "KILL":
            raise ValueError(signal)
        if not self.is_alive:
            raise ProcessExitedAlready()
        self.was_killed = True

    def writeToChild(self, child_fd: int, data: bytes) -> None:  # noqa: N802 - Twisted's
        """Take what is written to standard input; each write is one frame, or the goodbye."""
        if self.is_closed:
            raise KeyError(child_fd)  # as Twisted does
        self.was_goodbye = data == GOODBYE
        self._received += data
        if not self.was_goodbye:
            self.arrived.append(unpack_frame(data[FRAME_LENGTH.size :]).number)

    def closeChildFD(self, child_fd: int) -> None:  # noqa: N802 - Twisted's
        """The end of standard input."""
        self.is_closed = True
        if self.prompt:
            self.end()

    def end(self) -> None:
        """Commit what has come, and end."""
        self.answer()
        if self.is_alive:
            self.is_alive = False
            self.database.close(self.was_goodbye)
            self._protocol.processEnded(Failure(ProcessDone(0)))


class SpawningReactor(MemoryReactorClock):
    """`spawned` are the writers; with `prompt` they open as soon as they are started.

    `fault` is raised in place of starting one, `starts` counts all attempts.
    """

    def __init__(self, prompt: bool = True) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.prompt = prompt
        self.fault: Exception | None = None
        self.starts = 0
        self.spawned: list[PlayedWriter] = []

    def spawnProcess(  # noqa: N802 - Twisted's
        self,
        protocol: Any,
        executable: str,
        args: list[str],
        env: dict[str, str],
        childFDs: object,  # noqa: N803
    ) -> PlayedWriter:
        """Start a writer."""
        self.starts += 1
        if self.fault is not None:
            raise self.fault
        writer = PlayedWriter(protocol, args, 1000 + len(self.spawned), env)
        writer.prompt = self.prompt
        self.spawned.append(writer)
        if self.prompt:
            writer.open()
        return writer

    @property
    def writer(self) -> PlayedWriter:
        """The last one."""
        return self.spawned[-1]
