"""The client's sending side: messages of the application, on their way to the Server.

What `session.outgoing` does for one client of the broker it does here for the Server. This adds what an
application wants to know: what became of each message (`Publication`), a queue that is full, a message
that is taken back, and a session that the Server has lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.client.errors import (
    ClientError,
    NotDelivered,
    NotSupportedByServer,
    PublishRefused,
    QueueFull,
)
from mqttwist.client.limits import ServerLimits
from mqttwist.client.publication import BLOCKED, ENDED, QUEUED, SENT, Publication
from mqttwist.client.restored import RestoredBacklog
from mqttwist.session.connection import Connection
from mqttwist.session.delivery import EXPIRED, PACKET_TOO_LARGE, QUEUE_FULL, Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import PAUSE_NONE, OutgoingFlow
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.acknowledge import Acknowledgement
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_5, PUBCOMP, PUBREC

if TYPE_CHECKING:
    from mqttwist.client.requests import Request
    from mqttwist.session.journal import Journal
    from mqttwist.session.session import Session

AS_IT_IS: Final = Grant(2, True)  # QoS and RETAIN of a message are the application's
INSTANT: Final = 0.001  # seconds; how long a message with a Message Expiry Interval of 0 may be on its way
SEND_QUOTA_LIMIT: Final = 60_000  # so that there are always Packet Identifiers left for requests
ALIAS_LIMIT: Final = 1_000  # Topic Aliases that we use, however many the Server would take
# What of a turn is over as soon as it is published: more would let who publishes in a loop forget all others.
AT_ONCE_LIMIT: Final = 128  # pieces in the outbox
AT_ONCE_SIZE: Final = 8_192  # bytes of a message

NO_LIMITS: Final = QueueLimits(0, 0, True)
NO_MESSAGE: Final = Message("")  # of what PUBREC has confirmed only the Packet Identifier is kept

SESSION_LOST: Final = "the Server has lost the session"
OLDEST_DROPPED: Final = "the queue was full, and newer messages came"


class ClientFlow(OutgoingFlow):
    """All that is on its way to the Server, or waits for a connection.

    `ended` are the publications that came to an end in this turn: whoever ends the turn tells the
    application. `requests` are what else has a Packet Identifier under way. `answer` is the acknowledgement
    at hand if it has more to say than a Reason Code. `on_left_out` is told what an older version can't say.
    `on_restored_end` is told what becomes of messages that
    a store has kept from a process before this one.
    """

    __slots__ = (
        "_blocked", "_publications", "_when_full", "answer", "ended", "limits", "on_left_out",
        "on_restored_end", "requests",
    )  # fmt: skip

    limits: ServerLimits
    ended: deque[Publication]
    requests: dict[int, Request]
    answer: Acknowledgement | None
    on_left_out: Callable[[str], object] | None
    on_restored_end: Callable[[Publication], object] | None
    _publications: dict[Delivery, Publication]
    _blocked: deque[Publication]  # what came when the queue was full, with `when_full` "block"
    _when_full: str

    def __init__(self, limits: QueueLimits, when_full: str, drops: Drops) -> None:
        super().__init__("", limits, drops)
        self.limits = ServerLimits(MQTT_5)
        self.ended = deque()
        self.requests = {}
        self.answer = None
        self.on_left_out = None
        self.on_restored_end = None
        self._publications = {}
        self._blocked = deque()
        self._when_full = when_full

    @property
    def unfinished(self) -> int:
        """How many messages wait, or are sent and not confirmed."""
        return self.waiting.length + len(self.in_flight) + len(self._blocked)

    def adopt_stored(self, session: Session, journal: Journal) -> None:
        """Go on with what a process before this one has stored, and record what happens from now on.

        What was published before the store was open comes behind it.
        """
        limits = self.waiting.limits
        mine = list(self.waiting)
        self.record(journal, session.sid)
        self.waiting = waiting = session.outgoing.waiting
        waiting.fetch_through(lambda backlog: RestoredBacklog(backlog, self._restored))
        waiting.limits = NO_LIMITS
        for delivery in mine:
            if delivery.message is not None:
                waiting.push(delivery, delivery.message)
                self._record_waiting(delivery)
        waiting.limits = limits
        self._recall_sent()

    def _restored(self, delivery: Delivery) -> None:
        """Nobody in this process waits for it; what becomes of it is told all the same."""
        publication = Publication(delivery.message or NO_MESSAGE, self.on_restored_end)
        publication.is_restored = True
        publication.state = SENT if delivery.awaiting else QUEUED
        publication.packet_id = delivery.packet_id
        publication.delivery = delivery
        self._publications[delivery] = publication

    def begin(self, connection: Connection, limits: ServerLimits) -> None:
        """The Server has accepted `connection`; call `resume` when CONNECT is answered by all that is due."""
        self.limits = limits
        connection.peer_maximum_packet_size = limits.maximum_packet_size
        quota = min(limits.receive_maximum, SEND_QUOTA_LIMIT)
        self.attach(connection, quota, min(limits.topic_alias_maximum, ALIAS_LIMIT))

    # From the application

    def accept(self, publication: Publication, now: float) -> None:
        """Send a message, or keep it until it can be sent.

        Raises `QueueFull`, and `NotSupportedByServer` for what the Server of this connection does not take.
        """
        message = publication.message
        connection = self.connection
        if message.message_expiry_interval >= 0:
            message.expires_at = now + max(message.message_expiry_interval, INSTANT)
        if connection is not None:
            refusal = self._refusal(message, message.qos)
            if refusal is not None:
                raise refusal
            if self._goes_at_once(connection, message.qos):
                self._send_now(connection, publication)
                return
        self._enqueue(publication)

    def send_at_once(self, message: Message, now: float) -> bool:
        """Send a small message of QoS 0 if nothing is in its way; False: it is for `accept`.

        Saves a `Publication`, and what its caller would wait on: half the time of a message. Raises
        `NotSupportedByServer`.
        """
        connection = self.connection
        if (
            connection is None
            or len(connection.outbox) >= AT_ONCE_LIMIT
            or len(message.data) > AT_ONCE_SIZE
            or not self._goes_at_once(connection, 0)
        ):
            return False
        refusal = self._refusal(message, 0)
        if refusal is not None:
            raise refusal
        if message.message_expiry_interval >= 0:
            message.expires_at = now + max(message.message_expiry_interval, INSTANT)
        if not self._send_publish(connection, message, AS_IT_IS, 0, 0):
            raise self._drop_error(False)
        return True

    def _refusal(self, message: Message, qos: int) -> ClientError | None:
        """Why the Server of this connection must not get it, if so; and what of it gets lost is told."""
        limits = self.limits
        has_properties = limits.version != MQTT_5 and (
            len(message.forwarded) > 0 or message.message_expiry_interval >= 0
        )
        if has_properties and self.on_left_out is not None:
            self.on_left_out("properties of messages")
        return limits.refusal_of_publish(qos, message.retain)

    def _goes_at_once(self, connection: Connection, qos: int) -> bool:
        if self._blocked or connection.blocked:
            return False
        if qos == 0:  # which needs no quota, but must not overtake others of its kind
            return not self.waiting.qos_0
        return not self.waiting.length and self.pause == PAUSE_NONE

    def _send_now(self, connection: Connection, publication: Publication) -> None:
        message = publication.message
        if message.qos == 0:
            sent = self._send_publish(connection, message, AS_IT_IS, 0, 0)
            self._end(publication, None if sent else self._drop_error(False))
        else:
            delivery = self._delivery(publication)
            if self._journal is not None:
                self._journal.queued(self._sid, delivery)
            self._send_first(connection, delivery, message)
        message.forms = None

    def _delivery(self, publication: Publication) -> Delivery:
        delivery = Delivery(publication.message, AS_IT_IS)
        publication.delivery = delivery
        self._publications[delivery] = publication
        return delivery

    def _enqueue(self, publication: Publication) -> None:
        message = publication.message
        waiting = self.waiting
        if self._blocked or not waiting.has_room_for(message.size):
            self._make_room(message)
            if self._blocked or not waiting.has_room_for(message.size):
                self._block(publication)
                return
        self._push(publication)

    def _push(self, publication: Publication) -> None:
        delivery = self._delivery(publication)
        publication.state = QUEUED
        self.waiting.push(delivery, publication.message)
        self._record_waiting(delivery)

    def _make_room(self, message: Message) -> None:
        """Drop what the setting says may be dropped for a newer message."""
        waiting = self.waiting
        while not waiting.has_room_for(message.size) and waiting.could_hold(message):
            if self._when_full == "drop-oldest":
                oldest = waiting.first()
                if oldest is not None:
                    waiting.pop()
            elif self._when_full == "drop-qos0":
                oldest = waiting.evict_qos_0()
            else:
                return
            if oldest is None:
                return
            self._finish(oldest)
            self._drop(QUEUE_FULL)
            self._end_delivery(oldest, self._given_up(oldest, OLDEST_DROPPED))

    def _block(self, publication: Publication) -> None:
        if self._when_full != "block" or not self.waiting.could_hold(publication.message):
            raise QueueFull(f"{self.waiting.messages} messages of {self.waiting.size} bytes wait already")
        publication.state = BLOCKED
        self._blocked.append(publication)

    def _admit(self) -> None:
        """There may be room in the queue for what was blocked."""
        while self._blocked and self.waiting.has_room_for(self._blocked[0].message.size):
            self._push(self._blocked.popleft())

    def withdraw(self, publication: Publication) -> bool:
        """Take back a message that was not sent yet; False if it was, or has come to its end."""
        delivery = publication.delivery
        if publication.state == BLOCKED:
            self._blocked.remove(publication)
            self._admit()
        elif publication.state == QUEUED and delivery is not None:
            self._finish(delivery)
            self.waiting.discard(delivery)
            self._publications.pop(delivery, None)
            self._admit()
        else:
            return False
        publication.state = ENDED
        return True

    def expire(self, publication: Publication, cause: str) -> None:
        """Give a message up: take it back, or, if it was sent, wait no more for what comes of it."""
        if publication.state == ENDED:
            return
        error = publication.give_up(cause)
        if not self.withdraw(publication) and publication.delivery is not None:
            self._publications.pop(publication.delivery, None)
        self._end(publication, error)

    def expire_unsent(self, publication: Publication) -> bool:
        """Its Message Expiry Interval is over (3.3.2.3.3): give it up, unless it was sent."""
        if not publication.is_unsent:
            return False
        self._drop(EXPIRED)
        self.expire(publication, EXPIRED)
        return True

    def give_up_all(self, cause: str) -> None:
        """The client stops. What is recorded goes on with the next one, and so the Server may get it yet.

        What an earlier process has published goes on being told of, should this client start again.
        """
        restored = {one: each for one, each in self._publications.items() if each.is_restored}
        for publication in [*self._publications.values(), *self._blocked]:
            if publication.is_restored:
                continue
            error = publication.give_up(cause)
            delivery = publication.delivery
            if delivery is not None and delivery.position:
                error = NotDelivered(cause, True, True)
            else:
                self.withdraw(publication)
            self._end(publication, error)
        self._publications = restored
        self._blocked.clear()

    # To the Server

    def pump(self) -> None:
        """As the broker does; then what was blocked has its turn."""
        super().pump()
        while self._blocked and self.connection is not None:
            before = len(self._blocked)
            self._admit()
            if len(self._blocked) == before:
                return
            super().pump()

    def _send_waiting(self, connection: Connection, delivery: Delivery) -> int:
        message = delivery.message
        if delivery.qos or message is None:
            return super()._send_waiting(connection, delivery)
        refusal = self._refusal(message, 0)
        sent = super()._send_waiting(connection, delivery) if refusal is None else 0
        if refusal is None and not sent:
            refusal = self._drop_error(False)
        self._end_delivery(delivery, refusal)
        return sent

    def _send_first(self, connection: Connection, delivery: Delivery, message: Message) -> int:
        refusal = self._refusal(message, delivery.qos)
        if refusal is not None:
            self._finish(delivery)
            self._end_delivery(delivery, refusal)
            return 0
        sent = super()._send_first(connection, delivery, message)
        publication = self._publications.get(delivery)
        if not sent:
            self._end_delivery(delivery, self._drop_error(publication is not None and publication.was_sent))
            return 0
        if publication is not None:
            publication.state = SENT
            publication.packet_id = delivery.packet_id
        return sent

    def _send_duplicate(self, connection: Connection, delivery: Delivery) -> int:
        message = delivery.message
        refusal = None if message is None else self._refusal(message, delivery.qos)
        if refusal is not None:  # the Server has taken it once, but now says that it does not
            del self.in_flight[delivery.packet_id]
            self.in_flight_size -= delivery.size
            self._finish(delivery)
            self._end_delivery(delivery, NotDelivered(str(refusal), True))
            return 0
        sent = super()._send_duplicate(connection, delivery)
        if not sent:
            self._end_delivery(delivery, NotDelivered(self._last_drop, True))
        return sent

    def new_packet_id(self) -> int:
        """One for a request [MQTT-2.2.1-3]."""
        return self._new_packet_id()

    def _new_packet_id(self) -> int:
        """SUBSCRIBE, UNSUBSCRIBE and PUBLISH share the Packet Identifiers (2.2.1)."""
        packet_id = super()._new_packet_id()
        while packet_id in self.requests:
            packet_id = super()._new_packet_id()
        return packet_id

    # What becomes of them

    def acknowledged(self, packet_id: int, packet_type: int, reason_code: int) -> bool:
        """As the broker does. That a message of QoS 2 has no subscribers PUBREC says, and not PUBCOMP."""
        if packet_type == PUBREC and reason_code:
            delivery = self.in_flight.get(packet_id)
            publication = None if delivery is None else self._publications.get(delivery)
            if publication is not None:
                self._note(publication, reason_code)
        return super().acknowledged(packet_id, packet_type, reason_code)

    def _note(self, publication: Publication, reason_code: int) -> None:
        """What the Server has said of a message."""
        publication.reason_code = reason_code
        answer = self.answer
        if answer is not None and answer.properties is not None:
            publication.reason_string = answer.properties.reason_string
            publication.user_properties = answer.properties.user_properties

    def _complete(self, delivery: Delivery, packet_type: int, reason_code: int) -> None:
        publication = self._publications.pop(delivery, None)
        if publication is not None:
            self._confirm(publication, packet_type, reason_code)
        super()._complete(delivery, packet_type, reason_code)

    def _confirm(self, publication: Publication, packet_type: int, reason_code: int) -> None:
        if packet_type != PUBCOMP or reason_code or self.answer is not None:
            self._note(publication, reason_code or publication.reason_code)
        error: ClientError | None = None
        if reason_code >= 0x80 and packet_type != PUBCOMP:  # by then the Server has the message
            error = PublishRefused(reason_code, publication.reason_string, publication.user_properties)
        self._end(publication, error)

    def _end_delivery(self, delivery: Delivery, error: ClientError | None) -> None:
        publication = self._publications.pop(delivery, None)
        if publication is not None:
            self._end(publication, error)

    def _end(self, publication: Publication, error: ClientError | None) -> None:
        publication.state = ENDED
        publication.error = error
        if publication.deadline is not None:
            publication.deadline.cancel()
        self.ended.append(publication)

    def _given_up(self, delivery: Delivery, cause: str) -> NotDelivered:
        publication = self._publications.get(delivery)
        return NotDelivered(cause, publication is not None and publication.was_sent)

    def _drop_error(self, maybe: bool) -> ClientError:
        """What the message that was just dropped ends with; `maybe` it was sent for a session before."""
        if self._last_drop == PACKET_TOO_LARGE:
            text = f"the packet is larger than the Server takes, {self.limits.maximum_packet_size:,} bytes"
            return NotSupportedByServer("Maximum Packet Size", text)
        return NotDelivered(self._last_drop, maybe)

    def session_lost(self, on_session_loss: str) -> None:
        """The Server knows nothing of what was sent and not confirmed [MQTT-3.2.2-5].

        What it is to have once more becomes a new message, before all others; for the rest it is over. What
        PUBREC has confirmed the Server has.
        """
        self._recall_sent()
        again: list[Delivery] = []
        for delivery in self.in_flight.values():
            if delivery.message is None:
                self._finish(delivery)
                self._end_delivery(delivery, None)
            elif _goes_again(on_session_loss, delivery.qos):
                self._restart(delivery)
                again.append(delivery)
            else:
                self._finish(delivery)
                self._end_delivery(delivery, NotDelivered(SESSION_LOST, True))
        self.in_flight.clear()
        self.in_flight_size = 0
        self._unsent.clear()
        self.waiting.put_back(again)

    def _restart(self, delivery: Delivery) -> None:
        delivery.packet_id = delivery.awaiting = 0
        if self._journal is not None:
            self._journal.changed(delivery)
        publication = self._publications.get(delivery)
        if publication is not None:
            publication.duplicate_risk = True


def _goes_again(on_session_loss: str, qos: int) -> bool:
    return on_session_loss == "republish" or (on_session_loss == "republish-qos1" and qos == 1)
