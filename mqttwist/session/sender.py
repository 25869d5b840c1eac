"""How a message becomes a PUBLISH for one client, and that gets into the outbox of its connection (3.3)."""

from __future__ import annotations

from math import ceil
from typing import Final

from mqttwist.session import delivery as drop
from mqttwist.session.aliases import OutboundAliases
from mqttwist.session.connection import Connection
from mqttwist.session.grant import Grant
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.receiver import Receiver
from mqttwist.wire.acknowledge import acknowledge
from mqttwist.wire.datatypes import SINGLE_BYTES
from mqttwist.wire.message import FORM_RETAIN, Message
from mqttwist.wire.packet import MQTT_5, PUBREL
from mqttwist.wire.publish import Publish

# What a Topic Alias adds to a PUBLISH, in bytes: the property, and with it one more byte each of the Property
# Length and of the Remaining Length at most.
ALIAS_SIZE: Final = 3 + 1 + 1

PACKET_ID_SIZE: Final = 2  # bytes


class Sender(Receiver):
    """One client's connection, if it has one, and what its PUBLISH packets look like."""

    __slots__ = ("_aliases", "_behind", "_drops", "_form", "_journal", "_last_drop", "connection")

    connection: Connection | None
    _aliases: OutboundAliases | None
    _form: int  # FORM_MQTT_5 or 0
    _drops: Drops
    _last_drop: str  # why the last message that was dropped was
    _journal: Journal | None  # records what happens to messages of QoS 1 and 2
    _behind: int  # the last frame that messages of QoS 1 wait for: they are sent again, or behind such

    def __init__(self, client_id: str, drops: Drops) -> None:
        super().__init__(client_id)
        self.connection = None
        self._aliases = None
        self._form = 0
        self._drops = drops
        self._last_drop = ""
        self._journal = None
        self._behind = 0

    def _send_publish(
        self, connection: Connection, message: Message, grant: Grant, qos: int, packet_id: int
    ) -> int:
        """Put a PUBLISH with DUP 0 into the outbox; its size in bytes, 0 when it must not be sent."""
        key = qos | self._form
        if self._form and (
            message.message_expiry_interval >= 0 or self._aliases is not None or grant.identifiers
        ):
            # This receiver, of MQTT 5.0, gets properties that others don't.
            return self._send_adapted(connection, message, grant, qos, packet_id)
        if message.retain and grant.retain_as_published:  # [MQTT-3.3.1-12] [MQTT-3.3.1-13]
            key |= FORM_RETAIN
        if key == message.data_form:
            head, tail = message.head, message.data
        else:
            form = message.form(key)
            head, tail = form.head, form.tail
        size = len(head) + len(tail) + (PACKET_ID_SIZE if qos else 0)
        if size > connection.peer_maximum_packet_size:
            return self._drop(drop.PACKET_TOO_LARGE)
        if message.expires_at and message.expires_at <= connection.turn.now:
            return self._drop(drop.EXPIRED)
        if not qos:
            connection.send(tail)
        elif self._journal is None or (qos == 1 and self._behind <= self._journal.committed_frame):
            outbox = connection.outbox
            if not outbox:  # as `send` does, without a call for every message
                connection.turn.has_output(connection)
            outbox.append(head)
            # Half of what `to_bytes` costs (compiled).
            outbox.append(SINGLE_BYTES[packet_id >> 8] + SINGLE_BYTES[packet_id & 0xFF])
            outbox.append(tail)
        else:
            self._send_when_stored(connection, head + packet_id.to_bytes(2, "big") + tail, qos)
        connection.metrics.publishes_sent += 1
        return size

    def _send_adapted(
        self, connection: Connection, message: Message, grant: Grant, qos: int, packet_id: int
    ) -> int:
        """The same for a message that looks different for this receiver: alias, identifiers, time left."""
        if message.expires_at and message.expires_at <= connection.turn.now:
            return self._drop(drop.EXPIRED)
        publish = self._adapt(message, grant, qos, packet_id)
        encoded = publish.encode(MQTT_5)
        if len(encoded) > connection.peer_maximum_packet_size:
            return self._drop(drop.PACKET_TOO_LARGE)
        journal = self._journal
        if qos and journal is not None and (qos == 2 or self._behind > journal.committed_frame):
            # Without an alias: what is sent meanwhile would use it before the receiver has heard of it.
            self._send_when_stored(connection, encoded, qos)
            connection.metrics.publishes_sent += 1
            return len(encoded)
        if self._aliases is not None and len(encoded) + ALIAS_SIZE <= connection.peer_maximum_packet_size:
            publish.topic_alias, known = self._aliases.alias_for(message.topic_name)
            if known:
                publish.topic_name = ""
            encoded = publish.encode(MQTT_5)
        connection.send(encoded)
        connection.metrics.publishes_sent += 1
        return len(encoded)

    def _send_when_stored(self, connection: Connection, packet: bytes, qos: int = 2) -> None:
        """Send a packet of QoS 2, whose Packet Identifier the next process must know if we end now.

        Else it could send the message with another one, and the receiver would take it for another message.
        One of QoS 1 just keeps its place behind those of its kind that are withheld, and so do those after
        it: what is new must not overtake it (4.6).
        """
        journal = self._journal
        if journal is None:
            connection.send(packet)
            return
        if qos == 1 and connection.is_withholding:
            self._behind = journal.latest_frame
        connection.send_when_stored(packet, journal.latest_frame if qos == 2 else 0)

    def _adapt(self, message: Message, grant: Grant, qos: int, packet_id: int) -> Publish:
        retain = message.retain and grant.retain_as_published
        publish = Publish(message.topic_name, message.payload, qos, retain, None, packet_id)
        publish.forwarded = message.forwarded
        publish.subscription_identifiers = grant.identifiers
        publish.message_expiry_interval = message.message_expiry_interval
        if message.expires_at and self.connection is not None:
            # The time left [MQTT-3.3.2-6]; a clock of fractions must not make it more than it was.
            left = ceil(message.expires_at - self.connection.turn.now)
            publish.message_expiry_interval = max(min(left, message.message_expiry_interval), 0)
        return publish

    def _send_pubrel(self, connection: Connection, packet_id: int, reason_code: int) -> int:
        encoded = acknowledge(PUBREL, packet_id, reason_code, connection.version)
        if self._journal is None:
            connection.send(encoded)
        else:
            self._send_when_stored(connection, encoded)
        connection.metrics.others_sent += 1
        return len(encoded)

    def withdraw_drop(self) -> None:
        self._drops.withdraw(self.client_id, self._last_drop)

    def _drop(self, reason: str) -> bool:
        """Count a message that is not sent; False, which is 0 bytes, for the caller to pass on."""
        self._last_drop = reason
        self._drops.count(self.client_id, reason)
        return False
