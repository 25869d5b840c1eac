"""What the broker asks of the outside: who may do what, who wants to know, who checks a login.

These are plain protocols, so that any object with the methods will do. `IAuthority` in `mqttwist.net.auth`
says the same of an `Authority` for zope.interface.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mqttwist.wire.connect import Connect
from mqttwist.wire.errors import MQTTError

if TYPE_CHECKING:
    from mqttwist.broker.connection import ServerConnection


class Authority(Protocol):
    """What one client may do. Answers at once; the answers are remembered for the connection."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        """Whether the client may publish to `topic_name`."""

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        """Whether the client may subscribe to `topic_filter` ($share/... included)."""

    def may_receive(self, topic_name: str) -> bool:
        """Whether the client may be sent what is published to `topic_name`."""


class Login(Protocol):
    """Checks who a client is."""

    def __call__(self, connection: ServerConnection, connect: Connect) -> object:
        """Call `connection.accept` or `connection.refuse`, now or later."""


class Observer(Protocol):
    """Is told what happens to connections: the log is one, a test may be another."""

    def connected(self, connection: ServerConnection, session_present: bool) -> object:
        """A client was accepted."""

    def refused(self, connection: ServerConnection, reason_code: int, text: str) -> object:
        """A client was not accepted: CONNACK said `reason_code`, or (0) the connection was just closed."""

    def faulted(self, connection: ServerConnection, error: MQTTError) -> object:
        """The peer broke the protocol; the connection is closed."""

    def subscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> object:
        """A subscription was granted, or refused (0x80 and above)."""

    def unsubscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> object:
        """A subscription was removed, or (0x11) there was none."""

    def publish_refused(self, client_id: str, topic_name: str, reason_code: int, messages: int) -> object:
        """So many messages were not accepted since the last call; the last was to `topic_name`."""

    def disconnected(self, connection: ServerConnection, cause: str) -> object:
        """A client that was accepted has gone, or was sent away."""

    def session_ended(self, client_id: str, cause: str) -> object:
        """The state of a session was discarded."""

    def will_published(self, client_id: str, topic_name: str) -> object:
        """The will of a client went out."""

    def dropped(self, client_id: str, reason: str, messages: int) -> object:
        """So many messages were not delivered to the client since the last call."""


class SilentObserver:
    """An observer that doesn't care."""

    def connected(self, connection: ServerConnection, session_present: bool) -> None:
        """Nothing."""

    def refused(self, connection: ServerConnection, reason_code: int, text: str) -> None:
        """Nothing."""

    def faulted(self, connection: ServerConnection, error: MQTTError) -> None:
        """Nothing."""

    def subscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        """Nothing."""

    def unsubscribed(self, connection: ServerConnection, topic_filter: str, reason_code: int) -> None:
        """Nothing."""

    def publish_refused(self, client_id: str, topic_name: str, reason_code: int, messages: int) -> None:
        """Nothing."""

    def disconnected(self, connection: ServerConnection, cause: str) -> None:
        """Nothing."""

    def session_ended(self, client_id: str, cause: str) -> None:
        """Nothing."""

    def will_published(self, client_id: str, topic_name: str) -> None:
        """Nothing."""

    def dropped(self, client_id: str, reason: str, messages: int) -> None:
        """Nothing."""
