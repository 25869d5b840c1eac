"""3.1 CONNECT: its flags and its payload. Sessions, wills and properties have modules of their own."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import AnyPacket, Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL, refused_wherever_a_string_stands
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5, frame
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe

ALPHABET: Final = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
UNSUPPORTED: Final = (b"\x20\3\0\x84\0", b"\x20\2\0\x84", b"\x20\2\0\1")  # as 5.0 says it, cut, and as 3.1.1


def closed_by(rig: Rig, what: str, data: bytes) -> None:
    """`data`, the first that is sent, closes the connection.

    At most a CONNACK of an error comes, in 5.0; in 3.1.1 there must be none [MQTT-3.1.4-1].
    """
    client = rig.open()
    client.send(data)
    with about(what):
        goodbye = client.expect_closed()
        fits = goodbye is None or (rig.version == MQTT_5 and isinstance(goodbye, ConnAck))
        require(fits, f"no CONNECT was accepted, and {goodbye} came")


def own_id(rig: Rig) -> bytes:
    """A new Client Identifier as the payload of CONNECT begins with it."""
    client_id = rig.client_id()
    rig.remember(client_id)
    return raw.string(client_id.encode())


@statement("MQTT-3.1.0-1")
def the_first_packet_must_be_connect(rig: Rig) -> None:
    """A connection whose first packet is another than CONNECT is closed; in 3.1.1 nothing is sent."""
    rig.connect()  # this is how it must be
    topic = rig.topic()
    for data in (
        ConnAck().encode(rig.version),
        Publish(topic).encode(rig.version),
        Publish(topic, qos=2, packet_id=1).encode(rig.version),
        PubAck(1).encode(rig.version),
        PubRec(1).encode(rig.version),
        PubRel(1).encode(rig.version),
        PubComp(1).encode(rig.version),
        Subscribe(1, [SubscriptionOptions(topic)]).encode(rig.version),
        SubAck(1, [0]).encode(rig.version),
        Unsubscribe(1, [topic]).encode(rig.version),
        UnsubAck(1, [0]).encode(rig.version),
        PingReq().encode(rig.version),
        PingResp().encode(rig.version),
        Disconnect().encode(rig.version),
        b"\xf0\0",
        b"\0\0",
    ):
        closed_by(rig, f"first byte 0x{data[0]:02X}", data)


@statement("MQTT-3.1.0-2")
def a_second_connect_closes_the_connection(rig: Rig) -> None:
    """A second CONNECT is a Protocol Error: the same one again, of another client, and at once."""
    for same in (True, False):
        client = rig.connect()
        client.send(rig.connect_packet(client.client_id if same else ""))
        goodbye = client.expect_closed(0x82)
        require(not isinstance(goodbye, ConnAck), f"the second CONNECT was answered by {goodbye}")
    client = rig.open()
    connect = rig.connect_packet()
    client.send(connect, connect)
    client.connected()
    client.expect_closed(0x82)


@statement("MQTT-3.1.0-2")
def a_second_connect_of_another_client_does_not_touch_it(rig: Rig) -> None:
    """The client whose Client Identifier a second CONNECT names stays connected."""
    other, client = rig.connect(), rig.connect()
    client.send(rig.connect_packet(other.client_id))
    client.expect_closed(0x82)
    other.expect_nothing()


@statement("MQTT-3.1.2-1")
def other_protocol_names_close_the_connection(rig: Rig) -> None:
    """A protocol name other than "MQTT" closes the connection, at most after 0x84."""
    rig.connect()
    for name in (b"MQIsdp", b"mqtt", b"MQT", b"MQTTT", b"", b"\0MQTT", b"HTTP", b"MQTT\xff"):
        client = rig.open()
        client.send(raw.connect(rig.version, own_id(rig), name=name))
        said = client.read_to_end()
        require(said in (b"", *UNSUPPORTED), f"protocol name {name!r}: the Server answered {said!r}")


@statement("MQTT-3.1.2-2")
def other_protocol_versions_close_the_connection(rig: Rig) -> None:
    """A protocol version that the Server does not speak closes the connection, at most after 0x84."""
    rig.connect()
    for version in (0, 1, 2, 3, 6, 7, 127, 128, 255):
        client = rig.open()
        client.send(frame(0x10, raw.string(b"MQTT") + bytes((version, 2, 0, 0, 0)) + own_id(rig)))
        said = client.read_to_end()
        require(said in (b"", *UNSUPPORTED), f"version {version}: the Server answered {said!r}")


@statement("MQTT-3.1.2-3")
def the_reserved_flag_must_be_0(rig: Rig) -> None:
    """A CONNECT whose reserved flag is set closes the connection, whatever the other flags are."""
    rig.connect()
    will = raw.listed(rig.version) + raw.string(rig.topic().encode()) + raw.string(b"")
    user = raw.string(b"user")
    for flags, more in ((0x01, b""), (0x03, b""), (0x07, will), (0x83, user), (0xC3, user + user)):
        data = raw.connect(rig.version, own_id(rig) + more, flags)
        closed_by(rig, f"flags 0x{flags:02X}", data)


@statement("MQTT-3.1.2-16", "MQTT-3.1.2-17", "MQTT-3.1.2-18", "MQTT-3.1.2-19")
def user_name_and_password_are_there_as_their_flags_say(rig: Rig) -> None:
    """A User Name or Password without its flag, or a flag without its field, is malformed."""
    user, word = raw.string(b"user"), raw.string(b"word")
    both = raw.USER_NAME_FLAG | raw.PASSWORD_FLAG
    for what, flags, fields in (
        ("a User Name without its flag", 0, user),
        ("both without their flags", 0, user + word),
        ("a flag without the User Name", raw.USER_NAME_FLAG, b""),
        ("a Password without its flag", raw.USER_NAME_FLAG, user + word),
        ("a flag without the Password", both, user),
        ("two flags and neither field", both, b""),
        ("a Password that is cut", both, user + word[:-1]),
        ("a Password flag without a Password", raw.PASSWORD_FLAG, b""),
        ("a Password flag with two fields", raw.PASSWORD_FLAG, user + word),
    ):
        closed_by(rig, what, raw.connect(rig.version, own_id(rig) + fields, flags | raw.CLEAN_START))


@statement("MQTT-3.1.2-17", "MQTT-3.1.2-19")
def user_name_and_password_are_understood(rig: Rig) -> None:
    """A CONNECT with a User Name, a Password, both, or empty ones is read to its end."""
    rig.connect()
    for username, password in (("user", None), (None, b"word"), ("user", b"\0word"), ("", b"")):
        client = rig.open()
        connect = rig.connect_packet()
        connect.username, connect.password = username, password
        client.send(connect)
        connack = client.answer()
        if connack is None:  # that it is let in is not said
            raise NotApplicable("the Server refuses a login without a word")
        is_misread = connack.reason_code in (0x81, 0x82)
        require(not is_misread, f"{username!r}, {password!r}: {connack}")


@statement("MQTT-3.1.3-1")
def the_fields_of_the_payload_come_in_their_order(rig: Rig) -> None:
    """Client Identifier, the fields of the Will, User Name and Password come in their order."""
    watcher, client = rig.connect(), rig.open()
    watcher.subscribe(rig.topic("#"))
    client_id = rig.client_id()
    rig.remember(client_id)
    fields = raw.string(client_id.encode()) + raw.listed(rig.version, b"\x03" + raw.string(b"type"))
    fields += raw.string(rig.topic("will").encode()) + raw.string(b"payload")
    client.send(raw.connect(rig.version, fields + raw.login(rig), 0xC6))
    client.connected()
    rig.connect(client_id)  # takes over, which ends the first
    will = watcher.expect(Publish)
    require_equal((will.topic_name, will.payload), (rig.topic("will"), b"payload"), "the Will")
    if rig.version == MQTT_5:
        require_equal(will.properties.content_type, "type", "the Content Type of the Will")


@statement("MQTT-3.1.3-3")
def the_client_identifier_must_be_there(rig: Rig) -> None:
    """A CONNECT that ends before or inside its Client Identifier closes the connection."""
    for payload in (b"", b"\0", b"\0\1", b"\0\7client"):
        closed_by(rig, f"payload {payload!r}", raw.connect(rig.version, payload))


@statement("MQTT-3.1.3-4")
def the_client_identifier_must_be_utf_8(rig: Rig) -> None:
    """A Client Identifier that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Client Identifier")


@statement("MQTT-3.1.3-11")
def the_will_topic_must_be_utf_8(rig: Rig) -> None:
    """A Will Topic that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "Will Topic")


@statement("MQTT-3.1.3-12")
def the_user_name_must_be_utf_8(rig: Rig) -> None:
    """A User Name that is not well-formed UTF-8, or has U+0000 in it, closes the connection."""
    refused_wherever_a_string_stands(rig, ILL_FORMED | NULL, "User Name")


@statement("MQTT-3.1.3-5")
def client_identifiers_of_23_letters_and_digits_are_allowed(rig: Rig) -> None:
    """Client Identifiers of 1 to 23 letters and digits are allowed, all 62 of them."""
    mixed = [ALPHABET[start : start + 23] for start in range(0, len(ALPHABET), 13)]
    for client_id in [*(f"Q{ALPHABET}"[:length] for length in range(1, 24)), *mixed]:
        with about(f"Client Identifier {client_id!r}"):
            rig.connect(client_id).disconnect()


def nameless(rig: Rig) -> Client:
    """A client without a Client Identifier, which a Server may refuse."""
    client = rig.open()
    client.send(rig.nameless_packet())
    connack = client.expect(ConnAck)
    if connack.reason_code == 0x85:
        raise NotApplicable("the Server wants a Client Identifier")
    require_equal(connack.reason_code, 0, "the Reason Code of CONNACK")
    client.connack = connack
    return client


@statement("MQTT-3.1.3-6", "MQTT-3.1.3-7", "MQTT-3.2.2-16")
def a_client_without_identifier_is_assigned_a_new_one(rig: Rig) -> None:
    """An empty Client Identifier is answered with an assigned one, which no other client has."""
    clients = [nameless(rig) for _ in range(5)]
    assigned = [client.connack.properties.assigned_client_identifier for client in clients]
    require(all(assigned), f"the Assigned Client Identifiers are {assigned}")
    require_equal(len(set(assigned)), len(clients), f"the number of different ones among {assigned}")
    for client in clients:
        client.send(PingReq())
        client.expect(PingResp)


@statement("MQTT-3.1.3-7")
def an_assigned_client_identifier_is_that_of_the_client(rig: Rig) -> None:
    """With the Client Identifier that it was assigned, a client finds its session again."""
    nameless(rig).disconnect()
    client = rig.open()
    client.send(rig.nameless_packet(persistent=True))
    client.connected()
    client.subscribe(rig.topic())
    again = rig.connect(client.client_id, clean_start=False, persistent=True)
    client.expect_closed(0x8E)
    require(again.connack.session_present, "there is no session for the Assigned Client Identifier")
    rig.connect().publish(rig.topic(), b"payload")
    require_equal(again.expect(Publish).payload, b"payload", "the payload")


@statement("MQTT-3.1.3-8")
def a_refused_client_identifier_closes_the_connection(rig: Rig) -> None:
    """A Client Identifier that is not accepted closes the connection, after 0x85 if after a word."""
    long = "x" * 65_535
    for client_id in (
        "",
        " ",
        "\u0001",
        "#",
        "+/$SYS",
        "ключ",
        "\U0001f986",
        rig.client_id() + long[:1000],
        long,
    ):
        client = rig.open()
        client.send(rig.connect_packet(client_id) if client_id else rig.nameless_packet())
        with about(f"Client Identifier {client_id[:20]!r} of {len(client_id)} characters"):
            connack = client.answer()
            if connack is None or connack.reason_code:
                code = 0x85 if connack is None else connack.reason_code
                rig.recommend(code in (0x81, 0x85), f"0x85 for a Client Identifier, not 0x{code:02X}")
                client.expect_closed()
            else:
                client.send(PingReq())
                client.expect(PingResp)


@statement("MQTT-3.1.4-1")
def a_connect_of_another_format_closes_the_connection(rig: Rig) -> None:
    """A CONNECT that is cut anywhere, or is longer than its fields, is malformed."""
    rig.connect()
    will = raw.listed(rig.version, b"\x18\0\0\0\1") + raw.string(rig.topic().encode()) + raw.string(b"bye")
    payload = own_id(rig) + will + raw.string(b"user") + raw.string(b"word")
    whole = raw.connect(rig.version, payload, 0xC6, b"\x21\0\x0a")[2:]
    for length in range(len(whole)):
        closed_by(rig, f"cut after {length} of {len(whole)} bytes", frame(0x10, whole[:length]))
    for more in (b"\0", raw.string(b""), b"\0\0\0\0"):
        closed_by(rig, f"followed by {more!r}", frame(0x10, whole + more))


@statement("MQTT-3.1.4-1")
def a_connect_with_wrong_properties_closes_the_connection(rig: Rig) -> None:
    """CONNECT and Will are refused for a property that is not theirs, stands twice or is out of range."""
    rig.connect()
    wrong = {
        "Payload Format Indicator": b"\1\0",
        "Message Expiry Interval": b"\2\0\0\0\1",
        "Content Type": b"\3\0\1c",
        "Response Topic": b"\x08\0\1r",
        "Correlation Data": b"\x09\0\1c",
        "Subscription Identifier": b"\x0b\1",
        "Assigned Client Identifier": b"\x12\0\1c",
        "Server Keep Alive": b"\x13\0\1",
        "Will Delay Interval outside of the Will": b"\x18\0\0\0\1",
        "Response Information": b"\x1a\0\1r",
        "Server Reference": b"\x1c\0\1s",
        "Reason String": b"\x1f\0\1r",
        "Topic Alias": b"\x23\0\1",
        "Maximum QoS": b"\x24\1",
        "Retain Available": b"\x25\1",
        "Wildcard Subscription Available": b"\x28\1",
        "Subscription Identifier Available": b"\x29\1",
        "Shared Subscription Available": b"\x2a\1",
        "a property that is none": b"\x7f\0",
        "Receive Maximum 0": b"\x21\0\0",
        "Maximum Packet Size 0": b"\x27\0\0\0\0",
        "Request Problem Information 2": b"\x17\2",
        "Request Response Information 2": b"\x19\2",
        "Authentication Data without its method": b"\x16\0\1d",
        "a Receive Maximum that is cut": b"\x21\0",
    }
    for one in (b"\x11\0\0\0\1", b"\x21\0\1", b"\x22\0\1", b"\x27\0\1\0\0", b"\x17\1", b"\x19\1"):
        wrong[f"the property 0x{one[0]:02X} twice"] = one + one
    for what, properties in wrong.items():
        closed_by(rig, what, raw.connect(rig.version, own_id(rig), properties=properties))
    fields = raw.string(rig.topic().encode()) + raw.string(b"")
    for what, properties in {
        "Session Expiry Interval in the Will": b"\x11\0\0\0\1",
        "Topic Alias in the Will": b"\x23\0\1",
        "Subscription Identifier in the Will": b"\x0b\1",
        "Will Delay Interval twice": b"\x18\0\0\0\1" * 2,
        "Payload Format Indicator 2 in the Will": b"\1\2",
        "a Response Topic with a wildcard in the Will": b"\x08\0\1#",
    }.items():
        closed_by(rig, what, raw.connect(rig.version, own_id(rig) + raw.listed(5, properties) + fields, 0x06))


@statement("MQTT-3.1.4-2")
def a_refused_login_closes_the_connection(rig: Rig) -> None:
    """An Authentication Method that the Server does not know is refused, and the connection is closed."""
    rig.connect()
    client = rig.open()
    client.send(rig.connect_packet(authentication_method="conform: no such method"))
    client.expect_closed(0x8C, 0x87)


@statement("MQTT-3.1.4-5")
def connect_is_acknowledged(rig: Rig) -> None:
    """A CONNECT that is accepted is answered with a CONNACK of Reason Code 0x00, in 5.0 and 3.1.1."""
    for version in (MQTT_5, MQTT_3_1_1):
        for clean_start in (True, False):
            client = rig.open(version)
            client.send(rig.connect_packet(version=version, clean_start=clean_start))
            require_equal(client.expect_next(ConnAck).reason_code, 0, "the Reason Code")


def refused_connects(rig: Rig) -> list[bytes]:
    """CONNECT packets that a Server of this version must refuse."""
    reserved_flag = raw.connect(rig.version, own_id(rig), 0x03)
    if rig.version == MQTT_5:
        return [rig.connect_packet(authentication_method="conform: no such method").encode(), reserved_flag]
    another_level = frame(0x10, raw.string(b"MQTT") + b"\3\2\0\0" + own_id(rig))
    return [rig.nameless_packet(clean_start=False).encode(), another_level, reserved_flag]


@statement("MQTT-3.1.4-6")
def nothing_after_a_refused_connect_is_processed(rig: Rig) -> None:
    """PUBLISH and SUBSCRIBE in one piece with a refused CONNECT have no effect; with another they have."""
    watcher, client = rig.connect(), rig.open()
    watcher.subscribe(rig.topic("#"), qos=1)
    client.send(rig.connect_packet(), *requests(rig, "taken"))
    client.connected()
    client.expect(SubAck)
    for payload in (b"one", b"two"):
        require_equal(watcher.message().payload, payload, "the payload of what follows an accepted CONNECT")
    for refused in refused_connects(rig):
        client = rig.open()
        client.send(refused, *requests(rig, "not taken"))
        client.expect_closed()
        watcher.expect_nothing()
    for label, count in (("taken", 1), ("not taken", 0)):
        late = rig.connect()
        late.subscribe(rig.topic(label))
        rig.settle(late)
        require_equal(len(late.retained_topics()), count, f"how many messages are retained that were {label}")


def requests(rig: Rig, label: str) -> list[AnyPacket]:
    """Two messages, one of them to be retained, and a subscription."""
    topic = rig.topic(label)
    return [
        Publish(topic, b"one"),
        Publish(topic, b"two", 1, True, packet_id=1),
        Subscribe(2, [SubscriptionOptions(f"{topic}/none")]),
    ]
