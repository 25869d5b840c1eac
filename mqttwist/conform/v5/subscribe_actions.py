"""3.8.4 SUBSCRIBE: what the Server does."""

from __future__ import annotations

from collections.abc import Sequence

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions


def subscribe_to(client: Client, *wanted: SubscriptionOptions) -> list[int]:
    """Send one SUBSCRIBE for all that is `wanted`: the Reason Codes of its SUBACK."""
    packet_id = client.next_packet_id()
    client.send(Subscribe(packet_id, list(wanted)))
    suback = client.expect(SubAck)
    require_equal(suback.packet_id, packet_id, "the Packet Identifier of SUBACK")
    return suback.reason_codes


@statement("MQTT-3.8.4-1", "MQTT-3.8.4-2")
def subscribe_is_answered(rig: Rig) -> None:
    """SUBSCRIBE is answered by one SUBACK with its Packet Identifier, the first time and each other time."""
    client = rig.connect()
    for packet_id in (1, 2, 255, 256, 65_535, 1, 1):
        client.send(Subscribe(packet_id, [SubscriptionOptions(rig.topic())]))
        require_equal(client.expect_next(SubAck).packet_id, packet_id, "the Packet Identifier of SUBACK")
        client.expect_nothing()


@statement("MQTT-3.8.4-1", "MQTT-3.8.4-2", maximum_subscriptions=2)
def a_refused_subscribe_is_answered(rig: Rig) -> None:
    """SUBSCRIBE is answered by SUBACK with its Packet Identifier when more is asked for than is granted."""
    client = rig.connect()
    for packet_id in range(1, 9):
        client.send(Subscribe(packet_id, [SubscriptionOptions(rig.topic(str(packet_id)))]))
        require_equal(client.expect_next(SubAck).packet_id, packet_id, "the Packet Identifier of SUBACK")
    client.expect_nothing()


@statement("MQTT-3.8.4-1", "MQTT-3.8.4-2")
def many_subscribes_at_once_are_answered(rig: Rig) -> None:
    """Each of many SUBSCRIBEs that come in one piece is answered, with its own Packet Identifier."""
    client = rig.connect()
    packets = [Subscribe(number, [SubscriptionOptions(rig.topic(str(number)))]) for number in range(1, 101)]
    client.send(*packets)
    answered = {client.expect(SubAck).packet_id for _ in packets}
    require_equal(answered, {*range(1, 101)}, "the Packet Identifiers")
    client.expect_nothing()


# The same Topic Filter again


@statement("MQTT-3.8.4-3")
def the_same_topic_filter_replaces_the_subscription(rig: Rig) -> None:
    """A subscription to the same Topic Filter takes the place of the one before: its QoS and its options."""
    for label in ("a", "+", "#"):
        client, publisher = rig.connect(), rig.connect()
        for qos, retain_as_published in ((0, False), (2, True), (1, False), (1, True), (0, True)):
            client.subscribe(
                rig.topic(label), qos=qos, retain_as_published=retain_as_published, retain_handling=2
            )
            publisher.publish(rig.topic("a"), b"payload", 2, retain=True)
            rig.settle(publisher)
            came = [(one.qos, one.retain) for one in came_to(rig, client)]
            with about(f"Topic Filter {label}, QoS {qos}, Retain As Published {retain_as_published}"):
                require_equal(came, [(qos, retain_as_published)], "QoS and RETAIN of what came")
        client.unsubscribe(rig.topic(label))
        publisher.publish(rig.topic("a"), b"payload", 2)
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.8.4-3")
def a_subscription_of_a_resumed_session_is_replaced(rig: Rig) -> None:
    """A subscription to the same Topic Filter takes the place of one that the session had before."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2, identifier=1)
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    client.subscribe(rig.topic(), qos=1, identifier=2)
    publisher.publish(rig.topic(), b"payload", 2)
    came = came_to(rig, client)
    require_equal(len(came), 1, "how many messages came")
    publish = came[0]
    said = (publish.qos, list(publish.subscription_identifiers))
    require_equal(said, (1, [2]), "the QoS and the Subscription Identifiers")


@statement("MQTT-3.8.4-3")
def other_topic_filters_replace_nothing(rig: Rig) -> None:
    """Topic Filters that differ in one character, or that match the same, are subscriptions of their own."""
    labels = ("a/b", "A/b", "a/b/", "a//b", "/a/b", "a/b ", "a/+", "+/b", "a/#", "#")
    client, publisher = rig.connect(), rig.connect()
    for number, label in enumerate(labels, 1):
        client.subscribe(rig.topic(label), identifier=number)
    for label, expected in (
        ("a/b", {1, 7, 8, 9, 10}),
        ("A/b", {2, 8, 10}),
        ("a/b/", {3, 9, 10}),
        ("a//b", {4, 9, 10}),
        ("/a/b", {5, 10}),
        ("a/b ", {6, 7, 9, 10}),
    ):
        publisher.publish(rig.topic(label), b"payload")
        rig.settle(publisher)
        came = {one for copy in came_to(rig, client) for one in copy.subscription_identifiers}
        require_equal(came, expected, f"the Subscription Identifiers of what was published to {label!r}")


@statement("MQTT-3.8.4-4")
def retained_messages_are_sent_again(rig: Rig) -> None:
    """With Retain Handling 0 a subscription that is replaced is sent what is retained, each time."""
    publisher, client = rig.connect(), rig.connect()
    for label in ("a", "b", "c"):
        publisher.publish(rig.topic(label), label.encode(), 1, retain=True)
    for qos in (1, 1, 0, 2):
        client.subscribe(rig.topic("+"), qos=qos, retain_handling=0)
        came = sorted([one.payload for one in came_to(rig, client) if one.retain])
        require_equal(came, [b"a", b"b", b"c"], f"the retained messages that came, QoS {qos}")


@statement("MQTT-3.8.4-4")
def no_message_is_lost_when_a_subscription_is_replaced(rig: Rig) -> None:
    """Messages that come before, between and after subscriptions to the same Topic Filter all arrive."""
    publisher, client = rig.connect(), rig.connect()
    client.subscribe(rig.topic(), qos=1)
    for number in range(30):
        publisher.send(Publish(rig.topic(), str(number).encode(), 1, packet_id=number + 1))
        if number % 3 == 0:
            client.subscribe(rig.topic(), qos=1 + number % 2)
    came = [client.message().payload for _ in range(30)]
    require_equal(came, [str(number).encode() for number in range(30)], "the payloads")
    client.expect_nothing()


@statement("MQTT-3.8.4-4")
def what_waits_is_not_lost_when_a_subscription_is_replaced(rig: Rig) -> None:
    """Messages that are on their way, and that wait for room, arrive after the subscription was replaced."""
    publisher, client = rig.connect(), rig.connect(receive_maximum=2)
    client.subscribe(rig.topic(), qos=2)
    for number in range(6):
        publisher.publish(rig.topic(), str(number).encode(), 1 + number % 2)
    rig.settle(publisher)
    client.subscribe(rig.topic(), qos=2, retain_handling=2)
    client.subscribe(rig.topic(), qos=1, identifier=5)
    came = [client.message().payload for _ in range(6)]
    require_equal(came, [str(number).encode() for number in range(6)], "the payloads")
    client.expect_nothing()


# Several Topic Filters


def what_comes_of(rig: Rig, steps: Sequence[Sequence[SubscriptionOptions]]) -> tuple[list[int], list[object]]:
    """What a SUBSCRIBE for each of the `steps` is answered, and what a new client is sent then."""
    client, publisher = rig.connect(), rig.connect()
    codes = [code for step in steps for code in subscribe_to(client, *step)]
    came = came_to(rig, client)
    for label in ("a", "b", "c"):
        publisher.publish(rig.topic(label), label.encode(), 2)
    rig.settle(publisher)
    came += came_to(rig, client)
    client.disconnect()
    return codes, [(one.topic_name, one.payload, one.qos, one.retain) for one in came]


@statement("MQTT-3.8.4-5")
def several_topic_filters_count_like_several_packets(rig: Rig) -> None:
    """SUBSCRIBE with several Topic Filters does what one after the other does, the same filter twice, too."""
    a, b, every = rig.topic("a"), rig.topic("b"), rig.topic("+")
    rig.connect().publish(a, b"retained", 1, retain=True)
    for wanted in (
        (SubscriptionOptions(a, 1), SubscriptionOptions(b, 2)),
        (SubscriptionOptions(b, 0), SubscriptionOptions(a, 2), SubscriptionOptions(rig.topic("c"), 1)),
        (SubscriptionOptions(a, 0), SubscriptionOptions(a, 2)),
        (SubscriptionOptions(a, 2), SubscriptionOptions(a, 0), SubscriptionOptions(a, 1)),
        (SubscriptionOptions(a, 1, retain_handling=1), SubscriptionOptions(a, 1, retain_handling=1)),
        (SubscriptionOptions(a, 1, retain_handling=2), SubscriptionOptions(a, 1, retain_handling=1)),
        (SubscriptionOptions(every, 1), SubscriptionOptions(a, 2, retain_handling=2)),
        (SubscriptionOptions(every, 0), SubscriptionOptions(b, 1, no_local=True)),
    ):
        together = what_comes_of(rig, [wanted])
        in_turn = what_comes_of(rig, [(one,) for one in wanted])
        with about(f"{wanted}"):
            require_equal(together[0], in_turn[0], "the Reason Codes")
            require_equal(together[0], [one.qos for one in wanted], "the Reason Codes")
            require_equal(together[1], in_turn[1], "what came")
            require(len(together[1]) > 0, "expected messages, none came")


@statement("MQTT-3.8.4-5")
def several_topic_filters_have_one_suback(rig: Rig) -> None:
    """SUBSCRIBE with several Topic Filters has one SUBACK, with the Packet Identifier of the packet."""
    client = rig.connect()
    for packet_id, count in ((5, 2), (6, 3), (7, 50), (5, 1)):
        wanted = [SubscriptionOptions(rig.topic(str(number)), number % 3) for number in range(count)]
        client.send(Subscribe(packet_id, wanted))
        require_equal(client.expect_next(SubAck).packet_id, packet_id, "the Packet Identifier of SUBACK")
        client.expect_nothing()


# Reason Codes and the QoS granted


@statement("MQTT-3.8.4-6", "MQTT-3.8.4-7")
def each_topic_filter_has_a_reason_code(rig: Rig) -> None:
    """SUBACK has as many Reason Codes as there were Topic Filters; each is a QoS up to the requested one."""
    client = rig.connect()
    for count in (1, 2, 3, 10, 100, 1000):
        wanted = [SubscriptionOptions(rig.topic(str(one)), (one * one) % 3) for one in range(count)]
        codes = subscribe_to(client, *wanted)
        require_equal(len(codes), count, "how many Reason Codes came")
        for options, code in zip(wanted, codes, strict=True):
            require(code <= options.qos, f"0x{code:02X} came for QoS {options.qos}")


def granted_is_what_is_sent(rig: Rig) -> None:
    """The QoS of each subscription is at most what SUBACK said, and nothing comes for one that failed."""
    client, publisher = rig.connect(), rig.connect()
    most = publisher.connack.properties.maximum_qos
    wanted = [SubscriptionOptions(rig.topic(str(number)), number % 3) for number in range(6)]
    codes = subscribe_to(client, *wanted)
    require_equal(len(codes), len(wanted), "how many Reason Codes came")
    for options, code in zip(wanted, codes, strict=True):
        require(code <= options.qos or code >= 0x80, f"0x{code:02X} came for QoS {options.qos}")
        for qos in range(3 if most is None else most + 1):
            publisher.publish(options.topic_filter, b"payload", qos)
            rig.settle(publisher)
            came = [one.qos for one in came_to(rig, client)]
            with about(f"requested {options.qos}, Reason Code 0x{code:02X}, published with QoS {qos}"):
                require_equal(came, [min(qos, code)] if code < 0x80 else [], "the QoS of what came")


@statement("MQTT-3.8.4-7", "MQTT-3.8.4-8")
def the_reason_code_shows_the_granted_qos(rig: Rig) -> None:
    """What came is of the QoS that SUBACK granted, or that of the message if it is less."""
    granted_is_what_is_sent(rig)


@statement("MQTT-3.8.4-7", maximum_subscriptions=4)
def the_reason_code_shows_that_a_subscription_failed(rig: Rig) -> None:
    """SUBACK shows which subscriptions failed: nothing comes for them, and all messages for the others."""
    granted_is_what_is_sent(rig)


@statement("MQTT-3.8.4-8")
def retained_and_waiting_messages_have_the_granted_qos(rig: Rig) -> None:
    """Retained messages, and those that waited, come with the QoS granted, or their own if it is less."""
    publisher = rig.connect()
    for qos in (0, 1, 2):
        for granted in (0, 1, 2):
            publisher.publish(rig.topic("kept"), b"kept", qos, retain=True)
            client = rig.connect(persistent=True)
            with about(f"granted {granted}, published with QoS {qos}"):
                subscribe_to(
                    client,
                    SubscriptionOptions(rig.topic("kept"), granted),
                    SubscriptionOptions(rig.topic(), granted),
                )
                require_equal(client.message().qos, min(qos, granted), "the QoS of what was retained")
                client.disconnect()
                publisher.publish(rig.topic(), b"payload", qos)
                rig.settle(publisher)
                client = rig.connect(client.client_id, clean_start=False)
                came = [one.qos for one in came_to(rig, client)]
                require(came in ([], [min(qos, granted)]), f"QoS {came} came of what waited")
                require(came != [] or min(qos, granted) == 0, "the message that waited did not come")
            client.disconnect()
