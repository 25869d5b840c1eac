"""Properties (2.2.2): reading and writing lists of them, as far as the table of vectors does not show it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire import properties as wire
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.properties import (
    Properties,
    decode_properties,
    encode_properties,
    encode_property_list,
    next_property,
    properties_end,
)
from tests.wire import tables
from tests.wire.building import field, pair, property_list, variable
from tests.wire.combined import values_of


class ListTests(SynchronousTestCase):
    def test_none(self) -> None:
        """No properties are a Property Length of zero, and never nothing [MQTT-2.2.2-1]."""
        self.assertEqual(encode_properties(None, tables.PUBACK), b"\x00")
        self.assertEqual(encode_properties(Properties(), tables.PUBACK), b"\x00")
        self.assertEqual(encode_property_list(Properties(), tables.PUBACK), b"")
        self.assertEqual(decode_properties(b"?\x00?", 1, 3, tables.PUBACK), (Properties(), 2))

    def test_inside_a_packet(self) -> None:
        """The list ends where its length says, and the index behind it is answered."""
        data = b"??" + property_list(b"\x1f" + field(b"why"), b"\x26" + pair(b"n", b"v")) + b"payload"
        decoded, index = decode_properties(data, 2, len(data), tables.SUBACK)
        self.assertEqual(decoded, Properties(reason_string="why", user_properties=(("n", "v"),)))
        self.assertEqual(data[index:], b"payload")

    def test_a_long_list(self) -> None:
        """A Property Length of two and of three bytes is read and written."""
        for count in (30, 5_000):
            with self.subTest(count=count):
                pairs = tuple((f"name {number}", "value") for number in range(count))
                encoded = encode_properties(Properties(user_properties=pairs), tables.CONNECT)
                body = b"".join([b"\x26" + pair(name.encode(), b"value") for name, _ in pairs])
                self.assertEqual(encoded, variable(len(body)) + body)
                decoded, index = decode_properties(encoded, 0, len(encoded), tables.CONNECT)
                self.assertEqual(decoded.user_properties, pairs)
                self.assertEqual(index, len(encoded))

    def test_order_of_user_properties(self) -> None:
        """User Properties keep their order, and a name may come more than once (3.1.2.11.8)."""
        pairs = (("b", "1"), ("a", "2"), ("b", "0"), ("b", "1"))
        encoded = encode_properties(Properties(user_properties=pairs), tables.WILL)
        decoded, _ = decode_properties(encoded, 0, len(encoded), tables.WILL)
        self.assertEqual(decoded.user_properties, pairs)

    def test_order_of_others(self) -> None:
        """The order of properties with different identifiers has no significance (2.2.2.2)."""
        one, other = b"\x21\x00\x05", b"\x22\x00\x07"
        decoded = [
            decode_properties(property_list(*parts), 0, 7, tables.CONNECT)[0]
            for parts in ((one, other), (other, one))
        ]
        self.assertEqual(decoded[0], decoded[1])
        self.assertEqual(decoded[0], Properties(receive_maximum=5, topic_alias_maximum=7))

    def test_duplicates_far_apart(self) -> None:
        """A property that comes twice is a Protocol Error, whatever stands between."""
        between = b"\x26" + pair(b"n", b"v")
        data = property_list(b"\x1f" + field(b"one"), between, between, b"\x1f" + field(b"two"))
        with self.assertRaises(ProtocolError) as caught:
            decode_properties(data, 0, len(data), tables.PUBREL)
        self.assertEqual(caught.exception.reason_code, 0x82)
        self.assertEqual(caught.exception.text, "PUBREL has the property reason_string twice")

    def test_a_value_beyond_the_list(self) -> None:
        """A value must end inside the list, even where the packet goes on (2.2.2.1)."""
        data = b"\x05\x1f\x00\x03no" + b"further bytes"
        with self.assertRaises(MalformedPacket) as caught:
            decode_properties(data, 0, len(data), tables.CONNACK)
        self.assertEqual(caught.exception.clause, "1.5.6")

    def test_a_list_beyond_the_packet(self) -> None:
        """A Property Length that goes beyond the packet is malformed, and one that just fits is not."""
        self.assertEqual(properties_end(b"\x03abc", 0, 4), (1, 4))
        with self.assertRaises(MalformedPacket) as caught:
            properties_end(b"\x04abc", 0, 4)
        self.assertEqual(caught.exception.clause, "2.2.2.1")

    def test_names_in_texts(self) -> None:
        """An error says which property of which packet, the Will Properties by their name."""
        for packet, name in ((tables.WILL, "the Will Properties"), (tables.UNSUBSCRIBE, "UNSUBSCRIBE")):
            with self.assertRaises(MalformedPacket) as caught:
                decode_properties(b"\x03\x21\x00\x01", 0, 4, packet)
            self.assertEqual(caught.exception.text, f"{name} must not have the property receive_maximum")


class NextPropertyTests(SynchronousTestCase):
    def test_one_after_the_other(self) -> None:
        """`next_property` reads one property and answers its row, its value and the index behind it."""
        data = b"\x23\x00\x05\x0b\x80\x01"
        row, value, index = next_property(data, 0, len(data), tables.PUBLISH, 0)
        self.assertEqual((row.attribute, value, index), ("topic_alias", 5, 3))
        row, value, index = next_property(data, index, len(data), tables.PUBLISH, 1 << 0x23)
        self.assertEqual((row.attribute, value, index), ("subscription_identifiers", 128, 6))

    def test_seen(self) -> None:
        """What was seen is told by one bit for each identifier; those that may repeat are not asked."""
        data = b"\x23\x00\x05\x0b\x01"
        self.assertRaises(ProtocolError, next_property, data, 0, 5, tables.PUBLISH, 1 << 0x23)
        everything_else = ~(1 << 0x23)
        self.assertEqual(next_property(data, 0, 5, tables.PUBLISH, everything_else)[1], 5)
        self.assertEqual(next_property(data, 3, 5, tables.PUBLISH, -1)[1], 1)
        self.assertRaises(ProtocolError, next_property, data, 3, 5, tables.SUBSCRIBE, -1)


class EncodeTests(SynchronousTestCase):
    def test_misplaced(self) -> None:
        """A property in a packet that must not have it is a ValueError, for every pair of the two."""
        for row in tables.PROPERTIES:
            value = values_of(row)[-1]
            repeatable = row.name in ("user_properties", "subscription_identifiers")
            for packet in sorted(tables.HAVE_PROPERTIES - row.packets):
                with self.subTest(row.name, packet=tables.PACKET_NAMES[packet]):
                    properties = Properties()
                    setattr(properties, row.name, (value,) if repeatable else value)
                    self.assertRaises(ValueError, encode_properties, properties, packet)

    def test_out_of_range(self) -> None:
        """A value that a peer would refuse is a ValueError."""
        for row in tables.PROPERTIES:
            if row.valid is None:
                continue
            for value in (row.valid[0] - 1, row.valid[1] + 1):
                with self.subTest(row.name, value=value):
                    properties = Properties()
                    repeatable = row.name == "subscription_identifiers"
                    setattr(properties, row.name, (value,) if repeatable else value)
                    self.assertRaises(ValueError, encode_properties, properties, min(row.packets))

    def test_more_than_one(self) -> None:
        """SUBSCRIBE has at most one Subscription Identifier (3.8.2.1.2), PUBLISH any number."""
        properties = Properties(subscription_identifiers=(1, 2))
        self.assertRaises(ValueError, encode_properties, properties, tables.SUBSCRIBE)
        self.assertEqual(encode_properties(properties, tables.PUBLISH), b"\x04\x0b\x01\x0b\x02")

    def test_response_topic(self) -> None:
        """A Response Topic is a Topic Name: no wildcards, not empty [MQTT-3.3.2-14]."""
        for topic in ("", "a/#", "+"):
            for packet in (tables.PUBLISH, tables.WILL):
                with self.subTest(topic, packet=packet):
                    self.assertRaises(ValueError, encode_properties, Properties(response_topic=topic), packet)

    def test_strings_that_are_none(self) -> None:
        """U+0000, a surrogate and 65,536 bytes are a ValueError in every string."""
        for text in ("\0", "\ud800", "x" * 65_536):
            self.assertRaises(ValueError, encode_properties, Properties(reason_string=text), tables.PUBACK)
            for names in ((text, ""), ("", text)):
                properties = Properties(user_properties=(names,))
                self.assertRaises(ValueError, encode_properties, properties, tables.PUBACK)

    def test_empty_is_not_absent(self) -> None:
        """An empty string, empty data and a zero are sent: only None is no property."""
        properties = Properties(
            session_expiry_interval=0,
            authentication_method="",
            authentication_data=b"",
            topic_alias_maximum=0,
        )
        encoded = encode_properties(properties, tables.CONNECT)
        self.assertEqual(encoded, bytes.fromhex("0E 11 00000000 15 0000 16 0000 22 0000"))
        self.assertEqual(decode_properties(encoded, 0, len(encoded), tables.CONNECT)[0], properties)


class ReprTests(SynchronousTestCase):
    def test_only_what_is_there(self) -> None:
        """For a log, properties show what is there and nothing else."""
        self.assertEqual(repr(Properties()), "Properties()")
        properties = Properties(reason_string="no", user_properties=(("n", "v"),), topic_alias_maximum=0)
        self.assertEqual(
            repr(properties),
            "Properties(reason_string='no', topic_alias_maximum=0, user_properties=(('n', 'v'),))",
        )

    def test_packet_name(self) -> None:
        """Every packet that has properties has a name for errors."""
        self.assertEqual(wire.packet_name(tables.WILL), "the Will Properties")
        for packet in tables.HAVE_PROPERTIES - {tables.WILL}:
            self.assertEqual(wire.packet_name(packet), tables.PACKET_NAMES[packet])
