"""SUBSCRIBE and UNSUBSCRIBE (3.8 to 3.11): what is asked, once more after a reconnection, and the answers."""

from __future__ import annotations

from typing import Any

from mqttwist.client.errors import ClientError, NeedsMQTT5, NotSupportedByServer, SubscribeRefused
from mqttwist.client.subscribing import REQUESTS_LIMIT
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubAck, Subscribe, UnsubAck, Unsubscribe
from tests.client.rig import ClientTestCase, Server

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)


class SubscribeTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.unsubscribed: list[ClientError | None] = []

    def asked(self, server: Server) -> list[str]:
        """The Topic Filters of the SUBSCRIBEs that the Server got, which it grants."""
        return [option.topic_filter for packet in server.grant() for option in packet.subscriptions]

    def test_granted(self) -> None:
        """SUBSCRIBE has a filter at least, and SUBACK says what was granted [MQTT-3.8.3-2]."""
        server = self.connect()
        subscriber = self.subscribe("t", 2)
        self.assertEqual((subscriber.granted_qos, self.answers), (-1, []))
        [subscribe] = server.take()
        server.send(SubAck(subscribe.packet_id, [1]))
        self.assertEqual((subscriber.granted_qos, self.answers), (1, [None]))

    def test_refused(self) -> None:
        """A subscription that is refused is none; what the Server says of it is told (3.9.3)."""
        server = self.connect()
        subscriber = self.subscribe("t", 2)
        [subscribe] = server.take()
        server.send(SubAck(subscribe.packet_id, [0x87], Properties(reason_string="no")))
        [error] = self.answers
        assert isinstance(error, SubscribeRefused)
        self.assertEqual((error.reason_code, error.reason_string, subscriber.is_open), (0x87, "no", False))
        server.hang_up()
        self.assertEqual(self.asked(self.connect()), [])

    def test_in_one_packet(self) -> None:
        """Without Subscription Identifiers many filters go into one SUBSCRIBE, never none
        [3.1.1: MQTT-3.8.3-3]."""
        for version in (MQTT_3_1, MQTT_3_1_1):
            self.make_client(versions=(version,))
            for number in range(250):
                self.subscribe(f"t/{number}", 1)
            server = self.connect()
            sizes = [len(one.subscriptions) for one in server.grant()]
            self.assertEqual(sizes, [100, 100, 50])
        self.make_client()
        self.subscribe("a")
        self.subscribe("b")
        server = self.connect(subscription_identifier_available=0)
        [subscribe] = server.grant()
        self.assertEqual((len(subscribe.subscriptions), subscribe.properties), (2, Properties()))

    def test_very_many(self) -> None:
        """However many subscriptions there are, no more than 1,000 requests wait for answers at a time."""
        total = 2 * REQUESTS_LIMIT + 10
        for number in range(total):
            self.subscribe(f"t/{number}", 1)
        server = self.connect()
        self.assertEqual(len(self.client.outgoing.requests), REQUESTS_LIMIT)
        asked = 0
        while packets := server.grant():
            asked += len(packets)
        self.assertEqual((asked, len(self.answers), self.client.outgoing.requests), (total, total, {}))

    def test_maximum_packet_size(self) -> None:
        """SUBSCRIBE and UNSUBSCRIBE keep to the Server's Maximum Packet Size [MQTT-3.2.2-15]."""
        self.make_client(session_expiry_interval=100)
        subscribers = [self.subscribe(f"filter/{number}") for number in range(20)]
        self.subscribe("x" * 100)
        small: dict[str, Any] = {"maximum_packet_size": 60, "subscription_identifier_available": 0}
        server = self.connect(**small)
        packets = server.grant()
        self.assertLessEqual(max(len(one.encode(5)) for one in packets), 60)
        self.assertEqual(sum(len(one.subscriptions) for one in packets), 20)
        [error] = [one for one in self.answers if one is not None]
        assert isinstance(error, NotSupportedByServer)
        server.hang_up()
        for subscriber in subscribers:
            self.client.unsubscribe(subscriber)
        server = self.connect(True, **small)
        ends = server.take()
        self.assertLessEqual(max([len(one.encode(5)) for one in ends]), 60)
        self.assertEqual(sum([len(one.topic_filters) for one in ends]), 20)
        for packet in ends:
            server.send(UnsubAck(packet.packet_id, [0] * len(packet.topic_filters)))
        self.assertEqual(self.client.outgoing.requests, {})

    def test_what_the_server_lacks(self) -> None:
        """What the Server says it does not do is not asked of it (3.2.2.3.11 to 3.2.2.3.13)."""
        early = self.subscribe("a/+")
        server = self.connect(wildcard_subscription_available=0, shared_subscription_available=0)
        self.assertEqual((server.take(), early.is_open), ([], False))
        for topic_filter in ("a/#", "+", "$share/g/a"):
            self.assertRaises(NotSupportedByServer, self.subscribe, topic_filter)
        self.assertEqual([type(one) for one in self.answers], [NotSupportedByServer])

    def test_bad_filters(self) -> None:
        """A Topic Filter that is none is refused here [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1]
        [MQTT-4.8.2-1] [MQTT-4.8.2-2] [MQTT-3.8.3-1]."""
        for topic_filter in ("", "a#", "a/#/b", "a+", "\0", "$share/g", "$share//a", "$share/+/a", "\ud800"):
            self.assertRaises(ValueError, self.subscribe, topic_filter)
        self.assertEqual(len(self.client.subscribing.subscriptions.by_filter), 0)

    def test_no_local_of_shares(self) -> None:
        """No Local on a Shared Subscription is never sent [MQTT-3.8.3-4]."""
        server = self.connect()
        self.assertRaises(ValueError, self.subscribe, "$share/g/a", no_local=True)
        self.assertEqual(server.take(), [])
        server.hang_up()
        self.assertRaises(ValueError, self.subscribe, "$share/g/a", no_local=True)
        self.assertRaises(ValueError, self.subscribe, "a", 3)
        self.assertEqual(len(self.client.subscribing.subscriptions.by_filter), 0)

    def test_old_versions(self) -> None:
        """Options of MQTT 5.0 are refused where an older version is spoken."""
        self.make_client(versions=(MQTT_3_1_1,))
        self.assertRaises(NeedsMQTT5, self.subscribe, "a", no_local=True)
        self.assertRaises(NeedsMQTT5, self.subscribe, "a", retain_handling=1)

    def test_two_of_one_filter(self) -> None:
        """Two uses of a filter are one subscription, with the higher QoS; the last to go ends it."""
        server = self.connect()
        first = self.subscribed(server, "t", 1)
        second = self.subscribe("t", 2)
        [subscribe] = server.grant()
        self.assertEqual(subscribe.subscriptions[0].qos, 2)
        server.send(Publish("t", b"x"))
        self.assertEqual(len(self.received), 2)
        self.client.unsubscribe(first, self.unsubscribed.append)
        self.assertEqual((server.take(), self.unsubscribed), ([], [None]))
        self.client.unsubscribe(second, self.unsubscribed.append)
        [unsubscribe] = server.take()
        self.assertEqual(self.unsubscribed, [None])
        server.send(UnsubAck(unsubscribe.packet_id, [0]))
        self.assertEqual(self.unsubscribed, [None, None])
        self.assertRaises(ValueError, self._with_other_options)

    def _with_other_options(self) -> None:
        self.subscribe("t")
        self.subscribe("t", no_local=True)

    def test_second_one_refused(self) -> None:
        """When the second use of a filter is refused, the first goes on."""
        server = self.connect()
        first = self.subscribed(server, "t", 1)
        second = self.subscribe("t", 2)
        [subscribe] = server.take()
        server.send(SubAck(subscribe.packet_id, [0x97]))
        self.assertEqual((first.is_open, second.is_open), (True, False))
        server.hang_up()
        self.assertEqual(self.asked(self.connect()), ["t"])

    def test_both_under_way(self) -> None:
        """Two SUBSCRIBEs for one filter under way: each is answered for itself, and the last counts."""
        for codes in ([0x80, 1], [1, 0x80], [1, 2], [0x80, 0x80]):
            self.make_client()
            server = self.connect()
            subscribers = [self.subscribe("t", 1), self.subscribe("t", 2)]
            for packet, code in zip(server.take(), codes, strict=True):
                server.send(SubAck(packet.packet_id, [code]))
            expected = [code < 0x80 for code in codes]
            self.assertEqual([one.is_open for one in subscribers], expected)
            self.assertEqual("t" in self.client.subscribing.subscriptions.by_filter, any(expected))

    def test_after_a_reconnection(self) -> None:
        """Subscriptions are asked for again when the session is new, else they are not [MQTT-3.2.2-5]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,), session_expiry_interval=100)
            self.subscribe("a")
            self.subscribe("b")
            server = self.connect()
            self.assertEqual(self.asked(server), ["a", "b"])
            server.hang_up()
            server = self.connect(True)
            self.assertEqual(self.asked(server), [])
            server.hang_up()
            self.assertEqual(self.asked(self.connect(False)), ["a", "b"])

    def test_mqtt_3_1(self) -> None:
        """In MQTT 3.1, where nobody knows of a session, subscriptions are asked for on every connection."""
        self.make_client(versions=(MQTT_3_1,), session_expiry_interval=100)
        self.subscribe("a")
        for _ in range(3):
            server = self.connect()
            self.assertEqual(self.asked(server), ["a"])
            server.hang_up()

    def test_retain_handling(self) -> None:
        """Asked for in a session that is there, retained messages are to come for new subscriptions only."""
        self.make_client(session_expiry_interval=100)
        self.subscribe("a")
        server = self.connect(True)
        [packet] = server.grant()
        self.assertEqual(packet.subscriptions[0].retain_handling, 1)
        self.subscribe("a")
        self.subscribe("b")
        self.assertEqual([one.subscriptions[0].retain_handling for one in server.grant()], [0, 0])

    def test_the_same_identifier(self) -> None:
        """A filter has the same Subscription Identifier in every process (3.8.2.1.2)."""
        identifiers = []
        for _ in range(2):
            self.make_client()
            self.subscribe("x")
            self.subscribe("a")
            server = self.connect()
            [*_, packet] = server.grant()
            identifiers.append(packet.properties)
        self.assertEqual(identifiers[0], identifiers[1])

    def test_refused_after_a_reconnection(self) -> None:
        """A subscription that a new session is refused ends, and all its subscribers are told."""
        subscribers = [self.subscribe("t"), self.subscribe("t")]
        server = self.connect()
        server.grant()
        self.assertEqual(self.answers, [None, None])
        server.hang_up()
        server = self.connect()
        [packet] = server.take()
        server.send(SubAck(packet.packet_id, [0x87]))
        self.assertEqual([type(one) for one in self.answers[2:]], [SubscribeRefused] * 2)
        self.assertEqual([one.is_open for one in subscribers], [False, False])

    def test_lost_before_the_answer(self) -> None:
        """What was asked and not answered is asked again, and answered once."""
        server = self.connect()
        self.subscribe("a")
        self.assertEqual(len(server.take()), 1)
        server.hang_up()
        self.assertEqual(self.answers, [])
        server = self.connect()
        self.assertEqual(self.asked(server), ["a"])
        self.assertEqual(self.answers, [None])


class UnsubscribeTests(ClientTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.make_client(session_expiry_interval=100)
        self.told: list[ClientError | None] = []

    def test_offline(self) -> None:
        """What ends without a connection ends in the session when it is there again [MQTT-3.10.3-2]
        [3.1.1: MQTT-3.10.3-2]."""
        for version in (MQTT_3_1_1, MQTT_5):
            self.make_client(versions=(version,), session_expiry_interval=100)
            self.told.clear()
            self.check_offline()

    def check_offline(self) -> None:
        subscriber = self.subscribe("a")
        server = self.connect()
        server.grant()
        server.hang_up()
        self.client.unsubscribe(subscriber, self.told.append)
        self.client.settle()
        self.assertEqual(self.told, [None])
        server = self.connect(True)
        [packet] = server.take()
        assert isinstance(packet, Unsubscribe)
        self.assertEqual(packet.topic_filters, ["a"])
        server.hang_up()
        self.assertEqual(len(self.connect(True).take()), 1)  # it was not answered
        self.client.disconnect()
        self.assertEqual(self.connect(False).take(), [])

    def test_and_subscribe_again(self) -> None:
        """A filter that is used again before the Server was told to forget it stays."""
        server = self.connect()
        subscriber = self.subscribed(server, "a")
        server.hang_up()
        self.client.unsubscribe(subscriber)
        self.subscribe("a")
        server = self.connect(True)
        kinds = [type(one) for one in server.take()]
        self.assertEqual(kinds, [Subscribe])

    def test_answers_out_of_order(self) -> None:
        """SUBACK before UNSUBACK and then a broken connection: the new subscription is not forgotten."""
        server = self.connect()
        subscriber = self.subscribed(server, "a")
        self.client.unsubscribe(subscriber, self.told.append)
        self.subscribe("a")
        [_, subscribe] = server.take()
        server.send(SubAck(subscribe.packet_id, [1]))
        server.hang_up()
        server = self.connect(True)
        self.assertEqual((server.take(), self.told), ([], [None]))

    def test_refused(self) -> None:
        """UNSUBACK of 0x80 and above is told; 0x11, no subscription existed, is no error (3.11.3)."""
        server = self.connect()
        for code in (0x11, 0x87):
            self.client.unsubscribe(self.subscribed(server, "a"), self.told.append)
            [packet] = server.take()
            server.send(UnsubAck(packet.packet_id, [code]))
        self.assertIsNone(self.told[0])
        self.assertEqual(getattr(self.told[1], "reason_code", 0), 0x87)

    def test_before_the_answer(self) -> None:
        """Who leaves before SUBACK has come is not answered any more, and nothing is left behind."""
        for version in VERSIONS:
            self.make_client(versions=(version,))
            server = self.connect()
            subscriber = self.subscribe("a")
            [subscribe] = server.take()
            self.client.unsubscribe(subscriber, self.told.append)
            [unsubscribe] = server.take()
            codes = [0] if version == MQTT_5 else []
            server.send(SubAck(subscribe.packet_id, [2]), UnsubAck(unsubscribe.packet_id, codes))
            self.client.unsubscribe(subscriber, self.told.append)  # harmless when it is over
            self.client.settle()
        self.assertEqual((self.answers, self.told), ([], [None] * 6))
        self.assertEqual(self.client.subscribing.subscriptions.by_filter, {})
