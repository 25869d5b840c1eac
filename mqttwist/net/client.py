"""The client for Twisted programs: a service that stays connected."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from twisted.application.internet import ClientService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError, ConnectionEnded
from mqttwist.client.published import Published
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.front.client import BUFFER, STOP_TIMEOUT, Asked, CallOptions, FrontClient
from mqttwist.front.options import (
    AskedCredential,
    ClientOptions,
    Credential,
    as_password,
    as_username,
    versions,
)
from mqttwist.front.places import Places
from mqttwist.front.retry import Reconnecting, Retry
from mqttwist.front.subscription import Function
from mqttwist.net.client_endpoint import Where, as_list, client_endpoint, redirected_endpoint
from mqttwist.net.client_protocol import MQTTClientFactory
from mqttwist.net.client_shell import TwistedShell
from mqttwist.net.client_subscription import FunctionSubscription, MessageSubscription
from mqttwist.session.connection import Trace
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.properties import Properties

if TYPE_CHECKING:
    from mqttwist.front.store import FileStore  # which needs what not every system has


class MQTTClient(FrontClient, Service):
    """An MQTT client that connects, and connects again, while it runs.

    `where` is one Server or several that are tried in turn: see `mqttwist.net.client_endpoint`. `version` is
    5, "3.1.1", "3.1", or "auto", which begins with 5 and asks in an older version a Server that does not know
    it. `username` and `password` are values, or functions that are asked before each attempt, and may answer
    by a Deferred or a coroutine. `authenticator` proves who we are in more steps (4.12). `reconnecting` says
    how long to wait between attempts, and what else may come after one. `store` keeps the session over the
    end of the process. `reactor` is the installed one unless a test gives another. The other keywords are
    those of `ClientSettings`.

    Raises `ValueError` for what makes no sense. Every method that takes its time returns a Deferred, which
    can be awaited as well.
    """

    _shell: TwistedShell

    kind_of_function_subscription = FunctionSubscription
    kind_of_message_subscription = MessageSubscription

    def __init__(  # noqa: PLR0913 - one for each part that it is made of
        self,
        where: Where | Iterable[Where],
        *,
        version: int | str = 5,
        username: AskedCredential = None,
        password: AskedCredential = None,
        authenticator: Authenticator | None = None,
        reconnecting: Reconnecting | None = None,
        trace: Trace | None = None,
        store: FileStore | None = None,
        reactor: Any = None,
        **settings: Unpack[ClientOptions],
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        shell = TwistedShell(reactor)
        policy = Retry(
            reconnecting or Reconnecting(),
            shell.seconds,
            asks_again=callable(username) or callable(password),
        )
        super().__init__(
            ClientSettings(versions=versions(version), **settings), shell, policy, authenticator, trace, store
        )
        self._reactor = reactor
        described = [(client_endpoint(reactor, one), one) for one in as_list(where)]
        self._names = {endpoint: one for endpoint, one in described if isinstance(one, str)}
        self._places: Places[IStreamClientEndpoint] = Places(
            [endpoint for endpoint, one in described], self.redirected
        )
        self._username = username
        self._password = password
        self._last_place: IStreamClientEndpoint | None = None  # None: before it was chosen
        self._is_stopping = False
        self._waiting_for_stop: list[Deferred[None]] = []
        self._factory = MQTTClientFactory(self, reactor)
        self._service = ClientService(
            _Attempts(self),
            self._factory,
            retryPolicy=lambda attempts: self.next_attempt(self._places),
            clock=reactor,
        )

    # Service

    def startService(self) -> None:
        """Open the store, if there is one, and begin to connect, also after giving up; harmless when it runs.

        Raises `StoreError` if the store can't be had: it is in use, say, or of another client.
        """
        if self.running and self._fatal is None:
            return
        if not self._is_stopping:
            self._begin()
        if not self.running:
            super().startService()  # type: ignore[no-untyped-call]
        if not self._is_stopping:  # else it begins when that is done
            self._service.startService()

    def _begin(self) -> None:
        self._shell.open()
        self.restart()

    def stopService(self, timeout: float = STOP_TIMEOUT) -> Deferred[None]:
        """Send what waits, say goodbye and close. Fires when the transport is gone and the store is closed.

        Messages that are not confirmed yet, if there is a connection, and functions of subscriptions that are
        at work, are waited for, `timeout` seconds at most. Then such messages fail with `NotDelivered`, and
        such functions are cancelled: their messages stay with the Server. A function of a subscription may
        stop the client as well: it is not waited for.
        """
        if self.running:
            super().stopService()  # type: ignore[no-untyped-call]
        elif not self._is_stopping:
            self.finish()  # it never ran, or has given up: nothing will come of what waits
            return succeed(None)
        stopped: Deferred[None] = Deferred()
        self._waiting_for_stop.append(stopped)
        self._shell.asked_to_stop()
        if not self._is_stopping:
            self._is_stopping = True
            self._flush(timeout).addCallback(self._leave).addCallback(self._left)
        return stopped

    def _flush(self, timeout: float) -> Deferred[None]:
        drained: Deferred[None] = self._drain.drained()
        return drained.addTimeout(timeout, self._reactor, lambda result, seconds: None)

    def _leave(self, result: None) -> Deferred[None]:
        """Say goodbye, and wait until the transport is gone: to close it at once could throw that away."""
        self.core.disconnect()
        self.settle()
        stopped = self._factory.when_none_is_left().addCallback(lambda nothing: self._service.stopService())
        return stopped.addCallback(self._close)

    def _close(self, result: None) -> Deferred[None]:
        self.finish()
        self._shell.close()
        closed: Deferred[None] = self.close_store()
        return closed

    def _left(self, result: None) -> None:
        """All is closed. Perhaps somebody has started the client again meanwhile."""
        self._is_stopping = False
        waiting, self._waiting_for_stop = self._waiting_for_stop, []
        if self.running:
            self._begin()
            self._service.startService()
        for stopped in waiting:
            stopped.callback(None)

    async def __aenter__(self) -> MQTTClient:
        self.startService()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stopService()

    # What takes its time

    def ready(self) -> Deferred[ConnAck]:
        """See `FrontClient.ready`."""
        waiting: Deferred[ConnAck] = super().ready()
        return waiting

    def publish(
        self,
        topic_name: str,
        payload: bytes,
        *,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
        deadline: float | None = None,
    ) -> Deferred[Published]:
        """Publish a message. Fires when it was written (QoS 0), or confirmed by PUBACK (1) or PUBCOMP (2).

        A small message of QoS 0 has fired already, if the connection can take it: it is written at the end of
        this round of the reactor. After 128 of them in a round the next one fires when it was written.

        Without a connection it waits for the next one, in a queue that `queue_messages` and `queue_bytes`
        bound. Fails with `NotDelivered` when it was given up: after `deadline` seconds, or with the session,
        or because the client has stopped; with `QueueFull`; with `PublishRefused` if the Server says no; with
        `NotSupportedByServer` for a QoS, a RETAIN or a size that the Server does not take.

        To cancel the Deferred takes the message back if it was not sent yet. Raises `ValueError` for what
        MQTT does not allow, and `NeedsMQTT5` for properties before MQTT 5.0.
        """
        waiting: Deferred[Published] = self._publish(topic_name, payload, qos, retain, properties, deadline)
        return waiting

    def request(
        self,
        topic_name: str,
        payload: bytes,
        *,
        timeout: float,
        qos: int = 1,
        properties: Properties | None = None,
    ) -> Deferred[Received]:
        """Publish a request and fire with its response (4.10), of MQTT 5.0 only.

        Fails with `NoResponse` when none comes within `timeout` seconds, and with what `publish` fails with.
        """
        waiting: Deferred[Received] = self._request(topic_name, payload, timeout, qos, properties)
        return waiting

    def respond(
        self,
        request: Received,
        payload: bytes,
        *,
        qos: int | None = None,
        properties: Properties | None = None,
    ) -> Deferred[Published]:
        """Answer a request, with its QoS unless another is given. Raises `ValueError` if it wants none."""
        waiting: Deferred[Published] = self._respond(request, payload, qos, properties)
        return waiting

    def stored(self) -> Deferred[None]:
        """See `FrontClient.stored`."""
        waiting: Deferred[None] = super().stored()
        return waiting

    def flushed(self) -> Deferred[None]:
        """See `FrontClient.flushed`."""
        waiting: Deferred[None] = super().flushed()
        return waiting

    # Subscribing

    def call_for(
        self,
        topic_filter: str,
        function: Function,
        **options: Unpack[CallOptions],
    ) -> FunctionSubscription:
        """See `FrontClient.call_for`."""
        subscription = super().call_for(topic_filter, function, **options)
        assert isinstance(subscription, FunctionSubscription)
        return subscription

    def subscribe(
        self,
        topic_filter: str,
        *,
        qos: int = 2,
        buffer: int = BUFFER,
        manual: bool = False,
        **options: Unpack[Asked],
    ) -> MessageSubscription:
        """See `FrontClient.subscribe`."""
        subscription = super().subscribe(topic_filter, qos=qos, buffer=buffer, manual=manual, **options)
        assert isinstance(subscription, MessageSubscription)
        return subscription

    # Connecting

    def attempt_ended(self, error: ClientError) -> None:
        if self.running and self.is_the_end(error):
            self._service.stopService()
            self.give_up(error)

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        """Make a transport to the Server whose turn it is: called by Twisted's service for each attempt."""
        self._last_place = None
        return self._ask().addCallback(lambda nothing: self._connect(factory)).addErrback(self._failed)

    def redirected(self, reference: str, sender: IStreamClientEndpoint) -> IStreamClientEndpoint:
        """Where the Server at `sender` sends us: see `redirected_endpoint`. Raises `ValueError`."""
        return redirected_endpoint(self._reactor, reference, sender)

    def _ask(self) -> Deferred[None]:
        """User name and password for the next attempt."""
        asked = maybeDeferred(_value, self._username)

        def has_username(username: Credential) -> Deferred[None]:
            return maybeDeferred(_value, self._password).addCallback(has_password, username)

        def has_password(password: Credential, username: Credential) -> None:
            self._credentials = (as_username(username), as_password(password))

        return asked.addCallback(has_username)

    def _connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]:
        self._last_place = endpoint = self._places.take()
        return endpoint.connect(factory)

    def _failed(self, failure: Failure) -> Failure:
        """No transport has come about. To stop while one is being made is no failure."""
        self.last_error = error = ConnectionEnded(failure.getErrorMessage())
        if self._is_stopping:
            return failure
        error.__cause__ = failure.value
        if self._last_place is None:
            self.credentials_failed(failure.value or error)
        else:
            self.connection_failed(failure.value or error, self._name_of(self._last_place))
        self._shell.call_later(0.0, lambda: self.attempt_ended(error))  # Twisted's service is in its midst
        return failure

    def _name_of(self, place: IStreamClientEndpoint) -> str:
        return self._names.get(place) or repr(place)


def _value(asked: AskedCredential) -> Any:
    if not callable(asked):
        return asked
    answer = asked()
    return Deferred.fromCoroutine(answer) if hasattr(answer, "send") else answer


@implementer(IStreamClientEndpoint)
class _Attempts:
    """What Twisted's service connects to: whatever the client says."""

    def __init__(self, client: MQTTClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        """For the log of Twisted's service, which says, as we do, when the next attempt is."""
        return f"the Server of {self._client.client_id!r}"

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        try:
            return self._client.connect(protocolFactory)
        except Exception:
            return fail()
