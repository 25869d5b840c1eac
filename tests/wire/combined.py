"""The vectors that are right and come from the tables: properties, Reason Codes and flags in all places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Auth, Disconnect
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck
from tests.wire import tables
from tests.wire.building import (
    ALL,
    CARRIERS,
    CLIENT,
    SERVER,
    V5,
    V34,
    AnyPacket,
    Valid,
    encode_value,
    field,
    packet,
    property_list,
)
from tests.wire.tables import PropertyRow

_METHOD = "SCRAM-SHA-1"
_TEXTS = ("", "text", "\ufeffgr\u00f6\u00dfe \u20ac \U0001d11e")
_BINARIES = (b"", b"\x00\xff\xc0\x80")
_PAIRS = (("", ""), ("name", "value"), ("n\u00e4me", ""))


def values_of(row: PropertyRow) -> Sequence[object]:
    """Values that are right for a property, those at the limits among them."""
    if row.valid is not None:
        least, greatest = row.valid
        candidates = {least, least + 1, 127, 128, 16_383, 16_384, greatest}
        return sorted(value for value in candidates if least <= value <= greatest)
    if row.name == "response_topic":
        return [text for text in _TEXTS if text]
    if row.type == tables.STRING:
        return list(_TEXTS)
    return list(_BINARIES) if row.type == tables.BINARY else list(_PAIRS)


def _properties(row: PropertyRow, values: Sequence[object], carrier: int) -> Properties:
    """The properties as an object: `values` for `row`, and what has to be there besides."""
    properties = Properties()
    if _needs_method(row, carrier):
        properties.authentication_method = _METHOD
    repeatable = row.name in ("user_properties", "subscription_identifiers")
    setattr(properties, row.name, tuple(values) if repeatable else values[0])
    return properties


def _needs_method(row: PropertyRow, carrier: int) -> bool:
    if row.name == "authentication_method":
        return False
    return carrier == tables.AUTH or (carrier == tables.CONNECT and row.name == "authentication_data")


def with_property(row: PropertyRow, values: Sequence[object], carrier: int) -> tuple[bytes, AnyPacket]:
    """The packet `carrier` with one property, or several times the same, as bytes and as an object."""
    method = b"\x15" + field(_METHOD.encode()) if _needs_method(row, carrier) else b""
    encoded = b"".join(encode_value(row, value) for value in values)
    kind = CARRIERS[carrier]
    return kind.data(property_list(method, encoded)), kind.packet(_properties(row, values, carrier))


def _sender(row: PropertyRow, carrier: int) -> str:
    """Who alone may send `row` in a packet that both may send."""
    if carrier == tables.PUBLISH and row.name == "subscription_identifiers":
        return SERVER  # [MQTT-3.3.4-6]
    if carrier == tables.DISCONNECT and row.name == "session_expiry_interval":
        return CLIENT  # [MQTT-3.14.2-2]
    return SERVER if carrier == tables.DISCONNECT and row.name == "server_reference" else ""


def _single_properties() -> Iterator[Valid]:
    for row in tables.PROPERTIES:
        for carrier in sorted(row.packets):
            for value in values_of(row):
                data, decoded = with_property(row, [value], carrier)
                shown = repr(value) if len(repr(value)) < 30 else "..."
                name = f"{CARRIERS[carrier].name} with {row.name} {shown}"
                yield Valid(name, V5, data, decoded, sender=_sender(row, carrier))


def _repeated_properties() -> Iterator[Valid]:
    """A property that may repeat keeps its order, and the same value may come twice."""
    for row in tables.PROPERTIES:
        for carrier in sorted(row.repeats):
            values = [*reversed(values_of(row)), values_of(row)[0]]
            data, decoded = with_property(row, values, carrier)
            name = f"{CARRIERS[carrier].name} with {row.name} {len(values)} times"
            yield Valid(name, V5, data, decoded, sender=_sender(row, carrier))


def _all_properties() -> Iterator[Valid]:
    """Every property that a packet may have, all at once, from the highest identifier down."""
    for carrier, kind in CARRIERS.items():
        properties = Properties()
        parts = []
        for row in reversed(tables.PROPERTIES):
            if carrier in row.packets:
                value = values_of(row)[-1]
                parts.append(encode_value(row, value))
                repeatable = row.name in ("user_properties", "subscription_identifiers")
                setattr(properties, row.name, (value,) if repeatable else value)
        sender = SERVER if carrier in (tables.PUBLISH, tables.DISCONNECT) else ""
        name = f"{kind.name} with every property"
        data = kind.data(property_list(*parts))
        yield Valid(name, V5, data, kind.packet(properties), canonical=len(parts) < 2, sender=sender)


def _reason_codes() -> Iterator[Valid]:
    """Every Reason Code in every packet that may carry it."""
    method = property_list(b"\x15" + field(b"M"))
    for code in tables.reason_codes_of(tables.CONNACK):
        data = packet(0x20, bytes([0, code]), b"\x00")
        yield Valid(f"CONNACK with 0x{code:02X}", V5, data, ConnAck(False, code))
    for first_byte, kind in ((0x40, PubAck), (0x50, PubRec), (0x62, PubRel), (0x70, PubComp)):
        for code in tables.reason_codes_of(first_byte >> 4):
            data = packet(first_byte, b"\x00\x01", bytes([code]), b"\x00")
            yield Valid(f"{kind.__name__} with 0x{code:02X}", V5, data, kind(1, code, Properties()))
    codes = tables.reason_codes_of(tables.SUBACK)
    data = packet(0x90, b"\x00\x01\x00", bytes(codes))
    yield Valid("SUBACK with every Reason Code", V5, data, SubAck(1, codes, Properties()))
    codes = tables.reason_codes_of(tables.UNSUBACK)
    data = packet(0xB0, b"\x00\x01\x00", bytes(codes))
    yield Valid("UNSUBACK with every Reason Code", V5, data, UnsubAck(1, codes, Properties()))
    for code in tables.reason_codes_of(tables.DISCONNECT):
        data = packet(0xE0, bytes([code]), property_list(b"\x1f" + field(b"why")))
        decoded = Disconnect(code, Properties(reason_string="why"))
        yield Valid(f"DISCONNECT with 0x{code:02X}", V5, data, decoded)
    for code in tables.reason_codes_of(tables.AUTH):
        decoded_auth = Auth(code, Properties(authentication_method="M"))
        yield Valid(f"AUTH with 0x{code:02X}", V5, packet(0xF0, bytes([code]), method), decoded_auth)


def _flags_of_publish() -> Iterator[Valid]:
    """All eleven settings of DUP, QoS and RETAIN that there are."""
    for flags in range(16):
        qos, dup, retain = flags >> 1 & 3, bool(flags & 8), bool(flags & 1)
        if qos == 3 or (dup and not qos):
            continue
        packet_id = b"\x12\x34" if qos else b""
        decoded = Publish("t", b"\x00", qos, retain, packet_id=0x1234 if qos else 0, dup=dup)
        for versions, properties in ((V34, b""), (V5, b"\x00")):
            data = packet(0x30 | flags, field(b"t"), packet_id, properties, b"\x00")
            yield Valid(f"PUBLISH with flags 0x{flags:X}", versions, data, decoded)


def _flags_of_connect() -> Iterator[Valid]:
    """All Connect Flags that are right in 3.1.1 and 5.0."""
    for flags in range(0, 256, 2):
        has_will, qos = bool(flags & 4), flags >> 3 & 3
        if qos == 3 or (not has_will and flags & 0x38):
            continue
        username = "u" if flags & 0x80 else None
        password = b"p" if flags & 0x40 else None
        will = Will("w", b"", qos, bool(flags & 0x20)) if has_will else None
        tail = (field(b"u") if flags & 0x80 else b"") + (field(b"p") if flags & 0x40 else b"")
        for version in (4, 5):
            if version == 4 and password and not username:
                continue
            properties = b"\x00" if version == 5 else b""
            payload = field(b"c") + (properties + field(b"w") + field(b"") if has_will else b"") + tail
            data = packet(0x10, field(b"MQTT"), bytes([version, flags, 0, 0]), properties, payload)
            decoded = Connect("c", version, bool(flags & 2), 0, will, username, password)
            yield Valid(f"CONNECT with flags 0x{flags:02X}", (version,), data, decoded)


def _subscription_options() -> Iterator[Valid]:
    """All Subscription Options of 5.0, and all requested QoS of 3.x."""
    for options in range(0x30):
        qos, no_local, as_published, handling = options & 3, options & 4, options & 8, options >> 4
        if qos != 3:
            subscription = SubscriptionOptions("t", qos, bool(no_local), bool(as_published), handling)
            data = packet(0x82, b"\x00\x01\x00", field(b"t"), bytes([options]))
            decoded = Subscribe(1, [subscription], Properties())
            yield Valid(f"SUBSCRIBE with options 0x{options:02X}", V5, data, decoded)
    for qos in range(3):
        data = packet(0x82, b"\x00\x01", field(b"t"), bytes([qos]))
        yield Valid(f"SUBSCRIBE at QoS {qos}", V34, data, Subscribe(1, [SubscriptionOptions("t", qos)]))


def _packet_ids() -> Iterator[Valid]:
    """The least and the greatest Packet Identifier, and one that needs both bytes."""
    for first_byte, kind in ((0x40, PubAck), (0x50, PubRec), (0x62, PubRel), (0x70, PubComp)):
        for packet_id in (1, 0x0102, 0xFFFF):
            data = packet(first_byte, packet_id.to_bytes(2, "big"))
            yield Valid(f"{kind.__name__} of {packet_id}", ALL, data, kind(packet_id))


FROM_TABLES = [
    *_single_properties(),
    *_repeated_properties(),
    *_all_properties(),
    *_reason_codes(),
    *_flags_of_publish(),
    *_flags_of_connect(),
    *_subscription_options(),
    *_packet_ids(),
]
