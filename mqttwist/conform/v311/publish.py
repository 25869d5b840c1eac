"""3.3 PUBLISH: its flags, and what is retained. Delivery has a module of its own."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import publish
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL, refused_wherever_a_string_stands
from mqttwist.conform.v5.publish import keep_two, retained
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require, require_equal

statement("MQTT-3.3.1-1")(publish.what_is_sent_again_has_dup_1)
statement("MQTT-3.3.1-2", "MQTT-4.3.1-1")(publish.dup_is_0_at_qos_0)
statement("MQTT-3.3.1-3")(publish.dup_of_the_publisher_is_not_forwarded)
statement("MQTT-3.3.1-4")(publish.qos_3_is_malformed)
statement("MQTT-3.3.1-5", "MQTT-3.3.1-6")(publish.each_topic_has_a_retained_message_of_its_own)
statement("MQTT-3.3.1-10", "MQTT-3.3.1-11")(publish.an_empty_payload_removes_the_retained_message)
statement("MQTT-3.3.1-12")(publish.without_retain_nothing_is_stored_or_replaced)
statement("MQTT-3.3.2-1")(publish.the_topic_name_must_be_there)
statement("MQTT-3.3.2-2", "MQTT-4.7.1-1")(publish.a_topic_name_has_no_wildcards)
statement("MQTT-3.3.2-3")(publish.the_topic_name_matches_the_topic_filter)


@statement("MQTT-3.3.1-5", "MQTT-3.3.1-8")
def a_retained_message_replaces_the_one_before(rig: Rig) -> None:
    """A PUBLISH with RETAIN 1 and QoS 1 or 2 is stored with its QoS, in the place of the one before."""
    publisher = rig.connect()
    for number, qos in enumerate((1, 2, 2, 1, 1)):
        payload = str(number).encode()
        publisher.publish(rig.topic(), payload, qos, retain=True)
        client = rig.connect()
        client.subscribe(rig.topic(), qos=2)
        message = client.message()
        said = (message.topic_name, message.payload, message.retain, message.qos, message.dup)
        wanted = (rig.topic(), payload, True, qos, False)
        require_equal(said, wanted, "Topic Name, payload, RETAIN, QoS and DUP")
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-3.3.1-6", "MQTT-3.3.1-8")
def a_new_subscription_is_sent_what_is_retained(rig: Rig) -> None:
    """The last retained message of each topic that matches is sent to a new subscription, with RETAIN 1."""
    publisher = keep_two(rig)
    publisher.publish(rig.topic("a/b"), b"three", 1, retain=True)
    for label, wanted in (
        ("a/b", [b"three"]),
        ("a/+", [b"three", b"two"]),
        ("#", [b"three", b"two"]),
        ("+/c", [b"two"]),
        ("a", []),
        ("a/b/+", []),
        ("a/b/#", [b"three"]),
    ):
        with about(f"Topic Filter {label}"):
            require_equal(retained(rig, label, qos=1), wanted, "what is retained")


@statement("MQTT-3.3.1-6")
def the_publisher_need_not_be_there(rig: Rig) -> None:
    """What is retained is sent when its publisher has gone, and to a session that is new or resumed."""
    publisher = rig.connect()
    publisher.publish(rig.topic(), b"kept", 1, retain=True)
    publisher.disconnect()
    client = rig.connect(persistent=True)
    client.disconnect()
    client = rig.connect(client.client_id, persistent=True)
    client.expect_nothing()
    client.subscribe(rig.topic(), qos=1)
    require_equal(client.message().payload, b"kept", "the payload")


@statement("MQTT-3.3.1-7")
def a_retained_message_of_qos_0_discards_the_one_before(rig: Rig) -> None:
    """RETAIN 1 with QoS 0 discards what was retained; the new message may be kept, or none at all."""
    publisher = rig.connect()
    for qos in (1, 2, 0):
        publisher.publish(rig.topic(), b"before", qos, retain=True)
        rig.settle(publisher)
        if qos:
            require_equal(retained(rig), [b"before"], "what is retained before")
        publisher.publish(rig.topic(), b"new", 0, retain=True)
        rig.settle(publisher)
        kept = retained(rig)
        require(kept in ([b"new"], []), f"what is retained: {kept}")


@statement("MQTT-3.3.1-9")
def an_established_subscription_is_sent_retain_0(rig: Rig) -> None:
    """A client that has subscribed already is sent RETAIN 0, whatever the flag was, at each QoS."""
    publisher, client = rig.connect(), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    for qos in (0, 1, 2):
        for retain in (True, False):
            publisher.publish(rig.topic(), b"payload", qos, retain)
            with about(f"published with QoS {qos}, RETAIN {int(retain)}"):
                require_equal(client.message().retain, False, "RETAIN")
    client.expect_nothing()


@statement("MQTT-3.3.1-9")
def what_waited_for_a_client_has_retain_0(rig: Rig) -> None:
    """What was published with RETAIN 1 while the client was away comes with RETAIN 0."""
    publisher, client = rig.connect(), rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    client.disconnect()
    for qos in (1, 2):
        publisher.publish(rig.topic(), b"payload", qos, retain=True)
    client = rig.connect(client.client_id, persistent=True)
    for qos in (1, 2):
        require_equal(client.message().retain, False, f"RETAIN of QoS {qos}")
    client.expect_nothing()


@statement("MQTT-3.3.2-1")
def the_topic_name_must_be_utf_8(rig: Rig) -> None:
    """A Topic Name that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Topic Name")
