"""What a program is given: calls of functions, messages to iterate over; when they are acknowledged."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.task import deferLater

from mqttwist import Received, SubscribeRefused
from mqttwist.front.subscription import SubscriptionEnded
from mqttwist.testing import MemoryBroker
from mqttwist.wire.acknowledge import PubAck, PubRec
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck
from tests.front.rig import DAY, SECOND, ClientTestCase, PlayedServer


def message(packet_id: int, payload: bytes = b"", qos: int = 1, topic_name: str = "a") -> Publish:
    return Publish(topic_name, payload or b"%d" % packet_id, qos, packet_id=packet_id)


class FunctionTestCase(ClientTestCase):
    def subscribed(self, function: Any, version: str = "", **options: Any) -> PlayedServer:
        """A Server that has granted a client's subscription to "a/#" by `function`."""
        more: dict[str, Any] = {"version": version} if version else {}
        self.us, server = self.accepted(**more)
        self.us.call_for("#", function, **options)
        server.grant()
        return server

    def acknowledged(self, server: PlayedServer) -> list[tuple[type, int, int]]:
        """The acknowledgements that have come."""
        return [(type(one), one.packet_id, one.reason_code) for one in server.take()]


class FunctionTests(FunctionTestCase):
    def test_acknowledged_when_done(self) -> None:
        """A message is acknowledged when the function, or what it has returned, is at its end."""
        pauses: list[Deferred[None]] = []

        def function(received: Received) -> Deferred[None]:
            pauses.append(Deferred())
            return pauses[-1]

        server = self.subscribed(function)
        server.send(message(1), message(2, qos=2))
        self.assertEqual(self.acknowledged(server), [])
        pauses[0].callback(None)
        self.assertEqual(self.acknowledged(server), [(PubAck, 1, 0)])
        pauses[1].callback(None)
        self.assertEqual(self.acknowledged(server), [(PubRec, 2, 0)])

    def test_coroutine(self) -> None:
        """The same with a coroutine."""
        pause: Deferred[None] = Deferred()

        async def function(received: Received) -> None:
            await pause

        server = self.subscribed(function)
        server.send(message(1))
        self.assertEqual(self.acknowledged(server), [])
        pause.callback(None)
        self.assertEqual(self.acknowledged(server), [(PubAck, 1, 0)])

    def test_one_at_a_time(self) -> None:
        """Without `concurrency` the next message waits for the one before; with it so many run, in order."""
        for concurrency in (1, 2):
            with self.subTest(concurrency=concurrency):
                pauses: dict[bytes, Deferred[None]] = {}

                def function(received: Received, pauses: Any = pauses) -> object:
                    pauses[received.payload] = Deferred()
                    return pauses[received.payload]

                server = self.subscribed(function, concurrency=concurrency)
                server.send(message(1), message(2), message(3))
                self.assertEqual(list(pauses), [b"1", b"2"][:concurrency])
                pauses[list(pauses)[-1]].callback(None)
                self.broker.settle()
                self.assertEqual(list(pauses), [b"1", b"2", b"3"][: concurrency + 1])

    def test_acknowledged_in_order(self) -> None:
        """What is done earlier waits for what came before it [MQTT-4.6.0-2]."""
        pauses: list[Deferred[None]] = []

        def function(received: Received) -> Deferred[None]:
            pauses.append(Deferred())
            return pauses[-1]

        server = self.subscribed(function, concurrency=2)
        server.send(message(1), message(2))
        pauses[1].callback(None)
        self.assertEqual(self.acknowledged(server), [])
        pauses[0].callback(None)
        self.assertEqual(self.acknowledged(server), [(PubAck, 1, 0), (PubAck, 2, 0)])

    def test_manual(self) -> None:
        """With `manual` the program says what is to become of a message, whenever it likes."""
        got: list[Received] = []
        server = self.subscribed(got.append, manual=True)
        server.send(message(1), message(2))
        self.assertEqual(self.acknowledged(server), [])
        got[0].reject(0x83)
        got[1].ack()
        self.assertEqual(self.acknowledged(server), [(PubAck, 1, 0x83), (PubAck, 2, 0)])

    def test_bad_options(self) -> None:
        """Options that make no sense are refused at the call."""
        client = self.client("us")
        for options in ({"on_error": "hide"}, {"concurrency": 0}, {"qos": 3}):
            with self.subTest(options=options):
                self.assertRaises(ValueError, client.call_for, "a", print, **options)
        self.assertRaises(ValueError, client.call_for, "a/#/b", print)


class ErrorTests(FunctionTestCase):
    def test_what_becomes_of_it(self) -> None:
        """A function that fails: its message is left, rejected or acknowledged; it is logged and counted."""

        def function(received: Received) -> None:
            raise KeyError("on purpose")

        async def coroutine(received: Received) -> None:
            raise KeyError("on purpose")

        rows: tuple[tuple[str, str, list[Any]], ...] = (
            ("leave", "", []),
            ("reject", "", [(PubAck, 1, 0x83)]),
            ("reject", "3.1.1", [(PubAck, 1, 0)]),
            ("ack", "", [(PubAck, 1, 0)]),
        )
        for on_error, version, expected in rows:
            for each in (function, coroutine):
                with self.subTest(on_error=on_error, version=version, function=each):
                    told: list[Any] = []
                    server = self.subscribed(each, version, on_error=on_error)
                    self.us.on_error = lambda *facts, told=told: told.append(facts)
                    server.send(message(1))
                    self.assertEqual(self.acknowledged(server), expected)
                    self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
                    self.assertEqual(self.us.stats.handler_errors, 1)
                    ((error, received),) = told
                    self.assertEqual((type(error), received.payload), (KeyError, b"1"))

    def test_left_comes_again(self) -> None:
        """A message that is left comes again on the next connection."""
        got: list[bytes] = []

        def function(received: Received) -> None:
            got.append(received.payload)
            if len(got) == 1:
                raise KeyError("the first time")

        client = self.client("us", session_expiry_interval=DAY, reconnecting=SECOND)
        client.call_for("a", function)
        self.broker.publish("a", b"x", qos=1)
        self.assertEqual(got, [b"x"])
        self.broker.cut()
        self.broker.advance(2)
        self.assertEqual(got, [b"x", b"x"])
        self.flushLoggedErrors(KeyError)

    def test_others_go_on(self) -> None:
        """One message that fails stops no other, and what `on_error` raises is logged."""
        got: list[bytes] = []

        def function(received: Received) -> None:
            got.append(received.payload)
            if received.payload == b"1":
                raise KeyError("on purpose")

        def on_error(error: BaseException, received: Received | None) -> None:
            raise LookupError("in on_error")

        server = self.subscribed(function)
        self.us.on_error = on_error
        server.send(message(1), message(2))
        self.assertEqual(got, [b"1", b"2"])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

    def test_callbacks(self) -> None:
        """What `on_connected` and its like raise is logged, and nothing else happens."""
        client = self.broker.client("us", reconnecting=SECOND)

        def fail(*facts: object) -> None:
            raise KeyError("on purpose")

        client.on_connected = client.on_disconnected = fail
        client.startService()
        self.broker.settle()
        self.broker.cut()
        self.broker.advance(2)
        self.assertTrue(client.is_connected)
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)
        client.on_disconnected = None


class HangingTests(FunctionTestCase):
    def late(self) -> list[str]:
        return [line for line in self.lines() if "dealt with" in line]

    def test_a_function_that_hangs(self) -> None:
        """A message that is not dealt with for 30 seconds is named in the log, once: it holds others back."""
        hangs: Deferred[None] = Deferred()
        server = self.subscribed(lambda received: hangs)
        server.send(message(1), message(2), message(3, qos=2))
        self.broker.advance(29)
        self.assertEqual(self.late(), [])
        self.broker.advance(60)
        self.assertEqual(
            self.late(),
            [
                "A message to 'a' for '#' has not been dealt with for 30 s:"
                f" no message of QoS {qos} behind it is acknowledged ({others} wait)"
                for qos, others in ((1, 1), (2, 0))
            ],
        )
        hangs.callback(None)

    def test_slow_functions(self) -> None:
        """Functions that are slow, but come to their end, are none of that."""
        server = self.subscribed(lambda received: deferLater(self.broker.clock, 20, lambda: None))
        server.send(*[message(number) for number in range(1, 6)])
        self.broker.advance(99)
        self.assertEqual(self.late(), [])
        self.assertEqual(len(self.acknowledged(server)), 4)


class ReentrancyTests(ClientTestCase):
    def test_in_functions(self) -> None:
        """A function may wait for a publish, a subscription, its end and a request: no lock is held."""
        client = self.client("us")
        ends: list[str] = []

        async def echo(received: Received) -> None:
            await client.respond(received, received.payload)

        async def function(received: Received) -> None:
            ends.append("began")
            await client.publish("other", b"x", qos=2)
            async with client.subscribe("more", qos=1) as messages:
                await client.publish("more", b"y", qos=1)
                async for each in messages:
                    ends.append(each.text())
                    break
            ends.append((await client.request("echo", b"z", timeout=5)).text())
            await subscription.unsubscribe()
            ends.append("ended")

        client.call_for("echo", echo)
        subscription = client.call_for("a", function)
        self.broker.publish("a", b"1", qos=1)
        self.assertEqual(ends, ["began", "y", "z", "ended"])

    def test_in_callbacks(self) -> None:
        """So may the callbacks of Deferreds, one within the other."""
        client = self.client("us")
        count: list[int] = []

        def again(result: object) -> Any:
            count.append(len(count))
            return client.publish("a", b"x", qos=1).addCallback(again) if len(count) < 50 else None

        client.publish("a", b"x", qos=1).addCallback(again)
        self.broker.settle()
        self.assertEqual(len(self.broker.messages), 50)

    def test_stop_in_function(self) -> None:
        """A function may stop the client; what it waits for after that ends, too."""
        client = self.client("us")
        ends: list[object] = []

        async def function(received: Received) -> None:
            await client.stopService()
            ends.append("stopped")

        client.call_for("a", function)
        self.broker.publish("a", b"1", qos=1)
        self.broker.advance(10)
        self.assertEqual((ends, self.broker.client_ids), (["stopped"], []))

    def test_stop_in_deferred(self) -> None:
        """So may one that answers a Deferred, and one that is told of the connection; neither waits long."""
        client = self.client("us")
        ends: list[object] = []

        @inlineCallbacks
        def function(received: Received) -> Generator[Any, Any, None]:
            yield client.publish("b", b"x", qos=1)
            yield client.stopService()
            ends.append("stopped")

        async def told(connack: ConnAck) -> None:
            await client.stopService()
            ends.append("told")

        client.call_for("a", function)
        self.broker.publish("a", b"1", qos=1)
        self.broker.settle()
        self.assertEqual((ends, self.broker.client_ids), (["stopped"], []))
        client.on_connected = told
        client.startService()
        self.broker.settle()
        self.assertEqual((ends, self.broker.client_ids), (["stopped", "told"], []))

    def test_stop_waits(self) -> None:
        """A client that stops waits for its functions at work, and has their messages acknowledged."""
        client, server = self.accepted()
        work: Deferred[None] = Deferred()
        taken: list[bytes] = []

        def function(received: Received) -> Deferred[None]:
            taken.append(received.payload)
            return work

        client.call_for("a", function)
        server.grant()
        server.send(Publish("a", b"1", 1, packet_id=1))
        stopped = client.stopService()
        self.broker.advance(4)
        self.assertEqual(server.take(), [])
        work.callback(None)
        self.assertEqual(server.take(), [PubAck(1), Disconnect()])
        self.successResultOf(stopped)

    def test_stop_does_not_wait_for_ever(self) -> None:
        """After its timeout it cancels them, which is no error; what waits for them is not begun any more."""
        client, server = self.accepted()
        taken: list[bytes] = []
        cancelled: list[bytes] = []

        async def function(received: Received) -> None:
            taken.append(received.payload)
            try:
                await Deferred()
            except CancelledError:
                cancelled.append(received.payload)
                raise

        client.call_for("a", function, concurrency=2)
        server.grant()
        server.send(*[Publish("a", b"%d" % number, 1, packet_id=number) for number in (1, 2, 3)])
        stopped = client.stopService(timeout=2)
        self.broker.advance(1)
        self.assertNoResult(stopped)
        self.broker.advance(2)
        self.successResultOf(stopped)
        self.assertEqual((taken, cancelled), ([b"1", b"2"], [b"1", b"2"]))
        self.assertEqual((server.take(), client.stats.handler_errors), ([Disconnect()], 0))

    def test_publish_when_connected(self) -> None:
        """Whoever is told that the client is connected may publish, subscribe, and stop it."""
        client = self.broker.client("us")
        client.on_connected = lambda connack: client.publish("a", b"x", qos=1)
        client.startService()
        self.broker.settle()
        self.assertEqual(self.broker.payloads("a"), [b"x"])
        client.on_connected = lambda connack: client.stopService()
        self.broker.cut()
        self.broker.advance(120)
        self.assertEqual((client.running, self.broker.client_ids), (False, []))


class SubscribingTests(ClientTestCase):
    def test_granted(self) -> None:
        """A subscription can be awaited for the QoS that was granted; a refused one raises."""
        client, server = self.accepted()
        good, bad = client.call_for("a", print, qos=1), client.call_for("b", print)
        first, second = good.granted(), bad.granted()
        packets = server.take()
        server.send(SubAck(packets[0].packet_id, [1]), SubAck(packets[1].packet_id, [0x87]))
        self.assertEqual((self.successResultOf(first), good.granted_qos), (1, 1))
        self.assertEqual(self.failureResultOf(second, SubscribeRefused).value.reason_code, 0x87)
        self.assertFalse(bad.is_open)
        self.failureResultOf(bad.granted(), SubscribeRefused)

    def test_before_connect(self) -> None:
        """A subscription that was made before the start is there when a session goes on: nothing is lost."""
        first = self.client("us", session_expiry_interval=DAY)
        first.call_for("a", lambda received: None)
        self.broker.settle()
        self.broker.run(first.stopService())
        self.broker.publish("a", b"while away", qos=1)
        got: list[bytes] = []
        second = self.broker.client("us", session_expiry_interval=DAY)

        @second.subscription("a")
        def function(received: Received) -> None:
            got.append(received.payload)

        second.startService()
        self.broker.settle()
        self.assertEqual((got, second.stats.unclaimed), ([b"while away"], 0))

    def test_unsubscribe(self) -> None:
        """What is unsubscribed from comes no more, and its end is told."""
        got: list[bytes] = []
        client = self.client("us")
        subscription = client.call_for("a", lambda received: got.append(received.payload))
        self.broker.settle()
        self.broker.run(subscription.unsubscribe())
        self.broker.publish("a", b"x", qos=1)
        self.assertEqual(got, [])

    def test_after_giving_up(self) -> None:
        """A client that has given up says so to whoever subscribes, and does not let him wait."""
        from mqttwist import NotDelivered

        self.broker.refuse(0x85)
        client = self.client("us")
        self.assertRaises(NotDelivered, client.subscribe, "a")
        self.assertRaises(NotDelivered, client.call_for, "a", print)


class IterationTests(ClientTestCase):
    def iterated(self, **options: Any) -> tuple[Any, PlayedServer]:
        client, server = self.accepted()
        messages = client.subscribe("a", **options)
        server.grant()
        return messages, server

    def test_acknowledged_with_the_next(self) -> None:
        """A message is acknowledged when the next one is asked for."""
        messages, server = self.iterated()
        server.send(message(1), message(2))
        self.assertEqual(self.successResultOf(messages.next()).payload, b"1")
        self.assertEqual(server.take(), [])
        self.assertEqual(self.successResultOf(messages.next()).payload, b"2")
        self.assertEqual([one.packet_id for one in server.take()], [1])
        waiting = messages.next()
        self.assertEqual([one.packet_id for one in server.take()], [2])
        self.assertNoResult(waiting)
        server.send(message(3))
        self.assertEqual(self.successResultOf(waiting).payload, b"3")

    def test_two_ask(self) -> None:
        """Several may ask at once: each gets one, and all that they got is acknowledged."""
        messages, server = self.iterated()
        first, second = messages.next(), messages.next()
        server.send(message(1), message(2))
        self.assertEqual(self.successResultOf(first).payload, b"1")
        self.assertEqual(self.successResultOf(second).payload, b"2")
        messages.next().addErrback(lambda failure: failure.trap(SubscriptionEnded))
        self.assertEqual([one.packet_id for one in server.take()], [1, 2])

    def test_cancel(self) -> None:
        """Whoever stops asking takes no message away."""
        messages, server = self.iterated()
        waiting = messages.next()
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        server.send(message(1))
        self.assertEqual(self.successResultOf(messages.next()).payload, b"1")

    def test_loop(self) -> None:
        """A loop that is left by `break` has acknowledged all; one left by an error leaves its message."""
        for fails, packet_ids in ((False, [1, 2]), (True, [1])):
            with self.subTest(fails=fails):
                client, server = self.accepted(session_expiry_interval=100)

                async def program(client: Any = client, fails: bool = fails) -> None:
                    async with client.subscribe("a") as messages:
                        async for received in messages:
                            if received.payload == b"2":
                                if fails:
                                    raise KeyError("on purpose")
                                break

                running = Deferred.fromCoroutine(program())
                server.grant()
                server.send(message(1), message(2))
                acknowledged = [one.packet_id for one in server.take() if isinstance(one, PubAck)]
                self.assertEqual(acknowledged, packet_ids)
                server.hang_up()
                self.broker.run(client.stopService())
                if fails:
                    self.failureResultOf(running, KeyError)
                else:
                    self.successResultOf(running)

    def test_refused(self) -> None:
        """The `async with` of a subscription that is refused raises."""
        client, server = self.accepted()

        async def program() -> None:
            async with client.subscribe("a"):
                raise AssertionError("not to be reached")

        running = Deferred.fromCoroutine(program())
        (subscribe,) = server.take()
        server.send(SubAck(subscribe.packet_id, [0x80]))
        self.failureResultOf(running, SubscribeRefused)

    def test_overflow(self) -> None:
        """Of QoS 0 the oldest are dropped when too many wait, and counted; QoS 1 is kept."""
        messages, server = self.iterated(buffer=2)
        server.send(message(1), *(Publish("a", b"q%d" % n) for n in range(4)))
        got = [self.successResultOf(messages.next()).payload for _ in range(2)]
        self.assertEqual((got[0], messages.dropped > 0), (b"1", True))
        self.assertEqual(messages.dropped, 3)
        self.assertEqual(got[1], b"q3")
        self.assertTrue(any("dropped" in line for line in self.lines()))

    def test_client_stops(self) -> None:
        """A loop over messages ends when the client stops, and can begin again when it is started."""
        client = self.client("us")

        async def program() -> list[str]:
            return [received.text() async for received in messages]

        messages = client.subscribe("a")
        running = Deferred.fromCoroutine(program())
        self.broker.publish("a", b"1", qos=1)
        self.broker.run(client.stopService())
        self.assertEqual(self.successResultOf(running), ["1"])
        self.failureResultOf(messages.next(), SubscriptionEnded)
        client.startService()
        waiting = messages.next()
        self.broker.publish("a", b"2", qos=1)
        self.assertEqual(self.successResultOf(waiting).payload, b"2")

    def test_client_gives_up(self) -> None:
        """A loop over messages raises why the client has given up."""
        from mqttwist import ConnectionEnded

        client = self.client("us")
        waiting = client.subscribe("a").next()
        self.broker.kick("us", 0x8E)
        self.failureResultOf(waiting, ConnectionEnded)


class SlowTests(ClientTestCase):
    def test_acknowledgements_are_withheld(self) -> None:
        """A subscriber that is slow stops QoS 1 by Receive Maximum; others and PINGRESP go on."""
        client = self.client("us", receive_maximum=3, keep_alive=30)
        pauses: list[Deferred[None]] = []

        def slow(received: Received) -> Deferred[None]:
            pauses.append(Deferred())
            return pauses[-1]

        fast: list[bytes] = []
        client.call_for("slow", slow)
        client.call_for("fast", lambda received: fast.append(received.payload))
        for n in range(10):
            self.broker.publish("slow", b"%d" % n, qos=1)
        self.broker.publish("fast", b"x")
        self.broker.advance(600)
        self.assertTrue(client.is_connected)
        self.assertEqual((len(pauses), client.core.incoming.with_application, fast), (1, 3, [b"x"]))
        for n in range(10):
            pauses[n].callback(None)
            self.broker.settle()
        self.assertEqual(len(pauses), 10)

    def test_bytes(self) -> None:
        """Only when too many bytes wait is nothing read any more; reading goes on when they are taken."""
        client = self.client("us", hold_bytes=50_000, keep_alive=0)
        messages = client.subscribe("a", buffer=10_000)
        self.broker.settle()
        for _ in range(200):
            self.broker.publish("a", b"x" * 1000)
        self.assertGreater(client.stats.messages_held, 0)
        self.assertLess(messages._subscriber.length, 200)
        for _ in range(200):
            self.broker.run(messages.next())
        self.assertEqual(messages.dropped, 0)

    def test_several_clients(self) -> None:
        """Several clients in one process have nothing in common."""
        broker = MemoryBroker()
        clients = [broker.connect(f"c{n}") for n in range(5)]
        got: list[tuple[int, bytes]] = []
        for n, client in enumerate(clients):

            def function(received: Received, n: int = n) -> None:
                got.append((n, received.payload))

            client.call_for(f"to/{n}", function)
        broker.settle()
        for n, client in enumerate(clients):
            client.publish(f"to/{(n + 1) % 5}", b"%d" % n, qos=n % 3)
        broker.settle()
        self.assertEqual(sorted(got), [(0, b"4"), (1, b"0"), (2, b"1"), (3, b"2"), (4, b"3")])
        broker.close()
