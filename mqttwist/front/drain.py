"""What a client that stops waits for: messages that are not confirmed yet, and functions that are at work."""

from __future__ import annotations

from typing import Any

from mqttwist.client.client import Client
from mqttwist.front.shell import Shell, Waiter


class Drain:
    """`look` is to be called whenever something has happened."""

    def __init__(self, core: Client, shell: Shell) -> None:
        self._core = core
        self._shell = shell
        self._flushing: list[Waiter[None]] = []
        self._draining: list[tuple[Waiter[None], frozenset[Any]]] = []

    def flushed(self) -> Any:
        """Fires when all that was published is confirmed, or at QoS 0 written."""
        waiter: Waiter[None] = self._shell.waiter()
        self._flushing.append(waiter)
        self.look()
        return waiter.awaitable

    def drained(self) -> Any:
        """The same, as long as there is a connection; and the functions at work have come to their end.

        Whoever asks is not waited for, and neither is what begins later.
        """
        waiter: Waiter[None] = self._shell.waiter()
        self._draining.append((waiter, self._shell.others_at_work()))
        self.look()
        return waiter.awaitable

    def look(self) -> None:
        """Tell those who wait, if it has come."""
        unfinished = self._core.outgoing.unfinished
        if self._flushing and not unfinished:
            waiters, self._flushing = self._flushing, []
            for waiter in waiters:
                waiter.succeed(None)
        if self._draining and not (unfinished and self._core.is_connected):
            self._look_at_functions()

    def _look_at_functions(self) -> None:
        draining, self._draining = self._draining, []
        for waiter, functions in draining:
            if self._shell.are_at_work(functions):
                self._draining.append((waiter, functions))
            else:
                waiter.succeed(None)
