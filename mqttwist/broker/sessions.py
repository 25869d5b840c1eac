"""The life of a Session (3.1.2.4, 4.1) and of its Will (3.1.2.5): opened, left, taken up again, ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttwist.broker.doors import Authority, Observer
from mqttwist.broker.router import Router
from mqttwist.session.deadlines import Deadline, Deadlines
from mqttwist.session.metrics import Drops
from mqttwist.session.session import NEVER, Session
from mqttwist.session.store import Store
from mqttwist.session.turn import Turn
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.connect import Connect
from mqttwist.wire.topics import split_share

if TYPE_CHECKING:
    from mqttwist.broker.connection import ServerConnection


CONNECTION_CLOSED: Final = "its connection was closed"


class _Record:
    """A session with what the broker has to do with it: its connection or the deadlines of its absence."""

    __slots__ = ("connection", "expiry", "session", "will_due")

    session: Session
    connection: ServerConnection | None
    will_due: Deadline | None
    expiry: Deadline | None

    def __init__(self, session: Session) -> None:
        self.session = session
        self.connection = None
        self.will_due = None
        self.expiry = None

    def cancel(self) -> None:
        """The absence is over."""
        if self.expiry is not None:
            self.expiry.cancel()
            self.expiry = None
        if self.will_due is not None:
            self.will_due.cancel()
            self.will_due = None


class Sessions:
    """All sessions, by client id [MQTT-3.1.3-2]."""

    __slots__ = (
        "_deadlines", "_drops", "_limits", "_observer", "_records", "_router", "_store", "_turn", "connected",
    )  # fmt: skip

    connected: int  # how many sessions have a Network Connection
    _records: dict[str, _Record]
    _router: Router
    _store: Store
    _turn: Turn
    _deadlines: Deadlines
    _observer: Observer
    _drops: Drops
    _limits: QueueLimits

    def __init__(
        self,
        router: Router,
        store: Store,
        turn: Turn,
        deadlines: Deadlines,
        observer: Observer,
        drops: Drops,
        limits: QueueLimits,
    ) -> None:
        self.connected = 0
        self._records = {}
        self._router = router
        self._store = store
        self._turn = turn
        self._deadlines = deadlines
        self._observer = observer
        self._drops = drops
        self._limits = limits

    def restore(self) -> None:
        """Take up the sessions of the store: their connections have ended with the broker before.

        The time since then counts: what came due meanwhile is due at the next tick.
        """
        for session in list(self._store.sessions()):
            record = self._records[session.client_id] = _Record(session)
            session.outgoing.adopt(self._limits, self._drops)
            self._router.restore(session)
            if session.gone_at is None:
                session.gone_at = self._turn.now
                self._store.session_saved(session)
            self._expire_later(record)
            self._schedule_will(record)

    def __len__(self) -> int:
        return len(self._records)

    def get(self, client_id: str) -> Session | None:
        record = self._records.get(client_id)
        return None if record is None else record.session

    def has_connection(self, client_id: str) -> bool:
        record = self._records.get(client_id)
        return record is not None and record.connection is not None

    def connections(self) -> list[ServerConnection]:
        """The connections of all sessions that have one."""
        return [record.connection for record in self._records.values() if record.connection is not None]

    # Coming

    def make_way(self, connection: ServerConnection, connect: Connect, identity: str | None) -> None:
        """A client has come: its other connection ends, and its session too if it is to have a new one.

        A session of somebody else ends: what waits in it, and its subscriptions, are not the new client's.
        """
        record = self._records.get(connect.client_id)
        if record is not None and record.connection is not None:
            record.connection.taken_over(connection.peer)  # [MQTT-3.1.4-3]
            record = self._records.get(connect.client_id)
        if record is None:
            return
        before = record.session.identity
        if connect.clean_start:  # [MQTT-3.1.2-4]
            self._end(record, "Clean Start by the client")
        elif before != identity:
            self._end(record, f"the user {identity!r} took its client id, it was of {before!r}")

    def open(
        self,
        connection: ServerConnection,
        connect: Connect,
        expiry_interval: int,
        authority: Authority | None,
        identity: str | None,
    ) -> tuple[Session, bool]:
        """The session for an accepted CONNECT, for which `make_way` was called.

        Answers it, and whether it was there before (Session Present).
        """
        client_id = connect.client_id
        record = self._records.get(client_id)
        is_present = record is not None
        if record is None:
            record = self._records[client_id] = _Record(Session(client_id, self._limits, self._drops))
        record.cancel()  # a will that was not due yet is not sent [MQTT-3.1.3-9]
        record.connection = connection
        session = record.session
        session.gone_at = None
        session.version = connect.version
        session.username = connect.username
        session.identity = identity
        session.expiry_interval = expiry_interval
        self._router.set_authority(session, authority)
        had_will, session.will = session.will is not None, connect.will
        self._store.session_saved(session)
        if had_will or session.will is not None:
            self._store.will_changed(session)
        self.connected += 1
        return session, is_present

    # Going

    def set_expiry(self, session: Session, interval: int) -> None:
        """The client has changed its Session Expiry Interval, in seconds (3.14.2.2.2)."""
        session.expiry_interval = interval
        self._store.session_saved(session)

    def close(self, connection: ServerConnection, session: Session, send_will: bool) -> None:
        """The Network Connection of a session is gone; without `send_will` so is its will [MQTT-3.14.4-3]."""
        record = self._records.get(session.client_id)
        if record is None or record.connection is not connection:
            return
        record.connection = None
        self.connected -= 1
        session.outgoing.detach()
        session.gone_at = self._turn.now
        if not send_will and session.will is not None:
            session.will = None
            self._store.will_changed(session)
        if session.expiry_interval == 0:
            self._end(record, CONNECTION_CLOSED)
            return
        self._store.session_saved(session)
        if any(split_share(topic_filter)[0] for topic_filter in session.subscriptions):
            self._router.hand_over(session.outgoing)
        if session.will is not None and session.will.delay == 0:
            self._send_will(record)
        else:
            self._schedule_will(record)
        self._expire_later(record)

    def _schedule_will(self, record: _Record) -> None:
        """The Will is due after its delay or when the session ends, whichever is first [MQTT-3.1.2-8]."""
        session = record.session
        if session.will is not None and session.gone_at is not None:
            due = session.gone_at + session.will.delay
            record.will_due = self._deadlines.at(due, lambda now: self._send_will(record))

    def _send_will(self, record: _Record) -> None:
        will = record.session.will
        record.session.will = None  # [MQTT-3.1.2-10]
        record.will_due = None
        if will is not None:
            self._store.will_changed(record.session)
            self._observer.will_published(record.session.client_id, will.topic_name)
            message = will.message()
            if not self._router.has_room_to_retain(message):
                message.retain = False  # there was room when the client came
            self._router.publish(message, record.session.outgoing)

    def _expire_later(self, record: _Record) -> None:
        gone_at = record.session.gone_at
        interval = record.session.expiry_interval
        if interval != NEVER and gone_at is not None:
            when = gone_at + interval
            record.expiry = self._deadlines.at(when, lambda now: self._end(record, "it expired"))

    def _end(self, record: _Record, cause: str) -> None:
        """Discard the Session State [MQTT-4.1.0-2]; a will that waited is due now."""
        record.cancel()
        session = record.session
        self._records.pop(session.client_id, None)
        self._store.session_removed(session)
        self._router.forget(session)
        self._send_will(record)
        self._observer.session_ended(session.client_id, cause)
