"""What a process before this one has published and not seen confirmed, as it comes out of the store."""

from __future__ import annotations

from collections.abc import Callable

from mqttwist.session.delivery import Delivery
from mqttwist.session.waiting import Backlog


class RestoredBacklog:
    """The deliveries of `backlog`; each is shown to `found` when it is fetched."""

    __slots__ = ("_backlog", "_found")

    _backlog: Backlog
    _found: Callable[[Delivery], object]

    def __init__(self, backlog: Backlog, found: Callable[[Delivery], object]) -> None:
        self._backlog = backlog
        self._found = found

    def fetch(self) -> list[Delivery]:
        """The next ones, in their order; none when all have been fetched."""
        deliveries = self._backlog.fetch()
        for delivery in deliveries:
            self._found(delivery)
        return deliveries
