"""A client that is away or reads too slowly: what waits, what is dropped, and that nothing stalls."""

from __future__ import annotations

from mqttwist.session.connection import HOLD_LIMIT, PUMP_LIMIT
from mqttwist.session.delivery import EXPIRED, OFFLINE, PACKET_TOO_LARGE, QUEUE_FULL, TRANSPORT_FULL
from mqttwist.session.outgoing import PAUSE_NONE, PAUSE_SEND_QUOTA
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.codec import decode_stream
from mqttwist.wire.packet import MQTT_5
from mqttwist.wire.publish import Publish
from tests.session.rig import FlowTestCase, Link, packet_ids, payloads, pubacks, publish


class OfflineTests(FlowTestCase):
    """There is no Network Connection."""

    def test_all_qos_wait(self) -> None:
        """Messages of every QoS wait for the client, and go out in their order when it is back."""
        self.assertTrue(all(self.deliver(payload, qos) for payload, qos in ((b"a", 0), (b"b", 1), (b"c", 2))))
        expected = [publish(b"a", 0), publish(b"b", 1, 1), publish(b"c", 2, 2)]
        self.assertEqual(self.connect().sent(), expected)

    def test_qos_0_is_dropped_if_so_set(self) -> None:
        """Where QoS 0 does not wait for a client that is away, it is dropped and counted."""
        self.flow = self.make_flow(qos_0=False)
        self.assertFalse(self.deliver(b"a", 0))
        self.assertTrue(self.deliver(b"b", 1))
        self.assertEqual(payloads(self.connect().sent()), [b"b"])
        self.assertEqual(self.dropped(), [("client", OFFLINE, 1)])

    def test_queue_full(self) -> None:
        """A full queue gives up its oldest QoS 0, and when there is none what comes last; each is counted."""
        self.flow = self.make_flow(messages=3)
        for payload, qos in ((b"a", 1), (b"b", 0), (b"c", 0)):
            self.assertTrue(self.deliver(payload, qos))
        self.assertTrue(self.deliver(b"d", 1))
        self.assertTrue(self.deliver(b"e", 2))
        self.assertFalse(self.deliver(b"f", 1))
        self.assertFalse(self.deliver(b"g", 0))
        self.assertEqual(payloads(self.connect().sent()), [b"a", b"d", b"e"])
        self.assertEqual(self.dropped(), [("client", QUEUE_FULL, 4)])

    def test_drops_by_client_and_reason(self) -> None:
        """Drops are counted for each client and reason, and in total by reason."""
        self.flow = self.make_flow(messages=1, qos_0=False)
        self.deliver(b"a", 0)
        self.deliver(b"b", 1)
        self.deliver(b"c", 1)
        self.deliver(b"d", 1)
        self.assertEqual(self.drops.totals, {OFFLINE: 1, QUEUE_FULL: 2})
        self.assertEqual(self.dropped(), [("client", OFFLINE, 1), ("client", QUEUE_FULL, 2)])


class TransportFullTests(FlowTestCase):
    """The client reads more slowly than we write."""

    def test_qos_1_and_2_wait(self) -> None:
        """QoS 1 and 2 wait in the queue and go out when the transport is ready."""
        link = self.connect()
        link.connection.transport_full()
        for payload, qos in ((b"a", 1), (b"b", 2), (b"c", 1)):
            self.assertTrue(self.deliver(payload, qos))
        self.assertEqual(link.sent(), [])
        self.assertEqual(self.flow.in_flight, {})
        link.connection.transport_ready()
        expected = [publish(b"a", 1, 1), publish(b"b", 2, 2), publish(b"c", 1, 3)]
        self.assertEqual(link.sent(), expected)

    def test_qos_0_is_held(self) -> None:
        """QoS 0 is held in the outbox up to `HOLD_LIMIT`, beyond it dropped and counted."""
        link = self.connect()
        link.connection.transport_full()
        size = HOLD_LIMIT // 4
        taken = [self.deliver(bytes([number]) * size, 0) for number in range(6)]
        self.assertEqual(taken, [True, True, True, False, False, False])
        self.assertEqual(self.dropped(), [("client", TRANSPORT_FULL, 3)])
        self.assertTrue(self.deliver(b"small", 0))
        link.connection.transport_ready()
        self.assertEqual([payload[:1] for payload in payloads(link.sent())], [b"\0", b"\1", b"\2", b"s"])
        self.assertEqual(self.dropped(), [])

    def test_qos_0_does_not_overtake(self) -> None:
        """QoS 0 stays behind QoS 0 that waits in the queue, online and with a full transport."""
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        self.deliver(b"c", 0)
        link = self.connect(quota=1)
        self.deliver(b"d", 0)
        link.connection.transport_full()
        self.deliver(b"e", 0)
        link.receive(PubAck(1))
        link.connection.transport_ready()
        link.receive(PubAck(2))
        self.deliver(b"f", 0)
        self.assertEqual(payloads(link.sent()), [b"a", b"b", b"c", b"d", b"e", b"f"])

    def test_queue_limits_hold(self) -> None:
        """QoS 1 that waits for a slow client is bounded like that of a client that is away."""
        self.flow = self.make_flow(messages=2)
        link = self.connect()
        link.connection.transport_full()
        taken = [self.deliver(payload, 1) for payload in (b"a", b"b", b"c")]
        self.assertEqual(taken, [True, True, False])
        self.assertEqual(self.dropped(), [("client", QUEUE_FULL, 1)])

    def test_flows_go_on(self) -> None:
        """Acknowledgements are worked on while the transport is full; the answers go out when it is not."""
        link = self.connect(quota=1)
        self.deliver(b"a", 2)
        self.deliver(b"b", 1)
        link.sent()
        link.connection.transport_full()
        link.receive(PubRec(1))
        self.assertEqual(link.sent(), [])
        link.connection.transport_ready()
        self.assertEqual(link.sent(), [PubRel(1)])

    def test_acknowledged_while_full(self) -> None:
        """A quota that becomes free while the transport is full is used when it is ready."""
        link = self.connect(quota=1)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        link.sent()
        link.connection.transport_full()
        link.receive(PubAck(1))
        self.assertEqual((link.sent(), link.connection.held()), ([], 0))
        link.connection.transport_ready()
        self.assertEqual(link.sent(), [publish(b"b", 1, 2)])

    def test_full_again_at_once(self) -> None:
        """A transport that becomes full with every write gets one write each time that it is ready."""
        link = self.connect(quota=65_535, room=1)
        for number in range(10):
            self.deliver(bytes([number]) * (PUMP_LIMIT // 2), 1)
        self.assertEqual(len(link.recorder.writes), 1)
        while len(self.flow.waiting):
            before = len(link.recorder.writes)
            link.recorder.room = 1
            link.connection.transport_ready()
            self.assertEqual(len(link.recorder.writes), before + 1)
        self.assertEqual([payload[0] for payload in payloads(link.sent())], list(range(10)))

    def test_lost_while_full(self) -> None:
        """What was in flight or waited when a slow client was lost is there when it comes back."""
        link = self.connect(room=1)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        self.deliver(b"c", 0)
        self.flow.detach()
        link.connection.close()
        self.assertEqual(self.connect().sent(), [publish(b"a", 1, 1, dup=True), publish(b"b", 1, 2)])


class BytesInFlightTests(FlowTestCase):
    """The limit of the queue in bytes holds for what is in flight, too."""

    def setUp(self) -> None:
        super().setUp()
        self.flow = self.make_flow(size=1000)

    def test_pause(self) -> None:
        """The message that reaches the limit is sent, the next one waits until there are fewer bytes."""
        link = self.connect(quota=100)
        for payload in (b"a", b"b", b"c"):
            self.assertTrue(self.deliver(payload * 500, 1))
        self.assertEqual(packet_ids(link.sent()), [1, 2])
        self.assertEqual((self.flow.pause, self.flow.is_ready), (PAUSE_SEND_QUOTA, False))
        link.receive(PubAck(2))
        self.assertEqual([payload[:1] for payload in payloads(link.sent())], [b"c"])
        link.receive(PubAck(1), PubAck(3))
        self.assertEqual((self.flow.in_flight_size, self.flow.pause), (0, PAUSE_NONE))

    def test_one_can_always_be_sent(self) -> None:
        """A message that is larger than the limit is sent when nothing else is in flight."""
        link = self.connect(quota=100)
        for payload, qos in ((bytes(5000), 1), (b"a", 2), (b"b", 1)):
            self.assertTrue(self.deliver(payload, qos))
        self.assertEqual(packet_ids(link.sent()), [1])
        link.receive(PubAck(1))
        self.assertEqual(payloads(link.sent()), [b"a", b"b"])

    def test_released_messages_take_no_room(self) -> None:
        """What PUBREC has confirmed is not kept; PUBCOMP lets the next one go."""
        link = self.connect(quota=100)
        self.deliver(bytes(2000), 2)
        self.deliver(b"next", 1)
        link.receive(PubRec(1))
        self.assertEqual(self.flow.in_flight_size, 0)
        link.sent()
        link.receive(PubComp(1))
        self.assertEqual(payloads(link.sent()), [b"next"])
        link.receive(PubAck(2))
        self.assertEqual(self.flow.in_flight_size, 0)

    def test_qos_0_is_not_counted(self) -> None:
        """QoS 0 needs no quota, be it in messages or in bytes."""
        link = self.connect(quota=100)
        self.deliver(bytes(2000), 1)
        self.deliver(b"at once", 0)
        self.assertEqual(payloads(link.sent())[1:], [b"at once"])

    def test_counted_over_connections(self) -> None:
        """What is sent again was counted before, and what can't be sent again is not in flight any more."""
        self.connect(quota=100)
        self.deliver(bytes(400), 1)
        self.deliver(bytes(300), 2)
        size = self.flow.in_flight_size
        self.flow.detach()
        link = self.connect(quota=100)
        self.assertEqual(self.flow.in_flight_size, size)
        self.flow.detach()
        self.connect(quota=100, maximum_packet_size=350)
        packet = Publish("topic", bytes(300), 2, packet_id=2).encode(MQTT_5)
        self.assertEqual(self.flow.in_flight_size, len(packet))
        link.sent()
        self.flow.end()
        self.assertEqual(self.flow.in_flight_size, 0)

    def test_no_limit(self) -> None:
        """A limit of 0 is none."""
        self.flow = self.make_flow()
        link = self.connect(quota=100)
        for _ in range(20):
            self.deliver(bytes(100_000), 1)
        self.assertEqual(len(packet_ids(link.sent())), 20)


class PumpTests(FlowTestCase):
    """A queue that stalls with nobody to pump it would be the worst of faults."""

    def fill(self, count: int, size: int, qos: int = 1, expiry: int | None = None) -> None:
        """Let messages wait for the client, the first 4 bytes of each its number."""
        for number in range(count):
            self.assertTrue(self.deliver(number.to_bytes(4, "big") + bytes(size), qos, expiry=expiry))

    def numbers(self, link: Link) -> list[int]:
        return [int.from_bytes(payload[:4], "big") for payload in payloads(link.sent())]

    def test_in_portions(self) -> None:
        """A long queue is written in portions of about `PUMP_LIMIT`, one after the other, to the end."""
        self.fill(100, PUMP_LIMIT // 10)
        link = self.connect(quota=100)
        self.assertEqual(len(link.recorder.writes), 10)
        self.assertLess(max(map(len, link.recorder.writes)), 2 * PUMP_LIMIT)
        self.assertEqual(self.numbers(link), list(range(100)))

    def test_stops_when_full(self) -> None:
        """Between the portions it stops if the transport is full, and goes on when it is ready."""
        self.fill(40, PUMP_LIMIT // 10, qos=0)
        link = self.connect(room=2 * PUMP_LIMIT)
        self.assertEqual(self.numbers(link), list(range(20)))
        link.recorder.room = None
        link.connection.transport_ready()
        self.assertEqual(self.numbers(link), list(range(20, 40)))

    def test_portion_ends_with_the_quota(self) -> None:
        """Where quota and portion end together, acknowledgements let the rest go."""
        self.fill(40, PUMP_LIMIT // 10)
        link = self.connect(quota=10)
        self.assertEqual(self.numbers(link), list(range(10)))
        for first in (1, 11, 21):
            link.receive(*pubacks(*range(first, first + 10)))
            self.assertEqual(self.numbers(link), list(range(first + 9, first + 19)))

    def test_expired_messages_do_not_stall(self) -> None:
        """A queue that begins with more than `PUMP_LIMIT` of expired messages is still sent to its end."""
        self.fill(50, PUMP_LIMIT // 10, expiry=10)
        self.deliver(b"last", 1)
        self.clock.advance(11)
        self.assertEqual(payloads(self.connect().sent()), [b"last"])
        self.assertEqual(self.dropped(), [("client", EXPIRED, 50)])
        self.assertEqual(len(self.flow.waiting), 0)

    def test_too_large_messages_do_not_stall(self) -> None:
        """The same for messages that are larger than what the client takes [MQTT-3.1.2-25]."""
        self.fill(50, PUMP_LIMIT // 10)
        self.deliver(b"last", 1)
        self.assertEqual(payloads(self.connect(maximum_packet_size=100).sent()), [b"last"])
        self.assertEqual(self.dropped(), [("client", PACKET_TOO_LARGE, 50)])

    def test_expired_behind_a_portion(self) -> None:
        """The same in the middle, where the outbox has been written already."""
        self.fill(12, PUMP_LIMIT // 10)
        self.fill(50, PUMP_LIMIT // 10, expiry=10)
        self.deliver(b"last", 1)
        self.clock.advance(11)
        link = self.connect(quota=20)
        self.assertEqual(payloads(link.sent())[12:], [b"last"])
        self.assertEqual(len(self.flow.waiting), 0)

    def test_acknowledged_and_expired(self) -> None:
        """An acknowledgement sends the next that is worth it, past those that have expired."""
        self.fill(1, 0)
        self.fill(50, PUMP_LIMIT // 10, expiry=10)
        self.deliver(b"last", 1)
        link = self.connect(quota=1)
        link.sent()
        self.clock.advance(11)
        link.receive(PubAck(1))
        self.assertEqual(payloads(link.sent()), [b"last"])

    def test_ready_without_output(self) -> None:
        """A transport that is ready again gets what waits, although the outbox is empty."""
        link = self.connect()
        link.connection.transport_full()
        self.fill(3, 10)
        self.assertEqual(link.connection.outbox, [])
        link.connection.transport_ready()
        self.assertEqual(self.numbers(link), [0, 1, 2])

    def test_ends(self) -> None:
        """`pump` with nothing to do returns, sends nothing and asks for no room."""
        link = self.connect()
        self.flow.pump()
        self.assertFalse(link.connection.wants_room)
        self.flow.detach()
        self.flow.pump()
        self.turn.end()
        self.assertEqual(link.sent(), [])

    def test_writes_are_whole_packets(self) -> None:
        """Each write ends with the end of a packet."""
        self.fill(30, PUMP_LIMIT // 10)
        link = self.connect(quota=100)
        for data in link.recorder.writes:
            decode_stream(data, link.connection.version)


class ReplayTests(FlowTestCase):
    """Retained messages that are sent because of a SUBSCRIBE."""

    def test_after_the_suback(self) -> None:
        """They wait for `pump`, in their order and before what comes later: the SUBACK goes first."""
        link = self.connect()
        for payload, qos in ((b"a", 1), (b"b", 0), (b"c", 2)):
            self.assertTrue(self.deliver(payload, qos, replayed=True))
        for payload, qos in ((b"d", 1), (b"e", 0)):
            self.assertTrue(self.deliver(payload, qos))
        self.assertEqual(link.sent(), [])
        self.turn.begin()
        self.flow.pump()
        self.turn.end()
        self.assertEqual(payloads(link.sent()), [b"a", b"b", b"c", b"d", b"e"])

    def test_limits_do_not_count(self) -> None:
        """They are not dropped by the limits of the queue, and drop nothing else."""
        self.flow = self.make_flow(messages=2, size=2600)
        link = self.connect()
        link.connection.transport_full()
        self.deliver(b"a", 1)
        self.assertTrue(all(self.deliver(bytes(500), qos, replayed=True) for qos in (0, 1, 2, 0, 1, 2)))
        self.deliver(b"b", 1)
        link.connection.transport_ready()
        self.assertEqual(len(link.sent()), 8)
        self.assertEqual(self.dropped(), [])

    def test_live_messages_stay_behind(self) -> None:
        """A message that is published meanwhile comes after them: it is newer than what was retained."""
        link = self.connect()
        link.connection.transport_full()
        self.deliver(b"old 0", 0, replayed=True)
        self.deliver(b"old 1", 1, replayed=True)
        self.deliver(b"new 0", 0)
        self.deliver(b"new 1", 1)
        link.connection.transport_ready()
        self.assertEqual(payloads(link.sent()), [b"old 0", b"old 1", b"new 0", b"new 1"])

    def test_no_drop_because_the_transport_is_full(self) -> None:
        """QoS 0 that was retained is not dropped when the transport is full."""
        link = self.connect()
        link.connection.transport_full()
        for _ in range(3):
            self.assertTrue(self.deliver(bytes(HOLD_LIMIT), 0, replayed=True))
        link.connection.transport_ready()
        self.assertEqual(len(payloads(link.sent())), 3)
