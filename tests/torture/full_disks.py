"""Disks that take no more: three ways to have one, of which two need no special rights."""

from __future__ import annotations

import os
import subprocess
from abc import abstractmethod
from pathlib import Path

from tests.torture.brokers import Ours
from tests.torture.shim import build, environment
from tests.torture.stage import Stage

WAYS = ("tmpfs", "limit", "enospc", "eio")
TMPFS_SIZE = 48  # MB
BALLAST = 1 << 16  # bytes that are written at a time
FIRST_PAGE = 4096  # bytes; there is no commit that writes less


class FullDisk:
    """`prepare` before the broker starts; then `fill` and `free` as often as you like."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.broker: Ours = stage.ours

    def prepare(self) -> None:
        """Make the disk. Raises `OSError` or `CalledProcessError` where that is not allowed."""

    @abstractmethod
    def fill(self) -> None:
        """From now on the store can't be written."""

    @abstractmethod
    def free(self) -> None:
        """From now on it can."""

    def keep_full(self) -> None:
        """Called now and then while it is to be full."""


class Tmpfs(FullDisk):
    """A small file system of its own, filled to the last byte. Needs root."""

    def prepare(self) -> None:
        self.folder = self.stage.folder / "small"
        self.folder.mkdir()
        options = f"size={TMPFS_SIZE}m,mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "mqttwist-torture", os.fspath(self.folder)]
        subprocess.run(command, check=True, capture_output=True)
        self.stage.clean_up.append(self._unmount)
        self.broker.store = self.folder / "store.db"

    def _unmount(self) -> None:
        subprocess.run(["umount", "-l", os.fspath(self.folder)], check=True, capture_output=True)

    def fill(self) -> None:
        size = BALLAST
        with (self.folder / "ballast").open("ab", buffering=0) as ballast:
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size //= 2

    def keep_full(self) -> None:
        self.fill()

    def free(self) -> None:
        (self.folder / "ballast").unlink()


class Limit(FullDisk):
    """No file of the writer may grow beyond its first page (RLIMIT_FSIZE)."""

    def fill(self) -> None:
        self.broker.limit_writer(FIRST_PAGE)

    def keep_full(self) -> None:
        self.fill()  # of a writer that was started anew

    def free(self) -> None:
        self.broker.limit_writer(None)


class Shim(FullDisk):
    """The writer's calls fail, as long as there is a file. Needs a C compiler."""

    fault = "full"

    def prepare(self) -> None:
        self.file: Path = self.stage.folder / f"disk.{self.fault}"
        library = build(self.stage.folder)
        self.broker.environment = environment(library, self.broker.store, fault=self.file)

    def fill(self) -> None:
        self.file.touch()

    def free(self) -> None:
        self.file.unlink()


class BrokenSync(Shim):
    """Writing goes well, but fsync and fdatasync fail."""

    fault = "eio"


_CLASSES: dict[str, type[FullDisk]] = {"tmpfs": Tmpfs, "limit": Limit, "enospc": Shim, "eio": BrokenSync}


def make_disk(stage: Stage) -> tuple[str, FullDisk]:
    """The way that the options ask for, or the first one that is possible here; prepared."""
    for way in [stage.options.way] if stage.options.way else ["tmpfs", "limit"]:
        disk = _CLASSES[way](stage)
        try:
            disk.prepare()
        except (OSError, subprocess.CalledProcessError):
            if stage.options.way:
                raise
            continue
        return way, disk
    raise AssertionError("a limit is possible everywhere")
