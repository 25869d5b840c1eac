"""SUBSCRIBE, SUBACK, UNSUBSCRIBE and UNSUBACK (3.8 - 3.11)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mqttwist.wire.datatypes import decode_byte, decode_string, encode_string
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.packet import (
    MQTT_5,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Packet,
    decode_packet_id,
    encode_packet_id,
    expect_end,
    frame,
)
from mqttwist.wire.properties import Properties, decode_properties, encode_properties
from mqttwist.wire.reasons import check_reason_code, encode_reason_codes, granted
from mqttwist.wire.topics import SHARE_PREFIX, check_topic_filter, malformed_name

_NO_LOCAL: Final = 0x04
_RETAIN_AS_PUBLISHED: Final = 0x08
_RESERVED: Final = 0xC0


@dataclass(init=False, slots=True)
class SubscriptionOptions:
    """One Topic Filter of a SUBSCRIBE with its Subscription Options (3.8.3.1). It does not change."""

    topic_filter: str
    qos: int
    no_local: bool
    retain_as_published: bool
    retain_handling: int

    def __init__(  # by hand: what `dataclass` makes is interpreted in the compiled build
        self,
        topic_filter: str,
        qos: int = 0,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> None:
        self.topic_filter = topic_filter
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published
        self.retain_handling = retain_handling

    def encode(self, version: int) -> bytes:
        if self.qos not in (0, 1, 2) or self.retain_handling not in (0, 1, 2):
            raise ValueError(
                f"QoS {self.qos}, Retain Handling {self.retain_handling}: both must be 0, 1 or 2"
            )
        if version == MQTT_5 and self.no_local and self.topic_filter.startswith(SHARE_PREFIX):
            raise ValueError("No Local can't be set on a Shared Subscription [MQTT-3.8.3-4]")
        options = self.as_byte if version == MQTT_5 else self.qos
        return _encode_topic_filter(self.topic_filter, version) + bytes((options,))

    @property
    def as_byte(self) -> int:
        """The Subscription Options as MQTT 5.0 writes them."""
        options = self.qos | self.retain_handling << 4
        if self.retain_as_published:
            options |= _RETAIN_AS_PUBLISHED
        return options | _NO_LOCAL if self.no_local else options

    @classmethod
    def from_byte(cls, topic_filter: str, options: int) -> SubscriptionOptions:
        """What `as_byte` says. Raises `MQTTError` for what SUBSCRIBE may not have."""
        return _decode_options(topic_filter, options, MQTT_5)


def _decode_options(topic_filter: str, options: int, version: int) -> SubscriptionOptions:
    qos = options & 3
    if version != MQTT_5:
        if options > 2:
            raise MalformedPacket(
                "reserved bits of a requested QoS are set, or it is 3", "3.1.1: MQTT-3.8.3-4"
            )
        return SubscriptionOptions(topic_filter, qos)
    if options & _RESERVED:
        raise MalformedPacket("reserved bits of the Subscription Options are set", "MQTT-3.8.3-5")
    if qos == 3:
        raise ProtocolError(0x82, "the requested QoS is 3", "3.8.3.1")
    if options >> 4 == 3:
        raise ProtocolError(0x82, "Retain Handling is 3", "3.8.3.1")
    no_local = options & _NO_LOCAL != 0
    if no_local and topic_filter.startswith(SHARE_PREFIX):
        raise ProtocolError(0x82, "No Local is set on a Shared Subscription", "MQTT-3.8.3-4")
    return SubscriptionOptions(topic_filter, qos, no_local, options & _RETAIN_AS_PUBLISHED != 0, options >> 4)


def _decode_topic_filter(data: bytes, index: int, end: int, version: int) -> tuple[str, int]:
    topic_filter, index = decode_string(data, index, end)
    try:
        check_topic_filter(topic_filter, version)
    except ValueError as error:
        raise malformed_name(error) from error
    return topic_filter, index


def _encode_topic_filter(topic_filter: str, version: int) -> bytes:
    check_topic_filter(topic_filter, version)
    return encode_string(topic_filter)


@dataclass(slots=True)
class Subscribe(Packet):
    packet_id: int
    subscriptions: list[SubscriptionOptions]
    properties: Properties | None = None

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> Subscribe:
        """Raises `MalformedPacket` (for a Topic Filter that is none, too) or `ProtocolError`."""
        packet_id, index = decode_packet_id(data, index, end)
        properties: Properties | None = None
        if version == MQTT_5:
            properties, index = decode_properties(data, index, end, SUBSCRIBE)
        if index == end:
            raise ProtocolError(0x82, "SUBSCRIBE without a Topic Filter", "MQTT-3.8.3-2")
        subscriptions: list[SubscriptionOptions] = []
        while index < end:
            topic_filter, index = _decode_topic_filter(data, index, end, version)
            options, index = decode_byte(data, index, end)
            subscriptions.append(_decode_options(topic_filter, options, version))
        return cls(packet_id, subscriptions, properties)

    def encode(self, version: int) -> bytes:
        if not self.subscriptions:
            raise ValueError("SUBSCRIBE needs a Topic Filter [MQTT-3.8.3-2]")
        body = encode_packet_id(self.packet_id)
        if version == MQTT_5:
            body += encode_properties(self.properties, SUBSCRIBE)
        return frame(SUBSCRIBE << 4 | 2, body + b"".join([one.encode(version) for one in self.subscriptions]))


@dataclass(slots=True)
class SubAck(Packet):
    """One Reason Code for each Topic Filter of the SUBSCRIBE, in its order [MQTT-3.9.3-1]."""

    packet_id: int
    reason_codes: list[int]
    properties: Properties | None = None

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> SubAck:
        packet_id, index = decode_packet_id(data, index, end)
        properties: Properties | None = None
        if version == MQTT_5:
            properties, index = decode_properties(data, index, end, SUBACK)
        reason_codes = _decode_reason_codes(SUBACK, data[index:end])
        if version != MQTT_5 and any(code not in (0, 1, 2, 0x80) for code in reason_codes):
            raise ProtocolError(0x82, "a reserved return code in SUBACK", "MQTT-3.9.3-2")
        return cls(packet_id, reason_codes, properties)

    def encode(self, version: int) -> bytes:
        body = encode_packet_id(self.packet_id)
        reason_codes = encode_reason_codes(SUBACK, self.reason_codes)
        if version == MQTT_5:
            return frame(SUBACK << 4, body + encode_properties(self.properties, SUBACK) + reason_codes)
        return frame(SUBACK << 4, body + bytes([granted(code) for code in reason_codes]))


def _decode_reason_codes(packet_type: int, raw: bytes) -> list[int]:
    if not raw:
        section = "3.9.3" if packet_type == SUBACK else "3.11.3"
        raise MalformedPacket("the acknowledgement has no Reason Code", section)
    reason_codes = list(raw)
    for reason_code in reason_codes:
        check_reason_code(packet_type, reason_code)
    return reason_codes


@dataclass(slots=True)
class Unsubscribe(Packet):
    packet_id: int
    topic_filters: list[str]
    properties: Properties | None = None

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> Unsubscribe:
        packet_id, index = decode_packet_id(data, index, end)
        properties: Properties | None = None
        if version == MQTT_5:
            properties, index = decode_properties(data, index, end, UNSUBSCRIBE)
        if index == end:
            raise ProtocolError(0x82, "UNSUBSCRIBE without a Topic Filter", "MQTT-3.10.3-2")
        topic_filters: list[str] = []
        while index < end:
            topic_filter, index = _decode_topic_filter(data, index, end, version)
            topic_filters.append(topic_filter)
        return cls(packet_id, topic_filters, properties)

    def encode(self, version: int) -> bytes:
        if not self.topic_filters:
            raise ValueError("UNSUBSCRIBE needs a Topic Filter [MQTT-3.10.3-2]")
        body = encode_packet_id(self.packet_id)
        if version == MQTT_5:
            body += encode_properties(self.properties, UNSUBSCRIBE)
        body += b"".join([_encode_topic_filter(one, version) for one in self.topic_filters])
        return frame(UNSUBSCRIBE << 4 | 2, body)


@dataclass(slots=True)
class UnsubAck(Packet):
    """One Reason Code for each Topic Filter in MQTT 5.0; nothing but the Packet Identifier in 3.x."""

    packet_id: int
    reason_codes: list[int]
    properties: Properties | None = None

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> UnsubAck:
        packet_id, index = decode_packet_id(data, index, end)
        if version != MQTT_5:
            expect_end(index, end, UNSUBACK)
            return cls(packet_id, [])
        properties, index = decode_properties(data, index, end, UNSUBACK)
        return cls(packet_id, _decode_reason_codes(UNSUBACK, data[index:end]), properties)

    def encode(self, version: int) -> bytes:
        body = encode_packet_id(self.packet_id)
        if version == MQTT_5:
            body += encode_properties(self.properties, UNSUBACK)
            body += encode_reason_codes(UNSUBACK, self.reason_codes)
        return frame(UNSUBACK << 4, body)
