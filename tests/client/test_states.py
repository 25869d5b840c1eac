"""Each packet type in each state: what is legal is taken, all else ends the connection (chapter 3, 4.13)."""

from __future__ import annotations

from typing import Any

from mqttwist.client.connection import OUR_REASONS
from mqttwist.client.errors import ConnectionEnded
from mqttwist.session.connection import CLOSED
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Auth, Disconnect, PingReq, PingResp
from mqttwist.wire.packet import DISCONNECT, MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.reasons import REASON_CODES
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.client.rig import ClientTestCase, Server
from tests.client.test_authentication import Prover

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)
STATES = ("before CONNACK", "authenticating", "connected", "authenticating anew")

SHA = Properties(authentication_method="SHA", authentication_data=b"?")


def packets(version: int, state: str) -> dict[str, Any]:
    """One of each type, well-formed; those that answer something answer what is under way."""
    names: dict[str, Any] = {
        "CONNECT": Connect("server", version),
        "CONNACK": ConnAck(False, 0, SHA if state == "authenticating" else None),
        "PUBLISH": Publish("t", b"x"),
        "PUBACK": PubAck(2),
        "PUBREC": PubRec(3),
        "PUBREL": PubRel(9),
        "PUBCOMP": PubComp(3),
        "SUBSCRIBE": Subscribe(1, [SubscriptionOptions("t")]),
        "SUBACK": SubAck(1, [0]),
        "UNSUBSCRIBE": Unsubscribe(1, ["t"]),
        "UNSUBACK": UnsubAck(4, [0] if version == MQTT_5 else []),
        "PINGREQ": PingReq(),
        "PINGRESP": PingResp(),
        "DISCONNECT": Disconnect(0x8B) if version == MQTT_5 else Disconnect(),
    }
    if version == MQTT_5:
        names["AUTH"] = Auth(0x18, SHA)
    return names


FROM_SERVERS = {
    "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBACK", "UNSUBACK", "PINGRESP",
}  # fmt: skip

# What does not break the protocol. DISCONNECT ends the connection all the same.
LEGAL = {
    "before CONNACK": {"CONNACK"},
    "authenticating": {"CONNACK", "AUTH"},
    "connected": FROM_SERVERS | {"DISCONNECT"},
    "authenticating anew": FROM_SERVERS | {"DISCONNECT", "AUTH"},
}


class StateTests(ClientTestCase):
    def server_in(self, state: str, version: int) -> Server:
        """A Server whose client is in `state`, with one of everything under way."""
        proves = version == MQTT_5 and state != "before CONNACK"
        self.make_client(Prover() if proves else None, versions=(version,), session_expiry_interval=100)
        self.owner.errors.clear()
        server = Server(self.client)
        if state in ("connected", "authenticating anew"):
            server.accept(False, **({"authentication_method": "SHA"} if proves else {}))
            subscriber = self.subscribe("t", 0)
            self.publish(b"1", 1)
            self.publish(b"2", 2)
            self.client.unsubscribe(subscriber)
            if state == "authenticating anew":
                self.client.reauthenticate()
        server.take()
        return server

    def test_every_packet_in_every_state(self) -> None:
        """A legal packet leaves the connection open; any other ends it, in 5.0 after DISCONNECT with 0x82
        [3.1.1: MQTT-4.8.0-1]."""
        for version in VERSIONS:
            for state in STATES:
                if "authenticating" in state and version != MQTT_5:
                    continue
                for name, packet in packets(version, state).items():
                    with self.subTest(version=version, state=state, packet=name):
                        legal = name in LEGAL[state] and (name != "DISCONNECT" or version == MQTT_5)
                        self.check(self.server_in(state, version), packet, name, legal)

    def check(self, server: Server, packet: Any, name: str, legal: bool) -> None:
        server.send(packet)
        sent = server.take()
        faults = self.client.metrics.protocol_errors
        if legal and name != "DISCONNECT":
            self.assertEqual((self.owner.errors, server.is_closed, faults), ([], False, 0))
            return
        self.assertTrue(server.is_closed)
        self.assertEqual(server.connection.state, CLOSED)
        [error] = self.owner.errors
        assert isinstance(error, ConnectionEnded)
        self.assertEqual((error.from_server, faults), (legal, 0 if legal else 1))
        goodbyes = [one for one in sent if isinstance(one, Disconnect)]
        said = [] if legal or server.version != MQTT_5 else [Disconnect(0x82)]
        self.assertEqual(goodbyes, said)
        self.assertEqual(sent[len(sent) - len(said) :], said)  # and nothing after it

    def test_auth_before_mqtt_5(self) -> None:
        """Packet type 15 is reserved before MQTT 5.0, and ends the connection."""
        for version in (MQTT_3_1, MQTT_3_1_1):
            server = self.server_in("connected", version)
            server.send_bytes(b"\xf0\x00")
            self.assertTrue(server.is_closed)
            self.assertEqual(server.take(), [])

    def test_wrong_flags(self) -> None:
        """A fixed header with other flags than those listed ends the connection with 0x81 [MQTT-2.1.3-1]
        [MQTT-3.6.1-1] [MQTT-3.14.1-1] [MQTT-3.15.1-1] [3.1.1: MQTT-2.2.2-2] [3.1.1: MQTT-3.6.1-1]."""
        for packet_type in range(16):
            for flags in range(16):
                first = packet_type << 4 | flags
                right = {3: flags, 6: 2, 8: 2, 10: 2}.get(packet_type, 0)
                if packet_type and flags == right:
                    continue
                for version in (MQTT_3_1_1, MQTT_5):
                    with self.subTest(version=version, first=first):
                        server = self.server_in("connected", version)
                        server.send_bytes(bytes((first, 0)))
                        self.assertEqual(server.take(), [Disconnect(0x81)] if version == MQTT_5 else [])
                        self.assertTrue(server.is_closed)

    def test_malformed_packets(self) -> None:
        """What can't be parsed ends the connection with 0x81, in 3.x without a word [MQTT-1.5.4-1]
        [MQTT-1.5.4-2] [MQTT-1.5.5-1] [MQTT-3.3.1-2] [MQTT-3.3.1-4] [3.1.1: MQTT-1.5.3-1]
        [3.1.1: MQTT-1.5.3-2] [3.1.1: MQTT-3.3.1-2] [3.1.1: MQTT-3.3.1-4] [3.1.1: MQTT-4.8.0-1]."""
        malformed = [
            b"\x30\x04\x00\x02a\x00",  # U+0000 in the Topic Name [MQTT-1.5.4-2]
            b"\x30\x05\x00\x03\xed\xa0\x80",  # a surrogate [MQTT-1.5.4-1]
            b"\x30\x80\x00",  # a Remaining Length with a needless byte [MQTT-1.5.5-1]
            b"\x30\xff\xff\xff\xff\x7f",  # and one of five bytes
            b"\x36\x05\x00\x01t\x00\x01",  # QoS 3 [MQTT-3.3.1-4]
            b"\x38\x03\x00\x01t",  # DUP at QoS 0 [MQTT-3.3.1-2]
            b"\x30\x03\x00\x05t",  # a Topic Name that ends behind the packet
            b"\x40\x01\x00",  # half a Packet Identifier
            b"\x00\x00",
        ]
        for version in VERSIONS:
            for data in malformed:
                with self.subTest(version=version, data=data):
                    server = self.server_in("connected", version)
                    server.send_bytes(data)
                    self.assertEqual(server.take(), [Disconnect(0x81)] if version == MQTT_5 else [])
                    self.assertTrue(server.is_closed)

    def test_protocol_errors(self) -> None:
        """What must not be said ends the connection with the Reason Code of the fault [MQTT-3.3.2-2]
        [MQTT-3.3.2-8] [MQTT-3.4.2-1]."""
        known = Publish("", b"x")
        known.topic_alias = 3
        high = Publish("t", b"x")
        high.topic_alias = 65
        wrong: list[tuple[bytes, int]] = [
            (known.encode(MQTT_5), 0x82),  # an alias that was never set (3.3.4)
            (high.encode(MQTT_5), 0x94),  # above our maximum [MQTT-3.3.2-9]
            (b"\x30\x07\x00\x01t\x03\x23\x00\x00", 0x94),  # alias 0 [MQTT-3.3.2-8]
            (b"\x30\x06\x00\x03a/#\x00", 0x81),  # a wildcard in a Topic Name [MQTT-3.3.2-2]
            (b"\x40\x03\x00\x02\x92", 0x82),  # a Reason Code that PUBACK does not have [MQTT-3.4.2-1]
            (b"\x90\x04\x00\x01\x00\x03", 0x82),  # nor SUBACK [MQTT-3.9.3-2]
            (SubAck(77, [0]).encode(MQTT_5), 0x82),  # which answers nothing
            (SubAck(1, [0, 0]).encode(MQTT_5), 0x82),  # or more than was asked [MQTT-3.9.3-1]
            (UnsubAck(4, [0, 0]).encode(MQTT_5), 0x82),
            (UnsubAck(1, [0]).encode(MQTT_5), 0x82),  # an answer of the other kind
        ]
        for data, code in wrong:
            with self.subTest(data=data):
                server = self.server_in("connected", MQTT_5)
                server.send_bytes(data)
                [*_, goodbye] = server.take()
                self.assertEqual(goodbye, Disconnect(code))
                self.assertTrue(server.is_closed)

    def test_what_we_may_say(self) -> None:
        """DISCONNECT of a Client has a Reason Code that is one, and one for Clients [MQTT-3.14.2-1]."""
        self.assertLess(OUR_REASONS, REASON_CODES[DISCONNECT])
        server = self.server_in("connected", MQTT_5)
        for code in range(256):
            if code not in OUR_REASONS:
                self.assertRaises(ValueError, self.client.disconnect, code)
        self.assertEqual((server.take(), server.is_closed), ([], False))
