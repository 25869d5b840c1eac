"""The broker in memory."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.doors import Login
from mqttwist.broker.local import WaitingReceiver
from mqttwist.broker.settings import Settings
from mqttwist.net.client import MQTTClient
from mqttwist.net.log import LogObserver
from mqttwist.net.protocol import MQTTServerFactory
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.testing.endpoint import MemoryEndpoint
from mqttwist.testing.line import Line
from mqttwist.testing.steps import next_step, settle, step_to
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Disconnect
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import matches

Result = TypeVar("Result")

PATIENCE = 60.0  # seconds of virtual time that `run` waits at most
SETTINGS = Settings(sys_interval=0.0)
NO_LIMITS = QueueLimits(0, 0, True)


class MemoryBroker:
    """A whole broker without a socket, on a clock that the test moves: it runs when it is made.

    `settings` and `login` are those of any broker; without a `login` everybody may come in. All that is
    published, `messages` has, but for what clients publish to topics that begin with $; a broker with
    `records` False keeps nothing, and tells publishers of QoS 1 and 2 when nobody has subscribed (0x10).
    """

    def __init__(
        self,
        clock: Clock | None = None,
        *,
        settings: Settings | None = None,
        login: Login | None = None,
        records: bool = True,
    ) -> None:
        self.clock = clock or Clock()
        self.settings = settings or SETTINGS
        self.messages: list[Message] = []
        self.endpoints: list[MemoryEndpoint] = []
        self.clients: list[MQTTClient] = []  # those that `connect` has made
        self.is_running = False
        self._login = login or accept_everybody
        self._records = records
        self._is_settling = False
        self._refusals: list[tuple[int, str | None]] = []
        self._store = MemoryStore()
        self.start()

    # Starting and stopping

    def start(self) -> None:
        """Start, perhaps again; harmless when it runs."""
        if self.is_running:
            return
        self.is_running = True
        self.broker = Broker(self._store, self.clock.seconds, self.settings, self._log_in, LogObserver())
        self._factory = MQTTServerFactory(self.broker, self.clock)
        self._factory.timers.start()
        if self._records:
            self._recorder = WaitingReceiver("recorder", NO_LIMITS, self.broker.drops, self._wake)
            options = SubscriptionOptions("#", 2, retain_as_published=True, retain_handling=2)
            self.broker.subscribe(self._recorder, options)

    def stop(self, abruptly: bool = False) -> None:
        """Send all clients away (0x8B), or break their connections; nobody can connect until `start`."""
        if not self.is_running:
            return
        self.is_running = False
        if abruptly:
            self.cut()
        else:
            self.broker.shut_down()
        self.settle()
        self._factory.timers.stop()

    def restart(self, keep: bool = True, abruptly: bool = False) -> None:
        """Stop and start at once; without `keep` all sessions and retained messages are lost."""
        self.stop(abruptly)
        if not keep:
            self._store = MemoryStore()
        self.start()

    def close(self) -> None:
        """Stop all clients that `connect` has made, and the broker: the end of a test."""
        for client in self.clients:
            self.run(client.stopService())
        self.clients.clear()
        self.stop()
        self.cut()  # what is muted did not hear of it

    # Clients

    def endpoint(self, host: str = "127.0.0.1") -> MemoryEndpoint:
        """Where the broker is, for a client at the IPv4 address `host`: for `MQTTClient` and any other."""
        endpoint = MemoryEndpoint(self.clock, self._build, host)
        self.endpoints.append(endpoint)
        return endpoint

    def _build(self, address: IPv4Address) -> IProtocol | None:
        protocol: IProtocol | None = self._factory.buildProtocol(address) if self.is_running else None
        return protocol

    def client(self, client_id: str = "", *, where: Any = None, **options: Any) -> MQTTClient:
        """A client that is not started; `options` are those of `MQTTClient`."""
        client = MQTTClient(
            self.endpoint() if where is None else where, client_id=client_id, reactor=self.clock, **options
        )
        self.clients.append(client)
        return client

    def connect(self, client_id: str = "", **options: Any) -> MQTTClient:
        """A client that is started, and connected if nothing is in its way: as `client` makes them."""
        client = self.client(client_id, **options)
        client.startService()
        self.settle()
        return client

    @property
    def lines(self) -> list[Line]:
        """The Network Connections that are open."""
        return [line for endpoint in self.endpoints for line in endpoint.lines]

    @property
    def client_ids(self) -> list[str]:
        """Who is connected."""
        connections = self.broker.sessions.connections()
        return [one.session.client_id for one in connections if one.session is not None]

    # What is published

    def publish(
        self,
        topic_name: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> bool:
        """Publish a message as the broker itself, and let it arrive; False when nobody has subscribed.

        `qos` 0..2. Raises `ValueError` for what MQTT does not allow.
        """
        message = Message.create(topic_name, payload, qos, retain, properties)
        self.settle()
        matched = self.broker.publish(message)
        self.settle()
        return matched

    def _wake(self) -> None:
        """A message is to be taken down, when the turn that brought it is over."""
        self.clock.callLater(0, self._record)

    def _record(self) -> None:
        while (message := self._recorder.next(self.clock.seconds())) is not None:
            self.messages.append(message)

    def published(self, topic_filter: str) -> list[Message]:
        """Those of `messages` that a Topic Filter matches."""
        return [one for one in self.messages if matches(topic_filter, one.topic_name)]

    def payloads(self, topic_filter: str = "#") -> list[bytes]:
        """The payloads of `published`."""
        return [one.payload for one in self.published(topic_filter)]

    def retained(self, topic_name: str) -> bytes | None:
        """The payload of the retained message of a topic; None if there is none."""
        message = self.broker.router.retained.get(topic_name)
        return None if message is None else message.payload

    # Time

    def settle(self) -> None:
        """Let happen what is to happen now. Raises `AssertionError` if that has no end."""
        if not self._is_settling:
            self._is_settling = True
            try:
                settle(self.clock)
            finally:
                self._is_settling = False

    def advance(self, seconds: float) -> None:
        """Let time pass, and all happen that is to happen meanwhile, each thing at its time."""
        end = self.clock.seconds() + seconds
        self.settle()
        while self.clock.seconds() < end:
            step_to(self.clock, min(next_step(self.clock, self.broker), end))

    def run(
        self, awaitable: Deferred[Result] | Coroutine[Any, Any, Result], within: float = PATIENCE
    ) -> Result:
        """What comes of a Deferred or a coroutine, for which time passes as far as it has to.

        Raises what it fails with, and `AssertionError` if it takes longer than `within` seconds.
        """
        deferred = awaitable if isinstance(awaitable, Deferred) else Deferred.fromCoroutine(awaitable)
        ends: list[Any] = []
        deferred.addBoth(ends.append)
        end = self.clock.seconds() + within
        self.settle()
        while not ends and self.clock.seconds() < end:
            step_to(self.clock, min(next_step(self.clock, self.broker), end))
        if not ends:
            raise AssertionError(f"nothing came of it within {within:g} s")
        if isinstance(ends[0], Failure):
            ends[0].raiseException()
        result: Result = ends[0]
        return result

    # What is done to clients

    def refuse(self, reason_code: int, times: int = 1, server_reference: str | None = None) -> None:
        """Refuse the next `times` clients that connect, with a `reason_code` of 0x80 and above."""
        self._refusals += [(reason_code, server_reference)] * times

    def _log_in(self, connection: ServerConnection, connect: Connect) -> None:
        if not self._refusals:
            self._login(connection, connect)
            return
        reason_code, reference = self._refusals.pop(0)
        if reference is None:
            connection.refuse(reason_code, "the test says so")
            return
        connection.send_packet(ConnAck(False, reason_code, Properties(server_reference=reference)))
        connection.lost("the test says so")

    def kick(
        self,
        client_id: str,
        reason_code: int = ReasonCode.ADMINISTRATIVE_ACTION.value,
        server_reference: str | None = None,
    ) -> None:
        """Send a client away: by DISCONNECT in MQTT 5.0, else by a close. Its Will is sent.

        Raises `ValueError` if no such client is connected.
        """
        for connection in self.broker.sessions.connections():
            session = connection.session
            if session is not None and session.client_id == client_id:
                self.broker.turn.begin()
                if connection.version == MQTT_5:
                    said = Properties(server_reference=server_reference)
                    connection.send_packet(Disconnect(reason_code, said))
                connection.lost(f"sent away by the test (0x{reason_code:02X})")
                self.settle()
                return
        raise ValueError(f"{client_id!r} is not connected")

    def cut(self) -> None:
        """Break all connections."""
        for line in self.lines:
            line.cut()
        self.settle()
