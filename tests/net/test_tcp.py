"""Writing at once: in the order of writing, nothing lost, and only where it is safe."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet import tcp
from twisted.internet.address import IPv4Address
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.net.address import peer_name
from mqttwist.net.protocol import MQTTServerFactory, MQTTServerProtocol
from mqttwist.net.tcp import (
    BATCH,
    BATCHED_SIZE,
    LARGE_READ_SIZE,
    READ_SIZE,
    SMALL_READ,
    TCPWriter,
    read_size,
    reader_for,
    writer_for,
)
from mqttwist.session.turn import Turn
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.connect import Connect


class FakeSocket:
    """Takes `room` bytes at once, and fails with `error` if there is one."""

    def __init__(self) -> None:
        self.room = 1_000_000
        self.error: OSError | None = None
        self.sent = b""

    def send(self, data: bytes) -> int:
        if self.error is not None:
            raise self.error
        taken = data[: self.room]
        self.sent += taken
        return len(taken)


class FakeTransport:
    """What the writer looks at of Twisted's TCP transport; `drain` is the reactor's next round."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        self.connected = 1
        self.disconnecting = 0
        self._writeDisconnecting = self._writeDisconnected = self._aborting = False
        self.dataBuffer = b""
        self._tempDataBuffer: list[bytes] = []

    def write(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)

    def drain(self) -> None:
        self.socket.sent += self.dataBuffer + b"".join(self._tempDataBuffer)
        self.dataBuffer, self._tempDataBuffer = b"", []


class TCPWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1.0)
        self.turn = Turn(self.clock.seconds)
        self.transport = FakeTransport()
        self.write = TCPWriter(self.transport, self.turn).write

    def later(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        self.turn.begin()

    def test_at_once(self) -> None:
        """With nothing in the way, what is written goes to the socket."""
        self.write(b"one")
        self.later()
        self.write(b"two")
        self.assertEqual((self.transport.socket.sent, self.transport._tempDataBuffer), (b"onetwo", []))

    def test_the_rest_is_left_to_the_transport(self) -> None:
        """What the socket does not take now, the transport sends later, and nothing overtakes it."""
        self.transport.socket.room = 2
        self.write(b"first")
        self.later()
        self.write(b"second")
        self.transport.dataBuffer, self.transport._tempDataBuffer = b"rstsecond", []
        self.later()
        self.write(b"third")
        self.assertEqual(self.transport.socket.sent, b"fi")
        self.transport.drain()
        self.assertEqual(self.transport.socket.sent, b"firstsecondthird")
        self.later()
        self.transport.socket.room = 100
        self.write(b"fourth")
        self.assertEqual(self.transport.socket.sent, b"firstsecondthirdfourth")

    def test_one_send_for_many_writes_of_a_moment(self) -> None:
        """A peer that is written to again and again gets what comes after the first in one go."""
        for payload in (b"a", b"b", b"c"):
            self.write(payload)
            self.later(BATCH / 10)
        self.assertEqual((self.transport.socket.sent, self.transport._tempDataBuffer), (b"a", [b"b", b"c"]))

    def test_a_large_write_goes_at_once(self) -> None:
        """What is large enough for a send of its own is not copied together with others."""
        large = bytes(BATCHED_SIZE)
        for payload in (large, large, large[1:]):
            self.write(payload)
        self.assertEqual(
            (len(self.transport.socket.sent), self.transport._tempDataBuffer), (2 * BATCHED_SIZE, [large[1:]])
        )

    def test_errors_are_left_to_the_transport(self) -> None:
        """A full or broken socket is the transport's business: it tells of the end of the connection."""
        for error in (BlockingIOError(), BrokenPipeError(), ConnectionResetError()):
            self.later()
            self.transport.socket.error = error
            self.write(b"data")
            self.assertEqual(self.transport._tempDataBuffer, [b"data"])
            self.transport.drain()

    def test_no_longer_connected(self) -> None:
        """Nothing is sent on a connection that has been closed."""
        self.transport.connected = 0
        self.write(b"data")
        self.assertEqual(self.transport.socket.sent, b"")

    def test_closing(self) -> None:
        """Nothing is sent at once on a connection that closes, or has closed its own half."""
        for state in ("disconnecting", "_writeDisconnecting", "_writeDisconnected", "_aborting"):
            self.later()
            setattr(self.transport, state, True)
            self.write(b"data")
            self.assertEqual((self.transport.socket.sent, self.transport._tempDataBuffer), (b"", [b"data"]))
            self.transport._tempDataBuffer.clear()
            setattr(self.transport, state, False)


class ServerTestCase(SynchronousTestCase):
    def a_server(self, kind: type[tcp.Server] = tcp.Server) -> tcp.Server:
        """A transport of Twisted's on a socket that is connected to nobody."""
        left = socket.socket()
        self.addCleanup(left.close)
        return kind(
            left, cast(Any, None), ("127.0.0.1", 1), cast(Any, None), 1, cast(Any, MemoryReactorClock())
        )


class WriterForTests(ServerTestCase):
    def test_plain_tcp(self) -> None:
        """Twisted's own TCP transport gets a writer, and has all that the writer looks at."""
        transport = self.a_server()
        writer = writer_for(transport, Turn(Clock().seconds))
        self.assertIsInstance(cast(Any, writer).__self__, TCPWriter)
        self.assertEqual((transport.dataBuffer, transport._tempDataBuffer, transport.connected), (b"", [], 1))
        self.assertFalse(transport.disconnecting or transport._aborting)
        self.assertFalse(transport._writeDisconnecting or transport._writeDisconnected)

    def test_everything_else(self) -> None:
        """TLS, a subclass and any other transport write for themselves."""
        encrypted = self.a_server()
        encrypted.TLS = True
        special = self.a_server(type("Special", (tcp.Server,), {}))
        for transport in (encrypted, special, StringTransport()):
            self.assertEqual(writer_for(transport, Turn(Clock().seconds)), transport.write)


class ReaderTests(ServerTestCase):
    """Reading in one step is the same as reading in Twisted's two."""

    def setUp(self) -> None:
        self.peer, mine = socket.socketpair()
        mine.setblocking(False)
        for one in (self.peer, mine):
            self.addCleanup(one.close)
        self.data: list[bytes] = []
        self.transport = self.a_server()
        self.transport.socket = mine
        self.transport.protocol = cast(Any, self)
        self.read = reader_for(self.transport)
        self.dataReceived = self.data.append

    def test_data(self) -> None:
        """What has come goes to the protocol, `bufferSize` bytes of it at most."""
        self.peer.send(b"one two")
        self.transport.bufferSize = 4
        self.assertEqual([self.read(), self.read()], [None, None])
        self.assertEqual(self.data, [b"one ", b"two"])

    def test_nothing_yet(self) -> None:
        """When there is nothing to be read, nothing happens."""
        self.assertIsNone(self.read())
        self.assertEqual(self.data, [])

    def test_the_end(self) -> None:
        """That a peer has closed its half, or the connection is broken, is told as Twisted tells it."""
        self.peer.close()
        self.assertIs(self.read(), CONNECTION_DONE)
        self.transport.socket.close()
        self.assertIs(self.read(), CONNECTION_LOST)

    def test_another_protocol(self) -> None:
        """A protocol that has taken the place of ours, as for `startTLS`, gets what comes from then on."""
        others: list[bytes] = []
        self.transport.protocol = cast(Any, SimpleNamespace(dataReceived=others.append))
        self.peer.send(b"hello")
        self.read()
        self.assertEqual((self.data, others), ([], [b"hello"]))

    def test_only_while_connected(self) -> None:
        """A transport reads like that as long as it is connected, and then refers to nothing."""
        factory = MQTTServerFactory(clock=MemoryReactorClock(), login=accept_everybody)
        protocol = factory.buildProtocol(IPv4Address("TCP", "192.0.2.7", 50123))
        transport = self.a_server()
        cast(Any, protocol).makeConnection(transport)
        self.assertIn("doRead", vars(transport))
        self.assertEqual(peer_name(protocol.address), "192.0.2.7:50123")
        protocol.connectionLost()
        self.assertNotIn("doRead", vars(transport))


class ReadSizeTests(ServerTestCase):
    def test_sizes(self) -> None:
        """A read that was filled makes the next ones larger, a small one makes them as they were."""
        size = READ_SIZE
        for got, expected in (
            (READ_SIZE - 1, READ_SIZE),
            (READ_SIZE, LARGE_READ_SIZE),
            (SMALL_READ, LARGE_READ_SIZE),
            (LARGE_READ_SIZE, LARGE_READ_SIZE),
            (SMALL_READ - 1, READ_SIZE),
            (1, READ_SIZE),
        ):
            size = read_size(size, got)
            self.assertEqual(size, expected)

    def test_a_peer_with_more_to_say(self) -> None:
        """Twisted's transport is asked for more while its peer fills the reads."""
        broker = Broker(MemoryStore(), Clock().seconds, login=accept_everybody)
        protocol = MQTTServerProtocol(broker, Clock())
        transport = protocol.transport = self.a_server()
        protocol.write = lambda data: None  # type: ignore[method-assign]
        protocol._connection = broker.connect(protocol, "peer")
        protocol.dataReceived(Connect("big").encode())
        for size, expected in (
            (READ_SIZE, LARGE_READ_SIZE),
            (LARGE_READ_SIZE, LARGE_READ_SIZE),
            (10, READ_SIZE),
        ):
            protocol.dataReceived(b"\xc0\x00" * (size // 2))
            self.assertEqual(transport.bufferSize, expected)
