"""One-shots for scripts, against a broker in a process of its own and Servers that the test plays."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from mqttwist.aio import Client
from mqttwist.blocking import Outgoing, publish, publish_many, receive, receive_one, request
from mqttwist.client.errors import ConnectionEnded, ConnectRefused, NotDelivered
from mqttwist.client.received import Received
from mqttwist.front.request import NoResponse
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.properties import Properties
from tests.aio.rig import AioTestCase, PlayedServer
from tests.interop.broker import BrokerTestCase

SOON = 0.25  # seconds: time to connect to a Server on this very machine


class BrokerTests(BrokerTestCase):
    @property
    def where(self) -> str:
        return f"127.0.0.1:{self.port}"

    def test_publish(self) -> None:
        """A message is published at every QoS, and a retained one is received by who comes later."""
        for version in (5, "3.1.1", "3.1"):
            for qos in (0, 1, 2):
                with self.subTest(version=version, qos=qos):
                    payload = f"{version} {qos}".encode()
                    done = publish(self.where, "t/1", payload, qos=qos, retain=True, version=version)
                    self.assertEqual(done.packet_id > 0, qos > 0)
                    received = receive_one(self.where, "t/#", version=version)
                    self.assertEqual((received.topic_name, received.payload), ("t/1", payload))
                    self.assertEqual((received.qos, received.retain), (qos, True))

    def test_many(self) -> None:
        """Many messages arrive in their order; with a session they are kept from call to call."""
        session: dict[str, Any] = {"client_id": "reader", "session_expiry_interval": 100}
        self.assertEqual(receive(self.where, "m", 0, **session), [])
        sent = [Outgoing("m", b"%d" % number, 2) for number in range(20)]
        self.assertEqual(len(publish_many(self.where, sent, queue_messages=3)), 20)
        got = receive(self.where, "m", 5, **session) + receive(self.where, "m", 15, **session)
        self.assertEqual([one.payload for one in got], [one.payload for one in sent])

    def test_request(self) -> None:
        """A request gets its response."""

        async def answer(started: threading.Event, stop: threading.Event) -> None:
            async with Client(self.where) as client:

                async def respond(asked: Received) -> None:
                    await client.respond(asked, asked.payload[::-1])

                await client.call_for("rpc", respond)
                started.set()
                await asyncio.to_thread(stop.wait)

        started, stop = threading.Event(), threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(answer(started, stop)))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        self.assertTrue(started.wait(20))
        self.assertEqual(request(self.where, "rpc", b"abc").payload, b"cba")
        with self.assertRaises(NoResponse):
            request(self.where, "nobody", b"?", timeout=SOON)

    def test_in_a_thread(self) -> None:
        """It works in any thread, and leaves that thread's event loop alone."""
        outcome: list[bytes] = []

        def run() -> None:
            loop = asyncio.new_event_loop()
            asyncio.set_event_loop(loop)
            publish(self.where, "thread", b"x", retain=True)
            outcome.append(receive_one(self.where, "thread").payload)
            assert asyncio.get_event_loop() is loop
            loop.close()
            outcome.append(b"end")

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        self.assertEqual(outcome, [b"x", b"end"])


class FailureTests(AioTestCase):
    def play(self, serve: Callable[[PlayedServer], Any]) -> str:
        """Have a Server played in a thread of its own; where it is."""
        ready, stop = threading.Event(), threading.Event()
        where: list[str] = []

        async def run() -> None:
            server = PlayedServer()
            await server.listen()
            where.append(server.where)
            ready.set()
            playing = asyncio.ensure_future(serve(server))
            await asyncio.to_thread(stop.wait)
            playing.cancel()
            server.close()

        thread = threading.Thread(target=lambda: asyncio.run(run()))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(stop.set)
        ready.wait(20)
        return where[0]

    def test_nobody_there(self) -> None:
        """Where nobody listens the call fails soon, with the reason; a list is tried to its end."""
        with socket.create_server(("127.0.0.1", 0)) as gone:
            port = gone.getsockname()[1]
        for where in (f"127.0.0.1:{port}", [f"127.0.0.1:{port}", "unix:/nowhere"]):
            with self.subTest(where=where), self.assertRaises(ConnectionEnded) as caught:
                publish(where, "t", b"x")
            self.assertIsInstance(caught.exception.__cause__, OSError)

    def test_refused(self) -> None:
        """A Server that refuses us is the end, whatever the reason: nothing is tried again."""

        async def serve(server: PlayedServer) -> None:
            while True:
                peer = await server.connection()
                await peer.take()
                peer.send(ConnAck(False, 0x88, Properties(reason_string="full")))

        with self.assertRaises(ConnectRefused) as caught:
            publish(self.play(serve), "t", b"x")
        self.assertEqual((caught.exception.reason_code, caught.exception.reason_string), (0x88, "full"))

    def test_silent_server(self) -> None:
        """A Server that does not answer is waited for as long as `timeout` says, and no longer."""

        async def no_connack(server: PlayedServer) -> None:
            await server.connection()

        async def no_answer(server: PlayedServer) -> None:
            await server.accept(assigned_client_identifier="you")

        started = time.monotonic()
        for serve, call, error in (
            (no_connack, lambda where: publish(where, "t", b"x", timeout=SOON), TimeoutError),
            (no_answer, lambda where: publish(where, "t", b"x", qos=1, timeout=SOON), NotDelivered),
            (no_answer, lambda where: receive(where, "t", 1, timeout=SOON), TimeoutError),
            (no_answer, lambda where: request(where, "t", b"x", qos=0, timeout=SOON), NoResponse),
        ):
            with self.subTest(serve=serve.__name__, error=error), self.assertRaises(error):
                call(self.play(serve))
        self.assertLess(time.monotonic() - started, 5.0)

    def test_nothing_comes(self) -> None:
        """`receive_one` fails when nothing comes, `receive` returns what has."""

        async def serve(server: PlayedServer) -> None:
            while True:
                peer = await server.accept(assigned_client_identifier="you")
                await peer.grant()

        where = self.play(serve)
        self.assertEqual(receive(where, "t", 3, timeout=SOON), [])
        with self.assertRaises(TimeoutError):
            receive_one(where, "t", timeout=SOON)

    async def test_in_an_event_loop(self) -> None:
        """Where an event loop runs it says so, and does not block it."""
        with self.assertRaises(RuntimeError) as caught:
            publish("here", "t", b"x")
        self.assertIn("mqttwist.aio.Client", str(caught.exception))

    def test_in_the_reactor(self) -> None:
        """So it does in the thread of Twisted's reactor."""
        modules: dict[str, Any] = {
            "twisted.internet.reactor": SimpleNamespace(running=True),
            "twisted.python.threadable": SimpleNamespace(isInIOThread=lambda: True),
        }
        with patch.dict("sys.modules", modules), self.assertRaises(RuntimeError) as caught:
            publish("here", "t", b"x")
        self.assertIn("mqttwist.MQTTClient", str(caught.exception))
