"""The load of `mqttwist bench`: clients that publish, clients that subscribe, and what is measured meanwhile.

A payload begins with the time when it was to be sent, in nanoseconds of this process's clock, so that a
publisher that falls behind its rate makes latencies longer, not fewer. What became due since the last look
at the clock counts from now: to wait for that look is the load's own delay, not the broker's.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall, deferLater

from mqttwist.cli.connecting import CommandClient, Connecting
from mqttwist.cli.histogram import Histogram
from mqttwist.cli.inbox import Inbox
from mqttwist.client.received import Received
from mqttwist.wire.subscribe import SubscriptionOptions

HEAD: Final = struct.Struct(">QQ")  # when, and a number of this run
PACE: Final = 0.01  # seconds between two looks at what a rate owes
DRAIN: Final = 5.0  # seconds without a message, after which what is missing is lost
SECOND: Final = 1_000_000_000  # nanoseconds
BATCH: Final = 50  # clients that connect at a time


@dataclass(frozen=True, slots=True)
class Plan:
    """What is asked for. `rate` is in messages a second of each publisher, None for as fast as it goes.

    It ends after `duration` seconds, or `count` messages of each publisher.
    """

    topic: str
    qos: int
    publishers: int
    subscribers: int
    topics: int
    size: int
    rate: float | None
    window: int
    duration: float | None
    count: int | None


@dataclass(slots=True)
class Result:
    """What has come of it. `latency` is in microseconds."""

    seconds: float = 1e-9
    published: int = 0
    received: int = 0
    expected: int = 0
    is_incomplete: bool = False
    latency: Histogram = field(default_factory=Histogram)


class Load:
    """One run. `clock` answers nanoseconds from any origin."""

    def __init__(self, connecting: Connecting, plan: Plan, reactor: Any, clock: Callable[[], int]) -> None:
        self._connecting = connecting
        self._plan = plan
        self._reactor = reactor
        self._clock = clock
        self._result = Result()
        self._clients: list[CommandClient] = []
        self._failed: Deferred[None] = Deferred()
        self._run_number = clock() & 0xFFFF_FFFF
        self._last_received = 0
        self._started = 0

    async def run(self, progress: Callable[[Result], object] | None) -> Result:
        """Connect, publish, wait for the rest, and disconnect. Raises what a client fails with."""
        reporting = LoopingCall(self._report, progress)
        reporting.clock = self._reactor
        try:
            await self._subscribe_all()
            publishers = await self._connect(self._plan.publishers)
            self._started = self._clock()
            if progress is not None:
                reporting.start(1.0, now=False)
            await self._publish_all(publishers)
            await self._drain()
            return self._result
        finally:
            if reporting.running:
                reporting.stop()
            self._failed.addErrback(lambda failure: None)
            await gatherResults([client.stopService(1.0) for client in self._clients], consumeErrors=True)

    def _report(self, progress: Callable[[Result], object]) -> None:
        self._measure_time()
        progress(self._result)

    def _measure_time(self) -> None:
        self._result.seconds = max(self._clock() - self._started, 1) / SECOND

    # Clients

    async def _connect(
        self, count: int, prepare: Callable[[CommandClient], object] | None = None
    ) -> list[CommandClient]:
        made: list[CommandClient] = []
        while len(made) < count:
            batch: list[CommandClient] = []
            for _ in range(min(BATCH, count - len(made))):
                client = self._connecting.client(
                    self._reactor, number=len(self._clients) + 1, queue_messages=0, queue_bytes=0
                )
                client.on_gone = self._client_gone
                self._clients.append(client)
                batch.append(client)
                if prepare is not None:
                    prepare(client)
                client.startService()
            await gatherResults([client.ready() for client in batch], consumeErrors=True).addErrback(_first)
            made += batch
        return made

    async def _subscribe_all(self) -> None:
        plan = self._plan
        inboxes: list[Inbox] = []

        def prepare(client: CommandClient) -> None:
            inbox = Inbox(client.core, self._take, self._client_gone)
            inbox.subscribe(SubscriptionOptions(f"{plan.topic}/#", plan.qos))
            inboxes.append(inbox)

        await self._connect(plan.subscribers, prepare)
        for inbox in inboxes:
            await inbox.answered
            if inbox.refusals:
                raise inbox.refusals[0]

    def _client_gone(self, error: BaseException) -> None:
        if not self._failed.called:
            self._failed.errback(error)

    # Messages

    def _take(self, received: Received) -> bool:
        payload = received.payload
        if len(payload) >= HEAD.size:
            sent, number = HEAD.unpack_from(payload)
            if number == self._run_number:
                now = self._clock()
                self._result.received += 1
                self._result.latency.record((now - sent) // 1000)
                self._last_received = now
        return True

    async def _publish_all(self, clients: list[CommandClient]) -> None:
        publishers = [Publisher(self, client, number) for number, client in enumerate(clients)]
        finished = gatherResults([one.start() for one in publishers], consumeErrors=True)
        self._failed.addErrback(lambda failure: None if finished.called else finished.errback(failure))
        try:
            await finished.addErrback(_first)
        finally:
            for one in publishers:
                one.stop()
        self._measure_time()

    async def _drain(self) -> None:
        """Wait for what is under way to the subscribers; what is lost shows in the result."""
        result = self._result
        result.expected = result.published * self._plan.subscribers
        since = self._clock()
        while result.received < result.expected:
            if self._clock() - max(self._last_received, since) > DRAIN * SECOND:
                break
            await deferLater(self._reactor, PACE)
        result.is_incomplete = self._plan.qos > 0 and result.received < result.expected
        if self._plan.subscribers and self._last_received > self._started:
            end = max(self._last_received, self._started + int(result.seconds * SECOND))
            result.seconds = (end - self._started) / SECOND


class Publisher:
    """One client that publishes, until `start`'s Deferred fires."""

    def __init__(self, load: Load, client: CommandClient, number: int) -> None:
        self._load = load
        self._client = client
        self._plan = plan = load._plan
        self._topics = [f"{plan.topic}/{one}" for one in range(number % plan.topics, plan.topics)]
        self._topics += [f"{plan.topic}/{one}" for one in range(number % plan.topics)]
        self._filling = b"." * (plan.size - HEAD.size)
        self._sent = 0
        self._confirmed = 0
        self._is_over = False
        self._finished: Deferred[None] = Deferred()
        self._loop = LoopingCall(self._look)
        self._loop.clock = load._reactor

    def start(self) -> Deferred[None]:
        """Fires when all was confirmed, or at QoS 0 written."""
        self._began = self._looked_at = self._load._clock()
        self._loop.start(PACE if self._plan.rate else 0.0).addErrback(self._fail)
        return self._finished

    def stop(self) -> None:
        """Publish no more."""
        self._is_over = True
        if self._loop.running:
            self._loop.stop()

    def _look(self) -> None:
        """Publish what is due, and see whether that was all."""
        now = self._load._clock()
        elapsed = (now - self._began) / SECOND
        duration = self._plan.duration
        if duration is not None and elapsed >= duration:
            self._is_over = True
        if not self._is_over:
            self._publish_due(now, elapsed)
        if self._plan.count is not None and self._sent >= self._plan.count:
            self._is_over = True
        if self._is_over and self._confirmed == self._sent and not self._finished.called:
            self.stop()
            self._finished.callback(None)

    def _publish_due(self, now: int, elapsed: float) -> None:
        plan = self._plan
        room = plan.window - (self._sent - self._confirmed)
        if plan.count is not None:
            room = min(room, plan.count - self._sent)
        if plan.rate is not None:
            room = min(room, int(elapsed * plan.rate) + 1 - self._sent)
        for _ in range(room):
            due = now if plan.rate is None else self._began + int(self._sent / plan.rate * SECOND)
            self._publish(due if due < self._looked_at else now)
        self._looked_at = now

    def _publish(self, due: int) -> None:
        topic = self._topics[self._sent % len(self._topics)]
        payload = HEAD.pack(due, self._load._run_number) + self._filling
        self._sent += 1
        self._client.publish_then(topic, payload, self._plan.qos, None, None, self._done)

    def _done(self, error: BaseException | None) -> None:
        self._confirmed += 1
        if error is None:
            self._load._result.published += 1
        elif not self._finished.called:
            self.stop()
            self._finished.errback(error)

    def _fail(self, failure: Any) -> None:
        if not self._finished.called:
            self._finished.errback(failure)


def _first(failure: Any) -> None:
    """The error itself, not Twisted's word for the first of several."""
    raise getattr(failure.value, "subFailure", failure).value
