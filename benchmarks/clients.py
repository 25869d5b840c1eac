"""Client libraries side by side: how many messages one publishes or receives in a second of its CPU.

    python benchmarks/clients.py
    python benchmarks/clients.py --rounds 3 --qos 0,1 mqttwist paho aiomqtt

Each program (client_programs.py) runs in a process of its own against one broker, the mqttwist of the Python
that runs this. Only the program's own CPU counts, from the first message to the last; what receives is fed by
mqttwist. The exit status is 1 if a run failed, or if mqttwist is less than `--bar` times as fast as another.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brokers import BROKERS, Broker

PROGRAMS = Path(__file__).with_name("client_programs.py")
LIBRARIES = ("mqttwist", "paho", "aiomqtt")
# How many messages take a second or so: mqttwist's clients are that much faster.
MESSAGES = {"mqttwist": 200_000, "paho": 20_000, "aiomqtt": 10_000}
TIMEOUT = 120.0


@contextmanager
def program(library: str, what: str, port: int, qos: int, messages: int) -> Iterator[subprocess.Popen[str]]:
    """A program that is ready: connected and, if it receives, subscribed."""
    words = [sys.executable, os.fspath(PROGRAMS), library, what, str(port), str(qos), str(messages)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"{library} did not get ready to {what}")
        yield process
    finally:
        process.kill()
        process.wait()


def go(process: subprocess.Popen[str]) -> None:
    """Let it begin."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def result(process: subprocess.Popen[str]) -> tuple[float, float]:
    """CPU seconds and seconds that it took."""
    output, _ = process.communicate(timeout=TIMEOUT)
    cpu, seconds = output.split()
    return float(cpu), float(seconds)


def measure(library: str, what: str, port: int, qos: int, messages: int) -> tuple[float, float]:
    with program(library, what, port, qos, messages) as measured:
        go(measured)
        if what == "publish":
            return result(measured)
        with program("mqttwist", "publish", port, qos, messages) as feeder:
            go(feeder)
            figures = result(measured)
            feeder.communicate(timeout=TIMEOUT)
            return figures


def measure_all(libraries: list[str], what: str, port: int, qos: int, rounds: int) -> dict[str, list[float]]:
    """Of each library the messages for a second of CPU, and in a second; the median of the rounds."""
    runs: dict[str, list[tuple[float, float]]] = {library: [] for library in libraries}
    for _ in range(rounds):
        for library in libraries:
            messages = MESSAGES[library]
            cpu, seconds = measure(library, what, port, qos, messages)
            runs[library].append((messages / cpu, messages / seconds))
    return {
        library: [statistics.median(values) for values in zip(*rates, strict=True)]
        for library, rates in runs.items()
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("libraries", nargs="*", default=LIBRARIES, metavar="LIBRARY")
    parser.add_argument("--qos", default="0,1", help="separated by commas")
    parser.add_argument("--rounds", type=int, default=3, help="shown is the median")
    parser.add_argument("--bar", type=float, default=0.0, help="how many times as fast mqttwist has to be")
    args = parser.parse_args()
    broker = Broker(BROKERS["mqttwist"])
    is_short = False
    print("| | QoS | library | for a second of CPU | in a second | mqttwist is x as fast |")
    print("|---|---|---|---:|---:|---:|")
    try:
        for what in ("publish", "receive"):
            for qos in map(int, args.qos.split(",")):
                rates = measure_all(list(args.libraries), what, broker.port, qos, args.rounds)
                for library, (per_cpu, rate) in rates.items():
                    times = rates["mqttwist"][0] / per_cpu
                    is_short |= library != "mqttwist" and times < args.bar
                    row = f"{what} | {qos} | {library} | {per_cpu:,.0f} | {rate:,.0f} | {times:.1f}"
                    print(f"| {row} |", flush=True)
    finally:
        broker.stop()
    return 1 if is_short else 0


if __name__ == "__main__":
    sys.exit(main())
