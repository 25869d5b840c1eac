"""Kills of the writer alone, at a steady load: nobody may notice more than a pause."""

from __future__ import annotations

import asyncio

from tests.torture.checker import Fault, unexpected_disconnects
from tests.torture.run_qos1 import persistent, publishers
from tests.torture.stage import Stage, longest_gap

RATE = 2000  # messages a second in all
LONGEST_PAUSE = 2.0  # seconds without an acknowledgement
PUBLISHERS = 4


async def writer(stage: Stage) -> dict[str, float | int | str]:
    """A kill about every second; then one of the broker, since what it promised must be in the file."""
    await stage.start()
    online = [await persistent(stage, f"online{version}", version, version - 3) for version in (4, 5)]
    offline = await persistent(stage, "offline", 5, 2)
    for subscriber in online:
        subscriber.stay()
    await offline.leave()
    senders = [
        *publishers(stage, 1, count=PUBLISHERS // 2, rate=RATE // PUBLISHERS),
        *publishers(stage, 2, count=PUBLISHERS, rate=RATE // PUBLISHERS)[PUBLISHERS // 2 :],
    ]
    stage.publish_with(senders)
    await stage.until_acknowledged(RATE // 4)
    slowest = 0.0
    for _ in range(stage.options.kills):
        slowest = max(slowest, await _kill_writer(stage))
        await asyncio.sleep(stage.random.uniform(0.2, 1.0))
    await stage.finish(senders)
    gap = longest_gap(stage)
    stage.extra_faults += unexpected_disconnects(stage.site.history)
    if gap > LONGEST_PAUSE:
        stage.extra_faults.append(Fault("pause", f"{gap:.2f} s without an acknowledgement"))
    await stage.kill_and_start()  # what was acknowledged must be in the file, not only in the memory
    offline.stay()
    await stage.see_the_end([*online, offline])
    return {
        "writer kills": stage.options.kills,
        "longest pause, s": round(gap, 3),
        "slowest recovery, s": round(slowest, 3),
    }


async def _kill_writer(stage: Stage) -> float:
    """Seconds from the kill to the next acknowledgements, of which the first may have been on their way."""
    loop = asyncio.get_running_loop()
    await stage.until(lambda: stage.ours.writer_pid() is not None, 10.0, "there is a writer")
    begun = loop.time()
    stage.ours.kill_writer()
    await stage.until_acknowledged(2 * RATE // 100, 30.0)
    return loop.time() - begun
