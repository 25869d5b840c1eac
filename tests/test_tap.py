"""The options of the command, and the service that comes of them."""

from __future__ import annotations

import asyncio
import gc
import io
import signal
import socket
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest.mock import Mock, patch

from twisted.application.service import IServiceMaker
from twisted.cred.checkers import FilePasswordDB, InMemoryUsernamePasswordDatabaseDontUse
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs, formatEvent
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

from mqttwist import __version__
from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.settings import Settings
from mqttwist.net.login import PortalLogin, accept_local
from mqttwist.net.passwords import PasswordFile
from mqttwist.net.service import BrokerService
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite.store import SQLiteStore
from mqttwist.tap import CannotStart, CommandService, Options, makeService, option_name, option_range
from tests.net.clients import FAR, Client, TCPTransport
from tests.net.logins import MOSQUITTO_7, temporary_folder
from tests.net.loops import LoopReactor

ROWS = fields(Settings)
COMMAND_PAGE = Path(__file__).parents[1] / "docs" / "command.md"


def parsed(*words: str) -> Options:
    """The options after these words of a command line."""
    options = Options()
    options.parseOptions(words)
    return options


class OptionsTestCase(SynchronousTestCase):
    def refused(self, *words: str) -> str:
        """The one line with which the words end the program; its exit status is then 1."""
        with patch("sys.argv", ["/usr/bin/twistd"]):
            error = self.assertRaises(SystemExit, parsed, *words)
        line = str(error.code)
        self.assertNotIn("\n", line)
        self.assertTrue(line.startswith("twistd mqtt: "), line)
        return line.removeprefix("twistd mqtt: ")

    def help(self, *words: str) -> str:
        """What the words show before the program ends with status 0."""
        with patch("sys.stdout", io.StringIO()) as shown, patch.object(Options, "authOutput", shown):
            error = self.assertRaises(SystemExit, parsed, *words)
        self.assertIn(error.code, (0, None))
        return " ".join(shown.getvalue().split())


class LimitTests(OptionsTestCase):
    """Each row of the table of settings is an option."""

    def test_defaults(self) -> None:
        """Without options the settings are those of the table."""
        self.assertEqual(parsed()["settings"], Settings())

    def test_each_row(self) -> None:
        """Each row can be set to the ends of its range."""
        for row in ROWS:
            for value in (row.metadata["minimum"], row.metadata["maximum"]):
                with self.subTest(row=row.name, value=value):
                    settings = parsed(f"--{option_name(row)}", str(value))["settings"]
                    self.assertEqual(getattr(settings, row.name), value)
                    self.assertIs(type(getattr(settings, row.name)), type(row.default))

    def test_out_of_range(self) -> None:
        """Beyond them it is refused with the option, what it takes, and what was given."""
        for row in ROWS:
            for value in (row.metadata["minimum"] - 1, row.metadata["maximum"] + 1):
                with self.subTest(row=row.name, value=value):
                    line = self.refused(f"--{option_name(row)}={value}")
                    expected = f"--{option_name(row)} must be {option_range(row)}, not '{value}'"
                    self.assertEqual(line, expected)

    def test_no_number(self) -> None:
        """So is what is no number."""
        for row in ROWS:
            for value in ("", "x", "nan", "inf", "1e999", "0x10", "1.5.2"):
                with self.subTest(row=row.name, value=value):
                    self.assertIn(
                        f"--{option_name(row)} must be ", self.refused(f"--{option_name(row)}={value}")
                    )

    def test_no_fraction(self) -> None:
        """Where things are counted there are no fractions."""
        line = self.refused("--receive-maximum", "1.5")
        self.assertEqual(line, "--receive-maximum must be 1..65535 messages, not '1.5'")

    def test_help(self) -> None:
        """`--help` explains each with its unit and its default."""
        text = self.help("--help")
        for row in ROWS:
            with self.subTest(row=row.name):
                entry = f"{row.metadata['help']}; {option_range(row)} [default: {row.default}]"
                self.assertIn(f"--{option_name(row)}= {entry}", text)


class PageTests(SynchronousTestCase):
    """docs/command.md tells the same as the table of settings."""

    def test_table(self) -> None:
        """The page holds the table below, row by row and in its order."""
        rows = [
            f"| `--{option_name(row)}` | {row.default} | {option_range(row)} | {row.metadata['help']} |"
            for row in ROWS
        ]
        table = "\n".join(["| option | default | values | |", "|---|---|---|---|", *rows])
        self.assertIn(table, COMMAND_PAGE.read_text("utf-8"), f"docs/command.md should hold\n{table}")

    def test_other_options(self) -> None:
        """Every other option is somewhere on the page."""
        page = COMMAND_PAGE.read_text("utf-8")
        for option in Options().longOpt:
            self.assertIn(f"--{option.removesuffix('=')}", page)


class ListeningTests(OptionsTestCase):
    """Where the broker listens."""

    def endpoints(self, *words: str) -> list[str]:
        return parsed(*words).endpoints()

    def test_loopback(self) -> None:
        """Unless somebody may come in it listens on loopback only, on MQTT's own port."""
        self.assertEqual(self.endpoints(), ["tcp:1883:interface=127.0.0.1"])
        self.assertEqual(self.endpoints("--port", "1884"), ["tcp:1884:interface=127.0.0.1"])
        self.assertEqual(self.endpoints("-p", "0"), ["tcp:0:interface=127.0.0.1"])

    def test_everywhere(self) -> None:
        """With `--allow-anonymous` or `--auth` it listens on all interfaces."""
        self.assertEqual(self.endpoints("--allow-anonymous", "--port", "1884"), ["tcp:1884"])
        self.assertEqual(self.endpoints("--auth", "memory:alice:secret"), ["tcp:1883"])

    def test_on_asyncio(self) -> None:
        """On an asyncio reactor `--port` listens by asyncio; `--listen` stays what it says."""
        loop = asyncio.SelectorEventLoop()
        self.addCleanup(loop.close)
        with patch.object(Options, "_reactor", return_value=LoopReactor(loop)):
            self.assertEqual(self.endpoints(), ["asyncio:1883:interface=127.0.0.1"])
            self.assertEqual(self.endpoints("--allow-anonymous", "--port", "1884"), ["asyncio:1884"])
            self.assertEqual(self.endpoints("--listen", "tcp:1884"), ["tcp:1884"])

    def test_listen(self) -> None:
        """`--listen` may be given several times, and then there is no other port."""
        words = ("--listen", "tcp:1884:interface=127.0.0.1", "--listen", "unix:/tmp/mqtt.sock")
        self.assertEqual(self.endpoints(*words), ["tcp:1884:interface=127.0.0.1", "unix:/tmp/mqtt.sock"])

    def test_listen_and_port(self) -> None:
        """Unless `--port` asks for it."""
        words = ("--listen", "tcp:1884", "--port", "1885")
        self.assertEqual(self.endpoints(*words), ["tcp:1885:interface=127.0.0.1", "tcp:1884"])

    def test_kinds_of_endpoints(self) -> None:
        """Twisted's other endpoints are taken as well."""
        for endpoint in ("unix:/tmp/mqtt.sock", "haproxy:tcp:1883", "tcp6:1883"):
            self.assertEqual(self.endpoints("--listen", endpoint), [endpoint])

    def test_wrong_port(self) -> None:
        """A port is 0 to 65535."""
        for port in ("x", "", "-1", "65536", "1.0", "\N{ARABIC-INDIC DIGIT ONE}"):
            self.assertEqual(self.refused(f"--port={port}"), f"--port must be 0..65535, not {port!r}")

    def test_two_ports(self) -> None:
        """A second `--port` is refused: the first would be forgotten."""
        line = "--port is given twice; for another port, add --listen tcp:PORT"
        self.assertEqual(self.refused("--port", "1884", "--port", "1885"), line)
        self.assertEqual(self.refused("-p", "1884", "--port=1884"), line)

    def test_wrong_endpoint(self) -> None:
        """An endpoint that makes no sense is refused before anything starts."""
        self.assertEqual(self.refused("--listen", "nix:1"), "--listen nix:1: Unknown endpoint type: 'nix'")
        for endpoint in ("", "tcp", "tcp:x", "ssl:1:privateKey=/no/such/file"):
            self.assertTrue(self.refused("--listen", endpoint).startswith(f"--listen {endpoint}: "))


class AuthTests(OptionsTestCase):
    """Who may come in."""

    def checker(self, description: str) -> Any:
        (checker,) = parsed("--auth", description)["credCheckers"]
        return checker

    def reason_code(self, *words: str, **fields: Any) -> int:
        """What CONNACK says to a client of another machine."""
        service = BrokerService(reactor=MemoryReactorClock(), login=parsed(*words).login())
        (connack,) = Client(service.factory, TCPTransport(FAR)).connect("a", **fields)
        return getattr(connack, "reason_code", -1)

    def test_nobody(self) -> None:
        """Without options only who is on this machine."""
        self.assertIs(parsed().login(), accept_local)

    def test_anonymous(self) -> None:
        """`--allow-anonymous` alone lets in whoever comes, with a user name or without, as Mosquitto does."""
        self.assertIs(parsed("--allow-anonymous").login(), accept_everybody)
        self.assertEqual(self.reason_code("--allow-anonymous"), 0)
        self.assertEqual(self.reason_code("--allow-anonymous", username="alice", password=b"x"), 0)

    def test_memory(self) -> None:
        """`--auth memory:` knows the users on the command line."""
        words = ("--auth", "memory:alice:secret")
        self.assertIsInstance(parsed(*words).login(), PortalLogin)
        self.assertIsInstance(self.checker(words[1]), InMemoryUsernamePasswordDatabaseDontUse)
        self.assertEqual(self.reason_code(*words, username="alice", password=b"secret"), 0)
        self.assertEqual(self.reason_code(*words, username="alice", password=b"guess"), 0x86)
        self.assertEqual(self.reason_code(*words), 0x87)

    def test_both(self) -> None:
        """With `--auth` too, clients without a user name come in, and those with one are checked."""
        words = ("--auth", "memory:alice:secret", "--allow-anonymous")
        self.assertEqual(self.reason_code(*words), 0)
        self.assertEqual(self.reason_code(*words, username="alice", password=b"guess"), 0x86)

    def test_anonymous_checker(self) -> None:
        """`--auth anonymous` says the same."""
        words = ("--auth", "memory:alice:secret", "--auth", "anonymous")
        self.assertEqual(self.reason_code(*words), 0)
        self.assertEqual(self.reason_code(*words, username="alice", password=b"guess"), 0x86)

    def test_file(self) -> None:
        """`--auth file:` reads Twisted's file of plain passwords."""
        path = temporary_folder(self) / "passwords"
        path.write_text("alice:secret\n", "utf-8")
        self.assertIsInstance(self.checker(f"file:{path}"), FilePasswordDB)
        self.assertEqual(self.reason_code("--auth", f"file:{path}", username="alice", password=b"secret"), 0)

    def test_password_file(self) -> None:
        """`--auth mqtt-passwords:` reads our own."""
        path = temporary_folder(self) / "passwd"
        path.write_text(f"alice:{MOSQUITTO_7}\n", "utf-8")
        self.assertIsInstance(self.checker(f"mqtt-passwords:{path}"), PasswordFile)

    def test_several(self) -> None:
        """The first that accepts the client decides."""
        words = ("--auth", "memory:alice:1", "--auth", "memory:alice:2")
        self.assertEqual(self.reason_code(*words, username="alice", password=b"2"), 0)

    def test_mistakes(self) -> None:
        """One clear line for each kind of mistake, and no password in it."""
        self.assertEqual(
            self.refused("--auth", "mqtt-passwords:no/such/file"),
            "--auth mqtt-passwords: password file no/such/file can't be read: No such file or directory",
        )
        self.assertEqual(
            self.refused("--auth", "nix:x"), "--auth nix: there is no such type; --help-auth lists them"
        )
        self.assertEqual(
            self.refused("--auth", "file:/no/such/file"),
            "--auth file: /no/such/file can't be read: No such file or directory",
        )
        self.assertIn("--auth file: ", self.refused("--auth", "file:"))
        line = self.refused("--auth", "memory:alice:secret:bob")
        self.assertTrue(line.startswith("--auth memory: "))
        self.assertNotIn("secret", line)

    def test_checker_of_another_kind(self) -> None:
        """A checker that knows nothing of user names is refused."""
        with patch("mqttwist.tap.makeChecker") as make:
            make.return_value.credentialInterfaces = ()
            line = self.refused("--auth", "sshkey:x")
        self.assertEqual(line, "--auth sshkey: it does not check user names and passwords")

    def test_checker_with_a_fault(self) -> None:
        """Whatever else a checker says comes in one line."""
        with patch("mqttwist.tap.makeChecker", side_effect=ZeroDivisionError()):
            self.assertEqual(self.refused("--auth", "odd"), "--auth odd: ZeroDivisionError")

    def test_help_auth(self) -> None:
        """`--help-auth` lists what `--auth` takes."""
        text = self.help("--help-auth")
        for kind in ("memory", "file", "anonymous", "mqtt-passwords"):
            self.assertIn(f" {kind} ", text)
        self.assertIn("mqttwist.passwd", self.help("--help-auth-type", "mqtt-passwords"))


class OtherOptionsTests(OptionsTestCase):
    def test_help(self) -> None:
        """`--help` explains what stands in no table, and the safe default."""
        text = self.help("--help")
        for words in ("--listen= Twisted server endpoint", "--auth= how clients log in", "[default: 1883"):
            self.assertIn(words, text)
        self.assertIn("Without --auth and without --allow-anonymous it listens on loopback only", text)

    def test_version(self) -> None:
        """`--version` is ours, with Twisted's beside it."""
        self.assertRegex(
            self.help("--version"), rf"^mqttwist {__version__} \((plain|compiled) core\), Twisted [0-9]"
        )

    def test_unknown(self) -> None:
        """What is no option is refused, and so is a word that belongs to none."""
        self.assertEqual(self.refused("--nix"), "option --nix not recognized")
        self.assertEqual(self.refused("extra"), "'extra' is no option")

    def test_store(self) -> None:
        """A file in the run directory is the store, or another one, or memory."""
        self.assertIsInstance(parsed("--store", "memory:").store(), MemoryStore)
        for words, path, sync in (
            ((), "mqttwist.db", "full"),
            (("--store", "/var/lib/x.db", "--sync", "off"), "/var/lib/x.db", "off"),
        ):
            store = parsed(*words).store()
            self.assertIsInstance(store, SQLiteStore)
            assert isinstance(store, SQLiteStore)
            self.assertEqual((store.path, store.sync), (path, sync))

    def test_bad_store(self) -> None:
        """A store without a name, and a `--sync` that is none, are refused."""
        self.assertEqual(self.refused("--store", ""), "--store must be a file, or memory:")
        self.assertEqual(
            self.refused("--sync", "often"), "--sync must be one of off, normal, full, not 'often'"
        )


class ServiceTests(SynchronousTestCase):
    """What `makeService` makes."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def make(self, *words: str) -> tuple[BrokerService, list[str]]:
        """The service, with a store in memory, and what the log says while it is made."""
        with patch("twisted.internet.reactor", self.reactor), capturedLogs() as events:
            service = makeService(parsed("--store", "memory:", *words))
        return service, [f"{event['log_level'].name}: {formatEvent(event)}" for event in events]

    def test_plugin(self) -> None:
        """Twisted's plugin leads here."""
        makers = [maker for maker in getPlugins(IServiceMaker) if maker.tapname == "mqtt"]
        self.assertIs(makers[0].makeService, makeService)
        self.assertIs(makers[0].options, Options)

    def test_listens(self) -> None:
        """It listens where the options say."""
        service, _ = self.make("--port", "1884")
        service.privilegedStartService()
        ((port, _, _, interface),) = self.reactor.tcpServers
        self.assertEqual((port, interface), (1884, "127.0.0.1"))

    def test_safe_default(self) -> None:
        """The log says when only this machine may come in, and not otherwise."""
        _, lines = self.make()
        self.assertEqual(len(lines), 1)
        self.assertIn("warn: Neither --auth nor --allow-anonymous is set", lines[0])
        self.assertIn("127.0.0.1 only", lines[0])
        self.assertEqual(self.make("--allow-anonymous")[1], [])

    def test_settings(self) -> None:
        """The limits reach the broker."""
        service, _ = self.make("--receive-maximum", "7")
        self.assertEqual(service.broker.settings, Settings(receive_maximum=7))

    def test_trace(self) -> None:
        """`--log-packets` turns the trace on."""
        self.assertIsNone(self.make()[0].broker.trace)
        self.assertIsNotNone(self.make("--log-packets")[0].broker.trace)

    def test_port_in_use(self) -> None:
        """A port that is taken ends the program with one line, and with status 1."""

        def taken(*arguments: object, **more: object) -> None:
            raise CannotListenError("127.0.0.1", 1883, OSError(98, "Address already in use"))

        service, _ = self.make()
        self.assertIsInstance(service, CommandService)
        self.reactor.listenTCP = taken
        with patch("sys.argv", ["/usr/bin/twistd"]):
            error = self.assertRaises(SystemExit, service.privilegedStartService)
        expected = "twistd mqtt: cannot listen on 127.0.0.1:1883: Address already in use"
        self.assertEqual(error.code, expected)

    def test_why_not(self) -> None:
        """The line is short and names the place, whatever kind of place it is."""
        busy = OSError(98, "Address already in use")
        for error, expected in (
            (CannotListenError("", 1883, busy), "cannot listen on 1883: Address already in use"),
            (CannotListenError(None, "/run/mqtt.sock", busy), "cannot listen on /run/mqtt.sock: Address "),
            (CannotListenError("::1", 1883, socket.gaierror()), "cannot listen on ::1:1883: "),
            (OSError(2, "No such file or directory"), "[Errno 2] No such file or directory"),
        ):
            service, _ = self.make()
            self.reactor.listenTCP = Mock(side_effect=error)
            message = str(self.assertRaises(SystemExit, service.privilegedStartService).code)
            self.assertIn(expected, message)

    def test_sighup(self) -> None:
        """SIGHUP is answered by a line in the log while the broker runs; before and after it is as it was."""
        before = signal.getsignal(signal.SIGHUP)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        self.reactor.callFromThread = lambda function, *arguments: function(*arguments)
        service, _ = self.make()
        self.successResultOf(service.stopService())
        service.startService()
        with capturedLogs() as events:
            signal.raise_signal(signal.SIGHUP)
        (event,) = events
        self.assertIn("nothing to reload", formatEvent(event))
        self.assertEqual(event["log_level"].name, "info")
        self.successResultOf(service.stopService())
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)

    def test_garbage_collector(self) -> None:
        """While the broker runs all objects are rarely looked through; then it is as before."""
        before = gc.get_threshold()
        service, _ = self.make()
        service.startService()
        self.assertGreater(gc.get_threshold()[2], before[2])
        self.successResultOf(service.stopService())
        self.assertEqual(gc.get_threshold(), before)

    def test_sighup_in_a_thread(self) -> None:
        """A broker that is started outside of the main thread leaves signals alone."""
        before = signal.getsignal(signal.SIGHUP)
        service, _ = self.make()
        with patch("mqttwist.tap.current_thread"):
            service.startService()
        self.assertEqual(signal.getsignal(signal.SIGHUP), before)
        self.successResultOf(service.stopService())

    def test_twistd_can_clean_up(self) -> None:
        """What ends the program is an `Exception`: twistd cleans up after those, and tells its parent."""
        self.assertTrue(issubclass(CannotStart, Exception))
