"""SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (3.8 - 3.11), as far as the table of vectors does not show it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.wire.building import field, packet
from tests.wire.spread import BAD_FILTERS


class SubscribeTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Topic Filters keep their order, and the same one may come twice (3.8.4)."""
        filters = [SubscriptionOptions(name, number % 3) for number, name in enumerate("zaaby")]
        subscribe = Subscribe(1, filters, Properties())
        self.assertEqual(decode_stream(subscribe.encode(5), 5), [subscribe])

    def test_options(self) -> None:
        """Each option has its bit (3.8.3.1)."""
        for options, byte in (
            (SubscriptionOptions("t"), 0x00),
            (SubscriptionOptions("t", 2), 0x02),
            (SubscriptionOptions("t", no_local=True), 0x04),
            (SubscriptionOptions("t", retain_as_published=True), 0x08),
            (SubscriptionOptions("t", retain_handling=1), 0x10),
            (SubscriptionOptions("t", retain_handling=2), 0x20),
        ):
            with self.subTest(repr(options)):
                self.assertEqual(options.encode(5), field(b"t") + bytes([byte]))

    def test_3_x_has_a_qos_only(self) -> None:
        """For 3.x of the options the QoS is sent, and No Local is no fault of the caller."""
        options = SubscriptionOptions("$share/g/t", 1, True, True, 2)
        self.assertEqual(options.encode(4), field(b"$share/g/t") + b"\x01")

    def test_all_256_options(self) -> None:
        """Of all option bytes 36 are right in 5.0 and 3 in 3.x."""
        right: dict[int, int] = {}
        for version in (3, 4, 5):
            for options in range(256):
                properties = b"\x00" if version == 5 else b""
                data = packet(0x82, b"\x00\x01", properties, field(b"t"), bytes([options]))
                try:
                    decode_stream(data, version)
                except (MalformedPacket, ProtocolError):
                    continue
                right[version] = right.get(version, 0) + 1
        self.assertEqual(right, {3: 3, 4: 3, 5: 36})

    def test_no_local(self) -> None:
        """No Local is right for any filter but a shared one [MQTT-3.8.3-4]."""
        for topic_filter, legal in (("$share", True), ("$shared/g", True), ("$share/g/t", False)):
            data = packet(0x82, b"\x00\x01\x00", field(topic_filter.encode()), b"\x04")
            with self.subTest(topic_filter):
                options = SubscriptionOptions(topic_filter, no_local=True)
                if legal:
                    self.assertEqual(decode_stream(data, 5), [Subscribe(1, [options], Properties())])
                    self.assertEqual(Subscribe(1, [options]).encode(5), data)
                else:
                    self.assertRaises(ProtocolError, decode_stream, data, 5)
                    self.assertRaises(ValueError, Subscribe(1, [options]).encode, 5)

    def test_the_first_fault_counts(self) -> None:
        """One filter that is none makes the whole packet malformed, wherever it stands."""
        for position in range(3):
            filters = [b"a", b"b", b"c"]
            filters[position] = b"a/#/b"
            data = packet(0x82, b"\x00\x01\x00", *[field(one) + b"\x00" for one in filters])
            with self.assertRaises(MalformedPacket) as caught:
                decode_stream(data, 5)
            self.assertEqual(caught.exception.clause, "MQTT-4.7.1-1")

    def test_what_can_not_be_said(self) -> None:
        """A SUBSCRIBE that a server would refuse is a ValueError."""
        for subscribe in (
            Subscribe(0, [SubscriptionOptions("t")]),
            Subscribe(65_536, [SubscriptionOptions("t")]),
            Subscribe(1, []),
            Subscribe(1, [SubscriptionOptions("t", 3)]),
            Subscribe(1, [SubscriptionOptions("t", -1)]),
            Subscribe(1, [SubscriptionOptions("t", retain_handling=3)]),
            Subscribe(1, [SubscriptionOptions("t")], Properties(subscription_identifiers=(0,))),
            Subscribe(1, [SubscriptionOptions("t")], Properties(subscription_identifiers=(1, 2))),
            Subscribe(1, [SubscriptionOptions("t")], Properties(reason_string="why")),
            *(Subscribe(1, [SubscriptionOptions(bad)]) for bad in BAD_FILTERS),
        ):
            with self.subTest(repr(subscribe)):
                self.assertRaises(ValueError, subscribe.encode, 5)


class UnsubscribeTests(SynchronousTestCase):
    def test_order(self) -> None:
        """Topic Filters keep their order, shared ones are whole (3.10.3)."""
        for version, properties in ((3, None), (4, None), (5, Properties())):
            unsubscribe = Unsubscribe(1, ["b", "$share/g/a/#", "b", "+"], properties)
            self.assertEqual(decode_stream(unsubscribe.encode(version), version), [unsubscribe])

    def test_a_filter_that_is_none(self) -> None:
        """UNSUBSCRIBE is held to the rules of SUBSCRIBE: what is no Topic Filter must not be sent (4.7.1)."""
        for topic_filter, clause in BAD_FILTERS.items():
            with self.subTest(topic_filter):
                with self.assertRaises(MalformedPacket) as caught:
                    decode_stream(packet(0xA2, b"\x00\x01\x00", field(topic_filter.encode())), 5)
                self.assertEqual(caught.exception.clause, clause)
                self.assertRaises(ValueError, Unsubscribe(1, [topic_filter]).encode, 5)

    def test_share_is_a_level_like_others_in_3_1_1(self) -> None:
        """What breaks the rules of 4.8.2 is a Topic Filter in 3.x, which knows none of them."""
        for topic_filter in ("$share/", "$share//a", "$share/g", "$share/+/a"):
            unsubscribe = Unsubscribe(1, [topic_filter])
            self.assertEqual(decode_stream(unsubscribe.encode(4), 4), [unsubscribe])

    def test_what_can_not_be_said(self) -> None:
        """An UNSUBSCRIBE without a filter or a Packet Identifier is a ValueError."""
        self.assertRaises(ValueError, Unsubscribe(1, []).encode, 5)
        self.assertRaises(ValueError, Unsubscribe(0, ["t"]).encode, 5)
        misplaced = Unsubscribe(1, ["t"], Properties(subscription_identifiers=(1,)))
        self.assertRaises(ValueError, misplaced.encode, 5)


class AcknowledgementTests(SynchronousTestCase):
    def test_suback_for_3_x(self) -> None:
        """A client of 3.x is told the granted QoS or 0x80, and no properties (3.1.1: 3.9.3)."""
        suback = SubAck(1, [0, 2, 0x87, 0x8F, 1], Properties(reason_string="why"))
        for version in (3, 4):
            self.assertEqual(suback.encode(version), bytes.fromhex("90 07 0001 00 02 80 80 01"))

    def test_unsuback_for_3_x(self) -> None:
        """UNSUBACK of 3.x has no payload (3.1.1: 3.11.3)."""
        unsuback = UnsubAck(1, [0, 0x11], Properties())
        for version in (3, 4):
            self.assertEqual(unsuback.encode(version), bytes.fromhex("B0 02 0001"))
            self.assertEqual(decode_stream(unsuback.encode(version), version), [UnsubAck(1, [])])

    def test_order(self) -> None:
        """Reason Codes keep the order of the Topic Filters [MQTT-3.9.3-1] [MQTT-3.11.3-1]."""
        suback = SubAck(1, [2, 0x80, 0, 0x9E, 1], Properties())
        unsuback = UnsubAck(1, [0x11, 0, 0x87, 0x11], Properties())
        self.assertEqual(decode_stream(suback.encode(5) + unsuback.encode(5), 5), [suback, unsuback])

    def test_what_can_not_be_said(self) -> None:
        """No Reason Code, or one of another packet, is a ValueError."""
        for version in (4, 5):
            self.assertRaises(ValueError, SubAck(1, []).encode, version)
            self.assertRaises(ValueError, SubAck(1, [0, 3]).encode, version)
            self.assertRaises(ValueError, SubAck(1, [0x11]).encode, version)
            self.assertRaises(ValueError, SubAck(0, [0]).encode, version)
        self.assertRaises(ValueError, UnsubAck(1, []).encode, 5)
        self.assertRaises(ValueError, UnsubAck(1, [1]).encode, 5)
        self.assertRaises(ValueError, UnsubAck(0, [0]).encode, 5)
