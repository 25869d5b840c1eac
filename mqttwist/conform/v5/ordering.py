"""4.6 Message ordering."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.qos import resume
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish

COUNT: Final = 60  # messages; more than most Servers have on their way at a time


def numbered(numbers: range) -> list[bytes]:
    return [str(number).encode() for number in numbers]


def publish_all(publisher: Client, topic_name: str, qos: int, numbers: range) -> None:
    """Publish the `numbers`, as many in one piece as the Server takes, and do what their QoS asks for."""
    step = min(publisher.connack.properties.receive_maximum or COUNT, COUNT)
    for start in range(0, len(numbers), step):
        part = numbers[start : start + step]
        publisher.send(
            *[Publish(topic_name, one, qos, packet_id=7 + at) for at, one in enumerate(numbered(part))]
        )
        packet_ids = range(7, 7 + len(part)) if qos else range(0)
        for packet_id in packet_ids:
            acknowledgement = publisher.expect(PubAck if qos == 1 else PubRec)
            require_equal(acknowledgement.packet_id, packet_id, "the Packet Identifier of the answer")
            publisher.send(PubRel(packet_id) if qos == 2 else b"")
        for _ in packet_ids if qos == 2 else ():
            publisher.expect(PubComp)


def in_order(client: Client, expected: Sequence[bytes]) -> None:
    """`client` is sent the payloads `expected`, and nothing else."""
    require_equal([client.message().payload for _ in expected], [*expected], "the payloads in their order")
    client.expect_nothing()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def messages_of_one_topic_and_qos_come_in_order(rig: Rig) -> None:
    """Messages of one publisher to one topic come in the order in which they were sent, at each QoS."""
    publisher = rig.connect()
    for qos in (0, 1, 2):
        for granted in (0, 1, 2):
            for label in ("a/b", "a/+", "#"):
                client = rig.connect()
                client.subscribe(rig.topic(label), qos=granted)
                publish_all(publisher, rig.topic("a/b"), qos, range(COUNT))
                rig.settle(publisher)
                with about(f"QoS {qos}, granted {granted}, Topic Filter {label}"):
                    in_order(client, numbered(range(COUNT)))
                client.disconnect()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def messages_that_wait_for_room_come_in_order(rig: Rig) -> None:
    """Messages keep their order when the client takes few at a time and acknowledges late."""
    publisher = rig.connect()
    for qos in (1, 2):
        for receive_maximum in (1, 3):
            client = rig.connect(receive_maximum=receive_maximum)
            client.subscribe(rig.topic(), qos=2)
            publish_all(publisher, rig.topic(), qos, range(20))
            taken = [client.expect(Publish) for _ in range(receive_maximum)]
            publish_all(publisher, rig.topic(), qos, range(20, 40))
            for publish in taken:
                client.confirm(publish)
            came = [publish.payload for publish in taken]
            came += [client.message().payload for _ in range(40 - receive_maximum)]
            require_equal(came, numbered(range(40)), f"the payloads, QoS {qos}, {receive_maximum} at a time")
            client.expect_nothing()
            client.disconnect()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def messages_for_a_client_that_was_away_come_in_order(rig: Rig) -> None:
    """Messages that came while the client was away come in order, and before those that come then."""
    publisher = rig.connect()
    for qos in (1, 2):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=2)
        client.drop()
        publish_all(publisher, rig.topic(), qos, range(40))
        client = rig.connect(client.client_id, clean_start=False)
        publish_all(publisher, rig.topic(), qos, range(40, 60))
        with about(f"QoS {qos}"):
            in_order(client, numbered(range(60)))
        client.disconnect()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def what_is_sent_again_comes_in_order(rig: Rig) -> None:
    """What is sent again comes in the order in which it was sent first, and before all that is new."""
    publisher = rig.connect()
    for qos in (1, 2):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=2)
        publish_all(publisher, rig.topic(), qos, range(10))
        came = [client.expect(Publish) for _ in range(10)]
        for position in (7, 2, 0):  # which need not be in order
            client.confirm(came[position])
        client = resume(rig, client)
        publish_all(publisher, rig.topic(), qos, range(10, 20))
        left = [number for number in range(20) if number not in (7, 2, 0)]
        with about(f"QoS {qos}"):
            in_order(client, [str(number).encode() for number in left])
        client.disconnect()


@statement("MQTT-4.6.0-5", "MQTT-4.6.0-6")
def the_order_is_that_of_each_publisher(rig: Rig) -> None:
    """Of several publishers, topics and QoS mixed, the messages of each of them keep their order."""
    client, publishers = rig.connect(), [rig.connect() for _ in range(3)]
    client.subscribe(rig.topic("#"), qos=2)
    sent: dict[bytes, list[int]] = {}
    for number in range(54):
        who, label, qos = number % 3, number // 3 % 2, number // 6 % 3
        key = f"{who} {label} {qos}"
        sent.setdefault(key.encode(), []).append(number)
        publishers[who].publish(rig.topic(str(label)), f"{key} {number}".encode(), qos)
        rig.settle(publishers[who])
    came: dict[bytes, list[int]] = {}
    for _ in range(54):
        key_of_it, _, text = client.message().payload.rpartition(b" ")
        came.setdefault(key_of_it, []).append(int(text))
    require_equal(came, sent, "the numbers of what came, by publisher, topic and QoS")
    client.expect_nothing()


@statement("MQTT-4.6.0-6")
def every_topic_is_ordered(rig: Rig) -> None:
    """Messages keep their order on each topic, and at several subscribers with several subscriptions."""
    publisher, plain, twice = rig.connect(), rig.connect(), rig.connect()
    plain.subscribe(rig.topic("#"), qos=1)
    twice.subscribe(rig.topic("+"), qos=1, identifier=1)
    for label in ("a", "", " ", "é", "A"):
        twice.subscribe(rig.topic(label), qos=1, identifier=2)
        for number in range(8):
            publisher.publish(rig.topic(label), str(number).encode(), 1, retain=number % 2 == 1)
        with about(f"topic {label!r}"):
            in_order(plain, numbered(range(8)))
            came = [one.payload for one in came_to(rig, twice)]
            copies = len(came) // 8 or 1
            require_equal(came[::copies], numbered(range(8)), "the payloads of one copy of each")
