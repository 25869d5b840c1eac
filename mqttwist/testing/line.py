"""A Network Connection in memory: two transports that behave as those of TCP do, and ways to break them.

What is written at one end comes out of the other in the reactor's next round, or after `latency` seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IProtocol,
    IReactorTime,
    ITCPTransport,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

log = Logger(namespace="mqttwist.testing")

BUFFER_SIZE = 65_536  # bytes: what is written before the producer is paused, and what is read at a time

# How far an end is with writing.
OPEN = 0
CLOSING = 1  # all is to be closed when the buffer is empty
HALF_CLOSING = 2  # only our side is
ENDED = 3  # the other side has been told


@implementer(ITCPTransport)
class MemoryTransport:
    """One end of a `Line`."""

    def __init__(self, line: Line, host: IPv4Address, peer: IPv4Address) -> None:
        self.line = line
        self.protocol: IProtocol | None = None
        self.other: MemoryTransport = self
        self.is_connected = True
        self.is_reading = True
        self.state = OPEN
        self.disconnecting = False
        self._host = host
        self._peer = peer
        self._buffer = bytearray()
        self._producer: Any = None
        self._is_streaming = False
        self._is_full = False

    # What a protocol calls

    def write(self, data: bytes) -> None:
        if self.is_connected and self.state == OPEN:
            self._buffer += data
            self._limit()
            self.line.wake()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def _limit(self) -> None:
        if len(self._buffer) > BUFFER_SIZE and self._producer is not None and not self._is_full:
            self._is_full = True
            if self._is_streaming:
                self._producer.pauseProducing()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Raises `RuntimeError` if there is a producer already."""
        if self._producer is not None:
            raise RuntimeError("there is a producer already")
        if not self.is_connected:
            producer.stopProducing()
            return
        self._producer = producer
        self._is_streaming = streaming
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._is_full = False
        self.line.wake()

    def pauseProducing(self) -> None:
        self.is_reading = False

    def resumeProducing(self) -> None:
        self.is_reading = True
        self.line.wake()

    def stopProducing(self) -> None:
        self.loseConnection()

    def loseConnection(self) -> None:
        """Close when all that was written has gone out."""
        self.disconnecting = True
        if self.state != ENDED:
            self.state = CLOSING
        self.line.wake()

    def loseWriteConnection(self) -> None:
        """Close our side when all that was written has gone out."""
        if self.state == OPEN:
            self.state = HALF_CLOSING
            self.line.wake()

    def abortConnection(self) -> None:
        """Close at once, in the reactor's next round; what was written is thrown away."""
        self.disconnecting = True
        self._buffer.clear()
        self.state = ENDED
        self.line.soon(lambda: self.lose(ConnectionAborted()))
        self.line.soon(self.line.break_other(self))

    def getHost(self) -> IPv4Address:
        return self._host

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """There is nothing to be delayed."""

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """There is nothing to be kept alive."""

    # What the line calls

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing for `carry` to do."""
        return not self._buffer and self.state in (OPEN, ENDED)

    def carry(self) -> bool:
        """Hand what was written to the other end, or tell it of our end; whether anything has moved."""
        other = self.other
        if not other.is_reading or (not other.is_connected and self.state == OPEN):
            return False
        if self._buffer:
            data = bytes(self._buffer[:BUFFER_SIZE])
            del self._buffer[:BUFFER_SIZE]
            other.take(data)
            self._has_room()
            return True
        if self.state in (CLOSING, HALF_CLOSING) and (self._producer is None or self.state == HALF_CLOSING):
            self._end()
            return True
        return False

    def _has_room(self) -> None:
        producer = self._producer
        if not self._buffer and producer is not None and (self._is_full or not self._is_streaming):
            self._is_full = False
            producer.resumeProducing()

    def _end(self) -> None:
        was_closing, self.state = self.state == CLOSING, ENDED
        self.other.end_of_file()
        if was_closing or self.other.state == ENDED:
            self.lose(ConnectionDone())

    def take(self, data: bytes) -> None:
        """Data has come. A protocol that fails loses its connection, as the reactor would have it."""
        if not self.is_connected or self.protocol is None:
            return
        try:
            self.protocol.dataReceived(data)
        except Exception:
            log.failure("Error in a protocol")
            self.lose(ConnectionLost())

    def end_of_file(self) -> None:
        """The other end writes no more: a protocol that does not know half a connection has none now."""
        protocol = self.protocol
        if self.is_connected and IHalfCloseableProtocol.providedBy(protocol) and self.state == OPEN:
            protocol.readConnectionLost()
        else:
            self.lose(ConnectionDone())

    def lose(self, error: Exception) -> None:
        """The connection is gone, as far as this end can tell."""
        if not self.is_connected:
            return
        self.is_connected = False
        if self.state != ENDED:
            self.state = ENDED
            self._buffer.clear()
            self.line.soon(self.line.break_other(self))
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        if self.protocol is not None:
            self.protocol.connectionLost(Failure(error))
        self.line.end_lost()


class Line:
    """One Network Connection, from the `client` end to the `server` end."""

    def __init__(
        self,
        clock: IReactorTime,
        addresses: tuple[IPv4Address, IPv4Address],
        latency: float = 0.0,
        on_end: Callable[[Line], object] | None = None,
    ) -> None:
        self._clock = clock
        self._latency = latency
        self._on_end = on_end
        self._is_awake = False
        self._is_muted = False
        here, there = addresses
        self.client = MemoryTransport(self, here, there)
        self.server = MemoryTransport(self, there, here)
        self.client.other, self.server.other = self.server, self.client

    def join(self, client: IProtocol, server: IProtocol) -> None:
        """Let two protocols speak to each other."""
        self.client.protocol, self.server.protocol = client, server
        server.makeConnection(self.server)
        client.makeConnection(self.client)

    @property
    def is_open(self) -> bool:
        """Whether one of the ends believes so."""
        return self.client.is_connected or self.server.is_connected

    # What a test does to it

    def cut(self) -> None:
        """Break it: both ends see it at once, and what was under way is lost."""
        self.client.lose(ConnectionLost())
        self.server.lose(ConnectionLost())

    def mute(self) -> None:
        """Let nothing come through any more, in no direction: neither end learns of it."""
        self._is_muted = True

    def unmute(self) -> None:
        """Let come through what waits, and what follows."""
        self._is_muted = False
        self.wake()

    # What its ends call

    def soon(self, call: Callable[[], object]) -> None:
        """Have `call` called in the next round."""
        self._clock.callLater(0, call)

    def break_other(self, end: MemoryTransport) -> Callable[[], object]:
        """What tells the other end that `end` has gone without a farewell, if it can be told."""

        def tell() -> None:
            if not self._is_muted:
                end.other.lose(ConnectionLost())

        return tell

    def end_lost(self) -> None:
        """One of the ends is gone."""
        if not self.is_open and self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(self)

    def wake(self) -> None:
        """There may be something to carry."""
        if not self._is_awake and not self._is_muted and not (self.client.is_idle and self.server.is_idle):
            self._is_awake = True
            self._clock.callLater(self._latency, self._carry)

    def _carry(self) -> None:
        self._is_awake = False
        if self._is_muted:
            return
        moved = self.client.carry()
        moved = self.server.carry() or moved
        if moved:
            self.wake()
