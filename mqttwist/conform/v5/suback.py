"""3.9 SUBACK."""

from __future__ import annotations

from typing import Final

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.acknowledgements import tight_client
from mqttwist.conform.v5.publish_delivery import came_to
from mqttwist.conform.v5.subscribe_actions import subscribe_to
from mqttwist.conform.verdict import about, require, require_equal
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions

REASON_CODES: Final = frozenset({0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2})


@statement("MQTT-3.9.2-1", "MQTT-3.9.2-2", maximum_subscriptions=3)
def suback_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes SUBACK larger than the client's Maximum Packet Size."""
    client, maximum = tight_client(rig)
    for number in range(1, 7):  # the last ones may be refused
        for count in (1, 2, maximum - 5):  # a SUBACK that has just room for its Reason Codes
            wanted = [SubscriptionOptions(rig.topic(str(number)))] * count
            client.send(Subscribe(number, wanted))
            require_equal(len(client.expect(SubAck).reason_codes), count, "how many Reason Codes came")
            size = len(client.packet_bytes)
            require(size <= maximum, f"{size} bytes came, the Maximum Packet Size is {maximum}")
    client.expect_nothing()


@statement("MQTT-3.9.3-1")
def reason_codes_are_in_the_order_of_the_topic_filters(rig: Rig) -> None:
    """The Reason Codes of SUBACK stand in the order of the Topic Filters, whatever that is."""
    client = rig.connect()
    for qualities in (
        (0, 1, 2),
        (2, 1, 0),
        (1, 0, 0, 2),
        (0, 2, 0, 1, 0),
        tuple(one % 3 for one in range(200)),
    ):
        wanted = [SubscriptionOptions(rig.topic(str(number)), qos) for number, qos in enumerate(qualities)]
        require_equal(subscribe_to(client, *wanted), [*qualities], "the Reason Codes")


@statement("MQTT-3.9.3-1", maximum_subscriptions=2)
def reason_codes_of_refused_topic_filters_stand_in_their_place(rig: Rig) -> None:
    """Where SUBACK says that a subscription failed it did, and the others, before and after it, did not."""
    client, publisher = rig.connect(), rig.connect()
    labels = ("a", "b", "c", "a", "d", "b")
    wanted = [SubscriptionOptions(rig.topic(label), 1) for label in labels]
    codes = subscribe_to(client, *wanted)
    require_equal(len(codes), len(labels), "how many Reason Codes came")
    for label, code in zip(labels, codes, strict=True):
        publisher.publish(rig.topic(label), b"payload", 1)
        rig.settle(publisher)
        came = len(came_to(rig, client))
        with about(f"Topic Filter {label}, Reason Code 0x{code:02X}"):
            require_equal(came, 1 if code < 0x80 else 0, "how many messages came")
    require_equal((codes[3], codes[5]), (codes[0], codes[1]), "the Reason Codes of what was there before")


@statement("MQTT-3.9.3-2", maximum_subscriptions=4)
def suback_has_listed_reason_codes(rig: Rig) -> None:
    """Each Reason Code of SUBACK is a listed one: for filters plain, with wildcards, shared, long."""
    client = rig.connect()
    for label in ("a", "+", "a/+/b", "#", "a" + "/b" * 180, "é", "x" * 1000):
        for topic_filter in (rig.topic(label), f"$share/group/{rig.topic(label)}"):
            for identifiers in ((), (7,)):
                packet_id = client.next_packet_id()
                properties = Properties(subscription_identifiers=identifiers)
                client.send(Subscribe(packet_id, [SubscriptionOptions(topic_filter, 1)], properties))
                codes = client.expect(SubAck).reason_codes
                with about(f"Topic Filter {topic_filter!r}"):
                    require({*codes} <= REASON_CODES, f"unlisted Reason Codes among {codes}")
                    require_equal(len(codes), 1, "how many Reason Codes came")
    client.expect_nothing()
