"""3.1 CONNECT: Keep Alive and the properties that tell the Server what the client takes."""

from __future__ import annotations

from mqttwist.conform.client import AnyPacket, Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import Will
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

# Keep Alive (3.1.2.10)


@statement("MQTT-3.1.2-22", "MQTT-3.2.2-22", slow=True)
def a_client_that_says_nothing_is_sent_away(rig: Rig) -> None:
    """The connection is closed when one and a half times the Keep Alive has passed, and not before it has."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic("will"))
    client = rig.connect(keep_alive=2, will=Will(rig.topic("will"), b"bye"))
    rig.wait(3 - rig.earliness)
    client.expect_silence()
    rig.wait(rig.earliness + rig.lateness)
    client.expect_closed(0x8D)
    require_equal(watcher.message().payload, b"bye", "the payload of the Will: as if the network had failed")


@statement("MQTT-3.1.2-22", slow=True)
def any_packet_keeps_a_client_alive(rig: Rig) -> None:
    """A client that sends any packet in time stays connected; with Keep Alive 0 it need not."""
    silent, client = rig.connect(), rig.connect(keep_alive=2)
    client.send(PingReq())
    client.expect(PingResp)
    for number in range(3):
        rig.wait(1.9)
        client.send(Publish(rig.topic(), str(number).encode()))
    rig.wait(1.9)
    client.send(Subscribe(1, [SubscriptionOptions(rig.topic())]))
    client.expect(SubAck)
    rig.wait(1.9)
    client.expect_nothing()
    silent.expect_nothing()


# Maximum Packet Size (3.1.2.11.4)


def publish_sizes(rig: Rig, publisher: Client, maximum: int, qos: int) -> list[bytes]:
    """Publish messages whose packets are `maximum` - 1, `maximum` + 1 and `maximum` bytes; those that fit."""
    rest = len(Publish(rig.topic(), b"x" * (maximum - 60), qos, packet_id=qos).encode(rig.version)) - (
        maximum - 60
    )
    for size, letter in ((maximum - 1, b"a"), (maximum + 1, b"b"), (maximum, b"c")):
        publisher.publish(rig.topic(), letter * (size - rest), qos)
    return [b"a" * (maximum - 1 - rest), b"c" * (maximum - rest)]


@statement("MQTT-3.1.2-24", "MQTT-3.1.2-25")
def messages_that_are_too_large_are_not_sent(rig: Rig) -> None:
    """A message larger than the client's Maximum Packet Size is left out, to the byte, at each QoS."""
    for maximum in (100, 1000):
        for qos in (0, 1, 2):
            small, large, publisher = rig.connect(maximum_packet_size=maximum), rig.connect(), rig.connect()
            for client in (small, large):
                client.subscribe(rig.topic(), qos=2)
            fitting = publish_sizes(rig, publisher, maximum, qos)
            with about(f"QoS {qos}, Maximum Packet Size {maximum}"):
                for payload in fitting:
                    require_equal(small.message().payload, payload, "the payload")
                    require(len(small.packet_bytes) <= maximum, f"{len(small.packet_bytes)} bytes came")
                small.expect_nothing()
                for _ in range(3):
                    large.message()  # others get them all
                large.expect_nothing()
            small.disconnect()
            large.disconnect()


@statement("MQTT-3.1.2-25")
def a_message_that_is_too_large_counts_as_sent(rig: Rig) -> None:
    """What was left out takes nothing of the client's Receive Maximum, now and after it was away."""
    publisher = rig.connect()
    client = rig.connect(maximum_packet_size=200, receive_maximum=1, persistent=True)
    client.subscribe(rig.topic(), qos=2)
    for qos in (1, 2):
        for _ in range(3):
            publisher.publish(rig.topic(), b"x" * 200, qos)
        publisher.publish(rig.topic(), b"small", qos)
        require_equal(client.message().payload, b"small", "the payload of the message that fits")
    client.drop()
    for qos in (1, 2):
        publisher.publish(rig.topic(), b"x" * 200, qos)
        publisher.publish(rig.topic(), b"small", qos)
    client = rig.connect(
        client.client_id, clean_start=False, persistent=True, maximum_packet_size=200, receive_maximum=1
    )
    for _ in (1, 2):
        require_equal(client.message().payload, b"small", "what waited and fits")
    client.expect_nothing()


@statement("MQTT-3.1.2-24")
def no_packet_is_larger_than_the_client_allows(rig: Rig) -> None:
    """Whatever a client does that allows for small packets only, it is sent none that is larger."""
    for maximum in (20, 30, 40, 60):
        client = rig.open()
        client.send(rig.connect_packet(maximum_packet_size=maximum))
        connack = client.answer()
        if connack is not None:
            require(len(client.packet_bytes) <= maximum, f"a CONNACK of {len(client.packet_bytes)} bytes")
        if connack is None or connack.reason_code:
            client.expect_closed()  # the Server needs more room
            continue
        topic_filters = [SubscriptionOptions(rig.topic(str(number))) for number in range(10)]
        client.send(Subscribe(1, topic_filters[: maximum // 10]))
        client.expect(SubAck)
        require(len(client.packet_bytes) <= maximum, f"a SUBACK of {len(client.packet_bytes)} bytes")
        client.send(Publish(rig.topic("none"), qos=1, packet_id=1))
        client.expect(PubAck)
        require(len(client.packet_bytes) <= maximum, f"a PUBACK of {len(client.packet_bytes)} bytes")
        client.send(b"\x36\0")  # PUBLISH with QoS 3
        goodbye = client.expect_closed()
        size = len(goodbye.encode(rig.version)) if goodbye else 0
        require(size <= maximum, f"a DISCONNECT of {size} bytes")


# Topic Alias Maximum (3.1.2.11.5)


def aliases_of(rig: Rig, subscriber: Client) -> list[int]:
    """The Topic Aliases of the messages that `subscriber` gets, which must be of the right topics."""
    publisher = rig.connect()
    subscriber.subscribe(rig.topic("+"), qos=2)
    aliases: dict[int, str] = {}
    used: list[int] = []
    for number in range(30):
        topic_name = rig.topic(str(number % 10))
        publisher.publish(topic_name, str(number).encode(), qos=number % 3)
        publish = subscriber.message()
        if publish.topic_alias:
            used.append(publish.topic_alias)
            if publish.topic_name:
                aliases[publish.topic_alias] = publish.topic_name
            require_equal(aliases.get(publish.topic_alias), topic_name, "what the Topic Alias stands for")
        else:
            require_equal(publish.topic_name, topic_name, "the Topic Name")
        require_equal(publish.payload, str(number).encode(), "the payload")
    return used


@statement("MQTT-3.1.2-26", "MQTT-3.3.2-11")
def no_topic_alias_is_above_the_maximum(rig: Rig) -> None:
    """The Server uses no Topic Alias above the client's maximum, and each for the topic it was given to."""
    for maximum in (1, 2, 5, 65_535):
        used = aliases_of(rig, rig.connect(topic_alias_maximum=maximum))
        require(max(used, default=0) <= maximum, f"maximum {maximum}, aliases {used}")


@statement("MQTT-3.1.2-27")
def without_a_maximum_there_are_no_topic_aliases(rig: Rig) -> None:
    """The Server uses no Topic Alias when the client's maximum is 0 or absent."""
    require_equal(aliases_of(rig, rig.connect(topic_alias_maximum=0)), [], "aliases with a maximum of 0")
    require_equal(aliases_of(rig, rig.connect()), [], "aliases without a maximum")


# Request Response Information and Request Problem Information (3.1.2.11.6, 3.1.2.11.7)


@statement("MQTT-3.1.2-28")
def response_information_is_sent_on_request_only(rig: Rig) -> None:
    """Response Information is not in a CONNACK when the client asks for none, or does not ask."""
    for client in (rig.connect(request_response_information=0), rig.connect()):
        require_equal(client.connack.properties.response_information, None, "the Response Information")
    rig.connect(request_response_information=1)  # it may be sent then, or not


@statement("MQTT-3.1.2-29")
def no_problem_information_is_sent_that_was_not_requested(rig: Rig) -> None:
    """With Request Problem Information 0, answers have no Reason String and no User Property."""
    client = rig.connect(request_problem_information=0)
    none = rig.topic("none")
    cases: tuple[tuple[AnyPacket, type[SubAck | UnsubAck | Acknowledgement]], ...] = (
        (Subscribe(1, [SubscriptionOptions(rig.topic())]), SubAck),
        (Unsubscribe(2, [none]), UnsubAck),
        (Publish(none, qos=1, packet_id=3), PubAck),
        (Publish("$SYS/broker/uptime", qos=1, packet_id=4), PubAck),
        (Publish("$SYS/broker/uptime", qos=2, packet_id=5), PubRec),
        (PubRel(77), PubComp),
    )
    for packet, kind in cases:
        client.send(packet)
        with about(f"the answer to {packet}"):
            properties = client.expect(kind).properties or Properties()
            said = (properties.reason_string, properties.user_properties)
            require_equal(said, (None, ()), "Reason String and User Properties")


@statement("MQTT-3.1.2-29")
def properties_of_a_message_are_no_problem_information(rig: Rig) -> None:
    """With Request Problem Information 0, the User Properties of a PUBLISH arrive all the same."""
    client = rig.connect(request_problem_information=0)
    client.subscribe(rig.topic())
    rig.connect().publish(rig.topic(), user_properties=(("a", "b"),))
    require_equal(client.message().properties.user_properties, (("a", "b"),), "the User Properties")


@statement("MQTT-3.2.2-19", "MQTT-3.2.2-20")
def a_refusal_fits_into_the_maximum_packet_size(rig: Rig) -> None:
    """A CONNACK has no Reason String or User Property that makes it larger than the client allows."""
    for maximum in (5, 6, 10, 20, 40, 100):
        client = rig.open()
        client.send(rig.connect_packet(authentication_method="conform: none", maximum_packet_size=maximum))
        connack = client.answer()
        if connack is not None:
            require(len(client.packet_bytes) <= maximum, f"{len(client.packet_bytes)} > {maximum}: {connack}")
            require(connack.reason_code >= 0x80, f"expected a refusal, got {connack}")
        client.expect_closed()
