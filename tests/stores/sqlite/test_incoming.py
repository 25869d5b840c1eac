"""`mqttwist.stores.sqlite.incoming`: frames from a pipe."""

from __future__ import annotations

import contextlib
import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.stores.sqlite.incoming import Incoming
from mqttwist.stores.sqlite.schema import GOODBYE, pack_frame
from tests.stores.sqlite.support import body


class IncomingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.fd, self.end = os.pipe()
        self.addCleanup(self.close)
        self.addCleanup(os.close, self.fd)
        self.incoming = Incoming(self.fd)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self.end)

    def take(self) -> list[int]:
        """The numbers of the frames that are there now."""
        return [frame.number for frame in self.incoming.take(0.0)]

    def test_nothing(self) -> None:
        """When nothing comes in time there is no frame, and it is not the end."""
        self.assertEqual((self.take(), self.incoming.ended), ([], False))

    def test_all_at_once(self) -> None:
        """All frames that have arrived are taken together."""
        os.write(self.end, b"".join(pack_frame(number, 0.0, []) for number in (1, 2, 3)))
        self.assertEqual(self.take(), [1, 2, 3])

    def test_byte_by_byte(self) -> None:
        """A frame is taken when its last byte is there, not before, and none of the next one is lost."""
        data = pack_frame(1, 0.5, [(2, [body(1)], [])]) + pack_frame(2, 0.5, [])
        first = len(data) - len(pack_frame(2, 0.5, []))
        taken = []
        for at in range(len(data)):
            os.write(self.end, data[at : at + 1])
            taken += [(at + 1, number) for number in self.take()]
        self.assertEqual(taken, [(first, 1), (len(data), 2)])

    def test_the_end(self) -> None:
        """At the end what is whole is taken, and the part of a frame after it is not."""
        os.write(self.end, pack_frame(1, 0.0, []) + pack_frame(2, 0.0, [])[:-1])
        os.close(self.end)
        self.assertEqual((self.take(), self.incoming.ended, self.incoming.goodbye), ([1], True, False))
        self.assertEqual(self.take(), [])

    def test_goodbye(self) -> None:
        """The frame of no length is none; it tells that the broker ends in order, if no other follows."""
        os.write(self.end, pack_frame(1, 0.0, []) + GOODBYE)
        self.assertEqual((self.take(), self.incoming.goodbye), ([1], True))
        os.write(self.end, pack_frame(2, 0.0, []))
        self.assertEqual((self.take(), self.incoming.goodbye), ([2], False))

    def test_a_large_frame(self) -> None:
        """A frame may be larger than a read and than what is enough for a commit."""
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        there.setblocking(False)
        incoming = Incoming(here.fileno())
        data = pack_frame(1, 0.0, [(2, [body(n, b"x" * (1 << 20)) for n in range(18)], [])])
        rest = memoryview(data)
        frames = []
        while rest:
            with contextlib.suppress(BlockingIOError):
                rest = rest[there.send(rest) :]
            frames += incoming.take(0.0)
        frames += incoming.take(0.0)
        self.assertEqual([len(frame.changes[0][1]) for frame in frames], [18])

    def test_a_connection_that_is_reset(self) -> None:
        """A socket whose other end died with our answers unread is at its end, too."""
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        here.send(b"answer")
        there.close()
        incoming = Incoming(here.fileno())
        self.assertEqual((incoming.take(0.0), incoming.ended), ([], True))
