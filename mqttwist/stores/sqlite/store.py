"""The store that outlives the process: reads its file at the start, and has changes gathered in a journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from zope.interface import implementer

from mqttwist.session.delivery import Delivery
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.objects import (
    Queued,
    Row,
    add_subscriptions,
    body_of,
    delivery_of,
    kept_of,
    will_of,
)
from mqttwist.session.session import Session, Subscription
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.interfaces import IStore
from mqttwist.stores.sqlite.backlog import FileBacklog
from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import RECEIVED, RETAINED, SESSION, SUBSCRIPTION, WILL
from mqttwist.wire.message import Kept, Message

WAIT = 10.0  # seconds for which a broker waits until the one before it has ended
SYNC = ("off", "normal", "full")

# What a session has before a broker adopts it.
_NO_LIMITS = QueueLimits(0, 0, False)
_NO_DROPS = Drops()


@implementer(IStore)
class SQLiteStore:
    """Keeps everything in the file at `path`; `sync` says what an acknowledgement survives.

    `"full"`: the loss of power; `"normal"`: that of the process, and of power all but the last moments;
    `"off"`: that of the process. Raises `ValueError` for another `sync`.

    Whoever runs the broker opens the store, has `journal.sink` taken care of by a writer, and closes it.
    """

    def __init__(self, path: str, sync: str = "full", wall_clock: Callable[[], float] = time.time) -> None:
        if sync not in SYNC:
            raise ValueError(f"sync must be one of {', '.join(SYNC)}, not {sync!r}")
        self.path = path
        self.sync = sync
        self.journal = Journal(wall_clock)
        self._wall_clock = wall_clock
        self._file: StoreFile | None = None
        self._unread_copies: dict[int, int] = {}  # of bodies with several deliveries: those not read yet
        self._shared: dict[int, Message] = {}  # those bodies, from the first to the last time they are read
        self._notice: Callable[[str], object] = lambda line: None
        self._kept: dict[str, Kept] = {}
        self._highest_position = 0
        self._was_opened = False

    # Opening and closing

    @property
    def is_open(self) -> bool:
        return self._file is not None

    @property
    def file(self) -> StoreFile:
        """The file. Raises `ValueError` while the store is not open."""
        if self._file is None:
            raise ValueError("the store is not open")
        return self._file

    def open(self, notice: Callable[[str], object], wait: float = WAIT) -> None:
        """Open the file, or begin a new one; `notice` is told in a line what is odd about it.

        `wait` is for how many seconds to wait for somebody else who has it. Raises `StoreError` if it can't
        be had: it stays in use, or a newer mqttwist has made it; `ValueError` if it was changed since we
        closed it.
        """
        file = open_store(self.path, wait, notice)
        journal = self.journal
        if self._was_opened and journal.committed_frame != file.last_frame:
            file.close()
            raise ValueError(f"{self.path} was changed by somebody else since we closed it")
        if not self._was_opened:
            self._was_opened = True
            sid, mid, position = file.highest()
            journal.go_on_from(file.last_frame, sid, mid, position)
            journal.copies.update(file.copies())
            self._unread_copies = dict(journal.copies)
            self._highest_position = position
        self._file = file
        self._notice = notice

    def close(self) -> None:
        """Let go of the file; harmless when it is not open."""
        if self._file is not None:
            self._file.close()
            self._file = None

    # What was kept

    def sessions(self) -> Iterable[Session]:
        file, offset = self.file, self.journal.offset
        now = self._wall_clock()
        left_at = file.alive_at or now
        sessions: dict[int, Session] = {}
        for row in file.rows(SESSION):
            session = sessions[row[0]] = Session(row[1], _NO_LIMITS, _NO_DROPS)
            session.sid, _, session.username, session.identity, session.version, *rest = row
            session.expiry_interval, gone_at = rest
            # A wall clock that was ahead then must not make it last longer.
            session.gone_at = min(left_at if gone_at is None else gone_at, now) - offset
            if gone_at is None:
                self.journal.session_saved(session)  # its time began then, whoever comes next
            session.record(self.journal)
        add_subscriptions(sessions, file.rows(SUBSCRIPTION))
        for sid, packet_id in file.rows(RECEIVED):
            if sid in sessions:
                sessions[sid].incoming.restore(packet_id)
        for row in file.rows(WILL):
            if row[0] in sessions:
                sessions[row[0]].will = will_of(row)
        for sid, messages, size in file.backlogs():
            if sid in sessions:
                sessions[sid].outgoing.waiting.take_up(FileBacklog(self, sid), messages, size)
        return sessions.values()

    def retained(self) -> Iterator[Kept]:
        offset = self.journal.offset
        for row in self.file.rows(RETAINED):
            kept = self._kept[row[0]] = kept_of(row, offset)
            yield kept

    def _place(self, name: str) -> Kept | None:
        """The place that a delivery stands for, if it is still there: `rows.delivery_row` has named it."""
        number, _, topic_name = name.partition(" ")
        kept = self._kept.get(topic_name)
        return kept if kept is not None and kept.number == int(number) and kept.message is not None else None

    @property
    def retained_count(self) -> int:
        """How many retained messages have been read."""
        return len(self._kept)

    @property
    def highest_position(self) -> int:
        """That of the last delivery there was at the start."""
        return self._highest_position

    def unreadable(self, error: Exception) -> None:
        """The file does not give what waits for a client."""
        self._notice(f"{self.path}: what waits for a client can't be read, and stays in the file: {error}")

    def delivery(self, row: Row, body: Row | None) -> Delivery | None:
        """A delivery as it was recorded; None, and it is forgotten, if its message can't be had any more."""
        queued = Queued(*row)
        message = queued.message(self.journal.offset) if body is None else self._body(body)
        delivery = delivery_of(queued, message, self._place(queued.kept) if queued.kept else None)
        if message is None and delivery.kept is None and not queued.is_released:
            self.journal.done(delivery)
            return None
        return delivery

    def _body(self, row: Row) -> Message:
        """The message of a row: one object for all the deliveries of it, for the journal counts those."""
        mid: int = row[0]
        left = self._unread_copies.get(mid, 0)
        message = self._shared.get(mid) if left else None
        if message is None:
            message = body_of(row, self.journal.offset)
        if left > 1:
            self._unread_copies[mid] = left - 1
            self._shared[mid] = message
        elif left:
            del self._unread_copies[mid]
            self._shared.pop(mid, None)
        return message

    # What the broker tells

    def session_saved(self, session: Session) -> None:
        if session.sid or session.expiry_interval or session.will is not None:
            self.journal.session_saved(session)
            if session.expiry_interval:
                session.record(self.journal)

    def session_removed(self, session: Session) -> None:
        self.journal.session_removed(session)

    def subscription_added(self, session: Session, subscription: Subscription) -> None:
        if session.outgoing.is_recorded:
            self.journal.subscription_changed(session, subscription.options.topic_filter, subscription)

    def subscription_removed(self, session: Session, topic_filter: str) -> None:
        if session.outgoing.is_recorded:
            self.journal.subscription_changed(session, topic_filter, None)

    def will_changed(self, session: Session) -> None:
        self.journal.will_changed(session)

    def retained_changed(self, topic_name: str, kept: Kept | None) -> None:
        self.journal.retained_changed(topic_name, kept)
