"""The vectors that are wrong in many places in the same way: made for every place there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.wire import tables
from tests.wire.building import (
    ALL,
    BEFORE_CONNECT,
    CARRIERS,
    V5,
    V34,
    Fault,
    encode_value,
    field,
    malformed,
    packet,
    pair,
    property_list,
    protocol_error,
)
from tests.wire.combined import values_of, with_property

# 2.1.3: reserved flags

_FLAG_CLAUSES = {
    tables.PUBREL: "MQTT-3.6.1-1",
    tables.SUBSCRIBE: "MQTT-3.8.1-1",
    tables.UNSUBSCRIBE: "MQTT-3.10.1-1",
    tables.DISCONNECT: "MQTT-3.14.1-1",
    tables.AUTH: "MQTT-3.15.1-1",
}


def _reserved_flags() -> Iterator[Fault]:
    """All sixteen flags of each packet type but the ones that table 2-2 lists."""
    for packet_type, listed in tables.FLAGS.items():
        clause = _FLAG_CLAUSES.get(packet_type, "MQTT-2.1.3-1")
        name = tables.PACKET_NAMES[packet_type]
        for flags in set(range(16)) - {listed}:
            data = bytes([packet_type << 4 | flags, 0])
            versions: tuple[int, ...] = V5 if packet_type == tables.AUTH else ALL
            if listed and flags == listed | 8:
                versions = (4, 5)  # DUP, which 3.1 allows here
            yield malformed(f"{name} with flags 0x{flags:X}", versions, data, clause)
            if packet_type == tables.CONNECT:
                yield malformed(f"CONNECT with flags 0x{flags:X} first", BEFORE_CONNECT, data, clause)


def _first_packets() -> Iterator[Fault]:
    """Any packet but CONNECT, when nothing came before."""
    for packet_type in range(2, 16):
        first_byte = packet_type << 4 | tables.FLAGS.get(packet_type, 0)
        name = f"{tables.PACKET_NAMES[packet_type]} as the first packet"
        yield protocol_error(name, BEFORE_CONNECT, bytes([first_byte, 0]), "MQTT-3.1.0-1")


# 2.2.1: Packet Identifiers


def _packet_id_0() -> Iterator[Fault]:
    clause = "MQTT-2.2.1-3"
    for first_byte in (0x40, 0x50, 0x62, 0x70):
        name = f"{tables.PACKET_NAMES[first_byte >> 4]} with Packet Identifier 0"
        yield protocol_error(name, ALL, packet(first_byte, b"\x00\x00"), clause)
    for first_byte in (0x32, 0x34, 0x3B, 0x3D):
        name = f"PUBLISH 0x{first_byte:X} with Packet Identifier 0"
        yield protocol_error(name, V34, packet(first_byte, field(b"t"), b"\x00\x00hi"), clause)
        yield protocol_error(name, V5, packet(first_byte, field(b"t"), b"\x00\x00\x00hi"), clause)
    for first_byte, payload in (
        (0x82, field(b"t") + b"\x00"),
        (0x90, b"\x00"),
        (0xA2, field(b"t")),
        (0xB0, b"\x00"),
    ):
        name = f"{tables.PACKET_NAMES[first_byte >> 4]} with Packet Identifier 0"
        yield protocol_error(name, V5, packet(first_byte, b"\x00\x00\x00", payload), clause)
        payload_of_3 = b"" if first_byte == 0xB0 else payload
        yield protocol_error(name, V34, packet(first_byte, b"\x00\x00", payload_of_3), clause)


# 1.5.4: strings

BAD_STRINGS = {
    "U+0000": (b"\x00", "MQTT-1.5.4-2"),
    "U+0000 inside": (b"a\x00b", "MQTT-1.5.4-2"),
    "an overlong U+0000": (b"\xc0\x80", "MQTT-1.5.4-1"),
    "an overlong '/' of two bytes": (b"\xc0\xaf", "MQTT-1.5.4-1"),
    "an overlong '/' of three bytes": (b"\xe0\x80\xaf", "MQTT-1.5.4-1"),
    "an overlong '/' of four bytes": (b"\xf0\x80\x80\xaf", "MQTT-1.5.4-1"),
    "the first surrogate": (b"\xed\xa0\x80", "MQTT-1.5.4-1"),
    "the last surrogate": (b"\xed\xbf\xbf", "MQTT-1.5.4-1"),
    "a pair of surrogates": (b"\xed\xa0\xb4\xed\xb4\x9e", "MQTT-1.5.4-1"),
    "one byte of two": (b"a\xc3", "MQTT-1.5.4-1"),
    "two bytes of three": (b"\xe2\x82", "MQTT-1.5.4-1"),
    "three bytes of four": (b"\xf0\x9d\x84", "MQTT-1.5.4-1"),
    "a continuation byte alone": (b"\x80", "MQTT-1.5.4-1"),
    "U+110000": (b"\xf4\x90\x80\x80", "MQTT-1.5.4-1"),
    "a byte that is never used": (b"\xff", "MQTT-1.5.4-1"),
    "Latin-1": (b"gr\xfc\xdfe", "MQTT-1.5.4-1"),
}

Place = tuple[tuple[int, ...], Callable[[bytes], bytes]]

# Every place outside of properties where a string stands: how a packet looks with the bytes of one there.
STRING_PLACES: dict[str, Place] = {
    "the Protocol Name": (ALL, lambda raw: packet(0x10, field(raw), b"\x05\x02\x00\x3c\x00", field(b"a"))),
    "the Topic Name of PUBLISH": (V34, lambda raw: packet(0x32, field(raw), b"\x00\x01hi")),
    "the Topic Name": (V5, lambda raw: packet(0x30, field(raw), b"\x00hi")),
    "the Topic Filter of SUBSCRIBE": (V34, lambda raw: packet(0x82, b"\x00\x01", field(raw), b"\x00")),
    "the Topic Filter": (V5, lambda raw: packet(0x82, b"\x00\x01\x00", field(raw), b"\x00")),
    "the second Topic Filter": (
        V5,
        lambda raw: packet(0x82, b"\x00\x01\x00", field(b"t"), b"\x00", field(raw), b"\x00"),
    ),
    "the Topic Filter of UNSUBSCRIBE in 3.x": (V34, lambda raw: packet(0xA2, b"\x00\x01", field(raw))),
    "the Topic Filter of UNSUBSCRIBE": (V5, lambda raw: packet(0xA2, b"\x00\x01\x00", field(raw))),
    "the ShareName": (
        V5,
        lambda raw: packet(0x82, b"\x00\x01\x00", field(b"$share/" + raw + b"/t"), b"\x00"),
    ),
}


def _connect_with(version: int, flags: int, *payload: bytes) -> bytes:
    """A CONNECT of `version` with the Connect Flags `flags`; what 5.0 has besides is empty."""
    protocol_name = field(b"MQIsdp" if version == 3 else b"MQTT")
    properties = b"\x00" if version == 5 else b""
    return packet(0x10, protocol_name, bytes([version, flags, 0, 60]), properties, *payload)


def _connect_places(version: int) -> dict[str, Place]:
    will_properties = b"\x00" if version == 5 else b""

    def client_identifier(raw: bytes) -> bytes:
        return _connect_with(version, 0x02, field(raw))

    def will_topic(raw: bytes) -> bytes:
        return _connect_with(version, 0x06, field(b"a"), will_properties, field(raw), field(b""))

    def user_name(raw: bytes) -> bytes:
        return _connect_with(version, 0x82, field(b"a"), field(raw))

    return {
        f"the Client Identifier of version {version}": ((version,), client_identifier),
        f"the Will Topic of version {version}": ((version,), will_topic),
        f"the User Name of version {version}": ((version,), user_name),
    }


STRING_PLACES |= _connect_places(3) | _connect_places(4) | _connect_places(5)


def _bad_strings() -> Iterator[Fault]:
    for what, (raw, clause) in BAD_STRINGS.items():
        for place, (versions, data) in STRING_PLACES.items():
            yield malformed(f"{what} in {place}", versions, data(raw), clause)
        for row in tables.PROPERTIES:
            for carrier in sorted(row.packets):
                kind = CARRIERS[carrier]
                encoded = []
                if row.type == tables.STRING:
                    encoded = [field(raw)]
                elif row.type == tables.STRING_PAIR:
                    encoded = [pair(raw, b"v"), pair(b"n", raw)]
                for value in encoded:
                    data_5 = kind.data(property_list(bytes([row.identifier]) + value))
                    yield malformed(f"{what} in {row.name} of {kind.name}", V5, data_5, clause)


# 2.2.2: properties


def _misplaced_properties() -> Iterator[Fault]:
    """Every property in every packet that must not have it, first or behind one that may stand there."""
    user_property = b"\x26" + pair(b"n", b"v")
    for carrier, kind in CARRIERS.items():
        for row in tables.PROPERTIES:
            if carrier not in row.packets:
                encoded = encode_value(row, values_of(row)[-1])
                for before in (b"", user_property):
                    data = kind.data(property_list(before, encoded))
                    yield malformed(f"{row.name} in {kind.name}", V5, data, "2.2.2.2")


def _unknown_properties() -> Iterator[Fault]:
    defined = {row.identifier for row in tables.PROPERTIES}
    unknown = [bytes([one]) for one in range(0x80) if one not in defined] + [b"\x80\x01", b"\xff\x7f"]
    for carrier, kind in CARRIERS.items():
        for identifier in unknown if carrier == tables.PUBLISH else (b"\x00", b"\x2b", b"\x81\x00"):
            data = kind.data(property_list(identifier + b"\x00\x00"))
            yield malformed(f"property 0x{identifier.hex()} in {kind.name}", V5, data, "2.2.2.2")


def _duplicate_properties() -> Iterator[Fault]:
    """Every property twice where it must not be, with the same value and with another one."""
    for row in tables.PROPERTIES:
        for carrier in sorted(row.packets - row.repeats):
            name = f"{row.name} twice in {CARRIERS[carrier].name}"
            for values in ([values_of(row)[-1]] * 2, [values_of(row)[0], values_of(row)[-1]]):
                data, _ = with_property(row, values, carrier)
                yield protocol_error(name, V5, data, row.clause)


def _values_out_of_range() -> Iterator[Fault]:
    for row in tables.PROPERTIES:
        if row.valid is None:
            continue
        least, greatest = row.valid
        wrong = [least - 1] if least else []
        if row.type == tables.BYTE:
            wrong += [greatest + 1, 0xFF]
        reason_code = 0x94 if row.name == "topic_alias" else 0x82
        for carrier in sorted(row.packets):
            for value in wrong:
                data = CARRIERS[carrier].data(property_list(encode_value(row, value)))
                name = f"{row.name} {value} in {CARRIERS[carrier].name}"
                yield protocol_error(name, V5, data, row.clause, reason_code)


_CUT_VALUES = {
    tables.BYTE: (b"", "1.5.1"),
    tables.TWO_BYTE_INTEGER: (b"\x01", "1.5.2"),
    tables.FOUR_BYTE_INTEGER: (b"\x00\x00\x01", "1.5.3"),
    tables.VARIABLE_BYTE_INTEGER: (b"\x80", "1.5.5"),
    tables.STRING: (b"\x00\x02a", "1.5.6"),
    tables.BINARY: (b"\x00\x03ab", "1.5.6"),
    tables.STRING_PAIR: (b"\x00\x01n\x00", "1.5.6"),
}


def _cut_properties() -> Iterator[Fault]:
    """A value that goes beyond the Property Length, although the packet has more bytes."""
    for row in tables.PROPERTIES:
        for carrier in sorted(row.packets):
            raw, clause = _CUT_VALUES[row.type]
            data = CARRIERS[carrier].data(property_list(bytes([row.identifier]) + raw))
            yield malformed(f"{row.name} cut short in {CARRIERS[carrier].name}", V5, data, clause)


def _property_lengths() -> Iterator[Fault]:
    for kind in CARRIERS.values():
        for raw, clause in (
            (b"\x80\x00", "MQTT-1.5.5-1"),
            (b"\x80\x80\x80\x00", "MQTT-1.5.5-1"),
            (b"\x80\x80\x80\x80\x00", "1.5.5"),
            (b"\xff\xff\xff\xff\x7f", "1.5.5"),
            (b"\x7f", "2.2.2.1"),
            (b"\xff\xff\xff\x7f", "2.2.2.1"),
        ):
            yield malformed(f"Property Length {raw.hex()} in {kind.name}", V5, kind.data(raw), clause)
    for carrier in (tables.PUBLISH, tables.SUBSCRIBE):
        for raw, clause in (
            (b"\x81\x00", "MQTT-1.5.5-1"),
            (b"\xff\xff\xff\x00", "MQTT-1.5.5-1"),
            (b"\x80\x80\x80\x80\x01", "1.5.5"),
        ):
            data = CARRIERS[carrier].data(property_list(b"\x0b" + raw))
            yield malformed(f"Subscription Identifier {raw.hex()}", V5, data, clause)


# 2.4: Reason Codes


def _reason_codes() -> Iterator[Fault]:
    """Every Reason Code where it must not be, and some that do not exist."""
    method = property_list(b"\x15" + field(b"M"))
    shapes: dict[int, Callable[[bytes], bytes]] = {
        tables.CONNACK: lambda code: packet(0x20, b"\x00", code, b"\x00"),
        tables.PUBACK: lambda code: packet(0x40, b"\x00\x01", code),
        tables.PUBREC: lambda code: packet(0x50, b"\x00\x01", code, b"\x00"),
        tables.PUBREL: lambda code: packet(0x62, b"\x00\x01", code),
        tables.PUBCOMP: lambda code: packet(0x70, b"\x00\x01", code, b"\x00"),
        tables.SUBACK: lambda code: packet(0x90, b"\x00\x01\x00\x00", code),
        tables.UNSUBACK: lambda code: packet(0xB0, b"\x00\x01\x00", code),
        tables.DISCONNECT: lambda code: packet(0xE0, code),
        tables.AUTH: lambda code: packet(0xF0, code, method),
    }
    codes = {value for value, _, _ in tables.REASON_CODES} | {0x03, 0x05, 0x7F, 0xA3, 0xFF}
    for carrier, shape in shapes.items():
        for code in sorted(codes - set(tables.reason_codes_of(carrier))):
            name = f"0x{code:02X} in {tables.PACKET_NAMES[carrier]}"
            clause = tables.REASON_CODE_CLAUSES[carrier]
            yield protocol_error(name, V5, shape(bytes([code])), clause)


# 4.7, 4.8.2: Topic Filters

BAD_FILTERS = {
    "": "MQTT-4.7.3-1",
    "a#": "MQTT-4.7.1-1",
    "#a": "MQTT-4.7.1-1",
    "##": "MQTT-4.7.1-1",
    "#/": "MQTT-4.7.1-1",
    "a/#/b": "MQTT-4.7.1-1",
    "sport/tennis#": "MQTT-4.7.1-1",
    "+#": "MQTT-4.7.1-1",
    "a+": "MQTT-4.7.1-2",
    "+a/b": "MQTT-4.7.1-2",
    "a/b+/c": "MQTT-4.7.1-2",
    "++": "MQTT-4.7.1-2",
    "$share/": "MQTT-4.8.2-1",
    "$share//": "MQTT-4.8.2-1",
    "$share//a": "MQTT-4.8.2-1",
    "$share/g": "MQTT-4.8.2-2",
    "$share/g/": "MQTT-4.8.2-2",
    "$share/+/a": "MQTT-4.8.2-2",
    "$share/g#/a": "MQTT-4.8.2-2",
    "$share/#": "MQTT-4.8.2-2",
    "$share/g/a#": "MQTT-4.7.1-1",
    "$share/g/#/a": "MQTT-4.7.1-1",
    "$share/g/a+": "MQTT-4.7.1-2",
}


def _bad_filters() -> Iterator[Fault]:
    for topic_filter, clause in BAD_FILTERS.items():
        raw = field(topic_filter.encode())
        good = field(b"good/+/#")
        subscribe, unsubscribe = f"SUBSCRIBE to {topic_filter!r}", f"UNSUBSCRIBE from {topic_filter!r}"
        if not clause.startswith("MQTT-4.8.2"):  # in 3.x nothing is special about `$share`
            yield malformed(subscribe, V34, packet(0x82, b"\x00\x01", raw, b"\x00"), clause)
            yield malformed(unsubscribe, V34, packet(0xA2, b"\x00\x01", raw), clause)
        yield malformed(subscribe, V5, packet(0x82, b"\x00\x01\x00", good, b"\x00", raw, b"\x00"), clause)
        yield malformed(unsubscribe, V5, packet(0xA2, b"\x00\x01\x00", good, raw), clause)


SPREAD_FAULTS = [
    *_reserved_flags(),
    *_first_packets(),
    *_packet_id_0(),
    *_bad_strings(),
    *_misplaced_properties(),
    *_unknown_properties(),
    *_duplicate_properties(),
    *_values_out_of_range(),
    *_cut_properties(),
    *_property_lengths(),
    *_reason_codes(),
    *_bad_filters(),
]
