"""4.5 Message receipt."""

from __future__ import annotations

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import receipt
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish

statement("MQTT-4.5.0-1")(receipt.a_message_goes_to_all_that_match)
statement("MQTT-4.5.0-1")(receipt.a_message_is_kept_for_all_that_match_and_are_away)
statement("MQTT-4.5.0-1")(receipt.a_message_that_was_acknowledged_is_with_the_session)
statement("MQTT-4.5.0-1")(receipt.a_message_that_was_released_is_with_the_session)
statement("MQTT-4.5.0-1")(receipt.a_will_is_kept_for_who_is_away)


@statement("MQTT-4.5.0-1")
def many_messages_at_once_arrive(rig: Rig) -> None:
    """Of 100 messages that come in one piece all that are acknowledged arrive, in their order."""
    publisher, subscriber = rig.connect(), rig.connect()
    subscriber.subscribe(rig.topic(), qos=2)
    for qos in (1, 2):
        payloads = [str(number).encode() for number in range(1, 101)]
        packets = [Publish(rig.topic(), payload, qos, packet_id=int(payload)) for payload in payloads]
        publisher.send(*packets)
        for _ in packets:
            if qos == 1:
                publisher.expect(PubAck)
            else:
                publisher.send(PubRel(publisher.expect(PubRec).packet_id))
                publisher.expect(PubComp)
        with about(f"QoS {qos}"):
            require_equal([subscriber.message().payload for _ in packets], payloads, "the payloads")
            subscriber.expect_nothing()


@statement("MQTT-4.5.0-1")
def a_message_goes_to_nobody_else(rig: Rig) -> None:
    """A client without a subscription that matches, and one whose session was discarded, is sent nothing."""
    publisher, other, former = rig.connect(), rig.connect(), rig.connect(persistent=True)
    there = rig.connect()
    there.subscribe(rig.topic("a/b"))
    for label in ("a", "a/b/c", "b/#", "+", "a/c"):
        other.subscribe(rig.topic(label), qos=1)
    former.subscribe(rig.topic("#"), qos=1)
    former.disconnect()
    rig.connect(former.client_id).disconnect()
    for qos in (0, 1, 2):
        publisher.publish(rig.topic("a/b"), b"payload", qos)
        require_equal(there.message().payload, b"payload", "the payload that came to a client that has one")
    other.expect_nothing()
    rig.reaches(other, "a/c")
    rig.connect(former.client_id, persistent=True).expect_nothing()
