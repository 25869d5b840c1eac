"""A broker without sockets and without real time, and clients that talk to it in bytes.

    class SomeTests(BrokerTestCase):
        def test_something(self) -> None:
            subscriber = self.client()
            subscriber.connect("subscriber")
            subscriber.subscribe("a/#", qos=1)
            self.connected("publisher").publish("a/b", b"hi", qos=1)
            [message] = subscriber.take()

`BrokerTestCase.broker` is the broker, `now` its clock, moved with `advance`. Everything that a client sends
goes through `encode`, what it is sent through `decode_stream`: what the tests compare are packets.
"""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.session.store import Store
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

VERSIONS = (3, 4, 5)
START = 1000.0  # what the clock shows at first, in seconds

AnyPacket = Packet | Publish
Kind = TypeVar("Kind", bound=AnyPacket)


class RecordingTransport:
    """What a connection writes to: keeps everything and does nothing."""

    def __init__(self) -> None:
        self.data = b""
        self.writes = 0
        self.closed = 0
        self.reading = True

    def write(self, data: bytes) -> None:
        self.data += data
        self.writes += 1

    def close(self) -> None:
        self.closed += 1

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class RecordingObserver:
    """Keeps what the broker tells, each call as a tuple that begins with its name."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []

    def of(self, name: str) -> list[tuple[Any, ...]]:
        """What was told under `name`, without the name."""
        return [event[1:] for event in self.events if event[0] == name]

    def connected(self, connection: ServerConnection, session_present: bool) -> None:
        connect = connection.connect
        self.events.append(("connected", connect.client_id if connect else "", session_present))

    def refused(self, connection: ServerConnection, reason_code: int, text: str) -> None:
        self.events.append(("refused", reason_code, text))

    def faulted(self, connection: ServerConnection, error: MQTTError) -> None:
        self.events.append(("faulted", error.reason_code, error.clause))

    def subscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        self.events.append(("subscribed", topic_filter, reason_code))

    def unsubscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        self.events.append(("unsubscribed", topic_filter, reason_code))

    def publish_refused(self, client_id: str, topic_name: str, reason_code: int, messages: int) -> None:
        self.events.append(("publish_refused", client_id, topic_name, reason_code, messages))

    def disconnected(self, connection: ServerConnection, cause: str) -> None:
        connect = connection.connect
        self.events.append(("disconnected", connect.client_id if connect else "", cause))

    def session_ended(self, client_id: str, cause: str) -> None:
        self.events.append(("session_ended", client_id, cause))

    def will_published(self, client_id: str, topic_name: str) -> None:
        self.events.append(("will_published", client_id, topic_name))

    def dropped(self, client_id: str, reason: str, messages: int) -> None:
        self.events.append(("dropped", client_id, reason, messages))


class TestClient:
    """A client of protocol `version` on a Network Connection of its own.

    What it was sent and nobody has looked at yet waits for `take`; the helpers answer with the packet they
    ask for and leave the rest there.
    """

    __test__ = False  # pytest: this is no test

    def __init__(self, broker: Broker, version: int, peer: str = "peer") -> None:
        self.version = version
        self.broker = broker
        self.transport = RecordingTransport()
        self.connection = broker.connect(self.transport, peer)
        self.taken = 0  # how many bytes of `transport.data` were decoded
        self.waiting: list[AnyPacket] = []
        self.packet_id = 0

    # Bytes

    def send_bytes(self, data: bytes) -> None:
        self.connection.receive_data(data)

    def send(self, *packets: AnyPacket) -> list[AnyPacket]:
        """Send packets in one read; answers what has come since the last look."""
        self.send_bytes(b"".join([packet.encode(self.version) for packet in packets]))
        return self.take()

    def take(self) -> list[AnyPacket]:
        """The packets that nobody has looked at yet."""
        data = self.transport.data[self.taken :]
        self.taken += len(data)
        packets, self.waiting = self.waiting + decode_stream(data, self.version), []
        return packets

    def take_one(self, kind: type[Kind]) -> Kind:
        """The first waiting packet of this kind; an `AssertionError` if there is none."""
        packets = self.take()
        for position, packet in enumerate(packets):
            if isinstance(packet, kind):
                self.waiting = packets[:position] + packets[position + 1 :]
                return packet
        raise AssertionError(f"no {kind.__name__} among {packets}")

    def payloads(self) -> list[bytes]:
        """The payloads of the messages that wait; packets of other kinds are thrown away."""
        return [packet.payload for packet in self.take() if isinstance(packet, Publish)]

    @property
    def is_closed(self) -> bool:
        return self.transport.closed > 0

    # Packets

    def connect(
        self,
        client_id: str = "client",
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        **properties: Any,
    ) -> ConnAck:
        """Send CONNECT; `properties` are those of `Properties`. Answers the CONNACK."""
        self.send_connect(client_id, clean_start, keep_alive, will, username, password, **properties)
        return self.take_one(ConnAck)

    def send_connect(
        self,
        client_id: str = "client",
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        **properties: Any,
    ) -> None:
        """Send CONNECT and wait for nothing."""
        connect = Connect(client_id, self.version, clean_start, keep_alive, will, username, password)
        connect.properties = Properties(**properties)
        self.send_bytes(connect.encode())

    def next_packet_id(self) -> int:
        self.packet_id += 1
        return self.packet_id

    def subscribe(
        self,
        *topic_filters: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        identifier: int = 0,
    ) -> SubAck:
        options = [
            SubscriptionOptions(one, qos, no_local, retain_as_published, retain_handling)
            for one in topic_filters
        ]
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else None
        self.send_bytes(Subscribe(self.next_packet_id(), options, properties).encode(self.version))
        return self.take_one(SubAck)

    def unsubscribe(self, *topic_filters: str) -> UnsubAck:
        self.send_bytes(Unsubscribe(self.next_packet_id(), list(topic_filters)).encode(self.version))
        return self.take_one(UnsubAck)

    def publish(
        self,
        topic_name: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        packet_id: int = 0,
        dup: bool = False,
        **properties: Any,
    ) -> int:
        """Send PUBLISH and nothing else; answers its Packet Identifier."""
        if qos and not packet_id:
            packet_id = self.next_packet_id()
        said = Properties(**properties) if properties else None
        publish = Publish(topic_name, payload, qos, retain, said, packet_id, dup)
        self.send_bytes(publish.encode(self.version))
        return packet_id

    def ack(self, packet: AnyPacket, reason_code: int = 0) -> None:
        """Confirm a PUBLISH or answer the next step of QoS 2, as a good client does."""
        if isinstance(packet, Publish) and packet.qos:
            kind = PubAck if packet.qos == 1 else PubRec
            self.send_bytes(kind(packet.packet_id, reason_code).encode(self.version))
        elif isinstance(packet, PubRec):
            self.send_bytes(PubRel(packet.packet_id, reason_code).encode(self.version))
        elif isinstance(packet, PubRel):
            self.send_bytes(PubComp(packet.packet_id, reason_code).encode(self.version))

    def ping(self) -> PingResp:
        self.send_bytes(PingReq().encode(self.version))
        return self.take_one(PingResp)

    def disconnect(self, reason_code: int = 0, **properties: Any) -> None:
        self.send_bytes(Disconnect(reason_code, Properties(**properties)).encode(self.version))

    def lose(self, cause: str = "connection lost") -> None:
        """The network fails."""
        self.connection.lost(cause)


class BrokerTestCase(SynchronousTestCase):
    """Starts a broker that lets everybody in; `start` starts another one with other settings."""

    def setUp(self) -> None:
        self.now = START
        self.observer = RecordingObserver()
        self.start()

    def start(
        self, settings: Settings | None = None, login: Login = accept_everybody, store: Store | None = None
    ) -> Broker:
        self.observer.events.clear()
        self.broker = Broker(
            store or MemoryStore(),
            lambda: self.now,
            settings,
            login,
            self.observer,
            None,
            lambda: f"assigned-{len(self.broker.sessions)}",
        )
        return self.broker

    def advance(self, seconds: float) -> None:
        """Let time pass, in one step, and do what is due then."""
        self.now += seconds
        self.broker.tick()

    def client(self, version: int = 5) -> TestClient:
        """A Network Connection on which nothing was said yet."""
        return TestClient(self.broker, version)

    def connected(self, client_id: str = "client", version: int = 5, **options: Any) -> TestClient:
        """A client that was accepted; `options` are those of `TestClient.connect`."""
        client = self.client(version)
        self.assertEqual(client.connect(client_id, **options).reason_code, 0)
        return client

    def assertClosed(self, client: TestClient, reason_code: int) -> None:  # noqa: N802
        """The broker sent the client away: with DISCONNECT in MQTT 5.0, without a word before."""
        expected = [reason_code] if client.version == 5 else []
        said = [packet.reason_code for packet in client.take() if isinstance(packet, Disconnect)]
        self.assertEqual(said, expected)
        self.assertEqual(client.transport.closed, 1)
