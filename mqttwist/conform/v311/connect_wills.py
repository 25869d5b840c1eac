"""3.1 CONNECT: the Will."""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import connect_wills
from mqttwist.conform.v5.connect import closed_by, own_id
from mqttwist.conform.v5.connect_wills import sent, watching, will
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.v311.connect import IDENTIFIER_REJECTED
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.connect import Will

statement("MQTT-3.1.2-8")(connect_wills.the_will_is_published_when_the_connection_is_closed)
statement("MQTT-3.1.2-8")(connect_wills.the_will_is_published_when_the_client_breaks_the_protocol)
statement("MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-15")(
    connect_wills.without_a_will_its_qos_and_retain_are_0
)


@statement("MQTT-3.1.2-8")
def the_will_is_published_when_another_takes_over(rig: Rig) -> None:
    """The Will is published at a take-over, which closes the connection, whatever Clean Session is."""
    watcher = watching(rig)
    for persistent in (True, False):
        for persistent_again in (True, False):
            client = rig.connect(will=will(rig), persistent=persistent)
            rig.connect(client.client_id, persistent=persistent_again)
            client.expect_closed()
            with about(f"Clean Session {int(not persistent)}, then {int(not persistent_again)}"):
                sent(watcher)


@statement("MQTT-3.1.2-8")
def the_will_of_a_refused_client_is_not_published(rig: Rig) -> None:
    """A Will is stored only if the CONNECT is accepted."""
    watcher = watching(rig)
    fields = raw.string(b"") + raw.string(rig.topic("will").encode()) + raw.string(b"bye")
    for flags in (0x04, 0x24):
        client = rig.open()
        client.send(raw.connect(rig.version, fields, flags))
        require_equal(client.read_to_end(), IDENTIFIER_REJECTED, "what the Server answered")
    closed_by(rig, "the reserved flag", raw.connect(rig.version, own_id(rig) + fields[2:], 0x07))
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.1.2-8")
def the_will_may_be_empty(rig: Rig) -> None:
    """A Will Message of no bytes is published, and one of 65,535 bytes, too."""
    watcher = watching(rig)
    for payload in (b"", b"\0", bytes(65_535)):
        rig.connect(will=Will(rig.topic("will"), payload)).drop()
        require_equal(watcher.message().payload, payload, "the payload")
        watcher.expect_nothing()


@statement("MQTT-3.1.2-8", "MQTT-3.1.2-10", "MQTT-3.14.4-3")
def the_will_is_deleted_by_disconnect(rig: Rig) -> None:
    """After DISCONNECT the Will is not published: not then, nor when the session goes on or is discarded."""
    watcher = watching(rig)
    for persistent in (False, True):
        for qos in (0, 1, 2):
            client = rig.connect(will=will(rig, qos, retain=True), persistent=persistent)
            client.disconnect()
            watcher.expect_nothing()
            rig.connect(client.client_id, persistent=persistent).drop()
            watcher.expect_nothing()
            rig.connect(client.client_id)  # discards the session
            watcher.expect_nothing()
    late = watching(rig)
    late.expect_nothing()  # nothing was retained
    rig.connect(will=will(rig)).drop()
    for one in (watcher, late):
        sent(one)


@statement("MQTT-3.1.2-10", "MQTT-3.1.2-12")
def a_will_is_published_once(rig: Rig) -> None:
    """A Will that was published is removed: the next connection of the session has none."""
    watcher = watching(rig)
    client = rig.connect(will=will(rig), persistent=True)
    client.drop()
    sent(watcher)
    rig.connect(client.client_id, persistent=True).drop()
    watcher.expect_nothing()
    rig.connect(client.client_id)
    watcher.expect_nothing()


@statement("MQTT-3.1.2-12")
def without_the_will_flag_none_is_published(rig: Rig) -> None:
    """A connection without a Will ends without one: one that takes over from a client with a Will, too."""
    watcher = watching(rig)
    for persistent in (False, True):
        before = rig.connect(will=will(rig), persistent=persistent)
        client = rig.connect(before.client_id, persistent=persistent)
        came_to(rig, watcher)  # the Will of the connection before, says another statement
        client.drop()
        watcher.expect_nothing()
        client = rig.connect(before.client_id, persistent=persistent)
        client.send(b"\0\0")
        client.expect_closed()
        watcher.expect_nothing()
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.1.2-9")
def the_fields_of_the_will_must_be_there(rig: Rig) -> None:
    """A CONNECT with the Will Flag that ends before the Will Message does closes the connection."""
    rig.connect()
    topic, payload = raw.string(rig.topic().encode()), raw.string(b"bye")
    for what, fields in (
        ("no field", b""),
        ("no Will Message", topic),
        ("a Will Topic that is cut", topic[:-1]),
        ("a Will Message that is cut", topic + payload[:-1]),
    ):
        for flags in (0x06, 0x0E, 0x36):
            closed_by(rig, what, raw.connect(rig.version, own_id(rig) + fields, flags))


@statement("MQTT-3.1.2-9", "MQTT-3.1.2-16", "MQTT-3.1.2-17")
def the_will_is_published_as_its_flags_say(rig: Rig) -> None:
    """Will QoS and Will Retain are those of the message, in each combination."""
    watcher = watching(rig)
    for retain in (False, True):
        for qos in (0, 1, 2):
            rig.connect(will=will(rig, qos, retain)).drop()
            publish = watcher.message()
            said = (publish.topic_name, publish.payload, publish.qos, publish.retain)
            with about(f"Will QoS {qos}, Will Retain {int(retain)}"):
                require_equal(said, (rig.topic("will"), b"bye", qos, False), "what a subscriber is sent")
                late = watching(rig)
                if retain:
                    publish = late.message()
                    require_equal((publish.payload, publish.retain), (b"bye", True), "what is retained")
                late.expect_nothing()
            late.disconnect()


@statement("MQTT-3.1.2-11")
def without_the_flag_the_fields_must_not_be_there(rig: Rig) -> None:
    """A Will Topic and a Will Message without the Will Flag close the connection."""
    rig.connect()
    topic, payload = raw.string(rig.topic().encode()), raw.string(b"bye")
    for fields in (topic + payload, topic, topic + raw.string(b"")):
        closed_by(rig, f"fields {fields!r}", raw.connect(rig.version, own_id(rig) + fields))


@statement("MQTT-3.1.2-14")
def the_qos_of_the_will_is_0_1_or_2(rig: Rig) -> None:
    """A Will QoS of 3 closes the connection, and no Will is published."""
    watcher = watching(rig)
    fields = raw.string(rig.topic("will").encode()) + raw.string(b"bye")
    for flags in (0x1E, 0x3E, 0x1C):
        closed_by(rig, f"flags 0x{flags:02X}", raw.connect(rig.version, own_id(rig) + fields, flags))
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.1.2-16")
def a_will_without_retain_replaces_nothing(rig: Rig) -> None:
    """A Will with Will Retain 0 leaves alone what is retained for its topic, at each QoS."""
    rig.connect().publish(rig.topic("will"), b"before", qos=1, retain=True)
    for qos in (0, 1, 2):
        rig.connect(will=will(rig, qos)).drop()
        late = watching(rig)
        publish = late.message()
        require_equal((publish.payload, publish.retain), (b"before", True), "the retained message")
        late.expect_nothing()
        late.disconnect()


@statement("MQTT-3.1.2-17")
def a_will_with_retain_is_retained(rig: Rig) -> None:
    """A Will with Will Retain 1 takes the place of what is retained; an empty one removes it."""
    rig.connect().publish(rig.topic("will"), b"before", qos=1, retain=True)
    rig.connect(will=will(rig, 1, retain=True)).drop()
    late = watching(rig)
    publish = late.message()
    require_equal((publish.payload, publish.retain), (b"bye", True), "what is retained")
    rig.connect(will=Will(rig.topic("will"), b"", 1, True)).drop()
    require_equal(late.message().payload, b"", "the payload of an empty Will")
    watching(rig).expect_nothing()
