"""The writer of a store: fed with frames, started again when it dies, and told to end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import mqttwist
from mqttwist.net.store_process import PATIENCE, RESTART_LIMIT, RETRY, WRITER
from mqttwist.wire.acknowledge import PubAck
from tests.net.stored import StoredTestCase

DONE = PubAck(1, 0x10)  # nobody subscribes to it
FULL = "OperationalError: database or disk is full"


class WriterTestCase(StoredTestCase):
    """The store is open, and what that led to is stored."""

    def setUp(self) -> None:
        super().setUp()
        self.storage.open()
        self.write()
        self.counters = self.storage.counters

    def assertStored(self, *topics: str) -> None:  # noqa: N802
        """The file has these retained messages, and no others, when it is opened anew."""
        self.begin()
        self.storage.open()
        self.assertEqual(len(self.broker.router.retained), len(topics))
        for topic in topics:
            self.assertIsNotNone(self.broker.router.retained.get(topic))


class RunningTests(WriterTestCase):
    """As long as all goes well."""

    def test_the_process(self) -> None:
        """It is this interpreter with the writer's module, the path, the level and the lock's descriptor."""
        lock = str(self.store.file.lock_fd)
        options = [str(self.path), "--sync", "off", "--lock-fd", lock]
        self.assertEqual(self.writer.arguments, [sys.executable, "-P", "-m", WRITER, *options])
        self.assertEqual(self.storage.writer_pid, self.writer.pid)

    def test_where_it_finds_modules(self) -> None:
        """Where this package is, then where PYTHONPATH says, and never in the run directory."""
        own = str(Path(mqttwist.__file__).parent.parent)
        for inherited, expected in (("", [own]), (os.pathsep, [own]), ("/a::/b:", [own, "/a", "/b"])):
            self.patch(os, "environ", {"PYTHONPATH": inherited})
            self.writer.die()
            self.run_for(1)
            self.assertEqual(self.writer.env["PYTHONPATH"].split(os.pathsep), expected)

    def test_a_frame(self) -> None:
        """A frame is sent once; when it is committed the acknowledgement goes out."""
        publisher = self.promise()
        self.run_for()
        self.assertEqual(len(self.writer.arrived), 1)
        self.assertNotIn(DONE, publisher.take())
        self.assertGreater(self.storage.pending_bytes, 0)
        self.writer.answer()
        self.assertEqual(publisher.take(), [DONE])
        self.run_for(10)
        self.assertEqual((self.writer.arrived, self.storage.pending_bytes), ([1], 0))

    def test_one_frame_at_a_time(self) -> None:
        """What comes while a frame is under way makes the next one, all of it."""
        self.promise("a")
        self.run_for()
        self.promise("b")
        self.promise("c")
        self.run_for(1)
        self.assertEqual(self.writer.arrived, [1])
        self.write()
        self.assertEqual(self.writer.arrived, [1, 2])

    def test_counters(self) -> None:
        """The counters say what was done, in plain numbers."""
        for topic in ("a", "b"):
            self.promise(topic)
            self.write()
        counters = self.counters
        self.assertEqual((counters.frames, counters.starts, counters.failures), (2, 1, 0))
        self.assertEqual((counters.file_size, counters.wal_size, counters.last_error), (4096, 8192, ""))
        self.assertAlmostEqual(counters.commit_seconds, 0.002)

    def test_a_frame_before_the_file_is_open(self) -> None:
        """What happens while the writer starts is sent when it is ready."""
        self.writer.die()
        self.reactor.prompt = False
        self.run_for(1)
        publisher = self.promise()
        self.run_for(1)
        self.assertEqual(self.writer.arrived, [])
        self.writer.open()
        self.write()
        self.assertEqual(self.writer.arrived, [1])
        self.assertIn(DONE, publisher.take())

    def test_an_error_in_the_broker(self) -> None:
        """A bug in the broker that a commit brings to light is logged, and the writer is fed on."""
        self.promise("a")
        self.run_for()
        stored = self.broker.__class__.stored
        self.patch(self.broker.__class__, "stored", lambda broker, frame: stored(broker, frame) or 1 / 0)
        self.writer.answer()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.promise("b")
        self.run_for()
        self.assertEqual(self.writer.arrived, [1, 2])

    def test_standard_error(self) -> None:
        """What the writer says of a bug is in the log."""
        self.writer.complain("Traceback: a bug\n")
        self.assertEqual(self.lines("a bug"), ["The writer of the store: Traceback: a bug"])


class DeathTests(WriterTestCase):
    """A writer that dies is started again within a second, and goes on where it was."""

    def test_what_was_not_confirmed(self) -> None:
        """It is sent the frame that was not confirmed, and none that was."""
        self.promise("a")
        self.write()
        publisher = self.promise("b")
        self.run_for()
        self.writer.die()
        self.assertIsNone(self.storage.writer_pid)
        self.run_for(1)
        self.assertEqual((self.counters.starts, self.writer.arrived), (2, [2]))
        self.assertEqual(publisher.take()[1:], [])
        self.write()
        self.assertIn(DONE, publisher.take())
        self.assertStoredAfterStop("a", "b")

    def test_between_its_end_and_the_word_of_it(self) -> None:
        """What changes while a writer is dying goes to the next one; so does the wish to stop."""
        self.writer.begin_to_die()
        publisher = self.promise("a")
        self.run_for()
        closed = self.storage.close()
        self.writer.die()
        self.run_for(1)
        self.assertEqual((self.counters.starts, self.writer.arrived), (2, [1]))
        self.write()
        self.assertIn(DONE, publisher.take())
        self.successResultOf(closed)
        self.assertStored("a")

    def assertStoredAfterStop(self, *topics: str) -> None:  # noqa: N802
        self.successResultOf(self.storage.close())
        self.assertStored(*topics)

    def test_committed_and_not_said(self) -> None:
        """A frame that was in the file when the writer died is not sent again; the next one follows."""
        publisher = self.promise("a")
        self.run_for()
        self.promise("b")
        self.writer.commit_and_die()
        self.assertNotIn(DONE, publisher.take())
        self.run_for(1)
        self.assertEqual(publisher.take(), [DONE])
        self.write()
        self.assertEqual(self.writer.arrived, [2])
        self.assertStoredAfterStop("a", "b")

    def test_in_between(self) -> None:
        """One that dies with nothing to do is replaced, too, and what comes meanwhile is not lost."""
        self.writer.die()
        self.promise("a")
        self.run_for(1)
        self.write()
        self.assertEqual(self.writer.arrived, [1])
        self.assertEqual(len(self.lines("starting another")), 1)

    def test_again_and_again(self) -> None:
        """It does not matter how often."""
        publisher = self.promise("a")
        for _ in range(5):
            self.run_for(1)
            self.writer.die()
        self.run_for(1)
        self.write()
        self.assertIn(DONE, publisher.take())
        self.assertEqual(self.counters.starts, 6)

    def test_a_dead_one_says_no_more(self) -> None:
        """The end of a writer that was replaced before is no end of the next one."""
        first = self.writer
        first.die()
        self.run_for(1)
        first.is_alive = True
        first.die()
        self.run_for(5)
        self.assertEqual(self.storage.writer_pid, self.writer.pid)
        self.assertEqual(self.counters.starts, 2)


class StartTests(WriterTestCase):
    """No other writer can be started."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor.fault = OSError(24, "Too many open files")

    def test_tried_again(self) -> None:
        """It is tried again, less and less often, until there is one; nothing is acknowledged before."""
        publisher = self.promise("a")
        self.run_for()
        self.writer.die()
        self.run_for(1)
        self.assertIsNone(self.storage.writer_pid)
        self.assertNotIn(DONE, publisher.take())
        for _ in range(1000):
            self.run_for(0.1)
        self.assertEqual(self.reactor.starts, 15)  # after 0.2, 0.4, ... 6.4, and then 10 s each
        self.reactor.fault = None
        self.run_for(RESTART_LIMIT)
        self.write()
        self.assertEqual(self.writer.arrived, [1])
        self.assertIn(DONE, publisher.take())

    def test_the_log(self) -> None:
        """The log says it once for each reason, and when it is over."""
        self.writer.die()
        for _ in range(50):
            self.run_for(1)
        self.assertEqual(len(self.lines("Too many open files")), 1)
        self.reactor.fault = MemoryError("no memory")
        self.run_for(RESTART_LIMIT)
        self.assertEqual(len(self.lines("no memory")), 1)
        self.assertEqual(self.lines("takes changes again"), [])
        self.reactor.fault = None
        self.run_for(RESTART_LIMIT)
        self.assertEqual(len(self.lines("takes changes again")), 1)

    def test_clients_are_told(self) -> None:
        """The store counts as failing until the next commit, or a writer that finds nothing to do."""
        for there_is_something in (True, False):
            self.reactor.fault = OSError(12, "Cannot allocate memory")
            if there_is_something:
                self.promise("a")
                self.run_for()
            self.writer.die()
            self.assertFalse(self.store.journal.is_failing)
            self.run_for(1)
            self.assertTrue(self.store.journal.is_failing)
            self.assertIn("Cannot allocate memory", self.counters.last_error)
            self.reactor.fault = None
            self.run_for(RESTART_LIMIT)
            self.assertEqual(self.store.journal.is_failing, there_is_something)
            self.write()
            self.assertEqual((self.store.journal.is_failing, self.counters.last_error), (False, ""))

    def test_a_program_that_cannot_run(self) -> None:
        """The same if it is started and ends before it has opened the file."""
        self.reactor.fault = None
        self.reactor.prompt = False
        self.writer.die()
        self.run_for(1)
        self.writer.give_up_start()
        self.assertTrue(self.store.journal.is_failing)
        self.assertEqual(len(self.lines("can be started: A process has ended")), 1)


class LateTests(WriterTestCase):
    """A writer that stores nothing, and does not say why."""

    def test_a_frame_that_takes_long(self) -> None:
        """The log says it once, after two seconds, and how long it took when it is over; every time."""
        for n in range(1, 3):
            self.promise(f"topic {n}")
            self.run_for()
            self.run_for(1)
            self.run_for(0.9)
            self.assertEqual(len(self.lines("is slow")), n - 1)
            for _ in range(5):
                self.run_for(1)
            self.assertEqual(len(self.lines("is slow: what was to be stored 2.9 s ago")), n)
            self.assertEqual(len(self.lines("any more")), n - 1)
            self.writer.answer()
            self.assertEqual(len(self.lines("not slow any more: that took 6.9 s")), n)

    def test_frames_that_follow_each_other(self) -> None:
        """Many that are in time are not late."""
        for n in range(5):
            self.promise(f"topic {n}")
            self.run_for(1)
            self.writer.answer()
        self.run_for(5)
        self.assertEqual(self.lines("slow"), [])

    def test_the_reason_is_known(self) -> None:
        """A disk that is full, or a writer that can't be started, was told before."""
        self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        self.writer.answer()
        for _ in range(5):
            self.run_for(RETRY)
        self.assertEqual(self.lines("slow"), [])

    def test_a_broker_that_goes_on(self) -> None:
        """The time in which the broker was stopped does not count, and it is late anew."""
        self.promise("a")
        self.run_for()
        closed = self.storage.close()
        for _ in range(int(PATIENCE)):
            self.run_for(1)
        self.successResultOf(closed)
        self.assertEqual(len(self.lines("is slow")), 1)
        self.writer.die()
        self.run_for(100)
        self.storage.open()
        self.run_for(1)
        self.assertEqual(len(self.lines("is slow")), 1)
        for _ in range(3):
            self.run_for(1)
        self.assertEqual(len(self.lines("is slow")), 2)
        self.write()
        self.assertEqual(len(self.lines("that took 4.0 s")), 1)


class FailureTests(WriterTestCase):
    """The disk is full, or broken."""

    def break_down(self) -> None:
        self.publisher = self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        self.writer.answer()

    def test_tried_again(self) -> None:
        """The same frame is sent again after a second, and nothing is acknowledged before it is stored."""
        self.break_down()
        for n in range(1, 5):
            self.assertEqual((self.writer.arrived, self.counters.failures), ([1] * n, n))
            self.assertTrue(self.store.journal.is_failing)
            self.run_for(RETRY)
            self.writer.answer()
        self.assertNotIn(DONE, self.publisher.take())
        self.writer.fault = ""
        self.run_for(RETRY)
        self.writer.answer()
        self.assertEqual(self.publisher.take(), [DONE])
        self.assertFalse(self.store.journal.is_failing)
        self.assertEqual((self.counters.last_error, self.counters.frames), ("", 1))

    def test_the_log(self) -> None:
        """The log says it once, again when it is for another reason, and that it is over."""
        self.break_down()
        for _ in range(5):
            self.run_for(RETRY)
            self.writer.answer()
        self.assertEqual(len(self.lines(FULL)), 1)
        self.assertEqual(self.counters.last_error, FULL)
        self.writer.fault = "OperationalError: disk I/O error"
        self.run_for(RETRY)
        self.writer.answer()
        self.assertEqual(len(self.lines("disk I/O error")), 1)
        self.assertEqual(len(self.lines("takes changes again")), 0)
        self.writer.fault = ""
        self.run_for(RETRY)
        self.writer.answer()
        self.assertEqual(len(self.lines("takes changes again")), 1)

    def test_a_writer_that_dies_meanwhile(self) -> None:
        """The next one is sent the frame once."""
        self.break_down()
        self.writer.die()
        self.run_for(RETRY)
        self.run_for(RETRY)
        self.assertEqual(self.writer.arrived, [1])
        self.write()
        self.assertIn(DONE, self.publisher.take())

    def test_a_file_that_cannot_be_opened(self) -> None:
        """A writer that can't open the file says so, and is sent the frame when it can."""
        self.reactor.prompt = False
        self.writer.die()
        self.run_for(1)
        self.promise("a")
        self.writer.cannot_open("OSError: no such file")
        self.assertTrue(self.store.journal.is_failing)
        self.run_for(5)
        self.assertEqual(self.writer.arrived, [])
        self.writer.open()
        self.write()
        self.assertEqual(self.writer.arrived, [1])
        self.assertFalse(self.store.journal.is_failing)

    def test_a_file_that_can_be_opened_again(self) -> None:
        """It takes changes again even when there was nothing to be stored."""
        self.reactor.prompt = False
        self.writer.die()
        self.run_for(1)
        self.writer.cannot_open("OSError: no such file")
        self.writer.open()
        self.run_for(5)
        self.assertFalse(self.store.journal.is_failing)


class EndTests(WriterTestCase):
    """The end: all is stored, the writer is told goodbye and has ended."""

    def test_nothing_left(self) -> None:
        """With nothing to be stored, the process is told goodbye at once."""
        self.successResultOf(self.storage.close())
        self.assertTrue(self.writer.was_goodbye)
        self.assertFalse(self.writer.is_alive or self.store.is_open)

    def test_what_is_left(self) -> None:
        """What has gathered goes off and is stored before."""
        self.reactor.prompt = self.writer.prompt = False
        self.promise("a")
        self.run_for()
        self.promise("b")
        closed = self.storage.close()
        self.assertFalse(self.writer.is_closed)
        self.write()
        self.assertTrue(self.writer.is_closed and self.writer.was_goodbye)
        self.assertNoResult(closed)
        self.writer.end()
        self.successResultOf(closed)
        self.reactor.prompt = True
        self.assertStored("a", "b")

    def test_a_writer_that_is_starting(self) -> None:
        """One that has not opened the file yet is told goodbye once, and may say that it is ready."""
        self.reactor.prompt = False
        self.writer.die()
        self.run_for(1)
        closed = self.storage.close()
        self.writer.open()
        self.writer.end()
        self.successResultOf(closed)

    def test_a_writer_that_has_died(self) -> None:
        """If the writer dies before all is stored, another one stores the rest."""
        self.promise("a")
        self.run_for()
        closed = self.storage.close()
        self.writer.die()
        self.assertNoResult(closed)
        self.run_for(1)
        self.assertNoResult(closed)
        self.write()
        self.successResultOf(closed)
        self.assertStored("a")

    def test_no_writer(self) -> None:
        """The same if there is none when the end comes."""
        self.promise("a")
        self.run_for()
        self.writer.die()
        closed = self.storage.close()
        self.assertNoResult(closed)
        self.run_for(1)
        self.write()
        self.successResultOf(closed)
        self.assertStored("a")

    def test_a_writer_that_dies_with_nothing_left(self) -> None:
        """One that is killed in place of ending leaves nothing to be done."""
        self.writer.prompt = False
        closed = self.storage.close()
        self.writer.die()
        self.successResultOf(closed)
        self.run_for(5)
        self.assertEqual(self.counters.starts, 1)

    def test_a_full_disk(self) -> None:
        """If the rest can't be stored, the log says that it is lost, and the end comes all the same."""
        self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        closed = self.storage.close()
        self.assertNoResult(closed)
        self.writer.answer()
        self.successResultOf(closed)
        self.assertEqual(len(self.lines("is lost")), 1)
        self.assertStored()

    def test_a_full_disk_before(self) -> None:
        """The same if that was so before the end came: within a second."""
        self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        self.writer.answer()
        closed = self.storage.close()
        self.run_for(RETRY)
        self.writer.answer()
        self.successResultOf(closed)

    def test_after_a_full_disk(self) -> None:
        """When there is room again, the same broker can be started again, and stores what it still has."""
        self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        closed = self.storage.close()
        self.writer.answer()
        self.successResultOf(closed)
        self.storage.open()
        self.write()
        publisher = self.promise("b")
        self.write()
        self.assertIn(DONE, publisher.take())
        self.promise("c")
        self.run_for()
        closed = self.storage.close()
        self.writer.die()
        self.assertNoResult(closed)  # this time it does not give up
        self.run_for(1)
        self.write()
        self.successResultOf(closed)
        self.assertStored("a", "b", "c")

    def test_no_writer_can_be_started(self) -> None:
        """If no writer can be started, the rest is lost, the log says how much, and the end comes at once."""
        self.promise("a")
        self.run_for()
        self.reactor.fault = OSError(24, "Too many open files")
        self.writer.die()
        for _ in range(50):
            self.run_for(1)
        closed = self.storage.close()
        self.run_for()
        self.successResultOf(closed)
        self.assertEqual(len(self.lines("is lost: the broker stops; about 0.")), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_room_for_a_writer(self) -> None:
        """If there is one when clients have gone, all is stored."""
        self.promise("a")
        self.run_for()
        self.reactor.fault = OSError(24, "Too many open files")
        self.writer.die()
        for _ in range(50):
            self.run_for(1)
        self.reactor.fault = None
        closed = self.storage.close()
        self.write()
        self.successResultOf(closed)
        self.assertStored("a")

    def test_no_writer_and_nothing_left(self) -> None:
        """If there is nothing to be stored, nothing is lost."""
        self.reactor.fault = OSError(24, "Too many open files")
        self.writer.die()
        closed = self.storage.close()
        self.run_for()
        self.successResultOf(closed)
        self.assertEqual(self.lines("is lost"), [])

    def test_a_writer_that_ends_before_it_is_ready(self) -> None:
        """One that is started after the end has come, and can't run, is the last one."""
        self.promise("a")
        self.run_for()
        self.reactor.prompt = False
        self.writer.die()
        closed = self.storage.close()
        self.run_for()
        self.writer.give_up_start()
        self.successResultOf(closed)
        self.assertEqual(len(self.lines("is lost")), 1)

    def test_a_writer_that_hangs(self) -> None:
        """A writer that stores nothing for 15 s is killed; the end does not wait until that takes effect."""
        self.promise("a")
        self.run_for()
        closed = self.storage.close()
        self.run_for(PATIENCE - 0.1)
        self.assertNoResult(closed)
        self.run_for(0.1)
        self.successResultOf(closed)
        self.assertTrue(self.writer.was_killed)
        self.assertEqual(len(self.lines("is lost: the broker stops; about 0.")), 1)
        self.writer.answer()
        self.assertEqual(self.counters.frames, 0)
        self.writer.die()
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_a_writer_that_is_slow(self) -> None:
        """As long as something is stored, the end waits for the rest."""
        self.promise("a")
        self.run_for()
        self.promise("b")
        closed = self.storage.close()
        for _ in range(2):
            self.run_for(PATIENCE - 1)
            self.assertNoResult(closed)
            self.writer.answer(1)
        self.successResultOf(closed)
        self.assertStored("a", "b")

    def test_a_writer_that_does_not_end(self) -> None:
        """One that hangs when all is stored is killed as well, and nothing is lost."""
        self.writer.prompt = False
        closed = self.storage.close()
        self.run_for(PATIENCE)
        self.successResultOf(closed)
        self.assertTrue(self.writer.was_killed)
        self.assertEqual(self.lines("is lost"), [])

    def test_no_calls_are_left(self) -> None:
        """Nothing is called later when all has ended."""
        self.promise("a")
        self.run_for()
        self.writer.fault = FULL
        self.writer.answer()
        closed = self.storage.close()
        self.writer.fault = ""
        self.run_for(RETRY)
        self.write()
        self.successResultOf(closed)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
