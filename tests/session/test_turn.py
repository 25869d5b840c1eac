"""One turn of the reactor: work first, then one write to each peer."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.broker.broker import Broker
from mqttwist.session.connection import Connection
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.control import PingReq
from tests.session.rig import Link, RecordingTransport


class BrokenTransport(RecordingTransport):
    """Raises at the first write."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = True

    def write(self, data: bytes) -> None:
        if self.is_broken:
            self.is_broken = False
            raise OSError("broken")
        super().write(data)


class AnsweringTransport(RecordingTransport):
    """Lets another connection answer what is written at once, in a turn of its own and after it."""

    def __init__(self, other: Connection) -> None:
        super().__init__()
        self.other = other

    def write(self, data: bytes) -> None:
        super().write(data)
        self.other.turn.begin()
        self.other.send(b"answer to " + data)
        self.other.turn.end()
        self.other.send(b", and more")


class BrokenTrace:
    """Raises at every packet that comes in."""

    def received(self, connection: Connection, packet: bytes) -> None:
        raise RuntimeError("broken")

    def sent(self, connection: Connection, packets: bytes) -> None:
        pass


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        broker = Broker(MemoryStore(), self.clock.seconds)
        self.turn = broker.turn
        self.links = [Link(broker) for _ in range(3)]
        self.connections = [link.connection for link in self.links]

    def writes(self) -> list[list[bytes]]:
        return [link.recorder.writes for link in self.links]

    def test_time(self) -> None:
        """`now` is read at the start of a turn and stays as it is till the next."""
        self.clock.advance(5)
        self.assertEqual(self.turn.now, 0)
        self.assertEqual(self.turn.begin(), 5)
        self.clock.advance(1)
        self.assertEqual(self.turn.now, 5)
        self.turn.end()
        self.assertEqual(self.turn.now, 5)

    def test_one_write_for_each_peer(self) -> None:
        """What a turn sends to a peer is written once, at its end; who is sent nothing is not written to."""
        first, second, _ = self.connections
        for part in (b"a", b"b", b"c"):
            first.send(part)
            second.send(part * 2)
        self.assertEqual(self.writes(), [[], [], []])
        self.turn.end()
        self.assertEqual(self.writes(), [[b"abc"], [b"aabbcc"], []])

    def test_turns_are_apart(self) -> None:
        """What was written is not written again."""
        first = self.connections[0]
        first.send(b"a")
        self.turn.end()
        self.turn.end()
        first.send(b"b")
        self.turn.end()
        self.assertEqual(self.writes()[0], [b"a", b"b"])

    def test_write_that_fails(self) -> None:
        """A transport that fails keeps no other connection from being written to in the next turn."""
        self.connections[1].transport = BrokenTransport()
        for connection in self.connections:
            connection.send(b"a")
        self.assertRaises(OSError, self.turn.end)
        self.turn.begin()
        self.turn.end()
        self.assertEqual([len(self.writes()[0]), len(self.writes()[2])], [1, 1])

    def test_fault_in_the_middle(self) -> None:
        """Whatever is raised while packets are worked on, what was to be sent is sent in this turn."""
        first, second, _ = self.connections
        second.trace = BrokenTrace()
        first.send(b"a")
        self.assertRaises(RuntimeError, second.receive_data, PingReq().encode(second.version))
        self.assertEqual(self.writes()[0], [b"a"])

    def test_turn_within_a_write(self) -> None:
        """A write that leads to another turn, as between two ends in memory, loses nothing."""
        for answering in range(3):
            with self.subTest(answering=answering):
                self.setUp()
                last, first = self.connections[answering], self.connections[answering - 1]
                transport = last.transport = AnsweringTransport(first)
                for connection in self.connections:
                    connection.send(b"a")
                self.turn.end()
                self.assertEqual([connection.outbox for connection in self.connections], [[], [], []])
                self.assertEqual(transport.writes, [b"a"])
                self.assertEqual(b"".join(self.writes()[answering - 1]), b"aanswer to a, and more")
