"""Where Servers are, for a client on asyncio: TCP, TLS and UNIX sockets."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

from mqttwist.front.places import Address, address_of

HAPPY_EYEBALLS: Final = 0.25  # seconds after which the next address of a host is tried too (RFC 8305)

MakeProtocol = Callable[[], asyncio.Protocol]
TLS = bool | ssl.SSLContext


class Place(Protocol):
    """A Server to connect to."""

    @property
    def is_tls(self) -> bool:
        """Whether it is reached by TLS."""

    async def connect(self, loop: asyncio.AbstractEventLoop, make: MakeProtocol) -> object:
        """Make a transport, and a protocol for it."""


class HostPlace:
    """A host on the Internet. Its name is looked up anew at each attempt."""

    def __init__(self, address: Address, context: ssl.SSLContext | None) -> None:
        self._address = address
        self._context = context

    @property
    def is_tls(self) -> bool:
        return self._context is not None

    async def connect(self, loop: asyncio.AbstractEventLoop, make: MakeProtocol) -> object:
        options: dict[str, Any] = {}
        if isinstance(loop, asyncio.BaseEventLoop):  # uvloop does not know it
            options["happy_eyeballs_delay"] = HAPPY_EYEBALLS
        host, port, _ = self._address
        return await loop.create_connection(make, host, port, ssl=self._context, **options)

    def __str__(self) -> str:
        host, port, is_tls = self._address
        return f"{'mqtts' if is_tls else 'mqtt'}://{f'[{host}]' if ':' in host else host}:{port}"


class UnixPlace:
    """A UNIX socket on this machine, which needs no TLS."""

    is_tls: Final = False

    def __init__(self, path: str) -> None:
        self._path = path

    async def connect(self, loop: asyncio.AbstractEventLoop, make: MakeProtocol) -> object:
        return await loop.create_unix_connection(make, self._path)

    def __str__(self) -> str:
        return f"unix:{self._path}"


def place_of(where: str, tls: TLS = False) -> Place:
    """The Server that `where` describes: see `mqttwist.aio.Client`. Raises `ValueError`."""
    if where.startswith("unix:"):
        path = where.removeprefix("unix:")
        return UnixPlace(path.removeprefix("//") if path.startswith("///") else path)
    if "://" not in where:
        where = f"{'mqtts' if tls else 'mqtt'}://{where}"
    address = address_of(where)
    if tls and not address.is_tls:
        raise ValueError(f"{where!r} is without TLS, which was asked for")
    return HostPlace(address, _context(tls) if address.is_tls else None)


def _context(tls: TLS) -> ssl.SSLContext:
    """The one that was given, or one that checks the Server's certificate and that it is for the host."""
    return tls if isinstance(tls, ssl.SSLContext) else ssl.create_default_context()


def places_of(where: str | Iterable[str], tls: TLS) -> list[Place]:
    """One Server or several, in the order in which they are tried. Raises `ValueError`."""
    return [place_of(one, tls) for one in ([where] if isinstance(where, str) else where)]


def place_by_server(reference: str, sender: Place, tls: TLS) -> Place:
    """Where `sender` sends us (4.11): a host, and by TLS if `sender` is reached so. Raises `ValueError`."""
    if reference.startswith("unix:"):
        raise ValueError("a Server must not send us to a UNIX socket")
    return place_of(reference, tls or sender.is_tls)
