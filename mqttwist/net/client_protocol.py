"""The Twisted protocol of the client: carries bytes between a transport and the core's `ClientConnection`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, INegotiated, IPushProducer, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttwist.net.address import peer_name

if TYPE_CHECKING:
    from mqttwist.client.connection import ClientConnection
    from mqttwist.front.client import FrontClient

log = Logger(namespace="mqttwist.client")

LINGER = 5.0  # seconds; how long the Server may take to read our last words


@implementer(IPushProducer)
class MQTTClientProtocol(Protocol):
    """One Network Connection to a Server: what the core calls a transport, and Twisted a producer."""

    def __init__(self, front: FrontClient, factory: MQTTClientFactory, clock: IReactorTime) -> None:
        self._front = front
        self._factory = factory
        self._clock = clock
        self._connection: ClientConnection | None = None
        self._linger: IDelayedCall | None = None
        self._is_producer = False
        self._is_lost = False

    # What Twisted calls

    def connectionMade(self) -> None:
        transport = self._twisted_transport()
        self._factory.has_made(self)
        no_delay = getattr(transport, "setTcpNoDelay", None)
        if no_delay is not None:
            no_delay(True)
        transport.registerProducer(self, True)
        self._is_producer = True
        try:
            self._connection = self._front.open(self, peer_name(transport.getPeer()))
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
        self._is_lost = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._leave_producing()
        connection, self._connection = self._connection, None
        if connection is not None:
            clean = reason.check(ConnectionDone) is not None
            cause = "closed by the Server without DISCONNECT" if clean else reason.getErrorMessage()
            connection.lost(cause)
            self._front.settle()
        self._factory.has_lost(self)

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        if self._connection is not None:
            self._connection.transport_full()

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

    def stopProducing(self) -> None:
        """The transport is going away; `connectionLost` tells."""

    # What the core calls

    def write(self, data: bytes) -> None:
        self._twisted_transport().write(data)

    def close(self) -> None:
        """Close so that the Server can read what was written last: see `MQTTServerProtocol.close`.

        Harmless when the transport is gone, whose file descriptor could not be waited for any more.
        """
        if self._is_lost:
            return
        transport = self._twisted_transport()
        self._leave_producing()
        self.resume_reading()
        if self._linger is None:
            self._linger = self._clock.callLater(LINGER, self._abort)
        half_close = getattr(transport, "loseWriteConnection", None)
        if half_close is None or INegotiated.providedBy(transport):
            transport.loseConnection()
        else:
            half_close()

    def pause_reading(self) -> None:
        self._twisted_transport().pauseProducing()

    def resume_reading(self) -> None:
        self._twisted_transport().resumeProducing()

    # Inside

    def _twisted_transport(self) -> Any:
        if self.transport is None:
            raise RuntimeError("the protocol has no transport")
        return self.transport

    def _leave_producing(self) -> None:
        if self._is_producer:
            self._is_producer = False
            self._twisted_transport().unregisterProducer()

    def _abandon(self, connection: ClientConnection) -> None:
        """The client itself has failed: log it, and let the next connection go on."""
        log.failure(
            "Error in the client while it served {peer}; the connection is closed", peer=connection.peer
        )
        connection.lost("error in the client")
        self._front.settle()
        self._abort()

    def _abort(self) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._linger = None
        transport = self._twisted_transport()
        abort = getattr(transport, "abortConnection", transport.loseConnection)
        abort()


class MQTTClientFactory(Factory):
    """Makes the protocol of each connection."""

    noisy = False

    def __init__(self, front: FrontClient, clock: IReactorTime) -> None:
        self._front = front
        self._clock = clock
        self._protocols: set[MQTTClientProtocol] = set()
        self._waiting_for_none: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> MQTTClientProtocol:
        protocol = MQTTClientProtocol(self._front, self, self._clock)
        protocol.factory = self
        return protocol

    def has_made(self, protocol: MQTTClientProtocol) -> None:
        """The transport of `protocol` is there."""
        self._protocols.add(protocol)

    def has_lost(self, protocol: MQTTClientProtocol) -> None:
        """The transport of `protocol` is gone."""
        self._protocols.discard(protocol)
        if not self._protocols:
            waiting, self._waiting_for_none = self._waiting_for_none, []
            for deferred in waiting:
                deferred.callback(None)

    def when_none_is_left(self) -> Deferred[None]:
        """Fires when there is no transport."""
        deferred: Deferred[None] = Deferred()
        if self._protocols:
            self._waiting_for_none.append(deferred)
        else:
            deferred.callback(None)
        return deferred
