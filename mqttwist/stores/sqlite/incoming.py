"""Frames as they arrive at the writer."""

from __future__ import annotations

import os
import select
from typing import Final

from mqttwist.stores.sqlite.schema import FRAME_LENGTH, Frame, unpack_frame

PIECE: Final = 1 << 20
"""The most bytes of one read."""

ENOUGH: Final = 1 << 24
"""No more is read before a commit when so many bytes have arrived."""


class Incoming:
    """Reads frames from a file descriptor that blocks, all that have arrived at once.

    `ended` tells that nothing more can come: what has arrived of a frame since is not a whole one. `goodbye`
    tells whether the broker said so before.
    """

    def __init__(self, fd: int) -> None:
        self.ended = False
        self.goodbye = False
        self._fd = fd
        self._buffer = bytearray()

    def take(self, timeout: float | None) -> list[Frame]:
        """Wait until something arrives, for `timeout` seconds at most, and return the frames that are whole.

        There may be none: there was no more than a part of one, or nothing. Raises what `unpack_frame` raises
        for bytes that are no frame, which the broker never sends.
        """
        going = self.read(timeout)
        while going and len(self._buffer) < ENOUGH:
            going = self.read(0.0)
        return self._unpack()

    def read(self, timeout: float | None) -> bool:
        """Read once, if there is something within `timeout` seconds; tell whether there may be more."""
        if self.ended or not select.select([self._fd], [], [], timeout)[0]:
            return False
        try:
            data = os.read(self._fd, PIECE)
        except ConnectionError:  # a socket whose other end died with our answers unread
            data = b""
        self._buffer += data
        self.ended = not data
        return not self.ended

    def _unpack(self) -> list[Frame]:
        frames = []
        start = 0
        with memoryview(self._buffer) as view:
            while len(view) - start >= FRAME_LENGTH.size:
                (length,) = FRAME_LENGTH.unpack_from(view, start)
                end = start + FRAME_LENGTH.size + length
                if end > len(view):
                    break
                if length:
                    frames.append(unpack_frame(view[start + FRAME_LENGTH.size : end]))
                self.goodbye = not length
                start = end
        del self._buffer[:start]
        return frames
