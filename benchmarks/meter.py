"""CPU time and instructions of the own process, for `micro.py`."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
import time


class Meter:
    """Adds up CPU time and instructions of this process between `start` and `stop`."""

    def __init__(self) -> None:
        self.nanoseconds = 0
        self.instructions = 0
        self._counter = open_instruction_counter()
        self._since = (0, 0)

    @property
    def counts_instructions(self) -> bool:
        return self._counter >= 0

    def start(self) -> None:
        self._since = (self._count(), time.process_time_ns())

    def stop(self) -> None:
        now, instructions = time.process_time_ns(), self._count()
        self.instructions += instructions - self._since[0]
        self.nanoseconds += now - self._since[1]

    def take(self) -> tuple[int, int]:
        """(nanoseconds, instructions) since the last call."""
        taken = (self.nanoseconds, self.instructions)
        self.nanoseconds = self.instructions = 0
        return taken

    def _count(self) -> int:
        return int.from_bytes(os.read(self._counter, 8), sys.byteorder) if self._counter >= 0 else 0


def open_instruction_counter() -> int:
    """A file that counts this process's own instructions (perf_event_open(2)); -1 where there is none."""
    number = {"x86_64": 298, "aarch64": 241}.get(platform.machine())
    if sys.platform != "linux" or number is None:
        return -1
    size, hardware, instructions, only_user_space = 64, 0, 1, 1 << 5 | 1 << 6
    attributes = struct.pack("=IIQQQQQIIQ", hardware, size, instructions, 0, 0, 0, only_user_space, 0, 0, 0)
    return int(ctypes.CDLL(None).syscall(number, attributes, 0, -1, -1, 0))
