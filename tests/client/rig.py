"""A client of the core in memory: joined to a broker, or to a Server that the test plays itself.

class SomeTests(ClientTestCase):
    def test_something(self) -> None:
        server = self.connect()                  # CONNECT was answered by CONNACK
        self.client.publish(publication("a/b", b"1", 1))
        self.assertEqual(server.take(), [Publish("a/b", b"1", 1, packet_id=1)])
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.client.client import Client
from mqttwist.client.connection import ClientConnection
from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError
from mqttwist.client.publication import Publication
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.client.subscriptions import Subscriber
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions


class Time:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Owner:
    """Keeps what the client tells."""

    def __init__(self) -> None:
        self.connacks: list[ConnAck] = []
        self.errors: list[ClientError] = []
        self.lost_sessions: list[int] = []
        self.unclaimed_messages: list[Publish] = []
        self.losses: list[str] = []
        self.late: list[tuple[bytes, list[str], int]] = []
        self.drops = 0

    def connected(self, connection: ClientConnection, connack: ConnAck) -> None:
        self.connacks.append(connack)

    def ended(self, connection: ClientConnection, error: ClientError) -> None:
        self.errors.append(error)

    def session_lost(self, connection: ClientConnection, messages: int) -> None:
        self.lost_sessions.append(messages)

    def dropped(self, subscriber: Subscriber) -> None:
        self.drops += 1

    def overdue(self, received: Received, topic_filters: list[str], others: int) -> None:
        self.late.append((received.payload, topic_filters, others))

    def left_out(self, what: str) -> None:
        self.losses.append(what)

    def unclaimed(self, publish: Publish) -> None:
        self.unclaimed_messages.append(publish)


class Server:
    """The other end of one connection, played by the test; it is the client's transport, too."""

    def __init__(self, client: Client, username: str | None = None, password: bytes | None = None) -> None:
        self.client = client
        self.written = b""
        self.is_closed = False
        self.is_reading = True
        self.version = client.version
        self.connection = client.open(self, "server", username, password)

    # What the core calls

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    # What the test does

    def send(self, *packets: Packet | Publish) -> None:
        """Send packets in one piece."""
        self.send_bytes(b"".join([packet.encode(self.version) for packet in packets]))

    def send_bytes(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.client.settle()

    def take(self) -> list[Any]:
        """What the client has sent since the last call."""
        self.client.settle()
        data, self.written = self.written, b""
        return decode_stream(data, self.version)

    def accept(self, session_present: bool = False, **properties: Any) -> Connect:
        """Take CONNECT, and answer it."""
        (connect,) = self.take()
        self.send(ConnAck(session_present, 0, Properties(**properties)))
        assert isinstance(connect, Connect)
        return connect

    def grant(self) -> list[Subscribe]:
        """Take what was asked for, and grant it; nothing else has been sent."""
        packets: list[Subscribe] = self.take()
        for packet in packets:
            self.send(SubAck(packet.packet_id, [one.qos for one in packet.subscriptions]))
        return packets

    def hang_up(self) -> None:
        self.connection.lost("the test hangs up")
        self.client.settle()


class Ended:
    """What came of publications, in the order in which they ended."""

    def __init__(self) -> None:
        self.publications: list[Publication] = []

    def __call__(self, publication: Publication) -> None:
        self.publications.append(publication)

    @property
    def payloads(self) -> list[bytes]:
        """Of those that succeeded."""
        return [one.message.payload for one in self.publications if one.error is None]

    @property
    def errors(self) -> list[ClientError]:
        return [one.error for one in self.publications if one.error is not None]


class ClientTestCase(SynchronousTestCase):
    """`client` is made by the first use of `connect`, or by `make_client` with other settings."""

    def setUp(self) -> None:
        self.time = Time()
        self.owner = Owner()
        self.ended = Ended()
        self.received: list[Received] = []
        self.answers: list[ClientError | None] = []
        self.client = self.make_client()

    def make_client(self, authenticator: Authenticator | None = None, **settings: Any) -> Client:
        """A client with these settings, in the place of the one before."""
        settings.setdefault("client_id", "us")
        self.client = Client(ClientSettings(**settings), self.time, self.owner, lambda: None, authenticator)
        return self.client

    def connect(self, session_present: bool = False, **properties: Any) -> Server:
        """A Server that has accepted the client, with nothing more said."""
        server = Server(self.client)
        server.accept(session_present, **properties)
        return server

    def publish(self, payload: bytes = b"x", qos: int = 0, **fields: Any) -> Publication:
        """Publish to "t", or to `topic_name`; what comes of it goes to `ended`."""
        deadline = fields.pop("deadline", None)
        topic_name = fields.pop("topic_name", "t")
        message = Message.create(topic_name, payload, qos, **fields)
        publication = Publication(message, self.ended)
        self.client.publish(publication, deadline)
        return publication

    def subscribe(
        self, topic_filter: str = "t", qos: int = 2, buffer: int = 10, **options: Any
    ) -> Subscriber:
        """Subscribe; messages are taken as they come, to `received`, and are not acknowledged."""
        holder: list[Subscriber] = []

        def wake() -> None:
            while (received := holder[0].next()) is not None:
                self.received.append(received)

        subscriber = self.client.subscribe(
            SubscriptionOptions(topic_filter, qos, **options),
            wake,
            buffer,
            lambda one, error: self.answers.append(error),
        )
        holder.append(subscriber)
        return subscriber

    def subscribed(self, server: Server, topic_filter: str = "t", qos: int = 2, **options: Any) -> Subscriber:
        """Subscribe, and have it granted."""
        subscriber = self.subscribe(topic_filter, qos, **options)
        server.grant()
        return subscriber

    def advance(self, seconds: float) -> None:
        self.time.now += seconds
        self.client.tick()
        self.client.settle()

    @property
    def payloads(self) -> list[bytes]:
        return [one.payload for one in self.received]


__all__ = ["MQTT_5", "ClientTestCase", "Ended", "Owner", "Server", "Time"]
