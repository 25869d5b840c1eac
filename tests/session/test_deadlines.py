"""`mqttwist.session.deadlines`: called when due, in order, once, and not when cancelled."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.deadlines import Deadline, Deadlines


class DeadlinesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.deadlines = Deadlines()
        self.called: list[tuple[str, float]] = []

    def at(self, when: float, name: str) -> Deadline:
        return self.deadlines.at(when, lambda now: self.called.append((name, now)))

    def test_when_it_is_due(self) -> None:
        """An action is called at its time or later, never before, and with the time of the tick."""
        self.at(10.0, "a")
        self.deadlines.tick(9.999)
        self.assertEqual(self.called, [])
        self.deadlines.tick(10.0)
        self.assertEqual(self.called, [("a", 10.0)])
        self.deadlines.tick(100.0)
        self.assertEqual(len(self.called), 1)

    def test_in_order(self) -> None:
        """What is due is called in the order of its time, and of its making at the same time."""
        for when, name in ((3.0, "c"), (1.0, "a"), (2.0, "b1"), (2.0, "b2")):
            self.at(when, name)
        self.deadlines.tick(5.0)
        self.assertEqual([name for name, _ in self.called], ["a", "b1", "b2", "c"])

    def test_cancelled(self) -> None:
        """A cancelled action is not called; to cancel again, or too late, is harmless."""
        first, second = self.at(1.0, "a"), self.at(2.0, "b")
        first.cancel()
        first.cancel()
        self.assertEqual(len(self.deadlines), 1)
        self.deadlines.tick(5.0)
        second.cancel()
        self.assertEqual(self.called, [("b", 5.0)])
        self.assertEqual(len(self.deadlines), 0)

    def test_what_an_action_adds(self) -> None:
        """An action may add another one, which is called in the same tick if it is due."""
        self.deadlines.at(1.0, lambda now: self.note(self.at(now, "now"), self.at(now + 1, "later")))
        self.deadlines.tick(3.0)
        self.assertEqual(self.called, [("now", 3.0)])
        self.deadlines.tick(4.0)
        self.assertEqual(self.called, [("now", 3.0), ("later", 4.0)])

    def note(self, *deadlines: Deadline) -> None:
        self.assertEqual(len(deadlines), 2)

    def test_what_an_action_cancels(self) -> None:
        """An action may cancel others that are due as well, even so many that the heap is swept."""
        others: list[Deadline] = []

        def cancel_all(now: float) -> None:
            for one in others:
                one.cancel()

        self.deadlines.at(1.0, cancel_all)
        others.extend(self.at(2.0, "never") for _ in range(500))
        self.at(3.0, "last")
        self.deadlines.tick(5.0)
        self.assertEqual(self.called, [("last", 5.0)])
        self.assertEqual(len(self.deadlines), 0)

    def test_cancelled_ones_are_swept(self) -> None:
        """Very many deadlines that are made and cancelled take no more than a bounded room."""
        kept = [self.at(1e9, "kept") for _ in range(10)]
        for _ in range(10_000):
            self.at(1e9, "gone").cancel()
            self.assertTrue(len(self.deadlines._heap) <= 200)
        self.assertEqual(len(self.deadlines), len(kept))

    def test_order_after_a_sweep(self) -> None:
        """What is left after a sweep is still called in order, wherever it stood."""
        times = [float(n * 7919 % 1000) for n in range(1000)]
        deadlines = [self.at(when, f"{when:g}") for when in times]
        for position, deadline in enumerate(deadlines):
            if position % 3:
                deadline.cancel()
        for now in range(1000):
            self.deadlines.tick(float(now))
        self.assertEqual([now for _, now in self.called], sorted(times[::3]))

    def test_a_cancelled_action_is_let_go(self) -> None:
        """What a cancelled deadline would have used is not held until its time."""
        deadline = self.at(1e9, "a")
        deadline.cancel()
        self.assertIsNone(deadline.action)

    def noting(self, called: list[int], number: int) -> Callable[[float], None]:
        return lambda now: called.append(number)

    @settings(max_examples=200, deadline=None)
    @given(
        steps=st.lists(
            st.tuples(st.sampled_from(["at", "cancel", "tick"]), st.integers(0, 20)),
            max_size=200,
        )
    )
    def test_any_history(self, steps: list[tuple[str, int]]) -> None:
        """Whatever happens, exactly those are called that are due and not cancelled."""
        deadlines = Deadlines()
        pending: dict[int, tuple[float, Deadline]] = {}
        called: list[int] = []
        now = 0.0
        for number, (step, value) in enumerate(steps):
            if step == "at":
                when = now + value
                deadline = deadlines.at(when, self.noting(called, number))
                pending[number] = (when, deadline)
            elif step == "cancel" and pending:
                pending.pop(list(pending)[value % len(pending)])[1].cancel()
            elif step == "tick":
                now += value
                due = sorted((when, one) for one, (when, _) in pending.items() if when <= now)
                called.clear()
                deadlines.tick(now)
                self.assertEqual(called, [one for _, one in due])
                for one in called:
                    del pending[one]
            self.assertEqual(len(deadlines), len(pending))
