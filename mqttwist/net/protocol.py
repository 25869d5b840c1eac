"""The Twisted protocol of one client: carries bytes between a transport and the core's `ServerConnection`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    INegotiated,
    IPushProducer,
    IReactorTime,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttwist.broker.broker import Broker
from mqttwist.broker.doors import Login, Observer
from mqttwist.broker.settings import Settings
from mqttwist.net.address import peer_name
from mqttwist.net.log import LogObserver, LogTrace
from mqttwist.net.login import PortalLogin, accept_local
from mqttwist.net.storage import Storage
from mqttwist.net.tcp import READ_SIZE, is_plain_tcp, read_size, reader_for, writer_for
from mqttwist.net.timers import BrokerTimers, core_clock
from mqttwist.session.store import Store
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite.store import SQLiteStore

if TYPE_CHECKING:
    from mqttwist.broker.connection import ServerConnection

log = Logger(namespace="mqttwist.broker")

LINGER = 5.0  # seconds; how long a peer may take to read our last words


@implementer(IPushProducer)
class MQTTServerProtocol(Protocol):
    """One Network Connection of the broker.

    It is what the core calls a transport (`write`, `close`, `pause_reading`, `resume_reading`), and the
    producer that Twisted tells when the peer reads too slowly.
    """

    def __init__(self, broker: Broker, clock: IReactorTime, address: IAddress | None = None) -> None:
        self._broker = broker
        self._clock = clock
        self._given_address = address  # where the port says that the connection comes from
        self._connection: ServerConnection | None = None
        self._address: IAddress | None = None  # where the client is, once that can't change
        self._linger: IDelayedCall | None = None
        self._is_producer = False
        self._read_size = READ_SIZE

    # What Twisted calls

    def connectionMade(self) -> None:
        transport = self._twisted_transport()
        if isinstance(self.factory, MQTTServerFactory):
            self.factory.has_made(self)
        no_delay = getattr(transport, "setTcpNoDelay", None)
        if no_delay is not None:
            no_delay(True)
        transport.registerProducer(self, True)
        self._is_producer = True
        self.write = writer_for(transport, self._broker.turn)  # type: ignore[assignment,method-assign]
        if isinstance(transport, Server):  # which makes an address anew whenever it is asked
            self._address = self._given_address
        if is_plain_tcp(transport):
            transport.doRead = reader_for(transport)
        self._connection = self._broker.connect(self, peer_name(self.address))

    def dataReceived(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if self._address is None:
                # The PROXY protocol tells only now who the client is.
                self._address = self._twisted_transport().getPeer()
                connection.peer = peer_name(self._address)
            size = len(data)
            if size >= READ_SIZE or self._read_size != READ_SIZE:
                self._fit_reads(size)
            connection.receive_data(data)
        except Exception:
            self._abandon(connection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._leave_producing()
        if isinstance(self.transport, Server):
            vars(self.transport).pop("doRead", None)  # which refers to the transport
        connection, self._connection = self._connection, None
        if connection is not None:
            clean = reason.check(ConnectionDone) is not None
            self._tell_lost(
                connection, "closed by the client without DISCONNECT" if clean else reason.getErrorMessage()
            )
        if isinstance(self.factory, MQTTServerFactory):
            self.factory.has_lost(self)

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
        except Exception:
            self._abandon(connection)

    def stopProducing(self) -> None:
        """The transport is going away; `connectionLost` tells."""

    # What the core calls

    def write(self, data: bytes) -> None:
        """Send `data`. `connectionMade` puts the transport's own method here, to save a call."""
        raise RuntimeError("write before connectionMade")

    def close(self) -> None:
        """Close so that the peer can read what was written last.

        To close a socket with unread input resets the connection, and the peer may never see the DISCONNECT
        before it. So TCP is closed on our side only, what still comes in is thrown away, and the peer has
        `LINGER` seconds to close its side. TLS has a farewell of its own, and the same time for it.
        """
        if self._connection is None:  # the transport is gone already
            return
        transport = self._twisted_transport()
        self._leave_producing()
        self.resume_reading()
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

    @property
    def address(self) -> IAddress:
        """Where the client is."""
        address: IAddress = self._address or self._twisted_transport().getPeer()
        return address

    # Inside

    def _fit_reads(self, size: int) -> None:
        """Read more at a time from a peer that has more to say."""
        if isinstance(self.transport, Server):
            self._read_size = self.transport.bufferSize = read_size(self._read_size, size)

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

    def _abandon(self, connection: ServerConnection) -> None:
        """The broker itself has failed on this connection: log it, and let the others live."""
        log.failure(
            "Error in the broker while serving {peer}; its connection is closed", peer=connection.peer
        )
        self._tell_lost(connection, "error in the broker")
        self._abort()

    def _tell_lost(self, connection: ServerConnection, cause: str) -> None:
        """Tell the core that `connection` is gone, and let it write what it still has for other peers."""
        steps: tuple[Callable[[], object], ...] = (lambda: connection.lost(cause), self._broker.turn.end)
        for step in steps:
            try:
                step()
            except Exception:
                log.failure(
                    "Error in the broker after the end of the connection from {peer}", peer=connection.peer
                )

    def _abort(self) -> None:
        if self._linger is not None and self._linger.active():
            self._linger.cancel()
        self._linger = None
        transport = self._twisted_transport()
        abort = getattr(transport, "abortConnection", transport.loseConnection)
        abort()


def _login(portal: Portal | None, login: Login | None) -> Login:
    """Who may come in: what the portal says, or `login`; clients of this machine if neither is given."""
    if portal is None:
        return login or accept_local
    if login is not None:
        raise ValueError("either portal or login says who may come in, not both")
    return PortalLogin(portal)


class MQTTServerFactory(Factory):
    """A broker for any port: ``reactor.listenTCP(1883, MQTTServerFactory(portal=portal))``.

    It keeps time as long as a port uses it. Clients log in by the `portal`, or `login` decides; if neither is
    given, clients of this machine are let in. `clock` is the reactor, or a test's clock. A `broker` made
    elsewhere has all the rest already. A store on disk is opened when the first port listens, unless
    `opens_storage` is False: then whoever set it opens and closes `storage`. Raises `ValueError` for
    arguments of which one would be ignored.
    """

    noisy = False

    def __init__(
        self,
        broker: Broker | None = None,
        clock: Any = None,
        *,
        portal: Portal | None = None,
        login: Login | None = None,
        settings: Settings | None = None,
        store: Store | None = None,
        observer: Observer | None = None,
        log_packets: bool = False,
    ) -> None:
        if clock is None:
            from twisted.internet import reactor as clock
        trace = LogTrace() if log_packets else None
        if broker is None:
            who = _login(portal, login)
            kept = MemoryStore() if store is None else store
            broker = Broker(kept, core_clock(clock), settings, who, observer or LogObserver(), trace)
        elif any(given is not None for given in (portal, login, settings, store, observer, trace)):
            raise ValueError(
                "a broker has its own login, settings, store, observer and trace: give them to the broker"
            )
        self.broker = broker
        broker.turn.wake = self._wake
        self.timers = BrokerTimers(broker, clock)
        self.storage = Storage(broker, clock) if isinstance(broker.store, SQLiteStore) else None
        self.opens_storage = True
        self._clock = clock
        self._protocols: set[MQTTServerProtocol] = set()
        self._waiting_for_none: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> MQTTServerProtocol:
        protocol = MQTTServerProtocol(self.broker, self._clock, addr)
        protocol.factory = self
        return protocol

    def startFactory(self) -> None:
        """The first port listens. Raises `StoreError` if the store can't be opened."""
        if self.storage is not None and self.opens_storage:
            self.storage.open()
        self.timers.start()

    def stopFactory(self) -> None:
        """The last port has been closed."""
        self.timers.stop()
        storage = self.storage
        if storage is not None and self.opens_storage:  # clients may stay for a while
            self.when_none_is_left().addCallback(lambda result: storage.close())

    def _wake(self) -> None:
        """Somebody is sent more than fits into one turn: go on in the reactor's next round."""
        self._clock.callLater(0, self._go_on)

    def _go_on(self) -> None:
        turn = self.broker.turn
        try:
            turn.go_on()
        except Exception:
            log.failure("Error in the broker while sending what waits; it goes on")
            if turn.is_unfinished:
                self._wake()

    def has_made(self, protocol: MQTTServerProtocol) -> None:
        """The transport of `protocol` is there."""
        self._protocols.add(protocol)

    def has_lost(self, protocol: MQTTServerProtocol) -> None:
        """The transport of `protocol` is gone."""
        self._protocols.discard(protocol)
        if not self._protocols:
            waiting, self._waiting_for_none = self._waiting_for_none, []
            for deferred in waiting:
                deferred.callback(None)

    def when_none_is_left(self) -> Deferred[None]:
        """Fires when the transports of all clients are gone."""
        deferred: Deferred[None] = Deferred()
        if self._protocols:
            self._waiting_for_none.append(deferred)
        else:
            deferred.callback(None)
        return deferred
