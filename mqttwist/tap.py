"""`twistd mqtt` and `twist mqtt`: from the command line's words to a running broker."""

from __future__ import annotations

import os.path
import sys
from collections.abc import Sequence
from dataclasses import Field, fields
from typing import Any

from twisted.cred.credentials import IUsernameHashedPassword, IUsernamePassword
from twisted.cred.strcred import AuthOptionMixin
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.python import usage

from mqttwist.broker.broker import accept_everybody
from mqttwist.broker.doors import Login
from mqttwist.broker.settings import Settings
from mqttwist.net.auth import make_portal
from mqttwist.net.login import PortalLogin, accept_local
from mqttwist.net.service import BrokerService

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 1883


def _option_name(row: Field[Any]) -> str:
    return row.name.replace("_", "-")


def _parameter(row: Field[Any]) -> list[object]:
    """A row of the table of settings as an option of `twisted.python.usage`."""
    number = float if isinstance(row.default, float) else int
    text = f"{row.metadata['help']}; in {row.metadata['unit']}"
    return [_option_name(row), None, row.default, text, number]


def _port_number(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ValueError(f"{text} is no port number (0..65,535)")
    return port


class Options(usage.Options, AuthOptionMixin):
    """The options of the command. What is wrong with them is said in one line, with exit status 1."""

    supportedInterfaces = (IUsernamePassword, IUsernameHashedPassword)
    synopsis = "[options]"
    longdesc = (
        "An MQTT 5.0, 3.1.1 and 3.1 broker. Without --auth and without --allow-anonymous it listens on loopback only "
        "and lets in clients of this machine only."
    )

    optFlags = (
        ("allow-anonymous", None, "let in clients without a user name, and listen on all interfaces"),
        ("log-packets", None, "write every packet to the log, at debug level"),
    )
    optParameters = (
        ("port", "p", None, f"TCP port to listen on (default {DEFAULT_PORT}, unless --listen is given)", _port_number),
        ("store", None, "memory:", "where sessions and retained messages are kept; memory: is the only store yet"),
        *(_parameter(row) for row in fields(Settings)),
    )

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """Twisted server endpoint to listen on, such as ssl:8883:privateKey=key.pem:certKey=cert.pem,
        unix:/run/mqtt.sock, systemd:domain=INET:index=0 or haproxy:tcp:1883; may be given several times.
        """
        self["listen"].append(endpoint)

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Raises `SystemExit` with one line for a bad option."""
        try:
            super().parseOptions(options)  # type: ignore[no-untyped-call]
        except usage.UsageError as error:
            raise SystemExit(f"{_program()}: {error}") from error

    def postOptions(self) -> None:
        if self["store"] != "memory:":
            raise usage.UsageError(f"--store {self['store']}: memory: is the only store yet")
        values = {row.name: self[_option_name(row)] for row in fields(Settings)}
        try:
            self["settings"] = Settings(**values)
        except ValueError as error:
            raise usage.UsageError(str(error)) from error
        for endpoint in self["listen"]:
            self._check_endpoint(endpoint)

    def _check_endpoint(self, endpoint: str) -> None:
        from twisted.internet import reactor

        try:
            serverFromString(reactor, endpoint)
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
            endpoints.insert(0, f"tcp:{port}" if self.is_open else f"tcp:{port}:interface={LOOPBACK}")
        return endpoints

    def login(self) -> Login:
        """Who is let in."""
        checkers = self.get("credCheckers") or []
        if checkers:
            return PortalLogin(make_portal(checkers, allow_anonymous=bool(self["allow-anonymous"])))
        return accept_everybody if self["allow-anonymous"] else accept_local


def _program() -> str:
    return f"{os.path.basename(sys.argv[0])} mqtt"


class CommandService(BrokerService):
    """The broker of the command: what it can't listen on ends the program with one line."""

    def _listen(self) -> None:
        try:
            super()._listen()
        except CannotListenError as error:
            raise SystemExit(f"{_program()}: {error}") from error


def makeService(options: Options) -> BrokerService:
    """The service that `twistd` runs."""
    service = CommandService(
        options.endpoints(),
        settings=options["settings"],
        login=options.login(),
        log_packets=bool(options["log-packets"]),
    )
    if not options.is_open:
        service.log.warn(
            "Neither --auth nor --allow-anonymous is set: only clients on this machine are let in, and --port "
            "listens on {interface} only",
            interface=LOOPBACK,
        )
    return service
