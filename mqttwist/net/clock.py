"""What the core of broker and client reads the time from."""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.base import ReactorBase
from twisted.internet.interfaces import IReactorTime


def core_clock(clock: IReactorTime) -> Callable[[], float]:
    """What the core reads the time from: a real reactor's `seconds` follow the wall clock, which may jump.

    A jump would be the end of every client that has a Keep Alive. A clock of tests is taken at its word.
    """
    return time.monotonic if isinstance(clock, ReactorBase) else clock.seconds
