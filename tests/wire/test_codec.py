"""Every vector of the table, whole, byte by byte, with a tail, cut short and too long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_packet, decode_stream
from mqttwist.wire.decoder import LARGEST_PACKET, UNKNOWN_VERSION, Decoder
from mqttwist.wire.errors import MQTTError
from tests.wire import tables
from tests.wire.building import AnyPacket, packet
from tests.wire.lengths import body_of, ends
from tests.wire.valid import WRITTEN
from tests.wire.vectors import FAULTS, LENGTH_FAULTS, VALID, Fault, Valid, framing_version

TAIL = bytes.fromhex("C000 4002 0001")  # PINGREQ and PUBACK, right in every version


def right() -> Iterator[tuple[Valid, int]]:
    """Every valid vector with each of its versions."""
    return ((vector, version) for vector in VALID for version in vector.versions)


def wrong() -> Iterator[tuple[Fault, int]]:
    """Every fault with each of its versions."""
    return ((fault, version) for fault in FAULTS for version in fault.versions)


def feed(chunks: Iterable[bytes], version: int, limit: int = LARGEST_PACKET) -> list[AnyPacket]:
    """The packets in `chunks`, fed one after the other as a connection of `version` does it."""
    packets: list[AnyPacket] = []
    decoder: Decoder | None = None
    for chunk in chunks:
        decoder = decoder or Decoder(framing_version(chunk, version), limit)
        decoder.feed(chunk)
        while decoder.advance():
            packets.append(
                decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, decoder.version)
            )
            if decoder.version == UNKNOWN_VERSION:
                decoder.set_version(version)
    return packets


def byte_by_byte(data: bytes) -> list[bytes]:
    """`data` in pieces of one byte."""
    return [data[index : index + 1] for index in range(len(data))]


def outcome(chunks: Iterable[bytes], version: int, limit: int = LARGEST_PACKET) -> object:
    """What comes of `chunks`: the packets, or the error as (its type, Reason Code, clause)."""
    try:
        return feed(chunks, version, limit)
    except MQTTError as error:
        return type(error), error.reason_code, error.clause


class ValidTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A packet that is right decodes to the object that stands beside it."""
        for vector, version in right():
            with self.subTest(vector.name, version=version):
                self.assertEqual(feed([vector.data], version), [vector.packet])

    def test_encode(self) -> None:
        """The object encodes to the bytes that stand beside it, or to others that say the same."""
        for vector, version in right():
            with self.subTest(vector.name, version=version):
                encoded = vector.packet.encode(version)
                self.assertEqual(encoded == vector.data, vector.canonical)
                self.assertEqual(feed([encoded], version), [vector.packet])

    def test_byte_by_byte(self) -> None:
        """It makes no difference when the bytes come one by one; nothing comes before the last of them."""
        for vector, version in right():
            with self.subTest(vector.name, version=version):
                chunks = byte_by_byte(vector.data)
                self.assertEqual(feed(chunks[:-1], version), [])
                self.assertEqual(feed(chunks, version), [vector.packet])

    def test_with_a_tail(self) -> None:
        """What follows a packet in the same read does not change it, and is decoded in its turn."""
        for vector, version in right():
            with self.subTest(vector.name, version=version):
                after = decode_stream(TAIL, version)
                self.assertEqual(feed([vector.data + TAIL], version), [vector.packet, *after])
                self.assertEqual(feed([vector.data + TAIL[:1], TAIL[1:]], version), [vector.packet, *after])

    def test_cut_anywhere(self) -> None:
        """It makes no difference where a read ends."""
        for vector in WRITTEN:
            for version in vector.versions:
                data = vector.data + TAIL
                whole = feed([data], version)
                for cut in range(1, len(data)):
                    with self.subTest(vector.name, version=version, cut=cut):
                        self.assertEqual(feed([data[:cut], data[cut:]], version), whole)

    def test_one_stream(self) -> None:
        """All packets of a version decode from one stream, in their order."""
        for version in (3, 4, 5):
            vectors = [vector for vector, of in right() if of == version]
            with self.subTest(version=version):
                packets = decode_stream(b"".join([vector.data for vector in vectors]), version)
                self.assertEqual(packets, [vector.packet for vector in vectors])

    def test_every_packet_type_and_version(self) -> None:
        """The table leaves no packet type out, and 3.x has no AUTH."""
        for version in (3, 4, 5):
            types = {vector.data[0] >> 4 for vector, of in right() if of == version}
            self.assertEqual(types, set(range(tables.CONNECT, tables.AUTH + (version == 5))))


class FaultTests(SynchronousTestCase):
    def test_whole(self) -> None:
        """A fault is refused with its error, Reason Code and clause."""
        for fault, version in wrong():
            with self.subTest(fault.name, version=version):
                result = outcome([fault.data], version, fault.maximum_packet_size)
                self.assertEqual(result, (fault.error, fault.reason_code, fault.clause))

    def test_byte_by_byte(self) -> None:
        """A fault is refused likewise when the bytes come one by one."""
        for fault, version in wrong():
            with self.subTest(fault.name, version=version):
                result = outcome(byte_by_byte(fault.data), version, fault.maximum_packet_size)
                self.assertEqual(result, (fault.error, fault.reason_code, fault.clause))

    def test_with_a_tail(self) -> None:
        """What follows a fault does not cover it up."""
        for fault, version in wrong():
            with self.subTest(fault.name, version=version):
                result = outcome([fault.data + TAIL], version, fault.maximum_packet_size)
                self.assertEqual(result, (fault.error, fault.reason_code, fault.clause))

    def test_behind_other_packets(self) -> None:
        """A fault is refused behind packets that are right, too."""
        for fault, version in wrong():
            if version != UNKNOWN_VERSION and fault.maximum_packet_size > len(TAIL):
                with self.subTest(fault.name, version=version):
                    result = outcome([TAIL + fault.data], version, fault.maximum_packet_size)
                    self.assertEqual(result, (fault.error, fault.reason_code, fault.clause))

    def test_texts_are_fit_for_a_reason_string(self) -> None:
        """The text of an error is one short line and repeats nothing unprintable that the peer sent."""
        for fault, version in wrong():
            with self.subTest(fault.name, version=version):
                with self.assertRaises(MQTTError) as caught:
                    feed([fault.data], version, fault.maximum_packet_size)
                self.assertTrue(caught.exception.text.isprintable())
                self.assertLess(len(caught.exception.text), 100)

    def test_every_clause_is_one_of_the_specification(self) -> None:
        """A clause is a normative statement or a section number, of 3.1.1 where it says so."""
        for fault in FAULTS:
            self.assertRegex(fault.clause, r"^(3\.1\.1: )?(MQTT-\d+\.\d+\.\d+-\d+|\d+(\.\d+)+)$")


class LengthTests(SynchronousTestCase):
    def test_lengths_that_do_not_add_up(self) -> None:
        """A packet cut where it must not end, or with bytes behind its last field, is refused (2.1.4)."""
        for fault in LENGTH_FAULTS:
            for version in fault.versions:
                with self.subTest(fault.name, version=version):
                    with self.assertRaises(fault.error) as caught:
                        feed([fault.data], version)
                    self.assertEqual(caught.exception.reason_code, fault.reason_code)
                    self.assertIn(fault.clause, caught.exception.clause)

    def test_packets_that_may_end_earlier(self) -> None:
        """Where a packet may end earlier, what is left is a packet (3.4.2.1, 3.14.2.1 and so on)."""
        for vector, version in right():
            body = body_of(vector.data)
            for length in ends(vector.data, version):
                with self.subTest(vector.name, version=version, length=length):
                    (decoded,) = feed([packet(vector.data[0], body[:length])], version)
                    self.assertIs(type(decoded), type(vector.packet))
