"""The rig for a broker that runs: blocking sockets, real time."""

from __future__ import annotations

import socket
import time
from itertools import count
from secrets import token_hex

from mqttwist.conform.client import READS_LIMIT, Client
from mqttwist.conform.rig import NOBODY, Credentials, Rig

_RUN = token_hex(3)  # two runs at the same time must not meet
_MARKS = count(1)


class SocketLine:
    """A TCP connection. `patience` is how many seconds the Server may take to see that the client is gone."""

    def __init__(self, host: str, port: int, patience: float) -> None:
        self.is_closed = False
        self._patience = patience
        self._socket = socket.create_connection((host, port), patience)
        # Else a small packet after a small packet waits for 40 ms until the Server's side acknowledges.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self._patience)
            self._socket.sendall(data)
        except OSError:
            pass  # the Server has closed, and `receive` finds out

    def receive(self, seconds: float) -> bytes:
        if self.is_closed:
            return b""
        try:
            self._socket.settimeout(max(seconds, 0.001))
            data = self._socket.recv(1 << 16)
        except TimeoutError:
            return b""
        except OSError:
            data = b""
        self.is_closed = not data
        return data

    def close(self) -> None:
        """Half-close, and wait for the Server's half: then it knows."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
            for _ in range(READS_LIMIT):
                if not self.receive(self._patience):
                    break
        except OSError:
            pass  # closed before
        self.is_closed = True
        self._socket.close()


class SocketRig(Rig):
    """Speaks to the broker at `host` and `port`.

    `lag` is how many seconds a message may come later than the answer to a PINGREQ that was sent after it: 0
    for a broker that does one thing after the other, more for one that writes to a disk meanwhile.
    """

    patience = 3.0
    quiet = 0.2
    lateness = 5.5  # some brokers look now and then only
    earliness = 0.6

    def __init__(
        self, version: int, host: str, port: int, credentials: Credentials = NOBODY, lag: float = 0.0
    ) -> None:
        super().__init__(version, f"{_RUN}{next(_MARKS)}", credentials)
        self.lag = lag
        self._host = host
        self._port = port

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def settle(self, client: Client) -> None:
        """The PINGRESP of a client that publishes tells that its messages are on their way."""
        for other in self._clients:
            if other is not client:
                other.settle()
        client.settle()
        if self.lag:
            client.take_in(self.lag)

    def _dial(self) -> SocketLine:
        return SocketLine(self._host, self._port, self.patience)
