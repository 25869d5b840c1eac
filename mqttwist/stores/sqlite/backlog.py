"""What waits for one session in a store file, read bit by bit when its turn comes."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from mqttwist.session.batch import Batch
from mqttwist.session.delivery import Delivery
from mqttwist.stores.sqlite.reader import StoredBatch

if TYPE_CHECKING:
    from mqttwist.stores.sqlite.store import SQLiteStore

CHUNK: Final = 256  # rows of single deliveries that are read at a time


class FileBacklog:
    """What waited for a session when the file was opened: what came since is in memory anyway.

    Rows of single deliveries and batches stand in two tables; the positions of both tell their order. Some
    of the singles stand in the midst of a batch: those that were too large for it, and those that have left
    it.
    """

    __slots__ = ("_after", "_sid", "_store")

    def __init__(self, store: SQLiteStore, sid: int) -> None:
        self._store = store
        self._sid = sid
        self._after = 0

    def fetch(self) -> list[Delivery]:
        """The next ones; without those whose message is damaged, or was retained and is no more."""
        deliveries: list[Delivery] = []
        try:
            while not deliveries and self._after < self._store.highest_position:
                deliveries = self._next()
        except (sqlite3.Error, ValueError) as error:
            self._store.unreadable(error)
        return deliveries

    def _next(self) -> list[Delivery]:
        """Singles up to the next batch; or that, with the singles in its midst."""
        end = self._store.highest_position + 1
        found = self._store.file.next_batch(self._sid, self._after)
        if found is not None and found.position < end:
            return self._singles(found.position) or self._in_batch(found)
        return self._singles(end)

    def _singles(self, end: int) -> list[Delivery]:
        """The next ones before the position `end`."""
        rows = self._store.file.backlog(self._sid, self._after, CHUNK, end)
        self._after = rows[-1][0][1] if len(rows) == CHUNK else end - 1
        return [one for row in rows if (one := self._store.delivery(*row)) is not None]

    def _in_batch(self, found: StoredBatch) -> list[Delivery]:
        """All from the first to the last position of a batch."""
        batch = Batch(found.position, len(found.rows))
        batch.is_told = found.spent != 0
        deliveries = []
        for place, row in enumerate(found.rows):
            if found.spent >> place & 1:
                batch.spend(place)
                continue
            delivery = self._store.delivery(row, None)
            if delivery is not None:
                delivery.batch, delivery.place = batch, place
                deliveries.append(delivery)
        while self._after < found.last:
            deliveries += self._singles(found.last + 1)
        deliveries.sort(key=lambda delivery: delivery.position)
        return deliveries
