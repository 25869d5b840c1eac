"""The broker on asyncio transports: order, a subscriber that reads too slowly, the farewell, and TLS."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from pathlib import Path
from typing import Any

from mqttwist.broker.settings import Settings
from mqttwist.net.asyncio_endpoint import server_context
from mqttwist.net.core_protocol import LINGER
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions
from tests.interop.certificates import make_certificate
from tests.net.loops import Client, LoopTestCase, OnUvloop

BIG = bytes(16_384)  # enough of them fill every buffer of a connection
MANY = 800  # 13 MB of them


class BrokerOnAsyncioTests(LoopTestCase):
    settings = Settings(sys_interval=0.0)

    async def subscriber(self, qos: int, **options: Any) -> Client:
        client = await self.connected("subscriber", **options)
        await client.send(Subscribe(1, [SubscriptionOptions("t", qos)]))
        self.assertIsInstance(await client.take(), SubAck)
        return client

    def connection_of(self, client_id: str) -> Any:
        """The broker's side of a client."""
        protocols: set[Any] = set(self.factory._protocols)
        (connection,) = [
            connection
            for protocol in protocols
            if (connection := protocol._connection) is not None
            and connection.session is not None
            and connection.session.client_id == client_id
        ]
        return connection

    def test_direct_write(self) -> None:
        """What the core writes goes straight to asyncio."""

        async def run() -> None:
            await self.connected("a")
            protocol: Any
            (protocol,) = self.factory._protocols
            transport = protocol.transport
            self.assertEqual(protocol.write, transport._transport.write)

        self.run_on_loop(run())

    def test_order(self) -> None:
        """Messages of one publisher come in the order it sent them [MQTT-4.6.0-5]."""

        async def run() -> None:
            subscriber = await self.subscriber(0)
            publisher = await self.connected("publisher")
            for start in range(0, 2000, 100):
                await publisher.send(*[Publish("t", b"%d" % n) for n in range(start, start + 100)])
            received = [await subscriber.take() for _ in range(2000)]
            payloads = [packet.payload for packet in received if isinstance(packet, Publish)]
            self.assertEqual(payloads, [b"%d" % n for n in range(2000)])

        self.run_on_loop(run())

    def test_slow_subscriber(self) -> None:
        """Its transport is full; the publisher goes on; and when it reads again, nothing is lost at QoS 1."""

        async def run() -> None:
            subscriber = await self.subscriber(1)
            publisher = await self.connected("publisher")
            for number in range(1, MANY + 1):
                await publisher.send(Publish("t", b"%d" % number + BIG, 1, packet_id=number))
                self.assertIsInstance(await publisher.take(), PubAck)
            self.assertTrue(self.connection_of("subscriber").blocked)
            for number in range(1, MANY + 1):
                packet = await subscriber.take()
                assert isinstance(packet, Publish)
                self.assertEqual(packet.payload.rstrip(b"\0"), b"%d" % number)
                await subscriber.send(PubAck(packet.packet_id))
            await subscriber.send(PingReq())
            self.assertIsInstance(await subscriber.take(), PingResp)
            self.assertFalse(self.connection_of("subscriber").blocked)

        self.run_on_loop(run())

    def test_farewell(self) -> None:
        """DISCONNECT is read although the client still talks, and then the end; the log names its address."""

        async def run() -> None:
            first = await self.connected("a")
            await self.connected("a")
            await first.send(PingReq(), PingReq())
            goodbye = await first.take()
            assert isinstance(goodbye, Disconnect)
            self.assertEqual(goodbye.reason_code, ReasonCode.SESSION_TAKEN_OVER)
            await first.send(PingReq())
            await self.assert_end(first)
            self.assertIn(f"'a' connected from {first.address}", self.log())

        self.run_on_loop(run())

    async def assert_end(self, client: Client) -> None:
        with self.assertRaises(EOFError):
            await client.take()

    def test_a_client_that_stays(self) -> None:
        """One that does not close its side after the farewell is cut off when its time is over."""

        async def run() -> None:
            client = await self.connected("a")
            self.factory.broker.shut_down()
            self.assertIsInstance(await client.take(), Disconnect)
            await self.assert_end(client)
            gone = self.factory.when_none_is_left()
            await asyncio.sleep(0.01)
            self.assertFalse(gone.called)
            self.reactor.advance(LINGER)
            await self.wait(gone)

        self.run_on_loop(run())

    def test_client_closes(self) -> None:
        """A client that goes without a word is noticed, and the log says so."""

        async def run() -> None:
            client = await self.connected("a")
            client.writer.close()
            await self.until(lambda: "closed by the client without DISCONNECT" in self.log())
            await self.wait(self.factory.when_none_is_left())

        self.run_on_loop(run())

    def test_tls(self) -> None:
        """With TLS: a message there and back, and a farewell that is read."""
        with tempfile.TemporaryDirectory(prefix="mqttwist-") as folder:
            key, certificate = map(str, make_certificate(Path(folder)))
            server = server_context(certificate, key)
            trust = ssl.create_default_context(cafile=certificate)

        async def run() -> None:
            await self.listen(ssl_context=server)
            options: dict[str, Any] = {"context": trust, "server_hostname": "localhost"}
            subscriber = await self.subscriber(1, **options)
            publisher = await self.connected("publisher", **options)
            await publisher.send(Publish("t", BIG, 1, packet_id=1))
            packet = await subscriber.take()
            assert isinstance(packet, Publish)
            self.assertEqual(packet.payload, BIG)
            self.factory.broker.shut_down()
            goodbye = await subscriber.take()
            assert isinstance(goodbye, Disconnect)
            self.assertEqual(goodbye.reason_code, ReasonCode.SERVER_SHUTTING_DOWN)
            await self.assert_end(subscriber)

        self.run_on_loop(run())


class BrokerOnUvloopTests(OnUvloop, BrokerOnAsyncioTests):
    """All of it on uvloop."""
