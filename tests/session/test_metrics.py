"""The counters."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.metrics import Drops, Metrics


class MetricsTests(SynchronousTestCase):
    def test_begin_at_zero(self) -> None:
        """Every counter begins at 0."""
        metrics = Metrics()
        counters = [name for name in dir(metrics) if not name.startswith("_")]
        self.assertEqual(len(counters), 11)
        self.assertEqual([getattr(metrics, counter) for counter in counters], [0] * len(counters))


class DropsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.drops = Drops()

    def test_none(self) -> None:
        """Nothing was dropped in the beginning."""
        self.assertEqual((self.drops.take(), self.drops.totals, self.drops.total), ([], {}, 0))

    def test_by_client_and_reason(self) -> None:
        """A flood becomes one line for each client and reason, in the order in which they began."""
        for _ in range(1000):
            self.drops.count("a", "queue full")
        self.drops.count("b", "queue full", 5)
        self.drops.count("a", "message expired")
        self.drops.count("a", "queue full", 2)
        self.assertEqual(
            self.drops.take(),
            [("a", "queue full", 1002), ("b", "queue full", 5), ("a", "message expired", 1)],
        )

    def test_take_begins_anew(self) -> None:
        """What was handed out is not handed out again; the totals go on."""
        self.drops.count("a", "queue full")
        self.drops.take()
        self.assertEqual(self.drops.take(), [])
        self.drops.count("a", "queue full", 2)
        self.assertEqual(self.drops.take(), [("a", "queue full", 2)])
        self.assertEqual(self.drops.totals, {"queue full": 3})

    def test_withdrawn(self) -> None:
        """A drop that is withdrawn was never counted; others stay."""
        self.drops.count("a", "queue full", 2)
        self.drops.count("a", "message expired")
        self.drops.withdraw("a", "queue full")
        self.drops.withdraw("a", "message expired")
        self.assertEqual(self.drops.totals, {"queue full": 1})
        self.assertEqual(self.drops.take(), [("a", "queue full", 1)])

    def test_totals(self) -> None:
        """The totals are by reason, over all clients."""
        self.drops.count("a", "queue full", 3)
        self.drops.count("b", "queue full", 4)
        self.drops.count("b", "message expired")
        self.assertEqual(self.drops.totals, {"queue full": 7, "message expired": 1})
        self.assertEqual(self.drops.total, 8)
