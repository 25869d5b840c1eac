"""The bounded queue of what can't be sent yet, because the client is away or its quota is used up."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from mqttwist.session.delivery import Delivery
from mqttwist.wire.message import Message

OVERHEAD: Final = 200  # bytes that a waiting message takes beside its content, roughly


class QueueLimits:
    """How much may wait for one client: `messages`, and `size` in bytes; 0 is no limit.

    `qos_0` says whether QoS 0 messages wait for a client that is away (4.1 leaves it open).
    """

    __slots__ = ("messages", "qos_0", "size")

    messages: int
    size: int
    qos_0: bool

    def __init__(self, messages: int, size: int, qos_0: bool) -> None:
        self.messages = messages
        self.size = size
        self.qos_0 = qos_0


class Backlog(Protocol):
    """Deliveries that were stored by a process before this one, and are still on disk only."""

    def fetch(self) -> list[Delivery]:
        """The next ones, in their order; none when all have been fetched."""


NONE_WAIT: Final[deque[Delivery]] = deque()  # in the place of a queue of one's own: those take 600 bytes each


class WaitingQueue:
    """First in, first out; when it is full the oldest QoS 0 message goes first, then what would come in.

    Replayed deliveries don't count against the limits, since they refer to messages that are retained anyway.
    One whose message was replaced or removed before its turn is left out, and is no drop: the subscriber was
    sent what came in its place.

    An evicted delivery stays in its place as an empty shell until it comes to the front or the shells
    outnumber the rest, so that evicting costs the same however long the queue is.

    A queue that was taken up from a store begins with a `Backlog`, which is fetched bit by bit when its turn
    comes. It holds no messages of QoS 0.
    """

    __slots__ = (
        "_backlog", "_deliveries", "_evictable", "_fetched", "_unfetched", "_unfetched_size", "length",
        "limits", "messages", "qos_0", "size",
    )  # fmt: skip

    length: int  # how many wait
    messages: int  # how many of them count against the limit
    size: int  # how many bytes count against the limit
    qos_0: int  # how many of QoS 0 wait, replayed ones included
    limits: QueueLimits
    _deliveries: deque[Delivery]
    _evictable: deque[Delivery]  # those of QoS 0 that count against the limits, oldest first
    _backlog: Backlog | None
    _unfetched: int  # how many the backlog still has
    _unfetched_size: int  # bytes that they count for
    _fetched: int  # how many at the front have come from the backlog

    def __init__(self, limits: QueueLimits) -> None:
        self.length = 0
        self.messages = 0
        self.size = 0
        self.qos_0 = 0
        self._deliveries = NONE_WAIT
        self._evictable = NONE_WAIT
        self._backlog = None
        self._unfetched = self._unfetched_size = self._fetched = 0
        self.limits = limits

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Delivery]:
        self.fetch_all()
        return iter([delivery for delivery in self._deliveries if not _is_shell(delivery)])

    @property
    def has_room(self) -> bool:
        """Whether one more small message can come in without another having to go."""
        return not self._is_full(OVERHEAD)

    def has_room_for(self, size: int) -> bool:
        """The same for a message of `size` bytes."""
        return not self._is_full(size + OVERHEAD)

    def _is_full(self, size: int) -> bool:
        limits = self.limits
        return (limits.messages > 0 and self.messages >= limits.messages) or (
            limits.size > 0 and self.size + size > limits.size
        )

    def push(self, delivery: Delivery, message: Message) -> tuple[bool, int]:
        """Add at the end: whether there was room, and how many QoS 0 messages had to go for it."""
        evicted = 0
        # `message.size`, without a call for every message that waits.
        content = len(message.data) + len(message.head) + len(message.forwarded) + len(message.topic_name)
        size = content + OVERHEAD
        limits = self.limits
        if 0 < limits.size < self.size + size or 0 < limits.messages <= self.messages:
            if 0 < limits.size < size:
                return False, 0
            while self._is_full(size):
                if self.evict_qos_0() is None:
                    return False, evicted
                evicted += 1
        delivery.size = size
        self.length += 1
        self.messages += 1
        self.size += size
        if delivery.qos == 0:
            self.qos_0 += 1
            self._append_evictable(delivery)
        if self._deliveries is NONE_WAIT:
            self._deliveries = deque()
        self._deliveries.append(delivery)
        return True, evicted

    def could_hold(self, message: Message) -> bool:
        """Whether there would be room for `message` if nothing else waited."""
        return not 0 < self.limits.size < message.size + OVERHEAD

    def push_kept(self, deliveries: list[Delivery]) -> None:
        """Add deliveries of retained messages at the end, by their places."""
        if self._deliveries is NONE_WAIT:
            self._deliveries = deque()
        self._deliveries.extend(deliveries)
        self.length += len(deliveries)
        self.qos_0 += len([delivery for delivery in deliveries if delivery.qos == 0])

    def _append_evictable(self, delivery: Delivery) -> None:
        if self._evictable is NONE_WAIT:
            self._evictable = deque()
        self._evictable.append(delivery)

    def first(self) -> Delivery | None:
        """The delivery whose turn it is, left in its place.

        Its message is None if it was a retained one that is no more.
        """
        if self._backlog is not None and not self._fetched:
            self.fetch()
        deliveries = self._deliveries
        while deliveries:
            delivery = deliveries[0]
            kept = delivery.kept
            if kept is not None:
                delivery.message = kept.message
                return delivery
            if delivery.message is not None:
                return delivery
            deliveries.popleft()
            if self._fetched:
                self._fetched -= 1
        return None

    def pop(self) -> None:
        """Take `first()` out."""
        delivery = self._deliveries.popleft()
        if self._fetched:
            self._fetched -= 1
        self.length -= 1  # as `_forget` does, without a call for every message
        if delivery.qos == 0:
            self.qos_0 -= 1
        if delivery.kept is None:
            self.messages -= 1
            self.size -= delivery.size
            if delivery.qos == 0:
                self._evictable.popleft()  # the oldest of all is the oldest of its kind

    def take(self, is_wanted: Callable[[Delivery], bool]) -> list[Delivery]:
        """Take out all that `is_wanted`, in their order; the rest keeps its own."""
        taken: list[Delivery] = []
        rest: list[Delivery] = []
        for delivery in self:
            (taken if is_wanted(delivery) else rest).append(delivery)
        if taken:
            self._fill(rest)
        return taken

    def _fill(self, deliveries: list[Delivery]) -> None:
        """Let the queue hold `deliveries` and nothing else: some of those that it held before."""
        self.clear()
        self._deliveries = deque(deliveries)
        self.length = len(deliveries)
        for delivery in deliveries:
            if delivery.qos == 0:
                self.qos_0 += 1
            if delivery.kept is None:
                self.messages += 1
                self.size += delivery.size
                if delivery.qos == 0:
                    self._append_evictable(delivery)

    # What was stored before

    def take_up(self, backlog: Backlog, messages: int, size: int) -> None:
        """So many deliveries, which count for `size` bytes, are in `backlog`; they come before all others."""
        self._backlog = backlog
        self._unfetched = messages
        self._unfetched_size = size
        self.length += messages
        self.messages += messages
        self.size += size

    def fetch_through(self, wrap: Callable[[Backlog], Backlog]) -> None:
        """Have what is still in the backlog come through what `wrap` makes of it."""
        if self._backlog is not None:
            self._backlog = wrap(self._backlog)

    def fetch(self) -> bool:
        """Have the next bit of the backlog in memory, behind what was fetched before; False: nothing left."""
        backlog = self._backlog
        if backlog is None:
            return False
        deliveries = backlog.fetch()
        if not deliveries:
            self._backlog = None
        self._unfetched -= len(deliveries)
        size = sum([delivery.size for delivery in deliveries])
        self._unfetched_size -= size
        if self._backlog is None:  # what was counted and is not there
            self._discount(self._unfetched, self._unfetched_size)
            self._unfetched = self._unfetched_size = 0
            return False
        self.messages -= len([delivery for delivery in deliveries if delivery.kept is not None])
        self._insert(deliveries)
        return True

    def fetch_all(self) -> None:
        """Have all of the backlog in memory."""
        while self.fetch():
            pass

    def take_sent(self) -> list[Delivery]:
        """Take out what was sent before and is not confirmed: it stands at the front of the backlog."""
        sent: list[Delivery] = []
        while self._backlog is not None and (self._fetched or self.fetch()):
            delivery = self._deliveries[0]
            if not delivery.awaiting:
                break
            self._deliveries.popleft()
            self._fetched -= 1
            self._forget(delivery)
            sent.append(delivery)
        return sent

    def put_back(self, deliveries: list[Delivery]) -> None:
        """What was sent is to be sent as if it had never been: before all others, in this order.

        No limit holds for it: it was accepted before.
        """
        if not deliveries:
            return
        if self._deliveries is NONE_WAIT:
            self._deliveries = deque()
        for delivery in deliveries:
            message = delivery.message
            delivery.size = OVERHEAD + (0 if message is None else message.size)
            self.length += 1
            self.messages += 1
            self.size += delivery.size
        self._deliveries.extendleft(reversed(deliveries))
        if self._backlog is not None:
            self._fetched += len(deliveries)

    def _insert(self, deliveries: list[Delivery]) -> None:
        """Put in what has come from the backlog."""
        if self._deliveries is NONE_WAIT:
            self._deliveries = deque()
        all_here = self._deliveries
        behind = len(all_here) - self._fetched
        if self._fetched <= behind:  # take out for a moment what is fewer
            ahead = [all_here.popleft() for _ in range(self._fetched)]
            all_here.extendleft(reversed(deliveries))
            all_here.extendleft(reversed(ahead))
        else:
            pushed = [all_here.pop() for _ in range(behind)]
            all_here.extend(deliveries)
            all_here.extend(reversed(pushed))
        self._fetched += len(deliveries)

    def _discount(self, messages: int, size: int) -> None:
        self.length -= messages
        self.messages -= messages
        self.size -= size

    def clear(self) -> None:
        self._backlog = None
        self._unfetched = self._unfetched_size = self._fetched = 0
        self._deliveries = self._evictable = NONE_WAIT
        self.length = self.messages = self.size = self.qos_0 = 0

    def _forget(self, delivery: Delivery) -> None:
        self.length -= 1
        if delivery.qos == 0:
            self.qos_0 -= 1
        if delivery.kept is None:
            self.messages -= 1
            self.size -= delivery.size

    def evict_qos_0(self) -> Delivery | None:
        """Take out the oldest message of QoS 0 that counts against the limits; None if there is none."""
        if not self._evictable:
            return None
        delivery = self._evictable.popleft()
        self._make_shell(delivery)
        return delivery

    def discard(self, delivery: Delivery) -> None:
        """Take out a delivery that was pushed and waits; no replayed one."""
        if delivery.qos == 0:
            self._evictable.remove(delivery)
        self._make_shell(delivery)

    def _make_shell(self, delivery: Delivery) -> None:
        """Leave an empty shell in the place of a delivery, and sweep when there are more of them than others.

        Those at the front that are counted as fetched wait until they come to the front.
        """
        self._forget(delivery)
        delivery.message = None
        if self.length * 2 < len(self._deliveries) and not self._fetched:
            self._deliveries = deque([one for one in self._deliveries if not _is_shell(one)])


def _is_shell(delivery: Delivery) -> bool:
    return delivery.message is None and delivery.kept is None
