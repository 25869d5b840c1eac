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

    __slots__ = ("_members", "_next", "_positions", "topic_filter")

    topic_filter: str
    _members: list[tuple[Receiver, Subscription]]
    _positions: dict[Receiver, int]  # of the members in the list
    _next: int

    def __init__(self, topic_filter: str) -> None:
        self.topic_filter = topic_filter
        self._members = []
        self._positions = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._members)

    @property
    def receivers(self) -> list[Receiver]:
        """All members."""
        return [receiver for receiver, _ in self._members]

    def add(self, receiver: Receiver, subscription: Subscription) -> None:
        """`receiver` becomes a member, or has a new subscription in the place of its old one."""
        position = self._positions.get(receiver)
        if position is not None:
            self._members[position] = (receiver, subscription)
            return
        self._positions[receiver] = len(self._members)
        self._members.append((receiver, subscription))

    def remove(self, receiver: Receiver) -> None:
        """`receiver` is no longer a member; the last one takes its place: cheap in a large group, too."""
        position = self._positions.pop(receiver, None)
        if position is None:
            return
        last = self._members.pop()
        if last[0] is not receiver:
            self._members[position] = last
            self._positions[last[0]] = position

    def deliver(
        self, message: Message, barred: list[Receiver] | None = None, instead_of: Receiver | None = None
    ) -> bool:
        """Give `message` to one member; False when none is there for it. What a member drops it counts.

        `barred` are members that must not receive it. With `instead_of`, a member that is away, only the
        others that are online are asked.
        """
        position = self._choose(barred, instead_of)
        if position < 0:
            return False
        receiver, subscription = self._members[position]
        if instead_of is not None and not receiver.is_online:
            return False
        self._next = position + 1
        options = subscription.options
        qos = min(message.qos, options.qos)  # [MQTT-4.8.2-3]
        retain = message.retain and options.retain_as_published
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        receiver.deliver(message, qos, retain, identifiers, self.topic_filter, False)
        return True

    def _choose(self, barred: list[Receiver] | None, instead_of: Receiver | None) -> int:
        """The position of the next member that can send at once; else of one that is online; else of any.

        All must have room; -1 if none has.
        """
        count = len(self._members)
        online = away = -1
        for step in range(count):
            position = (self._next + step) % count
            receiver = self._members[position][0]
            if receiver is instead_of or not receiver.has_room or (barred and receiver in barred):
                continue
            if receiver.is_ready:
                return position
            if receiver.is_online:
                if online < 0:
                    online = position
            elif away < 0:
                away = position
        return online if online >= 0 else away
