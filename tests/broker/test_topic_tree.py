"""`mqttwist.broker.topic_tree`, against a plain dict and `wire.topics.matches`."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.topic_tree import TopicTree
from mqttwist.wire.topics import matches
from tests.broker.test_subscriptions import FILTERS, NAMES


class TopicTreeTests(SynchronousTestCase):
    @settings(max_examples=300, deadline=None)
    @given(
        steps=st.lists(st.tuples(st.booleans(), NAMES), max_size=40),
        filters=st.lists(FILTERS, min_size=1, max_size=5),
    )
    def test_any_history(self, steps: list[tuple[bool, str]], filters: list[str]) -> None:
        """After any history, each name has its last item, and each filter finds what it matches, once."""
        tree: TopicTree[str] = TopicTree()
        model: dict[str, str] = {}
        for number, (put, name) in enumerate(steps):
            if put:
                self.assertEqual(tree.put(name, f"{number} {name}"), model.get(name))
                model[name] = f"{number} {name}"
            else:
                self.assertEqual(tree.discard(name), model.pop(name, None))
            self.assertEqual(tree.get(name), model.get(name))
        for topic_filter in filters:
            expected = sorted(item for name, item in model.items() if matches(topic_filter, name))
            self.assertEqual(sorted(tree.matching(topic_filter)), expected)

    @settings(max_examples=100, deadline=None)
    @given(names=st.sets(NAMES, max_size=20))
    def test_nothing_is_left(self, names: set[str]) -> None:
        """When all names were discarded, no level is left in memory."""
        tree: TopicTree[str] = TopicTree()
        for name in names:
            tree.put(name, name)
        for name in names:
            tree.discard(name)
        self.assertFalse(tree._root.children)

    def test_discarding_what_is_not_there(self) -> None:
        """To discard a name that is a part of another, or longer, or unknown changes nothing."""
        tree: TopicTree[str] = TopicTree()
        tree.put("a/b/c", "a/b/c")
        for name in ("a", "a/b", "a/b/c/d", "x", ""):
            tree.discard(name)
            self.assertEqual(tree.matching("#"), ["a/b/c"])

    def test_filters(self) -> None:
        """The examples of 4.7.1: `#` matches the level above, `+` one level, `$` apart [MQTT-4.7.2-1]."""
        tree: TopicTree[str] = TopicTree()
        for name in ("sport", "sport/tennis", "sport/tennis/player1", "/finance", "$SYS/x", "sport/"):
            tree.put(name, name)
        for topic_filter, expected in (
            ("sport/#", {"sport", "sport/", "sport/tennis", "sport/tennis/player1"}),
            ("sport/+", {"sport/", "sport/tennis"}),
            ("+", {"sport"}),
            ("+/+", {"/finance", "sport/", "sport/tennis"}),
            ("/+", {"/finance"}),
            ("#", {"sport", "sport/", "sport/tennis", "sport/tennis/player1", "/finance"}),
            ("$SYS/#", {"$SYS/x"}),
            ("$SYS/+", {"$SYS/x"}),
            ("+/x", set()),
            ("sport/tennis/player1/#", {"sport/tennis/player1"}),
            ("sport/tennis", {"sport/tennis"}),
            ("nothing/#", set()),
        ):
            with self.subTest(topic_filter=topic_filter):
                self.assertEqual(set(tree.matching(topic_filter)), expected)

    def test_deep_names(self) -> None:
        """A name of very many levels is no recursion."""
        tree: TopicTree[str] = TopicTree()
        name = "/" * 60_000
        tree.put(name, name)
        self.assertEqual(tree.matching("#"), [name])
        tree.discard(name)
        self.assertEqual(tree.matching("#"), [])
