"""3.3 PUBLISH: its flags, and what is retained. Properties and delivery have modules of their own."""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish

# DUP and QoS (3.3.1.1, 3.3.1.2)


@statement("MQTT-3.3.1-1")
def what_is_sent_again_has_dup_1(rig: Rig) -> None:
    """A PUBLISH with QoS 1 or 2 that is sent again has DUP 1, each time, and 0 at first."""
    publisher = rig.connect()
    for qos in (1, 2):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(str(qos)), qos=qos)
        publisher.publish(rig.topic(str(qos)), b"payload", qos)
        first = client.expect(Publish)
        require_equal(first.dup, False, f"DUP at first, QoS {qos}")
        for _ in range(2):
            client.drop()
            client = rig.connect(client.client_id, clean_start=False, persistent=True)
            again = client.expect(Publish)
            said = (again.dup, again.qos, again.packet_id, again.payload)
            require_equal(
                said, (True, qos, first.packet_id, b"payload"), "DUP, QoS, Packet Identifier, payload"
            )


@statement("MQTT-3.3.1-2")
def dup_is_0_at_qos_0(rig: Rig) -> None:
    """A PUBLISH with QoS 0 is sent with DUP 0, whatever came; one that came with DUP 1 may be refused."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    for qos in (1, 2):
        publisher.send(Publish(rig.topic(), b"payload", qos, packet_id=qos, dup=True))
        publisher.send(PubRel(2) if qos == 2 else b"")  # some Servers send it on no sooner
        subscriber.expect(Publish)
        require_equal(subscriber.packet_bytes[0], 0x30, f"the first byte of what came with DUP and QoS {qos}")
    for flags in (0x8, 0x9):
        publisher = rig.connect()
        publisher.send(raw.publish(rig.version, rig.topic().encode(), flags=flags))
        rig.settle(subscriber)
        if subscriber.has_message():
            require_equal(subscriber.expect(Publish).dup, False, f"DUP of what came with flags 0x{flags:X}")


@statement("MQTT-3.3.1-3")
def dup_of_the_publisher_is_not_forwarded(rig: Rig) -> None:
    """A PUBLISH that came with DUP 1 is sent to subscribers with DUP 0, and another with DUP 0 too."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for packet_id, (qos, dup) in enumerate(((1, True), (1, False), (2, True), (2, False)), 1):
        publisher.send(Publish(rig.topic(), b"payload", qos, packet_id=packet_id, dup=dup))
        if qos == 1:
            publisher.expect(PubAck)
        else:
            publisher.expect(PubRec)
            publisher.send(PubRel(packet_id))
            publisher.expect(PubComp)
        require_equal(subscriber.message().dup, False, f"DUP of what came with DUP {dup}, QoS {qos}")


@statement("MQTT-3.3.1-4")
def qos_3_is_malformed(rig: Rig) -> None:
    """A PUBLISH with both QoS bits set closes the connection, and reaches nobody, whatever DUP and RETAIN."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic())
    for flags in (0x6, 0x7, 0xE, 0xF):
        client = rig.connect()
        client.send(raw.publish(rig.version, rig.topic().encode(), b"", flags, b"\0\1", b"payload"))
        with about(f"flags 0x{flags:X}"):
            client.expect_closed(0x81)
    rig.reaches(subscriber)


# RETAIN (3.3.1.3)


def retained(rig: Rig, label: str = "topic", **options: int) -> list[bytes]:
    """The payloads that a new subscription is sent at once, all of which must have RETAIN 1."""
    client = rig.connect()
    client.subscribe(rig.topic(label), **options)
    rig.settle(client)
    payloads: list[bytes] = []
    while client.has_message():
        publish = client.message()
        require(publish.retain, f"expected RETAIN 1 in {publish}")
        payloads.append(publish.payload)
    client.disconnect()
    return sorted(payloads)


@statement("MQTT-3.3.1-5")
def a_retained_message_replaces_the_one_before(rig: Rig) -> None:
    """A PUBLISH with RETAIN 1 is stored, with its properties, in the place of the one before, at each QoS."""
    publisher = rig.connect()
    for number, qos in enumerate((0, 1, 2, 1, 0)):
        payload = str(number).encode()
        publisher.publish(rig.topic(), payload, qos, retain=True, content_type=f"type {number}")
        rig.settle(publisher)
        client = rig.connect()
        client.subscribe(rig.topic(), qos=2)
        publish = client.message()
        said = (publish.payload, publish.retain, publish.qos, publish.properties.content_type)
        require_equal(said, (payload, True, qos, f"type {number}"), "payload, RETAIN, QoS, Content Type")
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.3.1-5")
def each_topic_has_a_retained_message_of_its_own(rig: Rig) -> None:
    """Retained messages of different topics stand side by side."""
    publisher = rig.connect()
    for topic_name in ("a", "a/b", "A", "a/", "/a", "b"):
        publisher.publish(rig.topic(topic_name), topic_name.encode(), qos=1, retain=True)
    require_equal(retained(rig, "#"), sorted([b"a", b"a/b", b"A", b"a/", b"/a", b"b"]), "what is retained")
    require_equal(retained(rig, "a"), [b"a"], "what is retained for one topic")


@statement("MQTT-3.3.1-6", "MQTT-3.3.1-7")
def an_empty_payload_removes_the_retained_message(rig: Rig) -> None:
    """RETAIN 1 with an empty payload reaches subscribers, removes what is retained, and is not stored."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for qos in (0, 1, 2):
        publisher.publish(rig.topic(), b"kept", 1, retain=True)
        require_equal(subscriber.message().payload, b"kept", "the payload")
        require_equal(retained(rig), [b"kept"], "what is retained")
        for _ in (1, 2):  # there is nothing to remove the second time
            publisher.publish(rig.topic(), b"", qos, retain=True)
            publish = subscriber.message()
            require_equal((publish.payload, publish.retain), (b"", False), "payload and RETAIN")
            require_equal(retained(rig), [], f"what is retained after an empty payload with QoS {qos}")


@statement("MQTT-3.3.1-8")
def without_retain_nothing_is_stored_or_replaced(rig: Rig) -> None:
    """RETAIN 0 stores nothing, and neither replaces nor removes what is retained, empty or not."""
    publisher = rig.connect()
    for qos in (0, 1, 2):
        publisher.publish(rig.topic("none"), b"payload", qos)
        rig.settle(publisher)
    require_equal(retained(rig, "none"), [], "what is retained")
    publisher.publish(rig.topic(), b"kept", 1, retain=True)
    for qos in (0, 1, 2):
        for payload in (b"other", b""):
            publisher.publish(rig.topic(), payload, qos)
            rig.settle(publisher)
            require_equal(retained(rig), [b"kept"], f"what is retained after {payload!r} with QoS {qos}")


def keep_two(rig: Rig) -> Client:
    """Have two messages retained."""
    publisher = rig.connect()
    publisher.publish(rig.topic("a/b"), b"one", 1, retain=True)
    publisher.publish(rig.topic("a/c"), b"two", 1, retain=True)
    return publisher


@statement("MQTT-3.3.1-9")
def retain_handling_0_sends_what_is_retained(rig: Rig) -> None:
    """Retain Handling 0: all that matches is sent, for a new subscription and for one that was there."""
    keep_two(rig)
    for label, expected in (("a/b", 1), ("a/+", 2), ("#", 2), ("+/c", 1), ("a", 0), ("a/#", 2)):
        client = rig.connect()
        for _ in (1, 2):
            client.subscribe(rig.topic(label), qos=1, retain_handling=0)
            for _ in range(expected):
                require(client.message().retain, "expected RETAIN 1")
            with about(f"Topic Filter {label}"):
                client.expect_nothing()


@statement("MQTT-3.3.1-10")
def retain_handling_1_sends_what_is_retained_once(rig: Rig) -> None:
    """Retain Handling 1: what matches is sent when the subscription is new, or new again, only then."""
    keep_two(rig)
    client = rig.connect(persistent=True)
    client.subscribe(rig.topic("a/+"), qos=1, retain_handling=1)
    for _ in (1, 2):
        require(client.message().retain, "expected RETAIN 1")
    for qos in (1, 0, 2):
        client.subscribe(rig.topic("a/+"), qos=qos, retain_handling=1)
        client.expect_nothing()
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    client.subscribe(rig.topic("a/+"), qos=1, retain_handling=1)
    client.expect_nothing()
    client.unsubscribe(rig.topic("a/+"))
    client.subscribe(rig.topic("a/+"), qos=1, retain_handling=1)
    for _ in (1, 2):
        require(client.message().retain, "expected RETAIN 1")
    client.expect_nothing()


@statement("MQTT-3.3.1-11")
def retain_handling_2_sends_nothing(rig: Rig) -> None:
    """Retain Handling 2: what is retained is not sent, what comes then is."""
    publisher, client = keep_two(rig), rig.connect()
    for _ in (1, 2):
        client.subscribe(rig.topic("a/+"), qos=1, retain_handling=2)
        client.expect_nothing()
    publisher.publish(rig.topic("a/b"), b"new", 1)
    require_equal(client.message().payload, b"new", "the payload")


@statement("MQTT-3.3.1-12", "MQTT-3.3.1-13")
def retain_as_published_keeps_the_flag(rig: Rig) -> None:
    """RETAIN is forwarded as it was published with Retain As Published 1, and is 0 without it."""
    publisher, plain, faithful = rig.connect(), rig.connect(), rig.connect()
    plain.subscribe(rig.topic(), qos=2)
    faithful.subscribe(rig.topic(), qos=2, retain_as_published=True)
    for qos in (0, 1, 2):
        for retain in (True, False):
            publisher.publish(rig.topic(), b"payload", qos, retain)
            with about(f"published with QoS {qos}, RETAIN {retain}"):
                require_equal(plain.message().retain, False, "RETAIN without Retain As Published")
                require_equal(faithful.message().retain, retain, "RETAIN with Retain As Published")


# Topic Name (3.3.2.1)


@statement("MQTT-3.3.2-1")
def the_topic_name_must_be_there(rig: Rig) -> None:
    """A PUBLISH that ends before or inside its Topic Name, or has none, closes the connection."""
    for data in (
        b"\x30\0",
        b"\x30\1\0",
        b"\x30\2\0\5",
        b"\x30\5\0\5top",
        b"\x30\3\0\0\0",
        b"\x32\5\0\0\0\1\0",
    ):
        client = rig.connect()
        client.send(data)
        with about(f"PUBLISH {data!r}"):
            client.expect_closed()


@statement("MQTT-3.3.2-2")
def a_topic_name_has_no_wildcards(rig: Rig) -> None:
    """A PUBLISH to a Topic Name with + or # in it, wherever, is refused, and reaches nobody."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic("#"))
    for label in ("+", "#", "a/+", "+/a", "a/+/b", "a/#", "a#", "#a", "a+", "+a", "a+b"):
        for qos in (0, 1, 2):
            client = rig.connect()
            packet_id = b"\0\1" if qos else b""
            client.send(raw.publish(rig.version, rig.topic(label).encode(), b"", qos << 1, packet_id))
            with about(f"Topic Name with {label}, QoS {qos}"):
                client.expect_closed(0x81, 0x82, 0x90)
    rig.reaches(subscriber)


@statement("MQTT-3.3.2-3")
def the_topic_name_matches_the_topic_filter(rig: Rig) -> None:
    """A client is sent the messages whose Topic Name matches its Topic Filter, under that name, no others."""
    names = ("a", "a/b", "a/b/c", "A", "a/", "/a", "b/a", "ab", "a/bc", " a", "a//b")
    for label, matching in (
        ("a", ("a",)),
        ("a/b", ("a/b",)),
        ("a/+", ("a/b", "a/", "a/bc")),
        ("+/b", ("a/b",)),
        ("a/#", ("a", "a/b", "a/b/c", "a/", "a/bc", "a//b")),
        ("+", ("a", "A", "ab", " a")),
        ("+/+", ("a/b", "a/", "/a", "b/a", "a/bc")),
        ("#", names),
        ("a/+/b", ("a//b",)),
    ):
        client, publisher = rig.connect(), rig.connect()
        client.subscribe(rig.topic(label), qos=1)
        for name in names:
            publisher.publish(rig.topic(name), name.encode(), 1)
        with about(f"Topic Filter {label}"):
            for name in matching:
                publish = client.message()
                said = (publish.topic_name, publish.payload)
                require_equal(said, (rig.topic(name), name.encode()), "Topic Name and payload")
            client.expect_nothing()
        client.disconnect()
