"""`python -m tests.torture.client_programs ROLE PORT FOLDER NUMBER`: a program whose client has a store.

`publisher` publishes at QoS 1 and 2 without end, and notes in its log what it is about to publish and what
its client has promised: that it is stored, or that the Server has it. `last` is a publisher that publishes no
more, and ends when everything is confirmed. `subscriber` does something for each message: its effect and the
message are noted in one transaction of a database of its own, in which one that comes again is found.

NUMBER counts the processes of a role. Each may be killed at any moment.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from twisted.internet import task
from twisted.internet.defer import Deferred

from mqttwist import FileStore, MQTTClient, NotDelivered
from mqttwist.client.received import Received
from tests.torture.history import Identity, make_payload, read_payload

NEVER = 4_294_967_295
PER_PROCESS = 1_000_000  # numbers that messages of one process may have
WINDOW = 60  # messages that wait for their confirmation
EARLY = 10  # messages that are published before the client starts
TOPICS = {1: "k/1", 2: "k/2"}

EFFECTS = """
CREATE TABLE IF NOT EXISTS effect (
    number INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT UNIQUE, topic TEXT, payload BLOB, qos INTEGER,
    process INTEGER
);
CREATE TABLE IF NOT EXISTS repeated (message TEXT, qos INTEGER, process INTEGER, first INTEGER);
"""


class Log:
    """Lines that are in the file when `say` returns, so that a kill takes none away."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, *words: object) -> None:
        os.write(self._fd, (" ".join(map(str, words)) + "\n").encode())


class Publisher:
    """Keeps `WINDOW` messages under way."""

    def __init__(self, client: MQTTClient, log: Log, number: int) -> None:
        self.client = client
        self.log = log
        self.next = number * PER_PROCESS
        self.under_way = 0

    def fill(self) -> None:
        while self.under_way < WINDOW:
            self.publish()

    def publish(self) -> None:
        number = self.next
        self.next += 1
        qos = 1 + number % 2
        self.log.say("sent", number, qos)
        self.under_way += 1
        payload = make_payload(Identity("p", number), TOPICS[qos], 100)
        published = self.client.publish(TOPICS[qos], payload, qos=qos)
        published.addCallbacks(lambda result: self.log.say("promised", number), self._failed)
        published.addCallback(self._ended)
        self.client.stored().addCallback(lambda nothing: self.log.say("promised", number))

    def _failed(self, failure: Any) -> None:
        failure.trap(NotDelivered)

    def _ended(self, result: object) -> None:
        self.under_way -= 1
        if self.client.is_connected:
            self.fill()


class Effects:
    """What the subscriber has done, for each message once."""

    def __init__(self, path: Path, process: int) -> None:
        self._process = process
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")  # the process is killed, not the machine
        self._database.executescript(EFFECTS)

    def take(self, received: Received) -> None:
        """The effect of a message, unless it is known, as one transaction."""
        read = read_payload(received.payload)
        key = received.payload.hex() if read is None else f"{read[0].publisher} {read[0].sequence}"
        with self._database as database:
            database.execute("BEGIN IMMEDIATE")
            known = database.execute("SELECT process FROM effect WHERE message = ?", (key,)).fetchone()
            if known is None:
                database.execute(
                    "INSERT INTO effect (message, topic, payload, qos, process) VALUES (?, ?, ?, ?, ?)",
                    (key, received.topic_name, received.payload, received.qos, self._process),
                )
            else:
                database.execute(
                    "INSERT INTO repeated VALUES (?, ?, ?, ?)", (key, received.qos, self._process, known[0])
                )


def make_client(role: str, port: int, folder: Path) -> MQTTClient:
    """Each role has a session of its own."""
    name = "subscriber" if role == "subscriber" else "publisher"
    return MQTTClient(
        f"127.0.0.1:{port}",
        client_id=name,
        session_expiry_interval=NEVER,
        receive_maximum=65_535,  # Mosquitto 2.0.11 sends all that has waited at once, whatever it is told
        store=FileStore(os.fspath(folder / f"{name}.db"), wait=10.0),
    )


async def run(reactor: Any, role: str, port: int, folder: Path, number: int) -> None:
    """Until it is killed; the last publisher until all is confirmed."""
    client = make_client(role, port, folder)
    log = Log(folder / f"{role}.log")
    if role == "subscriber":
        effects = Effects(folder / "effects.db", number)
        client.call_for("k/#", effects.take, qos=2)
        client.startService()
        await client.ready()
        log.say("up", number)
        await Deferred()
    elif role == "publisher":
        publisher = Publisher(client, log, number)
        client.startService()
        for _ in range(EARLY):
            publisher.publish()
        await client.ready()
        log.say("up", number)
        publisher.fill()
        await Deferred()
    else:
        async with client:
            await client.ready()
            await client.flushed()
            log.say("up", number, client.stats.restored, client.stats.restored_ended)


def main() -> None:
    role, port, folder, number = sys.argv[1:]
    task.react(
        lambda reactor: Deferred.fromCoroutine(run(reactor, role, int(port), Path(folder), int(number)))
    )


if __name__ == "__main__":
    main()
