"""What all runs share: the broker, its clients, the clock that ends them, and the verdict."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random

from tests.torture.brokers import START_LIMIT, Broker, Mosquitto, Ours, free_port
from tests.torture.checker import Fault, check_messages
from tests.torture.clients import Client, Site
from tests.torture.flows import Publisher, Subscriber
from tests.torture.history import Acknowledged, Killed, Started, now
from tests.torture.retained_rules import check_retained
from tests.torture.will_rules import check_wills

POLL = 0.01  # seconds
IDLE_LIMIT = 15.0  # seconds
SHOWN_FAULTS = 20
LOG_SIZE = 1 << 24  # bytes of the broker's log that are looked through
SHOWN_LOG = 6000


@dataclass(frozen=True)
class Options:
    """What a run is to do; `messages` and `seconds` bound it. 0 messages: as many as the run needs."""

    broker: str = "ours"
    kills: int = 5
    seed: int = 1
    sync: str = "full"
    messages: int = 0
    seconds: float = 1800.0
    idle: float = IDLE_LIMIT  # seconds without a delivery after which no more is waited for
    way: str = ""  # of the run "full"; "": the first that this machine allows


@dataclass
class Result:
    """What came out: `figures` and the number of events of each kind, and all faults."""

    name: str
    options: Options
    figures: dict[str, float | int | str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    log: str = ""

    @property
    def rules(self) -> Counter[str]:
        return Counter(fault.rule for fault in self.faults)

    def as_json(self) -> str:
        return json.dumps(
            {
                "run": self.name,
                "broker": self.options.broker,
                "seed": self.options.seed,
                "sync": self.options.sync,
                "figures": self.figures,
                "events": self.counts,
                "faults": dict(self.rules),
                "first faults": [f"{fault.rule}: {fault.text}" for fault in self.faults[:SHOWN_FAULTS]],
            },
            indent=1,
        )


class Stage:
    """One broker in a folder of its own, and all clients of a run. Use it with `async with`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.random = Random(options.seed)
        self.folder = Path(tempfile.mkdtemp(prefix="mqttwist-torture-"))
        port = free_port()
        self.broker: Broker
        if options.broker == "mosquitto":
            self.broker = Mosquitto(self.folder, port)
        else:
            self.broker = Ours(self.folder, port, options.sync)
        self.site = Site(port)
        self.clients: list[Client] = []
        self.extra_faults: list[Fault] = []
        self.restart_seconds: list[float] = []
        self.counts_wills = False
        self.is_cut_short = False  # so that not all that is to come has come
        self.clean_up: list[Callable[[], object]] = []  # what is to be done when the broker has ended

    @property
    def ours(self) -> Ours:
        assert isinstance(self.broker, Ours), "this run knows the processes of our broker only"
        return self.broker

    async def __aenter__(self) -> Stage:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.site.is_down = True
        for client in self.clients:
            client.drop()
        try:
            self.broker.stop()
        finally:
            for undo in self.clean_up:
                undo()
            shutil.rmtree(self.folder, ignore_errors=True)

    # The broker's lives

    async def start(self) -> None:
        """Start the broker, and wait until it serves. Raises `BrokerFailed` or `TimeoutError`."""
        begun = time.monotonic()
        self.broker.start()
        await self.until(self.broker.is_ready, START_LIMIT, "the broker serves")
        self.restart_seconds.append(time.monotonic() - begun)
        self.site.history.add(Started(now()))
        self.site.is_down = False
        self.site.serves.set()

    def kill(self) -> None:
        """SIGKILL, now; of our broker alone, or of it and its writer in either order."""
        self.site.is_down = True
        self.site.serves.clear()
        self.site.history.add(Killed(now()))
        which = self.random.randrange(3)
        if isinstance(self.broker, Ours) and which:
            self.broker.kill_all(writer_first=which == 1)
        else:
            self.broker.kill()

    async def kill_and_start(self) -> None:
        self.kill()
        await self.start()

    # Waiting

    async def until(self, condition: Callable[[], bool], limit: float, what: str) -> None:
        """Wait at most so many seconds until the condition holds. Raises `TimeoutError`."""
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {limit} s")
            await asyncio.sleep(POLL)

    async def until_acknowledged(self, count: int, limit: float = 60.0) -> None:
        """Wait for so many more acknowledgements. Raises `TimeoutError`."""
        target = len(self.site.acknowledged) + count
        await self.until(lambda: len(self.site.acknowledged) >= target, limit, f"{count} acknowledgements")

    def publish_with(self, publishers: Sequence[Publisher]) -> None:
        """Connect them, and have them send until they are told to finish."""
        for publisher in publishers:
            self.clients.append(publisher)
            publisher.stay()
            publisher.start()

    async def finish(self, publishers: Sequence[Publisher]) -> None:
        """No new messages, and all handshakes to their end. Raises `TimeoutError`."""
        async with asyncio.timeout(START_LIMIT):
            await asyncio.gather(*(publisher.finish() for publisher in publishers))

    async def drain(self, subscribers: Sequence[Subscriber]) -> None:
        """Wait until each got all that was acknowledged; not for ever, since some may be lost."""
        await asyncio.gather(*(self._drain(subscriber) for subscriber in subscribers))
        await self.settle(subscribers)

    async def _drain(self, subscriber: Subscriber) -> None:
        while not self.site.acknowledged <= subscriber.seen:
            subscriber.progress.clear()
            try:
                async with asyncio.timeout(self.options.idle):
                    await subscriber.progress.wait()
            except TimeoutError:
                return
            await asyncio.sleep(10 * POLL)

    async def see_the_end(self, subscribers: Sequence[Subscriber]) -> None:
        """All must come; and after one more kill nothing that was confirmed may come again."""
        await self.drain(subscribers)
        if self.options.kills:
            await self.kill_and_start()
            await self.settle(subscribers)

    async def settle(self, subscribers: Sequence[Subscriber]) -> None:
        """What the broker still has for them is there: all that it wrote, and the ends of handshakes."""
        for subscriber in subscribers:
            await self.until(lambda one=subscriber: one.is_connected, START_LIMIT, "connected")  # type: ignore[misc]
            await subscriber.ping()
        try:
            await self.until(lambda: not any(one.unreleased for one in subscribers), IDLE_LIMIT, "PUBREL")
        except TimeoutError:
            for one in subscribers:
                if one.unreleased:
                    one.complain(f"no PUBREL came for {sorted(one.unreleased)[:10]}")

    # The verdict

    def result(self, name: str, figures: dict[str, float | int | str]) -> Result:
        """All that the rules find in the history; `figures` are those of the run's own."""
        history = self.site.history
        result = Result(name, self.options, counts=history.counts())
        result.figures = {"kills": self.broker.kills, "acknowledged": history.acknowledged, **figures}
        if self.restart_seconds:
            result.figures["longest start, s"] = round(max(self.restart_seconds), 2)
        messages = check_messages(history)
        if self.is_cut_short:
            messages = [fault for fault in messages if fault.rule != "lost"]
        result.faults = [
            *self.extra_faults,
            *messages,
            *check_retained(history),
            *(check_wills(history, now()) if self.counts_wills else []),
            *(Fault("protocol", text) for text in self.site.complaints),
        ]
        log = self.broker.log(LOG_SIZE)
        result.log = log[-SHOWN_LOG:]
        at = log.find("Traceback")
        if at >= 0:
            result.faults.append(Fault("traceback", "there is a traceback in the broker's log"))
            result.log = log[max(0, at - SHOWN_LOG // 4) :][:SHOWN_LOG]
        return result


def longest_gap(stage: Stage, since: float = 0.0) -> float:
    """The longest time between two acknowledgements, in seconds."""
    times = [one.at for one in stage.site.history.events if isinstance(one, Acknowledged) and one.at >= since]
    return max((after - before for before, after in pairwise(times)), default=0.0)


Run = Callable[[Stage], Awaitable[dict[str, float | int | str]]]


async def play(name: str, run: Run, options: Options) -> Result:
    """One run from its beginning to its end, whatever happens on the way. It ends within `seconds`."""
    async with Stage(options) as stage:
        figures: dict[str, float | int | str] = {}
        begun = time.monotonic()
        try:
            async with asyncio.timeout(options.seconds):
                figures = await run(stage)
        except Exception as error:  # whatever it is, the history so far tells more
            stage.is_cut_short = True
            stage.extra_faults.append(Fault("run", f"{type(error).__name__}: {error}"))
        figures["seconds"] = round(time.monotonic() - begun, 1)
        return stage.result(name, figures)
