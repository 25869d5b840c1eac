"""A message that came from the Server, while the application has it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from mqttwist.wire.enums import ReasonCode
from mqttwist.wire.packet import PUBACK
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.reasons import REASON_CODES

if TYPE_CHECKING:
    from mqttwist.client.incoming import ClientIncoming

OVERHEAD: Final = 400  # bytes that a message takes beside its content, roughly

# What the application says to it. Of several subscribers the one that says the highest counts.
ACCEPTED: Final = 0
REJECTED: Final = 1  # acknowledged with a Reason Code of 0x80 and above
LEFT: Final = 2  # not acknowledged on this connection: the Server sends it again on the next one


class Received:
    """A message, and the acknowledgement that it still has to get.

    It is acknowledged when each subscriber it went to has said something: `ack`, `reject` or `leave`. At
    QoS 0 that means nothing to the Server. What a subscriber says twice counts once.

    `number` counts the messages of the client in the order in which they came, whatever they came for.
    """

    __slots__ = (
        "_flow", "_undecided", "_whole", "is_settled", "number", "publish", "reason_code", "verdict",
    )  # fmt: skip

    publish: Publish
    verdict: int
    reason_code: int  # of the rejection
    is_settled: bool  # everybody has said something
    number: int
    _flow: ClientIncoming
    _undecided: int  # how many have not
    _whole: Received | None  # what this is one subscriber's share of; None: it is the whole

    def __init__(self, publish: Publish, flow: ClientIncoming) -> None:
        self.publish = publish
        self.verdict = ACCEPTED
        self.reason_code = 0
        self.is_settled = False
        self.number = 0
        self._flow = flow
        self._undecided = 1
        self._whole = None

    # What the application sees

    @property
    def topic_name(self) -> str:
        return self.publish.topic_name

    @property
    def payload(self) -> bytes:
        return self.publish.payload

    @property
    def qos(self) -> int:
        """The QoS of this delivery (4.3)."""
        return self.publish.qos

    @property
    def retain(self) -> bool:
        """Whether the message was retained when the subscription was made (3.3.1.3)."""
        return self.publish.retain

    @property
    def dup(self) -> bool:
        """Whether the Server says that it may have sent this before (3.3.1.1)."""
        return self.publish.dup

    @property
    def properties(self) -> Properties:
        """The properties of the message, decoded anew at each call; none before MQTT 5.0."""
        return self.publish.properties

    @property
    def subscription_identifiers(self) -> tuple[int, ...]:
        return self.publish.subscription_identifiers

    @property
    def response_topic(self) -> str | None:
        """Where an answer is to go (4.10)."""
        return self.publish.properties.response_topic

    def level(self, index: int) -> str:
        """A level of the Topic Name, the first is 0. Raises `IndexError`."""
        return self.publish.topic_name.split("/")[index]

    def text(self) -> str:
        """The payload as UTF-8. Raises `UnicodeDecodeError`."""
        return self.payload.decode()

    def json(self) -> Any:
        """The payload as JSON. Raises `ValueError`."""
        return json.loads(self.payload)

    def ack(self) -> None:
        """The message has been dealt with. Needed only where a subscription asks for it (`manual`)."""
        self._decide(ACCEPTED)

    def reject(self, reason_code: int = ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR.value) -> None:
        """The message is not accepted, and is not to come again: PUBACK or PUBREC with `reason_code`.

        Before MQTT 5.0 there is no way to say so, and it is acknowledged. Raises `ValueError` for a Reason
        Code that is below 0x80, or not one of PUBACK and PUBREC (3.4.2.1).
        """
        if reason_code < 0x80 or reason_code not in REASON_CODES[PUBACK]:
            raise ValueError(f"0x{reason_code:02X} is no Reason Code of PUBACK that refuses")
        self._decide(REJECTED, reason_code)

    def leave(self) -> None:
        """The message has not been dealt with: it stays with the Server, which sends it again later."""
        self._decide(LEFT)

    # What subscribers count

    @property
    def size(self) -> int:
        """How many bytes it counts for while it waits."""
        return self.publish.size + OVERHEAD

    def shares(self, subscribers: int) -> list[Received]:
        """One for each of several subscribers, so that nobody can speak for another."""
        self._undecided = subscribers
        shares: list[Received] = []
        for _ in range(subscribers):
            share = Received(self.publish, self._flow)
            share._whole = self
            share.number = self.number
            shares.append(share)
        return shares

    def _decide(self, verdict: int, reason_code: int = 0) -> None:
        if self.is_settled:
            return
        self._undecided -= 1
        self.verdict = max(self.verdict, verdict)
        self.reason_code = self.reason_code or reason_code
        if self._undecided:
            return
        self.is_settled = True
        if self._whole is not None:
            self._whole._decide(verdict, reason_code)
        elif self.publish.qos:
            self._flow.settled(self)

    def __repr__(self) -> str:
        return f"<Received {self.topic_name!r} qos {self.qos}, {self.publish.payload_size} bytes>"
