"""4.8 Handling errors, and 7 Conformance."""

from __future__ import annotations

from collections.abc import Mapping

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import frame
from mqttwist.wire.publish import Publish


def faults(rig: Rig) -> Mapping[str, bytes]:
    """What no client may send, one for each kind of fault."""
    topic = raw.string(rig.topic().encode())
    return {
        "the packet type 0": b"\0\0",
        "the packet type 15": b"\xf0\0",
        "the packet type 15 with a body": b"\xf0\2\x18\0",
        "CONNACK": b"\x20\2\0\0",
        "SUBACK": b"\x90\3\0\1\0",
        "UNSUBACK": b"\xb0\2\0\1",
        "PINGRESP": b"\xd0\0",
        "a second CONNECT": rig.connect_packet().encode(),
        "PUBLISH with QoS 3": raw.publish(rig.version, rig.topic().encode(), b"", 6, b"\0\1"),
        "PUBLISH without a Packet Identifier": frame(0x32, topic),
        "PUBLISH with half a Packet Identifier": frame(0x32, topic + b"\0"),
        "PUBLISH to a wildcard": raw.publish(rig.version, rig.topic("#").encode()),
        "PUBLISH without a Topic Name": b"\x30\0",
        "PUBACK without a Packet Identifier": b"\x40\0",
        "PUBREC with half a Packet Identifier": b"\x50\1\0",
        "PUBREL without a Packet Identifier": b"\x62\0",
        "PUBREL with wrong flags": b"\x60\2\0\1",
        "PUBCOMP without a Packet Identifier": b"\x70\0",
        "SUBSCRIBE without a Topic Filter": b"\x82\2\0\1",
        "SUBSCRIBE with QoS 3": raw.subscribe(rig.version, rig.topic().encode(), 3),
        "SUBSCRIBE with the Packet Identifier 0": raw.subscribe(
            rig.version, rig.topic().encode(), 0, packet_id=b"\0\0"
        ),
        "UNSUBSCRIBE without a Topic Filter": b"\xa2\2\0\1",
        "a Remaining Length of five bytes": b"\x30\xff\xff\xff\xff\x01",
        "U+0000 in a Topic Name": raw.publish(rig.version, b"a\0b"),
    }


def longer(rig: Rig) -> Mapping[str, bytes]:
    """Packets with bytes after their end."""
    return {
        "PUBACK": b"\x40\3\0\1\0",
        "PUBREC": b"\x50\4\0\1\0\0",
        "PUBREL": b"\x62\3\0\1\0",
        "PUBCOMP": b"\x70\3\0\1\0",
        "PINGREQ": b"\xc0\1\0",
        "DISCONNECT": b"\xe0\1\0",
        "DISCONNECT as MQTT 5.0 has it": b"\xe0\2\x04\0",
        "SUBSCRIBE": frame(0x82, b"\0\1" + raw.string(rig.topic().encode()) + b"\0\0"),
        "UNSUBSCRIBE": frame(0xA2, b"\0\1" + raw.string(rig.topic().encode()) + b"\0"),
    }


def each_closes(rig: Rig, packets: Mapping[str, bytes]) -> None:
    """Each of the packets closes the connection on which it came, and no other; what follows is not read."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic(), qos=1)
    late = Publish(rig.topic(), b"late", 1, packet_id=9).encode(rig.version)
    for what, data in packets.items():
        client = rig.connect()
        client.send(data + late)
        with about(what):
            client.expect_closed()
            watcher.expect_nothing()
    rig.reaches(watcher)


@statement("MQTT-4.8.0-1")
def a_protocol_violation_closes_the_connection(rig: Rig) -> None:
    """A packet that breaks the protocol closes its connection without a word; others are not touched."""
    each_closes(rig, faults(rig))


@statement("MQTT-4.8.0-1")
def a_packet_with_more_than_belongs_to_it_closes_the_connection(rig: Rig) -> None:
    """A packet that goes on after its end closes its connection without a word; others are not touched."""
    each_closes(rig, longer(rig))


@statement("MQTT-4.8.0-1")
def a_violation_takes_back_nothing(rig: Rig) -> None:
    """What came before a violation, in the same piece, has been done."""
    watcher, client = rig.connect(), rig.connect()
    watcher.subscribe(rig.topic(), qos=1)
    client.send(Publish(rig.topic(), b"one"), Publish(rig.topic(), b"two"), b"\0\0")
    client.expect_closed()
    require_equal([watcher.message().payload for _ in range(2)], [b"one", b"two"], "what came before")
    watcher.expect_nothing()


def whole_conversation(rig: Rig, client: Client) -> None:
    """All that a client of 3.1.1 can do, with no more than the specification has."""
    client.subscribe(rig.topic(), qos=2)
    for qos in (0, 1, 2):
        client.publish(rig.topic(), str(qos).encode(), qos)
        require_equal(client.message().payload, str(qos).encode(), "the payload")
    client.unsubscribe(rig.topic())
    client.send(PingReq())
    client.expect(PingResp)
    client.expect_nothing()
    client.disconnect()


@statement("MQTT-7.0.0-2")
def no_extension_is_needed(rig: Rig) -> None:
    """A client that has nothing but a Client Identifier can do all there is, without any extension."""
    client_id = rig.client_id()
    for persistent in (False, True):
        for number in (1, 2):
            client = rig.connect(client_id, persistent=persistent)
            with about(f"Clean Session {int(not persistent)}, connection {number}"):
                whole_conversation(rig, client)
