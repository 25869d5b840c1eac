"""The tables of the specification, restated as data: what the tests hold the code against.

Written down from the specification and not from the code, so that a slip in one of them shows. Packets are
named by their packet type; `WILL` stands for the Will Properties, which have rules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
WILL = 0

PACKET_NAMES = {
    WILL: "Will Properties",
    CONNECT: "CONNECT",
    CONNACK: "CONNACK",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    PUBREC: "PUBREC",
    PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP",
    SUBSCRIBE: "SUBSCRIBE",
    SUBACK: "SUBACK",
    UNSUBSCRIBE: "UNSUBSCRIBE",
    UNSUBACK: "UNSUBACK",
    PINGREQ: "PINGREQ",
    PINGRESP: "PINGRESP",
    DISCONNECT: "DISCONNECT",
    AUTH: "AUTH",
}

# Table 2-2: the flags of the fixed header. PUBLISH is not here, its flags have meanings.
FLAGS = {packet: 0b0000 for packet in range(CONNECT, AUTH + 1) if packet != PUBLISH}
FLAGS |= {PUBREL: 0b0010, SUBSCRIBE: 0b0010, UNSUBSCRIBE: 0b0010}

# 2.1.2: who may send what. Of PUBLISH and DISCONNECT a server sends some forms only, and a client others.
CLIENT_SENDS = frozenset(
    {CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT, AUTH}
)
SERVER_SENDS = frozenset(
    {CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, PINGRESP, DISCONNECT, AUTH}
)

HAVE_PROPERTIES = frozenset(set(range(WILL, AUTH + 1)) - {PINGREQ, PINGRESP})
HAVE_REASONS = frozenset(
    {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH},
)

BYTE = "Byte"
TWO_BYTE_INTEGER = "Two Byte Integer"
FOUR_BYTE_INTEGER = "Four Byte Integer"
VARIABLE_BYTE_INTEGER = "Variable Byte Integer"
STRING = "UTF-8 Encoded String"
BINARY = "Binary Data"
STRING_PAIR = "UTF-8 String Pair"


@dataclass(frozen=True)
class PropertyRow:
    """A row of table 2-4, with what chapter 3 says of the values.

    `valid` are the least and the greatest value (None: no number), `repeats` the packets that may have the
    property more than once, `clause` where its section stands.
    """

    identifier: int
    name: str
    type: str
    packets: frozenset[int]
    clause: str
    valid: tuple[int, int] | None = None
    repeats: frozenset[int] = frozenset()


def _row(
    identifier: int,
    name: str,
    kind: str,
    packets: set[int] | frozenset[int],
    clause: str,
    valid: tuple[int, int] | None = None,
    repeats: frozenset[int] = frozenset(),
) -> PropertyRow:
    return PropertyRow(identifier, name, kind, frozenset(packets), clause, valid, repeats)


_TWO_BYTES = (0, 65_535)
_FOUR_BYTES = (0, 4_294_967_295)

PROPERTIES = (
    _row(0x01, "payload_format_indicator", BYTE, {PUBLISH, WILL}, "3.3.2.3.2", (0, 1)),
    _row(0x02, "message_expiry_interval", FOUR_BYTE_INTEGER, {PUBLISH, WILL}, "3.3.2.3.3", _FOUR_BYTES),
    _row(0x03, "content_type", STRING, {PUBLISH, WILL}, "3.3.2.3.9"),
    _row(0x08, "response_topic", STRING, {PUBLISH, WILL}, "3.3.2.3.5"),
    _row(0x09, "correlation_data", BINARY, {PUBLISH, WILL}, "3.3.2.3.6"),
    _row(
        0x0B,
        "subscription_identifiers",
        VARIABLE_BYTE_INTEGER,
        {PUBLISH, SUBSCRIBE},
        "3.8.2.1.2",
        (1, 268_435_455),
        repeats=frozenset({PUBLISH}),
    ),
    _row(
        0x11,
        "session_expiry_interval",
        FOUR_BYTE_INTEGER,
        {CONNECT, CONNACK, DISCONNECT},
        "3.1.2.11.2",
        _FOUR_BYTES,
    ),
    _row(0x12, "assigned_client_identifier", STRING, {CONNACK}, "3.2.2.3.7"),
    _row(0x13, "server_keep_alive", TWO_BYTE_INTEGER, {CONNACK}, "3.2.2.3.14", _TWO_BYTES),
    _row(0x15, "authentication_method", STRING, {CONNECT, CONNACK, AUTH}, "3.1.2.11.9"),
    _row(0x16, "authentication_data", BINARY, {CONNECT, CONNACK, AUTH}, "3.1.2.11.10"),
    _row(0x17, "request_problem_information", BYTE, {CONNECT}, "3.1.2.11.7", (0, 1)),
    _row(0x18, "will_delay_interval", FOUR_BYTE_INTEGER, {WILL}, "3.1.3.2.2", _FOUR_BYTES),
    _row(0x19, "request_response_information", BYTE, {CONNECT}, "3.1.2.11.6", (0, 1)),
    _row(0x1A, "response_information", STRING, {CONNACK}, "3.2.2.3.15"),
    _row(0x1C, "server_reference", STRING, {CONNACK, DISCONNECT}, "3.2.2.3.16"),
    _row(0x1F, "reason_string", STRING, HAVE_REASONS, "3.2.2.3.9"),
    _row(0x21, "receive_maximum", TWO_BYTE_INTEGER, {CONNECT, CONNACK}, "3.1.2.11.3", (1, 65_535)),
    _row(0x22, "topic_alias_maximum", TWO_BYTE_INTEGER, {CONNECT, CONNACK}, "3.1.2.11.5", _TWO_BYTES),
    _row(0x23, "topic_alias", TWO_BYTE_INTEGER, {PUBLISH}, "MQTT-3.3.2-8", (1, 65_535)),
    _row(0x24, "maximum_qos", BYTE, {CONNACK}, "3.2.2.3.4", (0, 1)),
    _row(0x25, "retain_available", BYTE, {CONNACK}, "3.2.2.3.5", (0, 1)),
    _row(0x26, "user_properties", STRING_PAIR, HAVE_PROPERTIES, "2.2.2.2", repeats=HAVE_PROPERTIES),
    _row(
        0x27,
        "maximum_packet_size",
        FOUR_BYTE_INTEGER,
        {CONNECT, CONNACK},
        "3.1.2.11.4",
        (1, 4_294_967_295),
    ),
    _row(0x28, "wildcard_subscription_available", BYTE, {CONNACK}, "3.2.2.3.11", (0, 1)),
    _row(0x29, "subscription_identifier_available", BYTE, {CONNACK}, "3.2.2.3.12", (0, 1)),
    _row(0x2A, "shared_subscription_available", BYTE, {CONNACK}, "3.2.2.3.13", (0, 1)),
)

# The other direction of the same table, as 3.1.2.11, 3.1.3.2, 3.2.2.3 and so on list them.
PROPERTIES_BY_PACKET = {
    CONNECT: {0x11, 0x15, 0x16, 0x17, 0x19, 0x21, 0x22, 0x26, 0x27},
    WILL: {0x01, 0x02, 0x03, 0x08, 0x09, 0x18, 0x26},
    CONNACK: {
        *(0x11, 0x12, 0x13, 0x15, 0x16, 0x1A, 0x1C, 0x1F, 0x21, 0x22),
        *(0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A),
    },
    PUBLISH: {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26},
    PUBACK: {0x1F, 0x26},
    PUBREC: {0x1F, 0x26},
    PUBREL: {0x1F, 0x26},
    PUBCOMP: {0x1F, 0x26},
    SUBSCRIBE: {0x0B, 0x26},
    SUBACK: {0x1F, 0x26},
    UNSUBSCRIBE: {0x26},
    UNSUBACK: {0x1F, 0x26},
    DISCONNECT: {0x11, 0x1C, 0x1F, 0x26},
    AUTH: {0x15, 0x16, 0x1F, 0x26},
}

# Table 2-6: value, name, and the packets that may carry it.
REASON_CODES: tuple[tuple[int, str, frozenset[int]], ...] = tuple(
    (value, name, frozenset(packets))
    for value, name, packets in (
        (0x00, "Success", {CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK, AUTH}),
        (0x00, "Normal disconnection", {DISCONNECT}),
        (0x00, "Granted QoS 0", {SUBACK}),
        (0x01, "Granted QoS 1", {SUBACK}),
        (0x02, "Granted QoS 2", {SUBACK}),
        (0x04, "Disconnect with Will Message", {DISCONNECT}),
        (0x10, "No matching subscribers", {PUBACK, PUBREC}),
        (0x11, "No subscription existed", {UNSUBACK}),
        (0x18, "Continue authentication", {AUTH}),
        (0x19, "Re-authenticate", {AUTH}),
        (0x80, "Unspecified error", {CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT}),
        (0x81, "Malformed Packet", {CONNACK, DISCONNECT}),
        (0x82, "Protocol Error", {CONNACK, DISCONNECT}),
        (0x83, "Implementation specific error", {CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT}),
        (0x84, "Unsupported Protocol Version", {CONNACK}),
        (0x85, "Client Identifier not valid", {CONNACK}),
        (0x86, "Bad User Name or Password", {CONNACK}),
        (0x87, "Not authorized", {CONNACK, PUBACK, PUBREC, SUBACK, UNSUBACK, DISCONNECT}),
        (0x88, "Server unavailable", {CONNACK}),
        (0x89, "Server busy", {CONNACK, DISCONNECT}),
        (0x8A, "Banned", {CONNACK}),
        (0x8B, "Server shutting down", {DISCONNECT}),
        (0x8C, "Bad authentication method", {CONNACK, DISCONNECT}),
        (0x8D, "Keep Alive timeout", {DISCONNECT}),
        (0x8E, "Session taken over", {DISCONNECT}),
        (0x8F, "Topic Filter invalid", {SUBACK, UNSUBACK, DISCONNECT}),
        (0x90, "Topic Name invalid", {CONNACK, PUBACK, PUBREC, DISCONNECT}),
        (0x91, "Packet Identifier in use", {PUBACK, PUBREC, SUBACK, UNSUBACK}),
        (0x92, "Packet Identifier not found", {PUBREL, PUBCOMP}),
        (0x93, "Receive Maximum exceeded", {DISCONNECT}),
        (0x94, "Topic Alias invalid", {DISCONNECT}),
        (0x95, "Packet too large", {CONNACK, DISCONNECT}),
        (0x96, "Message rate too high", {DISCONNECT}),
        (0x97, "Quota exceeded", {CONNACK, PUBACK, PUBREC, SUBACK, DISCONNECT}),
        (0x98, "Administrative action", {DISCONNECT}),
        (0x99, "Payload format invalid", {CONNACK, PUBACK, PUBREC, DISCONNECT}),
        (0x9A, "Retain not supported", {CONNACK, DISCONNECT}),
        (0x9B, "QoS not supported", {CONNACK, DISCONNECT}),
        (0x9C, "Use another server", {CONNACK, DISCONNECT}),
        (0x9D, "Server moved", {CONNACK, DISCONNECT}),
        (0x9E, "Shared Subscriptions not supported", {SUBACK, DISCONNECT}),
        (0x9F, "Connection rate exceeded", {CONNACK, DISCONNECT}),
        (0xA0, "Maximum connect time", {DISCONNECT}),
        (0xA1, "Subscription Identifiers not supported", {SUBACK, DISCONNECT}),
        (0xA2, "Wildcard Subscriptions not supported", {SUBACK, DISCONNECT}),
    )
)

# The Reason Codes of each packet, and the statement that binds its sender to them.
REASON_CODE_CLAUSES = {
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

# 3.1.1, 3.2.2.3: the return codes of CONNACK, each with the Reason Codes of 5.0 that come nearest to it.
RETURN_CODES: tuple[tuple[int, str, frozenset[int]], ...] = (
    (0, "Connection Accepted", frozenset({0x00})),
    (1, "unacceptable protocol version", frozenset({0x84})),
    (2, "identifier rejected", frozenset({0x85})),
    (3, "Server unavailable", frozenset({0x88, 0x89, 0x8B, 0x9F})),
    (4, "bad user name or password", frozenset({0x86})),
    (5, "not authorized", frozenset({0x87, 0x8A, 0x8C})),
)


def reason_codes_of(packet: int) -> list[int]:
    """The Reason Codes that `packet` may carry, in order."""
    return sorted(value for value, _, packets in REASON_CODES if packet in packets)
