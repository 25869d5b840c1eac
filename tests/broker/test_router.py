"""`mqttwist.broker.router`: retained messages, permissions, limits of topics."""

from __future__ import annotations

from typing import Any

from mqttwist.broker.connection import ServerConnection
from mqttwist.broker.settings import Settings
from mqttwist.broker.subscriber import REPLAY_LIMIT
from mqttwist.session.delivery import FORBIDDEN, QUEUE_FULL
from mqttwist.wire.acknowledge import PubAck, PubRec
from mqttwist.wire.connect import Connect, Will
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck
from tests.broker.harness import VERSIONS, BrokerTestCase


class RetainTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.publisher = self.connected("p")

    def retain(self, topic_name: str, payload: bytes = b"kept", qos: int = 0, **properties: Any) -> None:
        self.publisher.publish(topic_name, payload, qos, True, **properties)

    def test_the_last_message_is_kept(self) -> None:
        """A new subscription gets the last retained message of each topic [MQTT-3.3.1-5] [MQTT-3.3.1-8]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                self.retain("a/b", b"old")
                self.retain("a/b", b"new", 2)
                self.publisher.publish("a/b", b"not kept")
                client = self.connected("s", version)
                client.subscribe("a/#", qos=1)
                [message] = client.take()
                self.assertIsInstance(message, Publish)
                if isinstance(message, Publish):
                    self.assertEqual((message.payload, message.qos, message.retain), (b"new", 1, True))
                client.disconnect()

    def test_after_the_suback(self) -> None:
        """The SUBACK comes first, then the retained messages, identifier included (3.8.4)."""
        self.retain("a")
        client = self.connected("s")
        options = [SubscriptionOptions("a"), SubscriptionOptions("#")]
        packets = client.send(Subscribe(1, options, Properties(subscription_identifiers=(7,))))
        self.assertEqual([type(one) for one in packets], [SubAck, Publish, Publish])
        identifiers = [one.subscription_identifiers for one in packets if isinstance(one, Publish)]
        self.assertEqual(identifiers, [(7,), (7,)])

    def test_an_empty_payload_deletes(self) -> None:
        """A retained message without payload removes what is kept, and is not kept [MQTT-3.3.1-6, -7]."""
        self.retain("a")
        self.retain("a", b"")
        self.retain("never", b"")
        self.assertEqual(len(self.broker.router.retained), 0)
        client = self.connected("s")
        client.subscribe("#")
        self.assertEqual(client.take(), [])

    def test_retain_handling(self) -> None:
        """0 sends always, 1 if the subscription is new, 2 never [MQTT-3.3.1-9, -10, -11]."""
        self.retain("a")
        for handling, first, again in ((0, 1, 1), (1, 1, 0), (2, 0, 0)):
            with self.subTest(handling=handling):
                client = self.connected("s")
                for expected in (first, again):
                    client.subscribe("a", retain_handling=handling)
                    self.assertEqual(len(client.payloads()), expected)
                client.unsubscribe("a")
                client.subscribe("a", retain_handling=handling)
                self.assertEqual(len(client.payloads()), first)

    def test_no_local(self) -> None:
        """With No Local a client is not sent what it retained itself, but what others did [MQTT-3.8.3-3]."""
        client, other = self.connected("c"), self.connected("other")
        client.publish("a/own", b"own", retain=True)
        other.publish("a/other", b"other", retain=True)
        client.subscribe("a/#", no_local=True)
        self.assertEqual(client.payloads(), [b"other"])
        other.publish("a/own", b"now theirs", retain=True)
        self.assertEqual(client.payloads(), [b"now theirs"])
        client.subscribe("a/own", no_local=True)
        self.assertEqual(client.payloads(), [b"now theirs"])
        client.subscribe("a/+")
        self.assertEqual(sorted(client.payloads()), [b"now theirs", b"other"])

    def test_retain_as_published(self) -> None:
        """A live message has RETAIN as it was published, or 0 without the option [MQTT-3.3.1-12, -13]."""
        for asked in (False, True):
            client = self.connected("s")
            client.subscribe("a", qos=1, retain_as_published=asked)
            client.payloads()
            for qos in (0, 1):
                for retain in (False, True):
                    self.publisher.publish("a", b"live", qos, retain)
                    self.assertEqual(client.take_one(Publish).retain, asked and retain)

    def test_expiry(self) -> None:
        """A retained message goes when its Message Expiry Interval has passed; until then it counts down."""
        self.retain("a", message_expiry_interval=10)
        self.advance(4)
        client = self.connected("s")
        client.subscribe("a")
        self.assertEqual(client.take_one(Publish).message_expiry_interval, 6)
        self.advance(6)
        self.assertEqual(len(self.broker.router.retained), 0)

    def test_expired_but_not_swept(self) -> None:
        """Between its expiry and the next tick an expired message is not sent either [MQTT-3.3.2-5]."""
        self.retain("a", message_expiry_interval=10)
        self.now += 10
        client = self.connected("s")
        client.subscribe("a")
        self.assertEqual(client.take(), [])

    def test_replaced_messages_are_let_go(self) -> None:
        """A new message ends the expiry of the old: nothing old is held, and the new one stays."""
        for n in range(1000):
            self.retain("a", b"%d" % n, message_expiry_interval=1_000_000)
        self.assertEqual(len(self.broker.deadlines), 1)
        self.retain("a", b"short", message_expiry_interval=5)
        self.retain("a", b"for ever")
        self.assertEqual(len(self.broker.deadlines), 0)
        self.retain("b", message_expiry_interval=5)
        self.retain("b", b"")
        self.advance(10_000_000)
        message = self.broker.router.retained.get("a")
        self.assertEqual(None if message is None else message.payload, b"for ever")

    def test_the_limit(self) -> None:
        """Beyond maximum_retained: 0x97 for new topics, while known ones may change and go."""
        self.start(Settings(maximum_retained=2))
        client = self.connected("p")
        client.publish("a", b"1", 1, True, 1)
        client.publish("b", b"1", 1, True, 2)
        client.publish("c", b"1", 1, True, 3)
        client.publish("c", b"1", 2, True, 4)
        client.publish("a", b"2", 1, True, 5)
        client.publish("c", b"", 1, True, 6)
        client.publish("c", b"1", 1, False, 7)
        codes = [one.reason_code for one in client.take() if isinstance(one, PubAck | PubRec)]
        self.assertEqual(codes, [0x10, 0x10, 0x97, 0x97, 0x10, 0x10, 0x10])
        self.assertEqual(len(self.broker.router.retained), 2)

    def test_not_available(self) -> None:
        """Where the Server has no retained messages, RETAIN is 0x9A [MQTT-3.2.2-14]."""
        self.start(Settings(retain_available=0))
        for version in VERSIONS:
            client = self.connected("c", version)
            client.publish("a", b"", 0, True)
            self.assertClosed(client, 0x9A)

    def test_the_maximum_qos(self) -> None:
        """More than the Maximum QoS is 0x9B, and no more is granted [MQTT-3.2.2-11] (3.8.4)."""
        self.start(Settings(maximum_qos=1))
        for version in VERSIONS:
            client = self.connected("c", version)
            self.assertEqual(client.subscribe("a", qos=2).reason_codes, [1])
            client.publish("a", b"", 1)
            self.assertFalse(client.is_closed)
            client.take()
            client.publish("a", b"", 2)
            self.assertClosed(client, 0x9B)

    def test_asking_again_and_again(self) -> None:
        """A client can't pile up retained messages without bound by asking for them without reading."""
        for n in range(100):
            self.retain(f"a/{n}")
        client = self.connected("s", receive_maximum=1)
        client.connection.transport_full()
        many = Subscribe(1, [SubscriptionOptions("a/#", 0)] * 500)
        for _ in range(6):
            client.send_bytes(many.encode(5))
        session = self.broker.sessions.get("s")
        self.assertTrue(session is not None and len(session.outgoing.waiting) <= REPLAY_LIMIT + 300)
        self.broker.report()
        self.assertEqual([(one[0], one[1]) for one in self.observer.of("dropped")], [("s", QUEUE_FULL)])


class Permissions:
    """Allows what begins with `open`; counts how often it is asked about publishing."""

    def __init__(self) -> None:
        self.asked = 0

    def may_publish(self, topic_name: str, qos: int, retain: bool) -> bool:
        self.asked += 1
        return topic_name.startswith("open")

    def may_subscribe(self, topic_filter: str, qos: int) -> bool:
        return topic_filter.startswith(("open", "#", "$share"))

    def may_receive(self, topic_name: str) -> bool:
        return topic_name.startswith("open")


class PermissionTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.permissions = Permissions()
        self.start(login=self.log_in)
        self.root = self.connected("root")

    def log_in(self, connection: ServerConnection, connect: Connect) -> None:
        connection.accept(None if connect.client_id == "root" else self.permissions)

    def test_publishing(self) -> None:
        """What is not allowed is 0x87 in MQTT 5.0, acknowledged in 3.x, and goes to nobody [MQTT-3.3.5-2]."""
        self.root.subscribe("#")
        for version in VERSIONS:
            code = 0x87 if version == 5 else 0
            client = self.connected("c", version)
            client.publish("closed", b"x", 0)
            client.publish("closed", b"x", 1, packet_id=1)
            client.publish("closed", b"x", 2, packet_id=2)
            self.assertEqual(client.take(), [PubAck(1, code), PubRec(2, code)])
            client.publish("open", b"yes", 1)
        self.assertEqual(self.root.payloads(), [b"yes"] * 3)
        self.broker.tick()
        self.assertEqual(self.observer.of("publish_refused"), [("c", "closed", 0x87, 9)])
        self.broker.tick()
        self.assertEqual(len(self.observer.of("publish_refused")), 1)

    def test_answers_are_remembered(self) -> None:
        """The same question is asked once for each connection, and what is remembered is bounded."""
        client = self.connected("c")
        for _ in range(10):
            client.publish("open", b"")
        self.assertEqual(self.permissions.asked, 1)
        client.publish("open", b"", 1)
        self.assertEqual(self.permissions.asked, 2)
        for n in range(3000):
            client.publish(f"open/{n}", b"")
            publisher = client.connection._publisher
            assert publisher is not None
            self.assertTrue(len(publisher._permissions) <= 1000)
        self.connected("c").publish("open", b"")
        self.assertEqual(self.permissions.asked, 3003)

    def test_subscribing(self) -> None:
        """A filter that is not allowed is 0x87, 0x80 in 3.x; the others of the packet are granted (3.9.3)."""
        for version in VERSIONS:
            client = self.connected("c", version)
            code = 0x87 if version == 5 else 0x80
            self.assertEqual(client.subscribe("open/#", "closed", "open", qos=1).reason_codes, [1, code, 1])
            session = self.broker.sessions.get("c")
            self.assertEqual(set(session.subscriptions) if session else None, {"open/#", "open"})

    def test_receiving(self) -> None:
        """What a client may not receive does not reach it: live, retained, or by a Shared Subscription."""
        self.root.publish("closed/kept", b"no", retain=True)
        self.root.publish("open/kept", b"kept", retain=True)
        client = self.connected("c")
        client.subscribe("#", "$share/g/#")
        self.assertEqual(client.payloads(), [b"kept"])
        for topic in ("closed", "open", "closed"):
            self.root.publish(topic, topic.encode())
        self.assertEqual(client.payloads(), [b"open", b"open"])

    def test_receiving_one_topic_and_not_its_sibling(self) -> None:
        """What a client may receive is asked for each topic, also where a wildcard stands for all of them."""
        self.permissions.may_receive = lambda topic_name: topic_name != "a/2"  # type: ignore[method-assign]
        client = self.connected("c")
        client.subscribe("#")
        for topic in ("a/1", "a/2", "a/3", "a/2"):
            self.root.publish(topic, topic.encode())
        self.assertEqual(client.payloads(), [b"a/1", b"a/3"])

    def test_shared_subscriptions_pass_over_who_may_not(self) -> None:
        """A member that may not receive a message is passed over; who may gets all of them."""
        client = self.connected("c")
        client.subscribe("$share/g/#")
        self.root.subscribe("$share/g/#")
        for n in range(4):
            self.root.publish("closed", b"%d" % n)
        self.assertEqual(self.root.payloads(), [b"0", b"1", b"2", b"3"])
        self.assertEqual(client.payloads(), [])

    def test_permissions_change_with_the_login(self) -> None:
        """Routes of a session follow who its client is now."""
        self.root.subscribe("#")
        self.root.publish("closed", b"1")
        self.assertEqual(self.root.payloads(), [b"1"])
        self.permissions.may_receive = lambda topic_name: False  # type: ignore[method-assign]
        client = self.connected("c", session_expiry_interval=100)
        client.subscribe("#")
        self.root.publish("closed", b"2")
        self.assertEqual(client.payloads(), [])
        self.permissions = Permissions()
        self.permissions.may_receive = lambda topic_name: True  # type: ignore[method-assign]
        client = self.connected("c", clean_start=False, session_expiry_interval=100)
        self.root.publish("closed", b"3")
        self.assertEqual(client.payloads(), [b"3"])

    def test_what_waits_follows_the_login(self) -> None:
        """What waits for a client and what it may not receive any more is dropped and counted."""
        self.permissions.may_receive = lambda topic_name: True  # type: ignore[method-assign]
        self.root.publish("closed/kept", b"no", retain=True)
        self.root.publish("open/kept", b"kept", 1, retain=True)
        client = self.connected("c", session_expiry_interval=100)
        client.connection.transport_full()
        filters = ("#", "$share/g/closed/2")
        client.send(Subscribe(1, [SubscriptionOptions(one, 1) for one in filters]))
        client.lose()
        for topic, qos in (("closed/1", 0), ("open/1", 1), ("closed/2", 1), ("open/2", 0)):
            self.root.publish(topic, topic.encode(), qos)
        self.permissions = Permissions()
        client = self.connected("c", clean_start=False, session_expiry_interval=100)
        self.assertEqual(client.payloads(), [b"kept", b"open/1", b"open/2"])
        self.assertEqual(self.broker.drops.totals, {FORBIDDEN: 4})

    def test_wills(self) -> None:
        """A will to a topic that the client may not publish to is refused at once: 0x87."""
        for topic, code in (("open/will", 0), ("closed/will", 0x87), ("$SYS/will", 0x87)):
            self.assertEqual(self.client().connect("c", will=Will(topic, b"x")).reason_code, code)
        self.assertEqual(self.client(4).connect("c", will=Will("closed")).reason_code, 5)

    def test_nothing_is_left_of_sessions(self) -> None:
        """Authorities are forgotten with their sessions."""
        for n in range(10):
            self.connected(f"c{n}").lose()
        self.assertEqual(self.broker.router._authorities, {})


class TopicTests(BrokerTestCase):
    def test_sys_is_protected(self) -> None:
        """No client publishes below $SYS/: 0x87."""
        client = self.connected("c")
        client.subscribe("$SYS/#")
        client.publish("$SYS/x", b"x", 0)
        client.publish("$SYS/x", b"x", 1, packet_id=1)
        client.publish("$SYS/x", b"x", 2, True, packet_id=2)
        self.assertEqual(client.take(), [PubAck(1, 0x87), PubRec(2, 0x87)])
        self.assertEqual(len(self.broker.router.retained), 0)

    def test_sys_by_an_alias(self) -> None:
        """An alias is no way round."""
        client = self.connected("c")
        client.subscribe("$SYS/#")
        client.publish("$SYS/x", b"x", topic_alias=1)
        client.publish("", b"x", topic_alias=1)
        self.assertEqual(client.take(), [])

    def test_wildcards_and_dollar(self) -> None:
        """A filter that begins with a wildcard does not match topics that begin with $ [MQTT-4.7.2-1]."""
        client = self.connected("c")
        client.subscribe("#", "+/x")
        client.publish("$other/x", b"no")
        self.assertEqual(client.payloads(), [])
        client.subscribe("$other/#")
        client.publish("$other/x", b"yes")
        self.assertEqual(client.payloads(), [b"yes"])

    def test_too_many_levels(self) -> None:
        """More than maximum_topic_levels is not accepted: 0x90 for names, 0x8F for filters, 0x80 in 3.x."""
        self.start(Settings(maximum_topic_levels=3))
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                code = 0x8F if version == 5 else 0x80
                answer = client.subscribe("a/b/c", "a/b/c/#", "$share/g/a/b/c/d")
                self.assertEqual(answer.reason_codes, [0, code, code])
                client.publish("a/b/c", b"yes")
                client.publish("a/b/c/d", b"no", 1, packet_id=9)
                packets = client.take()
                self.assertEqual([one.payload for one in packets if isinstance(one, Publish)], [b"yes"])
                refused = PubAck(9, 0x90 if version == 5 else 0)
                self.assertEqual([one for one in packets if isinstance(one, PubAck)], [refused])
        self.assertEqual(self.client().connect("w", will=Will("a/b/c/d")).reason_code, 0x90)

    def test_the_number_of_subscriptions(self) -> None:
        """Beyond maximum_subscriptions: 0x97; those that are there may be made anew."""
        self.start(Settings(maximum_subscriptions=2))
        client = self.connected("c")
        self.assertEqual(client.subscribe("a", "b", "c", "a").reason_codes, [0, 0, 0x97, 0])
        client.unsubscribe("a")
        self.assertEqual(client.subscribe("c").reason_codes, [0])

    def test_unsubscribe(self) -> None:
        """Each filter is answered, 0x11 where there was none; compared as it is [MQTT-3.10.4-1]."""
        client = self.connected("c")
        client.subscribe("a/+", "b")
        self.assertEqual(client.unsubscribe("a/+", "a/b", "b", "b").reason_codes, [0, 0x11, 0, 0x11])
        client.publish("a/b")
        self.assertEqual(client.take(), [])
        old = self.connected("old", 4)
        self.assertEqual(old.unsubscribe("nothing"), UnsubAck(1, []))
