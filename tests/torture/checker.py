"""Holds a history to what MQTT and the broker's promise say of messages.

1. *content*: nothing is delivered that nobody sent, that was changed, or before it was sent.
2. *receiver*: nothing is delivered to a client that has no subscription for its topic, or had none any more
   when it was sent, or at another QoS than that of the subscription allows.
3. *lost*: an acknowledged message reaches each client that was subscribed from when it was sent until it was
   acknowledged.
4. *twice*: a QoS 2 message reaches it once (4.3.3).
5. *order*: of one publisher to one topic, at QoS 2 all, at QoS 1 the first deliveries come in the order in
   which they were sent (4.6). Each QoS has an order of its own.
6. *session*: a session is never lost.

Retained messages that are sent to a new subscription are held to `tests.torture.retained_rules`, wills to
`tests.torture.will_rules`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from tests.torture.history import (
    Acknowledged,
    Delivered,
    Disconnected,
    Event,
    History,
    Identity,
    Reading,
    Sent,
    SessionLost,
    Subscribed,
    Subscribing,
    Unsubscribed,
    Unsubscribing,
    read_payload,
)


class Fault(NamedTuple):
    """Which rule was broken, and how."""

    rule: str
    text: str


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message to `topic` is for a subscription to `topic_filter` (4.7)."""
    levels = topic_filter.split("/")
    names = topic.split("/")
    if topic.startswith("$") and levels[0] in ("#", "+"):
        return False
    for position, level in enumerate(levels):
        if level == "#":
            return True
        if position >= len(names) or level not in ("+", names[position]):
            return False
    return len(levels) == len(names)


@dataclass
class Subscription:
    """One client's subscription, and between which indices of the history it holds.

    What is sent from `must_from` on and acknowledged before `must_until` has to come.
    """

    topic_filter: str
    qos: int
    may_from: int
    must_from: int | None = None
    must_until: int | None = None
    may_until: int | None = None

    def may_have(self, sent_at: int) -> bool:
        return self.may_until is None or sent_at < self.may_until

    def must_have(self, sent_at: int, acknowledged_at: int) -> bool:
        if self.must_from is None or sent_at < self.must_from:
            return False
        return self.must_until is None or acknowledged_at < self.must_until


class Arrival(NamedTuple):
    """A delivery whose content is right."""

    identity: Identity
    sent_at: int  # index in the history
    sent: Sent
    delivered: Delivered


@dataclass
class _Facts:
    """The history sorted by what the rules ask for."""

    sent: dict[Identity, tuple[int, Sent]] = field(default_factory=dict)
    acknowledged: dict[Identity, int] = field(default_factory=dict)  # at which index
    subscriptions: dict[str, list[Subscription]] = field(default_factory=lambda: defaultdict(list))
    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    readers: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)


def check_messages(history: History) -> list[Fault]:
    """All faults, by the rules above; none for a faithful broker."""
    facts = _Facts()
    for index, event in enumerate(history.events):
        _take(facts, index, event)
    faults = list(facts.faults)
    for client, arrivals in facts.arrivals.items():
        if client not in facts.readers:
            faults += _not_subscribed(client, arrivals, facts.subscriptions[client])
            faults += _out_of_order(client, arrivals)
            faults += _twice(client, arrivals)
    for client, subscriptions in facts.subscriptions.items():
        if client not in facts.readers:
            faults += _lost(client, subscriptions, facts)
    return faults


def _take(facts: _Facts, index: int, event: Event) -> None:
    if isinstance(event, Delivered):
        _take_delivery(facts, event)
    elif isinstance(event, Sent):
        facts.sent[event.identity] = (index, event)
    elif isinstance(event, Acknowledged):
        if event.reason_code < 0x80:
            facts.acknowledged.setdefault(event.identity, index)
    elif isinstance(event, Reading):
        facts.readers.add(event.client)
    elif isinstance(event, SessionLost):
        facts.faults.append(Fault("session", f"{event.client}: the broker has forgotten the session"))
    else:
        _take_subscription(facts.subscriptions, index, event)


def _take_subscription(subscriptions: dict[str, list[Subscription]], index: int, event: Event) -> None:
    if isinstance(event, Subscribing):
        subscriptions[event.client].append(Subscription(event.topic_filter, event.qos, index))
    elif isinstance(event, Subscribed):
        for one in _same_filter(subscriptions, event.client, event.topic_filter):
            if one.must_from is None:
                one.must_from = index
    elif isinstance(event, Unsubscribing | Unsubscribed):
        for one in _same_filter(subscriptions, event.client, event.topic_filter):
            if one.must_until is None:
                one.must_until = index
            if one.may_until is None and isinstance(event, Unsubscribed):
                one.may_until = index


def _same_filter(
    subscriptions: dict[str, list[Subscription]], client: str, topic_filter: str
) -> Iterator[Subscription]:
    return (one for one in subscriptions[client] if one.topic_filter == topic_filter)


def _take_delivery(facts: _Facts, event: Delivered) -> None:
    read = read_payload(event.payload)
    if read is None:
        facts.faults.append(Fault("content", f"{event.client} got {event.payload[:60]!r} on {event.topic}"))
        return
    identity, topic = read
    found = facts.sent.get(identity)
    if found is None:
        facts.faults.append(Fault("content", f"{event.client} got {identity}, which nobody had sent"))
    elif topic != event.topic:
        facts.faults.append(Fault("content", f"{event.client} got {identity} of {topic} on {event.topic}"))
    else:
        facts.arrivals[event.client].append(Arrival(identity, *found, event))


def _not_subscribed(
    client: str, arrivals: list[Arrival], subscriptions: list[Subscription]
) -> Iterator[Fault]:
    """Rule 2 (3.8.4, 3.10.4)."""
    for identity, sent_at, sent, delivered in arrivals:
        asked = [one for one in subscriptions if matches(one.topic_filter, sent.topic)]
        granted = [one.qos for one in asked if one.may_have(sent_at)]
        if not granted:
            yield Fault("receiver", f"{client} got {identity} on {sent.topic}, for which it did not ask")
        elif delivered.qos not in {min(qos, sent.qos) for qos in granted}:
            text = f"{client} got {identity}, sent at QoS {sent.qos}, at QoS {delivered.qos}"
            yield Fault("receiver", text)


def _lost(client: str, subscriptions: list[Subscription], facts: _Facts) -> Iterator[Fault]:
    """Rule 3, for messages whose QoS as delivered is 1 or 2."""
    arrived = {arrival.identity for arrival in facts.arrivals[client]}
    for identity, acknowledged_at in facts.acknowledged.items():
        if identity in arrived or identity not in facts.sent:
            continue
        index, sent = facts.sent[identity]
        if not sent.qos or sent.empty:
            continue
        asked = [one for one in subscriptions if one.qos and matches(one.topic_filter, sent.topic)]
        if any(one.must_have(index, acknowledged_at) for one in asked):
            yield Fault("lost", f"{client} never got {identity}, which was acknowledged")


def _twice(client: str, arrivals: list[Arrival]) -> Iterator[Fault]:
    """Rule 4."""
    seen: set[Identity] = set()
    for identity, _, _, delivered in arrivals:
        if delivered.qos == 2:
            if identity in seen:
                yield Fault("twice", f"{client} got {identity} again at QoS 2")
            seen.add(identity)


def _out_of_order(client: str, arrivals: list[Arrival]) -> Iterator[Fault]:
    """Rule 5."""
    newest: dict[tuple[str, str, int], int] = {}
    seen: set[Identity] = set()
    for identity, _, sent, delivered in arrivals:
        if identity in seen and delivered.qos < 2:
            continue
        seen.add(identity)
        stream = (identity.publisher, sent.topic, delivered.qos)
        before = newest.get(stream, -1)
        if identity.sequence < before:
            yield Fault("order", f"{client} got {identity} after number {before} of the same topic")
        newest[stream] = max(before, identity.sequence)


def unexpected_disconnects(history: History) -> list[Fault]:
    """For runs in which no client may lose its connection."""
    return [
        Fault("disconnected", f"{event.client} was disconnected, reason code {event.reason_code}")
        for event in history.events
        if isinstance(event, Disconnected)
    ]
