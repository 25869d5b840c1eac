"""The store of a broker that is started and stopped: by itself, by a service, by a factory."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError

from mqttwist.broker.broker import Broker, accept_everybody
from mqttwist.net.protocol import MQTTServerFactory
from mqttwist.net.service import BrokerService
from mqttwist.net.storage import REPORT, SIGN_OF_LIFE, Storage
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect
from tests.net.clients import LOCAL, Client
from tests.net.stored import QUIET, StoredTestCase


class StorageTests(StoredTestCase):
    """Opened and closed."""

    def test_for_a_store_on_disk_only(self) -> None:
        """A broker whose store is in memory has nothing to be opened."""
        broker = Broker(MemoryStore(), self.reactor.seconds)
        self.assertRaises(ValueError, Storage, broker, self.reactor)

    def test_what_was_stored(self) -> None:
        """What one broker has stored the next one has, and the log says how much that is."""
        self.storage.open()
        self.persistent("c")
        self.promise("t")
        self.broker.shut_down()
        closed = self.storage.close()
        self.write()
        self.successResultOf(closed)
        self.begin()
        self.storage.open()
        self.assertIsNotNone(self.broker.sessions.get("c"))
        self.assertEqual(len(self.lines("(sync off): 1 sessions and 1 retained messages")), 1)

    def test_several_users(self) -> None:
        """It is open until the last one has closed it."""
        self.storage.open()
        self.storage.open()
        self.successResultOf(self.storage.close())
        self.assertTrue(self.store.is_open)
        self.successResultOf(self.storage.close())
        self.assertFalse(self.store.is_open)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_closed_opened_and_closed(self) -> None:
        """Whoever closes it meanwhile is told as well, and it is not opened again if nobody needs it."""
        self.storage.open()
        self.writer.prompt = False
        first = self.storage.close()
        self.storage.open()
        second = self.storage.close()
        self.assertNoResult(first)
        self.assertNoResult(second)
        self.writer.end()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual((self.store.is_open, len(self.reactor.spawned)), (False, 1))

    def test_closed_too_often(self) -> None:
        """To close what is not open does nothing."""
        self.successResultOf(self.storage.close())
        self.storage.open()
        self.storage.open()
        self.successResultOf(self.storage.close())
        self.assertTrue(self.store.is_open)

    def test_opened_again(self) -> None:
        """A broker that stops and goes on keeps what it has, and stores what is new."""
        self.storage.open()
        self.persistent("c").lose()
        session = self.broker.sessions.get("c")
        self.write()
        self.successResultOf(self.storage.close())
        for topic in ("a", "b"):
            self.storage.open()
            self.assertIs(self.broker.sessions.get("c"), session)
            self.promise(topic)
            self.write()
            self.successResultOf(self.storage.close())
        self.assertEqual(len(self.broker.router.retained), 2)
        self.begin()
        self.storage.open()
        self.assertEqual(len(self.broker.router.retained), 2)

    def test_the_sign_of_life(self) -> None:
        """The file of the lock is touched every second, and not when the store is closed."""
        touched: list[float] = []
        self.storage.open()
        self.patch(self.store.file, "touch", lambda: touched.append(self.reactor.seconds()))
        for _ in range(3):
            self.run_for(SIGN_OF_LIFE)
        self.assertEqual(len(touched), 3)
        self.successResultOf(self.storage.close())
        self.run_for(SIGN_OF_LIFE)
        self.assertEqual(len(touched), 3)

    def test_a_sign_of_life_that_fails(self) -> None:
        """If the file can't be touched, the next sign of life comes all the same."""
        self.storage.open()
        tries: list[int] = []

        def touch() -> None:
            tries.append(1)
            raise OSError("read-only file system")

        self.patch(self.store.file, "touch", touch)
        for _ in range(3):
            self.run_for(SIGN_OF_LIFE)
        self.assertEqual(len(tries), 3)

    def test_reports(self) -> None:
        """Every ten minutes in which something was stored, a line of the log tells how much."""
        self.storage.open()
        self.promise()
        self.write()
        for _ in range(2):
            self.run_for(REPORT)
        (line,) = self.lines("commits/s")
        self.assertIn(
            "0.0 commits/s of 1.0 ms in the last 600 s; 0.0 MB, WAL 0.0 MB, 0.0 MB not stored", line
        )

    def test_the_log_at_the_end(self) -> None:
        """The log sums up what was written."""
        self.storage.open()
        self.promise()
        self.write()
        self.successResultOf(self.storage.close())
        self.assertEqual(len(self.lines("is closed: 1 commits took 1.0 ms on average; 0 failed")), 1)

    def test_a_store_that_cannot_be_opened(self) -> None:
        """`StoreError` says why; nothing runs, and a second try is possible."""
        self.path.mkdir()
        self.assertRaises(StoreError, self.storage.open)
        self.assertEqual((self.reactor.spawned, self.reactor.getDelayedCalls()), ([], []))
        self.path.rmdir()
        self.storage.open()
        self.assertTrue(self.store.is_open)


class ServiceTests(StoredTestCase):
    """`BrokerService` opens and closes it."""

    def begin(self) -> None:
        super().begin()
        self.store = self.make_store()
        self.service = BrokerService(
            ["tcp:1883"], reactor=self.reactor, settings=QUIET, store=self.store, login=accept_everybody
        )
        self.broker = self.service.broker

    def stop(self) -> Deferred[None]:
        stopped = self.service.stopService()
        self.write()
        return stopped

    def test_started_and_stopped(self) -> None:
        """It is open before anybody can come, and closed when everybody has gone; again and again."""
        for n in range(1, 4):
            self.service.startService()
            self.assertTrue(self.store.is_open)
            self.promise(f"topic {n}")
            self.write()
            self.successResultOf(self.stop())
            self.assertFalse(self.store.is_open)
            self.assertEqual(self.service.ports, ())
        self.assertEqual(len(self.broker.router.retained), 3)
        self.begin()
        self.service.startService()
        self.assertEqual(len(self.broker.router.retained), 3)

    def test_a_store_that_cannot_be_opened(self) -> None:
        """`StoreError` reaches the caller, and nothing listens, privileged ports included."""
        self.path.mkdir()
        self.service.privilegedStartService()
        self.assertRaises(StoreError, self.service.startService)
        self.assertEqual((self.service.ports, bool(self.service.running)), ((), False))
        self.assertEqual(self.reactor.spawned, [])

    def test_a_port_in_use(self) -> None:
        """A service that can't listen lets go of its store, which another one may have then."""
        busy = CannotListenError("127.0.0.1", 1883, OSError("in use"))
        self.patch(self.reactor, "listenTCP", Mock(side_effect=busy))
        self.assertRaises(CannotListenError, self.service.startService)
        self.write()
        self.assertFalse(self.store.is_open)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_clients_are_told_goodbye_first(self) -> None:
        """What is acknowledged in the last moment is stored; clients go before the store is closed."""
        self.service.startService()
        client = Client(self.service.factory)
        client.connect("c")
        stopped = self.service.stopService()
        self.assertEqual([type(packet) for packet in client.take()], [Disconnect])
        self.assertNoResult(stopped)
        self.assertTrue(self.store.is_open)
        client.hang_up()
        self.write()
        self.successResultOf(stopped)
        self.assertFalse(self.store.is_open)

    def test_stopped_without_a_start(self) -> None:
        """A service that was not started has nothing to close."""
        self.successResultOf(self.service.stopService())
        self.assertEqual(self.reactor.spawned, [])

    def test_started_again_at_once(self) -> None:
        """A service that is started while it still closes its store has it open in the end."""
        self.service.startService()
        self.reactor.prompt = self.writer.prompt = False
        stopped = self.service.stopService()
        self.reactor.prompt = True
        self.service.startService()
        self.writer.end()
        self.write()
        self.successResultOf(stopped)
        self.assertTrue(self.store.is_open)
        publisher = self.promise()
        self.write()
        self.assertEqual(publisher.take(), [PubAck(1, 0x10)])

    def test_a_store_that_cannot_be_opened_again(self) -> None:
        """If that fails, the log says so; the service can be stopped."""
        self.service.startService()
        self.reactor.prompt = self.writer.prompt = False
        stopped = self.service.stopService()
        self.service.startService()
        self.patch(self.store, "open", lambda notice: 1 / 0)
        self.writer.end()
        self.successResultOf(stopped)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(self.service.stopService())


class FactoryTests(StoredTestCase):
    """`MQTTServerFactory` alone: `reactor.listenTCP(1883, MQTTServerFactory(store=...))`."""

    def begin(self) -> None:
        super().begin()
        self.store = self.make_store()
        self.factory: Any = MQTTServerFactory(
            clock=self.reactor, settings=QUIET, store=self.store, login=accept_everybody
        )
        self.broker = self.factory.broker

    def test_a_port(self) -> None:
        """The store is open from the first port to the last."""
        self.factory.doStart()
        self.factory.doStart()
        client = Client(self.factory)
        [connack] = client.connect("c")
        assert isinstance(connack, ConnAck)
        self.assertEqual(connack.reason_code, 0)
        client.hang_up()
        self.promise()
        self.write()
        self.factory.doStop()
        self.assertTrue(self.store.is_open)
        self.factory.doStop()
        self.assertFalse(self.store.is_open)
        self.begin()
        self.factory.doStart()
        self.assertEqual(len(self.broker.router.retained), 1)
        self.factory.doStop()

    def test_a_store_that_cannot_be_opened(self) -> None:
        """`StoreError` reaches who listens, and no clock runs."""
        self.path.mkdir()
        self.assertRaises(StoreError, self.factory.doStart)
        self.assertEqual((self.reactor.spawned, self.reactor.getDelayedCalls()), ([], []))

    def test_a_store_in_memory(self) -> None:
        """A factory whose store is in memory has no storage."""
        factory = MQTTServerFactory(clock=self.reactor, login=accept_everybody)
        self.assertIsNone(factory.storage)
        self.assertEqual(Client(factory, None).transport.getPeer(), LOCAL)
