"""Clients of the Twisted shell on virtual time, of a broker in memory or of a Server that the test plays.

class SomeTests(ClientTestCase):
    def test_something(self) -> None:
        client = self.client("us")              # joined to `self.broker`, and connected
        server = self.play("us")                # another one, whose Server is the test
        server.accept()
        self.assertEqual(server.take(), [...])
"""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import Protocol
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from mqttwist import MQTTClient, Reconnecting
from mqttwist.testing import MemoryEndpoint, MQTTTestCase
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe

DAY = 86_400
SECOND = Reconnecting(first=1.0, longest=1.0, jitter=0.0)  # one second between attempts


class PlayedServer(Protocol):
    """One connection of a client to a Server that the test plays."""

    transport: Any

    def __init__(self, case: ClientTestCase, version: int) -> None:
        self._case = case
        self._read = b""
        self.version = version
        self.is_lost = False

    def dataReceived(self, data: bytes) -> None:
        self._read += data

    def connectionLost(self, reason: object = None) -> None:
        self.is_lost = True

    def take(self) -> list[Any]:
        """What the client has sent since the last call."""
        self._case.broker.settle()
        data, self._read = self._read, b""
        return decode_stream(data, self.version)

    def send(self, *packets: Packet | Publish) -> None:
        self.send_bytes(b"".join(packet.encode(self.version) for packet in packets))

    def send_bytes(self, data: bytes) -> None:
        self.transport.write(data)
        self._case.broker.settle()

    def accept(self, session_present: bool = False, **properties: Any) -> Connect:
        """Take CONNECT, which is all that has come, and answer it."""
        (connect,) = self.take()
        self.send(ConnAck(session_present, 0, Properties(**properties)))
        assert isinstance(connect, Connect)
        return connect

    def grant(self) -> list[Subscribe]:
        """Take what is subscribed to, and grant it; nothing else has come."""
        packets: list[Subscribe] = self.take()
        for packet in packets:
            self.send(SubAck(packet.packet_id, [one.qos for one in packet.subscriptions]))
        return packets

    def hang_up(self) -> None:
        self.transport.abortConnection()
        self._case.broker.settle()


class ClientTestCase(MQTTTestCase):
    """`events` is what the log was told; `servers` are the connections to Servers that the test plays."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.servers: list[PlayedServer] = []

    def lines(self, namespace: str = "mqttwist.client") -> list[str]:
        """What the log shows under `namespace`."""
        return [formatEvent(one) for one in self.events if one.get("log_namespace") == namespace]

    def player(self, version: int = 5) -> MemoryEndpoint:
        """An endpoint whose Servers are played by the test: they come to be in `servers`."""

        def build(address: object) -> PlayedServer:
            self.servers.append(PlayedServer(self, version))
            return self.servers[-1]

        return MemoryEndpoint(self.broker.clock, build, name="played")

    def play(self, client_id: str = "us", **options: Any) -> tuple[MQTTClient, PlayedServer]:
        """A client that is started, and the Server that it has sent CONNECT to."""
        version = {"3.1.1": 4, "3.1": 3}.get(options.get("version", ""), 5)
        options.setdefault("reconnecting", SECOND)
        client = self.client(client_id, where=self.player(version), **options)
        return client, self.servers[-1]

    def accepted(self, client_id: str = "us", **options: Any) -> tuple[MQTTClient, PlayedServer]:
        """The same, once the Server has accepted the client."""
        client, server = self.play(client_id, **options)
        server.accept()
        return client, server
