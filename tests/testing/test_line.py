"""A Network Connection in memory behaves as TCP does under Twisted."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mqttwist.testing.endpoint import MemoryEndpoint
from mqttwist.testing.line import BUFFER_SIZE
from mqttwist.testing.steps import settle


@implementer(IPushProducer)
class End(Protocol):
    """Keeps what happens to it."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.reads: list[int] = []
        self.ends: list[Any] = []
        self.calls: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.reads.append(len(data))
        if data == b"fail":
            raise RuntimeError("on purpose")

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.ends.append(type(reason.value or reason))

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")


@implementer(IHalfCloseableProtocol)
class HalfCloseable(End):
    def readConnectionLost(self) -> None:
        self.calls.append("read lost")

    def writeConnectionLost(self) -> None:
        self.calls.append("write lost")


class LineTestCase(SynchronousTestCase):
    server_kind: type[End] = End

    def setUp(self) -> None:
        self.clock = Clock()
        self.servers: list[End] = []
        self.endpoint = MemoryEndpoint(self.clock, self.build)

    def build(self, address: object) -> IProtocol:
        self.servers.append(self.server_kind())
        return self.servers[-1]

    def join(self) -> tuple[Any, Any]:
        connecting = self.connect()
        settle(self.clock)
        return self.successResultOf(connecting), self.servers[-1]

    def connect(self) -> Deferred[IProtocol]:
        return self.endpoint.connect(Factory.forProtocol(End))


class LineTests(LineTestCase):
    def test_data(self) -> None:
        """What is written arrives in the next round, in its order, and in pieces that a socket would read."""
        client, server = self.join()
        client.transport.write(b"a")
        client.transport.writeSequence([b"b" * BUFFER_SIZE, b"c"])
        self.assertEqual(server.data, b"")
        settle(self.clock)
        self.assertEqual(server.data, b"a" + b"b" * BUFFER_SIZE + b"c")
        self.assertEqual(server.reads, [BUFFER_SIZE, 2])

    def test_latency(self) -> None:
        """It may be under way for a while."""
        self.endpoint.latency = 0.25
        client, server = self.join()
        client.transport.write(b"a")
        self.clock.advance(0.2)
        self.assertEqual(server.data, b"")
        self.clock.advance(0.05)
        self.assertEqual(server.data, b"a")

    def test_back_pressure(self) -> None:
        """An end that does not read makes the other's producer pause, and reading lets it go on."""
        client, server = self.join()
        client.transport.registerProducer(client, True)
        server.transport.pauseProducing()
        client.transport.write(b"x" * BUFFER_SIZE)
        self.assertEqual(client.calls, [])
        client.transport.write(b"x")
        settle(self.clock)
        self.assertEqual((client.calls, server.data), (["pause"], b""))
        server.transport.resumeProducing()
        settle(self.clock)
        self.assertEqual((client.calls, len(server.data)), (["pause", "resume"], BUFFER_SIZE + 1))

    def test_close(self) -> None:
        """To close sends first what was written; both ends see a clean end."""
        client, server = self.join()
        client.transport.write(b"bye")
        client.transport.loseConnection()
        client.transport.write(b"too late")
        settle(self.clock)
        self.assertEqual(
            (server.data, server.ends, client.ends), (b"bye", [ConnectionDone], [ConnectionDone])
        )
        self.assertEqual(self.endpoint.lines, [])

    def test_close_waits_for_producer(self) -> None:
        """To close waits for a producer, as Twisted's transports do."""
        client, server = self.join()
        client.transport.registerProducer(client, True)
        client.transport.loseConnection()
        settle(self.clock)
        self.assertEqual(server.ends, [])
        client.transport.unregisterProducer()
        settle(self.clock)
        self.assertEqual(server.ends, [ConnectionDone])

    def test_unread_end(self) -> None:
        """An end that does not read does not see the other one close either."""
        client, server = self.join()
        server.transport.pauseProducing()
        client.transport.loseWriteConnection()
        settle(self.clock)
        self.assertEqual(server.ends, [])
        server.transport.resumeProducing()
        settle(self.clock)
        self.assertEqual(server.ends, [ConnectionDone])

    def test_abort(self) -> None:
        """To abort throws away what was written; the other end sees a broken connection."""
        client, server = self.join()
        client.transport.write(b"lost")
        client.transport.abortConnection()
        self.assertEqual(client.ends, [])
        settle(self.clock)
        self.assertEqual(
            (server.data, server.ends, client.ends), (b"", [ConnectionLost], [ConnectionAborted])
        )

    def test_cut(self) -> None:
        """A cut is seen by both."""
        client, server = self.join()
        client.transport.write(b"lost")
        self.endpoint.lines[0].cut()
        settle(self.clock)
        self.assertEqual((server.data, server.ends, client.ends), (b"", [ConnectionLost], [ConnectionLost]))

    def test_mute(self) -> None:
        """On a muted line nothing comes through, not even an end, until it is unmuted."""
        client, server = self.join()
        line = self.endpoint.lines[0]
        line.mute()
        client.transport.write(b"a")
        settle(self.clock)
        self.assertEqual(server.data, b"")
        line.unmute()
        settle(self.clock)
        self.assertEqual(server.data, b"a")
        line.mute()
        client.transport.abortConnection()
        settle(self.clock)
        self.assertEqual((client.ends, server.ends, line.is_open), ([ConnectionAborted], [], True))

    def test_fault(self) -> None:
        """A protocol that raises is logged, and loses its connection."""
        client, server = self.join()
        client.transport.write(b"fail")
        settle(self.clock)
        self.assertEqual((server.ends, client.ends), ([ConnectionLost], [ConnectionLost]))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_refuse(self) -> None:
        """A connection may be refused, take a while, never come about, and be cancelled."""
        self.endpoint.refuses = True
        refused = self.connect()
        settle(self.clock)
        self.failureResultOf(refused, ConnectionRefusedError)
        self.endpoint.refuses = False
        self.endpoint.delay = 2.0
        slow = self.connect()
        self.clock.advance(1.0)
        self.assertNoResult(slow)
        self.clock.advance(1.0)
        self.successResultOf(slow)
        self.endpoint.delay = None
        never = self.connect()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        never.cancel()
        self.failureResultOf(never)
        self.assertEqual(self.endpoint.attempts, 3)


class HalfCloseTests(LineTestCase):
    server_kind = HalfCloseable

    def test_half_close(self) -> None:
        """A protocol that knows half a connection may still write, and closes when it likes."""
        client, server = self.join()
        client.transport.loseWriteConnection()
        settle(self.clock)
        self.assertEqual((server.calls, server.ends), (["read lost"], []))
        server.transport.write(b"still here")
        server.transport.loseConnection()
        settle(self.clock)
        self.assertEqual((client.data, client.ends), (b"still here", [ConnectionDone]))
        self.assertEqual(server.ends, [ConnectionDone])
