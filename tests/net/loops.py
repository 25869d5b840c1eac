"""A broker on asyncio transports and a real event loop, with clients on the same loop.

    class SomeTests(LoopTestCase):
        def test_something(self) -> None:
            async def run() -> None:
                client = await self.connected("a-client")
                await client.send(PingReq())
                self.assertEqual(await client.take(), PingResp())

            self.run_on_loop(run())

The loop is a private one, next to whatever reactor runs the tests. Twisted's own time is a `Clock`.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio import AbstractEventLoop, StreamReader, StreamWriter
from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.settings import Settings
from mqttwist.net.asyncio_endpoint import AsyncioServerEndpoint
from mqttwist.net.protocol import MQTTServerFactory
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.packet import Packet
from mqttwist.wire.publish import Publish

PATIENCE = 20.0  # seconds that anything may take which is expected to happen
HERE = "127.0.0.1"

T = TypeVar("T")


class LoopReactor(Clock):
    """What the endpoint asks of an asyncio reactor: its loop; and a clock for the broker."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        super().__init__()
        self._asyncioEventloop = loop


class Client:
    """A client of MQTT 5.0 that reads only when it is told to."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._decoder = Decoder(5, 1 << 20)

    @property
    def address(self) -> str:
        """The client's own, as the broker's log should name it."""
        host, port = self.writer.get_extra_info("sockname")[:2]
        return f"{host}:{port}"

    async def send(self, *packets: Packet | Publish) -> None:
        self.writer.write(b"".join(packet.encode(5) for packet in packets))
        await self.writer.drain()

    async def take(self) -> Packet | Publish:
        """The next packet that comes; `EOFError` when none comes any more."""
        decoder = self._decoder
        while not decoder.advance():
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            decoder.feed(data)
        (packet,) = decode_stream(decoder.data[decoder.start : decoder.end], 5)
        return packet


class LoopTestCase(SynchronousTestCase):
    """Has an event loop, and on it a broker as soon as a client of it is wanted."""

    settings: Settings | None = None

    def new_loop(self) -> AbstractEventLoop:
        return asyncio.SelectorEventLoop()

    def setUp(self) -> None:
        self.loop = self.new_loop()
        self.addCleanup(self.loop.close)
        self.faults: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda loop, context: self.faults.append(context))
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.reactor = LoopReactor(self.loop)
        self.factory = MQTTServerFactory(clock=self.reactor, login=accept_everybody, settings=self.settings)
        self.ports: list[IListeningPort] = []
        self.clients: list[Client] = []

    def run_on_loop(self, run: Coroutine[Any, Any, T]) -> T:
        """What comes of `run`; then all is closed, and asyncio must not have found fault with anything."""

        async def with_end() -> T:
            try:
                return await asyncio.wait_for(run, PATIENCE)
            finally:
                for client in self.clients:
                    client.writer.close()
                for port in self.ports:
                    await self.wait(port.stopListening())
                await asyncio.wait_for(self.wait(self.factory.when_none_is_left()), PATIENCE)
                await asyncio.sleep(0)

        try:
            return self.loop.run_until_complete(with_end())
        finally:
            self.assertEqual(self.faults, [])

    async def wait(self, deferred: Deferred[Any] | None) -> Any:
        """What `deferred` fires with; it may have fired already."""
        return None if deferred is None else await deferred.asFuture(self.loop)

    async def until(self, condition: Any) -> None:
        """Let the loop run until `condition()` holds."""
        while not condition():
            await asyncio.sleep(0.001)

    async def listen(self, factory: Any = None, interface: str = HERE, **options: Any) -> IListeningPort:
        endpoint = AsyncioServerEndpoint(self.reactor, 0, interface, **options)
        port: IListeningPort = await self.wait(endpoint.listen(factory or self.factory))
        self.ports.append(port)
        return port

    async def client(self, context: ssl.SSLContext | None = None, **options: Any) -> Client:
        """A Network Connection to the broker, which is made to listen if it does not yet."""
        if not self.ports:
            await self.listen()
        address: Any = self.ports[-1].getHost()
        client = Client(*await asyncio.open_connection(address.host, address.port, ssl=context, **options))
        self.clients.append(client)
        return client

    async def connected(self, client_id: str, **options: Any) -> Client:
        """A client that has connected."""
        client = await self.client(**options)
        await client.send(Connect(client_id))
        self.assertIsInstance(await client.take(), ConnAck)
        return client

    def log(self) -> str:
        return "\n".join(formatEvent(event) for event in self.events)


class OnUvloop:
    """Mixed in before a `LoopTestCase`: the same on uvloop, if it is installed."""

    def new_loop(self) -> AbstractEventLoop:
        try:
            import uvloop
        except ImportError:
            raise SkipTest("uvloop is not installed") from None
        loop: AbstractEventLoop = uvloop.new_event_loop()
        return loop
