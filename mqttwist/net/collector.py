"""Python's garbage collector in a process that is a broker and little else."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RARELY = 1000  # collections of the middle generation for one of all objects; Python's own value is 10


@contextmanager
def without_collector() -> Iterator[None]:
    """Collect what is garbage now, and then nothing: while much is made, that would take half of the time."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def collect_rarely() -> Callable[[], None]:
    """Have all objects looked through a hundred times less often, and those of the start never again.

    The broker drops what it needs no more by itself; the collector is there for the cycles of others, most of
    which die young. Left alone it looks through all that waits in queues again and again as they grow: an
    eighth of the CPU of messages for clients that are away (plain build), and of that of connections, and
    pauses. Answers what undoes it. Call it in `without_collector`, or what is garbage now stays.

    This is for the whole process: the command does it; a program that has a broker in it decides for itself.
    """
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(thresholds[0], thresholds[1], RARELY)

    def undo() -> None:
        gc.set_threshold(*thresholds)
        gc.unfreeze()

    return undo
