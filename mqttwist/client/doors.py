"""What the client asks of the outside: who is told what happens, who proves who we are, who runs handlers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from mqttwist.wire.connect import ConnAck
from mqttwist.wire.publish import Publish

if TYPE_CHECKING:
    from mqttwist.client.connection import ClientConnection
    from mqttwist.client.errors import ClientError
    from mqttwist.client.received import Received
    from mqttwist.client.subscriptions import Subscriber


class Owner(Protocol):
    """Is told what becomes of connections, in the middle of a turn: it must not use the client there."""

    def connected(self, connection: ClientConnection, connack: ConnAck) -> object:
        """The Server has accepted us, and what was due has been sent."""

    def ended(self, connection: ClientConnection, error: ClientError) -> object:
        """A connection is over, be it accepted or not: a `ConnectRefused` or a `ConnectionEnded`.

        It closes its transport itself.
        """

    def session_lost(self, connection: ClientConnection, messages: int) -> object:
        """The Server has lost a session with so many unconfirmed messages of ours."""

    def dropped(self, subscriber: Subscriber) -> object:
        """A message of QoS 0 was dropped: the application takes them more slowly than they come."""

    def overdue(self, received: Received, topic_filters: list[str], others: int) -> object:
        """The application has had a message for long, and `others` wait to be acknowledged behind it."""

    def left_out(self, what: str) -> object:
        """The version of this connection can't say what the application has asked for; once for each kind."""

    def unclaimed(self, publish: Publish) -> object:
        """A message came that no subscriber is there for. It is acknowledged."""


class Authenticator(Protocol):
    """Proves to the Server who we are, and perhaps the reverse: enhanced authentication (4.12).

    Any of the calls may raise `AuthenticationFailed`, which ends the connection.
    """

    @property
    def method(self) -> str:
        """The Authentication Method."""

    def start(self) -> bytes | None:
        """A new exchange begins: the Authentication Data of CONNECT, or of AUTH when it is done again."""

    def step(self, data: bytes | None) -> bytes | None:
        """The Server has sent `data`: what to answer."""

    def finish(self, data: bytes | None) -> object:
        """The Server says that we have succeeded, and sends `data`."""


class AuthenticationFailed(Exception):
    """The other side has not proven what it should."""


Follow = Callable[[object, Callable[["BaseException | None"], object]], object]
"""Follow what the application has returned to its end, and then call the second argument.

That is given what it failed with, or None. What takes no time is at its end already.
"""
