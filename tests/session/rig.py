"""What the tests of this folder share: a transport that keeps what it is given, and a connection on it.

`FlowTestCase` joins an `OutgoingFlow` to such a connection. A test delivers messages and answers as the
receiver would; it compares what was written, decoded, with what the specification asks for.

The core may be compiled, and a test can't derive from a compiled class. So the connections here are those of
the broker, the one role there is; of it they need no more than that it hands acknowledgements and room to the
flow of its session.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.session.connection import CONNECTED, Connection
from mqttwist.session.grant import Grant
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import OutgoingFlow
from mqttwist.session.session import Session
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

Packets = list[Packet | Publish]


class RecordingTransport:
    """Keeps what is written. With `room`, it says that it is full as soon as so many bytes were written."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.room: int | None = None
        self.is_reading = True
        self.is_closed = False
        self.connection: Connection | None = None

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.room is not None and self.connection is not None:
            self.room -= len(data)
            if self.room <= 0:
                self.connection.transport_full()

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True


class Link:
    """A Network Connection of `broker`, what it writes, and the peer at its far end.

    It is in the state CONNECTED, unless `version` is 0: then CONNECT is to come. With `flow`, the peer's
    acknowledgements and the transport's room go to it.
    """

    def __init__(self, broker: Broker, version: int = MQTT_5, flow: OutgoingFlow | None = None) -> None:
        self.recorder = RecordingTransport()
        self.connection = broker.connect(self.recorder, "the peer")
        self.recorder.connection = self.connection
        if version:
            self.connection.set_version(version)
            self.connection.state = CONNECTED
        if flow is not None:
            session = Session(flow.client_id, flow.waiting.limits, broker.drops)
            session.outgoing = flow
            self.connection.session = session

    def receive(self, *packets: Packet | Publish) -> None:
        """The peer sends `packets`, and they come in one read."""
        self.connection.receive_data(b"".join([packet.encode(self.connection.version) for packet in packets]))

    def sent(self) -> Packets:
        """The packets written since the last call."""
        data = b"".join(self.recorder.writes)
        self.recorder.writes.clear()
        return decode_stream(data, self.connection.version)


class FlowTestCase(SynchronousTestCase):
    """An `OutgoingFlow`, a clock that is moved by hand, and connections to attach to it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.broker = Broker(MemoryStore(), self.clock.seconds)
        self.turn = self.broker.turn
        self.metrics = self.broker.metrics
        self.drops = Drops()
        self.flow = self.make_flow()

    def make_flow(self, messages: int = 0, size: int = 0, qos_0: bool = True) -> OutgoingFlow:
        """A flow whose queue is limited to `messages` and to `size` bytes (0: not at all)."""
        return OutgoingFlow("client", QueueLimits(messages, size, qos_0), self.drops)

    def connect(
        self,
        quota: int = 10,
        version: int = MQTT_5,
        aliases: int = 0,
        maximum_packet_size: int = 0xFFFFFFFF,
        room: int | None = None,
    ) -> Link:
        """The client (re)connects: attach, resume, and write what that led to."""
        self.turn.begin()
        link = Link(self.broker, version, self.flow)
        link.connection.peer_maximum_packet_size = maximum_packet_size
        link.recorder.room = room
        self.flow.attach(link.connection, quota, aliases)
        self.flow.resume()
        self.turn.end()
        return link

    def deliver(
        self,
        what: bytes | Message = b"x",
        qos: int = 1,
        topic: str = "topic",
        expiry: int | None = None,
        identifiers: tuple[int, ...] = (),
        share: str = "",
        replayed: bool = False,
    ) -> bool:
        """Deliver a message, or a payload as a new one, in a turn of its own; `expiry` is in seconds."""
        self.turn.begin()
        message = what if isinstance(what, Message) else Message(topic, what, qos)
        if expiry is not None:
            message.message_expiry_interval = expiry
            message.expires_at = self.turn.now + max(expiry, 0.001)  # as the broker's router does it
        grant = Grant(qos, True, identifiers, share)
        if replayed:
            self.flow.replay([Kept(message)], grant)
            taken = True
        else:
            taken = self.flow.deliver(message, grant)
        self.turn.end()
        return taken

    def deliver_many(self, count: int) -> None:
        """Deliver the same empty message of QoS 1 `count` times in one turn."""
        self.turn.begin()
        message = Message("topic", b"", 1)
        for _ in range(count):
            self.assertTrue(self.flow.deliver(message, Grant(1)))
        self.turn.end()

    def acknowledged(self, *packets: Acknowledgement) -> list[bool]:
        """Acknowledgements come, in one turn: what the flow says to each."""
        self.turn.begin()
        answers = [
            self.flow.acknowledged(packet.packet_id, packet.packet_type(), packet.reason_code)
            for packet in packets
        ]
        self.turn.end()
        return answers

    def dropped(self) -> list[tuple[str, str, int]]:
        """(client id, reason, how many) since the last call."""
        return self.drops.take()


def publish(
    payload: bytes = b"x",
    qos: int = 1,
    packet_id: int = 0,
    dup: bool = False,
    topic: str = "topic",
    retain: bool = False,
    properties: Properties | None = None,
) -> Publish:
    """A PUBLISH as a test expects it."""
    return Publish(topic, payload, qos, retain, properties, packet_id, dup)


def payloads(packets: Packets) -> list[bytes]:
    """The payloads of those packets that are PUBLISH."""
    return [packet.payload for packet in packets if isinstance(packet, Publish)]


def packet_ids(packets: Packets) -> list[int]:
    """The Packet Identifiers of those packets that are PUBLISH, 0 for QoS 0."""
    return [packet.packet_id for packet in packets if isinstance(packet, Publish)]


def pubacks(*identifiers: int) -> list[PubAck]:
    return [PubAck(packet_id) for packet_id in identifiers]


def pubrecs(*identifiers: int) -> list[PubRec]:
    return [PubRec(packet_id) for packet_id in identifiers]


def pubcomps(*identifiers: int) -> list[PubComp]:
    return [PubComp(packet_id) for packet_id in identifiers]
