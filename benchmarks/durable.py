"""What durability costs: the time to an acknowledgement, and the start with much to read.

    python benchmarks/durable.py latency [--rate 5000] [--seconds 10] [--sync full] [--sessions 1]
    python benchmarks/durable.py restart [--sessions 100000] [--messages 10] [--runs 3]

`latency` publishes QoS 1 messages, evenly in time, to persistent sessions whose clients are away, and says
how long it took until PUBACK came: each message is on the disk by then. `restart` makes a store file with so
many sessions, three subscriptions, one retained message and so many queued messages for each; then it starts
the broker on it and says when the first client has its CONNACK, and how much memory the broker takes. Linux
only.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles

from mqttwist.session.journal import QUEUES, RETAINED, SESSIONS, SUBSCRIPTIONS
from mqttwist.session.session import NEVER
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.file import open_store
from mqttwist.stores.sqlite.schema import Frame
from mqttwist.wire.connect import Connect
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import Subscribe, SubscriptionOptions

PAYLOAD = bytes(200)
BURST = 0.001  # seconds between two writes of the publisher
PUBACK_SIZE = 4
AT_ONCE = 10_000  # sessions in one transaction of a store that is made
PATIENCE = 60.0  # seconds


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def broker(store: Path, sync: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`twist mqtt` with this store; it is stopped at the end."""
    words = (sys.executable, "-m", "twisted", "--log-file", os.devnull, "mqtt", "--port", str(port))
    limits = ("--queue-messages", "0", "--queue-bytes", "0")
    process = subprocess.Popen([*words, *limits, "--store", str(store), "--sync", sync], cwd=store.parent)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def connected(port: int, client_id: str, clean_start: bool) -> socket.socket:
    """A client that has its CONNACK, as soon as somebody listens. Raises `OSError`."""
    client = listened_to(port)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(Connect(client_id, 4, clean_start).encode(4))
    if len(client.recv(4)) != 4:
        raise OSError("the broker did not answer CONNECT")
    return client


def listened_to(port: int) -> socket.socket:
    """A connection, as soon as somebody listens. Raises `OSError` after `PATIENCE` seconds."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), PATIENCE)
        time.sleep(0.01)
    raise OSError("nobody listens")


def latencies(port: int, rate: int, seconds: float, sessions: int) -> list[float]:
    """Publish at `rate` messages a second; how many seconds each PUBACK took."""
    client = connected(port, "publisher", True)
    client.setblocking(False)
    sent: deque[float] = deque()
    taken: list[float] = []
    packets = [Publish(f"t/{one}", PAYLOAD, 1, packet_id=1).encode(4) for one in range(sessions)]
    buffer = b""
    began = time.monotonic()
    count, total = 0, int(rate * seconds)
    while len(taken) < total and time.monotonic() - began < seconds + PATIENCE:
        now = time.monotonic()
        due = min(int((now - began) * rate), total)
        while count < due and len(sent) < 60_000:
            packet = packets[count % sessions]
            at = packet.index(b"t/") + len(f"t/{count % sessions}")
            buffer += packet[:at] + (count % 60_000 + 1).to_bytes(2, "big") + packet[at + 2 :]
            sent.append(now)
            count += 1
        if buffer:
            with suppress(BlockingIOError):
                buffer = buffer[client.send(buffer) :]
        if select.select([client], [], [], BURST)[0]:
            acknowledged = len(client.recv(1 << 16)) // PUBACK_SIZE
            now = time.monotonic()
            taken += [now - sent.popleft() for _ in range(acknowledged)]
    return taken


def measure_latency(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="mqttwist-benchmark-") as folder:
        port = free_port()
        with broker(Path(folder) / "store.db", options.sync, port):
            for number in range(options.sessions):
                subscriber = connected(port, f"subscriber {number}", False)
                subscriber.sendall(Subscribe(1, [SubscriptionOptions(f"t/{number}", 1)]).encode(4))
                subscriber.recv(5)
                subscriber.close()
            taken = latencies(port, options.rate, options.seconds, options.sessions)
    parts = quantiles(taken, n=100)
    print(f"{len(taken)} messages acknowledged at {options.rate}/s, sync {options.sync}", end="")
    print(f", {options.sessions} sessions: p50 {1000 * median(taken):.2f} ms", end="")
    print(f", p90 {1000 * parts[89]:.2f} ms, p99 {1000 * parts[98]:.2f} ms")


def make_store(path: Path, sessions: int, messages: int) -> None:
    """A store as a broker would have left it."""
    open_store(str(path)).close()
    database = Database(str(path), "off")
    now = time.time()
    position = 0
    for number, first in enumerate(range(1, sessions + 1, AT_ONCE), 1):
        sids = range(first, min(first + AT_ONCE, sessions + 1))
        rows: dict[int, list[tuple[object, ...]]] = {
            SESSIONS: [(sid, f"device-{sid:06}", None, None, 4, NEVER, now) for sid in sids],
            SUBSCRIPTIONS: [(sid, f"{kind}/device-{sid:06}/#", 1, 0) for sid in sids for kind in "abc"],
            RETAINED: [(f"d/device-{sid:06}", 1, -1, 0.0, b"", PAYLOAD[:32], "", sid) for sid in sids],
            QUEUES: [],
        }
        for sid in sids:
            for _ in range(messages):
                position += 1
                rows[QUEUES].append((sid, position, 290, 1, PAYLOAD[:64], f"a/device-{sid:06}/x"))
        database.commit([Frame(number, now, [(table, puts, []) for table, puts in rows.items()])])
    database.close(True)


def memory(process: subprocess.Popen[bytes]) -> float:
    """The process's memory in MB, without that of the writer."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def measure_restart(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="mqttwist-benchmark-") as folder:
        path = Path(folder) / "store.db"
        make_store(path, options.sessions, options.messages)
        print(f"{options.sessions} sessions, {options.sessions * options.messages} queued messages: ", end="")
        print(f"{path.stat().st_size / 1e6:.0f} MB on disk")
        for _ in range(options.runs):
            port, began = free_port(), time.monotonic()
            with broker(path, "full", port) as process:
                connected(port, "first", True).close()
                print(f"serving after {time.monotonic() - began:.2f} s, {memory(process):.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    commands = parser.add_subparsers(required=True)
    latency = commands.add_parser("latency", help="the time from PUBLISH to PUBACK")
    latency.add_argument("--rate", type=int, default=5000, help="messages a second")
    latency.add_argument("--seconds", type=float, default=10.0)
    latency.add_argument("--sync", choices=("off", "normal", "full"), default="full")
    latency.add_argument("--sessions", type=int, default=1, help="that get them in turn")
    latency.set_defaults(measure=measure_latency)
    restart = commands.add_parser("restart", help="the time until a broker with a large store serves")
    restart.add_argument("--sessions", type=int, default=100_000)
    restart.add_argument("--messages", type=int, default=10, help="that wait for each session")
    restart.add_argument("--runs", type=int, default=3)
    restart.set_defaults(measure=measure_restart)
    options = parser.parse_args()
    options.measure(options)


if __name__ == "__main__":
    main()
