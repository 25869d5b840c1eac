"""A message that the application publishes, from the call to what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.client.errors import ClientError, NotDelivered
from mqttwist.session.delivery import Delivery
from mqttwist.wire.message import Message

if TYPE_CHECKING:
    from mqttwist.session.deadlines import Deadline

# Where it is.
BLOCKED: Final = 0  # outside the queue, which is full
QUEUED: Final = 1
SENT: Final = 2  # on some connection, perhaps one that is gone
ENDED: Final = 3


class Publication:
    """One message on its way to the Server.

    `on_end` is called once, when the call that published it is over and the turn as well. Then `error` says
    what went wrong, or is None: the message was written (QoS 0), or confirmed (QoS 1 and 2) with
    `reason_code`: 0, or 0x10 for no subscribers. `packet_id` is the last one that it had, 0 at QoS 0.
    `duplicate_risk` says that the Server has lost a session and may have got the message twice. With
    `is_restored` a process before this one has published it, and its store has kept it.
    """

    __slots__ = (
        "deadline", "delivery", "duplicate_risk", "error", "is_restored", "message", "on_end", "packet_id",
        "reason_code", "reason_string", "state", "user_properties",
    )  # fmt: skip

    message: Message
    on_end: Callable[[Publication], object] | None
    state: int
    packet_id: int
    reason_code: int
    reason_string: str | None
    user_properties: tuple[tuple[str, str], ...]
    duplicate_risk: bool
    is_restored: bool
    error: ClientError | None
    delivery: Delivery | None
    deadline: Deadline | None

    def __init__(self, message: Message, on_end: Callable[[Publication], object] | None = None) -> None:
        self.message = message
        self.on_end = on_end
        self.state = QUEUED
        self.packet_id = 0
        self.reason_code = 0
        self.reason_string = None
        self.user_properties = ()
        self.duplicate_risk = False
        self.is_restored = False
        self.error = None
        self.delivery = None
        self.deadline = None

    @property
    def is_unsent(self) -> bool:
        """Whether it waits, and was never sent."""
        return self.state < SENT

    @property
    def was_sent(self) -> bool:
        """Whether the Server may have it."""
        return self.state == SENT

    def give_up(self, cause: str) -> NotDelivered:
        """What it ends with, for a `cause` that has nothing to do with the message."""
        return NotDelivered(cause, self.was_sent)
