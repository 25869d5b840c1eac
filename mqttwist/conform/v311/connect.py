"""3.1 CONNECT: its flags and its payload. Sessions and wills have modules of their own."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import connect
from mqttwist.conform.v5.connect import closed_by, own_id
from mqttwist.conform.v5.datatypes import ILL_FORMED, NULL
from mqttwist.conform.v311 import statement
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import frame

statement("MQTT-3.1.3-5")(connect.client_identifiers_of_23_letters_and_digits_are_allowed)
statement("MQTT-3.1.3-4")(connect.the_client_identifier_must_be_utf_8)
statement("MQTT-3.1.3-10")(connect.the_will_topic_must_be_utf_8)
statement("MQTT-3.1.3-11")(connect.the_user_name_must_be_utf_8)
statement("MQTT-3.1.4-5")(connect.nothing_after_a_refused_connect_is_processed)
statement("MQTT-3.1.0-1")(connect.the_first_packet_must_be_connect)
statement("MQTT-3.1.0-2")(connect.a_second_connect_closes_the_connection)
statement("MQTT-3.1.0-2")(connect.a_second_connect_of_another_client_does_not_touch_it)
statement("MQTT-3.1.2-3")(connect.the_reserved_flag_must_be_0)
statement("MQTT-3.1.2-18", "MQTT-3.1.2-19", "MQTT-3.1.2-20", "MQTT-3.1.2-21")(
    connect.user_name_and_password_are_there_as_their_flags_say
)
statement("MQTT-3.1.3-3")(connect.the_client_identifier_must_be_there)
statement("MQTT-3.1.4-1")(connect.a_connect_of_another_format_closes_the_connection)
statement("MQTT-3.1.3-1")(connect.the_fields_of_the_payload_come_in_their_order)

UNACCEPTABLE_LEVEL: Final = b"\x20\2\0\1"
IDENTIFIER_REJECTED: Final = b"\x20\2\0\2"
ACCEPTED: Final = b"\x20\2\0\0"
OF_5: Final = (b"\x20\3\0\x84\0", b"\x20\2\0\x84")  # what a Server says that speaks 5.0 as well


def nameless(rig: Rig, clean_session: bool = True) -> bytes:
    """CONNECT with an empty Client Identifier."""
    return rig.nameless_packet(clean_start=clean_session).encode()


@statement("MQTT-3.1.2-1")
def another_protocol_name_is_not_accepted(rig: Rig) -> None:
    """A CONNECT of level 4 whose protocol name is not "MQTT" is not accepted as one of 3.1.1."""
    rig.connect()
    for name in (b"MQIsdp", b"mqtt", b"MQT", b"MQTTT", b"", b"\0MQTT", b"HTTP", b"MQTT\xff"):
        client = rig.open()
        client.send(raw.connect(rig.version, own_id(rig), name=name), PingReq())
        said = client.read_to_end()
        with about(f"protocol name {name!r}"):
            require(not said.startswith(ACCEPTED) and b"\xd0\0" not in said, f"the Server answered {said!r}")


@statement("MQTT-3.1.2-2")
def an_unsupported_level_is_answered_with_return_code_1(rig: Rig) -> None:
    """A protocol level that the Server does not speak is answered with return code 0x01, and a close."""
    rig.connect()
    for level in (0, 1, 2, 3, 6, 7, 127, 255):
        for more in (b"", b"\0"):  # a later version has properties there
            client = rig.open()
            client.send(frame(0x10, raw.string(b"MQTT") + bytes((level, 2, 0, 0)) + more + own_id(rig)))
            said = client.read_to_end()
            allowed = (UNACCEPTABLE_LEVEL, *OF_5) if level > 5 else (UNACCEPTABLE_LEVEL,)
            require(said in allowed, f"level {level}: the Server answered {said!r}")


@statement("MQTT-3.1.2-22")
def there_is_no_password_without_a_user_name(rig: Rig) -> None:
    """The Password Flag without the User Name Flag closes the connection, whatever fields there are."""
    rig.connect()
    user, word = raw.string(b"user"), raw.string(b"word")
    for fields in (word, user + word, b""):
        data = raw.connect(rig.version, own_id(rig) + fields, raw.PASSWORD_FLAG | raw.CLEAN_START)
        closed_by(rig, f"fields {fields!r}", data)


@statement("MQTT-3.1.2-19", "MQTT-3.1.2-21")
def user_name_and_password_are_understood(rig: Rig) -> None:
    """A CONNECT with a User Name, or one and a Password, or with empty ones, is read to its end."""
    rig.connect()
    for username, password in (("user", None), ("user", b"\0word\xff"), ("", b""), ("", None)):
        client = rig.open()
        packet = rig.connect_packet()
        packet.username, packet.password = username, password
        client.send(packet)
        connack = client.answer()
        if connack is None:  # that it is let in is not said
            raise NotApplicable("the Server refuses a login without a word")
        require(connack.reason_code in (0, 4, 5), f"{username!r}, {password!r}: {connack}")


@statement("MQTT-3.1.3-6")
def a_client_without_identifier_is_a_client_of_its_own(rig: Rig) -> None:
    """Clients with an empty Client Identifier and Clean Session 1 have different ones: none takes over."""
    clients: list[Client] = []
    for number in range(5):
        client = rig.open()
        client.send(nameless(rig))
        connack = client.expect_next(ConnAck)
        if connack.reason_code == 2:
            raise NotApplicable("the Server wants a Client Identifier")
        require_equal(client.packet_bytes, ACCEPTED, "CONNACK")
        client.subscribe(rig.topic(str(number)), qos=1)
        clients.append(client)
    publisher = rig.connect()
    for number, client in enumerate(clients):
        publisher.publish(rig.topic(str(number)), str(number).encode(), qos=1)
        require_equal(client.message().payload, str(number).encode(), "the payload")
    for client in clients:
        client.expect_nothing()


@statement("MQTT-3.1.3-7", "MQTT-3.1.3-8")
def a_persistent_client_has_an_identifier(rig: Rig) -> None:
    """An empty Client Identifier with Clean Session 0 is answered with return code 0x02, and a close."""
    rig.connect()
    for packet in (nameless(rig, clean_session=False), raw.connect(4, raw.string(b"") + b"\0\1w\0\0", 0x04)):
        client = rig.open()
        client.send(packet)
        require_equal(client.read_to_end(), IDENTIFIER_REJECTED, "what the Server answered")


@statement("MQTT-3.1.3-9")
def a_client_identifier_that_is_rejected_is_answered_so(rig: Rig) -> None:
    """A Client Identifier that is not allowed is answered with return code 0x02, and a close."""
    for client_id in ("", " ", "#", "+/$SYS", "ключ", "\U0001f986", f"{rig.client_id()}{'x' * 1000}"):
        client = rig.open()
        client.send(rig.connect_packet(client_id) if client_id else nameless(rig))
        with about(f"Client Identifier {client_id[:20]!r} of {len(client_id)} characters"):
            connack = client.expect_next(ConnAck)
            if connack.reason_code:
                require_equal(client.packet_bytes, IDENTIFIER_REJECTED, "CONNACK")
                client.expect_closed()
            else:
                client.send(PingReq())
                client.expect(PingResp)


@statement("MQTT-3.1.4-1")
def a_connect_with_ill_formed_strings_is_not_answered(rig: Rig) -> None:
    """Ill-formed UTF-8 and U+0000 in a string of CONNECT close the connection, and no CONNACK is sent."""
    rig.connect()
    for place, build in raw.IN_CONNECT.items():
        for what, text in (ILL_FORMED | NULL).items():
            closed_by(rig, f"{place} with {what}", build(rig, text))


@statement("MQTT-3.1.4-4")
def connect_is_acknowledged(rig: Rig) -> None:
    """A CONNECT that is accepted is answered with a CONNACK of return code 0."""
    for clean_session in (True, False):
        for keep_alive in (0, 60, 65_535):
            client = rig.open()
            client.send(rig.connect_packet(clean_start=clean_session, keep_alive=keep_alive))
            require_equal(client.expect_next(ConnAck).reason_code, 0, "the return code")
            require_equal(client.packet_bytes, ACCEPTED, "CONNACK")
