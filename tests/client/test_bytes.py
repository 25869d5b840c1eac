"""The bytes that a client sends: flags, identifiers, lengths and strings, in every packet that it has."""

from __future__ import annotations

from typing import Any

from mqttwist.client.settings import ClientSettings
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Will
from mqttwist.wire.control import Auth
from mqttwist.wire.decoder import Decoder
from mqttwist.wire.message import Message
from mqttwist.wire.packet import (
    AUTH,
    CONNECT,
    DISCONNECT,
    MQTT_3_1_1,
    MQTT_5,
    PINGREQ,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBSCRIBE,
    UNSUBSCRIBE,
)
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.reasons import REASON_CODES
from mqttwist.wire.subscribe import SubAck
from tests.client.rig import ClientTestCase, Server
from tests.client.test_authentication import Prover, said

OURS = {
    CONNECT, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, UNSUBSCRIBE, PINGREQ, DISCONNECT,
}  # fmt: skip
ILL_FORMED = ("\ud800", "a\udfffb", "a\0b")


class SentBytesTests(ClientTestCase):
    def everything(self, version: int, **limits: Any) -> list[tuple[int, int, bytes]]:
        """All packets that a client of `version` sends: type, flags and what follows the fixed header."""
        proves = version == MQTT_5
        self.make_client(
            Prover() if proves else None, versions=(version,), will=Will("will", b"gone", 1), keep_alive=10
        )
        self.received.clear()
        server = Server(self.client, "me", b"secret")
        if proves:
            server.send(Auth(0x18, said(b"?")), ConnAck(False, 0, said(**limits)))
        else:
            server.send(ConnAck())
        subscriber = self.subscribe("t")
        for qos in (0, 1, 2):
            self.publish(b"x", qos)
        self.client.settle()
        server.send(SubAck(1, [2]), PubAck(2), PubRec(3), PubComp(3), PubRec(77))
        server.send(*[Publish("t", b"x", qos, packet_id=9 * (qos > 0)) for qos in (0, 1)])
        server.send(Publish("t", b"x", 2, packet_id=10))
        for received in self.received:
            received.ack()
        server.send(PubRel(10), PubRel(11))
        self.client.unsubscribe(subscriber)
        self.client.settle()
        self.advance(10)
        self.client.disconnect()
        return self.split(server.written, version)

    def split(self, data: bytes, version: int) -> list[tuple[int, int, bytes]]:
        decoder = Decoder(version)
        decoder.feed(data)
        found = []
        while decoder.advance():
            first = decoder.data[decoder.start]
            found.append((first >> 4, first & 15, decoder.data[decoder.body : decoder.end]))
        self.assertEqual(decoder.buffered, 0)
        return found

    def test_flags(self) -> None:
        """Flags are those that are listed: 0010 of PUBREL, SUBSCRIBE and UNSUBSCRIBE, else 0 [MQTT-2.1.3-1]
        [MQTT-3.6.1-1] [MQTT-3.8.1-1] [MQTT-3.10.1-1] [MQTT-3.15.1-1] [3.1.1: MQTT-2.2.2-1]
        [3.1.1: MQTT-3.6.1-1] [3.1.1: MQTT-3.8.1-1] [3.1.1: MQTT-3.10.1-1]."""
        for version in (MQTT_3_1_1, MQTT_5):
            packets = self.everything(version)
            kinds = {packet_type for packet_type, _, _ in packets}
            self.assertEqual(kinds, OURS | {AUTH} if version == MQTT_5 else OURS)
            for packet_type, flags, _ in packets:
                if packet_type != PUBLISH:
                    expected = 2 if packet_type in (PUBREL, SUBSCRIBE, UNSUBSCRIBE) else 0
                    self.assertEqual(flags, expected, packet_type)

    def test_publish_flags(self) -> None:
        """PUBLISH is first sent with DUP 0 and its QoS, never 3, and without identifier at QoS 0
        [MQTT-3.3.1-2] [MQTT-3.3.1-4] [MQTT-4.3.1-1] [MQTT-4.3.2-2] [MQTT-4.3.3-2] [MQTT-2.2.1-2]
        [MQTT-3.3.2-1] [3.1.1: MQTT-3.3.1-2] [3.1.1: MQTT-3.3.1-4] [3.1.1: MQTT-4.3.1-1] [3.1.1: MQTT-4.3.2-1]
        [3.1.1: MQTT-4.3.3-1] [3.1.1: MQTT-2.3.1-5] [3.1.1: MQTT-3.3.2-1]."""
        for version in (MQTT_3_1_1, MQTT_5):
            publishes = [(flags, body) for kind, flags, body in self.everything(version) if kind == PUBLISH]
            rest = b"\0x" if version == MQTT_5 else b"x"
            expected = [(0, b"\0\1t" + rest), (2, b"\0\1t\0\2" + rest), (4, b"\0\1t\0\3" + rest)]
            self.assertEqual(publishes, expected)
        self.assertRaises(ValueError, self.publish, b"x", 3)

    def test_identifiers(self) -> None:
        """What must have a Packet Identifier has one that is not 0, answers that of the message
        [MQTT-2.2.1-3] [MQTT-2.2.1-5] [3.1.1: MQTT-2.3.1-1] [3.1.1: MQTT-2.3.1-6] [3.1.1: MQTT-4.3.2-2]
        [3.1.1: MQTT-4.3.3-2]."""
        for version in (MQTT_3_1_1, MQTT_5):
            ids: dict[int, list[int]] = {}
            for kind, flags, body in self.everything(version):
                if kind in OURS - {CONNECT, PINGREQ, DISCONNECT} and not (kind == PUBLISH and not flags):
                    at = 3 if kind == PUBLISH else 0
                    ids.setdefault(kind, []).append(int.from_bytes(body[at : at + 2], "big"))
            self.assertEqual(
                ids,
                {SUBSCRIBE: [1], PUBLISH: [2, 3], PUBREL: [3, 77], PUBACK: [9], PUBREC: [10],
                 PUBCOMP: [10, 11], UNSUBSCRIBE: [4]},
            )  # fmt: skip

    def test_empty_properties(self) -> None:
        """Where there are no properties their length is 0 [MQTT-2.2.2-1]."""
        bodies = {
            kind: body for kind, _, body in self.everything(MQTT_5, subscription_identifier_available=0)
        }
        self.assertEqual(bodies[SUBSCRIBE][2], 0)
        self.assertEqual(bodies[UNSUBSCRIBE][2], 0)
        self.assertEqual(bodies[PUBLISH][5], 0)

    def test_shortest_lengths(self) -> None:
        """The Remaining Length has as few bytes as can be [MQTT-1.5.5-1]."""
        server = self.connect()
        for length, header in ((127, 2), (128, 3), (16_383, 3), (16_384, 4), (2_097_151, 4), (2_097_152, 5)):
            self.publish(bytes(length - 4))
            self.client.settle()
            self.assertEqual(len(server.written), header + length)
            server.take()

    def test_reasons(self) -> None:
        """Acknowledgements have Reason Codes of theirs, and no Reason String or User Property
        [MQTT-3.4.2-1] [MQTT-3.4.2-2] [MQTT-3.4.2-3] [MQTT-3.5.2-1] [MQTT-3.5.2-2] [MQTT-3.5.2-3]
        [MQTT-3.6.2-1] [MQTT-3.6.2-2] [MQTT-3.6.2-3] [MQTT-3.7.2-1] [MQTT-3.7.2-2] [MQTT-3.7.2-3]
        [MQTT-3.15.2-1]."""
        for kind, _, body in self.everything(MQTT_5):
            if kind in (PUBACK, PUBREC, PUBREL, PUBCOMP):
                self.assertLessEqual(len(body), 3)
                self.assertIn(body[2] if len(body) == 3 else 0, REASON_CODES[kind])
            elif kind == AUTH:
                self.assertIn(body[0], REASON_CODES[AUTH])

    def test_rejections(self) -> None:
        """A message is rejected with a Reason Code that PUBACK and PUBREC have, or not at all
        [MQTT-3.4.2-1] [MQTT-3.5.2-1]."""
        server = self.connect()
        self.subscribed(server)
        for code in range(256):
            server.send(Publish("t", b"x", 1, packet_id=1))
            received = self.received.pop()
            try:
                received.reject(code)
            except ValueError:
                self.assertFalse(code >= 0x80 and code in REASON_CODES[PUBACK])
                received.ack()
                code = 0  # noqa: PLW2901
            self.assertEqual(server.take(), [PubAck(1, code)])


class StringTests(ClientTestCase):
    def test_ill_formed(self) -> None:
        """No string that is not well-formed UTF-8, or has U+0000 in it, is sent [MQTT-1.5.4-1] [MQTT-1.5.4-2]
        [MQTT-3.1.3-4] [MQTT-3.1.3-11] [MQTT-3.1.3-12] [MQTT-3.8.3-1] [MQTT-3.10.3-1] [3.1.1: MQTT-1.5.3-1]
        [3.1.1: MQTT-1.5.3-2] [3.1.1: MQTT-3.1.3-4] [3.1.1: MQTT-3.1.3-10] [3.1.1: MQTT-3.1.3-11]
        [3.1.1: MQTT-3.8.3-1] [3.1.1: MQTT-3.10.3-1]."""
        for version in (MQTT_3_1_1, MQTT_5):
            for text in ILL_FORMED:
                self.assertRaises(ValueError, ClientSettings, text, (version,))
                self.assertRaises(ValueError, ClientSettings, "", (version,), will=Will(text))
                self.make_client(versions=(version,))
                self.assertRaises(ValueError, Server, self.client, text)
                self.assertIsNone(self.client.connection)
                self.assertRaises(ValueError, self.subscribe, text)  # and so none is unsubscribed from
                self.assertRaises(ValueError, self.publish, b"", 0, topic_name=text)

    def test_properties(self) -> None:
        """Response Topic, Content Type and User Properties are strings, the first without wildcards
        [MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-1.5.7-1]."""
        for text in ILL_FORMED:
            for properties in (
                Properties(response_topic=text),
                Properties(content_type=text),
                Properties(user_properties=((text, "b"),)),
                Properties(user_properties=(("a", text),)),
            ):
                self.assertRaises(ValueError, self.publish, b"", 0, properties=properties)
        for text in ("a/#", "+", ""):
            self.assertRaises(ValueError, self.publish, b"", 0, properties=Properties(response_topic=text))

    def test_topic_names(self) -> None:
        """Names and filters have a character at least and 65,535 bytes at most, names no wildcards
        [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] [MQTT-3.3.2-2] [3.1.1: MQTT-4.7.1-1]
        [3.1.1: MQTT-4.7.1-2] [3.1.1: MQTT-4.7.1-3] [3.1.1: MQTT-4.7.3-1] [3.1.1: MQTT-4.7.3-2]
        [3.1.1: MQTT-4.7.3-3] [3.1.1: MQTT-3.3.2-2]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,))
            for name in ("", "a/+", "#", "\0", "é" * 32_768):
                self.assertRaises(ValueError, Message.create, name, b"", 0)
            for topic_filter in ("", "a#", "#/a", "a+/b", "\0", "é" * 32_768):
                self.assertRaises(ValueError, self.subscribe, topic_filter)
            server = self.connect()
            self.publish(b"", 0, topic_name="x" * 65_535)
            self.subscribe("+/+/#")
            self.assertEqual(len(server.take()), 2)

    def test_byte_order_mark(self) -> None:
        """U+FEFF is a character like others, in what is sent and in what comes [MQTT-1.5.4-3]
        [3.1.1: MQTT-1.5.3-3]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,))
            self.received.clear()
            server = self.connect()
            self.subscribed(server, "#", 0)
            self.publish(b"", 0, topic_name="\ufeffa\ufeff")
            [publish] = server.take()
            self.assertEqual(publish.topic_name, "\ufeffa\ufeff")
            server.send(publish)
            self.assertEqual(self.received[0].topic_name, "\ufeffa\ufeff")
