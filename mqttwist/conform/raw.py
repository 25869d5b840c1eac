"""Packets byte by byte, for checks that send what the encoder refuses to.

Strings are given as bytes, so that they may be none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mqttwist.conform.rig import Rig
from mqttwist.wire.datatypes import encode_binary, encode_variable_byte_integer
from mqttwist.wire.packet import DISCONNECT, MQTT_5, PUBLISH, SUBSCRIBE, UNSUBSCRIBE, frame

CLEAN_START: Final = 0x02
WILL_FLAG: Final = 0x04
PASSWORD_FLAG: Final = 0x40
USER_NAME_FLAG: Final = 0x80


def string(text: bytes) -> bytes:
    """`text` with its length, whether it is UTF-8 or not."""
    return encode_binary(text)


def listed(version: int, properties: bytes = b"") -> bytes:
    """`properties` with the Property Length, which 3.1.1 does not have."""
    return encode_variable_byte_integer(len(properties)) + properties if version == MQTT_5 else b""


def connect(
    version: int,
    payload: bytes,
    flags: int = CLEAN_START,
    properties: bytes = b"",
    name: bytes = b"MQTT",
    first_byte: int = 0x10,
) -> bytes:
    """CONNECT with Keep Alive 0; the `payload` begins with the Client Identifier."""
    head = string(name) + bytes((version, flags, 0, 0))
    return frame(first_byte, head + listed(version, properties) + payload)


def publish(
    version: int,
    topic_name: bytes,
    properties: bytes = b"",
    flags: int = 0,
    packet_id: bytes = b"",
    payload: bytes = b"",
) -> bytes:
    """PUBLISH; `flags` are the low four bits of its first byte."""
    body = string(topic_name) + packet_id + listed(version, properties) + payload
    return frame(PUBLISH << 4 | flags, body)


def subscribe(
    version: int, topic_filter: bytes, options: int = 0, properties: bytes = b"", packet_id: bytes = b"\0\1"
) -> bytes:
    """SUBSCRIBE with one Topic Filter."""
    body = packet_id + listed(version, properties) + string(topic_filter) + bytes((options,))
    return frame(SUBSCRIBE << 4 | 2, body)


def unsubscribe(
    version: int, topic_filter: bytes, properties: bytes = b"", packet_id: bytes = b"\0\1"
) -> bytes:
    """UNSUBSCRIBE with one Topic Filter."""
    return frame(UNSUBSCRIBE << 4 | 2, packet_id + listed(version, properties) + string(topic_filter))


def login(rig: Rig) -> bytes:
    """User Name and Password, which both must be there: those that the Server wants, or any."""
    username, password = rig.credentials
    return string((username or "user").encode()) + string(password or b"word")


# Where a string stands: what is in its place, in a packet that is right but for that.
Place = Callable[[Rig, bytes], bytes]


def _connect_with_will(rig: Rig, topic_name: bytes, properties: bytes = b"") -> bytes:
    will = listed(rig.version, properties) + string(topic_name) + string(b"")
    return connect(rig.version, string(rig.client_id().encode()) + will, CLEAN_START | WILL_FLAG)


def _publish_with(rig: Rig, properties: bytes) -> bytes:
    return publish(rig.version, rig.topic().encode(), properties)


def _connect_with(rig: Rig, properties: bytes) -> bytes:
    return connect(rig.version, string(rig.client_id().encode()), CLEAN_START, properties)


IN_CONNECT: Final[dict[str, Place]] = {
    "Client Identifier": lambda rig, text: connect(rig.version, string(text)),
    "Will Topic": _connect_with_will,
    "User Name": lambda rig, text: connect(
        rig.version, string(rig.client_id().encode()) + string(text), CLEAN_START | USER_NAME_FLAG
    ),
}
IN_CONNECT_5: Final[dict[str, Place]] = {
    "name of a User Property of CONNECT": lambda rig, text: _connect_with(
        rig, b"\x26" + string(text) + string(b"")
    ),
    "value of a User Property of CONNECT": lambda rig, text: _connect_with(
        rig, b"\x26" + string(b"") + string(text)
    ),
    "Content Type of the Will": lambda rig, text: _connect_with_will(rig, b"w", b"\x03" + string(text)),
    "Response Topic of the Will": lambda rig, text: _connect_with_will(rig, b"w", b"\x08" + string(text)),
    "name of a User Property of the Will": lambda rig, text: _connect_with_will(
        rig, b"w", b"\x26" + string(text) + string(b"")
    ),
    "value of a User Property of the Will": lambda rig, text: _connect_with_will(
        rig, b"w", b"\x26" + string(b"") + string(text)
    ),
}
CONNECTED: Final[dict[str, Place]] = {
    "Topic Name": lambda rig, text: publish(rig.version, text),
    "Topic Filter of SUBSCRIBE": lambda rig, text: subscribe(rig.version, text),
    "Topic Filter of UNSUBSCRIBE": lambda rig, text: unsubscribe(rig.version, text),
}
CONNECTED_5: Final[dict[str, Place]] = {
    "Content Type": lambda rig, text: _publish_with(rig, b"\x03" + string(text)),
    "Response Topic": lambda rig, text: _publish_with(rig, b"\x08" + string(text)),
    "name of a User Property of PUBLISH": lambda rig, text: _publish_with(
        rig, b"\x26" + string(text) + string(b"")
    ),
    "value of a User Property of PUBLISH": lambda rig, text: _publish_with(
        rig, b"\x26" + string(b"") + string(text)
    ),
    "name of a User Property of SUBSCRIBE": lambda rig, text: subscribe(
        rig.version, rig.topic().encode(), 0, b"\x26" + string(text) + string(b"")
    ),
    "value of a User Property of UNSUBSCRIBE": lambda rig, text: unsubscribe(
        rig.version, rig.topic().encode(), b"\x26" + string(b"") + string(text)
    ),
    "Reason String of DISCONNECT": lambda rig, text: frame(
        DISCONNECT << 4, b"\x04" + listed(rig.version, b"\x1f" + string(text))
    ),
}


def string_places(version: int) -> tuple[dict[str, Place], dict[str, Place]]:
    """Where strings stand in CONNECT, and where in what a client sends later."""
    if version != MQTT_5:
        return IN_CONNECT, CONNECTED
    return IN_CONNECT | IN_CONNECT_5, CONNECTED | CONNECTED_5
