"""`mqttwist.broker.subscriptions`: the tree against a plain list of filters, and the cache of routes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.local import WaitingReceiver
from mqttwist.broker.route import Route
from mqttwist.broker.subscriptions import (
    OWN_ROUTES,
    SHARED_ROUTE_SIZE,
    SHARED_ROUTES_LIMIT,
    Subscriptions,
)
from mqttwist.session.metrics import Drops
from mqttwist.session.receiver import Receiver
from mqttwist.session.session import Subscription
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import matches, split_share

LEVELS = st.sampled_from(["a", "b", "", "$SYS", "$x"])
NAMES = st.lists(LEVELS, min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(LEVELS | st.just("+"), min_size=0, max_size=4), st.sampled_from([[], ["#"]]))
    .map(lambda parts: "/".join(parts[0] + parts[1]))
    .filter(bool)
)
SHARED = st.tuples(st.sampled_from(["$share/g/", "$share/h/"]), FILTERS).map("".join)


def a_receiver(client_id: str) -> WaitingReceiver:
    """A receiver that keeps what it gets."""
    return WaitingReceiver(client_id, QueueLimits(0, 0, True), Drops(), lambda: None)


def everything(receiver: Receiver, topic_name: str) -> bool:
    return True


def nobody(receiver: Receiver) -> bool:
    return False


def subscription(
    topic_filter: str, qos: int = 0, identifier: int = 0, no_local: bool = False
) -> Subscription:
    return Subscription(SubscriptionOptions(topic_filter, qos, no_local), identifier)


class ModelTests(SynchronousTestCase):
    """`Subscriptions` against a dict of (receiver, filter) and `wire.topics.matches`."""

    def setUp(self) -> None:
        self.receivers = [a_receiver(str(n)) for n in range(3)]

    @settings(max_examples=300, deadline=None)
    @given(
        steps=st.lists(
            st.tuples(st.booleans(), st.integers(0, 2), FILTERS | SHARED, st.integers(0, 2)), max_size=30
        ),
        names=st.lists(NAMES, min_size=1, max_size=6),
        routes_limit=st.sampled_from([4, 100]),
    )
    def test_any_history(
        self, steps: list[tuple[bool, int, str, int]], names: list[str], routes_limit: int
    ) -> None:
        """After any (un)subscribing, with routes in the cache, the routes are those of the model."""
        subscriptions = Subscriptions(everything, nobody, routes_limit, 15 * routes_limit)
        model: dict[tuple[int, str], int] = {}
        for add, receiver, topic_filter, qos in steps:
            key = (receiver, topic_filter)
            if add:
                is_new = subscriptions.add(self.receivers[receiver], subscription(topic_filter, qos))
                self.assertEqual(is_new, key not in model)
                model[key] = qos
            else:
                removed = subscriptions.remove(self.receivers[receiver], topic_filter)
                self.assertEqual(removed, model.pop(key, None) is not None)
            for name in names:
                self.check(subscriptions.route(name), model, name)
            self.assertEqual(subscriptions.count, len(model))
            self.assertEqual(subscriptions.shared_count, sum(one.startswith("$share") for _, one in model))

    def check(self, route: Route, model: dict[tuple[int, str], int], name: str) -> None:
        expected: dict[int, int] = {}
        groups: set[str] = set()
        for (receiver, full_filter), qos in model.items():
            share_name, topic_filter = split_share(full_filter)
            if matches(topic_filter, name):
                if share_name:
                    groups.add(full_filter)
                else:
                    expected[receiver] = max(expected.get(receiver, 0), qos)
        found = {int(target.receiver.client_id): target.grant.qos for target in route.targets}
        self.assertEqual(found, expected)
        self.assertEqual(len(route.targets), len(found))
        self.assertEqual({group.topic_filter for group in route.groups}, groups)
        self.assertEqual(len(route.groups), len(groups))

    @settings(max_examples=100, deadline=None)
    @given(filters=st.lists(FILTERS | SHARED, max_size=20, unique=True))
    def test_nothing_is_left(self, filters: list[str]) -> None:
        """When all have unsubscribed, the tree is as empty as at first."""
        subscriptions = Subscriptions(everything, nobody)
        receiver = self.receivers[0]
        for one in filters:
            subscriptions.add(receiver, subscription(one))
        for one in filters:
            self.assertTrue(subscriptions.remove(receiver, one))
        self.assertEqual((subscriptions.count, subscriptions.shared_count), (0, 0))
        self.assertTrue(subscriptions._root.is_empty)


class TargetTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.subscriptions = Subscriptions(everything, nobody)
        self.receiver = a_receiver("r")

    def test_overlapping_filters(self) -> None:
        """One target with the highest QoS and all identifiers [MQTT-3.3.4-2] [MQTT-3.3.4-4]."""
        for topic_filter, qos, identifier in (("a/b", 0, 5), ("a/+", 2, 0), ("#", 1, 9)):
            self.subscriptions.add(self.receiver, subscription(topic_filter, qos, identifier))
        [target] = self.subscriptions.route("a/b").targets
        self.assertEqual((target.grant.qos, sorted(target.grant.identifiers)), (2, [5, 9]))
        self.assertFalse(target.no_local)
        self.assertIsNone(target.own)

    def test_no_local(self) -> None:
        """With No Local, `own` is what the other subscriptions leave [MQTT-3.8.3-3]."""
        self.subscriptions.add(self.receiver, subscription("a", 2, 5, no_local=True))
        [target] = self.subscriptions.route("a").targets
        self.assertTrue(target.no_local)
        self.assertIsNone(target.own)
        self.subscriptions.add(self.receiver, subscription("#", 1, 6))
        [target] = self.subscriptions.route("a").targets
        self.assertEqual((target.grant.qos, sorted(target.grant.identifiers)), (2, [5, 6]))
        self.assertIsNotNone(target.own)
        if target.own is not None:
            self.assertEqual((target.own.grant.qos, target.own.grant.identifiers), (1, (6,)))

    def test_may_receive(self) -> None:
        """Who may not receive a topic is no target, and barred in a group."""
        subscriptions = Subscriptions(self.knows_no_secret, self.is_restricted)
        other = a_receiver("other")
        for receiver in (self.receiver, other):
            for topic_filter in ("#", "$share/g/#"):
                subscriptions.add(receiver, subscription(topic_filter))
        both = {"r", "other"}
        for name, allowed in (("an/open", both), ("a/secret", {"other"}), ("a/gate", both)):
            route = subscriptions.route(name)
            self.assertEqual({target.receiver.client_id for target in route.targets}, allowed)
            for _ in range(4):
                self.assertTrue(route.groups[0].deliver(Message(name)))
        taken = [one.message.topic_name for one in self.receiver.waiting if one.message is not None]
        self.assertEqual(taken, ["an/open"] * 2 + ["a/gate"] * 2)

    def knows_no_secret(self, receiver: Receiver, topic_name: str) -> bool:
        return receiver is not self.receiver or not topic_name.endswith("secret")

    def is_restricted(self, receiver: Receiver) -> bool:
        return receiver is self.receiver


class CacheTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.subscriptions = Subscriptions(everything, nobody, 4)
        self.receiver = a_receiver("r")
        self.subscribe("+/and/so/on")  # else the first level would say that a topic leads nowhere

    def cached(self) -> set[str]:
        return set(self.subscriptions.routes)

    def know(self, *names: str) -> None:
        """Have the routes of `names` kept: nobody subscribes to them, so they have to come twice."""
        for name in names:
            self.subscriptions.route(name)
            self.subscriptions.route(name)

    def test_a_route_is_found_once(self) -> None:
        """The same topic gives the same route as long as nothing has changed."""
        self.subscribe("a")
        self.assertIs(self.subscriptions.route("a"), self.subscriptions.route("a"))

    def test_routes_are_shared(self) -> None:
        """Topics that match the same subscriptions share a route, until something changes."""
        self.subscribe("+/x")
        self.subscribe("b/#")
        routes = [self.subscriptions.route(name) for name in ("a/x", "c/x", "b/x")]
        self.assertIs(routes[0], routes[1])
        self.assertIsNot(routes[0], routes[2])
        other = a_receiver("other")
        self.subscriptions.add(other, subscription("c/x"))
        found = [target.receiver for target in self.subscriptions.route("c/x").targets]
        self.assertEqual({one.client_id for one in found}, {"r", "other"})
        self.assertEqual(len(self.subscriptions.route("d/x").targets), 1)

    def test_routes_that_are_shared_are_few(self) -> None:
        """What is known for sharing is bounded, and large routes are not kept for it."""
        for number in range(SHARED_ROUTES_LIMIT + 10):
            self.subscriptions.add(self.receiver, subscription(f"t/{number}"))
        for number in range(SHARED_ROUTES_LIMIT + 10):
            self.subscriptions.route(f"t/{number}")
        self.assertLessEqual(len(self.subscriptions._shared_routes), SHARED_ROUTES_LIMIT)
        for number in range(SHARED_ROUTE_SIZE + 1):
            self.subscriptions.add(a_receiver(str(number)), subscription("crowd"))
        self.subscriptions.route("crowd")
        self.assertEqual(len(self.subscriptions._shared_routes), 0)

    def test_forgetting_does_not_pile_up(self) -> None:
        """However often routes are forgotten and found anew, what is remembered of them is bounded."""
        self.subscriptions = Subscriptions(everything, nobody, 100)
        for number in range(5000):
            self.subscribe(f"t/{number % 3}")
            self.assertEqual(len(self.subscriptions.route(f"t/{number % 3}").targets), 1)
        self.assertLessEqual(len(self.subscriptions._ages), 1100)

    def test_once_is_not_enough(self) -> None:
        """A topic that nobody subscribes to is kept from its second time on, others at once."""
        self.subscribe("b")
        for name in ("a", "b"):
            self.subscriptions.route(name)
        self.assertEqual(self.cached(), {"b"})
        self.subscriptions.route("a")
        self.assertEqual(self.cached(), {"a", "b"})

    def test_nobody_begins_like_that(self) -> None:
        """A topic whose first level no filter begins with takes no room, however often it comes."""
        self.unsubscribe("+/and/so/on")
        for topic_filter in ("", "a/b", "$share/g/c/d"):
            if topic_filter:
                self.subscribe(topic_filter)
            for name in ("x", "x/b", "/a/b", "$SYS/a", "aa/b"):
                self.know(name)
        self.assertEqual((self.cached(), self.subscriptions._seen), (set(), set()))
        self.know("a", "a/c", "c/x")
        self.assertEqual(self.cached(), {"a", "a/c", "c/x"})
        self.subscribe("#")
        self.assertEqual(len(self.subscriptions.route("x").targets), 1)

    def test_topics_that_come_once_push_nothing_out(self) -> None:
        """When the cache is full, only a topic that comes again takes the place of another."""
        self.subscribe("#")
        for name in ("a", "b", "c", "d"):
            self.subscriptions.route(name)
        for n in range(1000):
            self.assertEqual(len(self.subscriptions.route(f"x{n}").targets), 1)
            self.assertTrue(len(self.subscriptions._seen) <= 4)
        self.assertEqual(self.cached(), {"a", "b", "c", "d"})
        self.know("e")
        self.assertEqual(self.cached(), {"b", "c", "d", "e"})

    def test_nor_when_it_is_the_cost_that_is_limited(self) -> None:
        """When the routes cost as much as they may, a topic that comes once pushes nothing out either."""
        self.subscriptions = Subscriptions(everything, nobody, 100, 10)
        self.subscribe("#")
        hot = {"a", "b", "c", "d", "e"}  # a level and a target each
        for name in hot:
            self.subscriptions.route(name)
        for n in range(300):
            self.subscriptions.route(f"x{n}")
        self.assertEqual(self.cached(), hot)

    def test_only_what_is_touched_is_forgotten(self) -> None:
        """A change of subscriptions forgets the routes that its filter matches, and no others."""
        for topic_filter, forgotten in (
            ("a/b", {"a/b"}),
            ("a/+", {"a/b"}),
            ("a/#", {"a", "a/b"}),
            ("#", {"a", "a/b", "c"}),
            ("+", {"a", "c"}),
            ("$SYS/#", {"$SYS/+"}),
            ("$SYS/+", {"$SYS/+"}),
            ("$share/g/c", {"c"}),
            ("$share/g/+/b", {"a/b"}),
            ("d/#", set()),
        ):
            with self.subTest(topic_filter=topic_filter):
                for change in (self.subscribe, self.unsubscribe):
                    names = {"a", "a/b", "c", "$SYS/+"}
                    self.know(*[name.replace("+", "x") for name in names - self.cached()])
                    self.assertEqual(self.cached(), names)
                    change(topic_filter)
                    self.assertEqual(self.cached(), names - forgotten)

    def subscribe(self, topic_filter: str) -> None:
        self.subscriptions.add(self.receiver, subscription(topic_filter))

    def unsubscribe(self, topic_filter: str) -> None:
        self.assertTrue(self.subscriptions.remove(self.receiver, topic_filter))

    def test_siblings_share_a_route(self) -> None:
        """Where no filter names the last level, the cache has one route for all that may stand there."""
        self.subscriptions = Subscriptions(everything, nobody, 2000)
        self.subscribe("a/#")
        for number in range(3000):
            self.assertEqual(len(self.subscriptions.route(f"a/b/{number}").targets), 1)
        self.assertEqual(len(self.cached()), OWN_ROUTES)
        self.assertIn("a/b/+", self.cached())
        self.subscribe("a/+/1")
        self.assertEqual(len(self.subscriptions.route("a/b/2000").targets[0].grant.identifiers), 0)
        self.assertNotIn("a/b/+", self.cached())

    def test_only_siblings_that_are_touched_are_forgotten(self) -> None:
        """The route of siblings is forgotten when a filter comes that matches one of them."""
        self.subscribe("a/#")
        cases = (
            ("a/b", False),
            ("a/b/1", True),
            ("a/b/1/#", True),
            ("a/b/1/2", False),
            ("a/b/+/2", False),
            ("a/+/1", True),
            ("+/b/+", True),
            ("a/+/#", True),
            ("a/+", False),
            ("a/c/#", False),
            ("#", True),
        )
        for number, (topic_filter, is_touched) in enumerate(cases):
            with self.subTest(topic_filter=topic_filter):
                self.subscriptions.route(f"a/b/x{number}")
                self.assertIn("a/b/+", self.cached())
                self.subscribe(topic_filter)
                self.assertEqual("a/b/+" not in self.cached(), is_touched)
                self.unsubscribe(topic_filter)

    def test_siblings_of_a_level_with_a_name(self) -> None:
        """Once a filter names a level, no route stands for all its siblings: whoever comes first."""
        self.subscribe("a/#")
        others: list[str] = []
        for topic_filter in ("a/b/1", "a/+/2"):
            self.subscriptions.route(f"a/b/x{len(others)}")
            self.subscriptions.add(a_receiver(topic_filter), subscription(topic_filter))
            others.append(topic_filter)
            for name in ("a/b/y", "a/b/1", "a/b/2"):
                receivers = [target.receiver.client_id for target in self.subscriptions.route(name).targets]
                self.assertEqual(set(receivers), {"r", *[one for one in others if matches(one, name)]})

    def test_an_unsubscription_of_nothing_forgets_nothing(self) -> None:
        """UNSUBSCRIBE of what was never subscribed to leaves the cache alone."""
        self.know("a")
        for topic_filter in ("a", "#", "$share/g/a", "a/b/c"):
            self.assertFalse(self.subscriptions.remove(self.receiver, topic_filter))
        self.assertEqual(self.cached(), {"a"})

    def test_forget_routes_of(self) -> None:
        """The routes of filters are forgotten by request, those of shared ones too."""
        self.know("a", "b", "c")
        self.subscriptions.forget_routes_of(["a", "$share/g/b"])
        self.assertEqual(self.cached(), {"c"})

    def test_the_number_of_routes_is_bounded(self) -> None:
        """When the cache is full, the oldest route goes; a topic that is still in use comes back."""
        self.know("a", "b", "c", "d")
        self.know("e")
        self.assertEqual(self.cached(), {"b", "c", "d", "e"})
        self.know("a")
        self.assertEqual(self.cached(), {"a", "c", "d", "e"})
        for n in range(100):
            self.know(f"x{n}")
            self.assertEqual(len(self.cached()), 4)
        self.assertEqual(set(self.subscriptions._cached.matching("#")), self.cached())

    def test_long_names_are_not_kept(self) -> None:
        """A name of tens of kilobytes is neither cached nor remembered, however often it comes."""
        self.subscribe("#")
        for n in range(10):
            for _ in range(3):
                self.assertEqual(len(self.subscriptions.route("x" * 60_000 + str(n)).targets), 1)
        self.assertEqual((self.cached(), self.subscriptions._seen), (set(), set()))

    def test_the_cost_is_bounded(self) -> None:
        """Routes with many targets or levels leave less room for others; one too large is not kept."""
        subscriptions = Subscriptions(everything, nobody, 1000, 50)
        subscriptions.add(self.receiver, subscription("+/and/so/on"))
        for n in range(9):
            subscriptions.add(a_receiver(str(n)), subscription("many/#"))
        for n in range(100):
            self.assertEqual(len(subscriptions.route(f"many/{n}").targets), 9)
            self.assertTrue(len(subscriptions.routes) <= 4)  # two levels and nine targets each
        for n in range(200):
            subscriptions.route(f"few{n // 2}")
            self.assertTrue(subscriptions._cost <= 50)
        self.assertEqual(len(subscriptions.routes), 50)
        for _ in range(2):
            subscriptions.route("/" * 50)
        self.assertEqual(len(subscriptions.routes), 50)
        subscriptions.add(self.receiver, subscription("#"))
        self.assertEqual((len(subscriptions.routes), subscriptions._cost), (0, 0))
