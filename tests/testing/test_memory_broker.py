"""The broker in memory: messages, time, and what a test does to its clients."""

from __future__ import annotations

from time import perf_counter
from unittest import TestResult as Result

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from mqttwist import ConnectRefused, NotDelivered, Received, Reconnecting
from mqttwist.broker.settings import Settings
from mqttwist.net.login import accept_local
from mqttwist.testing import MemoryBroker, MQTTTestCase, MQTTTestMixin

WEEK = 7 * 24 * 3600
AT_ONCE = Reconnecting(first=1.0, jitter=0.0)


class MessageTests(MQTTTestCase):
    def test_messages(self) -> None:
        """What clients and the broker publish is taken down in its order, with QoS and RETAIN."""
        self.broker.publish("a", b"1")
        self.broker.run(self.client("us").publish("a/b", b"2", qos=1, retain=True))
        found = [(one.topic_name, one.payload, one.qos, one.retain) for one in self.broker.messages]
        self.assertEqual(found, [("a", b"1", 0, False), ("a/b", b"2", 1, True)])
        self.assertEqual(self.broker.payloads("+/b"), [b"2"])

    def test_no_records(self) -> None:
        """A broker that keeps nothing tells a publisher that nobody has subscribed."""
        for records, reason_code in ((True, 0), (False, 0x10)):
            broker = MemoryBroker(records=records)
            published = broker.run(broker.connect("us").publish("a", b"1", qos=1))
            self.assertEqual(published.reason_code, reason_code)
            broker.close()

    def test_retained(self) -> None:
        """Retained messages can be looked at."""
        self.assertIsNone(self.broker.retained("a"))
        self.broker.publish("a", b"1", retain=True)
        self.assertEqual(self.broker.retained("a"), b"1")

    def test_to_clients(self) -> None:
        """What the broker publishes has arrived, in what was subscribed to, when that returns."""
        got: list[bytes] = []
        self.client("us").call_for("a", lambda received: got.append(received.payload))
        self.broker.publish("a", b"1", qos=2)
        self.assertEqual(got, [b"1"])

    def test_login(self) -> None:
        """A login may refuse, by the address of the client."""
        self.broker.close()
        broker = MemoryBroker(login=accept_local)
        far = broker.connect("far", where=broker.endpoint("192.0.2.7"))
        near = broker.connect("near")
        self.assertEqual(broker.client_ids, ["near"])
        self.assertTrue(near.is_connected)
        error = self.failureResultOf(far.ready(), ConnectRefused).value
        self.assertEqual(error.reason_code, 0x87)
        broker.close()

    def test_foreign_client(self) -> None:
        """Any Twisted protocol can be connected: the endpoint is one like others."""
        from twisted.internet.protocol import Factory, Protocol

        got: list[bytes] = []

        class Raw(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00")  # type: ignore[union-attr]

            def dataReceived(self, data: bytes) -> None:
                got.append(data)

        self.broker.endpoint().connect(Factory.forProtocol(Raw))
        self.broker.settle()
        self.assertEqual(got, [b"\x20\x02\x00\x00"])


class TimeTests(MQTTTestCase):
    def test_session_expiry(self) -> None:
        """A session ends a week after its client has left, not a second before, and in no time."""
        client = self.client("us", session_expiry_interval=WEEK)
        self.broker.run(client.stopService())
        before = perf_counter()
        self.broker.advance(WEEK - 1)
        self.assertEqual(len(self.broker.broker.sessions), 1)
        self.broker.advance(2)
        self.assertEqual(len(self.broker.broker.sessions), 0)
        self.assertLess(perf_counter() - before, 1.0)

    def test_keep_alive(self) -> None:
        """A connected client lives through hours: its PINGREQ comes when it is due [MQTT-3.1.2-20]."""
        client = self.client("us", keep_alive=60)
        self.broker.advance(2 * 3600)
        self.assertEqual((client.is_connected, client.stats.connections), (True, 1))
        self.assertGreaterEqual(client.core.metrics.others_sent, 118)

    def test_own_calls(self) -> None:
        """What the program has to do at some time is done at that time, each time."""
        times: list[float] = []
        loop = LoopingCall(lambda: times.append(self.broker.clock.seconds()))
        loop.clock = self.broker.clock
        loop.start(7.0, now=False)
        self.broker.clock.callLater(10.5, lambda: times.append(-self.broker.clock.seconds()))
        self.broker.advance(22)
        loop.stop()
        self.assertEqual(times, [7.0, -10.5, 14.0, 21.0])

    def test_advance_exactly(self) -> None:
        """The clock stands where it was told to go."""
        self.broker.advance(12.25)
        self.assertEqual(self.broker.clock.seconds(), 12.25)

    def test_run(self) -> None:
        """A coroutine gets the time it takes; what it raises comes out, and so does taking too long."""

        async def program() -> str:
            pause: Deferred[None] = Deferred()
            self.broker.clock.callLater(50, pause.callback, None)
            await pause
            return "done"

        async def fails() -> None:
            raise KeyError("x")

        self.assertEqual(self.broker.run(program()), "done")
        self.assertEqual(self.broker.clock.seconds(), 50)
        self.assertRaises(KeyError, self.broker.run, fails())
        self.assertRaises(AssertionError, self.broker.run, program(), within=49)
        self.broker.advance(1)

    def test_endless(self) -> None:
        """Something that goes on for ever without time passing is told, and does not hang the test."""

        def again() -> None:
            if self.goes_on:
                self.broker.clock.callLater(0, again)

        self.goes_on = True
        again()
        self.assertRaises(AssertionError, self.broker.settle)
        self.goes_on = False


class TroubleTests(MQTTTestCase):
    def test_kick(self) -> None:
        """A client that is sent away hears the Reason Code."""
        client = self.client("us", reconnecting=AT_ONCE)
        self.broker.kick("us", 0x98)
        self.assertIn("0x98", str(client.last_error))
        self.broker.advance(10)
        self.assertTrue(client.is_connected)
        self.assertRaises(ValueError, self.broker.kick, "nobody")

    def test_refuse(self) -> None:
        """So many clients are refused; the next one is not."""
        self.broker.refuse(0x88, times=2)
        client = self.client("us", reconnecting=AT_ONCE)
        self.broker.advance(60)
        self.assertEqual((client.is_connected, client.stats.refused_connections), (True, 2))

    def test_restart(self) -> None:
        """A broker comes back with its sessions and retained messages, or without them."""
        client = self.client("us", session_expiry_interval=WEEK, reconnecting=AT_ONCE)
        self.broker.publish("a", b"1", retain=True)
        self.broker.restart()
        self.broker.advance(2)
        self.assertTrue(client.connack is not None and client.connack.session_present)
        self.assertEqual(self.broker.retained("a"), b"1")
        self.broker.restart(keep=False)
        self.broker.advance(5)
        self.assertFalse(client.connack is None or client.connack.session_present)
        self.assertIsNone(self.broker.retained("a"))
        self.assertEqual(client.stats.sessions_lost, 1)

    def test_stopped(self) -> None:
        """While the broker is stopped, nobody can connect."""
        endpoint = self.broker.endpoint()
        client = self.client("us", where=endpoint, reconnecting=AT_ONCE)
        self.broker.stop(abruptly=True)
        self.broker.advance(8)
        self.assertFalse(client.is_connected)
        self.assertGreater(endpoint.attempts, 2)
        self.broker.start()
        self.broker.advance(10)
        self.assertTrue(client.is_connected)

    def test_will(self) -> None:
        """A connection that breaks sends the Will (3.1.2.5)."""
        from mqttwist import Will

        self.client("us", will=Will("us/state", b"gone"))
        self.broker.cut()
        self.assertEqual(self.broker.payloads("us/state"), [b"gone"])

    def test_settings(self) -> None:
        """The limits of the broker can be chosen."""
        self.broker.close()
        broker = MemoryBroker(settings=Settings(maximum_qos=1))
        client = broker.connect("us")
        self.assertEqual(client.connack and client.connack.properties.maximum_qos, 1)
        broker.close()

    def test_close(self) -> None:
        """When all is closed nothing is left on the clock, and publishes that wait have failed."""
        client = self.client("us")
        self.broker.lines[0].mute()
        waiting = client.publish("a", b"1", qos=1)
        self.broker.close()
        self.failureResultOf(waiting, NotDelivered)
        self.assertEqual(self.broker.clock.getDelayedCalls(), [])


class OtherCases(SynchronousTestCase):
    def test_mixin(self) -> None:
        """The mixin goes before any TestCase, and `make_broker` chooses the broker."""
        made: list[MemoryBroker] = []

        class Inner(MQTTTestMixin, SynchronousTestCase):
            def make_broker(self) -> MemoryBroker:
                made.append(MemoryBroker(settings=Settings(maximum_qos=1)))
                return made[-1]

            def test_it(self) -> None:
                got: list[Received] = []
                self.client("us").call_for("a", got.append)

        result = Result()
        Inner("test_it").run(result)
        self.assertTrue(result.wasSuccessful())
        self.assertFalse(made[0].is_running)
        self.assertEqual(made[0].clock.getDelayedCalls(), [])
