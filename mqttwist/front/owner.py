"""What becomes of a client: lines in its log, and calls of the program's functions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from mqttwist.client.client import Client
from mqttwist.client.connection import ClientConnection
from mqttwist.client.errors import ClientError, ConnectRefused
from mqttwist.client.overdue import PATIENCE
from mqttwist.client.publication import Publication
from mqttwist.client.received import Received
from mqttwist.client.stats import ClientStats
from mqttwist.client.subscriptions import Subscriber
from mqttwist.front.drain import Drain
from mqttwist.front.retry import words
from mqttwist.front.shell import CALLING, Shell
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.publish import Publish

VERSION_NAMES = {MQTT_3_1: "3.1", MQTT_3_1_1: "3.1.1", MQTT_5: "5.0"}


class ClientOwner:
    """The `Owner` of the core. It is told in the middle of a turn; the program, when that is over.

    `on_connected(connack)`, `on_disconnected(error)`, `on_session_lost(messages)`, `on_unclaimed(publish)`
    and `on_error(error, received)` are called when it happens, if they are set; what they raise is logged. So
    is `on_restored(publication)`, for each message that a process before this one has published when it is
    confirmed or given up: `publication.error` says which.
    """

    core: Client
    _drain: Drain

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._is_stopped = False
        self._news: deque[Callable[[], object]] = deque()
        self.on_connected: Callable[[ConnAck], object] | None = None
        self.on_disconnected: Callable[[ClientError], object] | None = None
        self.on_session_lost: Callable[[int], object] | None = None
        self.on_unclaimed: Callable[[Publish], object] | None = None
        self.on_error: Callable[[BaseException, Received | None], object] | None = None
        self.on_restored: Callable[[Publication], object] | None = None

    @property
    def stats(self) -> ClientStats:
        """Counters of what has happened, as plain integers."""
        return self.core.stats

    @property
    def client_id(self) -> str:
        """The Client Identifier: ours, or the one that the Server has assigned; "" before that."""
        return self.core.client_id

    # What the core tells, in the middle of its turn

    def connected(self, connection: ClientConnection, connack: ConnAck) -> None:
        self._shell.info(
            "{client_id!r} connected to {peer}: MQTT {version}, {session} session, keep alive {keep_alive} s",
            client_id=self.client_id,
            peer=connection.peer,
            version=VERSION_NAMES[connection.version],
            session="resumed" if connack.session_present else "new",
            keep_alive=connection.keep_alive,
        )
        self._tell(lambda: self._tell_connected(connack))

    def _tell_connected(self, connack: ConnAck) -> None:
        if self.on_connected is not None:
            self._guard(self.on_connected, connack)

    def ended(self, connection: ClientConnection, error: ClientError) -> None:
        was_refused = isinstance(error, ConnectRefused)
        say = self._shell.warn if was_refused else self._shell.info
        say(
            "{client_id!r} {what} {peer}: {error}",
            client_id=self.client_id,
            what="refused by" if was_refused else "disconnected from",
            peer=connection.peer,
            error=words(error),
        )
        self._tell(lambda: self._tell_ended(error))

    def _tell_ended(self, error: ClientError) -> None:
        if self.on_disconnected is not None:
            self._guard(self.on_disconnected, error)

    def session_lost(self, connection: ClientConnection, messages: int) -> None:
        self._shell.warn(
            "The Server has lost the session of {client_id!r}, with {messages} messages not confirmed",
            client_id=self.client_id,
            messages=messages,
        )
        callback = self.on_session_lost
        if callback is not None:
            self._tell(lambda: self._guard(callback, messages))

    def dropped(self, subscriber: Subscriber) -> None:
        if subscriber.dropped == 1:
            self._shell.warn(
                "Messages of QoS 0 for {topic_filter!r} are dropped: they are not taken as fast as they come",
                topic_filter=subscriber.topic_filter,
            )

    def overdue(self, received: Received, topic_filters: list[str], others: int) -> None:
        self._shell.warn(
            "A message to {topic_name!r} for {topic_filters} has not been dealt with for {seconds:.0f} s:"
            " no message of QoS {qos} behind it is acknowledged ({others} wait)",
            topic_name=received.topic_name,
            topic_filters=", ".join(map(repr, topic_filters)),
            seconds=PATIENCE,
            qos=received.qos,
            others=others,
        )

    def left_out(self, what: str) -> None:
        self._shell.warn(
            "{client_id!r} speaks MQTT {version} only: {what} are left out",
            client_id=self.client_id,
            version=VERSION_NAMES[self.core.version],
            what=what,
        )

    def unclaimed(self, publish: Publish) -> None:
        if self.stats.unclaimed == 1:
            self._shell.warn(
                "A message to {topic_name!r} came that nothing here has subscribed to; more are only counted",
                topic_name=publish.topic_name,
            )
        callback = self.on_unclaimed
        if callback is not None:
            self._tell(lambda: self._guard(callback, publish))

    def _restored_ended(self, publication: Publication) -> None:
        if self.on_restored is not None:
            self._guard(self.on_restored, publication)

    # What the program is told

    def _was_cancelled(self, error: BaseException) -> bool:
        """A function that we have cancelled, because the client has stopped, has not failed."""
        return self._is_stopped and isinstance(error, self._shell.cancelled)

    def _function_failed(self, error: BaseException, received: Received) -> None:
        if self._was_cancelled(error):
            return  # its message is left to the Server all the same
        self.stats.handler_errors += 1
        self._shell.failure(
            "Error in the subscriber to {topic_name!r}", error, topic_name=received.topic_name
        )
        if self.on_error is not None:
            self._guard(self.on_error, error, received)

    def _wake(self) -> None:
        """Something is to be written or told: soon, together with what else comes in this round."""
        self._shell.call_later(0.0, self.settle)

    def _tell(self, news: Callable[[], object]) -> None:
        self._news.append(news)
        if len(self._news) == 1:
            self._wake()

    def _tell_news(self) -> None:
        while self._news:
            self._guard(self._news.popleft())

    def settle(self) -> None:
        """Write what has gathered, and tell the program what has happened."""
        raise NotImplementedError

    def _guard(self, function: Callable[..., object], *arguments: object) -> None:
        """Call the program, and log what it raises, or what the coroutine that it returns does."""
        token = CALLING.set(function)
        try:
            self._shell.follow(function(*arguments), self._has_failed)
        except Exception as error:
            self._has_failed(error)
        finally:
            CALLING.reset(token)

    def _has_failed(self, error: BaseException | None) -> None:
        self._drain.look()
        if error is not None and not self._was_cancelled(error):
            self._shell.failure("Error in a function that was to be told", error)
