"""One-shots for scripts: connect, do one thing, say goodbye, return.

They may be called in any thread, but not where an event loop or a reactor runs: that would stand still, and
`mqttwist.aio.Client` or `mqttwist.MQTTClient` is the way there. Each makes a connection of its own; a program
that does much should keep one. Neither Twisted nor a reactor is needed.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from secrets import token_hex
from typing import NamedTuple, TypeVar, Unpack

from mqttwist.aio import Client
from mqttwist.aio.place import TLS
from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError
from mqttwist.client.published import Published
from mqttwist.client.received import Received
from mqttwist.front.options import AskedCredential, PlainOptions
from mqttwist.wire.properties import Properties

Where = str | Iterable[str]
T = TypeVar("T")

TIMEOUT = 30.0  # seconds for all of it


class Options(PlainOptions, total=False):
    """The keywords of `mqttwist.aio.Client`, as far as they make sense here."""

    version: int | str
    username: AskedCredential
    password: AskedCredential
    authenticator: Authenticator | None
    tls: TLS


class Outgoing(NamedTuple):
    """A message for `publish_many`."""

    topic_name: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties | None = None


def publish(
    where: Where,
    topic_name: str,
    payload: bytes,
    *,
    qos: int = 0,
    retain: bool = False,
    properties: Properties | None = None,
    timeout: float = TIMEOUT,
    **options: Unpack[Options],
) -> Published:
    """Publish a message, and return when it was written (QoS 0) or confirmed (1 and 2).

    Raises `TimeoutError` when there is no connection within `timeout` seconds, `ConnectionEnded` when there
    can be none, and what a publish of `mqttwist.aio.Client` fails with.
    """
    message = Outgoing(topic_name, payload, qos, retain, properties)
    return publish_many(where, [message], timeout=timeout, **options)[0]


def publish_many(
    where: Where,
    messages: Iterable[Outgoing],
    *,
    timeout: float = TIMEOUT,
    **options: Unpack[Options],
) -> list[Published]:
    """Publish messages in their order, on one connection. Raises as `publish`, for the first that fails."""
    options.setdefault("when_full", "block")  # all of them are here already: nothing is gained by an error

    async def publish_all(client: _OneShot) -> list[Published]:
        await client.connect()
        deadline = client.left
        return await asyncio.gather(
            *[
                client.publish(
                    one.topic_name,
                    one.payload,
                    qos=one.qos,
                    retain=one.retain,
                    properties=one.properties,
                    deadline=deadline,
                )
                for one in messages
            ]
        )

    return _run(where, timeout, publish_all, options)


def request(
    where: Where,
    topic_name: str,
    payload: bytes,
    *,
    qos: int = 1,
    properties: Properties | None = None,
    timeout: float = TIMEOUT,
    **options: Unpack[Options],
) -> Received:
    """Publish a request, and return its response (4.10), of MQTT 5.0 only.

    Raises `NoResponse` when none comes within `timeout` seconds, and as `publish`.
    """

    async def ask(client: _OneShot) -> Received:
        await client.connect()
        return await client.request(topic_name, payload, timeout=client.left, qos=qos, properties=properties)

    return _run(where, timeout, ask, options)


def receive(
    where: Where,
    topic_filter: str,
    count: int,
    *,
    qos: int = 2,
    timeout: float = TIMEOUT,
    **options: Unpack[Options],
) -> list[Received]:
    """Subscribe, and return the first `count` messages, or those that came within `timeout` seconds.

    They are acknowledged; what came after them is not. The subscription is not ended: of a session that
    outlives its connection the Server keeps messages for the next call. Raises `TimeoutError` when there was
    no subscription within that time, `SubscribeRefused`, and as `publish`.
    """

    async def gather(client: _OneShot) -> list[Received]:
        # Before CONNECT: a session that goes on has messages at once.
        messages = client.subscribe(topic_filter, qos=qos, buffer=max(count, 1), manual=True)
        await client.connect()
        async with asyncio.timeout(client.left):
            await messages
        got: list[Received] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(client.left):
                while len(got) < count:
                    received = await anext(messages)
                    received.ack()
                    got.append(received)
        return got

    return _run(where, timeout, gather, options)


def receive_one(
    where: Where,
    topic_filter: str,
    *,
    qos: int = 2,
    timeout: float = TIMEOUT,
    **options: Unpack[Options],
) -> Received:
    """Subscribe, and return the first message. Raises `TimeoutError` if none comes, and as `receive`."""
    messages = receive(where, topic_filter, 1, qos=qos, timeout=timeout, **options)
    if not messages:
        raise TimeoutError(f"no message to {topic_filter!r} within {timeout:g} s")
    return messages[0]


class _OneShot(Client):
    """Gives up when no Server of its list has taken it: whoever calls would rather know."""

    def __init__(self, where: Where, timeout: float, options: Options) -> None:
        places = [where] if isinstance(where, str) else list(where)
        super().__init__(places, **options)
        self._places_left = len(places)
        self._timeout = timeout
        self._until = time.monotonic() + timeout

    @property
    def left(self) -> float:
        """How many seconds of the timeout are left."""
        return max(self._until - time.monotonic(), 0.0)

    async def connect(self) -> None:
        """Connect. Raises `TimeoutError`, `ConnectRefused` or `ConnectionEnded`."""
        self.start()
        try:
            async with asyncio.timeout(self.left):
                await self.ready()
        except TimeoutError:
            raise TimeoutError(f"no connection within {self._timeout:g} s") from self.last_error

    def is_the_end(self, error: ClientError) -> bool:
        if super().is_the_end(error):
            return True
        if self.stats.connections or self.core.version != self._last_version:
            return False
        self._places_left -= 1
        return self._places_left <= 0


def _run(where: Where, timeout: float, work: Callable[[_OneShot], Awaitable[T]], options: Options) -> T:
    _check_thread()
    if options.get("version") in (3, "3.1"):  # which knows no empty Client Identifier
        options.setdefault("client_id", f"mqttwist-{token_hex(6)}")
    client = _OneShot(where, timeout, options)

    async def run() -> T:
        try:
            result = await work(client)
        except BaseException:
            await client.stop(0.0)
            raise
        await client.stop()
        return result

    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:  # leaves the thread's own loop alone
        return runner.run(run())


def _check_thread() -> None:
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("an event loop runs in this thread: use mqttwist.aio.Client there")
    reactor = sys.modules.get("twisted.internet.reactor")
    threads = sys.modules.get("twisted.python.threadable")
    if reactor is not None and threads is not None and reactor.running and threads.isInIOThread():
        raise RuntimeError("Twisted's reactor runs in this thread: use mqttwist.MQTTClient there")
