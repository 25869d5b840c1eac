"""What the journal records, as rows of tables: plain values, times by the wall clock.

`offset` is what the wall clock is ahead of the turn's clock, in seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mqttwist.session.delivery import Delivery
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


def delivery_row(delivery: Delivery) -> Row:
    """sid, position, mid, QoS, Packet Identifier, how far it has come, grant, what it is kept for, size.

    One that stands for a retained message has the number of its place, and the Topic Name.
    """
    grant = delivery.grant
    kept = delivery.kept
    message = delivery.message if kept is None else kept.message
    return (
        delivery.sid,
        delivery.position,
        0 if message is None or kept is not None else message.mid,
        delivery.qos,
        delivery.packet_id,
        _progress(delivery),
        grant.qos | (RETAIN_AS_PUBLISHED if grant.retain_as_published else 0),
        ",".join([str(identifier) for identifier in grant.identifiers]) if grant.identifiers else "",
        grant.share,
        "" if message is None or kept is None else f"{kept.number} {message.topic_name}",
        delivery.size,
    )


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
