"""What a 3.x client has not acknowledged in time is sent again."""

from __future__ import annotations

from mqttwist.session.connection import PUMP_LIMIT
from mqttwist.wire.acknowledge import PubAck, PubComp, PubRec, PubRel
from mqttwist.wire.packet import MQTT_3_1, MQTT_3_1_1, MQTT_5
from tests.session.rig import (
    FlowTestCase,
    Link,
    Packets,
    packet_ids,
)
from tests.session.test_resuming import again


class OverdueTests(FlowTestCase):
    """`send_overdue`: what a 3.x client has not acknowledged in time is sent again."""

    def overdue(self, link: Link, retry_interval: float = 20.0) -> Packets:
        self.turn.begin()
        count = self.flow.send_overdue(retry_interval)
        self.turn.end()
        packets = link.sent()
        self.assertEqual(len(packets), count)
        return packets

    def test_publish_and_pubrel(self) -> None:
        """PUBLISH with DUP, and PUBREL, each when it is older than the interval, then once an interval."""
        for version in (MQTT_3_1, MQTT_3_1_1):
            with self.subTest(version=version):
                self.flow = self.make_flow()
                link = self.connect(version=version)
                self.deliver(b"a", 1)
                self.deliver(b"b", 2)
                self.clock.advance(19)
                self.deliver(b"c", 1)
                link.receive(PubRec(2))
                link.sent()
                self.assertEqual(self.overdue(link), [])
                self.clock.advance(1)
                self.assertEqual(self.overdue(link), again(b"a", 1, 1))
                self.assertEqual(self.overdue(link), [])
                self.clock.advance(19)
                self.assertEqual(self.overdue(link), [PubRel(2), *again(b"c", 1, 3)])
                link.receive(PubAck(1), PubComp(2), PubAck(3))
                self.clock.advance(100)
                self.assertEqual(self.overdue(link), [])

    def test_never_in_version_5(self) -> None:
        """In MQTT 5.0 nothing is sent again on a connection that lasts [MQTT-4.4.0-1]."""
        link = self.connect(version=MQTT_5)
        self.deliver(b"a", 1)
        link.sent()
        self.clock.advance(1000)
        self.assertEqual(self.overdue(link), [])

    def test_not_while_away(self) -> None:
        """A client that is away is sent nothing."""
        self.connect(version=MQTT_3_1_1)
        self.deliver(b"a", 1)
        self.flow.detach()
        self.clock.advance(1000)
        self.assertEqual(self.flow.send_overdue(20.0), 0)

    def test_not_to_a_full_transport(self) -> None:
        """A client that does not read is not sent the same again; nothing was lost, it is only slow."""
        link = self.connect(version=MQTT_3_1_1)
        self.deliver(b"a", 1)
        link.sent()
        link.connection.transport_full()
        self.clock.advance(1000)
        self.assertEqual(self.overdue(link), [])
        link.connection.transport_ready()
        self.assertEqual(self.overdue(link), again(b"a", 1, 1))

    def test_not_while_resuming(self) -> None:
        """While a reconnection still has to send again, it does that first."""
        self.connect(version=MQTT_3_1_1)
        self.deliver(b"a", 1)
        self.deliver(b"b", 1)
        self.flow.detach()
        link = self.connect(version=MQTT_3_1_1, quota=1)
        link.sent()
        self.clock.advance(1000)
        self.assertEqual(self.overdue(link), [])
        link.receive(PubAck(1))
        self.assertEqual(link.sent(), again(b"b", 1, 2))

    def test_a_portion_at_a_time(self) -> None:
        """One call sends about `PUMP_LIMIT` bytes; the next goes on behind it."""
        link = self.connect(version=MQTT_3_1_1)
        for _ in range(8):
            self.deliver(bytes(PUMP_LIMIT // 4), 1)
        link.sent()
        self.clock.advance(20)
        self.assertEqual(packet_ids(self.overdue(link)), [1, 2, 3, 4])
        self.assertEqual(packet_ids(self.overdue(link)), [5, 6, 7, 8])
        self.assertEqual(packet_ids(self.overdue(link)), [])
