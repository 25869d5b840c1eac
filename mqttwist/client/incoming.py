"""The client's receiving side of QoS 1 and 2: what came, and is acknowledged when the application has it.

Acknowledgements go out in the order in which the messages came [MQTT-4.6.0-2] [MQTT-4.6.0-3], so one that is
ready waits for those before it. How many the Server sends meanwhile its Receive Maximum bounds.

A connection that breaks takes no message away from the application. When the Server sends it again, under the
same Packet Identifier, it is known, and gets the acknowledgement that the application has come to by then.
It must be the same message, though: what would be lost is worse than what comes twice. Before MQTT 5.0 a
Server may send a message again that we have acknowledged already, so there one of QoS 1 that is done with
between connections is forgotten: it may not come again, and another may come in its place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mqttwist.client.overdue import Overdue
from mqttwist.client.received import ACCEPTED, LEFT, REJECTED, Received
from mqttwist.session.connection import Connection
from mqttwist.session.incoming import NONE, IncomingFlow
from mqttwist.wire.acknowledge import acknowledge
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.packet import MQTT_5, PUBACK, PUBCOMP, PUBREC
from mqttwist.wire.publish import Publish


class ClientIncoming(IncomingFlow):
    """What the Server has under way to us. `woken` is called when something is to be sent out of turn."""

    __slots__ = (
        "_connection", "_left", "_overdue_1", "_overdue_2", "_under_way", "_version", "_waiting_1",
        "_waiting_2", "keeps_session", "left", "woken",
    )  # fmt: skip

    woken: Callable[[], object]
    keeps_session: bool  # the session goes on after the connection
    left: int  # how many messages of this connection were left to the Server
    _left: list[Received]  # those, if no later connection will bring them
    _connection: Connection | None
    _version: int  # of the last connection
    _under_way: dict[int, Received]  # by Packet Identifier: with the application
    _waiting_1: deque[Received]  # of QoS 1, of this connection, in the order in which they came
    _waiting_2: deque[Received]
    _overdue_1: Overdue
    _overdue_2: Overdue

    def __init__(self, woken: Callable[[], object], keeps_session: bool) -> None:
        super().__init__()
        self.woken = woken
        self.keeps_session = keeps_session
        self.left = 0
        self._left = []
        self._connection = None
        self._version = MQTT_5
        self._under_way = {}
        self._waiting_1 = deque()
        self._waiting_2 = deque()
        self._overdue_1 = Overdue()
        self._overdue_2 = Overdue()

    # Coming and going

    def begin(self, connection: Connection, receive_maximum: int) -> None:
        """The Server has accepted `connection`."""
        self.attach(receive_maximum)
        self.left = 0
        self._connection = connection
        self._version = connection.version

    def detach(self) -> None:
        """The connection is gone. What was left to the Server comes anew, as a message like others."""
        self._connection = None
        self.left = 0
        self._left.clear()
        self._waiting_1.clear()
        self._waiting_2.clear()
        for packet_id, received in list(self._under_way.items()):
            if received.is_settled:
                self._settled_offline(packet_id, received)

    def session_lost(self) -> None:
        """The Server knows nothing of what it has sent: what comes are other messages [MQTT-3.2.2-5]."""
        self._under_way.clear()
        for packet_id in list(self.unreleased):
            self.release(packet_id)

    @property
    def with_application(self) -> int:
        """How many messages of QoS 1 and 2 are with the application."""
        return len(self._under_way)

    # From the Server

    def arrived(self, publish: Publish) -> Received | None:
        """A PUBLISH of QoS 1 or 2 came; None for one that the application has or had already.

        Raises `ProtocolError` for more than the Receive Maximum allows [MQTT-3.3.4-9], and for a Packet
        Identifier that is in use [MQTT-2.2.1-4].
        """
        packet_id = publish.packet_id
        if self.receive_maximum and packet_id not in self._open:
            self.check_quota()
        if self._open is NONE:
            self._open = set()
        is_open = packet_id in self._open
        self._open.add(packet_id)
        if publish.qos == 2 and packet_id in self.unreleased:
            self._send(PUBREC, packet_id, 0)  # once more [MQTT-4.3.3-10]
            return None
        known = self._under_way.get(packet_id)
        if known is not None and _is_again(known.publish, publish):
            if not is_open:
                self._came_again(known)
            return None
        if known is not None and is_open:
            text = f"Packet Identifier {packet_id} is used for another message while one is unacknowledged"
            raise ProtocolError(0x82, text, "MQTT-2.2.1-4")
        received = self._under_way[packet_id] = Received(publish, self)
        self._queue(publish.qos).append(received)
        return received

    def _came_again(self, known: Received) -> None:
        """On a new connection: it is acknowledged there."""
        self._queue(known.publish.qos).append(known)
        if known.is_settled:
            self._advance(known.publish.qos)

    def _queue(self, qos: int) -> deque[Received]:
        return self._waiting_1 if qos == 1 else self._waiting_2

    # From the application

    def settled(self, received: Received) -> None:
        """The application has said what is to become of a message."""
        packet_id = received.publish.packet_id
        if self._under_way.get(packet_id) is not received:
            return  # it belongs to a session that is over
        if self._connection is None or packet_id not in self._open:
            self._settled_offline(packet_id, received)
        else:
            self._advance(received.publish.qos)
            self.woken()

    def _settled_offline(self, packet_id: int, received: Received) -> None:
        """Remember the verdict until the Server sends the message again on another connection."""
        if received.verdict == LEFT:
            del self._under_way[packet_id]
        elif received.publish.qos == 2 and (received.verdict == ACCEPTED or self._version != MQTT_5):
            del self._under_way[packet_id]
            self.received(packet_id)
        elif self._version != MQTT_5:
            del self._under_way[packet_id]

    def _advance(self, qos: int) -> None:
        """Acknowledge what can be, in its order."""
        waiting = self._queue(qos)
        while waiting and waiting[0].is_settled:
            self._acknowledge(waiting.popleft())

    def _acknowledge(self, received: Received) -> None:
        publish = received.publish
        packet_id = publish.packet_id
        self._under_way.pop(packet_id, None)
        if received.verdict == LEFT:
            self.left += 1
            if not self.keeps_session:
                self._left.append(received)
            return
        connection = self._connection
        is_rejected = received.verdict == REJECTED and connection is not None and connection.version == MQTT_5
        if publish.qos == 1:
            self._open.discard(packet_id)
            self._send(PUBACK, packet_id, received.reason_code if is_rejected else 0)
        elif is_rejected:
            self._open.discard(packet_id)
            self._send(PUBREC, packet_id, received.reason_code)  # which frees the identifier [MQTT-4.3.3-9]
        else:
            self.received(packet_id)
            self._send(PUBREC, packet_id, 0)

    def look(self, now: float) -> list[tuple[Received, int]]:
        """The messages that have held back others for too long, each with how many; each is told once."""
        late: list[tuple[Received, int]] = []
        for overdue, waiting in ((self._overdue_1, self._waiting_1), (self._overdue_2, self._waiting_2)):
            received = overdue.look(waiting, now)
            if received is not None:
                late.append((received, len(waiting) - 1))
        return late

    def reject_left(self) -> None:
        """Give up what was left, for its places are needed: no later connection would bring it again."""
        left, self._left = self._left, []
        self.left = 0
        for received in left:
            received.verdict = REJECTED
            received.reason_code = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR.value
            self._acknowledge(received)

    # Answers

    def released(self, packet_id: int) -> None:
        """PUBREL came [MQTT-4.3.3-11]. For a message that was not confirmed it changes nothing."""
        is_ours = packet_id not in self._under_way and self.release(packet_id)
        self._send(PUBCOMP, packet_id, 0 if is_ours else 0x92)

    def _send(self, packet_type: int, packet_id: int, reason_code: int) -> None:
        """Send an acknowledgement; what it promises is stored first, if anything is."""
        connection = self._connection
        if connection is None:
            return
        packet = acknowledge(packet_type, packet_id, reason_code, connection.version)
        connection.metrics.others_sent += 1
        journal = self._journal
        if journal is None or packet_type == PUBACK:
            connection.send(packet)
        else:
            connection.send_when_stored(packet, journal.latest_frame)


def _is_again(known: Publish, publish: Publish) -> bool:
    """Whether the Server has sent a message again, which we know."""
    return (
        known.qos == publish.qos
        and (publish.dup or publish.qos == 2)
        and known.topic_name == publish.topic_name
        and known.payload == publish.payload
    )
