"""How the garbage collector is set for a broker."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.net.collector import RARELY, collect_rarely


class CollectRarelyTests(SynchronousTestCase):
    def setUp(self) -> None:
        thresholds = gc.get_threshold()
        self.addCleanup(gc.set_threshold, *thresholds)
        self.addCleanup(gc.unfreeze)
        gc.set_threshold(500, 20, 30)

    def test_set_and_undone(self) -> None:
        """The young are looked at as before, all objects rarely, those of the start never; until undone."""
        undo = collect_rarely()
        self.assertEqual(gc.get_threshold(), (500, 20, RARELY))
        self.assertGreater(gc.get_freeze_count(), 1000)
        undo()
        self.assertEqual(gc.get_threshold(), (500, 20, 30))
        self.assertEqual(gc.get_freeze_count(), 0)

    def test_cycles_are_still_found(self) -> None:
        """What is a cycle and dies young is collected."""
        collect_rarely()
        cycles: list[object] = []
        for _ in range(2000):
            cycle: list[object] = []
            cycle.append(cycle)
            cycles.append(cycle)
            cycles.clear()
        left = [one for one in gc.get_objects() if type(one) is list and one and one[0] is one]
        self.assertLess(len(left), 1500)
