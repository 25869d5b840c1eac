"""One message on its way to one client: what the sender has to remember of it (4.3, 4.4)."""

from __future__ import annotations

from typing import Final

from mqttwist.native import mypyc_attr
from mqttwist.session.batch import Batch
from mqttwist.session.grant import Grant
from mqttwist.wire.message import Kept, Message

# Why a message did not reach a client, in the words of the log.
EXPIRED: Final = "message expired"
FORBIDDEN: Final = "the client may not receive it any more"
OFFLINE: Final = "QoS 0 while offline"
PACKET_TOO_LARGE: Final = "larger than the client's Maximum Packet Size"
QUEUE_FULL: Final = "queue full"
REFUSED: Final = "refused by the client"
SESSION_ENDED: Final = "session ended"
TRANSPORT_FULL: Final = "QoS 0 while the client reads too slowly"
NO_MEMBER: Final = "no member of the shared subscription can take it"


@mypyc_attr(acyclic=True)
class Delivery:
    """A message that waits for its turn or for an acknowledgement.

    `sid` and `position` say where it is in a store; a `position` of 0: in none. `mid` is the number of
    its body there, 0 if that stands with it or there is none. With a `batch` it stands there in one row with
    others, at `place`. `awaiting` is the packet type that is to come
    next: PUBACK, PUBREC or PUBCOMP, or 0 before it was sent. One that came by a Shared
    Subscription may go to another member while it was not sent. While a retained message waits that is sent
    because of a SUBSCRIBE, `kept` stands for it, so that it takes no memory of its own.
    """

    __slots__ = (
        "awaiting",
        "batch",
        "grant",
        "kept",
        "message",
        "mid",
        "packet_id",
        "place",
        "position",
        "qos",
        "sent_at",
        "sid",
        "size",
    )

    message: Message | None  # None once it is no longer needed
    grant: Grant
    kept: Kept | None
    qos: int
    packet_id: int
    awaiting: int
    sent_at: float
    sid: int
    position: int
    mid: int
    batch: Batch | None
    place: int
    size: int  # bytes that it counts for: in the queue with its overhead, in flight as the packet

    def __init__(self, message: Message, grant: Grant, kept: Kept | None = None) -> None:
        self.message = message if kept is None else None
        self.grant = grant
        self.kept = kept
        self.qos = message.qos if message.qos < grant.qos else grant.qos  # [MQTT-3.8.4-8]
        self.packet_id = self.awaiting = self.sid = self.position = self.mid = self.place = self.size = 0
        self.sent_at = 0.0
        self.batch = None


def deliveries_of(places: list[Kept], grant: Grant) -> list[Delivery]:
    """What is sent of retained messages because of a SUBSCRIBE (3.3.1.3), by their places."""
    return [Delivery(kept.message, grant, kept) for kept in places if kept.message is not None]
