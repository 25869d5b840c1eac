"""`mqttwist.broker.sys_topics`: the figures of the broker as retained messages."""

from __future__ import annotations

from mqttwist.broker.sys_topics import SysTopics
from mqttwist.stores.memory import MemoryStore
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.connect import Will
from mqttwist.wire.publish import Publish
from tests.broker.harness import BrokerTestCase


class SysTopicsTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.topics = SysTopics(self.broker)

    def figure(self, name: str) -> str:
        message = self.broker.router.retained.get(f"$SYS/broker/{name}")
        return "" if message is None else message.payload.decode()

    def test_everything_is_published(self) -> None:
        """All figures are published at first, retained, to whoever subscribes before or after."""
        early = self.connected("early")
        early.subscribe("$SYS/#")
        self.assertEqual(self.topics.publish(), len(self.topics.figures()))
        late = self.connected("late")
        late.subscribe("$SYS/broker/#")
        for client in (early, late):
            topics = {one.topic_name for one in client.take() if isinstance(one, Publish)}
            self.assertEqual(topics, {f"$SYS/broker/{name}" for name in self.topics.figures()})

    def test_only_changes_are_published(self) -> None:
        """A figure that is the same as before is not published again."""
        self.topics.publish()
        self.topics.publish()  # the number of retained messages has changed by the first time
        self.assertEqual(self.topics.publish(), 0)
        self.now += 1
        self.assertEqual(self.topics.publish(), 1)
        self.assertEqual(self.figure("uptime"), "1 seconds")

    def test_wildcards_do_not_find_them(self) -> None:
        """`#` subscribes to no `$SYS` topic [MQTT-4.7.2-1]."""
        client = self.connected("c")
        client.subscribe("#", "+/broker/#")
        self.topics.publish()
        self.assertEqual(client.take(), [])

    def test_clients(self) -> None:
        """Clients are counted with and without a connection."""
        self.connected("a")
        self.connected("b", session_expiry_interval=100).lose()
        self.topics.publish()
        counts = [self.figure(f"clients/{name}") for name in ("total", "connected", "disconnected")]
        self.assertEqual(counts, ["2", "1", "1"])
        self.advance(100)
        self.topics.publish()
        self.assertEqual(self.figure("clients/total"), "1")

    def test_subscriptions_and_retained(self) -> None:
        """Subscriptions, shared ones and retained messages are counted."""
        client = self.connected("c")
        client.subscribe("a", "b", "$share/g/a", "a")
        client.publish("a", b"x", retain=True)
        self.topics.publish()
        self.assertEqual(self.figure("subscriptions/count"), "3")
        self.assertEqual(self.figure("shared_subscriptions/count"), "1")
        self.assertEqual(self.figure("retained messages/count"), "1")

    def test_traffic(self) -> None:
        """Packets, messages and bytes are counted in both directions, just as they passed."""
        client = self.connected("c")
        client.subscribe("a", qos=1)
        client.publish("a", b"hi", 1)
        client.take()
        self.topics.publish()
        self.assertEqual(self.figure("messages/received"), "3")  # CONNECT, SUBSCRIBE, PUBLISH
        self.assertEqual(self.figure("messages/sent"), "4")  # CONNACK, SUBACK, PUBLISH, PUBACK
        self.assertEqual(self.figure("publish/messages/received"), "1")
        self.assertEqual(self.figure("publish/messages/sent"), "1")
        self.assertEqual(self.figure("bytes/sent"), str(len(client.transport.data)))

    def test_trouble(self) -> None:
        """Drops, refusals and protocol errors are counted."""
        self.connected("c").send_bytes(b"\x00\x00")
        self.client().connect("d", authentication_method="m")
        small = self.connected("small", maximum_packet_size=20)
        small.subscribe("a")
        small.publish("a", bytes(100))
        self.topics.publish()
        self.assertEqual(self.figure("errors/protocol"), "1")
        self.assertEqual(self.figure("connections/refused"), "1")
        self.assertEqual(self.figure("connections/opened"), "3")
        self.assertEqual(self.figure("publish/messages/dropped"), "1")

    def test_a_bridge_may_say_whether_it_is_up(self) -> None:
        """Of `$SYS` a client may publish to one topic: the state of its own bridge, as a will too."""
        own = "$SYS/broker/connection/the-bridge/state"
        watcher = self.connected("w")
        watcher.subscribe("$SYS/broker/connection/#")
        bridge = self.client()
        connack = bridge.connect("the-bridge", will=Will(own, b"0", 1, True))
        self.assertEqual(connack.reason_code, 0)
        bridge.publish(own, b"1", 1, retain=True)
        self.assertEqual(bridge.take_one(PubAck).reason_code, 0)
        bridge.lose()
        self.assertEqual(watcher.payloads(), [b"1", b"0"])
        other = self.connected("other")
        for topic_name in (own, "$SYS/broker/connection/other", "$SYS/broker/version", "$SYS"):
            other.publish(topic_name, b"1", 1)
            self.assertEqual(other.take_one(PubAck).reason_code, 0x87)
        self.assertEqual(self.client().connect("third", will=Will(own, b"0")).reason_code, 0x87)

    def test_the_store_does_not_keep_them(self) -> None:
        """The figures of a broker are not those of the next: the store never hears of them."""
        store = MemoryStore()
        self.start(store=store)
        SysTopics(self.broker).publish()
        self.assertTrue(len(self.broker.router.retained) > 10)
        self.assertEqual(list(store.retained()), [])
