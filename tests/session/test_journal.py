"""The journal: changes gather, go off as frames one at a time, and are rows with every column."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.delivery import Delivery
from mqttwist.session.grant import Grant
from mqttwist.session.journal import PENDING_AGE, PENDING_LIMIT, Changes, Journal
from mqttwist.session.metrics import Drops
from mqttwist.session.queue_changes import OVERHEAD, OWN_BODY
from mqttwist.session.rows import Row
from mqttwist.session.session import Session, Subscription
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.connect import Will
from mqttwist.wire.message import Kept, Message
from mqttwist.wire.packet import PUBACK, PUBCOMP, PUBREC
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions

WALL = 4e9  # what the wall clock shows when the other one shows 0
TABLES = ("session", "subscription", "message", "queue", "received", "retained", "will", "batch", "spent")


class JournalTestCase(SynchronousTestCase):
    """`frames` are those that went off: number, wall clock, and of each table what to put and to remove."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.journal = Journal(lambda: WALL + self.clock.seconds())
        self.journal.clock = self.clock.seconds
        self.journal.sink = self.take
        self.frames: list[tuple[int, float, dict[str, tuple[list[Row], list[Row]]]]] = []

    def take(self, number: int, wall: float, changes: Changes) -> None:
        self.frames.append((number, wall, {TABLES[table]: (puts, keys) for table, puts, keys in changes}))

    def seal(self) -> dict[str, tuple[list[Row], list[Row]]]:
        """Have the frame go off and committed; what it has."""
        self.journal.seal(self.clock.seconds())
        number, _, tables = self.frames[-1]
        self.journal.committed(number, self.clock.seconds())
        return tables

    def session(self, client_id: str = "c") -> Session:
        """One that the journal knows, in a frame of its own."""
        session = Session(client_id, QueueLimits(0, 0, False), Drops())
        session.expiry_interval = 100
        self.journal.session_saved(session)
        self.seal()
        return session

    def delivery(self, message: Message, sid: int = 1, qos: int = 1) -> Delivery:
        """A message that waits for the session of that number."""
        delivery = Delivery(message, Grant(qos))
        self.journal.queued(sid, delivery)
        return delivery


class FrameTests(JournalTestCase):
    """Frames."""

    def test_nothing(self) -> None:
        """Where nothing has changed no frame goes off."""
        self.assertFalse(self.journal.is_due)
        self.journal.seal(0.0)
        self.assertEqual((self.frames, self.journal.latest_frame), ([], 0))

    def test_without_a_sink(self) -> None:
        """While nobody stores them, changes gather."""
        self.journal.sink = None
        self.journal.received(1, 7, True)
        self.assertFalse(self.journal.is_due)
        self.journal.seal(0.0)
        self.assertEqual(self.journal.latest_frame, 1)
        self.journal.sink = self.take
        self.assertEqual(self.seal(), {"received": ([(1, 7)], [])})

    def test_one_at_a_time(self) -> None:
        """While a frame is under way the next one gathers; it goes off when that one is committed."""
        journal = self.journal
        journal.received(1, 1, True)
        self.assertEqual((journal.is_due, journal.latest_frame), (True, 1))
        journal.seal(self.clock.seconds())
        self.assertEqual((journal.is_due, journal.latest_frame, journal.under_way), (False, 1, 1))
        for packet_id in (2, 3):
            journal.received(1, packet_id, True)
        journal.seal(self.clock.seconds())
        self.assertEqual((len(self.frames), journal.is_due, journal.latest_frame), (1, False, 2))
        journal.committed(1, self.clock.seconds())
        self.assertEqual((journal.is_due, journal.committed_frame), (True, 1))
        self.assertEqual(self.seal(), {"received": ([(1, 2), (1, 3)], [])})
        self.assertEqual([number for number, _, _ in self.frames], [1, 2])

    def test_a_commit_that_is_said_twice(self) -> None:
        """That an older frame is committed says nothing of the one under way."""
        for packet_id in (1, 2):
            self.journal.received(1, packet_id, True)
            self.journal.seal(self.clock.seconds())
            self.journal.committed(1, self.clock.seconds())
        self.assertEqual((self.journal.under_way, self.journal.is_due), (2, False))

    def test_going_on(self) -> None:
        """Numbers go on from those of the store."""
        self.journal.go_on_from(41, 5, 6, 7)
        session = self.session()
        message = Message("t", b"", 1)
        delivery = self.delivery(message, session.sid)
        self.assertEqual((session.sid, delivery.position), (6, 8))
        self.delivery(message, 2)
        [row] = self.seal()["message"][0]
        self.assertEqual((row[0], [number for number, _, _ in self.frames]), (7, [42, 43]))

    def test_the_time_of_a_frame(self) -> None:
        """A frame says when it was made, by the wall clock."""
        self.session()
        self.assertEqual(self.frames[0][1], WALL + 1000)

    def test_sizes(self) -> None:
        """What is not stored yet is counted in bytes until it is: gathering, then under way."""
        payload = bytes(PENDING_LIMIT // 2)
        for topic in ("a", "b"):
            self.delivery(Message(topic, payload, 1))
        size = self.journal.pending_size
        self.assertGreater(size, 2 * len(payload) + 2 * OVERHEAD)
        self.assertTrue(self.journal.is_congested(self.clock.seconds()))
        self.journal.seal(self.clock.seconds())
        self.assertEqual(self.journal.pending_size, size)
        self.journal.committed(1, self.clock.seconds())
        self.assertEqual(self.journal.pending_size, 0)
        self.assertFalse(self.journal.is_congested(self.clock.seconds()))

    def test_age(self) -> None:
        """A frame that is under way for more than two seconds is too old; one that gathers is not."""
        self.journal.received(1, 1, True)
        self.clock.advance(10)
        self.assertFalse(self.journal.is_congested(self.clock.seconds()))
        self.journal.seal(self.clock.seconds())
        self.clock.advance(PENDING_AGE)
        self.assertFalse(self.journal.is_congested(self.clock.seconds()))
        self.clock.advance(0.1)
        self.assertTrue(self.journal.is_congested(self.clock.seconds()))


class GatheringTests(JournalTestCase):
    """What happens within one frame is written as it is in the end."""

    def test_queued_and_acknowledged(self) -> None:
        """A message that is acknowledged before its frame goes off is in none, nor is its body."""
        self.journal.done(self.delivery(Message("t", b"x", 1)))
        self.assertEqual(self.journal.pending_size, 0)
        frame = self.journal.frame
        self.journal.seal(0.0)  # a frame without anything is not stored, and keeps its number
        self.assertEqual((self.frames, self.journal.frame, self.journal.is_due), ([], frame, False))

    def test_some_of_many(self) -> None:
        """The body stays as long as somebody needs it."""
        message = Message("t", b"x", 1)
        first, second = self.delivery(message, 1), self.delivery(message, 2)
        self.journal.done(first)
        tables = self.seal()
        self.assertEqual(tables, {"queue": ([(2, second.position, 0, 1, b"x", "t")], [])})
        self.journal.done(second)
        self.assertEqual(self.seal(), {"queue": ([], [(2, 2)])})

    def test_another_one_later(self) -> None:
        """A body that stands with its one delivery is written once more for those of another frame."""
        message = Message("t", b"x", 1)
        first = self.delivery(message, 1)
        self.assertEqual(self.seal(), {"queue": ([(1, 1, 0, 1, b"x", "t")], [])})
        others = [self.delivery(message, sid) for sid in (2, 3)]
        tables = self.seal()
        mid = tables["message"][0][0][0]
        self.assertEqual(tables["queue"], ([(2, 2, 0, 1, mid), (3, 3, 0, 1, mid)], []))
        first.packet_id, first.awaiting = 5, PUBACK
        self.journal.changed(first)
        self.assertEqual(self.seal(), {"queue": ([(1, 1, 0, 1, b"x", "t", 5, 1)], [])})
        self.journal.done(first)
        self.assertEqual(self.seal(), {"queue": ([], [(1, 1)])})
        for delivery in others:
            self.journal.done(delivery)
        self.assertEqual(self.seal(), {"message": ([], [(mid,)]), "queue": ([], [(2, 2), (3, 3)])})

    def test_a_large_body(self) -> None:
        """A body that it would cost to write again, when its delivery is sent, stands by itself."""
        for size, is_apart in ((OWN_BODY - 1, False), (OWN_BODY, True)):
            delivery = self.delivery(Message("t", bytes(size), 1))
            self.assertEqual("message" in self.seal(), is_apart)
            self.journal.done(delivery)
            self.assertEqual("message" in self.seal(), is_apart)

    def test_done_in_another_frame(self) -> None:
        """One body for three, removed with the last of them, in whichever frame."""
        message = Message("t", b"x", 1)
        deliveries = [self.delivery(message, sid) for sid in (1, 2, 3)]
        self.assertEqual(len(self.seal()["message"][0]), 1)
        for left in (2, 1, 0):
            delivery = deliveries.pop()
            position = delivery.position
            self.journal.done(delivery)
            self.journal.done(delivery)  # once is enough
            tables = self.seal()
            self.assertEqual(tables["queue"], ([], [(left + 1, position)]))
            self.assertEqual("message" in tables, left == 0)
        self.assertEqual(self.journal.copies, {})

    def test_done_while_its_frame_is_under_way(self) -> None:
        """What a frame under way puts in, the next one removes."""
        delivery = self.delivery(Message("t", bytes(OWN_BODY), 1))
        self.journal.seal(self.clock.seconds())
        self.journal.done(delivery)
        self.journal.committed(1, self.clock.seconds())
        self.assertEqual(self.seal(), {"message": ([], [(1,)]), "queue": ([], [(1, 1)])})

    def test_changed_and_done(self) -> None:
        """A change of what is over in the same frame is left out."""
        delivery = self.delivery(Message("t", b"x", 1))
        self.seal()
        self.journal.changed(delivery)
        self.journal.done(delivery)
        self.assertEqual(self.seal()["queue"], ([], [(1, 1)]))

    def test_what_is_not_recorded(self) -> None:
        """A delivery that the journal does not know (QoS 0, say) leaves no trace."""
        delivery = Delivery(Message("t", b"x"), Grant(1))
        self.journal.changed(delivery)
        self.journal.done(delivery)
        self.assertFalse(self.journal.is_due)

    def test_the_last_change_counts(self) -> None:
        """Of identifiers, subscriptions and retained messages the last change of a frame is written."""
        session = self.session()
        subscription = Subscription(SubscriptionOptions("a", 1))
        self.journal.received(1, 7, True)
        self.journal.received(1, 7, False)
        self.journal.subscription_changed(session, "a", subscription)
        self.journal.subscription_changed(session, "a", None)
        for payload in (b"1", b"2"):
            message = Message("r", payload, 0, True)
            self.journal.retained_changed("r", Kept(message, "p"))
        self.journal.retained_changed("gone", Kept(Message("gone", b"x"), ""))
        self.journal.retained_changed("gone", None)
        tables = self.seal()
        self.assertEqual(tables["received"], ([], [(1, 7)]))
        self.assertEqual(tables["subscription"], ([], [(1, "a")]))
        self.assertEqual([row[5] for row in tables["retained"][0]], [b"2"])
        self.assertEqual(tables["retained"][1], [("gone",)])

    def test_a_session_that_ends(self) -> None:
        """All that belongs to it is removed; what comes of its client later has another number."""
        session = self.session()
        session.subscriptions["a"] = Subscription(SubscriptionOptions("a", 1))
        session.incoming.received(7)
        self.journal.session_removed(session)
        self.journal.session_saved(session)
        tables = self.seal()
        self.assertEqual(tables["subscription"], ([], [(1, "a")]))
        self.assertEqual(tables["received"], ([], [(1, 7)]))
        self.assertEqual(tables["will"], ([], [(1,)]))
        self.assertEqual(([row[0] for row in tables["session"][0]], tables["session"][1]), ([2], [(1,)]))

    def test_a_session_that_was_never_stored(self) -> None:
        """Its end and its will are nothing to be stored."""
        session = Session("c", QueueLimits(0, 0, False), Drops())
        session.will = Will("w", b"")
        self.journal.will_changed(session)
        self.journal.session_removed(session)
        self.assertFalse(self.journal.is_due)


class RowTests(JournalTestCase):
    """The columns of each table."""

    def test_session(self) -> None:
        """Who it is, how long it lasts, and when its client left, by the wall clock."""
        session = self.session("client")
        session.username, session.identity, session.version = "user", "proven", 4
        session.expiry_interval = 0xFFFFFFFF
        self.journal.session_saved(session)
        self.assertEqual(self.seal()["session"][0], [(1, "client", "user", "proven", 4, 0xFFFFFFFF, None)])
        session.gone_at = self.clock.seconds()
        self.clock.advance(77)
        self.journal.session_saved(session)
        self.assertEqual(self.seal()["session"][0][0][-1], WALL + 1000)

    def test_subscription(self) -> None:
        """The options are the byte that SUBSCRIBE has (3.8.3.1), with all of them."""
        session = self.session()
        for options, byte in (
            (SubscriptionOptions("a", 2), 0b00_0010),
            (SubscriptionOptions("a", 0, no_local=True), 0b00_0100),
            (SubscriptionOptions("a", 0, retain_as_published=True), 0b00_1000),
            (SubscriptionOptions("a", 1, retain_handling=2), 0b10_0001),
        ):
            self.journal.subscription_changed(session, "a", Subscription(options, 268_435_455))
            self.assertEqual(self.seal()["subscription"][0], [(1, "a", byte, 268_435_455)])
            self.assertEqual(SubscriptionOptions.from_byte("a", byte), options)

    def test_message(self) -> None:
        """A body as it is forwarded; when it expires by the wall clock, or never."""
        message = Message.create("t", b"\x00", 2, True, Properties(content_type="text"))
        message.message_expiry_interval = 30
        message.expires_at = 1030.0
        for one in (message, Message("u", b"", 1)):
            for sid in (1, 2):
                self.delivery(one, sid)
        self.assertEqual(
            self.seal()["message"][0],
            [
                (1, "t", 2, 1, 30, WALL + 1030, message.forwarded, b"\x00"),
                (2, "u", 1, 0, -1, 0.0, b"", b""),
            ],
        )
        self.assertIn(b"text", message.forwarded)

    def test_queue(self) -> None:
        """How far a delivery has come, and on which terms."""
        delivery = Delivery(Message("t", bytes(OWN_BODY), 2), Grant(2, True, (3, 17), "$share/g/t"))
        self.journal.queued(9, delivery)
        delivery.size = 77
        terms = (2 | 4, "3,17", "$share/g/t")
        self.assertEqual(self.seal()["queue"][0], [(9, 1, 77, 2, 1, None, None, None, *terms)])
        delivery.packet_id, delivery.awaiting = 0xFFFF, PUBREC
        self.journal.changed(delivery)
        self.assertEqual(self.seal(), {"queue": ([(9, 1, 77, 2, 1, None, 0xFFFF, 1, *terms)], [])})
        message, delivery.awaiting = delivery.message, PUBCOMP
        assert message is not None
        self.journal.released(delivery, message)
        delivery.message = None
        self.assertEqual(
            self.seal(),
            {
                "message": ([], [(1,)]),
                "queue": ([(9, 1, 77, 2, None, None, 0xFFFF, 2, *terms)], []),
            },
        )

    def test_queue_with_a_body(self) -> None:
        """A message that goes to one client only stands in the row, with all that it has."""
        message = Message.create("t", b"x", 2, True, Properties(content_type="text"))
        message.message_expiry_interval = 0
        message.expires_at = 1030.0
        self.delivery(message)
        terms = (2, 1, 0, WALL + 1030, message.forwarded)
        self.assertEqual(
            self.seal()["queue"][0],
            [(1, 1, 0, 1, b"x", "t", None, None, None, None, None, None, *terms)],
        )

    def test_one_thing_more(self) -> None:
        """Whatever a delivery has beside what all have is in its row, though it be the only such thing."""
        plain, retained = Message("t", b"", 1), Message("t", b"", 1, True)
        expires, encoded = Message("t", b"", 1), Message("t", b"", 1)
        expires.message_expiry_interval, encoded.forwarded = 5, b"\x01\x01"
        for position, (message, grant, width, value) in enumerate(
            (
                (plain, Grant(2), 9, 2),
                (plain, Grant(1, True), 9, 5),
                (plain, Grant(1, False, (3,)), 10, "3"),
                (plain, Grant(1, False, (), "$share/g/t"), 11, "$share/g/t"),
                (Message("t", b"", 2), Grant(1), 13, 2),
                (retained, Grant(1), 14, 1),
                (expires, Grant(1), 15, 5),
                (encoded, Grant(1), 17, b"\x01\x01"),
            ),
            1,
        ):
            self.journal.queued(1, Delivery(message, grant))
            empty = (None,) * (width - 7)
            self.assertEqual(self.seal()["queue"][0], [(1, position, 0, 1, b"", "t", *empty, value)])

    def test_queue_at_qos_1(self) -> None:
        """What was sent at QoS 1 awaits PUBACK; the QoS is that of the delivery."""
        delivery = Delivery(Message("t", b"x", 1), Grant(2))
        delivery.packet_id, delivery.awaiting = 5, PUBACK
        self.journal.queued(1, delivery)
        self.assertEqual(self.seal()["queue"][0], [(1, 1, 0, 1, b"x", "t", 5, 1, 2)])

    def test_queue_of_retained(self) -> None:
        """What stands for a retained message names its place, and has a body of its own when it is sent."""
        message = Message("r", b"x", 1, True)
        kept = Kept(message, "p")
        kept.number = 7
        delivery = Delivery(message, Grant(1, True), kept)
        self.journal.queued(1, delivery)
        row = (1, 1, 0, 1, None, None, None, None, 5, None, None, "7 r")
        self.assertEqual(self.seal(), {"queue": ([row], [])})
        delivery.message, delivery.kept = message, None
        delivery.packet_id, delivery.awaiting = 1, PUBACK
        self.journal.took_message(delivery, message)
        terms = (5, None, None, None, None, 1)
        self.assertEqual(self.seal(), {"queue": ([(1, 1, 0, 1, b"x", "r", 1, 1, *terms)], [])})

    def test_retained(self) -> None:
        """A retained message, who published it, and which of its topic's messages it is."""
        message = Message.create("r", b"x", 1, True, Properties(content_type="text"))
        message.message_expiry_interval = 5
        message.expires_at = 1005.0
        self.journal.retained_changed("r", Kept(message, "publisher"))
        self.assertEqual(
            self.seal()["retained"][0], [("r", 1, 5, WALL + 1005, message.forwarded, b"x", "publisher", 1)]
        )

    def test_will(self) -> None:
        """A will as CONNECT has it: its time begins when it is published."""
        session = self.session()
        properties = Properties(will_delay_interval=9, message_expiry_interval=5, content_type="text")
        session.will = Will("w", b"\xff", 2, True, properties)
        self.journal.will_changed(session)
        forwarded = session.will.message().forwarded
        self.assertEqual(self.seal()["will"][0], [(1, "w", 2, 1, 9, 5, forwarded, b"\xff")])
        session.will = None
        self.journal.will_changed(session)
        self.assertEqual(self.seal()["will"], ([], [(1,)]))
