"""4.9 Flow control."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.publish_delivery import full_client
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.publish import Publish


def sent_at_once(rig: Rig, client: Client) -> list[Publish]:
    """The messages that come to `client` before it acknowledges one."""
    rig.settle(client)
    came: list[Publish] = []
    while client.has_message():
        came.append(client.expect(Publish))
    return came


# The Server as the sender


@statement("MQTT-4.9.0-1")
def the_initial_quota_is_not_zero_and_not_too_large(rig: Rig) -> None:
    """At first one message comes at least, and not more than the Receive Maximum, on each connection."""
    publisher = rig.connect()
    for qos in (1, 2):
        client_id = rig.client_id()
        for number, receive_maximum in enumerate((3, 1, 5, None, 2, 65_535)):
            client = rig.connect(
                client_id, clean_start=number == 0, persistent=True, receive_maximum=receive_maximum
            )
            if number == 0:
                client.subscribe(rig.topic(), qos=qos)
                for _ in range(10):
                    publisher.publish(rig.topic(), b"payload", qos)
            rig.settle(publisher)
            came = len(sent_at_once(rig, client))
            with about(f"QoS {qos}, Receive Maximum {receive_maximum}"):
                require(0 < came <= (receive_maximum or 65_535), f"{came} messages came at once")
            client.drop()
        rig.connect(client_id).disconnect()


@statement("MQTT-4.9.0-2")
def with_a_quota_of_zero_no_message_is_sent(rig: Rig) -> None:
    """With as many messages on their way as the Receive Maximum says, none of QoS 1 or 2 follows."""
    for receive_maximum in (1, 2, 5):
        for qos in (1, 2):
            client, came = full_client(rig, receive_maximum, qos)
            publisher = rig.connect()
            for more in (1, 2):
                publisher.publish(rig.topic(), b"more", more)
            client.subscribe(rig.topic("other"), qos=2)
            publisher.publish(rig.topic("other"), b"more", qos)
            with about(f"Receive Maximum {receive_maximum}, QoS {qos}"):
                client.expect_nothing()
                client.confirm(came[0])
                client.expect(Publish)
                client.expect_nothing()
            client.disconnect()


@statement("MQTT-4.9.0-2")
def retained_messages_count_against_the_quota(rig: Rig) -> None:
    """Retained messages of QoS 1 and 2 wait for room as others do."""
    publisher, client = rig.connect(), rig.connect(receive_maximum=2)
    for number in range(6):
        publisher.publish(rig.topic(str(number)), str(number).encode(), 1 + number % 2, retain=True)
    client.subscribe(rig.topic("+"), qos=2)
    came = sent_at_once(rig, client)
    require_equal(len(came), 2, "how many messages came at once")
    while len(came) < 6:
        client.confirm(came[-1])
        came.append(client.expect(Publish))
        client.expect_nothing()
    topics = {publish.topic_name for publish in came}
    require_equal(topics, {rig.topic(str(number)) for number in range(6)}, "the Topic Names of what came")


@statement("MQTT-4.9.0-2")
def the_quota_does_not_grow_beyond_the_receive_maximum(rig: Rig) -> None:
    """PUBACK and PUBCOMP for nothing, or a second time, make no room beyond the Receive Maximum."""
    client, came = full_client(rig, 2, 2)
    client.send(PubRec(came[0].packet_id))
    client.expect(PubRel)
    client.send(PubRec(came[0].packet_id))  # once more
    client.expect(PubRel)
    client.expect_nothing()
    unknown = 1 + max(publish.packet_id for publish in came)
    for packet_id in (unknown, unknown + 1, unknown):
        client.send(PubComp(packet_id))
    client.expect_nothing()
    client.send(PubComp(came[0].packet_id), PubComp(came[0].packet_id))
    client.expect(Publish)
    client.expect_nothing()


@statement("MQTT-4.9.0-2")
def pubrel_that_is_sent_again_counts_once(rig: Rig) -> None:
    """On a new connection what is sent again counts, with a PUBREL too, and its PUBCOMP makes room once."""
    client, came = full_client(rig, 2, 2, persistent=True)
    client.send(PubRec(came[0].packet_id))
    client.expect(PubRel)
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, persistent=True, receive_maximum=2)
    require_equal(client.expect(PubRel).packet_id, came[0].packet_id, "the Packet Identifier of PUBREL")
    client.send(PubComp(came[0].packet_id))
    on_their_way = sent_at_once(rig, client)
    require(0 < len(on_their_way) <= 2, f"{len(on_their_way)} messages came at once")
    client.send(PubComp(came[0].packet_id))
    client.expect_nothing()


# Other packets


@statement("MQTT-4.9.0-3")
def other_packets_are_dealt_with_at_a_quota_of_zero(rig: Rig) -> None:
    """A client that is sent no more messages is answered all its requests, and its messages are taken."""
    other = rig.connect()
    other.subscribe(rig.topic("mine"), qos=2)
    for qos in (1, 2):
        client, came = full_client(rig, 1, qos)
        client.send(PingReq())
        client.expect_next(PingResp)
        client.subscribe(rig.topic("more"), qos=1)
        client.unsubscribe(rig.topic("more"))
        for published in (0, 1, 2):
            client.publish(rig.topic("mine"), str(published).encode(), published)
            require_equal(other.message().payload, str(published).encode(), "the payload")
        if qos == 2:
            client.send(PubRec(came[0].packet_id))
            client.expect_next(PubRel)
        client.expect_nothing()
        client.disconnect()


@statement("MQTT-4.9.0-3", receive_maximum=3)
def other_packets_are_dealt_with_when_the_server_is_full(rig: Rig) -> None:
    """Who has used up the Server's Receive Maximum is answered all that is no new message."""
    client, other = rig.connect(), rig.connect()
    maximum = client.connack.properties.receive_maximum or 65_535
    if maximum > 10_000:
        raise NotApplicable("the Server takes many messages at a time")
    for packet_id in range(1, maximum + 1):
        client.send(Publish(rig.topic("none"), b"payload", 2, packet_id=packet_id))
        client.expect(PubRec)
    client.send(PingReq())
    client.expect_next(PingResp)
    client.subscribe(rig.topic(), qos=2)
    client.publish(rig.topic(), b"own", 0)
    require_equal(client.message().payload, b"own", "the payload")
    for qos in (1, 2):
        other.publish(rig.topic(), b"payload", qos)
        require_equal(client.message().qos, qos, "the QoS")
    client.unsubscribe(rig.topic())
    client.send(Publish(rig.topic("none"), b"payload", 2, packet_id=1, dup=True))
    require_equal(client.expect_next(PubRec).packet_id, 1, "the Packet Identifier of PUBREC")
    for packet_id in range(1, maximum + 1):
        client.send(PubRel(packet_id))
        require_equal(client.expect_next(PubComp).packet_id, packet_id, "the one of PUBCOMP")
    client.send(Publish(rig.topic("none"), b"payload", 1, packet_id=1))
    client.expect_next(PubAck)
    client.expect_nothing()
