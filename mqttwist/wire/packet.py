"""What all MQTT Control Packets share: the fixed header (2.1) and the Packet Identifier (2.2.1)."""

from __future__ import annotations

from abc import abstractmethod
from typing import Final

from mqttwist.wire.datatypes import decode_two_byte_integer, encode_variable_byte_integer
from mqttwist.wire.errors import MalformedPacket, ProtocolError

MQTT_3_1: Final = 3
MQTT_3_1_1: Final = 4
MQTT_5: Final = 5

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14
AUTH: Final = 15

PACKET_NAMES: Final = (
    "reserved type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE",
    "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
)  # fmt: skip


class Packet:
    """One MQTT Control Packet. Every kind has `encode(version)`, and `decode` beside it."""

    __slots__ = ()

    @abstractmethod
    def encode(self, version: int) -> bytes:
        """The whole packet as bytes of protocol `version` (3, 4 or 5); `ValueError` if it can't be said."""


def frame(first_byte: int, body: bytes) -> bytes:
    """A packet from its first byte and all that follows the Remaining Length (2.1)."""
    return bytes((first_byte,)) + encode_variable_byte_integer(len(body)) + body


def decode_packet_id(data: bytes, index: int, end: int) -> tuple[int, int]:
    packet_id, index = decode_two_byte_integer(data, index, end)
    if packet_id == 0:
        raise ProtocolError(0x82, "the Packet Identifier is 0", "MQTT-2.2.1-3")
    return packet_id, index


def encode_packet_id(packet_id: int) -> bytes:
    if not 1 <= packet_id <= 0xFFFF:
        raise ValueError(f"{packet_id} is no Packet Identifier (1..65,535)")
    return packet_id.to_bytes(2, "big")


def expect_end(index: int, end: int, packet_type: int) -> None:
    """Nothing may follow the last field of a packet."""
    if index != end:
        raise MalformedPacket(
            f"{end - index} bytes follow the last field of {PACKET_NAMES[packet_type]}", "2.1.4"
        )
