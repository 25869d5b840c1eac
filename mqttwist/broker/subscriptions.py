"""Who gets a message: the tree of all subscriptions, and a bounded cache of the routes it has found.

A route is worked out once for each Topic Name and then used for every message to it. Where no filter names
the last level of a topic, all names that differ in nothing else have one route: `bench/0/+` in the cache
stands for the hundred thousand topics of `bench/0/`, which is no name of a topic [MQTT-3.3.2-2]. Overlapping
subscriptions of one session become one target, with the highest QoS and all identifiers [MQTT-3.3.4-2]
[MQTT-3.3.4-4], so that a session gets one copy. A change of subscriptions forgets the routes that it touches,
and no others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from mqttwist.broker.route import NOWHERE, GroupTarget, Route, route_of
from mqttwist.broker.shared import ShareGroup
from mqttwist.broker.subscription_tree import SubscriptionNode
from mqttwist.broker.topic_tree import TopicTree
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.wire.topics import split_share

ROUTES_LIMIT: Final = 131_072
NAME_LIMIT: Final = 256  # characters; a longer name is looked up anew each time, and never kept
COST_LIMIT: Final = 1_000_000  # targets and topic levels of all routes together, some 200 bytes each
WALK_LIMIT: Final = 10_000  # levels that are looked at for one packet before all routes are forgotten
OWN_ROUTES: Final = 1024  # up to so many routes, a topic that could share one by its siblings has its own
SHARED_ROUTES_LIMIT: Final = 4096  # how many routes are known, for other topics to share
SHARED_ROUTE_SIZE: Final = 16  # subscriptions; a route of more is made for each topic


class Subscriptions:
    """The tree and the routes. `may_receive` is asked once for each receiver and route.

    `is_restricted` says whether the answer of `may_receive` may differ from topic to topic.

    Of routes there are at most `routes_limit`, and their costs are at most `cost_limit` together: a few
    thousand subscribers of `#` would make a route of a few thousand targets for every topic.
    """

    __slots__ = (
        "_ages", "_cached", "_cost", "_cost_limit", "_is_restricted", "_may_receive", "_root",
        "_routes_limit", "_seen", "_shared_routes", "_walked", "count", "routes", "shared_count",
    )  # fmt: skip

    count: int
    shared_count: int
    routes: dict[str, Route]  # those in the cache, by Topic Name or by `_siblings` of it: look here first
    _root: SubscriptionNode
    _ages: deque[str]  # names in `routes`, the oldest first, among some that were forgotten
    _cached: TopicTree[str]  # the names in `routes`
    _seen: set[str]  # names without a route that came once, not long ago
    _may_receive: Callable[[Receiver, str], bool]
    _is_restricted: Callable[[Receiver], bool]
    _routes_limit: int
    _cost_limit: int
    _cost: int  # of all routes in the cache
    _walked: int  # levels of `_cached` looked at for the packet at hand
    _shared_routes: dict[tuple[Subscription, ...], Route]  # by the subscriptions that they come from

    def __init__(
        self,
        may_receive: Callable[[Receiver, str], bool],
        is_restricted: Callable[[Receiver], bool],
        routes_limit: int = ROUTES_LIMIT,
        cost_limit: int = COST_LIMIT,
    ) -> None:
        self._routes_limit = routes_limit
        self._cost_limit = cost_limit
        self._cost = 0
        self.count = 0
        self.shared_count = 0
        self._root = SubscriptionNode()
        self.routes = {}
        self._ages = deque()
        self._cached = TopicTree()
        self._seen = set()
        self._walked = 0
        self._shared_routes = {}
        self._may_receive = may_receive
        self._is_restricted = is_restricted

    # Changing

    def begin_changes(self) -> None:
        """A packet may ask for very many changes: all of them together get the time for one good look."""
        self._walked = 0

    def add(self, receiver: Receiver, subscription: Subscription) -> bool:
        """Subscribe `receiver`; False when it takes the place of one with the same filter [MQTT-3.8.4-3]."""
        share_name, topic_filter = split_share(subscription.options.topic_filter)
        node = self._root
        for part in topic_filter.split("/"):
            child = node.child(part)
            node = node.add_child(part) if child is None else child
        if share_name:
            is_new = self._join(node, share_name, receiver, subscription)
        else:
            is_new = node.put(receiver, subscription)
        if is_new:
            self.count += 1
        self._forget_routes(topic_filter)
        return is_new

    def _join(
        self, node: SubscriptionNode, share_name: str, receiver: Receiver, subscription: Subscription
    ) -> bool:
        group = node.share_group(share_name, subscription.options.topic_filter)
        before = len(group)
        group.add(receiver, subscription)
        self.shared_count += len(group) - before
        return len(group) > before

    def remove(self, receiver: Receiver, full_filter: str) -> bool:
        """Unsubscribe `receiver`; False when it had no such subscription. The filter is compared as it is."""
        share_name, topic_filter = split_share(full_filter)
        path = [self._root]
        parts = topic_filter.split("/")
        for part in parts:
            child = path[-1].child(part)
            if child is None:
                return False
            path.append(child)
        if share_name:
            removed = self._leave(path[-1], share_name, receiver)
        else:
            removed = path[-1].discard(receiver)
        if not removed:
            return False
        self.count -= 1
        for position in range(len(parts), 0, -1):
            if not path[position].is_empty:
                break
            path[position - 1].remove_child(parts[position - 1])
        self._forget_routes(topic_filter)
        return True

    def _leave(self, node: SubscriptionNode, share_name: str, receiver: Receiver) -> bool:
        group = node.groups.get(share_name)
        if group is None:
            return False
        before = len(group)
        group.remove(receiver)
        self.shared_count += len(group) - before
        removed = len(group) < before
        if len(group) == 0:
            del node.groups[share_name]
        return removed

    # Routing

    def route(self, topic_name: str) -> Route:
        """Where a message to `topic_name` goes."""
        route = self.routes.get(topic_name)
        if route is not None:
            return route
        slash = topic_name.rfind("/") + 1  # as `_siblings` does it, without a call
        siblings = topic_name[:slash] + "+"
        route = self.routes.get(siblings)
        if route is not None:
            if len(self.routes) < OWN_ROUTES and self._has_room(topic_name, route):
                self._remember(topic_name, route)  # which is found with one look instead of two
            return route
        if not self._root.begins(topic_name):
            return NOWHERE  # which is found out as quickly as it would be looked up
        nodes, is_for_siblings = self._root.matching(topic_name.split("/"))
        route = self._route_from(nodes, topic_name)
        if is_for_siblings and slash and not self._depends_on_topic(nodes):
            topic_name = siblings
        if len(topic_name) > NAME_LIMIT:
            return route
        if self._has_room(topic_name, route) or self._was_seen(topic_name):
            self._remember(topic_name, route)
        return route

    def _depends_on_topic(self, nodes: list[SubscriptionNode]) -> bool:
        """Whether somebody who has subscribed at `nodes` may receive one topic and not another."""
        return any(self._is_restricted(receiver) for node in nodes for receiver in node.receivers)

    def _has_room(self, topic_name: str, route: Route) -> bool:
        """Whether a route can be kept at once, without another having to go for it."""
        return (
            route.leads_somewhere
            and len(topic_name) <= NAME_LIMIT
            and len(self.routes) < self._routes_limit
            and self._cost + route.cost(topic_name) <= self._cost_limit
        )

    def _was_seen(self, topic_name: str) -> bool:
        """Whether a topic comes for the second time: only then is it kept if it leads nowhere, or if another
        would have to go for it. Names that come once push nothing out and take no more than a place in a set.
        """
        if topic_name in self._seen:
            self._seen.discard(topic_name)
            return True
        if len(self._seen) >= self._routes_limit:
            self._seen.clear()
        self._seen.add(topic_name)
        return False

    def group(self, full_filter: str, topic_name: str) -> GroupTarget | None:
        """The group of a shared filter for messages to `topic_name`, if it has members."""
        for group in self.route(topic_name).groups:
            if group.topic_filter == full_filter:
                return group
        return None

    def share_group(self, full_filter: str) -> ShareGroup | None:
        """The group of a shared filter, if it has members."""
        share_name, topic_filter = split_share(full_filter)
        node = self._root
        for part in topic_filter.split("/"):
            child = node.child(part)
            if child is None:
                return None
            node = child
        return node.groups.get(share_name)

    def forget_routes_of(self, topic_filters: list[str]) -> None:
        """What a receiver may receive has changed: work out anew the routes of its filters."""
        for full_filter in topic_filters:
            self._forget_routes(split_share(full_filter)[1])

    def _route_from(self, nodes: list[SubscriptionNode], topic_name: str) -> Route:
        if not nodes:
            return NOWHERE
        found: dict[Receiver, list[Subscription]] = {}
        groups: list[GroupTarget] = []
        matched: list[Subscription] = []
        for node in nodes:
            for receiver, subscription in node.subscriptions:
                if receiver in found:
                    found[receiver].append(subscription)
                elif self._may_receive(receiver, topic_name):
                    found[receiver] = [subscription]
                else:
                    continue
                matched.append(subscription)
            if node.groups:
                groups += self._group_targets(node, topic_name)
        if groups or len(matched) > SHARED_ROUTE_SIZE:
            return route_of(found, groups)
        return self._shared_route(found, tuple(matched))

    def _shared_route(
        self, found: dict[Receiver, list[Subscription]], matched: tuple[Subscription, ...]
    ) -> Route:
        route = self._shared_routes.get(matched)
        if route is None:
            if len(self._shared_routes) >= SHARED_ROUTES_LIMIT:
                self._shared_routes.clear()
            route = self._shared_routes[matched] = route_of(found, [])
        return route

    def _group_targets(self, node: SubscriptionNode, topic_name: str) -> list[GroupTarget]:
        return [
            GroupTarget(group, [one for one in group.receivers if not self._may_receive(one, topic_name)])
            for group in node.groups.values()
        ]

    def _remember(self, topic_name: str, route: Route) -> None:
        """Keep a route; when there is no room, the oldest go. Those that are needed will be found again."""
        cost = route.cost(topic_name)
        if cost > self._cost_limit:
            return
        while len(self.routes) >= self._routes_limit or self._cost + cost > self._cost_limit:
            self._forget(self._ages.popleft())
        if len(self._ages) > 2 * len(self.routes) + 1000:
            self._ages = deque(self.routes)
        self._ages.append(topic_name)
        self.routes[topic_name] = route
        self._cost += cost
        self._cached.put(topic_name, topic_name)

    def _forget_routes(self, topic_filter: str) -> None:
        self._shared_routes.clear()
        if not self.routes:  # as at the start, when there are hundred thousands to be taken up
            return
        if "+" not in topic_filter and "#" not in topic_filter:
            self._forget(topic_filter)
            self._forget(_siblings(topic_filter))
            return
        before = self._cached.walked
        for topic_name in self._cached.matching(topic_filter):
            self._forget(topic_name)
        self._walked += self._cached.walked - before
        if self._walked > WALK_LIMIT + len(self.routes):
            self._forget_all()

    def _forget_all(self) -> None:
        self.routes.clear()
        self._ages.clear()
        self._cached = TopicTree()
        self._cost = self._walked = 0

    def _forget(self, topic_name: str) -> None:
        route = self.routes.pop(topic_name, None)
        if route is not None:
            self._cost -= route.cost(topic_name)
            self._cached.discard(topic_name)


def _siblings(topic_name: str) -> str:
    """All names that differ from `topic_name` in the last level only; "" where it has no other."""
    slash = topic_name.rfind("/")
    return topic_name[: slash + 1] + "+" if slash >= 0 else ""
