"""`-D`: properties from the command line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.cli.properties import PropertyTable
from mqttwist.wire.packet import CONNECT, DISCONNECT, PUBLISH
from mqttwist.wire.properties import WILL, Properties


class PropertyTests(SynchronousTestCase):
    def test_each(self) -> None:
        """Each packet has its own, with the specification's names and types."""
        table = PropertyTable(
            [
                ("publish", "content-type", "text/plain"),
                ("PUBLISH", "correlation-data", "\udcff1"),
                ("publish", "message-expiry-interval", "60"),
                ("publish", "user-property", "a", "b"),
                ("publish", "user-property", "a", "c"),
                ("connect", "receive-maximum", "20"),
                ("disconnect", "session-expiry-interval", "4294967295"),
                ("will", "will-delay-interval", "5"),
            ]
        )
        self.assertEqual(
            table.of(PUBLISH),
            Properties(
                content_type="text/plain",
                correlation_data=b"\xff1",
                message_expiry_interval=60,
                user_properties=(("a", "b"), ("a", "c")),
            ),
        )
        self.assertEqual(table.of(CONNECT), Properties(receive_maximum=20))
        self.assertEqual(table.of(DISCONNECT), Properties(session_expiry_interval=0xFFFF_FFFF))
        self.assertEqual(table.of(WILL), Properties(will_delay_interval=5))
        self.assertTrue(table)

    def test_nothing(self) -> None:
        """Without `-D` there are none."""
        self.assertFalse(PropertyTable([]))
        self.assertIsNone(PropertyTable([]).of(PUBLISH))

    def test_topic_alias(self) -> None:
        """A Topic Alias is taken and has no effect: the client has its own (3.3.2.3.4)."""
        table = PropertyTable([("publish", "topic-alias", "3")])
        self.assertEqual(table.of(PUBLISH), Properties())

    def test_refused(self) -> None:
        """What is no property, has no place in the packet, or is out of range is refused."""
        for words in (
            ("publish", "foo", "1"),
            ("pub", "content-type", "1"),
            ("publish", "will-delay-interval", "1"),
            ("publish", "subscription-identifier", "1"),
            ("publish", "payload-format-indicator", "2"),
            ("publish", "message-expiry-interval", "x"),
            ("publish", "message-expiry-interval", "-1"),
            ("publish", "message-expiry-interval", "4294967296"),
            ("publish", "response-topic", "a/#"),
            ("publish", "topic-alias", "0"),
            ("connect", "receive-maximum", "0"),
            ("connect", "receive-maximum", "65536"),
            ("connect", "authentication-method", "x"),
            ("subscribe", "user-property", "a", "b"),
            ("unsubscribe", "user-property", "a", "b"),
            ("auth", "user-property", "a", "b"),
            ("puback", "user-property", "a", "b"),
            ("connack", "user-property", "a", "b"),
        ):
            with self.subTest(words=words):
                self.assertRaises(ValueError, PropertyTable, [words])

    def test_twice(self) -> None:
        """A property that may stand once is refused the second time."""
        self.assertRaises(
            ValueError,
            PropertyTable,
            [("publish", "content-type", "a"), ("publish", "content-type", "b")],
        )
