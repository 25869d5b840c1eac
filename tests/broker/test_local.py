"""In-process use: `Broker.publish`, `Broker.subscribe` and `mqttwist.broker.local`."""

from __future__ import annotations

from mqttwist.broker.local import WaitingReceiver
from mqttwist.session.delivery import NO_MEMBER
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.message import Message
from mqttwist.wire.properties import Properties
from mqttwist.wire.subscribe import SubscriptionOptions
from tests.broker.harness import BrokerTestCase, TestClient


class LocalTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.receiver = WaitingReceiver("local", QueueLimits(0, 0, True), self.broker.drops, lambda: None)

    def take(self) -> list[tuple[str, bytes, int, bool]]:
        """What has come since the last call."""
        taken: list[tuple[str, bytes, int, bool]] = []
        while (message := self.receiver.next(self.broker.turn.now)) is not None:
            taken.append((message.topic_name, message.payload, message.qos, message.retain))
        return taken

    def test_publishing_from_inside(self) -> None:
        """`Broker.publish` reaches clients at once and tells whether anybody listens."""
        self.assertFalse(self.broker.publish(Message.create("a", b"hi")))
        client: TestClient = self.connected("c")
        client.subscribe("a", qos=1)
        self.assertTrue(self.broker.publish(Message.create("a", b"hi", 1)))
        self.assertEqual(client.payloads(), [b"hi"])

    def test_subscribing_from_inside(self) -> None:
        """A local subscriber gets each message, with the QoS and RETAIN of its delivery."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a/+", 1))
        client = self.connected("c", 4)
        client.publish("a/b", b"hi", 2)
        client.publish("other", b"no")
        self.assertEqual(self.take(), [("a/b", b"hi", 1, False)])
        self.assertTrue(self.broker.unsubscribe(self.receiver, "a/+"))
        self.assertFalse(self.broker.unsubscribe(self.receiver, "a/+"))
        client.publish("a/b", b"late")
        self.assertEqual(self.take(), [])

    def test_retained_messages(self) -> None:
        """A local subscriber gets retained messages as its Retain Handling says, never for a share."""
        self.connected("c").publish("a", b"kept", retain=True)
        self.broker.publish(Message("$share/g/a", b"odd", 0, True))
        self.broker.subscribe(self.receiver, SubscriptionOptions("$share/g/a"))
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", retain_handling=2))
        self.assertEqual(self.take(), [])
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", retain_handling=1))
        self.assertEqual(self.take(), [])
        self.broker.subscribe(self.receiver, SubscriptionOptions("a"))
        self.assertEqual(self.take(), [("a", b"kept", 0, True)])

    def test_shared(self) -> None:
        """A local subscriber may be a member of a group, beside clients."""
        client = self.connected("c")
        client.subscribe("$share/g/a")
        self.broker.subscribe(self.receiver, SubscriptionOptions("$share/g/a"))
        for _ in range(4):
            client.publish("a")
        self.assertEqual((len(self.take()), len(client.payloads())), (2, 2))

    def test_filters_that_are_none(self) -> None:
        """A faulty filter is a `ValueError` at once, and nothing is subscribed to."""
        for topic_filter in ("", "a#", "a/#/b", "$share/g", "a\0b"):
            with self.assertRaises(ValueError):
                self.broker.subscribe(self.receiver, SubscriptionOptions(topic_filter))
        self.assertEqual(self.broker.router.subscriptions.count, 0)


class WaitingReceiverTests(BrokerTestCase):
    """A local subscriber that fetches its messages when it likes."""

    def setUp(self) -> None:
        super().setUp()
        self.woken = 0
        self.receiver = WaitingReceiver("local", QueueLimits(2, 0, True), self.broker.drops, self.wake)

    def wake(self) -> None:
        self.woken += 1

    def fetch(self) -> list[tuple[bytes, int, bool]]:
        """All that waits: payload, QoS and RETAIN."""
        found = iter(lambda: self.receiver.next(self.broker.turn.begin()), None)
        return [(message.payload, message.qos, message.retain) for message in found if message is not None]

    def test_waiting(self) -> None:
        """Messages wait in their order, with the QoS and RETAIN of the delivery; each is told of."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", 1, retain_as_published=True))
        self.broker.publish(Message.create("a", b"1", 2, True))
        self.broker.publish(Message.create("a", b"2", 0))
        self.assertEqual(self.woken, 2)
        self.assertEqual(self.fetch(), [(b"1", 1, True), (b"2", 0, False)])
        self.assertEqual(self.fetch(), [])

    def test_same_message(self) -> None:
        """A message that looks as it was published is not copied."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", 2))
        message = Message.create("a", b"1", 1)
        self.broker.publish(message)
        self.assertIs(self.receiver.next(self.broker.turn.now), message)

    def test_full(self) -> None:
        """When the queue is full QoS 0 goes first, then what would come in; both are counted."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a", 1))
        for payload, qos in ((b"1", 0), (b"2", 1), (b"3", 1), (b"4", 1)):
            self.broker.publish(Message.create("a", payload, qos))
        self.assertEqual(self.broker.drops.take(), [("local", "queue full", 2)])
        self.assertEqual(self.woken, 3)
        self.assertEqual(
            (self.receiver.is_online, self.receiver.is_ready, self.receiver.has_room), (True, False, False)
        )
        self.assertEqual(self.fetch(), [(b"2", 1, False), (b"3", 1, False)])
        self.assertTrue(self.receiver.is_ready and self.receiver.has_room)

    def test_shared_and_full(self) -> None:
        """A shared message that does not fit goes to another member, or is counted once, for the group."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("$share/g/a", 1))
        for _ in range(3):
            self.broker.publish(Message.create("a", b"1", 1))
        self.assertEqual(self.broker.drops.totals, {NO_MEMBER: 1})
        client = self.connected("c")
        client.subscribe("$share/g/a", qos=1)
        self.broker.publish(Message.create("a", b"2", 1))
        self.assertEqual((client.payloads(), self.broker.drops.totals), ([b"2"], {NO_MEMBER: 1}))

    def test_retained_messages_fit(self) -> None:
        """Retained messages that come because of the subscription do not count against the limits."""
        for topic in "abcd":
            self.broker.publish(Message.create(topic, b"kept", 0, True))
        self.broker.subscribe(self.receiver, SubscriptionOptions("+"))
        self.assertEqual(self.fetch(), [(b"kept", 0, True)] * 4)

    def test_expired(self) -> None:
        """What has expired is left out and counted; else the time left is told [MQTT-3.3.2-6]."""
        self.broker.subscribe(self.receiver, SubscriptionOptions("a"))
        for seconds in (10, 20):
            self.broker.publish(
                Message.create("a", b"", 0, properties=Properties(message_expiry_interval=seconds))
            )
        message = self.receiver.next(self.broker.turn.now + 10.5)
        self.assertEqual(getattr(message, "message_expiry_interval", None), 10)
        self.assertEqual(self.broker.drops.take(), [("local", "message expired", 1)])
