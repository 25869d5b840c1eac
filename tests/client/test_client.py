"""A client and a Server, from CONNECT to DISCONNECT."""

from __future__ import annotations

from mqttwist.client.errors import NotDelivered
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.publish import Publish
from tests.client.rig import ClientTestCase, Server


class PublishTests(ClientTestCase):
    def test_qos_0_is_written(self) -> None:
        """A message of QoS 0 is sent, and is done when it was written."""
        server = self.connect()
        self.publish(b"1")
        self.assertEqual(server.take(), [Publish("t", b"1")])
        self.assertEqual(self.ended.payloads, [b"1"])

    def test_qos_1_is_done_with_puback(self) -> None:
        """A message of QoS 1 is done when PUBACK has come [MQTT-4.3.2-1]."""
        server = self.connect()
        self.publish(b"1", 1)
        self.assertEqual(server.take(), [Publish("t", b"1", 1, packet_id=1)])
        self.assertEqual(self.ended.payloads, [])
        server.send(PubAck(1))
        self.assertEqual(self.ended.payloads, [b"1"])

    def test_qos_2_is_done_with_pubcomp(self) -> None:
        """A message of QoS 2 is done when PUBCOMP has come [MQTT-4.3.3-1]."""
        server = self.connect()
        self.publish(b"1", 2)
        self.assertEqual(server.take(), [Publish("t", b"1", 2, packet_id=1)])
        server.send(PubRec(1))
        self.assertEqual(server.take(), [PubRel(1)])
        self.assertEqual(self.ended.payloads, [])
        server.send(PubComp(1))
        self.assertEqual(self.ended.payloads, [b"1"])

    def test_what_is_published_offline_waits(self) -> None:
        """What is published without a connection is sent on the next one, in its order."""
        for number in range(5):
            self.publish(b"%d" % number, number % 3)
        server = self.connect()
        self.assertEqual([one.payload for one in server.take()], [b"0", b"1", b"2", b"3", b"4"])

    def test_session_loss_republishes_qos_1(self) -> None:
        """When the session is lost, QoS 1 is sent as a new message and QoS 2 may or may not be there."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        self.publish(b"1", 1)
        self.publish(b"2", 2)
        self.publish(b"3", 1)
        server.take()
        server.hang_up()
        server = self.connect()
        self.assertEqual(
            server.take(), [Publish("t", b"1", 1, packet_id=4), Publish("t", b"3", 1, packet_id=5)]
        )
        (error,) = self.ended.errors
        assert isinstance(error, NotDelivered)
        self.assertTrue(error.maybe)
        self.assertEqual(self.owner.lost_sessions, [3])


class ReceiveTests(ClientTestCase):
    def test_acknowledged_when_dealt_with(self) -> None:
        """PUBACK goes out when the application is done, in the order of the messages [MQTT-4.6.0-2]."""
        server = self.connect()
        self.subscribed(server)
        server.send(*[Publish("t", b"%d" % one, 1, packet_id=one) for one in (1, 2, 3)])
        self.assertEqual(self.payloads, [b"1", b"2", b"3"])
        self.received[1].ack()
        self.assertEqual(server.take(), [])
        self.received[0].ack()
        self.assertEqual(server.take(), [PubAck(1), PubAck(2)])

    def test_qos_2(self) -> None:
        """PUBREC when the application is done; what is sent again is known [MQTT-4.3.3-10]."""
        server = self.connect()
        self.subscribed(server)
        server.send(Publish("t", b"1", 2, packet_id=7))
        server.send(Publish("t", b"1", 2, packet_id=7, dup=True))
        self.assertEqual(server.take(), [])
        self.received[0].ack()
        self.assertEqual(server.take(), [PubRec(7)])
        server.send(Publish("t", b"1", 2, packet_id=7, dup=True))
        self.assertEqual(server.take(), [PubRec(7)])
        server.send(PubRel(7), PubRel(7))
        self.assertEqual(server.take(), [PubComp(7), PubComp(7, 0x92)])
        self.assertEqual(self.payloads, [b"1"])

    def test_a_broken_connection_takes_nothing_away(self) -> None:
        """What the application has when the connection breaks is acknowledged on the next one."""
        self.make_client(session_expiry_interval=100)
        server = self.connect()
        self.subscribed(server)
        server.send(Publish("t", b"1", 1, packet_id=1), Publish("t", b"2", 2, packet_id=2))
        server.hang_up()
        self.received[0].ack()
        server = Server(self.client)
        server.accept(True)
        server.send(
            Publish("t", b"1", 1, packet_id=1, dup=True), Publish("t", b"2", 2, packet_id=2, dup=True)
        )
        self.assertEqual(server.take(), [PubAck(1)])
        self.received[1].ack()
        self.assertEqual(server.take(), [PubRec(2)])
        self.assertEqual(self.payloads, [b"1", b"2"])
