"""In-process use: `Broker.publish`, `Broker.subscribe` and `mqttwist.broker.local`."""

from __future__ import annotations

from mqttwist.broker.local import LocalReceiver
from mqttwist.wire.message import Message
from mqttwist.wire.subscribe import SubscriptionOptions
from tests.broker.harness import BrokerTestCase, TestClient


class LocalTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.taken: list[tuple[str, bytes, int, bool]] = []
        self.receiver = LocalReceiver("local", self.take)

    def take(self, message: Message, qos: int, retain: bool) -> None:
        self.taken.append((message.topic_name, message.payload, qos, retain))

    def test_publishing_from_inside(self) -> None:
        """`Broker.publish` reaches clients at once and tells whether anybody listens."""
        self.assertFalse(self.broker.publish(Message.create("a", b"hi")))
        client: TestClient = self.connected("c")
        client.subscribe("a", qos=1)
        self.assertTrue(self.broker.publish(Message.create("a", b"hi", 1)))
        self.assertEqual(client.payloads(), [b"hi"])

    def test_subscribing_from_inside(self) -> None:
        """A local subscriber is called for each message, with the QoS and RETAIN of its delivery."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a/+", 1))
        client = self.connected("c", 4)
        client.publish("a/b", b"hi", 2)
        client.publish("other", b"no")
        self.assertEqual(self.taken, [("a/b", b"hi", 1, False)])
        self.assertTrue(self.broker.unsubscribe(self.receiver, "a/+"))
        self.assertFalse(self.broker.unsubscribe(self.receiver, "a/+"))
        client.publish("a/b", b"late")
        self.assertEqual(len(self.taken), 1)

    def test_retained_messages(self) -> None:
        """A local subscriber gets retained messages as its Retain Handling says, never for a share."""
        self.connected("c").publish("a", b"kept", retain=True)
        self.broker.publish(Message("$share/g/a", b"odd", 0, True))
        self.broker.subscribe(self.receiver, SubscriptionOptions("$share/g/a"))
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", retain_handling=2))
        self.assertEqual(self.taken, [])
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", retain_handling=1))
        self.assertEqual(self.taken, [])
        self.broker.subscribe(self.receiver, SubscriptionOptions("a"))
        self.assertEqual(self.taken, [("a", b"kept", 0, True)])

    def test_shared(self) -> None:
        """A local subscriber may be a member of a group, beside clients."""
        client = self.connected("c")
        client.subscribe("$share/g/a")
        self.broker.subscribe(self.receiver, SubscriptionOptions("$share/g/a"))
        for _ in range(4):
            client.publish("a")
        self.assertEqual((len(self.taken), len(client.payloads())), (2, 2))

    def test_filters_that_are_none(self) -> None:
        """A faulty filter is a `ValueError` at once, and nothing is subscribed to."""
        for topic_filter in ("", "a#", "a/#/b", "$share/g", "a\0b"):
            with self.assertRaises(ValueError):
                self.broker.subscribe(self.receiver, SubscriptionOptions(topic_filter))
        self.assertEqual(self.broker.router.subscriptions.count, 0)

    def test_always_there(self) -> None:
        """A local receiver is online, ready, and has room."""
        self.assertEqual(
            (self.receiver.is_online, self.receiver.is_ready, self.receiver.has_room), (True,) * 3
        )
        self.assertEqual(self.receiver.client_id, "local")
