"""The receiver's side of QoS 1 and 2 (4.3.2, 4.3.3) and of the Receive Maximum (4.9)."""

from __future__ import annotations

from typing import Final

from mqttwist.session.journal import Journal
from mqttwist.wire.errors import ProtocolError

NONE: Final[set[int]] = set()  # in the place of a set of one's own: those take 216 bytes each


class IncomingFlow:
    """Which QoS 2 messages were received and not yet released.

    `unreleased` is Session State: it outlives the connection. `receive_maximum` is what we told the peer, 0
    for none (before MQTT 5.0).
    """

    __slots__ = ("_journal", "_open", "_sid", "receive_maximum", "unreleased")

    unreleased: set[int]
    _journal: Journal | None  # records what is received and released
    _sid: int  # our session's number there
    receive_maximum: int
    _open: set[int]  # Packet Identifiers that count against the quota of this connection

    def __init__(self) -> None:
        self.unreleased = NONE
        self.receive_maximum = 0
        self._open = NONE
        self._journal = None
        self._sid = 0

    def record(self, journal: Journal, sid: int) -> None:
        """From now on what is received and released is recorded, for the session `sid`."""
        self._journal = journal
        self._sid = sid

    def attach(self, receive_maximum: int) -> None:
        """A new Network Connection begins: the quota starts anew (4.9)."""
        self.receive_maximum = receive_maximum
        self._open = NONE

    def check_quota(self) -> None:
        """Raise `ProtocolError` 0x93 unless one more message may be under way [MQTT-3.3.4-7].

        A QoS 1 message is acknowledged in the turn in which it came, so it takes no place for longer.
        """
        if self.receive_maximum and len(self._open) >= self.receive_maximum:
            text = f"more than {self.receive_maximum} messages are unacknowledged"
            raise ProtocolError(0x93, text, "MQTT-3.3.4-7")

    def is_new(self, packet_id: int) -> bool:
        """Whether a QoS 2 PUBLISH is a new Application Message, not one that was sent again [MQTT-4.3.3-10].

        Raises `ProtocolError` 0x93 when more are under way than the Receive Maximum allows [MQTT-3.3.4-7].
        """
        if self.receive_maximum and packet_id not in self._open:
            self.check_quota()
            if self._open is NONE:
                self._open = set()
            self._open.add(packet_id)
        return packet_id not in self.unreleased

    def received(self, packet_id: int) -> None:
        """The message is ours: until PUBREL, the same identifier means the same message [MQTT-4.3.3-10]."""
        self.restore(packet_id)
        if self._journal is not None:
            self._journal.received(self._sid, packet_id, True)

    def restore(self, packet_id: int) -> None:
        """A store says that the message is ours."""
        if self.unreleased is NONE:
            self.unreleased = set()
        self.unreleased.add(packet_id)

    def refused(self, packet_id: int) -> None:
        """PUBREC went out with a Reason Code of 0x80 or more: the identifier is free [MQTT-4.3.3-9]."""
        self._open.discard(packet_id)

    def release(self, packet_id: int) -> bool:
        """PUBREL came: the identifier is free [MQTT-4.3.3-12]; False when it was not in use."""
        if self._open:
            self._open.discard(packet_id)
        unreleased = self.unreleased
        before = len(unreleased)  # to look first and discard then takes half as long again
        unreleased.discard(packet_id)
        if len(unreleased) == before:
            return False
        if self._journal is not None:
            self._journal.received(self._sid, packet_id, False)
        return True
