"""What the Twisted protocols of broker and client share: the way between a transport and the core."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, INegotiated, IReactorTime
from twisted.internet.protocol import Factory, Protocol

from mqttwist.session.connection import Connection

LINGER = 5.0  # seconds; how long a peer may take to read our last words


class CoreProtocol(Protocol):
    """One Network Connection.

    It is what the core calls a transport (`write`, `close`, `pause_reading`, `resume_reading`), and the
    producer (`IPushProducer`) that Twisted tells when the peer reads too slowly.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._linger: IDelayedCall | None = None
        self._is_producer = False
        self._is_lost = False

    # What Twisted calls

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        connection = self._core_connection()
        if connection is not None:
            connection.transport_full()

    def stopProducing(self) -> None:
        """The transport is going away; `connectionLost` tells."""

    # What the core calls

    def close(self) -> None:
        """Close so that the peer can read what was written last; harmless when the transport is gone.

        To close a socket with unread input resets the connection, and the peer may never see the DISCONNECT
        before it. So TCP is closed on our side only, what still comes in is thrown away, and the peer has
        `LINGER` seconds to close its side. TLS has a farewell of its own, and the same time for it.
        """
        if self._is_lost:
            return
        transport = self._twisted_transport()
        self._leave_producing()
        self.resume_reading()
        if self._linger is None:
            self._linger = self._clock.callLater(LINGER, self._abort)
        half_close = getattr(transport, "loseWriteConnection", None)
        if half_close is None or INegotiated.providedBy(transport):  # which is to say, TLS
            transport.loseConnection()
        else:
            half_close()

    def pause_reading(self) -> None:
        self._twisted_transport().pauseProducing()

    def resume_reading(self) -> None:
        self._twisted_transport().resumeProducing()

    # Inside

    def _core_connection(self) -> Connection | None:
        """What the core has of this connection; None before and after."""
        raise NotImplementedError

    def _begin(self) -> None:
        """The transport is there."""
        if isinstance(self.factory, CoreFactory):
            self.factory.has_made(self)
        transport = self._twisted_transport()
        no_delay = getattr(transport, "setTcpNoDelay", None)
        if no_delay is not None:
            no_delay(True)
        transport.registerProducer(self, True)
        self._is_producer = True

    def _end(self) -> None:
        """The transport is gone: what it did for us is over. `_tell_factory` follows."""
        self._is_lost = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._leave_producing()

    def _tell_factory(self) -> None:
        """The transport is gone, and the core has been told."""
        if isinstance(self.factory, CoreFactory):
            self.factory.has_lost(self)

    def _twisted_transport(self) -> Any:
        """The transport, which is more than an `ITransport`: a consumer and, most often, half-closeable."""
        if self.transport is None:
            raise RuntimeError("the protocol has no transport")
        return self.transport

    def _leave_producing(self) -> None:
        """Be the transport's producer no more: it would wait for us, and TLS would keep us in memory."""
        if self._is_producer:
            self._is_producer = False
            self._twisted_transport().unregisterProducer()

    def _abort(self) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._linger = None
        transport = self._twisted_transport()
        abort = getattr(transport, "abortConnection", transport.loseConnection)
        abort()


class CoreFactory(Factory):
    """Knows which of its protocols have a transport."""

    noisy = False

    def __init__(self) -> None:
        self._protocols: set[CoreProtocol] = set()
        self._waiting_for_none: list[Deferred[None]] = []

    def has_made(self, protocol: CoreProtocol) -> None:
        """The transport of `protocol` is there."""
        self._protocols.add(protocol)

    def has_lost(self, protocol: CoreProtocol) -> None:
        """The transport of `protocol` is gone."""
        self._protocols.discard(protocol)
        if not self._protocols:
            waiting, self._waiting_for_none = self._waiting_for_none, []
            for deferred in waiting:
                deferred.callback(None)

    def when_none_is_left(self) -> Deferred[None]:
        """Fires when all transports are gone."""
        deferred: Deferred[None] = Deferred()
        if self._protocols:
            self._waiting_for_none.append(deferred)
        else:
            deferred.callback(None)
        return deferred
