"""The sender's side of QoS 0, 1 and 2 on one connection: the flows of 4.3, the quota, the identifiers."""

from __future__ import annotations

from mqttwist.session.delivery import REFUSED, SESSION_ENDED
from mqttwist.session.outgoing import (
    PAUSE_SEND_QUOTA,
)
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.message import Message
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from mqttwist.wire.properties import Properties
from tests.session.rig import FlowTestCase, packet_ids, payloads, pubacks, publish, pubrecs

VERSIONS = (MQTT_3_1, MQTT_3_1_1, MQTT_5)


class FlowTests(FlowTestCase):
    """One message after the other, all acknowledged."""

    def test_qos_0(self) -> None:
        """QoS 0 is one PUBLISH with DUP 0 and no Packet Identifier [MQTT-4.3.1-1] [MQTT-2.2.1-2]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                self.flow = self.make_flow()
                link = self.connect(version=version)
                self.assertTrue(self.deliver(b"a", 0))
                self.assertEqual(link.sent(), [publish(b"a", 0)])
                self.assertEqual(self.flow.in_flight, {})

    def test_qos_1(self) -> None:
        """QoS 1 is PUBLISH with an unused identifier and DUP 0, until PUBACK [MQTT-4.3.2-1 to 3]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                self.flow = self.make_flow()
                link = self.connect(version=version)
                self.assertTrue(self.deliver(b"a"))
                self.assertEqual(link.sent(), [publish(b"a", 1, 1)])
                self.assertEqual(list(self.flow.in_flight), [1])
                link.receive(PubAck(1))
                self.assertEqual(link.sent(), [])
                self.assertEqual(list(self.flow.in_flight), [])

    def test_qos_2(self) -> None:
        """QoS 2 is PUBLISH, PUBREC, PUBREL, PUBCOMP with one identifier [MQTT-4.3.3-1 to 5]."""
        for version in VERSIONS:
            with self.subTest(version=version):
                self.flow = self.make_flow()
                link = self.connect(version=version)
                self.assertTrue(self.deliver(b"a", 2))
                self.assertEqual(link.sent(), [publish(b"a", 2, 1)])
                link.receive(PubRec(1))
                self.assertEqual(link.sent(), [PubRel(1)])
                self.assertEqual(list(self.flow.in_flight), [1])
                link.receive(PubComp(1))
                self.assertEqual(link.sent(), [])
                self.assertEqual(list(self.flow.in_flight), [])

    def test_message_is_forgotten_with_pubrec(self) -> None:
        """After PUBREC the message is never needed again, and its memory is given back [MQTT-4.3.3-6]."""
        link = self.connect()
        self.deliver(b"a", 2)
        self.assertIsNotNone(self.flow.in_flight[1].message)
        link.receive(PubRec(1))
        self.assertIsNone(self.flow.in_flight[1].message)

    def test_success_with_another_code(self) -> None:
        """0x10, no matching subscribers, is a success: of PUBREC too."""
        link = self.connect()
        self.deliver(b"a", 1)
        self.deliver(b"b", 2)
        link.sent()
        link.receive(PubAck(1, 0x10), PubRec(2, 0x10))
        self.assertEqual(link.sent(), [PubRel(2)])
        self.assertEqual(self.dropped(), [])

    def test_retain_and_properties(self) -> None:
        """RETAIN is as asked for, and the properties that are forwarded go unaltered, in their order."""
        properties = Properties(content_type="text", user_properties=(("b", "1"), ("a", "2"), ("b", "3")))
        link = self.connect()
        for qos, packet_id in ((0, 0), (1, 1), (2, 2)):
            message = Message("topic", b"a", qos, True, properties)
            self.deliver(message, qos)
            message.retain = False
            self.deliver(message, 0)
            self.assertEqual(
                link.sent(),
                [
                    publish(b"a", qos, packet_id, retain=True, properties=properties),
                    publish(b"a", 0, properties=properties),
                ],
            )

    def test_counters(self) -> None:
        """PUBLISH counts among messages and publishes, PUBREL among messages only."""
        link = self.connect()
        self.deliver(b"a", 0)
        self.deliver(b"b", 1)
        self.deliver(b"c", 2, identifiers=(7,))
        link.receive(PubRec(2))
        self.assertEqual(self.metrics.publishes_sent, 3)
        self.assertEqual(self.metrics.messages_sent, 4)
        self.assertEqual(self.metrics.bytes_sent, sum(len(data) for data in link.recorder.writes))


class AcknowledgementTests(FlowTestCase):
    """Acknowledgements with errors, twice, or for what was never sent."""

    def test_puback_with_error(self) -> None:
        """PUBACK of 0x80 and above ends the flow: the message is dropped, not sent again [MQTT-4.4.0-2]."""
        link = self.connect(quota=1)
        self.deliver(b"a")
        self.deliver(b"b")
        link.sent()
        link.receive(PubAck(1, 0x97))
        self.assertEqual(link.sent(), [publish(b"b", 1, 2)])
        self.assertEqual(self.dropped(), [("client", REFUSED, 1)])

    def test_pubrec_with_error(self) -> None:
        """PUBREC of 0x80 and above ends the flow without PUBREL, and the quota is given back (4.9)."""
        link = self.connect(quota=1)
        self.deliver(b"a", 2)
        self.deliver(b"b", 2)
        link.sent()
        link.receive(PubRec(1, 0x80))
        self.assertEqual(link.sent(), [publish(b"b", 2, 2)])
        self.assertEqual(self.dropped(), [("client", REFUSED, 1)])

    def test_pubcomp_with_error(self) -> None:
        """PUBCOMP 0x92 ends the flow; the receiver has had the message, so nothing was dropped."""
        link = self.connect()
        self.deliver(b"a", 2)
        link.receive(PubRec(1))
        link.receive(PubComp(1, 0x92))
        self.assertEqual(list(self.flow.in_flight), [])
        self.assertEqual(self.dropped(), [])

    def test_pubrec_for_unknown_id(self) -> None:
        """PUBREC for an identifier that is not in use gets PUBREL 0x92: its sender can go on (3.6.2.1)."""
        for version, answer in ((MQTT_5, PubRel(7, 0x92)), (MQTT_3_1_1, PubRel(7))):
            with self.subTest(version=version):
                link = self.connect(version=version)
                self.assertEqual(self.acknowledged(PubRec(7)), [False])
                self.assertEqual(link.sent(), [answer])

    def test_pubrec_with_error_for_unknown_id(self) -> None:
        """PUBREC of 0x80 and above waits for no PUBREL, so none is sent [MQTT-4.3.3-9]."""
        link = self.connect()
        self.assertEqual(self.acknowledged(PubRec(7, 0x80)), [False])
        self.assertEqual(link.sent(), [])

    def test_others_for_unknown_id(self) -> None:
        """PUBACK and PUBCOMP for an identifier that is not in use are ignored."""
        link = self.connect()
        self.assertEqual(self.acknowledged(PubAck(7), PubComp(7)), [False, False])
        self.assertEqual(link.sent(), [])

    def test_pubrec_again(self) -> None:
        """Another PUBREC before PUBCOMP gets another PUBREL."""
        link = self.connect()
        self.deliver(b"a", 2)
        link.sent()
        self.assertEqual(self.acknowledged(PubRec(1), PubRec(1)), [True, True])
        self.assertEqual(link.sent(), [PubRel(1), PubRel(1)])
        self.assertEqual(self.acknowledged(PubComp(1), PubComp(1)), [True, False])
        self.assertEqual(link.sent(), [])

    def test_wrong_kind(self) -> None:
        """An acknowledgement of the wrong kind acknowledges nothing."""
        link = self.connect()
        self.deliver(b"a", 1)
        self.deliver(b"b", 2)
        self.deliver(b"c", 2)
        link.receive(PubRec(3))
        link.sent()
        answers = self.acknowledged(PubRec(1), PubComp(1), PubAck(2), PubComp(2), PubAck(3))
        self.assertEqual(answers, [False] * 5)
        self.assertEqual(link.sent(), [])
        self.assertEqual(list(self.flow.in_flight), [1, 2, 3])

    def test_after_the_connection(self) -> None:
        """An acknowledgement that comes in when the connection is gone changes nothing."""
        self.connect()
        self.deliver(b"a")
        self.flow.detach()
        self.assertEqual(self.acknowledged(PubAck(1), PubRec(2)), [False, False])
        self.assertEqual(list(self.flow.in_flight), [1])


class SendQuotaTests(FlowTestCase):
    """4.9: how many may be unacknowledged."""

    def test_quota(self) -> None:
        """No more than the quota are unacknowledged; PUBACK and PUBCOMP let one more go [MQTT-3.3.4-9]."""
        link = self.connect(quota=2)
        for payload, qos in ((b"a", 1), (b"b", 2), (b"c", 1), (b"d", 2), (b"e", 1)):
            self.assertTrue(self.deliver(payload, qos))
        self.assertEqual(link.sent(), [publish(b"a", 1, 1), publish(b"b", 2, 2)])
        link.receive(PubAck(1))
        self.assertEqual(link.sent(), [publish(b"c", 1, 3)])
        link.receive(PubRec(2))
        self.assertEqual(link.sent(), [PubRel(2)])
        link.receive(PubComp(2))
        self.assertEqual(link.sent(), [publish(b"d", 2, 4)])
        link.receive(PubRec(4), PubAck(3))
        self.assertEqual(link.sent(), [PubRel(4), publish(b"e", 1, 5)])
        link.receive(PubComp(4), PubAck(5))
        self.assertEqual(len(self.flow.waiting), 0)

    def test_acknowledgement_for_nothing(self) -> None:
        """What acknowledges nothing does not raise the quota above its beginning (4.9)."""
        link = self.connect(quota=1)
        link.receive(*pubacks(1, 2, 3))
        for payload in (b"a", b"b"):
            self.deliver(payload)
        self.assertEqual(link.sent(), [publish(b"a", 1, 1)])

    def test_qos_0_needs_none(self) -> None:
        """QoS 0 goes out when the quota is used up (4.9)."""
        link = self.connect(quota=1)
        for payload, qos in ((b"a", 1), (b"b", 1), (b"c", 0)):
            self.deliver(payload, qos)
        self.assertEqual(link.sent(), [publish(b"a", 1, 1), publish(b"c", 0)])

    def test_dropped_message_uses_none(self) -> None:
        """A message that is too large takes nothing from the quota, and no identifier is left in use."""
        link = self.connect(quota=1, maximum_packet_size=30)
        self.assertFalse(self.deliver(bytes(40)))
        self.assertTrue(self.deliver(b"b"))
        self.assertEqual(payloads(link.sent()), [b"b"])
        self.assertEqual(len(self.flow.in_flight), 1)

    def test_many_acknowledgements_in_one_turn(self) -> None:
        """Acknowledgements in one read let as many messages go, and they are written in one go."""
        link = self.connect(quota=3)
        for number in range(9):
            self.deliver(b"%d" % number)
        link.sent()
        link.receive(*pubacks(1, 2, 3))
        self.assertEqual(len(link.recorder.writes), 1)
        self.assertEqual(payloads(link.sent()), [b"3", b"4", b"5"])


class OrderTests(FlowTestCase):
    """4.6: messages of one topic and QoS keep their order."""

    def test_order_through_the_queue(self) -> None:
        """What waits for the quota goes before what comes later [MQTT-4.6.0-5]."""
        link = self.connect(quota=1)
        for payload in (b"a", b"b"):
            self.deliver(payload)
        link.receive(PubAck(1))
        for payload in (b"c", b"d"):
            self.deliver(payload)
        for packet_id in (2, 3, 4):
            link.receive(PubAck(packet_id))
        self.assertEqual(payloads(link.sent()), [b"a", b"b", b"c", b"d"])

    def test_no_overtaking_across_qos(self) -> None:
        """QoS 2 that waits for the quota holds QoS 1 behind it back, so that neither overtakes."""
        link = self.connect(quota=2)
        for payload, qos in ((b"a", 2), (b"b", 1), (b"c", 2), (b"d", 1)):
            self.deliver(payload, qos)
        link.receive(PubRec(1), PubAck(2), PubComp(1))
        self.assertEqual(payloads(link.sent()), [b"a", b"b", b"c", b"d"])

    def test_pubrels_in_the_order_of_pubrecs(self) -> None:
        """PUBRELs go out in the order in which the PUBRECs came [MQTT-4.6.0-4]."""
        link = self.connect()
        for payload in (b"a", b"b", b"c"):
            self.deliver(payload, 2)
        link.sent()
        link.receive(*pubrecs(2, 1, 3))
        self.assertEqual(link.sent(), [PubRel(2), PubRel(1), PubRel(3)])


class PacketIdentifierTests(FlowTestCase):
    """2.2.1: never 0, never one that is in use."""

    def test_ids_go_round(self) -> None:
        """After 65,535 comes 1 [MQTT-2.2.1-4]."""
        link = self.connect(quota=65_535)
        self.deliver_many(65_535)
        self.assertEqual(packet_ids(link.sent()), list(range(1, 65_536)))
        link.receive(*pubacks(*range(1, 65_536)))
        self.deliver(b"")
        self.assertEqual(packet_ids(link.sent()), [1])

    def test_ids_in_use_are_left_out(self) -> None:
        """Going round, an identifier still in use is passed over, also one between PUBREC and PUBCOMP."""
        link = self.connect(quota=65_535)
        self.deliver(b"unacknowledged", 1)
        self.deliver(b"", 1)
        self.deliver(b"half way", 2)
        link.receive(PubAck(2), PubRec(3))
        self.deliver_many(65_532)
        link.receive(*pubacks(*range(4, 65_536)))
        link.sent()
        for _ in range(3):
            self.deliver(b"")
        self.assertEqual(packet_ids(link.sent()), [2, 4, 5])

    def test_all_in_use(self) -> None:
        """With all 65,535 in use the next message waits for the first that is free."""
        link = self.connect(quota=65_535)
        self.deliver_many(65_536)
        self.assertEqual(len(link.sent()), 65_535)
        self.assertEqual(self.flow.pause, PAUSE_SEND_QUOTA)
        link.receive(PubAck(40_000))
        self.assertEqual(packet_ids(link.sent()), [40_000])

    def test_ids_survive_the_connection(self) -> None:
        """What was unacknowledged before a reconnection keeps its identifier to itself [MQTT-4.4.0-1]."""
        self.connect()
        self.deliver(b"a")
        self.deliver(b"b")
        self.flow.detach()
        link = self.connect()
        self.deliver(b"c")
        self.assertEqual(packet_ids(link.sent()), [1, 2, 3])


class EndTests(FlowTestCase):
    """The session ends."""

    def test_what_may_move(self) -> None:
        """Of shared deliveries, what was never sent may go to another, and QoS 1 that was sent (4.8.2)."""
        self.connect(quota=3)
        self.deliver(b"a", 1, share="$share/g/t")
        self.deliver(b"b", 2, share="$share/g/t")  # [MQTT-4.8.2-5]
        self.deliver(b"c", 1)
        self.deliver(b"d", 2, share="$share/g/t")
        self.deliver(b"e", 1)
        self.flow.detach()
        self.deliver(b"f", 0, share="$share/g/t")
        self.deliver(b"g", 0)
        moved = [delivery.message.payload for delivery in self.flow.end() if delivery.message is not None]
        self.assertEqual(moved, [b"a", b"d", b"f"])
        self.assertEqual(self.dropped(), [("client", SESSION_ENDED, 4)])

    def test_what_was_received(self) -> None:
        """What PUBREC has confirmed reached the client: it neither moves nor counts as dropped."""
        link = self.connect()
        self.deliver(b"a", 2, share="$share/g/t")
        self.deliver(b"b", 2)
        link.receive(*pubrecs(1, 2))
        self.assertEqual(self.flow.end(), [])
        self.assertEqual(self.dropped(), [])

    def test_nothing_is_left(self) -> None:
        """Afterwards the flow is empty, and there is nothing to count twice."""
        link = self.connect(quota=1)
        self.deliver(b"a")
        self.deliver(b"b")
        self.flow.end()
        self.assertEqual((len(self.flow.in_flight), len(self.flow.waiting)), (0, 0))
        self.dropped()
        self.assertEqual(self.flow.end(), [])
        self.assertEqual(self.dropped(), [])
        self.assertEqual(self.acknowledged(PubAck(1), PubComp(1)), [False, False])
        self.assertEqual(payloads(link.sent()), [b"a"])

    def test_end_while_to_be_sent_again(self) -> None:
        """What was still to be sent again is gone, too."""
        self.connect(quota=2)
        self.deliver(b"a")
        self.deliver(b"b")
        self.flow.detach()
        link = self.connect(quota=1)
        link.sent()
        self.flow.end()
        self.deliver(b"c")
        self.assertEqual(payloads(link.sent()), [b"c"])
