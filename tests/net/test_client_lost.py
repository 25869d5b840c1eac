"""A client whose transport is gone."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.client import MQTTClient
from mqttwist.net.client_protocol import MQTTClientFactory


class GoneTransport(StringTransport):
    """One whose file descriptor is closed: Twisted's raise `ValueError` when they are to be written to."""

    is_gone = False

    def loseWriteConnection(self) -> None:
        if self.is_gone:
            raise ValueError("file descriptor cannot be a negative integer (-1)")


class LostTests(SynchronousTestCase):
    def test_nothing_is_closed(self) -> None:
        """A transport that is gone is not closed once more, and nothing is left to wait for."""
        clock = MemoryReactorClock()
        client = MQTTClient("localhost:1", reactor=clock)
        transport = GoneTransport()
        protocol = MQTTClientFactory(client, clock).buildProtocol(None)
        protocol.makeConnection(transport)  # type: ignore[no-untyped-call]
        transport.is_gone = True
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertIsNone(client.core.connection)
        self.assertEqual([call for call in clock.getDelayedCalls() if call.getTime() > 1.0], [])
