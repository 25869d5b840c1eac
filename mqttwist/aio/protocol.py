"""The asyncio protocol of the client: carries bytes between a transport and the core's `ClientConnection`."""

from __future__ import annotations

import asyncio
import logging
import ssl
from typing import TYPE_CHECKING, Any, Final

from mqttwist.front.farewell import let_peer_talk

if TYPE_CHECKING:
    from mqttwist.client.connection import ClientConnection
    from mqttwist.front.client import FrontClient

log: Final = logging.getLogger("mqttwist.client")

LINGER: Final = 5.0  # seconds; how long the Server may take to read our last words


class ClientProtocol(asyncio.Protocol):
    """One Network Connection to a Server, and what the core calls a transport.

    `closed` is done when the transport is gone.
    """

    def __init__(self, front: FrontClient, loop: asyncio.AbstractEventLoop) -> None:
        self._front = front
        self._loop = loop
        self._connection: ClientConnection | None = None
        self._transport: Any = None
        self._tls: ssl.SSLObject | None = None
        self._linger: asyncio.TimerHandle | None = None
        self.closed: asyncio.Future[None] = loop.create_future()

    # What asyncio calls

    def connection_made(self, transport: Any) -> None:
        """`transport` works as an `asyncio.Transport`; uvloop's is not declared to be one."""
        self._transport = transport
        self._tls = transport.get_extra_info("ssl_object")
        try:
            self._connection = self._front.open(self, peer_name(transport))
        except Exception:
            log.exception("Error in the client when it was to send CONNECT")
            transport.abort()

    def data_received(self, data: bytes) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            connection.receive_data(data)
            self._front.settle()
        except Exception:
            self._abandon(connection)

    def eof_received(self) -> bool:
        """The Server will send no more. False has asyncio close our side too, with TLS's own farewell.

        That would wait for a Server which does not read; without TLS there is nothing to be said any more.
        """
        self._lost("closed by the Server without DISCONNECT")
        if self._tls is None:
            self._transport.abort()
        else:
            self._linger_a_while()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._lost("closed by the Server without DISCONNECT" if exc is None else str(exc) or repr(exc))
        if not self.closed.done():
            self.closed.set_result(None)

    def pause_writing(self) -> None:
        """The transport's buffer is full."""
        if self._connection is not None:
            self._connection.transport_full()

    def resume_writing(self) -> None:
        """The transport's buffer has room again."""
        connection = self._connection
        if connection is None:
            return
        try:
            connection.transport_ready()
            self._front.settle()
        except Exception:
            self._abandon(connection)

    # What the core calls

    def write(self, data: bytes) -> None:
        self._transport.write(data)

    def close(self) -> None:
        """Close so that the Server can read what was written last.

        To close a socket in which something is unread resets the connection, and the Server may never see
        DISCONNECT. So our half is closed, and what still comes is thrown away until the Server closes its
        own. TLS knows no halves: its farewell is waited for.
        """
        transport = self._transport
        self.resume_reading()
        self._linger_a_while()
        if transport.is_closing():
            return
        if self._tls is not None:
            let_peer_talk(self._tls)
            transport.close()
        else:
            transport.write_eof()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # Inside

    def abort(self) -> None:
        """Close now; harmless when there is no transport."""
        if self._transport is not None:
            self._transport.abort()

    def _linger_a_while(self) -> None:
        if self._linger is None:
            self._linger = self._loop.call_later(LINGER, self._transport.abort)

    def _lost(self, cause: str) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.lost(cause)
            self._front.settle()

    def _abandon(self, connection: ClientConnection) -> None:
        """The client itself has failed: log it, and let the next connection go on."""
        log.exception("Error in the client while it served %s; the connection is closed", connection.peer)
        self._lost("error in the client")
        self.abort()


def peer_name(transport: Any) -> str:
    """`127.0.0.1:1883`, `[::1]:1883` or `unix:/run/mqtt.sock`."""
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
    return f"unix:{peer.decode(errors='replace') if isinstance(peer, bytes) else peer or '(unnamed)'}"
