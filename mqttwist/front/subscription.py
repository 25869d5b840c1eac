"""One subscription as a program has it: with a function that is called, or to be iterated over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mqttwist.client.errors import ClientError, NotDelivered
from mqttwist.client.received import Received
from mqttwist.client.subscriptions import Subscriber
from mqttwist.front.shell import CALLING, Shell, Waiter
from mqttwist.wire.subscribe import SubscriptionOptions

if TYPE_CHECKING:
    from mqttwist.client.client import Client

Function = Callable[[Received], object]

QOS = RETAIN_HANDLING = (0, 1, 2)
ON_ERROR = ("leave", "reject", "ack")


class SubscriptionEnded(ClientError):
    """The subscription has ended; there will be no more messages."""


class FrontSubscription:
    """What the two kinds share. `granted` waits for SUBACK: the QoS that was granted, or `SubscribeRefused`.

    Awaiting the subscription itself is the same.
    """

    def __init__(self, client: Client, shell: Shell, options: SubscriptionOptions, buffer: int) -> None:
        self._client = client
        self._shell = shell
        self._granted: list[Waiter[int]] = []
        self._answer: int | ClientError | None = None
        if options.qos not in QOS or options.retain_handling not in RETAIN_HANDLING:
            raise ValueError(
                f"QoS {options.qos} or Retain Handling {options.retain_handling} is none of 0, 1, 2"
            )
        self._subscriber = client.subscribe(options, self._wake, buffer, self._answered)

    @property
    def topic_filter(self) -> str:
        return self._subscriber.topic_filter

    @property
    def granted_qos(self) -> int:
        """The QoS that the Server has granted; -1 while it has not answered."""
        return self._subscriber.granted_qos

    @property
    def dropped(self) -> int:
        """How many messages of QoS 0 were dropped because they were not taken fast enough."""
        return self._subscriber.dropped

    @property
    def is_open(self) -> bool:
        """Whether it was neither refused nor ended."""
        return self._subscriber.is_open

    def granted(self) -> Any:
        """Fires with the granted QoS (0..2). Fails with `SubscribeRefused`, or with why it can't be."""
        waiter: Waiter[int] = self._shell.waiter()
        self.tell(waiter)
        return waiter.awaitable

    def tell(self, waiter: Waiter[int]) -> None:
        """As `granted`, but `waiter` is told."""
        self._granted.append(waiter)
        if self._answer is not None:
            self._tell()

    def __await__(self) -> Generator[Any, Any, int]:
        result: Generator[Any, Any, int] = self.granted().__await__()
        return result

    def unsubscribe(self) -> Any:
        """End it: fires when the Server has said so, or need not be asked.

        What waits here is left to the Server, which gives it to nobody.
        """
        waiter: Waiter[None] = self._shell.waiter()

        def ended(error: ClientError | None) -> None:
            if error is None:
                waiter.succeed(None)
            else:
                waiter.fail(error)

        self._client.unsubscribe(self._subscriber, ended)
        self._closed()
        return waiter.awaitable

    def _answered(self, subscriber: Subscriber, error: ClientError | None) -> None:
        if isinstance(error, NotDelivered) and subscriber.is_open:  # the client has stopped, or given up
            waiters, self._granted = self._granted, []
            for waiter in waiters:
                waiter.fail(error)
            return
        self._answer = subscriber.granted_qos if error is None else error
        if error is not None:
            self._refused(error)
        self._tell()

    def _tell(self) -> None:
        answer = self._answer
        waiters, self._granted = self._granted, []
        for waiter in waiters:
            if isinstance(answer, ClientError):
                waiter.fail(answer)
            elif answer is not None:
                waiter.succeed(answer)

    def _refused(self, error: ClientError) -> None:
        """The Server does not grant it."""
        self._shell.warn(
            "Subscription to {topic_filter!r}: {error}", topic_filter=self.topic_filter, error=str(error)
        )
        self._closed()

    def _wake(self) -> None:
        """There is something to take."""
        raise NotImplementedError

    def _closed(self) -> None:
        """There will be no more."""


@dataclass(frozen=True, slots=True)
class Calls:
    """How a function is called for messages: `concurrency` of them at a time.

    A function that fails, or whose coroutine or Deferred does, is told to `on_failed`, and has its message
    left to the Server, rejected or acknowledged, as `on_error` says. With `manual` the function, or somebody
    later, calls `ack`, `reject` or `leave` of the message. Raises `ValueError` for what makes no sense.
    """

    function: Function
    on_failed: Callable[[BaseException, Received], object]
    concurrency: int = 1
    on_error: str = "leave"
    manual: bool = False

    def __post_init__(self) -> None:
        if self.on_error not in ON_ERROR:
            raise ValueError(f"on_error is {self.on_error!r}, not one of {', '.join(ON_ERROR)}")
        if self.concurrency < 1:
            raise ValueError("concurrency is at least 1")


class CallingSubscription(FrontSubscription):
    """Calls a function for each message, and acknowledges the message when that is done."""

    def __init__(
        self,
        client: Client,
        shell: Shell,
        options: SubscriptionOptions,
        buffer: int,
        calls: Calls,
    ) -> None:
        self._calls = calls
        self._running = 0
        super().__init__(client, shell, options, buffer)

    def _wake(self) -> None:
        token = CALLING.set(self)
        try:
            while self._running < self._calls.concurrency:
                received = self._subscriber.next()
                if received is None:
                    return
                self._call(received)
        finally:
            CALLING.reset(token)

    def _call(self, received: Received) -> None:
        try:
            outcome = self._calls.function(received)
        except Exception as error:
            self._failed(received, error)
            return
        if outcome is None:
            self._succeeded(received)
            return
        self._running += 1
        self._shell.follow(outcome, lambda error: self._done(received, error))

    def _done(self, received: Received, error: BaseException | None) -> None:
        self._running -= 1
        if error is None:
            self._succeeded(received)
        else:
            self._failed(received, error)
        self._subscriber.rouse()

    def _succeeded(self, received: Received) -> None:
        if not self._calls.manual:
            received.ack()

    def _failed(self, received: Received, error: BaseException) -> None:
        self._calls.on_failed(error, received)
        if self._calls.on_error == "ack":
            received.ack()
        elif self._calls.on_error == "reject":
            received.reject()
        else:
            received.leave()


class IteratedSubscription(FrontSubscription):
    """``async with client.subscribe("a/#") as messages: async for message in messages: ...``

    A message is acknowledged when the next one is asked for, or the `async with` ends well. One whose loop
    ends by an error is left to the Server. With `manual` the program calls `ack` itself. The loop ends when
    the client stops.
    """

    def __init__(
        self,
        client: Client,
        shell: Shell,
        options: SubscriptionOptions,
        buffer: int,
        *,
        manual: bool = False,
    ) -> None:
        self._manual = manual
        self._at_hand: list[Received] = []  # what was taken, and is acknowledged when more is asked for
        self._unseen: Received | None = None  # whoever asked for it was cancelled before he got it
        self._asking: deque[Waiter[Received]] = deque()
        self._end: ClientError | None = None
        self._interruption: ClientError | None = None
        super().__init__(client, shell, options, buffer)

    def next(self) -> Any:
        """Fires with the next message. Fails with `SubscriptionEnded`, also when the client stops.

        Or with why the subscription was refused, or why the client has given up.
        """
        self._acknowledge()
        waiter: Waiter[Received] = self._shell.waiter(lambda: self._forget(waiter))
        if self._end is not None:
            waiter.fail(self._end)
        else:
            self._asking.append(waiter)
            self._wake()
            if self._interruption is not None:
                self._fail_asking(self._interruption)
        return waiter.awaitable

    def _forget(self, waiter: Waiter[Received]) -> None:
        if waiter in self._asking:
            self._asking.remove(waiter)

    def _wake(self) -> None:
        while self._asking and (received := self._take()) is not None:
            self._at_hand.append(received)
            self._asking.popleft().succeed(received)

    def _take(self) -> Received | None:
        unseen, self._unseen = self._unseen, None
        return unseen or self._subscriber.next()

    def _acknowledge(self) -> None:
        at_hand, self._at_hand = self._at_hand, []
        if not self._manual:
            for received in at_hand:
                received.ack()

    def interrupt(self, error: ClientError) -> None:
        """The client has stopped, or has given up: who asks when nothing waits would do so for good."""
        self._interruption = error
        self._fail_asking(error)

    def go_on(self) -> None:
        """The client runs again."""
        self._interruption = None

    def _closed(self) -> None:
        if self._unseen is not None:
            self._unseen.leave()
            self._unseen = None
        self._end = self._answer if isinstance(self._answer, ClientError) else SubscriptionEnded()
        self._fail_asking(self._end)

    def _fail_asking(self, error: ClientError) -> None:
        asking, self._asking = self._asking, deque()
        for waiter in asking:
            waiter.fail(error)

    def __aiter__(self) -> IteratedSubscription:
        return self

    async def __anext__(self) -> Received:
        try:
            received: Received = await self.next()
        except SubscriptionEnded:
            raise StopAsyncIteration from None
        except BaseException:  # cancelled, perhaps when the message was on its way here
            if self._at_hand:
                self._unseen = self._at_hand.pop()
            raise
        return received

    async def __aenter__(self) -> IteratedSubscription:
        """Ends when the Server has granted the subscription, or fails with `SubscribeRefused`."""
        await self.granted()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *details: object) -> None:
        if kind is None or kind is GeneratorExit:
            self._acknowledge()
        else:
            at_hand, self._at_hand = self._at_hand, []
            for received in at_hand:
                received.leave()
        waiting = self.unsubscribe()
        if self._client.is_connected:
            await waiting
