"""Holds a history to what the broker promises of retained messages (3.3.1.3).

A client that subscribes anew gets, for each topic, the last message that was acknowledged at QoS 1 or 2
before it asked, or one that was sent later; nothing, if that is an empty one. It gets it once.

Each topic has one publisher, so that the numbers of its messages tell which one is later.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.torture.checker import Fault, matches
from tests.torture.history import (
    Acknowledged,
    Delivered,
    Event,
    HasRead,
    History,
    Identity,
    Reading,
    Sent,
    read_payload,
)


@dataclass
class _Topic:
    """What was sent to a topic to be retained; `floor` is the number of the last acknowledged one."""

    sent: dict[int, Sent] = field(default_factory=dict)
    floor: int = -1

    @property
    def must_be_served(self) -> bool:
        later = (sent for number, sent in self.sent.items() if number >= self.floor)
        return self.floor >= 0 and not any(sent.empty for sent in later)


@dataclass
class _Read:
    """A client that asks: which floors there were when it began, and what it got."""

    topic_filter: str
    floors: dict[str, int]
    got: dict[str, list[int]] = field(default_factory=dict)


@dataclass
class _Retained:
    topics: dict[str, _Topic] = field(default_factory=dict)
    topic_of: dict[Identity, str] = field(default_factory=dict)
    reads: dict[str, _Read] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def take(self, event: Event) -> None:
        if isinstance(event, Sent) and event.retain:
            topic = self.topics.setdefault(event.topic, _Topic())
            topic.sent[event.identity.sequence] = event
            self.topic_of[event.identity] = event.topic
        elif isinstance(event, Acknowledged):
            self._acknowledged(event)
        elif isinstance(event, Reading):
            floors = {name: topic.floor for name, topic in self.topics.items()}
            self.reads[event.client] = _Read(event.topic_filter, floors)
        elif isinstance(event, Delivered):
            self._delivered(event)
        elif isinstance(event, HasRead):
            self._judge(event.client, self.reads.pop(event.client))

    def _acknowledged(self, event: Acknowledged) -> None:
        name = self.topic_of.get(event.identity)
        if name is not None and event.reason_code < 0x80:
            topic = self.topics[name]
            topic.floor = max(topic.floor, event.identity.sequence)

    def _delivered(self, event: Delivered) -> None:
        """Without RETAIN it is one that was sent just now, not one that was kept (3.3.1.3)."""
        read = self.reads.get(event.client)
        content = read_payload(event.payload)
        if read is not None and content is not None and event.retain:
            read.got.setdefault(event.topic, []).append(content[0].sequence)

    def _judge(self, client: str, read: _Read) -> None:
        for name, topic in self.topics.items():
            if not matches(read.topic_filter, name):
                continue
            floor = read.floors.get(name, -1)
            allowed = {number: sent for number, sent in topic.sent.items() if number >= floor}
            got = read.got.get(name, [])
            self._judge_topic(f"{client}, {name}", floor, allowed, got)

    def _judge_topic(self, where: str, floor: int, allowed: dict[int, Sent], got: list[int]) -> None:
        if not got:
            if floor >= 0 and not any(sent.empty for sent in allowed.values()):
                self.faults.append(Fault("retained lost", f"{where}: number {floor} was acknowledged"))
            return
        if len(got) > 1:
            self.faults.append(Fault("retained twice", f"{where}: got {got}"))
        for number in got:
            if number not in allowed:
                text = f"{where}: got number {number}, although {floor} was acknowledged"
                self.faults.append(Fault("retained old", text))


def check_retained(history: History) -> list[Fault]:
    """All faults; none for a faithful broker."""
    retained = _Retained()
    for event in history.events:
        retained.take(event)
    return retained.faults


def expected_topics(history: History) -> set[str]:
    """The topics of which a client that asks now must get a message."""
    retained = _Retained()
    for event in history.events:
        if not isinstance(event, Delivered | Reading | HasRead):
            retained.take(event)
    return {name for name, topic in retained.topics.items() if topic.must_be_served}
