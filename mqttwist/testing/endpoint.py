"""Where the broker in memory is, for whoever connects: an endpoint like those of Twisted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from zope.interface import implementer

from mqttwist.testing.line import Line

FIRST_PORT = 49_152


@implementer(IStreamClientEndpoint)
class MemoryEndpoint:
    """Makes a `Line` to a server whenever somebody connects.

    `refuses` has connections refused as long as it is set, and `delay` is how many seconds it takes to make
    one; None: it never comes about. `latency` is how many seconds what is written is under way. All three may
    be changed at any time, and count for connections made after that. `attempts` counts the calls of
    `connect`, and `lines` are the connections that are open.
    """

    def __init__(
        self,
        clock: IReactorTime,
        build: Callable[[IPv4Address], IProtocol | None],
        host: str = "127.0.0.1",
        name: str = "memory",
    ) -> None:
        self._clock = clock
        self._build = build
        self._host = host
        self._name = name
        self.refuses = False
        self.delay: float | None = 0.0
        self.latency = 0.0
        self.attempts = 0
        self.lines: list[Line] = []

    def __repr__(self) -> str:
        return self._name

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with the protocol of `protocolFactory`, or fails with `ConnectionRefusedError`."""
        self.attempts += 1
        calls: list[Any] = []

        def cancel(deferred: Deferred[IProtocol]) -> None:
            for call in calls:
                if call.active():
                    call.cancel()

        connecting: Deferred[IProtocol] = Deferred(cancel)
        if self.delay is not None:
            calls.append(self._clock.callLater(self.delay, self._connect, protocolFactory, connecting))
        return connecting

    def _connect(self, factory: IProtocolFactory, connecting: Deferred[IProtocol]) -> None:
        here = IPv4Address("TCP", self._host, FIRST_PORT + self.attempts % 10_000)
        there = IPv4Address("TCP", "127.0.0.1", 1883)
        server = None if self.refuses else self._build(here)
        client = None if server is None else factory.buildProtocol(there)
        if server is None or client is None:
            connecting.errback(ConnectionRefusedError())
            return
        line = Line(self._clock, (here, there), self.latency, self.lines.remove)
        self.lines.append(line)
        line.join(client, server)
        connecting.callback(client)
