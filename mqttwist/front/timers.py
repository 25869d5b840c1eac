"""When the core of a client is to look at what is due."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mqttwist.client.client import Client
from mqttwist.front.shell import Shell, Timer

TICK: Final = 1.0  # seconds between two looks at Keep Alive and at what is to be sent again


class ClientTimers:
    """Looks every second while there is a connection, and when a deadline comes. `settle` is called after."""

    def __init__(self, core: Client, shell: Shell, settle: Callable[[], object]) -> None:
        self._core = core
        self._shell = shell
        self._settle = settle
        self._tick_timer: Timer | None = None
        self._due_timer: Timer | None = None
        self._due_at = 0.0

    def start_ticking(self) -> None:
        """There is a connection."""
        if self._tick_timer is None:
            self._tick_timer = self._shell.every(TICK, self._look)

    def stop_ticking(self) -> None:
        """There is none any more."""
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None

    def be_there_at(self, when: float) -> None:
        """Something is due then, by the clock of the shell."""
        if self._due_timer is None or when < self._due_at:
            if self._due_timer is not None:
                self._due_timer.cancel()
            self._due_at = when
            self._due_timer = self._shell.call_later(max(when - self._shell.seconds(), 0.0), self._due)

    def stop(self) -> None:
        """The client has stopped: there is nothing to look at."""
        self.stop_ticking()
        if self._due_timer is not None:
            self._due_timer.cancel()
            self._due_timer = None

    def _look(self) -> None:
        """Do what is due. Time goes on whatever is wrong with it."""
        try:
            self._core.tick()
        except Exception as error:
            self._shell.failure("Error in the client", error)
        self._settle()

    def _due(self) -> None:
        self._due_timer = None
        self._look()
        following = self._core.deadlines.next_at
        if following is not None:
            self.be_there_at(following)
