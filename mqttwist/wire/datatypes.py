"""The data representations of section 1.5, read at an index of the bytes that came.

A `decode_*` function takes the bytes, the index to start at and the index where the packet (or the property
list) ends, and answers the value and the index behind it. It raises `MalformedPacket` when the value does not
end before `end`. An `encode_*` function answers bytes and raises `ValueError` for what can't be represented.
"""

from __future__ import annotations

from typing import Final

from mqttwist.wire.errors import MalformedPacket

MAXIMUM_VARIABLE_BYTE_INTEGER: Final = 268_435_455
MAXIMUM_STRING_LENGTH: Final = 65_535

# Each byte as bytes: to look one up is several times as fast as to make it.
SINGLE_BYTES: Final[tuple[bytes, ...]] = tuple([bytes((value,)) for value in range(256)])


def _truncated(what: str, section: str) -> MalformedPacket:
    return MalformedPacket(f"the packet ends inside {what}", section)


def decode_byte(data: bytes, index: int, end: int) -> tuple[int, int]:
    if index >= end:
        raise _truncated("a byte", "1.5.1")
    return data[index], index + 1


def decode_two_byte_integer(data: bytes, index: int, end: int) -> tuple[int, int]:
    if index + 2 > end:
        raise _truncated("a Two Byte Integer", "1.5.2")
    return data[index] << 8 | data[index + 1], index + 2


def decode_four_byte_integer(data: bytes, index: int, end: int) -> tuple[int, int]:
    if index + 4 > end:
        raise _truncated("a Four Byte Integer", "1.5.3")
    return int.from_bytes(data[index : index + 4], "big"), index + 4


def decode_variable_byte_integer(data: bytes, index: int, end: int) -> tuple[int, int]:
    """Up to four bytes, the least significant seven bits first, in the shortest form [MQTT-1.5.5-1]."""
    value = 0
    shift = 0
    while shift < 28:
        if index >= end:
            raise _truncated("a Variable Byte Integer", "1.5.5")
        byte = data[index]
        index += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if byte == 0 and shift:
                raise MalformedPacket("a Variable Byte Integer is not in its shortest form", "MQTT-1.5.5-1")
            return value, index
        shift += 7
    raise MalformedPacket("a Variable Byte Integer is longer than four bytes", "1.5.5")


def decode_binary(data: bytes, index: int, end: int) -> tuple[bytes, int]:
    if index + 2 > end:
        raise _truncated("the length of a field", "1.5.6")
    start = index + 2
    stop = start + (data[index] << 8 | data[index + 1])
    if stop > end:
        raise _truncated("a field with a length", "1.5.6")
    return data[start:stop], stop


def decode_text(raw: bytes) -> str:
    """Check and decode the bytes of a UTF-8 Encoded String [MQTT-1.5.4-1] [MQTT-1.5.4-2].

    A leading U+FEFF is kept [MQTT-1.5.4-3]; control characters and non-characters are accepted.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise MalformedPacket("a string is not well-formed UTF-8", "MQTT-1.5.4-1") from error
    if 0 in raw:
        raise MalformedPacket("a string contains U+0000", "MQTT-1.5.4-2")
    return text


def decode_string(data: bytes, index: int, end: int) -> tuple[str, int]:
    raw, index = decode_binary(data, index, end)
    return decode_text(raw), index


def decode_string_pair(data: bytes, index: int, end: int) -> tuple[tuple[str, str], int]:
    """A UTF-8 String Pair: both are held to the rules of a string [MQTT-1.5.7-1]."""
    name, index = decode_string(data, index, end)
    value, index = decode_string(data, index, end)
    return (name, value), index


def encode_two_byte_integer(value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise ValueError(f"{value} is no Two Byte Integer (0..65,535)")
    return value.to_bytes(2, "big")


def encode_four_byte_integer(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(f"{value} is no Four Byte Integer (0..4,294,967,295)")
    return value.to_bytes(4, "big")


def encode_variable_byte_integer(value: int) -> bytes:
    if 0 <= value < 0x80:
        return SINGLE_BYTES[value]
    if not 0 <= value <= MAXIMUM_VARIABLE_BYTE_INTEGER:
        raise ValueError(f"{value} is no Variable Byte Integer (0..268,435,455)")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_binary(value: bytes) -> bytes:
    if len(value) > MAXIMUM_STRING_LENGTH:
        raise ValueError(f"a field of {len(value):,} bytes is longer than 65,535")
    return len(value).to_bytes(2, "big") + value


def encode_text(text: str) -> bytes:
    """The bytes of a UTF-8 Encoded String without its length; `ValueError` for a surrogate or U+0000."""
    if "\0" in text:
        raise ValueError("a string must not contain U+0000 [MQTT-1.5.4-2]")
    return text.encode()


def encode_string(text: str) -> bytes:
    return encode_binary(encode_text(text))


def encode_string_pair(pair: tuple[str, str]) -> bytes:
    return encode_string(pair[0]) + encode_string(pair[1])
