"""The rig on virtual time: the broker of this package, bytes in and bytes out, without a socket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mqttwist.broker.broker import Broker
from mqttwist.broker.settings import Settings
from mqttwist.conform.client import Client
from mqttwist.conform.rig import NOBODY, Credentials, Rig
from mqttwist.stores.memory import MemoryStore

START = 1000.0  # what the clock shows at first, in seconds
NO_LIMITS: Mapping[str, Any] = {}


class VirtualBroker:
    """A broker with a clock that others move; `settings` are those of `Settings`."""

    def __init__(self, settings: Mapping[str, Any] = NO_LIMITS) -> None:
        self.now = START
        self.broker = Broker(MemoryStore(), lambda: self.now, Settings(**settings))

    def advance(self, seconds: float) -> None:
        """Let time pass in steps of a second, as it does in the broker's service."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            self.broker.tick()
            self.broker.send_overdue()


class _ServerEnd:
    """What the broker writes to: keeps what the client has not received yet."""

    def __init__(self) -> None:
        self.sent = b""
        self.is_closed = False
        self.is_paused = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.is_closed = True

    def pause_reading(self) -> None:
        self.is_paused = True

    def resume_reading(self) -> None:
        self.is_paused = False


class VirtualLine:
    """A Network Connection whose other end is the broker's."""

    def __init__(self, broker: Broker, peer: str) -> None:
        self._end = _ServerEnd()
        self._connection = broker.connect(self._end, peer)

    @property
    def is_closed(self) -> bool:
        return self._end.is_closed

    def send(self, data: bytes) -> None:
        if self._end.is_paused:
            raise AssertionError("the broker does not read: on virtual time nobody could wait for it")
        self._connection.receive_data(data)

    def receive(self, seconds: float) -> bytes:
        data, self._end.sent = self._end.sent, b""
        return data

    def close(self) -> None:
        self._end.is_closed = True
        self._connection.lost("the client is gone")


class VirtualRig(Rig):
    """Speaks to `virtual`; `waited` is how many seconds a check let pass."""

    patience = 0.0
    quiet = 0.0
    lateness = 1.0  # the broker looks once a second
    earliness = 0.1

    def __init__(
        self, version: int, virtual: VirtualBroker, mark: str = "v", credentials: Credentials = NOBODY
    ) -> None:
        super().__init__(version, mark, credentials)
        self.waited = 0.0
        self._virtual = virtual

    def wait(self, seconds: float) -> None:
        self.waited += seconds
        self._virtual.advance(seconds)

    def settle(self, client: Client) -> None:
        client.take_in()

    def _dial(self) -> VirtualLine:
        return VirtualLine(self._virtual.broker, self._mark)
