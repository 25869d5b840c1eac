"""4.3 Quality of Service levels and 4.4 Message delivery retry."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


def resumed(rig: Rig, client: Client) -> Client:
    """The network of `client` fails, and it comes back."""
    client.drop()
    return rig.connect(client.client_id, persistent=True)


@statement("MQTT-4.3.1-1")
def qos_0_is_sent_once_with_dup_0(rig: Rig) -> None:
    """A message of QoS 0, or that is granted QoS 0 only, is sent with QoS 0 and DUP 0, and not once more."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic("zero"), qos=0)
    client.subscribe(rig.topic("two"), qos=2)
    for label, qos in (("zero", 0), ("zero", 1), ("zero", 2), ("two", 0)):
        publisher.publish(rig.topic(label), b"payload", qos)
        client.expect(Publish)
        require_equal(client.packet_bytes[0], 0x30, f"the first byte of QoS {qos} to {label}")
    client = resumed(rig, client)
    client.expect_nothing()


# QoS 1 and 2 (4.3.2, 4.3.3)


@statement("MQTT-4.3.2-1")
def puback_of_another_packet_identifier_counts_not(rig: Rig) -> None:
    """A message of QoS 1 is acknowledged by PUBACK with its own Packet Identifier only."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1)
    for payload in (b"one", b"two", b"three"):
        publisher.publish(rig.topic(), payload, 1)
    one, two, three = [client.expect(Publish) for _ in range(3)]
    client.send(PubAck(two.packet_id))
    client.expect_nothing()
    client = resumed(rig, client)
    again = [client.expect(Publish) for _ in range(2)]
    require_equal(
        [(publish.payload, publish.packet_id) for publish in again],
        [(b"one", one.packet_id), (b"three", three.packet_id)],
        "what is sent again",
    )
    client.expect_nothing()


@statement("MQTT-4.3.3-1")
def pubrec_again_is_answered_with_pubrel(rig: Rig) -> None:
    """Each PUBREC for a message that is not complete is answered with PUBREL."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"payload", 2)
    packet_id = client.expect(Publish).packet_id
    for _ in range(3):
        client.send(PubRec(packet_id))
        require_equal(client.expect_next(PubRel).packet_id, packet_id, "the Packet Identifier of PUBREL")
    client = resumed(rig, client)
    client.expect_next(PubRel)
    client.send(PubRec(packet_id))
    require_equal(client.expect_next(PubRel).packet_id, packet_id, "the Packet Identifier of PUBREL")
    client.send(PubComp(packet_id))
    client.expect_nothing()


@statement("MQTT-4.3.2-1", "MQTT-4.3.3-1")
def an_acknowledgement_of_another_kind_counts_not(rig: Rig) -> None:
    """Only PUBACK completes QoS 1 and only PUBREC, then PUBCOMP, QoS 2; after another it is sent again."""
    publisher = rig.connect()
    for qos, wrong in ((1, PubRec), (1, PubComp), (2, PubAck), (2, PubComp)):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=2)
        publisher.publish(rig.topic(), b"payload", qos)
        packet_id = client.expect(Publish).packet_id
        client.send(wrong(packet_id))
        client.take_in()
        client = resumed(rig, client)
        with about(f"{wrong.__name__} for QoS {qos}"):
            require_equal(client.expect(Publish).packet_id, packet_id, "the Packet Identifier")
        rig.connect(client.client_id).disconnect()


@statement("MQTT-4.3.3-2")
def publish_of_qos_2_is_accepted_once(rig: Rig) -> None:
    """PUBLISH with QoS 2 is answered with PUBREC each time until PUBREL, and goes to its subscribers once."""
    subscribers = [rig.connect() for _ in range(3)]
    for qos, subscriber in enumerate(subscribers):
        subscriber.subscribe(rig.topic(), qos=qos)
    client = rig.connect()
    for packet_id in (1, 256, 65_535):
        for dup in (False, True, True, False):
            client.send(Publish(rig.topic(), str(packet_id).encode(), 2, packet_id=packet_id, dup=dup))
            require_equal(client.expect_next(PubRec).packet_id, packet_id, "the Packet Identifier of PUBREC")
        client.send(PubRel(packet_id))
        require_equal(client.expect_next(PubComp).packet_id, packet_id, "the Packet Identifier of PUBCOMP")
        for subscriber in subscribers:
            require_equal([one.payload for one in came_to(rig, subscriber)], [str(packet_id).encode()], "it")


@statement("MQTT-4.3.3-2")
def each_pubrel_is_answered(rig: Rig) -> None:
    """PUBREL is answered with PUBCOMP, when it comes once more, too; another message is not touched."""
    client = rig.connect()
    for packet_id in (3, 4):
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=packet_id))
        client.expect(PubRec)
    for _ in range(3):
        client.send(PubRel(3))
        require_equal(client.expect_next(PubComp).packet_id, 3, "the Packet Identifier of PUBCOMP")
    client.send(Publish(rig.topic(), b"payload", 2, packet_id=4, dup=True))
    require_equal(client.expect_next(PubRec).packet_id, 4, "the Packet Identifier of PUBREC")


# Retry (4.4)


@statement("MQTT-4.4.0-1")
def all_that_is_unacknowledged_is_sent_again(rig: Rig) -> None:
    """On reconnection each PUBLISH and PUBREL without answer is sent again, with its Packet Identifier."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    for number in range(9):
        publisher.publish(rig.topic(), str(number).encode(), 1 + number % 2)
    rig.settle(publisher)
    sent = [client.expect(Publish) for _ in range(9)]
    for number in (1, 5):  # of QoS 2
        client.send(PubRec(sent[number].packet_id))
        client.expect(PubRel)
    client.send(PubAck(sent[2].packet_id))
    client.confirm(sent[3])
    left = [sent[number] for number in (0, 4, 6, 7, 8)]
    for _ in range(2):
        client = resumed(rig, client)
        released = [client.expect(PubRel).packet_id for _ in range(2)]
        require_equal(released, [sent[1].packet_id, sent[5].packet_id], "the PUBRELs that are sent again")
        again = [client.expect(Publish) for _ in left]
        require_equal(
            [(one.payload, one.packet_id, one.qos, one.dup) for one in again],
            [(one.payload, one.packet_id, one.qos, True) for one in left],
            "the PUBLISHes that are sent again",
        )
        client.expect_nothing()


@statement("MQTT-4.4.0-1")
def what_is_unacknowledged_is_sent_again_after_a_disconnect(rig: Rig) -> None:
    """What is unacknowledged is sent again after a DISCONNECT as well, and at a take-over."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"payload", 2)
    packet_id = client.expect(Publish).packet_id
    for how in ("DISCONNECT", "take-over"):
        if how == "DISCONNECT":
            client.disconnect()
        client = rig.connect(client.client_id, persistent=True)
        with about(how):
            require_equal(client.expect_next(Publish).packet_id, packet_id, "the Packet Identifier")
            client.expect_nothing()
