"""`mqttwist.broker.retained`: the last retained message of each topic (3.3.1.3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.retained import RetainedMessages
from mqttwist.wire.message import Message


class RetainedMessagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.retained = RetainedMessages()

    def found(self, topic_filter: str) -> list[bytes]:
        found = [kept.message for kept in self.retained.matching(topic_filter)]
        return sorted(message.payload for message in found if message is not None)

    def test_one_for_each_topic(self) -> None:
        """The last message of a topic takes the place of the one before [MQTT-3.3.1-5]."""
        self.retained.set(Message("a", b"1"))
        self.retained.set(Message("a", b"2"))
        self.retained.set(Message("b", b"3"))
        self.assertEqual(len(self.retained), 2)
        self.assertEqual(self.found("#"), [b"2", b"3"])
        message = self.retained.get("a")
        self.assertEqual(None if message is None else message.payload, b"2")

    def test_exact_filters(self) -> None:
        """A filter without wildcards finds its topic, `$`-topics too, and nothing else."""
        self.retained.set(Message("a/b", b"1"))
        self.retained.set(Message("$SYS/x", b"2"))
        self.assertEqual((self.found("a/b"), self.found("a"), self.found("$SYS/x")), ([b"1"], [], [b"2"]))

    def test_wildcards(self) -> None:
        """Filters with wildcards find what they match, `$`-topics apart [MQTT-4.7.2-1]."""
        for name in ("a", "a/b", "c/b", "$SYS/b"):
            self.retained.set(Message(name, name.encode()))
        self.assertEqual(self.found("+/b"), [b"a/b", b"c/b"])
        self.assertEqual(self.found("a/#"), [b"a", b"a/b"])
        self.assertEqual(self.found("#"), [b"a", b"a/b", b"c/b"])

    def test_remove(self) -> None:
        """What is removed is found no more, and may come again [MQTT-3.3.1-6]."""
        self.retained.set(Message("a", b"1"))
        self.assertTrue(self.retained.remove("a"))
        self.assertFalse(self.retained.remove("a"))
        self.assertIsNone(self.retained.get("a"))
        self.assertEqual((self.found("#"), len(self.retained)), ([], 0))
        self.retained.set(Message("a", b"2"))
        self.assertEqual(self.found("+"), [b"2"])
