"""The vectors that are wrong, written down byte by byte in hexadecimal, one rule after the other.

What is wrong in many places in the same way, a string say, is made by `tests.wire.spread`.
"""

from __future__ import annotations

from mqttwist.wire.connect import UnsupportedProtocolVersion
from mqttwist.wire.errors import ProtocolError
from tests.wire.building import (
    ALL,
    BEFORE_CONNECT,
    V3,
    V4,
    V5,
    V34,
    V45,
    Fault,
    field,
    malformed,
    packet,
    protocol_error,
)


def _unsupported(name: str, data: str, clause: str) -> Fault:
    return Fault(name, ALL, bytes.fromhex(data), UnsupportedProtocolVersion, 0x84, clause)


FIXED_HEADER_FAULTS = [
    malformed("packet type 0", ALL, "00 00", "2.1.2"),
    malformed("packet type 0 with flags", ALL, "0F 00", "2.1.2"),
    malformed("AUTH in 3.x", V34, "F0 00", "3.1.1: 2.2.1"),
    malformed("AUTH in 3.x with flags", V34, "F2 00", "3.1.1: 2.2.1"),
    malformed("PUBLISH with QoS 3", ALL, "36 06 0001 61 0001 00", "MQTT-3.3.1-4"),
    malformed("PUBLISH with QoS 3 and RETAIN", ALL, "37 06 0001 61 0001 00", "MQTT-3.3.1-4"),
    malformed("PUBLISH with QoS 3 and DUP", ALL, "3E 06 0001 61 0001 00", "MQTT-3.3.1-4"),
    malformed("PUBLISH with QoS 3, DUP and RETAIN", ALL, "3F 06 0001 61 0001 00", "MQTT-3.3.1-4"),
    malformed("PUBLISH with DUP at QoS 0", ALL, "38 04 0001 61 00", "MQTT-3.3.1-2"),
    malformed("PUBLISH with DUP and RETAIN at QoS 0", ALL, "39 04 0001 61 00", "MQTT-3.3.1-2"),
    malformed("Remaining Length 0 in two bytes", ALL, "C0 80 00", "MQTT-1.5.5-1"),
    malformed("Remaining Length 0 in three bytes", ALL, "C0 80 80 00", "MQTT-1.5.5-1"),
    malformed("Remaining Length 0 in four bytes", ALL, "C0 80 80 80 00", "MQTT-1.5.5-1"),
    malformed("Remaining Length 2 in two bytes", ALL, "40 82 00 0001", "MQTT-1.5.5-1"),
    malformed("Remaining Length 127 in three bytes", ALL, "30 FF 80 00", "MQTT-1.5.5-1"),
    malformed("Remaining Length 16,383 in four bytes", ALL, "30 FF FF 80 00", "MQTT-1.5.5-1"),
    malformed("Remaining Length 0 in five bytes", ALL, "C0 80 80 80 80 00", "1.5.5"),
    malformed("Remaining Length of five bytes", ALL, "30 80 80 80 80 01", "1.5.5"),
    malformed("Remaining Length that goes on and on", ALL, "30 FF FF FF FF", "1.5.5"),
    malformed("CONNECT with Remaining Length in more bytes than needed", ALL, "10 8D 00", "MQTT-1.5.5-1"),
]

# The fixed header alone is there, the body is not: that must be enough.
TOO_LARGE = [
    Fault(name, ALL, bytes.fromhex(data), ProtocolError, 0x95, "3.2.2.3.6", maximum_packet_size=limit)
    for name, data, limit in (
        ("PUBLISH of 23 bytes where 22 are accepted", "30 15", 22),
        ("PUBLISH of 129 bytes where 128 are accepted", "30 7F", 128),
        ("PUBLISH of 131 bytes where 130 are accepted", "30 80 01", 130),
        ("PUBLISH of 16 MiB where 1 MiB is accepted", "30 80 80 80 08", 1 << 20),
        ("PUBLISH of 256 MiB where 255 MiB are accepted", "32 FF FF FF 7F", 255 << 20),
        ("CONNECT of 16 KiB where 1 KiB is accepted", "10 80 80 01", 1024),
        ("SUBSCRIBE of 102 bytes where 101 are accepted", "82 64", 101),
        ("PINGREQ where nothing is accepted", "C0 00", 1),
    )
]

CONNECT_FAULTS = [
    _unsupported("CONNECT of version 0", "10 0D 0004 4D515454 00 02 003C 0001 61", "MQTT-3.1.2-2"),
    _unsupported("CONNECT of version 6", "10 0E 0004 4D515454 06 02 003C 00 0001 61", "MQTT-3.1.2-2"),
    _unsupported("CONNECT of MQTT version 3", "10 0D 0004 4D515454 03 02 003C 0001 61", "MQTT-3.1.2-2"),
    _unsupported("CONNECT of MQIsdp version 4", "10 0F 0006 4D5149736470 04 02 003C 0001 61", "MQTT-3.1.2-2"),
    _unsupported("CONNECT of a bridge", "10 0D 0004 4D515454 84 02 003C 0001 61", "MQTT-3.1.2-2"),
    _unsupported("CONNECT of another protocol", "10 0D 0004 4E515454 04 02 003C 0001 61", "MQTT-3.1.2-1"),
    _unsupported("CONNECT of 'mqtt'", "10 0D 0004 6D717474 04 02 003C 0001 61", "MQTT-3.1.2-1"),
    _unsupported("CONNECT of no protocol", "10 09 0000 04 02 003C 0001 61", "MQTT-3.1.2-1"),
    malformed("the reserved Connect Flag", V4, "10 0D 0004 4D515454 04 03 003C 0001 61", "MQTT-3.1.2-3"),
    malformed("the reserved Connect Flag", V5, "10 0E 0004 4D515454 05 03 003C 00 0001 61", "MQTT-3.1.2-3"),
    malformed("Will QoS 3", V3, "10 14 0006 4D5149736470 03 1E 003C 0001 61 0001 77 0000", "MQTT-3.1.2-12"),
    malformed("Will QoS 3", V4, "10 12 0004 4D515454 04 1E 003C 0001 61 0001 77 0000", "MQTT-3.1.2-12"),
    malformed("Will QoS 3", V5, "10 14 0004 4D515454 05 1E 003C 00 0001 61 00 0001 77 0000", "MQTT-3.1.2-12"),
    malformed("Will QoS without a Will", V4, "10 0D 0004 4D515454 04 0A 003C 0001 61", "MQTT-3.1.2-11"),
    malformed("Will QoS 3 without a Will", V4, "10 0D 0004 4D515454 04 1A 003C 0001 61", "MQTT-3.1.2-11"),
    malformed("Will QoS without a Will", V5, "10 0E 0004 4D515454 05 12 003C 00 0001 61", "MQTT-3.1.2-11"),
    malformed("Will Retain without a Will", V4, "10 0D 0004 4D515454 04 22 003C 0001 61", "MQTT-3.1.2-13"),
    malformed("Will Retain without a Will", V5, "10 0E 0004 4D515454 05 22 003C 00 0001 61", "MQTT-3.1.2-13"),
    malformed(
        "a password without a user name",
        V3,
        "10 12 0006 4D5149736470 03 42 003C 0001 61 0001 70",
        "3.1.1: MQTT-3.1.2-22",
    ),
    malformed(
        "a password without a user name",
        V4,
        "10 10 0004 4D515454 04 42 003C 0001 61 0001 70",
        "3.1.1: MQTT-3.1.2-22",
    ),
    malformed("a user name that is missing", V4, "10 0D 0004 4D515454 04 82 003C 0001 61", "1.5.6"),
    malformed("a user name that is missing", V5, "10 0E 0004 4D515454 05 82 003C 00 0001 61", "1.5.6"),
    malformed("a password that is missing", V4, "10 10 0004 4D515454 04 C2 003C 0001 61 0001 75", "1.5.6"),
    malformed("a password that is missing", V5, "10 0E 0004 4D515454 05 42 003C 00 0001 61", "1.5.6"),
    malformed(
        "a user name cut short in 3.1", V3, "10 12 0006 4D5149736470 03 82 003C 0001 61 0002 75", "1.5.6"
    ),
    malformed("a user name whose flag is off", V4, "10 10 0004 4D515454 04 02 003C 0001 61 0001 75", "2.1.4"),
    malformed(
        "a user name whose flag is off", V5, "10 11 0004 4D515454 05 02 003C 00 0001 61 0001 75", "2.1.4"
    ),
    malformed(
        "bytes after the user name in 3.1",
        V3,
        "10 13 0006 4D5149736470 03 82 003C 0001 61 0001 75 00",
        "2.1.4",
    ),
    malformed("a Will that is missing", V4, "10 0D 0004 4D515454 04 06 003C 0001 61", "1.5.6"),
    malformed("a Will that is missing", V3, "10 0F 0006 4D5149736470 03 06 003C 0001 61", "1.5.6"),
    malformed("a Client Identifier that is missing", V4, "10 0A 0004 4D515454 04 02 003C", "1.5.6"),
    malformed("an empty Will Topic", V4, "10 11 0004 4D515454 04 06 003C 0001 61 0000 0000", "MQTT-4.7.3-1"),
    malformed(
        "an empty Will Topic", V5, "10 13 0004 4D515454 05 06 003C 00 0001 61 00 0000 0000", "MQTT-4.7.3-1"
    ),
    malformed(
        "a wildcard in the Will Topic",
        V4,
        "10 14 0004 4D515454 04 06 003C 0001 61 0003 612F23 0000",
        "MQTT-4.7.0-1",
    ),
    malformed(
        "a wildcard in the Will Topic",
        V5,
        "10 16 0004 4D515454 05 06 003C 00 0001 61 00 0003 612F2B 0000",
        "MQTT-4.7.0-1",
    ),
    protocol_error(
        "Authentication Data without a Method",
        V5,
        "10 12 0004 4D515454 05 02 003C 04 16 0001 00 0001 61",
        "3.1.2.11.10",
    ),
]

CONNACK_FAULTS = [
    malformed("a reserved Connect Acknowledge Flag", V4, "20 02 02 00", "MQTT-3.2.2-1"),
    malformed("a reserved Connect Acknowledge Flag", V5, "20 03 80 00 00", "MQTT-3.2.2-1"),
    malformed("all Connect Acknowledge Flags", V45, "20 03 FF 00 00", "MQTT-3.2.2-1"),
    protocol_error("return code 6", V34, "20 02 00 06", "3.1.1: 3.2.2.3"),
    protocol_error("return code 255", V34, "20 02 00 FF", "3.1.1: 3.2.2.3"),
    protocol_error("Session Present in a refusal", V4, "20 02 01 05", "MQTT-3.2.2-6"),
    protocol_error("Session Present in a refusal", V5, "20 03 01 87 00", "MQTT-3.2.2-6"),
    malformed("CONNACK of 3.x with properties", V34, "20 03 00 00 00", "2.1.4"),
    malformed("CONNACK of 5.0 without properties", V5, "20 02 00 00", "1.5.5"),
]

PUBLISH_FAULTS = [
    malformed("PUBLISH without anything", ALL, "30 00", "MQTT-3.3.2-1"),
    malformed("PUBLISH with half a length of its Topic Name", ALL, "30 01 00", "MQTT-3.3.2-1"),
    malformed("PUBLISH that ends inside its Topic Name", ALL, "30 04 0003 612F", "MQTT-3.3.2-1"),
    protocol_error("PUBLISH with an empty Topic Name", V34, "30 02 0000", "MQTT-4.7.3-1"),
    protocol_error(
        "PUBLISH with an empty Topic Name and a payload", V34, "32 06 0000 0001 6162", "MQTT-4.7.3-1"
    ),
    protocol_error("PUBLISH with neither Topic Name nor Topic Alias", V5, "30 03 0000 00", "MQTT-4.7.3-1"),
    protocol_error("PUBLISH with neither, but another property", V5, "30 05 0000 02 01 00", "MQTT-4.7.3-1"),
    malformed("PUBLISH to '#'", ALL, "30 04 0001 23 00", "MQTT-3.3.2-2"),
    malformed("PUBLISH to '+'", ALL, "30 04 0001 2B 00", "MQTT-3.3.2-2"),
    malformed("PUBLISH to 'a/#'", ALL, "32 08 0003 612F23 0001 00", "MQTT-3.3.2-2"),
    malformed("PUBLISH to 'a+b'", ALL, "34 08 0003 612B62 0001 00", "MQTT-3.3.2-2"),
    malformed("PUBLISH of 5.0 without a Property Length", V5, "30 03 0001 61", "1.5.5"),
    malformed("PUBLISH of 5.0 at QoS 1 without a Property Length", V5, "32 05 0001 61 0001", "1.5.5"),
    malformed("PUBLISH at QoS 1 without a Packet Identifier", ALL, "32 03 0001 61", "1.5.2"),
    malformed("PUBLISH at QoS 2 with half a Packet Identifier", ALL, "34 04 0001 61 00", "1.5.2"),
    protocol_error("Topic Alias 0", V5, "30 07 0001 61 03 23 0000", "MQTT-3.3.2-8", 0x94),
    protocol_error("Topic Alias 0 and no Topic Name", V5, "30 06 0000 03 23 0000", "MQTT-3.3.2-8", 0x94),
    malformed("an empty Response Topic", V5, "30 07 0001 61 03 08 0000", "MQTT-4.7.3-1"),
    malformed("a Response Topic '#'", V5, "30 08 0001 61 04 08 0001 23", "MQTT-3.3.2-14"),
    malformed("a Response Topic 'a/+'", V5, "30 0A 0001 61 06 08 0003 612F2B", "MQTT-3.3.2-14"),
    malformed(
        "a Response Topic of the Will with a wildcard",
        V5,
        "10 18 0004 4D515454 05 06 003C 00 0001 61 04 08 0001 23 0001 77 0000",
        "MQTT-3.3.2-14",
    ),
    malformed(
        "an empty Response Topic of the Will",
        V5,
        "10 17 0004 4D515454 05 06 003C 00 0001 61 03 08 0000 0001 77 0000",
        "MQTT-4.7.3-1",
    ),
]

_OPTIONS_3 = "3.1.1: MQTT-3.8.3-4"

SUBSCRIBE_FAULTS = [
    protocol_error("SUBSCRIBE without a Topic Filter", V34, "82 02 0001", "MQTT-3.8.3-2"),
    protocol_error("SUBSCRIBE without a Topic Filter", V5, "82 03 0001 00", "MQTT-3.8.3-2"),
    protocol_error("UNSUBSCRIBE without a Topic Filter", V34, "A2 02 0001", "MQTT-3.10.3-2"),
    protocol_error("UNSUBSCRIBE without a Topic Filter", V5, "A2 03 0001 00", "MQTT-3.10.3-2"),
    malformed("SUBSCRIBE without options", V34, "82 05 0001 0001 61", "1.5.1"),
    malformed("SUBSCRIBE without options", V5, "82 06 0001 00 0001 61", "1.5.1"),
    malformed("SUBSCRIBE of 5.0 without properties", V5, "82 02 0001", "1.5.5"),
    malformed("UNSUBSCRIBE of 5.0 without properties", V5, "A2 02 0001", "1.5.5"),
    malformed("SUBSCRIBE with a second filter cut short", V34, "82 09 0001 0001 61 00 0002 61", "1.5.6"),
    malformed("requested QoS 3", V34, "82 06 0001 0001 61 03", _OPTIONS_3),
    malformed("a reserved bit of the requested QoS", V34, "82 06 0001 0001 61 04", _OPTIONS_3),
    malformed("all bits of the requested QoS", V34, "82 06 0001 0001 61 FF", _OPTIONS_3),
    protocol_error("Maximum QoS 3", V5, "82 07 0001 00 0001 61 03", "3.8.3.1"),
    protocol_error("Retain Handling 3", V5, "82 07 0001 00 0001 61 30", "3.8.3.1"),
    malformed("reserved option 0x40", V5, "82 07 0001 00 0001 61 40", "MQTT-3.8.3-5"),
    malformed("reserved option 0x80", V5, "82 07 0001 00 0001 61 81", "MQTT-3.8.3-5"),
    malformed("all options", V5, "82 07 0001 00 0001 61 FF", "MQTT-3.8.3-5"),
    protocol_error(
        "No Local on a Shared Subscription",
        V5,
        packet(0x82, b"\x00\x01\x00", field(b"$share/g/t"), b"\x04"),
        "MQTT-3.8.3-4",
    ),
    protocol_error("a second subscription with QoS 3", V5, "82 0B 0001 00 0001 61 00 0001 62 03", "3.8.3.1"),
    malformed("SUBACK without a Reason Code", V34, "90 02 0001", "3.9.3"),
    malformed("SUBACK without a Reason Code", V5, "90 03 0001 00", "3.9.3"),
    malformed("UNSUBACK without a Reason Code", V5, "B0 03 0001 00", "3.11.3"),
    malformed("UNSUBACK of 5.0 without properties", V5, "B0 02 0001", "1.5.5"),
    malformed("UNSUBACK of 3.x with a payload", V34, "B0 03 0001 00", "2.1.4"),
    protocol_error("a reserved return code in SUBACK", V34, "90 03 0001 03", "MQTT-3.9.3-2"),
    protocol_error("a Reason Code of 5.0 in SUBACK of 3.x", V34, "90 04 0001 00 87", "MQTT-3.9.3-2"),
]

CONTROL_FAULTS = [
    malformed("PINGREQ with a body", ALL, "C0 01 00", "2.1.4"),
    malformed("PINGRESP with a body", ALL, "D0 02 0000", "2.1.4"),
    malformed("DISCONNECT of 3.x with a Reason Code", V34, "E0 01 00", "2.1.4"),
    malformed("DISCONNECT of 3.x with properties", V34, "E0 02 00 00", "2.1.4"),
    malformed("DISCONNECT with bytes after its properties", V5, "E0 03 00 00 00", "2.1.4"),
    malformed("AUTH with bytes after its properties", V5, "F0 07 18 04 15 0001 4D 00", "2.1.4"),
    protocol_error("AUTH with a Reason Code alone", V5, "F0 01 18", "3.15.2.2.2"),
    protocol_error("AUTH without an Authentication Method", V5, "F0 02 18 00", "3.15.2.2.2"),
    protocol_error("AUTH with Authentication Data alone", V5, "F0 06 18 04 16 0001 00", "3.15.2.2.2"),
    malformed("PUBACK of 3.x with a Reason Code", V34, "40 03 0001 00", "2.1.4"),
    malformed("PUBREL of 3.x with properties", V34, "62 04 0001 00 00", "2.1.4"),
    malformed("PUBCOMP with bytes after its properties", V5, "70 05 0001 00 00 00", "2.1.4"),
    malformed("PUBREC without anything", ALL, "50 00", "1.5.2"),
    malformed("PUBACK with half a Packet Identifier", ALL, "40 01 00", "1.5.2"),
]

FIRST_PACKET_FAULTS = [
    protocol_error("PUBLISH before CONNECT", BEFORE_CONNECT, "30 03 0001 61", "MQTT-3.1.0-1"),
    protocol_error("PINGREQ before CONNECT", BEFORE_CONNECT, "C0 00", "MQTT-3.1.0-1"),
    protocol_error("a packet of type 0 before CONNECT", BEFORE_CONNECT, "00", "MQTT-3.1.0-1"),
    protocol_error("HTTP instead of MQTT", BEFORE_CONNECT, b"GET / HTTP/1.1\r\n", "MQTT-3.1.0-1"),
    malformed("TLS instead of MQTT", BEFORE_CONNECT, "16 03 01 02 00", "MQTT-2.1.3-1"),
]
