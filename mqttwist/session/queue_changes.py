"""What of a frame is about the queues: which messages wait for whom, how far each has come, and their bodies.

Each delivery that the store knows has a `position`. It stands there in a row of its own, or in a `Batch` with
others that came in the same frame; its message stands with it, or as a body that several need. The journal
asks for the rows when its frame goes off.
"""

from __future__ import annotations

from typing import Final

from mqttwist.session.batch import LEAST, MOST, Batch
from mqttwist.session.delivery import Delivery
from mqttwist.session.rows import Row, batch_row, body_row, delivery_row, spent_row
from mqttwist.wire.message import Message

OVERHEAD: Final = 200  # bytes that a change takes beside its content, roughly
OWN_BODY: Final = 800  # bytes of a message up to which its body stands with the only delivery of it


class QueueChanges:
    """What has changed in the queues since the last frame, and where the numbers of a store stand."""

    __slots__ = (
        "_bodies", "_changed", "_queued", "_removed", "_removed_bodies", "_spent", "copies", "mid",
        "position", "size",
    )  # fmt: skip

    copies: dict[int, int]  # of message bodies with more than one delivery: how many
    mid: int  # the highest number of a body
    position: int  # the highest one of a place
    size: int  # bytes that have gathered, roughly
    _bodies: dict[int, Message]
    _removed_bodies: list[Row]
    _queued: dict[int, Delivery]  # by position: new in this frame
    _changed: dict[int, Delivery]  # in a frame before, and another now
    _removed: list[Row]
    _spent: dict[Batch, None]  # batches of frames before of which something is over now

    def __init__(self) -> None:
        self.copies = {}
        self.mid = self.position = 0
        self.begin()

    def begin(self) -> None:
        """An empty frame."""
        self.size = 0
        self._bodies = {}
        self._removed_bodies = []
        self._queued = {}
        self._changed = {}
        self._removed = []
        self._spent = {}

    def next_position(self) -> int:
        """The number of a new place, in a queue or of a retained message."""
        self.position += 1
        return self.position

    # Changes

    def queued(self, sid: int, delivery: Delivery) -> None:
        """A delivery begins to wait."""
        delivery.sid = sid
        delivery.position = self.next_position()
        self._queued[delivery.position] = delivery
        self.size += OVERHEAD
        message = delivery.message
        if message is not None:
            self._refer(delivery, message)

    def changed(self, delivery: Delivery) -> bool:
        """A delivery that is recorded is another now; False: it is new in this frame anyway."""
        if delivery.position in self._queued:
            return False
        self._changed[delivery.position] = delivery
        return True

    def took_message(self, delivery: Delivery, message: Message) -> None:
        """A delivery that stood for a retained message has a message of its own now."""
        self._refer(delivery, message)
        self.changed(delivery)

    def released(self, delivery: Delivery, message: Message) -> None:
        """PUBREC came: what is left is to have PUBREL confirmed, without the message."""
        self._unrefer(delivery, message)
        self.changed(delivery)

    def done(self, delivery: Delivery) -> None:
        """A delivery is over, or was dropped."""
        position = delivery.position
        delivery.position = 0
        if self._queued.pop(position, None) is None:
            self._changed.pop(position, None)
            self._remove(delivery, position)
        else:
            self.size -= OVERHEAD
        message = delivery.message
        if message is not None:
            self._unrefer(delivery, message)

    def _remove(self, delivery: Delivery, position: int) -> None:
        """A delivery that is in the store is to be there no more."""
        batch = delivery.batch
        if batch is None:
            self._removed.append((delivery.sid, position))
            self.size += OVERHEAD
        else:
            self._leave(delivery, batch)

    def _leave(self, delivery: Delivery, batch: Batch) -> None:
        """A delivery is over for its batch."""
        delivery.batch = None
        batch.spend(delivery.place)
        if batch not in self._spent:
            self._spent[batch] = None
            self.size += OVERHEAD

    def _refer(self, delivery: Delivery, message: Message) -> None:
        mid = delivery.mid = message.mid
        if mid == 0:
            self.mid += 1
            delivery.mid = message.mid = self.mid
            self._bodies[self.mid] = message
            self.size += message.size + OVERHEAD
        else:
            self.copies[mid] = self.copies.get(mid, 1) + 1

    def _unrefer(self, delivery: Delivery, message: Message) -> None:
        """One delivery less needs the body of `message`."""
        mid = delivery.mid
        if mid == 0:
            return
        delivery.mid = 0
        count = self.copies.get(mid, 1)
        if count > 2:
            self.copies[mid] = count - 1
        elif count == 2:
            del self.copies[mid]
        else:
            message.mid = 0
            if self._bodies.pop(mid, None) is None:
                self._removed_bodies.append((mid,))
            else:
                self.size -= message.size + OVERHEAD

    # The rows of a frame

    def deliveries(self, offset: float) -> tuple[list[Row], list[Row], list[Row]]:
        """Rows of single deliveries to put in, and keys to remove; rows of batches to put in.

        Call it first: it decides which bodies stand by themselves. `offset` is what the wall clock is ahead.
        """
        rows, batches = self._queued_rows(offset)
        for delivery in self._changed.values():
            self._give_body(delivery)
            if delivery.batch is not None:
                self._leave(delivery, delivery.batch)
            rows.append(delivery_row(delivery, offset))
        return rows, self._removed, batches

    def bodies(self, offset: float) -> tuple[list[Row], list[Row]]:
        """The bodies that stand by themselves, and the keys of those that nobody needs any more."""
        return [body_row(mid, message, offset) for mid, message in self._bodies.items()], self._removed_bodies

    def _queued_rows(self, offset: float) -> tuple[list[Row], list[Row]]:
        """What is new in the queues: rows of single deliveries, and of batches."""
        singles: list[Row] = []
        batches: list[Row] = []
        of_sessions: dict[int, list[Delivery]] = {}
        for delivery in self._queued.values():
            self._give_body(delivery)
            if delivery.mid or delivery.message is None or delivery.kept is not None:
                singles.append(delivery_row(delivery, offset))
            elif delivery.sid in of_sessions:
                of_sessions[delivery.sid].append(delivery)
            else:
                of_sessions[delivery.sid] = [delivery]
        for deliveries in of_sessions.values():
            for at in range(0, len(deliveries), MOST):
                some = deliveries[at : at + MOST]
                rows = [delivery_row(delivery, offset) for delivery in some]
                if len(some) < LEAST:
                    singles += rows
                else:
                    batches.append(self._batch_row(some, rows))
        return singles, batches

    def _batch_row(self, deliveries: list[Delivery], rows: list[Row]) -> Row:
        """Make a batch of deliveries, which are in their order."""
        batch = Batch(deliveries[0].position, len(deliveries))
        size = 0
        for place, delivery in enumerate(deliveries):
            delivery.batch = batch
            delivery.place = place
            size += delivery.size
        return batch_row(batch, deliveries[-1].sid, deliveries[-1].position, size, rows)

    def spent(self) -> tuple[list[Row], list[Row], list[Row]]:
        """The batches that are over, rows that tell what is over of others, and which of those go."""
        spent_up: list[Row] = []
        spent: list[Row] = []
        untold: list[Row] = []
        for batch in self._spent:
            key: Row = (batch.position,)
            if batch.left:
                batch.is_told = True
                spent.append(spent_row(batch))
                continue
            spent_up.append(key)
            if batch.is_told:
                untold.append(key)
        return spent_up, spent, untold

    def _give_body(self, delivery: Delivery) -> None:
        """Let a small body that nobody else needs go with its one delivery.

        That halves what the writer has to do. A large one would be written again when its delivery is sent.
        """
        mid = delivery.mid
        if mid and mid not in self.copies:
            message = self._bodies.get(mid)
            if message is not None and message.size <= OWN_BODY:
                del self._bodies[mid]
                delivery.mid = message.mid = 0
