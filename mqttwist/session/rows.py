"""What the journal records, as rows of tables: plain values, times by the wall clock.

`offset` is what the wall clock is ahead of the turn's clock, in seconds.
"""

from __future__ import annotations

from marshal import dumps
from typing import TYPE_CHECKING, Final

from mqttwist.session.batch import Batch
from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import PUBCOMP

if TYPE_CHECKING:
    from mqttwist.session.session import Session, Subscription

# How far a delivery has come.
WAITING: Final = 0
SENT: Final = 1
RELEASED: Final = 2  # PUBREC came: only PUBCOMP is missing

RETAIN_AS_PUBLISHED: Final = 4  # in `granted`, beside the QoS

Value = str | bytes | int | float | None
Row = tuple[Value, ...]


def session_row(session: Session, offset: float) -> Row:
    """sid, client id, user name, identity, version, Session Expiry Interval, when the client left."""
    gone_at = None if session.gone_at is None else session.gone_at + offset
    return (
        session.sid,
        session.client_id,
        session.username,
        session.identity,
        session.version,
        session.expiry_interval,
        gone_at,
    )


def subscription_row(sid: int, subscription: Subscription) -> Row:
    """sid, Topic Filter, Subscription Options as SUBSCRIBE has them (3.8.3.1), identifier."""
    options = subscription.options
    return sid, options.topic_filter, options.as_byte, subscription.identifier


def body_row(mid: int, message: Message, offset: float) -> Row:
    """mid, and the message as it is forwarded."""
    return (
        mid,
        message.topic_name,
        message.qos,
        int(message.retain),
        message.message_expiry_interval,
        _wall_time(message.expires_at, offset),
        message.forwarded,
        message.payload,
    )


def delivery_row(delivery: Delivery, offset: float) -> Row:
    """sid, position, size, QoS, body, Topic Name; what the names of `schema.QUEUE` say; no None at the end.

    The body is the payload, or the mid of one that others need too, whose `body_row` has all of the message;
    None if there is none any more. None further on is: 0, which is waiting too; granted what it is sent with;
    no identifiers, share, place of a retained message; the QoS of the message that of the delivery; no
    expiry; no properties. Such a place is its number, and the Topic Name.
    """
    kept = delivery.kept
    message = delivery.message if kept is None else None
    grant = delivery.grant
    qos = delivery.qos
    if message is None or delivery.mid:
        body: Value = delivery.mid or None
        topic_name = None
    else:
        body = message.payload
        topic_name = message.topic_name
        if _is_plain(delivery, grant, message):  # like most of them, which takes half the time
            return delivery.sid, delivery.position, delivery.size, qos, body, topic_name
    row = (
        *(delivery.sid, delivery.position, delivery.size, qos, body, topic_name),
        delivery.packet_id or None,
        _progress(delivery) or None,
        None if grant.qos == qos and not grant.retain_as_published else _granted(grant),
        ",".join([str(identifier) for identifier in grant.identifiers]) or None,
        grant.share or None,
        _place(kept),
    )
    return without_end(row if topic_name is None or message is None else row + _terms(message, qos, offset))


def batch_row(batch: Batch, sid: int, last: int, size: int, rows: list[Row]) -> Row:
    """Position of the first, sid, position of the last, how many, their size, and their `delivery_row`s.

    In the format that Python has written since 3.4: another one may read the file.
    """
    return batch.position, sid, last, batch.messages, size, dumps(rows, 4)


def spent_row(batch: Batch) -> Row:
    """Position of the first, and a bit for each place: whether it is over."""
    return batch.position, batch.spent.to_bytes((batch.messages + 7) // 8, "little")


def _is_plain(delivery: Delivery, grant: Grant, message: Message) -> bool:
    """Whether only what every row has need be said of a delivery with a body of its own."""
    return not (
        delivery.awaiting
        or delivery.packet_id
        or grant.qos != delivery.qos
        or message.qos != delivery.qos
        or grant.retain_as_published
        or grant.identifiers
        or grant.share
        or message.retain
        or message.message_expiry_interval >= 0
        or message.expires_at
        or message.forwarded
    )


def _granted(grant: Grant) -> int:
    return grant.qos | (RETAIN_AS_PUBLISHED if grant.retain_as_published else 0)


def _place(kept: Kept | None) -> str | None:
    if kept is None or kept.message is None:
        return None
    return f"{kept.number} {kept.message.topic_name}"


def _terms(message: Message, qos: int, offset: float) -> Row:
    """What a message has beside topic and payload."""
    interval = message.message_expiry_interval
    return (
        None if message.qos == qos else message.qos,
        1 if message.retain else None,
        None if interval < 0 else interval,
        _wall_time(message.expires_at, offset) or None,
        message.forwarded or None,
    )


def without_end(row: Row) -> Row:
    """`row` up to the last value that is not None; there is one."""
    end = len(row)
    while row[end - 1] is None:
        end -= 1
    return row[:end]


def _progress(delivery: Delivery) -> int:
    if delivery.awaiting == 0:
        return WAITING
    return RELEASED if delivery.awaiting == PUBCOMP else SENT


def retained_row(kept: Kept, message: Message, offset: float) -> Row:
    """Topic Name, and the retained message with who published it and the number of its place."""
    return (
        message.topic_name,
        message.qos,
        message.message_expiry_interval,
        _wall_time(message.expires_at, offset),
        message.forwarded,
        message.payload,
        kept.publisher,
        kept.number,
    )


def will_row(session: Session) -> Row:
    """sid, and the Will as CONNECT has it; its time begins when the client has left."""
    will = session.will
    if will is None:
        raise ValueError("the session has no will")
    message = will.message()
    return (
        session.sid,
        will.topic_name,
        will.qos,
        int(will.retain),
        will.delay,
        message.message_expiry_interval,
        message.forwarded,
        will.payload,
    )


def _wall_time(time: float, offset: float) -> float:
    """0.0, which is never, stays so."""
    return time + offset if time else 0.0
