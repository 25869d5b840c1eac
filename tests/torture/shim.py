"""Builds `shim.c`, and reads the log it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from struct import Struct
from typing import NamedTuple

CREATED, WRITTEN, TRUNCATED, SYNCED, REMOVED, RENAMED, SAID = range(1, 8)

_RECORD = Struct("=IIQQ")
_SOURCE = Path(__file__).with_name("shim.c")


class Operation(NamedTuple):
    """What a program did: to the file (or folder) `path`; SAID is `data` written to standard output.

    WRITTEN: `data` at `offset`; TRUNCATED: to `offset` bytes; RENAMED: to the name `data`.
    """

    kind: int
    path: str
    offset: int
    data: bytes


@cache
def why_no_shim() -> str | None:
    """Why the shim can't be built; None if it can."""
    return None if shutil.which("cc") else "there is no C compiler (cc)"


def build(folder: Path) -> Path:
    """The shim, compiled into `folder`. Raises `CalledProcessError`."""
    library = folder / "shim.so"
    command = [
        "cc",
        "-O2",
        "-shared",
        "-fPIC",
        "-o",
        os.fspath(library),
        os.fspath(_SOURCE),
        "-ldl",
        "-lpthread",
    ]
    subprocess.run(command, check=True, timeout=120)
    return library


def environment(
    library: Path, store: Path, log: Path | None = None, fault: Path | None = None
) -> dict[str, str]:
    """What to add to the environment of a program that uses the store at this path."""
    added = {"LD_PRELOAD": os.fspath(library), "TORTURE_STORE": os.fspath(store)}
    if log is not None:
        added["TORTURE_LOG"] = os.fspath(log)
    if fault is not None:
        added["TORTURE_FAULT"] = os.fspath(fault)
    return added


def read_log(log: Path) -> Iterator[Operation]:
    """The operations in their order. A record that a killed program did not finish ends them."""
    data = log.read_bytes()
    index = 0
    while index + _RECORD.size <= len(data):
        kind, path_length, offset, length = _RECORD.unpack_from(data, index)
        path_at = index + _RECORD.size
        index = path_at + path_length + length
        if index > len(data):
            return
        path = data[path_at : path_at + path_length].decode()
        yield Operation(kind, path, offset, data[path_at + path_length : index])
