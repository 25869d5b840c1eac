"""3.2 CONNACK. Several of its statements stand beside the checks of CONNECT that prove them.

Statements about Servers with limits are checked as far as the Server has named its limits in CONNACK.
"""

from __future__ import annotations

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.connect import own_id
from mqttwist.conform.v5.connect_sessions import leave_everything
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.connect import ConnAck, Connect, Will
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import MQTT_5, Packet
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions

REASON_CODES = frozenset(
    {
        0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8C, 0x90, 0x95, 0x97, 0x99,
        0x9A, 0x9B, 0x9C, 0x9D, 0x9F,
    }
)  # fmt: skip


def refusals(rig: Rig, client_id: str = "") -> list[Connect]:
    """CONNECT packets that a Server is likely to refuse with a CONNACK."""
    unknown = rig.connect_packet(client_id, authentication_method="conform: none", authentication_data=b"")
    persistent = rig.connect_packet(client_id, persistent=True, authentication_method="conform: none")
    persistent.username, persistent.password = "conform", b"x" * 1000
    return [unknown, persistent]


def refused(rig: Rig, *packets: Packet) -> tuple[Client, ConnAck]:
    """A client that sends a CONNECT, and more, and the CONNACK that refuses it, which need not come."""
    rig.connect()
    client = rig.open()
    client.send(*packets)
    connack = client.answer()
    if connack is None:
        raise NotApplicable("the Server refuses a CONNECT without a CONNACK")
    require(connack.reason_code >= 0x80, f"expected a refusal, got {connack}")
    return client, connack


def quiet_work(rig: Rig, client: Client) -> None:
    """What clients do, so that there is something to answer."""
    client.subscribe(rig.topic(), qos=2)
    for qos in (0, 1, 2):
        client.publish(rig.topic(), b"payload", qos)
        client.message()
    client.unsubscribe(rig.topic())
    client.send(PingReq())
    client.expect(PingResp)


@statement("MQTT-3.2.0-1")
def connack_is_the_first_packet(rig: Rig) -> None:
    """CONNACK comes before all else: before what waited and the answers to what came with CONNECT."""
    away = leave_everything(rig)
    client = rig.open()
    connect = rig.connect_packet(away.client_id, clean_start=False, persistent=True)
    client.send(connect, PingReq(), Subscribe(3, [SubscriptionOptions(rig.topic("other"))]))
    require_equal(client.expect_next(ConnAck).reason_code, 0, "the Reason Code of CONNACK")
    client.expect(PingResp)
    client.expect(SubAck)
    other = rig.open()
    other.send(rig.connect_packet(), Publish(rig.topic("other"), b"early"))
    other.expect_next(ConnAck)


@statement("MQTT-3.2.0-2")
def there_is_one_connack(rig: Rig) -> None:
    """A Server sends one CONNACK: none for the packets after it, for a second CONNECT neither."""
    client = rig.connect()
    quiet_work(rig, client)
    client.expect_nothing()
    client.send(rig.connect_packet(client.client_id))
    goodbye = client.expect_closed()
    require(not isinstance(goodbye, ConnAck), f"a second CONNECT was answered with {goodbye}")


@statement("MQTT-3.2.2-1")
def the_reserved_acknowledge_flags_are_0(rig: Rig) -> None:
    """Bits 7-1 of the Connect Acknowledge Flags are 0: with a new session, an old one, and a refusal."""
    client = rig.connect(persistent=True)
    require_equal(client.packet_bytes[2], 0, "the flags for a new session")
    client.disconnect()
    again = rig.connect(client.client_id, clean_start=False)
    require_equal(again.packet_bytes[2], 1, "the flags for a session that was there")
    for connect in refusals(rig):
        client = rig.open()
        client.send(connect)
        if client.answer() is not None:
            require_equal(client.packet_bytes[2], 0, "the flags of a refusal")


@statement("MQTT-3.2.2-6")
def session_present_is_0_in_a_refusal(rig: Rig) -> None:
    """A CONNACK of an error has Session Present 0, although there is a session, which stays."""
    away = leave_everything(rig)
    for connect in refusals(rig, away.client_id):
        connect.clean_start = False
        client, _ = refused(rig, connect)
        require_equal(client.packet_bytes[2], 0, "the flags")
        client.expect_closed()
    again = rig.connect(away.client_id, clean_start=False)
    require(again.connack.session_present, "the session is gone")


@statement("MQTT-3.2.2-7", "MQTT-3.2.2-8")
def after_a_refusal_the_connection_is_closed(rig: Rig) -> None:
    """A refusal has one of the Reason Codes of CONNACK, and the connection is closed after it."""
    for connect in refusals(rig):
        client, connack = refused(rig, connect, PingReq())
        require(connack.reason_code in REASON_CODES, f"a Reason Code of CONNACK is wanted, got {connack}")
        require(client.expect_closed() is None, "a packet followed the CONNACK of a refusal")


@statement("MQTT-3.2.2-8")
def connack_has_a_reason_code_of_its_own(rig: Rig) -> None:
    """The Reason Code of each CONNACK is one of those that CONNACK may have."""
    for data in (
        *(connect.encode() for connect in (rig.connect_packet(), *refusals(rig))),
        raw.connect(rig.version, raw.string(b"\xff")),  # a Client Identifier that is no UTF-8
        raw.connect(rig.version, own_id(rig), 0x03),  # the reserved flag
    ):
        client = rig.open()
        client.send(data)
        connack = client.answer()
        code = 0 if connack is None else connack.reason_code
        require(code in REASON_CODES, f"{connack} in answer to {data!r}")


# Maximum QoS (3.2.2.3.4)


def limited_in_qos(rig: Rig) -> tuple[Client, int]:
    """A client, and the Maximum QoS that it was told of."""
    client = rig.connect()
    maximum = client.connack.properties.maximum_qos
    if maximum is None:
        raise NotApplicable("the Server supports QoS 2")
    return client, maximum


def is_refused(rig: Rig, connect: Connect, wanted: int) -> None:
    """The Server refuses `connect`, best by a CONNACK with the Reason Code `wanted`."""
    client = rig.open()
    client.send(connect)
    connack = client.answer()
    code = None if connack is None else connack.reason_code
    require(code is None or code >= 0x80, f"expected a refusal, got {connack}")
    rig.recommend(code == wanted, f"CONNACK with 0x{wanted:02X}, not {connack}")
    client.expect_closed()


@statement("MQTT-3.2.2-9")
def a_server_without_maximum_qos_supports_qos_2(rig: Rig) -> None:
    """A Server that names no Maximum QoS takes QoS 1 and 2; one that does takes what it named."""
    client = rig.connect()
    maximum = client.connack.properties.maximum_qos
    for qos in range(3 if maximum is None else maximum + 1):
        client.publish(rig.topic(), b"payload", qos)
    client.expect_nothing()


@statement("MQTT-3.2.2-9", "MQTT-3.2.2-11", maximum_qos=1)
def a_server_with_maximum_qos_1_says_so(rig: Rig) -> None:
    """A Server that does not support QoS 2 names its Maximum QoS, and refuses a QoS above with 0x9B."""
    client, maximum = limited_in_qos(rig)
    for qos in range(maximum + 1):
        client.publish(rig.topic(), b"payload", qos)
    client.send(Publish(rig.topic(), b"payload", maximum + 1, packet_id=99))
    client.expect_closed(0x9B)


@statement("MQTT-3.2.2-9", "MQTT-3.2.2-11", maximum_qos=0)
def a_server_with_maximum_qos_0_says_so(rig: Rig) -> None:
    """A Server that supports QoS 0 only says so, and refuses QoS 1 and 2 with 0x9B."""
    for qos in (1, 2):
        client, maximum = limited_in_qos(rig)
        if maximum:
            raise NotApplicable("the Server supports QoS 1")
        client.publish(rig.topic(), b"payload")
        client.send(Publish(rig.topic(), b"payload", qos, packet_id=1))
        client.expect_closed(0x9B)


@statement("MQTT-3.2.2-10")
def subscriptions_of_every_qos_are_accepted(rig: Rig) -> None:
    """SUBSCRIBE with a Requested QoS of 0, 1 and 2 is accepted."""
    client = rig.connect()
    for qos in (0, 1, 2):
        client.subscribe(rig.topic(str(qos)), qos=qos)


@statement("MQTT-3.2.2-10", maximum_qos=0)
def subscriptions_above_the_maximum_qos_are_accepted(rig: Rig) -> None:
    """A Server with a Maximum QoS accepts SUBSCRIBE with a QoS above it, and grants no more than it has."""
    client, maximum = limited_in_qos(rig)
    for qos in (0, 1, 2):
        suback = client.subscribe(rig.topic(str(qos)), qos=qos)
        require(suback.reason_codes[0] <= maximum, f"{suback}, with a Maximum QoS of {maximum}")
    client.publish(rig.topic("2"), b"payload")
    require_equal(client.message().payload, b"payload", "the payload")


@statement("MQTT-3.2.2-12", maximum_qos=1)
def a_will_above_the_maximum_qos_is_refused(rig: Rig) -> None:
    """A CONNECT whose Will QoS is above the Maximum QoS is refused with 0x9B; others are not."""
    _, maximum = limited_in_qos(rig)
    for qos in range(maximum + 1, 3):
        is_refused(rig, rig.connect_packet(will=Will(rig.topic(), b"bye", qos)), 0x9B)
    rig.connect(will=Will(rig.topic(), b"bye", maximum))


# Retain Available (3.2.2.3.5)


def without_retained(rig: Rig) -> Client:
    client = rig.connect()
    if client.connack.properties.retain_available != 0:
        raise NotApplicable("the Server supports retained messages")
    return client


@statement("MQTT-3.2.2-13", retain_available=0)
def a_will_to_be_retained_is_refused(rig: Rig) -> None:
    """A Server without retained messages refuses a Will with Will Retain 1, with 0x9A."""
    without_retained(rig)
    is_refused(rig, rig.connect_packet(will=Will(rig.topic(), b"bye", retain=True)), 0x9A)
    rig.connect(will=Will(rig.topic(), b"bye"))


@statement("MQTT-3.2.2-14", retain_available=0)
def a_message_to_be_retained_is_refused(rig: Rig) -> None:
    """A Server without retained messages refuses a PUBLISH with RETAIN 1, with 0x9A."""
    client = without_retained(rig)
    client.publish(rig.topic(), b"payload", qos=1)
    client.send(Publish(rig.topic(), b"payload", retain=True))
    client.expect_closed(0x9A)


# Maximum Packet Size (3.2.2.3.6)


@statement("MQTT-3.2.2-15", maximum_packet_size=2000)
def a_packet_above_the_maximum_packet_size_is_refused(rig: Rig) -> None:
    """A packet larger than the Server's Maximum Packet Size is refused with 0x95; one that fits is not."""
    client, subscriber = rig.connect(), rig.connect()
    maximum = client.connack.properties.maximum_packet_size
    if maximum is None or maximum > 1 << 24:
        raise NotApplicable("the Server takes large packets")
    subscriber.subscribe(rig.topic())
    rest = len(Publish(rig.topic(), b"x" * (maximum - 100)).encode(MQTT_5)) - (maximum - 100)
    client.publish(rig.topic(), b"x" * (maximum - rest))
    require_equal(len(subscriber.message().payload), maximum - rest, "the length of the payload")
    client.send(Publish(rig.topic(), b"x" * (maximum - rest + 1)))
    client.expect_closed(0x95)
    subscriber.expect_nothing()


# Topic Alias Maximum (3.2.2.3.8)


@statement("MQTT-3.2.2-17", "MQTT-3.2.2-18", "MQTT-3.3.2-9")
def a_topic_alias_above_the_maximum_is_refused(rig: Rig) -> None:
    """A Topic Alias above the Server's maximum, which is 0 if it is absent, is refused with 0x94."""
    maximum = rig.connect().connack.properties.topic_alias_maximum or 0
    for alias in (maximum + 1, maximum + 2, 65_535):
        if maximum < alias < 65_536:
            client = rig.connect()
            client.send(Publish(rig.topic(), properties=Properties(topic_alias=alias)))
            with about(f"Topic Alias {alias}, maximum {maximum}"):
                client.expect_closed(0x94)


@statement("MQTT-3.2.2-18", topic_alias_maximum=0)
def without_a_maximum_every_topic_alias_is_refused(rig: Rig) -> None:
    """A Server with a Topic Alias Maximum of 0, or none, refuses Topic Alias 1."""
    client = rig.connect()
    if client.connack.properties.topic_alias_maximum:
        raise NotApplicable("the Server takes Topic Aliases")
    client.send(Publish(rig.topic(), properties=Properties(topic_alias=1)))
    client.expect_closed(0x94)


# Server Keep Alive (3.2.2.3.14)


@statement("MQTT-3.2.2-21", "MQTT-3.1.2-21", slow=True, maximum_keep_alive=4)
def the_server_keep_alive_replaces_that_of_the_client(rig: Rig) -> None:
    """A Server that names a Server Keep Alive holds the client to it, to one and a half times."""
    client = rig.connect(keep_alive=60)
    server_keep_alive = client.connack.properties.server_keep_alive
    if server_keep_alive is None or server_keep_alive > 10:
        raise NotApplicable("the Server takes the Keep Alive of the client, or a long one")
    rig.wait(1.5 * server_keep_alive - rig.earliness)
    client.expect_silence()
    rig.wait(rig.earliness + rig.lateness)
    client.expect_closed(0x8D)
