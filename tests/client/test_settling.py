"""What the application is told, when, and what it may do then."""

from __future__ import annotations

from mqttwist.client.client import ROUNDS_LIMIT, Client
from mqttwist.client.errors import ClientError
from mqttwist.client.publication import Publication
from mqttwist.client.received import Received
from mqttwist.client.settings import ClientSettings
from mqttwist.client.subscriptions import Subscriber
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.control import Disconnect
from mqttwist.wire.message import Message
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubscriptionOptions, Unsubscribe
from tests.client.rig import ClientTestCase


class SettleTests(ClientTestCase):
    def publish_then(self, then: object, qos: int = 0) -> None:
        self.client.publish(Publication(Message.create("t", b"x", qos), then))  # type: ignore[arg-type]

    def test_an_error_stops_nobody_else(self) -> None:
        """When the application raises, the others are told all the same, and soon."""
        wakes: list[str] = []
        self.client = Client(ClientSettings("us"), self.time, self.owner, lambda: wakes.append("wake"))
        server = self.connect()

        def fail(publication: Publication) -> None:
            raise RuntimeError("the application")

        self.publish_then(fail)
        self.publish(b"1")
        self.publish_then(fail)
        self.publish(b"2")
        wakes.clear()
        self.assertRaises(RuntimeError, self.client.settle)
        self.assertEqual(wakes, ["wake"])
        self.assertRaises(RuntimeError, self.client.settle)
        self.client.settle()
        self.assertEqual(self.ended.payloads, [b"1", b"2"])
        self.assertEqual(len(server.take()), 4)

    def test_a_subscriber_raises(self) -> None:
        """When one subscriber raises, the other is woken all the same, and acknowledgements go out."""
        server = self.connect()

        def fail() -> None:
            raise RuntimeError("the application")

        failing = self.client.subscribe(SubscriptionOptions("t", 1), fail, 10)
        self.subscribe("+", 1)
        server.grant()
        server.connection.receive_data(Publish("t", b"x", 1, packet_id=1).encode(5))
        self.assertRaises(RuntimeError, self.client.settle)
        self.client.settle()
        self.assertEqual(self.payloads, [b"x"])
        self.received[0].ack()
        taken = failing.next()
        assert isinstance(taken, Received)
        taken.ack()
        self.assertEqual(server.take(), [PubAck(1)])

    def test_anything_from_within(self) -> None:
        """Who is told something may publish, subscribe, unsubscribe and disconnect at once."""
        server = self.connect()
        subscribers: list[Subscriber] = []

        def told(publication: Publication) -> None:
            self.client.settle()  # harmless
            self.publish(b"again", 1)
            subscribers.append(self.subscribe("u"))
            self.client.unsubscribe(subscribers[0])
            self.client.disconnect()
            self.client.disconnect()
            self.publish(b"offline", 1)

        self.publish_then(told)
        kinds = [type(one).__name__ for one in server.take()]
        self.assertEqual(kinds, ["Publish", "Publish", "Subscribe", "Unsubscribe", "Disconnect"])
        self.assertTrue(server.is_closed)
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"again", b"offline"])

    def test_a_message_at_a_time(self) -> None:
        """A subscriber that ends itself while it takes a message keeps it, and leaves the rest."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        taken: list[Received] = []

        def wake() -> None:
            received = subscriber.next()
            if received is not None:
                taken.append(received)
                self.client.unsubscribe(subscriber)

        subscriber = self.client.subscribe(SubscriptionOptions("t", 1), wake, 10)
        server.grant()
        server.send(*[Publish("t", b"%d" % number, 1, packet_id=number) for number in (1, 2)])
        self.assertEqual([one.payload for one in taken], [b"1"])
        taken[0].ack()
        puback, unsubscribe = sorted(server.take(), key=lambda one: type(one).__name__)
        self.assertEqual((puback, type(unsubscribe)), (PubAck(1), Unsubscribe))

    def test_no_end(self) -> None:
        """Who publishes whenever something was published does not hang us: the rest comes later."""
        wakes: list[str] = []
        self.client = Client(ClientSettings("us"), self.time, self.owner, lambda: wakes.append("wake"))
        server = self.connect()

        def again(publication: Publication) -> None:
            self.publish_then(again)

        self.publish_then(again)
        wakes.clear()
        self.client.settle()
        self.assertEqual(wakes, ["wake"])
        self.assertGreaterEqual(server.written.count(b"\x30"), ROUNDS_LIMIT)

    def test_nothing_in_the_middle(self) -> None:
        """Nothing is told before `settle`: what is read and what is called never runs the application."""
        server = self.connect()
        self.subscribed(server, "t", 1)
        self.publish(b"1", 1)
        packets = (
            PubAck(2).encode(5) + Publish("t", b"x", 1, packet_id=1).encode(5) + Disconnect(0x8B).encode(5)
        )
        self.client.turn.end()
        server.connection.receive_data(packets)
        self.assertEqual((self.ended.publications, self.received), ([], []))
        self.client.settle()
        self.assertEqual((self.ended.payloads, self.payloads), ([b"1"], [b"x"]))

    def test_words(self) -> None:
        """Every error of the client says something."""
        self.assertEqual(str(ClientError("why")), "why")
