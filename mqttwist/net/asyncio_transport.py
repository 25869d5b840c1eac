"""One connection that asyncio has accepted, as a Twisted protocol sees it: the transport between the two."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IAddress,
    INegotiated,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer, providedBy

from mqttwist.front.farewell import let_peer_talk

NO_LINGER = struct.pack("ii", 1, 0)  # SO_LINGER: throw away what was not sent yet, and reset the connection


def twisted_address(name: tuple[Any, ...]) -> IPv4Address | IPv6Address:
    """What a socket calls its own or its peer's name: two items for IPv4, four for IPv6."""
    return IPv4Address("TCP", *name) if len(name) == 2 else IPv6Address("TCP", *name)


@implementer(ITCPTransport, IPushProducer)
class AsyncioTransport(asyncio.Protocol):
    """A protocol for asyncio, a TCP transport for Twisted.

    `build` gets the peer's address and answers Twisted's protocol, or None to turn the peer away. From then
    on nothing of ours is on the way of the bytes: asyncio calls the protocol's own `dataReceived`, and
    `write` is the own method of asyncio's transport. With TLS this provides `INegotiated` too.

    A peer that closes its half of the connection ends it, as Twisted's TCP does for most protocols.
    """

    _transport: asyncio.Transport
    _peer: IPv4Address | IPv6Address
    _host: IPv4Address | IPv6Address

    def __init__(self, build: Callable[[IAddress], IProtocol | None]) -> None:
        self._build = build
        self._protocol: IProtocol | None = None
        self._producer: IPushProducer | None = None
        self._is_full = False
        self._aborted = False
        self._tls: ssl.SSLObject | None = None

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        """`transport` works as an `asyncio.Transport`; uvloop's is not declared to be one."""
        peer, host = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        protocol = None
        if peer and host:  # no peer: it has gone again already
            self._peer, self._host = twisted_address(peer), twisted_address(host)
            protocol = self._build(self._peer)
        if protocol is None:
            transport.abort()
            return
        self._transport = transport
        self._tls = transport.get_extra_info("ssl_object")
        self._protocol = protocol
        self.data_received = protocol.dataReceived  # type: ignore[method-assign]
        self.write = transport.write  # type: ignore[method-assign]
        transport.set_protocol(self)  # uvloop asks for data_received here, and not again
        if self._tls is not None:
            directlyProvides(self, INegotiated, providedBy(self))
        protocol.makeConnection(self)

    def eof_received(self) -> bool:
        """The peer will send no more. False has asyncio close our side too, with TLS's own farewell.

        That would wait for a peer which does not read; without TLS there is nothing to be said any more.
        """
        self._lose(ConnectionDone())
        if self._tls is None:
            self._transport.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._aborted:
            self._lose(ConnectionAborted())
        elif exc is None:
            self._lose(ConnectionDone())
        else:
            self._lose(ConnectionLost(str(exc)) if isinstance(exc, OSError) else exc)

    def pause_writing(self) -> None:
        self._is_full = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def resume_writing(self) -> None:
        self._is_full = False
        if self._producer is not None:
            self._producer.resumeProducing()

    def _lose(self, error: Exception) -> None:
        """Tell the protocol, once."""
        protocol, self._protocol = self._protocol, None
        if protocol is None:
            return
        self._stop_writing()
        del self.data_received
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.stopProducing()
        protocol.connectionLost(Failure(error))

    # ITransport

    def write(self, data: bytes) -> None:
        """Nothing, before there is a connection and after it; between, asyncio's own `write` is here."""

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """Close once all that was written has gone out."""
        self._stop_writing()
        if not self._transport.is_closing():  # to close TLS twice is an error of asyncio's
            if self._tls is not None:
                let_peer_talk(self._tls)
            self._transport.close()

    def getPeer(self) -> IPv4Address | IPv6Address:
        return self._peer

    def getHost(self) -> IPv4Address | IPv6Address:
        return self._host

    def _stop_writing(self) -> None:
        self.__dict__.pop("write", None)

    # ITCPTransport

    def loseWriteConnection(self) -> None:
        """Close our half once all that was written has gone out, and go on reading. TLS knows no halves."""
        if self._tls is not None:
            self.loseConnection()
        elif not self._transport.is_closing():
            self._stop_writing()
            self._transport.write_eof()

    def abortConnection(self) -> None:
        """Close now. What was not sent yet is lost, in the kernel as well."""
        self._stop_writing()
        if self._protocol is None or self._aborted:
            return
        self._aborted = True
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
        self._transport.abort()

    def getTcpNoDelay(self) -> bool:
        return bool(self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        return bool(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._transport.get_extra_info("socket")
        return found

    # IConsumer

    def registerProducer(self, producer: IPushProducer, streaming: bool) -> None:
        """Have `producer` told when the buffer is full. Raises `ValueError` for a pull producer."""
        if not streaming:
            raise ValueError("only push producers can be registered")
        if self._producer is not None:
            raise RuntimeError(f"{self._producer!r} is registered already")
        if self._protocol is None:
            producer.stopProducing()
            return
        self._producer = producer
        if self._is_full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    # IPushProducer

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._transport.pause_reading()

    def resumeProducing(self) -> None:
        self._transport.resume_reading()

    def stopProducing(self) -> None:
        self.loseConnection()

    # INegotiated, with TLS

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has agreed on."""
        name = self._tls.selected_alpn_protocol() if self._tls is not None else None
        return None if name is None else name.encode()

    def getPeerCertificate(self) -> Any:
        """The client's certificate as an `OpenSSL.crypto.X509`, or None; needs `mqttwist[tls]`."""
        data = self._tls.getpeercert(binary_form=True) if self._tls is not None else None
        if data is None:
            return None
        from OpenSSL.crypto import FILETYPE_ASN1, load_certificate

        return load_certificate(FILETYPE_ASN1, data)
