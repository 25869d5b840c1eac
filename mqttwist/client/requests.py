"""SUBSCRIBE and UNSUBSCRIBE under way: what was asked, and who waits for the answer."""

from __future__ import annotations

from collections.abc import Callable

from mqttwist.client.errors import ClientError
from mqttwist.client.subscriptions import FilterSubscription, Subscriber

OnUnsubscribed = Callable[[ClientError | None], object]


class Request:
    """One packet. `subscriptions` are asked for in this order, `subscribers` wait for the answer to each.

    An UNSUBSCRIBE has `topic_filters` instead, and `on_end` for each.
    """

    __slots__ = ("on_end", "subscribers", "subscriptions", "topic_filters")

    subscriptions: list[FilterSubscription]
    subscribers: list[list[Subscriber]]
    topic_filters: list[str]
    on_end: list[OnUnsubscribed | None]

    def __init__(self) -> None:
        self.subscriptions = []
        self.subscribers = []
        self.topic_filters = []
        self.on_end = []

    @property
    def is_subscribe(self) -> bool:
        return bool(self.subscriptions)
