"""One message on its way to one client: what the sender has to remember of it (4.3, 4.4)."""

from __future__ import annotations

from typing import Final

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


class Delivery:
    """A message that waits for its turn or for an acknowledgement.

    `awaiting` is the packet type that is to come next: PUBACK, PUBREC or PUBCOMP, or 0 before it was sent.
    `share` is the full filter of the Shared Subscription it came by, "" for others: while it was not sent,
    another member may have it. `replayed` marks a retained message that is sent because of a SUBSCRIBE:
    while it waits, `kept` stands for the message, so that it takes no memory of its own.
    """

    __slots__ = (
        "awaiting", "identifiers", "kept", "message", "packet_id", "qos", "replayed", "retain", "sent_at",
        "share", "size",
    )  # fmt: skip

    message: Message | None  # None once it is no longer needed
    kept: Kept | None
    qos: int
    retain: bool
    identifiers: tuple[int, ...]
    share: str
    replayed: bool
    packet_id: int
    awaiting: int
    sent_at: float
    size: int  # bytes that it takes while it is in flight

    def __init__(
        self,
        message: Message,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        share: str = "",
        replayed: bool = False,
    ) -> None:
        self.message = message
        self.kept = None
        self.qos = qos
        self.retain = retain
        self.identifiers = identifiers
        self.share = share
        self.replayed = replayed
        self.packet_id = 0
        self.awaiting = 0
        self.sent_at = 0.0
        self.size = 0
