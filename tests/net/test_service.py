"""The service: listening, keeping time, stopping in good order, and publish and subscribe in the process."""

from __future__ import annotations

import socket
from functools import partial
from typing import Any
from unittest import mock

from twisted.application.service import IService, MultiService
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import AdoptedStreamServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.doors import SilentObserver
from mqttwist.broker.settings import Settings
from mqttwist.net.auth import make_portal
from mqttwist.net.core_protocol import LINGER
from mqttwist.net.service import BACKLOG, DELIVERIES_A_TURN, BrokerService
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.net.clients import FAR, LOCAL, Client, ShellTestCase, TCPTransport
from tests.net.logins import ScriptedChecker


@implementer(IListeningPort)
class Port:
    """A port that remembers whether it was closed."""

    def __init__(self) -> None:
        self.is_open = True
        self.socket: Any = None
        self.backlog = 50

    def startListening(self) -> None: ...

    def stopListening(self) -> Deferred[None] | None:
        self.is_open = False
        return None

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1883)


@implementer(IStreamServerEndpoint)
class Endpoint:
    """An endpoint that answers as told."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls = 0

    def listen(self, factory: Any) -> Any:
        self.calls += 1
        return self.answer if isinstance(self.answer, Deferred) else _fired(self.answer)


class Adopted(Endpoint, AdoptedStreamServerEndpoint):
    """An endpoint for a socket that somebody else has opened."""


def _add_topic(topics: set[str], message: Message) -> None:
    topics.add(message.topic_name)


def _fired(answer: Any) -> Deferred[Any]:
    deferred: Deferred[Any] = Deferred()
    if isinstance(answer, Exception):
        return fail(answer)
    deferred.callback(answer)
    return deferred


class ServiceTestCase(ShellTestCase):
    """A service on a reactor in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor: Any = MemoryReactorClock()

    def service(self, *endpoints: Any, **arguments: Any) -> BrokerService:
        """A service that is not started; its settings have no $SYS if not told."""
        arguments.setdefault("settings", self.settings)
        return BrokerService(endpoints, reactor=self.reactor, **arguments)

    def running(self, *endpoints: Any, **arguments: Any) -> BrokerService:
        service = self.service(*endpoints, **arguments)
        service.startService()
        return service

    def client_of(self, service: BrokerService, client_id: str = "", **fields: Any) -> Client:
        """A client of `service`, connected if it has an id."""
        client = Client(service.factory, TCPTransport(fields.pop("peer", LOCAL)), fields.pop("version", 5))
        if client_id:
            self.assertEqual(getattr(client.connect(client_id, **fields)[0], "reason_code", None), 0)
        return client


class ListeningTests(ServiceTestCase):
    """Where it listens."""

    def test_interface(self) -> None:
        """It is a service as Twisted wants it, and goes into a parent."""
        service = self.service()
        verifyObject(IService, service)
        parent = MultiService()
        service.setServiceParent(parent)  # type: ignore[no-untyped-call]
        self.assertEqual(list(parent), [service])

    def test_endpoint_strings(self) -> None:
        """A description is resolved with the reactor."""
        service = self.running("tcp:1883:interface=127.0.0.1", "tcp:1884")
        served = [(port, interface) for port, _, _, interface in self.reactor.tcpServers]
        self.assertEqual(served, [(1883, "127.0.0.1"), (1884, "")])
        self.assertIs(self.reactor.tcpServers[0][1], service.factory)
        self.assertEqual([getattr(port.getHost(), "port", 0) for port in service.ports], [1883, 1884])
        self.assertIn("info: Listening on 0.0.0.0:1884", self.lines())

    def test_endpoint_objects(self) -> None:
        """An endpoint may be an object."""
        port = Port()
        self.assertEqual(self.running(Endpoint(port)).ports, (port,))

    def test_no_endpoint(self) -> None:
        """Without an endpoint it serves its own process."""
        self.assertEqual(self.running().ports, ())

    def test_wrong_description(self) -> None:
        """A description that makes no sense is told when the service is made."""
        self.assertRaises(ValueError, self.service, "nix:1883")

    def test_privileged_start(self) -> None:
        """It listens while the process may still use low ports, and not again when it starts."""
        endpoint = Endpoint(Port())
        service = self.service(endpoint)
        service.privilegedStartService()
        self.assertEqual(endpoint.calls, 1)
        service.startService()
        self.assertEqual(endpoint.calls, 1)

    def test_reactor(self) -> None:
        """Without one it takes the reactor of the process."""
        from twisted.internet import reactor

        self.assertIs(BrokerService().clock, reactor)

    def test_port_in_use(self) -> None:
        """An endpoint that can't listen is an error at once; ports that were open already are closed."""
        port = Port()
        busy = CannotListenError("127.0.0.1", 1883, OSError("in use"))
        service = self.service(Endpoint(port), Endpoint(busy))
        self.assertIs(self.assertRaises(CannotListenError, service.startService), busy)
        self.assertFalse(port.is_open)
        self.assertFalse(service.running)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_try_again(self) -> None:
        """After that it may be started once more."""
        endpoint = Endpoint(OSError("in use"))
        service = self.service(endpoint)
        self.assertRaises(OSError, service.privilegedStartService)
        endpoint.answer = Port()
        service.startService()
        self.assertEqual(service.ports, (endpoint.answer,))

    def test_loops_after_a_failure(self) -> None:
        """A start that failed, and the stop that its parent asks for then, leave no loop out or behind."""
        endpoint = Endpoint(OSError("in use"))
        service = self.service(endpoint)
        for _ in range(2):
            self.assertRaises(OSError, service.startService)
            self.successResultOf(service.stopService())
        endpoint.answer = Port()
        self.check_loops(service)

    def test_loops_after_a_stop_too_many(self) -> None:
        """Nor does a stop without a start."""
        service = self.service()
        self.successResultOf(service.stopService())
        self.check_loops(service)
        self.successResultOf(service.stopService())
        self.check_loops(service)

    def test_stopped_beside_another_port(self) -> None:
        """A stop without a start leaves the loops to a port that uses the factory by itself."""
        service = self.service()
        service.factory.doStart()  # type: ignore[no-untyped-call]
        self.successResultOf(service.stopService())
        self.assertEqual(len(self.reactor.getDelayedCalls()), 2)
        service.factory.doStop()  # type: ignore[no-untyped-call]
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_started_twice(self) -> None:
        """Nor does a second start."""
        service = self.running()
        self.check_loops(service)

    def check_loops(self, service: BrokerService) -> None:
        """While it runs there are the loops for what is due and what is overdue, and none after it."""
        service.startService()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 2)
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_backlog(self) -> None:
        """A socket that listens lets a thousand clients wait, or more if its endpoint says so."""
        for wanted, expected in ((50, BACKLOG), (4000, 4000)):
            listening = mock.Mock(spec=socket.socket, type=socket.SOCK_STREAM)
            port = Port()
            port.socket, port.backlog = listening, wanted
            self.running(Endpoint(port))
            listening.listen.assert_called_once_with(expected)

    def test_no_backlog(self) -> None:
        """What is no stream, or was opened by somebody else, is left as it is."""
        datagrams = mock.Mock(spec=socket.socket, type=socket.SOCK_DGRAM)
        adopted = mock.Mock(spec=socket.socket, type=socket.SOCK_STREAM)
        for endpoint, listening in ((Endpoint(Port()), datagrams), (Adopted(Port()), adopted)):
            endpoint.answer.socket = listening
            self.running(endpoint)
            listening.listen.assert_not_called()

    def test_port_that_comes_later(self) -> None:
        """An endpoint may take its time."""
        later: Deferred[Port] = Deferred()
        service = self.running(Endpoint(later))
        self.assertEqual(service.ports, ())
        port = Port()
        later.callback(port)
        self.assertEqual(service.ports, (port,))

    def test_port_that_fails_later(self) -> None:
        """When it fails then, nobody can be told but the log."""
        later: Deferred[Port] = Deferred()
        self.running(Endpoint(later))
        later.errback(OSError("no such device"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertIn("critical: Cannot listen", self.lines())

    def test_stopped_before_the_port_comes(self) -> None:
        """An endpoint that is still at it when the service stops is told to give up, which is no error."""
        cancelled: list[Any] = []
        self.successResultOf(self.running(Endpoint(Deferred(cancelled.append))).stopService())
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.tracebacks(), [])


class LoginTests(ServiceTestCase):
    """Who is let in."""

    def reason_code(self, service: BrokerService, **fields: Any) -> int:
        (connack,) = Client(service.factory, TCPTransport(FAR)).connect("a", **fields)
        return connack.reason_code if isinstance(connack, ConnAck) else -1

    def test_this_machine_only(self) -> None:
        """Unless told otherwise, clients of this machine only."""
        service = self.running()
        self.client_of(service, "local")
        self.assertEqual(self.reason_code(service), ReasonCode.NOT_AUTHORIZED)

    def test_everybody(self) -> None:
        """Everybody, if that is asked for."""
        self.assertEqual(self.reason_code(self.running(login=accept_everybody)), 0)

    def test_portal(self) -> None:
        """Whom a portal knows."""
        service = self.running(portal=make_portal([ScriptedChecker(b"alice")]))
        self.assertEqual(self.reason_code(service, username="alice", password=b"x"), 0)
        self.assertEqual(self.reason_code(service), ReasonCode.NOT_AUTHORIZED)

    def test_both(self) -> None:
        """Two ways to log in are one too many."""
        both = {"portal": make_portal([]), "login": accept_everybody}
        self.assertRaises(ValueError, self.service, **both)


class TimeTests(ServiceTestCase):
    """The clocks of the broker."""

    def test_tick(self) -> None:
        """Every second it does what is due: a client that fell silent is sent away."""
        service = self.running()
        client = self.client_of(service, "a", keep_alive=2)
        self.reactor.pump([1.0] * 2)
        self.assertEqual(client.take(), [])
        self.reactor.pump([1.0] * 2)
        (packet,) = client.take()
        self.assertEqual(getattr(packet, "reason_code", 0), ReasonCode.KEEP_ALIVE_TIMEOUT)

    def test_retry(self) -> None:
        """A 3.1.1 client that does not acknowledge is sent the message again, with DUP."""
        service = self.running(settings=Settings(retry_interval=20.0, sys_interval=0.0))
        client = self.client_of(service, "a", version=4)
        client.subscribe("#", 1)
        service.publish("a", b"1", qos=1)
        self.reactor.pump([1.0] * 19)
        self.assertEqual([getattr(packet, "dup", None) for packet in client.take()], [False])
        self.reactor.pump([1.0] * 3)
        self.assertEqual([getattr(packet, "dup", None) for packet in client.take()], [True])

    def test_no_retry(self) -> None:
        """0 turns it off."""
        service = self.running(settings=Settings(retry_interval=0.0, sys_interval=0.0))
        client = self.client_of(service, "a", version=4)
        client.subscribe("#", 1)
        service.publish("a", b"1", qos=1)
        client.take()
        self.reactor.pump([1.0] * 100)
        self.assertEqual(client.take(), [])

    def test_sys_topics(self) -> None:
        """$SYS topics are published as often as the setting says, and never with 0."""
        for interval, expected in ((10.0, True), (0.0, False)):
            topics: set[str] = set()
            service = self.running(settings=Settings(sys_interval=interval))
            service.subscribe("$SYS/#", partial(_add_topic, topics))
            self.reactor.advance(0)  # at once, so that nobody has to wait for the first
            self.assertEqual("$SYS/broker/version" in topics, expected)
            topics.clear()
            self.reactor.pump([1.0] * 11)
            self.assertEqual("$SYS/broker/uptime" in topics, expected)

    def test_error(self) -> None:
        """An error in what is due is logged, and the clock goes on."""
        service = self.running()

        def broken(now: float) -> None:
            raise ZeroDivisionError("a bug")

        client = self.client_of(service, "a", keep_alive=2)
        service.broker.deadlines.at(0.5, broken)
        self.reactor.pump([1.0] * 5)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("critical: Error in the broker while doing what is due; it goes on", self.lines())
        self.assertIsInstance(client.take()[0], Disconnect)
        client.hang_up()
        self.successResultOf(service.stopService())


class StoppingTests(ServiceTestCase):
    """The end in good order."""

    def test_goodbye(self) -> None:
        """Every MQTT 5.0 client gets DISCONNECT 0x8B before the close; a 3.1.1 client is closed."""
        service = self.running()
        new, old = self.client_of(service, "new"), self.client_of(service, "old", version=4)
        service.stopService()
        (packet,) = new.take()
        self.assertEqual(getattr(packet, "reason_code", 0), ReasonCode.SERVER_SHUTTING_DOWN)
        self.assertEqual(old.take(), [])
        for client in (new, old):
            self.assertEqual(client.transport.calls[-1], "loseWriteConnection")

    def test_waits_for_the_transports(self) -> None:
        """It has stopped when the last transport is gone, so that DISCONNECT gets through."""
        service = self.running()
        client = self.client_of(service, "a")
        stopped = service.stopService()
        self.assertNoResult(stopped)
        client.hang_up()
        self.assertIsNone(self.successResultOf(stopped))

    def test_not_for_ever(self) -> None:
        """A client that does not close its side is cut off after a while."""
        service = self.running()
        client = self.client_of(service, "a")
        service.stopService()
        self.reactor.advance(LINGER)
        self.assertEqual(client.transport.calls[-1], "abortConnection")

    def test_waits_for_the_ports(self) -> None:
        """It has stopped when the ports are closed."""
        port, closed = Port(), Deferred[None]()
        self.patch(port, "stopListening", lambda: closed)
        stopped = self.running(Endpoint(port)).stopService()
        self.assertNoResult(stopped)
        closed.callback(None)
        self.successResultOf(stopped)

    def test_clocks_stop(self) -> None:
        """No timer is left."""
        service = self.running(settings=Settings())
        self.assertEqual(len(self.reactor.getDelayedCalls()), 3)
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_nobody_is_there(self) -> None:
        """Without clients it has stopped at once."""
        self.successResultOf(self.running().stopService())

    def test_never_started(self) -> None:
        """A service that never started may be stopped."""
        self.successResultOf(self.service("tcp:1883").stopService())

    def test_log(self) -> None:
        """The log says how many clients were sent away and what is left."""
        service = self.running()
        client = self.client_of(service, "a", version=4, clean_start=False)
        service.publish("a", b"1", retain=True)
        service.stopService()
        expected = "info: mqttwist stops: 1 clients sent away, 1 sessions and 1 retained messages left"
        self.assertIn(expected, self.lines())
        self.assertTrue(any("'a' disconnected" in line and "0x8B" in line for line in self.lines()))
        client.hang_up()

    def test_start_again(self) -> None:
        """It may be started again: it listens and keeps time anew, and sessions are still there."""
        endpoint = Endpoint(Port())
        service = self.running(endpoint)
        client = self.client_of(service, "a", version=4, clean_start=False)
        stopped = service.stopService()
        client.hang_up()
        self.successResultOf(stopped)
        service.startService()
        self.assertEqual(endpoint.calls, 2)
        (connack,) = self.client_of(service, version=4).connect("a", clean_start=False)
        self.assertTrue(getattr(connack, "session_present", None))
        self.assertNoResult(service.stopService())

    def test_store(self) -> None:
        """What the store keeps is there for another service."""
        store = MemoryStore()
        first = self.running(store=store)
        first.publish("a", b"1", retain=True)
        self.successResultOf(first.stopService())
        messages: list[Message] = []
        self.running(store=store).subscribe("a", messages.append)
        self.reactor.advance(0)
        self.assertEqual([message.payload for message in messages], [b"1"])


class InProcessTests(ServiceTestCase):
    """Publish and subscribe without a socket."""

    def setUp(self) -> None:
        super().setUp()
        self.broker_service = self.running()
        self.messages: list[Message] = []

    def payloads(self) -> list[bytes]:
        """What has come since the last call."""
        self.reactor.advance(0)
        payloads = [message.payload for message in self.messages]
        self.messages.clear()
        return payloads

    def test_both(self) -> None:
        """What is published reaches the callback, in order, each message as it is."""
        self.broker_service.subscribe("a/#", self.messages.append)
        properties = Properties(content_type="text/plain", user_properties=(("k", "v"),))
        self.broker_service.publish("a/b", b"1", qos=1, properties=properties)
        self.broker_service.publish("a/c", b"2")
        self.broker_service.publish("b", b"3")
        self.reactor.advance(0)
        self.assertEqual(
            [(one.topic_name, one.payload) for one in self.messages], [("a/b", b"1"), ("a/c", b"2")]
        )
        self.assertEqual(self.messages[0].properties, properties)

    def test_not_at_once(self) -> None:
        """The callback runs after `publish` has returned."""
        self.broker_service.subscribe("a", self.messages.append)
        self.broker_service.publish("a", b"1")
        self.assertEqual(self.messages, [])
        self.assertEqual(self.payloads(), [b"1"])

    def test_result(self) -> None:
        """`publish` tells whether anybody subscribes."""
        self.assertFalse(self.broker_service.publish("a", b"1"))
        self.broker_service.subscribe("a", self.messages.append)
        self.assertTrue(self.broker_service.publish("a", b"1"))

    def test_with_clients(self) -> None:
        """Clients get what the process publishes, and the process what they do."""
        client = self.client_of(self.broker_service, "a")
        client.subscribe("down", 0)
        self.broker_service.subscribe("up", self.messages.append)
        self.broker_service.publish("down", b"1")
        client.send(Publish("up", b"2", 1, packet_id=1))
        self.assertEqual(client.payloads, [b"1"])
        self.assertEqual(self.payloads(), [b"2"])

    def test_retained(self) -> None:
        """Retained messages come first."""
        self.broker_service.publish("a/1", b"old", retain=True)
        self.broker_service.subscribe("a/+", self.messages.append)
        self.broker_service.publish("a/2", b"new")
        self.assertEqual(self.payloads(), [b"old", b"new"])

    def test_unsubscribe(self) -> None:
        """After it nothing comes any more, not even what was published before; a second one does nothing."""
        subscription = self.broker_service.subscribe("a", self.messages.append)
        self.broker_service.publish("a", b"1")
        subscription.unsubscribe()
        subscription.unsubscribe()
        self.assertFalse(self.broker_service.publish("a", b"2"))
        self.assertEqual(self.payloads(), [])

    def test_two_subscriptions(self) -> None:
        """Each subscription gets the message, and one may end without the other."""
        first = self.broker_service.subscribe("a", self.messages.append)
        self.broker_service.subscribe("#", self.messages.append)
        self.broker_service.publish("a", b"1")
        self.assertEqual(self.payloads(), [b"1", b"1"])
        first.unsubscribe()
        self.broker_service.publish("a", b"2")
        self.assertEqual(self.payloads(), [b"2"])

    def test_callback_publishes(self) -> None:
        """The callback may publish, to its own topic too."""

        def count(message: Message) -> None:
            self.messages.append(message)
            number = int(message.payload)
            if number < 3:
                self.broker_service.publish("a", b"%d" % (number + 1))

        self.broker_service.subscribe("a", count)
        self.broker_service.publish("a", b"1")
        self.reactor.pump([0.0] * 5)
        self.assertEqual(self.payloads(), [b"1", b"2", b"3"])

    def test_callback_unsubscribes(self) -> None:
        """The callback may unsubscribe itself: it is not called again."""

        def once(message: Message) -> None:
            self.messages.append(message)
            subscription.unsubscribe()

        subscription = self.broker_service.subscribe("a", once)
        self.broker_service.publish("a", b"1")
        self.broker_service.publish("a", b"2")
        self.assertEqual(self.payloads(), [b"1"])

    def test_callback_subscribes(self) -> None:
        """The callback may subscribe."""
        self.broker_service.subscribe(
            "a", lambda message: self.broker_service.subscribe("b", self.messages.append)
        )
        self.broker_service.publish("a", b"")
        self.reactor.advance(0)
        self.broker_service.publish("b", b"1")
        self.assertEqual(self.payloads(), [b"1"])

    def test_callback_fails(self) -> None:
        """What a callback raises is logged with its traceback; the messages after it still come."""

        def choosy(message: Message) -> None:
            if message.payload == b"bad":
                raise ZeroDivisionError("a bug")
            self.messages.append(message)

        self.broker_service.subscribe("a/+", choosy)
        for payload in (b"1", b"bad", b"2"):
            self.broker_service.publish("a/b", payload)
        self.assertEqual(self.payloads(), [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("critical: Error in the subscriber to 'a/+'", self.lines())

    def test_flood(self) -> None:
        """Very many messages are handed out in portions, so that the reactor has its turns."""
        self.broker_service.subscribe("a", self.messages.append)
        for _ in range(DELIVERIES_A_TURN + 1):
            self.broker_service.publish("a", b"1")
        seen: list[int] = []
        self.reactor.callLater(0, lambda: seen.append(len(self.messages)))
        self.assertEqual(len(self.payloads()), DELIVERIES_A_TURN + 1)
        self.assertEqual(seen, [DELIVERIES_A_TURN])

    def test_delivery(self) -> None:
        """The message has the QoS and RETAIN of its delivery, as a client gets it, and is the same else.

        [MQTT-3.8.4-8] [MQTT-3.3.1-8] [MQTT-3.3.1-12]
        """
        properties = Properties(content_type="text/plain", message_expiry_interval=60)
        self.broker_service.publish("a/1", b"1", qos=2, retain=True, properties=properties)
        self.broker_service.subscribe("a/+", self.messages.append, qos=1)
        self.broker_service.publish("a/2", b"2", qos=2, retain=True, properties=properties)
        self.reactor.advance(0)
        shown = [(one.topic_name, one.payload, one.qos, one.retain) for one in self.messages]
        self.assertEqual(shown, [("a/1", b"1", 1, True), ("a/2", b"2", 1, False)])
        self.assertEqual([one.properties for one in self.messages], [properties] * 2)

    def test_time_left(self) -> None:
        """A retained message tells the time that is left for it, and comes no more when it has expired.

        [MQTT-3.3.2-6]
        """
        properties = Properties(message_expiry_interval=60)
        self.broker_service.publish("a", b"1", retain=True, properties=properties)
        self.reactor.advance(20)
        self.broker_service.subscribe("a", self.messages.append)
        self.reactor.advance(0)
        self.assertEqual([one.message_expiry_interval for one in self.messages], [40])
        self.messages.clear()
        self.broker_service.subscribe("a", self.messages.append)
        self.reactor.rightNow += 40
        self.assertEqual(self.payloads(), [])
        self.assertEqual(self.broker_service.broker.drops.totals, {"message expired": 1})

    def test_limits(self) -> None:
        """What waits is limited like a client's queue; the rest is counted, and the log says so."""
        service = self.running(settings=Settings(queue_messages=3, sys_interval=0.0))
        service.subscribe("a", self.messages.append)
        for number in range(5):
            service.publish("a", b"%d" % number)
        self.assertEqual(self.payloads(), [b"2", b"3", b"4"])
        self.reactor.advance(1)
        self.assertIn("warn: 2 messages for 'in-process:a' dropped: queue full", self.lines())
        service = self.running(settings=Settings(queue_bytes=1000, sys_interval=0.0))
        service.subscribe("a", self.messages.append)
        for _ in range(3):
            service.publish("a", bytes(600), qos=1)
        self.assertEqual(self.payloads(), [bytes(600)])

    def test_mistakes(self) -> None:
        """A topic, filter or QoS that is none is told at once, and nothing is published."""
        for topic_filter in ("", "a/#/b", "a+"):
            self.assertRaises(ValueError, self.broker_service.subscribe, topic_filter, self.messages.append)
        self.broker_service.subscribe("#", self.messages.append)
        for topic_name in ("", "a/#", "+"):
            self.assertRaises(ValueError, self.broker_service.publish, topic_name, b"1")
        self.assertRaises(ValueError, self.broker_service.publish, "a", b"1", qos=3)
        for qos in (-1, 3):
            self.assertRaises(ValueError, self.broker_service.subscribe, "b", self.messages.append, qos=qos)
        self.assertEqual(self.payloads(), [])

    def test_before_the_start(self) -> None:
        """The service need not run for it."""
        service = self.service()
        service.subscribe("a", self.messages.append)
        service.publish("a", b"1")
        self.assertEqual(self.payloads(), [b"1"])


class ArgumentTests(ServiceTestCase):
    """What else the service can be told."""

    def test_observer(self) -> None:
        """An observer of one's own takes the place of the log."""
        self.client_of(self.running(observer=SilentObserver()), "a")
        self.assertEqual([line for line in self.lines() if "connected" in line], [])

    def test_trace(self) -> None:
        """`log_packets` writes every packet to the log."""
        self.client_of(self.running(log_packets=True), "a")
        self.assertEqual(len(self.lines("mqttwist.packets")), 2)

    def test_settings(self) -> None:
        """The settings are the broker's."""
        service = self.running(settings=Settings(receive_maximum=7))
        (connack,) = self.client_of(service).connect("a")
        self.assertIsInstance(connack, ConnAck)
        self.assertEqual(getattr(connack, "properties", Properties()).receive_maximum, 7)
