"""Packets that promise something: they go out when what they promise is stored, and no others wait."""

from __future__ import annotations

from mqttwist.wire.acknowledge import PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions, UnsubAck, Unsubscribe
from tests.broker.durable import DurableTestCase
from tests.broker.harness import AnyPacket, TestClient


def kinds(packets: list[AnyPacket]) -> list[str]:
    """Of each packet its name, and its Packet Identifier if it has one."""
    return [f"{type(packet).__name__} {getattr(packet, 'packet_id', '')}".rstrip() for packet in packets]


class WithheldTestCase(DurableTestCase):
    """A publisher whose session ends with its connection, and somebody who keeps frames going."""

    def setUp(self) -> None:
        super().setUp()
        self.publisher = self.connected("publisher")
        self.other = self.persistent("other", receive_maximum=1)
        self.other.subscribe("other", qos=1)
        self.other.lose()

    def hold(self) -> None:
        """Let frames wait from now on, and let one be under way that has to do with nobody here."""
        self.holding = True
        self.broker_publishes("other")

    def broker_publishes(self, topic: str) -> None:
        publisher = self.connected("somebody", 4)
        publisher.publish(topic, b"", 1)
        publisher.lose()

    def offline(self, qos: int = 2) -> None:
        """A persistent session that is subscribed to `a`, without its client."""
        client = self.persistent("offline")
        client.subscribe("a", qos=qos)
        client.lose()


class PublishTests(WithheldTestCase):
    """PUBACK and PUBREC."""

    def test_for_a_session_that_is_away(self) -> None:
        """PUBACK and PUBREC go out when the message is stored for a session without its client."""
        self.offline()
        self.holding = True
        self.publisher.publish("a", b"1", 1, packet_id=1)
        self.publisher.publish("a", b"2", 2, packet_id=2)
        self.assertEqual(self.publisher.take(), [])
        self.commit()
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 1"])
        self.commit()
        self.assertEqual(kinds(self.publisher.take()), ["PubRec 2"])

    def test_for_a_session_that_is_online(self) -> None:
        """The same for one with its client, who gets a message of QoS 1 at once."""
        subscriber = self.persistent("s")
        subscriber.subscribe("a", qos=1)
        self.holding = True
        for version in (3, 4, 5):
            publisher = self.connected(f"p{version}", version)
            publisher.publish("a", b"1", 1, packet_id=1)
            publisher.publish("a", b"1", 2, packet_id=2)
            self.assertEqual(subscriber.payloads(), [b"1", b"1"])
            self.assertEqual(publisher.take(), [])
            self.commit_all()
            self.assertEqual(kinds(publisher.take()), ["PubAck 1", "PubRec 2"])

    def test_retained(self) -> None:
        """A message that is retained is promised to those who come: of QoS 1 and 2, deleted ones too."""
        self.holding = True
        for payload, qos, answer in ((b"1", 1, "PubAck 7"), (b"2", 2, "PubRec 7"), (b"", 1, "PubAck 7")):
            self.publisher.publish("r", payload, qos, True, 7)
            self.assertEqual(self.publisher.take(), [])
            self.commit_all()
            self.assertEqual(kinds(self.publisher.take()), [answer])
            self.publisher.send(PubRel(7))
        self.assertEqual(self.disk.counts().get("retained"), None)

    def test_a_shared_subscription(self) -> None:
        """A member of a Shared Subscription that keeps its session is promised the message, too."""
        self.persistent("member").subscribe("$share/g/a", qos=1)
        self.holding = True
        self.publisher.publish("a", b"1", 1)
        self.assertEqual(self.publisher.take(), [])
        self.commit()
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 1"])

    def test_nothing_promised(self) -> None:
        """What no persistent session gets is acknowledged at once, while a frame of others is under way."""
        watcher = self.connected("w")
        watcher.subscribe("t", qos=2)
        kept = self.persistent("k")
        kept.subscribe("t", qos=0)
        self.hold()
        self.publisher.publish("t", b"1", 1, packet_id=1)
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 1"])
        self.publisher.publish("none", b"1", 1, packet_id=2)
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 2"])
        self.assertEqual((watcher.payloads(), kept.payloads()), ([b"1"], [b"1"]))

    def test_nothing_promised_at_qos_2(self) -> None:
        """So are both steps of QoS 2, to the publisher and to the subscriber."""
        watcher = self.connected("w")
        watcher.subscribe("t", qos=2)
        self.hold()
        self.publisher.publish("t", b"1", 2, packet_id=1)
        message = watcher.take_one(Publish)
        watcher.ack(message)
        watcher.ack(watcher.take_one(PubRel))
        self.assertEqual(kinds(self.publisher.take()), ["PubRec 1"])
        self.assertEqual(kinds(self.publisher.send(PubRel(1))), ["PubComp 1"])

    def test_behind_one_that_waits(self) -> None:
        """An acknowledgement that promises nothing keeps its place behind one that does [MQTT-4.6.0-2]."""
        self.offline()
        self.holding = True
        self.publisher.publish("a", b"", 1, packet_id=1)
        self.publisher.publish("none", b"", 1, packet_id=2)
        self.publisher.publish("a", b"", 1, packet_id=3)
        self.assertEqual(self.publisher.take(), [])
        self.commit()
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 1", "PubAck 2"])
        self.commit()
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 3"])
        self.publisher.publish("none", b"", 1, packet_id=4)
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 4"])

    def test_others_do_not_wait(self) -> None:
        """PINGRESP, QoS 0, and other connections go on while an acknowledgement waits."""
        self.offline()
        other = self.connected("p2")
        other.subscribe("b", qos=1)
        self.publisher.subscribe("c", qos=1)
        self.holding = True
        self.publisher.publish("a", b"", 1)
        self.publisher.ping()
        self.publisher.publish("b", b"0")
        other.publish("c", b"1", 1, packet_id=9)
        self.assertEqual(kinds(other.take()), ["Publish 0", "PubAck 9"])
        self.assertEqual(kinds(self.publisher.take()), ["Publish 1"])

    def test_sent_again_before_it_is_stored(self) -> None:
        """A QoS 2 PUBLISH that comes again is not acknowledged before the first one is stored."""
        self.offline()
        for client_id, options in (("kept", {"session_expiry_interval": 100}), ("4", {})):
            with self.subTest(client_id):
                version = 5 if options else 4
                publisher = self.connected(client_id, version, clean_start=False, **options)
                self.holding = True
                publisher.publish("a", b"", 2, packet_id=1)
                publisher.lose()
                publisher = self.connected(client_id, version, clean_start=False, **options)
                publisher.publish("a", b"", 2, packet_id=1, dup=True)
                self.assertEqual(publisher.take(), [])
                self.commit_all()  # that it is connected again is a change of its own
                self.assertEqual(kinds(publisher.take()), ["PubRec 1"])
                self.holding = False
        self.assertEqual(self.disk.counts()["queue"], 2)

    def test_sent_again_on_the_same_connection(self) -> None:
        """The same for a session that ends with its connection, where no identifier is stored."""
        self.offline()
        self.holding = True
        self.publisher.publish("a", b"", 2, packet_id=1)
        self.publisher.publish("a", b"", 2, packet_id=1, dup=True)
        self.assertEqual(self.publisher.take(), [])
        self.commit_all()
        self.assertEqual(kinds(self.publisher.take()), ["PubRec 1", "PubRec 1"])
        self.assertEqual((self.disk.counts()["queue"], self.disk.counts().get("received")), (1, None))

    def test_the_identifier_of_a_persistent_publisher(self) -> None:
        """PUBREC waits for the identifier to be stored, even if nobody gets the message; PUBCOMP for its
        removal."""
        publisher = self.persistent("p")
        self.holding = True
        publisher.publish("none", b"", 2, packet_id=7)
        self.assertEqual(publisher.take(), [])
        self.commit()
        self.assertEqual(kinds(publisher.take()), ["PubRec 7"])
        self.assertEqual([row["packet_id"] for row in self.disk.rows("received")], [7])
        self.assertEqual(publisher.send(PubRel(7)), [])
        self.commit()
        self.assertEqual(kinds(publisher.take()), ["PubComp 7"])
        self.assertEqual(self.disk.rows("received"), [])

    def test_a_connection_that_ends(self) -> None:
        """What is withheld for a connection that has ended is forgotten, without harm to others."""
        self.offline()
        stays = self.connected("stays")
        self.holding = True
        self.publisher.publish("a", b"", 1)
        stays.publish("a", b"", 1)
        self.publisher.lose()
        self.commit_all()
        self.assertEqual((self.publisher.take(), kinds(stays.take())), ([], ["PubAck 1"]))


class SubscribeTests(WithheldTestCase):
    """SUBACK and UNSUBACK."""

    def test_a_persistent_session(self) -> None:
        """SUBACK and UNSUBACK of a session that stays go out when it is stored."""
        for version in (4, 5):
            client = self.persistent(f"c{version}", version)
            self.holding = True
            self.assertEqual(client.send(Subscribe(1, [SubscriptionOptions("a", 1)])), [])
            self.commit()
            self.assertEqual(kinds(client.take()), ["SubAck 1"])
            self.assertEqual(client.send(Unsubscribe(2, ["a"])), [])
            self.commit()
            self.assertEqual(kinds(client.take()), ["UnsubAck 2"])
            self.holding = False
        self.assertEqual(self.disk.counts()["subscription"], 1)

    def test_a_session_that_ends_with_its_connection(self) -> None:
        """Those of a session that nobody keeps go out at once."""
        self.hold()
        self.assertIsInstance(self.publisher.subscribe("x", qos=2), SubAck)
        self.assertIsInstance(self.publisher.unsubscribe("x"), UnsubAck)
        self.assertEqual(self.disk.counts()["subscription"], 1)

    def test_no_subscription_existed(self) -> None:
        """That there is no subscription is said when its removal is stored, on a new connection as well."""
        client = self.persistent()
        client.subscribe("a")
        self.holding = True
        client.send(Unsubscribe(1, ["a"]))
        client = self.persistent()
        self.assertEqual(client.send(Unsubscribe(2, ["a"])), [])
        self.commit_all()
        self.assertEqual(kinds(client.take()), ["UnsubAck 2"])


class SubscriberTests(WithheldTestCase):
    """What goes to persistent subscribers."""

    def subscriber(self, version: int = 5, **options: object) -> TestClient:
        client = self.persistent("s", version, **options)
        client.subscribe("a", qos=2)
        return client

    def test_qos_1_does_not_wait(self) -> None:
        """A message of QoS 0 or 1 goes out before it is stored."""
        subscriber = self.subscriber()
        self.holding = True
        self.publisher.publish("a", b"0")
        self.publisher.publish("a", b"1", 1)
        self.assertEqual(kinds(subscriber.take()), ["Publish 0", "Publish 1"])

    def test_qos_2(self) -> None:
        """A PUBLISH of QoS 2 waits until its Packet Identifier is stored, PUBREL until PUBREC is."""
        for version in (4, 5):
            subscriber = self.subscriber(version)
            self.holding = True
            self.publisher.publish("a", b"2", 2)
            self.assertEqual(subscriber.take(), [])
            self.commit()
            message = subscriber.take_one(Publish)
            [row] = self.disk.rows("queue")
            self.assertEqual((row["packet_id"], row["state"]), (message.packet_id, 1))
            self.assertEqual(subscriber.send(PubRec(message.packet_id)), [])
            self.commit()
            self.assertEqual(kinds(subscriber.take()), [f"PubRel {message.packet_id}"])
            [row] = self.disk.rows("queue")
            self.assertEqual((row["body"], row["state"]), (None, 2))
            self.assertNotIn("message", self.disk.counts())
            subscriber.send(PubComp(message.packet_id))
            self.commit_all()
            self.assertNotIn("queue", self.disk.counts())
            self.holding = False

    def test_sent_again_while_the_frame_is_under_way(self) -> None:
        """After a reconnection QoS 2 still waits for the frame that holds its Packet Identifier."""
        for version in (4, 5):
            subscriber = self.subscriber(version)
            self.holding = True
            self.publisher.publish("a", b"2", 2)
            subscriber.lose()
            subscriber = self.persistent("s", version)
            self.assertEqual(subscriber.take(), [])
            self.commit_all()
            message = subscriber.take_one(Publish)
            self.assertTrue(message.dup)
            self.holding = False
            subscriber.ack(message)
            subscriber.ack(subscriber.take_one(PubRel))
            self.assertEqual(subscriber.take(), [])

    def test_new_messages_stay_behind_those_sent_again(self) -> None:
        """What is sent again at QoS 1 waits behind a QoS 2 message; new ones must not overtake it (4.6)."""
        for version in (4, 5):
            options = {"topic_alias_maximum": 5} if version == 5 else {}
            subscriber = self.subscriber(version, **options)
            self.publisher.publish("a", b"1", 2)
            self.publisher.publish("a", b"2", 1)
            subscriber.lose()
            self.holding = True
            subscriber = self.persistent("s", version, **options)
            self.publisher.publish("a", b"3", 2)  # of the next frame
            self.publisher.publish("a", b"4", 1)
            self.assertEqual(subscriber.take(), [])
            self.commit()
            self.publisher.publish("a", b"5", 1)
            self.commit_all()
            self.publisher.publish("a", b"6", 1)
            came = [packet for packet in subscriber.take() if isinstance(packet, Publish)]
            self.assertEqual([one.payload for one in came], [b"1", b"2", b"3", b"4", b"5", b"6"])
            self.assertEqual([one.dup for one in came], [True, True, False, False, False, False])
            self.commit_all()
            self.holding = False
            self.persistent("s", version, clean_start=True).lose()

    def test_overdue(self) -> None:
        """What waits for the disk was not sent, so it is not sent again because nobody confirms it."""
        subscriber = self.subscriber(4)
        self.holding = True
        self.publisher.publish("a", b"2", 2)
        for _ in range(3):
            self.now += self.broker.settings.retry_interval
            self.broker.send_overdue()
        self.commit_all()
        message = subscriber.take_one(Publish)
        self.assertEqual((subscriber.take(), message.dup), ([], False))
        self.now += self.broker.settings.retry_interval
        self.broker.send_overdue()
        self.assertTrue(subscriber.take_one(Publish).dup)

    def test_pubrel_sent_again(self) -> None:
        """So does PUBREL for the frame that holds the PUBREC."""
        subscriber = self.subscriber()
        self.publisher.publish("a", b"2", 2)
        message = subscriber.take_one(Publish)
        self.holding = True
        subscriber.ack(message)
        subscriber.lose()
        subscriber = self.persistent("s")
        self.assertEqual(subscriber.take(), [])
        self.commit_all()
        self.assertEqual(kinds(subscriber.take()), [f"PubRel {message.packet_id}"])

    def test_aliases_and_identifiers(self) -> None:
        """A PUBLISH that waits has no Topic Alias, which what is sent meanwhile would use too early."""
        subscriber = self.persistent("s", topic_alias_maximum=5)
        subscriber.subscribe("a", qos=2, identifier=3)
        self.holding = True
        self.publisher.publish("a", b"2", 2)
        self.publisher.publish("a", b"1", 1)
        self.publisher.publish("a", b"0")
        first, second = subscriber.take()
        assert isinstance(first, Publish) and isinstance(second, Publish)
        self.assertEqual((first.topic_name, first.payload), ("a", b"1"))
        self.assertEqual(second.payload, b"0")
        self.commit_all()
        third = subscriber.take_one(Publish)
        self.assertEqual((third.topic_name, third.payload, third.topic_alias), ("a", b"2", 0))
        self.assertEqual(third.subscription_identifiers, (3,))

    def test_the_order_of_qos_2(self) -> None:
        """Messages of QoS 2 go out in the order in which they came [MQTT-4.6.0-6]."""
        subscriber = self.subscriber()
        self.holding = True
        for n in range(5):
            self.publisher.publish("a", b"%d" % n, 2)
        self.commit()
        self.assertEqual(subscriber.payloads(), [b"0"])
        self.commit()
        self.assertEqual(subscriber.payloads(), [b"1", b"2", b"3", b"4"])

    def test_a_session_that_ends_with_its_connection(self) -> None:
        """QoS 2 to a session that nobody keeps goes out at once, PUBREL too."""
        watcher = self.connected("w")
        watcher.subscribe("a", qos=2)
        self.subscriber()
        self.holding = True
        self.publisher.publish("a", b"", 2)
        watcher.ack(watcher.take_one(Publish))
        self.assertEqual(kinds(watcher.take()), ["PubRel 1"])
