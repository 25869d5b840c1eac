"""What a client can make large costs in proportion to its size.

The cases are those of `benchmarks/linear.py`. That program measures time; here the operations of the Python
interpreter are counted, which is the same on every machine. What one operation does inside of C is not seen.
"""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from unittest import skipIf

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.build import BUILD

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SIZE = 64  # the smallest of three
ALLOWED = 2.65  # how much more the second doubling may add than the first: 2 is linear, 4 is quadratic


class Counter:
    """Counts the interpreter's operations."""

    def __init__(self) -> None:
        self.operations = 0

    def count(self, work: Callable[[], object]) -> int:
        """How many `work` takes; another tracer, of coverage say, is put back afterwards.

        The collector waits meanwhile: what brokers of earlier cases do at their end is not work of this one.
        """
        self.operations = 0
        before = sys.gettrace()
        gc.disable()
        sys.settrace(self._enter)
        try:
            work()
        finally:
            sys.settrace(before)
            gc.enable()
        return self.operations

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._step

    def _step(self, frame: FrameType, event: str, argument: Any) -> Any:
        self.operations += 1
        return self._step


def growth(case: Callable[[int], Callable[[], object]], size: int) -> float:
    """What going from 2 to 4 times `size` adds, as a multiple of what going from 1 to 2 times adds.

    That counts as one operation for each of `size` at least: what C does alone may add a handful, or none.
    """
    counter = Counter()
    counter.count(case(size))  # CPython 3.13 begins to count somewhere in its first run
    one, two, four = (counter.count(case(size * factor)) for factor in (1, 2, 4))
    return (four - two) / max(two - one, size)


@skipIf(BUILD == "compiled", "compiled code has no operations of the interpreter")
class LinearTimeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(sys, "path", [str(BENCHMARKS), *sys.path])
        self.cases = importlib.import_module("linear_cases")

    def test_cases(self) -> None:
        """Twice as many slashes, properties, filters, bytes, messages, ... take twice the work."""
        for name, (case, _) in self.cases.CASES.items():
            with self.subTest(name):
                self.assertLess(growth(case, SIZE), ALLOWED, name)

    def test_the_count_sees(self) -> None:
        """What looks through a list for each of its items is found out, a single loop over it is not."""

        def linear(size: int) -> Callable[[], object]:
            return lambda: [one for one in range(size)]  # noqa: C416

        def quadratic(size: int) -> Callable[[], object]:
            return lambda: [one for one in range(size) for other in range(one) if other == one]

        self.assertLess(growth(linear, SIZE), ALLOWED)
        self.assertGreater(growth(quadratic, SIZE), ALLOWED)


class ProgramTests(SynchronousTestCase):
    def run_program(self, power: float) -> tuple[int, str]:
        """The exit status, and what it prints, of one case whose cost grows with that power of its size."""
        self.patch(sys, "path", [str(BENCHMARKS), *sys.path])
        linear = importlib.import_module("linear")
        now = 0.0

        def case(size: int) -> Callable[[], None]:
            def work() -> None:
                nonlocal now
                now += size**power

            return work

        self.addCleanup(gc.enable)
        self.patch(linear, "time", SimpleNamespace(thread_time=lambda: now))
        self.patch(linear, "CASES", {"the case": (case, 800)})
        self.patch(sys, "argv", ["linear.py"])
        output = StringIO()
        self.patch(sys, "stdout", output)
        return linear.main(), output.getvalue()

    def test_linear(self) -> None:
        """Eight times the time for eight times the size is a power of 1, and well."""
        status, output = self.run_program(1)
        self.assertEqual(status, 0)
        self.assertIn(" 1.00 ", output)

    def test_quadratic(self) -> None:
        """64 times the time is a power of 2, and an error."""
        status, output = self.run_program(2)
        self.assertEqual(status, 1)
        self.assertIn(" 2.00 ", output)
        self.assertIn("the case !", output)
