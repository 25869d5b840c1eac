"""Servers that send anything: it ends in an error or in nothing, within limits, and the next one is served.

Valid conversations are made wrong in thousands of ways. A failure says which case it was: `check_case` with
that number plays it again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.client.client import Client
from mqttwist.client.publication import Publication
from mqttwist.client.settings import ClientSettings
from mqttwist.client.subscriptions import ROUTES_LIMIT, Subscriber
from mqttwist.session.connection import CLOSED, HOLD_LIMIT
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Auth, Disconnect, PingResp
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions, UnsubAck
from tests.client.rig import ClientTestCase, Owner, Server, Time

VERSIONS = (3, 4, 5)
CASES = 3_400  # of each version
MAXIMUM_PACKET_SIZE = 1_000
HOLD_BYTES = 4_000


def conversation(version: int) -> list[bytes]:
    """What a Server sends to the client of `Scene`, packet by packet; all of it is as it should be."""
    is_new = version == MQTT_5
    said = Properties(receive_maximum=3, topic_alias_maximum=2) if is_new else None
    packets: list[Any] = [ConnAck(False, 0, said)]
    if is_new:
        packets += [SubAck(1, [2]), SubAck(2, [1])]
    else:
        packets.append(SubAck(1, [2, 1]))
    first = 3 if is_new else 2
    aliased = Publish("a/1", b"first", 0)
    packets += [
        aliased,
        PubAck(first),
        PubRec(first + 1),
        Publish("a/2", b"second" * 20, 1, packet_id=7),
        PubComp(first + 1),
        Publish("b", b"third", 2, packet_id=8),
        PubRel(8),
        PingResp(),
        UnsubAck(first + 2, [0] if is_new else []),
        Publish("a/1", b"", 2, packet_id=7),
    ]
    if is_new:
        aliased.topic_alias = 1
        again = Publish("", b"once more", 1, packet_id=9)
        again.topic_alias = 1
        packets += [again, Auth(0), Disconnect(0x8B, Properties(reason_string="bye"))]
    return [packet.encode(version) for packet in packets]


# Ways to make it wrong: each takes the packets and answers others.

Packets = list[bytes]
Mutation = Callable[[Random, Packets], Packets]


def _somewhere(random: Random, packets: Packets) -> tuple[int, int]:
    """A packet, and a byte of it."""
    number = random.randrange(len(packets))
    return number, random.randrange(len(packets[number]))


def flip_bits(random: Random, packets: Packets) -> Packets:
    for _ in range(random.randint(1, 4)):
        number, at = _somewhere(random, packets)
        packet = bytearray(packets[number])
        packet[at] ^= 1 << random.randrange(8)
        packets[number] = bytes(packet)
    return packets


def set_byte(random: Random, packets: Packets) -> Packets:
    number, at = _somewhere(random, packets)
    byte = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
    packets[number] = packets[number][:at] + bytes((byte,)) + packets[number][at + 1 :]
    return packets


def insert_bytes(random: Random, packets: Packets) -> Packets:
    number, at = _somewhere(random, packets)
    packets[number] = packets[number][:at] + random.randbytes(random.randint(1, 9)) + packets[number][at:]
    return packets


def remove_bytes(random: Random, packets: Packets) -> Packets:
    number, at = _somewhere(random, packets)
    if len(packets[number]) > 1:
        packets[number] = packets[number][:at] + packets[number][at + random.randint(1, 5) :]
    return [packet for packet in packets if packet]


def reorder(random: Random, packets: Packets) -> Packets:
    random.shuffle(packets)
    return packets


def swap(random: Random, packets: Packets) -> Packets:
    one, other = random.randrange(len(packets)), random.randrange(len(packets))
    packets[one], packets[other] = packets[other], packets[one]
    return packets


def repeat(random: Random, packets: Packets) -> Packets:
    number = random.randrange(len(packets))
    return packets[:number] + packets[number : number + 1] * random.randint(2, 20) + packets[number + 1 :]


def leave_out(random: Random, packets: Packets) -> Packets:
    number = random.randrange(len(packets))
    return packets[:number] + packets[number + 1 :]


def change_length(random: Random, packets: Packets) -> Packets:
    """The packet stays as it is, but for its Remaining Length."""
    number = random.randrange(len(packets))
    packet = packets[number]
    length = random.choice((b"\x00", b"\x01", b"\x7f", b"\xff\x07", b"\xff\xff\xff\x7f", b"\x80\x00"))
    packets[number] = packet[:1] + length + packet[2:]
    return packets


def change_type(random: Random, packets: Packets) -> Packets:
    number = random.randrange(len(packets))
    packets[number] = bytes((random.randrange(256),)) + packets[number][1:]
    return packets


MUTATIONS: Sequence[Mutation] = (
    flip_bits, set_byte, insert_bytes, remove_bytes, reorder, swap, repeat, leave_out, change_length,
    change_type,
)  # fmt: skip


class Wire:
    """A transport that nobody reads from but the test."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        assert not self.is_closed, "written after the close"
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        """The Server goes on all the same."""

    def resume_reading(self) -> None:
        """Nothing was paused."""


class Scene:
    """A client with two subscriptions and two messages under way, which ends a subscription, too."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.time = Time()
        self.owner = Owner()
        settings = ClientSettings(
            "us",
            (version,),
            session_expiry_interval=100,
            receive_maximum=5,
            maximum_packet_size=MAXIMUM_PACKET_SIZE,
            topic_alias_maximum=2,
            hold_bytes=HOLD_BYTES,
        )
        self.client = Client(settings, self.time, self.owner, lambda: None)
        self.ended: list[Publication] = []
        self.subscribe("a/#", 2)
        leaving = self.subscribe("b", 1)
        self.publish(b"1", 1)
        self.publish(b"2", 2)
        self.open()
        self.client.settle()
        self.leaving = leaving

    def subscribe(self, topic_filter: str, qos: int) -> Subscriber:
        holder: list[Subscriber] = []

        def wake() -> None:
            while (received := holder[0].next()) is not None:
                received.ack()

        holder.append(self.client.subscribe(SubscriptionOptions(topic_filter, qos), wake, 10))
        return holder[0]

    def publish(self, payload: bytes, qos: int) -> Publication:
        publication = Publication(Message.create("t", payload, qos), self.ended.append)
        self.client.publish(publication)
        return publication

    def open(self) -> None:
        self.wire = Wire()
        self.connection = self.client.open(self.wire, "server")
        self.client.settle()

    def receive(self, data: bytes) -> None:
        self.connection.receive_data(data)
        self.client.settle()
        if self.leaving.is_open and self.client.is_connected:
            self.client.unsubscribe(self.leaving)
        self.check_limits(len(data))

    def check_limits(self, read: int) -> None:
        """No more is kept than the settings say, and what one read brought."""
        client = self.client
        assert self.connection.decoder.buffered <= MAXIMUM_PACKET_SIZE + read
        assert client.held_bytes <= HOLD_BYTES + 2 * MAXIMUM_PACKET_SIZE + 400 * read
        assert len(client.outgoing.in_flight) <= 2 and len(client.outgoing.requests) <= 3
        assert len(self.owner.errors) <= 1, "a connection ends once"
        assert (self.connection.state == CLOSED) == self.wire.is_closed == (client.connection is None)

    def serve_well(self) -> None:
        """A fresh connection works: what is published there is confirmed."""
        self.connection.lost("the test hangs up")
        self.owner.errors.clear()
        self.open()
        self.connection.receive_data(ConnAck(False).encode(self.version))
        publication = self.publish(b"afterwards", 1)
        for _ in range(3):  # what was not confirmed before comes first
            self.client.settle()
            data = b"".join(self.wire.written[-1:])
            self.wire.written.clear()
            self.connection.receive_data(
                b"".join(
                    PubAck(one.packet_id).encode(self.version)
                    for one in decode_stream(data, self.version)
                    if isinstance(one, Publish) and one.qos == 1
                )
            )
        self.client.settle()
        assert publication.error is None and publication in self.ended, publication.error
        assert not self.owner.errors, self.owner.errors


def check_case(version: int, number: int) -> bool:
    """Play one case; whether the connection has lived through it."""
    random = Random(version * 1_000_000 + number)
    packets = conversation(version)
    if version == MQTT_5 and random.random() < 0.8:
        del packets[-2:]  # which end it anyhow
    for _ in range(random.randint(1, 3)):
        packets = random.choice(MUTATIONS)(random, packets) or [b"\x00"]
    stream = b"".join(packets)
    scene = Scene(version)
    cut = random.choice((1, 2, 7, 50, len(stream)))
    start = 0
    while start < len(stream) and scene.connection.state != CLOSED:
        size = cut if cut == len(stream) else random.randint(1, 2 * cut)
        scene.receive(stream[start : start + size])
        start += size
    lived = scene.connection.state != CLOSED
    scene.serve_well()
    return lived


class MutatedStreamTests(SynchronousTestCase):
    def check(self, version: int) -> None:
        lived = 0
        for number in range(CASES):
            try:
                lived += check_case(version, number)
            except Exception as error:
                raise AssertionError(f"check_case({version}, {number}): {error!r}") from error
        self.assertTrue(CASES * 0.05 < lived < CASES * 0.95, f"{lived} of {CASES} connections have lived")

    def test_mqtt_3_1(self) -> None:
        """Whatever a Server of MQTT 3.1 sends, the connection goes on or ends, and the next one works."""
        self.check(3)

    def test_mqtt_3_1_1(self) -> None:
        """Whatever a Server of MQTT 3.1.1 sends, the connection goes on or ends, and the next one works."""
        self.check(4)

    def test_mqtt_5(self) -> None:
        """Whatever a Server of MQTT 5.0 sends, the connection goes on or ends, and the next one works."""
        self.check(5)

    def test_conversations(self) -> None:
        """The conversations are valid as they are: nothing in them but DISCONNECT and AUTH ends one."""
        for version in VERSIONS:
            scene = Scene(version)
            for packet in conversation(version)[: -2 if version == MQTT_5 else None]:
                scene.receive(packet)
            self.assertEqual(scene.owner.errors, [])
            self.assertEqual([one.error for one in scene.ended], [None, None])
            scene.serve_well()


class FloodTests(ClientTestCase):
    """Servers that send more than they should."""

    def hold(self, **settings: Any) -> tuple[Server, Subscriber]:
        """A Server, and a subscriber that takes nothing."""
        self.make_client(hold_bytes=100_000, **settings)
        server = self.connect()
        subscriber = self.client.subscribe(SubscriptionOptions("#", 2), lambda: None, 50)
        server.grant()
        return server, subscriber

    def flood(self, server: Server, packets: Callable[[int], Publish], reads: int) -> None:
        """Send ten messages a read, as long as the client reads."""
        for read in range(reads):
            if not server.is_reading or server.is_closed:
                break
            server.send(*[packets(read * 10 + number) for number in range(10)])

    def test_small_messages_count(self) -> None:
        """In 3.1.1 there is no Receive Maximum: what waits is bounded in bytes, empty messages included."""
        server, subscriber = self.hold(versions=(MQTT_3_1_1,))
        self.flood(server, lambda number: Publish("t", b"", 1, packet_id=number + 1), 6_000)
        self.assertFalse(server.is_reading)
        self.assertLess(subscriber.length, 300)
        self.assertEqual(self.client.stats.messages_held, 1)

    def test_qos_0(self) -> None:
        """Of QoS 0 as many wait as the buffer holds, and the rest is dropped and counted."""
        server, subscriber = self.hold()
        self.flood(server, lambda number: Publish("t", b"%d" % number), 1_000)
        self.assertEqual((subscriber.length, subscriber.dropped), (50, 9_950))
        self.assertEqual((self.client.stats.dropped, self.owner.drops), (9_950, 9_950))
        self.assertTrue(server.is_reading)

    def test_receive_maximum(self) -> None:
        """More messages than the Receive Maximum allows close the connection with 0x93 [MQTT-3.3.4-7]."""
        server, _ = self.hold(receive_maximum=30, session_expiry_interval=100)
        self.flood(server, lambda number: Publish("t", b"", 1 + number % 2, packet_id=number + 1), 10)
        self.assertEqual(server.take()[-1:], [Disconnect(0x93)])
        self.assertEqual(self.client.incoming.with_application, 30)

    def test_pubrel_makes_no_room(self) -> None:
        """A PUBREL for what was not confirmed leaves its place taken (4.9)."""
        server, _ = self.hold(receive_maximum=3)
        for packet_id in range(1, 4):
            server.send(Publish("t", b"", 2, packet_id=packet_id), PubRel(packet_id))
        self.assertEqual(server.take(), [PubComp(1, 0x92), PubComp(2, 0x92), PubComp(3, 0x92)])
        server.send(Publish("t", b"", 2, packet_id=4))
        self.assertEqual(server.take(), [Disconnect(0x93)])

    def test_topic_names(self) -> None:
        """Of a flood of Topic Names no more are remembered than the limit, and no long ones."""
        server = self.connect()
        self.subscribed(server, "#", 0)
        for start in range(0, ROUTES_LIMIT + 1_000, 500):
            server.send(*[Publish(f"t/{number}") for number in range(start, start + 500)])
        server.send(*[Publish(f"{number}/" + "x" * 300) for number in range(50)])
        routes = self.client.subscribing.subscriptions._routes
        self.assertLessEqual(len(routes), ROUTES_LIMIT)
        self.assertLess(max(map(len, routes)), 300)

    def test_unread_answers(self) -> None:
        """A Server that makes us answer and does not read is not read from, when 1 MiB waits for it."""
        server = self.connect()
        server.connection.transport_full()
        packets = b"".join([PubRec(number).encode(MQTT_5) for number in range(1, 5_001)])
        reads = 0
        while server.is_reading and reads < 1_000:
            server.send_bytes(packets)
            reads += 1
        self.assertFalse(server.is_reading)
        self.assertLess(server.connection.held(), HOLD_LIMIT + 100_000)
        server.connection.transport_ready()
        self.assertTrue(server.is_reading)

    def test_a_large_packet(self) -> None:
        """A packet above our Maximum Packet Size is refused by its first bytes, with 0x95 [MQTT-3.1.2-24]."""
        self.make_client(maximum_packet_size=1_000)
        server = self.connect()
        server.send_bytes(b"\x30\xff\xff\xff\x7f")
        self.assertEqual(server.take(), [Disconnect(0x95)])
        self.assertTrue(server.is_closed)

    def test_reconnections(self) -> None:
        """After 1,000 connections that break, nothing is kept but what the last one needs."""
        self.make_client(session_expiry_interval=100)
        self.subscribe("t", 2)
        for number in range(1_000):
            server = Server(self.client)
            server.accept(number > 0)
            server.send(Publish("t", b"", 1, packet_id=1 + number % 7))
            server.hang_up()
        client = self.client
        self.assertLessEqual(client.incoming.with_application, 7)
        self.assertEqual(client.incoming._waiting_1, type(client.incoming._waiting_1)())
        self.assertEqual((client.outgoing.requests, len(client.deadlines), client.connection), ({}, 0, None))
        self.assertEqual(len(self.client.subscribing.subscriptions.by_filter), 1)
        self.assertFalse(client.turn.is_unfinished)
