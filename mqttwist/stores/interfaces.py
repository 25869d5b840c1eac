"""The interface of a store, for zope: the calls of `mqttwist.session.store.Store`, which types the core."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import Attribute, Interface

from mqttwist.session.session import Session, Subscription
from mqttwist.wire.message import Kept


class IStore(Interface):
    """Keeps Sessions and retained messages.

    The broker reads it once, at its start, and from then on tells it of changes.
    """

    journal = Attribute("the `Journal` that changes are recorded in, None where nothing outlives the process")
    is_open = Attribute("whether the store can be read; else whoever starts the broker opens it")

    def sessions() -> Iterable[Session]:
        """Answer the sessions kept, none of them connected."""

    def retained() -> Iterable[Kept]:
        """Answer the retained messages kept, each in its place and with who published it."""

    def session_saved(session: Session) -> None:
        """Keep a session that is new or has left, or whose client, expiry or version is another one."""

    def session_removed(session: Session) -> None:
        """Forget a session that has ended."""

    def subscription_added(session: Session, subscription: Subscription) -> None:
        """Keep a subscription, new or in the place of one with the same filter."""

    def subscription_removed(session: Session, topic_filter: str) -> None:
        """Forget a subscription."""

    def will_changed(session: Session) -> None:
        """Keep the will of a session, or forget it when it has none any more."""

    def retained_changed(topic_name: str, kept: Kept | None) -> None:
        """Keep a retained message in its place, or forget it when `kept` is None."""
