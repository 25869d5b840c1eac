"""`MQTTClient` with `version="auto"`: a Server that speaks an older version only is asked in that."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mqttwist.net.client import MQTTClient


@implementer(IStreamClientEndpoint)
class Servers:
    """Makes transports, and keeps the protocols on them."""

    def __init__(self) -> None:
        self.protocols: list[Any] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        protocol: Any = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        self.protocols.append(protocol)
        protocol.makeConnection(StringTransport())
        return succeed(protocol)


class VersionTests(SynchronousTestCase):
    def test_auto(self) -> None:
        """A refusal with 0x84 is not the end while there is an older version, which is tried at once."""
        clock, servers = Clock(), Servers()
        client = MQTTClient(servers, client_id="us", version="auto", reactor=clock)
        client.startService()
        refusals = [b"\x20\x03\x00\x84\x00", b"\x20\x02\x00\x01", b"\x20\x02\x00\x01"]
        for number, refusal in enumerate(refusals):
            clock.advance(0.1)
            self.assertEqual(len(servers.protocols), number + 1)
            protocol = servers.protocols[number]
            protocol.dataReceived(refusal)
            protocol.connectionLost(Failure(ConnectionDone()))
        clock.advance(1_000)
        self.assertEqual(len(servers.protocols), 3)
        self.failureResultOf(client.ready())
