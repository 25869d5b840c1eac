"""From the options of the command line to a client, which gives up where a service would try again."""

from __future__ import annotations

import os
import random
import string
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from twisted.internet.defer import FirstError
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint

from mqttwist.cli.faults import CONNECTION_LOST, Fault
from mqttwist.cli.options import PASSWORD_VARIABLE, VERSIONS, ConnectOptions, payload_of
from mqttwist.cli.properties import PropertyTable
from mqttwist.client.errors import ClientError, ConnectionEnded, ConnectRefused, NotDelivered
from mqttwist.front.retry import Reconnecting
from mqttwist.net.client import MQTTClient
from mqttwist.net.client_endpoint import TIMEOUT
from mqttwist.session.connection import Trace
from mqttwist.session.session import NEVER
from mqttwist.wire.connect import Will
from mqttwist.wire.packet import CONNECT, DISCONNECT, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import WILL, Properties
from mqttwist.wire.topics import check_topic_name

PORTS: Final = {"mqtt": 1883, "mqtts": 8883}
SCHEMES: Final = {**PORTS, "ws": 0, "wss": 0}
CLIENT_ID_LETTERS: Final = string.ascii_letters + string.digits
NEVER_EXPIRES: Final = ("-1", "∞", str(NEVER))


@dataclass(frozen=True, slots=True)
class URL:
    """What `-L` says; nothing is decoded in it, as in Mosquitto."""

    is_tls: bool
    host: str
    port: int | None
    username: str | None
    password: str | None
    topic: str

    @classmethod
    def parse(cls, text: str) -> URL:
        """Raises `ValueError`."""
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in SCHEMES:
            raise ValueError(f"{text!r} is no URL of mqtt:// or mqtts://")
        if scheme in ("ws", "wss"):
            raise ValueError("WebSocket is not supported yet: use mqtt:// or mqtts://")
        authority, _, topic = rest.partition("/")
        login, _, place = authority.rpartition("@")
        username, has_password, password = login.partition(":")
        host, port = _split_port(place)
        if not host:
            raise ValueError(f"{text!r} has no host")
        return cls(scheme == "mqtts", host, port, username or None, password if has_password else None, topic)


def _split_port(place: str) -> tuple[str, int | None]:
    host, separator, port = place.rpartition(":")
    if not separator or place.endswith("]"):  # an IPv6 address without a port
        return place.strip("[]"), None
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65_536):
        raise ValueError(f"{port!r} is no port")
    return host.strip("[]"), int(port)


class CommandClient(MQTTClient):
    """Gives up when its first connection fails; and when a later one does, unless it `stays`.

    `on_gone` is called once, with why there will be no more connections; `gone` keeps it.
    """

    def __init__(self, where: IStreamClientEndpoint, stays: bool, reactor: Any, **options: Any) -> None:
        super().__init__(where, reactor=reactor, **options)
        self._stays = stays
        self.on_gone: Callable[[BaseException], object] | None = None
        self.gone: BaseException | None = None

    def is_the_end(self, error: ClientError) -> bool:
        is_impatient = self.connack is None or not self._stays or isinstance(error, ConnectRefused)
        return is_impatient or super().is_the_end(error)

    def give_up(self, error: ClientError) -> None:
        if error.__cause__ is not None:  # there was no transport
            number = getattr(error.__cause__, "osError", None)
            error = ConnectionEnded(os.strerror(number) if isinstance(number, int) else str(error.__cause__))
        lost = not isinstance(error, ConnectRefused) and self.connack is not None
        self.gone = Fault(f"Error: {error}", CONNECTION_LOST) if lost else error
        super().give_up(error)
        if self.on_gone is not None:
            self.on_gone(self.gone)

    def cause_of(self, error: BaseException) -> BaseException:
        """What to end with: why the connection has gone, if that is why a message was not delivered."""
        if isinstance(error, FirstError):
            error = error.subFailure.value or error
        return self.gone if isinstance(error, NotDelivered) and self.gone is not None else error


class Connecting:
    """What the options come to. Raises `ValueError` and `OSError` for what can't be.

    `version` is the default protocol version of the command.
    """

    def __init__(self, options: ConnectOptions, version: int = MQTT_3_1_1) -> None:
        self.properties = PropertyTable(options.property)
        self._url = URL.parse(options.url) if options.url else None
        self.options = self._with_url(options)
        self.version = self._version(version)
        self._check()
        self._settings = self._client_options()

    @property
    def topic(self) -> str | None:
        """The topic that `-L` names."""
        return (self._url.topic or None) if self._url else None

    def client(self, reactor: Any, stays: bool = False, number: int = 0, **more: Any) -> CommandClient:
        """A client that was not started. Those with a `number` have client ids of their own."""
        settings: dict[str, Any] = {**self._settings, **more}
        if number:
            settings["client_id"] = self._client_id(number)
        return CommandClient(
            self.endpoint(reactor),
            stays,
            reactor,
            version=self.version,
            username=self.options.username,
            password=self._password(),
            reconnecting=Reconnecting(first=1.0, longest=30.0),
            trace=_trace() if self.options.debug else None,
            **settings,
        )

    async def leave(self, client: CommandClient, timeout: float = 5.0) -> None:
        """Stop a client; DISCONNECT has the properties of the command line."""
        said = self.properties.of(DISCONNECT)
        if said is not None and client.is_connected:
            await client.flushed()
            client.core.disconnect(0, properties=said)
        await client.stopService(timeout)

    def endpoint(self, reactor: Any) -> IStreamClientEndpoint:
        """Where the Server is."""
        options = self.options
        if options.unix:
            return UNIXClientEndpoint(reactor, options.unix, timeout=int(TIMEOUT))
        host = options.host or "localhost"
        port = options.port or PORTS["mqtts" if self.is_tls else "mqtt"]
        bind = (options.bind_address, 0) if options.bind_address else None
        endpoint = HostnameEndpoint(reactor, host, port, timeout=TIMEOUT, bindAddress=bind)
        if not self.is_tls:
            return endpoint
        try:
            from mqttwist.cli.tls import with_tls
        except ImportError as error:
            raise ValueError("TLS needs the extra: pip install 'mqttwist[tls]'") from error
        return with_tls(endpoint, host, options)

    @property
    def is_tls(self) -> bool:
        """Any option that names whom to trust asks for TLS, and so does its port."""
        options = self.options
        trusts = options.cafile or options.capath or options.tls_use_os_certs
        return bool(trusts or (self._url and self._url.is_tls) or options.port == PORTS["mqtts"])

    # Inside

    def _with_url(self, options: ConnectOptions) -> ConnectOptions:
        url = self._url
        if url is None:
            return options
        if options.unix or options.host:
            raise ValueError("-L says where the broker is: -h and --unix say it once more")
        return replace(
            options,
            host=url.host,
            port=url.port or options.port,
            username=url.username or options.username,
            pw=url.password if url.password is not None else options.pw,
        )

    def _version(self, default: int) -> int:
        given = self.options.protocol_version
        if self.properties:  # which there are in MQTT 5.0 only
            if given is not None and VERSIONS[given] != MQTT_5:
                raise ValueError("-D needs MQTT 5.0")
            return MQTT_5
        return default if given is None else VERSIONS[given]

    def _check(self) -> None:
        options = self.options
        has_will = options.will_payload or options.will_qos or options.will_retain
        has_id = options.id or options.id_prefix
        faults = (
            (options.unix and options.host, "--unix and -h can't both be where the broker is"),
            (options.unix and self.is_tls, "there is no TLS over a Unix socket"),
            (None not in (options.id, options.id_prefix), "-i and -I can't be used together"),
            (
                options.disable_clean_session and not has_id,
                "You must provide a client id if you are using the -c option.",
            ),
            (
                has_will and options.will_topic is None,
                "there is something of a will, but no --will-topic",
            ),
            (
                options.pw is not None and options.username is None and self.version != MQTT_5,
                "-P needs -u before MQTT 5.0 [MQTT-3.1.2-22]",
            ),
            (bool(options.cert) != bool(options.key), "--cert and --key are needed both, or none of them"),
        )
        for is_so, text in faults:
            if is_so:
                raise ValueError(text)

    def _password(self) -> bytes | None:
        if self.options.pw is not None:
            return payload_of(self.options.pw)
        hidden = os.environ.get(PASSWORD_VARIABLE)
        return payload_of(hidden) if hidden is not None and self.options.username is not None else None

    def _client_options(self) -> dict[str, Any]:
        options = self.options
        said = self.properties.of(CONNECT) or Properties()
        settings: dict[str, Any] = {
            "client_id": self._client_id(),
            "clean_start": not options.disable_clean_session,
            "keep_alive": options.keepalive,
            "session_expiry_interval": self._session_expiry(said),
            "will": self._will(),
            "properties": said,
        }
        for name in ("receive_maximum", "maximum_packet_size", "topic_alias_maximum"):
            value = getattr(said, name)
            if value is not None:
                settings[name] = value
        return settings

    def _client_id(self, number: int = 0) -> str:
        options = self.options
        suffix = f"-{number}" if number else ""
        if options.id is not None:
            return options.id + suffix
        if options.id_prefix is not None:
            return f"{options.id_prefix}{os.getpid()}{suffix}"
        if self.version == MQTT_5 and not number:
            return ""  # the Server makes one up
        return "mqttwist-" + "".join(random.choices(CLIENT_ID_LETTERS, k=14))  # 23 bytes, as 3.1 allows

    def _session_expiry(self, said: Properties) -> int:
        given = self.options.session_expiry
        if given is None and said.session_expiry_interval is not None:
            return said.session_expiry_interval
        if given is None or self.version != MQTT_5:
            return NEVER if self.options.disable_clean_session else 0
        if given in NEVER_EXPIRES:
            return NEVER
        if not (given.isascii() and given.isdecimal() and int(given) < NEVER):
            raise ValueError(f"-x is {given!r}, not a number of seconds from 0 to {NEVER - 1}, or -1")
        return int(given)

    def _will(self) -> Will | None:
        options = self.options
        properties = self.properties.of(WILL)
        if options.will_topic is None:
            if properties is not None:
                raise ValueError("there are properties of a will, but no --will-topic")
            return None
        check_topic_name(options.will_topic)
        return Will(
            options.will_topic,
            payload_of(options.will_payload or ""),
            options.will_qos or 0,
            options.will_retain,
            properties or Properties(),
        )


def _trace() -> Trace:
    from mqttwist.net.log import LogTrace  # which needs much of the broker

    return LogTrace()
