"""The broker's time: the `LoopingCall`s that tell it to do what is due."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from mqttwist.broker.broker import Broker
from mqttwist.broker.sys_topics import SysTopics

log = Logger(namespace="mqttwist.broker")

TICK = 1.0  # seconds between two looks at what is due


class BrokerTimers:
    """Run while somebody needs them: started as often as stopped, by each port and each service."""

    def __init__(self, broker: Broker, clock: IReactorTime) -> None:
        self._broker = broker
        self._clock = clock
        self._users = 0
        self._loops: list[LoopingCall] = []

    def start(self) -> None:
        """One more needs the timers."""
        self._users += 1
        if self._users > 1:
            return
        settings = self._broker.settings
        self._every(TICK, self._broker.tick)
        if settings.retry_interval:
            self._every(max(TICK, settings.retry_interval / 10), self._broker.send_overdue)
        if settings.sys_interval and settings.retain_available:
            self._every(settings.sys_interval, SysTopics(self._broker).publish, now=True)

    def stop(self) -> None:
        """One less needs the timers. Nothing happens when nobody did."""
        if not self._users:
            return
        self._users -= 1
        if self._users == 0:
            for loop in self._loops:
                loop.stop()
            self._loops.clear()

    def _every(self, interval: float, call: Callable[[], object], now: bool = False) -> None:
        loop = LoopingCall(self._survive, call)
        loop.clock = self._clock
        loop.start(interval, now=now)
        self._loops.append(loop)

    def _survive(self, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception:
            log.failure("Error in the broker while doing what is due; it goes on")
