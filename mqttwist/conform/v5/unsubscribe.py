"""3.10 UNSUBSCRIBE."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL, refused_wherever_a_string_stands
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubComp, PubRec, PubRel
from mqttwist.wire.packet import UNSUBSCRIBE, frame
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import UnsubAck, Unsubscribe

HEAD: Final = b"\0\1\0"  # Packet Identifier 1, no properties
LABELS: Final = ("a/b", "a/+", "+/b", "a/#", "#", "+/+", "A/b", "a/b/", "/a/b", "é", "e\u0301", "a/b ")


def unsubscribe_from(client: Client, *topic_filters: str) -> list[int]:
    """Send one UNSUBSCRIBE for all `topic_filters`: the Reason Codes of its UNSUBACK."""
    packet_id = client.next_packet_id()
    client.send(Unsubscribe(packet_id, list(topic_filters)))
    unsuback = client.expect(UnsubAck)
    require_equal(unsuback.packet_id, packet_id, "the Packet Identifier of UNSUBACK")
    return unsuback.reason_codes


@statement("MQTT-3.10.1-1")
def unsubscribe_with_other_flags_closes_the_connection(rig: Rig) -> None:
    """UNSUBSCRIBE with other flags than 0010 closes the connection, and the subscription stays."""
    publisher = rig.connect()
    body = raw.unsubscribe(rig.version, rig.topic().encode())[2:]
    for flags in {*range(16)} - {2}:
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=1)
        client.send(frame(UNSUBSCRIBE << 4 | flags, body))
        with about(f"flags 0x{flags:X}"):
            client.expect_closed(0x81)
            publisher.publish(rig.topic(), b"payload", 1)
            client = rig.connect(client.client_id, clean_start=False)
            require_equal(client.message().payload, b"payload", "the payload")
        client.disconnect()


@statement("MQTT-3.10.3-1")
def the_topic_filter_of_unsubscribe_is_utf_8(rig: Rig) -> None:
    """A Topic Filter of UNSUBSCRIBE that is ill-formed UTF-8, or has U+0000, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Topic Filter of UNSUBSCRIBE")
    first = b"\0\1" + raw.listed(rig.version) + raw.string(rig.topic().encode())
    for what, text in (ILL_FORMED | NULL).items():
        client = rig.connect()
        client.send(frame(0xA2, first + raw.string(text)))
        with about(f"{what}, after a right Topic Filter"):
            client.expect_closed(0x81, 0x82)


@statement("MQTT-3.10.3-2")
def unsubscribe_has_a_topic_filter(rig: Rig) -> None:
    """UNSUBSCRIBE without a Topic Filter, or with a part of one, closes the connection."""
    topic = raw.string(rig.topic().encode())
    user_property = b"\0\1\7\x26\0\1a\0\1b"
    for body in (HEAD, user_property, HEAD + topic[:-1], HEAD + topic[:1], HEAD + topic + topic[:3]):
        client = rig.connect()
        client.send(frame(0xA2, body))
        with about(f"UNSUBSCRIBE with {body!r}"):
            client.expect_closed(0x81, 0x82)


@statement("MQTT-3.10.4-1")
def topic_filters_are_compared_character_by_character(rig: Rig) -> None:
    """UNSUBSCRIBE deletes the subscription with the very Topic Filter, and none that only matches it."""
    for gone in LABELS:
        client = rig.connect()
        for number, label in enumerate(LABELS, 1):
            client.subscribe(rig.topic(label), identifier=number)
        require_equal(unsubscribe_from(client, rig.topic(gone)), [0], f"what {gone!r} is answered")
        left = [label for label in LABELS if label != gone]
        require_equal(subscribed(rig, client), {*left}, f"the subscriptions that are left without {gone!r}")
        client.disconnect()


def subscribed(rig: Rig, client: Client) -> set[str]:
    """Which of the subscriptions of `client` are there, whose identifiers count `LABELS` from 1."""
    publisher = rig.connect()
    numbers: set[int] = set()
    for name in ("a/b", "A/b", "a/b/", "/a/b", "é", "e\u0301", "a/b ", "x/b", "x/y", "z"):
        publisher.publish(rig.topic(name), name.encode())
    rig.settle(publisher)
    for publish in came_to(rig, client):
        numbers.update(publish.subscription_identifiers)
    publisher.disconnect()
    return {LABELS[number - 1] for number in numbers}


@statement("MQTT-3.10.4-1")
def what_is_not_subscribed_to_changes_nothing(rig: Rig) -> None:
    """UNSUBSCRIBE with Topic Filters that differ in case, a slash, a wildcard, deletes nothing."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(rig.topic("a/+"), qos=1)
    for label in ("a/b", "A/+", "a/+/", "/a/+", "a/#", "#", "+/+", "a/+/#", "a", "a/", "+"):
        require_equal(unsubscribe_from(client, rig.topic(label)), [0x11], f"what {label!r} is answered")
        publisher.publish(rig.topic("a/b"), label.encode(), 1)
        require_equal(client.message().payload, label.encode(), "the payload")


@statement("MQTT-3.10.4-1")
def a_subscription_of_a_resumed_session_is_deleted(rig: Rig) -> None:
    """UNSUBSCRIBE deletes a subscription that the session had before, for good."""
    client = rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1)
    client.subscribe(rig.topic("kept"), qos=1)
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    require_equal(unsubscribe_from(client, rig.topic()), [0], "the Reason Codes")
    client.disconnect()
    rig.connect().publish(rig.topic(), b"payload", 1)
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    require(client.connack.session_present, "the session is gone")
    rig.reaches(client, "kept")


@statement("MQTT-3.10.4-2")
def no_new_messages_are_added(rig: Rig) -> None:
    """After UNSUBACK no new message comes, at any QoS, nor later when the client had been away."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    for label in ("a", "+", "#"):
        client.subscribe(rig.topic(label), qos=2)
        publisher.publish(rig.topic("a"), b"before", 1)
        require_equal(client.message().payload, b"before", "the payload")
        client.unsubscribe(rig.topic(label))
        for qos in (0, 1, 2):
            publisher.publish(rig.topic("a"), b"after", qos)
        client.expect_nothing()
        client.drop()
        publisher.publish(rig.topic("a"), b"away", 1)
        client = rig.connect(client.client_id, clean_start=False, persistent=True)
        client.expect_nothing()


@statement("MQTT-3.10.4-3")
def a_delivery_that_was_begun_is_completed(rig: Rig) -> None:
    """A message that is on its way at UNSUBSCRIBE is delivered to its end, whichever step it is at."""
    client, publisher = rig.connect(), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"one", 1)
    for payload in (b"two", b"three"):
        publisher.publish(rig.topic(), payload, 2)
    one, two, three = [client.expect(Publish) for _ in range(3)]
    client.send(PubRec(three.packet_id))
    client.expect(PubRel)
    client.unsubscribe(rig.topic())
    for publish in (one, two):
        client.confirm(publish)
    client.send(PubComp(three.packet_id))
    client.expect_nothing()


@statement("MQTT-3.10.4-3")
def a_delivery_that_was_begun_is_completed_later(rig: Rig) -> None:
    """A message that was on its way at UNSUBSCRIBE is sent again on another connection."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    for qos in (1, 2, 2):
        publisher.publish(rig.topic(), str(qos).encode(), qos)
    begun = [client.expect(Publish) for _ in range(3)]
    client.send(PubRec(begun[2].packet_id))
    client.expect(PubRel)
    client.unsubscribe(rig.topic())
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    require_equal(client.expect(PubRel).packet_id, begun[2].packet_id, "the Packet Identifier of PUBREL")
    client.send(PubComp(begun[2].packet_id))
    for publish in begun[:2]:
        again = client.message()
        said = (again.packet_id, again.qos, again.payload, again.dup)
        wanted = (publish.packet_id, publish.qos, publish.payload, True)
        require_equal(said, wanted, "Packet Identifier, QoS, payload and DUP")
    client.expect_nothing()


@statement("MQTT-3.10.4-4", "MQTT-3.10.4-5")
def unsubscribe_is_answered(rig: Rig) -> None:
    """UNSUBSCRIBE is answered by one UNSUBACK with its Packet Identifier, with and without subscriptions."""
    client = rig.connect()
    for packet_id in (1, 2, 255, 256, 65_535, 1, 1):
        for label in ("there", "not/there", "+", "$share/group/there"):
            client.subscribe(rig.topic("there"))
            topic_filter = label if label.startswith("$") else rig.topic(label)
            client.send(Unsubscribe(packet_id, [topic_filter]))
            require_equal(client.expect_next(UnsubAck).packet_id, packet_id, "the Packet Identifier")
            client.expect_nothing()


@statement("MQTT-3.10.4-4", "MQTT-3.10.4-5")
def many_unsubscribes_at_once_are_answered(rig: Rig) -> None:
    """Each of many UNSUBSCRIBEs that come in one piece is answered, with its own Packet Identifier."""
    client = rig.connect()
    packets = [Unsubscribe(number, [rig.topic(str(number))]) for number in range(1, 101)]
    client.send(*packets)
    answered = {client.expect(UnsubAck).packet_id for _ in packets}
    require_equal(answered, {*range(1, 101)}, "the Packet Identifiers")
    client.expect_nothing()


@statement("MQTT-3.10.4-6")
def several_topic_filters_of_unsubscribe_count_like_several_packets(rig: Rig) -> None:
    """UNSUBSCRIBE with several Topic Filters deletes each, in turn, and has one UNSUBACK."""
    publisher = rig.connect()
    for wanted, expected in (
        (("a", "b"), [0, 0]),
        (("none", "a", "none", "b"), [0x11, 0, 0x11, 0]),
        (("a", "a", "b", "a"), [0, 0x11, 0, 0x11]),
    ):
        client = rig.connect()
        for label in ("a", "b", "c"):
            client.subscribe(rig.topic(label), qos=1)
        codes = unsubscribe_from(client, *[rig.topic(label) for label in wanted])
        require_equal(codes, expected, f"what {wanted} is answered")
        for label in ("a", "b", "c"):
            publisher.publish(rig.topic(label), label.encode(), 1)
        require_equal(client.message().payload, b"c", "what comes of the subscription that was kept")
        client.expect_nothing()
        client.disconnect()
