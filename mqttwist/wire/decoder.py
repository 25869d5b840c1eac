"""Framing: finds the packets in the stream of bytes (2.1).

`feed` takes what the transport read, `advance` steps to the next packet that is complete. The first byte is
judged as soon as it is there and the Remaining Length before anything of the body is kept, so a peer can
neither make us wait for nonsense nor buffer more than the Maximum Packet Size.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from mqttwist.wire.errors import MalformedPacket, MQTTError, ProtocolError
from mqttwist.wire.packet import (
    AUTH,
    CONNECT,
    DISCONNECT,
    MQTT_3_1,
    MQTT_5,
    PACKET_NAMES,
    PUBLISH,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
)

LARGEST_PACKET: Final = 268_435_460


def _legal_first_bytes(version: int) -> bytes:
    """For each first byte whether its flags are what 2.1.3 lists: 1 or 0."""
    legal = bytearray(256)
    for packet_type in range(1, AUTH + (version == MQTT_5)):
        if packet_type == PUBLISH:
            continue
        flags = 0x2 if packet_type in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0x0
        legal[packet_type << 4 | flags] = 1
        if version == MQTT_3_1 and flags:
            legal[packet_type << 4 | flags | 0x8] = 1  # 3.1 lets these three carry DUP (3.1: 2.1)
    for flag in range(16):
        qos = flag >> 1 & 3
        dup_without_qos = flag & 8 and qos == 0  # [MQTT-3.3.1-2]
        legal[PUBLISH << 4 | flag] = qos != 3 and not dup_without_qos
    return bytes(legal)


UNKNOWN_VERSION: Final = 0
_LEGAL: Final[dict[int, bytes]] = {version: _legal_first_bytes(version) for version in (3, 4, 5)} | {
    UNKNOWN_VERSION: bytes(first_byte == CONNECT << 4 for first_byte in range(256)),
}


_FLAG_CLAUSES: Final[dict[int, str]] = {
    PUBREL: "MQTT-3.6.1-1",
    SUBSCRIBE: "MQTT-3.8.1-1",
    UNSUBSCRIBE: "MQTT-3.10.1-1",
    DISCONNECT: "MQTT-3.14.1-1",
    AUTH: "MQTT-3.15.1-1",
}


class Decoder:
    """The stream of one direction of one Network Connection.

    After `advance` answered True, `data[start:end]` is a packet: its first byte at `start`, what follows the
    Remaining Length from `body` on. `maximum_packet_size` is in bytes, fixed header included. `version` is
    3, 4 or 5, or `UNKNOWN_VERSION` while nothing but CONNECT may come [MQTT-3.1.0-1].

    A packet that comes in several reads is put together once, in `data` of its own; what follows it in the
    last of them is looked at where it is.
    """

    __slots__ = (
        "_begun",
        "_legal",
        "_missing",
        "_rest",
        "_rest_at",
        "body",
        "data",
        "end",
        "maximum_packet_size",
        "start",
        "version",
    )

    data: bytes
    start: int
    body: int
    end: int
    maximum_packet_size: int
    version: int
    _begun: BytesIO | None  # the beginning of a packet that is not complete
    _missing: int  # how many bytes are to come before it is; 0: look at what there is
    _rest: bytes  # what is to be looked at after `data`, from `_rest_at` on
    _rest_at: int
    _legal: bytes

    def __init__(self, version: int, maximum_packet_size: int = LARGEST_PACKET) -> None:
        self.data = b""
        self.start = self.body = self.end = 0
        self.maximum_packet_size = maximum_packet_size
        self._begun = None
        self._missing = 0
        self._rest = b""
        self._rest_at = 0
        self.set_version(version)

    def set_version(self, version: int) -> None:
        """Hold what follows to the fixed headers of protocol `version`."""
        self.version = version
        self._legal = _LEGAL[version]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; the packet that `advance` stepped to last may be gone then."""
        begun = self._begun
        if begun is None and self.end == len(self.data) and not self._rest:
            self.data = data  # as `_look_at` would do it, without a call for every read
            self.start = self.body = self.end = 0
        elif begun is None:  # nobody advances while a login is waited for
            begun = self._begun = BytesIO()
            begun.write(self.data[self.end :])
            begun.write(self._rest[self._rest_at :])
            begun.write(data)
            self._missing = 0
            self.data = self.data[: self.end]
            self._rest = b""
        elif len(data) < self._missing or self._missing == 0:
            begun.write(data)
            self._missing = max(self._missing - len(data), 0)
        else:
            missing = self._missing
            begun.write(memoryview(data)[:missing])
            self._look_at(begun.getvalue())
            if missing < len(data):
                self._rest = data
                self._rest_at = missing

    def _look_at(self, data: bytes) -> None:
        self.data = data
        self.start = self.body = self.end = 0
        self._begun = None
        self._rest = b""

    def advance(self) -> bool:
        """Step to the next complete packet; False when more bytes are needed.

        Raises `MalformedPacket` for a fixed header that is none and `ProtocolError` 0x95 for a packet larger
        than `maximum_packet_size`, before its body is there.
        """
        data = self.data
        start = self.end
        size = len(data)
        if start + 2 > size:
            return self._go_on(start)
        if not self._legal[data[start]]:
            raise _illegal_first_byte(data[start], self.version)
        length = data[start + 1]
        body = start + 2
        if length >= 0x80:
            length, body = self._long_length(start, size - start)
            if length < 0:
                return self._wait_for(0, start)
        end = body + length
        if end - start > self.maximum_packet_size:
            raise ProtocolError(
                0x95,
                f"the packet of {end - start:,} bytes is larger than {self.maximum_packet_size:,}",
                "3.2.2.3.6",
            )
        if end > size:
            return self._wait_for(end - size, start)
        self.start = start
        self.body = body
        self.end = end
        return True

    def _long_length(self, start: int, available: int) -> tuple[int, int]:
        """A Remaining Length of two to four bytes and the index behind it; (-1, 0) if it is not complete."""
        data = self.data
        length = 0
        for position in range(4):
            if position + 1 >= available:
                return -1, 0
            byte = data[start + 1 + position]
            length |= (byte & 0x7F) << 7 * position
            if byte < 0x80:
                if byte == 0:
                    raise MalformedPacket("the Remaining Length is not in its shortest form", "MQTT-1.5.5-1")
                return length, start + 2 + position
        raise MalformedPacket("the Remaining Length is longer than four bytes", "1.5.5")

    def _go_on(self, start: int) -> bool:
        """`data` has less than two bytes left, from `start` on: go on in what follows it, or wait."""
        begun = self._begun
        if begun is not None:
            if self._missing:
                return False
            self._look_at(begun.getvalue())
            return self.advance()
        if self._rest:
            rest_at = self._rest_at
            self._look_at(self._rest)
            self.end = rest_at
            return self.advance()
        if start < len(self.data) and not self._legal[self.data[start]]:
            raise _illegal_first_byte(self.data[start], self.version)
        return self._wait_for(0, start)

    def _wait_for(self, missing: int, start: int) -> bool:
        """Keep the packet begun at `start`, of which so many bytes are missing (0: one at least)."""
        data = self.data
        self._look_at(b"")
        if start < len(data):
            self._begun = BytesIO()
            self._begun.write(memoryview(data)[start:])
            self._missing = missing
        return False

    @property
    def buffered(self) -> int:
        """How many bytes were fed that belong to no packet handed out yet."""
        if self._begun is not None:
            return self._begun.tell()
        rest = len(self._rest) - self._rest_at if self._rest else 0
        return len(self.data) - self.end + rest


# What comes to a port of MQTT by mistake, by its first byte.
_OTHER_PROTOCOLS: Final = {0x16: "; is it TLS?"} | {ord(letter): "; is it HTTP?" for letter in "GHP"}


def _illegal_first_byte(first_byte: int, version: int) -> MQTTError:
    packet_type, flags = first_byte >> 4, first_byte & 0x0F
    name = PACKET_NAMES[packet_type]
    other = _OTHER_PROTOCOLS.get(first_byte, "") if version == UNKNOWN_VERSION else ""
    if version == UNKNOWN_VERSION and packet_type != CONNECT:
        return ProtocolError(0x82, f"the first packet is {name}, not CONNECT{other}", "MQTT-3.1.0-1")
    if packet_type == 0:
        return MalformedPacket("packet type 0 is reserved", "2.1.2")
    if packet_type == PUBLISH and flags & 6 == 6:
        return MalformedPacket("PUBLISH with QoS 3", "MQTT-3.3.1-4")
    if packet_type == PUBLISH:
        return MalformedPacket("PUBLISH with DUP at QoS 0", "MQTT-3.3.1-2")
    if packet_type == AUTH and version != MQTT_5:
        return MalformedPacket("packet type 15 is reserved before MQTT 5.0", "3.1.1: 2.2.1")
    return MalformedPacket(
        f"the flags of {name} are 0x{flags:X}{other}", _FLAG_CLAUSES.get(packet_type, "MQTT-2.1.3-1")
    )
