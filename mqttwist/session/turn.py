"""One turn of the reactor: what has been read is worked on, then each peer is written to once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mqttwist.session.connection import Connection


class Turn:
    """`now` is the time of the turn, in seconds of whatever clock was given."""

    __slots__ = ("_clock", "_with_output", "now")

    now: float
    _clock: Callable[[], float]
    _with_output: list[Connection]

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.now = clock()
        self._with_output = []

    def begin(self) -> float:
        """Read the clock: called where the outside world comes in."""
        self.now = self._clock()
        return self.now

    def has_output(self, connection: Connection) -> None:
        """Remember that `connection` is to be written to at the end of the turn."""
        self._with_output.append(connection)

    def end(self) -> None:
        """Write to every connection that has output, until none is left: a write may make room for more.

        Should one of them fail, the others stay for the next turn.
        """
        while self._with_output:
            self._with_output.pop().flush()
