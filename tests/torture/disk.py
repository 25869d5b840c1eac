"""A disk whose power can be cut: what was synced is on it, of all else any part may be.

A write is torn at sectors. Of those that were not synced any may be missing, in any order; so may each change
of a file's size. Names come and go in their order, and are sure when their folder was synced.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.torture.shim import CREATED, REMOVED, RENAMED, SYNCED, TRUNCATED, WRITTEN, Operation

SECTORS = (512, 4096)  # bytes that are written as a whole or not at all
CHANCES = (0.0, 0.1, 0.5, 0.9, 1.0)  # how much of what was not synced is on the disk


@dataclass
class _File:
    """`durable` is what is on the disk; `unsynced` what may be, as (offset, data), or (size, None)."""

    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[tuple[int, bytes | None]] = field(default_factory=list)

    def sync(self) -> None:
        for offset, data in self.unsynced:
            _put(self.durable, offset, data)
        self.unsynced.clear()


def _put(content: bytearray, offset: int, data: bytes | None) -> None:
    """Write `data` at `offset`, or cut or lengthen the file to the size `offset`."""
    end = offset if data is None else offset + len(data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset:end] = data


class Disk:
    """The files of one folder. `names` are those now, `durable_names` those that are sure."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.names: dict[str, _File] = {}
        self.durable_names: dict[str, _File] = {}
        self._changes: list[tuple[str, _File | None]] = []  # of names since the folder was synced

    def take(self, operation: Operation) -> None:
        """Do what a program did."""
        kind, path, offset, data = operation
        if kind == CREATED:
            self._name(path, _File())
        elif kind == REMOVED:
            self._name(path, None)
        elif kind == RENAMED:
            file = self.names[path]
            self._name(path, None)
            self._name(data.decode(), file)
        elif kind == SYNCED and path == self.folder:
            self.durable_names = dict(self.names)
            self._changes.clear()
        elif path in self.names:
            self._take_content(self.names[path], kind, offset, data)

    def _take_content(self, file: _File, kind: int, offset: int, data: bytes) -> None:
        if kind == WRITTEN:
            file.unsynced.append((offset, data))
        elif kind == TRUNCATED:
            file.unsynced.append((offset, None))
        elif kind == SYNCED:
            file.sync()

    def _name(self, path: str, file: _File | None) -> None:
        _rename(self.names, path, file)
        self._changes.append((path, file))

    def cut(self, random: Random, into: Path) -> None:
        """Cut the power, and put the files as they may be then into another folder."""
        names = dict(self.durable_names)
        for path, file in self._changes[: random.randint(0, len(self._changes))]:
            _rename(names, path, file)
        chance = random.choice(CHANCES)
        sector = random.choice(SECTORS)
        for path, file in names.items():
            content = bytearray(file.durable)
            for offset, data in _torn(file.unsynced, sector):
                if random.random() < chance:
                    _put(content, offset, data)
            (into / Path(path).name).write_bytes(content)


def _rename(names: dict[str, _File], path: str, file: _File | None) -> None:
    if file is None:
        names.pop(path, None)
    else:
        names[path] = file


def _torn(writes: list[tuple[int, bytes | None]], sector: int) -> list[tuple[int, bytes | None]]:
    """The same writes in pieces that do not go over the edge of a sector."""
    pieces: list[tuple[int, bytes | None]] = []
    for offset, data in writes:
        if data is None:
            pieces.append((offset, None))
            continue
        start = 0
        while start < len(data):
            end = min(len(data), start + sector - (offset + start) % sector)
            pieces.append((offset + start, data[start:end]))
            start = end
    return pieces
