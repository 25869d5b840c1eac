"""CONNECT and CONNACK (3.1, 3.2)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from mqttwist.wire.datatypes import (
    decode_binary,
    decode_byte,
    decode_string,
    decode_two_byte_integer,
    encode_binary,
    encode_string,
    encode_two_byte_integer,
)
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.message import Message
from mqttwist.wire.packet import (
    CONNACK,
    CONNECT,
    MQTT_3_1,
    MQTT_3_1_1,
    MQTT_5,
    Packet,
    expect_end,
    frame,
)
from mqttwist.wire.properties import WILL, Properties, decode_properties, encode_properties
from mqttwist.wire.reasons import check_reason_code, encode_reason_code, return_code
from mqttwist.wire.topics import check_topic_name, malformed_name

PROTOCOL_NAMES: Final[dict[int, str]] = {MQTT_3_1: "MQIsdp", MQTT_3_1_1: "MQTT", MQTT_5: "MQTT"}

_CLEAN_START: Final = 0x02
_WILL_FLAG: Final = 0x04
_WILL_RETAIN: Final = 0x20
_PASSWORD_FLAG: Final = 0x40
_USER_NAME_FLAG: Final = 0x80


class UnsupportedProtocolVersion(ProtocolError):
    """CONNECT names a protocol version we do not speak (3.1.2.2): `version` is its number, -1 for no MQTT."""

    def __init__(self, name: str, version: int) -> None:
        known = name in PROTOCOL_NAMES.values()
        text = f"{name[:16]!r} version {version} is not supported"
        super().__init__(0x84, text, "MQTT-3.1.2-2" if known else "MQTT-3.1.2-1")
        self.version = version if known else -1
        self.args = (name[:16], version)  # for a copy, which is made from them


@dataclass(slots=True)
class Will:
    """The Will Message as it stands in CONNECT (3.1.2.5): `delay` in seconds, 0..4,294,967,295."""

    topic_name: str
    payload: bytes = b""
    qos: int = 0
    retain: bool = False
    properties: Properties = field(default_factory=Properties)

    @property
    def delay(self) -> int:
        return self.properties.will_delay_interval or 0

    def message(self) -> Message:
        """The Application Message to publish when the will is due."""
        return Message(self.topic_name, self.payload, self.qos, self.retain, self.properties)


# Of all packets before MQTT 5.0 that come or go with each connection, and never to be changed: to make one is
# interpreted in the compiled build too, and 260 bytes.
NO_PROPERTIES: Final = Properties()


@dataclass(init=False, slots=True)
class Connect(Packet):
    """CONNECT: `keep_alive` in seconds, 0 for none; `clean_start` is Clean Session in 3.x."""

    client_id: str
    version: int
    clean_start: bool
    keep_alive: int
    will: Will | None
    username: str | None
    password: bytes | None
    properties: Properties

    def __init__(  # by hand: what `dataclass` makes is interpreted in the compiled build
        self,
        client_id: str,
        version: int = MQTT_5,
        clean_start: bool = True,
        keep_alive: int = 0,
        will: Will | None = None,
        username: str | None = None,
        password: bytes | None = None,
        properties: Properties | None = None,
    ) -> None:
        self.client_id = client_id
        self.version = version
        self.clean_start = clean_start
        self.keep_alive = keep_alive
        self.will = will
        self.username = username
        self.password = password
        self.properties = Properties() if properties is None else properties

    @classmethod
    def decode(cls, data: bytes, index: int, end: int) -> Connect:
        """Raises `UnsupportedProtocolVersion`, `MalformedPacket` or `ProtocolError`."""
        version, index = decode_protocol_version(data, index, end)
        flags, index = decode_byte(data, index, end)
        _check_flags(flags, version)
        keep_alive, index = decode_two_byte_integer(data, index, end)
        properties = NO_PROPERTIES
        if version == MQTT_5:
            properties, index = decode_properties(data, index, end, CONNECT)
            _check_authentication(properties)
        client_id, index = decode_string(data, index, end)
        will: Will | None = None
        if flags & _WILL_FLAG:
            will, index = _decode_will(data, index, end, flags, version)
        username: str | None = None
        # In 3.1 "the Remaining Length takes precedence": a flag may be set whose field is missing (3.1: 3.1).
        if flags & _USER_NAME_FLAG and (index < end or version != MQTT_3_1):
            username, index = decode_string(data, index, end)
        password: bytes | None = None
        if flags & _PASSWORD_FLAG and (index < end or version != MQTT_3_1):
            password, index = decode_binary(data, index, end)
        expect_end(index, end, CONNECT)
        clean_start = flags & _CLEAN_START != 0
        return cls(client_id, version, clean_start, keep_alive, will, username, password, properties)

    def encode(self, version: int = 0) -> bytes:
        """The version of a CONNECT is its own; the argument is there because all packets have it."""
        if self.version not in PROTOCOL_NAMES:
            raise ValueError(f"there is no MQTT of version {self.version}")
        body = encode_string(PROTOCOL_NAMES[self.version]) + bytes((self.version, self._flags()))
        body += encode_two_byte_integer(self.keep_alive)
        if self.version == MQTT_5:
            body += encode_properties(self.properties, CONNECT)
        body += encode_string(self.client_id)
        if self.will is not None:
            check_topic_name(self.will.topic_name)
            if self.version == MQTT_5:
                body += encode_properties(self.will.properties, WILL)
            body += encode_string(self.will.topic_name) + encode_binary(self.will.payload)
        if self.username is not None:
            body += encode_string(self.username)
        if self.password is not None:
            body += encode_binary(self.password)
        return frame(CONNECT << 4, body)

    def _flags(self) -> int:
        flags = _CLEAN_START if self.clean_start else 0
        if self.will is not None:
            if self.will.qos not in (0, 1, 2):
                raise ValueError(f"QoS {self.will.qos} of the Will is none of 0, 1, 2")
            flags |= _WILL_FLAG | self.will.qos << 3 | (_WILL_RETAIN if self.will.retain else 0)
        if self.username is not None:
            flags |= _USER_NAME_FLAG
        if self.password is not None:
            if self.username is None and self.version != MQTT_5:
                raise ValueError("in MQTT 3.x a password needs a user name (3.1.1: [MQTT-3.1.2-22])")
            flags |= _PASSWORD_FLAG
        return flags


def decode_protocol_version(data: bytes, index: int, end: int) -> tuple[int, int]:
    """Protocol Name and Version (3.1.2.1, 3.1.2.2); `UnsupportedProtocolVersion` for what we don't speak."""
    name, index = decode_string(data, index, end)
    version, index = decode_byte(data, index, end)
    if PROTOCOL_NAMES.get(version) != name:
        raise UnsupportedProtocolVersion(name, version)
    return version, index


def _check_flags(flags: int, version: int) -> None:
    """MQTT 3.1 disregards the reserved flag, and Will QoS and Will Retain where there is no Will."""
    if flags & 1 and version != MQTT_3_1:
        raise MalformedPacket("the reserved Connect Flag is set", "MQTT-3.1.2-3")
    qos = flags >> 3 & 3
    if flags & _WILL_FLAG:
        if qos == 3:
            raise MalformedPacket("the Will QoS is 3", "MQTT-3.1.2-12")
    elif version != MQTT_3_1:
        if qos:
            raise MalformedPacket("Will QoS is set without a Will", "MQTT-3.1.2-11")
        if flags & _WILL_RETAIN:
            raise MalformedPacket("Will Retain is set without a Will", "MQTT-3.1.2-13")
    if flags & _PASSWORD_FLAG and not flags & _USER_NAME_FLAG and version != MQTT_5:
        raise MalformedPacket("a password without a user name", "3.1.1: MQTT-3.1.2-22")


def _check_authentication(properties: Properties) -> None:
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise ProtocolError(0x82, "Authentication Data without an Authentication Method", "3.1.2.11.10")


def _decode_will(data: bytes, index: int, end: int, flags: int, version: int) -> tuple[Will, int]:
    properties = Properties()
    if version == MQTT_5:
        properties, index = decode_properties(data, index, end, WILL)
    topic_name, index = decode_string(data, index, end)
    try:
        check_topic_name(topic_name)
    except ValueError as error:
        raise malformed_name(error) from error
    payload, index = decode_binary(data, index, end)
    return Will(topic_name, payload, flags >> 3 & 3, flags & _WILL_RETAIN != 0, properties), index


@dataclass(init=False, slots=True)
class ConnAck(Packet):
    """CONNACK: `reason_code` is one of MQTT 5.0; for 3.x the nearest return code is sent.

    In a CONNACK that came in 3.x it is the return code 0..5; none but 0 is a Reason Code of CONNACK, too.
    """

    session_present: bool
    reason_code: int
    properties: Properties

    def __init__(
        self, session_present: bool = False, reason_code: int = 0, properties: Properties | None = None
    ) -> None:
        self.session_present = session_present
        self.reason_code = reason_code
        self.properties = Properties() if properties is None else properties

    @classmethod
    def decode(cls, data: bytes, index: int, end: int, version: int) -> ConnAck:
        flags, index = decode_byte(data, index, end)
        if version == MQTT_3_1:
            flags = 0  # a byte that is "not used" in 3.1: there is no Session Present yet
        if flags & 0xFE:
            raise MalformedPacket("a reserved Connect Acknowledge Flag is set", "MQTT-3.2.2-1")
        reason_code, index = decode_byte(data, index, end)
        properties = Properties()
        if version == MQTT_5:
            check_reason_code(CONNACK, reason_code)
            properties, index = decode_properties(data, index, end, CONNACK)
        elif reason_code > 5:
            raise ProtocolError(0x82, f"{reason_code} is no return code of CONNACK", "3.1.1: 3.2.2.3")
        expect_end(index, end, CONNACK)
        if reason_code and flags:
            raise ProtocolError(
                0x82, "Session Present is set although the connection is refused", "MQTT-3.2.2-6"
            )
        return cls(flags == 1, reason_code, properties)

    def encode(self, version: int) -> bytes:
        present = self.session_present and not self.reason_code  # [MQTT-3.2.2-6]
        if version == MQTT_5:
            body = bytes((present,)) + encode_reason_code(CONNACK, self.reason_code)
            body += encode_properties(self.properties, CONNACK)
        else:
            body = bytes((present and version != MQTT_3_1, return_code(self.reason_code)))
        return frame(CONNACK << 4, body)
