"""Kills of the broker at every step of both QoS 2 handshakes (4.3.3)."""

from __future__ import annotations

import asyncio

from tests.torture.clients import STEPS
from tests.torture.run_qos1 import persistent, publishers
from tests.torture.stage import Stage

LONGEST_DELAY = 0.006  # seconds from a packet that was sent to the kill
FURTHEST = 60  # at which occurrence of the step
RANDOM = "at random"


class _Trap:
    """Kills the broker at the `countdown`th time that `step` happens."""

    def __init__(self, stage: Stage, step: str, countdown: int) -> None:
        self.stage = stage
        self.step = step
        self.countdown = countdown
        self.has_killed = asyncio.Event()

    def at_step(self, step: str) -> None:
        if step != self.step:
            return
        self.countdown -= 1
        if self.countdown == 0:
            if step.endswith("received"):
                self.kill()  # before the answer
            else:
                delay = self.stage.random.uniform(0.0, LONGEST_DELAY)
                asyncio.get_running_loop().call_later(delay, self.kill)

    def kill(self) -> None:
        self.stage.kill()
        self.has_killed.set()


async def qos2(stage: Stage) -> dict[str, float | int | str]:
    """Publishers and subscribers of both versions; the steps in turn, and one kill in nine at random.

    One subscriber comes and goes with every other kill.
    """
    await stage.start()
    subscribers = [await persistent(stage, f"online{version}", version, 2) for version in (4, 5)]
    for subscriber in subscribers:
        subscriber.stay()
    roaming = await persistent(stage, "roaming", 5, 2)
    senders = publishers(stage, 2, window=30)
    stage.publish_with(senders)
    steps = [*STEPS, RANDOM]
    for number in range(stage.options.kills):
        await _kill_at(stage, steps[number % len(steps)])
        if number % 4 == 1:
            roaming.drop()
        elif number % 4 == 3:
            roaming.stay()
        await stage.start()
    await stage.until_acknowledged(100)
    await stage.finish(senders)
    roaming.stay()
    await stage.see_the_end([*subscribers, roaming])
    return {"steps": len(steps)}


async def _kill_at(stage: Stage, step: str) -> None:
    trap = _Trap(stage, step, stage.random.randint(1, FURTHEST))
    if step == RANDOM:
        await stage.until_acknowledged(stage.random.randint(1, FURTHEST))
        await asyncio.sleep(stage.random.uniform(0.0, LONGEST_DELAY))
        trap.kill()
        return
    stage.site.at_step = trap.at_step
    try:
        async with asyncio.timeout(60.0):
            await trap.has_killed.wait()
    finally:
        stage.site.at_step = lambda step: None
