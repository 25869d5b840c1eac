"""How the broker's logins are done: by cred, or by where the client is."""

from __future__ import annotations

from collections.abc import Callable

from twisted.cred.portal import Portal
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.python.failure import Failure

from mqttwist.broker.connection import ServerConnection
from mqttwist.net.address import is_local
from mqttwist.net.auth import (
    FullAuthority,
    IAuthority,
    LoginRefused,
    Logout,
    ServerBusy,
    credentials_of,
    login,
)
from mqttwist.session.connection import AUTHENTICATING, CLOSED
from mqttwist.wire.connect import Connect
from mqttwist.wire.enums import ReasonCode

log = Logger(namespace="mqttwist.broker")


def _address_of(connection: ServerConnection) -> IAddress:
    address: IAddress = getattr(connection.transport, "address")  # noqa: B009 - the core's transport has none
    return address


class GuardedAuthority:
    """Says no where an authority fails: it may be asked in the turn of another client."""

    def __init__(self, authority: IAuthority) -> None:
        self._authority = authority

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        return self._ask(self._authority.may_publish, topic_name, qos, retain)

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        return self._ask(self._authority.may_subscribe, topic_filter, qos)

    def may_receive(self, topic_name: str) -> bool:
        return self._ask(self._authority.may_receive, topic_name)

    def _ask(self, question: Callable[..., bool], *arguments: object) -> bool:
        try:
            return bool(question(*arguments))
        except Exception:
            log.failure("Error in an authority, which is taken for a no to {arguments}", arguments=arguments)
            return False


class PortalLogin:
    """Asks a `twisted.cred` portal for an `IAuthority`.

    A login whose client has gone, or whose time is up, is cancelled: nobody waits for it any more.
    """

    def __init__(self, portal: Portal) -> None:
        self._portal = portal

    def __call__(self, connection: ServerConnection, connect: Connect) -> None:
        credentials = credentials_of(
            connect.username, connect.password, connect.client_id, _address_of(connection)
        )
        deferred = login(self._portal, credentials)
        deferred.addCallbacks(
            self._accept, self._refuse, callbackArgs=(connection,), errbackArgs=(connection, connect)
        )
        deferred.addErrback(self._report, connection)
        if connection.state == AUTHENTICATING:
            connection.cancel_login = deferred.cancel

    def _accept(self, avatar: tuple[IAuthority, Logout], connection: ServerConnection) -> None:
        authority, logout = avatar
        connection.cancel_login = None

        def log_out() -> None:
            try:
                logout()
            except Exception:
                log.failure("Error in the logout of {peer}", peer=connection.peer)

        # One that allows everything need not be asked for every message.
        known = None if type(authority) is FullAuthority else GuardedAuthority(authority)
        identity = connection.connect.username if connection.connect is not None else None
        accepted = connection.accept(known, log_out, identity)
        if not accepted:
            log_out()

    def _refuse(self, failure: Failure, connection: ServerConnection, connect: Connect) -> None:
        connection.cancel_login = None
        if connection.state == CLOSED and failure.check(CancelledError) is not None:
            return  # we cancelled it ourselves
        if failure.check(LoginRefused) is not None:
            if connect.username is None and connect.password is None:
                connection.refuse(ReasonCode.NOT_AUTHORIZED.value, "a user name and password are needed")
            else:
                connection.refuse(ReasonCode.BAD_USER_NAME_OR_PASSWORD.value, "bad user name or password")
        elif failure.check(ServerBusy) is not None:
            connection.refuse(ReasonCode.SERVER_BUSY.value, "too many logins at once")
        else:
            log.failure("The login of {peer} could not be checked", failure, peer=connection.peer)
            connection.refuse(ReasonCode.SERVER_UNAVAILABLE.value, "the login could not be checked")

    def _report(self, failure: Failure, connection: ServerConnection) -> None:
        log.failure("Error in the broker while accepting {peer}", failure, peer=connection.peer)
        connection.lost("error in the broker")


def accept_local(connection: ServerConnection, connect: Connect) -> None:
    """The safe default: whoever is on this machine is let in, and nobody else."""
    if is_local(_address_of(connection)):
        connection.accept(None)
    else:
        connection.refuse(
            ReasonCode.NOT_AUTHORIZED.value,
            "only clients on this machine are let in, since neither --auth nor --allow-anonymous is set",
        )
