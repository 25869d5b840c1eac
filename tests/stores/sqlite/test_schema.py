"""`mqttwist.stores.sqlite.schema`: frames and checksums."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.stores.sqlite.schema import FRAME_LENGTH, TABLES, Row, checksum, pack_frame, unpack_frame
from tests.stores.sqlite.support import puts, rows_of


class FrameTests(SynchronousTestCase):
    def test_round_trip(self) -> None:
        """What is packed is unpacked, and the length before it is that of the rest."""
        changes = [*puts(rows_of(5)), (0, [], [(1,), (2,)])]
        packed = pack_frame(7, 1.5, changes)
        self.assertEqual(FRAME_LENGTH.unpack(packed[:4]), (len(packed) - 4,))
        frame = unpack_frame(packed[4:])
        self.assertEqual((frame.number, frame.at, frame.changes), (7, 1.5, changes))

    def test_keys_come_first(self) -> None:
        """The rows of the tests have as many columns as the tables."""
        for table in TABLES:
            for row in rows_of(2)[table.name]:
                if not table.ragged:
                    self.assertEqual(len(row), len(table.columns), table.name)


class ChecksumTests(SynchronousTestCase):
    def test_it_stays_the_same(self) -> None:
        """A file is read by later versions of Python too: the checksum of a row is this number for ever."""
        row: Row = (1, -5, 1 << 40, "topic", "räume", b"\xff", b"", 0.25, None, 4294967295)
        self.assertEqual(checksum(row), 320850625)

    def test_equal_rows(self) -> None:
        """It is taken of the values, not of the objects: a shared or an interned text makes no difference."""
        word = "".join(["to", "pic"])
        shared: Row = (word, word, 1000, 1000)
        apart: Row = ("topic", "".join(["topi", "c"]), int("1000"), 10**3)
        self.assertEqual(checksum(shared), checksum(apart))

    def test_unambiguous(self) -> None:
        """Rows that differ in types, or in where a value ends, have different checksums."""
        rows: list[Row] = [
            ("ab", "c"),
            ("a", "bc"),
            (b"ab", "c"),
            (1, 2),
            (1.0, 2),
            ("1", 2),
            (None, 2),
            (1, 2, 0),
        ]
        self.assertEqual(len({checksum(row) for row in rows}), len(rows))
