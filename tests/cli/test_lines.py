"""The standard input, read by a thread: here a pipe that the test writes to."""

from __future__ import annotations

import os
import queue
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.cli.lines import Input

Result = TypeVar("Result")


class Threads:
    """What the reactor is asked for: calls from threads, made when the test waits for them."""

    def __init__(self) -> None:
        self._calls: queue.Queue[Callable[[], object]] = queue.Queue()

    def callFromThread(self, function: Callable[..., object], *arguments: object) -> None:  # noqa: N802
        self._calls.put(lambda: function(*arguments))

    def make_one(self) -> None:
        self._calls.get(timeout=20.0)()


class InputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = Threads()
        reader, self.writer = os.pipe()
        self.addCleanup(os.close, reader)
        self.is_open = True
        self.addCleanup(self.end)
        self.source = Input(self.threads, reader)

    def end(self) -> None:
        if self.is_open:
            self.is_open = False
            os.close(self.writer)

    def result_of(self, coroutine: Coroutine[Any, Any, Result], reads: int) -> Result:
        """What it comes to after so many reads."""
        deferred = Deferred.fromCoroutine(coroutine)
        for _ in range(reads):
            self.assertNoResult(deferred)
            self.threads.make_one()
        return self.successResultOf(deferred)

    def test_lines(self) -> None:
        """Lines come without their line breaks, empty ones as well, and what is no whole line waits."""
        os.write(self.writer, b"1\n\n2\r\nab")
        self.assertEqual(self.result_of(self.source.lines(), 1), [b"1", b"", b"2\r"])
        os.write(self.writer, b"c\n")
        self.assertEqual(self.result_of(self.source.lines(), 1), [b"abc"])
        self.end()
        self.assertEqual(self.result_of(self.source.lines(), 1), [])

    def test_last_line(self) -> None:
        """A last line without a line break is one."""
        os.write(self.writer, b"1\nlast")
        self.end()
        self.assertEqual(self.result_of(self.source.lines(), 1), [b"1"])
        self.assertEqual(self.result_of(self.source.lines(), 1), [b"last"])
        self.assertEqual(self.result_of(self.source.lines(), 0), [])

    def test_nothing(self) -> None:
        """An empty input has no lines."""
        self.end()
        self.assertEqual(self.result_of(self.source.lines(), 1), [])

    def test_whole(self) -> None:
        """All of it, as it is."""
        os.write(self.writer, b"a\n\0\xff")
        self.end()
        self.assertEqual(self.result_of(self.source.whole(), 2), b"a\n\0\xff")

    def test_closed(self) -> None:
        """Who waits for more is told that it is the end; what comes later is nobody's."""
        waiting = Deferred.fromCoroutine(self.source.lines())
        self.source.close()
        self.assertEqual(self.successResultOf(waiting), [])
        os.write(self.writer, b"late\n")
        self.threads.make_one()
        self.assertEqual(self.result_of(self.source.lines(), 0), [])
