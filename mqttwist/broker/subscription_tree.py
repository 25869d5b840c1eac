"""The tree of all subscriptions: a node for each level of each Topic Filter (4.7)."""

from __future__ import annotations

from sys import intern
from typing import Final

from mqttwist.broker.shared import ShareGroup
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription

NO_CHILDREN: Final[dict[str, SubscriptionNode]] = {}
NO_SUBSCRIPTIONS: Final[dict[Receiver, Subscription]] = {}
NO_GROUPS: Final[dict[str, ShareGroup]] = {}


class SubscriptionNode:
    """One level of the tree: what is subscribed to exactly here.

    What it has none of is the empty dict of all nodes; a first subscription, and wildcards below, need no
    dict: a million filters take 700 MB less.
    """

    __slots__ = ("_children", "_first", "_first_receiver", "_others", "any_level", "any_levels", "groups")

    any_level: SubscriptionNode | None  # the child for `+`
    any_levels: SubscriptionNode | None  # the child for `#`
    _children: dict[str, SubscriptionNode]  # the others
    groups: dict[str, ShareGroup]  # by ShareName
    _first_receiver: Receiver | None
    _first: Subscription | None
    _others: dict[Receiver, Subscription]

    def __init__(self) -> None:
        self.any_level = None
        self.any_levels = None
        self._children = NO_CHILDREN
        self.groups = NO_GROUPS
        self._first_receiver = None
        self._first = None
        self._others = NO_SUBSCRIPTIONS

    @property
    def is_empty(self) -> bool:
        has_children = self._children or self.any_level is not None or self.any_levels is not None
        return not (has_children or self.has_subscribers)

    def child(self, part: str) -> SubscriptionNode | None:
        """The node one level below for a part of a Topic Filter."""
        if part == "+":
            return self.any_level
        if part == "#":
            return self.any_levels
        return self._children.get(part)

    def begins(self, topic_name: str) -> bool:
        """Whether a filter that begins here may match `topic_name`, by its first level."""
        if self.any_level is not None or self.any_levels is not None:
            return True
        return bool(self._children) and topic_name.partition("/")[0] in self._children

    def add_child(self, part: str) -> SubscriptionNode:
        """Make the node for a part that has none."""
        child = SubscriptionNode()
        if part == "+":
            self.any_level = child
        elif part == "#":
            self.any_levels = child
        else:
            if self._children is NO_CHILDREN:
                self._children = {}
            self._children[intern(part)] = child
        return child

    def remove_child(self, part: str) -> None:
        """Forget the node for a part."""
        if part == "+":
            self.any_level = None
        elif part == "#":
            self.any_levels = None
        else:
            del self._children[part]

    @property
    def has_subscribers(self) -> bool:
        return self._first_receiver is not None or bool(self._others or self.groups)

    def put(self, receiver: Receiver, subscription: Subscription) -> bool:
        """Subscribe; False when it takes the place of the receiver's subscription here."""
        is_new = receiver is not self._first_receiver and receiver not in self._others
        if self._first_receiver is receiver or (is_new and self._first_receiver is None):
            self._first_receiver = receiver
            self._first = subscription
        else:
            if self._others is NO_SUBSCRIPTIONS:
                self._others = {}
            self._others[receiver] = subscription
        return is_new

    def discard(self, receiver: Receiver) -> bool:
        """Unsubscribe; False when the receiver has no subscription here."""
        if receiver is self._first_receiver:
            self._first_receiver = self._first = None
            return True
        return self._others.pop(receiver, None) is not None

    def share_group(self, share_name: str, full_filter: str) -> ShareGroup:
        """The group of that name here, a new one if there is none."""
        group = self.groups.get(share_name)
        if group is None:
            if self.groups is NO_GROUPS:
                self.groups = {}
            group = self.groups[share_name] = ShareGroup(full_filter)
        return group

    @property
    def subscriptions(self) -> list[tuple[Receiver, Subscription]]:
        """All subscriptions but the shared ones, and whose they are."""
        subscriptions: list[tuple[Receiver, Subscription]] = []
        if self._first_receiver is not None and self._first is not None:
            subscriptions.append((self._first_receiver, self._first))
        if self._others:
            subscriptions.extend(self._others.items())
        return subscriptions

    @property
    def receivers(self) -> list[Receiver]:
        """Whose subscriptions stand here, the shared ones included."""
        receivers = [receiver for receiver, _ in self.subscriptions]
        for group in self.groups.values():
            receivers += group.receivers
        return receivers

    def matching(self, parts: list[str]) -> tuple[list[SubscriptionNode], bool]:
        """The nodes whose filters match (4.7.1); a wildcard does not stand for a first level with `$`.

        And whether they are the same whatever the last part is: no filter names a level there.
        """
        matching: list[SubscriptionNode] = []
        current: list[SubscriptionNode] = [self]
        wildcards_count = not parts[0].startswith("$")
        is_named = False
        for position, part in enumerate(parts, 1):
            is_named = False
            following: list[SubscriptionNode] = []
            for node in current:
                if node._children:
                    is_named = True
                    child = node._children.get(part)
                    if child is not None:
                        following.append(child)
                if wildcards_count:
                    if node.any_levels is not None:
                        matching.append(node.any_levels)
                    if node.any_level is not None:
                        following.append(node.any_level)
            if not following:
                return matching, not is_named or position < len(parts)
            wildcards_count = True
            current = following
        for node in current:
            node._end_here(matching)
        return matching, not is_named

    def _end_here(self, matching: list[SubscriptionNode]) -> None:
        """Add the nodes that match a Topic Name that ends at this one."""
        if self._first_receiver is not None or self._others or self.groups:
            matching.append(self)
        if self.any_levels is not None:  # `sport/#` matches `sport` (4.7.1.2)
            matching.append(self.any_levels)
