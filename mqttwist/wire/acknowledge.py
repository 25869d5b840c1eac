"""PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 - 3.7): four packets of one shape.

Nearly all that are ever sent say success in four bytes. `acknowledge` and `read_acknowledgement` make no
object for those; they do for the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mqttwist.wire.datatypes import SINGLE_BYTES, decode_byte
from mqttwist.wire.packet import (
    MQTT_5,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    Packet,
    decode_packet_id,
    encode_packet_id,
    expect_end,
    frame,
)
from mqttwist.wire.properties import Properties, decode_properties, encode_properties
from mqttwist.wire.reasons import check_reason_code, encode_reason_code


def _beginnings(remaining_length: int) -> tuple[tuple[bytes, ...], ...]:
    """The first three bytes of an acknowledgement, by packet type and by the third.

    Compiled, `acknowledge` takes a third of the instructions that it took with `to_bytes` and a constant of
    eight: `tuple[bytes, ...]` is looked into, a tuple of known length is first made an object each time.
    """
    beginnings: list[tuple[bytes, ...]] = [()] * (PUBCOMP + 1)
    for packet_type in (PUBACK, PUBREC, PUBREL, PUBCOMP):
        first_byte = packet_type << 4 | (2 if packet_type == PUBREL else 0)
        beginnings[packet_type] = tuple([bytes((first_byte, remaining_length, msb)) for msb in range(256)])
    return tuple(beginnings)


# When nothing but the Packet Identifier follows, and when a Reason Code does.
_SHORT: Final = _beginnings(2)
_REASONED: Final = _beginnings(3)


def acknowledge(packet_type: int, packet_id: int, reason_code: int, version: int) -> bytes:
    """An acknowledgement without properties; in 3.x without the Reason Code too."""
    last = SINGLE_BYTES[packet_id & 0xFF]
    if reason_code and version == MQTT_5:
        return _REASONED[packet_type][packet_id >> 8] + last + SINGLE_BYTES[reason_code]
    return _SHORT[packet_type][packet_id >> 8] + last


def read_acknowledgement(
    packet_type: int, data: bytes, index: int, end: int, version: int
) -> tuple[int, int]:
    """Packet Identifier and Reason Code; raises what `decode_acknowledgement` does."""
    if end - index == 2:
        packet_id = data[index] << 8 | data[index + 1]
        if packet_id:
            return packet_id, 0
    packet = decode_acknowledgement(packet_type, data, index, end, version)
    return packet.packet_id, packet.reason_code


@dataclass(slots=True)
class Acknowledgement(Packet):
    """What the four share. In 3.x there is the Packet Identifier only."""

    packet_id: int
    reason_code: int = 0
    properties: Properties | None = None

    def packet_type(self) -> int:
        raise NotImplementedError

    def encode(self, version: int) -> bytes:
        """Reason Code and properties are left out when they say nothing (3.4.2.1, 3.4.2.2.1)."""
        packet_type = self.packet_type()
        body = encode_packet_id(self.packet_id)
        if version == MQTT_5 and (self.reason_code or self.properties is not None):
            body += encode_reason_code(packet_type, self.reason_code)
            if self.properties is not None:
                body += encode_properties(self.properties, packet_type)
        return frame(packet_type << 4 | (2 if packet_type == PUBREL else 0), body)


@dataclass(slots=True)
class PubAck(Acknowledgement):
    def packet_type(self) -> int:
        return PUBACK


@dataclass(slots=True)
class PubRec(Acknowledgement):
    def packet_type(self) -> int:
        return PUBREC


@dataclass(slots=True)
class PubRel(Acknowledgement):
    def packet_type(self) -> int:
        return PUBREL


@dataclass(slots=True)
class PubComp(Acknowledgement):
    def packet_type(self) -> int:
        return PUBCOMP


def decode_acknowledgement(
    packet_type: int, data: bytes, index: int, end: int, version: int
) -> Acknowledgement:
    """Raises `MalformedPacket` or `ProtocolError`."""
    packet_id, index = decode_packet_id(data, index, end)
    reason_code = 0
    properties: Properties | None = None
    if version == MQTT_5 and index < end:
        reason_code, index = decode_byte(data, index, end)
        check_reason_code(packet_type, reason_code)
        if index < end:
            properties, index = decode_properties(data, index, end, packet_type)
    expect_end(index, end, packet_type)
    if packet_type == PUBACK:
        return PubAck(packet_id, reason_code, properties)
    if packet_type == PUBREC:
        return PubRec(packet_id, reason_code, properties)
    if packet_type == PUBREL:
        return PubRel(packet_id, reason_code, properties)
    return PubComp(packet_id, reason_code, properties)
