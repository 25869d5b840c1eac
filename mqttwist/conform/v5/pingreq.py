"""3.12 PINGREQ."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import require_equal
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish


@statement("MQTT-3.12.4-1")
def pingreq_is_answered(rig: Rig) -> None:
    """PINGREQ is answered by PINGRESP, each time, with any Keep Alive."""
    for keep_alive in (0, 1, 60, 65_535):
        client = rig.connect(keep_alive=keep_alive)
        for _ in range(3):
            client.send(PingReq())
            client.expect_next(PingResp)
            require_equal(client.packet_bytes, b"\xd0\0", "PINGRESP")
        client.expect_nothing()


@statement("MQTT-3.12.4-1")
def each_of_many_pingreqs_is_answered(rig: Rig) -> None:
    """Of many PINGREQs in one piece, alone and among other packets, each is answered by a PINGRESP."""
    client = rig.connect()
    client.send(*[PingReq()] * 100)
    for _ in range(100):
        client.expect_next(PingResp)
    client.subscribe(rig.topic())
    packets: list[PingReq | Publish] = [PingReq(), Publish(rig.topic(), b"payload")]
    client.send(*packets * 20)
    for _ in range(20):
        client.expect(PingResp)
        client.expect(Publish)
    client.expect_nothing()


@statement("MQTT-3.12.4-1")
def pingreq_in_two_pieces_is_answered(rig: Rig) -> None:
    """A PINGREQ of which the second byte comes later is answered once it is whole."""
    client, other = rig.connect(), rig.connect()
    client.send(b"\xc0")
    other.publish(rig.topic(), b"payload", 1)  # time passes
    client.expect_silence()
    client.send(b"\0")
    client.expect_next(PingResp)
    client.expect_nothing()


@statement("MQTT-3.12.4-1", slow=True)
def pingreq_keeps_the_connection(rig: Rig) -> None:
    """A client that sends nothing but PINGREQ in time is answered for longer than its Keep Alive."""
    client = rig.connect(keep_alive=1)
    for _ in range(4):
        rig.wait(1.0)
        client.send(PingReq())
        client.expect_next(PingResp)
