"""What is fuzzed: the decoder, and a broker with a few connections. Both take any bytes.

A peer's bytes may lead to `MQTTError` in the decoder and to nothing at all in a broker, which answers and
goes on. Whatever else is raised is a fault of ours, and so is a broker that does not serve the next client.
"""

from __future__ import annotations

from mqttwist.broker.broker import Broker
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.settings import Settings
from mqttwist.session.connection import CLOSED
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.codec import decode_packet
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.control import PingReq
from mqttwist.wire.decoder import UNKNOWN_VERSION, Decoder
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.message import Message
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

VERSIONS = (UNKNOWN_VERSION, 3, 4, 5)
LIMIT = 1 << 16  # bytes; the Maximum Packet Size
SLOTS = 4  # connections of one broker


def decode(data: bytes) -> None:
    """The stream of one connection: its version and how it is cut into reads stand in the first two bytes.

    Whatever is decoded can be encoded, and that says the same again.
    """
    if len(data) < 2:
        return
    version = VERSIONS[data[0] & 3]
    step = data[1] or len(data)
    decoder = Decoder(version, LIMIT)
    for start in range(2, len(data), step):
        decoder.feed(data[start : start + step])
        try:
            while decoder.advance():
                version = _check_packet(decoder, version)
        except MQTTError:
            return
    if decoder.buffered > max(LIMIT, len(data)):
        raise AssertionError(f"{decoder.buffered} bytes are kept")


def _check_packet(decoder: Decoder, version: int) -> int:
    packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, version or 5)
    if isinstance(packet, Connect):
        version = packet.version
        decoder.set_version(version)
    again = _round_trip(packet, version or 5)
    if again != packet:
        raise AssertionError(f"{packet!r} became {again!r}")
    return version


def _round_trip(packet: Packet | Publish, version: int) -> Packet | Publish:
    decoder = Decoder(UNKNOWN_VERSION if isinstance(packet, Connect) else version)
    decoder.feed(packet.encode(version))
    if not decoder.advance():
        raise AssertionError(f"{packet!r} is encoded as no packet")
    return decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, version)


class Peer:
    """The transport of one connection; it keeps what was written last."""

    def __init__(self) -> None:
        self.written = b""
        self.closed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            raise AssertionError("written after the close")
        self.written = data

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        """A peer that goes on all the same."""

    def resume_reading(self) -> None:
        """Nothing was paused."""


class Scene:
    """A broker on virtual time, and what a fuzzer may do to it."""

    def __init__(self) -> None:
        self.now = 0.0
        settings = Settings(
            maximum_packet_size=LIMIT,
            queue_messages=20,
            queue_bytes=100_000,
            topic_alias_maximum=5,
            maximum_subscriptions=50,
            maximum_retained=20,
        )
        self.broker = Broker(MemoryStore(), lambda: self.now, settings)
        self.slots: list[tuple[ServerConnection, Peer] | None] = [None] * SLOTS

    def open(self, slot: int, how: int) -> None:
        """A client connects; `how` says with which version, session and will."""
        self.lose(slot)
        peer = Peer()
        connection = self.broker.connect(peer, f"slot {slot}")
        self.slots[slot] = (connection, peer)
        version = 3 + how % 3
        connect = Connect(f"client{slot & 1}", version, clean_start=bool(how & 4), keep_alive=how & 64)
        if version == 5:
            connect.properties = Properties(
                session_expiry_interval=100, topic_alias_maximum=how >> 6, receive_maximum=1 + (how & 8)
            )
        if how & 16:
            connect.will = Will("a/will", b"gone", how & 1, bool(how & 32))
        if how != 255:  # else whatever comes is the first packet
            connection.receive_data(connect.encode())

    def feed(self, slot: int, data: bytes) -> None:
        entry = self.slots[slot]
        if entry is not None:
            entry[0].receive_data(data)

    def lose(self, slot: int) -> None:
        entry, self.slots[slot] = self.slots[slot], None
        if entry is not None:
            entry[0].lost("gone")

    def fill(self, slot: int, full: bool) -> None:
        """The transport of a connection is full, or takes data again."""
        entry = self.slots[slot]
        if entry is None or entry[0].state == CLOSED:
            return
        if full:
            entry[0].transport_full()
        else:
            entry[0].transport_ready()

    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.broker.tick()
        self.broker.send_overdue()

    def end(self) -> None:
        """After all this, one more client is served, and everybody can be sent away."""
        peer = Peer()
        connection = self.broker.connect(peer, "healthy")
        connection.receive_data(Connect("healthy", 4).encode() + PingReq().encode(4))
        if not peer.written.endswith(b"\xd0\x00"):
            raise AssertionError(f"a healthy client is answered {peer.written!r}")
        for slot in range(SLOTS):
            self.lose(slot)
        self.broker.shut_down()
        self.wait(1000)


def broker(data: bytes) -> None:
    """A story told in records: what happens, in the low three bits of a byte, and to which connection."""
    scene = Scene()
    index = 0
    while index + 1 < len(data):
        what, slot, argument = data[index] & 7, data[index] >> 3 & 3, data[index + 1]
        index += 2
        if what == 0:
            scene.open(slot, argument)
        elif what == 1:
            scene.lose(slot)
        elif what == 2:
            scene.wait(argument)
        elif what == 3:
            scene.fill(slot, bool(argument & 1))
        elif what == 4:
            scene.broker.publish(Message("a/b", bytes(argument), argument % 3, argument > 200))
        else:
            scene.feed(slot, data[index : index + argument])
            index += argument
    scene.end()


TARGETS = {"decode": decode, "broker": broker}
