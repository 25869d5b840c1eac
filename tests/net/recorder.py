"""A Twisted protocol that keeps all that it is told, on a connection by asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.net.loops import HERE, Client, LoopTestCase

MUCH = b"0123456789abcdef" * (1 << 20)  # 16 MiB, more than the kernel keeps for a connection


@implementer(IPushProducer)
class Recorder(Protocol):
    """Keeps what came, and why it ended; as a producer, what it was told."""

    def __init__(self) -> None:
        self.received = b""
        self.ends: list[Failure] = []
        self.told: list[str] = []
        self.when_received: Callable[[], object] = lambda: None

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.when_received()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason)

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class RecorderFactory(Factory):
    """Makes one `Recorder`, and turns all others away."""

    noisy = False

    def __init__(self) -> None:
        self.made: Recorder | None = None

    def buildProtocol(self, addr: Any) -> Protocol | None:
        if self.made is not None:
            return None
        self.made = Recorder()
        return self.made


class TransportTestCase(LoopTestCase):
    async def pair(self, interface: str = HERE, **options: Any) -> tuple[Recorder, Any, Client]:
        """A protocol, its transport, and the client at the other end."""
        factory = RecorderFactory()
        await self.listen(factory, interface, **options.pop("port", {}))
        client = await self.client(**options)
        await self.until(lambda: factory.made is not None and factory.made.transport is not None)
        assert factory.made is not None
        return factory.made, factory.made.transport, client

    async def end(self, protocol: Recorder) -> Exception:
        """Why the connection ended; a protocol is told once."""
        await self.until(lambda: protocol.ends)
        await asyncio.sleep(0.01)
        (failure,) = protocol.ends
        return cast(Exception, failure.value)
