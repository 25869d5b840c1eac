"""One turn of the reactor: what has been read is worked on, then each peer is written to once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from mqttwist.session.journal import Journal

if TYPE_CHECKING:
    from mqttwist.session.connection import Connection


class Turn:
    """`now` is the time of the turn, in seconds of whatever clock was given.

    `journal` is what changes are recorded in that are to survive the process; None: nothing is to.
    """

    __slots__ = ("_clock", "_postponed", "_with_output", "journal", "now", "wake")

    now: float
    journal: Journal | None
    wake: Callable[[], object] | None  # has `go_on` called soon, but after what else waits; None: nobody does
    _postponed: list[Connection]
    _clock: Callable[[], float]
    _with_output: list[Connection]

    def __init__(self, clock: Callable[[], float], journal: Journal | None = None) -> None:
        self._clock = clock
        self.journal = journal
        if journal is not None:
            journal.clock = clock
        self.now = clock()
        self._with_output = []
        self._postponed = []
        self.wake = None

    def begin(self) -> float:
        """Read the clock: called where the outside world comes in."""
        self.now = self._clock()
        return self.now

    def has_output(self, connection: Connection) -> None:
        """Remember that `connection` is to be written to at the end of the turn."""
        self._with_output.append(connection)

    def postpone(self, connection: Connection) -> bool:
        """`connection` has more to send than is fair in one turn; False if nobody will call `go_on`."""
        if self.wake is None:
            return False
        self._postponed.append(connection)
        if len(self._postponed) == 1:
            self.wake()
        return True

    def go_on(self) -> None:
        """One turn, for those that were postponed. Should one of them fail, call it again for the others."""
        self.begin()
        for _ in range(len(self._postponed)):
            connection = self._postponed.pop(0)
            connection.go_on()
        self.end()

    @property
    def is_unfinished(self) -> bool:
        """Whether somebody waits for `go_on`, or was not written to because another one failed."""
        return bool(self._postponed or self._with_output)

    def end(self) -> None:
        """Write to every connection that has output, until none is left: a write may make room for more.

        Should one of them fail, the others stay for the next turn. What was recorded goes off to be stored,
        and if that is done at once, what has waited for it is written too.
        """
        journal = self.journal
        while True:
            while self._with_output:
                self._with_output.pop().flush()
            if journal is None or not journal.is_due:
                return
            if journal.soon is not None:
                journal.soon()
                return
            journal.seal(self.now)
