"""4.12 Enhanced authentication, with a Server that may not support it."""

from __future__ import annotations

from typing import Any, Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.auth import DATA, METHOD, auth, closes_the_connection
from mqttwist.conform.v5.connect_wills import sent, watching, will
from mqttwist.conform.verdict import CheckFailed, about, require, require_equal
from mqttwist.wire.connect import ConnAck
from mqttwist.wire.control import Auth
from mqttwist.wire.packet import frame
from mqttwist.wire.publish import Publish

METHODS: Final = (
    "SCRAM-SHA-1",
    "SCRAM-SHA-256",
    "GS2-KRB5",
    "PLAIN",
    "EXTERNAL",
    "no such method",
    "ключ",
    "",
)


def attempt(rig: Rig, method: str, **options: Any) -> Client:
    """A client that has sent CONNECT with an Authentication Method."""
    client = rig.open()
    client.send(rig.connect_packet(authentication_method=method, **options))
    return client


def next_step(client: Client) -> ConnAck | Auth | None:
    """What the Server says to CONNECT or AUTH: CONNACK, another AUTH, or nothing before it closes."""
    try:
        return client.answer()
    except CheckFailed:  # it is no CONNACK
        return client.expect_next(Auth)


@statement("MQTT-4.12.0-1")
def a_method_that_is_not_supported_closes_the_connection(rig: Rig) -> None:
    """CONNECT with a method nobody has heard of closes the connection, with 0x8C or 0x87 if at all."""
    other = rig.connect()
    for data in (None, b"", b"data"):
        for persistent in (False, True):
            method = f"conform-{rig.client_id()}"
            client = attempt(rig, method, authentication_data=data, persistent=persistent)
            with about(f"Authentication Data {data!r}"):
                client.expect_closed(0x8C, 0x87)
    other.expect_nothing()


@statement("MQTT-4.12.0-1")
def a_method_that_is_not_supported_has_no_effect(rig: Rig) -> None:
    """A CONNECT that is refused for its method disturbs no session, and has no Will published."""
    watcher = watching(rig)
    client = rig.connect(persistent=True)
    client.subscribe(rig.topic(), qos=1)
    for client_id in (client.client_id, rig.client_id()):
        refused = rig.open()
        method = f"conform-{rig.client_id()}"
        refused.send(rig.connect_packet(client_id, authentication_method=method, will=will(rig)))
        refused.expect_closed(0x8C, 0x87)
    watcher.expect_nothing()
    watcher.publish(rig.topic(), b"payload", 1)
    require_equal(client.message().payload, b"payload", "what the client of that name is sent")


@statement("MQTT-4.12.0-4", "MQTT-4.12.0-5")
def nobody_is_accepted_without_the_method(rig: Rig) -> None:
    """CONNECT with a method, and nonsense for data, is refused and closed, or goes on with that method."""
    rig.connect()  # others are
    for method in METHODS:
        client = attempt(rig, method, authentication_data=b"nonsense")
        with about(f"Authentication Method {method!r}"):
            step = next_step(client)
            while isinstance(step, Auth):
                said = (step.reason_code, step.properties.authentication_method)
                require_equal(said, (0x18, method), "Reason Code and Authentication Method of AUTH")
                client.send(auth(0x18, b"\x15" + raw.string(method.encode()) + DATA))
                step = next_step(client)
            if isinstance(step, ConnAck) and step.reason_code < 0x80:
                found = step.properties.authentication_method
                require_equal(found, method, "the Authentication Method of CONNACK")
            else:
                require(client.expect_closed() is None, "expected nothing after CONNACK")


@statement("MQTT-4.12.0-6")
def without_a_method_there_is_no_auth(rig: Rig) -> None:
    """To CONNECT without a method comes CONNACK without one, and never AUTH."""
    several: tuple[dict[str, Any], ...] = (
        {},
        {"persistent": True},
        {"clean_start": False},
        {"keep_alive": 60, "will": will(rig)},
        {"request_problem_information": 0, "request_response_information": 1},
        {"user_properties": (("authentication method", "PLAIN"),)},
    )
    for options in several:
        client = rig.open()
        client.send(rig.connect_packet(**options))
        connack = client.expect_next(ConnAck)
        require_equal(connack.reason_code, 0, "the Reason Code of CONNACK")
        found = (connack.properties.authentication_method, connack.properties.authentication_data)
        require_equal(found, (None, None), "Authentication Method and Authentication Data of CONNACK")
        client.subscribe(rig.topic(), qos=2)
        client.publish(rig.topic(), b"payload", 2)
        client.message()
        client.expect_nothing()


@statement("MQTT-4.12.0-7")
def auth_without_a_method_in_connect_is_refused(rig: Rig) -> None:
    """A client without a method in its CONNECT that sends AUTH, of whatever kind, is sent away."""
    packets = [
        auth(code, properties) for code in (0x00, 0x18, 0x19) for properties in (METHOD, METHOD + DATA)
    ]
    closes_the_connection(rig, [*packets, frame(0xF0, b"")], 0x81, 0x82)


@statement("MQTT-4.12.1-2")
def a_reauthentication_that_fails_closes_the_connection(rig: Rig) -> None:
    """AUTH with 0x19 that cannot succeed closes the connection, what follows is not taken."""
    watcher = watching(rig)
    watcher.subscribe(rig.topic(), qos=1)
    for properties in (METHOD, METHOD + DATA, DATA + METHOD):
        client = rig.connect(will=will(rig))
        client.send(auth(0x19, properties), Publish(rig.topic(), b"after", 1, packet_id=1))
        with about(f"AUTH with {properties!r}"):
            goodbye = client.expect_closed()
            require(goodbye is None or goodbye.reason_code >= 0x80, f"expected an error, got {goodbye}")
            sent(watcher)
