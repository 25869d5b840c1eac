"""CONNECT and CONNACK (3.1, 3.2), as far as the table of vectors does not show it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect, UnsupportedProtocolVersion, Will, decode_protocol_version
from mqttwist.wire.errors import MalformedPacket
from mqttwist.wire.packet import Packet
from mqttwist.wire.properties import Properties
from tests.wire.building import field, packet


def decode_connect(data: bytes) -> Connect:
    """The only packet in `data`, which is a CONNECT."""
    (connect,) = decode_stream(data, 4)
    assert isinstance(connect, Connect)
    return connect


def connect_bytes(name: bytes, version: int, flags: int, *payload: bytes) -> bytes:
    """A CONNECT with whatever is given."""
    properties = b"\x00" if version == 5 else b""
    return packet(0x10, field(name), bytes([version, flags, 0, 60]), properties, *payload)


class VersionTests(SynchronousTestCase):
    def test_name_and_version_belong_together(self) -> None:
        """3 is MQIsdp, 4 and 5 are MQTT; of all others we speak none (3.1.2.1, 3.1.2.2)."""
        for name in (b"MQTT", b"MQIsdp", b"mqtt", b"MQTT ", b"MQT", b"AMQP", b""):
            for version in range(256):
                data = field(name) + bytes([version])
                with self.subTest(name, version=version):
                    if (name, version) in ((b"MQIsdp", 3), (b"MQTT", 4), (b"MQTT", 5)):
                        self.assertEqual(decode_protocol_version(data, 0, len(data)), (version, len(data)))
                        continue
                    with self.assertRaises(UnsupportedProtocolVersion) as caught:
                        decode_protocol_version(data, 0, len(data))
                    known = version if name in (b"MQTT", b"MQIsdp") else -1
                    self.assertEqual(caught.exception.version, known)

    def test_nothing_behind_the_version_is_looked_at(self) -> None:
        """The version is judged first: what follows may be in a form that we do not know."""
        data = packet(0x10, field(b"MQTT"), b"\x06", b"\xff" * 50)
        self.assertRaises(UnsupportedProtocolVersion, decode_stream, data, 5)

    def test_the_version_comes_from_the_packet(self) -> None:
        """Whatever the decoder is set to, a CONNECT says its version itself."""
        for version in (3, 4, 5):
            data = Connect("a", version).encode()
            for decoder_version in (0, 3, 4, 5):
                (connect,) = decode_stream(data, decoder_version)
                assert isinstance(connect, Connect)
                self.assertEqual(connect.version, version)


class ConnectTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """Made with a Client Identifier alone it is a CONNECT of 5.0 with Clean Start and nothing else."""
        connect = Connect("a")
        self.assertEqual((connect.version, connect.clean_start, connect.keep_alive), (5, True, 0))
        self.assertEqual((connect.will, connect.username, connect.password), (None, None, None))
        self.assertEqual(connect.properties, Properties())

    def test_the_longest_fields(self) -> None:
        """Client Identifier, User Name, Password, Will Topic and Payload have up to 65,535 bytes each."""
        long = "x" * 65_535
        will = Will(long, long.encode())
        for version in (3, 4, 5):
            with self.subTest(version=version):
                connect = Connect(long, version, will=will, username=long, password=long.encode())
                self.assertEqual(decode_connect(connect.encode()), connect)

    def test_empty_is_not_absent(self) -> None:
        """An empty user name or password is one."""
        connect = Connect("", 4, keep_alive=60, username="", password=b"")
        self.assertEqual(connect.encode(), connect_bytes(b"MQTT", 4, 0xC2, b"\0\0\0\0\0\0"))
        self.assertEqual(decode_connect(connect.encode()), connect)

    def test_keep_alive(self) -> None:
        """The Keep Alive is 0 to 65,535 seconds (3.1.2.10)."""
        for seconds in (0, 1, 65_535):
            self.assertEqual(decode_connect(Connect("a", keep_alive=seconds).encode()).keep_alive, seconds)
        self.assertRaises(ValueError, Connect("a", keep_alive=65_536).encode)
        self.assertRaises(ValueError, Connect("a", keep_alive=-1).encode)

    def test_encode_ignores_the_argument(self) -> None:
        """The version of a CONNECT is its own, whatever connection it is for."""
        connect = Connect("a", 3)
        self.assertEqual(connect.encode(5), connect.encode())
        self.assertEqual(connect.encode()[2:8], b"\x00\x06MQIs")

    def test_3_x_has_no_properties(self) -> None:
        """For 3.x properties are left out, those of the Will, too."""
        properties = Properties(session_expiry_interval=1)
        will = Will("w", properties=Properties(will_delay_interval=1))
        connect = Connect("a", 4, will=will, properties=properties)
        self.assertEqual(decode_connect(connect.encode()), Connect("a", 4, will=Will("w")))

    def test_a_password_needs_a_user_name_in_3_x(self) -> None:
        """3.1.1 and 3.1 have no password without a user name (3.1.1: [MQTT-3.1.2-22]); 5.0 has."""
        for version in (3, 4):
            self.assertRaises(ValueError, Connect("a", version, password=b"p").encode)
        self.assertEqual(decode_connect(Connect("a", 5, password=b"p").encode()).password, b"p")

    def test_what_can_not_be_said(self) -> None:
        """A CONNECT that a server would refuse is a ValueError."""
        for connect in (
            Connect("a", 6),
            Connect("a", 0),
            Connect("\0"),
            Connect("\ud800"),
            Connect("x" * 65_536),
            Connect("a", username="\0"),
            Connect("a", username="u", password=bytes(65_536)),
            Connect("a", will=Will("")),
            Connect("a", will=Will("a/#")),
            Connect("a", will=Will("w", bytes(65_536))),
            Connect("a", will=Will("w", qos=3)),
            Connect("a", will=Will("w", qos=-1)),
            Connect("a", will=Will("w", properties=Properties(response_topic="#"))),
            Connect("a", will=Will("w", properties=Properties(topic_alias=1))),
            Connect("a", properties=Properties(receive_maximum=0)),
            Connect("a", properties=Properties(will_delay_interval=1)),
        ):
            with self.subTest(repr(connect)[:60]):
                self.assertRaises(ValueError, connect.encode)


class Version31Tests(SynchronousTestCase):
    """What 3.1 allows and later versions do not. Its specification (IBM, Eurotech, 2010) has no clauses."""

    def test_missing_user_name_and_password(self) -> None:
        """In 3.1 the Remaining Length is stronger than the flags: fields may be missing at the end."""
        for flags, payload, username, password in (
            (0x82, b"", None, None),
            (0xC2, b"", None, None),
            (0xC2, field(b"u"), "u", None),
            (0xC2, field(b"u") + field(b"p"), "u", b"p"),
        ):
            with self.subTest(flags=flags, payload=payload):
                connect = decode_connect(connect_bytes(b"MQIsdp", 3, flags, field(b"a"), payload))
                self.assertEqual((connect.username, connect.password), (username, password))

    def test_not_in_3_1_1(self) -> None:
        """In 3.1.1 and 5.0 a field whose flag is set must be there [MQTT-3.1.2-17] [MQTT-3.1.2-19]."""
        for version in (4, 5):
            for flags, payload in ((0x82, b""), (0xC2, b""), (0xC2, field(b"u"))):
                data = connect_bytes(b"MQTT", version, flags, field(b"a"), payload)
                with self.subTest(version=version, flags=flags):
                    self.assertRaises(MalformedPacket, decode_connect, data)

    def test_bits_of_a_will_that_is_not_there(self) -> None:
        """In 3.1 Will QoS and Will Retain are disregarded without a Will; the reserved bit always is."""
        for flags in (0x08, 0x10, 0x18, 0x20, 0x38, 0x01, 0x39):
            with self.subTest(flags=flags):
                connect = decode_connect(connect_bytes(b"MQIsdp", 3, flags, field(b"a")))
                self.assertIsNone(connect.will)
                self.assertFalse(connect.clean_start)
                for version in (4, 5):
                    data = connect_bytes(b"MQTT", version, flags, field(b"a"))
                    self.assertRaises(MalformedPacket, decode_connect, data)

    def test_connack(self) -> None:
        """The first byte of a CONNACK of 3.1 is not used: no Session Present, and no fault."""
        for flags in (0, 1, 0xFF):
            self.assertEqual(decode_stream(bytes([0x20, 2, flags, 0]), 3), [ConnAck()])
        self.assertEqual(ConnAck(True).encode(3), b"\x20\x02\x00\x00")


class WillTests(SynchronousTestCase):
    def test_delay(self) -> None:
        """The Will Delay Interval is 0 where there is none (3.1.3.2.2)."""
        self.assertEqual(Will("w").delay, 0)
        self.assertEqual(Will("w", properties=Properties(will_delay_interval=5)).delay, 5)

    def test_message(self) -> None:
        """The Will Message has the properties of the Will but its delay, user properties in order."""
        properties = Properties(
            will_delay_interval=5,
            message_expiry_interval=60,
            content_type="c",
            user_properties=(("b", "1"), ("a", "2")),
        )
        message = Will("w", b"gone", 1, True, properties).message()
        self.assertEqual((message.topic_name, message.payload, message.qos), ("w", b"gone", 1))
        self.assertTrue(message.retain)
        properties.will_delay_interval = None
        self.assertEqual(message.properties, properties)

    def test_message_of_any_will_that_came(self) -> None:
        """A Will that was decoded makes a message without further checks failing."""
        data = connect_bytes(b"MQTT", 4, 0x3E & ~0x10, field(b"a"), field(b"w/\xe2\x82\xac"), field(b"\xff"))
        will = decode_connect(data).will
        assert will is not None
        self.assertEqual(repr(will.message()), "<Message 'w/\u20ac' qos 1, retain, 1 bytes>")


class ConnAckTests(SynchronousTestCase):
    def test_session_present_only_if_accepted(self) -> None:
        """With a Reason Code other than 0 Session Present is sent as 0 [MQTT-3.2.2-6]."""
        for version in (4, 5):
            self.assertEqual(ConnAck(True, 0x87).encode(version)[2], 0)
            self.assertEqual(ConnAck(True, 0).encode(version)[2], 1)

    def test_3_x_gets_the_return_code(self) -> None:
        """For 3.x the Reason Code is sent as the nearest return code, and nothing else (3.1.1: 3.2.2.3)."""
        properties = Properties(reason_string="no", assigned_client_identifier="x")
        for version in (3, 4):
            self.assertEqual(ConnAck(False, 0x84, properties).encode(version), b"\x20\x02\x00\x01")
            self.assertEqual(ConnAck(False, 0x97, properties).encode(version), b"\x20\x02\x00\x03")

    def test_reason_codes_of_others(self) -> None:
        """A Reason Code that CONNACK must not carry is a ValueError in 5.0 [MQTT-3.2.2-8]."""
        for reason_code in (1, 0x8E, 0x93, 256, -1):
            self.assertRaises(ValueError, ConnAck(False, reason_code).encode, 5)

    def test_own_properties(self) -> None:
        """Each CONNACK and each CONNECT has properties of its own."""
        one, other = ConnAck(), ConnAck()
        one.properties.maximum_qos = 1
        self.assertIsNone(other.properties.maximum_qos)
        self.assertIsInstance(one, Packet)
