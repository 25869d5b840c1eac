"""Retained messages and wills over kills of the broker."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.torture.clients import Who
from tests.torture.flows import Plan, Publisher, Subscriber
from tests.torture.history import HasRead, Reading
from tests.torture.retained_rules import expected_topics
from tests.torture.run_wills import wills
from tests.torture.stage import Stage

TOPICS = 10_000
PUBLISHERS = 4
FIRST_LIMIT = 300.0  # seconds, for all topics
READ_LIMIT = 20.0  # seconds
AFTERWARDS = 0.1  # seconds, in which nothing more may come


async def retained(stage: Stage) -> dict[str, float | int | str]:
    """All topics once, then changes; after each kill somebody reads all. Then the wills."""
    await stage.start()
    count = stage.options.messages or TOPICS
    senders = _publishers(stage, count)
    for sender in senders:
        stage.clients.append(sender)
        sender.stay()
    async with asyncio.timeout(FIRST_LIMIT):
        await asyncio.gather(*(sender.send_more(count // PUBLISHERS) for sender in senders))
    for sender in senders:
        sender.start()
    for number in range(stage.options.kills):
        await stage.until_acknowledged(stage.random.randint(1, max(2, count // 10)))
        await _kill_and_read(stage, senders, number)
    await stage.finish(senders)
    await _read(stage, "last reader")
    topics = len(expected_topics(stage.site.history))
    return {"topics": count, "of these with a message at the end": topics, **await wills(stage)}


def _publishers(stage: Stage, count: int) -> list[Publisher]:
    """Of both versions and both QoS; each has topics of its own, and every twentieth message is empty."""
    made = []
    for number in range(PUBLISHERS):
        topics = [f"r/{number}/{one}" for one in range(count // PUBLISHERS)]
        plan = Plan(topics, 1 + number // 2, retain=True, empty_every=20)
        made.append(Publisher(stage.site, Who(f"r{number}", 4 + number % 2), plan, stage.random))
    return made


async def _kill_and_read(stage: Stage, senders: list[Publisher], number: int) -> None:
    """The publishers stay away while somebody reads, with what they have in flight."""
    stage.kill()
    for sender in senders:
        sender.drop()
    await stage.start()
    await _read(stage, f"reader {number}")
    for sender in senders:
        sender.stay()


async def _read(stage: Stage, client_id: str) -> None:
    """A new client asks for all retained messages."""
    history = stage.site.history
    expected = expected_topics(history)
    reader = Subscriber(stage.site, Who(client_id, 5, 0), "r/#", 1)
    stage.clients.append(reader)
    await reader.connect()
    history.add(Reading(client_id, "r/#"))
    await reader.subscribe("r/#", 1)
    with suppress(TimeoutError):  # what is missing is for the checker to say
        await stage.until(lambda: expected <= reader.topics, READ_LIMIT, "retained messages")
    await reader.ping()
    await asyncio.sleep(AFTERWARDS)
    history.add(HasRead(client_id))
    await reader.leave()
    stage.clients.remove(reader)
