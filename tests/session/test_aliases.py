"""Topic Aliases of one connection, in each direction, and both together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.aliases import InboundAliases, OutboundAliases
from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.publish import Publish


def with_alias(topic_name: str, alias: int) -> Publish:
    publish = Publish(topic_name)
    publish.topic_alias = alias
    return publish


class InboundTests(SynchronousTestCase):
    """What the peer's aliases stand for."""

    def setUp(self) -> None:
        self.aliases = InboundAliases(3)

    def resolve(self, topic_name: str, alias: int) -> str:
        publish = with_alias(topic_name, alias)
        self.aliases.resolve(publish)
        return publish.topic_name

    def test_set_and_used(self) -> None:
        """A PUBLISH with name and alias sets the alias, one without a name uses it (3.3.2.3.4)."""
        self.assertEqual(self.resolve("a", 1), "a")
        self.assertEqual(self.resolve("b", 3), "b")
        self.assertEqual([self.resolve("", alias) for alias in (3, 1, 1)], ["b", "a", "a"])

    def test_set_anew(self) -> None:
        """An alias that is set again stands for the new name from then on."""
        self.resolve("a", 1)
        self.assertEqual(self.resolve("b", 1), "b")
        self.assertEqual(self.resolve("", 1), "b")

    def test_two_for_one_name(self) -> None:
        """Two aliases may stand for the same name."""
        self.resolve("a", 1)
        self.resolve("a", 2)
        self.resolve("b", 1)
        self.assertEqual([self.resolve("", alias) for alias in (1, 2)], ["b", "a"])

    def test_above_the_maximum(self) -> None:
        """An alias above the maximum is a Protocol Error 0x94, with a name or without [MQTT-3.3.2-9]."""
        self.assertEqual(self.resolve("a", 3), "a")
        for topic_name in ("a", ""):
            error = self.assertRaises(ProtocolError, self.resolve, topic_name, 4)
            self.assertEqual((error.reason_code, error.clause), (0x94, "MQTT-3.3.2-9"))

    def test_none_allowed(self) -> None:
        """With a maximum of 0 every alias is above it."""
        self.aliases = InboundAliases(0)
        error = self.assertRaises(ProtocolError, self.resolve, "a", 1)
        self.assertEqual(error.reason_code, 0x94)

    def test_never_set(self) -> None:
        """An alias that was not set is a Protocol Error 0x82 (3.3.4)."""
        self.resolve("a", 1)
        error = self.assertRaises(ProtocolError, self.resolve, "", 2)
        self.assertEqual(error.reason_code, 0x82)


class OutboundTests(SynchronousTestCase):
    """The aliases we set."""

    def test_numbers(self) -> None:
        """Aliases are given from 1 up, never 0 [MQTT-3.3.2-8], and known from the second time on."""
        aliases = OutboundAliases(2)
        self.assertEqual(
            [aliases.alias_for(name) for name in "abab"], [(1, False), (2, False), (1, True), (2, True)]
        )

    def test_least_recently_used(self) -> None:
        """Beyond the maximum the name used longest ago gives its alias to the new one [MQTT-3.3.2-11]."""
        aliases = OutboundAliases(2)
        for name in "aba":
            aliases.alias_for(name)
        self.assertEqual(aliases.alias_for("c"), (2, False))
        self.assertEqual(aliases.alias_for("a"), (1, True))
        self.assertEqual(aliases.alias_for("b"), (2, False))
        self.assertEqual(aliases.alias_for("c"), (1, False))

    def test_one(self) -> None:
        """A maximum of 1 is enough for the topic sent last."""
        aliases = OutboundAliases(1)
        self.assertEqual(
            [aliases.alias_for(name) for name in "aabb"], [(1, False), (1, True), (1, False), (1, True)]
        )

    def test_none(self) -> None:
        """With a maximum of 0 no name gets one."""
        aliases = OutboundAliases(0)
        self.assertEqual([aliases.alias_for(name) for name in "aa"], [(0, False), (0, False)])

    def test_no_name_comes_back_by_itself(self) -> None:
        """However many names there are, no more than the maximum are remembered."""
        aliases = OutboundAliases(10)
        for number in range(1000):
            alias, known = aliases.alias_for(f"topic {number}")
            self.assertFalse(known)
            self.assertTrue(1 <= alias <= 10)
        self.assertEqual(
            [known for _, known in (aliases.alias_for(f"topic {number}") for number in range(990, 1000))],
            [True] * 10,
        )


class BothTests(SynchronousTestCase):
    """One side sets, the other resolves."""

    @given(st.integers(0, 5), st.lists(st.sampled_from("abcdefgh"), max_size=60))
    def test_both_agree(self, maximum: int, names: list[str]) -> None:
        """Whatever is sent, the peer finds the names that were meant and never a fault."""
        outbound, inbound = OutboundAliases(maximum), InboundAliases(maximum)
        for name in names:
            alias, known = outbound.alias_for(name)
            publish = with_alias("" if known else name, alias)
            if alias:
                inbound.resolve(publish)
            self.assertEqual(publish.topic_name, name)
