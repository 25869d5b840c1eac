"""The code's tables against those of the specification, restated in `tests.wire.tables`, row by row."""

from __future__ import annotations

from dataclasses import fields

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire import packet, properties, reasons
from mqttwist.wire.enums import (
    ConnectReturnCode,
    PacketType,
    ProtocolVersion,
    QoS,
    ReasonCode,
    RetainHandling,
)
from mqttwist.wire.properties import PROPERTIES, Properties
from tests.wire import tables

_TYPES = {
    tables.BYTE: properties.BYTE,
    tables.TWO_BYTE_INTEGER: properties.TWO_BYTE_INTEGER,
    tables.FOUR_BYTE_INTEGER: properties.FOUR_BYTE_INTEGER,
    tables.VARIABLE_BYTE_INTEGER: properties.VARIABLE_BYTE_INTEGER,
    tables.STRING: properties.STRING,
    tables.BINARY: properties.BINARY,
    tables.STRING_PAIR: properties.STRING_PAIR,
}

_GREATEST = {tables.BYTE: 255, tables.TWO_BYTE_INTEGER: 65_535, tables.FOUR_BYTE_INTEGER: 4_294_967_295}


class RestatedTests(SynchronousTestCase):
    def test_both_directions_agree(self) -> None:
        """The packets of each property and the properties of each packet are the same relation."""
        by_packet: dict[int, set[int]] = {}
        for row in tables.PROPERTIES:
            for of in row.packets:
                by_packet.setdefault(of, set()).add(row.identifier)
        self.assertEqual(by_packet, tables.PROPERTIES_BY_PACKET)

    def test_how_many(self) -> None:
        """There are 27 properties and 43 Reason Codes, two of which have several names."""
        self.assertEqual(len(tables.PROPERTIES), 27)
        self.assertEqual(len({row.identifier for row in tables.PROPERTIES}), 27)
        self.assertEqual(len(tables.REASON_CODES), 45)
        self.assertEqual(len({value for value, _, _ in tables.REASON_CODES}), 43)


class PropertyTableTests(SynchronousTestCase):
    def test_rows(self) -> None:
        """Every row of table 2-4 has its identifier, name, type, packets and limits."""
        self.assertEqual(len(PROPERTIES), len(tables.PROPERTIES))
        for row, expected in zip(PROPERTIES, tables.PROPERTIES, strict=True):
            with self.subTest(expected.name):
                self.assertEqual(row.identifier, expected.identifier)
                self.assertEqual(row.attribute, expected.name)
                self.assertEqual(row.type, _TYPES[expected.type])
                self.assertEqual(row.packets, expected.packets)
                self.assertEqual(row.repeatable, expected.repeats)
                self.assertEqual(row.section, expected.clause)

    def test_values(self) -> None:
        """The values that are allowed are those of chapter 3; a Topic Alias has a Reason Code of its own."""
        for row, expected in zip(PROPERTIES, tables.PROPERTIES, strict=True):
            least, greatest = expected.valid or (0, 0)
            if greatest in (_GREATEST.get(expected.type), 268_435_455):
                greatest = 0  # as far as the type goes
            with self.subTest(expected.name):
                self.assertEqual((row.minimum, row.maximum), (least, greatest))
                self.assertEqual(row.reason_code, 0x94 if expected.name == "topic_alias" else 0x82)

    def test_attributes(self) -> None:
        """`Properties` has one attribute for each row, in the order of the table, and nothing else."""
        names = [row.name for row in tables.PROPERTIES]
        self.assertEqual([field.name for field in fields(Properties)], names)

    def test_constants(self) -> None:
        """Every property has a constant of its name, which is its identifier."""
        singular = {"subscription_identifiers": "SUBSCRIPTION_IDENTIFIER", "user_properties": "USER_PROPERTY"}
        for row in tables.PROPERTIES:
            with self.subTest(row.name):
                constant = singular.get(row.name, row.name.upper())
                self.assertEqual(getattr(properties, constant), row.identifier)


class ReasonCodeTests(SynchronousTestCase):
    def test_packets(self) -> None:
        """Every packet may carry the Reason Codes of table 2-6 and no others."""
        self.assertEqual(set(reasons.REASON_CODES), tables.HAVE_REASONS)
        for of, codes in reasons.REASON_CODES.items():
            with self.subTest(tables.PACKET_NAMES[of]):
                self.assertEqual(sorted(codes), tables.reason_codes_of(of))

    def test_names(self) -> None:
        """The enum has every name of table 2-6 with its value, and nothing else."""
        expected = {
            name.upper().replace(" ", "_").replace("-", "_"): value for value, name, _ in tables.REASON_CODES
        }
        named = {name: member.value for name, member in ReasonCode.__members__.items()}
        self.assertEqual(named, expected)


class EnumTests(SynchronousTestCase):
    def test_packet_types(self) -> None:
        """The packet types are those of table 2-1, as enum, as constant and as name."""
        for member in PacketType:
            with self.subTest(member.name):
                self.assertEqual(member.name, tables.PACKET_NAMES[member.value])
                self.assertEqual(getattr(packet, member.name), member.value)
                self.assertEqual(packet.PACKET_NAMES[member.value], member.name)
        self.assertEqual([member.value for member in PacketType], list(range(1, 16)))
        self.assertEqual(len(packet.PACKET_NAMES), 16)

    def test_versions(self) -> None:
        """The protocol versions are 3, 4 and 5 (3.1.2.2)."""
        self.assertEqual([member.value for member in ProtocolVersion], [3, 4, 5])
        self.assertEqual((packet.MQTT_3_1, packet.MQTT_3_1_1, packet.MQTT_5), tuple(ProtocolVersion))

    def test_small_enums(self) -> None:
        """QoS and Retain Handling are 0, 1 and 2 (4.3, 3.8.3.1)."""
        self.assertEqual([member.value for member in QoS], [0, 1, 2])
        self.assertEqual([member.value for member in RetainHandling], [0, 1, 2])
        self.assertEqual(int(RetainHandling.SEND_IF_NEW), 1)

    def test_return_codes(self) -> None:
        """The return codes of 3.x have the numbers of 3.1.1, 3.2.2.3."""
        names = (
            "ACCEPTED",
            "UNACCEPTABLE_PROTOCOL_VERSION",
            "IDENTIFIER_REJECTED",
            "SERVER_UNAVAILABLE",
            "BAD_USER_NAME_OR_PASSWORD",
            "NOT_AUTHORIZED",
        )
        self.assertEqual([ConnectReturnCode(value).name for value in range(6)], list(names))


class ReturnCodeTests(SynchronousTestCase):
    def test_nearest(self) -> None:
        """A refusal goes to a 3.x client with the return code that comes nearest (3.1.1: 3.2.2.3)."""
        for code, name, of in tables.RETURN_CODES:
            for reason_code in of:
                with self.subTest(name, reason_code=reason_code):
                    self.assertEqual(reasons.return_code(reason_code), code)

    def test_every_refusal_has_one(self) -> None:
        """Whatever Reason Code CONNACK has, a 3.x client is not told 0, accepted, unless it was."""
        for reason_code in tables.reason_codes_of(tables.CONNACK):
            with self.subTest(reason_code=reason_code):
                self.assertIn(reasons.return_code(reason_code), range(6))
                self.assertEqual(reasons.return_code(reason_code) == 0, reason_code == 0)

    def test_what_is_one_stays_one(self) -> None:
        """A return code that came from a 3.x server is sent on as the same."""
        self.assertEqual([reasons.return_code(code) for code in range(6)], list(range(6)))

    def test_suback(self) -> None:
        """SUBACK of 3.1.1 knows the granted QoS and 0x80, for every failure (3.1.1: 3.9.3)."""
        for reason_code in tables.reason_codes_of(tables.SUBACK):
            with self.subTest(reason_code=reason_code):
                expected = reason_code if reason_code <= 2 else 0x80
                self.assertEqual(reasons.granted(reason_code), expected)
