"""`sub --stats`: counted by the second, on a clock of the test's."""

from __future__ import annotations

import io

from mqttwist.cli.stats import SubscriberStats, sent_at
from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase


class StatsTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.stdout = io.StringIO()
        self.stats = SubscriberStats(self.stdout, self.time, self.time)
        self.server = self.connect()
        self.subscribed(self.server, "t")

    def come(self, payload: bytes, after: float) -> None:
        self.time.now += after
        self.server.send(Publish("t", payload))
        self.stats.show(self.received[-1])

    def test_a_line_a_second(self) -> None:
        """What came in a second is written when the second is over."""
        for _ in range(7):
            self.come(b"1234", 0.125)
        self.assertEqual(self.stdout.getvalue(), "")
        self.come(b"1234", 0.125)
        (line,) = self.stdout.getvalue().splitlines()
        self.assertEqual(
            line, "7.0 messages/s, 28 bytes/s, 7 in all; gap p50 125.000 p99 125.000 max 125.000 ms"
        )

    def test_age(self) -> None:
        """The age of messages that say when they were sent."""
        self.come(b'{"ts": %.3f}' % (self.time.now - 0.5), 0.25)
        self.come(b"other", 0.0)
        self.stats.finish()
        self.assertTrue(self.stdout.getvalue().endswith("; latency p50 750.000 p99 750.000 max 750.000 ms\n"))

    def test_nothing(self) -> None:
        """Where nothing came nothing is written."""
        self.stats.finish()
        self.assertEqual(self.stdout.getvalue(), "")

    def test_sent_at(self) -> None:
        """`ts` in seconds or milliseconds since 1970; anything else says nothing."""
        self.assertEqual(sent_at(b'{"ts": 1796081686.5}'), 1796081686.5)
        self.assertEqual(sent_at(b'{"a": 1, "ts": 1796081686500}'), 1796081686.5)
        for payload in (b"", b"1", b"{", b"{}", b'{"ts": "1"}', b'{"ts": true}', b'{"ts": null}', b"{\xff}"):
            self.assertIsNone(sent_at(payload))
