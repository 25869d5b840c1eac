"""Rows of a store file as the objects that they were written from: what `mqttwist.session.rows` does, undone.

`offset` is what the wall clock is ahead of the broker's, in seconds.
"""

from __future__ import annotations

from typing import Any

from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.rows import RELEASED, RETAIN_AS_PUBLISHED, WAITING
from mqttwist.session.session import Subscription
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


def delivery_of(row: Row, message: Message | None, kept: Kept | None) -> Delivery:
    """What `delivery_row` has written, of a message or of the place of a retained one.

    Of one that PUBREC has confirmed there is neither.
    """
    sid, position, _, qos, packet_id, progress, granted, identifiers, share, _, size = row
    delivery = Delivery(message or NO_MESSAGE, _grant(granted, identifiers, share), kept)
    delivery.message = message
    delivery.qos = qos
    delivery.sid, delivery.position = sid, position
    delivery.packet_id = packet_id
    delivery.awaiting = _awaited(qos, progress)
    delivery.size = size
    return delivery


def _grant(granted: int, identifiers: str, share: str) -> Grant:
    numbers = tuple(int(number) for number in identifiers.split(",")) if identifiers else ()
    return Grant(granted & 3, bool(granted & RETAIN_AS_PUBLISHED), numbers, share)


def _awaited(qos: int, progress: int) -> int:
    if progress == WAITING:
        return 0
    if progress == RELEASED:
        return PUBCOMP
    return PUBACK if qos == 1 else PUBREC
