"""3.12 PINGREQ."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import pingreq
from mqttwist.conform.v311 import statement
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish

statement("MQTT-3.12.4-1")(pingreq.pingreq_is_answered)
statement("MQTT-3.12.4-1")(pingreq.each_of_many_pingreqs_is_answered)
statement("MQTT-3.12.4-1")(pingreq.pingreq_in_two_pieces_is_answered)
statement("MQTT-3.12.4-1", slow=True)(pingreq.pingreq_keeps_the_connection)


@statement("MQTT-3.12.4-1")
def pingreq_is_answered_while_messages_are_on_their_way(rig: Rig) -> None:
    """PINGREQ is answered while the client has messages to acknowledge, and to release."""
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    client.publish(rig.topic(), b"payload", 1)
    client.send(Publish(rig.topic("mine"), b"payload", 2, packet_id=99), PingReq())
    client.expect(PingResp)
    client.expect(Publish)
