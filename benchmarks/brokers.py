"""Brokers side by side on the same work: CPU per message, rate and latency.

    python benchmarks/brokers.py mqttwist mosquitto
    python benchmarks/brokers.py --scenarios pipe,qos1 --json out.json mqttwist 'other=broker --port {port}'
    python benchmarks/brokers.py --show out.json --markdown out.md --svg out.svg

A broker is one of those known here, or NAME=COMMAND with {port} in it (and {dir}, if it wants a folder of its
own). Every run has a broker freshly started on its own port of the loopback interface. Rounds go over all
scenarios and brokers in turn, so a machine that changes its speed does so for all. Shown is the median of the
rounds. Linux only; needs a C compiler for the clients (load.c).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from report import Results, Run, bar_chart, markdown, text

LOAD = Path(__file__).with_name("load.c")
START_TIMEOUT = 20.0  # seconds
STOP_TIMEOUT = 10.0
RUN_TIMEOUT = 120.0  # beyond the seconds that are measured

# No limit on what waits for a client, in any of them: else "offline" would measure who throws away most.
MQTTWIST = f"{sys.executable} -m twisted mqtt --queue-messages 0 --queue-bytes 0 --port {{port}}"
BROKERS = {
    "mqttwist": f"{MQTTWIST} --store memory:",
    "durable": MQTTWIST,  # with a store in the broker's folder, and every acknowledgement on the disk
    "mosquitto": "mosquitto -c {dir}/mosquitto.conf",
}
MOSQUITTO_CONF = """listener {port} 127.0.0.1
allow_anonymous true
max_queued_messages 0
max_inflight_messages 100
set_tcp_nodelay true
log_type error
"""

CONNECT = bytes.fromhex("100d 0004 4d515454 04 02 0000 0001 61")  # MQTT 3.1.1, Clean Session, client id "a"
PAIRS = "--publishers {0} --subscribers {0} --topics {0}"
SCENARIOS = {
    "pipe": ("1 to 1, QoS 0", "--subscribers 1"),
    "topics": ("1 to 1 over 100,000 topics, by a wildcard", "--subscribers 1 --spread 100000"),
    "tree": ("1 to 1, beside 100,000 other subscriptions", "--subscribers 1 --filters 100000"),
    "churn": ("1 to 1, while 1,000 subscriptions a second come and go", "--subscribers 1 --churn 1000"),
    "v5": ("1 to 1, MQTT 5.0, two User Properties", "--subscribers 1 --version 5 --properties 2"),
    "fanout": ("1 to 100", "--subscribers 100 --credit 200"),
    "fanin": ("100 to 1", "--subscribers 1 --publishers 100"),
    "qos1": ("1 to 1, QoS 1, 100 in flight", "--subscribers 1 --qos 1"),
    "v5qos1": ("1 to 1, MQTT 5.0, QoS 1, 100 in flight", "--subscribers 1 --qos 1 --version 5"),
    "qos1pairs": ("50 pairs, QoS 1, 20 in flight each", PAIRS.format(50) + " --qos 1 --window 20"),
    "qos2": ("1 to 1, QoS 2, 100 in flight", "--subscribers 1 --qos 2"),
    "pairs": ("200 pairs, one message a write", PAIRS.format(200) + " --batch 1"),
    "paced": ("50 pairs, 10,000 messages a second in all", PAIRS.format(50) + " --batch 1 --rate 10000"),
    "offline": ("QoS 1, to a session whose client is away", "--absent 1 --qos 1"),
    "big": ("1 to 1, payloads of 64 KiB", "--subscribers 1 --size 65536 --credit 100"),
    "retained": ("50,000 retained messages stored, then delivered", "--retained 50000 --qos 1"),
    "connect": ("5,000 connections opened and held", "--connections 5000"),
}


def build_load() -> Path:
    """Compile load.c, once for each version of it, into the user's cache folder."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mqttwist-benchmarks"
    binary = cache / f"load-{hashlib.sha256(LOAD.read_bytes()).hexdigest()[:16]}"
    if not binary.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = binary.with_suffix(f".{os.getpid()}")
        subprocess.run([os.environ.get("CC", "cc"), "-O2", "-o", unfinished, LOAD], check=True)
        unfinished.rename(binary)
    return binary


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class RunError(Exception):
    """A broker did not start, or the clients could not do their work."""


class Broker:
    """A broker as a process of its own, in a folder of its own. Raises `RunError` if it doesn't start."""

    def __init__(self, command: str) -> None:
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="mqttwist-benchmark-", ignore_cleanup_errors=True)
        folder = Path(self._folder.name)
        (folder / "mosquitto.conf").write_text(MOSQUITTO_CONF.format(port=self.port), "utf-8")
        words = shlex.split(command.replace("{port}", str(self.port)).replace("{dir}", str(folder)))
        self._log = folder / "log"
        with self._log.open("wb") as log:
            # A session of its own, so that whatever it starts can be stopped with it.
            self._process = subprocess.Popen(
                words, stdout=log, stderr=subprocess.STDOUT, cwd=folder, start_new_session=True
            )
        try:
            self._wait_until_it_listens()
        except RunError:
            self.stop()
            raise

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.settimeout(START_TIMEOUT)
                client.sendall(CONNECT)
                if client.recv(4):  # CONNACK: it serves, and has started whatever helps it
                    return
            time.sleep(0.05)
        raise RunError(f"the broker did not start: {self._log.read_text('utf-8', 'replace')[-2000:]}")

    def pids(self) -> list[int]:
        """Its process and all that this one has started."""
        found = [self._process.pid]
        for pid in found:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += map(int, children.read_text("ascii").split())
        return found

    def stop(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._folder.cleanup()


def run_load(load: Path, broker: Broker, options: str, seconds: int) -> Run:
    """Let the clients work; raises `RunError` if they can't."""
    words = [os.fspath(load), "--port", str(broker.port), "--seconds", str(seconds), *options.split()]
    for pid in broker.pids():
        words += ["--pid", str(pid)]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=seconds + RUN_TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise RunError(f"not finished after {seconds + RUN_TIMEOUT:g} s") from None
    if done.returncode:
        raise RunError(done.stderr.strip() or f"the clients ended with status {done.returncode}")
    figures: Run = json.loads(done.stdout)
    return figures


def measure(load: Path, command: str, options: str, seconds: int) -> Run:
    """One run against a broker started for it."""
    try:
        broker = Broker(command)
        try:
            return run_load(load, broker, options, seconds)
        finally:
            broker.stop()
    except (RunError, OSError) as error:
        return {"error": str(error)}


def measure_all(options: argparse.Namespace) -> Results:
    load = build_load()
    scenarios = options.scenarios.split(",")
    runs: dict[str, dict[str, list[Run]]] = {
        scenario: {name: [] for name in options.commands} for scenario in scenarios
    }
    for number in range(options.rounds):
        for scenario in scenarios:
            for name, command in options.commands.items():
                print(f"round {number + 1} of {options.rounds}: {scenario}, {name}", file=sys.stderr)
                run = measure(load, command, SCENARIOS[scenario][1], options.seconds)
                if "error" in run:
                    print(f"  failed: {run['error']}", file=sys.stderr)
                runs[scenario][name].append(run)
    return Results(
        machine=f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        python=platform.python_version(),
        rounds=options.rounds,
        seconds=options.seconds,
        brokers=options.commands,
        titles={scenario: SCENARIOS[scenario][0] for scenario in scenarios},
        runs=runs,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("brokers", nargs="*", metavar="BROKER", help=f"{', '.join(BROKERS)} or NAME=COMMAND")
    parser.add_argument(
        "--scenarios", default=",".join(SCENARIOS), help=f"of {', '.join(SCENARIOS)} (default: all)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured (default 3)")
    parser.add_argument("--seconds", type=int, default=3, help="that a run is measured (default 3)")
    parser.add_argument(
        "--base", default="mosquitto", metavar="NAME", help="the broker that others are a multiple of"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every run's figures")
    parser.add_argument("--show", type=Path, metavar="FILE", help="figures kept before; measure nothing")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw CPU per message")
    options = parser.parse_args()
    unknown = set(options.scenarios.split(",")) - set(SCENARIOS)
    if unknown:
        parser.error(f"unknown scenarios: {', '.join(sorted(unknown))}")
    options.commands = {}
    for word in options.brokers:
        name, _, command = word.partition("=")
        if not command and name not in BROKERS:
            parser.error(f"{name} is none of {', '.join(BROKERS)}; say {name}=COMMAND")
        options.commands[name] = command or BROKERS[name]
    if bool(options.commands) == bool(options.show):
        parser.error("name the brokers to measure, or --show what was measured")
    return options


def main() -> int:
    options = parse_arguments()
    if options.show:
        results = Results.read(options.show)
    else:
        results = measure_all(options)
    if options.json:
        results.write(options.json)
    base = options.base if options.base in results.brokers else next(iter(results.brokers))
    if options.markdown:
        options.markdown.write_text(markdown(results, base), "utf-8")
    if options.svg:
        options.svg.write_text(bar_chart(results, base), "utf-8")
    print(text(results, base))
    return 1 if results.has_failures else 0


if __name__ == "__main__":
    sys.exit(main())
