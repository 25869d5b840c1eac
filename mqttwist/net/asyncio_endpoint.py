"""A server endpoint on asyncio's own transports, for Twisted's asyncio reactor; quick with uvloop."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from asyncio import AbstractEventLoop, Handle
from asyncio.base_events import Server
from typing import Any

from twisted.internet.abstract import isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from zope.interface import implementer

from mqttwist.net.asyncio_transport import AsyncioTransport, twisted_address

log = Logger(namespace="mqttwist.broker")

BACKLOG = 1024  # connections that may wait to be accepted
HANDSHAKE_TIMEOUT = 10.0  # seconds; a peer of TLS that takes longer is cut off, and never seen by a protocol


def loop_of(reactor: Any) -> AbstractEventLoop | None:
    """The event loop that an asyncio reactor runs on; None for a reactor that does without."""
    loop = getattr(reactor, "_asyncioEventloop", None)  # which has no public name
    return loop if isinstance(loop, AbstractEventLoop) else None


def server_context(certificate: str, key: str | None = None) -> ssl.SSLContext:
    """TLS 1.2 and above with a certificate and its private key, both PEM files; `key` if it is another file.

    Raises `ValueError` with one clear line for files that are none or can't be read.
    """

    def no_password() -> str:
        raise ValueError(f"the private key in {key or certificate} is encrypted")

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for path in (certificate, key or certificate):
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            raise ValueError(f"{path} can't be read: {error.strerror}") from error
    try:
        context.load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        text = f"{certificate} holds no certificate, or {key or certificate} no key for it"
        raise ValueError(f"{text}: {error.reason or error}") from error
    return context


@implementer(IListeningPort)
class AsyncioPort:
    """What listens. The socket does so from `startListening` on; clients are accepted when the loop runs."""

    def __init__(self, endpoint: AsyncioServerEndpoint, factory: IProtocolFactory) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._socket: socket.socket | None = None
        self._address: IPv4Address | IPv6Address | None = None
        self._to_start: Handle | None = None
        self._server: Deferred[Server | None] = succeed(None)

    def startListening(self) -> None:
        """Raises `CannotListenError` at once, so that a port below 1024 is taken while root may do so."""
        interface, port = self._endpoint.interface, self._endpoint.port
        listening = socket.socket(socket.AF_INET6 if isIPv6Address(interface) else socket.AF_INET)
        try:
            if os.name == "posix" and sys.platform != "cygwin":
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setblocking(False)
            listening.bind((interface, port))
            listening.listen(self._endpoint.backlog)
        except OSError as error:
            listening.close()
            raise CannotListenError(interface, port, error) from error
        self._socket = listening
        self._address = twisted_address(listening.getsockname())
        self._factory.doStart()
        # No coroutine yet: when another endpoint can't listen, the loop never runs, and it would complain.
        self._to_start = self._endpoint.loop.call_soon(self._start, listening)

    def _start(self, listening: socket.socket) -> None:
        self._to_start = None
        loop, context = self._endpoint.loop, self._endpoint.ssl_context
        serving = loop.create_server(
            lambda: AsyncioTransport(self._build),
            sock=listening,
            backlog=self._endpoint.backlog,
            ssl=context,
            ssl_handshake_timeout=None if context is None else HANDSHAKE_TIMEOUT,
        )
        self._server = Deferred.fromFuture(loop.create_task(serving))
        self._server.addErrback(lambda failure: log.failure("Cannot accept connections", failure))

    def _build(self, address: IAddress) -> IProtocol | None:
        return None if self._socket is None else self._factory.buildProtocol(address)

    def stopListening(self) -> Deferred[None]:
        """Fires when the socket is closed. Connections live on; who is not through yet is turned away."""
        listening, self._socket = self._socket, None
        if listening is None:
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        if self._to_start is not None:
            self._to_start.cancel()

        def close(server: Server | None) -> None:
            if server is None:
                listening.close()
            else:
                server.close()
            self._factory.doStop()
            stopped.callback(None)

        self._server.addCallback(close)
        return stopped

    def getHost(self) -> IPv4Address | IPv6Address:
        """Where it listens; stays true after the end."""
        if self._address is None:
            raise RuntimeError("the port does not listen yet")
        return self._address


@implementer(IStreamServerEndpoint)
class AsyncioServerEndpoint:
    """Listens on a TCP `port` (0: any free one) of `interface`; with an `ssl_context`, asyncio does TLS.

    `interface` is an IPv4 or IPv6 address or the name of one; none means all of IPv4. Factories and protocols
    are Twisted's. Raises `RuntimeError` for a reactor that does not run on asyncio.
    """

    def __init__(
        self,
        reactor: Any,
        port: int,
        interface: str = "",
        backlog: int = BACKLOG,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        loop = loop_of(reactor)
        if loop is None:
            raise RuntimeError(
                f"{type(reactor).__name__} does not run on asyncio: "
                "start with --reactor=asyncio or --reactor=uvloop"
            )
        self.loop = loop
        self.port = port
        self.interface = interface
        self.backlog = backlog
        self.ssl_context = ssl_context

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        return execute(self._listen, protocolFactory)

    def _listen(self, factory: IProtocolFactory) -> IListeningPort:
        port = AsyncioPort(self, factory)
        port.startListening()
        return port


def _number(name: str, text: str, maximum: int) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= maximum):
        raise ValueError(f"{name} must be 0..{maximum}, not {text!r}")
    return int(text)


def endpoint_from_words(reactor: Any, *words: str, **options: str) -> AsyncioServerEndpoint:
    """``asyncio:1883:interface=::1:backlog=50:privateKey=key.pem:certKey=cert.pem``, cut into its parts.

    Raises `ValueError` with one clear line for words that are not understood.
    """
    unknown = set(options) - {"port", "interface", "backlog", "privateKey", "certKey"}
    if unknown:
        raise ValueError(f"{min(unknown)} is no argument of it")
    if len(words) + ("port" in options) != 1:
        raise ValueError("it takes one port")
    key, certificate = options.get("privateKey"), options.get("certKey")
    return AsyncioServerEndpoint(
        reactor,
        _number("port", words[0] if words else options["port"], 65_535),
        options.get("interface", ""),
        _number("backlog", options.get("backlog", str(BACKLOG)), 2**31 - 1),
        server_context(certificate or key or "", key) if certificate or key else None,
    )
