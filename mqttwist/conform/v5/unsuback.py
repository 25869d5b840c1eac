"""3.11 UNSUBACK."""

from __future__ import annotations

from typing import Final

from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.acknowledgements import tight_client
from mqttwist.conform.v5.unsubscribe import unsubscribe_from
from mqttwist.conform.verdict import about, require, require_equal

REASON_CODES: Final = frozenset({0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91})


@statement("MQTT-3.11.2-1", "MQTT-3.11.2-2")
def unsuback_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes UNSUBACK larger than the client's Maximum Packet Size."""
    client, maximum = tight_client(rig)
    client.subscribe(rig.topic())
    for count in (1, 2, maximum - 5, maximum - 5):  # an UNSUBACK that has just room for its Reason Codes
        codes = unsubscribe_from(client, *[rig.topic()] * count)
        require_equal(len(codes), count, "how many Reason Codes came")
        size = len(client.packet_bytes)
        require(size <= maximum, f"{size} bytes came, the Maximum Packet Size is {maximum}")
    client.expect_nothing()


@statement("MQTT-3.11.3-1")
def the_order_of_unsuback_is_that_of_the_topic_filters(rig: Rig) -> None:
    """The Reason Codes of UNSUBACK stand in the order of the Topic Filters, one for each."""
    for there in ((0,), (1,), (0, 2, 3), (1, 2), (3, 0), (5, 7, 8, 12, 13, 14), tuple(range(100, 200, 3))):
        client = rig.connect()
        for number in there:
            client.subscribe(rig.topic(str(number)))
        count = max(there) + 2
        codes = unsubscribe_from(client, *[rig.topic(str(number)) for number in range(count)])
        expected = [0 if number in there else 0x11 for number in range(count)]
        with about(f"subscriptions {there}"):
            require_equal(codes, expected, "the Reason Codes")
        client.disconnect()


@statement("MQTT-3.11.3-2")
def unsuback_has_listed_reason_codes(rig: Rig) -> None:
    """Each Reason Code of UNSUBACK is a listed one: for filters plain, with wildcards, shared, long."""
    client = rig.connect()
    for label in ("a", "+", "a/+/b", "#", "a" + "/b" * 180, "é", "x" * 1000):
        for topic_filter in (
            rig.topic(label),
            f"$share/group/{rig.topic(label)}",
            f"$SYS/{rig.topic(label)}",
        ):
            for subscribes in (False, True):
                if subscribes:
                    client.subscribe(topic_filter)
                codes = unsubscribe_from(client, topic_filter)
                with about(f"Topic Filter {topic_filter!r}, subscribed to: {subscribes}"):
                    require({*codes} <= REASON_CODES, f"unlisted Reason Codes among {codes}")
                    require_equal(codes, [0 if subscribes else 0x11], "the Reason Codes")
    client.expect_nothing()
