"""Kills right after SUBACK and UNSUBACK: what they promise must be in the file."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.torture.clients import Who
from tests.torture.flows import Plan, Publisher, Subscriber
from tests.torture.run_qos1 import TOPICS, persistent, publishers
from tests.torture.stage import IDLE_LIMIT, Stage

RATE = 100  # messages a second of each publisher
IDLE = 2.0  # seconds without a delivery after which no more is waited for
STAYING = 3  # of so many newcomers, one stays for good


async def subscriptions(stage: Stage) -> dict[str, float | int | str]:
    """Somebody subscribes, or somebody unsubscribes, and the broker is killed as soon as it has answered."""
    await stage.start()
    senders = [*publishers(stage, 1, count=2, rate=RATE), *publishers(stage, 2, count=4, rate=RATE)[2:]]
    stage.publish_with(senders)
    there: list[Subscriber] = []
    gone: list[Subscriber] = []
    for number in range(stage.options.kills):
        if number % 2 and len(there) > STAYING:
            leaver = there.pop(stage.random.randrange(len(there)))
            await stage.until(lambda: leaver.is_connected, IDLE_LIMIT, "connected")  # noqa: B023
            await leaver.unsubscribe(leaver.topic_filter)
            leaver.is_subscribed = False
            gone.append(leaver)
        else:
            newcomer = await persistent(stage, f"s{number}", 4 + number % 2, 1 + number % 3 % 2)
            there.append(newcomer)
            newcomer.stay()
        await stage.kill_and_start()
        await stage.until_acknowledged(stage.random.randint(1, RATE))
    await stage.finish(senders)
    await _see_the_end(stage, there, gone)
    return {"subscribed": len(there), "unsubscribed": len(gone)}


async def _see_the_end(stage: Stage, there: list[Subscriber], gone: list[Subscriber]) -> None:
    """One more message, which comes after all others in every queue."""
    last = Publisher(stage.site, Who("last", 5, 0), Plan(TOPICS, 1), stage.random)
    stage.clients.append(last)
    await last.connect()
    await last.send_more(1)
    (identity,) = (one for one in stage.site.acknowledged if one.publisher == "last")
    with suppress(TimeoutError):  # what is missing is for the checker to say
        await stage.until(lambda: all(identity in one.seen for one in there), 60.0, "the last message")
    for one in gone:
        await _until_idle(one)
    await stage.settle([*there, *gone])


async def _until_idle(subscriber: Subscriber) -> None:
    """What was sent before it unsubscribed may still be on its way."""
    with suppress(TimeoutError):
        while True:
            subscriber.progress.clear()
            async with asyncio.timeout(IDLE):
                await subscriber.progress.wait()
