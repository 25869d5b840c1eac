"""What a Twisted protocol sees of a connection that asyncio has accepted."""

from __future__ import annotations

import asyncio
import socket
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, IPushProducer, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from mqttwist.net.asyncio_endpoint import server_context
from mqttwist.net.asyncio_transport import NO_LINGER
from tests.interop.certificates import make_certificate
from tests.net.loops import HERE, Client, LoopTestCase, OnUvloop

MUCH = b"0123456789abcdef" * (1 << 20)  # 16 MiB, more than the kernel keeps for a connection


@implementer(IPushProducer)
class Recorder(Protocol):
    """Keeps what came, and why it ended; as a producer, what it was told."""

    def __init__(self) -> None:
        self.received = b""
        self.ends: list[Failure] = []
        self.told: list[str] = []
        self.when_received: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.when_received()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class RecorderFactory(Factory):
    """Makes one `Recorder`, and turns all others away."""

    noisy = False

    def __init__(self) -> None:
        self.made: Recorder | None = None

    def buildProtocol(self, addr: Any) -> Protocol | None:
        if self.made is not None:
            return None
        self.made = Recorder()
        return self.made


class TransportTestCase(LoopTestCase):
    async def pair(self, interface: str = HERE, **options: Any) -> tuple[Recorder, Any, Client]:
        """A protocol, its transport, and the client at the other end."""
        factory = RecorderFactory()
        await self.listen(factory, interface, **options.pop("port", {}))
        client = await self.client(**options)
        await self.until(lambda: factory.made is not None and factory.made.transport is not None)
        assert factory.made is not None
        return factory.made, factory.made.transport, client

    async def end(self, protocol: Recorder) -> Exception:
        """Why the connection ended; a protocol is told once."""
        await self.until(lambda: protocol.ends)
        await asyncio.sleep(0.01)
        (failure,) = protocol.ends
        return cast(Exception, failure.value)


class TransportTests(TransportTestCase):
    def test_interfaces(self) -> None:
        """It is all that Twisted asks of TCP, and claims no TLS."""

        async def run() -> None:
            _, transport, _ = await self.pair()
            verifyObject(ITCPTransport, transport)
            verifyObject(IPushProducer, transport)
            self.assertFalse(INegotiated.providedBy(transport))

        self.run_on_loop(run())

    def test_both_ways(self) -> None:
        """What one side writes, the other reads, in order."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            client.writer.write(b"one ")
            client.writer.write(b"two")
            await self.until(lambda: protocol.received == b"one two")
            transport.write(b"three ")
            transport.writeSequence([b"four ", b"five"])
            self.assertEqual(await client.reader.readexactly(15), b"three four five")

        self.run_on_loop(run())

    def test_nothing_of_ours_is_between(self) -> None:
        """asyncio calls the protocol's own method, and the protocol asyncio's."""

        async def run() -> None:
            protocol, transport, _ = await self.pair()
            self.assertEqual(transport.data_received, protocol.dataReceived)
            self.assertEqual(transport.write, transport._transport.write)

        self.run_on_loop(run())

    def test_addresses(self) -> None:
        """Both ends are told, for IPv4 and for IPv6."""

        async def run(interface: str, kind: type[IPv4Address | IPv6Address]) -> None:
            _, transport, client = await self.pair(interface)
            for address, name in ((transport.getPeer(), "sockname"), (transport.getHost(), "peername")):
                self.assertIsInstance(address, kind)
                self.assertEqual((address.host, address.port), client.writer.get_extra_info(name)[:2])

        self.run_on_loop(run(HERE, IPv4Address))
        self.ports.clear()
        self.run_on_loop(run("::1", IPv6Address))

    def test_options_of_the_socket(self) -> None:
        """TCP_NODELAY and SO_KEEPALIVE can be set and asked for."""

        async def run() -> None:
            _, transport, _ = await self.pair()
            for enabled in (False, True):
                transport.setTcpNoDelay(enabled)
                transport.setTcpKeepAlive(enabled)
                self.assertEqual((transport.getTcpNoDelay(), transport.getTcpKeepAlive()), (enabled, enabled))

        self.run_on_loop(run())

    def test_turned_away(self) -> None:
        """A factory that builds no protocol ends the connection."""

        async def run() -> None:
            await self.pair()
            other = await self.client()
            with self.assertRaises((EOFError, ConnectionResetError)):
                await other.take()

        self.run_on_loop(run())

    def test_reading_can_be_paused(self) -> None:
        """While it is, nothing comes; then all does."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.pauseProducing()
            transport.pauseProducing()
            client.writer.write(b"data")
            await client.writer.drain()
            await asyncio.sleep(0.05)
            self.assertEqual(protocol.received, b"")
            transport.resumeProducing()
            transport.resumeProducing()
            await self.until(lambda: protocol.received == b"data")

        self.run_on_loop(run())


class ClosingTests(TransportTestCase):
    def test_closed_by_the_peer(self) -> None:
        """The end of the stream is ConnectionDone, and nothing can be written any more."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            client.writer.write(b"last words")
            client.writer.write_eof()
            self.assertIsInstance(await self.end(protocol), ConnectionDone)
            self.assertEqual(protocol.received, b"last words")
            for close in (transport.loseConnection, transport.loseWriteConnection, transport.abortConnection):
                transport.write(b"too late")
                close()
            self.assertEqual(await client.reader.read(), b"")

        self.run_on_loop(run())

    def test_reset_by_the_peer(self) -> None:
        """A connection that breaks is ConnectionLost, with the system's words."""

        async def run() -> None:
            protocol, _, client = await self.pair()
            broken: socket.socket = client.writer.get_extra_info("socket")
            broken.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            client.writer.transport.abort()
            error = await self.end(protocol)
            self.assertIsInstance(error, ConnectionLost)
            self.assertIn("reset by peer", str(error))

        self.run_on_loop(run())

    def test_close(self) -> None:
        """`loseConnection` sends all that was written before it, and nothing of what comes after."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.write(MUCH)
            transport.stopProducing()
            transport.write(b"too late")
            self.assertEqual(await client.reader.read(-1), MUCH)
            self.assertIsInstance(await self.end(protocol), ConnectionDone)

        self.run_on_loop(run())

    def test_half_close(self) -> None:
        """`loseWriteConnection` sends all, then the end; what the peer still says is read."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.write(MUCH)
            transport.loseWriteConnection()
            transport.loseWriteConnection()
            transport.write(b"too late")
            self.assertEqual(await client.reader.read(-1), MUCH)
            client.writer.write(b"still here")
            await self.until(lambda: protocol.received == b"still here")
            self.assertEqual(protocol.ends, [])
            client.writer.close()
            self.assertIsInstance(await self.end(protocol), ConnectionDone)

        self.run_on_loop(run())

    def test_abort(self) -> None:
        """`abortConnection` does not wait for a peer that does not read: it resets the connection."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.write(MUCH)
            transport.loseConnection()
            transport.abortConnection()
            transport.abortConnection()
            self.assertIsInstance(await self.end(protocol), ConnectionAborted)
            with self.assertRaises(ConnectionResetError):
                while await client.reader.read(1 << 16):
                    pass

        self.run_on_loop(run())

    def test_error_in_the_protocol(self) -> None:
        """What `dataReceived` raises ends that connection, and is the reason."""

        async def run() -> None:
            protocol, _, client = await self.pair()
            protocol.when_received = {}.popitem
            client.writer.write(b"data")
            self.assertIsInstance(await self.end(protocol), KeyError)
            (fault,) = self.faults
            self.assertIsInstance(fault["exception"], KeyError)
            self.faults.clear()

        self.run_on_loop(run())


class ProducerTests(TransportTestCase):
    def test_full_and_empty(self) -> None:
        """The producer is told when the peer reads too slowly, and when it has caught up."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.registerProducer(protocol, True)
            transport.write(b"little")
            self.assertEqual(protocol.told, [])
            transport.write(MUCH)
            self.assertEqual(protocol.told, ["pause"])
            await client.reader.readexactly(6 + len(MUCH))
            await self.until(lambda: protocol.told == ["pause", "resume"])

        self.run_on_loop(run())

    def test_registered_when_full(self) -> None:
        """A producer that comes when the buffer is full is told at once; one that has left, never."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.write(MUCH)
            transport.registerProducer(protocol, True)
            self.assertEqual(protocol.told, ["pause"])
            transport.unregisterProducer()
            await client.reader.readexactly(len(MUCH))
            await asyncio.sleep(0.01)
            self.assertEqual(protocol.told, ["pause"])

        self.run_on_loop(run())

    def test_wrong_use(self) -> None:
        """Only one producer, and only one that pushes."""

        async def run() -> None:
            protocol, transport, _ = await self.pair()
            self.assertRaises(ValueError, transport.registerProducer, protocol, False)
            transport.registerProducer(protocol, True)
            self.assertRaises(RuntimeError, transport.registerProducer, protocol, True)

        self.run_on_loop(run())

    def test_stopped(self) -> None:
        """A producer is stopped by the end of the connection, and one that comes after it at once."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.registerProducer(protocol, True)
            client.writer.close()
            await self.end(protocol)
            self.assertEqual(protocol.told, ["stop"])
            transport.registerProducer(protocol, True)
            self.assertEqual(protocol.told, ["stop", "stop"])

        self.run_on_loop(run())


class TLSTests(TransportTestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = tempfile.TemporaryDirectory(prefix="mqttwist-")
        self.addCleanup(folder.cleanup)
        self.key, self.certificate = map(str, make_certificate(Path(folder.name)))
        self.server = server_context(self.certificate, self.key)
        self.trust = ssl.create_default_context(cafile=self.certificate)

    async def tls_pair(self) -> tuple[Recorder, Any, Client]:
        return await self.pair(
            port={"ssl_context": self.server}, context=self.trust, server_hostname="localhost"
        )

    def test_round_trip(self) -> None:
        """Bytes go both ways, and the transport says that it is TLS."""

        async def run() -> None:
            self.server.set_alpn_protocols(["mqtt"])
            self.trust.set_alpn_protocols(["mqtt"])
            protocol, transport, client = await self.tls_pair()
            client.writer.write(b"there")
            await self.until(lambda: protocol.received == b"there")
            transport.write(b"and back")
            self.assertEqual(await client.reader.readexactly(8), b"and back")
            verifyObject(INegotiated, transport)
            verifyObject(ITCPTransport, transport)
            self.assertEqual(transport.negotiatedProtocol, b"mqtt")
            self.assertIsNone(transport.getPeerCertificate())

        self.run_on_loop(run())

    def test_certificate_of_the_client(self) -> None:
        """A client that shows a certificate can be known by it."""

        async def run() -> None:
            self.server.verify_mode = ssl.CERT_REQUIRED
            self.server.load_verify_locations(self.certificate)
            self.trust.load_cert_chain(self.certificate, self.key)
            _, transport, _ = await self.tls_pair()
            certificate = transport.getPeerCertificate().to_cryptography()
            self.assertEqual(certificate.subject.rfc4514_string(), "CN=localhost")
            self.assertIsNone(transport.negotiatedProtocol)

        self.run_on_loop(run())

    def test_close(self) -> None:
        """Either way of closing sends all, and then TLS's own farewell: TLS has no halves."""

        async def run(close: str) -> None:
            protocol, transport, client = await self.tls_pair()
            transport.write(MUCH)
            getattr(transport, close)()
            transport.write(b"too late")
            self.assertEqual(await client.reader.read(-1), MUCH)
            self.assertIsInstance(await self.end(protocol), ConnectionDone)
            self.ports.pop().stopListening()

        for close in ("loseConnection", "loseWriteConnection"):
            self.run_on_loop(run(close))

    def test_closed_by_the_peer(self) -> None:
        """The client's farewell is ConnectionDone."""

        async def run() -> None:
            protocol, _, client = await self.tls_pair()
            client.writer.close()
            self.assertIsInstance(await self.end(protocol), ConnectionDone)

        self.run_on_loop(run())

    def test_no_tls_after_all(self) -> None:
        """A client that does not speak TLS is cut off, and no protocol sees it."""

        async def run() -> None:
            factory = RecorderFactory()
            await self.listen(factory, ssl_context=self.server)
            client = await self.client()
            client.writer.write(b"\x10\x10\x00\x04MQTT and so on")
            with self.assertRaises((EOFError, ConnectionResetError)):
                await client.take()
            self.assertIsNone(factory.made)

        self.run_on_loop(run())


class TransportOnUvloopTests(OnUvloop, TransportTests):
    """All of it on uvloop."""


class ClosingOnUvloopTests(OnUvloop, ClosingTests):
    """All of it on uvloop."""


class ProducerOnUvloopTests(OnUvloop, ProducerTests):
    """All of it on uvloop."""


class TLSOnUvloopTests(OnUvloop, TLSTests):
    """All of it on uvloop."""
