"""What a Twisted protocol sees of a connection that asyncio has accepted."""

from __future__ import annotations

import asyncio
import socket

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import INegotiated, IPushProducer, ITCPTransport
from zope.interface.verify import verifyObject

from mqttwist.net.asyncio_transport import NO_LINGER
from tests.net.loops import HERE, OnUvloop
from tests.net.recorder import MUCH, TransportTestCase


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

    def test_closed_by_a_peer_that_does_not_read(self) -> None:
        """Then nothing more is sent: who reads nothing would keep it in memory for ever."""

        async def run() -> None:
            protocol, transport, client = await self.pair()
            transport.write(MUCH)
            client.writer.write_eof()
            self.assertIsInstance(await self.end(protocol), ConnectionDone)
            self.assertLess(len(await client.reader.read(-1)), len(MUCH))

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


class TransportOnUvloopTests(OnUvloop, TransportTests):
    """All of it on uvloop."""


class ClosingOnUvloopTests(OnUvloop, ClosingTests):
    """All of it on uvloop."""


class ProducerOnUvloopTests(OnUvloop, ProducerTests):
    """All of it on uvloop."""
