"""One broker to a store: the lock on PATH.lock.

The lock belongs to the open file, which the writer inherits, so it is free only when both processes are gone.
In the file is the broker's process id, for whoever waits; its time of modification says when the broker was
last alive.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from typing import NamedTuple

POLL = 0.05
"""Seconds between two attempts."""


class StoreError(Exception):
    """A store can't be opened; the text is one line for a person."""


class Lock(NamedTuple):
    """A lock that is held. `touched_at`: when somebody touched it before, seconds of the wall clock."""

    fd: int
    touched_at: float | None


def take_lock(path: str, wait: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> Lock:
    """Lock the file at `path`, which is made if there is none; `os.close` of the descriptor gives it free.

    Tries for `wait` seconds of `clock`. Raises `StoreError`, `OSError`.
    """
    is_new = not os.path.exists(path)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(fd, path, clock() + wait, clock, sleep)
        touched_at = None if is_new else os.fstat(fd).st_mtime
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
    except BaseException:
        os.close(fd)
        raise
    return Lock(fd, touched_at)


def _wait_for(
    fd: int, path: str, until: float, clock: Callable[[], float], sleep: Callable[[float], None]
) -> None:
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock() >= until:
                holder = os.pread(fd, 20, 0).decode("ascii", "replace").strip() or "unknown"
                store = path.removesuffix(".lock")
                raise StoreError(f"{store} is in use by process {holder}") from None
            sleep(POLL)
        else:
            return
