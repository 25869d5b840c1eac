"""2 MQTT Control Packet format."""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import packets
from mqttwist.conform.v5.packets import FLAGS, body
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import AUTH, CONNECT, frame
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import UnsubAck

statement("MQTT-2.3.1-1")(packets.packet_identifier_0_closes_the_connection)
statement("MQTT-2.3.1-4")(packets.packet_identifiers_of_both_directions_are_independent)
statement("MQTT-2.3.1-5")(packets.a_message_of_qos_0_has_no_packet_identifier)
statement("MQTT-2.3.1-6")(packets.acknowledgements_have_the_packet_identifier_of_the_publish)
statement("MQTT-2.3.1-6")(packets.pubrel_has_the_packet_identifier_of_the_publish)
statement("MQTT-2.3.1-7", "MQTT-3.8.4-2", "MQTT-3.10.4-4")(
    packets.suback_and_unsuback_have_the_packet_identifier_of_the_request
)
statement("MQTT-2.3.1-4")(packets.the_server_uses_no_packet_identifier_twice_at_a_time)


def came_as(client: Client, wanted: bytes, what: str) -> None:
    """The packet that was expected last came as `wanted`, to the byte."""
    require_equal(client.packet_bytes, wanted, what)


@statement("MQTT-2.2.2-1")
def the_server_sets_the_flags_that_are_listed(rig: Rig) -> None:
    """What the Server sends, but PUBLISH, comes with the flags that are listed, and of the listed length."""
    client = rig.connect()
    came_as(client, b"\x20\2\0\0", "CONNACK")
    client.subscribe(rig.topic(), qos=2)
    came_as(client, b"\x90\3\0\1\2", "SUBACK")
    client.unsubscribe(rig.topic("other"))
    came_as(client, b"\xb0\2\0\2", "UNSUBACK")
    client.send(PingReq())
    client.expect(PingResp)
    came_as(client, b"\xd0\0", "PINGRESP")
    client.send(Publish(rig.topic("other"), qos=1, packet_id=0x1234))
    client.expect(PubAck)
    came_as(client, b"\x40\2\x12\x34", "PUBACK")
    client.send(Publish(rig.topic(), qos=2, packet_id=0x1235))
    client.expect(PubRec)
    came_as(client, b"\x50\2\x12\x35", "PUBREC")
    client.send(PubRel(0x1235))
    client.expect(PubComp)
    came_as(client, b"\x70\2\x12\x35", "PUBCOMP")
    packet_id = client.expect(Publish).packet_id
    client.send(PubRec(packet_id))
    client.expect(PubRel)
    came_as(client, b"\x62\2" + packet_id.to_bytes(2, "big"), "PUBREL")


@statement("MQTT-2.2.2-2")
def wrong_flags_close_the_connection(rig: Rig) -> None:
    """A packet whose reserved flags have another value than the one listed closes the connection: each."""
    rig.connect()
    for packet_type, right in FLAGS.items():
        if packet_type == AUTH:  # which 3.1.1 does not have
            continue
        for flags in range(16):
            if flags == right:
                continue
            client = rig.open() if packet_type == CONNECT else rig.connect()
            client.send(frame(packet_type << 4 | flags, body(rig, packet_type)))
            with about(f"first byte 0x{packet_type << 4 | flags:02X}"):
                require(client.expect_closed() is None, "the Server answered")


@statement("MQTT-2.3.1-4")
def what_is_sent_again_has_its_packet_identifier(rig: Rig) -> None:
    """A PUBLISH that is sent again has the Packet Identifier that it had, at QoS 1 and 2, among others."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    for number in range(6):
        publisher.publish(rig.topic(), str(number).encode(), qos=1 + number % 2)
    rig.settle(publisher)
    first = [client.expect(Publish) for _ in range(6)]
    for publish in (first.pop(1), first.pop(2)):
        client.confirm(publish)
    client.expect_nothing()
    client.drop()
    client = rig.connect(client.client_id, persistent=True)
    again = [client.expect(Publish) for _ in first]
    said = [(publish.payload, publish.packet_id) for publish in again]
    require_equal(said, [(publish.payload, publish.packet_id) for publish in first], "what is sent again")
    client.expect_nothing()


@statement("MQTT-2.3.1-5")
def nothing_stands_before_the_payload_at_qos_0(rig: Rig) -> None:
    """What follows the Topic Name of a PUBLISH with QoS 0 is its payload, not a Packet Identifier."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    for payload in (b"\0\1payload", b"\0\0", b"\7", b""):
        publisher.send(raw.publish(rig.version, rig.topic().encode(), payload=payload))
        require_equal(subscriber.expect(Publish).payload, payload, "the payload")


@statement("MQTT-2.3.1-7")
def unsuback_is_a_packet_identifier_and_no_more(rig: Rig) -> None:
    """UNSUBACK has the Packet Identifier of UNSUBSCRIBE and nothing after it, of however many filters."""
    client = rig.connect()
    client.subscribe(rig.topic("b"))
    filters = b"".join([raw.string(rig.topic(label).encode()) for label in ("a", "b", "c")])
    client.send(frame(0xA2, b"\xab\xcd" + filters))
    client.expect_next(UnsubAck)
    came_as(client, b"\xb0\2\xab\xcd", "UNSUBACK")
