"""Packets that are right in themselves and wrong where they stand, sent to the broker in every version.

With `test_faults`, whose packets are wrong in themselves, this is what a client can do wrong: some 8,000
streams of bytes, with the versions some 9,400 cases. For each it is checked what the broker answers, and that
a healthy client still gets its messages at QoS 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mqttwist.broker.settings import Settings
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import AUTH, CONNECT, DISCONNECT, PUBLISH
from mqttwist.wire.publish import Publish
from tests.broker.harness import VERSIONS, AnyPacket, TestClient
from tests.broker.test_faults import HealthyTestCase
from tests.wire.building import ALL, V5, V34, V45, field, packet
from tests.wire.vectors import VALID

DEFAULTS = Settings()


@dataclass(frozen=True)
class Misuse:
    """`data` is sent by a client that is connected. `settings` are the broker's that make a fault of it."""

    name: str
    versions: tuple[int, ...]
    data: bytes
    reason_code: int
    clause: str
    settings: Settings = DEFAULTS


def misuse(
    name: str, versions: tuple[int, ...], data: str, reason_code: int, clause: str, **settings: int
) -> Misuse:
    """A row; `data` is hexadecimal."""
    return Misuse(name, versions, bytes.fromhex(data), reason_code, clause, Settings(**settings))


def alias(number: int, topic_name: str = "") -> str:
    """A PUBLISH of 5.0 with a Topic Alias, as hexadecimal."""
    properties = b"\x03\x23" + number.to_bytes(2, "big")
    return packet(0x30, field(topic_name.encode()), properties).hex()


# In this order: one limit of the broker after the other, then properties that only a Server sends.
WRITTEN = [
    misuse("an alias without a name", V5, alias(1), 0x82, "3.3.4"),
    misuse("another alias than the one named", V5, alias(1, "f/a") + alias(2), 0x82, "3.3.4"),
    misuse("an alias one too high", V5, alias(65, "f/a"), 0x94, "MQTT-3.3.2-9"),
    misuse("an alias one too high and no name", V5, alias(65), 0x94, "MQTT-3.3.2-9"),
    misuse("the highest alias", V5, alias(0xFFFF, "f/a"), 0x94, "MQTT-3.3.2-9"),
    misuse("an alias where none may be", V5, alias(1, "f/a"), 0x94, "MQTT-3.3.2-9", topic_alias_maximum=0),
    misuse("QoS 1 where 0 is the highest", V34, "32 05 0001 61 0001", 0x9B, "MQTT-3.2.2-11", maximum_qos=0),
    misuse("QoS 1 where 0 is the highest", V5, "32 06 0001 61 0001 00", 0x9B, "MQTT-3.2.2-11", maximum_qos=0),
    misuse("QoS 2 where 1 is the highest", V34, "34 05 0001 61 0001", 0x9B, "MQTT-3.2.2-11", maximum_qos=1),
    misuse("QoS 2 where 1 is the highest", V5, "34 06 0001 61 0001 00", 0x9B, "MQTT-3.2.2-11", maximum_qos=1),
    misuse(
        "RETAIN where it is not available", V34, "31 03 0001 61", 0x9A, "MQTT-3.2.2-14", retain_available=0
    ),
    misuse(
        "RETAIN where it is not available", V5, "31 04 0001 61 00", 0x9A, "MQTT-3.2.2-14", retain_available=0
    ),
    misuse(
        "a second QoS 2 message where one may be open",
        V5,
        "34 08 0003 662F61 0001 00  34 08 0003 662F61 0002 00",
        0x93,
        "MQTT-3.3.4-7",
        receive_maximum=1,
    ),
    misuse(
        "a QoS 1 message beside the open one",
        V5,
        "34 08 0003 662F61 0001 00  32 08 0003 662F61 0002 00",
        0x93,
        "MQTT-3.3.4-7",
        receive_maximum=1,
    ),
    misuse(
        "a packet of 1,025 bytes where 1,024 may be",
        ALL,
        "30 FE 07",
        0x95,
        "3.2.2.3.6",
        maximum_packet_size=1024,
    ),
    misuse("an expiry where there was none", V5, "E0 07 00 05 11 00000001", 0x82, "3.14.2.2.2"),
    misuse("the longest expiry where there was none", V5, "E0 07 00 05 11 FFFFFFFF", 0x82, "3.14.2.2.2"),
]


def _from_servers() -> Iterator[Misuse]:
    """All packets of the table that only a Server may send, by their type or by what they hold."""
    clauses = {PUBLISH: "MQTT-3.3.4-6", DISCONNECT: "3.14.2.2.5"}
    for vector in VALID:
        if (
            not vector.from_client
            and "every property" not in vector.name
            and "all properties" not in vector.name
        ):
            clause = clauses.get(vector.data[0] >> 4, "2.1.2")
            yield Misuse(vector.name, vector.versions, vector.data, 0x82, clause)


def _out_of_turn() -> Iterator[Misuse]:
    """A second CONNECT, of any version, and AUTH of a client that has named no Authentication Method."""
    for vector in VALID:
        if vector.data[0] >> 4 == CONNECT:
            yield Misuse(f"second: {vector.name}", ALL, vector.data, 0x82, "MQTT-3.1.0-2")
        elif vector.data[0] >> 4 == AUTH:
            yield Misuse(vector.name, V5, vector.data, 0x82, "MQTT-4.12.0-7")


MISUSES = (*WRITTEN, *_from_servers(), *_out_of_turn())


class MisplacedTests(HealthyTestCase):
    def check(self, row: Misuse, version: int, bytewise: bool) -> None:
        healthy = self.begin(row.settings, "healthy/#")
        client = self.connected("faulty", version)
        for piece in [row.data[n : n + 1] for n in range(len(row.data))] if bytewise else [row.data]:
            client.send_bytes(piece)
        self.assertClosed(client, row.reason_code)
        self.assertEqual(self.observer.of("faulted"), [(row.reason_code, row.clause)])
        self.check_healthy(healthy, "healthy/still")

    def test_connected(self) -> None:
        """DISCONNECT with the Reason Code of the fault in MQTT 5.0, a plain close in 3.x (4.13)."""
        for row in MISUSES:
            for version in row.versions:
                for bytewise in (False, True)[: 2 if len(row.data) < 5000 else 1]:
                    with self.subTest(row.name, version=version, bytewise=bytewise):
                        self.check(row, version, bytewise)

    def test_first(self) -> None:
        """Every packet that is no CONNECT closes a new connection without a word [MQTT-3.1.0-1]."""
        healthy = self.begin()
        for vector in VALID:
            if vector.data[0] >> 4 != CONNECT:
                with self.subTest(vector.name):
                    client = self.client()
                    client.send_bytes(vector.data)
                    self.assertEqual((client.transport.data, client.transport.closed), (b"", 1))
        self.check_healthy(healthy)


class PacketIdTests(HealthyTestCase):
    """Packet Identifiers that are unknown or in use are answered; the connection stays (2.2.1, 4.3, 4.4)."""

    def answers(self, version: int, *packets: AnyPacket) -> tuple[TestClient, list[AnyPacket]]:
        """What a client is answered to `packets`, of which the last one counts."""
        client = self.connected("faulty", version)
        for one in packets[:-1]:
            client.send(one)
        return client, client.send(packets[-1])

    def check_answer(
        self, version: int, expected: list[AnyPacket], *packets: AnyPacket, messages: int = 0
    ) -> None:
        with self.subTest(str(packets), version=version):
            healthy = self.begin()
            client, answers = self.answers(version, *packets)
            self.assertEqual(answers, expected)
            client.ping()
            arrived = healthy.take()
            self.assertEqual(len(arrived), messages)
            for one in arrived:
                healthy.ack(one)
            client.disconnect()
            self.check_healthy(healthy)

    def test_unknown(self) -> None:
        """PUBACK and PUBCOMP for nothing are left alone, PUBREC and PUBREL answered with 0x92 in 5.0."""
        for packet_id in (1, 0x0100, 0xFFFF):
            for version in VERSIONS:
                code = 0x92 if version == 5 else 0
                self.check_answer(version, [], PubAck(packet_id))
                self.check_answer(version, [], PubComp(packet_id))
                self.check_answer(version, [PubRel(packet_id, code)], PubRec(packet_id))
                self.check_answer(version, [PubComp(packet_id, code)], PubRel(packet_id))
            self.check_answer(5, [], PubAck(packet_id, 0x80))
            self.check_answer(5, [], PubRec(packet_id, 0x80))
            self.check_answer(5, [], PubComp(packet_id, 0x92))
            self.check_answer(5, [PubComp(packet_id, 0x92)], PubRel(packet_id, 0x92))

    def test_released_already(self) -> None:
        """A second PUBREL finds nothing."""
        for version in VERSIONS:
            code = 0x92 if version == 5 else 0
            begun = Publish("f", b"x", 2, packet_id=7), PubRel(7)
            self.check_answer(version, [PubComp(7, code)], *begun, PubRel(7), messages=1)

    def test_in_use(self) -> None:
        """The identifier of an open QoS 2 message means this message again; for others it is taken (0x91)."""
        begun = Publish("f", b"x", 2, packet_id=7)
        for version in VERSIONS:
            for dup in (False, True):
                again = Publish("f", b"y", 2, packet_id=7, dup=dup)
                self.check_answer(version, [PubRec(7)], begun, again, messages=1)
        self.check_answer(5, [PubAck(7, 0x91)], begun, Publish("f", b"y", 1, packet_id=7), messages=1)
        for version in (3, 4):  # which have no way to say no
            self.check_answer(version, [PubAck(7)], begun, Publish("f", b"y", 1, packet_id=7), messages=2)

    def test_requests_with_an_identifier_in_use(self) -> None:
        """SUBSCRIBE and UNSUBSCRIBE are answered for what they ask, and the open message stays open."""
        for version in VERSIONS:
            with self.subTest(version=version):
                healthy = self.begin()
                client = self.connected("faulty", version)
                client.publish("f", b"x", 2, packet_id=7)
                client.packet_id = 6
                self.assertEqual(client.subscribe("g", qos=1).packet_id, 7)
                client.packet_id = 6
                self.assertEqual(client.unsubscribe("g").packet_id, 7)
                client.take()
                self.assertEqual(client.send(PubRel(7)), [PubComp(7)])
                self.assertEqual(healthy.payloads(), [b"x"])

    def test_of_the_wrong_kind(self) -> None:
        """An acknowledgement of another step, or of the other QoS, confirms nothing."""
        for version in V45:
            for qos, wrong in ((1, PubRec(1)), (1, PubComp(1)), (2, PubAck(1)), (2, PubComp(1))):
                with self.subTest(str(wrong), version=version, qos=qos):
                    healthy = self.begin()
                    client = self.connected("faulty", version)
                    client.subscribe("f", qos=2)
                    client.publish("f", b"x", qos)
                    client.take_one(Publish)
                    client.take()
                    self.assertEqual(client.send(wrong), [])
                    client.ping()
                    session = self.broker.sessions.get("faulty")
                    assert session is not None
                    self.assertEqual(list(session.outgoing.in_flight), [1])
                    self.assertEqual(healthy.payloads(), [b"x"])
