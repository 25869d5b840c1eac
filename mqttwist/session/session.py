"""The Session (4.1): what is remembered of a client, whether it is connected or not."""

from __future__ import annotations

from typing import Final

from mqttwist.session.incoming import IncomingFlow
from mqttwist.session.journal import Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import OutgoingFlow
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.connect import Will
from mqttwist.wire.subscribe import SubscriptionOptions

NEVER: Final = 0xFFFFFFFF  # the Session Expiry Interval of a session that does not expire (3.1.2.11.2)


class Subscription:
    """A Topic Filter of a session with its options; `identifier` is 0 where the SUBSCRIBE had none."""

    __slots__ = ("identifier", "options")

    options: SubscriptionOptions
    identifier: int

    def __init__(self, options: SubscriptionOptions, identifier: int = 0) -> None:
        self.options = options
        self.identifier = identifier


class Session:
    """One client's Session State.

    `expiry_interval` in seconds: 0 ends the session with its connection, `NEVER` keeps it for good. `gone_at`
    is when the client left, by the broker's clock; None while it is connected. `sid` is the session's number
    in a store, 0 while none has it.
    """

    __slots__ = (
        "client_id", "expiry_interval", "gone_at", "identity", "incoming", "outgoing", "sid", "subscriptions",
        "username", "version", "will",
    )  # fmt: skip

    client_id: str
    username: str | None  # what the client calls itself
    identity: str | None  # who it was proven to be; None where nobody was asked
    version: int
    expiry_interval: int
    subscriptions: dict[str, Subscription]
    outgoing: OutgoingFlow
    incoming: IncomingFlow
    will: Will | None  # to be published unless the client says goodbye, or comes back in time
    gone_at: float | None
    sid: int

    def __init__(self, client_id: str, limits: QueueLimits, drops: Drops) -> None:
        self.client_id = client_id
        self.username = None
        self.identity = None
        self.version = 0
        self.expiry_interval = 0
        self.subscriptions = {}
        self.outgoing = OutgoingFlow(client_id, limits, drops)
        self.incoming = IncomingFlow()
        self.will = None
        self.gone_at = None
        self.sid = 0

    def record(self, journal: Journal) -> None:
        """From now on what happens to the messages of this session is recorded; it has a `sid`."""
        self.outgoing.record(journal, self.sid)
        self.incoming.record(journal, self.sid)

    @property
    def is_connected(self) -> bool:
        return self.outgoing.connection is not None
