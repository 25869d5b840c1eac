"""`mqttwist.stores.sqlite.backlog`: what waits comes out of the file as it was recorded, batches or not."""

from __future__ import annotations

import io
import sqlite3
from random import Random

from mqttwist.__main__ import main
from mqttwist.session.batch import MOST
from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.journal import Changes
from mqttwist.session.metrics import Drops
from mqttwist.session.queue_changes import OWN_BODY
from mqttwist.session.session import Session
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.sqlite.database import Database
from mqttwist.stores.sqlite.schema import Frame
from mqttwist.stores.sqlite.store import SQLiteStore
from mqttwist.wire.message import Message
from mqttwist.wire.packet import PUBCOMP, PUBREC
from tests.stores.sqlite.support import NOW, StoreCase

Seen = tuple[int, bytes | None, int, int, int]
"""Of a delivery: position, payload, Packet Identifier, what it awaits, size."""


def seen(delivery: Delivery) -> Seen:
    payload = None if delivery.message is None else bytes(delivery.message.payload)
    return delivery.position, payload, delivery.packet_id, delivery.awaiting, delivery.size


class BacklogCase(StoreCase):
    """A store whose frames go into the file at once, and what a broker has in memory of sessions 1, 2, 3."""

    def setUp(self) -> None:
        super().setUp()
        self.waiting: dict[int, list[Delivery]] = {}
        self.begin()
        for number in (1, 2, 3):
            session = Session(f"c{number}", QueueLimits(0, 0, False), Drops())
            session.expiry_interval = 1000
            self.store.session_saved(session)
            self.waiting[session.sid] = []
        self.seal()

    def begin(self) -> None:
        """A broker starts."""
        self.store = SQLiteStore(self.path, "off", lambda: NOW)
        self.store.open(self.notices.append, 0.0)
        self.addCleanup(self.store.close)
        self.database = Database(self.path, "off")
        self.addCleanup(self.database.close, True)
        self.journal = self.store.journal
        self.journal.sink = self.commit

    def commit(self, number: int, wall: float, changes: Changes) -> None:
        self.database.commit([Frame(number, wall, changes)])
        self.journal.committed(number, NOW)

    def seal(self) -> None:
        self.journal.seal(NOW)

    def queue(self, sid: int, payload: bytes = b"x", message: Message | None = None) -> Delivery:
        delivery = Delivery(message or Message("t", payload, 2), Grant(2))
        delivery.size = len(payload) + 10
        self.journal.queued(sid, delivery)
        self.waiting[sid].append(delivery)
        return delivery

    def send(self, delivery: Delivery, packet_id: int) -> None:
        self.journal.changed(delivery)
        delivery.packet_id, delivery.awaiting = packet_id, PUBREC

    def release(self, delivery: Delivery) -> None:
        assert delivery.message is not None
        delivery.awaiting = PUBCOMP
        self.journal.released(delivery, delivery.message)
        delivery.message = None

    def over(self, delivery: Delivery) -> None:
        self.waiting[delivery.sid].remove(delivery)
        self.journal.done(delivery)

    def restart(self, sids: tuple[int, ...] = (1, 2, 3)) -> None:
        """The broker is gone; the next one reads what waits for the sessions `sids`, all as it was."""
        self.seal()
        self.database.close(True)
        self.store.close()
        self.begin()
        counted = {sid: (messages, size) for sid, messages, size in self.store.file.backlogs()}
        expected = {
            sid: (len(waiting), sum(one.size for one in waiting))
            for sid, waiting in self.waiting.items()
            if waiting
        }
        self.assertEqual({sid: count for sid, count in counted.items() if count[0]}, expected)
        for session in self.store.sessions():
            if session.sid in sids:
                session.outgoing.waiting.fetch_all()
                found = list(session.outgoing.waiting._deliveries)
                self.assertEqual(
                    [seen(one) for one in found], [seen(one) for one in self.waiting[session.sid]]
                )
                self.waiting[session.sid] = found

    def faults(self) -> str:
        """What `store check` says in its last line."""
        self.seal()
        output = io.StringIO()
        main(["store", "check", self.path], output, output)
        return output.getvalue().splitlines()[-1]


class OrderTests(BacklogCase):
    def test_a_batch(self) -> None:
        """A whole batch; one of which some are over; one that is over."""
        for count in (4, MOST, 5):
            for number in range(count):
                self.queue(1, b"%d" % number)
            self.seal()
        self.restart()
        for delivery in (*self.waiting[1][:4], *self.waiting[1][6:100:3]):
            self.over(delivery)
        self.restart()
        self.assertEqual(self.faults(), "no fault")

    def test_singles_among_batches(self) -> None:
        """What is too large for a batch, has left it, or came alone, comes where it stood."""
        self.queue(1, b"alone")
        self.seal()
        for size in (1, 2, OWN_BODY, 3, 4, 5, OWN_BODY + 1):
            self.queue(1, bytes(size))
        self.seal()
        for number in range(6):
            self.queue(1, b"%d" % number)
        self.queue(1, bytes(OWN_BODY))
        self.seal()
        for place in (1, 2, 8):
            self.send(self.waiting[1][place], place)
        self.seal()
        self.release(self.waiting[1][1])
        self.restart()
        self.assertEqual([one.packet_id for one in self.waiting[1][:10]], [0, 1, 2, 0, 0, 0, 0, 0, 8, 0])

    def test_many_singles(self) -> None:
        """More singles than are read at a time, before a batch and behind it."""
        for _ in range(300):
            self.queue(1, bytes(OWN_BODY))
        self.seal()
        for _ in range(10):
            self.queue(1)
        self.seal()
        for _ in range(300):
            self.queue(1, bytes(OWN_BODY))
        self.restart()

    def test_what_comes_later(self) -> None:
        """Of what is put in while the backlog is not read yet nothing is read with it."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.queue(2)
        self.restart(())
        [session] = [one for one in self.store.sessions() if one.sid == 1]
        late = [self.queue(1, b"late") for _ in range(5)]
        self.seal()
        session.outgoing.waiting.fetch_all()
        self.waiting[1] = list(session.outgoing.waiting._deliveries)
        self.assertEqual([one.position for one in self.waiting[1]], [1, 2, 3, 4, 5])
        for delivery in self.waiting[1][:]:
            self.over(delivery)
        self.waiting[1] = late
        self.restart()
        self.assertEqual(self.faults(), "no fault")

    def test_opened_again(self) -> None:
        """What was over of a batch stays so when the file was closed and opened while it was not read."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.seal()
        self.over(self.waiting[1][0])
        self.restart(())
        [session] = [one for one in self.store.sessions() if one.sid == 1]
        self.database.close(False)
        self.store.close()
        self.store.open(self.notices.append, 0.0)
        session.outgoing.waiting.fetch_all()
        self.assertEqual([one.position for one in session.outgoing.waiting._deliveries], [2, 3, 4, 5])

    def test_numbers_go_on(self) -> None:
        """The positions of a batch are not given again."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.restart()
        self.assertEqual(self.queue(1).position, 6)


class DamageTests(BacklogCase):
    def spoil(self, table: str, column: str, value: object) -> None:
        self.seal()
        self.database.close(True)
        self.store.close()
        connection = sqlite3.connect(self.path)
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        connection.commit()
        connection.close()
        self.begin()

    def test_a_batch(self) -> None:
        """A damaged batch is left out and told of; what stands among it comes."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.queue(1, bytes(OWN_BODY))
        self.spoil("batch", "rows", b"forged")
        [session] = [one for one in self.store.sessions() if one.sid == 1]
        session.outgoing.waiting.fetch_all()
        self.assertEqual([one.position for one in session.outgoing.waiting._deliveries], [6])
        self.assertEqual(
            self.notices,
            [
                f"{self.path}: a damaged row of table batch is left out, with 5 messages: sid 1, position 1",
            ],
        )

    def test_what_is_over(self) -> None:
        """When the row about what is over is damaged, that is told of at the start."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.seal()
        self.over(self.waiting[1][0])
        self.spoil("spent", "position", 2)
        list(self.store.sessions())
        self.assertIn(f"{self.path}: 1 damaged rows of table spent are left out", self.notices)

    def test_highest_of_damaged(self) -> None:
        """A number in a damaged batch does not count, however high it is."""
        for number in range(5):
            self.queue(1, b"%d" % number)
        self.spoil("batch", "last", 1 << 60)
        self.assertEqual(self.store.highest_position, 0)


class ModelTests(BacklogCase):
    def test_random(self) -> None:
        """Whatever is queued, sent, released and over, in whatever frames: the next broker finds the rest."""
        for seed in range(3):
            self.chance = Random(seed)
            self.packet_id = 0
            for _ in range(12):
                for _ in range(self.chance.randrange(200)):
                    self.step()
                self.restart()
            for waiting in self.waiting.values():
                for delivery in waiting[:]:
                    self.over(delivery)
            self.assertEqual(self.faults(), "no fault")
            for table in ("queue", "batch", "spent", "message"):
                [(count,)] = self.store.file._fetch(f"SELECT count(*) FROM {table}", ())
                self.assertEqual(count, 0, table)

    def step(self) -> None:
        sid = self.chance.choice((1, 2, 3))
        what = self.chance.randrange(12)
        if what < 6:
            for _ in range(self.chance.choice((1, 1, 2, 10))):
                self.queue(sid, self.chance.randbytes(self.chance.choice((0, 5, 50, OWN_BODY))))
        elif what == 6:
            shared = Message("shared", b"shared", 2)
            for each in (1, 2, 3):
                self.queue(each, message=shared)
        elif what == 7:
            self.seal()
        elif self.waiting[sid]:
            delivery = self.chance.choice(self.waiting[sid][:20])
            if what < 10 or delivery.awaiting == PUBCOMP:
                self.over(delivery)
            elif delivery.awaiting == PUBREC:
                self.release(delivery)
            else:
                self.packet_id += 1
                self.send(delivery, self.packet_id)
