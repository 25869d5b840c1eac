"""What a check stands on: it makes clients, lets time pass, and tidies up afterwards.

There are two, with the same methods: `virtual.VirtualRig` and `sockets.SocketRig`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import count
from typing import Any, Final

from mqttwist.conform.client import Client, Line
from mqttwist.conform.verdict import require_equal
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish

KEPT = 600  # seconds that a persistent session of MQTT 5.0 is kept

Credentials = tuple[str | None, bytes | None]  # User Name and Password
NOBODY: Final[Credentials] = (None, None)


class Rig(ABC):
    """Serves one check of protocol `version`. `mark`, letters and digits, tells it from all other checks.

    `patience` is how many seconds anything may take that must happen, `quiet` how long nothing must come
    where nothing can be asked for in its place. What time demands may be done up to `lateness` seconds late;
    that it is not done too soon is looked at `earliness` seconds before. `credentials` are those of every
    client that is to be let in. `remarks` say what the Server did not do that is recommended only.
    """

    patience: float
    quiet: float
    lateness: float
    earliness: float

    def __init__(self, version: int, mark: str, credentials: Credentials = NOBODY) -> None:
        self.version = version
        self.credentials = credentials
        self.remarks: list[str] = []
        self._mark = mark
        self._numbers = count(1)
        self._clients: list[Client] = []
        self._client_ids: set[str] = set()

    @abstractmethod
    def wait(self, seconds: float) -> None:
        """Let time pass."""

    @abstractmethod
    def settle(self, client: Client) -> None:
        """Have all that was sent dealt with, and take in what `client` is sent."""

    @abstractmethod
    def _dial(self) -> Line:
        """A new Network Connection."""

    def recommend(self, holds: bool, text: str) -> None:
        """Remark `text`, which tells what would be better, unless `holds`: the Server may do as it does."""
        if not holds and text not in self.remarks:
            self.remarks.append(text)

    # Names of its own

    def topic(self, label: str = "topic") -> str:
        """A Topic Name or Topic Filter that no other check has: the same for the same `label`."""
        return f"conform/{self._mark}/{label}"

    def client_id(self) -> str:
        """A Client Identifier that nobody has had, of at most 23 letters and digits [MQTT-3.1.3-5]."""
        return f"{self._mark}c{next(self._numbers)}"

    def remember(self, client_id: str) -> None:
        """The session of `client_id` is to be discarded; clients that are accepted see to this themselves."""
        self._client_ids.add(client_id)

    # Clients

    def open(self, version: int = 0) -> Client:
        """A Network Connection on which nothing was said yet; what comes is decoded for `version`."""
        client = Client(self, self._dial(), version or self.version)
        self._clients.append(client)
        return client

    def connect_packet(
        self,
        client_id: str = "",
        *,
        version: int = 0,
        clean_start: bool = True,
        persistent: bool = False,
        keep_alive: int = 0,
        will: Will | None = None,
        **properties: Any,
    ) -> Connect:
        """A CONNECT, with a new Client Identifier if none is given; `properties` are those of `Properties`.

        A `persistent` session outlives its connection: by a Session Expiry Interval in MQTT 5.0, by Clean
        Session 0 in 3.1.1, which goes before `clean_start`.
        """
        version = version or self.version
        if persistent and version == MQTT_5:
            properties.setdefault("session_expiry_interval", KEPT)
        elif persistent:
            clean_start = False
        connect = Connect(client_id or self.client_id(), version, clean_start, keep_alive, will)
        connect.properties = Properties(**properties)
        connect.username, connect.password = self.credentials
        return connect

    def nameless_packet(self, **options: Any) -> Connect:
        """A CONNECT with an empty Client Identifier; `options` are those of `connect_packet`."""
        connect = self.connect_packet(**options)
        connect.client_id = ""
        return connect

    def connect(self, client_id: str = "", **options: Any) -> Client:
        """A client that the Server has accepted; `options` are those of `connect_packet`."""
        connect = self.connect_packet(client_id, **options)
        client = self.open(connect.version)
        client.send(connect)
        client.connected()
        return client

    def reaches(self, subscriber: Client, label: str = "topic") -> None:
        """Nothing has come to `subscriber`, though it could: what is sent to `topic(label)` comes."""
        payload = f"control {next(self._numbers)}".encode()
        self.connect().publish(self.topic(label), payload, 1)
        publish = subscriber.message()
        came = (publish.topic_name, publish.payload)
        require_equal(came, (self.topic(label), payload), "the first message that came")
        subscriber.expect_nothing()

    # The end

    def clean_up(self) -> None:
        """Discard the sessions and retained messages that the check has left, and close all connections."""
        for client in self._clients:
            client.drop()
        for client_id in sorted(self._client_ids):
            self.connect(client_id).disconnect()
        cleaner = self.connect()
        cleaner.subscribe(self.topic("#"))
        self.settle(cleaner)
        for topic_name in cleaner.retained_topics():
            cleaner.send(Publish(topic_name, retain=True))
        cleaner.disconnect()
