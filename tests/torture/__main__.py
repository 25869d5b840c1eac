"""`python -m tests.torture NAME`: one run, its figures as JSON; exit status 0 if nothing is wrong."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
from dataclasses import replace

from tests.torture.brokers import why_not_ours
from tests.torture.run_client import client
from tests.torture.run_full import WAYS, full
from tests.torture.run_qos1 import qos1
from tests.torture.run_qos2 import qos2
from tests.torture.run_retained import retained
from tests.torture.run_subscriptions import subscriptions
from tests.torture.run_writer import writer
from tests.torture.stage import Options, Result, Run, play

RUNS: dict[str, Run] = {
    "qos1": qos1,
    "qos2": qos2,
    "writer": writer,
    "retained": retained,
    "subscriptions": subscriptions,
    "full": full,
    "client": client,
    "loss": qos1,
}
KILLS = {
    "qos1": 50,
    "qos2": 50,
    "writer": 20,
    "retained": 10,
    "subscriptions": 30,
    "full": 6,
    "power": 200,
    "client": 50,
    "loss": 3,
}


def is_as_expected(result: Result) -> bool:
    """Whether nothing is wrong; for the run `loss`, whether messages were lost, and found to be."""
    if result.name == "loss":
        return result.rules["lost"] > 0
    return not result.faults


def play_named(name: str, options: Options) -> Result:
    """The run of that name; `loss` is for Mosquitto."""
    if name == "loss":
        options = replace(options, broker="mosquitto")
    if name == "power":
        from tests.torture.run_power import power  # which needs the writer

        return power(options)
    return asyncio.run(play(name, RUNS[name], options))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("name", choices=sorted(KILLS))
    parser.add_argument("--broker", choices=("ours", "mosquitto"), default="ours")
    parser.add_argument(
        "--kills", type=int, help="how many, by default as many as the promise is tested with"
    )
    parser.add_argument("--messages", type=int, default=0, help="how many at least are to be acknowledged")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sync", choices=("off", "normal", "full"), default="full")
    parser.add_argument("--seconds", type=float, default=1800.0, help="after which the run is given up")
    parser.add_argument("--way", choices=WAYS, default="", help="how the run `full` fills the disk")
    return parser


def main() -> int:
    """Exit status 0: as expected; 1: not; 2: the broker is not there."""
    given = _arguments().parse_args()
    missing = why_not_ours() if given.broker == "ours" and given.name != "loss" else None
    if given.broker == "mosquitto" and shutil.which("mosquitto") is None:
        missing = "not installed: mosquitto"
    if missing is not None:
        sys.stderr.write(f"{missing}\n")
        return 2
    kills = KILLS[given.name] if given.kills is None else given.kills
    options = Options(
        broker=given.broker,
        kills=kills,
        seed=given.seed,
        sync=given.sync,
        messages=given.messages,
        seconds=given.seconds,
        way=given.way,
    )
    result = play_named(given.name, options)
    sys.stdout.write(result.as_json() + "\n")
    if is_as_expected(result):
        return 0
    sys.stderr.write(f"the end of the broker's log:\n{result.log}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
