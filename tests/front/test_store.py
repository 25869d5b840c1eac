"""A client and its store: what is kept, who may have the file, and what happens when the disk fails."""

from __future__ import annotations

import os
from threading import get_ident
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from mqttwist.broker.broker import Broker
from mqttwist.broker.settings import Settings
from mqttwist.client.errors import ClientError, NotDelivered, QueueFull
from mqttwist.client.publication import Publication
from mqttwist.client.settings import ClientSettings
from mqttwist.front.client import FrontClient
from mqttwist.front.retry import Reconnecting, Retry
from mqttwist.front.store import FileStore, at_once
from mqttwist.net.client_shell import TwistedShell
from mqttwist.session.journal import Changes
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.schema import Frame
from mqttwist.stores.sqlite.store import SQLiteStore
from mqttwist.wire.connect import Connect
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.broker.harness import RecordingTransport
from tests.front.store_rig import TO_BROKER, TO_CLIENT, WORK, Program, StoreTestCase
from tests.net.logins import temporary_folder


class KeepingTests(StoreTestCase):
    """What is published and not confirmed goes on in the next process."""

    def publish_and_die(self, *payloads: bytes, qos: int = 1, **fields: Any) -> None:
        """A process publishes offline; when all is stored, it is killed."""
        self.boot()
        for payload in payloads:
            self.program.publish(payload, qos, **fields)
        self.settle()
        self.crash()

    def sent(self) -> list[Any]:
        """The PUBLISH packets that the next process sends when it connects."""
        assert self.line is not None
        return [one for one in self.line[TO_BROKER].packets if isinstance(one, Publish)]

    def resume(self) -> list[Any]:
        """The next process comes, and the broker says that the session is there: what is published first."""
        self.boot()
        self.come()
        self.connect()
        return self.sent()

    def connect(self) -> None:
        """Until the Server has accepted the client, and nothing waits for the disk."""
        while not self.program.is_connected:
            self.step(self.choices()[0])
        self.work()

    def work(self) -> None:
        """All frames are committed, and the broker has not answered to what was sent then."""
        self.run_loop()
        while self.jobs:
            self.step(WORK)

    def test_messages_wait_for_the_next_process(self) -> None:
        """They are sent in their order, without DUP since they never were, with what they had."""
        properties = Properties(content_type="text/plain", user_properties=(("unit", "C"),))
        self.publish_and_die(b"1", b"2", b"3", properties=properties)
        sent = self.resume()
        self.assertEqual([one.payload for one in sent], [b"1", b"2", b"3"])
        self.assertEqual({(one.qos, one.dup) for one in sent}, {(1, False)})
        self.assertEqual(sent[0].properties.content_type, "text/plain")
        self.assertEqual(sent[0].properties.user_properties, (("unit", "C"),))

    def test_qos_0_is_not_stored(self) -> None:
        """Nothing was promised for it."""
        self.publish_and_die(b"1", qos=0)
        self.assertEqual(self.disk.counts(), {"session": 1})
        self.assertEqual(self.resume(), [])

    def test_dup_is_set_for_what_may_have_been_sent(self) -> None:
        """What a process before this one has sent has DUP, and its Packet Identifier [MQTT-3.3.1-1]."""
        self.boot()
        self.come()
        self.connect()
        self.program.publish(b"1", 1)
        self.program.publish(b"2", 2)
        self.work()
        numbers = [one.packet_id for one in self.sent()]
        self.crash()
        sent = self.resume()
        self.assertEqual([(one.payload, one.dup) for one in sent], [(b"1", True), (b"2", True)])
        self.assertEqual([one.packet_id for one in sent], numbers)

    def test_qos_2_is_sent_when_its_identifier_is_stored(self) -> None:
        """Before that the next process would use another one, and the message could come twice."""
        self.boot()
        self.come()
        self.settle()
        self.program.publish(b"1", 2)
        self.run_loop()
        self.assertEqual(self.sent(), [])
        self.step(WORK)
        self.assertEqual([one.payload for one in self.sent()], [b"1"])

    def test_expiry_counts_while_nothing_runs(self) -> None:
        """The Message Expiry Interval goes on while the program is down [MQTT-3.3.2-5] [MQTT-3.3.2-6]."""
        self.boot()
        for payload, seconds in ((b"short", 50), (b"long", 100)):
            self.program.publish(payload, 1, properties=Properties(message_expiry_interval=seconds))
        self.settle()
        self.crash()
        self.clock.advance(60.0)
        ended: list[Publication] = []
        self.boot()
        self.program.on_restored = ended.append
        self.come()
        self.settle()
        self.assertEqual(self.observed, [(b"long", 1)])
        self.assertEqual([(one.message.payload, str(one.error)) for one in ended[:1]], [
            (b"short", "message expired; the Server does not have it")
        ])  # fmt: skip

    def test_time_left(self) -> None:
        """What is sent says how much of the interval is left [MQTT-3.3.2-6]."""
        self.publish_and_die(b"1", properties=Properties(message_expiry_interval=100))
        self.clock.advance(60.0)
        self.assertEqual([one.message_expiry_interval for one in self.resume()], [40])

    def test_restored_messages_are_told_of(self) -> None:
        """Nobody has a Deferred for them: `on_restored` and two counters say what becomes of them."""
        self.publish_and_die(b"1", b"2", qos=2)
        ended: list[Publication] = []
        self.boot()
        self.program.on_restored = ended.append
        self.assertEqual((self.program.stats.restored, self.program.stats.restored_ended), (2, 0))
        self.come()
        self.settle()
        self.assertEqual([(one.message.payload, one.error) for one in ended], [(b"1", None), (b"2", None)])
        self.assertEqual((self.program.stats.restored, self.program.stats.restored_ended), (2, 2))

    def test_more_than_is_read_at_once(self) -> None:
        """A long queue is read bit by bit, and what is published meanwhile comes behind it."""
        payloads = [b"%04d" % number for number in range(600)]
        self.publish_and_die(*payloads)
        self.boot()
        self.program.publish(b"new", 1)
        self.come()
        self.settle()
        self.assertEqual([payload for payload, _ in self.observed], [*payloads, b"new"])
        self.assertEqual(self.disk.counts(), {"session": 1})

    def test_published_before_the_start(self) -> None:
        """What is published before the store is open is stored when it is, behind what was there."""
        self.publish_and_die(b"old")
        self.boot()
        self.crash()
        self.restart_late()
        self.settle()
        self.crash()
        self.assertEqual([one.payload for one in self.resume()], [b"old", b"early"])

    def restart_late(self) -> None:
        """Another process, which publishes before it starts."""
        restart = Program.restart
        self.patch(Program, "restart", lambda program: None)
        self.boot()
        self.program.publish(b"early", 1)
        self.assertEqual(self.program.promised, [])
        self.patch(Program, "restart", restart)
        self.program.restart()
        self.run_loop()
        self.settle()
        self.assertEqual(self.program.promised, [b"early"])

    def test_withdrawn(self) -> None:
        """A message that is taken back is gone from the store, too."""
        self.boot()
        waiting = self.program.publish(b"1", 1)
        self.settle()
        self.assertEqual(len(self.disk.rows("queue")), 1)
        waiting.addErrback(lambda failure: None)
        waiting.cancel()
        self.run_loop()
        self.program.settle()
        self.settle()
        self.assertEqual(self.disk.counts(), {"session": 1})

    def test_session_lost_is_stored(self) -> None:
        """What begins anew with another session does so in the next process, too."""
        self.boot()
        self.come()
        self.connect()
        self.program.publish(b"1", 1)
        self.program.publish(b"2", 2)
        self.work()
        self.crash()
        self.start_broker()
        self.resume()
        self.work()
        self.crash()
        self.assertEqual([(one.payload, one.dup) for one in self.resume()], [(b"1", True)])

    def test_what_waits_in_the_next_session_is_stored(self) -> None:
        """What was sent in a lost session and waits in the next one, for the send quota, is stored as new."""
        self.boot()
        self.come()
        self.connect()
        self.program.publish(b"1", 1)
        self.program.publish(b"2", 1)
        self.work()
        self.crash()
        self.start_broker(Settings(receive_maximum=1))
        self.assertEqual([one.payload for one in self.resume()], [b"1"])
        self.work()
        states = [(bool(row["packet_id"]), row["state"] or 0) for row in self.disk.rows("queue")]
        self.assertEqual(states, [(True, 1), (False, 0)])

    def test_a_new_client_has_lost_no_session(self) -> None:
        """One that was never accepted before does not say that its session is lost; one that was does."""
        for expected in ([], [0]):
            lost: list[int] = []
            self.start_broker()
            self.boot()
            self.program.on_session_lost = lost.append
            self.come()
            self.settle()
            self.assertEqual(lost, expected)
            self.crash()


class StoppingTests(StoreTestCase):
    """A client that stops, and perhaps starts again."""

    def stop(self) -> list[Any]:
        """Stop the client as the shells do; the list is filled when the store is closed."""
        self.program.core.disconnect()
        self.program.finish()
        closed: list[Any] = []
        self.program.close_store().addBoth(closed.append)
        self.run_loop()
        return closed

    def test_all_is_stored_first(self) -> None:
        """The store is closed when everything is in it, and says that this was in order."""
        self.boot()
        waiting = self.program.publish(b"1", 1)
        closed = self.stop()
        self.assertEqual((closed, self.store.is_open), ([], True))
        self.settle()
        self.assertEqual((closed, self.store.is_open, self.database.closed), ([None], False, [True]))
        self.assertEqual(len(self.disk.rows("queue")), 1)
        self.assertEqual(self.program.promised, [b"1"])
        self.assertIsNone(self.successResultOf(waiting))

    def test_what_is_stored_is_not_lost(self) -> None:
        """The error says that the message is given up by this process only."""
        self.boot()
        errors = []
        for qos in (0, 1):
            self.program._publish("t", b"1", qos, False, None, None).addErrback(
                lambda failure: errors.append(failure.value)
            )
        self.settle()
        self.stop()
        self.assertEqual([(type(one), one.maybe, one.stored) for one in errors], [
            (NotDelivered, False, False), (NotDelivered, True, True)
        ])  # fmt: skip
        self.assertIn("and it is stored", str(errors[1]))

    def test_start_again(self) -> None:
        """The same client goes on with what it has, also when it starts before the store is closed."""
        self.boot()
        self.program.publish(b"1", 1)
        self.settle()
        closed = self.stop()
        self.settle()
        self.program.restart()
        self.run_loop()
        again = self.stop()
        self.program.restart()
        self.settle()
        self.assertEqual((closed, again, self.store.is_open), ([None], [None], True))
        self.come()
        self.settle()
        self.assertEqual(self.observed, [(b"1", 1)])
        self.assertEqual(self.disk.counts(), {"session": 1})

    def test_closing_a_closed_store(self) -> None:
        """It is closed already."""
        self.boot()
        self.stop()
        self.settle()
        self.assertIsNone(self.successResultOf(self.store.close()))

    def test_a_disk_that_fails(self) -> None:
        """One attempt is made, then the store is closed without; who waits until all is stored is told."""
        self.boot()
        self.settle()
        self.database.fault = OSError(28, "No space left on device")
        self.program.publish(b"1", 1)
        stored = self.program.stored()
        self.run_loop()
        self.step(WORK)
        closed = self.stop()
        self.settle()
        self.assertEqual((closed, self.store.is_open, self.database.closed), ([None], False, [False]))
        self.failureResultOf(stored, ClientError)

    def test_a_disk_that_hangs(self) -> None:
        """After 15 seconds nobody waits for it any more; the file stays locked."""
        self.boot()
        self.program.publish(b"1", 1)
        closed = self.stop()
        self.clock.advance(14.9)
        self.assertEqual(closed, [])
        self.clock.advance(0.2)
        self.assertEqual((closed, self.store.is_open), ([None], True))


class FailingTests(StoreTestCase):
    """The disk is full, or broken."""

    def setUp(self) -> None:
        super().setUp()
        self.boot(queue_messages=3)
        self.come()
        self.settle()
        self.database.fault = OSError(28, "No space left on device")

    def test_nothing_is_promised(self) -> None:
        """QoS 2 is not sent, and what was published stays pending until the disk takes it."""
        waiting = self.program.publish(b"1", 2)
        self.settle()
        self.assertEqual((self.observed, self.program.promised), ([], []))
        self.assertNoResult(waiting)
        self.assertEqual(self.store.counters.last_error, "OSError: [Errno 28] No space left on device")
        self.database.fault = None
        self.clock.advance(1.0)
        self.settle()
        self.assertEqual(self.observed, [(b"1", 2)])
        self.assertEqual(self.store.counters.last_error, "")

    def test_it_is_tried_every_second(self) -> None:
        """And counted each time."""
        self.program.publish(b"1", 1)
        for _ in range(3):
            self.settle()
            self.clock.advance(1.0)
        self.assertEqual(self.store.counters.failures, 3)

    def test_it_is_logged_once(self) -> None:
        """One line when it begins, and one when it is over."""
        lines: list[str] = []
        shell = self.program._shell
        self.patch(shell, "warn", lambda text, **facts: lines.append(text.format(**facts)))
        self.patch(shell, "info", lambda text, **facts: lines.append(text.format(**facts)))
        self.program.publish(b"1", 1)
        for _ in range(3):
            self.settle()
            self.clock.advance(1.0)
        self.database.fault = None
        self.settle()
        self.assertEqual(lines, [
            "The store memory does not take changes: OSError: [Errno 28] No space left on device. What"
            " depends on it is not sent; tried again every 1 s",
            "The store memory takes changes again",
        ])  # fmt: skip

    def test_the_queue_is_bounded(self) -> None:
        """What can't be sent counts, so that a disk that fails does not fill the memory."""
        self.crash()
        self.boot(queue_messages=3)
        self.database.fault = OSError(28, "No space left on device")
        for number in range(3):
            self.program.publish(b"%d" % number, 1)
        self.failureResultOf(self.program._publish("t", b"4", 1, False, None, None), QueueFull)

    def test_what_came_is_not_acknowledged(self) -> None:
        """PUBREC promises that the message is ours: it waits [MQTT-4.3.3-8]."""
        self.database.fault = None
        self.program.listen()
        self.run_loop()
        self.settle()
        self.database.fault = OSError(28, "No space left on device")
        self.send(b"1", 2)
        self.step(TO_CLIENT)
        self.program.untaken.pop().ack()
        self.run_loop()
        self.settle()
        self.assertEqual(self.disk.rows("received"), [])
        self.database.fault = None
        self.clock.advance(1.0)
        self.step(WORK)
        self.assertEqual(len(self.disk.rows("received")), 1)


def make_client(store: FileStore, clock: Any, **settings: Any) -> Program:
    """A client on `clock`, with a store in a real file."""
    return Program(5, store, clock, **settings)


class FileTests(SynchronousTestCase):
    """Real files, without a thread."""

    def setUp(self) -> None:
        self.path = os.path.join(temporary_folder(self), "client.db")

    def program(self, **settings: Any) -> Program:
        """A client whose store is at `path`."""
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        return make_client(FileStore(self.path, worker=at_once), self.clock, **settings)

    def stop(self, program: Program) -> None:
        program.finish()
        closed = program.close_store()
        self.clock.pump([0.0] * 6)
        self.assertIsNone(self.successResultOf(closed))

    def test_the_next_process(self) -> None:
        """What one has stored the next one has."""
        program = self.program()
        program.restart()
        stored = program.publish(b"1", 1) and program.stored()
        self.clock.pump([0.0] * 6)
        self.assertIsNone(self.successResultOf(stored))
        self.stop(program)
        again = self.program()
        again.restart()
        self.assertEqual(again.stats.restored, 1)
        self.stop(again)

    def test_another_client(self) -> None:
        """A file belongs to one Client Identifier; it is free again for that one afterwards."""
        program = self.program()
        program.restart()
        self.clock.pump([0.0] * 6)
        self.stop(program)
        other = self.program(client_id="others")
        error = self.assertRaises(StoreError, other.restart)
        self.assertEqual(str(error), f"{self.path} is the store of client 'us', not of 'others'")
        again = self.program()
        again.restart()
        self.stop(again)

    def test_in_use(self) -> None:
        """Two processes can't have it at once: the second one is told at once who has it."""
        program = self.program()
        program.restart()
        clock = self.clock
        other = self.program()
        error = self.assertRaises(StoreError, other.restart)
        self.assertEqual(str(error), f"{self.path} is in use by process {os.getpid()}")
        self.clock = clock
        self.stop(program)

    def test_the_store_of_a_broker(self) -> None:
        """A broker's file is left alone."""
        store = SQLiteStore(self.path)
        store.open(self.fail)
        database = Database(self.path, "off")

        def commit(number: int, at: float, changes: Changes) -> None:
            database.commit([Frame(number, at, changes)])
            store.journal.committed(number, 0.0)

        store.journal.sink = commit
        broker = Broker(store, Clock().seconds)
        for client_id in ("us", "them"):
            connect = Connect(client_id, 5, properties=Properties(session_expiry_interval=100))
            broker.connect(RecordingTransport(), "peer").receive_data(connect.encode())
        database.close(True)
        store.close()
        error = self.assertRaises(StoreError, self.program().restart)
        self.assertEqual(str(error), f"{self.path} is the store of a broker")

    def test_no_directory(self) -> None:
        """Said at the start."""
        store = FileStore(os.path.join(self.path, "missing"), worker=at_once)
        self.assertRaises(StoreError, make_client(store, Clock()).restart)

    def test_a_damaged_file(self) -> None:
        """It is moved aside, the log says so, and the client begins with nothing."""
        before = self.program()
        before.restart()
        self.stop(before)
        with open(self.path, "wb") as file:
            file.write(b"no database" * 1000)
        program = self.program()
        lines: list[str] = []
        self.patch(program._shell, "warn", lambda text, **facts: lines.append(text.format(**facts)))
        program.restart()
        self.assertEqual(len(lines), 1)
        self.assertIn("moved to", lines[0])
        self.stop(program)

    def test_a_file_that_is_taken_away(self) -> None:
        """What is in a file that nobody will find is not stored."""
        program = self.program()
        program.restart()
        self.clock.pump([0.0] * 6)
        os.unlink(self.path)
        program.publish(b"1", 1)
        self.clock.pump([0.0] * 6)
        self.assertEqual(program.promised, [])
        self.stop(program)


class SettingsTests(SynchronousTestCase):
    """What makes no sense is refused when the client is made."""

    def test_no_client_id(self) -> None:
        """The store is about a session, and that has a name."""
        error = self.assertRaises(ValueError, make_client, FileStore("x"), Clock(), client_id="")
        self.assertIn("needs a client_id", str(error))

    def test_no_session(self) -> None:
        """A session that ends with the connection can't be kept."""
        error = self.assertRaises(ValueError, make_client, FileStore("x"), Clock(), session_expiry_interval=0)
        self.assertIn("needs a session_expiry_interval", str(error))

    def test_two_clients(self) -> None:
        """Each has a store of its own."""
        store = FileStore("x")
        make_client(store, Clock())
        self.assertRaises(ValueError, make_client, store, Clock())

    def test_unknown_sync(self) -> None:
        """SQLite would not say a word."""
        self.assertRaises(ValueError, FileStore, "x", "some")

    def test_stored_without_a_store(self) -> None:
        """There is nothing to wait for."""
        shell = TwistedShell(Clock())
        settings = ClientSettings("us", session_expiry_interval=1)
        client = FrontClient(settings, shell, Retry(Reconnecting(), shell.seconds))
        self.assertRaises(ValueError, client.stored)
        self.assertIsNone(self.successResultOf(client.close_store()))


class ThreadTests(TestCase):
    """The real thread, and the real reactor."""

    def test_commit(self) -> Deferred[None]:
        """Commits are made elsewhere; `stored` fires in the reactor's thread, and the file is closed."""
        from twisted.internet import reactor

        path = os.path.join(temporary_folder(self), "client.db")
        store = FileStore(path)
        program = make_client(store, reactor)
        here = get_ident()

        async def run() -> None:
            program.restart()
            waiting = program.publish(b"1", 1)
            await program.stored()
            self.assertEqual(get_ident(), here)
            program.finish()
            await program.close_store()
            await waiting
            self.assertFalse(store.is_open)
            self.assertGreater(store.counters.frames, 0)
            again = SQLiteStore(path)
            again.open(self.fail)
            (session,) = again.sessions()
            self.assertEqual(session.outgoing.waiting.length, 1)
            again.close()

        return Deferred.fromCoroutine(run())
