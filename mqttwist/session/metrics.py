"""Counters, as plain integers: cheap to count, and read by whoever shows them ($SYS, logs, a status page)."""

from __future__ import annotations


class Metrics:
    """What has gone through since the start.

    PUBLISH and the other packets are counted apart; `messages_received` and `messages_sent` follow. Received
    packets count when they were well formed; PUBLISH at the end of the turn.
    """

    __slots__ = (
        "bytes_received", "bytes_sent", "connections_opened", "connections_refused", "others_received",
        "others_sent", "protocol_errors", "publishes_received", "publishes_sent",
    )  # fmt: skip

    bytes_received: int
    bytes_sent: int
    publishes_received: int
    others_received: int  # all but PUBLISH
    others_sent: int
    publishes_sent: int
    connections_opened: int
    connections_refused: int
    protocol_errors: int

    def __init__(self) -> None:
        self.bytes_received = 0
        self.bytes_sent = 0
        self.publishes_received = 0
        self.others_received = 0
        self.others_sent = 0
        self.publishes_sent = 0
        self.connections_opened = 0
        self.connections_refused = 0
        self.protocol_errors = 0

    @property
    def messages_received(self) -> int:
        """MQTT Control Packets of any kind."""
        return self.publishes_received + self.others_received

    @property
    def messages_sent(self) -> int:
        """MQTT Control Packets of any kind."""
        return self.publishes_sent + self.others_sent


class Drops:
    """Messages that were not delivered, by client and by reason: none goes without a word.

    `totals` counts since the start; `take` hands out what has come together since the last call, so that a
    flood becomes one line in the log for each client and reason.
    """

    __slots__ = ("_recent", "totals")

    totals: dict[str, int]
    _recent: dict[tuple[str, str], int]

    def __init__(self) -> None:
        self.totals = {}
        self._recent = {}

    def count(self, client_id: str, reason: str, messages: int = 1) -> None:
        self.totals[reason] = self.totals.get(reason, 0) + messages
        key = (client_id, reason)
        self._recent[key] = self._recent.get(key, 0) + messages

    def withdraw(self, client_id: str, reason: str) -> None:
        """One message that was counted in this turn is no drop after all."""
        self.totals[reason] -= 1
        if not self.totals[reason]:
            del self.totals[reason]
        key = (client_id, reason)
        self._recent[key] -= 1
        if not self._recent[key]:
            del self._recent[key]

    def take(self) -> list[tuple[str, str, int]]:
        """(client id, reason, how many) since the last call."""
        recent = [(client_id, reason, messages) for (client_id, reason), messages in self._recent.items()]
        self._recent.clear()
        return recent

    @property
    def total(self) -> int:
        return sum(self.totals.values())
