"""Which Reason Code may stand in which packet (2.4), and what a 3.x client is told instead."""

from __future__ import annotations

from typing import Final

from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.packet import (
    AUTH,
    CONNACK,
    DISCONNECT,
    PACKET_NAMES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
)

_PUBLISHED: Final = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
_RELEASED: Final = frozenset({0x00, 0x92})

REASON_CODES: Final[dict[int, frozenset[int]]] = {
    CONNACK: frozenset({0, 0x90, 0x95, 0x97, 0x99, *range(0x80, 0x8B), 0x8C, *range(0x9A, 0x9E), 0x9F}),
    PUBACK: _PUBLISHED,
    PUBREC: _PUBLISHED,
    PUBREL: _RELEASED,
    PUBCOMP: _RELEASED,
    SUBACK: frozenset({0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}),
    UNSUBACK: frozenset({0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}),
    DISCONNECT: frozenset(
        {0, 0x04, 0x87, 0x89, *range(0x80, 0x84), *range(0x8B, 0x91), *range(0x93, 0xA3)},
    ),
    AUTH: frozenset({0, 0x18, 0x19}),
}

_CLAUSES: Final[dict[int, str]] = {
    CONNACK: "MQTT-3.2.2-8",
    PUBACK: "MQTT-3.4.2-1",
    PUBREC: "MQTT-3.5.2-1",
    PUBREL: "MQTT-3.6.2-1",
    PUBCOMP: "MQTT-3.7.2-1",
    SUBACK: "MQTT-3.9.3-2",
    UNSUBACK: "MQTT-3.11.3-2",
    DISCONNECT: "MQTT-3.14.2-1",
    AUTH: "MQTT-3.15.2-1",
}

_RETURN_CODES: Final[dict[int, int]] = {
    0x00: 0,
    # what came as a return code stays one
    1: 1,
    2: 2,
    3: 3,
    4: 4,
    5: 5,
    0x84: 1,
    0x85: 2,
    0x88: 3,
    0x89: 3,
    0x8B: 3,
    0x9F: 3,
    0x86: 4,
    0x8C: 5,
    0x87: 5,
    0x8A: 5,
}


def check_reason_code(packet_type: int, reason_code: int) -> None:
    """Raise `ProtocolError` unless `packet_type` may carry `reason_code`."""
    if reason_code not in REASON_CODES[packet_type]:
        text = f"0x{reason_code:02X} is no Reason Code of {PACKET_NAMES[packet_type]}"
        raise ProtocolError(0x82, text, _CLAUSES[packet_type])


def encode_reason_code(packet_type: int, reason_code: int) -> bytes:
    """The Reason Code as a byte; `ValueError` for one that `packet_type` must not carry."""
    if reason_code not in REASON_CODES[packet_type]:
        raise ValueError(f"0x{reason_code:02X} is no Reason Code of {PACKET_NAMES[packet_type]}")
    return bytes((reason_code,))


def encode_reason_codes(packet_type: int, reason_codes: list[int]) -> bytes:
    """The payload of a SUBACK or UNSUBACK; `ValueError` if it is empty or has one that must not be there."""
    if not reason_codes:
        raise ValueError(f"{PACKET_NAMES[packet_type]} needs a Reason Code for each Topic Filter")
    return b"".join([encode_reason_code(packet_type, one) for one in reason_codes])


def return_code(reason_code: int) -> int:
    """The CONNACK return code of 3.x nearest to `reason_code` (3.1.1: 3.2.2.3), or 3, unavailable."""
    return _RETURN_CODES.get(reason_code, 3)


def granted(reason_code: int) -> int:
    """A SUBACK Reason Code as 3.1.1 says it: the granted QoS, or 0x80 for every failure (3.1.1: 3.9.3)."""
    return reason_code if reason_code < 0x80 else 0x80
