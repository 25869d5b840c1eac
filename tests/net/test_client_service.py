"""The client as a service: it starts, stays connected, says so in the log, and stops; its Keep Alive."""

from __future__ import annotations

from twisted.application.service import MultiService
from twisted.logger import formatEvent

from mqttwist import ClientError, ConnectionEnded, MQTTClient, NotDelivered, Reconnecting, Will
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from tests.front.rig import SECOND, ClientTestCase


class StartTests(ClientTestCase):
    def test_ready(self) -> None:
        """`ready` fires with CONNACK: of the connection that there is, or of the next one."""
        client = self.broker.client("us")
        waiting = client.ready()
        self.broker.advance(5)
        self.assertNoResult(waiting)
        client.startService()
        self.broker.settle()
        connack = self.successResultOf(waiting)
        self.assertIs(self.successResultOf(client.ready()), connack)
        self.assertEqual((client.is_connected, client.connack), (True, connack))

    def test_twice(self) -> None:
        """To start twice is to start once."""
        client = self.client("us")
        client.startService()
        self.broker.advance(60)
        self.assertEqual(client.stats.connections, 1)

    def test_parent(self) -> None:
        """It is a service like others, with a parent that starts and stops it."""
        parent = MultiService()
        client = MQTTClient(self.broker.endpoint(), client_id="us", reactor=self.broker.clock)
        client.setServiceParent(parent)  # type: ignore[no-untyped-call]
        parent.startService()
        self.broker.settle()
        self.assertEqual(self.broker.client_ids, ["us"])
        stopped = parent.stopService()
        self.broker.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.broker.client_ids, [])

    def test_async_with(self) -> None:
        """`async with` starts and stops it; leaving sends what waits."""

        async def program() -> None:
            async with self.broker.client("us") as client:
                await client.ready()
                for n in range(10):
                    client.publish("a", b"%d" % n, qos=2)

        self.broker.run(program())
        self.assertEqual((len(self.broker.messages), self.broker.client_ids), (10, []))

    def test_client_id_of_server(self) -> None:
        """The Server may give it a Client Identifier, which it keeps [MQTT-3.1.3-6]."""
        client, server = self.play("")
        server.accept(assigned_client_identifier="theirs")
        self.assertEqual(client.client_id, "theirs")
        server.hang_up()
        self.broker.advance(1)
        self.assertEqual(self.servers[-1].take()[0].client_id, "theirs")

    def test_bad_arguments(self) -> None:
        """What makes no sense is refused when the client is made."""
        for arguments in ({"version": 7}, {"keep_alive": 70_000}, {"when_full": "cry"}):
            with self.subTest(arguments=arguments):
                self.assertRaises(ValueError, self.broker.client, "us", **arguments)
        self.assertRaises(ValueError, MQTTClient, [], reactor=self.broker.clock)
        self.assertRaises(ValueError, MQTTClient, "http://broker", reactor=self.broker.clock)


class StopTests(ClientTestCase):
    def test_disconnect(self) -> None:
        """To stop is to send DISCONNECT, so that the Will is not sent [MQTT-3.14.4-3]."""
        client = self.client("us", will=Will("gone", b"x"))
        self.broker.run(client.stopService())
        self.assertEqual((self.broker.messages, self.broker.lines), ([], []))
        self.broker.stop()
        self.assertEqual(self.broker.clock.getDelayedCalls(), [])

    def test_never_started(self) -> None:
        """To stop what does not run is no error."""
        self.successResultOf(self.broker.client("us").stopService())

    def test_flush(self) -> None:
        """It waits for what is not confirmed, and says goodbye then."""
        client, server = self.accepted()
        waiting = client.publish("a", b"x", qos=1)
        stopped = client.stopService()
        (publish,) = server.take()
        self.assertNoResult(stopped)
        server.send(PubAck(publish.packet_id))
        self.successResultOf(waiting)
        self.assertEqual(server.take(), [Disconnect()])
        self.broker.advance(6)
        self.successResultOf(stopped)

    def test_flush_timeout(self) -> None:
        """But not longer than it was told: then what waits fails."""
        client, server = self.accepted()
        waiting = client.publish("a", b"x", qos=1)
        stopped = client.stopService(timeout=3)
        server.take()
        self.broker.advance(2.9)
        self.assertEqual(server.take(), [])
        self.broker.advance(0.1)
        self.assertEqual(server.take(), [Disconnect()])
        self.broker.advance(6)
        self.successResultOf(stopped)
        self.assertTrue(self.failureResultOf(waiting, NotDelivered).value.maybe)

    def test_mute_server(self) -> None:
        """A Server that does not close its side is left after a while."""
        client = self.client("us")
        self.broker.lines[0].mute()
        stopped = client.stopService()
        self.broker.advance(4.9)
        self.assertNoResult(stopped)
        self.broker.advance(0.2)
        self.successResultOf(stopped)

    def test_while_connecting(self) -> None:
        """It can be stopped while the transport is made, which then is not."""
        for delay in (None, 5.0):
            with self.subTest(delay=delay):
                endpoint = self.broker.endpoint()
                endpoint.delay = delay
                client = self.client("us", where=endpoint)
                ready = client.ready()
                self.successResultOf(client.stopService())
                self.failureResultOf(ready, ConnectionEnded)
                self.broker.advance(60)
                self.assertEqual((endpoint.attempts, self.broker.client_ids), (1, []))
        self.assertEqual([line for line in self.lines() if "Cannot connect" in line], [])

    def test_before_connack(self) -> None:
        """It can be stopped while CONNACK is waited for."""
        client, server = self.play()
        stopped = client.stopService()
        self.broker.advance(6)
        self.successResultOf(stopped)
        self.assertTrue(server.is_lost)

    def test_while_waiting(self) -> None:
        """It can be stopped between two attempts."""
        endpoint = self.broker.endpoint()
        endpoint.refuses = True
        client = self.client("us", where=endpoint)
        self.successResultOf(client.stopService())
        self.broker.advance(600)
        self.assertEqual(endpoint.attempts, 1)

    def test_stop_twice(self) -> None:
        """Whoever stops it while it stops is told when it has stopped, not before."""
        client, _ = self.accepted()
        client.publish("a", b"x", qos=1).addErrback(lambda failure: None)
        first, second = client.stopService(), client.stopService()
        self.assertNoResult(second)
        self.broker.advance(20)
        self.successResultOf(first)
        self.successResultOf(second)

    def test_waiting_for_a_start(self) -> None:
        """To stop a client that never ran fails what waits: nothing will come of it."""
        client = self.broker.client("us")
        published, ready = client.publish("a", b"x", qos=1), client.ready()
        self.successResultOf(client.stopService())
        self.assertIn("the client has stopped", str(self.failureResultOf(published, NotDelivered).value))
        self.failureResultOf(ready)

    def test_start_again(self) -> None:
        """It can be started again, with the subscriptions that it had."""
        got: list[bytes] = []
        client = self.client("us")
        client.call_for("a", lambda received: got.append(received.payload))
        for _ in range(2):
            self.broker.run(client.stopService())
            self.broker.publish("a", b"lost")
            client.startService()
            self.broker.publish("a", b"x")
        self.assertEqual((got, client.stats.connections), ([b"x", b"x"], 3))

    def test_start_while_it_stops(self) -> None:
        """Started while it stops, it stops, and starts then."""
        client = self.client("us")
        self.broker.lines[0].mute()
        stopped = client.stopService()
        client.startService()
        self.broker.advance(6)
        self.successResultOf(stopped)
        self.assertTrue(client.is_connected)
        self.assertEqual(client.stats.connections, 2)
        waiting = client.publish("a", b"x", qos=1)
        self.broker.settle()
        self.successResultOf(waiting)

    def test_given_up_for_good(self) -> None:
        """What has failed because the client was stopped is not sent when it is started again."""
        endpoint = self.broker.endpoint()
        endpoint.refuses = True
        client = self.client("us", where=endpoint)
        waiting = client.publish("a", b"x", qos=1)
        self.broker.run(client.stopService())
        self.assertFalse(self.failureResultOf(waiting, NotDelivered).value.maybe)
        endpoint.refuses = False
        client.startService()
        self.broker.settle()
        self.assertEqual((client.is_connected, self.broker.messages), (True, []))


class KeepAliveTests(ClientTestCase):
    def test_pingreq(self) -> None:
        """PINGREQ goes out before nothing else was sent for as long as Keep Alive says [MQTT-3.1.2-20]."""
        client, server = self.accepted(keep_alive=10)
        self.broker.advance(7)
        self.assertEqual(server.take(), [])
        client.publish("a", b"x")
        self.broker.advance(7)
        self.assertEqual(len(server.take()), 1)
        self.broker.advance(3)
        self.assertEqual(server.take(), [PingReq()])
        server.send(PingResp())
        self.broker.advance(25)
        self.assertTrue(client.is_connected)

    def test_keep_alive_of_server(self) -> None:
        """The Server's Keep Alive counts [MQTT-3.1.2-21]."""
        _, server = self.play(keep_alive=60)
        server.accept(server_keep_alive=5)
        self.broker.advance(6)
        self.assertEqual(server.take(), [PingReq()])

    def test_silent_server(self) -> None:
        """A Server that does not answer is taken for gone, and the client connects anew."""
        client, server = self.accepted(keep_alive=10, ping_timeout=20)
        ends: list[ClientError] = []
        client.on_disconnected = ends.append
        self.broker.advance(27)
        self.assertTrue(client.is_connected)
        self.broker.advance(2)
        self.assertFalse(client.is_connected)
        self.assertEqual([str(one) for one in ends], ["the Server has not answered PINGREQ for 20 s"])
        self.broker.advance(7)
        self.assertTrue(server.is_lost)
        self.assertEqual(len(self.servers), 2)

    def test_no_connack(self) -> None:
        """A Server that does not answer CONNECT is left after `connect_timeout`."""
        _, server = self.play(connect_timeout=7)
        self.broker.advance(6)
        self.assertFalse(server.is_lost)
        self.broker.advance(8)
        self.assertTrue(server.is_lost)
        self.assertTrue(any("no CONNACK within 7 s" in line for line in self.lines()))
        self.assertGreater(len(self.servers), 1)

    def test_no_keep_alive(self) -> None:
        """With 0 there is none."""
        client, server = self.accepted(keep_alive=0)
        self.broker.advance(86_400)
        self.assertEqual((server.take(), client.is_connected), ([], True))

    def test_resent_in_3(self) -> None:
        """In MQTT 3.1.1 what is not confirmed for a while is sent again, with DUP; in 5.0 it is not."""
        for version, expected in (("3.1.1", [True]), (5, [])):
            client, server = self.accepted(version=version, retry_interval=20)
            client.publish("a", b"x", qos=1).addErrback(lambda failure: None)
            server.take()
            self.broker.advance(21)
            self.assertEqual([one.dup for one in server.take()], expected)


class LogTests(ClientTestCase):
    def test_lines(self) -> None:
        """The log says who has connected where, why it has ended, and when the next attempt is."""
        self.client("us", reconnecting=Reconnecting(first=7.0, jitter=0.0))
        self.broker.cut()
        connected, ended, again = self.lines()
        self.assertEqual(
            connected, "'us' connected to 127.0.0.1:1883: MQTT 5.0, new session, keep alive 60 s"
        )
        self.assertTrue(ended.startswith("'us' disconnected from 127.0.0.1:1883: "), ended)
        self.assertEqual(again, "'us' tries again in 7.0 s")
        retries = [line for line in map(formatEvent, self.events) if "retry" in line]
        self.assertEqual(retries, ["Scheduling retry 1 to connect the Server of 'us' in 7.0 seconds."])

    def test_cannot_connect(self) -> None:
        """It says where no connection could be made, and why."""
        endpoint = self.broker.endpoint()
        endpoint.refuses = True
        self.client("us", where=endpoint, reconnecting=SECOND)
        self.assertEqual(
            self.lines(),
            [
                "Cannot connect to memory: ConnectionRefusedError: Connection was refused by other side.",
                "'us' tries again in 1.0 s",
            ],
        )

    def test_stats(self) -> None:
        """Counters are plain integers."""
        client = self.client("us", reconnecting=SECOND)
        self.broker.refuse(0x88)
        self.broker.cut()
        self.broker.advance(60)
        stats = client.stats
        self.assertEqual((stats.connections, stats.refused_connections, stats.sessions_lost), (2, 1, 0))
