"""Logins: credentials, realm, portal, and what a refusal tells."""

from __future__ import annotations

from typing import Any

from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
)
from twisted.cred.credentials import (
    Anonymous,
    IAnonymous,
    IUsernameHashedPassword,
    IUsernamePassword,
)
from twisted.cred.error import (
    LoginDenied,
    LoginFailed,
    Unauthorized,
    UnauthorizedLogin,
    UnhandledCredentials,
)
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.auth import (
    AvatarId,
    FullAuthority,
    IAuthority,
    LoginRefused,
    MQTTCredentials,
    MQTTRealm,
    ServerBusy,
    credentials_of,
    login,
    make_portal,
)
from tests.net.logins import (
    PEER,
    ScriptedChecker,
    ScriptedRealm,
    check_authority,
    credentials,
    noting,
)


class FullAuthorityTests(SynchronousTestCase):
    def test_contract(self) -> None:
        """`FullAuthority` holds what any authority must."""
        check_authority(self, FullAuthority())

    def test_everything_is_allowed(self) -> None:
        """It allows whatever is asked."""
        authority = FullAuthority()
        for topic in ("a", "$SYS/broker", "a/b/c"):
            self.assertIs(authority.may_publish(topic, 2, True), True)
            self.assertIs(authority.may_receive(topic), True)
        for topic_filter in ("#", "$SYS/#", "$share/g/#"):
            self.assertIs(authority.may_subscribe(topic_filter, 2), True)


class CredentialsTests(SynchronousTestCase):
    """From the fields of a CONNECT to credentials."""

    def test_anonymous(self) -> None:
        """A CONNECT with neither user name nor password is anonymous."""
        self.assertTrue(IAnonymous.providedBy(credentials_of(None, None, "a", PEER)))

    def test_fields(self) -> None:
        """User name (in UTF-8), password, client identifier and address are there for a checker."""
        self.assertEqual(
            credentials_of("ünï", b"\xff\0", "a-client", PEER),
            MQTTCredentials("ünï".encode(), b"\xff\0", "a-client", PEER),
        )

    def test_one_half_only(self) -> None:
        """One without the other is not anonymous; the missing half is empty (5.0, 3.1.2.9)."""
        self.assertEqual(credentials_of("alice", None, "", PEER), MQTTCredentials(b"alice", b"", "", PEER))
        self.assertEqual(credentials_of(None, b"token", "", PEER), MQTTCredentials(b"", b"token", "", PEER))

    def test_empty_is_not_anonymous(self) -> None:
        """A user name of no length is a user name (3.1.3.5)."""
        self.assertFalse(IAnonymous.providedBy(credentials_of("", None, "a", PEER)))
        self.assertFalse(IAnonymous.providedBy(credentials_of(None, b"", "a", PEER)))

    def test_interfaces(self) -> None:
        """They provide both of cred's interfaces for a user with a password."""
        verifyObject(IUsernamePassword, credentials("alice", "secret"))
        verifyObject(IUsernameHashedPassword, credentials("alice", "secret"))

    def test_check_password(self) -> None:
        """`checkPassword` is true for what the client sent and for nothing else."""
        sent = credentials("alice", "secret")
        self.assertIs(sent.checkPassword(b"secret"), True)
        for other in (b"", b"Secret", b"secret ", b"secre"):
            self.assertIs(sent.checkPassword(other), False)

    def test_repr_hides_the_password(self) -> None:
        """The password doesn't show in a repr, which may end in a log."""
        text = repr(credentials("alice", "sesame"))
        self.assertIn("alice", text)
        self.assertNotIn("sesame", text)


class RealmTests(SynchronousTestCase):
    """`MQTTRealm`: from a name to an authority."""

    def authority(self, realm: MQTTRealm, avatar_id: AvatarId | str) -> IAuthority:
        interface, authority, logout = realm.requestAvatar(avatar_id, None, IAuthority)
        self.assertIs(interface, IAuthority)
        self.assertIsNone(logout())
        return authority

    def test_interface(self) -> None:
        """It is a realm as cred wants it."""
        verifyObject(IRealm, MQTTRealm())

    def test_full_by_default(self) -> None:
        """Unless told otherwise everybody may do everything."""
        for avatar_id in (b"alice", ANONYMOUS):
            self.assertIsInstance(self.authority(MQTTRealm(), avatar_id), FullAuthority)

    def test_authority_for(self) -> None:
        """The function is asked for each avatar id, ANONYMOUS among them, and its answer given on."""
        asked: list[AvatarId] = []
        authority = FullAuthority()

        def authority_for(avatar_id: AvatarId) -> FullAuthority:
            asked.append(avatar_id)
            return authority

        realm = MQTTRealm(authority_for)
        for avatar_id in (b"alice", ANONYMOUS, b"alice"):
            self.assertIs(self.authority(realm, avatar_id), authority)
        self.assertEqual(asked, [b"alice", (), b"alice"])

    def test_str_avatar_ids(self) -> None:
        """A checker that answers str, as Twisted's `unix` does, is understood: it is bytes from here on."""
        asked: list[AvatarId] = []
        realm = MQTTRealm(noting(asked))
        self.authority(realm, "ünï")
        self.assertEqual(asked, ["ünï".encode()])

    def test_other_interfaces(self) -> None:
        """cred demands `NotImplementedError` for an interface that the realm doesn't know."""
        self.assertRaises(NotImplementedError, MQTTRealm().requestAvatar, b"alice", None)
        self.assertRaises(NotImplementedError, MQTTRealm().requestAvatar, b"alice", None, IAnonymous)

    def test_one_interface_of_several(self) -> None:
        """Of several interfaces it gives the one it knows."""
        interface, _, _ = MQTTRealm().requestAvatar(b"alice", None, IAnonymous, IAuthority)
        self.assertIs(interface, IAuthority)


class LoginTests(SynchronousTestCase):
    """`login`: what comes out of a portal."""

    def log_in(self, checker: Any, realm: IRealm | None = None) -> Deferred[Any]:
        return login(make_portal([checker], realm), credentials("alice", "secret"))

    def test_authority_and_logout(self) -> None:
        """A login gives the realm's authority and its logout."""
        authority, left = FullAuthority(), [0]
        realm = ScriptedRealm((IAuthority, authority, lambda: left.append(1)))
        got, logout = self.successResultOf(self.log_in(ScriptedChecker(b"alice"), realm))
        self.assertIs(got, authority)
        logout()
        self.assertEqual(left, [0, 1])

    def test_a_checker_may_take_its_time(self) -> None:
        """A checker that answers later logs in later."""
        later: Deferred[AvatarId] = Deferred()
        answer = self.log_in(ScriptedChecker(later))
        self.assertNoResult(answer)
        later.callback(b"alice")
        self.assertIsInstance(self.successResultOf(answer)[0], FullAuthority)

    def test_checkers_see_the_connection(self) -> None:
        """A checker may look at the client identifier and the address."""
        checker = ScriptedChecker(b"alice")
        self.successResultOf(self.log_in(checker))
        (asked,) = checker.asked
        self.assertEqual((asked.client_id, asked.peer), ("a-client", PEER))

    def test_realms_see_the_connection(self) -> None:
        """The realm gets the credentials as the mind: it may look at the same."""
        realm = ScriptedRealm((IAuthority, FullAuthority(), lambda: None))
        self.successResultOf(self.log_in(ScriptedChecker(b"alice"), realm))
        self.assertEqual(realm.minds, [credentials("alice", "secret")])

    def test_every_refusal_is_the_same(self) -> None:
        """Whatever kind of wrong it is, it is `LoginRefused` with the same text and its cause inside."""
        for error in (
            UnauthorizedLogin("no such user"),
            UnauthorizedLogin("wrong password"),
            LoginFailed("bad response"),
            LoginDenied("over quota"),
            UnhandledCredentials("nobody takes these"),
            Unauthorized("no"),
        ):
            for way in (error, fail(error)):
                refused = self.failureResultOf(self.log_in(ScriptedChecker(way)), LoginRefused).value
                self.assertEqual(str(refused), "bad user name or password")
                self.assertIs(refused.__cause__, error)

    def test_refused_by_the_realm(self) -> None:
        """A realm may refuse whom the checker let in."""
        realm = ScriptedRealm(LoginDenied("closed today"))
        self.failureResultOf(self.log_in(ScriptedChecker(b"alice"), realm), LoginRefused)

    def test_refused_is_unauthorized(self) -> None:
        """`LoginRefused` is an `UnauthorizedLogin` for whoever knows cred."""
        self.assertIsInstance(LoginRefused(), UnauthorizedLogin)

    def test_no_checker_for_the_credentials(self) -> None:
        """Credentials that no checker takes are refused like wrong ones."""
        anonymous = login(make_portal([ScriptedChecker(b"alice")]), Anonymous())
        refused = self.failureResultOf(anonymous, LoginRefused).value
        self.assertIsInstance(refused.__cause__, UnhandledCredentials)
        named = login(make_portal([], allow_anonymous=True), credentials("alice", "secret"))
        self.failureResultOf(named, LoginRefused)

    def test_no_checkers_at_all(self) -> None:
        """A portal without checkers lets nobody in."""
        for nobody in (Anonymous(), credentials("alice", "secret")):
            self.failureResultOf(login(make_portal([]), nobody), LoginRefused)

    def test_a_portal_made_elsewhere(self) -> None:
        """Any portal will do, not only those of `make_portal`."""
        portal = Portal(MQTTRealm(), [AllowAnonymousAccess()])
        self.assertIsInstance(self.successResultOf(login(portal, Anonymous()))[0], FullAuthority)
        self.failureResultOf(login(portal, credentials("alice", "secret")), LoginRefused)

    def test_other_failures_pass(self) -> None:
        """What is not the client's fault comes out as it is: the server could not find out."""
        for error in (ServerBusy("full"), RuntimeError("database gone"), OSError(5, "disk")):
            failure = self.failureResultOf(self.log_in(ScriptedChecker(error)), type(error))
            self.assertIs(failure.value, error)

    def test_a_realm_without_authorities(self) -> None:
        """A realm that knows no `IAuthority` is the server's mistake, not the client's."""
        realm = ScriptedRealm(NotImplementedError())
        self.failureResultOf(self.log_in(ScriptedChecker(b"alice"), realm), NotImplementedError)

    def test_an_avatar_that_is_no_authority(self) -> None:
        """A realm that gives something else for an authority is found out at the login."""
        realm = ScriptedRealm((IAuthority, object(), lambda: None))
        self.failureResultOf(self.log_in(ScriptedChecker(b"alice"), realm), TypeError)
