"""What the front of the client needs, made of asyncio."""

from __future__ import annotations

import asyncio
import logging
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable
from typing import Any, Final

log: Final = logging.getLogger("mqttwist.client")


class Waiting(asyncio.Future[Any]):
    """A Future that is its own `Waiter`; when it is cancelled, `on_cancel` is called, at once."""

    _on_cancel: Callable[[], object] | None = None

    @property
    def awaitable(self) -> Waiting:
        return self

    def succeed(self, value: object) -> None:
        if not self.done():
            self.set_result(value)

    def fail(self, error: BaseException) -> None:
        if not self.done():
            self.set_exception(error)

    def when_cancelled(self, call: Callable[[], object]) -> None:
        self._on_cancel = call

    def cancel(self, msg: Any | None = None) -> bool:
        was_waiting = super().cancel(msg)
        if was_waiting and self._on_cancel is not None:
            self._on_cancel()
        return was_waiting


class RepeatedCall:
    """A call that the loop makes again and again."""

    def __init__(self, loop: AbstractEventLoop, seconds: float, call: Callable[[], object]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._call = call
        self._timer = loop.call_later(seconds, self._run)

    def _run(self) -> None:
        self._timer = self._loop.call_later(self._seconds, self._run)
        self._call()

    def cancel(self) -> None:
        self._timer.cancel()


class NoCall:
    """A call in the next round of a loop that does not run yet: the client catches up when it starts."""

    def cancel(self) -> None:
        """Nothing was to come."""


class AsyncioShell:
    """Belongs to the loop in which it was used first, until `leave`.

    A client may be made, and subscriptions declared, before there is a loop.
    """

    cancelled: type[BaseException] = asyncio.CancelledError

    def __init__(self) -> None:
        self._loop: AbstractEventLoop | None = None
        self._tasks: set[asyncio.Future[Any]] = set()
        self._is_closed = False

    @property
    def is_bound(self) -> bool:
        """Whether it belongs to a loop."""
        return self._loop is not None

    def enter(self) -> AbstractEventLoop:
        """The loop that runs. Raises `RuntimeError` if there is none, or if it is not ours."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                raise RuntimeError("the client is used in another event loop, or in another thread")
            self._loop = loop
        return loop

    def open(self) -> AbstractEventLoop:
        """The client starts, in the loop that runs. Raises `RuntimeError` as `enter` does."""
        loop = self.enter()
        self._is_closed = False
        return loop

    def leave(self) -> None:
        """The client has stopped: belong to no loop, and follow nothing any more."""
        self._loop = None
        self._is_closed = True

    # What the front asks for

    def seconds(self) -> float:
        return time.monotonic()

    def waiter(self, on_cancel: Callable[[], object] | None = None) -> Waiting:
        waiting = Waiting(loop=self.enter())
        if on_cancel is not None:
            waiting.when_cancelled(on_cancel)
        return waiting

    def done(self, value: object) -> asyncio.Future[Any]:
        future = self.enter().create_future()
        future.set_result(value)
        return future

    def failed(self, error: BaseException) -> asyncio.Future[Any]:
        future = self.enter().create_future()
        future.set_exception(error)
        return future

    def call_later(
        self, seconds: float, call: Callable[[], object]
    ) -> asyncio.Handle | asyncio.TimerHandle | NoCall:
        if seconds <= 0.0:
            return NoCall() if self._loop is None else self._loop.call_soon(call)
        return self.enter().call_later(seconds, call)

    def every(self, seconds: float, call: Callable[[], object]) -> RepeatedCall:
        return RepeatedCall(self.enter(), seconds, call)

    def call_from_thread(self, call: Callable[[], object]) -> None:
        loop = self._loop
        if loop is not None:
            loop.call_soon_threadsafe(call)

    def follow(self, outcome: object, done: Callable[[BaseException | None], object]) -> None:
        if not isinstance(outcome, Awaitable):
            done(None)
        elif self._is_closed:
            if asyncio.iscoroutine(outcome):
                outcome.close()
            done(asyncio.CancelledError())
        else:
            self._follow(asyncio.ensure_future(outcome, loop=self.enter()), done)

    def _follow(self, task: asyncio.Future[Any], done: Callable[[BaseException | None], object]) -> None:
        """Keep a reference: the loop has none, and what nobody refers to may vanish in its midst."""
        self._tasks.add(task)

        def ended(task: asyncio.Future[Any]) -> None:
            self._tasks.discard(task)
            done(asyncio.CancelledError() if task.cancelled() else task.exception())

        task.add_done_callback(ended)

    def others_at_work(self) -> frozenset[Any]:
        return frozenset(self._tasks - {asyncio.current_task()})

    def are_at_work(self, outcomes: frozenset[Any]) -> bool:
        return not self._tasks.isdisjoint(outcomes)

    def info(self, text: str, **facts: object) -> None:
        if log.isEnabledFor(logging.INFO):
            log.info("%s", text.format_map(facts))

    def warn(self, text: str, **facts: object) -> None:
        log.warning("%s", text.format_map(facts))

    def failure(self, text: str, error: BaseException, **facts: object) -> None:
        log.error("%s", text.format_map(facts), exc_info=error)
