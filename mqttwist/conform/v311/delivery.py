"""4.3 Quality of Service levels, 4.4 Message delivery retry and 4.5 Message receipt."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


def resumed(rig: Rig, client: Client) -> Client:
    """The network of `client` fails, and it comes back."""
    client.drop()
    return rig.connect(client.client_id, persistent=True)


# QoS 0 (4.3.1)


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


# QoS 1 (4.3.2)


@statement("MQTT-4.3.2-1")
def qos_1_is_sent_until_puback(rig: Rig) -> None:
    """A message of QoS 1 is sent with DUP 0, then again on each connection, until PUBACK and not after it."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), b"payload", 1)
    first = client.expect(Publish)
    require_equal((first.qos, first.dup), (1, False), "QoS and DUP at first")
    require(first.packet_id > 0, "the Packet Identifier is 0")
    for _ in range(3):
        client = resumed(rig, client)
        again = client.expect(Publish)
        require_equal(again.packet_id, first.packet_id, "the Packet Identifier")
        client.expect_nothing()
    client.send(PubAck(first.packet_id))
    client.expect_nothing()
    resumed(rig, client).expect_nothing()


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


@statement("MQTT-4.3.2-2")
def publish_of_qos_1_is_acknowledged_and_accepted(rig: Rig) -> None:
    """PUBLISH with QoS 1 is answered with a PUBACK of its Packet Identifier, and goes to its subscribers."""
    subscriber, client = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=1)
    for packet_id in (1, 255, 256, 65_535):
        client.send(Publish(rig.topic(), str(packet_id).encode(), 1, packet_id=packet_id))
        require_equal(client.expect_next(PubAck).packet_id, packet_id, "the Packet Identifier of PUBACK")
        require_equal(subscriber.message().payload, str(packet_id).encode(), "the payload")
    client.expect_nothing()


@statement("MQTT-4.3.2-2")
def after_puback_the_same_packet_identifier_is_a_new_message(rig: Rig) -> None:
    """PUBLISH with QoS 1 and a Packet Identifier that was acknowledged is a new message, with DUP, too."""
    subscriber, client = rig.connect(), rig.connect(persistent=True)
    subscriber.subscribe(rig.topic(), qos=1)
    for number, dup in enumerate((False, True, True, False, True)):
        client.send(Publish(rig.topic(), str(number).encode(), 1, packet_id=7, dup=dup))
        client.expect_next(PubAck)
        require_equal(subscriber.message().payload, str(number).encode(), "the payload")
        if number == 2:
            client = resumed(rig, client)
    subscriber.expect_nothing()


# QoS 2 (4.3.3)


@statement("MQTT-4.3.3-1", "MQTT-4.4.0-1")
def qos_2_is_sent_until_pubrec_and_released_until_pubcomp(rig: Rig) -> None:
    """A message of QoS 2 is sent again until PUBREC, then PUBREL until PUBCOMP, then nothing more."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"payload", 2)
    first = client.expect(Publish)
    require_equal((first.qos, first.dup), (2, False), "QoS and DUP at first")
    require(first.packet_id > 0, "the Packet Identifier is 0")
    for _ in range(2):
        client = resumed(rig, client)
        again = client.expect_next(Publish)
        said = (again.packet_id, again.dup, again.qos)
        require_equal(said, (first.packet_id, True, 2), "Packet Identifier, DUP and QoS")
        client.expect_nothing()
    client.send(PubRec(first.packet_id))
    require_equal(client.expect_next(PubRel).packet_id, first.packet_id, "the Packet Identifier of PUBREL")
    for _ in range(2):
        client = resumed(rig, client)
        require_equal(client.expect_next(PubRel).packet_id, first.packet_id, "the one that is sent again")
        client.expect_nothing()  # PUBLISH is not sent again
    client.send(PubComp(first.packet_id))
    client.expect_nothing()
    resumed(rig, client).expect_nothing()


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
def publish_of_qos_2_is_accepted_once_on_two_connections(rig: Rig) -> None:
    """PUBLISH with QoS 2 that comes again on a new connection is answered with PUBREC, and sent on once."""
    subscriber, client = rig.connect(), rig.connect(persistent=True)
    subscriber.subscribe(rig.topic(), qos=2)
    client.send(Publish(rig.topic(), b"payload", 2, packet_id=5))
    client.expect(PubRec)
    for _ in (1, 2):
        client = resumed(rig, client)
        client.send(Publish(rig.topic(), b"payload", 2, packet_id=5, dup=True))
        require_equal(client.expect_next(PubRec).packet_id, 5, "the Packet Identifier of PUBREC")
    client = resumed(rig, client)
    client.send(PubRel(5))
    require_equal(client.expect_next(PubComp).packet_id, 5, "the Packet Identifier of PUBCOMP")
    require_equal([one.payload for one in came_to(rig, subscriber)], [b"payload"], "what came")


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


@statement("MQTT-4.3.3-2")
def after_pubcomp_the_same_packet_identifier_is_a_new_message(rig: Rig) -> None:
    """PUBLISH with QoS 2 and a Packet Identifier that is complete is a new message, with DUP, too."""
    subscriber, client = rig.connect(), rig.connect(persistent=True)
    subscriber.subscribe(rig.topic(), qos=2)
    for number, dup in enumerate((False, True, True, False, True)):
        client.send(Publish(rig.topic(), str(number).encode(), 2, packet_id=7, dup=dup))
        client.expect_next(PubRec)
        client.send(PubRel(7))
        client.expect_next(PubComp)
        require_equal(subscriber.message().payload, str(number).encode(), "the payload")
        if number == 2:
            client = resumed(rig, client)
    subscriber.expect_nothing()


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


# Receipt (4.5)


@statement("MQTT-4.5.0-1")
def a_message_goes_to_all_that_have_subscribed(rig: Rig) -> None:
    """A message goes to each client whose subscription matches: there or away, its publisher, too."""
    publisher = rig.connect()
    clients: list[tuple[Client, bool]] = []
    for label in ("a/b", "a/+", "+/b", "a/#", "#", "+/+", "a/b/#"):
        for is_away in (False, True):
            client = rig.connect(persistent=is_away)
            client.subscribe(rig.topic(label), qos=2)
            if is_away:
                client.disconnect()
            clients.append((client, is_away))
    publisher.subscribe(rig.topic("a/b"), qos=2)
    clients.append((publisher, False))
    for qos in (1, 2):
        publisher.publish(rig.topic("a/b"), str(qos).encode(), qos)
    rig.settle(publisher)
    for client, is_away in clients:
        there = rig.connect(client.client_id, persistent=True) if is_away else client
        for qos in (1, 2):
            publish = there.message()
            said = (publish.payload, publish.qos)
            require_equal(said, (str(qos).encode(), qos), "payload and QoS")
        there.expect_nothing()


@statement("MQTT-4.5.0-1")
def many_messages_at_once_arrive(rig: Rig) -> None:
    """Of 100 messages that come in one piece all that are acknowledged arrive, in their order."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for qos in (1, 2):
        payloads = [str(number).encode() for number in range(1, 101)]
        packets = [Publish(rig.topic(), payload, qos, packet_id=int(payload)) for payload in payloads]
        publisher.send(*packets)
        for _ in packets:
            if qos == 1:
                publisher.expect(PubAck)
            else:
                publisher.send(PubRel(publisher.expect(PubRec).packet_id))
                publisher.expect(PubComp)
        with about(f"QoS {qos}"):
            require_equal([subscriber.message().payload for _ in packets], payloads, "the payloads")
            subscriber.expect_nothing()


@statement("MQTT-4.5.0-1")
def a_message_goes_to_nobody_else(rig: Rig) -> None:
    """A client without a subscription that matches, and one whose session was discarded, is sent nothing."""
    publisher, other, former = rig.connect(), rig.connect(), rig.connect(persistent=True)
    for label in ("a", "a/b/c", "b/#", "+", "a/c"):
        other.subscribe(rig.topic(label), qos=1)
    former.subscribe(rig.topic("#"), qos=1)
    former.disconnect()
    rig.connect(former.client_id).disconnect()
    for qos in (0, 1, 2):
        publisher.publish(rig.topic("a/b"), b"payload", qos)
    other.expect_nothing()
    rig.connect(former.client_id, persistent=True).expect_nothing()
