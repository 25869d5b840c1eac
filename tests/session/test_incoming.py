"""The receiver's side: QoS 2 exactly once, and no more than the Receive Maximum."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mqttwist.session.incoming import IncomingFlow
from mqttwist.wire.errors import ProtocolError


class ExactlyOnceTests(SynchronousTestCase):
    """4.3.3: until PUBREL, the same Packet Identifier means the same message."""

    def setUp(self) -> None:
        self.flow = IncomingFlow()
        self.flow.attach(10)

    def receive(self, packet_id: int) -> bool:
        """A PUBLISH comes, and is accepted if it is new."""
        is_new = self.flow.is_new(packet_id)
        if is_new:
            self.flow.received(packet_id)
        return is_new

    def test_once(self) -> None:
        """A PUBLISH that comes again before PUBREL is not new, however often [MQTT-4.3.3-10]."""
        self.assertEqual([self.receive(1) for _ in range(3)], [True, False, False])

    def test_released(self) -> None:
        """After PUBREL the identifier stands for a new message [MQTT-4.3.3-12]."""
        self.receive(1)
        self.assertTrue(self.flow.release(1))
        self.assertTrue(self.receive(1))

    def test_release_of_nothing(self) -> None:
        """PUBREL for an identifier that is not in use is told apart: its PUBCOMP says 0x92 (3.7.2.1)."""
        self.assertFalse(self.flow.release(1))
        self.receive(1)
        self.assertTrue(self.flow.release(1))
        self.assertFalse(self.flow.release(1))

    def test_refused(self) -> None:
        """After PUBREC of 0x80 and above the same identifier stands for a new message [MQTT-4.3.3-9]."""
        self.assertTrue(self.flow.is_new(1))
        self.flow.refused(1)
        self.assertTrue(self.flow.is_new(1))

    def test_identifiers_are_apart(self) -> None:
        """What is under way under one identifier says nothing of another."""
        self.assertEqual(
            [self.receive(packet_id) for packet_id in (1, 2, 65_535, 2)], [True, True, True, False]
        )
        self.flow.release(2)
        self.assertEqual([self.receive(packet_id) for packet_id in (1, 2, 65_535)], [False, True, False])

    def test_outlives_the_connection(self) -> None:
        """What was received and not released is Session State (4.1): after a reconnection it is not new."""
        self.receive(1)
        self.flow.attach(10)
        self.assertEqual(self.flow.unreleased, {1})
        self.assertFalse(self.receive(1))
        self.assertTrue(self.flow.release(1))


class ReceiveMaximumTests(SynchronousTestCase):
    """4.9: how many may be under way."""

    def setUp(self) -> None:
        self.flow = IncomingFlow()

    def receive(self, *packet_ids: int) -> None:
        for packet_id in packet_ids:
            if self.flow.is_new(packet_id):
                self.flow.received(packet_id)

    def assert_too_many(self, packet_id: int) -> None:
        error = self.assertRaises(ProtocolError, self.flow.is_new, packet_id)
        self.assertEqual((error.reason_code, error.clause), (0x93, "MQTT-3.3.4-7"))

    def test_maximum(self) -> None:
        """One more than the maximum is a Protocol Error 0x93 [MQTT-3.3.4-7]."""
        self.flow.attach(2)
        self.receive(1, 2)
        self.assert_too_many(3)

    def test_pubrel_makes_room(self) -> None:
        """PUBCOMP follows PUBREL at once, so PUBREL ends the message's part of the quota."""
        self.flow.attach(2)
        self.receive(1, 2)
        self.flow.release(1)
        self.receive(3)
        self.assert_too_many(4)

    def test_refusal_makes_room(self) -> None:
        """PUBREC of 0x80 and above does so, too (4.9)."""
        self.flow.attach(1)
        self.flow.is_new(1)
        self.flow.refused(1)
        self.receive(2)
        self.assert_too_many(1)

    def test_repetition_takes_none(self) -> None:
        """A PUBLISH that comes again counts once."""
        self.flow.attach(2)
        self.receive(1, 1, 1, 2, 2)
        self.assert_too_many(3)

    def test_new_connection(self) -> None:
        """The quota begins anew with each connection; what is sent again counts again (4.9)."""
        self.flow.attach(2)
        self.receive(1, 2)
        self.flow.attach(2)
        self.receive(3)
        self.receive(1)
        self.assert_too_many(2)
        self.assert_too_many(4)

    def test_release_of_what_was_before(self) -> None:
        """PUBREL for a message of the connection before leaves the new quota as it is."""
        self.flow.attach(2)
        self.receive(1)
        self.flow.attach(1)
        self.receive(2)
        self.assertTrue(self.flow.release(1))
        self.assert_too_many(3)

    def test_before_version_5(self) -> None:
        """With a maximum of 0, before MQTT 5.0, there is no limit."""
        self.flow.attach(0)
        self.receive(*range(1, 65_536))
        self.assertEqual(len(self.flow.unreleased), 65_535)
