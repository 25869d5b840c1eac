"""A disk that is full, or fails, and recovers: nothing is acknowledged that is not kept; QoS 0 goes on."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from tests.torture.checker import Fault
from tests.torture.clients import Who
from tests.torture.flows import Plan, Publisher, Subscriber
from tests.torture.full_disks import WAYS, FullDisk, make_disk
from tests.torture.history import Acknowledged, Delivered, now
from tests.torture.run_qos1 import TOPICS, persistent
from tests.torture.stage import Stage

__all__ = ["WAYS", "full"]

TOLD = (0x97, 0x80)  # Quota exceeded, Unspecified error
TOLD_LIMIT = 10.0  # seconds until somebody must have been told
TOLD_EACH = 0.5  # seconds that one waits for it
FULL_FOR = 2.0  # seconds that it stays full after that
RECOVERY_LIMIT = 5.0
QOS_0_PAUSE = 2.0
RATE = 200  # messages a second of each publisher
SIZE = 400  # bytes of a payload
WINDOW = 1000  # so large that a client whose messages wait for the disk can send more, and be told


async def full(stage: Stage) -> dict[str, float | int | str]:
    """The disk fills up and is freed as often as there are to be kills; each second time with a kill."""
    way, disk = make_disk(stage)
    await stage.start()
    online = await persistent(stage, "online", 5, 1)
    online.stay()
    offline = await persistent(stage, "offline", 5, 2)
    await offline.leave()
    qos_0 = Subscriber(stage.site, Who("qos 0", 4, 0), "z", 0)
    stage.clients.append(qos_0)
    await qos_0.subscribe_once()
    senders = _publishers(stage)
    unimportant = Publisher(stage.site, Who("z", 5, 0), Plan(["z"], 0, rate=RATE), stage.random)
    stage.publish_with([*senders, unimportant])
    await stage.until_acknowledged(RATE)
    slowest = 0.0
    for number in range(stage.options.kills):
        slowest = max(slowest, await _fill_and_free(stage, disk, with_kill=number % 2 == 1))
        if number % 2:
            await qos_0.connect()
            await qos_0.subscribe("z", 0)
        await stage.until_acknowledged(RATE)
    await unimportant.finish()
    await stage.finish(senders)
    offline.stay()
    await stage.see_the_end([online, offline])
    refused = sum(sum(sender.refused.values()) for sender in senders)
    return {"way": way, "refused": refused, "slowest recovery, s": round(slowest, 2)}


def _publishers(stage: Stage) -> list[Publisher]:
    """QoS 1 and 2 of MQTT 5.0, which is told; and of 3.1.1, which waits."""
    made = []
    for number in range(4):
        plan = Plan(TOPICS, 1 + number // 2, window=WINDOW, size=SIZE, rate=RATE)
        made.append(Publisher(stage.site, Who(f"p{number}", 4 + number % 2), plan, stage.random))
    return made


async def _fill_and_free(stage: Stage, disk: FullDisk, with_kill: bool) -> float:
    """Seconds from when there is space again to an acknowledgement of what was sent after that."""
    begun = now()
    disk.fill()
    try:
        await _until_told(stage, disk)
        await _stay_full(disk, FULL_FOR)
        _check_qos_0(stage, begun)
        if with_kill:
            stage.kill()
    finally:
        disk.free()
    freed = now()
    if with_kill:
        await stage.start()
        freed = now()
    try:
        await stage.until(lambda: _acknowledged_since(stage, freed), 6 * RECOVERY_LIMIT, "an acknowledgement")
    except TimeoutError as error:
        stage.extra_faults.append(Fault("recovery", str(error)))
    seconds = now() - freed
    if seconds > RECOVERY_LIMIT:
        stage.extra_faults.append(Fault("recovery", f"it took {seconds:.1f} s"))
    return seconds


async def _until_told(stage: Stage, disk: FullDisk) -> float:
    """Seconds until a client that comes now and publishes a message is told.

    Those whose messages wait for the disk can't be told of later ones: acknowledgements go in the order of
    the messages [MQTT-4.6.0-2].
    """
    begun = now()
    while now() < begun + TOLD_LIMIT:
        disk.keep_full()
        if await _is_told(stage):
            return now() - begun
    text = f"nobody was told 0x97 or 0x80 within {TOLD_LIMIT} s, though the disk took nothing"
    stage.extra_faults.append(Fault("not told", text))
    return TOLD_LIMIT


async def _is_told(stage: Stage) -> bool:
    name = f"probe{len(stage.site.history.events)}"
    probe = Publisher(stage.site, Who(name, 5, 0), Plan(TOPICS, 1), stage.random)
    await probe.connect()
    try:
        async with asyncio.timeout(TOLD_EACH):
            await probe.send_more(1)
    except TimeoutError:
        pass
    finally:
        probe.drop()
    return any(code in TOLD for code in probe.refused)


async def _stay_full(disk: FullDisk, seconds: float) -> None:
    end = now() + seconds
    while now() < end:
        disk.keep_full()
        await asyncio.sleep(0.1)


def _acknowledged_since(stage: Stage, since: float) -> bool:
    for event in reversed(stage.site.history.events):
        if isinstance(event, Acknowledged):
            if event.at < since:
                return False
            if event.reason_code < 0x80:
                return True
    return False


def _check_qos_0(stage: Stage, since: float) -> None:
    """QoS 0 messages must have come all the time."""
    events = stage.site.history.events
    times = [since, *(one.at for one in events if isinstance(one, Delivered) and one.topic == "z"), now()]
    times = sorted(at for at in times if at >= since)
    gap = max(after - before for before, after in pairwise(times))
    if gap > QOS_0_PAUSE:
        stage.extra_faults.append(
            Fault("qos 0", f"{gap:.1f} s without a QoS 0 message while the disk is full")
        )
