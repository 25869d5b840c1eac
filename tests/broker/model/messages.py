"""Application Messages in the model, and their deliveries: to one session, or to a Shared Subscription."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubscriptionOptions

if TYPE_CHECKING:
    from tests.broker.model.sessions import ModelSession

NEVER = float("inf")
INSTANT = 0.001  # seconds that a message with a Message Expiry Interval of 0 lives: no step is as short

# What a delivery waits for.
ITS_TURN, PUBACK, PUBREC, PUBCOMP, NOTHING = "its turn", "PUBACK", "PUBREC", "PUBCOMP", "nothing"


def matches(topic_filter: str, topic_name: str) -> bool:
    """Whether a filter, no shared one, matches (4.7): written without a look at the broker's."""
    if topic_name.startswith("$") and topic_filter[0] in "+#":
        return False
    parts, levels = topic_filter.split("/"), topic_name.split("/")
    for position, part in enumerate(parts):
        if part == "#":
            return True
        if position == len(levels) or part not in ("+", levels[position]):
            return False
    return len(parts) == len(levels)


def is_shared(full_filter: str) -> bool:
    return full_filter.startswith("$share/")


def filter_of(full_filter: str) -> str:
    """The Topic Filter without `$share/{ShareName}/`."""
    return full_filter.split("/", 2)[2] if is_shared(full_filter) else full_filter


@dataclass(eq=False)
class ModelMessage:
    """An Application Message: `expiry` is the Message Expiry Interval in seconds, -1 for none."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    publisher: str  # the client id
    expiry: int = -1
    expires_at: float = NEVER

    def start(self, now: float) -> None:
        """The broker has it: its time runs."""
        if self.expiry >= 0:
            self.expires_at = now + max(self.expiry, INSTANT)

    def has_left(self, said: int, now: float) -> bool:
        """Whether the interval that is sent is the one received less the time waited [MQTT-3.3.2-6]."""
        if self.expiry < 0:
            return said < 0
        return 0 <= said <= self.expiry and abs(said - max(self.expires_at - now, 0)) <= 1


@dataclass(eq=False)
class Delivery:
    """A message on its way to one session, as the broker must send it.

    `identifiers` are in order, and count for 5.0. `replay`: because of a SUBSCRIBE. `may_be_left_out`: the
    broker may send it or not. `order` counts first sendings, `is_here` says whether it (or its PUBREL) was
    sent on the present connection.
    """

    message: ModelMessage
    qos: int
    retain: bool
    identifiers: tuple[int, ...] | None = ()  # None: any
    replay: bool = False
    share: str = ""
    may_be_left_out: bool = False
    awaiting: str = ITS_TURN
    packet_id: int = 0
    order: int = 0
    is_here: bool = False
    sent_at: float = 0.0

    @property
    def order_key(self) -> tuple[str, str, int]:
        """What has to keep its order among its like [MQTT-4.6.0-5]."""
        return self.message.publisher, self.message.topic, self.qos

    def fits(self, packet: Publish, topic: str, version: int) -> bool:
        """Whether `packet` is what must be sent."""
        identifiers = self.identifiers if version == 5 else ()
        return (topic, packet.payload, packet.qos, packet.retain) == (
            self.message.topic,
            self.message.payload,
            self.qos,
            self.retain,
        ) and identifiers in (None, tuple(sorted(packet.subscription_identifiers)))


@dataclass(eq=False)
class SharedMessage:
    """A message for one member of a Shared Subscription; nobody says for which.

    `candidates` are those that were members since it was published: it may wait for one of them.
    """

    message: ModelMessage
    share: str
    candidates: set[ModelSession] = field(default_factory=set)
    may_be_left_out: bool = False

    def delivery_to(
        self, session: ModelSession, packet: Publish, topic: str, version: int
    ) -> Delivery | None:
        """What `packet` is to `session` if it is this message, on the terms of one of its subscriptions."""
        if session not in self.candidates and self.share not in session.subscriptions:
            return None
        for options, identifier in session.grants_of(self.share):
            qos = min(self.message.qos, options.qos)
            retain = self.message.retain and options.retain_as_published
            identifiers = (identifier,) if identifier else ()
            delivery = Delivery(self.message, qos, retain, identifiers, share=self.share)
            if delivery.fits(packet, topic, version):
                if version < 5:
                    delivery.identifiers = None  # there are other terms that look the same
                return delivery
        return None


def merged(
    message: ModelMessage, subscriptions: Iterable[tuple[SubscriptionOptions, int]]
) -> Delivery | None:
    """The one delivery for all `subscriptions` that match: highest QoS, all identifiers (3.3.4)."""
    matching = list(subscriptions)
    if not matching:
        return None
    qos = min(message.qos, max(options.qos for options, _ in matching))  # [MQTT-3.3.4-2]
    retain = message.retain and any(options.retain_as_published for options, _ in matching)
    identifiers = sorted(identifier for _, identifier in matching if identifier)  # [MQTT-3.3.4-4]
    return Delivery(message, qos, retain, tuple(identifiers))
