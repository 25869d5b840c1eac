"""PUBLISH (3.3): an Application Message with the details of one hop.

`Publish` is a `Message`, so that the packet that came in can travel through the broker as the message it
carries, without being copied into another object. Properties are checked one by one, but those that are only
passed on stay as the bytes they came in.
"""

from __future__ import annotations

from typing import Final

from mqttwist.native import mypyc_attr
from mqttwist.wire.datatypes import (
    encode_binary,
    encode_four_byte_integer,
    encode_text,
    encode_two_byte_integer,
    encode_variable_byte_integer,
)
from mqttwist.wire.errors import MalformedPacket, ProtocolError
from mqttwist.wire.message import FORM_MQTT_5, FORM_RETAIN, NO_FORM, Message
from mqttwist.wire.packet import MQTT_5, PUBLISH, decode_packet_id, encode_packet_id, frame
from mqttwist.wire.properties import (
    MESSAGE_EXPIRY_INTERVAL,
    SUBSCRIPTION_IDENTIFIER,
    TOPIC_ALIAS,
    USER_PROPERTY,
    Properties,
    encode_property_list,
    next_property,
    properties_end,
)
from mqttwist.wire.topics import KNOWN_NAMES, check_topic_name, decode_topic_name

DUP: Final = 0x08
RETAIN: Final = 0x01


# Property lists that were checked and are forwarded as they are: clients send the same few again and again. A
# hit costs a tenth of a check; the bounds keep a peer that makes up lists from filling the memory (1 MB).
_KNOWN_LISTS: Final[set[bytes]] = set()
_KNOWN_LISTS_LIMIT: Final = 4096
_KNOWN_LIST_LENGTH: Final = 128


@mypyc_attr(acyclic=True)
class Publish(Message):
    """A PUBLISH packet.

    `packet_id` is 0 at QoS 0, `topic_alias` 0 where there is none; `subscription_identifiers` come only from
    a Server [MQTT-3.3.4-6]. `topic_name` is empty when the alias stands for it.
    """

    __slots__ = ("dup", "packet_id", "subscription_identifiers", "topic_alias")

    packet_id: int
    dup: bool
    topic_alias: int
    subscription_identifiers: tuple[int, ...]

    def __init__(
        self,
        topic_name: str,
        payload: bytes = b"",
        qos: int = 0,
        retain: bool = False,
        properties: Properties | None = None,
        packet_id: int = 0,
        dup: bool = False,
    ) -> None:
        self.topic_name = topic_name
        self.qos = qos
        self.retain = retain
        self.data = payload
        self.packet_id = packet_id
        self.dup = dup
        # Again what `Message` does: to call it costs plain Python a tenth of all that a message costs.
        self._payload_at = self.topic_alias = self.mid = 0
        self.data_form = NO_FORM
        self.head = self.forwarded = b""
        self.message_expiry_interval = -1
        self.expires_at = 0.0
        self.forms = None
        self.subscription_identifiers = ()
        if properties is not None:
            encode_property_list(properties, PUBLISH)  # ValueError for what a PUBLISH must not have
            self._set_properties(properties)
            self.topic_alias = properties.topic_alias or 0
            self.subscription_identifiers = properties.subscription_identifiers

    @staticmethod
    def decode(data: bytes, start: int, index: int, end: int, version: int) -> Publish:
        """The PUBLISH whose fixed header starts at `start` and whose body stands from `index` to `end`.

        The flags of the fixed header were checked by the decoder. Raises `MalformedPacket` or
        `ProtocolError`.
        """
        first_byte = data[start]
        topic_at = index + 2
        index = topic_at + (data[index] << 8 | data[index + 1]) if topic_at <= end else topic_at
        if index > end:
            raise MalformedPacket("PUBLISH ends inside its Topic Name", "MQTT-3.3.2-1")
        raw = data[topic_at:index]
        topic_name = KNOWN_NAMES.get(raw)
        if topic_name is None:
            topic_name = decode_topic_name(raw)
        qos = first_byte >> 1 & 3
        retain = first_byte & RETAIN != 0
        form = qos | (FORM_RETAIN if retain else 0) | (FORM_MQTT_5 if version == MQTT_5 else 0)
        if qos:  # kept is what stands around the Packet Identifier, as head and tail
            head_end = index
            kept_at = index = index + 2
            packet_id = data[head_end] << 8 | data[head_end + 1] if index <= end else 0
            if not packet_id:
                decode_packet_id(data, head_end, end)  # which says what is wrong
            dup = first_byte & DUP != 0
            publish = Publish(topic_name, data[index:end], qos, retain, None, packet_id, dup)
            if not dup:  # else it can't be sent on as it is
                publish.head = data[start:head_end]
                publish.data_form = form
        else:
            publish = Publish(topic_name, data[start:end], 0, retain)
            publish.data_form = form
            kept_at = start
        if version != MQTT_5:
            publish._payload_at = index - kept_at
        elif index < end and data[index] == 0:  # no properties
            publish._payload_at = index + 1 - kept_at
        else:
            publish._read_properties(data, index, end, kept_at)
        if not topic_name and not publish.topic_alias:
            raise ProtocolError(0x82, "PUBLISH has neither a Topic Name nor a Topic Alias", "MQTT-4.7.3-1")
        return publish

    def _read_properties(self, data: bytes, index: int, end: int, kept_at: int) -> None:
        """Read the properties, which begin at `index`; what is kept of the packet begins at `kept_at`."""
        at = index + 1
        stop = at + data[index] if index < end else at
        if stop > end or data[index] >= 0x80:  # not a length of one byte, which nearly all have
            at, stop = properties_end(data, index, end)
        listed = data[at:stop]
        if listed in _KNOWN_LISTS:
            self.forwarded = listed
        elif _are_plain_user_properties(listed) or self._decode_properties(data, at, stop):
            self.forwarded = listed
            _remember_list(listed)
        else:  # some are for this hop only
            self.data = data[stop:end]
            self.head = b""
            self.data_form = NO_FORM
            return
        self._payload_at = stop - kept_at

    def _decode_properties(self, data: bytes, index: int, stop: int) -> bool:
        """Check every property; answers whether all of them can be forwarded as they are.

        A hostile PUBLISH has millions of them: the time it takes is in proportion to their number.
        """
        identifiers: list[int] = []
        pieces: list[bytes] = []
        piece_start = index
        seen = 0
        while index < stop:
            row, value, after = next_property(data, index, stop, PUBLISH, seen)
            seen |= 1 << row.identifier
            if isinstance(value, int) and self._is_of_this_hop(row.identifier, value, identifiers):
                pieces.append(data[piece_start:index])
                piece_start = after
            index = after
        if not pieces:
            return True
        pieces.append(data[piece_start:stop])
        self.forwarded = b"".join(pieces)
        self.subscription_identifiers = tuple(identifiers)
        return False

    def _is_of_this_hop(self, identifier: int, value: int, identifiers: list[int]) -> bool:
        if identifier == TOPIC_ALIAS:
            self.topic_alias = value
        elif identifier == MESSAGE_EXPIRY_INTERVAL:
            self.message_expiry_interval = value
        elif identifier == SUBSCRIPTION_IDENTIFIER:
            identifiers.append(value)
        else:
            return False
        return True

    def encode(self, version: int) -> bytes:
        """The whole packet as bytes of protocol `version`; `ValueError` for what can't be said in it."""
        if self.qos not in (0, 1, 2) or (self.dup and not self.qos):
            raise ValueError(f"QoS {self.qos} with DUP {self.dup:d} can't be said [MQTT-3.3.1-2]")
        if self.topic_name or not self.topic_alias or version != MQTT_5:
            check_topic_name(self.topic_name)
        flags = (DUP if self.dup else 0) | self.qos << 1 | (RETAIN if self.retain else 0)
        body = encode_binary(encode_text(self.topic_name))
        if self.qos:
            body += encode_packet_id(self.packet_id)
        if version == MQTT_5:
            body += self.tail_with(
                hop_properties(self.topic_alias, self.message_expiry_interval, self.subscription_identifiers)
            )
        else:
            body += self.payload
        return frame(PUBLISH << 4 | flags, body)

    def __eq__(self, other: object) -> bool:
        """Whether both say the same; in which order their properties stand has no significance (2.2.2.2)."""
        return isinstance(other, Publish) and self._content() == other._content()

    def _content(self) -> tuple[object, ...]:
        hop = (self.packet_id, self.dup, self.topic_alias, self.subscription_identifiers)
        return self.topic_name, self.qos, self.retain, self.payload, self.properties, hop

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        flags = f" qos {self.qos}" + (" retain" if self.retain else "") + (" dup" if self.dup else "")
        identifier = f" id {self.packet_id}" if self.packet_id else ""
        alias = f" alias {self.topic_alias}" if self.topic_alias else ""
        return f"<Publish {self.topic_name!r}{flags}{identifier}{alias}, {self.payload_size} bytes>"


def _remember_list(listed: bytes) -> None:
    if len(listed) <= _KNOWN_LIST_LENGTH:
        if len(_KNOWN_LISTS) >= _KNOWN_LISTS_LIMIT:
            _KNOWN_LISTS.clear()
        _KNOWN_LISTS.add(listed)


def _are_plain_user_properties(listed: bytes) -> bool:
    """Whether a property list has nothing but User Properties in ASCII, and no U+0000 in them.

    That is the commonest list, and is accepted as a whole: a message with two of them takes 1.1 us of CPU
    instead of 1.8 (compiled, one to one). The null bytes are those of the lengths, if there are no others.
    """
    if not listed.isascii():
        return False
    size = len(listed)
    index = zeros = 0
    while index < size:
        if listed[index] != USER_PROPERTY:
            return False
        index += 1
        for _ in range(2):
            if index + 2 > size:
                return False
            high, low = listed[index], listed[index + 1]
            zeros += (high == 0) + (low == 0)
            index += 2 + (high << 8 | low)
    return index == size and listed.count(0) == zeros


def hop_properties(topic_alias: int, message_expiry_interval: int, identifiers: tuple[int, ...]) -> bytes:
    """The properties that belong to one hop, encoded: 0, -1 and () where there are none."""
    encoded = b""
    if topic_alias:
        encoded += b"\x23" + encode_two_byte_integer(topic_alias)
    if message_expiry_interval >= 0:
        encoded += b"\x02" + encode_four_byte_integer(message_expiry_interval)
    if identifiers:
        encoded += b"".join([b"\x0b" + encode_variable_byte_integer(one) for one in identifiers])
    return encoded
