"""Batches: messages that began to wait for one session in one frame are one row of the store."""

from __future__ import annotations

from marshal import loads

from mqttwist.session.batch import LEAST, MOST
from mqttwist.session.delivery import Delivery
from mqttwist.session.queue_changes import OVERHEAD, OWN_BODY
from mqttwist.wire.message import Message
from mqttwist.wire.packet import PUBACK, PUBCOMP, PUBREC
from tests.session.test_journal import JournalTestCase


class BatchTests(JournalTestCase):
    def queue(self, count: int, sid: int = 1, qos: int = 1) -> list[Delivery]:
        """So many new messages wait, each of 100 bytes as the queue counts them."""
        deliveries = [self.delivery(Message("t", b"%d" % n, qos), sid, qos) for n in range(count)]
        for delivery in deliveries:
            delivery.size = 100
        return deliveries

    def test_one_row(self) -> None:
        """A batch holds the rows that its deliveries would have had, where they begin and end, their size."""
        self.queue(4, 7)
        [row] = self.seal()["batch"][0]
        self.assertEqual(row[:5], (1, 7, 4, 4, 400))
        assert isinstance(row[5], bytes)
        self.assertEqual(loads(row[5]), [(7, 1 + n, 100, 1, b"%d" % n, "t") for n in range(4)])

    def test_few(self) -> None:
        """A few messages have rows of their own; so have those beyond what one batch holds."""
        self.queue(LEAST - 1)
        tables = self.seal()
        self.assertEqual((len(tables["queue"][0]), "batch" in tables), (LEAST - 1, False))
        self.queue(MOST + LEAST - 1)
        tables = self.seal()
        self.assertEqual((len(tables["queue"][0]), len(tables["batch"][0])), (LEAST - 1, 1))
        self.queue(2 * MOST)
        self.assertEqual([row[3] for row in self.seal()["batch"][0]], [MOST, MOST])

    def test_sessions(self) -> None:
        """Each session has batches of its own, whose positions may lie among those of others."""
        for _ in range(LEAST):
            self.queue(1, 1)
            self.queue(1, 2)
        rows = self.seal()["batch"][0]
        self.assertEqual([row[:4] for row in rows], [(1, 1, 7, LEAST), (2, 2, 8, LEAST)])

    def test_large_and_shared_bodies(self) -> None:
        """A message whose body stands by itself is in no batch."""
        self.queue(2)
        self.delivery(Message("t", bytes(OWN_BODY), 1))
        shared = Message("t", b"x", 1)
        self.delivery(shared, 1)
        self.delivery(shared, 2)
        self.queue(2)
        tables = self.seal()
        self.assertEqual([row[1] for row in tables["queue"][0]], [3, 4, 5])
        self.assertEqual([row[:4] for row in tables["batch"][0]], [(1, 1, 7, 4)])

    def test_over_at_once(self) -> None:
        """When all of a batch are over in one frame, its row is removed and nothing else."""
        deliveries = self.queue(10)
        self.seal()
        for delivery in deliveries:
            self.journal.done(delivery)
        self.assertEqual(self.seal(), {"batch": ([], [(1,)])})

    def test_over_bit_by_bit(self) -> None:
        """What is over is told in one row for each batch, which goes with the batch."""
        deliveries = self.queue(10)
        self.seal()
        for place in (0, 9):
            self.journal.done(deliveries[place])
        self.assertEqual(self.seal(), {"spent": ([(1, b"\x01\x02")], [])})
        for place in range(1, 8):
            self.journal.done(deliveries[place])
        self.assertEqual(self.seal(), {"spent": ([(1, b"\xff\x02")], [])})
        self.journal.done(deliveries[8])
        self.journal.done(deliveries[8])  # once is enough
        self.assertEqual(self.seal(), {"batch": ([], [(1,)]), "spent": ([], [(1,)])})

    def test_over_before_the_frame(self) -> None:
        """What is over before the frame goes off is no part of a batch."""
        deliveries = self.queue(LEAST + 1)
        self.journal.done(deliveries[0])
        self.assertEqual([row[0] for row in self.seal()["batch"][0]], [2])

    def test_over_while_the_frame_is_under_way(self) -> None:
        """What a frame under way puts in, the next one removes."""
        deliveries = self.queue(LEAST)
        self.journal.seal(self.clock.seconds())
        for delivery in deliveries:
            self.journal.done(delivery)
        self.journal.committed(1, self.clock.seconds())
        self.assertEqual(self.seal(), {"batch": ([], [(1,)])})

    def test_sent(self) -> None:
        """One that was sent gets a row of its own, with its Packet Identifier, and is over in the batch."""
        deliveries = self.queue(LEAST)
        self.seal()
        sent = deliveries[1]
        self.journal.changed(sent)
        sent.packet_id, sent.awaiting = 5, PUBACK
        self.assertEqual(
            self.seal(),
            {"queue": ([(1, 2, 100, 1, b"1", "t", 5, 1)], []), "spent": ([(1, b"\x02")], [])},
        )
        self.journal.done(sent)
        self.assertEqual(self.seal(), {"queue": ([], [(1, 2)])})

    def test_sent_and_over(self) -> None:
        """One that was sent and acknowledged in one frame never has a row of its own."""
        deliveries = self.queue(LEAST)
        self.seal()
        self.journal.changed(deliveries[0])
        self.journal.done(deliveries[0])
        self.assertEqual(self.seal(), {"spent": ([(1, b"\x01")], [])})

    def test_released(self) -> None:
        """At QoS 2 what PUBREC has confirmed keeps its identifier only, in a row of its own (4.3.3)."""
        deliveries = self.queue(LEAST, qos=2)
        for packet_id, delivery in enumerate(deliveries, 1):
            delivery.packet_id, delivery.awaiting = packet_id, PUBREC
        self.assertEqual(len(self.seal()["batch"][0]), 1)
        first = deliveries[0]
        assert first.message is not None
        first.awaiting = PUBCOMP
        self.journal.released(first, first.message)
        first.message = None
        self.assertEqual(
            self.seal(),
            {"queue": ([(1, 1, 100, 2, None, None, 1, 2)], []), "spent": ([(1, b"\x01")], [])},
        )

    def test_size(self) -> None:
        """However many of a batch are over, it is one change that waits for the disk."""
        deliveries = self.queue(MOST)
        self.seal()
        for delivery in deliveries:
            self.journal.done(delivery)
        self.assertEqual(self.journal.pending_size, OVERHEAD)
