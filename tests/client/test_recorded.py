"""A client with a journal: what is stored before what goes out, and what the next process goes on with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mqttwist.client.client import Client
from mqttwist.client.outgoing import AS_IT_IS
from mqttwist.client.settings import ClientSettings
from mqttwist.session.delivery import Delivery
from mqttwist.session.journal import QUEUES, RECEIVED, Changes, Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.rows import RELEASED, SENT, WAITING
from mqttwist.session.session import Session
from mqttwist.session.waiting import QueueLimits
from mqttwist.stores.sqlite.schema import QUEUE
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import PUBCOMP
from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase, Server

SID = 7


class Disk:
    """Frames are on it when the test says so."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.queued: dict[int, tuple[Any, ...]] = {}  # by position
        self.received: set[int] = set()
        self._pending: list[tuple[int, Changes]] = []
        journal.sink = self._take

    def _take(self, number: int, wall: float, changes: Changes) -> None:
        self._pending.append((number, changes))

    @property
    def has_pending(self) -> bool:
        return bool(self._pending)

    def commit(self) -> None:
        """Store what is under way, and what follows from it."""
        while self._pending:
            number, changes = self._pending.pop(0)
            for table, puts, removes in changes:
                if table == QUEUES:
                    self.queued.update({int(str(row[1])): row for row in puts})
                    for row in removes:
                        del self.queued[int(str(row[1]))]
                elif table == RECEIVED:
                    self.received |= {int(str(row[1])) for row in puts}
                    self.received -= {int(str(row[1])) for row in removes}
            self.journal.committed(number, 0.0)

    @property
    def progress(self) -> list[Any]:
        """How far each message is, in their order."""
        at = QUEUE.columns.index("state")
        rows = [row for _, row in sorted(self.queued.items())]
        return [(row[at] if len(row) > at else None) or WAITING for row in rows]

    @property
    def bodies(self) -> int:
        """How many messages have their payload on the disk."""
        at = QUEUE.columns.index("body")
        return len([row for row in self.queued.values() if len(row) > at and isinstance(row[at], bytes)])


class RecordedTests(ClientTestCase):
    def make_client(self, *arguments: Any, **settings: Any) -> Client:
        journal = Journal(self.time)
        self.disk = Disk(journal)
        settings.setdefault("session_expiry_interval", 1_000)
        self.client = Client(
            ClientSettings("us", **settings), self.time, self.owner, lambda: None, journal=journal
        )
        self.client.adopt(self.session(), journal)
        return self.client

    def session(self) -> Session:
        """Our session in a store, with nothing in it."""
        session = Session("us", QueueLimits(0, 0, True), Drops())
        session.sid = SID
        return session

    def commit(self) -> None:
        """Have all on the disk, and whatever goes out then."""
        self.client.settle()
        while self.disk.has_pending:
            self.disk.commit()
            self.client.settle()

    def test_published_offline(self) -> None:
        """What waits is recorded, but for QoS 0, and gone from the disk when it was confirmed (4.1)."""
        for qos in (0, 1, 2):
            self.publish(b"%d" % qos, qos)
        self.commit()
        self.assertEqual((self.disk.progress, self.disk.bodies), ([WAITING, WAITING], 2))
        server = self.connect()
        self.commit()
        self.assertEqual(self.disk.progress, [SENT, SENT])
        self.assertEqual([one.payload for one in server.take()], [b"0", b"1", b"2"])
        server.send(PubAck(1), PubRec(2))
        self.commit()
        self.assertEqual((self.disk.progress, self.disk.bodies), ([RELEASED], 0))
        server.send(PubComp(2))
        self.commit()
        self.assertEqual((self.disk.queued, self.disk.bodies), ({}, 0))
        self.assertEqual(self.ended.payloads, [b"0", b"1", b"2"])

    def test_qos_2_is_withheld(self) -> None:
        """PUBLISH of QoS 2 and PUBREL go out when what they need is stored; QoS 1 does not wait (4.3.3)."""
        server = self.connect()
        self.publish(b"1", 1)
        self.publish(b"2", 2)
        self.assertEqual([one.payload for one in server.take()], [b"1"])
        self.commit()
        self.assertEqual([one.payload for one in server.take()], [b"2"])
        server.send(PubRec(2))
        self.assertEqual(server.take(), [])
        self.commit()
        self.assertEqual((server.take(), self.disk.progress), ([PubRel(2)], [SENT, RELEASED]))

    def test_pubrec_is_withheld(self) -> None:
        """PUBREC and PUBCOMP go out when the identifier is stored, or no more; PUBACK does not wait (4.3)."""
        server = self.connect()
        self.subscribed(server)
        server.send(*[Publish("t", b"x", qos, packet_id=qos) for qos in (2, 1)])
        for received in self.received:
            received.ack()
        self.assertEqual(server.take(), [PubAck(1)])
        self.commit()
        self.assertEqual((server.take(), self.disk.received), ([PubRec(2)], {2}))
        server.send(PubRel(2))
        self.assertEqual(server.take(), [])
        self.commit()
        self.assertEqual((server.take(), self.disk.received), ([PubComp(2)], set()))

    def test_accepted_offline(self) -> None:
        """A QoS 2 message that is accepted without a connection is stored as received [MQTT-4.3.3-10]."""
        server = self.connect()
        self.subscribed(server)
        server.send(Publish("t", b"x", 2, packet_id=4))
        server.hang_up()
        self.received[0].ack()
        self.commit()
        self.assertEqual(self.disk.received, {4})
        server = self.connect(True)
        server.send(Publish("t", b"x", 2, packet_id=4, dup=True))
        self.assertEqual(server.take(), [PubRec(4)])

    def test_session_lost(self) -> None:
        """When the session is lost, the disk forgets it, and has what is sent anew [MQTT-3.2.2-5]."""
        server = self.connect()
        self.subscribed(server)
        for qos in (1, 2, 2):
            self.publish(b"%d" % qos, qos)
        self.commit()
        server.send(PubRec(4), Publish("t", b"x", 2, packet_id=4))
        self.received[0].ack()
        self.commit()
        self.assertEqual((self.disk.progress, self.disk.received), ([SENT, SENT, RELEASED], {4}))
        server.hang_up()
        server = self.connect(False)
        server.take()
        self.commit()
        self.assertEqual((self.disk.progress, self.disk.received, self.disk.bodies), ([SENT], set(), 1))

    def test_ends_on_the_disk(self) -> None:
        """What is taken back, given up, dropped or refused leaves the disk as well."""
        ways: list[Callable[[], object]] = [
            lambda: self.client.withdraw(self.publish(b"x", 1)),
            lambda: self.publish(b"x", 2, deadline=5),
            lambda: [self.publish(b"x", 1) for _ in range(4)],
        ]
        for way in ways:
            self.make_client(queue_messages=2, when_full="drop-oldest")
            way()
            self.advance(6)
            self.commit()
            self.assertLessEqual(len(self.disk.queued), 2)
            server = self.connect(maximum_qos=0)
            self.commit()
            self.assertEqual((self.disk.queued, self.disk.bodies, server.take()), ({}, 0, []))

    def test_the_client_stops(self) -> None:
        """What is on the disk may still be sent, by the next process: so it is told."""
        self.publish(b"0", 0)
        self.publish(b"1", 1)
        self.commit()
        self.client.give_up_all("stopped")
        self.commit()
        self.assertEqual([getattr(one, "maybe", None) for one in self.ended.errors], [False, True])
        self.assertEqual(self.disk.progress, [WAITING])

    def test_the_next_process(self) -> None:
        """The next process sends again what was sent, then what waits, and knows what it received (4.4)."""
        session = self.session()
        for number, awaiting in ((1, 4), (2, 5), (3, PUBCOMP), (4, 0)):
            message = Publish("t", b"%d" % number, 1 if awaiting == 4 else 2)
            delivery = Delivery(message, AS_IT_IS)
            delivery.packet_id = 10 + number if awaiting else 0
            delivery.awaiting = awaiting
            if awaiting == PUBCOMP:
                delivery.message = None
            self.backlog.append(delivery)
        session.outgoing.waiting.take_up(self, 4, 0)
        session.incoming.restore(9)
        self.client.adopt(session, self.disk.journal)
        server = Server(self.client)
        self.assertFalse(server.accept(True).clean_start)
        self.commit()
        sent = [(getattr(one, "payload", b"rel"), one.packet_id) for one in server.take()]
        self.assertEqual(sent, [(b"1", 11), (b"2", 12), (b"rel", 13), (b"4", 14)])
        server.send(Publish("t", b"x", 2, packet_id=9, dup=True))
        self.assertEqual((server.take(), self.owner.unclaimed_messages), ([PubRec(9)], []))

    # A `Backlog`

    def setUp(self) -> None:
        self.backlog: list[Any] = []
        super().setUp()

    def fetch(self) -> list[Any]:
        found, self.backlog = self.backlog, []
        return found
