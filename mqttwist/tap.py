"""`twistd mqtt` and `twist mqtt`: from the command line's words to a running broker."""

from __future__ import annotations

import os.path
import sys
from collections.abc import Callable, Sequence
from dataclasses import Field, fields
from signal import SIGHUP, signal
from threading import current_thread, main_thread
from typing import Any

from twisted.copyright import version as twisted_version
from twisted.cred.credentials import IAnonymous, IUsernameHashedPassword, IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin, InvalidAuthType, UnsupportedInterfaces, makeChecker
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.logger import Logger
from twisted.python import usage

from mqttwist import __version__
from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.build import BUILD
from mqttwist.net.asyncio_endpoint import loop_of
from mqttwist.net.auth import make_portal
from mqttwist.net.collector import collect_rarely, without_collector
from mqttwist.net.login import PortalLogin, accept_local
from mqttwist.net.service import BrokerService
from mqttwist.session.store import Store
from mqttwist.stores.memory import MemoryStore
from mqttwist.stores.sqlite.lock import StoreError
from mqttwist.stores.sqlite.store import SYNC, SQLiteStore

log = Logger(namespace="mqttwist.broker")

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 1883

LISTEN_HELP = (
    "Twisted server endpoint to listen on, such as ssl:8883:privateKey=key.pem:certKey=cert.pem, "
    "unix:/run/mqtt.sock, systemd:domain=INET:index=0 or haproxy:tcp:1883; may be given several times"
)
DEFAULT_STORE = "mqttwist.db"  # in the run directory
MEMORY = "memory:"
SYNC_HELP = (
    "what an acknowledgement survives: full, a loss of power; normal, the end of the process, and of a loss "
    "of power all but the last moments; off, the end of the process"
)
PORT_HELP = (
    f"TCP port to listen on, on all IPv4 interfaces [default: {DEFAULT_PORT}, or none with --listen]; "
    f"--listen tcp6:{DEFAULT_PORT} in its place listens for IPv6"
)
AUTH_HELP = (
    "how clients log in, as TYPE:ARGUMENT, such as mqtt-passwords:FILE; may be given several times, and the "
    "first that accepts the client decides; --help-auth lists the types"
)


def option_name(row: Field[Any]) -> str:
    """The option for a row of the table of settings, without its dashes."""
    return row.name.replace("_", "-")


def option_range(row: Field[Any]) -> str:
    """What the option takes, in words: `0..65535 seconds`."""
    return f"{_plain(row.metadata['minimum'])}..{_plain(row.metadata['maximum'])} {row.metadata['unit']}"


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _parameter(row: Field[Any]) -> list[object]:
    """A row of the table of settings as an option of `twisted.python.usage`."""
    text = f"{row.metadata['help']}; {option_range(row)}"
    return [option_name(row), None, row.default, text, _limit(row)]


def _limit(row: Field[Any]) -> Callable[[str], float]:
    """What reads the option's value; `UsageError` for one that is no number or out of its range."""
    number: type[float] = float if isinstance(row.default, float) else int

    def read(text: str) -> float:
        try:
            value = number(text)
        except ValueError:
            value = float("nan")  # which is in no range
        if not row.metadata["minimum"] <= value <= row.metadata["maximum"]:
            raise usage.UsageError(f"--{option_name(row)} must be {option_range(row)}, not {text!r}")
        return value

    return read


def _port_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= 65_535):
        raise usage.UsageError(f"--port must be 0..65535, not {text!r}")
    return int(text)


def _check_readable(path: str) -> None:
    """Raises `UsageError` for a file that can't be read."""
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise usage.UsageError(f"{path} can't be read: {error.strerror}") from error


def _program() -> str:
    return f"{os.path.basename(sys.argv[0])} mqtt"


class Options(usage.Options, AuthOptionMixin):
    """The options of the command. What is wrong with them is said in one line, with exit status 1."""

    supportedInterfaces = (IUsernamePassword, IUsernameHashedPassword, IAnonymous)  # noqa: N815 - strcred's
    synopsis = "[options]"
    longdesc = (
        "An MQTT 5.0, 3.1.1 and 3.1 broker. Without --auth and without --allow-anonymous it listens on "
        "loopback only and lets in clients of this machine only."
    )

    optFlags = (
        ("allow-anonymous", None, "let in clients without a user name, and listen on all interfaces"),
        ("log-packets", None, "write every packet to the log, at debug level; passwords are left out"),
    )
    optParameters = (
        (
            "store",
            None,
            DEFAULT_STORE,
            "file in which sessions, messages and wills are kept; memory: keeps them while the broker runs",
        ),
        ("sync", None, "full", SYNC_HELP),
        *(_parameter(row) for row in fields(Settings)),
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["port"] = None
        self["listen"] = []
        self.docs.update(port=PORT_HELP, listen=LISTEN_HELP, auth=AUTH_HELP)

    def opt_port(self, text: str) -> None:
        if self["port"] is not None:
            raise usage.UsageError("--port is given twice; for another port, add --listen tcp:PORT")
        self["port"] = _port_number(text)

    opt_p = opt_port

    def opt_listen(self, endpoint: str) -> None:
        self["listen"].append(endpoint)

    def opt_auth(self, description: str) -> None:
        name, _, argument = description.partition(":")
        kind = f"--auth {name}"  # without the argument, which may be a password
        try:
            if name == "file" and argument:  # Twisted's own only warns, and asks the file at each login
                _check_readable(argument)
            self.addChecker(makeChecker(description))  # type: ignore[no-untyped-call]
        except InvalidAuthType as error:
            raise usage.UsageError(f"{kind}: there is no such type; --help-auth lists them") from error
        except UnsupportedInterfaces as error:
            raise usage.UsageError(f"{kind}: it does not check user names and passwords") from error
        except Exception as error:  # each checker has errors of its own
            raise usage.UsageError(f"{kind}: {str(error) or type(error).__name__}") from error

    def opt_version(self) -> None:
        """Display the versions of mqttwist and Twisted and exit."""
        sys.stdout.write(f"mqttwist {__version__} ({BUILD} core), Twisted {twisted_version}\n")
        raise SystemExit(0)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Raises `SystemExit` with one line for a bad option."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"{_program()}: {error}") from error

    def parseArgs(self, *words: str) -> None:  # noqa: N802 - usage's
        if words:
            raise usage.UsageError(f"{words[0]!r} is no option")

    def postOptions(self) -> None:
        if self["sync"] not in SYNC:
            raise usage.UsageError(f"--sync must be one of {', '.join(SYNC)}, not {self['sync']!r}")
        if not self["store"]:
            raise usage.UsageError("--store must be a file, or memory:")
        if self["store"] == f":{MEMORY}":  # in SQLite it is the name of no file
            raise usage.UsageError(f"--store :{MEMORY} is no file; for memory say --store {MEMORY}")
        self["settings"] = Settings(**{row.name: self[option_name(row)] for row in fields(Settings)})
        for endpoint in self["listen"]:
            self._check_endpoint(endpoint)

    def _reactor(self) -> Any:
        from twisted.internet import reactor

        return reactor

    def _check_endpoint(self, endpoint: str) -> None:
        try:
            serverFromString(self._reactor(), endpoint)
        except Exception as error:  # each kind of endpoint has errors of its own
            raise usage.UsageError(f"--listen {endpoint}: {str(error) or type(error).__name__}") from error

    @property
    def is_open(self) -> bool:
        """Whether clients of other machines may get in."""
        return bool(self.get("credCheckers")) or bool(self["allow-anonymous"])

    def endpoints(self) -> list[str]:
        """The descriptions of all endpoints to listen on."""
        endpoints = list(self["listen"])
        if self["port"] is not None or not endpoints:
            port = DEFAULT_PORT if self["port"] is None else self["port"]
            interface = "" if self.is_open else f":interface={LOOPBACK}"
            kind = "tcp" if loop_of(self._reactor()) is None else "asyncio"
            endpoints.insert(0, f"{kind}:{port}{interface}")
        return endpoints

    def store(self) -> Store:
        """Where sessions and messages are kept."""
        if self["store"] == MEMORY:
            return MemoryStore()
        return SQLiteStore(self["store"], self["sync"])

    def login(self) -> Login:
        """Who is let in."""
        checkers = self.get("credCheckers") or []
        if checkers:
            return PortalLogin(make_portal(checkers, allow_anonymous=bool(self["allow-anonymous"])))
        return accept_everybody if self["allow-anonymous"] else accept_local


class CannotStart(SystemExit, Exception):
    """Ends the program with one line.

    It is an `Exception` too, because twistd cleans up after those only, and tells who waits for the daemon.
    """


def _why_not_listening(error: CannotListenError | OSError) -> str:
    """In few words: of what a daemon says of its end, twistd shows the first 100 bytes."""
    if not isinstance(error, CannotListenError):
        return str(error)
    where = f"{error.interface}:{error.port}" if error.interface else str(error.port)
    return f"cannot listen on {where}: {getattr(error.socketError, 'strerror', None) or error.socketError}"


class CommandService(BrokerService):
    """The broker of the command: what it can't listen on ends the program with one line.

    SIGHUP, which would end it without a word, is answered by a line in the log. The process is the broker's
    alone, and so is its garbage collector.
    """

    _sighup_before: Any = None
    _collect_as_before: Callable[[], None] | None = None

    def startService(self) -> None:
        with without_collector():
            try:
                super().startService()
            except StoreError as error:
                raise CannotStart(f"{_program()}: {error}") from error
            if self._collect_as_before is None:
                self._collect_as_before = collect_rarely()
        if current_thread() is main_thread():
            self._sighup_before = signal(SIGHUP, self._hang_up)

    def stopService(self) -> Deferred[None]:
        if self._sighup_before is not None:
            signal(SIGHUP, self._sighup_before)
            self._sighup_before = None
        if self._collect_as_before is not None:
            self._collect_as_before()
            self._collect_as_before = None
        return super().stopService()

    def _hang_up(self, number: int, frame: object) -> None:
        reactor: Any = self.clock
        reactor.callFromThread(  # a signal may come in the middle of a line of the log
            log.info, "SIGHUP: nothing to reload; a password file is read anew by itself when it has changed"
        )

    def _listen(self) -> None:
        try:
            super()._listen()
        except (CannotListenError, OSError) as error:
            raise CannotStart(f"{_program()}: {_why_not_listening(error)}") from error


def makeService(options: Options) -> BrokerService:
    """The service that `twistd` runs."""
    service = CommandService(
        options.endpoints(),
        settings=options["settings"],
        login=options.login(),
        store=options.store(),
        log_packets=bool(options["log-packets"]),
    )
    if not options.is_open:
        log.warn(
            "Neither --auth nor --allow-anonymous is set: only clients on this machine are let in, "
            "and --port listens on {interface} only",
            interface=LOOPBACK,
        )
    return service
