"""3.1 CONNECT: the Will."""

from __future__ import annotations

from typing import Any

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.connect import closed_by, own_id
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.connect import Will
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish


def will(rig: Rig, qos: int = 0, retain: bool = False, **properties: Any) -> Will:
    return Will(rig.topic("will"), b"bye", qos, retain, Properties(**properties))


def watching(rig: Rig) -> Client:
    """A client that subscribes to the topic of `will`."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic("will"), qos=2)
    return watcher


def sent(watcher: Client) -> None:
    """The will was published, once."""
    require_equal(watcher.message().payload, b"bye", "the payload of the Will")
    watcher.expect_nothing()


@statement("MQTT-3.1.2-7", "MQTT-3.1.2-8")
def the_will_is_published_when_the_connection_is_closed(rig: Rig) -> None:
    """The Will is published when the network fails, and not before."""
    for persistent in (False, True):
        watcher = watching(rig)
        client = rig.connect(will=will(rig), persistent=persistent)
        client.publish(rig.topic("other"), qos=1)
        watcher.expect_nothing()
        client.drop()
        sent(watcher)
        watcher.disconnect()


@statement("MQTT-3.1.2-8")
def the_will_is_published_when_the_client_breaks_the_protocol(rig: Rig) -> None:
    """The Will is published when the Server closes the connection because of a fault."""
    watcher = watching(rig)
    for data in (b"\0\0", b"\x36\0", rig.connect_packet().encode(), b"\xe0\1\x03"):
        client = rig.connect(will=will(rig))
        client.send(data)
        client.expect_closed()
        with about(f"after {data[:4]!r}"):
            sent(watcher)


@statement("MQTT-3.1.2-8")
def the_will_is_published_on_request(rig: Rig) -> None:
    """The Will is published after a DISCONNECT with another Reason Code than 0x00."""
    watcher = watching(rig)
    for reason_code in (0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99):
        rig.connect(will=will(rig)).disconnect(reason_code)
        with about(f"after DISCONNECT with 0x{reason_code:02X}"):
            sent(watcher)


@statement("MQTT-3.1.2-8", "MQTT-3.1.2-10")
def the_will_is_deleted_by_disconnect(rig: Rig) -> None:
    """After DISCONNECT with 0x00 the Will is not published, with or without a delay, then or later."""
    watcher = watching(rig)
    for delay in (None, 1):
        for persistent in (False, True):
            client = rig.connect(will=will(rig, will_delay_interval=delay), persistent=persistent)
            client.disconnect()
            watcher.expect_nothing()
            rig.connect(client.client_id, clean_start=False, persistent=persistent).drop()
            watcher.expect_nothing()
            rig.connect(client.client_id, clean_start=True)  # ends the session
            watcher.expect_nothing()
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.1.2-10")
def a_will_is_published_once(rig: Rig) -> None:
    """A Will that was published is removed: the next connection of the session has none."""
    watcher = watching(rig)
    client = rig.connect(will=will(rig), persistent=True)
    client.drop()
    sent(watcher)
    rig.connect(client.client_id, clean_start=False, persistent=True).drop()
    watcher.expect_nothing()
    rig.connect(client.client_id, clean_start=True)
    watcher.expect_nothing()


@statement("MQTT-3.1.2-8")
def the_will_is_published_when_another_takes_over(rig: Rig) -> None:
    """The Will is published at a take-over, unless it has a delay and Clean Start is 0."""
    watcher = watching(rig)
    for delay, clean_start, is_sent in (
        (None, True, True),
        (None, False, True),
        (60, True, True),
        (60, False, False),
    ):
        client = rig.connect(will=will(rig, will_delay_interval=delay), persistent=True)
        rig.connect(client.client_id, clean_start=clean_start, persistent=True)
        with about(f"delay {delay}, Clean Start {clean_start}"):
            client.expect_closed(0x8E)
            if is_sent:
                sent(watcher)
            watcher.expect_nothing()


@statement("MQTT-3.1.2-8")
def the_will_is_published_when_the_session_ends(rig: Rig) -> None:
    """A Will with a delay is published at once when the session ends: by its expiry of 0 or Clean Start 1."""
    watcher = watching(rig)
    rig.connect(will=will(rig, will_delay_interval=60)).drop()
    sent(watcher)
    client = rig.connect(will=will(rig, will_delay_interval=60), persistent=True)
    client.drop()
    watcher.expect_nothing()
    rig.connect(client.client_id, clean_start=True)
    sent(watcher)


@statement("MQTT-3.1.2-8", slow=True)
def the_will_is_published_after_its_delay(rig: Rig) -> None:
    """The Will is published when its delay is over or the session expires, and not before."""
    watcher = watching(rig)
    for delay, expiry in ((3, 60), (60, 3)):
        will_ = will(rig, will_delay_interval=delay)
        rig.connect(will=will_, session_expiry_interval=expiry).drop()
        rig.wait(1.5)
        watcher.expect_nothing()
        rig.wait(4)
        with about(f"delay {delay} s, expiry {expiry} s"):
            sent(watcher)


@statement("MQTT-3.1.2-8", "MQTT-3.1.3-9", slow=True)
def a_client_that_is_back_in_time_has_sent_no_will(rig: Rig) -> None:
    """A Will is not sent when the session is resumed before its delay is over, whatever comes then."""
    watcher = watching(rig)
    plain, willing = [rig.connect(will=will(rig, will_delay_interval=2), persistent=True) for _ in range(2)]
    plain.drop()
    willing.drop()
    watcher.expect_nothing()
    plain = rig.connect(plain.client_id, clean_start=False, persistent=True)
    willing = rig.connect(willing.client_id, clean_start=False, persistent=True, will=will(rig))
    rig.wait(5)
    watcher.expect_nothing()
    plain.drop()
    watcher.expect_nothing()
    willing.drop()
    sent(watcher)


@statement("MQTT-3.1.2-9")
def the_fields_of_the_will_must_be_there(rig: Rig) -> None:
    """A CONNECT with the Will Flag that ends before the Will Payload does is malformed."""
    rig.connect()
    topic, payload = raw.string(rig.topic().encode()), raw.string(b"bye")
    for what, fields in (
        ("no field", b""),
        ("no Will Topic", raw.listed(5)),
        ("no Will Payload", raw.listed(5) + topic),
        ("no Will Properties", topic + payload),
        ("a Will Payload that is cut", raw.listed(5) + topic + payload[:-1]),
    ):
        closed_by(rig, what, raw.connect(rig.version, own_id(rig) + fields, 0x06))
    whole = raw.listed(5) + topic + payload
    closed_by(rig, "the fields without the flag", raw.connect(rig.version, own_id(rig) + whole, 0x02))


@statement("MQTT-3.1.2-11", "MQTT-3.1.2-13")
def without_a_will_its_qos_and_retain_are_0(rig: Rig) -> None:
    """Will QoS and Will Retain without the Will Flag are malformed, in every combination."""
    rig.connect()
    for flags in (0x08, 0x10, 0x18, 0x20, 0x28, 0x30, 0x38):
        closed_by(rig, f"flags 0x{flags | 2:02X}", raw.connect(rig.version, own_id(rig), flags | 2))


@statement("MQTT-3.1.2-12")
def the_qos_of_the_will_is_0_1_or_2(rig: Rig) -> None:
    """A Will is published with its QoS of 0, 1 or 2; a Will QoS of 3 is malformed."""
    watcher = watching(rig)
    for qos in (0, 1, 2):
        rig.connect(will=will(rig, qos)).drop()
        require_equal(watcher.message().qos, qos, "the QoS of the Will")
    fields = raw.listed(5) + raw.string(rig.topic("will").encode()) + raw.string(b"bye")
    for flags in (0x1E, 0x3E):
        closed_by(rig, f"flags 0x{flags:02X}", raw.connect(rig.version, own_id(rig) + fields, flags))
    watcher.expect_nothing()


@statement("MQTT-3.1.2-14")
def a_will_without_retain_is_not_retained(rig: Rig) -> None:
    """A Will with Will Retain 0 is published as one that is not retained, and replaces none that is."""
    rig.connect().publish(rig.topic("will"), b"before", qos=1, retain=True)
    watcher = rig.connect()
    watcher.subscribe(rig.topic("will"), retain_as_published=True, retain_handling=2)
    rig.connect(will=will(rig)).drop()
    publish = watcher.expect(Publish)
    require_equal((publish.payload, publish.retain), (b"bye", False), "the payload and RETAIN")
    late = watching(rig)
    require_equal(late.message().payload, b"before", "the retained message")
    late.expect_nothing()


@statement("MQTT-3.1.2-15")
def a_will_with_retain_is_retained(rig: Rig) -> None:
    """A Will with Will Retain 1 is published as a retained message, in the place of the one before."""
    rig.connect().publish(rig.topic("will"), b"before", qos=1, retain=True)
    watcher = rig.connect()
    watcher.subscribe(rig.topic("will"), retain_as_published=True, retain_handling=2)
    rig.connect(will=will(rig, retain=True)).drop()
    publish = watcher.expect(Publish)
    require_equal((publish.payload, publish.retain), (b"bye", True), "the payload and RETAIN")
    publish = watching(rig).message()
    require_equal((publish.payload, publish.retain), (b"bye", True), "what is retained")


@statement("MQTT-3.1.3-10")
def the_user_properties_of_the_will_keep_their_order(rig: Rig) -> None:
    """The User Properties of the Will come in their order, with those that stand twice."""
    watcher = watching(rig)
    pairs = (("b", "1"), ("a", "2"), ("b", "0"), ("a", "2"), ("", ""), ("c", ""))
    rig.connect(will=will(rig, user_properties=pairs)).drop()
    require_equal(watcher.message().properties.user_properties, pairs, "the User Properties")


@statement("MQTT-3.1.2-7")
def the_will_is_published_with_its_properties(rig: Rig) -> None:
    """Payload, Payload Format Indicator, Content Type, Response Topic and Correlation Data are the Will's."""
    watcher = watching(rig)
    properties: dict[str, Any] = {
        "payload_format_indicator": 1,
        "content_type": "text/plain",
        "response_topic": rig.topic("answer"),
        "correlation_data": b"\0\1",
    }
    rig.connect(will=will(rig, **properties)).drop()
    publish = watcher.message()
    require_equal(publish.payload, b"bye", "the payload")
    require_equal(publish.properties, Properties(**properties), "the properties")
