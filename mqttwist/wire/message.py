"""The Application Message (1.2): what a PUBLISH carries, apart from the details of one hop.

A message may go to very many receivers. What it looks like as bytes depends on few things only: the protocol
version, the QoS and the RETAIN flag. Each such *form* is encoded once and shared. A message that came as a
QoS 0 PUBLISH keeps the packet it came in, and that packet is already one of its forms.
"""

from __future__ import annotations

from typing import Final

from mqttwist.native import mypyc_attr
from mqttwist.wire.datatypes import (
    SINGLE_BYTES,
    encode_binary,
    encode_four_byte_integer,
    encode_text,
    encode_variable_byte_integer,
)
from mqttwist.wire.packet import PUBLISH
from mqttwist.wire.properties import Properties, decode_properties, encode_property_list
from mqttwist.wire.topics import check_topic_name

# A form is a number: the QoS in bits 0-1, RETAIN in bit 2, MQTT 5.0 in bit 3.
FORM_RETAIN: Final = 4
FORM_MQTT_5: Final = 8
NO_FORM: Final = 16


@mypyc_attr(acyclic=True)
class Form:
    """A message as bytes: `head`, Packet Identifier and `tail`. At QoS 0 `tail` is all of it."""

    __slots__ = ("head", "key", "tail")

    key: int
    head: bytes
    tail: bytes

    def __init__(self, key: int, head: bytes, tail: bytes) -> None:
        self.key = key
        self.head = head
        self.tail = tail


@mypyc_attr(acyclic=True)
class Kept:
    """The place of a topic's retained message (3.3.1.3): `message` is None once it was replaced or removed.

    Whoever is to send the message later refers to its place: so it holds no message that is not retained.
    `publisher` is the client id of who published it, "" for nobody known: it counts for No Local. `number`
    tells it from the places that the topic had before and will have, in a store; 0 while no store has it.
    """

    __slots__ = ("message", "number", "publisher")

    message: Message | None
    number: int
    publisher: str

    def __init__(self, message: Message, publisher: str = "") -> None:
        self.message = message
        self.number = 0
        self.publisher = publisher


@mypyc_attr(acyclic=True)
class Message:
    """An Application Message. It does not change once it is on its way.

    `forwarded` are the properties that every receiver gets unaltered and in their order, encoded, without a
    length: all of PUBLISH but Topic Alias, Subscription Identifier and Message Expiry Interval.
    `message_expiry_interval` is in seconds, -1 where there is none; `expires_at` is when the broker's clock
    ends it (0.0: never), set by whoever takes ownership of the message. `forms` are those encoded so
    far; whoever has sent a message to all that are to have it now sets them to None: they take several times
    the memory that `size` says, and a form that is needed once more is encoded again.

    `data` is the payload, and before it whatever is worth keeping of the packet it came in. If that packet
    can be sent on as it is, `data_form` is its form, with `head` and `data` as its head and tail.

    `mid` is the message's number in a store, 0 while no store has it.
    """

    # Slots, and all of them filled at once: plain Python takes ten times as long to set an attribute that has
    # a default in the class, and twice as long to read it.
    __slots__ = (
        "_payload_at", "data", "data_form", "expires_at", "forms", "forwarded", "head",
        "message_expiry_interval", "mid", "qos", "retain", "topic_name",
    )  # fmt: skip

    topic_name: str
    qos: int
    retain: bool
    forwarded: bytes
    message_expiry_interval: int
    expires_at: float
    forms: list[Form] | None
    data: bytes
    _payload_at: int
    data_form: int
    head: bytes
    mid: int

    def __init__(
        self,
        topic_name: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> None:
        self.topic_name = topic_name
        self.qos = qos
        self.retain = retain
        self.data = payload
        self._payload_at = 0
        self.data_form = NO_FORM
        self.head = self.forwarded = b""
        self.message_expiry_interval = -1
        self.expires_at = 0.0
        self.forms = None
        self.mid = 0
        if properties is not None:
            self._set_properties(properties)

    def _set_properties(self, properties: Properties) -> None:
        if properties.message_expiry_interval is not None:
            encode_four_byte_integer(properties.message_expiry_interval)  # ValueError if it is out of range
            self.message_expiry_interval = properties.message_expiry_interval
        forwarded = Properties(
            payload_format_indicator=properties.payload_format_indicator,
            content_type=properties.content_type,
            response_topic=properties.response_topic,
            correlation_data=properties.correlation_data,
            user_properties=properties.user_properties,
        )
        self.forwarded = encode_property_list(forwarded, PUBLISH)

    @classmethod
    def create(
        cls,
        topic_name: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
    ) -> Message:
        """A message from a caller rather than from the wire: `ValueError` for what MQTT does not allow.

        `TypeError` for a payload that is not bytes, a bytearray or a memoryview. `qos` 0..2; of `properties`
        those that a PUBLISH forwards and the Message Expiry Interval are taken.
        """
        check_topic_name(topic_name)
        if qos < 0 or qos > 2:
            raise ValueError(f"QoS {qos} is none of 0, 1, 2")
        if type(payload) is not bytes:
            payload = _as_bytes(payload)
        return Message(topic_name, payload, qos, retain, properties)

    @property
    def payload(self) -> bytes:
        return self.data[self._payload_at :]

    @property
    def payload_size(self) -> int:
        """The length of the payload, in bytes."""
        return len(self.data) - self._payload_at

    @property
    def size(self) -> int:
        """About how many bytes the message holds in memory, its topic, payload and properties.

        Encoded forms are not in it: they are forgotten before a message is kept.
        """
        return len(self.data) + len(self.head) + len(self.forwarded) + len(self.topic_name)

    @property
    def properties(self) -> Properties:
        """The properties of the message, decoded anew at each call."""
        encoded = encode_variable_byte_integer(len(self.forwarded)) + self.forwarded
        properties, _ = decode_properties(encoded, 0, len(encoded), PUBLISH)
        if self.message_expiry_interval >= 0:
            properties.message_expiry_interval = self.message_expiry_interval
        return properties

    def form(self, key: int) -> Form:
        """The bytes of this message in the form `key`, encoded at the first call and shared from then on."""
        forms = self.forms
        if forms is not None:
            for form in forms:
                if form.key == key:
                    return form
        form = Form(key, self.head, self.data) if key == self.data_form else self._encode(key)
        if forms is None:
            self.forms = [form]
        else:
            forms.append(form)
        return form

    def _encode(self, key: int) -> Form:
        if key & FORM_MQTT_5:
            is_tail = self.data_form & 3 and self.data_form & FORM_MQTT_5
            tail = self.data if is_tail else self.tail_with(b"")
        else:
            tail = self.payload
        topic = encode_binary(encode_text(self.topic_name))
        remaining = len(topic) + len(tail) + (2 if key & 3 else 0)
        first_byte = PUBLISH << 4 | (key & 3) << 1 | (1 if key & FORM_RETAIN else 0)
        head = SINGLE_BYTES[first_byte] + encode_variable_byte_integer(remaining) + topic
        return Form(key, head, tail) if key & 3 else Form(key, b"", head + tail)

    def tail_with(self, more: bytes) -> bytes:
        """What follows the Packet Identifier in MQTT 5.0: `more` (encoded properties), its own, payload."""
        return (
            encode_variable_byte_integer(len(self.forwarded) + len(more))
            + more
            + self.forwarded
            + self.payload
        )

    def __repr__(self) -> str:
        retain = ", retain" if self.retain else ""
        return f"<Message {self.topic_name!r} qos {self.qos}{retain}, {self.payload_size} bytes>"


def _as_bytes(payload: object) -> bytes:
    if isinstance(payload, bytes | bytearray | memoryview):
        return bytes(payload)
    raise TypeError(f"the payload is {type(payload).__name__}, not bytes")
