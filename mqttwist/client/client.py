"""The client: what it remembers from connection to connection, and what the application asks of it.

`open` is called when a transport to a Server was made, `connection.receive_data` when something was read from
it, `tick` when time has passed. What is to be sent gathers until `flush`, which the shell around this calls
soon after `wake` has asked for it. What the application is to hear waits until `settle`, when no code of ours
is in the middle of anything: so it may call whatever it likes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from mqttwist.client.connecting import (
    connect_packet,
    left_out_of_connect,
    new_client_id,
    next_version,
)
from mqttwist.client.connection import ClientConnection
from mqttwist.client.doors import Authenticator, Owner
from mqttwist.client.errors import (
    ClientError,
    ConnectionEnded,
    ConnectRefused,
    NeedsMQTT5,
    PublishRefused,
)
from mqttwist.client.incoming import ClientIncoming
from mqttwist.client.outgoing import ClientFlow
from mqttwist.client.publication import Publication
from mqttwist.client.received import Received
from mqttwist.client.requests import OnUnsubscribed
from mqttwist.client.settings import ClientSettings
from mqttwist.client.stats import ClientStats
from mqttwist.client.subscribing import Subscribing
from mqttwist.client.subscriptions import OnAnswer, Subscriber
from mqttwist.session.connection import READING_HELD, Trace, Transport
from mqttwist.session.deadlines import Deadlines
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops, Metrics
from mqttwist.session.session import Session
from mqttwist.session.turn import Turn
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, SubscriptionOptions, UnsubAck

OUTBOX_LIMIT: Final = 1024  # pieces that gather before they are written without waiting for the turn's end
# Of one `settle`: who publishes whenever something was published must not hang us. In each of them up to
# `AT_ONCE_LIMIT` messages of QoS 0 can be published, so these are some 2,500 before others have their turn.
ROUNDS_LIMIT: Final = 20
NO_QUEUE: Final = QueueLimits(0, 0, True)


class Client:
    """`clock` answers seconds from any origin. `wake` has `flush` and `settle` called soon.

    A `journal` records what is to survive the process, and `session` is what a process before this one has
    left in it.
    """

    __slots__ = (
        "_arrived", "_authenticator", "_clean_next", "_held", "_held_before", "_is_awake", "_is_settling",
        "_left_out", "_owner", "_roused", "_was_accepted", "assigned_client_id", "connection", "deadlines",
        "drops", "incoming", "metrics", "outgoing", "session_expiry_interval", "settings",
        "stats", "subscribing", "trace", "turn", "version", "wake",
    )  # fmt: skip

    settings: ClientSettings
    turn: Turn
    metrics: Metrics
    stats: ClientStats
    drops: Drops
    deadlines: Deadlines
    outgoing: ClientFlow
    incoming: ClientIncoming
    subscribing: Subscribing
    connection: ClientConnection | None  # the one there is, accepted or not
    version: int  # the protocol version that is spoken, or tried next
    assigned_client_id: str  # what the Server has called us, or in 3.1 we ourselves; else ""
    session_expiry_interval: int  # seconds; what holds for the connection
    trace: Trace | None
    wake: Callable[[], object]
    _owner: Owner
    _authenticator: Authenticator | None
    _clean_next: bool  # the next connection begins a new session
    _was_accepted: bool  # some connection was: there is a session to go on with
    _arrived: int  # messages, since the client was made
    _left_out: set[str]  # what was told for this connection
    _held: int  # bytes that wait for the application
    _held_before: int  # how many did at the last tick
    _roused: deque[Subscriber]
    _is_awake: bool
    _is_settling: bool

    def __init__(
        self,
        settings: ClientSettings,
        clock: Callable[[], float],
        owner: Owner,
        wake: Callable[[], object],
        authenticator: Authenticator | None = None,
        trace: Trace | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.settings = settings
        self.turn = Turn(clock, journal)
        self.metrics = Metrics()
        self.stats = ClientStats()
        self.drops = Drops()
        self.deadlines = Deadlines()
        limits = QueueLimits(settings.queue_messages, settings.queue_bytes, True)
        self.outgoing = ClientFlow(limits, settings.when_full, self.drops)
        self.incoming = ClientIncoming(self._rouse, settings.session_outlives)
        self.subscribing = Subscribing(self)
        self.connection = None
        self.version = settings.versions[0]
        self.assigned_client_id = ""
        self.session_expiry_interval = settings.session_expiry_interval
        self.trace = trace
        self.wake = wake
        self._owner = owner
        self._authenticator = authenticator
        self._clean_next = settings.clean_start or not settings.session_outlives
        self._was_accepted = False
        self._arrived = 0
        self._left_out = set()
        self._held = self._held_before = 0
        self.outgoing.on_left_out = self.left_out
        self._roused = deque()
        self._is_awake = False
        self._is_settling = False

    def adopt(self, session: Session, journal: Journal) -> None:
        """Go on with what a process before this one has stored, and record what happens from now on.

        A Server has accepted that process if the session has a `version`. Call it before the first `open`.
        """
        self._was_accepted = session.version != 0
        for packet_id in session.incoming.unreleased:
            self.incoming.restore(packet_id)
        self.incoming.record(journal, session.sid)
        self.stats.restored = session.outgoing.waiting.length
        self.outgoing.adopt_stored(session, journal)

    def stored(self, frame: int) -> None:
        """All frames of the journal up to `frame` are stored: what has waited for that goes out. One turn."""
        journal = self.turn.journal
        if journal is not None:
            journal.committed(frame, self.turn.begin())
            self.turn.end()

    # Connections

    @property
    def client_id(self) -> str:
        """What we are called: by the settings, or by the Server."""
        return self.settings.client_id or self.assigned_client_id

    @property
    def is_connected(self) -> bool:
        """Whether the Server has accepted us."""
        return self.outgoing.connection is not None

    def open(
        self, transport: Transport, peer: str, username: str | None = None, password: bytes | None = None
    ) -> ClientConnection:
        """A transport to a Server was made: send CONNECT. One turn.

        Raises `ValueError` if there is a connection already, and for what CONNECT can't say.
        """
        if self.connection is not None:
            raise ValueError("there is a connection already")
        self.turn.begin()
        self._left_out.clear()
        if self.version == MQTT_3_1 and not self.client_id:
            self.assigned_client_id = new_client_id()
        connect = connect_packet(
            self.settings, self.version, self.client_id, self._clean_next, self._authenticator
        )
        connect.username = username
        connect.password = password
        connection = ClientConnection(self, transport, peer, connect, self._authenticator, self.trace)
        encoded = connect.encode()
        self.connection = connection
        if self.version != MQTT_5:
            for what in left_out_of_connect(self.settings):
                self.left_out(what)
        connection.send(encoded)
        self.metrics.others_sent += 1
        self.metrics.connections_opened += 1
        self.turn.end()
        return connection

    def left_out(self, what: str) -> None:
        """The version that we have fallen back to can't say it: that is told once for each connection."""
        if what not in self._left_out:
            self._left_out.add(what)
            self._owner.left_out(what)

    # What connections tell

    def accepted(self, connection: ClientConnection, connack: ConnAck) -> None:
        """CONNACK has come: ask for what is to be subscribed, then send what waits."""
        said = connack.properties
        self.stats.connections += 1
        self.assigned_client_id = said.assigned_client_identifier or self.assigned_client_id
        interval = said.session_expiry_interval
        self.session_expiry_interval = self.settings.session_expiry_interval if interval is None else interval
        is_present = connack.session_present or (
            self.version == MQTT_3_1 and not connection.connect.clean_start
        )
        if not is_present:
            self._session_lost(connection)
        elif self.version == MQTT_3_1:  # which can't say that it has lost the session
            self.subscribing.session_lost()
        self._clean_next = not self.settings.session_outlives
        self._was_accepted = True
        # When a session goes on, Mosquitto 2.0 sends all that has waited, whatever Receive Maximum says. To
        # hold it to that (0x93) would be to connect again and again and never get it. `hold_bytes` bounds it.
        is_held_to_it = self.version == MQTT_5 and not is_present
        self.incoming.begin(connection, self.settings.receive_maximum if is_held_to_it else 0)
        self.outgoing.begin(connection, connection.limits)
        self.subscribing.begin(connection, is_present)
        self.outgoing.resume()
        self._owner.connected(connection, connack)

    def _session_lost(self, connection: ClientConnection) -> None:
        unconfirmed = len(self.outgoing.in_flight)
        was_expected = self._was_accepted and not connection.connect.clean_start
        self.outgoing.session_lost(self.settings.on_session_loss)
        self.incoming.session_lost()
        self.subscribing.session_lost()
        if was_expected:
            self.stats.sessions_lost += 1
            self._owner.session_lost(connection, unconfirmed)

    def ended(self, connection: ClientConnection, error: ClientError) -> None:
        """A connection is over: be it for another one, or for good."""
        if self.connection is not connection:
            return
        self.connection = None
        if isinstance(error, ConnectRefused):
            self.stats.refused_connections += 1
        if self._authenticator is None:  # before MQTT 5.0 there is no AUTH: who asks for it has to have it
            is_unanswered = connection.is_unanswered and not self._was_accepted
            self.version = next_version(self.settings.versions, self.version, error, is_unanswered)
        self.outgoing.detach()
        self.incoming.detach()
        self.subscribing.connection_lost()
        if not self.settings.session_outlives:
            self.incoming.session_lost()
        self._owner.ended(connection, error)

    def arrived(self, publish: Publish) -> None:
        """A message came: it is for all subscribers whose subscriptions it came for."""
        if publish.qos:
            received = self.incoming.arrived(publish)
            if received is None:
                return
        else:
            received = Received(publish, self.incoming)
        self._arrived += 1
        received.number = self._arrived
        found = self.subscribing.subscriptions.find(publish)
        subscribers = (
            found[0].subscribers if len(found) == 1 else [one for each in found for one in each.subscribers]
        )
        if not subscribers:
            self.stats.unclaimed += 1
            received.ack()  # [MQTT-4.5.0-2]
            self._owner.unclaimed(publish)
        elif len(subscribers) == 1:
            subscribers[0].put(received)
        else:
            for subscriber, share in zip(subscribers, received.shares(len(subscribers)), strict=True):
                subscriber.put(share)

    def subscribed(self, packet: SubAck) -> None:
        """SUBACK has come. Raises `ProtocolError`."""
        self.subscribing.suback_received(packet)

    def unsubscribed(self, packet: UnsubAck) -> None:
        """UNSUBACK has come. Raises `ProtocolError`."""
        self.subscribing.unsuback_received(packet)

    # What subscribers tell

    def holds(self, size: int) -> None:
        """So many bytes more wait for the application; with too many of them nothing more is read."""
        self._held += size
        connection = self.connection
        if connection is None:
            return
        if size > 0 and self._held > self.settings.hold_bytes:
            if not connection.reading_is_held:
                self.stats.messages_held += 1
            connection.pause_reading(READING_HELD)
        elif size < 0 and self._held <= self.settings.hold_bytes // 2:
            connection.resume_reading(READING_HELD)

    @property
    def held_bytes(self) -> int:
        """How many bytes of messages wait for the application."""
        return self._held

    def roused(self, subscriber: Subscriber) -> None:
        """`subscriber` is to be woken when the turn is over."""
        self._roused.append(subscriber)
        self._rouse()

    def dropped(self, subscriber: Subscriber, received: Received) -> None:
        """A message of QoS 0 had to go for a newer one."""
        self.stats.dropped += 1
        self.holds(-received.size)
        self._owner.dropped(subscriber)

    # What the application asks

    def publish(self, publication: Publication, deadline: float | None = None) -> None:
        """Send a message, or keep it until it can be sent; give it up after `deadline` seconds, if any.

        Raises `QueueFull`, `NotSupportedByServer` for what the Server does not take, and `NeedsMQTT5`.
        """
        if self.version != MQTT_5 and self.settings.versions[0] != MQTT_5:
            _check_is_old(publication.message)
        now = self.turn.begin()
        self.outgoing.accept(publication, now)
        if deadline is not None or publication.message.expires_at:
            self._give_time(publication, now, deadline)
        connection = self.connection
        if connection is not None and len(connection.outbox) > OUTBOX_LIMIT:
            self.turn.end()
        self._rouse()

    def publish_at_once(self, message: Message) -> bool:
        """Send a message of QoS 0 if it can be written in this turn; False: it is for `publish`.

        There is nothing to wait for then, and so no `Publication`. Raises what `publish` raises.
        """
        if self.version != MQTT_5 and self.settings.versions[0] != MQTT_5:
            _check_is_old(message)
        if not self.outgoing.send_at_once(message, self.turn.begin()):
            return False
        self._rouse()
        return True

    def _give_time(self, publication: Publication, now: float, seconds: float | None) -> None:
        """Until it expires it has to be sent, and within `seconds`, if any, confirmed."""
        expires_at = publication.message.expires_at
        if expires_at and publication.is_unsent and (seconds is None or expires_at < now + seconds):

            def expired(then: float) -> None:
                if not self.outgoing.expire_unsent(publication) and seconds is not None:
                    self._expire_later(publication, now + seconds, seconds)

            publication.deadline = self.deadlines.at(expires_at, expired)
        elif seconds is not None:
            self._expire_later(publication, now + seconds, seconds)

    def _expire_later(self, publication: Publication, when: float, seconds: float) -> None:
        def expire(now: float) -> None:
            self.outgoing.expire(publication, f"not confirmed within {seconds:g} s")

        publication.deadline = self.deadlines.at(when, expire)

    def withdraw(self, publication: Publication) -> bool:
        """Take a message back if it was not sent yet; else let it go on, and forget who asked for it."""
        publication.on_end = None
        if publication.deadline is not None:
            publication.deadline.cancel()
        return self.outgoing.withdraw(publication)

    def subscribe(
        self,
        options: SubscriptionOptions,
        wake: Callable[[], object],
        buffer: int,
        on_answer: OnAnswer | None = None,
    ) -> Subscriber:
        """Use a subscription, which the Server is asked for as soon as there is a connection.

        Raises `ValueError` for a Topic Filter that is none, for options that can't be and for those that
        another use of it does not have, `NotSupportedByServer`, and `NeedsMQTT5`.
        """
        options.encode(self.settings.versions[0])  # ValueError for what SUBSCRIBE can't say
        if self.settings.versions[0] != MQTT_5 and options.as_byte != options.qos:
            raise NeedsMQTT5("No Local, Retain As Published or Retain Handling")
        self.turn.begin()
        subscriber = self.subscribing.subscribe(options, wake, buffer, on_answer)
        self._rouse()
        return subscriber

    def unsubscribe(self, subscriber: Subscriber, on_end: OnUnsubscribed | None = None) -> None:
        """Use a subscription no more; the last one who does has the Server told.

        `on_end` is called when that is done, and at once if there is nothing to be told.
        """
        self.turn.begin()
        self.subscribing.unsubscribe(subscriber, on_end)
        self._rouse()

    def disconnect(
        self, reason_code: int = 0, cause: str = "DISCONNECT by us", properties: Properties | None = None
    ) -> None:
        """Say goodbye to the Server and close. One turn; harmless without a connection."""
        connection = self.connection
        if connection is not None:
            self.turn.begin()
            connection.disconnect(reason_code, ConnectionEnded(cause, reason_code), properties)
            self.turn.end()

    def reauthenticate(self) -> None:
        """Prove once more who we are (4.12.1). Raises `ClientError` if that can't be."""
        connection = self.connection
        if connection is None:
            raise ClientError("there is no connection")
        self.turn.begin()
        connection.reauthenticate()
        self._rouse()

    # Time, and the end of turns

    def tick(self) -> None:
        """Do what is due: deadlines, Keep Alive, and in 3.x sending again. One turn."""
        now = self.turn.begin()
        self.deadlines.tick(now)
        connection = self.connection
        if connection is not None:
            connection.look(now, self.settings.ping_timeout)
            self._look_at_held(connection)
            self._look_at_overdue(now)
        if self.settings.retry_interval:
            self.outgoing.send_overdue(self.settings.retry_interval)
        self.turn.end()

    def _look_at_held(self, connection: ClientConnection) -> None:
        """Read a bit, though too much waits already, when the application itself may wait for an answer.

        A function that publishes for each message, and takes the next one when PUBACK has come, would else
        wait for good: nothing is read any more, and so no PUBACK.
        """
        is_stuck = connection.reading_is_held and self._held == self._held_before
        if is_stuck and (self.outgoing.in_flight or self.outgoing.requests):
            connection.resume_reading(READING_HELD)
        self._held_before = self._held

    def _look_at_overdue(self, now: float) -> None:
        for received, others in self.incoming.look(now):
            found = self.subscribing.subscriptions.find(received.publish)
            self._owner.overdue(received, [one.topic_filter for one in found], others)

    def _start_over(self) -> None:
        """So much was left to the Server that it may send nothing more: the next connection brings it anew.

        If the session ends with the connection, that would bring nothing: then it is rejected. Before MQTT
        5.0 the Server's own limit is not known; there ours is as good as any.
        """
        if not self.settings.session_outlives:
            self.incoming.reject_left()
            return
        self.stats.starts_over += 1
        self.disconnect(
            0, f"{self.incoming.left} messages were not acknowledged: the next connection brings them"
        )

    def _rouse(self) -> None:
        if not self._is_awake and not self._is_settling:
            self._is_awake = True
            self.wake()

    def settle(self) -> None:
        """Write what has gathered, and tell the application what has happened, until there is nothing left.

        Harmless at any time, also from within what is told.
        """
        if self._is_settling:
            return
        self._is_settling = True
        self._is_awake = False
        try:
            for _ in range(ROUNDS_LIMIT):
                if self.incoming.left >= self.settings.receive_maximum:
                    self._start_over()
                self.turn.end()
                if not self._has_news:
                    return
                self._tell()
        finally:
            self._is_settling = False
            if self._has_news:  # somebody has raised, or there is no end to it
                self._rouse()

    @property
    def _has_news(self) -> bool:
        return len(self.outgoing.ended) > 0 or len(self._roused) > 0 or len(self.subscribing.answers) > 0

    def _tell(self) -> None:
        ended = self.outgoing.ended
        for _ in range(len(ended)):
            self._tell_ended(ended.popleft())
        answers = self.subscribing.answers
        for _ in range(len(answers)):
            answers.popleft()()
        for _ in range(len(self._roused)):
            subscriber = self._roused.popleft()
            subscriber.is_awake = False
            subscriber.wake()

    def _tell_ended(self, publication: Publication) -> None:
        if isinstance(publication.error, PublishRefused):
            self.stats.rejected += 1
        self.stats.restored_ended += publication.is_restored
        on_end = publication.on_end
        if on_end is not None:
            publication.on_end = None
            on_end(publication)

    def give_up_all(self, cause: str) -> None:
        """The client stops for good: everything that is waited for fails."""
        self.outgoing.give_up_all(cause)
        self.subscribing.give_up_all(cause)


def _check_is_old(message: Message) -> None:
    if message.forwarded or message.message_expiry_interval >= 0:
        raise NeedsMQTT5("a property of a message")
