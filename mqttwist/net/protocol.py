"""The Twisted protocol of one client: carries bytes between a transport and the core's `ServerConnection`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.cred.portal import Portal
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IPushProducer, IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Server
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttwist.broker.broker import Broker
from mqttwist.broker.doors import Login, Observer
from mqttwist.broker.settings import Settings
from mqttwist.net.address import peer_name
from mqttwist.net.clock import core_clock
from mqttwist.net.core_protocol import CoreFactory, CoreProtocol
from mqttwist.net.log import LogObserver, LogTrace
from mqttwist.net.login import PortalLogin, accept_local
from mqttwist.net.storage import Storage
from mqttwist.net.tcp import READ_SIZE, is_plain_tcp, read_size, reader_for, writer_for
from mqttwist.net.timers import BrokerTimers
from mqttwist.session.store import Store
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite.store import SQLiteStore

if TYPE_CHECKING:
    from mqttwist.broker.connection import ServerConnection

log = Logger(namespace="mqttwist.broker")


@implementer(IPushProducer)
class MQTTServerProtocol(CoreProtocol):
    """One Network Connection of the broker."""

    def __init__(self, broker: Broker, clock: IReactorTime, address: IAddress | None = None) -> None:
        super().__init__(clock)
        self._broker = broker
        self._given_address = address  # where the port says that the connection comes from
        self._connection: ServerConnection | None = None
        self._address: IAddress | None = None  # where the client is, once that can't change
        self._read_size = READ_SIZE

    # What Twisted calls

    def connectionMade(self) -> None:
        self._begin()
        transport = self._twisted_transport()
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
        self._end()
        if isinstance(self.transport, Server):
            vars(self.transport).pop("doRead", None)  # which refers to the transport
        connection, self._connection = self._connection, None
        if connection is not None:
            clean = reason.check(ConnectionDone) is not None
            self._tell_lost(
                connection, "closed by the client without DISCONNECT" if clean else reason.getErrorMessage()
            )
        self._tell_factory()

    def resumeProducing(self) -> None:
        """The transport's buffer is empty again."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.transport_ready()
        except Exception:
            self._abandon(connection)

    # What the core calls

    def write(self, data: bytes) -> None:
        """Send `data`. `connectionMade` puts the transport's own method here, to save a call."""
        raise RuntimeError("write before connectionMade")

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

    def _core_connection(self) -> ServerConnection | None:
        return self._connection

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


def _login(portal: Portal | None, login: Login | None) -> Login:
    """Who may come in: what the portal says, or `login`; clients of this machine if neither is given."""
    if portal is None:
        return login or accept_local
    if login is not None:
        raise ValueError("either portal or login says who may come in, not both")
    return PortalLogin(portal)


class MQTTServerFactory(CoreFactory):
    """A broker for any port: ``reactor.listenTCP(1883, MQTTServerFactory(portal=portal))``.

    It keeps time as long as a port uses it. Clients log in by the `portal`, or `login` decides; if neither is
    given, clients of this machine are let in. `clock` is the reactor, or a test's clock. A `broker` made
    elsewhere has all the rest already. A store on disk is opened when the first port listens, unless
    `opens_storage` is False: then whoever set it opens and closes `storage`. Raises `ValueError` for
    arguments of which one would be ignored.
    """

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
        super().__init__()
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
