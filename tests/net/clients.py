"""Clients in memory for the tests of the Twisted shell: their transports, what they send and what they get.

    class SomeTests(ShellTestCase):
        def test_something(self) -> None:
            client = self.connected("a-client")
            client.send(PingReq())
            self.assertEqual(client.take(), [PingResp()])

The broker behind them is a real one, `ShellTestCase.clock` its time, and `events` what the log was told.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.net.log import LogObserver, LogTrace
from mqttwist.net.protocol import MQTTServerFactory
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.packet import Packet
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions

LOCAL = IPv4Address("TCP", "127.0.0.1", 50001)
FAR = IPv4Address("TCP", "192.0.2.7", 50123)
HERE = IPv4Address("TCP", "127.0.0.1", 1883)


class TCPTransport(StringTransport):
    """What Twisted's TCP transport does, as far as a protocol can see; `full_at` is in bytes."""

    def __init__(self, peer: IAddress = LOCAL) -> None:
        super().__init__(HERE, peer)  # type: ignore[no-untyped-call]
        self.writes = 0
        self.calls: list[str] = []
        self.full_at: int | None = None

    def write(self, data: bytes) -> None:
        super().write(data)  # type: ignore[no-untyped-call]
        self.writes += 1
        if self.producer is not None and self.full_at is not None and len(self.value()) > self.full_at:
            self.producer.pauseProducing()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.calls.append(f"setTcpNoDelay {enabled}")

    def loseWriteConnection(self) -> None:
        self.calls.append("loseWriteConnection")

    def loseConnection(self) -> None:
        self.calls.append("loseConnection")

    def abortConnection(self) -> None:
        self.calls.append("abortConnection")


class Client:
    """A client of `factory`: speaks `version`, and shows the packets it got with `take`."""

    def __init__(self, factory: Any, transport: Any = None, version: int = 5) -> None:
        self.version = version
        self.transport: Any = transport if transport is not None else TCPTransport()
        self.protocol: Any = factory.buildProtocol(self.transport.getPeer())
        self.protocol.makeConnection(self.transport)

    def send(self, *packets: Packet | Publish) -> None:
        """Send the packets in one go."""
        self.send_bytes(b"".join(packet.encode(self.version) for packet in packets))

    def send_bytes(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def take(self) -> list[Packet | Publish]:
        """The packets that came since the last call."""
        data = self.transport.value()
        self.transport.clear()
        return decode_stream(data, self.version)

    def connect(self, client_id: str, **fields: Any) -> list[Packet | Publish]:
        """Send CONNECT, and answer what came back."""
        self.send(Connect(client_id, self.version, **fields))
        return self.take()

    def subscribe(self, topic_filter: str, qos: int = 0) -> None:
        """SUBSCRIBE, and take the SUBACK that grants it."""
        self.send(Subscribe(1, [SubscriptionOptions(topic_filter, qos)]))
        packets = self.take()
        if not (isinstance(packets[0], SubAck) and list(packets[0].reason_codes) == [qos]):
            raise AssertionError(f"not subscribed: {packets}")

    def hang_up(self, reason: Exception | None = None) -> None:
        """The transport is gone."""
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    @property
    def payloads(self) -> list[bytes]:
        """What `take` has of PUBLISH packets, by their payloads."""
        return [packet.payload for packet in self.take() if isinstance(packet, Publish)]


class ShellTestCase(SynchronousTestCase):
    """A broker with the Twisted shell around it."""

    settings = Settings(sys_interval=0.0)
    log_packets = False

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.clock = Clock()
        self.set_up_broker(accept_everybody)

    def set_up_broker(self, login: Login) -> None:
        """A fresh broker whose logins are done by `login`."""
        trace = LogTrace() if self.log_packets else None
        self.broker = Broker(MemoryStore(), self.clock.seconds, self.settings, login, LogObserver(), trace)
        self.factory = MQTTServerFactory(self.broker, self.clock)

    def client(self, peer: IAddress = LOCAL, version: int = 5) -> Client:
        """A client whose transport is there."""
        return Client(self.factory, TCPTransport(peer), version)

    def connected(self, client_id: str, peer: IAddress = LOCAL, version: int = 5, **fields: Any) -> Client:
        """A client that is accepted."""
        client = self.client(peer, version)
        (connack,) = client.connect(client_id, **fields)
        self.assertEqual((type(connack), getattr(connack, "reason_code", None)), (ConnAck, 0))
        return client

    def lines(self, namespace: str = "mqttwist.broker") -> list[str]:
        """What the log shows under `namespace`, each line with its level before it."""
        return [
            f"{event['log_level'].name}: {formatEvent(event)}"
            for event in self.events
            if event.get("log_namespace") == namespace
        ]

    def tracebacks(self) -> list[LogEvent]:
        """The events of the log that carry a failure."""
        return [event for event in self.events if "log_failure" in event]
