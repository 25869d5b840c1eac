"""4.3.1 QoS 0 and 4.3.2 QoS 1."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubRel
from mqttwist.wire.publish import Publish


def resume(rig: Rig, client: Client) -> Client:
    """Let the network fail, and have `client` come back to its session."""
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    require(client.connack.session_present, "the session is gone")
    return client


def different_packet_ids(rig: Rig, qos: int) -> None:
    """Each new message has a Packet Identifier that is not in use, also when some have been freed."""
    subscriber, publisher = rig.connect(persistent=True), rig.connect()
    subscriber.subscribe(rig.topic(), qos=qos)
    in_use: dict[int, Publish] = {}
    for number in range(60):
        publisher.publish(rig.topic(), str(number).encode(), qos)
        publish = subscriber.expect(Publish)
        require(publish.packet_id not in in_use, f"Packet Identifier {publish.packet_id} is in use")
        require_equal((publish.qos, publish.dup), (qos, False), "QoS and DUP of what is sent first")
        in_use[publish.packet_id] = publish
        if len(in_use) > 8:
            done = in_use.pop(sorted(in_use)[number % 8])
            subscriber.confirm(done)
        if number == 30:  # what is in use stays so on another connection
            subscriber = resume(rig, subscriber)
            again = {subscriber.expect(Publish).packet_id for _ in in_use}
            require_equal(again, {*in_use}, "the Packet Identifiers of what is sent again")


@statement("MQTT-4.3.1-1")
def qos_0_is_sent_with_dup_0(rig: Rig) -> None:
    """A message is sent with QoS 0 and DUP 0 when it or the subscription has QoS 0, and once."""
    publisher = rig.connect()
    for granted, published in ((0, 0), (0, 1), (0, 2), (1, 0), (2, 0)):
        for retain in (False, True):
            client = rig.connect(persistent=True)
            client.subscribe(rig.topic(), qos=granted, retain_as_published=True, retain_handling=2)
            publisher.publish(rig.topic(), b"payload", published, retain)
            client.expect(Publish)
            with about(f"published with QoS {published}, granted {granted}"):
                require_equal(client.packet_bytes[0], 0x30 | retain, "the first byte")
                resume(rig, client).expect_nothing()


@statement("MQTT-4.3.1-1")
def qos_0_that_was_kept_is_sent_with_dup_0(rig: Rig) -> None:
    """A retained message is sent with QoS 0 and DUP 0 to a subscription with QoS 0, each time."""
    publisher = rig.connect()
    for published in (0, 1, 2):
        publisher.publish(rig.topic(), b"payload", published, retain=True)
        client = rig.connect()
        for _ in range(2):
            client.subscribe(rig.topic())
            client.expect(Publish)
            require_equal(client.packet_bytes[0], 0x31, "the first byte")
        client.expect_nothing()


@statement("MQTT-4.3.2-1", "MQTT-4.3.2-2")
def a_new_message_with_qos_1_has_an_unused_packet_identifier(rig: Rig) -> None:
    """A new message is sent with QoS 1, DUP 0 and a Packet Identifier that no other has at the time."""
    different_packet_ids(rig, 1)


@statement("MQTT-4.3.2-2")
def a_message_with_qos_1_begins_with_0x32(rig: Rig) -> None:
    """The first byte is 0x32, or 0x33 for one that is retained, though its publisher has set DUP."""
    publisher = rig.connect()
    for identifier in (0, 7):
        client = rig.connect()
        client.subscribe(rig.topic(), 1, identifier, retain_as_published=True, retain_handling=2)
        for number, (qos, dup) in enumerate(((1, False), (1, True), (2, False)), 1):
            for retain in (False, True):
                packet_id = 2 * number + retain
                publisher.send(Publish(rig.topic(), b"", qos, retain, packet_id=packet_id, dup=dup))
                if qos == 2:
                    publisher.send(PubRel(packet_id))
                client.message()
                first = client.packet_bytes[0]
                require_equal(first, 0x32 | retain, f"the first byte, from QoS {qos}, DUP {dup}")
        client.disconnect()


@statement("MQTT-4.3.2-3")
def a_message_with_qos_1_is_unacknowledged_until_puback(rig: Rig) -> None:
    """A message is sent again on each new connection until its own PUBACK comes, and then no more."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), b"one", 1)
    first = client.expect(Publish)
    for _ in range(2):
        client = resume(rig, client)
        again = client.expect(Publish)
        said = (again.packet_id, again.payload, again.dup)
        require_equal(said, (first.packet_id, b"one", True), "Packet Identifier, payload and DUP")
        client.expect_nothing()
    publisher.publish(rig.topic(), b"two", 1)
    second = client.expect(Publish)
    client.send(PubAck(second.packet_id))
    client = resume(rig, client)
    require_equal(client.expect(Publish).packet_id, first.packet_id, "the Packet Identifier")
    client.expect_nothing()
    client.send(PubAck(first.packet_id))
    resume(rig, client).expect_nothing()


@statement("MQTT-4.3.2-4")
def a_publish_with_qos_1_is_answered_by_puback(rig: Rig) -> None:
    """PUBACK comes with the Packet Identifier of the PUBLISH, whatever its flags, and nothing else does."""
    client, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic("to"), qos=1)
    for packet_id in (1, 2, 255, 256, 32_768, 65_535):
        for dup in (False, True):
            for retain in (False, True):
                for label in ("to", "nobody"):
                    publish = Publish(rig.topic(label), b"payload", 1, retain, packet_id=packet_id, dup=dup)
                    client.send(publish)
                    puback = client.expect_next(PubAck)
                    require_equal(puback.packet_id, packet_id, "the Packet Identifier of PUBACK")
                    require(puback.reason_code < 0x80, f"the message is refused: {puback}")
                subscriber.message()
    client.expect_nothing()
    subscriber.expect_nothing()


@statement("MQTT-4.3.2-5")
def after_puback_the_same_packet_identifier_is_a_new_message(rig: Rig) -> None:
    """What comes with a Packet Identifier that was acknowledged is a new message, with DUP 0 and DUP 1."""
    client, subscriber = rig.connect(persistent=True), rig.connect()
    subscriber.subscribe(rig.topic(), qos=1)
    for number, dup in enumerate((False, False, True, True, False, True)):
        payload = str(number // 2).encode()  # the same one twice, too
        client.send(Publish(rig.topic(), payload, 1, packet_id=5, dup=dup))
        require_equal(client.expect(PubAck).packet_id, 5, "the Packet Identifier of PUBACK")
        require_equal(subscriber.message().payload, payload, f"the payload of message {number}, DUP {dup}")
    client = resume(rig, client)
    client.send(Publish(rig.topic(), b"later", 1, packet_id=5, dup=True))
    client.expect(PubAck)
    require_equal(subscriber.message().payload, b"later", "the payload")
    subscriber.expect_nothing()
