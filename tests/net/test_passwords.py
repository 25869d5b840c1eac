"""The password file: its grammar, its checker, its changes."""

from __future__ import annotations

import os
import sys
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.error import UnauthorizedLogin
from twisted.internet import threads
from twisted.internet.defer import Deferred, succeed
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.auth import LoginRefused, ServerBusy, login, make_portal
from mqttwist.net.hashes import Argon2id, MosquittoPbkdf2, PasswordHash, Scrypt, parse_hash
from mqttwist.net.passwords import PasswordFile, parse_passwords, user_of
from tests.net.logins import (
    MOSQUITTO_6,
    MOSQUITTO_7,
    HeldThreads,
    at_once,
    cheap_hash,
    credentials,
    run_python,
    temporary_folder,
)


def lines(**users: str) -> str:
    """A password file's text: a line with a cheap hash for each user and password."""
    return "".join(f"{user}:{cheap_hash(password.encode())}\n" for user, password in users.items())


class GrammarTests(SynchronousTestCase):
    """`parse_passwords`: the lines of a file."""

    def refused(self, content: bytes) -> str:
        """The text of the error that `content` in a file named `f` makes."""
        return str(self.assertRaises(ValueError, parse_passwords, content, "f"))

    def test_users_and_hashes(self) -> None:
        """Each line is a user and a hash, in any of the forms."""
        content = f"alice:{MOSQUITTO_7}\nbob:{MOSQUITTO_6}\ncarol:{cheap_hash(b'secret')}\n"
        users = parse_passwords(content.encode(), "f")
        self.assertEqual(list(users), [b"alice", b"bob", b"carol"])
        self.assertTrue(all(hashed.verify(b"secret") for hashed in users.values()))

    def test_empty(self) -> None:
        """An empty file has no users."""
        self.assertEqual(parse_passwords(b"", "f"), {})

    def test_comments_and_blank_lines(self) -> None:
        """Lines that begin with '#' and blank lines say nothing, damaged as they may be otherwise."""
        content = f"# a: comment\n#\xff\n\n   \n\t\r\nalice:{MOSQUITTO_6}\n#bob:x"
        self.assertEqual(list(parse_passwords(content.encode("latin-1"), "f")), [b"alice"])

    def test_line_ends(self) -> None:
        """The last line needs no end, and a file written on Windows is read like any other."""
        for content in (f"alice:{MOSQUITTO_6}", f"\ufeffalice:{MOSQUITTO_6}\r\n"):
            users = parse_passwords(content.encode(), "f")
            self.assertEqual(users, {b"alice": parse_hash(MOSQUITTO_6)})

    def test_user_names(self) -> None:
        """A user name may hold anything but ':' and the end of a line."""
        for name in ("a b", " a ", "ünï", "☃", "$7$", "a#b", "a/+/#", "=", "\t"):
            users = parse_passwords(f"{name}:{MOSQUITTO_6}".encode(), "f")
            self.assertEqual(list(users), [name.encode()])

    def test_case_matters(self) -> None:
        """User names that differ in case are two users."""
        self.assertEqual(len(parse_passwords(lines(alice="x", Alice="y").encode(), "f")), 2)

    def test_no_colon(self) -> None:
        """A line without ':' is refused, with the name of the file and the number of the line."""
        self.assertEqual(self.refused(b"# first\n\nalice\n"), "f:3: no ':' after the user name")

    def test_no_user(self) -> None:
        """A line without a user name is refused: nobody has an empty name."""
        self.assertEqual(self.refused(f":{MOSQUITTO_6}".encode()), "f:1: no user name before the ':'")

    def test_not_utf_8(self) -> None:
        """A line that is not UTF-8 is refused; no MQTT user name could ever equal it."""
        self.assertTrue(self.refused(b"alic\xe9:x").startswith("f:1: 'utf-8' codec can't decode"))

    def test_plain_password(self) -> None:
        """A password that is not hashed is refused, and not repeated in the error."""
        text = self.refused(b"alice:sesame")
        self.assertTrue(text.startswith("f:1: not a password hash"), text)
        self.assertNotIn("sesame", text)

    def test_absurd_costs(self) -> None:
        """A line that asks for too much memory is refused when the file is read."""
        line = f"alice:{cheap_hash(b'secret')}".replace("ln=1", "ln=24")
        self.assertRegex(self.refused(line.encode()), r"^f:1: scrypt would need over \d+ bytes$")

    def test_duplicate(self) -> None:
        """A user with two lines is refused at the second."""
        text = self.refused((lines(alice="x", bob="y") + lines(alice="z")).encode())
        self.assertEqual(text, "f:3: this user has a line already")

    def test_argon2_missing(self) -> None:
        """An argon2id line without argon2-cffi is refused with what to install."""
        self.patch(sys, "modules", {**sys.modules, "argon2.low_level": None})
        line = f"alice:$argon2id$v=19$m=64,t=1,p=1${'A' * 22}${'A' * 43}"
        self.assertRegex(self.refused(line.encode()), r"^f:1: argon2id needs argon2-cffi: pip install")

    def test_user_of(self) -> None:
        """`user_of` tells whom a line is about, whatever follows the ':'."""
        self.assertEqual(user_of(b"a b:c:d"), b"a b")
        self.assertEqual(user_of(b"alice"), b"alice")
        for nobody in (b"", b"  \r", b"#alice:x"):
            self.assertIsNone(user_of(nobody))


class PasswordFileCase(SynchronousTestCase):
    """A `PasswordFile` over a file in a temporary folder, with threads that aren't."""

    def setUp(self) -> None:
        self.path = temporary_folder(self) / "passwd"
        self.write(lines(alice="secret", bob="hunter2"))

    def write(self, text: str) -> None:
        """Give the file a new version, as an editor does that writes beside it and renames."""
        beside = self.path.with_suffix(".new")
        beside.write_bytes(text.encode())
        beside.replace(self.path)

    def checker(self) -> PasswordFile:
        return PasswordFile(self.path, at_once)

    def assert_in(self, checker: PasswordFile, user: str, password: str) -> None:
        answer = checker.requestAvatarId(credentials(user, password))
        self.assertEqual(self.successResultOf(answer), user.encode())

    def assert_out(self, checker: PasswordFile, user: str, password: str) -> None:
        self.failureResultOf(checker.requestAvatarId(credentials(user, password)), UnauthorizedLogin)


class CheckerTests(PasswordFileCase):
    """`PasswordFile` as a credentials checker."""

    def test_interface(self) -> None:
        """It is a credentials checker as cred wants it."""
        verifyObject(ICredentialsChecker, self.checker())

    def test_right_password(self) -> None:
        """The right password gives the user name for an avatar id."""
        self.assert_in(self.checker(), "alice", "secret")
        self.assert_in(self.checker(), "bob", "hunter2")

    def test_wrong_password(self) -> None:
        """A wrong password, that of another user or none is unauthorized."""
        for password in ("Secret", "hunter2", ""):
            self.assert_out(self.checker(), "alice", password)

    def test_unknown_user(self) -> None:
        """A user who is not in the file, the empty name and another case included, is unauthorized."""
        for user in ("carol", "", "Alice", "alice ", "#"):
            self.assert_out(self.checker(), user, "secret")

    def test_unknown_user_never_gets_in(self) -> None:
        """Not even a decoy that would verify lets an unknown user in."""
        self.patch(Scrypt, "verify", lambda hashed, password: True)
        self.assert_in(self.checker(), "alice", "anything")
        self.assert_out(self.checker(), "carol", "anything")

    def verified_for(self, user: str) -> PasswordHash:
        """The hash that a login of `user` verifies."""
        seen: list[PasswordHash] = []

        def watch(verify: Any, password: bytes) -> Deferred[bool]:
            seen.append(verify.__self__)
            return succeed(False)

        checker = PasswordFile(self.path, watch)
        self.failureResultOf(checker.requestAvatarId(credentials(user, "x")), UnauthorizedLogin)
        (hashed,) = seen
        return hashed

    def test_unknown_user_costs_the_same(self) -> None:
        """For an unknown user a decoy is verified, which costs what most hashes in the file cost."""
        costly = f"carol:{cheap_hash(b'x', log_n=5)}\n"
        self.write(f"dave:{MOSQUITTO_7}\n" + lines(alice="x", bob="y") + costly)
        decoy = self.verified_for("nobody")
        self.assertEqual(decoy.costs, self.verified_for("alice").costs)
        for user in ("alice", "bob", "carol", "dave"):
            self.assertNotEqual(decoy.digest, self.verified_for(user).digest)
        self.write(f"alice:{MOSQUITTO_7}\nbob:{MOSQUITTO_7}\n" + costly)
        self.assertIsInstance(self.verified_for("nobody"), MosquittoPbkdf2)

    def test_file_without_users(self) -> None:
        """With nobody in the file, each login still costs what a new hash costs."""
        self.write("# nobody yet\n")
        self.assertIsInstance(self.verified_for("nobody"), Argon2id)

    def test_through_a_portal(self) -> None:
        """It serves a portal of ours; a refusal doesn't tell a wrong password from an unknown user."""
        portal = make_portal([self.checker()])
        authority, _ = self.successResultOf(login(portal, credentials("alice", "secret")))
        self.assertTrue(authority.may_publish("a", 0, False))
        texts = {
            str(self.failureResultOf(login(portal, credentials(user, "wrong")), LoginRefused).value)
            for user in ("alice", "carol")
        }
        self.assertEqual(texts, {"bad user name or password"})

    def test_busy_through_a_portal(self) -> None:
        """A full queue is `ServerBusy` also behind a portal."""
        portal = make_portal([PasswordFile(self.path, HeldThreads(), running=1, waiting=0)])
        self.assertNoResult(login(portal, credentials("alice", "secret")))
        self.failureResultOf(login(portal, credentials("alice", "secret")), ServerBusy)

    def test_limits_by_default(self) -> None:
        """Four verifications run at once and five hundred wait, unless told otherwise."""
        held = HeldThreads()
        checker = PasswordFile(self.path, held)
        answers = [checker.requestAvatarId(credentials("alice", "x")) for _ in range(504)]
        self.assertEqual(len(held.begun), 4)
        self.assertNoResult(answers[-1])
        self.failureResultOf(checker.requestAvatarId(credentials("alice", "x")), ServerBusy)

    def test_threads_by_default(self) -> None:
        """Unless told otherwise the verification is given to Twisted's `deferToThread`."""
        held = HeldThreads()
        self.patch(threads, "deferToThread", held)
        answer = PasswordFile(self.path).requestAvatarId(credentials("alice", "secret"))
        self.assertNoResult(answer)
        held.finish_first()
        self.assertEqual(self.successResultOf(answer), b"alice")

    def test_import_installs_no_reactor(self) -> None:
        """Who imports the module may still choose a reactor."""
        code = "import sys, mqttwist.net.passwords; sys.exit('twisted.internet.reactor' in sys.modules)"
        self.assertEqual(run_python("-c", code).returncode, 0)

    def test_missing_file(self) -> None:
        """A file that is not there is an `OSError` at once."""
        self.path.unlink()
        self.assertRaises(FileNotFoundError, self.checker)

    def test_damaged_file(self) -> None:
        """A damaged file is a `ValueError` at once, which tells the path and the line."""
        self.write(lines(alice="x") + "bob\n")
        error = self.assertRaises(ValueError, self.checker)
        self.assertEqual(str(error), f"{self.path}:2: no ':' after the user name")


class ReloadTests(PasswordFileCase):
    """`PasswordFile` follows the file."""

    def test_new_version(self) -> None:
        """A new version holds from the next login on: users come, go and change their password."""
        checker = self.checker()
        self.write(lines(alice="changed", carol="new"))
        self.assert_in(checker, "alice", "changed")
        self.assert_in(checker, "carol", "new")
        self.assert_out(checker, "alice", "secret")
        self.assert_out(checker, "bob", "hunter2")

    def test_new_version_is_logged(self) -> None:
        """A new version is told in the log, once."""
        checker = self.checker()
        self.write(lines(alice="x", bob="y", carol="z"))
        with capturedLogs() as events:
            self.assert_in(checker, "alice", "x")
            self.assert_in(checker, "bob", "y")
        (event,) = events
        self.assertEqual(event["log_level"], LogLevel.info)
        self.assertEqual((event["path"], event["count"]), (str(self.path), 3))

    def test_decoy_follows(self) -> None:
        """The decoy's costs are those of the new version."""
        held = HeldThreads()
        checker = PasswordFile(self.path, held)
        self.write(f"alice:{MOSQUITTO_7}\n")
        checker.requestAvatarId(credentials("nobody", "x")).addErrback(lambda failure: None)
        ((_, verify, _),) = held.begun
        self.assertIsInstance(getattr(verify, "__self__", None), MosquittoPbkdf2)

    def test_rewritten_in_place(self) -> None:
        """A file that is written over, with the same size and name, is noticed by its times."""
        checker = self.checker()
        self.path.write_text(lines(alice="change", bob="hunter2"), "utf-8")
        os.utime(self.path, ns=(1, 1))
        self.assert_in(checker, "alice", "change")

    def test_replaced_with_its_times(self) -> None:
        """A file put in the place of the old one with the same size and modification time is noticed."""
        checker = self.checker()
        times = self.path.stat()
        self.write(lines(alice="change", bob="hunter2"))
        os.utime(self.path, ns=(times.st_atime_ns, times.st_mtime_ns))
        self.assert_in(checker, "alice", "change")

    def test_unchanged_is_not_read(self) -> None:
        """As long as nothing changed, a login costs one stat and no reading."""
        checker = self.checker()
        self.patch(checker, "_read", lambda: self.fail("read again"))
        self.assert_in(checker, "alice", "secret")

    def test_broken_version(self) -> None:
        """A new version that is damaged changes nothing and is logged once, with its line."""
        checker = self.checker()
        self.write(lines(alice="changed") + "bob:sesame\n")
        with capturedLogs() as events:
            self.assert_in(checker, "alice", "secret")
            self.assert_in(checker, "bob", "hunter2")
        (event,) = events
        self.assertEqual(event["log_level"], LogLevel.error)
        self.assertIn(f"{self.path}:2: not a password hash", str(event["error"]))
        self.assertNotIn("sesame", repr(event))

    def test_repaired_version(self) -> None:
        """After a broken version the next good one holds."""
        checker = self.checker()
        self.write("alice\n")
        self.assert_in(checker, "alice", "secret")
        self.write(lines(alice="repaired"))
        self.assert_in(checker, "alice", "repaired")

    def test_file_gone_and_back(self) -> None:
        """A file that goes changes nothing and is logged once; when one comes back it is read."""
        checker = self.checker()
        self.path.unlink()
        with capturedLogs() as events:
            self.assert_in(checker, "alice", "secret")
            self.assert_in(checker, "alice", "secret")
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])
        self.write(lines(alice="back"))
        self.assert_in(checker, "alice", "back")

    def test_unreadable_then_readable(self) -> None:
        """A version that may not be read at first is read when its mode is set right, unchanged otherwise."""
        checker = self.checker()
        self.write(lines(alice="changed"))
        checker_read = checker._read

        def denied() -> None:
            raise PermissionError(13, "Permission denied", str(self.path))

        self.patch(checker, "_read", denied)
        self.assert_in(checker, "alice", "secret")
        self.patch(checker, "_read", checker_read)
        self.path.chmod(0o640)
        self.assert_in(checker, "alice", "changed")
