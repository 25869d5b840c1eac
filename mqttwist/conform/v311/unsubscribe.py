"""3.10 UNSUBSCRIBE, and its answer."""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import unsubscribe
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.packet import frame
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import UnsubAck, Unsubscribe

statement("MQTT-3.10.1-1")(unsubscribe.unsubscribe_with_other_flags_closes_the_connection)
statement("MQTT-3.10.4-2")(unsubscribe.no_new_messages_are_added)
statement("MQTT-3.10.4-3")(unsubscribe.a_delivery_that_was_begun_is_completed)
statement("MQTT-3.10.4-3")(unsubscribe.a_delivery_that_was_begun_is_completed_later)
statement("MQTT-3.10.4-4", "MQTT-3.10.4-5")(unsubscribe.many_unsubscribes_at_once_are_answered)
statement("MQTT-3.10.3-1")(unsubscribe.the_topic_filter_of_unsubscribe_is_utf_8)

HEAD = b"\0\1"  # Packet Identifier 1

# The packet


@statement("MQTT-3.10.3-1")
def the_topic_filters_of_unsubscribe_stand_side_by_side(rig: Rig) -> None:
    """UNSUBSCRIBE that is cut inside a Topic Filter, or has bytes after the last, closes the connection."""
    topic = raw.string(rig.topic().encode())
    for body in (topic[:-1], topic[:1], topic + b"\0", topic + b"\0\1", topic + topic[:-1], topic + b"\1"):
        client = rig.connect()
        client.send(frame(0xA2, HEAD + body))
        with about(f"UNSUBSCRIBE with {body!r}"):
            client.expect_closed()


@statement("MQTT-3.10.3-2")
def unsubscribe_has_a_topic_filter(rig: Rig) -> None:
    """UNSUBSCRIBE without a Topic Filter closes the connection."""
    for body in (HEAD, b"", b"\0"):
        client = rig.connect()
        client.send(frame(0xA2, body))
        with about(f"UNSUBSCRIBE with {body!r}"):
            client.expect_closed()


# What the Server does


def came(rig: Rig, client: Client) -> list[str]:
    """The payloads of all that has come to `client`, acknowledged."""
    return [one.payload.decode() for one in came_to(rig, client)]


@statement("MQTT-3.10.4-1")
def a_subscription_ends_by_its_own_topic_filter_only(rig: Rig) -> None:
    """UNSUBSCRIBE ends the subscription of the very same Topic Filter, and no other that would match."""
    labels = ("a/b", "a/+", "+/b", "a/#", "#", "A/b", "a/b/", "/a/b", "a//b", " a/b", "+/+")
    publisher = rig.connect()
    for label in ("a/b", "a/+", "#"):
        client = rig.connect()
        client.subscribe(rig.topic(label), qos=1)
        for other in labels:
            if other != label:
                client.unsubscribe(rig.topic(other))
        publisher.publish(rig.topic("a/b"), b"payload", 1)
        with about(f"Topic Filter {label}"):
            require_equal(came(rig, client), ["payload"], "what came")
            client.unsubscribe(rig.topic(label))
            publisher.publish(rig.topic("a/b"), b"payload", 1)
            client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.10.4-1")
def the_subscriptions_of_others_stay(rig: Rig) -> None:
    """UNSUBSCRIBE ends a subscription of its own client, not those of others to the same Topic Filter."""
    client, other, publisher = rig.connect(), rig.connect(), rig.connect()
    for one in (client, other):
        one.subscribe(rig.topic("+"), qos=1)
    client.unsubscribe(rig.topic("+"))
    publisher.publish(rig.topic("a"), b"payload", 1)
    require_equal(other.message().payload, b"payload", "what came to the other client")
    client.expect_nothing()


@statement("MQTT-3.10.4-2")
def what_is_published_in_turn_comes_before_unsubscribe_only(rig: Rig) -> None:
    """A client that publishes to itself gets what came before its UNSUBSCRIBE, nothing of what came after."""
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    client.send(
        Publish(rig.topic(), b"before"), Unsubscribe(9, [rig.topic()]), Publish(rig.topic(), b"after")
    )
    client.expect(UnsubAck)
    require_equal(came(rig, client), ["before"], "what came")


@statement("MQTT-3.10.4-4")
def unsubscribe_is_answered(rig: Rig) -> None:
    """UNSUBSCRIBE is answered by one UNSUBACK, which is its Packet Identifier and nothing more."""
    client = rig.connect()
    for packet_id in (1, 2, 255, 256, 65_535, 1):
        client.subscribe(rig.topic())
        client.send(Unsubscribe(packet_id, [rig.topic()]))
        client.expect_next(UnsubAck)
        require_equal(client.packet_bytes, b"\xb0\2" + packet_id.to_bytes(2, "big"), "UNSUBACK")
        client.expect_nothing()


@statement("MQTT-3.10.4-5")
def unsubscribe_from_nothing_is_answered(rig: Rig) -> None:
    """UNSUBSCRIBE is answered although it ends no subscription: never made, or ended already."""
    client = rig.connect()
    client.unsubscribe(rig.topic("never"))
    client.subscribe(rig.topic("a"))
    for _ in (1, 2, 3):
        client.unsubscribe(rig.topic("a"))
    for topic_filter in ("#", "+/+", "/", f"$SYS/{rig.topic()}", rig.topic("a" * 10_000)):
        client.unsubscribe(topic_filter)
    client.expect_nothing()


@statement("MQTT-3.10.4-6")
def several_topic_filters_of_unsubscribe_have_one_unsuback(rig: Rig) -> None:
    """UNSUBSCRIBE with several Topic Filters ends each subscription, and is answered once."""
    client, publisher = rig.connect(), rig.connect()
    for wanted in (["a", "b"], ["b", "none", "a"], ["none", "nothing"], ["a", "a", "c"], ["c", "+", "a"]):
        for label in ("a", "b", "c"):
            client.subscribe(rig.topic(label), qos=1)
        client.send(Unsubscribe(77, [rig.topic(label) for label in wanted]))
        client.expect_next(UnsubAck)
        require_equal(client.packet_bytes, b"\xb0\2\0\x4d", "UNSUBACK")
        for label in ("a", "b", "c"):
            publisher.publish(rig.topic(label), label.encode(), 1)
        rig.settle(publisher)
        left = [label for label in ("a", "b", "c") if label not in wanted]
        require_equal(came(rig, client), left, f"what came after UNSUBSCRIBE of {wanted}")
