"""Shared Subscriptions (4.8.2): each message goes to one member of the group."""

from __future__ import annotations

from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.wire.message import Message


class ShareGroup:
    """The sessions that subscribe to one `$share/{ShareName}/{filter}`, which is `topic_filter` in full.

    The members take turns. One that would have to keep a message waiting is passed over as long as another
    can send it; one that is away gets it only if nobody is online, and one whose queue is full not at all.
    """

    __slots__ = ("_members", "_next", "topic_filter")

    topic_filter: str
    _members: list[tuple[Receiver, Subscription]]
    _next: int

    def __init__(self, topic_filter: str) -> None:
        self.topic_filter = topic_filter
        self._members = []
        self._next = 0

    def __len__(self) -> int:
        return len(self._members)

    def add(self, receiver: Receiver, subscription: Subscription) -> None:
        """`receiver` becomes a member, or has a new subscription in the place of its old one."""
        for position, (member, _) in enumerate(self._members):
            if member is receiver:
                self._members[position] = (receiver, subscription)
                return
        self._members.append((receiver, subscription))

    def remove(self, receiver: Receiver) -> None:
        self._members = [member for member in self._members if member[0] is not receiver]

    def deliver(self, message: Message, instead_of: Receiver | None = None) -> bool:
        """Give `message` to one member; False when none can take it.

        With `instead_of`, a member that is away, only the others that are online are asked.
        """
        chosen = self._choose(instead_of)
        if chosen is None or (instead_of is not None and not chosen[0].is_online):
            return False
        receiver, subscription = chosen
        options = subscription.options
        qos = min(message.qos, options.qos)  # [MQTT-4.8.2-3]
        retain = message.retain and options.retain_as_published
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        return receiver.deliver(message, qos, retain, identifiers, self.topic_filter, False)

    def _choose(self, instead_of: Receiver | None) -> tuple[Receiver, Subscription] | None:
        """The next member that can send at once; else one that is online; else any. All must have room."""
        count = len(self._members)
        second: tuple[Receiver, Subscription] | None = None
        third: tuple[Receiver, Subscription] | None = None
        for step in range(count):
            position = (self._next + step) % count
            member = self._members[position]
            receiver = member[0]
            if receiver is instead_of or not receiver.has_room:
                continue
            if receiver.is_ready:
                self._next = position + 1
                return member
            if second is None and receiver.is_online:
                second = member
            elif third is None:
                third = member
        if second is None:
            second = third
        if second is not None:
            self._next += 1
        return second
