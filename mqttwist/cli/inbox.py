"""Messages of several subscriptions in the order in which they came, each once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred

from mqttwist.client.client import Client
from mqttwist.client.errors import ClientError
from mqttwist.client.received import Received
from mqttwist.client.subscriptions import Subscriber
from mqttwist.wire.subscribe import SubscriptionOptions

# The client's own limit in bytes stops reading long before; so nothing of QoS 0 is dropped.
NO_LIMIT: Final = 1 << 40


class Inbox:
    """`take(received)` is called for each message, and acknowledges it if it answers True.

    A message that two filters match comes to two subscribers; it is one message, and is taken once. What
    `take` raises goes to `failed`, and nothing more is taken.
    """

    def __init__(
        self,
        client: Client,
        take: Callable[[Received], bool],
        failed: Callable[[BaseException], object],
    ) -> None:
        self._client = client
        self._take = take
        self._failed = failed
        self._subscribers: list[Subscriber] = []
        self._is_closed = False
        self._unanswered = 0
        self.granted: list[int] = []
        self.refusals: list[ClientError] = []
        self.answered: Deferred[None] = Deferred()

    def subscribe(self, options: SubscriptionOptions) -> None:
        """Ask for one more Topic Filter. Raises what `Client.subscribe` raises."""
        self._unanswered += 1
        self._subscribers.append(self._client.subscribe(options, self._wake, NO_LIMIT, self._answered))

    def close(self) -> None:
        """What comes from now on is left to the Server."""
        self._is_closed = True

    def unsubscribe(self, topic_filter: str) -> bool:
        """End the subscription to `topic_filter`; False if there is none."""
        found = [one for one in self._subscribers if one.topic_filter == topic_filter]
        for subscriber in found:
            self._client.unsubscribe(subscriber)
        return bool(found)

    def _answered(self, subscriber: Subscriber, error: ClientError | None) -> None:
        if error is None:
            self.granted.append(subscriber.granted_qos)
        else:
            self.refusals.append(error)
        self._unanswered -= 1
        if not self._unanswered and not self.answered.called:
            self.answered.callback(None)

    def _wake(self) -> None:
        """Something has come for one of them, and perhaps for others in the same turn."""
        batch: dict[int, list[Received]] = {}
        for subscriber in self._subscribers:
            while (received := subscriber.next()) is not None:
                batch.setdefault(received.number, []).append(received)
        for number in sorted(batch):
            self._settle(batch[number])

    def _settle(self, copies: list[Received]) -> None:
        is_taken = False
        if not self._is_closed:
            try:
                is_taken = self._take(copies[0])
            except Exception as error:
                self._is_closed = True
                self._failed(error)
        for received in copies:
            if is_taken:
                received.ack()
            else:
                received.leave()
