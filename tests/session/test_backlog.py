"""A queue that begins with what a store has: fetched bit by bit, counted from the start."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.waiting import OVERHEAD, QueueLimits, WaitingQueue
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import PUBACK, PUBCOMP

NO_LIMITS = QueueLimits(0, 0, True)


@dataclass
class Shelf:
    """A backlog: hands out `chunk` deliveries at a time; those that are None can't be had any more."""

    deliveries: list[Delivery | None]
    chunk: int = 2
    fetches: int = 0

    def fetch(self) -> list[Delivery]:
        self.fetches += 1
        found: list[Delivery] = []
        while self.deliveries and not found:
            found = [one for one in self.deliveries[: self.chunk] if one is not None]
            del self.deliveries[: self.chunk]
        return found


def stored(payload: bytes, awaiting: int = 0, share: str = "") -> Delivery:
    """A delivery as a store hands it out."""
    delivery = Delivery(Message("t", payload, 1), Grant(1, share=share))
    delivery.size = OVERHEAD + len(payload)
    delivery.awaiting = awaiting
    if awaiting == PUBCOMP:
        delivery.message = None
        delivery.size = 0
    return delivery


def replayed(payload: bytes) -> Delivery:
    """One that stands for a retained message."""
    message = Message("r", payload, 1, True)
    return Delivery(message, Grant(1), Kept(message))


def make_queue(
    deliveries: list[Delivery | None], chunk: int = 2, limits: QueueLimits = NO_LIMITS
) -> WaitingQueue:
    """A queue with that backlog, counted as a store counts it: each one, those that are gone included."""
    queue = WaitingQueue(limits)
    size = sum(OVERHEAD if one is None else one.size for one in deliveries)
    queue.take_up(Shelf(list(deliveries), chunk), len(deliveries), size)
    return queue


def push(queue: WaitingQueue, payload: bytes, qos: int = 1) -> bool:
    message = Message("t", payload, qos)
    return queue.push(Delivery(message, Grant(qos)), message)[0]


def drain(queue: WaitingQueue) -> list[bytes]:
    """The payloads of all that comes out at the front."""
    payloads: list[bytes] = []
    while (delivery := queue.first()) is not None:
        payloads.append(payload_of(delivery))
        queue.pop()
    return payloads


def payload_of(delivery: Delivery) -> bytes:
    message = delivery.message if delivery.kept is None else delivery.kept.message
    return b"" if message is None else message.payload


class BacklogTests(SynchronousTestCase):
    """Each verb by itself."""

    def assertEmpty(self, queue: WaitingQueue) -> None:  # noqa: N802
        self.assertEqual((len(queue), queue.length, queue.messages, queue.size, queue.qos_0), (0, 0, 0, 0, 0))

    def test_nothing_is_fetched_before_its_turn(self) -> None:
        """The queue has its length at once; the store is asked when the front is looked at, bit by bit."""
        shelf = Shelf([stored(b"%d" % n) for n in range(6)])
        queue = WaitingQueue(NO_LIMITS)
        queue.take_up(shelf, 6, 6 * (OVERHEAD + 1))
        self.assertEqual((len(queue), queue.messages, shelf.fetches), (6, 6, 0))
        for fetches in (1, 1, 2):
            queue.first()
            queue.pop()
            self.assertEqual(shelf.fetches, fetches)
        self.assertEqual((len(queue), queue.messages, queue.size), (3, 3, 3 * (OVERHEAD + 1)))
        drain(queue)
        self.assertEmpty(queue)

    def test_what_comes_later_is_behind(self) -> None:
        """What is pushed before, between and after fetches comes behind the backlog."""
        queue = make_queue([stored(b"%d" % n) for n in range(5)])
        push(queue, b"a", 0)
        queue.fetch()
        push(queue, b"b", 1)
        queue.fetch()
        push(queue, b"c", 2)
        self.assertEqual(drain(queue), [b"0", b"1", b"2", b"3", b"4", b"a", b"b", b"c"])
        self.assertEmpty(queue)

    def test_limits(self) -> None:
        """What is not fetched counts against the limits; QoS 0 goes first to make room."""
        queue = make_queue([stored(b"1"), stored(b"2")], limits=QueueLimits(3, 0, True))
        self.assertTrue(push(queue, b"3", 0))
        self.assertTrue(push(queue, b"4", 1))
        self.assertFalse(push(queue, b"5", 1))
        self.assertEqual(drain(queue), [b"1", b"2", b"4"])
        queue = make_queue([stored(b"1")], limits=QueueLimits(0, 2 * OVERHEAD + 1, True))
        self.assertFalse(push(queue, b"2"))
        drain(queue)
        self.assertTrue(push(queue, b"2"))

    def test_some_are_gone(self) -> None:
        """What was counted and can't be had is discounted when that is known."""
        for gone in ([0], [1, 2, 3], [4], [0, 1, 2, 3, 4]):
            deliveries = [None if n in gone else stored(b"%d" % n) for n in range(5)]
            queue = make_queue(deliveries)
            push(queue, b"new")
            expected = [b"%d" % n for n in range(5) if n not in gone]
            self.assertEqual(drain(queue), [*expected, b"new"])
            self.assertEmpty(queue)

    def test_retained_messages(self) -> None:
        """One that stands for a retained message counts against no limit once it is known for that."""
        queue = make_queue([replayed(b"1"), stored(b"2"), replayed(b"3")])
        self.assertEqual(len(list(queue)), 3)
        self.assertEqual((len(queue), queue.messages, queue.size), (3, 1, OVERHEAD + 1))
        self.assertEqual(drain(queue), [b"1", b"2", b"3"])
        self.assertEmpty(queue)

    def test_what_was_sent(self) -> None:
        """What was sent is taken out of the front, in its order, and no more is fetched than that needs."""
        sent = [stored(b"1", PUBACK), stored(b"", PUBCOMP), stored(b"3", PUBACK)]
        shelf = Shelf([*sent, stored(b"4"), *(stored(b"more") for _ in range(6))])
        queue = WaitingQueue(NO_LIMITS)
        queue.take_up(shelf, 10, sum(one.size for one in shelf.deliveries if one is not None))
        self.assertEqual(queue.take_sent(), sent)
        self.assertEqual((len(queue), queue.messages, shelf.fetches), (7, 7, 2))
        self.assertEqual(queue.take_sent(), [])
        self.assertEqual(drain(queue), [b"4", *[b"more"] * 6])
        self.assertEmpty(queue)

    def test_all_was_sent(self) -> None:
        """If that is all there is, the queue is empty but for what has come since."""
        for chunk in (1, 2, 3, 5):
            queue = make_queue([stored(b"%d" % n, PUBACK) for n in range(3)], chunk)
            push(queue, b"new")
            self.assertEqual(len(queue.take_sent()), 3)
            self.assertEqual(drain(queue), [b"new"])
            self.assertEmpty(queue)

    def test_nothing_was_stored(self) -> None:
        """A queue without a backlog has nothing that was sent."""
        queue = WaitingQueue(NO_LIMITS)
        push(queue, b"1")
        self.assertEqual((queue.take_sent(), queue.fetch()), ([], False))
        self.assertEqual(drain(queue), [b"1"])

    def test_take(self) -> None:
        """What is taken out of the middle leaves the rest in its order, fetched or not."""
        queue = make_queue([stored(b"%d" % n, share="s" if n % 2 else "") for n in range(6)])
        queue.first()
        push(queue, b"new")
        taken = queue.take(lambda delivery: delivery.grant.share == "s")
        self.assertEqual([payload_of(one) for one in taken], [b"1", b"3", b"5"])
        self.assertEqual((len(queue), queue.messages), (4, 4))
        self.assertEqual(drain(queue), [b"0", b"2", b"4", b"new"])
        self.assertEmpty(queue)

    def test_clear(self) -> None:
        """Nothing is left, on the disk neither."""
        queue = make_queue([stored(b"1"), stored(b"2"), stored(b"3")])
        queue.first()
        queue.clear()
        self.assertEmpty(queue)
        self.assertIsNone(queue.first())


def make(kind: str, payload: bytes) -> Delivery | None:
    """One of the backlog; None for what can't be had."""
    if kind == "gone":
        return None
    return replayed(payload) if kind == "kept" else stored(payload, PUBACK if kind == "sent" else 0)


@dataclass
class Plan:
    """What the model test does with one queue."""

    kinds: list[str]  # of the backlog: "sent", "stored", "kept", "gone"
    chunk: int
    steps: list[tuple[str, int]] = field(default_factory=list)


KINDS = st.lists(st.sampled_from(["stored", "stored", "kept", "gone"]), max_size=9)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push 0", "push 1", "fetch", "pop", "take", "keep", "look"]), st.integers(0, 3)
    ),
    max_size=15,
)
PLANS = st.builds(
    lambda sent, rest, chunk, steps: Plan(["sent"] * sent + rest, chunk, steps),
    st.integers(0, 3),
    KINDS,
    st.integers(1, 4),
    STEPS,
)


class ModelTests(SynchronousTestCase):
    """Whatever is done with it, it is a plain list."""

    @given(PLANS)
    @settings(max_examples=400, deadline=None)
    def test_as_a_list(self, plan: Plan) -> None:
        """What comes out is what a list would hold, and the counts are right when all is known."""
        backlog = [make(kind, b"%d" % n) for n, kind in enumerate(plan.kinds)]
        queue = make_queue(backlog, plan.chunk)
        self.assertEqual(queue.take_sent(), backlog[: plan.kinds.count("sent")])
        model = [one for one in backlog[plan.kinds.count("sent") :] if one is not None]
        for step, number in plan.steps:
            self.do(queue, model, step, number)
        self.assertEqual(list(queue), model)
        self.assertEqual(len(queue), len(model))
        self.assertEqual(queue.messages, len([one for one in model if one.kept is None]))
        self.assertEqual(queue.size, sum(one.size for one in model if one.kept is None))
        self.assertEqual(queue.qos_0, len([one for one in model if one.qos == 0]))
        self.assertEqual(drain(queue), [payload_of(one) for one in model])

    def do(self, queue: WaitingQueue, model: list[Delivery], step: str, number: int) -> None:
        """One step, on both."""
        if step.startswith("push"):
            message = Message("t", b"new %d" % number, int(step[-1]))
            delivery = Delivery(message, Grant(1))
            self.assertEqual(queue.push(delivery, message), (True, 0))
            model.append(delivery)
        elif step == "keep":
            delivery = replayed(b"kept %d" % number)
            queue.push_kept([delivery])
            model.append(delivery)
        elif step == "fetch":
            queue.fetch()
        elif step == "look":
            self.assertIs(queue.first(), model[0] if model else None)
        elif step == "pop" and queue.first() is not None:
            queue.pop()
            model.pop(0)
        elif step == "take":
            wanted = model[number::3]
            self.assertEqual(queue.take(lambda delivery: delivery in wanted), wanted)
            model[:] = [one for one in model if one not in wanted]
