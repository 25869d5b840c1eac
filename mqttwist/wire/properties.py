"""Properties of MQTT 5.0 packets (2.2.2): one table says all there is to know of each.

`PROPERTIES` is table 2-4 of the specification: identifier, name, type, the packets it may stand in, and which
values are allowed. `next_property` reads one and checks it against its row; everything else here is built on
it. The properties of a Will stand in the payload of CONNECT and have rules of their own, hence the packet
type `WILL`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mqttwist.wire import datatypes
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.packet import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PACKET_NAMES,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
)
from mqttwist.wire.topics import check_topic_name

WILL: Final = 0  # stands where a packet type does, for the Will Properties (3.1.3.2)

BYTE: Final = 0
TWO_BYTE_INTEGER: Final = 1
FOUR_BYTE_INTEGER: Final = 2
VARIABLE_BYTE_INTEGER: Final = 3
STRING: Final = 4
BINARY: Final = 5
STRING_PAIR: Final = 6

PAYLOAD_FORMAT_INDICATOR: Final = 0x01
MESSAGE_EXPIRY_INTERVAL: Final = 0x02
CONTENT_TYPE: Final = 0x03
RESPONSE_TOPIC: Final = 0x08
CORRELATION_DATA: Final = 0x09
SUBSCRIPTION_IDENTIFIER: Final = 0x0B
SESSION_EXPIRY_INTERVAL: Final = 0x11
ASSIGNED_CLIENT_IDENTIFIER: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTHENTICATION_METHOD: Final = 0x15
AUTHENTICATION_DATA: Final = 0x16
REQUEST_PROBLEM_INFORMATION: Final = 0x17
WILL_DELAY_INTERVAL: Final = 0x18
REQUEST_RESPONSE_INFORMATION: Final = 0x19
RESPONSE_INFORMATION: Final = 0x1A
SERVER_REFERENCE: Final = 0x1C
REASON_STRING: Final = 0x1F
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
USER_PROPERTY: Final = 0x26
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARD_SUBSCRIPTION_AVAILABLE: Final = 0x28
SUBSCRIPTION_IDENTIFIER_AVAILABLE: Final = 0x29
SHARED_SUBSCRIPTION_AVAILABLE: Final = 0x2A

NO_PROPERTIES: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Property:
    """A row of the table.

    `attribute` is its name in `Properties`; a value outside `minimum`..`maximum` (0 for `maximum`: as far as
    the type goes) is a Protocol Error with `reason_code`, for the reason given in section `section`.
    """

    identifier: int
    attribute: str
    type: int
    packets: frozenset[int]
    section: str
    minimum: int = 0
    maximum: int = 0
    reason_code: int = 0x82
    repeatable: frozenset[int] = frozenset()


_REASONED: Final = frozenset(
    {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH},
)
_EVERYWHERE: Final = _REASONED | {WILL, CONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE}
_MESSAGE: Final = frozenset({PUBLISH, WILL})


def _only(*packets: int) -> frozenset[int]:
    return frozenset(packets)


PROPERTIES: Final[tuple[Property, ...]] = (
    Property(0x01, "payload_format_indicator", BYTE, _MESSAGE, "3.3.2.3.2", maximum=1),
    Property(0x02, "message_expiry_interval", FOUR_BYTE_INTEGER, _MESSAGE, "3.3.2.3.3"),
    Property(0x03, "content_type", STRING, _MESSAGE, "3.3.2.3.9"),
    Property(0x08, "response_topic", STRING, _MESSAGE, "3.3.2.3.5"),
    Property(0x09, "correlation_data", BINARY, _MESSAGE, "3.3.2.3.6"),
    Property(
        0x0B,
        "subscription_identifiers",
        VARIABLE_BYTE_INTEGER,
        _only(PUBLISH, SUBSCRIBE),
        "3.8.2.1.2",
        minimum=1,
        repeatable=_only(PUBLISH),
    ),
    Property(
        0x11, "session_expiry_interval", FOUR_BYTE_INTEGER, _only(CONNECT, CONNACK, DISCONNECT), "3.1.2.11.2"
    ),
    Property(0x12, "assigned_client_identifier", STRING, _only(CONNACK), "3.2.2.3.7"),
    Property(0x13, "server_keep_alive", TWO_BYTE_INTEGER, _only(CONNACK), "3.2.2.3.14"),
    Property(0x15, "authentication_method", STRING, _only(CONNECT, CONNACK, AUTH), "3.1.2.11.9"),
    Property(0x16, "authentication_data", BINARY, _only(CONNECT, CONNACK, AUTH), "3.1.2.11.10"),
    Property(0x17, "request_problem_information", BYTE, _only(CONNECT), "3.1.2.11.7", maximum=1),
    Property(0x18, "will_delay_interval", FOUR_BYTE_INTEGER, _only(WILL), "3.1.3.2.2"),
    Property(0x19, "request_response_information", BYTE, _only(CONNECT), "3.1.2.11.6", maximum=1),
    Property(0x1A, "response_information", STRING, _only(CONNACK), "3.2.2.3.15"),
    Property(0x1C, "server_reference", STRING, _only(CONNACK, DISCONNECT), "3.2.2.3.16"),
    Property(0x1F, "reason_string", STRING, _REASONED, "3.2.2.3.9"),
    Property(0x21, "receive_maximum", TWO_BYTE_INTEGER, _only(CONNECT, CONNACK), "3.1.2.11.3", minimum=1),
    Property(0x22, "topic_alias_maximum", TWO_BYTE_INTEGER, _only(CONNECT, CONNACK), "3.1.2.11.5"),
    Property(
        0x23, "topic_alias", TWO_BYTE_INTEGER, _only(PUBLISH), "MQTT-3.3.2-8", minimum=1, reason_code=0x94
    ),
    Property(0x24, "maximum_qos", BYTE, _only(CONNACK), "3.2.2.3.4", maximum=1),
    Property(0x25, "retain_available", BYTE, _only(CONNACK), "3.2.2.3.5", maximum=1),
    Property(0x26, "user_properties", STRING_PAIR, _EVERYWHERE, "2.2.2.2", repeatable=_EVERYWHERE),
    Property(
        0x27, "maximum_packet_size", FOUR_BYTE_INTEGER, _only(CONNECT, CONNACK), "3.1.2.11.4", minimum=1
    ),
    Property(0x28, "wildcard_subscription_available", BYTE, _only(CONNACK), "3.2.2.3.11", maximum=1),
    Property(0x29, "subscription_identifier_available", BYTE, _only(CONNACK), "3.2.2.3.12", maximum=1),
    Property(0x2A, "shared_subscription_available", BYTE, _only(CONNACK), "3.2.2.3.13", maximum=1),
)


@dataclass(slots=True)
class Properties:
    """The properties of one packet by name; `None` (or an empty tuple) where the packet has none.

    Integers are as they stand on the wire: intervals in seconds, sizes in bytes, flags 0 or 1.
    """

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None

    def __repr__(self) -> str:
        present = [(row.attribute, getattr(self, row.attribute)) for row in PROPERTIES]
        shown = [f"{name}={value!r}" for name, value in present if value not in (None, ())]
        return f"Properties({', '.join(shown)})"


_BY_IDENTIFIER: Final[dict[int, Property]] = {row.identifier: row for row in PROPERTIES}

_Decode = Callable[[bytes, int, int], "tuple[object, int]"]
_Encode = Callable[..., bytes]
_DECODE: Final[tuple[_Decode, ...]] = (
    datatypes.decode_byte,
    datatypes.decode_two_byte_integer,
    datatypes.decode_four_byte_integer,
    datatypes.decode_variable_byte_integer,
    datatypes.decode_string,
    datatypes.decode_binary,
    datatypes.decode_string_pair,
)


def _encode_byte(value: int) -> bytes:
    return bytes((value,))


_ENCODE: Final[tuple[_Encode, ...]] = (
    _encode_byte,
    datatypes.encode_two_byte_integer,
    datatypes.encode_four_byte_integer,
    datatypes.encode_variable_byte_integer,
    datatypes.encode_string,
    datatypes.encode_binary,
    datatypes.encode_string_pair,
)


def packet_name(packet: int) -> str:
    return PACKET_NAMES[packet] if packet else "the Will Properties"


def properties_end(data: bytes, index: int, end: int) -> tuple[int, int]:
    """Read the Property Length: where the first property starts and where the last one ends."""
    length, index = datatypes.decode_variable_byte_integer(data, index, end)
    if index + length > end:
        raise MalformedPacket("the Property Length goes beyond the packet", "2.2.2.1")
    return index, index + length


def next_property(data: bytes, index: int, end: int, packet: int, seen: int) -> tuple[Property, object, int]:
    """Read one property at `index`; `seen` has bit N set for each property N already read.

    Raises `MalformedPacket` for an identifier the packet may not have (2.2.2.2) or a Response Topic that is
    no Topic Name, and `ProtocolError` for a property that stands twice or has a value that is not allowed.
    """
    identifier = data[index]  # a Variable Byte Integer, but all that are defined fit in one byte
    row = _BY_IDENTIFIER.get(identifier)
    if row is None:
        raise MalformedPacket(f"0x{identifier:02X} is no property", "2.2.2.2")
    if packet not in row.packets:
        raise MalformedPacket(f"{packet_name(packet)} must not have the property {row.attribute}", "2.2.2.2")
    if seen >> identifier & 1 and packet not in row.repeatable:
        raise ProtocolError(
            0x82, f"{packet_name(packet)} has the property {row.attribute} twice", row.section
        )
    value, index = _DECODE[row.type](data, index + 1, end)
    if isinstance(value, int):
        _check_range(row, value)
    elif identifier == RESPONSE_TOPIC and isinstance(value, str):
        _check_response_topic(value)
    return row, value, index


def _check_range(row: Property, value: int) -> None:
    if value < row.minimum or (row.maximum and value > row.maximum):
        raise ProtocolError(row.reason_code, f"the property {row.attribute} must not be {value}", row.section)


def _check_response_topic(name: str) -> None:
    if "+" in name or "#" in name:
        raise MalformedPacket("the Response Topic contains a wildcard", "MQTT-3.3.2-14")
    if not name:
        raise MalformedPacket("the Response Topic is empty", "MQTT-4.7.3-1")


def decode_properties(data: bytes, index: int, end: int, packet: int) -> tuple[Properties, int]:
    """Read a whole property list, its length first; answers the properties and the index behind them."""
    index, stop = properties_end(data, index, end)
    properties = Properties()
    subscription_identifiers: list[int] = []
    user_properties: list[tuple[str, str]] = []
    seen = 0
    while index < stop:
        row, value, index = next_property(data, index, stop, packet, seen)
        seen |= 1 << row.identifier
        if isinstance(value, tuple):
            user_properties.append(value)
        elif row.identifier == SUBSCRIPTION_IDENTIFIER and isinstance(value, int):
            subscription_identifiers.append(value)
        else:
            setattr(properties, row.attribute, value)
    if subscription_identifiers:
        properties.subscription_identifiers = tuple(subscription_identifiers)
    if user_properties:
        properties.user_properties = tuple(user_properties)
    return properties, stop


def encode_property_list(properties: Properties, packet: int) -> bytes:
    """The properties as bytes, without the Property Length; `ValueError` for one `packet` must not have."""
    encoded: list[bytes] = []
    for row in PROPERTIES:
        value = getattr(properties, row.attribute)
        if value is None or value == ():
            continue
        if packet not in row.packets:
            raise ValueError(f"{packet_name(packet)} must not have the property {row.attribute}")
        values = value if isinstance(value, tuple) else (value,)
        if len(values) > 1 and packet not in row.repeatable:
            raise ValueError(f"{packet_name(packet)} must not have the property {row.attribute} twice")
        encoded += [_encode_property(row, one) for one in values]
    return b"".join(encoded)


def _encode_property(row: Property, value: object) -> bytes:
    if isinstance(value, int) and (value < row.minimum or (row.maximum and value > row.maximum)):
        raise ValueError(f"the property {row.attribute} must not be {value}")
    if row.identifier == RESPONSE_TOPIC and isinstance(value, str):
        check_topic_name(value)
    return bytes((row.identifier,)) + _ENCODE[row.type](value)


def encode_properties(properties: Properties | None, packet: int) -> bytes:
    """The whole property list, a length of zero where there are none [MQTT-2.2.2-1]."""
    if properties is None:
        return NO_PROPERTIES
    encoded = encode_property_list(properties, packet)
    return datatypes.encode_variable_byte_integer(len(encoded)) + encoded
