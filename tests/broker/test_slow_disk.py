"""A disk that falls behind, or takes nothing: who has to wait for it, who is told, and who goes on."""

from __future__ import annotations

from mqttwist.session.journal import PENDING_AGE, PENDING_LIMIT
from mqttwist.wire.acknowledge import PubAck, PubRec
from mqttwist.wire.connect import Will
from mqttwist.wire.control import PingReq
from tests.broker.test_withheld import WithheldTestCase, kinds

PINGS = PingReq().encode(5) * 30_000  # whose answers are more than what is kept for a transport beside 1 MB


class BackPressureTests(WithheldTestCase):
    """When the disk falls behind, those are not read from whose messages it would have to take."""

    def setUp(self) -> None:
        super().setUp()
        self.offline()
        self.holding = True

    def test_too_much(self) -> None:
        """More than 8 MB that are not stored: publishers that wait for it are not read from until then."""
        idle = self.connected("idle")
        free = self.connected("free")
        payload = bytes(PENDING_LIMIT // 4)
        for _ in range(4):
            self.assertTrue(self.publisher.transport.reading)
            self.publisher.publish("a", payload, 1)
        self.assertFalse(self.publisher.transport.reading)
        free.publish("none", b"", 1)
        self.assertEqual((free.transport.reading, idle.transport.reading), (True, True))
        self.publisher.publish("a", payload, 1)  # was read before
        self.commit()
        self.assertFalse(self.publisher.transport.reading)  # four of five have gone off, and are not there
        self.commit()
        self.assertTrue(self.publisher.transport.reading)
        self.assertEqual(len(self.publisher.take()), 5)

    def test_too_old(self) -> None:
        """A frame that takes longer than 2 s has the same effect."""
        self.publisher.publish("a", b"", 1)
        self.advance(PENDING_AGE)
        self.publisher.publish("a", b"", 1)
        self.assertTrue(self.publisher.transport.reading)
        self.advance(0.1)
        self.publisher.publish("a", b"", 1)
        self.assertFalse(self.publisher.transport.reading)
        self.commit()
        self.assertTrue(self.publisher.transport.reading)

    def test_with_a_full_transport(self) -> None:
        """Reading goes on when neither the disk nor the client's own slowness stands against it."""
        subscriber = self.publisher
        self.holding = False
        subscriber.subscribe("big")
        self.holding = True
        connection = subscriber.connection
        subscriber.publish("a", b"", 1)
        self.advance(PENDING_AGE + 1)
        connection.transport_full()
        subscriber.publish("big", bytes(1_000_000))
        subscriber.send_bytes(PINGS)
        self.assertFalse(subscriber.transport.reading)
        self.commit()
        self.assertFalse(subscriber.transport.reading)
        connection.transport_ready()
        self.assertTrue(subscriber.transport.reading)

    def test_one_that_goes(self) -> None:
        """A publisher that was not read from may go; nothing is left of it."""
        self.publisher.publish("a", b"", 1)
        self.advance(PENDING_AGE + 1)
        self.publisher.publish("a", b"", 1)
        self.assertFalse(self.publisher.transport.reading)
        self.publisher.lose()
        self.commit_all()
        self.assertFalse(self.publisher.transport.reading)

    def test_the_keep_alive(self) -> None:
        """Who is not read from is not sent away for saying nothing."""
        publisher = self.connected("p", keep_alive=10)
        publisher.publish("a", b"", 1)
        self.advance(PENDING_AGE + 1)
        publisher.publish("a", b"", 1)
        self.assertFalse(publisher.transport.reading)
        for _ in range(60):
            self.advance(1)
        self.assertFalse(publisher.is_closed)
        self.commit_all()
        self.advance(14)
        self.assertFalse(publisher.is_closed)
        self.advance(1)
        self.assertTrue(publisher.is_closed)


class FailingStoreTests(WithheldTestCase):
    """While the disk takes nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.offline()
        self.hold()
        self.store.journal.is_failing = True

    def test_mqtt_5_is_told(self) -> None:
        """A QoS 1 or 2 message that must be stored is refused with 0x97, and nobody gets it."""
        watcher = self.connected("w")
        watcher.subscribe("#", qos=2)
        for topic, retain in (("a", False), ("r", True)):
            self.publisher.publish(topic, b"", 1, retain, packet_id=1)
            self.assertEqual(self.publisher.take(), [PubAck(1, 0x97)])
            self.publisher.publish(topic, b"", 2, retain, packet_id=2)
            self.assertEqual(self.publisher.take(), [PubRec(2, 0x97)])
        self.assertEqual(watcher.take(), [])

    def test_mqtt_3_waits(self) -> None:
        """Before MQTT 5.0 nobody can be told: the message is taken, and acknowledged when it is stored."""
        publisher = self.connected("old", 4)
        publisher.publish("a", b"", 1, packet_id=1)
        publisher.publish("a", b"", 2, packet_id=2)
        self.assertEqual(publisher.take(), [])
        self.commit_all()
        self.assertEqual(kinds(publisher.take()), ["PubAck 1", "PubRec 2"])

    def test_what_needs_no_store(self) -> None:
        """QoS 0, and QoS 1 and 2 that nobody keeps, go on."""
        watcher = self.connected("w")
        watcher.subscribe("t", qos=2)
        for qos in (0, 1, 2):
            self.publisher.publish("t", b"%d" % qos, qos, packet_id=qos)
        self.assertEqual(watcher.payloads(), [b"0", b"1", b"2"])
        self.assertEqual(kinds(self.publisher.take()), ["PubAck 1", "PubRec 2"])

    def test_subscriptions(self) -> None:
        """SUBSCRIBE of a session that stays is refused: 0x97, or 0x80; that of another one is granted."""
        for version, reason_code in ((4, 0x80), (5, 0x97)):
            client = self.persistent(f"c{version}", version)
            self.assertEqual(client.subscribe("x", qos=1).reason_codes, [reason_code])
            self.assertEqual(self.connected(f"t{version}", version).subscribe("x", qos=1).reason_codes, [1])

    def test_one_that_was_taken_before(self) -> None:
        """A QoS 2 message that was taken and comes again is acknowledged late, not refused."""
        self.store.journal.is_failing = False
        publisher = self.persistent("p")
        publisher.publish("a", b"once", 2, packet_id=1)
        publisher.lose()
        self.store.journal.is_failing = True
        publisher = self.persistent("p")
        publisher.publish("a", b"once", 2, packet_id=1, dup=True)
        self.assertEqual(publisher.take(), [])
        self.commit_all()
        self.assertEqual(publisher.take(), [PubRec(1)])

    def test_recovery(self) -> None:
        """When a frame is stored again, all goes on."""
        self.commit()
        self.holding = False
        self.commit_all()
        self.publisher.publish("a", b"", 1, packet_id=1)
        self.assertEqual(self.publisher.take(), [PubAck(1)])
        client = self.persistent("c")
        self.assertEqual(client.subscribe("x", qos=1).reason_codes, [1])

    def test_wills(self) -> None:
        """A will is published to those who are there."""
        watcher = self.connected("w")
        watcher.subscribe("will", qos=1)
        self.connected("dying", will=Will("will", b"gone", 1)).lose()
        self.assertEqual(watcher.payloads(), [b"gone"])
