"""The half of a Network Connection that both roles share: bytes in, packets out."""

from __future__ import annotations

from mqttwist.session.connection import (
    AUTHENTICATING,
    AWAITING_CONNECT,
    CLOSED,
    CONNECTED,
    HOLD_LIMIT,
    Connection,
)
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from mqttwist.wire.errors import MalformedPacket, MQTTError
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5, Packet
from mqttwist.wire.publish import Publish
from tests.session.rig import (
    MAXIMUM_PACKET_SIZE,
    FlowTestCase,
    Packets,
    RecordingConnection,
    payloads,
    publish,
)


class PlayfulConnection(RecordingConnection):
    """Answers PINGREQ. A PUBLISH to "login" is a login that takes a while, one to "bye" a goodbye."""

    def packet_received(self) -> None:
        super().packet_received()
        packet = self.received[-1]
        topic_name = packet.topic_name if isinstance(packet, Publish) else ""
        if isinstance(packet, PingReq):
            self.send(PingResp().encode(self.version))
        elif topic_name == "login":
            self.state = AUTHENTICATING
        elif topic_name == "bye":
            self.close()
        elif topic_name == "bug":
            raise RuntimeError("a bug")

    def fail(self, error: MQTTError) -> None:
        self.send(Disconnect(error.reason_code).encode(self.version))
        super().fail(error)


class BareConnection(Connection):
    """A connection as it is made, for a role that does nothing."""

    def packet_received(self) -> None:
        """Nothing."""

    def fail(self, error: MQTTError) -> None:
        """Nothing."""

    def room_made(self) -> None:
        """Nothing."""


class RecordingTrace:
    """Keeps what it sees."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Connection, bytes]] = []

    def received(self, connection: Connection, packet: bytes) -> None:
        self.seen.append(("received", connection, packet))

    def sent(self, connection: Connection, packets: bytes) -> None:
        self.seen.append(("sent", connection, packets))


class ConnectionTestCase(FlowTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.connection = PlayfulConnection(self.turn, self.metrics)
        self.recorder = self.connection.recorder

    def encoded(self, *packets: Packet | Publish) -> bytes:
        return b"".join([packet.encode(MQTT_5) for packet in packets])


class ReceivingTests(ConnectionTestCase):
    """Bytes in."""

    packets: Packets = [PingReq(), publish(b"x" * 300, 1, 7), PubAck(9), publish(b"", 0), PingReq()]

    def test_all_at_once(self) -> None:
        """One read may bring any number of packets."""
        self.connection.receive(*self.packets)
        self.assertEqual(self.connection.received, self.packets)

    def test_byte_by_byte(self) -> None:
        """A packet may come in any number of reads."""
        for byte in self.encoded(*self.packets):
            self.connection.receive_data(bytes((byte,)))
        self.assertEqual(self.connection.received, self.packets)

    def test_cut_anywhere(self) -> None:
        """Wherever a read ends, what is complete is worked on at once and the rest is kept."""
        data = self.encoded(*self.packets)
        ends = [len(self.encoded(*self.packets[:count])) for count in range(len(self.packets) + 1)]
        for cut in range(len(data) + 1):
            connection = PlayfulConnection(self.turn, self.metrics)
            connection.receive_data(data[:cut])
            self.assertEqual(len(connection.received), sum(end <= cut for end in ends) - 1)
            connection.receive_data(data[cut:])
            self.assertEqual(connection.received, self.packets)

    def test_version(self) -> None:
        """What comes is read in the version that was set; at first only CONNECT is legal [MQTT-3.1.0-1]."""
        connection = PlayfulConnection(self.turn, self.metrics, MQTT_3_1_1)
        connection.receive(publish(b"x", 1, 7))
        self.assertEqual(connection.received, [publish(b"x", 1, 7)])
        self.assertFalse(connection.is_version_5)
        self.assertTrue(self.connection.is_version_5)
        self.connection.set_version(0)
        self.connection.receive_data(PingReq().encode(MQTT_5))
        self.assertEqual([error.clause for error in self.connection.faults], ["MQTT-3.1.0-1"])

    def test_last_received(self) -> None:
        """`last_received` is when data came last; it begins with the connection."""
        self.assertEqual(self.connection.last_received, self.turn.now)
        self.clock.advance(7)
        self.connection.receive_data(b"\xc0")
        self.assertEqual(self.connection.last_received, self.clock.seconds())

    def test_counters(self) -> None:
        """Bytes and packets that come in are counted."""
        self.connection.receive(*self.packets)
        self.connection.receive_data(b"\xc0")
        self.assertEqual(self.metrics.messages_received, len(self.packets))
        self.assertEqual(self.metrics.bytes_received, len(self.encoded(*self.packets)) + 1)
        self.assertEqual(self.metrics.protocol_errors, 0)

    def test_begins(self) -> None:
        """A connection begins with waiting for CONNECT, of a version not known yet."""
        connection = BareConnection(self.recorder, self.turn, self.metrics, 100, "192.0.2.7", None)
        self.assertEqual((connection.state, connection.version), (AWAITING_CONNECT, 0))
        self.assertEqual((connection.peer, connection.decoder.maximum_packet_size), ("192.0.2.7", 100))
        self.assertEqual((connection.outbox, connection.blocked, connection.wants_room), ([], False, False))


class FaultTests(ConnectionTestCase):
    """A fault of the peer is caught in one place."""

    def test_malformed_packet(self) -> None:
        """What was sent before the fault is worked on, what comes after is not, and `fail` is called once."""
        data = self.encoded(PingReq()) + b"\x36\x00" + self.encoded(PingReq())
        self.connection.receive_data(data)
        self.connection.receive_data(data)
        self.assertEqual(self.connection.received, [PingReq()])
        self.assertEqual([type(error) for error in self.connection.faults], [MalformedPacket])
        self.assertEqual(self.metrics.protocol_errors, 1)

    def test_answer_goes_out(self) -> None:
        """What `fail` says is written, after what was to be sent before, and then the transport is closed."""
        self.connection.receive_data(self.encoded(PingReq()) + b"\xf8\x00")
        self.assertEqual(self.connection.sent(), [PingResp(), Disconnect(0x81)])
        self.assertTrue(self.recorder.is_closed)
        self.assertEqual(self.connection.state, CLOSED)

    def test_fault_within_a_packet(self) -> None:
        """A fault found while a packet is decoded is the same as one in its fixed header."""
        self.connection.receive_data(bytes.fromhex("4002 0000"))
        self.assertEqual([error.clause for error in self.connection.faults], ["MQTT-2.2.1-3"])

    def test_too_large(self) -> None:
        """A packet above the maximum is refused from its fixed header, without its body (3.2.2.3.6)."""
        connection = PlayfulConnection(self.turn, self.metrics)
        size = MAXIMUM_PACKET_SIZE
        length = bytes((size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14))
        connection.receive_data(b"\x30" + length)
        self.assertEqual([error.reason_code for error in connection.faults], [0x95])
        self.assertEqual(connection.received, [])

    def test_bug(self) -> None:
        """Anything but a fault of the peer is not caught here: whoever called has to know."""
        self.assertRaises(RuntimeError, self.connection.receive, publish(b"", 0, topic="bug"))
        self.assertEqual(self.connection.faults, [])
        self.assertEqual(self.metrics.protocol_errors, 0)


class LoginTests(ConnectionTestCase):
    """A login may take a while: the loop stops, and goes on when it is called."""

    def test_nothing_is_looked_at(self) -> None:
        """While AUTHENTICATING what comes in is kept and not looked at."""
        login = publish(b"", 0, topic="login")
        self.connection.receive(login, PingReq())
        self.connection.receive(PingReq(), publish(b"x", 0))
        self.assertEqual(self.connection.received, [login])
        self.assertEqual(self.connection.sent(), [])
        self.connection.state = CONNECTED
        self.connection.process()
        self.turn.end()
        self.assertEqual(self.connection.received, [login, PingReq(), PingReq(), publish(b"x", 0)])
        self.assertEqual(self.connection.sent(), [PingResp(), PingResp()])

    def test_byte_by_byte(self) -> None:
        """The same where packets come in pieces meanwhile."""
        login = publish(b"", 0, topic="login")
        self.connection.receive(login)
        for byte in self.encoded(PingReq(), publish(b"x", 0)):
            self.connection.receive_data(bytes((byte,)))
        self.connection.state = CONNECTED
        self.connection.process()
        self.connection.receive(PingReq())
        self.assertEqual(self.connection.received, [login, PingReq(), publish(b"x", 0), PingReq()])

    def test_fault_meanwhile(self) -> None:
        """A fault that came meanwhile is found when the loop goes on."""
        self.connection.receive(publish(b"", 0, topic="login"))
        self.connection.receive_data(b"\x00\x00")
        self.assertEqual(self.connection.faults, [])
        self.connection.state = CONNECTED
        self.connection.process()
        self.assertEqual(len(self.connection.faults), 1)

    def test_reading(self) -> None:
        """Reading may be paused for a login and resumed after it."""
        self.connection.pause_reading()
        self.assertFalse(self.recorder.is_reading)
        self.connection.resume_reading()
        self.assertTrue(self.recorder.is_reading)


class WritingTests(ConnectionTestCase):
    """Packets out."""

    def test_one_write_in_a_turn(self) -> None:
        """All answers to one read are written in one go."""
        self.connection.receive(PingReq(), PingReq(), PingReq())
        self.assertEqual(self.recorder.writes, [PingResp().encode(MQTT_5) * 3])
        self.assertEqual(self.metrics.bytes_sent, 6)

    def test_flush_of_nothing(self) -> None:
        """With nothing to send nothing is written."""
        self.connection.flush()
        self.assertEqual(self.recorder.writes, [])

    def test_trace(self) -> None:
        """A trace sees every packet that comes, one by one, and every write."""
        trace = RecordingTrace()
        connection = PlayfulConnection(self.turn, self.metrics, MQTT_5, trace)
        connection.receive(PingReq(), publish(b"x", 0), PingReq())
        data = self.encoded(PingReq(), publish(b"x", 0))
        connection.receive_data(data[:5])
        connection.receive_data(data[5:])
        ping, message = PingReq().encode(MQTT_5), publish(b"x", 0).encode(MQTT_5)
        pong = PingResp().encode(MQTT_5)
        self.assertEqual(
            [(what, data) for what, _, data in trace.seen],
            [
                ("received", ping), ("received", message), ("received", ping), ("sent", pong + pong),
                ("received", ping), ("sent", pong), ("received", message),
            ],
        )  # fmt: skip
        self.assertEqual({one for _, one, _ in trace.seen}, {connection})

    def test_trace_of_the_last_words(self) -> None:
        """What is written at the close is seen, too."""
        trace = RecordingTrace()
        connection = PlayfulConnection(self.turn, self.metrics, MQTT_5, trace)
        connection.receive_data(b"\x00\x00")
        self.assertEqual([what for what, _, _ in trace.seen], ["sent"])


class TransportFullTests(ConnectionTestCase):
    """A transport that takes no more for now."""

    def test_outbox_is_held(self) -> None:
        """What is sent stays in the outbox and is written in one go when the transport is ready."""
        self.connection.transport_full()
        self.connection.receive(PingReq())
        self.connection.receive(PingReq(), PingReq())
        self.assertEqual(self.recorder.writes, [])
        self.connection.transport_ready()
        self.assertEqual(len(self.recorder.writes), 1)
        self.assertEqual(self.connection.sent(), [PingResp()] * 3)

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

    def test_reading_pauses(self) -> None:
        """A peer that lets us answer but does not read is not read from when too much is held."""
        self.connection.transport_full()
        pong = PingResp().encode(MQTT_5)
        self.connection.send(pong * (HOLD_LIMIT // len(pong) - 10))
        self.turn.end()
        for _ in range(10):
            self.connection.receive(PingReq())
            self.assertTrue(self.recorder.is_reading)
        self.connection.receive(PingReq())
        self.assertFalse(self.recorder.is_reading)
        self.connection.transport_ready()
        self.assertTrue(self.recorder.is_reading)
        self.assertEqual(self.recorder.writes, [pong * (HOLD_LIMIT // len(pong) + 1)])

    def test_login_does_not_resume(self) -> None:
        """What ends another pause does not resume the reading of a peer that does not read."""
        self.connection.transport_full()
        self.connection.send(bytes(HOLD_LIMIT))
        self.connection.receive(PingReq())
        self.connection.pause_reading()
        self.connection.resume_reading()
        self.assertFalse(self.recorder.is_reading)

    def test_room(self) -> None:
        """When it is ready the role is told that there is room, after what was held."""
        self.connection.transport_full()
        self.connection.receive(PingReq())
        self.assertEqual(self.connection.rooms, 0)
        self.connection.transport_ready()
        self.assertEqual(self.connection.rooms, 1)

    def test_no_room_if_full_again(self) -> None:
        """If what was held fills it again there is no room yet."""
        self.connection.transport_full()
        self.connection.receive(PingReq())
        self.recorder.room = 1
        self.connection.transport_ready()
        self.assertEqual(self.connection.rooms, 0)
        self.connection.transport_ready()
        self.assertEqual(self.connection.rooms, 1)

    def test_room_is_wanted(self) -> None:
        """Who wanted room is told once what was sent is written, and only if the transport takes more."""
        self.connection.wants_room = True
        self.connection.receive(PingReq())
        self.assertEqual(self.connection.rooms, 1)
        self.assertFalse(self.connection.wants_room)
        self.connection.wants_room = True
        self.recorder.room = 1
        self.connection.receive(PingReq())
        self.assertEqual(self.connection.rooms, 1)
        self.connection.transport_ready()
        self.assertEqual(self.connection.rooms, 2)

    def test_full_in_the_midst(self) -> None:
        """A transport that becomes full with a write is written to no more."""
        self.recorder.room = 1
        self.connection.receive(PingReq())
        self.connection.receive(PingReq())
        self.assertEqual(len(self.recorder.writes), 1)


class ClosingTests(ConnectionTestCase):
    """The end of it."""

    def test_last_words(self) -> None:
        """What is in the outbox is written, then the transport is closed, once."""
        self.connection.send(PingResp().encode(MQTT_5))
        self.connection.close()
        self.connection.close()
        self.assertEqual(self.connection.sent(), [PingResp()])
        self.assertTrue(self.recorder.is_closed)
        self.turn.end()
        self.assertEqual(self.connection.sent(), [])

    def test_nothing_to_say(self) -> None:
        """With nothing in the outbox nothing is written."""
        self.connection.close()
        self.assertEqual(self.recorder.writes, [])
        self.assertTrue(self.recorder.is_closed)

    def test_while_full(self) -> None:
        """The last words go to a full transport, too: it keeps them until they can go out."""
        self.connection.transport_full()
        self.connection.receive(PingReq())
        self.connection.close()
        self.assertEqual(self.connection.sent(), [PingResp()])

    def test_within_a_read(self) -> None:
        """What stands behind the packet that led to the close is not looked at."""
        self.connection.receive(publish(b"", 0, topic="bye"), PingReq())
        self.connection.receive(PingReq())
        self.assertEqual(len(self.connection.received), 1)
        self.assertEqual(self.connection.sent(), [])

    def test_nothing_is_written_after_it(self) -> None:
        """What is sent to a connection that is closed is thrown away."""
        self.connection.close()
        self.connection.send(PingResp().encode(MQTT_5))
        self.turn.end()
        self.connection.transport_ready()
        self.assertEqual(self.recorder.writes, [])

    def test_no_room(self) -> None:
        """A connection that is closed has no room for what waits."""
        self.connection.wants_room = True
        self.connection.send(PingResp().encode(MQTT_5))
        self.connection.close()
        self.connection.transport_ready()
        self.assertEqual(self.connection.rooms, 0)

    def test_queue_of_a_closed_connection(self) -> None:
        """What waits stays for the next connection when this one is closed with a full transport."""
        connection = self.connect(room=1)
        for payload in (b"a", b"b", b"c"):
            self.deliver(payload, 1)
        connection.close()
        connection.transport_ready()
        self.flow.detach()
        self.assertEqual(payloads(connection.sent()), [b"a"])
        self.assertEqual(payloads(self.connect().sent()), [b"a", b"b", b"c"])
