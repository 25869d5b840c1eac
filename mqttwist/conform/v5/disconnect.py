"""3.14 DISCONNECT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.v5.acknowledgements import tight_client
from mqttwist.conform.v5.connect_wills import sent, watching, will
from mqttwist.conform.v5.errors import IN_CONNECT, MALFORMED, PROTOCOL_ERRORS
from mqttwist.conform.verdict import NotApplicable, about, require
from mqttwist.wire.control import Disconnect
from mqttwist.wire.packet import CONNECT, MQTT_5, PACKET_NAMES, frame

OF_SERVERS: Final = frozenset(
    {0x00, 0x87, 0x89, 0x8B, 0x8D, 0x8E, *range(0x80, 0x84), 0x8F, 0x90, *range(0x93, 0xA3)}
)
FAULTS: Final = MALFORMED | PROTOCOL_ERRORS


def sent_away(rig: Rig) -> Iterator[tuple[str, Client]]:
    """Clients that the Server must send away: for a fault, for a bad alias, and for another connection."""
    for what, fault in FAULTS.items():
        if "No Local" not in what:
            client = rig.connect()
            client.send(fault(rig.topic().encode()))
            yield what, client
    client = rig.connect()
    alias = (client.connack.properties.topic_alias_maximum or 0) + 1
    if alias <= 0xFFFF:
        client.send(raw.publish(MQTT_5, rig.topic().encode(), b"\x23" + alias.to_bytes(2, "big")))
        yield "a Topic Alias that is too large", client
    client = rig.connect()
    rig.connect(client.client_id)
    yield "another connection", client


def goodbyes(rig: Rig) -> list[tuple[str, Disconnect]]:
    """The DISCONNECTs that the Server sends, each with its cause; it may do without."""
    found: list[tuple[str, Disconnect]] = []
    for what, client in sent_away(rig):
        with about(what):
            goodbye = client.expect_closed()
            if isinstance(goodbye, Disconnect):
                found.append((what, goodbye))
    if not found:
        raise NotApplicable("the Server closes without DISCONNECT")
    return found


# What the Server sends


@statement("MQTT-3.14.0-1")
def no_disconnect_comes_before_connack(rig: Rig) -> None:
    """Who is not accepted is sent no DISCONNECT, whatever comes instead of CONNECT or is wrong in it."""
    rig.connect().disconnect()  # others are
    first = {PACKET_NAMES[one]: bytes((one << 4, 0)) for one in range(1, 16) if one != CONNECT}
    faults = {what: fault(rig.topic().encode()) for what, fault in FAULTS.items() if "CONNECT" not in what}
    for what, data in (first | faults | IN_CONNECT).items():
        client = rig.open()
        client.send(data)
        with about(f"{what}, {data!r}"):
            connack = client.answer()
            if connack is None or connack.reason_code >= 0x80:
                require(client.expect_closed() is None, "expected nothing after CONNACK")


@statement("MQTT-3.14.2-1")
def disconnect_has_a_listed_reason_code(rig: Rig) -> None:
    """DISCONNECT of the Server has one of the Reason Codes of Servers, and not one of success."""
    for what, goodbye in goodbyes(rig):
        code = goodbye.reason_code
        require(code in OF_SERVERS, f"{what}: 0x{code:02X} is no Reason Code of a Server")
        require(code >= 0x80, f"{what}: expected a Reason Code of an error, got 0x{code:02X}")


@statement("MQTT-3.14.2-2")
def disconnect_of_the_server_has_no_session_expiry_interval(rig: Rig) -> None:
    """DISCONNECT of the Server has no Session Expiry Interval, whatever its cause."""
    for what, goodbye in goodbyes(rig):
        interval = goodbye.properties.session_expiry_interval
        require(interval is None, f"{what}: a Session Expiry Interval of {interval} came")


@statement("MQTT-3.14.2-3", "MQTT-3.14.2-4")
def disconnect_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes DISCONNECT larger than the client's Maximum Packet Size."""
    _, least = tight_client(rig)
    for maximum in (least, least + 1, least + 10, least + 30, 120):
        for what, fault in FAULTS.items():
            if "No Local" in what:
                continue
            client, _ = tight_client(rig, maximum)
            client.send(fault(rig.topic().encode()))
            came = client.read_to_end()
            with about(f"{what}, Maximum Packet Size {maximum}"):
                require(len(came) <= maximum, f"{len(came)} bytes came: {came!r}")


@statement("MQTT-3.14.4-1", "MQTT-3.14.4-2")
def nothing_comes_after_disconnect(rig: Rig) -> None:
    """DISCONNECT of the Server is the last packet, whatever else was asked for; the connection is closed."""
    publisher = rig.connect()
    topic = rig.topic().encode()
    after = b"".join(
        [
            b"\xc0\0",
            raw.publish(MQTT_5, topic, flags=2, packet_id=b"\0\5"),
            raw.subscribe(MQTT_5, topic + b"/other"),
            raw.publish(MQTT_5, topic),
        ]
    )
    for what, fault in FAULTS.items():
        if "No Local" not in what:
            client = rig.connect()
            client.subscribe(rig.topic(), qos=1)
            client.send(fault(topic + b"/fault") + after)
            publisher.publish(rig.topic(), b"payload", 1)
            with about(what):
                # A message may have come before it, none may afterwards.
                while client.has_message():
                    client.message()
                client.expect_closed()


@statement("MQTT-3.14.4-1", "MQTT-3.14.4-2")
def who_is_sent_away_is_closed(rig: Rig) -> None:
    """The Server closes the connection after DISCONNECT, whatever its cause, with nothing in between."""
    for what, goodbye in goodbyes(rig):
        require(goodbye.reason_code >= 0x80, f"{what}: got {goodbye}")


# What clients send


@statement("MQTT-3.14.1-1")
def reserved_bits_of_disconnect_are_malformed(rig: Rig) -> None:
    """DISCONNECT with reserved bits closes the connection with 0x81, and the Will is published."""
    watcher = watching(rig)
    for flags in range(1, 16):
        for body in (b"", b"\0", b"\0\0", b"\4"):
            client = rig.connect(will=will(rig))
            client.send(frame(0xE0 | flags, body))
            with about(f"flags 0x{flags:X}, then {body!r}"):
                client.expect_closed(0x81)
                sent(watcher)


@statement("MQTT-3.14.2-1")
def each_reason_code_of_disconnect_is_taken(rig: Rig) -> None:
    """DISCONNECT of a client with each of its Reason Codes closes the connection without an answer."""
    codes = (0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99)
    for code in codes:
        for properties in (b"", b"\0", b"\x04\x1f\0\1a", b"\x07\x26\0\1a\0\1b", b"\x05\x11\0\0\0\0"):
            client = rig.connect()
            client.send(frame(0xE0, bytes((code,)) + properties))
            with about(f"Reason Code 0x{code:02X}, then {properties!r}"):
                answer = client.expect_closed()
                require(answer is None, f"expected no answer, {answer} came")


@statement("MQTT-3.14.4-1")
def nothing_is_taken_after_disconnect_of_a_client(rig: Rig) -> None:
    """What a client sends after DISCONNECT is not dealt with, and the client is sent nothing more."""
    watcher, publisher = rig.connect(), rig.connect()
    watcher.subscribe(rig.topic("#"), qos=1)
    client = rig.connect()
    client.subscribe(rig.topic(), qos=1)
    topic = rig.topic().encode()
    client.send(b"\xe0\0" + raw.publish(MQTT_5, topic, flags=2, packet_id=b"\0\1") + b"\xc0\0")
    publisher.publish(rig.topic("other"), b"payload", 1)
    require(client.expect_closed() is None, "expected no answer to DISCONNECT")
    require(watcher.message().topic_name == rig.topic("other"), "a message was taken after DISCONNECT")


@statement("MQTT-3.14.4-3")
def disconnect_discards_the_will(rig: Rig) -> None:
    """DISCONNECT with 0x00, in each of its forms, discards the Will: it is not published then or later."""
    watcher = watching(rig)
    for delay in (None, 60):
        for data in (
            b"\xe0\0",
            b"\xe0\1\0",
            b"\xe0\2\0\0",
            b"\xe0\6\0\4\x1f\0\1a",
            b"\xe0\7\0\5\x11\0\0\0\0",
        ):
            client = rig.connect(will=will(rig, will_delay_interval=delay), persistent=True)
            client.send(data)
            client.expect_closed()
            with about(f"DISCONNECT {data!r}, Will Delay Interval {delay}"):
                watcher.expect_nothing()
                rig.connect(client.client_id).disconnect()  # the session before ends
                watcher.expect_nothing()
    rig.connect(will=will(rig)).drop()
    sent(watcher)


@statement("MQTT-3.14.4-3", slow=True)
def a_discarded_will_is_not_published_later(rig: Rig) -> None:
    """After DISCONNECT with 0x00 the Will is not published when its delay and the session are over."""
    watcher = watching(rig)
    for interval in (1, 2, 60):
        wanted = will(rig, will_delay_interval=1)
        rig.connect(will=wanted, session_expiry_interval=interval).disconnect()
    rig.wait(4)
    watcher.expect_nothing()
    rig.connect(will=will(rig)).drop()
    sent(watcher)
