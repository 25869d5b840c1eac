"""The server protocol: bytes both ways, the ways of closing, a transport that is full, and bugs."""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import INegotiated, IPushProducer
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.haproxy._wrapper import HAProxyWrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import directlyProvides
from zope.interface.verify import verifyObject

from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.doors import SilentObserver
from mqttwist.broker.settings import Settings
from mqttwist.net.auth import FullAuthority, make_portal
from mqttwist.net.core_protocol import LINGER
from mqttwist.net.protocol import MQTTServerFactory, MQTTServerProtocol
from mqttwist.session.connection import PUMP_LIMIT
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.net.clients import FAR, LOCAL, Client, ShellTestCase, TCPTransport


class BytesTests(ShellTestCase):
    """From the transport to the core and back."""

    def test_nothing_is_sent_unasked(self) -> None:
        """A Server says nothing before CONNECT [MQTT-3.1.0-1]."""
        client = self.client()
        self.assertEqual(client.take(), [])

    def test_small_packets_go_at_once(self) -> None:
        """TCP_NODELAY is set: an acknowledgement does not wait for company."""
        self.assertEqual(self.client().transport.calls, ["setTcpNoDelay True"])

    def test_a_transport_without_no_delay(self) -> None:
        """A transport that knows no TCP_NODELAY serves too."""
        client = Client(self.factory, StringTransport(peerAddress=UNIXAddress(None)))
        self.assertIsInstance(client.connect("a")[0], ConnAck)

    def test_answer(self) -> None:
        """CONNECT is answered by CONNACK, PINGREQ by PINGRESP."""
        client = self.connected("a")
        client.send(PingReq())
        self.assertEqual(client.take(), [PingResp()])

    def test_one_write_for_one_read(self) -> None:
        """Several packets in one read are answered by one write."""
        client = self.client()
        client.send(Connect("a"), PingReq(), PingReq())
        self.assertEqual(client.transport.writes, 1)
        self.assertEqual(client.take()[1:], [PingResp(), PingResp()])

    def test_byte_by_byte(self) -> None:
        """It does not matter how the stream is cut."""
        client = self.client()
        for byte in Connect("a").encode() + PingReq().encode(5):
            client.send_bytes(bytes((byte,)))
        self.assertEqual(client.take()[1:], [PingResp()])

    def test_clients_meet(self) -> None:
        """What one client publishes, another gets."""
        subscriber, publisher = self.connected("subscriber"), self.connected("publisher")
        subscriber.subscribe("a/#")
        publisher.send(Publish("a/b", b"hello"))
        self.assertEqual(subscriber.payloads, [b"hello"])

    def test_data_before_the_connection(self) -> None:
        """Data that comes when the connection is over is not looked at."""
        client = self.connected("a")
        client.hang_up()
        client.send(PingReq())
        self.assertEqual(client.take(), [])


class PeerTests(ShellTestCase):
    """Where a client is."""

    def peer_of(self, client: Client) -> str:
        client.connect("a")
        (connection,) = self.broker.sessions.connections()
        return connection.peer

    def test_address(self) -> None:
        """The core knows the peer by host and port."""
        self.assertEqual(self.peer_of(self.client(FAR)), "192.0.2.7:50123")

    def test_behind_a_proxy(self) -> None:
        """Behind a proxy that tells it in a PROXY header, the peer is the client, not the proxy."""
        client = Client(HAProxyWrappingFactory(self.factory), TCPTransport(LOCAL))
        client.send_bytes(b"PROXY TCP4 203.0.113.9 127.0.0.1 40000 1883\r\n")
        self.assertEqual(self.peer_of(client), "203.0.113.9:40000")
        address = client.protocol.wrappedProtocol.address
        self.assertEqual(address, IPv4Address("TCP", "203.0.113.9", 40000))


class ClosingTests(ShellTestCase):
    """How the server closes a connection."""

    def sent_away(self, transport: Any = None) -> Client:
        """A client whose session another one has taken over."""
        client = Client(self.factory, transport)
        client.connect("a")
        self.connected("a")
        return client

    def test_disconnect_comes_before_the_close(self) -> None:
        """DISCONNECT 0x8E is written, and then only our half of the connection closed [MQTT-3.1.4-3]."""
        client = self.sent_away()
        (packet,) = client.take()
        self.assertIsInstance(packet, Disconnect)
        self.assertEqual(getattr(packet, "reason_code", 0), ReasonCode.SESSION_TAKEN_OVER)
        self.assertEqual(client.transport.calls[1:], ["loseWriteConnection"])

    def test_version_3(self) -> None:
        """A 3.1.1 client can't be told, it is closed without a word."""
        client = self.connected("a", version=4)
        self.connected("a")
        self.assertEqual(client.take(), [])
        self.assertEqual(client.transport.calls[1:], ["loseWriteConnection"])

    def test_what_still_comes_is_thrown_away(self) -> None:
        """What the client sends after our DISCONNECT is read, so that no reset overtakes it, and dropped."""
        client = self.sent_away()
        client.take()
        self.assertEqual(client.transport.producerState, "producing")
        client.send(PingReq())
        self.assertEqual(client.take(), [])

    def test_client_closes_too(self) -> None:
        """When the client closes its half, the connection is over and no timer is left."""
        client = self.sent_away()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        client.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_stays(self) -> None:
        """A client that does not close its half has so long, and is cut off then."""
        client = self.sent_away()
        self.clock.advance(LINGER - 0.1)
        self.assertNotIn("abortConnection", client.transport.calls)
        self.clock.advance(0.1)
        self.assertEqual(client.transport.calls[-1], "abortConnection")
        client.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_transport_that_can_not_be_aborted(self) -> None:
        """Where there is no way to abort, closing it has to do."""
        calls: list[str] = []

        class Plain(StringTransport):
            def __getattribute__(self, name: str) -> Any:
                if name == "abortConnection":
                    raise AttributeError(name)
                return super().__getattribute__(name)

            def loseConnection(self) -> None:
                calls.append("loseConnection")

        self.sent_away(Plain(peerAddress=LOCAL))
        self.assertEqual(calls, ["loseConnection"])
        self.clock.advance(LINGER)
        self.assertEqual(calls, ["loseConnection"] * 2)

    def test_transport_without_halves(self) -> None:
        """A transport that can't close one half is closed as a whole."""
        client = self.sent_away(StringTransport(peerAddress=LOCAL))
        self.assertTrue(client.transport.disconnecting)
        self.assertIsInstance(client.take()[0], Disconnect)

    def test_tls_is_closed_by_its_own_means(self) -> None:
        """Under TLS, half of the TCP connection below must not be closed: TLS says goodbye itself."""
        transport = TCPTransport()
        directlyProvides(transport, INegotiated)
        client = self.sent_away(transport)
        self.assertEqual(client.transport.calls[1:], ["loseConnection"])

    def test_no_producer_is_left(self) -> None:
        """Twisted waits for a producer before it closes, so the protocol is none any more."""
        client = self.sent_away()
        self.assertIsNone(client.transport.producer)
        client.hang_up()

    def test_no_producer_is_left_behind(self) -> None:
        """Nor is it one when the client went away by itself: a TLS transport would keep it in memory."""
        client = self.connected("a")
        client.hang_up()
        self.assertIsNone(client.transport.producer)

    def test_client_is_gone_already(self) -> None:
        """When the client went away by itself, nothing is closed and no timer is started."""
        client = self.connected("a")
        client.hang_up()
        self.assertEqual(client.transport.calls[1:], [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cause(self) -> None:
        """The log tells a close without DISCONNECT from a broken line."""
        self.connected("a").hang_up()
        self.connected("b").hang_up(ConnectionLost("cable cut"))
        ends = [line for line in self.lines() if "disconnected" in line]
        self.assertIn("closed by the client without DISCONNECT", ends[0])
        self.assertIn("cable cut", ends[1])


class FullTransportTests(ShellTestCase):
    """A client that reads too slowly."""

    def setUp(self) -> None:
        super().setUp()
        self.slow, self.publisher = self.connected("slow"), self.connected("publisher")
        self.slow.subscribe("#", 1)

    def test_producer(self) -> None:
        """The protocol is its transport's producer, and one that pushes."""
        transport = self.slow.transport
        verifyObject(IPushProducer, transport.producer)
        self.assertIs(transport.producer, self.slow.protocol)
        self.assertTrue(transport.streaming)

    def test_wait_and_go_on(self) -> None:
        """While the transport is full nothing is written; when it has room, all comes in its order."""
        self.slow.transport.full_at = 0
        for number in (b"1", b"2", b"3"):
            self.publisher.send(Publish("a", number, 1, packet_id=1))
        self.assertEqual(self.slow.payloads, [b"1"])
        self.slow.transport.full_at = None
        self.slow.transport.producer.resumeProducing()
        self.assertEqual(self.slow.payloads, [b"2", b"3"])

    def test_others_are_not_held_up(self) -> None:
        """A subscriber that reads slowly slows neither the publisher nor the other subscribers."""
        other = self.connected("other")
        other.subscribe("#", 0)
        self.slow.protocol.pauseProducing()
        self.publisher.send(Publish("a", b"1", 1, packet_id=1))
        self.assertEqual(other.payloads, [b"1"])
        self.assertEqual(len(self.publisher.take()), 1)

    def away_with_a_queue(self, client_id: str) -> int:
        """Three pieces and a bit wait for a client that has gone; how many messages that is."""
        away = self.connected(client_id, clean_start=False, properties=Properties(session_expiry_interval=9))
        away.subscribe(f"for/{client_id}", 1)
        away.send(Disconnect())
        messages = 3 * PUMP_LIMIT // 10_000 + 5
        for number in range(messages):
            payload = b"%04d" % number + bytes(10_000)
            self.publisher.send(Publish(f"for/{client_id}", payload, 1, packet_id=1))
        return messages

    def back(self, client_id: str) -> Client:
        client = self.client()
        client.send(Connect(client_id, 5, False, properties=Properties(session_expiry_interval=9)))
        return client

    def test_a_long_queue_is_sent_in_turns(self) -> None:
        """What waits for one client is sent a piece at a time: between the pieces others are served."""
        messages = self.away_with_a_queue("away")
        back, other = self.back("away"), self.connected("other")
        self.assertLess(len(back.transport.value()), 2 * PUMP_LIMIT)
        other.send(PingReq())
        self.assertEqual(other.take(), [PingResp()])
        self.assertLess(len(back.transport.value()), 2 * PUMP_LIMIT)
        self.clock.advance(0)  # the reactor's next rounds
        self.assertEqual([int(payload[:4]) for payload in back.payloads], list(range(messages)))

    def test_a_bug_in_one_long_queue(self) -> None:
        """When to go on with one client fails, the error is logged and the others get what waits for them."""
        messages = [self.away_with_a_queue(client_id) for client_id in ("a", "b", "c")]
        clients = [self.back(client_id) for client_id in ("a", "b", "c")]

        def broken(data: bytes) -> None:
            raise RuntimeError("seeded")

        clients[1].protocol.write = broken
        self.clock.advance(0)
        self.assertGreater(len(self.flushLoggedErrors(RuntimeError)), 0)
        for client in (clients[0], clients[2]):
            self.assertEqual(len(client.payloads), messages[0])

    def test_full_and_closed(self) -> None:
        """What is held when the connection is closed is written before: DISCONNECT comes last."""
        self.slow.protocol.pauseProducing()
        self.publisher.send(Publish("a", b"1"))
        self.connected("slow")
        packets = self.slow.take()
        self.assertEqual([type(packet) for packet in packets], [Publish, Disconnect])

    def test_reading(self) -> None:
        """The core stops and goes on reading through the protocol."""
        self.slow.protocol.pause_reading()
        self.assertEqual(self.slow.transport.producerState, "paused")
        self.slow.protocol.resume_reading()
        self.assertEqual(self.slow.transport.producerState, "producing")

    def test_after_the_end(self) -> None:
        """A transport that still calls its producer when all is over does no harm."""
        self.slow.hang_up()
        self.slow.protocol.pauseProducing()
        self.slow.protocol.resumeProducing()
        self.slow.protocol.stopProducing()
        self.assertEqual(self.slow.take(), [])


class Broken(FullAuthority):
    """An authority with a bug."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        raise ZeroDivisionError("a bug")


class BugTests(ShellTestCase):
    """The broker itself fails."""

    def setUp(self) -> None:
        super().setUp()
        self.set_up_broker(lambda connection, connect: connection.accept(Broken()))
        self.victim, self.other = self.connected("victim"), self.connected("other")
        self.events.clear()

    def check_report(self, text: str) -> None:
        """The one traceback in the log comes with `text`."""
        (event,) = self.tracebacks()
        self.assertEqual(self.lines()[0], f"critical: {text}")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(event["log_namespace"], "mqttwist.broker")

    def test_while_reading(self) -> None:
        """A bug on the way of a packet: the traceback is logged and that connection is cut without a word."""
        self.victim.send(Publish("a", b"1", 1, packet_id=1))
        self.check_report("Error in the broker while serving 127.0.0.1:50001; its connection is closed")
        self.assertEqual(self.victim.transport.calls[-1], "abortConnection")
        self.assertEqual(self.victim.take(), [])

    def test_others_live(self) -> None:
        """The other connections go on."""
        self.victim.send(Publish("a", b"1"))
        self.victim.hang_up(ConnectionLost())
        self.flushLoggedErrors(ZeroDivisionError)
        self.other.send(PingReq())
        self.assertEqual(self.other.take(), [PingResp()])
        self.assertEqual(self.broker.connection_count, 1)

    def test_session_ends(self) -> None:
        """The core takes the client for gone at once: its will goes out, and its session ends with it."""
        self.patch(Broken, "may_publish", lambda authority, topic, qos, retain: topic == "last" or 1 // 0)
        willing = self.connected("willing", will=Will("last", b"words"))
        self.other.subscribe("last")
        willing.send(Publish("a", b"1"))
        self.assertEqual(self.other.payloads, [b"words"])
        self.assertEqual(self.broker.sessions.connected, 2)
        line = "info: 'willing' disconnected from 127.0.0.1:50001: error in the broker"
        self.assertIn(line, self.lines())
        self.flushLoggedErrors(ZeroDivisionError)
        self.clock.advance(LINGER)
        willing.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_what_others_were_to_get(self) -> None:
        """What was on its way to other clients when it happened goes out in the same turn."""
        self.other.subscribe("good")
        self.patch(Broken, "may_publish", lambda authority, topic, qos, retain: topic == "good" or 1 // 0)
        self.victim.send(Publish("good", b"1"), Publish("bad", b"2"))
        self.assertEqual(self.other.payloads, [b"1"])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_second_bug(self) -> None:
        """A bug in the farewell as well is logged; others still get what was sent before it."""

        def lost(*arguments: object) -> None:
            self.broker.router.publish(Message.create("good", b"2"), None)
            raise ZeroDivisionError("a bug")

        self.patch(ServerConnection, "lost", lost)
        self.other.subscribe("good")
        self.patch(Broken, "may_publish", lambda authority, topic, qos, retain: topic == "good" or 1 // 0)
        self.victim.send(Publish("good", b"1"), Publish("bad"))
        self.assertEqual(self.victim.transport.calls[-1], "abortConnection")
        self.assertEqual(self.other.payloads, [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_while_writing(self) -> None:
        """A bug when the transport has room again ends the same way."""
        self.patch(ServerConnection, "transport_ready", self.fail_with_a_bug)
        self.victim.protocol.resumeProducing()
        self.check_report("Error in the broker while serving 127.0.0.1:50001; its connection is closed")
        self.assertEqual(self.victim.transport.calls[-1], "abortConnection")

    def test_while_the_client_goes(self) -> None:
        """A bug at the end of a connection is logged, and the factory does not wait for it."""
        self.patch(ServerConnection, "lost", self.fail_with_a_bug)
        self.other.hang_up()
        self.victim.hang_up()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.successResultOf(self.factory.when_none_is_left())

    def fail_with_a_bug(self, *arguments: object) -> None:
        raise ZeroDivisionError("a bug")


class FactoryTests(ShellTestCase):
    """The factory knows which transports are there."""

    def test_no_client(self) -> None:
        """Without clients there is nothing to wait for."""
        self.assertIsNone(self.successResultOf(self.factory.when_none_is_left()))

    def test_last_client(self) -> None:
        """Whoever waits is told when the last transport is gone, and the broker knows of that by then."""
        first, second = self.client(), self.connected("b")
        waiting = [self.factory.when_none_is_left(), self.factory.when_none_is_left()]
        first.hang_up()
        self.assertNoResult(waiting[0])
        waiting[0].addCallback(lambda _: self.broker.connection_count)
        second.hang_up()
        self.assertEqual(self.successResultOf(waiting[0]), 0)
        self.assertIsNone(self.successResultOf(waiting[1]))

    def test_a_client_that_lingers_counts(self) -> None:
        """A transport is there as long as the client has not closed its half."""
        client = self.connected("a")
        self.broker.shut_down()
        waiting = self.factory.when_none_is_left()
        self.assertNoResult(waiting)
        client.hang_up()
        self.successResultOf(waiting)

    def test_protocol_that_never_connects(self) -> None:
        """A protocol whose transport was never made is not waited for."""
        protocol = self.factory.buildProtocol(LOCAL)
        self.assertIsInstance(protocol, MQTTServerProtocol)
        self.successResultOf(self.factory.when_none_is_left())

    def test_quiet(self) -> None:
        """The factory itself writes no line for each port."""
        self.assertFalse(self.factory.noisy)


class GarbageTests(ShellTestCase):
    """What a connection leaves behind: nothing."""

    def remains(self, client: Client, end: Any) -> list[Any]:
        """What is still there of a client's connection after `end(client)`, without a garbage collection."""
        connection = client.protocol._connection
        left = [weakref.ref(client.protocol), weakref.ref(client.transport)]
        alive = id(connection)
        gc.collect()
        gc.disable()
        try:
            end(client)
            client.transport.protocol = None
            del client.protocol, client.transport, connection
            found = [one() for one in left if one() is not None]
            found += [
                one for one in gc.get_objects() if isinstance(one, ServerConnection) and id(one) == alive
            ]
        finally:
            gc.enable()
        return found

    def test_client_says_goodbye(self) -> None:
        """After DISCONNECT and the close nothing refers to the connection."""

        def end(client: Client) -> None:
            client.send(Disconnect())
            client.hang_up()

        self.assertEqual(self.remains(self.connected("a", keep_alive=60), end), [])

    def test_client_vanishes(self) -> None:
        """Nor after a broken line."""
        end = Client.hang_up
        self.assertEqual(self.remains(self.connected("a"), end), [])

    def test_never_connected(self) -> None:
        """Nor when CONNECT never came and the time was up."""

        def end(client: Client) -> None:
            self.clock.advance(11)
            self.broker.tick()
            self.clock.advance(LINGER)
            client.hang_up()

        self.assertEqual(self.remains(self.client(), end), [])

    def test_session_that_stays(self) -> None:
        """Nor when the session outlives its connection."""

        def end(client: Client) -> None:
            client.hang_up()

        client = self.connected("a", version=4, clean_start=False)
        client.subscribe("a/#", 1)
        self.assertEqual(self.remains(client, end), [])


class StandaloneFactoryTests(SynchronousTestCase):
    """A factory without a service is a whole broker: it logs in by its portal and keeps time."""

    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        checker = InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")
        self.factory = MQTTServerFactory(clock=self.clock, portal=make_portal([checker]))

    def test_portal(self) -> None:
        """Who logs in is asked of the portal."""
        client = Client(self.factory)
        self.assertEqual(client.connect("a", username="ann", password=b"secret")[0].reason_code, 0)  # type: ignore[union-attr]
        stranger = Client(self.factory)
        answer = stranger.connect("b", username="ann", password=b"guess")[0]
        self.assertEqual(answer.reason_code, ReasonCode.BAD_USER_NAME_OR_PASSWORD)  # type: ignore[union-attr]

    def test_arguments_that_would_be_ignored(self) -> None:
        """A broker has its own login, settings and so on, and two ways to log in are one too many."""
        broker = self.factory.broker
        portal = make_portal([])
        ignored: list[dict[str, Any]] = [
            {"portal": portal},
            {"login": accept_everybody},
            {"settings": Settings()},
            {"store": MemoryStore()},
            {"observer": SilentObserver()},
            {"log_packets": True},
        ]
        for arguments in ignored:
            with self.subTest(arguments=arguments):
                error = self.assertRaises(ValueError, MQTTServerFactory, broker, self.clock, **arguments)
                self.assertIn("give them to the broker", str(error))
        both: dict[str, Any] = {"portal": portal, "login": accept_everybody}
        error = self.assertRaises(ValueError, MQTTServerFactory, clock=self.clock, **both)
        self.assertIn("not both", str(error))

    def test_time_passes_while_a_port_is_open(self) -> None:
        """Timeouts work from the first port that listens until the last is closed."""
        self.factory.doStart()  # type: ignore[no-untyped-call]
        self.factory.doStart()  # type: ignore[no-untyped-call]
        client = Client(self.factory)
        self.factory.doStop()  # type: ignore[no-untyped-call]
        self.clock.pump([1.0] * 11)
        self.assertIn("loseWriteConnection", client.transport.calls)
        self.factory.doStop()  # type: ignore[no-untyped-call]
        self.clock.advance(LINGER)
        self.assertEqual(self.clock.getDelayedCalls(), [])
