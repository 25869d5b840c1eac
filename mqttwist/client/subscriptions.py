"""What the application has subscribed to, and which of its subscribers a message is for.

The Server has one subscription for each Topic Filter (3.8.4). The application may use one several times: each
use is a `Subscriber` with messages of its own. In MQTT 5.0 each filter has a Subscription Identifier, which
tells what a message came for; else the filters that match its Topic Name do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final
from zlib import crc32

from mqttwist.client.errors import ClientError
from mqttwist.client.received import Received
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubscriptionOptions
from mqttwist.wire.topics import matches, split_share

if TYPE_CHECKING:
    from mqttwist.client.client import Client

HIGHEST_IDENTIFIER: Final = 268_435_455
ROUTES_LIMIT: Final = 10_000  # Topic Names whose filters are remembered
ROUTE_NAME_LIMIT: Final = 256  # characters; a longer name is not remembered

# What the Server knows of a filter.
UNKNOWN: Final = 0
ASKED: Final = 1
GRANTED: Final = 2

OnAnswer = Callable[["Subscriber", ClientError | None], object]


class Subscriber:
    """One use of a subscription: messages wait here until `next` takes them.

    `wake` is called when there is something to take, after the turn in which it came. `on_answer` is called
    with what the Server has answered: an error, or None. An error may still come after None, when the Server
    has lost the session and does not grant the subscription once more. Of QoS 0 at most `buffer` messages
    wait; then the oldest is dropped and counted in `dropped`. Messages of QoS 1 and 2 wait unacknowledged, so
    the Server's Receive Maximum bounds them.
    """

    __slots__ = (
        "_client", "_waiting", "buffer", "dropped", "is_awake", "is_open", "on_answer", "subscription",
        "wake",
    )  # fmt: skip

    subscription: FilterSubscription
    wake: Callable[[], object]
    on_answer: OnAnswer | None
    buffer: int
    dropped: int
    is_open: bool
    is_awake: bool  # `wake` is going to be called
    _client: Client
    _waiting: deque[Received]

    def __init__(
        self,
        client: Client,
        subscription: FilterSubscription,
        wake: Callable[[], object],
        buffer: int,
        on_answer: OnAnswer | None,
    ) -> None:
        self._client = client
        self.subscription = subscription
        self.wake = wake
        self.buffer = buffer
        self.on_answer = on_answer
        self.dropped = 0
        self.is_open = True
        self.is_awake = False
        self._waiting = deque()

    @property
    def topic_filter(self) -> str:
        return self.subscription.topic_filter

    @property
    def granted_qos(self) -> int:
        """The QoS that the Server has granted; -1 while it has not answered."""
        return self.subscription.granted_qos

    @property
    def length(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def put(self, received: Received) -> None:
        """A message came."""
        if received.publish.qos == 0 and len(self._waiting) >= self.buffer:
            self._drop_oldest()
        self._waiting.append(received)
        self._client.holds(received.size)
        self.rouse()

    def rouse(self) -> None:
        """Have `wake` called when the turn is over."""
        if not self.is_awake:
            self.is_awake = True
            self._client.roused(self)

    def _drop_oldest(self) -> None:
        """Drop the oldest message of QoS 0: what waits at QoS 1 and 2 is promised."""
        for position, received in enumerate(self._waiting):
            if received.publish.qos == 0:
                del self._waiting[position]
                self.dropped += 1
                self._client.dropped(self, received)
                return

    def next(self) -> Received | None:
        """The message whose turn it is; None when none waits."""
        if not self._waiting:
            return None
        received = self._waiting.popleft()
        self._client.holds(-received.size)
        return received

    def close(self) -> None:
        """What waits is left to the Server."""
        self.is_open = False
        while (received := self.next()) is not None:
            received.leave()


class FilterSubscription:
    """A Topic Filter, what the Server knows of it, and who uses it."""

    __slots__ = (
        "asked", "granted_qos", "identifier", "may_be_known", "options", "pattern", "state", "subscribers",
        "waiting",
    )  # fmt: skip

    options: SubscriptionOptions  # as they were asked for last
    identifier: int
    pattern: str  # the filter without $share and ShareName
    state: int
    asked: int  # how many SUBSCRIBE are not answered
    may_be_known: bool  # whether the Server may have it already, from a process before this one
    granted_qos: int
    subscribers: list[Subscriber]
    waiting: list[Subscriber]  # those that have not been answered

    def __init__(self, options: SubscriptionOptions, identifier: int) -> None:
        self.options = options
        self.identifier = identifier
        self.pattern = split_share(options.topic_filter)[1]
        self.state = UNKNOWN
        self.asked = 0
        self.may_be_known = False
        self.granted_qos = -1
        self.subscribers = []
        self.waiting = []

    @property
    def topic_filter(self) -> str:
        return self.options.topic_filter


class Subscriptions:
    """All filters of a client."""

    __slots__ = ("_by_identifier", "_routes", "by_filter")

    by_filter: dict[str, FilterSubscription]
    _by_identifier: dict[int, FilterSubscription]
    _routes: dict[str, list[FilterSubscription]]

    def __init__(self) -> None:
        self.by_filter = {}
        self._by_identifier = {}
        self._routes = {}

    def put(self, options: SubscriptionOptions) -> FilterSubscription:
        """The subscription to a filter, with these options, and the highest QoS that anybody asks for.

        Raises `ValueError` when somebody uses it with other options.
        """
        subscription = self.by_filter.get(options.topic_filter)
        if subscription is None:
            subscription = FilterSubscription(options, self._new_identifier(options.topic_filter))
            self.by_filter[options.topic_filter] = subscription
            self._by_identifier[subscription.identifier] = subscription
            self._routes.clear()
            return subscription
        before = subscription.options
        if (before.no_local, before.retain_as_published) != (options.no_local, options.retain_as_published):
            raise ValueError(f"{options.topic_filter!r} is subscribed to with other options already")
        subscription.options = SubscriptionOptions(
            options.topic_filter,
            max(options.qos, before.qos),
            options.no_local,
            options.retain_as_published,
            options.retain_handling,
        )
        return subscription

    def _new_identifier(self, topic_filter: str) -> int:
        """The same for the same filter in the next process, too: the Server may have messages with it."""
        identifier = crc32(topic_filter.encode()) % HIGHEST_IDENTIFIER + 1
        while identifier in self._by_identifier:
            identifier = identifier % HIGHEST_IDENTIFIER + 1
        return identifier

    def remove(self, subscription: FilterSubscription) -> None:
        del self.by_filter[subscription.topic_filter]
        del self._by_identifier[subscription.identifier]
        self._routes.clear()

    def find(self, publish: Publish) -> list[FilterSubscription]:
        """The subscriptions that a message is for."""
        topic_name = publish.topic_name
        if publish.subscription_identifiers:
            named = [
                found
                for identifier in publish.subscription_identifiers
                if (found := self._by_identifier.get(identifier)) is not None
                and matches(found.pattern, topic_name)
            ]
            if named:
                return named
        route = self._routes.get(topic_name)
        if route is None:
            route = [one for one in self.by_filter.values() if matches(one.pattern, topic_name)]
            if len(self._routes) >= ROUTES_LIMIT:
                self._routes.clear()
            if len(topic_name) <= ROUTE_NAME_LIMIT:
                self._routes[topic_name] = route
        return route

    def forget_server(self) -> None:
        """The Server has no subscriptions of ours."""
        for subscription in self.by_filter.values():
            subscription.state = UNKNOWN
            subscription.granted_qos = -1

    def connection_lost(self) -> None:
        """What was asked and not answered is to be asked again."""
        for subscription in self.by_filter.values():
            subscription.asked = 0
            if subscription.state == ASKED:
                subscription.state = UNKNOWN
