"""What the table of vectors is built with: its two kinds of row, and bytes put together without the codec.

The functions here encode as section 1.5 says and know nothing of `mqttwist.wire.datatypes`: a vector that
they built is a second opinion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Auth, Disconnect
from mqttwist.wire.decoder import LARGEST_PACKET, UNKNOWN_VERSION
from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.wire import tables
from tests.wire.tables import PropertyRow

V3, V4, V5 = (3,), (4,), (5,)
V34, V45, ALL = (3, 4), (4, 5), (3, 4, 5)
BEFORE_CONNECT = (UNKNOWN_VERSION,)

CLIENT, SERVER = "client", "server"

AnyPacket = Packet | Publish


@dataclass(frozen=True)
class Valid:
    """A packet that is right in each of `versions`: `data` decodes to `packet`.

    `canonical`: `packet` encodes to exactly `data`; else to another form of the same. `sender` is CLIENT or
    SERVER when the packet type says that both may send it but this form is for one of them.
    """

    name: str
    versions: tuple[int, ...]
    data: bytes
    packet: AnyPacket
    canonical: bool = True
    sender: str = ""

    @property
    def from_client(self) -> bool:
        """Whether a client may send it."""
        return self.data[0] >> 4 in tables.CLIENT_SENDS and self.sender != SERVER

    @property
    def from_server(self) -> bool:
        """Whether a server may send it."""
        return self.data[0] >> 4 in tables.SERVER_SENDS and self.sender != CLIENT


@dataclass(frozen=True)
class Fault:
    """Bytes that must be refused in each of `versions`, at the latest when all of `data` is there.

    `versions` is BEFORE_CONNECT where the fault is that no CONNECT came first. `clause` is a statement or
    section of MQTT 5.0, for 3.x too where both say the same; what 3.1.1 alone says begins with "3.1.1: ". It
    is empty where a packet was cut: the clause is that of the field which the cut hits.
    `maximum_packet_size`, in bytes, is what the receiver accepts.
    """

    name: str
    versions: tuple[int, ...]
    data: bytes
    error: type[MQTTError]
    reason_code: int
    clause: str
    maximum_packet_size: int = LARGEST_PACKET

    @property
    def from_client(self) -> bool:
        """Whether it is of a type that a client sends, or of none at all."""
        return self.data[0] >> 4 in tables.CLIENT_SENDS | {0}


def framing_version(data: bytes, version: int) -> int:
    """What a decoder is set to when `data` arrives: before CONNECT the version is not known yet."""
    return UNKNOWN_VERSION if data[0] == tables.CONNECT << 4 else version


# 1.5: data representations


def variable(value: int) -> bytes:
    """A Variable Byte Integer, by the algorithm of 1.5.5."""
    encoded = b""
    while True:
        value, digit = divmod(value, 128)
        encoded += bytes([digit + 128 if value else digit])
        if not value:
            return encoded


def field(content: bytes) -> bytes:
    """A UTF-8 Encoded String or Binary Data: the length in two bytes, then `content`."""
    return len(content).to_bytes(2, "big") + content


def pair(name: bytes, value: bytes) -> bytes:
    """A UTF-8 String Pair."""
    return field(name) + field(value)


def packet(first_byte: int, *parts: bytes) -> bytes:
    """A control packet; the Remaining Length is worked out."""
    body = b"".join(parts)
    return bytes([first_byte]) + variable(len(body)) + body


def property_list(*parts: bytes) -> bytes:
    """Properties, each of them encoded, behind their Property Length."""
    encoded = b"".join(parts)
    return variable(len(encoded)) + encoded


def encode_value(row: PropertyRow, value: object) -> bytes:
    """The identifier and the value of one property."""
    match value:
        case int():
            width = {tables.BYTE: 1, tables.TWO_BYTE_INTEGER: 2, tables.FOUR_BYTE_INTEGER: 4}.get(row.type)
            encoded = variable(value) if width is None else value.to_bytes(width, "big")
        case str():
            encoded = field(value.encode())
        case bytes():
            encoded = field(value)
        case (str(name), str(text)):
            encoded = pair(name.encode(), text.encode())
        case _:
            raise TypeError(value)
    return bytes([row.identifier]) + encoded


# One packet of each kind, for the properties to stand in


@dataclass(frozen=True)
class Carrier:
    """A packet of MQTT 5.0 that is complete but for its properties.

    `data` takes the property list with its length, `packet` the properties as an object.
    """

    name: str
    data: Callable[[bytes], bytes]
    packet: Callable[[Properties], AnyPacket]


def _connect(properties: bytes) -> bytes:
    return packet(0x10, field(b"MQTT"), b"\x05\x02\x00\x3c", properties, field(b"a"))


def _will(properties: bytes) -> bytes:
    will = properties + field(b"w") + field(b"gone")
    return packet(0x10, field(b"MQTT"), b"\x05\x06\x00\x3c", b"\x00", field(b"a"), will)


CARRIERS = {
    tables.CONNECT: Carrier("CONNECT", _connect, lambda p: Connect("a", keep_alive=60, properties=p)),
    tables.WILL: Carrier(
        "Will", _will, lambda p: Connect("a", keep_alive=60, will=Will("w", b"gone", properties=p))
    ),
    tables.CONNACK: Carrier(
        "CONNACK", lambda p: packet(0x20, b"\x00\x00", p), lambda p: ConnAck(False, 0, p)
    ),
    tables.PUBLISH: Carrier(
        "PUBLISH", lambda p: packet(0x30, field(b"t"), p, b"hi"), lambda p: Publish("t", b"hi", properties=p)
    ),
    tables.PUBACK: Carrier("PUBACK", lambda p: packet(0x40, b"\x00\x01\x00", p), lambda p: PubAck(1, 0, p)),
    tables.PUBREC: Carrier("PUBREC", lambda p: packet(0x50, b"\x00\x01\x00", p), lambda p: PubRec(1, 0, p)),
    tables.PUBREL: Carrier("PUBREL", lambda p: packet(0x62, b"\x00\x01\x00", p), lambda p: PubRel(1, 0, p)),
    tables.PUBCOMP: Carrier(
        "PUBCOMP", lambda p: packet(0x70, b"\x00\x01\x00", p), lambda p: PubComp(1, 0, p)
    ),
    tables.SUBSCRIBE: Carrier(
        "SUBSCRIBE",
        lambda p: packet(0x82, b"\x00\x01", p, field(b"t"), b"\x00"),
        lambda p: Subscribe(1, [SubscriptionOptions("t")], p),
    ),
    tables.SUBACK: Carrier(
        "SUBACK", lambda p: packet(0x90, b"\x00\x01", p, b"\x00"), lambda p: SubAck(1, [0], p)
    ),
    tables.UNSUBSCRIBE: Carrier(
        "UNSUBSCRIBE",
        lambda p: packet(0xA2, b"\x00\x01", p, field(b"t")),
        lambda p: Unsubscribe(1, ["t"], p),
    ),
    tables.UNSUBACK: Carrier(
        "UNSUBACK", lambda p: packet(0xB0, b"\x00\x01", p, b"\x00"), lambda p: UnsubAck(1, [0], p)
    ),
    tables.DISCONNECT: Carrier("DISCONNECT", lambda p: packet(0xE0, b"\x00", p), lambda p: Disconnect(0, p)),
    tables.AUTH: Carrier("AUTH", lambda p: packet(0xF0, b"\x18", p), lambda p: Auth(0x18, p)),
}


# Rows of the table of faults


def _bytes(data: str | bytes) -> bytes:
    return bytes.fromhex(data) if isinstance(data, str) else data


def malformed(name: str, versions: tuple[int, ...], data: str | bytes, clause: str) -> Fault:
    """Bytes (or hexadecimal) that are a Malformed Packet."""
    return Fault(name, versions, _bytes(data), MalformedPacket, 0x81, clause)


def protocol_error(
    name: str, versions: tuple[int, ...], data: str | bytes, clause: str, reason_code: int = 0x82
) -> Fault:
    """Bytes (or hexadecimal) that are a Protocol Error."""
    return Fault(name, versions, _bytes(data), ProtocolError, reason_code, clause)
