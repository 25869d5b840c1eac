"""A client that has connected to a broker: for tests of the half of a connection that both roles share."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.settings import Settings
from mqttwist.session.connection import Connection
from mqttwist.session.grant import Grant
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import PingResp
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.publish import Publish
from tests.session.rig import Link, Packets

MAXIMUM_PACKET_SIZE = 2000
PONG = PingResp().encode(MQTT_5)


def encoded(*packets: Packet | Publish) -> bytes:
    return b"".join([packet.encode(MQTT_5) for packet in packets])


class RecordingTrace:
    """Keeps what it sees: the connection, "received" or "sent", the bytes."""

    def __init__(self) -> None:
        self.seen: list[tuple[Connection, str, bytes]] = []

    def received(self, connection: Connection, packet: bytes) -> None:
        self.seen.append((connection, "received", packet))

    def sent(self, connection: Connection, packets: bytes) -> None:
        self.seen.append((connection, "sent", packets))


class ConnectionTestCase(SynchronousTestCase):
    """A client that has connected, and a broker that shows what comes in and may let a login wait."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.trace = RecordingTrace()
        settings = Settings(maximum_packet_size=MAXIMUM_PACKET_SIZE)
        self.broker = Broker(MemoryStore(), self.clock.seconds, settings, self.login, trace=self.trace)
        self.turn, self.metrics = self.broker.turn, self.broker.metrics
        self.login_waits = False
        self.link = self.connect()
        self.connection, self.recorder = self.link.connection, self.link.recorder

    def login(self, connection: ServerConnection, connect: Connect) -> None:
        if not self.login_waits:
            connection.accept(None)

    def connect(self, client_id: str = "client", version: int = MQTT_5) -> Link:
        """A client connects; the CONNACK is read, and nothing has been seen."""
        link = Link(self.broker, version=0)
        link.connection.receive_data(Connect(client_id, version=version).encode(version))
        if not self.login_waits:
            self.assertEqual([type(packet) for packet in link.sent()], [ConnAck])
        self.trace.seen.clear()
        return link

    def received(self) -> Packets:
        """What packets were handed to the role, so far."""
        data = [
            packet for one, way, packet in self.trace.seen if way == "received" and one is self.connection
        ]
        return decode_stream(b"".join(data), MQTT_5)

    def let_wait(self, *payloads: bytes) -> None:
        """Let messages wait for room, which is not made by this."""
        session = self.connection.session
        for payload in payloads:
            if session is not None:
                message = Message("topic", payload, 1)
                session.outgoing.replay([Kept(message)], Grant(1))
