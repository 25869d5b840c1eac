"""Subscriptions of Twisted programs: those of the front, whose answers are Deferreds."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mqttwist.client.received import Received
from mqttwist.front.subscription import CallingSubscription, IteratedSubscription


class FunctionSubscription(CallingSubscription):
    """A subscription whose messages a function is called for: made by `MQTTClient.call_for`."""

    def granted(self) -> Deferred[int]:
        """See `FrontSubscription.granted`."""
        waiting: Deferred[int] = super().granted()
        return waiting

    def unsubscribe(self) -> Deferred[None]:
        """See `FrontSubscription.unsubscribe`."""
        waiting: Deferred[None] = super().unsubscribe()
        return waiting


class MessageSubscription(IteratedSubscription):
    """A subscription whose messages are iterated over: made by `MQTTClient.subscribe`."""

    def granted(self) -> Deferred[int]:
        """See `FrontSubscription.granted`."""
        waiting: Deferred[int] = super().granted()
        return waiting

    def unsubscribe(self) -> Deferred[None]:
        """See `FrontSubscription.unsubscribe`."""
        waiting: Deferred[None] = super().unsubscribe()
        return waiting

    def next(self) -> Deferred[Received]:
        """See `IteratedSubscription.next`."""
        waiting: Deferred[Received] = super().next()
        return waiting

    def __aiter__(self) -> MessageSubscription:
        return self

    async def __aenter__(self) -> MessageSubscription:
        await super().__aenter__()
        return self
