"""Portals: several checkers, Twisted's own among them, and the example of docs/login.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.cred.checkers import (
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
    UnauthorizedLogin,
)
from twisted.cred.portal import IRealm, Portal
from twisted.cred.strcred import makeChecker
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.auth import (
    AvatarId,
    CheckerChain,
    FullAuthority,
    LoginRefused,
    MQTTRealm,
    ServerBusy,
    login,
    make_portal,
)
from tests.net.logins import (
    ScriptedChecker,
    cheap_hash,
    check_authority,
    credentials,
    noting,
    temporary_folder,
)

DOCS = Path(__file__).parents[2] / "docs"


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
