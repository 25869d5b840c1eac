"""What waits for a connection or for the Server: bounded, given up in time, and taken back."""

from __future__ import annotations

from mqttwist.client.errors import NeedsMQTT5, NotDelivered, QueueFull
from mqttwist.client.publication import Publication
from mqttwist.wire.acknowledge import PubAck, PubRec
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1_1
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase, Server


class FullQueueTests(ClientTestCase):
    def test_error(self) -> None:
        """A full queue takes no more, in messages or in bytes: the call fails."""
        self.make_client(queue_messages=2)
        self.publish(b"1", 1)
        self.publish(b"0", 0)
        self.assertRaises(QueueFull, self.publish, b"2", 1)
        self.make_client(queue_bytes=1_000)
        self.publish(bytes(500), 1)
        self.assertRaises(QueueFull, self.publish, bytes(500), 1)
        self.assertRaises(QueueFull, self.publish, bytes(2_000), 0)
        self.assertEqual(self.ended.publications, [])

    def test_drop_oldest(self) -> None:
        """The oldest makes room for a newer one, and is told so and counted."""
        self.make_client(queue_messages=2, when_full="drop-oldest")
        for number in range(4):
            self.publish(b"%d" % number, number % 3)
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"2", b"3"])
        self.assertEqual([getattr(one, "maybe", None) for one in self.ended.errors], [False, False])
        self.assertEqual(self.client.drops.total, 2)

    def test_drop_qos_0(self) -> None:
        """The oldest of QoS 0 makes room; when there is none, the call fails."""
        self.make_client(queue_messages=3, when_full="drop-qos0")
        for number, qos in enumerate((1, 0, 0)):
            self.publish(b"%d" % number, qos)
        self.publish(b"3", 1)
        self.publish(b"4", 2)
        self.assertRaises(QueueFull, self.publish, b"5", 1)
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"0", b"3", b"4"])
        self.assertEqual(len(self.ended.errors), 2)

    def test_block(self) -> None:
        """What there is no room for waits outside of the queue, and keeps its place."""
        self.make_client(queue_messages=2, when_full="block", session_expiry_interval=100)
        for number in range(5):
            self.publish(b"%d" % number, number % 2)
        self.assertEqual((self.client.outgoing.waiting.length, self.client.outgoing.unfinished), (2, 5))
        server = self.connect(receive_maximum=1)
        self.assertEqual([one.payload for one in server.take()], [b"0", b"1", b"2"])
        server.send(PubAck(1))
        self.assertEqual([one.payload for one in server.take()], [b"3", b"4"])

    def test_blocked_and_taken_back(self) -> None:
        """What is blocked may be taken back, and then those behind it have their turn."""
        self.make_client(queue_bytes=1_000, when_full="block")
        first = self.publish(bytes(500), 1)
        large = self.publish(bytes(700), 1)
        small = self.publish(b"small", 1)
        self.assertRaises(QueueFull, self.publish, bytes(2_000), 1)
        self.assertTrue(self.client.withdraw(large))
        self.assertEqual(self.client.outgoing.waiting.length, 2)
        self.assertTrue(self.client.withdraw(first))
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"small"])
        self.assertEqual(small.packet_id, 1)


class GivingUpTests(ClientTestCase):
    def states(self) -> dict[str, Publication]:
        """Messages in every state: blocked, queued, sent, with PUBREC, and ended."""
        self.make_client(queue_messages=1, when_full="block", session_expiry_interval=100)
        self.server = self.connect(receive_maximum=3)
        ended = self.publish(b"ended", 1, deadline=5)
        self.server.send(PubAck(1))
        sent = self.publish(b"sent", 1, deadline=5)
        released = self.publish(b"released", 2, deadline=5)
        self.server.send(PubRec(3))
        filler = self.publish(b"filler", 1)
        queued = self.publish(b"queued", 1, deadline=5)
        blocked = self.publish(b"blocked", 1, deadline=5)
        self.server.take()
        self.ended.publications.clear()
        states = {"ended": ended, "sent": sent, "released": released, "queued": queued, "blocked": blocked}
        self.assertEqual(filler.state, sent.state)
        return states

    def test_deadline(self) -> None:
        """After its deadline a message is given up in every state, and whether it may be there is told."""
        self.states()
        self.advance(4)
        self.assertEqual(self.ended.publications, [])
        self.advance(1)
        told = {one.message.payload: getattr(one.error, "maybe", None) for one in self.ended.publications}
        self.assertEqual(told, {b"sent": True, b"released": True, b"queued": False, b"blocked": False})
        self.server.send(PubAck(2), PubAck(4))
        self.assertEqual(self.server.take(), [])
        self.assertEqual(len(self.ended.publications), 5)

    def test_withdraw(self) -> None:
        """A message that was not sent is taken back; one that was goes on, and nobody is told of it."""
        states = self.states()
        answers = {name: self.client.withdraw(one) for name, one in states.items()}
        self.assertEqual([name for name, was_taken in answers.items() if was_taken], ["queued", "blocked"])
        for publication in states.values():
            self.assertFalse(self.client.withdraw(publication))
        self.server.send(PubAck(2), PubAck(4))
        self.assertEqual(self.server.take(), [])
        self.advance(10)
        self.assertEqual([one.message.payload for one in self.ended.publications], [b"filler"])
        self.assertEqual(len(self.client.deadlines), 0)
        self.assertEqual(self.client.outgoing.waiting.size, 0)

    def test_the_client_stops(self) -> None:
        """When the client stops, everything ends once; what was not sent is not sent by a later start."""
        self.states()
        self.client.give_up_all("stopped")
        self.client.settle()
        told = {one.message.payload: getattr(one.error, "maybe", None) for one in self.ended.publications}
        self.assertEqual(
            told, {b"sent": True, b"released": True, b"filler": True, b"queued": False, b"blocked": False}
        )
        self.server.hang_up()
        server = self.connect(True)
        self.assertEqual([getattr(one, "payload", None) for one in server.take()], [b"sent", None, b"filler"])

    def test_message_expiry(self) -> None:
        """What expires while it waits is not sent; the rest has what is left of its time [MQTT-3.3.2-6]."""
        for qos in (0, 1, 2):
            self.publish(b"short", qos, properties=Properties(message_expiry_interval=5))
            self.publish(b"long", qos, properties=Properties(message_expiry_interval=50))
        self.time.now += 10
        server = self.connect()
        sent = server.take()
        self.assertEqual([(one.payload, one.message_expiry_interval) for one in sent], [(b"long", 40)] * 3)
        self.assertEqual([getattr(one, "maybe", None) for one in self.ended.errors], [False] * 3)

    def test_expires_on_time(self) -> None:
        """What was not sent in time fails when it expires, and not when its turn comes (3.3.2.3.3)."""
        self.make_client(queue_messages=1, when_full="block")
        for payload in (b"queued", b"blocked"):
            self.publish(payload, 1, properties=Properties(message_expiry_interval=5), deadline=9)
        self.time.now += 4
        self.client.tick()
        self.client.settle()
        self.assertEqual(self.ended.publications, [])
        self.time.now += 2
        self.client.tick()
        self.client.settle()
        expired = "message expired; the Server does not have it"
        self.assertEqual([str(one) for one in self.ended.errors], [expired] * 2)
        self.assertEqual((self.client.outgoing.unfinished, len(self.client.deadlines)), (0, 0))
        self.assertEqual(self.connect().take(), [])

    def test_deadline_after_expiry(self) -> None:
        """What was sent before it has expired has its deadline still."""
        self.publish(b"x", 1, properties=Properties(message_expiry_interval=5), deadline=9)
        self.connect().take()
        for seconds, errors in ((6, []), (4, ["not confirmed within 9 s; the Server may have it"])):
            self.time.now += seconds
            self.client.tick()
            self.client.settle()
            self.assertEqual([str(one) for one in self.ended.errors], errors)

    def test_expiry_of_what_was_sent(self) -> None:
        """What was sent once is sent again, though it has expired meanwhile [MQTT-4.3.3-7]."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        self.publish(b"x", 2, properties=Properties(message_expiry_interval=5))
        server.hang_up()
        self.time.now += 10
        server = self.connect(True)
        [again] = server.take()
        self.assertEqual((again.dup, again.message_expiry_interval), (True, 0))

    def test_old_versions(self) -> None:
        """Properties of MQTT 5.0 are refused at once where an older version is spoken."""
        self.make_client(versions=(MQTT_3_1_1,))
        for properties in (Properties(message_expiry_interval=5), Properties(content_type="text/plain")):
            self.assertRaises(NeedsMQTT5, self.publish, b"x", 0, properties=properties)


class FullTransportTests(ClientTestCase):
    def test_all_waits(self) -> None:
        """While the transport is full nothing is written, and then all of it in its order."""
        server = self.connect()
        server.connection.transport_full()
        for number in range(4):
            self.publish(b"%d" % number, number % 2)
        self.client.settle()
        self.assertEqual((server.written, self.ended.publications), (b"", []))
        server.connection.transport_ready()
        self.assertEqual([one.payload for one in server.take()], [b"0", b"1", b"2", b"3"])
        self.assertEqual(self.ended.payloads, [b"0", b"2"])

    def test_lost_meanwhile(self) -> None:
        """What waited for a full transport goes to the next connection."""
        server = self.connect()
        server.connection.transport_full()
        self.publish(b"1", 1)
        self.publish(b"0", 0)
        server.hang_up()
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"1", b"0"])

    def test_a_long_queue(self) -> None:
        """A long queue goes out bit by bit, as the transport takes it."""
        for number in range(40):
            self.publish(bytes(50_000), 1, topic_name=f"t/{number}")
        server = Server(self.client)
        full = False
        original = server.write

        def write(data: bytes) -> None:
            original(data)
            if full:
                server.connection.transport_full()

        server.write = write  # type: ignore[method-assign]
        full = True
        server.connection.transport_full()
        server.accept()
        self.assertEqual(server.take(), [])
        sent: list[Publish] = []
        for _ in range(40):
            server.connection.transport_ready()
            self.client.settle()
            sent += server.take()
        self.assertEqual([one.topic_name for one in sent], [f"t/{number}" for number in range(40)])


class StoppedTests(ClientTestCase):
    def test_errors_say_it(self) -> None:
        """The words of an error say whether the Server may have the message."""
        self.assertEqual(str(NotDelivered("why", True)), "why; the Server may have it")
        self.assertEqual(str(NotDelivered("why", False)), "why; the Server does not have it")
        self.assertEqual(Message("t").qos, 0)
