"""SUBSCRIBE and UNSUBSCRIBE as the client uses them (3.8 to 3.11): what is asked for, when, and once more."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Final

from mqttwist.client.errors import ClientError, NotDelivered, NotSupportedByServer, SubscribeRefused
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
REQUESTS_LIMIT: Final = 1_000  # that wait for their answers; what else is to be asked waits for them
SEND_IF_NEW: Final = 1  # Retain Handling


class Subscribing:
    """`answers` are calls that tell the application what has been answered, to be made after the turn."""

    __slots__ = (
        "_client", "_connection", "_to_ask", "_to_end", "_unsubscribes", "answers", "subscriptions",
    )  # fmt: skip

    subscriptions: Subscriptions
    answers: deque[Callable[[], object]]
    _client: Client
    _connection: ClientConnection | None
    _to_ask: dict[FilterSubscription, None]  # in this order
    _to_end: dict[str, None]
    _unsubscribes: dict[str, list[OnUnsubscribed]]  # what the Server is to forget, and who waits for that

    def __init__(self, client: Client) -> None:
        self.subscriptions = Subscriptions()
        self.answers = deque()
        self._client = client
        self._connection = None
        self._to_ask = {}
        self._to_end = {}
        self._unsubscribes = {}

    # Connections

    def begin(self, connection: ClientConnection, is_present: bool) -> None:
        """The Server has accepted us: ask for what it does not know, and end what it is to forget.

        A session that is there may know what we ask for, from a process before this one: then its retained
        messages are not to come once more.
        """
        self._connection = connection
        wanted = self.subscriptions.by_filter
        for topic_filter in list(self._unsubscribes):
            if is_present and topic_filter not in wanted:
                self._to_end[topic_filter] = None
            else:
                self._forget_unsubscribe(topic_filter)
        for subscription in wanted.values():
            if subscription.state == UNKNOWN:
                subscription.may_be_known = is_present
                self._to_ask[subscription] = None
        self._send()

    def connection_lost(self) -> None:
        """What was asked and not answered is asked again on the next connection."""
        self._connection = None
        for request in self._client.outgoing.requests.values():
            for subscription, subscribers in zip(request.subscriptions, request.subscribers, strict=True):
                subscription.waiting = subscribers + subscription.waiting
        self._client.outgoing.requests.clear()
        self._to_ask.clear()
        self._to_end.clear()
        self._answer_unsubscribes()
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
        subscription.may_be_known = False
        if connection is None:
            self._forget_unsubscribe(options.topic_filter)
        else:
            if options.topic_filter in self._to_end:
                del self._to_end[options.topic_filter]
                self._forget_unsubscribe(options.topic_filter)
            self._to_ask[subscription] = None
            self._send()
        return subscriber

    def _send(self) -> None:
        """Send what is to be sent, UNSUBSCRIBE first, as long as not too much is to be answered."""
        connection = self._connection
        requests = self._client.outgoing.requests
        while connection is not None and self._to_end and len(requests) < REQUESTS_LIMIT:
            batch = list(islice(self._to_end, BATCH))
            for topic_filter in batch:
                del self._to_end[topic_filter]
            self._send_unsubscribe(connection, batch)
        while connection is not None and self._to_ask and len(requests) < REQUESTS_LIMIT:
            # In MQTT 5.0 a packet has one Subscription Identifier, and each filter one of its own.
            wanted = list(islice(self._to_ask, 1 if connection.limits.identifiers_available else BATCH))
            for subscription in wanted:
                del self._to_ask[subscription]
            allowed = [one for one in wanted if not self._is_refused(connection, one)]
            if allowed:
                self._send_subscribe(connection, allowed)

    def _is_refused(self, connection: ClientConnection, subscription: FilterSubscription) -> bool:
        """Whether the Server has said that it does not do this; then it is not asked."""
        refusal = connection.limits.refusal_of_subscribe(subscription.options)
        if refusal is not None:
            self._refuse(subscription, refusal)
        return refusal is not None

    def _send_subscribe(self, connection: ClientConnection, subscriptions: list[FilterSubscription]) -> None:
        packet_id = self._client.outgoing.new_packet_id()
        properties: Properties | None = None
        if connection.limits.identifiers_available:
            properties = Properties(subscription_identifiers=(subscriptions[0].identifier,))
        options = [_asked(one, connection.version) for one in subscriptions]
        encoded = Subscribe(packet_id, options, properties).encode(connection.version)
        if len(encoded) > connection.peer_maximum_packet_size:  # [MQTT-3.2.2-15]
            self._split(connection, subscriptions)
            return
        request = self._client.outgoing.requests[packet_id] = Request()
        for subscription in subscriptions:
            subscription.state = ASKED
            subscription.asked += 1
            request.subscriptions.append(subscription)
            if connection.version != MQTT_5 and subscription.options.as_byte != subscription.options.qos:
                self._client.left_out("options of subscriptions")
            request.subscribers.append(subscription.waiting)
            subscription.waiting = []
        connection.send(encoded)
        connection.metrics.others_sent += 1

    def _split(self, connection: ClientConnection, subscriptions: list[FilterSubscription]) -> None:
        """The packet is larger than the Server takes."""
        if len(subscriptions) == 1:
            self._refuse(subscriptions[0], _too_large(connection, "SUBSCRIBE"))
            return
        half = len(subscriptions) // 2
        self._send_subscribe(connection, subscriptions[:half])
        self._send_subscribe(connection, subscriptions[half:])

    def suback_received(self, packet: SubAck) -> None:
        """Raises `ProtocolError` for an answer to nothing, or with the wrong number of Reason Codes."""
        request = self._take(packet.packet_id, True, "SUBACK")
        if len(packet.reason_codes) != len(request.subscriptions):
            text = (
                f"SUBACK has {len(packet.reason_codes)} Reason Codes for {len(request.subscriptions)} filters"
            )
            raise ProtocolError(0x82, text, "MQTT-3.8.4-6")
        for subscription, asking, code in zip(
            request.subscriptions, request.subscribers, packet.reason_codes, strict=True
        ):
            subscribers = asking
            error: ClientError | None = None
            subscription.asked -= 1
            is_last = not subscription.asked and subscription not in self._to_ask
            if code < 0x80:
                subscription.granted_qos = code
            else:
                error = _refusal(code, packet.properties)
                if is_last and subscription.granted_qos < 0:  # there is nothing from before: it is all over
                    subscribers = list(subscription.subscribers)
            if is_last:
                subscription.state = GRANTED
            for subscriber in subscribers:
                self._answer(subscriber, error)
        self._send()

    def _take(self, packet_id: int, is_subscribe: bool, name: str) -> Request:
        requests = self._client.outgoing.requests
        request = requests.get(packet_id)
        if request is None or request.is_subscribe != is_subscribe:
            raise ProtocolError(0x82, f"{name} with Packet Identifier {packet_id} answers nothing", "2.2.1")
        del requests[packet_id]
        return request

    def _refuse(self, subscription: FilterSubscription, error: ClientError) -> None:
        """It can't be asked of this Server."""
        subscription.waiting = []
        for subscriber in list(subscription.subscribers):
            self._answer(subscriber, error)

    def _answer(self, subscriber: Subscriber, error: ClientError | None) -> None:
        """Tell who waits; a subscription that was refused, be it after a reconnection, is none."""
        if error is not None and subscriber.is_open:
            self._leave(subscriber)
        on_answer = subscriber.on_answer
        if on_answer is not None:
            if error is not None:
                subscriber.on_answer = None
            self.answers.append(lambda: on_answer(subscriber, error))

    def _leave(self, subscriber: Subscriber) -> None:
        subscription = subscriber.subscription
        subscriber.close()
        subscription.subscribers = [one for one in subscription.subscribers if one is not subscriber]
        if not subscription.subscribers:
            self.subscriptions.remove(subscription)
            self._to_ask.pop(subscription, None)

    # Unsubscribing

    def unsubscribe(self, subscriber: Subscriber, on_end: OnUnsubscribed | None) -> None:
        """As `Client.unsubscribe`."""
        if not subscriber.is_open:
            self._tell(on_end, None)
            return
        topic_filter = subscriber.topic_filter
        subscriber.on_answer = None
        self._leave(subscriber)
        if topic_filter in self.subscriptions.by_filter:  # others use it
            self._tell(on_end, None)
            return
        waiting = self._unsubscribes.setdefault(topic_filter, [])
        if self._connection is None:  # what is to be told is told when there is a session to tell it to
            self._tell(on_end, None)
            return
        if on_end is not None:
            waiting.append(on_end)
        self._to_end[topic_filter] = None
        self._send()

    def _send_unsubscribe(self, connection: ClientConnection, topic_filters: list[str]) -> None:
        packet_id = self._client.outgoing.new_packet_id()
        encoded = Unsubscribe(packet_id, topic_filters).encode(connection.version)
        if len(encoded) <= connection.peer_maximum_packet_size:  # [MQTT-3.2.2-15]
            request = self._client.outgoing.requests[packet_id] = Request()
            request.topic_filters = topic_filters
            connection.send(encoded)
            connection.metrics.others_sent += 1
        elif len(topic_filters) > 1:
            half = len(topic_filters) // 2
            self._send_unsubscribe(connection, topic_filters[:half])
            self._send_unsubscribe(connection, topic_filters[half:])
        else:
            self._end_unsubscribe(topic_filters[0], _too_large(connection, "UNSUBSCRIBE"))

    def unsuback_received(self, packet: UnsubAck) -> None:
        """Raises `ProtocolError` for an answer to nothing, or with the wrong number of Reason Codes."""
        request = self._take(packet.packet_id, False, "UNSUBACK")
        codes = packet.reason_codes or [0] * len(request.topic_filters)  # there are none before MQTT 5.0
        if len(codes) != len(request.topic_filters):
            text = f"UNSUBACK has {len(codes)} Reason Codes for {len(request.topic_filters)} filters"
            raise ProtocolError(0x82, text, "MQTT-3.11.3-1")
        for topic_filter, code in zip(request.topic_filters, codes, strict=True):
            self._end_unsubscribe(topic_filter, _refusal(code, packet.properties) if code >= 0x80 else None)
        self._send()

    def _end_unsubscribe(self, topic_filter: str, error: ClientError | None) -> None:
        for on_end in self._unsubscribes.pop(topic_filter, []):
            self._tell(on_end, error)

    def _forget_unsubscribe(self, topic_filter: str) -> None:
        """The Server need not be told."""
        self._end_unsubscribe(topic_filter, None)

    def _tell(self, on_end: OnUnsubscribed | None, error: ClientError | None) -> None:
        if on_end is not None:
            self.answers.append(lambda: on_end(error))

    def give_up_all(self, cause: str) -> None:
        """The client stops: nobody will be answered any more."""
        for subscription in self.subscriptions.by_filter.values():
            for subscriber in subscription.waiting:  # which are asked for should the client start again
                if subscriber.on_answer is not None:
                    self._give_up(subscriber.on_answer, subscriber, cause)
        self._answer_unsubscribes()

    def _answer_unsubscribes(self) -> None:
        """Nothing comes any more for what was to end, whenever the Server is told."""
        for topic_filter, waiting in list(self._unsubscribes.items()):
            for on_end in waiting:
                self._tell(on_end, None)
            self._unsubscribes[topic_filter] = []

    def _give_up(self, on_answer: OnAnswer, subscriber: Subscriber, cause: str) -> None:
        error = NotDelivered(cause, False)
        self.answers.append(lambda: on_answer(subscriber, error))


def _asked(subscription: FilterSubscription, version: int) -> SubscriptionOptions:
    """What is asked of the Server: with Retain Handling 1 of one that may have the subscription already."""
    options = subscription.options
    if not subscription.may_be_known or version != MQTT_5 or options.retain_handling:
        return options
    return SubscriptionOptions(
        options.topic_filter, options.qos, options.no_local, options.retain_as_published, SEND_IF_NEW
    )


def _too_large(connection: ClientConnection, name: str) -> ClientError:
    size = connection.peer_maximum_packet_size
    text = f"{name} would be larger than the Server takes, {size:,} bytes"
    return NotSupportedByServer("Maximum Packet Size", text)


def _refusal(code: int, properties: Properties | None) -> SubscribeRefused:
    said = properties or Properties()
    return SubscribeRefused(code, said.reason_string, said.user_properties)
