"""Logins: from the CONNECT packet's fields through `twisted.cred` to an authority.

The way of one login:

1. `credentials_of` turns User Name and Password of a CONNECT into credentials: `MQTTCredentials`, or
   `Anonymous` when the client sent neither.
2. `login` asks the portal. A checker says who this is (the avatar id: the user name, or `ANONYMOUS`).
3. The realm turns the avatar id into an `IAuthority`, which answers what this user may do.

Every way of being wrong ends as the same `LoginRefused`, so that nobody learns whether the user exists.
Any other failure means that the server could not find out; `ServerBusy` is the one of them with a name.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from twisted.cred.checkers import (
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import (
    Anonymous,
    ICredentials,
    IUsernameHashedPassword,
    IUsernamePassword,
)
from twisted.cred.error import LoginFailed, Unauthorized, UnauthorizedLogin
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure
from zope.interface import Interface, implementer

AvatarId: TypeAlias = bytes | tuple[()]
"""Who logged in: the user name in UTF-8, or `twisted.cred.checkers.ANONYMOUS`, the empty tuple."""

Logout: TypeAlias = Callable[[], object]
"""Called once when the connection of a login has ended."""


class IAuthority(Interface):
    """What one connection may do: the avatar of a login.

    The answers are given at once, without waiting and without raising: they are asked for on the way of
    a packet. The broker remembers each answer for as long as the connection lives, per topic (and QoS and
    RETAIN where they are arguments), so a change of mind holds from the client's next connection on.
    Topics that begin with `$SYS` are closed to publishers whatever the authority says.
    """

    def may_publish(topic_name: str, qos: int, retain: bool) -> bool:
        """Whether the client may publish to `topic_name` with this QoS (0 to 2) and RETAIN flag."""

    def may_subscribe(topic_filter: str, qos: int) -> bool:
        """Whether the client may subscribe to `topic_filter` with this maximum QoS (0 to 2).

        `topic_filter` is the whole filter as the client sent it, `$share/name/` included.
        """

    def may_receive(topic_name: str) -> bool:
        """Whether a message published to `topic_name` may go to this client.

        This is the place to fence in a client that subscribed to `#`.
        """


@implementer(IAuthority)
class FullAuthority:
    """Everything is allowed."""

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        return True

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        return True

    def may_receive(self, topic_name: str) -> bool:
        return True


class LoginRefused(UnauthorizedLogin):
    """The credentials are wrong: Bad User Name or Password, 0x86 (return code 4 for MQTT 3.x).

    The text is always the same. What really happened is the `__cause__`, for the server's own log.
    """

    def __init__(self) -> None:
        super().__init__("bad user name or password")


class ServerBusy(Exception):
    """A checker takes no further login for now; the credentials were not looked at (0x89)."""


@implementer(IUsernamePassword, IUsernameHashedPassword)
@dataclass(frozen=True, slots=True)
class MQTTCredentials:
    """What a CONNECT packet tells about its sender.

    They serve checkers for either interface: those that hash the password themselves read `password`,
    those that store plain passwords call `checkPassword`. `client_id` and `peer` are for checkers that
    also care where from and as whom the client comes; `client_id` is what the client sent, so it may be
    empty.
    """

    username: bytes
    password: bytes = field(repr=False)
    client_id: str
    peer: IAddress

    def checkPassword(self, password: bytes) -> bool:
        """Whether the client sent this `password`. Takes the same time wherever the two differ."""
        return hmac.compare_digest(self.password, password)


def credentials_of(
    username: str | None, password: bytes | None, client_id: str, peer: IAddress
) -> ICredentials:
    """The credentials in a CONNECT packet's fields, None for a field that is not there.

    Without both: `Anonymous`. If only one is there, the other counts as empty; MQTT 5.0 allows a password
    without a user name (3.1.2.9), the older versions don't [MQTT-3.1.2-22 of 3.1.1].
    """
    if username is None and password is None:
        return Anonymous()
    return MQTTCredentials((username or "").encode(), password or b"", client_id, peer)


@implementer(IRealm)
class MQTTRealm:
    """Gives each user the authority that `authority_for(avatar_id)` makes; `FullAuthority` if not told."""

    def __init__(self, authority_for: Callable[[AvatarId], IAuthority] | None = None) -> None:
        self._authority_for = authority_for or (lambda avatar_id: FullAuthority())

    def requestAvatar(
        self, avatar_id: AvatarId | str, mind: object, *interfaces: type[Interface]
    ) -> tuple[type[Interface], IAuthority, Callable[[], None]]:
        """`(IAuthority, authority, logout)`. Raises `NotImplementedError` for any other interface."""
        if IAuthority not in interfaces:
            raise NotImplementedError("MQTTRealm gives IAuthority only")
        if isinstance(avatar_id, str):  # Twisted's own `--auth unix` answers str
            avatar_id = avatar_id.encode()
        return IAuthority, self._authority_for(avatar_id), lambda: None


@implementer(ICredentialsChecker)
class CheckerChain:
    """Several checkers in their order: the first that accepts the credentials decides.

    (`Portal` itself keeps but one checker, the last, for each kind of credentials.) A checker that could
    not find out, with any failure but a refusal, ends the chain with that failure.
    """

    def __init__(self, checkers: Iterable[ICredentialsChecker]) -> None:
        self._checkers = tuple(checkers)
        self.credentialInterfaces = tuple(
            dict.fromkeys(kind for checker in self._checkers for kind in checker.credentialInterfaces)
        )

    def requestAvatarId(self, credentials: Any) -> Deferred[AvatarId]:
        """The avatar id of the first checker that gives one; fails with the last refusal else."""
        return Deferred.fromCoroutine(self._first_to_accept(credentials))

    async def _first_to_accept(self, credentials: Any) -> AvatarId:
        refusal: Exception = UnauthorizedLogin()
        for checker in self._checkers:
            if any(kind.providedBy(credentials) for kind in checker.credentialInterfaces):
                try:
                    return await maybeDeferred(checker.requestAvatarId, credentials)
                except (LoginFailed, Unauthorized) as error:
                    refusal = error
        raise refusal


def make_portal(
    checkers: Sequence[ICredentialsChecker], realm: IRealm | None = None, allow_anonymous: bool = False
) -> Portal:
    """A portal that asks `checkers` in their order, and lets clients without credentials in if told.

    `realm` None is `MQTTRealm()`: whoever is let in may do everything.
    """
    for checker in checkers:
        if isinstance(checker, InMemoryUsernamePasswordDatabaseDontUse):
            _hold_bytes(checker)
    anonymous = [AllowAnonymousAccess()] if allow_anonymous else []
    return Portal(realm or MQTTRealm(), [CheckerChain([*checkers, *anonymous])])


def _hold_bytes(checker: InMemoryUsernamePasswordDatabaseDontUse) -> None:
    """Twisted's `--auth memory:` fills the checker with str, which no bytes from a network ever equal."""
    checker.users = {_to_bytes(user): _to_bytes(password) for user, password in checker.users.items()}


def _to_bytes(text: bytes | str) -> bytes:
    return text.encode() if isinstance(text, str) else text


def login(portal: Portal, credentials: ICredentials) -> Deferred[tuple[IAuthority, Logout]]:
    """Log in, and get the authority and what to call when the connection has ended.

    The realm gets the credentials as the `mind`, so that it may look at the client id and the address too.
    Fails with `LoginRefused` when the credentials are wrong in any way, one that no checker of this portal
    takes included; with whatever else went wrong else.
    """
    return portal.login(credentials, credentials, IAuthority).addCallbacks(_authority_and_logout, _refuse)


def _authority_and_logout(avatar: tuple[Any, Any, Logout]) -> tuple[IAuthority, Logout]:
    _, authority, logout = avatar
    return IAuthority(authority), logout


def _refuse(failure: Failure) -> Failure:
    if failure.check(LoginFailed, Unauthorized) is None:
        return failure
    raise LoginRefused() from failure.value
