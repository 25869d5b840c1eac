"""What each step of the core costs, without sockets: decode, route, deliver, encode, and whole ways through.

    python benchmarks/micro.py [--cases TEXT] [--save FILE | --against FILE [--limit 10]]

Prints, for every case, nanoseconds of CPU time and (on Linux, where the system allows to count them)
instructions for each message. It measures the mqttwist that Python finds installed, and says which that is.
With `--against`, the exit status is 1 if a case has become slower by more than `--limit` percent.

What is measured is the least of many short rounds, in turn over all cases, in several processes one after
the other: whatever else the machine does can only make a round longer.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from meter import Meter
from micro_cases import CASES, Round

import mqttwist
from mqttwist.build import BUILD

ROUNDS_IN_A_ROW = 4  # of one case before the next has its turn; the first of them warms the caches
SECOND_LOOKS = 3  # how often a case that looks slower is measured again before it counts
Figures = dict[str, tuple[float, float]]
"""By case: nanoseconds and instructions for one message; 0.0 instructions where they can't be counted."""


# One process


def measure(names: Iterable[str], seconds: float) -> Figures:
    """The least of all rounds that go into `seconds` (and of four at least), in turn over the cases."""
    rounds = {name: CASES[name]() for name in names}
    meter = Meter()
    gc.collect()
    gc.freeze()
    gc.disable()  # it would hit one case and not the other
    figures: Figures = {}
    end = time.monotonic() + seconds
    while not figures or time.monotonic() < end:
        for name, work in rounds.items():
            for _ in range(ROUNDS_IN_A_ROW):
                figures[name] = least(figures.get(name), run_once(name, work, meter))
    return figures


def run_once(name: str, work: Round, meter: Meter) -> tuple[float, float]:
    messages = work(meter)
    if messages <= 0:
        raise RuntimeError(f"{name}: no message got through")
    nanoseconds, instructions = meter.take()
    return nanoseconds / messages, instructions / messages


def least(one: tuple[float, float] | None, other: tuple[float, float]) -> tuple[float, float]:
    return other if one is None else (min(one[0], other[0]), min(one[1], other[1]))


# Several processes: where the memory of one happens to lie makes a few percent


def measure_in_processes(names: list[str], seconds: float, processes: int) -> Figures:
    figures: Figures = {}
    for _ in range(processes):
        for name, pair in measure_in_process(names, seconds / processes).items():
            figures[name] = least(figures.get(name), pair)
    return figures


def measure_in_process(names: list[str], seconds: float) -> Figures:
    done = subprocess.run(
        [sys.executable, __file__, "--one-process", "--seconds", str(seconds), "--names", json.dumps(names)],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        stdout=subprocess.PIPE,
        check=False,
    )
    if done.returncode:
        raise SystemExit("a measuring process failed")
    return {name: (pair[0], pair[1]) for name, pair in json.loads(done.stdout).items()}


# What comes of it


def build() -> dict[str, str]:
    """What has been measured; figures of different builds are not to be compared."""
    return {"build": BUILD, "python": platform.python_version(), "machine": platform.machine()}


def look_again(figures: Figures, before: Figures, options: argparse.Namespace) -> None:
    """Measure once more what looks slower: a real loss stays, a noisy neighbour goes."""
    for _ in range(SECOND_LOOKS):
        slower = [name for name, change in changes(figures, before).items() if change > options.limit]
        if not slower:
            return
        again = measure_in_processes(slower, options.seconds / 3, options.processes)
        figures.update({name: least(figures[name], again[name]) for name in slower})


def changes(figures: Figures, before: Figures) -> dict[str, float]:
    """By case: by how many percent of CPU time it has become slower."""
    return {name: (pair[0] / before[name][0] - 1) * 100 for name, pair in figures.items() if name in before}


def print_table(figures: Figures, before: Figures, limit: float) -> None:
    changed = changes(figures, before)
    print(f"{'':32} {'ns':>9} {'instructions':>13}" + (f" {'before':>9} {'change':>8}" if before else ""))
    for name, (nanoseconds, instructions) in figures.items():
        line = f"{name:32} {nanoseconds:9,.0f} {f'{instructions:,.0f}' if instructions else '-':>13}"
        if name in changed:
            line += f" {before[name][0]:9,.0f} {changed[name]:+7.1f}%"
            line += "  SLOWER" if changed[name] > limit else ""
        print(line)


def read_saved(path: Path) -> Figures:
    """Raises `SystemExit` for figures of another build."""
    saved = json.loads(path.read_text("utf-8"))
    if saved["of"] != build():
        raise SystemExit(f"{path} is of {saved['of']}, and this is {build()}")
    return {name: (pair[0], pair[1]) for name, pair in saved["cases"].items()}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cases", default="", metavar="TEXT", help="only those with TEXT in their names")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long to measure (default 30)")
    parser.add_argument("--processes", type=int, default=3, help="in how many processes (default 3)")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep the figures")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with figures that were kept")
    parser.add_argument(
        "--limit",
        type=float,
        default=10.0,
        metavar="PERCENT",
        help="of a loss that is no failure (default 10)",
    )
    parser.add_argument("--one-process", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--names", type=json.loads, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    if options.one_process:
        print(json.dumps(measure(options.names, options.seconds)))
        return 0
    names = [name for name in CASES if options.cases in name]
    if not names:
        raise SystemExit(f"no case has {options.cases!r} in its name")
    print(
        f"mqttwist {mqttwist.__version__} ({BUILD}, Python {platform.python_version()}), {mqttwist.__file__}"
    )
    before = read_saved(options.against) if options.against else {}
    figures = measure_in_processes(names, options.seconds, options.processes)
    look_again(figures, before, options)
    if options.save:
        options.save.write_text(json.dumps({"of": build(), "cases": figures}, indent=1) + "\n", "utf-8")
    print_table(figures, before, options.limit)
    return 1 if any(change > options.limit for change in changes(figures, before).values()) else 0


if __name__ == "__main__":
    sys.exit(main())
