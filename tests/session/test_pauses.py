"""Why a message would have to wait, and what a receiver says of itself to those who choose."""

from __future__ import annotations

from mqttwist.session.delivery import OFFLINE, QUEUE_FULL
from mqttwist.session.metrics import Drops
from mqttwist.session.outgoing import (
    PAUSE_NAMES,
    PAUSE_NONE,
    PAUSE_OFFLINE,
    PAUSE_SEND_QUOTA,
    PAUSE_TRANSPORT_FULL,
)
from mqttwist.session.waiting import QueueLimits
from mqttwist.wire.acknowledge import PubAck
from tests.session.rig import FlowTestCase


class PauseTests(FlowTestCase):
    """Why a message of QoS 1 or 2 would have to wait has a name."""

    def test_names(self) -> None:
        """Each pause has its name in the table."""
        pauses = (PAUSE_NONE, PAUSE_OFFLINE, PAUSE_SEND_QUOTA, PAUSE_TRANSPORT_FULL)
        self.assertEqual(
            [PAUSE_NAMES[pause] for pause in pauses], ["none", "offline", "send quota", "transport full"]
        )

    def test_pauses(self) -> None:
        """Offline goes before a full transport, which goes before the send quota."""
        self.assertEqual(self.flow.pause, PAUSE_OFFLINE)
        link = self.connect(quota=1)
        self.assertEqual(self.flow.pause, PAUSE_NONE)
        self.deliver(b"a")
        self.assertEqual(self.flow.pause, PAUSE_SEND_QUOTA)
        link.connection.transport_full()
        self.assertEqual(self.flow.pause, PAUSE_TRANSPORT_FULL)
        link.connection.transport_ready()
        self.assertEqual(self.flow.pause, PAUSE_SEND_QUOTA)
        link.receive(PubAck(1))
        self.assertEqual(self.flow.pause, PAUSE_NONE)
        self.flow.detach()
        self.assertEqual(self.flow.pause, PAUSE_OFFLINE)

    def test_to_be_sent_again(self) -> None:
        """While something is still to be sent again, the pause is the send quota."""
        self.connect(quota=2)
        self.deliver(b"a")
        self.deliver(b"b")
        self.flow.detach()
        link = self.connect(quota=1)
        self.assertEqual(self.flow.pause, PAUSE_SEND_QUOTA)
        link.receive(PubAck(1))
        self.assertEqual(self.flow.pause, PAUSE_SEND_QUOTA)
        link.receive(PubAck(2))
        self.assertEqual(self.flow.pause, PAUSE_NONE)

    def test_receiver(self) -> None:
        """`is_online`, `is_ready` and `has_room` are what whoever chooses among receivers has to know."""
        self.flow = self.make_flow(messages=1)

        def is_online_ready_roomy() -> tuple[bool, bool, bool]:
            return self.flow.is_online, self.flow.is_ready, self.flow.has_room

        self.assertEqual(is_online_ready_roomy(), (False, False, True))
        link = self.connect(quota=1)
        self.assertEqual(is_online_ready_roomy(), (True, True, True))
        self.deliver(b"a")
        self.assertEqual(is_online_ready_roomy(), (True, False, True))
        self.deliver(b"b")
        self.assertEqual(is_online_ready_roomy(), (True, False, False))
        link.receive(PubAck(1))
        self.assertEqual(is_online_ready_roomy(), (True, False, True))
        link.receive(PubAck(2))
        self.assertEqual(is_online_ready_roomy(), (True, True, True))
        self.deliver(b"c", replayed=True)
        self.assertEqual(is_online_ready_roomy(), (True, False, True))

    def test_room_of_a_queue_without_any(self) -> None:
        """Who is ready has room, although nothing could wait."""
        self.flow = self.make_flow(size=1)
        self.assertFalse(self.flow.has_room)
        self.connect()
        self.assertTrue(self.flow.has_room)

    def test_adopted(self) -> None:
        """The limits and the counters of a broker that takes the session up hold from then on."""
        drops = Drops()
        self.flow.adopt(QueueLimits(1, 0, False), drops)
        self.assertEqual(
            [self.deliver(b"a"), self.deliver(b"b"), self.deliver(b"c", 0)], [True, False, False]
        )
        self.assertEqual(drops.totals, {QUEUE_FULL: 1, OFFLINE: 1})
        self.assertEqual(self.drops.totals, {})
