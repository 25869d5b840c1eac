"""What is to survive the process, on its way to the disk: gathered in a turn, stored in frames.

The core tells a journal of every change to what a store keeps. At the end of a turn the changes become a
*frame*, which is stored as a whole or not at all; while one is under way, the next gathers. What is queued
and acknowledged again before its frame goes off is never written.

A packet that promises something (PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK; a PUBREL; a PUBLISH of QoS 2,
which must keep its Packet Identifier) is withheld until the frame with what it promises is committed:
`Connection.send_when_stored`. Nothing here reads a file: `sink` is given the frames.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.session.batch import LEAST, MOST, Batch
from mqttwist.session.delivery import Delivery
from mqttwist.session.rows import (
    Row,
    batch_row,
    body_row,
    delivery_row,
    retained_row,
    session_row,
    spent_row,
    subscription_row,
    will_row,
)
from mqttwist.wire.message import Kept, Message

if TYPE_CHECKING:
    from mqttwist.session.connection import Connection
    from mqttwist.session.session import Session, Subscription

PENDING_LIMIT: Final = 8 << 20  # bytes that may be waiting for the disk before publishers have to wait
PENDING_AGE: Final = 2.0  # seconds that a frame may take before publishers have to wait
OVERHEAD: Final = 200  # bytes that a change takes beside its content, roughly
OWN_BODY: Final = 800  # bytes of a message up to which its body stands with the only delivery of it

# The tables of a frame, in their order.
SESSIONS: Final = 0
SUBSCRIPTIONS: Final = 1
MESSAGES: Final = 2
QUEUES: Final = 3
RECEIVED: Final = 4
RETAINED: Final = 5
WILLS: Final = 6
BATCHES: Final = 7
SPENT: Final = 8

Changes = list[tuple[int, list[Row], list[Row]]]  # table, rows to put in, keys to remove
Sink = Callable[[int, float, Changes], object]  # number of the frame, wall clock, changes


class Journal:
    """Gathers changes and says when they are stored.

    `wall_clock` answers seconds since 1970: what is stored must mean the same to the next process. `clock` is
    the one that the turn reads. Whoever opens the store sets `sink` and, with `go_on_from`, where its numbers
    stand.
    """

    __slots__ = (
        "_bodies", "_born", "_calls", "_changed", "_forgotten", "_mid", "_position", "_queued",
        "_received", "_removed", "_removed_bodies", "_retained", "_sessions", "_sid", "_spent",
        "_stalled", "_subscriptions", "_waiting", "_wall_clock", "_wills", "changes", "clock",
        "committed_frame", "copies", "frame", "frame_begun", "gathered_size", "is_failing",
        "sealed_changes", "sealed_size", "sink", "soon", "under_way",
    )  # fmt: skip

    frame: int  # the number of the frame that gathers
    under_way: int  # the number of the frame that is being stored; 0: none
    committed_frame: int
    frame_begun: float  # when the frame under way was sent, by the turn's clock
    changes: int  # how many have been recorded so far: compare it to see whether something was
    sealed_changes: int  # how many of them are in frames already sent
    is_failing: bool  # the last attempt to store a frame has failed
    gathered_size: int  # bytes, roughly
    sealed_size: int
    sink: Sink | None
    soon: (
        Callable[[], object] | None
    )  # asked at the end of a turn to have `seal` called; None: it is, at once
    clock: Callable[[], float]
    copies: dict[int, int]  # of message bodies with more than one delivery: how many
    _sid: int
    _mid: int
    _position: int
    _sessions: dict[int, Session | None]
    _subscriptions: dict[tuple[int, str], Subscription | None]
    _bodies: dict[int, Message]
    _removed_bodies: list[Row]
    _queued: dict[int, Delivery]  # by position: new in this frame
    _changed: dict[int, Delivery]  # in a frame before, and another now
    _removed: list[Row]
    _spent: dict[Batch, None]  # batches of frames before of which something is over now
    _received: dict[tuple[int, int], bool]
    _retained: dict[str, Kept | None]
    _wills: dict[int, Session | None]
    _waiting: dict[Connection, None]  # connections with packets that are withheld
    _born: int  # sids above it are new in this frame
    _forgotten: dict[str, int]  # client ids whose session ends with the frame of that number
    _calls: list[tuple[int, Callable[[], object]]]  # to be made when the frame of that number is stored
    _stalled: dict[Connection, None]  # connections that are not read from until the disk has caught up
    _wall_clock: Callable[[], float]

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self.clock = wall_clock
        self.frame = 1
        self.under_way = 0
        self.committed_frame = 0
        self.frame_begun = 0.0
        self.changes = 0
        self.sealed_changes = 0
        self.is_failing = False
        self.gathered_size = 0
        self.sealed_size = 0
        self.sink = None
        self.soon = None
        self.copies = {}
        self._sid = self._mid = self._position = 0
        self._waiting = {}
        self._stalled = {}
        self._forgotten = {}
        self._calls = []
        self._begin()

    def _begin(self) -> None:
        """An empty frame."""
        self._born = self._sid
        self._sessions = {}
        self._subscriptions = {}
        self._bodies = {}
        self._removed_bodies = []
        self._queued = {}
        self._changed = {}
        self._removed = []
        self._spent = {}
        self._received = {}
        self._retained = {}
        self._wills = {}

    def go_on_from(self, frame: int, sid: int, mid: int, position: int) -> None:
        """A store was opened: its last frame, and the highest numbers in it."""
        self.committed_frame = frame
        self.frame = frame + 1
        self._sid = self._born = sid
        self._mid = mid
        self._position = position

    # Changes

    def session_saved(self, session: Session) -> None:
        if session.sid == 0:
            self._sid += 1
            session.sid = self._sid
        self._sessions[session.sid] = session
        self.changes += 1

    def session_removed(self, session: Session) -> None:
        """A session has ended; its deliveries are `done` one by one."""
        sid = session.sid
        if sid == 0:
            return
        session.sid = 0
        self.changes += 1
        if sid > self._born:
            self._unrecord(sid, session)
            return
        for topic_filter in session.subscriptions:
            self._subscriptions[(sid, topic_filter)] = None
        for packet_id in session.incoming.unreleased:
            self._received[(sid, packet_id)] = False
        self._sessions[sid] = None
        self._wills[sid] = None
        self._forgotten[session.client_id] = self.frame

    def _unrecord(self, sid: int, session: Session) -> None:
        """A session has begun and ended in one frame: nobody need know."""
        for topic_filter in session.subscriptions:
            self._subscriptions.pop((sid, topic_filter), None)
        for packet_id in session.incoming.unreleased:
            self._received.pop((sid, packet_id), None)
        self._sessions.pop(sid, None)
        self._wills.pop(sid, None)

    def subscription_changed(self, session: Session, topic_filter: str, now: Subscription | None) -> None:
        self._subscriptions[(session.sid, topic_filter)] = now
        self.changes += 1

    def will_changed(self, session: Session) -> None:
        if session.sid == 0:
            return
        self._wills[session.sid] = None if session.will is None else session
        self.changes += 1

    def retained_changed(self, topic_name: str, kept: Kept | None) -> None:
        if kept is not None and kept.message is not None:
            self._position += 1
            kept.number = self._position
            if topic_name not in self._retained:
                self.gathered_size += kept.message.size + OVERHEAD
        self._retained[topic_name] = kept
        self.changes += 1

    def received(self, sid: int, packet_id: int, is_unreleased: bool) -> None:
        """A QoS 2 message of a client is ours until its PUBREL; or that has come."""
        self._received[(sid, packet_id)] = is_unreleased
        self.changes += 1

    def queued(self, sid: int, delivery: Delivery) -> None:
        """A message of QoS 1 or 2 waits for a client, or is on its way to it."""
        self._position += 1
        delivery.sid = sid
        delivery.position = self._position
        self._queued[self._position] = delivery
        self.gathered_size += OVERHEAD
        message = delivery.message
        if message is not None:
            self._refer(delivery, message)
        self.changes += 1

    def changed(self, delivery: Delivery) -> None:
        """A delivery was sent, and has a Packet Identifier."""
        position = delivery.position
        if position and position not in self._queued:
            self._changed[position] = delivery
            self.changes += 1

    def took_message(self, delivery: Delivery, message: Message) -> None:
        """A delivery that stood for a retained message has a message of its own now."""
        if delivery.position:
            self._refer(delivery, message)
            self.changed(delivery)

    def released(self, delivery: Delivery, message: Message) -> None:
        """PUBREC came: what is left is to have PUBREL confirmed, without the message."""
        if delivery.position:
            self._unrefer(delivery, message)
            self.changed(delivery)

    def done(self, delivery: Delivery) -> None:
        """A delivery is over, or was dropped."""
        position = delivery.position
        if position == 0:
            return
        delivery.position = 0
        if self._queued.pop(position, None) is None:
            self._changed.pop(position, None)
            self._remove(delivery, position)
        else:
            self.gathered_size -= OVERHEAD
        message = delivery.message
        if message is not None:
            self._unrefer(delivery, message)
        self.changes += 1

    def _remove(self, delivery: Delivery, position: int) -> None:
        """A delivery that is in the store is to be there no more."""
        batch = delivery.batch
        if batch is None:
            self._removed.append((delivery.sid, position))
            self.gathered_size += OVERHEAD
        else:
            self._leave(delivery, batch)

    def _leave(self, delivery: Delivery, batch: Batch) -> None:
        """A delivery is over for its batch."""
        delivery.batch = None
        batch.spend(delivery.place)
        if batch not in self._spent:
            self._spent[batch] = None
            self.gathered_size += OVERHEAD

    def _refer(self, delivery: Delivery, message: Message) -> None:
        mid = delivery.mid = message.mid
        if mid == 0:
            self._mid += 1
            delivery.mid = message.mid = self._mid
            self._bodies[self._mid] = message
            self.gathered_size += message.size + OVERHEAD
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
                self.gathered_size -= message.size + OVERHEAD

    # Packets and connections that wait

    def withholds(self, connection: Connection) -> None:
        """`connection` has a packet that is to go out when a frame is committed."""
        self._waiting[connection] = None

    def forget(self, connection: Connection) -> None:
        """`connection` is over."""
        self._waiting.pop(connection, None)
        self._stalled.pop(connection, None)

    def stall(self, connection: Connection) -> None:
        """`connection` is to be told when the disk has caught up."""
        self._stalled[connection] = None

    def committed(self, number: int, now: float) -> None:
        """All frames up to `number` are stored: what was withheld for them goes out."""
        self.committed_frame = number
        self.is_failing = False
        if number >= self.under_way:
            self.under_way = 0
            self.sealed_size = 0
        self._forgotten = {client_id: frame for client_id, frame in self._forgotten.items() if frame > number}
        self._go_on(number, now)

    def _go_on(self, number: int, now: float) -> None:
        """Nothing is left to be stored of the frames up to `number`."""
        for connection in list(self._waiting):
            if connection.release_withheld(number):
                self._waiting.pop(connection, None)
        if self._stalled and not self.is_congested(now):
            stalled, self._stalled = self._stalled, {}
            for connection in stalled:
                connection.disk_caught_up()
        while self._calls and self._calls[0][0] <= number:
            self._calls.pop(0)[1]()

    def when_forgotten(self, client_id: str, call: Callable[[], object]) -> bool:
        """Have `call` called when the file knows that the client's session has ended; False: it does.

        Before that a new session must not begin: a client that relied on it could find the old one again.
        """
        frame = self._forgotten.get(client_id)
        if frame is None:
            return False
        self._calls.append((frame, call))
        return True

    def when_stored(self, call: Callable[[], object]) -> bool:
        """Have `call` called when all that was recorded up to now is stored; False: it is.

        It is called in the middle of a turn.
        """
        frame = self.latest_frame
        if frame <= self.committed_frame:
            return False
        self._calls.append((frame, call))
        return True

    # Frames

    @property
    def is_due(self) -> bool:
        """Whether a frame can go off: there is something in it, none is under way, and somebody stores it."""
        return self.changes != self.sealed_changes and self.under_way == 0 and self.sink is not None

    @property
    def latest_frame(self) -> int:
        """The number of the last frame in which there is something."""
        return self.frame if self.changes != self.sealed_changes else self.frame - 1

    @property
    def pending_size(self) -> int:
        """How many bytes are not stored yet, roughly."""
        return self.gathered_size + self.sealed_size

    def is_congested(self, now: float) -> bool:
        """Whether the disk has fallen behind so far that publishers have to wait."""
        if self.pending_size > PENDING_LIMIT:
            return True
        return self.under_way != 0 and now - self.frame_begun > PENDING_AGE

    @property
    def offset(self) -> float:
        """What the wall clock is ahead of the turn's, in seconds."""
        return self._wall_clock() - self.clock()

    def seal(self, now: float) -> None:
        """Send off what has gathered, if that is due; `now` is the time by the turn's clock."""
        sink = self.sink
        if sink is None or not self.is_due:
            return
        wall = self._wall_clock()
        changes = self._all_changes(self.offset)
        if not changes:  # all that was begun is over already
            self.sealed_changes = self.changes
            self.gathered_size = 0
            self._begin()
            self._go_on(self.frame, now)
            return
        number = self.under_way = self.frame
        self.frame += 1
        self.frame_begun = now
        self.sealed_changes = self.changes
        self.sealed_size = self.gathered_size
        self.gathered_size = 0
        self._begin()
        sink(number, wall, changes)

    def _all_changes(self, offset: float) -> Changes:
        """What has gathered, table by table; `offset` is what the wall clock is ahead of the turn's."""
        rows, batches = self._queued_rows(offset)
        for delivery in self._changed.values():
            self._give_body(delivery)
            if delivery.batch is not None:
                self._leave(delivery, delivery.batch)
            rows.append(delivery_row(delivery, offset))
        spent_up, spent, untold = self._spent_rows()
        bodies = [body_row(mid, message, offset) for mid, message in self._bodies.items()]
        received = self._received
        held: list[Row] = [key for key, is_held in received.items() if is_held]
        freed: list[Row] = [key for key, is_held in received.items() if not is_held]
        changes: Changes = [
            (SESSIONS, *self._session_rows(offset)),
            (SUBSCRIPTIONS, *self._subscription_rows()),
            (MESSAGES, bodies, self._removed_bodies),
            (QUEUES, rows, self._removed),
            (RECEIVED, held, freed),
            (RETAINED, *self._retained_rows(offset)),
            (WILLS, *self._will_rows()),
            (BATCHES, batches, spent_up),
            (SPENT, spent, untold),
        ]
        return [change for change in changes if change[1] or change[2]]

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

    def _spent_rows(self) -> tuple[list[Row], list[Row], list[Row]]:
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

    def _session_rows(self, offset: float) -> tuple[list[Row], list[Row]]:
        puts: list[Row] = []
        removes: list[Row] = []
        for sid, session in self._sessions.items():
            if session is None:
                removes.append((sid,))
            else:
                puts.append(session_row(session, offset))
        return puts, removes

    def _subscription_rows(self) -> tuple[list[Row], list[Row]]:
        puts: list[Row] = []
        removes: list[Row] = []
        for (sid, topic_filter), subscription in self._subscriptions.items():
            if subscription is None:
                removes.append((sid, topic_filter))
            else:
                puts.append(subscription_row(sid, subscription))
        return puts, removes

    def _retained_rows(self, offset: float) -> tuple[list[Row], list[Row]]:
        puts: list[Row] = []
        removes: list[Row] = []
        for topic_name, kept in self._retained.items():
            if kept is None or kept.message is None:
                removes.append((topic_name,))
            else:
                puts.append(retained_row(kept, kept.message, offset))
        return puts, removes

    def _will_rows(self) -> tuple[list[Row], list[Row]]:
        puts: list[Row] = []
        removes: list[Row] = []
        for sid, session in self._wills.items():
            if session is None or session.will is None:
                removes.append((sid,))
            else:
                puts.append(will_row(session))
        return puts, removes
