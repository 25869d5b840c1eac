"""What happened in a run, as one list of events in the order in which the clients saw them.

All clients of a run live in one thread, so the list has one order. Each message says in its payload who sent
it, as which one, to which topic, and a hash over all of that and its filling: so a receiver knows a wrong one
by itself.

Times are seconds of the wall clock since 1970, as fractions.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

_DIGEST_SIZE = 8  # bytes


class Identity(NamedTuple):
    """Which message it is: its publisher's client id, and its number among all that this one sent."""

    publisher: str
    sequence: int


def make_payload(identity: Identity, topic: str, size: int = 0) -> bytes:
    """The content of a message, of at least so many bytes."""
    head = f"{identity.publisher} {identity.sequence} {topic} ".encode()
    filling = b"%d." % identity.sequence * (size // 2)
    body = head + filling[: max(0, size - len(head) - 2 * _DIGEST_SIZE - 1)]
    return body + b" " + _digest(body)


def read_payload(payload: bytes) -> tuple[Identity, str] | None:
    """Which message that is and the topic it was sent to; None for content that nobody can have sent."""
    body, _, digest = payload.rpartition(b" ")
    words = body.split(b" ")
    if len(words) != 4 or digest != _digest(body):
        return None
    return Identity(words[0].decode(), int(words[1])), words[2].decode()


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_DIGEST_SIZE).hexdigest().encode()


class Sent(NamedTuple):
    """A publisher wrote the PUBLISH for the first time. `empty`: a retained message is to be removed."""

    identity: Identity
    topic: str
    qos: int
    retain: bool = False
    empty: bool = False
    at: float = 0.0


class Acknowledged(NamedTuple):
    """PUBACK or PUBREC came: from here on the broker is responsible, unless `reason_code` is 0x80 or more."""

    identity: Identity
    reason_code: int = 0
    at: float = 0.0


class Completed(NamedTuple):
    """PUBCOMP came: the publisher may forget the message, and its Packet Identifier is free."""

    identity: Identity


class Subscribing(NamedTuple):
    """SUBSCRIBE was written: messages may come."""

    client: str
    topic_filter: str
    qos: int


class Subscribed(NamedTuple):
    """SUBACK came: each message that is sent from here on must come."""

    client: str
    topic_filter: str
    qos: int


class Unsubscribing(NamedTuple):
    """UNSUBSCRIBE was written: messages acknowledged from here on need not come."""

    client: str
    topic_filter: str


class Unsubscribed(NamedTuple):
    """UNSUBACK came: messages sent from here on must not come."""

    client: str
    topic_filter: str


class Delivered(NamedTuple):
    """A subscriber handed a PUBLISH to its application; at QoS 2 it has sorted out those sent again."""

    client: str
    topic: str
    payload: bytes
    qos: int
    dup: bool = False
    retain: bool = False
    at: float = 0.0


class SessionLost(NamedTuple):
    """CONNACK said that there is no session, though there must be one."""

    client: str


class Disconnected(NamedTuple):
    """A connection ended although nobody had killed the broker; the code of DISCONNECT, or -1."""

    client: str
    reason_code: int = -1


class Reading(NamedTuple):
    """A client that has no session begins to ask for retained messages."""

    client: str
    topic_filter: str


class HasRead(NamedTuple):
    """All retained messages that were to come have come."""

    client: str


class WillSet(NamedTuple):
    """CONNACK came for a connection with a will: `delay` and `expiry` of the session in seconds."""

    client: str
    topic: str
    delay: int
    expiry: int
    qos: int = 2


class Proved(NamedTuple):
    """The broker acknowledged something of which it had been told after all that stands before this event.

    CONNACK and DISCONNECT promise nothing about the disk; but changes reach it in their order.
    """


class Closed(NamedTuple):
    """A client with a will ended its connection.

    `called_off`: by a DISCONNECT that removes the will (3.14.4); else by DISCONNECT 0x04, or without a word.
    """

    client: str
    called_off: bool
    at: float


class Returned(NamedTuple):
    """CONNACK came for the client id of a will, now without one; `clean`: Clean Start was set."""

    client: str
    clean: bool
    at: float


class Started(NamedTuple):
    """The broker serves, at first or again."""

    at: float


class Killed(NamedTuple):
    """The broker was killed, and with it ended all connections."""

    at: float


Event = (
    Sent
    | Acknowledged
    | Completed
    | Subscribing
    | Subscribed
    | Unsubscribing
    | Unsubscribed
    | Delivered
    | SessionLost
    | Disconnected
    | Reading
    | HasRead
    | WillSet
    | Proved
    | Closed
    | Returned
    | Started
    | Killed
)


@dataclass
class History:
    """The events so far."""

    events: list[Event] = field(default_factory=list)

    def add(self, event: Event) -> None:
        self.events.append(event)

    def counts(self) -> dict[str, int]:
        """How many events of each kind, and how many of the deliveries were marked as sent again."""
        counts = Counter(type(event).__name__ for event in self.events)
        counts["DUP"] = sum(isinstance(event, Delivered) and event.dup for event in self.events)
        return {name: counts[name] for name in sorted(counts)}

    @property
    def acknowledged(self) -> int:
        """How many messages the broker is responsible for."""
        return sum(isinstance(event, Acknowledged) and event.reason_code < 0x80 for event in self.events)


def now() -> float:
    """The wall clock, since a broker's files outlive its process."""
    return time.time()
