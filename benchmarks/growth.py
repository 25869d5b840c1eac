"""How CPU for a message, and memory, grow with subscribers, subscriptions, topics, connections and queues.

    python benchmarks/growth.py [--only TEXT] [--markdown FILE]

Measures the mqttwist that Python finds installed, without sockets, like `micro.py`: CPU time is the least of
several rounds. Memory is by how much the process has grown, so each figure comes from a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from meter import Meter
from micro_cases import PAYLOAD, Peer, new_broker, publishes

from mqttwist.broker.broker import Broker
from mqttwist.build import BUILD
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions

ROUNDS = 15
Measure = Callable[[int], "tuple[float, float]"]
"""For a size: nanoseconds of CPU for one message (or whatever is counted), bytes for one of what grows."""


def resident() -> int:
    """Bytes of memory that this process takes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def least(work: Callable[[], None], count: int) -> float:
    """Nanoseconds of CPU for one of `count`, in the best of several rounds."""
    meter = Meter()
    best = float("inf")
    for _ in range(ROUNDS):
        meter.start()
        work()
        meter.stop()
        best = min(best, meter.take()[0] / count)
    return best


def subscribers(size: int) -> tuple[float, float]:
    """One copy of a QoS 0 message to that many subscribers."""
    broker = new_broker()
    peers = [Peer(broker, f"s{number}", 4).connect() for number in range(size)]
    for peer in peers:
        peer.subscribe("bench/0/x", 0)
    publisher = Peer(broker, "publisher", 4).connect()
    messages = max(400 // size, 4)
    data = publishes(messages, 4, 0)

    def work() -> None:
        publisher.connection.receive_data(data)
        for peer in peers:
            peer.written.clear()

    return least(work, messages * size), 0.0


def subscriptions(size: int) -> tuple[float, float]:
    """One QoS 0 message to one subscriber, beside that many other filters of others."""
    broker = new_broker()
    others = [Peer(broker, f"o{number}", 4).connect() for number in range(10)]
    before = resident()
    for start in range(0, size, 100):
        options = [SubscriptionOptions(f"site/{number}/+/x") for number in range(start, start + 100)]
        others[start // 100 % 10].connection.receive_data(Subscribe(1, options).encode(4))
    grown = resident() - before
    subscriber = Peer(broker, "subscriber", 4).connect()
    subscriber.subscribe("bench/0/x", 0)
    return pipe_cost(broker, subscriber, publishes(400, 4, 0)), grown / size


def new_topics(size: int) -> tuple[float, float]:
    """One QoS 0 message to a topic that comes for the first time, with that many filters in the tree."""
    broker = new_broker()
    other = Peer(broker, "other", 4).connect()
    for start in range(0, size, 100):
        options = [SubscriptionOptions(f"site/{number}/+/x") for number in range(start, start + 100)]
        other.connection.receive_data(Subscribe(1, options).encode(4))
    publisher = Peer(broker, "publisher", 4).connect()
    serial = iter(range(1_000_000_000))

    def read() -> bytes:
        names = [f"site/{next(serial) % size}/{next(serial)}/x" for _ in range(400)]
        return b"".join([Publish(name, PAYLOAD).encode(4) for name in names])

    meter = Meter()
    best = float("inf")
    for _ in range(ROUNDS):
        data = read()
        meter.start()
        publisher.connection.receive_data(data)
        meter.stop()
        best = min(best, meter.take()[0] / 400)
        other.written.clear()
    return best, 0.0


def topics(size: int) -> tuple[float, float]:
    """One QoS 0 message to one subscriber by a wildcard, over that many topics; memory for each topic."""
    broker = new_broker()
    subscriber = Peer(broker, "subscriber", 4).connect()
    subscriber.subscribe("bench/+/x", 0)
    publisher = Peer(broker, "publisher", 4).connect()
    packets = [Publish(f"bench/{number:07}/x", PAYLOAD).encode(4) for number in range(size)]
    data = b"".join(packets)
    before = resident()
    for start in range(0, size, 400):
        publisher.connection.receive_data(b"".join(packets[start : start + 400]))
        subscriber.written.clear()
    grown = resident() - before
    return pipe_cost(broker, subscriber, data, size), grown / size


def connections(size: int) -> tuple[float, float]:
    """One message between two clients, beside that many idle ones; memory of the core for each of those."""
    broker = new_broker()
    before = resident()
    idle = [Peer(broker, f"idle{number}", 4).connect() for number in range(size)]
    grown = resident() - before
    subscriber = Peer(broker, "subscriber", 4).connect()
    subscriber.subscribe("bench/0/x", 0)
    cost = pipe_cost(broker, subscriber, publishes(400, 4, 0))
    return cost, grown / len(idle)


def ticks(size: int) -> tuple[float, float]:
    """One connection in one tick (once a second): keep alive is watched for all, and due for none."""
    broker = new_broker()
    idle = [Peer(broker, f"idle{number}", 4).connect() for number in range(size)]
    return least(broker.tick, len(idle)), 0.0


def waiting(size: int) -> tuple[float, float]:
    """One QoS 1 message of 64 bytes for a client that is away, when that many wait already."""
    broker = new_broker()
    away = Peer(broker, "away", 4, clean_start=False).connect()
    away.subscribe("bench/0/x", 1)
    away.disconnect()
    session = broker.sessions.get("away")
    if session is not None:
        session.outgoing.waiting.limits = QueueLimits(0, 0, True)
    publisher = Peer(broker, "publisher", 4).connect()
    data = publishes(400, 4, 1)
    before = resident()
    for _ in range(size // 400):
        publisher.connection.receive_data(data)
        publisher.written.clear()
    grown = resident() - before
    return least(lambda: publisher.connection.receive_data(data), 400), grown / size


def pipe_cost(broker: Broker, subscriber: Peer, data: bytes, count: int = 400) -> float:
    publisher = Peer(broker, "other publisher", 4).connect()

    def work() -> None:
        publisher.connection.receive_data(data)
        subscriber.written.clear()

    return least(work, count)


GROWTHS: dict[str, tuple[Measure, tuple[int, ...]]] = {
    "subscribers": (subscribers, (1, 10, 100, 1000, 10_000)),
    "other subscriptions": (subscriptions, (1000, 10_000, 100_000, 1_000_000)),
    "a new topic among subscriptions": (new_topics, (1000, 10_000, 100_000, 1_000_000)),
    "topics": (topics, (1000, 10_000, 100_000)),
    "idle connections": (connections, (1000, 10_000, 50_000)),
    "a tick over connections": (ticks, (1000, 10_000, 50_000)),
    "waiting messages": (waiting, (1000, 10_000, 100_000, 1_000_000)),
}


def rows(only: str) -> Iterator[str]:
    """The table, line by line; each figure from a process of its own."""
    yield "| grows | to | ns of CPU each | bytes each |"
    yield "|---|---:|---:|---:|"
    for name, (_, sizes) in GROWTHS.items():
        if only not in name:
            continue
        for size in sizes:
            words = [sys.executable, __file__, "--one", name, "--size", str(size)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            cost, memory = (float(word) for word in done.stdout.split())
            shown = f"{memory:,.0f}" if memory else ""
            yield f"| {name} | {size:,} | {cost:,.0f} | {shown} |"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only those with TEXT in their names")
    parser.add_argument("--markdown", metavar="FILE", help="write the table to FILE, too")
    parser.add_argument("--one", choices=GROWTHS, help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        gc.disable()
        cost, memory = GROWTHS[arguments.one][0](arguments.size)
        sys.stdout.write(f"{cost} {memory}\n")
        return 0
    sys.stdout.write(f"mqttwist, {BUILD}\n")
    lines = []
    for line in rows(arguments.only):
        lines.append(line)
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    if arguments.markdown:
        Path(arguments.markdown).write_text("\n".join(lines) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
