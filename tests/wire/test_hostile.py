"""What a peer can make us do: the time and the memory must be in proportion to what it sends.

Where it is not, these tests do not fail but take minutes: with packets of 16 MiB a broker would stand still.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_packet, decode_stream
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.properties import decode_properties
from mqttwist.wire.publish import Publish, hop_properties
from mqttwist.wire.subscribe import Subscribe
from mqttwist.wire.topics import check_topic_filter, matches
from tests.wire import tables
from tests.wire.building import field, packet, pair, property_list

MANY = 200_000


def publish_with(properties: bytes) -> Publish:
    """What a PUBLISH with these properties decodes to."""
    (publish,) = decode_stream(packet(0x30, field(b"t"), property_list(properties), b"hi"), 5)
    assert isinstance(publish, Publish)
    return publish


class ManyPropertiesTests(SynchronousTestCase):
    def test_subscription_identifiers(self) -> None:
        """Very many Subscription Identifiers: two bytes each."""
        publish = publish_with(b"\x0b\x05" * MANY)
        self.assertEqual(len(publish.subscription_identifiers), MANY)
        self.assertEqual(publish.forwarded, b"")

    def test_user_properties(self) -> None:
        """Very many User Properties: five bytes each, kept as they came and not one by one."""
        publish = publish_with(b"\x26\x00\x00\x00\x00" * MANY)
        self.assertEqual(len(publish.forwarded), 5 * MANY)
        self.assertEqual(publish.payload, b"hi")

    def test_taking_turns(self) -> None:
        """Properties of the hop and forwarded ones by turns: each piece is cut out once."""
        publish = publish_with((b"\x0b\x05" + b"\x26" + pair(b"n", b"")) * (MANY // 2))
        self.assertEqual(publish.forwarded, b"\x26\x00\x01n\x00\x00" * (MANY // 2))
        self.assertEqual(len(publish.subscription_identifiers), MANY // 2)

    def test_as_an_object(self) -> None:
        """The same in packets whose properties become an object."""
        data = property_list(b"\x0b\x05" * MANY)
        decoded, _ = decode_properties(data, 0, len(data), tables.PUBLISH)
        self.assertEqual(len(decoded.subscription_identifiers), MANY)
        data = property_list(b"\x26\x00\x00\x00\x00" * MANY)
        decoded, _ = decode_properties(data, 0, len(data), tables.CONNECT)
        self.assertEqual(len(decoded.user_properties), MANY)

    def test_sending_many_identifiers(self) -> None:
        """A client with very many subscriptions that overlap gets all their identifiers."""
        self.assertEqual(hop_properties(0, -1, (5,) * MANY), b"\x0b\x05" * MANY)

    def test_a_duplicate_at_the_end(self) -> None:
        """A fault at the end of a long list is found as the last, and no bitmap grows until then."""
        properties = b"\x01\x00" + b"\x26\x00\x00\x00\x00" * MANY + b"\x01\x00"
        self.assertRaises(ProtocolError, publish_with, properties)
        self.assertRaises(MalformedPacket, publish_with, b"\xff\xff\xff\x7f" * MANY)


class ManyFiltersTests(SynchronousTestCase):
    def test_subscribe(self) -> None:
        """Very many Topic Filters in one SUBSCRIBE: four bytes each."""
        (subscribe,) = decode_stream(packet(0x82, b"\x00\x01\x00", b"\x00\x01t\x00" * MANY), 5)
        assert isinstance(subscribe, Subscribe)
        self.assertEqual(len(subscribe.subscriptions), MANY)

    def test_very_deep_topics(self) -> None:
        """A filter and a name of 65,535 levels."""
        deep = "/" * 65_534
        check_topic_filter("+/" * 32_767 + "#")
        self.assertTrue(matches(deep + "#", deep + "/"))
        self.assertFalse(matches("+/" * 32_767 + "+", deep))


class SmallReadsTests(SynchronousTestCase):
    def test_byte_by_byte(self) -> None:
        """A large packet in reads of one byte: nothing is copied again with every read."""
        data = packet(0x30, field(b"t"), bytes(MANY))
        decoder = Decoder(4)
        for index in range(len(data)):
            self.assertFalse(decoder.advance())
            decoder.feed(data[index : index + 1])
        self.assertTrue(decoder.advance())
        publish = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, 4)
        assert isinstance(publish, Publish)
        self.assertEqual(publish.payload_size, MANY)

    def test_nobody_advances(self) -> None:
        """Reads of one byte while a login is waited for and nobody asks for packets."""
        decoder = Decoder(4)
        decoder.feed(b"\xc0\x00\xc0\x00")
        self.assertTrue(decoder.advance())
        for _ in range(MANY):
            decoder.feed(b"\xc0")
            decoder.feed(b"\x00")
        count = 0
        while decoder.advance():
            count += 1
        self.assertEqual(count, MANY + 1)

    def test_small_packets_in_one_read(self) -> None:
        """Very many packets in one read: the rest is not copied for each of them."""
        decoder = Decoder(4)
        decoder.feed(b"\xc0\x00" * MANY)
        count = 0
        while decoder.advance():
            count += 1
        self.assertEqual(count, MANY)
