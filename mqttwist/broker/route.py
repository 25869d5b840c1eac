"""Where messages of a topic go: what the walk through the tree of subscriptions has come to."""

from __future__ import annotations

from typing import Final

from mqttwist.broker.shared import ShareGroup
from mqttwist.session.grant import Grant
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.wire.message import Message


class Target:
    """One session that a route leads to, and what it was granted.

    With `no_local`, `own` is what is left for messages that the session published itself: its other
    subscriptions [MQTT-3.8.3-3], or None.
    """

    __slots__ = ("grant", "no_local", "own", "receiver")

    receiver: Receiver
    grant: Grant
    no_local: bool
    own: Target | None

    def __init__(self, receiver: Receiver, subscriptions: list[Subscription]) -> None:
        self.receiver = receiver
        self.grant = Grant(
            max([one.options.qos for one in subscriptions]),
            any(one.options.retain_as_published for one in subscriptions),
            tuple([one.identifier for one in subscriptions if one.identifier]),
        )
        local = [one for one in subscriptions if not one.options.no_local]
        self.no_local = len(local) < len(subscriptions)
        self.own = Target(receiver, local) if self.no_local and local else None


class GroupTarget:
    """A Shared Subscription that a route leads to; `barred` are members that must not receive the topic."""

    __slots__ = ("_barred", "_group", "topic_filter")

    topic_filter: str
    _group: ShareGroup
    _barred: list[Receiver] | None

    def __init__(self, group: ShareGroup, barred: list[Receiver]) -> None:
        self.topic_filter = group.topic_filter
        self._group = group
        self._barred = barred or None

    @property
    def barred_count(self) -> int:
        return 0 if self._barred is None else len(self._barred)

    @property
    def receivers(self) -> list[Receiver]:
        """All members."""
        return self._group.receivers

    def deliver(self, message: Message, instead_of: Receiver | None = None) -> bool:
        """As `ShareGroup.deliver`."""
        return self._group.deliver(message, self._barred, instead_of)


class Route:
    """Where messages of a topic go; topics that match the same subscriptions share one."""

    __slots__ = ("_width", "groups", "leads_somewhere", "targets")

    _width: int  # how many it names: targets, groups, and members that a group must not give the topic to
    leads_somewhere: bool
    targets: list[Target]
    groups: list[GroupTarget]

    def __init__(self, targets: list[Target], groups: list[GroupTarget]) -> None:
        self.targets = targets
        self.groups = groups
        self.leads_somewhere = bool(targets or groups)
        self._width = len(targets) + len(groups) + sum([group.barred_count for group in groups])

    def cost(self, topic_name: str) -> int:
        """How much room it takes in the cache for `topic_name`."""
        return topic_name.count("/") + 1 + self._width


NOWHERE: Final = Route([], [])


def route_of(found: dict[Receiver, list[Subscription]], groups: list[GroupTarget]) -> Route:
    return Route([Target(receiver, subscriptions) for receiver, subscriptions in found.items()], groups)
