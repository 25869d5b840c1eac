"""`-D PACKET NAME VALUE`: properties of MQTT 5.0 from the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, Final

from mqttwist.wire.packet import CONNECT, DISCONNECT, PUBLISH
from mqttwist.wire.properties import (
    BINARY,
    PROPERTIES,
    STRING,
    STRING_PAIR,
    TWO_BYTE_INTEGER,
    WILL,
    Properties,
    Property,
    encode_properties,
)

USER_PROPERTY: Final = "user-property"

PACKETS: Final = {"connect": CONNECT, "publish": PUBLISH, "disconnect": DISCONNECT, "will": WILL}

# Packets that Mosquitto's commands know and that have nothing of the command line's here.
OTHERS: Final = {
    "subscribe": "the client numbers its subscriptions itself",
    "unsubscribe": "UNSUBSCRIBE has none",
    "auth": "there is no authentication in steps",
    "puback": "acknowledgements have none",
    "pubrec": "acknowledgements have none",
    "pubrel": "acknowledgements have none",
    "pubcomp": "acknowledgements have none",
}

# What CONNECT could say and the client has no use for.
NOT_IN_CONNECT: Final = ("authentication_method", "authentication_data")

_LARGEST: Final = {0: 0xFF, TWO_BYTE_INTEGER: 0xFFFF}
_FOUR_BYTES: Final = 0xFFFF_FFFF
_IRREGULAR: Final = {"user_properties": USER_PROPERTY, "subscription_identifiers": "subscription-identifier"}
_ROWS: Final = {_IRREGULAR.get(row.attribute, row.attribute.replace("_", "-")): row for row in PROPERTIES}


def words_of(second: str) -> int:
    """How many words follow `-D`, the second of which is `second`."""
    return 4 if second == USER_PROPERTY else 3


class PropertyTable:
    """The properties of all packets. Raises `ValueError` for what is none, or has no place there."""

    def __init__(self, given: Iterable[tuple[str, ...]]) -> None:
        self._by_packet: dict[int, Properties] = {}
        for words in given:
            self._add(*words)
        for packet, properties in self._by_packet.items():
            encode_properties(properties, packet)  # ValueError

    def __bool__(self) -> bool:
        return bool(self._by_packet)

    def of(self, packet: int) -> Properties | None:
        """The properties of a packet (or `WILL`), None for none."""
        return self._by_packet.get(packet)

    def _add(self, packet_name: str, name: str, *value: str) -> None:
        packet_name = packet_name.lower()
        if packet_name in OTHERS:
            raise ValueError(f"-D {packet_name} can't be had: {OTHERS[packet_name]}")
        packet = PACKETS.get(packet_name)
        if packet is None:
            raise ValueError(f"{packet_name!r} is no packet that has properties")
        row = _ROWS.get(name)
        if row is None:
            raise ValueError(f"{name!r} is no property")
        if packet not in row.packets or (packet == PUBLISH and row.attribute == "subscription_identifiers"):
            raise ValueError(f"the property {name} has no place in {packet_name}")
        if packet == CONNECT and row.attribute in NOT_IN_CONNECT:
            raise ValueError(f"the property {name} can't be had: there is no authentication in steps")
        properties = self._by_packet.setdefault(packet, Properties())
        if row.type == STRING_PAIR:
            properties.user_properties += ((value[0], value[1]),)
        elif getattr(properties, row.attribute) is not None:
            raise ValueError(f"the property {name} is given twice for {packet_name}")
        elif row.attribute != "topic_alias":
            setattr(properties, row.attribute, _value(row, name, value[0]))
        else:  # the client has aliases of its own
            _value(row, name, value[0])


def _value(row: Property, name: str, text: str) -> Any:
    if row.type == STRING:
        return text
    if row.type == BINARY:
        return os.fsencode(text)
    try:
        number = int(text)
    except ValueError:
        raise ValueError(f"the property {name} is a number, not {text!r}") from None
    largest = row.maximum or _LARGEST.get(row.type, _FOUR_BYTES)
    if not row.minimum <= number <= largest:
        raise ValueError(f"the property {name} is {number}, not {row.minimum} to {largest}")
    return number
