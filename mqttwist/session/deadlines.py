"""Everything that is due at some time: keep alive, connect timeout, session expiry, will delay, ...

One heap for all of them; `tick(now)` calls what is due. Nothing here reads a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush


class Deadline:
    """`action(now)` is to be called at `when`, unless it is cancelled before."""

    __slots__ = ("action", "owner", "when")

    when: float
    action: Callable[[float], None] | None
    owner: Deadlines

    def __init__(self, when: float, action: Callable[[float], None], owner: Deadlines) -> None:
        self.when = when
        self.action = action
        self.owner = owner

    def cancel(self) -> None:
        """Forget it; harmless when it is over."""
        if self.action is not None:
            self.action = None
            self.owner.one_cancelled()


class Deadlines:
    """The heap. Cancelled deadlines are swept out when they are more than half of it."""

    __slots__ = ("_cancelled", "_count", "_heap")

    _heap: list[tuple[float, int, Deadline]]
    _count: int
    _cancelled: int

    def __init__(self) -> None:
        self._heap = []
        self._count = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    @property
    def next_at(self) -> float | None:
        """When something may be due next; None when nothing is."""
        heap = self._heap
        while heap and heap[0][2].action is None:
            heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def at(self, when: float, action: Callable[[float], None]) -> Deadline:
        deadline = Deadline(when, action, self)
        self._count += 1
        heappush(self._heap, (when, self._count, deadline))
        return deadline

    def tick(self, now: float) -> None:
        """Call what is due, the earliest first; what it adds is called too when it is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            deadline = heappop(heap)[2]
            action = deadline.action
            if action is None:
                self._cancelled -= 1
            else:
                deadline.action = None
                action(now)
            heap = self._heap

    def one_cancelled(self) -> None:
        """Count it, and sweep when it is time."""
        self._cancelled += 1
        if self._cancelled > 64 and self._cancelled * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if entry[2].action is not None]
            heapify(self._heap)
            self._cancelled = 0
