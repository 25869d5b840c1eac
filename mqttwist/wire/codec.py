"""Any packet from its bytes: the table of packet types for both roles."""

from __future__ import annotations

from mqttwist.wire.acknowledge import decode_acknowledgement
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.decoder import LARGEST_PACKET, Decoder
from mqttwist.wire.errors import MalformedPacket
from mqttwist.wire.packet import (
    AUTH,
    CONNACK,
    CONNECT,
    DISCONNECT,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    SUBACK,
    SUBSCRIBE,
    UNSUBACK,
    UNSUBSCRIBE,
    Packet,
    expect_end,
)
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, UnsubAck, Unsubscribe


def decode_packet(data: bytes, start: int, body: int, end: int, version: int) -> Packet | Publish:
    """The packet at `data[start:end]`, framed by a `Decoder`; `version` counts for all but CONNECT.

    Raises `MalformedPacket` or `ProtocolError`.
    """
    packet_type = data[start] >> 4
    if packet_type == PUBLISH:
        return Publish.decode(data, start, body, end, version)
    if PUBACK <= packet_type <= PUBCOMP:
        return decode_acknowledgement(packet_type, data, body, end, version)
    if packet_type <= UNSUBACK:
        return _decode_request(packet_type, data, body, end, version)
    if packet_type == DISCONNECT:
        return Disconnect.decode(data, body, end, version)
    if packet_type == AUTH:
        return Auth.decode(data, body, end)
    expect_end(body, end, packet_type)
    return PingReq() if packet_type == PINGREQ else PingResp()


def _decode_request(packet_type: int, data: bytes, body: int, end: int, version: int) -> Packet:
    if packet_type == CONNECT:
        return Connect.decode(data, body, end)
    if packet_type == CONNACK:
        return ConnAck.decode(data, body, end, version)
    if packet_type == SUBSCRIBE:
        return Subscribe.decode(data, body, end, version)
    if packet_type == SUBACK:
        return SubAck.decode(data, body, end, version)
    if packet_type == UNSUBSCRIBE:
        return Unsubscribe.decode(data, body, end, version)
    return UnsubAck.decode(data, body, end, version)


def decode_stream(
    data: bytes, version: int, maximum_packet_size: int = LARGEST_PACKET
) -> list[Packet | Publish]:
    """All packets in `data`, which must end with the last of them: for tests, traces and tools."""
    decoder = Decoder(version, maximum_packet_size)
    decoder.feed(data)
    packets: list[Packet | Publish] = []
    while decoder.advance():
        packets.append(decode_packet(decoder.data, decoder.start, decoder.body, decoder.end, version))
    if decoder.buffered:
        raise MalformedPacket(f"{decoder.buffered} bytes of an unfinished packet are left", "2.1.4")
    return packets
