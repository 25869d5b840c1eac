"""The sender's side of QoS 0, 1 and 2 (4.3), of the send quota (4.9) and of sending again (4.4).

A message is sent at once when it can be; else it waits in a bounded queue. Why it waits has a name
(`PAUSE_*`). Messages of QoS 1 and 2 stay in `in_flight` under their Packet Identifier, in the order in which
they were first sent, until the receiver has confirmed them; after a reconnection they are sent again in that
order.

How many may be in flight the receiver says, and how many bytes the limit of the queue: a message in flight
takes as much memory as one that waits; it counts with the size of its packet. The one that reaches the limit
in bytes is still sent, so that one, however large, can always be in flight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mqttwist.session import delivery as drop
from mqttwist.session.aliases import OutboundAliases
from mqttwist.session.connection import HOLD_LIMIT, PUMP_LIMIT, Connection
from mqttwist.session.delivery import Delivery, deliveries_of
from mqttwist.session.grant import Grant
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.sender import Sender
from mqttwist.session.waiting import QueueLimits, WaitingQueue
from mqttwist.wire.message import FORM_MQTT_5, Kept, Message
from mqttwist.wire.packet import MQTT_5, PUBACK, PUBCOMP, PUBREC

PAUSE_NONE: Final = 0
PAUSE_OFFLINE: Final = 1  # there is no Network Connection
PAUSE_SEND_QUOTA: Final = 2  # as much is unconfirmed as the receiver or the limit in bytes allows
PAUSE_TRANSPORT_FULL: Final = 3  # the receiver reads more slowly than we write

NO_SIZE_QUOTA: Final = 1 << 60

NONE_UNSENT: Final[dict[int, Delivery]] = {}  # in the place of a dict of one's own while there is nothing

PAUSE_NAMES: Final = ("none", "offline", "send quota", "transport full")


class OutgoingFlow(Sender):
    """All that is on its way to one client, online or not."""

    __slots__ = (
        "_last_packet_id", "_sid", "_size_quota", "_unsent", "in_flight", "in_flight_size", "send_quota",
        "waiting",
    )  # fmt: skip

    in_flight: dict[int, Delivery]
    in_flight_size: int  # bytes of the messages that `in_flight` holds
    waiting: WaitingQueue
    send_quota: int  # how many may be unconfirmed on this connection
    _unsent: dict[int, Delivery]  # of `in_flight`, what is to be sent again now; the first last
    _size_quota: int  # bytes of messages in flight at which the next one waits
    _last_packet_id: int
    _sid: int  # our session's number there

    def __init__(self, client_id: str, limits: QueueLimits, drops: Drops) -> None:
        super().__init__(client_id, drops)
        self.in_flight = {}
        self.in_flight_size = 0
        self.waiting = WaitingQueue(limits)
        self.send_quota = 0
        self._unsent = NONE_UNSENT
        self._size_quota = NO_SIZE_QUOTA
        self._last_packet_id = 0
        self._sid = 0

    def record(self, journal: Journal, sid: int) -> None:
        """From now on what happens to messages of QoS 1 and 2 is recorded, for the session `sid`."""
        self._journal = journal
        self._sid = sid

    @property
    def is_recorded(self) -> bool:
        """Whether messages of QoS 1 and 2 for this client survive the process."""
        return self._journal is not None

    def adopt(self, limits: QueueLimits, drops: Drops) -> None:
        """Another broker takes the session up, from a store: its limits hold, and it counts the drops."""
        self.waiting.limits = limits
        self._drops = drops

    # Coming and going

    def attach(self, connection: Connection, send_quota: int, topic_alias_maximum: int) -> None:
        """A Network Connection begins; call `resume` when CONNACK is in its outbox."""
        self._recall_sent()
        self.connection = connection
        self.send_quota = send_quota
        self._size_quota = self.waiting.limits.size or NO_SIZE_QUOTA
        if self.in_flight:
            self._unsent = dict(reversed(self.in_flight.items()))
        self._form = FORM_MQTT_5 if connection.version == MQTT_5 else 0
        self._aliases = OutboundAliases(topic_alias_maximum) if topic_alias_maximum else None

    def _recall_sent(self) -> None:
        """A process before this one has sent something that is not confirmed: it is in flight again."""
        for delivery in self.waiting.take_sent():
            self.in_flight[delivery.packet_id] = delivery
            self.in_flight_size += delivery.size
            self._last_packet_id = delivery.packet_id

    def detach(self) -> None:
        """The Network Connection is gone."""
        self.connection = None
        self._aliases = None
        self._unsent.clear()

    def resume(self) -> None:
        """Send again what is unconfirmed [MQTT-4.4.0-1], in its order [MQTT-4.6.0-1], then what waits.

        PUBREL does not wait for the send quota [MQTT-3.3.4-10], and so may come before a PUBLISH that does.
        """
        self.pump()
        connection = self.connection
        if connection is not None and self._unsent:
            for delivery in [one for one in reversed(self._unsent.values()) if one.message is None]:
                del self._unsent[delivery.packet_id]
                self._send_duplicate(connection, delivery)

    @property
    def is_online(self) -> bool:
        return self.connection is not None

    @property
    def is_ready(self) -> bool:
        return self.pause == PAUSE_NONE and not self.waiting.length

    @property
    def has_room(self) -> bool:
        return self.is_ready or self.waiting.has_room

    def has_room_for(self, size: int) -> bool:
        return self.is_ready or self.waiting.has_room_for(size)

    @property
    def pause(self) -> int:
        """Why a message of QoS 1 or 2 would have to wait."""
        connection = self.connection
        if connection is None:
            return PAUSE_OFFLINE
        if connection.blocked:
            return PAUSE_TRANSPORT_FULL
        if self._quota_is_used or self._unsent:
            return PAUSE_SEND_QUOTA
        return PAUSE_NONE

    @property
    def _quota_is_used(self) -> bool:
        """Whether as much is unconfirmed as may be, in messages (4.9) or in bytes."""
        return len(self.in_flight) >= self.send_quota or self.in_flight_size >= self._size_quota

    # Delivering

    def deliver(self, message: Message, grant: Grant) -> bool:
        connection = self.connection
        if grant.qos == 0 or message.qos == 0:
            # QoS 0 needs no quota; it only must not overtake what waits at QoS 0.
            if connection is None or connection.blocked or self.waiting.qos_0:
                return self._deliver_later(message, grant)
            return self._send_publish(connection, message, grant, 0, 0) > 0
        if (  # others wait, or there is a `pause`: step by step, for this is asked for every message
            connection is None
            or connection.blocked
            or self.waiting.length
            or len(self.in_flight) >= self.send_quota
            or self.in_flight_size >= self._size_quota
            or self._unsent
        ):
            return self._keep(message, grant)
        delivery = Delivery(message, grant)
        if self._journal is not None:
            self._journal.queued(self._sid, delivery)
        return self._send_first(connection, delivery, message) > 0

    def _deliver_later(self, message: Message, grant: Grant) -> bool:
        """Hold, keep or drop a message of QoS 0 that can't be sent at once."""
        connection = self.connection
        if connection is None and not self.waiting.limits.qos_0:
            return self._drop(drop.OFFLINE)
        if connection is not None and connection.blocked and not self.waiting.qos_0:
            if connection.held() + message.size > HOLD_LIMIT:
                return self._drop(drop.TRANSPORT_FULL)
            return self._send_publish(connection, message, grant, 0, 0) > 0
        return self._keep(message, grant)

    def _keep(self, message: Message, grant: Grant) -> bool:
        """Put a message into the queue, if there is room."""
        delivery = Delivery(message, grant)
        accepted, evicted = self.waiting.push(delivery, message)
        if evicted:
            self._drops.count(self.client_id, drop.QUEUE_FULL, evicted)
        if not accepted:
            return self._drop(drop.QUEUE_FULL)
        if self._journal is not None:
            self._record_waiting(delivery)
        return True

    def _record_waiting(self, delivery: Delivery) -> None:
        """A delivery was put into the queue; one of QoS 0 is promised to nobody."""
        if self._journal is not None and delivery.qos:
            self._journal.queued(self._sid, delivery)

    def replay(self, places: list[Kept], grant: Grant) -> None:
        deliveries = deliveries_of(places, grant)
        self.waiting.push_kept(deliveries)
        if self._journal is not None:
            for delivery in deliveries:
                self._record_waiting(delivery)

    def pump(self) -> None:
        """Send what is to be sent again and then what waits, as far as the quota and the transport allow.

        What is dropped does not count against `PUMP_LIMIT`: whenever that limit stops us, the outbox holds
        something, and when that has been written `room_made` calls us again.
        """
        connection = self.connection
        if connection is None:
            return
        sent = self._send_again(connection) if self._unsent else 0
        waiting = self.waiting
        while not connection.blocked and sent < PUMP_LIMIT:
            quota_is_used = len(self.in_flight) >= self.send_quota or self.in_flight_size >= self._size_quota
            if quota_is_used and not waiting.qos_0:
                return
            delivery = waiting.first()
            if delivery is None or (delivery.qos and quota_is_used):
                return
            waiting.pop()
            sent += self._send_waiting(connection, delivery)
        connection.wants_room = True

    def _send_waiting(self, connection: Connection, delivery: Delivery) -> int:
        """Send what has come to the front of the queue; how many bytes, 0 when it was dropped."""
        message = delivery.message
        if message is None:
            self._finish(delivery)
            return 0
        if delivery.kept is not None:
            delivery.kept = None
            if self._journal is not None:
                self._journal.took_message(delivery, message)
        if delivery.qos:
            sent = self._send_first(connection, delivery, message)
        else:
            sent = self._send_publish(connection, message, delivery.grant, 0, 0)
        message.forms = None
        return sent

    def _send_first(self, connection: Connection, delivery: Delivery, message: Message) -> int:
        """Send a message of QoS 1 or 2 for the first time [MQTT-4.3.2-1] [MQTT-4.3.3-1]; how many bytes."""
        qos = delivery.qos
        packet_id = self._new_packet_id()
        if self._journal is not None:  # first: what is sent waits until this is stored, if it has to
            self._journal.changed(delivery)
        size = self._send_publish(connection, message, delivery.grant, qos, packet_id)
        if not size:
            self._finish(delivery)
        else:
            delivery.packet_id = packet_id
            delivery.awaiting = PUBACK if qos == 1 else PUBREC
            delivery.sent_at = connection.turn.now
            delivery.size = size
            self.in_flight[packet_id] = delivery
            self.in_flight_size += size
        return size

    def _new_packet_id(self) -> int:
        """One that is not in use [MQTT-2.2.1-4]; there is one, since `in_flight` is below the quota."""
        packet_id = self._last_packet_id
        while True:
            packet_id = packet_id + 1 if packet_id < 0xFFFF else 1
            if packet_id not in self.in_flight:
                self._last_packet_id = packet_id
                return packet_id

    # Acknowledgements

    def acknowledged(self, packet_id: int, packet_type: int, reason_code: int) -> bool:
        """PUBACK, PUBREC or PUBCOMP came; False when no message awaits it.

        A PUBREC is answered here [MQTT-4.3.3-4]. What waited for the send quota is sent.
        """
        connection = self.connection
        delivery = self.in_flight.get(packet_id)
        if connection is None or delivery is None or delivery.awaiting != packet_type:
            return self._unexpected(delivery, packet_id, packet_type, reason_code)
        if packet_type == PUBREC and reason_code < 0x80:
            self._release(connection, delivery)
        else:
            self._complete(delivery, packet_type, reason_code)
        return True

    def _unexpected(
        self, delivery: Delivery | None, packet_id: int, packet_type: int, reason_code: int
    ) -> bool:
        """Out of turn: answer a PUBREC all the same, if its sender waits for PUBREL, and nothing else."""
        connection = self.connection
        if connection is None or packet_type != PUBREC or reason_code >= 0x80:
            return False
        if delivery is None:
            self._send_pubrel(connection, packet_id, 0x92)
            return False
        if delivery.awaiting != PUBCOMP:
            return False
        self._send_pubrel(connection, packet_id, 0)  # the receiver asks again
        return True

    def _release(self, connection: Connection, delivery: Delivery) -> None:
        """The receiver has the message of QoS 2: let it free the Packet Identifier [MQTT-4.3.3-4]."""
        delivery.awaiting = PUBCOMP
        message = delivery.message
        if self._journal is not None and message is not None:
            self._journal.released(delivery, message)
        delivery.message = None  # must not be sent again [MQTT-4.3.3-6]
        self.in_flight_size -= delivery.size
        delivery.size = 0
        delivery.sent_at = connection.turn.now
        if self._unsent:
            self._unsent.pop(delivery.packet_id, None)
        self._send_pubrel(connection, delivery.packet_id, 0)

    def _complete(self, delivery: Delivery, packet_type: int, reason_code: int) -> None:
        """The flow of a message has come to its end, be it with an error [MQTT-4.4.0-2]."""
        if reason_code >= 0x80 and packet_type != PUBCOMP:
            self._drop(drop.REFUSED)
        del self.in_flight[delivery.packet_id]
        self.in_flight_size -= delivery.size
        if self._journal is not None:
            self._journal.done(delivery)
        if self._unsent:
            self._unsent.pop(delivery.packet_id, None)
            self.pump()
        elif self.waiting.length:
            self.pump()

    # Sending again

    def _send_again(self, connection: Connection) -> int:
        """After a reconnection: PUBLISH with DUP [MQTT-3.3.1-1] and PUBREL, as far as the quota allows.

        Answers how many bytes were sent.
        """
        unsent = self._unsent
        sent = 0
        while unsent and not connection.blocked and sent < PUMP_LIMIT:
            if len(self.in_flight) - len(unsent) >= self.send_quota:
                break
            _, delivery = unsent.popitem()
            sent += self._send_duplicate(connection, delivery)
        return sent

    def send_overdue(self, retry_interval: float) -> int:
        """Send again what was unconfirmed for `retry_interval` seconds: for 3.x only (3.1.1: 4.4); how many.

        MQTT 5.0 forbids it while the connection lasts [MQTT-4.4.0-1]. What is too much for one go is left for
        the next call.
        """
        connection = self.connection
        if connection is None or connection.version == MQTT_5 or connection.blocked or self._unsent:
            return 0
        if connection.is_withholding:  # it may not have been sent yet
            return 0
        before = connection.turn.now - retry_interval
        count = sent = 0
        for delivery in [one for one in self.in_flight.values() if one.sent_at <= before]:
            if sent >= PUMP_LIMIT:
                break
            sent += self._send_duplicate(connection, delivery)
            count += 1
        return count

    def _send_duplicate(self, connection: Connection, delivery: Delivery) -> int:
        """Send a PUBLISH or PUBREL once more; how many bytes."""
        delivery.sent_at = connection.turn.now
        message = delivery.message
        if message is None:
            return self._send_pubrel(connection, delivery.packet_id, 0)
        publish = self._adapt(message, delivery.grant, delivery.qos, delivery.packet_id)
        publish.dup = True
        encoded = publish.encode(connection.version)
        if len(encoded) > connection.peer_maximum_packet_size:
            # Behave as if it had been sent and confirmed [MQTT-3.1.2-25].
            del self.in_flight[delivery.packet_id]
            self.in_flight_size -= delivery.size
            self._finish(delivery)
            self._drop(drop.PACKET_TOO_LARGE)
            return 0
        journal = self._journal
        if journal is not None and delivery.qos == 1 and connection.is_withholding:
            self._behind = journal.latest_frame  # what is new must not overtake it (4.6)
        self._send_when_stored(connection, encoded, delivery.qos)  # at QoS 1, too, in order [MQTT-4.6.0-1]
        connection.metrics.publishes_sent += 1
        return len(encoded)

    # Giving up

    def end(self) -> list[Delivery]:
        """The session ends: what came by Shared Subscriptions and may go to another member [MQTT-4.8.2-5].

        That is what was never sent, and what was sent at QoS 1 only. The rest is counted as dropped, but for
        what PUBREC has confirmed: only its PUBREL is missing.
        """
        self._recall_sent()
        unconfirmed = [one for one in self.in_flight.values() if one.message is not None]
        movable = [one for one in unconfirmed if one.grant.share and one.qos == 1]
        lost = len(unconfirmed) - len(movable)
        for delivery in self.in_flight.values():
            self._finish(delivery)
        self.in_flight.clear()
        self.in_flight_size = 0
        self._unsent.clear()
        while (waiting := self.waiting.first()) is not None:
            self.waiting.pop()
            self._finish(waiting)
            if waiting.grant.share:
                movable.append(waiting)
            else:
                lost += 1
        if lost:
            self._drops.count(self.client_id, drop.SESSION_ENDED, lost)
        return movable

    def take(self, is_wanted: Callable[[Delivery], bool]) -> list[Delivery]:
        """Take out of the queue all that `is_wanted`, in their order."""
        self._recall_sent()  # that is no part of the queue
        taken = self.waiting.take(is_wanted)
        for delivery in taken:
            self._finish(delivery)
        return taken

    def _finish(self, delivery: Delivery) -> None:
        """A delivery is over."""
        if self._journal is not None:
            self._journal.done(delivery)
