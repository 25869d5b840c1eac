"""`mqttwist.stores.sqlite.lock`: one broker to a store."""

from __future__ import annotations

import os

from mqttwist.stores.sqlite.lock import Lock, StoreError, take_lock
from tests.stores.sqlite.support import NOW, StoreCase


class LockTests(StoreCase):
    def setUp(self) -> None:
        super().setUp()
        self.now = 0.0
        self.lock_path = self.path + ".lock"

    def sleep(self, seconds: float) -> None:
        """Time goes by; at 3 s the other one lets go of the lock."""
        if self.now < 3.0 <= self.now + seconds:
            os.close(self.other.fd)
        self.now += seconds

    def take(self, wait: float) -> Lock:
        lock = take_lock(self.lock_path, wait, lambda: self.now, self.sleep)
        self.addCleanup(os.close, lock.fd)
        return lock

    def take_other(self) -> None:
        """Somebody else takes the lock."""
        self.other = take_lock(self.lock_path, 0.0, lambda: self.now, self.sleep)

    def test_the_first(self) -> None:
        """The first lock was never touched before; its file is its owner's alone and names the process."""
        self.assertIsNone(self.take(0.0).touched_at)
        self.assertEqual(os.stat(self.lock_path).st_mode & 0o777, 0o600)
        with open(self.lock_path) as file:
            self.assertEqual(file.read(), f"{os.getpid()}\n")

    def test_when_it_was_touched(self) -> None:
        """The time is that of the one before, not of our own taking it."""
        self.take_other()
        os.utime(self.other.fd, (NOW, NOW))
        os.close(self.other.fd)
        self.assertEqual(self.take(0.0).touched_at, NOW)

    def test_waiting(self) -> None:
        """Who comes second waits until the first is gone, and no longer."""
        self.take_other()
        self.take(10.0)
        self.assertTrue(3.0 <= self.now < 3.1, self.now)

    def test_waiting_in_vain(self) -> None:
        """When the time is over an error names store and process, and nothing stays open."""
        self.take_other()
        self.addCleanup(os.close, self.other.fd)
        open_before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
        error = self.assertRaises(StoreError, self.take, 2.0)
        self.assertEqual(str(error), f"{self.path} is in use by process {os.getpid()}")
        self.assertTrue(2.0 <= self.now < 2.1, self.now)
        if open_before:
            self.assertEqual(len(os.listdir("/proc/self/fd")), open_before)

    def test_a_copy_of_the_descriptor_holds_it(self) -> None:
        """The lock is held as long as the writer has the descriptor, though the broker is gone."""
        self.take_other()
        inherited = os.dup(self.other.fd)
        os.close(self.other.fd)
        self.assertRaises(StoreError, self.take, 0.0)
        os.close(inherited)
        self.take(0.0)
