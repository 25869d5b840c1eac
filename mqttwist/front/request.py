"""Request and response (4.10): an answer comes to a topic of ours, and is known by its Correlation Data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from mqttwist.client.errors import ClientError, NeedsMQTT5
from mqttwist.client.publication import Publication
from mqttwist.client.received import Received
from mqttwist.front.shell import Shell, Timer, Waiter
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.properties import Properties

if TYPE_CHECKING:
    from mqttwist.front.client import FrontClient
    from mqttwist.front.subscription import CallingSubscription


class NoResponse(ClientError):
    """Nobody has answered a request in time."""


class _Question:
    """A request that is not answered; `publication` is what asks."""

    def __init__(self, waiter: Waiter[Received], publication: Publication, timer: Timer) -> None:
        self.waiter = waiter
        self.publication = publication
        self.timer = timer


class Requests:
    """The requests of one client. The topic for their answers is subscribed to with the first one."""

    def __init__(self, front: FrontClient, shell: Shell) -> None:
        self._front = front
        self._shell = shell
        self._topic_name = ""
        self._subscription: CallingSubscription | None = None
        self._questions: dict[bytes, _Question] = {}

    def ask(
        self, topic_name: str, payload: bytes, timeout: float, qos: int, properties: Properties | None
    ) -> Any:
        """Publish a request, and fire with its answer. Fails with `NoResponse` after `timeout` seconds.

        Raises `NeedsMQTT5` if an older version is spoken.
        """
        if self._front.core.version != MQTT_5:
            raise NeedsMQTT5("a request")
        correlation = uuid4().bytes
        waiter: Waiter[Received] = self._shell.waiter(lambda: self._cancel(correlation))
        try:
            self._listen()
            asked = replace(
                properties or Properties(), response_topic=self._topic_name, correlation_data=correlation
            )
            publication = self._front.publish_then(
                topic_name, payload, qos, asked, timeout, lambda error: self._sent(correlation, error)
            )
        except ClientError as error:
            waiter.fail(error)
            return waiter.awaitable
        # After the deadline of the publication, which says more about what went wrong.
        timer = self._shell.call_later(timeout, lambda: self._too_late(correlation, topic_name, timeout))
        self._questions[correlation] = _Question(waiter, publication, timer)
        return waiter.awaitable

    def _listen(self) -> None:
        """Subscribe to where answers come, in a place of ours if the Server has given us one (4.10.1)."""
        if self._subscription is None or not self._subscription.is_open:
            connack = self._front.connack
            place = None if connack is None else connack.properties.response_information
            self._topic_name = f"{place.rstrip('/') if place else 'response'}/{uuid4().hex}"
            self._subscription = self._front.call_for(self._topic_name, self._answered, qos=1)
            self._subscription.tell(_Grant(self))

    def _cancel(self, correlation: bytes) -> None:
        question = self._forget(correlation)
        if question is not None:
            self._front.withdraw(question.publication)

    def _answered(self, received: Received) -> None:
        question = self._forget(received.properties.correlation_data or b"")
        if question is not None:
            question.waiter.succeed(received)

    def _sent(self, correlation: bytes, error: BaseException | None) -> None:
        if error is not None:
            self._fail(correlation, error)

    def _too_late(self, correlation: bytes, topic_name: str, timeout: float) -> None:
        self._fail(correlation, NoResponse(f"no answer from {topic_name!r} within {timeout:g} s"))

    def _fail(self, correlation: bytes, error: BaseException) -> None:
        question = self._forget(correlation)
        if question is not None:
            question.waiter.fail(error)

    def _forget(self, correlation: bytes) -> _Question | None:
        question = self._questions.pop(correlation, None)
        if question is not None:
            question.timer.cancel()
        return question

    def give_up_all(self, error: Callable[[], BaseException]) -> None:
        """There will be no answers."""
        for correlation in list(self._questions):
            self._fail(correlation, error())


class _Grant:
    """Told whether there will be answers: nobody waits on it, so a client that stops does not either."""

    awaitable = None

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    def succeed(self, granted_qos: int) -> None:
        """They come."""

    def fail(self, error: BaseException) -> None:
        self._requests.give_up_all(lambda: error)
