"""The half of a Network Connection that both roles share: bytes in, packets out.

What is asked here is asked of any role; the broker's answers stand for those of both.
"""

from __future__ import annotations

from mqttwist.broker.connection import ServerConnection
from mqttwist.session.connection import AUTHENTICATING, AWAITING_CONNECT, CLOSED, CONNECTED
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import Connect
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from tests.session.connected import MAXIMUM_PACKET_SIZE, PONG, ConnectionTestCase, encoded
from tests.session.rig import Packets, RecordingTransport, publish


class ReceivingTests(ConnectionTestCase):
    """Bytes in."""

    packets: Packets = [PingReq(), publish(b"x" * 300, 1, 7), PubAck(9), publish(b"", 0), PingReq()]

    def test_all_at_once(self) -> None:
        """One read may bring any number of packets."""
        self.link.receive(*self.packets)
        self.assertEqual(self.received(), self.packets)

    def test_byte_by_byte(self) -> None:
        """A packet may come in any number of reads."""
        for byte in encoded(*self.packets):
            self.connection.receive_data(bytes((byte,)))
        self.assertEqual(self.received(), self.packets)

    def test_cut_anywhere(self) -> None:
        """Wherever a read ends, what is complete is worked on at once and the rest is kept."""
        data = encoded(*self.packets)
        ends = [len(encoded(*self.packets[:count])) for count in range(1, len(self.packets) + 1)]
        for cut in range(len(data) + 1):
            self.trace.seen.clear()
            self.connection.receive_data(data[:cut])
            self.assertEqual(len(self.received()), sum(end <= cut for end in ends))
            self.connection.receive_data(data[cut:])
            self.assertEqual(self.received(), self.packets)

    def test_version(self) -> None:
        """What comes is read in the version of the connection, and answered in it."""
        self.assertEqual(self.connection.version, MQTT_5)
        link = self.connect("other", MQTT_3_1_1)
        self.assertEqual(link.connection.version, MQTT_3_1_1)
        link.receive(publish(b"x", 1, 7))
        self.assertEqual(link.sent(), [PubAck(7)])

    def test_last_received(self) -> None:
        """`last_received` is when data came last; it begins with the connection."""
        self.assertEqual(self.connection.last_received, 1000)
        self.clock.advance(7)
        self.connection.receive_data(b"\xc0")
        self.assertEqual(self.connection.last_received, 1007)

    def test_counters(self) -> None:
        """Bytes and packets that come in are counted."""
        packets, size = self.metrics.messages_received, self.metrics.bytes_received
        self.link.receive(*self.packets)
        self.connection.receive_data(b"\xc0")
        self.assertEqual(self.metrics.messages_received - packets, len(self.packets))
        self.assertEqual(self.metrics.bytes_received - size, len(encoded(*self.packets)) + 1)
        self.assertEqual(self.metrics.protocol_errors, 0)

    def test_begins(self) -> None:
        """A connection begins with waiting for CONNECT, of a version not known yet."""
        connection = self.broker.connect(RecordingTransport(), "192.0.2.7")
        self.assertEqual((connection.state, connection.version), (AWAITING_CONNECT, 0))
        self.assertEqual((connection.peer, connection.last_received), ("192.0.2.7", 1000))
        self.assertEqual((connection.outbox, connection.blocked, connection.wants_room), ([], False, False))
        connection.receive_data(encoded(PingReq()))  # [MQTT-3.1.0-1]
        self.assertEqual(connection.state, CLOSED)


class FaultTests(ConnectionTestCase):
    """A fault of the peer is caught in one place."""

    def assert_sent_away(self, reason_code: int) -> None:
        """The last packet is DISCONNECT with `reason_code`, and the transport is closed."""
        last = self.link.sent()[-1]
        self.assertIsInstance(last, Disconnect)
        self.assertEqual(getattr(last, "reason_code", 0), reason_code)
        self.assertTrue(self.recorder.is_closed)
        self.assertEqual(self.connection.state, CLOSED)

    def test_malformed_packet(self) -> None:
        """What was sent before the fault is worked on, what comes after is not; it counts once."""
        data = encoded(PingReq()) + b"\x36\x00" + encoded(PingReq())
        self.connection.receive_data(data)
        self.connection.receive_data(data)
        self.assertEqual(self.received(), [PingReq()])
        self.assertEqual(self.metrics.protocol_errors, 1)
        self.assert_sent_away(0x81)

    def test_answers_go_out(self) -> None:
        """What was to be sent before the fault goes out before the DISCONNECT."""
        self.connection.receive_data(encoded(PingReq(), PingReq()) + b"\xf8\x00")
        self.assertEqual(self.link.sent()[:-1], [PingResp(), PingResp()])

    def test_fault_within_a_packet(self) -> None:
        """A fault found while a packet is decoded is the same as one in its fixed header."""
        self.connection.receive_data(bytes.fromhex("4002 0000"))  # [MQTT-2.2.1-3]
        self.assert_sent_away(0x82)

    def test_too_large(self) -> None:
        """A packet above the maximum is refused from its fixed header, without its body (3.2.2.3.6)."""
        body = MAXIMUM_PACKET_SIZE - 3
        self.connection.receive_data(b"\x30" + bytes((body & 0x7F | 0x80, body >> 7)))
        self.assertEqual(self.connection.state, CONNECTED)
        self.link = self.connect("other")
        self.connection, self.recorder = self.link.connection, self.link.recorder
        body += 1
        self.connection.receive_data(b"\x30" + bytes((body & 0x7F | 0x80, body >> 7)))
        self.assert_sent_away(0x95)

    def test_bug(self) -> None:
        """Anything but a fault of the peer is not caught here: whoever called has to know."""

        def login(connection: ServerConnection, connect: Connect) -> None:
            raise RuntimeError("a bug")

        self.broker.login = login
        self.assertRaises(RuntimeError, self.connect, "other")
        self.assertEqual(self.metrics.protocol_errors, 0)

    def test_bug_keeps_no_one_waiting(self) -> None:
        """What was to be written to others before a bug struck is written with the next turn."""

        def login(connection: ServerConnection, connect: Connect) -> None:
            self.connection.send(PONG)
            raise RuntimeError("a bug")

        self.broker.login = login
        self.assertRaises(RuntimeError, self.connect, "other")
        self.turn.begin()
        self.turn.end()
        self.assertEqual(self.link.sent(), [PingResp()])


class LoginTests(ConnectionTestCase):
    """A login may take a while: the loop stops, and goes on when the login is through."""

    def setUp(self) -> None:
        super().setUp()
        self.login_waits = True
        self.link = self.connect("late")
        self.connection, self.recorder = self.link.connection, self.link.recorder

    def test_nothing_is_looked_at(self) -> None:
        """While AUTHENTICATING what comes in is kept and not looked at."""
        self.assertEqual(self.connection.state, AUTHENTICATING)
        self.link.receive(PingReq())
        self.link.receive(PingReq(), publish(b"x", 0))
        self.assertEqual((self.received(), self.link.sent()), ([], []))
        self.connection.accept(None)
        self.assertEqual(self.received(), [PingReq(), PingReq(), publish(b"x", 0)])
        self.assertEqual(self.link.sent()[1:], [PingResp(), PingResp()])

    def test_byte_by_byte(self) -> None:
        """The same where packets come in pieces meanwhile."""
        for byte in encoded(PingReq(), publish(b"x", 0))[:-1]:
            self.connection.receive_data(bytes((byte,)))
        self.connection.accept(None)
        self.assertEqual(self.received(), [PingReq()])
        self.connection.receive_data(b"x" + encoded(PingReq()))
        self.assertEqual(self.received(), [PingReq(), publish(b"x", 0), PingReq()])

    def test_fault_meanwhile(self) -> None:
        """A fault that came meanwhile is found when the loop goes on."""
        self.connection.receive_data(b"\x00\x00")
        self.assertEqual(self.metrics.protocol_errors, 0)
        self.connection.accept(None)
        self.assertEqual(self.metrics.protocol_errors, 1)
        self.assertEqual(self.connection.state, CLOSED)

    def test_reading(self) -> None:
        """Nothing more is read while a login is waited for."""
        self.assertFalse(self.recorder.is_reading)
        self.connection.accept(None)
        self.assertTrue(self.recorder.is_reading)
