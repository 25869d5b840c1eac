"""Data representation (1.5): the values in the specification's tables, the limits, and what lies beyond."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire import datatypes
from mqttwist.wire.errors import MalformedPacket
from tests.wire.building import field, variable
from tests.wire.spread import BAD_STRINGS

Decode = Callable[[bytes, int, int], tuple[object, int]]


class IntegerTests(SynchronousTestCase):
    def test_big_endian(self) -> None:
        """The most significant byte comes first (1.5.2, 1.5.3)."""
        data = bytes(range(1, 9))
        self.assertEqual(datatypes.decode_byte(data, 2, 8), (3, 3))
        self.assertEqual(datatypes.decode_two_byte_integer(data, 2, 8), (0x0304, 4))
        self.assertEqual(datatypes.decode_four_byte_integer(data, 2, 8), (0x03040506, 6))

    def test_limits(self) -> None:
        """The least and the greatest value of each type go both ways."""
        for value in (0, 1, 255, 256, 65_535):
            encoded = datatypes.encode_two_byte_integer(value)
            self.assertEqual(datatypes.decode_two_byte_integer(encoded, 0, 2), (value, 2))
        for value in (0, 65_536, 4_294_967_295):
            encoded = datatypes.encode_four_byte_integer(value)
            self.assertEqual(datatypes.decode_four_byte_integer(encoded, 0, 4), (value, 4))

    def test_beyond_the_limits(self) -> None:
        """What a type can't hold is a ValueError, not a wrong number on the wire."""
        for encode, values in (
            (datatypes.encode_two_byte_integer, (-1, 65_536)),
            (datatypes.encode_four_byte_integer, (-1, 4_294_967_296)),
            (datatypes.encode_variable_byte_integer, (-1, 268_435_456)),
        ):
            for value in values:
                with self.subTest(encode=encode.__name__, value=value):
                    self.assertRaises(ValueError, encode, value)

    def test_cut_short(self) -> None:
        """A value that does not end before `end` is malformed, even if there are bytes behind it."""
        rows: tuple[tuple[Decode, int, str], ...] = (
            (datatypes.decode_byte, 1, "1.5.1"),
            (datatypes.decode_two_byte_integer, 2, "1.5.2"),
            (datatypes.decode_four_byte_integer, 4, "1.5.3"),
        )
        for decode, size, clause in rows:
            for there in range(size):
                with self.subTest(decode=decode.__name__, there=there):
                    with self.assertRaises(MalformedPacket) as caught:
                        decode(bytes(10), 3, 3 + there)
                    self.assertEqual(caught.exception.clause, clause)


class VariableByteIntegerTests(SynchronousTestCase):
    # Table 1-1: the least and the greatest value of one, two, three and four bytes
    TABLE = (
        (0, "00"),
        (127, "7F"),
        (128, "8001"),
        (16_383, "FF7F"),
        (16_384, "808001"),
        (2_097_151, "FFFF7F"),
        (2_097_152, "80808001"),
        (268_435_455, "FFFFFF7F"),
    )

    def test_table_1_1(self) -> None:
        """The limits of table 1-1 go both ways."""
        for value, encoded in self.TABLE:
            with self.subTest(value=value):
                data = bytes.fromhex(encoded)
                self.assertEqual(datatypes.encode_variable_byte_integer(value), data)
                self.assertEqual(
                    datatypes.decode_variable_byte_integer(b"?" + data + b"?", 1, len(data) + 2),
                    (value, len(data) + 1),
                )

    def test_cut_short(self) -> None:
        """A Variable Byte Integer that goes on behind `end` is malformed."""
        for _, encoded in self.TABLE:
            data = bytes.fromhex(encoded)
            for there in range(len(data)):
                with self.subTest(encoded=encoded, there=there):
                    with self.assertRaises(MalformedPacket) as caught:
                        datatypes.decode_variable_byte_integer(data, 0, there)
                    self.assertEqual(caught.exception.clause, "1.5.5")

    def test_not_the_shortest_form(self) -> None:
        """The encoded value must use as few bytes as possible [MQTT-1.5.5-1]."""
        for encoded in ("8000", "808000", "80808000", "FF00", "FF8000", "FFFFFF00", "81808000"):
            with self.subTest(encoded=encoded):
                with self.assertRaises(MalformedPacket) as caught:
                    datatypes.decode_variable_byte_integer(bytes.fromhex(encoded), 0, len(encoded) // 2)
                self.assertEqual(caught.exception.clause, "MQTT-1.5.5-1")

    def test_five_bytes(self) -> None:
        """There are at most four bytes; a fifth is not looked at (1.5.5)."""
        for encoded in ("8080808001", "FFFFFFFF7F", "8080808000", "80808080"):
            with self.subTest(encoded=encoded):
                with self.assertRaises(MalformedPacket) as caught:
                    datatypes.decode_variable_byte_integer(bytes.fromhex(encoded), 0, len(encoded) // 2)
                self.assertEqual(caught.exception.clause, "1.5.5")

    @given(st.integers(0, 268_435_455))
    @settings(derandomize=True)
    def test_algorithm_of_the_specification(self, value: int) -> None:
        """Any value is encoded as the algorithm of 1.5.5 does it, and comes back."""
        encoded = datatypes.encode_variable_byte_integer(value)
        self.assertEqual(encoded, variable(value))
        decoded = datatypes.decode_variable_byte_integer(encoded, 0, len(encoded))
        self.assertEqual(decoded, (value, len(encoded)))


class StringTests(SynchronousTestCase):
    GOOD = (
        "",
        "MQTT",
        "A\U0002a6d4",  # the example of 1.5.4
        "\ufeffafter U+FEFF",
        "\x01\x1f\x7f\x9f",  # should not be sent, may be refused; we don't
        "\uffff\ufffe\ufdd0\U0010ffff",  # non-characters: likewise
        "\ud7ff\ue000",  # the neighbours of the surrogates
        "x" * 65_535,
        "\u20ac" * 21_845,  # 65,535 bytes
    )

    def test_good_strings(self) -> None:
        """A string comes back as it was, U+FEFF included [MQTT-1.5.4-3]."""
        for text in self.GOOD:
            with self.subTest(text=text[:10]):
                encoded = datatypes.encode_string(text)
                self.assertEqual(encoded, field(text.encode()))
                self.assertEqual(datatypes.decode_string(encoded, 0, len(encoded)), (text, len(encoded)))

    def test_bad_strings(self) -> None:
        """Ill-formed UTF-8, surrogates and U+0000 are malformed [MQTT-1.5.4-1] [MQTT-1.5.4-2]."""
        for what, (raw, clause) in BAD_STRINGS.items():
            with self.subTest(what):
                data = field(raw)
                with self.assertRaises(MalformedPacket) as caught:
                    datatypes.decode_string(data, 0, len(data))
                self.assertEqual(caught.exception.clause, clause)

    def test_what_can_not_be_encoded(self) -> None:
        """A surrogate, U+0000 and more than 65,535 bytes are a ValueError."""
        for text in ("\ud800", "a\udfff", "\0", "a\0", "x" * 65_536, "\u20ac" * 21_846):
            with self.subTest(text=repr(text[:10])):
                self.assertRaises(ValueError, datatypes.encode_string, text)

    def test_pair(self) -> None:
        """A pair is two strings, both held to the rules [MQTT-1.5.7-1]."""
        encoded = datatypes.encode_string_pair(("name", "v\u00e4lue"))
        self.assertEqual(encoded, field(b"name") + field("v\u00e4lue".encode()))
        decoded = datatypes.decode_string_pair(encoded, 0, len(encoded))
        self.assertEqual(decoded, (("name", "v\u00e4lue"), len(encoded)))
        for data in (field(b"\xff") + field(b""), field(b"") + field(b"\x00")):
            self.assertRaises(MalformedPacket, datatypes.decode_string_pair, data, 0, len(data))

    @given(st.text(max_size=50))
    @settings(derandomize=True)
    def test_any_text(self, text: str) -> None:
        """Any text goes both ways or is a ValueError, and then for a reason."""
        try:
            encoded = datatypes.encode_string(text)
        except ValueError:
            self.assertTrue("\0" in text or any("\ud800" <= one <= "\udfff" for one in text))
        else:
            self.assertEqual(datatypes.decode_string(encoded, 0, len(encoded)), (text, len(encoded)))

    @given(st.binary(max_size=20))
    @settings(derandomize=True, max_examples=300)
    def test_any_bytes(self, raw: bytes) -> None:
        """Any bytes are a string that encodes to the same bytes, or malformed."""
        try:
            text = datatypes.decode_text(raw)
        except MalformedPacket:
            return
        self.assertEqual(datatypes.encode_text(text), raw)


class BinaryTests(SynchronousTestCase):
    def test_binary(self) -> None:
        """Binary Data has 0 to 65,535 bytes of any value (1.5.6)."""
        for value in (b"", b"\x00", bytes(range(256)), b"x" * 65_535):
            with self.subTest(size=len(value)):
                encoded = datatypes.encode_binary(value)
                self.assertEqual(encoded, field(value))
                decoded = datatypes.decode_binary(b"?" + encoded + b"?", 1, len(encoded) + 2)
                self.assertEqual(decoded, (value, len(encoded) + 1))

    def test_too_long(self) -> None:
        """65,536 bytes are a ValueError."""
        self.assertRaises(ValueError, datatypes.encode_binary, b"x" * 65_536)

    def test_cut_short(self) -> None:
        """A field whose length goes beyond `end` is malformed, although bytes follow."""
        data = field(b"abc") + b"more"
        for end in range(5):
            with self.subTest(end=end):
                with self.assertRaises(MalformedPacket) as caught:
                    datatypes.decode_binary(data, 0, end)
                self.assertEqual(caught.exception.clause, "1.5.6")
