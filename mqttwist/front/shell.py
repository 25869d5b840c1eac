"""What the front of the client asks of Twisted or asyncio: something to wait on, time, and a log."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, Generic, Protocol, TypeVar

CALLING: Final[ContextVar[object]] = ContextVar("mqttwist.client.calling", default=None)
"""On whose behalf the program's code runs: a subscription, or a function that was to be told. So a function
that stops the client is not one that is waited for."""

Value_contra = TypeVar("Value_contra", contravariant=True)


class Waiter(Protocol, Generic[Value_contra]):
    """Something that has not happened yet. It ends once; what is said later counts for nothing."""

    @property
    def awaitable(self) -> Any:
        """A Deferred, or a Future of asyncio."""

    def succeed(self, value: Value_contra) -> object:
        """It has happened."""

    def fail(self, error: BaseException) -> object:
        """It will not happen."""


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> object:
        """It is not to come; harmless when it has."""


class Shell(Protocol):
    """Twisted's reactor, or an event loop of asyncio."""

    cancelled: type[BaseException]  # what is raised in a coroutine that is cancelled

    def seconds(self) -> float:
        """The time, from any origin, in seconds."""

    def waiter(self, on_cancel: Callable[[], object] | None = None) -> Waiter[Any]:
        """Something to wait on; `on_cancel` is called when whoever waits does so no more."""

    def done(self, value: object) -> Any:
        """What there is to wait on when it has happened already."""

    def failed(self, error: BaseException) -> Any:
        """What there is to wait on when it will not happen."""

    def call_later(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Have `call` called after so many seconds; 0: in the next round."""

    def every(self, seconds: float, call: Callable[[], object]) -> Timer:
        """Have `call` called every so many seconds, for the first time when they have passed."""

    def call_from_thread(self, call: Callable[[], object]) -> object:
        """Have `call` called in the next round: the one method that may be called in another thread."""

    def follow(self, outcome: object, done: Callable[[BaseException | None], object]) -> object:
        """Follow what the application has returned (a coroutine, a Deferred, anything) to its end."""

    def others_at_work(self) -> frozenset[Any]:
        """What is followed and has not come to its end, but for whoever asks. Each can be cancelled."""

    def are_at_work(self, outcomes: frozenset[Any]) -> bool:
        """Whether one of them is."""

    def info(self, text: str, **facts: object) -> object:
        """A line of the log; `facts` fill the braces of `text`."""

    def warn(self, text: str, **facts: object) -> object:
        """A line that somebody should look at."""

    def failure(self, text: str, error: BaseException, **facts: object) -> object:
        """An error of the application's code, with its traceback."""
