"""4.6 Message ordering."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.acknowledge import PubAck, PubRec, PubRel
from mqttwist.wire.publish import Publish

COUNT = 18  # Mosquitto, for one, has 20 messages on their way at most


def numbered(rig: Rig, publisher: Client, qos: int, count: int = COUNT, start: int = 0) -> list[bytes]:
    """Publish messages to "topic" in one piece; their payloads, in their order."""
    payloads = [str(number).encode() for number in range(start, start + count)]
    packets = [
        Publish(rig.topic(), payload, qos, packet_id=number if qos else 0)
        for number, payload in enumerate(payloads, start + 1)
    ]
    publisher.send(*packets)
    for packet in packets if qos else []:
        if qos == 1:
            publisher.expect(PubAck)
        else:
            publisher.expect(PubRec)
            publisher.send(PubRel(packet.packet_id))
    rig.settle(publisher)
    return payloads


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def messages_come_in_the_order_in_which_they_were_published(rig: Rig) -> None:
    """Messages of one client to one topic come in their order, at each QoS, published and granted."""
    for qos in (0, 1, 2):
        for granted in (0, 1, 2):
            publisher, subscriber = rig.connect(), rig.connect()
            subscriber.subscribe(rig.topic(), qos=granted)
            payloads = numbered(rig, publisher, qos)
            with about(f"published with QoS {qos}, granted QoS {granted}"):
                came = [subscriber.message().payload for _ in payloads]
                require_equal(came, payloads, "the payloads")
                subscriber.expect_nothing()
            subscriber.disconnect()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def each_topic_is_ordered(rig: Rig) -> None:
    """Messages to several topics, through wildcards, come in their order topic by topic."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic("+/#"), qos=1)
    labels = ("a/b", "b", "a/b/c", "d")
    packets = [
        Publish(rig.topic(labels[number % 4]), str(number).encode(), 1, packet_id=number + 1)
        for number in range(COUNT)
    ]
    publisher.send(*packets)
    came: dict[str, list[int]] = {}
    for _ in packets:
        publish = subscriber.message()
        came.setdefault(publish.topic_name, []).append(int(publish.payload))
    for place, label in enumerate(labels):
        require_equal(came.get(rig.topic(label)), [*range(place, COUNT, 4)], f"what came to {label}")


@statement("MQTT-4.6.0-6")
def each_publisher_has_its_order(rig: Rig) -> None:
    """Messages of several clients to one topic come in the order of each of them."""
    publishers, subscriber = [rig.connect() for _ in range(3)], rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for number in range(6):
        for place, publisher in enumerate(publishers):
            publisher.send(Publish(rig.topic(), f"{place} {number}".encode(), 1, packet_id=number + 1))
    came = [subscriber.message().payload.decode() for _ in range(18)]
    for place in range(3):
        of_it = [text for text in came if text.startswith(f"{place} ")]
        require_equal(of_it, [f"{place} {number}" for number in range(6)], f"what publisher {place} sent")


@statement("MQTT-4.6.0-6")
def what_waited_comes_in_its_order(rig: Rig) -> None:
    """Messages that wait for a client that is away come in their order, and before those that come then."""
    for qos in (1, 2):
        publisher, subscriber = rig.connect(), rig.connect(persistent=True)
        subscriber.subscribe(rig.topic(), qos=qos)
        subscriber.drop()
        payloads = [str(number).encode() for number in range(60)]
        for payload in payloads[:50]:
            publisher.publish(rig.topic(), payload, qos)
        subscriber = rig.connect(subscriber.client_id, persistent=True)
        for payload in payloads[50:]:
            publisher.publish(rig.topic(), payload, qos)
        with about(f"QoS {qos}"):
            require_equal([subscriber.message().payload for _ in payloads], payloads, "the payloads")
            subscriber.expect_nothing()
        rig.connect(subscriber.client_id).disconnect()


@statement("MQTT-4.6.0-6", send_maximum=3)
def what_waits_behind_others_comes_in_its_order(rig: Rig) -> None:
    """Messages that wait until others are acknowledged come in their order, and before newer ones."""
    for qos in (1, 2):
        publisher, subscriber = rig.connect(), rig.connect()
        subscriber.subscribe(rig.topic(), qos=qos)
        payloads = [str(number).encode() for number in range(60)]
        came: list[bytes] = []
        for number, payload in enumerate(payloads):
            publisher.publish(rig.topic(), payload, qos)
            if number > 30 and number % 3 == 0:
                came.append(subscriber.message().payload)
        came += [subscriber.message().payload for _ in range(60 - len(came))]
        with about(f"QoS {qos}"):
            require_equal(came, payloads, "the payloads")
            subscriber.expect_nothing()
        subscriber.disconnect()


@statement("MQTT-4.6.0-6")
def publish_is_sent_again_in_its_order(rig: Rig) -> None:
    """PUBLISH packets are sent again in the order in which they were sent, at QoS 1 and 2, each time."""
    for qos in (1, 2):
        publisher, subscriber = rig.connect(), rig.connect(persistent=True)
        subscriber.subscribe(rig.topic(), qos=qos)
        numbered(rig, publisher, qos)
        sent = [subscriber.expect(Publish) for _ in range(COUNT)]
        for number in (7, 3, 0):  # acknowledged in another order
            subscriber.confirm(sent.pop(number))
        for _ in (1, 2):
            subscriber.drop()
            subscriber = rig.connect(subscriber.client_id, persistent=True)
            again = [subscriber.expect(Publish) for _ in sent]
            with about(f"QoS {qos}"):
                said = [(one.payload, one.packet_id) for one in again]
                wanted = [(one.payload, one.packet_id) for one in sent]
                require_equal(said, wanted, "payloads and Packet Identifiers of what is sent again")
                subscriber.expect_nothing()
        rig.connect(subscriber.client_id).disconnect()


@statement("MQTT-4.6.0-6")
def what_is_sent_again_comes_before_what_is_new(rig: Rig) -> None:
    """On a new connection what was sent before comes first, then what waited, and then what is published."""
    publisher, subscriber = rig.connect(), rig.connect(persistent=True)
    subscriber.subscribe(rig.topic(), qos=1)
    payloads = numbered(rig, publisher, 1, 5)
    for _ in payloads:
        subscriber.expect(Publish)
    subscriber.drop()
    payloads += numbered(rig, publisher, 1, 5, 5)
    subscriber = rig.connect(subscriber.client_id, persistent=True)
    payloads += numbered(rig, publisher, 1, 5, 10)
    require_equal([subscriber.message().payload for _ in payloads], payloads, "the payloads")


@statement("MQTT-4.6.0-6")
def pubrel_comes_in_the_order_of_pubrec(rig: Rig) -> None:
    """PUBREL packets are sent in the order in which the PUBREC packets came, whatever that of PUBLISH was."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    numbered(rig, publisher, 2, 6)
    packet_ids = [subscriber.expect(Publish).packet_id for _ in range(6)]
    order = [packet_ids[place] for place in (3, 0, 5, 1, 4, 2)]
    subscriber.send(*[PubRec(packet_id) for packet_id in order])
    require_equal([subscriber.expect(PubRel).packet_id for _ in order], order, "the Packet Identifiers")
