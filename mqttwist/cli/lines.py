"""The standard input, read by a thread: it does not matter whether it is a pipe, a file or a terminal."""

from __future__ import annotations

import os
import threading
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

CHUNK: Final = 1 << 16  # bytes


class Input:
    """Reads when it is asked to: so whoever writes to us waits until the broker has taken what was read.

    The thread ends with the process, even in the middle of a read that nothing comes of.
    """

    def __init__(self, reactor: Any, descriptor: int = 0) -> None:
        self._reactor = reactor
        self._descriptor = descriptor
        self._rest = b""
        self._is_over = False
        self._waiting: Deferred[bytes] | None = None

    def read(self) -> Deferred[bytes]:
        """Fires with what there is to be read, b"" at the end."""
        self._waiting = waiting = Deferred[bytes]()
        threading.Thread(target=self._read, args=(waiting,), daemon=True).start()
        return waiting

    def _read(self, waiting: Deferred[bytes]) -> None:
        outcome: bytes | Failure
        try:
            outcome = os.read(self._descriptor, CHUNK)
        except OSError:
            outcome = Failure()
        self._reactor.callFromThread(self._tell, waiting, outcome)

    def close(self) -> None:
        """Read no more: who waits is told that it is the end."""
        self._is_over = True
        if self._waiting is not None and not self._waiting.called:
            self._waiting.callback(b"")

    def _tell(self, waiting: Deferred[bytes], outcome: bytes | Failure) -> None:
        if not waiting.called:
            waiting.callback(outcome)  # a Failure is an error

    async def whole(self) -> bytes:
        """All that comes until the end."""
        pieces: list[bytes] = []
        while piece := await self.read():
            pieces.append(piece)
        return b"".join(pieces)

    async def lines(self) -> list[bytes]:
        """Whole lines without their line breaks, some at a time; none at the end.

        A last line without a line break is one as well.
        """
        while not self._is_over:
            piece = await self.read()
            self._is_over = not piece
            lines = (self._rest + piece).split(b"\n")
            self._rest = b"" if self._is_over else lines.pop()
            if self._is_over and not lines[-1]:
                lines.pop()
            if lines:
                return lines
        return []
