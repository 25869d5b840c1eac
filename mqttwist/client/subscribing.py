"""SUBSCRIBE and UNSUBSCRIBE as the client uses them (3.8 to 3.11): what is asked for, when, and once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from mqttwist.client.errors import ClientError, NotDelivered, SubscribeRefused
from mqttwist.client.requests import OnUnsubscribed, Request
from mqttwist.client.subscriptions import (
    ASKED,
    GRANTED,
    UNKNOWN,
    FilterSubscription,
    OnAnswer,
    Subscriber,
    Subscriptions,
)
from mqttwist.wire.errors import ProtocolError
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

if TYPE_CHECKING:
    from mqttwist.client.client import Client
    from mqttwist.client.connection import ClientConnection

BATCH: Final = 100  # Topic Filters in one packet
SEND_IF_NEW: Final = 1  # Retain Handling


class Subscribing:
    """`answers` are calls that tell the application what has been answered, to be made after the turn."""

    __slots__ = ("_client", "_connection", "_unsubscribes", "answers", "subscriptions")

    subscriptions: Subscriptions
    answers: deque[Callable[[], object]]
    _client: Client
    _connection: ClientConnection | None
    _unsubscribes: dict[
        str, list[OnUnsubscribed]
    ]  # by filter: the Server is to be told, and who waits for it

    def __init__(self, client: Client) -> None:
        self.subscriptions = Subscriptions()
        self.answers = deque()
        self._client = client
        self._connection = None
        self._unsubscribes = {}

    # Connections

    def begin(self, connection: ClientConnection, is_present: bool) -> None:
        """The Server has accepted us: ask for what it does not know, and end what it is to forget.

        A session that is there may know what we ask for, from a process before this one: then its retained
        messages are not to come once more.
        """
        self._connection = connection
        if is_present and self._unsubscribes:
            self._send_unsubscribes(list(self._unsubscribes))
        elif self._unsubscribes:
            self._forget_unsubscribes(list(self._unsubscribes))
        wanted = [one for one in self.subscriptions.by_filter.values() if one.state == UNKNOWN]
        self._ask(wanted, is_present)

    def connection_lost(self) -> None:
        """What was asked and not answered is asked again on the next connection."""
        self._connection = None
        for request in self._client.outgoing.requests.values():
            for subscription, subscribers in zip(request.subscriptions, request.subscribers, strict=True):
                subscription.waiting = subscribers + subscription.waiting
        self._client.outgoing.requests.clear()
        self.subscriptions.connection_lost()

    def session_lost(self) -> None:
        """The Server has no subscriptions of ours."""
        self.subscriptions.forget_server()

    # Subscribing

    def subscribe(
        self,
        options: SubscriptionOptions,
        wake: Callable[[], object],
        buffer: int,
        on_answer: OnAnswer | None,
    ) -> Subscriber:
        """As `Client.subscribe`."""
        connection = self._connection
        if connection is not None:
            refusal = connection.limits.refusal_of_subscribe(options)
            if refusal is not None:
                raise refusal
        subscription = self.subscriptions.put(options)
        subscriber = Subscriber(self._client, subscription, wake, buffer, on_answer)
        subscription.subscribers.append(subscriber)
        subscription.waiting.append(subscriber)
        subscription.state = UNKNOWN
        if options.topic_filter in self._unsubscribes and connection is None:
            self._forget_unsubscribes([options.topic_filter])
        self._ask([subscription], False)
        return subscriber

    def _ask(self, subscriptions: list[FilterSubscription], may_be_known: bool) -> None:
        """Send SUBSCRIBE: one for each filter where it has an identifier, else one for many."""
        connection = self._connection
        if connection is None or not subscriptions:
            return
        allowed = [one for one in subscriptions if not self._is_refused(connection, one)]
        size = 1 if connection.limits.identifiers_available else BATCH
        for start in range(0, len(allowed), size):
            self._send_subscribe(connection, allowed[start : start + size], may_be_known)

    def _is_refused(self, connection: ClientConnection, subscription: FilterSubscription) -> bool:
        """Whether the Server has said that it does not do this; then it is not asked."""
        refusal = connection.limits.refusal_of_subscribe(subscription.options)
        if refusal is not None:
            self._answer_all(subscription, refusal)
        return refusal is not None

    def _send_subscribe(
        self, connection: ClientConnection, subscriptions: list[FilterSubscription], may_be_known: bool
    ) -> None:
        packet_id = self._client.outgoing.new_packet_id()
        properties: Properties | None = None
        if connection.limits.identifiers_available:
            properties = Properties(subscription_identifiers=(subscriptions[0].identifier,))
        options = [_asked(one.options, may_be_known, connection.version) for one in subscriptions]
        encoded = Subscribe(packet_id, options, properties).encode(connection.version)
        if len(encoded) > connection.peer_maximum_packet_size:  # [MQTT-3.2.2-15]
            self._split(connection, subscriptions, may_be_known)
            return
        request = self._client.outgoing.requests[packet_id] = Request()
        for subscription in subscriptions:
            subscription.state = ASKED
            request.subscriptions.append(subscription)
            request.subscribers.append(subscription.waiting)
            subscription.waiting = []
        connection.send(encoded)
        connection.metrics.others_sent += 1

    def _split(
        self, connection: ClientConnection, subscriptions: list[FilterSubscription], may_be_known: bool
    ) -> None:
        """The packet is larger than the Server takes."""
        if len(subscriptions) == 1:
            size = connection.peer_maximum_packet_size
            self._answer_all(
                subscriptions[0], ClientError(f"SUBSCRIBE is larger than the Server takes, {size} bytes")
            )
            return
        half = len(subscriptions) // 2
        self._send_subscribe(connection, subscriptions[:half], may_be_known)
        self._send_subscribe(connection, subscriptions[half:], may_be_known)

    def suback_received(self, packet: SubAck) -> None:
        """Raises `ProtocolError` for an answer to nothing, or with the wrong number of Reason Codes."""
        request = self._take(packet.packet_id, True, "SUBACK")
        if len(packet.reason_codes) != len(request.subscriptions):
            text = (
                f"SUBACK has {len(packet.reason_codes)} Reason Codes for {len(request.subscriptions)} filters"
            )
            raise ProtocolError(0x82, text, "MQTT-3.8.4-6")
        for subscription, subscribers, code in zip(
            request.subscriptions, request.subscribers, packet.reason_codes, strict=True
        ):
            error: ClientError | None = None
            if code >= 0x80:
                error = _refusal(code, packet.properties)
            if subscription.state == ASKED:  # else it is asked once more, or given up
                subscription.state = GRANTED if error is None else UNKNOWN
                subscription.granted_qos = code if error is None else -1
            for subscriber in subscribers:
                self._answer(subscriber, error)

    def _take(self, packet_id: int, is_subscribe: bool, name: str) -> Request:
        requests = self._client.outgoing.requests
        request = requests.get(packet_id)
        if request is None or request.is_subscribe != is_subscribe:
            raise ProtocolError(0x82, f"{name} with Packet Identifier {packet_id} answers nothing", "2.2.1")
        del requests[packet_id]
        return request

    def _answer_all(self, subscription: FilterSubscription, error: ClientError) -> None:
        subscribers, subscription.waiting = subscription.waiting, []
        for subscriber in subscribers:
            self._answer(subscriber, error)

    def _answer(self, subscriber: Subscriber, error: ClientError | None) -> None:
        """Tell who waits; a subscription that was refused is none."""
        if error is not None and subscriber.is_open:
            self._leave(subscriber)
        on_answer = subscriber.on_answer
        if on_answer is not None:
            subscriber.on_answer = None
            self.answers.append(lambda: on_answer(subscriber, error))

    def _leave(self, subscriber: Subscriber) -> None:
        subscription = subscriber.subscription
        subscriber.close()
        subscription.subscribers = [one for one in subscription.subscribers if one is not subscriber]
        if not subscription.subscribers:
            self.subscriptions.remove(subscription)

    # Unsubscribing

    def unsubscribe(self, subscriber: Subscriber, on_end: OnUnsubscribed | None) -> None:
        """As `Client.unsubscribe`."""
        if not subscriber.is_open:
            self._tell(on_end, None)
            return
        topic_filter = subscriber.topic_filter
        was_known = subscriber.subscription.state != UNKNOWN or self._connection is None
        subscriber.on_answer = None
        self._leave(subscriber)
        if topic_filter in self.subscriptions.by_filter or not was_known:
            self._tell(on_end, None)
            return
        self._unsubscribes.setdefault(topic_filter, [])
        if self._connection is None:  # what is to be told is told when there is a session to tell it to
            self._tell(on_end, None)
            return
        if on_end is not None:
            self._unsubscribes[topic_filter].append(on_end)
        self._send_unsubscribes([topic_filter])

    def _send_unsubscribes(self, topic_filters: list[str]) -> None:
        connection = self._connection
        if connection is None:
            return
        for start in range(0, len(topic_filters), BATCH):
            batch = topic_filters[start : start + BATCH]
            packet_id = self._client.outgoing.new_packet_id()
            request = self._client.outgoing.requests[packet_id] = Request()
            request.topic_filters = batch
            connection.send_packet(Unsubscribe(packet_id, batch))

    def unsuback_received(self, packet: UnsubAck) -> None:
        """Raises `ProtocolError` for an answer to nothing, or with the wrong number of Reason Codes."""
        request = self._take(packet.packet_id, False, "UNSUBACK")
        codes = packet.reason_codes or [0] * len(request.topic_filters)  # there are none before MQTT 5.0
        if len(codes) != len(request.topic_filters):
            text = f"UNSUBACK has {len(codes)} Reason Codes for {len(request.topic_filters)} filters"
            raise ProtocolError(0x82, text, "MQTT-3.11.3-1")
        for topic_filter, code in zip(request.topic_filters, codes, strict=True):
            error = _refusal(code, packet.properties) if code >= 0x80 else None
            for on_end in self._unsubscribes.pop(topic_filter, []):
                self._tell(on_end, error)

    def _forget_unsubscribes(self, topic_filters: list[str]) -> None:
        """The Server need not be told."""
        for topic_filter in topic_filters:
            for on_end in self._unsubscribes.pop(topic_filter, []):
                self._tell(on_end, None)

    def _tell(self, on_end: OnUnsubscribed | None, error: ClientError | None) -> None:
        if on_end is not None:
            self.answers.append(lambda: on_end(error))

    def give_up_all(self, cause: str) -> None:
        """The client stops: nobody will be answered any more."""
        for subscription in self.subscriptions.by_filter.values():
            waiting, subscription.waiting = subscription.waiting, []
            for subscriber in waiting:
                on_answer, subscriber.on_answer = subscriber.on_answer, None
                if on_answer is not None:
                    self._give_up(on_answer, subscriber, cause)
        self._forget_unsubscribes(list(self._unsubscribes))

    def _give_up(self, on_answer: OnAnswer, subscriber: Subscriber, cause: str) -> None:
        error = NotDelivered(cause, False)
        self.answers.append(lambda: on_answer(subscriber, error))


def _asked(options: SubscriptionOptions, may_be_known: bool, version: int) -> SubscriptionOptions:
    """What is asked of the Server: with Retain Handling 1 of one that may have the subscription already."""
    if not may_be_known or version != MQTT_5 or options.retain_handling:
        return options
    return SubscriptionOptions(
        options.topic_filter, options.qos, options.no_local, options.retain_as_published, SEND_IF_NEW
    )


def _refusal(code: int, properties: Properties | None) -> SubscribeRefused:
    said = properties or Properties()
    return SubscribeRefused(code, said.reason_string, said.user_properties)
