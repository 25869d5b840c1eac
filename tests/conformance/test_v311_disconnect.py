"""3.14 DISCONNECT."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance.cases import each_check_of


@each_check_of("v311.disconnect")
class DisconnectTests(SynchronousTestCase):
    """The checks of DISCONNECT, of MQTT 3.1.1."""
