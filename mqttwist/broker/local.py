"""A subscriber inside the process: no socket, no packets, a plain call for each message."""

from __future__ import annotations

from collections.abc import Callable

from mqttwist.session.receiver import Receiver
from mqttwist.wire.message import Message


class LocalReceiver(Receiver):
    """Calls `take(message, qos, retain)` in the turn in which the message is published.

    `qos` and `retain` are those of this delivery. `take` must not raise, and must not publish: whoever wants
    to do that puts the message aside until the turn is over.
    """

    __slots__ = ("_take",)

    _take: Callable[[Message, int, bool], object]

    def __init__(self, client_id: str, take: Callable[[Message, int, bool], object]) -> None:
        super().__init__(client_id)
        self._take = take

    def deliver(
        self,
        message: Message,
        qos: int,
        retain: bool,
        identifiers: tuple[int, ...],
        share: str,
        replayed: bool,
    ) -> bool:
        self._take(message, qos, retain)
        return True

    @property
    def is_online(self) -> bool:
        return True

    @property
    def is_ready(self) -> bool:
        return True

    @property
    def has_room(self) -> bool:
        return True
