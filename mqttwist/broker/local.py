"""Subscribers inside the process: no socket, no packets."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from mqttwist.session.delivery import EXPIRED, QUEUE_FULL, Delivery, deliveries_of
from mqttwist.session.grant import Grant
from mqttwist.session.metrics import Drops
from mqttwist.session.receiver import Receiver
from mqttwist.session.waiting import QueueLimits, WaitingQueue
from mqttwist.wire.message import Kept, Message


class WaitingReceiver(Receiver):
    """Keeps messages, within the limits of a queue, until `next` fetches them; calls `wake()` for each one.

    What does not fit is counted in `drops`. Retained messages that come because of the subscription always
    fit.
    """

    __slots__ = ("_drops", "_wake", "waiting")

    waiting: WaitingQueue
    _drops: Drops
    _wake: Callable[[], object]

    def __init__(self, client_id: str, limits: QueueLimits, drops: Drops, wake: Callable[[], object]) -> None:
        super().__init__(client_id)
        self.waiting = WaitingQueue(limits)
        self._drops = drops
        self._wake = wake

    def deliver(self, message: Message, grant: Grant) -> bool:
        accepted, dropped = self.waiting.push(Delivery(message, grant), message)
        if not accepted:
            dropped += 1
        if dropped:
            self._drops.count(self.client_id, QUEUE_FULL, dropped)
        if accepted:
            self._wake()
        return accepted

    def replay(self, places: list[Kept], grant: Grant) -> None:
        self.waiting.push_kept(deliveries_of(places, grant))
        self._wake()

    def withdraw_drop(self) -> None:
        self._drops.withdraw(self.client_id, QUEUE_FULL)

    def next(self, now: float) -> Message | None:
        """The message whose turn it is, with the QoS and RETAIN of its delivery, and the time left for it.

        `now` is the time by the broker's clock. None when nothing waits. What has expired is left out.
        """
        while (delivery := self.waiting.first()) is not None:
            self.waiting.pop()
            message = delivery.message
            if message is None:
                continue
            if not message.expires_at or message.expires_at > now:
                return _as_delivered(message, delivery, now)
            self._drops.count(self.client_id, EXPIRED)
        return None

    @property
    def is_online(self) -> bool:
        return True

    @property
    def is_ready(self) -> bool:
        return self.waiting.has_room

    @property
    def has_room(self) -> bool:
        return self.waiting.has_room


def _as_delivered(message: Message, delivery: Delivery, now: float) -> Message:
    """`message` as this delivery has it: itself, or a copy where something differs."""
    qos, retain = delivery.qos, message.retain and delivery.grant.retain_as_published
    interval = message.message_expiry_interval
    if message.expires_at:
        interval = max(min(ceil(message.expires_at - now), interval), 0)  # [MQTT-3.3.2-6]
    if (qos, retain, interval) == (message.qos, message.retain, message.message_expiry_interval):
        return message
    copy = Message(message.topic_name, message.payload, qos, retain)
    copy.forwarded = message.forwarded
    copy.message_expiry_interval = interval
    return copy
