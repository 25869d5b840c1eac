"""The vectors whose lengths do not add up: all valid packets, cut where they must not end, or made longer.

Some packets may end earlier: a PUBLISH has fewer bytes of payload then, an acknowledgement leaves its Reason
Code out. `ends` finds these places by walking the fields; everywhere else a cut is a fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError
from tests.wire import tables
from tests.wire.building import Fault, malformed, packet
from tests.wire.combined import FROM_TABLES
from tests.wire.valid import WRITTEN

_ACKNOWLEDGEMENTS = (tables.PUBACK, tables.PUBREC, tables.PUBREL, tables.PUBCOMP)
_LISTS = {tables.SUBSCRIBE: "MQTT-3.8.3-2", tables.UNSUBSCRIBE: "MQTT-3.10.3-2"}


def body_of(data: bytes) -> bytes:
    """What follows the Remaining Length."""
    return data[2 if data[1] < 0x80 else 3 :]


def _after_field(body: bytes, at: int) -> int:
    return at + 2 + int.from_bytes(body[at : at + 2], "big")


def _after_properties(body: bytes, at: int, version: int) -> int:
    if version != 5:
        return at
    length, width = body[at], 1
    if length >= 0x80:
        length, width = length - 0x80 + body[at + 1] * 0x80, 2
    return at + width + length


def ends(data: bytes, version: int) -> set[int]:
    """At how many bytes of its body the packet may end and be a packet all the same."""
    packet_type, body = data[0] >> 4, body_of(data)
    found = {len(body)}
    if packet_type == tables.PUBLISH:
        header = _after_field(body, 0) + (2 if data[0] & 6 else 0)
        found |= set(range(_after_properties(body, header, version), len(body)))
    elif packet_type in (tables.SUBACK, tables.UNSUBACK):
        found |= set(range(_after_properties(body, 2, version) + 1, len(body)))
    elif packet_type in _LISTS:
        at = _after_properties(body, 2, version)
        while at < len(body):
            at = _after_field(body, at) + (packet_type == tables.SUBSCRIBE)
            found.add(at)
    elif packet_type == tables.CONNECT and version == 3:
        found |= _ends_of_connect_3_1(body)
    elif version == 5:
        shorter = {tables.DISCONNECT: {0, 1}, tables.AUTH: {0}}
        found |= shorter.get(packet_type, {2, 3} if packet_type in _ACKNOWLEDGEMENTS else set())
    return found


def _ends_of_connect_3_1(body: bytes) -> set[int]:
    """In 3.1 a user name or password may be missing whose flag is set."""
    flags = body[9]
    at = _after_field(body, 12)
    if flags & 0x04:
        at = _after_field(body, _after_field(body, at))
    found = {at} if flags & 0x80 else set()
    if flags & 0x40 and at < len(body):
        found.add(_after_field(body, at))
    return found


def _what_a_cut_is(
    packet_type: int, body: bytes, length: int, version: int
) -> tuple[type[MQTTError], int, str]:
    """The error for a packet that ends behind `length` bytes of its body; the clause depends on the field."""
    if packet_type in _LISTS and length >= 2 and length == _after_properties(body, 2, version):
        return ProtocolError, 0x82, _LISTS[packet_type]  # all there but a Topic Filter
    if packet_type == tables.AUTH and length == 1:
        return ProtocolError, 0x82, "3.15.2.2.2"  # all there but an Authentication Method
    return MalformedPacket, 0x81, ""


def _cut(data: bytes, version: int, name: str) -> Iterator[Fault]:
    packet_type, body = data[0] >> 4, body_of(data)
    legal = ends(data, version)
    for length in range(len(body)):
        if length in legal:
            continue
        error, reason_code, clause = _what_a_cut_is(packet_type, body, length, version)
        shorter = packet(data[0], body[:length])
        yield Fault(f"{name}, cut to {length}", (version,), shorter, error, reason_code, clause)


def _too_long(data: bytes, version: int, name: str) -> Iterator[Fault]:
    """Bytes behind the last field of a packet whose last field is there and is not a list or a payload."""
    packet_type, body = data[0] >> 4, body_of(data)
    complete = packet_type in (tables.CONNECT, tables.CONNACK, tables.PINGREQ, tables.PINGRESP)
    if version != 5:
        complete |= packet_type in (*_ACKNOWLEDGEMENTS, tables.UNSUBACK, tables.DISCONNECT)
    elif packet_type in _ACKNOWLEDGEMENTS:
        complete = len(body) > 3
    elif packet_type in (tables.DISCONNECT, tables.AUTH):
        complete = len(body) > 1
    if complete and not name.endswith("as 3.1 allows"):
        for more in (b"\x00", b"\x00\x01a", b"\xff" * 200):
            yield malformed(f"{name} and {len(more)} bytes", (version,), packet(data[0], body, more), "2.1.4")


def _all() -> Iterator[Fault]:
    for vector in (*WRITTEN, *FROM_TABLES):
        for version in vector.versions:
            yield from _cut(vector.data, version, vector.name)
            yield from _too_long(vector.data, version, vector.name)


LENGTH_FAULTS = tuple({(row.data, row.versions): row for row in _all()}.values())
