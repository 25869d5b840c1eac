"""What any store must keep, seen from the broker: it is stopped, and another one starts with the same store.

    class MyStoreTests(contract.StoreContract):
        def open_store(self) -> Store:
            return MyStore(self.path)

Import the module and not the class, or the class itself would be run as a test.
"""

from __future__ import annotations

from mqttwist.broker.settings import Settings
from mqttwist.session.delivery import QUEUE_FULL
from mqttwist.session.store import Store
from mqttwist.wire.connect import Will
from mqttwist.wire.message import Message
from mqttwist.wire.publish import Publish
from tests.broker.harness import BrokerTestCase, TestClient


class StoreContract(BrokerTestCase):
    """The tests; a class that inherits from it says how a store is opened, and opened again."""

    def open_store(self) -> Store:
        """A store that has all that was told to the one opened before in this test, if there was one."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()
        self.start(store=self.open_store())

    def restart(self) -> None:
        """Stop the broker and start another."""
        self.broker.shut_down()
        self.start(store=self.open_store())

    def persistent(self, client_id: str = "c", version: int = 5) -> TestClient:
        options = {"session_expiry_interval": 100} if version == 5 else {}
        return self.connected(client_id, version, clean_start=False, **options)

    def test_an_empty_store(self) -> None:
        """A new store has nothing."""
        store = self.open_store()
        self.assertEqual((list(store.sessions()), list(store.retained())), ([], []))

    def test_sessions(self) -> None:
        """A session that outlives its connection is there after a start, others are not [MQTT-4.1.0-1]."""
        self.persistent("kept")
        self.persistent("old", 4)
        self.connected("gone")
        self.restart()
        self.assertEqual(len(self.broker.sessions), 2)
        for client_id, version in (("kept", 5), ("old", 4)):
            self.assertTrue(self.client(version).connect(client_id, clean_start=False).session_present)
        self.assertFalse(self.client().connect("gone", clean_start=False).session_present)

    def test_ended_sessions(self) -> None:
        """A session that has ended stays ended: by Clean Start, by its expiry, by DISCONNECT."""
        for client_id in ("clean", "expired", "disconnected"):
            self.persistent(client_id).subscribe("a")
        clients = [self.persistent(client_id) for client_id in ("clean", "expired")]
        for client in clients:
            client.lose()
        self.connected("clean").lose()
        self.connected("disconnected", clean_start=False, session_expiry_interval=5).disconnect(
            session_expiry_interval=0
        )
        self.advance(101)
        self.restart()
        self.assertEqual((len(self.broker.sessions), self.broker.router.subscriptions.count), (0, 0))

    def test_expiry_goes_on(self) -> None:
        """A session whose client does not come back after a start expires."""
        self.persistent()
        self.restart()
        self.advance(99)
        self.assertEqual(len(self.broker.sessions), 1)
        self.advance(1)
        self.assertEqual(len(self.broker.sessions), 0)
        self.restart()
        self.assertEqual(len(self.broker.sessions), 0)

    def test_subscriptions(self) -> None:
        """Subscriptions are kept with their options and identifiers, and those removed stay removed."""
        client = self.persistent()
        client.subscribe("a/#", qos=1, identifier=3)
        client.subscribe("a/b", qos=2, identifier=4, retain_as_published=True)
        client.subscribe("c", qos=2)
        client.subscribe("c", qos=0, no_local=True)
        client.subscribe("gone", "$share/g/gone")
        client.unsubscribe("gone", "$share/g/gone")
        self.restart()
        client = self.persistent()
        client.publish("c", b"own")
        client.publish("gone", b"gone")
        client.publish("a/b", b"hi", 2, True)
        message = client.take_one(Publish)
        self.assertEqual((message.payload, message.qos, message.retain), (b"hi", 2, True))
        self.assertEqual(sorted(message.subscription_identifiers), [3, 4])
        self.assertEqual(client.payloads(), [])

    def test_shared_subscriptions(self) -> None:
        """Members of a Shared Subscription are members again."""
        self.persistent("1").subscribe("$share/g/a", qos=1)
        self.persistent("2").subscribe("$share/g/a", qos=1)
        self.restart()
        first, second = self.persistent("1"), self.persistent("2")
        for n in range(4):
            first.publish("a", b"%d" % n, 1)
        self.assertEqual((len(first.payloads()), len(second.payloads())), (2, 2))

    def test_messages_that_wait(self) -> None:
        """QoS 1 and 2 messages for a client that is away are there after a start [MQTT-4.5.0-1]."""
        client = self.persistent()
        client.subscribe("a", qos=2)
        client.lose()
        publisher = self.connected("p")
        publisher.publish("a", b"1", 1)
        publisher.publish("a", b"2", 2)
        self.restart()
        self.assertEqual(self.persistent().payloads(), [b"1", b"2"])

    def test_limits_are_those_of_the_new_broker(self) -> None:
        """After a start with other settings the queue is bounded by them, and drops are counted anew."""
        client = self.persistent()
        client.subscribe("a", qos=1)
        client.lose()
        self.broker.shut_down()
        self.start(Settings(queue_messages=1), store=self.open_store())
        publisher = self.connected("p")
        for payload in (b"1", b"2", b"3"):
            publisher.publish("a", payload, 1)
        self.assertEqual(self.broker.drops.totals, {QUEUE_FULL: 2})
        self.assertEqual(self.persistent().payloads(), [b"1"])

    def test_messages_in_flight(self) -> None:
        """What was sent and not confirmed is sent again after a start, with DUP [MQTT-4.4.0-1]."""
        client = self.persistent()
        client.subscribe("a", qos=2)
        self.connected("p").publish("a", b"hi", 2)
        before = client.take_one(Publish)
        self.restart()
        again = self.persistent().take_one(Publish)
        self.assertEqual((again.payload, again.dup, again.packet_id), (b"hi", True, before.packet_id))

    def test_qos_2_received(self) -> None:
        """A QoS 2 message that was received before is not published a second time after a start."""
        publisher = self.persistent("p")
        publisher.publish("a", b"once", 2, packet_id=7)
        self.restart()
        watcher = self.connected("w")
        watcher.subscribe("a")
        self.persistent("p").publish("a", b"once", 2, packet_id=7, dup=True)
        self.assertEqual(watcher.payloads(), [])

    def test_retained_messages(self) -> None:
        """Retained messages are kept with their properties; changed ones are changed, deleted ones gone."""
        publisher = self.connected("p")
        publisher.publish(
            "kept", b"1", 1, True, content_type="text", user_properties=(("b", "1"), ("a", "2"))
        )
        publisher.publish("changed", b"1", 0, True)
        publisher.publish("changed", b"2", 0, True)
        publisher.publish("deleted", b"1", 0, True)
        publisher.publish("deleted", b"", 0, True)
        before = self.broker.router.retained.get("kept")
        self.restart()
        self.assertEqual(len(self.broker.router.retained), 2)
        client = self.connected("c")
        client.subscribe("kept", qos=2)
        message = client.take_one(Publish)
        self.assertEqual((message.payload, message.qos, message.retain), (b"1", 1, True))
        self.assertEqual(message.properties, self.properties_of(before))
        client.subscribe("changed")
        self.assertEqual(client.payloads(), [b"2"])

    def test_retained_messages_are_still_their_publishers(self) -> None:
        """No Local holds for what was retained before the start, too [MQTT-3.8.3-3]."""
        for client_id in ("p", "q"):
            self.connected(client_id).publish(f"from/{client_id}", client_id.encode(), 0, True)
        self.restart()
        publisher = self.connected("p")
        publisher.subscribe("from/+", no_local=True)
        self.assertEqual(publisher.payloads(), [b"q"])

    def test_retained_messages_that_wait(self) -> None:
        """What waits because of a SUBSCRIBE is left out if it is replaced after a start, before its turn."""
        for topic in ("a", "b", "c"):
            self.connected("p").publish(topic, b"old", 1, True)
        client = self.connected("c", clean_start=False, session_expiry_interval=100, receive_maximum=1)
        client.subscribe("+", qos=1)
        self.assertEqual(client.payloads(), [b"old"])
        self.restart()
        for topic in ("a", "b", "c"):
            self.connected("p").publish(topic, b"new", 1, True)
        # The first was sent before; the others have not had their turn.
        self.assertEqual(sorted(self.persistent().payloads()), [b"new", b"new", b"new", b"old"])

    def properties_of(self, message: Message | None) -> object:
        return None if message is None else message.properties

    def test_retained_messages_expire(self) -> None:
        """A retained message with an expiry expires after a start as it would have before."""
        self.connected("p").publish("a", b"1", 0, True, message_expiry_interval=10)
        self.now += 4
        self.restart()
        self.advance(5)
        self.assertEqual(len(self.broker.router.retained), 1)
        self.advance(1)
        self.assertEqual(len(self.broker.router.retained), 0)
        self.restart()
        self.assertEqual(len(self.broker.router.retained), 0)

    def test_a_retained_will(self) -> None:
        """What a will has retained while the broker stopped is kept, too."""
        self.connected("c", will=Will("will", b"gone", 0, True))
        self.restart()
        self.assertEqual(len(self.broker.router.retained), 1)

    def test_many_starts(self) -> None:
        """Starting again and again adds nothing and loses nothing."""
        self.persistent().subscribe("a", qos=1)
        for n in range(5):
            self.connected("p").publish("a", b"%d" % n, 1)
            self.restart()
        self.assertEqual((len(self.broker.sessions), self.broker.router.subscriptions.count), (1, 1))
        self.assertEqual(self.persistent().payloads(), [b"0", b"1", b"2", b"3", b"4"])
