"""What a PUBLISH has for this receiver only: size, time left, Subscription Identifiers, Topic Alias."""

from __future__ import annotations

from itertools import product

from mqttwist.session.delivery import EXPIRED, PACKET_TOO_LARGE
from mqttwist.wire.acknowledge import PubAck
from mqttwist.wire.message import FORM_MQTT_5, Message
from mqttwist.wire.packet import MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from tests.session.rig import FlowTestCase, Link, payloads, publish


class MaximumPacketSizeTests(FlowTestCase):
    """3.1.2.11.4: nothing larger than the receiver takes."""

    def test_limit(self) -> None:
        """A PUBLISH of exactly the limit is sent, one more byte is too much [MQTT-3.1.2-24]."""
        for version in (MQTT_3_1_1, MQTT_5):
            for qos in (0, 1, 2):
                for identifiers in ((), (7,)):
                    with self.subTest(version=version, qos=qos, identifiers=identifiers):
                        self.flow = self.make_flow()
                        self.deliver_around_limit(version, qos, identifiers)

    def deliver_around_limit(self, version: int, qos: int, identifiers: tuple[int, ...]) -> None:
        fitting = publish(bytes(50), qos, 1 if qos else 0)
        fitting.subscription_identifiers = identifiers if version == MQTT_5 else ()
        size = len(fitting.encode(version))
        link = self.connect(version=version, maximum_packet_size=size)
        self.assertFalse(self.deliver(bytes(51), qos, identifiers=identifiers))
        self.assertEqual(link.sent(), [])
        self.assertEqual(self.dropped(), [("client", PACKET_TOO_LARGE, 1)])
        self.assertTrue(self.deliver(bytes(50), qos, identifiers=identifiers))
        self.assertEqual([len(data) for data in link.recorder.writes], [size])
        self.assertEqual(self.dropped(), [])

    def test_no_quota_and_no_flow(self) -> None:
        """What was too large counts as sent and confirmed: nothing awaits an answer [MQTT-3.1.2-25]."""
        self.connect(maximum_packet_size=20)
        self.assertFalse(self.deliver(bytes(100), 2))
        self.assertEqual(self.flow.in_flight, {})
        self.assertEqual(self.flow.end(), [])

    def test_from_the_queue(self) -> None:
        """What was queued for a client is dropped when it comes back with a limit below it."""
        for payload in (b"a", bytes(100), b"b"):
            self.deliver(payload, 1)
        self.assertEqual(payloads(self.connect(maximum_packet_size=50).sent()), [b"a", b"b"])
        self.assertEqual(self.dropped(), [("client", PACKET_TOO_LARGE, 1)])


class MessageExpiryTests(FlowTestCase):
    """3.3.2.3.3: the Message Expiry Interval."""

    def expect(self, link: Link, payload: bytes, qos: int, left: int) -> None:
        properties = Properties(message_expiry_interval=left)
        packet_id = 1 if qos else 0
        self.assertEqual(link.sent(), [publish(payload, qos, packet_id, properties=properties)])

    def test_at_once(self) -> None:
        """What is forwarded at once has the interval it came with, whatever fractions the clock has."""
        for start in (0.0, 0.1, 0.7, 12345.678, 1e9 / 3):
            for interval in (0, 1, 10, 100_000, 0xFFFFFFFF):
                with self.subTest(start=start, interval=interval):
                    self.setUp()
                    self.clock.advance(start)
                    link = self.connect()
                    self.deliver(b"a", 0, expiry=interval)
                    self.expect(link, b"a", 0, interval)

    def test_time_left(self) -> None:
        """What has waited has the time that is left [MQTT-3.3.2-6]."""
        for waited, left in ((0.2, 60), (1.0, 59), (20.5, 40), (59.5, 1)):
            for qos in (0, 1, 2):
                with self.subTest(waited=waited, qos=qos):
                    self.flow = self.make_flow()
                    self.deliver(b"a", qos, expiry=60)
                    self.clock.advance(waited)
                    self.expect(self.connect(), b"a", qos, left)

    def test_expired(self) -> None:
        """What has expired before it was sent is dropped and counted [MQTT-3.3.2-5]."""
        for version in (MQTT_3_1_1, MQTT_5):
            for qos in (0, 1, 2):
                for aliases in (0, 5):
                    with self.subTest(version=version, qos=qos, aliases=aliases):
                        self.flow = self.make_flow()
                        self.deliver(b"a", qos, expiry=60)
                        self.clock.advance(60)
                        self.assertEqual(self.connect(version=version, aliases=aliases).sent(), [])
                        self.assertEqual(self.dropped(), [("client", EXPIRED, 1)])
                        self.assertEqual(self.flow.in_flight, {})

    def test_expired_while_the_quota_was_used_up(self) -> None:
        """The same for what waited for the send quota of a client that was there."""
        link = self.connect(quota=1)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1, expiry=5)
        self.deliver(b"c", 1, expiry=50)
        self.clock.advance(6)
        link.receive(PubAck(1))
        self.assertEqual(payloads(link.sent()), [b"a", b"c"])
        self.assertEqual(self.dropped(), [("client", EXPIRED, 1)])

    def test_before_version_5(self) -> None:
        """A 3.x client gets the message without the interval, as long as it has not expired."""
        self.deliver(b"a", 1, expiry=60)
        self.clock.advance(59)
        self.assertEqual(self.connect(version=MQTT_3_1_1).sent(), [publish(b"a", 1, 1)])

    def test_message_itself_is_untouched(self) -> None:
        """Each receiver's time is worked out anew: the message keeps its own interval."""
        message = Message("topic", b"a", 1)
        link = self.connect()
        self.deliver(message, 1, expiry=60)
        link.sent()
        self.assertEqual(message.message_expiry_interval, 60)


class SubscriptionIdentifierTests(FlowTestCase):
    """3.3.2.3.8: which subscriptions led to the message."""

    def test_identifiers(self) -> None:
        """All identifiers of the subscriptions that match are in the packet [MQTT-3.3.4-3] [MQTT-3.3.4-4]."""
        link = self.connect()
        for qos in (0, 1, 2):
            self.deliver(b"a", qos, identifiers=(1, 200, 268_435_455))
            expected = publish(b"a", qos, qos)
            expected.subscription_identifiers = (1, 200, 268_435_455)
            self.assertEqual(link.sent(), [expected])

    def test_with_forwarded_properties(self) -> None:
        """They stand beside the properties that are forwarded, which keep their order [MQTT-3.3.2-18]."""
        properties = Properties(response_topic="r", user_properties=(("b", "1"), ("a", "2")))
        link = self.connect()
        self.deliver(Message("topic", b"a", 1, False, properties), 1, identifiers=(7,))
        expected = publish(b"a", 1, 1, properties=properties)
        expected.subscription_identifiers = (7,)
        self.assertEqual(link.sent(), [expected])

    def test_before_version_5(self) -> None:
        """A 3.x client gets none."""
        link = self.connect(version=MQTT_3_1_1)
        self.deliver(b"a", 1, identifiers=(7,))
        self.assertEqual(link.sent(), [publish(b"a", 1, 1)])

    def test_through_the_queue(self) -> None:
        """They are kept for a message that waits."""
        self.deliver(b"a", 1, identifiers=(7,))
        expected = publish(b"a", 1, 1)
        expected.subscription_identifiers = (7,)
        self.assertEqual(self.connect().sent(), [expected])


class TopicAliasTests(FlowTestCase):
    """3.3.2.3.4: aliases for the topics sent most recently."""

    def topics(self, link: Link) -> list[tuple[str, int]]:
        """Topic Name and alias of what was sent."""
        return [
            (packet.topic_name, packet.topic_alias) for packet in link.sent() if isinstance(packet, Publish)
        ]

    def test_name_once(self) -> None:
        """The first PUBLISH has name and alias, those that follow the alias only."""
        link = self.connect(aliases=2)
        for topic, qos in (("a", 0), ("a", 1), ("b", 2), ("a", 0), ("b", 0)):
            self.deliver(b"x", qos, topic)
        self.assertEqual(self.topics(link), [("a", 1), ("", 1), ("b", 2), ("", 1), ("", 2)])

    def test_never_above_the_maximum(self) -> None:
        """A new topic gets the alias of the one used longest ago, never one above [MQTT-3.1.2-26]."""
        link = self.connect(aliases=2)
        for topic in ("a", "b", "a", "c", "b", "a"):
            self.deliver(b"x", 0, topic)
        self.assertEqual(self.topics(link), [("a", 1), ("b", 2), ("", 1), ("c", 2), ("b", 1), ("a", 2)])

    def test_none_without_maximum(self) -> None:
        """With a maximum of 0 there are no aliases [MQTT-3.1.2-27]."""
        link = self.connect(aliases=0)
        self.deliver(b"x", 0, "a")
        self.deliver(b"x", 1, "a")
        self.assertEqual(self.topics(link), [("a", 0), ("a", 0)])

    def test_none_before_version_5(self) -> None:
        """3.x has no aliases, whatever `attach` is told."""
        link = self.connect(aliases=5, version=MQTT_3_1_1)
        self.deliver(b"x", 0, "a")
        self.assertEqual(self.topics(link), [("a", 0)])

    def test_each_connection_begins_anew(self) -> None:
        """The peer knows no alias of the connection before [MQTT-3.3.2-7]."""
        self.connect(aliases=2)
        self.deliver(b"x", 0, "a")
        self.flow.detach()
        link = self.connect(aliases=2)
        self.deliver(b"x", 0, "a")
        self.assertEqual(self.topics(link), [("a", 1)])

    def test_dropped_message_sets_none(self) -> None:
        """A message that was dropped has not told the peer an alias."""
        link = self.connect(aliases=2, maximum_packet_size=40)
        self.deliver(bytes(100), 0, "a")
        self.deliver(b"x", 0, "a", expiry=10)
        self.assertEqual(self.topics(link), [("a", 1)])

    def test_alias_never_makes_it_too_large(self) -> None:
        """The property Topic Alias never takes a PUBLISH above the Maximum Packet Size [MQTT-3.1.2-24].

        It makes the packet longer by 3 bytes, and by one more where the Property Length or the Remaining
        Length becomes longer.
        """
        for content_type, payload in product((0, 10, *range(118, 128)), (0, 50, *range(16_236, 16_260, 3))):
            properties = Properties(content_type="c" * content_type)
            message = Message("topic", bytes(payload), 0, False, properties)
            size = len(message.form(FORM_MQTT_5).tail)
            for more in range(6):
                link = self.connect(aliases=1, maximum_packet_size=size + more)
                self.assertTrue(self.deliver(message, 0))
                self.assertLessEqual(len(link.recorder.writes[0]), size + more)
                self.assertEqual(self.topics(link), [("topic", 1 if more == 5 else 0)])

    def test_beside_everything_else(self) -> None:
        """Alias, time left and identifiers stand in one packet."""
        link = self.connect(aliases=1)
        self.deliver(b"x", 0, "a")
        link.sent()
        self.deliver(b"y", 1, "a", expiry=10, identifiers=(3,))
        expected = publish(b"y", 1, 1, topic="")
        expected.topic_alias = 1
        expected.message_expiry_interval = 10
        expected.subscription_identifiers = (3,)
        self.assertEqual(link.sent(), [expected])
