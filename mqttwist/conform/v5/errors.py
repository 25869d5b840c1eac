"""4.13 Handling errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.acknowledge import PubRec
from mqttwist.wire.connect import Will
from mqttwist.wire.packet import CONNACK, MQTT_5, PINGRESP, SUBACK, UNSUBACK, frame
from mqttwist.wire.publish import Publish

Fault = Callable[[bytes], bytes]  # from a topic to a packet, or to the beginning of one


def _publish(properties: bytes, flags: int = 0, packet_id: bytes = b"") -> Fault:
    return lambda topic: raw.publish(MQTT_5, topic, properties, flags, packet_id)


def _subscribe(options: int = 0, properties: bytes = b"", prefix: bytes = b"") -> Fault:
    return lambda topic: raw.subscribe(MQTT_5, prefix + topic, options, properties)


def _only(data: bytes) -> Fault:
    return lambda topic: data


_LATIN: Final = b"\xe9"
_CONTENT_TYPE: Final = b"\x03\0\1a"
_IDENTIFIER: Final = b"\x0b\1"

# What an accepted client must not send.
MALFORMED: Final[dict[str, Fault]] = {
    "packet type 0": _only(b"\0\0"),
    "PUBLISH with QoS 3": _publish(b"", 6, b"\0\1"),
    "SUBSCRIBE with flags 0000": lambda topic: frame(0x80, raw.subscribe(MQTT_5, topic)[2:]),
    "UNSUBSCRIBE with flags 0000": lambda topic: frame(0xA0, raw.unsubscribe(MQTT_5, topic)[2:]),
    "PUBREL with flags 0000": _only(b"\x60\2\0\1"),
    "DISCONNECT with flags 0001": _only(b"\xe1\0"),
    "a Remaining Length of five bytes": _only(b"\x30\xff\xff\xff\xff\x01"),
    "reserved bits in Subscription Options": _subscribe(0xC0),
    "an unknown property": _publish(b"\x7f\0"),
    "a property of another packet": _publish(b"\x21\0\1"),
    "a property that ends too soon": _publish(b"\x02\0\0"),
    "a Property Length beyond the packet": lambda topic: frame(0x30, raw.string(topic) + b"\x7f\x01\0"),
    "a string beyond the packet": _only(b"\x30\5\0\x50abc"),
    "a Topic Name that is no UTF-8": lambda topic: raw.publish(MQTT_5, topic + _LATIN),
    "a Topic Filter that is no UTF-8": lambda topic: raw.subscribe(MQTT_5, topic + _LATIN),
    "a Content Type that is no UTF-8": _publish(b"\x03" + raw.string(_LATIN)),
    "a Packet Identifier that is cut off": _only(b"\x40\1\0"),
}
PROTOCOL_ERRORS: Final[dict[str, Fault]] = {
    "a second CONNECT": lambda topic: raw.connect(MQTT_5, raw.string(b"second")),
    "AUTH without a method in CONNECT": _only(frame(0xF0, b"\x18\4\x15\0\1m")),
    "a property twice": _publish(_CONTENT_TYPE * 2),
    "a Topic Name without a character, or an alias": _only(b"\x30\3\0\0\0"),
    "Packet Identifier 0": _publish(b"", 2, b"\0\0"),
    "SUBSCRIBE without a Topic Filter": _only(b"\x82\3\0\1\0"),
    "UNSUBSCRIBE without a Topic Filter": _only(b"\xa2\3\0\1\0"),
    "Requested QoS 3": _subscribe(3),
    "Retain Handling 3": _subscribe(0x30),
    "No Local on a Shared Subscription": _subscribe(4, prefix=b"$share/group/"),
    "Subscription Identifier 0": _subscribe(0, b"\x0b\0"),
    "two Subscription Identifiers": _subscribe(0, _IDENTIFIER * 2),
    "a Reason String twice": _only(frame(0x40, b"\0\1\0\x08" + b"\x1f\0\1a" * 2)),
}
OF_SERVERS: Final[dict[str, Fault]] = {
    "CONNACK": _only(frame(CONNACK << 4, b"\0\0\0")),
    "SUBACK": _only(frame(SUBACK << 4, b"\0\1\0\0")),
    "UNSUBACK": _only(frame(UNSUBACK << 4, b"\0\1\0\0")),
    "PINGRESP": _only(frame(PINGRESP << 4, b"")),
}
IN_CONNECT: Final[dict[str, bytes]] = {
    "the reserved flag": raw.connect(MQTT_5, raw.string(b"id"), 0x03),
    "Will QoS 3": raw.connect(MQTT_5, raw.string(b"id") + b"\0\0\1w\0\0", 0x1E),
    "Will QoS 1 without a Will": raw.connect(MQTT_5, raw.string(b"id"), 0x0A),
    "Will Retain without a Will": raw.connect(MQTT_5, raw.string(b"id"), 0x22),
    "a Client Identifier that is no UTF-8": raw.connect(MQTT_5, raw.string(_LATIN)),
    "no Client Identifier": raw.connect(MQTT_5, b""),
    "flags 0001": raw.connect(MQTT_5, raw.string(b"id"), first_byte=0x11),
    "Receive Maximum 0": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x21\0\0"),
    "Maximum Packet Size 0": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x27\0\0\0\0"),
    "a Receive Maximum twice": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x21\0\1" * 2),
    "Request Problem Information 2": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x17\2"),
    "Authentication Data alone": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x16\0\1a"),
    "a property of another packet": raw.connect(MQTT_5, raw.string(b"id"), properties=b"\x23\0\1"),
}


def is_unharmed(rig: Rig, client: Client, message: bytes) -> None:
    """`client`, which subscribes to "other", goes on: it publishes, and is sent its message."""
    client.publish(rig.topic("other"), message, 1)
    require_equal(client.message().payload, message, "what another client was sent")


def closes_the_connection(rig: Rig, faults: dict[str, Fault]) -> None:
    """Each of `faults` closes the connection, has no effect itself, and harms no other client."""
    other, publisher = rig.connect(), rig.connect()
    other.subscribe(rig.topic("other"), qos=1)
    watcher = rig.connect()
    watcher.subscribe(rig.topic("#"), qos=1)
    for what, fault in faults.items():
        client = rig.connect()
        client.send(fault(rig.topic().encode()))
        with about(what):
            client.expect_closed(0x81, 0x82)
            publisher.publish(rig.topic("other"), what.encode(), 1)
            for receiver in (other, watcher):
                require_equal(receiver.message().payload, what.encode(), "what another client was sent")
                receiver.expect_nothing()


@statement("MQTT-4.13.1-1")
def malformed_packets_close_the_connection(rig: Rig) -> None:
    """A Malformed Packet of whichever kind closes the connection, and has no consequences for others."""
    closes_the_connection(rig, MALFORMED)


@statement("MQTT-4.13.1-1")
def protocol_errors_close_the_connection(rig: Rig) -> None:
    """A Protocol Error of whichever kind closes the connection, and has no consequences for others."""
    closes_the_connection(rig, PROTOCOL_ERRORS)


@statement("MQTT-4.13.1-1")
def packets_of_servers_close_the_connection(rig: Rig) -> None:
    """A packet that only Servers send closes the connection of the client that sends it, and no other."""
    closes_the_connection(rig, OF_SERVERS)


@statement("MQTT-4.13.1-1")
def a_session_expiry_interval_where_connect_had_none_is_no_disconnect(rig: Rig) -> None:
    """DISCONNECT that sets a Session Expiry Interval after none or 0 is a Protocol Error, and no goodbye."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic("will"), qos=1)
    for before in (None, 0):
        for interval in (b"\0\0\0\1", b"\0\0\x10\0", b"\xff\xff\xff\xff"):
            will = Will(rig.topic("will"), b"bye", 1)
            client = rig.connect(will=will, session_expiry_interval=before)
            client.send(frame(0xE0, b"\0\5\x11" + interval))
            with about(f"{interval!r} after {before}"):
                client.expect_closed(0x82)
                require_equal(watcher.message().payload, b"bye", "the payload of the Will")
                client = rig.connect(client.client_id, clean_start=False)
                require(not client.connack.session_present, "the session was kept")


@statement("MQTT-4.13.1-1")
def an_error_in_connect_closes_the_connection(rig: Rig) -> None:
    """An error in CONNECT closes the connection, after CONNACK with 0x80 and above or without a word."""
    other = rig.connect()
    other.subscribe(rig.topic("other"), qos=1)
    for what, data in IN_CONNECT.items():
        client = rig.open()
        client.send(data)
        with about(what):
            client.expect_closed(0x81, 0x82)
            is_unharmed(rig, other, what.encode())


@statement("MQTT-4.13.1-1", receive_maximum=5, maximum_packet_size=1024)
def more_than_the_server_takes_closes_the_connection(rig: Rig) -> None:
    """A packet that is too large closes the connection with 0x95, a message too many with 0x93."""
    client, other = rig.connect(), rig.connect()
    limits = client.connack.properties
    if limits.maximum_packet_size is None or limits.maximum_packet_size > 1 << 20:
        raise NotApplicable("the Server takes large packets")
    other.subscribe(rig.topic("other"), qos=1)
    client.send(Publish(rig.topic(), bytes(limits.maximum_packet_size)))
    client.expect_closed(0x95)
    is_unharmed(rig, other, b"too large")
    client = rig.connect()
    for packet_id in range(1, (limits.receive_maximum or 65_535) + 1):
        client.send(Publish(rig.topic(), b"", 2, packet_id=packet_id))
        client.expect(PubRec)
    client.send(Publish(rig.topic(), b"", 2, packet_id=65_535))
    client.expect_closed(0x93)
    is_unharmed(rig, other, b"too many")


@statement("MQTT-4.13.1-1", maximum_qos=1, retain_available=0, topic_alias_maximum=0)
def what_the_server_does_not_support_closes_the_connection(rig: Rig) -> None:
    """A QoS, RETAIN or Topic Alias that the Server has ruled out closes the connection with its own code."""
    limits = rig.connect().connack.properties
    faults = {
        0x9B: Publish(rig.topic(), b"", 2, packet_id=1) if limits.maximum_qos is not None else None,
        0x9A: Publish(rig.topic(), b"", retain=True) if limits.retain_available == 0 else None,
        0x94: None if limits.topic_alias_maximum else raw.publish(MQTT_5, rig.topic().encode(), b"\x23\0\1"),
    }
    if not any(faults.values()):
        raise NotApplicable("the Server supports all that there is")
    other = rig.connect()
    other.subscribe(rig.topic("other"), qos=1)
    for reason_code, fault in faults.items():
        if fault is not None:
            client = rig.connect()
            client.send(fault)
            client.expect_closed(reason_code)
            is_unharmed(rig, other, f"0x{reason_code:02X}".encode())


@statement("MQTT-4.13.2-1")
def a_reason_code_of_an_error_closes_the_connection(rig: Rig) -> None:
    """CONNACK or DISCONNECT with 0x80 and above is the last that comes, though more was asked for at once."""
    after = raw.subscribe(MQTT_5, rig.topic().encode(), 1) + b"\xc0\0" * 3
    other = rig.connect()
    other.subscribe(rig.topic("other"), qos=1)
    for what, fault in MALFORMED.items():
        client = rig.connect()
        client.send(fault(rig.topic().encode()) + after)
        with about(what):
            goodbye = client.expect_closed(0x81, 0x82)
            require(goodbye is None or goodbye.reason_code >= 0x80, f"expected an error, got {goodbye}")
    for what in ("the reserved flag", "Will QoS 3", "Receive Maximum 0", "Maximum Packet Size 0"):
        client = rig.open()
        client.send(IN_CONNECT[what] + after)
        with about(what):
            client.expect_closed(0x81, 0x82)
    is_unharmed(rig, other, b"after all")


@statement("MQTT-4.13.2-1")
def a_disconnect_of_a_client_with_an_error_closes_the_connection(rig: Rig) -> None:
    """DISCONNECT of a client with 0x80 and above closes the connection, and nobody else's."""
    other = rig.connect()
    other.subscribe(rig.topic("other"), qos=1)
    for reason_code in (0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
        client = rig.connect()
        client.send(bytes((0xE0, 1, reason_code)))
        with about(f"Reason Code 0x{reason_code:02X}"):
            require(client.expect_closed() is None, "expected no answer to DISCONNECT")
            is_unharmed(rig, other, b"payload")
