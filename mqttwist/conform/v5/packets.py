"""2 MQTT Control Packet format."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import (
    AUTH,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
    frame,
)
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

# What follows the first byte of a PUBACK and the like, and the flags that these packets must have.
PACKET_ID: Final = b"\0\1"
FLAGS: Final = {
    CONNECT: 0, PUBACK: 0, PUBREC: 0, PUBREL: 2, PUBCOMP: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0,
    DISCONNECT: 0, AUTH: 0,
}  # fmt: skip
IDENTIFIERS: Final = (1, 2, 127, 128, 255, 256, 32_768, 65_534, 65_535)


def body(rig: Rig, packet_type: int) -> bytes:
    """What follows the fixed header of a packet that is right."""
    if packet_type == CONNECT:
        return raw.connect(rig.version, raw.string(rig.client_id().encode()))[2:]
    if packet_type == SUBSCRIBE:
        return raw.subscribe(rig.version, rig.topic().encode())[2:]
    if packet_type == UNSUBSCRIBE:
        return raw.unsubscribe(rig.version, rig.topic().encode())[2:]
    return PACKET_ID if PUBACK <= packet_type <= PUBCOMP else b""


@statement("MQTT-2.1.3-1")
def wrong_flags_close_the_connection(rig: Rig) -> None:
    """A packet whose reserved flags have another value than the one listed is malformed: each of them."""
    for packet_type, right in FLAGS.items():
        for flags in range(16):
            if flags == right:
                continue
            client = rig.open() if packet_type == CONNECT else rig.connect()
            client.send(frame(packet_type << 4 | flags, body(rig, packet_type)))
            with about(f"first byte 0x{packet_type << 4 | flags:02X}"):
                client.expect_closed()


@statement("MQTT-2.1.3-1")
def the_server_sets_the_flags_that_are_listed(rig: Rig) -> None:
    """The first bytes of all that the Server sends, but PUBLISH, have the flags that are listed."""
    client = rig.connect()
    client.subscribe(rig.topic(), qos=2)
    require_equal(client.packet_bytes[0], 0x90, "the first byte of SUBACK")
    client.unsubscribe(rig.topic("other"))
    require_equal(client.packet_bytes[0], 0xB0, "the first byte of UNSUBACK")
    client.send(PingReq())
    client.expect(PingResp)
    require_equal(client.packet_bytes, b"\xd0\0", "PINGRESP")
    client.send(Publish(rig.topic("other"), qos=1, packet_id=1))
    client.expect(PubAck)
    require_equal(client.packet_bytes[0], 0x40, "the first byte of PUBACK")
    client.send(Publish(rig.topic(), qos=2, packet_id=2))
    client.expect(PubRec)
    require_equal(client.packet_bytes[0], 0x50, "the first byte of PUBREC")
    client.send(PubRel(2))
    client.expect(PubComp)
    require_equal(client.packet_bytes[0], 0x70, "the first byte of PUBCOMP")
    client.send(PubRec(client.expect(Publish).packet_id))
    client.expect(PubRel)
    require_equal(client.packet_bytes[0], 0x62, "the first byte of PUBREL")


@statement("MQTT-2.2.1-2")
def a_message_of_qos_0_has_no_packet_identifier(rig: Rig) -> None:
    """A PUBLISH with QoS 0 goes to subscribers without a Packet Identifier, whatever its QoS was."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    for qos in (0, 1, 2):
        publisher.publish(rig.topic(), b"payload", qos)
        subscriber.expect(Publish)
        expected = raw.publish(rig.version, rig.topic().encode(), payload=b"payload")
        require_equal(subscriber.packet_bytes, expected, f"what was published with QoS {qos}")


@statement("MQTT-2.2.1-2")
def nothing_stands_before_the_properties_at_qos_0(rig: Rig) -> None:
    """What follows the Topic Name of a PUBLISH with QoS 0 is read as its properties."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    # As a Packet Identifier this would be 0x0001; it is no property, and the first byte of the payload.
    publisher.send(raw.publish(rig.version, rig.topic().encode(), payload=b"\1\0payload"))
    require_equal(subscriber.expect(Publish).payload, b"\1\0payload", "the payload")


@statement("MQTT-2.2.1-3")
def packet_identifier_0_closes_the_connection(rig: Rig) -> None:
    """A SUBSCRIBE, UNSUBSCRIBE, or PUBLISH with QoS 1 or 2, with the Packet Identifier 0 is refused."""
    topic = rig.topic().encode()
    zero = b"\0\0"
    for what, data in {
        "SUBSCRIBE": raw.subscribe(rig.version, topic, packet_id=zero),
        "UNSUBSCRIBE": raw.unsubscribe(rig.version, topic, packet_id=zero),
        "PUBLISH with QoS 1": raw.publish(rig.version, topic, flags=2, packet_id=zero),
        "PUBLISH with QoS 2": raw.publish(rig.version, topic, flags=4, packet_id=zero),
    }.items():
        client = rig.connect()
        client.send(data)
        with about(what):
            client.expect_closed()


@statement("MQTT-2.2.1-4")
def the_server_uses_no_packet_identifier_twice_at_a_time(rig: Rig) -> None:
    """All messages on their way to a client have different Packet Identifiers, none of which is 0."""
    subscriber, publisher = rig.connect(receive_maximum=100), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    used: set[int] = set()
    for number in range(20):  # Mosquitto, for one, has 20 messages on their way at most
        publisher.publish(rig.topic(), str(number).encode(), qos=1 + number % 2)
        publish = subscriber.expect(Publish)
        require(publish.packet_id not in used, f"Packet Identifier {publish.packet_id} is in use already")
        require(publish.packet_id > 0, "the Packet Identifier is 0")
        used.add(publish.packet_id)
        if publish.qos == 2:  # which it still is after PUBREC
            subscriber.send(PubRec(publish.packet_id))
            require_equal(subscriber.expect(PubRel).packet_id, publish.packet_id, "the one of PUBREL")


@statement("MQTT-2.2.1-4")
def packet_identifiers_of_both_directions_are_independent(rig: Rig) -> None:
    """A client may use the Packet Identifier of a message that is on its way to it."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), qos=1)
    packet_id = client.expect(Publish).packet_id
    client.send(Publish(rig.topic("other"), qos=2, packet_id=packet_id))
    require_equal(client.expect(PubRec).packet_id, packet_id, "the Packet Identifier of PUBREC")
    client.send(PubAck(packet_id))
    client.send(PubRel(packet_id))
    require_equal(client.expect(PubComp).packet_id, packet_id, "the Packet Identifier of PUBCOMP")
    client.expect_nothing()


@statement("MQTT-2.2.1-5")
def acknowledgements_have_the_packet_identifier_of_the_publish(rig: Rig) -> None:
    """PUBACK, PUBREC and PUBCOMP carry the Packet Identifier of the PUBLISH, low and high ones."""
    client = rig.connect()
    for packet_id in IDENTIFIERS:
        client.send(Publish(rig.topic(), qos=1, packet_id=packet_id))
        require_equal(client.expect(PubAck).packet_id, packet_id, "the Packet Identifier of PUBACK")
        client.send(Publish(rig.topic(), qos=2, packet_id=packet_id))
        require_equal(client.expect(PubRec).packet_id, packet_id, "the Packet Identifier of PUBREC")
        client.send(PubRel(packet_id))
        require_equal(client.expect(PubComp).packet_id, packet_id, "the Packet Identifier of PUBCOMP")
    client.expect_nothing()


@statement("MQTT-2.2.1-5")
def pubrel_has_the_packet_identifier_of_the_publish(rig: Rig) -> None:
    """PUBREL carries the Packet Identifier of its PUBLISH, of several at a time."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for _ in range(3):
        publisher.publish(rig.topic(), qos=2)
    packet_ids = [subscriber.expect(Publish).packet_id for _ in range(3)]
    for packet_id in reversed(packet_ids):
        subscriber.send(PubRec(packet_id))
        require_equal(subscriber.expect(PubRel).packet_id, packet_id, "the Packet Identifier of PUBREL")
    for packet_id in packet_ids:
        subscriber.send(PubComp(packet_id))
    subscriber.expect_nothing()


@statement("MQTT-2.2.1-6")
def suback_and_unsuback_have_the_packet_identifier_of_the_request(rig: Rig) -> None:
    """SUBACK and UNSUBACK carry the Packet Identifier of what they answer, low and high ones."""
    client = rig.connect()
    for packet_id in IDENTIFIERS:
        client.send(Subscribe(packet_id, [SubscriptionOptions(rig.topic())]))
        require_equal(client.expect(SubAck).packet_id, packet_id, "the Packet Identifier of SUBACK")
        client.send(Unsubscribe(packet_id, [rig.topic()]))
        require_equal(client.expect(UnsubAck).packet_id, packet_id, "the Packet Identifier of UNSUBACK")
    first, second = [SubscriptionOptions(rig.topic("a"))], [SubscriptionOptions(rig.topic("b"))]
    client.send(Subscribe(7, first), Subscribe(3, second), Unsubscribe(5, [rig.topic("a")]))
    require_equal([client.expect(SubAck).packet_id for _ in range(2)], [7, 3], "those of two SUBACKs")
    require_equal(client.expect(UnsubAck).packet_id, 5, "that of UNSUBACK")


@statement("MQTT-2.2.2-1")
def a_property_length_of_zero_says_that_there_are_none(rig: Rig) -> None:
    """A message without properties goes to subscribers with a Property Length of zero, at each QoS."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for qos in (0, 1, 2):
        publisher.publish(rig.topic(), b"payload", qos)
        publish = subscriber.message()
        packet_id = publish.packet_id.to_bytes(2, "big") if qos else b""
        expected = raw.publish(
            rig.version, rig.topic().encode(), flags=qos << 1, packet_id=packet_id, payload=b"payload"
        )
        require_equal(subscriber.packet_bytes, expected, f"the PUBLISH with QoS {qos}")


@statement("MQTT-2.2.2-1")
def answers_have_a_property_length(rig: Rig) -> None:
    """SUBACK and UNSUBACK without properties have a Property Length of zero before their Reason Codes."""
    client = rig.connect(request_problem_information=0)  # so that the Server adds none of its own
    client.subscribe(rig.topic())
    require_equal(client.packet_bytes, b"\x90\4\0\1\0\0", "SUBACK")
    client.unsubscribe(rig.topic())
    require_equal(client.packet_bytes, b"\xb0\4\0\2\0\0", "UNSUBACK")


@statement("MQTT-2.2.2-1")
def a_packet_without_property_length_is_malformed(rig: Rig) -> None:
    """A PUBLISH or SUBSCRIBE that ends where its Property Length must be closes the connection."""
    topic = raw.string(rig.topic().encode())
    will = raw.string(rig.client_id().encode())
    for what, data in {
        "PUBLISH": frame(0x30, topic),
        "PUBLISH with QoS 1": frame(0x32, topic + PACKET_ID),
        "SUBSCRIBE": frame(0x82, PACKET_ID),
        "UNSUBSCRIBE": frame(0xA2, PACKET_ID),
        "CONNECT": frame(0x10, raw.string(b"MQTT") + b"\5\2\0\0"),
        "CONNECT, in the Will": raw.connect(5, will, raw.CLEAN_START | raw.WILL_FLAG),
    }.items():
        client = rig.open() if "CONNECT" in what else rig.connect()
        client.send(data)
        with about(what):
            client.expect_closed()
