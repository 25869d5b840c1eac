"""The half of a Network Connection that both roles share: bytes in, packets out.

What is asked here is asked of any role; the broker's answers stand for those of both.
"""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.settings import Settings
from mqttwist.session.connection import (
    AUTHENTICATING,
    AWAITING_CONNECT,
    CLOSED,
    CONNECTED,
    HOLD_LIMIT,
    Connection,
)
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.connect import ConnAck, Connect
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5, Packet
from mqttwist.wire.publish import Publish
from tests.session.rig import Link, Packets, RecordingTransport, payloads, publish

MAXIMUM_PACKET_SIZE = 2000
PONG = PingResp().encode(MQTT_5)


def encoded(*packets: Packet | Publish) -> bytes:
    return b"".join([packet.encode(MQTT_5) for packet in packets])


class RecordingTrace:
    """Keeps what it sees: the connection, "received" or "sent", the bytes."""

    def __init__(self) -> None:
        self.seen: list[tuple[Connection, str, bytes]] = []

    def received(self, connection: Connection, packet: bytes) -> None:
        self.seen.append((connection, "received", packet))

    def sent(self, connection: Connection, packets: bytes) -> None:
        self.seen.append((connection, "sent", packets))


class ConnectionTestCase(SynchronousTestCase):
    """A client that has connected, and a broker that shows what comes in and may let a login wait."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.trace = RecordingTrace()
        settings = Settings(maximum_packet_size=MAXIMUM_PACKET_SIZE)
        self.broker = Broker(MemoryStore(), self.clock.seconds, settings, self.login, trace=self.trace)
        self.turn, self.metrics = self.broker.turn, self.broker.metrics
        self.login_waits = False
        self.link = self.connect()
        self.connection, self.recorder = self.link.connection, self.link.recorder

    def login(self, connection: ServerConnection, connect: Connect) -> None:
        if not self.login_waits:
            connection.accept(None)

    def connect(self, client_id: str = "client", version: int = MQTT_5) -> Link:
        """A client connects; the CONNACK is read, and nothing has been seen."""
        link = Link(self.broker, version=0)
        link.connection.receive_data(Connect(client_id, version=version).encode(version))
        if not self.login_waits:
            self.assertEqual([type(packet) for packet in link.sent()], [ConnAck])
        self.trace.seen.clear()
        return link

    def received(self) -> Packets:
        """What packets were handed to the role, so far."""
        data = [
            packet for one, way, packet in self.trace.seen if way == "received" and one is self.connection
        ]
        return decode_stream(b"".join(data), MQTT_5)

    def let_wait(self, *payloads: bytes) -> None:
        """Let messages wait for room, which is not made by this."""
        session = self.connection.session
        for payload in payloads:
            if session is not None:
                session.outgoing.deliver(Message("topic", payload, 1), 1, False, (), "", True)


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


class WritingTests(ConnectionTestCase):
    """Packets out."""

    def test_one_write_in_a_turn(self) -> None:
        """All answers to one read are written in one go."""
        before = self.metrics.bytes_sent
        self.link.receive(PingReq(), PingReq(), PingReq())
        self.assertEqual(self.recorder.writes, [PONG * 3])
        self.assertEqual(self.metrics.bytes_sent - before, 6)

    def test_flush_of_nothing(self) -> None:
        """With nothing to send nothing is written."""
        self.connection.flush()
        self.assertEqual(self.recorder.writes, [])

    def test_trace(self) -> None:
        """A trace sees every packet that comes, one by one, and every write, each with its connection."""
        self.link.receive(PingReq(), publish(b"x", 0), PingReq())
        data = encoded(PingReq(), publish(b"x", 0))
        self.connection.receive_data(data[:5])
        self.connection.receive_data(data[5:])
        ping, message = encoded(PingReq()), encoded(publish(b"x", 0))
        expected = [
            ("received", ping), ("received", message), ("received", ping), ("sent", PONG * 2),
            ("received", ping), ("sent", PONG), ("received", message),
        ]  # fmt: skip
        self.assertEqual(self.trace.seen, [(self.connection, way, data) for way, data in expected])

    def test_trace_of_the_last_words(self) -> None:
        """What is written at the close is seen, too."""
        self.connection.receive_data(b"\x00\x00")
        [(connection, way, data)] = self.trace.seen
        self.assertEqual((connection, way, data[0]), (self.connection, "sent", 0xE0))


class TransportFullTests(ConnectionTestCase):
    """A transport that takes no more for now."""

    def test_outbox_is_held(self) -> None:
        """What is sent stays in the outbox and is written in one go when the transport is ready."""
        self.connection.transport_full()
        self.link.receive(PingReq())
        self.link.receive(PingReq(), PingReq())
        self.assertEqual(self.recorder.writes, [])
        self.connection.transport_ready()
        self.assertEqual(self.recorder.writes, [PONG * 3])

    def test_held(self) -> None:
        """`held` is how many bytes are in the outbox, however often it is asked."""
        self.assertEqual(self.connection.held(), 0)
        self.connection.transport_full()
        for count in range(1, 6):
            self.connection.send(bytes(count))
            self.assertEqual([self.connection.held() for _ in range(3)], [count * (count + 1) // 2] * 3)
        self.connection.transport_ready()
        self.assertEqual(self.connection.held(), 0)
        self.connection.send(b"abc")
        self.assertEqual(self.connection.held(), 3)

    def fill_up(self) -> None:
        """Let ten answers less be held than are allowed."""
        self.connection.transport_full()
        self.connection.send(PONG * (HOLD_LIMIT // len(PONG) - 10))
        self.turn.end()

    def test_reading_pauses(self) -> None:
        """A peer that lets us answer but does not read is not read from when too much is held."""
        self.fill_up()
        for _ in range(10):
            self.link.receive(PingReq())
            self.assertTrue(self.recorder.is_reading)
        self.link.receive(PingReq())
        self.assertFalse(self.recorder.is_reading)
        self.connection.transport_ready()
        self.assertTrue(self.recorder.is_reading)
        self.assertEqual(self.recorder.writes, [PONG * (HOLD_LIMIT // len(PONG) + 1)])
        self.link.receive(PingReq())
        self.assertTrue(self.recorder.is_reading)

    def test_another_pause(self) -> None:
        """The end of another pause does not resume the reading of a peer that does not read."""
        self.fill_up()
        self.link.receive(*[PingReq()] * 11)
        self.connection.pause_reading()
        self.connection.resume_reading()
        self.assertFalse(self.recorder.is_reading)
        self.connection.transport_ready()
        self.connection.pause_reading()
        self.connection.resume_reading()
        self.assertTrue(self.recorder.is_reading)

    def test_room(self) -> None:
        """When it is ready, what was held is written and then there is room for what waits, in one turn."""
        self.connection.transport_full()
        self.link.receive(PingReq())
        self.let_wait(b"a")
        self.connection.transport_ready()
        self.assertEqual(len(self.recorder.writes), 2)
        self.assertEqual(self.link.sent(), [PingResp(), publish(b"a", 1, 1)])

    def test_no_room_if_full_again(self) -> None:
        """If what was held fills it again there is no room yet."""
        self.connection.transport_full()
        self.link.receive(PingReq())
        self.let_wait(b"a")
        self.recorder.room = 1
        self.connection.transport_ready()
        self.assertEqual((self.link.sent(), self.connection.held()), ([PingResp()], 0))
        self.connection.transport_ready()
        self.assertEqual(payloads(self.link.sent()), [b"a"])

    def test_room_is_wanted(self) -> None:
        """Who wanted room gets it when what was sent is written, once."""
        self.let_wait(b"a")
        self.connection.wants_room = True
        self.link.receive(PingReq())
        self.assertEqual(self.link.sent(), [PingResp(), publish(b"a", 1, 1)])
        self.assertFalse(self.connection.wants_room)
        self.let_wait(b"b")
        self.link.receive(PingReq())
        self.assertEqual(self.link.sent(), [PingResp()])

    def test_room_is_wanted_of_a_full_transport(self) -> None:
        """If that filled the transport, who wanted room gets it when the transport is ready."""
        self.let_wait(b"a")
        self.connection.wants_room = True
        self.recorder.room = 1
        self.link.receive(PingReq())
        self.assertEqual((self.link.sent(), self.connection.held()), ([PingResp()], 0))
        self.connection.transport_ready()
        self.assertEqual(payloads(self.link.sent()), [b"a"])

    def test_full_in_the_midst(self) -> None:
        """A transport that becomes full with a write is written to no more."""
        self.recorder.room = 1
        self.link.receive(PingReq())
        self.link.receive(PingReq())
        self.assertEqual(self.recorder.writes, [PONG])


class ClosingTests(ConnectionTestCase):
    """The end of it."""

    def test_last_words(self) -> None:
        """What is in the outbox is written, then the transport is closed."""
        self.connection.send(PONG)
        self.connection.close()
        self.assertEqual(self.link.sent(), [PingResp()])
        self.assertTrue(self.recorder.is_closed)
        self.turn.end()
        self.assertEqual(self.link.sent(), [])

    def test_once(self) -> None:
        """A connection that is closed is not closed again."""
        self.connection.close()
        self.recorder.is_closed = False
        self.connection.close()
        self.assertFalse(self.recorder.is_closed)

    def test_nothing_to_say(self) -> None:
        """With nothing in the outbox nothing is written."""
        self.connection.close()
        self.assertEqual(self.recorder.writes, [])

    def test_while_full(self) -> None:
        """The last words go to a full transport, too: it keeps them until they can go out."""
        self.connection.transport_full()
        self.link.receive(PingReq())
        self.connection.close()
        self.assertEqual(self.link.sent(), [PingResp()])

    def test_within_a_read(self) -> None:
        """What stands behind the packet that led to the close is not looked at."""
        self.link.receive(Disconnect(), PingReq())
        self.link.receive(PingReq())
        self.assertEqual(self.received(), [Disconnect()])
        self.assertEqual(self.link.sent(), [])

    def test_nothing_comes_in(self) -> None:
        """What comes in after the close is not even counted."""
        self.connection.close()
        before = self.metrics.bytes_received
        self.link.receive(PingReq())
        self.assertEqual(self.metrics.bytes_received, before)

    def test_nothing_is_written_after_it(self) -> None:
        """What is sent to a connection that is closed is thrown away."""
        self.connection.close()
        self.connection.send(PONG)
        self.turn.end()
        self.connection.transport_ready()
        self.assertEqual(self.recorder.writes, [])

    def test_no_room(self) -> None:
        """A connection that is closed has no room for what waits; that stays for the next."""
        self.let_wait(b"a")
        self.connection.wants_room = True
        self.connection.send(PONG)
        self.connection.close()
        self.connection.transport_ready()
        self.assertEqual((self.link.sent(), self.connection.outbox), ([PingResp()], []))
        session = self.connection.session
        self.assertEqual(0 if session is None else len(session.outgoing.waiting), 1)
