"""4.3.3 QoS 2."""

from __future__ import annotations

from typing import Any

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.qos import different_packet_ids, resume
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.acknowledge import PubComp, PubRec, PubRel
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

# The Server as the sender


def sent_one(rig: Rig, label: str = "topic", **properties: Any) -> tuple[Client, Publish]:
    """A client with a session that was sent a message with QoS 2, and that message."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(label), qos=2)
    publisher.publish(rig.topic(label), b"payload", 2, **properties)
    return client, client.expect(Publish)


def comes_again(client: Client, first: Publish) -> None:
    """The message is sent again, as it was but for DUP, and nothing else is."""
    again = client.expect_next(Publish)
    said = (again.packet_id, again.payload, again.qos, again.dup)
    wanted = (first.packet_id, first.payload, 2, True)
    require_equal(said, wanted, "Packet Identifier, payload, QoS and DUP")
    client.expect_nothing()


def is_released(client: Client, packet_id: int) -> None:
    """PUBREL with `packet_id` comes, and nothing else does."""
    require_equal(client.expect_next(PubRel).packet_id, packet_id, "the Packet Identifier of PUBREL")
    client.expect_nothing()


@statement("MQTT-4.3.3-1", "MQTT-4.3.3-2")
def a_new_message_with_qos_2_has_an_unused_packet_identifier(rig: Rig) -> None:
    """A new message is sent with QoS 2, DUP 0 and a Packet Identifier that no other has at the time."""
    different_packet_ids(rig, 2)


@statement("MQTT-4.3.3-1")
def a_packet_identifier_is_in_use_until_pubcomp(rig: Rig) -> None:
    """A message that waits for PUBREL or PUBCOMP keeps its Packet Identifier, others get another one."""
    client, first = sent_one(rig)
    publisher = rig.connect()
    client.send(PubRec(first.packet_id))
    is_released(client, first.packet_id)
    for qos in (1, 2) * 10:
        publisher.publish(rig.topic(), b"other", qos)
        publish = client.message()
        require(publish.packet_id != first.packet_id, f"Packet Identifier {first.packet_id} is in use")
    client.send(PubComp(first.packet_id))
    client.expect_nothing()


@statement("MQTT-4.3.3-2")
def a_message_with_qos_2_begins_with_0x34(rig: Rig) -> None:
    """The first byte is 0x34, or 0x35 for one that is retained, though its publisher has set DUP."""
    publisher = rig.connect()
    for identifier in (0, 7):
        client = rig.connect()
        client.subscribe(rig.topic(), 2, identifier, retain_as_published=True, retain_handling=2)
        for packet_id, dup, retain in (
            (1, False, False),
            (2, True, False),
            (3, False, True),
            (4, True, True),
        ):
            publish = Publish(rig.topic(), b"", 2, retain, packet_id=packet_id, dup=dup)
            publisher.send(publish, PubRel(packet_id))
            client.message()
            require_equal(client.packet_bytes[0], 0x34 | retain, f"the first byte, from DUP {dup}")
        client.disconnect()


@statement("MQTT-4.3.3-3")
def a_message_with_qos_2_is_unacknowledged_until_pubrec(rig: Rig) -> None:
    """PUBLISH is sent again on each new connection until PUBREC comes, and no more after that."""
    client, first = sent_one(rig)
    for _ in range(3):
        client = resume(rig, client)
        comes_again(client, first)
    client.send(PubRec(first.packet_id))
    is_released(client, first.packet_id)
    client.send(PubComp(first.packet_id))
    resume(rig, client).expect_nothing()


@statement("MQTT-4.3.3-4")
def pubrec_is_answered_by_pubrel(rig: Rig) -> None:
    """PUBREC with a Reason Code below 0x80 is answered by PUBREL with the Packet Identifier, each time."""
    for reason_code in (0x00, 0x10):
        client, first = sent_one(rig)
        for _ in range(2):
            client.send(PubRec(first.packet_id, reason_code))
            is_released(client, first.packet_id)
        client.send(PubComp(first.packet_id))
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-4.3.3-4")
def pubrec_with_an_error_is_not_answered(rig: Rig) -> None:
    """PUBREC with 0x80 and above ends the delivery: there is no PUBREL, then or on another connection."""
    for reason_code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
        client, first = sent_one(rig)
        client.send(PubRec(first.packet_id, reason_code))
        with about(f"Reason Code 0x{reason_code:02X}"):
            client.expect_nothing()
            client = resume(rig, client)
            client.expect_nothing()
        client.disconnect()


@statement("MQTT-4.3.3-5", "MQTT-4.3.3-6")
def pubrel_is_unacknowledged_until_pubcomp(rig: Rig) -> None:
    """PUBREL, and PUBLISH no more, is sent again on each new connection until PUBCOMP comes."""
    client, first = sent_one(rig)
    client.send(PubRec(first.packet_id))
    is_released(client, first.packet_id)
    for _ in range(3):
        client = resume(rig, client)
        is_released(client, first.packet_id)
    client.send(PubComp(first.packet_id))
    resume(rig, client).expect_nothing()


@statement("MQTT-4.3.3-6")
def publish_is_not_sent_again_after_pubrel(rig: Rig) -> None:
    """Once PUBREL was sent PUBLISH does not come again, though PUBREC comes again or PUBREL was lost."""
    client, first = sent_one(rig)
    client.send(PubRec(first.packet_id))
    client.drop()  # PUBREL was not received, say
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    is_released(client, first.packet_id)
    for _ in range(2):
        client.send(PubRec(first.packet_id))
        is_released(client, first.packet_id)
    client = resume(rig, client)
    client.send(PubRec(first.packet_id))
    for _ in range(2):  # for the session, and for the PUBREC
        require_equal(client.expect_next(PubRel).packet_id, first.packet_id, "the one of PUBREL")
    client.expect_nothing()
    client.send(PubComp(first.packet_id))
    client.expect_nothing()


@statement("MQTT-4.3.3-7", slow=True)
def a_message_that_was_sent_does_not_expire(rig: Rig) -> None:
    """A message that was sent is delivered to its end, though its Message Expiry Interval has passed."""
    waits = sent_one(rig, "a", message_expiry_interval=1)
    released = sent_one(rig, "b", message_expiry_interval=1)
    released[0].send(PubRec(released[1].packet_id))
    is_released(released[0], released[1].packet_id)
    rig.wait(3)
    client = resume(rig, waits[0])
    comes_again(client, waits[1])
    client.confirm(waits[1])
    client.expect_nothing()
    client = resume(rig, released[0])
    is_released(client, released[1].packet_id)
    client.send(PubComp(released[1].packet_id))
    client.expect_nothing()


# The Server as the receiver


@statement("MQTT-4.3.3-8")
def a_publish_with_qos_2_is_answered_by_pubrec(rig: Rig) -> None:
    """PUBREC comes with the Packet Identifier of the PUBLISH, whatever its flags, and nothing else does."""
    client, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic("to"), qos=2)
    for packet_id in (1, 255, 256, 32_768, 65_535):
        for dup, retain in ((False, False), (True, False), (False, True), (True, True)):
            for label in ("to", "nobody"):
                client.send(Publish(rig.topic(label), b"", 2, retain, packet_id=packet_id, dup=dup))
                pubrec = client.expect_next(PubRec)
                require_equal(pubrec.packet_id, packet_id, "the Packet Identifier of PUBREC")
                require(pubrec.reason_code < 0x80, f"the message is refused: {pubrec}")
                client.send(PubRel(packet_id))
                require_equal(client.expect_next(PubComp).packet_id, packet_id, "the one of PUBCOMP")
            subscriber.message()
    client.expect_nothing()
    subscriber.expect_nothing()


@statement("MQTT-4.3.3-9", maximum_retained=0)
def after_a_refusal_the_packet_identifier_is_free(rig: Rig) -> None:
    """After PUBREC with 0x80 and above the same Packet Identifier is a new message, with DUP 0 and DUP 1."""
    client, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for dup in (False, True):
        client.send(Publish(rig.topic("refused"), b"refused", 2, True, packet_id=5))
        if client.expect(PubRec).reason_code < 0x80:
            raise NotApplicable("the Server retains all messages")
        client.send(Publish(rig.topic(), b"accepted", 2, packet_id=5, dup=dup))
        pubrec = client.expect(PubRec)
        require(pubrec.reason_code < 0x80, f"expected a new message to be accepted, {pubrec} came")
        client.send(PubRel(5))
        client.expect(PubComp)
        require_equal(subscriber.message().payload, b"accepted", "the payload")
    subscriber.expect_nothing()


def sends_twice(rig: Rig, again: Client, subscriber: Client, dups: tuple[bool, ...]) -> None:
    """`again` sends the message 5 with each DUP, releases it, and it arrives once."""
    for dup in dups:
        again.send(Publish(rig.topic(), b"payload", 2, packet_id=5, dup=dup))
        require_equal(again.expect(PubRec).packet_id, 5, "the Packet Identifier of PUBREC")
    again.send(PubRel(5))
    require_equal(again.expect(PubComp).packet_id, 5, "the Packet Identifier of PUBCOMP")
    rig.settle(again)
    came = [one.payload for one in came_to(rig, subscriber)]
    require_equal(came, [b"payload"], "the payloads that came of one message")


@statement("MQTT-4.3.3-10")
def until_pubrel_the_same_packet_identifier_is_the_same_message(rig: Rig) -> None:
    """A PUBLISH that comes again before PUBREL has a PUBREC each time, and is delivered once."""
    client, online = rig.connect(persistent=True), rig.connect()
    online.subscribe(rig.topic(), qos=2)
    for dups in ((True,), (True, True), (False, True), (False,)):
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=5))
        client.expect(PubRec)
        sends_twice(rig, client, online, dups)
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=5))
        client.expect(PubRec)
        client = resume(rig, client)
        sends_twice(rig, client, online, dups)


@statement("MQTT-4.3.3-10")
def a_message_that_comes_again_is_kept_once(rig: Rig) -> None:
    """A PUBLISH that comes again before PUBREL is delivered once to a client that was away."""
    client, away = rig.connect(), rig.connect(persistent=True)
    away.subscribe(rig.topic(), qos=2)
    away.drop()
    for dup in (False, True, True):
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=5, dup=dup))
        client.expect(PubRec)
    client.send(PubRel(5))
    client.expect(PubComp)
    away = rig.connect(away.client_id, clean_start=False, persistent=True)
    require_equal(away.message().payload, b"payload", "the payload")
    away.expect_nothing()


@statement("MQTT-4.3.3-11")
def pubrel_is_answered_by_pubcomp(rig: Rig) -> None:
    """PUBREL is answered by PUBCOMP with its Packet Identifier: first, again, and for none that is known."""
    client = rig.connect(persistent=True)
    for packet_id in (1, 255, 256, 65_535):
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=packet_id))
        client.expect(PubRec)
        client = resume(rig, client)
        for _ in range(3):
            client.send(PubRel(packet_id))
            require_equal(client.expect_next(PubComp).packet_id, packet_id, "the one of PUBCOMP")
    for packet_id in (7, 32_768):
        client.send(PubRel(packet_id))
        require_equal(client.expect_next(PubComp).packet_id, packet_id, "the one of PUBCOMP")
    client.expect_nothing()


@statement("MQTT-4.3.3-12")
def after_pubcomp_the_same_packet_identifier_is_a_new_message(rig: Rig) -> None:
    """What comes with a Packet Identifier after PUBCOMP is a new message, with DUP 0 and DUP 1."""
    client, subscriber = rig.connect(persistent=True), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for dup in (False, False, True, True):
        sends_twice(rig, client, subscriber, (dup,))
    client = resume(rig, client)
    sends_twice(rig, client, subscriber, (True,))


@statement("MQTT-4.3.3-13", slow=True)
def acknowledgements_go_on_after_message_expiry(rig: Rig) -> None:
    """PUBREL is answered, and a second PUBLISH before it too, though the message has expired meanwhile."""
    client, away = rig.connect(persistent=True), rig.connect(persistent=True)
    away.subscribe(rig.topic(), qos=2)
    away.drop()
    expiring = Properties(message_expiry_interval=1)
    for packet_id in (5, 6):
        client.send(Publish(rig.topic(), b"payload", 2, False, expiring, packet_id))
        client.expect(PubRec)
    rig.wait(3)
    client.send(PubRel(5))
    require_equal(client.expect_next(PubComp).packet_id, 5, "the Packet Identifier of PUBCOMP")
    client = resume(rig, client)
    client.send(Publish(rig.topic(), b"payload", 2, False, expiring, 6, dup=True))
    require_equal(client.expect_next(PubRec).packet_id, 6, "the Packet Identifier of PUBREC")
    client.send(PubRel(6))
    require_equal(client.expect_next(PubComp).packet_id, 6, "the Packet Identifier of PUBCOMP")
    client.expect_nothing()
