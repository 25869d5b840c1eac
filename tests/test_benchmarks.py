"""The cases of benchmarks/micro.py still run; how fast is not asked here."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


class MicroTests(SynchronousTestCase):
    def module(self, name: str) -> Any:
        """A module that lies beside the scripts of the benchmarks."""
        self.patch(sys, "path", [str(BENCHMARKS), *sys.path])
        return importlib.import_module(name)

    def test_cases(self) -> None:
        """Of every case all messages get through, and the meter sees them."""
        cases = self.module("micro_cases")
        for name, value in {"BATCH": 5, "SPREAD": 10, "KNOWN_FILTERS": 10}.items():
            self.patch(cases, name, value)
        meter = self.module("meter").Meter()
        for name, make in cases.CASES.items():
            work = make()
            expected = {"fan-out": 2000, "connect": 50}.get(name.split()[0], 5)
            self.assertEqual([work(meter), work(meter)], [expected, expected], name)
            nanoseconds, instructions = meter.take()
            self.assertGreater(nanoseconds, 0, name)
            self.assertEqual(instructions > 0, meter.counts_instructions, name)

    def test_changes(self) -> None:
        """A loss is told in percent of the time before; a case that is new has none."""
        micro = self.module("micro")
        changes = micro.changes(
            {"a": (12.0, 0.0), "b": (5.0, 0.0), "c": (1.0, 0.0)}, {"a": (10.0, 0.0), "b": (10.0, 0.0)}
        )
        self.assertEqual({name: round(change) for name, change in changes.items()}, {"a": 20, "b": -50})
