"""What subscriptions grant to their receiver: how messages that they match are sent (3.8.3.1, 3.3.1)."""

from __future__ import annotations

from mqttwist.native import mypyc_attr


@mypyc_attr(acyclic=True)
class Grant:
    """The terms on which one receiver gets messages: made once, used for every message, never changed.

    `qos` is the highest that was granted, `identifiers` are the Subscription Identifiers, `share` is the full
    filter of the Shared Subscription or "".
    """

    __slots__ = ("identifiers", "qos", "retain_as_published", "share")

    qos: int
    retain_as_published: bool
    identifiers: tuple[int, ...]
    share: str

    def __init__(
        self,
        qos: int,
        retain_as_published: bool = False,
        identifiers: tuple[int, ...] = (),
        share: str = "",
    ) -> None:
        self.qos = qos
        self.retain_as_published = retain_as_published
        self.identifiers = identifiers
        self.share = share
