"""PINGREQ, PINGRESP, DISCONNECT and AUTH (3.12 - 3.15), and what all packets share."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.packet import Packet, expect_end, frame
from mqttwist.wire.properties import Properties
from tests.wire import tables
from tests.wire.building import field, packet, property_list, variable
from tests.wire.vectors import VALID


class PingTests(SynchronousTestCase):
    def test_ping(self) -> None:
        """PINGREQ and PINGRESP have nothing but a fixed header (3.12, 3.13)."""
        for version in (3, 4, 5):
            self.assertEqual(PingReq().encode(version), b"\xc0\x00")
            self.assertEqual(PingResp().encode(version), b"\xd0\x00")
            self.assertEqual(decode_stream(b"\xc0\x00\xd0\x00", version), [PingReq(), PingResp()])
        self.assertNotEqual(PingReq(), PingResp())


class DisconnectTests(SynchronousTestCase):
    def test_short_forms(self) -> None:
        """Without a Reason Code it is 0x00, without a Property Length there are no properties (3.14.2)."""
        for body in (b"", b"\x00", b"\x00\x00"):
            self.assertEqual(decode_stream(packet(0xE0, body), 5), [Disconnect()])
        self.assertEqual(decode_stream(b"\xe0\x01\x8e", 5), [Disconnect(0x8E)])

    def test_encode_as_short_as_can_be(self) -> None:
        """What says nothing is left out."""
        self.assertEqual(Disconnect().encode(5), b"\xe0\x00")
        self.assertEqual(Disconnect(0x8E).encode(5), b"\xe0\x01\x8e")
        properties = Properties(reason_string="why")
        expected = packet(0xE0, b"\x00", property_list(b"\x1f" + field(b"why")))
        self.assertEqual(Disconnect(0, properties).encode(5), expected)

    def test_3_x(self) -> None:
        """In 3.x DISCONNECT says nothing but that (3.1.1: 3.14)."""
        for version in (3, 4):
            self.assertEqual(Disconnect(0x8E, Properties(reason_string="why")).encode(version), b"\xe0\x00")
            self.assertEqual(decode_stream(b"\xe0\x00", version), [Disconnect()])

    def test_reserved_reason_codes(self) -> None:
        """A Reason Code that is none of DISCONNECT's is a Protocol Error, and never taken for 0x00."""
        for reason_code in set(range(256)) - set(tables.reason_codes_of(tables.DISCONNECT)):
            with self.subTest(reason_code=reason_code):
                self.assertRaises(ProtocolError, decode_stream, bytes([0xE0, 1, reason_code]), 5)
                self.assertRaises(ValueError, Disconnect(reason_code).encode, 5)


class AuthTests(SynchronousTestCase):
    def test_remaining_length_0(self) -> None:
        """3.15.2.1 lets Reason Code and properties be left out; whether that is in place, others judge."""
        self.assertEqual(decode_stream(b"\xf0\x00", 5), [Auth()])
        self.assertEqual(Auth().encode(5), b"\xf0\x00")

    def test_without_a_method(self) -> None:
        """It is a Protocol Error to omit the Authentication Method (3.15.2.2.2)."""
        for body in (b"\x00", b"\x18\x00", b"\x19" + property_list(b"\x1f" + field(b"why"))):
            with self.assertRaises(ProtocolError) as caught:
                decode_stream(packet(0xF0, body), 5)
            self.assertEqual((caught.exception.reason_code, caught.exception.clause), (0x82, "3.15.2.2.2"))

    def test_an_empty_method(self) -> None:
        """An Authentication Method may be an empty string, as any string may (1.5.4)."""
        auth = Auth(0x19, Properties(authentication_method=""))
        self.assertEqual(decode_stream(auth.encode(5), 5), [auth])

    def test_there_is_none_before_5(self) -> None:
        """AUTH can't be sent in 3.x, and is no packet there (3.1.1: 2.2.1)."""
        for version in (3, 4):
            self.assertRaises(ValueError, Auth().encode, version)
            self.assertRaises(MalformedPacket, decode_stream, b"\xf0\x00", version)

    def test_what_can_not_be_said(self) -> None:
        """A Reason Code or a property of another packet is a ValueError."""
        self.assertRaises(ValueError, Auth(0x80).encode, 5)
        self.assertRaises(ValueError, Auth(0, Properties(server_reference="x")).encode, 5)


class FrameTests(SynchronousTestCase):
    def test_frame(self) -> None:
        """A packet is its first byte, the Remaining Length in its shortest form, and the body (2.1)."""
        for size in (0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152):
            with self.subTest(size=size):
                data = frame(0x30, bytes(size))
                self.assertEqual(data[:5], (b"\x30" + variable(size) + bytes(5))[: min(5, len(data))])
                self.assertEqual(len(data), 1 + len(variable(size)) + size)

    def test_expect_end(self) -> None:
        """Bytes behind the last field are counted in the text, and the packet is named."""
        expect_end(5, 5, tables.PUBACK)
        with self.assertRaises(MalformedPacket) as caught:
            expect_end(5, 7, tables.PUBACK)
        self.assertEqual(caught.exception.text, "2 bytes follow the last field of PUBACK")

    def test_left_over_bytes(self) -> None:
        """`decode_stream` takes whole packets only."""
        with self.assertRaises(MalformedPacket) as caught:
            decode_stream(b"\xc0\x00\x30\x05\x00", 4)
        self.assertEqual(caught.exception.text, "3 bytes of an unfinished packet are left")

    def test_packets_show_what_they_are(self) -> None:
        """Every packet has a repr that names its kind: a test or a log that shows it can be read."""
        for vector in VALID:
            kind = type(vector.packet).__name__
            self.assertTrue(repr(vector.packet).lstrip("<").startswith(kind), repr(vector.packet))

    def test_packets_are_packets(self) -> None:
        """All packets but PUBLISH, which is a message, are of the type `Packet`."""
        for vector in VALID:
            self.assertEqual(isinstance(vector.packet, Packet), vector.data[0] >> 4 != tables.PUBLISH)
