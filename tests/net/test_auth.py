"""Logins: credentials, realm, portal, and what a refusal tells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
    FilePasswordDB,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import (
    Anonymous,
    IAnonymous,
    ICredentials,
    IUsernameHashedPassword,
    IUsernamePassword,
    UsernamePassword,
)
from twisted.cred.error import (
    LoginDenied,
    LoginFailed,
    Unauthorized,
    UnauthorizedLogin,
    UnhandledCredentials,
)
from twisted.cred.portal import IRealm, Portal
from twisted.cred.strcred import makeChecker
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import Interface, implementer
from zope.interface.verify import verifyObject

from mqttwist.net.auth import (
    AvatarId,
    CheckerChain,
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
from tests.net.logins import PEER, cheap_hash, check_authority, credentials, temporary_folder

DOCS = Path(__file__).parents[2] / "docs"


@implementer(ICredentialsChecker)
class ScriptedChecker:
    """Answers what the test gave it, and keeps what it was asked."""

    def __init__(self, answer: Any, *interfaces: type[Interface]) -> None:
        self.answer = answer
        self.asked: list[Any] = []
        self.credentialInterfaces = interfaces or (IUsernamePassword,)

    def requestAvatarId(self, credentials: Any) -> Any:
        self.asked.append(credentials)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@implementer(IRealm)
class ScriptedRealm:
    """A realm that answers what the test gave it."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def requestAvatar(self, avatar_id: AvatarId, mind: object, *interfaces: type[Interface]) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def noting(asked: list[AvatarId]) -> Callable[[AvatarId], IAuthority]:
    """An `authority_for` that allows everything and keeps whom it was asked for."""

    def authority_for(avatar_id: AvatarId) -> FullAuthority:
        asked.append(avatar_id)
        return FullAuthority()

    return authority_for


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


class ChainTests(SynchronousTestCase):
    """`CheckerChain`: several checkers, one after the other."""

    def ask(self, *checkers: ScriptedChecker) -> Deferred[AvatarId]:
        return CheckerChain(checkers).requestAvatarId(credentials("alice", "secret"))

    def test_interface(self) -> None:
        """It is a credentials checker as cred wants it."""
        verifyObject(ICredentialsChecker, CheckerChain([]))

    def test_interfaces_of_all(self) -> None:
        """It takes what any of them takes, each kind once."""
        chain = CheckerChain(
            [
                ScriptedChecker(b"", IUsernamePassword, IUsernameHashedPassword),
                ScriptedChecker(b"", IAnonymous, IUsernamePassword),
            ]
        )
        expected = (IUsernamePassword, IUsernameHashedPassword, IAnonymous)
        self.assertEqual(chain.credentialInterfaces, expected)

    def test_first_that_accepts(self) -> None:
        """The first to accept decides; those behind it are not asked."""
        first, second, third = (
            ScriptedChecker(UnauthorizedLogin()),
            ScriptedChecker(b"b"),
            ScriptedChecker(b"c"),
        )
        self.assertEqual(self.successResultOf(self.ask(first, second, third)), b"b")
        self.assertEqual([len(each.asked) for each in (first, second, third)], [1, 1, 0])

    def test_last_refusal(self) -> None:
        """When all refuse, so does the chain."""
        answer = self.ask(ScriptedChecker(LoginDenied("one")), ScriptedChecker(UnauthorizedLogin("two")))
        self.assertEqual(str(self.failureResultOf(answer, UnauthorizedLogin).value), "two")

    def test_not_asked_for_other_kinds(self) -> None:
        """A checker is not asked about credentials it doesn't take."""
        anonymous = ScriptedChecker(b"wrong", IAnonymous)
        self.assertEqual(self.successResultOf(self.ask(anonymous, ScriptedChecker(b"right"))), b"right")
        self.assertEqual(anonymous.asked, [])

    def test_hashed_kind(self) -> None:
        """A checker for `IUsernameHashedPassword` alone is asked, behind one for passwords too."""
        hashed = ScriptedChecker(b"hashed", IUsernameHashedPassword)
        self.assertEqual(
            self.successResultOf(self.ask(ScriptedChecker(UnauthorizedLogin()), hashed)), b"hashed"
        )

    def test_other_failures_end_it(self) -> None:
        """A checker that can't find out ends the chain: the next must not hide the trouble."""
        second = ScriptedChecker(b"alice")
        self.failureResultOf(self.ask(ScriptedChecker(ServerBusy()), second), ServerBusy)
        self.assertEqual(second.asked, [])

    def test_one_after_the_other(self) -> None:
        """The second is not asked before the first has answered."""
        later: Deferred[AvatarId] = Deferred()
        second = ScriptedChecker(b"second")
        answer = self.ask(ScriptedChecker(later), second)
        self.assertEqual(second.asked, [])
        later.errback(UnauthorizedLogin())
        self.assertEqual(self.successResultOf(answer), b"second")

    def test_nobody_asked(self) -> None:
        """Without a checker that takes the credentials they are refused."""
        self.failureResultOf(self.ask(), UnauthorizedLogin)

    def test_cancel(self) -> None:
        """A client that leaves cancels the checker that works for it."""
        cancelled: list[object] = []
        later: Deferred[AvatarId] = Deferred(cancelled.append)
        answer = self.ask(ScriptedChecker(later))
        answer.addErrback(lambda failure: None)
        answer.cancel()
        self.assertEqual(cancelled, [later])


class PortalTests(SynchronousTestCase):
    """`make_portal` with Twisted's own checkers, made as users make them."""

    def assert_in(self, portal: Portal, who: ICredentials) -> None:
        self.assertIsInstance(self.successResultOf(login(portal, who))[0], FullAuthority)

    def assert_out(self, portal: Portal, who: ICredentials) -> None:
        self.failureResultOf(login(portal, who), LoginRefused)

    def check(self, checker: ICredentialsChecker) -> None:
        """Check a checker that knows alice with the password secret, and nobody else."""
        portal = make_portal([checker])
        self.assert_in(portal, credentials("alice", "secret"))
        for user, password in (
            ("alice", "Secret"),
            ("alice", ""),
            ("bob", "secret"),
            ("", ""),
            ("", "secret"),
        ):
            self.assert_out(portal, credentials(user, password))
        self.assert_out(portal, Anonymous())

    def password_file(self, content: str) -> str:
        path = temporary_folder(self) / "passwd"
        path.write_text(content, "utf-8")
        return str(path)

    def test_memory_from_the_command_line(self) -> None:
        """`--auth memory:` works, although Twisted fills it with str."""
        self.check(makeChecker("memory:alice:secret"))

    def test_memory_from_the_command_line_beyond_ascii(self) -> None:
        """Names and passwords on the command line are UTF-8 on the wire."""
        portal = make_portal([makeChecker("memory:ünï:☃")])
        self.assert_in(portal, credentials("ünï", "☃"))

    def test_memory_in_a_program(self) -> None:
        """The same checker made in a program works, and a user added later gets in."""
        checker = InMemoryUsernamePasswordDatabaseDontUse(alice=b"secret")
        self.check(checker)
        portal = make_portal([checker])
        checker.addUser(b"bob", b"hunter2")
        self.assert_in(portal, credentials("bob", "hunter2"))

    def test_file_from_the_command_line(self) -> None:
        """`--auth file:` works, with plain passwords in the file."""
        self.check(makeChecker("file:" + self.password_file("alice:secret\n")))

    def test_file_with_hashes(self) -> None:
        """`FilePasswordDB` with a hash function of its user's works."""

        def backwards(username: bytes, password: bytes, stored: bytes) -> bytes:
            return password[::-1]

        self.check(FilePasswordDB(self.password_file("alice:terces\n"), hash=backwards))

    def test_file_with_a_cache(self) -> None:
        """`FilePasswordDB` with its cache works."""
        self.check(FilePasswordDB(self.password_file("alice:secret\n"), cache=True))

    def test_anonymous_from_the_command_line(self) -> None:
        """`--auth anonymous` lets clients without credentials in, and only those."""
        portal = make_portal([makeChecker("anonymous")])
        self.assert_in(portal, Anonymous())
        self.assert_out(portal, credentials("alice", "secret"))

    def test_allow_anonymous(self) -> None:
        """`allow_anonymous` adds anonymous clients to those the checkers know, no others."""
        portal = make_portal([makeChecker("memory:alice:secret")], allow_anonymous=True)
        self.assert_in(portal, Anonymous())
        self.assert_in(portal, credentials("alice", "secret"))
        self.assert_out(portal, credentials("alice", "wrong"))
        self.assert_out(portal, credentials("", ""))

    def test_two_checkers(self) -> None:
        """With two checkers for passwords, users of both get in."""
        portal = make_portal([makeChecker("memory:alice:secret"), makeChecker("memory:bob:hunter2")])
        self.assert_in(portal, credentials("alice", "secret"))
        self.assert_in(portal, credentials("bob", "hunter2"))
        self.assert_out(portal, credentials("bob", "secret"))

    def test_realm(self) -> None:
        """The realm given is the one asked."""
        asked: list[AvatarId] = []
        realm = MQTTRealm(noting(asked))
        portal = make_portal([makeChecker("memory:alice:secret")], realm, allow_anonymous=True)
        self.assert_in(portal, credentials("alice", "secret"))
        self.assert_in(portal, Anonymous())
        self.assertEqual(asked, [b"alice", ()])

    def test_plain_cred_credentials(self) -> None:
        """The portal takes cred's own credentials as well, for logins in the same process."""
        portal = make_portal([makeChecker("memory:alice:secret")])
        self.assert_in(portal, UsernamePassword(b"alice", b"secret"))


class DocumentedExampleTests(SynchronousTestCase):
    """The example of docs/login.md is true."""

    def run_example(self) -> dict[str, Any]:
        """Run the page's Python blocks over a password file with alice and admin in it."""
        path = temporary_folder(self) / "passwd"
        users = "".join(f"{user}:{cheap_hash(b'secret')}\n" for user in ("alice", "admin"))
        path.write_text(users, "utf-8")
        blocks = (DOCS / "login.md").read_text("utf-8").split("```python\n")[1:]
        code = "\n".join(block.partition("```")[0] for block in blocks)
        names: dict[str, Any] = {"__name__": "example"}
        exec(code.replace("/etc/mqttwist/passwd", str(path)), names)
        return names

    def test_authority(self) -> None:
        """The example's authority is one, and allows what the page says."""
        alice = self.run_example()["OwnDevices"]("alice")
        check_authority(self, alice)
        self.assertTrue(alice.may_publish("devices/alice/temperature", 1, False))
        self.assertFalse(alice.may_publish("devices/alicia/temperature", 1, False))
        self.assertFalse(alice.may_publish("public/news", 1, False))
        self.assertTrue(alice.may_subscribe("#", 2))
        self.assertTrue(alice.may_receive("public/news"))
        self.assertFalse(alice.may_receive("devices/bob/temperature"))

    def test_realm(self) -> None:
        """The example's function gives each user what the page says."""
        names = self.run_example()
        authority_for = names["authority_for"]
        self.assertIsInstance(authority_for(b"admin"), FullAuthority)
        self.assertIsInstance(authority_for(b"alice"), names["OwnDevices"])
        self.assertEqual(IRealm(names["portal"].realm), names["portal"].realm)
