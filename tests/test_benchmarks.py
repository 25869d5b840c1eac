"""What lies in benchmarks/ still runs; how fast the core is, is not asked here."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


class BenchmarkTestCase(SynchronousTestCase):
    def module(self, name: str) -> Any:
        """A module of the benchmarks, found as their scripts find it: beside them."""
        self.patch(sys, "path", [str(BENCHMARKS), *sys.path])
        return importlib.import_module(name)


class MicroTests(BenchmarkTestCase):
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
            if not meter.counts_instructions:  # and else a processor whose counters others use may count none
                self.assertEqual(instructions, 0, name)

    def test_changes(self) -> None:
        """A loss is told in percent of the time before; a case that is new has none."""
        micro = self.module("micro")
        changes = micro.changes(
            {"a": (12.0, 0.0), "b": (5.0, 0.0), "c": (1.0, 0.0)}, {"a": (10.0, 0.0), "b": (10.0, 0.0)}
        )
        self.assertEqual({name: round(change) for name, change in changes.items()}, {"a": 20, "b": -50})


class GrowthTests(BenchmarkTestCase):
    def test_growths(self) -> None:
        """Each growth is measured at its sizes: CPU always, memory where the table has a figure for it."""
        growth = self.module("growth")
        self.patch(growth, "ROUNDS", 1)
        for name, (measure, sizes) in growth.GROWTHS.items():
            cost, memory = measure(min(*sizes, 400))
            self.assertGreater(cost, 0, name)
            self.assertGreaterEqual(memory, 0, name)


class BrokersTests(BenchmarkTestCase):
    def results(self) -> Any:
        """Two scenarios, one of which the second broker could not do."""
        good = {"cpu_us": 10.0, "per_second": 85_123.0, "p50_us": 20.0, "p99_us": 50.0, "missing": 0}
        better = {**good, "cpu_us": 0.5, "missing": 7}
        runs = {
            "pipe": {"base": [good], "other": [better]},
            "big": {"base": [good], "other": [{"error": "did <not> start"}]},
        }
        titles = {"pipe": "1 to 1", "big": "64 KiB"}
        commands = {"base": "base", "other": "other"}
        return self.module("report").Results("a machine", "3.11", 1, 3, commands, titles, runs)

    def test_options(self) -> None:
        """The clients know every option that a scenario gives them."""
        known = set(re.findall(r'\{"(--[a-z-]+)",', (BENCHMARKS / "load.c").read_text("utf-8")))
        for scenario, (_, options) in self.module("brokers").SCENARIOS.items():
            self.assertEqual(set(options.split()[::2]) - known, set(), scenario)

    def test_numbers(self) -> None:
        """Three significant digits, and a dash for what is not known."""
        number = self.module("report").number
        values = (0.0, 0.04261, 0.5, 9.996, 99.96, 204.4, 85_123.0, 2_000_400.0)
        shown = ["-", "0.0426", "0.500", "10.00", "100.0", "204", "85,100", "2,000,000"]
        self.assertEqual([number(value) for value in values], shown)

    def test_table(self) -> None:
        """It says how many times the CPU of the base it is, what was lost and what failed."""
        table = self.module("report").markdown(self.results(), "base")
        self.assertIn("| pipe | 1 to 1 | 10.0 | 0.500 (0.0500 x) |", table)
        self.assertIn("| pipe | other | 0.500 | 0.0500 | 85,100 | 20.0 | 50.0 | 7 messages lost |", table)
        self.assertIn("| big | other | - | - | - | - | - | 1 of 1 runs failed |", table)
        self.assertTrue(self.results().has_failures)

    def test_chart(self) -> None:
        """It is well-formed, nothing sticks out, and a run that failed is no bar."""
        root = ElementTree.fromstring(self.module("report").bar_chart(self.results(), "base"))
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        marks = [mark.attrib for mark in root if mark.tag.endswith("rect")]
        for mark in marks:
            self.assertLessEqual(float(mark.get("x", 0)) + float(mark["width"]), width)
            self.assertLessEqual(float(mark.get("y", 0)) + float(mark["height"]), height)
        pipe, big = marks[-2:]
        self.assertGreater(float(pipe["width"]), 0)
        self.assertEqual(float(big["width"]), 0)
