"""3.8 SUBSCRIBE: the packet. What the Server does then has a module of its own."""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import subscribe
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.subscribe_actions import subscribe_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import NotApplicable, about, require_equal
from mqttwist.wire.packet import frame
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions

statement("MQTT-3.8.1-1")(subscribe.subscribe_with_other_flags_closes_the_connection)
statement("MQTT-3.8.3-1")(subscribe.the_topic_filter_is_utf_8)
statement("MQTT-3.8.3-1")(subscribe.each_topic_filter_is_utf_8)

HEAD = b"\0\1"  # Packet Identifier 1


@statement("MQTT-3.8.3-2")
def wildcards_work_or_are_refused(rig: Rig) -> None:
    """A Topic Filter with wildcards is refused with 0x80, or it matches."""
    publisher, refused = rig.connect(), 0
    for label in ("+", "#", "a/+", "+/b", "a/#", "+/+", "a/b/#", "+/#"):
        client = rig.connect()
        [code] = subscribe_to(client, SubscriptionOptions(rig.topic(label), 1))
        publisher.publish(rig.topic("a/b" if "/" in label or label == "#" else "a"), b"payload", 1)
        came = [one.payload for one in came_to(rig, client)]
        with about(f"Topic Filter {label}, return code 0x{code:02X}"):
            require_equal(came, [] if code == 0x80 else [b"payload"], "what came")
        refused += code == 0x80
        client.disconnect()
    if refused == 8:
        raise NotApplicable("the Server has no wildcards, and refuses them")


@statement("MQTT-3.8.3-3")
def subscribe_has_a_topic_filter_with_its_qos(rig: Rig) -> None:
    """SUBSCRIBE without a Topic Filter, or with one that lacks its QoS, closes the connection."""
    topic = raw.string(rig.topic().encode())
    for body in (
        HEAD,
        HEAD[:1],
        b"",
        HEAD + topic,
        HEAD + topic[:-1],
        HEAD + topic[:1],
        HEAD + topic + b"\1" + topic,
        HEAD + topic + b"\1" + topic[:1],
    ):
        client = rig.connect()
        client.send(frame(0x82, body))
        with about(f"SUBSCRIBE with {body!r}"):
            client.expect_closed()


@statement("MQTT-3.8.3-4")
def the_requested_qos_is_0_1_or_2(rig: Rig) -> None:
    """A Requested QoS of 3, or one with a reserved bit, closes the connection, wherever; others do not."""
    topic = raw.string(rig.topic().encode())
    for qos in (0, 1, 2):
        client = rig.connect()
        client.send(frame(0x82, HEAD + topic + bytes((qos,))))
        require_equal(client.expect(SubAck).reason_codes, [qos], f"what QoS {qos} is answered")
    for wrong in (3, *range(4, 256, 12), 0x04, 0x08, 0x10, 0x20, 0x40, 0x80, 0x81, 0xFC, 0xFF):
        options = topic + bytes((wrong,))
        for body in (options, topic + b"\0" + options, options + topic + b"\0"):
            client = rig.connect()
            client.send(frame(0x82, HEAD + body))
            with about(f"Requested QoS 0x{wrong:02X}"):
                client.expect_closed()
