"""Kills of our client: of a program that publishes, and of one that subscribes, both with a store.

The broker lives on. What each program has noted makes the history: what the publisher has published, what its
client has promised, and what the subscriber has done. Then the rules are those for all runs: nothing promised
is lost, at QoS 2 nothing is done twice, and all in order.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys

from tests.torture.brokers import CHECKOUT, START_LIMIT
from tests.torture.checker import Fault
from tests.torture.history import Acknowledged, Delivered, Identity, Sent, Subscribed, Subscribing
from tests.torture.stage import Stage

LONGEST = 0.4  # seconds from when a program is connected to the kill
STARTING = 1.2  # the same from its start, for those that are killed before
AFTER = 1.0  # seconds in which nothing may come again at the end
SUBSCRIBER = "subscriber"
PUBLISHER = "publisher"


class Programs:
    """The programs of a run, which are started as often as they are killed."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.folder = stage.folder / "clients"
        self.folder.mkdir()
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.started = {SUBSCRIBER: 0, PUBLISHER: 0, "last": 0}
        self.kills = 0

    def start(self, role: str) -> None:
        self.started[role] += 1
        command = [sys.executable, "-m", "tests.torture.client_programs", role, str(self.stage.site.port)]
        with (self.folder / "output").open("ab") as output:
            self.running[role] = subprocess.Popen(
                [*command, os.fspath(self.folder), str(self.started[role])],
                env=os.environ | {"PYTHONPATH": os.fspath(CHECKOUT)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self, role: str) -> None:
        """SIGKILL; one that has ended by itself has failed."""
        process = self.running.pop(role)
        if process.poll() is not None:
            self.stage.extra_faults.append(Fault("program", f"the {role} has ended: {self.output()}"))
        process.kill()
        process.wait()
        self.kills += 1

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()

    def output(self) -> str:
        return (self.folder / "output").read_text("utf-8", "replace")[-2000:]

    def lines(self, role: str) -> list[list[str]]:
        """What it has noted; the last line may be torn."""
        path = self.folder / f"{role}.log"
        text = path.read_text() if path.exists() else ""
        return [line.split() for line in text.rpartition("\n")[0].splitlines()]

    def is_up(self, role: str) -> bool:
        """Whether the process that runs was connected."""
        process = self.running[role]
        if process.poll() not in (None, 0):
            raise RuntimeError(f"the {role} has ended: {self.output()}")
        number = str(self.started[role])
        return any(words[0] == "up" and words[1] == number for words in reversed(self.lines(role)))

    async def until_up(self, role: str) -> None:
        """Raises `TimeoutError`."""
        await self.stage.until(lambda: self.is_up(role), START_LIMIT, f"the {role} is connected")

    # What they have noted

    def promised(self) -> set[int]:
        return {int(words[1]) for words in self.lines(PUBLISHER) if words[0] == "promised"}

    def done(self) -> set[int]:
        return {identity.sequence for identity in map(_identity, self.rows("SELECT message FROM effect"))}

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        path = self.folder / "effects.db"
        if not path.exists():
            return []
        database = sqlite3.connect(path)
        try:
            return database.execute(statement).fetchall()
        finally:
            database.close()


def _identity(row: tuple[object, ...]) -> Identity:
    publisher, _, sequence = str(row[0]).partition(" ")
    return Identity(publisher, int(sequence))


async def client(stage: Stage) -> dict[str, float | int | str]:
    """One subscriber and one publisher; each kill takes one of them or both, connected or starting."""
    await stage.start()
    programs = Programs(stage)
    stage.clean_up.append(programs.end)
    programs.start(SUBSCRIBER)
    await programs.until_up(SUBSCRIBER)
    await asyncio.sleep(AFTER)  # until SUBACK: from here on all is for it
    programs.start(PUBLISHER)
    await programs.until_up(PUBLISHER)
    while programs.kills < stage.options.kills:
        await _kill(stage, programs)
    await _see_the_end(stage, programs)
    _write_history(stage, programs)
    last = programs.lines("last")[-1]
    repeated = [row[0] for row in programs.rows("SELECT qos FROM repeated")]
    return {
        "client kills": programs.kills,
        "messages": len(programs.done()),
        "promised": len(programs.promised()),
        "restored by the last": int(last[2]),
        "came again at QoS 1": repeated.count(1),
        "came again at QoS 2, and were known": repeated.count(2),
    }


async def _kill(stage: Stage, programs: Programs) -> None:
    random = stage.random
    roles = random.choice([[SUBSCRIBER], [PUBLISHER], [SUBSCRIBER, PUBLISHER]])
    if random.randrange(4):
        for role in (SUBSCRIBER, PUBLISHER):
            await programs.until_up(role)
        await asyncio.sleep(random.uniform(0.0, LONGEST))
    else:
        await asyncio.sleep(random.uniform(0.0, STARTING))
    for role in roles:
        programs.kill(role)
    for role in roles:
        programs.start(role)


async def _see_the_end(stage: Stage, programs: Programs) -> None:
    """All that was promised must come; and after one more kill no message of QoS 2 may come again."""
    await programs.until_up(PUBLISHER)
    programs.kill(PUBLISHER)
    programs.start("last")
    await programs.until_up("last")
    programs.running.pop("last").wait()
    await programs.until_up(SUBSCRIBER)
    limit = stage.options.idle
    while programs.promised() - programs.done() and limit > 0:
        before = len(programs.done())
        await asyncio.sleep(0.25)
        limit = stage.options.idle if len(programs.done()) > before else limit - 0.25
    await asyncio.sleep(AFTER)
    programs.kill(SUBSCRIBER)
    number = programs.started[SUBSCRIBER] + 1
    programs.start(SUBSCRIBER)
    await programs.until_up(SUBSCRIBER)
    await asyncio.sleep(AFTER)
    again = programs.rows(f"SELECT message FROM repeated WHERE qos = 2 AND process = {number}")
    stage.extra_faults += [Fault("twice", f"{row[0]} came again after all was over") for row in again]
    same = programs.rows("SELECT message FROM repeated WHERE qos = 2 AND process = first")
    stage.extra_faults += [Fault("twice", f"{row[0]} came to one process twice") for row in same]


def _write_history(stage: Stage, programs: Programs) -> None:
    history = stage.site.history
    history.add(Subscribing(SUBSCRIBER, "k/#", 2))
    history.add(Subscribed(SUBSCRIBER, "k/#", 2))
    for words in programs.lines(PUBLISHER):
        if words[0] == "sent":
            history.add(Sent(Identity("p", int(words[1])), f"k/{words[2]}", int(words[2])))
    for number in sorted(programs.promised()):
        history.add(Acknowledged(Identity("p", number)))
    for topic, payload, qos in programs.rows("SELECT topic, payload, qos FROM effect ORDER BY number"):
        assert isinstance(topic, str) and isinstance(payload, bytes) and isinstance(qos, int)
        history.add(Delivered(SUBSCRIBER, topic, payload, qos))
    output = programs.output()
    if "Traceback" in output or "Unhandled" in output:
        stage.extra_faults.append(Fault("traceback", f"a program has written: {output}"))
