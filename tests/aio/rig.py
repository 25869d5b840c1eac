"""A client on a private event loop, and a Server that the test plays on the other end of a socket.

    class SomeTests(AioTestCase):
        async def test_something(self) -> None:
            server = await self.server()
            async with self.client(server.where) as client:
                peer = await server.accept()           # CONNECT was answered by CONNACK
                await client.publish("t", b"1")
                self.assertEqual(await peer.take(), Publish("t", b"1"))

Nothing of it needs Twisted but the class of the tests.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from asyncio import AbstractEventLoop, StreamReader, StreamWriter
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mqttwist.aio import Client
from mqttwist.front.retry import Reconnecting
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe

PATIENCE = 20.0  # seconds that anything may take which is expected to happen
HERE = "127.0.0.1"
AT_ONCE = Reconnecting(0.001, 0.002)


class Peer:
    """The Server's end of one connection."""

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.version = 5
        self._decoder = Decoder(0, 1 << 20)

    async def take(self) -> Any:
        """The next packet; `EOFError` when there is none any more."""
        decoder = self._decoder
        while not decoder.advance():
            data = await self.reader.read(65_536)
            if not data:
                raise EOFError
            decoder.feed(data)
        (packet,) = decode_stream(decoder.data[decoder.start : decoder.end], self.version)
        if isinstance(packet, Connect):
            self.set_version(packet.version)
        return packet

    def set_version(self, version: int) -> None:
        self.version = version
        self._decoder.set_version(version)

    def send(self, *packets: Packet | Publish) -> None:
        self.writer.write(b"".join(packet.encode(self.version) for packet in packets))

    async def accept(self, session_present: bool = False, **properties: Any) -> Connect:
        connect: Connect = await self.take()
        self.send(ConnAck(session_present, 0, Properties(**properties)))
        return connect

    async def grant(self) -> Subscribe:
        packet: Subscribe = await self.take()
        self.send(SubAck(packet.packet_id, [one.qos for one in packet.subscriptions]))
        return packet

    async def ended(self) -> list[Any]:
        """All that still comes, up to the end."""
        packets = []
        try:
            while True:
                packets.append(await self.take())
        except EOFError:
            return packets


class _Streams(asyncio.StreamReaderProtocol):
    """Closes when the client does, as a Server would."""

    def eof_received(self) -> bool:
        super().eof_received()
        return False


class PlayedServer:
    """Listens, and has the test deal with each connection."""

    def __init__(self) -> None:
        self._connections: asyncio.Queue[Peer] = asyncio.Queue()
        self.peers: list[Peer] = []
        self.where = ""

    async def listen(self, path: str = "", port: int = 0, context: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        if path:
            self._server = await loop.create_unix_server(self._protocol, path)
            self.where = f"unix:{path}"
            return
        self._server = await loop.create_server(self._protocol, HERE, port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        self.where = f"{HERE}:{self.port}"

    def _protocol(self) -> asyncio.Protocol:
        return _Streams(asyncio.StreamReader(), self._made)

    def _made(self, reader: StreamReader, writer: StreamWriter) -> None:
        peer = Peer(reader, writer)
        self.peers.append(peer)
        self._connections.put_nowait(peer)

    async def connection(self) -> Peer:
        """The next one, with nothing taken or said."""
        return await self._connections.get()

    async def accept(self, session_present: bool = False, **properties: Any) -> Peer:
        """The next one, its CONNECT accepted."""
        peer = await self.connection()
        await peer.accept(session_present, **properties)
        return peer

    def close(self) -> None:
        self._server.close()
        for peer in self.peers:
            peer.writer.transport.abort()


class AioTestCase(SynchronousTestCase):
    """Each test is a coroutine, run on a loop of its own, which must not have found fault with anything."""

    def __init__(self, methodName: str = "runTest") -> None:  # noqa: N803  (unittest's name)
        method = getattr(self, methodName, None)
        if asyncio.iscoroutinefunction(method):
            setattr(self, methodName, self._on_loop(method))
        super().__init__(methodName)  # type: ignore[no-untyped-call]

    def _on_loop(self, method: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
        @functools.wraps(method)
        def run() -> None:
            self.run_on_loop(method())

        return run

    def new_loop(self) -> AbstractEventLoop:
        return asyncio.SelectorEventLoop()

    def setUp(self) -> None:
        self.servers: list[PlayedServer] = []
        self.faults: list[dict[str, Any]] = []
        self.records: list[logging.LogRecord] = []
        self.handler = logging.Handler()
        self.handler.emit = self.records.append  # type: ignore[assignment]
        log = logging.getLogger("mqttwist.client")
        log.addHandler(self.handler)
        before, was_propagating = log.level, log.propagate
        log.setLevel(logging.DEBUG)
        log.propagate = False

        def restore() -> None:
            log.removeHandler(self.handler)
            log.setLevel(before)
            log.propagate = was_propagating

        self.addCleanup(restore)

    def run_on_loop(self, run: Coroutine[Any, Any, None]) -> None:
        loop = self.new_loop()
        loop.set_exception_handler(lambda loop, context: self.faults.append(context))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(self._to_its_end(run))
        self.assertEqual(self.faults, [])

    async def _to_its_end(self, run: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wait_for(run, PATIENCE)
            others = asyncio.all_tasks() - {asyncio.current_task()}
            self.assertEqual([one for one in others if "mqttwist" in repr(one.get_coro())], [])
        finally:
            for server in self.servers:
                server.close()

    async def server(self, **options: Any) -> PlayedServer:
        server = PlayedServer()
        await server.listen(**options)
        self.servers.append(server)
        return server

    def client(self, where: Any = "here", **options: Any) -> Client:
        options.setdefault("client_id", "us")
        options.setdefault("reconnecting", AT_ONCE)
        return Client(where, **options)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let the loop run until `condition()` holds."""
        while not condition():
            await asyncio.sleep(0.001)

    @property
    def log(self) -> str:
        """What the client has logged."""
        return "\n".join(record.getMessage() for record in self.records)

    @property
    def errors(self) -> list[str]:
        """What is an error in it."""
        return [record.getMessage() for record in self.records if record.levelno >= logging.ERROR]


class OnUvloop:
    """Mixed in before an `AioTestCase`: the same on uvloop, if it is installed."""

    def new_loop(self) -> AbstractEventLoop:
        try:
            import uvloop
        except ImportError:
            raise SkipTest("uvloop is not installed") from None
        loop: AbstractEventLoop = uvloop.new_event_loop()
        return loop
