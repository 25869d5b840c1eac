"""`mqttwist rr`: what mosquitto_rr does: publish a request, and print the response to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import click
from twisted.internet.defer import Deferred

from mqttwist.cli.connecting import Connecting
from mqttwist.cli.faults import DONE, TIMED_OUT, Fault, fault_of
from mqttwist.cli.inbox import Inbox
from mqttwist.cli.lines import Input
from mqttwist.cli.options import ConnectOptions, MosquittoCommand, connection_options
from mqttwist.cli.output import Output, output_options
from mqttwist.cli.pub import message_of
from mqttwist.cli.running import exit_with, run
from mqttwist.client.errors import NotDelivered
from mqttwist.client.received import Received
from mqttwist.wire.packet import MQTT_5, PUBLISH
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import check_topic_name


@dataclass(frozen=True, slots=True)
class Question:
    """A request, and where its response is to go. `payload` is None where the standard input has it."""

    topic_name: str
    payload: bytes | None
    response_topic: str
    qos: int
    properties: Properties | None
    no_retained: bool


class Asking:
    """One run of the command: the first message to the response topic ends it."""

    def __init__(self, connecting: Connecting, question: Question, output: Output) -> None:
        self._connecting = connecting
        self._question = question
        self._output = output
        self._finished: Deferred[int] = Deferred()

    async def run(self, reactor: Any, timeout: float | None) -> int:
        """Subscribe, publish when the subscription stands, and wait."""
        question = self._question
        if question.payload is None:
            question = replace(question, payload=await Input(reactor).whole())
        client = self._connecting.client(reactor)
        client.on_gone = self._fail
        self._reactor = reactor
        self._inbox = inbox = Inbox(client.core, self._take, self._fail)
        inbox.subscribe(SubscriptionOptions(question.response_topic, question.qos))
        client.startService()
        timer = None
        try:
            await client.ready()
            if timeout is not None:
                timer = reactor.callLater(timeout, self._fail, Fault("Timed out", TIMED_OUT))
            await inbox.answered
            if inbox.refusals:
                raise inbox.refusals[0]
            await client.publish(
                question.topic_name,
                question.payload or b"",
                qos=question.qos,
                properties=question.properties,
            )
            return await self._finished
        except NotDelivered as error:
            raise client.cause_of(error) from None
        finally:
            inbox.close()
            if timer is not None and timer.active():
                timer.cancel()
            self._finished.addErrback(lambda failure: None)
            await self._connecting.leave(client)

    def _take(self, received: Received) -> bool:
        if received.retain and self._question.no_retained:
            return True
        self._output.show(received)
        self._inbox.close()
        self._reactor.callLater(0, self._finish)  # when it is acknowledged
        return True

    def _finish(self) -> None:
        if not self._finished.called:
            self._finished.callback(DONE)

    def _fail(self, error: BaseException) -> None:
        if not self._finished.called:
            self._finished.errback(
                error if isinstance(error, BrokenPipeError) else fault_of(error, self._connecting.version)
            )


@click.command(cls=MosquittoCommand, context_settings={"help_option_names": ["--help"]})
@connection_options
@click.option("-t", "--topic", metavar="TOPIC", help="The topic to publish the request to.")
@click.option("-e", "response_topic", metavar="TOPIC", help="The topic that the response is to go to.")
@click.option("-q", "--qos", type=click.IntRange(0, 2), default=0, help="The QoS of both.")
@click.option("-m", "--message", metavar="TEXT", help="The payload.")
@click.option("-f", "--file", metavar="FILE", help="A file whose content is the payload.")
@click.option("-n", "--null-message", is_flag=True, help="Send an empty payload.")
@click.option("-s", "--stdin-file", is_flag=True, help="Send all of the standard input.")
@click.option("-R", "no_retained", is_flag=True, help="A retained message is no response.")
@click.option("-W", "timeout", type=click.IntRange(1), metavar="SECONDS", help="End then, with status 27.")
@output_options
@click.pass_context
def rr(context: click.Context, /, **given: Any) -> None:
    """Publish a request and print its response, as mosquitto_rr does. MQTT 5.0 unless -V says another."""
    try:
        options = ConnectOptions.taken_from(given)
        connecting = Connecting(options, MQTT_5)
        timeout = given.pop("timeout")
        output = Output(given, lambda text: None if options.quiet else click.echo(text, err=True))
        asking = Asking(connecting, _question(connecting, given), output)
    except (ValueError, OSError) as error:
        exit_with(context, error)
        return
    status = run(
        lambda reactor: asking.run(reactor, timeout),
        version=connecting.version,
        debug=options.debug,
        quiet=options.quiet,
    )
    context.exit(status)


def _question(connecting: Connecting, given: dict[str, Any]) -> Question:
    topic = given["topic"] or connecting.topic
    response_topic = given["response_topic"]
    if topic is None or response_topic is None:
        raise ValueError("All of topic, message, and response topic must be supplied.")
    payload, _ = message_of(given)
    check_topic_name(topic)
    check_topic_name(response_topic)
    properties = connecting.properties.of(PUBLISH)
    if connecting.version == MQTT_5:
        properties = properties or Properties()
        properties.response_topic = response_topic
    return Question(topic, payload, response_topic, given["qos"], properties, given["no_retained"])
