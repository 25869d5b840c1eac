"""Whether the cost of what a client sends stays in proportion to its size, whatever the client sends.

    python benchmarks/linear.py [--only TEXT] [--limit EXPONENT]

Measures the mqttwist that Python finds installed, without sockets: the CPU time of each case at its largest
size and at an eighth of it, the least of several rounds. Eight times as much in eight times the time is an
exponent of 1, in 64 times the time one of 2. The exit status is 1 if an exponent is above the limit.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from math import log

from linear_cases import CASES
from linear_scene import Case

from mqttwist.build import BUILD

FACTOR = 8
LIMIT = 1.5  # more memory than the processor's caches hold makes 1.3 of a 1
ROUNDS = 3
MORE_ROUNDS = 6  # for what looks worse than the limit


def least(case: Case, size: int, rounds: int) -> float:
    """Seconds of CPU time that the work takes, in the best of several rounds."""
    best = float("inf")
    for _ in range(rounds):
        work = case(size)
        gc.collect()
        start = time.thread_time()
        work()
        best = min(best, time.thread_time() - start)
        del work
    return best


def exponent(case: Case, size: int, limit: float) -> tuple[float, float]:
    """By which power of the size the cost grows, and the seconds that the largest size takes."""
    small = large = float("inf")
    found = limit
    for rounds in (ROUNDS, MORE_ROUNDS):
        small = min(small, least(case, max(size // FACTOR, 1), rounds * 2))
        large = min(large, least(case, size, rounds))
        found = log(large / small) / log(FACTOR)
        if found <= limit:
            break
    return found, large


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases with TEXT in their names")
    parser.add_argument(
        "--limit", type=float, default=LIMIT, metavar="EXPONENT", help="the largest one allowed (%(default)s)"
    )
    arguments = parser.parse_args()
    gc.disable()
    sys.stdout.write(f"mqttwist, {BUILD}\n{'exponent':>8} {'size':>8} {'ms':>9}\n")
    failed = 0
    for name, (case, size) in CASES.items():
        if arguments.only not in name:
            continue
        found, seconds = exponent(case, size, arguments.limit)
        remark = ""
        if found > arguments.limit:
            remark = " !"
            failed += 1
        sys.stdout.write(f"{found:8.2f} {size:8,} {seconds * 1000:9.1f}  {name}{remark}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{failed} grow faster than the power {arguments.limit}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
