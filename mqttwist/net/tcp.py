"""A plain TCP connection: writing at once when nothing is in the way, reading more where more comes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.main import CONNECTION_DONE

from mqttwist.session.turn import Turn

BATCH = 0.0002  # seconds; a peer that was written to less than that ago is left to the reactor
BATCHED_SIZE = 16_384  # bytes; what is longer is worth a write of its own

# Bytes of one read: Twisted's own, and what takes its place for a peer that fills it. Four times as much
# halves the CPU of 64 KiB messages; sixteen times doubles it: the C library gets such blocks from the kernel.
READ_SIZE = tcp.Server.bufferSize
LARGE_READ_SIZE = 4 * READ_SIZE
SMALL_READ = READ_SIZE // 8


def read_size(before: int, size: int) -> int:
    """How much to ask for in the next read, after one of `before` bytes has brought `size`."""
    if before == READ_SIZE:
        return LARGE_READ_SIZE if size >= READ_SIZE else READ_SIZE
    return READ_SIZE if size < SMALL_READ else before


class TCPWriter:
    """Stands in for the `write` of a plain TCP transport.

    Twisted's own keeps what is written until the reactor's next round, asks for the socket to be watched,
    sends, and asks for it to be watched no more. As long as nothing waits in the transport's buffer, to send
    at once has the same effect and saves all that: a third of the CPU where one message is one write. A peer
    that gets something again in the same moment, such as the one subscriber of many publishers, is left to
    the reactor, which then sends all of it in one go.
    """

    __slots__ = ("_last", "_send", "_transport", "_turn")

    def __init__(self, transport: Any, turn: Turn) -> None:
        self._transport = transport
        self._send: Callable[[bytes], int] = transport.socket.send
        self._turn = turn
        self._last = 0.0

    def write(self, data: bytes) -> None:
        """Send what the socket takes, and leave the rest, and every error, to the transport.

        So is what is written while the transport closes, or after that: it knows what is still to go out.
        """
        transport = self._transport
        now = self._turn.now
        if (
            transport.dataBuffer
            or transport._tempDataBuffer
            or (now - self._last < BATCH and len(data) < BATCHED_SIZE)
            or not transport.connected
            or transport.disconnecting
            or transport._writeDisconnecting
            or transport._writeDisconnected
            or transport._aborting
        ):
            transport.write(data)
            return
        self._last = now
        try:
            sent = self._send(data)
        except OSError:
            sent = 0
        if sent < len(data):
            transport.write(data[sent:])


def is_plain_tcp(transport: Any) -> bool:
    """Whether `transport` is Twisted's own for a TCP connection that was accepted, without TLS."""
    return type(transport) is tcp.Server and not transport.TLS and hasattr(transport, "_tempDataBuffer")


def writer_for(transport: Any, turn: Turn) -> Callable[[bytes], None]:
    """The quickest way to write to `transport`: a `TCPWriter` for plain TCP, its own `write` for all else.

    That of an `AsyncioTransport` is asyncio's own, which sends at once, or in the same round of its loop.
    """
    if is_plain_tcp(transport):
        return TCPWriter(transport, turn).write  # not a callable object: that takes half as long again
    write: Callable[[bytes], None] = transport.write
    return write


def reader_for(transport: tcp.Server) -> Callable[[], Exception | None]:
    """What does the same as `doRead` of a plain TCP transport, in one call instead of two.

    Errors are left to Twisted's own, which meets them again.
    """
    receive: Callable[[int], bytes] = transport.socket.recv

    def read() -> Exception | None:
        try:
            data = receive(transport.bufferSize)
        except OSError:
            return tcp.Server.doRead(transport)
        if not data:
            return CONNECTION_DONE
        transport.protocol.dataReceived(data)
        return None

    return read
