"""3.3.4, 3.3.5 PUBLISH: what it is answered, and overlapping subscriptions."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import publish_delivery
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import CheckFailed, about, require, require_equal
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish

statement("MQTT-3.3.4-1")(publish_delivery.publish_is_answered_as_its_qos_says)
statement("MQTT-3.3.5-1")(publish_delivery.overlapping_subscriptions_deliver_with_the_highest_qos)


@statement("MQTT-3.3.5-1")
def what_waited_has_the_highest_qos_of_overlapping_subscriptions(rig: Rig) -> None:
    """A message that came while the client was away has the highest QoS of the subscriptions that match."""
    publisher = rig.connect()
    for granted in ((1, 2, 0), (0, 1, 0), (2, 1, 1)):
        client = rig.connect(persistent=True)
        for label, qos in zip(("a/b", "a/+", "#"), granted, strict=True):
            client.subscribe(rig.topic(label), qos=qos)
        client.disconnect()
        publisher.publish(rig.topic("a/b"), b"payload", 2)
        client = rig.connect(client.client_id, persistent=True)
        came = came_to(rig, client)
        with about(f"granted {granted}"):
            require(len(came) in (1, 2, 3), f"{len(came)} copies came")
            require_equal(max(one.qos for one in came), max(granted), "the highest QoS")
        rig.connect(client.client_id).disconnect()


def is_answered(client: Client, kind: type[Acknowledgement], packet_id: int) -> bool:
    """Whether a packet was acknowledged as its QoS says; the one other thing may be that it is closed."""
    try:
        acknowledgement = client.expect_next(kind)
    except CheckFailed:
        client.expect_closed()
        return False
    require_equal(acknowledgement.packet_id, packet_id, f"the Packet Identifier of {kind.__name__}")
    return True


@statement("MQTT-3.3.5-2")
def what_is_not_authorized_is_acknowledged_or_closes(rig: Rig) -> None:
    """A PUBLISH to where clients hardly may publish is acknowledged as its QoS says, or closes."""
    rig.connect()
    for topic_name in (f"$SYS/{rig.topic()}", "$SYS/broker/version", f"$share/{rig.topic()}"):
        with about(f"Topic Name {topic_name}"):
            client = rig.connect()
            client.send(Publish(topic_name, b"payload", 1, packet_id=7))
            is_answered(client, PubAck, 7)
            client = rig.connect()
            client.send(Publish(topic_name, b"payload", 2, packet_id=8))
            if is_answered(client, PubRec, 8):
                client.send(PubRel(8))
                require_equal(client.expect_next(PubComp).packet_id, 8, "the Packet Identifier of PUBCOMP")
                client.send(PingReq())
                client.expect_next(PingResp)
