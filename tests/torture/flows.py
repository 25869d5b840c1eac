"""The clients that publish and that subscribe: their halves of QoS 1 and QoS 2 (4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import PUBACK, PUBCOMP, PUBREC, PUBREL, Packet
from mqttwist.wire.publish import Publish
from tests.torture.clients import Client, Site, Who
from tests.torture.history import (
    Acknowledged,
    Completed,
    Delivered,
    Identity,
    Sent,
    make_payload,
    now,
    read_payload,
)

LARGEST_PACKET_ID = 50_000
AFTER_A_REFUSAL = 0.05  # seconds
TICK = 0.01  # seconds between two bursts of a publisher that keeps a rate


@dataclass
class Plan:
    """What a publisher sends: to `topics` in turn, with at most `window` unacknowledged.

    `size` in bytes of the payload; `rate` in messages a second, 0 for as fast as the broker takes them.
    """

    topics: Sequence[str]
    qos: int
    window: int = 50
    size: int = 100
    rate: int = 0
    retain: bool = False
    empty_every: int = 0  # of retained messages, which ones remove what is there


@dataclass
class _Pending:
    """A message in flight; `is_released`: PUBREC came, PUBREL is to be sent."""

    identity: Identity
    publish: Publish
    is_released: bool = False


class Publisher(Client):
    """Sends as long as it has an allowance of messages, or `goes_on`.

    How many it has in flight changes: each time all are acknowledged, it draws a new limit up to the window,
    unless it keeps a rate.
    """

    def __init__(self, site: Site, who: Who, plan: Plan, random: Random) -> None:
        super().__init__(site, who)
        self.plan = plan
        self.in_flight: dict[int, _Pending] = {}
        self.goes_on = False
        self.sequence = 0
        self.refused: dict[int, int] = {}  # how many, by Reason Code
        self._allowance = 0
        self._random = random
        self._limit = plan.window
        self._packet_id = 0
        self._idle = asyncio.Event()
        self._pacer: asyncio.Task[None] | None = None

    # What to send

    def start(self) -> None:
        """Send until `finish`."""
        self.goes_on = True
        if self.plan.rate:
            self._pacer = asyncio.create_task(self._keep_rate())
        self.pump()

    async def send_more(self, count: int) -> None:
        """Send so many, and wait until all are done with."""
        self._allowance += count
        self._idle.clear()
        self.pump()
        await self._idle.wait()

    async def finish(self) -> None:
        """Send nothing new, and wait until all handshakes are done."""
        self.goes_on = False
        if self._pacer is not None:
            self._pacer.cancel()
        self._allowance = 0
        if self.in_flight:
            self._idle.clear()
            await self._idle.wait()

    async def _keep_rate(self) -> None:
        loop = asyncio.get_running_loop()
        begun, given = loop.time(), 0
        while True:
            await asyncio.sleep(TICK)
            due = int((loop.time() - begun) * self.plan.rate)
            self._allowance = min(self._allowance + due - given, self.plan.rate)
            given = due
            self.pump()

    def pump(self) -> None:
        """Send what may be sent now."""
        limit = min(self._limit, self.receive_maximum)
        while self.is_connected and len(self.in_flight) < limit and self._may_send():
            self._send_next()
        if not self.in_flight:
            self._limit = self._draw_limit()
            if not self._may_send():
                self._idle.set()

    def _draw_limit(self) -> int:
        return self.plan.window if self.plan.rate else self._random.randint(1, self.plan.window)

    def _may_send(self) -> bool:
        return self._allowance > 0 or (self.goes_on and not self.plan.rate)

    def _send_next(self) -> None:
        plan = self.plan
        identity = Identity(self.who.client_id, self.sequence)
        topic = plan.topics[self.sequence % len(plan.topics)]
        empty = plan.empty_every > 0 and self._random.randrange(plan.empty_every) == 0
        payload = b"" if empty else make_payload(identity, topic, plan.size)
        self.sequence += 1
        self._allowance = max(self._allowance - 1, 0)
        packet_id = self._free_packet_id() if plan.qos else 0
        publish = Publish(topic, payload, plan.qos, plan.retain, packet_id=packet_id)
        if plan.qos:
            self.in_flight[packet_id] = _Pending(identity, publish)
        self.site.history.add(Sent(identity, topic, plan.qos, plan.retain, empty, now()))
        self.send(publish)
        publish.dup = plan.qos > 0
        self.site.at_step("publisher: PUBLISH sent")

    def _free_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % LARGEST_PACKET_ID + 1
            if self._packet_id not in self.in_flight:
                return self._packet_id

    # What comes back

    def resume(self) -> None:
        """Send again what is not acknowledged, in its order [MQTT-4.4.0-1] [MQTT-4.6.0-1]."""
        for packet_id, pending in list(self.in_flight.items()):
            if pending.is_released:
                self._release(packet_id)
            else:
                self.send(pending.publish)
                pending.publish.dup = True
                self.site.at_step("publisher: PUBLISH sent")
        self.pump()

    def forget(self) -> None:
        """To a new session all are new; one that the broker had acknowledged is not sent again."""
        for packet_id, pending in list(self.in_flight.items()):
            pending.publish.dup = False
            if pending.is_released:
                del self.in_flight[packet_id]

    def flow(self, packet: Packet | Publish) -> None:
        if isinstance(packet, PubAck | PubRec):
            self._acknowledged(packet, 1 if isinstance(packet, PubAck) else 2)
        elif isinstance(packet, PubComp):
            pending = self.in_flight.pop(packet.packet_id, None)
            if pending is None or not pending.is_released:
                self.complain(f"{packet} for nothing")
                return
            self.site.history.add(Completed(pending.identity))
            self.site.at_step("publisher: PUBCOMP received")
        else:
            self.complain(f"{packet} for a client that only publishes")
        self.pump()

    def _acknowledged(self, packet: PubAck | PubRec, qos: int) -> None:
        pending = self.in_flight.get(packet.packet_id)
        if pending is None or pending.is_released or pending.publish.qos != qos:
            self.complain(f"{packet} for nothing")
            return
        self.site.history.add(Acknowledged(pending.identity, packet.reason_code, now()))
        if packet.reason_code >= 0x80:
            self._refused(packet)
            return
        self.site.acknowledged.add(pending.identity)
        if qos == 1:
            del self.in_flight[packet.packet_id]
            return
        self.has_session = self.who.expiry > 0
        pending.is_released = True
        self.site.at_step("publisher: PUBREC received")
        self._release(packet.packet_id)

    def _release(self, packet_id: int) -> None:
        self.acknowledge(PUBREL, packet_id)
        self.site.at_step("publisher: PUBREL sent")

    def _refused(self, packet: PubAck | PubRec) -> None:
        """The message is given up; the next one may fare better a little later."""
        del self.in_flight[packet.packet_id]
        self.refused[packet.reason_code] = self.refused.get(packet.reason_code, 0) + 1
        self._limit = 0
        asyncio.get_running_loop().call_later(AFTER_A_REFUSAL, self._try_again)

    def _try_again(self) -> None:
        self._limit = self._draw_limit()
        self.pump()


class Subscriber(Client):
    """Acknowledges what comes, and hands each QoS 2 message on once [MQTT-4.3.3-10].

    `seen` are the messages it got; `progress` is set whenever one comes.
    """

    def __init__(self, site: Site, who: Who, topic_filter: str, qos: int) -> None:
        super().__init__(site, who)
        self.topic_filter = topic_filter
        self.qos = qos
        self.seen: set[Identity] = set()
        self.topics: set[str] = set()  # of which it got a message
        self.unreleased: set[int] = set()
        self.progress = asyncio.Event()
        self.is_subscribed = False

    async def subscribe_once(self) -> None:
        """Connect and subscribe, and stay."""
        await self.connect()
        reason_code = await self.subscribe(self.topic_filter, self.qos)
        if reason_code != self.qos:
            self.complain(f"SUBACK {reason_code:#x}")
        self.is_subscribed = True

    def forget(self) -> None:
        """A new session: subscribe again, if there was an old one."""
        self.unreleased.clear()
        if self.is_subscribed:
            self.renewal = asyncio.ensure_future(self._subscribe_again())

    async def _subscribe_again(self) -> None:
        try:
            await self.subscribe(self.topic_filter, self.qos)
        except (ConnectionError, TimeoutError):
            self.complain("no SUBACK for a new session")

    def flow(self, packet: Packet | Publish) -> None:
        if isinstance(packet, Publish):
            self._publish_received(packet)
        elif isinstance(packet, PubRel):
            self.site.at_step("subscriber: PUBREL received")
            self.unreleased.discard(packet.packet_id)
            self.acknowledge(PUBCOMP, packet.packet_id)
            self.site.at_step("subscriber: PUBCOMP sent")
        else:
            self.complain(f"{packet} for a client that only subscribes")

    def _publish_received(self, publish: Publish) -> None:
        if publish.qos < 2:
            self._hand_on(publish)
            if publish.qos:
                self.acknowledge(PUBACK, publish.packet_id)
            return
        if publish.packet_id not in self.unreleased:
            self.unreleased.add(publish.packet_id)
            self._hand_on(publish)
        self.site.at_step("subscriber: PUBLISH received")
        self.acknowledge(PUBREC, publish.packet_id)
        self.site.at_step("subscriber: PUBREC sent")

    def _hand_on(self, publish: Publish) -> None:
        event = Delivered(
            self.who.client_id,
            publish.topic_name,
            publish.payload,
            publish.qos,
            publish.dup,
            publish.retain,
            now(),
        )
        self.site.history.add(event)
        self.topics.add(publish.topic_name)
        read = read_payload(publish.payload)
        if read is not None:
            self.seen.add(read[0])
        self.progress.set()
