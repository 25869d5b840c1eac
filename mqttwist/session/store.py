"""What is to survive the broker goes through here: plain calls of the core on whatever keeps it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from mqttwist.session.journal import Journal
from mqttwist.session.session import Session, Subscription
from mqttwist.wire.message import Kept


class Store(Protocol):
    """Keeps Sessions and retained messages.

    The broker reads it once, at its start, and then tells it of changes. A store that survives the process
    has a `journal`, in which those changes are recorded too that happen for each message.
    """

    @property
    def journal(self) -> Journal | None:
        """What changes are recorded in; None where nothing outlives the process."""

    @property
    def is_open(self) -> bool:
        """Whether it can be read; else whoever starts the broker opens it and calls `Broker.restore`."""

    def sessions(self) -> Iterable[Session]:
        """The sessions kept, none of them connected."""

    def retained(self) -> Iterable[Kept]:
        """The retained messages kept, each in its place and with who published it."""

    def session_saved(self, session: Session) -> None:
        """`session` is new, or its client, expiry interval or version is another one, or it has left.

        A session that does not expire with its connection, or has a will, is to survive.
        """

    def session_removed(self, session: Session) -> None:
        """`session` has ended [MQTT-4.1.0-2]."""

    def subscription_added(self, session: Session, subscription: Subscription) -> None:
        """`session` has a subscription, new or in the place of one with the same filter [MQTT-3.8.4-3]."""

    def subscription_removed(self, session: Session, topic_filter: str) -> None:
        """`session` has a subscription no more."""

    def will_changed(self, session: Session) -> None:
        """The will of `session` is another one, or none any more."""

    def retained_changed(self, topic_name: str, kept: Kept | None) -> None:
        """The retained message of `topic_name` is another one, in the place `kept`; None: there is none."""
