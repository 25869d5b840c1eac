"""Packets out: one write in a turn, transports that are full, and the end of a connection."""

from __future__ import annotations

from mqttwist.session.connection import HOLD_LIMIT, READING_LOGIN
from mqttwist.wire.control import Disconnect, PingReq, PingResp
from tests.session.connected import PONG, ConnectionTestCase, encoded
from tests.session.rig import payloads, publish


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
        self.connection.pause_reading(READING_LOGIN)
        self.connection.resume_reading(READING_LOGIN)
        self.assertFalse(self.recorder.is_reading)
        self.connection.transport_ready()
        self.connection.pause_reading(READING_LOGIN)
        self.connection.resume_reading(READING_LOGIN)
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
