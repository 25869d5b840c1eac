"""The options that say where to connect and as whom: Mosquitto's letters and names, for all commands.

`MosquittoCommand` is a click command with two of Mosquitto's ways: a wrong command line has exit status 1,
and `-D` takes three words, or four for a user property.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, Final, TypeVar

import click

from mqttwist.cli.properties import words_of

PASSWORD_VARIABLE: Final = "MQTT_PASSWORD"

VERSIONS: Final = {
    "5": 5,
    "mqttv5": 5,
    "311": 4,
    "mqttv311": 4,
    "3.1.1": 4,
    "31": 3,
    "mqttv31": 3,
    "3.1": 3,
}

# What Mosquitto's commands take and this one does not, and why; "" for flags, else how the value is called.
REFUSED: Final = (
    (("-S",), "", "SRV records are not looked up: name the host with -h"),
    (("--proxy",), "URL", "there is no SOCKS proxy"),
    (("--psk",), "KEY", "TLS with a pre-shared key is not supported"),
    (("--psk-identity",), "NAME", "TLS with a pre-shared key is not supported"),
    (("--tls-engine",), "NAME", "OpenSSL's engines are not supported"),
    (("--tls-engine-kpass-sha1",), "HASH", "OpenSSL's engines are not supported"),
    (("--ws",), "", "WebSocket is not supported yet: use TCP, TLS or a Unix socket"),
    (("-o",), "FILE", "options are not read from files"),
)

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ConnectOptions:
    """The options as they were given: see their help texts below. None where one was not."""

    host: str | None
    port: int | None
    unix: str | None
    bind_address: str | None
    url: str | None
    username: str | None
    pw: str | None
    id: str | None
    id_prefix: str | None
    protocol_version: str | None
    keepalive: int
    disable_clean_session: bool
    session_expiry: str | None
    property: tuple[tuple[str, ...], ...]
    will_topic: str | None
    will_payload: str | None
    will_qos: int | None
    will_retain: bool
    cafile: str | None
    capath: str | None
    tls_use_os_certs: bool
    cert: str | None
    key: str | None
    insecure: bool
    tls_version: str | None
    tls_alpn: str | None
    ciphers: str | None
    debug: bool
    quiet: bool

    @classmethod
    def taken_from(cls, given: dict[str, Any]) -> ConnectOptions:
        """Takes what belongs here out of what click has parsed."""
        return cls(**{field.name: given.pop(field.name) for field in fields(cls)})


class WrongCommandLine(click.UsageError):
    """What click ends with, but for the status."""

    exit_code = 1


class MosquittoCommand(click.Command):
    """A command whose exit status is 1 for a wrong command line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, list(self._with_joined_properties(args)))
        except click.UsageError as error:
            raise WrongCommandLine(error.format_message(), error.ctx) from None

    def _with_joined_properties(self, args: list[str]) -> Iterator[str]:
        """Each `-D` with all its words as one, with a separator that no argument can have."""
        with_value = {
            name
            for parameter in self.params
            if isinstance(parameter, click.Option) and not parameter.is_flag
            for name in parameter.opts
        }
        waiting = iter(args)
        for word in waiting:
            yield word
            if word in ("-D", "--property"):
                words = list(islice(waiting, 2))
                words += islice(waiting, words_of(words[-1]) - 2 if len(words) == 2 else 0)
                yield "\0".join(words)
            elif word in with_value and (value := next(waiting, None)) is not None:
                yield value


def _split_property(
    context: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[tuple[str, ...], ...]:
    properties = tuple(tuple(one.split("\0")) for one in given)
    for words in properties:
        if len(words) < 3 or len(words) != words_of(words[1]):
            raise click.BadParameter("needs PACKET NAME VALUE, or PACKET user-property NAME VALUE")
    return properties


def _refuse(why: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def refuse(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            raise click.UsageError(f"{parameter.opts[0]}: {why}.", context)

    return refuse


OPTIONS: Final = (
    click.option("-h", "--host", metavar="HOST", help="Where the broker is; localhost if not given."),
    click.option("-p", "--port", type=click.IntRange(1, 65535), help="1883 if not given, with TLS 8883."),
    click.option("--unix", metavar="PATH", help="Connect to a Unix socket."),
    click.option("-A", "bind_address", metavar="ADDRESS", help="The address of ours to connect from."),
    click.option("-L", "--url", metavar="URL", help="mqtt[s]://[USER[:PASSWORD]@]HOST[:PORT]/TOPIC"),
    click.option("-u", "--username", metavar="NAME"),
    click.option(
        "-P", "--pw", metavar="WORD", help=f"The password; {PASSWORD_VARIABLE} in the environment hides it."
    ),
    click.option("-i", "--id", metavar="ID", help="The Client Identifier; made up if not given."),
    click.option("-I", "--id-prefix", metavar="PREFIX", help="Makes it of this and the process id."),
    click.option(
        "-V",
        "--protocol-version",
        type=click.Choice(list(VERSIONS)),
        metavar="5|311|31",
        help="The MQTT version.",
    ),
    click.option(
        "-k",
        "--keepalive",
        type=click.IntRange(0, 65535),
        default=60,
        metavar="SECONDS",
        help="Keep Alive; 0 for none.  [default: 60]",
    ),
    click.option("-c", "--disable-clean-session", is_flag=True, help="Go on with the session of this id."),
    click.option(
        "-x",
        "--session-expiry-interval",
        "session_expiry",
        metavar="SECONDS",
        help="How long the session outlives the connection; -1: for ever.",
    ),
    click.option(
        "-D",
        "--property",
        multiple=True,
        callback=_split_property,
        metavar="PACKET NAME VALUE",
        help="A property of MQTT 5.0 for connect, publish, will or disconnect.",
    ),
    click.option(
        "--will-topic", metavar="TOPIC", help="What the broker publishes if we are gone, and where."
    ),
    click.option("--will-payload", metavar="TEXT"),
    click.option("--will-qos", type=click.IntRange(0, 2)),
    click.option("--will-retain", is_flag=True),
    click.option("--cafile", metavar="FILE", help="Use TLS, and trust the certificates in this file."),
    click.option("--capath", metavar="FOLDER", help="Use TLS, and trust those in this folder."),
    click.option("--tls-use-os-certs", is_flag=True, help="Use TLS, and trust what the system trusts."),
    click.option("--cert", metavar="FILE", help="Our own certificate."),
    click.option("--key", metavar="FILE", help="Its key."),
    click.option("--insecure", is_flag=True, help="Do not check that the certificate is the host's."),
    click.option("--tls-version", type=click.Choice(["tlsv1.3", "tlsv1.2", "tlsv1.1"])),
    click.option("--tls-alpn", metavar="PROTOCOL", help="The protocol to ask for by ALPN."),
    click.option("--ciphers", metavar="LIST", help="As OpenSSL writes them."),
    click.option("--keyform", type=click.Choice(["pem"]), expose_value=False),
    click.option("--nodelay", is_flag=True, expose_value=False, help="No effect: it is always so."),
    click.option("-d", "--debug", is_flag=True, help="Write each packet to the standard error."),
    click.option("--quiet", is_flag=True, help="Write no errors."),
)


def connection_options(function: Function) -> Function:
    """Give a command all of the above."""
    for names, metavar, why in reversed(REFUSED):
        function = click.option(
            *names,
            is_flag=not metavar,
            metavar=metavar or None,
            expose_value=False,
            hidden=True,
            callback=_refuse(why),
        )(function)
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def payload_of(text: str) -> bytes:
    """What stands on the command line, as the bytes that the shell has passed."""
    return os.fsencode(text)
