"""The client for asyncio: connecting, publishing, subscribing, stopping."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from mqttwist.aio import Client
from mqttwist.client.errors import ConnectionEnded, ConnectRefused, NotDelivered, QueueFull
from mqttwist.client.outgoing import AT_ONCE_LIMIT
from mqttwist.client.received import Received
from mqttwist.front.request import NoResponse
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Disconnect
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import UnsubAck, Unsubscribe
from tests.aio.rig import AioTestCase, OnUvloop, Peer


class PublishTests(AioTestCase):
    async def test_every_qos(self) -> None:
        """A publish is done when it was written, confirmed by PUBACK, or by PUBCOMP (4.3)."""
        server = await self.server()
        async with self.client(server.where, keep_alive=7) as client:
            peer = await server.connection()
            self.assertEqual((await peer.accept()).keep_alive, 7)
            self.assertEqual((await client.publish("t", b"0")).packet_id, 0)
            one, two = client.publish("t", b"1", qos=1), client.publish("t", b"2", qos=2, retain=True)
            self.assertEqual(await peer.take(), Publish("t", b"0"))
            self.assertEqual(await peer.take(), Publish("t", b"1", 1, packet_id=1))
            self.assertEqual(await peer.take(), Publish("t", b"2", 2, packet_id=2, retain=True))
            peer.send(PubRec(2))
            self.assertEqual(await peer.take(), PubRel(2))
            self.assertFalse(one.done() or two.done())
            peer.send(PubAck(1, 0x10), PubComp(2))
            self.assertEqual((await one).reason_code, 0x10)
            self.assertEqual((await two).packet_id, 2)

    async def test_at_once(self) -> None:
        """At QoS 0 a publish is done when it returns, until so much gathers that it has to be written."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await server.accept()
            await client.ready()
            done = [client.publish("t", b"x").done() for _ in range(AT_ONCE_LIMIT + 1)]
            self.assertEqual(done, [*[True] * AT_ONCE_LIMIT, False])
            for _ in done:
                self.assertEqual((await peer.take()).payload, b"x")

    async def test_waits_for_a_connection(self) -> None:
        """What is published before the client has connected is sent then, in its order."""
        server = await self.server()
        client = self.client(server.where)
        waiting = [client.publish("t", b"%d" % number) for number in range(3)]
        async with client:
            peer = await server.accept()
            self.assertEqual([(await peer.take()).payload for _ in range(3)], [b"0", b"1", b"2"])
            await asyncio.gather(*waiting)

    async def test_cancelled(self) -> None:
        """A publish that is cancelled before it was sent is not sent; one that was sent goes on."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await server.connection()
            unsent = client.publish("t", b"unsent", qos=1)
            unsent.cancel()
            self.assertEqual(client.core.outgoing.unfinished, 0)
            await peer.accept()
            await client.ready()
            sent = asyncio.ensure_future(client.publish("t", b"sent", qos=1))
            self.assertEqual((await peer.take()).payload, b"sent")
            sent.cancel()
            self.assertEqual(client.core.outgoing.unfinished, 1)
            peer.send(PubAck(1))
            await client.flushed()

    async def test_timeout_takes_it_back(self) -> None:
        """`asyncio.timeout` around a publish takes the message back, too."""
        client = self.client("127.0.0.1:9")
        with self.assertRaises(TimeoutError):
            async with asyncio.timeout(0.001):
                await client.publish("t", b"x", qos=1)
        self.assertEqual(client.core.outgoing.unfinished, 0)

    async def test_deadline(self) -> None:
        """A message that was not confirmed in time fails, and says if the Server may have it."""
        server = await self.server()
        async with self.client(server.where) as client:
            offline = client.publish("t", b"1", qos=1, deadline=0.01)
            with self.assertRaises(NotDelivered) as caught:
                await offline
            self.assertFalse(caught.exception.maybe)
            peer = await server.accept()
            await client.ready()
            with self.assertRaises(NotDelivered) as caught:
                await client.publish("t", b"2", qos=1, deadline=0.01)
            self.assertTrue(caught.exception.maybe)
            self.assertEqual((await peer.take()).payload, b"2")
            peer.send(PubAck(1))

    async def test_queue_full(self) -> None:
        """A message that the queue has no room for fails."""
        client = self.client("127.0.0.1:9", queue_messages=1)
        first = client.publish("t", b"1", qos=1)
        with self.assertRaises(QueueFull):
            await client.publish("t", b"2", qos=1)
        first.cancel()

    async def test_back_pressure(self) -> None:
        """What a Server does not read waits here, bounded by the queue, and goes out when it reads on."""
        server = await self.server()
        async with self.client(server.where, queue_bytes=1 << 20) as client:
            peer = await server.accept()
            await client.ready()
            peer.writer.transport.pause_reading()  # type: ignore[attr-defined]
            connection = client.core.connection
            assert connection is not None
            sent = 0
            while not connection.blocked:
                await client.publish("t", bytes(65_536))
                sent += 1
            last = client.publish("t", b"last")
            self.assertEqual(client.core.outgoing.waiting.length, 1)
            peer.writer.transport.resume_reading()  # type: ignore[attr-defined]
            payloads = [(await peer.take()).payload for _ in range(sent + 1)]
            self.assertEqual(payloads, [bytes(65_536)] * sent + [b"last"])
            await last


class ConnectTests(AioTestCase):
    async def test_connects_again(self) -> None:
        """A client whose connection breaks makes another, and sends again what was not confirmed."""
        server = await self.server()
        told: list[str] = []
        client = self.client(server.where, session_expiry_interval=100)
        client.on_connected = lambda connack: told.append("connected")
        client.on_disconnected = lambda error: told.append(str(error))
        async with client:
            peer = await server.accept()
            waiting = client.publish("t", b"1", qos=1)
            await peer.take()
            peer.writer.transport.abort()
            peer = await server.accept(True)
            self.assertEqual(await peer.take(), Publish("t", b"1", 1, packet_id=1, dup=True))
            peer.send(PubAck(1))
            await waiting
        self.assertEqual((told[0], told[2]), ("connected", "connected"))
        self.assertEqual(told[3], "DISCONNECT by us")
        self.assertEqual(client.stats.connections, 2)

    async def test_several_servers(self) -> None:
        """A Server that can't be reached is followed by the next one of the list."""
        gone, server = await self.server(), await self.server()
        gone.close()
        async with self.client([gone.where, server.where]) as client:
            await server.accept()
            await client.ready()
        self.assertIn(f"Cannot connect to mqtt://{gone.where}: ConnectionRefusedError", self.log)

    async def test_older_version(self) -> None:
        """With "auto" a Server that does not know MQTT 5.0 is asked in MQTT 3.1.1."""
        server = await self.server()
        async with self.client(server.where, version="auto") as client:
            peer = await server.connection()
            await peer.take()
            peer.set_version(4)
            peer.send(ConnAck(False, 1))
            peer = await server.connection()
            connect: Connect = await peer.take()
            self.assertEqual(connect.version, 4)
            peer.send(ConnAck())
            await client.ready()

    async def test_refused(self) -> None:
        """What trying again does not mend ends the client: `ready` and `publish` say why."""
        server = await self.server()
        async with self.client(server.where) as client:
            ready, waiting = client.ready(), client.publish("t", b"1", qos=1)
            peer = await server.connection()
            await peer.take()
            peer.send(ConnAck(False, 0x87))
            with self.assertRaises(ConnectRefused):
                await ready
            for one in (waiting, client.publish("t", b"2")):
                with self.assertRaises(NotDelivered):
                    await one
            with self.assertRaises(ConnectRefused):
                await client.ready()
            self.assertEqual(await peer.ended(), [])

    async def test_redirected(self) -> None:
        """A client that follows redirects goes where the Server sends it (4.11)."""
        first, second = await self.server(), await self.server()
        client = Client(first.where, client_id="us", reconnecting=_redirects())
        async with client:
            peer = await first.connection()
            await peer.take()
            peer.send(ConnAck(False, 0x9C, Properties(server_reference=second.where)))
            await second.accept()
            await client.ready()

    async def test_start_again(self) -> None:
        """A client that has given up can be started without being stopped, at once or later."""
        server = await self.server()
        client = self.client(server.where)
        client.start()
        for is_at_once in (True, False):
            peer = await server.connection()
            await peer.take()
            peer.send(ConnAck(False, 0x85))
            with self.assertRaises(ConnectRefused):
                await client.ready()
            running = client._running
            assert running is not None
            if not is_at_once:
                peer.writer.close()
                await running
            client.start()
        peer = await server.accept()
        await client.ready()
        await client.stop()

    async def test_credentials(self) -> None:
        """User name and password are asked for before each attempt: values, functions, coroutines."""
        server = await self.server()
        tokens = iter(["one", "two"])

        async def password() -> str:
            await asyncio.sleep(0)
            return next(tokens)

        async with self.client(server.where, username=lambda: "me", password=password) as client:
            peer = await server.connection()
            connect: Connect = await peer.take()
            self.assertEqual((connect.username, connect.password), ("me", b"one"))
            peer.send(ConnAck(False, 0x86))  # which another password may mend
            peer = await server.connection()
            self.assertEqual((await peer.accept()).password, b"two")
            await client.ready()

    async def test_credentials_that_fail(self) -> None:
        """A function that does not know the password is an attempt that has failed; the next one follows."""
        server = await self.server()
        answers: Iterator[OSError | str] = iter([OSError("no vault"), "secret"])

        def password() -> str:
            answer = next(answers)
            if isinstance(answer, OSError):
                raise answer
            return answer

        async with self.client(server.where, username="me", password=password):
            self.assertEqual((await (await server.connection()).accept()).password, b"secret")
        self.assertIn("User name or password can't be told: OSError: no vault", self.log)
        self.assertIn("'us' tries again in 0.0 s", self.log)
        self.assertNotIn("Cannot connect", self.log)

    async def test_told_by_coroutines(self) -> None:
        """What is told may be told to coroutine functions; what they raise is logged."""
        server = await self.server()
        told = asyncio.Event()

        async def on_connected(connack: ConnAck) -> None:
            told.set()
            raise ValueError("on purpose")

        client = self.client(server.where)
        client.on_connected = on_connected
        async with client:
            await server.accept()
            await told.wait()
        self.assertEqual(self.errors, ["Error in a function that was to be told"])

    async def test_will_and_properties(self) -> None:
        """Settings reach CONNECT."""
        server = await self.server()
        will = Will("gone", b"us", 1)
        async with self.client(server.where, will=will, clean_start=True, session_expiry_interval=9):
            connect = await (await server.connection()).accept()
            self.assertEqual(connect.will, will)
            self.assertTrue(connect.clean_start)
            self.assertEqual(connect.properties.session_expiry_interval, 9)

    async def test_another_loop(self) -> None:
        """A client that runs in one event loop can't be used in another, as in another thread."""

        async def publish(client: Client) -> None:
            await client.publish("t", b"x")

        server = await self.server()
        async with self.client(server.where) as client:
            await server.accept()
            with self.assertRaises(RuntimeError):
                await asyncio.to_thread(asyncio.run, publish(client))

    def test_no_loop(self) -> None:
        """Without an event loop a client can be made, but not started."""
        self.assertRaises(RuntimeError, self.client().start)

    def test_no_sense(self) -> None:
        """What makes no sense is refused when the client is made."""
        cases: list[dict[str, Any]] = [
            {"version": 6},
            {"keep_alive": -1},
            {"where": []},
            {"where": "http://here"},
        ]
        for options in cases:
            with self.subTest(options=options), self.assertRaises(ValueError):
                self.client(**options)


def _redirects() -> Any:
    from mqttwist.front.retry import Reconnecting

    return Reconnecting(0.001, 0.002, redirects=True)


class SubscribeTests(AioTestCase):
    async def connected(self, client: Client, server: Any) -> Peer:
        peer: Peer = await server.accept()
        await client.ready()
        return peer

    async def test_declared(self) -> None:
        """A function gets the messages; one whose coroutine is at its end is acknowledged."""
        server = await self.server()
        client = self.client(server.where)
        go_on = asyncio.Event()
        got: list[bytes] = []

        @client.subscription("a/#", qos=1)
        async def take(received: Received) -> None:
            got.append(received.payload)
            await go_on.wait()

        async with client:
            peer = await self.connected(client, server)
            await peer.grant()
            peer.send(Publish("a/b", b"1", 1, packet_id=1), Publish("a/b", b"2", 1, packet_id=2))
            await self.until(lambda: got == [b"1"])
            go_on.set()
            self.assertEqual([await peer.take(), await peer.take()], [PubAck(1), PubAck(2)])
        self.assertEqual(got, [b"1", b"2"])

    async def test_function_fails(self) -> None:
        """A function that fails is logged with its traceback, and its message not acknowledged."""
        server = await self.server()
        client = self.client(server.where, session_expiry_interval=100)
        failures: list[BaseException] = []
        client.on_error = lambda error, received: failures.append(error)

        @client.subscription("t", qos=1)
        async def take(received: Received) -> None:
            raise ValueError("on purpose")

        async with client:
            peer = await self.connected(client, server)
            await peer.grant()
            peer.send(Publish("t", b"1", 1, packet_id=1))
            await self.until(lambda: failures)
        self.assertEqual(self.errors, ["Error in the subscriber to 't'"])
        (shown,) = [record.exc_info[1] for record in self.records if record.exc_info]
        self.assertIs(shown, failures[0])
        self.assertEqual([type(one) for one in await peer.ended()], [Disconnect])

    async def test_iterated(self) -> None:
        """A message of an iterator is acknowledged when the next one is asked for, or the loop ends well."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await self.connected(client, server)
            granting = asyncio.ensure_future(peer.grant())
            async with client.subscribe("t", qos=1) as messages:
                await granting
                peer.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 1, packet_id=2))
                got = []
                async for message in messages:
                    got.append(message.payload)
                    if len(got) == 2:
                        break
                self.assertEqual(await peer.take(), PubAck(1))
                answering = asyncio.ensure_future(self.answer_unsubscribe(peer))
            self.assertEqual(await answering, [PubAck(2)])
            self.assertEqual(got, [b"1", b"2"])

    async def answer_unsubscribe(self, peer: Peer) -> list[Any]:
        """What comes before UNSUBSCRIBE, which is answered."""
        before = []
        while not isinstance(packet := await peer.take(), Unsubscribe):
            before.append(packet)
        peer.send(UnsubAck(packet.packet_id, [0]))
        return before

    async def test_cancelled_while_a_message_comes(self) -> None:
        """A message that has come when its iteration is cancelled is there at the next step."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await self.connected(client, server)
            granting = asyncio.ensure_future(peer.grant())
            messages = client.subscribe("t", qos=1)
            await messages
            await granting
            step = asyncio.ensure_future(anext(messages))
            await asyncio.sleep(0)  # it waits now
            connection = client.core.connection
            assert connection is not None
            connection.receive_data(Publish("t", b"1", 1, packet_id=1).encode(5))
            client.settle()
            step.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await step
            self.assertEqual((await anext(messages)).payload, b"1")
        self.assertEqual(await peer.ended(), [Disconnect()])

    async def test_request(self) -> None:
        """A request is done with the message to its Response Topic that has its Correlation Data (4.10)."""
        server = await self.server()
        async with self.client(server.where) as client:
            peer = await self.connected(client, server)
            asking = client.request("rpc", b"?", timeout=5, qos=0)
            await peer.grant()
            asked: Publish = await peer.take()
            said = asked.properties
            assert said.response_topic is not None
            answer = Properties(correlation_data=said.correlation_data)
            peer.send(Publish(said.response_topic, b"!", properties=answer))
            self.assertEqual((await asking).payload, b"!")
            with self.assertRaises(NoResponse):
                await client.request("rpc", b"?", timeout=0.01, qos=0)


class StopTests(AioTestCase):
    async def test_farewell(self) -> None:
        """DISCONNECT is the last packet [MQTT-3.14.4-1], and the Server closes the connection after it."""
        server = await self.server()
        client = self.client(server.where)
        async with client:
            peer = await server.accept()
            await client.ready()
        self.assertEqual(await peer.ended(), [Disconnect()])
        self.assertFalse(client.is_connected)

    async def test_waits_for_what_is_under_way(self) -> None:
        """Messages that are not confirmed are waited for, and so are functions that are at work."""
        server = await self.server()
        client = self.client(server.where)
        done: list[bytes] = []

        @client.subscription("t")
        async def take(received: Received) -> None:
            await asyncio.sleep(0.01)
            done.append(received.payload)

        client.start()
        peer = await server.accept()
        await peer.grant()
        peer.send(Publish("t", b"1"))
        waiting = client.publish("u", b"2", qos=1)
        packet = await peer.take()
        await self.until(client._shell.others_at_work)
        stopping = asyncio.ensure_future(client.stop())
        await asyncio.sleep(0)
        peer.send(PubAck(packet.packet_id))
        self.assertEqual(await peer.ended(), [Disconnect()])
        peer.writer.close()
        await stopping
        await waiting
        self.assertEqual(done, [b"1"])

    async def test_does_not_wait_for_ever(self) -> None:
        """After its timeout `stop` fails messages and cancels functions, which is no error of theirs."""
        server = await self.server()
        client = self.client(server.where)
        started: list[bytes] = []

        @client.subscription("t", qos=1)
        async def take(received: Received) -> None:
            started.append(received.payload)
            await asyncio.Event().wait()

        client.start()
        peer = await server.accept()
        await peer.grant()
        peer.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 1, packet_id=2))
        await self.until(lambda: started)
        waiting = client.publish("u", b"2", qos=1)
        await asyncio.gather(client.stop(0.01), client.stop())
        with self.assertRaises(NotDelivered) as caught:
            await waiting
        self.assertTrue(caught.exception.maybe)
        self.assertEqual(started, [b"1"])
        self.assertEqual(self.errors, [])
        with self.assertRaises(NotDelivered):
            await client.publish("u", b"3")

    async def test_offline(self) -> None:
        """A client that is not connected stops at once, even if it was to ask something."""
        client = self.client("127.0.0.1:9")
        client.start()
        waiting = client.request("rpc", b"", timeout=50)
        async with asyncio.timeout(2):
            await client.stop(timeout=10)
        with self.assertRaises(NotDelivered):
            await waiting

    async def test_in_a_function(self) -> None:
        """A function of a subscription may stop its own client."""
        server = await self.server()
        client = self.client(server.where)
        stopped = asyncio.Event()

        @client.subscription("t")
        async def take(received: Received) -> None:
            await client.stop()
            stopped.set()

        client.start()
        peer = await server.accept()
        await peer.grant()
        peer.send(Publish("t", b"1"))
        await stopped.wait()
        self.assertEqual(await peer.ended(), [Disconnect()])

    async def test_between_connections(self) -> None:
        """A client that waits for its next attempt stops at once, and `ready` fails."""
        client = Client("127.0.0.1:9", client_id="us")
        client.start()
        ready = client.ready()
        await self.until(lambda: client.last_error)
        await client.stop()
        with self.assertRaises(ConnectionEnded):
            await ready

    async def test_started_again(self) -> None:
        """A client that has stopped can be started again."""
        server = await self.server()
        client = self.client(server.where)
        for _ in range(2):
            async with client:
                peer = await server.accept()
                await client.publish("t", b"x")
            self.assertEqual([type(one) for one in await peer.ended()], [Publish, Disconnect])

    def test_in_the_next_loop(self) -> None:
        """A client that has stopped can be used in another event loop; subscriptions stay."""
        client = self.client()
        client.call_for("t", lambda received: None)

        async def run() -> None:
            server = await self.server()
            client._places = self.client(server.where)._places
            async with client:
                peer = await server.accept()
                self.assertEqual((await peer.grant()).subscriptions[0].topic_filter, "t")

        self.run_on_loop(run())
        self.run_on_loop(run())

    async def test_the_task_is_cancelled(self) -> None:
        """Somebody who cancels every task ends the client; nothing waits for ever."""
        server = await self.server()
        async with self.client(server.where) as client:
            await server.accept()
            await client.ready()
            waiting = client.publish("t", b"1", qos=1)
            assert client._running is not None
            client._running.cancel()
            with self.assertRaises(NotDelivered):
                await waiting


class PublishOnUvloopTests(OnUvloop, PublishTests):
    pass


class ConnectOnUvloopTests(OnUvloop, ConnectTests):
    pass


class SubscribeOnUvloopTests(OnUvloop, SubscribeTests):
    pass


class StopOnUvloopTests(OnUvloop, StopTests):
    pass
