"""What the tests ask of any client: a small synchronous door, and behind it one foreign library each."""

from __future__ import annotations

import asyncio
import queue
import threading
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from tests.interop.broker import PATIENCE

MQTT_3_1, MQTT_3_1_1, MQTT_5 = 3, 4, 5
CONNECTION_LOST = -1  # the "reason code" of a connection that ended without a DISCONNECT

T = TypeVar("T")


@dataclass(frozen=True)
class MessageProperties:
    """The properties of MQTT 5.0 that a message carries from end to end."""

    payload_format_indicator: int = 0
    message_expiry_interval: int = 0
    content_type: str = ""
    response_topic: str = ""
    correlation_data: bytes = b""
    user_properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Received:
    """A message as it came to a client."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: MessageProperties = MessageProperties()


@dataclass(frozen=True)
class WillMessage:
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


@dataclass
class Connecting:
    """How to connect: `clean` is Clean Start or Clean Session, `session_expiry` in seconds (MQTT 5.0)."""

    port: int
    version: int
    client_id: str
    clean: bool = True
    session_expiry: int = 0
    will: WillMessage | None = None
    username: str | None = None
    password: str | None = None
    certificate: str | None = None  # a PEM file to trust: connects with TLS
    topic_alias_maximum: int = 0


@dataclass(frozen=True)
class Connected:
    """The CONNACK."""

    reason_code: int
    session_present: bool


class Client(ABC):
    """A foreign client. Every call waits for its end, and `PATIENCE` seconds at most."""

    versions: ClassVar[tuple[int, ...]]
    keeps_order_of_user_properties: ClassVar[bool] = True  # those of different names, that is

    def __init__(self, connecting: Connecting) -> None:
        self.connecting = connecting
        self.messages: queue.Queue[Received] = queue.Queue()
        self.ends: queue.Queue[int] = queue.Queue()

    @abstractmethod
    def connect(self) -> Connected:
        """Connect and wait for the CONNACK, whatever it says."""

    @abstractmethod
    def subscribe(self, topic_filter: str, qos: int) -> int:
        """Subscribe; the Reason Code of the SUBACK."""

    @abstractmethod
    def unsubscribe(self, topic_filter: str) -> None: ...

    @abstractmethod
    def publish_all(
        self,
        topic: str,
        payloads: Sequence[bytes],
        qos: int,
        retain: bool = False,
        properties: MessageProperties | None = None,
    ) -> None:
        """Publish one after the other, as fast as the client can, and wait until all are acknowledged."""

    @abstractmethod
    def disconnect(self) -> None:
        """Say DISCONNECT and close."""

    @abstractmethod
    def cut(self) -> None:
        """Let the connection break, without a DISCONNECT."""

    @abstractmethod
    def close(self) -> None:
        """Give back whatever the client holds, in whatever state it is."""

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: MessageProperties | None = None,
    ) -> None:
        self.publish_all(topic, [payload], qos, retain, properties)

    def next(self) -> Received:
        """The next message that comes in."""
        try:
            return self.messages.get(timeout=PATIENCE)
        except queue.Empty:
            name = self.connecting.client_id
            raise AssertionError(f"no message for {name!r} within {PATIENCE} s") from None

    def next_all(self, count: int) -> list[Received]:
        return [self.next() for _ in range(count)]

    def ended(self) -> int:
        """Wait for the end of the connection: the Reason Code of a DISCONNECT or `CONNECTION_LOST`."""
        return self.ends.get(timeout=PATIENCE)


@dataclass
class EventLoop:
    """An asyncio loop in a thread of its own, for clients that need one."""

    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T], patience: float = PATIENCE) -> T:
        """Run `coroutine` in the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(asyncio.wait_for(coroutine, patience), self.loop).result()

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        asyncio.run_coroutine_threadsafe(self._cancel_tasks(), self.loop).result(PATIENCE)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()

    async def _cancel_tasks(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
