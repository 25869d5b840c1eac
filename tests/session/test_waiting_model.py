"""The bounded queue against a plain list."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.waiting import OVERHEAD, QueueLimits, WaitingQueue
from tests.session.test_waiting import by, name, names, push


@dataclass
class Entry:
    """What the model knows of a delivery."""

    name: str
    qos: int
    size: int
    share: str
    replayed: bool


class Model:
    """The queue as a plain list, which takes any time it likes."""

    def __init__(self, messages: int, size: int) -> None:
        self.messages = messages
        self.size = size
        self.entries: list[Entry] = []

    def counted(self) -> list[Entry]:
        return [entry for entry in self.entries if not entry.replayed]

    def fits(self, entry: Entry) -> bool:
        size = sum(one.size + OVERHEAD for one in self.counted()) + entry.size + OVERHEAD
        return (not self.messages or len(self.counted()) < self.messages) and (
            not self.size or size <= self.size
        )

    def push(self, entry: Entry) -> tuple[bool, int]:
        evicted = 0
        if self.size and not entry.replayed and entry.size + OVERHEAD > self.size:
            return False, 0
        while not entry.replayed and not self.fits(entry):
            oldest = next((one for one in self.counted() if one.qos == 0), None)
            if oldest is None:
                return False, evicted
            self.entries.remove(oldest)
            evicted += 1
        self.entries.append(entry)
        return True, evicted

    def take(self, share: str) -> list[str]:
        taken = [one for one in self.entries if one.share and share in ("", one.share)]
        self.entries = [one for one in self.entries if one not in taken]
        return [one.name for one in taken]


SHARES = ["$share/g/x", "$share/h/x"]
PUSH = st.tuples(
    st.sampled_from([0, 0, 1, 2]),
    st.sampled_from([10, 100, 700]),
    st.sampled_from(["", "", *SHARES]),
    st.booleans(),
)
STEPS = st.lists(
    st.one_of(PUSH, PUSH, PUSH, st.just("pop"), st.sampled_from(["", *SHARES]), st.just("clear")), max_size=60
)


class ModelTests(SynchronousTestCase):
    """The queue against the plain list."""

    @settings(max_examples=300)
    @given(st.sampled_from([0, 1, 3, 8]), st.sampled_from([0, 1000, 3000]), STEPS)
    def test_model(self, messages: int, size: int, steps: list[str | tuple[int, int, str, bool]]) -> None:
        """After every step both say the same: what is in it, and what came of the step."""
        queue = WaitingQueue(QueueLimits(messages, size, True))
        model = Model(messages, size)
        for number, step in enumerate(steps):
            if isinstance(step, tuple):
                self.push(queue, model, Entry(f"{number:03}", *step))
            elif step == "pop":
                self.pop(queue, model)
            elif step == "clear":
                queue.clear()
                model.entries.clear()
            else:
                self.assertEqual([name(one) for one in queue.take(by(step))], model.take(step))
            self.compare(queue, model)

    def push(self, queue: WaitingQueue, model: Model, entry: Entry) -> None:
        pushed = push(queue, entry.name, entry.qos, entry.size, entry.share, entry.replayed)
        self.assertEqual(pushed, model.push(entry))

    def pop(self, queue: WaitingQueue, model: Model) -> None:
        first = queue.first()
        self.assertEqual(first is None, not model.entries)
        if first is not None:
            self.assertEqual(name(first), model.entries.pop(0).name)
            queue.pop()

    def compare(self, queue: WaitingQueue, model: Model) -> None:
        self.assertEqual(names(queue), [entry.name for entry in model.entries])
        self.assertEqual(len(queue), len(model.entries))
        self.assertEqual(queue.messages, len(model.counted()))
        self.assertEqual(queue.size, sum(entry.size + OVERHEAD for entry in model.counted()))
        self.assertEqual(queue.qos_0, sum(entry.qos == 0 for entry in model.entries))
        self.assertEqual(queue.has_room, model.fits(Entry("", 1, 0, "", False)))
