"""How many verifications run and wait, and what becomes of those whose client leaves."""

from __future__ import annotations

from typing import Any

from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.auth import ServerBusy
from mqttwist.net.hashes import parse_hash
from mqttwist.net.passwords import VerificationQueue
from tests.net.logins import (
    HeldThreads,
    at_once,
    cheap_hash,
)

SECRET = parse_hash(cheap_hash(b"secret"))


class QueueTests(SynchronousTestCase):
    """`VerificationQueue`: few run at once, so many wait, the rest is turned away."""

    def setUp(self) -> None:
        self.threads = HeldThreads()
        self.queue = VerificationQueue(self.threads, running=2, waiting=3)

    def verify(self, password: bytes = b"secret") -> Deferred[bool]:
        return self.queue.verify(SECRET, password)

    def test_answer(self) -> None:
        """The answer is whether the password is right."""
        right, wrong = self.verify(), self.verify(b"wrong")
        self.assertNoResult(right)
        self.threads.finish_first()
        self.threads.finish_first()
        self.assertIs(self.successResultOf(right), True)
        self.assertIs(self.successResultOf(wrong), False)

    def test_few_at_once(self) -> None:
        """No more than `running` verifications are in threads; the next begins when one ends."""
        answers = [self.verify() for _ in range(5)]
        self.assertEqual(len(self.threads.begun), 2)
        self.threads.finish_first()
        self.assertEqual(len(self.threads.begun), 2)
        for _ in range(4):
            self.threads.finish_first()
        self.assertEqual([self.successResultOf(answer) for answer in answers], [True] * 5)

    def test_busy(self) -> None:
        """Beyond `running` and `waiting`, a login fails with `ServerBusy`, which is no wrong password."""
        for _ in range(5):
            self.verify()
        failure = self.failureResultOf(self.verify(), ServerBusy)
        self.assertIsNone(failure.check(UnauthorizedLogin))

    def test_places_come_back(self) -> None:
        """When one is done there is a place again, and just one."""
        for _ in range(5):
            self.verify()
        self.threads.finish_first()
        self.assertNoResult(self.verify())
        self.failureResultOf(self.verify(), ServerBusy)

    def test_failures_pass_and_free_the_place(self) -> None:
        """What goes wrong in a thread reaches the caller, and neither turn nor place is lost."""

        def fall(*arguments: Any) -> Deferred[Any]:
            raise MemoryError

        self.queue = VerificationQueue(fall, running=1, waiting=0)
        for _ in range(3):
            self.failureResultOf(self.verify(), MemoryError)

    def test_cancelled_while_waiting(self) -> None:
        """Who leaves before its turn costs no work: its verification is never begun."""
        running = [self.verify(), self.verify()]
        gone, patient = self.verify(), self.verify(b"wrong")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        for _ in range(3):
            self.threads.finish_first()
        self.assertEqual(self.threads.begun, [])
        self.assertEqual([self.successResultOf(answer) for answer in running], [True, True])
        self.assertIs(self.successResultOf(patient), False)

    def test_cancelled_place_is_free_at_once(self) -> None:
        """Who leaves before its turn makes room for another, although nothing has been verified yet."""
        answers = [self.verify() for _ in range(5)]
        answers[3].cancel()
        self.failureResultOf(answers[3], CancelledError)
        self.assertNoResult(self.verify())
        self.failureResultOf(self.verify(), ServerBusy)

    def test_cancelled_while_running(self) -> None:
        """Who leaves while its thread runs keeps the turn until the thread is done."""
        gone = [self.verify(), self.verify()]
        waiting = self.verify()
        for answer in gone:
            answer.cancel()
            self.failureResultOf(answer, CancelledError)
        self.assertEqual(len(self.threads.begun), 2)
        self.assertNoResult(waiting)
        self.threads.finish_first()
        self.threads.finish_first()
        self.threads.finish_first()
        self.assertIs(self.successResultOf(waiting), True)

    def test_come_and_go(self) -> None:
        """Clients that connect and leave again can't make more run than `running`, nor leak places."""
        for _ in range(50):
            answer = self.verify()
            answer.addErrback(lambda failure: None)
            answer.cancel()
        self.assertEqual(len(self.threads.begun), 2)
        while self.threads.begun:
            self.threads.finish_first()
        answers = [self.verify() for _ in range(5)]
        self.failureResultOf(self.verify(), ServerBusy)
        for answer in answers:
            self.assertNoResult(answer)

    def test_arguments(self) -> None:
        """At least one must run, and less than none can't wait."""
        self.assertRaises(ValueError, VerificationQueue, at_once, 0, 1)
        self.assertRaises(ValueError, VerificationQueue, at_once, 1, -1)
