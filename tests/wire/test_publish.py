"""PUBLISH (3.3): what belongs to one hop, as far as the table of vectors does not show it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.wire.building import field, packet, pair, property_list


def decode(data: bytes, version: int = 5) -> Publish:
    """The only packet in `data`, which is a PUBLISH."""
    (publish,) = decode_stream(data, version)
    assert isinstance(publish, Publish)
    return publish


class DecodeTests(SynchronousTestCase):
    def test_it_is_a_message(self) -> None:
        """A PUBLISH that came in can travel as the message it carries."""
        publish = decode(packet(0x3D, field(b"a/b"), b"\x00\x07", b"\x00", b"hi"))
        self.assertIsInstance(publish, Message)
        self.assertEqual((publish.topic_name, publish.payload, publish.qos), ("a/b", b"hi", 2))
        self.assertTrue(publish.retain and publish.dup)
        self.assertEqual((publish.packet_id, publish.topic_alias), (7, 0))

    def test_qos_0_has_no_packet_identifier(self) -> None:
        """At QoS 0 there is no Packet Identifier: two bytes there are payload [MQTT-2.2.1-2]."""
        publish = decode(packet(0x30, field(b"t"), b"\x00\x07hi"), 4)
        self.assertEqual((publish.packet_id, publish.payload), (0, b"\x00\x07hi"))

    def test_in_3_x_there_are_no_properties(self) -> None:
        """In 3.x what follows the variable header is payload, though it look like properties."""
        publish = decode(packet(0x30, field(b"t"), property_list(b"\x01\x01"), b"hi"), 4)
        self.assertEqual(publish.payload, b"\x02\x01\x01hi")
        self.assertEqual(publish.properties, Properties())

    def test_of_this_hop(self) -> None:
        """Topic Alias, Message Expiry Interval and Subscription Identifiers are no part of the message."""
        parts = (b"\x0b\x05", b"\x02\x00\x00\x00\x3c", b"\x0b\x80\x01", b"\x23\x00\x07", b"\x0b\x05")
        publish = decode(packet(0x30, field(b"t"), property_list(*parts), b"hi"))
        self.assertEqual(publish.subscription_identifiers, (5, 128, 5))
        self.assertEqual((publish.message_expiry_interval, publish.topic_alias), (60, 7))
        self.assertEqual(publish.properties, Properties(message_expiry_interval=60))
        self.assertEqual(publish.forwarded, b"")
        self.assertEqual(publish.payload, b"hi")

    def test_expiry_0(self) -> None:
        """A Message Expiry Interval of 0 is one, and not none."""
        publish = decode(packet(0x30, field(b"t"), property_list(b"\x02\x00\x00\x00\x00")))
        self.assertEqual(publish.message_expiry_interval, 0)
        self.assertEqual(publish.properties, Properties(message_expiry_interval=0))

    def test_an_alias_for_the_name(self) -> None:
        """With a Topic Alias the Topic Name may be empty; without it is a Protocol Error (3.3.2.1)."""
        publish = decode(packet(0x30, b"\x00\x00", property_list(b"\x23\xff\xff"), b"hi"))
        self.assertEqual((publish.topic_name, publish.topic_alias), ("", 65_535))
        with self.assertRaises(ProtocolError) as caught:
            decode(packet(0x30, b"\x00\x00", property_list(b"\x26" + pair(b"n", b"v")), b"hi"))
        self.assertEqual((caught.exception.reason_code, caught.exception.clause), (0x82, "MQTT-4.7.3-1"))

    def test_alias_0(self) -> None:
        """A Topic Alias of 0 has Reason Code 0x94 (3.3.4) [MQTT-3.3.2-8]."""
        with self.assertRaises(ProtocolError) as caught:
            decode(packet(0x30, field(b"t"), property_list(b"\x23\x00\x00")))
        self.assertEqual(caught.exception.reason_code, 0x94)

    def test_properties_are_checked_although_they_are_passed_on(self) -> None:
        """A property that is only passed on as bytes must be right all the same."""
        for encoded in (
            b"\x26" + pair(b"\xff", b""),
            b"\x03" + field(b"\x00"),
            b"\x08" + field(b"#"),
            b"\x26\x00",
        ):
            with self.subTest(encoded):
                self.assertRaises(MalformedPacket, decode, packet(0x30, field(b"t"), property_list(encoded)))

    def test_user_properties_of_plain_text(self) -> None:
        """User Properties in ASCII are passed on as they came, whatever the lengths of their strings."""
        for names in ([b"a"], [b"", b"b" * 256], [b"x" * 512, b"", b"trace-id"], [b"y" * 127] * 5):
            listed = b"".join(b"\x26" + field(name) + field(name[::-1]) for name in names)
            (publish,) = decode_stream(packet(0x30, b"\x00\x01t", property_list(listed), b"!"), 5)
            assert isinstance(publish, Publish)
            expected = tuple((name.decode(), name[::-1].decode()) for name in names)
            self.assertEqual(publish.properties.user_properties, expected)
            self.assertEqual((publish.forwarded, publish.payload), (listed, b"!"))

    def test_faults_among_user_properties_of_plain_text(self) -> None:
        """U+0000 in any of their strings, and a string that goes beyond the list, is found [MQTT-1.5.4-2]."""
        good = b"\x26" + field(b"name") + field(b"value")
        for bad in (b"na\0me", b"\0", b"\0" * 3):
            for both in (field(bad) + field(b"v"), field(b"n") + field(bad)):
                with self.assertRaises(MalformedPacket) as caught:
                    decode_stream(packet(0x30, b"\x00\x01t", property_list(good + b"\x26" + both)), 5)
                self.assertEqual(caught.exception.clause, "MQTT-1.5.4-2")
        for cut in range(1, len(good)):
            with self.assertRaises(MalformedPacket):
                decode_stream(packet(0x30, b"\x00\x01t", property_list(good + good[:cut])), 5)

    def test_payload_format_is_not_checked(self) -> None:
        """Whether the payload is the UTF-8 it says is for the receiver: "MAY validate" (3.3.2.3.2)."""
        publish = decode(packet(0x30, field(b"t"), property_list(b"\x01\x01"), b"\xff\xfe"))
        self.assertEqual(publish.payload, b"\xff\xfe")


class EncodeTests(SynchronousTestCase):
    def test_properties_of_the_hop_come_first(self) -> None:
        """A PUBLISH says all it has: those of the hop, then the forwarded ones."""
        properties = Properties(
            content_type="c", message_expiry_interval=60, topic_alias=7, subscription_identifiers=(1, 2)
        )
        data = Publish("t", b"hi", 1, False, properties, 9, True).encode(5)
        parts = (b"\x23\x00\x07", b"\x02\x00\x00\x00\x3c", b"\x0b\x01", b"\x0b\x02", b"\x03" + field(b"c"))
        self.assertEqual(data, packet(0x3A, field(b"t"), b"\x00\x09", property_list(*parts), b"hi"))

    def test_3_x_has_no_properties(self) -> None:
        """For 3.x the properties are left out."""
        publish = Publish("t", b"hi", properties=Properties(content_type="c", topic_alias=1))
        self.assertEqual(publish.encode(4), packet(0x30, field(b"t"), b"hi"))

    def test_what_can_not_be_said(self) -> None:
        """A PUBLISH that a peer would refuse is a ValueError."""
        alias = Properties(topic_alias=1)
        for publish, version in (
            (Publish("t", qos=3, packet_id=1), 5),
            (Publish("t", qos=-1), 5),
            (Publish("t", dup=True), 5),
            (Publish("t", qos=1), 5),
            (Publish("t", qos=1, packet_id=65_536), 5),
            (Publish("a/#", b""), 5),
            (Publish("a/#", properties=alias), 5),
            (Publish("", b""), 5),
            (Publish("", b""), 4),
            (Publish("", properties=alias), 4),
            (Publish("\ud800", b""), 4),
            (Publish("x" * 65_536, b""), 4),
        ):
            with self.subTest(repr(publish)[:60], version=version):
                self.assertRaises(ValueError, publish.encode, version)

    def test_properties_that_are_none(self) -> None:
        """Properties that a PUBLISH must not have, or with values out of range, are a ValueError at once."""
        for properties in (
            Properties(reason_string="no"),
            Properties(will_delay_interval=1),
            Properties(topic_alias=0),
            Properties(topic_alias=65_536),
            Properties(message_expiry_interval=-1),
            Properties(subscription_identifiers=(1, 0)),
            Properties(subscription_identifiers=(268_435_456,)),
        ):
            with self.subTest(repr(properties)):
                self.assertRaises(ValueError, Publish, "t", b"", 0, False, properties)


class EqualityTests(SynchronousTestCase):
    def test_equal(self) -> None:
        """Two PUBLISH are equal when they say the same, whatever they were made from."""
        made = Publish("t", b"hi", 1, properties=Properties(content_type="c"), packet_id=1)
        came = decode(packet(0x32, field(b"t"), b"\x00\x01", property_list(b"\x03" + field(b"c")), b"hi"))
        self.assertEqual(made, came)
        self.assertNotEqual(made, "<Publish>")

    def test_different(self) -> None:
        """Each thing that a PUBLISH says makes a difference."""
        one = Publish("t", b"hi", 1, packet_id=1)
        others = (
            Publish("u", b"hi", 1, packet_id=1),
            Publish("t", b"ho", 1, packet_id=1),
            Publish("t", b"hi", 2, packet_id=1),
            Publish("t", b"hi", 1, True, packet_id=1),
            Publish("t", b"hi", 1, packet_id=2),
            Publish("t", b"hi", 1, packet_id=1, dup=True),
            Publish("t", b"hi", 1, False, Properties(content_type=""), 1),
            Publish("t", b"hi", 1, False, Properties(message_expiry_interval=0), 1),
            Publish("t", b"hi", 1, False, Properties(topic_alias=1), 1),
            Publish("t", b"hi", 1, False, Properties(subscription_identifiers=(1,)), 1),
        )
        for other in others:
            with self.subTest(repr(other)):
                self.assertNotEqual(one, other)

    def test_repr(self) -> None:
        """For a log: what it is about, never the payload itself."""
        self.assertEqual(repr(Publish("t", b"secret")), "<Publish 't' qos 0, 6 bytes>")
        full = Publish("", b"", 2, True, Properties(topic_alias=3), 9, True)
        self.assertEqual(repr(full), "<Publish '' qos 2 retain dup id 9 alias 3, 0 bytes>")
