"""3.3.2.3 PUBLISH: its properties."""

from __future__ import annotations

from typing import Any

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL, refused_wherever_a_string_stands
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish


def arrives_unaltered(rig: Rig, **properties: Any) -> None:
    """A message with these `properties` arrives with them alone.

    In each version of its way: at each QoS, at a client that was away, and as a retained message.
    """
    publisher, online, away = rig.connect(), rig.connect(), rig.connect(persistent=True)
    for client in (online, away):
        client.subscribe(rig.topic(), qos=2, retain_handling=2)
    away.disconnect()
    for qos in (0, 1, 2):
        publisher.publish(rig.topic(), b"payload", qos, True, **properties)
        with about(f"published with QoS {qos}"):
            require_equal(online.message().properties, Properties(**properties), "the properties")
    rig.settle(publisher)
    late = rig.connect()
    late.subscribe(rig.topic(), qos=2)
    require_equal(late.message().properties, Properties(**properties), "those of the retained message")
    back = rig.connect(away.client_id, clean_start=False, persistent=True)
    for _ in (1, 2):  # QoS 0 may have been left out
        require_equal(back.message().properties, Properties(**properties), "those of what waited")
    for client in (online, late, back):
        client.disconnect()


@statement("MQTT-3.3.2-4")
def the_payload_format_indicator_arrives_unaltered(rig: Rig) -> None:
    """The Payload Format Indicator reaches subscribers as it came: 0, 1, or absent."""
    for indicator in (0, 1, None):
        arrives_unaltered(rig, payload_format_indicator=indicator)


@statement("MQTT-3.3.2-15")
def the_response_topic_arrives_unaltered(rig: Rig) -> None:
    """The Response Topic reaches subscribers as it came."""
    for response_topic in (rig.topic("answer"), "a", "/", "$SYS/ключ", "\ufeffa b"):
        arrives_unaltered(rig, response_topic=response_topic)


@statement("MQTT-3.3.2-16")
def the_correlation_data_arrives_unaltered(rig: Rig) -> None:
    """The Correlation Data reaches subscribers as they came: none, of every byte, long."""
    for data in (b"", b"\0", bytes(range(256)), b"\xff" * 65_535):
        arrives_unaltered(rig, correlation_data=data)


@statement("MQTT-3.3.2-20")
def the_content_type_arrives_unaltered(rig: Rig) -> None:
    """The Content Type reaches subscribers as it came."""
    for content_type in ("", "text/plain; charset=utf-8", "ключ", "x" * 65_535):
        arrives_unaltered(rig, content_type=content_type)


@statement("MQTT-3.3.2-17", "MQTT-3.3.2-18")
def user_properties_arrive_unaltered_and_in_order(rig: Rig) -> None:
    """All User Properties reach subscribers as they came and in their order, also with other properties."""
    pairs = (("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("a", "0"), ("ключ", "🦆"), ("B", "x" * 1000))
    arrives_unaltered(rig, user_properties=pairs)
    arrives_unaltered(rig, user_properties=tuple((f"name {one}", "value") for one in range(50)))
    arrives_unaltered(rig, user_properties=pairs, content_type="type", correlation_data=b"data")


@statement("MQTT-3.3.2-17", "MQTT-3.3.2-18")
def user_properties_among_other_properties_keep_their_order(rig: Rig) -> None:
    """User Properties that stand before, between and after other properties reach subscribers in order."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic())
    pairs = [b"\x26" + raw.string(name) + raw.string(value) for name, value in ((b"b", b"1"), (b"a", b"2"))]
    mixed = pairs[0] + b"\x03" + raw.string(b"type") + pairs[1] + b"\x01\x01" + pairs[0]
    rig.connect().send(raw.publish(rig.version, rig.topic().encode(), mixed))
    publish = subscriber.message()
    expected = Properties(
        payload_format_indicator=1, content_type="type", user_properties=(("b", "1"), ("a", "2"), ("b", "1"))
    )
    require_equal(publish.properties, expected, "the properties")


@statement("MQTT-3.3.2-13")
def the_response_topic_must_be_utf_8(rig: Rig) -> None:
    """A Response Topic that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Response Topic")


@statement("MQTT-3.3.2-14")
def the_response_topic_has_no_wildcards(rig: Rig) -> None:
    """A Response Topic with + or # in it, wherever, closes the connection."""
    wildcards = {text: text.encode() for text in ("+", "#", "a/+", "+/a", "a/+/b", "a/#", "a+", "#a")}
    refused_wherever_a_string_stands(rig, wildcards, "Response Topic")


@statement("MQTT-3.3.2-19")
def the_content_type_must_be_utf_8(rig: Rig) -> None:
    """A Content Type that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Content Type")


@statement("MQTT-3.3.2-1")
def the_topic_name_must_be_utf_8(rig: Rig) -> None:
    """A Topic Name that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Topic Name")


# Message Expiry Interval (3.3.2.3.3)


@statement("MQTT-3.3.2-5", slow=True)
def an_expired_message_is_not_delivered(rig: Rig) -> None:
    """A message whose interval has passed is not sent to a client that was away, was full, or comes later."""
    publisher, away = rig.connect(), rig.connect(persistent=True)
    full = rig.connect(receive_maximum=1)
    for client in (away, full):
        client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"first", 1)
    first = full.expect(Publish)
    away.message()
    away.disconnect()
    for qos in (1, 2):
        publisher.publish(rig.topic(), b"brief", qos, retain=True, message_expiry_interval=1)
        publisher.publish(rig.topic("other"), b"brief", qos, retain=True, message_expiry_interval=1)
        publisher.publish(rig.topic(), b"long", qos, message_expiry_interval=60)
    rig.wait(4)
    full.confirm(first)
    back = rig.connect(away.client_id, clean_start=False, persistent=True)
    for what, client in (("who was full", full), ("who was away", back)):
        with about(f"the client {what}"):
            for _ in (1, 2):
                require_equal(client.message().payload, b"long", "the payload")
            client.expect_nothing()
    late = rig.connect()
    late.subscribe(rig.topic("#"))
    late.expect_nothing()


@statement("MQTT-3.3.2-6")
def the_message_expiry_interval_arrives(rig: Rig) -> None:
    """The Message Expiry Interval is sent on as it came, when no time has passed; none is added."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for interval in (10, 65_536, 0xFFFF_FFFF, None):
        for qos in (0, 1, 2):
            publisher.publish(rig.topic(), b"payload", qos, message_expiry_interval=interval)
            came = subscriber.message().properties.message_expiry_interval
            soon = (interval, interval and interval - 1)  # a second may just have passed
            require(came in soon, f"expected a Message Expiry Interval of {interval}, got {came}")


@statement("MQTT-3.3.2-6", slow=True)
def the_message_expiry_interval_counts_down(rig: Rig) -> None:
    """The Message Expiry Interval is less by the time that the message was kept, waiting or retained."""
    publisher, away = rig.connect(), rig.connect(persistent=True)
    away.subscribe(rig.topic(), qos=2)
    away.disconnect()
    for qos in (1, 2):
        publisher.publish(rig.topic(), b"payload", qos, retain=True, message_expiry_interval=100)
    rig.wait(3)
    back = rig.connect(away.client_id, clean_start=False, persistent=True)
    late = rig.connect()
    late.subscribe(rig.topic(), qos=2)
    for client in (back, back, late):
        came = client.message().properties.message_expiry_interval
        require(came in (96, 97, 98), f"expected a Message Expiry Interval of about 97, got {came}")


# Topic Alias (3.3.2.3.4)


def with_aliases(rig: Rig, client_id: str = "", **options: Any) -> tuple[Client, int]:
    """A client, and the greatest Topic Alias that it may use, at least 1."""
    client = rig.connect(client_id, **options)
    maximum = client.connack.properties.topic_alias_maximum or 0
    if not maximum:
        raise NotApplicable("the Server takes no Topic Aliases")
    return client, maximum


@statement("MQTT-3.3.2-7")
def topic_aliases_end_with_the_connection(rig: Rig) -> None:
    """A Topic Alias of one connection is unknown on the next one of the same session, and on others."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic())
    first, _ = with_aliases(rig, persistent=True)
    first.publish(rig.topic(), b"payload", topic_alias=1)
    first.publish("", b"payload", topic_alias=1)
    for _ in (1, 2):
        require_equal(subscriber.message().topic_name, rig.topic(), "the Topic Name")
    other, _ = with_aliases(rig)
    other.send(Publish("", b"stray", properties=Properties(topic_alias=1)))
    other.expect_closed(0x82, 0x94)
    again, _ = with_aliases(rig, first.client_id, clean_start=False, persistent=True)
    require(again.connack.session_present, "the session is gone")
    again.send(Publish("", b"stray", properties=Properties(topic_alias=1)))
    again.expect_closed(0x82, 0x94)
    subscriber.expect_nothing()


@statement("MQTT-3.3.2-8")
def topic_alias_0_is_refused(rig: Rig) -> None:
    """A PUBLISH with Topic Alias 0 closes the connection, with a Topic Name or without one."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic())
    for topic_name in (rig.topic().encode(), b""):
        client = rig.connect()
        client.send(raw.publish(rig.version, topic_name, b"\x23\0\0"))
        client.expect_closed()
    rig.reaches(subscriber)


@statement("MQTT-3.3.2-12")
def every_topic_alias_up_to_the_maximum_is_accepted(rig: Rig) -> None:
    """Topic Aliases from 1 to the Server's maximum stand for the topics given to them last."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic("+"))
    client, maximum = with_aliases(rig)
    aliases = range(1, maximum + 1) if maximum <= 100 else (1, 2, 50, 255, 256, maximum - 1, maximum)
    for turn in ("first", "second"):
        for alias in aliases:
            topic_name = rig.topic(f"{turn} {alias}")
            client.publish(topic_name, b"named", topic_alias=alias)
            require_equal(subscriber.message().topic_name, topic_name, "the Topic Name")
        for alias in reversed(aliases):
            client.publish("", b"aliased", topic_alias=alias, qos=alias % 3)
            publish = subscriber.message()
            said = (publish.topic_name, publish.payload)
            require_equal(said, (rig.topic(f"{turn} {alias}"), b"aliased"), "Topic Name and payload")


@statement("MQTT-3.3.2-12")
def an_unknown_topic_alias_is_refused(rig: Rig) -> None:
    """An empty Topic Name with a Topic Alias that stands for nothing closes the connection."""
    client, _ = with_aliases(rig)
    client.send(Publish("", b"stray", properties=Properties(topic_alias=1)))
    client.expect_closed(0x82, 0x94)
