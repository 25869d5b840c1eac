"""The vectors that are right and written down byte by byte, in hexadecimal.

`SP` marks an example that the specification itself gives.
"""

from __future__ import annotations

from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.wire.building import ALL, CLIENT, SERVER, V3, V4, V5, V34, AnyPacket, Valid


def _valid(
    name: str,
    versions: tuple[int, ...],
    data: str,
    packet: AnyPacket,
    canonical: bool = True,
    sender: str = "",
) -> Valid:
    return Valid(name, versions, bytes.fromhex(data), packet, canonical, sender)


CONNECT_VECTORS = [
    _valid(
        "CONNECT of 3.1",
        V3,
        "10 0F 0006 4D5149736470 03 02 003C 0001 61",
        Connect("a", version=3, keep_alive=60),
    ),
    _valid("CONNECT of 3.1.1", V4, "10 0D 0004 4D515454 04 02 003C 0001 61", Connect("a", 4, keep_alive=60)),
    _valid("CONNECT of 5.0", V5, "10 0E 0004 4D515454 05 02 003C 00 0001 61", Connect("a", 5, keep_alive=60)),
    _valid(
        "CONNECT of 3.1 with all fields",
        V3,
        "10 20 0006 4D5149736470 03 EE FFFF 0001 63 0003 772F74 0002 6279 0001 75 0003 007077",
        Connect("c", 3, True, 65535, Will("w/t", b"by", 1, True), "u", b"\0pw"),
    ),
    _valid(
        "CONNECT of 3.1.1 with all fields",
        V4,
        "10 1E 0004 4D515454 04 F4 0000 0001 63 0003 772F74 0002 6279 0001 75 0003 007077",
        Connect("c", 4, False, 0, Will("w/t", b"by", 2, True), "u", b"\0pw"),
    ),
    _valid(
        "CONNECT of 5.0 with all fields",
        V5,
        "10 2A 0004 4D515454 05 CE 000A 05 11 0000000A 0001 63"
        "05 18 0000001E 0003 772F74 0002 6279 0001 75 0003 007077",
        Connect(
            "c",
            5,
            True,
            10,
            Will("w/t", b"by", 1, False, Properties(will_delay_interval=30)),
            "u",
            b"\0pw",
            Properties(session_expiry_interval=10),
        ),
    ),
    _valid(
        "CONNECT of 3.1.1 with an empty Client Identifier",
        V4,
        "10 0C 0004 4D515454 04 02 0000 0000",
        Connect("", 4),
    ),
    _valid(
        "CONNECT of 5.0 with an empty Client Identifier and Clean Start 0",
        V5,
        "10 0D 0004 4D515454 05 00 0000 00 0000",
        Connect("", 5, clean_start=False),
    ),
    _valid(
        "CONNECT of 3.1.1 with a user name and no password, both flags of the Will off",
        V4,
        "10 11 0004 4D515454 04 82 003C 0001 61 0002 C3A9",
        Connect("a", 4, keep_alive=60, username="é"),
    ),
    _valid(
        "CONNECT of 5.0 with a password and no user name",
        V5,
        "10 11 0004 4D515454 05 42 003C 00 0001 61 0001 FF",
        Connect("a", 5, keep_alive=60, password=b"\xff"),
    ),
    _valid(
        "CONNECT of 5.0 with an empty user name, an empty password and an empty Will Payload",
        V5,
        "10 18 0004 4D515454 05 C6 0000 00 0001 61 00 0001 77 0000 0000 0000",
        Connect("a", 5, will=Will("w"), username="", password=b""),
    ),
    _valid(
        "CONNECT of 3.1 whose user name is missing, as 3.1 allows",
        V3,
        "10 0F 0006 4D5149736470 03 82 003C 0001 61",
        Connect("a", 3, keep_alive=60),
        canonical=False,
    ),
    _valid(
        "CONNECT of 3.1 whose password is missing, as 3.1 allows",
        V3,
        "10 12 0006 4D5149736470 03 C2 003C 0001 61 0001 75",
        Connect("a", 3, keep_alive=60, username="u"),
        canonical=False,
    ),
    _valid(
        "CONNECT of 3.1 with flags of a Will that is not there, and the reserved flag",
        V3,
        "10 0F 0006 4D5149736470 03 3B 003C 0001 61",
        Connect("a", 3, keep_alive=60),
        canonical=False,
    ),
]

CONNACK_VECTORS = [
    _valid("CONNACK of 3.x", V34, "20 02 00 00", ConnAck()),
    _valid("CONNACK of 3.1.1 with Session Present", V4, "20 02 01 00", ConnAck(True)),
    _valid("CONNACK of 3.1 with its unused byte in use", V3, "20 02 FF 00", ConnAck(), canonical=False),
    *(
        _valid(f"CONNACK of 3.x with return code {code}", V34, f"20 02 00 {code:02X}", ConnAck(False, code))
        for code in range(1, 6)
    ),
    _valid("CONNACK of 5.0", V5, "20 03 00 00 00", ConnAck()),
    _valid("CONNACK of 5.0 with Session Present", V5, "20 03 01 00 00", ConnAck(True)),
    _valid(
        "CONNACK of 5.0 with a Reason String",
        V5,
        "20 08 00 87 05 1F 0002 6E6F",
        ConnAck(False, 0x87, Properties(reason_string="no")),
    ),
]

PUBLISH_VECTORS = [
    _valid("PUBLISH of 3.x at QoS 0", V34, "30 07 0003 612F62 6869", Publish("a/b", b"hi")),
    _valid("PUBLISH of 5.0 at QoS 0", V5, "30 08 0003 612F62 00 6869", Publish("a/b", b"hi")),
    _valid("PUBLISH of 3.x without payload", V34, "31 05 0003 612F62", Publish("a/b", retain=True)),
    _valid("PUBLISH of 5.0 without payload", V5, "31 06 0003 612F62 00", Publish("a/b", retain=True)),
    _valid(
        "PUBLISH of 3.x at QoS 1", V34, "32 09 0003 612F62 000A 6869", Publish("a/b", b"hi", 1, packet_id=10)
    ),
    # SP figure 3-9
    _valid("PUBLISH of 5.0 at QoS 1", V5, "32 08 0003 612F62 000A 00", Publish("a/b", b"", 1, packet_id=10)),
    _valid(
        "PUBLISH of 3.x at QoS 1, again, retained",
        V34,
        "3B 08 0003 612F62 FFFF 21",
        Publish("a/b", b"!", 1, True, packet_id=0xFFFF, dup=True),
    ),
    _valid(
        "PUBLISH of 5.0 at QoS 2, again, retained",
        V5,
        "3D 09 0003 612F62 0001 00 21",
        Publish("a/b", b"!", 2, True, packet_id=1, dup=True),
    ),
    _valid(
        "PUBLISH of 3.x at QoS 2", V34, "34 08 0003 612F62 0001 00", Publish("a/b", b"\0", 2, packet_id=1)
    ),
    _valid(
        "PUBLISH of 5.0 at QoS 2", V5, "34 09 0003 612F62 0001 00 00", Publish("a/b", b"\0", 2, packet_id=1)
    ),
    _valid(
        "PUBLISH of 5.0 with a Topic Alias instead of the Topic Name",
        V5,
        "30 07 0000 03 23 0001 21",
        Publish("", b"!", properties=Properties(topic_alias=1)),
    ),
    _valid(
        "PUBLISH of 5.0 at QoS 1 with a Topic Alias and the Topic Name",
        V5,
        "32 0B 0002 2F61 0007 03 23 FFFF 21",
        Publish("/a", b"!", 1, properties=Properties(topic_alias=65535), packet_id=7),
    ),
    _valid(
        "PUBLISH of 5.0 with all properties",
        V5,
        "32 32 0001 74 0002 2B 23 0003 02 0000003C 0B 01 0B FFFFFF7F 01 01 03 0001 63 08 0001 72 09 0002 00FF"
        "26 0001 6E 0001 76 26 0001 6E 0000 68",
        Publish(
            "t",
            b"h",
            1,
            properties=Properties(
                payload_format_indicator=1,
                message_expiry_interval=60,
                content_type="c",
                response_topic="r",
                correlation_data=b"\0\xff",
                subscription_identifiers=(1, 268_435_455),
                topic_alias=3,
                user_properties=(("n", "v"), ("n", "")),
            ),
            packet_id=2,
        ),
        sender=SERVER,
    ),
    _valid(
        "PUBLISH of 5.0 with its properties in another order",
        V5,
        "30 17 0001 74 11 26 0001 6E 0001 76 02 0000003C 23 0003 01 01 0000",
        Publish(
            "t",
            b"\0\0",
            properties=Properties(
                payload_format_indicator=1,
                message_expiry_interval=60,
                topic_alias=3,
                user_properties=(("n", "v"),),
            ),
        ),
        canonical=False,
    ),
    _valid("PUBLISH to '/'", V34, "30 03 0001 2F", Publish("/")),
    _valid("PUBLISH with U+FEFF, which is kept", V34, "30 06 0004 EFBBBF61", Publish("\ufeffa")),
    # SP 1.5.4: "A" and U+2A6D4
    _valid("PUBLISH to the string of 1.5.4", V5, "30 08 0005 41F0AA9B94 00", Publish("A\U0002a6d4")),
    _valid(
        "PUBLISH with spaces, control characters and U+FFFF",
        V34,
        "30 08 0006 20 01 7F EFBFBF",
        Publish(" \x01\x7f\uffff"),
    ),
]

ACKNOWLEDGE_VECTORS = [
    _valid("PUBACK", ALL, "40 02 0001", PubAck(1)),
    _valid("PUBREC", ALL, "50 02 0100", PubRec(256)),
    _valid("PUBREL", ALL, "62 02 00FF", PubRel(255)),
    _valid("PUBCOMP", ALL, "70 02 FFFF", PubComp(65535)),
    _valid("PUBREL of 3.1 with DUP", V3, "6A 02 0001", PubRel(1), canonical=False),
    _valid("PUBACK of 5.0 with Reason Code", V5, "40 03 0001 10", PubAck(1, 0x10)),
    _valid("PUBREC of 5.0 with Reason Code", V5, "50 03 0001 97", PubRec(1, 0x97)),
    _valid("PUBREL of 5.0 with Reason Code", V5, "62 03 0001 92", PubRel(1, 0x92)),
    _valid("PUBCOMP of 5.0 with Reason Code", V5, "70 03 0001 92", PubComp(1, 0x92)),
    _valid("PUBACK of 5.0 with Reason Code 0", V5, "40 03 0001 00", PubAck(1), canonical=False),
    _valid("PUBREL of 5.0 with Reason Code 0", V5, "62 03 0001 00", PubRel(1), canonical=False),
    _valid("PUBACK of 5.0 with no properties", V5, "40 04 0001 00 00", PubAck(1, 0, Properties())),
    _valid(
        "PUBREC of 5.0 with properties",
        V5,
        "50 0F 0001 80 0B 1F 0001 78 26 0001 6B 0001 76",
        PubRec(1, 0x80, Properties(reason_string="x", user_properties=(("k", "v"),))),
    ),
]

SUBSCRIBE_VECTORS = [
    # SP figures 3-19 and 3-21
    _valid(
        "SUBSCRIBE of 3.x",
        V34,
        "82 0E 000A 0003 612F62 01 0003 632F64 02",
        Subscribe(10, [SubscriptionOptions("a/b", 1), SubscriptionOptions("c/d", 2)]),
    ),
    _valid(
        "SUBSCRIBE of 5.0",
        V5,
        "82 0F 000A 00 0003 612F62 01 0003 632F64 02",
        Subscribe(10, [SubscriptionOptions("a/b", 1), SubscriptionOptions("c/d", 2)], Properties()),
    ),
    _valid(
        "SUBSCRIBE of 3.1 with DUP",
        V3,
        "8A 06 000A 0001 61 00",
        Subscribe(10, [SubscriptionOptions("a")]),
        canonical=False,
    ),
    _valid(
        "SUBSCRIBE of 5.0 with all options and a Subscription Identifier",
        V5,
        "82 13 0001 02 0B 05 0001 23 1C 0001 2B 2E 0003 2B2F23 00",
        Subscribe(
            1,
            [
                SubscriptionOptions("#", 0, True, True, 1),
                SubscriptionOptions("+", 2, True, True, 2),
                SubscriptionOptions("+/#"),
            ],
            Properties(subscription_identifiers=(5,)),
        ),
    ),
    _valid(
        "SUBSCRIBE to a Shared Subscription",
        V5,
        "82 12 0001 00 000C 24 7368617265 2F 67 2F 2B 2F 61 09",
        Subscribe(1, [SubscriptionOptions("$share/g/+/a", 1, False, True, 0)], Properties()),
    ),
    _valid("SUBACK of 3.x", V34, "90 06 000A 00 01 02 80", SubAck(10, [0, 1, 2, 0x80])),
    _valid("SUBACK of 5.0", V5, "90 06 000A 00 02 80 9E", SubAck(10, [2, 0x80, 0x9E], Properties())),
    _valid("UNSUBSCRIBE of 3.x", V34, "A2 0C 000A 0003 612F62 0003 632F64", Unsubscribe(10, ["a/b", "c/d"])),
    _valid(
        "UNSUBSCRIBE of 5.0",
        V5,
        "A2 0D 000A 00 0003 612F62 0003 632F23",
        Unsubscribe(10, ["a/b", "c/#"], Properties()),
    ),
    _valid("UNSUBSCRIBE of 3.1 with DUP", V3, "AA 05 0001 0001 61", Unsubscribe(1, ["a"]), canonical=False),
    _valid("UNSUBACK of 3.x", V34, "B0 02 000A", UnsubAck(10, [])),
    _valid("UNSUBACK of 5.0", V5, "B0 05 000A 00 00 11", UnsubAck(10, [0, 0x11], Properties())),
]

CONTROL_VECTORS = [
    _valid("PINGREQ", ALL, "C0 00", PingReq()),
    _valid("PINGRESP", ALL, "D0 00", PingResp()),
    _valid("DISCONNECT", ALL, "E0 00", Disconnect()),
    _valid("DISCONNECT of 5.0 with Reason Code", V5, "E0 01 04", Disconnect(4), sender=CLIENT),
    _valid("DISCONNECT of 5.0 with Reason Code 0", V5, "E0 01 00", Disconnect(), canonical=False),
    _valid("DISCONNECT of 5.0 with no properties", V5, "E0 02 00 00", Disconnect(), canonical=False),
    _valid(
        "DISCONNECT of 5.0 with Session Expiry Interval 0",
        V5,
        "E0 07 00 05 11 00000000",
        Disconnect(0, Properties(session_expiry_interval=0)),
        sender=CLIENT,
    ),
    _valid(
        "DISCONNECT of 5.0 with a Server Reference",
        V5,
        "E0 07 9C 05 1C 0002 3A31",
        Disconnect(0x9C, Properties(server_reference=":1")),
        sender=SERVER,
    ),
    # 3.15.2.1 names this form; whether it is in place is for the connection to judge [MQTT-4.12.0-5]
    _valid("AUTH with Remaining Length 0", V5, "F0 00", Auth()),
    _valid(
        "AUTH that continues",
        V5,
        "F0 0C 18 0A 15 0002 4742 16 0002 00FF",
        Auth(0x18, Properties(authentication_method="GB", authentication_data=b"\0\xff")),
    ),
]

WRITTEN = (
    *CONNECT_VECTORS,
    *CONNACK_VECTORS,
    *PUBLISH_VECTORS,
    *ACKNOWLEDGE_VECTORS,
    *SUBSCRIBE_VECTORS,
    *CONTROL_VECTORS,
)
