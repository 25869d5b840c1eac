"""`mqttwist pub`: what mosquitto_pub does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
from twisted.internet.defer import Deferred, DeferredList, FirstError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from mqttwist.cli.connecting import CommandClient, Connecting
from mqttwist.cli.faults import DONE
from mqttwist.cli.lines import Input
from mqttwist.cli.options import ConnectOptions, MosquittoCommand, connection_options, payload_of
from mqttwist.cli.running import exit_with, run
from mqttwist.client.errors import NotDelivered, PublishRefused
from mqttwist.wire.enums import reason_name
from mqttwist.wire.packet import PUBLISH
from mqttwist.wire.properties import Properties
from mqttwist.wire.topics import check_topic_name

WHOLE: Final = "stdin_file"
LINES: Final = "stdin_line"


@dataclass(frozen=True, slots=True)
class Publishing:
    """What is to be published, and how often. `payload` is None where the standard input has it."""

    topic_name: str
    payload: bytes | None
    by_line: bool
    qos: int
    retain: bool
    properties: Properties | None
    repeat: int
    delay: float
    quiet: bool

    async def run(self, connecting: Connecting, reactor: Any) -> int:
        """Publish all of it. A message that is refused is told, and is no failure, as in Mosquitto."""
        source = Input(reactor)
        payload = self.payload
        if payload is None and not self.by_line:
            payload = await source.whole()
        client = connecting.client(reactor, stays=self.by_line, when_full="block")
        client.on_gone = lambda error: source.close()
        client.startService()
        try:
            await client.ready()
            if payload is None:
                await self._publish_lines(client, source)
            else:
                await self._publish_repeatedly(client, payload, reactor)
        except (FirstError, NotDelivered) as error:
            raise client.cause_of(error) from None
        finally:
            await connecting.leave(client)
        return DONE

    async def _publish_repeatedly(self, client: CommandClient, payload: bytes, reactor: Any) -> None:
        for number in range(self.repeat):
            if number and self.delay:
                await deferLater(reactor, self.delay)
            await self._publish(client, payload)

    async def _publish_lines(self, client: CommandClient, source: Input) -> None:
        """What was read is confirmed before more is read, but for one piece: the broker sets the pace."""
        before: Deferred[Any] | None = None
        while lines := await source.lines():
            now = DeferredList(
                [self._publish(client, line) for line in lines], fireOnOneErrback=True, consumeErrors=True
            )
            if before is not None:
                await before
            before = now
        if before is not None:
            await before
        if client.gone is not None:
            raise client.gone

    def _publish(self, client: CommandClient, payload: bytes) -> Deferred[Any]:
        published: Deferred[Any] = client.publish(
            self.topic_name, payload, qos=self.qos, retain=self.retain, properties=self.properties
        )
        return published.addErrback(self._refused)

    def _refused(self, failure: Failure) -> None:
        failure.trap(PublishRefused)
        error = failure.value
        if isinstance(error, PublishRefused) and not self.quiet:
            said = f": {error.reason_string}" if error.reason_string else ""
            click.echo(f"Warning: Publish failed: {reason_name(error.reason_code)}{said}.", err=True)


@click.command(cls=MosquittoCommand, context_settings={"help_option_names": ["--help"]})
@connection_options
@click.option("-t", "--topic", metavar="TOPIC", help="The topic to publish to.")
@click.option("-q", "--qos", type=click.IntRange(0, 2), default=0, help="The QoS of the message.")
@click.option("-r", "--retain", is_flag=True, help="The broker is to keep the message.")
@click.option("-m", "--message", metavar="TEXT", help="The payload.")
@click.option("-f", "--file", metavar="FILE", help="A file whose content is the payload.")
@click.option("-l", "--stdin-line", is_flag=True, help="Publish each line of the standard input.")
@click.option("-n", "--null-message", is_flag=True, help="Publish an empty payload.")
@click.option("-s", "--stdin-file", is_flag=True, help="Publish all of the standard input.")
@click.option("--repeat", type=click.IntRange(1), default=1, metavar="COUNT", help="Publish it so often.")
@click.option("--repeat-delay", type=click.FloatRange(0.0), default=0.0, metavar="SECONDS")
@click.option("-M", "max_inflight", type=click.IntRange(0), expose_value=False, help="No effect.")
@click.pass_context
def pub(context: click.Context, /, **given: Any) -> None:
    """Publish messages, as mosquitto_pub does."""
    try:
        options = ConnectOptions.taken_from(given)
        connecting = Connecting(options)
        publishing = _publishing(connecting, given)
    except (ValueError, OSError) as error:
        exit_with(context, error)
        return
    status = run(
        lambda reactor: publishing.run(connecting, reactor),
        version=connecting.version,
        debug=options.debug,
        quiet=options.quiet,
    )
    context.exit(status)


def _publishing(connecting: Connecting, given: dict[str, Any]) -> Publishing:
    topic = given["topic"] or connecting.topic
    payload, by_line = message_of(given)
    if topic is None:
        raise ValueError("Both topic and message must be supplied.")
    check_topic_name(topic)
    if given["repeat"] > 1 and by_line:
        raise ValueError("--repeat is for one message: not with -l")
    return Publishing(
        topic,
        payload,
        by_line,
        given["qos"],
        given["retain"],
        connecting.properties.of(PUBLISH),
        given["repeat"],
        given["repeat_delay"],
        connecting.options.quiet,
    )


def message_of(given: dict[str, Any]) -> tuple[bytes | None, bool]:
    """The payload, None for the standard input, and whether that is taken line by line.

    Raises `ValueError` unless exactly one option says it; `OSError` if the file can't be read.
    """
    names = ("message", "file", "stdin_line", "null_message", "stdin_file")
    said = [name for name in names if given.get(name) not in (None, False)]
    if not said:
        raise ValueError("Both topic and message must be supplied.")
    if len(said) > 1:
        raise ValueError("Only one type of message can be sent at once.")
    if said[0] == "message":
        return payload_of(given["message"]), False
    if said[0] == "file":
        return Path(given["file"]).read_bytes(), False
    return (b"" if said[0] == "null_message" else None), said[0] == "stdin_line"
