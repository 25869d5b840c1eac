"""A program with a client and its store, joined to a broker in memory, killed at any moment.

    class SomeTests(StoreTestCase):
        def test_something(self) -> None:
            self.boot()                                    # a process: a client that has opened its store
            self.program.publish(b"1", 2)
            self.come()                                    # it connects: CONNECT is on its way
            while self.choices():
                self.step(self.choices()[0])               # a packet arrives, a frame is committed ...
            self.crash()
            self.boot()

The file is the database in memory of `tests.broker.durable`; the thread is a list of jobs, of which the test
does one when it likes. No time passes but the test's.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from twisted.internet.task import Clock

from mqttwist.broker.broker import Broker
from mqttwist.broker.local import WaitingReceiver
from mqttwist.broker.settings import Settings
from mqttwist.client.errors import ClientError
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.front import store as front_store
from mqttwist.front.client import FrontClient
from mqttwist.front.retry import Reconnecting, Retry
from mqttwist.front.store import FileStore, Job
from mqttwist.net.client_shell import TwistedShell
from mqttwist.session.metrics import Drops
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite import store as store_module
from mqttwist.stores.sqlite.reader import StoreFile
from mqttwist.stores.sqlite.schema import Frame
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from tests.broker.durable import WALL, Disk
from tests.broker.harness import AnyPacket, BrokerTestCase

# What may happen next.
TO_BROKER = 0  # a packet arrives there
TO_CLIENT = 1
WORK = 2  # the thread does what it has to do next
TAKE = 3  # the application is done with a message


class Pipe:
    """One end's transport: what it writes is on its way, packet by packet."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.packets: deque[AnyPacket] = deque()

    def write(self, data: bytes) -> None:
        self.packets.extend(decode_stream(data, self.version))

    def close(self) -> None:
        pass

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Program(FrontClient):
    """One process of the application. What it has taken, it has taken for good; that is the test's list."""

    def __init__(self, version: int, store: FileStore, clock: Clock, **settings: Any) -> None:
        shell = TwistedShell(clock)
        settings.setdefault("client_id", "us")
        settings.setdefault("session_expiry_interval", 1000)
        retry = Retry(Reconnecting(), shell.seconds)
        super().__init__(ClientSettings(versions=(version,), **settings), shell, retry, store=store)
        self.untaken: list[Received] = []
        self.handed: list[bytes] = []  # what this process was given by the client
        self.promised: list[bytes] = []  # what is stored, or confirmed
        self.results: list[Any] = []

    def attempt_ended(self, error: ClientError) -> None:
        pass

    def publish(self, payload: bytes, qos: int, **fields: Any) -> Any:
        """Publish to "t"; it is promised when it is stored, or confirmed before."""
        waiting = self._publish("t", payload, qos, False, fields.get("properties"), fields.get("deadline"))
        waiting.addCallback(lambda published: self.promised.append(payload))
        waiting.addBoth(self.results.append)
        self.stored().addCallbacks(lambda nothing: self.promised.append(payload), lambda failure: None)
        return waiting

    def listen(self) -> None:
        """Subscribe to "t"; messages wait until the test says that they are taken."""
        self.call_for("t", self._arrived, qos=2, manual=True)

    def _arrived(self, received: Received) -> None:
        self.handed.append(received.payload)
        self.untaken.append(received)


class DiskDatabase:
    """In the place of `Database`: frames go to the test's disk."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.fault: Exception | None = None
        self.closed: list[bool] = []

    def commit(self, frames: list[Frame]) -> None:
        if self.fault is not None:
            raise self.fault
        for frame in frames:
            if frame.number > self.disk.last_frame:
                self.disk.take(*frame)
                self.disk.commit()

    def sizes(self) -> tuple[int, int]:
        return 0, 0

    def checkpoint(self) -> None:
        pass

    def close(self, clean: bool) -> None:
        self.closed.append(clean)


class StoreTestCase(BrokerTestCase):
    """`program` runs in the process there is, `broker` outlives it; `observed` is what came to "t"."""

    version = 5

    def setUp(self) -> None:
        super().setUp()
        self.patch(store_module, "open_store", self._open_store)
        self.patch(front_store, "Database", lambda path, sync: self.database)
        self.begin()

    def begin(self, disk: Disk | None = None) -> None:
        """Everything anew: an empty disk, or a copy of `disk`, and another broker."""
        self.disk = Disk() if disk is None else disk.copy()
        self.clock = Clock()
        self.clock.rightNow = 1000.0
        self.lost = 0  # processes that were killed
        self.effects: list[bytes] = []  # what the application has taken, in all its processes
        self.promised: list[bytes] = []
        self.observed: list[tuple[bytes, int]] = []
        self.start_broker()

    def start_broker(self, settings: Settings | None = None) -> None:
        """A broker that knows nothing of sessions; one in the process observes what is published to "t"."""
        self.broker = Broker(MemoryStore(), self.seconds, settings)
        self.receiver = WaitingReceiver("observer", QueueLimits(0, 0, True), Drops(), lambda: None)
        self.broker.subscribe(self.receiver, SubscriptionOptions("t", 2))

    def seconds(self) -> float:
        """The time for all. Each process has a clock of its own: what it wants to do later ends with it."""
        return self.clock.seconds()

    def _open_store(self, path: str, wait: float, notice: Any) -> StoreFile:
        return self.disk.open_store(path, wait, notice)

    # Processes

    def boot(self, listens: bool = False, **settings: Any) -> Program:
        """Start a process with what is on the disk."""
        rest = self.clock.seconds()
        self.clock = Clock()
        self.clock.rightNow = rest
        self.jobs: deque[Job] = deque()
        self.database = DiskDatabase(self.disk)
        self.store = FileStore("memory", worker=self.jobs.append, wall_clock=lambda: WALL + self.seconds())
        self.program = Program(self.version, self.store, self.clock, **settings)
        self.line: tuple[Pipe, Pipe] | None = None
        if listens:
            self.program.listen()
        self.program.restart()
        self.run_loop()
        return self.program

    def come(self) -> None:
        """The client makes a Network Connection: CONNECT is on its way."""
        pipes = Pipe(self.version), Pipe(self.version)
        self.there = self.broker.connect(pipes[TO_CLIENT], "us")
        self.line = pipes
        self.here = self.program.open(pipes[TO_BROKER], "broker")
        self.run_loop()

    def crash(self, kept: bool = False, arrives: bool = False) -> None:
        """Kill the process. `kept`: the job under way came to its end; `arrives`: so did what was sent."""
        if kept and self.jobs:
            self.jobs.popleft()()
        if self.line is not None:
            if arrives:
                while self.line[TO_BROKER].packets:
                    self._arrive(TO_BROKER)
            self.there.lost("killed")
        self.promised += self.program.promised
        self.lost += 1
        self.line = None

    def run_loop(self) -> None:
        """Whatever wants to be called in the next round is called."""
        self.clock.pump([0.0, 0.0, 0.0])
        while (message := self.receiver.next(self.clock.seconds())) is not None:
            self.observed.append((message.payload, message.qos))

    # Steps

    def choices(self) -> list[int]:
        """What may happen next."""
        to_broker, to_client = self.line or (Pipe(5), Pipe(5))
        possible = (to_broker.packets, to_client.packets, self.jobs, self.program.untaken)
        return [choice for choice, one in enumerate(possible) if one]

    def step(self, choice: int) -> None:
        """One of `choices` happens."""
        if choice == WORK:
            self.jobs.popleft()()
        elif choice == TAKE:
            received = self.program.untaken.pop(0)
            self.effects.append(received.payload)
            received.ack()
        else:
            self._arrive(choice)
        self.run_loop()

    def _arrive(self, choice: int) -> None:
        assert self.line is not None
        data = self.line[choice].packets.popleft().encode(self.version)
        if choice == TO_BROKER:
            self.there.receive_data(data)
        else:
            self.here.receive_data(data)
            self.program.settle()

    def settle(self) -> None:
        """Let everything happen until nothing is left."""
        self.run_loop()
        while choices := self.choices():
            self.step(choices[0])

    def send(self, payload: bytes, qos: int) -> None:
        """The broker has a message for whoever subscribes to "t"."""
        self.broker.publish(Message.create("t", payload, qos))
        self.run_loop()

    def state(self) -> str:
        """What is the same in two states from which the same can happen."""
        core, journal = self.program.core, self.store.journal
        session = self.broker.sessions.get("us")
        at_broker: Any = None
        if session is not None:
            flow = session.outgoing
            at_broker = (
                [(one.packet_id, one.awaiting) for one in flow.in_flight.values()],
                flow.waiting.length,
                session.incoming.unreleased,
                list(session.subscriptions),
            )
        frame = self.store._frame
        return repr(
            (
                self.line and [list(pipe.packets) for pipe in self.line],
                [self.disk.rows(name) for name in ("session", "message", "queue", "received")],
                frame and frame.changes,
                len(self.jobs),
                journal.changes - journal.sealed_changes,
                [(packet_id, one.awaiting) for packet_id, one in core.outgoing.in_flight.items()],
                core.outgoing.waiting.length,
                core.incoming.unreleased,
                at_broker,
                [one.payload for one in self.program.untaken],
                self.effects,
                self.observed,
                sorted(set(self.program.promised)),
            )
        )
