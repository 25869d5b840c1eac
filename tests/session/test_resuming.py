"""Sending again after a reconnection (4.4)."""

from __future__ import annotations

from mqttwist.session.connection import PUMP_LIMIT
from mqttwist.session.delivery import PACKET_TOO_LARGE, REFUSED
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from tests.session.rig import (
    FlowTestCase,
    Link,
    Packets,
    packet_ids,
    payloads,
    pubacks,
    pubcomps,
    publish,
    pubrecs,
)


def again(payload: bytes, qos: int, packet_id: int) -> Packets:
    """A PUBLISH that is sent again, as the only packet of a list."""
    return [publish(payload, qos, packet_id, dup=True)]


class ReconnectionTests(FlowTestCase):
    """The client comes back, and its session is still there."""

    def test_nothing_to_send(self) -> None:
        """What was acknowledged is not sent again."""
        link = self.connect()
        self.deliver(b"a", 1)
        self.deliver(b"b", 2)
        link.receive(PubAck(1), PubRec(2))
        link.receive(PubComp(2))
        self.flow.detach()
        self.assertEqual(self.connect().sent(), [])

    def test_publish_and_pubrel(self) -> None:
        """PUBLISH goes again with DUP 1 and its identifier, after PUBREC only PUBREL; in their order."""
        for version in (MQTT_3_1, MQTT_3_1_1, MQTT_5):
            with self.subTest(version=version):
                self.flow = self.make_flow()
                link = self.connect(version=version)
                for payload, qos in ((b"a", 1), (b"b", 2), (b"c", 2), (b"d", 1)):
                    self.deliver(payload, qos)
                link.receive(PubRec(2))
                self.flow.detach()
                link = self.connect(version=version)
                expected = [*again(b"a", 1, 1), PubRel(2), *again(b"c", 2, 3), *again(b"d", 1, 4)]
                self.assertEqual(link.sent(), expected)
                link.receive(PubAck(1), PubComp(2), PubRec(3), PubAck(4))
                self.assertEqual(link.sent(), [PubRel(3)])
                link.receive(PubComp(3))
                self.assertEqual(len(self.flow.in_flight), 0)

    def test_order_is_not_that_of_the_ids(self) -> None:
        """The original order counts, also where the identifiers have gone round [MQTT-4.6.0-1]."""
        link = self.connect(quota=65_535)
        self.deliver_many(65_534)
        link.receive(*pubacks(*range(1, 65_535)))
        for payload in (b"a", b"b", b"c"):
            self.deliver(payload, 1)
        self.flow.detach()
        self.assertEqual(packet_ids(self.connect().sent()), [65_535, 1, 2])

    def test_what_waits_comes_after(self) -> None:
        """First what is sent again, then what waited, then what is new."""
        self.connect(quota=1)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        self.flow.detach()
        self.deliver(b"c", 1)
        link = self.connect(quota=10)
        self.deliver(b"d", 1)
        expected = [*again(b"a", 1, 1), publish(b"b", 1, 2), publish(b"c", 1, 3), publish(b"d", 1, 4)]
        self.assertEqual(link.sent(), expected)

    def test_again_and_again(self) -> None:
        """Each reconnection sends it again until it is acknowledged."""
        self.connect()
        self.deliver(b"a", 1)
        for _ in range(3):
            self.flow.detach()
            self.assertEqual(self.connect().sent(), again(b"a", 1, 1))

    def test_other_version(self) -> None:
        """What was sent in MQTT 5.0 goes again in the form of the version the client has now."""
        self.connect()
        self.deliver(b"a", 1, identifiers=(7,), expiry=60)
        self.flow.detach()
        self.assertEqual(self.connect(version=MQTT_3_1_1).sent(), again(b"a", 1, 1))

    def test_identifiers_and_expiry(self) -> None:
        """What is sent again has its Subscription Identifiers, and the time that is left by now."""
        self.connect()
        self.deliver(b"a", 1, identifiers=(7, 9), expiry=60)
        self.flow.detach()
        self.clock.advance(45)
        expected = publish(b"a", 1, 1, True)
        expected.subscription_identifiers = (7, 9)
        expected.message_expiry_interval = 15
        self.assertEqual(self.connect().sent(), [expected])

    def test_expired_after_it_was_sent(self) -> None:
        """What was sent once is sent again although it has expired by now [MQTT-4.3.3-7]."""
        self.connect()
        self.deliver(b"a", 2, expiry=60)
        self.flow.detach()
        self.clock.advance(100)
        properties = Properties(message_expiry_interval=0)
        self.assertEqual(self.connect().sent(), [publish(b"a", 2, 1, True, properties=properties)])

    def test_no_alias_from_before(self) -> None:
        """Topic Aliases don't outlive the connection: what is sent again has its name [MQTT-3.3.2-7]."""
        self.connect(aliases=5)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        self.flow.detach()
        self.assertEqual(self.connect(aliases=5).sent(), again(b"a", 1, 1) + again(b"b", 1, 2))

    def test_too_large_by_now(self) -> None:
        """What the client no longer takes counts as sent and confirmed [MQTT-3.1.2-25], and blocks nobody."""
        self.connect(quota=3)
        self.deliver(bytes(100), 1)
        self.deliver(b"b", 1)
        self.deliver(bytes(100), 1)
        self.flow.detach()
        link = self.connect(quota=1, maximum_packet_size=50)
        self.assertEqual(link.sent(), again(b"b", 1, 2))
        self.assertEqual(self.dropped(), [("client", PACKET_TOO_LARGE, 1)])
        self.deliver(b"d", 1)
        link.receive(PubAck(2))
        self.assertEqual(link.sent(), [publish(b"d", 1, 4)])
        self.assertEqual(self.dropped(), [("client", PACKET_TOO_LARGE, 1)])


class SmallerQuotaTests(FlowTestCase):
    """The client comes back with a Receive Maximum that is less than what is in flight."""

    def lose(self, *qos: int) -> None:
        """Send messages a, b, c... with these QoS, and lose the connection."""
        self.connect()
        for number, one in enumerate(qos):
            self.deliver(b"abcdefghij"[number : number + 1], one)
        self.flow.detach()

    def test_publish_waits(self) -> None:
        """No more than the new quota goes out at once; the rest follows in its order [MQTT-3.3.4-9]."""
        self.lose(1, 2, 1, 1)
        link = self.connect(quota=2)
        self.assertEqual(link.sent(), again(b"a", 1, 1) + again(b"b", 2, 2))
        link.receive(PubRec(2))
        self.assertEqual(link.sent(), [PubRel(2)])
        link.receive(PubComp(2))
        self.assertEqual(link.sent(), again(b"c", 1, 3))
        link.receive(PubAck(1), PubAck(3))
        self.assertEqual(link.sent(), again(b"d", 1, 4))

    def test_qos_0_does_not_wait(self) -> None:
        """QoS 0 needs no quota: it goes out before what is still to be sent again."""
        self.lose(1, 1)
        self.deliver(b"waiting", 0)
        link = self.connect(quota=1)
        self.deliver(b"new", 0)
        self.assertEqual(payloads(link.sent()), [b"a", b"waiting", b"new"])

    def test_new_messages_wait(self) -> None:
        """New messages wait until everything was sent again, and then for the quota."""
        self.lose(1, 1, 1)
        link = self.connect(quota=2)
        self.deliver(b"new", 1)
        self.deliver(b"newer", 1)
        self.assertEqual(payloads(link.sent()), [b"a", b"b"])
        link.receive(PubAck(1))
        self.assertEqual(payloads(link.sent()), [b"c"])
        link.receive(PubAck(2))
        self.assertEqual(payloads(link.sent()), [b"new"])
        link.receive(PubAck(3))
        self.assertEqual(payloads(link.sent()), [b"newer"])

    def test_pubrel_does_not_wait(self) -> None:
        """PUBREL is never delayed by the quota [MQTT-3.3.4-10], and keeps its place if it can."""
        link = self.connect()
        for payload in (b"a", b"b", b"c", b"d", b"e"):
            self.deliver(payload, 2)
        link.receive(*pubrecs(2, 4, 5))
        self.flow.detach()
        link = self.connect(quota=2)
        self.assertEqual(link.sent(), [*again(b"a", 2, 1), PubRel(2), PubRel(4), PubRel(5)])
        link.receive(*pubcomps(2, 4))
        self.assertEqual(link.sent(), [])
        link.receive(PubComp(5))
        self.assertEqual(link.sent(), again(b"c", 2, 3))

    def test_more_pubrels_than_quota(self) -> None:
        """More PUBRELs than the quota allows messages hold new messages back only until they are answered."""
        link = self.connect()
        for payload in (b"a", b"b", b"c"):
            self.deliver(payload, 2)
        link.receive(*pubrecs(1, 2, 3))
        self.flow.detach()
        link = self.connect(quota=1)
        self.assertEqual(link.sent(), [PubRel(1), PubRel(2), PubRel(3)])
        self.deliver(b"d", 1)
        link.receive(*pubcomps(1, 2))
        self.assertEqual(link.sent(), [])
        link.receive(PubComp(3))
        self.assertEqual(link.sent(), [publish(b"d", 1, 4)])

    def test_puback_before_it_is_sent_again(self) -> None:
        """What is acknowledged before it was sent again is not sent again, and frees nothing of the quota."""
        self.lose(1, 1, 1, 1, 1)
        link = self.connect(quota=2)
        self.assertEqual(packet_ids(link.sent()), [1, 2])
        link.receive(*pubacks(4, 5))
        self.assertEqual(link.sent(), [])
        link.receive(PubAck(1))
        self.assertEqual(packet_ids(link.sent()), [3])
        self.deliver(b"new", 1)
        link.receive(PubAck(2))
        self.assertEqual(payloads(link.sent()), [b"new"])

    def test_last_one_acknowledged_before_it_is_sent_again(self) -> None:
        """When that was the last to be sent again, what waits is next, as far as the quota goes."""
        self.lose(1, 1)
        link = self.connect(quota=1)
        self.deliver(b"new", 1)
        link.receive(PubAck(2))
        self.assertEqual(payloads(link.sent()), [b"a"])
        link.receive(PubAck(1))
        self.assertEqual(payloads(link.sent()), [b"new"])

    def test_pubrec_before_it_is_sent_again(self) -> None:
        """PUBREC for what was not sent again yet: PUBREL, and no PUBLISH any more [MQTT-4.3.3-6]."""
        self.lose(2, 2, 2)
        link = self.connect(quota=1)
        link.sent()
        link.receive(PubRec(2))
        self.assertEqual(link.sent(), [PubRel(2)])
        link.receive(PubRec(1), PubComp(1))
        self.assertEqual(link.sent(), [PubRel(1)])
        link.receive(PubComp(2))
        self.assertEqual(link.sent(), again(b"c", 2, 3))

    def test_error_before_it_is_sent_again(self) -> None:
        """What gets an error before it was sent again is not sent again [MQTT-4.4.0-2]."""
        self.lose(1, 1, 2)
        link = self.connect(quota=1)
        link.sent()
        link.receive(PubAck(2, 0x80), PubRec(3, 0x80), PubAck(1))
        self.assertEqual(link.sent(), [])
        self.assertEqual(len(self.flow.in_flight), 0)
        self.assertEqual(self.dropped(), [("client", REFUSED, 2)])

    def test_lost_again_half_way(self) -> None:
        """If the connection is lost half way, the next begins anew with all that is unacknowledged."""
        self.lose(1, 1, 1)
        link = self.connect(quota=1)
        link.receive(PubAck(1))
        self.flow.detach()
        self.assertEqual(packet_ids(self.connect().sent()), [2, 3])


class LargeResumptionTests(FlowTestCase):
    """More is to be sent again than should be in memory as packets at once."""

    payload = bytes(PUMP_LIMIT // 4)

    def lose(self, count: int) -> None:
        self.connect(quota=20)
        for _ in range(count):
            self.deliver(self.payload, 1)
        self.flow.detach()

    def test_in_portions(self) -> None:
        """It is written in portions of about `PUMP_LIMIT`, each when the one before is written."""
        self.lose(10)
        link = self.connect(quota=20)
        self.assertEqual(len(link.recorder.writes), 3)
        self.assertLess(max(map(len, link.recorder.writes)), PUMP_LIMIT + len(self.payload) + 1000)
        self.assertEqual(packet_ids(link.sent()), list(range(1, 11)))

    def test_transport_full(self) -> None:
        """It stops when the transport is full and goes on when it is ready; new messages come last."""
        self.lose(10)
        link = self.connect(quota=20, room=1)
        self.assertEqual(packet_ids(link.sent()), [1, 2, 3, 4])
        self.deliver(b"new", 1)
        link.receive(PubAck(1), PubAck(9))
        self.assertEqual((link.sent(), link.connection.held()), ([], 0))
        link.recorder.room = None
        link.connection.transport_ready()
        self.assertEqual(packet_ids(link.sent()), [5, 6, 7, 8, 10, 11])

    def test_same_turn(self) -> None:
        """A message that comes in the turn of the reconnection stays behind all portions [MQTT-4.6.0-5]."""
        self.lose(10)
        link = Link(self.broker, flow=self.flow)
        self.flow.attach(link.connection, 20, 0)
        self.flow.resume()
        self.assertFalse(self.flow.is_ready)
        self.deliver(b"new", 1)
        self.assertEqual(packet_ids(link.sent()), list(range(1, 12)))

    def test_pubrels_before_the_portions(self) -> None:
        """PUBRELs don't wait for the portions."""
        link = self.connect(quota=20)
        for _ in range(8):
            self.deliver(self.payload, 2)
        link.receive(PubRec(8))
        self.flow.detach()
        link = self.connect(quota=20, room=1)
        self.assertEqual(link.sent()[-1], PubRel(8))
        link.recorder.room = None
        link.connection.transport_ready()
        self.assertEqual(packet_ids(link.sent()), [5, 6, 7])
