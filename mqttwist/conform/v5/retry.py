"""4.4 Message delivery retry."""

from __future__ import annotations

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.qos import resume
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish


def leave_unacknowledged(rig: Rig) -> tuple[Client, list[Publish]]:
    """A client that has not acknowledged what it was sent: with QoS 0, 1, 2, 2 (up to PUBREC), 1."""
    client, publisher = rig.connect(persistent=True), rig.connect()
    client.subscribe(rig.topic(), qos=2)
    for number, qos in enumerate((0, 1, 2, 2, 1)):
        publisher.publish(rig.topic(), str(number).encode(), qos)
        rig.settle(publisher)
    came = [client.expect(Publish) for _ in range(5)]
    client.send(PubRec(came[3].packet_id))
    client.expect(PubRel)
    client.expect_nothing()
    return client, came


def everything_comes_again(client: Client, came: list[Publish]) -> None:
    """What `leave_unacknowledged` has left is sent again, with its Packet Identifiers, and nothing else."""
    require_equal(client.expect(PubRel).packet_id, came[3].packet_id, "the Packet Identifier of PUBREL")
    left = {first.packet_id: first for first in (came[1], came[2], came[4])}
    for again in [client.expect(Publish) for _ in left]:  # in order within a QoS, says another statement
        said = (again.packet_id, again.qos, again.topic_name, again.payload, again.dup)
        first = left.pop(again.packet_id, again)
        wanted = (first.packet_id, first.qos, first.topic_name, first.payload, True)
        require_equal(said, wanted, "Packet Identifier, QoS, Topic Name, payload and DUP")
    require_equal([*left], [], "the Packet Identifiers that were not sent again")
    client.expect_nothing()


@statement("MQTT-4.4.0-1")
def all_that_is_unacknowledged_is_sent_again(rig: Rig) -> None:
    """A client that comes back is sent each PUBLISH and PUBREL that it has not acknowledged, every time."""
    client, came = leave_unacknowledged(rig)
    for _ in range(2):
        client = resume(rig, client)
        everything_comes_again(client, came)
    client.disconnect()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    everything_comes_again(client, came)
    client = rig.connect(client.client_id, clean_start=False, persistent=True)  # takes over
    everything_comes_again(client, came)
    for first in (came[1], came[4]):
        client.send(PubAck(first.packet_id))
    client.confirm(came[2])
    client.send(PubComp(came[3].packet_id))
    resume(rig, client).expect_nothing()


@statement("MQTT-4.4.0-1")
def what_is_sent_again_is_not_altered(rig: Rig) -> None:
    """A message that is sent again has its properties and its Subscription Identifier, at QoS 1 and 2."""
    publisher = rig.connect()
    for qos in (1, 2):
        client = rig.connect(persistent=True)
        client.subscribe(rig.topic(), qos=qos, identifier=7)
        publisher.publish(
            rig.topic(),
            b"payload",
            qos,
            content_type="type",
            response_topic="answer",
            correlation_data=b"data",
            user_properties=(("a", "1"), ("a", "2")),
        )
        first = client.expect(Publish)
        again = resume(rig, client).expect(Publish)
        require_equal(again.properties, first.properties, "the properties")
        require_equal([*again.subscription_identifiers], [7], "the Subscription Identifiers")


@statement("MQTT-4.4.0-1")
def nothing_is_sent_again_to_a_new_session(rig: Rig) -> None:
    """A client that comes back with Clean Start 1, or without a session, is sent nothing again."""
    client, _ = leave_unacknowledged(rig)
    client.drop()
    client = rig.connect(client.client_id, clean_start=True, persistent=True)
    client.expect_nothing()
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    rig.connect().publish(rig.topic(), b"payload", 1)
    client.expect(Publish)
    client.drop()
    rig.connect(client.client_id, clean_start=False).expect_nothing()


@statement("MQTT-4.4.0-1")
def nothing_is_sent_again_on_the_same_connection(rig: Rig) -> None:
    """Whatever else a client does on its connection, what it has not acknowledged does not come again."""
    client, came = leave_unacknowledged(rig)
    client.subscribe(rig.topic(), qos=2)
    client.subscribe(rig.topic("other"), qos=1)
    client.publish(rig.topic("other"), b"other", 1)
    require_equal(client.message().payload, b"other", "the payload")
    client.unsubscribe(rig.topic("other"))
    unknown = 1 + max(publish.packet_id for publish in came)
    client.send(PubAck(unknown), PubComp(unknown + 1))
    client.publish(rig.topic("none"), b"", 2)
    client.expect_nothing()
    everything_comes_again(resume(rig, client), came)


@statement("MQTT-4.4.0-1", slow=True)
def nothing_is_sent_again_after_a_while(rig: Rig) -> None:
    """What is not acknowledged for half a minute does not come again, on a connection that is kept alive."""
    client, came = leave_unacknowledged(rig)
    for _ in range(3):
        rig.wait(10)
        client.expect_nothing()
    everything_comes_again(resume(rig, client), came)


@statement("MQTT-4.4.0-2")
def what_was_refused_is_not_sent_again(rig: Rig) -> None:
    """A message that was answered by PUBACK or PUBREC with 0x80 and above is not sent again."""
    publisher = rig.connect()
    for qos in (1, 2):
        for reason_code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99):
            client = rig.connect(persistent=True)
            client.subscribe(rig.topic(), qos=qos)
            for payload in (b"refused", b"other"):
                publisher.publish(rig.topic(), payload, qos)
            refused, other = client.expect(Publish), client.expect(Publish)
            answer = PubAck if qos == 1 else PubRec
            client.send(answer(refused.packet_id, reason_code))
            with about(f"QoS {qos}, Reason Code 0x{reason_code:02X}"):
                client.expect_nothing()
                client = resume(rig, client)
                again = client.message()
                require_equal(
                    (again.packet_id, again.payload), (other.packet_id, b"other"), "what came again"
                )
                client.expect_nothing()
                require(refused.packet_id != other.packet_id, "two messages have one Packet Identifier")
            client.disconnect()
