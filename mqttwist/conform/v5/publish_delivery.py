"""3.3.4 PUBLISH: what it is answered, overlapping subscriptions, and flow control."""

from __future__ import annotations

from typing import Any

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.datatypes import encode_variable_byte_integer
from mqttwist.wire.publish import Publish


@statement("MQTT-3.3.4-1")
def publish_is_answered_as_its_qos_says(rig: Rig) -> None:
    """The answer is nothing at QoS 0, PUBACK at QoS 1, PUBREC at QoS 2; with and without subscribers."""
    subscriber, client = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic("one"), qos=2)
    for label in ("none", "one"):
        client.send(Publish(rig.topic(label)))
        client.expect_nothing()
        client.send(Publish(rig.topic(label), qos=1, packet_id=1))
        require_equal(client.expect_next(PubAck).packet_id, 1, "the Packet Identifier of PUBACK")
        client.send(Publish(rig.topic(label), qos=2, packet_id=2))
        require_equal(client.expect_next(PubRec).packet_id, 2, "the Packet Identifier of PUBREC")
        client.expect_nothing()
        client.send(PubRel(2))
        client.expect_next(PubComp)
    for qos in (0, 1, 2):
        require_equal(subscriber.message().qos, qos, "the QoS")


# Overlapping subscriptions


def came_to(rig: Rig, subscriber: Client) -> list[Publish]:
    """All that has come to `subscriber`, acknowledged."""
    rig.settle(subscriber)
    messages: list[Publish] = []
    while subscriber.has_message():
        messages.append(subscriber.message())
    subscriber.expect_nothing()
    return messages


@statement("MQTT-3.3.4-2")
def overlapping_subscriptions_deliver_with_the_highest_qos(rig: Rig) -> None:
    """A message to overlapping subscriptions comes with the highest QoS granted, or its own if less."""
    publisher = rig.connect()
    for granted in ((0, 1), (1, 0), (0, 2), (2, 1), (1, 2), (0, 1, 2), (2, 1, 0), (1, 1)):
        subscriber = rig.connect()
        for label, qos in zip(("a/b", "a/+", "#"), granted, strict=False):
            subscriber.subscribe(rig.topic(label), qos=qos)
        for qos in (0, 1, 2):
            publisher.publish(rig.topic("a/b"), str(qos).encode(), qos)
            rig.settle(publisher)
            came = came_to(rig, subscriber)
            with about(f"granted {granted}, published with QoS {qos}"):
                require(len(came) in (1, len(granted)), f"{len(came)} copies came")
                require_equal(max(one.qos for one in came), min(qos, max(granted)), "the highest QoS")
        subscriber.disconnect()


@statement("MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5")
def subscription_identifiers_come_with_the_message(rig: Rig) -> None:
    """The Subscription Identifiers of all subscriptions that match come: in one copy, or each in its own."""
    publisher = rig.connect()
    for identifiers in ((1,), (1, 2), (2, 0), (0, 3), (7, 7), (1, 268_435_455, 128), (0, 0)):
        subscriber = rig.connect()
        for label, identifier in zip(("a/b", "a/+", "#"), identifiers, strict=False):
            subscriber.subscribe(rig.topic(label), qos=2, identifier=identifier)
        subscriber.subscribe(rig.topic("other"), qos=2, identifier=99)
        wanted = sorted(one for one in identifiers if one)
        for qos in (0, 1, 2):
            publisher.publish(rig.topic("a/b"), b"payload", qos)
            rig.settle(publisher)
            came = [identifiers_of(one) for one in came_to(rig, subscriber)]
            with about(f"subscriptions with the identifiers {identifiers}"):
                require(len(came) in (1, len(identifiers)), f"{len(came)} copies came")
                sent = sorted(one for copy in came for one in copy)
                require_equal(sent, wanted, "the Subscription Identifiers")  # the same one twice, too
        subscriber.disconnect()


def identifiers_of(publish: Publish) -> list[int]:
    return list(publish.subscription_identifiers)


@statement("MQTT-3.3.4-3", "MQTT-3.3.4-4")
def subscription_identifiers_come_with_what_was_kept(rig: Rig) -> None:
    """Subscription Identifiers come with retained messages, and with those that waited for the client."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    publisher.publish(rig.topic(), b"retained", 1, retain=True)
    client.subscribe(rig.topic(), qos=1, identifier=5)
    require_equal(identifiers_of(client.message()), [5], "those of a retained message")
    client.disconnect()
    publisher.publish(rig.topic(), b"waiting", 1)
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    require_equal(identifiers_of(client.message()), [5], "those of a message that waited")


@statement("MQTT-3.3.4-3")
def a_subscription_made_again_has_its_new_identifier(rig: Rig) -> None:
    """A subscription that is made again has the Subscription Identifier given last, or none."""
    publisher, client = rig.connect(), rig.connect()
    for identifier in (1, 2, 0, 3):
        client.subscribe(rig.topic(), identifier=identifier)
        publisher.publish(rig.topic(), b"payload")
        expected = [identifier] if identifier else []
        require_equal(identifiers_of(client.message()), expected, "the Subscription Identifiers")


@statement("MQTT-3.3.4-6")
def a_client_sends_no_subscription_identifier(rig: Rig) -> None:
    """A PUBLISH of a client with a Subscription Identifier is refused, and reaches nobody."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic(), identifier=1)
    for identifier in (1, 2, 268_435_455):
        for qos in (0, 1, 2):
            client = rig.connect()
            property_ = b"\x0b" + encode_variable_byte_integer(identifier)
            packet_id = b"\0\1" if qos else b""
            client.send(raw.publish(rig.version, rig.topic().encode(), property_, qos << 1, packet_id))
            with about(f"Subscription Identifier {identifier}, QoS {qos}"):
                client.expect_closed(0x81, 0x82)
    rig.reaches(subscriber)


# Flow control: the client's Receive Maximum


def full_client(rig: Rig, receive_maximum: int, qos: int, **options: Any) -> tuple[Client, list[Publish]]:
    """A client that was sent `receive_maximum` messages with `qos`, which are not acknowledged; 5 wait."""
    client, publisher = rig.connect(receive_maximum=receive_maximum, **options), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    for number in range(receive_maximum + 5):
        publisher.publish(rig.topic(), str(number).encode(), qos)
    rig.settle(publisher)
    came = [client.expect(Publish) for _ in range(receive_maximum)]
    client.expect_nothing()
    return client, came


@statement("MQTT-3.3.4-9")
def the_server_keeps_to_the_receive_maximum(rig: Rig) -> None:
    """No more QoS 1 and 2 messages are on their way than the client's Receive Maximum; the others wait."""
    for receive_maximum in (1, 2, 10):
        for qos in (1, 2):
            with about(f"Receive Maximum {receive_maximum}, QoS {qos}"):
                client, came = full_client(rig, receive_maximum, qos)
                for number in range(5):
                    client.confirm(came.pop(0))
                    came.append(client.expect(Publish))
                    require_equal(came[-1].payload, str(number + receive_maximum).encode(), "the payload")
                    client.expect_nothing()
                for publish in came:
                    client.confirm(publish)
                client.expect_nothing()


@statement("MQTT-3.3.4-9")
def pubcomp_makes_room_and_pubrec_does_not(rig: Rig) -> None:
    """At QoS 2 room is made by PUBCOMP, or by PUBREC with a Reason Code of 0x80 and above."""
    client, [publish] = full_client(rig, 1, 2)
    client.send(PubRec(publish.packet_id))
    client.expect(PubRel)
    client.expect_nothing()
    client.send(PubComp(publish.packet_id))
    publish = client.expect(Publish)
    client.send(PubRec(publish.packet_id, 0x80))
    publish = client.expect(Publish)
    require_equal(publish.payload, b"2", "the payload")
    client.expect_nothing()


@statement("MQTT-3.3.4-9")
def puback_of_an_error_makes_room(rig: Rig) -> None:
    """At QoS 1 room is made by PUBACK, whatever its Reason Code."""
    client, [publish] = full_client(rig, 1, 1)
    for number, reason_code in enumerate((0x80, 0x10, 0x97, 0x00), 1):
        client.send(PubAck(publish.packet_id, reason_code))
        publish = client.expect(Publish)
        require_equal(publish.payload, str(number).encode(), "the payload")
        client.expect_nothing()


@statement("MQTT-3.3.4-9")
def the_receive_maximum_counts_on_a_new_connection(rig: Rig) -> None:
    """A session that is resumed is sent no more than the Receive Maximum of the new connection."""
    client, _ = full_client(rig, 4, 1, persistent=True)
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, persistent=True, receive_maximum=2)
    came = [client.expect(Publish), client.expect(Publish)]
    for number in range(9):
        require_equal(came[number].payload, str(number).encode(), "the payload")
        if len(came) < 9:
            client.expect_nothing()
            client.confirm(came[number])
            came.append(client.expect(Publish))


@statement("MQTT-3.3.4-10")
def other_packets_do_not_wait_for_room(rig: Rig) -> None:
    """PINGRESP, SUBACK, UNSUBACK, PUBACK, PUBREC, PUBREL and PUBCOMP come while the client is full."""
    client, [publish] = full_client(rig, 1, 2)
    client.send(PingReq())
    client.expect_next(PingResp)
    client.subscribe(rig.topic("other"))
    client.unsubscribe(rig.topic("other"))
    for qos in (1, 2):
        client.publish(rig.topic("other"), b"payload", qos)
    client.send(PubRec(publish.packet_id))
    client.expect_next(PubRel)
    client.expect_nothing()


# Flow control: the Server's Receive Maximum


@statement("MQTT-3.3.4-7")
def the_receive_maximum_of_the_server_is_kept(rig: Rig) -> None:
    """So many QoS 2 messages as the Server's Receive Maximum are taken; one more is refused with 0x93."""
    client = rig.connect()
    maximum = client.connack.properties.receive_maximum or 65_535
    if maximum > 10_000:
        raise NotApplicable("the Server takes many messages at a time")
    for packet_id in range(1, maximum + 1):
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=packet_id))
        client.expect(PubRec)
    client.expect_nothing()
    client.send(PubRel(1))
    client.expect(PubComp)
    client.send(Publish(rig.topic(), b"payload", 2, packet_id=1))
    client.expect(PubRec)
    client.send(Publish(rig.topic(), b"payload", 2, packet_id=maximum + 1))
    client.expect_closed(0x93)


@statement("MQTT-3.3.4-7")
def qos_0_and_acknowledged_messages_take_no_room(rig: Rig) -> None:
    """Messages with QoS 0, and those with QoS 1 and 2 that were acknowledged to the end, do not count."""
    client = rig.connect()
    maximum = min(client.connack.properties.receive_maximum or 65_535, 1000)
    for qos in (0, 1, 2):
        for _ in range(maximum + 1):
            client.publish(rig.topic(), b"payload", qos)
    client.expect_nothing()
