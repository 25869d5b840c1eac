"""3.15 AUTH."""

from __future__ import annotations

from typing import Final

from mqttwist.conform import raw
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import about, require_equal
from mqttwist.wire.packet import MQTT_5, frame
from mqttwist.wire.publish import Publish

METHOD: Final = b"\x15" + raw.string(b"SCRAM-SHA-1")
DATA: Final = b"\x16" + raw.string(b"data")


def auth(reason_code: int, properties: bytes = METHOD, flags: int = 0) -> bytes:
    """AUTH with any Reason Code, properties and flags."""
    return frame(0xF0 | flags, bytes((reason_code,)) + raw.listed(MQTT_5, properties))


def closes_the_connection(rig: Rig, packets: list[bytes], *reason_codes: int) -> None:
    """Each of `packets` closes the connection; another client with a subscription notices nothing."""
    other, publisher = rig.connect(), rig.connect()
    other.subscribe(rig.topic(), qos=1)
    for data in packets:
        client = rig.connect()
        client.send(data)
        with about(f"AUTH {data!r}"):
            client.expect_closed(*reason_codes)
    publisher.publish(rig.topic(), b"payload", 1)
    require_equal(other.message().payload, b"payload", "what another client was sent")
    other.expect_nothing()


@statement("MQTT-3.15.1-1")
def auth_with_other_flags_closes_the_connection(rig: Rig) -> None:
    """AUTH with other flags than 0000 is malformed and closes the connection, whatever is in it."""
    wrong = range(1, 16)
    packets = [auth(code, METHOD + DATA, flags) for flags in wrong for code in (0x00, 0x18, 0x19)]
    closes_the_connection(rig, packets + [frame(0xF0 | flags, b"") for flags in wrong], 0x81)


@statement("MQTT-3.15.1-1")
def auth_with_other_flags_is_no_first_packet(rig: Rig) -> None:
    """AUTH with other flags than 0000 in the place of CONNECT, or right after it, closes the connection."""
    rig.connect()
    for flags in range(1, 16):
        first = rig.open()
        first.send(auth(0x18, METHOD, flags))
        after = rig.open()
        after.send(rig.connect_packet(), auth(0x18, METHOD, flags))
        with about(f"flags 0x{flags:X}"):
            first.expect_closed()
            after.connected()
            after.expect_closed(0x81)


@statement("MQTT-3.15.2-1")
def auth_must_have_a_listed_reason_code(rig: Rig) -> None:
    """AUTH of a client with a Reason Code that is none of Authenticate closes the connection."""
    packets = [auth(code) for code in sorted({*range(256)} - {0x00, 0x18, 0x19})]
    closes_the_connection(rig, packets, 0x81, 0x82)


@statement("MQTT-3.15.2-1")
def nothing_is_taken_after_auth_with_an_unlisted_reason_code(rig: Rig) -> None:
    """What comes together with AUTH of an unlisted Reason Code, after it, is not dealt with."""
    watcher = rig.connect()
    watcher.subscribe(rig.topic(), qos=1)
    for code in (0x01, 0x17, 0x1A, 0x80, 0xFF):
        client = rig.connect()
        client.send(auth(code), Publish(rig.topic(), b"after", 1, packet_id=1), b"\xc0\0")
        with about(f"Reason Code 0x{code:02X}"):
            client.expect_closed(0x81, 0x82)
            watcher.expect_nothing()
    rig.reaches(watcher)
