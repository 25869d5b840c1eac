"""The decoder: where packets begin and end, what is refused from the first bytes, what is kept (2.1)."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.decoder import LARGEST_PACKET, UNKNOWN_VERSION, Decoder
from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError
from tests.wire import tables
from tests.wire.building import field, packet, variable
from tests.wire.spread import BAD_STRINGS

PINGREQ = b"\xc0\x00"


def publish(payload: bytes) -> bytes:
    """A PUBLISH of 3.1.1."""
    return packet(0x30, field(b"t"), payload)


def frames(decoder: Decoder) -> list[bytes]:
    """The packets that are complete."""
    found = []
    while decoder.advance():
        found.append(decoder.data[decoder.start : decoder.end])
    return found


class FramingTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """Without data there is no packet, however often one asks."""
        decoder = Decoder(5)
        self.assertFalse(decoder.advance())
        decoder.feed(b"")
        self.assertFalse(decoder.advance())
        self.assertFalse(decoder.advance())
        self.assertEqual(decoder.buffered, 0)

    def test_indexes(self) -> None:
        """`start`, `body` and `end` mark the packet and what follows its Remaining Length."""
        for size, width in (
            (0, 1),
            (127, 1),
            (128, 2),
            (16_383, 2),
            (16_384, 3),
            (2_097_151, 3),
            (2_097_152, 4),
        ):
            with self.subTest(size=size):
                decoder = Decoder(5)
                data = b"\x30" + variable(size) + bytes(size)
                decoder.feed(PINGREQ + data + PINGREQ)
                self.assertTrue(decoder.advance())
                self.assertTrue(decoder.advance())
                self.assertEqual(decoder.start, 2)
                self.assertEqual(decoder.body, 3 + width)
                self.assertEqual(decoder.end, 3 + width + size)
                self.assertTrue(decoder.data[decoder.start : decoder.end] == data)
                self.assertTrue(decoder.advance())
                self.assertFalse(decoder.advance())

    def test_many_packets_in_one_read(self) -> None:
        """All packets of a read are found, in order, and the data is not copied for it."""
        data = b"".join([publish(bytes([number])) for number in range(200)])
        decoder = Decoder(4)
        decoder.feed(data)
        self.assertTrue(decoder.advance())
        self.assertIs(decoder.data, data)
        rest = frames(decoder)
        self.assertEqual(rest, [publish(bytes([number])) for number in range(1, 200)])

    def test_random_reads(self) -> None:
        """Wherever the reads end, the same packets come out."""
        random = Random(5)
        packets = [publish(random.randbytes(random.choice((0, 1, 100, 130, 20_000)))) for _ in range(60)]
        stream = b"".join(packets)
        for _ in range(20):
            decoder = Decoder(4)
            found = []
            at = 0
            while at < len(stream):
                size = random.choice((1, 2, 3, 7, 100, 5_000, 60_000))
                decoder.feed(stream[at : at + size])
                at += size
                found += frames(decoder)
            self.assertEqual(found, packets)
            self.assertEqual(decoder.buffered, 0)

    def test_feeding_without_advancing(self) -> None:
        """What is fed while nobody advances is kept; the packet that was advanced to stays where it was."""
        decoder = Decoder(4)
        decoder.feed(publish(b"1") + publish(b"2")[:3])
        self.assertTrue(decoder.advance())
        for byte in publish(b"2")[3:] + publish(b"3"):
            decoder.feed(bytes([byte]))
            self.assertEqual(decoder.data[decoder.start : decoder.end], publish(b"1"))
        self.assertEqual(decoder.buffered, len(publish(b"2") + publish(b"3")))
        self.assertEqual(frames(decoder), [publish(b"2"), publish(b"3")])
        self.assertEqual(decoder.buffered, 0)

    def test_feeding_before_advancing(self) -> None:
        """Data may come in several pieces before the first packet is asked for."""
        decoder = Decoder(4)
        for byte in publish(b"1") + PINGREQ:
            decoder.feed(bytes([byte]))
        self.assertEqual(frames(decoder), [publish(b"1"), PINGREQ])

    def test_buffered(self) -> None:
        """`buffered` counts the bytes that belong to no packet handed out yet."""
        decoder = Decoder(4)
        decoder.feed(PINGREQ + b"\x30\x05\x00")
        self.assertEqual(decoder.buffered, 5)
        self.assertTrue(decoder.advance())
        self.assertEqual(decoder.buffered, 3)
        self.assertFalse(decoder.advance())
        self.assertEqual(decoder.buffered, 3)
        decoder.feed(b"\x01")
        self.assertEqual(decoder.buffered, 4)
        decoder.feed(b"tab" + PINGREQ[:1])
        self.assertTrue(decoder.advance())
        self.assertEqual(decoder.buffered, 1)

    def test_nothing_is_kept_of_what_was_used(self) -> None:
        """When all packets are handed out the decoder holds no data."""
        decoder = Decoder(4)
        decoder.feed(publish(bytes(100_000)))
        self.assertTrue(decoder.advance())
        self.assertFalse(decoder.advance())
        self.assertEqual(decoder.data, b"")


class FirstByteTests(SynchronousTestCase):
    def legal(self, first_byte: int, version: int) -> bool:
        decoder = Decoder(version)
        decoder.feed(bytes([first_byte]))
        try:
            decoder.advance()
        except MQTTError:
            return False
        return True

    def test_every_first_byte(self) -> None:
        """Of the 256 first bytes just those of tables 2-1 and 2-2 are accepted, as soon as they are there."""
        for version in (3, 4, 5):
            expected = {kind << 4 | flags for kind, flags in tables.FLAGS.items()}
            if version != 5:
                expected.remove(0xF0)
            if version == 3:
                expected |= {0x6A, 0x8A, 0xAA}
            expected |= {0x30, 0x31} | {0x30 | flags for flags in (2, 3, 4, 5, 10, 11, 12, 13)}
            with self.subTest(version=version):
                self.assertEqual({byte for byte in range(256) if self.legal(byte, version)}, expected)

    def test_before_connect(self) -> None:
        """The first packet must be CONNECT [MQTT-3.1.0-1]."""
        self.assertEqual([byte for byte in range(256) if self.legal(byte, UNKNOWN_VERSION)], [0x10])

    def test_other_protocols(self) -> None:
        """What else comes to a port of MQTT is called by its name: TLS, and HTTP."""
        for data, name in ((b"\x16\x03\x01\x02\x00", "TLS"), (b"GET / HTTP/1.1\r\n", "HTTP")):
            decoder = Decoder(UNKNOWN_VERSION)
            decoder.feed(data)
            error = self.assertRaises(MQTTError, decoder.advance)
            self.assertIn(f"; is it {name}?", str(error))

    def test_set_version(self) -> None:
        """After CONNECT the fixed headers of the version that it named count, for data already there, too."""
        decoder = Decoder(UNKNOWN_VERSION)
        decoder.feed(b"\x10\x01\x00" + b"\xf0\x00")
        self.assertTrue(decoder.advance())
        decoder.set_version(5)
        self.assertEqual(decoder.version, 5)
        self.assertTrue(decoder.advance())
        decoder.set_version(4)
        decoder.feed(b"\xf0\x00")
        self.assertRaises(MalformedPacket, decoder.advance)

    def test_the_second_packet_is_judged_too(self) -> None:
        """A first byte that is none is refused behind a packet that is right, and when it comes alone."""
        for chunks in (
            [PINGREQ + b"\x00"],
            [PINGREQ, b"\x00"],
            [PINGREQ + b"\x00\x00"],
            [PINGREQ + b"\xc1\x00"],
        ):
            with self.subTest(chunks=chunks):
                decoder = Decoder(4)
                decoder.feed(chunks[0])
                self.assertTrue(decoder.advance())
                for chunk in chunks[1:]:
                    self.assertFalse(decoder.advance())
                    decoder.feed(chunk)
                self.assertRaises(MalformedPacket, decoder.advance)


class SizeTests(SynchronousTestCase):
    def test_exactly_the_maximum(self) -> None:
        """A packet of the Maximum Packet Size, fixed header included, is accepted (2.1.4)."""
        for payload in (0, 1, 123, 124, 125, 16_380, 16_381):
            data = publish(bytes(payload))
            with self.subTest(size=len(data)):
                decoder = Decoder(4, len(data))
                decoder.feed(data)
                self.assertTrue(decoder.advance())
                decoder = Decoder(4, len(data) - 1)
                decoder.feed(data)
                self.assertRaises(ProtocolError, decoder.advance)

    def test_refused_before_the_body_is_there(self) -> None:
        """A packet that is too large is refused with 0x95 from its fixed header; nothing of it is kept."""
        decoder = Decoder(5, 1000)
        for byte in b"\x30\xe6":
            decoder.feed(bytes([byte]))
            self.assertFalse(decoder.advance())
        decoder.feed(b"\x07")  # 998 bytes behind a fixed header of three
        with self.assertRaises(ProtocolError) as caught:
            decoder.advance()
        self.assertEqual(caught.exception.reason_code, 0x95)
        self.assertEqual(caught.exception.text, "the packet of 1,001 bytes is larger than 1,000")

    def test_refused_behind_another_packet(self) -> None:
        """The size of a packet is its own, wherever in the read it begins."""
        decoder = Decoder(5, 100)
        decoder.feed(PINGREQ * 50 + b"\x30\x62" + PINGREQ * 49 + b"\x30\x63")
        for _ in range(51):
            self.assertTrue(decoder.advance())
        with self.assertRaises(ProtocolError) as caught:
            decoder.advance()
        self.assertEqual(caught.exception.text, "the packet of 101 bytes is larger than 100")

    def test_the_limit_may_change(self) -> None:
        """The limit can be set while packets come: CONNECT may have another than what follows."""
        decoder = Decoder(4, 20)
        decoder.feed(publish(bytes(10)) + publish(bytes(100)))
        self.assertTrue(decoder.advance())
        decoder.maximum_packet_size = 200
        self.assertTrue(decoder.advance())

    def test_the_largest_packet_there_is(self) -> None:
        """The greatest Remaining Length makes a packet of 268,435,460 bytes, the limit by default."""
        decoder = Decoder(5)
        decoder.feed(b"\x30\xff\xff\xff\x7f")
        self.assertFalse(decoder.advance())
        self.assertEqual(LARGEST_PACKET, 5 + 268_435_455)
        decoder = Decoder(5, LARGEST_PACKET - 1)
        decoder.feed(b"\x30\xff\xff\xff\x7f")
        self.assertRaises(ProtocolError, decoder.advance)

    def test_an_announced_size_takes_no_memory(self) -> None:
        """A peer that announces a large packet and sends little of it makes us keep little."""
        decoder = Decoder(5)
        decoder.feed(b"\x30\xff\xff\xff\x7f" + bytes(1000))
        self.assertFalse(decoder.advance())
        self.assertEqual(decoder.buffered, 1005)


class RemainingLengthTests(SynchronousTestCase):
    def test_incomplete(self) -> None:
        """While the Remaining Length is not complete there is no packet and no error."""
        for data in (b"\x30", b"\x30\x80", b"\x30\x80\x80", b"\x30\x80\x80\x80"):
            with self.subTest(data=data):
                decoder = Decoder(5)
                decoder.feed(data)
                self.assertFalse(decoder.advance())
                self.assertEqual(decoder.buffered, len(data))

    def test_byte_by_byte_is_refused_at_the_byte_that_is_wrong(self) -> None:
        """A Remaining Length is refused when its bytes can't become one any more, and not later."""
        for data, clause in (
            (b"\x30\x80\x00", "MQTT-1.5.5-1"),
            (b"\x30\xff\x80\x80\x00", "MQTT-1.5.5-1"),
            (b"\x30\x80\x80\x80\x80", "1.5.5"),
        ):
            with self.subTest(data=data):
                decoder = Decoder(5)
                for byte in data[:-1]:
                    decoder.feed(bytes([byte]))
                    self.assertFalse(decoder.advance())
                decoder.feed(data[-1:])
                with self.assertRaises(MalformedPacket) as caught:
                    decoder.advance()
                self.assertEqual(caught.exception.clause, clause)

    def test_bodies_are_not_judged(self) -> None:
        """The decoder looks at fixed headers only: what is inside is for `decode_packet`."""
        for raw, _ in BAD_STRINGS.values():
            decoder = Decoder(5)
            decoder.feed(packet(0x30, raw))
            self.assertTrue(decoder.advance())
