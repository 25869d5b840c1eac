"""Wills with all the ways to end, over kills of the broker.

Each round has clients of all kinds below. Before the kill it makes sure that the broker has written that they
are there: somebody subscribes, for changes reach the disk in their order. The last to end before the kill end
just before it, so that the broker may know of it or not.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from mqttwist.wire.connect import Will
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from tests.torture.checker import Fault
from tests.torture.clients import Client, Who
from tests.torture.flows import Subscriber
from tests.torture.history import Closed, Identity, Proved, Returned, Sent, WillSet, make_payload, now
from tests.torture.stage import Stage
from tests.torture.will_rules import LATE

WILLS = 1000
LONG = 120  # seconds: longer than a round
SHORT = (1, 3)  # seconds


@dataclass(frozen=True)
class Kind:
    """How the connection of a will ends: `end` is drop, 0x04, 0x00 or kill.

    Then the client may come `back`: to its "session", or "anew". `delay` and `expiry` in seconds; -1: short.
    """

    end: str
    delay: int = 0
    expiry: int = 0
    back: str = ""
    version: int = MQTT_5


KINDS = (
    Kind("drop"),
    Kind("drop", version=MQTT_3_1_1),
    Kind("drop", -1, LONG),
    Kind("drop", LONG, -1),
    Kind("drop", LONG, LONG, "session"),
    Kind("drop", LONG, LONG, "anew"),
    Kind("0x04"),
    Kind("0x04", -1, LONG),
    Kind("0x00"),
    Kind("0x00", -1, LONG),
    Kind("0x00", version=MQTT_3_1_1),
    Kind("kill"),
    Kind("kill", version=MQTT_3_1_1),
    Kind("kill", -1, LONG),
    Kind("kill", LONG, -1),
    Kind("kill", LONG, LONG, "session"),
    Kind("kill", LONG, LONG, "anew"),
    Kind("kill", 0, LONG, "session"),
)


class WillClient(Client):
    """A client of one kind, and its will."""

    def __init__(self, stage: Stage, number: int) -> None:
        self.kind = kind = KINDS[number % len(KINDS)]
        self.stage = stage
        self.topic = f"w/{number}"
        self.identity = Identity(f"w{number}", 0)
        delay, self.expiry = (
            stage.random.randint(*SHORT) if one < 0 else one for one in (kind.delay, kind.expiry)
        )
        self.delay = delay
        properties = Properties(will_delay_interval=delay) if delay else Properties()
        payload = make_payload(self.identity, self.topic)
        will = Will(self.topic, payload, number % 3, properties=properties)
        super().__init__(stage.site, Who(self.identity.publisher, kind.version, self.expiry, will=will))

    async def set_will(self) -> None:
        """Connect with the will."""
        assert self.who.will is not None
        self.site.history.add(Sent(self.identity, self.topic, self.who.will.qos, at=now()))
        await self.connect(clean_start=True)
        qos = self.who.will.qos
        self.site.history.add(WillSet(self.who.client_id, self.topic, self.delay, self.expiry, qos))

    async def end(self) -> None:
        """End the connection as the kind says; those of kind "kill" wait for that."""
        if self.kind.end == "kill":
            return
        self.site.history.add(Closed(self.who.client_id, self.kind.end == "0x00", now()))
        if self.kind.end == "drop":
            self.drop()
        else:
            await self.leave(int(self.kind.end, 16))

    async def come_back(self) -> None:
        """Connect again without a will, and stay for the rest of the round."""
        self.drop()
        self.who = Who(self.who.client_id, self.kind.version, self.expiry)
        await self.connect(clean_start=self.kind.back == "anew")
        self.site.history.add(Returned(self.who.client_id, self.kind.back == "anew", now()))


class Witness(Client):
    """Somebody whose SUBACK proves that the broker has written what was before."""

    async def prove(self) -> None:
        if not self.is_connected:
            await self.connect()
        await self.subscribe(f"proof/{self._request_id}", 1)
        self.site.history.add(Proved())


async def wills(stage: Stage) -> dict[str, float | int | str]:
    """Rounds with a kill each, until there were enough; at least one round."""
    stage.counts_wills = True
    watch = Subscriber(stage.site, Who("watch"), "w/#", 2)
    witness = Witness(stage.site, Who("witness"))
    stage.clients += [watch, witness]
    await watch.subscribe_once()
    watch.stay()
    total = stage.options.messages // 10 or WILLS
    rounds = max(1, min(stage.options.kills, total // len(KINDS)))
    per_round = max(len(KINDS), total // rounds)
    for number in range(rounds):
        await _round(stage, witness, range(number * per_round, (number + 1) * per_round))
    await stage.until(lambda: watch.is_connected, 30.0, "the watching client is back")
    await asyncio.sleep(SHORT[1] + LATE + 1.0)
    await stage.settle([watch])
    came = sum(identity.publisher.startswith("w") for identity in watch.seen)
    if not came:
        stage.extra_faults.append(Fault("run", "not one will came"))
    return {"wills": rounds * per_round, "wills that came": came}


async def _round(stage: Stage, witness: Witness, numbers: range) -> None:
    clients = [WillClient(stage, number) for number in numbers]
    stage.clients += clients
    for client in clients:
        await client.set_will()
    await witness.prove()
    stage.random.shuffle(clients)
    sure, unsure = clients[: len(clients) // 2], clients[len(clients) // 2 :]
    for client in sure:
        await client.end()
    for client in sure:
        if client.kind.back and client.kind.end != "kill" and stage.random.random() < 0.5:
            await client.come_back()
    await witness.prove()
    for client in unsure:
        await client.end()
    await asyncio.sleep(stage.random.uniform(0.0, 0.05))
    stage.kill()
    await asyncio.sleep(stage.random.uniform(0.0, 2.0))
    await stage.start()
    for client in clients:
        if client.kind.back and not client.is_connected:
            await client.come_back()
    await witness.prove()
