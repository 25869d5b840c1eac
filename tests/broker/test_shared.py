"""Shared Subscriptions (4.8.2): `mqttwist.broker.shared`, and members that come and go."""

from __future__ import annotations

from time import perf_counter

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mqttwist.broker.settings import Settings
from mqttwist.broker.shared import ShareGroup
from mqttwist.session.connection import HOLD_LIMIT
from mqttwist.session.delivery import NO_MEMBER, QUEUE_FULL
from mqttwist.session.session import Subscription
from mqttwist.wire.message import Message
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions
from tests.broker.harness import BrokerTestCase, TestClient
from tests.broker.receivers import RecordingReceiver

FILTER = "$share/g/a"


class GroupTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.group = ShareGroup(FILTER)
        try:
            self.members = [RecordingReceiver(name) for name in "abc"]
        except TypeError as error:  # "interpreted classes cannot inherit from compiled"
            raise SkipTest(str(error)) from error
        for member in self.members:
            self.group.add(member, Subscription(SubscriptionOptions(FILTER, 1)))

    def deliver(self, times: int = 1, instead_of: RecordingReceiver | None = None) -> str:
        """Deliver, and answer the names of who got the messages, in order."""
        names = ""
        for _ in range(times):
            for member in self.members:
                member.taken.clear()
            self.group.deliver(Message("a", b"", 2), None, instead_of)
            names += "".join(member.client_id * len(member.taken) for member in self.members) or "-"
        return names

    def test_fair_turns(self) -> None:
        """Each message goes to one member, each in its turn."""
        self.assertEqual(self.deliver(7), "abcabca")

    def test_what_is_delivered(self) -> None:
        """At the granted QoS, with the identifier, RETAIN as asked for, and the share [MQTT-4.8.2-3]."""
        for retain_as_published in (False, True):
            group = ShareGroup(FILTER)
            options = SubscriptionOptions(FILTER, 1, False, retain_as_published)
            group.add(self.members[0], Subscription(options, 7))
            self.members[0].taken.clear()
            self.assertTrue(group.deliver(Message("a", b"", 2, True)))
            grant = self.members[0].taken[0].grant
            self.assertEqual(
                (grant.qos, grant.retain_as_published, grant.identifiers, grant.share),
                (1, retain_as_published, (7,), FILTER),
            )

    def test_busy_members_are_passed_over(self) -> None:
        """Who would keep the message waiting is passed over while another can send it."""
        self.members[1].ready = False
        self.assertEqual(self.deliver(4), "acac")

    def test_all_are_busy(self) -> None:
        """If all would keep it waiting, those that are online take turns."""
        for member in self.members:
            member.ready = False
        self.members[0].online = False
        self.assertEqual(self.deliver(4), "bcbc")

    def test_full_members_are_passed_over(self) -> None:
        """Who has no room gets a message only if nobody has: then who can give up another one takes it."""
        for member in self.members:
            member.ready = False
        self.members[0].room = False
        self.assertEqual(self.deliver(4), "bcbc")
        self.members[2].online = False
        self.assertEqual(self.deliver(2), "bb")
        self.members[1].accepts = self.members[2].accepts = False
        self.assertTrue(self.group.deliver(Message("a")))
        self.assertEqual([len(member.taken) for member in self.members], [1, 2, 1])

    def test_members_that_are_away(self) -> None:
        """Who is away gets messages only if nobody is online."""
        self.members[0].online = self.members[1].online = False
        self.assertEqual(self.deliver(3), "ccc")
        self.members[2].online = False
        self.assertEqual(self.deliver(3), "abc")

    def test_barred_members(self) -> None:
        """Who must not receive the message does not."""
        for _ in range(4):
            self.assertTrue(self.group.deliver(Message("a"), [self.members[0], self.members[2]]))
        self.assertEqual([len(member.taken) for member in self.members], [0, 4, 0])
        self.assertFalse(self.group.deliver(Message("a"), list(self.members)))

    def test_instead_of(self) -> None:
        """What is handed over goes to others that are online, to nobody else."""
        self.assertEqual(self.deliver(3, self.members[0]), "bcb")
        self.members[1].online = self.members[2].online = False
        self.assertEqual(self.deliver(1, self.members[0]), "-")

    def test_members_that_do_not_take_it(self) -> None:
        """If a member does not take a message the next one is asked; if none does, it is nobody's."""
        self.members[0].accepts = False
        self.members[1].ready = False
        self.assertTrue(self.group.deliver(Message("a")))
        self.assertEqual([len(member.taken) for member in self.members], [1, 0, 1])
        self.members[2].accepts = False
        self.assertTrue(self.group.deliver(Message("a")))
        self.assertEqual([len(member.taken) for member in self.members], [2, 1, 2])
        self.members[1].accepts = False
        self.assertFalse(self.group.deliver(Message("a")))
        self.assertEqual([len(member.taken) for member in self.members], [3, 2, 3])

    def test_instead_of_a_member_that_stays(self) -> None:
        """What waits for a member that is online goes only to those that can send it at once."""
        self.members[0].ready = self.members[1].ready = False
        self.assertEqual(self.deliver(2, self.members[0]), "cc")
        self.members[2].ready = False
        self.assertEqual(self.deliver(1, self.members[0]), "-")
        self.group.remove(self.members[0])
        self.assertEqual(self.deliver(2, self.members[0]), "bc")

    def test_keepers(self) -> None:
        """A member that was given a message to keep is known, until it keeps none or has left."""
        self.assertEqual(self.deliver(3), "abc")
        self.assertEqual(self.group.keepers, [])
        for member in self.members:
            member.ready = False
        self.deliver(3)
        self.assertEqual(self.group.keepers, self.members)
        self.group.keeps(self.members[0], False)
        self.group.remove(self.members[1])
        self.group.keeps(self.members[1], True)
        self.assertEqual(self.group.keepers, [self.members[2]])

    def test_joining_again(self) -> None:
        """A member that subscribes again has one place, with its new options."""
        self.group.add(self.members[0], Subscription(SubscriptionOptions(FILTER, 0), 9))
        self.assertEqual(len(self.group), 3)
        self.group.deliver(Message("a", b"", 2))
        grant = self.members[0].taken[0].grant
        self.assertEqual((grant.qos, grant.identifiers), (0, (9,)))

    def test_leaving(self) -> None:
        """Who has left gets nothing more, wherever it stood, and the rest take their turns."""
        for leaving in range(3):
            self.setUp()
            self.group.remove(self.members[leaving])
            self.group.remove(self.members[leaving])
            rest = [name for name in "abc" if name != self.members[leaving].client_id]
            self.assertEqual(sorted(self.deliver(4)), sorted(rest * 2))
            self.assertEqual({one.client_id for one in self.group.receivers}, set(rest))

    def test_large_groups(self) -> None:
        """Joining and leaving costs the same in a group of many: 20,000 members take well under 5 s."""
        members = [RecordingReceiver(str(n)) for n in range(20_000)]
        start = perf_counter()
        for member in members:
            self.group.add(member, Subscription(SubscriptionOptions(FILTER)))
        for member in members:
            self.group.remove(member)
        self.assertTrue(perf_counter() - start < 5)
        self.assertEqual(len(self.group), 3)


class MemberTests(BrokerTestCase):
    def member(self, client_id: str, qos: int = 1, **options: int) -> TestClient:
        options.setdefault("session_expiry_interval", 100)
        client = self.connected(client_id, clean_start=False, **options)
        client.subscribe(FILTER, qos=qos)
        return client

    def publish(self, *payloads: bytes, qos: int = 1) -> None:
        publisher = self.connected("p")
        for payload in payloads:
            publisher.publish("a", payload, qos)
        publisher.disconnect()

    def test_one_copy(self) -> None:
        """Each message reaches one member of each group, and all who subscribe without a share."""
        first, second, plain = self.member("1"), self.member("2"), self.connected("plain")
        plain.subscribe("a")
        first.subscribe("$share/other/#")
        self.publish(b"0", b"1", b"2", b"3")
        got = first.payloads() + second.payloads()
        self.assertEqual(sorted(got), [b"0", b"0", b"1", b"1", b"2", b"2", b"3", b"3"])
        self.assertEqual(plain.payloads(), [b"0", b"1", b"2", b"3"])

    def test_no_retained_messages(self) -> None:
        """A Shared Subscription gets no retained messages when it is made (4.8.2)."""
        self.connected("p").publish("a", b"old", retain=True)
        self.assertEqual(self.member("1").payloads(), [])

    def test_handed_over_at_the_end_of_a_connection(self) -> None:
        """What waits for a member that goes is sent by another; what it was sent waits for it."""
        first = self.member("1", receive_maximum=1)
        self.publish(b"0", b"1", b"2")
        self.assertEqual(first.payloads(), [b"0"])
        second = self.member("2")
        first.lose()
        self.assertEqual(second.payloads(), [b"1", b"2"])
        again = self.member("1")
        [message] = [one for one in again.take() if isinstance(one, Publish)]
        self.assertEqual((message.payload, message.dup), (b"0", True))

    def test_nobody_else_is_online(self) -> None:
        """If all are away, what waits keeps waiting, and the first who comes back has it."""
        first = self.member("1", receive_maximum=1)
        self.member("2").lose()
        self.publish(b"0", b"1", b"2")
        first.lose()
        self.assertEqual(self.member("1").payloads(), [b"0", b"1", b"2"])

    def test_handed_over_at_unsubscribe(self) -> None:
        """What waits for a member that unsubscribes goes to another."""
        first = self.member("1", receive_maximum=1)
        self.publish(b"0", b"1", b"2")
        second = self.member("2")
        first.unsubscribe(FILTER)
        self.assertEqual(second.payloads(), [b"1", b"2"])

    def test_the_last_one_unsubscribes(self) -> None:
        """What waits for the last member is still its own after UNSUBSCRIBE [MQTT-3.10.4-3]."""
        first = self.member("1", receive_maximum=1)
        self.publish(b"0", b"1")
        message = first.take_one(Publish)
        first.unsubscribe(FILTER)
        first.ack(message)
        self.assertEqual(first.payloads(), [b"1"])

    def test_qos_1_at_the_end_of_a_session(self) -> None:
        """An unconfirmed QoS 1 message goes to another member when the session ends (4.8.2)."""
        first = self.member("1", session_expiry_interval=0)
        self.publish(b"0")
        self.assertEqual(first.payloads(), [b"0"])
        second = self.member("2")
        first.lose()
        self.assertEqual(second.payloads(), [b"0"])

    def test_qos_2_stays_with_its_member(self) -> None:
        """An unfinished QoS 2 message is its member's, or nobody's [MQTT-4.8.2-4] [MQTT-4.8.2-5]."""
        for resumes in (True, False):
            with self.subTest(resumes=resumes):
                first = self.member("1", 2)
                self.publish(b"0", qos=2)
                self.assertEqual(first.payloads(), [b"0"])
                second = self.member("2", 2)
                first.lose()
                self.assertEqual(second.payloads(), [])
                if resumes:
                    again = self.member("1", 2)
                    message = again.take_one(Publish)
                    self.assertTrue(message.dup)
                    again.ack(message)
                    again.take()
                else:
                    self.advance(101)
                    self.assertEqual(second.payloads(), [])
                self.connected("1").disconnect()
                self.connected("2").disconnect()

    def test_a_refusal_is_final(self) -> None:
        """A message that a member refuses is not sent to another [MQTT-4.8.2-6]."""
        first = self.member("1")
        self.publish(b"0")
        message = first.take_one(Publish)
        second = self.member("2")
        first.ack(message, 0x80)
        first.lose()
        self.assertEqual(second.payloads(), [])

    def test_nobody_has_room(self) -> None:
        """A message that no member can take is counted once, under the filter of the group."""
        self.start(Settings(queue_messages=1))
        self.member("1").lose()
        self.publish(b"0", b"1")
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [(FILTER, NO_MEMBER, 1)])

    def test_too_large_for_the_member(self) -> None:
        """A message that is too large for one member goes to another; if there is none it counts once."""
        self.member("1", maximum_packet_size=50)
        second = self.member("2")
        self.publish(bytes(100), bytes(100))
        self.assertEqual(second.payloads(), [bytes(100)] * 2)
        self.assertEqual(self.broker.drops.totals, {})
        second.unsubscribe(FILTER)
        self.publish(bytes(100))
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [(FILTER, NO_MEMBER, 1)])
        self.assertEqual(self.broker.drops.totals, {NO_MEMBER: 1})

    def test_the_member_that_comes_back(self) -> None:
        """What waits for a member that is away goes to another that comes online."""
        self.member("1").lose()
        self.member("2").lose()
        self.publish(*[b"%d" % number for number in range(6)])
        second = self.member("2")
        self.assertEqual(sorted(second.payloads()), [b"%d" % number for number in range(6)])
        self.assertEqual(self.member("1").payloads(), [])

    def test_the_member_that_joins(self) -> None:
        """What waits for a member that is away goes to one that joins, after its SUBACK."""
        for qos in (0, 1, 2):
            self.member("1").lose()
            self.publish(b"0", b"1", qos=qos)
            second = self.connected("2")
            packets = second.send(Subscribe(1, [SubscriptionOptions(FILTER, 2)]))
            self.assertIsInstance(packets[0], SubAck)
            got = [(one.payload, one.qos) for one in packets if isinstance(one, Publish)]
            self.assertEqual(got, [(b"0", qos), (b"1", qos)])
            self.assertEqual(self.member("1").payloads(), [])
            second.disconnect()
            self.connected("1").disconnect()

    def test_relieving_a_member_that_is_busy(self) -> None:
        """One that joins takes of what waits for a busy member as much as it can send at once, in order."""
        first = self.member("1", receive_maximum=1)
        self.publish(*[b"%d" % number for number in range(6)])
        second = self.member("2", receive_maximum=3)
        self.assertEqual(second.payloads(), [b"1", b"2", b"3"])
        for expected in (b"0", b"4", b"5"):
            message = first.take_one(Publish)
            self.assertEqual(message.payload, expected)
            first.ack(message)

    def test_qos_0_to_a_member_that_reads_too_slowly(self) -> None:
        """A QoS 0 message for which one member's transport has no room goes to another."""
        first = self.member("1")
        second = self.member("2", receive_maximum=1)
        first.connection.transport_full()
        first.connection.outbox.append(bytes(HOLD_LIMIT))
        self.publish(b"0", b"1")  # the second one has used up its quota, and keeps the other for itself
        self.publish(b"2", b"3", qos=0)
        self.assertEqual(self.broker.drops.totals, {})
        message = second.take_one(Publish)
        self.assertEqual(message.payload, b"0")
        second.ack(message)
        self.assertLessEqual({b"2", b"3"}, set(second.payloads()))

    def test_oldest_qos_0_gives_way(self) -> None:
        """If every member's queue is full, a QoS 0 message in one of them makes room, as for others."""
        self.start(Settings(queue_messages=1))
        self.member("1").lose()
        self.publish(b"0", qos=0)
        self.publish(b"1")
        self.assertEqual(self.broker.drops.totals, {QUEUE_FULL: 1})
        self.assertEqual(self.member("1").payloads(), [b"1"])

    def test_a_queue_with_room_for_it(self) -> None:
        """A large message goes to a member with room for it, rather than push something else out."""
        self.start(Settings(queue_bytes=10_000))
        for name in ("1", "2"):
            self.member(name).lose()
        self.publish(bytes(4000), b"small", qos=0)
        self.publish(bytes(7000), b"small")
        self.assertEqual(self.broker.drops.totals, {})

    def test_what_nobody_takes_stays(self) -> None:
        """What the one who comes does not take stays where it was, in its order, and is no drop."""
        self.member("1").lose()
        expected = [bytes([number]) * 100 for number in range(200)]
        self.publish(*expected)
        self.assertEqual(self.member("2", maximum_packet_size=50).payloads(), [])
        self.assertEqual(self.broker.drops.totals, {})
        self.assertEqual(self.member("1").payloads(), expected)

    def test_nothing_is_left_of_members(self) -> None:
        """A session that has ended is no member any more."""
        for _ in range(50):
            self.member("1", session_expiry_interval=0).lose()
        self.assertEqual(self.broker.router.subscriptions.shared_count, 0)
        self.assertEqual(self.broker.router.subscriptions.route("a").groups, [])

    def test_many_messages_many_members(self) -> None:
        """With members that come, go and confirm, every QoS 1 message is confirmed by somebody."""
        members = [self.member(str(n), receive_maximum=5) for n in range(4)]
        confirmed: set[bytes] = set()
        for step in range(60):
            self.publish(*[b"%d-%d" % (step, n) for n in range(4)])
            leaving = step % 4
            members[leaving].lose()
            members[leaving] = self.member(str(leaving), receive_maximum=5)
            for _ in range(3):
                for member in members:
                    for packet in member.take():
                        if isinstance(packet, Publish):
                            confirmed.add(packet.payload)
                            member.ack(packet)
        self.assertEqual(len(confirmed), 240)
