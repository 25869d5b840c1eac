"""Rows of a store as the objects that they were written from: what `mqttwist.session.rows` does, undone.

It stands beside that to be compiled with it: a start reads hundreds of thousands of rows. `offset` is what
the wall clock is ahead of the broker's, in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.rows import RELEASED, RETAIN_AS_PUBLISHED, WAITING
from mqttwist.session.session import Session, Subscription
from mqttwist.wire.connect import Will
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import PUBACK, PUBCOMP, PUBREC
from mqttwist.wire.subscribe import SubscriptionOptions

NO_MESSAGE = Message("")

Row = tuple[Any, ...]


def subscription_of(row: Row) -> Subscription:
    """What `subscription_row` has written."""
    _, topic_filter, options, identifier = row
    return Subscription(SubscriptionOptions.from_byte(topic_filter, options), identifier)


def add_subscriptions(sessions: dict[int, Session], rows: Iterable[Row]) -> None:
    """Give the sessions, by their sids, the subscriptions that are theirs of `rows`."""
    for row in rows:
        session = sessions.get(row[0])
        if session is not None:
            session.subscriptions[row[1]] = subscription_of(row)


def kept_of(row: Row, offset: float) -> Kept:
    """What `retained_row` has written."""
    topic_name, qos, interval, expires_at, properties, payload, publisher, number = row
    kept = Kept(_message((topic_name, qos, 1, interval, expires_at, properties, payload), offset), publisher)
    kept.number = number
    return kept


def body_of(row: Row, offset: float) -> Message:
    """What `body_row` has written."""
    message = _message(row[1:], offset)
    message.mid = row[0]
    return message


def _message(row: Row, offset: float) -> Message:
    topic_name, qos, retain, interval, expires_at, properties, payload = row
    message = Message(topic_name, payload, qos, bool(retain))
    message.forwarded = properties
    message.message_expiry_interval = interval
    message.expires_at = expires_at - offset if expires_at else 0.0
    return message


def will_of(row: Row) -> Will:
    """What `will_row` has written."""
    _, topic_name, qos, retain, delay, interval, encoded, payload = row
    properties = _message((topic_name, qos, retain, interval, 0.0, encoded, payload), 0.0).properties
    if delay:
        properties.will_delay_interval = delay
    return Will(topic_name, payload, qos, bool(retain), properties)


class Queued(NamedTuple):
    """The columns of QUEUE, and what a row has that ends before them: see `delivery_row`."""

    sid: int
    position: int
    size: int
    qos: int
    body: bytes | int | None = None
    topic_name: str | None = None
    packet_id: int | None = None
    state: int | None = None
    granted: int | None = None
    identifiers: str | None = None
    share: str | None = None
    kept: str | None = None
    message_qos: int | None = None
    retain: int | None = None
    message_expiry_interval: int | None = None
    expires_at: float | None = None
    properties: bytes | None = None

    @property
    def is_released(self) -> bool:
        """Whether PUBREC has confirmed it, so that there is no message any more."""
        return self.state == RELEASED

    def message(self, offset: float) -> Message | None:
        """The message whose body stands in the row; None if it has none of its own."""
        if not isinstance(self.body, bytes):
            return None
        qos = self.qos if self.message_qos is None else self.message_qos
        interval = -1 if self.message_expiry_interval is None else self.message_expiry_interval
        terms = (self.topic_name, qos, self.retain, interval, self.expires_at, self.properties or b"")
        return _message((*terms, self.body), offset)


def delivery_of(queued: Queued, message: Message | None, kept: Kept | None) -> Delivery:
    """What `delivery_row` has written, of a message or of the place of a retained one.

    Of one that is released there is neither.
    """
    delivery = Delivery(message or NO_MESSAGE, _grant(queued), kept)
    delivery.message = message
    delivery.qos = queued.qos
    delivery.sid, delivery.position = queued.sid, queued.position
    delivery.mid = queued.body if isinstance(queued.body, int) else 0
    delivery.packet_id = queued.packet_id or 0
    delivery.awaiting = _awaited(queued.qos, queued.state or WAITING)
    delivery.size = queued.size
    return delivery


def _grant(queued: Queued) -> Grant:
    granted = queued.qos if queued.granted is None else queued.granted
    numbers = queued.identifiers.split(",") if queued.identifiers else ()
    identifiers = tuple(int(number) for number in numbers)
    return Grant(granted & 3, bool(granted & RETAIN_AS_PUBLISHED), identifiers, queued.share or "")


def _awaited(qos: int, progress: int) -> int:
    if progress == WAITING:
        return 0
    if progress == RELEASED:
        return PUBCOMP
    return PUBACK if qos == 1 else PUBREC
