"""4.2 Network Connections: an ordered, lossless stream of bytes, in both directions."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import require, require_equal
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions


@statement("MQTT-4.2-1", "MQTT-4.2.0-1")
def packets_may_come_byte_by_byte(rig: Rig) -> None:
    """A whole session that is sent byte by byte is dealt with like one in large pieces."""
    client = rig.open()
    packets = (
        rig.connect_packet(),
        Subscribe(1, [SubscriptionOptions(rig.topic(), 1)]),
        Publish(rig.topic(), b"payload", 1, packet_id=2),
        PingReq(),
    )
    for packet in packets:
        for byte in packet.encode(rig.version):
            client.send(bytes((byte,)))
    client.connected()
    client.expect(SubAck)
    client.expect(PubAck)
    require_equal(client.message().payload, b"payload", "the payload")
    client.expect(PingResp)
    client.expect_nothing()


@statement("MQTT-4.2-1", "MQTT-4.2.0-1")
def packets_may_be_cut_anywhere(rig: Rig) -> None:
    """Two packets are dealt with wherever the pieces in which they come are cut, and in one piece."""
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    data = b"".join(
        [Publish(rig.topic(), one, 1, packet_id=7).encode(rig.version) for one in (b"one", b"two")]
    )
    for cut in range(len(data) + 1):
        client.send(data[:cut])
        client.send(data[cut:])
        came = [client.message().payload for _ in (1, 2)]
        require_equal(came, [b"one", b"two"], f"the payloads, cut after {cut} bytes")
        require_equal([client.expect(PubAck).packet_id for _ in (1, 2)], [7, 7], "the Packet Identifiers")
    client.expect_nothing()


@statement("MQTT-4.2-1", "MQTT-4.2.0-1")
def no_byte_is_lost_or_changed(rig: Rig) -> None:
    """Payloads of each size, of every byte, arrive as they were sent, many of them in one piece."""
    subscriber, publisher = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic())
    every = bytes(range(256))
    payloads = [(every * (size // 256 + 1))[:size] for size in (0, 1, 127, 128, 16_384, 65_536, 1_000_000)]
    for payload in payloads:
        publisher.send(Publish(rig.topic(), payload))
    for payload in payloads:
        came = subscriber.expect_next(Publish).payload
        require(came == payload, f"what came of {len(payload)} bytes are {len(came)} others")
    subscriber.expect_nothing()


@statement("MQTT-4.2-1", "MQTT-4.2.0-1")
def order_is_kept_in_both_directions(rig: Rig) -> None:
    """Hundreds of packets in one piece are dealt with in their order, and the answers come in it."""
    client = rig.connect()
    count = 300
    packets = [Publish(rig.topic(), b"payload", 1, packet_id=number) for number in range(1, count + 1)]
    client.send(*packets)
    answered = [client.expect_next(PubAck).packet_id for _ in packets]
    require_equal(answered, [*range(1, count + 1)], "the Packet Identifiers of PUBACK")


@statement("MQTT-4.2-1", "MQTT-4.2.0-1")
def a_connection_and_all_else_in_one_piece(rig: Rig) -> None:
    """CONNECT, SUBSCRIBE, PUBLISH and PINGREQ in one piece are dealt with in their order."""
    client = rig.open()
    client.send(
        rig.connect_packet(),
        Subscribe(1, [SubscriptionOptions(rig.topic(), 0)]),
        Publish(rig.topic(), b"payload"),
        PingReq(),
    )
    client.expect_next(ConnAck)
    client.expect(SubAck)
    require_equal(client.expect(Publish).payload, b"payload", "the payload")
    client.expect(PingResp)
    client.expect_nothing()
