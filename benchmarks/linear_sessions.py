"""Cases of `linear.py`: many reads, many packets in one, and sessions with much in them."""

from __future__ import annotations

from collections.abc import Callable

from linear_scene import LONGEST_EXPIRY, Case, Peer, Scene, Work

from mqttwist.broker.connection import ServerConnection
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.control import PingReq
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

# Reads


def byte_by_byte(packet: Callable[[int], Packet | Publish]) -> Case:
    """A packet in as many reads as it has bytes."""

    def prepare(size: int) -> Work:
        peer = Scene().peer("p")
        data = packet(size).encode(5)
        parts = [data[at : at + 1] for at in range(len(data))]

        def work() -> None:
            for part in parts:
                peer.read(part)

        return work

    return prepare


def connect_byte_by_byte(size: int) -> Work:
    peer = Peer(Scene().broker)
    data = Connect("p" * size, 4).encode()

    def work() -> None:
        for at in range(len(data)):
            peer.read(data[at : at + 1])

    return work


def in_one_read(*packets: Packet | Publish) -> Case:
    """The same packets as often as that, in one read."""

    def prepare(size: int) -> Work:
        scene = Scene()
        scene.peer("s").subscribe("a", qos=0)
        peer = scene.peer("p")
        data = b"".join([packet.encode(5) for packet in packets]) * size
        return lambda: peer.read(data)

    return prepare


def before_the_login(size: int) -> Work:
    """Packets come one by one while the login is waited for; then it is through."""

    def wait(connection: ServerConnection, connect: Connect) -> None:
        """It takes long."""

    peer = Peer(Scene(wait).broker)
    peer.send(Connect("p", 5))
    ping = PingReq().encode(5)

    def work() -> None:
        for _ in range(size):
            peer.read(ping)
        peer.connection.accept(None)

    return work


def unread_answers(size: int) -> Work:
    """A client that asks in as many reads and reads no answer; then it does."""
    peer = Scene().peer("p")
    ping = PingReq().encode(5)

    def work() -> None:
        peer.connection.transport_full()
        for _ in range(size):
            peer.read(ping)
        peer.connection.transport_ready()

    return work


# Sessions with much in them


def full_transport(qos: int) -> Case:
    """Messages to a subscriber that does not read, and then does."""

    def prepare(size: int) -> Work:
        scene = Scene()
        subscriber = scene.peer("s")
        subscriber.subscribe("a", qos=qos)
        publisher = scene.peer("p")
        data = Publish("a", b"x", min(qos, 1), False, None, 1).encode(5) * size

        def work() -> None:
            subscriber.connection.transport_full()
            publisher.read(data)
            subscriber.connection.transport_ready()

        return work

    return prepare


def offline(size: int) -> Work:
    """Messages for a client that is away, twice as many as its queue takes, and its return."""
    scene = Scene(queue_messages=size)
    subscriber = scene.peer("s")
    subscriber.subscribe("a", qos=1)
    subscriber.lose()
    publisher = scene.peer("p")
    pair = Publish("a", b"x").encode(5) + Publish("a", b"y", 1, False, None, 1).encode(5)
    data = pair * size

    def work() -> None:
        publisher.read(data)
        Peer(scene.broker).send(Connect("s", 5, False, properties=Properties(receive_maximum=65_535)))

    return work


def confirm(qos: int, backwards: bool, returned: bool) -> Case:
    """As many in flight are confirmed, each in a read of its own; `returned`: sent again before."""

    def prepare(size: int) -> Work:
        scene = Scene()
        subscriber = scene.peer("s", 4)
        subscriber.subscribe("a", qos=qos)
        data = Publish("a", b"x", 2, False, None, 1).encode(5) + PubRel(1).encode(5)
        scene.peer("p").read(data * size)
        kinds = (PubAck,) if qos == 1 else (PubRec, PubComp)
        packet_ids = range(size, 0, -1) if backwards else range(1, size + 1)
        reads = [b"".join([kind(one).encode(4) for kind in kinds]) for one in packet_ids]

        def work() -> None:
            peer = subscriber
            if returned:
                peer.lose()
                peer = scene.peer("s", 4)
            for read in reads:
                peer.read(read)

        return work

    return prepare


def one_at_a_time(size: int) -> Work:
    """As many wait for a client with a Receive Maximum of 1 that confirms one after the other."""
    scene = Scene()
    subscriber = Peer(scene.broker)
    subscriber.send(Connect("s", 5, properties=Properties(receive_maximum=1)))
    subscriber.subscribe("a", qos=1)
    scene.peer("p").read(Publish("a", b"x", 1, False, None, 1).encode(5) * size)

    def work() -> None:
        for packet_id in range(1, size + 1):
            subscriber.send(PubAck(packet_id))

    return work


def wills(size: int) -> Work:
    """As many wills are due at the same time, and each reaches a subscriber; then the sessions end."""
    scene = Scene()
    scene.peer("s").subscribe("#")
    for number in range(size):
        will = Will(f"w/{number}", b"x", properties=Properties(will_delay_interval=5))
        scene.peer(f"c{number}", 5, will).lose()

    def work() -> None:
        scene.pass_by(10)
        scene.pass_by(LONGEST_EXPIRY)

    return work


def shut_down(size: int) -> Work:
    scene = Scene()
    for number in range(size):
        scene.peer(f"c{number}").may_be_closed = True
    return scene.broker.shut_down
