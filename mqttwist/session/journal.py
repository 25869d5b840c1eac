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

from mqttwist.session.delivery import Delivery
from mqttwist.session.queue_changes import OVERHEAD, QueueChanges
from mqttwist.session.rows import Row, retained_row, session_row, subscription_row, will_row
from mqttwist.wire.message import Kept, Message

if TYPE_CHECKING:
    from mqttwist.session.connection import Connection
    from mqttwist.session.session import Session, Subscription

PENDING_LIMIT: Final = 8 << 20  # bytes that may be waiting for the disk before publishers have to wait
PENDING_AGE: Final = 2.0  # seconds that a frame may take before publishers have to wait

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
        "_born", "_calls", "_forgotten", "_queues", "_received", "_retained", "_retained_size", "_sessions",
        "_sid", "_stalled", "_subscriptions", "_waiting", "_wall_clock", "_wills", "changes", "clock",
        "committed_frame", "frame", "frame_begun", "is_failing", "sealed_changes", "sealed_size", "sink",
        "soon", "under_way",
    )  # fmt: skip

    frame: int  # the number of the frame that gathers
    under_way: int  # the number of the frame that is being stored; 0: none
    committed_frame: int
    frame_begun: float  # when the frame under way was sent, by the turn's clock
    changes: int  # how many have been recorded so far: compare it to see whether something was
    sealed_changes: int  # how many of them are in frames already sent
    is_failing: bool  # the last attempt to store a frame has failed
    sealed_size: int  # bytes of the frame that is being stored, roughly
    sink: Sink | None
    soon: (
        Callable[[], object] | None
    )  # asked at the end of a turn to have `seal` called; None: it is, at once
    clock: Callable[[], float]
    _sid: int
    _queues: QueueChanges
    _sessions: dict[int, Session | None]
    _subscriptions: dict[tuple[int, str], Subscription | None]
    _received: dict[tuple[int, int], bool]
    _retained: dict[str, Kept | None]
    _retained_size: int  # bytes of those that have gathered, roughly
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
        self.sealed_size = 0
        self.sink = None
        self.soon = None
        self._sid = 0
        self._queues = QueueChanges()
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
        self._received = {}
        self._retained = {}
        self._retained_size = 0
        self._wills = {}
        self._queues.begin()

    def go_on_from(self, frame: int, sid: int, mid: int, position: int) -> None:
        """A store was opened: its last frame, and the highest numbers in it."""
        self.committed_frame = frame
        self.frame = frame + 1
        self._sid = self._born = sid
        self._queues.mid = mid
        self._queues.position = position

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
            kept.number = self._queues.next_position()
            if topic_name not in self._retained:
                self._retained_size += kept.message.size + OVERHEAD
        self._retained[topic_name] = kept
        self.changes += 1

    def received(self, sid: int, packet_id: int, is_unreleased: bool) -> None:
        """A QoS 2 message of a client is ours until its PUBREL; or that has come."""
        self._received[(sid, packet_id)] = is_unreleased
        self.changes += 1

    def queued(self, sid: int, delivery: Delivery) -> None:
        """A message of QoS 1 or 2 waits for a client, or is on its way to it."""
        self._queues.queued(sid, delivery)
        self.changes += 1

    def changed(self, delivery: Delivery) -> None:
        """A delivery was sent, and has a Packet Identifier."""
        if delivery.position and self._queues.changed(delivery):
            self.changes += 1

    def took_message(self, delivery: Delivery, message: Message) -> None:
        """A delivery that stood for a retained message has a message of its own now."""
        if delivery.position:
            self._queues.took_message(delivery, message)
            self.changes += 1

    def released(self, delivery: Delivery, message: Message) -> None:
        """PUBREC came: what is left is to have PUBREL confirmed, without the message."""
        if delivery.position:
            self._queues.released(delivery, message)
            self.changes += 1

    def done(self, delivery: Delivery) -> None:
        """A delivery is over, or was dropped."""
        if delivery.position:
            self._queues.done(delivery)
            self.changes += 1

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
    def copies(self) -> dict[int, int]:
        """Of message bodies with more than one delivery: how many."""
        return self._queues.copies

    @property
    def gathered_size(self) -> int:
        """How many bytes have gathered for the next frame, roughly."""
        return self._queues.size + self._retained_size

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
            self._begin()
            self._go_on(self.frame, now)
            return
        number = self.under_way = self.frame
        self.frame += 1
        self.frame_begun = now
        self.sealed_changes = self.changes
        self.sealed_size = self.gathered_size
        self._begin()
        sink(number, wall, changes)

    def _all_changes(self, offset: float) -> Changes:
        """What has gathered, table by table; `offset` is what the wall clock is ahead of the turn's."""
        queues = self._queues
        deliveries, removed, batches = queues.deliveries(offset)
        over, spent, told = queues.spent()
        changes: Changes = [
            (SESSIONS, *split(self._session_rows(offset))),
            (SUBSCRIPTIONS, *split(self._subscription_rows())),
            (MESSAGES, *queues.bodies(offset)),
            (QUEUES, deliveries, removed),
            (RECEIVED, *split({key: key if is_held else None for key, is_held in self._received.items()})),
            (RETAINED, *split(self._retained_rows(offset))),
            (WILLS, *split(self._will_rows())),
            (BATCHES, batches, over),
            (SPENT, spent, told),
        ]
        return [change for change in changes if change[1] or change[2]]

    # The rows by their keys; None where one is to be removed.

    def _session_rows(self, offset: float) -> dict[Row, Row | None]:
        return {
            (sid,): None if session is None else session_row(session, offset)
            for sid, session in self._sessions.items()
        }

    def _subscription_rows(self) -> dict[Row, Row | None]:
        return {
            key: None if subscription is None else subscription_row(key[0], subscription)
            for key, subscription in self._subscriptions.items()
        }

    def _retained_rows(self, offset: float) -> dict[Row, Row | None]:
        return {
            (topic_name,): None
            if kept is None or kept.message is None
            else retained_row(kept, kept.message, offset)
            for topic_name, kept in self._retained.items()
        }

    def _will_rows(self) -> dict[Row, Row | None]:
        return {
            (sid,): None if session is None or session.will is None else will_row(session)
            for sid, session in self._wills.items()
        }


def split(rows: dict[Row, Row | None]) -> tuple[list[Row], list[Row]]:
    """The rows to put in, and the keys of those to remove."""
    puts = [row for row in rows.values() if row is not None]
    removes = [key for key, row in rows.items() if row is None]
    return puts, removes
