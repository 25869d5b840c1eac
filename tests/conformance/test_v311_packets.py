"""2 MQTT Control Packet format."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.packets")
class PacketsTests(SynchronousTestCase):
    """The checks of chapter 2, of MQTT 3.1.1."""
