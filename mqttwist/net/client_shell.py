"""What the front of the client needs, made of Twisted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttwist.front.shell import CALLING
from mqttwist.net.clock import core_clock

log = Logger(namespace="mqttwist.client")


class DeferredWaiter:
    """A Deferred that fires once; when it is cancelled, `on_cancel` is called."""

    __slots__ = ("_on_cancel", "awaitable")

    def __init__(self, on_cancel: Callable[[], object] | None) -> None:
        self.awaitable: Deferred[Any] = Deferred(None if on_cancel is None else self._cancelled)
        self._on_cancel = on_cancel

    def _cancelled(self, deferred: Deferred[Any]) -> None:
        if self._on_cancel is not None:
            self._on_cancel()

    def succeed(self, value: object) -> None:
        if not self.awaitable.called:
            self.awaitable.callback(value)

    def fail(self, error: BaseException) -> None:
        if not self.awaitable.called:
            self.awaitable.errback(error)


class DelayedTimer:
    """A call that the reactor makes later."""

    __slots__ = ("_delayed",)

    def __init__(self, delayed: IDelayedCall) -> None:
        self._delayed = delayed

    def cancel(self) -> None:
        with suppress(AlreadyCalled, AlreadyCancelled):
            self._delayed.cancel()


class LoopTimer:
    """A `LoopingCall`."""

    __slots__ = ("_loop",)

    def __init__(self, loop: LoopingCall) -> None:
        self._loop = loop

    def cancel(self) -> None:
        if self._loop.running:
            self._loop.stop()


class TwistedShell:
    """`reactor` is what tells the time and calls later: the installed reactor, or a `Clock`."""

    cancelled: type[BaseException] = CancelledError

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self.seconds = core_clock(reactor)
        self._at_work: dict[Deferred[Any], object] = {}  # and on whose behalf
        self._callers: list[object] = []  # of `asked_to_stop`
        self._is_closed = False

    def open(self) -> None:
        """The client starts."""
        self._is_closed = False
        self._callers.clear()

    def asked_to_stop(self) -> None:
        """Whoever calls this waits for the stop: he is not to be cancelled for it."""
        caller = CALLING.get()
        if caller is not None:
            self._callers.append(caller)

    def close(self) -> None:
        """The client has stopped: functions that are at work are cancelled, and coroutines begin no more."""
        self._is_closed = True
        for deferred, caller in list(self._at_work.items()):
            if not any(caller is one for one in self._callers):
                deferred.cancel()

    def waiter(self, on_cancel: Callable[[], object] | None = None) -> DeferredWaiter:
        return DeferredWaiter(on_cancel)

    def done(self, value: object) -> Deferred[Any]:
        return succeed(value)

    def failed(self, error: BaseException) -> Deferred[Any]:
        return fail(error)

    def call_later(self, seconds: float, call: Callable[[], object]) -> DelayedTimer:
        return DelayedTimer(self._reactor.callLater(seconds, call))

    def every(self, seconds: float, call: Callable[[], object]) -> LoopTimer:
        loop = LoopingCall(call)
        loop.clock = self._reactor
        loop.start(seconds, now=False).addErrback(lambda failure: log.failure("Error in a timer", failure))
        return LoopTimer(loop)

    def call_from_thread(self, call: Callable[[], object]) -> None:
        if IReactorFromThreads.providedBy(self._reactor):
            self._reactor.callFromThread(call)
        else:  # a clock of tests, where there are no threads
            self._reactor.callLater(0.0, call)

    def follow(self, outcome: object, done: Callable[[BaseException | None], object]) -> None:
        if isinstance(outcome, Coroutine):
            if self._is_closed:
                outcome.close()
                done(CancelledError())
                return
            outcome = Deferred.fromCoroutine(outcome)
        if isinstance(outcome, Deferred):
            self._follow(outcome, done)
        else:
            done(None)

    def _follow(self, deferred: Deferred[Any], done: Callable[[BaseException | None], object]) -> None:
        self._at_work[deferred] = CALLING.get()

        def ended(result: object) -> None:
            self._at_work.pop(deferred, None)  # it may have been returned more than once
            done(result.value if isinstance(result, Failure) else None)

        deferred.addBoth(ended)
        deferred.addErrback(lambda failure: log.failure("Error in the client", failure))

    def others_at_work(self) -> frozenset[Any]:
        caller = CALLING.get()
        return frozenset(one for one, owner in self._at_work.items() if caller is None or owner is not caller)

    def are_at_work(self, outcomes: frozenset[Any]) -> bool:
        return not self._at_work.keys().isdisjoint(outcomes)

    def info(self, text: str, **facts: Any) -> None:
        log.info(text, **facts)

    def warn(self, text: str, **facts: Any) -> None:
        log.warn(text, **facts)

    def failure(self, text: str, error: BaseException, **facts: Any) -> None:
        log.failure(text, Failure(error, type(error), error.__traceback__), **facts)
