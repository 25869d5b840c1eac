"""Kills of the broker at random moments under QoS 1 load; and the same for a broker that must lose by it."""

from __future__ import annotations

import asyncio

from tests.torture.clients import NEVER, Who
from tests.torture.flows import Plan, Publisher, Subscriber
from tests.torture.stage import Stage

PER_KILL = 2500  # acknowledged messages between two kills, unless the run says how many in all
TOPICS = tuple(f"t/{number}" for number in range(5))


def publishers(stage: Stage, qos: int, window: int = 100, count: int = 4, rate: int = 0) -> list[Publisher]:
    """Of both versions in turn, each with topics in common with the others."""
    plan = Plan(TOPICS, qos, window, rate=rate)
    return [
        Publisher(stage.site, Who(f"p{number}", 4 + number % 2), plan, stage.random)
        for number in range(count)
    ]


async def persistent(stage: Stage, client_id: str, version: int, qos: int) -> Subscriber:
    """A subscriber to all topics whose session never ends; it is there and subscribed."""
    receive_maximum = stage.random.randint(5, 50) if version == 5 else None
    who = Who(client_id, version, NEVER, receive_maximum)
    subscriber = Subscriber(stage.site, who, "t/#", qos)
    stage.clients.append(subscriber)
    await subscriber.subscribe_once()
    return subscriber


async def qos1(stage: Stage) -> dict[str, float | int | str]:
    """Two subscribers stay online, two are away; a fifth of the kills comes while these catch up."""
    await stage.start()
    online = [await persistent(stage, f"online{version}", version, 1) for version in (4, 5)]
    offline = [await persistent(stage, f"offline{version}", version, 1) for version in (4, 5)]
    for subscriber in online:
        subscriber.stay()
    for subscriber in offline:
        await subscriber.leave()
    senders = publishers(stage, 1)
    stage.publish_with(senders)
    later = stage.options.kills // 5
    await kill_while_publishing(stage, stage.options.kills - later)
    await stage.finish(senders)
    for subscriber in offline:
        subscriber.stay()
    await kill_while_catching_up(stage, offline, later)
    await stage.see_the_end([*online, *offline])
    return {"subscribers": len(online) + len(offline)}


async def kill_while_publishing(stage: Stage, kills: int) -> None:
    """Kill after a random number of acknowledgements, at any point of the work on the next ones."""
    total = stage.options.messages or PER_KILL * kills
    per_kill = max(1, total // max(1, kills))
    for _ in range(kills):
        await stage.until_acknowledged(stage.random.randint(per_kill // 2, per_kill + per_kill // 2))
        await asyncio.sleep(stage.random.uniform(0.0, 0.02))
        await stage.kill_and_start()
    missing = total - len(stage.site.acknowledged)
    await stage.until_acknowledged(max(missing, per_kill // 2))


async def kill_while_catching_up(stage: Stage, subscribers: list[Subscriber], kills: int) -> None:
    """Kill while the queues of those that were away are sent to them."""
    share = len(stage.site.acknowledged) // (kills + 1)
    for number in range(kills):
        target = share * number + stage.random.randint(1, max(share, 2))
        try:
            await stage.until(lambda: min(len(one.seen) for one in subscribers) >= target, 30.0, "seen")  # noqa: B023
        except TimeoutError:
            return  # what is missing is for the checker to say
        await stage.kill_and_start()
