"""Keep Alive (3.1.2.10): a client that is not heard of for too long is sent away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttwist.session.deadlines import Deadline, Deadlines
from mqttwist.wire.enums import ReasonCode

if TYPE_CHECKING:
    from mqttwist.broker.connection import ServerConnection

PATIENCE: Final = 1.5  # times the Keep Alive [MQTT-3.1.2-22]


class KeepAlive:
    """Watches one connection, whose client promised to say something every `seconds`.

    One deadline is set again only when it comes: packets cost nothing.
    """

    __slots__ = ("_connection", "_deadlines", "_due", "_limit")

    _connection: ServerConnection
    _deadlines: Deadlines
    _due: Deadline
    _limit: float  # seconds

    def __init__(self, connection: ServerConnection, deadlines: Deadlines, seconds: int) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._limit = seconds * PATIENCE
        self._due = deadlines.at(connection.last_received + self._limit, self._check)

    def cancel(self) -> None:
        """The connection has ended."""
        self._due.cancel()

    def _check(self, now: float) -> None:
        connection = self._connection
        due = connection.last_received + self._limit
        if due > now:
            self._due = self._deadlines.at(due, self._check)
        elif connection.waits_for_disk:  # that is our fault
            self._due = self._deadlines.at(now + self._limit, self._check)
        elif connection.reading_is_paused:  # what it may have said was not read
            text = f"has not read what was sent for {self._limit:g} s"
            connection.disconnect(ReasonCode.QUOTA_EXCEEDED.value, text)
        else:
            text = f"nothing heard for {self._limit:g} s"
            connection.disconnect(ReasonCode.KEEP_ALIVE_TIMEOUT.value, text)
