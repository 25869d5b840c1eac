"""A broker without sockets and without a clock, and clients that can say anything: for `linear.py`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions

Work = Callable[[], object]
Case = Callable[[int], Work]

LONGEST_EXPIRY = 0xFFFFFFFE  # seconds

serials = count()


class Scene:
    """A broker whose clock shows `now`, with wide limits; `limits` are those of `Settings`."""

    def __init__(self, login: Login = accept_everybody, **limits: int) -> None:
        wide = {
            "maximum_packet_size": 200 << 20,
            "maximum_topic_levels": 65_536,
            "receive_maximum": 65_535,
            "send_maximum": 65_535,
            "queue_messages": 0,
            "queue_bytes": 0,
        }
        self.now = 0.0
        self.broker = Broker(MemoryStore(), lambda: self.now, Settings(**(wide | limits)), login)

    def peer(self, name: str, version: int = 5, will: Will | None = None) -> Peer:
        """A client that is accepted, with a session that outlives its connection."""
        peer = Peer(self.broker, version)
        connect = Connect(name, version, version == 5, will=will)
        if version == 5:
            connect.properties = Properties(session_expiry_interval=LONGEST_EXPIRY, receive_maximum=65_535)
        peer.send(connect)
        return peer

    def pass_by(self, seconds: float) -> None:
        self.now += seconds
        self.broker.tick()


class Peer:
    """A client, and the transport that counts what the broker writes to it."""

    def __init__(self, broker: Broker, version: int = 5) -> None:
        self.version = version
        self.written = 0
        self.may_be_closed = False
        self.connection: ServerConnection = broker.connect(self, "peer")

    def read(self, data: bytes) -> None:
        """The broker gets `data`."""
        self.connection.receive_data(data)

    def send(self, *packets: Packet | Publish) -> None:
        self.read(b"".join([packet.encode(self.version) for packet in packets]))

    def subscribe(self, *topic_filters: str, qos: int = 0, identifier: int = 0) -> None:
        options = [SubscriptionOptions(one, qos) for one in topic_filters]
        properties = Properties(subscription_identifiers=(identifier,)) if identifier else Properties()
        self.send(Subscribe(1, options, properties))

    def lose(self) -> None:
        """The network fails."""
        self.may_be_closed = True
        self.connection.lost("gone")

    def later(self, *packets: Packet | Publish) -> Work:
        """To send packets, encoded now, in one read."""
        data = b"".join([packet.encode(self.version) for packet in packets])
        return lambda: self.read(data)

    # What a connection asks of its transport

    def write(self, data: bytes) -> None:
        self.written += len(data)

    def close(self) -> None:
        """An `AssertionError`, unless the case is about that."""
        if not self.may_be_closed:
            raise AssertionError("the broker has closed: what follows would cost nothing")

    def pause_reading(self) -> None:
        """It goes on all the same."""

    def resume_reading(self) -> None:
        """It has never stopped."""


def user_properties(number: int) -> Properties:
    """As many User Properties, none of them seen before."""
    serial = next(serials)
    return Properties(user_properties=tuple([("k", f"{serial}.{one}") for one in range(number)]))


def slashes(number: int) -> str:
    """A Topic Name of so many slashes that was not seen before."""
    mark = str(next(serials) % 1000)
    return mark + "/" * min(number, 65_535 - len(mark))
