"""Many clients at once: each publishes to its neighbour and to a group, and nothing may be lost.

    python benchmarks/thousand.py [--connections 1000] [--messages 20] [--qos 1] [--version 5] [--json]

One asyncio process is all the clients. It starts the broker itself, or takes one that runs (`--port`). The
exit status is 1 if a message was lost, doubled or out of order, or if the broker's log holds an error.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import resource
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, os.fspath(CHECKOUT))

from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel  # noqa: E402
from mqttwist.wire.codec import decode_packet  # noqa: E402
from mqttwist.wire.connect import ConnAck, Connect  # noqa: E402
from mqttwist.wire.control import Disconnect  # noqa: E402
from mqttwist.wire.decoder import Decoder  # noqa: E402
from mqttwist.wire.errors import MQTTError  # noqa: E402
from mqttwist.wire.packet import Packet  # noqa: E402
from mqttwist.wire.publish import Publish  # noqa: E402
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions  # noqa: E402

VERSIONS = {"3.1": 3, "3.1.1": 4, "5": 5}
WINDOW = 100  # unacknowledged messages of one client
SHARED_EVERY = 10  # of so many messages to the neighbour, one more goes to the shared subscription
SHARED_TOPIC = "shared/work"
SHARED_FILTER = f"$share/all/{SHARED_TOPIC}"
LISTENING = re.compile(r"Listening on 127\.0\.0\.1:(\d+)")
FAULT = re.compile(r"Traceback|Unhandled|Error in the broker|#error|#critical|dropped")


@dataclass
class Tally:
    """What all clients have seen together."""

    expected: int
    errors: list[str] = field(default_factory=list)
    received: int = 0
    acknowledged: int = 0
    shared: set[tuple[int, int]] = field(default_factory=set)
    latencies: list[float] = field(default_factory=list)
    complete: asyncio.Event = field(default_factory=asyncio.Event)

    def check(self) -> None:
        if self.errors or (self.received >= self.expected and self.acknowledged >= self.expected):
            self.complete.set()

    def fail(self, text: str) -> None:
        self.errors.append(text)
        self.complete.set()


@dataclass(frozen=True)
class Plan:
    """What every client does."""

    connections: int
    messages: int
    qos: int
    version: int

    @property
    def shared_messages(self) -> int:
        """How many a client publishes to the shared subscription."""
        return -(-self.messages // SHARED_EVERY)

    @property
    def total(self) -> int:
        return self.connections * (self.messages + self.shared_messages)


class Client(asyncio.Protocol):
    """Client `number`: publishes to the next one, and receives from the one before."""

    def __init__(self, number: int, plan: Plan, tally: Tally) -> None:
        self._number = number
        self._plan = plan
        self._tally = tally
        self._decoder = Decoder(plan.version)
        self._transport: asyncio.Transport | None = None
        self._next_from_neighbour = 0
        self._in_flight: set[int] = set()
        self._ending = False
        self._to_send = self._publishes()
        loop = asyncio.get_running_loop()
        self.connected: asyncio.Future[None] = loop.create_future()
        self.subscribed: asyncio.Future[None] = loop.create_future()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send(Connect(f"client-{self._number}", self._plan.version, keep_alive=60))

    def data_received(self, data: bytes) -> None:
        decoder = self._decoder
        decoder.feed(data)
        try:
            while decoder.advance():
                version = self._plan.version
                packet = decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, version)
                self._packet_received(packet)
        except MQTTError as error:
            self._fail(f"the broker sent what it must not: {error}")
        self._tally.check()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ending:
            self._fail(f"connection lost: {exc}")

    # Packets

    def _packet_received(self, packet: Packet | Publish) -> None:
        if isinstance(packet, Publish):
            self._publish_received(packet)
        elif isinstance(packet, Acknowledgement):
            self._acknowledgement_received(packet)
        elif isinstance(packet, ConnAck) and packet.reason_code == 0:
            self.connected.set_result(None)
        elif isinstance(packet, SubAck) and max(packet.reason_codes) == self._plan.qos:
            self.subscribed.set_result(None)
        else:
            self._fail(f"unexpected {packet}")

    def _publish_received(self, publish: Publish) -> None:
        if publish.qos == 1:
            self._send(PubAck(publish.packet_id))
        elif publish.qos == 2:
            self._send(PubRec(publish.packet_id))
        sender, sequence, sent_at = publish.payload.split()
        self._tally.latencies.append(time.perf_counter() - float(sent_at))
        if publish.topic_name == SHARED_TOPIC:
            self._shared_received(int(sender), int(sequence))
        else:
            self._neighbour_received(int(sender), int(sequence))
        self._tally.received += 1
        if publish.qos != self._plan.qos or publish.dup:
            self._fail(f"{publish} at QoS {publish.qos}, DUP {publish.dup}")

    def _shared_received(self, sender: int, sequence: int) -> None:
        if (sender, sequence) in self._tally.shared:
            self._fail(f"shared message {sequence} of {sender} once more")
        self._tally.shared.add((sender, sequence))

    def _neighbour_received(self, sender: int, sequence: int) -> None:
        expected = ((self._number - 1) % self._plan.connections, self._next_from_neighbour)
        if (sender, sequence) != expected:
            self._fail(f"message {sequence} of {sender} where {expected[1]} of {expected[0]} was due")
        self._next_from_neighbour = sequence + 1

    def _acknowledgement_received(self, packet: Acknowledgement) -> None:
        if packet.reason_code >= 0x80:
            self._fail(f"refused: {packet}")
        elif isinstance(packet, PubRec):
            self._send(PubRel(packet.packet_id))
        elif isinstance(packet, PubRel):
            self._send(PubComp(packet.packet_id))
        else:
            self._in_flight.remove(packet.packet_id)
            self._tally.acknowledged += 1
            self.publish()

    # What the run asks for

    def subscribe(self) -> None:
        filters = (f"to/{self._number}", SHARED_FILTER)
        options = [SubscriptionOptions(topic_filter, self._plan.qos) for topic_filter in filters]
        self._send(Subscribe(1, options))

    def publish(self) -> None:
        """Send what may be sent now."""
        while len(self._in_flight) < WINDOW:
            publish = next(self._to_send, None)
            if publish is None:
                return
            if publish.qos:
                self._in_flight.add(publish.packet_id)
            else:
                self._tally.acknowledged += 1
            self._send(publish)

    def close(self) -> None:
        self._ending = True
        if self._transport is not None:
            self._send(Disconnect())
            self._transport.close()

    def _publishes(self) -> Iterator[Publish]:
        """All messages of this client, made when they are sent."""
        plan = self._plan
        neighbour = f"to/{(self._number + 1) % plan.connections}"
        packet_id = 0
        for sequence in range(plan.messages):
            topics = (neighbour, SHARED_TOPIC) if sequence % SHARED_EVERY == 0 else (neighbour,)
            for topic in topics:
                packet_id = packet_id % 0xFFFF + 1
                payload = b"%d %d %.6f" % (self._number, sequence, time.perf_counter())
                yield Publish(topic, payload, plan.qos, packet_id=packet_id if plan.qos else 0)

    def _send(self, packet: Packet | Publish) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet.encode(self._plan.version))

    def _fail(self, text: str) -> None:
        self._tally.fail(f"client {self._number}: {text}")


class Broker:
    """The broker as a process of its own, which logs to memory."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def start(self) -> int:
        """Start it; the port it listens on."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twisted", "--log-format", "text"),
            *("mqtt", "--port", "0", "--store", "memory:"),
            cwd=CHECKOUT,
            env=os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self.log.append(line.decode("utf-8", "replace").rstrip())
            listening = LISTENING.search(self.log[-1])
            if listening is not None:
                self._reading = asyncio.create_task(self._read_log(self._process.stdout))
                return int(listening[1])
        raise SystemExit("\n".join(["the broker did not start:", *self.log]))

    async def _read_log(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            self.log.append(line.decode("utf-8", "replace").rstrip())

    async def stop(self) -> float:
        """Stop, and answer how many seconds of CPU time it took all in all."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), 20)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    @property
    def faults(self) -> list[str]:
        return [line for line in self.log if FAULT.search(line)]


async def all_of(futures: list[asyncio.Future[None]], tally: Tally) -> None:
    """Wait for all of `futures`; raises `ConnectionError` at the first failure of a client."""
    everything = asyncio.ensure_future(asyncio.wait(futures))
    complete = asyncio.ensure_future(tally.complete.wait())
    await asyncio.wait((everything, complete), return_when=asyncio.FIRST_COMPLETED)
    everything.cancel()
    complete.cancel()
    if tally.errors:
        raise ConnectionError("a client has failed")


async def run(port: int, plan: Plan, tally: Tally) -> dict[str, float]:
    """Connect, subscribe and publish, all clients at once; how long each took, in seconds."""
    loop = asyncio.get_running_loop()
    clients = [Client(number, plan, tally) for number in range(plan.connections)]
    seconds: dict[str, float] = {}
    try:
        started = time.perf_counter()
        connecting = [loop.create_connection(partial(give, client), "127.0.0.1", port) for client in clients]
        await asyncio.gather(*connecting)
        await all_of([client.connected for client in clients], tally)
        seconds["connect"] = time.perf_counter() - started
        started = time.perf_counter()
        for client in clients:
            client.subscribe()
        await all_of([client.subscribed for client in clients], tally)
        seconds["subscribe"] = time.perf_counter() - started
        started = time.perf_counter()
        for client in clients:
            client.publish()
        await tally.complete.wait()
        seconds["publish"] = time.perf_counter() - started
    finally:
        for client in clients:
            client.close()
    return seconds


def give(client: Client) -> Client:
    """What asyncio asks for a protocol."""
    return client


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


async def measure(options: argparse.Namespace) -> dict[str, object]:
    """One run against a broker of its own or the one at `options.port`."""
    plan = Plan(options.connections, options.messages, options.qos, VERSIONS[options.version])
    tally = Tally(plan.total)
    broker = None if options.port else Broker()
    port = options.port if broker is None else await broker.start()
    seconds: dict[str, float] = {}
    cpu = None
    try:
        seconds = await asyncio.wait_for(run(port, plan, tally), options.timeout)
    except OSError as error:  # TimeoutError is one
        tally.fail(f"not finished: {error!r}")
    finally:
        if broker is not None:
            cpu = await broker.stop()
    published = seconds.get("publish", 0.0)
    return {
        "connections": plan.connections,
        "version": options.version,
        "qos": plan.qos,
        "messages": plan.total,
        "received": tally.received,
        "lost": plan.total - tally.received,
        "seconds_to_connect": seconds.get("connect"),
        "seconds_to_subscribe": seconds.get("subscribe"),
        "seconds_to_publish": seconds.get("publish"),
        "messages_per_second": tally.received / published if published else None,
        "latency_ms_median": percentile(tally.latencies, 0.5) * 1000,
        "latency_ms_99": percentile(tally.latencies, 0.99) * 1000,
        "broker_cpu_seconds": cpu,
        "errors": tally.errors[:20],
        "broker_faults": broker.faults[:20] if broker is not None else None,
    }


def print_table(figures: dict[str, object]) -> None:
    for name, value in figures.items():
        shown = f"{value:,.2f}" if isinstance(value, float) else value
        print(f"{name.replace('_', ' '):24}{shown if shown not in (None, []) else '-'}")


def allow_many_files() -> None:
    """As many sockets as the system lets us have; the broker inherits the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--connections", type=int, default=1000, help="clients at once (default 1000)")
    parser.add_argument("--messages", type=int, default=20, help="from each to its neighbour (default 20)")
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), default=1)
    parser.add_argument(
        "--version", choices=tuple(VERSIONS), default="5", help="protocol version (default 5)"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="of a broker on 127.0.0.1; without it, one is started"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds that it may take (default 120)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser.parse_args()


def main() -> int:
    options = parse_arguments()
    allow_many_files()
    figures = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(figures))
    else:
        print_table(figures)
    return 1 if figures["lost"] or figures["errors"] or figures["broker_faults"] else 0


if __name__ == "__main__":
    sys.exit(main())
