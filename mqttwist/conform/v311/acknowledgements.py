"""3.6 PUBREL."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import acknowledgements
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import require_equal
from mqttwist.wire.acknowledge import PubRec, PubRel
from mqttwist.wire.publish import Publish

statement("MQTT-3.6.1-1")(acknowledgements.pubrel_with_other_flags_closes_the_connection)


@statement("MQTT-3.6.1-1")
def the_server_sends_pubrel_with_flags_0010(rig: Rig) -> None:
    """The first byte of PUBREL is 0x62, when it is sent and when it is sent again."""
    client = rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=2)
    rig.connect().publish(rig.topic(), b"payload", 2)
    client.send(PubRec(client.expect(Publish).packet_id))
    client.expect(PubRel)
    require_equal(client.packet_bytes[0], 0x62, "the first byte")
    for _ in (1, 2):
        client.drop()
        client = rig.connect(client.client_id, persistent=True)
        client.expect(PubRel)
        require_equal(client.packet_bytes[0], 0x62, "the first byte of what is sent again")
