"""What comes from the Server: who gets it, how it is acknowledged, and how much of it is kept."""

from __future__ import annotations

from typing import Any

from mqttwist.client.received import OVERHEAD
from mqttwist.client.subscriptions import Subscriber
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.control import Disconnect, PingReq
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.publish import Publish
from mqttwist.wire.subscribe import SubscriptionOptions, Unsubscribe
from tests.client.rig import ClientTestCase, Server

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)


class AcknowledgementTests(ClientTestCase):
    def listening(self, version: int = MQTT_5, **settings: Any) -> Server:
        settings.setdefault("session_expiry_interval", 100)
        self.make_client(versions=(version,), **settings)
        self.received.clear()
        server = self.connect()
        self.subscribed(server)
        return server

    def test_pubacks_in_order(self) -> None:
        """PUBACK goes out in the order of the messages, whatever is done first [MQTT-4.6.0-2]
        [3.1.1: MQTT-4.6.0-2] [MQTT-4.3.2-4]."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(*[Publish("t", b"x", 1, packet_id=one) for one in (4, 9, 2)])
            self.received[2].ack()
            self.received[1].ack()
            self.assertEqual(server.take(), [])
            self.received[0].ack()
            self.assertEqual(server.take(), [PubAck(4), PubAck(9), PubAck(2)])

    def test_pubrecs_in_order(self) -> None:
        """PUBREC goes out in the order of the messages, whatever is done first [MQTT-4.6.0-3]
        [3.1.1: MQTT-4.6.0-3] [MQTT-4.3.3-8]."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(*[Publish("t", b"x", 2, packet_id=one) for one in (4, 9, 2)])
            self.received[1].ack()
            self.received[2].ack()
            self.assertEqual(server.take(), [])
            self.received[0].ack()
            self.assertEqual(server.take(), [PubRec(4), PubRec(9), PubRec(2)])

    def test_unclaimed(self) -> None:
        """A message that nobody here has subscribed to is acknowledged all the same [MQTT-4.5.0-2]
        [MQTT-3.3.4-1] [3.1.1: MQTT-4.5.0-2] [3.1.1: MQTT-3.3.4-1]."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(*[Publish("other", b"x", qos, packet_id=3 * (qos > 0)) for qos in (0, 1, 2)])
            self.assertEqual(server.take(), [PubAck(3), PubRec(3)])
            server.send(PubRel(3))
            self.assertEqual(server.take(), [PubComp(3)])
            self.assertEqual((self.client.stats.unclaimed, self.received), (3, []))
        self.assertEqual(len(self.owner.unclaimed_messages), 9)

    def test_dup_of_what_came(self) -> None:
        """What is sent on has DUP 0, whatever it came with [MQTT-3.3.1-3] [3.1.1: MQTT-3.3.1-3]."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(Publish("t", b"x", 1, packet_id=1, dup=True))
            self.assertTrue(self.received[0].dup)
            self.publish(self.received[0].payload, 1)
            [publish] = server.take()
            self.assertFalse(publish.dup)

    def test_expired_meanwhile(self) -> None:
        """A QoS 2 message that expires with the application is dealt with to its end [MQTT-4.3.3-13]."""
        server = self.listening()
        publish = Publish("t", b"x", 2, packet_id=1)
        publish.message_expiry_interval = 5
        server.send(publish)
        self.advance(10)
        self.received[0].ack()
        server.send(PubRel(1))
        self.assertEqual(server.take(), [PubRec(1), PubComp(1)])

    def test_qos_1_anew(self) -> None:
        """After PUBACK the same identifier is another message, with DUP or without [MQTT-4.3.2-5]."""
        server = self.listening()
        for dup in (False, True):
            server.send(Publish("t", b"x", 1, packet_id=1, dup=dup))
            self.received.pop().ack()
            self.assertEqual(server.take(), [PubAck(1)])

    def test_qos_2_anew(self) -> None:
        """After PUBCOMP, or a PUBREC that refuses, the identifier is another message [MQTT-4.3.3-12]
        [MQTT-4.3.3-9] [MQTT-4.3.3-11]."""
        server = self.listening()
        server.send(Publish("t", b"1", 2, packet_id=1))
        self.received[0].ack()
        server.send(PubRel(1), Publish("t", b"2", 2, packet_id=1))
        self.received[1].reject(0x97)
        server.send(Publish("t", b"3", 2, packet_id=1))
        self.assertEqual(self.payloads, [b"1", b"2", b"3"])
        self.assertEqual(server.take(), [PubRec(1), PubComp(1), PubRec(1, 0x97)])

    def test_qos_2_on_the_next_connection(self) -> None:
        """A QoS 2 message is known on the next connection, and no longer with the session [MQTT-4.3.3-10]."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(Publish("t", b"1", 2, packet_id=1))
            self.received[0].ack()
            server.hang_up()
            server = self.connect(True)
            server.take()
            server.send(Publish("t", b"1", 2, packet_id=1, dup=True))
            self.assertEqual((server.take(), len(self.received)), ([PubRec(1)], 1))
            server.hang_up()
            if version == MQTT_3_1:
                continue
            server = self.connect(False)
            server.grant()
            server.send(Publish("t", b"1", 2, packet_id=1, dup=True))
            self.assertEqual(len(self.received), 2)

    def test_reject_before_mqtt_5(self) -> None:
        """Before MQTT 5.0 there is no way to refuse a message: it is acknowledged (3.1.1: 3.4)."""
        server = self.listening(MQTT_3_1_1)
        server.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 2, packet_id=2))
        for received in self.received:
            received.reject(0x97)
        self.assertEqual(server.take(), [PubAck(1), PubRec(2)])

    def test_reason_codes(self) -> None:
        """A rejection has a Reason Code of an error (3.4.2.1)."""
        server = self.listening()
        server.send(Publish("t", b"1", 1, packet_id=1))
        for code in (-1, 0, 0x10, 0x7F, 0x100):
            self.assertRaises(ValueError, self.received[0].reject, code)
        self.assertEqual(server.take(), [])

    def test_identifier_in_use(self) -> None:
        """An identifier of a message that is not acknowledged means no other one (2.2.1)."""
        for version in VERSIONS:
            server = self.listening(version)
            server.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 2, packet_id=1))
            self.assertTrue(server.is_closed)

    def test_sent_again_on_one_connection(self) -> None:
        """What a Server of 3.1.1 sends again, because nothing was said of it yet, comes once."""
        server = self.listening(MQTT_3_1_1)
        for qos in (1, 2):
            server.send(Publish("t", b"x", qos, packet_id=qos))
            server.send(Publish("t", b"x", qos, packet_id=qos, dup=True))
        self.assertEqual(len(self.received), 2)
        for received in self.received:
            received.ack()
        self.assertEqual(server.take(), [PubAck(1), PubRec(2)])

    def test_said_once(self) -> None:
        """What is said of a message first counts, also while its acknowledgement waits for others."""
        server = self.listening()
        server.send(*[Publish("t", b"x", 1, packet_id=one) for one in (1, 2)])
        self.received[1].ack()
        self.received[1].reject(0x97)
        self.received[1].leave()
        self.received[0].ack()
        self.assertEqual(server.take(), [PubAck(1), PubAck(2)])

    def test_another_message(self) -> None:
        """Another message in the place of one that we know is no less a message, with DUP as well (4.3.2)."""
        for version in VERSIONS:
            for qos in (1, 2):
                server = self.listening(version)
                server.send(Publish("t", b"1", qos, packet_id=1))
                server.hang_up()
                server = self.connect(True)
                server.take()
                server.send(Publish("t", b"2", qos, packet_id=1, dup=True))
                self.assertEqual(self.payloads, [b"1", b"2"])
                self.received[1].ack()
                self.received[0].ack()
                self.assertEqual(server.take(), [PubAck(1) if qos == 1 else PubRec(1)])
                self.assertEqual(self.client.incoming.with_application, 0)

    def test_nothing_is_kept_for_nothing(self) -> None:
        """Before MQTT 5.0 a message may come after its PUBACK: what is done in between is forgotten."""
        for version in (MQTT_3_1, MQTT_3_1_1):
            server = self.listening(version)
            server.send(Publish("t", b"1", 1, packet_id=1))
            server.hang_up()
            self.received[0].ack()
            self.assertEqual(self.client.incoming.with_application, 0)
            server = self.connect(True)
            server.take()
            server.send(Publish("t", b"1", 1, packet_id=1, dup=True))
            server.hang_up()
            server = self.connect(True)
            self.received[1].ack()  # too late for that connection, too early for this one
            self.assertEqual(self.client.incoming.with_application, 0)

    def test_left(self) -> None:
        """What is left is not acknowledged, holds nothing up, and comes again as a message like others."""
        server = self.listening()
        server.send(*[Publish("t", b"%d" % one, 1, packet_id=one) for one in (1, 2)])
        self.received[1].ack()
        self.received[0].leave()
        self.assertEqual(server.take(), [PubAck(2)])
        server.hang_up()
        server = self.connect(True)
        server.send(Publish("t", b"1", 1, packet_id=1, dup=True))
        self.received[2].ack()
        self.assertEqual(server.take(), [PubAck(1)])

    def test_a_session_that_goes_on(self) -> None:
        """What a Server sends beyond Receive Maximum when a session goes on is taken: Mosquitto does so."""
        self.listening(receive_maximum=2).hang_up()
        server = self.connect(True)
        server.send(*[Publish("t", b"%d" % one, 1, packet_id=one) for one in range(1, 6)])
        for received in self.received:
            received.ack()
        self.assertEqual(server.take(), [PubAck(one) for one in range(1, 6)])

    def test_left_for_nobody(self) -> None:
        """Where the session ends with the connection, what is left is rejected when it takes all places."""
        for version, code in ((MQTT_5, 0x83), (MQTT_3_1_1, 0)):
            server = self.listening(version, session_expiry_interval=0, receive_maximum=2)
            server.send(*[Publish("t", b"1", 1, packet_id=one) for one in (1, 2)])
            self.received[0].leave()
            self.assertEqual(server.take(), [])
            self.received[1].leave()
            self.assertEqual(server.take(), [PubAck(1, code), PubAck(2, code)])
            server.send(Publish("t", b"1", 1, packet_id=3))
            self.assertEqual(len(self.received), 3)

    def test_all_left(self) -> None:
        """When so much was left that the Server may send no more, another connection brings it anew (4.9)."""
        server = self.listening(receive_maximum=2)
        server.send(*[Publish("t", b"%d" % one, one, packet_id=one) for one in (1, 2)])
        for received in self.received:
            received.leave()
        self.assertEqual(server.take(), [Disconnect()])
        self.assertTrue(server.is_closed)
        self.assertEqual((self.client.stats.starts_over, len(self.owner.errors)), (1, 1))
        server = self.connect(True)
        server.send(*[Publish("t", b"%d" % one, one, packet_id=one, dup=True) for one in (1, 2)])
        for received in self.received[2:]:
            received.ack()
        self.assertEqual(server.take(), [PubAck(1), PubRec(2)])


class SubscriberTests(ClientTestCase):
    def test_several(self) -> None:
        """A message for several subscribers is acknowledged when each has spoken, and the worst counts."""
        server = self.connect()
        self.subscribe("t")
        self.subscribe("t")
        self.subscribe("+")
        server.grant()
        server.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 1, packet_id=2))
        self.assertEqual(sorted(self.payloads), [b"1"] * 3 + [b"2"] * 3)
        one = [received for received in self.received if received.payload == b"1"]
        for received in (one[0], one[0], one[0], one[1]):
            received.ack()  # who says it three times has said it once
        self.assertEqual(server.take(), [])
        one[2].reject(0x97)
        one[2].ack()
        self.assertEqual(server.take(), [PubAck(1, 0x97)])

    def test_identifiers(self) -> None:
        """The Subscription Identifiers say whom a message is for, and without them the filters do (3.3.4)."""
        server = self.connect()
        self.subscribe("a/+")
        self.subscribe("a/#")
        first, second = server.grant()
        self.assertNotEqual(first.properties, second.properties)
        named = Publish("a/b", b"1")
        named.subscription_identifiers = (
            second.properties.subscription_identifiers if second.properties else ()
        )
        server.send(named)
        self.assertEqual(self.payloads, [b"1"])
        unknown = Publish("a/b", b"2")
        unknown.subscription_identifiers = (77,)
        server.send(unknown)
        self.assertEqual(self.payloads, [b"1", b"2", b"2"])

    def test_closing(self) -> None:
        """What waits for a subscriber that closes is left, and what others have is theirs."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        waiting = self.client.subscribe(SubscriptionOptions("t", 1), lambda: None, 10)
        self.subscribed(server, "u")
        server.grant()
        server.send(Publish("t", b"1", 1, packet_id=1), Publish("u", b"2", 1, packet_id=2))
        self.client.unsubscribe(waiting)
        [unsubscribe] = server.take()
        assert isinstance(unsubscribe, Unsubscribe)
        self.assertEqual(unsubscribe.topic_filters, ["t"])
        self.received[0].ack()
        self.assertEqual(server.take(), [PubAck(2)])
        self.assertEqual((waiting.length, self.client.held_bytes), (0, 0))


class AliasTests(ClientTestCase):
    def test_all_of_them(self) -> None:
        """Every Topic Alias up to our maximum is taken, set anew as well [MQTT-3.3.2-10]."""
        self.make_client(topic_alias_maximum=20)
        server = self.connect()
        self.subscribed(server, "#", 0)
        for turn in range(2):
            for alias in range(1, 21):
                publish = Publish(f"{turn}/{alias}", b"")
                publish.topic_alias = alias
                again = Publish("", b"")
                again.topic_alias = alias
                server.send(publish, again)
        expected = [f"{turn}/{alias}" for turn in range(2) for alias in range(1, 21) for _ in range(2)]
        self.assertEqual([one.topic_name for one in self.received], expected)

    def test_of_one_connection(self) -> None:
        """A Topic Alias of the connection before stands for nothing [MQTT-3.3.2-7]."""
        publish = Publish("t", b"")
        publish.topic_alias = 1
        server = self.connect()
        server.send(publish)
        server.hang_up()
        server = self.connect()
        again = Publish("", b"")
        again.topic_alias = 1
        server.send(again)
        self.assertEqual(server.take(), [Disconnect(0x82)])


class HoldTests(ClientTestCase):
    """`hold_bytes`: how much may wait for the application before nothing more is read."""

    def hold(self) -> tuple[Server, Subscriber]:
        self.make_client(hold_bytes=10_000, keep_alive=10, ping_timeout=5)
        server = self.connect()
        subscriber = self.client.subscribe(SubscriptionOptions("t", 1), lambda: None, 100)
        server.grant()
        server.send(*[Publish("t", bytes(2_000), 1, packet_id=one) for one in range(1, 6)])
        self.assertFalse(server.is_reading)
        return server, subscriber

    def test_until_half_is_taken(self) -> None:
        """Reading stops above the limit, and goes on when half of it was taken."""
        server, subscriber = self.hold()
        self.assertGreaterEqual(self.client.held_bytes, 5 * (2_000 + OVERHEAD))
        self.assertLess(self.client.held_bytes, 5 * (2_020 + OVERHEAD))
        subscriber.next()
        self.assertFalse(server.is_reading)
        subscriber.next()
        subscriber.next()
        self.assertTrue(server.is_reading)
        self.assertEqual(self.client.stats.messages_held, 1)

    def test_keep_alive(self) -> None:
        """While nothing is read, PINGREQ goes out, and its answer is not missed [MQTT-3.1.2-20]."""
        server, subscriber = self.hold()
        for _ in range(30):
            self.advance(1)
        self.assertIn(PingReq(), server.take())
        self.assertFalse(server.is_closed)
        while subscriber.next() is not None:
            pass
        for _ in range(5):
            self.advance(1)
        self.assertTrue(server.is_closed)  # now it would have been read

    def test_who_waits_for_puback(self) -> None:
        """Who publishes and takes nothing more before PUBACK gets it, though reading has stopped."""
        server, _ = self.hold()
        self.publish(b"x", 1)
        self.advance(1)
        self.advance(1)
        self.assertTrue(server.is_reading)
        server.send(Publish("t", b"", 1, packet_id=6))
        self.assertFalse(server.is_reading)
        self.advance(1)
        self.advance(1)
        self.assertTrue(server.is_reading)
        [*_, publish] = server.take()
        server.send(PubAck(publish.packet_id), Publish("t", b"", 1, packet_id=7))
        self.assertEqual(self.ended.payloads, [b"x"])
        self.advance(1)
        self.advance(1)
        self.assertFalse(server.is_reading)

    def test_the_next_connection(self) -> None:
        """A connection that is made while too much waits is read until the next message comes."""
        server, subscriber = self.hold()
        server.hang_up()
        server = self.connect()
        self.assertTrue(server.is_reading)
        server.send(Publish("t", b"", 1, packet_id=1))
        self.assertFalse(server.is_reading)
        self.client.unsubscribe(subscriber)
        self.assertTrue(server.is_reading)
        self.assertEqual(self.client.held_bytes, 0)
