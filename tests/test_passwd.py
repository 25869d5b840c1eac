"""`python -m mqttwist.passwd`: the password file's editor."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mqttwist import passwd
from mqttwist.net.hashes import Kind, PasswordHash, Scrypt
from mqttwist.net.passwords import parse_passwords
from mqttwist.passwd import checked_user, edited, main
from tests.net.logins import MOSQUITTO_6, MOSQUITTO_7, cheap_hash, run_python, temporary_folder


def cheaply(password: bytes, kind: Kind | None = None) -> str:
    """In the place of `hash_password`, whose work would only take time here."""
    return cheap_hash(password)


def nobody_asks(prompt: str) -> str:
    raise AssertionError("asked for a password")


class PasswdCase(SynchronousTestCase):
    """Runs the command in this process over a file in a temporary folder."""

    def setUp(self) -> None:
        self.folder = temporary_folder(self)
        self.path = self.folder / "passwd"
        self.stderr = io.StringIO()
        self.patch(passwd, "hash_password", cheaply)

    def run_main(self, *arguments: str, stdin: bytes = b"", ask: Callable[[str], str] = nobody_asks) -> int:
        return main([str(self.path), *arguments], io.BytesIO(stdin), self.stderr, ask)

    def set_password(self, user: str, password: bytes = b"secret") -> None:
        status = self.run_main(user, "--password-stdin", stdin=password)
        self.assertEqual((status, self.stderr.getvalue()), (0, ""))

    def assert_fails(self, text: str, status: int) -> None:
        """The command failed, with `text` in one line of error output."""
        self.assertEqual(status, 1)
        self.assertEqual(self.stderr.getvalue(), f"mqttwist.passwd: {text}\n")

    def users(self) -> dict[bytes, PasswordHash]:
        return parse_passwords(self.path.read_bytes(), "passwd")

    def verifies(self, user: bytes, password: bytes) -> bool:
        return self.users()[user].verify(password)


class AddTests(PasswdCase):
    """Users come and change their password."""

    def test_new_file(self) -> None:
        """A file that is not there is made, with the user in it."""
        self.set_password("alice")
        self.assertEqual(list(self.users()), [b"alice"])
        self.assertTrue(self.verifies(b"alice", b"secret"))

    def test_second_user(self) -> None:
        """A new user goes to the end of the file."""
        self.set_password("bob")
        self.set_password("alice")
        self.assertEqual(list(self.users()), [b"bob", b"alice"])

    def test_new_password(self) -> None:
        """A user who is there gets the new password, and no second line."""
        self.set_password("alice", b"old")
        self.set_password("alice", b"new")
        self.assertEqual(list(self.users()), [b"alice"])
        self.assertTrue(self.verifies(b"alice", b"new"))
        self.assertFalse(self.verifies(b"alice", b"old"))

    def test_everything_else_stays(self) -> None:
        """Comments, blank lines, other users and the order of all stay, byte by byte."""
        before = f"# ours\n\nalice:{MOSQUITTO_7}\n  \n# theirs\r\nbob:{MOSQUITTO_6}\r\n#end\n"
        self.path.write_bytes(before.encode())
        self.set_password("alice")
        line = f"alice:{cheap_hash(b'secret')}"
        after = before.replace(f"alice:{MOSQUITTO_7}", line)
        self.assertEqual(self.path.read_bytes(), after.encode())

    def test_mosquittos_file(self) -> None:
        """A user can be added to a file that mosquitto_passwd made; the others still log in."""
        self.path.write_text(f"bob:{MOSQUITTO_7}\n", "utf-8")
        self.set_password("alice")
        self.assertTrue(self.verifies(b"bob", b"secret"))
        self.assertTrue(self.verifies(b"alice", b"secret"))

    def test_kind(self) -> None:
        """`--kind` says how to hash; without it the choice is left to the library."""
        kinds: list[Kind | None] = []

        def seen(password: bytes, kind: Kind | None) -> str:
            kinds.append(kind)
            return cheap_hash(password)

        self.patch(passwd, "hash_password", seen)
        for more in ([], ["--kind", "scrypt"], ["--kind", "argon2id"]):
            self.run_main("alice", "--password-stdin", *more, stdin=b"secret")
        self.assertEqual(kinds, [None, "scrypt", "argon2id"])

    def test_argon2_missing(self) -> None:
        """`--kind argon2id` without argon2-cffi fails with what to install, and makes no file."""
        self.patch(sys, "modules", {**sys.modules, "argon2.low_level": None})
        from mqttwist.net.hashes import hash_password

        self.patch(passwd, "hash_password", hash_password)
        status = self.run_main("alice", "--password-stdin", "--kind", "argon2id", stdin=b"secret")
        self.assert_fails("argon2id needs argon2-cffi: pip install mqttwist[argon2]", status)
        self.assertFalse(self.path.exists())


class PasswordInputTests(PasswdCase):
    """Where the password comes from."""

    def test_line_break_at_the_end(self) -> None:
        """One line break at the end of standard input is not part of the password."""
        for given, password in (
            (b"secret", b"secret"),
            (b"secret\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b"secret\n\n", b"secret\n"),
            (b" secret ", b" secret "),
            (b"two\nlines\n", b"two\nlines"),
            (b"\xff\0:\n", b"\xff\0:"),
        ):
            self.set_password("alice", given)
            self.assertTrue(self.verifies(b"alice", password), given)

    def test_lengths(self) -> None:
        """A password has 1 to 65535 bytes: what fits the field of a CONNECT, and not nothing."""
        self.set_password("alice", b"x" * 65535)
        for length in (0, 65536):
            self.stderr = io.StringIO()
            status = self.run_main("bob", "--password-stdin", stdin=b"x" * length)
            self.assert_fails("the password must have 1 to 65535 bytes", status)
        self.assertEqual(list(self.users()), [b"alice"])

    def test_asked_twice(self) -> None:
        """Without `--password-stdin` the password is asked for twice."""
        prompts: list[str] = []

        def ask(prompt: str) -> str:
            prompts.append(prompt)
            return "ünï"

        self.assertEqual(self.run_main("alice", ask=ask), 0)
        self.assertEqual(prompts, ["Password: ", "The same again: "])
        self.assertTrue(self.verifies(b"alice", "ünï".encode()))

    def test_two_that_differ(self) -> None:
        """Two different answers change nothing."""
        answers = iter(("secret", "Secret"))
        status = self.run_main("alice", ask=lambda prompt: next(answers))
        self.assert_fails("the two passwords differ", status)
        self.assertFalse(self.path.exists())

    def test_empty_answer(self) -> None:
        """An empty answer is not a password."""
        status = self.run_main("alice", ask=lambda prompt: "")
        self.assert_fails("the password must have 1 to 65535 bytes", status)

    def test_no_answer(self) -> None:
        """End of input and Ctrl-C at the prompt are one line, no traceback."""
        for error in (EOFError(), KeyboardInterrupt()):

            def ask(prompt: str, error: BaseException = error) -> str:
                raise error

            self.stderr = io.StringIO()
            self.assert_fails("no password given", self.run_main("alice", ask=ask))

    def test_answer_beyond_utf_8(self) -> None:
        """A byte that the terminal's encoding does not know stays that byte."""
        self.assertEqual(self.run_main("alice", ask=lambda prompt: "\udcff"), 0)
        self.assertTrue(self.verifies(b"alice", b"\xff"))


class DeleteTests(PasswdCase):
    """Users go."""

    def test_delete(self) -> None:
        """The user's line goes, the rest stays."""
        self.path.write_text(f"# ours\nalice:{MOSQUITTO_7}\n\nbob:{MOSQUITTO_6}\n", "utf-8")
        self.assertEqual(self.run_main("alice", "--delete"), 0)
        self.assertEqual(self.path.read_text("utf-8"), f"# ours\n\nbob:{MOSQUITTO_6}\n")

    def test_last_user(self) -> None:
        """Without its last user the file is empty, and still there."""
        self.set_password("alice")
        self.assertEqual(self.run_main("alice", "--delete"), 0)
        self.assertEqual(self.path.read_bytes(), b"")

    def test_no_such_user(self) -> None:
        """A user who is not there can't be deleted; the file is not touched."""
        self.set_password("alice")
        before = self.path.stat()
        status = self.run_main("bob", "--delete")
        self.assert_fails(f"{self.path.resolve()}: no user 'bob'", status)
        self.assertEqual(self.path.stat().st_ino, before.st_ino)

    def test_no_such_file(self) -> None:
        """To delete from a file that is not there fails and makes none."""
        status = self.run_main("alice", "--delete")
        self.assert_fails(f"{self.path.resolve()}: No such file or directory", status)
        self.assertFalse(self.path.exists())


class FileTests(PasswdCase):
    """How the file is written."""

    def mode(self) -> int:
        return stat.S_IMODE(self.path.stat().st_mode)

    def test_mode_of_a_new_file(self) -> None:
        """A new file is its owner's alone."""
        self.set_password("alice")
        self.assertEqual(self.mode(), 0o600)

    def test_mode_of_an_old_file(self) -> None:
        """A group that could read the file still can; nobody else can from now on."""
        for before, after in ((0o600, 0o600), (0o640, 0o640), (0o664, 0o640), (0o604, 0o600), (0o777, 0o640)):
            self.set_password("alice")
            self.path.chmod(before)
            self.set_password("bob")
            self.assertEqual(self.mode(), after, oct(before))

    def test_owner_stays(self) -> None:
        """The new version belongs to whom the old one did, so that the broker's user can still read it."""
        self.set_password("alice")
        owned: list[tuple[int, int]] = []
        self.patch(os, "fchown", lambda handle, user, group: owned.append((user, group)))
        self.set_password("alice")
        status = self.path.stat()
        self.assertEqual(owned, [(status.st_uid, status.st_gid)])

    def test_owner_that_can_not_stay(self) -> None:
        """When the owner can't be kept, nothing is changed."""

        def denied(handle: int, user: int, group: int) -> None:
            raise PermissionError(1, "Operation not permitted", handle)

        self.set_password("alice", b"old")
        self.patch(os, "fchown", denied)
        self.assertEqual(self.run_main("alice", "--password-stdin", stdin=b"new"), 1)
        self.assertIn("Operation not permitted", self.stderr.getvalue())
        self.assertTrue(self.verifies(b"alice", b"old"))
        self.assertEqual([each.name for each in self.folder.iterdir()], ["passwd"])

    def test_old_version_until_the_end(self) -> None:
        """Until the new version is whole, the old one has the name; then it is replaced in one step."""
        self.set_password("alice", b"old")
        seen: list[bool] = []
        replace = os.replace

        def watch(temporary: str, path: str) -> None:
            seen.append(self.verifies(b"alice", b"old"))
            new = parse_passwords(Path(temporary).read_bytes(), "new")
            seen.append(new[b"alice"].verify(b"new"))
            seen.append(stat.S_IMODE(Path(temporary).stat().st_mode) == 0o600)
            replace(temporary, path)

        self.patch(os, "replace", watch)
        self.set_password("alice", b"new")
        self.assertEqual(seen, [True, True, True])
        self.assertTrue(self.verifies(b"alice", b"new"))

    def test_full_disk(self) -> None:
        """When the new version can't be written, the old one stays and nothing is left beside it."""

        def full(handle: int) -> None:
            raise OSError(28, "No space left on device", "passwd")

        self.set_password("alice", b"old")
        self.patch(os, "fsync", full)
        status = self.run_main("alice", "--password-stdin", stdin=b"new")
        self.assert_fails("passwd: No space left on device", status)
        self.assertTrue(self.verifies(b"alice", b"old"))
        self.assertEqual([each.name for each in self.folder.iterdir()], ["passwd"])

    def test_link(self) -> None:
        """A symbolic link stays one; the file it leads to changes."""
        real = self.folder / "real"
        real.write_text(f"bob:{MOSQUITTO_6}\n", "utf-8")
        self.path.symlink_to(real.name)
        self.set_password("alice")
        self.assertTrue(self.path.is_symlink())
        self.assertEqual(list(parse_passwords(real.read_bytes(), "real")), [b"bob", b"alice"])

    def test_folder_missing(self) -> None:
        """A folder that is not there is told in one line."""
        self.path = self.folder / "none" / "passwd"
        self.assertEqual(self.run_main("alice", "--password-stdin", stdin=b"secret"), 1)
        self.assertRegex(self.stderr.getvalue(), r"\Amqttwist\.passwd: .*No such file or directory\n\Z")

    def test_not_a_password_file(self) -> None:
        """A file with other things in it is refused, with the line, and left alone."""
        self.path.write_text("127.0.0.1 localhost\n", "utf-8")
        status = self.run_main("alice", "--password-stdin", stdin=b"secret")
        self.assert_fails(f"{self.path.resolve()}:1: no ':' after the user name", status)
        self.assertEqual(self.path.read_text("utf-8"), "127.0.0.1 localhost\n")


class EditTests(SynchronousTestCase):
    """`edited`: one file's content to the next."""

    def test_table(self) -> None:
        """Lines are replaced, added and taken out; every line has its end afterwards."""
        for content, line, after in (
            (b"", b"a:1", b"a:1\n"),
            (b"\n", b"a:1", b"\na:1\n"),
            (b"b:2", b"a:1", b"b:2\na:1\n"),
            (b"b:2\n", b"a:1", b"b:2\na:1\n"),
            (b"b:2\n\n", b"a:1", b"b:2\n\na:1\n"),
            (b"a:0", b"a:1", b"a:1\n"),
            (b"a:0\nb:2\n", b"a:1", b"a:1\nb:2\n"),
            (b"b:2\na:0\n", b"a:1", b"b:2\na:1\n"),
            (b"#a:0\naa:0\n", b"a:1", b"#a:0\naa:0\na:1\n"),
            (b"\xef\xbb\xbfa:0\n", b"a:1", b"a:1\n"),
            (b"a:0\nb:2\n", None, b"b:2\n"),
            (b"b:2\na:0", None, b"b:2\n"),
            (b"a:0\n", None, b""),
            (b"#a\na:0\n\n", None, b"#a\n\n"),
        ):
            self.assertEqual(edited(content, b"a", line), after, content)


class UserNameTests(SynchronousTestCase):
    """Names that can stand in the file."""

    def test_allowed(self) -> None:
        """Anything but ':', a line break, U+0000 and a '#' in front; up to 65535 bytes."""
        for name in ("alice", "a b", " ", "ünï", "a#b", "$7$", "☃" * 21845):
            self.assertEqual(checked_user(name), name.encode())

    def test_refused(self) -> None:
        """What the file's grammar or CONNECT's field has no place for is refused, as are lone surrogates."""
        for name in ("", "a:b", "a\nb", "a\rb", "a\0b", "#a", "\udcff", "x" * 65536, "☃" * 21846):
            self.assertRaises(ValueError, checked_user, name)

    def test_what_is_allowed_is_read(self) -> None:
        """A user the tool writes is the user the broker reads."""
        for name in ("a b", " ", "ünï", "a#b", "$7$", "\x0b", "\x85", "\u2028"):
            user = checked_user(name)
            content = edited(b"", user, user + b":" + cheap_hash(b"secret").encode())
            self.assertEqual(list(parse_passwords(content, "f")), [user])

    def test_the_command_refuses_it(self) -> None:
        """A name that can't be is told before a password is asked for."""
        stderr = io.StringIO()
        self.assertEqual(main(["f", "a:b"], io.BytesIO(), stderr, nobody_asks), 1)
        self.assertIn("the user name must not begin with '#' or hold ':'", stderr.getvalue())


class CommandLineTests(PasswdCase):
    """The command line itself."""

    def test_usage_errors(self) -> None:
        """A command line that makes no sense ends with status 2."""
        for arguments in (
            [],
            ["alice", "--delete", "--password-stdin"],
            ["alice", "--kind", "md5"],
            ["a", "b"],
        ):
            with contextlib.redirect_stderr(io.StringIO()):
                stop = self.assertRaises(SystemExit, self.run_main, *arguments)
            self.assertEqual(stop.code, 2)

    def test_as_a_program(self) -> None:
        """`python -m mqttwist.passwd` makes a file, hashed as told, and says nothing."""
        path = str(self.path.resolve())
        arguments = ("-m", "mqttwist.passwd", path, "alice", "--password-stdin", "--kind", "scrypt")
        done = run_python(*arguments, stdin=b"open sesame\n")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        self.assertIsInstance(self.users()[b"alice"], Scrypt)
        self.assertTrue(self.verifies(b"alice", b"open sesame"))

    def test_failure_as_a_program(self) -> None:
        """A failure is one line on standard error and status 1."""
        done = run_python("-m", "mqttwist.passwd", str(self.path.resolve()), "alice", "--delete")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertEqual(len(done.stderr.splitlines()), 1)

    def test_help(self) -> None:
        """`--help` explains every option."""
        done = run_python("-m", "mqttwist.passwd", "--help")
        self.assertEqual(done.returncode, 0)
        for word in (b"FILE", b"USER", b"--delete", b"--password-stdin", b"--kind"):
            self.assertIn(word, done.stdout)
