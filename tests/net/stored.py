"""A broker whose store is a file, written by a process that is played: for tests of what runs the writer."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.broker.settings import Settings
from mqttwist.net.storage import Storage
from mqttwist.stores.sqlite.store import SQLiteStore
from tests.broker.harness import TestClient
from tests.net.spawning import PlayedWriter, SpawningReactor

WALL = 4e9  # seconds that the wall clock is ahead of the reactor's
QUIET = Settings(sys_interval=0.0)


class StoredTestCase(SynchronousTestCase):
    """`storage` is not open yet."""

    def setUp(self) -> None:
        self.events: list[LogEvent] = []
        observer: Any = self.events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.folder = Path(mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = self.folder / "store.db"
        self.reactor = SpawningReactor()
        self.addCleanup(self._let_go)
        self.begin()

    def make_store(self) -> SQLiteStore:
        return SQLiteStore(str(self.path), "off", lambda: WALL + self.reactor.seconds())

    def begin(self) -> None:
        """Another broker, as if in another process."""
        self.store = self.make_store()
        self.broker = Broker(self.store, self.reactor.seconds, QUIET)
        self.storage = Storage(self.broker, self.reactor)

    def _let_go(self) -> None:
        for writer in self.reactor.spawned:
            writer.database.close(False)
        self.store.close()

    @property
    def writer(self) -> PlayedWriter:
        return self.reactor.writer

    def run_for(self, seconds: float = 0.0) -> None:
        """Let time go on; the writer does nothing."""
        self.reactor.advance(seconds)

    def write(self) -> None:
        """Let the writer do all that there is to do."""
        for _ in range(5):
            self.reactor.advance(0.01)
            self.writer.answer()

    def persistent(self, client_id: str) -> TestClient:
        """A client with a session that is kept."""
        client = TestClient(self.broker, 5)
        client.connect(client_id, clean_start=False, session_expiry_interval=100)
        return client

    def promise(self, topic: str = "t") -> TestClient:
        """A publisher of a message that is retained, and so acknowledged when it is stored."""
        client = TestClient(self.broker, 5)
        client.connect(f"publisher of {topic}")
        client.publish(topic, b"x", 1, True)
        return client

    def lines(self, about: str) -> list[str]:
        """What the log says of it."""
        said = [formatEvent(event) for event in self.events]
        return [line for line in said if about in line]
