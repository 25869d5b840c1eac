"""PINGREQ, PINGRESP, DISCONNECT and AUTH (3.12 - 3.15)."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttwist.wire.datatypes import decode_byte
from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.packet import AUTH, DISCONNECT, MQTT_5, PINGREQ, PINGRESP, Packet, expect_end, frame
from mqttwist.wire.properties import NO_PROPERTIES, Properties, decode_properties, encode_properties
from mqttwist.wire.reasons import check_reason_code, encode_reason_code


@dataclass(slots=True)
class PingReq(Packet):
    def encode(self, version: int) -> bytes:
        return frame(PINGREQ << 4, b"")


@dataclass(slots=True)
class PingResp(Packet):
    def encode(self, version: int) -> bytes:
        return frame(PINGRESP << 4, b"")


def _decode_reason(packet_type: int, data: bytes, index: int, end: int) -> tuple[int, Properties]:
    """Reason Code and properties, both of which may be missing (3.14.2.1, 3.14.2.2.1, 3.15.2.1)."""
    reason_code = 0
    properties = Properties()
    if index < end:
        reason_code, index = decode_byte(data, index, end)
        check_reason_code(packet_type, reason_code)
        if index < end:
            properties, index = decode_properties(data, index, end, packet_type)
    expect_end(index, end, packet_type)
    return reason_code, properties


def _encode_reason(packet_type: int, reason_code: int, properties: Properties) -> bytes:
    """A property list that is empty is left out, and so is a Reason Code of 0 before it."""
    body = encode_reason_code(packet_type, reason_code)
    encoded = encode_properties(properties, packet_type)
    if encoded != NO_PROPERTIES:
        body += encoded
    elif not reason_code:
        body = b""
    return frame(packet_type << 4, body)


@dataclass(slots=True)
class Disconnect(Packet):
    """DISCONNECT. In 3.x only a client sends it, and it has no Reason Code."""

    reason_code: int = 0
    properties: Properties = field(default_factory=Properties)

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> Disconnect:
        if version != MQTT_5:
            expect_end(index, end, DISCONNECT)
            return cls()
        reason_code, properties = _decode_reason(DISCONNECT, data, index, end)
        return cls(reason_code, properties)

    def encode(self, version: int) -> bytes:
        if version != MQTT_5:
            return frame(DISCONNECT << 4, b"")
        return _encode_reason(DISCONNECT, self.reason_code, self.properties)


@dataclass(slots=True)
class Auth(Packet):
    """AUTH, of MQTT 5.0 only (4.12)."""

    reason_code: int = 0
    properties: Properties = field(default_factory=Properties)

    @classmethod
    def decode(cls, data: bytes, index: int, end: int) -> Auth:
        reason_code, properties = _decode_reason(AUTH, data, index, end)
        if properties.authentication_method is None and end > index:
            raise ProtocolError(0x82, "AUTH without an Authentication Method", "3.15.2.2.2")
        return cls(reason_code, properties)

    def encode(self, version: int) -> bytes:
        if version != MQTT_5:
            raise ValueError("there is no AUTH before MQTT 5.0")
        return _encode_reason(AUTH, self.reason_code, self.properties)
