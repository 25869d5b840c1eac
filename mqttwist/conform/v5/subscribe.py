"""3.8 SUBSCRIBE: the packet. What the Server does then has a module of its own."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL, refused_wherever_a_string_stands
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.packet import SUBSCRIBE, frame
from mqttwist.wire.subscribe import SubAck

HEAD: Final = b"\0\1\0"  # Packet Identifier 1, no properties


@statement("MQTT-3.8.1-1")
def subscribe_with_other_flags_closes_the_connection(rig: Rig) -> None:
    """SUBSCRIBE with other flags than 0010 closes the connection, and subscribes to nothing."""
    publisher = rig.connect()
    body = raw.subscribe(rig.version, rig.topic().encode(), 1)[2:]
    for flags in {*range(16)} - {2}:
        client = rig.connect(persistent=True)
        client.send(frame(SUBSCRIBE << 4 | flags, body))
        with about(f"flags 0x{flags:X}"):
            client.expect_closed(0x81)
            publisher.publish(rig.topic(), b"payload", 1)
            rig.connect(client.client_id, clean_start=False).expect_nothing()


@statement("MQTT-3.8.3-1")
def the_topic_filter_is_utf_8(rig: Rig) -> None:
    """A Topic Filter of SUBSCRIBE that is ill-formed UTF-8, or has U+0000, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Topic Filter of SUBSCRIBE")


@statement("MQTT-3.8.3-1")
def each_topic_filter_is_utf_8(rig: Rig) -> None:
    """An ill-formed Topic Filter closes the connection when it comes after a right one, too."""
    first = b"\0\1" + raw.listed(rig.version) + raw.string(rig.topic().encode()) + b"\1"
    for what, text in (ILL_FORMED | NULL).items():
        client = rig.connect()
        client.send(frame(0x82, first + raw.string(text) + b"\1"))
        with about(what):
            client.expect_closed(0x81, 0x82)


@statement("MQTT-3.8.3-2")
def subscribe_has_a_topic_filter_with_its_options(rig: Rig) -> None:
    """SUBSCRIBE without a Topic Filter, or with one that lacks its options, closes the connection."""
    topic = raw.string(rig.topic().encode())
    identifier = b"\0\1\2\x0b\5"
    for body in (
        HEAD,
        identifier,
        HEAD + topic,
        HEAD + topic[:-1],
        HEAD + topic[:1],
        HEAD + topic + b"\1" + topic,
        identifier + topic,
    ):
        client = rig.connect()
        client.send(frame(0x82, body))
        with about(f"SUBSCRIBE with {body!r}"):
            client.expect_closed(0x81, 0x82)


@statement("MQTT-3.8.3-3")
def no_local_keeps_own_messages_away(rig: Rig) -> None:
    """With No Local a client is sent no message that it has published, at each QoS, but all of others."""
    for topic_filter in (rig.topic("a"), rig.topic("+"), rig.topic("#")):
        client, other = rig.connect(), rig.connect()
        client.subscribe(topic_filter, qos=2, no_local=True)
        other.subscribe(topic_filter, qos=2, no_local=True)
        for qos in (0, 1, 2):
            for publisher, receiver in ((client, other), (other, client)):
                publisher.publish(rig.topic("a"), str(qos).encode(), qos)
                with about(f"{topic_filter}, QoS {qos}"):
                    require_equal(receiver.message().payload, str(qos).encode(), "the payload")
                    receiver.expect_nothing()
                    publisher.expect_nothing()
        client.disconnect()
        other.disconnect()


@statement("MQTT-3.8.3-3")
def without_no_local_own_messages_come(rig: Rig) -> None:
    """No Local counts for its subscription only: not for one that overlaps it, or takes its place."""
    client = rig.connect()
    for no_local in (True, False, True, False):
        client.subscribe(rig.topic("a"), qos=1, no_local=no_local)
        client.publish(rig.topic("a"), b"payload", 1)
        if not no_local:
            require_equal(client.message().payload, b"payload", "the payload")
        client.expect_nothing()
    client.subscribe(rig.topic("a"), qos=1, no_local=True)
    client.subscribe(rig.topic("#"), qos=0)
    client.publish(rig.topic("a"), b"payload", 1)
    require_equal(client.message().qos, 0, "the QoS of the subscription without No Local")
    client.expect_nothing()


@statement("MQTT-3.8.3-3")
def no_local_is_kept_with_the_session(rig: Rig) -> None:
    """No Local counts by the Client Identifier: on another connection, and for what waited."""
    client = rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1, no_local=True)
    client.publish(rig.topic(), b"one", 1)
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    client.expect_nothing()
    client.publish(rig.topic(), b"two", 1)
    client.expect_nothing()
    rig.connect().publish(rig.topic(), b"three", 1)
    require_equal(client.message().payload, b"three", "the payload")


@statement("MQTT-3.8.3-4")
def no_local_on_a_shared_subscription_closes_the_connection(rig: Rig) -> None:
    """No Local on a Shared Subscription is a Protocol Error, with each QoS and after a right filter, too."""
    shared = raw.string(f"$share/group/{rig.topic()}".encode())
    first = raw.string(rig.topic().encode()) + b"\4"
    for options in (0x04, 0x05, 0x06, 0x0C, 0x24):
        for before in (b"", first):
            client = rig.connect()
            client.send(frame(0x82, HEAD + before + shared + bytes((options,))))
            with about(f"options 0x{options:02X}, after {before!r}"):
                client.expect_closed(0x82)


@statement("MQTT-3.8.3-5")
def reserved_bits_of_the_options_are_malformed(rig: Rig) -> None:
    """Subscription Options with bit 6 or 7 close the connection, wherever; those without do not."""
    topic = raw.string(rig.topic().encode())
    for valid in (0x00, 0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x2E):
        client = rig.connect()
        client.send(frame(0x82, HEAD + topic + bytes((valid,))))
        require_equal(client.expect(SubAck).reason_codes, [valid & 3], f"what 0x{valid:02X} is answered")
        client.disconnect()
        for reserved in (0x40, 0x80, 0xC0):
            options = topic + bytes((reserved | valid,))
            for body in (options, topic + b"\0" + options, options + topic + b"\0"):
                client = rig.connect()
                client.send(frame(0x82, HEAD + body))
                with about(f"options 0x{reserved | valid:02X}"):
                    client.expect_closed(0x81)
