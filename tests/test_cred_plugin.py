"""`--auth mqtt-passwords:FILE`, as Twisted's strcred finds it."""

from __future__ import annotations

from twisted.cred.credentials import IUsernamePassword
from twisted.cred.strcred import (
    AuthOptionMixin,
    ICheckerFactory,
    InvalidAuthArgumentString,
    findCheckerFactory,
    makeChecker,
)
from twisted.plugin import IPlugin
from twisted.python.usage import Options, UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mqttwist.net.passwords import PasswordFile
from tests.net.logins import MOSQUITTO_7, run_python, temporary_folder


class AuthOptions(Options, AuthOptionMixin):
    """Options of a command that takes `--auth`."""

    supportedInterfaces = (IUsernamePassword,)  # noqa: N815


class PasswordFileFactoryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = temporary_folder(self) / "passwd"
        self.path.write_text(f"alice:{MOSQUITTO_7}\n", "utf-8")

    def refused(self, argument: str) -> str:
        """The text of the error that the argument makes, which is one line."""
        error = self.assertRaises(InvalidAuthArgumentString, makeChecker, "mqtt-passwords:" + argument)
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_twisted_finds_it(self) -> None:
        """strcred finds the type among the plugins, and it is what strcred wants."""
        factory = findCheckerFactory("mqtt-passwords")
        verifyObject(ICheckerFactory, factory)
        verifyObject(IPlugin, factory)
        self.assertIn("mqttwist.passwd", factory.authHelp)

    def test_checker(self) -> None:
        """The argument is the path of the file, whose checker comes out."""
        checker = makeChecker(f"mqtt-passwords:{self.path}")
        self.assertIsInstance(checker, PasswordFile)

    def test_path_with_a_colon(self) -> None:
        """All behind the first ':' is the path."""
        path = self.path.rename(self.path.with_name("with:colon"))
        self.assertIsInstance(makeChecker(f"mqtt-passwords:{path}"), PasswordFile)

    def test_interfaces(self) -> None:
        """It promises the credentials that its checkers take."""
        factory = findCheckerFactory("mqtt-passwords")
        checker = makeChecker(f"mqtt-passwords:{self.path}")
        self.assertEqual(tuple(factory.credentialInterfaces), tuple(checker.credentialInterfaces))

    def test_no_path(self) -> None:
        """Without a path the error says what is missing."""
        self.assertEqual(self.refused(""), "mqtt-passwords needs the path of a file after a ':'")
        error = self.assertRaises(InvalidAuthArgumentString, makeChecker, "mqtt-passwords")
        self.assertIn("needs the path", str(error))

    def test_missing_file(self) -> None:
        """A file that is not there is told in one line with its path."""
        text = self.refused("no/such/file")
        self.assertEqual(text, "password file no/such/file can't be read: No such file or directory")

    def test_damaged_file(self) -> None:
        """A damaged file is told in one line with its path and the line's number."""
        self.path.write_text("alice\n", "utf-8")
        text = self.refused(str(self.path))
        self.assertEqual(text, f"damaged password file: {self.path}:1: no ':' after the user name")

    def test_as_an_option(self) -> None:
        """`--auth` takes it, and a bad file ends as a usage error with the line in it."""
        options = AuthOptions()
        options.parseOptions(["--auth", f"mqtt-passwords:{self.path}"])
        (checker,) = options["credCheckers"]
        self.assertIsInstance(checker, PasswordFile)
        with self.assertRaisesRegex(UsageError, "password file no/such/file can't be read"):
            AuthOptions().parseOptions(["--auth", "mqtt-passwords:no/such/file"])

    def test_every_twistd_command_stays_quick(self) -> None:
        """Twisted imports the plugin for any command; what it needs is imported when it is asked for."""
        code = (
            "import sys; from twisted.plugins import mqttwist_cred_plugin;"
            "sys.exit(any(name.startswith('mqttwist.') for name in sys.modules))"
        )
        self.assertEqual(run_python("-c", code).returncode, 0)
