"""The Twisted protocol of the client: carries bytes between a transport and the core's `ClientConnection`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttwist.net.address import peer_name
from mqttwist.net.client_faults import why_lost
from mqttwist.net.core_protocol import CoreFactory, CoreProtocol

if TYPE_CHECKING:
    from mqttwist.client.connection import ClientConnection
    from mqttwist.front.client import FrontClient

log = Logger(namespace="mqttwist.client")


@implementer(IPushProducer)
class MQTTClientProtocol(CoreProtocol):
    """One Network Connection to a Server."""

    def __init__(self, front: FrontClient, clock: IReactorTime) -> None:
        super().__init__(clock)
        self._front = front
        self._connection: ClientConnection | None = None

    # What Twisted calls

    def connectionMade(self) -> None:
        self._begin()
        try:
            self._connection = self._front.open(self, peer_name(self._twisted_transport().getPeer()))
        except Exception:
            log.failure("Error in the client when it was to send CONNECT")
            self._abort()

    def dataReceived(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.receive_data(data)
            self._front.settle()
        except Exception:
            self._abandon(connection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost(why_lost(reason))
            self._front.settle()
        self._tell_factory()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.transport_ready()
            self._front.settle()
        except Exception:
            self._abandon(connection)

    # What the core calls

    def write(self, data: bytes) -> None:
        self._twisted_transport().write(data)

    # Inside

    def _core_connection(self) -> ClientConnection | None:
        return self._connection

    def _abandon(self, connection: ClientConnection) -> None:
        """The client itself has failed: log it, and let the next connection go on."""
        log.failure(
            "Error in the client while it served {peer}; the connection is closed", peer=connection.peer
        )
        connection.lost("error in the client")
        self._front.settle()
        self._abort()


class MQTTClientFactory(CoreFactory):
    """Makes the protocol of each connection."""

    def __init__(self, front: FrontClient, clock: IReactorTime) -> None:
        super().__init__()
        self._front = front
        self._clock = clock

    def buildProtocol(self, addr: IAddress | None) -> MQTTClientProtocol:
        protocol = MQTTClientProtocol(self._front, self._clock)
        protocol.factory = self
        return protocol
