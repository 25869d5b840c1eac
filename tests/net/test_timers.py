"""The broker's time: which clock it reads, and how many loops run."""

from __future__ import annotations

import time
from typing import Any

from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.net.clock import core_clock
from mqttwist.net.service import BrokerService
from mqttwist.net.timers import BrokerTimers
from mqttwist.stores.memory import MemoryStore


class CoreClockTests(SynchronousTestCase):
    def test_reactor(self) -> None:
        """Under a real reactor the core's time never jumps, as the wall clock may."""
        from twisted.internet import reactor

        clock: Any = reactor
        self.assertIs(core_clock(clock), time.monotonic)
        before, now, after = time.monotonic(), BrokerService().broker.turn.now, time.monotonic()
        self.assertTrue(before <= now <= after)

    def test_clock_of_a_test(self) -> None:
        """A clock of tests is the core's clock as well."""
        for clock in (Clock(), MemoryReactorClock()):
            clock.advance(1234.5)
            self.assertEqual(core_clock(clock)(), 1234.5)


class BrokerTimersTests(SynchronousTestCase):
    """Loops run while somebody needs them: one a second, one for what is overdue, one for $SYS."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.timers = BrokerTimers(Broker(MemoryStore(), self.clock.seconds), self.clock)

    @property
    def loops(self) -> int:
        return len(self.clock.getDelayedCalls())

    def test_as_often_stopped_as_started(self) -> None:
        """The loops stop with the last who needs them, and begin anew with the next."""
        for _ in range(2):
            self.timers.start()
            self.timers.start()
            self.assertEqual(self.loops, 3)
            self.timers.stop()
            self.assertEqual(self.loops, 3)
            self.timers.stop()
            self.assertEqual(self.loops, 0)

    def test_stopped_too_often(self) -> None:
        """To stop what does not run does nothing, now or later."""
        self.timers.stop()
        self.timers.start()
        self.assertEqual(self.loops, 3)
        self.timers.stop()
        self.timers.stop()
        self.assertEqual(self.loops, 0)
