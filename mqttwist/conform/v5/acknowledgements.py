"""3.4 PUBACK, 3.5 PUBREC, 3.6 PUBREL and 3.7 PUBCOMP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mqttwist.conform.client import Client
from mqttwist.conform.rig import Rig
from mqttwist.conform.v5 import statement
from mqttwist.conform.verdict import CheckFailed, about, require, require_equal
from mqttwist.wire.acknowledge import Acknowledgement, PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import PUBACK, PUBCOMP, PUBREC, PUBREL, frame
from mqttwist.wire.publish import Publish

PUBLISHED: Final = frozenset({0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
RELEASED: Final = frozenset({0x00, 0x92})
FIRST_BYTES: Final = {PUBACK: 0x40, PUBREC: 0x50, PUBREL: 0x62, PUBCOMP: 0x70}

# The Packet Identifier follows the first byte and the length; these follow the Reason Code.
PROPERTIES: Final = (b"", b"\0", b"\x04\x1f\0\1a", b"\x0b\x1f\0\1a\x26\0\1b\0\1c", b"\x07\x26\0\1b\0\1c")


def tight_client(rig: Rig, at_least: int = 20) -> tuple[Client, int]:
    """A client with the smallest Maximum Packet Size that the Server accepts, and that size."""
    for maximum in range(at_least, at_least + 80):
        client = rig.open()
        client.send(rig.connect_packet(maximum_packet_size=maximum))
        connack = client.answer()
        if connack is not None and connack.reason_code == 0:
            return client, maximum
        client.expect_closed()
    raise CheckFailed(f"expected a client to be accepted with a Maximum Packet Size of {at_least + 80}")


def with_code(packet_type: int, packet_id: int, reason_code: int, properties: bytes = b"") -> bytes:
    """An acknowledgement with any Reason Code."""
    return frame(FIRST_BYTES[packet_type], packet_id.to_bytes(2, "big") + bytes((reason_code,)) + properties)


# What the Server sends


def topics(rig: Rig) -> tuple[str, ...]:
    """Somebody subscribes to the first; a message to the last may be refused: it is the Server's own."""
    return rig.topic("one"), rig.topic("none"), f"$SYS/{rig.topic('no')}"


def answers(rig: Rig, client: Client) -> Iterator[Acknowledgement]:
    """What the messages of `client` are answered: all that a client can bring about, with errors, too."""
    subscriber = rig.connect()
    subscriber.subscribe(rig.topic("one"), qos=2)
    for topic_name in topics(rig):
        client.send(Publish(topic_name, b"payload", 1, packet_id=7))
        yield client.expect(PubAck)
        client.send(Publish(topic_name, b"payload", 2, packet_id=8))
        pubrec = client.expect(PubRec)
        yield pubrec
        if pubrec.reason_code < 0x80:
            client.send(PubRel(8))
            yield client.expect(PubComp)
    client.send(PubRel(99))
    yield client.expect(PubComp)  # which there is no message for
    for _ in (1, 2):
        require_equal(subscriber.message().payload, b"payload", "the payload of what was accepted")


def releases(rig: Rig, client: Client) -> Iterator[PubRel]:
    """What PUBREC of `client` is answered: for a message, again for the same one, and for none."""
    client.subscribe(rig.topic("t"), qos=2)
    rig.connect().publish(rig.topic("t"), b"", 2)
    packet_id = client.expect(Publish).packet_id
    for unknown in (0, 0, 9):
        client.send(PubRec(packet_id + unknown))
        yield client.expect(PubRel)


def codes_are_listed(rig: Rig, kind: type[Acknowledgement], listed: frozenset[int]) -> None:
    """Each acknowledgement of this kind that the Server sends has one of the Reason Codes `listed`."""
    client = rig.connect()
    came = releases(rig, client) if kind is PubRel else answers(rig, client)
    codes = [one.reason_code for one in came if isinstance(one, kind)]
    require(set(codes) <= listed, f"unlisted Reason Codes among {codes}")
    require(codes[0] < 0x80, f"expected what is right to be accepted, the Reason Code is 0x{codes[0]:02X}")
    client.expect_nothing()


def sizes_are_kept(rig: Rig, kind: type[Acknowledgement]) -> None:
    """No acknowledgement of this kind is larger than the client's Maximum Packet Size."""
    client, maximum = tight_client(rig, 60 if kind is PubRel else 20)  # it must have room for a message
    came = 0
    for acknowledgement in releases(rig, client) if kind is PubRel else answers(rig, client):
        if isinstance(acknowledgement, kind):
            came += 1
            size = len(client.packet_bytes)
            require(size <= maximum, f"{size} bytes came, the Maximum Packet Size is {maximum}")
    require(came > 0, f"expected a {kind.__name__}, none came")


@statement("MQTT-3.4.2-1")
def puback_has_a_listed_reason_code(rig: Rig) -> None:
    """PUBACK has one of its Reason Codes: with subscribers, without, and where the Server may refuse."""
    codes_are_listed(rig, PubAck, PUBLISHED)


@statement("MQTT-3.5.2-1")
def pubrec_has_a_listed_reason_code(rig: Rig) -> None:
    """PUBREC has one of its Reason Codes: with subscribers, without, and where the Server may refuse."""
    codes_are_listed(rig, PubRec, PUBLISHED)


@statement("MQTT-3.6.2-1")
def pubrel_has_a_listed_reason_code(rig: Rig) -> None:
    """PUBREL has one of its Reason Codes: after a first and a second PUBREC, and after an unknown one."""
    codes_are_listed(rig, PubRel, RELEASED)


@statement("MQTT-3.7.2-1")
def pubcomp_has_a_listed_reason_code(rig: Rig) -> None:
    """PUBCOMP has one of its Reason Codes: after PUBREL for a message, and after an unknown one."""
    codes_are_listed(rig, PubComp, RELEASED)


@statement("MQTT-3.4.2-2", "MQTT-3.4.2-3")
def puback_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes PUBACK larger than the client's Maximum Packet Size."""
    sizes_are_kept(rig, PubAck)


@statement("MQTT-3.5.2-2", "MQTT-3.5.2-3")
def pubrec_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes PUBREC larger than the client's Maximum Packet Size."""
    sizes_are_kept(rig, PubRec)


@statement("MQTT-3.6.2-2", "MQTT-3.6.2-3")
def pubrel_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes PUBREL larger than the client's Maximum Packet Size."""
    sizes_are_kept(rig, PubRel)


@statement("MQTT-3.7.2-2", "MQTT-3.7.2-3")
def pubcomp_keeps_to_the_maximum_packet_size(rig: Rig) -> None:
    """No Reason String or User Property makes PUBCOMP larger than the client's Maximum Packet Size."""
    sizes_are_kept(rig, PubComp)


# What clients send


def awaiting(rig: Rig, publisher: Client, packet_type: int) -> tuple[Client, int]:
    """A client from which the Server awaits an acknowledgement of this type, and its Packet Identifier."""
    client = rig.connect()
    if packet_type == PUBREL:
        client.send(Publish(rig.topic("mine"), b"payload", 2, packet_id=5))
        return client, client.expect(PubRec).packet_id
    client.subscribe(rig.topic(), qos=2)
    publisher.publish(rig.topic(), b"payload", 1 if packet_type == PUBACK else 2)
    packet_id = client.expect(Publish).packet_id
    if packet_type == PUBCOMP:
        client.send(PubRec(packet_id))
        client.expect(PubRel)
    return client, packet_id


def listed_codes_are_taken(rig: Rig, packet_type: int, listed: frozenset[int]) -> None:
    """A client may send each Reason Code `listed`, without properties and with those that may be there."""
    publisher = rig.connect()
    for reason_code in sorted(listed):
        for properties in PROPERTIES:
            client, packet_id = awaiting(rig, publisher, packet_type)
            client.send(with_code(packet_type, packet_id, reason_code, properties))
            with about(f"Reason Code 0x{reason_code:02X}, then {properties!r}"):
                if packet_type == PUBREC and reason_code < 0x80:
                    client.expect_next(PubRel)
                elif packet_type == PUBREL:
                    client.expect_next(PubComp)
                client.expect_nothing()
            client.disconnect()


@statement("MQTT-3.4.2-1")
def each_reason_code_of_puback_is_taken(rig: Rig) -> None:
    """PUBACK of a client is taken with each of its Reason Codes, with and without properties."""
    listed_codes_are_taken(rig, PUBACK, PUBLISHED)


@statement("MQTT-3.5.2-1")
def each_reason_code_of_pubrec_is_taken(rig: Rig) -> None:
    """PUBREC of a client is taken with each of its Reason Codes, with and without properties."""
    listed_codes_are_taken(rig, PUBREC, PUBLISHED)


@statement("MQTT-3.6.2-1")
def each_reason_code_of_pubrel_is_taken(rig: Rig) -> None:
    """PUBREL of a client is taken with each of its Reason Codes, with and without properties."""
    listed_codes_are_taken(rig, PUBREL, RELEASED)


@statement("MQTT-3.7.2-1")
def each_reason_code_of_pubcomp_is_taken(rig: Rig) -> None:
    """PUBCOMP of a client is taken with each of its Reason Codes, with and without properties."""
    listed_codes_are_taken(rig, PUBCOMP, RELEASED)


@statement("MQTT-3.6.1-1")
def pubrel_with_other_flags_closes_the_connection(rig: Rig) -> None:
    """PUBREL with other flags than 0010 closes the connection, with a message to release or without."""
    publisher = rig.connect()
    for flags in {*range(16)} - {2}:
        for packet_id in (5, 6):
            client, _ = awaiting(rig, publisher, PUBREL)
            client.send(frame(PUBREL << 4 | flags, packet_id.to_bytes(2, "big")))
            with about(f"flags 0x{flags:X}, Packet Identifier {packet_id}"):
                client.expect_closed(0x81)


@statement("MQTT-3.6.1-1")
def the_server_sends_pubrel_with_flags_0010(rig: Rig) -> None:
    """The first byte of PUBREL is 0x62: after a PUBREC, after another one, and on a new connection."""
    client = rig.connect(persistent=True)
    for _ in releases(rig, client):
        require_equal(client.packet_bytes[0], 0x62, "the first byte")
    client.drop()
    client = rig.connect(client.client_id, clean_start=False, persistent=True)
    client.expect(PubRel)
    require_equal(client.packet_bytes[0], 0x62, "the first byte of what is sent again")
