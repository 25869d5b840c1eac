"""The bounded queue: its order, its limits, and what can be taken out of it."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.waiting import OVERHEAD, QueueLimits, WaitingQueue
from mqttwist.wire.message import Kept, Message


def push(
    queue: WaitingQueue, name: str, qos: int = 1, size: int = 0, share: str = "", replayed: bool = False
) -> tuple[bool, int]:
    """Push what the queue counts with `size` + 200 bytes, under `name` to tell it from others."""
    message = Message("", name.encode() + bytes(max(size - len(name), 0)), qos)
    if not replayed:
        return queue.push(Delivery(message, Grant(qos, share=share)), message)
    queue.push_kept([Delivery(message, Grant(qos, share=share), Kept(message))])
    return True, 0


def name(one: Delivery) -> str:
    message = one.message if one.kept is None else one.kept.message
    return "" if message is None else message.payload.rstrip(b"\0").decode()


def names(queue: WaitingQueue) -> list[str]:
    return [name(one) for one in queue]


def drain(queue: WaitingQueue) -> list[str]:
    """Take all out, as the sender does."""
    taken = []
    first = queue.first()
    while first is not None:
        taken.append(name(first))
        queue.pop()
        first = queue.first()
    return taken


def by(share: str) -> Callable[[Delivery], bool]:
    """What came by the Shared Subscription `share`; "" is every share."""
    return lambda one: bool(one.grant.share) and share in ("", one.grant.share)


class QueueTestCase(SynchronousTestCase):
    def make(self, messages: int = 0, size: int = 0) -> WaitingQueue:
        return WaitingQueue(QueueLimits(messages, size, True))

    def push(self, queue: WaitingQueue, text: str, replayed: bool = False) -> list[tuple[bool, int]]:
        """Push deliveries like "a1 b0": name and QoS."""
        return [push(queue, one[0], int(one[1]), 1, "", replayed) for one in text.split()]


class FirstInFirstOutTests(QueueTestCase):
    """What comes out, and how much is in it."""

    def test_order(self) -> None:
        """First in, first out, whatever the QoS."""
        queue = self.make()
        self.assertEqual(self.push(queue, "a1 b0 c2 d0"), [(True, 0)] * 4)
        self.assertEqual(drain(queue), ["a", "b", "c", "d"])

    def test_first_stays(self) -> None:
        """`first` leaves the delivery in its place until `pop`."""
        queue = self.make()
        self.push(queue, "a1 b1")
        self.assertIs(queue.first(), queue.first())
        self.assertEqual(len(queue), 2)
        queue.pop()
        self.assertEqual(names(queue), ["b"])

    def test_empty(self) -> None:
        """An empty queue has no first, and nothing in it."""
        queue = self.make()
        self.assertIsNone(queue.first())
        self.assertEqual((len(queue), list(queue)), (0, []))
        self.assertTrue(queue.has_room)

    def test_counts(self) -> None:
        """`messages`, `size` and `qos_0` say what is in the queue, and are 0 when it is empty again."""
        queue = self.make()
        push(queue, "a", 1, 10)
        push(queue, "b", 0, 20)
        push(queue, "c", 0, 30, replayed=True)
        self.assertEqual((len(queue), queue.messages, queue.qos_0), (3, 2, 2))
        self.assertEqual(queue.size, 30 + 2 * OVERHEAD)
        drain(queue)
        self.assertEqual((len(queue), queue.messages, queue.qos_0, queue.size), (0, 0, 0, 0))

    def test_clear(self) -> None:
        """`clear` empties it, and it can be filled again."""
        queue = self.make(messages=3)
        self.push(queue, "a0 b0 c0 d1")
        queue.clear()
        self.assertEqual((len(queue), queue.messages, queue.qos_0, queue.size), (0, 0, 0, 0))
        self.assertEqual(self.push(queue, "e0 f1 g1 h1"), [(True, 0), (True, 0), (True, 0), (True, 1)])
        self.assertEqual(drain(queue), ["f", "g", "h"])


class LimitTests(QueueTestCase):
    """What goes when it is full."""

    def test_no_limit(self) -> None:
        """0 is no limit."""
        queue = self.make()
        for _ in range(1000):
            self.assertEqual(push(queue, "a", 1, 100_000), (True, 0))
        self.assertTrue(queue.has_room)

    def test_messages(self) -> None:
        """Of QoS 1 and 2 as many wait as `messages` allows; the next is not taken in."""
        queue = self.make(messages=2)
        self.assertEqual(self.push(queue, "a1 b2"), [(True, 0), (True, 0)])
        self.assertFalse(queue.has_room)
        self.assertEqual(self.push(queue, "c1 d2 e0"), [(False, 0)] * 3)
        self.assertEqual(drain(queue), ["a", "b"])

    def test_size(self) -> None:
        """As many bytes wait as `size` allows, the overhead of each message included."""
        queue = self.make(size=2 * OVERHEAD + 100)
        self.assertEqual(push(queue, "a", 1, 60), (True, 0))
        self.assertEqual(push(queue, "b", 1, 41), (False, 0))
        self.assertEqual(push(queue, "c", 1, 40), (True, 0))
        self.assertEqual(drain(queue), ["a", "c"])

    def test_oldest_qos_0_goes_first(self) -> None:
        """A full queue gives up its QoS 0 messages, the oldest first, for whatever comes."""
        queue = self.make(messages=4)
        self.push(queue, "a1 b0 c0 d2")
        self.assertEqual(self.push(queue, "e0 f1 g1 h1"), [(True, 1), (True, 1), (True, 1), (False, 0)])
        self.assertEqual(drain(queue), ["a", "d", "f", "g"])

    def test_several_for_a_large_one(self) -> None:
        """As many go as a large message needs."""
        queue = self.make(size=1000)
        for one in "abc":
            push(queue, one, 0, 100)
        self.assertEqual(push(queue, "d", 1, 400), (True, 2))
        self.assertEqual(drain(queue), ["c", "d"])

    def test_larger_than_the_queue(self) -> None:
        """For a message that could never fit none goes."""
        queue = self.make(size=1000)
        push(queue, "a", 0, 100)
        self.assertEqual(push(queue, "b", 1, 801), (False, 0))
        self.assertEqual(push(queue, "c", 1, 400), (True, 0))
        self.assertEqual(drain(queue), ["a", "c"])

    def test_has_room(self) -> None:
        """There is room while one more small message can come in without another having to go."""
        queue = self.make(messages=2)
        self.push(queue, "a0")
        self.assertTrue(queue.has_room)
        self.push(queue, "b0")
        self.assertFalse(queue.has_room)
        queue.first()
        queue.pop()
        self.assertTrue(queue.has_room)
        queue = self.make(size=2 * OVERHEAD)
        self.assertTrue(queue.has_room)
        self.push(queue, "c0")
        self.assertFalse(queue.has_room)

    def test_has_room_for(self) -> None:
        """There is room for a message as long as it would come in without another having to go."""
        queue = self.make(size=1000)
        push(queue, "a", 0, 300)
        room = 1000 - 300 - 2 * OVERHEAD
        self.assertEqual((queue.has_room_for(room), queue.has_room_for(room + 1)), (True, False))

    def test_replayed_do_not_count(self) -> None:
        """Replayed messages take no room and are not evicted."""
        queue = self.make(messages=1, size=1000)
        self.assertEqual(self.push(queue, "a0 b1 c2", replayed=True), [(True, 0)] * 3)
        self.assertTrue(queue.has_room)
        self.assertEqual(self.push(queue, "d0"), [(True, 0)])
        self.assertFalse(queue.has_room)
        self.assertEqual(self.push(queue, "e1"), [(True, 1)])
        self.assertEqual(self.push(queue, "f0", replayed=True), [(True, 0)])
        self.assertEqual(queue.qos_0, 2)
        self.assertEqual(drain(queue), ["a", "b", "c", "e", "f"])

    def test_replayed_before_what_can_be_evicted(self) -> None:
        """When a replayed QoS 0 message has gone, one that counts can still be evicted."""
        queue = self.make(messages=1)
        self.push(queue, "a0", replayed=True)
        self.push(queue, "b0")
        queue.first()
        queue.pop()
        self.assertEqual(self.push(queue, "c1"), [(True, 1)])
        self.assertEqual(drain(queue), ["c"])

    def test_replayed_may_be_of_any_size(self) -> None:
        """The limit in bytes does not count for a replayed message either."""
        queue = self.make(size=1000)
        self.assertEqual(push(queue, "a", 1, 5000, replayed=True), (True, 0))

    def test_replayed_hold_no_message(self) -> None:
        """Of a retained message that waits only its place is held; it is there when its turn comes."""
        queue = self.make(messages=1)
        message = Message("a", b"a")
        queue.push_kept([Delivery(message, Grant(0), Kept(message))])
        [one] = queue
        self.assertIsNone(one.message)
        self.assertEqual(len(queue), 1)
        self.assertIs(queue.first(), one)
        self.assertIs(one.message, message)
        queue.pop()
        self.assertEqual((len(queue), queue.qos_0, queue.messages, queue.size), (0, 0, 0, 0))

    def test_replayed_and_replaced(self) -> None:
        """A retained message that was replaced before its turn comes without it, wherever it stands."""
        for qos in (0, 1):
            for gone in range(3):
                queue = self.make()
                places = [Kept(Message("", str(number).encode(), qos)) for number in range(3)]
                for kept in places:
                    assert kept.message is not None
                    queue.push_kept([Delivery(kept.message, Grant(qos), kept)])
                push(queue, "x", 1, share="$share/g/x")
                places[gone].message = None
                queue.take(by(""))  # what it rebuilds counts the same
                drained = ["" if number == gone else str(number) for number in range(3)]
                self.assertEqual(drain(queue), drained)
                self.assertEqual((len(queue), queue.qos_0, queue.messages, queue.size), (0, 0, 0, 0))

    def test_evicting_does_not_pile_up(self) -> None:
        """However many were evicted, the queue keeps no more than twice what is in it."""
        queue = self.make(messages=10)
        self.push(queue, "a1 b1 c1 d1 e1")
        for _ in range(1000):
            push(queue, "x", 0)
        self.assertLessEqual(len(queue._deliveries), 20)
        self.assertEqual(drain(queue), ["a", "b", "c", "d", "e"] + ["x"] * 5)

    def test_first_after_evicting(self) -> None:
        """`first` passes over what was evicted, at the front, in the middle and alone."""
        queue = self.make(messages=3)
        self.push(queue, "a0 b1 c1 d1")
        first = queue.first()
        assert first is not None
        self.assertEqual(name(first), "b")
        self.assertEqual(len(queue), 3)
        queue = self.make(messages=1)
        self.push(queue, "a0 b0")
        self.assertEqual(drain(queue), ["b"])


class TakeTests(QueueTestCase):
    """`take`: what came by Shared Subscriptions may go to another member."""

    def fill(self) -> WaitingQueue:
        queue = self.make(messages=6)
        for one, share in (
            ("a", "$share/g/x"),
            ("b", ""),
            ("c", "$share/h/x"),
            ("d", "$share/g/x"),
            ("e", ""),
        ):
            push(queue, one, 0 if one in "be" else 1, 1, share)
        return queue

    def test_one_share(self) -> None:
        """What came by one Shared Subscription is taken out, in its order; the rest keeps its own."""
        queue = self.fill()
        self.assertEqual([name(one) for one in queue.take(by("$share/g/x"))], ["a", "d"])
        self.assertEqual((len(queue), queue.messages, queue.qos_0), (3, 3, 2))
        self.assertEqual(drain(queue), ["b", "c", "e"])

    def test_all_shares(self) -> None:
        """An empty name takes what came by any Shared Subscription."""
        queue = self.fill()
        self.assertEqual([name(one) for one in queue.take(by(""))], ["a", "c", "d"])
        self.assertEqual(drain(queue), ["b", "e"])

    def test_none(self) -> None:
        """Where nothing came by that Shared Subscription nothing changes."""
        queue = self.fill()
        self.assertEqual(queue.take(by("$share/i/x")), [])
        self.assertEqual(names(queue), ["a", "b", "c", "d", "e"])

    def test_rest_can_still_be_evicted(self) -> None:
        """What stays is evicted like before, and what was evicted is not taken."""
        queue = self.fill()
        push(queue, "f", 0, 1, "$share/g/x")
        self.assertEqual(push(queue, "g", 1), (True, 1))
        self.assertEqual([name(one) for one in queue.take(by(""))], ["a", "c", "d", "f"])
        self.push(queue, "h1 i1 j1 k1")
        self.assertEqual(self.push(queue, "l1"), [(True, 1)])
        self.assertEqual(drain(queue), ["g", "h", "i", "j", "k", "l"])
