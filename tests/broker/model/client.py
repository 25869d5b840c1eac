"""A client that keeps to the specification, at the end of two pipes to the broker."""

from __future__ import annotations

from collections import Counter

from mqttwist.broker.broker import Broker
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_packet, decode_stream
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.packet import Packet
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, UnsubAck
from tests.broker.harness import RecordingTransport
from tests.broker.model.sessions import View

AnyPacket = Packet | Publish


class Stream:
    """Bytes in, packets out."""

    def __init__(self, version: int) -> None:
        self._decoder = Decoder(version)

    def packets(self, data: bytes) -> list[AnyPacket]:
        decoder = self._decoder
        decoder.feed(data)
        packets: list[AnyPacket] = []
        while decoder.advance():
            packets.append(
                decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, decoder.version)
            )
        return packets


class Link:
    """A Network Connection: `up` and `down` are bytes that are under way. `is_heard`: the client is there.

    The broker may not know yet that the client has gone. `is_full`: the broker's transport takes no more.
    """

    def __init__(self, broker: Broker, name: str) -> None:
        self.transport = RecordingTransport()
        self.connection = broker.connect(self.transport, name)
        self.view: View | None = None
        self.up = b""
        self.down = b""
        self.is_heard = True
        self.is_full = False
        self._under_way = 0  # how many of the bytes that the broker has written are, or were
        self._looked_at = 0

    def begin(self, view: View) -> None:
        """The client was accepted."""
        self.view = view
        self._upwards = Stream(view.version)
        self._downwards = Stream(view.version)

    def take_up(self, size: int) -> tuple[bytes, list[AnyPacket]]:
        """The next bytes that the broker gets, and the packets that they complete."""
        data, self.up = self.up[:size], self.up[size:]
        return data, self._upwards.packets(data)

    def take_down(self, size: int) -> list[AnyPacket]:
        """The packets that the client has with the next bytes."""
        data, self.down = self.down[:size], self.down[size:]
        return self._downwards.packets(data)

    def fill(self, is_full: bool) -> None:
        """The broker's transport takes no more data, or does again."""
        self.is_full = is_full
        if is_full:
            self.connection.transport_full()
        else:
            self.connection.transport_ready()

    def written(self, version: int) -> list[AnyPacket]:
        """What the broker has sent since the last look: it is under way, or waits for the transport."""
        written = self.transport.data
        if self.is_heard:
            self.down += written[self._under_way :]
        is_idle = len(written) == self._under_way
        assert is_idle or self.is_closed or not self.is_full, "written to a transport that is full"
        self._under_way = len(written)
        sent = written + b"".join(self.connection.outbox)
        data = sent[self._looked_at :]
        self._looked_at += len(data)
        return decode_stream(data, version)

    @property
    def is_closed(self) -> bool:
        return self.transport.closed > 0


class ModelClient:
    """Keeps its own Session State; `owed` are the answers that it has not written yet.

    `taken` counts the messages that it has passed on, by payload and QoS.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.version = 5
        self.link: Link | None = None
        self.sending: dict[int, AnyPacket] = {}  # PUBLISH or PUBREL, until it is confirmed
        self.requests: set[int] = set()
        self.unreleased: set[int] = set()
        self.owed: list[Packet] = []
        self.taken: Counter[tuple[bytes, int]] = Counter()
        self._last_id = 0

    def packet_id(self) -> int:
        """The next one that is free: they come round soon, for there are no more steps than that."""
        while True:
            self._last_id = self._last_id % 100 + 1
            if self._last_id not in self.sending and self._last_id not in self.requests:
                return self._last_id

    def start(self, link: Link, version: int, is_present: bool) -> None:
        """CONNACK came: send again what is unconfirmed, or forget all."""
        self.link = link
        self.version = version
        self.owed.clear()
        self.requests.clear()
        if not is_present:
            self.sending.clear()
            self.unreleased.clear()
        self.send_again()

    def send_again(self) -> None:
        for packet in self.sending.values():
            if isinstance(packet, Publish):
                packet.dup = True
            self.write(packet)

    def write(self, packet: AnyPacket) -> None:
        if self.link is not None:
            self.link.up += packet.encode(self.version)

    def publish(self, publish: Publish) -> None:
        if publish.qos:
            publish.packet_id = self.packet_id()
            self.sending[publish.packet_id] = publish
        self.write(publish)

    def acknowledge(self, count: int) -> None:
        """Write the first of the answers that are owed, in their order [MQTT-4.6.0-2] [MQTT-4.6.0-3]."""
        for packet in self.owed[:count]:
            self.write(packet)
        del self.owed[:count]

    def receive(self, size: int, refuse: bool) -> None:
        """Read the next bytes; with `refuse`, 5.0 answers 0x83 to new messages."""
        if self.link is not None:
            for packet in self.link.take_down(size):
                self._received(packet, refuse and self.version == 5)

    def _received(self, packet: AnyPacket, refuse: bool) -> None:
        match packet:
            case Publish():
                self._publish_received(packet, refuse)
            case PubRel():
                self.unreleased.discard(packet.packet_id)
                self.owed.append(PubComp(packet.packet_id))
            case PubAck():
                self._confirmed(packet.packet_id, 1)
            case PubRec():
                self._pubrec_received(packet)
            case PubComp():
                if isinstance(self.sending.get(packet.packet_id), PubRel):
                    del self.sending[packet.packet_id]
            case SubAck() | UnsubAck():
                self.requests.discard(packet.packet_id)

    def _confirmed(self, packet_id: int, qos: int) -> None:
        sent = self.sending.get(packet_id)
        if isinstance(sent, Publish) and sent.qos == qos:
            del self.sending[packet_id]

    def _pubrec_received(self, packet: PubRec) -> None:
        sent = self.sending.get(packet.packet_id)
        if packet.reason_code >= 0x80:
            self._confirmed(packet.packet_id, 2)
        elif isinstance(sent, PubRel) or (isinstance(sent, Publish) and sent.qos == 2):
            self.sending[packet.packet_id] = PubRel(packet.packet_id)
            self.owed.append(PubRel(packet.packet_id))

    def _publish_received(self, packet: Publish, refuse: bool) -> None:
        packet_id = packet.packet_id
        if packet.qos == 2 and packet_id in self.unreleased:
            self.owed.append(PubRec(packet_id))  # [MQTT-4.3.3-10]
            return
        code = 0x83 if refuse else 0
        if not (refuse and packet.qos):
            self.taken[packet.payload, packet.qos] += 1
        if packet.qos == 1:
            self.owed.append(PubAck(packet_id, code))
        elif packet.qos == 2:
            if not refuse:
                self.unreleased.add(packet_id)
            self.owed.append(PubRec(packet_id, code))
