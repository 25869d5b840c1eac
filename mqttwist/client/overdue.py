"""A message that the application does not come to an end with, and that holds back what came behind it.

Acknowledgements go out in the order of the messages, so one function that hangs stops all of its QoS, until
the Server sends nothing more. Nobody sees why, unless somebody says so.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from mqttwist.client.received import Received

PATIENCE: Final = 30.0  # seconds that a message may be the next to be acknowledged


class Overdue:
    """Looks at one queue now and then: a message costs nothing for it."""

    __slots__ = ("_first", "_is_told", "_since")

    _first: Received | None  # of the queue, at the last look
    _since: float
    _is_told: bool

    def __init__(self) -> None:
        self._first = None
        self._since = 0.0
        self._is_told = False

    def look(self, waiting: deque[Received], now: float) -> Received | None:
        """The first message, if it has been that for too long; once for each."""
        first = waiting[0] if waiting else None
        if first is not self._first:
            self._first = first
            self._since = now
            self._is_told = False
        elif first is not None and not self._is_told and now - self._since >= PATIENCE:
            self._is_told = True
            return first
        return None
