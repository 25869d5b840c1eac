"""PUBACK, PUBREC, PUBREL and PUBCOMP (3.4 - 3.7): the three lengths they may have."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.acknowledge import (
    Acknowledgement,
    PubAck,
    PubComp,
    PubRec,
    PubRel,
    acknowledge,
    read_acknowledgement,
)
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError
from mqttwist.wire.properties import Properties
from tests.wire import tables
from tests.wire.building import field, packet, property_list

KINDS: dict[int, type[Acknowledgement]] = {0x40: PubAck, 0x50: PubRec, 0x62: PubRel, 0x70: PubComp}


class ShortFormTests(SynchronousTestCase):
    """The two functions of the packet path say what the classes say."""

    def test_acknowledge(self) -> None:
        """The bytes are those of the packet, in every version and with every Reason Code."""
        for first_byte, kind in KINDS.items():
            for reason_code in tables.reason_codes_of(first_byte >> 4):
                for version in (3, 4, 5):
                    with self.subTest(kind.__name__, reason_code=reason_code, version=version):
                        for packet_id in (1, 0xFF, 0x100, 0x1234, 0xFFFE):
                            packet = acknowledge(first_byte >> 4, packet_id, reason_code, version)
                            self.assertEqual(packet, kind(packet_id, reason_code).encode(version))

    def test_read(self) -> None:
        """What is read is what the packet decodes to, its faults included."""
        for first_byte in KINDS:
            packet_type = first_byte >> 4
            with self.subTest(packet_type):
                self.assertEqual(read_acknowledgement(packet_type, b"\x01\x02", 0, 2, 4), (0x0102, 0))
                last = max(tables.reason_codes_of(packet_type))
                data = bytes((0, 7, last, 0))
                self.assertEqual(read_acknowledgement(packet_type, data, 0, 3, 5), (7, last))
                self.assertEqual(read_acknowledgement(packet_type, data, 0, 4, 5), (7, last))
                for body in (b"", b"\x00", b"\x00\x00", b"\x00\x07\x05"):
                    with self.assertRaises(MQTTError):
                        read_acknowledgement(packet_type, body, 0, len(body), 5)


class DecodeTests(SynchronousTestCase):
    def test_remaining_length_2(self) -> None:
        """Without a Reason Code it is 0x00, Success (3.4.2.1)."""
        for first_byte, kind in KINDS.items():
            for version in (3, 4, 5):
                with self.subTest(kind.__name__, version=version):
                    (decoded,) = decode_stream(packet(first_byte, b"\x01\x02"), version)
                    self.assertEqual(decoded, kind(0x0102, 0, None))

    def test_remaining_length_3(self) -> None:
        """Without a Property Length there are no properties (3.4.2.2.1)."""
        for first_byte, kind in KINDS.items():
            for reason_code in tables.reason_codes_of(first_byte >> 4):
                with self.subTest(kind.__name__, reason_code=reason_code):
                    data = packet(first_byte, b"\x00\x01", bytes([reason_code]))
                    self.assertEqual(decode_stream(data, 5), [kind(1, reason_code, None)])

    def test_with_properties(self) -> None:
        """A Reason String and User Properties may follow, or an empty list."""
        for first_byte, kind in KINDS.items():
            with self.subTest(kind.__name__):
                data = packet(first_byte, b"\x00\x01\x00", property_list(b"\x1f" + field(b"why")))
                self.assertEqual(decode_stream(data, 5), [kind(1, 0, Properties(reason_string="why"))])
                data = packet(first_byte, b"\x00\x01\x00\x00")
                self.assertEqual(decode_stream(data, 5), [kind(1, 0, Properties())])

    def test_reason_codes_of_others(self) -> None:
        """A Reason Code of another packet is a Protocol Error, for all 256 of them."""
        for first_byte, kind in KINDS.items():
            legal = tables.reason_codes_of(first_byte >> 4)
            for reason_code in set(range(256)) - set(legal):
                with self.subTest(kind.__name__, reason_code=reason_code):
                    data = packet(first_byte, b"\x00\x01", bytes([reason_code]))
                    with self.assertRaises(ProtocolError) as caught:
                        decode_stream(data, 5)
                    self.assertEqual(caught.exception.clause, tables.REASON_CODE_CLAUSES[first_byte >> 4])

    def test_3_x_has_a_packet_identifier_only(self) -> None:
        """In 3.x whatever follows the Packet Identifier is malformed."""
        for first_byte in KINDS:
            for version in (3, 4):
                self.assertRaises(MalformedPacket, decode_stream, packet(first_byte, b"\0\x01\0"), version)

    def test_kinds_differ(self) -> None:
        """The four are alike but never equal."""
        packets = [kind(1) for kind in KINDS.values()]
        for index, one in enumerate(packets):
            self.assertEqual([one == other for other in packets].count(True), 1)
            self.assertEqual(one.packet_type(), list(KINDS)[index] >> 4)


class EncodeTests(SynchronousTestCase):
    def test_as_short_as_can_be(self) -> None:
        """Reason Code and properties are left out where they say nothing: these packets are many."""
        for first_byte, kind in KINDS.items():
            with self.subTest(kind.__name__):
                refusal = tables.reason_codes_of(first_byte >> 4)[-1]
                self.assertEqual(kind(1).encode(5), packet(first_byte, b"\x00\x01"))
                self.assertEqual(
                    kind(1, refusal).encode(5), packet(first_byte, b"\x00\x01", bytes([refusal]))
                )

    def test_3_x(self) -> None:
        """For 3.x there is the Packet Identifier only, whatever the Reason Code."""
        for first_byte, kind in KINDS.items():
            for version in (3, 4):
                encoded = kind(1, 0x92, Properties(reason_string="why")).encode(version)
                self.assertEqual(encoded, packet(first_byte, b"\x00\x01"))

    def test_what_can_not_be_said(self) -> None:
        """Packet Identifier 0 or above 65,535, another packet's Reason Code or property: a ValueError."""
        for kind in KINDS.values():
            for wrong in (
                kind(0),
                kind(-1),
                kind(65_536),
                kind(1, 0x93),
                kind(1, 0x93, Properties()),
                kind(1, 300),
                kind(1, 0, Properties(server_reference="x")),
            ):
                with self.subTest(repr(wrong)):
                    self.assertRaises(ValueError, wrong.encode, 5)
