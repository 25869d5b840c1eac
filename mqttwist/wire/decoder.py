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
    """

    __slots__ = (
        "_legal",
        "_missing",
        "_partial",
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
    _partial: BytesIO | None  # the beginning of a packet that is not complete
    _missing: int  # how many bytes at least are to come before it is
    _legal: bytes

    def __init__(self, version: int, maximum_packet_size: int = LARGEST_PACKET) -> None:
        self.data = b""
        self.start = self.body = self.end = 0
        self.maximum_packet_size = maximum_packet_size
        self._partial = None
        self._missing = 0
        self.set_version(version)

    def set_version(self, version: int) -> None:
        """Hold what follows to the fixed headers of protocol `version`."""
        self.version = version
        self._legal = _LEGAL[version]

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; the packet that `advance` stepped to last may be gone then."""
        partial = self._partial
        if partial is None:
            if self.end == len(self.data):
                self.data = data
                self.start = self.body = self.end = 0
                return
            partial = self._keep_rest(self.end, 0)  # nobody advances while a login is waited for
        partial.write(data)
        self._missing -= len(data)

    def advance(self) -> bool:
        """Step to the next complete packet; False when more bytes are needed.

        Raises `MalformedPacket` for a fixed header that is none and `ProtocolError` 0x95 for a packet larger
        than `maximum_packet_size`, before its body is there.
        """
        if self._partial is not None:
            if self._missing > 0:
                return False
            self.data = self._partial.getvalue()
            self._partial = None
            self.end = 0
        data = self.data
        start = self.end
        available = len(data) - start
        if available and not self._legal[data[start]]:
            raise _illegal_first_byte(data[start], self.version)
        if available < 2:
            return self._wait_for(2, start)
        length = data[start + 1]
        body = start + 2
        if length >= 0x80:
            length, body = self._long_length(start, available)
            if length < 0:
                return self._wait_for(available + 1, start)
        end = body + length
        if end - start > self.maximum_packet_size:
            raise ProtocolError(
                0x95,
                f"the packet of {end - start:,} bytes is larger than {self.maximum_packet_size:,}",
                "3.2.2.3.6",
            )
        if end > len(data):
            return self._wait_for(end - start, start)
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

    def _wait_for(self, size: int, start: int) -> bool:
        """Keep the packet begun at `start` until it has `size` bytes."""
        if start < len(self.data):
            self._keep_rest(start, size)
        self.data = b""
        self.start = self.body = self.end = 0
        return False

    def _keep_rest(self, start: int, size: int) -> BytesIO:
        partial = BytesIO()
        self._missing = size - partial.write(self.data[start:])
        self._partial = partial
        return partial

    @property
    def buffered(self) -> int:
        """How many bytes were fed that belong to no packet handed out yet."""
        if self._partial is not None:
            return self._partial.tell()
        return len(self.data) - self.end


def _illegal_first_byte(first_byte: int, version: int) -> MQTTError:
    packet_type, flags = first_byte >> 4, first_byte & 0x0F
    name = PACKET_NAMES[packet_type]
    if version == UNKNOWN_VERSION and packet_type != CONNECT:
        return ProtocolError(0x82, f"the first packet is {name}, not CONNECT", "MQTT-3.1.0-1")
    if packet_type == 0:
        return MalformedPacket("packet type 0 is reserved", "2.1.2")
    if packet_type == PUBLISH and flags & 6 == 6:
        return MalformedPacket("PUBLISH with QoS 3", "MQTT-3.3.1-4")
    if packet_type == PUBLISH:
        return MalformedPacket("PUBLISH with DUP at QoS 0", "MQTT-3.3.1-2")
    if packet_type == AUTH and version != MQTT_5:
        return MalformedPacket("packet type 15 is reserved before MQTT 5.0", "3.1.1: 2.2.1")
    return MalformedPacket(
        f"the flags of {name} are 0x{flags:X}", _FLAG_CLAUSES.get(packet_type, "MQTT-2.1.3-1")
    )
