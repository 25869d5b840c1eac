"""Find out whether a WAL was damaged, which SQLite takes for its end.

SQLite reads a WAL up to the first frame whose checksum is wrong: there a process or the power failed. But
when sound frames of two more transactions follow, that place was not the end: each transaction is on the
disk before the next one begins. (With `sync` "normal" or "off" they may get there in any order when the power
fails.)

The format is that of https://www.sqlite.org/fileformat2.html#walformat. Only what lies behind the last sound
transaction is looked at, which is nothing or old, but after a damage.
"""

from __future__ import annotations

import sys
from struct import Struct, unpack
from typing import BinaryIO, Final, NamedTuple

HEADER: Final = Struct("!4I2I2I")
"""Magic, version, page size, sequence; salts; checksum of what is before it."""

FRAME: Final = Struct("!2I2I2I")
"""Page, size of the file in pages after a commit or 0; salts; checksum of this, the page and all before."""

Pair = tuple[int, int]


class Frame(NamedTuple):
    """A frame of the WAL, which is a page of the file."""

    is_commit: bool
    salts: Pair
    checksum: Pair
    summed: bytes


def is_damaged(path: str, page_size: int, sound: int) -> bool:
    """Tell whether something was lost of the WAL at `path`, of which SQLite reads `sound` frames.

    Raises `OSError`.
    """
    try:
        with open(path, "rb") as file:
            return _is_damaged(file, page_size, sound)
    except FileNotFoundError:
        return False


def _is_damaged(file: BinaryIO, page_size: int, sound: int) -> bool:
    head = file.read(HEADER.size)
    if len(head) < HEADER.size or not any(head):
        return False
    fields = HEADER.unpack(head)
    salts, checksum = fields[4:6], fields[6:8]
    frames = _Frames(file, page_size)
    if added((0, 0), head[:24]) != checksum:
        second = frames.read(1)
        return second is not None and frames.commits_after(0, second.salts) > 1
    at = sound
    if sound:
        last = frames.read(sound - 1)
        checksum = last.checksum if last else checksum
    while (
        (frame := frames.read(at))
        and frame.salts == salts
        and added(checksum, frame.summed) == frame.checksum
    ):
        checksum = frame.checksum  # part of a transaction that has no end
        at += 1
    return max(frames.commits_after(at, salts), frames.commits_after(at + 1, salts)) > 1


class _Frames:
    def __init__(self, file: BinaryIO, page_size: int) -> None:
        self._file = file
        self._page_size = page_size

    def read(self, index: int) -> Frame | None:
        """A frame, counted from 0; None behind the end."""
        size = FRAME.size + self._page_size
        self._file.seek(HEADER.size + index * size)
        data = self._file.read(size)
        if len(data) < size:
            return None
        _, commit, salt_1, salt_2, sum_1, sum_2 = FRAME.unpack_from(data)
        return Frame(commit != 0, (salt_1, salt_2), (sum_1, sum_2), data[:8] + data[FRAME.size :])

    def commits_after(self, index: int, salts: Pair) -> int:
        """How many transactions, 2 at most, end in the sound frames that follow the one at `index`.

        That one may be damaged, but for its checksum.
        """
        commits = 0
        before = self.read(index)
        while before and commits < 2:
            frame = self.read(index := index + 1)
            if not frame or frame.salts != salts or added(before.checksum, frame.summed) != frame.checksum:
                break
            commits += frame.is_commit
            before = frame
        return commits


def added(checksum: Pair, data: bytes) -> Pair:
    """The checksum of what came before and of `data`, in words of this machine's byte order."""
    order = "<" if sys.byteorder == "little" else ">"
    words = unpack(f"{order}{len(data) // 4}I", data)
    first, second = checksum
    for one, two in zip(words[::2], words[1::2], strict=True):
        first = (first + one + second) & 0xFFFFFFFF
        second = (second + two + first) & 0xFFFFFFFF
    return first, second
