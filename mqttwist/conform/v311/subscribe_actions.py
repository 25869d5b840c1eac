"""3.8.4 SUBSCRIBE: what the Server does, and 3.9 SUBACK."""

from __future__ import annotations

from collections.abc import Sequence

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import subscribe_actions
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.subscribe_actions import subscribe_to, what_comes_of
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import CheckFailed, about, require, require_equal
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions

statement("MQTT-3.8.4-1", "MQTT-3.8.4-2")(subscribe_actions.subscribe_is_answered)
statement("MQTT-3.8.4-1", "MQTT-3.8.4-2", maximum_subscriptions=2)(
    subscribe_actions.a_refused_subscribe_is_answered
)
statement("MQTT-3.8.4-1", "MQTT-3.8.4-2")(subscribe_actions.many_subscribes_at_once_are_answered)
statement("MQTT-3.8.4-3")(subscribe_actions.no_message_is_lost_when_a_subscription_is_replaced)
statement("MQTT-3.8.4-4")(subscribe_actions.several_topic_filters_have_one_suback)
statement("MQTT-3.8.4-5", "MQTT-3.8.4-6")(subscribe_actions.the_reason_code_shows_the_granted_qos)
statement("MQTT-3.8.4-5", maximum_subscriptions=4)(
    subscribe_actions.the_reason_code_shows_that_a_subscription_failed
)
statement("MQTT-3.8.4-6")(subscribe_actions.retained_and_waiting_messages_have_the_granted_qos)

# The same Topic Filter again


@statement("MQTT-3.8.4-3")
def the_same_topic_filter_replaces_the_subscription(rig: Rig) -> None:
    """A subscription to the same Topic Filter takes the place of the one before, with its QoS."""
    for label in ("a", "+", "#"):
        client, publisher = rig.connect(), rig.connect()
        for qos in (0, 2, 1, 1, 0):
            client.subscribe(rig.topic(label), qos=qos)
            publisher.publish(rig.topic("a"), b"payload", 2)
            rig.settle(publisher)
            with about(f"Topic Filter {label}, QoS {qos}"):
                require_equal([one.qos for one in came_to(rig, client)], [qos], "the QoS of what came")
        client.unsubscribe(rig.topic(label))
        publisher.publish(rig.topic("a"), b"payload", 2)
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.8.4-3")
def a_subscription_of_a_resumed_session_is_replaced(rig: Rig) -> None:
    """A subscription to the same Topic Filter takes the place of one that the session had before."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    client.disconnect()
    client = rig.connect(client.client_id, persistent=True)
    client.subscribe(rig.topic(), qos=1)
    publisher.publish(rig.topic(), b"payload", 2)
    require_equal([one.qos for one in came_to(rig, client)], [1], "the QoS of what came")
    client.unsubscribe(rig.topic())
    publisher.publish(rig.topic(), b"payload", 2)
    client.expect_nothing()


@statement("MQTT-3.8.4-3", "MQTT-4.7.3-4")
def other_topic_filters_replace_nothing(rig: Rig) -> None:
    """Topic Filters that differ in one character, or match the same, are subscriptions of their own."""
    labels = ("a/b", "A/b", "a/b/", "a//b", "/a/b", "a/b ", "a/+", "+/b", "a/#", "#")
    for label in labels:
        client, publisher = rig.connect(), rig.connect()
        for one in labels:
            client.subscribe(rig.topic(one), qos=1)
        for one in labels:
            if one != label:
                client.unsubscribe(rig.topic(one))
        publisher.publish(rig.topic(label.replace("+", "x").replace("#", "x")), b"payload", 1)
        with about(f"Topic Filter {label!r}"):
            require_equal(client.message().payload, b"payload", "the payload")
            client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.8.4-3")
def retained_messages_are_sent_again(rig: Rig) -> None:
    """A subscription that is replaced is sent what is retained, each time, with RETAIN 1."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    for label in ("a", "b", "c"):
        publisher.publish(rig.topic(label), label.encode(), 1, retain=True)
    for qos in (1, 1, 0, 2):
        client.subscribe(rig.topic("+"), qos=qos)
        came = sorted([(one.payload, one.retain) for one in came_to(rig, client)])
        require_equal(came, [(b"a", True), (b"b", True), (b"c", True)], f"what came, QoS {qos}")
    client.disconnect()
    client = rig.connect(client.client_id, persistent=True)
    client.expect_nothing()  # nobody has asked for them
    client.subscribe(rig.topic("+"))
    require_equal(len(came_to(rig, client)), 3, "how many retained messages came after a resumption")


# Several Topic Filters


@statement("MQTT-3.8.4-4")
def several_topic_filters_count_like_several_packets(rig: Rig) -> None:
    """SUBSCRIBE with several Topic Filters does what one after the other does, the same filter twice, too."""
    a, b, every = rig.topic("a"), rig.topic("b"), rig.topic("+")
    rig.connect().publish(a, b"retained", 1, retain=True)
    for wanted in (
        ((a, 1), (b, 2)),
        ((b, 0), (a, 2), (rig.topic("c"), 1)),
        ((a, 0), (a, 2)),
        ((a, 2), (a, 0), (a, 1)),
        ((b, 1), (every, 0)),
    ):
        steps = [SubscriptionOptions(topic_filter, qos) for topic_filter, qos in wanted]
        together = what_comes_of(rig, [steps])
        in_turn = what_comes_of(rig, [(one,) for one in steps])
        with about(f"{wanted}"):
            require_equal(together[0], in_turn[0], "the return codes")
            require_equal(together[0], [one.qos for one in steps], "the return codes")
            require_equal(together[1], in_turn[1], "what came")
            require(len(together[1]) > 0, "expected messages, none came")


# Return codes


@statement("MQTT-3.8.4-5", "MQTT-3.9.3-1")
def the_return_codes_are_in_the_order_of_the_topic_filters(rig: Rig) -> None:
    """SUBACK has a return code for each Topic Filter, in their order: the QoS granted."""
    client = rig.connect()
    for wanted in ([0], [2], [2, 0, 1], [0, 1, 2, 2, 1, 0], [number * number % 3 for number in range(1000)]):
        packets = [SubscriptionOptions(rig.topic(str(place)), qos) for place, qos in enumerate(wanted)]
        require_equal(subscribe_to(client, *packets), wanted, "the return codes")
        length = len(wanted) + 2
        wanted_length = bytes((length,)) if length < 128 else bytes((length & 127 | 128, length >> 7))
        require_equal(client.packet_bytes[1:-length], wanted_length, "the Remaining Length of SUBACK")


@statement("MQTT-3.9.3-1", maximum_subscriptions=2)
def a_failure_stands_in_its_place(rig: Rig) -> None:
    """Return codes stand in the order of the Topic Filters, those of what is refused among the others."""
    client, publisher = rig.connect(), rig.connect()
    labels = ("a", "b", "c", "a", "d", "b")
    codes = subscribe_to(client, *[SubscriptionOptions(rig.topic(one), 1) for one in labels])
    require_equal(len(codes), len(labels), "how many return codes came")
    require(codes[0] < 0x80, f"expected the first subscription to be granted, got {codes}")
    granted = dict(zip(labels, codes, strict=True))
    for label, code in granted.items():
        publisher.publish(rig.topic(label), label.encode(), 1)
        came = [one.payload for one in came_to(rig, client)]
        require_equal(came, [label.encode()] if code < 0x80 else [], f"what came for {label}, 0x{code:02X}")


def odd_filters(rig: Rig) -> Sequence[str]:
    """Topic Filters that are valid, and that some Servers refuse."""
    return (
        rig.topic("/" * 3000),
        rig.topic("a" * 60_000),
        "$SYS/#",
        "$SYS/broker/+",
        "$",
        f"$queue/{rig.topic()}",
        f"$/{rig.topic('+/#')}",
        rig.topic("ключ/+"),
        " ",
        "/",
    )


def shared_filters(rig: Rig) -> Sequence[str]:
    """Topic Filters that are valid, and of a form that MQTT 5.0 has other plans for."""
    return (f"$share/conform/{rig.topic()}", "$share", "$share/", "$share/conform", "$share//a", "$share/+/a")


def granted_codes(rig: Rig, topic_filter: str, qos: int) -> list[int]:
    """The return codes for one Topic Filter of a new client; none if the Server has closed the connection."""
    client = rig.connect()
    client.send(raw.subscribe(rig.version, topic_filter.encode(), qos))
    try:
        suback = client.expect_next(SubAck)
    except CheckFailed:
        client.expect_closed()
        return []
    client.disconnect()
    return suback.reason_codes


@statement("MQTT-3.9.3-2", maximum_qos=1)
def no_other_return_codes_are_used(rig: Rig) -> None:
    """The return codes of SUBACK are 0x00, 0x01, 0x02 and 0x80, whatever is subscribed to."""
    rig.connect().subscribe(rig.topic())
    for qos in (0, 1, 2):
        for topic_filter in (rig.topic(), *odd_filters(rig), *shared_filters(rig)):
            codes = granted_codes(rig, topic_filter, qos)
            with about(f"Topic Filter {topic_filter[:40]!r}, QoS {qos}"):
                require({*codes} <= {*range(qos + 1), 0x80}, f"the return codes are {codes}")


@statement("MQTT-3.8.4-1")
def each_valid_topic_filter_is_answered(rig: Rig) -> None:
    """A Topic Filter that is valid is answered with SUBACK, however odd it is: granted, or refused."""
    for topic_filter in odd_filters(rig):
        codes = granted_codes(rig, topic_filter, 1)
        with about(f"Topic Filter {topic_filter[:40]!r}"):
            require(codes in ([0], [1], [0x80]), f"expected one return code, got {codes}")


@statement("MQTT-3.8.4-1")
def share_is_a_topic_level_as_others_are(rig: Rig) -> None:
    """A Topic Filter with $share/ is answered with SUBACK: 3.1.1 knows of no shared subscriptions."""
    for topic_filter in shared_filters(rig):
        codes = granted_codes(rig, topic_filter, 1)
        with about(f"Topic Filter {topic_filter!r}"):
            require(codes in ([0], [1], [0x80]), f"expected one return code, got {codes}")


@statement("MQTT-3.8.4-5", "MQTT-3.8.4-6", maximum_qos=1)
def a_lower_qos_may_be_granted(rig: Rig) -> None:
    """SUBACK shows the QoS that was granted also when it is less than requested, and messages have it."""
    client, publisher = rig.connect(), rig.connect()
    for requested in (0, 1, 2):
        [granted] = subscribe_to(client, SubscriptionOptions(rig.topic(), requested))
        require(granted <= requested, f"0x{granted:02X} came for QoS {requested}")
        for qos in (0, 1):
            publisher.publish(rig.topic(), b"payload", qos)
            require_equal(client.message().qos, min(qos, granted), "the QoS of what came")
            client.expect_nothing()
