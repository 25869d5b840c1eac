"""Topic Names and Topic Filters: their grammar (4.7, 4.8.2).

A name or filter that breaks the grammar makes its packet malformed. Reason Codes 0x8F and 0x90 are for those
that are "correctly formed, but not accepted" (3.14.2.1): they belong to whoever accepts.

A Topic Name is checked and then remembered by its bytes, since a few names come again and again.
"""

from __future__ import annotations

from typing import Final

from mqttwist.wire.datatypes import MAXIMUM_STRING_LENGTH, decode_text
from mqttwist.wire.errors import MalformedPacket
from mqttwist.wire.packet import MQTT_5

SHARE_PREFIX: Final = "$share/"

# Some of the names seen so far, by their bytes. A hit costs a third of a check, but only while all of them
# are in the caches of the CPU: to find one of 100,000 here takes longer than to check it. When it is full,
# names pass it by; after many of them it begins anew, to have what comes now. So a name that comes once
# seldom takes a place. At the very worst it takes 2 MB.
KNOWN_NAMES: Final[dict[bytes, str]] = {}
_KNOWN_NAMES_LIMIT: Final = 4096
_KNOWN_NAME_LENGTH: Final = 128
_PASSING: Final = 65_536  # how many pass it by


class _Passed:
    """How many names have passed by since `KNOWN_NAMES` is full."""

    __slots__ = ("count",)

    count: int

    def __init__(self) -> None:
        self.count = 0


_PASSED: Final = _Passed()


def decode_topic_name(raw: bytes) -> str:
    """The Topic Name that `raw` spells, checked; it may be empty here, since an alias may stand for it.

    Look in `KNOWN_NAMES` first.

    Raises `MalformedPacket` for bad UTF-8 and for a wildcard [MQTT-3.3.2-2].
    """
    name = decode_text(raw)
    if "+" in name or "#" in name:
        raise MalformedPacket("a Topic Name contains a wildcard", "MQTT-3.3.2-2")
    if len(raw) <= _KNOWN_NAME_LENGTH:
        if len(KNOWN_NAMES) < _KNOWN_NAMES_LIMIT:
            KNOWN_NAMES[raw] = name
        else:
            _PASSED.count += 1
            if _PASSED.count >= _PASSING:
                _PASSED.count = 0
                KNOWN_NAMES.clear()
    return name


def check_topic_name(name: str) -> None:
    """Raise `ValueError` unless a message can be published to `name` [MQTT-4.7.0-1] [MQTT-4.7.3-1]."""
    if not name:
        raise ValueError("a Topic Name must have at least one character [MQTT-4.7.3-1]")
    if "+" in name or "#" in name:
        raise ValueError("a Topic Name must not contain '+' or '#' [MQTT-4.7.0-1]")
    _check_encoding(name, "Topic Name")


def check_topic_filter(topic_filter: str, version: int = MQTT_5) -> None:
    """Raise `ValueError` unless `topic_filter` is well formed, a shared one included (4.7.1, 4.8.2).

    In 3.x nothing is shared as far as the specification goes: `$share` is a level like others.
    """
    if not topic_filter:
        raise ValueError("a Topic Filter must have at least one character [MQTT-4.7.3-1]")
    _check_encoding(topic_filter, "Topic Filter")
    if version == MQTT_5 and topic_filter.startswith(SHARE_PREFIX):
        _check_share(topic_filter)
        topic_filter = split_share(topic_filter)[1]
    levels = topic_filter.split("/")
    last = len(levels) - 1
    for position, level in enumerate(levels):
        if "#" in level and (level != "#" or position != last):
            raise ValueError("'#' must be the last level of a Topic Filter and stand alone [MQTT-4.7.1-1]")
        if "+" in level and level != "+":
            raise ValueError("'+' must stand alone in its level of a Topic Filter [MQTT-4.7.1-2]")


def _check_encoding(text: str, what: str) -> None:
    if "\0" in text:
        raise ValueError(f"a {what} must not contain U+0000 [MQTT-4.7.3-2]")
    if len(text.encode()) > MAXIMUM_STRING_LENGTH:
        raise ValueError(f"a {what} must not be longer than 65,535 bytes [MQTT-4.7.3-3]")


def _check_share(topic_filter: str) -> None:
    share_name, separator, rest = topic_filter[len(SHARE_PREFIX) :].partition("/")
    if not share_name:
        raise ValueError("a ShareName must have at least one character [MQTT-4.8.2-1]")
    if "+" in share_name or "#" in share_name or not separator or not rest:
        raise ValueError("$share/ must be followed by a ShareName, '/' and a Topic Filter [MQTT-4.8.2-2]")


def malformed_name(error: ValueError) -> MalformedPacket:
    """The fault of a peer whose name or filter a check above refused, with the clause that check named."""
    text, _, clause = str(error).rpartition(" [")
    return MalformedPacket(text, clause.rstrip("]"))


def split_share(topic_filter: str) -> tuple[str, str]:
    """The ShareName and the rest of a shared filter that was checked; ("", filter) for any other."""
    if not topic_filter.startswith(SHARE_PREFIX):
        return "", topic_filter
    share_name, _, rest = topic_filter[len(SHARE_PREFIX) :].partition("/")
    return share_name, rest


def matches(topic_filter: str, topic_name: str) -> bool:
    """Whether `topic_filter` (no shared one) matches `topic_name` (4.7.1), `$`-topics apart [MQTT-4.7.2-1].

    >>> matches("sport/tennis/#", "sport/tennis"), matches("+/a", "$SYS/a")
    (True, False)
    """
    if topic_name.startswith("$") and topic_filter[:1] in ("#", "+"):
        return False
    names = topic_name.split("/")
    filters = topic_filter.split("/")
    if filters[-1] == "#":
        filters.pop()
        if len(names) < len(filters):
            return False
    elif len(names) != len(filters):
        return False
    return all(level in ("+", name) for level, name in zip(filters, names, strict=False))
