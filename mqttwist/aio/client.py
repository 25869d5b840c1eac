"""The client for asyncio programs: connects, and connects again, while it runs."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from mqttwist.aio.place import TLS, Place, place_by_server, places_of
from mqttwist.aio.protocol import ClientProtocol
from mqttwist.aio.shell import AsyncioShell
from mqttwist.client.doors import Authenticator
from mqttwist.client.errors import ClientError, ConnectionEnded
from mqttwist.client.published import Published
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.front.client import STOP_TIMEOUT, FrontClient
from mqttwist.front.options import AskedCredential, ClientOptions, as_password, as_username, versions
from mqttwist.front.places import Places
from mqttwist.front.retry import Reconnecting, Retry, words
from mqttwist.session.connection import Trace
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.properties import Properties

if TYPE_CHECKING:
    from mqttwist.front.store import FileStore  # which needs what not every system has

TRANSPORT_TIMEOUT = 30.0  # seconds that it may take to make a transport


class Client(FrontClient):
    """An MQTT client that connects, and connects again, while it runs: from `start` to `stop`.

    `where` is one Server or several that are tried in turn: ``"mqtt://host:port"``, ``"mqtts://host:port"``,
    ``"host"``, ``"host:port"`` or ``"unix:/path"``. `tls` asks for TLS where the scheme does not, and gives
    the `ssl.SSLContext` to use; else the certificate is checked against the authorities that the system
    trusts, and that it is the host's. The other arguments are those of `mqttwist.MQTTClient`; what is a
    Deferred there may be anything here that can be awaited.

    It belongs to the event loop in which it is used first, until it has stopped. To make it, and to declare
    subscriptions, needs no loop. What returns a Future has begun when it returns: to await it is to wait for
    its end, and to cancel it is to give it up.

    Raises `ValueError` for what makes no sense.
    """

    _shell: AsyncioShell

    def __init__(  # noqa: PLR0913 - one for each part that it is made of
        self,
        where: str | Iterable[str],
        *,
        version: int | str = 5,
        username: AskedCredential = None,
        password: AskedCredential = None,
        authenticator: Authenticator | None = None,
        tls: TLS = False,
        reconnecting: Reconnecting | None = None,
        trace: Trace | None = None,
        store: FileStore | None = None,
        **settings: Unpack[ClientOptions],
    ) -> None:
        shell = AsyncioShell()
        policy = Retry(
            reconnecting or Reconnecting(),
            shell.seconds,
            asks_again=callable(username) or callable(password),
        )
        super().__init__(
            ClientSettings(versions=versions(version), **settings), shell, policy, authenticator, trace, store
        )
        self._places: Places[Place] = Places(
            places_of(where, tls), lambda reference, sender: place_by_server(reference, sender, tls)
        )
        self._username = username
        self._password = password
        self._protocol: ClientProtocol | None = None
        self._running: asyncio.Task[None] | None = None
        self._is_stopping = False

    # From start to stop

    def start(self) -> None:
        """Begin to connect, also after giving up; harmless when it runs.

        Raises `RuntimeError` where no event loop runs, and `StoreError` if the store can't be had.
        """
        was_bound = self._shell.is_bound
        loop = self._shell.open()
        if self._running is not None and (self._fatal is None or self._is_stopping):
            return
        try:
            self.restart()
        except BaseException:
            if not was_bound:
                self._shell.leave()
            raise
        if self._running is None or self._running.done():  # else it has not come to its end yet, and goes on
            self._is_stopping = False
            self._running = loop.create_task(self._run(loop), name="mqttwist client")
        self.settle()

    async def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Send what waits, say goodbye, and return when the transport is gone.

        Messages that are not confirmed yet, and functions of subscriptions that are at work, are waited for,
        `timeout` seconds at most. Then such messages fail with `NotDelivered`, and such functions are
        cancelled. A function of a subscription may stop the client as well: it is not waited for.
        """
        running = self._running
        if running is None:
            self.finish()  # it never ran: nothing will come of what waits
            return
        if self._is_stopping:
            await asyncio.wait([running])
            return
        self._is_stopping = True
        try:
            under_way = [running, self._drain.drained()]
            await asyncio.wait(under_way, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.core.disconnect()
            self.settle()
            try:
                await self._leave(running)
            finally:
                await self._end()

    async def _leave(self, running: asyncio.Task[None]) -> None:
        """Wait until the transport is gone: to close it at once could throw away what was said last."""
        protocol = self._protocol
        if protocol is None:
            running.cancel()
        try:
            await asyncio.wait([running])
        finally:
            running.cancel()
            if protocol is not None:
                protocol.abort()

    async def _end(self) -> None:
        self._running = None
        self.finish()
        await self.close_store()
        at_work = self._shell.others_at_work()
        self._shell.leave()
        for task in at_work:
            task.cancel()
        if at_work:
            await asyncio.wait(at_work)

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # Connecting

    async def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        """Connect, and when that has ended connect again, until it makes no sense or the client stops."""
        try:
            while not self._is_over:
                await self._attempt(loop)
                if not self._is_over:
                    await asyncio.sleep(self.next_attempt(self._places))
        except asyncio.CancelledError:
            if not self._is_over:  # not by us: nobody is to wait for ever
                self.give_up(ConnectionEnded("the task of the client was cancelled"))
            raise
        except Exception as error:
            self._shell.failure("Error in the client", error)
            self.give_up(ConnectionEnded("error in the client"))

    @property
    def _is_over(self) -> bool:
        return self._is_stopping or self._fatal is not None

    async def _attempt(self, loop: asyncio.AbstractEventLoop) -> None:
        """One connection, from its beginning to its end."""
        place = self._places.take()
        protocol = ClientProtocol(self, loop)
        was_told = False
        try:
            async with asyncio.timeout(TRANSPORT_TIMEOUT):
                await self._ask()
                was_told = True
                await place.connect(loop, lambda: protocol)
        except Exception as error:  # of the network, of TLS, of the functions that know the credentials
            if was_told:
                self.connection_failed(error, str(place))
            else:
                self.credentials_failed(error)
            self.last_error = failure = ConnectionEnded(words(error))
            failure.__cause__ = error
            self.attempt_ended(failure)
            return
        self._protocol = protocol
        try:
            await protocol.closed
        finally:
            self._protocol = None
            protocol.abort()  # if somebody has cancelled us

    async def _ask(self) -> None:
        """User name and password for the next attempt."""
        username = await _value(self._username)
        self._credentials = (as_username(username), as_password(await _value(self._password)))

    def attempt_ended(self, error: ClientError) -> None:
        if not self._is_over and self.is_the_end(error):
            self.give_up(error)

    # What takes its time

    def ready(self) -> asyncio.Future[ConnAck]:
        """See `FrontClient.ready`."""
        waiting: asyncio.Future[ConnAck] = super().ready()
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
    ) -> asyncio.Future[Published]:
        """Publish a message. Done when it was written (QoS 0), or confirmed by PUBACK (1) or PUBCOMP (2).

        A small message of QoS 0 is done at once, if the connection can take it: it is written at the end of
        this round of the loop. After 128 of them in a round the next one is done when it was written.

        Without a connection it waits for the next one, in a queue that `queue_messages` and `queue_bytes`
        bound. Fails with `NotDelivered` when it was given up: after `deadline` seconds, or with the session,
        or because the client has stopped; with `QueueFull`; with `PublishRefused` if the Server says no; with
        `NotSupportedByServer` for a QoS, a RETAIN or a size that the Server does not take.

        To cancel it, or the task that awaits it, takes the message back if it was not sent yet. Raises
        `ValueError` for what MQTT does not allow, and `NeedsMQTT5` for properties before MQTT 5.0.
        """
        waiting: asyncio.Future[Published] = self._publish(
            topic_name, payload, qos, retain, properties, deadline
        )
        return waiting

    def request(
        self,
        topic_name: str,
        payload: bytes,
        *,
        timeout: float,
        qos: int = 1,
        properties: Properties | None = None,
    ) -> asyncio.Future[Received]:
        """Publish a request; done with its response (4.10), of MQTT 5.0 only.

        Fails with `NoResponse` when none comes within `timeout` seconds, and with what `publish` fails with.
        """
        waiting: asyncio.Future[Received] = self._request(topic_name, payload, timeout, qos, properties)
        return waiting

    def respond(
        self,
        request: Received,
        payload: bytes,
        *,
        qos: int | None = None,
        properties: Properties | None = None,
    ) -> asyncio.Future[Published]:
        """Answer a request, with its QoS unless another is given. Raises `ValueError` if it wants none."""
        waiting: asyncio.Future[Published] = self._respond(request, payload, qos, properties)
        return waiting

    def flushed(self) -> asyncio.Future[None]:
        """See `FrontClient.flushed`."""
        waiting: asyncio.Future[None] = super().flushed()
        return waiting


async def _value(asked: AskedCredential) -> Any:
    answer = asked() if callable(asked) else asked
    return await answer if inspect.isawaitable(answer) else answer
