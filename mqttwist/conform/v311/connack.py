"""3.2 CONNACK. Several of its statements stand beside the checks of CONNECT that prove them."""

from __future__ import annotations

from collections.abc import Iterator

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import connack as connack_of_5
from mqttwist.conform.v5.connect import own_id
from mqttwist.conform.v5.connect_sessions import leave_everything
from mqttwist.conform.v311 import statement
from mqttwist.conform.v311.connect import ACCEPTED, IDENTIFIER_REJECTED, UNACCEPTABLE_LEVEL, nameless
from mqttwist.conform.verdict import NotApplicable, about, require, require_equal
from mqttwist.wire.connect import Will
from mqttwist.wire.control import PingReq, PingResp
from mqttwist.wire.packet import frame

statement("MQTT-3.2.0-1")(connack_of_5.connack_is_the_first_packet)
SERVER_UNAVAILABLE = b"\x20\2\0\3"


def refusals(rig: Rig, client_id: bytes) -> Iterator[tuple[bytes, bytes]]:
    """CONNECT packets that a Server refuses with a CONNACK, and that CONNACK."""
    yield nameless(rig, clean_session=False), IDENTIFIER_REJECTED
    yield frame(0x10, raw.string(b"MQTT") + b"\3\0\0\0" + raw.string(client_id)), UNACCEPTABLE_LEVEL
    yield frame(0x10, raw.string(b"MQTT") + b"\1\2\0\0" + raw.string(client_id)), UNACCEPTABLE_LEVEL


@statement("MQTT-3.2.2-1")
def session_present_is_0_with_clean_session_1(rig: Rig) -> None:
    """A CONNACK that accepts Clean Session 1 is 0x20 0x02 0x00 0x00: without a session, and with one."""
    client = rig.connect()
    require_equal(client.packet_bytes, ACCEPTED, "CONNACK for a new client")
    away = leave_everything(rig)
    client = rig.connect(away.client_id)
    require_equal(client.packet_bytes, ACCEPTED, "CONNACK for a client with a session")


@statement("MQTT-3.2.2-2", "MQTT-3.2.2-3")
def session_present_tells_of_a_session(rig: Rig) -> None:
    """With Clean Session 0, Session Present is 0 at first, and 1 each time then, and no other bit is set."""
    client_id = rig.client_id()
    for session_present in (0, 1, 1, 1):
        client = rig.connect(client_id, persistent=True)
        require_equal(client.packet_bytes, bytes((0x20, 2, session_present, 0)), "CONNACK")
        client.disconnect()
    rig.connect(client_id).disconnect()
    client = rig.connect(client_id, persistent=True)
    require_equal(client.packet_bytes, ACCEPTED, "CONNACK after the session was discarded")


@statement("MQTT-3.2.2-4")
def session_present_is_0_in_a_refusal(rig: Rig) -> None:
    """A CONNACK of another return code than 0 has Session Present 0, although there is a session."""
    away = leave_everything(rig)
    for packet, wanted in refusals(rig, away.client_id.encode()):
        client = rig.open()
        client.send(packet)
        require_equal(client.read_to_end(), wanted, "what the Server answered")
    again = rig.connect(away.client_id, persistent=True)
    require(again.connack.session_present, "the session is gone")


@statement("MQTT-3.2.2-4", "MQTT-3.2.2-5", maximum_connections=1)
def a_full_server_says_that_it_is_unavailable(rig: Rig) -> None:
    """A Server that takes no more clients says so with return code 3 and Session Present 0, and closes."""
    away = rig.connect(persistent=True)
    away.disconnect()
    there = rig.connect()
    client = rig.open()
    client.send(rig.connect_packet(away.client_id, persistent=True), PingReq())
    connack = client.answer()
    if connack is None or connack.reason_code == 0:
        raise NotApplicable("the Server takes many clients, or refuses them without a word")
    require_equal(client.packet_bytes, SERVER_UNAVAILABLE, "CONNACK")
    client.expect_closed()
    there.expect_nothing()


@statement("MQTT-3.2.2-5")
def after_a_refusal_the_connection_is_closed(rig: Rig) -> None:
    """After a CONNACK of another return code than 0 the connection is closed, and nothing more is sent."""
    rig.connect()
    for packet, wanted in refusals(rig, own_id(rig)[2:]):
        client = rig.open()
        client.send(packet, PingReq())
        require_equal(client.read_to_end(), wanted, "what the Server answered")


@statement("MQTT-3.2.2-6", maximum_qos=1, retain_available=0, maximum_topic_levels=20)
def no_return_code_is_made_up(rig: Rig) -> None:
    """What a Server refuses gets a return code from 1 to 5, or a close without CONNACK."""
    rig.connect()
    for what, will in {
        "a Will QoS of 2": Will(rig.topic(), b"bye", 2),
        "Will Retain": Will(rig.topic(), b"bye", 0, True),
        "a Will Topic of many levels": Will(rig.topic("/" * 1000), b"bye"),
        "a Will Topic with $": Will(f"$SYS/{rig.topic()}", b"bye"),
    }.items():
        client = rig.open()
        client.send(rig.connect_packet(will=will))
        with about(what):
            answer = client.answer()
            if answer is not None and answer.reason_code == 0:
                client.send(PingReq())
                client.expect(PingResp)
                client.disconnect()
            else:
                require(answer is None or answer.reason_code in range(1, 6), f"the Server answered {answer}")
                client.expect_closed()
