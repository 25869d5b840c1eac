"""Shared Subscriptions (4.8.2): each message goes to one member of the group."""

from __future__ import annotations

from mqttwist.session.grant import Grant
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.wire.message import Message


class ShareGroup:
    """The sessions that subscribe to one `$share/{ShareName}/{filter}`, which is `topic_filter` in full.

    The members take turns. One that would have to keep a message waiting is passed over as long as another
    can send it; one that is away gets it only if nobody is online, and one whose queue is full only if that
    can give up something else. If a member does not take it, the next one is asked.

    What waits for a member (a *keeper*) is offered to others when they come online or join.
    """

    __slots__ = ("_keepers", "_members", "_next", "_positions", "topic_filter")

    topic_filter: str
    _members: list[tuple[Receiver, Grant]]
    _positions: dict[Receiver, int]  # of the members in the list
    _next: int
    _keepers: dict[Receiver, None]

    def __init__(self, topic_filter: str) -> None:
        self.topic_filter = topic_filter
        self._members = []
        self._positions = {}
        self._next = 0
        self._keepers = {}

    def __len__(self) -> int:
        return len(self._members)

    @property
    def receivers(self) -> list[Receiver]:
        """All members."""
        return [receiver for receiver, _ in self._members]

    def add(self, receiver: Receiver, subscription: Subscription) -> None:
        """`receiver` becomes a member, or has a new subscription in the place of its old one."""
        options = subscription.options
        identifiers = (subscription.identifier,) if subscription.identifier else ()
        grant = Grant(options.qos, options.retain_as_published, identifiers, self.topic_filter)
        position = self._positions.get(receiver)
        if position is not None:
            self._members[position] = (receiver, grant)
            return
        self._positions[receiver] = len(self._members)
        self._members.append((receiver, grant))

    def remove(self, receiver: Receiver) -> None:
        """`receiver` is no longer a member; the last one takes its place: cheap in a large group, too."""
        position = self._positions.pop(receiver, None)
        if position is None:
            return
        self._keepers.pop(receiver, None)
        last = self._members.pop()
        if last[0] is not receiver:
            self._members[position] = last
            self._positions[last[0]] = position

    @property
    def keepers(self) -> list[Receiver]:
        """Members for which messages of the group may wait."""
        return list(self._keepers)

    def keeps(self, receiver: Receiver, waits: bool) -> None:
        """Note whether messages of the group wait for `receiver`."""
        if not waits:
            self._keepers.pop(receiver, None)
        elif receiver in self._positions:
            self._keepers[receiver] = None

    def deliver(
        self, message: Message, barred: list[Receiver] | None = None, instead_of: Receiver | None = None
    ) -> bool:
        """Give `message` to one member; False when none takes it: then it is for the caller to count it.

        `barred` are members that must not receive it. `instead_of` is where the message waits: if that is a
        member that is online, only those are asked that can send at once; else, all that are online.
        """
        waiting: list[int] = []
        if self._send(message, barred, instead_of, waiting):
            return True
        if instead_of is not None:
            if instead_of.is_online and instead_of in self._positions:
                return False
            waiting = [position for position in waiting if self._members[position][0].is_online]
        return self._keep(waiting, message)

    def _send(
        self,
        message: Message,
        barred: list[Receiver] | None,
        instead_of: Receiver | None,
        waiting: list[int],
    ) -> bool:
        """Give `message` to the next member that can send it at once; `waiting` gets those that can't."""
        count = len(self._members)
        for step in range(count):
            position = (self._next + step) % count
            receiver = self._members[position][0]
            if receiver is instead_of or (barred and receiver in barred):
                continue
            if not receiver.is_ready:
                waiting.append(position)
            elif self._give(position, message):
                return True
        return False

    def _keep(self, positions: list[int], message: Message) -> bool:
        """Have `message` wait for one of these members; False when none has room."""
        for position in self._by_room(positions, message.size):
            if self._give(position, message):
                self._keepers[self._members[position][0]] = None
                return True
        return False

    def _give(self, position: int, message: Message) -> bool:
        """Deliver to the member at `position`, if it takes the message: then the next one has its turn."""
        receiver, grant = self._members[position]
        if receiver.deliver(message, grant):  # [MQTT-4.8.2-3]
            self._next = position + 1
            return True
        receiver.withdraw_drop()
        return False

    def _by_room(self, positions: list[int], size: int) -> list[int]:
        """Those that are online first; but those that would have to give up another message come last."""
        ranks: tuple[list[int], list[int], list[int], list[int]] = ([], [], [], [])
        for position in positions:
            receiver = self._members[position][0]
            rank = (0 if receiver.is_online else 1) + (0 if receiver.has_room_for(size) else 2)
            ranks[rank].append(position)
        return ranks[0] + ranks[1] + ranks[2] + ranks[3]
