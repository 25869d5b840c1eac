"""The store that keeps things as long as the process lives: a broker started again with it goes on."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import implementer

from mqttwist.session.session import Session, Subscription
from mqttwist.stores.interfaces import IStore
from mqttwist.wire.message import Kept


@implementer(IStore)
class MemoryStore:
    """Holds the sessions themselves, so what changes inside of them needs no copy."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._retained: dict[str, Kept] = {}

    @property
    def journal(self) -> None:
        """Nothing outlives the process."""
        return None

    @property
    def is_open(self) -> bool:
        return True

    def sessions(self) -> Iterable[Session]:
        return list(self._sessions.values())

    def retained(self) -> Iterable[Kept]:
        return list(self._retained.values())

    def session_saved(self, session: Session) -> None:
        self._sessions[session.client_id] = session

    def session_removed(self, session: Session) -> None:
        self._sessions.pop(session.client_id, None)

    def subscription_added(self, session: Session, subscription: Subscription) -> None:
        """The session holds it."""

    def subscription_removed(self, session: Session, topic_filter: str) -> None:
        """The session has dropped it."""

    def will_changed(self, session: Session) -> None:
        """The session holds it."""

    def retained_changed(self, topic_name: str, kept: Kept | None) -> None:
        if kept is None:
            self._retained.pop(topic_name, None)
        else:
            self._retained[topic_name] = kept
