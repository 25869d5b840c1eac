"""`mqttwist sub`: what mosquitto_sub does."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mqttwist.cli.connecting import CommandClient, Connecting
from mqttwist.cli.faults import DONE, TIMED_OUT, Fault, fault_of
from mqttwist.cli.inbox import Inbox
from mqttwist.cli.options import ConnectOptions, MosquittoCommand, connection_options
from mqttwist.cli.output import Output, output_options
from mqttwist.cli.running import exit_with, run
from mqttwist.cli.stats import SubscriberStats
from mqttwist.client.received import Received
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import check_topic_filter, matches


@dataclass(frozen=True, slots=True)
class Selection:
    """Which messages are printed, and after which the command ends. Raises `ValueError`."""

    filter_out: tuple[str, ...]
    no_retained: bool
    retained_only: bool
    remove_retained: bool
    random_filter: float
    count: int | None

    def __post_init__(self) -> None:
        if self.no_retained and self.retained_only:
            raise ValueError("Combining '-R' and '--retained-only' makes no sense.")
        for topic_filter in self.filter_out:
            check_topic_filter(topic_filter)

    def is_wanted(self, received: Received) -> bool:
        """Whether the message counts at all."""
        if received.retain and self.no_retained and not self.remove_retained:
            return False
        return not any(matches(one, received.topic_name) for one in self.filter_out)

    def is_printed(self, received: Received) -> bool:
        """Whether one that counts is printed."""
        if received.retain and self.no_retained:
            return False
        return self.random_filter >= 100.0 or random.random() * 100.0 < self.random_filter


class Subscription:
    """One run of the command. `finished` fires with the exit status."""

    def __init__(
        self,
        connecting: Connecting,
        selection: Selection,
        output: Output | SubscriberStats,
        topics: tuple[SubscriptionOptions, ...],
        unsubscribe: tuple[str, ...],
    ) -> None:
        self._connecting = connecting
        self._selection = selection
        self._output = output
        self._topics = topics
        self._unsubscribe = unsubscribe
        self._shown = 0
        self.finished: Deferred[int] = Deferred()

    async def run(self, reactor: Any, timeout: int | None, exit_after_sub: bool) -> int:
        """Until there is a reason to end; then what was taken is acknowledged, and DISCONNECT goes out."""
        self._reactor = reactor
        self._client = client = self._connecting.client(reactor, stays=True)
        client.on_gone = self._fail
        self._inbox = inbox = Inbox(client.core, self._take, self._fail)
        self._subscribe(client)
        client.startService()
        timer = None
        try:
            await client.ready()
            if timeout is not None:
                timer = reactor.callLater(timeout, self._time_out)
            if self._topics:
                await inbox.answered
                self._look_at_answers()
            for topic_filter in self._unsubscribe:
                inbox.unsubscribe(topic_filter)
            if exit_after_sub:
                self._end(DONE)
            return await self.finished
        except CancelledError:
            return DONE
        finally:
            inbox.close()
            if timer is not None and timer.active():
                timer.cancel()
            self.finished.addErrback(lambda failure: None)  # it may have failed unseen
            await self._connecting.leave(client)
            self._output.finish()

    def _subscribe(self, client: CommandClient) -> None:
        """Before CONNECT, so that nothing of a session that goes on comes too early."""
        for options in self._topics:
            self._inbox.subscribe(options)
        filters = {one.topic_filter for one in self._topics}
        for topic_filter in self._unsubscribe:
            if topic_filter not in filters:  # which a session may have from before
                client.core.unsubscribe(client.core.subscribe(SubscriptionOptions(topic_filter), _nothing, 1))

    def _look_at_answers(self) -> None:
        if self._inbox.refusals and not self._inbox.granted:
            error = self._inbox.refusals[0]
            self._fail(Fault(f"Error: All subscription requests were denied: {error}"))

    def _take(self, received: Received) -> bool:
        selection = self._selection
        if selection.retained_only and not received.retain:
            self._end(DONE)
            return False
        if not selection.is_wanted(received):
            return True
        if selection.remove_retained and received.retain:
            removed = self._client.publish(received.topic_name, b"", qos=1, retain=True)
            removed.addErrback(self._fail_with)
        if not selection.is_printed(received):
            return True
        self._output.show(received)
        self._shown += 1
        if selection.count is not None and self._shown >= selection.count:
            self._end(DONE)
        return True

    def _end(self, status: int) -> None:
        """Stop in the next round, when the message at hand is acknowledged.

        `stopService` waits for what is to be confirmed: the end of retained messages.
        """
        self._inbox.close()
        self._reactor.callLater(0, self._finish, status)

    def _finish(self, status: int) -> None:
        if not self.finished.called:
            self.finished.callback(status)

    def _time_out(self) -> None:
        self._inbox.close()
        self._fail(Fault("Timed out", TIMED_OUT))

    def _fail_with(self, failure: Failure) -> None:
        if failure.value is not None:
            self._fail(failure.value)

    def _fail(self, error: BaseException) -> None:
        if not self.finished.called:
            self.finished.errback(
                error if isinstance(error, BrokenPipeError) else fault_of(error, self._connecting.version)
            )


def _nothing() -> None:
    """There is nothing to take."""


@click.command(cls=MosquittoCommand, context_settings={"help_option_names": ["--help"]})
@connection_options
@click.option("-t", "--topic", "topics", multiple=True, metavar="FILTER", help="What to subscribe to.")
@click.option("-q", "--qos", type=click.IntRange(0, 2), default=0, help="The highest QoS to get messages at.")
@click.option("-U", "--unsubscribe", multiple=True, metavar="FILTER", help="What to unsubscribe from.")
@click.option("-T", "--filter-out", multiple=True, metavar="FILTER", help="What not to print.")
@click.option("-R", "no_retained", is_flag=True, help="Print no retained messages.")
@click.option("--retained-only", is_flag=True, help="End with the first message that is not retained.")
@click.option("--remove-retained", is_flag=True, help="Have the broker forget each retained message.")
@click.option("--retain-as-published", is_flag=True, help="Show RETAIN as it was published (MQTT 5.0).")
@click.option("--random-filter", type=click.FloatRange(0.1, 100.0), default=100.0, metavar="PERCENT")
@click.option("-C", "count", type=click.IntRange(1), metavar="COUNT", help="End after so many messages.")
@click.option("-W", "timeout", type=click.IntRange(1), metavar="SECONDS", help="End then, with status 27.")
@click.option("-E", "exit_after_sub", is_flag=True, help="End when the subscription stands.")
@click.option("--stats", is_flag=True, help="Print rate, gaps and latency instead of messages.")
@output_options
@click.pass_context
def sub(context: click.Context, /, **given: Any) -> None:
    """Subscribe, and print the messages that come, as mosquitto_sub does."""
    try:
        options = ConnectOptions.taken_from(given)
        connecting = Connecting(options)
        subscription = _subscription(connecting, given)
        timeout, exit_after_sub = given["timeout"], given["exit_after_sub"]
    except (ValueError, OSError) as error:
        exit_with(context, error)
        return
    status = run(
        lambda reactor: subscription.run(reactor, timeout, exit_after_sub),
        version=connecting.version,
        debug=options.debug,
        quiet=options.quiet,
    )
    context.exit(status)


def _subscription(connecting: Connecting, given: dict[str, Any]) -> Subscription:
    def warn(text: str) -> None:
        if not connecting.options.quiet:
            click.echo(text, err=True)

    names = given["topics"] + ((connecting.topic,) if connecting.topic else ())
    if not names and not given["unsubscribe"]:
        raise ValueError("You must specify a topic to subscribe to.")
    for name in (*names, *given["unsubscribe"]):
        check_topic_filter(name, connecting.version)
    if given["retain_as_published"] and connecting.version != 5:
        raise ValueError("--retain-as-published needs MQTT 5.0")
    output = Output(given, warn)
    return Subscription(
        connecting,
        Selection(
            given["filter_out"],
            given["no_retained"],
            given["retained_only"],
            given["remove_retained"],
            given["random_filter"],
            given["count"],
        ),
        SubscriberStats() if given["stats"] else output,
        tuple(
            SubscriptionOptions(name, given["qos"], retain_as_published=given["retain_as_published"])
            for name in dict.fromkeys(names)
        ),
        given["unsubscribe"],
    )
