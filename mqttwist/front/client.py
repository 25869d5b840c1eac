"""The client as programs see it, whatever it runs on.

`mqttwist.net.client` and `mqttwist.aio` are made of it. The shell makes transports and says what becomes of
them; everything that a program calls is here. What a program is told, it is told when the core is in the
middle of nothing, so it may call whatever it likes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack
from weakref import WeakSet

from mqttwist.client.client import Client
from mqttwist.client.connection import ClientConnection
from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError, ConnectionEnded, NotDelivered
from mqttwist.client.publication import Publication
from mqttwist.client.published import Published
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.front.drain import Drain
from mqttwist.front.owner import ClientOwner
from mqttwist.front.places import Places
from mqttwist.front.request import Requests
from mqttwist.front.retry import Retry, words
from mqttwist.front.shell import Shell, Waiter
from mqttwist.front.subscription import (
    CallingSubscription,
    Calls,
    Function,
    IteratedSubscription,
    SubscriptionEnded,
)
from mqttwist.front.timers import ClientTimers
from mqttwist.session.connection import Trace, Transport
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions

if TYPE_CHECKING:
    from mqttwist.front.store import FileStore  # which needs what not every system has

BUFFER = 256  # messages of QoS 0 that wait for one subscriber
STOP_TIMEOUT = 5.0  # seconds that a client that stops waits for acknowledgements

STOPPED = "the client has stopped"
WRITTEN = Published(Publication(Message("")))  # all there is to say of a message of QoS 0


AnyFunction = TypeVar("AnyFunction", bound=Function)


class Asked(TypedDict, total=False):
    """Subscription Options of MQTT 5.0 (3.8.3.1), but for the QoS."""

    no_local: bool
    retain_as_published: bool
    retain_handling: int


class CallOptions(Asked, total=False):
    """The keywords of `call_for`."""

    qos: int
    buffer: int
    concurrency: int
    on_error: str
    manual: bool


class FrontClient(ClientOwner):
    """What the two shells share. `core` is the client without a socket, `stats` its counters.

    `on_connected` and the other functions that are told something are those of `ClientOwner`. A `store` keeps
    the session over the end of the process: see `FileStore`.
    """

    # What the subscriptions of a shell are made of.
    kind_of_function_subscription: type[CallingSubscription] = CallingSubscription
    kind_of_message_subscription: type[IteratedSubscription] = IteratedSubscription

    def __init__(
        self,
        settings: ClientSettings,
        shell: Shell,
        retry: Retry,
        authenticator: Authenticator | None = None,
        trace: Trace | None = None,
        store: FileStore | None = None,
    ) -> None:
        super().__init__(shell)
        self._retry = retry
        journal = None if store is None else store.journal
        self.core = Client(settings, shell.seconds, self, self._wake, authenticator, trace, journal)
        self._store = store
        if store is not None:
            store.belongs_to(self.core, shell, self.settle)
            self.core.outgoing.on_restored_end = self._restored_ended
        self._requests = Requests(self, shell)
        self._iterated: WeakSet[IteratedSubscription] = WeakSet()
        self._ready: list[Waiter[ConnAck]] = []
        self._connack: ConnAck | None = None
        self._fatal: ClientError | None = None
        self._drain = Drain(self.core, shell)
        self._timers = ClientTimers(self.core, shell, self.settle)
        self._credentials: tuple[str | None, bytes | None] = (None, None)
        self._was_accepted = False  # the last connection was
        self._last_version = self.core.version  # of the last attempt
        self.last_error: ClientError | None = None  # what the last connection has ended with

    @property
    def is_connected(self) -> bool:
        """Whether the Server has accepted the connection that there is."""
        return self.core.is_connected

    @property
    def connack(self) -> ConnAck | None:
        """What the Server said when it accepted the connection that there is, or the last one."""
        return self._connack

    # Publishing

    def _publish(
        self,
        topic_name: str,
        payload: bytes,
        qos: int,
        retain: bool,
        properties: Properties | None,
        deadline: float | None,
    ) -> Any:
        """As the shells' `publish`, which has the types."""
        message = Message.create(topic_name, payload, qos, retain, properties)
        try:
            if qos == 0 and self._is_open and self.core.publish_at_once(message):
                return self._shell.done(WRITTEN)
        except ClientError as error:
            return self._shell.failed(error)
        publication = Publication(message)
        waiter: Waiter[Published] = self._shell.waiter(partial(self.core.withdraw, publication))
        publication.on_end = partial(_tell_waiter, waiter)
        try:
            self._send(publication, deadline)
        except ClientError as error:
            waiter.fail(error)
        return waiter.awaitable

    def publish_then(
        self,
        topic_name: str,
        payload: bytes,
        qos: int,
        properties: Properties | None,
        deadline: float | None,
        then: Callable[[BaseException | None], object],
    ) -> Publication:
        """Publish without anything to wait on: `then` is called later with what went wrong, or None.

        Raises what `publish` fails with at once.
        """
        message = Message.create(topic_name, payload, qos, False, properties)
        publication = Publication(message, lambda ended: then(ended.error))
        self._send(publication, deadline)
        return publication

    @property
    def _is_open(self) -> bool:
        return self._fatal is None and not self._is_stopped

    def _send(self, publication: Publication, deadline: float | None) -> None:
        self._check_not_given_up()
        if self._is_stopped:
            raise NotDelivered(STOPPED, False)
        self.core.publish(publication, deadline)
        due = publication.deadline
        if due is not None:
            self._timers.be_there_at(due.when)

    def _check_not_given_up(self) -> None:
        if self._fatal is not None:
            raise NotDelivered(words(self._fatal), False)

    def stored(self) -> Any:
        """Fires when all that was published up to now at QoS 1 and 2 is in the store, or over.

        What waits for room in a queue that is full (`when_full="block"`) is not. Fails with `ClientError`
        when the client stops and it could not be stored. Raises `ValueError` if there is no store.
        """
        if self._store is None:
            raise ValueError("the client has no store")
        return self._store.stored()

    def withdraw(self, publication: Publication) -> None:
        """Nobody waits for it any more: it is not sent, if that can be."""
        self.core.withdraw(publication)

    # Subscribing

    def call_for(
        self,
        topic_filter: str,
        function: Function,
        *,
        qos: int = 2,
        buffer: int = BUFFER,
        concurrency: int = 1,
        on_error: str = "leave",
        manual: bool = False,
        **options: Unpack[Asked],
    ) -> CallingSubscription:
        """Have `function(received)` called for each message that `topic_filter` matches.

        At QoS 1 and 2 a message is acknowledged when the function has returned, or what it has returned (a
        coroutine, a Deferred) has come to its end. `concurrency` is how many may be at work at once. What
        becomes of a message whose function fails `on_error` says: "leave" (it is not acknowledged, and the
        Server sends it again on the next connection), "reject" (PUBACK or PUBREC with 0x83; before MQTT 5.0
        it is acknowledged) or "ack". With `manual` the function calls `ack`, `reject` or `leave` of the
        message.

        At most `buffer` messages of QoS 0 wait; then the oldest is dropped and counted. Raises `ValueError`,
        `NeedsMQTT5` for options that there are in MQTT 5.0 only, `NotSupportedByServer`, and `NotDelivered`
        when the client has given up.
        """
        self._check_not_given_up()
        return self.kind_of_function_subscription(
            self.core,
            self._shell,
            SubscriptionOptions(topic_filter, qos, **options),
            buffer,
            Calls(function, self._function_failed, concurrency, on_error, manual),
        )

    def subscription(
        self, topic_filter: str, **options: Unpack[CallOptions]
    ) -> Callable[[AnyFunction], AnyFunction]:
        """A decorator: ``@client.subscription("a/#", qos=1)`` above a function. Options as for `call_for`.

        Made before the client starts, it is there before CONNECT, so that a session that goes on loses
        nothing.
        """

        def subscribe(function: AnyFunction) -> AnyFunction:
            self.call_for(topic_filter, function, **options)
            return function

        return subscribe

    def subscribe(
        self,
        topic_filter: str,
        *,
        qos: int = 2,
        buffer: int = BUFFER,
        manual: bool = False,
        **options: Unpack[Asked],
    ) -> IteratedSubscription:
        """Messages to be iterated over: see `IteratedSubscription`. Options and errors as for `call_for`."""
        self._check_not_given_up()
        subscription = self.kind_of_message_subscription(
            self.core,
            self._shell,
            SubscriptionOptions(topic_filter, qos, **options),
            buffer,
            manual=manual,
        )
        self._iterated.add(subscription)
        return subscription

    # Request and response

    def _request(
        self, topic_name: str, payload: bytes, timeout: float, qos: int, properties: Properties | None
    ) -> Any:
        """As the shells' `request`, which has the types."""
        return self._requests.ask(topic_name, payload, timeout, qos, properties)

    def _respond(
        self, request: Received, payload: bytes, qos: int | None, properties: Properties | None
    ) -> Any:
        """As the shells' `respond`."""
        asked = request.properties
        if not asked.response_topic:
            raise ValueError("the message has no Response Topic")
        answer = replace(properties or Properties(), correlation_data=asked.correlation_data)
        level = request.qos if qos is None else qos
        return self._publish(asked.response_topic, payload, level, False, answer, None)

    # Connecting

    def ready(self) -> Any:
        """Fires with the CONNACK of the connection that there is, or of the next one.

        Fails with `ConnectRefused` or `ConnectionEnded` if trying again makes no sense, and when the client
        stops.
        """
        waiter: Waiter[ConnAck] = self._shell.waiter()
        if self._fatal is not None:
            waiter.fail(self._fatal)
        elif self.is_connected and self._connack is not None:
            waiter.succeed(self._connack)
        else:
            self._ready.append(waiter)
        return waiter.awaitable

    def reauthenticate(self) -> None:
        """Prove once more who we are (4.12.1). Raises `ClientError` where that can't be."""
        self.core.reauthenticate()

    # What the core tells, in the middle of its turn

    def connected(self, connection: ClientConnection, connack: ConnAck) -> None:
        self._connack = connack
        self._was_accepted = True
        self._retry.connected()
        if self._store is not None:
            self._store.accepted(connection.version)
        super().connected(connection, connack)

    def _tell_connected(self, connack: ConnAck) -> None:
        waiters, self._ready = self._ready, []
        for waiter in waiters:
            waiter.succeed(connack)
        super()._tell_connected(connack)

    def ended(self, connection: ClientConnection, error: ClientError) -> None:
        self.last_error = error
        super().ended(connection, error)

    def _tell_ended(self, error: ClientError) -> None:
        self._timers.stop_ticking()
        self.attempt_ended(error)
        super()._tell_ended(error)

    # What the shells do with it

    def open(self, transport: Transport, peer: str) -> ClientConnection:
        """A transport was made: CONNECT goes out, with what `credentials` have been answered."""
        username, password = self._credentials
        self.last_error = None
        self._last_version = self.core.version
        connection = self.core.open(transport, peer, username, password)
        self._timers.start_ticking()
        self.settle()
        return connection

    def attempt_ended(self, error: ClientError) -> None:
        """A connection, or an attempt, has ended: the shell decides whether there is another one."""
        raise NotImplementedError

    def is_the_end(self, error: ClientError) -> bool:
        """Whether there is to be no other connection after one, or an attempt, that has ended with `error`.

        For subclasses that are less patient. What made an attempt fail is the `__cause__` of the error.
        """
        return self._retry.is_fatal(error) and self.core.version == self._last_version

    def next_attempt(self, places: Places[Any]) -> float:
        """A connection, or an attempt, has ended: decide on the next one, that many seconds later."""
        error = self.last_error or ConnectionEnded("no connection")
        was_accepted, self._was_accepted = self._was_accepted, False
        has_new_version = self.core.version < self._last_version
        self._last_version = self.core.version
        goes_elsewhere = self._is_redirected(error, places)
        if not (was_accepted or has_new_version or goes_elsewhere):
            places.move_on()
        pause = self._retry.pause(error, has_new_version or goes_elsewhere)
        self._shell.info("{client_id!r} tries again in {pause:.1f} s", client_id=self.client_id, pause=pause)
        return pause

    def _is_redirected(self, error: ClientError, places: Places[Any]) -> bool:
        """Whether we go where the Server has sent us."""
        reference = self._retry.redirection(error)
        if reference is None:
            return False
        try:
            places.go_to(reference)
        except ValueError as fault:
            self._shell.warn("Not going to {reference!r}: {fault}", reference=reference, fault=words(fault))
            return False
        return True

    def connection_failed(self, error: BaseException, peer: str) -> None:
        """No transport could be made."""
        self._shell.warn("Cannot connect to {peer}: {error}", peer=peer, error=words(error))

    def credentials_failed(self, error: BaseException) -> None:
        """The function that knows the user name or the password has failed. It will be asked again."""
        self._shell.warn("User name or password can't be told: {error}", error=words(error))

    def give_up(self, error: ClientError) -> None:
        """There will be no more connections: everything that waits fails with `error`."""
        self._fatal = error
        self._shell.warn("{client_id!r} gives up: {error}", client_id=self.client_id, error=words(error))
        self._fail_all(words(error), error)

    def _fail_all(self, cause: str, error: ClientError) -> None:
        waiters, self._ready = self._ready, []
        for waiter in waiters:
            waiter.fail(error)
        self.core.give_up_all(cause)
        self._requests.give_up_all(lambda: NotDelivered(cause, True))
        end = SubscriptionEnded(cause) if self._is_stopped else error
        for subscription in list(self._iterated):
            subscription.interrupt(end)
        self.settle()

    def flushed(self) -> Any:
        """Fires when all that was published is confirmed, or at QoS 0 written."""
        return self._drain.flushed()

    def finish(self) -> None:
        """The client has stopped: everything that still waits fails. `close_store` is to follow."""
        self._is_stopped = True
        self._timers.stop()
        self._fail_all(STOPPED, ConnectionEnded(STOPPED))

    def close_store(self) -> Any:
        """Fires when all is stored and the store is closed, or at once if there is none."""
        if self._store is not None:
            return self._store.close()
        waiter: Waiter[None] = self._shell.waiter()
        waiter.succeed(None)
        return waiter.awaitable

    def restart(self) -> None:
        """The client starts, perhaps again. Raises what `FileStore.open` raises."""
        if self._store is not None:
            self._store.open()
        self._is_stopped = False
        self._fatal = None
        for subscription in list(self._iterated):
            subscription.go_on()

    # Turns

    def settle(self) -> None:
        """Write what has gathered, and tell the program what has happened."""
        try:
            self.core.settle()
        except Exception as error:
            self._shell.failure("Error in the client", error)
        self._tell_news()
        self._drain.look()


def _tell_waiter(waiter: Waiter[Published], publication: Publication) -> None:
    if publication.error is None:
        waiter.succeed(Published(publication))
    else:
        waiter.fail(publication.error)
