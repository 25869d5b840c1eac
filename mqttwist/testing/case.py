"""Test cases of trial with a broker in memory."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.testing.broker import MemoryBroker

if TYPE_CHECKING:
    from mqttwist.net.client import MQTTClient


class MQTTTestMixin:
    """Gives each test of a `unittest` or trial `TestCase` a broker of its own: mixed in before it.

    A class that wants another broker has a `make_broker` of its own. Clients and broker are stopped when the
    test is over.
    """

    def make_broker(self) -> MemoryBroker:
        return MemoryBroker()

    @cached_property
    def broker(self) -> MemoryBroker:
        """The broker of this test, made when it is asked for."""
        broker = self.make_broker()
        add_cleanup: Any = getattr(self, "addCleanup")  # noqa: B009  # of the TestCase that this is mixed into
        add_cleanup(broker.close)
        return broker

    def client(self, client_id: str = "", **options: Any) -> MQTTClient:
        """A client that is connected: see `MemoryBroker.connect`."""
        return self.broker.connect(client_id, **options)


class MQTTTestCase(MQTTTestMixin, SynchronousTestCase):
    """A test case of trial with a `broker`."""
