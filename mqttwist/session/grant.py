"""What subscriptions grant to their receiver: how messages that they match are sent (3.8.3.1, 3.3.1)."""

from __future__ import annotations


class Grant:
    """The terms on which one receiver gets messages: made once, used for every message, never changed.

    `qos` is the highest that was granted, `identifiers` are the Subscription Identifiers. `share` is the full
    filter of the Shared Subscription or "". `replayed` says that it is for retained messages which are sent
    because of a SUBSCRIBE.
    """

    __slots__ = ("identifiers", "qos", "replayed", "retain_as_published", "share")

    qos: int
    retain_as_published: bool
    identifiers: tuple[int, ...]
    share: str
    replayed: bool

    def __init__(
        self,
        qos: int,
        retain_as_published: bool = False,
        identifiers: tuple[int, ...] = (),
        share: str = "",
        replayed: bool = False,
    ) -> None:
        self.qos = qos
        self.retain_as_published = retain_as_published
        self.identifiers = identifiers
        self.share = share
        self.replayed = replayed
