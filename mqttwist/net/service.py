"""The broker as a Twisted service: it listens, keeps time, and can be used from inside the process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import SOCK_STREAM, socket
from typing import Any

from twisted.application.service import Service
from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import AdoptedStreamServerEndpoint, serverFromString
from twisted.internet.interfaces import IListeningPort, IReactorTime, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttwist import __version__
from mqttwist.broker.doors import Login, Observer
from mqttwist.broker.local import WaitingReceiver
from mqttwist.broker.settings import Settings
from mqttwist.build import BUILD
from mqttwist.net.address import peer_name
from mqttwist.net.protocol import MQTTServerFactory
from mqttwist.session.store import Store
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions

log = Logger(namespace="mqttwist.broker")

BACKLOG = 1024  # connections that may wait to be accepted: many devices come back at once after an outage
DELIVERIES_A_TURN = 1000  # how many messages a subscriber in the process is handed before others have a turn


def _lengthen_backlog(port: Any) -> None:
    """Let more connections wait on `port` than Twisted's default of 50, if it is a socket that listens."""
    listening = getattr(port, "socket", None)
    if isinstance(listening, socket) and listening.type == SOCK_STREAM:
        listening.listen(max(BACKLOG, getattr(port, "backlog", 0)))


class LocalSubscription:
    """A subscription from inside the process, made by `BrokerService.subscribe`."""

    def __init__(
        self, service: BrokerService, topic_filter: str, callback: Callable[[Message], object], qos: int
    ) -> None:
        if qos not in (0, 1, 2):
            raise ValueError(f"QoS {qos} is none of 0, 1, 2")
        self.topic_filter = topic_filter
        self._service = service
        self._callback = callback
        self._scheduled = False
        broker = service.broker
        limits = QueueLimits(broker.settings.queue_messages, broker.settings.queue_bytes, True)
        name = f"in-process:{topic_filter}"
        self._receiver = WaitingReceiver(name, limits, broker.drops, self._schedule)
        broker.subscribe(self._receiver, SubscriptionOptions(topic_filter, qos))

    def unsubscribe(self) -> None:
        """Stop: the callback is not called any more, not even for what was published before."""
        self._receiver.waiting.clear()
        self._service.broker.unsubscribe(self._receiver, self.topic_filter)

    def _schedule(self) -> None:
        """Something waits: the callback runs when the broker's turn is over, so it may publish."""
        if not self._scheduled:
            self._scheduled = True
            self._service.clock.callLater(0, self._hand_out)

    def _hand_out(self) -> None:
        self._scheduled = False
        receiver = self._receiver
        now = self._service.broker.turn.begin()
        for _ in range(DELIVERIES_A_TURN):
            message = receiver.next(now)
            if message is None:
                return
            try:
                self._callback(message)
            except Exception:
                log.failure("Error in the subscriber to {topic_filter!r}", topic_filter=self.topic_filter)
        if len(receiver.waiting):
            self._schedule()


class BrokerService(Service):
    """An MQTT broker that listens on `endpoints` while it runs.

    `endpoints` are Twisted server endpoints or their descriptions (``"tcp:1883:interface=127.0.0.1"``); none
    at all is right for use inside the process only. `reactor` is the clock and what descriptions are resolved
    with; without one the installed reactor is used. What `store` keeps survives `stopService`.

    Clients log in by the `portal`, or `login` decides: `accept_local`, the default, lets in who is on this
    machine, `mqttwist.broker.broker.accept_everybody` whoever comes. Raises `ValueError` for both.
    """

    def __init__(
        self,
        endpoints: Iterable[str | IStreamServerEndpoint] = (),
        *,
        reactor: Any = None,
        settings: Settings | None = None,
        store: Store | None = None,
        login: Login | None = None,
        portal: Portal | None = None,
        observer: Observer | None = None,
        log_packets: bool = False,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self.clock: IReactorTime = reactor
        self._endpoints = [
            serverFromString(reactor, endpoint) if isinstance(endpoint, str) else endpoint
            for endpoint in endpoints
        ]
        self.factory = MQTTServerFactory(
            clock=reactor,
            portal=portal,
            login=login,
            settings=settings,
            store=store,
            observer=observer,
            log_packets=log_packets,
        )
        self.factory.opens_storage = False
        self.broker = self.factory.broker
        self._ports: list[IListeningPort] = []
        self._listening: list[Deferred[Any]] = []

    # Service

    def privilegedStartService(self) -> None:
        """Listen; raises at once (`CannotListenError`, say) when an endpoint can't, and then on none."""
        self._listen()

    def startService(self) -> None:
        """Open the store, listen, if that was not done before, and begin to keep time.

        Raises `StoreError` when the store can't be opened, and then does not listen.
        """
        storage = None if self.running else self.factory.storage
        try:
            if storage is not None:
                storage.open()
        except Exception:
            self._stop_listening()
            raise
        try:
            self._listen()
        except Exception:
            if storage is not None:
                storage.close()
            raise
        if not self.running:
            self.factory.timers.start()
        super().startService()  # type: ignore[no-untyped-call]
        log.info("mqttwist {version} is ready ({build} core)", version=__version__, build=BUILD)

    def stopService(self) -> Deferred[None]:
        """Stop listening, say goodbye to every client (0x8B), and stop the clocks.

        Fires when all transports are gone, and all is stored: a client that does not close its side has
        `LINGER` seconds.
        """
        was_running = bool(self.running)
        if was_running:
            self.factory.timers.stop()
        super().stopService()  # type: ignore[no-untyped-call]
        clients = self.broker.sessions.connected
        waited_for = self._stop_listening()
        self.broker.shut_down()
        log.info(
            "mqttwist stops: {clients} clients sent away, "
            "{sessions} sessions and {retained} retained messages left",
            clients=clients,
            sessions=len(self.broker.sessions),
            retained=len(self.broker.router.retained.matching("#")),  # without $SYS [MQTT-4.7.2-1]
        )
        waited_for.append(self.factory.when_none_is_left())
        ended = DeferredList(waited_for)
        storage = self.factory.storage
        if was_running and storage is not None:
            return ended.addCallback(lambda results: storage.close())
        return ended.addCallback(lambda results: None)

    # Listening

    @property
    def ports(self) -> tuple[IListeningPort, ...]:
        """What the service listens on: ask one `getHost()` for the port number it was given."""
        return tuple(self._ports)

    def _listen(self) -> None:
        if self._listening:
            return
        for endpoint in self._endpoints:
            failures: list[Failure] = []
            waiting = endpoint.listen(self.factory).addCallback(self._has_port, endpoint)
            waiting.addErrback(failures.append if waiting.called else self._cannot_listen)
            self._listening.append(waiting)
            if failures:
                self._stop_listening()
                failures[0].raiseException()

    def _has_port(self, port: IListeningPort, endpoint: IStreamServerEndpoint) -> None:
        self._ports.append(port)
        if not isinstance(endpoint, AdoptedStreamServerEndpoint):  # whose opener has decided this
            _lengthen_backlog(port)
        log.info("Listening on {address}", address=peer_name(port.getHost()))

    def _cannot_listen(self, failure: Failure) -> None:
        """What an endpoint that takes its time says when nobody can be told any more."""
        if failure.check(CancelledError) is None:
            log.failure("Cannot listen", failure)

    def _stop_listening(self) -> list[Deferred[None]]:
        """Close all ports; answers what is to be waited for."""
        ports, self._ports = self._ports, []
        for waiting in self._listening:
            waiting.cancel()
        self._listening.clear()
        return [deferred for port in ports if (deferred := port.stopListening()) is not None]

    # In-process use

    def publish(
        self,
        topic_name: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> bool:
        """Publish a message to the broker's subscribers; False when there are none for this topic.

        `qos` 0..2. Raises `ValueError` for a Topic Name that is none, a QoS that is none, or a property that
        can't be said.
        """
        return self.broker.publish(Message.create(topic_name, payload, qos, retain, properties))

    def subscribe(
        self, topic_filter: str, callback: Callable[[Message], object], qos: int = 2
    ) -> LocalSubscription:
        """Have `callback(message)` called for every message that `topic_filter` matches.

        Retained messages come first. The callback runs soon after the message was published, in the order of
        publishing, and may publish, subscribe and unsubscribe; what it raises is logged. The message has the
        QoS and RETAIN of this delivery [MQTT-3.8.4-8] [MQTT-3.3.1-12], and the time left for it in its
        Message Expiry Interval [MQTT-3.3.2-6]. What waits is limited as for a client, by `queue_messages` and
        `queue_bytes`. Raises `ValueError` for a Topic Filter that is none, and for a QoS that is none.
        """
        return LocalSubscription(self, topic_filter, callback, qos)
