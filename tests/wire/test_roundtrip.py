"""Round trips: any packet comes back from its bytes, and any bytes are a packet or a fault of the peer.

The examples are the same in every run (`derandomize`), so that a failure is one of the code.
"""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.errors import MQTTError
from mqttwist.wire.message import FORM_MQTT_5, FORM_RETAIN
from mqttwist.wire.publish import Publish
from mqttwist.wire.topics import matches, split_share
from tests.wire.building import AnyPacket
from tests.wire.strategies import (
    KINDS,
    packets,
    publishes,
    topic_filters,
    topic_names,
    versioned_packets,
    versions,
)
from tests.wire.test_codec import byte_by_byte, feed
from tests.wire.vectors import VALID, Valid

stable = settings(derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))

# Values that mean something in MQTT, for a byte that is to be put somewhere it does not belong.
TELLING = (0x00, 0x01, 0x02, 0x03, 0x04, 0x10, 0x23, 0x26, 0x2B, 0x2F, 0x7F, 0x80, 0x82, 0xC0, 0xF0, 0xFF)


class RoundTripTests(SynchronousTestCase):
    def test_every_kind(self) -> None:
        """Each kind of packet, in each version, comes back from its bytes as it was."""
        for kind, of_versions in KINDS:
            for version in of_versions:
                with self.subTest(kind.__name__, version=version):
                    self.round_trip(kind(version), version)

    def round_trip(self, strategy: st.SearchStrategy[AnyPacket], version: int) -> None:
        @given(strategy)
        @settings(stable, max_examples=60)
        def check(packet: AnyPacket) -> None:
            data = packet.encode(version)
            self.assertEqual(decode_stream(data, version), [packet])

        check()

    @given(versioned_packets)
    @settings(stable, max_examples=200)
    def test_encoding_is_stable(self, drawn: tuple[int, AnyPacket]) -> None:
        """What was decoded encodes to the very bytes it came from, if we encoded them."""
        version, packet = drawn
        data = packet.encode(version)
        self.assertEqual([one.encode(version) for one in decode_stream(data, version)], [data])

    @given(st.data(), versions)
    @settings(stable, max_examples=100)
    def test_a_stream_in_any_pieces(self, data: st.DataObject, version: int) -> None:
        """A stream of packets gives the same packets, in whatever pieces it comes."""
        sent = data.draw(st.lists(packets(version), min_size=1, max_size=4))
        stream = b"".join([packet.encode(version) for packet in sent])
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        received = feed([piece for piece in pieces if piece], version)
        self.assertEqual(received, sent)
        self.assertEqual(feed(byte_by_byte(stream), version), sent)

    @given(st.data(), versions, st.integers(0, 2), st.booleans())
    @settings(stable, max_examples=200)
    def test_forms(self, data: st.DataObject, version: int, qos: int, retain: bool) -> None:
        """A message that came in any version goes out in any other with the same content."""
        came_in = data.draw(versions)
        drawn = data.draw(publishes(came_in).filter(lambda publish: publish.topic_name != ""))
        (message,) = decode_stream(drawn.encode(came_in), came_in)
        assert isinstance(message, Publish)
        key = qos | (FORM_RETAIN if retain else 0) | (FORM_MQTT_5 if version == 5 else 0)
        form = message.form(key)
        (sent,) = decode_stream(form.head + (b"\x00\x01" if qos else b"") + form.tail, version)
        assert isinstance(sent, Publish)
        self.assertEqual((sent.topic_name, sent.payload), (drawn.topic_name, drawn.payload))
        self.assertEqual((sent.qos, sent.retain, sent.dup), (qos, retain, False))
        self.assertEqual(sent.forwarded, drawn.forwarded if version == came_in == 5 else b"")


class AnyBytesTests(SynchronousTestCase):
    def check(self, data: bytes, version: int) -> None:
        """`data` is packets that can be encoded and say the same then, or a fault of the peer."""
        try:
            decoded = decode_stream(data, version)
        except MQTTError as error:
            self.assertTrue(error.text.isprintable() and error.clause)
            return
        for packet in decoded:
            self.assertEqual(decode_stream(packet.encode(version), version), [packet])

    @given(st.binary(max_size=60), versions)
    @settings(stable, max_examples=500)
    def test_any_bytes(self, data: bytes, version: int) -> None:
        """Random bytes never raise anything but an `MQTTError`."""
        self.check(data, version)

    @given(st.integers(0, 255), st.binary(max_size=60), versions)
    @settings(stable, max_examples=1000)
    def test_any_body(self, first_byte: int, body: bytes, version: int) -> None:
        """Random bytes behind a Remaining Length that fits get deeper into the codec."""
        self.check(bytes([first_byte, len(body)]) + body, version)

    @given(st.data(), st.sampled_from(VALID))
    @settings(stable, max_examples=1000)
    def test_a_packet_with_a_byte_changed(self, data: st.DataObject, vector: Valid) -> None:
        """A packet that is right but for one byte is another packet or a fault, wherever the byte stands."""
        raw = bytearray(vector.data)
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] = data.draw(st.sampled_from(TELLING) | st.integers(0, 255))
        for version in vector.versions:
            self.check(bytes(raw), version)

    def test_every_byte_changed(self) -> None:
        """Each byte of each vector, changed to each of the values that mean something."""
        for vector in VALID:
            for at in range(len(vector.data)):
                for value in TELLING:
                    raw = bytearray(vector.data)
                    raw[at] = value
                    for version in vector.versions:
                        self.check(bytes(raw), version)


class TopicTests(SynchronousTestCase):
    @given(topic_names)
    @settings(stable, max_examples=200)
    def test_a_name_matches_itself(self, name: str) -> None:
        """A Topic Name is a filter for itself, and '#' matches all but those with a '$' [MQTT-4.7.2-1]."""
        self.assertTrue(matches(name, name))
        self.assertEqual(matches("#", name), not name.startswith("$"))
        self.assertTrue(matches(name + "/#", name))
        self.assertFalse(matches(name + "/+", name))

    @given(topic_filters(), topic_names)
    @settings(stable, max_examples=300)
    def test_a_slow_second_opinion(self, topic_filter: str, name: str) -> None:
        """Matching says the same as a comparison level by level (4.7.1)."""
        _, rest = split_share(topic_filter)
        self.assertEqual(matches(rest, name), self.compare(rest.split("/"), name.split("/"), first=True))

    def compare(self, filters: list[str], names: list[str], first: bool = False) -> bool:
        if first and names[0].startswith("$") and filters[0] in ("#", "+"):
            return False
        if filters == ["#"]:
            return True
        if not filters or not names:
            return filters == names
        return filters[0] in ("+", names[0]) and (
            (len(names) == 1 and filters[1:] == ["#"]) or self.compare(filters[1:], names[1:])
        )
