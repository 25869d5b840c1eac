"""Frames of random changes for the writer of a store, and what the tables hold after each of them."""

from __future__ import annotations

from random import Random

from mqttwist.stores.sqlite.schema import TABLES, Change, Row, Table, pack_frame

KEYS = 40  # how many values a column of a key has, so that rows are replaced and removed
TEXTS = frozenset(
    (
        "topic_name",
        "client_id",
        "topic_filter",
        "username",
        "identity",
        "identifiers",
        "share",
        "kept",
        "publisher",
    )
)

Tables = list[dict[Row, Row]]


class FrameMaker:
    """Makes frames 1, 2, 3... with rows of all tables; `changes` keeps what is in them, by number - 1."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.changes: list[list[Change]] = []

    def make(self) -> bytes:
        """The next frame, packed."""
        self.changes.append(
            [self._change(index) for index in range(len(TABLES)) if self.random.random() < 0.6]
        )
        return self.packed(len(self.changes))

    def packed(self, number: int) -> bytes:
        """A frame that was made, as it is sent; also when it is sent again."""
        return pack_frame(number, float(number), self.changes[number - 1])

    def _change(self, index: int) -> Change:
        table = TABLES[index]
        removes = {self._key(table) for _ in range(self.random.randint(0, 4))}
        puts = {row[: table.key]: row for row in self._rows(table)}
        return index, list(puts.values()), [key for key in removes if key not in puts]

    def _rows(self, table: Table) -> list[Row]:
        width = len(table.columns)
        if table.ragged:
            width = self.random.randint(table.key + 1, width)
        values = table.columns[table.key : width]
        return [
            self._key(table) + tuple(self._value(column) for column in values)
            for _ in range(self.random.randint(1, 40))
        ]

    def _key(self, table: Table) -> Row:
        numbers = [self.random.randint(1, KEYS) for _ in range(table.key)]
        return tuple(
            f"t/{number}" if column in TEXTS else number
            for column, number in zip(table.columns, numbers, strict=False)
        )

    def _value(self, column: str) -> str | bytes | int:
        if column in TEXTS:
            return f"t/{self.random.random()}"
        if column == "payload" or (column == "body" and self.random.random() < 0.5):
            return self.random.randbytes(self.random.choice((0, 10, 300, 3000)))
        if column == "properties":
            return b""
        return self.random.randint(0, 1 << 31)


def tables_after(changes: list[list[Change]]) -> Tables:
    """What the tables hold after these frames, by key."""
    tables: Tables = [{} for _ in TABLES]
    for frame in changes:
        for index, puts, removes in frame:
            for key in removes:
                tables[index].pop(tuple(key), None)
            for row in puts:
                tables[index][row[: TABLES[index].key]] = row
    return tables
