"""From a publisher to a subscriber, in bytes: QoS, expiry, properties, aliases, sizes, queues, resending."""

from __future__ import annotations

from mqttwist.broker.settings import Settings
from mqttwist.session.delivery import (
    EXPIRED,
    OFFLINE,
    PACKET_TOO_LARGE,
    QUEUE_FULL,
    REFUSED,
    SESSION_ENDED,
    TRANSPORT_FULL,
)
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, SubscriptionOptions
from tests.broker.harness import VERSIONS, BrokerTestCase, TestClient


class QoSTests(BrokerTestCase):
    def pair(self, publisher: int, subscriber: int, qos: int) -> tuple[TestClient, TestClient]:
        sender, receiver = self.connected("p", publisher), self.connected("s", subscriber)
        receiver.subscribe("a", qos=qos)
        return sender, receiver

    def test_every_version_and_qos(self) -> None:
        """A message arrives once, at the lower of its QoS and the granted one [MQTT-3.8.4-8]."""
        for publisher in VERSIONS:
            for subscriber in VERSIONS:
                for sent in (0, 1, 2):
                    for granted in (0, 1, 2):
                        with self.subTest(p=publisher, s=subscriber, sent=sent, granted=granted):
                            sender, receiver = self.pair(publisher, subscriber, granted)
                            sender.publish("a", b"hi", sent)
                            [message] = receiver.take()
                            self.assertIsInstance(message, Publish)
                            self.check(message, min(sent, granted))

    def check(self, message: object, qos: int) -> None:
        if isinstance(message, Publish):
            self.assertEqual((message.topic_name, message.payload, message.qos), ("a", b"hi", qos))
            self.assertEqual((message.dup, message.retain, message.packet_id != 0), (False, False, qos > 0))

    def test_the_acknowledgements_of_the_broker(self) -> None:
        """QoS 0 gets none, QoS 1 PUBACK, QoS 2 PUBREC and, after PUBREL, PUBCOMP (4.3)."""
        for version in VERSIONS:
            with self.subTest(version=version):
                sender, _ = self.pair(version, 5, 2)
                sender.publish("a", b"", 0)
                self.assertEqual(sender.take(), [])
                sender.publish("a", b"", 1, packet_id=7)
                self.assertEqual(sender.take(), [PubAck(7)])
                sender.publish("a", b"", 2, packet_id=8)
                self.assertEqual(sender.take(), [PubRec(8)])
                self.assertEqual(sender.send(PubRel(8)), [PubComp(8)])

    def test_nobody_listens(self) -> None:
        """MQTT 5.0 is told 0x10, 3.x nothing (3.4.2.1)."""
        for version, code in ((3, 0), (4, 0), (5, 0x10)):
            client = self.connected("c", version)
            client.publish("nobody", b"", 1, packet_id=1)
            client.publish("nobody", b"", 2, packet_id=2)
            self.assertEqual(client.take(), [PubAck(1, code), PubRec(2, code)])

    def test_qos_2_repeated(self) -> None:
        """A repeated PUBLISH gets PUBREC again, every time, and is delivered once [MQTT-4.3.3-10]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                sender, receiver = self.pair(version, 5, 2)
                for dup in (False, True, True):
                    sender.publish("a", b"once", 2, packet_id=5, dup=dup)
                    self.assertEqual(sender.take(), [PubRec(5)])
                self.assertEqual(receiver.payloads(), [b"once"])
                self.assertEqual(sender.send(PubRel(5)), [PubComp(5)])
                sender.publish("a", b"two", 2, packet_id=5, dup=True)  # free since PUBREL [MQTT-4.3.3-12]
                self.assertEqual(receiver.payloads(), [b"two"])

    def test_qos_2_repeated_after_a_reconnection(self) -> None:
        """What was received and not released is Session State (4.1): no second delivery."""
        sender, receiver = self.pair(4, 5, 2)
        sender = self.connected("persistent", 4, clean_start=False)
        sender.publish("a", b"once", 2, packet_id=5)
        sender.lose()
        sender = self.connected("persistent", 4, clean_start=False)
        sender.publish("a", b"once", 2, packet_id=5, dup=True)
        self.assertEqual(sender.take(), [PubRec(5)])
        self.assertEqual(sender.send(PubRel(5)), [PubComp(5)])
        self.assertEqual(receiver.payloads(), [b"once"])

    def test_a_release_of_nothing(self) -> None:
        """PUBREL for an unknown identifier gets PUBCOMP with 0x92 in MQTT 5.0 (3.7.2.1)."""
        for version, code in ((3, 0), (4, 0), (5, 0x92)):
            client = self.connected("c", version)
            self.assertEqual(client.send(PubRel(9)), [PubComp(9, code)])

    def test_a_packet_identifier_in_use(self) -> None:
        """QoS 1 with an identifier that a QoS 2 message holds: 0x91, and not published (3.4.2.1)."""
        sender, receiver = self.pair(5, 5, 2)
        sender.publish("a", b"two", 2, packet_id=5)
        sender.publish("a", b"one", 1, packet_id=5)
        self.assertEqual(sender.take(), [PubRec(5), PubAck(5, 0x91)])
        self.assertEqual(receiver.payloads(), [b"two"])
        self.assertEqual(sender.send(PubRel(5)), [PubComp(5)])

    def test_qos_2_to_the_subscriber(self) -> None:
        """PUBLISH, PUBREC, PUBREL, PUBCOMP; a PUBREC that comes again gets PUBREL again (4.3.3)."""
        for version in VERSIONS:
            with self.subTest(version=version):
                sender, receiver = self.pair(5, version, 2)
                sender.publish("a", b"", 2)
                message = receiver.take_one(Publish)
                for _ in range(2):
                    receiver.ack(message)
                    self.assertEqual(receiver.take(), [PubRel(message.packet_id)])
                receiver.ack(PubRel(message.packet_id))
                self.assertEqual(receiver.take(), [])
                receiver.ack(message)  # nothing is known of it any more
                code = 0x92 if version == 5 else 0
                self.assertEqual(receiver.take(), [PubRel(message.packet_id, code)])

    def test_a_refusal_by_the_subscriber(self) -> None:
        """PUBACK and PUBREC of 0x80 and more end the delivery, which is counted as dropped [MQTT-4.4.0-2]."""
        sender, receiver = self.pair(5, 5, 2)
        for qos in (1, 2):
            sender.publish("a", b"", qos)
            receiver.ack(receiver.take_one(Publish), 0x87)
            self.assertEqual(receiver.take(), [])
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [("s", REFUSED, 2)])

    def test_acknowledgements_of_nothing(self) -> None:
        """PUBACK and PUBCOMP that nobody waits for are ignored; of the wrong kind, too."""
        sender, receiver = self.pair(5, 5, 1)
        sender.publish("a", b"", 1)
        message = receiver.take_one(Publish)
        self.assertEqual(receiver.send(PubAck(999), PubComp(999), PubComp(message.packet_id)), [])
        self.assertFalse(receiver.is_closed)
        receiver.ack(message)

    def test_the_order_is_kept(self) -> None:
        """Messages of one topic and QoS arrive in the order they were sent [MQTT-4.6.0-6]."""
        sender, receiver = self.pair(5, 5, 2)
        for n in range(100):
            sender.publish("a", b"%d" % n, n % 3)
        self.assertEqual(receiver.payloads(), [b"%d" % n for n in range(100)])


class QuotaTests(BrokerTestCase):
    def test_the_receive_maximum_of_the_client(self) -> None:
        """No more than Receive Maximum messages are unconfirmed; QoS 0 goes on [MQTT-3.3.4-9]."""
        receiver, sender = self.connected("s", receive_maximum=2), self.connected("p")
        receiver.subscribe("a", qos=2)
        for n in range(5):
            sender.publish("a", b"%d" % n, 1 + n % 2)
        first, second = [one for one in receiver.take() if isinstance(one, Publish)]
        sender.publish("a", b"zero")
        self.assertEqual(receiver.payloads(), [b"zero"])
        receiver.ack(second)  # QoS 2: PUBREC leaves the quota as it is
        self.assertEqual(receiver.payloads(), [])
        receiver.ack(PubRel(second.packet_id))
        self.assertEqual(receiver.payloads(), [b"2"])
        receiver.ack(first)
        self.assertEqual(receiver.payloads(), [b"3"])

    def test_the_send_maximum_of_the_server(self) -> None:
        """send_maximum bounds what is unconfirmed where the client sets no bound, in 3.x always."""
        self.start(Settings(send_maximum=3))
        for version in VERSIONS:
            receiver, sender = self.connected("s", version), self.connected("p")
            receiver.subscribe("a", qos=1)
            for n in range(10):
                sender.publish("a", b"%d" % n, 1)
            got: list[bytes] = []
            while packets := [one for one in receiver.take() if isinstance(one, Publish)]:
                self.assertTrue(len(packets) <= 3)
                got.extend(one.payload for one in packets)
                for packet in packets:
                    receiver.ack(packet)
            self.assertEqual(got, [b"%d" % n for n in range(10)])

    def test_the_receive_maximum_of_the_server(self) -> None:
        """More unreleased QoS 2 messages than Receive Maximum: 0x93 (3.3.4). 3.x knows no such limit."""
        self.start(Settings(receive_maximum=2))
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                client.publish("a", b"", 2, packet_id=1)
                client.publish("a", b"", 2, packet_id=2)
                client.publish("a", b"", 2, packet_id=1, dup=True)  # a repetition is no new one
                self.assertFalse(client.is_closed)
                client.send(PubRel(1))
                client.publish("a", b"", 2, packet_id=3)
                self.assertFalse(client.is_closed)
                client.publish("a", b"", 2, packet_id=4)
                if version == 5:
                    self.assertClosed(client, 0x93)
                else:
                    self.assertFalse(client.is_closed)

    def test_qos_1_counts_against_the_receive_maximum(self) -> None:
        """With as many QoS 2 messages unreleased as Receive Maximum, one at QoS 1 is too many (3.3.4)."""
        self.start(Settings(receive_maximum=1))
        for version in VERSIONS:
            with self.subTest(version=version):
                client = self.connected("c", version)
                for packet_id in range(1, 4):
                    client.publish("a", b"", 1, packet_id=packet_id)
                client.publish("a", b"", 2, packet_id=9)
                self.assertFalse(client.is_closed)
                client.publish("a", b"", 1, packet_id=4)
                if version == 5:
                    self.assertClosed(client, 0x93)
                else:
                    self.assertFalse(client.is_closed)

    def test_refused_messages_free_the_quota(self) -> None:
        """PUBREC of 0x80 and more ends the flow: the next message is within the quota [MQTT-4.3.3-9]."""
        self.start(Settings(receive_maximum=1))
        client = self.connected("c")
        for packet_id in range(1, 5):
            client.publish("$SYS/x", b"", 2, packet_id=packet_id)
            self.assertEqual(client.take(), [PubRec(packet_id, 0x87)])

    def test_packet_identifiers_in_flight_are_not_reused(self) -> None:
        """An identifier that is unconfirmed is passed over when the numbers come round [MQTT-2.2.1-4]."""
        receiver, sender = self.connected("s"), self.connected("p")
        receiver.subscribe("a", qos=1)
        sender.publish("a", b"held", 1)
        held = receiver.take_one(Publish)
        for _ in range(0xFFFF + 10):
            sender.publish("a", b"", 1, packet_id=1)
            [packet] = [one for one in receiver.take() if isinstance(one, Publish)]
            self.assertNotEqual(packet.packet_id, held.packet_id)
            receiver.ack(packet)


class ContentTests(BrokerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.sender = self.connected("p")

    def test_properties_are_forwarded(self) -> None:
        """Unaltered and in their order, at every QoS and from every QoS (3.3.2.3, MQTT-3.3.2-17, -18)."""
        properties = Properties(
            payload_format_indicator=1,
            content_type="text/plain",
            response_topic="answer/here",
            correlation_data=b"\x00\xff",
            user_properties=(("z", "1"), ("a", "2"), ("z", "1"), ("", "")),
        )
        receiver = self.connected("s")
        receiver.subscribe("a", qos=2)
        for qos in (0, 1, 2):
            for alias, interval in ((None, None), (1, None), (None, 100)):
                said = Properties(topic_alias=alias, message_expiry_interval=interval)
                for name in ("payload_format_indicator", "content_type", "response_topic"):
                    setattr(said, name, getattr(properties, name))
                said.correlation_data = properties.correlation_data
                said.user_properties = properties.user_properties
                publish = Publish("a", b"hi", qos, False, said, 1 if qos else 0)
                self.sender.send(publish)
                got = receiver.take_one(Publish).properties
                got.message_expiry_interval = None
                self.assertEqual(got, properties)
                self.sender.send(PubRel(1))

    def test_raw_properties_keep_their_order(self) -> None:
        """The bytes of the forwarded properties are those that came."""
        receiver = self.connected("s")
        receiver.subscribe("a")
        raw = bytes.fromhex("26 0001 7a 0001 31 01 01 26 0001 61 0001 32 03 0001 74")
        body = b"\x00\x01a" + bytes([len(raw)]) + raw + b"hi"
        self.sender.send_bytes(bytes([0x30, len(body)]) + body)
        self.assertTrue(receiver.transport.data.endswith(body))

    def test_other_versions_get_no_properties(self) -> None:
        """MQTT 3.x gets the message without properties, and MQTT 5.0 one of 3.x with none."""
        old, new = self.connected("old", 4), self.connected("new")
        for client in (old, new):
            client.subscribe("a", qos=1)
        for qos in (0, 1):
            self.sender.publish("a", b"hi", qos, content_type="text/plain")
            self.assertEqual(old.payloads(), [b"hi"])
            new.take()
            old.publish("a", b"from old", qos)
            self.assertEqual(new.take_one(Publish).properties, Properties())
            old.take()

    def test_expiry_is_decremented(self) -> None:
        """Message Expiry Interval less the time that the message has waited [MQTT-3.3.2-6]."""
        receiver = self.connected("s", session_expiry_interval=1000)
        receiver.subscribe("a", qos=1)
        self.sender.publish("a", b"hi", 1, message_expiry_interval=60)
        self.assertEqual(receiver.take_one(Publish).message_expiry_interval, 60)
        receiver.lose()
        self.sender.publish("a", b"hi", 1, message_expiry_interval=60)
        self.advance(25)
        receiver = self.connected("s", clean_start=False, session_expiry_interval=1000)
        first, second = [one for one in receiver.take() if isinstance(one, Publish)]
        self.assertEqual((first.message_expiry_interval, first.dup), (35, True))
        self.assertEqual((second.message_expiry_interval, second.dup), (35, False))

    def test_expired_messages_are_not_sent(self) -> None:
        """A message whose interval has passed is not delivered any more, and is counted [MQTT-3.3.2-5]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                options = {"session_expiry_interval": 1000} if version == 5 else {}
                receiver = self.connected("s", version, clean_start=False, **options)
                receiver.subscribe("a", qos=1)
                receiver.lose()
                self.sender.publish("a", b"short", 1, message_expiry_interval=10)
                self.sender.publish("a", b"long", 1, message_expiry_interval=100)
                self.advance(10)
                receiver = self.connected("s", version, clean_start=False, **options)
                self.assertEqual(receiver.payloads(), [b"long"])
                self.broker.report()
                self.assertEqual(self.observer.of("dropped")[-1], ("s", EXPIRED, 1))
                self.connected("s", version).disconnect()

    def test_aliases_out(self) -> None:
        """A client that takes Topic Aliases gets each topic name once [MQTT-3.1.2-26] (3.3.2.3.4)."""
        self.start(Settings(topic_alias_maximum=2))
        receiver, sender = self.connected("s", topic_alias_maximum=10), self.connected("p")
        receiver.subscribe("#")
        said = []
        for topic in ("a", "a", "b", "a", "c", "b"):
            sender.publish(topic)
            message = receiver.take_one(Publish)
            said.append((message.topic_name, message.topic_alias))
        self.assertEqual(said, [("a", 1), ("", 1), ("b", 2), ("", 1), ("c", 2), ("b", 1)])

    def test_no_aliases_for_others(self) -> None:
        """Without a Topic Alias Maximum no alias is sent [MQTT-3.1.2-27]."""
        receiver = self.connected("s")
        receiver.subscribe("a")
        for _ in range(3):
            self.sender.publish("a", b"", topic_alias=3)
            message = receiver.take_one(Publish)
            self.assertEqual((message.topic_name, message.topic_alias), ("a", 0))

    def test_aliases_in(self) -> None:
        """An alias stands for the name it was last given, on this connection only [MQTT-3.3.2-7]."""
        receiver = self.connected("s")
        receiver.subscribe("#")
        self.sender.publish("a", b"", topic_alias=1)
        self.sender.publish("", b"", topic_alias=1)
        self.sender.publish("b", b"", topic_alias=1)
        self.sender.publish("", b"", topic_alias=1)
        topics = [one.topic_name for one in receiver.take() if isinstance(one, Publish)]
        self.assertEqual(topics, ["a", "a", "b", "b"])
        self.sender.lose()
        sender = self.connected("p", clean_start=False)
        sender.publish("", b"", topic_alias=1)
        self.assertClosed(sender, 0x82)

    def test_faulty_aliases(self) -> None:
        """An alias beyond the maximum is 0x94 [MQTT-3.3.2-9], one never set 0x82 (3.3.4)."""
        self.start(Settings(topic_alias_maximum=2))
        for topic, alias, code in (("a", 3, 0x94), ("", 3, 0x94), ("", 1, 0x82)):
            client = self.connected("c")
            client.publish(topic, b"", topic_alias=alias)
            self.assertClosed(client, code)

    def test_the_subscription_identifier_of_a_client(self) -> None:
        """Only a Server sends Subscription Identifiers with PUBLISH: 0x82 [MQTT-3.3.4-6]."""
        self.sender.publish("a", b"", subscription_identifiers=(1,))
        self.assertClosed(self.sender, 0x82)

    def test_the_maximum_packet_size_of_the_subscriber(self) -> None:
        """What is too large for a client is not sent and counted; smaller ones come [MQTT-3.1.2-24, -25]."""
        receiver = self.connected("s", maximum_packet_size=100)
        receiver.subscribe("a", qos=2)
        for qos in (0, 1, 2):
            self.sender.publish("a", b"x" * 100, qos)
            self.sender.publish("a", b"small", qos)
        self.assertEqual(receiver.payloads(), [b"small"] * 3)
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [("s", PACKET_TOO_LARGE, 3)])

    def test_exactly_the_maximum_packet_size(self) -> None:
        """A packet of just the maximum is sent, one byte more is not, whatever form it takes."""
        for options in ({}, {"topic_alias_maximum": 5}):
            for identifier in (0, 7):
                receiver = self.connected("s", maximum_packet_size=100, **options)
                receiver.subscribe("a", qos=1, identifier=identifier)
                for size in range(70, 110):
                    self.sender.publish("a", b"x" * size, 1)
                receiver.transport.data = receiver.transport.data[receiver.taken :]
                receiver.taken = 0
                packets = [one for one in receiver.take() if isinstance(one, Publish)]
                self.assertEqual(max(len(one.encode(5)) for one in packets), 100)


class QueueTests(BrokerTestCase):
    def away(self, client_id: str = "s", version: int = 4, **options: int) -> None:
        """A persistent session that subscribes to `a` and whose client is away."""
        client = self.connected(client_id, version, clean_start=False, **options)
        client.subscribe("a", qos=2)
        client.lose()
        self.sender = self.connected("p")

    def back(self, client_id: str = "s", version: int = 4) -> TestClient:
        return self.connected(client_id, version, clean_start=False)

    def test_messages_wait(self) -> None:
        """What comes while the client is away is sent when it is back, in its order [MQTT-4.5.0-1]."""
        self.away()
        for n in range(9):
            self.sender.publish("a", b"%d" % n, n % 3)
        self.assertEqual(self.back().payloads(), [b"%d" % n for n in range(9)])

    def test_qos_0_need_not_wait(self) -> None:
        """With queue_qos_0 off, QoS 0 messages are dropped while the client is away, and counted."""
        self.start(Settings(queue_qos_0=0))
        self.away()
        self.sender.publish("a", b"0")
        self.sender.publish("a", b"1", 1)
        self.assertEqual(self.back().payloads(), [b"1"])
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [("s", OFFLINE, 1)])

    def test_the_queue_is_bounded_in_messages(self) -> None:
        """The oldest QoS 0 message makes room; where there is none the new message is dropped."""
        self.start(Settings(queue_messages=3))
        self.away()
        for n, qos in enumerate((1, 0, 0, 1, 2, 1, 0)):
            self.sender.publish("a", b"%d" % n, qos)
        self.assertEqual(self.back().payloads(), [b"0", b"3", b"4"])
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [("s", QUEUE_FULL, 4)])

    def test_the_queue_is_bounded_in_bytes(self) -> None:
        """A hundred messages of 1 kB don't fit into 20 kB."""
        self.start(Settings(queue_bytes=20_000))
        self.away()
        for _ in range(100):
            self.sender.publish("a", bytes(1000), 1)
        waiting = len(self.back().payloads())
        self.assertTrue(10 <= waiting <= 19)
        self.broker.report()
        self.assertEqual(self.observer.of("dropped"), [("s", QUEUE_FULL, 100 - waiting)])

    def test_drops_are_counted_by_client(self) -> None:
        """Each client and reason is told once for all messages since the last report."""
        self.start(Settings(queue_messages=1))
        self.away("one")
        self.away("two")
        for _ in range(5):
            self.sender.publish("a", b"", 1)
        self.advance(1)
        self.assertEqual(self.observer.of("dropped"), [("one", QUEUE_FULL, 4), ("two", QUEUE_FULL, 4)])
        self.advance(1)
        self.assertEqual(len(self.observer.of("dropped")), 2)

    def test_the_end_of_a_session_is_counted(self) -> None:
        """What waits when the session ends is dropped and counted."""
        self.away("s", 5, session_expiry_interval=10)
        self.sender.publish("a", b"", 1)
        self.advance(11)
        self.assertEqual(self.observer.of("dropped"), [("s", SESSION_ENDED, 1)])

    def test_a_slow_subscriber(self) -> None:
        """A transport that is full slows nobody: QoS 1 waits, QoS 0 is dropped beyond a limit."""
        self.start(Settings(queue_messages=100))
        slow, fast, sender = self.connected("slow"), self.connected("fast"), self.connected("p")
        for client in (slow, fast):
            client.subscribe("a", qos=1)
        slow.connection.transport_full()
        before = len(slow.transport.data)
        for n in range(300):
            sender.publish("a", bytes(10_000), n % 2)
        self.assertEqual(len(slow.transport.data), before)
        self.assertEqual(len(fast.payloads()), 300)
        self.assertEqual(len([one for one in sender.take() if isinstance(one, PubAck)]), 150)
        self.assertFalse(sender.is_closed)
        self.broker.report()
        reasons = {reason for client_id, reason, _ in self.observer.of("dropped")}
        self.assertTrue(reasons <= {TRANSPORT_FULL, QUEUE_FULL} and TRANSPORT_FULL in reasons)
        slow.connection.transport_ready()
        dropped = sum(messages for _, _, messages in self.observer.of("dropped"))
        self.assertEqual(len(slow.payloads()) + dropped, 300)


class SendingAgainTests(BrokerTestCase):
    def persistent(self, version: int, **options: int) -> TestClient:
        if version == 5:
            options.setdefault("session_expiry_interval", 1000)
        return self.connected("s", version, clean_start=False, **options)

    def test_after_a_reconnection(self) -> None:
        """PUBLISH with DUP and PUBREL come again, in the original order [MQTT-4.4.0-1] [MQTT-4.6.0-1]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                receiver, sender = self.persistent(version), self.connected("p")
                receiver.subscribe("a", qos=2)
                for n in range(6):
                    sender.publish("a", b"%d" % n, 1 + n % 2)
                packets = [one for one in receiver.take() if isinstance(one, Publish)]
                receiver.ack(packets[0])
                receiver.ack(packets[3])  # PUBREC: from now on its PUBREL is what comes again
                receiver.lose()
                sender.publish("a", b"6", 1)
                receiver = self.persistent(version)
                again = receiver.take()
                self.assertEqual(
                    [(one.payload, one.dup) if isinstance(one, Publish) else one for one in again],
                    [
                        (b"1", True),
                        (b"2", True),
                        PubRel(packets[3].packet_id),
                        (b"4", True),
                        (b"5", True),
                        (b"6", False),
                    ],
                )
                same = [one.packet_id for one in again if isinstance(one, Publish)][:4]
                self.assertEqual(same, [packets[n].packet_id for n in (1, 2, 4, 5)])
                self.connected("s", version).disconnect()

    def test_after_a_reconnection_with_a_smaller_quota(self) -> None:
        """The quota of the new connection holds for what is sent again, and the order stays."""
        receiver, sender = self.persistent(5), self.connected("p")
        receiver.subscribe("a", qos=1)
        for n in range(5):
            sender.publish("a", b"%d" % n, 1)
        receiver.lose()
        receiver = self.persistent(5, receive_maximum=2)
        got: list[bytes] = []
        while packets := [one for one in receiver.take() if isinstance(one, Publish)]:
            self.assertTrue(len(packets) <= 2)
            for packet in packets:
                got.append(packet.payload)
                receiver.ack(packet)
        self.assertEqual(got, [b"%d" % n for n in range(5)])

    def test_overdue_for_3(self) -> None:
        """A 3.x client is sent again what it has not confirmed for retry_interval, with DUP (3.1.1: 4.4)."""
        self.start(Settings(retry_interval=20))
        for version in (3, 4):
            with self.subTest(version=version):
                receiver, sender = self.persistent(version), self.connected("p")
                receiver.subscribe("a", qos=2)
                sender.publish("a", b"hi", 2)
                message = receiver.take_one(Publish)
                self.retry(19.9)
                self.assertEqual(receiver.take(), [])
                self.retry(0.1)
                again = receiver.take_one(Publish)
                self.assertEqual(
                    (again.dup, again.packet_id, again.payload), (True, message.packet_id, b"hi")
                )
                receiver.ack(message)
                self.assertEqual(receiver.take(), [PubRel(message.packet_id)])
                self.retry(20)
                self.assertEqual(receiver.take(), [PubRel(message.packet_id)])
                receiver.ack(PubRel(message.packet_id))
                self.retry(100)
                self.assertEqual(receiver.take(), [])
                self.connected("s", version).disconnect()

    def retry(self, seconds: float) -> None:
        self.now += seconds
        self.broker.send_overdue()

    def test_never_for_5(self) -> None:
        """MQTT 5.0 sends nothing again while the connection lasts [MQTT-4.4.0-1]."""
        receiver, sender = self.persistent(5), self.connected("p")
        receiver.subscribe("a", qos=2)
        sender.publish("a", b"hi", 1)
        sender.publish("a", b"hi", 2)
        self.assertEqual(len(receiver.take()), 2)
        self.retry(1000)
        self.assertEqual(receiver.take(), [])

    def test_off(self) -> None:
        """retry_interval 0 switches it off."""
        self.start(Settings(retry_interval=0))
        receiver, sender = self.persistent(4), self.connected("p")
        receiver.subscribe("a", qos=1)
        sender.publish("a", b"hi", 1)
        receiver.take()
        self.retry(1000)
        self.assertEqual(receiver.take(), [])


class OverlapTests(BrokerTestCase):
    def test_one_copy_at_the_highest_qos(self) -> None:
        """Overlapping filters give one copy, never at a lower QoS [MQTT-3.3.4-2] (3.1.1: MQTT-3.3.5-1)."""
        for version in VERSIONS:
            with self.subTest(version=version):
                receiver, sender = self.connected("s", version), self.connected("p")
                for topic_filter, qos in (("a/#", 0), ("a/+", 2), ("+/b", 1)):
                    receiver.subscribe(topic_filter, qos=qos)
                sender.publish("a/b", b"hi", 2)
                self.assertEqual([one.qos for one in receiver.take() if isinstance(one, Publish)], [2])

    def test_all_identifiers(self) -> None:
        """The copy has the identifiers of all subscriptions that match [MQTT-3.3.4-3] [MQTT-3.3.4-4]."""
        receiver, sender = self.connected("s"), self.connected("p")
        receiver.subscribe("a/#", identifier=1)
        receiver.subscribe("a/+", identifier=268_435_455)
        receiver.subscribe("+/b", identifier=1)
        receiver.subscribe("a/b")
        receiver.subscribe("other", identifier=5)
        for qos in (0, 1):
            sender.publish("a/b", b"hi", qos)
            identifiers = receiver.take_one(Publish).subscription_identifiers
            self.assertEqual(sorted(identifiers), [1, 1, 268_435_455])

    def test_a_new_identifier_replaces_the_old(self) -> None:
        """A SUBSCRIBE with the same filter brings its own identifier, or none [MQTT-3.8.4-3]."""
        receiver, sender = self.connected("s"), self.connected("p")
        for identifier in (1, 2, 0):
            receiver.subscribe("a", identifier=identifier)
            sender.publish("a")
            expected = (identifier,) if identifier else ()
            self.assertEqual(receiver.take_one(Publish).subscription_identifiers, expected)

    def test_no_local(self) -> None:
        """No Local keeps own messages away, unless another subscription asks for them [MQTT-3.8.3-3]."""
        client, other = self.connected("c"), self.connected("other")
        client.subscribe("a", no_local=True)
        client.publish("a", b"own")
        self.assertEqual(client.payloads(), [])
        other.publish("a", b"other")
        self.assertEqual(client.payloads(), [b"other"])
        client.subscribe("#", identifier=7)
        client.publish("a", b"own")
        message = client.take_one(Publish)
        self.assertEqual((message.payload, message.subscription_identifiers), (b"own", (7,)))
        self.assertEqual(client.take(), [])

    def test_options_in_one_packet(self) -> None:
        """The filters of one SUBSCRIBE count as if each had come alone, in their order [MQTT-3.8.4-5]."""
        client = self.connected("c")
        options = [SubscriptionOptions("a", 0), SubscriptionOptions("b", 1), SubscriptionOptions("a", 2)]
        self.assertEqual(client.send(Subscribe(1, options)), [SubAck(1, [0, 1, 2], Properties())])
        client.publish("a", b"", 2, packet_id=9)
        self.assertEqual(client.take_one(Publish).qos, 2)
        self.assertEqual(self.broker.router.subscriptions.count, 2)
